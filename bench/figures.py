"""What a benchmark measures: figures with targets, compared with the stored ones."""

from __future__ import annotations

import json
import os
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

BENCH: Final = Path(__file__).parent
OUT: Final = BENCH / "out"
STORED: Final = BENCH / "results.json"


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure."""

    name: str
    value: float
    unit: str
    at_least: float | None = None
    at_most: float | None = None

    @property
    def missed(self) -> bool:
        """Whether there is a target and the figure is on the wrong side of it."""
        below = self.at_least is not None and self.value < self.at_least
        return below or (self.at_most is not None and self.value > self.at_most)

    @property
    def target(self) -> str:
        """The target in words, empty where there is none."""
        if self.at_least is not None:
            return f">= {shown(self.at_least)}"
        return f"<= {shown(self.at_most)}" if self.at_most is not None else ""


def shown(value: float) -> str:
    """A number as people read it: three digits that count."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def seconds(action: Callable[[], object]) -> float:
    """How long `action` takes."""
    begun = time.perf_counter()
    action()
    return time.perf_counter() - begun


def interleaved(rounds: int, *actions: Callable[[], object]) -> list[list[float]]:
    """Seconds of each action in each round, the actions taking turns, so that what disturbs one disturbs all."""
    taken: list[list[float]] = [[] for _ in actions]
    for _ in range(rounds):
        for row, action in zip(taken, actions, strict=True):
            row.append(seconds(action))
    return taken


def median(values: Sequence[float]) -> float:
    """The middle value."""
    return statistics.median(values)


def median_ratio(above: Sequence[float], below: Sequence[float]) -> float:
    """Median over the rounds of one row divided by another."""
    return median([a / b for a, b in zip(above, below, strict=True)])


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    import numba  # noqa: PLC0415

    from calibar.kernels.sha256 import HAS_SHA_INSTRUCTIONS  # noqa: PLC0415

    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numba": numba.__version__,
        "sha_instructions": HAS_SHA_INSTRUCTIONS,
    }


def _processor() -> str:
    info = Path("/proc/cpuinfo")
    names = [line for line in info.read_text().splitlines() if line.startswith("model name")] if info.exists() else []
    return names[0].partition(":")[2].strip() if names else platform.processor()


def stored() -> Mapping[str, float]:
    """The stored figures by name."""
    if not STORED.exists():
        return {}
    figures = json.loads(STORED.read_text("utf-8"))["figures"]
    return {name: float(figure["value"]) for name, figure in figures.items()}


def store(figures: Sequence[Figure]) -> None:
    """Make `figures` the stored ones; others stay."""
    document = json.loads(STORED.read_text("utf-8")) if STORED.exists() else {"figures": {}}
    document["machine"] = machine()
    for figure in figures:
        document["figures"][figure.name] = {
            "value": float(f"{figure.value:.4g}"),
            "unit": figure.unit,
            "target": figure.target,
        }
    STORED.write_text(json.dumps(document, indent=1, sort_keys=True) + "\n", "utf-8")


def table(figures: Sequence[Figure], before: Mapping[str, float]) -> str:
    """The figures, one a line: name, figure, target, how it stands to the stored one."""
    width = max((len(figure.name) for figure in figures), default=0)
    lines = [f"{'':{width}}  {'figure':>22}  {'target':>9}  of stored"]
    for figure in figures:
        value = f"{shown(figure.value)} {figure.unit}"
        old = before.get(figure.name)
        ratio = "new" if old is None else f"{figure.value / old:.2f}" if old else ""
        mark = "  MISSED" if figure.missed else ""
        lines.append(f"{figure.name:{width}}  {value:>22}  {figure.target:>9}  {ratio:>9}{mark}")
    return "\n".join(lines)
