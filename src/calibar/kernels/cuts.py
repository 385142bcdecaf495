"""How one transaction's traced value is cut among its receivers: the methods, in integers.

`fifo` cuts a line of segments from the front; `haircut` divides each label in proportion. Source: definition 1 of
tracing in docs/tracing.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, kernel, u64

I64 = NDArray[np.int64]

CLEAN = -1
"""Label of value that no source claims."""


@kernel
def push_segment(labels: I64, amounts: I64, start: int, end: int, label: int, amount: int) -> int:
    """Append a segment to the list start:end, merged with an equal last one; returns the new end."""
    if amount == 0:
        return end
    if end > start and labels[end - 1] == label:
        amounts[end - 1] += amount
        return end
    labels[end] = label
    amounts[end] = amount
    return end + 1


@kernel
def cut_front(
    line_labels: I64, line_amounts: I64, at: int, amount: int, labels: I64, amounts: I64, start: int
) -> tuple[int, int, int]:
    """Cut `amount` off the front of a line at segment `at` into the list at `start`.

    What is left of the last segment touched stays in the line. Returns (segment now in front, end of the list,
    labelled units cut).
    """
    end = start
    traced = i64(0)
    while amount > 0:
        piece = min(amount, line_amounts[at])
        end = push_segment(labels, amounts, start, end, line_labels[at], piece)
        if line_labels[at] != CLEAN:
            traced += piece
        amount -= piece
        line_amounts[at] -= piece
        if line_amounts[at] == 0:
            at += 1
    return at, end, traced


@kernel
def share_out(amount: int, capacity: I64, receivers: int, shares: I64, base: int, remainders: I64) -> None:
    """Divide `amount` among receivers in proportion to their remaining `capacity`, and lower that.

    Receiver r gets floor(T*w/W) into shares[base + r]; left-over units go one each to the largest remainders, ties
    to the earlier receiver. Exact for W < 2^53: the quotient is estimated in floating point and corrected by the
    remainder, which wraps modulo 2^64 but is small.
    """
    whole = i64(0)
    for r in range(receivers):
        whole += capacity[r]
    left = amount
    for r in range(receivers):
        weight = capacity[r]
        quotient = i64(np.float64(amount) * np.float64(weight) / np.float64(whole))
        rest = i64(u64(amount) * u64(weight) - u64(quotient) * u64(whole))
        while rest < 0:
            quotient -= 1
            rest += whole
        while rest >= whole:
            quotient += 1
            rest -= whole
        shares[base + r] = quotient
        remainders[r] = rest
        left -= quotient
    if left > 0:
        if receivers <= 32:
            for _ in range(left):
                best = 0
                for r in range(1, receivers):
                    if remainders[r] > remainders[best]:
                        best = r
                shares[base + best] += 1
                remainders[best] = -1
        else:
            order = np.argsort(-remainders[:receivers], kind="mergesort")
            for i in range(left):
                shares[base + order[i]] += 1
    for r in range(receivers):
        capacity[r] -= shares[base + r]


@kernel
def fill_clean(
    labels: I64, amounts: I64, start: int, end: int, label: int, budget: int, spare_labels: I64, spare_amounts: I64
) -> tuple[int, int]:
    """Give clean segments of the list start:end to `label`, from the front, up to `budget` units.

    Returns (new end, units given). The spare arrays are scratch for end - start segments.
    """
    count = end - start
    spare_labels[:count] = labels[start:end]
    spare_amounts[:count] = amounts[start:end]
    given = i64(0)
    end = start
    for i in range(count):
        if spare_labels[i] == CLEAN:
            piece = min(spare_amounts[i], budget - given)
            end = push_segment(labels, amounts, start, end, label, piece)
            end = push_segment(labels, amounts, start, end, CLEAN, spare_amounts[i] - piece)
            given += piece
        else:
            end = push_segment(labels, amounts, start, end, spare_labels[i], spare_amounts[i])
    return end, given


@kernel
def add_share(labels: I64, amounts: I64, start: int, end: int, label: int, amount: int) -> int:
    """Add `amount` to a label in a list ordered by label; returns the new end."""
    if amount == 0:
        return end
    at = start
    while at < end and labels[at] < label:
        at += 1
    if at < end and labels[at] == label:
        amounts[at] += amount
        return end
    for i in range(end, at, -1):
        labels[i], amounts[i] = labels[i - 1], amounts[i - 1]
    labels[at], amounts[at] = label, amount
    return end + 1
