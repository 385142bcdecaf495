"""What was found at one place of one text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

FITS: Final = "checksum fits"
UNCHECKED: Final = "no checksum"
NEAR: Final = "near miss: "


@dataclass(frozen=True, slots=True)
class Hit:
    """A selector; `start` and `end` are offsets in the text."""

    kind: str
    value: str
    start: int
    end: int
    checked: str = UNCHECKED
    network: str | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    written: str | None = None
    """As written, where it may be repeated; else taken from the text."""

    @property
    def is_near(self) -> bool:
        """Whether it only looks like what `kind` says."""
        return self.checked.startswith(NEAR)


@dataclass(frozen=True, slots=True)
class Secret:
    """Something private; what it says is never kept."""

    kind: str
    start: int
    end: int
    is_rest: bool = False
    """Whether it only belongs to one that is reported already."""
