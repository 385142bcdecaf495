"""Whether documents add up: balances, gaps between deliveries, rows that stand twice, what no rule knows."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal

from calibar.chains.remote.csv_sheet import shown
from calibar.records.events import events
from calibar.records.exact import exact
from calibar.records.identifiers import faults
from calibar.records.movement import Movement, Place, Statement
from calibar.records.reading import Read

DAY = 86_400


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that does not add up, or that a person must know."""

    what: str
    """`balance`, `below zero`, `address`, `transaction id`, `gap`, `duplicate`, `repeated row`, `half a trade`,
    `unknown operation`, `unknown status` or `passed over`."""
    account: str
    asset: str
    text: str
    place: Place | None

    @property
    def is_wrong(self) -> bool:
        """Whether it contradicts the document, rather than being worth a look."""
        return self.what in ("balance", "below zero", "address", "transaction id")


def joined(reads: Iterable[Read]) -> list[Movement]:
    """All movements of complete statements, each once: where tables overlap, a row of several counts as often as in the
    one that has it most often. In order of time."""
    return once(statement for read in reads for statement in read.statements if statement.complete)


def once(statements: Iterable[Statement]) -> list[Movement]:
    """Each movement as often as in the statement that has it most often. In order of time."""
    kept: dict[tuple[object, ...], list[Movement]] = {}
    for statement in statements:
        here: dict[tuple[object, ...], list[Movement]] = defaultdict(list)
        for one in statement.movements:
            here[_same(statement, one)].append(one)
        for key, found in here.items():
            if len(found) > len(kept.get(key, ())):
                kept[key] = kept.get(key, []) + found[len(kept.get(key, ())) :]
    return sorted((one for found in kept.values() for one in found), key=lambda one: one.time)


def everything(reads: Iterable[Read]) -> list[Movement]:
    """Those of complete statements, and of lists of some kind what no complete statement says: so much of the asset in
    the account within a day. In order of time."""
    reads = list(reads)
    found = joined(reads)
    known: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for one in found:
        known[one.account, one.asset, one.change].append(one.time)
    for one in once(statement for read in reads for statement in read.statements if not statement.complete):
        alike = known[one.account, one.asset, one.change]
        near = min(alike, key=lambda time: abs(time - one.time), default=None)
        if near is not None and abs(near - one.time) <= DAY:
            alike.remove(near)
        else:
            found.append(one)
    return sorted(found, key=lambda one: one.time)


def folded_name(custodian: str) -> str:
    """The form in which names of custodians are compared."""
    return " ".join(custodian.casefold().split())


def _same(statement: Statement, one: Movement) -> tuple[object, ...]:
    facts = tuple(fact for fact in one.facts if fact[0] != "status")
    said = one.operation, one.balance, facts
    custodian = folded_name(statement.custodian)
    return custodian, one.account, one.wallet, one.time, one.asset, one.change, *said


@exact()
def check(reads: Sequence[Read]) -> list[Finding]:
    """Everything, in a fixed order."""
    found: list[Finding] = []
    for read in reads:
        for statement in read.statements:
            if not statement.complete:
                found += _balances(statement.movements)
            found += [Finding("passed over", "", "", why, place) for place, why in statement.passed_over]
            found += [Finding("unknown status", "", "", why, place) for place, why in statement.doubts]
            found += _identifiers(statement)
            found += _repeated(statement)
            found += _operations(statement)
    whole = joined(reads)
    found += _balances(whole)
    found += _running(whole)
    found += _overlaps(reads)
    found += _gaps(reads)
    found += _half_trades(whole)
    return found


def _ledgers(movements: Iterable[Movement]) -> dict[tuple[str, str, str], list[Movement]]:
    found: dict[tuple[str, str, str], list[Movement]] = defaultdict(list)
    for one in movements:
        found[one.account, one.wallet, one.asset].append(one)
    return dict(sorted(found.items()))


def _balances(movements: Iterable[Movement]) -> list[Finding]:
    """A stated balance is the one before it and the movements since, from one document to the next too."""
    found = []
    for (account, _, asset), rows in _ledgers(movements).items():
        before: Decimal | None = None
        since = Decimal(0)
        for one in rows:
            since += one.change
            if one.balance is None:
                continue
            if before is not None and before + since != one.balance:
                text = f"{before:f} and {since:+f} make {before + since:f}, and it says {one.balance:f}"
                found.append(Finding("balance", account, asset, text, one.place))
            before, since = one.balance, Decimal(0)
    return found


def _running(movements: list[Movement]) -> list[Finding]:
    """Where no balance is stated: an account that began with nothing cannot have less than nothing."""
    found = []
    for (account, _, asset), rows in _ledgers(movements).items():
        if any(one.balance is not None for one in rows):
            continue
        total, least, place = Decimal(0), Decimal(0), None
        for _, group in _by_time(rows):
            total += sum((one.change for one in group), Decimal(0))
            if total < least:
                least, place = total, group[-1].place
        if place is not None:
            text = f"the rows leave {least:f}: there was a balance before them, or rows are missing"
            found.append(Finding("below zero", account, asset, text, place))
    return found


def _by_time(rows: list[Movement]) -> list[tuple[int, list[Movement]]]:
    found: dict[int, list[Movement]] = defaultdict(list)
    for one in rows:
        found[one.time].append(one)
    return sorted(found.items())


def _identifiers(statement: Statement) -> list[Finding]:
    """Addresses and transaction ids that cannot be, each once."""
    found: dict[tuple[str, str], Finding] = {}
    for one in statement.movements:
        if one.facts:
            for what, text in faults(one):
                found.setdefault((what, text), Finding(what, one.account, one.asset, text, one.place))
    return list(found.values())


def _repeated(statement: Statement) -> list[Finding]:
    counts = Counter(_same(statement, one) for one in statement.movements)
    found, seen = [], set()
    for one in statement.movements:
        key = _same(statement, one)
        if counts[key] > 1 and key not in seen:
            seen.add(key)
            text = f"{one.operation} of {one.change:f} at {_utc(one.time)} stands {counts[key]} times; each is counted"
            found.append(Finding("repeated row", one.account, one.asset, text, one.place))
    return found


def _overlaps(reads: Sequence[Read]) -> list[Finding]:
    """Rows that an earlier table has too: counted once."""
    found: list[Finding] = []
    known: dict[tuple[object, ...], str] = {}
    for statement in (statement for read in reads for statement in read.statements):
        twice: Counter[tuple[str, str]] = Counter()
        for key, one in {_same(statement, one): one for one in statement.movements}.items():
            if key in known:
                twice[one.place.file, known[key]] += 1
            known.setdefault(key, one.place.file)
        for (file, name), count in sorted(twice.items()):
            found.append(
                Finding("duplicate", "", "", f"{count:,} rows of {file} stand in {name} too; counted once", None)
            )
    return found


def _gaps(reads: Sequence[Read]) -> list[Finding]:
    """Days between the periods of an account's complete statements."""
    periods: dict[tuple[str, str], list[tuple[int, int]]] = defaultdict(list)
    for read in reads:
        for statement in read.statements:
            if statement.complete and statement.movements:
                stated = _period(read.delivery.period)
                for account in {one.account for one in statement.movements}:
                    times = [one.time for one in statement.movements if one.account == account]
                    periods[statement.custodian, account].append(stated or (min(times), max(times)))
    found = []
    for (custodian, account), spans in sorted(periods.items()):
        last = None
        for first, end in sorted(spans):
            if last is not None and first - last > DAY:
                text = f"nothing of {custodian} covers {_utc(last)} to {_utc(first)}"
                found.append(Finding("gap", account, "", text, None))
            last = max(end, last or end)
    return found


def _period(text: str) -> tuple[int, int] | None:
    if not text:
        return None
    first, _, last = text.partition("/")
    start, end = (int(datetime.fromisoformat(day).replace(tzinfo=UTC).timestamp()) for day in (first, last))
    return start, end + DAY - 1


def _operations(statement: Statement) -> list[Finding]:
    counts: Counter[str] = Counter(one.operation for one in statement.movements if one.kind == "other")
    first = {one.operation: one for one in reversed(statement.movements)}
    found = []
    for name, count in sorted(counts.items()):
        text = f"{shown(name)} ({count:,} rows): no rule knows what it is, so it counts as a change alone"
        found.append(Finding("unknown operation", "", "", text, first[name].place))
    return found


def _half_trades(movements: list[Movement]) -> list[Finding]:
    found = []
    for event in events(movements):
        if not event.whole:
            one = event.movements[0]
            legs = ", ".join(f"{leg.change:+f} {leg.asset}" for leg in event.movements[:6])
            found.append(Finding("half a trade", one.account, one.asset, f"{_utc(one.time)}: {legs}", one.place))
    return found


def _utc(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")
