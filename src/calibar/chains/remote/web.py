"""Bounded HTTP/1.1: a few connections kept open, limits on size and time, patience with servers that are busy."""

from __future__ import annotations

import http.client
import ssl
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

from calibar.chains.remote.address import Address
from calibar.chains.remote.wire import AwayError, Timed, connect, reason
from calibar.errors import DecodeError, UsageError

T = TypeVar("T")

_BUSY: Final = frozenset((408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524))
_REFUSALS: Final = frozenset((400, 404, 422))
_CHUNK: Final = 1 << 16
_PAGES: Final = (b"<!doctype", b"<html", b"<head", b"<?xml")


class Reply(NamedTuple):
    """What a server answers, or why it refuses (400, 404, 422)."""

    status: int
    body: bytes


class _Connection(NamedTuple):
    http: http.client.HTTPConnection
    timed: Timed
    used: bool


class Web:
    """A web API. Several threads may ask at once."""

    def __init__(
        self, address: Address, *, timeout: float = 60.0, patience: float = 60.0, connections: int = 6,
        sleep: Callable[[float], object] | None = None,
    ) -> None:  # fmt: skip
        """`timeout`: seconds for a whole answer; `patience`: of waiting for a busy server, all its tries together."""
        self.address, self.place = address, address.place
        self._timeout, self._patience, self._connections = timeout, patience, connections
        self._sleep = sleep or self._rest
        self._lock = threading.Lock()
        self._thread = threading.local()
        self._idle: list[_Connection] = []
        self._busy: dict[Timed, threading.Event] = {}
        self._resume_at = 0.0
        self._reached = False
        self._headers = {"Host": address.host_header, "User-Agent": "calibar", "Accept-Encoding": "identity"}
        if address.authorization:
            self._headers["Authorization"] = address.authorization

    def get(self, path: str, largest: int) -> Reply:
        """What stands at `path`, of at most `largest` bytes.

        Raises UsageError where the server cannot be used (now), DecodeError where it does not answer as a web API does.
        """
        return self._patiently("GET", path, None, largest)

    def post(self, path: str, body: bytes, largest: int) -> Reply:
        """What it answers to a JSON body, which may reach it twice. Raises as `get` does."""
        return self._patiently("POST", path, body, largest)

    def in_order(self, jobs: Sequence[Callable[[], T]]) -> Iterator[T]:
        """The results of jobs that ask, several at once, in their order."""
        if len(jobs) < 2:
            yield from (job() for job in jobs)
            return
        given_up = threading.Event()
        threads = min(self._connections, len(jobs))
        pool = ThreadPoolExecutor(threads, "calibar-web", lambda: setattr(self._thread, "given_up", given_up))
        ahead: deque[Future[T]] = deque()
        try:
            for job in jobs:
                ahead.append(pool.submit(job))
                if len(ahead) > 2 * self._connections:
                    yield ahead[0].result()
                    ahead.popleft()
            while ahead:
                yield ahead[0].result()
                ahead.popleft()
        finally:
            if ahead:  # who asks has enough, or one of the jobs failed
                given_up.set()
                pool.shutdown(wait=False, cancel_futures=True)
                self._cut(given_up)
            pool.shutdown()

    def close(self) -> None:
        """Hang up."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.timed.hang_up()

    @property
    def _given_up(self) -> threading.Event:
        """Whether nobody waits any more for what this thread asks."""
        given_up = getattr(self._thread, "given_up", None)
        if given_up is None:
            given_up = self._thread.given_up = threading.Event()
        return given_up

    def _rest(self, seconds: float) -> None:
        self._given_up.wait(seconds)

    def _cut(self, given_up: threading.Event) -> None:
        with self._lock:
            for timed, whose in self._busy.items():
                if whose is given_up:
                    timed.cut()

    def _patiently(self, method: str, path: str, body: bytes | None, largest: int) -> Reply:
        waited, pause = 0.0, 0.5
        while True:
            rest = self._resume_at - time.monotonic()
            if rest > 0:
                self._sleep(rest)
            if self._given_up.is_set():
                raise UsageError(f"{self.place}: nobody waits for the answer")
            try:
                return self._once(method, path, body, largest)
            except AwayError as why:
                rest = max(why.after, pause)
                if why.never and not self._reached:
                    raise UsageError(f"{self.place}: {why}; is a server running there?") from None
                if self._given_up.is_set() or waited + rest > self._patience:
                    raise UsageError(f"{self.place}: {why}; try later, or name another server") from None
                if why.after:  # for all who ask
                    self._resume_at = max(self._resume_at, time.monotonic() + rest)
                else:
                    self._sleep(rest)
                waited, pause = waited + rest, pause * 2

    def _once(self, method: str, path: str, body: bytes | None, largest: int) -> Reply:
        query = f"?{self.address.query}" if self.address.query else ""
        target = (self.address.path + path or "/") + query
        headers = self._headers | ({} if body is None else {"Content-Type": "application/json"})
        deadline = time.monotonic() + self._timeout
        while True:
            connection = self._take()
            connection.timed.deadline = deadline
            whole = False
            try:
                connection.http.request(method, target, body, headers)
                response = connection.http.getresponse()
                self._reached = True
                status, data, whole = response.status, *_body(response, largest)
                whole = whole and not response.will_close
            except (ConnectionError, ssl.SSLEOFError) as error:
                if connection.used and not self._given_up.is_set():
                    continue  # it closed a connection that lay idle
                raise AwayError(reason(error)) from None
            except http.client.IncompleteRead:
                raise AwayError("it cut its answer off") from None
            except OSError as error:
                raise AwayError(reason(error)) from None
            except (http.client.HTTPException, ValueError):
                raise DecodeError(f"{self.place}: what answers there does not speak HTTP") from None
            finally:
                self._give_back(connection, keep=whole)
            return self._judged(response, status, data, largest)

    def _judged(self, response: http.client.HTTPResponse, status: int, data: bytes, largest: int) -> Reply:
        if status in _BUSY:
            after = response.headers.get("Retry-After", "")
            known = {429: "it limits how much it is asked", 503: "it is busy"}
            why = f"{known.get(status, 'it has trouble')} (HTTP {status})"
            raise AwayError(why, min(float(after), 3600.0) if after.isascii() and after.isdecimal() else 0.0)
        if status in (401, 403):
            raise UsageError(f"{self.place}: it lets nobody in without the right key (HTTP {status})")
        if status // 100 == 3:
            raise UsageError(f"{self.place}: it sends elsewhere (HTTP {status}); name the address of the API itself")
        if status != 200 and status not in _REFUSALS:
            raise DecodeError(f"{self.place}: it answers HTTP {status}; is this the address of the API?")
        kind = (response.headers.get("Content-Type") or "").lower()
        if "html" in kind or data[:64].lstrip().lower().startswith(_PAGES):
            raise DecodeError(f"{self.place}: a web page instead of an answer; give the address of the API itself")
        if (response.headers.get("Content-Encoding") or "identity").lower() != "identity":
            raise DecodeError(f"{self.place}: it answers in an encoding that was not asked for")
        if status == 200 and len(data) > largest:
            raise DecodeError(f"{self.place}: an answer is over {largest:,} bytes; it is not read")
        return Reply(status, data)

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                timed = Timed(connect(self.address, min(self._timeout, 30.0)))
                talking = http.client.HTTPConnection(self.address.host, self.address.port)
                talking.sock = timed
                talking.auto_open = 0
                connection = _Connection(talking, timed, used=False)
            elif not connection.timed.quiet():
                connection.timed.hang_up()
                continue
            with self._lock:
                self._busy[connection.timed] = self._given_up
            if self._given_up.is_set():  # since the others were cut
                self._give_back(connection, keep=False)
                raise AwayError("nobody waits for the answer")
            return connection

    def _give_back(self, connection: _Connection, *, keep: bool) -> None:
        with self._lock:
            self._busy.pop(connection.timed, None)
            if keep and len(self._idle) < self._connections:
                self._idle.append(connection._replace(used=True))
                return
        connection.http.close()
        connection.timed.hang_up()


def _body(response: http.client.HTTPResponse, largest: int) -> tuple[bytes, bool]:
    """One byte more than `largest` at most, and whether that was all. Raises IncompleteRead where it is cut off."""
    most = largest if response.status == 200 else _CHUNK
    parts, left = [], most + 1
    while left > 0 and (part := response.read(min(_CHUNK, left))):
        parts.append(part)
        left -= len(part)
    data = b"".join(parts)
    if left > 0 and response.length:
        raise http.client.IncompleteRead(data)
    return data, left > 0
