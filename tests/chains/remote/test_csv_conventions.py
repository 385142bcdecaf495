"""Numbers and times in every convention, decided by whole columns, and what is refused."""

from __future__ import annotations

import re

import pytest
from export_samples import BLOCKSCOUT, HEAD, ME, TOKENS, USDT, plain, refused, told

from calibar.errors import DecodeError, UsageError


def amounts(text: str | bytes, **said: object) -> list[int]:
    return [row.amount for row in told(text, **{"address": ME, **said})[0].rows]


def times(text: str, **said: object) -> list[int | None]:
    return [row.time for row in told(text, **{"address": ME, **said})[0].rows]


# Numbers.


def test_the_whole_column_says_what_a_comma_is() -> None:
    e = 10**18
    assert amounts(plain("1,234", "0.5")) == [1234 * e, e // 2]
    assert amounts(plain("1,234", "0,5")) == [1234 * e // 1000, e // 2]
    assert amounts(plain("1.234", "1.234.567")) == [1234 * e, 1234567 * e]
    assert amounts(plain("1.234", "1,234,567.5")) == [1234 * e // 1000, 12345675 * e // 10]
    assert amounts(plain("1.234,56")) == [123456 * e // 100]
    assert amounts(plain("1 234,56", "1\xa0234\u202f567")) == [123456 * e // 100, 1234567 * e]
    assert amounts(plain("7", "1000")) == [7 * e, 1000 * e]


@pytest.mark.parametrize("text", ["1,234", "1.234", "12.345", "999,999"])
def test_a_column_that_could_be_either_is_refused_until_stated(text: str) -> None:
    refused(UsageError, r"row 2, column 'Amount': .* state decimal=", plain(text, "7"), address=ME)
    digits = int(re.sub("[.,]", "", text))
    other = "." if "," in text else ","
    assert amounts(plain(text), decimal=other) == [digits * 10**18]
    assert amounts(plain(text), decimal="," if other == "." else ".") == [digits * 10**15]


def test_a_column_in_both_conventions_was_edited() -> None:
    refused(
        DecodeError, r"row 3, column 'Amount': '0,5' is written otherwise than '0\.5' \(row 2", plain("0.5", "0,5"),
        address=ME,
    )  # fmt: skip
    refused(DecodeError, r"row 3.*'0,5' is not written with decimal='\.', as stated", plain("1", "0,5"), decimal=".")


@pytest.mark.parametrize("text", ["1.23E+5", "6.1E+17", "1,5e-7", "2E10"])
def test_what_a_spreadsheet_rounded_is_refused(text: str) -> None:
    refused(DecodeError, r"row 2, column 'Amount': .* a spreadsheet has rounded it", plain(text), address=ME)


@pytest.mark.parametrize(
    "text", ["12,34,567", "1,23", "1.2.3", "0x10", "ten", "1,234.5,6", "1.5 ETH", "=1+1", "+5", "٣", "1__0", "12."]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    if text == "1,23":
        assert amounts(plain(text)) == [123 * 10**16]
    else:
        refused(DecodeError, r"row 2, column 'Amount': .* is not a number", plain(text), address=ME)


def test_negative_and_missing_amounts_are_refused() -> None:
    refused(DecodeError, "row 2, column 'Amount': '-5' is negative", plain("-5"), address=ME)
    refused(DecodeError, "row 3, column 'Amount': the amount is missing", plain("1", ""), address=ME)


def test_more_digits_than_the_asset_has_are_refused() -> None:
    refused(DecodeError, r"row 2, column 'Amount': 19 digits after the mark", plain("0." + "1" * 19), address=ME)
    refused(DecodeError, r"row 3, column 'TokenValue': 1 digits", TOKENS, decimals={USDT: 0})
    assert amounts(plain("1." + "0" * 30, "0.5")) == [10**18, 5 * 10**17]


def test_more_than_256_bits_are_refused() -> None:
    most = (1 << 256) - 1
    text = f"{most // 10**18}.{most % 10**18:018}"
    assert amounts(plain(text)) == [most]
    refused(DecodeError, "row 2.* 256 bits", plain(f"{most // 10**18 + 1}.0000001"), address=ME)
    refused(DecodeError, "row 2.* 256 bits", plain("9" * 4000), address=ME)


def test_base_units_have_no_fraction() -> None:
    text = BLOCKSCOUT.replace("1500000000000000000", "1.5")
    refused(DecodeError, r"row 2, column 'Value': .*in base units \(if .*columns=\{'amount': 'Value'\}", text)
    assert [row.amount for row in told(text, columns={"amount": "Value"})[0].rows] == [15 * 10**17, 21 * 10**12]


# Times.


@pytest.mark.parametrize(
    "text",
    ["1705399200", "1705399200000", "2024-01-16 10:00:00", "2024-01-16T10:00:00Z", "2024-01-16T12:00:00.123+02:00",
     "16/01/2024 10:00:00", "1/16/2024 10:00:00 AM", "2024/01/16 10:00", "16.01.2024 10:00"],
)  # fmt: skip
def test_times_in_all_forms(text: str) -> None:
    assert times(plain("1", times=(text,))) == [1705399200]


def test_the_whole_column_says_whether_the_day_is_first() -> None:
    assert times(plain("1", "1", times=("03/04/2024 00:00:00", "13/04/2024 00:00:00")))[0] == 1712102400
    assert times(plain("1", "1", times=("03/04/2024 00:00:00", "03/14/2024 00:00:00")))[0] == 1709510400


def test_a_column_of_dates_that_could_be_either_is_refused_until_stated() -> None:
    text = plain("1", times=("03/04/2024 00:00:00",))
    refused(UsageError, r"row 2, column 'DateTime \(UTC\)': .*state dates=", text, address=ME)
    assert times(text, dates="dmy") == [1712102400]
    assert times(text, dates="mdy") == [1709510400]
    assert times(plain("1", times=("04/04/2024 00:00:00",))) == [1712188800]


def test_dates_in_both_orders_were_edited() -> None:
    text = plain("1", "1", times=("13/04/2024 00:00:00", "03/14/2024 00:00:00"))
    refused(DecodeError, "row 3.* has day and month otherwise than row 2", text, address=ME)
    refused(DecodeError, "row 3.* no time that there is with dates='dmy', as stated", text, address=ME, dates="dmy")


def test_two_ways_of_writing_times_were_edited() -> None:
    text = plain("1", "1", times=("1705399200", "2024-01-17 10:00:00"))
    refused(DecodeError, "row 3.* is written otherwise than row 2", text, address=ME)


@pytest.mark.parametrize("age", ["3 days ago", "hace 5 min", "2 hrs 3 mins ago", "5 días", "1 hour"])
def test_ages_are_refused(age: str) -> None:
    text = plain("1", times=(age,), head=HEAD.replace("DateTime (UTC)", "Age"))
    refused(DecodeError, "row 2, column 'Age': .* is an age, not a time", text, address=ME)


@pytest.mark.parametrize("text", ["yesterday", "45307.416", "2024-01-16", "16/01/24 10:00", "1.7E+09", "10:00"])
def test_what_is_no_time_is_refused(text: str) -> None:
    refused(DecodeError, r"row 2, column 'DateTime \(UTC\)'", plain("1", times=(text,)), address=ME)


@pytest.mark.parametrize(
    "text", ["2024-02-30 10:00:00", "31/31/2024 10:00", "2024-01-16 25:00:00", "2/13/2024 13:00 PM"]
)
def test_times_that_there_are_not(text: str) -> None:
    refused(DecodeError, "row 2.* is no time that there is", plain("1", times=(text,)), address=ME)


@pytest.mark.parametrize("text", ["5", "99999999999", "0001-01-01T00:00:00+14:00", "9999-12-31 23:59:59"])
def test_times_when_there_were_no_blocks(text: str) -> None:
    refused(DecodeError, "row 2.* is no time of a block", plain("1", times=(text,)), address=ME)


def test_a_time_without_a_zone_is_refused_until_stated() -> None:
    text = plain("1", head=HEAD.replace(" (UTC)", ""))
    refused(UsageError, r"row 2, column 'DateTime': .* no zone .* state zone=", text, address=ME)
    assert times(text, zone="UTC") == [1705312800]
    assert times(text, zone="Europe/Madrid") == [1705309200]
    assert times(plain("1"), zone="Europe/Madrid") == [1705312800], "the header says UTC"


@pytest.mark.parametrize("text", ["2023-10-29 02:30:00", "2023-03-26 02:30:00"])
def test_an_hour_that_was_twice_or_never_is_refused(text: str) -> None:
    file = plain("1", times=(text,), head=HEAD.replace(" (UTC)", ""))
    refused(DecodeError, "row 2.* was twice or never in Europe/Madrid", file, address=ME, zone="Europe/Madrid")
