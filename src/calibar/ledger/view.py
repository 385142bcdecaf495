"""A committed state of a ledger, read-only, whatever its tables: columns by name, hash tables, the digest."""

from __future__ import annotations

import hashlib
import mmap
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from calibar.ledger import manifest as manifests
from calibar.ledger.columns import CHUNK, SUM, as_array, map_column, map_file, sums_path
from calibar.ledger.schema import Column

INDEX = "index"
MARKER = "writing"
"""Lies in the folder while a writer is at work, or since one was interrupted."""


def slots_path(folder: Path, name: str, slots: int) -> Path:
    """File of a hash table of that many slots."""
    return folder / INDEX / f"{name}-{slots}.slots"


class View:
    """A ledger as it was committed when this was opened."""

    columns: ClassVar[Sequence[Column]]

    def __init__(self, folder: Path) -> None:
        """Open in milliseconds: nothing is read but the manifest. Raises LedgerError."""
        self.folder = folder
        self.manifest = manifests.read(folder)
        self._columns: dict[str, NDArray[Any]] = {}
        self._by_key = {column.key: column for column in self.columns}
        self._slots: dict[str, NDArray[np.uint64]] = {}

    @property
    def counts(self) -> dict[str, int]:
        """Rows by table."""
        return self.manifest.counts

    @property
    def height(self) -> int:
        """Height of the tip."""
        return self.manifest.height

    def is_current(self) -> bool:
        """Whether what this mapped is still the ledger's; if ids were given up or the index moved, open again."""
        now = manifests.read(self.folder)
        return now.generation == self.manifest.generation and now.index == self.manifest.index

    def __getitem__(self, key: str) -> NDArray[Any]:
        """A column by its key, such as `coins.value`."""
        if key not in self._columns:
            column = self._by_key[key]
            self._columns[key] = map_column(self.folder, column, self.counts[column.table])
        return self._columns[key]

    def slots(self, name: str) -> NDArray[np.uint64]:
        """A hash table: `txids` or `addresses`."""
        if name not in self._slots:
            size = self.manifest.index[name]
            array = as_array(map_file(slots_path(self.folder, name, size), size * 8), np.dtype("<u8"))
            array.flags.writeable = False
            self._slots[name] = array
        return self._slots[name]

    @property
    def at_rest(self) -> bool:
        """Whether no writer is at work, or was when it ended: what is changed in place then is as it was committed."""
        return not (self.folder / MARKER).exists()

    @cached_property
    def digest(self) -> str:
        """SHA-256 over all facts: equal for equal chains, however and in how many steps they were ingested."""
        total = hashlib.sha256()
        for column in self.columns:
            if not column.digested:
                continue
            length = column.length(self.counts[column.table])
            total.update(f"{column.key} {length}\n".encode())
            total.update(bytes(map_file(sums_path(self.folder, column), length // CHUNK * SUM, mmap.ACCESS_READ)))
            total.update(bytes.fromhex(self.manifest.tails[column.key]))
        return total.hexdigest()
