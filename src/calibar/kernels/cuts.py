"""How one transaction's traced value is cut among its receivers: the methods, in integers.

`fifo` cuts a line of segments from the front; `haircut` divides each label in proportion. Segments are rows
(label, amount) of a two-dimensional array. Source: definition 1 of tracing in docs/tracing.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, lean, u64

I64 = NDArray[np.int64]

CAPACITY, REST, ORDER = 0, 1, 2
"""Columns of the table of receivers that `share_out` works on."""
CLEAN = -1
"""Label of value that no source claims."""


@inlined
def push_segment(segments: I64, start: int, end: int, label: int, amount: int) -> int:
    """Append a segment to the list start:end, merged with an equal last one; returns the new end."""
    if amount == 0:
        return end
    if end > start and segments[end - 1, 0] == label:
        segments[end - 1, 1] += amount
        return end
    segments[end, 0] = label
    segments[end, 1] = amount
    return end + 1


@inlined
def cut_front(line: I64, at: int, amount: int, segments: I64, start: int) -> tuple[int, int, int]:
    """Cut `amount` off the front of a line at segment `at` into the list at `start`.

    What is left of the last segment touched stays in the line. Returns (segment now in front, end of the list,
    labelled units cut).
    """
    end = start
    traced = i64(0)
    while amount > 0:
        piece = min(amount, line[at, 1])
        end = push_segment(segments, start, end, line[at, 0], piece)
        if line[at, 0] != CLEAN:
            traced += piece
        amount -= piece
        line[at, 1] -= piece
        if line[at, 1] == 0:
            at += 1
    return at, end, traced


@inlined
def _before(table: I64, a: int, b: int) -> bool:
    """Whether receiver a gets a left-over unit before receiver b."""
    return table[a, REST] > table[b, REST] or (table[a, REST] == table[b, REST] and a < b)


@lean
def _settle(table: I64, at: int, size: int) -> None:
    """Let the entry at `at` sink to its place in a heap of receivers, the column ORDER."""
    receiver = table[at, ORDER]
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and _before(table, table[child + 1, ORDER], table[child, ORDER]):
            child += 1
        if not _before(table, table[child, ORDER], receiver):
            break
        table[at, ORDER] = table[child, ORDER]
        at = child
    table[at, ORDER] = receiver


@inlined
def share_out(amount: int, table: I64, receivers: int, shares: I64, base: int) -> None:
    """Divide `amount` among receivers in proportion to their remaining CAPACITY, and lower that.

    Receiver r gets floor(T*w/W) into shares[base + r, 0]; left-over units go one each to the largest remainders, ties
    to the earlier receiver. Exact for W < 2^53: the quotient is estimated in floating point and corrected by the
    remainder, which wraps modulo 2^64 but is small. REST and ORDER are scratch.
    """
    whole = i64(0)
    for r in range(receivers):
        whole += table[r, CAPACITY]
    left = amount
    ratio = np.float64(amount) / np.float64(whole)
    for r in range(receivers):
        weight = table[r, CAPACITY]
        quotient = i64(ratio * np.float64(weight))
        rest = i64(u64(amount) * u64(weight) - u64(quotient) * u64(whole))
        while rest < 0:
            quotient -= 1
            rest += whole
        while rest >= whole:
            quotient += 1
            rest -= whole
        shares[base + r, 0] = quotient
        table[r, REST], table[r, ORDER] = rest, r
        left -= quotient
    if left > 0:
        for at in range(receivers // 2 - 1, -1, -1):
            _settle(table, at, receivers)
        size = receivers
        for _ in range(left):
            shares[base + table[0, ORDER], 0] += 1
            size -= 1
            table[0, ORDER] = table[size, ORDER]
            _settle(table, 0, size)
    for r in range(receivers):
        table[r, CAPACITY] -= shares[base + r, 0]


@inlined
def deal(
    shares: I64, receiver: int, receivers: int, active: I64, actives: int, segments: I64, start: int
) -> tuple[int, int]:
    """Write one receiver's shares into the list at `start`, by label. Returns (end of the list, units written)."""
    end = start
    total = i64(0)
    for k in range(actives):
        share = shares[k * receivers + receiver, 0]
        if share > 0:
            segments[end, 0], segments[end, 1] = active[k], share
            end += 1
            total += share
    return end, total


@lean
def fill_clean(
    segments: I64, start: int, end: int, label: int, skip: int, budget: int, spare: I64
) -> tuple[int, int]:  # fmt: skip
    """Give clean segments of the list start:end to `label`, after the first `skip` clean units, up to `budget` units.

    Returns (new end, units given). `spare` is scratch for end - start segments.
    """
    count = end - start
    for i in range(count):
        spare[i, 0], spare[i, 1] = segments[start + i, 0], segments[start + i, 1]
    given = i64(0)
    end = start
    for i in range(count):
        if spare[i, 0] == CLEAN:
            before = min(spare[i, 1], skip)
            skip -= before
            piece = min(spare[i, 1] - before, budget - given)
            end = push_segment(segments, start, end, CLEAN, before)
            end = push_segment(segments, start, end, label, piece)
            end = push_segment(segments, start, end, CLEAN, spare[i, 1] - before - piece)
            given += piece
        else:
            end = push_segment(segments, start, end, spare[i, 0], spare[i, 1])
    return end, given


@lean
def add_share(segments: I64, start: int, end: int, label: int, amount: int) -> int:
    """Add `amount` to a label in a list ordered by label; returns the new end."""
    if amount == 0:
        return end
    at = start
    while at < end and segments[at, 0] < label:
        at += 1
    if at < end and segments[at, 0] == label:
        segments[at, 1] += amount
        return end
    for i in range(end, at, -1):
        segments[i, 0], segments[i, 1] = segments[i - 1, 0], segments[i - 1, 1]
    segments[at, 0], segments[at, 1] = label, amount
    return end + 1


@inlined
def take_in(segments: I64, start: int, end: int, in_label: I64, active: I64, actives: int) -> int:
    """Add the labelled segments start:end to the sums `in_label`; keeps `active`, the labels with a sum, in order.

    Returns how many labels are active.
    """
    for s in range(start, end):
        label = segments[s, 0]
        if label == CLEAN:
            continue
        if in_label[label] == 0:
            at = actives
            while at > 0 and active[at - 1] > label:
                active[at] = active[at - 1]
                at -= 1
            active[at] = label
            actives += 1
        in_label[label] += segments[s, 1]
    return actives
