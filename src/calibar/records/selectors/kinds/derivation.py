"""Public keys below a public key: BIP32's public derivation, and the addresses of keys (BIP44, 49, 84, 86)."""

from __future__ import annotations

import hashlib
import hmac
from dataclasses import dataclass
from typing import Final

from calibar.chains.bitcoin import base58, bech32
from calibar.chains.bitcoin.networks import NETWORKS, Network
from calibar.chains.bitcoin.script import hash160, p2wpkh
from calibar.errors import DecodeError

_P: Final = 2**256 - 2**32 - 977
_N: Final = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
HARDENED: Final = 1 << 31
FORMS: Final = ("p2pkh", "p2sh-p2wpkh", "p2wpkh", "p2tr")


def point(key: bytes) -> tuple[int, int]:
    """The point of a public key of 33 or 65 bytes (SEC 1). Raises DecodeError where it is none of secp256k1."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, EllipticCurvePublicKey  # noqa: PLC0415

    try:
        numbers = EllipticCurvePublicKey.from_encoded_point(SECP256K1(), key).public_numbers()
    except ValueError:
        raise DecodeError("its key is no point of secp256k1") from None
    return numbers.x, numbers.y


def plus_base(start: tuple[int, int], scalar: int) -> tuple[int, int]:
    """`start` + `scalar`·G. Raises DecodeError where that is infinity, which BIP32 skips."""
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, derive_private_key  # noqa: PLC0415

    if not 0 < scalar < _N:
        if scalar == 0:
            return start
        raise DecodeError("the tweak is not below the order of the curve")
    other = derive_private_key(scalar, SECP256K1()).public_key().public_numbers()
    (x1, y1), (x2, y2) = start, (other.x, other.y)
    if x1 == x2 and (y1 + y2) % _P == 0:
        raise DecodeError("the sum is the point at infinity")
    slope = (3 * x1 * x1 * pow(2 * y1, -1, _P) if x1 == x2 else (y2 - y1) * pow(x2 - x1, -1, _P)) % _P
    x3 = (slope * slope - x1 - x2) % _P
    return x3, (slope * (x1 - x3) - y1) % _P


def compressed(at: tuple[int, int]) -> bytes:
    """The 33 bytes of a point."""
    return bytes([2 + at[1] % 2]) + at[0].to_bytes(32)


@dataclass(frozen=True, slots=True)
class Node:
    """A public key that others derive from."""

    key: bytes
    chain_code: bytes

    def child(self, index: int) -> Node:
        """Its child. Raises DecodeError for a hardened one, which only the private key gives."""
        if index >= HARDENED:
            raise DecodeError("a hardened child does not follow from a public key")
        both = hmac.digest(self.chain_code, self.key + index.to_bytes(4), "sha512")
        return Node(compressed(plus_base(point(self.key), int.from_bytes(both[:32]))), both[32:])


def address(key: bytes, form: str, network: Network) -> str:
    """The address of a public key. Raises DecodeError where the key is no point."""
    match form:
        case "p2pkh":
            return base58.encode(bytes([network.p2pkh_prefix]) + hash160(key))
        case "p2sh-p2wpkh":
            return base58.encode(bytes([network.p2sh_prefix]) + hash160(p2wpkh(hash160(key))))
        case "p2wpkh":
            return bech32.encode_witness(network.hrp, 0, hash160(key))
        case _:
            return bech32.encode_witness(network.hrp, 1, _taproot(key))


def network_named(is_main: bool) -> Network:
    """Whose addresses an extended key gives: the mainnet's, or those of testnet3, testnet4 and signet alike."""
    return NETWORKS["mainnet" if is_main else "testnet3"]


def _taproot(key: bytes) -> bytes:
    """The output key without scripts: BIP341's tweak of the even point."""
    x = key[-32:]
    tag = hashlib.sha256(b"TapTweak").digest()
    tweak = hashlib.sha256(tag + tag + x).digest()
    return plus_base(point(b"\x02" + x), int.from_bytes(tweak))[0].to_bytes(32)
