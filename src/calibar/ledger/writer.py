"""The one writer of a ledger: append, commit, give up a losing branch, recover from a crash.

Order of a commit: columns and in-place maps to disk, then the manifest. A reader knows only the manifest, so a crash
at any instant leaves the last committed tip. While a writer is at work a marker file lies in the folder; who finds it
cleans the two things that are changed in place: `coins.spent_by` and the index.
"""

from __future__ import annotations

import errno
import mmap
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from calibar.errors import CalibarError, DamageError, LedgerError
from calibar.kernels import index, spends
from calibar.kernels.spends import Stored
from calibar.ledger import manifest as manifests
from calibar.ledger.columns import Appender, as_array, column_path, grow_file, map_column, map_file, sync_file
from calibar.ledger.schema import BY_KEY, COLUMNS, IN_PLACE, UNSPENT
from calibar.ledger.snapshot import INDEX, LAST_COIN, MARKER, slots_path

LOCK = "lock"
_MIN_SLOTS = 1 << 16
_FULL = 0.6
"""A hash table is doubled before it is fuller than this."""
_COUNTED = {column.table: column.key for column in reversed(COLUMNS) if not column.offsets}


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


class Writer:
    """An open ledger that grows. Use it as a context; nothing counts until `commit`."""

    def __init__(self, folder: Path, network: str) -> None:
        """Open or make the ledger of `network` in `folder`. Raises LedgerError where that is another chain's."""
        self.folder = folder
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
            self.manifest = manifests.empty(network) if fresh else manifests.read(folder)
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
                for column in COLUMNS:
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
        column = BY_KEY[key]
        return map_column(self.folder, column, self.counts[column.table])

    def stored(self, *, private: bool = False) -> Stored:
        """The columns that `spends.join` needs; with `private` the in-place ones are copies on write."""
        access = mmap.ACCESS_COPY if private else mmap.ACCESS_WRITE
        self._touched |= not private

        def in_place(path: Path, length: int, dtype: str) -> NDArray[Any]:
            if private or (path, length) not in self._maps:
                array = as_array(map_file(path, length, access), np.dtype(dtype))
                if private:
                    return array
                self._maps = {kept: old for kept, old in self._maps.items() if kept[0] != path}
                self._maps[path, length] = array
            return self._maps[path, length]

        return Stored(
            txid=self.column("transactions.txid"),
            first_coin=self.column("transactions.first_coin"),
            value=self.column("coins.value"),
            coin_address=self.column("coins.address"),
            script_start=self.column("addresses.first_byte"),
            scripts=self.column("scripts.byte"),
            kind=self.column("addresses.kind"),
            tx_slots=in_place(self._slots("txids"), self._index["txids"] * 8, "<u8"),
            address_slots=in_place(self._slots("addresses"), self._index["addresses"] * 8, "<u8"),
            spent_by=in_place(column_path(self.folder, BY_KEY[IN_PLACE]), 8 * self.counts["coins"], "<i8"),
            last_coin=in_place(self._last_coin, self._last_coin.stat().st_size, "<i8"),
        )

    def counts_at(self, blocks: int) -> dict[str, int]:
        """Rows by table after the first `blocks` blocks."""
        txs = int(self.column("blocks.first_tx")[blocks])
        inputs = int(self.column("transactions.first_input")[txs])
        addresses = int(self.column("blocks.first_address")[blocks])
        return {
            "blocks": blocks,
            "transactions": txs,
            "coins": int(self.column("transactions.first_coin")[txs]),
            "inputs": inputs,
            "addresses": addresses,
            "scripts": int(self.column("addresses.first_byte")[addresses]),
            "coinbases": int(self.column("blocks.first_coinbase_byte")[blocks]),
            "outside": int(np.searchsorted(self.column("outside.input"), inputs)),
        }

    # Growing.

    def reserve(self, transactions: int, coins: int) -> None:
        """Make room in the index for a batch. Raises LedgerError on a full disk or too many ids."""
        with no_space(self.folder):
            self._reserve_slots("txids", self.counts["transactions"] + transactions)
            self._reserve_slots("addresses", self.counts["addresses"] + coins)
            needed = 8 * (self.counts["addresses"] + coins)
            if self._last_coin.stat().st_size < needed:
                grow_file(self._last_coin, max(needed, 2 * self._last_coin.stat().st_size), b"\xff")

    def append(self, rows: dict[str, NDArray[Any]]) -> None:
        """Append to every column. Offsets are given without their first entry. Not committed."""
        with no_space(self.folder):
            for column in COLUMNS:
                self._appenders[column.key].append(rows[column.key])
                self._appenders[column.key].flush(to_disk=False)
        self.counts = {table: self._appenders[key].rows for table, key in _COUNTED.items()}

    def commit(self, **changes: Any) -> None:
        """Make all that was appended the ledger's committed state; `changes` are fields of the manifest."""
        with no_space(self.folder):
            for column in COLUMNS:
                appender, rows = self._appenders[column.key], self.counts[column.table]
                if appender.rows != rows:  # an append that failed half-way
                    appender.reset(rows)
                appender.flush(to_disk=True)
            self._sync_in_place()
            tails = {column.key: self._appenders[column.key].tail for column in COLUMNS if column.summed}
            self.manifest = replace(
                self.manifest, counts=dict(self.counts), tails=tails, index=dict(self._index), **changes
            )
            manifests.write(self.folder, self.manifest)

    def roll_back(self, blocks: int) -> None:
        """Keep the first `blocks` blocks and give up the rest. Readers see a new generation.

        The manifest goes first: a crash after it leaves marks that the next writer's recovery clears.
        """
        after = self.counts_at(blocks)
        undo = self._undo(self.stored(), after)
        self.counts = after
        with no_space(self.folder):
            for column in COLUMNS:
                self._appenders[column.key].reset(after[column.table])
        self.commit(generation=self.manifest.generation + 1)
        undo()

    def rehearsal(self, blocks: int) -> Stored:
        """The ledger as it was after its first `blocks` blocks, on copies: nothing that is done to it is kept."""
        stored, after = self.stored(private=True), self.counts_at(blocks)
        self._undo(stored, after)()
        return Stored(
            txid=stored.txid[: after["transactions"]],
            first_coin=stored.first_coin[: after["transactions"] + 1],
            value=stored.value[: after["coins"]],
            coin_address=stored.coin_address[: after["coins"]],
            script_start=stored.script_start[: after["addresses"] + 1],
            scripts=stored.scripts[: after["scripts"]],
            kind=stored.kind[: after["addresses"]],
            tx_slots=stored.tx_slots,
            address_slots=stored.address_slots,
            spent_by=stored.spent_by[: after["coins"]],
            last_coin=stored.last_coin,
        )

    def _undo(self, stored: Stored, after: dict[str, int]) -> Callable[[], None]:
        """What takes back the in-place marks of all rows beyond `after`, once called."""
        addresses, previous = self.column("coins.address"), self.column("coins.previous")
        input_coin = self.column("inputs.coin")

        def undo() -> None:
            spends.withdraw(
                addresses, previous, input_coin, stored.spent_by, stored.last_coin, after["coins"], after["inputs"]
            )
            index.forget_from(stored.tx_slots, after["transactions"])
            index.forget_from(stored.address_slots, after["addresses"])

        return undo

    def close(self, *, clean: bool = True) -> None:
        """Close; unless `clean`, the marker stays for the next writer to recover."""
        for appender in self._appenders.values():
            appender.close()
        self._appenders.clear()
        self._maps.clear()
        if clean:
            (self.folder / MARKER).unlink(missing_ok=True)
        self._lock.release()

    def __enter__(self) -> Writer:
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

    @property
    def _last_coin(self) -> Path:
        return self.folder / INDEX / LAST_COIN

    def _slots(self, name: str) -> Path:
        return slots_path(self.folder, name, self._index[name])

    def _open_index(self) -> None:
        self._index = dict(self.manifest.index) or {"txids": _MIN_SLOTS, "addresses": _MIN_SLOTS}
        for name in self._index:
            path = self._slots(name)
            if not path.exists() or path.stat().st_size != 8 * self._index[name]:
                self._build_slots(name, self._index[name])
        for path in (self.folder / INDEX).iterdir():
            if path not in (self._slots("txids"), self._slots("addresses"), self._last_coin):
                path.unlink(missing_ok=True)
        if not self._last_coin.exists() or self._last_coin.stat().st_size < 8 * self.counts["addresses"]:
            grow_file(self._last_coin, max(8 * self.counts["addresses"], 8 * _MIN_SLOTS), b"\xff")
            self._rebuild_last_coin()

    def _build_slots(self, name: str, size: int) -> None:
        path = slots_path(self.folder, name, size)
        building = path.with_suffix(".new")  # a table is whole or has another name
        building.unlink(missing_ok=True)
        grow_file(building, 8 * size)
        slots = as_array(map_file(building, 8 * size, mmap.ACCESS_WRITE), np.dtype("<u8"))
        if name == "txids":
            index.enter_txids(slots, self.column("transactions.txid"), 0, self.counts["transactions"])
        else:
            starts, scripts = self.column("addresses.first_byte"), self.column("scripts.byte")
            index.enter_scripts(slots, starts, scripts, 0, self.counts["addresses"])
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

    def _rebuild_last_coin(self) -> None:
        heads = as_array(map_file(self._last_coin, self._last_coin.stat().st_size, mmap.ACCESS_WRITE), np.dtype("<i8"))
        index.rebuild_last_coin(heads, self.column("coins.address"))

    def _recover(self) -> None:
        stored = self.stored()
        index.forget_from(stored.tx_slots, self.counts["transactions"])
        index.forget_from(stored.address_slots, self.counts["addresses"])
        index.clear_spends_from(stored.spent_by, self.counts["inputs"], UNSPENT)
        self._rebuild_last_coin()
        self._sync_in_place()  # before the marker goes

    def _sync_in_place(self) -> None:
        paths = (self._slots("txids"), self._slots("addresses"), self._last_coin)
        for path in (*paths, column_path(self.folder, BY_KEY[IN_PLACE])):
            try:
                sync_file(path)
            except FileNotFoundError:
                raise DamageError(f"{path} is missing; ingest again into a new folder") from None
