"""Who signed: the address whose key made a signature on secp256k1 (SEC 1, section 4.1.6)."""

from __future__ import annotations

from functools import cache, lru_cache
from typing import Final, TypeAlias

from calibar.chains.ethereum.keccak import keccak256
from calibar.errors import DecodeError

P: Final = 2**256 - 2**32 - 977
N: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
G: Final = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

# Multiplication by _LAMBDA turns (x, y) into (_BETA·x, y), so half-length scalars suffice
# (Gallant, Lambert, Vanstone 2001; the short basis as in libsecp256k1).
_LAMBDA: Final = 0x5363AD4CC05C30E0A5261C028812645A122E22EA20816678DF02967C1B23BD72
_BETA: Final = 0x7AE96A2B657C07106E64479EAC3434E99CF0497512F58995C1396C28719501EE
_A1: Final = 0x3086D221A7D46BCDE86C90E49284EB15
_B1: Final = -0xE4437ED6010E88286F547FA90ABFE4C3
_A2: Final = 0x114CA50F7A8E2F3F657C1108D9D44CFD8
_B2: Final = _A1

Affine: TypeAlias = tuple[int, int]
Point: TypeAlias = tuple[int, int, int]
"""Jacobian coordinates; z = 0 at infinity."""

_INFINITY: Final = (0, 1, 0)


@lru_cache(maxsize=1 << 15)  # what a case keeps is read more than once
def recover(digest: bytes, r: int, s: int, parity: int) -> bytes:
    """The 20 bytes of the signer's address. Raises DecodeError where no key can have made the signature."""
    y = pow(r**3 + 7, (P + 1) // 4, P)
    if not (0 < r < N and 0 < s < N and parity in (0, 1)) or (y * y - r**3 - 7) % P:
        raise DecodeError("the signature is not one that a key can make")
    if y & 1 != parity:
        y = P - y
    inverse = pow(r, -1, N)
    scaled = _multiply((r, y), s * inverse % N)
    x, y, z = _add_base(scaled, -int.from_bytes(digest) * inverse % N)
    if z == 0:
        raise DecodeError("the signature is not one that a key can make")
    inverse = pow(z, -1, P)
    square = inverse * inverse % P
    key = (x * square % P).to_bytes(32) + (y * square * inverse % P).to_bytes(32)
    return keccak256(key)[12:]


def _double(point: Point) -> Point:
    x, y, z = point
    yy = y * y % P
    s = 4 * x * yy % P
    m = 3 * x * x % P
    x3 = (m * m - 2 * s) % P
    return x3, (m * (s - x3) - 8 * yy * yy) % P, 2 * y * z % P


def _add(point: Point, other: Affine) -> Point:
    x, y, z = point
    if z == 0:
        return other[0], other[1], 1
    zz = z * z % P
    h = (other[0] * zz - x) % P
    slope = (other[1] * zz * z - y) % P
    if h == 0:
        return _double(point) if slope == 0 else _INFINITY
    hh = h * h % P
    hhh = h * hh % P
    v = x * hh % P
    x3 = (slope * slope - hhh - 2 * v) % P
    return x3, (slope * (v - x3) - y * hhh) % P, z * h % P


def _affine(points: list[Point]) -> list[Affine]:
    """All to affine coordinates by one inversion."""
    products = [1]
    for _, _, z in points:
        products.append(products[-1] * z % P)
    inverse = pow(products[-1], -1, P)
    found: list[Affine] = []
    for (x, y, z), before in zip(reversed(points), reversed(products[:-1]), strict=True):
        own = inverse * before % P
        inverse = inverse * z % P
        square = own * own % P
        found.append((x * square % P, y * square * own % P))
    return found[::-1]


def _digits(scalar: int) -> list[int]:
    """Non-adjacent form of width 5, least significant first."""
    sign, scalar = (1, scalar) if scalar >= 0 else (-1, -scalar)
    digits = []
    while scalar:
        digit = 0
        if scalar & 1:
            digit = (scalar & 31) - 32 if scalar & 16 else scalar & 31
            scalar -= digit
        digits.append(sign * digit)
        scalar >>= 1
    return digits


def _multiply(point: Affine, scalar: int) -> Point:
    c1 = (_B2 * scalar + N // 2) // N
    c2 = (-_B1 * scalar + N // 2) // N
    halves = [_digits(scalar - c1 * _A1 - c2 * _A2), _digits(-c1 * _B1 - c2 * _B2)]
    twice = _affine([_double((*point, 1))])[0]
    multiples: list[Point] = [(*point, 1)]
    for _ in range(7):
        multiples.append(_add(multiples[-1], twice))
    odd = _affine(multiples)
    tables = [odd, [(x * _BETA % P, y) for x, y in odd]]
    total: Point = _INFINITY
    for at in reversed(range(max(map(len, halves)))):
        total = _double(total)
        for digits, table in zip(halves, tables, strict=True):
            digit = digits[at] if at < len(digits) else 0
            if digit > 0:
                total = _add(total, table[digit >> 1])
            elif digit < 0:
                x, y = table[-digit >> 1]
                total = _add(total, (x, P - y))
    return total


@cache
def _base() -> list[list[Affine]]:
    """d·256^i·G for each byte i and d = 1..255."""
    rows: list[list[Affine]] = []
    start = G
    for _ in range(32):
        row: list[Point] = [(*start, 1)]
        for _ in range(255):
            row.append(_add(row[-1], start))
        *own, start = _affine(row)
        rows.append(own)
    return rows


def _add_base(point: Point, scalar: int) -> Point:
    for row, byte in zip(_base(), scalar.to_bytes(32, "little"), strict=True):
        if byte:
            point = _add(point, row[byte - 1])
    return point
