"""Lay a case's transfers out in chain order, as the facts that a ledger is made of.

Several servers tell the same transfers, each with what it knows. Of equal rows of a transaction there are as many as
the listing with most of them has. A block that is known whole stands for itself.
"""

from __future__ import annotations

from bisect import bisect
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Final, NamedTuple

from calibar.chains.facts import (
    BURN,
    BURNT_FEE,
    CONTRACT,
    INTERNAL,
    MINT,
    NATIVE,
    SUCCEEDED,
    TOKEN,
    TRC10,
    VALUE,
    ZERO,
    Builder,
    Facts,
    Naming,
)
from calibar.chains.remote.transfers_told import Asset, Movement
from calibar.ledger.case.accounts.state import AccountState

_NO_HASH: Final = bytes(32)
_ORDER: Final = {"fee": 0, "value": 1, "internal": 2, "token": 3}
_UNKNOWN: Final = 1 << 40
Key = tuple[str, Asset, bytes | None, bytes | None, int]


class Laid(NamedTuple):
    """One block's facts, and its height; None where no server said it."""

    height: int | None
    facts: Facts


@dataclass(slots=True)
class _Transaction:
    txid: bytes
    height: int | None = None
    time: int | None = None
    index: int | None = None
    block_hash: bytes | None = None
    counts: Counter[Key] = field(default_factory=Counter)
    positions: dict[Key, list[int]] = field(default_factory=dict)
    """Of the listing that knows most of them."""
    fee: Key | None = None
    first: dict[Key, int] = field(default_factory=dict)
    """In which order rows were told first."""

    def take(self, rows: list[Movement]) -> None:
        """Take in what one listing has of it; the best comes last."""
        counts: Counter[Key] = Counter()
        positions: dict[Key, list[int]] = {}
        for row in rows:
            key: Key = (row.kind, row.asset, row.sender, row.recipient, row.amount)
            self.first.setdefault(key, len(self.first))
            self.height = row.height if self.height is None else self.height
            self.time = row.time if self.time is None else self.time
            self.index = row.transaction_index if self.index is None else self.index
            self.block_hash = row.block_hash or self.block_hash
            if row.kind == "fee":  # there is one, and a receipt knows all of it
                self.fee = key
                continue
            counts[key] += 1
            if row.position is not None:
                positions.setdefault(key, []).append(row.position)
        for key, count in counts.items():
            self.counts[key] = max(self.counts[key], count)
            if len(positions.get(key, ())) >= len(self.positions.get(key, ())):
                self.positions[key] = sorted(set(positions.get(key, ())))

    def rows(self) -> list[tuple[Key, int]]:
        """Its rows in order, each with its position; unknown ones, after the known ones of their kind, are -1, -2, …"""
        found: list[tuple[int, int, int, Key]] = []
        counts = self.counts + Counter([self.fee] if self.fee is not None else [])
        for key, count in counts.items():
            known = self.positions.get(key, [])[:count]
            known = known + [_UNKNOWN] * (count - len(known))
            found += [(_ORDER[key[0]], at, self.first[key], key) for at in known]
        found.sort(key=lambda row: row[:3])
        rows: list[tuple[Key, int]] = []
        unknown = 0
        for _, at, _, key in found:
            unknown -= at == _UNKNOWN and key[0] in ("token", "internal")
            rows.append((key, at if at != _UNKNOWN else unknown))
        return rows


def laid_out(state: AccountState) -> Iterator[Laid]:
    """All blocks of which the case has anything, in chain order."""
    transactions: dict[bytes, _Transaction] = {}
    for _, rows in chain(state.listings, state.by_themselves):
        here: dict[bytes, list[Movement]] = {}
        for row in rows:
            here.setdefault(row.txid, []).append(row)
        for txid, mine in here.items():
            transactions.setdefault(txid, _Transaction(txid)).take(mine)
    whole = {hash_ for facts in state.blocks.values() for hash_ in map(bytes, facts.tx_hash)}
    loose = [each for txid, each in transactions.items() if txid not in whole and each.height not in state.blocks]
    clock = _Clock(loose, state)
    groups: dict[tuple[float, bool, int], list[_Transaction]] = {}
    for each in loose:
        groups.setdefault((clock.height_of(each), each.height is None, each.time or 0), []).append(each)
    namings = [
        Naming(CONTRACT, contract, said.name, said.symbol, said.decimals) for contract, said in state.said.items()
    ]
    blocks = [((float(height), False, 0), Laid(height, facts)) for height, facts in state.blocks.items()]
    blocks += [(key, Laid(group[0].height, _facts(group, namings))) for key, group in groups.items()]
    for _, laid in sorted(blocks, key=lambda block: block[0]):
        yield laid


class _Clock:
    """Heights for transactions of which only the time is told: between the blocks whose time is known."""

    def __init__(self, transactions: list[_Transaction], state: AccountState) -> None:
        known = {each.time: each.height for each in transactions if each.time is not None and each.height is not None}
        known |= {int(facts.time[0]): height for height, facts in state.blocks.items()}
        self._times = sorted(known)
        self._heights = [known[time] for time in self._times]

    def height_of(self, each: _Transaction) -> float:
        """Its height, or one between those of the blocks before and after it."""
        if each.height is not None:
            return float(each.height)
        if each.time is None or not self._times:
            return float(each.time or 0)
        at = bisect(self._times, each.time)
        if at and self._times[at - 1] == each.time:
            return float(self._heights[at - 1])
        below = self._heights[at - 1] if at else self._heights[0] - 1
        return below + 0.5


def _facts(transactions: list[_Transaction], namings: list[Naming]) -> Facts:
    builder = Builder()
    builder.namings += namings
    last = 1 << 40
    for each in sorted(transactions, key=lambda each: (last if each.index is None else each.index, each.txid)):
        rows = each.rows()
        payer = next((key[2] for key, _ in rows if key[0] == "fee" and key[2]), None)
        sender = payer or next((key[2] for key, _ in rows if key[0] == "value" and key[2]), None) or ZERO
        recipient = next((key[3] for key, _ in rows if key[0] == "value" and key[3]), None) or ZERO
        fee = sum(key[4] for key, _ in rows if key[0] == "fee")
        row = builder.transaction(each.txid, SUCCEEDED, sender, recipient, payer or sender, fee)
        for (kind, asset, giver, taker, amount), position in rows:
            number = _kind(kind, giver, taker)
            builder.transfer(
                row, number, *_asset(asset), giver or ZERO, taker or ZERO, amount, min(position, 2**31 - 1)
            )
    first = transactions[0]
    hash_ = next((each.block_hash for each in transactions if each.block_hash), None) or _NO_HASH
    builder.end_block(-1 if first.height is None else first.height, hash_, _NO_HASH, first.time or 0, 0)
    return builder.facts()


def _kind(kind: str, sender: bytes | None, recipient: bytes | None) -> int:
    if kind == "fee":
        return BURNT_FEE
    if sender is None:
        return MINT
    if recipient is None:
        return BURN
    return {"value": VALUE, "internal": INTERNAL, "token": TOKEN}[kind]


def _asset(asset: Asset) -> tuple[int, bytes]:
    if asset.contract is not None:
        return CONTRACT, asset.contract
    if asset.number is not None:
        return TRC10, asset.number.to_bytes(20, "big")
    return NATIVE, ZERO
