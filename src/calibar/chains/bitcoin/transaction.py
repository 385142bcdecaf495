"""Bitcoin transactions, blocks and block-file records, written: what the sandbox, tests and benchmarks make.

Amounts are in satoshi; txids and hashes are reversed hex. Layouts: Bitcoin Core `primitives/transaction.h`,
`primitives/block.h`, `node/blockstorage.cpp`; BIP34 (height), BIP141 (witness), BIP144 (witness serialisation).
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Final

from calibar.chains.bitcoin.networks import Network

NO_TXID: Final = "00" * 32
NO_VOUT: Final = 0xFFFFFFFF
FINAL: Final = 0xFFFFFFFF
BLOCK_FILE_CHUNK: Final = 0x1000000
"""Bytes by which Bitcoin Core pre-allocates a block file (BLOCKFILE_CHUNK_SIZE)."""


def sha256d(data: bytes) -> bytes:
    """SHA-256 twice."""
    return sha256(sha256(data).digest()).digest()


def compact_size(number: int) -> bytes:
    """A length as the wire has it: 1, 3, 5 or 9 bytes (Core, `serialize.h`)."""
    if number < 0xFD:
        return bytes([number])
    if number <= 0xFFFF:
        return b"\xfd" + struct.pack("<H", number)
    if number <= 0xFFFFFFFF:
        return b"\xfe" + struct.pack("<I", number)
    return b"\xff" + struct.pack("<Q", number)


def sized(data: bytes) -> bytes:
    """`data` after its length."""
    return compact_size(len(data)) + data


def push(data: bytes) -> bytes:
    """The shortest script push of `data`, at most 520 bytes; numbers 1-16 as data, not as OP_1-OP_16."""
    if len(data) < 0x4C:
        return bytes([len(data)]) + data
    if len(data) <= 0xFF:
        return b"\x4c" + bytes([len(data)]) + data
    return b"\x4d" + struct.pack("<H", len(data)) + data


@dataclass(frozen=True)
class TxIn:
    """An input: which coin it spends and what unlocks it."""

    txid: str
    vout: int
    script_sig: bytes = b""
    sequence: int = FINAL
    witness: tuple[bytes, ...] = ()

    @property
    def coin(self) -> str:
        """The coin spent, `txid:vout`."""
        return f"{self.txid}:{self.vout}"

    @property
    def outpoint(self) -> bytes:
        """The 36 bytes that name the coin on the wire."""
        return bytes.fromhex(self.txid)[::-1] + struct.pack("<I", self.vout)

    def serialise(self) -> bytes:
        """The input without its witness."""
        return self.outpoint + sized(self.script_sig) + struct.pack("<I", self.sequence)


@dataclass(frozen=True)
class TxOut:
    """An output: an amount in satoshi and the script that guards it."""

    value: int
    script: bytes

    def serialise(self) -> bytes:
        """The output as on the wire; any 64-bit value is written, sensible or not."""
        return struct.pack("<q", self.value) + sized(self.script)


@dataclass(frozen=True)
class Transaction:
    """A transaction that can say its bytes and its names."""

    version: int
    inputs: tuple[TxIn, ...]
    outputs: tuple[TxOut, ...]
    locktime: int = 0

    def serialise(self, *, witness: bool = True) -> bytes:
        """The bytes; with `witness` in the BIP144 form where any input has one."""
        marked = witness and any(txin.witness for txin in self.inputs)
        parts = [struct.pack("<i", self.version), b"\x00\x01" if marked else b"", compact_size(len(self.inputs))]
        parts += [txin.serialise() for txin in self.inputs]
        parts += [compact_size(len(self.outputs)), *(txout.serialise() for txout in self.outputs)]
        if marked:
            for txin in self.inputs:
                parts += [compact_size(len(txin.witness)), *map(sized, txin.witness)]
        return b"".join((*parts, struct.pack("<I", self.locktime)))

    @cached_property
    def txid(self) -> str:
        """Hash of the bytes without witness."""
        return sha256d(self.serialise(witness=False))[::-1].hex()

    @cached_property
    def wtxid(self) -> str:
        """Hash of the bytes with witness (BIP141)."""
        return sha256d(self.serialise())[::-1].hex()

    @cached_property
    def weight(self) -> int:
        """Three times the bytes without witness and once those with it (BIP141)."""
        return 3 * len(self.serialise(witness=False)) + len(self.serialise())

    @property
    def vsize(self) -> int:
        """A quarter of the weight, rounded up; what fee rates are per."""
        return -(-self.weight // 4)

    @property
    def is_coinbase(self) -> bool:
        """Whether it makes new coins: one input that spends nothing."""
        return len(self.inputs) == 1 and self.inputs[0].coin == f"{NO_TXID}:{NO_VOUT}"


@dataclass(frozen=True)
class Header:
    """The 80 bytes that chain blocks."""

    version: int
    previous: str
    merkle_root: str
    time: int
    bits: int
    nonce: int = 0

    def serialise(self) -> bytes:
        """The 80 bytes."""
        links = bytes.fromhex(self.previous)[::-1] + bytes.fromhex(self.merkle_root)[::-1]
        return struct.pack("<i", self.version) + links + struct.pack("<III", self.time, self.bits, self.nonce)

    @cached_property
    def hash(self) -> str:
        """The block's hash."""
        return sha256d(self.serialise())[::-1].hex()


@dataclass(frozen=True)
class Block:
    """A header and its transactions, the coinbase first."""

    header: Header
    transactions: tuple[Transaction, ...]

    @property
    def hash(self) -> str:
        """The block's hash."""
        return self.header.hash

    def serialise(self) -> bytes:
        """The block as a node stores and sends it, witnesses included."""
        transactions = (transaction.serialise() for transaction in self.transactions)
        return self.header.serialise() + compact_size(len(self.transactions)) + b"".join(transactions)


def merkle_root(hashes: Sequence[str]) -> str:
    """Root over txids (or wtxids) in block order; an odd row repeats its last (Core, `consensus/merkle.cpp`)."""
    row = [bytes.fromhex(text)[::-1] for text in hashes]
    while len(row) > 1:
        if len(row) % 2:
            row.append(row[-1])
        row = [sha256d(left + right) for left, right in zip(row[::2], row[1::2], strict=True)]
    return row[0][::-1].hex()


def witness_commitment(transactions: Iterable[Transaction], reserved: bytes = bytes(32)) -> bytes:
    """The coinbase script that commits to the witnesses of the block's other `transactions` (BIP141)."""
    root = merkle_root([NO_TXID, *(transaction.wtxid for transaction in transactions)])
    return bytes.fromhex("6a24aa21a9ed") + sha256d(bytes.fromhex(root)[::-1] + reserved)


def height_push(height: int) -> bytes:
    """How a coinbase script begins from BIP34 on: the height as Core's `CScript() << height` writes it."""
    if height <= 16:
        return bytes([0x50 + height]) if height else b"\x00"
    return push(height.to_bytes(height.bit_length() // 8 + 1, "little"))


def coinbase(
    height: int, outputs: Sequence[TxOut], *, tag: bytes = b"", commits_to: Sequence[Transaction] | None = None
) -> Transaction:
    """The transaction that pays a block's miner: BIP34 height, `tag` (at most 75 bytes), BIP141 commitment if asked.

    A coinbase script has 2 bytes at least; heights 1-16 take one, so without a tag it is padded with OP_0 as Core does.
    """
    script_sig = height_push(height) + (push(tag) if tag else b"")
    txin = TxIn(NO_TXID, NO_VOUT, script_sig.ljust(2, b"\x00"))
    if commits_to is not None:
        txin = replace(txin, witness=(bytes(32),))
        outputs = [*outputs, TxOut(0, witness_commitment(commits_to))]
    return Transaction(2, (txin,), tuple(outputs))


def compact_target(target: int) -> int:
    """A target as a header's `bits` (Core, `arith_uint256::GetCompact`)."""
    size = -(-target.bit_length() // 8)
    mantissa = target >> 8 * (size - 3) if size > 3 else target << 8 * (3 - size)
    return (size + 1) << 24 | mantissa >> 8 if mantissa & 0x800000 else size << 24 | mantissa


def mined(header: Header, target: int) -> Header:
    """`header` with the first nonce from 0 that meets `target`; quick at regtest's difficulty only."""
    start = header.serialise()[:76]
    nonce = 0
    while int.from_bytes(sha256d(start + struct.pack("<I", nonce)), "little") > target:
        nonce += 1
    return replace(header, nonce=nonce)


def assemble(
    network: Network,
    height: int,
    previous: str,
    time: int,
    rewards: Sequence[TxOut],
    *,
    transactions: Sequence[Transaction] = (),
    tag: bytes = b"",
) -> Block:
    """A mined block on `previous` with a coinbase that pays `rewards`, at the network's easiest difficulty."""
    commits_to = transactions if height >= network.segwit_height else None
    everything = (coinbase(height, rewards, tag=tag, commits_to=commits_to), *transactions)
    root = merkle_root([transaction.txid for transaction in everything])
    header = Header(0x20000000, previous, root, time, compact_target(network.pow_limit))
    return Block(mined(header, network.pow_limit), everything)


def record(network: Network, block: Block | bytes) -> bytes:
    """A block as a block file holds it: magic, size, block."""
    raw = block if isinstance(block, bytes) else block.serialise()
    return network.magic + struct.pack("<I", len(raw)) + raw


def obfuscate(data: bytes, key: bytes, offset: int = 0) -> bytes:
    """`data` XOR the repeated `key`, beginning at `offset` of the file; its own inverse. No key changes nothing."""
    if not key:
        return data
    start = offset % len(key)
    stream = (key[start:] + key * (len(data) // len(key) + 1))[: len(data)]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stream, "little")).to_bytes(len(data), "little")


def write_block_files(
    directory: Path,
    network: Network,
    files: Sequence[Iterable[Block | bytes]],
    *,
    key: bytes = b"",
    chunk: int = BLOCK_FILE_CHUNK,
) -> list[Path]:
    """Write a `blocks` folder as Bitcoin Core leaves it: `blk00000.dat` and on, and `xor.dat` where there is a key.

    A file that is done is cut to its length; the last is pre-allocated to a multiple of `chunk` bytes (0: cut it too).
    The pre-allocated tail is raw zeros that were never obfuscated, so reading it through the key gives the key.
    """
    directory.mkdir(parents=True, exist_ok=True)
    if key:
        (directory / "xor.dat").write_bytes(key)
    paths = []
    for number, blocks in enumerate(files):
        path = directory / f"blk{number:05}.dat"
        data = obfuscate(b"".join(record(network, block) for block in blocks), key)
        with path.open("wb") as stream:
            stream.write(data)
            if chunk and number == len(files) - 1:
                stream.truncate(-(-len(data) // chunk) * chunk)
        paths.append(path)
    return paths
