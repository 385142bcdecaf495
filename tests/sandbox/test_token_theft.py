"""The second leg's story is what the node recorded: re-added from raw receipts and traces by a decoder of its own."""

from __future__ import annotations

import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from functools import cache
from typing import Any

import pytest
from Crypto.Hash import keccak

from calibar.sandbox.scenarios import token_theft as story

Json = dict[str, Any]
Segments = list[tuple[str | None, int]]
NOBODY = ""


def topic(signature: str) -> str:
    return "0x" + keccak.new(data=signature.encode(), digest_bits=256).hexdigest()


TRANSFER = topic("Transfer(address,address,uint256)")
DEPOSIT, WITHDRAWAL = topic("Deposit(address,uint256)"), topic("Withdrawal(address,uint256)")
ISSUE, REDEEM = topic("Issue(uint256)"), topic("Redeem(uint256)")
DESTROYED = topic("DestroyedBlackFunds(address,uint256)")
SWAP = topic("Swap(address,uint256,uint256,uint256,uint256,address)")


class Recording:
    """The node's answers, read by no reader of the product's."""

    def __init__(self) -> None:
        lines = [json.loads(line) for line in gzip.decompress(story.RECORDING.read_bytes()).splitlines()]
        self._answers = {json.dumps([line["method"], line["params"]]): line["result"] for line in lines}

    def ask(self, method: str, *params: Any) -> Any:
        return self._answers[json.dumps([method, params])]


@pytest.fixture(scope="module")
def recording() -> Recording:
    return Recording()


@cache
def truth() -> story.TokenTruth:
    return story.truth()


@pytest.fixture(scope="module")
def receipts(recording: Recording) -> list[Json]:
    return [each for n in range(story.TIP + 1) for each in recording.ask("eth_getBlockReceipts", hex(n))]


def movements(receipt: Json) -> Iterator[tuple[str, str, str, int]]:
    """Token, from, to and amount of everything that a receipt's logs move."""
    for log in receipt["logs"]:
        kind, accounts = log["topics"][0], ["0x" + each[26:] for each in log["topics"][1:]]
        amount = int(log["data"][-64:], 16)
        if kind == TRANSFER:
            yield log["address"], accounts[0].replace("0x" + "0" * 40, NOBODY), accounts[1], amount
        elif kind == DEPOSIT:
            yield log["address"], NOBODY, accounts[0], amount
        elif kind == WITHDRAWAL:
            yield log["address"], accounts[0], NOBODY, amount
        elif kind == ISSUE:
            yield log["address"], NOBODY, receipt["from"], amount
        elif kind == REDEEM:
            yield log["address"], receipt["from"], NOBODY, amount
        elif kind == DESTROYED:
            yield log["address"], "0x" + log["data"][26:66], NOBODY, amount


def paid(frame: Json) -> Iterator[tuple[str, str, int]]:
    """From, to and wei of a frame of a trace and of the frames below it."""
    if "error" not in frame:
        if frame["type"] in ("CALL", "CREATE"):
            yield frame["from"], frame["to"], int(frame["value"], 16)
        for inner in frame.get("calls", ()):
            yield from paid(inner)


def test_every_transaction_of_the_story_is_in_its_block_and_ends_as_told(recording: Recording) -> None:
    for n in range(1, story.TIP + 1):
        here = [step for step in story.steps() if step.height == n]
        block = recording.ask("eth_getBlockByNumber", hex(n), True)
        assert [story.address(step.who) for step in here] == [each["from"] for each in block["transactions"]]
        told = [each["status"] == "0x0" for each in recording.ask("eth_getBlockReceipts", hex(n))]
        assert [step.fails for step in here] == told
        assert int(block["timestamp"], 16) % story.BLOCK_SECONDS == 0
    assert int(recording.ask("eth_blockNumber"), 16) == story.TIP


def test_the_storys_moves_are_those_of_the_logs(receipts: list[Json]) -> None:
    token = dict(truth().contracts)

    def named(role: str | None) -> str:
        return NOBODY if role is None else truth().role(role)

    told = [
        (token[move.asset], named(move.sender), named(move.recipient), move.amount)
        for step in story.steps()
        for move in step.moves
    ]
    like = truth().role("address that looks like deposit of mule 5")
    logged = [each for receipt in receipts for each in movements(receipt) if like not in each]
    shares = [each for each in logged if each[0] == token["pool"]]
    assert [each for each in logged if each not in shares] == told
    assert [(share[1], share[2]) for share in shares] == [(NOBODY, truth().role("liquidity provider"))]


def test_token_balances_re_add_from_raw_receipts(recording: Recording, receipts: list[Json]) -> None:
    sums: Counter[tuple[str, str]] = Counter()
    fake = dict(truth().contracts)["look-alike dollar"]
    for receipt in receipts:
        for token, sender, recipient, amount in movements(receipt):
            sums[token, sender] -= amount
            sums[token, recipient] += amount
    tokens = [address for name, address in truth().contracts if name in story.TOKENS and address != fake]
    everybody = [*(owned.address for owned in truth().addresses), *dict(truth().contracts).values()]
    checked = 0
    for holder in everybody:
        for token in tokens:
            question = {"to": token, "data": "0x70a08231" + holder[2:].rjust(64, "0")}
            assert int(recording.ask("eth_call", question, "latest"), 16) == sums[token, holder]
            checked += sums[token, holder] > 0
    assert checked > 15
    assert {holder for (token, holder), amount in sums.items() if amount and token != fake} <= {*everybody, NOBODY}


def test_ether_re_adds_from_genesis_traces_and_fees(recording: Recording) -> None:
    sums = Counter(
        {holder: int(each["balance"], 16) for holder, each in json.loads(story.GENESIS.read_text())["alloc"].items()}
    )
    producer = story.address("producer")
    for n in range(story.TIP + 1):
        base = int(recording.ask("eth_getBlockByNumber", hex(n), False)["baseFeePerGas"], 16)
        for receipt in recording.ask("eth_getBlockReceipts", hex(n)):
            gas, price = int(receipt["gasUsed"], 16), int(receipt["effectiveGasPrice"], 16)
            sums[receipt["from"]] -= gas * price
            sums[producer] += gas * (price - base)
        for trace in recording.ask("debug_traceBlockByNumber", hex(n), {"tracer": "callTracer"}):
            for sender, recipient, wei in paid(trace["result"]):
                sums[sender] -= wei
                sums[recipient] += wei
    everybody = [*(owned.address for owned in truth().addresses), *dict(truth().contracts).values()]
    for holder in everybody:
        assert int(recording.ask("eth_getBalance", holder, "latest"), 16) == sums[holder]
    assert +sums == Counter({holder: sums[holder] for holder in everybody if sums[holder]})


def followed(receipts: list[Json], stops: Collection[str]) -> Counter[tuple[str, str, str, str]]:
    """First in, first out over raw logs, the slow and obvious way: label, token, account and state to amount."""
    sources = {each.transaction: each for each in truth().sources}
    held: dict[tuple[str, str], Segments] = defaultdict(list)
    ended: Counter[tuple[str, str, str, str]] = Counter()
    for receipt in receipts:
        swapped = any(log["topics"][0] == SWAP for log in receipt["logs"])
        given: Segments = []
        for token, sender, recipient, amount in movements(receipt):
            line: Segments = [(None, amount)] if sender == NOBODY or not amount else []
            while (due := amount - sum(part for _, part in line)) > 0:
                if not (queue := held[token, sender]):
                    assert token == dict(truth().contracts)["look-alike dollar"]
                    line.append((None, due))
                    continue
                label, there = queue.pop(0)
                line.append((label, min(due, there)))
                queue[:0] = [(label, there - due)] if there > due else []
            if receipt["transactionHash"] in sources:
                line = [(sources[receipt["transactionHash"]].label, amount)]
            elif sender in stops or recipient == NOBODY:
                for label, part in line:
                    if label:
                        ended[label, token, sender, "destroyed" if recipient == NOBODY else "stopped"] += part
                line = [(None, amount)]
            if swapped:
                assert len({label for label, _ in line}) == 1
                label = given[0][0] if given else None
                line, given = [(label, amount)], [] if given else line
            if recipient != NOBODY:
                held[token, recipient] += line
    for (token, holder), queue in held.items():
        for label, part in queue:
            if label:
                ended[label, token, holder, "held"] += part
    return ended


@pytest.mark.parametrize("stops", [(), tuple(sorted(story.EXCHANGES))], ids=["to the end", "stopped at exchanges"])
def test_where_the_loot_rests_is_what_raw_logs_say(receipts: list[Json], stops: tuple[str, ...]) -> None:
    told = {
        (rest.label, truth().role(rest.asset), truth().role(rest.role), rest.state): rest.amount
        for rest in story.rests(stops)
    }
    assert followed(receipts, {story.address(role) for role in stops}) == told


def test_where_the_loot_rests_is_what_a_person_computes() -> None:
    # In cents. mule 2 had 2,500.00 of its own first; thief wallet 2 had victim 5's tokens first.
    rests = {(rest.label, rest.role): rest.amount for rest in story.rests() if rest.asset == "dollar"}
    back = rests["S0", "mule 4"] - 16_000_000000
    assert rests == {
        ("S0", "mule 2"): 30_000_000000 - (28_000_000000 - 2_500_000000),
        ("S0", "cold wallet"): 25_200_000000 - (20_000_000000 - 12_480_550000),
        ("S0", "exchange 2 hot wallet"): 30_000_000000 - 2_500_000000 - 2_000_000000,
        ("S1", "exchange 2 hot wallet"): 2_000_000000,
        ("S1", "deposit of mule 5"): 10_000_000000,
        ("S1", "bystander 2"): 480_550000,
        ("S0", "bystander 2"): 3_000_000000 - 480_550000,
        ("S0", "mule 5"): 5_000_000000,
        ("S0", "mule 4"): 16_000_000000 + back,
    }
    assert sum(amount for (label, _), amount in rests.items() if label == "S1") == 12_480_550000
    assert sum(amount for (label, _), amount in rests.items() if label == "S0") == 95_200_000000 - 24_000_000000 + back
    stopped = {rest.label: rest.amount for rest in story.rests(story.EXCHANGES) if rest.state == "stopped"}
    assert stopped == {"S0": 25_500_000000, "S1": 2_000_000000}


def test_the_stolen_transfers_are_those_of_their_logs(receipts: list[Json]) -> None:
    by_hash = {receipt["transactionHash"]: receipt for receipt in receipts}
    for each in truth().sources:
        (log,) = by_hash[each.transaction]["logs"]
        assert int(log["logIndex"], 16) == each.log_index
        assert next(movements(by_hash[each.transaction])) == (each.token, each.sender, each.recipient, each.amount)
    assert [each.label for each in truth().sources] == ["S0", "S1"]


def test_tokens_name_themselves_and_one_lies(recording: Recording) -> None:
    names = {}
    for name, token in truth().contracts:
        if name in story.TOKENS:
            said = recording.ask("eth_call", {"to": token, "data": "0x95d89b41"}, "latest")
            names[name] = bytes.fromhex(said[2:])[64:].rstrip(b"\0").decode()
    assert names == {"dollar": "USDX", "weth": "WETH", "pool": "POOL", "look-alike dollar": "USDX"}


def test_the_poisoners_address_begins_and_ends_as_the_deposit_address() -> None:
    like, real = (truth().role(f"{prefix}deposit of mule 5") for prefix in ("address that looks like ", ""))
    assert like != real
    assert (like[:6], like[-4:]) == (real[:6], real[-4:])


def test_every_address_has_a_role_and_a_label() -> None:
    addresses = [owned.address for owned in truth().addresses]
    assert len(set(addresses)) == len(addresses)
    assert set(story.labels()) == {*addresses, *dict(truth().contracts).values()}
    deposits = {owned.customer for owned in truth().addresses if owned.customer}
    assert deposits == {"mule 5", *story.CUSTOMERS}


def test_the_recording_is_small_and_bears_no_time() -> None:
    assert story.RECORDING.stat().st_size < 300_000
    assert story.RECORDING.read_bytes()[4:8] == bytes(4)
