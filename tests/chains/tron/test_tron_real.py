"""Real TRON: headers, the first block, a whole block of Nile, transactions, and mainnet's first 10,000 blocks."""

from __future__ import annotations

import base64
import gzip
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tron_builder import a41, message

from calibar.chains import facts
from calibar.chains.facts import Builder, integers
from calibar.chains.tron import blocks, contracts, hashes, logs
from calibar.chains.tron import infos as outcomes
from calibar.chains.tron.address import parse
from calibar.chains.tron.recorded import recorded_source
from calibar.errors import ChainError, DecodeError

RECORDINGS = Path(__file__).parent / "recordings"
NILE = 13_232_131
MAINNET_FIRST = "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc"


def header_answer(
    id_: str, number: int, root: str, witness: str, parent: str, version: int, time: int
) -> dict[str, Any]:
    raw = {
        "number": number, "txTrieRoot": root, "witness_address": witness, "parentHash": parent, "version": version,
        "timestamp": time,
    }  # fmt: skip
    return {"blockID": id_, "block_header": {"raw_data": raw}}


@pytest.mark.parametrize(
    "answer",
    [
        header_answer(
            "000000000035e1c0f60afaa8387fd17fd9b84fe4381265ff084d739f814558ea", 3_531_200,
            "9d98f6cbbde8302774ab87c003831333e132c89e00009cb1f7da35e1e59ae8ca",
            "41d1dbde8b8f71b48655bec4f6bb532a0142b88bc0",
            "000000000035e1bfb3b6f244e5316ce408aa8cea4c348eabe2545247f5a4600c", 3, 1_540_545_240_000,
        ),
        header_answer(
            "00000000000f424013e51b18e0782a32fa079ddafdb2f4c343468cf8896dc887", 1_000_000,
            "e2dd42daa9c853e070df1e4fc927851a7438c601fb12cf945922629d5cec187b",
            "41f16412b9a17ee9408646e2a21e16478f72ed1e95",
            "00000000000f423fbccd9cdb9e410eabdf9f94145cf5b71a678b8b9616619125", 9, 1_578_594_852_000,
        ),
        header_answer(
            "0000000001120ece986cc79d7663a35c54907ae85ade9da9183dee4d6ba8be19", 17_960_654, "00" * 32,
            "410765bed97bbd836f6e489265fd0d9ca1c888e606",
            "0000000001120ecd85c65f3bbff78fe881b986925007e072c657c6d510b679d1", 22, 1_630_467_627_000,
        ),
    ],
)  # fmt: skip
def test_real_headers_hash_to_their_ids(answer: dict[str, Any]) -> None:
    number = answer["block_header"]["raw_data"]["number"]
    header = blocks.read_header(answer, number, "block")
    assert header.raw
    for field, value in (("timestamp", 1), ("version", 4), ("txTrieRoot", "11" * 32), ("witness_id", 1)):
        changed = json.loads(json.dumps(answer))
        changed["block_header"]["raw_data"][field] = value
        with pytest.raises(ChainError, match="its header hashes to"):
            blocks.read_header(changed, number, "block")


def first_block() -> dict[str, Any]:
    """Mainnet's block 0, which java-tron makes from its configuration file."""
    nobody = b"0x000000000000000000000"
    grants = (
        ("TLLM21wteSPs4hKjbxgmH1L6poyMjeTbHm", 99_000_000_000_000_000),
        ("TXmVpin5vq5gdZsciyyjdZgKRUju4st1wM", 0),
        ("TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy", -(2**63)),
    )
    transactions = []
    for account, amount in grants:
        value = message((1, nobody), (2, a41(parse(account))), (3, amount))
        wrapped = message((1, b"type.googleapis.com/protocol.TransferContract"), (2, value))
        raw = message((11, message((1, 1), (2, wrapped))))
        json_value = {"owner_address": nobody.hex(), "to_address": a41(parse(account)).hex(), "amount": amount}
        transactions.append(
            {
                "txID": hashes.transaction_id(raw).hex(),
                "raw_data_hex": raw.hex(),
                "raw_data": {"contract": [{"parameter": {"value": json_value}, "type": "TransferContract"}]},
            }
        )
    motto = b"A new system must allow existing systems to be linked together without requiring any central control or "
    raw_data = {
        "txTrieRoot": "8ef446bf3f395af929c218014f6101ec86576c5f61b2ae3236bf3a2ab5e2fecd",
        "parentHash": "e58f33f9baf9305dc6f82b9f1934ea8f0ade2defb951258d50167028c780351f",
        "witness_address": (motto + b"coordination").hex(),
    }
    return {"blockID": MAINNET_FIRST, "block_header": {"raw_data": raw_data}, "transactions": transactions}


def test_mainnets_first_block_is_proven_and_grants(tmp_path: Path) -> None:
    path = tmp_path / "first.jsonl"
    path.write_text(json.dumps({"path": "/wallet/getblockbynum", "body": {"num": 0}, "result": first_block()}))
    source = recorded_source(path)
    assert source.chain == "tron:mainnet"
    assert source.last() == 0
    assert source.hash_of(0) == bytes.fromhex(MAINNET_FIRST)
    (read,) = source.read(0, 0)
    source.close()
    assert read.proof.tolist() == [facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS | facts.HAS_INTERNAL]
    assert read.transfer_kind.tolist() == [facts.GRANT]
    assert integers(read.amount) == [99_000_000_000_000_000]
    assert read.recipient[0].tobytes() == parse("TLLM21wteSPs4hKjbxgmH1L6poyMjeTbHm")
    assert [note for note in read.notes if "below zero" in note]


def nile() -> dict[str, Any]:
    answer: dict[str, Any] = json.loads((RECORDINGS / f"nile-{NILE}.json").read_text())
    return answer


def read_nile(answer: dict[str, Any]) -> facts.Facts:
    builder = Builder()
    header = blocks.read_header(answer, NILE, "block")
    infos = [{"id": tx["txID"], "blockNumber": NILE} for tx in answer["transactions"]]
    blocks.add_block(builder, header, answer, infos, "block")
    return builder.facts()


def test_a_real_block_with_calls_events_and_transfers_inside_them() -> None:
    """Nile's block 1,000,000 with its infos: what contracts paid out is in the infos alone, which no root covers."""
    answer = json.loads((RECORDINGS / "nile-1000000.json").read_text())
    builder = Builder()
    header = blocks.read_header(answer["block"], 1_000_000, "block")
    blocks.add_block(builder, header, answer["block"], answer["infos"], "block")
    read = builder.facts()
    assert read.proof.tolist() == [facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS | facts.HAS_INTERNAL]
    moved: dict[int, list[tuple[str, str, int]]] = {}
    for kind, sender, recipient, amount in zip(
        read.transfer_kind.tolist(), read.sender, read.recipient, integers(read.amount), strict=True
    ):
        moved.setdefault(kind, []).append((sender.tobytes().hex()[:6], recipient.tobytes().hex()[:6], amount))
    assert moved[facts.VALUE] == [
        ("ed2f42", "8d9dd6", 14_000_000), ("f07e11", "8d9dd6", 1_982_000_000), ("9ac63d", "8d9dd6", 11_000_000),
    ]  # fmt: skip
    assert moved[facts.INTERNAL] == [
        ("8d9dd6", "3a5bfb", 700_000), ("8d9dd6", "f07e11", 2_457_950_000), ("8d9dd6", "3a5bfb", 550_000),
    ]  # fmt: skip
    fees = [(payer, amount) for kind in (facts.FEE, facts.BURNT_FEE) for payer, _, amount in moved.get(kind, [])]
    assert fees == [("ed2f42", 433_850), ("f07e11", 376_380), ("9ac63d", 433_850), ("41c910", 3_130)]
    assert not read.event_kind.size


def test_the_outcomes_of_real_mainnet_calls_of_a_token() -> None:
    """One that moved 3.5 USDT, and one that ran out of energy: its fee is gone and nothing moved."""
    sender, recipient = "60e6e92e57d61a9d68b5d95275cc9667d9e6c7c9", "cdae4e9a6287333a3f7df432b050af7b17e79e63"
    usdt = "a614f803b6fd780986a42c78ec9c7f77e6ded13c"
    transfer = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    moved = {
        "id": "b69c51db8f9d974e6a38c76852c8ce1adcb682dbacb25ad8ad4f6876121fe9dc",
        "fee": 345000, "blockNumber": 66861993, "blockTimeStamp": 1731235554000, "contractResult": ["00" * 32],
        "contract_address": "41" + usdt,
        "receipt": {
            "energy_usage": 64285, "energy_usage_total": 64285, "net_fee": 345000, "result": "SUCCESS",
            "energy_penalty_total": 49635,
        },
        "log": [
            {
                "address": usdt, "topics": [transfer, "00" * 12 + sender, "00" * 12 + recipient],
                "data": "00000000000000000000000000000000000000000000000000000000003567e0",
            }
        ],
    }  # fmt: skip
    (info,) = outcomes.read([moved], 66_861_993, 1_731_235_554_000, "block").values()
    assert (info.fee, info.failed, info.result) == (345_000, False, "SUCCESS")
    builder = Builder()
    logs.add(builder, 0, info.logs, {}, "block")
    read = builder.facts()
    assert read.transfer_kind.tolist() == [facts.TOKEN]
    assert read.asset[0].tobytes().hex() == usdt
    assert (read.sender[0].tobytes().hex(), read.recipient[0].tobytes().hex()) == (sender, recipient)
    assert integers(read.amount) == [3_500_000]

    failed = {
        "id": "e63a324a43aebfe41273db4f7fdfe325b2257b4f5711595a5fc0f8a75cf1b481",
        "fee": 16500120, "blockNumber": 66860010, "blockTimeStamp": 1731229605000, "contractResult": [""],
        "contract_address": "41" + usdt, "result": "FAILED",
        "receipt": {
            "energy_fee": 16500120, "energy_usage_total": 78572, "net_usage": 345, "result": "OUT_OF_ENERGY",
        },
    }  # fmt: skip
    (info,) = outcomes.read([failed], 66_860_010, 1_731_229_605_000, "block").values()
    assert (info.fee, info.failed, info.result, info.logs) == (16_500_120, True, "OUT_OF_ENERGY", ())


def test_a_real_blocks_transactions_are_proven_to_its_root() -> None:
    read = read_nile(nile())
    assert read.proof.tolist() == [facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS]
    assert read.transfer_kind.tolist() == [facts.VALUE] * 2
    assert integers(read.amount) == [5_000_000_000] * 2
    assert read.tx_recipient[2].tobytes().hex() == "35cf7d6a20a1f7149e5f99442334257a95e8f28e"


@pytest.mark.parametrize("change", ["signature", "ret", "left out", "order"])
def test_a_real_block_that_was_changed_is_refused(change: str) -> None:
    answer = nile()
    transactions = answer["transactions"]
    if change == "signature":
        transactions[1]["signature"] = ["00" * 65]
    elif change == "ret":
        transactions[1]["ret"] = [{"contractRet": "REVERT"}]
    elif change == "left out":
        del transactions[2]
    else:
        transactions.reverse()
    with pytest.raises(ChainError, match="left out or changed transactions"):
        read_nile(answer)


@pytest.mark.parametrize("part", ["signature", "unknown ret", "unknown field"])
def test_what_the_root_needs_and_is_not_given_is_not_claimed(part: str) -> None:
    answer = nile()
    if part == "signature":
        del answer["transactions"][0]["signature"]
    elif part == "unknown ret":
        answer["transactions"][0]["ret"][0]["something_new"] = 1
    else:
        answer["transactions"][0]["31"] = "00"
    read = read_nile(answer)
    assert read.proof.tolist() == [facts.PROVEN_HEADER]
    assert any("not proven" in note for note in read.notes)


@pytest.mark.parametrize(
    ("id_", "raw", "expected"),
    [
        (
            "b0b68ea41e7b46f06196ea0ff47837afe821f985eb966a4915eb3809ac893461",
            "0a02fddc22083b99310ce713c98f4080c1ecf1fd315a68080112640a2d747970652e676f6f676c65617069732e636f6d2f70726f74"
            "6f636f6c2e5472616e73666572436f6e747261637412330a154105cc125604448afeb6867eb688efb7e80411d57a121541f03c5fb4"
            "59d4f746ff01692b940c5a8a01480db11880c2d72f70beaec4f1fd31",
            ("TransferContract", "amount", 100_000_000),
        ),
        (
            "a3fa98036b8651c7ca88e9d2f11b2a06b68318b5aeecf15d50b7d40f957d0d6d",
            "0a026b1c2208dbb777f277eb365440b0c7cd8ff5305a76080212720a32747970652e676f6f676c65617069732e636f6d2f70726f74"
            "6f636f6c2e5472616e736665724173736574436f6e7472616374123c0a07313030343932301215410e78ecd9f6f65676537dbb082f"
            "8fb1f5f4c408791a154105cc125604448afeb6867eb688efb7e80411d57a20b8f1800970edf8c98ff530",
            ("TransferAssetContract", "amount", 18_888_888),
        ),
    ],
)
def test_real_mainnet_transactions(id_: str, raw: str, expected: tuple[str, str, int]) -> None:
    data = bytes.fromhex(raw)
    assert hashes.transaction_id(data).hex() == id_
    contract = contracts.from_raw(data, "transaction")
    assert (contract.type, contract.amounts[expected[1]]) == (expected[0], expected[2])
    if contract.type == "TransferAssetContract":
        assert contracts.token_number(contract.octets["asset_name"]) == 1_004_920


def test_a_real_call_with_trx_and_trc10() -> None:
    """Sent on Nile: 10 sun and 20 units of token 1000077 to a contract."""
    raw = bytes.fromhex(
        "0a027f5222081d49acc15d209c2e40c0dfc3b7cf305ad701081f12d2010a31747970652e676f6f676c65617069732e636f6d2f70726f746f"
        "636f6c2e54726967676572536d617274436f6e7472616374129c010a1541a413ca3f00a14a0fc633c6b2038fdef3f4f89707121541c2d427"
        "09e3dfe292ac58685217250ed55fb773e9180a22643be9ece70000000000000000000000001d56d864a3409ccb23c39a9ee777dd8f1eb6ce"
        "7100000000000000000000000000000000000000000000000000000000000f428d0000000000000000000000000000000000000000000000"
        "0000000000000000012814308d853d70c896c0b7cf3090018094ebdc03"
    )
    assert hashes.transaction_id(raw).hex() == "a49d06295b14008b19cbe6b10e6ab8d691e326b041d3c91788332f2b4fb50679"
    contract = contracts.from_raw(raw, "transaction")
    assert contract.amounts == {"call_value": 10, "call_token_value": 20, "token_id": 1_000_077}
    assert contract.owner.hex() == "a413ca3f00a14a0fc633c6b2038fdef3f4f89707"


@pytest.mark.parametrize("cut", [0, 1, 50, 100, 200])
def test_a_transaction_that_is_cut_off_is_refused(cut: int) -> None:
    raw = bytes.fromhex(nile()["transactions"][0]["raw_data_hex"])
    with pytest.raises(DecodeError):
        contracts.from_raw(raw[: min(cut, 60)], "transaction")


def test_mainnets_first_transactions_add_up(data: Path) -> None:
    """2,172 real transactions and their fees, put into java-tron's shape: every sun arrives."""
    folder = data / "tron" / "graphsense-0to10000"
    rows = [json.loads(line) for line in (folder / "transactions.json").read_text().splitlines()]
    fees = {row["txHash"]: row for row in map(json.loads, (folder / "tx_fee.json").read_text().splitlines())}
    by_block: dict[int, list[dict[str, Any]]] = {}
    for row in rows:
        by_block.setdefault(row["blockId"], []).append(row)
    assert len(rows) == len(fees) == 2_172
    builder = Builder()
    for number, here in sorted(by_block.items()):
        here.sort(key=lambda row: row["transactionIndex"])
        block, infos = as_answers(number, here, fees)
        header = blocks.Header(number, bytes(32), bytes(32), b"", here[0]["blockTimestamp"] * 1000, b"")
        blocks.add_block(builder, header, block, infos, f"block {number}")
    read = builder.facts()
    assert len(read.tx_hash) == 2_172
    amounts = integers(read.amount)
    value = sum(a for a, k in zip(amounts, read.transfer_kind.tolist(), strict=True) if k == facts.VALUE)
    burnt = sum(a for a, k in zip(amounts, read.transfer_kind.tolist(), strict=True) if k == facts.BURNT_FEE)
    assert value == sum(row["value"] for row in rows if "toAddress" in row)
    assert burnt == sum(row["fee"] for row in fees.values()) == sum(integers(read.tx_fee))
    assert not (read.proof & (facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS)).any()
    balances = Counter({parse("TLLM21wteSPs4hKjbxgmH1L6poyMjeTbHm").hex(): 99_000_000_000_000_000})
    overdrawn = []
    for at, amount in enumerate(amounts):
        sender = read.sender[at].tobytes().hex()
        balances[sender] -= amount
        balances[read.recipient[at].tobytes().hex()] += amount
        if balances[sender] < 0:
            overdrawn.append((read.tx_hash[read.transfer_tx[at]].tobytes().hex()[:8], amount))
    assert overdrawn == [("0a089a92", 100)]  # the data set's mistake: 100 of some token, told as sun
    assert balances.total() == 99_000_000_000_000_000
    first = {row["fromAddress"] for row in rows}
    assert {base64.b64encode(sender.tobytes()).decode() for sender in read.tx_sender} == first


def as_answers(
    number: int, rows: list[dict[str, Any]], fees: dict[str, dict[str, Any]]
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The data set tells sender, recipient and value, but not which contract a transaction without recipient was."""
    transactions, infos = [], []
    for row in rows:
        id_ = base64.b64decode(row["txHash"]).hex()
        value: dict[str, Any] = {"owner_address": a41(base64.b64decode(row["fromAddress"])).hex()}
        kind = "VoteWitnessContract"
        if "toAddress" in row:
            kind = "TransferContract"
            value |= {"to_address": a41(base64.b64decode(row["toAddress"])).hex(), "amount": row["value"]}
        contract = {"parameter": {"value": value}, "type": kind}
        transactions.append({"txID": id_, "raw_data": {"contract": [contract]}})
        fee = fees[row["txHash"]]
        receipt = {"net_fee": fee["netFee"], "energy_fee": fee["energyFee"]}
        infos.append({"id": id_, "blockNumber": number, "fee": fee["fee"], "receipt": receipt})
    return {"transactions": transactions}, infos


def test_a_packed_recording_reads_the_same(tmp_path: Path) -> None:
    answer = nile()
    infos = [{"id": tx["txID"], "blockNumber": NILE} for tx in answer["transactions"]]
    lines = [
        {"path": "/wallet/getblockbynum", "body": {"num": NILE}, "result": answer},
        {"path": "/wallet/gettransactioninfobyblocknum", "body": {"num": NILE}, "result": infos},
    ]
    text = "".join(json.dumps(line) + "\n" for line in lines).encode()
    plain, packed = tmp_path / "nile.jsonl", tmp_path / "nile.jsonl.gz"
    plain.write_bytes(text)
    packed.write_bytes(gzip.compress(text))
    read = []
    for path in (plain, packed):
        source = recorded_source(path, "nile")
        read.append(next(iter(source.read(NILE, NILE))))
        assert source.last() == NILE
        source.close()
    assert read[0].tx_hash.tobytes() == read[1].tx_hash.tobytes()
    assert read[0].amount.tobytes() == read[1].amount.tobytes()
