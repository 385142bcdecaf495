"""Rows of tables that belong together: by hash, by the path of a call in its trace."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, kernel, lean, u64

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
I64 = NDArray[np.int64]

_0: Final = 0x30
_9: Final = 0x39


@kernel
def equal_in_ranges(values: I64, first: I64, end: I64, wanted: I64, count: I64, out: I64) -> int:
    """Rows first[i] to end[i] whose value is wanted[i] into `out`, how many into count[i]; all, which may be more than
    `out` has room for: ask again with more."""
    total = 0
    for i in range(first.size):
        before = total
        for row in range(first[i], end[i]):
            if values[row] == wanted[i]:
                if total < out.size:
                    out[total] = row
                total += 1
        count[i] = total - before
    return total


@lean
def skip_signs(texts: Bytes, start: I64, length: I64, sign: int, count: int) -> None:
    """Move the beginning of each text past the `count`th `sign` in it, or to its end."""
    for i in range(start.size):
        end = start[i] + length[i]
        at = start[i]
        left = i64(count)
        while at < end and left > 0:
            if texts[at] == sign:
                left -= 1
            at += 1
        start[i] = at
        length[i] = end - at


@inlined
def _compare_paths(texts: Bytes, a: int, a_end: int, b: int, b_end: int) -> int:
    """Order of two paths of numbers parted by other signs: `0,2` before `0,10` and after `0`."""
    result = i64(0)
    while True:
        while a < a_end and not _0 <= texts[a] <= _9:
            a += 1
        while b < b_end and not _0 <= texts[b] <= _9:
            b += 1
        if a >= a_end or b >= b_end:
            if a < a_end:
                result = i64(1)
            elif b < b_end:
                result = i64(-1)
            break
        left = i64(0)
        right = i64(0)
        while a < a_end and _0 <= texts[a] <= _9:
            left = min(left * 10 + (i64(texts[a]) - _0), i64(1) << 40)
            a += 1
        while b < b_end and _0 <= texts[b] <= _9:
            right = min(right * 10 + (i64(texts[b]) - _0), i64(1) << 40)
            b += 1
        if left != right:
            result = i64(1) if left > right else i64(-1)
            break
    return result


@kernel
def order_paths(texts: Bytes, start: I64, length: I64, group: I64, order: I64, place: I64) -> int:
    """Sort each run of equal `group[order]` by path, in place; `place` of a row is its rank in its run.

    A merge sort, so that rows in any order cost no more than n log n. Returns the first row whose path is there
    twice, -1 where none is.
    """
    other = np.empty_like(order)
    first = i64(0)
    while first < order.size:
        end = first
        while end < order.size and group[order[end]] == group[order[first]]:
            end += 1
        width = i64(1)
        while width < end - first:
            low = first
            while low < end:
                middle = min(low + width, end)
                high = min(low + 2 * width, end)
                i, j = low, middle
                for k in range(low, high):
                    take_left = j >= high
                    if i < middle and j < high:
                        a, b = order[i], order[j]
                        take_left = (
                            _compare_paths(texts, start[a], start[a] + length[a], start[b], start[b] + length[b]) <= 0
                        )
                    if take_left:
                        other[k] = order[i]
                        i += 1
                    else:
                        other[k] = order[j]
                        j += 1
                low += 2 * width
            order[first:end] = other[first:end]
            width *= 2
        for k in range(first, end):
            place[order[k]] = k - first
            if k > first:
                a, b = order[k - 1], order[k]
                if _compare_paths(texts, start[a], start[a] + length[a], start[b], start[b] + length[b]) == 0:
                    again: int = max(a, b)
                    return again
        first = end
    return -1


@lean
def undo(texts: Bytes, start: I64, length: I64, group: I64, order: I64, done: NDArray[np.bool_]) -> None:
    """What lies below a call that was not done was not done either; `order` is that of `order_paths`."""
    above = i64(-1)
    for row in order:
        if above >= 0 and group[row] == group[above] and length[row] > length[above]:
            same = length[above] == 0 or not _0 <= texts[start[row] + length[above]] <= _9
            for i in range(length[above]):
                same = same and texts[start[row] + i] == texts[start[above] + i]
            if same:
                done[row] = False
                continue
        above = i64(-1) if done[row] else row


@lean
def find_hashes(keys: Words, order: I64, wanted: Words, found: I64) -> None:
    """Row of each wanted hash (four words) among `keys`, whose first words `order` sorts; -1 where there is none."""
    for i in range(wanted.shape[0]):
        if i > 0 and (
            wanted[i, 0] == wanted[i - 1, 0] and wanted[i, 1] == wanted[i - 1, 1]
            and wanted[i, 2] == wanted[i - 1, 2] and wanted[i, 3] == wanted[i - 1, 3]
        ):  # fmt: skip
            found[i] = found[i - 1]
            continue
        low = i64(0)
        high = i64(order.size)
        while low < high:
            middle = (low + high) >> 1
            if keys[order[middle], 0] < wanted[i, 0]:
                low = middle + 1
            else:
                high = middle
        found[i] = -1
        while low < order.size and keys[order[low], 0] == wanted[i, 0]:
            row = order[low]
            if keys[row, 1] == wanted[i, 1] and keys[row, 2] == wanted[i, 2] and keys[row, 3] == wanted[i, 3]:
                found[i] = row
                break
            low += 1


@lean
def begins_run(hashes: Words, numbers: I64, begins: NDArray[np.bool_]) -> None:
    """Where the hash (four words) or the number is not that of the row before."""
    for i in range(hashes.shape[0]):
        begins[i] = (
            i == 0 or numbers[i] != numbers[i - 1]
            or hashes[i, 0] != hashes[i - 1, 0] or hashes[i, 1] != hashes[i - 1, 1]
            or hashes[i, 2] != hashes[i - 1, 2] or hashes[i, 3] != hashes[i - 1, 3]
        )  # fmt: skip


@lean
def multiply(a: Words, b: Words, out: Words) -> None:
    """a · b, each of 64 bits, as four limbs added to `out`."""
    mask = u64(0xFFFFFFFF)
    half = u64(32)
    for i in range(a.size):
        low = (a[i] & mask) * (b[i] & mask)
        first = (a[i] >> half) * (b[i] & mask) + (low >> half)
        second = (a[i] & mask) * (b[i] >> half) + (first & mask)
        limb0 = (second << half) | (low & mask)
        limb1 = (a[i] >> half) * (b[i] >> half) + (first >> half) + (second >> half)
        total = out[i, 0] + limb0
        carry = u64(1) if total < limb0 else u64(0)
        out[i, 0] = total
        out[i, 1] += limb1 + carry
