"""A case as a ledger: the same tables, lookups and questions as a chain's, of the transactions that the case has."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.script import script_of
from calibar.chains.bitcoin.sources.told import Outpoint
from calibar.chains.bitcoin.transaction import compact_size
from calibar.collection import uncollected
from calibar.errors import ChainError, UsageError
from calibar.kernels import blocks as kernels
from calibar.kernels import spends
from calibar.kernels.blocks import Decoded
from calibar.kernels.spends import Joined, Stored
from calibar.ledger.case.order import Block, ordered
from calibar.ledger.case.state import State
from calibar.ledger.case.transactions import Transaction
from calibar.ledger.manifest import Manifest
from calibar.ledger.schema import UNKNOWN
from calibar.ledger.snapshot import Snapshot

_HEADER = 80
_NO_HEADER = bytes(_HEADER)
_REASONS = {
    spends.MISSING_COIN: "spends a coin that does not exist",
    spends.DOUBLE_SPEND: "spends a coin that another transaction of the case spends too",
    spends.NEGATIVE_FEE: "pays out more than it takes in",
    spends.VALUE_RANGE: "moves more than can exist",
    spends.UNSPENDABLE: "spends a coin that nobody can spend",
    spends.OWN_COINBASE: "spends its own block's coinbase",
}


class CaseSnapshot(Snapshot):
    """A case's facts at one moment. What it does not know it says: values, spends, heights may be unknown."""

    @uncollected()
    def __init__(self, folder: Path, state: State) -> None:
        """Lay the facts out in columns. Raises ChainError where they contradict each other."""
        self.folder, self.state = folder, state
        self._blocks = ordered(state.transactions, state.places)
        self._columns = _columns(self._blocks, state)
        counts = {
            "blocks": len(self._blocks),
            "transactions": self._columns["transactions.version"].size,
            "coins": self._columns["coins.value"].size,
            "inputs": self._columns["inputs.coin"].size,
            "addresses": self._columns["addresses.kind"].size,
        }
        self.manifest = Manifest(state.network.name, True, 0, True, 0, counts, {}, {})
        self._by_key = {}

    @property
    def network(self) -> Network:
        """The case's network."""
        return self.state.network

    @property
    def is_case(self) -> bool:
        """Whether it holds single transactions rather than whole blocks."""
        return True

    @property
    def height(self) -> int:
        """Height of the last block that the case knows of; -1 where it knows of none."""
        return self.state.tip

    def is_current(self) -> bool:
        """It never changes."""
        return True

    def height_of(self, block: int) -> int | None:
        """Height of a block's row; None for transactions whose place is not shown."""
        return self._blocks[block].height

    def tip(self) -> tuple[int | None, str | None]:
        """Height and hash of the last block that the case knows of."""
        top = self.state.tip
        return (top, self.state.chain.hashes[top][::-1].hex()) if top >= 0 else (None, None)

    def as_of(self, height: int | None) -> tuple[int, int | None]:
        """How many rows of blocks are looked at, and up to which height. What is in no block yet is not looked at."""
        if not self._blocks:
            raise UsageError(f"the case in {self.folder} has no transactions yet; fetch some first")
        top = self.state.tip
        if top < 0 and height is None:
            return len(self._blocks), None
        if height is not None and not 0 <= height <= top:
            raise UsageError(f"--as-of {height} is outside the case, which knows the chain up to height {top}")
        height = top if height is None else height
        rows = (i for i, block in enumerate(self._blocks) if block.height is not None and block.height <= height)
        last = max(rows, default=-1)
        if last < 0:
            raise UsageError(f"the case in {self.folder} has no transaction shown to be in a block up to {height}")
        return last + 1, height

    def is_proven(self, transaction: int) -> bool:
        """Whether a transaction is shown to be in a block that leads to a known one."""
        return self.state.is_proven(self._transactions[transaction].txid)

    def who_says_unspent(self, coin: int, height: int | None) -> list[str] | None:
        """Servers by whose word nothing spends a coin up to a height; None where nobody was asked that far.

        Nobody's word is needed (an empty list) where a later transaction is proven to spend it.
        """
        if height is None:
            return None
        spender = self.state.spender_of(self.outpoint(coin))
        if spender in self.state.places and self.state.places[spender].height > height:
            return []
        said = self.state.looked_at(self.outpoint(coin), hashlib.sha256(self.script_of_coin(coin)).digest())
        reached = sorted(place for place, known in said.items() if known >= height)
        return reached or None

    def pending_spender(self, coin: int) -> str | None:
        """The transaction in no block yet that is said to spend a coin."""
        script_hash = hashlib.sha256(self.script_of_coin(coin)).digest()
        found = self.state.pending_spender(self.outpoint(coin), script_hash)
        return None if found is None else found[::-1].hex()

    def caveats(self, references: Sequence[str]) -> dict[str, Any]:
        """That it is a case, by its digest; of each address among REFs whether its history is known whole."""
        histories = {}
        for text in references:
            if len(text.partition(":")[0]) != 64:
                found = self.find_address(text)
                digest = hashlib.sha256(self.script(found)).digest() if found is not None else b""
                histories[text] = self.state.is_whole(digest)
        return {"case": self.digest, "histories": histories}

    # Names, which a trail asks for often: from the transactions themselves rather than from the columns.

    @cached_property
    def _transactions(self) -> list[Transaction]:
        return [read for block in self._blocks for read in block.transactions]

    @cached_property
    def _coins(self) -> list[tuple[int, int]]:
        """Of each coin its transaction and its place among the outputs."""
        return [(i, n) for i, read in enumerate(self._transactions) for n in range(len(read.outputs))]

    def txid(self, transaction: int) -> str:
        """Id of a transaction, as displayed."""
        return self._transactions[transaction].name

    def transaction_of(self, coin: int) -> int:
        """The transaction that made a coin."""
        return self._coins[coin][0]

    def coin_name(self, coin: int) -> str:
        """`txid:vout` of a coin."""
        transaction, output = self._coins[coin]
        return f"{self._transactions[transaction].name}:{output}"

    def outpoint(self, coin: int) -> Outpoint:
        """A coin's name as on the wire."""
        transaction, output = self._coins[coin]
        return Outpoint(self._transactions[transaction].txid, output)

    def script_of_coin(self, coin: int) -> bytes:
        """The script that guards a coin."""
        transaction, output = self._coins[coin]
        return self._transactions[transaction].outputs[output].script

    # Lookups.

    @cached_property
    def _ids(self) -> dict[bytes, int]:
        return {bytes(row): i for i, row in enumerate(self["transactions.txid"])}

    @cached_property
    def _addresses(self) -> dict[bytes, int]:
        return {hashlib.sha256(self.script(i)).digest(): i for i in range(self.counts["addresses"])}

    def find_transaction(self, txid: str) -> int:
        """Id of the transaction with this id; raises UsageError where the case has none."""
        if (found := self.maybe_transaction(txid)) is not None:
            return found
        raise UsageError(f"no transaction {txid} in the case in {self.folder}; fetch it with --source")

    def maybe_transaction(self, txid: str) -> int | None:
        """Id of the transaction with this id; None where the case has none."""
        return self._ids.get(bytes.fromhex(txid)[::-1])

    def find_transactions(self, hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Ids of transactions by hashes (n, 32) in wire order; -1 where the case has none."""
        return np.array([self._ids.get(row.tobytes(), -1) for row in hashes], np.int64)

    def find_script(self, digest: bytes) -> int | None:
        """Id of the address whose script has this SHA-256; None where no coin of the case is paid to it."""
        return self._addresses.get(digest)

    def coins_of(self, address: int) -> NDArray[np.int64]:
        """All coins of the case that are paid to an address, in chain order."""
        return np.flatnonzero(self["coins.address"] == address)

    # The whole.

    @cached_property
    def digest(self) -> str:
        """SHA-256 over the transactions and their places, in the order of the tables."""
        total = hashlib.sha256(self.state.network.name.encode())
        for block in self._blocks:
            total.update(f"\n{block.height}".encode())
            for read in block.transactions:
                total.update(read.txid)
        return total.hexdigest()

    def info(self) -> dict[str, Any]:
        """What the case holds, as `calibar ledger info --json` prints it; amounts in satoshi, unknown is None."""
        height, tip = self.tip()
        transactions = range(self.counts["transactions"])
        return {
            "network": self.manifest.network,
            "case": True,
            "height": height,
            "tip": tip,
            "transactions": len(transactions),
            "proven_transactions": sum(map(self.is_proven, transactions)),
            "coins": self.counts["coins"],
            "inputs": self.counts["inputs"],
            "addresses": self.counts["addresses"],
            "unknown_inputs": int(np.count_nonzero(self["inputs.coin"] == UNKNOWN)),
            "headers": len(self.state.chain.headers),
            "refused": [{"place": place, "what": what} for place, what in self.state.refused],
            "servers": sorted({*self.state.sources.values(), *self.state.tips}),
            "digest": self.digest,
        }


def address_digest(text: str, network: Network) -> bytes:
    """SHA-256 of the script that an address stands for. Raises AddressError."""
    return hashlib.sha256(script_of(text, network)).digest()


def _columns(blocks: list[Block], state: State) -> dict[str, NDArray[Any]]:
    parts, sizes = [], []
    for block in blocks:
        header = _NO_HEADER if block.height is None else state.chain.headers[block.height]
        pieces = [header, compact_size(len(block.transactions)), *(read.data for read in block.transactions)]
        parts += pieces
        sizes.append(sum(map(len, pieces)))
    data: NDArray[np.uint8] = np.frombuffer(bytearray(b"".join(parts)), np.uint8)
    ends = np.cumsum(np.array(sizes, np.int64), dtype=np.int64)
    starts = ends - np.array(sizes, np.int64)
    out = kernels.allocate(len(blocks), data.size)
    status, at_block, _, txs, inputs, coins = kernels.decode(
        data, starts, ends, state.network.max_money, False, False, out
    )
    if status != kernels.OK:
        raise ChainError(f"transactions of the case at height {blocks[at_block].height} cannot be read as a block's")
    out = kernels.trim(out, txs, inputs, coins)
    script_hash = np.empty(coins, np.uint64)
    kernels.script_hashes(data, out.script, out.script_length, script_hash)
    joined = _join(data, out, script_hash, state.network.max_money, len(blocks))
    addresses = int(joined.addresses_end[-1]) if blocks else 0
    script, length = joined.new_script[:addresses], joined.new_script_length[:addresses]
    scripts = np.empty(int(length.sum()), np.uint8)
    kernels.gather(data, script, length, scripts)
    columns: dict[str, NDArray[Any]] = {
        "blocks.header": data[starts[:, None] + np.arange(_HEADER)] if blocks else np.empty((0, _HEADER), np.uint8),
        "blocks.first_tx": out.tx_end,
        "transactions.txid": out.txid,
        "transactions.version": out.version,
        "transactions.locktime": out.locktime,
        "transactions.size": out.tx_size,
        "transactions.weight": out.tx_weight,
        "transactions.fee": joined.tx_fee,
        "transactions.first_input": out.first_input,
        "transactions.first_coin": out.first_coin,
        "coins.value": out.value,
        "coins.address": joined.coin_address,
        "coins.spent_by": joined.spent_by,
        "inputs.coin": joined.input_coin,
        "inputs.sequence": out.sequence,
        "addresses.kind": joined.new_kind[:addresses],
        "addresses.first_byte": np.concatenate([np.zeros(1, np.int64), np.cumsum(length, dtype=np.int64)]),
        "scripts.byte": scripts,
    }
    for column in columns.values():
        column.flags.writeable = False
    return columns


def _join(
    data: NDArray[np.uint8], out: Decoded, script_hash: NDArray[np.uint64], max_money: int, blocks: int
) -> Joined:
    """Which coin each input spends, which address each coin pays: the ledger's own kernel, from nothing."""
    txs, coins = out.version.size, out.value.size
    none, no_bytes = np.empty(0, np.int64), np.empty(0, np.uint8)
    tx_slots, address_slots = (np.zeros(1 << max(4, (2 * rows).bit_length()), np.uint64) for rows in (txs, coins))
    stored = Stored(
        txid=np.empty((0, 32), np.uint8),
        first_coin=np.zeros(1, np.int64),
        value=none,
        coin_address=none,
        script_start=np.zeros(1, np.int64),
        scripts=no_bytes,
        kind=no_bytes,
        tx_slots=tx_slots,
        address_slots=address_slots,
        spent_by=none,
        last_coin=np.full(max(coins, 1), -1, np.int64),
    )
    joined = spends.allocate(blocks, txs, out.sequence.size, coins)
    nothing, no_subsidy = np.zeros(4, np.int64), np.full(blocks, -1, np.int64)
    status, _, tx, _ = spends.join(data, out, script_hash, stored, joined, nothing, no_subsidy, True, False, max_money)
    if status != spends.OK:
        name = bytes(out.txid[tx])[::-1].hex()
        raise ChainError(f"transaction {name} {_REASONS.get(status, 'is not valid')}; a server told what cannot be")
    return joined
