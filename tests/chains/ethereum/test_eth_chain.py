"""Headers, transactions, receipts and roots of real chains recompute."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from eth_answers import HIVE, blocks_of, etl, exchange, latest, read, result, rows

from calibar.chains.ethereum import header, receipts, rlp, transactions, trie
from calibar.chains.ethereum.fees import Fee, Producer, fees
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.genesis import read_genesis
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.facts import (
    BURNT_FEE,
    FEE,
    GRANT,
    HAS_INTERNAL,
    PROVEN_HEADER,
    PROVEN_LOGS,
    PROVEN_TRANSACTIONS,
    integers,
)
from calibar.errors import ChainError, DecodeError, UsageError

ALL_PROVEN = PROVEN_HEADER | PROVEN_TRANSACTIONS | PROVEN_LOGS


def apis(data: Path) -> Path:
    return data / "ethereum" / "execution-apis"


def test_every_block_of_the_chain_recomputes(data: Path) -> None:
    blocks = blocks_of(data)
    assert len(blocks) == 54
    before = None
    kinds = set()
    for block in blocks:
        fields = Fields.of(block, "block")
        assert header.check(fields)
        assert before is None or block["parentHash"] == before
        before = block["hash"]
        assert "0x" + trie.ordered_root(block["raw"]).hex() == block["transactionsRoot"]
        kinds |= {raw[0] if raw[0] < 0x7F else 0 for raw in block["raw"]}
    assert kinds == {0, 1, 2, 3, 4}
    newest = result(apis(data) / "eth_getBlockByNumber" / "get-latest.io")
    assert before == newest["hash"]


def test_headers_of_every_fork_hash(data: Path) -> None:
    files = [*(apis(data) / "eth_getBlockByNumber").iterdir(), *(apis(data) / "eth_getBlockByHash").iterdir()]
    found = [block for file in files if (block := result(file) if "result" in exchange(file)[1] else None)]
    assert len(found) == 10
    assert all(header.check(Fields.of(block, "block")) for block in found)
    headers = {exchange(file)[0]["params"][0]: file for file in (apis(data) / "debug_getRawHeader").iterdir()}
    genesis = result(apis(data) / "eth_getBlockByNumber" / "get-genesis.io")
    assert "0x" + header.check(Fields.of(genesis, "block")).hex() == result(headers["0x0"])


def test_transactions_of_every_type_hash_to_their_hash_and_name_their_signer(data: Path) -> None:
    kinds = []
    for file in (apis(data) / "eth_getTransactionByHash").iterdir():
        if told := result(file):
            tx = transactions.read(Fields.of(told, "transaction"))
            assert keccak256(tx.raw) == tx.hash
            kinds.append(tx.kind)
    assert sorted(kinds) == [0, 0, 0, 1, 2, 3, 4]
    question, answer = exchange(apis(data) / "debug_getRawTransaction" / "get-tx.io")
    assert "0x" + keccak256(bytes.fromhex(answer["result"][2:])).hex() == question["params"][0]


def test_receipts_encode_as_the_node_itself_does(data: Path) -> None:
    raw = result(apis(data) / "debug_getRawReceipts" / "get-block-n.io")
    number = exchange(apis(data) / "debug_getRawReceipts" / "get-block-n.io")[0]["params"][0]
    block = blocks_of(data)[int(number, 16) - 1]
    assert "0x" + trie.ordered_root(bytes.fromhex(one[2:]) for one in raw).hex() == block["receiptsRoot"]
    for file in ("get-block-receipts-n.io", "get-block-receipts-by-hash.io", "get-block-receipts-latest.io"):
        told = result(apis(data) / "eth_getBlockReceipts" / file)
        block = blocks_of(data)[int(told[0]["blockNumber"], 16) - 1]
        read_ = [receipts.read(Fields.of(one, "receipt")) for one in told]
        assert "0x" + trie.ordered_root(one.raw for one in read_).hex() == block["receiptsRoot"]
        for one, receipt in zip(told, read_, strict=True):
            assert "0x" + receipts.bloom(receipt.logs).hex() == one["logsBloom"]


def test_a_whole_block_is_proven(data: Path) -> None:
    block, told = latest(data)
    facts = read(HIVE, block, told)
    assert facts.proof.tolist() == [ALL_PROVEN]
    assert keccak256(facts.header[0]) == bytes(facts.block_hash[0])
    used = [int(one["gasUsed"], 16) * int(one["effectiveGasPrice"], 16) for one in told]
    assert integers(facts.tx_fee) == used
    burnt = int(block["baseFeePerGas"], 16) * int(block["gasUsed"], 16)
    assert sum(amount for _, kind, *_, amount in rows(facts) if kind == 4) == burnt
    assert sum(amount for _, kind, *_, amount in rows(facts) if kind == 3) == sum(used) - burnt
    assert any("no traces" in note for note in facts.notes)


def test_a_block_of_2016_is_read_whole(data: Path) -> None:
    folder = data / "ethereum" / "ethereum-etl" / "test_stream" / "blocks_1755634_1755635"
    block = etl(folder / "web3_response.eth_getBlockByNumber_0x1ac9f3_true.json")
    told = [etl(folder / f"web3_response.eth_getTransactionReceipt_{tx['hash']}.json") for tx in block["transactions"]]
    facts = read(1, block, told)
    assert facts.proof[0] & (PROVEN_HEADER | PROVEN_TRANSACTIONS) == PROVEN_HEADER | PROVEN_TRANSACTIONS
    assert not facts.proof[0] & HAS_INTERNAL


@pytest.mark.parametrize("folder", ["blocks_with_transactions", "block_with_logs", "block_without_transactions"])
def test_blocks_of_mainnet_recompute(data: Path, folder: str) -> None:
    at = data / "ethereum" / "ethereum-etl" / "test_export_blocks_job" / folder
    for file in at.glob("web3_response.*.json"):
        block = etl(file)
        fields = Fields.of(block, "block")
        head = header.check(fields)
        assert "0x" + keccak256(head).hex() == block["hash"]
        told = [transactions.read(Fields.of(tx, "transaction")) for tx in block["transactions"]]
        assert "0x" + trie.ordered_root(tx.raw for tx in told).hex() == block["transactionsRoot"]


def test_the_genesis_file_is_the_state_of_block_0(data: Path) -> None:
    genesis = read_genesis(apis(data) / "genesis.json")
    block = result(apis(data) / "eth_getBlockByNumber" / "get-genesis.io")
    assert "0x" + genesis.state_root.hex() == block["stateRoot"]
    facts = read(HIVE, {**block, "transactions": []}, [], genesis=genesis)
    granted = rows(facts)
    assert {kind for _, kind, *_ in granted} == {GRANT}
    assert sum(amount for *_, amount in granted) == 20 * 0xC097CE7BC90715B34B9F1000000000 + 4 + 42 + 0
    assert facts.proof[0] == ALL_PROVEN | HAS_INTERNAL


def test_another_chains_genesis_file_is_refused(data: Path) -> None:
    genesis = replace(read_genesis(apis(data) / "genesis.json"), state_root=bytes(32))
    block = result(apis(data) / "eth_getBlockByNumber" / "get-genesis.io")
    with pytest.raises(ChainError, match="block 0: stateRoot is not that of the genesis file"):
        read(HIVE, block, [], genesis=genesis)
    assert any("genesis.json" in note for note in read(HIVE, block, []).notes)


def test_a_blob_transaction_burns_what_its_blobs_cost(data: Path) -> None:
    block = result(apis(data) / "eth_getBlockByNumber" / "get-block-cancun-fork.io")
    tx = transactions.read(Fields.of(result(apis(data) / "eth_getTransactionByHash" / "get-blob-tx.io"), "transaction"))
    told = result(apis(data) / "eth_getTransactionReceipt" / "get-blob-tx.io")
    producer = Producer(1, bytes(20), int(block["baseFeePerGas"], 16), False)
    gas = int(told["gasUsed"], 16)
    assert told["blockHash"] == block["hash"]
    parts = fees(tx, receipts.read(Fields.of(told, "receipt")), producer, "here", [])
    assert parts == [
        Fee(FEE, bytes(20), gas),  # the tip is 1 wei
        Fee(BURNT_FEE, bytes(20), gas * int(block["baseFeePerGas"], 16) + 131_072),  # one blob at 1 wei
    ]
    for name, value in (("blobGasUsed", "0x1"), ("blobGasPrice", "0xfffffff"), ("blobGasPrice", None)):
        with pytest.raises(ChainError, match="here: blobGas"):
            fees(tx, receipts.read(Fields.of({**told, name: value}, "receipt")), producer, "here", [])


def test_a_genesis_file_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read"):
        read_genesis(tmp_path / "none.json")
    file = tmp_path / "genesis.json"
    for text in ("[", "[]", "{}", '{"alloc": {"00": {}}}', '{"alloc": {"%s": {"balance": "-1"}}}' % ("0" * 40)):
        file.write_text(text)
        with pytest.raises(DecodeError, match=r"genesis\.json"):
            read_genesis(file)
    file.write_text(json.dumps({"alloc": {"0" * 40: {"balance": "1" + "0" * 78}}}))
    with pytest.raises(DecodeError, match="below"):
        read_genesis(file)


def test_the_empty_root_is_the_published_one() -> None:
    assert trie.EMPTY.hex() == "56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421"
    assert trie.ordered_root([]) == trie.EMPTY
    # ethereum/tests, TrieTests/trieanyorder.json
    dogs = {b"doe": b"reindeer", b"dog": b"puppy", b"dogglesworth": b"cat"}
    assert trie.root(dogs).hex() == "8aad789dff2f538bca5d8ea56e8abe10f4c7ba3a5dea95fea4cd6e7c3a1168d3"
    assert rlp.encode(b"") == b"\x80"
