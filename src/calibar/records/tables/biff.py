"""The records of an XLS (Excel 97 to 2003), and texts that run over several of them."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from calibar.errors import DecodeError
from calibar.records.tables.source import LONGEST_TEXT

BOF: Final = 0x0809
EOF: Final = 0x000A
CONTINUE: Final = 0x003C


class Record(NamedTuple):
    """Its kind, and its bytes: more than one part where it was too long for one record."""

    kind: int
    parts: list[bytes]

    @property
    def data(self) -> bytes:
        """The first part, or all there is."""
        return self.parts[0]


def records(stream: bytes, at: int, where: str) -> Iterator[Record]:
    """From a place on. Raises DecodeError where the stream is cut off."""
    last: Record | None = None
    while at + 4 <= len(stream):
        kind, length = struct.unpack_from("<HH", stream, at)
        data = stream[at + 4 : at + 4 + length]
        if len(data) < length:
            break
        at += 4 + length
        if kind == CONTINUE and last is not None:
            last.parts.append(data)
            continue
        if last is not None:
            yield last
        last = Record(kind, [data])
    if last is not None and last.kind == EOF:
        yield last
    raise DecodeError(f"{where}: it ends in the middle: it is cut off; have it sent again")


class Texts:
    """Reads texts one after the other; each part begins anew with how wide its signs are."""

    def __init__(self, record: Record, at: int, where: str) -> None:
        self._parts, self._part, self._at, self._where = record.parts, 0, at, where

    def text(self, length_bytes: int = 2) -> str:
        """The next text, with its length before it."""
        length = int.from_bytes(self._plain(length_bytes), "little")
        if length > LONGEST_TEXT:
            raise self._damaged()
        flags = self._plain(1)[0]
        runs = int.from_bytes(self._plain(2), "little") if flags & 8 else 0
        phonetic = int.from_bytes(self._plain(4), "little") if flags & 4 else 0
        found, wide, count = [], flags & 1, 0
        while count < length:
            here = self._parts[self._part][self._at : self._at + ((length - count) << wide)]
            here = here[: len(here) >> wide << wide]
            self._at += len(here)
            count += len(here) >> wide
            found.append(here.decode("utf-16-le", "surrogatepass") if wide else here.decode("latin-1"))
            if count < length:
                self._turn()
                wide = self._plain(1)[0] & 1
        self._skip(runs * 4 + phonetic)
        return "".join(found).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _plain(self, count: int) -> bytes:
        if self._at >= len(self._parts[self._part]):
            self._turn()
        found = self._parts[self._part][self._at : self._at + count]
        self._at += len(found)
        if len(found) < count:
            self._turn()
            found += self._plain(count - len(found))
        return found

    def _skip(self, count: int) -> None:
        while count:
            here = min(count, len(self._parts[self._part]) - self._at)
            self._at, count = self._at + here, count - here
            if count:
                self._turn()

    def _turn(self) -> None:
        self._part, self._at = self._part + 1, 0
        if self._part >= len(self._parts):
            raise self._damaged()

    def _damaged(self) -> DecodeError:
        return DecodeError(f"{self._where}: a text is cut off: the file is damaged; have it sent again")
