"""TRON's hashes: a block's id, a transaction's, and the root of a block's transactions.

Source: java-tron, `BlockCapsule`, `TransactionCapsule`, `MerkleTree`, `WalletUtil.generateContractAddress`. All are
SHA-256 of protobuf messages, single; a contract's address is a Keccak-256.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from Crypto.Hash import keccak

from calibar.chains.tron.address import with_prefix
from calibar.chains.tron.protobuf import bytes_field, integer_field, message_field

NO_ROOT = bytes(32)
"""The root of a block without transactions."""


def header_bytes(
    *, timestamp: int, root: bytes, parent: bytes, number: int, witness_id: int = 0, witness: bytes = b"",
    version: int = 0, state_root: bytes = b"",
) -> bytes:  # fmt: skip
    """A header's `raw_data`, which its id and its producer's signature cover; `timestamp` in milliseconds."""
    return b"".join(
        (
            integer_field(1, timestamp),
            bytes_field(2, root),
            bytes_field(3, parent),
            integer_field(7, number),
            integer_field(8, witness_id),
            bytes_field(9, witness),
            integer_field(10, version),
            bytes_field(11, state_root),
        )
    )


def block_id(number: int, header: bytes) -> bytes:
    """32 bytes: the number, then the last 24 of the header's hash."""
    return number.to_bytes(8) + hashlib.sha256(header).digest()[8:]


def transaction_id(raw: bytes) -> bytes:
    """32 bytes, of what was signed."""
    return hashlib.sha256(raw).digest()


def transaction_leaf(raw: bytes, signatures: Iterable[bytes], results: Iterable[bytes]) -> bytes:
    """A transaction's leaf in the root: with signatures and results."""
    parts = [bytes_field(1, raw)]
    parts += [message_field(2, signature) for signature in signatures]
    parts += [message_field(5, result) for result in results]
    return hashlib.sha256(b"".join(parts)).digest()


def transactions_root(leaves: Sequence[bytes]) -> bytes:
    """Pairs are hashed together; an odd last one rises to the next level as it is."""
    level = list(leaves)
    while len(level) > 1:
        pairs = [hashlib.sha256(level[at] + level[at + 1]).digest() for at in range(0, len(level) - 1, 2)]
        level = pairs + level[len(pairs) * 2 :]
    return level[0] if level else NO_ROOT


def created_contract(transaction: bytes, owner: bytes) -> bytes:
    """The 20 bytes of the contract that a CreateSmartContract of `owner` (20 bytes) makes."""
    return keccak.new(digest_bits=256, data=transaction + with_prefix(owner)).digest()[12:]
