"""The ledger as a plain reader would keep it: lists and dictionaries, one coin after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from chain_builder import REGTEST

from calibar.chains.bitcoin.script import address_of
from calibar.chains.bitcoin.transaction import Block
from calibar.errors import UsageError
from calibar.ledger.check import check
from calibar.ledger.snapshot import Snapshot

UNSPENT = np.iinfo(np.int64).max


@dataclass
class Coin:
    name: str
    value: int
    script: bytes
    spent_by: int | None = None


@dataclass
class Model:
    """What a ledger of `blocks` must say."""

    blocks: Sequence[Block]
    txids: list[str] = field(default_factory=list)
    latest: dict[str, int] = field(default_factory=dict)
    """Transaction by txid; the later one where two have the same."""
    fees: list[int] = field(default_factory=list)
    block_fees: list[int] = field(default_factory=list)
    coins: list[Coin] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    """Coin that each input spends."""
    scripts: dict[bytes, list[int]] = field(default_factory=dict)
    """Coins by script, in the order first seen."""
    unspent_value: list[int] = field(default_factory=list)
    utxo: list[tuple[int, int]] = field(default_factory=list)
    """Coins and value after each block, as Bitcoin Core counts."""

    def __post_init__(self) -> None:
        named: dict[str, int] = {}
        core: dict[str, int] = {}
        for height, block in enumerate(self.blocks):
            fees = 0
            for place, tx in enumerate(block.transactions):
                paid_in = 0
                for txin in tx.inputs if place else ():
                    spent = named[txin.coin]
                    self.coins[spent].spent_by = len(self.inputs)
                    self.inputs.append(spent)
                    paid_in += self.coins[spent].value
                    core.pop(txin.coin)
                self.latest[tx.txid] = len(self.txids)
                self.txids.append(tx.txid)
                for vout, output in enumerate(tx.outputs):
                    name = f"{tx.txid}:{vout}"
                    self.scripts.setdefault(output.script, []).append(len(self.coins))
                    named[name] = len(self.coins)
                    self.coins.append(Coin(name, output.value, output.script))
                    if height and not output.script.startswith(b"\x6a") and len(output.script) <= 10_000:
                        core[name] = output.value
                fee = paid_in - sum(output.value for output in tx.outputs) if place else 0
                self.fees.append(fee)
                fees += fee
            self.block_fees.append(fees)
            self.unspent_value.append(sum(made.value for made in self.coins if made.spent_by is None))
            self.utxo.append((len(core), sum(core.values())))


def is_unspent(snapshot: Snapshot, coin: int) -> bool:
    """Whether nothing in this snapshot spends a coin: a mark at or above its inputs is a later one, or none."""
    return int(snapshot["coins.spent_by"][coin]) >= snapshot.counts["inputs"]


def assert_agrees(ledger: Snapshot | Path, model: Model) -> None:
    """Every column, lookup and total of the ledger is the model's."""
    snapshot = Snapshot(ledger) if isinstance(ledger, Path) else ledger
    _assert_columns(snapshot, model)
    _assert_lookups(snapshot, model)
    info = snapshot.info()
    assert info["height"] == len(model.blocks) - 1
    assert info["tip"] == model.blocks[-1].hash
    assert info["bytes"] == sum(len(block.serialise()) for block in model.blocks)
    assert info["unspent_coins"] == sum(coin.spent_by is None for coin in model.coins)
    assert info["unspent_value"] == model.unspent_value[-1]
    assert (info["utxo_set_coins"], info["utxo_set_value"]) == model.utxo[-1]
    assert info["fees"] == sum(model.fees)
    assert info["addresses"] == len(model.scripts)
    assert info["unknown_inputs"] == 0
    assert check(snapshot.folder) == []


def _assert_columns(snapshot: Snapshot, model: Model) -> None:
    blocks, txs = model.blocks, [tx for block in model.blocks for tx in block.transactions]
    spenders = [tx for block in blocks for tx in block.transactions[1:]]

    def column(key: str) -> list[int]:
        return list(snapshot[key].tolist())

    rows = range(len(blocks))
    assert [snapshot.block_hash(row) for row in rows] == [block.hash for block in blocks]
    assert [snapshot.block_time(row) for row in rows] == [block.header.time for block in blocks]
    assert [bytes(row) for row in snapshot["blocks.header"]] == [block.header.serialise() for block in blocks]
    assert [int.from_bytes(bytes(row)) for row in snapshot["blocks.work"]] == [2 * (row + 1) for row in rows]
    assert np.diff(snapshot["blocks.first_tx"]).tolist() == [len(block.transactions) for block in blocks]
    assert column("blocks.fees") == model.block_fees
    assert column("blocks.unspent_value") == model.unspent_value
    assert list(zip(column("blocks.utxo_coins"), column("blocks.utxo_value"), strict=True)) == model.utxo
    assert bytes(snapshot["coinbases.byte"]) == b"".join(b.transactions[0].inputs[0].script_sig for b in blocks)
    assert [snapshot.txid(row) for row in range(len(txs))] == model.txids
    assert column("transactions.version") == [tx.version for tx in txs]
    assert column("transactions.locktime") == [tx.locktime for tx in txs]
    assert column("transactions.size") == [len(tx.serialise()) for tx in txs]
    assert column("transactions.weight") == [tx.weight for tx in txs]
    assert column("transactions.fee") == model.fees
    assert column("inputs.coin") == model.inputs
    assert column("inputs.sequence") == [txin.sequence for tx in spenders for txin in tx.inputs]
    assert column("coins.value") == [made.value for made in model.coins]
    spent_by = [len(model.inputs) if made.spent_by is None else made.spent_by for made in model.coins]
    assert np.minimum(snapshot["coins.spent_by"], len(model.inputs)).tolist() == spent_by
    owners = {script: identity for identity, script in enumerate(model.scripts)}
    assert column("coins.address") == [owners[made.script] for made in model.coins]


def _assert_lookups(snapshot: Snapshot, model: Model) -> None:
    for txid, row in model.latest.items():
        assert snapshot.find_transaction(txid) == row
    with pytest.raises(UsageError):
        snapshot.find_transaction("ab" * 32)
    for row, made in enumerate(model.coins):
        assert snapshot.coin_name(row) == made.name
    for identity, (script, coins) in enumerate(model.scripts.items()):
        assert snapshot.script(identity) == script
        assert snapshot.coins_of(identity).tolist() == coins
        assert snapshot.find_address(f"script:{hashlib.sha256(script).hexdigest()}") == identity
        name = address_of(script, REGTEST)
        assert snapshot.address_name(identity) == name
        if not name.startswith("script:"):
            assert snapshot.find_address(name) == identity
    assert snapshot.find_address("script:" + "ab" * 32) is None
