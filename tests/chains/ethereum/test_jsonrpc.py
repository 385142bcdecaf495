"""A node that is busy, hostile or no node at all."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler

import pytest
from eth_server import LocalNode, node, send, serving

from calibar.chains.ethereum.jsonrpc import Node, Question
from calibar.errors import CalibarError, DecodeError, UsageError


@pytest.fixture
def server() -> Iterator[LocalNode]:
    with serving() as node:
        yield node


def html(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b"<!DOCTYPE html><html>welcome</html>")


def endless(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    while True:
        handler.wfile.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        time.sleep(0.02)


def cut(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"jsonrpc":')
    handler.close_connection = True


def hang_up(handler: BaseHTTPRequestHandler) -> None:
    handler.connection.shutdown(socket.SHUT_RDWR)
    handler.close_connection = True


def status(code: int, **headers: str) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, b"<html>no</html>", code, **headers)


def reply(value: object) -> Callable[[BaseHTTPRequestHandler], None]:
    return lambda handler: send(handler, value if isinstance(value, bytes) else json.dumps(value).encode())


def limited(handler: BaseHTTPRequestHandler) -> None:
    send(handler, b'{"jsonrpc":"2.0","id":null,"error":{"code":-32005,"message":"daily limit"}}')


ASK = [Question("eth_chainId", ())]


@pytest.mark.parametrize("trick", [cut, hang_up, status(429), status(503, Retry_After="3"), status(500), limited])
def test_a_node_in_trouble_is_asked_again(server: LocalNode, trick: Callable[[BaseHTTPRequestHandler], None]) -> None:
    server.tricks = [trick, trick]
    waits: list[float] = []
    asker = Node(server.url, sleep=waits.append)
    assert asker.ask(ASK) == ["0x1"]
    assert len(waits) == 2
    assert waits[0] >= (3 if trick.__name__ == "<lambda>" and waits[0] > 1 else 0.25)
    asker.close()


def test_a_connection_is_kept_and_opened_anew_where_the_node_closed_it(server: LocalNode) -> None:
    def silently(handler: BaseHTTPRequestHandler) -> None:
        places.append(handler.client_address)
        send(handler, b'{"jsonrpc":"2.0","id":null,"result":"0x1"}')
        handler.close_connection = len(places) == 3

    places: list[object] = []

    server.tricks = [silently] * 4
    waits: list[float] = []
    asker = Node(server.url, sleep=waits.append)
    for _ in range(4):
        assert asker.ask(ASK) == ["0x1"]
        time.sleep(0.05)
    assert len(set(places[:3])) == 1
    assert len(set(places)) == 2
    assert waits == []


def test_patience_ends(server: LocalNode) -> None:
    server.tricks = [status(429, Retry_After="5000")]
    with pytest.raises(UsageError, match=r"limits how much it is asked \(HTTP 429\); try later"):
        node(server).ask(ASK)
    server.tricks = [status(502)] * 100
    with pytest.raises(UsageError, match="it has trouble"):
        node(server).ask(ASK)
    assert len(server.tricks) > 80


@pytest.mark.parametrize(
    ("trick", "refusal"),
    [
        (html, "it answers with a web page"),
        (endless, "an answer is over 1 MB"),
        (status(404), "it answers HTTP 404"),
        (status(401), "wants other credentials"),
        (status(301, Location="http://elsewhere"), "it sends elsewhere"),
        (reply(b"{"), "not JSON, or cut off"),
        (reply(b"\xff\xfe"), "not JSON"),
        (reply(b'{"jsonrpc":"2.0","id":2,"result":NaN}'), "not JSON"),
        (reply(b"[" * 100_000), "nests too deeply"),
        (reply(b"1" * 10_000), "not JSON"),
        (reply(5), "answers another question"),
        (reply({"id": 99, "result": 1}), "answers another question"),
        (reply({"id": 2}), "not JSON-RPC"),
    ],
)
def test_what_is_no_node_is_refused_in_one_line(
    server: LocalNode, trick: Callable[[BaseHTTPRequestHandler], None], refusal: str
) -> None:
    server.tricks = [trick]
    with pytest.raises(CalibarError, match=refusal) as error:
        node(server, largest=1 << 20).ask(ASK)
    assert str(error.value).startswith(server.url)
    assert "\n" not in str(error.value)


def test_an_answer_has_its_time(server: LocalNode) -> None:
    server.tricks = [drip] * 9
    began = time.monotonic()
    with pytest.raises(UsageError, match=r"did not finish its answer in 0\.3 seconds"):
        node(server, timeout=0.3, patience=0.5).ask(ASK)
    assert time.monotonic() - began < 5


@pytest.mark.parametrize(
    ("value", "refusal"),
    [
        ([], "it answers 0 of 2"),
        ([{"id": 2, "result": 1}] * 2, "twice"),
        ([5], "twice, or one that was not asked"),
        ([{"id": 7, "result": 1}, {"id": 3, "result": 1}], "answers 2 of 2|not asked"),
        ("text", "not JSON-RPC"),
    ],
)
def test_batches_answered_wrongly_are_refused(server: LocalNode, value: object, refusal: str) -> None:
    server.tricks = [reply(value)]
    with pytest.raises(DecodeError, match=refusal):
        node(server).ask(ASK * 2)


def test_secrets_are_not_told(server: LocalNode) -> None:
    server.tricks = [html]
    asker = Node(server.url.replace("://", "://me:secret@") + "/v3/secret?key=secret")
    with pytest.raises(DecodeError) as error:
        asker.ask(ASK)
    assert "secret" not in str(error.value) + repr(asker)
    path, authorization, _ = server.seen[0]
    assert path == "/v3/secret?key=secret"
    assert authorization == "Basic bWU6c2VjcmV0"


@pytest.mark.parametrize(
    "url", ["", "localhost:8545", "ftp://x", "http://", "http://x:port", "http://[1", "http://x/ y"]
)
def test_what_is_no_address_of_a_node_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Node(url)


def test_nothing_that_listens_is_said_at_once() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(UsageError, match=f"http://127.0.0.1:{port}: nothing listens there"):
        Node(f"http://127.0.0.1:{port}/secret").ask(ASK)
