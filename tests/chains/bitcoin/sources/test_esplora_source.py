"""Esplora's API asked: every question, pages put together, and servers that misbehave."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from remote_servers import HttpPlay, Kept, listening
from told_chain import SCRIPT, SCRIPT_HASH, chain, esplora, shown

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.sources import told
from calibar.chains.bitcoin.sources.esplora import Esplora, read
from calibar.errors import CalibarError, DecodeError, UsageError

CHAIN = chain()
FIRST = CHAIN.history[0][0]
SPENDER = bytes.fromhex("0f" * 32)
UNKNOWN = bytes(31) + b"\x01"
HISTORY = f"/scripthash/{SCRIPT_HASH.hex()}/txs/chain"
ANSWERED: dict[told.Question, told.Told] = {
    told.TipQuestion(): told.Tip(39, CHAIN.headers[39]),
    told.HeadersQuestion(0, 1): told.Headers(0, CHAIN.headers[0]),
    told.HeadersQuestion(5, 23): told.Headers(5, b"".join(CHAIN.headers[5:28])),
    told.HeadersQuestion(30, 3000): told.Headers(30, b"".join(CHAIN.headers[30:])),
    told.HeadersQuestion(50, 10): told.Headers(50, b""),
    told.RawQuestion(FIRST): told.Raw(CHAIN.raws[FIRST]),
    told.PlaceQuestion(FIRST, None): told.Place(FIRST, 7, 1, (bytes.fromhex("ab" * 32),)),
    told.HistoryQuestion(SCRIPT, 60): told.History(SCRIPT_HASH, tuple(CHAIN.history)),
    told.BalanceQuestion(SCRIPT): told.Balance(SCRIPT_HASH, 500, -100),
    told.SpenderQuestion(told.Outpoint(FIRST, 0), SCRIPT): told.Spender(told.Outpoint(FIRST, 0), None, None),
    told.SpenderQuestion(told.Outpoint(FIRST, 1), SCRIPT): told.Spender(told.Outpoint(FIRST, 1), SPENDER, 9),
    told.SpenderQuestion(told.Outpoint(FIRST, 2), SCRIPT): told.Spender(told.Outpoint(FIRST, 2), SPENDER, 0),
}
Answer = bytes | tuple[int, bytes, dict[str, str]] | None


@contextmanager
def asking(answer: Callable[[str], Answer], **options: Any) -> Iterator[tuple[Esplora, Kept, HttpPlay]]:
    play, kept = HttpPlay(answer), Kept()
    with listening(play) as port:
        server = Esplora(f"http://127.0.0.1:{port}/api", CHAIN.network, kept, **({"sleep": lambda _: None} | options))
        try:
            yield server, kept, play
        finally:
            server.close()


def instead(path: str, answer: Answer) -> Callable[[str], Answer]:
    usual = esplora(CHAIN)
    return lambda asked: answer if asked == "/api" + path else usual(asked)


def test_every_question_is_answered() -> None:
    with asking(esplora(CHAIN)) as (server, _, _):
        assert dict(server.ask([*ANSWERED])) == ANSWERED


def test_what_was_kept_tells_what_was_told() -> None:
    with asking(esplora(CHAIN)) as (server, kept, _):
        answers = [answer for _, answer in server.ask([*ANSWERED, told.RawQuestion(UNKNOWN)])]
    again = [one for exchange in kept for one in read(exchange.request, exchange.response)]
    headers = {one.first + at: one.data[80 * at : 80 * at + 80] for one in again if isinstance(one, told.Headers)
               for at in range(len(one.data) // 80)}  # fmt: skip
    for answer in answers:
        if isinstance(answer, told.Headers):
            each = [headers[answer.first + at] for at in range(len(answer.data) // 80)]
            assert b"".join(each) == answer.data
        else:
            assert answer in again or isinstance(answer, told.Refusal)
    assert {exchange.place for exchange in kept} == {server.place} and {exchange.kind for exchange in kept} == {
        "esplora"
    }


def test_a_history_is_kept_once_and_whole() -> None:
    with asking(esplora(CHAIN)) as (server, kept, play):
        assert list(server.ask([told.HistoryQuestion(SCRIPT, 60)])) == [
            (told.HistoryQuestion(SCRIPT, 60), told.History(SCRIPT_HASH, tuple(CHAIN.history)))
        ]
    whole = [exchange for exchange in kept if exchange.request == f"GET {HISTORY}"]
    assert len(whole) == 1 and [len(page) for page in json.loads(whole[0].response)] == [25, 25, 10]
    first = esplora(CHAIN)(HISTORY)
    assert isinstance(first, bytes) and first in whole[0].response
    assert play.asked[-2].endswith("/" + shown(CHAIN.history[-25][0]))


@pytest.mark.parametrize(("a_page", "requests"), [(10, 7), (25, 3), (50, 2), (100, 2)])
def test_a_history_is_whole_whatever_the_size_of_a_page(a_page: int, requests: int) -> None:
    with asking(esplora(CHAIN, a_page)) as (server, _, play):
        assert dict(server.ask([told.HistoryQuestion(SCRIPT, 60)])) == {
            told.HistoryQuestion(SCRIPT, 60): told.History(SCRIPT_HASH, tuple(CHAIN.history))
        }
    assert sum("/txs/chain" in path for path in play.asked) == requests


def test_a_short_history_and_none_need_one_request() -> None:
    for entries in (0, 9):
        small = chain(entries=entries)
        with asking(esplora(small)) as (server, _, play):
            answers = list(server.ask([told.HistoryQuestion(SCRIPT, 60)]))
        assert [answer for _, answer in answers] == [told.History(SCRIPT_HASH, tuple(small.history))]
        assert sum("/txs/chain" in path for path in play.asked) == 1


@pytest.mark.parametrize("counts", [True, False])
def test_a_longer_history_than_wanted_is_refused_before_it_is_fetched(counts: bool) -> None:
    usual, count = esplora(CHAIN), f"/api/scripthash/{SCRIPT_HASH.hex()}"
    with asking(lambda path: (404, b"", {}) if path == count and not counts else usual(path)) as (server, _, play):
        (answer,) = (answer for _, answer in server.ask([told.HistoryQuestion(SCRIPT, 30)]))
    assert isinstance(answer, told.Refusal) and answer.too_much
    assert sum("/txs/chain" in path for path in play.asked) == (1 if counts else 2)


@pytest.mark.parametrize(
    ("answer", "why", "too_much"),
    [
        ((404, b"Transaction\n\x1b[1mnot found", {}), "Transaction [1mnot found", False),
        ((400, b"Too many history entries", {}), "Too many history entries", True),
        ((404, b"", {}), "it answers HTTP 404", False),
        ((400, b"\xff" * 5000, {}), "\ufffd" * 200, False),
    ],
)
def test_a_refusal_says_why_and_is_kept(answer: Answer, why: str, too_much: bool) -> None:
    with asking(instead(HISTORY, answer)) as (server, kept, _):
        assert [one for _, one in server.ask([told.HistoryQuestion(SCRIPT, 9)])] == [told.Refusal(why, too_much)]
    assert isinstance(answer, tuple) and kept[0].request == f"GET {HISTORY} ({answer[0]})"
    assert read(kept[0].request, kept[0].response) == ()


def test_another_chain_is_refused() -> None:
    with listening(HttpPlay(esplora(CHAIN))) as port:
        server = Esplora(f"http://127.0.0.1:{port}", NETWORKS["mainnet"], Kept())
        with pytest.raises(UsageError, match=f"another chain than mainnet: its first block is {CHAIN.network.genesis}"):
            list(server.ask([told.TipQuestion()]))
        server.close()


def entry(number: int, **status: object) -> dict[str, object]:
    return {"txid": sha256(str(number).encode()).hexdigest(), "status": {"confirmed": True, "block_height": 5} | status}


def blocks(**change: object) -> bytes:
    listed = json.loads(esplora(CHAIN)("/blocks"))  # type: ignore[arg-type]
    listed[3] |= change
    return json.dumps(listed).encode()


FIRST_COIN = told.Outpoint(FIRST, 0)
RAW, OUT = f"/tx/{shown(FIRST)}/raw", f"/tx/{shown(FIRST)}/outspend/0"
BRANCH, SCRIPT_PATH = f"/tx/{shown(FIRST)}/merkle-proof", f"/scripthash/{SCRIPT_HASH.hex()}"


@pytest.mark.parametrize(
    ("question", "path", "body", "words"),
    [
        (told.RawQuestion(FIRST), RAW, b"Transaction not found", "an answer of 21 bytes is no transaction"),
        (told.RawQuestion(FIRST), RAW, b"<!doctype html><title>Explorer</title>" * 3, "a web page"),
        (told.RawQuestion(FIRST), RAW, b"x" * 4_000_001, "over 4,000,000 bytes"),
        (told.SpenderQuestion(FIRST_COIN, b""), OUT, b"[]", "is not an object"),
        (told.SpenderQuestion(FIRST_COIN, b""), OUT, b'{"spent": 1}', "whether it is spent"),
        (told.SpenderQuestion(FIRST_COIN, b""), OUT, b'{"spent": true}', "the spender's txid"),
        (told.SpenderQuestion(FIRST_COIN, b""), OUT, b'{"spent": true, "txid": "' + b"ab" * 32 + b'"}', "status"),
        (told.PlaceQuestion(FIRST, 7), BRANCH, b'{"block_height": 1, "merkle": ["ab"], "pos": 0}', "merkle branch"),
        (told.PlaceQuestion(FIRST, 7), BRANCH, b'{"block_height": 1, "merkle": [], "pos": 1}', "the position"),
        (told.PlaceQuestion(FIRST, 7), BRANCH, b'{"block_height": true, "merkle": [], "pos": 0}', "height"),
        (told.PlaceQuestion(FIRST, 7), BRANCH, b"[" * 100_000, "nests too deeply"),
        (told.PlaceQuestion(FIRST, 7), BRANCH, b'{"block_height": NaN}', "not JSON"),
        (told.BalanceQuestion(SCRIPT), SCRIPT_PATH, b'{"scripthash": "00"}', "another script"),
        (told.BalanceQuestion(SCRIPT), SCRIPT_PATH, b'{"chain_stats": {"funded_txo_sum": 1.5}}', "funded_txo_sum"),
        (told.TipQuestion(), "/blocks", b"[]", "0 blocks"),
        (told.TipQuestion(), "/blocks", blocks(nonce=77), "do not hash to its id"),
        (told.TipQuestion(), "/blocks", blocks(height=3), "do not descend"),
        (told.TipQuestion(), "/blocks", blocks(version=2**40), "a block's version"),
        (told.TipQuestion(), "/blocks", blocks(previousblockhash=None), "previous block"),
        (told.HistoryQuestion(SCRIPT, 90), HISTORY, b'{"a": "\\u001b[2J"}', "is not a list"),
        (told.HistoryQuestion(SCRIPT, 90), HISTORY, b'[1], [2]', "not JSON"),
        (told.HistoryQuestion(SCRIPT, 90), HISTORY, json.dumps([entry(1), entry(1)]).encode(), "twice"),
        (told.HistoryQuestion(SCRIPT, 90), HISTORY, json.dumps([entry(1, confirmed=False)]).encode(), "in none"),
        (told.HistoryQuestion(SCRIPT, 90), HISTORY, json.dumps([entry(1, block_height=True)]).encode(), "height"),
        (told.HistoryQuestion(SCRIPT, 99), HISTORY, json.dumps([entry(n) for n in range(1001)]).encode(), "over 1000"),
    ],
)  # fmt: skip
def test_what_is_no_answer_is_refused(question: told.Question, path: str, body: bytes, words: str) -> None:
    with asking(instead(path, body)) as (server, _, _), pytest.raises(DecodeError, match=words) as caught:
        list(server.ask([question]))
    assert server.place in str(caught.value) and str(caught.value).isprintable()


def test_a_page_that_comes_again_is_refused() -> None:
    page = json.dumps([entry(n) for n in range(25)]).encode()
    usual = esplora(CHAIN)
    with (
        asking(lambda path: page if "/txs/chain" in path else usual(path)) as (server, _, _),
        pytest.raises(DecodeError, match="name a transaction twice"),
    ):
        list(server.ask([told.HistoryQuestion(SCRIPT, 10_000)]))


def test_other_blocks_than_asked_for_are_refused() -> None:
    with (
        asking(instead("/blocks/20", esplora(CHAIN)("/blocks/9"))) as (server, _, _),
        pytest.raises(DecodeError, match="other blocks than were asked for"),
    ):
        list(server.ask([told.HeadersQuestion(15, 6)]))


@pytest.mark.parametrize(
    ("answer", "words", "kind"),
    [
        ((302, b"", {"Location": "/hush"}), "it sends elsewhere", UsageError),
        ((429, b"", {"Retry-After": "500"}), "it limits how much it is asked", UsageError),
        (None, "it cut the connection", UsageError),
        ((404, b"gone", {}), "does not say which chain", UsageError),
        (b"<html>An explorer</html>", "a web page", DecodeError),
        (b"\xff\xfe", "is not text", DecodeError),
        (b"yes", "the first block's hash is not 32 bytes", DecodeError),
    ],
)
def test_a_server_of_another_kind_is_refused(answer: Answer, words: str, kind: type[CalibarError]) -> None:
    with asking(lambda _: answer) as (server, kept, play), pytest.raises(kind, match=words):
        list(server.ask([told.TipQuestion()]))
    assert not kept and len(play.asked) < 12


def test_one_failure_among_many_ends_soon_and_the_server_can_be_asked_again() -> None:
    bad = instead(RAW, b"short")
    with asking(bad) as (server, _, _):
        with pytest.raises(DecodeError):
            list(server.ask([told.RawQuestion(txid) for txid, _ in CHAIN.history]))
        rest = [told.RawQuestion(txid) for txid, _ in CHAIN.history[1:]]
        assert dict(server.ask(rest)) == {question: told.Raw(CHAIN.raws[question.txid]) for question in rest}
