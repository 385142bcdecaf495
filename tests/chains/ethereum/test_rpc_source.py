"""A node as a source of facts, and a recording of one."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from eth_answers import Json, account, exchange, latest, log, made, say, signed, word
from eth_server import Answer, LocalNode, MissingError, node, serving

from calibar.chains.ethereum import namings
from calibar.chains.ethereum.jsonrpc import Refusal
from calibar.chains.ethereum.recorded import Recording
from calibar.chains.ethereum.rpc import RpcSource
from calibar.chains.facts import HAS_INTERNAL, INTERNAL, Naming, Source
from calibar.chains.topics import TRANSFER
from calibar.errors import ChainError, DecodeError, UsageError

TOKENS, POOL = b"\xaa" * 20, b"\xbb" * 20


@pytest.fixture
def server() -> Iterator[LocalNode]:
    with serving() as node:
        yield node


@cache
def chain() -> tuple[list[Json], dict[str, list[Json]]]:
    """Blocks 0..4 with their receipts; a token moves in block 3."""
    blocks: list[Json] = []
    told: dict[str, list[Json]] = {}
    for number in range(5):
        sent = [signed(0, POOL, 5), signed(1, TOKENS, 0)] if number == 3 else []
        logs = [[], [log(TOKENS, TRANSFER, word(account(1)), word(POOL), data=word(7))]] if sent else []
        parent = blocks[-1]["hash"] if blocks else "0x" + "00" * 32
        block, receipts = made(sent, logs, number=hex(number), parentHash=parent)
        blocks.append(block)
        told[block["number"]] = receipts
    return blocks, told


def text(value: str) -> str:
    raw = value.encode()
    return say(word(32) + word(len(raw)) + raw.ljust(32, b"\0"))


def answers(without: tuple[str, ...] = ()) -> Answer:
    blocks, told = chain()
    by_hash = {one["transactionHash"]: one for receipts in told.values() for one in receipts}

    def answer(method: str, params: list[Any]) -> Any:
        if method in without:
            raise MissingError
        match method:
            case "eth_chainId":
                return "0x539"
            case "eth_blockNumber":
                return "0x4"
            case "eth_getBlockByNumber":
                number = int(params[0], 16)
                return blocks[number] if number < len(blocks) else None
            case "eth_getBlockReceipts":
                return told.get(params[0])
            case "eth_getTransactionReceipt":
                return by_hash.get(params[0])
            case "eth_call":
                said = {"0x06fdde03": text("Dai\u202e\nStablecoin"), "0x95d89b41": say(b"DAI".ljust(32, b"\0"))}
                return said.get(params[0]["data"], say(word(18)))
            case "debug_traceBlockByNumber":
                txs = blocks[int(params[0], 16)]["transactions"]
                tops = [
                    {"type": "CALL", "from": tx["from"], "to": tx["to"], "value": tx["value"], "input": "0x"}
                    for tx in txs
                ]
                if tops:
                    tops[0]["calls"] = [{**tops[0], "from": say(POOL), "to": say(TOKENS), "value": "0x2"}]
                return [{"txHash": tx["hash"], "result": top} for tx, top in zip(txs, tops, strict=True)]
            case "trace_block":
                block = blocks[int(params[0], 16)]
                return [
                    {
                        "action": {**{name: tx[name] for name in ("from", "to", "value", "input")}, "callType": "call"},
                        "blockHash": block["hash"], "transactionHash": tx["hash"], "transactionPosition": at,
                        "traceAddress": [], "type": "call",
                    }
                    for at, tx in enumerate(block["transactions"])
                ]  # fmt: skip
        raise MissingError

    return answer


def test_a_node_is_read_in_batches(server: LocalNode) -> None:
    server.answer = answers()
    source: Source = RpcSource(node(server), batch=2)
    assert source.chain == "ethereum:1337"
    assert source.last() == 4
    batches = list(source.read(0, 4))
    assert [facts.number.tolist() for facts in batches] == [[0, 1], [2, 3], [4]]
    assert all(facts.proof.tolist() == [15] * len(facts.number) for facts in batches)
    assert INTERNAL in batches[1].transfer_kind.tolist()
    assert batches[1].namings == (Naming(1, TOKENS, "Dai Stablecoin", "DAI", 18),)
    assert source.hash_of(4) == bytes(batches[2].block_hash[0])
    assert source.hash_of(5) is None
    assert "genesis.json" in batches[0].notes[0]
    methods = [asked[0]["method"] for _, _, asked in server.seen if isinstance(asked, list)]
    assert "eth_getBlockByNumber" in methods


@pytest.mark.parametrize("batches", [True, False])
@pytest.mark.parametrize(
    ("without", "proof"),
    [
        (("eth_getBlockReceipts",), 15),
        (("debug_traceBlockByNumber",), 15),
        (("debug_traceBlockByNumber", "trace_block", "eth_call"), 15 - HAS_INTERNAL),
    ],
)
def test_what_a_node_lacks_is_done_without(
    server: LocalNode, without: tuple[str, ...], proof: int, batches: bool
) -> None:
    server.answer, server.batches = answers(without), batches
    (facts,) = RpcSource(node(server)).read(1, 4)
    assert facts.proof.tolist() == [15, 15, proof, 15]
    assert any("no traces" in note for note in facts.notes) == (not proof & HAS_INTERNAL)


def test_a_recording_says_what_the_node_said(server: LocalNode, tmp_path: Path) -> None:
    server.answer = answers(("eth_getBlockReceipts",))
    for name in ("all.jsonl", "all.jsonl.gz"):
        with RpcSource(node(server), record=tmp_path / name) as source:
            (first,) = source.read(0, 4)
        again = RpcSource(Recording(tmp_path / name))
        assert again.last() == 4
        assert again.hash_of(3) == bytes(first.block_hash[3])
        (second,) = again.read(0, 4)
        assert (second.amount == first.amount).all()
        assert (second.proof == first.proof).all()
        assert (second.namings, second.notes) == (first.namings, first.notes)
        with pytest.raises(UsageError, match="already"):
            RpcSource(node(server), record=tmp_path / name)
        with pytest.raises(UsageError, match=r"block 5: the node says: .* not recorded"):
            list(again.read(5, 5))
    folder = RpcSource(Recording(tmp_path))
    assert folder.last() == 4


def test_another_chain_is_refused(server: LocalNode) -> None:
    server.answer = answers()
    assert RpcSource(node(server), chain_id=1337).chain_id == 1337
    with pytest.raises(UsageError, match="the node is of chain 1337, not of chain 1"):
        RpcSource(node(server), chain_id=1)


def test_a_block_that_is_not_there_is_refused(server: LocalNode) -> None:
    server.answer = answers()
    with pytest.raises(UsageError, match=r"block 5: the node does not have it"):
        list(RpcSource(node(server), batch=3).read(3, 9))


def test_a_reorganisation_between_answers_is_refused(server: LocalNode) -> None:
    honest, other = answers(), chain()[0]
    changed = {**other[3], "hash": other[2]["hash"]}
    server.answer = lambda method, params: (
        changed if method == "eth_getBlockByNumber" and params[0] == "0x3" else honest(method, params)
    )
    with pytest.raises(ChainError, match="block 3: hash"):
        list(RpcSource(node(server)).read(2, 4))


def test_a_batch_that_is_too_large_is_asked_for_in_parts(server: LocalNode) -> None:
    server.answer = answers()
    size = len(json.dumps(chain()[0][3]))
    batches = list(RpcSource(node(server, largest=3 * size), batch=64).read(0, 4))
    assert len(batches) > 1
    assert sum(len(facts.number) for facts in batches) == 5


def test_a_recording_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not there"):
        Recording(tmp_path / "none.jsonl")
    with pytest.raises(UsageError, match="has no recording"):
        Recording(tmp_path)
    file = tmp_path / "a.jsonl"
    for line in (
        "{",
        "5",
        '{"method": 5}',
        '{"method": "a", "params": []}',
        '{"method": "a", "params": [], "result": 1, "error": 2}',
    ):
        file.write_text(line + "\n")
        with pytest.raises(DecodeError, match=r"a\.jsonl: line 1"):
            Recording(file)
    packed = tmp_path / "b.jsonl.gz"
    packed.write_bytes(b"no gzip")
    with pytest.raises(DecodeError, match="not gzip"):
        Recording(packed)


def test_the_test_chain_of_the_specification_is_read_from_a_recording(data: Path, tmp_path: Path) -> None:
    folder = data / "ethereum" / "execution-apis"
    lines = []
    for name in ("eth_chainId", "eth_blockNumber", "debug_traceTransaction"):
        for file in (folder / name).iterdir():
            question, answer = exchange(file)
            if "result" in answer:
                lines.append(
                    {"method": question["method"], "params": question.get("params", []), "result": answer["result"]}
                )
    block, told = latest(data)
    lines.append({"method": "eth_getBlockByNumber", "params": ["0x36", True], "result": block})
    lines.append({"method": "eth_getBlockReceipts", "params": ["0x36"], "result": told})
    (tmp_path / "hive.jsonl").write_text("\n".join(map(json.dumps, lines)))
    source = RpcSource(Recording(tmp_path / "hive.jsonl"))
    assert (source.chain, source.last()) == ("ethereum:3503995874084926", 54)
    (facts,) = source.read(54, 54)
    assert facts.proof.tolist() == [15 - HAS_INTERNAL]
    assert len(facts.tx_hash) == 4


@pytest.mark.parametrize(
    ("folder", "name", "symbol", "decimals"),
    [("token_with_alternative_return_type", "", "EOS", 18), ("token_with_invalid_data", "ETH", "ETH", 18)],
)
def test_names_of_real_tokens(data: Path, folder: str, name: str, symbol: str, decimals: int) -> None:
    at = data / "ethereum" / "ethereum-etl" / "test_export_tokens_job" / folder
    contract = bytes.fromhex(next(at.glob("*0x95d89b41*")).name.split("_to_0x")[1][:40])
    told = []
    for question in namings.questions(contract):
        selector = question.params[0]["data"]  # type: ignore[index]
        told.append(json.loads(next(at.glob(f"*data_{selector}_*")).read_text()).get("result", Refusal(3, "reverted")))
    assert namings.naming(contract, told) == Naming(1, contract, name, symbol, decimals)


def test_hostile_names_are_bounded() -> None:
    assert namings.text(word(32) + word(1 << 255) + b"A" * 5000) == "A" * 64
    assert namings.text(word(1 << 255) + word(5)) == ""
    assert namings.text(b"\x1b[31m" + b"\0" * 27) == "[31m"
    assert namings.naming(TOKENS, [Refusal(3, "no"), None, "0x" + "ff" * 32]) is None
