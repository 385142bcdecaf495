"""Lines over a socket, both ways at once: what is to go out never waits for what comes in, nor the other way round."""

from __future__ import annotations

import selectors
import socket
import ssl
import time
from contextlib import suppress
from typing import Final

from calibar.chains.remote.wire import AwayError, reason
from calibar.errors import DecodeError

_CHUNK: Final = 1 << 16
_NOT_NOW: Final = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Lines:
    """Lines of at most `largest` bytes."""

    def __init__(self, found: socket.socket, largest: int) -> None:
        self._socket, self._largest = found, largest
        self._in, self._out, self._scanned = bytearray(), bytearray(), 0
        found.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(found, selectors.EVENT_READ)

    def put(self, line: bytes) -> None:
        """Have a line go out with the next `take`."""
        self._out += line + b"\n"

    def take(self, deadline: float) -> bytes | None:
        """The next line; None where none is whole by `deadline` (`time.monotonic()`).

        Raises AwayError where the connection ends, DecodeError where a line is too long.
        """
        while (end := self._in.find(b"\n", self._scanned)) < 0:
            self._scanned = len(self._in)
            if self._scanned > self._largest:
                raise DecodeError(f"an answer is over {self._largest >> 20} MB; it is not read")
            left = deadline - time.monotonic()
            try:
                moved = self._send()
                moved = self._receive() or moved
            except OSError as error:
                raise AwayError(reason(error)) from None
            if moved:
                if left <= 0 and b"\n" not in self._in:
                    return None
            elif left <= 0:
                return None
            else:
                self._selector.modify(
                    self._socket, selectors.EVENT_READ | (selectors.EVENT_WRITE if self._out else 0)
                )  # fmt: skip
                self._selector.select(left)
        line = bytes(self._in[:end])
        del self._in[: end + 1]
        self._scanned = 0
        return line

    def close(self) -> None:
        """Hang up."""
        with suppress(OSError, ValueError, KeyError):
            self._selector.close()
        self._socket.close()

    def _send(self) -> bool:
        if not self._out:
            return False
        try:
            sent = self._socket.send(bytes(self._out[:_CHUNK]))
        except _NOT_NOW:
            return False
        del self._out[:sent]
        return sent > 0

    def _receive(self) -> bool:
        try:
            data = self._socket.recv(_CHUNK * 4)
        except _NOT_NOW:
            return False
        if not data:
            raise ConnectionError
        self._in += data
        return True
