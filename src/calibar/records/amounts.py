"""Amounts as custodians write them: signs, brackets, currency signs, both decimal conventions, units at the end."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, NamedTuple

from calibar.chains.remote.csv_numbers import Convention, number, refuse_rounded
from calibar.chains.remote.csv_sheet import bare, shown
from calibar.errors import DecodeError
from calibar.records.tables.cells import Broken, Cell, Rounded

_AROUND: Final = re.compile(
    r"(?P<open>\()?\s*(?P<sign>[-+−–])?\s*(?P<currency>[$€£₿]|U\$S|US\$|AR\$|[A-Z]{3}\s)?\s*(?P<again>[-+−–])?\s*"
    r"(?P<digits>[0-9.,'’ \xa0\u202f\u2009]*[0-9.,])\s*(?P<unit>[A-Z][A-Z0-9]{0,14})?\s*(?P<after>[-−])?"
    r"\s*(?P<close>\))?"
)
_MINUS: Final = frozenset("-−–")
_CURRENCIES: Final = {"U$S": "USD", "US$": "USD", "AR$": "ARS", "€": "EUR", "£": "GBP", "₿": "BTC", "$": ""}
_OUT, _IN = frozenset(("DB", "DR")), frozenset(("CR",))
"""Debit and credit, as some banks sign their amounts."""
_POWER: Final = re.compile(r"E[0-9]+")
_LONGEST: Final = 80
_EMPTY: Final = frozenset(("", "-", "--", "—", "n/a", "N/A", "null"))
_ALIKE: Final = str.maketrans("123456789", "000000000")
"""Digits told apart by nothing: how a cell is written. A leading zero is kept apart: it shows a fraction."""
_SIMPLE: Final = re.compile(r"-?[0-9]+(?:\.[0-9]+)?")


class Amount(NamedTuple):
    """A number, exact, and the unit that stands with it (`0.5BTC`), if any."""

    value: Decimal
    unit: str = ""


@dataclass(slots=True)
class Amounts:
    """The amounts of a document: all of them together say which mark stands before the fraction."""

    stated: str | None = None
    _convention: Convention = field(init=False)
    _mark: str | None = None
    _forms: set[str] = field(default_factory=set)
    """Ways of writing that were seen."""

    def __post_init__(self) -> None:
        """`stated` is `.` or `,` where somebody said which."""
        self._convention = Convention(self.stated)

    @property
    def is_settled(self) -> bool:
        """Whether no later cell can change what the mark is."""
        return self._convention.is_settled

    def see(self, cell: Cell, where: object) -> None:
        """Take note of a cell. Raises DecodeError for what is no amount, or not any more; `where` is for messages."""
        if type(cell) is not str:
            return
        form = cell.translate(_ALIKE) if cell[:1] != "0" else cell[:1] + "z" + cell[1:].translate(_ALIKE)
        if form in self._forms:
            return
        text = bare(cell)
        if text not in _EMPTY:
            digits, _, _ = _parts(text, where)
            self._convention.see(digits, str(where))
        self._forms.add(form)

    def read(self, cell: Cell, where: object) -> Amount | None:
        """The amount; None where the cell has none. Raises DecodeError."""
        if type(cell) is str:
            return self._text(cell, where)
        if cell is None:
            return None
        if isinstance(cell, Broken):
            raise DecodeError(f"{where}: the cell has no value ({cell.what}); ask for the document anew")
        if isinstance(cell, Rounded):
            raise DecodeError(f"{where}: {cell} has 15 digits, of which a spreadsheet keeps no more: ask for a CSV")
        if isinstance(cell, Decimal):
            return Amount(cell)
        raise DecodeError(f"{where}: {shown(str(cell))} is a date or a truth value, not an amount")

    def plain(self, cell: Cell) -> Decimal | None:
        """What `read` says of digits with a point or none, which most cells are; None of others."""
        if type(cell) is str and self._mark == "." and len(cell) <= _LONGEST and _SIMPLE.fullmatch(cell):
            return Decimal(cell)
        return None

    def _text(self, cell: str, where: object) -> Amount | None:
        if self._mark is None:
            self._mark = self._convention.mark()
        if (plain := self.plain(cell)) is not None:
            return Amount(plain)
        text = bare(cell)
        if text in _EMPTY:
            return None
        digits, negative, unit = _parts(text, where)
        found = number(digits, self._mark)
        if found is None:
            raise DecodeError(f"{where}: {shown(text)} is no number with {self._mark!r} before the fraction")
        value = Decimal(f"{found.whole or '0'}.{found.fraction}" if found.fraction else found.whole or "0")
        return Amount(value.copy_negate() if negative else value, unit)


def _parts(text: str, where: object) -> tuple[str, bool, str]:
    """Digits with their marks, whether it is negative, and the unit."""
    try:
        refuse_rounded(text)
    except DecodeError as error:
        raise DecodeError(f"{where}: {error}") from None
    found = _AROUND.fullmatch(text) if len(text) <= _LONGEST else None
    unit = found["unit"] or "" if found else ""
    if found is None or bool(found["open"]) != bool(found["close"]) or _POWER.fullmatch(unit):
        raise DecodeError(f"{where}: {shown(text)} is not an amount")
    signs = [sign for sign in (found["sign"], found["again"], found["after"]) if sign]
    signs += ["-"] if unit in _OUT else ["+"] if unit in _IN else []
    if len(signs) + bool(found["open"]) > 1:
        raise DecodeError(f"{where}: {shown(text)} has more than one sign")
    negative = bool(found["open"]) or bool(signs and signs[0] in _MINUS)
    currency = (found["currency"] or "").strip()
    currency = _CURRENCIES.get(currency, currency)
    unit = "" if unit in _OUT | _IN else unit
    if currency and unit and currency != unit:
        raise DecodeError(f"{where}: {shown(text)} names two units")
    return found["digits"].strip(), negative, unit or currency
