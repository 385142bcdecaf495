"""`calibar ingest bitcoin` and `calibar ledger info`, as a user and a user's script see them."""

from __future__ import annotations

import gzip
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from running import info, refused, run_calibar, succeeds, theft, theft_ledger, write_blocks

FACTS = (
    *("network", "height", "tip", "blocks", "transactions", "coins", "inputs", "unspent_coins", "unspent_value"),
    *("utxo_set_coins", "utxo_set_value", "fees", "bytes"),
)
KEYS = (*FACTS, "seconds")


@pytest.fixture(scope="module")
def core(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A node's `blocks` folder, unpacked."""
    packed = data / "bitcoin" / "core-datadir"
    folder = tmp_path_factory.mktemp("core") / "blocks"
    folder.mkdir()
    with gzip.open(packed / "blk00000.dat.gz") as source, (folder / "blk00000.dat").open("wb") as target:
        shutil.copyfileobj(source, target)
    shutil.copy(packed / "xor.dat", folder)
    return folder


@pytest.fixture(scope="module")
def expected(data: Path) -> dict[str, Any]:
    """What Bitcoin Core's own engine says of that folder."""
    document: dict[str, Any] = json.loads((data / "bitcoin" / "core-datadir" / "expected.json").read_text())
    return document


@pytest.fixture(scope="module")
def ingested(core: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any]]:
    """A ledger of the node's folder, and the JSON of its ingestion."""
    ledger = tmp_path_factory.mktemp("ingested") / "ledger"
    return ledger, succeeds("ingest", "bitcoin", core, "--ledger", ledger, "--json", "-").document


def _columns(ledger: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in sorted(ledger.glob("*.bin"))}


def test_ingesting_reports_what_bitcoin_core_counts(
    ingested: tuple[Path, dict[str, Any]], expected: dict[str, Any]
) -> None:
    _, said = ingested
    assert set(KEYS) <= said.keys()
    genesis = 50 * 10**8
    assert said["network"] == "mainnet"
    assert (said["height"], said["tip"]) == (expected["tip_height"], expected["tip_hash"])
    assert said["blocks"] == expected["tip_height"] + 1
    assert (said["transactions"], said["inputs"]) == (expected["txs"], expected["non_coinbase_inputs"])
    # The expected figures count genesis as unspent; Bitcoin Core's UTXO set does not hold it.
    assert (said["unspent_coins"], said["unspent_value"]) == (expected["utxo_count"], expected["utxo_total_sat"])
    assert said["utxo_set_coins"] == expected["utxo_count"] - 1
    assert said["utxo_set_value"] == expected["utxo_total_sat"] - genesis
    assert said["coins"] == said["unspent_coins"] + said["inputs"]
    assert said["fees"] == expected["total_fees_sat"]
    assert said["seconds"] > 0


def test_ledger_info_has_the_same_keys_and_facts(ingested: tuple[Path, dict[str, Any]]) -> None:
    ledger, said = ingested
    again = succeeds("ledger", "info", ledger, "--json", "-").document
    assert set(KEYS) <= again.keys()
    assert [again[key] for key in (*FACTS, "digest")] == [said[key] for key in (*FACTS, "digest")]


def test_a_script_reads_numbers_as_integers(ingested: tuple[Path, dict[str, Any]]) -> None:
    _, said = ingested
    assert all(isinstance(said[key], int) for key in KEYS if key not in {"network", "tip", "seconds"})


def test_ingesting_twice_changes_nothing(core: Path, ingested: tuple[Path, dict[str, Any]]) -> None:
    ledger, said = ingested
    before = _columns(ledger)
    again = succeeds("ingest", "bitcoin", core, "--ledger", ledger, "--json", "-").document
    assert (again["added_blocks"], again["digest"]) == (0, said["digest"])
    assert _columns(ledger) == before


def test_the_chain_may_come_in_steps(core: Path, ingested: tuple[Path, dict[str, Any]], tmp_path: Path) -> None:
    _, said = ingested
    for height, added in ((9, 10), (170, 161), (170, 0), (4000, 3830)):
        step = succeeds(
            "ingest", "bitcoin", core, "--ledger", tmp_path / "ledger", "--to-height", height, "--json", "-"
        )
        assert (step.document["height"], step.document["added_blocks"]) == (height, added)
    last = succeeds("ingest", "bitcoin", core, "--ledger", tmp_path / "ledger", "--json", "-").document
    assert last["digest"] == said["digest"]


def test_a_lower_height_takes_nothing_away(core: Path, ingested: tuple[Path, dict[str, Any]]) -> None:
    ledger, said = ingested
    again = succeeds("ingest", "bitcoin", core, "--ledger", ledger, "--to-height", 5, "--json", "-").document
    assert (again["height"], again["digest"]) == (4312, said["digest"])


def test_the_same_chain_from_a_plain_file_is_the_same_ledger(
    data: Path, ingested: tuple[Path, dict[str, Any]], tmp_path: Path
) -> None:
    plain = data / "bitcoin" / "mainnet-0-4312" / "blk00000.dat"
    said = succeeds("ingest", "bitcoin", plain, "--ledger", tmp_path / "ledger", "--json", "-").document
    assert said["digest"] == ingested[1]["digest"]


def test_json_to_a_file_leaves_the_screen_for_people(tmp_path: Path) -> None:
    blocks, ledger, file = write_blocks(tmp_path / "blocks"), tmp_path / "ledger", tmp_path / "said.json"
    done = succeeds("ingest", "bitcoin", blocks, "--ledger", ledger, "--json", file)
    document = json.loads(file.read_text("utf-8"))
    assert set(KEYS) <= document.keys()
    screen = done.out.decode()
    for fact in ("regtest", document["tip"], document["digest"], "181 blocks", "181 of them new"):
        assert fact in screen
    shown = succeeds("ledger", "info", ledger, "--json", file)
    assert json.loads(file.read_text("utf-8"))["digest"] in shown.out.decode()
    assert list(tmp_path.glob("*.part")) == []


def test_the_folder_above_blocks_will_do(tmp_path: Path) -> None:
    write_blocks(tmp_path / "node" / "blocks")
    said = succeeds("ingest", "bitcoin", tmp_path / "node", "--ledger", tmp_path / "ledger", "--json", "-").document
    assert said["tip"] == theft().economy.blocks[-1].hash


def test_files_may_be_named_one_by_one(tmp_path: Path) -> None:
    write_blocks(tmp_path / "blocks")
    files = sorted((tmp_path / "blocks").glob("blk*.dat"), reverse=True)
    said = succeeds("ingest", "bitcoin", *files, "--ledger", tmp_path / "ledger", "--json", "-").document
    assert said["height"] == 180


def test_an_island_only_where_it_is_asked_for(data: Path, tmp_path: Path) -> None:
    block, ledger = data / "bitcoin" / "blocks" / "testnet3-928816.raw", tmp_path / "ledger"
    command = ("ingest", "bitcoin", block, "--ledger", ledger, "--network", "testnet3")
    assert "--island" in refused(*command)
    said = succeeds(*command, "--island", "--json", "-").document
    assert (said["network"], said["height"], said["first_height"], said["blocks"]) == ("testnet3", 928816, 928816, 1)
    assert said["island"] is True
    assert said["unknown_inputs"] > 0
    assert said["fees"] is None  # unknown is never zero
    assert [info(ledger)[key] for key in FACTS] == [said[key] for key in FACTS]
    assert "unknown" in succeeds("ledger", "info", ledger).out.decode()
    assert succeeds("ledger", "check", ledger).out


def test_island_changes_nothing_for_a_whole_chain(tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path / "blocks")
    said = succeeds("ingest", "bitcoin", blocks, "--ledger", tmp_path / "ledger", "--island", "--json", "-").document
    assert (said["island"], said["first_height"], said["unknown_inputs"]) == (False, 0, 0)


def test_a_last_record_being_written_is_passed_over(tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path / "blocks")
    last = blocks / "blk00001.dat"
    last.write_bytes(last.read_bytes()[:-100])
    said = succeeds("ingest", "bitcoin", blocks, "--ledger", tmp_path / "ledger", "--json", "-").document
    assert said["height"] == 179
    assert "cut" in said["notes"][0]
    write_blocks(blocks)
    assert (
        succeeds("ingest", "bitcoin", blocks, "--ledger", tmp_path / "ledger", "--json", "-").document["height"] == 180
    )


def test_a_path_need_not_be_utf_8(tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path / "Documentaci\udcf3n")  # as an older Windows wrote it
    last = blocks / "blk00001.dat"
    last.write_bytes(last.read_bytes()[:-100])  # so that a note names the file
    for output in (("--json", "-"), ("--json", tmp_path / "said.json"), ()):
        done = run_calibar("ingest", "bitcoin", blocks, "--ledger", tmp_path / "ledger", *output)
        assert done.code == 0
    assert run_calibar("ledger", "info", tmp_path / "ledger").code == 0


def test_check_says_sound(tmp_path: Path) -> None:
    ledger = theft_ledger(tmp_path)
    assert succeeds("ledger", "check", ledger).out.startswith(b"sound")
    assert succeeds("ledger", "check", ledger, "--json", "-").document == {"sound": True, "damage": []}


def test_check_names_the_damage_and_exits_1(tmp_path: Path) -> None:
    ledger = theft_ledger(tmp_path)
    column = ledger / "coins.value.bin"
    column.write_bytes(column.read_bytes()[:-1] + b"\x55")
    done = run_calibar("ledger", "check", ledger, "--json", "-")
    assert done.code == 1
    assert done.document["sound"] is False
    assert done.err == "".join(f"calibar: damage: {line}\n" for line in done.document["damage"])
    assert "coins.value" in done.document["damage"][0]
    assert "coins.value" in refused("ledger", "check", ledger, code=1)
