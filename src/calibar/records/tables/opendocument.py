"""Sheets of ODS (LibreOffice), a row at a time: formulas by their kept value alone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Final
from xml.etree import ElementTree as ET

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.cells import Broken, Cell, Table
from calibar.records.tables.elements import Elements, local
from calibar.records.tables.numbers import decimal, number, written
from calibar.records.tables.package import Package
from calibar.records.tables.source import LONGEST_TEXT, MOST_COLUMNS, MOST_ROWS, MOST_SHEETS, Source, printable
from calibar.records.tables.worksheet_cells import UNVALUED

_CONTENT: Final = "content.xml"
_CONTAINERS: Final = frozenset(
    {
        "document-content", "body", "spreadsheet", "table", "table-row-group", "table-rows", "table-header-rows",
        "table-column-group", "table-columns", "table-header-columns",
    }
)  # fmt: skip
_ROWS: Final = frozenset({"table-row"})
_PARTS: Final = frozenset({"table-column"})
_MOST_REPEATED: Final = 10_000_000
"""Cells that a sheet may say again without writing them."""
_ERROR: Final = re.compile(r"#(REF|DIV/0|VALUE|NAME|NUM|NULL)[!?]|#N/A|Err:[0-9]{3}")
_TIME: Final = re.compile(r"P(?:T(?=.))?(?:([0-9]{1,9})H)?(?:([0-9]{1,9})M)?(?:([0-9]{1,9}(?:[.,][0-9]{1,12})?)S)?")
_MOMENT: Final = re.compile(r"([0-9]{4}-[0-9]{2}-[0-9]{2})(?:T([0-9]{2}:[0-9]{2}:[0-9]{2})([.,][0-9]{1,12})?)?")
_TRUTHS: Final = {"of:=TRUE()": True, "of:=FALSE()": False}
_SPACES: Final = re.compile(r"[ \t\r\n]+")


class OpenDocument:
    """An ODS file."""

    def __init__(self, source: Source) -> None:
        self.source = source
        with source.open() as stream:
            package = Package(source, stream)
            source.allowance.take(package.total, source.name)
            _check(package)
            reading = Elements(source.name, _CONTAINERS, _PARTS, owner="table")
            self.sheets: list[str] = []
            before: ET.Element | None = None
            for owner, _ in reading.read(package.chunks(_CONTENT)):
                if owner is not before:
                    before = owner
                    self.sheets.append(printable(_attribute(owner, "name") or ""))
                    if len(self.sheets) > MOST_SHEETS:
                        raise DecodeError(f"{source.name}: more than {MOST_SHEETS:,} sheets, as no statement has")

    def tables(self) -> Iterator[Table]:
        """Its sheets."""
        for at, sheet in enumerate(self.sheets):
            yield OpenDocumentTable(self.source.name, sheet, self.source, at)


@dataclass(frozen=True)
class OpenDocumentTable(Table):
    """A sheet of an ODS. Merged cells: the value stands in the first cell, the others are None."""

    source: Source
    place: int
    """Of the sheet among the others."""

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Rows that have something in them; a row said to be there again is given again."""
        where = f"{self.file}, sheet {self.sheet}"
        sheet, row, repeated = -1, 0, 0
        before: ET.Element | None = None
        with self.source.open() as stream:
            package = Package(self.source, stream)
            reading = Elements(where, _CONTAINERS, _ROWS | _PARTS, owner="table")
            for owner, element in reading.read(package.chunks(_CONTENT)):
                if owner is not before:
                    sheet, before = sheet + 1, owner
                if sheet != self.place or local(element.tag) != "table-row":
                    continue
                times = _times(element, "rows", where)
                cells = _row(element, f"{where}, row {row + 1}")
                repeated += (times - 1) * len(cells)
                if cells and (row + times > MOST_ROWS or repeated > _MOST_REPEATED):
                    raise DecodeError(f"{where}: more than {MOST_ROWS:,} rows, or one row too many times: not read")
                if cells:
                    for again in range(times):
                        yield row + again + 1, list(cells)
                row += times


def _check(package: Package) -> None:
    again = "save it in LibreOffice"
    if _CONTENT not in package.entries:
        raise DecodeError(f"{package.name}: it has no content: it is damaged; have it sent again")
    if any(entry.startswith(("Basic/", "Scripts/")) for entry in package.entries):
        raise UsageError(f"{package.name}: it has macros, which no statement needs: {again} without them, as XLSX")
    manifest = "META-INF/manifest.xml"
    if manifest in package.entries:
        reading = Elements(package.name, frozenset({"manifest", "file-entry"}), frozenset({"encryption-data"}))
        if any(True for _ in reading.read(package.chunks(manifest))):
            raise UsageError(f"{package.name}: it is encrypted: open it with its password and {again} without one")


def _row(row: ET.Element, where: str) -> list[Cell]:
    cells: list[Cell] = []
    column = 0
    for element in row:
        if local(element.tag) not in {"table-cell", "covered-table-cell"}:
            continue
        times = _times(element, "columns", where)
        value = None if local(element.tag).startswith("covered") else _cell(element, where)
        if value is not None:
            if column + times > MOST_COLUMNS:
                raise DecodeError(f"{where}: more than {MOST_COLUMNS:,} columns: not read")
            cells.extend([None] * (column - len(cells)))
            cells.extend([value] * times)
        column = min(column + times, MOST_COLUMNS)
    return cells


def _cell(element: ET.Element, where: str) -> Cell:
    told = {local(key): value for key, value in element.items() if not key.startswith("{urn:org:documentfoundation")}
    kind, formula = told.get("value-type"), told.get("formula")
    error = any(key.endswith("}value-type") and value == "error" for key, value in element.items())
    try:
        if error or (formula and kind in {None, "string"} and len(element)):
            text = _text(element, where)
            if error or _ERROR.fullmatch(text):
                return Broken(printable(text[:40]) or "error")
        if kind in {"float", "percentage", "currency"}:
            if formula in _TRUTHS and number(told["value"]) == _TRUTHS[formula]:
                return _TRUTHS[formula]
            return written(told["value"])
        if kind == "date":
            return _moment(told["date-value"])
        if kind == "time":
            return _clock(told["time-value"])
        if kind == "boolean":
            return {"true": True, "false": False}[told["boolean-value"]]
    except (ValueError, KeyError):
        raise DecodeError(f"{where}: a cell of kind {printable(str(kind))} without a value of it: damaged") from None
    if formula and kind is None:
        return UNVALUED
    return told.get("string-value") or _text(element, where) or None


def _text(element: ET.Element, where: str) -> str:
    paragraphs = [_Paragraph(child, where).text for child in element if local(child.tag) == "p"]
    return "\n".join(paragraphs)


class _Paragraph:
    """Spaces side by side count as one, save those that are counted in an element of their own."""

    def __init__(self, element: ET.Element, where: str) -> None:
        self._parts: list[str] = []
        self._length, self._where = 0, where
        self._add(element, 0)
        self.text = "".join(self._parts)

    def _add(self, element: ET.Element, depth: int) -> None:
        if depth > 50:
            raise DecodeError(f"{self._where}: a text nested as no spreadsheet's is: not read")
        self._write(element.text)
        for child in element:
            kind = local(child.tag)
            if kind == "s":
                count = next((value for key, value in child.items() if local(key) == "c"), "1")
                self._write_plain(" " * _count(count, LONGEST_TEXT, self._where))
            elif kind == "tab":
                self._write_plain("\t")
            elif kind == "line-break":
                self._write_plain("\n")
            elif kind not in {"annotation", "note", "ruby-text"}:
                self._add(child, depth + 1)
            self._write(child.tail)

    def _write(self, text: str | None) -> None:
        if text:
            self._write_plain(_SPACES.sub(" ", text) if self._parts else _SPACES.sub(" ", text.lstrip(" \t\r\n")))

    def _write_plain(self, text: str) -> None:
        self._length += len(text)
        if self._length > LONGEST_TEXT:
            raise DecodeError(f"{self._where}: a text of more than {LONGEST_TEXT:,} characters: not read")
        self._parts.append(text)


def _moment(text: str) -> datetime | date:
    found = _MOMENT.fullmatch(text)
    if found is None:
        raise ValueError
    day = date.fromisoformat(found[1])
    if found[2] is None:
        return day
    moment = datetime.combine(day, time.fromisoformat(found[2]))
    return moment + timedelta(milliseconds=round(float("0" + (found[3] or ".0").replace(",", ".")) * 1000))


def _clock(text: str) -> time | Decimal:
    found = _TIME.fullmatch(text)
    if found is None:
        raise ValueError
    seconds = int(found[1] or 0) * 3600 + int(found[2] or 0) * 60 + float((found[3] or "0").replace(",", "."))
    thousandths = round(seconds * 1000)
    if thousandths < 86_400_000:
        return (datetime.min + timedelta(milliseconds=thousandths)).time()
    return decimal(seconds / 86_400)


def _times(element: ET.Element, what: str, where: str) -> int:
    return _count(_attribute(element, f"number-{what}-repeated") or "1", 1 << 31, where)


def _count(text: str, most: int, where: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 11 and int(text) <= most):
        raise DecodeError(f"{where}: {printable(text[:20])!r} is no count: it is damaged; have it sent again")
    return int(text)


def _attribute(element: ET.Element, name: str) -> str | None:
    return element.get(f"{{urn:oasis:names:tc:opendocument:xmlns:table:1.0}}{name}")
