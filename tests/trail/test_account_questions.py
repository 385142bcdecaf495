"""What may be asked on an account chain, what is refused, and what is said not to be known."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
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
from calibar.errors import UsageError
from calibar.ledger.accounts.ingest import ingest
from calibar.sandbox.scenarios import token_theft as story


@pytest.fixture
def ledger(token_theft: Path) -> calibar.Ledger:
    return calibar.open(token_theft)


# REFs and limits.


def test_a_part_a_transaction_and_an_address_name_the_loot(ledger: calibar.Ledger) -> None:
    loot = truth().sources[0]
    whole = ledger.trace(refs()[0])
    assert ledger.trace(loot.transaction).json() == whole.json()
    assert ledger.trace(refs()[0].upper().replace("0X", "0x")).json() == whole.json()
    assert ledger.trace(f"{refs()[0]}={loot.amount}").json() == whole.json()
    wallet = ledger.trace(loot.recipient, asset=loot.token).document
    assert {**wallet["policy"], "asset": None} == {**whole.document["policy"], "asset": None}
    assert all(wallet[key] == whole.document[key] for key in ("sources", "steps", "holdings", "totals"))
    part = ledger.trace(f"{refs()[0]}=7").document
    assert part["sources"][0]["amount"] == "7"
    recount(part)


def test_an_address_without_an_asset_is_all_that_it_received(ledger: calibar.Ledger) -> None:
    received = {
        role(source["asset"]): int(source["amount"])
        for source in ledger.trace(address("thief wallet 1")).document["sources"]
    }
    assert received == {"native": ETHER // 2, "dollar": 95_200 * DOLLAR}


def test_a_limit_of_one_hop(ledger: calibar.Ledger) -> None:
    """By hand: what the first receivers pass on is stopped there, first their own and the older."""
    trail = ledger.trace(*refs(), max_hops=1, stops=()).document
    recount(trail)
    assert resting(trail) == {
        ("S0", "dollar", "mule 1", "stopped"): 40_000 * DOLLAR,
        ("S0", "dollar", "mule 2", "stopped"): 25_500 * DOLLAR,
        ("S0", "dollar", "mule 2", "held"): 4_500 * DOLLAR,
        ("S0", "dollar", "thief wallet 2", "stopped"): 25_200 * DOLLAR,
        ("S1", "dollar", "mule 5", "stopped"): 12_480_550000,
    }
    assert {row["reason"] for row in trail["holdings"] if row["state"] == "stopped"} == {"hops"}


def test_a_minimum_amount(ledger: calibar.Ledger) -> None:
    """By hand: who receives less than 26,000 dollars, or as many base units, is not followed."""
    trail = ledger.trace(*refs(), min_amount=26_000 * DOLLAR, stops=()).document
    recount(trail)
    back = next(rest.amount for rest in story.rests() if rest.state == "destroyed") - 16_000 * DOLLAR
    weth = next(rest.amount for rest in story.rests() if rest.asset == "weth")
    assert resting(trail) == {
        ("S0", "weth", "mule 1", "held"): weth,
        ("S0", "dollar", "mule 2", "held"): 4_500 * DOLLAR,
        ("S0", "dollar", "mule 3", "stopped"): back,
        ("S0", "dollar", "mule 4", "stopped"): 16_000 * DOLLAR,
        ("S0", "dollar", "mule 5", "stopped"): 25_500 * DOLLAR,
        ("S0", "dollar", "thief wallet 2", "stopped"): 25_200 * DOLLAR,
        ("S1", "dollar", "mule 5", "stopped"): 12_480_550000,
    }


def test_fees_are_what_the_receipts_say(ledger: calibar.Ledger) -> None:
    """The deposit address has nothing but what its funder gave it, and pays one fee from it."""
    deposit = address("deposit of mule 5")
    (receipt,) = (each for each in receipts().values() if each["from"] == deposit)
    gas, price = int(receipt["gasUsed"], 16), int(receipt["effectiveGasPrice"], 16)
    base = int(asked("eth_getBlockByNumber", receipt["blockNumber"], False)["baseFeePerGas"], 16)
    total = ledger.trace(deposit, asset="native").document["totals"]["S0"]["native"]
    assert (int(total["in"]), int(total["fees"])) == (ETHER // 400, gas * price)
    followed = ledger.trace(deposit, asset="native", fees="follow").document
    recount(followed)
    total = followed["totals"]["S0"]["native"]
    assert (int(total["fees"]), int(total["burnt"])) == (0, gas * base)
    assert resting(followed)["S0", "native", "producer", "held"] == gas * (price - base)


# What is refused, or said not to be known.


def test_wrong_questions(ledger: calibar.Ledger) -> None:
    swap = next(hash_ for step, hash_ in told() if step.converts)
    failed = next(hash_ for step, hash_ in told() if step.fails)
    questions: list[tuple[str, dict[str, Any], str]] = [
        ("0x" + "ab" * 32, {}, "no transaction 0x"),
        (f"{truth().sources[0].transaction}:77", {}, "has no transfer '77'; it has "),
        (f"{truth().sources[0].transaction}:internal-1", {}, "has no transfer 'internal-1'"),
        (refs()[0] + "=0", {}, "is no amount"),
        (refs()[0] + "=-1", {}, "is no amount"),
        (f"{refs()[0]}={truth().sources[0].amount + 1}", {}, "less than the"),
        (f"{swap}=5", {}, "receives several assets: say by --asset"),
        (f"{address('mule 5')}=5", {}, "receives several assets: say by --asset"),
        (failed, {}, "pays nobody"),
        (refs()[0], {"as_of": 19}, "later than the as-of height"),
        (refs()[0], {"as_of": story.TIP + 1}, f"has heights 0 to {story.TIP}"),
        (refs()[0], {"as_of": -1}, "outside the ledger"),
        (refs()[0], {"asset": address("weth")}, "pays nobody that asset"),
        (refs()[0], {"asset": "0x" + "12" * 20}, "nothing of the asset"),
        (refs()[0], {"asset": "dollar"}, "dollar"),
        (refs()[0], {"unit": "coin"}, "is not followed by coin"),
        (refs()[0], {"method": "libr", "unit": "coin"}, "accounts only"),
        (refs()[0], {"method": "poison"}, "poison"),
        ("0x" + "12" * 20, {}, "receives nothing"),
        ("vitalik.eth", {}, "a REF is"),
    ]
    for ref, policy, said in questions:
        with pytest.raises(UsageError) as refused:
            ledger.trace(ref, **policy)
        assert said in str(refused.value), (ref, policy)
        assert "\n" not in str(refused.value)
    with pytest.raises(UsageError, match=r"S1 \(.*\) labels nothing"):
        ledger.trace(refs()[0], refs()[0])


def test_an_island_does_not_know_what_anybody_had_before(tmp_path: Path) -> None:
    """The loot's receiver might have had more: what he pays on cannot be told apart, and the trail says so."""
    take_in(tmp_path / "island", first=19, island=True)
    trail = calibar.open(tmp_path / "island").trace(refs()[0]).document
    recount(trail)
    assert resting(trail) == {("S0", "dollar", "thief wallet 1", "stopped"): 95_200 * DOLLAR}
    assert [row["reason"] for row in trail["holdings"]] == ["incomplete history"]


def test_without_the_genesis_ether_is_not_followed_and_tokens_are(token_theft: Path, tmp_path: Path) -> None:
    take_in(tmp_path / "ledger", genesis=None)
    bare, whole = calibar.open(tmp_path / "ledger"), calibar.open(token_theft)
    assert resting(bare.trace(*refs()).document) == resting(whole.trace(*refs()).document)
    trail = bare.trace(address("thief wallet 1"), asset="native").document
    rests = {row["reason"]: int(row["traced"]["S0"]) for row in trail["holdings"]}
    assert {role(row["account"]) for row in trail["holdings"]} == {"thief wallet 1"}
    left = int(asked("eth_getBalance", address("thief wallet 1"), "latest"), 16)
    assert rests == {"incomplete history": ETHER // 2 - left, "unspent": left}
    assert trail["steps"] == []


# Chains that no recording has: written as a reader would hand them over.

TOKEN = bytes([7]) * 20
PAIR = bytes([8]) * 20
ANN, BOB, EVE = (bytes([n]) * 20 for n in (1, 2, 3))


class Written:
    """A chain of the transfers (kind, asset kind, asset, from, to, amount), one transaction a block."""

    chain = "ethereum:1"

    def __init__(self, *blocks: list[tuple[int, int, bytes, bytes, bytes, int]], swaps: Iterable[int] = ()) -> None:
        self.blocks, self.swaps = blocks, set(swaps)

    def last(self) -> int:
        return len(self.blocks) - 1

    def hash_of(self, number: int) -> bytes | None:
        return bytes([number + 1]) * 32 if 0 <= number <= self.last() else None

    def read(self, first: int, last: int) -> Iterator[facts.Facts]:
        builder = facts.Builder()
        for number in range(first, last + 1):
            hash_ = bytes([number + 1]) * 32
            tx = builder.transaction(hash_, facts.SUCCEEDED, ANN, BOB, ANN, 0)
            for at, (kind, *move) in enumerate(self.blocks[number]):
                asset_kind, asset, sender, recipient, amount = move
                assert isinstance(asset_kind, int) and isinstance(amount, int)
                assert isinstance(asset, bytes) and isinstance(sender, bytes) and isinstance(recipient, bytes)
                builder.transfer(tx, kind, asset_kind, asset, sender, recipient, amount, at)
            if number in self.swaps:
                builder.event(tx, facts.SWAP_V2, PAIR, ANN, ANN, 0, 9)
            builder.end_block(number, hash_, bytes([number]) * 32, 1_600_000_000 + number, facts.HAS_INTERNAL)
        yield builder.facts()


def ledger_of(folder: Path, chain: Written) -> calibar.Ledger:
    ingest(chain, folder)
    return calibar.open(folder)


def test_a_token_of_absurd_amounts_is_not_traced(tmp_path: Path) -> None:
    mint = (facts.MINT, facts.CONTRACT, TOKEN, facts.ZERO, ANN)
    honest = (facts.MINT, facts.CONTRACT, PAIR, facts.ZERO, ANN, 5)
    ledger = ledger_of(tmp_path / "ledger", Written([(*mint, 2**256 - 1)], [honest], [(*mint, 2**126)]))
    with pytest.raises(UsageError, match=r"transfers of 2\^126 base units and more"):
        ledger.trace("01" * 32 + ":0")
    assert ledger.trace("02" * 32 + ":0").totals["S0"]
    most = ledger_of(tmp_path / "most", Written([(*mint, 2**126 - 1)]))
    (total,) = most.trace("01" * 32 + ":0").document["totals"]["S0"].values()
    assert (total["in"], total["held"]) == (str(2**126 - 1),) * 2


def test_a_token_swapped_for_ether_stays_on_the_trail(tmp_path: Path) -> None:
    """Through a router: the ether comes inside the call, before the logs say what was given for it."""
    native = (facts.NATIVE, facts.ZERO)
    grants = [(facts.GRANT, *native, facts.ZERO, PAIR, 1000)]
    mint = [(facts.MINT, facts.CONTRACT, TOKEN, facts.ZERO, ANN, 300)]
    swap = [
        (facts.INTERNAL, *native, PAIR, EVE, 90),
        (facts.INTERNAL, *native, EVE, ANN, 90),
        (facts.TOKEN, facts.CONTRACT, TOKEN, ANN, PAIR, 200),
    ]
    on = [(facts.VALUE, *native, ANN, BOB, 30)]
    ledger = ledger_of(tmp_path / "ledger", Written(grants, mint, swap, on, swaps=[2]))
    for method in METHODS:
        trail = ledger.trace("02" * 32 + ":0=150", method=method).document
        given, received = (
            int(step[side][0]["traced"]["S0"])
            for step, side in zip(
                (step for step in trail["steps"] if step["kind"] in ("converted", "received")),
                ("inputs", "outputs"),
                strict=True,
            )
        )
        # Of 300, the first 150 are stolen; 200 are given for 90.
        assert given == {"fifo": 150, "lifo": 50, "haircut": 100, "libr": 50}[method]
        share, rest = divmod(given * 90, 200)
        assert received == share + (2 * rest >= 200)  # half a unit: what is received comes before what is not
        total = trail["totals"]["S0"]["native"]
        assert int(total["held"]) == int(total["converted_in"]) == received


def test_a_bitcoin_ledger_has_no_accounts_yet(tmp_path: Path, written: Path) -> None:
    from calibar.ledger.ingest import ingest as ingest_bitcoin  # noqa: PLC0415

    ingest_bitcoin([written / "blocks"], tmp_path / "ledger")
    ledger = calibar.open(tmp_path / "ledger")
    for policy, said in (
        ({"method": "libr"}, "accounts only"),
        ({"unit": "address"}, "is not followed by address"),
        ({"method": "libr", "unit": "address"}, "is not followed by address"),
        ({"asset": "native"}, "matters of account chains"),
    ):
        with pytest.raises(UsageError, match=said):
            ledger.trace("00" * 32, **policy)
    with pytest.raises(UsageError, match="is a Bitcoin ledger"):
        ledger.holdings("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080")
