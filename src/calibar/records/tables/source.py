"""Where the bytes of a table come from: a file, or one inside a zipped delivery. And how much of them is read."""

from __future__ import annotations

import io
import tempfile
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from calibar.errors import DecodeError, UsageError

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

LARGEST: Final = 1 << 30
"""Bytes of a file, and of all that it unpacks to."""
MOST_ROWS: Final = 5_000_000
MOST_COLUMNS: Final = 1000
MOST_SHEETS: Final = 1000
LONGEST_TEXT: Final = 131_072
"""Characters of a cell; Excel writes 32,767 at most."""
IN_MEMORY: Final = 256 << 20
"""Bytes of a file that has to be held as a whole (XLS, PDF)."""
_SPOOLED: Final = 32 << 20


@dataclass
class Allowance:
    """What a delivery may still unpack to, over all that lies inside it."""

    left: int

    def take(self, size: int, name: str) -> None:
        """Raises DecodeError where it is spent."""
        self.left -= size
        if self.left < 0:
            raise DecodeError(
                f"{name}: it unpacks to more than {LARGEST >> 30} GiB: a zip bomb, or too much: give its files apart"
            )


class NoTableError(UsageError):
    """A file of a kind in which no table is read; in a delivery it is passed over."""


class Source(Protocol):
    """Bytes that can be read more than once."""

    name: str
    allowance: Allowance

    def open(self) -> BinaryIO:
        """From the start; can seek."""


@dataclass
class OnDisk:
    """A file as handed in."""

    path: Path
    name: str
    allowance: Allowance

    def open(self) -> BinaryIO:
        """Raises UsageError where it cannot be opened."""
        try:
            return self.path.open("rb")
        except OSError as error:
            raise UsageError(f"{self.name}: it cannot be read: {error.strerror or error}") from None


class Unpacked:
    """A file of a delivery: in memory while it is small, else in a temporary file without a name."""

    def __init__(self, name: str, allowance: Allowance) -> None:
        self.name, self.allowance = name, allowance
        self._held = tempfile.SpooledTemporaryFile(max_size=_SPOOLED)  # noqa: SIM115 - lives as long as its tables
        self._size = 0

    def add(self, data: bytes) -> None:
        """More of it, at the end."""
        self._held.seek(self._size)
        self._size += self._held.write(data)

    def open(self) -> BinaryIO:
        """A reader with a place of its own."""
        return io.BufferedReader(_View(self))

    def read_at(self, place: int, count: int) -> bytes:
        """At most `count` bytes from `place` on."""
        self._held.seek(place)
        return self._held.read(count)

    def __len__(self) -> int:
        return self._size

    def __del__(self) -> None:
        self._held.close()


class _View(io.RawIOBase):
    def __init__(self, of: Unpacked) -> None:
        self._of, self._place = of, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: len(self._of)}[whence]
        self._place = max(0, start + offset)
        return self._place

    def tell(self) -> int:
        return self._place

    def readinto(self, buffer: WriteableBuffer) -> int:
        into = memoryview(buffer).cast("B")
        data = self._of.read_at(self._place, len(into))
        into[: len(data)] = data
        self._place += len(data)
        return len(data)


def whole(source: Source, most: int = IN_MEMORY) -> bytes:
    """All bytes. Raises DecodeError where there are more than `most`."""
    with source.open() as stream:
        data = stream.read(most + 1)
    if len(data) > most:
        raise DecodeError(f"{source.name}: it is larger than {most >> 20} MB: export a shorter period")
    return data


def printable(text: str) -> str:
    """A name from a file, of one line and without signs that steer a terminal or turn the writing direction."""
    return "".join("\ufffd" if unicodedata.category(sign) in _UNSHOWN else sign for sign in text)


_UNSHOWN: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
