"""Units by label, as documents have them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from calibar.trail.custodians.parts import Segments
from calibar.trail.custodians.walk import Labelled

Amounts = dict[str, int]


def resting(
    account: str, asset: str, traced: Amounts, state: str, reason: str, value: int | None = None
) -> dict[str, Any]:
    """A holding's row."""
    whole = sum(traced.values()) if value is None else value
    return {"account": account, "asset": asset, "value": whole, "traced": traced, "state": state, "reason": reason}


def summed(segments: Segments) -> Amounts:
    """Units by label."""
    sums: dict[int, int] = {}
    for label, units in segments:
        if label is not None:
            sums[label] = sums.get(label, 0) + units
    return {f"S{label}": units for label, units in sorted(sums.items()) if units}


def told(pieces: Iterable[Labelled]) -> Amounts:
    """Units by label."""
    return {f"S{piece.label}": piece.units for piece in pieces if piece.units}


def times(traced: Mapping[str, Any], factor: int) -> Amounts:
    """Amounts in finer places."""
    return {label: int(units) * factor for label, units in traced.items()}


def scaled(entry: Mapping[str, Any], factor: int) -> dict[str, Any]:
    """An entry with its amounts in finer places."""
    value = entry.get("value")
    found = {**entry, "traced": times(entry["traced"], factor)}
    return found if value is None else found | {"value": int(value) * factor}
