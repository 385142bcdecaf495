"""What the holders of an account chain hold, as lists of segments in one table of nodes, and how draws cut them.

A segment is (code, amount). A code is a label with a mark: what a stop rule holds back keeps its place in the list
under the mark of that rule. A holder without nodes holds clean value alone. Source of the methods: definition 1 of
tracing in docs/tracing.md.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, lean, u64
from calibar.kernels.wide import ONE, U64, ZERO, below, lesser, minus, plus, scaled

I64 = NDArray[np.int64]

FIFO, LIFO, HAIRCUT, LIBR = range(4)

CLEAN: Final = u64((1 << 64) - 1)
"""Code of value that no source claims."""
MARK: Final = u64(0xFFFF)
_LABEL: Final = u64(16)

LOW, UP, HEAD, TAIL, NODES, LIVE, HOP, OPEN = range(8)
"""Columns of a holder: balance, first and last node, nodes, nodes with unmarked labels, their least hop, whether the
history is incomplete. `fifo` draws from the head and adds at the tail; `lifo` does both at the head; the others keep
labelled value alone, in the order of its codes."""
HOLDER: Final = 8
CODE, AMOUNT, AMOUNT_UP, NEXT = range(4)
"""Columns of a node; the first three are a segment's."""
NODE: Final = 4
SEGMENT: Final = 3
NONE: Final = u64((1 << 64) - 1)
"""No node."""
FREE, SPARES, USED = range(3)
"""Of the table of nodes: first free node, free nodes, nodes ever used."""


@inlined
def coded(label: int, mark: int) -> int:
    """The code of a label under a mark; 0 marks nothing, 1 + n the stop rule n."""
    return (u64(label) << _LABEL) | u64(mark)


@inlined
def is_live(code: int) -> bool:
    """Whether a code is a label without a mark. CLEAN has all bits: a mark does not change it."""
    return code & MARK == ZERO


def label_of(codes: U64) -> I64:
    """Labels of codes; -1 where clean."""
    return codes.view(np.int64) >> 16


def rule_of(codes: U64) -> I64:
    """The stop rules that codes are marked with; -1 where none."""
    return np.where(codes == CLEAN, 0, codes & MARK).astype(np.int64) - 1


@inlined
def _take(nodes: U64, pool: I64, code: int, low: int, up: int, after: int) -> int:
    node = u64(pool[FREE])
    if node != NONE:
        pool[FREE] = i64(nodes[node, NEXT])
        pool[SPARES] -= 1
    else:
        node = u64(pool[USED])
        pool[USED] += 1
    nodes[node, CODE], nodes[node, AMOUNT], nodes[node, AMOUNT_UP], nodes[node, NEXT] = code, low, up, after
    return node


@inlined
def _release(nodes: U64, pool: I64, node: int) -> None:
    nodes[node, NEXT] = u64(pool[FREE])
    pool[FREE] = i64(node)
    pool[SPARES] += 1


@inlined
def write(segments: U64, start: int, end: int, code: int, low: int, up: int) -> int:
    """Append a segment to the list start:end, merged with an equal last one; returns the new end."""
    if low == ZERO and up == ZERO:
        return end
    if end > start and segments[end - 1, CODE] == code:
        last = segments[end - 1]
        last[AMOUNT], last[AMOUNT_UP] = plus(last[AMOUNT], last[AMOUNT_UP], low, up)
        return end
    segments[end, CODE], segments[end, AMOUNT], segments[end, AMOUNT_UP] = code, low, up
    return end + 1


@inlined
def _append(lifo: bool, holder: U64, nodes: U64, pool: I64, code: int, low: int, up: int) -> None:
    if low == ZERO and up == ZERO:
        return
    last = holder[HEAD] if lifo else holder[TAIL]
    if holder[NODES] > ZERO and nodes[last, CODE] == code:
        nodes[last, AMOUNT], nodes[last, AMOUNT_UP] = plus(nodes[last, AMOUNT], nodes[last, AMOUNT_UP], low, up)
        return
    node = _take(nodes, pool, code, low, up, last if lifo and holder[NODES] > ZERO else NONE)
    if lifo or holder[NODES] == ZERO:
        holder[HEAD] = node
    else:
        nodes[last, NEXT] = node
    holder[TAIL] = node
    holder[NODES] += ONE
    if is_live(code):
        holder[LIVE] += ONE


@lean
def add_line(lifo: bool, holder: U64, nodes: U64, pool: I64, line: U64, start: int, end: int, mark: int) -> None:
    """Append segments to a list, under a mark; what was clean before is a node then. The balance is not touched."""
    if holder[NODES] == ZERO:
        _append(lifo, holder, nodes, pool, CLEAN, holder[LOW], holder[UP])
    for s in range(start, end):
        _append(lifo, holder, nodes, pool, line[s, CODE] | mark, line[s, AMOUNT], line[s, AMOUNT_UP])


@lean
def add_shares(holder: U64, nodes: U64, pool: I64, line: U64, start: int, end: int, mark: int) -> None:
    """Merge segments in the order of their labels, under a mark, into a list of such; clean ones are left out."""
    before, node = NONE, holder[HEAD] if holder[NODES] > ZERO else NONE
    for s in range(start, end):
        code, low, up = line[s, CODE] | mark, line[s, AMOUNT], line[s, AMOUNT_UP]
        if code == CLEAN or (low == ZERO and up == ZERO):
            continue
        while node != NONE and nodes[node, CODE] < code:
            before, node = node, nodes[node, NEXT]
        if node != NONE and nodes[node, CODE] == code:
            nodes[node, AMOUNT], nodes[node, AMOUNT_UP] = plus(nodes[node, AMOUNT], nodes[node, AMOUNT_UP], low, up)
            continue
        node = _take(nodes, pool, code, low, up, node)
        if before == NONE:
            holder[HEAD] = node
        else:
            nodes[before, NEXT] = node
        holder[NODES] += ONE
        if is_live(code):
            holder[LIVE] += ONE


@lean
def draw_line(holder: U64, nodes: U64, pool: I64, low: int, up: int, segments: U64, at: int) -> int:
    """Cut an amount off the head of a list into the segments from row `at`; their end. The list has that much."""
    while low != ZERO or up != ZERO:
        node = holder[HEAD]
        code = segments[at, CODE] = nodes[node, CODE]
        held, held_up = nodes[node, AMOUNT], nodes[node, AMOUNT_UP]
        if below(low, up, held, held_up):
            nodes[node, AMOUNT], nodes[node, AMOUNT_UP] = minus(held, held_up, low, up)
            segments[at, AMOUNT], segments[at, AMOUNT_UP] = low, up
            low, up = ZERO, ZERO
        else:
            segments[at, AMOUNT], segments[at, AMOUNT_UP] = held, held_up
            low, up = minus(low, up, held, held_up)
            holder[HEAD] = nodes[node, NEXT]
            holder[NODES] -= ONE
            if is_live(code):
                holder[LIVE] -= ONE
            _release(nodes, pool, node)
        at += 1
    if holder[NODES] == ONE and nodes[holder[HEAD], CODE] == CLEAN:
        _release(nodes, pool, holder[HEAD])
        holder[NODES] = ZERO
    return at


@lean
def draw_shares(
    in_proportion: bool, holder: U64, nodes: U64, pool: I64, low: int, up: int, segments: U64, at: int
) -> int:
    """Draw labelled value into the segments from row `at`, before the balance is lowered; their end.

    In proportion: label by label the drawn share is floor(T*w/W), or one more where the remainder is at least half,
    with w and W what room the labels before have left in the drawn and in all. Else: clean first, then the labels in
    source order.
    """
    whole, whole_up = holder[LOW], holder[UP]
    if not in_proportion:
        clean, clean_up = whole, whole_up
        node = holder[HEAD]
        while node != NONE:
            clean, clean_up = minus(clean, clean_up, nodes[node, AMOUNT], nodes[node, AMOUNT_UP])
            node = nodes[node, NEXT]
        spent, spent_up = lesser(low, up, clean, clean_up)
        low, up = minus(low, up, spent, spent_up)
    before, node = NONE, holder[HEAD]
    while node != NONE and (low != ZERO or up != ZERO):
        code, held, held_up, after = nodes[node, CODE], nodes[node, AMOUNT], nodes[node, AMOUNT_UP], nodes[node, NEXT]
        if in_proportion:
            share, share_up, rest, rest_up = scaled(held, held_up, low, up, whole, whole_up)
            if rest != ZERO or rest_up != ZERO:
                other, other_up = minus(whole, whole_up, rest, rest_up)
                if not below(rest, rest_up, other, other_up):
                    share, share_up = plus(share, share_up, ONE, ZERO)
            whole, whole_up = minus(whole, whole_up, held, held_up)
        else:
            share, share_up = lesser(held, held_up, low, up)
        if share == ZERO and share_up == ZERO:
            before, node = node, after
            continue
        low, up = minus(low, up, share, share_up)
        segments[at, CODE], segments[at, AMOUNT], segments[at, AMOUNT_UP] = code, share, share_up
        at += 1
        held, held_up = minus(held, held_up, share, share_up)
        if held == ZERO and held_up == ZERO:
            if before == NONE:
                holder[HEAD] = after
            else:
                nodes[before, NEXT] = after
            holder[NODES] -= ONE
            if is_live(code):
                holder[LIVE] -= ONE
            _release(nodes, pool, node)
        else:
            nodes[node, AMOUNT], nodes[node, AMOUNT_UP] = held, held_up
            before = node
        node = after
    return at


@lean
def empty(holder: U64, nodes: U64, pool: I64, segments: U64, at: int) -> int:
    """Take all nodes out of a list, into the segments from row `at`; their end. The balance is not touched."""
    node = holder[HEAD] if holder[NODES] > ZERO else NONE
    while node != NONE:
        for column in range(SEGMENT):
            segments[at, column] = nodes[node, column]
        at += 1
        after = nodes[node, NEXT]
        _release(nodes, pool, node)
        node = after
    holder[NODES] = holder[LIVE] = ZERO
    return at


@lean
def fill_clean(
    line: U64, end: int, label: int, skip: int, skip_up: int, low: int, up: int, spare: U64
) -> tuple[int, int, int]:  # fmt: skip
    """Give up to an amount of the clean segments of line[:end] to a label, after the first `skip` clean units: new end,
    units given."""
    for s in range(end):
        for column in range(SEGMENT):
            spare[s, column] = line[s, column]
    count, end = end, 0
    given, given_up = ZERO, ZERO
    for s in range(count):
        code, held, held_up = spare[s, CODE], spare[s, AMOUNT], spare[s, AMOUNT_UP]
        if code == CLEAN:
            before, before_up = lesser(held, held_up, skip, skip_up)
            end = write(line, 0, end, CLEAN, before, before_up)
            skip, skip_up = minus(skip, skip_up, before, before_up)
            held, held_up = minus(held, held_up, before, before_up)
            rest, rest_up = minus(low, up, given, given_up)
            piece, piece_up = lesser(held, held_up, rest, rest_up)
            end = write(line, 0, end, coded(label, 0), piece, piece_up)
            given, given_up = plus(given, given_up, piece, piece_up)
            held, held_up = minus(held, held_up, piece, piece_up)
        end = write(line, 0, end, code, held, held_up)
    return end, given, given_up


@lean
def share_given(group: U64, nodes: U64, low: int, up: int, shares: U64, line: U64) -> int:
    """Divide an amount in the proportion of what a conversion was given, into `line`, in source order, clean last.

    Floor, then the left-over units one each to the largest remainders; ties to the earlier label, clean last. `shares`
    is scratch. Returns the end of the line.
    """
    whole, whole_up = group[LOW], group[UP]
    clean, clean_up = whole, whole_up
    left, left_up = low, up
    count, node = 0, group[HEAD] if group[NODES] > ZERO else NONE
    while True:
        if node != NONE:
            code, part, part_up = nodes[node, CODE], nodes[node, AMOUNT], nodes[node, AMOUNT_UP]
            clean, clean_up = minus(clean, clean_up, part, part_up)
        else:
            code, part, part_up = CLEAN, clean, clean_up
        share, share_up, rest, rest_up = scaled(low, up, part, part_up, whole, whole_up)
        line[count, CODE], line[count, AMOUNT], line[count, AMOUNT_UP] = code, share, share_up
        shares[count, 0], shares[count, 1] = rest, rest_up
        left, left_up = minus(left, left_up, share, share_up)
        count += 1
        if node == NONE:
            break
        node = nodes[node, NEXT]
    while left != ZERO:
        best = 0
        for k in range(1, count):
            if below(shares[best, 0], shares[best, 1], shares[k, 0], shares[k, 1]):
                best = k
        line[best, AMOUNT], line[best, AMOUNT_UP] = plus(line[best, AMOUNT], line[best, AMOUNT_UP], ONE, ZERO)
        shares[best, 0] = shares[best, 1] = ZERO
        left -= ONE
    end = 0
    for k in range(count):
        end = write(line, 0, end, line[k, CODE], line[k, AMOUNT], line[k, AMOUNT_UP])
    return end
