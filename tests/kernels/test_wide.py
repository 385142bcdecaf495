"""Two-limb arithmetic against Python's integers."""

from __future__ import annotations

import numpy as np
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calibar.kernels.compiled import lean
from calibar.kernels.wide import LIMIT, U64, below, integers, lesser, limbs, minus, plus, scaled, times, total

_ROUND = 1 << 128

small = st.integers(0, 1 << 55)
amounts = st.one_of(
    small,
    st.integers(0, LIMIT - 1),
    st.builds(lambda power, off: min(max((1 << power) + off, 0), LIMIT - 1), st.integers(0, 126), st.integers(-3, 3)),
)


@lean
def _answers(x: U64, out: U64) -> None:
    a, b, c = x[0], x[1], x[2]
    out[0] = plus(a[0], a[1], b[0], b[1])
    out[1] = minus(a[0], a[1], b[0], b[1])
    out[2] = times(a[0], a[1], b[0])
    out[3] = lesser(a[0], a[1], b[0], b[1])
    out[4, 0] = below(a[0], a[1], b[0], b[1])
    q, q_up, r, r_up = scaled(a[0], a[1], b[0], b[1], c[0], c[1])
    out[5, 0], out[5, 1], out[6, 0], out[6, 1] = q, q_up, r, r_up


@settings(max_examples=3000, deadline=None)
@given(amounts, amounts, amounts)
@example(LIMIT - 1, LIMIT - 1, LIMIT - 1)
@example(LIMIT - 1, LIMIT - 2, LIMIT - 1)
@example((1 << 84) - 1, (1 << 53) - 1, 1 << 53)
@example((1 << 53) - 1, (1 << 53) - 2, (1 << 53) - 1)
@example(1, 0, 1)
def test_limbs_compute_as_integers_do(a: int, b: int, c: int) -> None:
    b, c = min(b, c), max(b, c, 1)
    out = np.zeros((7, 2), np.uint64)
    _answers(limbs([a, b, c]), out)
    low = b & ((1 << 64) - 1)
    quotient, rest = divmod(a * b, c)
    expected = [(a + b) % _ROUND, (a - b) % _ROUND, a * low % _ROUND, min(a, b), int(a < b), quotient, rest]
    assert integers(out) == expected


@given(st.lists(st.integers(0, _ROUND - 1), max_size=20))
def test_a_sum_of_rows_is_exact(numbers: list[int]) -> None:
    rows = limbs(numbers)
    assert integers(rows) == numbers
    assert total(rows) == sum(numbers)
