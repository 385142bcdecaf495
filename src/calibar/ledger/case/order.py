"""In which order a case's transactions stand: by block and position where shown, the others where they must be."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from calibar.ledger.case.state import Placed
from calibar.ledger.case.transactions import Transaction


class Block(NamedTuple):
    """Transactions of one block that the case has; or one without a place, which stands between two blocks."""

    height: int | None
    transactions: list[Transaction]


def ordered(transactions: Mapping[bytes, Transaction], places: Mapping[bytes, Placed]) -> list[Block]:
    """Blocks by height. What has no place stands before the first block that builds on it; what none builds on, and
    may never be in a block, is left out unless nothing has a place."""
    waiting = {txid for txid in transactions if txid not in places}
    blocks: list[Block] = []
    by_place = sorted((placed.height, placed.position, txid) for txid, placed in places.items() if txid in transactions)
    for height, _, txid in by_place:
        needed = _ancestors([transactions[txid]], transactions, waiting)
        if needed:
            at = len(blocks) - 1 if blocks and blocks[-1].height == height else len(blocks)
            blocks[at:at] = [Block(None, [read]) for read in needed]
            waiting.difference_update(read.txid for read in needed)
        if not blocks or blocks[-1].height != height:
            blocks.append(Block(height, []))
        blocks[-1].transactions.append(transactions[txid])
    if not blocks and (
        rest := _ancestors([transactions[txid] for txid in sorted(waiting)], transactions, waiting, include=True)
    ):
        blocks += [Block(None, [read]) for read in rest]
    return blocks


def _ancestors(
    starts: list[Transaction], transactions: Mapping[bytes, Transaction], among: set[bytes], *, include: bool = False
) -> list[Transaction]:
    """What the starts spend from, directly or not, in `among` all the way; makers before spenders."""
    found: list[Transaction] = []
    seen: set[bytes] = set()
    stack: list[tuple[Transaction, bool]] = [(start, False) for start in reversed(starts)]
    first = set() if include else {start.txid for start in starts}
    while stack:
        read, done = stack.pop()
        if done:
            found.append(read)
            continue
        if read.txid in seen:
            continue
        seen.add(read.txid)
        if read.txid not in first:
            stack.append((read, True))
        makers = sorted({coin.txid for coin in read.inputs} & among - seen)
        stack.extend((transactions[txid], False) for txid in reversed(makers))
    return found
