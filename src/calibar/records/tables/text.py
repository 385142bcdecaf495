"""Text with separators as banks and exchanges write it: free rows above, ragged rows, headers that come again."""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from calibar.chains.remote.csv_sheet import encoding_of
from calibar.errors import DecodeError
from calibar.records.tables.cells import Cell, Table
from calibar.records.tables.source import LARGEST, MOST_COLUMNS, MOST_ROWS, NoTableError, Source

_LONGEST_ROW: Final = 1 << 20
"""Characters of a row."""
_SAMPLE: Final = 200
"""Rows that decide which sign separates."""
_DELIMITERS: Final = "\t;,"
"""The first of those that fit equally well is taken."""
_SEPARATOR_LINE: Final = re.compile(r"\ufeff?\"?sep=([,;\t])\"?\s*", re.IGNORECASE)
_HOLES: Final = "cp1252"
_NARROW: Final = "utf-8-sig"


@dataclass(frozen=True)
class TextTable(Table):
    """A text with separators. Rows are as they are written: no header is asked for, nor as many cells in each.

    A line `sep=;`, which only says what separates, is not counted. All cells are texts, the empty ones too.
    """

    source: Source
    encoding: str
    delimiter: str
    stated: bool
    """Whether there is such a line."""

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Rows that have something in them."""
        for row, cells in _records(self.source, self.encoding, self.delimiter, self.stated):
            if len(cells) > MOST_COLUMNS:
                raise DecodeError(f"{self.file}, row {row}: more than {MOST_COLUMNS:,} columns: it is not read")
            if any(cells) and (cells[0].strip() or any(map(str.strip, cells))):
                yield row, cells  # type: ignore[misc]


def text_table(source: Source) -> TextTable:
    """The table that a text is. Raises NoTableError where no sign separates anything, DecodeError for damage."""
    encoding = _encoding(source)
    _refuse_endless_lines(source)
    with _reading(source, encoding) as text:
        said = _SEPARATOR_LINE.fullmatch(text.readline(200))
    if said:
        return TextTable(source.name, "", source, encoding, said[1], True)
    fits = {sign: _fit(source, encoding, sign) for sign in _DELIMITERS}
    best = max(fits.values())
    if not best:
        raise NoTableError(
            f"{source.name}: a text in which no comma, semicolon or tabulator makes columns: it has no table; export "
            f"it as CSV or XLSX"
        )
    return TextTable(source.name, "", source, encoding, next(sign for sign in _DELIMITERS if fits[sign] == best), False)


def _fit(source: Source, encoding: str, delimiter: str) -> int:
    """How many of the first rows have the number of cells, of two or more, that most have."""
    widths: Counter[int] = Counter()
    try:
        for row, cells in _records(source, encoding, delimiter, False):
            if len(cells) > 1:
                widths[len(cells)] += 1
            if row >= _SAMPLE:
                break
    except DecodeError:
        # The same file with its true separator tells better what is wrong, once it is read.
        pass
    return max(widths.values(), default=0)


def _records(source: Source, encoding: str, delimiter: str, stated: bool) -> Iterator[tuple[int, list[str]]]:
    number = length = 0

    def lines(text: io.TextIOWrapper) -> Iterator[str]:
        nonlocal length
        for line in text:
            length += len(line)
            if length > _LONGEST_ROW:
                raise DecodeError(
                    f"{source.name}, row {number + 1}: it is longer than {_LONGEST_ROW >> 20} MB: not read"
                )
            yield line

    with _reading(source, encoding) as text:
        if stated:
            text.readline(200)
        try:
            for cells in csv.reader(lines(text), delimiter=delimiter, strict=True):
                number, length = number + 1, 0
                if number > MOST_ROWS:
                    raise DecodeError(f"{source.name}: more than {MOST_ROWS:,} rows: export a shorter period")
                yield number, cells
        except csv.Error as error:
            raise DecodeError(
                f"{source.name}, row {number + 1}: {error}: a quotation mark is not closed, or a cell too long"
            ) from None
        except UnicodeError:
            raise DecodeError(
                f"{source.name}, row {number + 1}: its bytes are no text: save it as 'CSV UTF-8'"
            ) from None


@contextmanager
def _reading(source: Source, encoding: str) -> Iterator[io.TextIOWrapper]:
    errors = "latin" if encoding == _HOLES else "strict"
    with source.open() as stream, io.TextIOWrapper(stream, encoding=encoding, errors=errors, newline="") as text:
        yield text


def _latin(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that Windows-1252 leaves open stand for themselves, as in Latin-1."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("latin", _latin)


def _refuse_endless_lines(source: Source) -> None:
    """Lines are read whole, so none may be longer than memory should hold."""
    length = 0
    with source.open() as stream:
        while data := stream.read(1 << 20):
            first, *others = data.split(b"\n")
            length = max(map(len, others), default=length + len(first))
            if max(length, len(first)) > 4 * _LONGEST_ROW:
                raise DecodeError(f"{source.name}: a row is longer than {_LONGEST_ROW >> 20} MB: not read")
            length = len(others[-1]) if others else length


def _encoding(source: Source) -> str:
    """UTF-16 by its mark or its zeros; UTF-8 where all of the file is; else what Windows writes in the west."""
    with source.open() as stream:
        data = stream.read(1 << 16)
        if (wide := encoding_of(data)) != _NARROW:
            return wide
        if b"\0" in data:
            raise NoTableError(f"{source.name}: it is no file whose tables are read: XLSX, XLS, ODS, CSV, PDF or a ZIP")
        decoder, size = codecs.getincrementaldecoder("utf-8")(), 0
        try:
            while data:
                size += len(data)
                if size > LARGEST:
                    raise DecodeError(f"{source.name}: it is larger than {LARGEST >> 30} GiB: export a shorter period")
                decoder.decode(data)
                data = stream.read(1 << 20)
            decoder.decode(b"", True)
        except UnicodeDecodeError:
            return _HOLES
    return _NARROW
