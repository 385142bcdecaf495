"""What really happened on a sandbox chain: the answers that an investigation of it is measured against."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from calibar.errors import DecodeError, UsageError


@dataclass(frozen=True, slots=True)
class Stolen:
    """A coin that a theft made: what an investigator is given to begin with."""

    victim: str
    coin: str
    amount: int
    height: int


@dataclass(frozen=True, slots=True)
class Event:
    """A transaction of the story and what it was."""

    txid: str
    height: int
    time: int
    what: str


@dataclass(frozen=True, slots=True)
class Owned:
    """An address: `actor` controls it, `role` says what for, `customer` whom a custodian keeps it for."""

    address: str
    actor: str
    role: str
    customer: str | None


@dataclass(frozen=True, slots=True)
class Left:
    """A coin of the thief, or of his deposits, that is unspent at the tip."""

    coin: str
    address: str
    role: str
    amount: int


@dataclass(frozen=True, slots=True)
class Truth:
    """The truth about one sandbox chain. Amounts are in satoshi, times in seconds since 1970."""

    scenario: str
    seed: str
    network: str
    height: int
    tip: str
    transactions: int
    stolen: tuple[Stolen, ...]
    events: tuple[Event, ...]
    left: tuple[Left, ...]
    addresses: tuple[Owned, ...]

    @property
    def refs(self) -> tuple[str, ...]:
        """The stolen coins, `txid:vout`, in chain order."""
        return tuple(stolen.coin for stolen in self.stolen)

    def of(self, actor: str) -> tuple[str, ...]:
        """The addresses that `actor` controls."""
        return tuple(owned.address for owned in self.addresses if owned.actor == actor)

    def write(self, path: Path) -> None:
        """Write as JSON."""
        path.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8", newline="\n")

    @classmethod
    def read(cls, path: Path) -> Truth:
        """Read what `write` wrote; UsageError where it cannot be read, DecodeError where it is something else."""
        try:
            text = path.read_text(encoding="utf-8")
        except OSError as error:
            raise UsageError(f"{path}: cannot be read ({error.strerror}); name a sandbox's truth.json") from None
        try:
            said = json.loads(text)
            rows = {"stolen": Stolen, "events": Event, "left": Left, "addresses": Owned}
            return cls(**{**said, **{name: tuple(row(**each) for each in said[name]) for name, row in rows.items()}})
        except (ValueError, TypeError, KeyError) as error:
            raise DecodeError(f"{path}: is no truth of a sandbox chain ({error}); write the sandbox anew") from None
