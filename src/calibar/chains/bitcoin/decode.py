"""Decode found blocks in batches: bytes in, checked flat columns out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibar.chains.bitcoin.blockfile import HEADER, FoundBlock, Source
from calibar.errors import ChainError
from calibar.kernels import blocks as kernels
from calibar.kernels.blocks import Decoded

_REASONS = {
    kernels.TRUNCATED: "ends in the middle of a transaction",
    kernels.TRAILING_BYTES: "has bytes after its last transaction",
    kernels.NO_TRANSACTIONS: "has no transactions",
    kernels.NO_INPUTS: "has a transaction without inputs",
    kernels.NO_OUTPUTS: "has a transaction without outputs",
    kernels.BAD_COUNT: "claims more transactions, inputs or outputs than its bytes can hold",
    kernels.BAD_WITNESS_FLAG: "has a transaction with an unknown witness flag",
    kernels.EMPTY_WITNESS: "has a transaction marked as SegWit without any witness",
    kernels.NOT_COINBASE_FIRST: "does not begin with a coinbase",
    kernels.SECOND_COINBASE: "has a coinbase input outside its first transaction",
    kernels.VALUE_RANGE: "pays out more than can exist",
    kernels.MERKLE_ROOT: "has transactions that do not fit its merkle root",
    kernels.DUPLICATE_LEAVES: "lists transactions twice so that its merkle root still fits (CVE-2012-2459)",
    kernels.NO_WITNESS_COMMITMENT: "carries witnesses but does not commit to them",
    kernels.WITNESS_COMMITMENT: "has witnesses that do not fit its witness commitment",
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Consecutive blocks, decoded. Positions in the columns are offsets into `data`."""

    blocks: Sequence[FoundBlock]
    data: NDArray[np.uint8]
    starts: NDArray[np.int64]
    columns: Decoded
    script_hash: NDArray[np.uint64]

    def txid(self, transaction: int) -> str:
        """Id of a transaction of the batch, as displayed."""
        return bytes(self.columns.txid[transaction])[::-1].hex()

    def outpoint(self, input_: int) -> str:
        """`txid:vout` that an input of the batch spends."""
        at = int(self.columns.outpoint[input_])
        wire = self.data[at : at + 36].tobytes()
        return f"{wire[:32][::-1].hex()}:{int.from_bytes(wire[32:], 'little')}"

    def claimed_height(self, block: int) -> int | None:
        """Height that a block's coinbase claims by BIP34; None where it claims none."""
        if int.from_bytes(self.blocks[block].header[:4], "little", signed=True) < 2:
            return None
        at, length = (int(x) for x in self.columns.coinbase_script[block])
        script = self.data[at : at + length].tobytes()
        if not script:
            return None
        if script[0] == 0:
            return 0
        if 0x51 <= script[0] <= 0x60:
            return script[0] - 0x50
        size = script[0]
        if size > 4 or len(script) < 1 + size or script[size] & 0x80:
            return None
        return int.from_bytes(script[1 : 1 + size], "little")


def decode(source: Source, blocks: Sequence[FoundBlock]) -> Batch:
    """Read and decode `blocks`. Raises ChainError that names the block, its file and the offset."""
    sizes = np.array([block.size for block in blocks], np.int64)
    ends = np.cumsum(sizes)
    starts = ends - sizes
    total = int(ends[-1]) if blocks else 0
    data = np.empty(total, np.uint8)
    for block, start, end in zip(blocks, starts.tolist(), ends.tolist(), strict=True):
        source.copy(block, data[start:end])
        if data[start : start + HEADER].tobytes() != block.header:
            raise ChainError(f"{source.where(block)} changed while it was read; ingest again when the node is idle")
    columns = kernels.allocate(len(blocks), total)
    status, at_block, at, txs, inputs, coins = kernels.decode(
        data, starts, ends, source.network.max_money, True, True, columns
    )
    if status != kernels.OK:
        block, where = blocks[at_block], int(at - starts[at_block])
        raise ChainError(f"{source.where(block)} {_REASONS[status]} (byte {where} of the block); the file is damaged")
    columns = kernels.trim(columns, txs, inputs, coins)
    script_hash = np.empty(coins, np.uint64)
    kernels.script_hashes(data, columns.script, columns.script_length, script_hash)
    return Batch(blocks, data, starts, columns, script_hash)
