"""OLE containers: old workbooks, and new ones behind a password."""

from __future__ import annotations

import struct
from array import array
from typing import Final, NamedTuple

from calibar.errors import DecodeError

SIGNATURE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_MOST_NAMES: Final = 100_000
_LAST: Final = 0xFFFFFFFA
"""From here on a number says something else than the next sector."""
_SMALL: Final = 4096
"""Streams shorter than this lie in the small sectors."""


class _Entry(NamedTuple):
    name: str
    kind: int
    left: int
    right: int
    child: int
    start: int
    size: int


class Compound:
    """The names inside, and the streams at the top."""

    def __init__(self, data: bytes, name: str) -> None:
        self._data, self._name = data, name
        if len(data) < 512 or not data.startswith(SIGNATURE):
            raise self._damaged()
        shift, small_shift = struct.unpack_from("<HH", data, 30)
        if shift not in {9, 12} or small_shift != 6:
            raise self._damaged()
        self._sector = 1 << shift
        self._next = self._allocation()
        directory = self._chain(struct.unpack_from("<I", data, 48)[0])
        self._entries = [_entry(directory, at) for at in range(0, len(directory) - 127, 128)]
        if not self._entries or len(self._entries) > _MOST_NAMES:
            raise self._damaged()
        self._small_next = self._numbers(self._chain(struct.unpack_from("<I", data, 60)[0]))
        self._small: bytes | None = None

    @property
    def names(self) -> set[str]:
        """Of all that is inside, at any depth, in lower case."""
        return {entry.name.lower() for entry in self._entries if entry.kind}

    def stream(self, name: str) -> bytes | None:
        """A stream at the top; None where there is none of this name."""
        seen, waiting = set(), [self._entries[0].child]
        while waiting:
            at = waiting.pop()
            if at >= len(self._entries) or at in seen:
                continue
            seen.add(at)
            entry = self._entries[at]
            waiting += [entry.left, entry.right]
            if entry.kind == 2 and entry.name.lower() == name.lower():
                return self._content(entry)
        return None

    def _content(self, entry: _Entry) -> bytes:
        if entry.size >= _SMALL:
            found = self._chain(entry.start)
        else:
            if self._small is None:
                self._small = self._chain(self._entries[0].start)
            parts, at = [], entry.start
            for _ in range(_SMALL // 64):
                if at >= _LAST:
                    break
                if at >= len(self._small_next):
                    raise self._damaged()
                parts.append(self._small[at * 64 : at * 64 + 64])
                at = self._small_next[at]
            found = b"".join(parts)
        if len(found) < entry.size:
            raise self._damaged()
        return found[: entry.size]

    def _allocation(self) -> array[int]:
        header = self._data[:512]
        places = [at for at in struct.unpack_from("<109I", header, 76) if at < _LAST]
        more, count = struct.unpack_from("<I", header, 68)[0], 0
        while more < _LAST:
            numbers = self._numbers(self._at(more))
            places += [at for at in numbers[:-1] if at < _LAST]
            more, count = numbers[-1], count + 1
            if count * self._sector > len(self._data):
                raise self._damaged()
        if len(places) * self._sector > len(self._data):
            raise self._damaged()
        return self._numbers(b"".join(self._at(place) for place in places))

    def _chain(self, at: int) -> bytes:
        parts: list[bytes] = []
        while at < _LAST:
            if at >= len(self._next) or len(parts) * self._sector > len(self._data):
                raise self._damaged()
            parts.append(self._at(at))
            at = self._next[at]
        return b"".join(parts)

    def _at(self, sector: int) -> bytes:
        start = (sector + 1) * self._sector
        found = self._data[start : start + self._sector]
        if not found:
            raise self._damaged()
        return found.ljust(self._sector, b"\0")

    def _numbers(self, data: bytes) -> array[int]:
        found = array("I")
        found.frombytes(data[: len(data) // 4 * 4])
        if struct.pack("=I", 1) != struct.pack("<I", 1):
            found.byteswap()
        return found

    def _damaged(self) -> DecodeError:
        return DecodeError(f"{self._name}: the container of the workbook is damaged or cut off: have it sent again")


def _entry(directory: bytes, at: int) -> _Entry:
    length = min(max(struct.unpack_from("<H", directory, at + 64)[0] - 2, 0), 62)
    name = directory[at : at + length].decode("utf-16-le", "replace")
    left, right, child = struct.unpack_from("<3I", directory, at + 68)
    start, size = struct.unpack_from("<II", directory, at + 116)
    return _Entry(name, directory[at + 66], left, right, child, start, size)
