"""TronGrid: histories through its fingerprints; pages that go round or do not end are named."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
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
    TronGridLike,
    ledger,
    plain,
    serving,
    to_base58,
)

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.remote import transfers_told as told
from calibar.chains.tron import protobuf
from calibar.chains.tron.address import with_prefix
from calibar.chains.tron.sources.trongrid import TronGrid, read
from calibar.errors import DecodeError, UsageError


@contextmanager
def opened(
    answer: Callable[[str, dict[str, str]], Reply], key: str | None = KEY
) -> Iterator[tuple[TronGrid, list[Exchange], Server]]:
    kept: list[Exchange] = []
    with serving(answer) as server:
        explorer: told.Explorer = TronGrid(server.url, kept.append, key=key, patience=8.0, sleep=lambda _: None)
        assert isinstance(explorer, TronGrid)
        try:
            yield explorer, kept, server
        finally:
            explorer.close()
        assert not any(KEY in exchange.request + exchange.place for exchange in kept)
        assert server.keys <= {key}


def answer_of(explorer: TronGrid, question: told.Question) -> Any:
    ((_, answer),) = explorer.ask([question])
    return answer


def movements(
    what: told.Class, first: int = 0, most: int = 10**6, asset: told.Asset | None = None
) -> told.MovementsQuestion:
    return told.MovementsQuestion(ASKED, what, most, first, asset)


@pytest.fixture(scope="module")
def many() -> Ledger:
    return ledger(21, 300, 200)


@pytest.mark.parametrize("what", ["value", "internal", "token", "trc10"])
@pytest.mark.parametrize("first", [0, 100])
def test_histories_are_what_its_pages_have(many: Ledger, what: told.Class, first: int) -> None:
    with opened(TronGridLike(many, 20)) as (explorer, kept, server):
        found = answer_of(explorer, movements(what, first))
        assert plain(found.rows) == many.truth(what, first)
        assert (found.capped, found.upto, found.first) == (False, None, first)
        assert list(read(kept[0].request, kept[0].response)) == [found] and len(kept) == 1
        assert not any(KEY in path for path in server.asked)
        if what == "token":
            assert {(row.height, row.position) for row in found.rows} == {(None, None)}


def test_one_token_newest_and_holdings(many: Ledger) -> None:
    with opened(TronGridLike(many)) as (explorer, kept, _):
        found = answer_of(explorer, movements("token", asset=told.Asset(USDT)))
        assert plain(found.rows) == [row for row in many.truth("token") if row[2] == USDT]
        questions: list[told.Question] = [
            told.NewestQuestion(), told.HoldingQuestion(ASKED, told.NATIVE),
            told.HoldingQuestion(ASKED, told.Asset(USDT)), told.HoldingQuestion(ASKED, told.Asset(ASKED)),
            told.HoldingQuestion(ASKED, told.Asset(number=NUMBER)),
        ]  # fmt: skip
        answers = [answer for _, answer in explorer.ask(questions)]
        assert answers == [
            told.Newest(many.height, many.height.to_bytes(32)), told.Holding(ASKED, told.NATIVE, 123),
            told.Holding(ASKED, told.Asset(USDT), 2**200), told.Holding(ASKED, told.Asset(ASKED), 0),
            told.Holding(ASKED, told.Asset(number=NUMBER), 55),
        ]  # fmt: skip
        again = [one for exchange in kept for one in read(exchange.request, exchange.response)]
        assert again == [found, *answers] and explorer.chain == "tron:mainnet"


def test_tokens_of_an_account_never_activated_are_not_told() -> None:
    with opened(lambda *_: (200, {"success": True, "data": [], "meta": {}})) as (explorer, kept, _):
        assert isinstance(answer_of(explorer, told.HoldingQuestion(ASKED, told.Asset(USDT))), Refusal)
        assert answer_of(explorer, told.HoldingQuestion(ASKED, told.NATIVE)).amount == 0
        assert list(read(kept[0].request, kept[0].response)) == []


def test_receivers_of_resources_are_not_strangers() -> None:
    order = {"owner_address": "41" + USDD.hex(), "receiver_address": "41" + ASKED.hex(), "balance": 5}
    row = {
        "txID": "11" * 32, "blockNumber": 5, "block_timestamp": START, "ret": [{"contractRet": "SUCCESS"}],
        "raw_data": {"contract": [{"type": "DelegateResourceContract", "parameter": {"value": order}}]},
    }  # fmt: skip
    with opened(lambda *_: (200, {"success": True, "data": [row], "meta": {}})) as (explorer, _, _):
        assert answer_of(explorer, movements("value")).rows == ()


def test_whole_blocks_are_refused_without_asking(many: Ledger) -> None:
    with opened(TronGridLike(many)) as (explorer, kept, server):
        assert answer_of(explorer, told.BlockQuestion(5)) == Refusal("it gives no whole blocks; name a node too")
        assert (kept, server.asked) == ([], [])


def test_a_service_is_refused(many: Ledger) -> None:
    with opened(TronGridLike(many, 20)) as (explorer, kept, server):
        answer = answer_of(explorer, movements("value", most=30))
        assert isinstance(answer, Refusal) and answer.too_much and len(server.asked) < 6
        assert list(read(kept[0].request, kept[0].response)) == [told.TooMany(movements("value", most=30))]


@pytest.mark.parametrize("body", [b"nothing at all", b"[]", b'["{}"]', b'["{\\"data\\": [], \\"success\\": true}"]'])
def test_that_there_were_too_many_must_show_in_the_pages(many: Ledger, body: bytes) -> None:
    with opened(TronGridLike(many, 20)) as (explorer, kept, _):
        answer_of(explorer, movements("value", most=30))
    (exchange,) = kept
    assert list(read(exchange.request, exchange.response)) == [told.TooMany(movements("value", most=30))]
    for request, response in ((exchange.request, body), (exchange.request.replace("30)", "3000)"), exchange.response)):
        with pytest.raises(DecodeError):
            list(read(request, response))


def _meta(value: object) -> Callable[[Row], None]:
    return lambda page: page.update(meta=value)


def _set(name: str, value: object) -> Callable[[Row], None]:
    return lambda page: page["data"][3].update({name: value})


STRANGER = to_base58(USDD)
LIES: dict[str, tuple[told.Class, Callable[[Row], object], str]] = {
    "goes round": ("value", _meta({"fingerprint": "f20"}), "go round|one before it again|before that of|twice"),
    "does not end": ("value", lambda page: page.update(data=[], meta={"fingerprint": "x"}), "do not end"),
    "odd cursor": ("value", _meta({"fingerprint": "a b"}), "cannot be asked for"),
    "no fingerprint": ("value", _meta({"links": {"next": "x"}}), "without its fingerprint"),
    "no success": ("value", lambda page: page.update(success=False), "refuses"),
    "no list": ("token", lambda page: page.update(data=None), "list"),
    "another's": ("token", lambda page: page["data"][3].update({"from": STRANGER, "to": STRANGER}), "another address"),
    "another's order": ("value", _set("raw_data", {"contract": [{
        "type": "FreezeBalanceV2Contract", "parameter": {"value": {"owner_address": "41" + USDD.hex()}}}]}), "another"),
    "out of order": ("token", lambda page: page["data"].reverse(), "before that of"),
    "twice": ("value", lambda page: page["data"].insert(3, page["data"][3]), "listed twice"),
    "seconds": ("token", _set("block_timestamp", START // 1000), "milliseconds"),
    "a float": ("token", _set("value", 1.5), "whole number"),
    "an exponent": ("token", _set("value", "1e6"), "whole number"),
    "bad checksum": ("token", _set("from", to_base58(ASKED)[:-1] + "1"), "checksum"),
    "no block": ("value", _set("blockNumber", None), "block"),
    "two orders": ("value", lambda page: page["data"][3]["raw_data"]["contract"].append({}), "TRON allows one"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_named(lie: str) -> None:
    what, change, words = LIES[lie]

    def changed(_: str, page: Row) -> Row:
        change(page)
        return page

    with opened(TronGridLike(ledger(22, 60, 300), 20, changed)) as (explorer, kept, server):
        with pytest.raises(DecodeError, match=words) as caught:
            answer_of(explorer, movements(what))
        assert server.url in str(caught.value) and "\n" not in str(caught.value)
        with pytest.raises(DecodeError):
            list(read(kept[0].request, kept[0].response))


def test_rows_before_the_first_block_are_named(many: Ledger) -> None:
    def ignores(path: str, query: dict[str, str]) -> Reply:
        return TronGridLike(many)(path, {name: value for name, value in query.items() if name != "min_timestamp"})

    with opened(ignores) as (explorer, _, _), pytest.raises(DecodeError, match="of the first block"):
        answer_of(explorer, movements("token", first=100))


def test_a_cursor_that_comes_again_is_named_whatever_the_rows(many: Ledger) -> None:
    pages = iter(range(0, 200, 20))

    def same(path: str, query: dict[str, str]) -> Reply:
        status, page = TronGridLike(many, 20)(path, {**query, "fingerprint": f"f{next(pages)}"})
        return status, {**page, "meta": {"fingerprint": "again"}}  # type: ignore[dict-item]

    with opened(same) as (explorer, _, _), pytest.raises(DecodeError, match="go round"):
        answer_of(explorer, movements("value"))


def test_missing_rows_cannot_be_told(many: Ledger) -> None:
    def forgets(_: str, page: Row) -> Row:
        return page | {"data": page["data"][1:]}

    with opened(TronGridLike(many, 20, forgets)) as (explorer, _, _):
        found = answer_of(explorer, movements("token"))
        assert not found.capped and len(found.rows) < len(many.truth("token")), "only a balance shows it"


RAW = b"".join(
    (
        protobuf.message_field(
            11,
            protobuf.integer_field(1, 1)
            + protobuf.message_field(
                2,
                protobuf.bytes_field(1, b"type.googleapis.com/protocol.TransferContract")
                + protobuf.bytes_field(
                    2,
                    protobuf.bytes_field(1, with_prefix(ASKED))
                    + protobuf.bytes_field(2, with_prefix(USDT))
                    + protobuf.integer_field(3, 77),
                ),
            ),
        ),
    )
)
TXID = sha256(RAW).digest()
ORDER: Row = {"txID": TXID.hex(), "raw_data_hex": RAW.hex(), "ret": [{"contractRet": "SUCCESS"}], "raw_data": {}}
INFO: Row = {"id": TXID.hex(), "fee": 5, "blockNumber": 9, "blockTimeStamp": START, "receipt": {"net_fee": 5}}


def _node(order: object, info: object) -> Callable[[str, dict[str, str]], Reply]:
    return lambda path, _: (200, info if "info" in path else order)


def test_a_transaction_is_what_its_id_names() -> None:
    with opened(_node(ORDER, INFO)) as (explorer, kept, _):
        found = answer_of(explorer, told.TransactionQuestion(TXID))
        assert [(row.kind, row.sender, row.recipient, row.amount) for row in found.rows] == [
            ("fee", ASKED, None, 5), ("value", ASKED, USDT, 77),
        ]  # fmt: skip
        assert (found.height, found.succeeded, found.rows[0].time) == (9, True, START // 1000)
        assert list(read(kept[0].request, kept[0].response)) == [found]
    with opened(_node(ORDER | {"ret": [{"contractRet": "OUT_OF_ENERGY"}]}, INFO)) as (explorer, _, _):
        found = answer_of(explorer, told.TransactionQuestion(TXID))
        assert [row.kind for row in found.rows] == ["fee"] and not found.succeeded


@pytest.mark.parametrize(
    ("order", "info", "words"),
    [
        (ORDER | {"raw_data_hex": RAW.hex() + "00"}, INFO, "does not hash"),
        (ORDER | {"txID": "11" * 32}, INFO, "another than was asked"),
        (ORDER, INFO | {"id": "11" * 32}, "another transaction"),
        (ORDER, INFO | {"receipt": {"net_fee": 6}}, "whole fee"),
        (ORDER, [1], "object"),
    ],
)
def test_lies_about_a_transaction_are_named(order: object, info: object, words: str) -> None:
    with opened(_node(order, info)) as (explorer, _, _), pytest.raises(DecodeError, match=words):
        answer_of(explorer, told.TransactionQuestion(TXID))


def test_unknown_transactions_are_refused() -> None:
    orders: list[Row] = [{}, ORDER]
    for order in orders:
        with opened(_node(order, {})) as (explorer, kept, _):
            assert isinstance(answer_of(explorer, told.TransactionQuestion(TXID)), Refusal)
            assert list(read(kept[0].request, kept[0].response)) == []


def test_limits_are_waited_for_and_the_key_is_never_shown(many: Ledger) -> None:
    tries = []

    def limited(path: str, query: dict[str, str]) -> Reply:
        tries.append(path)
        return TronGridLike(many)(path, query) if len(tries) % 2 == 0 else (429, {"Error": KEY})

    with opened(limited) as (explorer, _, server):
        assert plain(answer_of(explorer, movements("value")).rows) == many.truth("value")
        assert server.keys == {KEY}
    for status in (401, 403, 429, 400):
        with opened(lambda *_, status=status: (status, {"Error": "bad " + KEY})) as (explorer, kept, _):
            with pytest.raises((UsageError, DecodeError)) as caught:
                answer_of(explorer, movements("value"))
            assert KEY not in str(caught.value) and kept == []


@pytest.mark.parametrize("body", [b"<!doctype html><p>hi", b'{"data":[', b"7", b'{"data":[1],"success":true}', b"\xff"])
def test_what_is_no_answer_is_named(body: bytes) -> None:
    with opened(lambda *_: (200, body)) as (explorer, _, server):
        with pytest.raises(DecodeError) as caught:
            answer_of(explorer, movements("token"))
        assert server.url in str(caught.value)


_LIST = f"/v1/accounts/{to_base58(ASKED)}/transactions"
_REQUESTS = [
    f"{_LIST}?limit=200#class=internal", f"{_LIST}?limit=200#first=5&class=value", f"{_LIST}/trc20?limit=200",
    f"/v1/accounts/{to_base58(ASKED)}#asset=_", "/wallet/getnowblock", f"/wallet/gettransactionbyid?value={'11' * 32}",
    f"/v1/accounts/{to_base58(ASKED)}#asset={to_base58(USDT)}",
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


@given(st.sampled_from([0, 2]), st.data())
def test_reading_odd_fields_raises_nothing_but_its_error(which: int, data: st.DataObject) -> None:
    forms = TronGridLike(ledger(23, 30, 20))
    path, query = _REQUESTS[which].partition("?")[0], {"search_internal": "true"}
    listed = [row for one in forms.ledger.sent for row in forms.rows(path, one, query)]
    row = listed[data.draw(st.integers(0, len(listed) - 1))]
    field = data.draw(st.sampled_from(sorted(row)))
    value = data.draw(_LEAVES | st.lists(_LEAVES) | st.dictionaries(st.text(), _LEAVES))
    page = {"data": [row | {field: value}], "success": True, "meta": {}}
    with suppress(DecodeError):
        list(read(_REQUESTS[which], json.dumps([json.dumps(page)]).encode()))
