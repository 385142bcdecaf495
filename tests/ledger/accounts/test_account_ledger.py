"""An account chain's ledger against plain sums over its transfers."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from account_chains import AMOUNTS, Block, Chain, Move, address, asset, histories, moves
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibar.chains.facts import FROM_NOBODY, MINT, TO_NOBODY, TOKEN
from calibar.errors import ChainError, LedgerError, UsageError
from calibar.ledger.accounts.ingest import ingest
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.check import check

FEW = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


def balances(snapshot: AccountSnapshot, height: int, people: int = 6, assets: int = 5) -> dict[tuple[int, int], int]:
    found = {}
    for number in range(assets):
        kind, contract = asset(number)
        name = "native" if number == 0 else f"trc10:{number}" if kind == 2 else snapshot.write_address(contract)
        identity = snapshot.find_asset(name)
        for person in range(people):
            owner = snapshot.find_address(address(person))
            holding = None if identity is None or owner is None else snapshot.find_holding(identity, owner)
            if holding is not None:
                found[number, person] = snapshot.balance(holding, height)
    return found


@FEW
@given(histories(), st.integers(1, 4))
def test_balances_at_every_height(blocks: list[Block], batch: int) -> None:
    chain = Chain(blocks, batch)
    with tempfile.TemporaryDirectory() as folder:
        info = ingest(chain, Path(folder) / "ledger")
        snapshot = AccountSnapshot(Path(folder) / "ledger")
        assert info["blocks"] == len(blocks) == info["added_blocks"]
        assert info["transfers"] == len(list(chain.transfers(chain.last())))
        assert info["notes"] == ["this chain is made up"]
        for height in range(len(blocks)):
            expected = chain.balances(height)
            got = balances(snapshot, height)
            assert {key: got[key] for key in expected} == expected
            assert all(got[key] == 0 for key in got.keys() - expected.keys())


@FEW
@given(histories(), st.data())
def test_steps_batches_and_reorganisations_leave_the_same_ledger(blocks: list[Block], data: st.DataObject) -> None:
    """Equal digests, however the chain was read; and after another branch was given up."""
    with tempfile.TemporaryDirectory() as folder:
        whole = ingest(Chain(blocks, 100), Path(folder) / "whole")
        stop = data.draw(st.integers(0, len(blocks) - 1))
        other = data.draw(st.lists(st.builds(Block, st.just(()), st.lists(moves(AMOUNTS), max_size=3).map(tuple))))
        other = [*blocks[: stop + 1], *other]
        if len(other) <= len(blocks):
            ingest(Chain(other, 2, salts={stop + 1: 1}), Path(folder) / "steps")
            stop = len(other) - 1  # a height below the ledger's is refused where branches part
        ingest(Chain(blocks, 1), Path(folder) / "steps", to_height=stop)
        steps = ingest(Chain(blocks, 2), Path(folder) / "steps")
        assert steps["digest"] == whole["digest"]
        chain, snapshot = Chain(blocks), AccountSnapshot(Path(folder) / "steps")
        expected = chain.balances(chain.last())
        got = balances(snapshot, chain.last())
        assert {key: got[key] for key in expected} == expected
        again = ingest(Chain(blocks, 2), Path(folder) / "steps")
        assert again["added_blocks"] == 0
        assert again["digest"] == whole["digest"]


@FEW
@given(histories())
def test_shortfalls_are_the_first_below_zero(blocks: list[Block]) -> None:
    chain = Chain(blocks)
    sums: dict[tuple[int, int], int] = {}
    expected = 0
    for move in chain.transfers(chain.last()):
        for key, amount in _sides(move):
            was = sums.get(key, 0)
            sums[key] = was + amount
            expected += was >= 0 > sums[key]
    with tempfile.TemporaryDirectory() as folder:
        assert ingest(chain, Path(folder) / "ledger")["shortfalls"] == expected


def _sides(move: Move) -> list[tuple[tuple[int, int], int]]:

    sides = []
    if move.kind not in FROM_NOBODY:
        sides.append(((move.asset, move.sender), -move.amount))
    if move.kind not in TO_NOBODY:
        sides.append(((move.asset, move.recipient), move.amount))
    return sides


def _plain_chain(length: int = 30, **options: Any) -> Chain:
    step = Move(TOKEN, 1, 0, 1, 1)
    return Chain([Block(((step, step),), ()) for _ in range(length)], **options)


def test_a_long_list_of_movements(tmp_path: Path) -> None:
    chain = _plain_chain(400, batch=37)
    ingest(chain, tmp_path / "ledger")
    snapshot = AccountSnapshot(tmp_path / "ledger")
    for height in range(400):
        assert balances(snapshot, height)[1, 1] == 2 * (height + 1)
    found = snapshot.find_asset(snapshot.write_address(asset(1)[1]))
    owner = snapshot.find_address(address(1))
    assert found is not None and owner is not None
    holding = snapshot.find_holding(found, owner)
    assert holding is not None
    assert snapshot.movements_of(holding).tolist() == [2 * transfer + 1 for transfer in range(800)]
    assert snapshot.naming(found) == {"name": "Nameone", "symbol": "ONE", "decimals": 6}


def test_a_crash_in_the_middle_loses_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    chain = _plain_chain(20)
    before = ingest(chain, tmp_path / "ledger", to_height=9)
    with monkeypatch.context() as patch:
        patch.setattr("calibar.ledger.store.manifests.write", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ingest(chain, tmp_path / "ledger")
    assert AccountSnapshot(tmp_path / "ledger").info()["digest"] == before["digest"]
    assert balances(AccountSnapshot(tmp_path / "ledger"), 9)[1, 1] == 20
    after = ingest(chain, tmp_path / "ledger")
    assert after["digest"] == ingest(chain, tmp_path / "other")["digest"]
    assert balances(AccountSnapshot(tmp_path / "ledger"), 19)[1, 1] == 40


def test_another_chain_is_refused(tmp_path: Path) -> None:
    ingest(_plain_chain(5), tmp_path / "ledger")
    with pytest.raises(LedgerError, match="is a ledger of ethereum:1337, not of ethereum:1"):
        ingest(_plain_chain(5, chain="ethereum:1"), tmp_path / "ledger")
    with pytest.raises(UsageError, match="it is another chain"):
        ingest(_plain_chain(5, salts={0: 1}), tmp_path / "ledger")
    with pytest.raises(UsageError, match="more than 2 blocks back"):
        ingest(_plain_chain(5, salts={1: 1}), tmp_path / "ledger", max_reorganisation=2)
    with pytest.raises(UsageError, match="ends before the ledger's height 4"):
        ingest(_plain_chain(3), tmp_path / "ledger")


def test_a_gap_and_a_late_start_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--island"):
        ingest(_plain_chain(5), tmp_path / "ledger", first=2)
    info = ingest(_plain_chain(5), tmp_path / "island", first=2, island=True)
    assert (info["island"], info["first_height"], info["blocks"]) == (True, 2, 3)
    with pytest.raises(UsageError, match="cannot go on at 9"):
        ingest(_plain_chain(12), tmp_path / "island", first=9)


class _Broken(Chain):
    def read(self, first: int, last: int) -> Any:
        for facts in super().read(first, last):
            facts.parent_hash.flags.writeable = False
            if facts.number[0] == 6:
                yield next(super().read(first, first))
            yield facts


def test_blocks_out_of_order_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ChainError, match="gave block 0 where 6 was asked for"):
        ingest(_Broken([Block((), ())] * 9), tmp_path / "ledger")
    assert AccountSnapshot(tmp_path / "ledger").counts["blocks"] == 0


def test_one_transaction_twice_is_refused(tmp_path: Path) -> None:
    class Twice(Chain):
        def _hash(self, number: int) -> bytes:
            return super()._hash(number)

        def _facts(self, first: int, last: int) -> Any:
            facts = super()._facts(first, last)
            hashes = facts.tx_hash.copy()
            hashes[1:] = hashes[0]
            object.__setattr__(facts, "tx_hash", hashes)
            return facts

    with pytest.raises(ChainError, match="comes twice"):
        ingest(Twice([Block(((), ()), ())] * 3), tmp_path / "ledger")


@FEW
@given(histories())
def test_a_ledger_is_sound(blocks: list[Block]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ingest(Chain(blocks), Path(folder) / "ledger")
        assert check(Path(folder) / "ledger") == []


def test_every_flipped_byte_is_found(tmp_path: Path) -> None:
    step = Move(TOKEN, 1, 0, 1, 1)
    mint = Move(MINT, 2, 0, 1, 2**70)
    ingest(Chain([Block(((step, mint),), (mint,))] * 4), tmp_path / "ledger")
    found = 0
    for path in sorted(tmp_path.glob("ledger/*.bin")):
        data = path.read_bytes()
        for at in {0, len(data) // 2, len(data) - 1} if data else ():
            path.write_bytes(data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :])
            damage = check(tmp_path / "ledger")
            assert len(damage) == 1 and "\n" not in damage[0], (path, damage)
            assert path.stem in damage[0]
            found += 1
        path.write_bytes(data)
    assert found > 80
    assert check(tmp_path / "ledger") == []


@pytest.mark.parametrize("name", ["transactions", "addresses", "assets", "holdings", "last_movement"])
def test_a_damaged_index_is_found_and_made_anew(tmp_path: Path, name: str) -> None:
    chain = _plain_chain(6)
    ingest(chain, tmp_path / "ledger", to_height=4)
    (path,) = tmp_path.glob(f"ledger/index/{name}*")
    data = bytearray(path.read_bytes())
    first = next(at for at in range(0, len(data), 8) if data[at : at + 8] not in (bytes(8), b"\xff" * 8))
    data[first] ^= 7
    path.write_bytes(data)
    damage = check(tmp_path / "ledger")
    assert len(damage) == 1 and name.split("_", maxsplit=1)[0][:4] in damage[0], damage
    path.unlink()
    ingest(chain, tmp_path / "ledger")
    assert check(tmp_path / "ledger") == []
