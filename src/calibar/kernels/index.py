"""Open-addressed hash tables from 64-bit keys to dense ids, that answer as of any earlier count.

A slot is a uint64: 0 where empty, else (id + 1) in the low 40 bits and 24 bits of the key above. Entries go in by
ascending id, and a slot whose id is not below the count in force is free. So on the way to an entry stand only
smaller ids, and a search with a limit may stop at the first slot at or above it: what an interrupted or withdrawn
batch left behind is never found. Keys are compared in full by the caller's columns; here only fingerprints are.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, kernel, u64
from calibar.kernels.sha256 import Bytes, sha256

Slots = NDArray[np.uint64]
I64 = NDArray[np.int64]

ID_BITS = 40
MAX_ID = (1 << ID_BITS) - 2
_ID_MASK = u64((1 << ID_BITS) - 1)
_SHIFT = u64(ID_BITS)
_ONE = u64(1)
_EMPTY = u64(0)


@inlined
def slot_id(slot: int) -> int:
    """Id that a slot holds, -1 where empty."""
    return i64(u64(slot) & _ID_MASK) - 1


@inlined
def txid_key(data: Bytes, at: int) -> int:
    """First 8 bytes of a transaction id, little-endian."""
    key = _EMPTY
    for i in range(8):
        key |= u64(data[at + i]) << u64(8 * i)
    return key


@inlined
def insert(slots: Slots, key: int, identity: int) -> None:
    """Enter `identity`, larger than all that are in; the table must have room."""
    mask = u64(slots.size - 1)
    at = key & mask
    while slots[at] != _EMPTY and slot_id(slots[at]) < identity:
        at = (at + _ONE) & mask
    slots[at] = (key >> _SHIFT) << _SHIFT | u64(identity + 1)


@inlined
def _same_txid(data: Bytes, at: int, stored: Bytes, batch: Bytes, base: int, identity: int) -> bool:
    if identity < base:
        for i in range(32):
            if stored[identity, i] != data[at + i]:
                return False
    else:
        for i in range(32):
            if batch[identity - base, i] != data[at + i]:
                return False
    return True


@inlined
def find_txid(slots: Slots, data: Bytes, at: int, stored: Bytes, batch: Bytes, base: int, limit: int) -> int:
    """Largest id below `limit` whose txid is data[at:at+32], else -1. Ids from `base` on are rows of `batch`."""
    mask = u64(slots.size - 1)
    key = txid_key(data, at)
    fingerprint = key >> _SHIFT
    place = key & mask
    found = i64(-1)
    while slots[place] != _EMPTY:
        identity = slot_id(slots[place])
        if identity >= limit:
            break
        if slots[place] >> _SHIFT == fingerprint and _same_txid(data, at, stored, batch, base, identity):
            found = max(found, identity)
        place = (place + _ONE) & mask
    return found


@inlined
def find_and_insert_txid(
    slots: Slots, data: Bytes, at: int, stored: Bytes, batch: Bytes, base: int, identity: int
) -> int:
    """Enter `identity`, larger than all that are in; returns what `find_txid` would have said before."""
    mask = u64(slots.size - 1)
    key = txid_key(data, at)
    fingerprint = key >> _SHIFT
    place = key & mask
    found = i64(-1)
    while slots[place] != _EMPTY:
        other = slot_id(slots[place])
        if other >= identity:
            break
        if slots[place] >> _SHIFT == fingerprint and _same_txid(data, at, stored, batch, base, other):
            found = max(found, other)
        place = (place + _ONE) & mask
    slots[place] = fingerprint << _SHIFT | u64(identity + 1)
    return found


@inlined
def same_script(data: Bytes, at: int, length: int, starts: I64, scripts: Bytes, identity: int) -> bool:
    """Whether address `identity` of the ledger is the script data[at:at+length]."""
    start = starts[identity]
    if starts[identity + 1] - start != length:
        return False
    for i in range(length):  # noqa: SIM110
        if scripts[start + i] != data[at + i]:
            return False
    return True


@kernel
def find_candidates(slots: Slots, key: int, limit: int, out: I64) -> int:
    """Ids below `limit` whose key may be `key`, into `out`; returns how many (at most out.size)."""
    mask = u64(slots.size - 1)
    fingerprint = u64(key) >> _SHIFT
    place = u64(key) & mask
    count = 0
    while slots[place] != _EMPTY and slot_id(slots[place]) < limit and count < out.size:
        if slots[place] >> _SHIFT == fingerprint:
            out[count] = slot_id(slots[place])
            count += 1
        place = (place + _ONE) & mask
    return count


@kernel
def find_txids(slots: Slots, wanted: Bytes, stored: Bytes, limit: int, out: I64) -> None:
    """The id below `limit` of each row of `wanted` into `out`: the largest where there are several, else -1."""
    flat = wanted.reshape(-1)
    for row in range(out.size):
        out[row] = find_txid(slots, flat, 32 * row, stored, stored, limit, limit)


@kernel
def enter_txids(slots: Slots, txid: Bytes, start: int, stop: int) -> None:
    """Enter ids start..stop-1 of a txid column."""
    flat = txid.reshape(-1)
    for identity in range(start, stop):
        insert(slots, txid_key(flat, 32 * identity), identity)


@kernel
def enter_new_txids(slots: Slots, txid: Bytes, stored: Bytes, base: int) -> int:
    """Enter ids base… of a batch's txids; the row of the first that is there already, else -1."""
    flat = txid.reshape(-1)
    for row in range(txid.shape[0]):
        if find_and_insert_txid(slots, flat, 32 * row, stored, txid, base, base + row) >= 0:
            return row
    return -1


@kernel
def enter_scripts(slots: Slots, starts: I64, scripts: Bytes, start: int, stop: int) -> None:
    """Enter ids start..stop-1 of the address columns."""
    state = np.empty(8, np.uint32)
    work = np.empty(128, np.uint8)
    for identity in range(start, stop):
        sha256(scripts, starts[identity], starts[identity + 1] - starts[identity], state, work)
        insert(slots, u64(state[0]) << u64(32) | u64(state[1]), identity)


@kernel
def forget_from(slots: Slots, limit: int) -> int:
    """Empty every slot whose id is `limit` or more; returns how many."""
    count = 0
    for place in range(slots.size):
        if slot_id(slots[place]) >= limit:
            slots[place] = _EMPTY
            count += 1
    return count


@kernel
def clear_spends_from(spent_by: I64, limit: int, unspent: int) -> int:
    """Set every spend by an input of id `limit` or more to `unspent`; returns how many."""
    count = 0
    for coin in range(spent_by.size):
        if spent_by[coin] >= limit and spent_by[coin] != unspent:
            spent_by[coin] = unspent
            count += 1
    return count


@kernel
def rebuild_last_coin(last_coin: I64, address: I64) -> None:
    """Latest coin of each address, from the whole address column. A right one is never changed: readers may look."""
    for coin in range(address.size - 1, -1, -1):
        owner = address[coin]
        last = last_coin[owner]
        if last < coin or last >= address.size or address[last] != owner:
            last_coin[owner] = coin
