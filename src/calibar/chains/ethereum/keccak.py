"""Keccak-256, the hash of Ethereum and TRON (not SHA3-256, which pads otherwise)."""

from __future__ import annotations

from Crypto.Hash import keccak


def keccak256(data: bytes) -> bytes:
    """The 32 bytes of Keccak-256."""
    digest: bytes = keccak.new(data=data, digest_bits=256).digest()
    return digest
