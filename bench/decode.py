"""Decoding: real blocks to columns with transaction ids, beside the machine's SHA-256 and PyPI's blockchain-parser."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from itertools import accumulate
from pathlib import Path
from typing import Any, Final

import numpy as np
from blockchain_parser.block import Block
from numpy.typing import NDArray

from bench.figures import BENCH, Figure, interleaved, median, median_ratio
from calibar.chains.bitcoin.blockfile import open_source
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.kernels import blocks as kernels
from calibar.kernels.blocks import Decoded

DATA: Final = Path(os.environ.get("CALIBAR_TEST_DATA", BENCH.parent.parent / "shared" / "data"))
BLOCK_FILES: Final = ("block2019Jan.blk", "scriptwitness2.blk")
BYTES: Final = 200_000_000
ROUNDS: Final = 5
SMALL: Final = 600
"""Bytes: the mean transaction of ordinary mainnet blocks is smaller. Small ones cost more hashing a byte."""
MAX_MONEY: Final = NETWORKS["mainnet"].max_money


@dataclass(frozen=True)
class Buffer:
    """Blocks one after the other, and columns with room for them."""

    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    ends: NDArray[np.int64]
    columns: Decoded

    def decode(self, *, check_witness: bool = False) -> tuple[int, ...]:
        """Run the kernel: status, block, position, transactions, inputs, coins."""
        return kernels.decode(self.data, self.starts, self.ends, MAX_MONEY, check_witness, True, self.columns)


def buffer(blocks: list[bytes], size: int) -> Buffer:
    """The blocks, repeated until there are `size` bytes."""
    times = -(-size // sum(map(len, blocks)))
    ends = np.array(list(accumulate(map(len, blocks * times))), np.int64)
    starts = np.concatenate([[0], ends[:-1]])
    data = np.frombuffer(b"".join(blocks) * times, np.uint8).copy()
    return Buffer(data, starts, ends, kernels.allocate(ends.size, data.size))


def real_blocks(folder: Path) -> dict[str, bytes]:
    """The large blocks of many eras, by name; where several lie in a file, numbered."""
    blocks = {path.name: path.read_bytes() for path in sorted(folder.glob("*.raw")) if ".undo." not in path.name}
    for name in BLOCK_FILES:
        with open_source([folder / name]) as source:
            for number, found in enumerate(source.blocks):
                out = np.empty(found.size, np.uint8)
                source.copy(found, out)
                blocks[f"{name} #{number}"] = out.tobytes()
    return blocks


def _sound(blocks: dict[str, bytes]) -> list[bytes]:
    """The blocks that decode, witness commitments included; says of each what it is."""
    print("  bytes        transactions  mean tx  SegWit txs")
    sound = []
    transactions = segwit = 0
    for name, block in blocks.items():
        one = buffer([block], 1)
        status, _, at, count, _, _ = one.decode(check_witness=True)
        if status != kernels.OK:
            print(f"  {len(block):<11,}  refused at byte {at} (status {status}): {name}")
            continue
        marked = sum(int(one.data[position + 4] == 0) for position in one.columns.tx_at[:count].tolist())
        print(f"  {len(block):<11,}  {count:>12,}  {len(block) / count:>7,.0f}  {marked / count:>10.0%}  {name}")
        transactions, segwit = transactions + count, segwit + marked
        sound.append(block)
    total = sum(map(len, sound))
    print(f"  {total:<11,}  {transactions:>12,}  {total / transactions:>7,.0f}  {segwit / transactions:>10.0%}  all")
    if any("413567" in name for name in blocks):
        print("  (mainnet-413567.raw has lost one byte, it has 999,886 of 999,887: it must be refused)")
    return sound


def _peer(blocks: list[bytes]) -> list[str]:
    """The same work by blockchain-parser: ids, inputs and outputs of every transaction."""
    names = []
    for raw in blocks:
        for transaction in Block.from_hex(raw).transactions:
            names.append(transaction.txid)
            for txin in transaction.inputs:
                _: Any = (txin.transaction_hash, txin.transaction_index, txin.script.hex, txin.sequence_number)
            for txout in transaction.outputs:
                _ = (txout.value, txout.script.hex)
    return names


def _agrees(blocks: list[bytes], names: list[str]) -> None:
    one = buffer(blocks, 1)
    _, _, _, count, _, _ = one.decode()
    ours = [row.tobytes()[::-1].hex() for row in one.columns.txid[:count]]
    assert ours == names, "blockchain-parser finds other transaction ids"


def run() -> list[Figure]:
    """Figures of the decode kernel; none where there is no real data."""
    folder = DATA / "bitcoin" / "blocks"
    if not folder.is_dir():
        print(f"  left out: no real blocks in {folder}; name their folder in CALIBAR_TEST_DATA")
        return []
    blocks = _sound(real_blocks(folder))
    small = [block for block in blocks if len(block) < SMALL * kernels.read_varint(_bytes(block), 80, len(block))[0]]
    print(f"  Repeated to {BYTES // 10**6} MB. Small: the {len(small)} with a mean transaction below {SMALL} bytes.")
    return _measure(blocks, "") + _measure(small, ", small")[2:5]


def _bytes(block: bytes) -> NDArray[np.uint8]:
    return np.frombuffer(block, np.uint8)


def _measure(blocks: list[bytes], which: str) -> list[Figure]:
    _agrees(blocks, _peer(blocks))
    whole = buffer(blocks, BYTES)
    halves = [buffer(blocks, BYTES // 2) for _ in range(2)]

    def checked(check_witness: bool) -> None:
        assert whole.decode(check_witness=check_witness)[0] == kernels.OK

    def on_two_threads() -> None:
        assert all(status[0] == kernels.OK for status in pool.map(Buffer.decode, halves))

    with ThreadPoolExecutor(2) as pool:
        actions: list[Callable[[], object]] = [
            partial(sha256, whole.data.data),
            partial(checked, False),
            partial(checked, True),
            on_two_threads,
            partial(_peer, blocks),
        ]
        interleaved(1, *actions[:-1])
        rows = interleaved(ROUNDS, *actions)
    sizes = [whole.data.size] * 3 + [2 * halves[0].data.size, sum(map(len, blocks))]
    bulk, plain, witness, two, peer = (
        [size / taken / 1e6 for taken in row] for row, size in zip(rows, sizes, strict=True)
    )
    return [
        Figure("hashlib.sha256 in bulk", median(bulk), "MB/s"),
        Figure("blockchain-parser", median(peer), "MB/s"),
        Figure(f"decode{which}", median(plain), "MB/s"),
        Figure(f"decode{which} / hashlib.sha256 in bulk", median_ratio(plain, bulk), "times", at_least=0.25),
        Figure(f"decode{which} / blockchain-parser", median_ratio(plain, peer), "times", at_least=30),
        Figure("decode with witness commitments", median(witness), "MB/s"),
        Figure("decode on two threads", median(two), "MB/s"),
        Figure("decode on two threads / one", median_ratio(two, plain), "times", at_least=1.4),
    ]
