"""Where the lanes of an account trail's picture stand, and their shapes over time."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from calibar.trail.accounts.lanes import AFTER, Amounts, Flow, Lane, Scene, added, thickness

LEFT: Final = 104.0  # room for the sources' texts
RIGHT: Final = 330.0  # room for the ends' texts
BAR: Final = 6.0
LINE: Final = 14.5  # between the texts of two ends
_INNER: Final = 730.0  # what the columns share, unless there are many
_LABEL: Final = 15.0  # above each lane
_HEAD: Final = 34.0  # of each panel
_TRIALS: Final = 900


@dataclass(slots=True)
class Profile:
    """A lane's shape, measured from its own line: (x from, x to, top, what it holds), and where flows touch it."""

    parts: list[tuple[float, float, float, Amounts]]
    touch: dict[tuple[int, str], float]
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything stands: x of each column's bands, y of each lane's own line, of conversions and of panels."""

    leave: list[float]
    arrive: list[float]
    right: float
    base: list[float]
    gates: list[float]
    profiles: list[Profile]
    panels: list[tuple[float, float]]


def places(found: Scene) -> Places:
    """Place a scene: order its lanes, shape them, and stack what then has its true height."""
    leave, arrive = _moments(found)
    right = arrive[-1] + 26.0
    spans = [_span(lane, leave, arrive, right) for lane in found.lanes]
    heights = [max(_peak(found, n), 5.0) + _LABEL for n in range(len(found.lanes))]
    order = _ordered(found, spans, heights)
    tops, gates, _ = _stacked(found, order, spans, heights)
    profiles = [_profile(found, n, tops, gates, leave, arrive, right) for n in range(len(found.lanes))]
    rooms = [
        _LABEL + max(p.high - p.low, 5.0, LINE * lines(lane)) for p, lane in zip(profiles, found.lanes, strict=True)
    ]
    tops, gates, panels = _stacked(found, order, spans, rooms)
    base = [top + _LABEL - profile.low for top, profile in zip(tops, profiles, strict=True)]
    return Places(leave, arrive, right, base, gates, profiles, panels)


def _moments(found: Scene) -> tuple[list[float], list[float]]:
    """Where bands of each column leave and arrive; column 0 is the sources."""
    wide = [0.55, *(1.9 if flow_kinds & {"give", "take"} else 1.0 for flow_kinds in found.column_kinds())]
    gap = BAR + 6
    unit = max((_INNER - gap * len(wide)) / max(sum(wide), 1), 24.0)
    leave, arrive, x = [], [], LEFT + BAR
    for width in wide:
        leave.append(round(x, 1))
        x += min(width * unit, 130.0 * width)
        arrive.append(round(x, 1))
        x += gap
    return leave, arrive


def _span(lane: Lane, leave: Sequence[float], arrive: Sequence[float], right: float) -> tuple[float, float]:
    end = right + RIGHT if lane.last == AFTER else leave[lane.last] + 16
    return arrive[lane.first] - 4, max(end, arrive[lane.first] + 138)


def _peak(found: Scene, n: int) -> float:
    held, most = 0.0, 0.0
    for flow in found.flows:
        if flow.start == n:
            held -= thickness(found, flow)
        if flow.end == n:
            held += thickness(found, flow)
        most = max(most, held)
    return most


def lines(lane: Lane) -> int:
    """How many texts stand at a lane's end."""
    return len(lane.ends) + bool(lane.hot)


def _stacked(
    found: Scene, order: Sequence[Sequence[int]], spans: Sequence[tuple[float, float]], rooms: Sequence[float]
) -> tuple[list[float], list[float], list[tuple[float, float]]]:
    """Tops of lanes, each as high as those before it allow; where conversions stand under each panel; the panels."""
    tops, gates, panels = [0.0] * len(rooms), [], []
    y = 0.0
    for number, lanes in enumerate(order):
        start, low = y, y + _HEAD
        for i, n in enumerate(lanes):
            above = (
                tops[m] + rooms[m] + 5 for m in lanes[:i] if spans[m][0] < spans[n][1] and spans[n][0] < spans[m][1]
            )
            tops[n] = max(above, default=start + _HEAD)
            low = max(low, tops[n] + rooms[n])
        panels.append((start, low + 8 - start))
        gates.append(low + 22)
        y = low + 8 + (found.gates[number] + 30 if found.gates[number] else 10)
    return tops, gates, panels


def _ordered(found: Scene, spans: Sequence[tuple[float, float]], rooms: Sequence[float]) -> list[list[int]]:
    """Order lanes so that thick bands are short: move one lane at a time while that helps."""
    order = [[n for n, lane in enumerate(found.lanes) if lane.asset == asset] for asset in found.assets]
    weights = [thickness(found, flow) + 4 for flow in found.flows]

    def cost() -> float:
        tops, gates, panels = _stacked(found, order, spans, rooms)
        whole = 3 * (panels[-1][0] + panels[-1][1])
        for flow, weight in zip(found.flows, weights, strict=True):
            if flow.kind == "move":
                apart = tops[flow.start] + rooms[flow.start] / 2 - tops[flow.end] - rooms[flow.end] / 2
            elif flow.kind in ("give", "take"):
                apart = gates[found.conversions[flow.conversion].gate] - tops[flow.start + flow.end + 1]
            else:
                continue
            whole += weight * abs(apart)
        return whole

    best, trials = cost(), 0
    improved = True
    while improved and trials < _TRIALS:
        improved = False
        for lanes in order:
            for n in list(lanes):
                kept = lanes.index(n)
                for spot in range(len(lanes)):
                    lanes.remove(n)
                    lanes.insert(spot, n)
                    trials += 1
                    now = cost()
                    if now < best - 0.01:
                        best, kept, improved = now, spot, True
                lanes.remove(n)
                lanes.insert(kept, n)
                if trials >= _TRIALS:
                    return order
    return order


def _profile(
    found: Scene,
    n: int,
    place: Sequence[float],
    gates: Sequence[float],
    leave: Sequence[float],
    arrive: Sequence[float],
    right: float,
) -> Profile:
    """What goes up leaves at the top, what goes down at the bottom; arrivals likewise, the farthest outermost."""
    scale = found.scale[found.lanes[n].asset]
    events: dict[tuple[int, int], list[tuple[float, int]]] = defaultdict(list)

    def whither(flow: Flow, lane: int) -> float:
        if flow.conversion >= 0:
            return gates[found.conversions[flow.conversion].gate]
        return place[lane] if lane >= 0 else (place[n] + 1e6 if flow.kind in ("burn", "fee") else place[n] - 1)

    for number, flow in enumerate(found.flows):
        if flow.start == n:
            events[flow.column, 0].append((whither(flow, flow.end), number))
        if flow.end == n:
            events[flow.column, 1].append((whither(flow, flow.start), number))
    profile = Profile([], {}, 0.0, 0.0)
    held: Amounts = {}
    top = bottom = x = 0.0
    for (column, phase), touching in sorted(events.items()):
        now = leave[column] if phase == 0 else arrive[column]
        if held:
            profile.parts.append((x, now, top, held))
        x = now
        for far, number in sorted(touching, key=lambda item: -abs(item[0] - place[n]) * (1 - 2 * phase)):
            flow = found.flows[number]
            thick, above = thickness(found, flow), far < place[n]
            held = added(held, flow.amounts if phase else {g: -a for g, a in flow.amounts.items()})
            if phase == 0:
                profile.touch[number, "start"] = top if above else bottom - thick
                top, bottom = (top + thick, bottom) if above else (top, bottom - thick)
            else:
                profile.touch[number, "end"] = top - thick if above else bottom
                top, bottom = (top - thick, bottom) if above else (top, bottom + thick)
            profile.low, profile.high = min(profile.low, top), max(profile.high, bottom)
        held = {g: a for g, a in held.items() if a > 0}
        bottom = top + sum(held.values()) * scale
        if not held:
            top = bottom = 0.0
    if held:
        profile.parts.append((x, right, top, held))
    return profile
