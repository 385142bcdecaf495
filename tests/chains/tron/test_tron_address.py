"""TRON's three forms of an address, against another implementation and published vectors."""

from __future__ import annotations

import pytest
from bip_utils import TrxAddrDecoder, TrxAddrEncoder
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.tron import address
from calibar.errors import AddressError

USDT = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"


@pytest.mark.parametrize(
    ("text", "hexadecimal"),
    [
        (USDT, "41a614f803b6fd780986a42c78ec9c7f77e6ded13c"),
        ("TNUC9Qb1rRpS5CbWLmNMxXBjyFoydXjWFR", "41891cdb91d149f23b1a45d9c5ca78a88d0cb44c18"),
        ("T9yD14Nj9j7xAB4dbGeiX9h8unkKHxuWwb", "41" + "00" * 20),
        ("TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy", "41" + "77944d19c052b73ee2286823aa83f8138cb7032f"),
    ],
)
def test_published_pairs(text: str, hexadecimal: str) -> None:
    data = bytes.fromhex(hexadecimal)[1:]
    assert address.parse(text) == address.parse(hexadecimal) == address.parse("0x" + hexadecimal[2:]) == data
    assert address.to_base58(data) == text
    assert address.to_hex(data) == hexadecimal


@given(st.integers(1, 2**200))
def test_the_same_as_bip_utils(secret: int) -> None:
    key = ec.derive_private_key(secret, ec.SECP256K1()).public_key()
    theirs = TrxAddrEncoder.EncodeKey(key.public_bytes(Encoding.X962, PublicFormat.CompressedPoint))
    assert address.parse(theirs) == TrxAddrDecoder.DecodeAddr(theirs)
    assert address.to_base58(address.parse(theirs)) == theirs


@given(st.binary(min_size=20, max_size=20))
def test_every_form_leads_back(data: bytes) -> None:
    assert address.parse(address.to_base58(data)) == address.parse(address.to_hex(data)) == data
    assert address.from_bytes(address.with_prefix(data)) == data
    assert address.to_base58(data).startswith("T")
    assert len(address.to_base58(data)) == address.LENGTH


def test_one_wrong_character_is_named() -> None:
    with pytest.raises(AddressError, match="probably character 11 "):
        address.parse(USDT[:10] + "z" + USDT[11:])
    with pytest.raises(AddressError, match="character 5 is 'O'"):
        address.parse(USDT[:4] + "O" + USDT[5:])
    with pytest.raises(AddressError, match="character 3 is 'g', not hexadecimal"):
        address.parse("41g614f803b6fd780986a42c78ec9c7f77e6ded13c")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "T",
        "x" * 5000,
        "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
        "42" + "00" * 20,
        "41" + "00" * 19,
        "é" * 34,
        USDT + " ",
    ],
)
def test_what_is_none_is_refused_in_one_line(text: str) -> None:
    with pytest.raises(AddressError) as caught:
        address.parse(text)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 300


@given(st.text(max_size=50))
def test_any_text_is_read_or_refused(text: str) -> None:
    try:
        assert len(address.parse(text)) == 20
    except AddressError as e:
        assert "\n" not in str(e)


@pytest.mark.parametrize("data", [b"", bytes(19), bytes(21)])
def test_wrong_lengths(data: bytes) -> None:
    with pytest.raises(AddressError):
        address.to_hex(data)
    with pytest.raises(AddressError):
        address.from_bytes(data)
