"""Whatever is written to a workbook is read back."""

from __future__ import annotations

import tempfile
import unicodedata
from datetime import date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import openpyxl
from hypothesis import HealthCheck, given, settings
from table_files import plain, read_one, trimmed, write_xlsx

from calibar.records.tables.cells import Rounded
from calibar.records.tables.numbers import decimal, written

_FIRST = datetime(1900, 3, 1)


def _texts() -> st.SearchStrategy[str]:
    # XML holds no control signs but tabulator and line feed, no half of a pair, and makes a carriage return a line
    # feed; openpyxl takes `=` for a formula, the texts of errors for errors, and leaves `_x000D_` as it is.
    signs = st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="\ufffe\uffff_") | st.sampled_from("\t\n")
    return (
        st.text(signs, min_size=1, max_size=30)
        .map(lambda text: unicodedata.normalize("NFC", text))
        .filter(lambda text: text[0] != "=" and text not in openpyxl.cell.cell.ERROR_CODES)
    )


def _moments() -> st.SearchStrategy[datetime]:
    milliseconds = int((datetime(9999, 12, 31) - _FIRST) / timedelta(milliseconds=1))
    return st.integers(0, milliseconds).map(lambda count: _FIRST + timedelta(milliseconds=count))


def _cells() -> st.SearchStrategy[Any]:
    return (
        st.none()
        | _texts()
        | st.booleans()
        | st.integers(-(10**13), 10**13).map(Decimal)
        | st.decimals(-(10**8), 10**8, places=5)
        | _moments()
        | st.dates(date(1900, 3, 1), date(9999, 12, 30))
        | st.integers(0, 86_399).map(lambda count: (datetime.min + timedelta(seconds=count)).time())
    )


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.lists(_cells(), max_size=8), max_size=8))
def test_a_grid_written_by_openpyxl_reads_back(grid: list[list[Any]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        found = read_one(write_xlsx(Path(folder) / "a.xlsx", grid))
    assert plain(found) == trimmed(grid)
    wanted = [at for at, row in enumerate(grid, 1) if any(cell is not None for cell in row)]
    assert [at for at, _ in found] == wanted
    for (_, cells), row in zip(found, trimmed(grid), strict=True):
        for cell, wrote in zip(cells, row, strict=True):
            assert isinstance(cell, type(wrote))
            assert not isinstance(cell, Rounded)


@settings(max_examples=200, deadline=None)
@given(st.floats(allow_nan=False, allow_infinity=False))
def test_a_number_is_the_shortest_decimal_of_its_double(value: float) -> None:

    found = decimal(value)
    assert float(found) == value
    assert written(repr(value)) == found
    assert type(written(repr(value))) is type(found)
    assert found == Decimal(repr(value)) or isinstance(found, Rounded)
