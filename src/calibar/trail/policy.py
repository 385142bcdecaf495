"""The rules of one tracing, explicit and printed with every result."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from calibar.errors import UsageError

DEFINITION: Final = 1
"""Version of the meaning of the methods (docs/tracing.md)."""

METHODS: Final = ("fifo", "haircut")
PLANNED: Final = {
    "method": ("lifo", "poison", "tiho", "libr"),
    "unit": ("address", "entity"),
    "direction": ("backward",),
}
FEES: Final = ("stop", "follow")


@dataclass(frozen=True, slots=True)
class Policy:
    """How to trace. Heights and amounts in the ledger's own units (satoshi)."""

    method: str = "fifo"
    unit: str = "coin"
    direction: str = "forward"
    fees: str = "stop"
    """`stop`: traced value paid as fee leaves the trail and is counted. `follow`: it goes on into the coinbase."""
    as_of: int | None = None
    """Height up to which the chain is looked at; None: the ledger's tip."""
    min_amount: int | None = None
    """A coin that receives less traced value than this is not followed on."""
    max_hops: int | None = None
    """A coin this many transactions away from the sources is not followed on."""
    segments: bool = False
    """Whether the order of units inside each coin is listed too (fifo)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        for field, known in (("method", METHODS), ("unit", ("coin",)), ("direction", ("forward",)), ("fees", FEES)):
            value = getattr(self, field)
            if value in PLANNED.get(field, ()):
                raise UsageError(f"{field} {value!r} is defined but not built yet; there is {', '.join(known)}")
            if value not in known:
                raise UsageError(f"there is no {field} {value!r}; there is {', '.join(known)}")
        if self.segments and self.method != "fifo":
            raise UsageError(f"segments have an order only under fifo, not under {self.method}")
        if self.min_amount is not None and self.min_amount < 1:
            raise UsageError(f"a minimum amount of {self.min_amount} satoshi stops nothing; give 1 or more")
        if self.max_hops is not None and self.max_hops < 1:
            raise UsageError(f"a limit of {self.max_hops} hops would look at nothing; give 1 or more")

    @property
    def stops(self) -> list[tuple[str, int]]:
        """The stop rules in force, in order: the first that matches wins."""
        rules = (("min-amount", self.min_amount), ("hops", self.max_hops))
        return [(name, value) for name, value in rules if value is not None]

    def document(self, as_of: int | None) -> dict[str, Any]:
        """As it stands in a trail's JSON; `as_of` is the height in force."""
        document: dict[str, Any] = {
            "method": self.method,
            "unit": self.unit,
            "direction": self.direction,
            "fees": self.fees,
            "as_of": as_of,
            "stops": [f"{name}:{value}" for name, value in self.stops],
            "overrides": [],
        }
        if self.segments:
            document["segments"] = True
        return document
