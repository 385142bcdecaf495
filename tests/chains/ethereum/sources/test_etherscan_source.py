"""Etherscan: whole histories through its pages and caps, or what is said to be missing; each lie is named."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from etherscan_opened import answer_of, opened
from evm_explorers import ASKED, KEY, USDT, EtherscanLike, Ledger, Reply, Row, ledger, plain
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.ethereum.sources import etherscan
from calibar.chains.ethereum.sources.etherscan import Etherscan, read
from calibar.chains.remote import transfers_told as told
from calibar.errors import DecodeError, UsageError


def movements(
    what: told.Class, first: int = 0, most: int = 10**6, asset: told.Asset | None = None
) -> told.MovementsQuestion:
    return told.MovementsQuestion(ASKED, what, most, first, asset)


@pytest.fixture(scope="module")
def many() -> Ledger:
    return ledger(1, 700, 400)


@pytest.mark.parametrize("what", ["value", "internal", "token"])
@pytest.mark.parametrize("first", [0, 200])
def test_histories_longer_than_the_window_are_whole(
    many: Ledger, what: told.Class, first: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(etherscan, "WINDOW", 60)
    with opened(EtherscanLike(many, 60), page=20) as (explorer, kept, server):
        found = answer_of(explorer, movements(what, first))
        assert plain(found.rows) == many.truth(what, first)
        assert (found.capped, found.upto, found.first) == (False, None, first)
        assert len(server.asked) > 10
        (exchange,) = kept
        assert list(read(exchange.request, exchange.response)) == [found]


def test_a_block_that_fills_the_window_is_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etherscan, "WINDOW", 60)
    crowded = ledger(2, 300, 60)
    for one in crowded.sent[100:200]:
        one.block = crowded.sent[100].block
    full = crowded.sent[100].block
    crowded.sent.sort(key=lambda one: one.block)
    with opened(EtherscanLike(crowded, 60), page=20) as (explorer, kept, _):
        found = answer_of(explorer, movements("value"))
        assert found.capped and found.upto == full - 1
        assert plain(found.rows) == [row for row in crowded.truth("value") if row[6] < full]
        assert list(read(kept[0].request, kept[0].response)) == [found]


def test_one_token_alone_can_be_asked_for(many: Ledger) -> None:
    with opened(EtherscanLike(many)) as (explorer, kept, _):
        found = answer_of(explorer, movements("token", asset=told.Asset(USDT)))
        assert plain(found.rows) == [row for row in many.truth("token") if row[2] == USDT]
        assert found.asset == told.Asset(USDT)
        said = found.rows[0].said
        assert len(said.name) == 64 and said.name.isprintable() and (said.symbol, said.decimals) == ("USDT", 6)
        assert list(read(kept[0].request, kept[0].response)) == [found]


def test_newest_and_holdings(many: Ledger) -> None:
    questions: list[told.Question] = [
        told.NewestQuestion(), told.HoldingQuestion(ASKED, told.NATIVE), told.HoldingQuestion(ASKED, told.Asset(USDT)),
    ]  # fmt: skip
    with opened(EtherscanLike(many)) as (explorer, kept, _):
        answers = [answer for _, answer in explorer.ask(questions)]
        assert answers == [
            told.Newest(many.height), told.Holding(ASKED, told.NATIVE, 2**200 + 1),
            told.Holding(ASKED, told.Asset(USDT), 135499),
        ]  # fmt: skip
        assert [one for exchange in kept for one in read(exchange.request, exchange.response)] == answers
        assert json.loads(kept[1].response)["result"] == str(2**200 + 1), "a single answer is kept as received"
        assert explorer.chain == "ethereum:1"


def test_an_address_without_transfers_has_none() -> None:
    empty = Ledger(ledger(3, 1, 1).sent)
    with opened(EtherscanLike(empty, change=lambda *_: [])) as (explorer, _, _):
        assert answer_of(explorer, movements("token")).rows == ()


def test_whole_blocks_are_refused_without_asking(many: Ledger) -> None:
    with opened(EtherscanLike(many)) as (explorer, kept, server):
        assert answer_of(explorer, told.BlockQuestion(5)) == Refusal("it gives no whole blocks; name a node too")
        assert (kept, server.asked) == ([], [])


def test_a_service_is_refused(many: Ledger) -> None:
    with opened(EtherscanLike(many)) as (explorer, kept, server):
        answer = answer_of(explorer, movements("value", most=30))
        assert isinstance(answer, Refusal) and answer.too_much
        assert len(server.asked) == 2
        assert [list(read(*exchange[2:])) for exchange in kept] == [[told.TooMany(movements("value", most=30))]]


def _set(name: str, value: object) -> Callable[[list[Row]], None]:
    return lambda rows: rows[3].update({name: value})


LIES: dict[str, tuple[str, Callable[[list[Row]], object], str]] = {
    "another's row": (
        "value",
        lambda rows: rows[3].update({"from": "0x" + "1" * 40, "to": "0x" + "2" * 40}),
        "another",
    ),
    "too early": ("value", _set("blockNumber", "9"), "not between"),
    "out of order": ("value", lambda rows: rows.reverse(), "stands after"),
    "twice": ("value", lambda rows: rows.insert(3, dict(rows[3])), "twice"),
    "a float": ("value", _set("value", 1.5), "whole number"),
    "an exponent": ("value", _set("value", "1e18"), "whole number"),
    "over 256 bits": ("token", _set("value", str(2**256)), "whole number"),
    "below zero": ("value", _set("gasPrice", "-5"), "whole number"),
    "bad checksum": ("token", _set("contractAddress", "0x5AAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"), "checksum"),
    "short hash": ("internal", _set("hash", "0x1234"), "hash"),
    "a row that is none": ("value", lambda rows: rows.__setitem__(3, 7), "object"),  # type: ignore[call-overload]
    "odd flag": ("value", _set("isError", "maybe"), "true or false"),
}


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_named(lie: str) -> None:
    what, change, words = LIES[lie]
    few = ledger(4, 14, 200)
    if what == "internal":
        few = ledger(4, 30, 200)

    def changed(_: str, rows: list[Row]) -> list[Row]:
        change(rows)
        return rows

    with opened(EtherscanLike(few, change=changed), page=200) as (explorer, kept, server):
        with pytest.raises(DecodeError, match=words) as caught:
            answer_of(explorer, movements(what, first=10))  # type: ignore[arg-type]
        assert server.url in str(caught.value) and "\n" not in str(caught.value)
        with pytest.raises(DecodeError, match=words):
            list(read(kept[0].request, kept[0].response))


def test_the_same_page_for_ever_is_named() -> None:
    stuck = ledger(5, 50, 2)
    for one in stuck.sent:
        one.block = 10
    with (
        opened(lambda path, query: EtherscanLike(stuck)(path, {**query, "page": "1"}), page=25) as (explorer, _, _),
        pytest.raises(DecodeError, match="page 2 is page 1 again"),
    ):
        answer_of(explorer, movements("value"))


def test_more_rows_than_asked_for_are_named(many: Ledger) -> None:
    with (
        opened(lambda path, query: EtherscanLike(many)(path, {**query, "offset": "30"})) as (explorer, _, _),
        pytest.raises(DecodeError, match="30 rows where 25"),
    ):
        answer_of(explorer, movements("value"))


def test_a_block_that_loses_rows_is_named(many: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etherscan, "WINDOW", 60)

    def forgets(path: str, query: dict[str, str]) -> Reply:
        status, body = EtherscanLike(many, 60)(path, query)
        if query["startblock"] != "0" and query["page"] == "1":
            body["result"] = body["result"][1:] + body["result"][-1:]  # type: ignore[index]
        return status, body

    with opened(forgets, page=20) as (explorer, _, _), pytest.raises(DecodeError, match="does not have the rows"):
        answer_of(explorer, movements("value"))


def test_a_short_page_that_is_not_the_last_cannot_be_told(many: Ledger) -> None:
    with opened(EtherscanLike(many, change=lambda _, rows: rows[:-1])) as (explorer, _, _):
        found = answer_of(explorer, movements("value"))
        assert not found.capped and len(found.rows) < len(many.truth("value")), "only a balance shows it"


def test_rate_limits_are_waited_for(many: Ledger) -> None:
    tries = []

    def limited(path: str, query: dict[str, str]) -> Reply:
        tries.append(query)
        if len(tries) % 3:
            return 200, {"status": "0", "message": "NOTOK", "result": "Max calls per sec rate limit reached (3/sec)"}
        return EtherscanLike(many)(path, query)

    with opened(limited, page=1000) as (explorer, kept, _):
        assert plain(answer_of(explorer, movements("value")).rows) == many.truth("value")
        assert len(kept) == 1

    def always(path: str, query: dict[str, str]) -> Reply:
        return 200, {"status": "0", "message": "NOTOK", "result": "Max rate limit reached"}

    with opened(always) as (explorer, kept, _), pytest.raises(UsageError, match="limits how much"):
        answer_of(explorer, movements("value"))
    assert kept == []


@pytest.mark.parametrize(
    "words", ["Invalid API Key", "Missing/Invalid API Key", "Max daily rate limit reached", f"no {KEY} here, key"]
)
def test_refusals_for_good_never_show_the_key(words: str) -> None:
    answer = {"status": "0", "message": "NOTOK", "result": words}
    with opened(lambda *_: (200, answer)) as (explorer, kept, _):
        with pytest.raises((UsageError, DecodeError)) as caught:
            answer_of(explorer, movements("value"))
        assert KEY not in str(caught.value) and KEY not in repr(explorer) and kept == []


def test_the_key_stands_in_no_message(many: Ledger) -> None:
    def echo(path: str, query: dict[str, str]) -> Reply:
        return 200, {"status": "1", "message": "OK", "result": [{"blockNumber": query["apikey"]}]}

    with opened(echo) as (explorer, kept, server):
        with pytest.raises(DecodeError, match="repeats the key") as caught:
            answer_of(explorer, movements("value"))
        assert KEY not in str(caught.value) and kept == [] and KEY in server.asked[0]
    with pytest.raises(UsageError) as bad:
        Etherscan("https://api.etherscan.io/v2/api", lambda _: None, key=KEY + " \r\nX: y")
    assert KEY not in str(bad.value)
    with pytest.raises(UsageError, match="apart from the address"):
        Etherscan("https://api.etherscan.io/v2/api?apikey=" + KEY, lambda _: None)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"<html>hello</html>", "web page"), (b'{"status":"1","result":[', "not JSON"), (b"[1]", "object"),
        (b'{"status":"1","result":{"a":1}}', "list"), (b"[" * 100_000, "deeply|not JSON"), (b"\xff\xfe", "not JSON"),
        (b'{"status":"1","message":"OK"}', "list"), (b'{"result":"0x1"}', "refuses"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_named(body: bytes, words: str) -> None:
    with opened(lambda *_: (200, body)) as (explorer, _, _), pytest.raises(DecodeError, match=words):
        answer_of(explorer, movements("value"))


_REQUESTS = [
    "/api?action=txlist&address=0x" + ASKED.hex() + "&chainid=1&endblock=999999999&module=account&offset=10&page=1"
    "&sort=asc&startblock=0",
    "/api?action=eth_blockNumber&chainid=1&module=proxy",
    "/api?action=eth_getTransactionByHash&chainid=1&module=proxy&txhash=0x" + "11" * 32,
    "/api?action=balance&address=0x" + ASKED.hex() + "&chainid=1&module=account&tag=latest",
]


@given(st.sampled_from(_REQUESTS) | st.text(), st.binary() | st.text().map(str.encode))
def test_reading_raises_nothing_but_its_error(request_: str, response: bytes) -> None:
    for body in (response, json.dumps([response.decode(errors="replace")]).encode()):
        try:
            list(read(request_, body))
        except DecodeError as error:
            assert "\n" not in str(error)


def test_a_failed_creation_without_a_contract_has_its_fee() -> None:
    one = ledger(4, 14, 200)

    def failed(_: str, rows: list[Row]) -> list[Row]:
        rows[0] |= {"from": "0x" + ASKED.hex(), "to": "", "contractAddress": "", "isError": "1", "value": "5"}
        return rows[:1]

    with opened(EtherscanLike(one, change=failed)) as (explorer, _, _):
        found = answer_of(explorer, movements("value"))
        assert [(row.kind, row.recipient) for row in found.rows] == [("fee", None)]


def test_the_chain_s_first_coins_come_from_nobody() -> None:
    row = {"blockNumber": "0", "timeStamp": "1438269973", "hash": "GENESIS_abc", "from": "GENESIS", "value": "77"}
    with opened(lambda *_: (200, {"status": "1", "message": "OK", "result": [row]})) as (explorer, _, _):
        (found,) = answer_of(explorer, movements("value")).rows
        assert (found.sender, found.recipient, found.amount, found.height) == (None, ASKED, 77, 0)
