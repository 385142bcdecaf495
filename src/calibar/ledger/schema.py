"""The tables of a Bitcoin ledger: which columns there are, their types, and what they mean.

Ids are dense and in chain order. Offset columns have one entry more than rows: entry i is where row i begins, the
last one is the end. Amounts are satoshi. Everything is little-endian.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

FORMAT: Final = 1
UNSPENT: Final = int(np.iinfo(np.int64).max)
UNKNOWN: Final = -1


@dataclass(frozen=True, slots=True)
class Column:
    """One column, one file."""

    table: str
    name: str
    dtype: np.dtype[np.generic]
    width: int
    """Numbers a row: 1, or the bytes of a fixed-size string."""
    offsets: bool
    """Whether it is an offset column (rows + 1 entries)."""
    digested: bool
    """Whether it belongs to the ledger's digest: facts do, places in files and what is changed in place do not."""

    @property
    def summed(self) -> bool:
        """Whether sums of its bytes are kept: all but what is changed in place."""
        return self.key != IN_PLACE

    @property
    def key(self) -> str:
        """`table.name`: also the file's stem."""
        return f"{self.table}.{self.name}"

    @property
    def row_bytes(self) -> int:
        """Bytes of one entry."""
        return int(self.dtype.itemsize) * self.width

    def length(self, rows: int) -> int:
        """Bytes of the file with `rows` committed rows."""
        return (rows + self.offsets) * self.row_bytes


def make_column(key: str, dtype: str, width: int = 1, *, offsets: bool = False, digested: bool = True) -> Column:
    """The column `table.name`."""
    table, name = key.split(".")
    return Column(table, name, np.dtype(dtype), width, offsets, digested)


IN_PLACE: Final = "coins.spent_by"
COLUMNS: Final[tuple[Column, ...]] = (
    make_column("blocks.header", "u1", 80),
    make_column("blocks.hash", "u1", 32),  # wire order
    make_column("blocks.work", "u1", 32),  # of the chain up to here, big-endian
    make_column("blocks.size", "<u4"),  # bytes
    make_column("blocks.first_tx", "<i8", offsets=True),
    make_column("blocks.first_address", "<i8", offsets=True),  # addresses first seen in this block
    make_column("blocks.first_coinbase_byte", "<i8", offsets=True),
    make_column("blocks.fees", "<i8"),  # of all its transactions; -1 where one is unknown
    make_column("blocks.unspent_value", "<i8"),  # after this block, in coins that nothing spends
    make_column("blocks.utxo_coins", "<i8"),  # after this block, as Bitcoin Core counts
    make_column("blocks.utxo_value", "<i8"),
    make_column("blocks.file", "<u4", digested=False),  # row of sources.json
    make_column("blocks.offset", "<i8", digested=False),
    make_column("coinbases.byte", "u1"),  # scripts of all coinbase inputs, one after the other
    make_column("transactions.txid", "u1", 32),  # wire order
    make_column("transactions.version", "<u4"),
    make_column("transactions.locktime", "<u4"),
    make_column("transactions.size", "<u4"),
    make_column("transactions.weight", "<u4"),
    make_column("transactions.fee", "<i8"),  # 0 for a coinbase, -1 where an input's value is unknown
    make_column("transactions.first_input", "<i8", offsets=True),
    make_column("transactions.first_coin", "<i8", offsets=True),
    make_column("coins.value", "<i8"),
    make_column("coins.address", "<i8"),
    make_column("coins.previous", "<i8"),  # the coin before it on the same address, -1 for the first
    make_column("coins.spent_by", "<i8", digested=False),  # the spending input; an id not below the inputs is unspent
    make_column("inputs.coin", "<i8"),  # -1 for a coin from outside an island
    make_column("inputs.sequence", "<u4"),
    make_column("addresses.kind", "u1"),
    make_column("addresses.first_byte", "<i8", offsets=True),
    make_column("scripts.byte", "u1"),
    make_column("outside.input", "<i8"),  # inputs of an island that spend coins from outside
    make_column("outside.txid", "u1", 32),
    make_column("outside.output", "<u4"),
)
BY_KEY: Final = {column.key: column for column in COLUMNS}
