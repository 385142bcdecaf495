"""Throw-away keys that a seed text gives again each time, and their signatures.

They guard play money on a private chain: anyone who knows the seed has them, and none is ever written to disk.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import ECDSA, SECP256K1, EllipticCurvePrivateKey, derive_private_key
from cryptography.hazmat.primitives.asymmetric.utils import Prehashed, decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ORDER: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
SIGHASH_ALL: Final = 1
LONGEST_SIGNATURE: Final = 72
"""Bytes of the longest DER signature with low S, sighash byte included."""


@dataclass(frozen=True)
class Key:
    """A secp256k1 key: a number from 1 to ORDER - 1."""

    secret: int = field(repr=False)

    @classmethod
    def of(cls, text: str) -> Key:
        """The key that a text gives: its SHA-256, brought into range."""
        return cls(int.from_bytes(sha256(text.encode()).digest(), "big") % (ORDER - 1) + 1)

    @cached_property
    def _private(self) -> EllipticCurvePrivateKey:
        return derive_private_key(self.secret, SECP256K1())

    @cached_property
    def public(self) -> bytes:
        """The compressed public key, 33 bytes."""
        return self._private.public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)

    def sign(self, digest: bytes) -> bytes:
        """Signature over a 32-byte digest: nonce by RFC 6979, low S (BIP146), DER (BIP66), SIGHASH_ALL byte."""
        r, s = decode_dss_signature(self._private.sign(digest, ECDSA(Prehashed(SHA256()), deterministic_signing=True)))
        return encode_dss_signature(r, min(s, ORDER - s)) + bytes([SIGHASH_ALL])
