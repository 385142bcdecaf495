"""The turns of a walk: what comes next in chain order is taken up, looked at for the room it needs, and cut.

Three kinds of turn: a transaction, the birth of a source coin, the coinbase of a block with traced fees.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.coinjoin import LEAST
from calibar.kernels.compiled import i64, inlined, lean
from calibar.kernels.cuts import (
    CAPACITY,
    CLEAN,
    add_share,
    cut_front,
    deal,
    fill_clean,
    push_segment,
    share_out,
    take_in,
)
from calibar.kernels.queue import CHUNK, MISPLACED, USED, Queue, least, put, take
from calibar.kernels.stops import NO_RULE, UNSOUND, Stops, received, spending

I64 = NDArray[np.int64]

SPENT, HELD, UNKNOWN_INPUT = NO_RULE, -2, -1
"""What became of a coin: went on, rests, was stopped by an input of unknown value; else the row of its stop rule."""
MAX_AMOUNT = 1 << 52
NOWHERE = -1
"""In place of a transaction: nothing in the columns contradicts itself."""
ITEM, HOP, FATE, FIRST = 0, 1, 2, 3
COINS, STEPS, SEGMENTS, LEAKS, CHUNKS, ENTRIES, LINE, SPARE, RECEIVERS, SHARES, PAIRS = range(11)
"""Places of the tables; the first four also count their rows in the state."""
ENOUGH = -1
WIDTHS = (4, 4, 2, 2, CHUNK, 2, 2, 2, 3, 1, 2)
NEVER = 1 << 62
NOTHING, TRANSACTION, COINBASE, BIRTH = 0, 1, 2, 3
BORN, TX, BLOCK, KIND, MAKER, LEAST_HOP, ENTERED, CARRIED, ACTIVES = range(4, 13)
PENDING_BLOCK, PENDING_STEP, PENDING_TURN, TAKEN_BLOCK, NEEDED, DAMAGED, STATE = range(13, 20)
"""Where the walk stands: births done, the transaction and block last looked up, the turn taken up (kind, transaction,
least hop, traced inputs, their segments, active labels), the block whose coinbase waits (first step in it, the
transaction it waits for), the block whose coinbase is taken up, rows that a table needs, a damaged transaction."""


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
    most: I64
    """Units that the row may label, whatever its label may still take."""
    skip: I64
    """Clean units that the row leaves alone in front of what it labels (`fifo`)."""
    budget: I64
    """The row of the budgets that it takes from."""
    source: I64
    """1 for a source of the trail, at which no rule stops; 0 for what came here from elsewhere."""


class Tables(NamedTuple):
    """What the walk writes, and its scratch; rows are added as they are needed."""

    coins: I64
    """ITEM, HOP, FATE, FIRST: coin, hop, fate, first segment; one row more, for its FIRST."""
    steps: I64
    """The same: transaction, hop, whether its fee went on, first leak."""
    segments: I64
    """Label and amount."""
    leaks: I64
    chunks: I64
    """Of the queue."""
    entries: I64
    """Traced inputs of a transaction: input, record."""
    line: I64
    """Segments that enter a transaction."""
    spare: I64
    receivers: I64
    """Scratch of `share_out`."""
    shares: I64
    pairs: I64
    """Scratch of the rules on spending."""


@inlined
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


@lean
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


@inlined
def _worth(graph: Graph, tx: int) -> int:
    """The sum of a transaction's outputs; -1 where they are no rows of the coins or their values no amounts.

    Damaged columns must end a walk, not lead it outside its arrays: kernels check no bounds.
    """
    first, end = graph.first_coin[tx], graph.first_coin[tx + 1]
    if first < 0 or end < first or end > graph.value.size:
        return -1
    worth = i64(0)
    for coin in range(first, end):
        value = graph.value[coin]
        if value < 0 or value > MAX_AMOUNT:
            return -1
        worth += value
    return worth


@inlined
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


@lean
def _sound_block(graph: Graph, block: int, tx: int) -> bool:
    """Whether a block's transactions are rows of the transactions, `tx` among them but not first."""
    first, end = graph.block_first_tx[block], graph.block_first_tx[block + 1]
    return bool(0 <= first < tx < end <= graph.fee.size)


@inlined
def _line_up(graph: Graph, tx: int, entries: I64, entered: int, coins: I64, segments: I64, line: I64) -> int:
    """Write the line of what enters a transaction, in input order; its units."""
    lined, into = i64(0), i64(0)
    at, end = graph.first_input[tx], graph.first_input[tx + 1]
    for e in range(entered + 1):
        until = entries[e, 0] if e < entered else end
        while at < until:
            value = graph.value[graph.input_coin[at]]
            lined = push_segment(line, 0, lined, CLEAN, value)
            into += value
            at += 1
        if e < entered:
            record = entries[e, 1]
            for s in range(coins[record, FIRST], coins[record + 1, FIRST]):
                lined = push_segment(line, 0, lined, segments[s, 0], segments[s, 1])
                into += segments[s, 1]
            at += 1
    return into


@lean
def _line_up_fees(graph: Graph, block: int, steps: I64, step: int, step_count: int, leaks: I64, line: I64) -> int:
    """Write the line of what enters a coinbase: the subsidy, then the fees in block order; its units."""
    into = graph.subsidy[block]
    lined = push_segment(line, 0, 0, CLEAN, into)
    for tx in range(graph.block_first_tx[block] + 1, graph.block_first_tx[block + 1]):
        rest = graph.fee[tx]
        into += rest
        if step < step_count and steps[step, ITEM] == tx:
            for s in range(steps[step, FIRST], steps[step + 1, FIRST]):
                lined = push_segment(line, 0, lined, leaks[s, 0], leaks[s, 1])
                rest -= leaks[s, 1]
            step += 1
        lined = push_segment(line, 0, lined, CLEAN, rest)
    return i64(into)


@lean
def advance(
    graph: Graph,
    fifo: bool,
    follow_fees: bool,
    input_limit: int,
    stops: Stops,
    sources: Sources,
    budgets: I64,
    tables: Tables,
    queue: Queue,
    labels: I64,
    state: I64,
) -> int:
    """Walk on until the end, ENOUGH, or until a table is too short: its place in `Tables`, with the rows it needs in
    `state`. A turn is taken up, then looked at for the room it needs, then cut: it is never taken up twice."""
    coins, steps, segments, leaks, chunks, entries, line, spare, receiver, shares, pairs = tables
    in_label, active = labels[0], labels[1]
    births, nobody = sources.coin.size, graph.first_input.size  # nobody: later than any transaction
    count, step_count, placed, leaked = state[COINS], state[STEPS], state[SEGMENTS], state[LEAKS]
    born, tx, turn_kind, maker = state[BORN], state[TX], state[KIND], state[MAKER]
    hop, entered, carried, actives = state[LEAST_HOP], state[ENTERED], state[CARRIED], state[ACTIVES]
    short = i64(ENOUGH)
    while True:
        if turn_kind == NOTHING:
            # What comes next: a transaction, a coin's birth, or the coinbase of a block with traced fees.
            birth_turn = sources.after[born] if born < births else i64(nobody)
            pending_turn = state[PENDING_TURN]
            turn = min(birth_turn, pending_turn)
            limit = graph.first_input[turn] if turn < nobody else i64(NEVER)
            key = least(queue, chunks, limit, coins, FIRST, segments)
            maker, hop, entered, carried, actives = i64(-1), i64(NEVER), i64(0), i64(0), i64(0)
            if key < limit:
                maker = _row_of(graph.first_input, key, tx)
                if maker < tx or not _sound_inputs(graph, maker, key, fifo):
                    state[DAMAGED] = maker
                    break
                end = graph.first_input[maker + 1]
                if fifo and end - key > entries.shape[0]:
                    short, state[NEEDED] = i64(ENTRIES), end - key
                    break
                known = graph.fee[maker] >= 0
                fate = i64(SPENT if known else UNKNOWN_INPUT)
                first = graph.first_coin[maker]
                outputs = graph.first_coin[maker + 1] - first
                if known and outputs >= stops.fewest:
                    first_input = graph.first_input[maker]
                    inputs = end - first_input
                    if inputs >= LEAST:
                        if _worth(graph, maker) < 0:
                            state[DAMAGED] = maker
                            break
                        if max(inputs, outputs) > pairs.shape[0]:
                            short, state[NEEDED] = i64(PAIRS), max(inputs, outputs)
                            break
                    fate = spending(
                        stops, maker, graph.value, graph.input_coin, first_input, inputs, first, outputs, pairs
                    )
                    if fate == UNSOUND:
                        state[DAMAGED] = maker
                        break
                tx = maker
                while key < end:
                    record = take(queue)
                    if graph.input_coin[key] != coins[record, ITEM]:
                        state[DAMAGED] = maker
                    hop = min(hop, coins[record, HOP])
                    if fate != SPENT:
                        coins[record, FATE] = fate
                    elif fifo:
                        entries[entered, 0], entries[entered, 1] = key, record
                        entered += 1
                        carried += coins[record + 1, FIRST] - coins[record, FIRST]
                    else:
                        start, until = coins[record, FIRST], coins[record + 1, FIRST]
                        actives = take_in(segments, start, until, in_label, active, actives)
                    key = least(queue, chunks, end, coins, FIRST, segments)
                if state[DAMAGED] != NOWHERE:
                    break
                if fate != SPENT:
                    continue
                turn_kind = i64(TRANSACTION)
            elif turn == nobody:
                break
            elif pending_turn < birth_turn or (pending_turn == birth_turn and sources.coinbase[born] == 1):
                state[PENDING_TURN] = nobody
                block, step = state[PENDING_BLOCK], state[PENDING_STEP]
                state[PENDING_BLOCK] = NOWHERE
                maker = graph.block_first_tx[block]
                if _worth(graph, maker) >= 0 and _block_leak(graph, block) < 0:
                    continue
                state[TAKEN_BLOCK], turn_kind = block, i64(COINBASE)
                carried = leaked - steps[step, FIRST]
                while step < step_count:
                    if steps[step + 1, FIRST] > steps[step, FIRST]:
                        hop = min(hop, steps[step, HOP])
                        steps[step, FATE] = 1
                        actives = take_in(leaks, steps[step, FIRST], steps[step + 1, FIRST], in_label, active, actives)
                    step += 1
            else:
                turn_kind = i64(BIRTH)

        # What it pays: the outputs, then the leak, which is the fee, or what a miner burnt.
        worth, leak, line_rows = i64(0), i64(0), i64(0)
        if turn_kind == BIRTH:
            first = sources.coin[born]
            end = first + 1
            if graph.value[first] < 0 or graph.value[first] > MAX_AMOUNT:
                state[DAMAGED] = _row_of(graph.first_coin, first, i64(0))
                break
        else:
            first, end = graph.first_coin[maker], graph.first_coin[maker + 1]
            worth = _worth(graph, maker)
            if worth < 0:
                state[DAMAGED] = maker
                break
            if turn_kind == COINBASE:
                block = state[TAKEN_BLOCK]
                leak = _block_leak(graph, block)
                line_rows = carried + 2 * (graph.block_first_tx[block + 1] - maker)
            else:
                leak = graph.fee[maker]
                line_rows = carried + graph.first_input[maker + 1] - graph.first_input[maker] + 1
        receivers = end - first + 1
        room = (line_rows if fifo else actives * receivers) + 2 * receivers + 2 * (births - born)
        if placed + room > segments.shape[0]:
            short, state[NEEDED] = i64(SEGMENTS), placed + room
        elif leaked + room > leaks.shape[0]:
            short, state[NEEDED] = i64(LEAKS), leaked + room
        elif count + receivers > coins.shape[0]:
            short, state[NEEDED] = i64(COINS), count + receivers
        elif step_count + 2 > steps.shape[0]:
            short, state[NEEDED] = i64(STEPS), step_count + 2
        elif queue.at[USED] + receivers > chunks.shape[0]:
            short, state[NEEDED] = i64(CHUNKS), queue.at[USED] + receivers
        elif fifo and line_rows > line.shape[0]:
            short, state[NEEDED] = i64(LINE), line_rows
        elif fifo and births > born and room > spare.shape[0]:
            short, state[NEEDED] = i64(SPARE), room
        elif not fifo and receivers > receiver.shape[0]:
            short, state[NEEDED] = i64(RECEIVERS), receivers
        elif not fifo and actives * receivers > shares.shape[0]:
            short, state[NEEDED] = i64(SHARES), actives * receivers
        if short != ENOUGH:
            break

        # What comes in, and that it is what goes out.
        if turn_kind != BIRTH:
            into = i64(0)
            if not fifo:
                for k in range(actives):
                    into += in_label[active[k]]
            elif turn_kind == TRANSACTION:
                into = _line_up(graph, maker, entries, entered, coins, segments, line)
            else:
                into = _line_up_fees(graph, block, steps, state[PENDING_STEP], step_count, leaks, line)
            if leak < 0 or into > worth + leak or (fifo and into != worth + leak):
                state[DAMAGED] = maker
                break
        if not fifo and actives > 0:
            for r in range(receivers - 1):
                receiver[r, CAPACITY] = graph.value[first + r]
            receiver[receivers - 1, CAPACITY] = leak
            for k in range(actives):
                share_out(in_label[active[k]], receiver, receivers, shares, k * receivers)

        # The cut.
        front = i64(0)
        for coin in range(first, end):
            if fifo and turn_kind != BIRTH:
                front, until, total = cut_front(line, front, graph.value[coin], segments, placed)
            else:
                until, total = deal(shares, coin - first, receivers, active, actives, segments, placed)
            given = i64(0)
            while born < births and sources.coin[born] == coin:
                label = sources.label[born]
                most = min(budgets[sources.budget[born]], sources.most[born])
                if fifo:
                    if until == placed:
                        until = push_segment(segments, placed, until, CLEAN, graph.value[coin])
                    until, taken = fill_clean(segments, placed, until, label, sources.skip[born], most, spare)
                else:
                    taken = min(graph.value[coin] - total, most)
                    until = add_share(segments, placed, until, label, taken)
                budgets[sources.budget[born]] -= taken
                sources.amount[born] = taken
                given += taken * sources.source[born]
                total += taken
                born += 1
            if total == 0:
                continue
            spender = graph.spent_by[coin]
            coin_hop = i64(0) if given > 0 or turn_kind == BIRTH else hop + 1
            fate = i64(SPENT)
            if given == 0 and stops.receiving > 0:
                fate = received(stops, coin, total, coin_hop)
            if spender < input_limit and fate == SPENT:
                put(queue, chunks, spender, count)
            coins[count, ITEM], coins[count, HOP], coins[count, FATE] = coin, coin_hop, fate
            count += 1
            coins[count, FIRST] = placed = until
        if turn_kind != BIRTH:
            if fifo:
                front, until, total = cut_front(line, front, leak, leaks, leaked)
            else:
                until, total = deal(shares, receivers - 1, receivers, active, actives, leaks, leaked)
            if total > 0:
                leaked = until
            steps[step_count, ITEM], steps[step_count, HOP], steps[step_count, FATE] = maker, hop + 1, 0
            if follow_fees and turn_kind == TRANSACTION and total > 0 and state[PENDING_BLOCK] == NOWHERE:
                block = _row_of(graph.block_first_tx, maker, state[BLOCK])
                if not _sound_block(graph, block, maker):
                    state[DAMAGED] = maker
                    break
                state[BLOCK] = state[PENDING_BLOCK] = block
                state[PENDING_STEP], state[PENDING_TURN] = step_count, graph.block_first_tx[block + 1]
            step_count += 1
            steps[step_count, FIRST] = leaked
            for k in range(actives):
                in_label[active[k]] = 0
        if queue.at[MISPLACED] > 0:
            state[DAMAGED] = max(maker, tx)
            break
        turn_kind = i64(NOTHING)
    state[COINS], state[STEPS], state[SEGMENTS], state[LEAKS] = count, step_count, placed, leaked
    state[BORN], state[TX], state[KIND], state[MAKER] = born, tx, turn_kind, maker
    state[LEAST_HOP], state[ENTERED], state[CARRIED], state[ACTIVES] = hop, entered, carried, actives
    return short
