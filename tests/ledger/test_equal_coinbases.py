"""Two pairs of coinbases before BIP30 have equal txids: the later one's coins replace the earlier one's, not its id."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_builder import COIN, GENESIS, REWARD, Chain, coin, old_coinbase, pay, read_in, small_batches, unsynced
from naive import Model, assert_agrees, is_unspent

from calibar.chains.bitcoin.transaction import Transaction
from calibar.errors import ChainError
from calibar.ledger.snapshot import Snapshot

TWIN = old_coinbase((30 * COIN, "a"), (0, b"\x6a"), (20 * COIN, "b"))


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


def read_both_ways(folder: Path, chain: Chain) -> Snapshot:
    """In one batch, and in as many as there are blocks: the earlier twin is in the batch, or in the ledger."""
    snapshot = read_in(folder / "one", chain.blocks)
    others = read_in(folder / "many", chain.blocks, network=small_batches(chain.blocks), memory_mb=0)
    assert snapshot.digest == others.digest
    for ledger in (snapshot, others):
        assert_agrees(ledger, Model(chain.blocks))
    return snapshot


def test_an_overwritten_coinbase_leaves_the_utxo_set_but_no_count_of_ours(tmp_path: Path) -> None:
    chain = Chain()
    chain.seal(TWIN)
    chain.mine()
    chain.seal(TWIN)
    info = read_both_ways(tmp_path, chain).info()
    assert info["transactions"] == 4
    assert (info["unspent_coins"], info["unspent_value"]) == (9, 4 * REWARD)
    assert (info["utxo_set_coins"], info["utxo_set_value"]) == (3, 2 * REWARD)


def test_the_txid_names_the_latest(tmp_path: Path) -> None:
    chain = Chain()
    chain.seal(TWIN)
    chain.mine()
    chain.seal(TWIN)
    ledger = read_both_ways(tmp_path, chain)
    assert ledger.find_transaction(TWIN.txid) == 3
    assert ledger.coin_name(1) == ledger.coin_name(6) == coin(TWIN).coin
    owner = int(ledger["coins.address"][1])
    assert ledger.coins_of(owner).tolist() == [1, 6]


def test_a_spend_takes_the_latest(tmp_path: Path) -> None:
    """Spent before the twin came: nothing is overwritten. Spent after it: the later coin."""
    chain = Chain()
    chain.seal(TWIN)
    chain.mine(pay(coin(TWIN), (COIN, "c")))
    chain.seal(TWIN)
    chain.mine(pay([coin(TWIN, 2), coin(TWIN)], (COIN, "d")))
    chain.seal(TWIN)
    ledger = read_both_ways(tmp_path, chain)
    assert [int(c) for c in ledger["inputs.coin"]] == [1, 9, 7]
    assert [is_unspent(ledger, c) for c in (1, 3, 7, 9)] == [False, True, False, False]


def test_the_earlier_twin_cannot_be_spent_any_more(tmp_path: Path) -> None:
    chain = Chain()
    chain.seal(TWIN)
    chain.seal(TWIN)
    chain.mine(pay(coin(TWIN), (COIN, "c")))
    chain.mine(pay(coin(TWIN), (COIN, "d")))
    with pytest.raises(ChainError, match="spent already"):
        read_in(tmp_path / "ledger", chain.blocks)


def test_three_of_a_kind(tmp_path: Path) -> None:
    chain = Chain()
    for _ in range(3):
        chain.seal(TWIN)
        chain.mine()
    info = read_both_ways(tmp_path, chain).info()
    assert info["utxo_set_coins"] == 5
    assert info["unspent_coins"] == 16


def test_a_reorganisation_gives_the_earlier_twin_its_name_back(tmp_path: Path) -> None:
    chain = Chain()
    chain.seal(TWIN)
    chain.mine()
    side = chain.fork(2, "side").mine_empty(3)
    chain.seal(TWIN)
    ledger = read_in(tmp_path / "ledger", chain.blocks)
    assert ledger.find_transaction(TWIN.txid) == 3
    after = read_in(tmp_path / "ledger", side.blocks)
    assert after.find_transaction(TWIN.txid) == 1
    assert_agrees(after, Model(side.blocks))


def test_equal_transactions_that_spend_twins_are_kept_apart(tmp_path: Path) -> None:
    """The same bytes twice: the first spends the first twin, the second the second."""
    spend = pay(coin(TWIN), (30 * COIN, "c"))
    chain = Chain()
    for _ in range(2):
        chain.seal(TWIN)
        chain.mine(spend)
    ledger = read_both_ways(tmp_path, chain)
    assert ledger.find_transaction(spend.txid) == 6
    assert [int(c) for c in ledger["inputs.coin"]] == [1, 7]


def test_a_coinbase_equal_to_genesis_overwrites_nothing(tmp_path: Path) -> None:
    """Genesis' coin was never in the UTXO set, so it cannot leave it."""
    again: Transaction = GENESIS.transactions[0]
    chain = Chain()
    chain.seal(again)
    chain.mine(pay(coin(again), (COIN, "a")))
    info = read_both_ways(tmp_path, chain.fork(1, "")).info()
    assert (info["utxo_set_coins"], info["utxo_set_value"]) == (1, REWARD)
    read_both_ways(tmp_path / "spent", chain)
