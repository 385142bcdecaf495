"""Look for damage in an account chain's ledger: every byte against its sums, every balance against its transfers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from calibar.chains.facts import FROM_NOBODY, PROVEN_HEADER, TO_NOBODY
from calibar.kernels import accounts as kernels
from calibar.kernels import audit
from calibar.kernels.accounts import Movements
from calibar.ledger.accounts.schema import FIRST_OF_BLOCK, LAST_MOVEMENT, NOBODY
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.columns import as_array, map_file
from calibar.ledger.view import INDEX

Progress = Callable[[str, int, int], None]


def offsets(snapshot: AccountSnapshot) -> Iterator[str]:
    """Offset columns that do not run from 0 to their table's end."""
    tables = {key: table for table, key in FIRST_OF_BLOCK.items()}
    tables |= {"namings.first_byte": "names", "notes.first_byte": "notetexts"}
    for key, table in tables.items():
        rows = snapshot[key]
        if rows[0] != 0 or rows[-1] != snapshot.counts[table] or (np.diff(rows) < 0).any():
            yield f"{key} does not run from 0 to the {snapshot.counts[table]} rows of {table}"


def references(snapshot: AccountSnapshot) -> Iterator[str]:
    """Ids that name no row, and holdings where there can be none."""
    counts = snapshot.counts
    for key, table in (
        ("transactions.sender", "addresses"), ("transactions.recipient", "addresses"),
        ("transactions.payer", "addresses"), ("transfers.tx", "transactions"), ("transfers.asset", "assets"),
        ("transfers.sender", "holdings"), ("transfers.recipient", "holdings"), ("events.tx", "transactions"),
        ("events.contract", "addresses"), ("events.a", "addresses"), ("events.b", "addresses"),
        ("holdings.asset", "assets"), ("holdings.address", "addresses"), ("shortfalls.transfer", "transfers"),
        ("shortfalls.holding", "holdings"), ("namings.asset", "assets"),
    ):  # fmt: skip
        rows = snapshot[key]
        if rows.size and (int(rows.min()) < -1 or int(rows.max()) >= counts[table]):
            yield f"{key} names rows that {table} does not have"
    kinds = snapshot["transfers.kind"]
    for key, nobody in (("transfers.sender", FROM_NOBODY), ("transfers.recipient", TO_NOBODY)):
        wrong = np.flatnonzero((snapshot[key] == NOBODY) != np.isin(kinds, nobody))
        if wrong.size:
            yield f"{key} of transfer {wrong[0]} does not fit its kind"


def headers(snapshot: AccountSnapshot) -> Iterator[str]:
    """Parents that are not the block before; headers that no longer hash to what was proven."""
    hashes, parents = snapshot["blocks.hash"], snapshot["blocks.parent"]
    wrong = np.flatnonzero((hashes[:-1] != parents[1:]).any(axis=1))
    if wrong.size:
        yield f"block {snapshot.height_of(int(wrong[0]) + 1)} does not name the block before it"
    first, data, proof = snapshot["blocks.first_header_byte"], snapshot["headers.byte"], snapshot["blocks.proof"]
    if snapshot.chain.startswith("ethereum:"):
        from calibar.chains.ethereum.keccak import keccak256  # noqa: PLC0415

        for block in np.flatnonzero(proof & PROVEN_HEADER).tolist():
            if keccak256(bytes(data[first[block] : first[block + 1]])) != bytes(hashes[block]):
                yield f"the header of block {snapshot.height_of(block)} does not hash to its hash"
                return


def balances(snapshot: AccountSnapshot) -> Iterator[str]:
    """Movements that do not re-add from the transfers."""
    transfers = snapshot.counts["transfers"]
    movements = Movements(
        np.empty((0, 4), np.int64),
        np.empty((0, 4), np.uint64),
        np.empty((2 * transfers, 4), np.int64),
        np.empty((2 * transfers, 4), np.uint64),
    )
    heads = np.full(snapshot.counts["holdings"], NOBODY, np.int64)
    shortfalls = np.empty((2 * transfers + 1, 2), np.int64)
    ends = np.array(snapshot["blocks.first_transfer"][1:])
    rows = (np.array(snapshot[f"transfers.{name}"]) for name in ("sender", "recipient", "amount"))
    sender, recipient, amount = rows
    short = kernels.move_all(
        ends, sender, recipient, amount.reshape(-1, 4), heads, movements, shortfalls, np.empty(ends.size, np.int64)
    )
    for key, right in (("movements.link", movements.new_link), ("movements.balance", movements.new_balance)):
        wrong = np.flatnonzero((snapshot[key].reshape(right.shape) != right).any(axis=1))
        if wrong.size:
            yield f"{key} of transfer {int(wrong[0]) // 2} does not follow from the transfers before it"
    if snapshot.counts["shortfalls"] != short or (snapshot["shortfalls.transfer"] != shortfalls[:short, 0]).any():
        yield "shortfalls do not follow from the transfers"
    if not snapshot.at_rest:
        return
    stored = as_array(map_file(snapshot.folder / INDEX / LAST_MOVEMENT, 8 * heads.size), np.dtype("<i8"))
    wrong = np.flatnonzero(stored != heads)
    if wrong.size:
        yield f"index/{LAST_MOVEMENT} is wrong for holding {wrong[0]}; delete the file, the next ingest makes it anew"


def lookups(snapshot: AccountSnapshot) -> Iterator[str]:
    """Rows that the hash tables do not find."""
    if not snapshot.at_rest:
        return
    missing = audit.first_lost_txid(snapshot.slots("transactions"), snapshot["transactions.hash"])
    if missing >= 0:
        yield f"the index of transactions does not find row {missing}; delete its file, the next ingest makes it anew"
    for table in ("addresses", "assets"):
        missing = kernels.first_missing(snapshot.slots(table), np.array(snapshot[f"{table}.byte"]))
        if missing >= 0:
            yield f"the index of {table} does not find row {missing}; delete its file, the next ingest makes it anew"
    asset, address = np.array(snapshot["holdings.asset"]), np.array(snapshot["holdings.address"])
    missing = kernels.first_missing_pair(snapshot.slots("holdings"), asset, address)
    if missing >= 0:
        yield f"the index of holdings does not find row {missing}; delete its file, the next ingest makes it anew"


LOOKS = (offsets, references, headers, balances, lookups)
