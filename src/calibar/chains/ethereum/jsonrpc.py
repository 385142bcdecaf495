"""JSON-RPC over HTTP: questions in batches, with bounds on size and time, patience with busy nodes, clear refusals."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Final, NamedTuple, NoReturn, Protocol, TypeVar
from urllib.parse import unquote, urlsplit

from calibar.errors import DecodeError, UsageError

T = TypeVar("T")

_BUSY: Final = frozenset((408, 425, 429, 500, 502, 503, 504, 520, 522, 524))
_LIMITED: Final = frozenset((-32005, -32016, -32029, 429))
_TOO_MUCH: Final = ("more than", "results", "block range")
"""In refusals of one long answer: to come again later is no use."""
_UNKNOWN_METHOD: Final = ("method not found", "does not exist", "not available", "not supported", "unsupported method",
                          "not whitelisted", "not allowed", "unknown method", "not recorded")  # fmt: skip


class Question(NamedTuple):
    """A method and its parameters."""

    method: str
    params: tuple[object, ...]


@dataclass(frozen=True, slots=True)
class Refusal:
    """The error that a node answers with."""

    code: int
    message: str

    @property
    def unknown_method(self) -> bool:
        """Whether the node does not offer the method at all."""
        text = self.message.lower()
        return self.code == -32601 or ("method" in text and any(words in text for words in _UNKNOWN_METHOD))

    @property
    def limited(self) -> bool:
        """Whether it asks to come again later."""
        text = self.message.lower()
        if any(words in text for words in _TOO_MUCH):
            return False
        return self.code in _LIMITED or "rate limit" in text or "too many requests" in text


class Answers(Protocol):
    """Who answers questions: a node, or a recording of one."""

    place: str
    """For messages, without secrets."""

    def ask(self, questions: Sequence[Question]) -> list[object]:
        """An answer for each, a Refusal where it refuses. Raises DecodeError or UsageError where there are none."""


class TooLargeError(DecodeError):
    """An answer is over the bound on its size; fewer questions at a time may help."""


class _AgainError(Exception):
    """Worth another try, after so many seconds where the node says so."""

    def __init__(self, why: str, after: float | None = None):
        super().__init__(why)
        self.after = after


@dataclass(slots=True)
class Node:
    """A node by its URL; keeps one connection open. Not for use by several threads at once."""

    url: str = field(repr=False)
    largest: int = 256 << 20
    """Bytes of one answer."""
    timeout: float = 120.0
    """Seconds for one answer."""
    patience: float = 60.0
    """Seconds spent waiting, in all tries of one question, for a node that is busy or away."""
    sleep: Callable[[float], None] = time.sleep
    always_batches: bool = False
    """Whether one question is a batch too: Bitcoin Core gives an error of a single one the status of a busy node."""
    place: str = field(init=False)
    _connection: http.client.HTTPConnection | None = field(init=False, default=None)
    _secure: bool = field(init=False)
    _host: str = field(init=False)
    _port: int | None = field(init=False)
    _path: str = field(init=False, repr=False)
    _headers: dict[str, str] = field(init=False, repr=False)
    _batches: bool = field(init=False, default=True)
    _reached: bool = field(init=False, default=False)
    _next: int = field(init=False, default=1)

    def __post_init__(self) -> None:
        """Take the URL apart. Raises UsageError."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise UsageError("the node's address is not a URL like http://localhost:8545") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise UsageError("the node's address is not a URL like http://localhost:8545")
        self._secure, self._host, self._port = parts.scheme == "https", parts.hostname, port
        host = f"[{self._host}]" if ":" in self._host else self._host
        self.place = f"{parts.scheme}://{host}" + (f":{port}" if port else "")
        self._path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        if any(ord(letter) <= 32 or ord(letter) > 126 for letter in self._path + self._host):
            raise UsageError(f"the address of the node at {self.place!a} has characters that a URL must escape")
        self._headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "calibar"}
        if parts.username is not None:
            pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
            self._headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()

    def ask(self, questions: Sequence[Question]) -> list[object]:
        """An answer for each question; waits and tries again where the node is busy."""
        if self._batches and len(questions) > (0 if self.always_batches else 1):
            answers = self._patiently(partial(self._batch, questions))
            if answers is not None:
                return answers
            self._batches = False
        return [self._patiently(partial(self._single, question)) for question in questions]

    def close(self) -> None:
        """Close the connection; the next question opens another."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # the URL was refused
            self.close()

    def _patiently(self, attempt: Callable[[], T]) -> T:
        waited, pause = 0.0, 0.25
        while True:
            try:
                return attempt()
            except _AgainError as why:
                self.close()
                rest = max(why.after or 0.0, pause)
                if waited + rest > self.patience:
                    raise UsageError(f"{self.place}: {why}; try later, or name another node") from None
                self.sleep(rest)
                waited, pause = waited + rest, pause * 2

    def _number(self, question: Question) -> dict[str, object]:
        self._next += 1
        return {"jsonrpc": "2.0", "id": self._next, "method": question.method, "params": list(question.params)}

    def _single(self, question: Question) -> object:
        asked = self._number(question)
        reply = self._exchange(asked)
        if not isinstance(reply, dict) or reply.get("id") not in (asked["id"], None):
            self._wrong("it answers another question than was asked")
        answer = self._answer(reply)
        if isinstance(answer, Refusal) and answer.limited:
            raise _AgainError("it limits how much it is asked")
        return answer

    def _batch(self, questions: Sequence[Question]) -> list[object] | None:
        """None where the node takes no batches."""
        asked = [self._number(question) for question in questions]
        try:
            reply = self._exchange(asked)
        except _StatusError:
            return None
        if isinstance(reply, dict):
            answer = self._answer(reply)
            if isinstance(answer, Refusal) and answer.limited:
                raise _AgainError("it limits how much it is asked")
            return None
        if not isinstance(reply, list):
            self._wrong("its answer is not JSON-RPC")
        by_id: dict[object, object] = {}
        for entry in reply:
            key = entry.get("id") if isinstance(entry, dict) else None
            if not isinstance(key, int) or key in by_id:
                self._wrong("it answers a question twice, or one that was not asked")
            by_id[key] = self._answer(entry)
        if by_id.keys() != {one["id"] for one in asked}:
            self._wrong(f"it answers {len(by_id)} of {len(asked)} questions")
        answers = [by_id[one["id"]] for one in asked]
        if any(isinstance(answer, Refusal) and answer.limited for answer in answers):
            raise _AgainError("it limits how much it is asked")
        return answers

    def _answer(self, reply: object) -> object:
        if isinstance(reply, dict):
            error = reply.get("error")
            if isinstance(error, dict):
                code, message = error.get("code"), error.get("message")
                return Refusal(code if type(code) is int else 0, clean(str(message), 200))
            if error is not None:
                return Refusal(0, clean(str(error), 200))
            if "result" in reply:
                return reply["result"]
        return self._wrong("its answer is not JSON-RPC")

    def _wrong(self, what: str) -> NoReturn:
        raise DecodeError(f"{self.place}: {what}; is this the address of a node's JSON-RPC?")

    def _exchange(self, asked: object) -> object:
        body = self._post(json.dumps(asked, separators=(",", ":")).encode())
        try:
            return json.loads(body, parse_constant=_no_constant)
        except RecursionError:
            raise NestedError(f"{self.place}: an answer nests too deeply to be read") from None
        except ValueError:
            page = body.lstrip()[:1] == b"<"
        return self._wrong("it answers with " + ("a web page" if page else "something not JSON, or cut off"))

    def _post(self, body: bytes) -> bytes:
        expired = threading.Event()
        connection = self._connection or self._connect()
        self._connection = connection

        def expire() -> None:
            expired.set()
            if connection.sock is not None:
                with contextlib.suppress(OSError):
                    connection.sock.shutdown(socket.SHUT_RDWR)

        watch = threading.Timer(self.timeout, expire)
        watch.daemon = True
        watch.start()
        try:
            return self._ask_once(connection, body)
        except ssl.SSLCertVerificationError as error:
            raise UsageError(
                f"{self.place}: its certificate is not good ({clean(error.verify_message, 100)})"
            ) from None
        except (OSError, http.client.HTTPException, _AgainError) as error:
            if expired.is_set():
                raise _AgainError(f"it did not finish its answer in {self.timeout:g} seconds") from None
            if isinstance(error, ConnectionRefusedError | socket.gaierror) and not self._reached:
                raise UsageError(f"{self.place}: {_why(error)}; is a node running there?") from None
            raise error if isinstance(error, _AgainError) else _AgainError(_why(error)) from None
        except BaseException:
            self.close()
            raise
        finally:
            watch.cancel()

    def _ask_once(self, connection: http.client.HTTPConnection, body: bytes) -> bytes:
        used = connection.sock is not None
        try:
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
        except (ConnectionError, http.client.RemoteDisconnected):
            if not used:
                raise
            connection.close()  # the node closed a connection that lay idle
            connection.request("POST", self._path, body, self._headers)
            response = connection.getresponse()
        self._reached = True
        return self._body(response)

    def _connect(self) -> http.client.HTTPConnection:
        kind = http.client.HTTPSConnection if self._secure else http.client.HTTPConnection
        return kind(self._host, self._port, timeout=min(self.timeout, 30.0))

    def _body(self, response: http.client.HTTPResponse) -> bytes:
        parts, size = [], 0
        while part := response.read(1 << 20):
            size += len(part)
            if size > self.largest:
                raise TooLargeError(f"{self.place}: an answer is over {self.largest >> 20} MB; it is not read")
            parts.append(part)
        status = response.status
        if response.length:
            raise _AgainError("it cut its answer off")
        if response.will_close:
            self.close()
        if status == 200:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                self._wrong("it answers in an encoding that was not asked for")
            return b"".join(parts)
        if status in _BUSY:
            after = response.headers.get("Retry-After", "")
            known = {429: "it limits how much it is asked", 503: "it is busy"}
            why = known.get(status, "it has trouble") + f" (HTTP {status})"
            raise _AgainError(why, min(float(after), 600.0) if after.isascii() and after.isdecimal() else None)
        if status in (401, 403):
            raise UsageError(f"{self.place}: it wants other credentials (HTTP {status}); see its key in the address")
        if status // 100 == 3:
            raise UsageError(f"{self.place}: it sends elsewhere (HTTP {status}); name the node's own address")
        raise _StatusError(f"{self.place}: it answers HTTP {status}; is this the address of a node's JSON-RPC?")


class _StatusError(DecodeError):
    """An HTTP status that another question may not have."""


class NestedError(DecodeError):
    """JSON that nests too deeply to be read."""


def clean(text: str, longest: int) -> str:
    """A text from outside as one line of printable characters, cut to `longest`."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    return " ".join(shown.split())[:longest]


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it does not answer in time"
    if isinstance(error, ConnectionRefusedError):
        return "nothing listens there"
    if isinstance(error, socket.gaierror):
        return "its name is not known"
    if isinstance(error, http.client.IncompleteRead | ConnectionError | http.client.RemoteDisconnected):
        return "it cut the connection"
    return clean(f"no connection ({getattr(error, 'strerror', None) or type(error).__name__})", 150)
