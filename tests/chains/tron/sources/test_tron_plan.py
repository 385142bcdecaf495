"""Plans answered by an explorer: rounds end with what a fetch would know, whatever the server refuses or lies about."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from test_tron_watch import DOLLARS, EXIT, MULE, VICTIM, key, story
from tron_explorers import USDT, serving, to_base58

import calibar
from calibar.chains.remote.transfers_told import Asset, MovementsQuestion
from calibar.errors import UsageError
from calibar.ledger.case.case import Case
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.plans.answers import Taken, run_plan, take
from calibar.trail.plans.plan import Plan
from calibar.trail.plans.upcoming import next_plan
from calibar.trail.policy import Policy

__all__ = ["key"]
POLICY = Policy(unit="address", asset=DOLLARS, stops=())
REF = to_base58(VICTIM)


def rounds(url: str, folder: Path, reference: str = REF, **options: Any) -> list[Taken]:
    """Go back and forth until nothing is left."""
    taken: list[Taken] = []
    for _ in range(12):
        with Case.for_fetching(folder, "tron:mainnet") as case:
            plan = next_plan(case, [reference], POLICY, **options)
        if not plan.questions:
            return taken
        list(run_plan(plan, f"trongrid+{url}", folder.parent / "r"))
        taken.append(take(folder, folder.parent / "r"))
    raise AssertionError(f"it does not end: {plan.questions}")


def rests(folder: Path) -> list[tuple[str, str, dict[str, str]]]:
    rows = calibar.open(folder).trace(REF, asset=DOLLARS, stops=()).holdings
    return [(row["account"], row["reason"], row["traced"]) for row in rows]


def test_rounds_end_where_a_server_refuses_what_a_fetch_would_ask(tmp_path: Path) -> None:
    """TronGrid tells no log of a token's transfer: its transaction is asked for, and here nobody knows it."""
    world = story()
    world.pay(MULE, EXIT, 100)
    with serving(world) as server:
        taken = rounds(server.url, tmp_path / "case")
        gather(tmp_path / "online", [REF], [f"trongrid+{server.url}"], policy=POLICY)
    assert any(one.refused for one in taken)
    assert rests(tmp_path / "case") == rests(tmp_path / "online")
    assert {reason for _, reason, _ in rests(tmp_path / "case")} == {"unspent"}


def test_rounds_end_where_a_server_lies_about_one_account(tmp_path: Path) -> None:
    world = story()
    world.pay(MULE, EXIT, 100)
    world.poisoned = to_base58(MULE)
    with serving(world) as server:
        taken = rounds(server.url, tmp_path / "case")
    assert sum(len(one.lies) for one in taken) == 1
    assert (REF, "unspent", {"S0": "400"}) in rests(tmp_path / "case")


def test_a_balance_from_before_a_list_is_asked_for_again(tmp_path: Path) -> None:
    """The list came later, with a transfer that says no height: the balance may be from before that."""
    world = story()
    with serving(world) as server:
        rounds(server.url, tmp_path / "case")
        world.pay(MULE, EXIT, 100)
        lists = [MovementsQuestion(account, "token", 1000, 0, Asset(USDT)) for account in (MULE, EXIT)]
        plan = Plan("tron:mainnet", tuple(lists))
        list(run_plan(plan, f"trongrid+{server.url}", tmp_path / "r"))
        take(tmp_path / "case", tmp_path / "r")
        assert rounds(server.url, tmp_path / "case")
    assert (to_base58(EXIT), "unspent", {"S0": "100"}) in rests(tmp_path / "case")


def test_why_a_ref_is_not_known_is_said(tmp_path: Path) -> None:
    world = story()
    with serving(world) as server:
        with pytest.raises(UsageError, match="no server knows anything of it"):
            rounds(server.url, tmp_path / "one", "ab" * 32)
        with pytest.raises(UsageError, match="it is a service's"):
            rounds(server.url, tmp_path / "two", limits=Limits(history=1))
