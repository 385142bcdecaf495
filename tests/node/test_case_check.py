"""A case against itself, and against a node's chain: damage is named, and so is a server that hid a spend."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_calibar
from liar import Liar

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.errors import UsageError
from calibar.ledger.case.check import check_case, compare_with
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from chains import Start, Stolen

pytest_plugins = ("chains",)

NETWORK = "litecoin-regtest"


def fetched(stolen: Stolen, folder: Path, *references: str, sources: tuple[str, ...] = (), **limits: Any) -> Path:
    wanted = references or (stolen.known.stolen.ref, stolen.known.service)
    urls = sources or (stolen.chain.electrum_url,)
    gather(folder, wanted, urls, network_name=NETWORK, policy=Policy(), limits=Limits(**limits))
    return folder


@pytest.fixture(scope="session")
def full_ledger(stolen: Stolen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("full-chain") / "ledger"
    ingest([stolen.chain.blocks_folder], folder, network=NETWORKS[NETWORK])
    return folder


@pytest.fixture(scope="session")
def sound_case(stolen: Stolen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return fetched(stolen, tmp_path_factory.mktemp("sound") / "case")


def test_an_honest_servers_case_is_sound_and_the_chain_says_the_same(full_ledger: Path, sound_case: Path) -> None:
    assert check(sound_case) == []
    assert compare_with(sound_case, full_ledger) == []
    done = run_calibar("ledger", "check", sound_case, "--against", full_ledger)
    assert done.code == 0
    assert done.out.decode().splitlines()[-1] == f"the chain in {full_ledger} says the same"


def rewritten(case: Path, to: Path, method: str, change: Callable[[str], str], *, honest_sum: bool = True) -> Path:
    """A copy of a case in which the longest answer to a method is another, with its checksum where `honest_sum`."""
    shutil.copytree(case, to)
    path = to / "responses.jsonl"
    rows = [json.loads(line) for line in path.read_text("utf-8").splitlines()]
    row = max((row for row in rows if method in row["request"]), key=lambda row: len(row["text"]))
    row["text"] = change(row["text"])
    if honest_sum:
        row["sha256"] = hashlib.sha256(row["text"].encode()).hexdigest()
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return to


def other(text: str) -> str:
    """Another digit in the middle."""
    at = len(text) // 2
    return text[:at] + ("0" if text[at] != "0" else "1") + text[at + 1 :]


@pytest.mark.parametrize(
    ("method", "change", "named"),
    [
        ("transaction.get\"", other, "was asked for transaction"),
        ("transaction.get_merkle", lambda text: text.replace('"merkle":["', '"merkle":["00', 1), "is no answer"),
        ("transaction.get_merkle", lambda text: text.replace('"pos":', '"pos":1'), "is no answer|branch"),
        ("transaction.get_merkle", lambda _: "{}", "is no answer"),
        ("block.headers", lambda text: text[:300] + other(text[300:460]) + text[460:], "told what cannot be"),
    ],
)  # fmt: skip
def test_what_was_tampered_with_leaves_a_hole_that_is_named(
    sound_case: Path, tmp_path: Path, method: str, change: Callable[[str], str], named: str
) -> None:
    case = rewritten(sound_case, tmp_path / "case", method, change)
    damage = check_case(case)
    assert any(word in line for line in damage for word in named.split("|")), damage
    assert run_calibar("ledger", "check", case).code == 1


def test_a_response_that_is_not_what_it_was_is_damage(sound_case: Path, tmp_path: Path) -> None:
    case = rewritten(sound_case, tmp_path / "case", "transaction.get", other, honest_sum=False)
    (line,) = check(case)
    assert "is not what it was" in line
    done = run_calibar("ledger", "check", case, "--json", "-")
    assert done.code == 1
    assert json.loads(done.out) == {"sound": False, "damage": [line]}


def test_a_server_that_hid_a_spend_is_shown(stolen: Stolen, full_ledger: Path, tmp_path: Path) -> None:
    hidden, coin = stolen.known.peels[4].txid, stolen.known.rest[3].ref

    def alter(method: str, _: list[Any], result: Any) -> Any:
        if not method.endswith("get_history"):
            return result
        rows = result["history"] if isinstance(result, dict) else result
        kept = [row for row in rows if row["tx_hash"] != hidden]
        return {**result, "history": kept} if isinstance(result, dict) else kept

    with Liar(stolen.chain.electrum_port, alter) as liar:
        alone = fetched(stolen, tmp_path / "alone", stolen.known.stolen.ref, sources=(liar.url,))
        sources = (liar.url, stolen.chain.electrum_url)
        both = fetched(stolen, tmp_path / "both", stolen.known.stolen.ref, sources=sources, cross_check=True)
    for case in (alone, both):
        assert check(case) == []  # no proof shows it
        found = compare_with(case, full_ledger)
        assert any(
            f"{liar.url} hid a spend: by its word nothing spent {coin}" in line and hidden in line for line in found
        )
        assert any("leaves out 1 transactions" in line for line in found)
        assert not any(line.startswith(stolen.chain.electrum_url) for line in found)
    done = run_calibar("ledger", "check", alone, "--against", full_ledger, "--json", "-")
    assert done.code == 1
    assert json.loads(done.out)["differences"] == compare_with(alone, full_ledger)


def test_a_case_of_another_branch_is_told_so(litecoin: Start, tmp_path: Path) -> None:
    chain = litecoin()
    chain.mine(105)
    txid = chain.rpc("sendtoaddress", chain.new_address(), "1.5")
    chain.mine(3)
    chain.wait_for_electrum()
    gather(tmp_path / "case", [txid], [chain.electrum_url], network_name=NETWORK, policy=Policy())
    height = chain.height
    chain.rpc("invalidateblock", chain.rpc("getblockhash", height - 1))
    chain.mine(5)
    ingest([chain.blocks_folder], tmp_path / "ledger", network=NETWORKS[NETWORK])
    (line,) = compare_with(tmp_path / "case", tmp_path / "ledger")
    assert line.startswith(f"from height {height - 1} on the ledger has other blocks")


def test_only_a_case_is_compared_and_with_a_full_ledger_alone(
    stolen: Stolen, full_ledger: Path, sound_case: Path, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="is no full ledger"):
        compare_with(sound_case, sound_case)
    assert run_calibar("ledger", "check", full_ledger, "--against", full_ledger).code == 2
    ingest([stolen.chain.blocks_folder], tmp_path / "short", network=NETWORKS[NETWORK], to_height=50)
    with pytest.raises(UsageError, match="ends at height 50"):
        compare_with(sound_case, tmp_path / "short")
