"""What a custodian reports of an account: movements of assets, with the rows that say so. Reported, never proven."""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

KINDS: Final = (
    "deposit", "withdrawal", "trade", "fee", "transfer", "p2p", "fiat in", "fiat out", "reward", "own", "balance",
    "other",
)  # fmt: skip
"""What a movement is: from and to a chain; asset for asset; what the custodian keeps; with another account of the
custodian; with a person, fiat beside it; from and to a bank; interest, rebates; between the account's own wallets;
nothing, but a balance is stated; what no rule knows."""


class Place(NamedTuple):
    """Where a document says something. Rows are numbered as the program that wrote it counts."""

    file: str
    sheet: str
    row: int

    def __str__(self) -> str:
        """For messages."""
        return f"{self.file}{', sheet ' + self.sheet if self.sheet else ''}, row {self.row}"


class Movement(NamedTuple):
    """A change of one asset in one account, in the asset's own units."""

    time: int
    """Seconds since 1970 UTC."""
    account: str
    """The customer's number, user id or CBU at the custodian."""
    wallet: str
    """The part of the account: `Spot`, `Funding`; empty where there is one."""
    asset: str
    """As the custodian calls it: BTC, USDT, ARS."""
    change: Decimal
    """Positive comes in."""
    kind: str
    operation: str
    """As the custodian says it."""
    place: Place
    balance: Decimal | None = None
    """After it, where the document says so."""
    facts: tuple[tuple[str, str], ...] = ()
    """What else the row says, by name: `txid`, `address`, `network`, `counterparty`, `order`, `remark`, `status` …"""

    def fact(self, name: str) -> str:
        """What the row says of that; empty where it says nothing."""
        for key, value in self.facts:
            if key == name:
                return value
        return ""


class Detail(NamedTuple):
    """What a document says beside movements: a login's device, a customer's name, a P2P order's bank account."""

    account: str
    what: str
    """`ip`, `device`, `name`, `document`, `phone`, `email`, `bank account`, `address` …"""
    value: str
    time: int | None
    place: Place


@dataclass(slots=True)
class Statement:
    """All that one table of a document says."""

    format: str
    custodian: str
    complete: bool
    """Whether it lists every movement of the account in its period, so that balances follow from it; else it details
    some that such a list has too."""
    movements: list[Movement] = field(default_factory=list)
    details: list[Detail] = field(default_factory=list)
    passed_over: list[tuple[Place, str]] = field(default_factory=list)
    """Rows that moved nothing, and why: failed, cancelled, totals."""
    doubts: list[tuple[Place, str]] = field(default_factory=list)
    """Rows that were counted though their status is not known."""
