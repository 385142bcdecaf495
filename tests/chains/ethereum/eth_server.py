"""A small JSON-RPC node on the loopback, that can also be made to misbehave."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from calibar.chains.ethereum.jsonrpc import Node

Answer = Callable[[str, list[Any]], Any]


class MissingError(Exception):
    """The node does not offer the method."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: LocalNode

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append((self.path, self.headers.get("Authorization"), asked))
        trick = self.server.tricks.pop(0) if self.server.tricks else None
        if trick is not None:
            trick(self)
            return
        if isinstance(asked, list):
            reply: object = [self._one(one) for one in reversed(asked)]
            if not self.server.batches:
                reply = {"jsonrpc": "2.0", "id": None, "error": {"code": -32600, "message": "no batches"}}
        else:
            reply = self._one(asked)
        send(self, json.dumps(reply).encode())

    def _one(self, asked: dict[str, Any]) -> dict[str, Any]:
        try:
            return {"jsonrpc": "2.0", "id": asked["id"], "result": self.server.answer(asked["method"], asked["params"])}
        except MissingError:
            error = {"code": -32601, "message": "the method does not exist"}
            return {"jsonrpc": "2.0", "id": asked["id"], "error": error}

    def log_message(self, *_: object) -> None:
        pass


def send(handler: BaseHTTPRequestHandler, body: bytes, status: int = 200, **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


class LocalNode(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer: Answer = lambda method, params: "0x1"
        self.batches = True
        self.tricks: list[Callable[[BaseHTTPRequestHandler], None] | None] = []
        self.seen: list[tuple[str, str | None, Any]] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}"

    def handle_error(self, *_: object) -> None:
        pass  # clients that hang up are part of the tests


@contextmanager
def serving() -> Iterator[LocalNode]:
    server = LocalNode()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def node(server: LocalNode, **options: Any) -> Node:
    return Node(server.url, sleep=lambda _: None, **options)
