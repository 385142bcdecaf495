"""HTTP with bounds and patience."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest
from remote_servers import HttpPlay, listening, self_signed, socks5

from calibar.chains.remote.address import parse_address
from calibar.chains.remote.web import Reply, Web
from calibar.errors import CalibarError, DecodeError, UsageError

Answer = bytes | tuple[int, bytes, dict[str, str]] | None


@contextmanager
def asking(
    answer: Callable[[str], Answer] | HttpPlay, **options: object
) -> Iterator[tuple[Web, HttpPlay, list[float]]]:
    play = answer if isinstance(answer, HttpPlay) else HttpPlay(answer)
    pauses: list[float] = []
    with listening(play) as port:
        address = parse_address(f"http://me:hunter2@127.0.0.1:{port}/api?key=hush", ("http",), "")
        web = Web(address, **({"sleep": pauses.append} | options))  # type: ignore[arg-type]
        try:
            yield web, play, pauses
        finally:
            web.close()


def in_turn(*answers: Answer) -> Callable[[str], Answer]:
    left = list(answers)
    return lambda _: left.pop(0) if len(left) > 1 else left[0]


def test_connections_are_kept_and_secrets_go_where_they_belong() -> None:
    with asking(lambda path: path.encode()) as (web, play, _):
        assert [web.get(f"/{n}", 100).body for n in range(3)] == [f"/api/{n}?key=hush".encode() for n in range(3)]
        assert web.post("/x", b"{}", 100) == Reply(200, b"/api/x?key=hush")
    assert play.connections == 1
    assert all(b"Authorization: Basic bWU6aHVudGVyMg==\r\n" in head for head in play.heads)
    assert all(head.count(b"Host: 127.0.0.1:") == 1 for head in play.heads)


def test_answers_keep_the_order_of_questions_though_several_are_in_flight() -> None:
    meeting = threading.Barrier(6)

    def answer(path: str) -> bytes:
        if int(path[5:].partition("?")[0]) < 6:
            meeting.wait(10)
        return path.encode()

    with asking(answer) as (web, play, _):
        jobs = [partial(web.get, f"/{n}", 100) for n in range(50)]
        assert [reply.body for reply in web.in_order(jobs)] == [f"/api/{n}?key=hush".encode() for n in range(50)]
    assert play.connections == 6


def test_who_has_enough_waits_for_nothing_more() -> None:
    def answer(path: str) -> bytes:
        if "/0?" not in path:
            time.sleep(3)
        return b"so"

    with asking(answer) as (web, _, _):
        begun = time.monotonic()
        found = web.in_order([partial(web.get, f"/{n}", 100) for n in range(50)])
        assert next(found) == Reply(200, b"so")
        found.close()  # type: ignore[attr-defined]
        assert time.monotonic() - begun < 2
        assert web.get("/0", 100) == Reply(200, b"so")


def test_a_busy_server_is_given_the_time_that_it_wants() -> None:
    busy = (429, b"slow down", {"Retry-After": "7"})
    with asking(in_turn(busy, (503, b"", {}), (502, b"<html>", {}), b"so")) as (web, _, pauses):
        assert web.get("/x", 100) == Reply(200, b"so")
    assert 6.9 <= pauses[0] <= 7 and {1.0, 2.0} < set(pauses)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        ((429, b"", {"Retry-After": "9999"}), "it limits how much it is asked .HTTP 429.; try later"),
        ((429, b"", {"Retry-After": "Wed, 21 Oct 2015"}), "HTTP 429"),
        ((503, b"", {}), "it is busy .HTTP 503.; try later"),
        ((500, b"", {}), "it has trouble .HTTP 500."),
        ((200, b"half", {"Content-Length": "100", "X": "close"}), "it cut its answer off"),
        ((200, b"ff\r\nhalf", {"Transfer-Encoding": "chunked", "X": "close"}), "it cut its answer off"),
        (None, "it cut the connection"),
    ],
)
def test_patience_ends(answer: Answer, words: str) -> None:
    with asking(lambda _: answer, patience=5) as (web, _, pauses), pytest.raises(UsageError, match=words):
        web.get("/x", 100)
    assert sum(pauses) <= 5


@pytest.mark.parametrize(
    ("answer", "words", "kind"),
    [
        ((301, b"", {"Location": "http://elsewhere/hush"}), "it sends elsewhere .HTTP 301.", UsageError),
        ((403, b"", {}), "right key .HTTP 403.", UsageError),
        ((418, b"", {}), "HTTP 418", DecodeError),
        ((200, b"  <!DOCTYPE html><p>", {}), "a web page", DecodeError),
        ((200, b"{}", {"Content-Type": "text/html; charset=utf-8"}), "a web page", DecodeError),
        ((404, b"<html>nginx", {}), "a web page", DecodeError),
        ((200, b"x" * 101, {}), "over 100 bytes", DecodeError),
        ((200, b"x", {"Content-Encoding": "gzip"}), "an encoding that was not asked for", DecodeError),
        ((0, b"SSH-2.0-hush\r\n", {}), "does not speak HTTP", DecodeError),
        ((0, b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 200 + b"\r\n", {}), "does not speak HTTP", DecodeError),
        ((0, b"HTTP/1.1 200 " + b"x" * 100_000 + b"\r\n\r\n", {}), "does not speak HTTP", DecodeError),
    ],
)
def test_what_is_no_answer_is_refused_without_secrets(answer: Answer, words: str, kind: type[CalibarError]) -> None:
    with asking(lambda _: answer) as (web, play, pauses), pytest.raises(kind, match=words) as caught:
        web.get("/x", 100)
    assert len(play.asked) == 1 and not pauses
    assert not any(secret in str(caught.value) for secret in ("hush", "hunter2", "bWU6"))


def test_refusals_are_answers() -> None:
    with asking(in_turn((404, b"Transaction not found", {}), (400, b"Invalid hex string", {}))) as (web, play, _):
        assert web.get("/x", 100) == Reply(404, b"Transaction not found")
        assert web.get("/x", 100) == Reply(400, b"Invalid hex string")
    assert play.connections == 1


def test_an_answer_without_end_is_not_read() -> None:
    def play(client: socket.socket) -> None:
        client.recv(9999)
        client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
        while True:
            client.sendall(b"x" * 65536)

    with listening(play) as port:
        web = Web(parse_address(f"http://127.0.0.1:{port}", ("http",), ""))
        with pytest.raises(DecodeError, match="over 1,000,000 bytes"):
            web.get("/", 1_000_000)


@pytest.mark.parametrize("start", [b"HTTP/1.1 200 OK\r\nX: ", b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n"])
def test_an_answer_that_drips_is_given_up(start: bytes) -> None:
    def play(client: socket.socket) -> None:
        client.recv(9999)
        client.sendall(start)
        while True:
            client.sendall(b"x")
            time.sleep(0.02)

    begun = time.monotonic()
    with listening(play) as port:
        web = Web(parse_address(f"http://127.0.0.1:{port}", ("http",), ""), timeout=0.3, patience=0)
        with pytest.raises(UsageError, match="does not answer in time"):
            web.get("/", 1_000_000)
    assert time.monotonic() - begun < 3


def test_a_connection_that_was_closed_meanwhile_is_opened_again() -> None:
    with asking(in_turn(b"1", None, b"2")) as (web, play, pauses):
        assert web.get("/x", 9) == Reply(200, b"1")
        assert web.get("/x", 9) == Reply(200, b"2")
    assert play.connections == 2 and not pauses


def test_an_answer_to_what_was_not_asked_is_not_taken_for_the_next() -> None:
    def play(client: socket.socket) -> None:
        first = b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n1"
        client.recv(9999)
        client.sendall(first + b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nwrong")
        client.recv(9999)

    with listening(play) as port:
        web = Web(parse_address(f"http://127.0.0.1:{port}", ("http",), ""))
        for _ in range(3):
            assert web.get("/", 9) == Reply(200, b"1")
            time.sleep(0.05)
        web.close()


def test_through_tls_and_a_proxy(tmp_path: Path) -> None:
    certificate = self_signed(tmp_path)
    play = HttpPlay(lambda path: path.encode())
    with listening(play, certificate.context) as port, socks5(port) as (proxy, asked):
        url = f"https://explorer.onion/api#sha256={certificate.fingerprint}&proxy=socks5://127.0.0.1:{proxy}"
        web = Web(parse_address(url, ("https",), ""))
        assert [web.get("/x", 100) for _ in range(3)] == [Reply(200, b"/api/x")] * 3
        web.close()
    assert asked == ["explorer.onion"] and b"Host: explorer.onion\r\n" in play.heads[0]


def test_where_nothing_listens_one_is_told_at_once() -> None:
    with listening(lambda _: None) as port:
        pass
    with pytest.raises(UsageError, match="nothing listens there; is a server running there"):
        Web(parse_address(f"http://127.0.0.1:{port}", ("http",), "")).get("/", 9)
