"""Tronscan: whole histories through its silent cut at 10,000 rows, or what is said to be missing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tron_explorers import (
    ASKED,
    KEY,
    NUMBER,
    START,
    USDD,
    USDT,
    Ledger,
    Reply,
    Row,
    Server,
    TronscanLike,
    ledger,
    plain,
    serving,
    to_base58,
)

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.remote import transfers_told as told
from calibar.chains.tron.sources import tronscan
from calibar.chains.tron.sources.tronscan import Tronscan, read
from calibar.errors import DecodeError, UsageError


@contextmanager
def opened(
    answer: Callable[[str, dict[str, str]], Reply], key: str | None = KEY
) -> Iterator[tuple[Tronscan, list[Exchange], Server]]:
    kept: list[Exchange] = []
    with serving(answer) as server:
        explorer: told.Explorer = Tronscan(
            server.url + "/api", kept.append, key=key, patience=8.0, sleep=lambda _: None
        )
        assert isinstance(explorer, Tronscan)
        try:
            yield explorer, kept, server
        finally:
            explorer.close()
        assert not any(KEY in exchange.request + exchange.place for exchange in kept)
        assert server.keys <= {key}


def answer_of(explorer: Tronscan, question: told.Question) -> Any:
    ((_, answer),) = explorer.ask([question])
    return answer


def movements(
    what: told.Class, first: int = 0, most: int = 10**6, asset: told.Asset | None = None
) -> told.MovementsQuestion:
    return told.MovementsQuestion(ASKED, what, most, first, asset)


@pytest.fixture(scope="module")
def many() -> Ledger:
    return ledger(31, 500, 300)


@pytest.mark.parametrize("what", ["value", "internal", "token", "trc10"])
@pytest.mark.parametrize("first", [0, 100])
def test_histories_longer_than_the_cut_are_whole(
    many: Ledger, what: told.Class, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tronscan, "WINDOW", 60)
    with opened(TronscanLike(many, 60)) as (explorer, kept, server):
        found = answer_of(explorer, movements(what, first))
        assert plain(found.rows) == many.truth(what, first)
        assert (found.capped, found.upto, found.first) == (False, None, first)
        assert list(read(kept[0].request, kept[0].response)) == [found] and len(kept) == 1
        assert len(server.asked) > 5 and server.keys == {KEY} and not any(KEY in path for path in server.asked)


def test_an_instant_that_is_cut_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tronscan, "WINDOW", 60)
    crowded = ledger(32, 300, 60)
    for one in crowded.sent[100:200]:
        one.block = crowded.sent[100].block
    full = crowded.sent[100].block
    crowded.sent.sort(key=lambda one: one.block)
    with opened(TronscanLike(crowded, 60)) as (explorer, kept, _):
        found = answer_of(explorer, movements("value"))
        assert found.capped and found.upto == full - 1
        seconds = (START + 3000 * full) // 1000
        assert plain(found.rows) == [row for row in crowded.truth("value") if row[6] < seconds]
        assert list(read(kept[0].request, kept[0].response)) == [found]


def test_a_cut_without_a_count_is_found_by_its_round_number(many: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tronscan, "WINDOW", 60)

    def uncounted(_: str, page: Row) -> Row:
        del page["rangeTotal"]
        return page

    with opened(TronscanLike(many, 60, uncounted)) as (explorer, _, _):
        assert plain(answer_of(explorer, movements("token")).rows) == many.truth("token")


def test_a_list_that_ends_before_its_count_is_said_to_be_capped(many: Ledger) -> None:
    def short(_: str, page: Row) -> Row:
        return page | {"token_transfers": page["token_transfers"][:-3]}

    with opened(TronscanLike(many, change=short)) as (explorer, kept, _):
        found = answer_of(explorer, movements("token", first=20))
        assert found.capped and found.upto == 19 and found.rows == ()
        assert list(read(kept[0].request, kept[0].response)) == [found]


def test_one_token_newest_and_holdings(many: Ledger) -> None:
    with opened(TronscanLike(many)) as (explorer, kept, _):
        found = answer_of(explorer, movements("token", asset=told.Asset(USDT)))
        assert plain(found.rows) == [row for row in many.truth("token") if row[2] == USDT]
        assert all(row.height is not None for row in found.rows)
        questions: list[told.Question] = [
            told.NewestQuestion(), told.HoldingQuestion(ASKED, told.NATIVE),
            told.HoldingQuestion(ASKED, told.Asset(USDT)), told.HoldingQuestion(ASKED, told.Asset(USDD)),
        ]  # fmt: skip
        answers = [answer for _, answer in explorer.ask(questions)]
        assert answers == [
            told.Newest(many.height, many.height.to_bytes(32)), told.Holding(ASKED, told.NATIVE, 100),
            told.Holding(ASKED, told.Asset(USDT), 2**200), told.Holding(ASKED, told.Asset(USDD), 0),
        ]  # fmt: skip
        again = [one for exchange in kept for one in read(exchange.request, exchange.response)]
        assert again == [found, *answers] and explorer.chain == "tron:mainnet"
        assert isinstance(answer_of(explorer, told.HoldingQuestion(ASKED, told.Asset(number=NUMBER))), Refusal)


def test_transactions_have_what_they_moved_but_for_their_calls(many: Ledger) -> None:
    busy = next(one for one in many.sent if one.tokens and one.sender == ASKED and not one.failed)
    failed = next(one for one in many.sent if one.failed and one.fee)
    with opened(TronscanLike(many)) as (explorer, kept, _):
        found = answer_of(explorer, told.TransactionQuestion(bytes.fromhex(busy.txid)))
        assert plain(found.rows) == [row for _, row in busy.truth() if row[0] != "internal"]
        assert list(read(kept[0].request, kept[0].response)) == [found]
        found = answer_of(explorer, told.TransactionQuestion(bytes.fromhex(failed.txid)))
        assert [row.kind for row in found.rows] == ["fee"] and not found.succeeded
        assert isinstance(answer_of(explorer, told.TransactionQuestion(bytes(32))), Refusal)


def test_whole_blocks_are_refused_without_asking(many: Ledger) -> None:
    with opened(TronscanLike(many)) as (explorer, kept, server):
        assert answer_of(explorer, told.BlockQuestion(5)) == Refusal("it gives no whole blocks; name a node too")
        assert (kept, server.asked) == ([], [])


def test_a_service_is_refused(many: Ledger) -> None:
    with opened(TronscanLike(many)) as (explorer, kept, server):
        answer = answer_of(explorer, movements("value", most=30))
        assert isinstance(answer, Refusal) and answer.too_much and len(server.asked) < 6
        assert list(read(kept[0].request, kept[0].response)) == [told.TooMany(movements("value", most=30))]


def _set(name: str, value: object) -> Callable[[Row], None]:
    return lambda page: page["token_transfers" if "token_transfers" in page else "data"][3].update({name: value})


STRANGER = to_base58(USDD)
LIES: dict[str, tuple[told.Class, Callable[[Row], object], str]] = {
    "no list": ("token", lambda page: page.update(token_transfers=None), "list"),
    "no count": ("token", lambda page: page.update(total=None), "whole number"),
    "fewer counted": ("value", lambda page: page.update(total=10, rangeTotal=10), "where it counts 10"),
    "another's": ("token", lambda page: page["token_transfers"][3].update(
        from_address=STRANGER, to_address=STRANGER), "another address"),
    "another's order": ("value", lambda page: page["data"][3].update(
        ownerAddress=STRANGER, toAddress=STRANGER, contractData={}, contractType=54), "another address"),
    "two owners": ("value", lambda page: page["data"][3].update(contractType=1, contractRet="SUCCESS", contractData={
        "owner_address": STRANGER, "to_address": to_base58(ASKED), "amount": 1}), "not the owner"),
    "out of order": ("token", lambda page: page["token_transfers"].reverse(), "order of their times"),
    "twice": ("value", lambda page: page["data"].__setitem__(3, page["data"][4]), "listed twice"),
    "too late": ("token", _set("block_ts", START + 3000 * 100_000), "between those asked for"),
    "seconds": ("token", _set("block_ts", START // 1000), "milliseconds"),
    "a float": ("token", _set("quant", 1.5), "whole number"),
    "an exponent": ("token", _set("quant", "1e6"), "whole number"),
    "bad checksum": ("token", _set("to_address", to_base58(ASKED)[:-1] + "1"), "checksum"),
    "no block": ("value", _set("block", None), "block"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_named(lie: str) -> None:
    what, change, words = LIES[lie]

    def changed(_: str, page: Row) -> Row:
        change(page)
        return page

    with opened(TronscanLike(ledger(33, 45, 300), change=changed)) as (explorer, kept, server):
        with pytest.raises(DecodeError, match=words) as caught:
            answer_of(explorer, movements(what))
        assert server.url in str(caught.value) and "\n" not in str(caught.value)
        with pytest.raises(DecodeError):
            list(read(kept[0].request, kept[0].response))


def test_rows_before_the_first_block_are_named(many: Ledger) -> None:
    def ignores(path: str, query: dict[str, str]) -> Reply:
        return TronscanLike(many)(path, {**query, "start_timestamp": "0"})

    with opened(ignores) as (explorer, _, _), pytest.raises(DecodeError, match="between those asked for"):
        answer_of(explorer, movements("token", first=250))


def test_counts_that_change_or_do_not_add_up_are_named(many: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    def growing(_: str, page: Row) -> Row:
        growing_by.append(1)
        return page | {"rangeTotal": page["rangeTotal"] + len(growing_by)}

    growing_by: list[int] = []
    with opened(TronscanLike(many, change=growing)) as (explorer, _, _), pytest.raises(DecodeError, match="count"):
        answer_of(explorer, movements("value"))

    def exclusive(path: str, query: dict[str, str]) -> Reply:
        end = str(int(query.get("end_timestamp", 1)) - 3000)
        return TronscanLike(many, 60)(path, {**query, "end_timestamp": end})

    monkeypatch.setattr(tronscan, "WINDOW", 60)
    with opened(exclusive) as (explorer, _, _), pytest.raises(DecodeError, match="halves"):
        answer_of(explorer, movements("value"))


def test_the_same_page_for_ever_is_named(many: Ledger) -> None:
    def stuck(path: str, query: dict[str, str]) -> Reply:
        return TronscanLike(many)(path, {**query, "start": "0"})

    with opened(stuck) as (explorer, _, _), pytest.raises(DecodeError, match="one before it again"):
        answer_of(explorer, movements("token"))


def test_a_list_and_a_count_that_lie_together_cannot_be_told(many: Ledger) -> None:
    def fewer(_: str, page: Row) -> Row:
        return page | {"total": 40, "rangeTotal": 40, "data": page["data"][:40]}

    with opened(TronscanLike(many, change=fewer)) as (explorer, _, _):
        found = answer_of(explorer, movements("value"))
        assert not found.capped and len(found.rows) < len(many.truth("value")), "only a balance shows it"


def test_limits_are_waited_for_and_the_key_is_never_shown(many: Ledger) -> None:
    tries = []

    def limited(path: str, query: dict[str, str]) -> Reply:
        tries.append(path)
        return TronscanLike(many)(path, query) if len(tries) % 2 == 0 else (429, {"Error": KEY})

    with opened(limited) as (explorer, _, _):
        assert plain(answer_of(explorer, movements("value")).rows) == many.truth("value")
    for status in (401, 403, 429, 400):
        with opened(lambda *_, status=status: (status, {"Error": "bad " + KEY})) as (explorer, kept, _):
            with pytest.raises((UsageError, DecodeError)) as caught:
                answer_of(explorer, movements("value"))
            assert KEY not in str(caught.value) and kept == []


@pytest.mark.parametrize("body", [b"<!doctype html><p>hi", b'{"data":[', b"7", b'{"data":[1]}', b"\xff"])
def test_what_is_no_answer_is_named(body: bytes) -> None:
    with opened(lambda *_: (200, body)) as (explorer, _, server):
        with pytest.raises(DecodeError) as caught:
            answer_of(explorer, movements("token"))
        assert server.url in str(caught.value)


_OF_ASKED = f"address={to_base58(ASKED)}"
_REQUESTS = [
    f"/api/transaction?{_OF_ASKED}&limit=50", f"/api/token_trc20/transfers?limit=50&related{_OF_ASKED.title()}",
    f"/api/internal-transaction?{_OF_ASKED}#first=5", f"/api/account?{_OF_ASKED}#asset=_",
    "/api/block?limit=1&sort=-number&start=0", f"/api/transaction-info?hash={'11' * 32}",
    f"/api/transfer?{_OF_ASKED}", f"/api/token_trc20/transfers?relatedAddress={to_base58(ASKED)}",
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


@given(st.sampled_from([0, 2, 6, 7]), st.data())
def test_reading_odd_fields_raises_nothing_but_its_error(which: int, data: st.DataObject) -> None:
    forms = TronscanLike(ledger(34, 30, 20))
    path = _REQUESTS[which].partition("?")[0]
    listed = [row for one in forms.ledger.sent for row in forms.rows(path, one, {})]
    row = listed[data.draw(st.integers(0, len(listed) - 1))]
    field = data.draw(st.sampled_from(sorted(row)))
    value = data.draw(_LEAVES | st.lists(_LEAVES) | st.dictionaries(st.text(), _LEAVES))
    name = "token_transfers" if which == 7 else "data"
    block = {"data": [{"number": 10**6, "timestamp": START * 2}]}
    page = {name: [row | {field: value}], "total": 1, "rangeTotal": 1}
    pages = [block, page] if which != 2 else [block, {"data": [{"number": 5, "timestamp": START}]}, page]
    with suppress(DecodeError):
        list(read(_REQUESTS[which], json.dumps([json.dumps(one) for one in pages]).encode()))
