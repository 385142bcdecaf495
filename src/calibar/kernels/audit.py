"""Re-add a stored ledger: what `calibar ledger check` runs over the columns, without temporary arrays."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, kernel, u64
from calibar.kernels.index import ID_BITS, Slots, find_txid, slot_id
from calibar.kernels.sha256 import Bytes, sha256

I64 = NDArray[np.int64]

OK, BAD_INPUT, BAD_SPEND, BAD_FEE = 0, 1, 2, 3


@kernel
def first_fall(offsets: I64) -> int:
    """First place where an offset column does not start at 0 or falls; -1 where it never does."""
    if offsets[0] != 0:
        return 0
    for i in range(1, offsets.size):
        if offsets[i] < offsets[i - 1]:
            return i
    return -1


@kernel
def recount(
    first_input: I64, first_coin: I64, fee: I64, value: I64, spent_by: I64, input_coin: I64
) -> tuple[int, int, int, int]:
    """Re-add every transaction and follow every spend both ways.

    Returns (status, transaction, unspent value, coins that something spends).
    """
    inputs = input_coin.size
    unspent = i64(0)
    spent = i64(0)
    for coin in range(value.size):
        if spent_by[coin] >= inputs:
            unspent += value[coin]
        else:
            spent += 1
    for tx in range(fee.size):
        if first_input[tx] == first_input[tx + 1]:
            continue
        paid = i64(0)
        known = True
        for i in range(first_input[tx], first_input[tx + 1]):
            coin = input_coin[i]
            if coin < -1 or coin >= first_coin[tx]:
                return BAD_INPUT, tx, unspent, spent
            if coin < 0:
                known = False
                continue
            if spent_by[coin] != i:
                return BAD_SPEND, tx, unspent, spent
            paid += value[coin]
        for coin in range(first_coin[tx], first_coin[tx + 1]):
            paid -= value[coin]
        if fee[tx] != (paid if known else -1):
            return BAD_FEE, tx, unspent, spent
    return OK, -1, unspent, spent


@kernel
def first_stray_mark(spent_by: I64, inputs: int, unspent: int) -> int:
    """First coin whose mark is neither a spend nor the sign of an unspent coin; -1 where there is none."""
    for coin in range(spent_by.size):
        if spent_by[coin] < 0 or (spent_by[coin] >= inputs and spent_by[coin] != unspent):
            return coin
    return -1


@kernel
def first_lost_script(slots: Slots, starts: I64, scripts: Bytes) -> int:
    """First address that the index does not find; -1 where it finds all."""
    state = np.empty(8, np.uint32)
    work = np.empty(128, np.uint8)
    mask = u64(slots.size - 1)
    for identity in range(starts.size - 1):
        sha256(scripts, starts[identity], starts[identity + 1] - starts[identity], state, work)
        place = (u64(state[0]) << u64(32) | u64(state[1])) & mask
        fingerprint = (u64(state[0]) << u64(32) | u64(state[1])) >> u64(ID_BITS)
        while slots[place] != u64(0) and slot_id(slots[place]) != identity:
            place = (place + u64(1)) & mask
        if slots[place] == u64(0) or slots[place] >> u64(ID_BITS) != fingerprint:
            return identity
    return -1


@kernel
def first_bad_link(address: I64, previous: I64, last_coin: I64, addresses: int, at_rest: bool) -> int:
    """First coin whose place in its address's list is wrong; -1 where there is none.

    Unless the ledger is `at_rest` a last coin may be one of a batch that is not committed: readers look elsewhere.
    """
    firsts = 0
    for coin in range(address.size):
        owner, before = address[coin], previous[coin]
        if owner < 0 or owner >= addresses or before < -1 or before >= coin:
            return coin
        if before < 0:
            firsts += 1
        elif address[before] != owner:
            return coin
        if last_coin[owner] < coin:
            return coin
    for owner in range(addresses):
        last = last_coin[owner]
        if last >= address.size:
            if at_rest:
                return i64(0)
        elif address[last] != owner:
            return i64(last)
    return -1 if firsts == addresses else 0


@kernel
def first_lost_txid(slots: Slots, txid: Bytes) -> int:
    """First transaction that the index does not find; -1 where it finds all."""
    flat = txid.reshape(-1)
    for tx in range(txid.shape[0]):
        if find_txid(slots, flat, 32 * tx, txid, txid, txid.shape[0], txid.shape[0]) < tx:
            return tx
    return -1
