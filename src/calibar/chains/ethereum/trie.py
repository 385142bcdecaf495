"""Roots of Merkle Patricia tries (Yellow Paper, appendix D): transactions, receipts, withdrawals, a genesis state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from calibar.chains.ethereum import rlp
from calibar.chains.ethereum.keccak import keccak256

EMPTY: Final = keccak256(rlp.encode(b""))


def ordered_root(values: Iterable[bytes]) -> bytes:
    """Root of a list, whose keys are the RLP of positions."""
    return root({rlp.encode(at): value for at, value in enumerate(values)})


def root(values: Mapping[bytes, bytes]) -> bytes:
    """Root of values (not empty) by their keys."""
    if not values:
        return EMPTY
    return keccak256(_node(sorted((_nibbles(key), value) for key, value in values.items()), 0))


def _nibbles(key: bytes) -> bytes:
    return bytes(nibble for byte in key for nibble in (byte >> 4, byte & 15))


def _path(nibbles: bytes, leaf: int) -> bytes:
    """Hex-prefix encoding."""
    odd = len(nibbles) & 1
    flagged = bytes([2 * leaf + odd]) + (b"" if odd else b"\0") + nibbles
    return bytes(flagged[at] << 4 | flagged[at + 1] for at in range(0, len(flagged), 2))


def _node(pairs: Sequence[tuple[bytes, bytes]], at: int) -> bytes:
    """RLP of the node over sorted pairs whose keys agree before `at`."""
    first = pairs[0][0]
    if len(pairs) == 1:
        return rlp.encode([_path(first[at:], 1), pairs[0][1]])
    shared = at + next(
        (n for n, (a, b) in enumerate(zip(first[at:], pairs[-1][0][at:], strict=False)) if a != b), len(first) - at
    )
    if shared > at:
        return rlp.join([rlp.encode(_path(first[at:shared], 0)), _reference(pairs, shared)])
    branches = [b"\x80"] * 16
    value = b""
    start = 0
    if len(first) == at:
        value, start = pairs[0][1], 1
    while start < len(pairs):
        nibble, end = pairs[start][0][at], start + 1
        while end < len(pairs) and pairs[end][0][at] == nibble:
            end += 1
        branches[nibble] = _reference(pairs[start:end], at + 1)
        start = end
    return rlp.join([*branches, rlp.encode(value)])


def _reference(pairs: Sequence[tuple[bytes, bytes]], at: int) -> bytes:
    node = _node(pairs, at)
    return node if len(node) < 32 else rlp.encode(keccak256(node))
