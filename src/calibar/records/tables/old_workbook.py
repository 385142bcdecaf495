"""Sheets of XLS (Excel 97 to 2003): a row at a time, formulas by their kept value alone."""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.biff import BOF, EOF, Record, Texts, records
from calibar.records.tables.cells import Broken, Cell, Table
from calibar.records.tables.compound import Compound
from calibar.records.tables.numbers import Shown, built_in, format_shows, shown
from calibar.records.tables.source import MOST_SHEETS, Source, printable, whole
from calibar.records.tables.worksheet_cells import UNVALUED

_ERRORS: Final = {0: "#NULL!", 7: "#DIV/0!", 15: "#VALUE!", 23: "#REF!", 29: "#NAME?", 36: "#NUM!", 42: "#N/A"}
_CELLS: Final = frozenset({0x0006, 0x00FD, 0x0203, 0x027E, 0x0204, 0x00D6, 0x0205})
"""Formula, shared text, number, packed number, text, text with fonts, truth or error."""
_MACRO_NAMES: Final = {"_vba_project", "_vba_project_cur", "vba", "macros"}
_AGAIN: Final = "open it in Excel or LibreOffice, save it as XLSX"
_MOST_TEXTS: Final = 4_000_000
_LARGEST: Final = 128 << 20


class OldWorkbook:
    """An XLS file."""

    def __init__(self, source: Source) -> None:
        self.name = source.name
        container = Compound(whole(source, _LARGEST), self.name)
        names = container.names
        if names & {"encryptedpackage", "encryptioninfo"}:
            raise UsageError(_locked(self.name))
        if names & _MACRO_NAMES:
            raise UsageError(f"{self.name}: it has macros, which no statement needs: it is not opened; {_AGAIN}")
        stream = container.stream("Workbook")
        if stream is None:
            older = container.stream("Book") is not None
            what = "it was written by Excel 95 or before" if older else "there is no workbook in it (a Word document?)"
            raise UsageError(f"{self.name}: {what}: {_AGAIN}")
        self.stream = stream
        self.sheets: list[tuple[str, int]] = []
        self.texts: list[str] = []
        self.shown: list[Shown] = []
        self.since_1904 = False
        self._read_globals()

    def tables(self) -> Iterator[Table]:
        """Its sheets, charts left out."""
        for sheet, place in self.sheets:
            yield OldWorksheetTable(self.name, sheet, self, place)

    def _read_globals(self) -> None:
        formats: dict[int, Shown] = {}
        styles: list[int] = []
        try:
            for at, record in enumerate(records(self.stream, 0, self.name)):
                if at == 0:
                    self._check_start(record)
                elif record.kind == 0x002F:
                    raise UsageError(_locked(self.name))
                elif record.kind == 0x0022:
                    self.since_1904 = record.data[:2] == b"\1\0"
                elif record.kind == 0x041E:
                    formats[_short(record.data, 0)] = format_shows(Texts(record, 2, self.name).text())
                elif record.kind == 0x00E0:
                    styles.append(_short(record.data, 2))
                elif record.kind == 0x0085:
                    self._add_sheet(record)
                elif record.kind == 0x00FC:
                    self._add_texts(record)
                elif record.kind == EOF:
                    break
        except (struct.error, IndexError):
            raise DecodeError(f"{self.name}: the index of the workbook is damaged: have it sent again") from None
        self.shown = [formats.get(style) or built_in(style) for style in styles]

    def _check_start(self, record: Record) -> None:
        if record.kind != BOF:
            raise DecodeError(f"{self.name}: the workbook has no beginning: it is damaged; have it sent again")
        if _short(record.data, 0) != 0x0600:
            raise UsageError(f"{self.name}: it was written by Excel 95 or before: {_AGAIN}")

    def _add_sheet(self, record: Record) -> None:
        place, _, kind = struct.unpack_from("<IBB", record.data, 0)
        name = printable(Texts(record, 6, self.name).text(1))
        if kind in {1, 6}:
            raise UsageError(f"{self.name}: {name} is a sheet of macros: it is not opened; {_AGAIN}")
        if kind == 0:
            self.sheets.append((name, place))
        if len(self.sheets) > MOST_SHEETS:
            raise DecodeError(f"{self.name}: more than {MOST_SHEETS:,} sheets, as no statement has: it is not read")

    def _add_texts(self, record: Record) -> None:
        count = struct.unpack_from("<I", record.data, 4)[0]
        if count > _MOST_TEXTS:
            raise DecodeError(f"{self.name}: more than {_MOST_TEXTS:,} texts: it is damaged; have it sent again")
        reading = Texts(record, 8, self.name)
        self.texts = [reading.text() for _ in range(count)]


@dataclass(frozen=True)
class OldWorksheetTable(Table):
    """A sheet of an XLS. Merged cells: the value stands in the first cell, the others are None."""

    workbook: OldWorkbook
    place: int

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Rows that have something in them."""
        where = f"{self.file}, sheet {self.sheet}"
        current, cells = -1, dict[int, Cell]()
        for row, column, value in self._cells(where):
            if row != current:
                if cells:
                    yield current + 1, _listed(cells)
                if row < current:
                    raise DecodeError(f"{where}: row {row + 1} comes after row {current + 1}: it is damaged")
                current, cells = row, {}
            if column in cells:
                raise DecodeError(f"{where}, row {row + 1}: column {column + 1} is there twice: it is damaged")
            if value is not None:
                cells[column] = value
        if cells:
            yield current + 1, _listed(cells)

    def _cells(self, where: str) -> Iterator[tuple[int, int, Cell]]:
        depth, waiting = 0, (-1, -1)
        try:
            for at, record in enumerate(records(self.workbook.stream, self.place, where)):
                kind, data = record.kind, record.data
                if at == 0 and kind != BOF:
                    raise DecodeError(f"{where}: the sheet has no beginning: it is damaged; have it sent again")
                depth += (kind == BOF) - (kind == EOF)
                if depth == 0:
                    if waiting[0] >= 0:
                        yield (*waiting, UNVALUED)
                    return
                if depth > 1:
                    continue
                if kind == 0x0207 and waiting[0] >= 0:
                    yield (*waiting, Texts(record, 0, where).text() or None)
                    waiting = (-1, -1)
                elif kind == 0x00BD:
                    yield from self._many(data)
                elif kind in _CELLS:
                    if waiting[0] >= 0:
                        yield (*waiting, UNVALUED)
                        waiting = -1, -1
                    row, column, style = struct.unpack_from("<HHH", data, 0)
                    if kind == 0x0006 and data[12:14] == b"\xff\xff" and data[6] == 0:
                        waiting = row, column
                    else:
                        yield row, column, self._value(record, style, where)
        except (struct.error, IndexError, ValueError):
            raise DecodeError(f"{where}: a cell is damaged: have the file sent again") from None
        raise DecodeError(f"{where}: the sheet has no end: it is cut off; have the file sent again")

    def _many(self, data: bytes) -> Iterator[tuple[int, int, Cell]]:
        row, first = struct.unpack_from("<HH", data, 0)
        for at in range(4, len(data) - 2, 6):
            style, packed = struct.unpack_from("<HI", data, at)
            yield row, first + at // 6, self._number(_unpacked(packed), style)

    def _value(self, record: Record, style: int, where: str) -> Cell:
        kind, data = record.kind, record.data
        if kind == 0x0203:
            return self._number(struct.unpack_from("<d", data, 6)[0], style)
        if kind == 0x027E:
            return self._number(_unpacked(struct.unpack_from("<I", data, 6)[0]), style)
        if kind == 0x00FD:
            return self.workbook.texts[struct.unpack_from("<I", data, 6)[0]] or None
        if kind == 0x0205:
            return Broken(_ERRORS.get(data[6], "error")) if data[7] else data[6] == 1
        if kind == 0x0006:
            return self._formula(data, style)
        return Texts(record, 6, where).text() or None

    def _formula(self, data: bytes, style: int) -> Cell:
        if data[12:14] != b"\xff\xff":
            return self._number(struct.unpack_from("<d", data, 6)[0], style)
        if data[6] == 1:
            return data[8] == 1
        if data[6] == 2:
            return Broken(_ERRORS.get(data[8], "error"))
        # An empty text, which is also what programs write that calculate nothing.
        return UNVALUED

    def _number(self, value: float, style: int) -> Cell:
        if not math.isfinite(value):
            raise ValueError
        known = self.workbook.shown
        return shown(value, known[style] if style < len(known) else Shown.NUMBER, self.workbook.since_1904)


def _listed(cells: dict[int, Cell]) -> list[Cell]:
    return [cells.get(at) for at in range(max(cells) + 1)]


def _unpacked(packed: int) -> float:
    if packed & 2:
        found: float = (packed - (1 << 32) if packed & 0x80000000 else packed) >> 2
    else:
        found = struct.unpack("<d", struct.pack("<Q", (packed & 0xFFFFFFFC) << 32))[0]
    return found / 100 if packed & 1 else float(found)


def _short(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<H", data, at)[0])


def _locked(name: str) -> str:
    return f"{name}: it is encrypted: open it with its password in Excel or LibreOffice, save it without one"
