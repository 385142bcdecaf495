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
from calibar.kernels.cuts import CLEAN, add_share, cut_front, fill_clean, push_segment, share_out, take_in

I64 = NDArray[np.int64]

FIFO, HAIRCUT = 0, 1
MIN_AMOUNT, HOPS = 0, 1
HELD, STOPPED, SPENT = 0, 1, 2
UNKNOWN_INPUT = -1
NO_REASON = -2
MAX_AMOUNT = 1 << 52
NOWHERE = -1
"""In place of a transaction: nothing in the columns contradicts itself."""


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
    span: I64
    """(coins, 2): segment range."""
    step_tx: I64
    step_hop: I64
    step_leak: I64
    """(steps, 2): segments that left as fee; in a coinbase's step, that its miner burnt."""
    step_followed: I64
    """1 where the fee went on into the block's coinbase."""
    label: I64
    amount: I64
    damaged: int
    """A transaction whose columns contradict each other, so that the walk ended there; NOWHERE in a sound ledger."""


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
    coins, steps, segments, damaged = _walk(
        graph, method, follow_fees, input_limit, rules, rule_values, sources, budgets
    )
    return Walk(
        coin=coins[:, 0],
        hop=coins[:, 1],
        state=coins[:, 2],
        reason=coins[:, 3],
        span=coins[:, 4:6],
        step_tx=steps[:, 0],
        step_hop=steps[:, 1],
        step_leak=steps[:, 2:4],
        step_followed=steps[:, 4],
        label=segments[:, 0],
        amount=segments[:, 1],
        damaged=damaged,
    )


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
def _put(heap: I64, size: int, key: int, record: int) -> None:
    """Add an entry to a heap of `size` rows (key, record)."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if heap[parent, 0] <= key:
            break
        heap[at, 0], heap[at, 1] = heap[parent, 0], heap[parent, 1]
        at = parent
    heap[at, 0], heap[at, 1] = key, record


@kernel
def _drop_least(heap: I64, size: int) -> None:
    """Remove the least of `size` rows."""
    size -= 1
    key, record = heap[size, 0], heap[size, 1]
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and heap[child + 1, 0] < heap[child, 0]:
            child += 1
        if heap[child, 0] >= key:
            break
        heap[at, 0], heap[at, 1] = heap[child, 0], heap[child, 1]
        at = child
    heap[at, 0], heap[at, 1] = key, record


@kernel
def _grown(table: I64, rows: int) -> I64:
    """The table itself, or a larger copy with room for `rows` rows."""
    if rows <= table.shape[0]:
        return table
    larger = np.empty((max(rows, 2 * table.shape[0]), table.shape[1]), np.int64)
    larger[: table.shape[0]] = table
    return larger


@kernel
def _longer(array: I64, size: int) -> I64:
    """The array itself, or a longer one: its content is not kept."""
    return array if size <= array.size else np.empty(max(size, 2 * array.size), np.int64)


@kernel
def _stop_reason(total: int, hop: int, rules: I64, values: I64) -> int:
    """Row of the first stop rule that what was received matches, else NO_REASON."""
    for rule in range(rules.size):
        if (rules[rule] == MIN_AMOUNT and total < values[rule]) or (rules[rule] == HOPS and hop >= values[rule]):
            return rule
    return NO_REASON


@kernel
def _block_leak(graph: Graph, block: int) -> int:
    """What a block's miner did not claim; -1 where the subsidy or a fee is unknown."""
    first = graph.block_first_tx[block]
    leak = graph.subsidy[block]
    if leak < 0:
        return -1
    for tx in range(first + 1, graph.block_first_tx[block + 1]):
        if graph.fee[tx] < 0:
            return -1
        leak += graph.fee[tx]
    for coin in range(graph.first_coin[first], graph.first_coin[first + 1]):
        leak -= graph.value[coin]
    return i64(leak)


@kernel
def _sound_outputs(graph: Graph, tx: int) -> bool:
    """Whether a transaction's outputs are rows of the coins, with values that are amounts.

    Damaged columns must end a walk, not lead it outside its arrays: kernels check no bounds.
    """
    first, end = graph.first_coin[tx], graph.first_coin[tx + 1]
    if first < 0 or end < first or end > graph.value.size:
        return False
    for coin in range(first, end):  # noqa: SIM110
        if graph.value[coin] < 0 or graph.value[coin] > MAX_AMOUNT:
            return False
    return True


@kernel
def _sound_inputs(graph: Graph, tx: int, key: int, with_values: bool) -> bool:
    """Whether a transaction's inputs are rows of the inputs, `key` among them, that spend coins made before it."""
    first, end = graph.first_input[tx], graph.first_input[tx + 1]
    if first < 0 or key < first or key >= end or end > graph.input_coin.size or graph.fee[tx] > MAX_AMOUNT:
        return False
    for i in range(first, end):
        coin = graph.input_coin[i]
        if coin >= graph.first_coin[tx] or coin < -1 or (coin < 0 and graph.fee[tx] >= 0):
            return False
        if with_values and coin >= 0 and (graph.value[coin] < 0 or graph.value[coin] > MAX_AMOUNT):
            return False
    return True


@kernel
def _sound_block(graph: Graph, block: int, tx: int) -> bool:
    """Whether a block's transactions are rows of the transactions, `tx` among them but not first."""
    first, end = graph.block_first_tx[block], graph.block_first_tx[block + 1]
    return bool(0 <= first < tx < end <= graph.fee.size)


@kernel
def _walk(
    graph: Graph,
    method: int,
    follow_fees: bool,
    input_limit: int,
    rules: I64,
    rule_values: I64,
    sources: Sources,
    budgets: I64,
) -> tuple[I64, I64, I64, int]:
    """See `walk`. Returns coins (coin, hop, state, reason, start, end), steps (transaction, hop, start, end, followed),
    segments (label, amount), and where the columns contradict each other."""
    damaged = NOWHERE
    never = i64(2**62)
    coins = np.empty((1024, 6), np.int64)
    count = 0
    steps = np.empty((1024, 5), np.int64)
    step_count = 0
    pool = np.empty((4096, 2), np.int64)
    pooled = i64(0)
    heap = np.empty((1024, 2), np.int64)
    waiting = 0
    entries = np.empty((256, 2), np.int64)
    line = np.empty((1024, 2), np.int64)
    spare = np.empty((1024, 2), np.int64)
    capacity = np.empty(256, np.int64)
    rests = np.empty(256, np.int64)
    order = np.empty(256, np.int64)
    shares = np.empty(256, np.int64)
    in_label = np.zeros(budgets.size, np.int64)
    active = np.empty(budgets.size, np.int64)

    births = sources.coin.size
    born_count = 0
    tx, block = i64(0), i64(0)
    pending_block, pending_step, pending_limit = i64(-1), 0, never

    while True:
        # What comes next in chain order: a coin's birth, a block's coinbase, or a transaction.
        upcoming = i64(_row_of(graph.first_input, heap[0, 0], tx)) if waiting > 0 else never
        birth_limit = sources.after[born_count] if born_count < births else never + 1
        born_alone = False
        coinbase = False
        if pending_block >= 0 and upcoming >= pending_limit:
            coinbase = birth_limit > pending_limit or (
                birth_limit == pending_limit and sources.coinbase[born_count] == 1
            )
            born_alone = not coinbase
        elif birth_limit <= upcoming:
            born_alone = True
        elif upcoming == never:
            break

        lined = i64(0)
        actives = 0
        hop = i64(0)
        leak = i64(0)
        maker = upcoming
        if born_alone:
            first_out = sources.coin[born_count]
            last_out = first_out + 1
        elif coinbase:
            maker = graph.block_first_tx[pending_block]
            end = graph.block_first_tx[pending_block + 1]
            leak = i64(_block_leak(graph, pending_block))
            subsidy = graph.subsidy[pending_block]
            step = pending_step
            pending_block, pending_limit = i64(-1), never
            if leak < 0:
                continue
            if not _sound_outputs(graph, maker):
                damaged = i64(maker)
                break
            first_out, last_out = graph.first_coin[maker], graph.first_coin[maker + 1]
            hop = never
            lined = push_segment(line, 0, lined, CLEAN, subsidy)
            for t in range(maker + 1, end):
                paid = i64(0)
                if step < step_count and steps[step, 0] == t:
                    begin, until = steps[step, 2], steps[step, 3]
                    line = _grown(line, lined + until - begin + 2)
                    for s in range(begin, until):
                        lined = push_segment(line, 0, lined, pool[s, 0], pool[s, 1])
                        paid += pool[s, 1]
                    if until > begin:
                        actives = take_in(pool, begin, until, in_label, active, actives)
                        hop = min(hop, steps[step, 1])
                        steps[step, 4] = 1
                    step += 1
                line = _grown(line, lined + 2)
                lined = push_segment(line, 0, lined, CLEAN, graph.fee[t] - paid)
            hop += 1
        else:
            if (
                maker < tx
                or not _sound_outputs(graph, maker)
                or not _sound_inputs(graph, maker, heap[0, 0], method == FIFO)
            ):
                damaged = i64(maker)
                break
            tx = maker
            begin, end = graph.first_input[maker], graph.first_input[maker + 1]
            first_out, last_out = graph.first_coin[maker], graph.first_coin[maker + 1]
            leak = graph.fee[maker]
            hop = never
            entered = 0
            needed = end - begin + 1
            while waiting > 0 and heap[0, 0] < end:
                entries = _grown(entries, entered + 1)
                record = heap[0, 1]
                entries[entered, 0], entries[entered, 1] = heap[0, 0], record
                _drop_least(heap, waiting)
                waiting -= 1
                entered += 1
                hop = min(hop, coins[record, 1])
                needed += coins[record, 5] - coins[record, 4]
            hop += 1
            if leak < 0:
                for e in range(entered):
                    coins[entries[e, 1], 2], coins[entries[e, 1], 3] = STOPPED, UNKNOWN_INPUT
                continue
            if method == FIFO:
                line = _grown(line, needed)
                at = begin
                for e in range(entered + 1):
                    until = entries[e, 0] if e < entered else end
                    while at < until:
                        lined = push_segment(line, 0, lined, CLEAN, graph.value[graph.input_coin[at]])
                        at += 1
                    if e < entered:
                        for s in range(coins[entries[e, 1], 4], coins[entries[e, 1], 5]):
                            lined = push_segment(line, 0, lined, pool[s, 0], pool[s, 1])
                        at += 1
            else:
                for e in range(entered):
                    start, until = coins[entries[e, 1], 4], coins[entries[e, 1], 5]
                    actives = take_in(pool, start, until, in_label, active, actives)

        if not born_alone:
            into, out = i64(0), leak
            for s in range(lined if method == FIFO else 0):
                into += line[s, 1]
            for k in range(actives if method == HAIRCUT else 0):
                into += in_label[active[k]]
            for o in range(first_out, last_out):
                out += graph.value[o]
            if into > out or (method == FIFO and into != out) or leak < 0:
                damaged = i64(maker)
                break

        # The cut. Receivers are the outputs, then the leak: the fee, or what a miner burnt.
        outputs = last_out - first_out
        receivers = outputs + 1
        if method == HAIRCUT and actives > 0:
            capacity, rests = _longer(capacity, receivers), _longer(rests, receivers)
            order, shares = _longer(order, receivers), _longer(shares, actives * receivers)
            for o in range(outputs):
                capacity[o] = graph.value[first_out + o]
            capacity[outputs] = leak
            for k in range(actives):
                share_out(in_label[active[k]], capacity, receivers, shares, k * receivers, rests, order)
        pool = _grown(pool, pooled + lined + (actives + 2) * receivers + 2 * (births - born_count) + 8)
        coins = _grown(coins, count + outputs)
        heap = _grown(heap, waiting + outputs)
        front = i64(0)
        for r in range(receivers):
            start = pooled
            end = start
            total = i64(0)
            coin = first_out + r
            if method == FIFO and not born_alone:
                wanted = graph.value[coin] if r < outputs else leak
                front, end, total = cut_front(line, front, wanted, pool, start)
            else:
                for k in range(actives):
                    share = shares[k * receivers + r]
                    if share > 0:
                        pool[end, 0], pool[end, 1] = active[k], share
                        end += 1
                        total += share
            if r == outputs:
                if not born_alone:
                    steps = _grown(steps, step_count + 1)
                    pooled = end if total > 0 else start
                    steps[step_count, 0], steps[step_count, 1], steps[step_count, 4] = maker, hop, 0
                    steps[step_count, 2], steps[step_count, 3] = start, pooled
                    if follow_fees and not coinbase and total > 0 and pending_block < 0:
                        block = i64(_row_of(graph.block_first_tx, maker, block))
                        if not _sound_block(graph, block, maker):
                            damaged = i64(maker)
                            break
                        pending_block, pending_step = block, step_count
                        pending_limit = graph.block_first_tx[block + 1]
                    step_count += 1
                break
            born = i64(0)
            while born_count < births and sources.coin[born_count] == coin:
                label = sources.label[born_count]
                if method == FIFO:
                    if end == start:
                        end = push_segment(pool, start, end, CLEAN, graph.value[coin])
                    spare = _grown(spare, end - start)
                    end, given = fill_clean(pool, start, end, label, budgets[label], spare)
                else:
                    given = min(graph.value[coin] - total, budgets[label])
                    end = add_share(pool, start, end, label, given)
                budgets[label] -= given
                sources.amount[born_count] = given
                born += given
                total += given
                born_count += 1
            if total == 0:
                continue
            pooled = end
            coin_hop = i64(0) if born > 0 else hop
            reason = NO_REASON if born > 0 else _stop_reason(total, coin_hop, rules, rule_values)
            spender = graph.spent_by[coin]
            if spender < 0 or (spender < input_limit and graph.input_coin[spender] != coin):
                damaged = i64(tx if born_alone else maker)
                break
            if spender >= input_limit:
                state, reason = HELD, NO_REASON
            elif reason != NO_REASON:
                state = STOPPED
            else:
                state = SPENT
                _put(heap, waiting, spender, count)
                waiting += 1
            coins[count, 0], coins[count, 1], coins[count, 2] = coin, coin_hop, state
            coins[count, 3], coins[count, 4], coins[count, 5] = reason, start, end
            count += 1
        if damaged != NOWHERE:
            break
        for k in range(actives):
            in_label[active[k]] = 0
    return coins[:count], steps[:step_count], pool[:pooled], damaged
