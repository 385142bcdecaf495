"""What is asked of servers of account chains, and what they tell: the one interface of all kinds of explorers.

Addresses are 20 bytes (on TRON without the leading 0x41), hashes 32 bytes. Nothing told is believed to be whole: an
answer says which rows it has, and the asker compares them with a balance.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Literal, Protocol

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.facts import Facts

Kind = Literal["value", "internal", "token", "fee"]
Class = Literal["value", "internal", "token", "trc10"]
"""What explorers list apart: transactions of an address, transfers inside calls, transfers of tokens, of TRC-10."""


@dataclass(frozen=True, slots=True)
class Asset:
    """What is moved. `contract` None and `number` None: the chain's own coin."""

    contract: bytes | None = None
    number: int | None = None
    """Of a TRC-10 token."""


NATIVE = Asset()
NO_BLOCKS: Final = "it gives no whole blocks; name a node too"
"""Why an explorer refuses a BlockQuestion."""


@dataclass(frozen=True, slots=True)
class Said:
    """What a token is said to say of itself."""

    name: str
    symbol: str
    decimals: int | None


@dataclass(frozen=True, slots=True)
class Movement:
    """A transfer as a server tells it; what it does not tell is None. A failed transaction has its fee alone."""

    kind: Kind
    txid: bytes
    asset: Asset
    sender: bytes | None
    """None: made out of nothing (a mint)."""
    recipient: bytes | None
    """None: gone for good (a burn, a fee)."""
    amount: int
    """Base units."""
    height: int | None
    time: int | None
    """Seconds since 1970 UTC."""
    transaction_index: int | None = None
    """Place of the transaction in its block."""
    position: int | None = None
    """Of a token's transfer its log's index as the chain counts it, of an internal one its place in the trace."""
    block_hash: bytes | None = None
    said: Said | None = None


# Questions.


@dataclass(frozen=True, slots=True)
class NewestQuestion:
    """Which block is the last?"""


@dataclass(frozen=True, slots=True)
class MovementsQuestion:
    """All transfers of an address, of one class, from a height on."""

    address: bytes
    what: Class
    most: int
    """More rows than this are refused: a service's address."""
    first: int = 0
    asset: Asset | None = None
    """Only this token, where the server can tell it apart; else all."""


@dataclass(frozen=True, slots=True)
class TransactionQuestion:
    """All that one transaction moved, as far as the server tells it."""

    txid: bytes


@dataclass(frozen=True, slots=True)
class HoldingQuestion:
    """What an address has of an asset now."""

    address: bytes
    asset: Asset


@dataclass(frozen=True, slots=True)
class BlockQuestion:
    """A whole block, to be recomputed up to its hash as far as its chain allows."""

    height: int


Question = BlockQuestion | NewestQuestion | MovementsQuestion | TransactionQuestion | HoldingQuestion


# Answers.


@dataclass(frozen=True, slots=True)
class Newest:
    """The last block."""

    height: int
    hash: bytes | None = None


@dataclass(frozen=True, slots=True)
class Movements:
    """Rows of an address, all that the server gave when asked page by page to the end."""

    address: bytes
    what: Class
    asset: Asset | None
    first: int
    rows: tuple[Movement, ...]
    capped: bool = False
    """The server gives no more rows than this, or ended before its own count: there may be others."""
    upto: int | None = None
    """Rows with a higher block are missing: a capped answer is whole up to here. None: to the server's last block."""
    since: int | None = None
    """Time of the block `first`, for rows of which only the time is told; seconds since 1970 UTC."""


@dataclass(frozen=True, slots=True)
class TooMany:
    """That an address has more rows of a class than were asked for: the question that was refused."""

    asked: MovementsQuestion


@dataclass(frozen=True, slots=True)
class Transaction:
    """All that a transaction moved."""

    txid: bytes
    height: int | None
    succeeded: bool
    rows: tuple[Movement, ...]


@dataclass(frozen=True, slots=True)
class Holding:
    """What an address has of an asset, base units; `height` is the block after which, where the server says it."""

    address: bytes
    asset: Asset
    amount: int
    height: int | None = None


@dataclass(frozen=True, slots=True)
class Block:
    """One whole block with everything that it moved, recomputed: its facts say what is proven."""

    height: int
    facts: Facts


Told = Block | Newest | Movements | TooMany | Transaction | Holding


class Explorer(Protocol):
    """A server."""

    @property
    def kind(self) -> str:
        """Name of the module that reads its responses."""

    @property
    def place(self) -> str:
        """For messages, without secrets."""

    @property
    def chain(self) -> str:
        """`ethereum:<chain id>` or `tron:<network>`."""

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """Answers, in any order, one for each question.

        Every exchange goes to `keep` (see calibar.chains.bitcoin.sources.told) before its response is used. Raises
        DecodeError where what comes back is no answer, UsageError where the server cannot be used.
        """

    def close(self) -> None:
        """Hang up."""
