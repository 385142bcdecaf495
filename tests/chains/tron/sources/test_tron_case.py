"""A case on TRON from explorers: what they list becomes transfers of a ledger, however little of them they tell."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from tron_explorers import ASKED, KEY, NUMBER, Ledger, Row, TronGridLike, TronscanLike, ledger, serving, to_base58

import calibar
from calibar.ledger.case.case import Case
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits


@pytest.fixture(scope="module")
def many() -> Ledger:
    return ledger(5, 120, 90)


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRON_PRO_API_KEY", KEY)


def known(chain: Ledger, *classes: str) -> Counter[tuple[str, str, int]]:
    """Transaction, asset and amount of all that explorers list of ASKED."""
    rows: Counter[tuple[str, str, int]] = Counter()
    for what in classes:
        for kind, txid, token, _, _, amount, _ in chain.truth(what):
            if amount or kind == "token":
                name = "native" if token is None else f"trc10:{token}" if isinstance(token, int) else to_base58(token)
                rows[txid, name, amount] += 1
    return rows


def told(folder: Path) -> Counter[tuple[str, str, int]]:
    rows = calibar.open(folder).transfers(to_base58(ASKED))
    return Counter((row["transfer"].partition(":")[0], row["asset"], int(row["amount"])) for row in rows)


@pytest.mark.parametrize("kind", ["trongrid", "tronscan"])
def test_everything_that_is_listed_is_in_the_case(kind: str, many: Ledger, tmp_path: Path) -> None:
    answer = TronGridLike(many) if kind == "trongrid" else TronscanLike(many)
    with serving(answer) as server:
        report = gather(tmp_path / "case", [to_base58(ASKED)], [f"{kind}+{server.url}"], limits=Limits(history=10**6))
        asked = len(server.asked)
        assert report.lies == []
    found = told(tmp_path / "case")
    wanted = known(many, "value", "token", "trc10")
    assert {row: found[row] for row in wanted} == dict(wanted)
    assert f"trc10:{NUMBER}" in {asset for _, asset, _ in found}
    again = calibar.open(tmp_path / "case")
    assert again.info["network"] == "tron:mainnet"
    assert again.info["digest"] == calibar.open(tmp_path / "case").info["digest"]
    assert asked
    assert all(KEY not in line for line in (tmp_path / "case" / "responses.jsonl").read_text("utf-8").splitlines())


def test_two_explorers_of_one_chain_tell_no_transfer_twice(many: Ledger, tmp_path: Path) -> None:
    limits = Limits(history=10**6, cross_check=True)
    with serving(TronGridLike(many)) as grid, serving(TronscanLike(many)) as scan:
        sources = [f"trongrid+{grid.url}", f"tronscan+{scan.url}"]
        gather(tmp_path / "case", [to_base58(ASKED)], sources, limits=limits)
    found, wanted = told(tmp_path / "case"), known(many, "value", "token", "trc10")
    assert {row: found[row] for row in wanted} == dict(wanted)
    assert {place for place, _ in Case(tmp_path / "case").accounts.listings} == {grid.url, scan.url}


def test_rows_of_which_only_the_time_is_told_stand_between_the_blocks_of_that_time(
    many: Ledger, tmp_path: Path
) -> None:
    with serving(TronGridLike(many)) as server:
        gather(tmp_path / "case", [to_base58(ASKED)], [f"trongrid+{server.url}"], limits=Limits(history=10**6))
    times = [row["time"] for row in calibar.open(tmp_path / "case").transfers(to_base58(ASKED))]
    assert times == sorted(times)


def test_a_lie_costs_its_own_question_and_is_named_once(many: Ledger, tmp_path: Path) -> None:
    def change(path: str, page: Row) -> Row:
        if path.endswith("/transactions"):
            page["data"][0]["txID"] = "?"
        return page

    with serving(TronGridLike(many, change=change)) as server:
        report = gather(tmp_path / "case", [to_base58(ASKED)], [f"trongrid+{server.url}"], limits=Limits(history=10**6))
    assert len(report.lies) == 2  # of the lists of coins and of TRC-10 tokens
    assert all("txID" in lie.what for lie in report.lies)
    assert told(tmp_path / "case") == known(many, "token")
