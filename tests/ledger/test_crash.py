"""Killed at any instant, a ledger is at its last committed tip: readable at once, and the same again in the end."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from chain_builder import COIN, Chain, coin, pay, read_in, unsynced, write

from calibar.errors import LedgerError
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="children are forked, so that many can be killed"),
]


def a_chain() -> Chain:
    chain = Chain().mine_empty(3)
    for number in range(5):
        last = chain.tip.transactions[0]
        split = pay(coin(last), (COIN, f"new {number}"), (3, "often"), (4, "often"))
        chain.mine(split, pay(coin(split, 1, b"witness"), (2, "often")))
    return chain


MAIN = a_chain()
REGTEST = {"network": "regtest", "batch_bytes": 700}


@dataclass
class Nursery:
    """Where children ingest until they are killed."""

    process: subprocess.Popen[str]

    def send(self, source: Path, ledger: Path, **job: Any) -> None:
        assert self.process.stdin is not None
        line = {"source": str(source), "ledger": str(ledger), "network": "mainnet", "commit_bytes": 1} | job
        self.process.stdin.write(json.dumps(line) + "\n")
        self.process.stdin.flush()

    def start(self, source: Path, ledger: Path, **job: Any) -> int:
        self.send(source, ledger, **job)
        return int(self._line())

    def end(self) -> str:
        return str(json.loads(self._line()))

    def run(self, source: Path, ledger: Path, **job: Any) -> str:
        self.start(source, ledger, **job)
        return self.end()

    def _line(self) -> str:
        assert self.process.stdout is not None
        return self.process.stdout.readline()


@pytest.fixture(scope="module")
def nursery(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Nursery]:
    folder = tmp_path_factory.mktemp("nursery")
    command = [sys.executable, str(Path(__file__).parent / "crash_nursery.py")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        nursery = Nursery(process)
        nursery.send(write(folder / "blocks", MAIN.blocks), folder / "ledger", here=True, **REGTEST)
        assert nursery.end() == "done"
        yield nursery
        assert process.stdin is not None
        process.stdin.close()
    assert process.returncode == 0


@dataclass
class Truth:
    """The same source in ledgers that nothing happened to."""

    source: Path
    folder: Path
    digests: dict[int, str] = field(default_factory=dict)

    def digest(self, height: int) -> str:
        if height not in self.digests:
            with unsynced():
                info = ingest([self.source], self.folder / f"to-{height}", to_height=height)
            self.digests[height] = info["digest"]
            shutil.rmtree(self.folder / f"to-{height}")
        return self.digests[height]

    @property
    def whole(self) -> Snapshot:
        folder = self.folder / "whole"
        if not folder.exists():
            with unsynced():
                ingest([self.source], folder)
        return Snapshot(folder)


def assert_readable(ledger: Path, truth: Truth) -> int:
    """What is committed, and nothing of what was not; answers the height, -1 where nothing is."""
    try:
        snapshot = Snapshot(ledger)
    except LedgerError as error:
        assert "there is no ledger in" in str(error)
        return -1
    if snapshot.height < 0:
        return -1
    whole = truth.whole
    assert snapshot.digest == truth.digest(snapshot.height), snapshot.height
    coins, inputs = snapshot.counts["coins"], snapshot.counts["inputs"]
    spent = np.minimum(whole["coins.spent_by"][:coins], inputs)
    assert np.array_equal(np.minimum(snapshot["coins.spent_by"], inputs), spent)
    step = max(1, snapshot.counts["addresses"] // 40)
    for address in range(0, snapshot.counts["addresses"], step):
        paid = np.flatnonzero(snapshot["coins.address"] == address)
        assert np.array_equal(snapshot.coins_of(address), paid)
        assert snapshot.find_address(_name(snapshot, address)) == address
    for tx in range(0, snapshot.counts["transactions"], max(1, snapshot.counts["transactions"] // 40)):
        assert snapshot.find_transaction(snapshot.txid(tx)) == tx
    assert snapshot.is_current()
    return snapshot.height


def _name(snapshot: Snapshot, address: int) -> str:
    return snapshot.address_name(address)


def assert_whole(ledger: Path, truth: Truth) -> None:
    """The ledger is as if nothing had happened, and sound."""
    snapshot, whole = Snapshot(ledger), truth.whole
    assert snapshot.digest == whole.digest
    inputs = whole.counts["inputs"]
    assert np.array_equal(np.minimum(snapshot["coins.spent_by"], inputs), np.minimum(whole["coins.spent_by"], inputs))
    assert check(ledger) == []
    assert not (ledger / "writing").exists()


@pytest.fixture(scope="module")
def mainnet(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Truth:
    return Truth(data / "bitcoin" / "mainnet-0-4312" / "blk00000.dat", tmp_path_factory.mktemp("mainnet"))


def test_killed_at_random_moments(nursery: Nursery, mainnet: Truth, tmp_path: Path) -> None:
    """Fifteen times, going on each time from where the last one got to, and from nothing once all is in."""
    options = {"commit_bytes": 30_000, "batch_bytes": 15_000}
    began = time.monotonic()
    assert nursery.run(mainnet.source, tmp_path / "undisturbed", **options) == "done"
    took = time.monotonic() - began
    assert_whole(tmp_path / "undisturbed", mainnet)
    dice, ledger, heights = random.Random(3), tmp_path / "ledger", []  # noqa: S311
    for _ in range(15):
        child = nursery.start(mainnet.source, ledger, **options)
        time.sleep(dice.uniform(0, took))
        with suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
        assert nursery.end() in ("killed", "done")
        heights.append(assert_readable(ledger, mainnet))
        if heights[-1] == 4312:
            shutil.rmtree(ledger)
    assert len(set(heights)) > 3, heights
    assert nursery.run(mainnet.source, ledger, **options) == "done"
    assert_whole(ledger, mainnet)


@pytest.fixture(scope="module")
def regtest(tmp_path_factory: pytest.TempPathFactory) -> Truth:
    folder = tmp_path_factory.mktemp("regtest")
    return Truth(write(folder / "blocks", MAIN.blocks), folder)


def deaths(first: int, stride: int) -> Iterator[int]:
    step = first
    while step < 5000:
        yield step
        step += stride
    raise AssertionError("it never came to its end")


def test_killed_at_every_kind_of_step(nursery: Nursery, regtest: Truth, tmp_path: Path) -> None:
    """Steps that touch the disk, one after the other with a stride, until one run survives."""
    heights = set()
    for step in deaths(2, 61):
        ledger = tmp_path / f"{step}"
        said = nursery.run(regtest.source, ledger, die_at=step, **REGTEST)
        heights.add(assert_readable(ledger, regtest))
        assert nursery.run(regtest.source, ledger, **REGTEST) == "done", step
        assert_whole(ledger, regtest)
        shutil.rmtree(ledger)
        if said == "done":
            break
    assert {-1, 8} <= heights
    assert len(heights) > 5


def test_killed_again_while_it_recovers(nursery: Nursery, regtest: Truth, tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    for step in (60, 7, 20, 43, 70, 75, 110, 3, 140, 30, 170):
        nursery.run(regtest.source, ledger, die_at=step, **REGTEST)
        assert_readable(ledger, regtest)
    assert nursery.run(regtest.source, ledger, **REGTEST) == "done"
    assert_whole(ledger, regtest)


def side_chain() -> Chain:
    side = MAIN.fork(4, "side")
    split = MAIN.blocks[4].transactions[1]
    side.mine(pay(coin(split, 2), (1, "side"), (1, "often")))
    return side.mine_empty(5)


def test_killed_in_the_middle_of_a_reorganisation(nursery: Nursery, regtest: Truth, tmp_path: Path) -> None:
    """Before it the old chain, after it the new one, between them no block that is not of both."""
    new = Truth(write(tmp_path / "side", side_chain().blocks), tmp_path)
    with unsynced():
        before = read_in(tmp_path / "main", MAIN.blocks).folder
    tips = set()
    for step in deaths(1, 37):
        ledger = tmp_path / f"{step}"
        shutil.copytree(before, ledger)
        said = nursery.run(new.source, ledger, die_at=step, **REGTEST)
        height = Snapshot(ledger).height
        old_chain = Snapshot(ledger).digest == regtest.whole.digest
        assert_readable(ledger, regtest if old_chain else new)
        assert height >= 4
        tips.add((height, old_chain))
        assert nursery.run(new.source, ledger, **REGTEST) == "done", step
        assert_whole(ledger, new)
        shutil.rmtree(ledger)
        if said == "done":
            break
    assert {(8, True), (10, False)} <= tips
