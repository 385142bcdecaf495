"""A node that contradicts itself is refused, in one line that names block and field."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from eth_answers import HIVE, Json, blocks_of, latest, read, seal
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibar.chains.ethereum.blocks import BlockReader
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.traces import BlockTraces, read_flat, read_geth
from calibar.chains.facts import PROVEN_HEADER, PROVEN_LOGS, Builder
from calibar.errors import CalibarError, ChainError, DecodeError

Change = Callable[[Json, list[Json]], object]


def _logs(told: list[Json]) -> list[Json]:
    return next(one["logs"] for one in told if one["logs"])


def _set(which: int | None, name: str, value: object) -> Change:
    """Set a field of the block (None) or of a receipt."""
    return lambda block, told: (block if which is None else told[which]).update({name: value})


def _tx(name: str, value: object, at: int = 1) -> Change:
    return lambda block, _: block["transactions"][at].update({name: value})


OTHER = "0x" + "11" * 32
CHANGES: list[tuple[Change, str]] = [
    (_set(0, "blockHash", OTHER), "receipt 0: blockHash is another block's"),
    (_set(1, "blockNumber", "0x1"), "receipt 1: blockNumber is not 54"),
    (_set(1, "transactionIndex", "0x0"), "receipt 1: transactionIndex is not 1"),
    (_set(1, "transactionHash", OTHER), "receipt 1: transactionHash is another transaction's"),
    (lambda _, told: told.pop(), "3 receipts for 4 transactions"),
    (lambda _, told: told.append(told[0]), "5 receipts for 4 transactions"),
    (lambda _, told: told.reverse(), "receipt 0: transactionIndex is not 0"),
    (lambda _, told: _logs(told).append(copy.deepcopy(_logs(told)[-1])), "logIndex is .* missing, doubled"),
    (lambda _, told: _logs(told).pop(0), "logIndex is|receiptsRoot does not fit"),
    (lambda _, told: _logs(told)[0].update(logIndex="0x7"), "logIndex is 7"),
    (lambda _, told: _logs(told)[0].update(transactionHash=OTHER), "log 0: transactionHash"),
    (lambda _, told: _logs(told)[0].update(blockHash=OTHER), "log 0: blockHash"),
    (lambda _, told: _logs(told)[0].update(data="0x" + "00" * 32), "receiptsRoot does not fit"),
    (lambda _, told: _logs(told)[0].update(address="0x00"), "log 0: address has 1 bytes instead of 20"),
    (lambda _, told: _logs(told)[0].update(topics=[OTHER] * 5), "5 topics"),
    (_set(0, "status", "0x2"), "status is neither 0 nor 1"),
    (_set(1, "type", "0x2"), "type is not its transaction's"),
    (_set(0, "cumulativeGasUsed", "0x1"), "receiptsRoot does not fit"),
    (_set(0, "gasUsed", "0x1"), "cumulativeGasUsed is not the sum"),
    (_set(0, "effectiveGasPrice", "0x" + "f" * 16), "effectiveGasPrice is over what the sender allows"),
    (_set(0, "contractAddress", "0x" + "22" * 20), "contractAddress is not what it creates"),
    (_set(0, "gasUsed", 5), "gasUsed: a number is not a quantity"),
    (_set(0, "gasUsed", "0x-5"), "gasUsed: '0x-5' is not a quantity"),
    (_set(0, "effectiveGasPrice", "0x1" + "0" * 64), "effectiveGasPrice is over 256 bits"),
    (_set(None, "gasLimit", "0x1"), "block 54: hash: the header does not hash to it"),
    (_set(None, "timestamp", "0x0"), "block 54: hash"),
    (_set(None, "hash", OTHER), "block 54: hash"),
    (_set(None, "miner", "0x11"), "miner has 1 bytes instead of 20"),
    (_set(None, "number", "zero"), "block: number: 'zero' is not a quantity"),
    (_set(None, "number", None), "block: number: nothing is not a quantity"),
    (_set(None, "gasUsed", "0x 1"), "gasUsed: '0x 1' is not a quantity"),
    (_set(None, "transactions", [OTHER] * 4), "only its hash is told"),
    (_set(None, "withdrawals", [{}]), "withdrawal 0: address: nothing"),
    (_set(None, "withdrawals", None), "withdrawals are missing|^$"),
    (_tx("value", "0x1"), "transaction 1: hash: what was signed does not hash to it"),
    (_tx("hash", OTHER), "transaction 1: hash"),
    (_tx("from", "0x" + "33" * 20), "transaction 1: from: 0x3333.* did not sign it, 0x7435"),
    (_tx("blockHash", OTHER), "transaction 1: blockHash"),
    (_tx("transactionIndex", "0x2"), "transaction 1: transactionIndex is not 1"),
    (_tx("v", "0x1"), "v: 1 is not of a signature"),
    (_tx("r", OTHER), "transaction 1: hash"),
    (lambda block, _: block["transactions"].reverse(), "transaction 0: transactionIndex"),
]


@pytest.mark.parametrize(("change", "refusal"), CHANGES, ids=[refusal[:50] for _, refusal in CHANGES])
def test_a_contradiction_is_refused(data: Path, change: Change, refusal: str) -> None:
    block, told = copy.deepcopy(latest(data))
    change(block, told)
    if refusal.endswith("|^$"):
        read(HIVE, block, told)  # that root is of no withdrawals
        return
    with pytest.raises(CalibarError, match=refusal) as error:
        read(HIVE, block, told)
    assert isinstance(error.value, ChainError | DecodeError)
    assert str(error.value).startswith("block")
    assert "\n" not in str(error.value)


def test_roots_that_do_not_fit_are_refused_though_the_header_hashes(data: Path) -> None:
    block, told = latest(data)
    raw = next(one["raw"] for one in blocks_of(data) if one["hash"] == block["hash"])
    assert seal(block, told, raw)[0]["hash"] == block["hash"]
    for change, refusal in (
        (_set(None, "gasLimit", "0x1"), "gasUsed is over gasLimit"),
        (_set(None, "gasUsed", "0x0"), "gasUsed is 0 and its receipts' is"),
        (_set(None, "withdrawalsRoot", OTHER), "withdrawalsRoot does not fit"),
    ):
        wrong, also = copy.deepcopy((block, told))
        change(wrong, also)
        with pytest.raises(ChainError, match=refusal):
            read(HIVE, *seal(wrong, also, raw))
    with pytest.raises(ChainError, match="transactionsRoot does not fit"):
        read(HIVE, *seal(block, told, raw[::-1]))
    failed = copy.deepcopy(told)
    next(one for one in failed if one["logs"])["status"] = "0x0"
    with pytest.raises(ChainError, match="failed and yet has logs"):
        read(HIVE, *seal(block, failed, raw))


def test_a_block_that_does_not_name_the_one_before_is_refused(data: Path) -> None:
    block, told = latest(data)
    read(HIVE, block, told, previous=bytes.fromhex(block["parentHash"][2:]))
    with pytest.raises(ChainError, match="block 54: parentHash is not the hash of the block before"):
        read(HIVE, block, told, previous=bytes(32))
    reader = BlockReader(HIVE)
    reader.add(Builder(), block, told)
    with pytest.raises(ChainError, match="parentHash"):
        reader.add(Builder(), block, told)


def test_a_later_fork_is_not_proven_but_not_refused(data: Path) -> None:
    block, told = copy.deepcopy(latest(data))
    block["blockAccessListHash"] = OTHER
    assert read(HIVE, block, told).proof[0] & PROVEN_HEADER  # a field beside the header does no harm
    block["hash"] = OTHER
    for part in (*block["transactions"], *told, *(log for one in told for log in one["logs"])):
        part["blockHash"] = OTHER
    facts = read(HIVE, block, told)
    assert facts.proof.tolist() == [0]
    assert any("nothing in its blocks is proven" in note for note in facts.notes)


def test_an_unknown_type_is_as_the_node_says_and_not_proven(data: Path) -> None:
    block, told = copy.deepcopy(latest(data))
    block["transactions"][0] |= {"type": "0x7e", "mint": "0x5", "from": "0x" + "44" * 20}
    told[0] |= {"type": "0x7e", "contractAddress": "0x" + "55" * 20}
    facts = read(HIVE, block, told)
    assert facts.proof.tolist() == [PROVEN_HEADER]
    assert any("type 0x7e" in note for note in facts.notes)
    assert bytes(facts.tx_recipient[0]) == b"\x55" * 20


def test_ethereum_itself_charges_what_is_due(data: Path) -> None:
    block, told = copy.deepcopy(latest(data))
    told[0]["effectiveGasPrice"] = "0x1"
    assert read(HIVE, block, told).proof[0] & PROVEN_LOGS
    with pytest.raises(ChainError, match="effectiveGasPrice is 1 where 27399064 is due"):
        read(1, block, told)


def test_traces_of_others_are_refused(data: Path) -> None:
    block, told = latest(data)
    hashes = [bytes.fromhex(tx["hash"][2:]) for tx in block["transactions"]]
    calls: list[Json] = [
        {
            "txHash": tx["hash"],
            "result": {
                "type": "CALL" if tx["to"] else "CREATE", "from": tx["from"], "to": tx["to"], "value": tx["value"],
                **({} if one["status"] == "0x1" else {"error": "out of gas"}),
            },
        }
        for tx, one in zip(block["transactions"], told, strict=True)
    ]  # fmt: skip
    assert read(HIVE, block, told, read_geth(calls, hashes, "block 54")).proof.tolist() == [15]
    assert read_geth(calls[::-1], hashes, "block 54") == read_geth(calls, hashes, "block 54")
    less = read(HIVE, block, told, read_geth(calls[1:], hashes, "block 54"))
    assert less.proof.tolist() == [7]
    assert any("not whole" in note for note in less.notes)
    with pytest.raises(ChainError, match="block 54: 3 traces for 4"):
        read_geth([{"result": one["result"]} for one in calls[1:]], hashes, "block 54")
    with pytest.raises(ChainError, match="trace 3: txHash is of no transaction of the block, or twice"):
        read_geth([*calls[:3], calls[0]], hashes, "block 54")
    for name, value, refusal in (
        ("from", "0x" + "66" * 20, "transaction 0: its trace is of another transaction"),
        ("value", "0x5", "transaction 0: its trace is of another transaction"),
        ("error", "reverted", "differ on whether it failed"),
    ):
        wrong = copy.deepcopy(calls)
        if name == "error" and told[0]["status"] == "0x0":
            del wrong[0]["result"]["error"]
        else:
            wrong[0]["result"][name] = value
        with pytest.raises(ChainError, match=refusal):
            read(HIVE, block, told, read_geth(wrong, hashes, "block 54"))
    with pytest.raises(ChainError, match="0 traces"):
        read(HIVE, block, told, BlockTraces([], None))


@pytest.mark.parametrize(
    "value", [None, 5, "5", "0x", "0xg", "0x 1", "0x+1", "0x_1", "0x1_0", "0x" + "1" * 300, [], True]
)
def test_what_is_no_quantity_is_refused(value: object) -> None:
    with pytest.raises(DecodeError, match=r"here: n: .* is not a quantity"):
        Fields({"n": value}, "here").integer("n")
    with pytest.raises(DecodeError, match="here: n"):
        Fields({"n": value}, "here").octets("n", 20)


def _places(value: object, path: tuple[object, ...] = ()) -> list[tuple[object, ...]]:
    found = [path] if path else []
    pairs: list[tuple[object, object]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    for key, inner in pairs:
        found += _places(inner, (*path, key))
    return found


JSON = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just([]), st.just({}), st.just([{}]),
    st.sampled_from(["0x", "0x0", "0x1", "0xff", "0x" + "f" * 64, "0x" + "f" * 65, "0x" + "00" * 20, OTHER]),
)  # fmt: skip


@settings(deadline=None, max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(choice=st.data())
def test_whatever_a_node_says_is_read_or_refused_in_one_line(whole: Json, choice: st.DataObject) -> None:
    told = copy.deepcopy(whole)
    for _ in range(choice.draw(st.integers(1, 2))):
        path = choice.draw(st.sampled_from(_places(told)))
        inner: Any = told
        for key in path[:-1]:
            inner = inner[key]
        if choice.draw(st.booleans()):
            inner[path[-1]] = choice.draw(JSON)
        else:
            del inner[path[-1]]
    try:
        fields = Fields.of(told.get("block"), "block")
        hashes = [tx.octets("hash", 32) for tx in fields.objects("transactions", "transaction")]
        nested = read_geth(told.get("geth"), hashes, "block")
        read_flat(told.get("flat"), hashes, fields.octets("hash", 32), "block")
        Fields(told, "block").items("receipts")
        read(HIVE, told["block"], told["receipts"], nested)
    except CalibarError as error:
        assert "\n" not in str(error)


@pytest.fixture
def whole(data: Path) -> Json:
    """A block's answers, with a field of some later fork, so that another hash is no refusal."""
    block, told = latest(data)
    block["later"] = "0x1"
    calls, flat = [], []
    for at, tx in enumerate(block["transactions"]):
        ends = {"from": tx["from"], "to": tx["to"], "value": tx["value"], "input": "0x"}
        top = {"type": "CALL" if tx["to"] else "CREATE", **ends}
        inner = [{**top, "type": kind, "to": tx["from"]} for kind in ("CALL", "CREATE", "SELFDESTRUCT")]
        calls.append({"txHash": tx["hash"], "result": {**top, "calls": inner}})
        place = {"blockHash": block["hash"], "transactionHash": tx["hash"], "transactionPosition": at}
        flat.append({"type": "call", "action": ends, "traceAddress": [], **place})
        left = {"address": tx["from"], "refundAddress": tx["from"], "balance": "0x5"}
        flat.append({"type": "suicide", "action": left, "traceAddress": [0], **place})
    return {"block": block, "receipts": told, "geth": calls, "flat": flat}
