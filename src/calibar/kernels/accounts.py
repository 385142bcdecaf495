"""Account chains into columns: bytes to dense ids, and each transfer joined to what both sides had before.

A holding is an (asset, address) pair. Its movements form a list with two ways back: to the one before, and to one far
before (E. Myers, "An applicative random-access stack", 1983), so that what it had at any height is found in steps
that grow with the logarithm of its length, while nothing that is written ever changes.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, kernel, lean, u64
from calibar.kernels.index import Slots, insert, slot_id

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
U32 = NDArray[np.uint32]
Limbs = NDArray[np.uint64]

NOTHING = -1
DAMAGED = -2
FINE, SHORT = 0, 1
ADDRESSES, ASSETS, HOLDINGS, SHORTFALLS = 0, 1, 2, 3
_MIX = u64(0x9E3779B97F4A7C15)


class Batch(NamedTuple):
    """Facts of whole blocks (see chains/facts.py)."""

    tx_end: I64
    transfer_end: I64
    event_end: I64
    tx_sender: U8
    tx_recipient: U8
    tx_payer: U8
    asset: U8
    """(transfers, 21): kind, then contract or number."""
    sender: U8
    recipient: U8
    from_nobody: U8
    to_nobody: U8
    event_contract: U8
    event_a: U8
    event_b: U8


class Known(NamedTuple):
    """What the ledger holds, and its hash tables, which are changed in place."""

    address_slots: Slots
    asset_slots: Slots
    holding_slots: Slots
    addresses: U8
    assets: U8
    holding_asset: U32
    holding_address: I64


class Named(NamedTuple):
    """Filled in: ids of the batch's rows, and what is new."""

    tx_sender: I64
    tx_recipient: I64
    tx_payer: I64
    asset: I64
    sender: I64
    recipient: I64
    event_contract: I64
    event_a: I64
    event_b: I64
    new_addresses: U8
    new_assets: U8
    new_holding_asset: U32
    new_holding_address: I64
    first: I64
    """(blocks, 3): addresses, assets and holdings after each block."""
    counts: I64
    """New addresses, assets and holdings."""


@inlined
def _key(rows: U8, row: int) -> int:
    """A mix of all bytes of a row: addresses are chosen by their owners."""
    key = u64(0)
    at = 0
    width = rows.shape[1]
    while at < width:
        word = u64(0)
        for i in range(at, min(at + 8, width)):
            word |= u64(rows[row, i]) << u64(8 * (i - at))
        key = (key ^ word) * _MIX
        key ^= key >> u64(29)
        at += 8
    return u64(key * _MIX)


@inlined
def _pair_key(asset: int, address: int) -> int:
    key = (u64(asset) * _MIX) ^ u64(address)
    key *= _MIX
    key ^= key >> u64(29)
    return u64(key * _MIX)


@inlined
def _same(rows: U8, row: int, others: U8, other: int) -> bool:
    for i in range(rows.shape[1]):  # noqa: SIM110
        if rows[row, i] != others[other, i]:
            return False
    return True


@inlined
def _identify(slots: Slots, rows: U8, row: int, stored: U8, added: U8, count: I64, table: int) -> int:
    """Id of a row of bytes; one that is new is added."""
    base = stored.shape[0]
    mask = u64(slots.size - 1)
    key = _key(rows, row)
    fingerprint = key >> u64(40)
    place = key & mask
    limit = base + count[table]
    while slots[place] != u64(0):
        identity = slot_id(slots[place])
        if identity >= limit:
            break
        if slots[place] >> u64(40) == fingerprint:
            if identity < base:
                if _same(rows, row, stored, identity):
                    return identity
            elif _same(rows, row, added, identity - base):
                return identity
        place = (place + u64(1)) & mask
    for i in range(rows.shape[1]):
        added[count[table], i] = rows[row, i]
    slots[place] = (fingerprint << u64(40)) | u64(limit + 1)
    count[table] += 1
    return i64(limit)


@inlined
def _hold(known: Known, named: Named, asset: int, address: int) -> int:
    """Id of a holding; one that is new is added."""
    slots = known.holding_slots
    base = known.holding_asset.size
    mask = u64(slots.size - 1)
    key = _pair_key(asset, address)
    fingerprint = key >> u64(40)
    place = key & mask
    limit = base + named.counts[HOLDINGS]
    while slots[place] != u64(0):
        identity = slot_id(slots[place])
        if identity >= limit:
            break
        if slots[place] >> u64(40) == fingerprint:
            if identity < base:
                if known.holding_asset[identity] == asset and known.holding_address[identity] == address:
                    return identity
            elif (
                named.new_holding_asset[identity - base] == asset
                and named.new_holding_address[identity - base] == address
            ):
                return identity
        place = (place + u64(1)) & mask
    row = named.counts[HOLDINGS]
    named.new_holding_asset[row], named.new_holding_address[row] = asset, address
    slots[place] = (fingerprint << u64(40)) | u64(limit + 1)
    named.counts[HOLDINGS] += 1
    return i64(limit)


@lean
def _is_zero(rows: U8, row: int) -> bool:
    for i in range(rows.shape[1]):  # noqa: SIM110
        if rows[row, i] != 0:
            return False
    return True


@lean
def _address(known: Known, named: Named, rows: U8, row: int) -> int:
    return _identify(known.address_slots, rows, row, known.addresses, named.new_addresses, named.counts, ADDRESSES)


@lean
def _known_address(known: Known, named: Named, rows: U8, row: int) -> int:
    """Id of an address; NOTHING where it is zero: not known, or none."""
    return NOTHING if _is_zero(rows, row) else _address(known, named, rows, row)


@lean
def name_all(batch: Batch, known: Known, named: Named) -> None:
    """Give ids to everything in a batch, in chain order: the same whatever the batches are."""
    tx = transfer = event = i64(0)
    for block in range(batch.tx_end.size):
        while tx < batch.tx_end[block]:
            named.tx_sender[tx] = _known_address(known, named, batch.tx_sender, tx)
            named.tx_recipient[tx] = _address(known, named, batch.tx_recipient, tx)
            named.tx_payer[tx] = _known_address(known, named, batch.tx_payer, tx)
            tx += 1
        while transfer < batch.transfer_end[block]:
            asset = _identify(
                known.asset_slots, batch.asset, transfer, known.assets, named.new_assets, named.counts, ASSETS
            )
            named.asset[transfer] = asset
            named.sender[transfer] = named.recipient[transfer] = NOTHING
            if batch.from_nobody[transfer] == 0:
                address = _address(known, named, batch.sender, transfer)
                named.sender[transfer] = _hold(known, named, asset, address)
            if batch.to_nobody[transfer] == 0:
                address = _address(known, named, batch.recipient, transfer)
                named.recipient[transfer] = _hold(known, named, asset, address)
            transfer += 1
        while event < batch.event_end[block]:
            named.event_contract[event] = _known_address(known, named, batch.event_contract, event)
            named.event_a[event] = _known_address(known, named, batch.event_a, event)
            named.event_b[event] = _known_address(known, named, batch.event_b, event)
            event += 1
        for table in range(3):
            named.first[block, table] = named.counts[table]


class Movements(NamedTuple):
    """Movements: what the ledger holds, then filled in what a batch adds.

    A link is (the one before, one far before, how many before, how often the balance has passed 2^256 upwards): the
    balance is exact whatever a token's log says, and below zero where the last is.
    """

    link: I64
    balance: Limbs
    new_link: I64
    new_balance: Limbs


@inlined
def _link(movements: Movements, movement: int, column: int) -> int:
    base = movements.link.shape[0]
    if movement < base:
        return i64(movements.link[movement, column])
    return i64(movements.new_link[movement - base, column])


@inlined
def _limb(movements: Movements, movement: int, column: int) -> int:
    base = movements.balance.shape[0]
    if movement < base:
        return u64(movements.balance[movement, column])
    return u64(movements.new_balance[movement - base, column])


@inlined
def _move(
    movements: Movements, heads: I64, holding: int, movement: int, amount: Limbs, transfer: int, takes: bool
) -> int:
    """Write a movement of a holding; SHORT where its balance goes below zero by it, DAMAGED where what was written
    before it is no list."""
    row = movement - movements.link.shape[0]
    before = heads[holding]
    if before < NOTHING or before >= movement:
        return i64(DAMAGED)
    far, number, over = i64(NOTHING), i64(0), i64(0)
    carry = u64(0)
    if before >= 0:
        number, over = _link(movements, before, 2) + 1, _link(movements, before, 3)
        jump = _link(movements, before, 1)
        if jump < NOTHING or jump >= before:
            return i64(DAMAGED)
        far = before
        if jump >= 0:
            further = _link(movements, jump, 1)
            if further < NOTHING or further >= jump:
                return i64(DAMAGED)
            if further >= 0 and number - 1 - _link(movements, jump, 2) == (
                _link(movements, jump, 2) - _link(movements, further, 2)
            ):
                far = further
    for i in range(4):
        old = _limb(movements, before, i) if before >= 0 else u64(0)
        part = amount[transfer, i]
        if takes:
            partial = u64(old - part)
            new = u64(partial - carry)
            carry = u64(1) if old < part or partial < carry else u64(0)
        else:
            partial = u64(old + part)
            new = u64(partial + carry)
            carry = u64(1) if partial < old or new < partial else u64(0)
        movements.new_balance[row, i] = new
    after = over - i64(carry) if takes else over + i64(carry)
    movements.new_link[row, 0], movements.new_link[row, 1] = before, far
    movements.new_link[row, 2], movements.new_link[row, 3] = number, after
    heads[holding] = movement
    return i64(SHORT if after < 0 and over >= 0 else FINE)


@lean
def move_all(
    transfer_end: I64, sender: I64, recipient: I64, amount: Limbs, heads: I64, movements: Movements, shortfalls: I64,
    first_shortfall: I64,
) -> int:  # fmt: skip
    """Write the movements of a batch's transfers; returns how many rows of `shortfalls` (transfer in the batch,
    holding) there are, and how many after each block; DAMAGED where a holding's movements are no list."""
    base = movements.link.shape[0]
    short = 0
    transfer = i64(0)
    for block in range(transfer_end.size):
        while transfer < transfer_end[block]:
            movement = base + 2 * transfer
            for side in range(2):
                holding = sender[transfer] if side == 0 else recipient[transfer]
                row = 2 * transfer + side
                if holding == NOTHING:
                    for i in range(4):
                        movements.new_link[row, i] = NOTHING
                    for i in range(4):
                        movements.new_balance[row, i] = u64(0)
                else:
                    moved = _move(movements, heads, holding, movement + side, amount, transfer, side == 0)
                    if moved == DAMAGED:
                        return i64(DAMAGED)
                    if moved == SHORT:
                        shortfalls[short, 0], shortfalls[short, 1] = transfer, holding
                        short += 1
            transfer += 1
        first_shortfall[block] = short
    return short


@kernel
def last_before(link: I64, head: int, limit: int) -> int:
    """The last movement below `limit` of the list that ends at `head`; NOTHING where there is none, DAMAGED where it
    is no list."""
    movement = i64(head)
    if movement < NOTHING or movement >= link.shape[0]:
        return i64(DAMAGED)
    while movement >= limit and movement >= 0:
        far = link[movement, 1]
        before = far if far >= limit else link[movement, 0]
        if before < NOTHING or before >= movement:
            return i64(DAMAGED)
        movement = i64(before)
    return movement


@kernel
def list_back(link: I64, head: int, out: I64) -> int:
    """The list that ends at `head`, newest first, into `out`; returns how many, DAMAGED where it is no list."""
    movement, count = i64(head), i64(0)
    if movement < NOTHING or movement >= link.shape[0]:
        return i64(DAMAGED)
    while movement >= 0:
        before = link[movement, 0]
        if count == out.size or before < NOTHING or before >= movement:
            return i64(DAMAGED)
        out[count] = movement
        count += 1
        movement = i64(before)
    return count


@kernel
def take_back(link: I64, heads: I64, sender: I64, recipient: I64, limit: int) -> int:
    """Set the heads back to what they were before transfer `limit`; the first met that is damaged, else NOTHING."""
    for transfer in range(sender.size - 1, limit - 1, -1):
        for side in range(1, -1, -1):
            holding = recipient[transfer] if side == 1 else sender[transfer]
            if holding != NOTHING:
                before = link[2 * transfer + side, 0]
                if holding < 0 or holding >= heads.size or before < NOTHING or before >= 2 * transfer + side:
                    return i64(transfer)
                heads[holding] = before
    return i64(NOTHING)


@kernel
def rebuild_heads(heads: I64, sender: I64, recipient: I64) -> int:
    """The last movement of each holding; the first transfer that names a holding there is not, else NOTHING."""
    for transfer in range(sender.size):
        for side in range(2):
            holding = recipient[transfer] if side == 1 else sender[transfer]
            if holding < NOTHING or holding >= heads.size:
                return i64(transfer)
            if holding != NOTHING:
                heads[holding] = 2 * transfer + side
    return i64(NOTHING)


@kernel
def enter_rows(slots: Slots, rows: U8) -> None:
    """Enter all rows of bytes into an empty hash table."""
    for row in range(rows.shape[0]):
        insert(slots, _key(rows, row), row)


@kernel
def enter_pairs(slots: Slots, asset: U32, address: I64) -> None:
    """Enter all holdings into an empty hash table."""
    for row in range(asset.size):
        insert(slots, _pair_key(i64(asset[row]), address[row]), row)


@kernel
def find_row(slots: Slots, rows: U8, stored: U8, limit: int) -> int:
    """Id below `limit` of the first row of `rows`; NOTHING where the ledger never saw it."""
    mask = u64(slots.size - 1)
    key = _key(rows, 0)
    place = key & mask
    while slots[place] != u64(0) and slot_id(slots[place]) < limit:
        identity = slot_id(slots[place])
        if slots[place] >> u64(40) == key >> u64(40) and _same(rows, 0, stored, identity):
            return identity
        place = (place + u64(1)) & mask
    return NOTHING


@kernel
def find_pair(slots: Slots, asset: int, address: int, assets: U32, addresses: I64, limit: int) -> int:
    """Id below `limit` of a holding; NOTHING where there is none."""
    mask = u64(slots.size - 1)
    key = _pair_key(asset, address)
    place = key & mask
    while slots[place] != u64(0) and slot_id(slots[place]) < limit:
        identity = slot_id(slots[place])
        if slots[place] >> u64(40) == key >> u64(40) and assets[identity] == asset and addresses[identity] == address:
            return identity
        place = (place + u64(1)) & mask
    return NOTHING


@kernel
def first_missing(slots: Slots, rows: U8) -> int:
    """The first row of bytes that a hash table does not find; NOTHING where it finds all."""
    for row in range(rows.shape[0]):
        if find_row(slots, rows[row : row + 1], rows, rows.shape[0]) != row:
            return row
    return NOTHING


@kernel
def first_missing_pair(slots: Slots, asset: U32, address: I64) -> int:
    """The first holding that a hash table does not find; NOTHING where it finds all."""
    for row in range(asset.size):
        if find_pair(slots, i64(asset[row]), address[row], asset, address, asset.size) != row:
            return row
    return NOTHING
