"""What transactions moved by whole blocks, and what rows of servers add to it: in one form, to be compared."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from calibar.chains.facts import (
    BURN,
    BURNT_FEE,
    CONTRACT,
    FAILED,
    FEE,
    FROM_NOBODY,
    HAS_INTERNAL,
    INTERNAL,
    TO_NOBODY,
    TRC10,
    ZERO,
    Facts,
    integers,
)
from calibar.chains.remote.transfers_told import NATIVE, Asset, Movement

FEES = (FEE, BURNT_FEE)


class Move(NamedTuple):
    """A transfer as servers and blocks both know it. None is nobody, and so is the zero address."""

    asset: Asset
    sender: bytes | None
    recipient: bytes | None
    amount: int


@dataclass(frozen=True, slots=True)
class Moved:
    """All that a transaction moved by a whole block."""

    height: int
    status: int
    payer: bytes
    fee: int
    moves: tuple[tuple[int, Move], ...]
    """Each with its kind; fees are not among them."""
    calls_known: bool
    """Whether its block's source told what is moved inside calls."""

    @property
    def failed(self) -> bool:
        """Whether it did; where its receipt does not say so, it did not."""
        return self.status == FAILED


def asset_of(kind: int, octets: bytes) -> Asset:
    """An asset of blocks as servers are asked about it."""
    if kind == CONTRACT:
        return Asset(contract=octets)
    return Asset(number=int.from_bytes(octets)) if kind == TRC10 else NATIVE


def move_of(kind: int, asset: Asset, sender: bytes, recipient: bytes, amount: int) -> Move:
    """A transfer of a block."""
    giver = None if kind in FROM_NOBODY or sender == ZERO else sender
    return Move(asset, giver, None if kind in TO_NOBODY or recipient == ZERO else recipient, amount)


def move_told(row: Movement) -> Move:
    """A row of a server."""
    sender, recipient = (None if end == ZERO else end for end in (row.sender, row.recipient))
    return Move(row.asset, sender, recipient, row.amount)


def moved_in(facts: Facts) -> dict[bytes, Moved]:
    """What each transaction of a block moved, by its id."""
    moves: dict[int, list[tuple[int, Move]]] = {}
    kinds, assets = facts.transfer_kind.tolist(), facts.asset_kind.tolist()
    for at, (tx, amount) in enumerate(zip(facts.transfer_tx.tolist(), integers(facts.amount), strict=True)):
        if tx < 0 or kinds[at] in FEES:
            continue
        asset = asset_of(assets[at], facts.asset[at].tobytes())
        move = move_of(kinds[at], asset, facts.sender[at].tobytes(), facts.recipient[at].tobytes(), amount)
        moves.setdefault(tx, []).append((kinds[at], move))
    height, calls = int(facts.number[0]), bool(facts.proof[0] & HAS_INTERNAL)
    return {
        facts.tx_hash[tx].tobytes(): Moved(
            height, int(facts.tx_status[tx]), facts.tx_payer[tx].tobytes(), fee, tuple(moves.get(tx, ())), calls
        )
        for tx, fee in enumerate(integers(facts.tx_fee))
    }


def by_transaction(rows: Iterable[Movement]) -> dict[bytes, list[Movement]]:
    """Rows of a list, by transaction."""
    found: dict[bytes, list[Movement]] = {}
    for row in rows:
        found.setdefault(row.txid, []).append(row)
    return found


def added_by(rows: Iterable[Movement], moved: Moved, *, receipt: bool) -> list[Move]:
    """Rows of a transaction that it did not move.

    A list may know less of a fee than was paid (Etherscan's leaves out what blobs cost), its `receipt` all of it. What
    a contract pays to itself in a call is no matter: nobody has more by it, and servers differ on it.
    """
    there = Counter(move for _, move in moved.moves)
    found: list[Move] = []
    for row in rows:
        move = move_told(row)
        if row.kind == "fee":
            if move.sender != moved.payer or row.amount > moved.fee or (receipt and row.amount < moved.fee):
                found.append(move)
        elif row.kind == "internal" and (row.sender == row.recipient or not moved.calls_known):
            pass
        elif there[move] and move.amount:
            there[move] -= 1
        elif move.amount or move not in there:
            found.append(move)
    return found


def missing_from(rows: Iterable[Movement], moved: Moved, counts: Callable[[int, Asset], bool]) -> Iterator[Move]:
    """What a transaction moved, of the kinds that count, and rows do not have. What moves nothing is no matter."""
    told = Counter(move_told(row) for row in rows if row.kind != "fee")
    for kind, move in moved.moves:
        if not move.amount or not counts(kind, move.asset) or (kind == INTERNAL and move.sender == move.recipient):
            continue
        if told[move]:
            told[move] -= 1
        else:
            yield move


def is_inside(kind: int, asset: Asset) -> bool:
    """Whether a transfer of the chain's own coin is known by traces alone."""
    return kind == INTERNAL or (kind == BURN and asset == NATIVE)
