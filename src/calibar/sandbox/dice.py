"""Chance that falls the same way every time, on every machine and Python."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import TypeVar

T = TypeVar("T")


class Dice:
    """Throws drawn from SHA-256 of a seed text and a counter; integers only, so no rounding can differ."""

    def __init__(self, seed: str) -> None:
        self.seed = seed
        self._throws = 0

    def fork(self, name: str) -> Dice:
        """Other dice for another purpose, so that a throw more here moves nothing there."""
        return Dice(f"{self.seed}/{name}")

    def below(self, sides: int) -> int:
        """One of 0 to `sides` - 1 (`sides` far below 2^64, so the bias of the remainder is nothing)."""
        self._throws += 1
        return int.from_bytes(sha256(f"{self.seed}#{self._throws}".encode()).digest()[:8], "big") % sides

    def between(self, low: int, high: int) -> int:
        """One of `low` to `high`, both included."""
        return low + self.below(high - low + 1)

    def chance(self, percent: int) -> bool:
        """True in `percent` of 100 throws."""
        return self.below(100) < percent

    def pick(self, things: Sequence[T]) -> T:
        """One of `things`."""
        return things[self.below(len(things))]

    def some(self, things: Sequence[T], count: int) -> list[T]:
        """`count` different ones of `things`, in the order drawn."""
        left = list(things)
        return [left.pop(self.below(len(left))) for _ in range(min(count, len(left)))]
