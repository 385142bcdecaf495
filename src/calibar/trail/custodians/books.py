"""Records as the account walk takes them: an account and asset at a custodian is a holder, a movement is a flow.

Source: definition 1 in docs/tracing.md, "Custodians". What one account pays another that has records too is one flow;
a deposit that is found on a chain arrives from there, a withdrawal leaves for there.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from calibar.errors import DecodeError
from calibar.kernels import transfers as kernels
from calibar.records.booked import Booked
from calibar.records.events import Event, events
from calibar.records.exact import exact
from calibar.records.matching import Match, base_units
from calibar.records.movement import Detail, Movement
from calibar.trail.custodians.order import in_order
from calibar.trail.custodians.pairs import p2p_paid, pairs

OPENING: Final = -(1 << 62)
MOST: Final = 1 << 126
"""Units that the walk can hold."""
FINE: Final = 18
"""Places that are counted as they are written; finer ones only as far as they say something."""


class Item(NamedTuple):
    """A coin or a transfer of a ledger: the number of the ledger, and its id there."""

    chain: int
    id: int


class Holder(NamedTuple):
    """Whose and of what. An account of a custodian, or where a flow leaves the records."""

    name: str
    asset: str
    item: Item | None = None
    """The coin or transfer of a chain that a withdrawal became."""
    reason: str = ""
    """Why the trail ends here; empty for accounts and items of chains."""


@dataclass(slots=True)
class Line:
    """One flow and the rows that say it."""

    time: int
    sender: int
    recipient: int
    units: int
    asset: str
    rows: tuple[Booked, ...]
    role: int = kernels.MOVE
    given: int = -1
    received: int = -1
    item: Item | None = None
    """The coin or transfer that it is on a chain."""
    items: tuple[Item, ...] = ()
    """Those that it may be."""
    match: Match | None = None
    ends: tuple[str, str] = ("", "")
    """Names of both ends, where a holder stands for what passes between them."""
    after: Line | None = None
    """The flow of another account that this one cannot precede."""
    before: Line | None = None
    """The second half of the way between two accounts, just before this flow."""

    @property
    def book(self) -> str:
        """Whose row it is."""
        return self.rows[-1 if self.sender_is_way else 0].account

    sender_is_way: bool = False
    """Whether it comes from another account's flow."""


class Trade(NamedTuple):
    """A conversion at a stated rate."""

    given: str
    units: int
    received: str
    got: int


@dataclass(slots=True)
class Books:
    """All flows of the records, in order of time."""

    holders: list[Holder] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    trades: list[Trade] = field(default_factory=list)
    places: dict[str, int] = field(default_factory=dict)
    """Decimal places in which each asset is counted."""
    by_item: dict[Item, int] = field(default_factory=dict)
    """The line of each deposit that comes from a chain."""
    entered: set[Item] = field(default_factory=set)
    """Deposits of which a withdrawal in the records is the payment itself."""
    _number: dict[Holder, int] = field(default_factory=dict)

    def holder(self, holder: Holder) -> int:
        """Its number."""
        if holder not in self._number:
            self._number[holder] = len(self.holders)
            self.holders.append(holder)
        return self._number[holder]

    def units(self, amount: Decimal, asset: str, row: Booked) -> int:
        """An amount, whatever its sign, in the places in which its asset is counted. Raises DecodeError."""
        found = base_units(amount, self.places[asset])
        if found is None or found >= MOST:
            raise DecodeError(
                f"{row.movement.place}: {amount:.12g} {asset}, counted in {self.places[asset]} places, is more than "
                "can be followed; correct the document"
            )
        return found


@exact()
def keep_books(
    rows: Sequence[Booked],
    matches: Mapping[int, tuple[int, Match]],
    details: Iterable[Detail],
    places: Mapping[str, int],
) -> Books:
    """The books of all rows. `matches` has, by a movement's id(), the number of the ledger and what it says of it;
    `places` the decimals that ledgers count each asset in."""
    books = Books()
    _count_places(books, rows, places)
    _open(books, rows)
    details = list(details)
    orders = _orders(books, rows, details)
    exact_ones = {key for key, (_, match) in matches.items() if match.state == "exact"}
    paired = pairs(rows, details, {*orders, *exact_ones})
    by_custodian: dict[str, list[Booked]] = defaultdict(list)
    for row in rows:
        by_custodian[row.custodian].append(row)
    said = {id(row.movement): row for row in rows}
    for _, several in sorted(by_custodian.items()):
        for event in events(row.movement for row in several if row.movement.kind not in ("own", "balance")):
            if event.kind == "trade":
                _trade(books, said, event)
                continue
            for one in event.movements:
                _enter(books, said[id(one)], matches, paired, orders)
    _join_items(books)
    _join_pairs(books)
    books.lines = in_order(books.lines)
    books.by_item = {
        line.item: n for n, line in enumerate(books.lines) if line.item is not None and line.rows[0].movement.change > 0
    }  # fmt: skip
    return books


def _count_places(books: Books, rows: Sequence[Booked], places: Mapping[str, int]) -> None:
    books.places |= places
    for row in rows:
        one = row.movement
        for amount in (one.change, one.balance):
            if amount is not None and amount:
                exponent = amount.as_tuple().exponent
                if int(exponent) < -FINE:
                    exponent = min(-FINE, int(amount.normalize().as_tuple().exponent))
                books.places[one.asset] = max(books.places.get(one.asset, 0), -int(exponent))
        books.places.setdefault(one.asset, 0)


def _open(books: Books, rows: Sequence[Booked]) -> None:
    """What accounts had before their first row, by the balances that they state: clean, since nobody says otherwise."""
    before: dict[tuple[str, str, str], Decimal] = defaultdict(Decimal)
    stated: dict[tuple[str, str, str], Decimal] = {}
    first: dict[tuple[str, str, str], Booked] = {}
    for row in rows:
        key = row.account, row.movement.wallet, row.movement.asset
        if key in stated:
            continue
        before[key] += row.movement.change
        if row.movement.balance is not None:
            stated[key], first[key] = row.movement.balance - before[key], row
    for (account, _, asset), amount in stated.items():
        if amount > 0:
            row = first[account, _, asset]
            recipient = books.holder(Holder(account, asset))
            books.lines.append(Line(OPENING, -1, recipient, books.units(amount, asset, row), asset, (row,)))


def _enter(
    books: Books,
    row: Booked,
    matches: Mapping[int, tuple[int, Match]],
    paired: Mapping[int, tuple[Booked, Booked]],
    orders: Mapping[int, tuple[int, int]],
) -> None:
    one = row.movement
    account, units = books.holder(Holder(row.account, one.asset)), books.units(one.change, one.asset, row)
    line = Line(one.time, account, -1, units, one.asset, (row,), ends=(row.account, ""))
    if one.change > 0:
        line.sender, line.recipient, line.ends = -1, account, ("", row.account)
    if id(one) in orders:
        group, line.time = orders[id(one)]
        line.given, line.received = (group, -1) if one.change < 0 else (-1, group)
    elif id(one) in paired:
        _between(books, line, paired[id(one)])
    elif id(one) in matches and (one.kind == "deposit") == (one.change > 0):
        _on_chain(books, line, *matches[id(one)])
    elif one.kind == "fee" and one.change < 0:
        line.role = kernels.FEE
    elif one.change < 0:
        _outside(books, line, one)
    books.lines.append(line)


def _outside(books: Books, line: Line, one: Movement) -> None:
    """A flow to where there are no records."""
    named = one.fact("counterparty account") or one.fact("counterparty") or one.fact("address")
    reason = {"withdrawal": "not on the chain", "other": "unknown operation", "trade": "half a trade"}
    holder = Holder(named or f"{one.operation} ({line.rows[0].account})", one.asset, None, "")
    line.recipient = books.holder(holder._replace(reason=reason.get(one.kind, "no record")))


def _trade(books: Books, said: Mapping[int, Booked], event: Event) -> None:
    """A conversion, where one asset was given for one other; else each leg by itself. Fees go to the custodian."""
    sums: dict[str, Decimal] = defaultdict(Decimal)
    rows: dict[str, list[Booked]] = defaultdict(list)
    fees: list[Line] = []
    for one in event.movements:
        row = said[id(one)]
        holder, units = books.holder(Holder(row.account, one.asset)), books.units(one.change, one.asset, row)
        if one.kind == "fee":
            sides = (holder, -1) if one.change < 0 else (-1, holder)
            role = kernels.FEE if one.change < 0 else kernels.MOVE
            fees.append(Line(one.time, *sides, units, one.asset, (row,), role))
        else:
            sums[one.asset] += one.change
            rows[one.asset].append(row)
    given, received = ([asset for asset, total in sums.items() if total * sign > 0] for sign in (-1, 1))
    first = said[id(event.movements[0])]
    account = first.account
    converts = len(given) == len(received) == 1
    if converts:
        (out,), (into,) = given, received
        gave, got = books.units(sums[out], out, first), books.units(sums[into], into, first)
        books.trades.append(Trade(out, gave, into, got))
    for asset in (*given, *received):
        units, holder = books.units(sums[asset], asset, first), books.holder(Holder(account, asset))
        gives = sums[asset] < 0
        line = Line(event.movements[0].time, *((holder, -1) if gives else (-1, holder)), units, asset, (*rows[asset],))
        if converts:
            line.given, line.received = (len(books.trades) - 1, -1) if gives else (-1, len(books.trades) - 1)
        elif gives:
            line.recipient = books.holder(Holder(f"trade of {account}", asset, None, "half a trade"))
        books.lines.append(line)
    books.lines += fees


def _on_chain(books: Books, line: Line, chain: int, match: Match) -> None:
    """A deposit or withdrawal that a ledger has: exactly, or the only one that fits. Which of several is told later."""
    line.match = match
    line.items = tuple(Item(chain, found.id) for found in match.found[: None if match.state == "exact" else 1])
    address = match.found[0].address
    line.ends = (line.ends[0], address) if line.sender >= 0 else (address, line.ends[1])


def _join_items(books: Books) -> None:
    """Give each coin and transfer to the rows that say it: those that name it before those that only fit, then the
    earlier. A withdrawal that pays another account's deposit address is a flow between the two."""
    claims = [line for line in books.lines if line.match is not None]
    claims.sort(key=lambda line: (line.match is not None and line.match.state != "exact", line.time))
    made: dict[Item, Line] = {}
    for line in claims:
        if line.sender < 0:
            continue
        line.item = next((item for item in line.items if item not in made), None)
        if line.item is not None:
            made[line.item] = line
        reason = "" if line.item is not None else "matched twice"
        line.recipient = books.holder(Holder(line.ends[1], line.asset, line.item, reason))
    taken: set[Item] = set()
    for line in claims:
        if line.sender >= 0:
            continue
        line.item = next((item for item in line.items if item not in taken), None)
        if line.item is None:
            continue
        taken.add(line.item)
        if line.item in made:
            _come_from(books, line, made[line.item])
            books.entered.add(line.item)


def _orders(books: Books, rows: Sequence[Booked], details: Iterable[Detail]) -> dict[int, tuple[int, int]]:
    """P2P orders that a bank's row paid, as trades. By id() of both movements: the trade, and when it is entered."""
    found: dict[int, tuple[int, int]] = {}
    for given, received in p2p_paid(rows, details):
        gave, got = (books.units(side.movement.change, side.movement.asset, side) for side in (given, received))
        books.trades.append(Trade(given.movement.asset, gave, received.movement.asset, got))
        found[id(given.movement)] = len(books.trades) - 1, given.movement.time
        last = max(given.movement.time, received.movement.time)
        found[id(received.movement)] = len(books.trades) - 1, last
    return found


def _between(books: Books, line: Line, pair: tuple[Booked, Booked]) -> None:
    """A flow between two accounts with records: it leaves the one at its time, and arrives at the other at its own."""
    out, into = pair
    line.ends = out.account, into.account
    if line.sender >= 0:
        line.recipient = _way(books, line, str(out.movement.place))
    else:
        line.sender_is_way = True
    line.rows = (out, into)


def _way(books: Books, line: Line, name: str) -> int:
    """A holder for what has left one account and not come to the other."""
    return books.holder(Holder(f"{name} #{len(books.holders)}", line.asset, None, "on its way"))


def _join_pairs(books: Books) -> None:
    """Let what arrives of a payment come from what left, and what a P2P order received follow what was given."""
    out = {id(line.rows[0].movement): line for line in books.lines if line.ends[1] and not line.sender_is_way}
    given = {line.given: line for line in books.lines if line.given >= 0}
    for line in books.lines:
        if line.sender_is_way and line.sender < 0:
            _come_from(books, line, out[id(line.rows[0].movement)])
        elif line.received >= 0 and given[line.received].book != line.book:
            line.after = given[line.received]


def _come_from(books: Books, line: Line, out: Line) -> None:
    """A flow that arrives from another account's. The way between has two halves: where the last is drawn first, a
    single one would turn the order of the units round."""
    half = _way(books, line, f"{out.rows[0].movement.place}, half way")
    line.sender_is_way, line.after = True, out
    line.time = max(line.time, out.time)
    line.before = Line(line.time, out.recipient, half, line.units, line.asset, line.rows)
    line.sender = half
