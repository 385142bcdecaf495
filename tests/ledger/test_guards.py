"""A folder that is no ledger, another's, a newer one, a damaged one, or somebody else's just now."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from chain_builder import Chain, contents, read_in, unsynced
from naive import Model, assert_agrees

from calibar.errors import CalibarError, DamageError, LedgerError
from calibar.ledger import manifest as manifests
from calibar.ledger.schema import COLUMNS
from calibar.ledger.snapshot import Snapshot
from calibar.ledger.writer import Writer

CHAIN = Chain().mine_empty(5)
LONGER = CHAIN.fork(5, "miner").mine_empty(3)

HOLD = """
import sys
from pathlib import Path
from calibar.ledger.writer import Writer
with Writer(Path(sys.argv[1]), "regtest"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return read_in(tmp_path / "ledger", CHAIN.blocks).folder


def both_refuse(ledger: Path, kind: type[CalibarError]) -> str:
    """Reader and writer refuse alike, in one line, and change nothing."""
    before = contents(ledger)
    lines = []
    uses: list[Callable[[], object]] = [lambda: Snapshot(ledger), lambda: read_in(ledger, LONGER.blocks)]
    for use in uses:
        with pytest.raises(LedgerError) as caught:
            use()
        assert type(caught.value) is kind
        lines.append(str(caught.value))
    assert lines[0] == lines[1]
    assert "\n" not in lines[0]
    after = contents(ledger)
    assert {name: after[name] for name in before} == before
    return lines[0]


def rewritten(ledger: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The manifest changed, and signed again as if that were right."""
    path = ledger / manifests.NAME
    document = json.loads(path.read_text())
    del document["checksum"]
    change(document)
    document["checksum"] = manifests._checksum(document)
    path.write_text(json.dumps(document))


def test_a_newer_format_is_not_touched(ledger: Path) -> None:
    rewritten(ledger, lambda document: document.update(format=2))
    assert "has ledger format 2, this Calíbar reads 1; use a newer Calíbar" in both_refuse(ledger, LedgerError)


def test_a_newer_format_is_recognised_whatever_else_it_says(ledger: Path) -> None:
    (ledger / manifests.NAME).write_text(json.dumps({"format": 9, "tables": [1, 2, 3]}))
    assert "ledger format 9" in both_refuse(ledger, LedgerError)


def test_every_flipped_bit_of_the_manifest_is_noticed(ledger: Path) -> None:
    path = ledger / manifests.NAME
    good = path.read_bytes()
    tail = good.index(b'"tails"')
    for at in [*range(0, tail, 3), *range(tail, len(good), 61)]:
        for bit in range(8):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])
            try:
                read = manifests.read(ledger)
            except LedgerError as error:
                assert "\n" not in str(error)
            else:
                path.write_bytes(good)
                assert read == manifests.read(ledger), f"byte {at} bit {bit} changed what is read"


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", "null", '"x"', "1", '{"format": 1}', "[1]"])
def test_a_manifest_that_is_none_is_damage(ledger: Path, text: str) -> None:
    (ledger / manifests.NAME).write_text(text)
    assert "is damaged" in both_refuse(ledger, DamageError)


def test_a_manifest_that_is_no_text_is_damage(ledger: Path) -> None:
    (ledger / manifests.NAME).write_bytes(b"\xff\xfe\x00")
    both_refuse(ledger, DamageError)


@pytest.mark.parametrize("how", ["missing", "shorter"])
@pytest.mark.parametrize("who", ["reader", "writer"])
def test_a_column_that_lost_bytes_is_damage(ledger: Path, who: str, how: str) -> None:
    """For readers, and for the writer, who must not build on what is not there."""
    unnoticed = []
    for column in COLUMNS:
        path = ledger / f"{column.key}.bin"
        data = path.read_bytes()
        if not data:
            continue
        path.unlink()
        if how == "shorter":
            path.write_bytes(data[:-1])
        try:
            if who == "reader":
                Snapshot(ledger)[column.key]
            else:
                with Writer(ledger, "regtest"):
                    pass
        except DamageError as error:
            assert column.key in str(error)
            assert "\n" not in str(error)
        else:
            unnoticed.append(column.key)
        path.write_bytes(data)
    assert unnoticed == []


def test_a_damaged_list_of_files_is_said(ledger: Path) -> None:
    (ledger / "sources.json").write_text("[")
    with pytest.raises(CalibarError) as caught:
        read_in(ledger, LONGER.blocks)
    assert "sources.json" in str(caught.value)


def test_what_is_no_ledger_is_not_made_one(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    (folder / "cat.jpg").write_bytes(b"cat")
    with pytest.raises(LedgerError, match="is not empty and holds no ledger; name a new folder"):
        read_in(folder, CHAIN.blocks)
    assert contents(folder) == {"cat.jpg": b"cat"}
    with pytest.raises(LedgerError, match="there is no ledger in"):
        Snapshot(folder)
    with pytest.raises(LedgerError, match="is a file; name a folder"):
        read_in(folder / "cat.jpg", CHAIN.blocks)
    with pytest.raises(LedgerError, match="there is no ledger in"):
        Snapshot(tmp_path / "nowhere")


def test_an_empty_folder_and_a_missing_one_become_ledgers(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert_agrees(read_in(tmp_path / "empty", CHAIN.blocks), Model(CHAIN.blocks))
    deep = tmp_path / "not" / "yet" / "there"
    deep.parent.mkdir(parents=True)
    assert_agrees(read_in(deep, CHAIN.blocks), Model(CHAIN.blocks))


def test_a_ledger_that_was_only_begun_is_begun_again(tmp_path: Path) -> None:
    """Killed before it could write anything but its lock."""
    folder = tmp_path / "ledger"
    (folder / "index").mkdir(parents=True)
    (folder / "lock").touch()
    assert_agrees(read_in(folder, CHAIN.blocks), Model(CHAIN.blocks))


def test_one_writer_at_a_time(ledger: Path) -> None:
    """Another process writes: ingesting is refused, reading is not, and the other is not disturbed."""
    before = contents(ledger)
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdin is not None
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with pytest.raises(LedgerError, match="another process is writing to"):
            read_in(ledger, LONGER.blocks)
        assert Snapshot(ledger).height == 5
        assert (ledger / "writing").exists()
        other.stdin.close()
    assert other.returncode == 0
    assert contents(ledger) == before
    assert_agrees(read_in(ledger, LONGER.blocks), Model(LONGER.blocks))


def test_a_writer_that_went_away_leaves_no_lock(ledger: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(ledger)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        other.kill()
    assert_agrees(read_in(ledger, LONGER.blocks), Model(LONGER.blocks))


def test_a_snapshot_cannot_be_written_to(ledger: Path) -> None:
    snapshot = Snapshot(ledger)
    for column in (snapshot["coins.value"], snapshot["coins.spent_by"], snapshot.slots("txids")):
        with pytest.raises(ValueError, match="read-only"):
            column[0] = 1


def test_a_writer_that_fails_on_opening_lets_go(ledger: Path) -> None:
    (ledger / "coins.value.bin").unlink()
    with pytest.raises(DamageError):
        read_in(ledger, LONGER.blocks)
    with pytest.raises(LedgerError) as caught, Writer(ledger, "regtest"):
        raise AssertionError("damage was not noticed")
    assert "another process" not in str(caught.value)
