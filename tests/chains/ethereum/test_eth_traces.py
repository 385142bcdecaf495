"""Traces: what moved inside of transactions, by both forms, as other software read them."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from eth_answers import etl

from calibar.chains.ethereum.traces import CALLED, DESTROYED, MADE, BlockTraces, Reward, Step, read_flat, read_geth
from calibar.errors import CalibarError, ChainError, DecodeError

BLOCK = bytes(32)
A, B, C, D = ("0x" + digit * 40 for digit in "abcd")


def octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def call(kind: str, sender: str, to: str, value: int = 0, *calls: Any, **more: Any) -> dict[str, Any]:
    return {"type": kind, "from": sender, "to": to, "value": hex(value), "input": "0x", "calls": list(calls), **more}


def steps(top: dict[str, Any]) -> list[Step]:
    trace = read_geth([{"result": top}], [BLOCK], "block 1").transactions[0]
    assert trace is not None
    return trace.steps


def test_only_calls_that_pay_are_movements() -> None:
    top = call(
        "CALL", A, B, 9,
        call("CALL", B, C, 5),
        call("DELEGATECALL", B, C, 9, call("CALL", B, D, 2)),
        call("CALLCODE", B, C, 9),
        call("STATICCALL", B, C),
        call("CALL", B, C, 0),
        call("CREATE2", B, D, 1, call("CALL", D, A, 1)),
        call("SELFDESTRUCT", B, A, 3),
    )  # fmt: skip
    assert steps(top) == [
        Step(CALLED, octets(B), octets(C), 5, 1),
        Step(CALLED, octets(B), octets(D), 2, 3),
        Step(MADE, octets(B), octets(D), 1, 7),
        Step(CALLED, octets(D), octets(A), 1, 8),
        Step(DESTROYED, octets(B), octets(A), 3, 9),
    ]


def test_what_a_failed_call_did_is_undone_with_all_below_it() -> None:
    top = call(
        "CALL", A, B, 9, call("CALL", B, C, 5, call("CALL", C, D, 4), error="execution reverted"), call("CALL", B, D, 1)
    )
    assert steps(top) == [Step(CALLED, octets(B), octets(D), 1, 3)]
    assert steps(call("CALL", A, B, 9, call("CALL", B, C, 5), error="out of gas")) == []


def test_who_calls_an_issuer_is_kept() -> None:
    top = call("CALL", A, B, 0, call("CALL", B, C, 0, input="0xcc872b66" + "0" * 64))
    trace = read_geth([{"result": top}], [BLOCK], "block 1").transactions[0]
    assert trace is not None
    assert trace.issuers == {(octets(C), "issue"): octets(B)}


def flat(folder: Path) -> tuple[BlockTraces, list[bytes], list[dict[str, str]]]:
    answer = etl(next(folder.glob("web3_response.trace_block_*.json")))
    hashes = list(dict.fromkeys(octets(one["transactionHash"]) for one in answer if one["transactionHash"]))
    block = octets(answer[0]["blockHash"]) if answer else BLOCK
    with (folder / "expected_traces.csv").open() as file:
        return read_flat(answer, hashes, block, "block"), hashes, list(csv.DictReader(file))


FOLDERS = ("block_with_create", "block_with_error", "block_with_subtraces", "block_with_suicide")


@pytest.mark.parametrize("folder", FOLDERS)
def test_flat_traces_say_what_ethereum_etl_reads_in_them(data: Path, folder: str) -> None:
    traces, hashes, expected = flat(data / "ethereum" / "ethereum-etl" / "test_export_traces_job" / folder)
    assert list(traces.rewards or ()) == [
        Reward(octets(row["to_address"]), int(row["value"])) for row in expected if row["trace_type"] == "reward"
    ]
    for at, trace in enumerate(traces.transactions):
        own = [row for row in expected if row["transaction_hash"] == "0x" + hashes[at].hex()]
        assert trace is not None
        assert (trace.sender, trace.value) == (octets(own[0]["from_address"]), int(own[0]["value"]))
        assert trace.failed == bool(own[0]["error"])
        inner = [row for row in own[1:] if row["status"] == "1" and row["call_type"] in ("call", "")]
        assert [(step.a, step.b, step.amount) for step in trace.steps] == [
            (octets(row["from_address"]), octets(row["to_address"]), int(row["value"]))
            for row in inner
            if row["trace_type"] != "call" or int(row["value"])
        ]


def test_a_block_of_rewards_alone(data: Path) -> None:
    traces, _, _ = flat(data / "ethereum" / "ethereum-etl" / "test_export_traces_job" / "block_without_transactions")
    assert traces == BlockTraces([], [])


@pytest.mark.parametrize("folder", FOLDERS)
def test_nested_traces_say_the_same_as_flat_ones(data: Path, folder: str) -> None:
    root = data / "ethereum" / "ethereum-etl"
    flat_traces, hashes, _ = flat(root / "test_export_traces_job" / folder)
    answer = etl(next((root / "test_extract_geth_traces_job" / folder).glob("web3_response.*.json")))
    nested = read_geth(answer, hashes, "block")
    for one, other in zip(nested.transactions, flat_traces.transactions, strict=True):
        assert one is not None
        assert other is not None
        assert (one.sender, one.to, one.value, one.failed) == (other.sender, other.to, other.value, other.failed)
        if one.unread:  # old geth does not say what a destroyed contract leaves
            assert folder == "block_with_suicide"
            assert [step.kind for step in other.steps] == [DESTROYED]
        else:
            assert one.steps == other.steps


def test_contracts_made_in_real_blocks(data: Path) -> None:
    answer = etl(
        next((data / "ethereum" / "ethereum-etl" / "test_stream").glob("*/web3_response.trace_block_0x203aea.json"))
    )
    hashes = list(dict.fromkeys(octets(one["transactionHash"]) for one in answer if one["transactionHash"]))
    traces = read_flat(answer, hashes, octets(answer[0]["blockHash"]), "block")
    assert all(traces.transactions)


def entry(path: list[int], **more: Any) -> dict[str, Any]:
    action = {"callType": "call", "from": A, "to": B, "value": "0x1", "input": "0x"}
    ends = {"blockHash": "0x" + "00" * 32, "transactionHash": "0x" + "00" * 32, "transactionPosition": 0}
    return {"type": "call", "action": action, "traceAddress": path, **ends, **more}


@pytest.mark.parametrize(
    ("answer", "refusal"),
    [
        ({}, "a list is expected"),
        ([entry([]), entry([])], "traced twice"),
        ([entry([0])], "own trace is not before it"),
        ([entry([], transactionPosition=1)], "of no transaction"),
        ([entry([], transactionHash="0x" + "11" * 32)], "of no transaction"),
        ([entry([], blockHash="0x" + "11" * 32)], "another block's"),
        ([entry([]), entry([0], type="dance")], "type 'dance' is not known"),
        ([entry([]), entry(["0"])], "traceAddress"),  # type: ignore[list-item]
        ([entry([0] * 2000)], "traceAddress"),
        ([entry([], action=None)], "action: an object is expected"),
    ],
)
def test_flat_traces_that_contradict_themselves_are_refused(answer: object, refusal: str) -> None:
    with pytest.raises(CalibarError, match=refusal) as error:
        read_flat(answer, [BLOCK], BLOCK, "block 1")
    assert isinstance(error.value, ChainError | DecodeError)


@pytest.mark.parametrize(
    "top",
    [
        None,
        {},
        call("CALL", A, "0x12"),
        call("CALL", A, B, 0, call("DANCE", A, B)),
        call("CALL", A, B, 0, 5),
        call("CALL", A, B, 0, call("CREATE", A, None)),  # type: ignore[arg-type]
        call("CALL", A, B, 1 << 256),
    ],
)
def test_nested_traces_that_are_malformed_are_refused(top: object) -> None:
    if top is None:
        assert read_geth([{"result": top}], [BLOCK], "block 1").transactions == [None]
        return
    with pytest.raises(DecodeError, match="block 1: trace 0"):
        read_geth([{"result": top}], [BLOCK], "block 1")


def test_depth_needs_no_stack() -> None:
    top = call("CALL", A, B, 1)
    for _ in range(5000):
        top = call("CALL", A, B, 1, top)
    assert len(steps(top)) == 5000
