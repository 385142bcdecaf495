"""ZIP containers that nobody vouches for: deliveries, XLSX and ODS. No name from inside is ever written to."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.source import LARGEST, Source, printable

MOST_ENTRIES: Final = 10_000
MOST_RATIO: Final = 250
"""Unpacked bytes to one packed; sheets of repeated rows reach 100, bombs 1,000."""
CHUNK: Final = 1 << 17
_RATIO_FROM: Final = 32 << 20
_LARGEST_INDEX: Final = 8 << 20


class Package:
    """An open ZIP, whose index has been checked."""

    def __init__(self, source: Source, stream: BinaryIO) -> None:
        self.name = source.name
        with self._refusing():
            self._check_index(stream)
            self._zip = zipfile.ZipFile(stream)
            self.entries = {entry.filename: entry for entry in self._zip.infolist() if not entry.is_dir()}
        self._check(self._zip.infolist())
        self.total = sum(entry.file_size for entry in self.entries.values())

    def chunks(self, entry_name: str) -> Iterator[bytes]:
        """What an entry unpacks to. Raises DecodeError where it is damaged or more than its index says."""
        entry = self.entries[entry_name]
        count = 0
        with self._refusing(entry_name), self._zip.open(entry) as stream:
            while data := stream.read(CHUNK):
                count += len(data)
                if count > entry.file_size or count > LARGEST:
                    raise DecodeError(f"{self.name}: {printable(entry_name)} unpacks to more than it says: a zip bomb")
                yield data
            if count != entry.file_size:
                raise DecodeError(f"{self.name}: {printable(entry_name)} is cut off: have the file sent again")

    def close(self) -> None:
        """Let go of the index; the stream is its owner's."""
        self._zip.close()

    def _check_index(self, stream: BinaryIO) -> None:
        size = stream.seek(0, 2)
        start = stream.seek(max(0, size - 65_557 - 76))
        tail = stream.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < 22:
            raise DecodeError(f"{self.name}: the ZIP has no end: it is cut off; have the file sent again")
        length = int.from_bytes(tail[at + 12 : at + 16], "little")
        if tail[max(0, at - 20) : at].startswith(b"PK\6\7"):
            length = int.from_bytes(tail[at - 36 : at - 28], "little") if at >= 76 else size
        if length > _LARGEST_INDEX or start + at < length:
            raise DecodeError(f"{self.name}: its index is larger than any delivery's, or damaged: it is not read")

    def _check(self, entries: list[zipfile.ZipInfo]) -> None:
        if len(entries) > MOST_ENTRIES:
            raise DecodeError(f"{self.name}: more than {MOST_ENTRIES:,} files inside: give them in smaller deliveries")
        seen: set[str] = set()
        packed = unpacked = 0
        for entry in entries:
            name = printable(entry.filename)
            if entry.flag_bits & 0x41:
                raise UsageError(
                    f"{self.name}: {name} is encrypted: unpack it with its password and give the files inside"
                )
            if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                raise UsageError(f"{self.name}: {name} is packed in a way that is not read: pack it as plain ZIP")
            parts = entry.filename.replace("\\", "/").split("/")
            if ".." in parts or not parts[0] or ":" in parts[0]:
                raise DecodeError(f"{self.name}: {name} names a place outside the file: it is not read")
            if stat.S_ISLNK(entry.external_attr >> 16):
                raise DecodeError(f"{self.name}: {name} is a link and has no content: have the file itself sent")
            if entry.filename in seen:
                raise DecodeError(f"{self.name}: there are two files {name} in it, so what it says is unclear")
            seen.add(entry.filename)
            packed, unpacked = packed + entry.compress_size, unpacked + entry.file_size
            _bounded(self.name, entry.compress_size, entry.file_size)
        _bounded(self.name, packed, unpacked)

    @contextmanager
    def _refusing(self, entry_name: str = "") -> Iterator[None]:
        where = f"{self.name}: {printable(entry_name)}" if entry_name else self.name
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, struct.error, ValueError, OverflowError, OSError):
            raise DecodeError(f"{where}: the ZIP is damaged or cut off: have the file sent again") from None
        except (NotImplementedError, RuntimeError):
            raise UsageError(f"{where}: it is packed in a way that is not read: pack it as plain ZIP") from None


def _bounded(name: str, packed: int, unpacked: int) -> None:
    if unpacked > LARGEST or (unpacked > _RATIO_FROM and unpacked > MOST_RATIO * packed):
        raise DecodeError(
            f"{name}: {packed:,} bytes unpack to {unpacked:,}, more than {LARGEST >> 30} GiB or {MOST_RATIO} to one: "
            f"a zip bomb, or too much at once"
        )
