"""The formats that are known, one custodian's a file. The first whose header a table has reads it."""

from __future__ import annotations

from typing import Final

from calibar.errors import UsageError
from calibar.records.formats import bank, binance, logins
from calibar.records.formats.format import Format

FORMATS: Final[tuple[Format, ...]] = (*binance.FORMATS, *bank.FORMATS, *logins.FORMATS)


def format_called(name: str) -> Format:
    """The format of that name. Raises UsageError, which lists them."""
    for one in FORMATS:
        if one.name == name:
            return one
    raise UsageError(f"there is no format {name[:60]!r}; there are {', '.join(one.name for one in FORMATS)}")
