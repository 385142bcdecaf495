"""A ledger's files while it grows, whatever its tables: append, commit, lock, marker, hash tables.

Order of a commit: columns and in-place maps to disk, then the manifest. A reader knows only the manifest, so a crash
at any instant leaves the last committed tip. While a writer is at work a marker file lies in the folder; who finds it
cleans what is changed in place.
"""

from __future__ import annotations

import errno
import mmap
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from calibar.errors import CalibarError, DamageError, LedgerError
from calibar.kernels import index
from calibar.ledger import manifest as manifests
from calibar.ledger.columns import Appender, as_array, grow_file, map_column, map_file, sync_file
from calibar.ledger.schema import Column
from calibar.ledger.view import INDEX, MARKER, slots_path

LOCK = "lock"
MIN_SLOTS = 1 << 16
_FULL = 0.6
"""A hash table is doubled before it is fuller than this."""


@contextmanager
def no_space(folder: Path) -> Iterator[None]:
    """Turn a full disk into one line; what was committed before is untouched."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise LedgerError(
                f"no space left for the ledger in {folder} ({error.strerror}); free some and ingest again: "
                "what was committed before is kept"
            ) from None
        raise LedgerError(f"cannot write the ledger in {folder}: {error.strerror or error}") from None


def _foreign(folder: Path) -> bool:
    """Whether there is more in a folder without a ledger than a writer leaves that stopped at once."""
    return any(path.name not in (INDEX, LOCK) for path in folder.iterdir())


class Store(ABC):
    """An open ledger that grows. Use it as a context; nothing counts until `commit`."""

    columns: ClassVar[Sequence[Column]]
    slot_tables: ClassVar[Sequence[str]]
    """The hash tables of its index."""
    index_files: ClassVar[Sequence[str]] = ()
    """Other files of its index."""

    def __init__(self, folder: Path, network: str) -> None:
        """Open or make the ledger of `network` in `folder`. Raises LedgerError where that is another chain's."""
        self.folder = folder
        self._by_key = {column.key: column for column in self.columns}
        self._counted = {column.table: column.key for column in self.columns}
        fresh = not (folder / manifests.NAME).exists()
        if fresh and folder.is_dir() and not (folder / MARKER).exists() and _foreign(folder):
            raise LedgerError(f"{folder} is not empty and holds no ledger; name a new folder")
        if folder.exists() and not folder.is_dir():
            raise LedgerError(f"{folder} is a file; name a folder for the ledger")
        with no_space(folder):
            (folder / INDEX).mkdir(parents=True, exist_ok=True)
            self._lock = FileLock(folder / LOCK)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise LedgerError(f"another process is writing to {folder}; wait until it is done") from None
        self._appenders: dict[str, Appender] = {}
        self._touched = False
        self._maps: dict[tuple[Path, int], NDArray[Any]] = {}
        """In-place maps by file and length: mapping anew would fault every page in again."""
        try:
            fresh = not (folder / manifests.NAME).exists()  # now that nobody else can make it
            self.manifest = (
                manifests.empty(network, tuple(dict.fromkeys(c.table for c in self.columns)))
                if fresh
                else manifests.read(folder)
            )
            if self.manifest.network != network:
                if self.manifest.counts["blocks"]:
                    raise LedgerError(
                        f"{folder} is a ledger of {self.manifest.network}, not of {network}; name another folder"
                    )
                self.manifest = replace(self.manifest, network=network)
            with no_space(folder):
                interrupted = (folder / MARKER).exists()
                (folder / MARKER).touch()
                manifests.sync_folder(folder)  # the marker is on disk before anything is changed in place
                self.counts = dict(self.manifest.counts)
                for column in self.columns:
                    self._appenders[column.key] = Appender(folder, column, self.counts[column.table])
                self._open_index()
                if interrupted:
                    self._recover()
                if fresh:
                    self.commit()
        except BaseException:
            self.close(clean=False)
            raise

    # Reading what is appended so far.

    def column(self, key: str) -> NDArray[Any]:
        """A column with all appended rows."""
        column = self._by_key[key]
        return map_column(self.folder, column, self.counts[column.table])

    def map_in_place(self, path: Path, length: int, dtype: str, *, private: bool = False) -> NDArray[Any]:
        """A file that is changed in place, mapped for that; with `private` a copy on write."""
        if private:
            return as_array(map_file(path, length, mmap.ACCESS_COPY), np.dtype(dtype))
        self._touched = True
        if (path, length) not in self._maps:
            self._maps = {kept: old for kept, old in self._maps.items() if kept[0] != path}
            self._maps[path, length] = as_array(map_file(path, length, mmap.ACCESS_WRITE), np.dtype(dtype))
        return self._maps[path, length]

    def map_slots(self, name: str, *, private: bool = False) -> NDArray[np.uint64]:
        """A hash table, mapped to be changed in place; with `private` a copy on write."""
        return self.map_in_place(self._slots(name), self._index[name] * 8, "<u8", private=private)

    def append(self, rows: dict[str, NDArray[Any]]) -> None:
        """Append to every column. Offsets are given without their first entry. Not committed."""
        with no_space(self.folder):
            for column in self.columns:
                self._appenders[column.key].append(rows[column.key])
                self._appenders[column.key].flush(to_disk=False)
        self.counts = {table: self._appenders[key].rows for table, key in self._counted.items()}

    def commit(self, **changes: Any) -> None:
        """Make all that was appended the ledger's committed state; `changes` are fields of the manifest."""
        with no_space(self.folder):
            for column in self.columns:
                appender, rows = self._appenders[column.key], self.counts[column.table]
                if appender.rows != rows:  # an append that failed half-way
                    appender.reset(rows)
                appender.flush(to_disk=True)
            self._sync_in_place()
            tails = {column.key: self._appenders[column.key].tail for column in self.columns if column.summed}
            self.manifest = replace(
                self.manifest, counts=dict(self.counts), tails=tails, index=dict(self._index), **changes
            )
            manifests.write(self.folder, self.manifest)

    @property
    @abstractmethod
    def in_place(self) -> Sequence[Path]:
        """Files that are changed in place, besides the hash tables."""

    @abstractmethod
    def _fill_slots(self, name: str, slots: NDArray[np.uint64]) -> None:
        """Enter all ids of a table into its hash table."""

    @abstractmethod
    def _open_derived(self) -> None:
        """Make what else of the index is missing."""

    @abstractmethod
    def _recover(self) -> None:
        """Clean what a writer that was interrupted has changed in place."""

    def close(self, *, clean: bool = True) -> None:
        """Close; unless `clean`, the marker stays for the next writer to recover."""
        for appender in self._appenders.values():
            appender.close()
        self._appenders.clear()
        self._maps.clear()
        if clean:
            (self.folder / MARKER).unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        clean = kind is None or not self._touched
        if not clean and kind is not None and issubclass(kind, CalibarError):
            with suppress(CalibarError, OSError):  # else the next writer cleans up
                self.counts, self._index = dict(self.manifest.counts), dict(self.manifest.index)
                self._recover()
                clean = True
        self.close(clean=clean)

    # The index.

    def _slots(self, name: str) -> Path:
        return slots_path(self.folder, name, self._index[name])

    def _open_index(self) -> None:
        self._index = dict(self.manifest.index) or dict.fromkeys(self.slot_tables, MIN_SLOTS)
        for name in self._index:
            path = self._slots(name)
            if not path.exists() or path.stat().st_size != 8 * self._index[name]:
                self._build_slots(name, self._index[name])
        kept = {self._slots(name) for name in self._index} | {self.folder / INDEX / name for name in self.index_files}
        for path in (self.folder / INDEX).iterdir():
            if path not in kept:
                path.unlink(missing_ok=True)
        self._open_derived()

    def _build_slots(self, name: str, size: int) -> None:
        path = slots_path(self.folder, name, size)
        building = path.with_suffix(".new")  # a table is whole or has another name
        building.unlink(missing_ok=True)
        grow_file(building, 8 * size)
        slots = as_array(map_file(building, 8 * size, mmap.ACCESS_WRITE), np.dtype("<u8"))
        self._fill_slots(name, slots)
        del slots
        sync_file(building)
        building.replace(path)
        manifests.sync_folder(path.parent)

    def _reserve_slots(self, name: str, ids: int) -> None:
        if ids > index.MAX_ID:
            raise LedgerError(f"{self.folder}: more than {index.MAX_ID} {name} do not fit this ledger format")
        size = self._index[name]
        if ids <= _FULL * size:
            return
        while ids > _FULL * size / 2:
            size *= 2
        self._build_slots(name, size)
        old = self._slots(name)
        self._index[name] = size
        if old.name != slots_path(self.folder, name, self.manifest.index.get(name, 0)).name:
            old.unlink(missing_ok=True)  # the committed one stays until the next opening: readers may map it

    def _sync_in_place(self) -> None:
        for path in (*(self._slots(name) for name in self._index), *self.in_place):
            try:
                sync_file(path)
            except FileNotFoundError:
                raise DamageError(f"{path} is missing; ingest again into a new folder") from None
