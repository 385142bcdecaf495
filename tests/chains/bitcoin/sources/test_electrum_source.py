"""An Electrum server asked: every question, each protocol version, all in flight together."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from remote_servers import Kept, listening, send_line
from told_chain import OTHER, SCRIPT, SCRIPT_HASH, ElectrumPlay, chain, shown

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.sources import told
from calibar.chains.bitcoin.sources.electrum import Electrum, read
from calibar.errors import UsageError

CHAIN = chain()
FIRST = CHAIN.history[0][0]
COIN = told.Outpoint(FIRST, 2)
UNKNOWN = bytes(31) + b"\x01"
ANSWERED: dict[told.Question, told.Told] = {
    told.TipQuestion(): told.Tip(39, CHAIN.headers[39]),
    told.HeadersQuestion(5, 10): told.Headers(5, b"".join(CHAIN.headers[5:15])),
    told.HeadersQuestion(30, 3000): told.Headers(30, b"".join(CHAIN.headers[30:])),
    told.HeadersQuestion(7, 0): told.Headers(7, b""),
    told.RawQuestion(FIRST): told.Raw(CHAIN.raws[FIRST]),
    told.PlaceQuestion(FIRST, 6): told.Place(
        FIRST, 6, 2, (bytes.fromhex("ab" * 31 + "01")[::-1], bytes.fromhex("cd" * 32))
    ),
    told.HistoryQuestion(SCRIPT, 60): told.History(SCRIPT_HASH, tuple(CHAIN.history)),
    told.BalanceQuestion(SCRIPT): told.Balance(SCRIPT_HASH, 5000, -700),
}
REFUSED: dict[told.Question, str] = {
    told.RawQuestion(UNKNOWN): "daemon error: DaemonError({'code': -5, 'message': 'No such [31m transaction'})",
    told.PlaceQuestion(FIRST, None): "only where its height is known",
    told.HistoryQuestion(SCRIPT, 59): "its history has 60 transactions, over 59",
    told.HistoryQuestion(OTHER, 1000): "history too large",
}


@contextmanager
def asking(play: Any, **options: Any) -> Iterator[tuple[Electrum, Kept]]:
    kept = Kept()
    with listening(play) as port:
        server = Electrum(f"tcp://127.0.0.1:{port}", CHAIN.network, kept, **options)
        try:
            yield server, kept
        finally:
            server.close()


@pytest.mark.parametrize("version", ["1.4", "1.4.2", "1.6", "1.7"])
def test_every_question_is_answered(version: str) -> None:
    with asking(ElectrumPlay(CHAIN, version)) as (server, _):
        assert dict(server.ask([*ANSWERED])) == ANSWERED


@pytest.mark.parametrize("version", ["1.4", "1.7"])
def test_a_refusal_says_why_in_one_printable_line(version: str) -> None:
    with asking(ElectrumPlay(CHAIN, version)) as (server, _):
        answers = dict(server.ask([*REFUSED]))
    for question, why in REFUSED.items():
        answer = answers[question]
        assert isinstance(answer, told.Refusal) and why in answer.why and answer.why.isprintable()
        assert answer.too_much == isinstance(question, told.HistoryQuestion)


@pytest.mark.parametrize("version", ["1.4", "1.6", "1.7"])
def test_what_was_kept_tells_what_was_told(version: str) -> None:
    questions = [*ANSWERED, *REFUSED, told.SpenderQuestion(COIN, SCRIPT)]
    with asking(ElectrumPlay(CHAIN, version)) as (server, kept):
        answers = [answer for _, answer in server.ask(questions) if not isinstance(answer, told.Refusal)]
    again = [one for exchange in kept for one in read(exchange.request, exchange.response)]
    assert {exchange.place for exchange in kept} == {server.place} and {exchange.kind for exchange in kept} == {
        "electrum"
    }
    for answer in answers:
        assert answer in again or answer == told.Headers(7, b"")


def test_before_protocol_1_7_a_spender_is_looked_for_in_the_history() -> None:
    with asking(ElectrumPlay(CHAIN, "1.6")) as (server, _):
        assert [answer for _, answer in server.ask([told.SpenderQuestion(COIN, SCRIPT)])] == [
            told.History(SCRIPT_HASH, tuple(CHAIN.history))
        ]


def test_from_protocol_1_7_on_a_spender_is_named() -> None:
    coins = [told.Outpoint(FIRST, output) for output in range(3)]
    with asking(ElectrumPlay(CHAIN, "1.7")) as (server, _):
        answers = dict(server.ask([told.SpenderQuestion(coin, SCRIPT) for coin in coins]))
    assert [answers[told.SpenderQuestion(coin, SCRIPT)] for coin in coins] == [
        told.Refusal("it does not know the coin"),
        told.Spender(coins[1], None, None),
        told.Spender(coins[2], FIRST, 5),
    ]


def test_a_server_without_an_index_of_spenders_tells_the_history_instead() -> None:
    play = ElectrumPlay(CHAIN, "1.7", outpoints=False)
    with asking(play) as (server, _):
        for _ in range(2):
            answers = [answer for _, answer in server.ask([told.SpenderQuestion(COIN, SCRIPT)])]
            assert answers == [told.History(SCRIPT_HASH, tuple(CHAIN.history))]
    assert [method for method, _ in play.asked].count("blockchain.outpoint.get_status") == 1


@pytest.mark.parametrize(("version", "histories"), [("1.6", 2), ("1.7", 2)])
def test_a_script_s_history_is_asked_for_once_for_all_its_coins(version: str, histories: int) -> None:
    coins = [told.Outpoint(txid, 0) for txid, _ in CHAIN.history]
    questions = [told.SpenderQuestion(coin, script) for coin in coins for script in (SCRIPT, b"another")]
    play = ElectrumPlay(CHAIN, version, outpoints=False)
    with asking(play) as (server, _):
        answers = dict(server.ask(questions))
    assert answers.keys() == set(questions) and all(isinstance(one, told.History) for one in answers.values())
    assert sum(method.endswith("get_history") for method, _ in play.asked) == histories


def test_a_single_failure_to_name_a_spender_is_made_good_by_the_history() -> None:
    def change(message: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any]:
        wrong = message["method"].endswith("get_status") and message["params"][1] == 7
        return {"id": message["id"], "error": {"code": 2, "message": "daemon error"}} if wrong else answer

    questions = [told.SpenderQuestion(told.Outpoint(FIRST, output), SCRIPT) for output in range(2, 10)]
    with asking(ElectrumPlay(CHAIN, "1.7", change=change)) as (server, _):
        for _ in range(2):
            kinds = [type(answer) for _, answer in server.ask(questions)]
            assert kinds.count(told.Spender) == 7 and kinds.count(told.History) == 1


def test_headers_come_whole_from_a_server_that_gives_few_at_a_time() -> None:
    with asking(ElectrumPlay(CHAIN, most_headers=7)) as (server, kept):
        assert [answer for _, answer in server.ask([told.HeadersQuestion(3, 30)])] == [
            told.Headers(3, b"".join(CHAIN.headers[3:33]))
        ]
    assert len(kept) == 5


def test_the_first_header_says_which_chain_it_is_where_features_do_not() -> None:
    with asking(ElectrumPlay(CHAIN, features=False)) as (server, _):
        assert next(server.ask([told.TipQuestion()]))[1] == told.Tip(39, CHAIN.headers[39])


@pytest.mark.parametrize("features", [True, False])
def test_another_chain_is_refused(features: bool) -> None:
    with (
        asking(ElectrumPlay(chain(blocks=3), features=features)) as (server, kept),
        listening(ElectrumPlay(CHAIN, features=features)) as port,
    ):
        assert next(server.ask([told.TipQuestion()]))
        with pytest.raises(UsageError, match=f"another chain than mainnet: its first block is {CHAIN.network.genesis}"):
            next(Electrum(f"tcp://127.0.0.1:{port}", NETWORKS["mainnet"], kept).ask([told.TipQuestion()]))


def test_questions_go_out_together_and_answers_may_come_in_any_order() -> None:
    questions = [told.RawQuestion(txid) for txid, _ in CHAIN.history]
    held: list[dict[str, Any]] = []

    def change(message: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any] | bytes:
        if message["method"] != "blockchain.transaction.get":
            return answer
        held.append(answer)
        if len(held) < len(questions):
            return b""
        return b"".join(json.dumps(one).encode() + b"\n" for one in reversed(held))

    with asking(ElectrumPlay(CHAIN, change=change)) as (server, _):
        answers = list(server.ask(questions))
    assert [question for question, _ in answers] == questions[::-1]
    assert dict(answers) == {question: told.Raw(CHAIN.raws[question.txid]) for question in questions}


def test_no_more_are_in_flight_than_the_bound() -> None:
    waiting: list[bytes] = []

    def play(client: socket.socket) -> None:
        server, buffer = ElectrumPlay(CHAIN), b""
        client.settimeout(0.3)
        while True:
            try:
                part = client.recv(65536)
                if not part:
                    return
                buffer += part
                continue
            except TimeoutError:
                pass
            *whole, buffer = buffer.split(b"\n")
            waiting.append(b"" if not whole else bytes([len(whole)]))
            for line in whole:
                message = json.loads(line)
                send_line(client, {"id": message["id"], "result": server.result(message["method"], message["params"])})

    with asking(play, in_flight=20) as (server, _):
        assert len(list(server.ask([told.RawQuestion(txid) for txid, _ in CHAIN.history]))) == 60
    assert max(waiting) == bytes([20])


def test_who_gets_an_answer_may_ask_on_at_once() -> None:
    with asking(ElectrumPlay(CHAIN), in_flight=5) as (server, _):
        inner = []
        for question, answer in server.ask([told.RawQuestion(txid) for txid, _ in CHAIN.history]):
            assert isinstance(answer, told.Raw) and isinstance(question, told.RawQuestion)
            inner += [one for _, one in server.ask([told.BalanceQuestion(question.txid)])]
    assert len(inner) == 60


def test_who_stops_listening_may_ask_something_else() -> None:
    with asking(ElectrumPlay(CHAIN)) as (server, _):
        for _ in range(3):
            asked = server.ask([told.RawQuestion(txid) for txid, _ in CHAIN.history])
            next(asked)
            asked.close()  # type: ignore[attr-defined]
        assert [answer for _, answer in server.ask([told.TipQuestion()])] == [told.Tip(39, CHAIN.headers[39])]


def test_changes_of_watched_scripts_are_told() -> None:
    play = ElectrumPlay(CHAIN)
    with asking(play) as (server, kept):
        assert list(server.watch([SCRIPT, OTHER], 0)) == []
        play.touch(SCRIPT, "aa" * 32)
        play.touch(b"of nobody", "aa" * 32)
        watched = server.watch([SCRIPT, OTHER], 10)
        assert next(watched) == SCRIPT_HASH
        assert dict(server.ask([told.TipQuestion()]))  # and meanwhile
        play.touch(OTHER, "bb" * 32)
        assert next(watched) == sha256(OTHER).digest()
        play.touch(OTHER, "bb" * 32)  # nothing new
        assert list(server.watch([SCRIPT, OTHER], 0.2)) == []
    assert [
        exchange for exchange in kept if "subscribe" in exchange.request and "headers" not in exchange.request
    ] == []


@pytest.mark.parametrize("version", ["1.4.2", "1.7"])
def test_a_change_while_the_connection_was_broken_is_not_missed(version: str) -> None:
    play = ElectrumPlay(CHAIN, version)
    with asking(play, sleep=lambda _: None) as (server, _):
        assert list(server.watch([SCRIPT], 0)) == []
        play.statuses[shown(SCRIPT_HASH)] = "cc" * 32
        play.connections.pop().shutdown(socket.SHUT_RDWR)
        assert list(server.watch([SCRIPT], 0.5)) == [SCRIPT_HASH]
