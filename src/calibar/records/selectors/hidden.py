"""Characters that nobody sees or that look like others: an address with one of them is not what it seems.

Sources: Unicode Standard Annex 9 (direction marks), Unicode Technical Standard 39 (confusable characters; of its table
the letters that imitate the Latin ones of addresses).
"""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

_UNSEEN: Final = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
)
_TWINS: Final = dict(
    zip(
        "АВЕЅЗІЈКМНОРСТУХасеіјорѕухԁһԛԝΑΒΕΖΗΙΚΜΝΟΡΤΥΧοαν",
        "ABES3IJKMHOPCTYXaceijopsyxdhqwABEZHIKMNOPTYXoav",
        strict=True,
    )
)
_WIDE: Final = {chr(0xFEE0 + code): chr(code) for code in range(0x30, 0x7B) if chr(code).isalnum()}
_LOOK_ALIKE: Final = _TWINS | _WIDE
_STRANGE: Final = re.compile(f"[{_UNSEEN}{''.join(_LOOK_ALIKE)}]")
_TABLE: Final = str.maketrans(_LOOK_ALIKE)
_GONE: Final = re.compile(f"[{_UNSEEN}]+")


@dataclass(frozen=True)
class Cleared:
    """A text without its unseen characters, look-alikes replaced, and where each stretch of it comes from."""

    text: str
    starts: list[int]
    shifts: list[int]

    def original(self, at: int) -> int:
        """The place in the original of a place in the cleared text."""
        from bisect import bisect_right  # noqa: PLC0415

        return at + self.shifts[bisect_right(self.starts, at) - 1]


def cleared(text: str) -> Cleared | None:
    """The text as it seems; None where it is what it seems."""
    if text.isascii() or not _STRANGE.search(text):
        return None
    parts, starts, shifts = [], [0], [0]
    length = last = 0
    for match in _GONE.finditer(text):
        parts.append(text[last : match.start()])
        length += match.start() - last
        last = match.end()
        starts.append(length)
        shifts.append(last - length)
    parts.append(text[last:])
    return Cleared("".join(parts).translate(_TABLE), starts, shifts)


def named(written: str) -> str:
    """Which characters of a text are not what they seem, and where; empty where none is."""
    found = []
    for match in _STRANGE.finditer(written):
        character = match.group()
        name = unicodedata.name(character, "without a name")
        seems = f", which looks like {_LOOK_ALIKE[character]!r}" if character in _LOOK_ALIKE else ", which nobody sees"
        found.append(f"character {match.start() + 1} is U+{ord(character):04X} {name}{seems}")
    more = f" and {len(found) - 3} more" if len(found) > 3 else ""
    return "; ".join(found[:3]) + more


def escaped(written: str) -> str:
    """The text with those characters, and all that control, written out as `\\u200b`."""
    return "".join(
        c if c.isprintable() and not _STRANGE.match(c) else c.encode("ascii", "backslashreplace").decode()
        for c in written
    )
