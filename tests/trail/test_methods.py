"""The compiled walk against the slow reference, on random histories."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from graphs import Graph, Policy, Source, columns, questions
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import WrongQuestion
from reference import trace as reference_trace

from calibar.kernels import taint, turns
from calibar.kernels.cuts import CLEAN
from calibar.kernels.stops import LABEL, stops
from calibar.trail.policy import METHODS
from calibar.trail.stops import RULES
from calibar.trail.trace import ALL, frozen, source_rows

Traced = dict[int, int]
Segments = list[tuple[int | None, int]]


class _Walked:
    """The product's answer to a question about a graph, in the reference's terms."""

    def __init__(self, graph: Graph, sources: list[Source], policy: Policy) -> None:
        c = columns(graph)
        self.graph = turns.Graph(
            *(
                frozen(array)
                for array in (
                    c.block_first_tx,
                    c.tx_first_coin,
                    c.tx_first_input,
                    c.tx_fee,
                    c.coin_value,
                    c.coin_spent_by,
                    c.input_coin,
                    c.block_subsidy,
                )
            )
        )
        blocks = len(graph.blocks) if policy.as_of is None else min(policy.as_of + 1, len(graph.blocks))
        end = self.graph.block_first_tx[blocks]
        coin_limit, input_limit = int(self.graph.first_coin[end]), int(self.graph.first_input[end])
        references = [(np.array([x for x in s.coins if x < coin_limit], np.int64), s.amount) for s in sources]
        if any(coins.size == 0 for coins, _ in references):
            raise WrongQuestion
        self.rows = source_rows(self.graph, references, follow=policy.fees == "follow")
        self.rows.skip[:] = [sources[label].skip for label in self.rows.label.tolist()]
        self.rules = [f"label:{value}" if name == "label" else name for name, value in policy.stops]
        rows = {category: row for row, (name, category) in reversed([*enumerate(policy.stops)]) if name == "label"}
        labelled = {owner: rows[category] for owner, category in policy.labels if category in rows}
        self.walk = taint.walk(
            self.graph,
            METHODS.index(policy.method),
            policy.fees == "follow",
            input_limit,
            stops(
                [(LABEL if name == "label" else RULES[name], value) for name, value in policy.stops],
                c.coin_address,
                c.address_kind,
                labelled,
                list(policy.passed),
            ),
            self.rows,
            np.array([ALL if amount is None else amount for _, amount in references], np.int64),
        )
        for label in range(len(references)):
            if not self.rows.amount[self.rows.label == label].any():
                raise WrongQuestion

    def carried(self, record: int) -> Segments:
        w = self.walk
        return _rows(w.first_segment, w.label, w.amount, record)

    def leak(self, step: int) -> Segments:
        w = self.walk
        return _rows(w.first_leak, w.leak_label, w.leak_amount, step)


def _rows(first: NDArray[np.int64], label: NDArray[np.int64], amount: NDArray[np.int64], row: int) -> Segments:
    rows = slice(int(first[row]), int(first[row + 1]))
    labels = (None if x == CLEAN else x for x in label[rows].tolist())
    return list(zip(labels, amount[rows].tolist(), strict=True))


def _traced(segments: Segments) -> Traced:
    sums: Traced = {}
    for label, amount in segments:
        if label is not None:
            sums[label] = sums.get(label, 0) + amount
    return sums


@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions())
def test_walk_equals_the_reference(question: tuple[Graph, list[Source], Policy]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(taint, "FIRST_ROWS", 2)  # so that every table has to grow
        _check(*question)


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(questions(), st.lists(st.integers(0, 40), min_size=8, max_size=8))
def test_units_left_alone_in_front(question: tuple[Graph, list[Source], Policy], skips: list[int]) -> None:
    """What a withdrawal brings into a coin lies where it was drawn, not in front."""
    graph, sources, policy = question
    _check(graph, [replace(source, skip=skip) for source, skip in zip(sources, skips, strict=False)], policy)


def _check(graph: Graph, sources: list[Source], policy: Policy) -> None:
    try:
        expected = reference_trace(graph, sources, policy)
    except WrongQuestion:
        with pytest.raises(WrongQuestion):
            _Walked(graph, sources, policy)
        return
    got = _Walked(graph, sources, policy)
    w = got.walk

    rows = sorted(zip(*(a.tolist() for a in (got.rows.label, got.rows.coin, got.rows.amount)), strict=True))
    assert rows == sorted((row["label"], row["coin"], row["amount"]) for row in expected["sources"])

    steps = sorted(range(w.step_tx.size), key=lambda i: int(w.step_tx[i]))
    assert [(int(w.step_tx[i]), int(w.step_hop[i])) for i in steps] == [(s["tx"], s["hop"]) for s in expected["steps"]]
    for i, step in zip(steps, expected["steps"], strict=True):
        leak = _traced(got.leak(i))
        assert leak == (step["burnt_traced"] if graph.is_coinbase(step["tx"]) else step["fee_traced"])

    holdings = []
    for record in np.argsort(w.coin).tolist():
        fate = int(w.fate[record])
        if fate == turns.SPENT:
            continue
        coin = int(w.coin[record])
        if fate == turns.HELD:
            why = "unspendable" if graph.unspendable(coin) else "unspent"
        else:
            why = "unknown input" if fate == turns.UNKNOWN_INPUT else got.rules[fate]
        word = "held" if fate == turns.HELD else "stopped"
        holdings.append({"coin": coin, "traced": _traced(got.carried(record)), "state": word, "reason": why})
    assert holdings == expected["holdings"]

    if policy.method == "fifo":
        carried = {int(w.coin[r]): got.carried(r) for r in range(w.coin.size)}
        assert carried == expected["segments"]
