"""Inputs that wait for their turn in chain order: a calendar queue (R. Brown, CACM 31(10), 1988).

Ids are dense and none is put before the last one taken, so ids are cut into windows: the open window is an array with
a place for each id, a later one an unordered list in chunks. Every operation takes constant time and nearly all stay
in the processor's cache, which a heap of many thousand entries does not.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, lean

I64 = NDArray[np.int64]

BITS = 12
WINDOW = 1 << BITS
CHUNK = 16
"""Columns of a chunk: the next chunk, its length, then pairs (input, record)."""
NONE = -1
OPEN, NEXT, WAITING, FREE, USED, MISPLACED, TOUCHED = 0, 1, 2, 3, 4, 5, 6


class Queue(NamedTuple):
    """Inputs below the number it was made for, each with a record."""

    places: I64
    """By input of the open window: its record, or NONE."""
    newest: I64
    """By window: its newest chunk, or NONE."""
    at: I64
    """The open window, the next place, inputs that wait, a free chunk, chunks used, inputs misplaced (and dropped), and
    a sum that nobody reads."""


def empty_queue(inputs: int) -> Queue:
    """A queue for inputs 0 <= i < inputs; its chunks, (n, CHUNK), are the caller's and may be made longer."""
    return Queue(
        places=np.full(WINDOW, NONE, np.int64),
        newest=np.full((inputs >> BITS) + 1, NONE, np.int64),
        at=np.array([NONE, WINDOW, 0, NONE, 0, 0, 0], np.int64),
    )


@inlined
def put(queue: Queue, chunks: I64, item: int, record: int) -> None:
    """Add an input; there is a chunk to spare. One that is there already or has passed is misplaced."""
    places, newest, at = queue.places, queue.newest, queue.at
    window, place = item >> BITS, item & (WINDOW - 1)
    if window < at[OPEN] or (window == at[OPEN] and (place < at[NEXT] or places[place] != NONE)):
        at[MISPLACED] += 1
        return
    at[WAITING] += 1
    if window == at[OPEN]:
        places[place] = record
        return
    chunk = newest[window]
    if chunk == NONE or chunks[chunk, 1] == CHUNK:
        older = chunk
        chunk = at[FREE]
        if chunk == NONE:
            chunk = at[USED]
            at[USED] += 1
        else:
            at[FREE] = chunks[chunk, 0]
        chunks[chunk, 0], chunks[chunk, 1] = older, 2
        newest[window] = chunk
    column = chunks[chunk, 1]
    chunks[chunk, column], chunks[chunk, column + 1] = item, record
    chunks[chunk, 1] = column + 2


@lean
def _open_next(queue: Queue, chunks: I64, limit: int, records: I64, column: int, details: I64) -> None:
    """Go on to the next window that has inputs, or to `limit` if that comes first. One input waits.

    A record's row, and the row of `details` that its `column` names, are read here, where the waits for memory
    overlap; one by one, later, they would be half of all time.
    """
    places, newest, at = queue.places, queue.newest, queue.at
    window = at[OPEN] + 1
    while window << BITS < limit and newest[window] == NONE:
        window += 1
    if window << BITS >= limit:
        at[OPEN], at[NEXT] = window - 1, limit - ((window - 1) << BITS)
        return
    touched = i64(0)
    chunk = newest[window]
    newest[window] = NONE
    while chunk != NONE:
        for entry in range(2, chunks[chunk, 1], 2):
            place, record = chunks[chunk, entry] & (WINDOW - 1), chunks[chunk, entry + 1]
            if places[place] != NONE:
                at[MISPLACED] += 1
                at[WAITING] -= 1
            else:
                places[place] = record
                touched += details[records[record, column], 0]
        older = chunks[chunk, 0]
        chunks[chunk, 0] = at[FREE]
        at[FREE] = chunk
        chunk = older
    at[OPEN], at[NEXT], at[TOUCHED] = window, 0, touched


@inlined
def least(queue: Queue, chunks: I64, limit: int, records: I64, column: int, details: I64) -> int:
    """The first input that waits, or `limit` where none before it does; what is before `limit` has then passed."""
    places, at = queue.places, queue.at
    if at[WAITING] == 0:
        return limit
    place = at[NEXT]
    while True:
        start = at[OPEN] << BITS
        end = min(limit - start, WINDOW)
        while place < end and places[place] == NONE:
            place += 1
        if place < WINDOW or start + place >= limit:
            break
        _open_next(queue, chunks, limit, records, column, details)
        place = at[NEXT]
    at[NEXT] = place
    return i64(start + place)


@inlined
def take(queue: Queue) -> int:
    """Remove the input that `least` returned; its record."""
    at = queue.at
    place = at[NEXT]
    record = queue.places[place]
    queue.places[place] = NONE
    at[NEXT] = place + 1
    at[WAITING] -= 1
    return i64(record)
