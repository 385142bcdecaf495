"""Payment cards: their last four digits, where a text says so. A whole number is never repeated.

Source: ISO/IEC 7812 (Luhn's check digit; ranges of the issuers).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.hit import FITS, UNCHECKED, Hit, Secret
from calibar.records.selectors.text import Text

KIND: Final = "card"
WHOLE: Final = "card number"
_NUMBER: Final = re.compile(
    r"[0-9](?<![^\W_].)(?:[0-9]{13,18}|[0-9]{3}([ \-])[0-9]{4}\1[0-9]{4}\1[0-9]{4}(?:\1[0-9]{3})?"
    r"|[0-9]{3}([ \-])[0-9]{6}\2[0-9]{4,5})(?![^\W_])"
)
_ISSUERS: Final = re.compile(
    r"(?:4(?:.{15}|.{18})|5[0-9].{14}|2(?:2[2-9]|[3-6]|7[0-2]).*|3[47].{13}|3(?:0[0-5]|[689]).{12,14}|35.{14}"
    r"|6(?:.{15}|.{18}))\Z"
)
_IN_FOURS: Final = 19
"""Length of sixteen digits in groups of four."""
_MASKED: Final = re.compile(
    r"(?:(?<![*•●·xX])[*•●·]{2,}+|(?<![^\W_])[xX]{3,}+|(?<=[0-9])[xX*•●·]{4,}+)"
    r"(?:[ \-]{0,2}[*•●·xX]{2,6}+){0,3}[ \-]{0,2}([0-9]{4})(?![^\W_])"
)
_MARKS: Final = ("**", "••", "●●", "··", "xxx", "XXX", "Xxx", "xX")
_STEMS: Final = ("termina", "finali", "acaba", "ending", "ends", "ended", "final", "last", "ultimos")
_SAID: Final = re.compile(
    r"(?:termina(?:da|do|cion|n)?|finaliza(?:da|do)?|acaba(?:da|do)?|ending|ends|ended|final)"
    r"[ \t]{1,3}(?:en|in|con|with)?[ \t:]{0,3}(?:el |los )?(?:n(?:umero|ro)s?\.? )?"
    r"[*#x]{0,8}([0-9]{4})(?![^\W_]|[.,/\-][0-9])"
    r"|(?:last|ultimos)[ \t]{1,3}(?:4|four|cuatro)(?:[ \t]{1,3}(?:digits|digitos|numeros))?[ \t:=#]{1,4}"
    r"([0-9]{4})(?![^\W_])"
)


def whole_numbers(text: str) -> Iterator[Secret]:
    """Whole card numbers that pass Luhn's check."""
    for match in _NUMBER.finditer(text):
        for end in (match.end(), match.start() + _IN_FOURS):  # three more digits may be something else's
            digits = re.sub("[ -]", "", text[match.start() : end])
            if end <= match.end() and _ISSUERS.match(digits) and len(set(digits)) > 1 and _luhn(digits):
                yield Secret(WHOLE, match.start(), end)
                break


def of_whole(text: str, secret: Secret) -> Hit:
    """The card of a whole number: its last four, and nothing as written."""
    last = re.sub("[ -]", "", text[secret.start : secret.end])[-4:]
    return Hit(KIND, last, secret.start, secret.end, f"{FITS}: a whole number, not repeated here", written="")


def find(text: Text) -> Iterator[Hit]:
    """Last fours, each in a context that says what it is."""
    for match in _MASKED.finditer(text.text) if any(mark in text.text for mark in _MARKS) else ():
        yield Hit(KIND, match[1], match.start(1), match.end(1), UNCHECKED)
    for match in _SAID.finditer(text.folded) if any(stem in text.folded for stem in _STEMS) else ():
        at = 1 if match[1] else 2
        yield Hit(KIND, match[at], match.start(at), match.end(at), UNCHECKED)


def _luhn(digits: str) -> bool:
    total = 0
    for at, character in enumerate(reversed(digits)):
        value = int(character) * (1 + at % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
