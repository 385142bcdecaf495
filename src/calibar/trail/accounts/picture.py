"""The picture of an account chain's trail as numbers. Pure: same trail, same picture.

Time runs from left to right. An account is a lane: it begins with a bar at its first traced receipt and is as thick as
what it holds of the traced value at each moment. A transfer is a band from lane to lane. Each asset has a panel and a
scale of its own; a conversion stands between two panels. Amounts are base units; lengths are in the picture's own.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from calibar.trail.accounts.lanes import Amounts, Flow, Scene, scene, thickness
from calibar.trail.accounts.places import BAR, LEFT, LINE, RIGHT, Places, lines, places


@dataclass(frozen=True, slots=True)
class Node:
    """A source, a lane's beginning, a conversion, a destruction, an end, or a hot wallet that a rule infers.

    `members` are accounts of a lane, holdings of an end, steps of a conversion or a destruction, the label group of a
    source. `at` is where its text stands.
    """

    kind: str
    asset: str
    members: tuple[Any, ...]
    amounts: Amounts
    x: float
    y: float
    width: float
    height: float
    at: float
    other: tuple[str, Amounts] = ("", {})
    """Of a conversion: the asset received, and how much."""
    side: float = 0.0
    """Of a conversion: where its text begins."""


@dataclass(frozen=True, slots=True)
class Ribbon:
    """What one band carries of one group from node to node: body, source, move, give, take, burn, end or hot."""

    kind: str
    start: int
    end: int
    group: int
    amount: int
    asset: str
    steps: tuple[int, ...]
    path: str


@dataclass(frozen=True, slots=True)
class Panel:
    """One asset's part: its measure is `sample` base units, `length` high."""

    asset: str
    y: float
    height: float
    sample: int
    length: float


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything to draw. `dates` are (x, unix seconds); `marks` and `leaks` are (x, y, steps) and (path, ...)."""

    width: float
    height: float
    groups: tuple[tuple[str, ...], ...]
    panels: tuple[Panel, ...]
    nodes: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]
    marks: tuple[tuple[float, float, tuple[int, ...]], ...]
    leaks: tuple[tuple[str, str, Amounts], ...]
    dates: tuple[tuple[float, int], ...]
    summed: bool


def picture(trail: Mapping[str, Any]) -> Picture:
    """Lay a forward trail out; with many steps the smallest accounts and moments are drawn together."""
    found = scene(trail)
    return _Drawing(found, places(found)).drawn()


class _Drawing:
    """Put shapes to places."""

    def __init__(self, found: Scene, at: Places) -> None:
        self.found, self.leave, self.arrive, self.right = found, at.leave, at.arrive, at.right
        self.base, self.gates, self.profiles, self.panels = at.base, at.gates, at.profiles, at.panels
        self.nodes: list[Node] = []
        self.bodies: list[Ribbon] = []
        self.bands: list[Ribbon] = []
        self.marks: list[tuple[float, float, tuple[int, ...]]] = []
        self.leaks: list[tuple[str, str, Amounts]] = []

    def drawn(self) -> Picture:
        """All of it."""
        found = self.found
        for n in range(len(found.lanes)):
            self.lane(n)
        self.conversions()
        for number, flow in enumerate(found.flows):
            self.flow(number, flow)
        for n in range(len(found.lanes)):
            self.ends(n)
        rows = []
        for asset, (y, height) in zip(found.assets, self.panels, strict=True):
            sample, length = _sample(found.scale[asset])
            rows.append(Panel(asset, round(y, 1), round(height, 1), sample, round(length, 1)))
        dates: list[tuple[float, int]] = []
        for column, time in enumerate(found.times, 1):
            if time is not None and (not dates or self.leave[column] - dates[-1][0] >= 70):
                dates.append((self.leave[column], time))
        low = max((y + height for y, height in self.panels), default=0.0)
        ribbons, marks = (*self.bodies, *self.bands), tuple(self.marks)
        size = round(self.right + RIGHT, 1), round(low + 30, 1)
        return Picture(
            *size,
            groups=found.groups,
            panels=tuple(rows),
            nodes=tuple(self.nodes),
            ribbons=ribbons,
            marks=marks,
            leaks=tuple(self.leaks),
            dates=tuple(dates),
            summed=found.summed,
        )

    def node(
        self, kind: str, asset: str, members: tuple[Any, ...], amounts: Amounts, box: tuple[float, float, float, float],
        at: float = 0.0, other: tuple[str, Amounts] = ("", {}), side: float = 0.0,
    ) -> int:  # fmt: skip
        """Add a node, at least visibly high; give its number."""
        x, y, width, height = (round(side, 1) for side in box)
        self.nodes.append(Node(kind, asset, members, amounts, x, y, width, max(height, 3.0), round(at, 1), other, side))
        return len(self.nodes) - 1

    def bundle(
        self, kind: str, ends: tuple[int, int], asset: str, amounts: Amounts, box: tuple[float, float, float, float],
        steps: tuple[int, ...] = (),
    ) -> None:  # fmt: skip
        """Add a band of each group from (x, y) to (x, y), stacked."""
        left, start, right, end = box
        for group, amount in sorted(amounts.items()):
            thick = amount * self.found.scale[asset]
            path = band(left, start, right, end, max(thick, 0.7))
            self.bands.append(Ribbon(kind, *ends, group, amount, asset, steps, path))
            start, end = start + thick, end + thick

    def lane(self, n: int) -> None:
        """A lane's bar and body. Lanes are the first nodes, so that a lane's number is its node's."""
        lane, profile, base = self.found.lanes[n], self.profiles[n], self.base[n]
        x, _, top, held = profile.parts[0] if profile.parts else (self.arrive[lane.first], 0.0, 0.0, {})
        tall = sum(held.values()) * self.found.scale[lane.asset]
        box = (x, base + top, BAR, tall)
        self.node("lane", lane.asset, lane.accounts, lane.received, box, base + profile.low - 4)
        shapes: dict[int, str] = defaultdict(str)
        for left, right, at, groups in profile.parts:
            y = base + at
            for group, amount in sorted(groups.items()):
                thick = amount * self.found.scale[lane.asset]
                shapes[group] += f"M{left:.1f} {y:.1f}H{right:.1f}v{max(thick, 0.7):.1f}H{left:.1f}z"
                y += thick
        for group, path in shapes.items():
            amount = lane.received.get(group, 0)
            self.bodies.append(Ribbon("body", n, n, group, amount, lane.asset, (), path))

    def conversions(self) -> None:
        """Conversion nodes, after the lanes in the order of the scene's list."""
        used: dict[tuple[int, int], float] = defaultdict(float)
        told: dict[tuple[int, float], float] = defaultdict(float)
        for conversion in self.found.conversions:
            spot = conversion.gate, conversion.column
            x = (self.leave[conversion.column] + self.arrive[conversion.column]) / 2 - 5
            y = self.gates[conversion.gate] + used[spot]
            used[spot] += conversion.height + 14
            box = (x, y, 10.0, conversion.height)
            other = (conversion.received_asset, conversion.received)
            at, side = y + conversion.height / 2, self.arrive[conversion.column] - 2
            row = conversion.gate, used[spot]
            side = side if side >= told[row] else 0.0
            told[row] = max(told[row], side + 130)
            self.node("conversion", conversion.given_asset, conversion.steps, conversion.given, box, at, other, side)

    def flow(self, number: int, flow: Flow) -> None:
        """One band, with its mark of proof."""
        left, right = self.leave[flow.column], self.arrive[flow.column]
        thick = thickness(self.found, flow)
        start = end = 0.0
        if flow.start >= 0:
            start = self.base[flow.start] + self.profiles[flow.start].touch[number, "start"]
        if flow.end >= 0:
            end = self.base[flow.end] + self.profiles[flow.end].touch[number, "end"]
        gate = self.nodes[len(self.found.lanes) + flow.conversion] if flow.conversion >= 0 else None
        if flow.kind == "source":
            (group,) = flow.amounts
            box = (LEFT, end, BAR, thick)
            source = self.node("source", flow.asset, (group,), flow.amounts, box, end + thick / 2)
            self.bundle("source", (source, flow.end), flow.asset, flow.amounts, (left, end, right, end))
            return
        if flow.kind == "fee":
            thick = max(thick, 1.5)
            low = start + thick
            path = f"M{left:.1f} {low - thick:.1f}l5 {thick + 4:.1f}l-5 -4z"
            self.leaks.append((path, flow.asset, flow.amounts))
            return
        if flow.kind == "burn":
            box = (left + 14, start, 9.0, thick)
            burnt = self.node(
                "burn", flow.asset, flow.steps, flow.amounts, box, start + thick / 2 if thick >= 3 else 0.0
            )
            self.bundle(
                "burn", (flow.start, burnt), flow.asset, flow.amounts, (left, start, left + 14, start), flow.steps
            )
        elif gate is not None and flow.kind == "give":
            place = len(self.found.lanes) + flow.conversion
            ends = (flow.start, place)
            self.bundle("give", ends, flow.asset, flow.amounts, (left, start, gate.x, gate.y), flow.steps)
        elif gate is not None:
            place = len(self.found.lanes) + flow.conversion
            box = (gate.x + 10, gate.y, right, end)
            self.bundle("take", (place, flow.end), flow.asset, flow.amounts, box, flow.steps)
            left, start = right - 9, end
        else:
            self.bundle("move", (flow.start, flow.end), flow.asset, flow.amounts, (left, start, right, end), flow.steps)
        if thick >= 1.5 or not self.found.summed:
            self.marks.append((round(left + 4, 1), round(start + thick / 2, 1), flow.steps))

    def ends(self, n: int) -> None:
        """Where a lane's value rests, and the hot wallet of an inferred deposit address."""
        lane, profile = self.found.lanes[n], self.profiles[n]
        scale = self.found.scale[lane.asset]
        y = self.base[n] + (profile.parts[-1][2] if profile.parts else 0.0)
        whole = sum(sum(amounts.values()) for _, amounts in lane.ends) * scale
        line = y + whole / 2 - LINE * (lines(lane) - 1) / 2
        line = max(line, self.base[n] + profile.low + 6)
        x, last = self.right + 12, -1
        for members, amounts in lane.ends:
            thick = sum(amounts.values()) * scale
            last = self.node("end", lane.asset, members, amounts, (x, y, 9.0, thick), line)
            self.bundle("end", (n, last), lane.asset, amounts, (self.right, y, x, y))
            y, line = y + thick, line + LINE
        if lane.hot and last >= 0:
            box = (x + 17, line - 3.5, 7.0, 7.0)
            hot = self.node("hot", lane.asset, (lane.hot,), {}, box, line)
            path = f"M{x + 9:.1f} {max(y - 1, line - 12):.1f}Q{x + 12:.1f} {line:.1f} {x + 17:.1f} {line:.1f}"
            self.bands.append(Ribbon("hot", last, hot, 0, 0, lane.asset, (), path))


def band(left: float, start: float, right: float, end: float, thick: float) -> str:
    """Outline a band, level at both ends."""
    middle = (left + right) / 2
    if abs(start - end) < 0.05:
        return f"M{left:.1f} {start:.1f}H{right:.1f}v{thick:.1f}H{left:.1f}z"
    return (
        f"M{left:.1f} {start:.1f}C{middle:.1f} {start:.1f} {middle:.1f} {end:.1f} {right:.1f} {end:.1f}"
        f"v{thick:.1f}C{middle:.1f} {end + thick:.1f} {middle:.1f} {start + thick:.1f} {left:.1f} {start + thick:.1f}z"
    )


def _sample(scale: float) -> tuple[int, float]:
    """A round number of base units that is 8 to 20 high; one where a single unit is higher."""
    sample = 1
    while sample * scale < 8:
        digit = int(str(sample)[0])
        sample = sample * (2 if digit != 2 else 5) // (1 if digit != 2 else 2)
    return sample, min(sample * scale, 20.0)
