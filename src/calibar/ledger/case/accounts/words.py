"""Who said what, when: the last word of each server on each matter of a case, and the answers that were none."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Generic, TypeVar

from calibar.chains.bitcoin.sources.told import Exchange
from calibar.chains.remote.transfers_told import (
    Asset,
    Block,
    Class,
    Holding,
    Movement,
    Movements,
    Newest,
    Told,
    Transaction,
)
from calibar.errors import ChainError, DecodeError
from calibar.ledger.case.accounts.state import rows_outside
from calibar.ledger.case.case import read_exchange
from calibar.ledger.case.kept import Kept, read_kept

Progress = Callable[[str, int, int], None]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Word(Generic[T]):
    """What a server told, and how things stood then."""

    line: int
    """Of the file of responses."""
    kind: str
    place: str
    time: int
    """When it was told, seconds since 1970 UTC."""
    tip: int
    """Height of the last block that the server had named before; -1 where none."""
    told: T
    below: int | None = None
    """Of a list: where a later one begins, which has the rest."""


@dataclass(frozen=True, slots=True)
class Failed:
    """A response that is no answer, or contradicts itself."""

    line: int
    exchange: Exchange
    why: str


@dataclass(slots=True)
class Words:
    """All that counts of a case's responses: of each server its last word on each matter."""

    listings: dict[tuple[str, bytes, Class, Asset | None], list[Word[Movements]]] = field(default_factory=dict)
    """The last, and of those before what stood below its first block."""
    transactions: dict[tuple[str, bytes], Word[Transaction]] = field(default_factory=dict)
    holdings: dict[tuple[str, bytes, Asset], Word[Holding]] = field(default_factory=dict)
    newest: dict[str, Word[Newest]] = field(default_factory=dict)
    blocks: dict[int, Word[Block]] = field(default_factory=dict)
    """By height, whoever told it."""
    failed: list[Failed] = field(default_factory=list)
    answered: set[tuple[str, str]] = field(default_factory=set)
    """(server, request) that had an answer at some time."""

    def rows(self) -> Iterator[tuple[str, bool, tuple[Movement, ...]]]:
        """(server, whether with its receipt, rows) of each list and of each transaction asked for by itself."""
        for listing in self.lists():
            yield listing.place, False, listing.told.rows
        for transaction in self.transactions.values():
            yield transaction.place, True, transaction.told.rows

    def lists(self) -> Iterator[Word[Movements]]:
        """Every list that stands."""
        for words in self.listings.values():
            yield from words

    def take(self, line: int, kept: Kept, told: Told) -> None:
        """Take in what a response told; it takes the place of what its server said of that before."""
        place = kept.exchange.place
        named = self.newest.get(place)

        def word(said: T) -> Word[T]:
            tip = -1 if named is None else named.told.height
            return Word(line, kept.exchange.kind, place, kept.time, tip, said)

        match told:
            case Movements(address, what, asset):
                before = self.listings.get((place, address, what, asset), [])
                below = [_below(each, told) for each in before if each.told.first < told.first]
                self.listings[place, address, what, asset] = [*below, word(told)]
            case Transaction(txid):
                self.transactions[place, txid] = word(told)
            case Holding(address, asset):
                self.holdings[place, address, asset] = word(told)
            case Newest():
                self.newest[place] = word(told)
            case Block(height):
                self.blocks[height] = word(told)


def _below(word: Word[Movements], later: Movements) -> Word[Movements]:
    """What stands of a list below the first block of a later one."""
    below = later.first if word.below is None else min(word.below, later.first)
    return replace(word, told=replace(word.told, rows=rows_outside(word.told, later)), below=below)


def read_words(folder: Path, say: Progress) -> Words:
    """Read every response of the case in `folder`. Raises DamageError."""
    words = Words()
    for line, kept in enumerate(read_kept(folder), 1):
        say("responses", line, line)
        exchange = kept.exchange
        try:
            for told in read_exchange(exchange):
                words.take(line, kept, told)
        except (ChainError, DecodeError) as error:
            words.failed.append(Failed(line, exchange, str(error)))
        else:
            words.answered.add((exchange.place, exchange.request))
    return words
