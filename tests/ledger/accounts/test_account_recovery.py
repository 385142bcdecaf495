"""An account chain's ledger after crashes, damage and reorganisations."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from account_chains import Block, Chain, Move, address, asset

from calibar.chains.facts import MINT, TOKEN, Facts, Naming
from calibar.errors import ChainError, DamageError, DecodeError, UsageError
from calibar.kernels import accounts as kernels
from calibar.ledger.accounts.ingest import MOST_NOTES, ingest
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.accounts.writer import AccountWriter
from calibar.ledger.check import check
from calibar.ledger.columns import column_path
from calibar.ledger.view import INDEX, MARKER

STEP = Block(((Move(TOKEN, 1, 0, 1, 1), Move(TOKEN, 1, 0, 1, 1)),), ())


@dataclass
class Saying(Chain):
    """A chain whose source says names and notes block by block, and fails at a block."""

    batch: int = 1
    namings: dict[int, list[Naming]] = field(default_factory=dict)
    noted: Callable[[int], list[str]] = lambda _: []
    fails_at: int | None = None

    def read(self, first: int, last: int) -> Iterator[Facts]:
        for facts in super().read(first, last):
            number = int(facts.number[0])
            if self.fails_at is not None and number >= self.fails_at:
                raise DecodeError(f"block {number}: the node went away")
            yield dataclasses.replace(facts, namings=self.namings.get(number, []), notes=self.noted(number))


def _holding(snapshot: AccountSnapshot, token: int, person: int) -> int:
    identity = snapshot.find_asset(snapshot.write_address(asset(token)[1]))
    owner = snapshot.find_address(address(person))
    assert identity is not None and owner is not None
    holding = snapshot.find_holding(identity, owner)
    assert holding is not None
    return holding


def test_readers_see_no_recovery(tmp_path: Path) -> None:
    chain = Chain([STEP] * 300, batch=100)
    ledger = tmp_path / "ledger"
    ingest(chain, ledger)
    holding = _holding(AccountSnapshot(ledger), 1, 1)
    wrong, done = set(), threading.Event()

    def read() -> None:
        while not done.is_set():
            snapshot = AccountSnapshot(ledger)
            answer = snapshot.balance(holding), len(snapshot.movements_of(holding))
            if answer != (600, 600):
                wrong.add(answer)

    reader = threading.Thread(target=read)
    reader.start()
    for _ in range(30):
        (ledger / MARKER).touch()  # as after a crash
        with AccountWriter(ledger, chain.chain):
            pass
    done.set()
    reader.join()
    assert not wrong
    assert check(ledger) == []


def test_recovery_clears_heads_of_no_holding(tmp_path: Path) -> None:
    ingest(Chain([STEP] * 4), tmp_path / "ledger")
    path = tmp_path / "ledger" / INDEX / "last_movement"
    heads = np.fromfile(path, "<i8")
    right = heads.copy()
    heads[:2], heads[5] = heads[1::-1], 3
    heads.tofile(path)
    (tmp_path / "ledger" / MARKER).touch()
    with AccountWriter(tmp_path / "ledger", "ethereum:1337"):
        pass
    assert np.fromfile(path, "<i8").tolist() == right.tolist()


@pytest.mark.parametrize("head", [-1, -2, -(2**62), 0, 6, 8, 2**62])
def test_a_head_that_is_not_the_holdings_is_not_believed(tmp_path: Path, head: int) -> None:
    ingest(Chain([STEP, Block(((Move(TOKEN, 1, 0, 2, 5),) * 2,), ())]), tmp_path / "ledger")
    holding = _holding(AccountSnapshot(tmp_path / "ledger"), 1, 1)
    path = tmp_path / "ledger" / INDEX / "last_movement"
    heads = np.fromfile(path, "<i8")
    heads[holding] = head
    heads.tofile(path)
    assert AccountSnapshot(tmp_path / "ledger").balance(holding) == 2
    assert AccountSnapshot(tmp_path / "ledger").movements_of(holding).tolist() == [1, 3]


@pytest.mark.parametrize(("byte", "flip"), [(7, 0x80), (7, 0x40), (5, 1), (2, 1)])
def test_a_flipped_byte_of_a_head_stops_the_writer_in_one_line_and_is_mended(
    tmp_path: Path, byte: int, flip: int
) -> None:
    chain = Chain([STEP] * 6)
    ingest(chain, tmp_path / "ledger", to_height=3)
    path = tmp_path / "ledger" / INDEX / "last_movement"
    data = bytearray(path.read_bytes())
    data[8 * _holding(AccountSnapshot(tmp_path / "ledger"), 1, 1) + byte] ^= flip
    path.write_bytes(data)
    with pytest.raises(DamageError, match="movements form no list; run `calibar ledger check`") as refused:
        ingest(chain, tmp_path / "ledger")
    assert "\n" not in str(refused.value)
    assert AccountSnapshot(tmp_path / "ledger").info()["height"] == 3
    assert check(tmp_path / "ledger") == []
    ingest(chain, tmp_path / "ledger")
    assert check(tmp_path / "ledger") == []


@pytest.mark.parametrize("value", [2**62, -(2**62), -2, 100])
def test_a_damaged_link_stops_the_writer(tmp_path: Path, value: int) -> None:
    chain = Chain([STEP] * 6)
    ingest(chain, tmp_path / "ledger", to_height=3)
    snapshot = AccountSnapshot(tmp_path / "ledger")
    path = column_path(tmp_path / "ledger", next(c for c in snapshot.columns if c.key == "movements.link"))
    link = np.fromfile(path, "<i8").reshape(-1, 4)
    link[:, 1] = value
    link.tofile(path)
    with pytest.raises(DamageError, match="movements form no list"):
        ingest(chain, tmp_path / "ledger")


@pytest.mark.parametrize("column", [0, 1, 2])
@pytest.mark.parametrize("value", [2**62, -(2**62), -2, 100, 79, 39])
def test_damaged_links_end_in_one_line(tmp_path: Path, column: int, value: int) -> None:
    ingest(Chain([STEP] * 20), tmp_path / "ledger")
    snapshot = AccountSnapshot(tmp_path / "ledger")
    holding = _holding(snapshot, 1, 1)
    path = column_path(tmp_path / "ledger", next(c for c in snapshot.columns if c.key == "movements.link"))
    link = np.fromfile(path, "<i8").reshape(-1, 4)
    link[39::2, column] = value
    link.tofile(path)
    damaged = AccountSnapshot(tmp_path / "ledger")
    answers: list[Callable[[], int]] = [
        lambda: damaged.balance(holding, 2),
        lambda: len(damaged.movements_of(holding)),
    ]
    for answer in answers:
        try:
            assert 0 <= answer() <= 40
        except DamageError as error:
            assert "run `calibar ledger check`" in str(error) and "\n" not in str(error)
    assert check(tmp_path / "ledger")


def test_lists_that_are_none() -> None:
    link = np.array([[-1, -1, 0, 0], [0, 0, 1, 0], [2, 2, 2, 0], [9, 9, 3, 0], [-5, -5, 4, 0]], np.int64)
    for head in (2, 3, 4, 5, 99, -2):
        assert kernels.last_before(link, head, 0) == kernels.DAMAGED
        assert kernels.list_back(link, head, np.empty(9, np.int64)) == kernels.DAMAGED
    assert kernels.last_before(link, 1, 1) == 0
    assert kernels.last_before(link, 0, 0) == -1
    assert kernels.list_back(link, 1, np.empty(9, np.int64)) == 2


@pytest.mark.parametrize("holding", [2**40, -2, 2])
def test_a_damaged_transfer_stops_recovery_and_roll_back(tmp_path: Path, holding: int) -> None:
    chain = Chain([STEP] * 6)
    before = ingest(chain, tmp_path / "ledger")
    snapshot = AccountSnapshot(tmp_path / "ledger")
    path = column_path(tmp_path / "ledger", next(c for c in snapshot.columns if c.key == "transfers.sender"))
    senders = np.fromfile(path, "<i8")
    senders[-1] = holding
    senders.tofile(path)
    if holding != 2:  # where heads have room for it, it is found by recovery only
        with pytest.raises(DamageError, match="transfer 11 is damaged; run `calibar ledger check`"):
            ingest(Chain([STEP] * 8, salts={4: 1}), tmp_path / "ledger")
        assert AccountSnapshot(tmp_path / "ledger").info()["height"] == before["height"]
    (tmp_path / "ledger" / MARKER).touch()
    with pytest.raises(DamageError, match="transfer 11 is damaged"):
        ingest(chain, tmp_path / "ledger")


def test_notes_end_somewhere(tmp_path: Path) -> None:
    source = Saying([STEP] * 250, noted=lambda number: ["always", f"block {number}: no traces"])
    ingest(source, tmp_path / "ledger", to_height=100)
    assert len(AccountSnapshot(tmp_path / "ledger").notes()) == 102
    notes = ingest(source, tmp_path / "ledger")["notes"]
    assert len(notes) == MOST_NOTES == 200
    assert notes[:2] == ["always", "block 0: no traces"]
    assert notes[-2:] == ["block 197: no traces", "further notes are left out"]
    source.blocks.append(STEP)
    assert ingest(source, tmp_path / "ledger")["notes"] == notes
    assert check(tmp_path / "ledger") == []


def test_nothing_is_given_up_for_a_branch_that_cannot_be_read(tmp_path: Path) -> None:
    before = ingest(Chain([STEP] * 30), tmp_path / "ledger")
    with pytest.raises(DecodeError, match="block 25: the node went away"):
        ingest(Saying([STEP] * 31, salts={20: 1}, fails_at=25), tmp_path / "ledger")

    class Torn(Chain):
        def read(self, first: int, last: int) -> Iterator[Facts]:
            for facts in super().read(first, last):
                torn = facts.block_hash if facts.number[0] > 25 else facts.parent_hash
                yield dataclasses.replace(facts, parent_hash=torn)

    with pytest.raises(ChainError, match="names another parent"):
        ingest(Torn([STEP] * 31, salts={20: 1}, batch=1), tmp_path / "ledger")
    with pytest.raises(UsageError, match=r"has left the ledger's blocks above 19; .* at least the ledger's height 29"):
        ingest(Chain([STEP] * 31, salts={20: 1}), tmp_path / "ledger", to_height=25)
    assert AccountSnapshot(tmp_path / "ledger").info()["digest"] == before["digest"]
    assert check(tmp_path / "ledger") == []
    after = ingest(Chain([STEP] * 31, salts={20: 1}), tmp_path / "ledger", to_height=29)
    assert (after["height"], after["notes"][-1]) == (29, "10 blocks were given up: the source has left them")


def test_a_source_that_ends_before_the_ledger_takes_nothing_away(tmp_path: Path) -> None:
    """It may lag behind, on a branch that loses: nothing is given up for it, whatever its blocks are."""
    before = ingest(Chain([STEP] * 30), tmp_path / "ledger")
    for salts in ({}, {20: 1}):
        with pytest.raises(UsageError, match="ends before the ledger's height 29"):
            ingest(Chain([STEP] * 27, salts=salts), tmp_path / "ledger")
    assert AccountSnapshot(tmp_path / "ledger").info()["digest"] == before["digest"]


def test_names_of_kept_assets_outlive_a_reorganisation(tmp_path: Path) -> None:
    mint = [Block(((Move(MINT, token, 0, 1, 10),),), ()) for token in (1, 2, 4, 1, 2, 2)]
    said = {
        0: [Naming(*asset(1), "One", "OLD", 6)],
        2: [Naming(*asset(4), "Four", "FOUR", None)],
        3: [Naming(*asset(1), "One again", "ONE", 8), Naming(*asset(4), "Four again", "FOUR", 1)],
        4: [Naming(*asset(2), "", "TWO", 18)],
    }
    ingest(Saying(mint, namings=said), tmp_path / "ledger")
    kept = [*mint[:2], *[Block((), ())] * 5]
    ingest(Saying(kept, salts={2: 1}), tmp_path / "ledger")
    snapshot = AccountSnapshot(tmp_path / "ledger")
    assert snapshot.counts["assets"] == 2
    assert snapshot.naming(0) == {"name": "One again", "symbol": "ONE", "decimals": 8}
    assert snapshot.naming(1) == {"name": "", "symbol": "TWO", "decimals": 18}
    assert snapshot.counts["namings"] == 3
    assert check(tmp_path / "ledger") == []
