"""The chain that ingestion is measured on: right in every sum, of realistic make."""

from __future__ import annotations

from itertools import islice
from typing import Any

import numpy as np
import pytest
from bench import chain

from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

BLOCK_WEIGHT = 400_000
Made = tuple[chain.Chain, Snapshot, dict[str, Any]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    """A small chain, its ledger, and what ingestion said."""
    folder = tmp_path_factory.mktemp("chain")
    sums = chain.write(folder / "blocks", 1_000_000, block_weight=BLOCK_WEIGHT)
    info = ingest([folder / "blocks"], folder / "ledger")
    return sums, Snapshot(folder / "ledger"), info


def _blocks(seed: int) -> bytes:
    made = chain.Chain(seed, BLOCK_WEIGHT)
    blocks = made.blocks()
    return b"".join(islice(blocks, made.first_full + 2))


def test_a_made_up_chain_is_taken_whole(made: Made) -> None:
    sums, _, info = made
    assert info["blocks"] > sums.first_full + 3
    assert info["transactions"] == sums.transactions + info["blocks"]
    assert info["notes"] == []


def test_every_satoshi_is_accounted_for(made: Made) -> None:
    sums, _, info = made
    assert info["fees"] == sums.fees > 0
    assert info["unspent_value"] == sum(chain.REGTEST.subsidy(height) for height in range(info["height"] + 1))


def test_payments_have_realistic_sizes(made: Made) -> None:
    sums, ledger, _ = made
    first = int(ledger["blocks.first_tx"][sums.first_full])
    coinbases = ledger["blocks.first_tx"][sums.first_full : -1] - first
    assert np.delete(ledger["transactions.size"][first:], coinbases).mean() >= 400
    inputs = np.delete(np.diff(ledger["transactions.first_input"][first:]), coinbases)
    outputs = np.delete(np.diff(ledger["transactions.first_coin"][first:]), coinbases)
    assert set(inputs) == {1, 2, 3, 4, 5}
    assert set(outputs) == {1, 2, 3, 4, 5, 6}


def test_half_of_all_payments_go_to_addresses_seen_before(
    made: Made,
) -> None:
    info = made[2]
    assert 0.4 < info["addresses"] / info["coins"] < 0.7


def test_no_block_is_heavier_than_asked_and_no_coinbase_is_spent_young(
    made: Made,
) -> None:
    ledger = made[1]
    first_tx = ledger["blocks.first_tx"]
    weights = np.add.reduceat(ledger["transactions.weight"].astype(np.int64), first_tx[:-1])
    assert weights.max() <= BLOCK_WEIGHT
    for block in range(ledger.counts["blocks"]):
        spender = int(ledger["coins.spent_by"][ledger["transactions.first_coin"][first_tx[block]]])
        if spender < ledger.counts["inputs"]:
            transaction = int(np.searchsorted(ledger["transactions.first_input"], spender, "right")) - 1
            assert ledger.block_of(transaction) - block >= chain.MATURITY


def test_the_same_seed_makes_the_same_bytes() -> None:
    assert _blocks(1) == _blocks(1)
    assert _blocks(1) != _blocks(2)
