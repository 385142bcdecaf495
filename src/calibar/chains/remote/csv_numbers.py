"""Amounts in text, `1,234.56` or `1.234,56`: the whole file says which, never a cell alone."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from calibar.chains.remote.csv_sheet import shown
from calibar.errors import DecodeError, UsageError

MARKS: Final = (".", ",")
"""What may stand before the fraction."""
MOST: Final = (1 << 256) - 1
_SPACES: Final = re.compile("[\xa0\u202f\u2009]")
_ROUNDED: Final = re.compile(r"[+-]?[0-9.,]+ ?[eE] ?[+-]?[0-9]+")
_FORMS: Final = {
    mark: re.compile(
        rf"(?P<whole>[0-9]+|[1-9][0-9]{{0,2}}(?P<group>[{other} '’])[0-9]{{3}}(?:(?P=group)[0-9]{{3}})*)?"
        rf"(?:{re.escape(mark)}(?P<fraction>[0-9]+))?"
    )
    for mark, other in ((".", ","), (",", "."))
}


class Number(NamedTuple):
    """Digits before and after the mark, without zeros that say nothing."""

    whole: str
    fraction: str


def number(text: str, mark: str) -> Number | None:
    """A text where `mark` stands before the fraction; None where it is none. Groups are of three digits."""
    if text.isascii() and text.isdigit():
        return Number(text.lstrip("0"), "")
    found = _FORMS[mark].fullmatch(_SPACES.sub(" ", text))
    if not text or found is None:
        return None
    whole = re.sub("[^0-9]", "", found["whole"] or "")
    return Number(whole.lstrip("0"), (found["fraction"] or "").rstrip("0"))


def base_units(found: Number, places: int) -> int:
    """Exact. Raises DecodeError for more fraction digits than `places`, or more than 256 bits."""
    if len(found.fraction) > places:
        raise DecodeError(
            f"{len(found.fraction)} digits after the mark, of which the asset has {places}: the decimals do not fit"
        )
    digits = found.whole + found.fraction.ljust(places, "0")
    digits = digits.lstrip("0") or "0"
    if len(digits) > 78 or int(digits) > MOST:
        raise DecodeError("it is more than 256 bits hold")
    return int(digits)


def whole_number(text: str, most: int) -> int:
    """Digits and nothing else. Raises DecodeError."""
    digits = text.lstrip("0") or "0"
    if not (text.isascii() and text.isdigit()):
        refuse_rounded(text)
        raise DecodeError(f"{shown(text)} is not a whole number")
    if len(digits) > 78 or int(digits) > most:
        raise DecodeError(f"{shown(text)} is too large")
    return int(digits)


def refuse_rounded(text: str) -> None:
    """Raises DecodeError for what a spreadsheet has rounded."""
    if _ROUNDED.fullmatch(text):
        raise DecodeError(f"{shown(text)}: a spreadsheet has rounded it; export it again, and import columns as text")


@dataclass(slots=True)
class Convention:
    """Which mark stands before the fraction, as far as the cells seen so far say."""

    stated: str | None
    _possible: set[str] = field(default_factory=lambda: set(MARKS))
    _unclear: tuple[str, str] | None = None
    """Where, and the cell."""
    _deciding: str = ""

    @property
    def is_settled(self) -> bool:
        """Whether no later cell can change what the mark is."""
        return self.stated is not None or len(self._possible) == 1

    def see(self, text: str, where: str) -> None:
        """Take note of a cell. Raises DecodeError, which begins with `where`, for one that fits none."""
        readings = {mark: found for mark in MARKS if (found := number(text, mark)) is not None}
        if not readings:
            _refuse(text, where)
        if len(readings) == 2 and readings["."] != readings[","] and self._unclear is None:
            self._unclear = where, text
        left = self._possible & readings.keys()
        if self.stated is not None and self.stated not in readings:
            raise DecodeError(f"{where}: {shown(text)} is not written with decimal={self.stated!r}, as stated")
        if not left:
            raise DecodeError(f"{where}: {shown(text)} is written otherwise than {self._deciding}: was it edited?")
        if len(left) < len(self._possible):
            self._deciding = f"{shown(text)} ({where})"
        self._possible = left

    def mark(self) -> str:
        """The mark. Raises UsageError where it could be either."""
        if self.stated is not None:
            return self.stated
        if len(self._possible) == 1:
            return next(iter(self._possible))
        if self._unclear is not None:
            where, text = self._unclear
            raise UsageError(
                f"{where}: {shown(text)} may have a thousands separator or a fraction, and no other cell tells: "
                f'state decimal="." or decimal=","'
            )
        return "."


def _refuse(text: str, where: str) -> None:
    try:
        refuse_rounded(text)
    except DecodeError as error:
        raise DecodeError(f"{where}: {error}") from None
    if not text:
        raise DecodeError(f"{where}: the amount is missing; export it again")
    if re.fullmatch(r"[-−(][0-9., ]+\)?", text):
        raise DecodeError(f"{where}: {shown(text)} is negative; explorers write who pays in columns of addresses")
    raise DecodeError(f"{where}: {shown(text)} is not a number whose thousands are in groups of three; export it again")
