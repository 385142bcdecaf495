"""Columns as files: mapped for reading, grown by appending, summed by chunks."""

from __future__ import annotations

import hashlib
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.errors import DamageError
from calibar.ledger.schema import Column

CHUNK = 1 << 20
SUM = 32


def column_path(folder: Path, column: Column) -> Path:
    """File of a column."""
    return folder / f"{column.key}.bin"


def sums_path(folder: Path, column: Column) -> Path:
    """File with the SHA-256 of each full chunk of a column."""
    return folder / f"{column.key}.sums"


def map_file(path: Path, length: int, access: int = mmap.ACCESS_READ) -> mmap.mmap | bytearray:
    """The first `length` bytes of a file. Raises DamageError where it is shorter."""
    if length == 0:
        return bytearray()
    try:
        with path.open("rb" if access == mmap.ACCESS_READ else "r+b") as file:
            return mmap.mmap(file.fileno(), length, access=access)
    except (OSError, ValueError):
        raise DamageError(f"{path} is missing or shorter than the {length} bytes committed; ingest again") from None


def as_array(data: mmap.mmap | bytearray, dtype: np.dtype[Any], width: int = 1) -> NDArray[Any]:
    """A mapping as numbers: one dimension, or (rows, width) for fixed-size strings."""
    array = np.frombuffer(data, dtype)
    return array.reshape(-1, width) if width > 1 else array


def as_bytes(array: NDArray[Any]) -> memoryview:
    """The bytes of a contiguous array, not copied."""
    return memoryview(array.reshape(-1).view(np.uint8)) if array.size else memoryview(b"")  # type: ignore[arg-type]


def map_column(folder: Path, column: Column, rows: int) -> NDArray[Any]:
    """The committed rows of a column, read-only."""
    array = as_array(map_file(column_path(folder, column), column.length(rows)), column.dtype, column.width)
    array.flags.writeable = False
    return array


class Appender:
    """The growing end of one column: bytes go to the file, sums of full chunks beside it."""

    def __init__(self, folder: Path, column: Column, rows: int) -> None:
        """Open at `rows` rows; what a crash left beyond is overwritten."""
        self.column = column
        for path, length in (
            (column_path(folder, column), column.length(rows)),
            (sums_path(folder, column), column.length(rows) // CHUNK * SUM * column.summed),
        ):
            if rows and length and (not path.exists() or path.stat().st_size < length):
                raise DamageError(f"{path} is missing or shorter than the {length} bytes committed; ingest again")
        self._file = _open_to_grow(column_path(folder, column))
        self._sums = _open_to_grow(sums_path(folder, column)) if column.summed else None
        if column.offsets and rows == 0:
            self._file.write(bytes(column.row_bytes))
            self._file.flush()
        self.reset(rows)

    def reset(self, rows: int) -> None:
        """Go to the end of `rows` rows."""
        self.length = self.column.length(rows)
        self._file.seek(self.length // CHUNK * CHUNK)
        self._chunk = hashlib.sha256(self._file.read(self.length % CHUNK) if self._sums else b"")
        self._file.seek(self.length)
        if self._sums:
            self._sums.seek(self.length // CHUNK * SUM)

    def append(self, values: NDArray[Any]) -> None:
        """Write rows; raises OSError where there is no space."""
        data = as_bytes(np.ascontiguousarray(values, self.column.dtype))
        self._file.write(data)
        while self._sums and data:
            room = CHUNK - self.length % CHUNK
            piece, data = data[:room], data[room:]
            self._chunk.update(piece)
            self.length += len(piece)
            if self.length % CHUNK == 0:
                self._sums.write(self._chunk.digest())
                self._chunk = hashlib.sha256()
        if not self._sums:
            self.length += len(data)

    def flush(self, *, to_disk: bool) -> None:
        """Make what was appended visible to mappings; with `to_disk`, safe against a loss of power."""
        for file in (self._file, self._sums):
            if file:
                file.flush()
                if to_disk:
                    os.fsync(file.fileno())

    @property
    def rows(self) -> int:
        """Rows written so far."""
        return self.length // self.column.row_bytes - self.column.offsets

    @property
    def tail(self) -> str:
        """SHA-256 of the bytes after the last full chunk."""
        return self._chunk.hexdigest()

    def close(self) -> None:
        """Close the files without committing anything; a full disk has been reported already."""
        for file in (self._file, self._sums):
            if file:
                try:
                    file.close()
                except OSError:
                    file.raw.close()


def _open_to_grow(path: Path) -> Any:
    path.touch()
    return path.open("r+b")


def sync_file(path: Path) -> None:
    """What was written to a file, through mappings too, to disk."""
    with path.open("r+b") as file:
        os.fsync(file.fileno())


def grow_file(path: Path, size: int, fill: bytes = b"\0") -> None:
    """Extend a file to `size` bytes that really exist on disk: a sparse page in a mapping would kill the process
    when the disk is full. Raises OSError."""
    with _open_to_grow(path) as file:
        at = file.seek(0, 2)
        block = fill * (CHUNK // len(fill))
        while at < size:
            at += file.write(block[: size - at])
        file.flush()
        os.fsync(file.fileno())
