"""International bank account numbers: ISO 13616, two check digits by ISO 7064 (mod 97-10).

Lengths: SWIFT's IBAN registry.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from calibar.records.selectors.hit import FITS, NEAR, Hit

KIND: Final = "iban"
LENGTHS: Final = {
    "AD": 24, "AE": 23, "AL": 28, "AT": 20, "AZ": 28, "BA": 20, "BE": 16, "BG": 22, "BH": 22, "BI": 27, "BR": 29,
    "BY": 28, "CH": 21, "CR": 22, "CY": 28, "CZ": 24, "DE": 22, "DJ": 27, "DK": 18, "DO": 28, "EE": 20, "EG": 29,
    "ES": 24, "FI": 18, "FK": 18, "FO": 18, "FR": 27, "GB": 22, "GE": 22, "GI": 23, "GL": 18, "GR": 27, "GT": 28,
    "HN": 28, "HR": 21, "HU": 28, "IE": 22, "IL": 23, "IQ": 23, "IS": 26, "IT": 27, "JO": 30, "KW": 30, "KZ": 20,
    "LB": 28, "LC": 32, "LI": 21, "LT": 20, "LU": 20, "LV": 21, "LY": 25, "MC": 27, "MD": 24, "ME": 22, "MK": 19,
    "MN": 20, "MR": 27, "MT": 31, "MU": 30, "NI": 28, "NL": 18, "NO": 15, "OM": 23, "PK": 24, "PL": 28, "PS": 29,
    "PT": 25, "QA": 29, "RO": 24, "RS": 22, "RU": 33, "SA": 24, "SC": 31, "SD": 18, "SE": 24, "SI": 19, "SK": 24,
    "SM": 27, "SO": 23, "ST": 25, "SV": 28, "TL": 23, "TN": 24, "TR": 26, "UA": 29, "VA": 22, "VG": 24, "XK": 20,
    "YE": 30,
}  # fmt: skip
_START: Final = re.compile(r"[A-Z](?<![^\W_].)[A-Z][0-9]{2}(?=[ \-]?[A-Z0-9])")


def find(text: str) -> Iterator[Hit]:
    """All of a text, in groups or not; the value has no spaces."""
    for match in _START.finditer(text):
        length = LENGTHS.get(text[match.start() : match.start() + 2])
        taken = length and _take(text, match.start(), length)
        if not taken:
            continue
        value, end = taken
        digits = "".join(str(int(c, 36)) for c in value[4:] + value[:4])
        if int(digits) % 97 == 1:
            yield Hit(KIND, value, match.start(), end, FITS)
        elif sum(c.isdigit() for c in value) >= 12:
            yield Hit(KIND, value, match.start(), end, f"{NEAR}the check digits do not fit (mod 97)")


def _take(text: str, start: int, length: int) -> tuple[str, int] | None:
    """So many capital letters and digits, with single spaces or hyphens between."""
    found = _form(length).match(text, start)
    return (re.sub("[ -]", "", found.group()), found.end()) if found else None


@cache
def _form(length: int) -> re.Pattern[str]:
    return re.compile(rf"(?:[A-Z0-9][ \-]?){{{length - 1}}}+[A-Z0-9](?![^\W_])")
