"""Stretches of a text, and whether others touch them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Iterator


class Spans:
    """Stretches that are merged where they touch."""

    def __init__(self, spans: Iterable[tuple[int, int]]) -> None:
        self._starts: list[int] = []
        self._ends: list[int] = []
        for start, end in sorted(spans):
            if self._ends and start <= self._ends[-1]:
                self._ends[-1] = max(self._ends[-1], end)
            else:
                self._starts.append(start)
                self._ends.append(end)

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return zip(self._starts, self._ends, strict=True)

    def within(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """Those that have a character from `start` up to `end`."""
        for at in range(bisect_right(self._ends, start), bisect_left(self._starts, end)):
            yield self._starts[at], self._ends[at]

    def touch(self, start: int, end: int) -> bool:
        """Whether one has a character from `start` up to `end`."""
        return next(self.within(start, end), None) is not None
