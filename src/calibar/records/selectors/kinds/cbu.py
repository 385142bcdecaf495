"""Argentina's account numbers: CBU of banks and CVU of payment providers, 22 digits with two check digits.

Sources: Banco Central de la República Argentina, Sistema Nacional de Pagos, "Clave Bancaria Uniforme" (bank 3 digits,
branch 4, check digit; account 13, check digit; weights 9713, from the right 3, 1, 7, 9), and Communication A 6510
("Clave Virtual Uniforme", which begins with 000).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.hit import FITS, NEAR, Hit
from calibar.records.selectors.text import Text

_WEIGHTS: Final = (3, 1, 7, 9)
"""From the right, next to the check digit."""
_NUMBER: Final = re.compile(r"[0-9](?<![^\W_].)(?<![0-9][ \-].)(?:[ \-]?[0-9]){21}(?![ \-]?[0-9])(?![^\W_])")
_ALONE: Final = re.compile(r"[0-9](?<![^\W_].)[0-9]{21}(?![^\W_])")
_GROUPED: Final = re.compile(r"[0-9](?<![^\W_].)[0-9]{6,7}[ \-][0-9]{1,14}(?:[ \-][0-9]{1,14})?(?![^\W_])")
_WORDS: Final = re.compile(r"\bc[bv]u\b|cuenta|clave (?:bancaria|virtual)")


def find(text: Text) -> Iterator[Hit]:
    """All of a text; the value has digits alone."""
    seen = -1
    matches = [*_ALONE.finditer(text.text), *_NUMBER.finditer(text.text), *_GROUPED.finditer(text.text)]
    for match in sorted(matches, key=lambda found: (found.start(), -found.end())):
        digits = re.sub("[ -]", "", match.group())
        if match.start() < seen or len(digits) != 22:
            continue
        kind = "cvu" if digits.startswith("000") else "cbu"
        wrong = [name for name, block in (("first", digits[:8]), ("second", digits[8:])) if not _fits(block)]
        if text.is_cut(match.start()):
            wrong = wrong or ["second"]
        elif len(wrong) == 2 and not _WORDS.search(text.before(match.start(), 40)):
            continue
        which = " and ".join(wrong)
        checked = f"{NEAR}the {which} check digit does not fit" if wrong else FITS
        if len(set(digits)) == 1:
            continue
        seen = match.end()
        yield Hit(kind, digits, match.start(), match.end(), checked)


def _fits(block: str) -> bool:
    *digits, check = map(int, block)
    total = sum(digit * _WEIGHTS[at % 4] for at, digit in enumerate(reversed(digits)))
    return (10 - total % 10) % 10 == check
