"""Walk the transfers of an account chain in chain order, drawing and adding labelled value: the account walk.

Each (asset, account) is a holder with a list of segments; every transfer draws from one list and adds to another. Time
is linear in transfers and pieces. Meaning: definition 1 in docs/tracing.md, "Account chains".
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels import holders as h
from calibar.kernels import transfers
from calibar.kernels.compiled import i64, lean
from calibar.kernels.holders import AMOUNT, CODE, HOP, LIVE, NODES
from calibar.kernels.transfers import BURN, ENOUGH, MOVE, NOWHERE, Arrivals, Conversions, Flows, Tables
from calibar.kernels.wide import U64, ZERO

I64 = NDArray[np.int64]

MAX_RULES: Final = 0xFFFE
FIRST_ROWS = 1024
"""Of each table; a table that is too short is made longer."""


class FlowWalk(NamedTuple):
    """What the walk found. Codes have a label (`holders.label_of`) and the stop rule that marks it (`rule_of`).

    `fifo` and `lifo` list clean segments too, in their order; the other methods have labelled ones by label alone.
    """

    holder: I64
    """Those where labelled value lies at the end, in order."""
    holder_hop: I64
    """-1 where all of it is marked."""
    first_segment: I64
    """The segments of row i are first[i]:first[i + 1], front to back."""
    code: U64
    amount: U64
    step_flow: I64
    """In chain order; a transfer that is given and received at once has two rows."""
    step_hop: I64
    step_kind: I64
    step_rule: I64
    """The stop rule that holds back what arrived; -1 for none."""
    step_drawn: I64
    """First segment drawn by each step, with one row more."""
    step_arrived: I64
    """First segment that arrived, up to the next step's drawn. Where a CARRIED step has none, what arrived is what was
    drawn. What a source labels is not in here."""
    step_code: U64
    step_amount: U64
    stop_flow: I64
    """The transfer that would have spent it."""
    stop_holder: I64
    stop_reason: I64
    """Row of a stop rule, INCOMPLETE or EXCHANGED."""
    stop_label: I64
    stop_amount: U64
    damaged: int
    """A transfer that contradicts what is known or is too large, so that the walk ended there; else NOWHERE."""


@lean
def _count_held(holders: U64) -> tuple[int, int]:
    """Holders with labelled value, and their segments."""
    count = segments = i64(0)
    for holder in range(holders.shape[0]):
        if holders[holder, NODES] > ZERO:
            count += 1
            segments += i64(holders[holder, NODES])
    return count, segments


@lean
def _list_held(backwards: bool, holders: U64, nodes: U64, rows: I64, segments: U64) -> None:
    """Write each holder with labelled value, its hop and first segment into `rows`, which has one row more."""
    row = at = i64(0)
    for holder in range(holders.shape[0]):
        count = i64(holders[holder, NODES])
        if count == 0:
            continue
        rows[row, 0] = holder
        rows[row, 1] = i64(holders[holder, HOP]) if holders[holder, LIVE] > ZERO else -1
        rows[row, 2] = at
        node = holders[holder, h.HEAD]
        for k in range(count):
            to = at + count - 1 - k if backwards else at + k
            for column in range(h.SEGMENT):
                segments[to, column] = nodes[node, column]
            node = nodes[node, h.NEXT]
        at += count
        row += 1
    rows[row, 2] = at


def walk(
    flows: Flows,
    method: int,
    follow_fees: bool,
    rules: I64,
    rule_values: U64,
    sources: Arrivals,
    budgets: U64,
    conversions: Conversions,
) -> FlowWalk:
    """Follow `sources` through all transfers by a method of `holders`.

    `rule_values` are limbs, (rules, 2). `budgets`, (labels, 2), has the units each label may still take (lowered here).
    Stop rules apply to what is received, in order, and never to what a source labels. Under `follow_fees` a fee goes on
    to its recipient. Raises ValueError as `contradiction` does.
    """
    born = len(sources.flow)
    rows = [(rule_values, len(rules)), (budgets, len(budgets))]
    rows += [(amounts, born) for amounts in (sources.amount, sources.most, sources.skip)]
    if any(amounts.shape != (count, 2) for amounts, count in rows):
        raise ValueError("amounts are rows of two limbs, one for each rule, label or source")
    damaged = contradiction(flows, len(rules), sources, len(budgets), conversions)
    groups = 1 + max((int(ids.max()) for ids in conversions if ids.size), default=-1)
    holders = np.zeros((flows.known.size, h.HOLDER), np.uint64)
    given = np.zeros((groups, h.HOLDER), np.uint64)
    tables = Tables(*(np.empty((FIRST_ROWS, width), np.uint64) for width in transfers.WIDTHS))
    tables.steps[0, 4] = 0
    pool, state = np.zeros(3, np.int64), np.zeros(transfers.STATE, np.int64)
    pool[h.FREE], state[transfers.DAMAGED] = -1, damaged
    flows, conversions = Flows(*map(_fixed, flows)), Conversions(*map(_fixed, conversions))
    arrivals = Arrivals(*map(_fixed, sources))._replace(amount=sources.amount)
    question = flows, method, follow_fees, _fixed(rules), _fixed(rule_values), arrivals, budgets, conversions
    while damaged == NOWHERE:
        short = transfers.advance(*question, given, holders, pool, tables, state)
        if short == ENOUGH:
            break
        tables = tables._replace(**{Tables._fields[short]: _longer(tables[short], int(state[transfers.NEEDED]))})
    ends, held = np.zeros((1, 3), np.int64), np.empty((0, h.SEGMENT), np.uint64)
    if state[transfers.DAMAGED] == NOWHERE:
        count, segments = _count_held(holders)
        ends, held = np.zeros((count + 1, 3), np.int64), np.empty((segments, h.SEGMENT), np.uint64)
        _list_held(method == h.LIFO, holders, tables.nodes, ends, held)
    stops, steps = tables.stops[: state[transfers.STOPPED]], tables.steps[: state[transfers.STEPPED] + 1].view(np.int64)
    drawn = tables.segments[: state[transfers.PLACED]]
    return FlowWalk(
        holder=ends[:-1, 0],
        holder_hop=ends[:-1, 1],
        first_segment=ends[:, 2],
        code=held[:, CODE],
        amount=held[:, AMOUNT:],
        step_flow=steps[:-1, 0],
        step_hop=steps[:-1, 1],
        step_kind=steps[:-1, 2],
        step_rule=steps[:-1, 3],
        step_drawn=steps[:, 4],
        step_arrived=steps[:-1, 5],
        step_code=drawn[:, CODE],
        step_amount=drawn[:, AMOUNT:],
        stop_flow=stops[:, 0].view(np.int64),
        stop_holder=stops[:, 1].view(np.int64),
        stop_reason=stops[:, 2].view(np.int64),
        stop_label=h.label_of(stops[:, 3]),
        stop_amount=stops[:, 4:],
        damaged=int(state[transfers.DAMAGED]),
    )


def contradiction(flows: Flows, rules: int, sources: Arrivals, labels: int, conversions: Conversions) -> int:
    """The first transfer that is none, else NOWHERE. Kernels check no bounds.

    Raises ValueError where what was asked has no answer: rows of unequal number, labels or rules that are not there.
    """
    count, holders = flows.sender.size, flows.known.size
    columns = [flows.sender, flows.recipient, flows.amount, flows.role, flows.step]
    columns += [column for column in conversions if column.size]
    if any(len(column) != count for column in columns) or flows.holder_rule.size != holders:
        raise ValueError("the columns of the transfers are of unequal length")
    if len({len(column) for column in sources}) != 1 or len({len(column) for column in conversions}) != 1:
        raise ValueError("the columns of the sources or conversions are of unequal length")
    if rules > MAX_RULES or np.any((flows.holder_rule < -1) | (flows.holder_rule >= rules)):
        raise ValueError("there is no such stop rule")
    if labels > 1 << 40 or np.any((sources.label < 0) | (sources.label >= labels)):
        raise ValueError("there is no such label")
    if np.any((sources.budget < 0) | (sources.budget >= labels)):
        raise ValueError("there is no such budget")
    if np.any(np.diff(sources.flow) < 0) or np.any((sources.flow < 0) | (sources.flow >= count)):
        raise ValueError("the sources are not in the order of the transfers")
    bad = (flows.sender < -1) | (flows.sender >= holders) | (flows.recipient < -1) | (flows.recipient >= holders)
    bad |= (flows.role < MOVE) | (flows.role > BURN) | ((flows.role == BURN) & (flows.recipient != -1))
    bad |= flows.amount[:, 1] >= np.uint64(1 << 62)
    bad[1:] |= np.diff(flows.step) < 0
    for groups in conversions:
        if groups.size:
            bad |= (groups < -1) | (groups >= max(count, 1))
    return int(np.argmax(bad)) if bad.any() else NOWHERE


def _fixed(column: NDArray[Any]) -> NDArray[Any]:
    """A column that cannot be written, mapped or not: the kernel is compiled once."""
    view = np.ascontiguousarray(column).view()
    view.flags.writeable = False
    return view


def _longer(table: U64, rows: int) -> U64:
    larger = np.empty((max(rows, 2 * table.shape[0]), table.shape[1]), np.uint64)
    larger[: table.shape[0]] = table
    return larger
