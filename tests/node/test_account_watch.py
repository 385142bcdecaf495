"""Held tokens that move are told by a real node: in a block, taken back by a branch, gone without a transfer."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_calibar
from scenario import BALANCES
from test_node_ledger import Forked

from calibar.chains.ethereum.sources.node import EvmNode
from calibar.errors import UsageError
from calibar.trail.accounts.watching import AccountWatch
from calibar.trail.policy import Policy
from calibar.trail.watches import watching

if TYPE_CHECKING:
    from anvil import Node
    from nodes import Start

pytest_plugins = ("nodes",)

CHAIN = "ethereum:31337"
TRANSFER = "transfer(address,uint256)"


class Paid:
    """A chain in which holder 1 was paid 1,000 dollars."""

    def __init__(self, node: Node) -> None:
        self.node = node
        node.deploy("issuer", "Dollar", "dollar")
        node.mine()
        node.send("issuer", "dollar", "issue(uint256)", 10**12)
        node.mine()
        self.given = self.pay("issuer", "holder 1", 10**9)
        self.dollar = node.address("dollar")
        self.policy = Policy(unit="address", asset=self.dollar, stops=())

    def pay(self, giver: str, taker: str, amount: int, *, mined: bool = True) -> str:
        txid = self.node.send(giver, "dollar", TRANSFER, taker, amount)
        if mined:
            self.node.mine()
        return txid

    def address(self, name: str) -> str:
        return self.node.address(name).lower()

    @contextlib.contextmanager
    def watched(self, folder: Path, **options: Any) -> Iterator[AccountWatch]:
        sources = options.pop("sources", [self.node.url])
        with watching(folder, [self.given], sources, network_name=CHAIN, policy=self.policy, **options) as watch:
            assert isinstance(watch, AccountWatch)
            yield watch

    def told(self, watch: AccountWatch) -> list[tuple[str, str, dict[str, str], str | None]]:
        """Event, account, labelled units and to whom, by the node's names."""
        names = {address.lower(): name for name, address in self.node.names.items()}
        rows = [event.document() for event in watch.round()]
        assert watch.trouble == []
        return [
            (row["event"], names[row["account"].lower()], row["labels"], row["to"] and names[row["to"].lower()])
            for row in rows
        ]


@pytest.fixture
def paid(anvil: Start, request: pytest.FixtureRequest) -> Paid:
    return Paid(anvil(BALANCES, seed=request.node.name))


def holders(paid: Paid, watch: AccountWatch) -> set[str]:
    names = {address.lower(): name for name, address in paid.node.names.items()}
    return {names[held.account.lower()] for held in watch.held}


def test_a_move_is_told_once_it_is_in_a_block_and_followed_on(paid: Paid, tmp_path: Path) -> None:
    with paid.watched(tmp_path / "case") as watch:
        first = watch.document()
        assert (first["accounts"], first["not_watched"]) == (1, 0)
        (said,) = first["assets"].values()
        assert said["labels"] == {"S0": "1000000000"}
        assert holders(paid, watch) == {"holder 1"}
        assert paid.told(watch) == []
        paid.pay("holder 1", "holder 2", 4 * 10**8, mined=False)
        assert paid.told(watch) == []
        paid.node.mine()
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "400000000"}, "holder 2")]
        assert paid.told(watch) == []
        assert holders(paid, watch) == {"holder 1", "holder 2"}
        paid.pay("holder 2", "holder 3", 10**8)
        paid.pay("holder 1", "holder 4", 6 * 10**8)
        assert sorted(paid.told(watch)) == [
            ("moved", "holder 1", {"S0": "600000000"}, "holder 4"),
            ("moved", "holder 2", {"S0": "100000000"}, "holder 3"),
        ]
        assert {watch.state_of(held).what for held in watch.held} == {"still"}
        assert holders(paid, watch) == {"holder 2", "holder 3", "holder 4"}


def test_value_that_comes_and_goes_between_two_looks_is_told(paid: Paid, tmp_path: Path) -> None:
    """What the account has is the same before and after."""
    with paid.watched(tmp_path / "case") as watch:
        paid.pay("issuer", "holder 1", 5 * 10**8)
        paid.pay("holder 1", "holder 2", 5 * 10**8)
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "500000000"}, "holder 2")]


def test_a_branch_that_takes_a_move_back_is_told(paid: Paid, tmp_path: Path) -> None:
    paid.node.mine()
    with paid.watched(tmp_path / "case") as watch:
        fork = Forked(paid.node)
        paid.pay("holder 1", "holder 2", 4 * 10**8)
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "400000000"}, "holder 2")]
        fork.back()
        for _ in range(3):
            paid.node.mine()
        assert paid.told(watch) == [("back", "holder 1", {"S0": "400000000"}, "holder 2")]
        assert holders(paid, watch) == {"holder 1"}
        paid.pay("holder 1", "holder 3", 10**9)
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "1000000000"}, "holder 3")]


def test_what_is_gone_without_a_transfer_is_told_as_unclear(paid: Paid, tmp_path: Path) -> None:
    """The issuer destroys frozen dollars by an event of its own, which no listing of transfers has."""
    with paid.watched(tmp_path / "case") as watch:
        paid.pay("holder 1", "holder 2", 10**8)
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "100000000"}, "holder 2")]
        paid.node.send("issuer", "dollar", "addBlackList(address)", "holder 1")
        paid.node.send("issuer", "dollar", "destroyBlackFunds(address)", "holder 1")
        paid.node.mine()
        assert watch.round() == []  # lists may lag behind balances
        (event,) = watch.round()
        assert (event.what, event.said, event.watched.value) == ("differs", {paid.node.url: "0"}, "900000000")
        assert any("not known whole" in words for words in watch.trouble)
        assert watch.round() == []
        assert {watch.state_of(account).what for account in watch.unclear} == {"differs"}
    with paid.watched(tmp_path / "case") as watch:  # begun again from what was kept
        assert holders(paid, watch) == {"holder 2"}  # what moved before is known all the same
        assert (watch.document()["unclear"], watch.document()["not_watched"]) == (1, 0)
        assert [event.what for event in watch.round()] == ["differs"]
        assert watch.round() == []


def test_rounds_in_which_nothing_is_new_keep_nothing(paid: Paid, tmp_path: Path) -> None:
    with paid.watched(tmp_path / "case") as watch:
        assert paid.told(watch) == []
        before = (tmp_path / "case" / "responses.jsonl").read_bytes()
        for _ in range(4):
            paid.node.mine()
            assert paid.told(watch) == []
        assert (tmp_path / "case" / "responses.jsonl").read_bytes() == before
        paid.pay("holder 1", "holder 2", 1)
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "1"}, "holder 2")]
    assert len((tmp_path / "case" / "responses.jsonl").read_bytes()) > len(before)


def test_a_watch_begun_again_tells_what_moved_meanwhile(paid: Paid, tmp_path: Path) -> None:
    with paid.watched(tmp_path / "case"):
        pass
    paid.pay("holder 1", "holder 2", 10**9)
    paid.pay("holder 2", "holder 3", 10**9)
    with paid.watched(tmp_path / "case") as watch:
        assert holders(paid, watch) == {"holder 1"}
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "1000000000"}, "holder 2")]
        assert holders(paid, watch) == {"holder 3"}


def test_a_server_that_is_away_is_noted_and_nothing_is_missed(
    paid: Paid, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with paid.watched(tmp_path / "case") as watch:
        assert paid.told(watch) == []
        paid.pay("holder 1", "holder 2", 7)

        def away(*_: Any) -> Any:
            raise UsageError("it is away")

        with monkeypatch.context() as patch:
            patch.setattr(EvmNode, "ask", away)
            with pytest.raises(UsageError, match="it is away"):
                watch.round()
        assert paid.told(watch) == [("moved", "holder 1", {"S0": "7"}, "holder 2")]


def test_the_command_says_of_each_account_whether_it_is_still_there(paid: Paid, tmp_path: Path) -> None:
    common = ["--ledger", tmp_path / "case", "--source", paid.node.url, "--network", CHAIN, "--asset", paid.dollar]
    call = ["watch", paid.given, *common, "--stop", "none", "--once"]
    done = run_calibar(*call)
    assert done.code == 0, done.err
    first, line = done.out.decode().splitlines()
    assert re.match(r"watching 1 accounts with 0x[0-9a-fA-F]{40} \(“[^”]+”\): S0 1,000(\.0+)?, as of block \d+$", first)
    assert " still there: " in line and paid.address("holder 1") in line.lower()
    txid = paid.pay("holder 1", "holder 2", 10**9)
    done = run_calibar(*call, "--json", "-")
    assert done.code == 1
    watching_, row, *_ = [json.loads(line) for line in done.out.splitlines()]
    assert watching_["accounts"] == 1
    assert (row["event"], row["labels"], row["kind"]) == ("moved", {"S0": "1000000000"}, "transfer")
    assert row["transfer"].startswith(txid) and row["to"].lower() == paid.address("holder 2")
    done = run_calibar(*call)
    assert done.code == 0
    assert paid.address("holder 2") in done.out.decode().lower()
