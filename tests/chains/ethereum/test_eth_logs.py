"""Tokens by their logs."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from eth_answers import word
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.ethereum.logs import KITTIES, Context, Decoded, Event, TokenTransfer, read
from calibar.chains.ethereum.receipts import Log
from calibar.chains.facts import (
    APPROVAL,
    BLACKLISTED,
    BURN,
    DESTROYED,
    MINT,
    NFT,
    PAUSED,
    SPENT_FOR,
    SWAP_V2,
    SWAP_V3,
    TOKEN,
    UNBLACKLISTED,
    UNPAUSED,
    ZERO,
)
from calibar.chains.topics import TRANSFER, topic

T, ME, YOU, OTHER = (bytes([value]) * 20 for value in (0xAA, 1, 2, 3))


def said(*logs: tuple[str | bytes, tuple[bytes | int, ...], bytes], context: Context | None = None) -> Decoded:
    """Reads logs of the contract T, given by signature, further topics and data."""
    found = [
        Log(T, (topic(first) if isinstance(first, str) else first, *map(word, topics)), data, at)
        for at, (first, topics, data) in enumerate(logs)
    ]
    return read(found, context or Context())


def transfer(sender: bytes, to: bytes, amount: int) -> tuple[bytes, tuple[bytes, bytes], bytes]:
    return TRANSFER, (sender, to), word(amount)


def test_the_topics_are_the_published_ones() -> None:
    assert TRANSFER.hex() == "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
    published = {
        "Approval(address,address,uint256)": "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925",
        "Deposit(address,uint256)": "e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c",
        "Withdrawal(address,uint256)": "7fcf532c15f0a6db0bd6d0e038bea71d30d808c7d98cb3bf7268a95bf5081b65",
        "AddedBlackList(address)": "42e160154868087d6bfdc0ca23d96a1c1cfa32f1b72ba9ba27b69b98a0d819dc",
        "DestroyedBlackFunds(address,uint256)": "61e6e66b0d6339b2980aecc6ccc0039736791f0ccde9ed512e789a7fbdd698c6",
        "Issue(uint256)": "cb8241adb0c3fdb35b70c24ce35c5eb0c17af7431c99f827d44a445ca624176a",
        "Redeem(uint256)": "702d5967f45f6513a38ffc42d6ba9bf230bd40e8f53b16363c7eb4fd2deb9a44",
        "Blacklisted(address)": "ffa4e6181777692565cf28528fc88fd1516ea86b56da075235fa575af6a4b855",
        "Swap(address,uint256,uint256,uint256,uint256,address)":
            "d78ad95fa46c994b6551d0da85fc275fe613ce37657fb8d5e3d130840159d822",
        "Swap(address,address,int256,int256,uint160,uint128,int24)":
            "c42079f94a6350d7e6235f29174924f928cc2ac818eb64fed8004e115fbcca67",
        "TransferSingle(address,address,address,uint256,uint256)":
            "c3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62",
        "TransferBatch(address,address,address,uint256[],uint256[])":
            "4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb",
    }  # fmt: skip
    assert {signature: topic(signature).hex() for signature in published} == published


def test_transfers_mint_and_burn() -> None:
    found = said(
        transfer(ME, YOU, 5),
        transfer(ZERO, YOU, 6),
        transfer(ME, ZERO, 7),
        transfer(ZERO, ZERO, 8),
        transfer(ME, YOU, 0),
    )
    assert found.transfers == [
        TokenTransfer(TOKEN, T, ME, YOU, 5, 0),
        TokenTransfer(MINT, T, ZERO, YOU, 6, 1),
        TokenTransfer(BURN, T, ME, ZERO, 7, 2),
        TokenTransfer(TOKEN, T, ME, YOU, 0, 4),
    ]


def test_a_transfer_without_indexed_fields_is_read_and_other_forms_are_said() -> None:
    assert said((TRANSFER, (), word(ME) + word(YOU) + word(5))).transfers == [TokenTransfer(TOKEN, T, ME, YOU, 5, 0)]
    for topics, data in (
        ((ME,), word(YOU) + word(5)),
        ((ME, YOU), b""),
        ((ME, YOU), word(1) * 2),
        ((b"\1" * 32, YOU), word(5)),
    ):
        found = said((TRANSFER, topics, data))
        assert found.transfers == []
        assert "form of its own" in found.notes[0]


def test_tokens_that_are_no_money_are_events() -> None:
    assert said((TRANSFER, (ME, YOU, 77), b"")).events == [Event(NFT, T, ME, YOU, 77, 0)]
    kitty = Log(KITTIES, (TRANSFER,), word(ME) + word(YOU) + word(9), 4)
    assert read([kitty], Context()).events == [Event(NFT, KITTIES, ME, YOU, 9, 4)]
    single = ("TransferSingle(address,address,address,uint256,uint256)", (OTHER, ME, YOU), word(7) + word(1000))
    assert said(single).events == [Event(NFT, T, ME, YOU, 7, 0)]
    lists = word(64) + word(160) + word(2) + word(7) + word(8) + word(2) + word(1) + word(1)
    batch = ("TransferBatch(address,address,address,uint256[],uint256[])", (OTHER, ME, YOU), lists)
    assert [event.amount for event in said(batch).events] == [7, 8]
    for data in (b"", word(1 << 255) * 2, word(64) + word(0) + word(1 << 200), word(64) + word(0) + word(3) + word(1)):
        assert said((batch[0], batch[1], data)).events == []


def test_wrapped_coins_are_minted_once() -> None:
    deposit = ("Deposit(address,uint256)", (ME,), word(5))
    withdrawal = ("Withdrawal(address,uint256)", (ME,), word(5))
    assert said(deposit).transfers == [TokenTransfer(MINT, T, ZERO, ME, 5, 0)]
    assert said(withdrawal).transfers == [TokenTransfer(BURN, T, ME, ZERO, 5, 0)]
    assert said(deposit, transfer(ZERO, ME, 5)).transfers == [TokenTransfer(MINT, T, ZERO, ME, 5, 1)]
    assert said(transfer(ME, ZERO, 5), withdrawal).transfers == [TokenTransfer(BURN, T, ME, ZERO, 5, 0)]
    assert len(said(deposit, transfer(ZERO, ME, 6)).transfers) == 2


def test_a_deposit_of_something_else_is_no_wrapped_coin() -> None:
    deposit = ("Deposit(address,uint256)", (ME,), word(5))
    moved = Log(OTHER, (TRANSFER, word(ME), word(T)), word(5), 0)
    logged = Log(T, (topic(deposit[0]), word(ME)), word(5), 1)
    assert [one.asset for one in read([moved, logged], Context()).transfers] == [OTHER]
    assert said(deposit, context=Context(native=frozenset())).transfers == []
    assert len(said(deposit, context=Context(native=frozenset({(ME, T, 5)}))).transfers) == 1


def test_an_issuer_freezes_and_destroys() -> None:
    found = said(
        ("AddedBlackList(address)", (), word(ME)), ("DestroyedBlackFunds(address,uint256)", (), word(ME) + word(9)),
        ("RemovedBlackList(address)", (), word(ME)), ("Blacklisted(address)", (YOU,), b""),
        ("UnBlacklisted(address)", (YOU,), b""), ("Pause()", (), b""), ("Unpaused(address)", (), word(ME)),
    )  # fmt: skip
    assert found.transfers == [TokenTransfer(DESTROYED, T, ME, ZERO, 9, 1)]
    assert [(event.kind, event.a) for event in found.events] == [
        (BLACKLISTED, ME), (UNBLACKLISTED, ME), (BLACKLISTED, YOU), (UNBLACKLISTED, YOU),
        (PAUSED, ZERO), (UNPAUSED, ZERO),
    ]  # fmt: skip
    wiped = said(("DestroyedBlockedFunds(address,uint256)", (ME,), word(9)), transfer(ME, ZERO, 9))
    assert wiped.transfers == [TokenTransfer(DESTROYED, T, ME, ZERO, 9, 1)]


@pytest.mark.parametrize(
    ("context", "holder"),
    [
        (Context(sender=ME, to=T), ME),
        (Context(sender=ME, to=YOU), None),
        (Context(sender=ME, to=YOU, issuers={(T, "issue"): YOU, (T, "redeem"): YOU}), YOU),
    ],
)
def test_who_is_issued_to_is_known_from_the_transaction_or_not(context: Context, holder: bytes | None) -> None:
    found = said(("Issue(uint256)", (), word(5)), ("Redeem(uint256)", (), word(4)), context=context)
    if holder is None:
        assert found.transfers == []
        assert len(found.notes) == 2
    else:
        assert found.transfers == [
            TokenTransfer(MINT, T, ZERO, holder, 5, 0), TokenTransfer(BURN, T, holder, ZERO, 4, 1)
        ]  # fmt: skip
    again = said(("Issue(uint256)", (), word(5)), transfer(ZERO, OTHER, 5), context=context)
    assert again.transfers == [TokenTransfer(MINT, T, ZERO, OTHER, 5, 1)]


def test_who_spends_for_another_is_said() -> None:
    data = bytes.fromhex("23b872dd") + word(ME) + word(YOU) + word(5)
    found = said(transfer(ME, YOU, 5), context=Context(sender=OTHER, to=T, input=data))
    assert found.events == [Event(SPENT_FOR, T, ME, OTHER, 5, 0)]
    assert said(transfer(ME, YOU, 5), context=Context(sender=ME, to=T, input=data)).events == []
    assert said(transfer(ME, YOU, 5), context=Context(sender=OTHER, to=YOU, input=data)).events == []
    approval = said(("Approval(address,address,uint256)", (ME, YOU), word(2**256 - 1)))
    assert approval.events == [Event(APPROVAL, T, ME, YOU, 2**256 - 1, 0)]


def test_swaps() -> None:
    v2 = ("Swap(address,uint256,uint256,uint256,uint256,address)", (ME, YOU), word(1) * 4)
    v3 = ("Swap(address,address,int256,int256,uint160,uint128,int24)", (ME, YOU), word(1) * 5)
    assert [event.kind for event in said(v2, v3).events] == [SWAP_V2, SWAP_V3]


def _expected(rows: list[dict[str, Any]]) -> list[tuple[str, str, str, int, int]]:
    return [
        (row["token_address"], row["from_address"], row["to_address"], int(row["value"]), int(row["log_index"]))
        for row in rows
    ]


def _transfers(logs: list[Log]) -> list[tuple[str, str, str, int, int]]:
    found = read(logs, Context())
    return [
        ("0x" + one.asset.hex(), "0x" + one.sender.hex(), "0x" + one.recipient.hex(), one.amount, one.position)
        for one in found.transfers
    ]


def test_ethereum_etl_reads_the_same_transfers(data: Path) -> None:
    root = data / "ethereum" / "ethereum-etl"
    folder = root / "test_extract_token_transfers_job" / "logs"
    with (folder / "logs.csv").open() as file:
        logs = [
            Log(
                _octets(row["address"]),
                tuple(map(_octets, row["topics"].split(","))),
                _octets(row["data"]),
                int(row["log_index"]),
            )
            for row in csv.DictReader(file)
        ]
    with (folder / "expected_token_transfers.csv").open() as file:
        assert _transfers(logs) == _expected(list(csv.DictReader(file)))
    folder = root / "test_export_token_transfers_job" / "block_with_transfers"
    told = json.loads((folder / "web3_response.eth_getFilterLogs_0x0.json").read_text())["result"]
    with (folder / "expected_token_transfers.csv").open() as file:
        assert _transfers([_log(one) for one in told]) == _expected(list(csv.DictReader(file)))
    for name in ("blocks_1755634_1755635", "blocks_17173049_17173050"):
        lines = (root / "test_stream" / name / "expected_logs.json").read_text().splitlines()
        told = [row for row in map(json.loads, lines) if row["topics"] and _octets(row["topics"][0]) == TRANSFER]
        money = [row for row in told if len(row["topics"]) == 3]
        logs = [
            Log(_octets(row["address"]), tuple(map(_octets, row["topics"])), _octets(row["data"]), row["log_index"])
            for row in told
        ]
        lines = (root / "test_stream" / name / "expected_token_transfers.json").read_text().splitlines()
        keys = {(row["block_number"], row["log_index"]) for row in money}
        rows = [row for row in map(json.loads, lines) if (row["block_number"], row["log_index"]) in keys]
        assert len(rows) == len(money)
        assert _transfers(logs) == _expected(rows)


def _log(told: dict[str, Any]) -> Log:
    return Log(
        _octets(told["address"]), tuple(map(_octets, told["topics"])), _octets(told["data"]), int(told["logIndex"], 16)
    )


def _octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])


KNOWN = [TRANSFER, *map(topic, ("Issue(uint256)", "Deposit(address,uint256)", "Pause()", "AddedBlackList(address)",
         "DestroyedBlackFunds(address,uint256)", "TransferBatch(address,address,address,uint256[],uint256[])",
         "Swap(address,uint256,uint256,uint256,uint256,address)", "Approval(address,address,uint256)"))]  # fmt: skip
WORDS = st.one_of(st.binary(min_size=32, max_size=32), st.just(word(ME)), st.just(word(64)))


@given(st.lists(st.tuples(st.sampled_from(KNOWN), st.lists(WORDS, max_size=3), st.binary(max_size=200)), max_size=5))
def test_no_log_breaks_the_reading(logs: list[tuple[bytes, list[bytes], bytes]]) -> None:
    found = read([Log(T, (first, *rest), data, at) for at, (first, rest, data) in enumerate(logs)], Context())
    assert all(0 <= one.amount < 1 << 256 and len(one.sender) == len(one.recipient) == 20 for one in found.transfers)
    assert all(len(one.a) == len(one.b) == 20 for one in found.events)
