"""Answers that contradict themselves are refused in one line that says what and where."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tron_builder import (
    ALICE,
    BOB,
    NUMBER,
    TOKEN,
    TRANSFER,
    USDT,
    block,
    h41,
    info,
    leaf,
    log,
    pad,
    root,
    seal,
    transfer,
    trigger,
    word,
)  # fmt: skip

from calibar.chains.facts import Builder, Facts
from calibar.chains.tron import blocks
from calibar.chains.tron.jsonfields import parse
from calibar.chains.tron.recorded import RecordedNode, recorded_source
from calibar.errors import CalibarError, ChainError, DecodeError, UsageError

Answers = list[Any]


def good() -> Answers:
    first, second = transfer(ALICE, BOB, 5), trigger(ALICE, USDT, value=3)
    call = {"caller_address": h41(USDT), "transferTo_address": h41(BOB), "callValueInfo": [{"callValue": 1}]}
    second_info = info(
        second, fee=9, receipt={"energy_fee": 9, "result": "SUCCESS"}, contract_address=h41(USDT),
        log=[log(USDT, [TRANSFER, pad(ALICE), pad(BOB)], word(4))], internal_transactions=[call],
    )  # fmt: skip
    return [block(first, second), [info(first), second_info]]


def read(answers: Answers) -> Facts:
    builder = Builder()
    header = blocks.read_header(answers[0], NUMBER, "block 5")
    blocks.add_block(builder, header, answers[0], answers[1], "block 5")
    return builder.facts()


def set_in(*path: str | int, to: Any) -> Callable[[Answers], None]:
    def change(answers: Answers) -> None:
        at: Any = answers
        for step in path[:-1]:
            at = at[step]
        at[path[-1]] = to

    return change


def reroot(answers: Answers) -> None:
    transactions = answers[0]["transactions"]
    answers[0]["block_header"]["raw_data"]["txTrieRoot"] = root([leaf(tx) for tx in transactions]).hex()
    seal(answers[0])


def double(answers: Answers) -> None:
    answers[0]["transactions"].append(answers[0]["transactions"][0])
    reroot(answers)


def nobody_paid(answers: Answers) -> None:
    tx = answers[0]["transactions"][0]
    del tx["raw_data"]["contract"][0]["parameter"]["value"]["to_address"], tx["raw_data_hex"]


def two_contracts(answers: Answers) -> None:
    tx = answers[0]["transactions"][0]
    tx["raw_data"]["contract"] *= 2
    del tx["raw_data_hex"]


_RAW = (0, "transactions", 0, "raw_data", "contract", 0)
_VALUE = (*_RAW, "parameter", "value")
_LOG = (1, 1, "log", 0)
CASES: list[tuple[Callable[[Answers], Any], type[CalibarError], str]] = [
    (set_in(0, "blockID", to="00" * 32), ChainError, "the source answers with block 5"),
    (set_in(0, "blockID", to=5), DecodeError, "blockID must be hexadecimal"),
    (set_in(0, "block_header", to=None), DecodeError, "block_header: an object is expected, not nothing"),
    (set_in(0, "block_header", "raw_data", "number", to=6), ChainError, "answers with block 6"),
    (set_in(0, "block_header", "raw_data", "timestamp", to=1.5), DecodeError, "timestamp must be an integer"),
    (set_in(0, "block_header", "raw_data", "timestamp", to=2**63), DecodeError, "timestamp 9223372036854775808 is out"),
    (set_in(0, "block_header", "raw_data", "parentHash", to="11" * 32), ChainError, "is not of block 4"),
    (set_in(0, "block_header", "raw_data", "version", to=31), ChainError, "its header hashes to"),
    (set_in(0, "transactions", to={}), DecodeError, "transactions must be a list"),
    (set_in(0, "transactions", 0, "txID", to="11" * 32), ChainError, "raw_data_hex hashes to"),
    (set_in(0, "transactions", 0, "signature", to=["zz"]), DecodeError, "not hexadecimal: 'zz'"),
    (set_in(0, "transactions", 0, "signature", to=["12 "]), DecodeError, "not hexadecimal"),
    (set_in(*_VALUE, "amount", to=6), DecodeError, "differ in amount"),
    (set_in(*_VALUE, "to_address", to=h41(ALICE)), DecodeError, "differ in to_address"),
    (set_in(*_VALUE, "amount", to=-1), DecodeError, "amount -1 is out of range"),
    (set_in(*_VALUE, "amount", to="--5"), DecodeError, "amount must be an integer"),
    (set_in(*_RAW, "type", to="FreezeBalanceContract"), DecodeError, "raw_data says FreezeBalanceContract"),
    (set_in(0, "transactions", 0, "raw_data", "contract", to=[]), DecodeError, "0 contracts; TRON allows one"),
    (nobody_paid, DecodeError, "a TransferContract without to_address"),
    (two_contracts, DecodeError, "2 contracts; TRON allows one"),
    (double, ChainError, "a transaction stands in it twice"),
    (set_in(1, to=None), DecodeError, "infos must be a list"),
    (lambda a: a[1].pop(), ChainError, "no info of transaction .* keeps transaction history"),
    (lambda a: a[1].append(a[1][0]), ChainError, "two infos of transaction"),
    (lambda a: a[1].append({**a[1][0], "id": "33" * 32}), ChainError, "which is not in the block"),
    (set_in(1, 0, "blockNumber", to=6), ChainError, "it is of block 6"),
    (set_in(1, 0, "blockTimeStamp", to=1), ChainError, "its time is not its block's"),
    (set_in(1, 0, "fee", to=-1), DecodeError, "fee -1 is out of range"),
    (set_in(1, 0, "fee", to=True), DecodeError, "fee must be an integer"),
    (set_in(1, 1, "fee", to=8), ChainError, "cost 9 sun, the whole fee is said to be 8"),
    (set_in(1, 1, "receipt", "result", to="REVERT"), ChainError, "contractRet SUCCESS, but the receipt says REVERT"),
    (set_in(1, 1, "result", to="FAILED"), ChainError, "but its info says FAILED"),
    (set_in(1, 1, "result", to="MAYBE"), DecodeError, "result 'MAYBE' is not known"),
    (set_in(1, 1, "contract_address", to=h41(TOKEN)), ChainError, "its info says 417070"),
    (set_in(*_LOG, "index", to=1), ChainError, "missing, double or out of order"),
    (set_in(*_LOG, "topics", to=["11"]), DecodeError, "topic has 1 bytes, not 32"),
    (set_in(*_LOG, "topics", to=["11" * 32] * 5), DecodeError, "5 entries of topics"),
    (set_in(*_LOG, "address", to="11" * 19), DecodeError, "is no TRON address"),
    (set_in(*_LOG, "data", to="1"), DecodeError, "data is not hexadecimal"),
    (set_in(1, 1, "internal_transactions", 0, "rejected", to="no"), DecodeError, "rejected must be true or false"),
    (set_in(1, 1, "internal_transactions", 0, "callValueInfo", 0, "callValue", to=2**63), DecodeError, "out of range"),
    (set_in(1, 1, "internal_transactions", 0, "callValueInfo", 0, "tokenId", to="x\n"), DecodeError, "tokenId 'x'"),
]  # fmt: skip


def test_the_answers_are_good_to_begin_with() -> None:
    assert len(read(good()).tx_hash) == 2


@pytest.mark.parametrize(("change", "error", "reason"), CASES, ids=[reason for *_, reason in CASES])
def test_contradictions_are_refused(change: Callable[[Answers], Any], error: type[CalibarError], reason: str) -> None:
    answers = good()
    change(answers)
    with pytest.raises(error, match=reason) as caught:
        read(answers)
    assert "\n" not in str(caught.value)
    assert "block 5" in str(caught.value)


def _paths(value: Any, at: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    found = [at] if at else []
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        found += _paths(inner, (*at, key))
    return found


_ANYTHING = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(), st.text(max_size=8), st.just([]), st.just({}),
    st.just(["x"]), st.just("41" * 21), st.binary(max_size=33).map(bytes.hex),
)  # fmt: skip


@settings(max_examples=400)
@given(st.data())
def test_any_damage_is_one_line_or_harmless(data: st.DataObject) -> None:
    answers = good()
    path = data.draw(st.sampled_from(_paths(answers)))
    set_in(*path, to=data.draw(_ANYTHING))(answers)
    try:
        read(answers)
    except CalibarError as e:
        assert "\n" not in str(e)
        assert len(str(e)) < 500


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "NaN", '{"a": Infinity}', "\ud800".encode("utf-8", "replace"), b"\xff", "1" * 5000]
)
def test_what_is_no_json_is_refused(text: str | bytes) -> None:
    with pytest.raises(DecodeError, match="answer: "):
        parse(text.encode() if isinstance(text, str) else text, "answer")


def record(path: Path, *answers: dict[str, Any], infos: bool = True) -> Path:
    lines: list[dict[str, Any]] = []
    for answer in answers:
        num = answer["block_header"]["raw_data"]["number"]
        lines.append({"path": "/wallet/getblockbynum", "body": {"num": num}, "result": answer})
        if infos:
            outcome = [info(tx, number=num) for tx in answer.get("transactions", [])]
            lines.append({"path": "/wallet/gettransactioninfobyblocknum", "body": {"num": num}, "result": outcome})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


def chain(count: int) -> list[dict[str, Any]]:
    made: list[dict[str, Any]] = []
    for number in range(NUMBER, NUMBER + count):
        parent = bytes.fromhex(made[-1]["blockID"]) if made else None
        made.append(block(transfer(ALICE, BOB, number, salt=number), number=number, parent=parent))
    return made


def test_blocks_that_connect_are_read_and_others_not(tmp_path: Path) -> None:
    made = chain(3)
    source = recorded_source(record(tmp_path / "good.jsonl", *made), "mainnet")
    read = list(source.read(NUMBER, NUMBER + 2))
    assert [number for batch in read for number in batch.number.tolist()] == [5, 6, 7]
    assert source.hash_of(6) == bytes.fromhex(made[1]["blockID"])
    assert source.hash_of(8) is None
    with pytest.raises(UsageError, match="block 8: it has none"):
        list(source.read(NUMBER, NUMBER + 3))
    source.close()
    other = recorded_source(record(tmp_path / "bad.jsonl", made[0], block(number=6)), "mainnet")
    with pytest.raises(ChainError, match=r"block 6: its parent .* reorganised"):
        list(other.read(5, 6))
    other.close()


def test_recordings_that_lack_or_contradict_are_refused(tmp_path: Path) -> None:
    path = record(tmp_path / "r.jsonl", *chain(1), infos=False)
    source = recorded_source(path, "nile")
    with pytest.raises(UsageError, match="for block 5 was not recorded"):
        list(source.read(5, 5))
    source.close()
    with pytest.raises(UsageError, match="name the network"):
        recorded_source(path)
    line = {"path": "/wallet/getblockbynum", "body": {"num": 5}, "result": {}}
    path.write_text(path.read_text() * 2)
    RecordedNode(path).close()
    path.write_text(path.read_text() + json.dumps(line))
    with pytest.raises(DecodeError, match=r"line 3: .* answered otherwise"):
        RecordedNode(path)
    with pytest.raises(UsageError, match="No such file"):
        RecordedNode(tmp_path / "none.jsonl")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[]", "line 1: an object is expected"),
        ("{", "line 1: not JSON"),
        ('{"path": "/wallet/getblockbynum"}', "no result"),
        ('{"path": 3, "result": 1}', "path must be a short text"), ("{" + " " * 5000, "over the size"),
    ],
)  # fmt: skip
def test_damaged_recordings(tmp_path: Path, content: str, reason: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(content)
    with pytest.raises(DecodeError, match=reason):
        RecordedNode(path, longest_line=4000)


def test_packed_recordings_are_bounded_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "r.jsonl.gz"
    path.write_bytes(gzip.compress(b" " * 100_000))
    with pytest.raises(DecodeError, match="over 1000 bytes when unpacked"):
        RecordedNode(path, largest=1000)
    path.write_bytes(gzip.compress(b"{}" * 1000)[:-9])
    with pytest.raises(DecodeError, match="damaged or cut off"):
        RecordedNode(path)
    path.write_bytes(b"plain")
    with pytest.raises(DecodeError, match="damaged or cut off"):
        RecordedNode(path)
