"""What was read of a file: a text, and where in the file each character of it stands."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

from calibar.records.selectors.kinds.tokens import tokens

Place = Mapping[str, str | int]
"""Where something stands, in words of the input: `line`, `column`; `sheet`, `row`, `column`; `page`, `line`; …"""

_PLAIN: Final = tuple(zip("áàâäãåéèêëíìîïóòôöõúùûüñç", "aaaaaaeeeeiiiiooooouuuunc", strict=True))
_CONTROL: Final = re.compile(
    "[\x00-\x1f\x7f-\x9f\u00ad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff\ud800-\udfff]"
)
_LINE_ENDS: Final = re.compile("\n")


def folded(text: str) -> str:
    """Small letters without accents, character for character, so that positions hold."""
    lower = text.lower()
    if len(lower) != len(text):
        lower = "".join(c.lower() if len(c.lower()) == 1 else c for c in text)
    if not lower.isascii():
        for accented, plain in _PLAIN:
            lower = lower.replace(accented, plain)
    return lower


def one_line(text: str) -> str:
    """A text on one line, in which control and direction marks are U+FFFD and spaces are single."""
    return " ".join(_CONTROL.sub(lambda found: " " if found.group().isspace() else "\ufffd", text).split())


@dataclass(frozen=True)
class Text:
    """Lines as they stand in a file. Positions count from 1."""

    text: str

    @cached_property
    def folded(self) -> str:
        """The text in small letters without accents; as long as the text."""
        return folded(self.text)

    @cached_property
    def tokens(self) -> Sequence[tuple[str, int]]:
        """Each run of letters and digits that is long enough for an address or a key, and where it starts."""
        return tuple(tokens(self.text))

    @cached_property
    def _lines(self) -> list[int]:
        return [0, *(match.end() for match in _LINE_ENDS.finditer(self.text))]

    def place(self, at: int) -> Place:
        """Where the character at `at` stands."""
        line = bisect_right(self._lines, at)
        return {"line": line, "column": at - self._lines[line - 1] + 1}

    def label(self, at: int) -> str:
        """What heads the place, such as a column's title; folded."""
        return ""

    def is_cut(self, at: int) -> bool:
        """Whether a spreadsheet kept a number there, of which digits may be lost."""
        return False

    def before(self, at: int, most: int) -> str:
        """What stands before, folded, headed by the label."""
        return f"{self.label(at)} {self.folded[max(0, at - most) : at]}"

    def runs(self) -> Iterator[Sequence[tuple[int, int]]]:
        """Parts of the text that are read one after the other though other parts stand between, as a column's cells."""
        return iter(())


@dataclass(frozen=True)
class Pieces(Text):
    """A text that was put together: where each piece starts, and where it stands in the file.

    `column` of a piece's place counts on within the piece.
    """

    starts: Sequence[int] = field(default=())
    places: Sequence[Place] = field(default=())

    def place(self, at: int) -> Place:
        """Where the character at `at` stands."""
        index = max(0, bisect_right(self.starts, at) - 1)
        place = self.places[index]
        if "column" not in place:
            return place
        return {**place, "column": int(place["column"]) + at - self.starts[index]}


class Pile:
    """Puts pieces together to a text."""

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._starts: list[int] = []
        self._places: list[Place] = []
        self._length = 0

    def add(self, text: str, place: Place, after: str = "\n") -> None:
        """One more piece, and what separates it from the next."""
        self._starts.append(self._length)
        self._places.append(place)
        self._parts += (text, after)
        self._length += len(text) + len(after)

    def separate(self) -> None:
        """End the line, if it is not at its end."""
        if self._parts and not self._parts[-1].endswith("\n"):
            self._parts[-1] += "\n"
            self._length += 1

    def __bool__(self) -> bool:
        return bool(self._parts)

    def text(self) -> Pieces:
        """The text so far."""
        return Pieces("".join(self._parts), tuple(self._starts), tuple(self._places))
