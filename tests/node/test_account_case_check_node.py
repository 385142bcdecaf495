"""A case from a real node against itself and the full ledger of that node: the same, until the chain is another."""

from __future__ import annotations

import json
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from commands import run_calibar
from scenario import BALANCES
from test_account_case_node import CHAIN, fetched
from test_node_ledger import Forked, take_in, taken

from calibar.chains.ethereum.sources.node import EvmNode
from calibar.chains.remote.transfers_told import BlockQuestion
from calibar.errors import UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.case import Case
from calibar.ledger.case.check import compare_with
from calibar.ledger.check import check
from calibar.trail.cases import gather
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from anvil import Node
    from nodes import Lived, Start

pytest_plugins = ("nodes",)
__all__ = ["taken"]


@pytest.mark.parametrize("who", ["deposit 1", "holder 1", "holder 2", "hot wallet"])
def test_what_a_node_tells_is_what_its_full_ledger_has(
    lived: Lived, taken: AccountSnapshot, tmp_path: Path, who: str
) -> None:
    case = tmp_path / "case"
    gather(case, [lived.known.names[who]], [lived.node.url], network_name=CHAIN)
    fetched(lived, case, lived.known.names[who], asset=lived.known.names["dollar"], stops=(), max_hops=1)
    assert Case(case).accounts.holdings
    assert check(case) == []
    assert compare_with(case, taken.folder) == []
    done = run_calibar("ledger", "check", case, "--against", taken.folder, "--json", "-")
    assert (done.code, json.loads(done.out)) == (0, {"sound": True, "damage": [], "differences": []})


def test_a_node_of_another_chain_is_refused(lived: Lived, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the node is of chain 31337, not of chain 1"):
        gather(tmp_path / "case", [lived.known.names["holder 1"]], [lived.node.url], network_name="ethereum:1")


def test_a_token_whose_balance_no_transfer_explains_differs(
    lived: Lived, taken: AccountSnapshot, tmp_path: Path
) -> None:
    """Not a lie: the node knows more than logs tell. The line says by what the ledger knows."""
    tide, who = lived.known.names["tide"], lived.known.names["holder 2"]
    fetched(lived, tmp_path / "case", who, asset=tide, max_hops=1)
    found = compare_with(tmp_path / "case", taken.folder)
    assert found
    assert all(line.startswith(f"{lived.node.url} said that 0x") for line in found)
    assert all("by the ledger's transfers it had" in line for line in found)


def test_another_branch_is_said_and_so_are_blocks_of_two(anvil: Start, tmp_path: Path) -> None:
    node = anvil(BALANCES, seed="case of a branch")
    node.deploy("issuer", "Dollar", "dollar")
    node.mine()
    node.send("issuer", "dollar", "issue(uint256)", 10**12)
    node.mine()
    fork = Forked(node)
    given = node.send("issuer", "dollar", "transfer(address,uint256)", "holder 1", 10**9)
    height = node.mine()
    rules = Policy(unit="address", asset=node.address("dollar"), stops=())
    gather(tmp_path / "case", [given], [node.url], network_name=CHAIN, policy=rules)
    _take(node, tmp_path / "case", height)
    take_in(node, tmp_path / "before")
    assert compare_with(tmp_path / "case", tmp_path / "before" / "ledger") == []
    fork.back()
    node.send("holder 2", "dollar", "transfer(address,uint256)", "holder 3", 0)
    for _ in range(3):
        last = node.mine()
    take_in(node, tmp_path / "after")
    (line,) = compare_with(tmp_path / "case", tmp_path / "after" / "ledger")
    assert line.startswith(f"from height {height} on the ledger has other blocks: 0x")
    assert f", by {node.url} 0x" in line
    assert run_calibar("ledger", "check", tmp_path / "case", "--against", tmp_path / "after" / "ledger").code == 1
    _take(node, tmp_path / "case", height + 1)
    assert last > height
    (line,) = check(tmp_path / "case")
    assert line.startswith(f"the block of height {height + 1} by {node.url} does not follow that of height {height}")
    _take(node, tmp_path / "case", height)
    assert check(tmp_path / "case") == []


def _take(node: Node, folder: Path, height: int) -> None:
    with Case.for_fetching(folder, None) as case, closing(EvmNode(node.url, case.keep)) as source:
        assert len(list(source.ask([BlockQuestion(height)]))) == 1
