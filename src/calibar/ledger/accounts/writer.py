"""The one writer of an account chain's ledger. Changed in place is the index alone."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.errors import DamageError
from calibar.kernels import accounts as kernels
from calibar.kernels import index
from calibar.ledger import store
from calibar.ledger.accounts.schema import ACCOUNT_COLUMNS, FIRST_OF_BLOCK, LAST_MOVEMENT, NOBODY
from calibar.ledger.columns import grow_file
from calibar.ledger.store import Store, no_space
from calibar.ledger.view import INDEX


class AccountWriter(Store):
    """An open ledger of an account chain that grows."""

    columns = ACCOUNT_COLUMNS
    slot_tables = ("transactions", "addresses", "assets", "holdings")
    index_files = (LAST_MOVEMENT,)

    def reserve(self, **rows: int) -> None:
        """Make room in the index for so many more rows of its tables. Raises LedgerError where there is no space."""
        with no_space(self.folder):
            for table in self.slot_tables:
                self._reserve_slots(table, self.counts[table] + rows[table])
            needed = 8 * (self.counts["holdings"] + rows["holdings"])
            if self._heads.stat().st_size < needed:
                grow_file(self._heads, max(needed, 2 * self._heads.stat().st_size), b"\xff")

    def heads(self) -> NDArray[np.int64]:
        """The last movement of each holding, to be changed in place."""
        return self.map_in_place(self._heads, self._heads.stat().st_size, "<i8")

    def counts_at(self, blocks: int) -> dict[str, int]:
        """Rows by table after the first `blocks` blocks; what was said beside the facts stays."""
        after = {table: int(self.column(key)[blocks]) for table, key in FIRST_OF_BLOCK.items()}
        kept = {table: self.counts[table] for table in ("namings", "names", "notes", "notetexts")}
        return {**self.counts, **after, **kept, "blocks": blocks, "movements": 2 * after["transfers"]}

    def roll_back(self, blocks: int) -> None:
        """Keep the first `blocks` blocks and give up the rest. Readers see a new generation. Raises DamageError, before
        anything is changed, for transfers or movements that cannot be.

        The manifest goes first: a crash after it leaves an index that the next writer's recovery repairs. What was said
        of assets that are given up goes with them; names of kept assets that stand behind are written again, after the
        manifest too, for their place is another.
        """
        after = self.counts_at(blocks)
        link, sender, recipient = (self.column(key) for key in _MOVED)
        heads = np.array(self.heads())
        self._sound(kernels.take_back(link, heads, sender, recipient, after["transfers"]))
        kept: dict[str, NDArray[Any]] = {}
        gone = np.flatnonzero(self.column("namings.asset") >= after["assets"])
        if gone.size:
            after["namings"] = int(gone[0])
            after["names"] = int(self.column("namings.first_byte")[gone[0]])
            kept = self._namings_after(after)
        self.counts = after
        with no_space(self.folder):
            for column in self.columns:
                self._appenders[column.key].reset(after[column.table])
        self.commit(generation=self.manifest.generation + 1)
        self._set_heads(heads)
        for table in self.slot_tables:
            index.forget_from(self.map_slots(table), after[table])
        if kept:
            with no_space(self.folder):
                for key, values in kept.items():
                    self._appenders[key].append(values)
                    self._appenders[key].flush(to_disk=False)
            self.counts = {**after, **{table: self._appenders[self._counted[table]].rows for table in _NAMED}}
            self.commit()

    def _namings_after(self, after: dict[str, int]) -> dict[str, NDArray[Any]]:
        """Copies of the namings behind row `after["namings"]` of assets that are kept."""
        asset, first = self.column("namings.asset"), self.column("namings.first_byte")
        behind = np.arange(asset.size) >= after["namings"]
        rows = np.flatnonzero(behind & (asset < after["assets"]))
        if not rows.size:
            return {}
        data = self.column("names.byte")
        return {
            "namings.asset": asset[rows],
            "namings.decimals": self.column("namings.decimals")[rows],
            "namings.first_byte": np.cumsum(first[rows + 1] - first[rows]) + after["names"],
            "names.byte": np.concatenate([data[first[row] : first[row + 1]] for row in rows.tolist()]),
        }

    @cached_property
    def known_notes(self) -> set[bytes]:
        """The notes that are stored; who appends one adds it."""
        first, data = self.column("notes.first_byte"), self.column("notetexts.byte")
        return {bytes(data[first[i] : first[i + 1]]) for i in range(self.counts["notes"])}

    # The index.

    @property
    def _heads(self) -> Path:
        return self.folder / INDEX / LAST_MOVEMENT

    @property
    def in_place(self) -> Sequence[Path]:
        """Files that are changed in place, besides the hash tables."""
        return (self._heads,)

    def _fill_slots(self, name: str, slots: NDArray[np.uint64]) -> None:
        if name == "transactions":
            index.enter_txids(slots, self.column("transactions.hash"), 0, self.counts["transactions"])
        elif name == "holdings":
            kernels.enter_pairs(slots, self.column("holdings.asset"), self.column("holdings.address"))
        else:
            kernels.enter_rows(slots, self.column(f"{name}.byte"))

    def _open_derived(self) -> None:
        if not self._heads.exists() or self._heads.stat().st_size < 8 * self.counts["holdings"]:
            grow_file(self._heads, max(8 * self.counts["holdings"], 8 * store.MIN_SLOTS), b"\xff")
            self._rebuild_heads()

    def _rebuild_heads(self) -> None:
        right = np.full(self.heads().size, NOBODY, np.int64)
        _, sender, recipient = (self.column(key) for key in _MOVED)
        self._sound(kernels.rebuild_heads(right[: self.counts["holdings"]], sender, recipient))
        self._set_heads(right)

    def _set_heads(self, right: NDArray[np.int64]) -> None:
        """Write only what is wrong: readers may look."""
        heads = self.heads()
        wrong = np.flatnonzero(heads != right)
        heads[wrong] = right[wrong]

    def _sound(self, damaged: int) -> None:
        if damaged >= 0:
            raise DamageError(f"{self.folder}: transfer {damaged} is damaged; run `calibar ledger check`")

    def _recover(self) -> None:
        for table in self.slot_tables:
            index.forget_from(self.map_slots(table), self.counts[table])
        self._rebuild_heads()
        self._sync_in_place()  # before the marker goes


_NAMED = ("namings", "names")
_MOVED = ("movements.link", "transfers.sender", "transfers.recipient")
