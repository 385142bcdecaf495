"""The rules of one tracing, explicit and printed with every result."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from calibar.errors import UsageError
from calibar.labels.label import CUSTODIANS, MIXERS, LabelSet

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
UNITS: Final = ("coin", "address", "record")
"""`record`: accounts of records, and each ledger by its own."""
_NAMED_STOPS: Final = {"coin": ("coinjoin",), "address": ("deposit",), "record": ("coinjoin", "deposit")}
_CATEGORY: Final = re.compile(r"label:[a-z0-9_]{1,40}")
_OUTPUTS: Final = re.compile(r"outputs:[1-9][0-9]{0,5}")
LABEL_STOPS: Final = tuple(f"label:{category}" for category in (*CUSTODIANS, *MIXERS))
"""Stops by default where there are labels."""


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
    stops: tuple[str, ...] | None = None
    """Rules by name: `labels` (LABEL_STOPS), `label:CATEGORY`; of coins `coinjoin`, `outputs:N`; of accounts `deposit`.
    An empty tuple: none. None: `labels` where there are any, and `coinjoin` or `deposit`."""
    labels: LabelSet | None = None
    """What sources say of addresses."""
    overrides: Mapping[str, str] = field(default_factory=dict)
    """Transactions and addresses that rules of `stops` do not stop at, each with the reason."""
    asset: str | None = None
    """Account chains: label only what arrives of this asset (`native`, a contract, `trc10:<number>`)."""
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
        for name, known in known_values:
            value = getattr(self, name)
            if value not in known and value in PLANNED.get(name, ()):
                raise UsageError(f"{name} {value!r} is defined but not built yet; there is {', '.join(known)}")
            if value not in known:
                raise UsageError(f"there is no {name} {value!r}; there is {', '.join(known)}")
        if self.direction == "backward":
            if self.unit == "coin":
                raise UsageError("direction 'backward' is defined for coins but not built yet; there is forward")
            if self.method not in INVERTIBLE:
                raise UsageError(f"{self.method} has no inverse: backward there is {' and '.join(INVERTIBLE)}")
            if self.min_amount is not None or self.links is not None:
                raise UsageError("a minimum amount and links are for forward trails; leave them out")
        if self.unit == "coin" and (self.asset is not None or self.links is not None):
            raise UsageError("assets and links are matters of account chains; leave them out")
        self._check_stops()
        if self.segments and self.unit != "coin":
            raise UsageError("segments are listed for coins only; leave --segments out")
        if self.segments and self.method != "fifo":
            raise UsageError(f"segments have an order only under fifo, not under {self.method}")
        if self.min_amount is not None and self.min_amount < 1:
            raise UsageError(f"a minimum amount of {self.min_amount} satoshi stops nothing; give 1 or more")
        if self.max_hops is not None and self.max_hops < 1:
            raise UsageError(f"a limit of {self.max_hops} hops would look at nothing; give 1 or more")

    def _check_stops(self) -> None:
        if self.stops == ("none",):
            object.__setattr__(self, "stops", ())
        if isinstance(self.stops, str) or not all(isinstance(name, str) for name in self.stops or ()):
            raise UsageError("stops are a list of names, such as ('coinjoin',); an empty one turns all off")
        coins, own = self.unit != "address", _NAMED_STOPS[self.unit]
        for name in self.stops or ():
            if _CATEGORY.fullmatch(name) or name in ("labels", *own):
                if "label" in name and self.labels is None:
                    raise UsageError(f"stop rule {name}: there are no labels; name a table of them by --labels FILE")
            elif not (_OUTPUTS.fullmatch(name) and coins):
                known = ", ".join(("labels", "label:CATEGORY", *own, *(("outputs:N",) if coins else ())))
                raise UsageError(
                    f"there is no stop rule {name[:60]!r}; with unit {self.unit} there is {known}, or none"
                )
        if sum(name.startswith("outputs:") for name in self.stops or ()) > 1:
            raise UsageError("two limits of outputs: give one")
        if self.stops and self.direction == "backward":
            raise UsageError("stop rules are for forward trails; leave them out")
        if self.overrides and self.direction == "backward":
            raise UsageError("overrides are for forward trails; leave them out")
        for name, reason in self.overrides.items():
            if not (_is_text(name) and _is_text(reason)):
                raise UsageError(f"an override and its reason are texts (UTF-8), not {name!r}: {reason!r}")
            if not reason.strip():
                raise UsageError(f"going on past {name[:80]} needs a reason, which every report of the trail carries")

    @property
    def rules(self) -> list[tuple[str, int]]:
        """The stop rules in force, in order: the first that matches wins. Each with its limit, 0 where it has none."""
        if self.direction == "backward":
            return [("hops", self.max_hops)] if self.max_hops is not None else []
        coins = self.unit == "coin"
        asked = ("labels", "coinjoin" if coins else "deposit") if self.stops is None else self.stops
        labels = [name for name in LABEL_STOPS if "labels" in asked] if self.labels is not None else []
        labels += sorted(name for name in {*asked} - {*labels} if name.startswith("label:"))
        received = [*labels, *(["deposit"] if "deposit" in asked else [])]
        limits = (("min-amount", self.min_amount), ("hops", self.max_hops))
        outputs = [("outputs", int(name.partition(":")[2])) for name in asked if name.startswith("outputs:")]
        return [
            *((name, 0) for name in received),
            *((name, value) for name, value in limits if value is not None),
            *([("coinjoin", 0)] if "coinjoin" in asked else []),
            *outputs,
        ]

    def document(self, as_of: int | None) -> dict[str, Any]:
        """As it stands in a trail's JSON; `as_of` is the height in force."""
        document: dict[str, Any] = {
            "method": self.method,
            "unit": self.unit,
            "direction": self.direction,
            "fees": self.fees,
            "as_of": as_of,
            "stops": [f"{name}:{value}" if value else name for name, value in self.rules],
            "overrides": [{"past": name, "reason": reason} for name, reason in sorted(self.overrides.items())],
        }
        if self.segments:
            document["segments"] = True
        if self.asset is not None:
            document["asset"] = self.asset
        return document


def _is_text(value: object) -> bool:
    """Whether it can stand in a document: a text without halves of characters."""
    return isinstance(value, str) and not any("\ud800" <= c <= "\udfff" for c in value)
