"""The picture of a trail as numbers: where each bar, ribbon and end is drawn. Pure: same trail, same picture.

Time runs from left to right: sources, then transactions in layers (each to the right of all it takes traced coins
from), then the ends where value rests. Ribbons are coins, as thick as what they carry. The layered drawing follows
Sugiyama, Tagawa, Toda (1981): long ribbons pass through every column, barycentre sweeps reduce crossings; then each
column is placed by an exact isotonic fit. Amounts are satoshi; lengths are in the picture's own units.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise
from typing import Any, Final, Literal

from calibar.errors import UsageError
from calibar.trail.table import totals

GROUPS: Final = 8
"""Labels drawn apart; where there are more, the smallest share the last one."""
ENDS: Final = 60
"""Ends drawn apart, so that their texts stay legible."""
_FULL: Final = 220.0  # height of everything that went in
_THIN: Final = 0.7  # the thinnest ribbon still seen
_TOP: Final = 16.0
_LEFT: Final = 118.0  # room for the sources' texts
_RIGHT: Final = 300.0  # room for the ends' texts
_INNER: Final = 600.0  # what the columns share, unless there are many
_PITCH: Final = 15.0  # between the texts of two ends

Amounts = dict[int, int]
"""Satoshi by group of labels."""
Kind = Literal["source", "step", "steps", "end", "ends"]


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


@dataclass(slots=True)
class _Link:
    start: int
    end: int
    coin: str
    amounts: Amounts
    count: int = 1


@dataclass(slots=True)
class _Graph:
    """What flows where. Nodes stand in the order sources, steps, ends."""

    kinds: list[Kind]
    members: list[tuple[int, ...]]
    column: list[int]
    links: list[_Link]
    leaks: dict[int, Amounts]

    def elements(self) -> int:
        return len(self.kinds) + sum(len(link.amounts) for link in self.links) + len(self.leaks)


def picture(trail: Mapping[str, Any], limit: int = 1500) -> Picture:
    """Lay a forward trail out with at most `limit` bars, ribbons, ends and leaks; the smallest beyond are summed.

    `limit` is 500 or more: so much is needed where many labels mix.
    Raises UsageError where the steps spend each other in a circle, BalanceError where the totals do not re-add.
    """
    groups = _groups(trail)
    graph = _bounded(_graph(trail, groups), [h["state"] for h in trail["holdings"]], limit)
    whole = sum(total.received for total in totals(trail))
    return _drawn(graph, groups, [step["time"] for step in trail["steps"]], _FULL / max(whole, 1))


def _groups(trail: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    rows = totals(trail)
    if len(rows) <= GROUPS:
        return tuple((row.label,) for row in rows)
    large = {row.label for row in sorted(rows, key=lambda row: -row.received)[: GROUPS - 1]}
    apart = tuple((row.label,) for row in rows if row.label in large)
    return (*apart, tuple(row.label for row in rows if row.label not in large))


def _sum(*parts: Amounts) -> Amounts:
    whole: Amounts = {}
    for part in parts:
        for group, amount in part.items():
            whole[group] = whole.get(group, 0) + amount
    return {group: whole[group] for group in sorted(whole) if whole[group]}


def _less(amounts: Amounts) -> Amounts:
    return {group: -amount for group, amount in amounts.items()}


def _graph(trail: Mapping[str, Any], groups: Sequence[Sequence[str]]) -> _Graph:
    steps, holdings, first = trail["steps"], trail["holdings"], len(groups)
    group_of = {label: number for number, group in enumerate(groups) for label in group}
    links: list[_Link] = []
    made: dict[str, tuple[int, Amounts]] = {}

    def grouped(traced: Mapping[str, int]) -> Amounts:
        return _sum(*({group_of[label]: amount} for label, amount in traced.items()))

    def arrive(coin: str, amounts: Amounts, end: int) -> None:
        start, brought = made.pop(coin, (end, {}))
        shared = {g: min(a, brought[g]) for g, a in amounts.items() if g in brought}
        links.extend(_Link(g, end, coin, {g: a}) for g, a in _sum(amounts, _less(shared)).items())
        if shared:
            links.append(_Link(start, end, coin, shared))

    for number, step in enumerate(steps, first):
        made |= {out["coin"]: (number, grouped(out["traced"])) for out in step["outputs"]}
    payer = {step["txid"]: number for number, step in enumerate(steps, first)}
    leaks = {number: grouped(step["fee_traced"]) for number, step in enumerate(steps, first)}
    for number, step in enumerate(steps, first):
        for coin in step["inputs"]:
            amounts = grouped(coin["traced"])
            if coin["coin"] is not None and amounts:
                arrive(coin["coin"], amounts, number)
            elif amounts and coin.get("fee_of") in payer:
                start = payer[coin["fee_of"]]
                leaks[start] = _sum(leaks[start], _less(amounts))
                links.append(_Link(start, number, "", amounts))
        # More out than in is a source born here; more in than out is what a miner did not claim.
        went_out = (grouped(out["traced"]) for out in step["outputs"])
        went_in = (_less(grouped(coin["traced"])) for coin in step["inputs"])
        over = _sum(grouped(step["fee_traced"]), *went_out, *went_in)
        links.extend(_Link(g, number, "", {g: a}) for g, a in over.items() if a > 0)
        leaks[number] = _sum(leaks[number], {g: -a for g, a in over.items() if a < 0})
    for number, holding in enumerate(holdings, first + len(steps)):
        arrive(holding["coin"], grouped(holding["traced"]), number)

    kinds: list[Kind] = [*["source"] * first, *["step"] * len(steps), *["end"] * len(holdings)]  # type: ignore[list-item]
    members: list[tuple[int, ...]] = [(n,) for many in (first, len(steps), len(holdings)) for n in range(many)]
    graph = _Graph(kinds, members, [0] * len(kinds), links, {n: a for n, a in leaks.items() if a})
    return _layered(graph, first)


def _layered(graph: _Graph, first: int) -> _Graph:
    """Put each step one column after the last that feeds it, and all ends into the column after the last step."""
    feeds: dict[int, list[int]] = {number: [] for number in range(len(graph.kinds))}
    for link in graph.links:
        feeds[link.end].append(link.start)
    try:
        order = list(TopologicalSorter(feeds).static_order())
    except CycleError as error:
        raise UsageError(
            f"trail: steps[{error.args[1][0] - first}] spends what it made itself, in a circle; trace again"
        ) from None
    for node in order:
        if graph.kinds[node] == "step":
            graph.column[node] = 1 + max((graph.column[start] for start in feeds[node]), default=0)
    last = 1 + max(graph.column, default=0)
    graph.column = [last if kind == "end" else c for kind, c in zip(graph.kinds, graph.column, strict=True)]
    return graph


def _bounded(graph: _Graph, states: Sequence[str], limit: int) -> _Graph:
    """Sum the smallest until at most `limit` elements remain; columns are joined where there are very many."""
    through = _through(graph)
    ends = sorted((n for n, kind in enumerate(graph.kinds) if kind == "end"), key=lambda n: -through[n])
    home: list[object] = list(range(len(graph.kinds)))
    for n in ends[min(ENDS, limit // 10) :]:
        home[n] = states[graph.members[n][0]]
    graph = _merged(graph, home, graph.column)
    # What cannot be among the kept goes first, so that the search below works on little.
    best = graph = _summed(graph, 80, limit)
    for columns in (80, 40, 20, 10, 5):
        low, high = 0, limit + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _summed(graph, columns, middle).elements() <= limit else (low, middle)
        best = _summed(graph, columns, low)
        if low == limit or low >= 2 * columns:
            break
    return best


def _through(graph: _Graph) -> list[int]:
    through = [0] * len(graph.kinds)
    for link in graph.links:
        through[link.end] += sum(link.amounts.values())
    return through


def _summed(graph: _Graph, columns: int, keep: int) -> _Graph:
    """Keep the `keep` largest (joined) steps apart and sum the others of each column."""
    layers = max(graph.column) - 1
    column = [0 if not c else 1 + (c - 1) * columns // max(columns, layers) for c in graph.column]
    joined = _joined(graph, column)
    size: dict[int, int] = defaultdict(int)
    for n, amount in enumerate(_through(graph)):
        if n in joined:
            size[joined[n]] += amount
    kept = set(sorted(size, key=lambda n: -size[n])[:keep])
    home: list[object] = list(range(len(graph.kinds)))
    for n, cluster in joined.items():
        home[n] = cluster if cluster in kept else ("steps", column[n])
    return _merged(graph, home, column)


def _joined(graph: _Graph, column: Sequence[int]) -> dict[int, int]:
    """Join the steps of one column that feed each other; give each step the first of those it is joined with."""
    home = {n: n for n, kind in enumerate(graph.kinds) if kind in {"step", "steps"}}

    def root(n: int) -> int:
        while home[n] != n:
            home[n] = n = home[home[n]]
        return n

    for link in graph.links:
        if link.start in home and link.end in home and column[link.start] == column[link.end]:
            one, other = sorted((root(link.start), root(link.end)))
            home[other] = one
    return {n: root(n) for n in home}


def _merged(graph: _Graph, home: Sequence[object], column: Sequence[int]) -> _Graph:
    """Draw as one the nodes with the same home; their links to one other node become one link where they must."""
    number: dict[object, int] = {}
    merged = _Graph([], [], [], [], {})
    members: list[list[int]] = []
    for n, place in enumerate(home):
        if place not in number:
            number[place] = len(number)
            merged.kinds.append(graph.kinds[n])
            merged.column.append(column[n])
            members.append([])
        members[number[place]] += graph.members[n]
    many: dict[Kind, Kind] = {"step": "steps", "end": "ends"}
    merged.members = [tuple(some) for some in members]
    merged.kinds = [many.get(k, k) if len(m) > 1 else k for k, m in zip(merged.kinds, members, strict=True)]
    single = [kind in {"step", "end"} for kind in merged.kinds]
    links: dict[tuple[int, int, str], _Link] = {}
    for link in graph.links:
        start, end = number[home[link.start]], number[home[link.end]]
        if start == end:
            continue
        key = (start, end, link.coin if single[start] and single[end] else "")
        if known := links.get(key):
            known.count += 1
            for group, amount in link.amounts.items():
                known.amounts[group] = known.amounts.get(group, 0) + amount
        else:
            links[key] = _Link(start, end, link.coin, dict(link.amounts))
    merged.links = list(links.values())
    for link in merged.links:
        link.amounts = dict(sorted(link.amounts.items()))
    for n, amounts in graph.leaks.items():
        place = number[home[n]]
        merged.leaks[place] = _sum(merged.leaks.get(place, {}), amounts)
    return merged


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


def _canvas(graph: _Graph, scale: float) -> _Canvas:
    into, out = [0.0] * len(graph.kinds), [0.0] * len(graph.kinds)
    for n, amounts in graph.leaks.items():
        out[n] += _thick(amounts, scale)
    columns: list[list[int]] = [[] for _ in range(max(graph.column) + 1)]
    for n, column in enumerate(graph.column):
        columns[column].append(n)
    canvas = _Canvas(columns, [], [], [], list(range(len(graph.kinds))), [([], []) for _ in graph.kinds])
    passing: list[float] = []
    for link in graph.links:
        thick = _thick(link.amounts, scale)
        out[link.start] += thick
        into[link.end] += thick
        route = [link.start]
        for column in range(graph.column[link.start] + 1, graph.column[link.end]):
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


def _settle(graph: _Graph, canvas: _Canvas) -> tuple[list[float], list[list[float]]]:
    """Give each item its top, and each link where it touches its two nodes, measured from their tops."""
    place = {item: n for column in canvas.columns for n, item in enumerate(column)}
    touch = [[0.0, 0.0] for _ in canvas.routes]
    for side, node, ahead in ((0, 0, 1), (1, -1, -2)):
        used = [0.0] * len(graph.kinds)
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
    gaps = [_gaps(graph, canvas, column) for column in canvas.columns]

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
        weights = [1000.0 if item < len(graph.kinds) else canvas.tall[item] for item in column]
        fit(number, [straight[item] for item in column], weights)
    above = min(top, default=0.0)
    return [y - above + _TOP for y in top], touch


def _gaps(graph: _Graph, canvas: _Canvas, column: Sequence[int]) -> list[float]:
    """How far below the first item of a column each must at least stand, top to top."""
    kinds, below = graph.kinds, 0.0
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


def _drawn(graph: _Graph, groups: tuple[tuple[str, ...], ...], times: Sequence[int | None], scale: float) -> Picture:
    canvas = _canvas(graph, scale)
    _untangle(canvas)
    top, touch = _settle(graph, canvas)
    pitch = max(_INNER / (len(canvas.columns) - 1), 13.0)
    bar = min(9.0, pitch * 0.45)
    column_of = {item: n for n, column in enumerate(canvas.columns) for item in column}
    x = [_LEFT + column_of[item] * pitch for item in range(len(canvas.near))]

    ribbons = []
    for link, route, (leaving, arriving) in zip(graph.links, canvas.routes, touch, strict=True):
        y = [top[item] for item in route]
        y[0], y[-1] = y[0] + leaving, y[-1] + arriving
        for group, amount in link.amounts.items():
            thick = max(_THIN, amount * scale)
            path = _band([x[item] for item in route], y, bar, thick)
            ribbons.append(Ribbon(link.start, link.end, group, amount, link.coin, link.count, path))
            y = [at + thick for at in y]

    through: list[list[Amounts]] = [[graph.leaks.get(n, {})] for n in range(len(graph.kinds))]
    for link in graph.links:
        through[link.start].append(link.amounts)
    for link in graph.links:
        if graph.kinds[link.end] in {"end", "ends"}:
            through[link.end].append(link.amounts)
    nodes = tuple(
        Node(
            kind, members, _sum(*through[n]), round(x[n], 1), round(top[n], 1), round(bar, 1), round(canvas.tall[n], 1)
        )
        for n, (kind, members) in enumerate(zip(graph.kinds, graph.members, strict=True))
    )
    leaks = []
    for n, amounts in graph.leaks.items():
        thick = max(1.5, sum(amounts.values()) * scale)
        low = top[n] + canvas.tall[n]
        leaks.append(Leak(n, amounts, f"M{x[n] + bar:.1f} {low - thick:.1f}l6 {thick + 5:.1f}l-6 -5z"))

    dates: list[tuple[float, int]] = []
    for column in canvas.columns[1:-1]:
        known = [times[m] for n in column if n < len(nodes) for m in graph.members[n]]
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
