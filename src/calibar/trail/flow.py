"""What flows where in a trail: sources, transactions and ends, and the coins between them. Pure.

Transactions stand in layers, each to the right of all it takes traced coins from. Where there are too many to draw,
the smallest are summed. Amounts are satoshi.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final, Literal

from calibar.errors import UsageError
from calibar.trail.table import totals

GROUPS: Final = 8
"""Labels drawn apart; where there are more, the smallest share the last one."""
ENDS: Final = 60
"""Ends drawn apart, so that their texts stay legible."""
Amounts = dict[int, int]
"""Satoshi by group of labels."""
Kind = Literal["source", "step", "steps", "end", "ends"]


@dataclass(slots=True)
class Link:
    """What a coin, or several, carry from one node to another."""

    start: int
    end: int
    coin: str
    amounts: Amounts
    count: int = 1


@dataclass(slots=True)
class Flow:
    """What flows where. Nodes stand in the order sources, steps, ends."""

    kinds: list[Kind]
    members: list[tuple[int, ...]]
    column: list[int]
    links: list[Link]
    leaks: dict[int, Amounts]

    def elements(self) -> int:
        """How many parts a picture of it has: nodes, ribbons, leaks."""
        return len(self.kinds) + sum(len(link.amounts) for link in self.links) + len(self.leaks)


def groups_of(trail: Mapping[str, Any]) -> tuple[tuple[str, ...], ...]:
    """Labels that are drawn alike, by group."""
    rows = totals(trail)
    if len(rows) <= GROUPS:
        return tuple((row.label,) for row in rows)
    large = {row.label for row in sorted(rows, key=lambda row: -row.received)[: GROUPS - 1]}
    apart = tuple((row.label,) for row in rows if row.label in large)
    return (*apart, tuple(row.label for row in rows if row.label not in large))


def added(*parts: Amounts) -> Amounts:
    """The sums by group, without those that are zero."""
    whole: Amounts = {}
    for part in parts:
        for group, amount in part.items():
            whole[group] = whole.get(group, 0) + amount
    return {group: whole[group] for group in sorted(whole) if whole[group]}


def _less(amounts: Amounts) -> Amounts:
    return {group: -amount for group, amount in amounts.items()}


def flow_of(trail: Mapping[str, Any], groups: Sequence[Sequence[str]]) -> Flow:
    """The whole flow of a forward trail, in layers. Raises UsageError where steps spend each other in a circle."""
    steps, holdings, first = trail["steps"], trail["holdings"], len(groups)
    group_of = {label: number for number, group in enumerate(groups) for label in group}
    links: list[Link] = []
    made: dict[str, tuple[int, Amounts]] = {}

    def grouped(traced: Mapping[str, int]) -> Amounts:
        return added(*({group_of[label]: amount} for label, amount in traced.items()))

    def arrive(coin: str, amounts: Amounts, end: int) -> None:
        start, brought = made.pop(coin, (end, {}))
        shared = {g: min(a, brought[g]) for g, a in amounts.items() if g in brought}
        links.extend(Link(g, end, coin, {g: a}) for g, a in added(amounts, _less(shared)).items())
        if shared:
            links.append(Link(start, end, coin, shared))

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
                leaks[start] = added(leaks[start], _less(amounts))
                links.append(Link(start, number, "", amounts))
        # More out than in is a source born here; more in than out is what a miner did not claim.
        went_out = (grouped(out["traced"]) for out in step["outputs"])
        went_in = (_less(grouped(coin["traced"])) for coin in step["inputs"])
        over = added(grouped(step["fee_traced"]), *went_out, *went_in)
        links.extend(Link(g, number, "", {g: a}) for g, a in over.items() if a > 0)
        leaks[number] = added(leaks[number], {g: -a for g, a in over.items() if a < 0})
    for number, holding in enumerate(holdings, first + len(steps)):
        arrive(holding["coin"], grouped(holding["traced"]), number)

    kinds: list[Kind] = [*["source"] * first, *["step"] * len(steps), *["end"] * len(holdings)]  # type: ignore[list-item]
    members: list[tuple[int, ...]] = [(n,) for many in (first, len(steps), len(holdings)) for n in range(many)]
    flow = Flow(kinds, members, [0] * len(kinds), links, {n: a for n, a in leaks.items() if a})
    return _layered(flow, first)


def _layered(flow: Flow, first: int) -> Flow:
    """Put each step one column after the last that feeds it, and all ends into the column after the last step."""
    feeds: dict[int, list[int]] = {number: [] for number in range(len(flow.kinds))}
    for link in flow.links:
        feeds[link.end].append(link.start)
    try:
        order = list(TopologicalSorter(feeds).static_order())
    except CycleError as error:
        raise UsageError(
            f"trail: steps[{error.args[1][0] - first}] spends what it made itself, in a circle; trace again"
        ) from None
    for node in order:
        if flow.kinds[node] == "step":
            flow.column[node] = 1 + max((flow.column[start] for start in feeds[node]), default=0)
    last = 1 + max(flow.column, default=0)
    flow.column = [last if kind == "end" else c for kind, c in zip(flow.kinds, flow.column, strict=True)]
    return flow


def bounded(flow: Flow, states: Sequence[str], limit: int) -> Flow:
    """Sum the smallest until at most `limit` elements remain; columns are joined where there are very many."""
    through = _through(flow)
    ends = sorted((n for n, kind in enumerate(flow.kinds) if kind == "end"), key=lambda n: -through[n])
    home: list[object] = list(range(len(flow.kinds)))
    for n in ends[min(ENDS, limit // 10) :]:
        home[n] = states[flow.members[n][0]]
    flow = _merged(flow, home, flow.column)
    # What cannot be among the kept goes first, so that the search below works on little.
    best = flow = _summed(flow, 80, limit)
    for columns in (80, 40, 20, 10, 5):
        low, high = 0, limit + 1
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if _summed(flow, columns, middle).elements() <= limit else (low, middle)
        best = _summed(flow, columns, low)
        if low == limit or low >= 2 * columns:
            break
    return best


def _through(flow: Flow) -> list[int]:
    through = [0] * len(flow.kinds)
    for link in flow.links:
        through[link.end] += sum(link.amounts.values())
    return through


def _summed(flow: Flow, columns: int, keep: int) -> Flow:
    """Keep the `keep` largest (joined) steps apart and sum the others of each column."""
    layers = max(flow.column) - 1
    column = [0 if not c else 1 + (c - 1) * columns // max(columns, layers) for c in flow.column]
    joined = _joined(flow, column)
    size: dict[int, int] = defaultdict(int)
    for n, amount in enumerate(_through(flow)):
        if n in joined:
            size[joined[n]] += amount
    kept = set(sorted(size, key=lambda n: -size[n])[:keep])
    home: list[object] = list(range(len(flow.kinds)))
    for n, cluster in joined.items():
        home[n] = cluster if cluster in kept else ("steps", column[n])
    return _merged(flow, home, column)


def _joined(flow: Flow, column: Sequence[int]) -> dict[int, int]:
    """Join the steps of one column that feed each other; give each step the first of those it is joined with."""
    home = {n: n for n, kind in enumerate(flow.kinds) if kind in {"step", "steps"}}

    def root(n: int) -> int:
        while home[n] != n:
            home[n] = n = home[home[n]]
        return n

    for link in flow.links:
        if link.start in home and link.end in home and column[link.start] == column[link.end]:
            one, other = sorted((root(link.start), root(link.end)))
            home[other] = one
    return {n: root(n) for n in home}


def _merged(flow: Flow, home: Sequence[object], column: Sequence[int]) -> Flow:
    """Draw as one the nodes with the same home; their links to one other node become one link where they must."""
    number: dict[object, int] = {}
    merged = Flow([], [], [], [], {})
    members: list[list[int]] = []
    for n, place in enumerate(home):
        if place not in number:
            number[place] = len(number)
            merged.kinds.append(flow.kinds[n])
            merged.column.append(column[n])
            members.append([])
        members[number[place]] += flow.members[n]
    many: dict[Kind, Kind] = {"step": "steps", "end": "ends"}
    merged.members = [tuple(some) for some in members]
    merged.kinds = [many.get(k, k) if len(m) > 1 else k for k, m in zip(merged.kinds, members, strict=True)]
    single = [kind in {"step", "end"} for kind in merged.kinds]
    links: dict[tuple[int, int, str], Link] = {}
    for link in flow.links:
        start, end = number[home[link.start]], number[home[link.end]]
        if start == end:
            continue
        key = (start, end, link.coin if single[start] and single[end] else "")
        if known := links.get(key):
            known.count += 1
            for group, amount in link.amounts.items():
                known.amounts[group] = known.amounts.get(group, 0) + amount
        else:
            links[key] = Link(start, end, link.coin, dict(link.amounts))
    merged.links = list(links.values())
    for link in merged.links:
        link.amounts = dict(sorted(link.amounts.items()))
    for n, amounts in flow.leaks.items():
        place = number[home[n]]
        merged.leaks[place] = added(merged.leaks.get(place, {}), amounts)
    return merged
