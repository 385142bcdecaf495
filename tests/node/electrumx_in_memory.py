"""An Electrum server, ElectrumX, that keeps its index in memory: `python electrumx_in_memory.py`, set by environment.

ElectrumX itself is as it is published, but for two things: what it keeps its index in is from here, so that no
database need be built; and it pads replies as ever but does not hold small ones back for up to a second.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from types import TracebackType
from typing import ClassVar

from electrumx.cli.electrumx_server import main
from electrumx.server import storage
from electrumx.server.transport import PaddedRSTransport


class Entries(dict[bytes, bytes]):
    """What a database holds, and its keys in order."""

    def __init__(self) -> None:
        super().__init__()
        self.keys_sorted: list[bytes] = []

    def change(self, key: bytes, value: bytes | None) -> None:
        """Set the value of a key; None forgets it."""
        if value is None:
            if self.pop(key, None) is not None:
                del self.keys_sorted[bisect_left(self.keys_sorted, key)]
            return
        if key not in self:
            insort(self.keys_sorted, key)
        self[key] = value

    def from_prefix(self, prefix: bytes) -> list[tuple[bytes, bytes]]:
        """Entries whose key begins so, in order of key."""
        found, keys = [], self.keys_sorted
        for at in range(bisect_left(keys, prefix), len(keys)):
            if not keys[at].startswith(prefix):
                break
            found.append((keys[at], self[keys[at]]))
        return found


class Memory(storage.Storage):  # type: ignore[misc]
    """A database: one sorted map by name, gone with the process."""

    databases: ClassVar[dict[str, Entries]] = {}

    def __init__(self, name: str, for_sync: bool) -> None:  # the base looks for files
        self.is_new = name not in self.databases
        self.for_sync = for_sync or self.is_new
        self.open(name, self.is_new)

    @classmethod
    def import_module(cls) -> None:
        """Nothing to import."""

    def open(self, name: str, create: bool) -> None:
        """Take up the map of that name; what was in it when it was closed is still in it."""
        self._entries = self.databases.setdefault(name, Entries()) if create else self.databases[name]

    def close(self) -> None:
        """Nothing to close."""

    def get(self, key: bytes) -> bytes | None:
        """Value of a key."""
        return self._entries.get(key)

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key."""
        self._entries.change(key, value)

    def write_batch(self) -> Batch:
        """Changes that happen together, or not at all where an exception ends them."""
        return Batch(self._entries)

    def iterator(self, prefix: bytes = b"", reverse: bool = False) -> Iterator[tuple[bytes, bytes]]:
        """Entries whose key begins so, in order of key, as they are now."""
        found = self._entries.from_prefix(prefix)
        return iter(found[::-1] if reverse else found)


class Batch:
    """What a batch puts and deletes."""

    def __init__(self, entries: Entries) -> None:
        self._entries = entries
        self._changes: dict[bytes, bytes | None] = {}

    def put(self, key: bytes, value: bytes) -> None:
        """Set the value of a key, once the batch is done."""
        self._changes[key] = value

    def delete(self, key: bytes) -> None:
        """Forget a key, once the batch is done."""
        self._changes[key] = None

    def __enter__(self) -> Batch:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        if error is not None:
            return
        for key, value in self._changes.items():
            self._entries.change(key, value)


if __name__ == "__main__":
    storage.Memory = Memory  # engines are looked for in that module
    PaddedRSTransport.WAIT_FOR_BUFFER_GROWTH_SECONDS = 0.0
    main()
