"""Join a batch of decoded blocks to a ledger: which coin each input spends, which address each coin pays.

One sequential pass in chain order, with the checks that need earlier transactions. Source of the rules: Bitcoin
Core, `src/consensus/tx_verify.cpp` (CheckTxInputs) and `src/validation.cpp` (ConnectBlock).
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.blocks import Decoded, read_u32
from calibar.kernels.compiled import i64, inlined, kernel, u64
from calibar.kernels.index import Slots, find_and_insert_txid, find_txid, same_script, slot_id
from calibar.kernels.scripts import OP_RETURN, script_kind
from calibar.kernels.sha256 import Bytes

I64 = NDArray[np.int64]

UNSPENT = np.iinfo(np.int64).max
UNKNOWN = -1
MAX_SCRIPT = 10_000

OK = 0
MISSING_COIN = 1
DOUBLE_SPEND = 2
NEGATIVE_FEE = 3
COINBASE_CLAIM = 4
VALUE_RANGE = 5
OWN_COINBASE = 6
UNSPENDABLE = 7


class Stored(NamedTuple):
    """What the ledger holds; the last four are changed in place."""

    txid: Bytes
    first_coin: I64
    value: I64
    coin_address: I64
    script_start: I64
    scripts: Bytes
    kind: NDArray[np.uint8]
    tx_slots: Slots
    address_slots: Slots
    spent_by: I64
    last_coin: I64
    """Latest coin of each address; longer than the addresses."""


class Joined(NamedTuple):
    """The batch's own columns; ids are the ledger's."""

    input_coin: I64
    """UNKNOWN where an island spends a coin from outside."""
    tx_fee: I64
    """Satoshi; 0 for a coinbase, UNKNOWN where an input's value is."""
    coin_address: I64
    previous: I64
    """Coin before this one on the same address, -1 for the first."""
    spent_by: I64
    new_script: I64
    """Position in the batch's buffer of each new address's script."""
    new_script_length: I64
    new_kind: NDArray[np.uint8]
    block_fees: I64
    addresses_end: I64
    """Addresses known after each block."""
    unspent_value: I64
    """Satoshi in coins that nothing spends, after each block."""
    utxo_coins: I64
    """As Bitcoin Core counts them: without genesis, unspendable scripts and overwritten coinbases."""
    utxo_value: I64


@inlined
def _unspendable(kind: int, length: int) -> bool:
    return kind == OP_RETURN or length > MAX_SCRIPT


@kernel
def join(
    data: Bytes,
    batch: Decoded,
    script_hash: NDArray[np.uint64],
    stored: Stored,
    out: Joined,
    totals: I64,
    subsidies: I64,
    island: bool,
    has_genesis: bool,
    max_money: int,
) -> tuple[int, int, int, int]:
    """Resolve the batch into `out`; `totals` holds (unspent value, utxo coins, utxo value) before it.

    `subsidies` has the most that each block may create, -1 where its height is unknown. With `has_genesis` the
    ledger's transaction 0 is the genesis coinbase, which cannot be spent. Returns (status, block, transaction, input
    or -1); ids are places in the batch.
    """
    base_tx, base_coin = stored.txid.shape[0], stored.value.size
    base_address = stored.kind.size
    base_input = i64(totals[3])
    addresses = i64(base_address)
    unspent_value, utxo_coins, utxo_value = totals[0], totals[1], totals[2]
    txid = batch.txid.reshape(-1)
    mask = u64(stored.address_slots.size - 1)

    for b in range(batch.tx_end.size - 1):
        fees = i64(0)
        fees_known = True
        block_tx = batch.tx_end[b]
        claimed = i64(0)
        for t in range(block_tx, batch.tx_end[b + 1]):
            paid_in = i64(0)
            known = True
            for i in range(batch.first_input[t], batch.first_input[t + 1]):
                at = batch.outpoint[i]
                maker = find_txid(stored.tx_slots, data, at, stored.txid, batch.txid, base_tx, base_tx + t)
                if maker < 0:
                    if not island:
                        return MISSING_COIN, b, t, i
                    known = False
                    out.input_coin[i] = UNKNOWN
                    continue
                if maker < base_tx:
                    first, end = stored.first_coin[maker], stored.first_coin[maker + 1]
                else:
                    first = base_coin + batch.first_coin[maker - base_tx]
                    end = base_coin + batch.first_coin[maker - base_tx + 1]
                coin = first + read_u32(data, at + 32)
                if coin >= end or (has_genesis and maker == 0):
                    return MISSING_COIN, b, t, i
                if maker == base_tx + block_tx and batch.first_input[block_tx] == batch.first_input[block_tx + 1]:
                    return OWN_COINBASE, b, t, i
                identity = base_input + i
                if coin < base_coin:
                    if stored.spent_by[coin] < identity:
                        return DOUBLE_SPEND, b, t, i
                    owner, value = stored.coin_address[coin], stored.value[coin]
                else:
                    if out.spent_by[coin - base_coin] < identity:
                        return DOUBLE_SPEND, b, t, i
                    owner, value = out.coin_address[coin - base_coin], batch.value[coin - base_coin]
                if owner < base_address:
                    length = stored.script_start[owner + 1] - stored.script_start[owner]
                    dead = _unspendable(stored.kind[owner], length)
                else:
                    new = owner - base_address
                    dead = _unspendable(out.new_kind[new], out.new_script_length[new])
                if dead:
                    return UNSPENDABLE, b, t, i
                if coin < base_coin:
                    stored.spent_by[coin] = identity
                else:
                    out.spent_by[coin - base_coin] = identity
                out.input_coin[i] = coin
                paid_in += value
                if paid_in > max_money:
                    return VALUE_RANGE, b, t, i
                unspent_value -= value
                utxo_coins -= 1
                utxo_value -= value

            paid_out = i64(0)
            for o in range(batch.first_coin[t], batch.first_coin[t + 1]):
                value, at, length = batch.value[o], batch.script[o], batch.script_length[o]
                paid_out += value
                key = script_hash[o]
                place = key & mask
                owner = i64(-1)
                while stored.address_slots[place] != u64(0):
                    identity = slot_id(stored.address_slots[place])
                    if identity >= addresses:
                        break
                    if stored.address_slots[place] >> u64(40) == key >> u64(40):
                        if identity < base_address:
                            same = same_script(data, at, length, stored.script_start, stored.scripts, identity)
                        else:
                            other = out.new_script[identity - base_address]
                            same = out.new_script_length[identity - base_address] == length
                            for j in range(length if same else 0):
                                if data[other + j] != data[at + j]:
                                    same = False
                                    break
                        if same:
                            owner = identity
                            break
                    place = (place + u64(1)) & mask
                if owner < 0:
                    owner = addresses
                    stored.address_slots[place] = (key >> u64(40)) << u64(40) | u64(owner + 1)
                    new = owner - base_address
                    out.new_script[new] = at
                    out.new_script_length[new] = length
                    out.new_kind[new] = script_kind(data, at, length)
                    stored.last_coin[owner] = -1
                    addresses += 1
                out.coin_address[o] = owner
                out.previous[o] = stored.last_coin[owner]
                stored.last_coin[owner] = base_coin + o
                out.spent_by[o] = UNSPENT
                unspent_value += value
                kind = stored.kind[owner] if owner < base_address else out.new_kind[owner - base_address]
                if not _unspendable(kind, length) and not (has_genesis and base_tx + t == 0):
                    utxo_coins += 1
                    utxo_value += value
            if unspent_value > max_money:
                return VALUE_RANGE, b, t, -1

            earlier = find_and_insert_txid(stored.tx_slots, txid, 32 * t, stored.txid, batch.txid, base_tx, base_tx + t)
            # Two pairs of coinbases before BIP30: the later one's coins replace the earlier one's.
            if earlier >= 0 and not (has_genesis and earlier == 0):
                if earlier < base_tx:
                    first, end = stored.first_coin[earlier], stored.first_coin[earlier + 1]
                else:
                    first = base_coin + batch.first_coin[earlier - base_tx]
                    end = base_coin + batch.first_coin[earlier - base_tx + 1]
                for coin in range(first, end):
                    if coin < base_coin:
                        spent, value, owner = stored.spent_by[coin], stored.value[coin], stored.coin_address[coin]
                    else:
                        o = coin - base_coin
                        spent, value, owner = out.spent_by[o], batch.value[o], out.coin_address[o]
                    if owner < base_address:
                        length = stored.script_start[owner + 1] - stored.script_start[owner]
                        dead = _unspendable(stored.kind[owner], length)
                    else:
                        new = owner - base_address
                        dead = _unspendable(out.new_kind[new], out.new_script_length[new])
                    if spent >= base_input + batch.first_input[t + 1] and not dead:
                        utxo_coins -= 1
                        utxo_value -= value

            if batch.first_input[t] == batch.first_input[t + 1]:  # a coinbase
                claimed = paid_out
                out.tx_fee[t] = 0
            elif known:
                fee = paid_in - paid_out
                if fee < 0:
                    return NEGATIVE_FEE, b, t, -1
                out.tx_fee[t] = fee
                fees += fee
                if fees > max_money:
                    return VALUE_RANGE, b, t, -1
            else:
                out.tx_fee[t] = UNKNOWN
                fees_known = False

        if fees_known and subsidies[b] >= 0 and claimed > subsidies[b] + fees:
            return COINBASE_CLAIM, b, block_tx, -1
        out.block_fees[b] = fees if fees_known else UNKNOWN
        out.addresses_end[b] = addresses
        out.unspent_value[b] = unspent_value
        out.utxo_coins[b] = utxo_coins
        out.utxo_value[b] = utxo_value
    return OK, -1, -1, -1


@kernel
def withdraw(
    stored_coin_address: I64, previous: I64, input_coin: I64, spent_by: I64, last_coin: I64, coins: int, inputs: int
) -> None:
    """Undo the in-place marks of all coins from `coins` on and all inputs from `inputs` on."""
    for i in range(inputs, input_coin.size):
        if input_coin[i] >= 0:
            spent_by[input_coin[i]] = UNSPENT
    for coin in range(previous.size - 1, coins - 1, -1):
        last_coin[stored_coin_address[coin]] = previous[coin]


def allocate(blocks: int, txs: int, inputs: int, coins: int) -> Joined:
    """Columns for a batch of those counts."""
    return Joined(
        input_coin=np.empty(inputs, np.int64),
        tx_fee=np.empty(txs, np.int64),
        coin_address=np.empty(coins, np.int64),
        previous=np.empty(coins, np.int64),
        spent_by=np.empty(coins, np.int64),
        new_script=np.empty(coins, np.int64),
        new_script_length=np.empty(coins, np.int64),
        new_kind=np.empty(coins, np.uint8),
        block_fees=np.empty(blocks, np.int64),
        addresses_end=np.empty(blocks, np.int64),
        unspent_value=np.empty(blocks, np.int64),
        utxo_coins=np.empty(blocks, np.int64),
        utxo_value=np.empty(blocks, np.int64),
    )
