"""What a cell can hold, and a table of them. Nothing is evaluated, nothing is guessed."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal


class Rounded(Decimal):
    """A number of 15 digits and more from a spreadsheet: it keeps no more, so an identifier or amount may be cut."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A cell without a value: an error of the spreadsheet (`#REF!`), or a formula that nobody has evaluated."""

    what: str


Cell = str | Decimal | datetime | date | time | bool | Broken | None
"""Texts as they are written. A number of a spreadsheet is the shortest decimal that names it; None is an empty cell."""


@dataclass(frozen=True)
class Table(ABC):
    """A sheet of a workbook, a table of a PDF, or a text file with separators.

    Of merged cells the first has the value, the others are None.
    """

    file: str
    """As handed in; in a zipped delivery `delivery.zip/statement.xlsx`."""
    sheet: str
    """Name of the sheet, `page 3, table 1` of a PDF, empty for a text file."""

    @abstractmethod
    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Rows that have something in them, with their number as the program that wrote them counts: the first is 1.

        May be read again. Raises DecodeError, which names the row.
        """
