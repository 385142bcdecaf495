"""A node's proof that a transaction is in a block: a header and a part of the block's merkle tree (BIP37).

Source: BIP37; Bitcoin Core, `src/merkleblock.cpp`. Stricter than Core: one transaction is matched, and every flag is
used and leads to it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from calibar.chains.bitcoin.transaction import sha256d
from calibar.errors import DecodeError

MOST_TRANSACTIONS: Final = 4_000_000 // 240
"""Of a block (Core, MAX_BLOCK_WEIGHT / MIN_TRANSACTION_WEIGHT)."""
LARGEST: Final = 80 + 4 + 3 + 32 * MOST_TRANSACTIONS + 5 + MOST_TRANSACTIONS
"""Bytes of a proof; more than any has."""


@dataclass(frozen=True, slots=True)
class MerkleBlock:
    """What a proof shows; hashes in wire order."""

    header: bytes
    txid: bytes
    position: int
    branch: tuple[bytes, ...]
    """From the leaf up; a node without a sibling is its own."""


def read_merkle_block(proof: bytes) -> MerkleBlock:
    """Take a proof apart and check it against its own header. Raises DecodeError."""
    try:
        header, count, hashes, flags = _fields(proof)
    except IndexError:
        raise DecodeError("a merkle proof is cut off") from None
    if not 0 < count <= MOST_TRANSACTIONS:
        raise DecodeError(f"a merkle proof is of a block with {count} transactions; none has so many, or so few")
    tree = _Tree(count, iter(hashes), _bits(flags))
    root, found = tree.walk(tree.height, 0)
    if found is None or next(tree.hashes, None) is not None:
        raise DecodeError("a merkle proof matches no transaction, or has hashes that it does not use")
    rest = list(tree.flags)
    if len(rest) > 7 or any(rest):
        raise DecodeError("a merkle proof has flags that it does not use")
    if root != header[36:68]:
        raise DecodeError("a merkle proof does not fit its header")
    return MerkleBlock(header, found.txid, found.position, tuple(found.branch))


@dataclass(slots=True)
class _Found:
    txid: bytes
    position: int
    branch: list[bytes]


@dataclass(slots=True)
class _Tree:
    count: int
    hashes: Iterator[bytes]
    flags: Iterator[bool]

    @property
    def height(self) -> int:
        return (self.count - 1).bit_length()

    def width(self, height: int) -> int:
        """Nodes of a row."""
        return (self.count + (1 << height) - 1) >> height

    def walk(self, height: int, at: int) -> tuple[bytes, _Found | None]:
        """Hash of a node, and the matched transaction where it is under it."""
        flag = next(self.flags, None)
        if flag is None:
            raise DecodeError("a merkle proof has too few flags")
        if height == 0 or not flag:
            digest = next(self.hashes, None)
            if digest is None:
                raise DecodeError("a merkle proof has too few hashes")
            return digest, _Found(digest, at, []) if flag else None
        left, found = self.walk(height - 1, 2 * at)
        right, other = left, None
        if 2 * at + 1 < self.width(height - 1):
            right, other = self.walk(height - 1, 2 * at + 1)
            if right == left:
                raise DecodeError("a merkle proof has a node twice (CVE-2012-2459)")
        if (found is None) == (other is None):
            raise DecodeError("a merkle proof matches no transaction under a flag, or more than one")
        if found is not None:
            found.branch.append(right)
        elif other is not None:
            other.branch.append(left)
        return sha256d(left + right), found or other


def _fields(proof: bytes) -> tuple[bytes, int, list[bytes], bytes]:
    """Raises IndexError where the proof is too short."""
    header, count = _taken(proof, 0, 80), int.from_bytes(_taken(proof, 80, 4), "little")
    hashes, at = _size(proof, 84)
    branch = [_taken(proof, at + 32 * number, 32) for number in range(hashes)]
    flags, at = _size(proof, at + 32 * hashes)
    if at + flags < len(proof):
        raise DecodeError("a merkle proof goes on after its end")
    return header, count, branch, _taken(proof, at, flags)


def _taken(data: bytes, at: int, size: int) -> bytes:
    if at + size > len(data):
        raise IndexError
    return data[at : at + size]


def _size(data: bytes, at: int) -> tuple[int, int]:
    """A compact size in its shortest form, and where it ends; five bytes and more count nothing that is here."""
    first = data[at]
    if first < 0xFD:
        return first, at + 1
    number = int.from_bytes(_taken(data, at + 1, 2), "little")
    if first > 0xFD or number < 0xFD:
        raise DecodeError("a merkle proof has a size that no proof has")
    return number, at + 3


def _bits(flags: bytes) -> Iterator[bool]:
    return (bool(byte >> bit & 1) for byte in flags for bit in range(8))
