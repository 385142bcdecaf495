"""Walk a ledger forwards from source coins: a heap of the inputs that spend traced coins, in chain order.

The heap carries each coin's record, so no map of visited coins is needed; a transaction is handled when its first
traced input comes up, and all its traced inputs come up together. Time is linear in the transactions reached (times
the logarithm of the heap), memory in the result. Meaning: definition 1 in docs/tracing.md.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, kernel
from calibar.kernels.cuts import CLEAN, add_share, cut_front, fill_clean, push_segment, share_out

I64 = NDArray[np.int64]

FIFO, HAIRCUT = 0, 1
MIN_AMOUNT, HOPS = 0, 1
HELD, STOPPED, SPENT = 0, 1, 2
UNKNOWN_INPUT = -1
NO_REASON = -2


class Graph(NamedTuple):
    """A ledger's columns (see ledger/schema.py); ids are dense and in chain order."""

    block_first_tx: I64
    first_coin: I64
    first_input: I64
    fee: I64
    value: I64
    spent_by: I64
    input_coin: I64
    subsidy: I64
    """By block; -1 where unknown. Used only where fees are followed."""


class Sources(NamedTuple):
    """One row a labelled coin, in the order in which coins are born."""

    coin: I64
    label: I64
    after: I64
    """The first transaction handled after the coin's own."""
    coinbase: I64
    """1 for a coinbase that is handled after its block's other transactions."""
    amount: I64
    """Filled in: units labelled."""


class Walk(NamedTuple):
    """What was reached. Segment ranges are rows of `label` and `amount`."""

    coin: I64
    hop: I64
    state: I64
    reason: I64
    """Row of the stop rules, UNKNOWN_INPUT or NO_REASON."""
    start: I64
    """(coins, 2): segment range."""
    step_tx: I64
    step_hop: I64
    step_leak: I64
    """(steps, 2): segments that left as fee; in a coinbase's step, that its miner burnt."""
    step_followed: I64
    """1 where the fee went on into the block's coinbase."""
    label: I64
    amount: I64


@kernel
def _row_of(first: I64, item: int, low: int) -> int:
    """The row whose range holds `item`, by doubling steps from row `low`, which begins at or before it."""
    step = 1
    high = low + 1
    last = first.size - 1
    while high < last and first[high] <= item:
        low = high
        high = min(high + step, last)
        step *= 2
    while high - low > 1:
        middle = (low + high) >> 1
        if first[middle] <= item:
            low = middle
        else:
            high = middle
    return low


@kernel
def _sift_in(keys: I64, records: I64, size: int, key: int, record: int) -> None:
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if keys[parent] <= key:
            break
        keys[at], records[at] = keys[parent], records[parent]
        at = parent
    keys[at], records[at] = key, record


@kernel
def _drop_top(keys: I64, records: I64, size: int) -> None:
    """Remove the least of `size` entries."""
    size -= 1
    key, record = keys[size], records[size]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and keys[child + 1] < keys[child]:
            child += 1
        if keys[child] >= key:
            break
        keys[at], records[at] = keys[child], records[child]
        at = child
    keys[at], records[at] = key, record


@kernel
def _grown(array: I64, needed: int) -> I64:
    if needed <= array.size:
        return array
    larger = np.empty(max(needed, 2 * array.size), np.int64)
    larger[: array.size] = array
    return larger


@kernel
def walk(
    graph: Graph,
    method: int,
    follow_fees: bool,
    input_limit: int,
    rules: I64,
    rule_values: I64,
    sources: Sources,
    budgets: I64,
) -> Walk:
    """Follow `sources` through every transaction whose inputs are below `input_limit`.

    `budgets` has the units each label may still take (lowered here). Stop rules apply to what is received, in order.
    Values of zero take nothing. Under `follow_fees` a block with traced fees has its coinbase handled after its other
    transactions, unless a fee or the subsidy is unknown there: then those fees stay where they are.
    """
    never = i64(2**62)
    labels_count = budgets.size
    coins = np.empty(1024, np.int64)
    hops = np.empty(1024, np.int64)
    states = np.empty(1024, np.int64)
    reasons = np.empty(1024, np.int64)
    starts = np.empty(2048, np.int64)
    count = 0
    step_tx = np.empty(1024, np.int64)
    step_hop = np.empty(1024, np.int64)
    step_leak = np.empty(2048, np.int64)
    step_followed = np.empty(1024, np.int64)
    steps = 0
    pool_label = np.empty(4096, np.int64)
    pool_amount = np.empty(4096, np.int64)
    pool = 0
    keys = np.empty(1024, np.int64)
    records = np.empty(1024, np.int64)
    heap = 0
    entry_input = np.empty(256, np.int64)
    entry_record = np.empty(256, np.int64)
    line_label = np.empty(1024, np.int64)
    line_amount = np.empty(1024, np.int64)
    spare_label = np.empty(1024, np.int64)
    spare_amount = np.empty(1024, np.int64)
    capacity = np.empty(256, np.int64)
    remainders = np.empty(256, np.int64)
    shares = np.empty(256, np.int64)
    in_label = np.zeros(labels_count, np.int64)
    active = np.empty(labels_count, np.int64)

    next_source = 0
    tx, block = i64(0), i64(0)
    pending_block, pending_first, pending_limit = i64(-1), i64(0), never

    while True:
        # What comes next in chain order: a coin's birth, a block's coinbase, or a transaction.
        upcoming = i64(_row_of(graph.first_input, keys[0], tx)) if heap > 0 else never
        born_alone = False
        coinbase = False
        if pending_block >= 0 and upcoming >= pending_limit:
            if next_source < sources.coin.size and (
                sources.after[next_source] < pending_limit
                or (sources.after[next_source] == pending_limit and sources.coinbase[next_source] == 0)
            ):
                born_alone = True
            else:
                coinbase = True
        elif next_source < sources.coin.size and sources.after[next_source] <= upcoming:
            born_alone = True
        elif upcoming == never:
            break

        line = 0
        hop = i64(0)
        actives = 0
        if born_alone:
            first_out = sources.coin[next_source]
            last_out = first_out + 1
        elif coinbase:
            maker = graph.block_first_tx[pending_block]
            first_out, last_out = graph.first_coin[maker], graph.first_coin[maker + 1]
            hop = never
            leak = graph.subsidy[pending_block]
            known = leak >= 0
            for t in range(maker + 1, graph.block_first_tx[pending_block + 1]):
                if graph.fee[t] < 0:
                    known = False
                    break
                leak += graph.fee[t]
            if not known:
                pending_block, pending_limit = -1, never
                continue
            for o in range(first_out, last_out):
                leak -= graph.value[o]
            line_label = _grown(line_label, 2)
            line_amount = _grown(line_amount, 2)
            line = push_segment(line_label, line_amount, 0, line, CLEAN, graph.subsidy[pending_block])
            step = pending_first
            for t in range(maker + 1, graph.block_first_tx[pending_block + 1]):
                if step < steps and step_tx[step] == t:
                    begin, end = step_leak[2 * step], step_leak[2 * step + 1]
                    held = i64(0)
                    needed = line + end - begin + 2
                    line_label = _grown(line_label, needed)
                    line_amount = _grown(line_amount, needed)
                    for s in range(begin, end):
                        label = pool_label[s]
                        line = push_segment(line_label, line_amount, 0, line, label, pool_amount[s])
                        held += pool_amount[s]
                        if label != CLEAN:
                            if in_label[label] == 0:
                                active[actives] = label
                                actives += 1
                            in_label[label] += pool_amount[s]
                            hop = min(hop, step_hop[step])
                            step_followed[step] = 1
                    line = push_segment(line_label, line_amount, 0, line, CLEAN, graph.fee[t] - held)
                    step += 1
                else:
                    line_label = _grown(line_label, line + 2)
                    line_amount = _grown(line_amount, line + 2)
                    line = push_segment(line_label, line_amount, 0, line, CLEAN, graph.fee[t])
            hop += 1
            pending_block, pending_limit = -1, never
        else:
            maker = tx = upcoming
            begin, end = graph.first_input[maker], graph.first_input[maker + 1]
            first_out, last_out = graph.first_coin[maker], graph.first_coin[maker + 1]
            leak = graph.fee[maker]
            hop = never
            entries = 0
            needed = end - begin
            while heap > 0 and keys[0] < end:
                entry_input = _grown(entry_input, entries + 1)
                entry_record = _grown(entry_record, entries + 1)
                entry_input[entries], entry_record[entries] = keys[0], records[0]
                record = records[0]
                _drop_top(keys, records, heap)
                heap -= 1
                entries += 1
                hop = min(hop, hops[record])
                needed += starts[2 * record + 1] - starts[2 * record]
            hop += 1
            if leak < 0:
                for e in range(entries):
                    states[entry_record[e]] = STOPPED
                    reasons[entry_record[e]] = UNKNOWN_INPUT
                continue
            if method == FIFO:
                line_label = _grown(line_label, needed + 1)
                line_amount = _grown(line_amount, needed + 1)
                at = begin
                for e in range(entries):
                    while at < entry_input[e]:
                        line = push_segment(line_label, line_amount, 0, line, CLEAN, graph.value[graph.input_coin[at]])
                        at += 1
                    record = entry_record[e]
                    for s in range(starts[2 * record], starts[2 * record + 1]):
                        line = push_segment(line_label, line_amount, 0, line, pool_label[s], pool_amount[s])
                    at += 1
                while at < end:
                    line = push_segment(line_label, line_amount, 0, line, CLEAN, graph.value[graph.input_coin[at]])
                    at += 1
            else:
                for e in range(entries):
                    record = entry_record[e]
                    for s in range(starts[2 * record], starts[2 * record + 1]):
                        label = pool_label[s]
                        if in_label[label] == 0:
                            active[actives] = label
                            actives += 1
                        in_label[label] += pool_amount[s]

        # The cut. Receivers are the outputs, then the leak: the fee, or what a miner burnt.
        outputs = last_out - first_out
        receivers = outputs + 1
        if method == HAIRCUT and actives > 0:
            active[:actives].sort()
            capacity = _grown(capacity, receivers)
            remainders = _grown(remainders, receivers)
            shares = _grown(shares, actives * receivers)
            for o in range(outputs):
                capacity[o] = graph.value[first_out + o]
            capacity[outputs] = leak
            for k in range(actives):
                share_out(in_label[active[k]], capacity, receivers, shares, k * receivers, remainders)
        bound = pool + line + (actives + 2) * receivers + 2 * (sources.coin.size - next_source) + 8
        if bound > pool_label.size:
            pool_label = _grown(pool_label, bound)
            pool_amount = _grown(pool_amount, bound)
        if count + outputs > coins.size:
            coins = _grown(coins, count + outputs)
            hops = _grown(hops, count + outputs)
            states = _grown(states, count + outputs)
            reasons = _grown(reasons, count + outputs)
            starts = _grown(starts, 2 * (count + outputs))
        if heap + outputs > keys.size:
            keys = _grown(keys, heap + outputs)
            records = _grown(records, heap + outputs)
        front = 0
        for r in range(outputs):
            coin = first_out + r
            start = pool
            end = start
            total = i64(0)
            if not born_alone:
                if method == FIFO:
                    front, end, total = cut_front(
                        line_label, line_amount, front, graph.value[coin], pool_label, pool_amount, start
                    )
                else:
                    for k in range(actives):
                        share = shares[k * receivers + r]
                        if share > 0:
                            pool_label[end], pool_amount[end] = active[k], share
                            end += 1
                            total += share
            born = i64(0)
            while next_source < sources.coin.size and sources.coin[next_source] == coin:
                label = sources.label[next_source]
                if method == FIFO:
                    if end == start:
                        end = push_segment(pool_label, pool_amount, start, end, CLEAN, graph.value[coin])
                    spare_label = _grown(spare_label, end - start)
                    spare_amount = _grown(spare_amount, end - start)
                    end, given = fill_clean(
                        pool_label, pool_amount, start, end, label, budgets[label], spare_label, spare_amount
                    )
                else:
                    given = min(graph.value[coin] - total, budgets[label])
                    end = add_share(pool_label, pool_amount, start, end, label, given)
                budgets[label] -= given
                sources.amount[next_source] = given
                born += given
                total += given
                next_source += 1
            if total == 0:
                continue
            pool = end
            coin_hop = i64(0) if born > 0 else hop
            reason = NO_REASON
            if born == 0:
                for rule in range(rules.size):
                    if (rules[rule] == MIN_AMOUNT and total < rule_values[rule]) or (
                        rules[rule] == HOPS and coin_hop >= rule_values[rule]
                    ):
                        reason = rule
                        break
            spender = graph.spent_by[coin]
            if spender >= input_limit:
                state, reason = HELD, NO_REASON
            elif reason != NO_REASON:
                state = STOPPED
            else:
                state = SPENT
                _sift_in(keys, records, heap, spender, count)
                heap += 1
            coins[count], hops[count], states[count], reasons[count] = coin, coin_hop, state, reason
            starts[2 * count], starts[2 * count + 1] = start, end
            count += 1
        if born_alone:
            continue

        start = pool
        end = start
        leaked = i64(0)
        if method == FIFO:
            front, end, leaked = cut_front(line_label, line_amount, front, leak, pool_label, pool_amount, start)
        else:
            for k in range(actives):
                share = shares[k * receivers + outputs]
                if share > 0:
                    pool_label[end], pool_amount[end] = active[k], share
                    end += 1
                    leaked += share
        for k in range(actives):
            in_label[active[k]] = 0
        if leaked == 0:
            end = start
        pool = end
        step_tx = _grown(step_tx, steps + 1)
        step_hop = _grown(step_hop, steps + 1)
        step_leak = _grown(step_leak, 2 * steps + 2)
        step_followed = _grown(step_followed, steps + 1)
        step_tx[steps], step_hop[steps], step_followed[steps] = maker, hop, 0
        step_leak[2 * steps], step_leak[2 * steps + 1] = start, end
        if follow_fees and not coinbase and leaked > 0 and pending_block < 0:
            block = i64(_row_of(graph.block_first_tx, maker, block))
            pending_block, pending_first = block, steps
            pending_limit = graph.block_first_tx[block + 1]
        steps += 1

    return Walk(
        coins[:count],
        hops[:count],
        states[:count],
        reasons[:count],
        starts[: 2 * count],
        step_tx[:steps],
        step_hop[:steps],
        step_leak[: 2 * steps],
        step_followed[:steps],
        pool_label[:pool],
        pool_amount[:pool],
    )
