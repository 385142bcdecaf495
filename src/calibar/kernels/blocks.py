"""Decode serialised Bitcoin blocks into flat columns, with transaction ids and both merkle trees, in one go.

Every read is bounded by its block. Work and memory are bounded by the bytes given: a block of n bytes holds at most
n/60 transactions, n/41 inputs and n/9 outputs, which is what the columns are allocated for.
Formats: Bitcoin developer reference (block, transaction), BIP141 and BIP144 (witness), CVE-2012-2459 (equal leaves).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, kernel, u64
from calibar.kernels.sha256 import Bytes, Words, sha256, sha256d

I64 = NDArray[np.int64]
U32 = NDArray[np.uint32]

# What can be wrong with a block. The reader of block files puts these into words.
OK = 0
TRUNCATED = 1
TRAILING_BYTES = 2
NO_TRANSACTIONS = 3
NO_INPUTS = 4
NO_OUTPUTS = 5
BAD_COUNT = 6
BAD_WITNESS_FLAG = 7
EMPTY_WITNESS = 8
NOT_COINBASE_FIRST = 9
SECOND_COINBASE = 10
VALUE_RANGE = 11
MERKLE_ROOT = 12
DUPLICATE_LEAVES = 13
NO_WITNESS_COMMITMENT = 14
WITNESS_COMMITMENT = 15

MIN_TX, MIN_INPUT, MIN_OUTPUT = 60, 41, 9


class Decoded(NamedTuple):
    """Columns of a batch of blocks. Positions are byte offsets into the batch's buffer."""

    tx_end: I64
    """(blocks + 1): first transaction of each block, then the count."""
    coinbase_script: I64
    """(blocks, 2): position and length."""
    commitment: I64
    """(blocks, 2): position of the coinbase's BIP141 commitment and of its witness nonce; -1 where absent."""
    txid: Bytes
    """(transactions, 32)."""
    version: U32
    locktime: U32
    tx_size: U32
    tx_weight: U32
    tx_at: I64
    """(transactions + 1): position of each transaction."""
    first_input: I64
    """(transactions + 1); a coinbase's null input is no input."""
    first_coin: I64
    """(transactions + 1)."""
    outpoint: I64
    """(inputs): position of the 36-byte outpoint."""
    sequence: U32
    value: I64
    """(coins): satoshi."""
    script: I64
    """(coins): position of the script."""
    script_length: I64


@inlined
def read_u32(data: Bytes, at: int) -> int:
    """Little-endian 32-bit number as int64."""
    return i64(data[at]) | i64(data[at + 1]) << 8 | i64(data[at + 2]) << 16 | i64(data[at + 3]) << 24


@inlined
def read_i64(data: Bytes, at: int) -> int:
    """Little-endian 64-bit number as int64."""
    return read_u32(data, at) | read_u32(data, at + 4) << 32


@inlined
def read_varint(data: Bytes, at: int, end: int) -> tuple[int, int]:
    """CompactSize at `at`: (value, position after), or (-1, at) where it does not fit before `end`.

    Values of 2^62 and more come back as -1 too: nothing in a block may be that long. So does a number in a longer
    form than it needs, as in Bitcoin Core.
    """
    if at >= end:
        return -1, at
    first = i64(data[at])
    if first < 253:
        return first, at + 1
    size = 2 << (first - 253)
    if at + 1 + size > end:
        return -1, at
    value = i64(0)
    for i in range(size):
        value |= i64(data[at + 1 + i]) << (8 * i)
    if value < 0 or value >= i64(1) << 62:
        return -1, at
    shortest = i64(253) if size == 2 else i64(1) << (4 * size)
    if value < shortest:
        return -1, at
    return value, at + 1 + size


@inlined
def _is_null_outpoint(data: Bytes, at: int) -> bool:
    if read_u32(data, at + 32) != 0xFFFFFFFF:
        return False
    for i in range(32):  # noqa: SIM110  (numba compiles loops, not generators)
        if data[at + i] != 0:
            return False
    return True


@inlined
def _commits(data: Bytes, at: int, length: int) -> bool:
    return (
        length >= 38
        and data[at] == 0x6A
        and data[at + 1] == 0x24
        and data[at + 2] == 0xAA
        and data[at + 3] == 0x21
        and data[at + 4] == 0xA9
        and data[at + 5] == 0xED
    )


@kernel
def merkle_root(hashes: Bytes, count: int, out: Bytes, out_at: int, state: Words, work: Bytes) -> bool:
    """Merkle root of hashes[:count] (overwritten) into `out`; true where two equal hashes were paired as different
    leaves, so that another list of transactions has the same root (CVE-2012-2459)."""
    mutated = False
    flat = hashes.reshape(-1)
    while count > 1:
        if count & 1:
            flat[32 * count : 32 * count + 32] = flat[32 * count - 32 : 32 * count]
        for i in range(0, count - 1, 2):
            same = True
            for j in range(32):
                if flat[32 * i + j] != flat[32 * i + 32 + j]:
                    same = False
                    break
            mutated |= same
        count = (count + 1) // 2
        for i in range(count):
            sha256d(flat, 64 * i, 64, flat, 32 * i, state, work)
    out[out_at : out_at + 32] = flat[:32]
    return mutated


@kernel
def decode(
    data: Bytes, starts: I64, ends: I64, max_money: int, check_witness: bool, whole: bool, out: Decoded
) -> tuple[int, int, int, int, int, int]:
    """Decode the blocks data[starts[i]:ends[i]] into `out`.

    Returns (status, block, position, transactions, inputs, coins); unless status is OK, `block` and `position`
    say where. A `whole` block begins with its coinbase and its transactions fit its merkle root; of another only some
    transactions are there. With `check_witness` a block that carries witnesses must commit to them (BIP141).
    """
    longest = i64(0)
    for b in range(starts.size):
        longest = max(longest, ends[b] - starts[b])
    scratch = np.empty(longest + 64, np.uint8)
    leaves = np.empty((longest // MIN_TX + 2, 32), np.uint8)
    witness_leaves = np.empty((longest // MIN_TX + 2, 32), np.uint8)
    state = np.empty(8, np.uint32)
    work = np.empty(128, np.uint8)
    root = np.empty(64, np.uint8)
    txid = out.txid.reshape(-1)
    flat_witness = witness_leaves.reshape(-1)
    tx, n_in, n_out = i64(0), i64(0), i64(0)
    out.first_input[0], out.first_coin[0], out.tx_end[0] = 0, 0, 0

    for b in range(starts.size):
        start, end = starts[b], ends[b]
        at = start + 80
        if at > end:
            return TRUNCATED, b, start, tx, n_in, n_out
        count, at = read_varint(data, at, end)
        if count < 0:
            return TRUNCATED, b, at, tx, n_in, n_out
        if count == 0:
            return NO_TRANSACTIONS, b, at, tx, n_in, n_out
        if count > (end - at) // MIN_TX:
            return BAD_COUNT, b, at, tx, n_in, n_out
        block_tx = tx
        block_has_witness = False
        out.commitment[b, 0] = -1
        out.commitment[b, 1] = -1
        out.coinbase_script[b, 0] = 0
        out.coinbase_script[b, 1] = 0

        for t in range(count):
            tx_start = at
            if at + 10 > end:
                return TRUNCATED, b, at, tx, n_in, n_out
            out.version[tx] = read_u32(data, at)
            at += 4
            segwit = data[at] == 0
            if segwit:
                if data[at + 1] != 1:
                    return (NO_INPUTS if data[at + 1] == 0 else BAD_WITNESS_FLAG), b, at, tx, n_in, n_out
                at += 2
            body = at
            inputs, at = read_varint(data, at, end)
            if inputs < 0:
                return TRUNCATED, b, at, tx, n_in, n_out
            if inputs == 0:
                return NO_INPUTS, b, at, tx, n_in, n_out
            if inputs > (end - at) // MIN_INPUT:
                return BAD_COUNT, b, at, tx, n_in, n_out
            for _ in range(inputs):
                if at + 36 > end:
                    return TRUNCATED, b, at, tx, n_in, n_out
                outpoint = at
                length, at = read_varint(data, at + 36, end)
                if length < 0 or length > end - at - 4:
                    return TRUNCATED, b, at, tx, n_in, n_out
                null = _is_null_outpoint(data, outpoint)
                if t == 0 and (whole or null):
                    if not null or inputs != 1:
                        return NOT_COINBASE_FIRST, b, outpoint, tx, n_in, n_out
                    out.coinbase_script[b, 0] = at
                    out.coinbase_script[b, 1] = length
                else:
                    if null:
                        return SECOND_COINBASE, b, outpoint, tx, n_in, n_out
                    out.outpoint[n_in] = outpoint
                    out.sequence[n_in] = read_u32(data, at + length)
                    n_in += 1
                at += length + 4
            outputs, at = read_varint(data, at, end)
            if outputs < 0:
                return TRUNCATED, b, at, tx, n_in, n_out
            if outputs == 0:
                return NO_OUTPUTS, b, at, tx, n_in, n_out
            if outputs > (end - at) // MIN_OUTPUT:
                return BAD_COUNT, b, at, tx, n_in, n_out
            total = i64(0)
            for _ in range(outputs):
                if at + 8 > end:
                    return TRUNCATED, b, at, tx, n_in, n_out
                value = read_i64(data, at)
                if value < 0 or value > max_money or total + value > max_money:
                    return VALUE_RANGE, b, at, tx, n_in, n_out
                total += value
                length, at = read_varint(data, at + 8, end)
                if length < 0 or length > end - at:
                    return TRUNCATED, b, at, tx, n_in, n_out
                out.value[n_out] = value
                out.script[n_out] = at
                out.script_length[n_out] = length
                n_out += 1
                if t == 0 and _commits(data, at, length):
                    out.commitment[b, 0] = at + 6
                at += length
            body_end = at
            if segwit:
                stacked = False
                for i in range(inputs):
                    items, at = read_varint(data, at, end)
                    if items < 0 or items > end - at:
                        return TRUNCATED, b, at, tx, n_in, n_out
                    stacked |= items > 0
                    for _ in range(items):
                        length, at = read_varint(data, at, end)
                        if length < 0 or length > end - at:
                            return TRUNCATED, b, at, tx, n_in, n_out
                        if t == 0 and i == 0 and items == 1 and length == 32:
                            out.commitment[b, 1] = at
                        at += length
                if not stacked:
                    return EMPTY_WITNESS, b, at, tx, n_in, n_out
                block_has_witness = True
            if at + 4 > end:
                return TRUNCATED, b, at, tx, n_in, n_out
            out.locktime[tx] = read_u32(data, at)
            at += 4
            size = at - tx_start
            if segwit:
                stripped = body_end - body + 8
                scratch[:4] = data[tx_start : tx_start + 4]
                scratch[4 : stripped - 4] = data[body:body_end]
                scratch[stripped - 4 : stripped] = data[at - 4 : at]
                sha256d(scratch, 0, stripped, txid, 32 * tx, state, work)
                if check_witness:
                    sha256d(data, tx_start, size, flat_witness, 32 * t, state, work)
            else:
                stripped = size
                sha256d(data, tx_start, size, txid, 32 * tx, state, work)
                if check_witness:
                    flat_witness[32 * t : 32 * t + 32] = txid[32 * tx : 32 * tx + 32]
            out.tx_size[tx] = size
            out.tx_weight[tx] = 3 * stripped + size
            out.tx_at[tx] = tx_start
            tx += 1
            out.first_input[tx], out.first_coin[tx] = n_in, n_out

        if at != end:
            return TRAILING_BYTES, b, at, tx, n_in, n_out
        out.tx_at[tx] = at
        out.tx_end[b + 1] = tx
        if not whole:
            continue
        leaves[:count] = out.txid[block_tx:tx]
        mutated = merkle_root(leaves, count, root, 0, state, work)
        for i in range(32):
            if root[i] != data[start + 36 + i]:
                return MERKLE_ROOT, b, start + 36, tx, n_in, n_out
        if mutated:
            return DUPLICATE_LEAVES, b, start + 36, tx, n_in, n_out
        if check_witness and block_has_witness:
            committed, nonce = out.commitment[b, 0], out.commitment[b, 1]
            if committed < 0 or nonce < 0:
                return NO_WITNESS_COMMITMENT, b, start, tx, n_in, n_out
            flat_witness[:32] = 0
            merkle_root(witness_leaves, count, root, 0, state, work)
            root[32:64] = data[nonce : nonce + 32]
            sha256d(root, 0, 64, root, 0, state, work)
            for i in range(32):
                if root[i] != data[committed + i]:
                    return WITNESS_COMMITMENT, b, committed, tx, n_in, n_out
    return OK, -1, -1, tx, n_in, n_out


@kernel
def script_hashes(data: Bytes, script: I64, length: I64, out: NDArray[np.uint64]) -> None:
    """First 8 bytes of each script's SHA-256, big-endian: what addresses are looked up by."""
    state = np.empty(8, np.uint32)
    work = np.empty(128, np.uint8)
    for i in range(script.size):
        sha256(data, script[i], length[i], state, work)
        out[i] = u64(state[0]) << u64(32) | u64(state[1])


def allocate(blocks: int, size: int) -> Decoded:
    """Columns for any `blocks` blocks of `size` bytes together. Untouched pages cost no memory."""
    txs, inputs, coins = size // MIN_TX + 1, size // MIN_INPUT + 1, size // MIN_OUTPUT + 1
    return Decoded(
        tx_end=np.empty(blocks + 1, np.int64),
        coinbase_script=np.empty((blocks, 2), np.int64),
        commitment=np.empty((blocks, 2), np.int64),
        txid=np.empty((txs, 32), np.uint8),
        version=np.empty(txs, np.uint32),
        locktime=np.empty(txs, np.uint32),
        tx_size=np.empty(txs, np.uint32),
        tx_weight=np.empty(txs, np.uint32),
        tx_at=np.empty(txs + 1, np.int64),
        first_input=np.empty(txs + 1, np.int64),
        first_coin=np.empty(txs + 1, np.int64),
        outpoint=np.empty(inputs, np.int64),
        sequence=np.empty(inputs, np.uint32),
        value=np.empty(coins, np.int64),
        script=np.empty(coins, np.int64),
        script_length=np.empty(coins, np.int64),
    )


def trim(columns: Decoded, txs: int, inputs: int, coins: int) -> Decoded:
    """Views of the parts that `decode` filled."""
    counts = {
        "tx_at": txs + 1, "first_input": txs + 1, "first_coin": txs + 1,
        "txid": txs, "version": txs, "locktime": txs, "tx_size": txs, "tx_weight": txs,
        "outpoint": inputs, "sequence": inputs,
        "value": coins, "script": coins, "script_length": coins,
    }  # fmt: skip
    return columns._replace(**{name: getattr(columns, name)[:count] for name, count in counts.items()})


@kernel
def gather(data: Bytes, at: I64, length: I64, out: Bytes) -> int:
    """Copy the pieces data[at:at+length] one after the other into `out`; returns the bytes written."""
    to = i64(0)
    for i in range(at.size):
        out[to : to + length[i]] = data[at[i] : at[i] + length[i]]
        to += length[i]
    return to
