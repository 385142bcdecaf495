"""Numbers of spreadsheets, which are doubles: amounts as decimals, and days since an epoch as dates and times."""

from __future__ import annotations

import math
import re
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum, auto
from typing import Final

from calibar.records.tables.cells import Rounded

MOST_DIGITS: Final = 15
"""What a double keeps of any decimal number; spreadsheets write no more."""
_EXACT_WHOLE: Final = 1 << 53
_SHORT_WHOLE: Final = 10 ** (MOST_DIGITS - 1)
is_number: Final = re.compile(r"0|-?(?:[1-9][0-9]*|(?:0|[1-9][0-9]*)\.[0-9]*[1-9])").fullmatch
"""A text that is the shortest decimal of its double, where it is shorter than MOST_DIGITS."""
_DAYS_1900: Final = datetime(1899, 12, 30)
_DAYS_1904: Final = datetime(1904, 1, 1)
_LEAP_OF_1900: Final = 60
"""The 29th of February 1900, a day that only spreadsheets have."""
_LATEST: Final = 2_958_466
"""The first day of the year 10000."""
_DAY_MS: Final = 86_400_000


class Shown(Enum):
    """How a cell shows its number."""

    NUMBER = auto()
    DATE = auto()
    TIME = auto()
    MOMENT = auto()


def decimal(value: float) -> Decimal:
    """The shortest decimal that names the double; Rounded where it may stand for a longer number."""
    if value.is_integer() and abs(value) < _EXACT_WHOLE:
        whole = int(value)
        return Decimal(whole) if abs(whole) < _SHORT_WHOLE else Rounded(whole)
    shortest = repr(value)
    digits = shortest.partition("e")[0].replace(".", "").lstrip("-0")
    return Decimal(shortest) if len(digits) < MOST_DIGITS and abs(value) < _EXACT_WHOLE else Rounded(shortest)


def written(text: str) -> Decimal:
    """The same of a number as XML writes it. Raises ValueError where it is none."""
    if len(text) < MOST_DIGITS and is_number(text):
        return Decimal(text)
    return decimal(number(text))


def shown(value: float, how: Shown, since_1904: bool) -> Decimal | datetime | date | time:
    """What a number with a format says. Times to the millisecond, as spreadsheets keep them.

    Durations, and days before 1900 or after 9999, stay numbers of days.
    """
    if how is Shown.NUMBER or not 0 <= value < _LATEST:
        return decimal(value)
    thousandths = round(value * _DAY_MS)
    if value < 1 and how is not Shown.DATE and thousandths < _DAY_MS:
        return (datetime.min + timedelta(0, 0, 0, thousandths)).time()
    start = _DAYS_1904 if since_1904 else _DAYS_1900
    if value < _LEAP_OF_1900 + 1 and not since_1904:
        if value < 1 or value >= _LEAP_OF_1900:
            return decimal(value)
        start += timedelta(1)
    try:
        moment = start + timedelta(0, 0, 0, thousandths)
    except OverflowError:
        return decimal(value)
    return moment.date() if how is Shown.DATE and value.is_integer() else moment


_BUILT_IN: Final = {
    **dict.fromkeys((14, 15, 16, 17, *range(27, 32), 36, *range(50, 59)), Shown.DATE),
    **dict.fromkeys((18, 19, 20, 21, 32, 33, 45, 47), Shown.TIME),
    22: Shown.MOMENT,
}
_ELAPSED: Final = re.compile(r"\[(h+|m+|s+)\]", re.IGNORECASE)
_NOT_MEANT: Final = re.compile(r'"[^"]*"?|\\.|[_*].|\[[^\]]*\]?')
_FRACTION: Final = re.compile(r"s[.,]0+", re.IGNORECASE)


def built_in(number: int) -> Shown:
    """How a format shows numbers that a workbook names by its number alone."""
    return _BUILT_IN.get(number, Shown.NUMBER)


def format_shows(code: str) -> Shown:
    """How a format shows numbers: `yyyy-mm-dd hh:mm` and its like, in any language's order. Durations are numbers."""
    first = code[:300].split(";", 1)[0]
    if _ELAPSED.search(first):
        return Shown.NUMBER
    signs = _NOT_MEANT.sub("", first).lower().replace("general", "").replace("am/pm", "h").replace("a/p", "h")
    signs = _FRACTION.sub("s", signs)
    if re.search(r"[0#?@%]", signs):
        return Shown.NUMBER
    clock = "h" in signs or "s" in signs
    day = "y" in signs or "d" in signs or ("m" in signs and not clock)
    if day:
        return Shown.MOMENT if clock else Shown.DATE
    return Shown.TIME if clock else Shown.NUMBER


def number(text: str) -> float:
    """A number as XML writes it. Raises ValueError where it is none."""
    found = float(text)
    if not math.isfinite(found) or "_" in text:
        raise ValueError
    return found
