"""Tables in text as explorers and spreadsheets write them: commas, semicolons or tabulators, UTF-8 or UTF-16.

Rows are counted as a spreadsheet counts them: the header is row 1. No cell is ever evaluated: a formula is its text.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from calibar.errors import DecodeError

LARGEST: Final = 256 << 20
"""Bytes of a file."""
MOST_ROWS: Final = 5_000_000
LONGEST_ROW: Final = 1 << 20
"""Characters of a row."""
LONGEST_CELL: Final = 4096
"""Characters of a cell that is used. Columns that nobody asks for (a call's input) may have longer ones."""
MOST_COLUMNS: Final = 500
_DELIMITERS: Final = ",;\t"
_SEPARATOR_LINE: Final = re.compile(r"\ufeff?sep=([,;\t])\s*", re.IGNORECASE)
_AROUND: Final = " \t\r\n\xa0\u202f\u2009\u200b\ufeff"


class Sheet:
    """A header, and rows that are read anew each time they are asked for."""

    def __init__(self, data: bytes) -> None:
        """Raises DecodeError where there is no table."""
        if len(data) > LARGEST:
            raise DecodeError(f"the file is larger than {LARGEST >> 20} MB: export fewer days at once")
        self._data, self._encoding = data, encoding_of(data)
        with self._reading(1):
            first = self._text().readline(LONGEST_ROW)
        said = _SEPARATOR_LINE.fullmatch(first)
        self._before = int(said is not None)
        self._delimiter = said[1] if said else max(_DELIMITERS, key=self._width)
        self.header = tuple(self._header(self._delimiter))
        if len(self.header) < 2:
            raise DecodeError("row 1: there is no header with several columns: give the file as the explorer wrote it")
        if len(self.header) > MOST_COLUMNS:
            raise DecodeError(f"row 1: {len(self.header)} columns are no export of an explorer")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows that are not empty, with their number. Raises DecodeError, which names the row."""
        for number, cells in self._records(self._delimiter):
            if number == 1 or not any(cell.strip() for cell in cells):
                continue
            if len(cells) != len(self.header):
                raise DecodeError(
                    f"row {number}: {len(cells)} cells under {len(self.header)} columns: it is cut off, or has a "
                    f"separator in a number without quotes; export it again"
                )
            yield number, cells

    def _width(self, delimiter: str) -> int:
        try:
            return len(self._header(delimiter))
        except DecodeError:
            return 0

    def _header(self, delimiter: str) -> list[str]:
        for _, cells in self._records(delimiter):
            return cells
        return []

    def _records(self, delimiter: str) -> Iterator[tuple[int, list[str]]]:
        number, length = 0, 0

        def lines() -> Iterator[str]:
            nonlocal length
            text = self._text()
            for _ in range(self._before):
                text.readline(LONGEST_ROW)
            while line := text.readline(LONGEST_ROW + 1):
                length += len(line)
                if length > LONGEST_ROW:
                    raise DecodeError(f"row {number + 1}: it is longer than {LONGEST_ROW >> 20} MB, as no export's is")
                yield line

        found = csv.reader(lines(), delimiter=delimiter, strict=True)
        while True:
            with self._reading(number + 1):
                cells = next(found, None)
            if cells is None:
                return
            number, length = number + 1, 0
            if number > MOST_ROWS + 1:
                raise DecodeError(f"row {number}: more than {MOST_ROWS:,} rows: export fewer days at once")
            yield number, cells

    def _text(self) -> io.TextIOWrapper:
        return io.TextIOWrapper(io.BytesIO(self._data), encoding=self._encoding, newline="")

    @contextmanager
    def _reading(self, number: int) -> Iterator[None]:
        try:
            yield
        except UnicodeError:
            raise DecodeError("the text is neither UTF-8 nor UTF-16: save it as 'CSV UTF-8'") from None
        except csv.Error as error:
            raise DecodeError(f"row {number}: {error}: a quotation mark is not closed, or a cell too long") from None


def bare(cell: str) -> str:
    """A cell without what spreadsheets put around it: spaces, quotation marks, the `'` that says: this is text."""
    if cell.isalnum() or not cell:
        return cell
    cell = cell.strip(_AROUND).removeprefix("'").strip(_AROUND)
    if len(cell) > 1 and cell[0] == cell[-1] == '"':
        cell = cell[1:-1].strip(_AROUND)
    return cell


def shown(text: str) -> str:
    """A text for a message: one line, short, in quotation marks."""
    return repr(text if len(text) <= 60 else text[:60] + "…")


def encoding_of(data: bytes) -> str:
    """UTF-16 by its mark or by where its zeros are; else UTF-8, which the rest must prove."""
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "utf-16"
    if len(data) >= 4 and not any(data[1:64:2]):
        return "utf-16-le"
    if len(data) >= 4 and not any(data[0:64:2]):
        return "utf-16-be"
    return "utf-8-sig"
