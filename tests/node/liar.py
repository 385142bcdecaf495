"""An Electrum server that lies: a real one behind a proxy on the loopback address that alters some of its answers."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable
from typing import Any

Alter = Callable[[str, list[Any], Any], Any]
"""Method, parameters and the true result; gives the result that is told, or raises Cut."""


class Cut(Exception):  # noqa: N818 - what it says to do
    """Hang up instead of answering."""


class Garbage(Exception):  # noqa: N818
    """Answer with these bytes instead."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self.data = data


class Liar:
    """Listens while the context lasts; `lies` counts answers that were altered."""

    def __init__(self, port: int, alter: Alter) -> None:
        self._port, self._alter = port, alter
        self._server = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self.lies = 0
        self.failed: Exception | None = None
        self.url = f"tcp://127.0.0.1:{self._server.getsockname()[1]}"
        """The proxy's address."""
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Liar:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()
        for each in self._open:
            _hang_up(each)
        if self.failed is not None:
            raise self.failed

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._server.accept()
                server = socket.create_connection(("127.0.0.1", self._port))
            except OSError:
                return
            self._open += [client, server]
            asked: dict[Any, tuple[str, list[Any]]] = {}
            threading.Thread(target=self._forth, args=(client, server, asked), daemon=True).start()
            threading.Thread(target=self._back, args=(client, server, asked), daemon=True).start()

    def _forth(self, client: socket.socket, server: socket.socket, asked: dict[Any, tuple[str, list[Any]]]) -> None:
        try:
            for line in client.makefile("rb"):
                request = json.loads(line)
                asked[request.get("id")] = (request["method"], request["params"])
                server.sendall(line)
        except (OSError, ValueError):
            pass

    def _back(self, client: socket.socket, server: socket.socket, asked: dict[Any, tuple[str, list[Any]]]) -> None:
        try:
            for line in server.makefile("rb"):
                answer = json.loads(line)
                known = asked.get(answer.get("id"))
                if known is not None and "result" in answer:
                    told = self._alter(known[0], known[1], answer["result"])
                    self.lies += told != answer["result"]
                    answer["result"] = told
                client.sendall(json.dumps(answer).encode() + b"\n")
        except Cut:
            self.lies += 1
        except Garbage as garbage:
            self.lies += 1
            client.sendall(garbage.data)
        except (OSError, ValueError):
            pass
        except Exception as error:
            self.failed = error
        for each in (client, server):
            _hang_up(each)


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)  # who still reads from it is told
    end.close()
