"""A chain with more work replaces the ledger's, wholly or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_builder import COIN, Chain, coin, pay, read_in, small_batches, unsynced, write
from naive import Model, assert_agrees

from calibar.errors import ChainError, UsageError
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


def a_chain() -> Chain:
    chain = Chain()
    chain.mine_empty(3)
    return chain


ROOT = a_chain()
SPLIT = pay(coin(ROOT.coinbase(1)), (20 * COIN, "a"), (30 * COIN, "b"))


def main_chain(length: int = 4) -> Chain:
    """Block 4 on: the coins of blocks 1 to 3 are spent, new addresses appear, block after block."""
    chain = ROOT.fork(3, "main")
    chain.mine(SPLIT, pay(coin(ROOT.coinbase(2)), (COIN, "main only")))
    for number in range(length - 1):
        last = chain.tip.transactions[0]
        chain.mine(pay(coin(last), (COIN, f"main {number}"), (7, "a")))
    return chain


def side_chain(length: int = 5) -> Chain:
    """The same split, other spends of the same coins, other new addresses and some of the same."""
    chain = ROOT.fork(3, "side")
    chain.mine()
    chain.mine(pay(coin(ROOT.coinbase(3)), (COIN, "side only"), (2, "a")), SPLIT)
    for number in range(length - 2):
        chain.mine(
            pay(coin(SPLIT, number), (COIN, f"main {number}"))
            if number < 2
            else pay(coin(chain.coinbase(5 + number)), (3, f"side {number}"))
        )
    return chain


MAIN, SIDE = main_chain(), side_chain()


def test_the_new_chain_is_as_if_the_old_had_never_been(tmp_path: Path) -> None:
    fresh = read_in(tmp_path / "fresh", SIDE.blocks)
    read_in(tmp_path / "ledger", MAIN.blocks)
    ledger = read_in(tmp_path / "ledger", SIDE.blocks)
    assert_agrees(ledger, Model(SIDE.blocks))
    assert ledger.digest == fresh.digest
    assert ledger.manifest.generation == 1


def test_the_losing_branch_may_return_with_more_work(tmp_path: Path) -> None:
    """Back and forth: nothing of a chain given up is found by the next."""
    ledger = tmp_path / "ledger"
    for generation, chain in enumerate((main_chain(4), side_chain(5), main_chain(6), side_chain(7), main_chain(8))):
        snapshot = read_in(ledger, chain.blocks)
        assert_agrees(snapshot, Model(chain.blocks))
        assert snapshot.manifest.generation == generation


def test_a_losing_branch_that_is_longer_than_the_ledger_but_not_the_winner(tmp_path: Path) -> None:
    """Three branches at once: the deepest losing one is never applied."""
    third = ROOT.fork(3, "third").mine_empty(9)
    write(tmp_path / "blocks", MAIN.blocks, SIDE.blocks[4:], third.blocks[4:][::-1])
    read_in(tmp_path / "ledger", MAIN.blocks)
    info = ingest([tmp_path / "blocks"], tmp_path / "ledger")
    assert info["tip"] == third.tip.hash
    assert f"{len(SIDE.blocks) - 4} blocks lie on losing branches; passed over" in info["notes"]
    assert_agrees(tmp_path / "ledger", Model(third.blocks))


def test_a_snapshot_taken_before_knows_that_it_is_old(tmp_path: Path) -> None:
    before = read_in(tmp_path / "ledger", MAIN.blocks)
    read_in(tmp_path / "ledger", MAIN.fork(7, "main").mine_empty(1).blocks)
    assert before.is_current(), "what only grew has not changed"
    read_in(tmp_path / "ledger", side_chain(7).blocks)
    assert not before.is_current()
    assert Snapshot(tmp_path / "ledger").is_current()


@pytest.mark.parametrize("height", range(4, 9))
def test_a_new_branch_that_breaks_a_rule_on_its_way_leaves_the_old_chain(tmp_path: Path, height: int) -> None:
    """The branch has more work at height 8; a fault up to there is found before anything is given up."""
    bad = SIDE.fork(height - 1, "side")
    bad.mine(pay(coin(SPLIT), (1, "thief")), pay(coin(SPLIT), (1, "thief")), claim=1)
    bad.mine_empty(9 - height)
    before = read_in(tmp_path / "ledger", MAIN.blocks)
    with pytest.raises(ChainError):
        read_in(tmp_path / "ledger", bad.blocks)
    after = Snapshot(tmp_path / "ledger")
    assert after.digest == before.digest
    assert after.is_current()
    assert before.is_current()
    assert_agrees(
        read_in(tmp_path / "ledger", MAIN.fork(7, "main").mine_empty(1).blocks),
        Model(MAIN.fork(7, "main").mine_empty(1).blocks),
    )


@pytest.mark.parametrize("batches", ["one", "small"])
@pytest.mark.parametrize("late", [1, 3])
def test_a_fault_after_the_new_branch_has_won_leaves_it_where_it_has_more_work(
    tmp_path: Path, late: int, batches: str
) -> None:
    """Work never goes down: the ledger must not end on the fork with the old chain given up and the new one refused."""
    bad = SIDE.fork(8, "side").mine_empty(late - 1)
    bad.mine(pay(coin(SPLIT), (1, "thief")), pay(coin(SPLIT), (1, "thief")), claim=1)
    before = read_in(tmp_path / "ledger", MAIN.blocks)
    small = {"network": small_batches(bad.blocks), "memory_mb": 0} if batches == "small" else {}
    with pytest.raises(ChainError):
        read_in(tmp_path / "ledger", bad.blocks, **small)
    after = Snapshot(tmp_path / "ledger")
    assert after.height >= 8 or after.digest == before.digest
    if after.height >= 8:
        assert_agrees(after, Model(bad.blocks[: after.height + 1]))
    longer = SIDE.fork(8, "side").mine_empty(late + 3)
    assert_agrees(read_in(tmp_path / "ledger", longer.blocks), Model(longer.blocks))


def test_a_reorganisation_up_to_a_height_needs_more_work_by_then(tmp_path: Path) -> None:
    before = read_in(tmp_path / "ledger", MAIN.blocks)
    kept = read_in(tmp_path / "ledger", SIDE.blocks, to_height=7)
    assert kept.digest == before.digest
    longer = side_chain(9)
    ledger = read_in(tmp_path / "ledger", longer.blocks, to_height=9)
    assert_agrees(ledger, Model(longer.blocks[:10]))


@pytest.mark.parametrize("allowed", [0, 3, 4])
def test_how_deep_a_reorganisation_may_be(tmp_path: Path, allowed: int) -> None:
    before = read_in(tmp_path / "ledger", MAIN.blocks)
    if allowed == 4:
        assert read_in(tmp_path / "ledger", SIDE.blocks, max_reorganisation=allowed).height == 8
        return
    with pytest.raises(UsageError) as caught:
        read_in(tmp_path / "ledger", SIDE.blocks, max_reorganisation=allowed)
    assert "parts from the ledger's at height 3, 4 blocks back" in str(caught.value)
    assert "--max-reorganisation 4" in str(caught.value)
    assert Snapshot(tmp_path / "ledger").digest == before.digest


def test_another_chain_of_the_network_is_refused_unless_allowed(tmp_path: Path) -> None:
    """Every regtest has the same genesis; a reorganisation as deep as all of it is another chain."""
    ledger = tmp_path / "ledger"
    before = read_in(ledger, Chain().mine_empty(101).blocks)
    other = Chain(miner="elsewhere").mine_empty(110)
    with pytest.raises(UsageError, match="it is another chain, name another folder"):
        read_in(ledger, other.blocks)
    assert Snapshot(ledger).digest == before.digest
    after = read_in(ledger, other.blocks, max_reorganisation=101)
    assert_agrees(after, Model(other.blocks))


def test_a_shorter_other_chain_changes_nothing(tmp_path: Path) -> None:
    before = read_in(tmp_path / "ledger", MAIN.blocks)
    after = read_in(tmp_path / "ledger", Chain(miner="elsewhere").mine_empty(6).blocks)
    assert after.digest == before.digest
