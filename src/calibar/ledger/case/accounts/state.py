"""What a case on an account chain knows: listings of addresses, transactions, whole blocks, and what addresses have.

Only whole blocks are recomputed. A listing is its server's word, and may leave rows out: an address's history in an
asset is whole only where what it leaves is what the address is said to have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from calibar.chains.facts import Facts
from calibar.chains.remote.transfers_told import (
    Asset,
    Block,
    Class,
    Holding,
    Movement,
    Movements,
    Newest,
    Said,
    Told,
    Transaction,
)

NATIVE_CLASSES: Final[tuple[Class, ...]] = ("value", "internal")
"""Listings that together have all of the chain's own coin that an address moved."""
Address = bytes


def classes_of(asset: Asset, chain: str) -> tuple[Class, ...]:
    """The listings in which an asset's movements stand."""
    if asset.number is not None:
        return ("trc10",)
    if asset.contract is not None:
        return ("token",)
    return NATIVE_CLASSES if chain.startswith("ethereum:") else ("value",)


@dataclass(slots=True)
class AccountState:
    """The facts of a case on an account chain."""

    chain: str
    blocks: dict[int, Facts] = field(default_factory=dict)
    """Whole blocks, by height."""
    listed: dict[tuple[Address, Class], dict[tuple[str, Asset | None], Movements]] = field(default_factory=dict)
    """Each server's last listing of an address, of all assets or of one."""
    transactions: dict[bytes, dict[str, Transaction]] = field(default_factory=dict)
    """By id and server."""
    holdings: dict[tuple[Address, Asset], dict[str, Holding]] = field(default_factory=dict)
    """What servers said last that addresses have; `height` is filled in with the server's last block."""
    newest: dict[str, Newest] = field(default_factory=dict)
    said: dict[bytes, Said] = field(default_factory=dict)
    """What tokens are said to say of themselves, by contract; the first word stays."""
    hashes: dict[int, bytes] = field(default_factory=dict)
    """Which block is at a height, by the last word on it."""
    left: list[bytes] = field(default_factory=list)
    """Transactions of blocks that another branch took."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(server, what): told, and cannot be true."""

    @property
    def tip(self) -> int:
        """Height of the last block that a server named; -1 where none did."""
        return max((newest.height for newest in self.newest.values()), default=-1)

    def tip_of(self, place: str) -> int:
        """Height of the last block that a server named; -1 where it named none."""
        return self.newest[place].height if place in self.newest else -1

    def learn(self, told: Told, place: str) -> None:
        """Take in what a server told; its later word takes the place of its earlier one."""
        if isinstance(told, Block):
            self._learn_block(told)
        elif isinstance(told, Newest):
            self.newest[place] = told
        elif isinstance(told, Holding):
            known = self.newest.get(place)
            height = told.height if told.height is not None else (known.height if known else None)
            said = Holding(told.address, told.asset, told.amount, height)
            self.holdings.setdefault((told.address, told.asset), {})[place] = said
        elif isinstance(told, Movements):
            self.listed.setdefault((told.address, told.what), {})[place, told.asset] = told
            self._learn_rows(told.rows)
        else:
            self.transactions.setdefault(told.txid, {})[place] = told
            self._learn_rows(told.rows)

    @property
    def listings(self) -> Iterator[tuple[str, tuple[Movement, ...]]]:
        """(server, rows) of each listing and transaction."""
        for told in self.listed.values():
            yield from ((place, listing.rows) for (place, _), listing in told.items())
        for by_place in self.transactions.values():
            yield from ((place, transaction.rows) for place, transaction in by_place.items())

    def _learn_block(self, told: Block) -> None:
        self._learn_hash(told.height, bytes(told.facts.block_hash[0]))
        self.blocks[told.height] = told.facts

    def _learn_hash(self, height: int, hash_: bytes) -> None:
        """The later word on which block is at a height stands; what was of another block goes."""
        if self.hashes.setdefault(height, hash_) != hash_:
            self.hashes[height] = hash_
            if (known := self.blocks.pop(height, None)) is not None:
                self.left += map(bytes, known.tx_hash)

    def is_of_the_branch(self, row: Movement) -> bool:
        """Whether a row's block is, by the later word, still at its height."""
        return row.height is None or row.block_hash in (None, self.hashes.get(row.height))

    def _learn_rows(self, rows: tuple[Movement, ...]) -> None:
        """What tokens are called; and blocks that another branch took since they were told whole go."""
        for row in rows:
            if row.height is not None and row.block_hash is not None:
                self._learn_hash(row.height, row.block_hash)
            if row.said is not None and row.asset.contract is not None:
                self.said.setdefault(row.asset.contract, row.said)

    def is_listed(self, address: Address, asset: Asset) -> bool:
        """Whether some server listed all that an address moved of an asset from some block on, as far as it says.

        Where that leaves what the address has, it had nothing before that block, and what went through it is no matter.
        """
        return all(
            any(
                not told.capped and told.asset in (None, asset)
                for told in self.listed.get((address, what), {}).values()
            )
            for what in classes_of(asset, self.chain)
        )

    def servers(self) -> list[str]:
        """Who told."""
        return sorted({place for place, _ in self.listings} | set(self.newest))
