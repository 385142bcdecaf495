"""A TRON node asked over its HTTP API (java-tron, TronGrid).

An API key comes from the environment variable TRON_PRO_API_KEY alone and goes out in the header of that name. Messages
show scheme, host and port of the node, never its path, which may be a key too.
"""

from __future__ import annotations

import http.client
import json
import os
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final
from urllib.parse import SplitResult, urlsplit

from calibar.chains.tron.jsonfields import parse, said
from calibar.chains.tron.source import TronSource
from calibar.errors import DecodeError, UsageError

KEY_VARIABLE: Final = "TRON_PRO_API_KEY"
LARGEST_ANSWER: Final = 128 << 20
"""Bytes; the infos of the fullest blocks have a few tens of megabytes."""

_TIMEOUT: Final = 30.0
_DEADLINE: Final = 120.0
_TRIES: Final = 5
_LONGEST_PAUSE: Final = 30.0
_CHUNK: Final = 1 << 16
_TRY_AGAIN: Final = frozenset({408, 425, 429, 500, 502, 503, 504})


class _PassingError(Exception):
    """A fault that may pass: asked again after a pause of at least `pause` seconds.

    `stale`: a connection that had been kept was closed meanwhile; no pause is needed.
    """

    def __init__(self, message: str, pause: float = 0.0, *, stale: bool = False) -> None:
        super().__init__(message)
        self.pause = pause
        self.stale = stale


class HttpNode:
    """A node's HTTP API at a base URL (`https://api.trongrid.io`, `http://127.0.0.1:8090`)."""

    def __init__(
        self, url: str, *, timeout: float = _TIMEOUT, deadline: float = _DEADLINE,
        pause: Callable[[float], None] = time.sleep, largest: int = LARGEST_ANSWER,
    ) -> None:  # fmt: skip
        """`timeout` is for each wait, `deadline` for a whole answer, both in seconds. Raises UsageError for no URL."""
        parts, self._port = _split(url)
        self._tls = parts.scheme == "https"
        self._host = parts.hostname or ""
        shown = f"[{self._host}]" if ":" in self._host else self._host
        self.name = f"{parts.scheme}://{shown}:{self._port}"
        self._path = parts.path.rstrip("/").removesuffix("/wallet")
        self._key = os.environ.get(KEY_VARIABLE, "").strip()
        if not all(33 <= ord(character) <= 126 for character in self._key):
            raise UsageError(f"{KEY_VARIABLE} holds characters that no key has; set it again")
        self._secrets = [secret for secret in (self._key, self._path.strip("/")) if secret]
        self._timeout, self._deadline, self._pause, self._largest = timeout, deadline, pause, largest
        self._connection: http.client.HTTPConnection | None = None

    def close(self) -> None:
        """Close the connection."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def ask(self, path: str, body: Mapping[str, object]) -> object:
        """The JSON answer of `path`, asked up to five times. Raises UsageError or DecodeError, in one line."""
        for attempt in range(_TRIES):
            try:
                return self._ask(path, body)
            except _PassingError as e:
                self.close()
                if attempt == _TRIES - 1:
                    raise UsageError(f"{self.name}{path}: {e}, {_TRIES} times; try again later") from None
                if not e.stale:
                    self._pause(min(max(0.5 * 2**attempt, e.pause), _LONGEST_PAUSE))
            except BaseException:
                self.close()
                raise
        raise AssertionError

    def _ask(self, path: str, body: Mapping[str, object]) -> object:
        what = f"{self.name}{path}"
        headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if self._key:
            headers["TRON-PRO-API-KEY"] = self._key
        kept = self._connection is not None
        connection = self._connected()
        end = time.monotonic() + self._deadline
        watch = threading.Timer(self._deadline, _cut, [connection])
        watch.daemon = True
        watch.start()
        try:
            connection.request("POST", self._path + path, json.dumps(body), headers)
            response = connection.getresponse()
            data = self._read(response, end, what)
        except TimeoutError:
            raise _PassingError(f"no answer within {self._timeout:g} seconds") from None
        except (http.client.HTTPException, OSError) as e:
            reason = self._clean(getattr(e, "strerror", None) or str(e) or type(e).__name__)
            stale = kept and isinstance(e, ConnectionError)
            raise _PassingError(f"no answer ({reason})", stale=stale) from None
        finally:
            late = watch.finished.is_set()
            watch.cancel()
        if late:
            raise _PassingError(f"the answer took over {self._deadline:g} seconds")
        self._judge(response, data, what)
        kind = response.getheader("Content-Type", "")
        if data.lstrip()[:1] == b"<" or "html" in kind:
            raise DecodeError(f"{what}: a web page instead of JSON; give the address of a node's HTTP API")
        if len(self._key) >= 8 and self._key.encode() in data:
            raise DecodeError(f"{what}: the answer repeats the API key; refused")
        answer = parse(data, what)
        if isinstance(answer, dict) and "blockID" not in answer and (answer.get("Error") or answer.get("error")):
            words = self._words(data)
            if "frequency" in words:
                raise _PassingError(f"it limits requests{words}")
            raise DecodeError(f"{what}: the node answers with an error{words}")
        return answer

    def _judge(self, response: http.client.HTTPResponse, data: bytes, what: str) -> None:
        status = response.status
        if status == 200:
            return
        words = self._words(data)
        if status in _TRY_AGAIN or (status == 403 and "frequency" in words):
            wait = response.getheader("Retry-After", "")
            limited = status in (403, 429)
            hint = (
                f"; it limits requests, a key in {KEY_VARIABLE} raises the limit" if limited and not self._key else ""
            )
            raise _PassingError(
                f"it answers {status}{words}{hint}", float(wait) if wait.isdecimal() and len(wait) < 6 else 0
            )
        if status in (401, 403):
            advice = f"check the key in {KEY_VARIABLE}" if self._key else f"set an API key in {KEY_VARIABLE}"
            raise UsageError(f"{what}: it refuses ({status}{words}); {advice}")
        if status in (301, 302, 303, 307, 308):
            raise UsageError(f"{what}: it sends elsewhere ({status}); give the address it sends to, if you trust it")
        raise UsageError(f"{what}: it answers {status}{words}; is this a TRON node's HTTP API?")

    def _read(self, response: http.client.HTTPResponse, end: float, what: str) -> bytes:
        length = response.getheader("Content-Length", "")
        if length.isdecimal() and (len(length) > 18 or int(length) > self._largest):
            raise DecodeError(f"{what}: an answer of {said(length[:20])} bytes is over {self._largest}; refused")
        data = bytearray()
        while chunk := response.read1(_CHUNK):
            data += chunk
            if len(data) > self._largest:
                raise DecodeError(f"{what}: an answer of over {self._largest} bytes; refused")
            if time.monotonic() > end:
                raise _PassingError(f"the answer took over {self._deadline:g} seconds")
        if response.length:
            raise _PassingError("the answer was cut off")
        response.close()  # else the connection cannot be used again: read1 does not do it
        return bytes(data)

    def _connected(self) -> http.client.HTTPConnection:
        if self._connection is None:
            make = http.client.HTTPSConnection if self._tls else http.client.HTTPConnection
            self._connection = make(self._host, self._port, timeout=self._timeout)
        return self._connection

    def _words(self, data: bytes) -> str:
        text = data[:4_000].decode("utf-8", "replace")
        if text.lstrip()[:1] == "<":
            return ""
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            document = text
        if isinstance(document, dict):
            document = document.get("Error") or document.get("error") or document.get("message") or ""
        cleaned = self._clean(str(document))
        return f", {cleaned!r}" if cleaned else ""

    def _clean(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "…")
        return said(text)


def _cut(connection: http.client.HTTPConnection) -> None:
    """Ends a request that takes too long, however slowly bytes still come."""
    with suppress(OSError, AttributeError):
        connection.sock.shutdown(socket.SHUT_RDWR)


def _split(url: str) -> tuple[SplitResult, int]:
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise UsageError("the node's address is not a URL; give one like http://127.0.0.1:8090") from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise UsageError("the node's address must begin with http:// or https:// and name a host")
    if parts.username is not None or parts.password is not None:
        raise UsageError(
            f"{parts.scheme}://{parts.hostname}: user and password in a TRON node's address are not supported"
        )
    if parts.query or parts.fragment:
        raise UsageError(f"{parts.scheme}://{parts.hostname}: a TRON node's address has no ? or #; leave that out")
    if not all(33 <= ord(character) <= 126 for character in parts.path + parts.hostname):
        raise UsageError("the node's address has characters that a URL does not have")
    return parts, port or (443 if parts.scheme == "https" else 80)


def http_source(url: str, network: str | None = None) -> TronSource:
    """Blocks of the node at `url`. Raises UsageError where it cannot be reached or is of another network."""
    return TronSource(HttpNode(url), network)
