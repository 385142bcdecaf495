"""The calendar queue against a plain set."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibar.kernels.compiled import lean
from calibar.kernels.queue import CHUNK, MISPLACED, WAITING, WINDOW, Queue, empty_queue, least, put, take

I64 = NDArray[np.int64]

INPUTS = 40 * WINDOW
ROWS = np.zeros((1000, 1), np.int64)


@lean
def put_one(queue: Queue, chunks: I64, item: int, record: int) -> None:
    put(queue, chunks, item, record)


@lean
def first(queue: Queue, chunks: I64, limit: int, rows: I64) -> int:
    return least(queue, chunks, limit, rows, 0, rows)


@lean
def take_one(queue: Queue) -> int:
    return take(queue)


ITEMS = st.one_of(
    st.integers(0, INPUTS - 1),
    st.integers(0, 39).map(lambda window: window * WINDOW),
    st.integers(1, 40).map(lambda window: window * WINDOW - 1),
    st.integers(3 * WINDOW, 3 * WINDOW + 99),
)


@settings(deadline=None, max_examples=300)
@given(st.lists(st.tuples(st.booleans(), ITEMS), max_size=200))
def test_inputs_come_out_in_order_with_their_records(actions: list[tuple[bool, int]]) -> None:
    """Put what has not passed yet; take all that waits before a limit that never goes back."""
    queue, chunks = empty_queue(INPUTS), np.empty((len(actions) + 1, CHUNK), np.int64)
    waiting: dict[int, int] = {}
    passed = 0
    for number, (adds, item) in enumerate([*actions, (False, INPUTS)]):
        if adds and item >= passed and item not in waiting:
            put_one(queue, chunks, item, number)
            waiting[item] = number
        elif not adds:
            passed = max(item, passed)
            for expected in sorted(waiting):
                if expected >= passed:
                    break
                assert first(queue, chunks, passed, ROWS) == expected
                assert take_one(queue) == waiting.pop(expected)
            assert first(queue, chunks, passed, ROWS) >= passed
    assert not waiting
    assert queue.at[WAITING] == queue.at[MISPLACED] == 0


@pytest.mark.parametrize("item", [5, WINDOW + 5, 2 * WINDOW + 1])
def test_an_input_that_passed_or_is_there_is_misplaced(item: int) -> None:
    queue, chunks = empty_queue(INPUTS), np.empty((8, CHUNK), np.int64)
    for number, known in enumerate((WINDOW + 5, WINDOW + 6, 2 * WINDOW + 1)):
        put_one(queue, chunks, known, number)
    assert first(queue, chunks, INPUTS, ROWS) == WINDOW + 5
    put_one(queue, chunks, item, 9)
    found = []
    while (input_id := first(queue, chunks, INPUTS, ROWS)) < INPUTS:
        found.append((input_id, take_one(queue) if item != 2 * WINDOW + 1 else min(take_one(queue), 2)))
    assert found == [(WINDOW + 5, 0), (WINDOW + 6, 1), (2 * WINDOW + 1, 2)]
    assert queue.at[MISPLACED] == 1
