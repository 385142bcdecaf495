"""Times in text: Unix seconds or milliseconds, ISO 8601, day or month first: the whole column says which."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from calibar.chains.remote.csv_numbers import refuse_rounded
from calibar.chains.remote.csv_sheet import shown
from calibar.errors import DecodeError, UsageError

ORDERS: Final = ("dmy", "mdy")
_EARLIEST: Final = 1_230_768_000
"""2009."""
_LATEST: Final = 4_102_444_800
"""2100."""
_CLOCK: Final = (
    r"[T ,]+(?P<hour>[0-9]{1,2}):(?P<minute>[0-9]{2})(?::(?P<second>[0-9]{2})(?:[.,][0-9]{1,9})?)?"
    r"(?: ?(?P<half>[AaPp])\.? ?[Mm]\.?)?(?: ?(?P<zone>[Zz]|UTC|GMT|[+-][0-9]{2}:?[0-9]{2}))?"
)
_YEAR_FIRST: Final = re.compile(r"(?P<a>[0-9]{4})([-/.])(?P<b>[0-9]{1,2})\2(?P<c>[0-9]{1,2})" + _CLOCK)
_YEAR_LAST: Final = re.compile(r"(?P<a>[0-9]{1,2})([-/.])(?P<b>[0-9]{1,2})\2(?P<c>[0-9]{4})" + _CLOCK)
_AGE: Final = re.compile(
    r"\b(ago|hace|(sec|min|hr|hour|day|week|month|year)s?|(segundo|minuto|hora|día|dia|semana|año)s?|mes(es)?)\b",
    re.IGNORECASE,
)


@dataclass(slots=True)
class Times:
    """How a column's times are written, as far as the cells seen so far say."""

    says_utc: bool
    dates: str | None = None
    zone: ZoneInfo | None = None
    _form: str = ""
    _form_where: str = ""
    _orders: set[str] = field(default_factory=lambda: set(ORDERS))
    _order_where: str = ""
    _unclear: tuple[str, str] | None = None
    _order: str = "dmy"

    def see(self, text: str, where: str) -> None:
        """Take note of a cell. Raises DecodeError or UsageError, which begin with `where`."""
        form, found = _form(text, where)
        if self._form and form != self._form:
            raise DecodeError(f"{where}: {shown(text)} is written otherwise than {self._form_where}: was it edited?")
        if not self._form:
            self._form, self._form_where = form, where
        if found is None:
            return
        if not (found["zone"] or self.says_utc or self.zone):
            raise UsageError(
                f'{where}: {shown(text)} has no zone and the header names none: state zone="UTC" or its own'
            )
        if form == "year last":
            self._see_order(text, found, where)

    @property
    def is_settled(self) -> bool:
        """Whether no later cell can change how the times are read."""
        return bool(self._form) and (self._form != "year last" or self.dates is not None or len(self._orders) == 1)

    def settle(self) -> None:
        """Decide. Raises UsageError where it could be either."""
        if self.dates is not None:
            self._order = self.dates
        elif len(self._orders) == 1:
            self._order = next(iter(self._orders))
        elif self._unclear is not None:
            where, text = self._unclear
            raise UsageError(
                f"{where}: {shown(text)} may have the day or the month first, and no other cell tells: state "
                f'dates="dmy" or dates="mdy"'
            )

    def seconds(self, text: str, where: str) -> int:
        """Since 1970 UTC. Raises DecodeError."""
        form, found = _form(text, where)
        if found is None:
            seconds = int(text) if form == "seconds" else int(text) // 1000
        else:
            moment = _moment(found, "ymd" if form == "year first" else self._order)
            if moment is None:
                raise DecodeError(f"{where}: {shown(text)} is no time that there is")
            seconds = int(self._placed(moment, found["zone"], text, where).timestamp())
        if not _EARLIEST <= seconds < _LATEST:
            raise DecodeError(f"{where}: {shown(text)} is no time of a block (2009 to 2100)")
        return seconds

    def _see_order(self, text: str, found: re.Match[str], where: str) -> None:
        readings = {order: moment for order in ORDERS if (moment := _moment(found, order))}
        if not readings or (self.dates is not None and self.dates not in readings):
            stated = f" with dates={self.dates!r}, as stated" if self.dates else ""
            raise DecodeError(f"{where}: {shown(text)} is no time that there is{stated}")
        left = self._orders & readings.keys()
        if not left and self.dates is None:
            raise DecodeError(
                f"{where}: {shown(text)} has day and month otherwise than {self._order_where}: was it edited?"
            )
        if len(left) < len(self._orders):
            self._order_where = where
        elif len(set(readings.values())) == 2 and self._unclear is None:
            self._unclear = where, text
        self._orders = left

    def _placed(self, moment: datetime, said: str | None, text: str, where: str) -> datetime:
        zone: tzinfo = UTC
        if said and said[0] in "+-":
            offset = timedelta(hours=int(said[1:3]), minutes=int(said[-2:]))
            if offset >= timedelta(hours=24):
                raise DecodeError(f"{where}: {shown(text)} has no zone that there is")
            zone = timezone(-offset if said[0] == "-" else offset)
        elif not said and not self.says_utc and self.zone:
            zone = self.zone
            if moment.replace(tzinfo=zone).utcoffset() != moment.replace(tzinfo=zone, fold=1).utcoffset():
                raise DecodeError(
                    f"{where}: {shown(text)} was twice or never in {zone}, where clocks changed: export it in UTC"
                )
        return moment.replace(tzinfo=zone)


def _form(text: str, where: str) -> tuple[str, re.Match[str] | None]:
    if text.isascii() and text.isdigit() and len(text) <= 14:
        return ("seconds" if len(text) <= 11 else "milliseconds"), None
    if found := _YEAR_FIRST.fullmatch(text):
        return "year first", found
    if found := _YEAR_LAST.fullmatch(text):
        return "year last", found
    if _AGE.search(text):
        raise DecodeError(
            f"{where}: {shown(text)} is an age, not a time: have the explorer show dates and export again"
        )
    try:
        refuse_rounded(text)
    except DecodeError as error:
        raise DecodeError(f"{where}: {error}") from None
    raise DecodeError(
        f"{where}: {shown(text)} is no time as explorers write it (Unix seconds, 2024-01-31 23:59:59 or 31/01/2024 "
        f"23:59:59); export it again"
    )


def _moment(found: re.Match[str], order: str) -> datetime | None:
    a, b, c = int(found["a"]), int(found["b"]), int(found["c"])
    year, month, day = {"ymd": (a, b, c), "dmy": (c, b, a), "mdy": (c, a, b)}[order]
    hour, half = int(found["hour"]), found["half"]
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half in "Pp" else 0)
    try:
        return datetime(year, month, day, hour, int(found["minute"]), int(found["second"] or 0))
    except ValueError:
        return None
