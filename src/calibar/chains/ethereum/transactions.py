"""Transactions from JSON: their canonical encoding, checked against their hash, and who signed them.

Known are Ethereum's own types: legacy (with and without EIP-155), access lists (EIP-2930), fee market (EIP-1559),
blobs (EIP-4844), set code (EIP-7702). Others, and what bears no signature (system transactions), are as the node says.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from calibar.chains.ethereum import rlp
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.signature import recover
from calibar.errors import ChainError, DecodeError

LEGACY, ACCESS_LIST, FEE_MARKET, BLOB, SET_CODE = range(5)
OP_DEPOSIT: Final = 0x7E
BLOB_GAS: Final = 131_072
"""Gas of one blob (EIP-4844)."""


@dataclass(frozen=True, slots=True)
class Transaction:
    """One transaction; amounts in wei."""

    hash: bytes
    kind: int
    sender: bytes
    to: bytes | None
    """None where a contract is created."""
    nonce: int
    value: int
    gas: int
    most: int | None
    """Highest price of gas that it may be charged; None where the node does not say."""
    tip: int | None
    """Highest price over the base fee; None where there is no such limit."""
    input: bytes
    blobs: int
    blob_price: int
    """Highest price of blob gas."""
    minted: int
    """What a deposit from another layer brings to the sender."""
    raw: bytes
    """Canonical encoding that hashes to its hash; empty where its form is not known."""

    @property
    def created(self) -> bytes:
        """Address of the contract that it creates (Yellow Paper, section 7)."""
        return keccak256(rlp.encode([self.sender, self.nonce]))[12:]

    def price(self, base: int | None) -> int | None:
        """Price of gas by Ethereum's rules, in a block with this base fee."""
        if base is None or self.tip is None or self.most is None:
            return self.most
        return min(self.most, base + self.tip)


def read(fields: Fields) -> Transaction:
    """A transaction; DecodeError where malformed, ChainError where hash or sender are not those of what was signed."""
    kind = fields.optional("type", 64) or LEGACY
    sender, hash_ = fields.address("from"), fields.octets("hash", 32)
    raw = b""
    if kind <= SET_CODE and all(fields.has(name) for name in ("r", "s")) and fields.integer("r"):
        raw = _check(fields, kind, sender, hash_)
    fee_market = kind in (FEE_MARKET, BLOB, SET_CODE)
    most = fields.optional("maxFeePerGas" if fee_market else "gasPrice")
    return Transaction(
        hash=hash_,
        kind=kind,
        sender=sender,
        to=fields.address("to") if fields.has("to") else None,
        nonce=fields.integer("nonce", 64) if fields.has("nonce") else 0,
        value=fields.integer("value") if fields.has("value") else 0,
        gas=fields.integer("gas"),
        most=most,
        tip=fields.integer("maxPriorityFeePerGas") if fee_market else None,
        input=fields.octets("input"),
        blobs=len(fields.items("blobVersionedHashes")) if kind == BLOB else 0,
        blob_price=fields.integer("maxFeePerBlobGas") if kind == BLOB else 0,
        minted=(fields.optional("mint") or 0) if kind == OP_DEPOSIT else 0,
        raw=raw,
    )


def _check(fields: Fields, kind: int, sender: bytes, hash_: bytes) -> bytes:
    signed, tail, parity = _parts(fields, kind)
    prefix = bytes([kind]) if kind else b""
    body = [rlp.encode(item) for item in signed]
    kept = body[:6] if kind == LEGACY else body  # EIP-155 signs the chain's id, which v tells
    raw = prefix + rlp.join([*kept, *(rlp.encode(item) for item in tail)])
    if keccak256(raw) != hash_:
        raise ChainError(f"{fields.where}: hash: what was signed does not hash to it; ask another node")
    try:
        signer = recover(keccak256(prefix + rlp.join(body)), fields.integer("r"), fields.integer("s"), parity)
    except DecodeError as error:
        raise ChainError(f"{fields.where}: {error}") from None
    if signer != sender:
        raise ChainError(f"{fields.where}: from: 0x{sender.hex()} did not sign it, 0x{signer.hex()} did")
    return raw


def _parts(fields: Fields, kind: int) -> tuple[list[rlp.Item], list[int], int]:
    """What is signed; v (or the parity), r and s; the parity."""
    r, s = fields.integer("r"), fields.integer("s")
    nonce, gas, value = fields.integer("nonce", 64), fields.integer("gas", 64), fields.integer("value")
    to = fields.address("to") if fields.has("to") else b""
    data = fields.octets("input")
    if kind == LEGACY:
        signed: list[rlp.Item] = [nonce, fields.integer("gasPrice"), gas, to, value, data]
        v = fields.integer("v")
        if v in (27, 28):
            return signed, [v, r, s], v - 27
        if v < 35:
            raise DecodeError(f"{fields.where}: v: {v} is not of a signature")
        return [*signed, (v - 35) // 2, 0, 0], [v, r, s], (v - 35) & 1
    parity = fields.integer("yParity" if fields.has("yParity") else "v")
    chain = fields.integer("chainId")
    fees: list[rlp.Item] = [fields.integer("gasPrice")]
    if kind != ACCESS_LIST:
        fees = [fields.integer("maxPriorityFeePerGas"), fields.integer("maxFeePerGas")]
    signed = [chain, nonce, *fees, gas, to, value, data, _access(fields)]
    if kind == BLOB:
        hashes = [
            Fields({"hash": item}, fields.where).octets("hash", 32) for item in fields.items("blobVersionedHashes")
        ]
        signed += [fields.integer("maxFeePerBlobGas"), hashes]
    elif kind == SET_CODE:
        signed.append(
            [
                [
                    granted.integer("chainId"), granted.address("address"), granted.integer("nonce", 64),
                    granted.integer("yParity", 8), granted.integer("r"), granted.integer("s"),
                ]
                for granted in fields.objects("authorizationList", "authorization")
            ]
        )  # fmt: skip
    return signed, [parity, r, s], parity


def _access(fields: Fields) -> list[rlp.Item]:
    return [
        [
            entry.address("address"),
            [Fields({"key": key}, entry.where).octets("key", 32) for key in entry.items("storageKeys")],
        ]
        for entry in (fields.objects("accessList", "access") if fields.has("accessList") else [])
    ]
