"""A case from a real server: the same facts and trails as from the node's own blocks, proven; and again offline."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import calibar
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.cli.main import main
from calibar.errors import DamageError, LedgerError, UsageError
from calibar.ledger.case.case import Case
from calibar.ledger.ingest import ingest
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from calibar.trail.fetching import Report
    from chains import Start, Stolen

pytest_plugins = ("chains",)

NETWORK = "litecoin-regtest"


def fetched(stolen: Stolen, folder: Path, *references: str, sources: tuple[str, ...] = (), **options: Any) -> Report:
    """Fetch the trail of REFs into `folder`."""
    policy = options.pop("policy", Policy())
    return gather(
        folder, references, sources or (stolen.chain.electrum_url,), network_name=NETWORK, policy=policy, **options
    )


@pytest.fixture(scope="session")
def full(stolen: Stolen, tmp_path_factory: pytest.TempPathFactory) -> calibar.Ledger:
    """The same chain, from the node's block files."""
    folder = tmp_path_factory.mktemp("full") / "ledger"
    ingest([stolen.chain.blocks_folder], folder, network=NETWORKS[NETWORK])
    return calibar.open(folder)


@pytest.fixture(scope="session")
def whole(stolen: Stolen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A case with the theft's whole trail."""
    folder = tmp_path_factory.mktemp("case") / "case"
    report = fetched(stolen, folder, stolen.known.stolen.ref)
    assert report.lies == []
    assert report.unanswered == {}
    return folder


def compared(document: dict[str, Any]) -> dict[str, Any]:
    """What trails of the same facts have in common: all but who said that nothing spends a coin, and the ledger."""
    beside = ("reported", "pending")
    holdings = [{key: value for key, value in row.items() if key not in beside} for row in document["holdings"]]
    return {key: document[key] for key in ("policy", "sources", "steps", "totals")} | {"holdings": holdings}


@pytest.mark.parametrize("method", ["fifo", "haircut"])
def test_a_trail_from_a_server_is_that_from_the_nodes_blocks(
    stolen: Stolen, full: calibar.Ledger, whole: Path, method: str
) -> None:
    reference = stolen.known.stolen.ref
    case = calibar.open(whole).trace(reference, method=method)
    assert compared(dict(case.document)) == compared(dict(full.trace(reference, method=method).document))
    assert {step["proof"] for step in case.steps} == {"proven"}
    assert len(case.steps) == 15
    assert all(row["reported"] == [stolen.chain.electrum_url] for row in case.holdings)


def test_every_coin_of_a_case_is_the_nodes(stolen: Stolen, whole: Path) -> None:
    snapshot = Case(whole).snapshot()
    for transaction in range(snapshot.counts["transactions"]):
        told = stolen.chain.rpc("getrawtransaction", snapshot.txid(transaction), True)
        first, end = (int(x) for x in snapshot["transactions.first_coin"][transaction : transaction + 2])
        values = [int(value) for value in snapshot["coins.value"][first:end]]
        assert values == [int(output["value"] * 100_000_000) for output in told["vout"]]
        block = snapshot.height_of(snapshot.block_of(transaction))
        if block is not None:
            assert stolen.chain.rpc("getblockhash", block) == told["blockhash"]


def test_offline_and_from_a_copy_the_same_bytes(stolen: Stolen, whole: Path, tmp_path: Path) -> None:
    reference = stolen.known.stolen.ref
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    assert calibar.open(copy).trace(reference).json() == calibar.open(whole).trace(reference).json()
    assert calibar.open(copy).info["digest"] == calibar.open(whole).info["digest"]


def test_what_is_in_no_block_yet_is_said_and_moves_nothing(stolen: Stolen, whole: Path) -> None:
    (row,) = [row for row in calibar.open(whole).trace(stolen.known.stolen.ref).holdings if "pending" in row]
    assert row["coin"] == stolen.known.merged.ref
    assert row["state"] == "held"
    assert row["pending"] == stolen.known.unconfirmed.txid


def test_table_and_page_say_whose_word_it_is(stolen: Stolen, whole: Path, capsys: pytest.CaptureFixture[str]) -> None:
    trail = calibar.open(whole).trace(stolen.known.stolen.ref)
    for language, words in (("en", "is the word of tcp://127.0.0.1"), ("es", "es palabra de tcp://127.0.0.1")):
        with pytest.raises(SystemExit):
            main(["trace", stolen.known.stolen.ref, "--ledger", str(whole), "--language", language])
        assert words in capsys.readouterr().out
        assert words in trail.html(language)


def test_an_addresss_coins_are_all_there_and_its_history_whole(
    stolen: Stolen, full: calibar.Ledger, tmp_path: Path
) -> None:
    known = stolen.known
    report = fetched(stolen, tmp_path / "case", known.service)
    assert report.unanswered == {}
    case = calibar.open(tmp_path / "case").trace(known.service)
    assert compared(dict(case.document)) == compared(dict(full.trace(known.service).document))
    assert case.document["ledger"]["histories"] == {known.service: True}
    assert len(case.document["sources"]) == len(known.paid_to_service)


def test_a_services_address_is_refused_with_the_choices(stolen: Stolen, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"name single coins \(txid:vout\) instead; or allow more with --most N"):
        fetched(stolen, tmp_path / "case", stolen.known.service, limits=Limits(history=10))


def test_as_of_an_earlier_height_a_later_spend_proves_that_the_coin_lay_still(
    stolen: Stolen, full: calibar.Ledger, tmp_path: Path
) -> None:
    reference, height = stolen.known.stolen.ref, stolen.known.heights[stolen.known.peels[5].txid]
    report = fetched(stolen, tmp_path / "case", reference, policy=Policy(as_of=height))
    assert report.rounds < 30
    case = calibar.open(tmp_path / "case").trace(reference, as_of=height)
    assert compared(dict(case.document)) == compared(dict(full.trace(reference, as_of=height).document))
    (last,) = [row for row in case.holdings if row["coin"] == stolen.known.rest[5].ref]
    assert "reported" not in last  # nobody's word: what spends it later is proven


def test_limits_end_a_trail_and_what_was_not_looked_at_is_listed(stolen: Stolen, tmp_path: Path) -> None:
    report = fetched(stolen, tmp_path / "case", stolen.known.stolen.ref, limits=Limits(transactions=10))
    assert report.ended == "the limit of 10 transactions"
    trail = calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref)
    unknown = [row for row in trail.holdings if row["reason"] == "not looked at"]
    assert unknown
    assert {row["state"] for row in unknown} == {"stopped"}
    # Going on from there ends as if it had never stopped.
    fetched(stolen, tmp_path / "case", stolen.known.stolen.ref)
    again = calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref)
    assert not [row for row in again.holdings if row["reason"] == "not looked at"]


def test_hops_end_a_trail_without_asking_on(stolen: Stolen, tmp_path: Path) -> None:
    policy = Policy(max_hops=3)
    report = fetched(stolen, tmp_path / "case", stolen.known.stolen.ref, policy=policy)
    beyond = bytes.fromhex(stolen.known.parts[0].txid)[::-1]
    assert beyond not in Case(tmp_path / "case").coins.places
    assert report.unanswered == {}
    trail = calibar.open(tmp_path / "case").trace(stolen.known.stolen.ref, max_hops=3)
    assert {row["reason"] for row in trail.holdings} == {"unspent", "hops"}


def test_a_nodes_own_rpc_places_and_proves_what_it_has(stolen: Stolen, tmp_path: Path) -> None:
    """A node says of a spent coin only that it is spent: by what, another server must tell."""
    report = fetched(stolen, tmp_path / "alone", stolen.known.stolen.ref, sources=(stolen.chain.rpc_url,))
    assert "by what" in next(iter(report.unanswered.values()))
    both = (stolen.chain.rpc_url, stolen.chain.electrum_url)
    report = fetched(stolen, tmp_path / "both", stolen.known.stolen.ref, sources=both)
    assert report.unanswered == {}
    assert len(calibar.open(tmp_path / "both").trace(stolen.known.stolen.ref).steps) == 15


def test_files_of_raw_transactions_make_a_trail_without_a_server(stolen: Stolen, tmp_path: Path) -> None:
    chain, known = stolen.chain, stolen.known
    names = [coin.txid for coin in known.victim] + [known.stolen.txid] + [coin.txid for coin in known.peels]
    path = tmp_path / "given.txt"
    path.write_text("".join(chain.rpc("getrawtransaction", name, False) + "\n" for name in names), "ascii")
    case = tmp_path / "case"
    with pytest.raises(UsageError, match="no server named its last block"):
        fetched(stolen, case, known.stolen.ref, sources=(str(path),))


def test_a_case_is_no_full_ledger_and_the_other_way_round(stolen: Stolen, full: calibar.Ledger, whole: Path) -> None:
    with pytest.raises(LedgerError, match="is a full ledger, not a case"):
        fetched(stolen, full._folder, stolen.known.stolen.ref)
    with pytest.raises(LedgerError, match="is a case of litecoin-regtest, not of mainnet"):
        gather(whole, [stolen.known.stolen.ref], [stolen.chain.electrum_url], network_name="mainnet")
    with pytest.raises(UsageError, match="a case has single transactions"):
        calibar.open(whole).trace(stolen.known.stolen.ref, fees="follow")


def test_another_chains_server_is_refused(stolen: Stolen, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="chain"):
        gather(tmp_path / "case", [stolen.known.stolen.ref], [stolen.chain.electrum_url], network_name="regtest")


def test_a_kept_response_that_was_changed_is_damage(stolen: Stolen, whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    lines = (copy / "responses.jsonl").read_text("utf-8").splitlines()
    row = json.loads(lines[5])
    row["text"] += " "
    lines[5] = json.dumps(row)
    (copy / "responses.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    with pytest.raises(DamageError, match="line 6 is not what it was"):
        calibar.open(copy)


def test_a_crash_in_the_middle_of_a_line_loses_that_line_alone(stolen: Stolen, whole: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(whole, tmp_path / "copy"))
    data = (copy / "responses.jsonl").read_bytes()
    cut = data[: data.rindex(b"\n", 0, len(data) - 1) + 40]
    (copy / "responses.jsonl").write_bytes(cut)
    before = calibar.open(copy).info
    fetched(stolen, copy, stolen.known.stolen.ref)
    assert calibar.open(copy).trace(stolen.known.stolen.ref).totals == calibar.open(whole).trace(stolen.known.stolen.ref).totals  # fmt: skip  # noqa: E501
    assert before["transactions"] <= calibar.open(copy).info["transactions"]


def test_a_reorganisation_withdraws_what_it_takes(litecoin: Start, tmp_path: Path) -> None:
    chain = litecoin()
    chain.mine(105)
    to = chain.new_address()
    txid = chain.rpc("sendtoaddress", to, "1.5")
    chain.mine(3)
    chain.wait_for_electrum()
    case = tmp_path / "case"
    gather(case, [txid], [chain.electrum_url], network_name=NETWORK, policy=Policy())
    before = calibar.open(case)
    assert before.info["proven_transactions"] > 0
    height = before.info["height"]

    chain.rpc("invalidateblock", chain.rpc("getblockhash", height - 2))
    chain.mine(5)  # the transaction comes back in the other branch
    chain.wait_for_electrum()
    report = gather(case, [txid], [chain.electrum_url], network_name=NETWORK, policy=Policy())
    assert txid in report.left
    after = calibar.open(case)
    assert after.info["height"] == height + 2
    assert after.info["tip"] == chain.rpc("getbestblockhash")
    assert after.trace(txid).document["ledger"]["tip"] == after.info["tip"]
    snapshot = Case(case).snapshot()
    place = snapshot.height_of(snapshot.block_of(snapshot.find_transaction(txid)))
    assert chain.rpc("getrawtransaction", txid, True)["blockhash"] == chain.rpc("getblockhash", place)
