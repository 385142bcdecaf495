"""What is asked of a server, and what it tells: the one interface of all kinds of servers.

Nothing told is believed yet. Whoever asks checks it: ids against bytes, branches against headers, headers against work.
Hashes are in wire order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol


class Outpoint(NamedTuple):
    """A coin's name."""

    txid: bytes
    output: int


# Questions.


@dataclass(frozen=True, slots=True)
class TipQuestion:
    """Which block is the last?"""


@dataclass(frozen=True, slots=True)
class HeadersQuestion:
    """The headers of heights first … first + count - 1; answered by those that there are."""

    first: int
    count: int


@dataclass(frozen=True, slots=True)
class RawQuestion:
    """The bytes of a transaction."""

    txid: bytes


@dataclass(frozen=True, slots=True)
class PlaceQuestion:
    """Where in the chain a transaction is, with its merkle branch."""

    txid: bytes
    height: int | None
    """Where it is said to be; some servers must be told."""


@dataclass(frozen=True, slots=True)
class HistoryQuestion:
    """Which transactions pay or spend from a script."""

    script: bytes
    most: int
    """More than so many are refused: a service's address."""


@dataclass(frozen=True, slots=True)
class SpenderQuestion:
    """Which transaction spends a coin."""

    coin: Outpoint
    script: bytes


@dataclass(frozen=True, slots=True)
class BalanceQuestion:
    """What a script has now."""

    script: bytes


Question = (
    TipQuestion | HeadersQuestion | RawQuestion | PlaceQuestion | HistoryQuestion | SpenderQuestion | BalanceQuestion
)


# Answers.


@dataclass(frozen=True, slots=True)
class Tip:
    """The last block."""

    height: int
    header: bytes
    """80 bytes."""


@dataclass(frozen=True, slots=True)
class Headers:
    """Headers of consecutive heights."""

    first: int
    data: bytes
    """80 bytes each."""


@dataclass(frozen=True, slots=True)
class Raw:
    """A transaction's bytes, with witnesses where it has them."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """A transaction's block, and the branch that shows it to be there."""

    txid: bytes
    height: int
    position: int
    branch: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class History:
    """Transactions of a script, each with its height; 0 or below: in no block yet."""

    script_hash: bytes
    """SHA-256 of the script, as hashed."""
    entries: tuple[tuple[bytes, int], ...]


@dataclass(frozen=True, slots=True)
class Spender:
    """What spends a coin, and at which height (0 or below: in no block yet); both None: nothing does."""

    coin: Outpoint
    txid: bytes | None
    height: int | None


@dataclass(frozen=True, slots=True)
class Balance:
    """What a script has, satoshi: in blocks, and what transactions in no block yet add or take."""

    script_hash: bytes
    confirmed: int
    unconfirmed: int


Told = Tip | Headers | Raw | Place | History | Spender | Balance


@dataclass(frozen=True, slots=True)
class Refusal:
    """No answer, and why, in words: the server says no, does not know it, or does not offer the like."""

    why: str
    too_much: bool = False
    """Whether the answer would be longer than wanted: a service's address."""


class Exchange(NamedTuple):
    """One request and the bytes that came back: all that needs to be kept to tell the same again."""

    kind: str
    """Which kind of server: the name of the module that reads the response."""
    place: str
    """Which server, without secrets."""
    request: str
    """As the kind writes it; without secrets."""
    response: bytes


Keep = Callable[[Exchange], None]
"""Told of every exchange before its response is used."""


class Source(Protocol):
    """A server."""

    kind: str
    place: str

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """Answers, in any order, one for each question; requests go out together where the kind allows it.

        Raises DecodeError where what comes back is no answer (another source may be asked), UsageError where the
        server cannot be used.
        """

    def close(self) -> None:
        """Hang up."""


class Reader(Protocol):
    """The pure half of a kind of server: the same response tells the same, years later and offline."""

    def __call__(self, request: str, response: bytes) -> Iterable[Told]:
        """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
