"""A node on the loopback that answers as java-tron does, and ones that do not."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from tron_builder import ALICE, BOB, block, info, transfer

from calibar.chains.facts import integers
from calibar.chains.tron.http import KEY_VARIABLE, HttpNode
from calibar.chains.tron.source import BLOCK, TronSource
from calibar.errors import CalibarError, DecodeError, UsageError

SECRET = "0a1b2c3d-secret-key"  # noqa: S105
Play = Callable[["Handler", dict[str, Any]], None]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    play: Play
    asked: list[tuple[str, dict[str, Any], str | None]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        type(self).asked.append((self.path, body, self.headers.get("TRON-PRO-API-KEY")))
        type(self).play(self, body)

    def answer(self, content: object, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@contextmanager
def serving(play: Play) -> Iterator[tuple[str, type[Handler]]]:
    handler = type("Playing", (Handler,), {"play": staticmethod(play), "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", handler
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@contextmanager
def asking(play: Play, path: str = "", **options: Any) -> Iterator[tuple[HttpNode, list[float], type[Handler]]]:
    pauses: list[float] = []
    with serving(play) as (url, handler):
        node = HttpNode(url + path, pause=pauses.append, **options)
        try:
            yield node, pauses, handler
        finally:
            node.close()


@pytest.fixture(autouse=True)
def _no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(KEY_VARIABLE, raising=False)


def nodes_answers(count: int) -> Play:
    made: list[dict[str, Any]] = []
    for number in range(1, count + 1):
        parent = bytes.fromhex(made[-1]["blockID"]) if made else None
        made.append(block(transfer(ALICE, BOB, number, salt=number), number=number, parent=parent))

    def play(handler: Handler, body: dict[str, Any]) -> None:
        number = body.get("num", count)
        there = made[number - 1] if 0 < number <= count else {}
        if handler.path.endswith("infobyblocknum"):
            handler.answer([info(tx, number=number, fee=100) for tx in there.get("transactions", [])])
        else:
            handler.answer(there)

    return play


def test_a_node_is_read_block_by_block() -> None:
    with asking(nodes_answers(3)) as (node, pauses, handler):
        source = TronSource(node, "mainnet")
        assert source.chain == "tron:mainnet"
        assert source.last() == 3
        assert source.hash_of(4) is None
        (read,) = source.read(1, 3)
        source.close()
    assert integers(read.tx_fee) == [100] * 3
    assert read.number.tolist() == [1, 2, 3]
    assert not pauses
    assert {path for path, _, _ in handler.asked} == {
        "/wallet/getblockbynum", "/wallet/getnowblock", "/wallet/gettransactioninfobyblocknum"
    }  # fmt: skip
    assert all(key is None for *_, key in handler.asked)


def test_a_node_of_no_known_network_must_be_named() -> None:
    with asking(nodes_answers(1)) as (node, *_), pytest.raises(UsageError, match="name the network"):
        TronSource(node)


def test_the_key_goes_out_in_its_header(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    with asking(lambda handler, _: handler.answer({})) as (node, _, handler):
        assert node.ask(BLOCK, {"num": 1}) == {}
    assert handler.asked == [(BLOCK, {"num": 1}, SECRET)]


def test_a_passing_fault_is_asked_again_after_longer_and_longer_pauses() -> None:
    faults = iter([(503, {}), (429, {"Retry_After": "3"}), (502, {}), (200, {})])

    def play(handler: Handler, _: dict[str, Any]) -> None:
        status, headers = next(faults)
        handler.answer({} if status == 200 else {"Error": "busy"}, status, **headers)

    with asking(play) as (node, pauses, _):
        assert node.ask(BLOCK, {"num": 1}) == {}
    assert pauses == [0.5, 3.0, 2.0]


def hang_up(handler: Handler, _: dict[str, Any]) -> None:
    handler.close_connection = True


def half(handler: Handler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "100")
    handler.end_headers()
    handler.wfile.write(b"{")
    handler.close_connection = True


def silent(handler: Handler, _: dict[str, Any]) -> None:
    time.sleep(0.5)
    handler.close_connection = True


def drip(handler: Handler, _: dict[str, Any]) -> None:
    handler.close_connection = True
    try:
        for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 100:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.02)
    except OSError:
        pass


def limited(handler: Handler, _: dict[str, Any]) -> None:
    handler.answer({"Error": f"The key {SECRET} exceeds the frequency limit(15)"}, 403)


@pytest.mark.parametrize(
    ("play", "options", "reason"),
    [
        (hang_up, {}, r"no answer .* 5 times; try again later"),
        (half, {}, "the answer was cut off"),
        (silent, {"timeout": 0.05}, "no answer within 0.05 seconds"),
        (drip, {"deadline": 0.1}, "no answer|took over 0.1 seconds"),
        (limited, {}, "frequency limit"),
        (lambda h, _: h.answer({"Error": "the frequency limit"}), {}, "it limits requests, 'the frequency limit'"),
        (lambda h, _: h.answer(b"x", 429, "text/plain"), {}, f"429, 'x'; it limits requests, a key in {KEY_VARIABLE}"),
    ],
)
def test_a_fault_that_does_not_pass_is_one_line(play: Play, options: dict[str, Any], reason: str) -> None:
    with asking(play, **options) as (node, pauses, handler), pytest.raises(UsageError, match=reason) as caught:
        node.ask(BLOCK, {"num": 1})
    assert len(pauses) == 4
    assert len(handler.asked) == 5
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("play", "error", "reason"),
    [
        (lambda h, _: h.answer(b"<html>Welcome</html>", 200, "text/html"), DecodeError, "a web page instead of JSON"),
        (lambda h, _: h.answer(b" <!doctype html>", 200), DecodeError, "a web page instead of JSON"),
        (lambda h, _: h.answer(b"{]"), DecodeError, "not JSON"),
        (lambda h, _: h.answer(b"[" * 200_000), DecodeError, "nests too deep"),
        (lambda h, _: h.answer(b"\x00" * 5000), DecodeError, "over 4096; refused"),
        (
            lambda h, _: h.answer({"Error": "class x : bad\nnews"}),
            DecodeError,
            "answers with an error, 'class x : bad news'",
        ),
        (lambda h, _: h.answer({"Error": "ApiKey not exists"}, 401), UsageError, f"set an API key in {KEY_VARIABLE}"),
        (lambda h, _: h.answer(b"<html>", 404), UsageError, "it answers 404; is this a TRON node's HTTP API"),
        (lambda h, _: h.answer(b"", 302, Location="http://elsewhere"), UsageError, "it sends elsewhere"),
    ],
)
def test_what_is_no_answer_is_refused_at_once(play: Play, error: type[CalibarError], reason: str) -> None:
    largest = 200_000 if reason == "nests too deep" else 4096
    with asking(play, largest=largest) as (node, pauses, _), pytest.raises(error, match=reason) as caught:
        node.ask(BLOCK, {"num": 1})
    assert not pauses
    assert "\n" not in str(caught.value)


def endless(handler: Handler, _: dict[str, Any]) -> None:
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.close_connection = True
    try:
        while True:
            handler.wfile.write(b"400\r\n" + b" " * 1024 + b"\r\n")
    except OSError:
        pass


def test_an_answer_without_end_is_refused() -> None:
    with asking(endless, largest=100_000) as (node, *_), pytest.raises(DecodeError, match="over 100000 bytes"):
        node.ask(BLOCK, {"num": 1})


def echo(status: int) -> Play:
    return lambda handler, _: handler.answer({"Error": f"{handler.path} {handler.headers['TRON-PRO-API-KEY']}"}, status)


@pytest.mark.parametrize("status", [200, 401, 403, 404, 500])
def test_no_message_holds_the_key_or_the_path(status: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    with asking(echo(status), "/path-that-is-a-key/wallet") as (node, *_), pytest.raises(CalibarError) as caught:
        node.ask(BLOCK, {"num": 1})
    assert SECRET not in str(caught.value)
    assert "path-that-is-a-key" not in str(caught.value)
    assert "path-that-is-a-key" not in node.name


def test_a_node_that_repeats_the_key_in_a_block_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, SECRET)
    with asking(lambda h, _: h.answer({"blockID": SECRET})) as (node, *_), pytest.raises(DecodeError) as caught:
        node.ask(BLOCK, {"num": 1})
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    ["", "127.0.0.1:8090", "ftp://host", "http://", "http://user:pa55@host", "http://h:99999", "http://[", "http://h/?key=x",
     "http://h/\x01"],
)  # fmt: skip
def test_what_is_no_address_of_a_node(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        HttpNode(url)
    assert "pa55" not in str(caught.value)
    assert "\n" not in str(caught.value)


def test_nobody_listens() -> None:
    with serving(hang_up) as (url, _):
        pass
    with pytest.raises(UsageError, match=f"{url}/wallet/getblockbynum: no answer"):
        HttpNode(url, pause=lambda _: None).ask(BLOCK, {"num": 1})


def test_a_key_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(KEY_VARIABLE, "two\nlines")
    with pytest.raises(UsageError, match="characters that no key has") as caught:
        HttpNode("http://127.0.0.1:1")
    assert "lines" not in str(caught.value)
