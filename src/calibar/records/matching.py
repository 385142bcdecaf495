"""A custodian's deposits and withdrawals against a ledger: by transaction id and amount exactly, else proposed by
amount and time, with how many others fit as well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final, Protocol

from calibar.records.exact import exact
from calibar.records.movement import Movement

WINDOW_S: Final = 24 * 3600
"""How far from a movement's time a transaction may be that is proposed for it."""
MOST_PROPOSED: Final = 5
_TXID: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_OFF_CHAIN: Final = re.compile(r"internal|off.?chain|interno", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Found:
    """A movement on a chain: its name outside (`txid:vout`, `hash:index`), units, whom it pays, when."""

    name: str
    units: int
    address: str
    time: int


class Moved(Protocol):
    """What one transaction moves of an asset."""

    def of(self, units: int | None) -> list[Found]:
        """The movements of exactly so much."""

    def all(self) -> list[Found]:
        """All of them."""


class Chain(Protocol):
    """What a ledger must answer."""

    def decimals(self, asset: str) -> int | None:
        """Places of an asset's units by the custodian's name for it; None where this chain has none of that name."""

    def in_transaction(self, txid: str, asset: str) -> Moved | None:
        """All that a transaction moves of an asset; None where the ledger has not the transaction."""

    def by_amount(self, asset: str, units: Sequence[int]) -> list[list[Found]]:
        """For each amount, all movements of exactly so much."""

    def paid_to(self, address: str, asset: str) -> list[Found]:
        """All that an address was paid."""


@dataclass(frozen=True, slots=True)
class Match:
    """What a ledger says of one deposit or withdrawal."""

    movement: Movement
    state: str
    """`exact`: transaction, amount and address agree. `contradicted`: the transaction is there and does not say so.
    `proposed`: no id; so much moved at about that time. `absent`: the ledger has not the transaction. `off chain`: by
    the custodian's word it moved between its customers. `unknown`: nothing fits, or the chain has no such asset."""
    found: tuple[Found, ...]
    text: str
    others: int = 0
    """How many more fit a proposal as well."""


def match(movements: Iterable[Movement], chain: Chain) -> Iterator[Match]:
    """Each deposit and withdrawal, in order."""
    asked = [one for one in movements if one.kind in ("deposit", "withdrawal")]
    loose: dict[str, list[Movement]] = {}
    answers: dict[int, Match] = {}
    for one in asked:
        told = _by_id(one, chain)
        if told is None:
            loose.setdefault(one.asset, []).append(one)
        else:
            answers[id(one)] = told
    for asset, some in loose.items():
        for one, answer in zip(some, _by_amount(some, asset, chain), strict=True):
            answers[id(one)] = answer
    return (answers[id(one)] for one in asked)


def _by_id(one: Movement, chain: Chain) -> Match | None:
    """By transaction id; None where the row says none."""
    said = one.fact("txid")
    if _OFF_CHAIN.search(said):
        return Match(one, "off chain", (), said)
    names = _TXID.fullmatch(said)
    if names is None:
        return Match(one, "unknown", (), f"{said!r} is no id of a transaction") if said else None
    places = chain.decimals(one.asset)
    if places is None:
        return Match(one, "unknown", (), f"the ledger's chain has no {one.asset}")
    moved = chain.in_transaction(names[1].lower(), one.asset)
    if moved is None:
        return Match(one, "absent", (), "the ledger has not this transaction")
    address = one.fact("address")
    there = moved.of(base_units(one.change, places))
    fitting = [found for found in there if not address or _same(found.address, address)]
    if fitting:
        return Match(one, "exact", tuple(fitting[:1]), "", len(fitting) - 1)
    if there:
        return Match(one, "contradicted", tuple(there[:1]), f"it pays {there[0].address}, not {address}")
    everything = moved.all()
    if there := [found for found in everything if address and _same(found.address, address)]:
        text = f"it pays that address {_units(there[0].units, places)}, not {abs(one.change)}"
        return Match(one, "contradicted", tuple(there[:1]), text)
    return Match(one, "contradicted", (), f"it moves {len(everything)} amounts of {one.asset}, not this one")


def _by_amount(some: Sequence[Movement], asset: str, chain: Chain) -> Iterator[Match]:
    places = chain.decimals(asset)
    if places is None:
        yield from (Match(one, "unknown", (), f"the ledger's chain has no {asset}") for one in some)
        return
    units = [base_units(one.change, places) for one in some]
    fits = chain.by_amount(asset, [-1 if unit is None else unit for unit in units])
    for one, fitting in zip(some, fits, strict=True):
        address = one.fact("address")
        near = [
            found for found in fitting
            if abs(found.time - one.time) <= WINDOW_S and (not address or _same(found.address, address))
        ]  # fmt: skip
        near.sort(key=lambda found: (abs(found.time - one.time), found.name))
        if not near:
            yield Match(one, "unknown", (), f"no movement of exactly {abs(one.change)} within {WINDOW_S // 3600} hours")
            continue
        text = f"{len(near)} of {len(fitting)} movements of exactly this amount are within {WINDOW_S // 3600} hours"
        yield Match(one, "proposed", tuple(near[:MOST_PROPOSED]), text, len(near) - 1)


def unreported(movements: Sequence[Movement], matches: Sequence[Match], chain: Chain) -> list[tuple[Found, str]]:
    """What the chain shows as paid to an account's own deposit addresses in the statement's time, and no row says."""
    deposits = [one for one in movements if one.kind == "deposit" and one.fact("address")]
    if not deposits:
        return []
    first, last = min(one.time for one in movements), max(one.time for one in movements)
    said = {found.name for one in matches for found in one.found}
    found: list[tuple[Found, str]] = []
    for address, asset in sorted({(one.fact("address"), one.asset) for one in deposits}):
        paid = chain.paid_to(address, asset)
        found += [(there, asset) for there in paid if first <= there.time <= last and there.name not in said]
    return found


def base_units(amount: Decimal, places: int) -> int | None:
    """An amount's units, whatever its sign; None where it has more places than the asset."""
    with exact():
        whole = abs(amount).scaleb(places)
        return int(whole) if whole == whole.to_integral_value() and whole < 1 << 256 else None


def _units(units: int, places: int) -> str:
    return format(Decimal(units).scaleb(-places).normalize(), "f")


def _same(one: str, other: str) -> bool:
    """Whether two texts are one address: hexadecimal ones and SegWit in any case."""
    folds = one[:2].lower() == "0x" or one[:3].lower() in ("bc1", "tb1", "bcr")
    return one.lower() == other.lower() if folds else one == other


def document(found: Match) -> dict[str, Any]:
    """For JSON."""
    one = found.movement
    return {
        "state": found.state,
        "account": one.account,
        "time": one.time,
        "asset": one.asset,
        "change": format(one.change, "f"),
        "kind": one.kind,
        "txid": one.fact("txid"),
        "address": one.fact("address"),
        "place": str(one.place),
        "text": found.text,
        "others": found.others,
        "found": [
            {"name": there.name, "units": str(there.units), "address": there.address, "time": there.time}
            for there in found.found
        ],
    }
