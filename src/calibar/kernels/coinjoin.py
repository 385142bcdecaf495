"""Whether a transaction has the shape of a CoinJoin; what that claims is in entities/heuristics/coinjoin.py.

Numbers in, a yes or no out: who pays and who is paid are numbers that are equal where the scripts are.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, lean

I64 = NDArray[np.int64]

LEAST: Final = 3
"""Inputs and outputs that any CoinJoin has."""
MANY: Final = 10
"""Inputs and outputs of one whose shares may differ."""


@inlined
def _after(pairs: I64, a: int, b: int) -> bool:
    return bool(pairs[a, 0] > pairs[b, 0] or (pairs[a, 0] == pairs[b, 0] and pairs[a, 1] > pairs[b, 1]))


@inlined
def _swap(pairs: I64, a: int, b: int) -> None:
    first, second = pairs[a, 0], pairs[a, 1]
    pairs[a, 0], pairs[a, 1] = pairs[b, 0], pairs[b, 1]
    pairs[b, 0], pairs[b, 1] = first, second


@inlined
def _sink(pairs: I64, at: int, size: int) -> None:
    child = 2 * at + 1
    while child < size:
        if child + 1 < size and _after(pairs, child + 1, child):
            child += 1
        if not _after(pairs, child, at):
            break
        _swap(pairs, at, child)
        at = child
        child = 2 * at + 1


@lean
def sort_pairs(pairs: I64, count: int) -> None:
    """Put the first `count` rows in order, in place (heapsort: no room, no worst case)."""
    for at in range(count // 2 - 1, -1, -1):
        _sink(pairs, at, count)
    for end in range(count - 1, 0, -1):
        _swap(pairs, 0, end)
        _sink(pairs, 0, end)


@lean
def payers(pairs: I64, count: int) -> int:
    """How many different numbers stand in the first column; sorts the rows."""
    sort_pairs(pairs, count)
    found = i64(0)
    for row in range(count):
        if row == 0 or pairs[row, 0] != pairs[row - 1, 0]:
            found += 1
    return found


@lean
def is_coinjoin(pairs: I64, outputs: int, inputs: int) -> bool:
    """By the outputs that carry value, rows (value, who is paid), and how many different scripts pay.

    Sorts the rows. Either a round of equal shares (at least three alike, with no more than one change output each), or
    a large one in which at least half of the outputs share their value with another's.
    """
    sort_pairs(pairs, outputs)
    alike = most = shared = i64(0)
    for row in range(outputs):
        if row == 0 or pairs[row, 0] != pairs[row - 1, 0]:
            alike = i64(1)
        elif pairs[row, 1] != pairs[row - 1, 1]:
            alike += 1
            shared += 2 if alike == 2 else 1
        most = max(most, alike)
    round_of_equals = most >= LEAST and inputs >= most
    if round_of_equals and (outputs <= most + 1 or 2 * most - 1 <= outputs <= 2 * most + 1):
        return True
    return inputs >= MANY and outputs >= MANY and 2 * shared >= outputs
