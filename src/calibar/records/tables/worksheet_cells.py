"""Cells of a sheet of XLSX: what each holds as the file has it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time
from decimal import Decimal
from typing import Final
from xml.etree import ElementTree as ET

from calibar.errors import DecodeError
from calibar.records.tables.cells import Broken, Cell
from calibar.records.tables.numbers import MOST_DIGITS, Shown, decimal, is_number, number, shown
from calibar.records.tables.quick_rows import Found, QuickRow
from calibar.records.tables.source import MOST_COLUMNS, MOST_ROWS, printable
from calibar.records.tables.workbook_parts import Book, text_of, unescaped

UNVALUED: Final = Broken("formula without a value")


class Cells:
    """How the cells of a sheet are read. Rows have to come in their order, and cells in that of their columns."""

    def __init__(self, book: Book, texts: tuple[str, ...], styled: list[Shown], where: str) -> None:
        self.before = 0
        """The row that was read last."""
        self._where, self._texts = where, texts
        self._dated = {str(at): how for at, how in enumerate(styled) if how is not Shown.NUMBER}
        if styled and styled[0] is not Shown.NUMBER:
            self._dated[""] = styled[0]
        self._since_1904, self._stale = book.since_1904, book.stale
        self._letters = [_letters(at) for at in range(MOST_COLUMNS + 1)]
        self._columns = {letters: at for at, letters in enumerate(self._letters)}
        self._kinds: dict[str, Callable[[str], Cell]] = {
            "s": self._shared,
            "str": self._formula_text,
            "b": _truth,
            "e": lambda text: Broken(printable(text[:40])),
            "d": _iso,
        }

    def numbered(self, row: QuickRow | ET.Element) -> tuple[int, list[Cell]]:
        """The number of a row, and its cells without the empty ones at its end. Raises DecodeError."""
        if isinstance(row, QuickRow):
            self._next(row.number)
            return row.number, self._quick(row.cells, str(row.number))
        said = row.get("r")
        if said is not None and not (said.isascii() and said.isdigit() and len(said) < 9):
            raise DecodeError(
                f"{self._where}: a row after row {self.before} has no number: it is damaged; have it sent again"
            )
        self._next(self.before + 1 if said is None else int(said))
        return self.before, self._row(row, str(self.before))

    def _next(self, row: int) -> None:
        if row <= self.before:
            raise DecodeError(
                f"{self._where}: row {row} comes after row {self.before}: it is damaged or was edited by hand"
            )
        if row > MOST_ROWS:
            raise DecodeError(f"{self._where}: more than {MOST_ROWS:,} rows: export a shorter period")
        self.before = row

    def _quick(self, found: list[Found], row: str) -> list[Cell]:
        cells: list[Cell] = []
        letters, texts, dated, since_1904 = self._letters, self._texts, self._dated, self._since_1904
        column = 0
        for place, style, kind, text, inside in found:
            if place != letters[column] + row:
                column = self._column(place, column, row)
            value: Cell
            # The cells that there are most of, without a call more than they need; others below.
            if kind == "s" and len(text) < 9 and text.isdigit() and (at := int(text)) < len(texts):
                value = texts[at] or None
            elif not kind and len(text) < 25 and is_number(text):
                if how := dated.get(style):
                    value = shown(float(text), how, since_1904)
                else:
                    value = Decimal(text) if len(text) < MOST_DIGITS else decimal(float(text))
            elif kind == "inlineStr":
                value = unescaped(inside, f"{self._where}, cell {place}") or None
            else:
                value = self._value(kind or "n", style, text, False, place) if text else None
            if value is not None:
                if column == len(cells) and column < MOST_COLUMNS:
                    cells.append(value)
                else:
                    self._put(cells, column, value, row)
            if column < MOST_COLUMNS:
                column += 1
        return cells

    def _row(self, row: ET.Element, row_number: str) -> list[Cell]:
        cells: list[Cell] = []
        column = 0
        for element in row:
            place = element.get("r")
            if place is not None:
                column = self._column(place, column, row_number)
            value = self._cell(element, f"{self._letters[column]}{row_number}")
            if value is not None:
                self._put(cells, column, value, row_number)
            column += column < MOST_COLUMNS
        return cells

    def _put(self, cells: list[Cell], column: int, value: Cell, row: str) -> None:
        if column >= MOST_COLUMNS:
            raise DecodeError(f"{self._where}, row {row}: more than {MOST_COLUMNS:,} columns: it is not read")
        if column > len(cells):
            cells.extend([None] * (column - len(cells)))
        cells.append(value)

    def _column(self, place: str, at_least: int, row: str) -> int:
        """Beyond the most columns they all are one: empty cells may lie there."""
        letters = place.rstrip("0123456789")
        found = self._columns.get(letters)
        if found is None:
            known = letters.isascii() and letters.isalpha() and letters.isupper() and len(letters) <= 3
            found = MOST_COLUMNS if known else -1
        if place != letters + row or found < at_least:
            raise DecodeError(
                f"{self._where}, row {row}: cell {printable(place[:20])} is out of its place: it is damaged or was "
                f"edited by hand"
            )
        return found

    def _cell(self, element: ET.Element, place: str) -> Cell:
        kind = element.get("t", "n")
        value: str | None = None
        formula = False
        for child in element:
            tag = child.tag[child.tag.rfind("}") + 1 :]
            if tag == "v":
                value = child.text or ""
            elif tag == "f":
                formula = True
            elif tag == "is" and kind == "inlineStr":
                return text_of(child, f"{self._where}, cell {place}") or None
        if not value:
            return UNVALUED if formula and not (kind == "str" and value is not None) else None
        return self._value(kind, element.get("s", ""), value, formula, place)

    def _value(self, kind: str, style: str, value: str, formula: bool, place: str) -> Cell:
        try:
            if kind == "n":
                found = number(value)
                if formula and found == 0 and self._stale:
                    return UNVALUED
                how = self._dated.get(style)
                return shown(found, how, self._since_1904) if how else decimal(found)
            return self._kinds[kind](value)
        except (ValueError, KeyError, IndexError):
            raise DecodeError(
                f"{self._where}, cell {place}: {printable(value[:40])!r} is no value of its kind: it is damaged"
            ) from None

    def _shared(self, text: str) -> str | None:
        if not (text.isascii() and text.isdigit()):
            raise ValueError
        return self._texts[int(text)] or None

    def _formula_text(self, text: str) -> str | None:
        return unescaped(text, self._where) or None


def _letters(column: int) -> str:
    found = ""
    column += 1
    while column:
        column, at = divmod(column - 1, 26)
        found = chr(65 + at) + found
    return found


def _truth(text: str) -> bool:
    return {"0": False, "1": True, "false": False, "true": True}[text]


def _iso(text: str) -> datetime | date | time:
    if "T" not in text:
        return time.fromisoformat(text) if ":" in text else date.fromisoformat(text)
    return datetime.fromisoformat(text)
