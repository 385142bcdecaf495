"""Watches of trails, whatever the chain: of coins, or of accounts."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

from calibar.errors import UsageError
from calibar.trail.accounts.hearing import KeptBack
from calibar.trail.accounts.watching import AccountWatch
from calibar.trail.cases import Tell, asking, unit_of
from calibar.trail.fetching import Limits, Progress
from calibar.trail.listening import Sparing
from calibar.trail.policy import Policy
from calibar.trail.watching import Watch


class Event(Protocol):
    """What became of something held."""

    @property
    def what(self) -> str:
        """`still`, `moved`, …"""

    @property
    def watched(self) -> Any:
        """What is held."""

    def document(self) -> dict[str, Any]:
        """As JSON and as the variables of a command."""


class Watching(Protocol):
    """What is under watch. `held` is what labelled value rests in; `trouble` what the last round could not learn."""

    trouble: list[str]

    @property
    def held(self) -> Sequence[Any]:
        """Coins, or accounts."""

    @property
    def unclear(self) -> Sequence[Any]:
        """What value came to and is not known to have left, though the sums do not say that it is there."""

    def document(self) -> dict[str, Any]:
        """What is watched, as JSON."""

    def state_of(self, watched: Any) -> Event:
        """How it stands with something held, by the last round."""

    def round(self) -> Sequence[Event]:
        """Ask of everything, and follow what moved. Raises UsageError where no server can be used."""

    def wait(self, seconds: float) -> None:
        """Until a server tells that something stirs, or `seconds` have passed."""


@contextmanager
def watching(
    folder: Path,
    references: Sequence[str],
    sources: Sequence[str],
    *,
    network_name: str | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    tell: Tell = lambda _: None,
) -> Iterator[Watching]:
    """Open the case in `folder`, or begin one, and watch the trail of REFs; see `calibar.trail.cases.gather`."""
    if not sources:
        raise UsageError("name a server to ask: --source URL")
    unit = unit_of(folder, references, network_name)
    rules = policy or Policy(unit=unit)
    with asking(
        folder, references, sources, network_name=network_name, learns="watches this trail", tell=tell,
        keeping=KeptBack if unit == "address" else Sparing,
    ) as (case, opened, keep):  # fmt: skip
        if isinstance(keep, KeptBack):
            yield AccountWatch(case, opened, keep, references, replace(rules, unit=unit), limits, progress)
        else:
            yield Watch(case, opened, references, rules, limits, progress)
