"""From a case's documents to what they say: each table by the format that knows it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibar.chains.remote.csv_sheet import shown
from calibar.errors import UsageError
from calibar.records.formats import FORMATS, format_called
from calibar.records.formats.format import Format, Stated
from calibar.records.formats.mapped import format_of
from calibar.records.layout import header_of, plain_name
from calibar.records.movement import Statement
from calibar.records.store import Delivery, Records
from calibar.records.tables.cells import Cell, Table

_AMOUNTS: Final = ("Amount", "Change", "Importe", "Monto", "Débito", "Crédito", "Debe", "Haber", "Saldo", "Quantity")


@dataclass(slots=True)
class Read:
    """What a delivery says, and the tables of it that no format knows."""

    delivery: Delivery
    statements: list[Statement]
    unknown: list[str]


@dataclass(frozen=True)
class _Called(Table):
    """A table of a document that lies elsewhere under another name."""

    table: Table

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Its rows."""
        return self.table.rows()


def _called(file: str, path: Path, name: str) -> str:
    """A file's name as it was handed in, also inside of an archive."""
    return name + file.removeprefix(str(path)) if file.startswith(str(path)) else file


def read_file(path: Path, name: str, delivery: Delivery) -> Read:
    """Read a document. Raises DecodeError, UsageError: with the place of what is wrong."""
    from calibar.records.tables.reading import tables  # noqa: PLC0415

    stated = Stated(delivery.account, delivery.asset, delivery.zone, delivery.dates, delivery.decimal)
    found = Read(delivery, [], [])

    def passed_over(file: str, why: str) -> None:
        found.unknown.append(f"{_called(file, path, name)}: {why}")

    for one in tables(path, passed_over):
        table = _Called(_called(one.file, path, name), one.sheet, one)
        said = _read_table(table, delivery, stated)
        if said is None:
            found.unknown.append(f"{table.file}{', sheet ' + table.sheet if table.sheet else ''}")
            continue
        if delivery.custodian:
            said.custodian = delivery.custodian
        if not said.custodian:
            raise UsageError(f"{name}: nobody says which custodian it is of: state it by --custodian")
        found.statements.append(said)
    return found


def read_all(records: Records) -> Iterator[Read]:
    """What all documents of a case say, in the order they came."""
    for delivery in records.deliveries():
        yield read_file(records.path(delivery.sha256), delivery.name, delivery)


def _read_table(table: Table, delivery: Delivery, stated: Stated) -> Statement | None:
    if delivery.columns:
        return format_of(delivery.format.removeprefix("mapping:"), delivery.columns).read(table, stated)
    if delivery.format:
        return format_called(delivery.format).read(table, stated)
    fitting = [one for one in FORMATS if _fits(one, table)]
    if any(not one.details for one in fitting) or _has_amounts(table, fitting):
        fitting = [one for one in fitting if not one.details]
    hinted = [one for one in fitting if any(word in plain_name(f"{table.file} {table.sheet}") for word in one.hints)]
    if sum(bool(one.hints) for one in fitting) > 1:
        if len(hinted) != 1:
            names = " or ".join(one.name for one in fitting)
            raise UsageError(f"{table.file}: its header is that of {names}: state which by --as")
        fitting = hinted
    return fitting[0].read(table, stated) if fitting else None


def _has_amounts(table: Table, fitting: list[Format]) -> bool:
    """Whether a table of people or logins has a column of amounts: then it says more than those formats read."""
    names = {plain_name(name) for name in _AMOUNTS}
    for one in fitting:
        if (columns := header_of(table, one.layout)) is not None:
            return any(isinstance(cell, str) and plain_name(cell) in names for cell in columns.header)
    return False


def _fits(one: Format, table: Table) -> bool:
    return header_of(table, one.layout) is not None


def imported(case: Path, path: Path, certificate: Path | None, said: dict[str, object]) -> tuple[Read, bool]:
    """Read a document and, if all of it can be read, keep it; whether it is new. Raises as `read_file`, and for a
    document of which no table is known."""
    draft = Delivery(sha256="", name=path.name, bytes=0, certificate="", certificate_name="", **said)  # type: ignore[arg-type]
    found = read_file(path, path.name, draft)
    if not found.statements:
        formats = ", ".join(one.name for one in FORMATS)
        raise UsageError(
            f"{path}: no table of it has a header that is known ({formats}); name its columns by --column ROLE=NAME, "
            f"or its format by --as (tables: {shown('; '.join(found.unknown[:3]))})"
        )
    delivery, new = Records(case).keep(path, certificate, said)
    if any(getattr(delivery, key) != getattr(draft, key) for key in ("format", "columns", "account", "asset", "zone")):
        found = read_file(path, path.name, delivery)  # as it was said before
    found.delivery = delivery
    return found, new
