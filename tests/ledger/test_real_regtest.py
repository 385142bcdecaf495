"""A whole Bitcoin Core regtest chain with mixing wallets, against Core's own JSON of every block."""

from __future__ import annotations

import gzip
import json
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from naive import is_unspent

from calibar.chains.bitcoin.script import ScriptKind
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

KINDS = {
    "pubkey": "p2pk",
    "pubkeyhash": "p2pkh",
    "scripthash": "p2sh",
    "witness_v0_keyhash": "p2wpkh",
    "witness_v0_scripthash": "p2wsh",
    "witness_v1_taproot": "p2tr",
    "nulldata": "op-return",
    "multisig": "multisig",
}


@pytest.fixture(scope="module")
def folder(data: Path) -> Path:
    return data / "bitcoin" / "owned" / "wasabi2-regtest-10-wallets"


@pytest.fixture(scope="module")
def ledger(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    where = tmp_path_factory.mktemp("wasabi") / "ledger"
    ingest([folder / "blocks.dat"], where)
    return Snapshot(where)


@pytest.fixture(scope="module")
def said(folder: Path) -> list[dict[str, Any]]:
    paths = [folder / "block-json" / f"block_{height}.json" for height in range(324)]
    return [json.loads(path.read_text(), parse_float=Decimal) for path in paths]


def satoshi(value: Decimal) -> int:
    return int(value * 100_000_000)


def test_a_node_s_folder_gives_the_same_ledger(folder: Path, ledger: Snapshot, tmp_path: Path) -> None:
    blocks = tmp_path / "blocks"
    blocks.mkdir()
    packed = (folder / "core-blocks" / "blk00000.dat.gz").read_bytes()
    (blocks / "blk00000.dat").write_bytes(gzip.decompress(packed))
    shutil.copy(folder / "core-blocks" / "xor.dat", blocks)
    info = ingest([blocks], tmp_path / "ledger")
    assert info["network"] == "regtest"
    assert info["digest"] == ledger.digest
    assert check(ledger.folder) == []


def test_every_height_is_what_bitcoin_core_says(folder: Path, ledger: Snapshot) -> None:
    expected = json.loads((folder / "expected.json").read_text())
    info = ledger.info()
    assert info["height"] == expected["tip_height"] == 323
    assert info["tip"] == expected["tip_hash"]
    assert info["transactions"] == expected["txs"]
    assert info["inputs"] == expected["non_coinbase_inputs"]
    assert info["fees"] == expected["total_fees_sat"]
    assert info["unspent_coins"] == expected["utxo_count"]
    assert info["unspent_value"] == expected["utxo_total_sat"]
    first_tx = ledger["blocks.first_tx"]
    first_input = ledger["transactions.first_input"][first_tx]
    assert [
        {
            "height": row,
            "hash": ledger.block_hash(row),
            "time": ledger.block_time(row),
            "txs": int(first_tx[row + 1] - first_tx[row]),
            "spent_inputs": int(first_input[row + 1] - first_input[row]),
            "fees": int(ledger["blocks.fees"][row]),
        }
        for row in range(324)
    ] == expected["blocks"]


def test_every_transaction_is_what_bitcoin_core_says(ledger: Snapshot, said: list[dict[str, Any]]) -> None:
    tx = coin = spend = 0
    for row, block in enumerate(said):
        assert int(ledger["blocks.size"][row]) == block["size"]
        assert int.from_bytes(bytes(ledger["blocks.work"][row])) == int(block["chainwork"], 16)
        for place, transaction in enumerate(block["tx"]):
            assert ledger.txid(tx) == transaction["txid"]
            assert ledger.find_transaction(transaction["txid"]) == tx
            assert ledger.block_of(tx) == row
            for field, key in (("size", "size"), ("weight", "weight"), ("locktime", "locktime")):
                assert int(ledger[f"transactions.{field}"][tx]) == transaction[key]
            assert int(ledger["transactions.version"][tx]) == transaction["version"]
            fee = satoshi(transaction.get("fee", Decimal(0)))
            assert int(ledger["transactions.fee"][tx]) == fee
            for txin in transaction["vin"] if place else ():
                spent = int(ledger["inputs.coin"][spend])
                assert ledger.coin_name(spent) == f"{txin['txid']}:{txin['vout']}"
                assert int(ledger["inputs.sequence"][spend]) == txin["sequence"]
                assert int(ledger["coins.spent_by"][spent]) == spend
                spend += 1
            for output in transaction["vout"]:
                script = output["scriptPubKey"]
                owner = int(ledger["coins.address"][coin])
                assert ledger.coin_name(coin) == f"{transaction['txid']}:{output['n']}"
                assert int(ledger["coins.value"][coin]) == satoshi(output["value"])
                assert ledger.script(owner).hex() == script["hex"]
                assert ScriptKind(int(ledger["addresses.kind"][owner])).label == KINDS[script["type"]]
                if "address" in script:
                    assert ledger.address_name(owner) == script["address"]
                    assert ledger.find_address(script["address"]) == owner
                coin += 1
            tx += 1
    assert (tx, coin, spend) == tuple(ledger.counts[table] for table in ("transactions", "coins", "inputs"))


def test_coinbase_scripts_are_kept(ledger: Snapshot, said: list[dict[str, Any]]) -> None:
    start = ledger["blocks.first_coinbase_byte"]
    for row, block in enumerate(said):
        script = bytes(ledger["coinbases.byte"][start[row] : start[row + 1]])
        assert script.hex() == block["tx"][0]["vin"][0]["coinbase"]


def test_the_unspent_coins_of_the_wallets_are_unspent(folder: Path, ledger: Snapshot) -> None:
    """What each wallet itself said it had at the end."""
    seen = 0
    for path in sorted((folder / "wallets").glob("*/unspent_coins.json")):
        for entry in json.loads(path.read_text()):
            if not entry["confirmed"]:
                continue
            transaction = ledger.find_transaction(entry["txid"])
            coin = int(ledger["transactions.first_coin"][transaction]) + entry["index"]
            assert int(ledger["coins.value"][coin]) == entry["amount"]
            assert is_unspent(ledger, coin)
            owner = ledger.find_address(entry["address"])
            assert owner is not None
            assert coin in ledger.coins_of(owner)
            seen += 1
    assert seen > 0
