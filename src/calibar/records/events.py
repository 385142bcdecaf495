"""Movements that are one event are put together again: a trade's legs and its fee stand in rows of their own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from decimal import Decimal

from calibar.records.movement import Movement

_JOINED = frozenset(("trade", "fee"))


@dataclass(frozen=True, slots=True)
class Event:
    """One or several movements of one account at one time."""

    kind: str
    movements: tuple[Movement, ...]

    def given(self) -> dict[str, Decimal]:
        """What went out but for fees, by asset."""
        return self._sums(-1)

    def received(self) -> dict[str, Decimal]:
        """What came in, by asset."""
        return self._sums(1)

    def _sums(self, sign: int) -> dict[str, Decimal]:
        found: dict[str, Decimal] = {}
        for one in self.movements:
            if one.kind != "fee" and one.change * sign > 0:
                found[one.asset] = found.get(one.asset, Decimal(0)) + abs(one.change)
        return found

    @property
    def whole(self) -> bool:
        """Whether a trade has both sides: one asset given, one received."""
        return self.kind != "trade" or (len(self.given()) == 1 and len(self.received()) == 1)


def events(movements: Iterable[Movement]) -> Iterator[Event]:
    """In order of time. Legs and fees of one account, wallet, second and order are one trade: a document that says no
    order number does not tell its fills apart, and their sum is exact."""
    joined: dict[tuple[object, ...], list[Movement]] = {}
    moved = (one for one in movements if one.kind != "balance")
    for place, one in enumerate(sorted(moved, key=lambda one: one.time)):
        order = one.fact("order") if one.kind in _JOINED else place
        joined.setdefault((one.time, one.account, one.wallet, one.kind in _JOINED, order), []).append(one)
    for legs in joined.values():
        yield Event("trade" if any(one.kind == "trade" for one in legs) else legs[0].kind, tuple(legs))
