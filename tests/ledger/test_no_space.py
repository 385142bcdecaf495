"""A disk that fills up: one line, the committed part is kept, and more room is all it takes to go on."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_builder import Chain, coin, pay, read_in, unsynced, write
from test_crash import Nursery, Truth, assert_readable, assert_whole, mainnet, nursery

from calibar.ledger.check import check

__all__ = ["mainnet", "nursery"]
"""Fixtures shared with the crashes."""

pytestmark = pytest.mark.slow
MIB = 1 << 20
JOB = {"commit_bytes": 60_000, "batch_bytes": 30_000}


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of a megabyte and a half that can be given more."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = shutil.which("mount")
    if os.geteuid() != 0 or mount is None or _run("mount", "-t", "tmpfs", "-o", "size=1536k", "tmpfs", str(place)):
        pytest.skip("a small disk can be mounted by root alone; the limit of a file's size stands in for it")
    yield place
    _run("umount", str(place))


def _run(*command: str) -> int:
    return subprocess.run(command, capture_output=True, check=False).returncode


def refused(said: str, ledger: Path) -> bool:
    """Whether the run ended for want of space; anything else but success is wrong."""
    if said == "done":
        return False
    assert said.startswith("refused LedgerError: no space left for the ledger in "), said
    assert str(ledger) in said
    assert "\n" not in said
    return True


def test_a_full_disk(nursery: Nursery, mainnet: Truth, small_disk: Path) -> None:
    ledger = small_disk / "ledger"
    heights = []
    for size in (1536, 1750, 1900, 2050, 2300, 8000):
        assert _run("mount", "-o", f"remount,size={size}k", str(small_disk)) == 0
        ended = refused(nursery.run(mainnet.source, ledger, **JOB), ledger)
        heights.append(assert_readable(ledger, mainnet))
        if not ended:
            break
    assert heights == sorted(heights), "more room never leads to less"
    assert len(set(heights)) > 3, f"{heights}: it was full more than once on the way"
    assert_whole(ledger, mainnet)


def test_a_full_disk_with_crumbs_left(nursery: Nursery, mainnet: Truth, small_disk: Path) -> None:
    """Full for the rows, but not for the small files that say what is committed."""
    ledger = small_disk / "ledger"
    for crumb in range(1, 60, 11):
        shutil.rmtree(ledger, ignore_errors=True)
        assert _run("mount", "-o", f"remount,size={1900 + 4 * crumb}k", str(small_disk)) == 0
        assert refused(nursery.run(mainnet.source, ledger, **JOB), ledger)
        assert_readable(ledger, mainnet)
    assert _run("mount", "-o", "remount,size=8000k", str(small_disk)) == 0
    assert nursery.run(mainnet.source, ledger, **JOB) == "done"
    assert_whole(ledger, mainnet)


def wide_chain() -> Chain:
    """Few blocks with many new addresses: columns late in a batch are the longest."""
    chain = Chain()
    chain.mine()
    for number in range(6):
        outputs = [(1, f"{number}/{n}") for n in range(1000)]
        chain.mine(pay(coin(chain.tip.transactions[0]), *outputs))
    return chain


@pytest.mark.parametrize("limit", range(60_000, 150_001, 15_000))
def test_a_batch_that_was_written_in_part_is_not_committed(nursery: Nursery, tmp_path: Path, limit: int) -> None:
    """The columns before the one that is full have grown already when the rows are given up."""
    chain = wide_chain()
    truth, ledger = Truth(write(tmp_path / "blocks", chain.blocks), tmp_path), tmp_path / "ledger"
    job = {"network": "regtest", "batch_bytes": max(len(block.serialise()) for block in chain.blocks)}
    with unsynced():
        read_in(ledger, chain.blocks[:2])
    assert refused(nursery.run(truth.source, ledger, file_limit=limit, **job), ledger)
    assert 1 <= assert_readable(ledger, truth) < chain.height
    assert check(ledger) == []
    assert nursery.run(truth.source, ledger, **job) == "done"
    assert_whole(ledger, truth)


@pytest.mark.parametrize("limit", [30_000, 138_000, 345_000])
def test_a_file_that_may_not_grow(nursery: Nursery, mainnet: Truth, tmp_path: Path, limit: int) -> None:
    """Some columns fit and others do not, so that a batch is written in part; index files are there already."""
    ledger = tmp_path / "ledger"
    nursery.run(mainnet.source, ledger, die_at=200, **JOB)
    began = assert_readable(ledger, mainnet)
    assert refused(nursery.run(mainnet.source, ledger, file_limit=limit, **JOB), ledger)
    assert assert_readable(ledger, mainnet) >= began
    assert nursery.run(mainnet.source, ledger, **JOB) == "done"
    assert_whole(ledger, mainnet)
