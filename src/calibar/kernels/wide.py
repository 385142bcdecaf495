"""Amounts of account chains: unsigned integers below 2^126 as two 64-bit limbs, least significant first.

All constants are uint64: beside a signed number numba would compute in floating point.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, u64

U64 = NDArray[np.uint64]

LIMIT: Final = 1 << 126
"""No amount and no balance reaches this."""
ZERO, ONE = u64(0), u64(1)
TOP = u64(1 << 62)
"""A number whose upper limb reaches this is at or beyond LIMIT."""
_LOW, _HALF, _SIGN = u64(0xFFFFFFFF), u64(32), u64(63)
_DIGIT, _WITHIN, _ABOVE, _HIGHEST = u64(42), u64((1 << 42) - 1), u64(22), u64(20)
_EXACT = u64(1 << 53)
"""Below it a double holds every integer."""


@inlined
def plus(a: int, a_up: int, b: int, b_up: int) -> tuple[int, int]:
    """a + b modulo 2^128."""
    low = a + b
    return low, a_up + b_up + (ONE if low < a else ZERO)


@inlined
def minus(a: int, a_up: int, b: int, b_up: int) -> tuple[int, int]:
    """a - b modulo 2^128."""
    return a - b, a_up - b_up - (ONE if a < b else ZERO)


@inlined
def below(a: int, a_up: int, b: int, b_up: int) -> bool:
    """Whether a < b."""
    return a_up < b_up or (a_up == b_up and a < b)


@inlined
def lesser(a: int, a_up: int, b: int, b_up: int) -> tuple[int, int]:
    """The smaller of two."""
    if below(a, a_up, b, b_up):
        return a, a_up
    return b, b_up


@inlined
def times(a: int, a_up: int, b: int) -> tuple[int, int]:
    """a * b modulo 2^128, where b has one limb."""
    a0, a1, b0, b1 = a & _LOW, a >> _HALF, b & _LOW, b >> _HALF
    cross = a1 * b0 + ((a0 * b0) >> _HALF)
    other = a0 * b1 + (cross & _LOW)
    return a * b, a1 * b1 + (cross >> _HALF) + (other >> _HALF) + a_up * b


@inlined
def _rough(a: int, a_up: int) -> float:
    return np.float64(a_up) * 18446744073709551616.0 + np.float64(a)


@inlined
def scaled(a: int, a_up: int, b: int, b_up: int, c: int, c_up: int) -> tuple[int, int, int, int]:
    """floor(a * b / c) and what remains, a * b mod c, for b <= c and 0 < c; all three below 2^126.

    Schoolbook division by digits of 42 bits. A digit of the quotient is estimated in floating point, at most one off,
    and corrected by the remainder, which wraps modulo 2^128 but is small. Where all is below 2^53 there is one digit.
    """
    if a_up == ZERO and c_up == ZERO and a < _EXACT and c < _EXACT:
        quotient = u64(np.float64(a) * np.float64(b) / np.float64(c))
        small = i64(a * b - quotient * c)
        while small < 0:
            quotient -= ONE
            small += i64(c)
        while small >= i64(c):
            quotient += ONE
            small -= i64(c)
        return quotient, ZERO, u64(small), ZERO
    whole, factor = _rough(c, c_up), _rough(b, b_up)
    quotient, up = ZERO, ZERO
    rest, rest_up = ZERO, ZERO
    place = 0 if a_up >> _HIGHEST != ZERO else (1 if a_up != ZERO or a > _WITHIN else 2)
    while place < 3:
        if place == 0:
            digit = a_up >> _HIGHEST
        elif place == 1:
            digit = ((a >> _DIGIT) | (a_up << _ABOVE)) & _WITHIN
        else:
            digit = a & _WITHIN
        guess = u64((_rough(rest, rest_up) * 4398046511104.0 + np.float64(digit) * factor) / whole)
        part, part_up = times(b, b_up, digit)
        rest, rest_up = plus(rest << _DIGIT, (rest_up << _DIGIT) | (rest >> _ABOVE), part, part_up)
        part, part_up = times(c, c_up, guess)
        rest, rest_up = minus(rest, rest_up, part, part_up)
        if rest_up >> _SIGN != ZERO:
            guess -= ONE
            rest, rest_up = plus(rest, rest_up, c, c_up)
        elif not below(rest, rest_up, c, c_up):
            guess += ONE
            rest, rest_up = minus(rest, rest_up, c, c_up)
        quotient, up = plus(quotient << _DIGIT, (up << _DIGIT) | (quotient >> _ABOVE), guess, ZERO)
        place += 1
    return quotient, up, rest, rest_up


def limbs(amounts: Sequence[int]) -> U64:
    """Integers from 0 to 2^128 - 1 as rows of two limbs. Raises OverflowError for any other."""
    return np.frombuffer(b"".join(x.to_bytes(16, "little") for x in amounts), "<u8").reshape(-1, 2).astype(np.uint64)


def integers(rows: U64) -> list[int]:
    """Rows of two limbs as integers."""
    return [low | up << 64 for low, up in rows.tolist()]


def total(rows: U64) -> int:
    """The exact sum of fewer than 2^31 rows of two limbs."""
    low = np.uint64(0xFFFFFFFF)
    halves = ((rows[:, k] >> np.uint64(shift)) & low for k in (0, 1) for shift in (0, 32))
    return sum(int(half.sum(dtype=np.uint64)) << 32 * place for place, half in enumerate(halves))
