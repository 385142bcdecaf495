"""Times as custodians write them: dates of spreadsheets and texts, day or month first, in the zone that is stated."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from typing import Final
from zoneinfo import ZoneInfo

from calibar.chains.remote.csv_sheet import bare, shown
from calibar.chains.remote.csv_times import Times
from calibar.errors import DecodeError, UsageError
from calibar.records.tables.cells import Broken, Cell

_DATE: Final = re.compile(r"[0-9]{1,4}([-/.])[0-9]{1,2}\1[0-9]{1,4}")
_SHORT: Final = re.compile(r"([0-9]{1,2})([/.])([0-9]{1,2})\2([0-9]{2})((?:[T ].*)?)")
_LONG: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9]{2}:[0-5][0-9]:[0-5][0-9]")
"""The form that nearly all exports have; its hours are remembered."""
_NOON: Final = " 12:00:00"


@dataclass(slots=True)
class Moments:
    """The times of a document: all of them together say whether the day or the month comes first."""

    says_utc: bool
    zone: ZoneInfo | None = None
    dates: str | None = None
    """`dmy` or `mdy` where somebody said which."""
    _times: Times = field(init=False)
    _settled: bool = False
    _dated: bool = False
    _year_last: bool = False
    """Whether there were dates of a spreadsheet, and texts with the year last."""
    _hours: dict[str, int] = field(default_factory=dict)
    """By text up to the hour: when it began."""

    def __post_init__(self) -> None:
        """Nothing is known yet."""
        self._times = Times(self.says_utc, self.dates, self.zone)

    @property
    def is_settled(self) -> bool:
        """Whether no later cell can change how the times are read."""
        return self._times.is_settled

    def see(self, cell: Cell, where: object) -> None:
        """Take note of a cell. Raises DecodeError, or UsageError where nobody says the zone."""
        if type(cell) is str and not (cell[:13] in self._hours and _LONG.fullmatch(cell)):
            self._times.see(_with_clock(cell), str(where))

    def read(self, cell: Cell, where: object) -> int:
        """Seconds since 1970 UTC; a day without an hour is its noon in the zone. Raises DecodeError."""
        if type(cell) is str:
            hour = self._hours.get(cell[:13])
            return self._text(cell, where) if hour is None or not _LONG.fullmatch(cell) else hour + _in_hour(cell)
        if isinstance(cell, date):
            self._dated = True
            self._refuse_both(where)
            return self._placed(
                cell if isinstance(cell, datetime) else datetime(cell.year, cell.month, cell.day, 12), where
            )
        what = "the cell is empty" if cell is None else shown(cell.what if isinstance(cell, Broken) else str(cell))
        raise DecodeError(f"{where}: {what}: a time is needed")

    def _text(self, cell: str, where: object) -> int:
        if not self._settled:
            self._times.settle()
            self._settled = True
        text = _with_clock(cell)
        self._times.see(text, str(where))
        self._year_last = self._year_last or not text[:4].isdigit()
        self._refuse_both(where)
        seconds = self._times.seconds(text, str(where))
        if _LONG.fullmatch(cell):
            self._remember(cell[:13])
        return seconds

    def _refuse_both(self, where: object) -> None:
        """A program that took the day for the month made dates of some texts and left the others."""
        if self._dated and self._year_last:
            raise DecodeError(
                f"{where}: some dates are texts and some are a spreadsheet's: it may have taken days for months; ask "
                "for the document as it was made"
            )

    def _remember(self, hour: str) -> None:
        """Note when an hour began, where no clock changed in it."""
        with suppress(DecodeError):
            first, last = (self._times.seconds(f"{hour}{rest}", "") for rest in (":00:00", ":59:59"))
            if last - first == 3599:
                self._hours[hour] = first

    def _placed(self, moment: datetime, where: object) -> int:
        if moment.tzinfo is not None:
            return int(moment.timestamp())
        if self.says_utc:
            return int(moment.replace(tzinfo=UTC).timestamp())
        if self.zone is None:
            raise UsageError(f'{where}: the time has no zone and nobody names one: state it by --zone, such as "UTC"')
        early, late = moment.replace(tzinfo=self.zone), moment.replace(tzinfo=self.zone, fold=1)
        if early.utcoffset() != late.utcoffset():
            raise DecodeError(f"{where}: {moment} was twice or never in {self.zone}, where clocks changed")
        return int(early.timestamp())


_OF_HOUR: Final = {
    f":{minute:02}:{second:02}": 60 * minute + second for minute in range(60) for second in range(60)
}  # fmt: skip


def _in_hour(cell: str) -> int:
    """Seconds since the hour began, of a text that is `_LONG`."""
    return _OF_HOUR[cell[13:]]


def _with_clock(cell: str) -> str:
    """A date without an hour at noon; a year of two digits in full."""
    text = bare(cell)
    if short := _SHORT.fullmatch(text):
        day, mark, month, year, clock = short.groups()
        text = f"{day}{mark}{month}{mark}20{year}{clock}"
    return text + _NOON if _DATE.fullmatch(text) else text
