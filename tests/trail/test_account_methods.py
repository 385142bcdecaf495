"""The compiled walk of account chains against the slow reference, and against cases decided in court."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from account_histories import METHODS, AtHolders, History, Hops, Method, Policy, Source, Transfer, questions
from account_reference import EXCHANGED, INCOMPLETE, Pieces, Shares, Step, Trail, trace
from hypothesis import HealthCheck, given, settings
from numpy.typing import NDArray
from walk_totals import Total, totals

from calibar.kernels import flows, transfers
from calibar.kernels.flows import FlowWalk
from calibar.kernels.holders import label_of, rule_of
from calibar.kernels.transfers import Arrivals, Conversions, Flows, arrivals
from calibar.kernels.wide import U64, integers, limbs

_ROLES = {"move": transfers.MOVE, "fee": transfers.FEE, "burn": transfers.BURN}
_KINDS = {
    transfers.CARRIED: "carried",
    transfers.FEES: "fees",
    transfers.BURNT: "burnt",
    transfers.CONVERTED: "converted",
    transfers.RECEIVED: "received",
}
_REASONS: dict[int, str] = {transfers.INCOMPLETE: INCOMPLETE, transfers.EXCHANGED: EXCHANGED}
_ALL = (1 << 128) - 1
_FEES: tuple[Literal["stop", "follow"], ...] = ("stop", "follow")


def _ids(numbers: Sequence[int | None]) -> NDArray[np.int64]:
    return np.array([-1 if x is None else x for x in numbers], np.int64)


def columns(history: History, policy: Policy) -> Flows:
    """Transfers as the walk takes them."""
    moves = history.transfers
    holders = range(len(history.assets))
    rules = [
        next((n for n, stop in enumerate(policy.stops) if isinstance(stop, AtHolders) and holder in stop.holders), None)
        for holder in holders
    ]
    return Flows(
        sender=_ids([x.sender for x in moves]),
        recipient=_ids([x.recipient for x in moves]),
        amount=limbs([x.amount for x in moves]),
        role=_ids([_ROLES[x.role] for x in moves]),
        step=_ids([x.tx for x in moves]),
        holder_rule=_ids(rules),
        known=_ids([history.incomplete.get(holder, len(moves)) for holder in holders]),
    )


def conversions(history: History) -> Conversions:
    """Which transfers are given and received."""
    return Conversions(_ids([x.given for x in history.transfers]), _ids([x.received for x in history.transfers]))


def walked(history: History, sources: list[Source], policy: Policy) -> tuple[FlowWalk, Arrivals]:
    """The product's answer."""
    rows = sorted((place, label) for label, source in enumerate(sources) for place in source.transfers)
    births = arrivals(_ids([p for p, _ in rows]), _ids([x for _, x in rows]))
    kinds, values = [], []
    for stop in policy.stops:
        if isinstance(stop, AtHolders):
            kinds.append(transfers.HOLDER)
            values.append(0)
        elif isinstance(stop, Hops):
            kinds.append(transfers.HOPS)
            values.append(stop.hops)
        else:
            kinds.append(transfers.MIN_AMOUNT)
            values.append(stop.units)
    walk = flows.walk(
        columns(history, policy),
        METHODS.index(policy.method),
        policy.fees == "follow",
        _ids(kinds),
        limbs(values),
        births,
        limbs([_ALL if source.amount is None else source.amount for source in sources]),
        conversions(history),
    )
    return walk, births


def _pieces(codes: U64, amounts: U64, first: int, end: int) -> Pieces:
    labels, rules = label_of(codes[first:end]).tolist(), rule_of(codes[first:end]).tolist()
    return [
        (None if label < 0 else label, None if rule < 0 else rule, units)
        for label, rule, units in zip(labels, rules, integers(amounts[first:end]), strict=True)
    ]


def _shares(pieces: Pieces) -> Shares:
    assert all(rule is None for _, rule, _ in pieces)
    return [(label, units) for label, _, units in pieces]


def found(history: History, sources: list[Source], policy: Policy) -> Trail:
    """The product's answer in the reference's terms."""
    w, arrivals = walked(history, sources, policy)
    assert w.damaged == transfers.NOWHERE
    trail = Trail()
    rows = zip(arrivals.label.tolist(), arrivals.flow.tolist(), integers(arrivals.amount), strict=True)
    trail.labelled = {(label, place): units for label, place, units in rows if units}
    for k in range(w.step_flow.size):
        drawn, arrived, end = int(w.step_drawn[k]), int(w.step_arrived[k]), int(w.step_drawn[k + 1])
        kind, rule = _KINDS[int(w.step_kind[k])], int(w.step_rule[k])
        takes = _pieces(w.step_code, w.step_amount, drawn, arrived)
        comes = _pieces(w.step_code, w.step_amount, arrived, end)
        if kind == "carried" and not comes:
            comes = takes
        place, hop = int(w.step_flow[k]), int(w.step_hop[k])
        trail.steps.append(Step(place, hop, kind, None if rule < 0 else rule, takes, _shares(comes)))
    for k, holder in enumerate(w.holder.tolist()):
        trail.holdings[holder] = _pieces(w.code, w.amount, int(w.first_segment[k]), int(w.first_segment[k + 1]))
        trail.hops[holder] = None if w.holder_hop[k] < 0 else int(w.holder_hop[k])
    stops = (w.stop_flow, w.stop_holder, w.stop_reason, w.stop_label)
    for (place, holder, reason, label), units in zip(
        zip(*(column.tolist() for column in stops), strict=True), integers(w.stop_amount), strict=True
    ):
        trail.stopped[place, holder, _REASONS.get(reason, reason), label] += units
    _check_totals(history, trail, totals(w, columns(history, policy), arrivals, _ids(history.assets)))
    return trail


def _check_totals(history: History, trail: Trail, sums: dict[tuple[int, int], Total]) -> None:
    expected = trail.totals(history)
    assert list(sums) == sorted(expected)
    for key, words in expected.items():
        own = sums[key]
        assert own.balances
        assert own.labelled + own.converted_in == words["in"]
        ours = [own.held, own.stopped, own.fees, own.burnt, own.converted_out]
        assert ours == [words[word] for word in ("held", "stopped", "fees", "burnt", "converted")]


@settings(max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions())
def test_the_account_walk_equals_the_reference(question: tuple[History, list[Source], Policy]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(flows, "FIRST_ROWS", 2)  # so that every table has to grow
        got = found(*question)
    expected = trace(*question)
    assert got.labelled == expected.labelled
    assert got.steps == expected.steps
    assert got.stopped == expected.stopped
    assert got.holdings == expected.holdings
    assert got.hops == expected.hops


def _history(*moves: tuple[int | None, int | None, int]) -> History:
    holders = 1 + max(x for sender, recipient, _ in moves for x in (sender, recipient) if x is not None)
    return History((0,) * holders, tuple(Transfer(*move, tx=n) for n, move in enumerate(moves)))


def _held(history: History, sources: list[Source], method: Method) -> dict[int, Counter[int]]:
    """Units by holder and label."""
    held: dict[int, Counter[int]] = {}
    for holder, pieces in found(history, sources, Policy(method)).holdings.items():
        for label, _, units in pieces:
            if label is not None:
                held.setdefault(holder, Counter())[label] += units
    return held


def test_claytons_case_sets_the_first_withdrawals_against_the_first_deposits() -> None:
    # Devaynes v Noble (1816): the bank owed £1,713 when a partner died, and drawings left £453 of that before anything
    # was paid in again. What was owed at the death is drawn first, so none of it is owed once as much was drawn. The
    # later payment and drawing are made up: the report has many, each side more than what was left.
    bank, customer = 0, 1
    history = _history((None, bank, 1713), (bank, customer, 1260), (None, bank, 2000), (bank, customer, 900))
    death, later = Source((0,)), Source((2,))
    assert _held(history, [death, later], "fifo") == {bank: {1: 1553}, customer: {0: 1713, 1: 447}}
    assert _held(history, [death, later], "lifo") == {bank: {0: 453, 1: 1100}, customer: {0: 1260, 1: 900}}


def _pence(pounds: int, shillings: int, pence: int) -> int:
    return 12 * (20 * pounds + shillings) + pence


def test_roscoe_v_winder_limits_a_claim_to_the_lowest_balance_in_between() -> None:
    # James Roscoe (Bolton) Ltd v Winder [1915] 1 Ch 62: £455 18s 11d was paid into the account, which then sank to
    # £25 18s and stood at £358 5s 5d in the end. The claim is to £25 18s.
    account, spent = 0, 1
    paid_in, lowest, at_end = _pence(455, 18, 11), _pence(25, 18, 0), _pence(358, 5, 5)
    history = _history((None, account, paid_in), (account, spent, paid_in - lowest), (None, account, at_end - lowest))
    assert _held(history, [Source((0,))], "libr") == {account: {0: lowest}, spent: {0: paid_in - lowest}}


def test_under_libr_a_holder_spends_his_own_money_first() -> None:
    # Re Hallett's Estate (1880).
    history = _history((None, 0, 300), (None, 0, 100), (0, 1, 250), (0, 1, 100), (None, 0, 500), (0, 1, 520))
    assert _held(history, [Source((1,))], "libr") == {0: {0: 30}, 1: {0: 70}}


def test_haircut_gives_the_odd_unit_to_what_is_drawn() -> None:
    assert _held(_history((None, 0, 1), (None, 0, 1), (0, 1, 1)), [Source((0,))], "haircut") == {1: {0: 1}}
    assert _held(_history((None, 0, 1), (None, 0, 2), (0, 1, 1)), [Source((0,))], "haircut") == {0: {0: 1}}


@pytest.mark.parametrize("method", METHODS)
def test_a_conversion_carries_the_share_that_was_given(method: Method) -> None:
    # 30 stolen and 10 own dollars buy 8 * 10^18 units of another asset, three quarters of them stolen.
    moves = (
        Transfer(None, 0, 30),
        Transfer(None, 0, 10),
        Transfer(0, 1, 40, given=0),
        Transfer(3, 2, 8 * 10**18, received=0),
    )
    history = History((0, 0, 1, 1), (Transfer(None, 3, 9 * 10**18), *moves))
    assert _held(history, [Source((1,))], method) == {2: {0: 6 * 10**18}}


def test_a_larger_supply_than_any_token_has_ends_the_walk() -> None:
    half = 1 << 125
    history = _history((None, 0, half), (None, 0, half - 1), (None, 0, 1))
    walk, _ = walked(history, [Source((0,))], Policy("fifo"))
    assert walk.damaged == 2


@pytest.mark.parametrize(
    "wrong",
    [
        Transfer(7, 0, 1),
        Transfer(0, 7, 1),
        Transfer(0, 1, 1 << 126),
        Transfer(0, 1, 1, "burn"),
        Transfer(0, 1, 1, tx=-1),
    ],
)
def test_a_transfer_that_is_none_is_named(wrong: Transfer) -> None:
    history = History((0, 0), (Transfer(None, 0, 5), Transfer(0, 1, 5), wrong))
    walk, _ = walked(history, [Source((0,))], Policy("fifo"))
    assert walk.damaged == 2
    assert walk.holder.size == walk.step_flow.size == 0


@pytest.mark.parametrize("method", METHODS)
def test_a_conversion_gives_the_odd_unit_to_the_earlier_label_and_to_clean_last(method: Method) -> None:
    moves = (
        Transfer(None, 0, 1),
        Transfer(None, 0, 1),
        Transfer(0, None, 2, "burn", given=0),
        Transfer(None, 1, 1, received=0),
    )
    history = History((0, 1), moves)
    assert _held(history, [Source((1,)), Source((0,))], method) == {1: {0: 1}}
    assert _held(history, [Source((1,))], method) == {1: {0: 1}}


def test_what_is_received_for_two_gifts_has_the_hop_of_the_nearer_one() -> None:
    moves = (
        Transfer(None, 0, 5),
        Transfer(None, 1, 5),
        Transfer(0, 2, 5),
        Transfer(1, 3, 5, given=0),
        Transfer(2, 3, 5, given=0),
        Transfer(None, 4, 7, received=0),
    )
    trail = found(History((0, 0, 0, 0, 1), moves), [Source((0, 1))], Policy("haircut"))
    assert [(step.kind, step.hop) for step in trail.steps] == [
        ("carried", 1), ("converted", 1), ("converted", 2), ("received", 1),
    ]  # fmt: skip
    assert trail.hops == {4: 1}


def test_what_a_rule_holds_back_keeps_its_place_and_goes_on_as_clean() -> None:
    history = _history((None, 0, 10), (None, 1, 3), (0, 1, 10), (1, 2, 7))
    trail = found(history, [Source((0,))], Policy("fifo", stops=(AtHolders(frozenset({1})),)))
    assert trail.holdings == {1: [(0, 0, 6)]}
    assert trail.stopped == {(3, 1, 0, 0): 4}
    assert [(step.transfer, step.rule) for step in trail.steps] == [(2, 0)]


def test_a_draw_of_more_than_there_is_shows_that_the_history_is_incomplete() -> None:
    history = _history((None, 0, 10), (0, 1, 4), (0, 2, 7), (None, 0, 5), (0, 3, 5))
    trail = found(history, [Source((0, 3))], Policy("fifo"))
    assert trail.stopped == {(2, 0, INCOMPLETE, 0): 6, (4, 0, INCOMPLETE, 0): 5}
    assert trail.holdings == {1: [(0, None, 4)]}


@pytest.mark.parametrize("method", METHODS)
def test_fees_stop_or_follow(method: Method) -> None:
    history = History((0, 0), (Transfer(None, 0, 9), Transfer(0, 1, 4, "fee"), Transfer(0, None, 2, "fee")))
    steps = {fees: found(history, [Source((0,))], Policy(method, fees)).steps for fees in _FEES}
    assert [step.kind for step in steps["stop"]] == ["fees", "fees"]
    assert [step.kind for step in steps["follow"]] == ["carried", "burnt"]
