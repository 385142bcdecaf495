"""The reference case, from the victims' bank rows through two exchanges and two chains to a bank account."""

from __future__ import annotations

import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from pages import assert_says_everything_twice

import calibar
from calibar.errors import UsageError
from calibar.ledger.ingest import ingest
from calibar.records.selectors import extract
from calibar.sandbox.scenarios.mules import Case, account_number, write_mules
from calibar.trail.accounts.document import check_balance
from calibar.trail.document import Trail, digest_of

PESOS = 100


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("mules")


@pytest.fixture(scope="module")
def case(folder: Path) -> Case:
    found = write_mules(folder)
    ingest([folder / "blocks"], folder / "ledger")
    records = calibar.read_records(folder / "case")
    for document in found.documents:
        read, new = records.add(document.file, custodian=document.custodian, **dict(document.stated))
        assert new
        assert read.unknown == []
    assert records.check() == []
    return found


@pytest.fixture(scope="module")
def trails(case: Case, folder: Path, token_theft: Path) -> dict[str, Trail]:
    return {method: follow(case, folder, token_theft, method=method) for method in ("fifo", "haircut")}


def follow(case: Case, folder: Path, tokens: Path, *references: str, **policy: Any) -> Trail:
    return calibar.trace(
        *(references or case.references), records=folder / "case", ledgers=[folder / "ledger", tokens],
        tokens={"USDT": case.token}, **policy,
    )  # fmt: skip


def at_rest(trail: Trail, asset: str) -> dict[str, dict[str, Decimal]]:
    """Amounts by account's last part and label."""
    places = trail.document["assets"][asset]["decimals"]
    found: dict[str, dict[str, Decimal]] = {}
    for row in trail.holdings:
        if row["asset"] == asset:
            amounts = {label: Decimal(units).scaleb(-places) for label, units in row["traced"].items()}
            found.setdefault(row["account"], {}).update(amounts)
    return found


def test_every_statement_and_transaction_is_found(case: Case, folder: Path, token_theft: Path) -> None:
    records = calibar.read_records(folder / "case")
    for ledger, count in ((folder / "ledger", 3), (token_theft, 3)):
        matches, missing = records.match(ledger, {"USDT": case.token})
        assert sum(one.state == "exact" for one in matches) == count
        assert missing == []


def test_by_hand_first_in_first_out(trails: dict[str, Trail], case: Case) -> None:
    """What one can compute with the story on paper."""
    trail = trails["fifo"]
    dollars, bitcoin, pesos = (at_rest(trail, asset) for asset in ("USDT", "BTC", "ARS"))
    sources = {row["label"]: Decimal(row["amount"]) / PESOS for row in trail.document["sources"]}
    assert sources == {"S0": Decimal(61_000_000), "S1": Decimal(48_000_000), "S2": Decimal(370_000_000)}
    assert sum(sources.values()) == case.stolen
    # Mule A had 3,000,000 of his own, which go first; 111,000,000 buy dollars, so 1,000,000 of S1 stay.
    assert pesos["Exchange 1/1001"] == {"S1": Decimal(1_000_000)}
    # 366,000,000 and 3,600,000 of mule B's 370,000,000 buy bitcoin and dollars.
    assert pesos["Exchange 1/1002"] == {"S2": Decimal(400_000)}
    # 3.05 bitcoin less 0.00305, two withdrawals of 2 and 1, and their fees.
    assert bitcoin["Exchange 1/1002"] == {"S2": Decimal("0.04675")}
    # 2.20 go in, of which 0.80 are the thief's own and come first; 1.50 are sold.
    assert bitcoin["Exchange 2/2005"] == {"S2": Decimal("0.70")}
    assert trail.totals["S2"]["BTC"]["converted_out"] == str(70_000_000)
    # 3,000 dollars less the fee, 2,793.50 of them sent to mule A.
    assert dollars["Exchange 1/1002"] == {"S2": Decimal("203.5")}
    # Of the last bank account's 1,200,000 and 230,000,000 a withdrawal takes the first 90,000,000.
    bank = next(account for account in pesos if account.startswith("Banco del Norte/"))
    cash = next(account for account in pesos if account.startswith("Extracción"))
    assert sum(pesos[bank].values()) + sum(pesos[cash].values()) < Decimal(230_000_000)
    assert {row["reason"] for row in trail.holdings if row["account"] == cash} == {"no record"}


@pytest.mark.parametrize("method", ["fifo", "haircut"])
def test_it_re_adds_and_says_whose_word_each_step_is(trails: dict[str, Trail], method: str) -> None:
    document = trails[method].document
    check_balance(as_numbers(document))
    assert document["digest"] == digest_of(document)
    proofs = {"record" if "record" in step else step["network"]: {step["proof"]} for step in document["steps"]}
    assert proofs == {"record": {"record"}, "regtest": {"proven"}, "ethereum:31337": {"proven"}}
    for step in document["steps"]:
        for place in step.get("record", ()):
            assert re.fullmatch("[0-9a-f]{64}", place["sha256"])
            assert place["row"] > 1
    for step in document["steps"]:
        if step["kind"] == "transaction":
            into, out = (sum(int(e["value"]) for e in step[side]) for side in ("inputs", "outputs"))
            assert into == out + int(step["fee"]["value"])
    times = [step["time"] for step in document["steps"]]
    assert times == sorted(times)
    assert {row["asset"] for row in document["holdings"]} >= {"ARS", "USDT", "BTC"}


def as_numbers(document: Any) -> Any:
    """With integers for decimal texts, as `check_balance` takes them."""
    numbers = {
        label: {asset: {part: int(units) for part, units in parts.items()} for asset, parts in assets.items()}
        for label, assets in document["totals"].items()
    }
    rows = [{**row, "traced": {label: int(u) for label, u in row["traced"].items()}} for row in document["holdings"]]
    return {"totals": numbers, "holdings": rows}


def test_trades_say_their_rate_and_matches_their_transaction(trails: dict[str, Trail]) -> None:
    steps = trails["fifo"].steps
    first = next(step for step in steps if step["kind"] == "converted")
    assert first["by"]["given"] == {"asset": "ARS", "value": str(111_000_000 * PESOS)}
    assert first["by"]["received"] == {"asset": "USDT", "value": str(92_500 * 10**8)}
    matched = [step["by"] for step in steps if step.get("by", {}).get("rule") == "match"]
    assert len(matched) == 5
    assert {by["says"] for by in matched} == {"exact"}
    assert {by["network"] for by in matched} == {"regtest", "ethereum:31337"}


def test_the_same_bytes_again_and_part_of_a_row(case: Case, folder: Path, token_theft: Path, trails: Any) -> None:
    assert follow(case, folder, token_theft, method="fifo").json() == trails["fifo"].json()
    part = follow(case, folder, token_theft, f"{case.references[0]}=10.5", method="fifo")
    assert part.document["sources"][0]["amount"] == "1050"


def test_from_the_middle_of_the_story(case: Case, folder: Path, token_theft: Path, trails: dict[str, Trail]) -> None:
    """A coin or a token transfer that a record has is where the trail enters it."""
    matched = [step for step in trails["fifo"].steps if step.get("by", {}).get("network") == "regtest"]
    (deposit,) = [step for step in matched if step["outputs"][0]["account"] == "Exchange 2/2005"]
    trail = follow(case, folder, token_theft, deposit["by"]["transfer"], method="fifo")
    assert trail.totals["S0"]["BTC"]["in"] == str(220_000_000)
    assert trail.steps[0]["outputs"][0]["account"] == "Exchange 2/2005"
    alone = calibar.trace(*case.references, records=folder / "case", tokens={"USDT": case.token}, method="lifo")
    assert {row["reason"] for row in alone.holdings if row["state"] == "stopped"} == {"not on the chain"}


@pytest.mark.parametrize("language", ["en", "es"])
def test_the_page_tells_records_from_chains(trails: dict[str, Trail], case: Case, language: str) -> None:
    page = trails["fifo"].html(language, dict(case.names))
    assert '<rect class="proof record"' in page
    assert '<circle class="proof proven"' in page
    assert "recorded" in page
    assert "mule A" in page
    assert "victims.csv" in page
    for read in trails["fifo"].document["records"]:
        assert read["sha256"] in page
    assert_says_everything_twice(page)


def test_wrong_questions(case: Case, folder: Path, token_theft: Path) -> None:
    def asked(*references: str, **more: Any) -> None:
        follow(case, folder, token_theft, *references, **more)

    for text, message in (
        ("record:victims.csv:99", "no document has a movement in that row"),
        ("record:nothing.csv:5", "no document has a movement in that row"),
        ("record:victims.csv:5=99999999999", "moves less than"),
        ("ab" * 32, "no ledger here has it"),
    ):
        with pytest.raises(UsageError, match=message):
            asked(text)
    for policy, message in (
        ({"method": "libr"}, "has no meaning on all of these ledgers"),
        ({"max_hops": 3}, "no limits of hops, amounts or height yet"),
        ({"fees": "follow"}, "goes forward"),
        ({"unit": "coin"}, "leave the unit out"),
    ):
        with pytest.raises(UsageError, match=message):
            asked(**policy)
    with pytest.raises(UsageError, match="name the case"):
        calibar.trace(*case.references)


def test_the_story_is_the_same_bytes_and_its_numbers_are_sound(tmp_path: Path, folder: Path, case: Case) -> None:
    again = write_mules(tmp_path / "again")
    for one, same in zip(case.documents, again.documents, strict=True):
        assert one.file.read_bytes() == same.file.read_bytes()
    other = write_mules(tmp_path / "other", "another")
    assert other.documents[2].file.read_bytes() != case.documents[2].file.read_bytes()
    assert account_number("Exchange 1", 1001) == _cvus(folder)[0]
    report = extract([case.documents[0].file])
    assert sum(found["kind"] in ("cbu", "cvu") for found in report.findings) == 5
    assert not [miss for miss in report.near_misses if miss["kind"] in ("cbu", "cvu")]
    (tmp_path / "taken" / "blocks").mkdir(parents=True)
    with pytest.raises(UsageError, match="is no sandbox's"):
        write_mules(tmp_path / "taken")


def _cvus(folder: Path) -> list[str]:
    lines = (folder / "statements" / "exchange-1-customers.csv").read_text("utf-8").splitlines()
    return [line.rpartition(",")[2] for line in lines[1:]]
