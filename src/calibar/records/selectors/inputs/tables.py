"""Workbooks and files with separators: each sheet as a text, its cells between bars, a row a line."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Final

from calibar.records.selectors.text import Place, Text, folded
from calibar.records.tables.cells import Broken, Cell, Rounded, Table

_BAR: Final = " | "
_TITLE: Final = re.compile(r"[^0-9]{2,60}")
_TELLING: Final = re.compile(
    r"\b(?:u?id|tel\w*|cel\w*|phone|movil|mobile|whatsapp|usuario|user|cliente|clave|key|cbu|cvu)\b"
)
_LONGEST_WORD: Final = 24
_LEAST_RUN: Final = 12


@dataclass(frozen=True)
class Cells(Text):
    """A sheet's text, and which cell each part of it is."""

    sheet: str
    starts: array[int]
    rows: array[int]
    columns: array[int]
    cut: frozenset[int]
    """Which cells are numbers that a spreadsheet may have cut."""
    heads: Sequence[tuple[int, Mapping[int, str]]]
    """Rows of titles: where each begins, and its titles by column; folded."""

    def _cell(self, at: int) -> int:
        return max(0, bisect_right(self.starts, at) - 1)

    def place(self, at: int) -> Place:
        """The cell: sheet if it has a name, row and column from 1."""
        cell = self._cell(at)
        place: dict[str, str | int] = {"sheet": self.sheet} if self.sheet else {}
        return {**place, "row": self.rows[cell], "column": self.columns[cell]}

    def label(self, at: int) -> str:
        """The titles over the cell."""
        column = self.columns[self._cell(at)]
        last = bisect_right(self.heads, at, key=lambda head: head[0])
        near = [*self.heads[: min(1, last)], *self.heads[max(1, last - 2) : last]]
        return " ".join(titles[column] for _, titles in near if column in titles)

    def is_cut(self, at: int) -> bool:
        """Whether the cell is a number of more digits than a spreadsheet keeps."""
        return self._cell(at) in self.cut

    def runs(self) -> Iterator[Sequence[tuple[int, int]]]:
        """Short cells below each other."""
        columns: dict[int, list[tuple[int, int]]] = {}
        for at, (start, column) in enumerate(zip(self.starts, self.columns, strict=True)):
            end = self.starts[at + 1] - 1 if at + 1 < len(self.starts) else len(self.text)
            run = columns.setdefault(column, [])
            if end - start <= _LONGEST_WORD + len(_BAR):
                run.append((start, end))
                continue
            if len(run) >= _LEAST_RUN:
                yield tuple(run)
            run.clear()
        yield from (tuple(run) for run in columns.values() if len(run) >= _LEAST_RUN)


def texts(path: Path) -> Iterator[Text]:
    """Each sheet of a file. Raises DecodeError or UsageError where it is no table."""
    from calibar.records.tables.reading import tables  # noqa: PLC0415

    for table in tables(path):
        yield cells(table)


def cells(table: Table) -> Cells:
    """A sheet as text."""
    parts: list[str] = []
    starts, rows, columns = array("Q"), array("Q"), array("Q")
    cut: set[int] = set()
    heads: list[tuple[int, Mapping[int, str]]] = []
    length = 0
    for number, row in table.rows():
        titles = _titles(row, is_first=not starts)
        if titles:
            heads.append((length, titles))
        for column, cell in enumerate(row, 1):
            text = written(cell)
            if not text:
                continue
            if isinstance(cell, Rounded):
                cut.add(len(starts))
            starts.append(length)
            rows.append(number)
            columns.append(column)
            parts += (text, _BAR)
            length += len(text) + len(_BAR)
        if parts:
            parts[-1] = " |\n"
    return Cells("".join(parts), table.sheet, starts, rows, columns, frozenset(cut), heads)


def written(cell: Cell) -> str:
    """A cell's text on one line."""
    match cell:
        case None | Broken():
            return ""
        case str():
            return " ".join(cell.split("\n")).replace("\r", " ")
        case bool():
            return str(cell).lower()
        case Decimal():
            return format(cell, "f")
        case datetime() | date() | time():
            return cell.isoformat()


def _titles(row: Sequence[Cell], *, is_first: bool) -> Mapping[int, str]:
    """What a row of titles says by column; empty for other rows."""
    filled = [(at, cell) for at, cell in enumerate(row, 1) if cell is not None and cell != ""]
    titles = {at: folded(cell) for at, cell in filled if isinstance(cell, str) and _TITLE.fullmatch(cell)}
    if len(titles) < len(filled) or not (is_first or (len(filled) > 1 and _TELLING.search(" ".join(titles.values())))):
        return {}
    return titles
