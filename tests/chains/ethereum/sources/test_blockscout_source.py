"""Blockscout: whole histories through its cursors; pages that go round or do not end are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from evm_explorers import ASKED, KEY, USDT, BlockscoutLike, Ledger, Reply, Row, Server, ledger, plain, serving
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.ethereum.address import encode
from calibar.chains.ethereum.sources.blockscout import Blockscout, read
from calibar.chains.remote import transfers_told as told
from calibar.errors import DecodeError, UsageError


@contextmanager
def opened(
    answer: Callable[[str, dict[str, str]], Reply], key: str | None = None
) -> Iterator[tuple[Blockscout, list[Exchange], Server]]:
    kept: list[Exchange] = []
    with serving(answer) as server:
        explorer: told.Explorer = Blockscout(
            server.url, kept.append, chain_id=100, key=key, patience=8.0, sleep=lambda _: None
        )
        assert isinstance(explorer, Blockscout)
        try:
            yield explorer, kept, server
        finally:
            explorer.close()
        assert not any(KEY in exchange.request + exchange.place for exchange in kept)


def answer_of(explorer: Blockscout, question: told.Question) -> Any:
    ((_, answer),) = explorer.ask([question])
    return answer


def movements(
    what: told.Class, first: int = 0, most: int = 10**6, asset: told.Asset | None = None
) -> told.MovementsQuestion:
    return told.MovementsQuestion(ASKED, what, most, first, asset)


@pytest.fixture(scope="module")
def many() -> Ledger:
    return ledger(11, 400, 250)


@pytest.mark.parametrize("what", ["value", "internal", "token"])
@pytest.mark.parametrize("begin", [None, 40, 90])
def test_histories_are_whole(many: Ledger, what: told.Class, begin: int | None) -> None:
    first = 0 if begin is None else next(row[6] for row in many.truth(what)[begin:])
    with opened(BlockscoutLike(many, 20), key=KEY) as (explorer, kept, server):
        found = answer_of(explorer, movements(what, first))
        assert plain(found.rows) == many.truth(what, first)
        assert (found.capped, found.upto, found.first) == (False, None, first)
        assert list(read(kept[0].request, kept[0].response)) == [found] and len(kept) == 1
        assert all(KEY in path for path in server.asked)
        assert explorer.chain == "ethereum:100"


def test_one_token_newest_and_holdings(many: Ledger) -> None:
    with opened(BlockscoutLike(many)) as (explorer, kept, _):
        found = answer_of(explorer, movements("token", asset=told.Asset(USDT)))
        assert plain(found.rows) == [row for row in many.truth("token") if row[2] == USDT]
        questions: list[told.Question] = [
            told.NewestQuestion(), told.HoldingQuestion(ASKED, told.NATIVE),
            told.HoldingQuestion(ASKED, told.Asset(USDT)), told.HoldingQuestion(ASKED, told.Asset(ASKED)),
        ]  # fmt: skip
        answers = [answer for _, answer in explorer.ask(questions)]
        assert answers == [
            told.Newest(many.height, bytes(32)),
            told.Holding(ASKED, told.NATIVE, 123456789012345678901234567890, 77),
            told.Holding(ASKED, told.Asset(USDT), 42), told.Holding(ASKED, told.Asset(ASKED), 0),
        ]  # fmt: skip
        again = [one for exchange in kept for one in read(exchange.request, exchange.response)]
        assert again == [found, *answers]


def test_transactions_have_all_that_they_moved(many: Ledger) -> None:
    busy = next(one for one in many.sent if one.tokens and one.internals and one.sender == ASKED and not one.failed)
    failed = next(one for one in many.sent if one.failed and one.sender == ASKED)
    with opened(BlockscoutLike(many, 1)) as (explorer, kept, _):
        found = answer_of(explorer, told.TransactionQuestion(bytes.fromhex(busy.txid)))
        assert plain(found.rows) == [row for _, row in busy.truth()]
        assert list(read(kept[0].request, kept[0].response)) == [found]
        found = answer_of(explorer, told.TransactionQuestion(bytes.fromhex(failed.txid)))
        assert [row.kind for row in found.rows] == ["fee"] and not found.succeeded
        assert isinstance(answer_of(explorer, told.TransactionQuestion(bytes(32))), Refusal)
        assert kept[-1].request.endswith(" (404)") and list(read(kept[-1].request, kept[-1].response)) == []


def test_what_is_in_no_block_yet_is_passed_over(many: Ledger) -> None:
    def pending(_: str, page: Row) -> Row:
        page["items"] = [page["items"][0] | {"block_number": None, "hash": "0x" + "77" * 32}, *page["items"]]
        return page

    with opened(BlockscoutLike(many, change=pending)) as (explorer, _, _):
        assert plain(answer_of(explorer, movements("value")).rows) == many.truth("value")


def test_whole_blocks_are_refused_without_asking(many: Ledger) -> None:
    with opened(BlockscoutLike(many)) as (explorer, kept, server):
        assert answer_of(explorer, told.BlockQuestion(5)) == Refusal("it gives no whole blocks; name a node too")
        assert (kept, server.asked) == ([], [])


def test_a_service_is_refused(many: Ledger) -> None:
    with opened(BlockscoutLike(many)) as (explorer, kept, server):
        answer = answer_of(explorer, movements("value", most=30))
        assert isinstance(answer, Refusal) and answer.too_much and len(server.asked) == 1
        assert list(read(kept[0].request, kept[0].response)) == [told.TooMany(movements("value", most=30))]


def _cursor(value: object) -> Callable[[Row], None]:
    return lambda page: page.update(next_page_params=value)


def _set(name: str, value: object) -> Callable[[Row], None]:
    return lambda page: page["items"][3].update({name: value})


PAGES: dict[str, tuple[Callable[[Row], object], str]] = {
    "goes round": (_cursor({"items_count": 20}), "go round|order|stands after"),
    "names itself": (lambda page: page.update(items=[], next_page_params={"x": 1}), "do not end"),
    "odd cursor": (_cursor({"X y": [1]}), "cannot be asked for"),
    "empty cursor": (_cursor({}), "without saying which"),
    "cursor of text": (_cursor("more"), "object"),
    "no list": (lambda page: page.pop("items"), "list"),
    "another's": (lambda page: page["items"][3].update({"from": {"hash": encode(USDT)}, "to": {"hash": encode(USDT)}}),
                  "another"),
    "out of order": (lambda page: page["items"].reverse(), "newer ones come first"),
    "twice": (lambda page: page["items"].insert(3, page["items"][3]), "listed twice"),
    "odd time": (_set("timestamp", "yesterday"), "time"),
    "time before 1970": (_set("timestamp", "1969-01-01T00:00:00Z"), "time"),
    "odd status": (_set("status", "fine"), "ok or error"),
    "a float": (_set("value", 0.5), "whole number"),
    "an exponent": (_set("value", "1E5"), "whole number"),
    "bad checksum": (_set("from", {"hash": "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"}), "checksum"),
    "no sender": (_set("from", None), "from"),
}  # fmt: skip


@pytest.mark.parametrize("lie", PAGES)
def test_lies_are_named(lie: str) -> None:
    change, words = PAGES[lie]

    def changed(_: str, page: Row) -> Row:
        change(page)
        return page

    with opened(BlockscoutLike(ledger(12, 60, 300), 20, changed)) as (explorer, kept, server):
        with pytest.raises(DecodeError, match=words) as caught:
            answer_of(explorer, movements("value"))
        assert server.url in str(caught.value) and "\n" not in str(caught.value)
        with pytest.raises(DecodeError):
            list(read(kept[0].request, kept[0].response))


def test_a_list_that_is_cut_short_cannot_be_told(many: Ledger) -> None:
    with opened(BlockscoutLike(many, change=lambda _, page: page | {"next_page_params": None})) as (explorer, _, _):
        found = answer_of(explorer, movements("value"))
        assert not found.capped and len(found.rows) < len(many.truth("value")), "only a balance shows it"


def test_kept_pages_are_all_of_them(many: Ledger) -> None:
    with opened(BlockscoutLike(many, 20)) as (explorer, kept, _):
        answer_of(explorer, movements("value"))
    pages = json.loads(kept[0].response)
    assert len(pages) == 20 and all(json.loads(page)["items"] for page in pages)
    for less in (pages[:-1], [*pages, pages[-1]], []):
        with pytest.raises(DecodeError, match="last page"):
            list(read(kept[0].request, json.dumps(less).encode()))


@pytest.mark.parametrize("status", [429, 503])
def test_busy_servers_are_waited_for(many: Ledger, status: int) -> None:
    tries = []

    def limited(path: str, query: dict[str, str]) -> Reply:
        tries.append(path)
        return BlockscoutLike(many)(path, query) if len(tries) % 2 == 0 else (status, {})

    with opened(limited) as (explorer, _, _):
        assert plain(answer_of(explorer, movements("value")).rows) == many.truth("value")


def test_the_key_stands_in_no_message() -> None:
    with opened(lambda _, query: (404, {"message": "no " + query["apikey"]}), key=KEY) as (explorer, kept, server):
        with pytest.raises(DecodeError) as caught:
            answer_of(explorer, movements("value"))
        assert KEY not in str(caught.value) and kept == [] and KEY in server.asked[0]
    with opened(lambda *_: (401, {}), key=KEY) as (explorer, _, _):
        with pytest.raises(UsageError) as refused:
            answer_of(explorer, movements("value"))
        assert KEY not in str(refused.value)


@pytest.mark.parametrize("body", [b"<!doctype html><p>hi", b'{"items":[', b"7", b'{"items":[1]}', b"\xff"])
def test_what_is_no_answer_is_named(body: bytes) -> None:
    with opened(lambda *_: (200, body)) as (explorer, _, server):
        with pytest.raises(DecodeError) as caught:
            answer_of(explorer, movements("token"))
        assert server.url in str(caught.value)


_OF_ASKED = f"/api/v2/addresses/{encode(ASKED)}"
_REQUESTS = [
    f"{_OF_ASKED}/transactions", f"{_OF_ASKED}/internal-transactions#first=5",
    f"{_OF_ASKED}/token-transfers?type=ERC-20", f"{_OF_ASKED}/token-balances#contract={encode(USDT)}", _OF_ASKED,
    "/api/v2/main-page/blocks", "/api/v2/transactions/0x" + "11" * 32,
]  # fmt: skip


@given(st.sampled_from(_REQUESTS) | st.text(), st.binary() | st.text().map(str.encode))
def test_reading_raises_nothing_but_its_error(request_: str, response: bytes) -> None:
    for body in (response, json.dumps([response.decode(errors="replace")]).encode()):
        try:
            list(read(request_, body))
        except DecodeError as error:
            assert "\n" not in str(error)


_LEAVES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
)
_FORMS = BlockscoutLike(ledger(13, 30, 20))


@given(st.sampled_from(range(3)), st.data())
def test_reading_odd_fields_raises_nothing_but_its_error(which: int, data: st.DataObject) -> None:
    name = ("transactions", "internal-transactions", "token-transfers")[which]
    row = next(rows[0] for one in _FORMS.ledger.sent if (rows := _FORMS.rows(name, one)))
    field = data.draw(st.sampled_from(sorted(row)))
    value = data.draw(_LEAVES | st.lists(_LEAVES) | st.dictionaries(st.text(), _LEAVES))
    page = {"items": [row | {field: value}], "next_page_params": None}
    with suppress(DecodeError):
        list(read(_REQUESTS[which], json.dumps([json.dumps(page)]).encode()))
