"""A ledger's balances beside its node's: what does not follow from transfers is found before anybody spends it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from scenario import BALANCES
from test_node_ledger import PLAIN, differing, take_in, taken

import calibar
from calibar.chains.ethereum.balances import balances
from calibar.chains.ethereum.jsonrpc import Question, Refusal
from calibar.cli.main import main
from calibar.errors import DamageError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nodes import Lived, Start

    from calibar.ledger.accounts.snapshot import AccountSnapshot

pytest_plugins = ("nodes",)
__all__ = ["taken"]


@pytest.fixture
def copied(taken: AccountSnapshot, tmp_path: Path) -> Path:
    """A copy of the ledger of the chain that has everything in it."""
    return Path(shutil.copytree(taken.folder, tmp_path / "ledger"))


def test_every_balance_that_does_not_follow_is_found_and_no_other(
    lived: Lived, taken: AccountSnapshot, copied: Path
) -> None:
    names = lived.known.names
    by_address = {address: name for name, address in names.items()}
    found = calibar.open(copied).compare(lived.node.url)
    said = {
        (by_address[asset.lower()], by_address[row["address"].lower()])
        for asset, one in found.items()
        for row in one["differences"]
    }
    tip = taken.manifest.height
    tokens = ["tide", "look-alike", *PLAIN]
    off = differing(lived, taken, [None, *tokens])
    known = {pair for pair, heights in off.items() if tip in heights}
    assert {pair for pair in said if pair[0] in tokens} == known
    assert {token for token, _ in known} == {"tide", "look-alike"}
    assert sum(one["differ"] for one in found.values()) == len(said)
    assert found["native"]["compared"] > 20
    assert found["native"]["differ"] == 0


def test_a_rebase_is_found_at_its_block_and_not_before(lived: Lived, taken: AccountSnapshot, copied: Path) -> None:
    """Two holders have what no transfer brought, and no holding is below zero yet."""
    tide = lived.known.names["tide"]
    rebased = min(differing(lived, taken, ["tide"])["tide", "holder 2"])
    ledger = calibar.open(copied)
    assert ledger.compare(lived.node.url, asset=tide, at=rebased - 1)[ledger_name(taken, tide)]["differ"] == 0
    found = ledger.compare(lived.node.url, asset=tide, at=rebased)[ledger_name(taken, tide)]
    assert found["differ"] >= 2
    rows = {row["address"].lower(): (row["ledger"], row["node"]) for row in found["differences"]}
    assert rows[lived.known.names["holder 2"]] == ("20000000", "25000000")


def ledger_name(taken: AccountSnapshot, contract: str) -> str:
    return taken.write_address(bytes.fromhex(contract[2:]))


def test_a_trail_through_such_a_token_says_so(lived: Lived, copied: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tide, holder = lived.known.names["tide"], lived.known.names["holder 2"]
    ledger = calibar.open(copied)
    before = ledger.trace(holder, asset=tide).document
    assert all("balances" not in said for said in before["assets"].values())
    ledger.compare(lived.node.url)
    after = ledger.trace(holder, asset=tide).document
    (said,) = [said for asset, said in after["assets"].items() if asset.lower() == tide]
    assert said["balances"]["differ"] >= 2
    assert said["balances"]["source"] == lived.node.url
    assert after["digest"] != before["digest"]
    assert after["steps"] == before["steps"]
    page = ledger.trace(holder, asset=tide).html()
    assert "do not follow from transfers: at block" in page
    assert "WARNING" not in calibar.open(copied).trace(holder, asset=lived.known.names["dollar"]).html()
    for language, words in (("en", "do not follow from transfers"), ("es", "no salen de las transferencias")):
        with pytest.raises(SystemExit):
            main(["trace", holder, "--asset", tide, "--ledger", str(copied), "--language", language])
        assert words in capsys.readouterr().out


def test_the_command_answers_no_where_balances_differ(
    lived: Lived, copied: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dollar, tide = lived.known.names["dollar"], lived.known.names["tide"]
    command = ["ledger", "compare", str(copied), "--source", lived.node.url]
    with pytest.raises(SystemExit) as ended:
        main([*command, "--asset", dollar, "--json", "-"])
    assert ended.value.code == 0
    (one,) = json.loads(capsys.readouterr().out)["assets"].values()
    assert (one["differ"], one["unanswered"]) == (0, 0)
    with pytest.raises(SystemExit) as ended:
        main([*command, "--asset", tide])
    assert ended.value.code == 1
    assert "by transfers 20000000, by the node" in capsys.readouterr().out


def test_of_another_chain_or_branch_there_is_nothing_to_compare(lived: Lived, anvil: Start, copied: Path) -> None:
    other = anvil(BALANCES, seed="another branch")
    with pytest.raises(UsageError, match=r"has another block \d+ than"):
        calibar.open(copied).compare(other.url)
    with pytest.raises(UsageError, match="no asset 0x0000"):
        calibar.open(copied).compare(lived.node.url, asset="0x" + "00" * 19 + "77")
    assert not (copied / "compared.json").exists()


def test_what_was_compared_goes_with_the_block_that_it_was_compared_at(anvil: Start, tmp_path: Path) -> None:
    node = anvil(BALANCES, seed="comparing fork")
    node.send("holder 1", "holder 2", value=5)
    node.mine()
    mark = node.ask("evm_snapshot")
    node.send("holder 1", "holder 2", value=7)
    node.mine()
    take_in(node, tmp_path)
    ledger = calibar.open(tmp_path / "ledger")
    assert ledger.compare(node.url)["native"]["differ"] == 0
    reference = node.address("holder 2")
    assert "balances" in ledger.trace(reference, asset="native").document["assets"]["native"]
    assert node.ask("evm_revert", mark)
    node._nonces["holder 1"] -= 1
    node.send("holder 1", "holder 2", value=9)
    node.mine()
    node.mine()
    take_in(node, tmp_path)
    after = calibar.open(tmp_path / "ledger").trace(reference, asset="native").document
    assert "balances" not in after["assets"]["native"]


def test_a_damaged_comparison_is_said_and_made_anew(lived: Lived, copied: Path) -> None:
    (copied / "compared.json").write_text('{"native": {"height": "x"', "utf-8")
    ledger, holder = calibar.open(copied), lived.known.names["holder 2"]
    with pytest.raises(DamageError, match=r"compared\.json cannot be read"):
        ledger.trace(holder, asset="native")
    assert ledger.compare(lived.node.url, asset="native")["native"]["differ"] == 0
    assert "balances" in ledger.trace(holder, asset="native").document["assets"]["native"]


class Saying:
    """A node that gives one answer."""

    place = "http://127.0.0.1:1"

    def __init__(self, answer: object) -> None:
        self.answer = answer

    def ask(self, questions: Sequence[Question]) -> list[object]:
        return [self.answer] * len(questions)


@pytest.mark.parametrize(
    "message",
    [
        "missing trie node 5bd0f5 (path ) state 0x5bd0 is not available",
        "required historical state unavailable (reexec=0)",
        "distance to target block exceeds maximum proof window: pruned history",
        "header not found",
    ],
)
def test_a_node_without_that_state_is_refused(message: str) -> None:
    """The texts that geth, Erigon, reth and Nethermind give."""
    with pytest.raises(UsageError, match="name one that keeps the state"):
        balances(Saying(Refusal(-32000, message)), [(b"\1" * 20, b"\2" * 20)], 5)


@pytest.mark.parametrize("answer", ["0x", "0x" + "0" * 62, "0x" + "00" * 96, "0xzz", None, 5, Refusal(3, "reverted")])
def test_a_contract_that_gives_no_balance_has_no_answer(answer: object) -> None:
    assert balances(Saying(answer), [(b"\1" * 20, b"\2" * 20)], 5) == [None]
