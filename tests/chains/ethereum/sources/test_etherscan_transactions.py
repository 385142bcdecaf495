"""One transaction by Etherscan: its fee, value, calls and logs, and the lies about these."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress

import pytest
from etherscan_opened import answer_of, opened
from evm_explorers import ASKED, USDT, Reply, Row
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.ethereum.sources.etherscan import read
from calibar.chains.remote import transfers_told as told
from calibar.errors import DecodeError

SENT = {
    "hash": "0x" + "11" * 32, "blockHash": "0x" + "22" * 32, "blockNumber": "0x10", "transactionIndex": "0x3",
    "from": "0x" + ASKED.hex(), "to": "0x" + USDT.hex(), "value": "0xde0b6b3a7640000", "gasPrice": "0x5",
    "input": "0xa9059cbb",
}  # fmt: skip
RECEIPT = {
    "transactionHash": SENT["hash"], "blockHash": SENT["blockHash"], "blockNumber": "0x10", "status": "0x1",
    "gasUsed": "0x64", "cumulativeGasUsed": "0xc8", "effectiveGasPrice": "0x7", "contractAddress": None, "type": "0x3",
    "blobGasUsed": "0x2", "blobGasPrice": "0xa", "logsBloom": "0x" + "00" * 256,
    "logs": [
        {
            "address": "0x" + USDT.hex(), "data": "0x" + f"{9:064x}", "logIndex": "0x2a",
            "topics": [
                "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
                "0x" + ASKED.hex().rjust(64, "0"), "0x" + ("33" * 20).rjust(64, "0"),
            ],
        }
    ],
}  # fmt: skip
INSIDE = {
    "blockNumber": "16", "timeStamp": "1700000000", "from": "0x" + USDT.hex(), "to": "0x" + ASKED.hex(), "value": "6",
    "contractAddress": "", "type": "call", "isError": "0",
}  # fmt: skip


def _transaction(sent: object, receipt: object, inside: list[Row]) -> Callable[[str, dict[str, str]], Reply]:
    def answer(_: str, query: dict[str, str]) -> Reply:
        if query["action"] == "txlistinternal":
            return 200, {"status": "1" if inside else "0", "message": "No transactions found", "result": inside}
        chosen = sent if query["action"] == "eth_getTransactionByHash" else receipt
        return 200, {"jsonrpc": "2.0", "id": 1, "result": chosen}

    return answer


def test_a_transaction_has_fee_value_calls_and_logs() -> None:
    with opened(_transaction(SENT, RECEIPT, [INSIDE])) as (explorer, kept, _):
        found = answer_of(explorer, told.TransactionQuestion(b"\x11" * 32))
        assert [(row.kind, row.amount, row.position, row.time) for row in found.rows] == [
            ("fee", 720, None, 1700000000), ("value", 10**18, None, 1700000000), ("internal", 6, None, 1700000000),
            ("token", 9, 42, 1700000000),
        ]  # fmt: skip
        assert (found.height, found.succeeded) == (16, True)
        assert list(read(kept[0].request, kept[0].response)) == [found]


def test_a_failed_transaction_has_its_fee_alone() -> None:
    with opened(_transaction(SENT, RECEIPT | {"status": "0x0"}, [])) as (explorer, _, _):
        found = answer_of(explorer, told.TransactionQuestion(b"\x11" * 32))
        assert [row.kind for row in found.rows] == ["fee"] and not found.succeeded


@pytest.mark.parametrize(
    ("sent", "receipt", "inside", "words"),
    [
        (SENT | {"hash": "0x" + "12" * 32}, RECEIPT, [], "another transaction"),
        (SENT, RECEIPT | {"transactionHash": "0x" + "12" * 32}, [], "another transaction"),
        (SENT, RECEIPT | {"blockHash": "0x" + "12" * 32}, [], "different blocks"),
        (SENT, RECEIPT | {"gasUsed": "100"}, [], "hexadecimal"),
        (SENT, RECEIPT | {"status": "0x0"}, [INSIDE], "failed"),
        (SENT, RECEIPT, [INSIDE | {"blockNumber": "17"}], "not that of the transaction"),
        (SENT | {"to": None}, RECEIPT, [], "creation"),
    ],
)
def test_lies_about_a_transaction_are_named(sent: object, receipt: object, inside: list[Row], words: str) -> None:
    with opened(_transaction(sent, receipt, inside)) as (explorer, _, _), pytest.raises(DecodeError, match=words):
        answer_of(explorer, told.TransactionQuestion(b"\x11" * 32))


def test_an_unknown_transaction_is_refused() -> None:
    with opened(_transaction(None, None, [])) as (explorer, kept, _):
        assert isinstance(answer_of(explorer, told.TransactionQuestion(b"\x11" * 32)), Refusal)
        assert list(read(kept[0].request, kept[0].response)) == []


_REQUEST = f"/api?action=eth_getTransactionByHash&chainid=1&module=proxy&txhash={SENT['hash']}"
_LEAVES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False) | st.just([])
)


@given(st.sampled_from([*SENT, *INSIDE, *RECEIPT]), _LEAVES | st.lists(_LEAVES) | st.dictionaries(st.text(), _LEAVES))
def test_reading_odd_fields_raises_nothing_but_its_error(name: str, value: object) -> None:
    pages = [
        {"result": SENT | {name: value}}, {"result": RECEIPT | {name: value}},
        {"status": "1", "result": [INSIDE | {name: value}]},
    ]  # fmt: skip
    with suppress(DecodeError):
        list(read(_REQUEST, json.dumps([json.dumps(page) for page in pages]).encode()))
