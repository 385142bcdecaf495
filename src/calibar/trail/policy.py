"""The rules of one tracing, explicit and printed with every result."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from calibar.errors import UsageError

DEFINITION: Final = 1
"""Version of the meaning of the methods (docs/tracing.md)."""

METHODS: Final = ("fifo", "haircut")
"""With unit `coin`."""
ACCOUNT_METHODS: Final = ("fifo", "lifo", "haircut", "libr")
"""With unit `address`, in the order of kernels/holders.py."""
PLANNED: Final = {
    "method": ("lifo", "poison", "tiho"),
    "unit": ("entity",),
}
INVERTIBLE: Final = ("fifo", "lifo")
"""Methods that can be traced backwards."""
FEES: Final = ("stop", "follow")
DIRECTIONS: Final = ("forward", "backward")
UNITS: Final = ("coin", "address")


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
    asset: str | None = None
    """Account chains: label only what arrives of this asset (`native`, a contract, `trc10:<number>`)."""
    deposits: bool = True
    """Account chains: stop where value reaches a custodian's deposit address of one customer."""
    links: Path | None = None
    """Account chains: a file of links that an analyst asserted."""
    segments: bool = False
    """Whether the order of units inside each coin is listed too (fifo)."""

    def __post_init__(self) -> None:
        """Refuse what has no meaning."""
        if self.method == "libr" and self.unit == "coin":
            raise UsageError("libr has a meaning for accounts only; use fifo or haircut, or --unit address")
        methods = METHODS if self.unit == "coin" else ACCOUNT_METHODS
        known_values = ("method", methods), ("unit", UNITS), ("direction", DIRECTIONS), ("fees", FEES)
        for field, known in known_values:
            value = getattr(self, field)
            if value not in known and value in PLANNED.get(field, ()):
                raise UsageError(f"{field} {value!r} is defined but not built yet; there is {', '.join(known)}")
            if value not in known:
                raise UsageError(f"there is no {field} {value!r}; there is {', '.join(known)}")
        if self.direction == "backward":
            if self.unit == "coin":
                raise UsageError("direction 'backward' is defined for coins but not built yet; there is forward")
            if self.method not in INVERTIBLE:
                raise UsageError(f"{self.method} has no inverse: backward there is {' and '.join(INVERTIBLE)}")
            if self.min_amount is not None or self.links is not None:
                raise UsageError("a minimum amount and links are for forward trails; leave them out")
        if self.unit == "coin" and (self.asset is not None or self.links is not None or not self.deposits):
            raise UsageError("assets, links and deposit addresses are matters of account chains; leave them out")
        if self.segments and self.unit != "coin":
            raise UsageError("segments are listed for coins only; leave --segments out")
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

    @property
    def _stops_at_deposits(self) -> bool:
        return self.unit != "coin" and self.deposits and self.direction == "forward"

    @property
    def account_stops(self) -> list[tuple[str, int]]:
        """The same with unit `address`."""
        return [*([("deposit", 0)] if self.deposits else []), *self.stops]

    def document(self, as_of: int | None) -> dict[str, Any]:
        """As it stands in a trail's JSON; `as_of` is the height in force."""
        limits = [f"{name}:{value}" for name, value in self.stops]
        document: dict[str, Any] = {
            "method": self.method,
            "unit": self.unit,
            "direction": self.direction,
            "fees": self.fees,
            "as_of": as_of,
            "stops": [*(["deposit"] if self._stops_at_deposits else []), *limits],
            "overrides": [],
        }
        if self.segments:
            document["segments"] = True
        if self.asset is not None:
            document["asset"] = self.asset
        return document
