"""What a client of an Ethereum node must be able to write: RLP, signed transactions, calls of contracts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, derive_private_key

from calibar.chains.ethereum.keccak import keccak256
from calibar.sandbox.keys import ORDER, Key

Rlp = bytes | Sequence["Rlp"]
Arg = int | str | bytes | Sequence[str]

LEGACY, WITH_ACCESS_LIST, FEE_MARKET = range(3)
"""Types of transaction: EIP-155, EIP-2930, EIP-1559."""
MAX: Final = 2**256 - 1


def rlp(item: Rlp) -> bytes:
    """Recursive length prefix (Yellow Paper, appendix B)."""
    if isinstance(item, bytes):
        return item if len(item) == 1 and item[0] < 0x80 else _prefixed(0x80, item)
    return _prefixed(0xC0, b"".join(rlp(each) for each in item))


def _prefixed(base: int, data: bytes) -> bytes:
    if len(data) < 56:
        return bytes([base + len(data)]) + data
    length = number(len(data))
    return bytes([base + 55 + len(length)]) + length + data


def number(value: int) -> bytes:
    """Big-endian without leading zeros; zero is empty."""
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def raw(address: str | None) -> bytes:
    """The bytes of an address; none for None."""
    return bytes.fromhex((address or "0x")[2:])


def created(sender: str, nonce: int) -> str:
    """Address of the contract that a sender's transaction makes."""
    return "0x" + keccak256(rlp([raw(sender), number(nonce)]))[12:].hex()


def call_data(signature: str, *args: Arg) -> bytes:
    """Selector and arguments of `name(type,…)`."""
    types = signature[signature.index("(") + 1 : -1]
    return keccak256(signature.encode())[:4] + encode(types.split(",") if types else [], args)


def encode(types: Sequence[str], args: Sequence[Arg]) -> bytes:
    """Arguments as the contract ABI lays them out: uint256, address, bytes32, bytes, string, address[]."""
    head, tail = [], b""
    for kind, arg in zip(types, args, strict=True):
        if kind in ("bytes", "string", "address[]"):
            head.append((32 * len(types) + len(tail)).to_bytes(32, "big"))
            tail += _dynamic(arg)
        elif isinstance(arg, int):
            head.append(arg.to_bytes(32, "big"))
        elif isinstance(arg, str):
            head.append(raw(arg).rjust(32, b"\0"))
        else:
            head.append(_bytes(arg).ljust(32, b"\0"))
    return b"".join(head) + tail


def _bytes(arg: Arg) -> bytes:
    assert isinstance(arg, bytes)
    return arg


def _dynamic(arg: Arg) -> bytes:
    assert not isinstance(arg, int)
    if isinstance(arg, bytes | str):
        data = arg.encode() if isinstance(arg, str) else arg
        return len(data).to_bytes(32, "big") + data + bytes(-len(data) % 32)
    return len(arg).to_bytes(32, "big") + b"".join(raw(each).rjust(32, b"\0") for each in arg)


@dataclass(frozen=True)
class Unsigned:
    """A transaction before its signature; prices in wei a gas."""

    chain: int
    nonce: int
    to: str | None
    value: int
    data: bytes
    gas: int
    price: int
    tip: int
    kind: int = FEE_MARKET

    def _fields(self) -> list[Rlp]:
        what: list[Rlp] = [number(self.gas), raw(self.to), number(self.value), self.data]
        if self.kind == LEGACY:
            return [number(self.nonce), number(self.price), *what]
        prices = [self.tip, self.price] if self.kind == FEE_MARKET else [self.price]
        return [number(self.chain), number(self.nonce), *map(number, prices), *what, []]

    def signed(self, key: Key) -> bytes:
        """The transaction as it is sent to a node."""
        if self.kind == LEGACY:
            parity, r, s = sign(key, keccak256(rlp([*self._fields(), number(self.chain), b"", b""])))
            return rlp([*self._fields(), number(self.chain * 2 + 35 + parity), number(r), number(s)])
        envelope = bytes([self.kind])
        signature = sign(key, keccak256(envelope + rlp(self._fields())))
        return envelope + rlp([*self._fields(), *map(number, signature)])


def sign(key: Key, digest: bytes) -> tuple[int, int, int]:
    """Parity, r and s with low s; the same key and digest give the same signature."""
    nonce = 1 + int.from_bytes(sha256(key.secret.to_bytes(32, "big") + digest).digest(), "big") % (ORDER - 1)
    point = derive_private_key(nonce, SECP256K1()).public_key().public_numbers()
    r = point.x % ORDER
    s = pow(nonce, -1, ORDER) * (int.from_bytes(digest, "big") + r * key.secret) % ORDER
    parity = point.y & 1
    return (parity ^ 1, r, ORDER - s) if s > ORDER // 2 else (parity, r, s)
