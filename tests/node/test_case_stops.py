"""Where a trail stops, nothing more is fetched: at labelled addresses, at CoinJoins; and on past them with a reason."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import calibar
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.cli.main import main
from calibar.labels.table import read_labels
from calibar.ledger.case.case import Case
from calibar.ledger.ingest import ingest
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from chains import Stolen

pytest_plugins = ("chains",)

NETWORK = "litecoin-regtest"


@pytest.fixture(scope="module")
def full(stolen: Stolen, tmp_path_factory: pytest.TempPathFactory) -> calibar.Ledger:
    """The same chain, from the node's block files."""
    folder = tmp_path_factory.mktemp("full") / "ledger"
    ingest([stolen.chain.blocks_folder], folder, network=NETWORKS[NETWORK])
    return calibar.open(folder)


@pytest.fixture
def labels(stolen: Stolen, tmp_path: Path) -> Path:
    path = tmp_path / "labels.csv"
    path.write_text(
        "address,name,category,source,network,date\n"
        f"{stolen.known.service},Exchange 2,exchange,a court's order,{NETWORK},2024-05-01\n"
        f"{stolen.known.service},Second house,Hosted-Wallet,its own page,{NETWORK},\n"
        f"{stolen.known.parts[3].address},a suspect,user,a witness,{NETWORK},\n",
        "utf-8",
    )
    return path


def rests(document: Any) -> list[dict[str, Any]]:
    """Holdings as trails from a case and from a full ledger have them in common."""
    return [{key: row[key] for key in ("coin", "value", "traced")} for row in document["holdings"]]


def test_at_a_custodians_address_nothing_more_is_asked(
    stolen: Stolen, full: calibar.Ledger, labels: Path, tmp_path: Path
) -> None:
    known, folder = stolen.known, tmp_path / "case"
    policy = Policy(labels=read_labels([labels]))
    report = gather(folder, [known.stolen.ref], [stolen.chain.electrum_url], network_name=NETWORK, policy=policy)
    assert (report.lies, report.unanswered) == ([], {})
    script = sha256(stolen.chain.script_of(known.service)).digest()
    state = Case(folder).coins
    assert script not in state.histories
    assert not any(coin.ref in str(state.said_spent) for coin in known.paid_to_service)
    trail = calibar.open(folder).trace(known.stolen.ref, labels=labels)
    there = [row for row in trail.holdings if row["address"] == known.service]
    assert len(there) == 6
    assert {(row["state"], row["reason"]) for row in there} == {("stopped", "label:exchange")}
    assert there[0]["labels"] == [
        {"name": "Exchange 2", "category": "exchange", "source": "a court's order", "date": "2024-05-01"},
        {"name": "Second house", "category": "hosted_wallet", "source": "its own page"},
    ]
    (suspect,) = [row for row in trail.holdings if row["coin"] == known.parts[3].ref]
    assert (suspect["state"], suspect["labels"][0]["name"]) == ("held", "a suspect")
    # On the full ledger those coins are known to lie there still.
    whole = full.trace(known.stolen.ref, labels=labels)
    assert rests(whole.document) == rests(trail.document)
    assert {row["state"] for row in whole.holdings if row["address"] == known.service} == {"held"}
    assert whole.document["labels_digest"] == trail.document["labels_digest"] == policy.labels.digest  # type: ignore[union-attr]


def test_a_limit_of_hops_is_no_word_on_what_nobody_looked_at(stolen: Stolen, tmp_path: Path) -> None:
    known, folder = stolen.known, tmp_path / "case"
    report = gather(
        folder, [known.stolen.ref], [stolen.chain.electrum_url], network_name=NETWORK, policy=Policy(),
        limits=Limits(transactions=10),
    )  # fmt: skip
    assert report.ended is not None
    hop = max(step["hop"] for step in calibar.open(folder).trace(known.stolen.ref).steps)
    rows = calibar.open(folder).trace(known.stolen.ref, max_hops=hop).holdings
    assert "not looked at" in {row["reason"] for row in rows}


def test_an_override_asks_on_and_says_why(stolen: Stolen, labels: Path, tmp_path: Path) -> None:
    known, folder = stolen.known, tmp_path / "case"
    why = {known.service: "the address is the suspect's own"}
    policy = Policy(labels=read_labels([labels]), overrides=why)
    gather(folder, [known.stolen.ref], [stolen.chain.electrum_url], network_name=NETWORK, policy=policy)
    trail = calibar.open(folder).trace(known.stolen.ref, labels=labels, overrides=why)
    assert {row["state"] for row in trail.holdings} == {"held"}
    assert trail.document["policy"]["overrides"] == [{"past": known.service, "reason": why[known.service]}]
    assert "the address is the suspect&#39;s own" in trail.html()


def test_at_a_coinjoin_nothing_more_is_fetched(stolen: Stolen, full: calibar.Ledger, tmp_path: Path) -> None:
    known, folder, source = stolen.known, tmp_path / "case", stolen.known.mixed[2].ref
    gather(folder, [source], [stolen.chain.electrum_url], network_name=NETWORK, policy=Policy())
    trail = calibar.open(folder).trace(source)
    (row,) = trail.holdings
    assert (row["coin"], row["state"], row["reason"], trail.steps) == (source, "stopped", "coinjoin", [])
    assert bytes.fromhex(known.spent_share.txid)[::-1] not in Case(folder).coins.transactions
    assert [row["reason"] for row in full.trace(source).holdings] == ["coinjoin"]
    assert full.trace(source).document["holdings"] == [{k: v for k, v in row.items() if k != "reported"}]


def test_past_a_coinjoin_for_a_reason(
    stolen: Stolen, full: calibar.Ledger, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known, folder, source = stolen.known, tmp_path / "case", stolen.known.mixed[0].ref
    override = f"{known.shares[0].txid}=all five are the suspect's own wallets"
    arguments = ["--source", stolen.chain.electrum_url, "--network", NETWORK, "--override", override]
    with pytest.raises(SystemExit) as ended:
        main(["open", source, "--ledger", str(folder), *arguments])
    assert ended.value.code == 0
    assert known.spent_share.txid in capsys.readouterr().out
    name, _, reason = override.partition("=")
    policy = {"overrides": {name: reason}}
    case, whole = calibar.open(folder).trace(source, **policy), full.trace(source, **policy)
    assert [step["txid"] for step in case.steps] == [known.shares[0].txid, known.spent_share.txid]
    assert case.steps == whole.steps
    assert rests(case.document) == rests(whole.document)
