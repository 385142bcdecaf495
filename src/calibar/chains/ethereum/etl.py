"""Read what ethereum-etl exported: tables as CSV or JSON lines, plain or `.gz`, each in one file or many.

`blocks` must be there. `token_transfers` give the tokens' transfers; `logs` those and more (events, wrapped coins,
which tokens are no money), but log by log, some tens of thousands a second; `transactions` the native values, and with
`receipts` what became of them and their fees; `traces` the transfers inside calls, the rewards, the genesis; `tokens`
their names. GraphSense's raw tables, which have the same content under other names, are read as well. An export has
no headers and no receipts' roots, so nothing of it is proven.
"""

from __future__ import annotations

import csv
import gzip
import io
import zlib
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Final

import numpy as np

from calibar.chains.ethereum.etl_columns import (
    BLOCKS,
    LOGS,
    RECEIPTS,
    TOKEN_TRANSFERS,
    TRACES,
    TRANSACTIONS,
    WITHDRAWALS,
    Rows,
    joined,
)
from calibar.chains.ethereum.etl_facts import Assembly, proof_of
from calibar.chains.ethereum.etl_files import Piece, Table, TableReader, find_files
from calibar.chains.facts import CONTRACT, Facts, Naming
from calibar.errors import ChainError, DecodeError, UsageError

BATCH_BYTES: Final = 16 << 20
"""Text that a batch is made of, about."""
BATCH_ROWS: Final = 250_000
BATCH_BLOCKS: Final = 50_000
LONGEST_NAME: Final = 1_000

_ORDERS: Final = {
    TRANSACTIONS: ("index",), RECEIPTS: ("index",), TOKEN_TRANSFERS: ("log",), LOGS: ("log",),
    TRACES: (), WITHDRAWALS: (),
}  # fmt: skip
_NOT_PROVEN: Final = "an export has no headers and no receipt roots: nothing of it is proven"
_WITHOUT: Final = {
    "token_transfers": "no token_transfers: transfers of tokens are not there",
    "transactions": "no transactions: native values, fees and senders are not there",
    "traces": "no traces: transfers inside calls, block rewards and the genesis are not there",
}
_UNTOLD: Final = "token_transfers does not tell ERC-721 from ERC-20: the number of such a token stands as amount"
_NO_LOGS: Final = "no logs: approvals, blacklists and swaps are not there"
_LOGS: Final = (
    "from an export it is not read who used an allowance, nor who called issue or redeem inside a transaction"
)
_GETH: Final = "geth_traces are not read: make traces of them with `ethereumetl extract_geth_traces`"
_RECEIPTS: Final = "receipts are left out, since their transactions are not there; export transactions too"


class EtlSource:
    """A folder of exported tables. All blocks' rows are in memory, at 136 bytes each."""

    def __init__(self, folder: Path, chain_id: int, threads: int = 2) -> None:
        """Index the folder. Raises UsageError where blocks are not there, DecodeError for a table that is broken."""
        self.chain = f"ethereum:{chain_id}"
        self.folder = folder
        self._chain_id = chain_id
        paths = find_files(folder)
        if "blocks" not in paths:
            raise UsageError(
                f"{folder} has no blocks.csv or blocks.json: export blocks too "
                "(ethereumetl export_blocks_and_transactions)"
            )
        table = Table(BLOCKS, paths["blocks"], threads)
        self._blocks = table.all()
        if not len(self._blocks):
            raise UsageError(f"{paths['blocks'][0]} has no blocks; export them again")
        self._numbers = np.ascontiguousarray(self._blocks.number("block"))
        row = self._blocks.repeated("block")
        if row is not None:
            raise table.refused(self._blocks, row, f"has block {self._numbers[row]}, which another row has too")
        self._tables = {of.name: Table(of, paths[of.name], threads) for of in _ORDERS if of.name in paths}
        self._tables["withdrawals"] = self._tables.pop("blocks")
        if "transactions" not in self._tables:
            self._tables.pop("receipts", None)
        self._tokens = paths.get("tokens", [])
        self.notes = tuple(self._notes(set(paths)))

    def _notes(self, there: set[str]) -> Iterator[str]:
        yield _NOT_PROVEN
        told = there | ({"token_transfers"} if "logs" in there else set())
        yield from (note for name, note in _WITHOUT.items() if name not in told)
        if "token_transfers" in there and "logs" not in there:
            yield _UNTOLD
        yield _LOGS if "logs" in there else _NO_LOGS
        if "geth_traces" in there:
            yield _GETH
        if "receipts" in there and "transactions" not in there:
            yield _RECEIPTS
        for name, table in self._tables.items():
            outside = [p for p in table.pieces if p.least < self._numbers[0] or p.greatest > self._numbers[-1]]
            if outside:
                yield f"rows of {name} whose blocks are not in blocks are left out"

    def last(self) -> int:
        """Number of the last block that is there."""
        return int(self._numbers[-1])

    def first(self) -> int:
        """Number of the first block that is there."""
        return int(self._numbers[0])

    def hash_of(self, number: int) -> bytes | None:
        """Hash of a block as exported; None where it is not there."""
        at = int(np.searchsorted(self._numbers, number))
        if at == len(self._numbers) or self._numbers[at] != number:
            return None
        return self._blocks.take(slice(at, at + 1)).bytes_of("hash", 32).tobytes()

    def read(self, first: int, last: int) -> Iterator[Facts]:
        """Blocks first..last in batches. Raises UsageError where blocks are missing, ChainError where one does not
        follow the one before, DecodeError for a row that is broken."""
        blocks = self._contiguous(first, last)
        namings = self._namings()
        with ExitStack() as stack:
            readers = {
                name: stack.enter_context(TableReader(table, first, last, _ORDERS[table.layout]))
                for name, table in self._tables.items()
            }
            at, loaded = first, first - 1
            while at <= last:
                if loaded < at:
                    loaded = _reach([piece for r in readers.values() for piece in r.pieces()], at, last)
                    for reader in readers.values():
                        reader.load(loaded)
                end = min(loaded, at + BATCH_BLOCKS - 1)
                for reader in readers.values():
                    beyond = reader.row_block(BATCH_ROWS)
                    if beyond is not None:
                        end = max(at, min(end, beyond - 1))
                rows = {name: readers[name].until(end) for name in readers}
                some = blocks.take(slice(at - first, end + 1 - first))
                facts = self._facts(some, rows)
                yield replace(facts, namings=namings) if namings else facts
                at, namings = end + 1, ()

    def _facts(self, blocks: Rows, rows: dict[str, Rows]) -> Facts:
        for layout in _ORDERS:
            rows.setdefault(layout.name, joined(layout, []))
        assembly = Assembly(self._chain_id, self._tables, blocks, rows)
        return assembly.facts(self.notes, proof_of(blocks.number("block"), self._tables.get("traces")))

    def _contiguous(self, first: int, last: int) -> Rows:
        begin, end = np.searchsorted(self._numbers, [first, last + 1])
        numbers = self._numbers[begin:end]
        if last < first or len(numbers) != last - first + 1:
            missing = first + int(np.argmin(np.append(numbers, -1) == first + np.arange(len(numbers) + 1)))
            raise UsageError(f"block {missing} is not in the blocks of {self.folder}; export blocks without gaps")
        blocks = self._blocks.take(slice(int(begin), int(end)))
        broken = (blocks.words_of("parent")[1:] != blocks.words_of("hash")[:-1]).any(1)
        if broken.any():
            number = first + 1 + int(np.argmax(broken))
            raise ChainError(f"block {number} in {self.folder} does not follow block {number - 1}; export both again")
        return blocks

    def _namings(self) -> tuple[Naming, ...]:
        return tuple(naming for path in self._tokens for naming in _read_tokens(path))


def _reach(pieces: list[Piece], at: int, last: int) -> int:
    """Up to which block to load: the pieces that speak of it and of those before are few enough."""
    pieces.sort(key=lambda piece: piece.least)
    spent = 0
    for piece in pieces:
        if spent >= BATCH_BYTES and piece.least > at:
            return min(piece.least - 1, last)
        spent += piece.size
    return last


def _read_tokens(path: Path) -> Iterator[Naming]:
    """What tokens say of themselves. Raises DecodeError for a row that is broken."""
    if ".csv" not in path.name:
        raise UsageError(f"{path}: tokens are read from CSV alone; export them as tokens.csv")
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, zlib.error) as error:
        raise UsageError(f"cannot read {path}: {error}") from None
    rows = csv.DictReader(io.StringIO(data.decode(errors="replace"), newline=""))
    while True:
        try:
            row = next(rows, None)
            if row is None:
                return
            address, decimals = row["address"], row["decimals"]
            if len(address) != 42 or address[:2] != "0x":
                raise ValueError("address")
            number = int(decimals) if decimals else None
            known = number if number is not None and 0 <= number < 256 else None
            name, symbol = row.get("name") or "", row.get("symbol") or ""
            yield Naming(CONTRACT, bytes.fromhex(address[2:]), name[:LONGEST_NAME], symbol[:LONGEST_NAME], known)
        except (ValueError, KeyError, TypeError, csv.Error):
            what = "is no token: address, symbol, name, decimals; export it again"
            raise DecodeError(f"{path} line {rows.line_num} {what}") from None


__all__ = ["EtlSource"]
