"""Random account chains, and what they must come to, plainly."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field

from hypothesis import strategies as st

from calibar.chains.facts import (
    APPROVAL,
    CONTRACT,
    FROM_NOBODY,
    MINT,
    NATIVE,
    SUCCEEDED,
    TO_NOBODY,
    TOKEN,
    TRC10,
    ZERO,
    Builder,
    Facts,
    Naming,
)

MAX = 2**256 - 1


@dataclass(frozen=True)
class Move:
    """One transfer; addresses and assets by number."""

    kind: int
    asset: int
    sender: int
    recipient: int
    amount: int


@dataclass(frozen=True)
class Block:
    """Transactions, each a list of transfers; then those of no transaction."""

    transactions: tuple[tuple[Move, ...], ...]
    rest: tuple[Move, ...]


def address(number: int) -> bytes:
    return hashlib.sha256(b"address%d" % number).digest()[:20]


def asset(number: int) -> tuple[int, bytes]:
    if number == 0:
        return NATIVE, ZERO
    return (TRC10, number.to_bytes(20, "big")) if number % 3 == 0 else (CONTRACT, address(1000 + number))


def moves(amounts: st.SearchStrategy[int]) -> st.SearchStrategy[Move]:
    people, kinds = st.integers(0, 5), st.sampled_from([TOKEN, TOKEN, TOKEN, MINT, *FROM_NOBODY, *TO_NOBODY])
    return st.builds(Move, kinds, st.integers(0, 4), people, people, amounts)


AMOUNTS = st.one_of(st.integers(0, 20), st.integers(0, 2**200), st.just(MAX))


def histories(amounts: st.SearchStrategy[int] = AMOUNTS, most: int = 8) -> st.SearchStrategy[list[Block]]:
    lists = st.lists(moves(amounts), max_size=4).map(tuple)
    blocks = st.builds(Block, st.lists(lists, max_size=3).map(tuple), st.lists(moves(amounts), max_size=2).map(tuple))
    return st.lists(blocks, min_size=1, max_size=most)


@dataclass
class Chain:
    """A facts.Source of random blocks; `salt` makes another branch."""

    blocks: list[Block]
    batch: int = 3
    chain: str = "ethereum:1337"
    salts: dict[int, int] = field(default_factory=dict)
    """By height, from which on hashes differ."""

    def last(self) -> int:
        return len(self.blocks) - 1

    def _hash(self, number: int) -> bytes:
        salt = sum(value for height, value in self.salts.items() if height <= number)
        return hashlib.sha256(b"block %d %d" % (number, salt)).digest()

    def hash_of(self, number: int) -> bytes | None:
        return self._hash(number) if 0 <= number <= self.last() else None

    def read(self, first: int, last: int) -> Iterator[Facts]:
        for start in range(first, last + 1, self.batch):
            yield self._facts(start, min(start + self.batch - 1, last))

    def _facts(self, first: int, last: int) -> Facts:
        builder = Builder()
        for number in range(first, last + 1):
            block = self.blocks[number]
            for place, transaction in enumerate(block.transactions):
                digest = hashlib.sha256(self._hash(number) + b"%d" % place).digest()
                tx = builder.transaction(digest, SUCCEEDED, address(place), address(place + 1), address(place), 7)
                for position, move in enumerate(transaction):
                    self._add(builder, tx, move, position)
                builder.event(tx, APPROVAL, address(9), address(place), ZERO, 5, 0)
            for move in block.rest:
                self._add(builder, -1, move, 0)
            parent = self._hash(number - 1) if number else bytes(32)
            builder.end_block(number, self._hash(number), parent, 1_600_000_000 + number, 0, b"header%d" % number)
        builder.namings.append(Naming(*asset(1), "Name\0one", "ONE", 6))
        builder.notes.append("this chain is made up")
        return builder.facts()

    def _add(self, builder: Builder, tx: int, move: Move, position: int) -> None:
        kind, contract = asset(move.asset)
        sender = ZERO if move.kind in FROM_NOBODY else address(move.sender)
        recipient = ZERO if move.kind in TO_NOBODY else address(move.recipient)
        builder.transfer(tx, move.kind, kind, contract, sender, recipient, move.amount, position)

    def transfers(self, height: int) -> Iterator[Move]:
        for block in self.blocks[: height + 1]:
            for transaction in block.transactions:
                yield from transaction
            yield from block.rest

    def balances(self, height: int) -> dict[tuple[int, int], int]:
        """What each (asset, person) has after the block at that height, below zero where it does not add up."""
        sums: dict[tuple[int, int], int] = {}
        for move in self.transfers(height):
            if move.kind not in FROM_NOBODY:
                key = move.asset, move.sender
                sums[key] = sums.get(key, 0) - move.amount
            if move.kind not in TO_NOBODY:
                key = move.asset, move.recipient
                sums[key] = sums.get(key, 0) + move.amount
        return sums
