"""Conversion: in one transaction its sender gives one asset to a venue and receives another from it.

Claim: what the sender of a transaction received from a venue was paid by what he gave to it in that transaction.
Premises: the venue is a contract that logged a `Swap` (Uniswap V2 or V3 and their kin) and that, over the transaction,
has itself gained one asset and lost another; or who passed value between the sender and such a contract and kept
nothing of it (a router). Or: the chain's own coin went to a token's contract, which kept it and made as many tokens for
the sender; or the reverse (wrapping). Over what he exchanged with the venue the sender gave exactly one asset and
received exactly one other. What he got back of what he gave (a refund) carries its share. What he paid to anybody else
is no part of it.
Critical questions: Is the venue a market, or a contract of the sender's own that takes part in the concealment? Each
converted step names it. Did somebody else pay a part? Did the sender act for another? Was the price the market's? A
transaction in which he spends what he receives before he has given all is left alone.
Error rate: not measured.
References: Uniswap V2 Core (Adams, Zinsmeister, Robinson 2020); Uniswap V3 Core (2021); the event signatures of both.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import BURN, BURNT_FEE, FEE, MINT, NATIVE, SWAP_V2, SWAP_V3, integers
from calibar.ledger.accounts.schema import NOBODY
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts.naming import transfers_of

VERSION = "1"


@dataclass(frozen=True, slots=True)
class Conversion:
    """What one sender gave and received, as transfers."""

    tx: int
    given_asset: int
    received_asset: int
    given: tuple[int, ...]
    received: tuple[int, ...]
    venue: tuple[int, ...] = ()
    """Addresses that he exchanged them with."""


class _Move(NamedTuple):
    row: int
    kind: int
    asset: int
    payer: int
    payee: int
    amount: int


def conversions(snapshot: AccountSnapshot, limit: int, senders: Collection[int] | None = None) -> list[Conversion]:
    """Conversions among the transfers below `limit`, in chain order; of some senders alone where they are named."""
    logged = np.isin(snapshot["events.kind"], (SWAP_V2, SWAP_V3))
    pools: dict[int, set[int]] = defaultdict(set)
    rows = _of_senders(snapshot, snapshot["events.tx"], np.flatnonzero(logged), senders)
    for row in rows.tolist():
        pools[int(snapshot["events.tx"][row])].add(int(snapshot["events.contract"][row]))
    made = np.flatnonzero(np.isin(snapshot["transfers.kind"][:limit], (MINT, BURN)))
    rows = _of_senders(snapshot, snapshot["transfers.tx"], made, senders)
    candidates = {*pools, *snapshot["transfers.tx"][rows].tolist()}
    found = (_decode(snapshot, tx, limit, pools.get(tx, set())) for tx in sorted(candidates))
    return [conversion for conversion in found if conversion is not None]


def _of_senders(
    snapshot: AccountSnapshot, tx: NDArray[np.int64], rows: NDArray[np.int64], senders: Collection[int] | None
) -> NDArray[np.int64]:
    """Those of the rows that belong to a transaction, of one of the senders where they are named."""
    rows = rows[tx[rows] >= 0]
    if senders is not None:
        rows = rows[np.isin(snapshot["transactions.sender"][tx[rows]], list(senders))]
    return rows


def _decode(snapshot: AccountSnapshot, tx: int, limit: int, pools: set[int]) -> Conversion | None:
    sender = int(snapshot["transactions.sender"][tx])
    moves = _moves(snapshot, tx, limit)
    net: dict[int, dict[int, int]] = defaultdict(lambda: defaultdict(int))
    for move in moves:
        net[move.payer][move.asset] -= move.amount
        net[move.payee][move.asset] += move.amount
    venue = {pool for pool in pools if pool != sender and _exchanged(net[pool].values())}
    if venue:
        venue |= _conduits(moves, net, venue, sender)
    else:
        venue = _wrapper(snapshot, moves, net, sender)
    ours = [move for move in moves if sender in (move.payer, move.payee) and {move.payer, move.payee} & venue]
    sums: dict[int, int] = defaultdict(int)
    for move in ours:
        sums[move.asset] += move.amount if move.payee == sender else -move.amount
    gave = [asset for asset, amount in sums.items() if amount < 0]
    got = [asset for asset, amount in sums.items() if amount > 0]
    if len(gave) != 1 or len(got) != 1:
        return None
    given = [move.row for move in ours if move.payer == sender and move.asset == gave[0]]
    received = [move.row for move in ours if move.payee == sender and move.asset in (gave[0], got[0])]
    between = range(min(received), max(given))
    if any(move.payer == sender and move.asset == got[0] and move.row in between for move in moves):
        return None
    known = tuple(sorted(address for address in venue if address >= 0))
    return Conversion(tx, gave[0], got[0], tuple(given), tuple(received), known)


def _moves(snapshot: AccountSnapshot, tx: int, limit: int) -> list[_Move]:
    """A transaction's transfers below `limit` that move something from one to another, fees apart."""
    rows = [row for row in transfers_of(snapshot, tx) if row < limit]
    amounts = integers(snapshot["transfers.amount"].reshape(-1, 4)[rows])
    moves = []
    for row, amount in zip(rows, amounts, strict=True):
        kind, asset = int(snapshot["transfers.kind"][row]), int(snapshot["transfers.asset"][row])
        payer, payee = (_owner(snapshot, int(snapshot[f"transfers.{side}"][row])) for side in ("sender", "recipient"))
        if amount and kind not in (FEE, BURNT_FEE) and payer != payee:
            moves.append(_Move(row, kind, asset, payer, payee, amount))
    return moves


def _exchanged(sums: Iterable[int]) -> bool:
    """Whether an address has gained one asset and lost another."""
    values = list(sums)
    return any(value > 0 for value in values) and any(value < 0 for value in values)


def _conduits(moves: list[_Move], net: dict[int, dict[int, int]], venue: set[int], sender: int) -> set[int]:
    """Who kept nothing of any asset and paid nobody but the venue, the sender, and each other; tokens' contracts that
    wrap for them included, since those have made or unmade as much as they took or gave."""
    idle = {who for who, sums in net.items() if who not in (sender, NOBODY) and not any(sums.values())}
    wraps = {move.payee for move in moves if move.payer in idle} | {move.payer for move in moves if move.payee in idle}
    wraps -= idle | venue | {sender, NOBODY}
    wraps = {who for who in wraps if _made_as_much(moves, who, idle)}
    while True:
        allowed = idle | venue | wraps | {sender, NOBODY}
        kept = {who for who in idle if all(move.payee in allowed for move in moves if move.payer == who)}
        if kept == idle:
            return kept
        idle = kept


def _made_as_much(moves: list[_Move], who: int, idle: set[int]) -> bool:
    """Whether what an address gave or took of the conduits is what they were made, or unmade, of another asset."""
    exchanged = sum(m.amount for m in moves if who in (m.payer, m.payee) and {m.payer, m.payee} & idle)
    made = sum(m.amount for m in moves if m.kind in (MINT, BURN) and {m.payer, m.payee} & idle)
    return bool(exchanged) and exchanged == made


def _wrapper(snapshot: AccountSnapshot, moves: list[_Move], net: dict[int, dict[int, int]], sender: int) -> set[int]:
    """The contract of a token that was made for the sender, or unmade, against as much of the chain's own coin, which
    that contract kept, or gave; and nobody, from or to whom the token went."""
    for made in moves:
        if made.kind not in (MINT, BURN) or sender not in (made.payer, made.payee):
            continue
        contract = snapshot.find_address(bytes(snapshot["assets.byte"].reshape(-1, 21)[made.asset, 1:]))
        sign = 1 if made.kind == MINT else -1
        coins = [m for m in moves if {m.payer, m.payee} == {sender, contract} and _is_native(snapshot, m.asset)]
        if contract is None or len(coins) != 1 or coins[0].amount != made.amount:
            continue
        if net[contract][coins[0].asset] == sign * made.amount:
            return {contract, NOBODY}
    return set()


def _is_native(snapshot: AccountSnapshot, asset: int) -> bool:
    return int(snapshot["assets.byte"].reshape(-1, 21)[asset, 0]) == NATIVE


def _owner(snapshot: AccountSnapshot, holding: int) -> int:
    return NOBODY if holding < 0 else int(snapshot["holdings.address"][holding])
