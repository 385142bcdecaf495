"""What flows where on an account chain's trail, in columns of time: the picture before it has places."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from calibar.errors import UsageError

STEPS: Final = 60
"""Steps drawn one by one; of longer trails the smallest accounts and moments are drawn together."""
LANES: Final = 24
"""Accounts drawn apart in a long trail."""
COLUMNS: Final = 40
GROUPS: Final = 8
"""Labels drawn apart; where there are more, the last share one colour."""
AFTER: Final = 1 << 30
"""The last column of a lane that holds something at the end."""
_FULL: Final = 150.0

Amounts = dict[int, int]
"""Base units by group of labels."""


@dataclass(slots=True)
class Lane:
    """One account's holding of one asset, or several small ones summed."""

    asset: str
    accounts: tuple[str, ...]
    first: int = AFTER
    last: int = 0
    received: Amounts = field(default_factory=dict)
    ends: list[tuple[tuple[int, ...], Amounts]] = field(default_factory=list)
    """Holdings, by their places in the trail's list, and what rests there."""
    hot: str = ""
    """The hot wallet to which a rule infers this deposit address to belong."""


@dataclass(slots=True)
class Flow:
    """Traced value that leaves lane `start` or arrives in lane `end` (-1: none), in a column."""

    kind: Literal["source", "move", "give", "take", "fee", "burn"]
    column: int
    start: int
    end: int
    asset: str
    amounts: Amounts
    steps: tuple[int, ...] = ()
    conversion: int = -1


@dataclass(slots=True)
class Conversion:
    """One asset given for another. `gate` is the panel under which it stands."""

    column: int
    given_asset: str = ""
    given: Amounts = field(default_factory=dict)
    received_asset: str = ""
    received: Amounts = field(default_factory=dict)
    steps: tuple[int, ...] = ()
    gate: int = 0
    height: float = 4.0


@dataclass(slots=True)
class Scene:
    """All flows and lanes. `gates` is how much room the conversions under each panel take."""

    groups: tuple[tuple[str, ...], ...]
    assets: list[str]
    lanes: list[Lane]
    flows: list[Flow]
    conversions: list[Conversion]
    times: list[int | None]
    scale: dict[str, float]
    gates: list[float]
    summed: bool

    def column_kinds(self) -> list[set[str]]:
        """Kinds of flow in each column after the sources'."""
        kinds: list[set[str]] = [set() for _ in self.times]
        for flow in self.flows:
            if flow.column:
                kinds[flow.column - 1].add(flow.kind)
        return kinds


def units(text: object) -> int:
    """Read an amount: base units as decimal text. Raises UsageError for anything else."""
    if not re.fullmatch("[0-9]{1,78}", str(text)):
        raise UsageError(f"trail: {str(text)[:20]!r} is not an amount in base units; trace again")
    return int(str(text))


def added(one: Amounts, other: Amounts) -> Amounts:
    """Sum two amounts group by group; what is nothing is left out."""
    return {g: a for g in sorted({*one, *other}) if (a := one.get(g, 0) + other.get(g, 0))}


def thickness(found: Scene, flow: Flow) -> float:
    """How thick a flow is drawn."""
    return sum(flow.amounts.values()) * found.scale[flow.asset]


def scene(trail: Mapping[str, Any]) -> Scene:
    """Read a trail's flows; in a long one small accounts are summed, then moments are joined."""
    labels = sorted(trail["totals"], key=lambda label: (len(label), label))
    groups = tuple((label,) for label in labels)
    if len(labels) > GROUPS:
        groups = (*groups[: GROUPS - 1], tuple(labels[GROUPS - 1 :]))
    lanes, flows, legs = _read(trail, {label: n for n, group in enumerate(groups) for label in group})
    summed = len(trail["steps"]) > STEPS or len(lanes) > STEPS
    if summed:
        lanes, flows, legs = _joined(lanes, flows, legs)
    times, conversions = _timed(trail, lanes, flows, legs, summed=summed)
    used = {lane.asset for lane in lanes}
    order = (asset for assets in trail["totals"].values() for asset in assets)
    assets = [asset for asset in dict.fromkeys((*order, *sorted(used))) if asset in used]
    found = Scene(groups, assets, lanes, flows, conversions, times, {}, [0.0] * len(assets), summed)
    _scaled(found)
    _gated(found)
    for lane in lanes:
        lane.last = max(lane.last, lane.first)
    return found


def _read(trail: Mapping[str, Any], group_of: Mapping[str, int]) -> tuple[list[Lane], list[Flow], dict[int, object]]:
    """Lanes, flows in chain order, and of each leg of a conversion (by its flow) what it belongs to."""
    number: dict[tuple[str, str], int] = {}
    lanes: list[Lane] = []

    def lane_of(asset: str, account: str) -> int:
        if (asset, account) not in number:
            number[asset, account] = len(lanes)
            lanes.append(Lane(asset, (account,)))
        return number[asset, account]

    def grouped(traced: Mapping[str, str]) -> Amounts:
        whole: Amounts = {}
        for label, amount in traced.items():
            whole = added(whole, {group_of[label]: units(amount)})
        return whole

    born: dict[tuple[int, int], Amounts] = {}
    for row in trail["sources"]:
        lane, group = lane_of(row["asset"], row["account"]), group_of[row["label"]]
        born[lane, group] = added(born.get((lane, group), {}), {group: units(row["amount"])})
    flows = [Flow("source", 0, -1, lane, lanes[lane].asset, amounts) for (lane, _), amounts in born.items() if amounts]
    legs: dict[int, object] = {}
    for n, step in enumerate(trail["steps"]):
        asset, kind = step["asset"], step["kind"]
        sender, recipient = step["inputs"][0]["account"], step["outputs"][0]["account"]
        drawn, came = grouped(step["inputs"][0]["traced"]), grouped(step["outputs"][0]["traced"])
        if kind == "received" or (came and not drawn):
            if came and recipient is not None:
                legs[len(flows)] = _whole(step, recipient)
                flows.append(Flow("take", 0, -1, lane_of(asset, recipient), asset, came, (n,)))
        elif drawn and sender is not None:
            start = lane_of(asset, sender)
            if kind == "converted":
                legs[len(flows)] = _whole(step, sender)
                flows.append(Flow("give", 0, start, -1, asset, drawn, (n,)))
            elif came and recipient is not None:
                flows.append(Flow("move", 0, start, lane_of(asset, recipient), asset, drawn, (n,)))
            else:
                flows.append(Flow("fee" if kind == "fee" else "burn", 0, start, -1, asset, drawn, (n,)))
    for n, row in enumerate(trail["holdings"]):
        rests = lanes[lane_of(row["asset"], row["account"])]
        rests.ends.append(((n,), grouped(row["traced"])))
        rests.ends.sort(key=lambda end: (trail["holdings"][end[0][0]]["state"], end[0]))
        rests.last = AFTER
        if "inferred" in row:
            rests.hot = str(row["inferred"]["hot_wallet"])
    return lanes, flows, legs


def _whole(step: Mapping[str, Any], account: str) -> tuple[str, object]:
    """What a leg is part of: somebody's link, or one account's conversion in one transaction."""
    link = step.get("by", {}).get("link")
    return ("", link) if link is not None else (step["txid"] or step["transfer"], account)


def _joined(
    lanes: list[Lane], flows: list[Flow], legs: dict[int, object]
) -> tuple[list[Lane], list[Flow], dict[int, object]]:
    """Keep the largest lanes apart, by their part of what moved of their asset, and sum the others of each asset."""
    through, moved = [0] * len(lanes), dict[str, int]()
    for flow in flows:
        amount = sum(flow.amounts.values())
        moved[flow.asset] = max(moved.get(flow.asset, 1), amount)
        for side in {flow.start, flow.end} - {-1}:
            through[side] += amount
    for n, lane in enumerate(lanes):
        through[n] = max(through[n], sum(sum(amounts.values()) for _, amounts in lane.ends))
    ranked = sorted(range(len(lanes)), key=lambda n: (-(through[n] << 64) // moved.get(lanes[n].asset, 1), n))
    kept = sorted(ranked[:LANES])
    home = {n: place for place, n in enumerate(kept)}
    whole = [lanes[n] for n in kept]
    rest: dict[str, list[int]] = defaultdict(list)
    for n in sorted(ranked[LANES:]):
        rest[lanes[n].asset].append(n)
    for asset, several in rest.items():
        home |= dict.fromkeys(several, len(whole))
        ends = [end for n in several for end in lanes[n].ends]
        sums: Amounts = {}
        for _, amounts in ends:
            sums = added(sums, amounts)
        other = Lane(asset, tuple(account for n in several for account in lanes[n].accounts))
        other.last = max(lanes[n].last for n in several)
        other.ends = [(tuple(row for rows, _ in ends for row in rows), sums)] if ends else []
        whole.append(other)
    fewer: list[Flow] = []
    fewer_legs: dict[int, object] = {}
    for n, flow in enumerate(flows):
        flow.start, flow.end = home.get(flow.start, -1), home.get(flow.end, -1)
        if flow.start != flow.end:
            if n in legs:
                fewer_legs[len(fewer)] = legs[n]
            fewer.append(flow)
    return whole, fewer, fewer_legs


def _timed(
    trail: Mapping[str, Any], lanes: list[Lane], flows: list[Flow], legs: dict[int, object], *, summed: bool
) -> tuple[list[int | None], list[Conversion]]:
    """Give each flow its column: a new one for each block, and whenever what arrived in a column leaves again."""
    times: list[int | None] = []
    height: object = None
    came: set[int] = set()
    at: dict[object, int] = {}
    for n, flow in enumerate(flows):
        if flow.kind == "source":
            continue
        step = trail["steps"][flow.steps[0]]
        if legs.get(n) in at and not _is_link(legs[n]):
            flow.column = at[legs[n]]
        else:
            if not times or flow.start in came or (step["height"] != height and not summed):
                times.append(step["time"])
                came = set()
            height, flow.column = step["height"], len(times)
            if n in legs:
                at[legs[n]] = flow.column
        came.add(flow.end)
        came.discard(-1)
    if summed and len(times) > COLUMNS:
        share = -(-len(times) // COLUMNS)
        for flow in flows:
            flow.column = -(-flow.column // share)
        times = times[::share]
    conversions = _paired(flows, legs)
    if summed:
        flows[:] = _bundled(flows)
    for flow in flows:
        if flow.start >= 0:
            lanes[flow.start].last = max(lanes[flow.start].last, flow.column)
        if flow.end >= 0:
            lane = lanes[flow.end]
            lane.first, lane.received = min(lane.first, flow.column), added(lane.received, flow.amounts)
    for lane in lanes:
        if lane.first == AFTER:
            lane.first = 0
    return times, conversions


def _is_link(whole: object) -> bool:
    return isinstance(whole, tuple) and whole[0] == ""


def _paired(flows: Sequence[Flow], legs: Mapping[int, object]) -> list[Conversion]:
    """Join what was given and received in one transaction, and equal pairs of one column."""
    pairs: dict[object, list[Flow]] = defaultdict(list)
    for n, key in legs.items():
        pairs[key].append(flows[n])
    conversions: dict[object, int] = {}
    found: list[Conversion] = []
    for several in pairs.values():
        column = max(flow.column for flow in several)
        key = column, tuple(sorted({(flow.kind, flow.start, flow.end) for flow in several}))
        if key not in conversions:
            conversions[key] = len(found)
            found.append(Conversion(column))
        conversion = found[conversions[key]]
        for flow in several:
            flow.conversion = conversions[key]
            conversion.steps = (*conversion.steps, *flow.steps)
            if flow.kind == "give":
                conversion.given_asset, conversion.given = flow.asset, added(conversion.given, flow.amounts)
            else:
                conversion.received_asset = flow.asset
                conversion.received = added(conversion.received, flow.amounts)
    return found


def _bundled(flows: Sequence[Flow]) -> list[Flow]:
    """Make one flow of those that go the same way in one column."""
    found: dict[object, Flow] = {}
    for flow in flows:
        apart = tuple(flow.amounts) if flow.kind == "source" else ()
        key = flow.kind, flow.column, flow.start, flow.end, flow.conversion, apart
        if key in found:
            found[key].amounts = added(found[key].amounts, flow.amounts)
            found[key].steps = (*found[key].steps, *flow.steps)
        else:
            found[key] = flow
    return list(found.values())


def _scaled(found: Scene) -> None:
    """Give each asset its scale: what sources brought fills it, what was received keeps the thickness of the given."""
    whole: dict[str, int] = defaultdict(int)
    for flow in found.flows:
        if flow.kind in ("source", "take"):
            whole[flow.asset] += sum(flow.amounts.values())
    first = {flow.asset for flow in found.flows if flow.kind == "source"}
    full = _FULL if len(first) < 2 else _FULL * 0.7
    for asset in first:
        sourced = sum(sum(f.amounts.values()) for f in found.flows if f.kind == "source" and f.asset == asset)
        found.scale[asset] = full / max(sourced, 1)
    for conversion in found.conversions:
        asset = conversion.received_asset
        given = sum(conversion.given.values()) * found.scale.get(conversion.given_asset, 0.0)
        if asset and asset not in found.scale and given:
            found.scale[asset] = min(given / max(sum(conversion.received.values()), 1), full / max(whole[asset], 1))
    for asset in found.assets:
        found.scale.setdefault(asset, full / 2 / max(whole[asset], 1))


def _gated(found: Scene) -> None:
    """Put each conversion under the upper of its two panels, and see how much room they take there."""
    panel = {asset: n for n, asset in enumerate(found.assets)}
    used: dict[tuple[int, int], float] = defaultdict(float)
    for conversion in found.conversions:
        sides = [
            (panel[asset], sum(amounts.values()) * found.scale[asset])
            for asset, amounts in (
                (conversion.given_asset, conversion.given),
                (conversion.received_asset, conversion.received),
            )
            if asset
        ]
        conversion.gate = min(place for place, _ in sides)
        conversion.height = max(4.0, *(thick for _, thick in sides))
        spot = conversion.gate, conversion.column
        used[spot] += conversion.height + 14
        found.gates[conversion.gate] = max(found.gates[conversion.gate], used[spot])
