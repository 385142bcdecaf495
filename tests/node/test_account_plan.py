"""A trail of tokens over an air gap: questions out, answers of a real node in, and the trail that a fetch gives."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_calibar
from test_account_watch import CHAIN, Paid, paid

import calibar
from calibar.chains.remote.transfers_told import Asset, HoldingQuestion, MovementsQuestion, NewestQuestion
from calibar.errors import DamageError, DecodeError, UsageError
from calibar.ledger.case.case import Case
from calibar.trail.cases import gather
from calibar.trail.plans.answers import run_plan, take
from calibar.trail.plans.plan import Plan, read_plan
from calibar.trail.plans.upcoming import next_plan
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from nodes import Lived

pytest_plugins = ("nodes",)
__all__ = ["paid"]


def written(folder: Path, *references: str, policy: dict[str, Any], **options: Any) -> Plan:
    with Case.for_fetching(folder, CHAIN) as case:
        return next_plan(case, references, Policy(unit="address", **policy), **options)


def rounds(url: str, folder: Path, *references: str, **policy: Any) -> int:
    """Go back and forth until nothing is left; how often that was."""
    for number in range(20):
        plan = written(folder, *references, policy=policy)
        if not plan.questions:
            return number
        file, responses = folder.parent / "plan.json", folder.parent / "responses"
        file.write_bytes(plan.json())
        assert read_plan(file) == plan
        list(run_plan(read_plan(file), url, responses))
        assert take(folder, responses).lies == []
    raise AssertionError("it does not end")


@pytest.mark.parametrize(("who", "token"), [("deposit 1", "dollar"), ("deposit 2", "dollar")])
def test_rounds_end_with_the_trail_that_a_fetch_gives(lived: Lived, tmp_path: Path, who: str, token: str) -> None:
    reference, asset = lived.known.names[who], lived.known.names[token]
    policy: dict[str, Any] = {"asset": asset, "stops": (), "max_hops": 2}
    rounds(lived.node.url, tmp_path / "case", reference, **policy)
    gather(
        tmp_path / "online", [reference], [lived.node.url], network_name=CHAIN, policy=Policy(unit="address", **policy)
    )
    here, online = (calibar.open(tmp_path / name).trace(reference, **policy) for name in ("case", "online"))
    assert here.steps == online.steps
    assert here.holdings == online.holdings
    assert any(step["proof"] == "proven" for step in here.steps)


def test_only_newest_asks_for_later_blocks_and_then_what_moved_there(paid: Paid, tmp_path: Path) -> None:
    policy, folder, url = {"asset": paid.dollar, "stops": ()}, tmp_path / "case", paid.node.url
    assert rounds(url, folder, paid.given, **policy) <= 5
    paid.pay("holder 1", "holder 2", 4 * 10**8)
    assert written(folder, paid.given, policy=policy).questions == ()
    assert NewestQuestion() in written(folder, paid.given, policy=policy, newest=True).questions
    plan = written(folder, paid.given, policy=policy, newest=True)
    list(run_plan(plan, url, tmp_path / "r"))
    take(folder, tmp_path / "r")
    (asked,) = [q for q in written(folder, paid.given, policy=policy).questions if isinstance(q, HoldingQuestion)]
    assert asked.address == bytes.fromhex(paid.address("holder 1")[2:])  # its list only where that falls short
    assert not any(isinstance(q, MovementsQuestion) for q in written(folder, paid.given, policy=policy).questions)
    rounds(url, folder, paid.given, **policy)
    held = calibar.open(folder).trace(paid.given, **policy).holdings
    assert {row["account"].lower(): row["traced"]["S0"] for row in held} == {
        paid.address("holder 1"): "600000000",
        paid.address("holder 2"): "400000000",
    }
    assert {row["state"] for row in held} == {"held"}


def test_a_plan_holds_questions_and_nothing_of_the_case(paid: Paid, tmp_path: Path) -> None:
    plan = written(tmp_path / "secret-case", f"{paid.given}:0=12345", policy={"asset": paid.dollar})
    assert [type(question).__name__ for question in plan.questions] == ["NewestQuestion", "TransactionQuestion"]
    text = plan.json().decode()
    assert set(json.loads(text)) == {"format", "network", "questions"}
    assert paid.given[2:] in text
    for secret in ("secret-case", "12345", str(tmp_path)):
        assert secret not in text


def test_a_mistyped_ref_and_one_of_which_nobody_knows_anything_are_refused(paid: Paid, tmp_path: Path) -> None:
    with pytest.raises(UsageError):
        written(tmp_path / "case", paid.dollar[:-1] + "G", policy={})
    nobody = "0x" + "00" * 19 + "77"
    policy = {"asset": paid.dollar}
    with pytest.raises(UsageError, match="77"):
        rounds(paid.node.url, tmp_path / "case", nobody, **policy)


def test_a_service_is_not_asked_for_twice(paid: Paid, tmp_path: Path) -> None:
    from calibar.trail.fetching import Limits  # noqa: PLC0415

    for _ in range(4):
        paid.pay("holder 1", "holder 2", 1)
    policy, folder = {"asset": paid.dollar, "stops": ()}, tmp_path / "case"
    for _ in range(6):
        plan = written(folder, paid.given, policy=policy, limits=Limits(history=3))
        if not plan.questions:
            break
        list(run_plan(plan, paid.node.url, tmp_path / "r"))
        take(folder, tmp_path / "r")
    assert plan.questions == ()
    (row,) = calibar.open(folder).trace(paid.given, **policy).holdings
    assert row["reason"] == "not looked at"
    assert written(folder, paid.given, policy=policy, limits=Limits(history=1000)).questions != ()


QUESTION = {"ask": "MovementsQuestion", "address": "aa" * 20, "what": "token", "most": 5, "first": 0, "asset": None}


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"network": "ethereum:x"}, "there is no chain"),
        ({"questions": [{"ask": "TipQuestion"}]}, "question 1 is none that is known"),
        ({"questions": [QUESTION | {"address": "aa" * 19}]}, "address of question 1"),
        ({"questions": [QUESTION | {"what": "all"}]}, "what of question 1"),
        ({"questions": [QUESTION | {"what": []}]}, "what of question 1"),
        ({"questions": [QUESTION | {"most": -1}]}, "most of question 1"),
        ({"questions": [QUESTION | {"first": 2**40}]}, "first of question 1"),
        ({"questions": [QUESTION | {"asset": "trc10:0"}]}, "asset of question 1"),
        ({"questions": [QUESTION | {"asset": "gold"}]}, "asset of question 1"),
        ({"questions": [{"ask": "HoldingQuestion", "address": "aa" * 20, "asset": None}]}, "asset of question 1"),
        ({"questions": [{"ask": "TransactionQuestion", "txid": 5}]}, "txid of question 1"),
        ({"questions": [{"ask": "BlockQuestion", "height": "1"}]}, "height of question 1"),
    ],
)
def test_what_is_no_plan_is_refused(tmp_path: Path, change: dict[str, Any], named: str) -> None:
    (tmp_path / "plan").write_text(json.dumps({"format": 1, "network": CHAIN, "questions": []} | change))
    with pytest.raises(DecodeError, match=named):
        read_plan(tmp_path / "plan")


def test_every_question_comes_back_from_its_file(tmp_path: Path) -> None:
    assets = (None, Asset(), Asset(contract=b"\7" * 20), Asset(number=1_000_001))
    questions = tuple(MovementsQuestion(b"\1" * 20, "token", 5, 7, asset) for asset in assets)
    balances = tuple(HoldingQuestion(b"\2" * 20, asset) for asset in assets if asset is not None)
    plan = Plan("tron:mainnet", (NewestQuestion(), *questions, *balances))
    (tmp_path / "plan").write_bytes(plan.json())
    assert read_plan(tmp_path / "plan") == plan


def test_answers_of_another_chains_servers_are_refused_whole(paid: Paid, tmp_path: Path) -> None:
    written(tmp_path / "case", paid.given, policy={})
    row = {
        "kind": "electrum", "place": "tcp://127.0.0.1:1", "time": 1, "request": "{}",
        "sha256": hashlib.sha256(b"{}").hexdigest(), "text": "{}",
    }  # fmt: skip
    (tmp_path / "r").write_text(json.dumps(row) + "\n")
    with pytest.raises(DamageError, match="line 1 is of the unknown kind 'electrum'"):
        take(tmp_path / "case", tmp_path / "r")
    assert (tmp_path / "case" / "responses.jsonl").read_bytes() == b""


def test_the_commands_go_round(paid: Paid, tmp_path: Path) -> None:
    case, plan, responses = tmp_path / "case", tmp_path / "plan.json", tmp_path / "responses.jsonl"
    asked = ["--network", CHAIN, "--asset", paid.dollar, "--stop", "none"]
    for _ in range(20):
        done = run_calibar("plan", "write", paid.given, "--ledger", case, "--to", plan, *asked)
        assert done.code == 0, done.err
        if done.out.startswith(b"nothing is left to ask"):
            break
        assert b"questions in" in done.out
        assert run_calibar("plan", "run", plan, "--source", paid.node.url, "--to", responses).code == 0
        taken = run_calibar("plan", "take", responses, "--ledger", case, "--json", "-")
        assert json.loads(taken.out)["lies"] == []
    (row,) = calibar.open(case).trace(paid.given, asset=paid.dollar, stops=()).holdings
    assert (row["state"], row["traced"]) == ("held", {"S0": "1000000000"})
    other = run_calibar("plan", "run", plan, "--source", "tcp://127.0.0.1:1", "--to", responses)
    assert other.code == 2
