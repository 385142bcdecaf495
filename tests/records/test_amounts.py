"""Amounts and times as custodians write them."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.errors import CalibarError, DecodeError, UsageError
from calibar.records.amounts import Amount, Amounts
from calibar.records.tables.cells import Broken, Cell, Rounded
from calibar.records.times import Moments


def amounts(*cells: Cell, stated: str | None = None) -> list[Amount | None]:
    found = Amounts(stated)
    for cell in cells:
        found.see(cell, "row 1")
    return [found.read(cell, "row 1") for cell in cells]


@pytest.mark.parametrize(
    ("text", "value", "unit"),
    [
        ("1,234.56", "1234.56", ""),
        ("-0.00012345", "-0.00012345", ""),
        ("$ 1,234.56", "1234.56", ""),
        ("-$1,234.56", "-1234.56", ""),
        ("$ -1,234.56", "-1234.56", ""),
        ("(1,234.56)", "-1234.56", ""),
        ("1,234.56-", "-1234.56", ""),
        ("−12.5", "-12.5", ""),
        ("+12.5", "12.5", ""),
        ("0.5BTC", "0.5", "BTC"),
        ("20,000.5 USDT", "20000.5", "USDT"),
        ("1 234.5", "1234.5", ""),
        ("ARS 1,500.75", "1500.75", "ARS"),
        ("U$S 10.5", "10.5", "USD"),
        ("100.00 DB", "-100", ""),
        ("5.00 CR", "5", ""),
        ("0.10", "0.10", ""),
    ],
)
def test_signs_brackets_and_units(text: str, value: str, unit: str) -> None:
    assert amounts(text) == [Amount(Decimal(value), unit)]


def test_all_cells_together_say_the_convention() -> None:
    assert amounts("1.234", "12,5") == [Amount(Decimal(1234)), Amount(Decimal("12.5"))]
    assert amounts("1,234", "12.5") == [Amount(Decimal(1234)), Amount(Decimal("12.5"))]
    assert amounts("1.234", stated=",") == [Amount(Decimal(1234))]
    with pytest.raises(UsageError, match="state decimal"):
        amounts("1.234")
    with pytest.raises(DecodeError, match="written otherwise"):
        amounts("1.234,5", "1,234.5")


@pytest.mark.parametrize(
    "cell",
    [
        "1E5",
        "1.23E17",
        "USD 5 ARS",
        "-5.00 DB",
        "12.5.1",
        "1,23",
        "--5",
        "(-5)",
        "5-)",
        "(5",
        "abc",
        "1e5",
        "9" * 90,
        "5 5",
        "$",
    ],
)
def test_what_is_no_amount_is_refused(cell: str) -> None:
    if cell == "1,23":
        assert amounts(cell) == [Amount(Decimal("1.23"))]
        return
    with pytest.raises(CalibarError, match="row 1"):
        amounts(cell)


def test_cells_of_spreadsheets() -> None:
    assert amounts(Decimal("-0.1"), None, "", "-", "n/a") == [Amount(Decimal("-0.1")), None, None, None, None]
    for cell in (Rounded("123456789012345678"), Broken("#REF!"), True, datetime(2024, 1, 1)):
        with pytest.raises(DecodeError, match="row 1"):
            amounts(cell)


@given(
    st.decimals(allow_nan=False, allow_infinity=False, places=8, min_value=-(10**12), max_value=10**12), st.booleans()
)
def test_what_is_written_in_either_convention_is_read(value: Decimal, comma: bool) -> None:
    text = f"{abs(value):,.8f}"
    if comma:
        text = text.translate(str.maketrans(",.", ".,"))
    found = amounts(("-" if value < 0 else "") + text, "1.234.567,5" if comma else "1,234,567.5")
    assert found[0] is not None
    assert found[0].value == value


def moments(*cells: Cell, zone: str = "", dates: str | None = None, utc: bool = False) -> list[int]:
    found = Moments(utc, ZoneInfo(zone) if zone else None, dates)
    for cell in cells:
        found.see(cell, "row 1")
    return [found.read(cell, "row 1") for cell in cells]


BUENOS_AIRES = "America/Argentina/Buenos_Aires"


@pytest.mark.parametrize(
    ("cell", "seconds"),
    [
        ("2024-05-31 21:00:00", 1717200000),
        ("31/05/2024 21:00", 1717200000),
        ("31/05/24 21:00:00", 1717200000),
        ("31-05-2024", 1717167600),
        (datetime(2024, 5, 31, 21), 1717200000),
        (date(2024, 5, 31), 1717167600),
        ("2024-06-01T00:00:00Z", 1717200000),
    ],
)
def test_times_in_a_stated_zone(cell: Cell, seconds: int) -> None:
    assert moments(cell, zone=BUENOS_AIRES) == [seconds]


def test_a_zone_must_be_said_and_the_days_place_too() -> None:
    assert moments("2024-06-01 00:00:00", utc=True) == [1717200000]
    for cell in ("2024-06-01 00:00:00", datetime(2024, 6, 1)):
        with pytest.raises(UsageError, match="zone"):
            moments(cell)
    with pytest.raises(UsageError, match="day or the month first"):
        moments("01/06/2024 00:00", utc=True)
    assert moments("01/06/2024 00:00", utc=True, dates="dmy") == [1717200000]
    assert moments("01/06/2024 00:00", "13/06/2024 00:00", utc=True)[0] == 1717200000
    wrong: tuple[Cell, ...] = (None, Broken("#REF!"), "soon")
    for other in wrong:
        with pytest.raises(DecodeError, match="row 1"):
            moments(other, utc=True)
