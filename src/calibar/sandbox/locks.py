"""What guards a sandbox coin and how it is unlocked: six kinds of script, every signature real.

Digests are SIGHASH_ALL: legacy as in Bitcoin Core `script/interpreter.cpp`, SegWit version 0 as in BIP143.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import cached_property
from hashlib import sha256

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.transaction import Transaction, TxIn, TxOut, push, sha256d, sized
from calibar.sandbox.keys import LONGEST_SIGNATURE, SIGHASH_ALL, Key

Sign = Callable[[Key, bytes], bytes]


class Kind(StrEnum):
    """How a lock is built."""

    P2PK = "p2pk"
    P2PKH = "p2pkh"
    P2SH_MULTISIG = "p2sh-multisig"
    P2SH_P2WPKH = "p2sh-p2wpkh"
    P2WPKH = "p2wpkh"
    P2WSH_MULTISIG = "p2wsh-multisig"

    @property
    def keys(self) -> int:
        """Keys a lock of this kind has; of three, two must sign."""
        return 3 if self in (Kind.P2SH_MULTISIG, Kind.P2WSH_MULTISIG) else 1


@dataclass(frozen=True)
class Lock:
    """A script and the keys that open it."""

    kind: Kind
    keys: tuple[Key, ...]

    @cached_property
    def inner(self) -> bytes:
        """What the script hides until it is spent: the redeem or witness script, or nothing."""
        match self.kind:
            case Kind.P2SH_MULTISIG | Kind.P2WSH_MULTISIG:
                return script.multisig(2, [key.public for key in self.keys])
            case Kind.P2SH_P2WPKH:
                return script.p2wpkh(self._key_hash)
        return b""

    @cached_property
    def script(self) -> bytes:
        """The scriptPubKey."""
        match self.kind:
            case Kind.P2PK:
                return script.p2pk(self.keys[0].public)
            case Kind.P2PKH:
                return script.p2pkh(self._key_hash)
            case Kind.P2WPKH:
                return script.p2wpkh(self._key_hash)
            case Kind.P2WSH_MULTISIG:
                return script.p2wsh(sha256(self.inner).digest())
        return script.p2sh(script.hash160(self.inner))

    @cached_property
    def _key_hash(self) -> bytes:
        return script.hash160(self.keys[0].public)

    def out(self, value: int) -> TxOut:
        """An output of `value` satoshi under this lock."""
        return TxOut(value, self.script)

    def unlock(self, transaction: Transaction, index: int, value: int) -> TxIn:
        """Input `index`, signed, where the coin it spends has `value` satoshi and this lock."""
        return self._unlocked(transaction, index, value, Key.sign)

    def sketch(self, txin: TxIn) -> TxIn:
        """The input as large as `unlock` may make it, unsigned: for the size that a fee is paid for."""
        return self._unlocked(Transaction(2, (txin,), ()), 0, 0, lambda _key, _digest: bytes(LONGEST_SIGNATURE))

    def _unlocked(self, transaction: Transaction, index: int, value: int, sign: Sign) -> TxIn:
        txin = transaction.inputs[index]
        key = self.keys[0]
        match self.kind:
            case Kind.P2PK:
                return replace(txin, script_sig=push(sign(key, legacy_digest(transaction, index, self.script))))
            case Kind.P2PKH:
                signature = sign(key, legacy_digest(transaction, index, self.script))
                return replace(txin, script_sig=push(signature) + push(key.public))
            case Kind.P2SH_MULTISIG:
                digest = legacy_digest(transaction, index, self.inner)
                # Nothing first: OP_CHECKMULTISIG pops one element too many.
                pushes = (b"\x00", *(push(sign(each, digest)) for each in self.keys[:2]), push(self.inner))
                return replace(txin, script_sig=b"".join(pushes))
            case Kind.P2WSH_MULTISIG:
                digest = segwit_digest(transaction, index, self.inner, value)
                return replace(txin, witness=(b"", *(sign(each, digest) for each in self.keys[:2]), self.inner))
        # BIP143: the script code of a witness key hash is the P2PKH of that hash.
        digest = segwit_digest(transaction, index, script.p2pkh(self._key_hash), value)
        nested = push(self.inner) if self.kind is Kind.P2SH_P2WPKH else b""
        return replace(txin, script_sig=nested, witness=(sign(key, digest), key.public))


def legacy_digest(transaction: Transaction, index: int, script_code: bytes) -> bytes:
    """What a legacy SIGHASH_ALL signature for input `index` signs: the transaction with only its script filled in."""
    inputs = [
        replace(txin, script_sig=script_code if position == index else b"", witness=())
        for position, txin in enumerate(transaction.inputs)
    ]
    bare = replace(transaction, inputs=tuple(inputs))
    return sha256d(bare.serialise(witness=False) + struct.pack("<I", SIGHASH_ALL))


def segwit_digest(transaction: Transaction, index: int, script_code: bytes, value: int) -> bytes:
    """What a SegWit version 0 SIGHASH_ALL signature for input `index` signs (BIP143); `value` in satoshi."""
    txin = transaction.inputs[index]
    parts = (
        struct.pack("<i", transaction.version),
        sha256d(b"".join(each.outpoint for each in transaction.inputs)),
        sha256d(b"".join(struct.pack("<I", each.sequence) for each in transaction.inputs)),
        txin.outpoint,
        sized(script_code),
        struct.pack("<qI", value, txin.sequence),
        sha256d(b"".join(txout.serialise() for txout in transaction.outputs)),
        struct.pack("<II", transaction.locktime, SIGHASH_ALL),
    )
    return sha256d(b"".join(parts))
