"""One transfer after the other: what it draws from its sender's list, what becomes of that, what arrives.

Meaning: definition 1 in docs/tracing.md, "Account chains".
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels import holders as h
from calibar.kernels.compiled import i64, inlined, lean, u64
from calibar.kernels.holders import AMOUNT, AMOUNT_UP, CLEAN, CODE, HOP, LIVE, LOW, NODES, OPEN, SPARES, UP, USED
from calibar.kernels.wide import ONE, TOP, U64, ZERO, below, lesser, minus, plus

I64 = NDArray[np.int64]

MOVE, FEE, BURN = range(3)
"""Roles of a transfer."""
MIN_AMOUNT, HOPS, HOLDER = range(3)
"""Kinds of stop rule: labelled units received below a value, hop from a value on, what a holder receives."""
INCOMPLETE, EXCHANGED = -1, -2
"""Why labelled value stopped, where it is not the row of a stop rule: the holder's history is incomplete; it was what
the other side of a conversion paid with."""
CARRIED, FEES, BURNT, CONVERTED, RECEIVED = range(5)
"""Kinds of step: labelled value drawn arrives, leaves as fee, is burnt, is given for another asset; labelled value is
received for one."""
NOWHERE = -1
"""In place of a transfer: nothing in the rows contradicts itself."""
ENOUGH = -1
SEGMENTS, NODE_ROWS, STOPS, STEPS, LINE, SPARE, SHARES = range(7)
WIDTHS: Final = (h.SEGMENT, h.NODE, 6, 6, h.SEGMENT, h.SEGMENT, 2)
FLOW, BORN, PLACED, STOPPED, STEPPED, NEEDED, DAMAGED, STATE = range(8)
"""Where the walk stands: transfers and births done, rows written, rows that a table needs, a damaged transfer."""


class Flows(NamedTuple):
    """Transfers in chain order, and what is known of the holders, who are dense (asset, account) pairs."""

    sender: I64
    """-1: the value comes clean from nobody."""
    recipient: I64
    """-1: it goes to nobody, and what is labelled of it is burnt."""
    amount: U64
    """(transfers, 2): limbs, below 2^126."""
    role: I64
    step: I64
    """The transaction, never decreasing."""
    holder_rule: I64
    """By holder: the stop rule of kind HOLDER for what it receives; -1 for none."""
    known: I64
    """By holder: how many of all transfers come before the first that it may lack; from there on its history is
    incomplete."""


class Arrivals(NamedTuple):
    """One row a labelled arrival, in the order of the transfers, then in the order in which labels take."""

    flow: I64
    label: I64
    amount: U64
    """Filled in: units labelled, (rows, 2)."""
    most: U64
    """Units that the row may label, whatever its label may still take, (rows, 2)."""
    skip: U64
    """Clean units that the row leaves alone in front of what it labels, where lists have an order, (rows, 2)."""
    budget: I64
    """The row of the budgets that it takes from."""
    source: I64
    """1 for a source of the trail, at which no rule stops; 0 for what came here from elsewhere."""


def arrivals(flow: I64, label: I64, most: U64 | None = None, skip: U64 | None = None) -> Arrivals:
    """Rows of sources that may label all there is, from the front, unless they are told otherwise."""
    rows = (flow.size, 2)
    most = np.full(rows, np.iinfo(np.uint64).max, np.uint64) if most is None else most
    skip = np.zeros(rows, np.uint64) if skip is None else skip
    return Arrivals(flow, label, np.zeros(rows, np.uint64), most, skip, label, np.ones(flow.size, np.int64))


class Conversions(NamedTuple):
    """By transfer: the conversion that it gives to, or that it is received from; -1 for none. Empty: none at all."""

    given: I64
    received: I64


class Tables(NamedTuple):
    """What the walk writes, and its scratch; rows are added as they are needed."""

    segments: U64
    nodes: U64
    stops: U64
    """Transfer, holder, reason, code, amount."""
    steps: U64
    """Transfer, hop, kind, stop rule of what arrives, first segment drawn, first segment arrived."""
    line: U64
    spare: U64
    shares: U64


@inlined
def _rule(flows: Flows, rules: I64, values: U64, recipient: int, hop: int, low: int, up: int) -> int:
    """Row of the first stop rule that what was received matches, else -1."""
    for rule in range(rules.size):
        if rules[rule] == MIN_AMOUNT:
            if below(low, up, values[rule, 0], values[rule, 1]):
                return rule
        elif rules[rule] == HOPS:
            if values[rule, 1] == ZERO and u64(hop) >= values[rule, 0]:
                return rule
        elif flows.holder_rule[recipient] == rule:
            return rule
    return -1


@inlined
def _stop(stops: U64, at: int, flow: int, holder: int, reason: int, segments: U64, s: int) -> int:
    """Note a stopped segment, for its own mark's rule if it has one; the rows then noted."""
    code = segments[s, CODE]
    if not h.is_live(code):
        reason = i64(code & h.MARK) - 1
    stops[at, 0], stops[at, 1], stops[at, 2], stops[at, 3] = u64(flow), u64(holder), u64(reason), code
    stops[at, 4], stops[at, 5] = segments[s, AMOUNT], segments[s, AMOUNT_UP]
    return at + 1


@inlined
def _note(steps: U64, at: int, flow: int, hop: int, kind: int, drawn: int, arrived: int, end: int) -> int:
    """Note a step; the rows then noted."""
    steps[at, 0], steps[at, 1], steps[at, 2], steps[at, 3] = u64(flow), u64(hop), u64(kind), u64(-1)
    steps[at, 4], steps[at, 5] = u64(drawn), u64(arrived)
    steps[at + 1, 4] = u64(end)
    return at + 1


@lean
def advance(
    flows: Flows,
    method: int,
    follow_fees: bool,
    rules: I64,
    rule_values: U64,
    sources: Arrivals,
    budgets: U64,
    conversions: Conversions,
    groups: U64,
    holders: U64,
    pool: I64,
    tables: Tables,
    state: I64,
) -> int:
    """Walk on until the end, ENOUGH, or until a table is too short for the next transfer: its place in `Tables`, with
    the rows it needs in `state`."""
    segments, nodes, stops, steps, line, spare, shares = tables
    lifo, lists, converts = method == h.LIFO, method <= h.LIFO, conversions.given.size > 0
    born, placed, stopped, stepped = state[BORN], state[PLACED], state[STOPPED], state[STEPPED]
    births, short, flow = sources.flow.size, i64(ENOUGH), state[FLOW]
    while flow < flows.sender.size:
        sender, recipient = flows.sender[flow], flows.recipient[flow]
        low, up = flows.amount[flow, 0], flows.amount[flow, 1]
        given = conversions.given[flow] if converts else i64(-1)
        received = conversions.received[flow] if converts else i64(-1)
        until = born
        while until < births and sources.flow[until] == flow:
            until += 1
        pieces = 4 + (i64(holders[sender, NODES]) if sender >= 0 else 0)
        dealt = pieces + 2 * (until - born) + (i64(groups[received, NODES]) if received >= 0 else 0)
        if placed + pieces + dealt > segments.shape[0]:
            short, state[NEEDED] = i64(SEGMENTS), placed + pieces + dealt
        elif pool[USED] + 2 * dealt > nodes.shape[0] + pool[SPARES]:
            short, state[NEEDED] = i64(NODE_ROWS), nodes.shape[0] + 2 * dealt
        elif stopped + pieces > stops.shape[0]:
            short, state[NEEDED] = i64(STOPS), stopped + pieces
        elif stepped + 3 > steps.shape[0]:
            short, state[NEEDED] = i64(STEPS), stepped + 3
        elif dealt > line.shape[0]:
            short, state[NEEDED] = i64(LINE), dealt
        elif dealt > spare.shape[0]:
            short, state[NEEDED] = i64(SPARE), dealt
        elif dealt > shares.shape[0]:
            short, state[NEEDED] = i64(SHARES), dealt
        if short != ENOUGH:
            break
        flow += 1
        if low == ZERO and up == ZERO:
            born = until
            continue
        flow -= 1

        # What is drawn, and what of it stops here.
        end, hop, marked = placed, i64(0), False
        sum_low, sum_up = ZERO, ZERO
        if sender >= 0:
            holder = holders[sender]
            hop = i64(holder[HOP]) + 1
            if below(holder[LOW], holder[UP], low, up):
                emptied = h.empty(holder, nodes, pool, segments, placed)
                for s in range(placed, emptied):
                    if segments[s, CODE] != CLEAN:
                        stopped = _stop(stops, stopped, flow, sender, INCOMPLETE, segments, s)
                holder[LOW] = holder[UP] = ZERO
                holder[OPEN] = ONE
            else:
                if holder[NODES] > ZERO:
                    if lists:
                        end = h.draw_line(holder, nodes, pool, low, up, segments, placed)
                    else:
                        end = h.draw_shares(method == h.HAIRCUT, holder, nodes, pool, low, up, segments, placed)
                holder[LOW], holder[UP] = minus(holder[LOW], holder[UP], low, up)
                is_open = holder[OPEN] == ONE or flow >= flows.known[sender]
                ends = is_open or (received >= 0 and given < 0)
                reason = INCOMPLETE if is_open else EXCHANGED
                for s in range(placed, end):
                    code = segments[s, CODE]
                    if code == CLEAN:
                        continue
                    if ends or not h.is_live(code):
                        stopped = _stop(stops, stopped, flow, sender, reason, segments, s)
                        marked = True
                    else:
                        sum_low, sum_up = plus(sum_low, sum_up, segments[s, AMOUNT], segments[s, AMOUNT_UP])
        if given >= 0:
            group = groups[given]
            group[LOW], group[UP] = plus(group[LOW], group[UP], low, up)
            if group[UP] >= TOP:
                state[DAMAGED] = flow
                break

        # Where what is labelled of it goes: rows first:last of a table arrive.
        carried, kind = False, i64(-1)
        first, last, in_line = placed, placed, False
        if sum_low != ZERO or sum_up != ZERO:
            if given >= 0:
                kind = i64(CONVERTED)
                group = groups[given]
                if group[LIVE] == ZERO or u64(hop) < group[HOP]:
                    group[HOP] = u64(hop)
                for s in range(placed, end):
                    if h.is_live(segments[s, CODE]):
                        h.add_shares(group, nodes, pool, segments, s, s + 1, ZERO)
            elif flows.role[flow] == FEE and not follow_fees:
                kind = i64(FEES)
            elif recipient < 0:
                kind = i64(BURNT)
            else:
                kind, carried, last = i64(CARRIED), True, end
            first = end if marked and carried else placed
            if marked and carried:
                for s in range(placed, end):
                    code = segments[s, CODE]
                    if lists or h.is_live(code):
                        code = code if h.is_live(code) else CLEAN
                        last = h.write(segments, first, last, code, segments[s, AMOUNT], segments[s, AMOUNT_UP])
            stepped = _note(steps, stepped, flow, hop, kind, placed, end, max(last, end))
            placed = max(last, end)
        if not carried:
            first, last = placed, placed
            sum_low, sum_up = ZERO, ZERO
        if received >= 0 and recipient >= 0 and groups[received, LIVE] > ZERO:
            hop = i64(groups[received, HOP])
            count = h.share_given(groups[received], nodes, low, up, shares, line)
            for s in range(count):
                if line[s, CODE] != CLEAN:
                    sum_low, sum_up = plus(sum_low, sum_up, line[s, AMOUNT], line[s, AMOUNT_UP])
            if sum_low != ZERO or sum_up != ZERO:
                for s in range(count):
                    if lists or line[s, CODE] != CLEAN:
                        last = h.write(segments, first, last, line[s, CODE], line[s, AMOUNT], line[s, AMOUNT_UP])
                stepped = _note(steps, stepped, flow, hop, RECEIVED, placed, placed, last)
                placed, carried = last, True
        if recipient < 0:
            born, flow = until, flow + 1
            continue

        # What arrives: that, then what sources label of its clean part.
        mark, filled, sourced, brought = ZERO, i64(0), False, False
        if born < until:
            in_line = True
            for s in range(first, last):
                filled = h.write(line, 0, filled, segments[s, CODE], segments[s, AMOUNT], segments[s, AMOUNT_UP])
            if lists and filled == 0:
                filled = h.write(line, 0, filled, CLEAN, low, up)
            first, last = i64(0), filled
        while born < until:
            label = sources.label[born]
            purse = sources.budget[born]
            budget, budget_up = budgets[purse, 0], budgets[purse, 1]
            most, most_up = lesser(budget, budget_up, sources.most[born, 0], sources.most[born, 1])
            if lists:
                skip, skip_up = sources.skip[born, 0], sources.skip[born, 1]
                last, taken, taken_up = h.fill_clean(line, last, label, skip, skip_up, most, most_up, spare)
            else:
                clean, clean_up = minus(low, up, sum_low, sum_up)
                taken, taken_up = lesser(clean, clean_up, most, most_up)
                last = h.write(line, last, last, h.coded(label, 0), taken, taken_up)
            budgets[purse, 0], budgets[purse, 1] = minus(budget, budget_up, taken, taken_up)
            sources.amount[born, 0], sources.amount[born, 1] = taken, taken_up
            sum_low, sum_up = plus(sum_low, sum_up, taken, taken_up)
            if taken != ZERO or taken_up != ZERO:
                if sources.source[born] == 1:
                    sourced = True
                else:
                    brought = True
            born += 1
        holder = holders[recipient]
        if sourced or not carried:
            hop = i64(0)
        if not sourced and (carried or brought):
            rule = _rule(flows, rules, rule_values, recipient, hop, sum_low, sum_up)
            if rule >= 0:
                mark = u64(rule + 1)
                if carried:
                    steps[stepped - 1, 3] = u64(rule)
        if sum_low != ZERO or sum_up != ZERO:
            if mark == ZERO and (holder[LIVE] == ZERO or u64(hop) < holder[HOP]):
                holder[HOP] = u64(hop)
            table = line if in_line else segments
            if lists:
                h.add_line(lifo, holder, nodes, pool, table, first, last, mark)
            else:
                h.add_shares(holder, nodes, pool, table, first, filled if in_line else last, mark)
                for s in range(filled, last if in_line else filled):
                    h.add_shares(holder, nodes, pool, line, s, s + 1, mark)
        elif lists and holder[NODES] > ZERO:
            line[0, CODE], line[0, AMOUNT], line[0, AMOUNT_UP] = CLEAN, low, up
            h.add_line(lifo, holder, nodes, pool, line, 0, 1, ZERO)
        holder[LOW], holder[UP] = plus(holder[LOW], holder[UP], low, up)
        if holder[UP] >= TOP:
            state[DAMAGED] = flow
            break
        flow += 1
    state[FLOW], state[BORN], state[PLACED], state[STOPPED], state[STEPPED] = flow, born, placed, stopped, stepped
    return short
