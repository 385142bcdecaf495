"""A custodian's deposits and withdrawals against a ledger: by transaction id and amount exactly, else proposed by
amount and time, with how many others fit as well."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple, Protocol

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.collection import uncollected
from calibar.records.exact import EXACT
from calibar.records.movement import Movement

WINDOW_S: Final = 24 * 3600
"""How far from a movement's time a transaction may be that is proposed for it."""
MOST_PROPOSED: Final = 5
MOST_ALIKE: Final = 100
"""Movements of one transaction that are the same, to one address."""
_TXID: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_FOLDED: Final = frozenset(f"{one.hrp}1"[:3] for one in NETWORKS.values())
_OFF_CHAIN: Final = re.compile(r"internal|off.?chain|interno", re.IGNORECASE)


class Found(NamedTuple):
    """A movement on a chain: its name outside (`txid:vout`, `hash:index`), units, whom it pays, when."""

    name: str
    units: int
    address: str
    time: int
    id: int
    """The coin or transfer in its ledger, which is never shown."""


class Asked(NamedTuple):
    """What a record says of a transaction."""

    txid: str
    """As displayed, in lower case, without 0x."""
    units: int | None
    """None for an amount that no chain can move."""
    address: str
    """`folded`; empty where the record says none."""
    row: int


class Moved(Protocol):
    """What a transaction that was asked about moves of an asset."""

    def exactly(self) -> list[Found]:
        """The movements of the amount asked about, to the address asked about."""

    def alike(self) -> list[Found]:
        """The movements of that amount, whomever they pay."""

    def all(self) -> list[Found]:
        """All of them."""


class Chain(Protocol):
    """What a ledger must answer."""

    def decimals(self, asset: str) -> int | None:
        """Places of an asset's units by the custodian's name for it; None where this chain has none of that name."""

    def named(self, asset: str) -> str:
        """The asset as the ledger's own trails call it; empty where there is one alone."""

    def in_transactions(self, asked: Sequence[Asked], asset: str) -> Iterable[Moved | None]:
        """What each transaction moves of an asset; None where the ledger has not the transaction."""

    def by_amount(self, asset: str, units: Sequence[int]) -> list[list[Found]]:
        """For each amount, all movements of exactly so much."""

    def paid_to(self, address: str, asset: str) -> list[Found]:
        """All that an address was paid."""


class Match(NamedTuple):
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


@uncollected()
def match(movements: Iterable[Movement], chain: Chain) -> Iterator[Match]:
    """Each deposit and withdrawal, in order."""
    asked = [one for one in movements if one.kind in ("deposit", "withdrawal")]
    answers: list[Match | None] = [None] * len(asked)
    named: dict[str, list[tuple[int, str]]] = {}
    loose: dict[str, list[int]] = {}
    for row, one in enumerate(asked):
        said = one.fact("txid")
        if names := _TXID.fullmatch(said):
            named.setdefault(one.asset, []).append((row, names[1].lower()))
        elif _OFF_CHAIN.search(said):
            answers[row] = Match(one, "off chain", (), said)
        elif said:
            answers[row] = Match(one, "unknown", (), f"{said!r} is no id of a transaction")
        else:
            loose.setdefault(one.asset, []).append(row)
    for asset in {*named, *loose}:
        if (places := chain.decimals(asset)) is None:
            for row in (*(row for row, _ in named.get(asset, ())), *loose.get(asset, ())):
                answers[row] = Match(asked[row], "unknown", (), f"the ledger's chain has no {asset}")
            continue
        said_of = [
            Asked(txid, base_units(asked[row].change, places), folded(asked[row].fact("address")), row)
            for row, txid in named.get(asset, ())
        ]
        for said_one, moved in zip(said_of, chain.in_transactions(said_of, asset) if said_of else (), strict=True):
            answers[said_one.row] = _by_id(asked[said_one.row], said_one, moved, places)
        some = loose.get(asset, [])
        for row, answer in zip(some, _by_amount([asked[row] for row in some], asset, places, chain), strict=True):
            answers[row] = answer
    return (answer for answer in answers if answer is not None)


def _by_id(one: Movement, said: Asked, moved: Moved | None, places: int) -> Match:
    """By what its transaction moves."""
    if moved is None:
        return Match(one, "absent", (), "the ledger has not this transaction")
    if fitting := moved.exactly():
        return Match(one, "exact", tuple(fitting[:MOST_ALIKE]), "", len(fitting) - 1)
    address = one.fact("address")
    if there := moved.alike():
        return Match(one, "contradicted", tuple(there[:1]), f"it pays {there[0].address}, not {address}")
    everything = moved.all()
    if there := [found for found in everything if address and folded(found.address) == said.address]:
        text = f"it pays that address {_units(there[0].units, places)}, not {abs(one.change)}"
        return Match(one, "contradicted", tuple(there[:1]), text)
    return Match(one, "contradicted", (), f"it moves {len(everything)} amounts of {one.asset}, not this one")


def _by_amount(some: Sequence[Movement], asset: str, places: int, chain: Chain) -> Iterator[Match]:
    if not some:
        return
    units = [base_units(one.change, places) for one in some]
    fits = chain.by_amount(asset, [-1 if unit is None else unit for unit in units])
    for one, fitting in zip(some, fits, strict=True):
        address = folded(one.fact("address"))
        near = [
            found for found in fitting
            if abs(found.time - one.time) <= WINDOW_S and address in ("", folded(found.address))
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
    whole = EXACT.scaleb(amount.copy_abs(), places)
    return int(whole) if whole == whole.to_integral_value(context=EXACT) and whole < 1 << 256 else None


def _units(units: int, places: int) -> str:
    return format(Decimal(units).scaleb(-places).normalize(), "f")


def folded(address: str) -> str:
    """The text by which an address is compared: hexadecimal and SegWit are the same in any case."""
    return address.lower() if address[:3].lower() in _FOLDED or address[:2] in ("0x", "0X") else address


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
