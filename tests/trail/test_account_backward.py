"""Tracing account chains backwards: the inverse of what the compiled walk finds forwards."""

from __future__ import annotations

import pytest
from account_histories import METHODS, AtHolders, History, Policy, Source, Transfer, histories, policies
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_account_methods import columns, conversions, found

from calibar.kernels.backward import End, Range, Reached, trace_back

Spans = list[tuple[int, int]]
"""Ranges of units (first, end), in order, none touching the next."""


def _spans(ranges: list[tuple[int, int]]) -> Spans:
    result: Spans = []
    for first, end in sorted(ranges):
        if result and result[-1][1] == first:
            result[-1] = (result[-1][0], end)
        elif first < end:
            assert not result or result[-1][1] < first, "a unit came from one place twice"
            result.append((first, end))
    return result


def back(history: History, policy: Policy, **asked: int) -> list[Reached]:
    """The product's answer."""
    method = METHODS.index(policy.method)
    return trace_back(columns(history, policy), method, policy.fees == "follow", conversions(history), **asked)


@st.composite
def _questions(draw: st.DrawFn) -> tuple[History, int, Policy]:
    history = draw(histories(conversions=False))
    policy = draw(policies(history))
    stops = tuple(stop for stop in policy.stops if isinstance(stop, AtHolders))
    source = draw(st.integers(0, len(history.transfers) - 1))
    return history, source, Policy(draw(st.sampled_from(("fifo", "lifo"))), policy.fees, stops)


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(_questions())
def test_forward_puts_a_range_where_backward_finds_it(question: tuple[History, int, Policy]) -> None:
    history, source, policy = question
    trail = found(history, [Source((source,))], policy)
    for holder in range(len(history.assets)):
        forward, at = [], 0
        for label, _, units in trail.holdings.get(holder, []):
            if label is not None:
                forward.append((at, at + units))
            at += units
        reached = back(history, policy, holder=holder)
        ranges = [units for row in reached if row.flow == source for units in row.ranges]
        assert _spans([(units.at, units.at + units.amount) for units in ranges]) == _spans(forward)
        _check_units(history, holder, reached)


def _check_units(history: History, holder: int, reached: list[Reached]) -> None:
    """Each unit of a transfer is reached once, and each unit asked about ends in one place."""
    for flow in {row.flow for row in reached}:
        ranges = [(x.low, x.low + x.amount) for row in reached if row.flow == flow for x in row.ranges]
        assert sum(end - first for first, end in _spans(ranges)) <= history.transfers[flow].amount
    balance = 0
    for transfer in history.transfers:
        if transfer.sender == holder:
            balance = max(0, balance - transfer.amount)
        if transfer.recipient == holder:
            balance += transfer.amount
    ends = [(x.at, x.at + x.amount) for row in reached if row.end is not End.ONWARD for x in row.ranges]
    assert _spans(ends) == _spans([(0, balance)])


HISTORY = History(
    (0, 0, 0),
    (Transfer(None, 0, 10), Transfer(None, 0, 6), Transfer(0, 1, 12), Transfer(1, 2, 4), Transfer(1, 2, 3)),
)


def test_ranges_map_unit_by_unit() -> None:
    # Holder 2 has units 0-6 of transfer 2, which are units 0-6 of transfer 0 from the front.
    assert back(HISTORY, Policy("fifo"), holder=2) == [
        Reached(4, 0, End.ONWARD, [Range(0, 3, 4, False)]),
        Reached(3, 0, End.ONWARD, [Range(0, 4, 0, False)]),
        Reached(2, 1, End.ONWARD, [Range(0, 7, 0, False)]),
        Reached(0, 2, End.NOBODY, [Range(0, 7, 0, False)]),
    ]
    # From the back: transfer 2 has the 6 of transfer 1, last first, then 6 of transfer 0; its last unit is drawn first.
    assert back(HISTORY, Policy("lifo"), flow=3)[1:] == [
        Reached(2, 1, End.ONWARD, [Range(8, 4, 0, True)]),
        Reached(0, 2, End.NOBODY, [Range(4, 4, 0, False)]),
    ]


def test_a_range_of_one_transfer() -> None:
    reached = back(HISTORY, Policy("fifo"), flow=2, first=9, amount=2)
    assert [(row.flow, row.end, row.ranges) for row in reached] == [
        (2, End.ONWARD, [Range(9, 2, 0, False)]),
        (1, End.NOBODY, [Range(0, 1, 1, False)]),
        (0, End.NOBODY, [Range(9, 1, 0, False)]),
    ]
    with pytest.raises(ValueError, match="there are 12 units"):
        back(HISTORY, Policy("fifo"), flow=2, first=9, amount=4)


def test_what_ends_a_way_back() -> None:
    rule = Policy("fifo", stops=(AtHolders(frozenset({1})),))
    assert [row.end for row in back(HISTORY, rule, holder=2)] == [End.ONWARD, End.ONWARD, End.RULE]
    assert [row.end for row in back(HISTORY, Policy("fifo"), holder=2, hop_limit=1)][-1] == End.HOPS
    fee = History((0, 0), (Transfer(None, 0, 5), Transfer(0, 1, 5, "fee")))
    assert [row.end for row in back(fee, Policy("fifo"), holder=1)] == [End.FEES]
    assert [row.end for row in back(fee, Policy("fifo", "follow"), holder=1)] == [End.ONWARD, End.NOBODY]
    short = History((0, 0), (Transfer(None, 0, 5), Transfer(0, 1, 6)))
    assert [row.end for row in back(short, Policy("fifo"), holder=1)] == [End.INCOMPLETE]
    swap = History((0, 0, 1), (Transfer(None, 0, 5), Transfer(0, 1, 5, given=0), Transfer(None, 2, 9, received=0)))
    assert [row.end for row in back(swap, Policy("fifo"), holder=2)] == [End.EXCHANGED]
    assert [row.end for row in back(swap, Policy("fifo"), holder=1)] == [End.EXCHANGED]
