"""Trails over a recorded chain whose truth is known: where the loot rests, step by step, under every method."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import rfc8785
from stolen_tokens import (
    DOLLAR,
    ETHER,
    METHODS,
    address,
    asked,
    receipts,
    recount,
    refs,
    resting,
    role,
    take_in,
    told,
    truth,
)

import calibar
from calibar.chains import facts
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.sandbox.scenarios import token_theft as story
from calibar.trail.accounts.conversions import conversions
from calibar.trail.accounts.sweeps import deposit_addresses


@pytest.fixture
def ledger(token_theft: Path) -> calibar.Ledger:
    return calibar.open(token_theft)


@pytest.fixture
def snapshot(token_theft: Path) -> AccountSnapshot:
    return AccountSnapshot(token_theft)


# What the story says.


@pytest.mark.parametrize(("rules", "ends"), [((), ()), (None, story.EXCHANGES)], ids=["no stop", "deposit"])
def test_the_loot_rests_where_the_story_left_it(
    ledger: calibar.Ledger, rules: tuple[str, ...] | None, ends: Iterable[str]
) -> None:
    trail = ledger.trace(*refs(), stops=rules).document
    assert resting(trail) == {
        (rest.label, rest.asset, rest.role, rest.state): rest.amount for rest in story.rests(tuple(ends))
    }
    recount(trail)


def test_labels_are_in_the_order_of_the_refs(ledger: calibar.Ledger) -> None:
    other = {"S0": "S1", "S1": "S0"}
    assert resting(ledger.trace(*reversed(refs()), stops=()).document) == {
        (other[rest.label], rest.asset, rest.role, rest.state): rest.amount for rest in story.rests()
    }


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("options", [{}, {"stops": ()}, {"fees": "follow"}, {"max_hops": 2}, {"min_amount": 10**10}])
def test_every_trail_re_adds_from_its_steps_alone(ledger: calibar.Ledger, method: str, options: dict[str, Any]) -> None:
    trail = ledger.trace(*refs(), method=method, **options)
    recount(trail.document)
    assert trail.json() == rfc8785.dumps(trail.document)


@pytest.mark.parametrize("method", METHODS)
def test_native_coins_re_add_too(ledger: calibar.Ledger, method: str) -> None:
    for fees in ("stop", "follow"):
        wallets = [address(who) for who in ("thief wallet 1", "bystander 4", "exchange 2 gas funder")]
        recount(ledger.trace(*wallets, method=method, fees=fees).document)


def test_a_persons_calculation_of_one_step_under_each_method(ledger: calibar.Ledger) -> None:
    """mule 2 had 2,500 of its own, received 30,000 stolen after it, and paid 28,000 on."""
    paid = {}
    for method in METHODS:
        steps = ledger.trace(*refs(), method=method).document["steps"]
        (step,) = (each for each in steps if role(each["inputs"][0]["account"]) == "mule 2")
        paid[method] = int(step["inputs"][0]["traced"]["S0"])
    assert paid == {
        "fifo": 28_000_000000 - 2_500_000000,
        "lifo": 28_000_000000,
        "haircut": 28_000_000000 * 30_000 // 32_500,  # the rest, 0.15, is less than the 0.85 of what stays
        "libr": 28_000_000000 - 2_500_000000,
    }


def test_every_step_is_a_log_of_the_node(ledger: calibar.Ledger) -> None:
    steps = ledger.trace(*refs(), stops=()).document["steps"]
    destroyed = 0
    for step in steps:
        assert step["proof"] == "proven"
        receipt = receipts()[step["txid"]]
        block = asked("eth_getBlockByNumber", receipt["blockNumber"], False)
        assert (step["height"], step["time"]) == (int(block["number"], 16), int(block["timestamp"], 16))
        position = int(step["transfer"].partition(":")[2])
        (log,) = (each for each in receipt["logs"] if int(each["logIndex"], 16) == position)
        accounts = [step[side][0]["account"] for side in ("inputs", "outputs")]
        if step["kind"] == "burnt by issuer":
            destroyed += 1
            assert (log["data"][26:66], accounts[1]) == (accounts[0][2:].lower(), None)
        else:
            assert [each[26:] for each in log["topics"][1:]] == [each[2:].lower() for each in accounts]
        assert int(log["data"][-64:], 16) == int(step["inputs"][0]["value"])
        assert step["asset"].lower() == log["address"]
    assert (len(steps), destroyed) == (18, 1)


def test_what_an_account_has_is_what_the_node_says(ledger: calibar.Ledger) -> None:
    rows = ledger.trace(*refs(), stops=()).document["holdings"]
    for row in rows:
        question = {"to": row["asset"].lower(), "data": "0x70a08231" + row["account"][2:].lower().rjust(64, "0")}
        assert int(row["value"]) == int(asked("eth_call", question, "latest"), 16)
    assert len(rows) == 7


# The same question, the same bytes.


def test_the_same_bytes_however_the_chain_was_read(ledger: calibar.Ledger, tmp_path: Path) -> None:
    for batch, height in ((1, 5), (4, 23), (3, 60), (16, None)):
        take_in(tmp_path / "ledger", batch=batch, to_height=height)
    other = calibar.open(tmp_path / "ledger")
    for method in METHODS:
        first = ledger.trace(*refs(), method=method)
        assert first.json() == ledger.trace(*refs(), method=method).json()
        assert first.json() == other.trace(*refs(), method=method).json()
    digests = {ledger.trace(*refs(), method=method).document["digest"] for method in METHODS}
    assert len(digests) == len(METHODS)


def test_as_of_every_height_is_the_trail_so_far(ledger: calibar.Ledger, tmp_path: Path) -> None:
    whole = ledger.trace(*refs(), stops=()).document
    for height in range(truth().sources[1].height, story.TIP + 1):
        trail = ledger.trace(*refs(), stops=(), as_of=height).document
        recount(trail)
        recount(ledger.trace(*refs(), as_of=height).document)
        assert trail["steps"] == [step for step in whole["steps"] if step["height"] <= height]
        assert trail["sources"] == whole["sources"]
    early = truth().sources[0].height
    assert resting(ledger.trace(refs()[0], as_of=early).document) == {
        ("S0", "dollar", "thief wallet 1", "held"): 95_200 * DOLLAR
    }
    # A ledger that ends at a height says where the value is as one that is asked as of it.
    take_in(tmp_path / "short", to_height=35)
    short, asked_of = calibar.open(tmp_path / "short").trace(*refs()).document, ledger.trace(*refs(), as_of=35).document
    assert {key for key in short if short[key] != asked_of[key]} == {"ledger", "digest"}


# Freezes, conversions, deposit addresses.


def test_a_freeze_is_told_between_the_issuers_two_acts(ledger: calibar.Ledger) -> None:
    heights = {step.call.partition("(")[0]: step.height for step in story.steps()}
    frozen, destroyed = heights["addBlackList"], heights["destroyBlackFunds"]
    for height in range(frozen - 3, story.TIP + 1):
        trail = ledger.trace(*refs(), as_of=height).document
        marked = {role(row["account"]): row["frozen"] for row in trail["holdings"] if "frozen" in row}
        assert marked == ({"mule 4": "by the issuer"} if frozen <= height < destroyed else {})
        burnt = [step for step in trail["steps"] if step["kind"] == "burnt by issuer"]
        assert len(burnt) == (height >= destroyed)


def test_conversions_are_those_of_the_story_and_no_other(snapshot: AccountSnapshot) -> None:
    """Three swaps through the pool, one of them by somebody who has nothing to do with it; ether wrapped, unwrapped."""
    expected = []
    for step, hash_ in told():
        if step.converts:
            given, received = step.moves
            expected.append((hash_, given.asset, given.amount, received.asset, received.amount))
        elif step.call == "deposit()":
            expected.append((hash_, "native", step.value, "weth", step.value))
        elif step.call == "withdraw(uint256)":
            amount = int(step.args[0])
            expected.append((hash_, "weth", amount, "native", amount))
    amounts = facts.integers(snapshot["transfers.amount"].reshape(-1, 4))
    found = [
        (
            snapshot.tx_hash(each.tx),
            role(snapshot.asset_name(each.given_asset)),
            sum(amounts[row] for row in each.given),
            role(snapshot.asset_name(each.received_asset)),
            sum(amounts[row] for row in each.received),
        )
        for each in conversions(snapshot, snapshot.counts["transfers"])
    ]
    assert found == expected
    assert len(found) == 6


def test_unwrapped_coins_stay_on_the_trail(ledger: calibar.Ledger) -> None:
    """A node's trace tells the ether that comes out before the log that tells what went in for it."""
    (wrapped,) = (hash_ for step, hash_ in told() if step.call == "deposit()" and step.who == "bystander 4")
    minted = next(log for log in receipts()[wrapped]["logs"])
    trail = ledger.trace(f"{wrapped}:{int(minted['logIndex'], 16)}", method="lifo").document
    recount(trail)
    weth, ether = (trail["totals"]["S0"][asset] for asset in (trail["sources"][0]["asset"], "native"))
    assert (int(weth["in"]), int(weth["held"]), int(weth["converted_out"])) == (ETHER, ETHER // 2, ETHER // 2)
    assert int(ether["converted_in"]) == ETHER // 2
    # All that bystander 4 spends after it comes from it, last in, first out: but what came later goes first.
    assert int(ether["fees"]) > 0
    (unwrapping,) = (hash_ for step, hash_ in told() if step.call == "withdraw(uint256)")
    steps = [step for step in trail["steps"] if step["txid"] == unwrapping]
    assert [(step["kind"], role(step["asset"])) for step in steps] == [("converted", "weth"), ("received", "native")]


def test_deposit_addresses_are_those_that_the_exchange_swept(snapshot: AccountSnapshot) -> None:
    """Found 4 of 5, none wrongly: the fifth was paid once and never swept, and nothing tells it from a purse."""
    real = {owned.address for owned in truth().addresses if owned.customer}
    never_swept = {address("deposit of customer 4")}
    hot = address("exchange 2 hot wallet")
    first_sweep = min(step.height for step in story.steps() if step.who in story.DEPOSITS)
    for height in range(story.TIP + 1):
        limit = int(snapshot["blocks.first_transfer"][height + 1])
        found = {
            snapshot.address_name(deposit).lower(): snapshot.address_name(wallet).lower()
            for asset in range(snapshot.counts["assets"])
            for deposit, wallet in deposit_addresses(snapshot, asset, limit).items()
        }
        assert found == (dict.fromkeys(real - never_swept, hot) if height >= first_sweep else {})


def test_a_deposit_address_is_an_inference_and_says_so(ledger: calibar.Ledger) -> None:
    trail = ledger.trace(*refs()).document
    inferred = {
        (role(row["account"]), row["state"]): role(row["inferred"]["hot_wallet"])
        for row in trail["holdings"]
        if "inferred" in row
    }
    hot = "exchange 2 hot wallet"
    assert inferred == {("deposit of mule 5", "held"): hot, ("deposit of mule 5", "stopped"): hot}
    assert {"conversion", "deposit"} <= trail["rules"].keys()
