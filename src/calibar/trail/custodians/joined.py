"""Trace through accounts at custodians: chains and records in turn, until nothing new comes of it.

A chain is walked up to the deposits that records have; the records go on from there to withdrawals; those are sources
on their chain. Each round is a function of the one before, so that the trail is one of its arguments alone.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from calibar.collection import uncollected
from calibar.errors import DamageError, UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.snapshot import Snapshot
from calibar.records.booked import CHAIN, Booked, booked
from calibar.records.chains import chain_of
from calibar.records.matching import Chain, Match, match
from calibar.records.reading import Read
from calibar.trail.custodians.books import OPENING, Books, Item, keep_books
from calibar.trail.custodians.parts import Birth, Part, Reached, Segments, check_method, concerns, part_of
from calibar.trail.custodians.walk import RecordWalk, walk_books
from calibar.trail.document import Trail
from calibar.trail.policy import Policy

MOST_PLACES = 36
"""Decimals of a token that are believed."""
_RECORD = re.compile(r"record:(.+?)(?:=([0-9]{1,40}(?:\.[0-9]{1,40})?))?")


class Source(NamedTuple):
    """A row of the records that a REF names."""

    label: int
    line: int
    units: int


@dataclass(slots=True)
class Rounds:
    """What is asked, and the last round, in which nothing changed."""

    books: Books
    parts: list[Part]
    sources: list[Source]
    places: list[dict[str, int]]
    """By ledger: decimals of the assets that records call by name."""
    names: list[dict[str, str]]
    """By ledger: what records call an asset, by what its own trails do."""
    references: list[str]
    policy: Policy
    reached: list[Reached] = field(default_factory=list)
    births: list[list[Birth]] = field(default_factory=list)
    arrived: dict[int, Segments] = field(default_factory=dict)
    """By line: what came from a chain, in the records' places."""
    walked: RecordWalk = field(default_factory=lambda: RecordWalk([], {}, [], []))

    def factor(self, chain: int, asset: str) -> int:
        """Units of the records in one of the ledger's."""
        return int(10 ** (self.books.places[asset] - self.places[chain][asset]))


@uncollected()
def trace(
    references: Sequence[str],
    snapshots: Sequence[Snapshot | AccountSnapshot],
    reads: Sequence[Read],
    policy: Policy,
    tokens: Mapping[str, str] | None = None,
) -> Trail:
    """Follow REFs through ledgers and records. A REF is one of a ledger, or `record:FILE:ROW`, `record:FILE:SHEET:ROW`,
    FILE by its name or SHA-256, with `=AMOUNT` in the asset's own units.

    `tokens` has the contract of a custodian's name for a token. Raises UsageError, BalanceError.
    """
    from calibar.trail.custodians.document import build  # noqa: PLC0415

    if not references:
        raise UsageError("nothing to trace: name at least one REF")
    _check(policy, snapshots)
    chains = [chain_of(snapshot, dict(tokens or {})) for snapshot in snapshots]
    rows, places, names = _one_name(booked(reads), chains)
    finest: dict[str, int] = {}
    for each in places:
        for asset, decimals in each.items():
            finest[asset] = max(decimals, finest.get(asset, 0))
    details = [one for read in reads for statement in read.statements for one in statement.details]
    books = keep_books(rows, _matches(rows, chains), details, finest)
    own, asked = _references(references, snapshots, books)
    deposits: list[dict[int, str]] = [{} for _ in snapshots]
    for item, number in books.by_item.items():
        deposits[item.chain][item.id] = books.lines[number].ends[0]
    for name in policy.overrides:
        if not any(concerns(name, *_kind_of(snapshot)) for snapshot in snapshots):
            raise UsageError(f"an override names {name[:80]}, which is no transaction and no address of a ledger here")
    parts = [part_of(snapshot, policy, own[n], deposits[n]) for n, snapshot in enumerate(snapshots)]
    return build(_rounds(Rounds(books, parts, asked, places, names, [*references], policy)), reads)


def _kind_of(snapshot: Snapshot | AccountSnapshot) -> tuple[str, str]:
    """A ledger's network, and what is followed on it."""
    return (snapshot.network.name, "coin") if isinstance(snapshot, Snapshot) else (snapshot.chain, "address")


def _one_name(
    rows: Sequence[Booked], chains: Sequence[Chain]
) -> tuple[list[Booked], list[dict[str, int]], list[dict[str, str]]]:
    """The rows, with one name for what ledgers know as one asset; by ledger, the decimals of each asset by that name,
    and the name by what the ledger's own trails call it."""
    assets = sorted({row.movement.asset for row in rows})
    names: list[dict[str, str]] = []
    called: dict[str, str] = {}
    places: list[dict[str, int]] = []
    for chain in chains:
        known = {
            asset: found for asset in assets if (found := chain.decimals(asset)) is not None and found <= MOST_PLACES
        }
        own: dict[str, str] = {}
        for asset in known:
            first = own.setdefault(chain.named(asset), called.get(asset, asset))
            called[asset] = first
        names.append(own)
        places.append({called[asset]: found for asset, found in known.items()})
    renamed = [
        row if called.get(row.movement.asset, row.movement.asset) == row.movement.asset
        else row._replace(movement=row.movement._replace(asset=called[row.movement.asset]))
        for row in rows
    ]  # fmt: skip
    return renamed, places, names


def _check(policy: Policy, snapshots: Sequence[Snapshot | AccountSnapshot]) -> None:
    check_method(policy, any(isinstance(snapshot, Snapshot) for snapshot in snapshots))
    if policy.direction != "forward" or policy.fees != "stop" or policy.segments or policy.links is not None:
        raise UsageError("a trail through records goes forward, and fees, links and segments are not followed in it")
    if policy.min_amount is not None or policy.max_hops is not None or policy.as_of is not None:
        raise UsageError("a trail through records has no limits of hops, amounts or height yet; leave them out")


def _matches(rows: Sequence[Booked], chains: Sequence[Chain]) -> dict[int, tuple[int, Match]]:
    """By a movement's id(): the ledger that has it, and where: exactly, else by the only proposal of all ledgers."""
    moved = [row.movement for row in rows if row.movement.kind in CHAIN]
    exactly: dict[int, tuple[int, Match]] = {}
    proposed: dict[int, list[tuple[int, Match]]] = {}
    for number, chain in enumerate(chains):
        for one in match(moved, chain):
            if one.state == "exact":
                exactly.setdefault(id(one.movement), (number, one))
            elif one.state == "proposed":
                fits = proposed.setdefault(id(one.movement), [])
                fits += [(number, one)] * (1 + one.others)
    return {key: fits[0] for key, fits in proposed.items() if len(fits) == 1} | exactly


def _references(
    references: Sequence[str], snapshots: Sequence[Snapshot | AccountSnapshot], books: Books
) -> tuple[list[list[str | None]], list[Source]]:
    """REFs by the ledger that has them, and those of records."""
    own: list[list[str | None]] = [[None] * len(references) for _ in snapshots]
    asked = []
    for label, text in enumerate(references):
        if named := _RECORD.fullmatch(text):
            asked.append(_row_named(books, label, *named.groups()))
            continue
        homes = [n for n, snapshot in enumerate(snapshots) if _has(snapshot, text)]
        if not homes:
            raise UsageError(f"{text}: no ledger here has it; a REF is one of a ledger, or record:FILE:ROW")
        if len(homes) > 1:
            raise UsageError(f"{text}: several ledgers here have it; name a coin or a transfer that one alone has")
        own[homes[0]][label] = text
    return own, asked


def _has(snapshot: Snapshot | AccountSnapshot, text: str) -> bool:
    from calibar.errors import CalibarError  # noqa: PLC0415
    from calibar.trail.accounts.references import resolve as resolve_account  # noqa: PLC0415
    from calibar.trail.references import resolve  # noqa: PLC0415

    try:
        if isinstance(snapshot, Snapshot):
            resolve(text, snapshot, snapshot.counts["coins"])
        else:
            resolve_account(text, snapshot, snapshot.counts["transfers"], None)
    except CalibarError:
        return False
    return True


def _row_named(books: Books, label: int, name: str, amount: str | None) -> Source:
    """The flow that a row of a document says: what it brings to whom it pays."""
    halves = {id(line.before) for line in books.lines}
    found, there = list[int](), False
    for number, line in enumerate(books.lines):
        # What goes from one account to another is several flows; it is labelled where it leaves the first.
        if id(line) in halves or (line.sender_is_way and len(line.rows) > 1) or line.time == OPENING:
            continue
        if any(name in _called(row) for row in line.rows):
            there = True
            if line.recipient >= 0 and line.units:
                found.append(number)
    if there and not found:
        raise UsageError(
            f"record:{name}: that row brings nobody anything (a fee, what a trade gives, zero); name what it received"
        )
    if not found:
        raise UsageError(f"record:{name}: no document has a movement in that row; `calibar records show` lists them")
    if len(found) > 1:
        raise UsageError(f"record:{name}: several tables have such a row; name the sheet, or the file by its SHA-256")
    line = books.lines[found[0]]
    units = line.units
    if amount is not None:
        from decimal import Decimal  # noqa: PLC0415

        from calibar.records.matching import base_units  # noqa: PLC0415

        asked = base_units(Decimal(amount), books.places[line.asset])
        if not asked or asked > line.units:
            raise UsageError(f"record:{name} moves less than the {amount} {line.asset} asked for, or none of it")
        units = asked
    return Source(label, found[0], units)


def _called(row: Booked) -> set[str]:
    """What a row may be called: by its file's name or SHA-256, with the sheet or without."""
    at = row.movement.place
    return {
        f"{file}:{place}"
        for file in (at.file, row.sha256)
        for place in (f"{at.row}", f"{at.sheet}:{at.row}")
        if file
    }  # fmt: skip


def _rounds(state: Rounds) -> Rounds:
    """Until the withdrawals bring the chains nothing else than before. Raises DamageError where that never happens."""
    births: list[list[Birth]] = [[] for _ in state.parts]
    walked: list[tuple[list[Birth], Reached]] = []
    labels, asked = len(state.references), [(one.line, one.label, one.units) for one in state.sources]
    for _ in range(2 + len({line.item for line in state.books.lines if line.item is not None})):
        walked = [
            walked[n] if walked and walked[n][0] == births[n] else (births[n], part.walk(births[n]))
            for n, part in enumerate(state.parts)
        ]
        state.arrived = {
            line: _scaled(state, n, line, segments)
            for n, (_, reached) in enumerate(walked)
            for item, segments in reached.arrived.items()
            if (line := state.books.by_item.get(Item(n, item))) is not None
        }
        state.walked = walk_books(state.books, state.policy.method, state.arrived, asked, labels)
        now = _births(state)
        if now == births:
            state.reached, state.births = [reached for _, reached in walked], births
            _check_labelled(state)
            return state
        births = now
    raise DamageError("the records and the chains contradict each other in time: value arrives before it left")


def _check_labelled(state: Rounds) -> None:
    found = {label for reached in state.reached for _, label, _ in reached.labelled}
    found |= {source.label for source, units in zip(state.sources, state.walked.taken, strict=True) if units}
    for label, text in enumerate(state.references):
        if label not in found:
            raise UsageError(
                f"S{label} ({text}) labels nothing: it has no value of its own, or earlier REFs have taken it"
            )


def _scaled(state: Rounds, chain: int, line: int, segments: Segments) -> Segments:
    """A chain's units in the records' places."""
    factor = state.factor(chain, state.books.lines[line].asset)
    return [(label, units * factor) for label, units in segments]


def _births(state: Rounds) -> list[list[Birth]]:
    """What withdrawals bring to the chains. What is less than a chain's unit stays behind, and is counted."""
    found: list[list[Birth]] = [[] for _ in state.parts]
    for holder, segments in sorted(state.walked.rests.items()):
        who = state.books.holders[holder]
        if who.item is None or who.item in state.books.entered:
            continue
        factor = state.factor(who.item.chain, who.asset)
        clean = 0
        for label, units in segments:
            if label is None:
                clean += units
                continue
            if whole := units // factor:
                found[who.item.chain].append(Birth(who.item.id, label, whole, clean // factor))
    return found
