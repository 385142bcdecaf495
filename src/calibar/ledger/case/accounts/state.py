"""What a case on an account chain knows: listings of addresses, transactions, whole blocks, and what addresses have.

Only whole blocks are recomputed. A listing is its server's word, and may leave rows out: an address's history in an
asset is whole only where what it leaves is what the address is said to have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import chain
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
    holdings: dict[tuple[Address, Asset], dict[str, tuple[Holding, int]]] = field(default_factory=dict)
    """What servers said last that addresses have, and up to which height that stands: the last block they had named."""
    newest: dict[str, Newest] = field(default_factory=dict)
    said: dict[bytes, Said] = field(default_factory=dict)
    """What tokens are said to say of themselves, by contract; the first word stays."""
    left: list[bytes] = field(default_factory=list)
    """Transactions of blocks that another branch took."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(server, what): told, and cannot be true."""

    @property
    def tip(self) -> int:
        """Height of the last block by the servers' words, the lower median: one alone cannot raise it; else -1."""
        heights = sorted(newest.height for newest in self.newest.values())
        return heights[(len(heights) - 1) // 2] if heights else -1

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
            upto = max(self.tip_of(place), told.height if told.height is not None else -1)
            self.holdings.setdefault((told.address, told.asset), {})[place] = (told, upto)
        elif isinstance(told, Movements):
            self.listed.setdefault((told.address, told.what), {})[place, told.asset] = told
            self._learn_rows(told.rows)
        else:
            self.transactions.setdefault(told.txid, {})[place] = told
            self._learn_rows(told.rows)

    @property
    def listings(self) -> Iterator[tuple[str, tuple[Movement, ...]]]:
        """(server, rows) of each listing."""
        for told in self.listed.values():
            yield from ((place, listing.rows) for (place, _), listing in told.items())

    @property
    def by_themselves(self) -> Iterator[tuple[str, tuple[Movement, ...]]]:
        """(server, rows) of each transaction that was asked for by itself: with its receipt."""
        for by_place in self.transactions.values():
            yield from ((place, transaction.rows) for place, transaction in by_place.items())

    def rows(self) -> Iterator[Movement]:
        """Every row that any server told."""
        for _, rows in chain(self.listings, self.by_themselves):
            yield from rows

    def _learn_block(self, told: Block) -> None:
        known = self.blocks.get(told.height)
        if known is not None and bytes(known.block_hash[0]) != bytes(told.facts.block_hash[0]):
            stay = set(map(bytes, told.facts.tx_hash))
            self.left += [hash_ for hash_ in map(bytes, known.tx_hash) if hash_ not in stay]
        self.blocks[told.height] = told.facts

    def _learn_rows(self, rows: tuple[Movement, ...]) -> None:
        """What tokens are called."""
        for row in rows:
            if row.said is not None and row.asset.contract is not None:
                self.said.setdefault(row.asset.contract, row.said)

    def disputed(self) -> set[int]:
        """Heights whose whole block is another than a listing says: perhaps another branch has taken it since."""
        return {
            row.height
            for row in self.rows()
            if row.height in self.blocks and row.block_hash not in (None, bytes(self.blocks[row.height].block_hash[0]))
        }

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
        return sorted({place for place, _ in chain(self.listings, self.by_themselves)} | set(self.newest))
