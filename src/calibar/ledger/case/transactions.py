"""One transaction read from its bytes, strictly: whatever a server sends, its id is what these bytes hash to."""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass
from typing import Final, NamedTuple

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources.told import Outpoint
from calibar.chains.bitcoin.transaction import NO_VOUT, sha256d
from calibar.errors import DecodeError

NODE: Final = 64
"""Bytes of an inner node of a merkle tree: a transaction of that size could be one (CVE-2017-12842)."""
_LARGEST: Final = 4_000_000
_NOTHING: Final = bytes(32)


class Output(NamedTuple):
    """A coin: satoshi, and the script that guards it."""

    value: int
    script: bytes

    @property
    def script_hash(self) -> bytes:
        """SHA-256 of the script."""
        return hashlib.sha256(self.script).digest()


@dataclass(frozen=True, slots=True)
class Transaction:
    """What a case needs of a transaction."""

    data: bytes
    txid: bytes
    inputs: tuple[Outpoint, ...]
    """Coins that it spends; none for a coinbase."""
    outputs: tuple[Output, ...]
    stripped: int
    """Bytes without witnesses."""

    @property
    def name(self) -> str:
        """Its id as displayed."""
        return self.txid[::-1].hex()


class _Cursor:
    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        end = self.at + size
        if end > len(self.data):
            raise DecodeError("a transaction is cut off")
        part, self.at = self.data[self.at : end], end
        return part

    def count(self, smallest: int) -> int:
        """A length of what takes at least `smallest` bytes each."""
        first = self.take(1)[0]
        number = first if first < 0xFD else int.from_bytes(self.take(1 << first - 0xFC), "little")
        if number * smallest > len(self.data) - self.at:
            raise DecodeError("a transaction claims more than its bytes can hold")
        return number


def read_transaction(data: bytes, network: Network) -> Transaction:
    """Raises DecodeError for bytes that are no transaction."""
    if len(data) > _LARGEST:
        raise DecodeError(f"{len(data)} bytes are more than any transaction has")
    cursor = _Cursor(data)
    cursor.take(4)
    marked = data[4:6] == b"\0\1"
    if marked:
        cursor.take(2)
    body = cursor.at
    inputs = []
    for _ in range(cursor.count(41)):
        txid, output = struct.unpack("<32sI", cursor.take(36))
        cursor.take(cursor.count(1))
        cursor.take(4)
        inputs.append(Outpoint(txid, output))
    outputs = []
    for _ in range(cursor.count(9)):
        (value,) = struct.unpack("<q", cursor.take(8))
        outputs.append(Output(value, cursor.take(cursor.count(1))))
    end = cursor.at
    if marked:
        for _ in inputs:
            for _ in range(cursor.count(1)):
                cursor.take(cursor.count(1))
    locktime = cursor.take(4)
    if cursor.at != len(data):
        raise DecodeError("a transaction has bytes after its end")
    if not inputs or not outputs:
        raise DecodeError("a transaction has no inputs or no outputs")
    total = sum(output.value for output in outputs)
    if min(output.value for output in outputs) < 0 or total > network.max_money:
        raise DecodeError("a transaction pays out more than can exist")
    coinbase = len(inputs) == 1 and inputs[0] == Outpoint(_NOTHING, NO_VOUT)
    if not coinbase and any(coin == Outpoint(_NOTHING, NO_VOUT) for coin in inputs):
        raise DecodeError("a transaction has a coinbase input beside others")
    stripped = data[:4] + data[body:end] + locktime
    return Transaction(data, sha256d(stripped), () if coinbase else tuple(inputs), tuple(outputs), len(stripped))
