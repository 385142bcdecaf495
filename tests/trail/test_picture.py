"""The picture of a trail: everything is in it, left to right, and it re-adds."""

from __future__ import annotations

import re
from collections import defaultdict
from functools import cache
from itertools import pairwise
from typing import Any

import browser
import pytest

from calibar.errors import UsageError
from calibar.trail.flow import ENDS, GROUPS
from calibar.trail.picture import Picture, picture
from calibar.trail.table import summed, totals

TRAILS = {
    "one source": browser.one_source(),
    "four sources": browser.four_sources(),
    "peel chain": browser.peel_chain(),
    "followed fee": browser.followed_fee(),
    "long chain": browser.peel_chain(200),
    "random": browser.large(700),
    "large": browser.large(5_000),
}


Case = tuple[dict[str, Any], Picture]


@cache
def drawn_of(name: str) -> Picture:
    return picture(TRAILS[name])


@pytest.fixture(params=TRAILS)
def case(request: pytest.FixtureRequest) -> Case:
    return TRAILS[request.param], drawn_of(request.param)


def elements(drawn: Picture) -> int:
    return len(drawn.nodes) + len(drawn.ribbons) + len(drawn.leaks)


def test_what_flows_into_each_bar_flows_out_or_leaks(case: Case) -> None:
    _, drawn = case
    balance: dict[tuple[int, int], int] = defaultdict(int)
    for ribbon in drawn.ribbons:
        balance[ribbon.end, ribbon.group] += ribbon.amount
        balance[ribbon.start, ribbon.group] -= ribbon.amount
    for leak in drawn.leaks:
        for group, amount in leak.amounts.items():
            balance[leak.node, group] -= amount
    for number, node in enumerate(drawn.nodes):
        if node.kind in {"step", "steps"}:
            assert not any(balance[number, group] for group in range(len(drawn.groups)))


def test_sources_ends_and_leaks_say_what_the_totals_say(case: Case) -> None:
    trail, drawn = case
    whole = summed(totals(trail))
    assert sum(sum(n.amounts.values()) for n in drawn.nodes if n.kind == "source") == whole.received
    assert sum(sum(n.amounts.values()) for n in drawn.nodes if n.kind in {"end", "ends"}) == whole.held + whole.stopped
    assert sum(sum(leak.amounts.values()) for leak in drawn.leaks) == whole.fees + whole.burnt


def test_every_step_and_every_holding_is_in_it_once(case: Case) -> None:
    trail, drawn = case
    steps = sorted(m for n in drawn.nodes if n.kind in {"step", "steps"} for m in n.members)
    ends = sorted(m for n in drawn.nodes if n.kind in {"end", "ends"} for m in n.members)
    assert steps == list(range(len(trail["steps"])))
    assert ends == list(range(len(trail["holdings"])))


def test_money_runs_from_left_to_right(case: Case) -> None:
    _, drawn = case
    assert all(drawn.nodes[r.start].x < drawn.nodes[r.end].x for r in drawn.ribbons)
    assert {n.x for n in drawn.nodes if n.kind == "source"} == {min(n.x for n in drawn.nodes)}
    assert {n.x for n in drawn.nodes if n.kind in {"end", "ends"}} == {max(n.x for n in drawn.nodes)}
    assert [x for x, _ in drawn.dates] == sorted(x for x, _ in drawn.dates)
    assert [at for _, at in drawn.dates] == sorted(at for _, at in drawn.dates)


def test_bars_do_not_touch_and_the_texts_of_ends_do_not_overlap(case: Case) -> None:
    _, drawn = case
    columns = defaultdict(list)
    for node in drawn.nodes:
        columns[node.x].append(node)
        assert node.y >= 0
        assert node.y + node.height <= drawn.height
    for column in columns.values():
        column.sort(key=lambda node: node.y)
        for above, below in pairwise(column):
            assert below.y - above.y - above.height > 5
            if below.kind in {"end", "ends"}:
                assert below.y + below.height / 2 - above.y - above.height / 2 > 14.5


def test_a_ribbon_is_as_thick_as_its_amount() -> None:
    drawn = picture(browser.one_source())
    thick = {}
    for ribbon in drawn.ribbons:
        start, end = re.match(r"M\S+ (\S+?)C", ribbon.path), re.search(r" (\S+?)V(\S+?)C", ribbon.path)
        assert start
        assert end
        thick[ribbon.amount] = float(end[2]) - float(end[1])
    assert thick[70_000_000] / thick[350_000_000] == pytest.approx(0.2, rel=0.02)
    assert thick[40_000_000] / thick[350_000_000] == pytest.approx(40 / 350, rel=0.02)


def test_the_ends_of_a_peel_chain_hang_in_the_order_of_its_peels() -> None:
    drawn = picture(browser.peel_chain(40))
    ends = {n: node for n, node in enumerate(drawn.nodes) if node.kind == "end"}
    last = max(node.x for node in drawn.nodes if node.kind == "step")
    peels = sorted((drawn.nodes[r.start].x, ends[r.end].y) for r in drawn.ribbons if r.end in ends)
    heights = [y for x, y in peels if x < last]
    assert heights in (sorted(heights), sorted(heights, reverse=True))


def test_a_large_trail_is_drawn_within_the_limit() -> None:
    drawn = drawn_of("large")
    assert 700 < elements(drawn) <= 1_500
    assert sum(n.kind == "end" for n in drawn.nodes) <= ENDS


@pytest.mark.parametrize("limit", [1_000, 500])
def test_a_tighter_limit_sums_more(limit: int) -> None:
    assert elements(picture(TRAILS["random"], limit)) <= limit
    assert elements(picture(TRAILS["long chain"], limit)) <= limit


def test_a_small_trail_is_drawn_coin_by_coin() -> None:
    trail = browser.four_sources()
    drawn = picture(trail)
    assert {n.kind for n in drawn.nodes} == {"source", "step", "end"}
    assert {r.coin for r in drawn.ribbons} == {
        c["coin"] for c in (*trail["holdings"], *(i for s in trail["steps"] for i in s["inputs"])) if c["traced"]
    }


def test_a_followed_fee_runs_into_the_coinbase_and_what_is_unclaimed_leaks_there() -> None:
    drawn = picture(browser.followed_fee())
    coinbase = next(n for n, node in enumerate(drawn.nodes) if node.kind == "step" and node.members == (0,))
    assert [(r.amount, r.coin) for r in drawn.ribbons if r.end == coinbase] == [(10_000_000, "")]
    assert [(leak.node, leak.amounts) for leak in drawn.leaks] == [(coinbase, {0: 100_000})]


def test_a_source_may_lie_on_a_coin_that_another_sources_money_made() -> None:
    made = browser.Made("mixed")
    (coin,) = made.spend([made.source(60_000)], [100_000], 0)
    value, traced, address, hop = made.coins[coin]
    made.sources.append({"label": "S1", "coin": coin, "amount": 40_000})
    made.coins[coin] = (value, traced | {"S1": 40_000}, address, hop)
    made.spend([coin], [100_000], 0)
    drawn = picture(made.trail())
    born = [r for r in drawn.ribbons if r.group == 1 and drawn.nodes[r.start].kind == "source"]
    assert [(drawn.nodes[r.end].members, r.amount) for r in born] == [((1,), 40_000)]


def test_the_smallest_of_many_labels_share_one_colour() -> None:
    trail = browser.large(50, sources=20)
    groups = picture(trail).groups
    assert len(groups) == GROUPS
    assert sorted(label for group in groups for label in group) == sorted(trail["totals"])


def test_the_same_trail_gives_the_same_picture() -> None:
    assert picture(browser.peel_chain()) == picture(browser.peel_chain())


def test_a_source_that_never_moved_is_one_ribbon() -> None:
    made = browser.Made("still")
    made.source(5)
    drawn = picture(made.trail())
    assert [(n.kind, n.amounts) for n in drawn.nodes] == [("source", {0: 5}), ("end", {0: 5})]


def test_steps_that_feed_themselves_are_refused() -> None:
    trail = browser.one_source()
    trail["steps"][0]["inputs"][0]["coin"] = trail["steps"][0]["outputs"][1]["coin"]
    with pytest.raises(UsageError, match="circle"):
        picture(trail)
