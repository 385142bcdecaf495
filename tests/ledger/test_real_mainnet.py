"""Mainnet's first 4,313 blocks, and a made-up fork of its first five, against what Bitcoin Core says of them."""

from __future__ import annotations

import bz2
import gzip
import json
import shutil
from dataclasses import replace
from itertools import permutations
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from naive import is_unspent

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

MAINNET = NETWORKS["mainnet"]


@pytest.fixture(scope="module")
def core_blocks(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A Bitcoin Core folder as it lies on disk: XORed, with a pre-allocated tail."""
    packed, folder = data / "bitcoin" / "core-datadir", tmp_path_factory.mktemp("core") / "blocks"
    folder.mkdir()
    for name in ("blk00000.dat", "rev00000.dat"):
        (folder / name).write_bytes(gzip.decompress((packed / f"{name}.gz").read_bytes()))
    shutil.copy(packed / "xor.dat", folder)
    return folder


@pytest.fixture(scope="module")
def ledger(core_blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ledger") / "mainnet"
    ingest([core_blocks], folder)
    return folder


@pytest.fixture(scope="module")
def plain(data: Path) -> Path:
    return data / "bitcoin" / "mainnet-0-4312" / "blk00000.dat"


@pytest.fixture(scope="module")
def said(data: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((data / "bitcoin" / "core-datadir" / "expected.json").read_text())
    return document


def test_every_height_is_what_bitcoin_core_says(ledger: Path, said: dict[str, Any]) -> None:
    snapshot = Snapshot(ledger)
    first_tx = snapshot["blocks.first_tx"]
    first_input = snapshot["transactions.first_input"][first_tx]
    for row, block in enumerate(said["blocks"]):
        assert block["height"] == snapshot.height_of(row) == row
        assert block["hash"] == snapshot.block_hash(row)
        assert block["time"] == snapshot.block_time(row)
        assert block["txs"] == first_tx[row + 1] - first_tx[row]
        assert block["spent_inputs"] == first_input[row + 1] - first_input[row]
        assert block["fees"] == snapshot["blocks.fees"][row]
    assert len(said["blocks"]) == snapshot.counts["blocks"] == 4313


def test_the_totals_are_bitcoin_cores(ledger: Path, said: dict[str, Any]) -> None:
    info = Snapshot(ledger).info()
    assert info["tip"] == said["tip_hash"] == "00000000a9da635727dce622d78361b153ce3334e6a60d4377fad529abfc7863"
    assert info["transactions"] == said["txs"] == 4371
    assert info["inputs"] == said["non_coinbase_inputs"] == 247
    assert info["fees"] == said["total_fees_sat"] == 201_000_000
    assert info["unspent_coins"] == said["utxo_count"] == 4150
    assert info["unspent_value"] == said["utxo_total_sat"] == 21_565_000_000_000
    assert info["utxo_set_coins"] == 4149, "genesis is no coin of the UTXO set"
    assert info["utxo_set_value"] == 21_565_000_000_000 - 5_000_000_000
    assert (info["network"], info["height"], info["first_height"]) == ("mainnet", 4312, 0)
    assert check(ledger) == []


def test_a_plain_file_gives_the_same_ledger(ledger: Path, plain: Path, tmp_path: Path) -> None:
    info = ingest([plain], tmp_path / "plain")
    assert info["digest"] == Snapshot(ledger).digest
    assert info["added_blocks"] == 4313


def test_steps_and_tiny_batches_give_the_same_ledger(ledger: Path, plain: Path, tmp_path: Path) -> None:
    whole = Snapshot(ledger)
    tiny = replace(MAINNET, max_block_bytes=12_000)
    for height in (0, 1, 169, 170, 3000, None):
        ingest([plain], tmp_path / "stepped", to_height=height, memory_mb=0, network=tiny)
    stepped = Snapshot(tmp_path / "stepped")
    assert stepped.digest == whole.digest
    spent = whole.counts["inputs"]
    assert np.array_equal(np.minimum(stepped["coins.spent_by"], spent), np.minimum(whole["coins.spent_by"], spent))
    assert check(stepped.folder) == []


def test_the_first_payment_of_all(ledger: Path) -> None:
    """Block 170: ten coins of block 9's coinbase, and change."""
    snapshot = Snapshot(ledger)
    payment = snapshot.find_transaction("f4184fc596403b9d638783cf57adfe4c75c605f6356fbc91338530e9831e9e16")
    assert snapshot.block_of(payment) == 170
    coin = int(snapshot["inputs.coin"][snapshot["transactions.first_input"][payment]])
    assert snapshot.coin_name(coin) == "0437cd7f8525ceed2324359c2d0ba26006d92d856a9c20fa0241106ee5a597c9:0"
    first = int(snapshot["transactions.first_coin"][payment])
    assert snapshot["coins.value"][first : first + 2].tolist() == [1_000_000_000, 4_000_000_000]
    assert snapshot["coins.address"][coin] == snapshot["coins.address"][first + 1]
    owner = int(snapshot["coins.address"][coin])
    assert snapshot.address_name(owner).startswith("script:")
    assert first + 1 in snapshot.coins_of(owner)
    assert not is_unspent(snapshot, coin)


# The made-up fork: main branch 0 to 4; 3A, 4A and 5A after block 2.


@pytest.fixture(scope="module")
def branches(data: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("reorg")
    unpacked = {}
    for packed in sorted((data / "bitcoin" / "reorg").glob("*.bz2")):
        path = folder / packed.name.removesuffix(".bz2")
        path.write_bytes(bz2.decompress(packed.read_bytes()))
        unpacked[path.name.removeprefix("blk_").removesuffix(".dat")] = path
    return unpacked


SIDE = ("3A", "4A", "5A")


@pytest.fixture(scope="module")
def side_won(branches: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("reorg-ledger") / "side"
    ingest([branches[name] for name in ("0_to_4", *SIDE)], folder)
    return Snapshot(folder)


def test_the_side_branch_wins(side_won: Snapshot, branches: dict[str, Path]) -> None:
    assert side_won.height == 5
    tip = branches["5A"].read_bytes()[8:]
    assert bytes(side_won["blocks.header"][5]) == tip[:80]
    assert bytes(side_won["blocks.header"][3]) == branches["3A"].read_bytes()[8:88]
    assert check(side_won.folder) == []


@pytest.mark.parametrize("order", list(permutations(("0_to_4", *SIDE))), ids="-".join)
def test_the_side_branch_wins_in_any_order_of_files(
    side_won: Snapshot, branches: dict[str, Path], order: tuple[str, ...], tmp_path: Path
) -> None:
    info = ingest([branches[name] for name in order], tmp_path / "ledger")
    assert info["height"] == 5
    assert info["digest"] == side_won.digest
    assert "2 blocks lie on losing branches; passed over" in info["notes"]


@pytest.mark.parametrize("steps", [[SIDE], [SIDE[:1], SIDE], [SIDE[:2], SIDE], [SIDE[::-1]]], ids=str)
def test_a_ledger_of_the_main_branch_gives_way(
    side_won: Snapshot, branches: dict[str, Path], steps: list[tuple[str, ...]], tmp_path: Path
) -> None:
    folder = tmp_path / "ledger"
    main = ingest([branches["0_to_4"]], folder)
    assert main["height"] == 4
    for names in steps[:-1]:
        kept = ingest([branches[name] for name in names], folder)
        assert kept["digest"] == main["digest"], "as much work is not more"
    info = ingest([branches[name] for name in steps[-1]], folder)
    assert info["digest"] == side_won.digest
    assert "a chain with more work replaced 2 blocks after height 2" in info["notes"]
    assert check(folder) == []
    again = ingest([branches["0_to_4"]], folder)
    assert again["digest"] == side_won.digest


def test_blocks_1_to_255_go_on_from_genesis(branches: dict[str, Path], plain: Path, tmp_path: Path) -> None:
    genesis = tmp_path / "genesis.dat"
    genesis.write_bytes(plain.read_bytes()[: 8 + 285])
    info = ingest([genesis, branches["blocks1-256"]], tmp_path / "ledger")
    assert info["height"] == 255
    assert ingest([plain], tmp_path / "other", to_height=255)["digest"] == info["digest"]
    continued = ingest([genesis], tmp_path / "continued")
    assert continued["height"] == 0
    assert ingest([branches["blocks1-256"]], tmp_path / "continued")["digest"] == info["digest"]
