"""Addresses and transaction ids of rows: what cannot be is found, what is of an unknown chain is not judged."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.script import address_of
from calibar.chains.ethereum.address import encode
from calibar.chains.tron.address import to_base58
from calibar.records.identifiers import faults
from calibar.records.movement import Movement, Place

BITCOIN = "1BvBMSEYstWetqTFn5Au4m4GFg7xJaNVN2"
ETHEREUM = "0xF7F3B862B2e418D40877Ca69B2C12e2d1D49e687"


def row(asset: str = "BTC", **facts: str) -> Movement:
    place = Place("a.csv", "", 2)
    return Movement(0, "1", "", asset, Decimal(-1), "withdrawal", "w", place, None, tuple(facts.items()))


def said(asset: str = "BTC", **facts: str) -> list[str]:
    return [what for what, _ in faults(row(asset, **facts))]


@pytest.mark.parametrize(
    ("network", "address"),
    [
        ("BTC", BITCOIN[:-1] + "3"), ("", BITCOIN[:-1] + "3"), ("ETH", ETHEREUM[:-1] + "8"), ("", ETHEREUM[:-1]),
        ("TRC20", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6u"), ("ERC20", BITCOIN), ("TRX", ETHEREUM),
        ("BTC", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5"), ("BEP20", "0x12"),
    ],
)  # fmt: skip
def test_what_cannot_be(network: str, address: str) -> None:
    assert said("BTC" if address[0] == "1" else "USDT", network=network, address=address) == ["address"]


@pytest.mark.parametrize(
    ("asset", "network", "address"),
    [
        ("XRP", "XRP", "rEb8TK3gBgk5auZkwc6sHnwrGVJH8DuaLh"),
        ("SOL", "", "7EcDhSYGxXyscszYEp35KHN8vvw3svAuLKTzXwCFLtV"),
        ("BTC", "Lightning", "lnbc1"), ("BTC", "", ""), ("DOGE", "", "1nonsense"),
    ],
)  # fmt: skip
def test_what_nobody_here_knows_is_not_judged(asset: str, network: str, address: str) -> None:
    assert said(asset, network=network, address=address) == []


@given(st.binary(min_size=20, max_size=20), st.sampled_from(("mainnet", "regtest")))
def test_every_right_address_passes_and_one_wrong_character_does_not(data: bytes, name: str) -> None:
    coin = address_of(b"\0\x14" + data, NETWORKS[name])
    for network, address in (("BTC", coin), ("ETH", encode(data)), ("TRX", to_base58(data))):
        assert said("X", network=network, address=address, txid="ab" * 32) == []
        at = len(address) // 2
        wrong = "q" if address[at] not in "qQ" else "p"
        if network != "ETH":
            assert said("X", network=network, address=address[:at] + wrong + address[at + 1 :]) == ["address"]


def test_ids_with_missing_digits() -> None:
    assert said(txid="ab" * 31) == ["transaction id"]
    assert said(txid="0x" + "ab" * 31 + "a") == ["transaction id"]
    assert said(txid="0x" + "AB" * 32) == said(txid="Internal transfer 1234567") == said(txid="") == []
