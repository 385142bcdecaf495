"""Sheets of XLSX, a row at a time: what each cell holds as the file has it, formulas by their kept value alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from calibar.collection import uncollected
from calibar.records.tables.cells import Cell, Table
from calibar.records.tables.elements import Elements
from calibar.records.tables.numbers import Shown
from calibar.records.tables.package import Package
from calibar.records.tables.quick_rows import QuickRows
from calibar.records.tables.source import Source
from calibar.records.tables.workbook_parts import Book, book, styles, texts
from calibar.records.tables.worksheet_cells import Cells

_CONTAINERS: Final = frozenset({"worksheet", "sheetData"})
_ROWS: Final = frozenset({"row"})


class Workbook:
    """An XLSX file. Its texts are read once, when the first sheet is."""

    def __init__(self, source: Source) -> None:
        self.source = source
        with source.open() as stream:
            package = Package(source, stream)
            source.allowance.take(package.total, source.name)
            self.book: Book = book(package)

    @cached_property
    def parts(self) -> tuple[tuple[str, ...], list[Shown]]:
        """Texts and styles."""
        with self.source.open() as stream:
            package = Package(self.source, stream)
            return texts(package, self.book), styles(package, self.book)

    def tables(self) -> Iterator[Table]:
        """Its sheets, charts left out."""
        for sheet, entry in self.book.sheets:
            yield WorksheetTable(self.source.name, sheet, self, entry)


@dataclass(frozen=True)
class WorksheetTable(Table):
    """A sheet of an XLSX. Merged cells: the value stands in the first cell, the others are None."""

    workbook: Workbook
    entry: str

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Rows that have something in them."""
        where = f"{self.file}, sheet {self.sheet}"
        read = self._cells(where)
        with self.workbook.source.open() as stream:
            package = Package(self.workbook.source, stream)
            quick = QuickRows(where)
            for batch in quick.read(package.chunks(self.entry)):
                with uncollected():
                    found = [read.numbered(row) for row in batch]
                for number, cells in found:
                    if cells:
                        yield number, cells
            if quick.otherwise:
                already = read.before
                read = self._cells(where)
                for _, row in Elements(where, _CONTAINERS, _ROWS).read(package.chunks(self.entry)):
                    number, cells = read.numbered(row)
                    if cells and number > already:
                        yield number, cells

    def _cells(self, where: str) -> Cells:
        known, styled = self.workbook.parts
        return Cells(self.workbook.book, known, styled, where)
