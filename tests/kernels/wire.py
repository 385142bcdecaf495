"""A plain reader of serialised blocks, one field after the other: the second opinion on the decoding kernel.

It refuses what Bitcoin Core refuses to deserialise, and what a block must not be whatever came before it.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import replace

from calibar.chains.bitcoin.transaction import (
    NO_TXID,
    Block,
    Header,
    Transaction,
    TxIn,
    TxOut,
    merkle_root,
    sha256d,
)

NULL = bytes(32) + b"\xff" * 4
COMMITMENT = bytes.fromhex("6a24aa21a9ed")


class MalformedError(Exception):
    """The bytes are no block."""


class Cursor:
    """Bytes read from the front."""

    def __init__(self, data: bytes) -> None:
        self.data, self.at = data, 0

    def take(self, size: int) -> bytes:
        if size > len(self.data) - self.at:
            raise MalformedError(f"ends in the middle at {self.at}")
        self.at += size
        return self.data[self.at - size : self.at]

    def number(self, form: str) -> int:
        (value,) = struct.unpack(form, self.take(struct.calcsize(form)))
        return int(value)

    def size(self) -> int:
        """CompactSize, in its shortest form only (Core, `ReadCompactSize`)."""
        first = self.take(1)[0]
        if first < 0xFD:
            return first
        form, least = {0xFD: ("<H", 0xFD), 0xFE: ("<I", 0x10000), 0xFF: ("<Q", 0x1_0000_0000)}[first]
        value = self.number(form)
        if value < least:
            raise MalformedError(f"a length in a long form at {self.at}")
        return value

    def sized(self) -> bytes:
        return self.take(self.size())


def transaction(cursor: Cursor) -> Transaction:
    version = cursor.number("<i")
    marked = cursor.data[cursor.at : cursor.at + 1] == b"\0"
    if marked and cursor.take(2) != b"\0\1":
        raise MalformedError("no inputs, or an unknown witness flag")
    inputs = [_input(cursor) for _ in _counted(cursor, "inputs")]
    outputs = [TxOut(cursor.number("<q"), cursor.sized()) for _ in _counted(cursor, "outputs")]
    if marked:
        stacks = [tuple(cursor.sized() for _ in range(cursor.size())) for _ in inputs]
        if not any(stacks):
            raise MalformedError("marked, but without witness")
        inputs = [replace(txin, witness=stack) for txin, stack in zip(inputs, stacks, strict=True)]
    return Transaction(version, tuple(inputs), tuple(outputs), cursor.number("<I"))


def _counted(cursor: Cursor, what: str) -> range:
    count = cursor.size()
    if count == 0:
        raise MalformedError(f"no {what}")
    return range(count)


def _input(cursor: Cursor) -> TxIn:
    txid, vout = cursor.take(32)[::-1].hex(), cursor.number("<I")
    return TxIn(txid, vout, cursor.sized(), cursor.number("<I"))


def header(raw: bytes) -> Header:
    """The first 80 bytes."""
    version, previous, root, time, bits, nonce = struct.unpack("<i32s32sIII", raw[:80])
    return Header(version, previous[::-1].hex(), root[::-1].hex(), time, bits, nonce)


def parse(raw: bytes) -> Block:
    """The block that all of `raw` is; says nothing yet about what its header seals."""
    cursor = Cursor(raw)
    sealed = header(cursor.take(80))
    transactions = tuple(transaction(cursor) for _ in _counted(cursor, "transactions"))
    if cursor.at != len(raw):
        raise MalformedError("bytes after the last transaction")
    return Block(sealed, transactions)


def judge(raw: bytes, max_money: int) -> Block:
    """The block in `raw`, where nothing is wrong with it by itself."""
    block = parse(raw)
    first, *others = block.transactions
    if [txin.outpoint for txin in first.inputs] != [NULL]:
        raise MalformedError("no coinbase first")
    if any(txin.outpoint == NULL for tx in others for txin in tx.inputs):
        raise MalformedError("another coinbase")
    for tx in block.transactions:
        values = [output.value for output in tx.outputs]
        if min(values) < 0 or sum(values) > max_money:
            raise MalformedError("value out of range")
    txids = [tx.txid for tx in block.transactions]
    if merkle_root(txids) != block.header.merkle_root:
        raise MalformedError("merkle root")
    if pairs_repeat(txids):
        raise MalformedError("the same transactions twice")
    if any(txin.witness for tx in block.transactions for txin in tx.inputs):
        _check_witnesses(block)
    return block


def pairs_repeat(row: Sequence[str]) -> bool:
    """Whether two neighbours that are hashed together are equal, in any row of the tree (CVE-2012-2459)."""
    hashes = [bytes.fromhex(text)[::-1] for text in row]
    while len(hashes) > 1:
        if any(hashes[i] == hashes[i + 1] for i in range(0, len(hashes) - 1, 2)):
            return True
        hashes += hashes[-1:] if len(hashes) % 2 else []
        hashes = [sha256d(hashes[i] + hashes[i + 1]) for i in range(0, len(hashes), 2)]
    return False


def commitment(block: Block) -> bytes | None:
    """What the coinbase's last committing output says (BIP141)."""
    scripts = [output.script for output in block.transactions[0].outputs]
    return next((s[6:38] for s in reversed(scripts) if len(s) >= 38 and s[:6] == COMMITMENT), None)


def committed(block: Block, reserved: bytes) -> bytes:
    """What the block's witnesses should be committed to as."""
    root = merkle_root([NO_TXID, *(tx.wtxid for tx in block.transactions[1:])])
    return sha256d(bytes.fromhex(root)[::-1] + reserved)


def _check_witnesses(block: Block) -> None:
    reserved = block.transactions[0].inputs[0].witness
    if [len(item) for item in reserved] != [32]:
        raise MalformedError("no reserved value")
    if commitment(block) != committed(block, reserved[0]):
        raise MalformedError("witness commitment")
