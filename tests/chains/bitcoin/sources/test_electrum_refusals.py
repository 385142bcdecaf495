"""Electrum servers that misbehave, break off or are busy."""

from __future__ import annotations

import json
import socket
import time
from typing import Any

import pytest
from remote_servers import Kept, lines, listening
from test_electrum_source import CHAIN, FIRST, asking
from told_chain import SCRIPT, SCRIPT_HASH, ElectrumPlay, shown

from calibar.chains.bitcoin.sources import told
from calibar.chains.bitcoin.sources.electrum import Electrum
from calibar.errors import CalibarError, DecodeError, UsageError

RAWS = [told.RawQuestion(txid) for txid, _ in CHAIN.history]


def instead(method: str, line: bytes | None, times: int = 1 << 30) -> ElectrumPlay:
    """A server that sends `line` where an answer to `method` belongs, or nothing more."""
    left = [times]

    def change(message: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any] | bytes | None:
        if message["method"] != method or not left[0]:
            return answer
        left[0] -= 1
        return line

    return ElectrumPlay(CHAIN, change=change)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"{]\n", "not JSON"),
        (b"\xff\xfe\n", "not JSON"),
        (b"<html><body>Welcome</body></html>\n", "not JSON"),
        (b"[" * 100_000 + b"\n", "nests too deeply"),
        (b"[]\n", "an answer is not an object"),
        (b'{"id": 999, "result": 1}\n', "a question that was not asked"),
        (b'{"id": "4", "result": 1}\n', "a question that was not asked"),
        (b'{"id": true, "result": 1}\n', "a question that was not asked"),
        (b'{"result": 1}\n', "a question that was not asked"),
        (b'{"id": 3}\n', "neither a result nor an error"),
        (b'{"id": 3, "result": "00"}\n', "the transaction is not 60 to 4000000 bytes"),
        (b'{"id": 3, "result": "' + b"zz" * 60 + b'"}\n', "the transaction is not"),
        (b'{"id": 3, "result": ' + b"1" * 5000 + b"}\n", "not JSON"),
        (b'{"id": 3, "result": 1e400}\n', "numbers or text"),
        (b'{"id": 3, "result": "\\ud800"}\n', "numbers or text"),
        (b"x" * (3 << 20), "over 1 MB"),
    ],
)
def test_what_is_no_answer_is_refused(line: bytes, words: str) -> None:
    play = instead("blockchain.transaction.get", line)
    with asking(play, largest=1 << 20) as (server, _):
        with pytest.raises(DecodeError, match=words) as caught:
            list(server.ask(RAWS[:1]))
        assert server.place in str(caught.value) and str(caught.value).isprintable()
        assert dict(server.ask([told.TipQuestion()]))  # on a new connection


def test_an_answer_given_twice_is_refused() -> None:
    twice = b'{"id": 3, "result": null, "error": "no"}\n' * 2
    with (
        asking(instead("blockchain.transaction.get", twice)) as (server, _),
        pytest.raises(DecodeError, match="a question that was not asked"),
    ):
        list(server.ask([*RAWS[:1], told.BalanceQuestion(SCRIPT)]))


def test_an_answer_without_end_is_given_up() -> None:
    def play(client: socket.socket) -> None:
        server = ElectrumPlay(CHAIN)
        for message in lines(client):
            if message["method"] == "blockchain.transaction.get":
                while True:
                    client.sendall(b"7" * 65536)
            client.sendall(
                json.dumps(
                    {"id": message["id"], "result": server.result(message["method"], message["params"])}
                ).encode()
                + b"\n"
            )

    with asking(play, largest=1 << 20) as (server, _), pytest.raises(DecodeError, match="over 1 MB"):
        list(server.ask(RAWS[:1]))


PING = b'{"method": "server.ping", "params": []}\n'


@pytest.mark.parametrize("drip", [b"7", PING, PING * 20_000], ids=["drip", "pings", "flood"])
def test_an_answer_that_drips_is_given_up(drip: bytes) -> None:
    def play(client: socket.socket) -> None:
        server = ElectrumPlay(CHAIN)
        for message in lines(client):
            while message["method"] == "blockchain.transaction.get":
                client.sendall(drip)
                time.sleep(0.02)
            client.sendall(
                json.dumps(
                    {"id": message["id"], "result": server.result(message["method"], message["params"])}
                ).encode()
                + b"\n"
            )

    begun = time.monotonic()
    with (
        asking(play, timeout=0.3, patience=1.0, sleep=lambda _: None) as (server, _),
        pytest.raises(UsageError, match="does not answer in time"),
    ):
        list(server.ask(RAWS[:1]))
    assert time.monotonic() - begun < 5


def test_what_was_in_flight_when_the_connection_broke_is_asked_again() -> None:
    pauses: list[float] = []
    with asking(instead("blockchain.transaction.get", None, times=3), sleep=pauses.append) as (server, kept):
        answers = dict(server.ask(RAWS))
    assert answers == {question: told.Raw(CHAIN.raws[question.txid]) for question in RAWS}
    assert pauses == [0.5, 1.0, 2.0] and len(kept) == len(RAWS)


def test_a_server_that_always_breaks_off_ends_patience() -> None:
    pauses: list[float] = []
    with (
        asking(instead("blockchain.transaction.get", None), sleep=pauses.append, patience=10) as (server, _),
        pytest.raises(UsageError, match="it cut the connection; try later"),
    ):
        list(server.ask(RAWS))
    assert pauses == [0.5, 1.0, 2.0, 4.0]


def test_a_busy_server_is_asked_again_after_a_pause() -> None:
    pauses: list[float] = []
    busy = b'{"id": %d, "error": {"code": -102, "message": "server busy - request timed out"}}\n'
    count = [0]

    def change(message: dict[str, Any], answer: dict[str, Any]) -> dict[str, Any] | bytes:
        count[0] += message["method"] == "blockchain.transaction.get"
        return busy % message["id"] if 20 < count[0] <= 60 else answer

    with asking(ElectrumPlay(CHAIN, change=change), sleep=pauses.append) as (server, kept):
        assert len(dict(server.ask(RAWS))) == 60
    assert pauses == [0.5] and len(kept) == 60


def test_a_server_that_throws_one_out_is_asked_again() -> None:
    out = b'{"id": null, "error": {"code": -101, "message": "excessive resource usage"}}\n'
    with asking(instead("blockchain.transaction.get", out, times=1), sleep=lambda _: None) as (server, _):
        assert len(dict(server.ask(RAWS[:3]))) == 3


@pytest.mark.parametrize(
    ("result", "words"),
    [
        (b'{"height": 1}', "the tip's header is not 80 bytes"),
        (b'{"height": true, "hex": "00"}', "the tip's height is not a whole number"),
        (b'{"height": -1, "hex": "00"}', "the tip's height is not a whole number"),
        (b'{"height": 1.0, "hex": "00"}', "the tip's height is not a whole number"),
        (b'"<script>"', "the tip is not an object"),
    ],
)
def test_a_tip_of_another_shape_is_refused(result: bytes, words: str) -> None:
    play = instead("blockchain.headers.subscribe", b'{"id": 3, "result": ' + result + b"}\n")
    with asking(play) as (server, _), pytest.raises(DecodeError, match=words):
        list(server.ask([told.TipQuestion()]))


@pytest.mark.parametrize(
    ("method", "line", "words", "kind"),
    [
        (
            "server.version",
            b'{"id": 1, "error": {"message": "unsupported\\n protocol"}}\n',
            "none of Electrum's",
            UsageError,
        ),
        ("server.version", b'{"id": 1, "result": ["x", "1.2"]}\n', "protocol 1.2, not one of", UsageError),
        ("server.version", b'{"id": 1, "result": ["x", "1.8"]}\n', "protocol 1.8, not one of", UsageError),
        ("server.version", b'{"id": 1, "result": ["x", {}]}\n', "does not say which protocol", DecodeError),
        ("server.version", b"HTTP/1.1 400 Bad Request\r\n", "not JSON", DecodeError),
        ("server.features", b'{"id": 2, "result": {"genesis_hash": "00"}}\n', "the first block's hash", DecodeError),
    ],
)
def test_a_bad_greeting_is_refused(method: str, line: bytes, words: str, kind: type[CalibarError]) -> None:
    with asking(instead(method, line)) as (server, _), pytest.raises(kind, match=words) as caught:
        list(server.ask([told.TipQuestion()]))
    assert str(caught.value).isprintable()


def test_where_nothing_listens_one_is_told_so() -> None:
    with listening(lambda _: None) as port:
        pass
    server = Electrum(f"tcp://127.0.0.1:{port}", CHAIN.network, Kept())
    with pytest.raises(UsageError, match="nothing listens there; is a server running there"):
        list(server.ask([told.TipQuestion()]))


def test_a_stranger_that_hangs_up_is_not_waited_for_long() -> None:
    pauses: list[float] = []
    with (
        asking(lambda _: None, sleep=pauses.append) as (server, _),
        pytest.raises(UsageError, match="cut the connection"),
    ):
        list(server.ask([told.TipQuestion()]))
    assert sum(pauses) < 5


def test_a_script_that_is_not_watched_is_named() -> None:
    play = instead("blockchain.scripthash.subscribe", b'{"id": 3, "error": {"message": "history\\ttoo large"}}\n')
    with (
        asking(play) as (server, _),
        pytest.raises(UsageError, match=r"does not watch the script .*: history too large"),
    ):
        list(server.watch([SCRIPT], 0))


@pytest.mark.parametrize(
    "params", ['["zz", null]', '[{}, null]', '["%s", 7]', '["%s", "00"]', '["%s", "<b>"]']
)  # fmt: skip
def test_notices_of_another_shape_are_refused(params: str) -> None:
    said = params.replace("%s", shown(SCRIPT_HASH))
    notice = f'{{"method": "blockchain.scripthash.subscribe", "params": {said}}}\n'.encode()
    play = ElectrumPlay(CHAIN)
    with asking(play) as (server, _):
        assert list(server.watch([SCRIPT], 0)) == []
        play.connections[0].sendall(notice)
        with pytest.raises(DecodeError, match="script"):
            list(server.watch([SCRIPT], 5))


def test_a_transaction_of_the_largest_size_is_read() -> None:
    raw = b"\x02" + bytes(3_999_999)
    line = b'{"id": 3, "result": "' + raw.hex().encode() + b'"}\n'
    with asking(instead("blockchain.transaction.get", line)) as (server, _):
        assert next(server.ask([told.RawQuestion(FIRST)]))[1] == told.Raw(raw)
