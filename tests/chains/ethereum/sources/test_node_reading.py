"""What a node's answers tell: within the limits that nodes have, and nothing of what is malformed or a lie."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from node_in_memory import (
    QUESTIONS,
    InMemory,
    Json,
    ask,
    blocks,
    busiest,
    kept_of,
    octets,
    transfers,
    whole_block,
    whole_transaction,
    with_logs,
)

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.ethereum.sources import node_logs, node_tape
from calibar.chains.ethereum.sources.node import EvmNode, read
from calibar.chains.remote import transfers_told as told
from calibar.chains.topics import TRANSFER
from calibar.errors import ChainError, DecodeError, UsageError


@pytest.mark.parametrize(
    "node",
    [
        *(InMemory(blocks_at_once=limit) for limit in (1, 3, 10, 40, 84)),
        *(InMemory(rows_at_once=limit) for limit in (9, 14)),
        InMemory(blocks_at_once=17, rows_at_once=12),
        InMemory(rows_readable=10),
    ],
    ids=str,
)
def test_a_range_that_a_node_refuses_is_halved_until_it_does_not(node: InMemory) -> None:
    unlimited = ask(InMemory(), transfers())
    assert len(unlimited.rows) > 20
    assert ask(node, transfers()) == unlimited
    ranges = [one.params[0] for one in node.asked if one.method == "eth_getLogs"]
    assert len(ranges) > 2


def test_after_a_dense_time_longer_ranges_are_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    node = InMemory(rows_at_once=9)
    monkeypatch.setattr(node_logs, "GROWS_AFTER", 2)
    assert ask(node, transfers()) == ask(InMemory(), transfers())
    sizes = [
        int(one.params[0]["toBlock"], 16) - int(one.params[0]["fromBlock"], 16)  # type: ignore[index]
        for one in node.asked
        if one.method == "eth_getLogs"
    ]
    assert sizes[0] == len(blocks()) - 1
    assert any(later > earlier for earlier, later in pairwise(sizes[:-1]))


def test_one_block_that_is_refused_refuses_the_whole() -> None:
    refused = ask(InMemory(rows_at_once=0), transfers())
    assert isinstance(refused, Refusal)
    assert "max results" in refused.why


def test_a_node_without_a_search_is_asked_once() -> None:
    node = InMemory(unoffered=("eth_getLogs",))
    assert isinstance(ask(node, transfers()), Refusal)
    assert [one.method for one in node.asked].count("eth_getLogs") == 2  # one for each side


def test_too_many_ranges_are_not_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_logs, "MOST_RANGES", 20)
    refused = ask(InMemory(blocks_at_once=2), transfers())
    assert isinstance(refused, Refusal)
    assert "too few for so many" in refused.why


def test_what_the_last_block_does_not_reach_has_no_rows() -> None:
    answer = ask(InMemory(), told.MovementsQuestion(busiest(), "token", 10, first=len(blocks())))
    assert answer.rows == ()


def test_a_log_that_tells_its_time_gives_it_to_the_row() -> None:
    def timed(method: str, answer: Any) -> Any:
        return [{**log, "blockTimestamp": "0x64"} for log in answer] if method == "eth_getLogs" else answer

    assert {row.time for row in ask(InMemory(change=timed), transfers()).rows} == {100}


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"topics": ["0x" + TRANSFER.hex(), "0x" + "11" * 32, "0x" + "22" * 32]}, "not of what was asked"),
        ({"topics": ["0x" + "11" * 32]}, "not of what was asked"),
        ({"blockNumber": "0xffff"}, "of no block that was asked for"),
        ({"removed": True}, "of no block that was asked for"),
        ({"blockNumber": None}, "blockNumber"),
        ({"data": "0xzz"}, "data"),
        ({"address": "0x12"}, "address"),
        ({"topics": 5}, "topics"),
    ],
)
def test_logs_that_were_not_asked_for_are_refused(change: Json, why: str) -> None:
    def changed(method: str, answer: Any) -> Any:
        return [{**answer[0], **change}, *answer[1:]] if method == "eth_getLogs" and answer else answer

    with pytest.raises(DecodeError, match=why) as raised:
        ask(InMemory(change=changed), transfers())
    assert str(raised.value).count("http://node.test") == 1


def test_a_log_told_twice_counts_once_and_only_where_both_are_alike() -> None:
    def doubled(method: str, answer: Any) -> Any:
        return answer * 2 if method == "eth_getLogs" else answer

    def differing(method: str, answer: Any) -> Any:
        if method == "eth_getLogs" and answer:
            return [*answer, {**answer[0], "data": "0x" + "07".rjust(64, "0")}]
        return answer

    def reorganised(method: str, answer: Any) -> Any:
        if method == "eth_getLogs" and answer:
            return [*answer, {**answer[0], "logIndex": "0xff", "blockHash": "0x" + "07" * 32}]
        return answer

    assert ask(InMemory(change=doubled), transfers()) == ask(InMemory(), transfers())
    with pytest.raises(DecodeError, match="told twice, and differently"):
        ask(InMemory(change=differing), transfers())
    with pytest.raises(DecodeError, match="two hashes"):
        ask(InMemory(change=reorganised), transfers())


def test_a_transaction_is_whole_without_traces_but_for_what_its_calls_moved() -> None:
    node = InMemory(unoffered=("debug_traceTransaction",))
    for block in blocks()[:12]:
        for tx in block["transactions"]:
            question = told.TransactionQuestion(octets(tx["hash"]))
            full, less = ask(InMemory(), question), ask(node, question)
            assert less.rows == tuple(row for row in full.rows if row.kind != "internal")


@pytest.mark.parametrize(
    ("method", "change", "why"),
    [
        ("eth_getTransactionByHash", {"value": "0x7"}, "hash"),
        ("eth_getTransactionByHash", {"from": "0x" + "07" * 20}, "did not sign"),
        ("eth_getTransactionByHash", {"blockNumber": "0x1"}, "not in the same place"),
        ("eth_getTransactionReceipt", {"transactionHash": "0x" + "07" * 32}, "not in the same place"),
        ("eth_getTransactionReceipt", {"effectiveGasPrice": hex(2**256 - 1)}, "over 256 bits"),
        ("eth_getTransactionReceipt", {"logs": None}, "logs"),
        ("eth_getBlockByHash", {"timestamp": "0x7"}, "header does not hash"),
        ("eth_getBlockByHash", {"hash": "0x" + "07" * 32}, "another one than was asked"),
        ("debug_traceTransaction", {"value": "0x7"}, "trace is of another"),
        ("debug_traceTransaction", {"error": "reverted"}, "differ on whether it failed"),
    ],
)
def test_a_transaction_that_does_not_fit_its_name_is_refused(method: str, change: Json, why: str) -> None:
    def changed(asked: str, answer: Any) -> Any:
        return {**answer, **change} if asked == method else answer

    with pytest.raises(DecodeError, match=why):
        ask(InMemory(change=changed), whole_transaction())


def test_fees_for_blobs_and_for_the_layer_below_are_part_of_the_fee() -> None:
    def dearer(method: str, answer: Any) -> Any:
        more = {"l1Fee": "0x5", "blobGasUsed": "0x3", "blobGasPrice": "0x7"}
        return {**answer, **more} if method == "eth_getTransactionReceipt" else answer

    plain, dear = (ask(node, whole_transaction()).rows[0] for node in (InMemory(), InMemory(change=dearer)))
    gas = {name: int(with_logs()[name], 16) for name in ("gasUsed", "effectiveGasPrice")}
    assert plain.amount == gas["gasUsed"] * gas["effectiveGasPrice"]
    assert dear.amount == plain.amount + 5 + 3 * 7


@pytest.mark.parametrize("missing", ["blockHash", None])
def test_a_transaction_in_no_block_yet_is_refused(missing: str | None) -> None:
    def pending(method: str, answer: Any) -> Any:
        if method == "eth_getTransactionByHash":
            return {**answer, missing: None} if missing else answer
        return None if method == "eth_getTransactionReceipt" else answer

    refused = ask(InMemory(change=pending), whole_transaction())
    assert isinstance(refused, Refusal)
    assert "no block" in refused.why


def test_what_a_node_does_not_offer_is_asked_for_once() -> None:
    node = InMemory(unoffered=("debug_traceBlockByNumber", "trace_block", "eth_getBlockReceipts"))
    explorer = EvmNode(node, lambda _: None)
    answers = list(explorer.ask([whole_block(), whole_block(), told.BlockQuestion(2)]))
    assert all(isinstance(answer, told.Block) and answer.facts.proof.tolist() == [7] for _, answer in answers)
    assert [one.method for one in node.asked].count("debug_traceBlockByNumber") == 1


@pytest.mark.parametrize("height", range(0, 12, 3))
def test_a_kept_block_is_recomputed_each_time_that_it_is_read(height: int) -> None:
    kept = kept_of(told.BlockQuestion(height))
    (block,) = read(kept.request, kept.response)
    assert isinstance(block, told.Block)
    assert block.facts.proof.tolist() == [15]


def changed_receipt(kept: Exchange, change: Callable[[Json], None]) -> bytes:
    lines = [json.loads(line) for line in kept.response.splitlines()]
    (entry,) = (line for line in lines if line["method"] == "eth_getBlockReceipts")
    change(next(receipt for receipt in entry["result"] if len(receipt["logs"]) > 1))
    return b"\n".join(json.dumps(line).encode() for line in lines)


@pytest.mark.parametrize(
    "change",
    [
        lambda receipt: receipt["logs"][0].update(data="0x" + "07".rjust(64, "0")),
        lambda receipt: receipt["logs"][0].update(address="0x" + "07" * 20),
        lambda receipt: receipt["logs"].pop(),
        lambda receipt: receipt.update(status="0x0"),
        lambda receipt: receipt.update(gasUsed="0x5208"),
        lambda receipt: receipt.update(effectiveGasPrice="0x1"),
        lambda receipt: receipt.update(transactionHash="0x" + "07" * 32),
    ],
)
def test_a_receipt_that_was_changed_in_a_kept_block_is_refused(change: Callable[[Json], None]) -> None:
    kept = kept_of(whole_block())
    assert list(read(kept.request, changed_receipt(kept, lambda _: None)))
    with pytest.raises(ChainError):
        list(read(kept.request, changed_receipt(kept, change)))


@pytest.mark.parametrize("which", range(len(QUESTIONS)))
def test_a_tape_that_is_cut_longer_or_of_another_question_is_refused(which: int) -> None:
    kept = kept_of(QUESTIONS[which]())
    lines = kept.response.split(b"\n")
    for tape in (lines[:-1], [*lines, lines[-1]], [*lines, b""], [b""], []):
        with pytest.raises(DecodeError):
            list(read(kept.request, b"\n".join(tape)))
    other = kept_of(QUESTIONS[which - 1]())
    with pytest.raises(DecodeError, match=r"another question|ends before|not asked"):
        list(read(kept.request, other.response))


def test_what_was_refused_is_kept_and_tells_nothing() -> None:
    kept = kept_of(told.TransactionQuestion(b"\x07" * 32))
    assert list(read(kept.request, kept.response)) == []
    kept = kept_of(transfers(), InMemory(unoffered=("eth_blockNumber",)))
    assert b'"error":{"code":-32601' in kept.response
    assert list(read(kept.request, kept.response)) == []


def test_a_node_that_is_lost_meanwhile_is_not_believed_and_nothing_is_kept() -> None:
    def lost(method: str, answer: Any) -> Any:
        if method in ("eth_getBlockReceipts", "eth_getBalance"):
            raise UsageError("http://node.test: it cut the connection; try later, or name another node")
        return answer

    kept: list[Exchange] = []
    explorer = EvmNode(InMemory(change=lost), kept.append)
    kept.clear()
    for question in (whole_block(), told.HoldingQuestion(busiest(), told.NATIVE)):
        with pytest.raises(UsageError, match="cut the connection"):
            list(explorer.ask([question]))
    assert kept == []


def test_a_malformed_answer_is_kept_before_it_is_refused() -> None:
    kept: list[Exchange] = []
    explorer = EvmNode(InMemory(change=lambda method, answer: answer if method == "eth_chainId" else 7), kept.append)
    for make in QUESTIONS:
        kept.clear()
        with pytest.raises(DecodeError, match=r"^http://node.test: "):
            list(explorer.ask([make()]))
        (exchange,) = kept
        with pytest.raises(DecodeError):
            list(read(exchange.request, exchange.response))


def test_an_answer_over_the_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(node_tape, "LARGEST", 1000)
    with pytest.raises(DecodeError, match="ask for less"):
        ask(InMemory(), whole_block())
    with pytest.raises(DecodeError, match="over 0 MB"):
        list(read('{"method":"newest","params":[]}', b" " * 1001))


def test_an_answer_that_nests_too_deeply_is_as_one_that_is_refused() -> None:
    def deep(method: str, answer: Any) -> Any:
        if method == "debug_traceTransaction":
            for _ in range(100_000):
                answer = [answer]
        return answer

    plain = ask(InMemory(unoffered=("debug_traceTransaction",)), whole_transaction())
    assert ask(InMemory(change=deep), whole_transaction()) == plain


@pytest.mark.parametrize("expected", [1, None])
def test_of_which_chain_it_is_must_be_said(expected: int | None) -> None:
    with pytest.raises(UsageError, match="chain"):
        EvmNode(InMemory(unoffered=("eth_chainId",)), lambda _: None, chain_id=expected)


def test_what_is_kept_names_the_question_and_what_was_answered() -> None:
    kept = kept_of(told.NewestQuestion())
    assert (kept.kind, kept.place, kept.request) == ("node", "http://node.test", '{"method":"newest","params":[]}')
    assert json.loads(kept.response).keys() == {"method", "params", "result"}
