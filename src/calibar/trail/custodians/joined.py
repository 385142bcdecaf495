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
from calibar.records.matching import Match, match
from calibar.records.reading import Read
from calibar.trail.custodians.books import OPENING, Books, Item, found_on, keep_books
from calibar.trail.custodians.parts import Birth, Part, Reached, Segments, check_method, part_of
from calibar.trail.custodians.walk import RecordWalk, walk_books
from calibar.trail.document import Trail
from calibar.trail.policy import Policy

ROUNDS = 200
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
    passed: dict[Item, dict[int, int]] = field(default_factory=dict)
    """By withdrawal: units of each label that went on to a chain, in the records' places."""

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
    rows = booked(reads)
    assets = {row.movement.asset for row in rows}
    places = [{a: d for a in sorted(assets) if (d := chain.decimals(a)) is not None} for chain in chains]
    matches = _matches(rows, chains)
    finest: dict[str, int] = {}
    for each in places:
        for asset, decimals in each.items():
            finest[asset] = max(decimals, finest.get(asset, 0))
    details = [one for read in reads for statement in read.statements for one in statement.details]
    books = keep_books(rows, matches, details, finest)
    own, asked = _references(references, snapshots, books)
    deposits: list[dict[int, str]] = [{} for _ in snapshots]
    for line in books.lines:
        if line.item is not None and line.match is not None and line.rows[0].movement.kind == "deposit":
            deposits[line.item.chain][line.item.id] = line.match.found[0].address
    parts = [part_of(snapshot, policy, own[n], deposits[n]) for n, snapshot in enumerate(snapshots)]
    names = [{chain.named(asset): asset for asset in each} for chain, each in zip(chains, places, strict=True)]
    state = Rounds(books, parts, asked, places, names, [*references], policy)
    return build(_rounds(state), reads)


def _check(policy: Policy, snapshots: Sequence[Snapshot | AccountSnapshot]) -> None:
    check_method(policy, any(isinstance(snapshot, Snapshot) for snapshot in snapshots))
    if policy.direction != "forward" or policy.fees != "stop" or policy.segments or policy.links is not None:
        raise UsageError("a trail through records goes forward, and fees, links and segments are not followed in it")
    if policy.min_amount is not None or policy.max_hops is not None:
        raise UsageError("a trail through records has no limits of hops or amounts yet; leave them out")


def _matches(rows: Sequence[Booked], chains: Sequence[object]) -> dict[int, tuple[int, Match]]:
    """By a movement's id(): the ledger that has it, and where. An exact match goes before a proposal."""
    moved = [row.movement for row in rows if row.movement.kind in CHAIN]
    found: dict[int, tuple[int, Match]] = {}
    for number, chain in enumerate(chains):
        for one in match(moved, chain):  # type: ignore[arg-type]
            known = found.get(id(one.movement))
            if found_on(one) is not None and (known is None or (one.state, known[1].state) == ("exact", "proposed")):
                found[id(one.movement)] = number, one
    return found


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
    found = []
    for number, line in enumerate(books.lines):
        # What goes from one account to another is several flows; it is labelled where it leaves the first.
        if id(line) in halves or (line.sender_is_way and len(line.rows) > 1) or line.time == OPENING:
            continue
        if line.recipient >= 0 and any(name in _called(row) for row in line.rows):
            found.append(number)
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
    sourced = [part.sourced() for part in state.parts]
    births: list[list[Birth]] = [[] for _ in state.parts]
    walked: list[tuple[list[Birth], Reached]] = []
    labels, asked = len(state.references), [(one.line, one.label, one.units) for one in state.sources]
    for _ in range(ROUNDS):
        walked = [
            walked[n] if walked and walked[n][0] == births[n] else (births[n], part.walk(births[n]))
            for n, part in enumerate(state.parts)
        ]
        state.arrived = {
            line: _scaled(state, n, line, segments)
            for n, (_, reached) in enumerate(walked)
            for item, segments in {**reached.arrived, **sourced[n]}.items()
            if (line := state.books.by_item.get(Item(n, item))) is not None
        }
        state.walked = walk_books(state.books, state.policy.method, state.arrived, asked, labels)
        now = _births(state)
        if now == births:
            state.reached, state.births = [reached for _, reached in walked], births
            return state
        births = now
    raise DamageError("the records and the chains contradict each other in time: value arrives before it left")


def _scaled(state: Rounds, chain: int, line: int, segments: Segments) -> Segments:
    """A chain's units in the records' places."""
    factor = state.factor(chain, state.books.lines[line].asset)
    return [(label, units * factor) for label, units in segments]


def _births(state: Rounds) -> list[list[Birth]]:
    """What withdrawals bring to the chains. What is less than a chain's unit stays behind, and is counted."""
    found: list[list[Birth]] = [[] for _ in state.parts]
    state.passed = {}
    for holder, segments in sorted(state.walked.rests.items()):
        who = state.books.holders[holder]
        if who.item is None or who.item in state.books.entered:
            continue
        factor = state.factor(who.item.chain, who.asset)
        clean = 0
        passed: dict[int, int] = {}
        for label, units in segments:
            if label is None:
                clean += units
                continue
            if whole := units // factor:
                found[who.item.chain].append(Birth(who.item.id, label, whole, clean // factor))
            passed[label] = passed.get(label, 0) + units
        if passed:
            state.passed[who.item] = passed
    return found


def is_record(text: str) -> bool:
    """Whether a REF names a row of the records."""
    return _RECORD.fullmatch(text) is not None
