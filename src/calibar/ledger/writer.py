"""The one writer of a Bitcoin ledger: grow, give up a losing branch, recover from a crash.

Changed in place are `coins.spent_by` and the index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from calibar.kernels import index, spends
from calibar.kernels.spends import Stored
from calibar.ledger import store
from calibar.ledger.columns import column_path, grow_file
from calibar.ledger.schema import BY_KEY, COLUMNS, IN_PLACE, UNSPENT
from calibar.ledger.snapshot import LAST_COIN
from calibar.ledger.store import Store, no_space
from calibar.ledger.view import INDEX


class Writer(Store):
    """An open Bitcoin ledger that grows."""

    columns = COLUMNS
    slot_tables = ("txids", "addresses")
    index_files = (LAST_COIN,)

    def stored(self, *, private: bool = False) -> Stored:
        """The columns that `spends.join` needs; with `private` the in-place ones are copies on write."""
        spent_by = column_path(self.folder, BY_KEY[IN_PLACE])
        return Stored(
            txid=self.column("transactions.txid"),
            first_coin=self.column("transactions.first_coin"),
            value=self.column("coins.value"),
            coin_address=self.column("coins.address"),
            script_start=self.column("addresses.first_byte"),
            scripts=self.column("scripts.byte"),
            kind=self.column("addresses.kind"),
            tx_slots=self.map_slots("txids", private=private),
            address_slots=self.map_slots("addresses", private=private),
            spent_by=self.map_in_place(spent_by, 8 * self.counts["coins"], "<i8", private=private),
            last_coin=self._map_last_coin(private=private),
        )

    def _map_last_coin(self, *, private: bool = False) -> NDArray[np.int64]:
        return self.map_in_place(self._last_coin, self._last_coin.stat().st_size, "<i8", private=private)

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

    def roll_back(self, blocks: int) -> None:
        """Keep the first `blocks` blocks and give up the rest. Readers see a new generation.

        The manifest goes first: a crash after it leaves marks that the next writer's recovery clears.
        """
        after = self.counts_at(blocks)
        undo = self._undo(self.stored(), after)
        self.counts = after
        with no_space(self.folder):
            for column in self.columns:
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

    # The index.

    @property
    def _last_coin(self) -> Path:
        return self.folder / INDEX / LAST_COIN

    @property
    def in_place(self) -> Sequence[Path]:
        """Files that are changed in place, besides the hash tables."""
        return self._last_coin, column_path(self.folder, BY_KEY[IN_PLACE])

    def _fill_slots(self, name: str, slots: NDArray[np.uint64]) -> None:
        if name == "txids":
            index.enter_txids(slots, self.column("transactions.txid"), 0, self.counts["transactions"])
        else:
            starts, scripts = self.column("addresses.first_byte"), self.column("scripts.byte")
            index.enter_scripts(slots, starts, scripts, 0, self.counts["addresses"])

    def _open_derived(self) -> None:
        if not self._last_coin.exists() or self._last_coin.stat().st_size < 8 * self.counts["addresses"]:
            grow_file(self._last_coin, max(8 * self.counts["addresses"], 8 * store.MIN_SLOTS), b"\xff")
            self._rebuild_last_coin()

    def _rebuild_last_coin(self) -> None:
        index.rebuild_last_coin(self._map_last_coin(), self.column("coins.address"))

    def _recover(self) -> None:
        stored = self.stored()
        index.forget_from(stored.tx_slots, self.counts["transactions"])
        index.forget_from(stored.address_slots, self.counts["addresses"])
        index.clear_spends_from(stored.spent_by, self.counts["inputs"], UNSPENT)
        self._rebuild_last_coin()
        self._sync_in_place()  # before the marker goes
