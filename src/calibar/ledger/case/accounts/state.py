"""What a case on an account chain knows: listings of addresses, transactions, whole blocks, and what addresses have.

Only whole blocks are recomputed. A listing is its server's word, and may leave rows out: an address's history in an
asset is whole only where what it leaves is what the address is said to have.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
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
    MovementsQuestion,
    Newest,
    Question,
    Said,
    Told,
    TooMany,
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
    _block_of: dict[bytes, int] = field(default_factory=dict)
    """Heights of the transactions in whole blocks."""
    blocks_upto: dict[int, int] = field(default_factory=dict)
    """Which height the chain was known up to when a block was told last."""
    listed: dict[tuple[Address, Class], dict[tuple[str, Asset | None], Movements]] = field(default_factory=dict)
    """Each server's last listing of an address, of all assets or of one."""
    listed_upto: dict[tuple[Address, Class, str, Asset | None], int] = field(default_factory=dict)
    """Up to which height a listing stands: the last block that its server had named."""
    too_many: dict[tuple[Address, Class, Asset | None], dict[str, MovementsQuestion]] = field(default_factory=dict)
    """Listings that servers have more rows of than were asked for: each with the last such question."""
    transactions: dict[bytes, dict[str, Transaction]] = field(default_factory=dict)
    """By id and server."""
    holdings: dict[tuple[Address, Asset], dict[str, tuple[Holding, int]]] = field(default_factory=dict)
    """What servers said last that addresses have, and up to which height that stands: the last block they had named."""
    _seen: set[tuple[bytes, Address | None, Address | None, Asset, int]] = field(default_factory=set)
    """Every transfer that was ever listed."""
    _told: int = 0
    """How many answers were learnt."""
    word_at: dict[tuple[Address, Asset, str], int] = field(default_factory=dict)
    gained_at: dict[tuple[Address, Asset], int] = field(default_factory=dict)
    """Which answer was a server's last word of what an address has, and which brought the last transfer of which no
    height is told: the order of both."""
    words: dict[tuple[Address, Asset], dict[str, list[tuple[int, int]]]] = field(default_factory=dict)
    """Such words of each server: up to which height, and how much."""
    newest: dict[str, Newest] = field(default_factory=dict)
    said: dict[bytes, Said] = field(default_factory=dict)
    """What tokens are said to say of themselves, by contract; the first word stays."""
    refusals: dict[Question, dict[str, int]] = field(default_factory=dict)
    """Questions (of lists without how many rows are wanted) to which a server told nothing, and up to which height that
    stands."""
    left: list[bytes] = field(default_factory=list)
    """Transactions of blocks that another branch took, or that a server listed and lists no more."""
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
        self._told += 1
        if isinstance(told, Block):
            self._learn_block(told)
        elif isinstance(told, Newest):
            self.newest[place] = told
        elif isinstance(told, Holding):
            upto = max(self.tip_of(place), told.height if told.height is not None else -1)
            self.holdings.setdefault((told.address, told.asset), {})[place] = (told, upto)
            self.word_at[told.address, told.asset, place] = self._told
            self._learn_word(told, place, upto)
        elif isinstance(told, Movements):
            self._learn_listing(told, place)
            self._learn_rows(told.rows)
        elif isinstance(told, TooMany):
            asked = told.asked
            self.too_many.setdefault((asked.address, asked.what, asked.asset), {})[place] = asked
        else:
            self.transactions.setdefault(told.txid, {})[place] = told
            self._learn_rows(told.rows)

    def refuse(self, question: Question | None, place: str) -> None:
        """Note that a server told nothing to a question."""
        if question is not None:
            self.refusals.setdefault(without_most(question), {})[place] = self.tip_of(place)

    def is_fresh(self, address: Address, asset: Asset, place: str) -> bool:
        """Whether a server's word of what an address has is of the last block that it named, and was told after every
        transfer of which no height is told."""
        _, upto = self.holdings[address, asset][place]
        told_before = self.word_at[address, asset, place] < self.gained_at.get((address, asset), -1)
        return upto >= max(self.tip_of(place), 0) and not told_before

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

    def in_blocks(self) -> set[bytes]:
        """Ids of the transactions in whole blocks."""
        return set(self._block_of)

    def _learn_block(self, told: Block) -> None:
        """A block takes the place of another at its height, and of any that has one of its transactions: a transaction
        is in one block, and the later word says in which."""
        here = dict.fromkeys(map(bytes, told.facts.tx_hash), told.height)
        known = self.blocks.get(told.height)
        others = {self._block_of[hash_] for hash_ in here.keys() & self._block_of.keys()} - {told.height}
        if known is not None and bytes(known.block_hash[0]) != bytes(told.facts.block_hash[0]):
            others.add(told.height)
        for height in sorted(others):
            gone = list(map(bytes, self.blocks.pop(height).tx_hash))
            self.blocks_upto.pop(height, None)
            self._block_of = {hash_: at for hash_, at in self._block_of.items() if at != height}
            self.left += [hash_ for hash_ in gone if hash_ not in here]
        self._block_of |= here
        self.blocks[told.height] = told.facts
        self.blocks_upto[told.height] = self.tip

    def _learn_listing(self, told: Movements, place: str) -> None:
        """From its first block on it takes the place of what the same server listed before."""
        listings = self.listed.setdefault((told.address, told.what), {})
        related = {
            asset: listing
            for (by, asset), listing in listings.items()
            if by == place and (asset == told.asset or None in (asset, told.asset))
        }
        before = related.pop(told.asset, None)
        merged = told
        if told.first and before is not None:
            rows, capped = rows_outside(before, told) + told.rows, before.capped or told.capped
            adjoins = self.listed_upto[told.address, told.what, place, told.asset] >= told.first - 1
            first = min(before.first, told.first) if adjoins else told.first
            merged = replace(told, rows=rows, first=first, capped=capped)
        listings[place, told.asset] = merged
        self._note_gains(told)
        self.listed_upto[told.address, told.what, place, told.asset] = self.tip_of(place)
        self.too_many.get((told.address, told.what, told.asset), {}).pop(place, None)
        if told.capped:
            return
        for asset, other in related.items():
            listings[place, asset] = replace(other, rows=rows_outside(other, told))
        stay = {row.txid for row in told.rows}
        for other in (*related.values(), *([] if before is None else [before])):
            outside = {row.txid for row in rows_outside(other, told)}
            self._withdraw({row.txid for row in other.rows} - outside - stay, place)

    def _learn_word(self, told: Holding, place: str, upto: int) -> None:
        """A word of no later block than an earlier one takes its place: a branch did, or the earlier one was no word of
        a block that there is. Of the same words in a row the first and the last stay."""
        by_place = self.words.setdefault((told.address, told.asset), {})
        words = [word for word in by_place.get(place, []) if word[0] < upto]
        if [amount for _, amount in words[-2:]] == [told.amount] * 2:
            words.pop()
        by_place[place] = [*words, (upto, told.amount)]

    def _note_gains(self, told: Movements) -> None:
        """Transfers of which no height is told, and that nobody told before."""
        for row in told.rows:
            name = row.txid, row.sender, row.recipient, row.asset, row.amount
            if row.height is None and name not in self._seen:
                self.gained_at[told.address, row.asset] = self._told
        self._seen.update((row.txid, row.sender, row.recipient, row.asset, row.amount) for row in told.rows)

    def _withdraw(self, txids: set[bytes], place: str) -> None:
        """What a server listed and lists no more it does not tell by itself either: a branch took the block."""
        still = {row.txid for by, rows in self.listings if by == place for row in rows} if txids else set()
        for txid in sorted(txids - still):
            self.transactions.get(txid, {}).pop(place, None)
            if all(row.txid != txid for row in self.rows()):
                self.left.append(txid)

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


def without_most(question: Question) -> Question:
    """A question, of a list without how many rows are wanted."""
    return replace(question, most=0) if isinstance(question, MovementsQuestion) else question


def rows_outside(listing: Movements, later: Movements) -> tuple[Movement, ...]:
    """The rows of a listing that a later one says nothing of: of other assets, before its first block, or after where
    it was cut."""

    def is_before(row: Movement) -> bool:
        if row.height is not None:
            return row.height < later.first or (later.capped and later.upto is not None and row.height > later.upto)
        return row.time is not None and later.since is not None and row.time < later.since

    return tuple(row for row in listing.rows if later.asset not in (None, row.asset) or is_before(row))
