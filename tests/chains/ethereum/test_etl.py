"""Exports of ethereum-etl and GraphSense, read back."""

from __future__ import annotations

import csv
import gzip
import io
import json
import shutil
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.ethereum import etl, etl_files
from calibar.chains.ethereum.etl import EtlSource
from calibar.chains.facts import (
    APPROVAL,
    BURN,
    BURNT_FEE,
    CREATED,
    FAILED,
    FEE,
    FROM_NOBODY,
    GRANT,
    HAS_INTERNAL,
    INTERNAL,
    MINT,
    NFT,
    REWARD,
    SELF_DESTRUCTED,
    SUCCEEDED,
    TO_NOBODY,
    TOKEN,
    UNSTATED,
    VALUE,
    WITHDRAWAL,
    ZERO,
    Facts,
    integers,
)
from calibar.errors import CalibarError, ChainError, DecodeError, UsageError

BLOCK_COLUMNS = ["number", "hash", "parent_hash", "miner", "timestamp", "base_fee_per_gas", "withdrawals"]
TRANSFER_COLUMNS = [
    "token_address", "from_address", "to_address", "value", "transaction_hash", "log_index", "block_number",
]  # fmt: skip


def word(number: int) -> str:
    return f"0x{number:064x}"


def address(number: int) -> str:
    return f"0x{number:040x}"


def block(number: int, **more: Any) -> dict[str, Any]:
    return {
        "number": number, "hash": word(1000 + number), "parent_hash": word(999 + number), "miner": address(0xC0),
        "timestamp": 1_600_000_000 + 12 * number, "base_fee_per_gas": "", "withdrawals": "", **more,
    }  # fmt: skip


def transfer(number: int, log: int, tx: int, value: object = 5, **more: Any) -> dict[str, Any]:
    return {
        "token_address": address(0x70), "from_address": address(1), "to_address": address(2), "value": value,
        "transaction_hash": word(tx), "log_index": log, "block_number": number, **more,
    }  # fmt: skip


def transaction(number: int, index: int, tx: int, **more: Any) -> dict[str, Any]:
    return {
        "hash": word(tx), "block_number": number, "transaction_index": index, "from_address": address(1),
        "to_address": address(2), "value": 7, "gas": 21_000, "gas_price": 10, "transaction_type": 0, **more,
    }  # fmt: skip


def receipt(number: int, index: int, tx: int, **more: Any) -> dict[str, Any]:
    return {
        "transaction_hash": word(tx), "transaction_index": index, "block_number": number, "gas_used": 21_000,
        "contract_address": "", "status": 1, "effective_gas_price": 10, **more,
    }  # fmt: skip


def log(number: int, index: int, tx: int, **more: Any) -> dict[str, Any]:
    return {
        "log_index": index, "transaction_hash": word(tx), "block_number": number, "address": address(0x70),
        "data": "0x", "topics": "", **more,
    }  # fmt: skip


def trace(number: int, tx: int | None, path: str, value: int, **more: Any) -> dict[str, Any]:
    return {
        "block_number": number, "transaction_hash": "" if tx is None else word(tx), "transaction_index": "",
        "from_address": address(1), "to_address": address(2), "value": value, "trace_type": "call",
        "call_type": "call", "trace_address": path, "status": 1, **more,
    }  # fmt: skip


def write(path: Path, rows: Sequence[Mapping[str, Any]], end: str = "\n") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator=end)
        writer.writeheader()
        writer.writerows(rows)


def export(folder: Path, **tables: Sequence[Mapping[str, Any]]) -> EtlSource:
    shutil.rmtree(folder, ignore_errors=True)
    for name, rows in tables.items():
        write(folder / f"{name}.csv", rows)
    return EtlSource(folder, 1)


def everything(source: EtlSource) -> list[Facts]:
    return list(source.read(source.first(), source.last()))


def whole(source: EtlSource) -> Facts:
    (facts,) = everything(source)
    return facts


def transfers(batches: Iterable[Facts]) -> list[tuple[Any, ...]]:
    """Every transfer, with its block and its transaction's hash."""
    found: list[tuple[Any, ...]] = []
    for facts in batches:
        blocks = np.searchsorted(facts.transfer_end, np.arange(len(facts.transfer_tx)), side="right")
        amounts = integers(facts.amount)
        for i, of in enumerate(blocks):
            tx = int(facts.transfer_tx[i])
            found.append((
                int(facts.number[of]), "" if tx < 0 else "0x" + facts.tx_hash[tx].tobytes().hex(),
                int(facts.transfer_kind[i]), "0x" + facts.asset[i].tobytes().hex(),
                "0x" + facts.sender[i].tobytes().hex(), "0x" + facts.recipient[i].tobytes().hex(), amounts[i],
                int(facts.position[i]),
            ))  # fmt: skip
    return found


def moves(facts: Facts) -> list[tuple[int, int, int]]:
    """Kind, amount, position of each transfer."""
    return [(row[2], row[6], row[7]) for row in transfers([facts])]


def balances(batches: Iterable[Facts]) -> dict[str, int]:
    """What each address has of the chain's own coin, were it to begin with nothing."""
    held: dict[str, int] = defaultdict(int)
    for _, _, kind, asset, sender, recipient, amount, _ in transfers(batches):
        if asset == "0x" + ZERO.hex():
            if kind not in FROM_NOBODY:
                held[sender] -= amount
            if kind not in TO_NOBODY:
                held[recipient] += amount
    return {who: amount for who, amount in held.items() if amount}


def ordered_kind(sender: str, recipient: str) -> int:
    return MINT if int(sender, 16) == 0 else BURN if int(recipient, 16) == 0 else TOKEN


# Real exports


def test_real_token_transfers_read_back_equal(data: Path, tmp_path: Path) -> None:
    real = data / "ethereum/ethereum-etl/test_stream/blocks_17173049_17173050"
    for name in ("blocks", "transactions", "token_transfers"):
        shutil.copy(real / f"expected_{name}.json", tmp_path / f"{name}.json")
    expected = [json.loads(line) for line in (tmp_path / "token_transfers.json").read_text().splitlines()]
    found = [row for row in transfers(everything(EtlSource(tmp_path, 1))) if row[2] in (TOKEN, MINT, BURN)]
    assert sorted(found) == sorted(
        (
            e["block_number"], e["transaction_hash"], ordered_kind(e["from_address"], e["to_address"]),
            e["token_address"], e["from_address"], e["to_address"], int(e["value"]), e["log_index"],
        )
        for e in expected
    )  # fmt: skip
    assert [(row[0], row[7]) for row in found] == sorted((row[0], row[7]) for row in found)


def test_real_fees_and_withdrawals(data: Path, tmp_path: Path) -> None:
    real = data / "ethereum/ethereum-etl/test_stream/blocks_17173049_17173050"
    for name in ("blocks", "transactions"):
        shutil.copy(real / f"expected_{name}.json", tmp_path / f"{name}.json")
    facts = whole(EtlSource(tmp_path, 1))
    txs = [json.loads(line) for line in (tmp_path / "transactions.json").read_text().splitlines()]
    txs.sort(key=lambda t: (t["block_number"], t["transaction_index"]))
    blocks = [json.loads(line) for line in (tmp_path / "blocks.json").read_text().splitlines()]
    base = {b["number"]: b["base_fee_per_gas"] for b in blocks}
    assert integers(facts.tx_fee) == [t["receipt_gas_used"] * t["receipt_effective_gas_price"] for t in txs]
    assert facts.tx_status.tolist() == [SUCCEEDED if t["receipt_status"] else FAILED for t in txs]
    by_kind: dict[int, int] = defaultdict(int)
    for kind, amount, _ in moves(facts):
        by_kind[kind] += amount
    assert by_kind[BURNT_FEE] == sum(t["receipt_gas_used"] * base[t["block_number"]] for t in txs)
    assert by_kind[BURNT_FEE] + by_kind[FEE] == sum(integers(facts.tx_fee))
    assert by_kind[VALUE] == sum(int(t["value"]) for t in txs if t["receipt_status"])
    assert by_kind[WITHDRAWAL] == sum(w["amount"] * 10**9 for b in blocks for w in b["withdrawals"])


def test_real_logs_say_the_same_transfers_but_for_tokens_that_are_no_money(data: Path, tmp_path: Path) -> None:
    real = data / "ethereum/ethereum-etl/test_stream/blocks_17173049_17173050"
    for name in ("blocks", "transactions", "logs", "token_transfers"):
        shutil.copy(real / f"expected_{name}.json", tmp_path / f"{name}.json")
    facts = whole(EtlSource(tmp_path, 1))
    logs = [json.loads(line) for line in (tmp_path / "logs.json").read_text().splitlines()]
    topics = {(log["block_number"], log["log_index"]): log["topics"] for log in logs}
    found = {(row[0], row[7]): row[2:7] for row in transfers([facts]) if row[2] in (TOKEN, MINT, BURN)}
    expected = [json.loads(line) for line in (tmp_path / "token_transfers.json").read_text().splitlines()]
    numbers = set()
    for e in expected:
        at, a, b = (e["block_number"], e["log_index"]), e["from_address"], e["to_address"]
        if len(topics[at]) == 4:
            numbers.add(at)
            assert at not in found
        else:
            assert found.pop(at) == (ordered_kind(a, b), e["token_address"], a, b, int(e["value"]))
    wrapped = {topics[at][0] for at in found}  # what is left: Deposit and Withdrawal of wrapped ether
    assert wrapped == {
        "0xe1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c",
        "0x7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65",
    }
    blocks = np.searchsorted(facts.event_end, np.arange(len(facts.event_tx)), side="right")
    of = facts.event_kind == NFT
    assert numbers
    events = set(zip(facts.number[blocks[of]].tolist(), facts.event_position[of].tolist(), strict=True))
    single = "0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62"  # of ERC-1155, which is not exported
    assert events == numbers | {at for at, of in topics.items() if of and of[0] == single}
    signature = "0x8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
    approvals = [log for log in logs if log["topics"] and log["topics"][0] == signature and len(log["topics"]) == 3]
    assert int((facts.event_kind == APPROVAL).sum()) == len(approvals)
    assert (np.searchsorted(facts.tx_end, facts.event_tx, side="right") == blocks).all()


def test_csv_and_json_logs_are_the_same(data: Path, tmp_path: Path) -> None:
    real = data / "ethereum/ethereum-etl/test_export_receipts_job/receipts_with_logs"
    both = []
    for form in ("csv", "json"):
        write(tmp_path / form / "blocks.csv", [block(483_920)])
        shutil.copy(real / f"expected_logs.{form}", tmp_path / form / f"logs.{form}")
        both.append(transfers(everything(EtlSource(tmp_path / form, 1))))
    assert both[0] == both[1]
    assert [row[6] for row in both[0]] == [100_000, 200_000]


def test_csv_and_json_of_the_same_blocks_are_the_same_facts(data: Path, tmp_path: Path) -> None:
    real = data / "ethereum/ethereum-etl/test_export_blocks_job/blocks_with_transactions_and_withdrawals"
    both = []
    for kind in ("csv", "json"):
        folder = tmp_path / kind
        folder.mkdir()
        for name in ("blocks", "transactions"):
            shutil.copy(real / f"expected_{name}.{kind}", folder / f"{name}.{kind}")
        both.append(whole(EtlSource(folder, 1)))
    for column in fields(both[0]):
        one, other = (getattr(facts, column.name) for facts in both)
        assert np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other, column.name
    assert both[0].tx_end[-1] == 116 + 182
    assert WITHDRAWAL in both[0].transfer_kind
    assert VALUE not in both[0].transfer_kind  # no receipts: whether they succeeded is not known
    assert (both[0].tx_status == UNSTATED).all()


@pytest.mark.parametrize(
    ("folder", "number", "expected"),
    [
        ("block_with_subtraces", 1_000_000, [(REWARD, 5 * 10**18, 0)]),  # the inner call is a callcode
        ("block_with_suicide", 1_011_973, [(INTERNAL, 5 * 10**16, 1), (REWARD, 5 * 10**18, 0)]),
        ("block_with_error", 1_000_895, [(VALUE, 7, 0), (REWARD, 5 * 10**18, 0)]),
    ],
)
def test_real_traces(
    data: Path, tmp_path: Path, folder: str, number: int, expected: list[tuple[int, int, int]]
) -> None:
    shutil.copy(data / f"ethereum/ethereum-etl/test_export_traces_job/{folder}/expected_traces.csv", tmp_path)
    (tmp_path / "expected_traces.csv").rename(tmp_path / "traces.csv")
    rows = list(csv.DictReader((tmp_path / "traces.csv").read_text().splitlines()))
    hashes = list(dict.fromkeys(r["transaction_hash"] for r in rows if r["transaction_hash"]))
    value = 7 if folder == "block_with_error" else 0
    txs = [transaction(number, i, int(h, 16), value=value) for i, h in enumerate(hashes)]
    write(tmp_path / "blocks.csv", [block(number)])
    write(tmp_path / "transactions.csv", txs)
    facts = whole(EtlSource(tmp_path, 1))
    assert moves(facts) == expected
    assert facts.proof.tolist() == [HAS_INTERNAL]
    if folder == "block_with_error":
        assert facts.tx_status.tolist() == [FAILED, SUCCEEDED]


@pytest.mark.parametrize(
    ("folder", "number", "value", "expected"),
    [
        ("block_with_create", 1_000_690, 64_655_529_900_000_002_048, [VALUE]),
        ("block_with_suicide", 1_011_973, 0, []),
        ("block_with_error", 1_000_895, 1_100_000_000_000_000_000, [VALUE]),
    ],
)
def test_traces_that_were_geth_s_name_transactions_by_place(
    data: Path, tmp_path: Path, folder: str, number: int, value: int, expected: list[int]
) -> None:
    path = data / f"ethereum/ethereum-etl/test_extract_geth_traces_job/{folder}/expected_traces.csv"
    shutil.copy(path, tmp_path / "traces.csv")
    write(tmp_path / "blocks.csv", [block(number)])
    places = {row["transaction_index"] for row in csv.DictReader(path.read_text().splitlines())}
    write(tmp_path / "transactions.csv", [transaction(number, int(p), 11 + int(p), value=value) for p in places])
    facts = whole(EtlSource(tmp_path, 1))
    assert set(facts.transfer_kind.tolist()) == set(expected)
    assert (facts.tx_status == FAILED).sum() == (folder == "block_with_error")
    assert any("destroyed" in note for note in facts.notes) == (folder == "block_with_suicide")


def test_what_is_below_a_failed_call_did_not_happen(tmp_path: Path) -> None:
    traces = [
        trace(1, 11, path, value, status="", error=error)
        for path, value, error in (("", 7, ""), ("1", 1, "Reverted"), ("1,0", 2, ""), ("10", 3, ""), ("1,0,5", 4, ""))
    ]
    facts = whole(export(tmp_path, blocks=[block(1)], transactions=[transaction(1, 0, 11)], traces=traces))
    assert moves(facts) == [(VALUE, 7, 0), (INTERNAL, 3, 4)]


@settings(max_examples=200, deadline=None)
@given(text=st.text(alphabet='0x1e,"\r\n', max_size=400))
def test_any_text_is_read_or_refused(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    write(folder / "blocks.csv", [block(n) for n in range(3)])
    row = ",".join(str(v) for v in transfer(1, 0, 11).values())
    data = f"{','.join(TRANSFER_COLUMNS)}\n{row}\n{text}"
    (folder / "token_transfers.csv").write_bytes(data.encode())
    try:
        batches = everything(EtlSource(folder, 1))
    except CalibarError as error:
        assert "\n" not in str(error)
    else:
        assert (
            sum(len(facts.transfer_tx) for facts in batches)
            == sum(map(bool, csv.reader(io.StringIO(data, newline="")))) - 1
        )
    shutil.rmtree(folder)


def graphsense_balances(folder: Path, first: int, last: int) -> dict[str, int]:
    """By the plainest reckoning: successful traces, plus what producers get and payers give for gas."""
    held: dict[str, int] = defaultdict(int)
    for row in csv.DictReader((folder / "traces.csv").read_text().splitlines()):
        whole_part, _, exponent = row["value"].partition("e")
        value = int(whole_part) * 10 ** int(exponent or 0)
        if first <= int(row["blockId"]) <= last and row["status"] == "1" and row["callType"] != "delegatecall":
            held[row["toAddress"]] += value
            if row["fromAddress"]:
                held[row["fromAddress"]] -= value
    miner = {row["blockId"]: row["miner"] for row in csv.DictReader((folder / "blocks.csv").read_text().splitlines())}
    for row in csv.DictReader((folder / "transactions.csv").read_text().splitlines()):
        if first <= int(row["blockId"]) <= last:
            fee = int(row["receiptGasUsed"]) * int(row["gasPrice"])
            held[row["fromAddress"]] -= fee
            held[miner[row["blockId"]]] += fee
    return {who: amount for who, amount in held.items() if amount}


def test_the_balances_of_graphsense_s_simple_graph_add_up(data: Path) -> None:
    folder = data / "ethereum/graphsense-simple_graph"
    source = EtlSource(folder, 1)
    assert (source.first(), source.last()) == (46_147, 46_230)
    assert source.hash_of(46_147) == bytes.fromhex("4e3a3754410177e6937ef1f84bba68ea139e8d1a2258c5f85db9f1cd715a1bdd")
    facts = everything(source)
    assert balances(facts) == graphsense_balances(folder, 46_147, 46_230)
    assert sum(balances(facts).values()) == sum(row[6] for row in transfers(facts) if row[2] == REWARD)


def test_graphsense_s_complex_graph_is_no_chain_and_refused(data: Path) -> None:
    """Blocks 0 to 9 follow each other by number alone, behind them is a gap, and the traces are other blocks'."""
    source = EtlSource(data / "ethereum/graphsense-complex_graph", 1)
    with pytest.raises(ChainError, match=r"block 1 in .* does not follow block 0; export both again"):
        list(source.read(0, 9))
    with pytest.raises(UsageError, match=r"block 10 is not in the blocks of .*; export blocks without gaps"):
        everything(source)
    rows = csv.DictReader((source.folder / "traces.csv").read_text().splitlines())
    rewards = sum(int(Decimal(row["value"])) for row in rows if int(row["blockId"]) > 9 and not row["txHash"])
    assert sum(row[6] for row in transfers(list(source.read(46_147, 46_230))) if row[2] == REWARD) == rewards > 0


def test_the_balances_of_graphsense_s_balance_example_add_up(data: Path, tmp_path: Path) -> None:
    folder = data / "ethereum/graphsense-balance"
    source = EtlSource(folder, 1)
    with pytest.raises(UsageError, match=r"block 1 is not in the blocks of .*; export blocks without gaps"):
        everything(source)
    for name in ("traces.csv", "transactions.csv"):
        shutil.copy(folder / name, tmp_path)
    real = {row["blockId"]: row["miner"] for row in csv.DictReader((folder / "blocks.csv").read_text().splitlines())}
    write(tmp_path / "blocks.csv", [block(n, miner=real.get(str(n), address(0xC0))) for n in range(12)])
    facts = whole(EtlSource(tmp_path, 1))
    assert balances([facts]) == graphsense_balances(folder, 0, 12)
    assert [kind for kind, _, _ in moves(facts)].count(GRANT) == 5


# Any tables


values = st.integers(0, 2**256 - 1) | st.integers(0, 10**6)
people = st.integers(0, 4)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[dict[str, Any]], list[dict[str, Any]], list[Any]]:
    """Blocks, token transfers in chain order, and a shuffling of them."""
    rows: list[dict[str, Any]] = []
    count, tx = draw(st.integers(1, 6)), 0
    for number in range(count):
        log = 0
        for _ in range(draw(st.integers(0, 3))):
            tx += 1
            for _ in range(draw(st.integers(1, 3))):
                log += draw(st.integers(1, 3))
                a, b = draw(people), draw(people)
                token = address(0x70 + draw(people))
                more = {"from_address": address(a), "to_address": address(b), "token_address": token}
                rows.append(transfer(number, log, tx * 7919, draw(values), **more))
    return [block(n) for n in range(count)], rows, draw(st.permutations(rows))


@settings(max_examples=60, deadline=None)
@given(tables=tables(), pieces=st.sampled_from([300, 1000, etl_files.PIECE]), end=st.sampled_from(["\n", "\r\n"]),
       parts=st.integers(1, 3), form=st.sampled_from(["csv", "csv.gz", "json", "json.gz"]))  # fmt: skip
def test_tables_in_any_order_read_back_to_the_same_facts(
    tmp_path_factory: pytest.TempPathFactory, tables: Any, pieces: int, end: str, parts: int, form: str
) -> None:
    blocks, rows, shuffled = tables
    folder = tmp_path_factory.mktemp("export")
    write(folder / "blocks.csv", blocks[::-1], end)
    for part in range(parts if rows else 0):
        path = folder / f"part={part}" / f"token_transfers_{part}.csv"
        some = shuffled[part::parts] or rows[:0]
        write(path, some or [dict.fromkeys(TRANSFER_COLUMNS, "")], end)
        if not some:
            path.write_text(",".join(TRANSFER_COLUMNS) + end)
        data = path.read_bytes()
        path.unlink()
        if "json" in form:
            data = "".join(json.dumps({"type": "token_transfer", **row}) + "\n" for row in some).encode()
        target = path.with_name(f"token_transfers_{part}.{form}")
        target.write_bytes(gzip.compress(data) if form.endswith("gz") else data)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(etl_files, "PIECE", pieces)
        patch.setattr(etl, "BATCH_BYTES", 2 * pieces)
        batches = everything(EtlSource(folder, 1))
    assert transfers(batches) == [
        (
            row["block_number"], row["transaction_hash"], ordered_kind(row["from_address"], row["to_address"]),
            row["token_address"], row["from_address"], row["to_address"], row["value"], row["log_index"],
        )
        for row in rows
        if int(row["from_address"], 16) or int(row["to_address"], 16)
    ]  # fmt: skip
    assert [n for facts in batches for n in facts.number] == [b["number"] for b in blocks]
    hashes = ["0x" + h.tobytes().hex() for facts in batches for h in facts.tx_hash]
    assert hashes == list(dict.fromkeys(row["transaction_hash"] for row in rows))
    shutil.rmtree(folder)


def test_a_range_of_blocks_is_read_alone(tmp_path: Path) -> None:
    source = export(tmp_path, blocks=[block(n) for n in range(9)],
                    token_transfers=[transfer(n, n, n + 1, n) for n in range(9)])  # fmt: skip
    assert [row[6] for row in transfers(source.read(3, 5))] == [3, 4, 5]
    assert source.hash_of(9) is None


# What is done with receipts and traces


def test_order_in_a_transaction_is_fee_value_internal_tokens(tmp_path: Path) -> None:
    source = export(
        tmp_path,
        blocks=[block(20_000_000, base_fee_per_gas=4)],
        transactions=[transaction(20_000_000, 1, 12), transaction(20_000_000, 0, 11, value=9)],
        receipts=[receipt(20_000_000, 0, 11, status=0), receipt(20_000_000, 1, 12)],
        token_transfers=[transfer(20_000_000, 0, 12)],
        traces=[
            trace(20_000_000, 12, "0,10", 3),
            trace(20_000_000, 12, "", 7),
            trace(20_000_000, None, "", 8, trace_type="reward", call_type=""),
            trace(20_000_000, 12, "0,2", 2),
            trace(20_000_000, 12, "0", 1),
            trace(20_000_000, 12, "1", 6, call_type="delegatecall"),
            trace(20_000_000, 12, "2", 6, status=0),
        ],
    )
    facts = whole(source)
    assert moves(facts) == [
        (FEE, 21_000 * 6, 0), (BURNT_FEE, 21_000 * 4, 0),
        (FEE, 21_000 * 6, 0), (BURNT_FEE, 21_000 * 4, 0), (VALUE, 7, 0),
        (INTERNAL, 1, 1), (INTERNAL, 2, 2), (INTERNAL, 3, 3), (TOKEN, 5, 0),
        (REWARD, 8, 0),
    ]  # fmt: skip
    assert facts.transfer_tx.tolist() == [0, 0, 1, 1, 1, 1, 1, 1, 1, -1]
    assert facts.tx_status.tolist() == [FAILED, SUCCEEDED]


def test_without_receipts_value_is_left_out_and_said(tmp_path: Path) -> None:
    facts = whole(export(tmp_path, blocks=[block(1)], transactions=[transaction(1, 0, 11)]))
    assert moves(facts) == []
    assert facts.tx_status.tolist() == [UNSTATED]
    assert any("export receipts too" in note for note in facts.notes)


def test_before_byzantium_gas_left_over_means_success(tmp_path: Path) -> None:
    txs = [transaction(4_369_999, 0, 11, gas=50_000), transaction(4_369_999, 1, 12)]
    said = [receipt(4_369_999, i, 11 + i, status="") for i in range(2)]
    facts = whole(export(tmp_path, blocks=[block(4_369_999)], transactions=txs, receipts=said))
    assert facts.tx_status.tolist() == [SUCCEEDED, UNSTATED]
    assert [kind for kind, _, _ in moves(facts)] == [FEE, VALUE, FEE, VALUE]
    assert any("taken as moved" in note for note in facts.notes)


def test_a_creation_names_its_contract(tmp_path: Path) -> None:
    facts = whole(export(
        tmp_path, blocks=[block(1)], transactions=[transaction(1, 0, 11, to_address="")],
        receipts=[receipt(1, 0, 11, contract_address=address(0xABC))],
    ))  # fmt: skip
    assert facts.tx_recipient[0].tobytes() == bytes.fromhex(address(0xABC)[2:])


def test_contracts_made_and_destroyed_are_events(tmp_path: Path) -> None:
    new, heir = address(0xABC), address(0xDEF)
    own = {"from_address": new, "trace_type": "suicide", "call_type": ""}
    facts = whole(export(
        tmp_path, blocks=[block(1)], transactions=[transaction(1, 0, 11)], receipts=[receipt(1, 0, 11)],
        traces=[
            trace(1, 11, "", 7),
            trace(1, 11, "0", 3, to_address=new, trace_type="create", call_type=""),
            trace(1, 11, "1", 2, to_address=heir, **own),
            trace(1, 11, "2", 1, to_address=new, **own),
        ],
    ))  # fmt: skip
    assert moves(facts)[1:] == [(VALUE, 7, 0), (INTERNAL, 3, 1), (INTERNAL, 2, 2), (BURN, 1, 3)]
    assert facts.event_kind.tolist() == [CREATED, SELF_DESTRUCTED, SELF_DESTRUCTED]
    assert facts.event_position.tolist() == [1, 2, 3]
    assert [b.tobytes().hex() for b in facts.event_b] == [address(1)[2:], heir[2:], new[2:]]
    assert facts.event_end.tolist() == [3]


def test_an_error_far_into_a_file_names_its_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(etl_files, "PIECE", 2_000)
    rows = [transfer(n // 10, n % 10, n // 10 + 1) for n in range(1_000)]
    rows[700] = {**rows[700], "token_address": "0x1"}
    with pytest.raises(DecodeError, match=r"token_transfers.csv line 702 has a token_address"):
        everything(export(tmp_path / "export", blocks=[block(n) for n in range(100)], token_transfers=rows))


def test_a_transaction_that_only_transfers_name_stands_where_its_logs_do(tmp_path: Path) -> None:
    facts = whole(export(
        tmp_path, blocks=[block(1)], transactions=[transaction(1, 0, 11), transaction(1, 5, 13)],
        receipts=[receipt(1, 0, 11), receipt(1, 5, 13)],
        token_transfers=[transfer(1, 0, 11), transfer(1, 1, 12), transfer(1, 2, 13)],
    ))  # fmt: skip
    assert [int.from_bytes(h.tobytes()) for h in facts.tx_hash] == [11, 12, 13]
    assert facts.tx_sender[1].tobytes() == ZERO
    assert facts.tx_status[1] == SUCCEEDED
    assert any("sender, fee and value are not known" in note for note in facts.notes)


def test_nothing_is_proven_and_it_is_said(tmp_path: Path) -> None:
    facts = whole(export(tmp_path, blocks=[block(1)], token_transfers=[transfer(1, 0, 11)]))
    assert facts.proof.tolist() == [0]
    assert any("nothing of it is proven" in note for note in facts.notes)


def test_tokens_say_their_names(tmp_path: Path) -> None:
    token = {"address": address(0x70), "symbol": "T", "name": "T, a token", "decimals": 18, "total_supply": 1}
    naming = whole(export(tmp_path, blocks=[block(1)], tokens=[token])).namings[0]
    assert (naming.symbol, naming.name, naming.decimals) == ("T", "T, a token", 18)


# What is refused


@pytest.mark.parametrize(
    ("broken", "says"),
    [
        ({"value": "-1"}, "has a value that is not a whole number of 0 or more"),
        ({"value": str(2**256)}, "has a value that is too large a number"),
        ({"value": "1e78"}, "has a value that is too large a number"),
        ({"value": ""}, "has a value that is empty"),
        ({"value": "1.5"}, "has a value that is not a whole number"),
        ({"token_address": "0x1234"}, "has a token_address that is not an address"),
        ({"to_address": "0x" + "g" * 40}, "has a to_address that is not an address"),
        ({"from_address": "0" * 42}, "has a from_address that is not an address"),
        ({"transaction_hash": "0x12"}, "has a transaction_hash that is not 0x and 64 hex digits"),
        ({"block_number": "1" * 19}, "has a block_number that is too large a number"),
        ({"block_number": "x"}, "has a block_number that is not a whole number"),
        ({"log_index": "-1"}, "has a log_index that is not a whole number"),
        ({"log_index": "1"}, "has log 1 of block 1, which another row has too"),
    ],
)
@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_broken_row_is_refused_with_its_line(tmp_path: Path, broken: dict[str, Any], says: str, form: str) -> None:
    rows = [transfer(1, log, 11) for log in range(3)] + [{**transfer(1, 9, 11), **broken}]
    write(tmp_path / "blocks.csv", [block(1)])
    if form == "csv":
        write(tmp_path / "token_transfers.csv", rows)
    else:
        (tmp_path / "token_transfers.json").write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(DecodeError) as refused:
        everything(EtlSource(tmp_path, 1))
    line = 5 if form == "csv" else 4
    assert f"token_transfers.{form} line {line} {says}" in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no column"),
        ("{row},1\n", "line 2 has another number of fields"),
        ("{short}\n", "line 2 has another number of fields"),
        ('"{row}\n', "line 2 has"),
        ('{row}"\n', "line 2 has"),
        ("\n\n{row}\n{row}\n", "line 5 has log 0"),
    ],
)
def test_a_broken_table_is_refused(tmp_path: Path, text: str, says: str) -> None:
    row = ",".join(str(v) for v in transfer(1, 0, 11).values())
    header = ",".join(TRANSFER_COLUMNS) if text else "a,b"
    write(tmp_path / "blocks.csv", [block(1)])
    body = text.format(row=row, short=row.rpartition(",")[0])
    (tmp_path / "token_transfers.csv").write_text(f"{header}\n{body}")
    with pytest.raises(DecodeError, match=says):
        everything(EtlSource(tmp_path, 1))


@pytest.mark.parametrize("line", ["[" * 100_000, "{", "[]", '"a"', "1e999", '{"value": NaN}'])
def test_a_line_that_is_no_json_object_is_refused(tmp_path: Path, line: str) -> None:
    write(tmp_path / "blocks.csv", [block(1)])
    (tmp_path / "token_transfers.json").write_text(line + "\n")
    with pytest.raises(DecodeError, match=r"token_transfers\.json line 1 "):
        everything(EtlSource(tmp_path, 1))


def test_blocks_are_needed(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="export blocks too"):
        export(tmp_path, token_transfers=[transfer(1, 0, 11)])
    with pytest.raises(UsageError, match="is no folder"):
        EtlSource(tmp_path / "nowhere", 1)


@pytest.mark.parametrize(
    ("error", "says", "given"),
    [
        (DecodeError, r"blocks.csv line 3 has block 1, which another row has too", {"blocks": [block(1), block(1)]}),
        (UsageError, "block 2 is not in the blocks", {"blocks": [block(1), block(3)]}),
        (ChainError, "block 2 in .* does not follow block 1",
         {"blocks": [block(1), block(2, parent_hash=word(5))]}),
        (DecodeError, r"token_transfers.csv line \d names a transaction whose other rows lie",
         {"blocks": [block(1)], "token_transfers": [transfer(1, i, t) for i, t in enumerate((11, 12, 11))]}),
        (DecodeError, "line 2 names a transaction of another block",
         {"blocks": [block(1), block(2)], "transactions": [transaction(1, 0, 11)],
          "token_transfers": [transfer(2, 0, 11)]}),
        (DecodeError, "transactions.csv line 3 has transaction 0 of block 1",
         {"blocks": [block(1)], "transactions": [transaction(1, 0, 11), transaction(1, 0, 12)]}),
        (DecodeError, "line 2 has a status that is neither",
         {"blocks": [block(1)], "transactions": [transaction(1, 0, 11)], "receipts": [receipt(1, 0, 11, status=2)]}),
        (DecodeError, "line 2 pays less a gas than its block's base fee",
         {"blocks": [block(1, base_fee_per_gas=11)], "transactions": [transaction(1, 0, 11)],
          "receipts": [receipt(1, 0, 11)]}),
        (DecodeError, "traces.csv line 3 has a trace_address that another row",
         {"blocks": [block(1)], "transactions": [transaction(1, 0, 11)],
          "traces": [trace(1, 11, "0", 1), trace(1, 11, "0", 2)]}),
        (DecodeError, "traces.csv line 2 is of a transaction that the transactions do not have",
         {"blocks": [block(1)], "transactions": [transaction(1, 0, 11)], "traces": [trace(1, 12, "0", 1)]}),
        (DecodeError, "traces.csv line 2 has a trace_type",
         {"blocks": [block(1)], "transactions": [transaction(1, 0, 11)],
          "traces": [trace(1, 11, "0", 1, trace_type="dance")]}),
        (DecodeError, "token_transfers.csv line 2 has a log that logs do not have",
         {"blocks": [block(1)], "token_transfers": [transfer(1, 0, 11)], "logs": [log(1, 1, 11)]}),
        (DecodeError, "logs.csv line 2 has topics or data",
         {"blocks": [block(1)], "logs": [log(1, 1, 11, topics="0x12")]}),
        (DecodeError, "blocks.csv line 2 has withdrawals without", {"blocks": [block(1, withdrawals="{")]}),
    ],
)  # fmt: skip
def test_tables_that_contradict_are_refused(
    tmp_path: Path, error: type[CalibarError], says: str, given: dict[str, Any]
) -> None:
    with pytest.raises(error, match=says):
        everything(export(tmp_path / "export", **given))


def test_a_gzip_that_is_cut_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "blocks.csv", [block(1)])
    data = gzip.compress(b"a,b\n" * 1000)
    (tmp_path / "token_transfers.csv.gz").write_bytes(data[: len(data) // 2])
    with pytest.raises(DecodeError, match="token_transfers"):
        EtlSource(tmp_path, 1)
