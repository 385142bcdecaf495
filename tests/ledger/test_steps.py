"""Ingesting is idempotent, goes on where it stopped, and grows its index without losing anything."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_builder import COIN, Chain, coin, contents, pay, read_in, small_batches, unsynced, write
from naive import Model, assert_agrees, is_unspent

from calibar.errors import ChainError
from calibar.ledger import ingest as ingesting
from calibar.ledger import store
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


def a_chain(length: int = 12) -> Chain:
    """Two new addresses a block and one that every block pays."""
    chain = Chain()
    chain.mine()
    for number in range(length):
        last = chain.tip.transactions[0]
        first = pay(coin(last), (COIN, f"new {number}"), (COIN, "often"))
        chain.mine(first, pay(coin(first, 1, b"witness"), (COIN, "often")), to=f"miner {number}")
    return chain


CHAIN = a_chain()


def test_ingesting_twice_changes_no_byte(tmp_path: Path) -> None:
    ledger = read_in(tmp_path / "ledger", CHAIN.blocks)
    before = contents(ledger.folder)
    info = ingest([tmp_path / "ledger.blk"], ledger.folder)
    assert info["added_blocks"] == 0
    assert contents(ledger.folder) == before
    assert not (ledger.folder / "writing").exists()


def test_a_part_of_what_is_known_changes_no_byte(tmp_path: Path) -> None:
    ledger = read_in(tmp_path / "ledger", CHAIN.blocks)
    before = contents(ledger.folder)
    for blocks in (CHAIN.blocks[3:7], CHAIN.blocks[:1], CHAIN.blocks[::-2]):
        read_in(ledger.folder, blocks, max_reorganisation=0)
        assert contents(ledger.folder) == before


def test_one_block_at_a_time(tmp_path: Path) -> None:
    whole = read_in(tmp_path / "whole", CHAIN.blocks)
    for height, block in enumerate(CHAIN.blocks):
        ledger = read_in(tmp_path / "ledger", [block])
        assert ledger.height == height
    assert ledger.digest == whole.digest
    assert_agrees(ledger, Model(CHAIN.blocks))


def test_every_height_to_stop_at(tmp_path: Path) -> None:
    for height in range(len(CHAIN.blocks) + 2):
        ledger = read_in(tmp_path / "ledger", CHAIN.blocks, to_height=height)
        whole = read_in(tmp_path / f"whole-{height}", CHAIN.blocks, to_height=height)
        assert ledger.height == min(height, CHAIN.height)
        assert ledger.digest == whole.digest
    assert read_in(tmp_path / "ledger", CHAIN.blocks, to_height=3).height == CHAIN.height, "nothing is given up"


@pytest.mark.parametrize("commit_bytes", [1, 1500])
def test_commits_on_the_way_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, commit_bytes: int) -> None:
    whole = read_in(tmp_path / "whole", CHAIN.blocks)
    monkeypatch.setattr(ingesting, "COMMIT_BYTES", commit_bytes)
    heights: list[int] = []

    def look(what: str, _done: int, _total: int) -> None:
        if what == "reading blocks":
            snapshot = Snapshot(tmp_path / "ledger")
            heights.append(snapshot.height)
            if snapshot.height >= 0:
                assert_reads_well(snapshot)

    ledger = read_in(tmp_path / "ledger", CHAIN.blocks, network=small_batches(CHAIN.blocks), memory_mb=0, progress=look)
    assert ledger.digest == whole.digest
    assert len(set(heights)) > 3, "there were commits on the way"


def assert_reads_well(snapshot: Snapshot) -> None:
    """A reader beside a writer that has appended more than it committed."""
    model = Model(CHAIN.blocks[: snapshot.height + 1])
    for identity, coins in enumerate(model.scripts.values()):
        assert snapshot.coins_of(identity).tolist() == coins
    for row, made in enumerate(model.coins):
        assert is_unspent(snapshot, row) == (made.spent_by is None)
    for txid, row in model.latest.items():
        assert snapshot.find_transaction(txid) == row


def test_a_reader_sees_the_old_tip_until_the_commit(tmp_path: Path) -> None:
    old = read_in(tmp_path / "ledger", CHAIN.blocks[:6])
    digest, seen = old.digest, []

    def look(what: str, done: int, total: int) -> None:
        if what == "reading blocks":
            snapshot = Snapshot(tmp_path / "ledger")
            assert (snapshot.height, snapshot.digest) == (5, digest)
            assert snapshot.is_current()
            assert_reads_well(snapshot)
            assert_reads_well(old)
            seen.append(done == total)

    new = read_in(tmp_path / "ledger", CHAIN.blocks, progress=look, network=small_batches(CHAIN.blocks), memory_mb=0)
    assert seen.count(True) == 1, "the last look is after everything was appended"
    assert len(seen) > 3
    assert new.height == CHAIN.height
    assert_reads_well(old)
    assert old.is_current()


def test_the_index_grows_without_losing_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = read_in(tmp_path / "whole", CHAIN.blocks)
    monkeypatch.setattr(store, "MIN_SLOTS", 4)
    grown = read_in(tmp_path / "grown", CHAIN.blocks, network=small_batches(CHAIN.blocks), memory_mb=0)
    assert_agrees(grown, Model(CHAIN.blocks))
    assert grown.digest == whole.digest
    for height in range(0, len(CHAIN.blocks), 3):
        stepped = read_in(tmp_path / "stepped", CHAIN.blocks, to_height=height)
        assert_agrees(stepped, Model(CHAIN.blocks[: height + 1]))
    longer = CHAIN.fork(4, "side").mine_empty(20)
    assert_agrees(read_in(tmp_path / "stepped", longer.blocks), Model(longer.blocks))


def test_an_old_reader_is_told_when_the_index_has_grown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "MIN_SLOTS", 4)
    old = read_in(tmp_path / "ledger", CHAIN.blocks[:3])
    for height in range(3, len(CHAIN.blocks)):
        read_in(tmp_path / "ledger", CHAIN.blocks, to_height=height)
        again = Snapshot(tmp_path / "ledger")
        assert_reads_well(again)
        assert old.is_current() == (old.manifest.index == again.manifest.index)
    assert not old.is_current()
    assert old["transactions.fee"].tolist() == Model(CHAIN.blocks[:3]).fees


@pytest.mark.parametrize("name", ["txids", "addresses", "last_coin"])
def test_a_lost_index_is_made_again(tmp_path: Path, name: str) -> None:
    ledger = read_in(tmp_path / "ledger", CHAIN.blocks[:8])
    for path in (ledger.folder / "index").glob(f"{name}*"):
        path.unlink()
    assert_agrees(read_in(tmp_path / "ledger", CHAIN.blocks), Model(CHAIN.blocks))


def test_every_block_knows_its_file_and_place(tmp_path: Path) -> None:
    write(tmp_path / "a", CHAIN.blocks[4:6], CHAIN.blocks[:4])
    write(tmp_path / "b", CHAIN.blocks[6:])
    ingest([tmp_path / "a"], tmp_path / "ledger")
    ingest([tmp_path / "b"], tmp_path / "ledger")
    assert_places(tmp_path / "ledger")


def test_places_are_written_down_before_blocks_that_lie_there_are_committed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever happens after a commit on the way: the files its rows refer to are known by then."""
    write(tmp_path / "a", CHAIN.blocks)
    monkeypatch.setattr(ingesting, "COMMIT_BYTES", 1)

    def look(what: str, _done: int, _total: int) -> None:
        if what == "reading blocks" and Snapshot(tmp_path / "ledger").height >= 0:
            assert_places(tmp_path / "ledger")

    ingest([tmp_path / "a"], tmp_path / "ledger", progress=look, network=small_batches(CHAIN.blocks), memory_mb=0)


def assert_places(ledger: Path) -> None:
    snapshot = Snapshot(ledger)
    files = json.loads((ledger / "sources.json").read_text())
    for row, block in enumerate(CHAIN.blocks[: snapshot.height + 1]):
        raw = block.serialise()
        path, offset = Path(files[snapshot["blocks.file"][row]]), int(snapshot["blocks.offset"][row])
        assert path.read_bytes()[offset : offset + len(raw)] == raw
        assert int(snapshot["blocks.size"][row]) == len(raw)


def test_what_a_refused_source_left_behind_is_no_damage(tmp_path: Path) -> None:
    """`ledger check` looks at what was committed; what a failed batch had begun is no business of its."""
    read_in(tmp_path / "ledger", CHAIN.blocks)
    bad = CHAIN.fork(CHAIN.height, "bad")
    bad.mine(pay(coin(CHAIN.tip.transactions[0]), (COIN, "often"), (COIN, "somebody new")))
    bad.mine(pay(coin(CHAIN.tip.transactions[0]), (COIN, "thief")), claim=0)
    with pytest.raises(ChainError):
        read_in(tmp_path / "ledger", bad.blocks)
    assert_reads_well(Snapshot(tmp_path / "ledger"))
    assert check(tmp_path / "ledger") == []
