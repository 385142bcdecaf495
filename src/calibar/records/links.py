"""What several accounts have in common by their custodians' word: devices, addresses, phones, bank accounts.

That two accounts share something is a fact of the documents. That one person is behind them is not: a carrier's IP
address, a family's phone or an exchange's own wallet is shared by many, so each link says by how many.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import Any, Final, NamedTuple

from calibar.records.matching import folded
from calibar.records.movement import Place
from calibar.records.reading import Read

KINDS: Final = (
    "withdrawal address", "source address", "bank account", "counterparty's account", "document", "phone", "email",
    "device", "ip", "residence", "name",
)  # fmt: skip
"""In the order in which they are listed."""
_DIGITS: Final = frozenset(("bank account", "counterparty's account", "document", "phone"))
_NOTHING: Final = frozenset(("", "-", "n/a", "unknown", "desconocido", "none", "null"))


class Seen(NamedTuple):
    """One row that says it."""

    place: Place
    time: int | None


@dataclass(slots=True)
class Link:
    """A value that several accounts have."""

    what: str
    """One of KINDS; `own account` where one account's counterparty is another account."""
    value: str
    """As it is written first."""
    accounts: dict[str, list[Seen]] = field(default_factory=dict)
    """By account (`CUSTODIAN/NUMBER`): the rows that say it."""


def links(reads: Iterable[Read]) -> list[Link]:
    """Everything that two accounts or more share; by kind, what the fewest share first."""
    found: dict[tuple[str, str], Link] = {}
    own: dict[str, set[str]] = {}
    for account, what, value, seen in _said(reads):
        plain = normal(what, value)
        if plain.casefold() in _NOTHING:
            continue
        found.setdefault((what, plain), Link(what, value)).accounts.setdefault(account, []).append(seen)
        if what == "bank account":
            own.setdefault(plain, set()).add(account)
    shared = [link for link in found.values() if len(link.accounts) > 1]
    shared += _paid(found, own)
    order = {what: n for n, what in enumerate(("own account", *KINDS))}
    return sorted(shared, key=lambda link: (order[link.what], len(link.accounts), link.value))


def _paid(found: dict[tuple[str, str], Link], own: dict[str, set[str]]) -> Iterator[Link]:
    """Accounts whose counterparty's bank account is another account's own."""
    for (what, plain), link in found.items():
        if what == "counterparty's account" and (owners := own.get(plain)):
            others = {account: rows for account, rows in link.accounts.items() if account not in owners}
            if others:
                mine = found["bank account", plain].accounts
                yield Link("own account", link.value, others | {owner: mine[owner] for owner in sorted(owners)})


def _said(reads: Iterable[Read]) -> Iterator[tuple[str, str, str, Seen]]:
    """Account, kind, value and row of everything that accounts can share."""
    for read in reads:
        for statement in read.statements:
            for detail in statement.details:
                if detail.what in KINDS:
                    yield _account(statement.custodian, detail.account), detail.what, detail.value, Seen(
                        detail.place, detail.time
                    )  # fmt: skip
            for one in statement.movements:
                for role, what in (("address", "withdrawal address"), ("source address", "source address")):
                    if (one.kind == "withdrawal") == (role == "address") and (value := one.fact(role)):
                        yield _account(statement.custodian, one.account), what, value, Seen(one.place, one.time)


def _account(custodian: str, number: str) -> str:
    return f"{custodian}/{number}"


def normal(what: str, value: str) -> str:
    """The form in which values of a kind are compared."""
    text = " ".join(value.split())
    if what in ("withdrawal address", "source address"):
        return folded(text)
    if what in _DIGITS:
        digits = re.sub("[^0-9]", "", text)
        return digits.lstrip("0") if len(digits) > 5 else text.casefold()
    if what == "ip":
        try:
            return str(ip_address(text))
        except ValueError:
            return text.casefold()
    plain = unicodedata.normalize("NFKD", text.casefold())
    return "".join(c for c in plain if not unicodedata.combining(c))


def document(link: Link) -> dict[str, Any]:
    """For JSON."""
    return {
        "what": link.what,
        "value": link.value,
        "accounts": [
            {"account": account, "rows": [{**seen.place._asdict(), "time": seen.time} for seen in rows]}
            for account, rows in sorted(link.accounts.items())
        ],
    }
