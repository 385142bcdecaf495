"""A format: its columns, and what a row of it says.

A table is read once or twice: all cells together say how amounts and dates are written, so it is looked at until that
is settled, then read.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from operator import itemgetter
from typing import Final
from zoneinfo import ZoneInfo

from calibar.chains.remote.csv_sheet import shown
from calibar.collection import uncollected
from calibar.errors import DecodeError, UsageError
from calibar.records.amounts import Amount, Amounts
from calibar.records.exact import exact
from calibar.records.layout import Columns, Layout, header_of, plain_name, text_of
from calibar.records.movement import Detail, Movement, Place, Statement
from calibar.records.tables.cells import Cell, Table
from calibar.records.times import Moments

FACTS: Final = (
    "txid", "network", "address", "source address", "counterparty", "counterparty account", "order", "side", "pair",
    "price", "fiat", "total", "method", "status", "remark",
)  # fmt: skip
"""Roles that are kept beside a movement, as they are written."""
IDENTIFIERS: Final = frozenset(
    (
        "account",
        "txid",
        "address",
        "source address",
        "counterparty account",
        "order",
        "bank account",
        "document",
        "phone",
    )
)
AMOUNTS: Final = ("change", "amount", "debit", "credit", "balance", "fee", "quantity")
_REMEMBERED: Final = 100_000
_UNDONE: Final = (
    "fail", "fall", "cancel", "reject", "rechaz", "expir", "appeal", "apel", "anulad", "process", "proceso", "pend",
    "declin", "deneg", "revers", "revert", "error", "unpaid", "waiting", "espera",
)  # fmt: skip
_DONE: Final = (
    "complet", "success", "exito", "acredit", "credited", "confirm", "ok", "done", "aprob", "approved", "finaliz",
    "realiz", "processed", "procesad", "filled", "paid", "pagad", "released", "liberad", "liquidad", "settled",
)  # fmt: skip
_TOTALS: Final = ("total", "saldo", "balance", "transporte", "subtotal", "suma", "page", "pagina", "hoja")
_OFFSET: Final = re.compile(r"(?:utc|gmt)\s*([-+−])\s*([0-9]{1,2})(?::?([0-9]{2}))?", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Stated:
    """What a document does not say itself, and the person who brings it does."""

    account: str = ""
    asset: str = ""
    zone: str = ""
    dates: str = ""
    decimal: str = ""

    def zone_info(self) -> ZoneInfo | None:
        """The zone. Raises UsageError where there is none of that name."""
        try:
            return ZoneInfo(self.zone) if self.zone else None
        except (ValueError, OSError, KeyError):
            raise UsageError(f"there is no time zone {shown(self.zone)}; name one as America/Buenos_Aires") from None


class _Where:
    """A row's column, named only when a message needs it."""

    def __init__(self, row: Row, role: str) -> None:
        self._row, self._title = row, row.columns.titles.get(role)

    def __str__(self) -> str:
        return f"{self._row.place}, column {shown(self._title)}" if self._title is not None else str(self._row.place)


class Row:
    """The row of a table that is being read; one object serves all rows, since there may be millions."""

    def __init__(self, form: Format, table: Table, columns: Columns, stated: Stated) -> None:
        """At no row yet."""
        self.form, self.table, self.columns, self.stated = form, table, columns, stated
        utc, zone = _zone_of(columns.titles.get("time", ""), form, stated, table.file)
        self.amounts = Amounts(stated.decimal or None)
        self.moments = Moments(utc, zone, stated.dates or None)
        self.totals: list[tuple[Place, str]] = []
        """Rows without a time that have an amount, and say that they add up."""
        self._places = dict(columns.places)
        self.number = 0
        self.cells: Sequence[Cell] = ()
        self._where = {role: _Where(self, role) for role in (*columns.places, *AMOUNTS, *FACTS, "account", "asset")}
        self._facts = [(role, columns.places[role]) for role in FACTS if role in columns.places]
        self._seen = [(role, columns.places[role]) for role in AMOUNTS if role in columns.places]
        self._time = columns.places.get("time", -1)
        self._names = [columns.places.get(role, -1) for role in ("account", "wallet", "asset", "operation")]
        self._known: dict[tuple[object, ...], tuple[str, str, str, str]] = {}
        """By cells of these: account, wallet, asset and operation, which few rows have differently."""

    @property
    def place(self) -> Place:
        """Where the row stands."""
        return Place(self.table.file, self.table.sheet, self.number)

    @property
    def is_settled(self) -> bool:
        """Whether no later cell can change how this table is read."""
        return (not self._seen or self.amounts.is_settled) and (self._time < 0 or self.moments.is_settled)

    def see(self) -> None:
        """Take note of how the row's times and amounts are written."""
        if self._time >= 0:
            self.moments.see(self.cells[self._time], self._where["time"])
        width = len(self.cells)
        for role, at in self._seen:
            if at < width:
                self.amounts.see(self.cells[at], self._where[role])

    def where(self, role: str) -> object:
        """The place and the column, for messages."""
        return self._where.get(role) or _Where(self, role)

    def cell(self, role: str) -> Cell:
        """What the row has in a role's column."""
        at = self._places.get(role, -1)
        return self.cells[at] if 0 <= at < len(self.cells) else None

    def text(self, role: str) -> str:
        """A cell as text, in one line."""
        at = self._places.get(role, -1)
        if at < 0 or at >= len(self.cells):
            return ""
        cell = self.cells[at]
        if type(cell) is str and cell.isalnum():
            return cell
        return text_of(cell, self.where(role), identifies=role in IDENTIFIERS) if cell else ""

    def amount(self, role: str) -> Amount | None:
        """A cell as an amount."""
        cell = self.cell(role)
        return None if cell is None else self.amounts.read(cell, self.where(role))

    def needed(self, role: str) -> Amount:
        """An amount that must be there. Raises DecodeError."""
        found = self.amount(role)
        if found is None:
            raise DecodeError(f"{self.where(role)}: the amount is missing")
        return found

    def time(self) -> int:
        """The row's time."""
        return self.moments.read(self.cells[self._time], self._where["time"])

    def account(self) -> str:
        """Whose account it is. Raises UsageError where neither the row nor anybody says it."""
        found = self.text("account") or self.stated.account
        if not found:
            raise UsageError(f"{self.place}: nobody says whose account it is: state it by --account")
        return found

    def asset(self, unit: str = "") -> str:
        """What is moved. Raises UsageError where neither the row nor anybody says it."""
        told = self.text("asset") or self.stated.asset
        if unit and told and unit.upper() != told.upper():
            raise DecodeError(f"{self.place}: an amount is of {shown(unit)} and the row of {shown(told)}: ask which")
        found = unit or told
        if not found:
            raise UsageError(f"{self.place}: nobody says what is moved: state it by --asset, such as ARS")
        return found.upper()

    def movement(self, change: Amount, kind: str, *, asset: str = "", balance: Decimal | None = None) -> Movement:
        """A movement of this row."""
        cells, width, facts = self.cells, len(self.cells), []
        for role, at in self._facts:
            if at < width and cells[at]:
                text = text_of(cells[at], self._where[role], identifies=role in IDENTIFIERS)
                if text:
                    facts.append((role, text))
        named = tuple([cells[at] if 0 <= at < width else None for at in self._names])
        known = self._known.get((named, asset, change.unit))
        if known is None:
            known = (
                self.account(),
                self.text("wallet"),
                asset.upper() or self.asset(change.unit),
                self.text("operation") or self.form.title,
            )
            if len(self._known) < _REMEMBERED:
                self._known[named, asset, change.unit] = known
        account, wallet, what, operation = known
        place = Place(self.table.file, self.table.sheet, self.number)
        return Movement(
            self.moments.read(cells[self._time], self._where["time"]),
            account,
            wallet,
            what,
            change.value,
            kind,
            operation,
            place,
            balance,
            tuple(facts) if facts else (),
        )

    def detail(self, what: str, value: str) -> Detail:
        """Something this row says beside movements."""
        timed = self._time >= 0
        return Detail(self.account(), what, value, self.time() if timed else None, self.place)

    def rows(self) -> Iterator[Row]:
        """This, at each row under the header that says something: repeated headers, totals and blanks do not."""
        for number, cells in self._under():
            self.number, self.cells = number, cells
            yield self

    def _under(self) -> Iterator[tuple[int, list[Cell]]]:
        title = self.columns.header[self._time] if self._time >= 0 else None
        at, after, header = self._time, self.columns.row, list(self.columns.header)
        self.totals.clear()
        for number, cells in self.table.rows():
            if number <= after:
                continue
            if at >= 0:
                time = cells[at] if at < len(cells) else None
                if time == title or time is None or (type(time) is str and not time.strip()):
                    self.number, self.cells = number, cells
                    self._without_time(time == title)
                    continue
            elif cells == header:
                continue
            yield number, cells

    def _without_time(self, is_header: bool) -> None:
        """Pass over a repeated header, a total, a blank. Raises DecodeError for what may be a movement."""
        columns = self.columns
        if is_header:
            if any(self.cell(role) != columns.header[at] for role, at in columns.places.items()):
                raise DecodeError(f"{self.place}: a header that is not the first one's: split the document there")
            return
        filled = [self.where(role) for role, at in self._seen if at < len(self.cells) and not _is_empty(self.cells[at])]
        if filled:
            words = plain_name(" ".join(cell for cell in self.cells if isinstance(cell, str)))
            if not any(word in words for word in _TOTALS):
                raise DecodeError(
                    f"{filled[0]}: an amount in a row without a time: fill the time in, or ask which it is"
                )
            self.totals.append((self.place, "it has no time and says that it adds up"))

    def changes(self, kind_of: Callable[[str], str]) -> Iterator[Movement]:
        """The movements of a table of which each row is one signed change of its operation's kind, and no more.

        The same as `movement` of each row, without the calls: statements have millions of such rows.
        """
        change_at, time_at = self._places["change"], self._time
        plain, moment, where = self.amounts.plain, self.moments.read, self._where["time"]
        file, sheet = self.table.file, self.table.sheet
        named = {at for at in self._names if at >= 0} | {at for _, at in self._facts}
        naming = itemgetter(*(named or {change_at}))
        known: dict[object, tuple[str, str, str, str, str]] = {}
        for number, cells in self._under():
            self.number, self.cells = number, cells
            try:
                names, value = known.get(naming(cells)), plain(cells[change_at])
            except IndexError:
                names = value = None
            if names is None or value is None:
                change = self.needed("change")
                if change.value:
                    found = self.movement(change, kind_of(self.text("operation")))
                    if not (found.facts or change.unit or value is None or len(known) == _REMEMBERED):
                        known[naming(cells)] = (found.account, found.wallet, found.asset, found.kind, found.operation)
                    yield found
            elif value:
                account, wallet, asset, kind, operation = names
                time, place = moment(cells[time_at], where), Place(file, sheet, number)
                yield Movement(time, account, wallet, asset, value, kind, operation, place, None, ())


Said = Movement | Detail


@dataclass(frozen=True)
class Format:
    """What a custodian's kind of table is called, how it is known, and what a row of it says."""

    name: str
    title: str
    """For people, in one or two words."""
    custodian: str
    layout: Layout
    says: Callable[[Row], Iterator[Said]]
    complete: bool = False
    says_utc: bool = False
    hints: tuple[str, ...] = ()
    """Words of the names of files and sheets, where another format has the same header."""
    details: bool = False
    """Whether it says nothing of movements: any format that does is preferred."""
    plainly: Callable[[str], str] | None = None
    """Where each row is one signed change and no more: what its operation is. `says` is not asked then."""

    @uncollected()
    @exact()
    def read(self, table: Table, stated: Stated) -> Statement | None:
        """What a table says; None where it has not this format's header. Raises DecodeError, UsageError."""
        columns = header_of(table, self.layout)
        if columns is None:
            return None
        row = Row(self, table, columns, stated)
        for _ in row.rows():
            row.see()
            if row.is_settled:
                break
        statement = Statement(self.name, self.custodian, self.complete)
        movements, details = statement.movements, statement.details
        if self.plainly is not None:
            statement.movements = in_order(list(row.changes(self.plainly)))
            statement.passed_over += row.totals
            return statement
        status = columns.places.get("status", -1)
        for _ in row.rows():
            if status >= 0 and (why := _undone(row)):
                statement.passed_over.append((row.place, why))
                continue
            if status >= 0 and (doubt := _doubtful(row)):
                statement.doubts.append((row.place, doubt))
            for said in self.says(row):
                if type(said) is Movement:
                    movements.append(said)
                elif type(said) is Detail:
                    details.append(said)
        statement.movements = in_order(movements)
        statement.passed_over += row.totals
        return statement


def in_order(movements: list[Movement]) -> list[Movement]:
    """In order of time; what has one time stays as the document has it, which may begin with the newest."""
    backwards = len(movements) > 1 and movements[0].time > movements[-1].time
    if len(movements) > 1 and movements[0].time == movements[-1].time:
        backwards = _follow(movements[::-1]) > _follow(movements)
    return sorted(reversed(movements) if backwards else movements, key=lambda one: one.time)


def _follow(movements: Sequence[Movement]) -> int:
    """How many stated balances follow from the one before, read in this direction."""
    return sum(
        one.balance is not None and other.balance is not None and one.balance + other.change == other.balance
        for one, other in itertools.pairwise(movements)
    )


def _is_empty(cell: Cell) -> bool:
    return cell is None or (isinstance(cell, str) and cell.strip() in ("", "-", "--", "—"))


def _zone_of(title: str, form: Format, stated: Stated, file: str) -> tuple[bool, ZoneInfo | None]:
    """Whether times are UTC, and else their zone, by the header, the format and the person. Raises UsageError."""
    zone = stated.zone_info()
    offset = _OFFSET.search(title)
    if offset and (int(offset[2]) or int(offset[3] or 0)):
        if int(offset[3] or 0) or int(offset[2]) > 12:
            raise UsageError(f"{file}: its times are {shown(offset[0])}, which is not read; ask for them in UTC")
        # The names of the database have the sign the other way round.
        return False, ZoneInfo(f"Etc/GMT{'-' if offset[1] == '+' else '+'}{int(offset[2])}")
    utc = form.says_utc or "utc" in title.lower()
    if utc and zone is not None and zone.key not in ("UTC", "Etc/UTC"):
        raise UsageError(f"{file}: its times are in UTC, and --zone {stated.zone} says otherwise: leave it out")
    return utc, zone


def _undone(row: Row) -> str:
    """Why a row moved nothing; empty where it moved something."""
    status = row.text("status")
    plain = plain_name(status)
    undone = any(word in plain for word in _UNDONE) and not any(word in plain for word in ("processed", "procesad"))
    return f"its status is {shown(status)}" if undone else ""


def _doubtful(row: Row) -> str:
    """What is not known of a row's status; empty where it is known."""
    status = row.text("status")
    plain = plain_name(status)
    return (
        f"its status {shown(status)} is not known; it is counted"
        if plain and not any(w in plain for w in _DONE)
        else ""
    )
