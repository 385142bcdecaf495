"""Tables made in a test, and what is said of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from calibar.records.formats import FORMATS
from calibar.records.formats.format import Stated
from calibar.records.movement import Statement
from calibar.records.tables.cells import Cell, Table


@dataclass(frozen=True)
class Given(Table):
    """Rows that a test writes."""

    cells: Sequence[Sequence[Cell]]

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Those that are not empty."""
        return (
            (number, list(row)) for number, row in enumerate(self.cells, 1) if any(cell is not None for cell in row)
        )


def table(text: str, file: str = "statement.csv", sheet: str = "") -> Given:
    """Lines of cells between bars."""
    return Given(file, sheet, [line.split("|") for line in text.strip().splitlines()])


def read(given: Table, name: str | None = None, stated: Stated | None = None) -> Statement:
    """By the one format whose header fits, or the named one."""
    wanted = [one for one in FORMATS if name in (None, one.name)]
    found = [said for one in wanted if (said := one.read(given, stated or Stated())) is not None]
    assert len(found) == 1, [one.format for one in found]
    return found[0]
