"""Walk a ledger forwards from source coins: a queue of the inputs that spend traced coins, in chain order.

The queue carries each coin's record, so no map of visited coins is needed; a transaction is handled when its first
traced input comes up, and all its traced inputs come up together. Time is linear in the transactions reached, memory
in the result. Meaning: definition 1 in docs/tracing.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels import turns
from calibar.kernels.queue import empty_queue
from calibar.kernels.stops import NO_RULE, Stops
from calibar.kernels.turns import FATE, FIRST, HOP, ITEM, NOWHERE, Graph, Sources, Tables

I64 = NDArray[np.int64]

FIFO, HAIRCUT = 0, 1
FIRST_ROWS = 1024
"""Of each table; a table that is too short is made longer."""


class Walk(NamedTuple):
    """What was reached. The segments of row i are first[i]:first[i + 1], a range of rows of its label and amount."""

    coin: I64
    hop: I64
    fate: I64
    """SPENT, HELD, UNKNOWN_INPUT or the row of the stop rule that held it back."""
    rule: I64
    """Of coins that are held: the row of the stop rule that what they received matches; else NO_RULE."""
    first_segment: I64
    label: I64
    amount: I64
    step_tx: I64
    step_hop: I64
    step_followed: I64
    """1 where the fee went on into the block's coinbase."""
    first_leak: I64
    """Of each step: segments that left as fee; in a coinbase's step, that its miner burnt."""
    leak_label: I64
    leak_amount: I64
    damaged: int
    """A transaction whose columns contradict each other, so that the walk ended there; NOWHERE in a sound ledger."""


def walk(
    graph: Graph,
    method: int,
    follow_fees: bool,
    input_limit: int,
    stops: Stops,
    sources: Sources,
    budgets: I64,
) -> Walk:
    """Follow `sources` through every transaction whose inputs are below `input_limit`.

    `budgets` has the units each label may still take (lowered here). Values of zero take nothing. Under `follow_fees` a
    block with traced fees has its coinbase handled after its other transactions, unless a fee or the subsidy is unknown
    there: then those fees stay where they are.
    """
    tables = Tables(*(np.empty((FIRST_ROWS, width), np.int64) for width in turns.WIDTHS))
    tables.coins[0, FIRST] = tables.steps[0, FIRST] = 0
    queue = empty_queue(min(input_limit, graph.input_coin.size))
    state = np.zeros(turns.STATE, np.int64)
    state[turns.PENDING_BLOCK] = state[turns.DAMAGED] = NOWHERE
    state[turns.PENDING_TURN] = graph.first_input.size
    labels = np.zeros((2, budgets.size), np.int64)
    question = method == FIFO, follow_fees, input_limit
    while True:
        short = turns.advance(graph, *question, stops, sources, budgets, tables, queue, labels, state)
        if short == turns.ENOUGH:
            break
        tables = tables._replace(**{Tables._fields[short]: _longer(tables[short], int(state[turns.NEEDED]))})
    coins, steps = tables.coins[: state[turns.COINS] + 1], tables.steps[: state[turns.STEPS] + 1]
    segments, leaks = tables.segments[: state[turns.SEGMENTS]], tables.leaks[: state[turns.LEAKS]]
    held = graph.spent_by[coins[:-1, ITEM]] >= input_limit
    return Walk(
        coin=coins[:-1, ITEM],
        hop=coins[:-1, HOP],
        fate=np.where(held, turns.HELD, coins[:-1, FATE]),
        rule=np.where(held, coins[:-1, FATE], NO_RULE),
        first_segment=coins[:, FIRST],
        label=segments[:, 0],
        amount=segments[:, 1],
        step_tx=steps[:-1, ITEM],
        step_hop=steps[:-1, HOP],
        step_followed=steps[:-1, FATE],
        first_leak=steps[:, FIRST],
        leak_label=leaks[:, 0],
        leak_amount=leaks[:, 1],
        damaged=int(state[turns.DAMAGED]),
    )


def _longer(table: I64, rows: int) -> I64:
    larger = np.empty((max(rows, 2 * table.shape[0]), table.shape[1]), np.int64)
    larger[: table.shape[0]] = table
    return larger
