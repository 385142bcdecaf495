"""The picture of a trail as numbers: where each bar, ribbon and end is drawn. Pure: same trail, same picture.

Time runs from left to right: sources, then transactions in layers (each to the right of all it takes traced coins
from), then the ends where value rests. Ribbons are coins, as thick as what they carry. The layered drawing follows
Sugiyama, Tagawa, Toda (1981): long ribbons pass through every column, barycentre sweeps reduce crossings; then each
column is placed by an exact isotonic fit. Amounts are satoshi; lengths are in the picture's own units.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from calibar.trail.flow import Amounts, Flow, Kind, added, bounded, flow_of, groups_of
from calibar.trail.table import totals

_FULL: Final = 220.0  # height of everything that went in
_THIN: Final = 0.7  # the thinnest ribbon still seen
_TOP: Final = 16.0
_LEFT: Final = 118.0  # room for the sources' texts
_RIGHT: Final = 300.0  # room for the ends' texts
_INNER: Final = 600.0  # what the columns share, unless there are many
_PITCH: Final = 15.0  # between the texts of two ends


@dataclass(frozen=True, slots=True)
class Node:
    """A source, a transaction, a holding, or several of the latter two summed."""

    kind: Kind
    members: tuple[int, ...]
    """Places in the trail's steps or holdings; of a source, its group."""
    amounts: Amounts
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Ribbon:
    """What one coin (or several, summed) carries of one group from node `start` to node `end`."""

    start: int
    end: int
    group: int
    amount: int
    coin: str
    count: int
    path: str


@dataclass(frozen=True, slots=True)
class Leak:
    """Traced value that left at a node: paid as fee, or burnt."""

    node: int
    amounts: Amounts
    path: str


@dataclass(frozen=True, slots=True)
class Picture:
    """Everything to draw. `dates` are (x, unix seconds) of the earliest transaction of a column."""

    width: float
    height: float
    groups: tuple[tuple[str, ...], ...]
    nodes: tuple[Node, ...]
    ribbons: tuple[Ribbon, ...]
    leaks: tuple[Leak, ...]
    dates: tuple[tuple[float, int], ...]


def picture(trail: Mapping[str, Any], limit: int = 1500) -> Picture:
    """Lay a forward trail out with at most `limit` bars, ribbons, ends and leaks; the smallest beyond are summed.

    `limit` is 500 or more: so much is needed where many labels mix.
    Raises UsageError where the steps spend each other in a circle, BalanceError where the totals do not re-add.
    """
    groups = groups_of(trail)
    flow = bounded(flow_of(trail, groups), [h["state"] for h in trail["holdings"]], limit)
    whole = sum(total.received for total in totals(trail))
    return _drawn(flow, groups, [step["time"] for step in trail["steps"]], _FULL / max(whole, 1))


@dataclass(slots=True)
class _Canvas:
    """Nodes and, where a ribbon passes a column, the ribbon itself: items with a height, ordered in columns."""

    columns: list[list[int]]
    tall: list[float]
    routes: list[list[int]]
    """The items each link goes through, its nodes first and last."""
    thick: list[float]
    """The thickness of each link."""
    goal: list[int]
    """The node that an item leads to; a node leads to itself."""
    near: list[tuple[list[tuple[int, float]], list[tuple[int, float]]]]
    """Each item's neighbours to the left and to the right, with the thickness between."""


def _canvas(flow: Flow, scale: float) -> _Canvas:
    into, out = [0.0] * len(flow.kinds), [0.0] * len(flow.kinds)
    for n, amounts in flow.leaks.items():
        out[n] += _thick(amounts, scale)
    columns: list[list[int]] = [[] for _ in range(max(flow.column) + 1)]
    for n, column in enumerate(flow.column):
        columns[column].append(n)
    canvas = _Canvas(columns, [], [], [], list(range(len(flow.kinds))), [([], []) for _ in flow.kinds])
    passing: list[float] = []
    for link in flow.links:
        thick = _thick(link.amounts, scale)
        out[link.start] += thick
        into[link.end] += thick
        route = [link.start]
        for column in range(flow.column[link.start] + 1, flow.column[link.end]):
            route.append(len(canvas.near))
            columns[column].append(len(canvas.near))
            canvas.near.append(([], []))
            canvas.goal.append(link.end)
            passing.append(thick)
        route.append(link.end)
        for left, right in pairwise(route):
            canvas.near[left][1].append((right, thick))
            canvas.near[right][0].append((left, thick))
        canvas.routes.append(route)
        canvas.thick.append(thick)
    canvas.tall = [*(max(4.0, *both) for both in zip(into, out, strict=True)), *passing]
    return canvas


def _thick(amounts: Amounts, scale: float) -> float:
    return sum(max(_THIN, amount * scale) for amount in amounts.values())


def _untangle(canvas: _Canvas) -> None:
    """Order each column by its neighbours' mean place, sweeping to and fro; keep the order that crosses least."""
    columns = canvas.columns
    place = {item: n for column in columns for n, item in enumerate(column)}
    best, fewest = [list(column) for column in columns], _crossings(canvas, place)
    idle = 0
    for sweep in range(16):
        if not fewest or idle == 6:
            break
        side = sweep % 2
        for column in columns[1:] if side == 0 else columns[-2::-1]:
            mean = {}
            for item in column:
                near = canvas.near[item][side]
                weight = sum(thick for _, thick in near)
                mean[item] = sum(place[n] * thick for n, thick in near) / weight if near else float(place[item])
            column.sort(key=mean.__getitem__)
            place |= {item: n for n, item in enumerate(column)}
        crossings = _crossings(canvas, place)
        idle += 1
        if crossings < fewest:
            idle, best, fewest = 0, [list(column) for column in columns], crossings
    canvas.columns = best


def _crossings(canvas: _Canvas, place: Mapping[int, int]) -> int:
    count = 0
    for column in canvas.columns:
        seen: list[int] = []
        for item in sorted(column, key=place.__getitem__):
            rights = sorted(place[right] for right, _ in canvas.near[item][1])
            count += sum(len(seen) - bisect_right(seen, right) for right in rights)
            for right in rights:
                insort(seen, right)
    return count


def _settle(flow: Flow, canvas: _Canvas) -> tuple[list[float], list[list[float]]]:
    """Give each item its top, and each link where it touches its two nodes, measured from their tops."""
    place = {item: n for column in canvas.columns for n, item in enumerate(column)}
    touch = [[0.0, 0.0] for _ in canvas.routes]
    for side, node, ahead in ((0, 0, 1), (1, -1, -2)):
        used = [0.0] * len(flow.kinds)
        for n in sorted(range(len(touch)), key=lambda n: place[canvas.routes[n][ahead]]):
            touch[n][side] = used[canvas.routes[n][node]]
            used[canvas.routes[n][node]] += canvas.thick[n]
    pulls: list[list[list[tuple[int, float, float]]]] = [[[], []] for _ in canvas.near]
    for route, (leaving, arriving), thick in zip(canvas.routes, touch, canvas.thick, strict=True):
        for n, (left, right) in enumerate(pairwise(route)):
            drop = (leaving if n == 0 else 0.0) - (arriving if n == len(route) - 2 else 0.0)
            pulls[left][1].append((right, -drop, thick))
            pulls[right][0].append((left, drop, thick))
    top = [0.0] * len(canvas.near)
    gaps = [_gaps(flow, canvas, column) for column in canvas.columns]

    def fit(number: int, wanted: Sequence[float], weights: Sequence[float]) -> None:
        for item, y in zip(canvas.columns[number], _fit(wanted, weights, gaps[number]), strict=True):
            top[item] = y

    for number, column in enumerate(canvas.columns):
        fit(number, gaps[number], [1.0] * len(column))
    for sweep in range(20):
        sides = (0, 1) if sweep >= 16 else (sweep % 2,)
        for number in range(len(canvas.columns))[:: 1 - 2 * (sweep % 2)]:
            wanted, weights = [], []
            for item in canvas.columns[number]:
                near = [pull for side in sides for pull in pulls[item][side]]
                weight = sum(thick for _, _, thick in near)
                wanted.append(sum((top[n] + drop) * thick for n, drop, thick in near) / weight if near else top[item])
                weights.append(weight if near else canvas.tall[item])
            fit(number, wanted, weights)
    # Now the nodes stand; between them each long ribbon should run straight.
    straight = list(top)
    for route, (leaving, arriving) in zip(canvas.routes, touch, strict=True):
        start, end = top[route[0]] + leaving, top[route[-1]] + arriving
        for n in range(1, len(route) - 1):
            straight[route[n]] = start + (end - start) * n / (len(route) - 1)
    for number, column in enumerate(canvas.columns):
        weights = [1000.0 if item < len(flow.kinds) else canvas.tall[item] for item in column]
        fit(number, [straight[item] for item in column], weights)
    above = min(top, default=0.0)
    return [y - above + _TOP for y in top], touch


def _gaps(flow: Flow, canvas: _Canvas, column: Sequence[int]) -> list[float]:
    """How far below the first item of a column each must at least stand, top to top."""
    kinds, below = flow.kinds, 0.0
    tops: list[float] = []
    for n, item in enumerate(column):
        if n:
            above = column[n - 1]
            bars = sum(i < len(kinds) for i in (above, item))
            together = canvas.goal[above] == canvas.goal[item]
            below += canvas.tall[above] + (0.2 if together else (2.0, 6.0, 12.0)[bars])
            pitch = {"source": 2 * _PITCH, "end": _PITCH, "ends": _PITCH}.get(kinds[item], 0.0) if bars == 2 else 0.0
            below = max(below, tops[-1] + (canvas.tall[above] - canvas.tall[item]) / 2 + pitch)
        tops.append(below)
    return tops


def _fit(wanted: Sequence[float], weights: Sequence[float], gaps: Sequence[float]) -> list[float]:
    """Move least (weighted squares) from the wanted places so that the gaps are kept: pool adjacent violators."""
    pools: list[tuple[float, float, int]] = []
    for want, weight, gap in zip(wanted, weights, gaps, strict=True):
        mean, mass, many = want - gap, weight, 1
        while pools and pools[-1][0] > mean:
            other, heft, number = pools.pop()
            mean, mass, many = (mean * mass + other * heft) / (mass + heft), mass + heft, many + number
        pools.append((mean, mass, many))
    means = [mean for mean, _, many in pools for _ in range(many)]
    return [mean + gap for mean, gap in zip(means, gaps, strict=True)]


def _drawn(flow: Flow, groups: tuple[tuple[str, ...], ...], times: Sequence[int | None], scale: float) -> Picture:
    canvas = _canvas(flow, scale)
    _untangle(canvas)
    top, touch = _settle(flow, canvas)
    pitch = max(_INNER / (len(canvas.columns) - 1), 13.0)
    bar = min(9.0, pitch * 0.45)
    column_of = {item: n for n, column in enumerate(canvas.columns) for item in column}
    x = [_LEFT + column_of[item] * pitch for item in range(len(canvas.near))]

    ribbons = []
    for link, route, (leaving, arriving) in zip(flow.links, canvas.routes, touch, strict=True):
        y = [top[item] for item in route]
        y[0], y[-1] = y[0] + leaving, y[-1] + arriving
        for group, amount in link.amounts.items():
            thick = max(_THIN, amount * scale)
            path = _band([x[item] for item in route], y, bar, thick)
            ribbons.append(Ribbon(link.start, link.end, group, amount, link.coin, link.count, path))
            y = [at + thick for at in y]

    through: list[list[Amounts]] = [[flow.leaks.get(n, {})] for n in range(len(flow.kinds))]
    for link in flow.links:
        through[link.start].append(link.amounts)
    for link in flow.links:
        if flow.kinds[link.end] in {"end", "ends"}:
            through[link.end].append(link.amounts)
    nodes = tuple(
        Node(
            kind, members, added(*through[n]), round(x[n], 1), round(top[n], 1), round(bar, 1), round(canvas.tall[n], 1)
        )
        for n, (kind, members) in enumerate(zip(flow.kinds, flow.members, strict=True))
    )
    leaks = []
    for n, amounts in flow.leaks.items():
        thick = max(1.5, sum(amounts.values()) * scale)
        low = top[n] + canvas.tall[n]
        leaks.append(Leak(n, amounts, f"M{x[n] + bar:.1f} {low - thick:.1f}l6 {thick + 5:.1f}l-6 -5z"))

    dates: list[tuple[float, int]] = []
    for column in canvas.columns[1:-1]:
        known = [times[m] for n in column if n < len(nodes) for m in flow.members[n]]
        first = min((time for time in known if time is not None), default=None)
        at = round(x[column[0]] + bar / 2, 1)
        if first is not None and (not dates or at - dates[-1][0] >= 76):
            dates.append((at, first))
    below = max((node.y + node.height for node in nodes), default=0.0)
    width = round(_LEFT + (len(canvas.columns) - 1) * pitch + bar + _RIGHT, 1)
    return Picture(width, round(below + 34, 1), groups, nodes, tuple(ribbons), tuple(leaks), tuple(dates))


def _band(x: Sequence[float], y: Sequence[float], bar: float, thick: float) -> str:
    """Outline a ribbon through its columns: level at its ends, monotone cubics (Fritsch, Carlson 1980) between."""
    knots = [(x[0] + bar, y[0])]
    for n in range(1, len(x) - 1):
        before = (y[n] - knots[-1][1]) / (x[n] + bar / 2 - knots[-1][0])
        if abs(before - (y[n + 1] - y[n]) / (x[n + 1] - x[n])) > 0.02 or n in {1, len(x) - 2}:
            knots.append((x[n] + bar / 2, y[n]))
    knots.append((x[-1], y[-1]))
    secants = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in pairwise(knots)]
    slopes = [0.0, *(2 * a * b / (a + b) if a * b > 0 else 0.0 for a, b in pairwise(secants)), 0.0]
    over, under = f"M{knots[0][0]:.1f} {y[0]:.1f}", "z"
    for n, ((left, high), (right, low)) in enumerate(pairwise(knots)):
        reach = (right - left) / (2 if len(knots) == 2 else 3)
        a, b = high + slopes[n] * reach, low - slopes[n + 1] * reach
        over += f"C{left + reach:.1f} {a:.1f} {right - reach:.1f} {b:.1f} {right:.1f} {low:.1f}"
        back = f"C{right - reach:.1f} {b + thick:.1f} {left + reach:.1f} {a + thick:.1f} {left:.1f} {high + thick:.1f}"
        under = back + under
    return f"{over}V{y[-1] + thick:.1f}{under}"
