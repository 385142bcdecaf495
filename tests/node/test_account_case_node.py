"""A case from a real node: token histories by its logs, blocks recomputed, trails as from a full ledger."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from scenario import BALANCES
from test_node_ledger import Forked, taken

import calibar
from calibar.cli.main import main
from calibar.errors import UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits, Report
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from nodes import Lived, Start

pytest_plugins = ("nodes",)
__all__ = ["taken"]

CHAIN = "ethereum:31337"


def fetched(lived: Lived, folder: Path, *references: str, **policy: Any) -> Report:
    rules = Policy(unit="address", **policy)
    return gather(folder, references, [lived.node.url], network_name=CHAIN, policy=rules)


def compared(document: Any) -> dict[str, Any]:
    rows = ("account", "asset", "value", "traced", "state", "reason")
    holdings = [{key: row[key] for key in rows} for row in document["holdings"]]
    return {"steps": document["steps"], "holdings": holdings, "totals": document["totals"]}


@pytest.mark.parametrize(("who", "token"), [("deposit 1", "dollar"), ("deposit 2", "dollar")])
def test_a_token_followed_by_a_nodes_logs_is_followed_as_in_the_full_ledger(
    lived: Lived, taken: AccountSnapshot, tmp_path: Path, who: str, token: str
) -> None:
    reference, asset = lived.known.names[who], lived.known.names[token]
    policy = {"asset": asset, "stops": (), "max_hops": 1}
    report = fetched(lived, tmp_path / "case", reference, **policy)
    assert report.lies == []
    case = calibar.open(tmp_path / "case").trace(reference, **policy)
    full = calibar.open(taken.folder).trace(reference, **policy)
    assert compared(case.document) == compared(full.document)
    assert {step["proof"] for step in case.steps} <= {"proven", "reported"}
    assert any(step["proof"] == "proven" for step in case.steps)


def test_what_a_node_cannot_list_is_said(lived: Lived, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a node keeps no list of an address's transactions"):
        fetched(lived, tmp_path / "case", lived.known.names["holder 2"], asset="native", max_hops=1)


def test_what_no_listing_shows_is_seen_by_the_balance(lived: Lived, tmp_path: Path) -> None:
    """The issuer destroyed these dollars by an event of its own: in the transfers' logs they still lie there."""
    who, dollar = lived.known.names["twin of deposit 1"], lived.known.names["dollar"]
    report = fetched(lived, tmp_path / "case", who, asset=dollar, max_hops=1)
    (why,) = [why for why in report.unanswered.values() if "not known whole" in why]
    assert why == f"its history is not known whole: it leaves 2500000000; {lived.node.url} 0"
    (row,) = calibar.open(tmp_path / "case").trace(who, asset=dollar, max_hops=1).holdings
    assert (row["state"], row["reason"]) == ("stopped", "not looked at")


def test_every_token_transfer_of_an_account_is_in_its_case(
    lived: Lived, taken: AccountSnapshot, tmp_path: Path
) -> None:
    who = lived.known.names["holder 1"]
    gather(tmp_path / "case", [who], [lived.node.url], network_name=CHAIN)
    told = {
        (row["transfer"], row["asset"], row["from"], row["to"], row["amount"])
        for row in calibar.open(tmp_path / "case").transfers(who)
    }
    known = {
        (row["transfer"], row["asset"], row["from"], row["to"], row["amount"])
        for row in calibar.open(taken.folder).transfers(who)
        if row["asset"] != "native" and row["kind"] != "destroyed"
    }
    assert told == known


def test_a_case_grows_with_the_chain_and_follows_its_branch(anvil: Start, tmp_path: Path) -> None:
    node = anvil(BALANCES, seed="growing case")
    node.deploy("issuer", "Dollar", "dollar")
    node.mine()
    node.send("issuer", "dollar", "issue(uint256)", 10**12)
    node.mine()
    given = node.send("issuer", "dollar", "transfer(address,uint256)", "holder 1", 10**9)
    node.mine()
    dollar, case = node.address("dollar"), tmp_path / "case"
    withdrawn: list[str] = []

    def followed() -> dict[str, str]:
        rules = Policy(unit="address", asset=dollar, stops=())
        withdrawn[:] = gather(case, [given], [node.url], network_name=CHAIN, policy=rules).left
        trail = calibar.open(case).trace(given, asset=dollar, stops=())
        assert {row["state"] for row in trail.holdings} == {"held"}, trail.holdings
        by_address = {address: name for name, address in node.names.items()}
        return {by_address[row["account"].lower()]: row["traced"]["S0"] for row in trail.holdings}

    assert followed() == {"holder 1": "1000000000"}
    fork = Forked(node)
    lost = node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 2", 4 * 10**8)
    node.mine()
    assert followed() == {"holder 1": "600000000", "holder 2": "400000000"}
    assert withdrawn == []
    fork.back()
    node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 3", 10**9)
    node.mine()
    node.mine()
    assert followed() == {"holder 3": "1000000000"}
    assert withdrawn == [lost]


def test_the_command_line_takes_it_from_an_address_to_a_page(
    lived: Lived, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    who, dollar = lived.known.names["deposit 1"], lived.known.names["dollar"]
    common = [who, "--ledger", str(tmp_path / "case"), "--asset", dollar, "--max-hops", "1"]
    with pytest.raises(SystemExit) as ended:
        main(["open", *common, "--source", lived.node.url, "--network", CHAIN])
    assert ended.value.code == 0
    first = capsys.readouterr()
    assert "Where the value rests" in first.out
    assert "fetched" in first.err
    assert (tmp_path / "case" / "trail.html").read_text("utf-8").startswith("<!")
    with pytest.raises(SystemExit):
        main(["open", *common])
    assert capsys.readouterr().out == first.out
    with pytest.raises(SystemExit):
        main(["ledger", "info", str(tmp_path / "case")])
    assert "with their whole history" in capsys.readouterr().out
    with pytest.raises(SystemExit) as ended:
        main(["open", who[:-1] + "0", "--ledger", str(tmp_path / "x"), "--source", lived.node.url, "--network", CHAIN])
    assert ended.value.code == 2


def test_a_node_elsewhere_is_named_before_it_is_asked_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also which chain it is of, which opening it asks; nobody listens there."""
    said: list[str] = []
    place = "http://127.0.0.1:9"
    monkeypatch.setattr("calibar.trail.cases.is_here", lambda _: False)
    with pytest.raises(UsageError):
        gather(tmp_path / "case", ["0x" + "11" * 20], [place], network_name=CHAIN, tell=said.append)
    assert len(said) == 1
    assert "will learn that somebody at this network address asks about these transactions" in said[0]


def test_a_service_is_not_asked_for_again_unless_more_is_wanted(lived: Lived, tmp_path: Path) -> None:
    who, dollar = lived.known.names["issuer"], lived.known.names["dollar"]

    def fetch(most: int) -> tuple[Report, int]:
        rules = Policy(unit="address", asset=dollar, max_hops=1)
        limits = Limits(history=most)
        try:
            report = gather(tmp_path / "case", [who], [lived.node.url], network_name=CHAIN, policy=rules, limits=limits)
        except UsageError as error:
            report = Report(unanswered={"": str(error)})
        return report, (tmp_path / "case" / "responses.jsonl").read_text().count("eth_getLogs")

    first, asked = fetch(2)
    assert any("more than 2 transfers" in why for why in first.unanswered.values())
    again, asked_again = fetch(2)
    assert any("more than 2 transfers of that kind, as was told before" in why for why in again.unanswered.values())
    assert asked_again == asked
    _, more = fetch(1000)
    assert more > asked
