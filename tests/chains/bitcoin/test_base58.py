from __future__ import annotations

import pytest
from bip_utils import Base58Decoder, Base58Encoder
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin import base58
from calibar.errors import AddressError

GENESIS_ADDRESS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"


@given(st.binary(min_size=1, max_size=78))
def test_a_payload_survives_the_round_trip_and_another_library_agrees(payload: bytes) -> None:
    text = base58.encode(payload)
    assert text == Base58Encoder.CheckEncode(payload)
    assert base58.decode(text) == payload == Base58Decoder.CheckDecode(text)


@given(st.integers(0, 21))
def test_leading_zero_bytes_are_leading_ones(zeros: int) -> None:
    payload = bytes(zeros) + b"\xff" * (21 - zeros)
    text = base58.encode(payload)
    assert len(text) - len(text.lstrip("1")) == (zeros if zeros < 21 else text.count("1"))
    assert base58.decode(text) == payload


def test_genesis_pays_the_hash_in_its_address() -> None:
    assert base58.decode(GENESIS_ADDRESS).hex() == "0062e907b15cbf27d5425399ebf6f0fb50ebb88f18"


@pytest.mark.parametrize("character", list("0OIl é\n"))
def test_a_character_that_base58_lacks_is_named_with_its_position(character: str) -> None:
    with pytest.raises(AddressError) as refused:
        base58.decode(GENESIS_ADDRESS[:9] + character + GENESIS_ADDRESS[10:])
    assert f"character 10 is {character!r}" in str(refused.value)
    assert "\n" not in str(refused.value)


def test_many_wrong_characters_are_counted_not_listed() -> None:
    with pytest.raises(AddressError, match="character 1 is '0', character 2 is '0', character 3 is '0' and 5 more"):
        base58.decode("0" * 8)


@given(st.binary(min_size=20, max_size=20), st.sampled_from([0, 5, 111, 196]), st.data())
def test_a_single_wrong_character_is_located(program: bytes, version: int, data: st.DataObject) -> None:
    text = base58.encode(bytes([version]) + program)
    at = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.sampled_from(base58.ALPHABET.replace(text[at], "")))
    with pytest.raises(AddressError, match=rf"probably character (\d+ or )*{at + 1}( or \d+)* is wrong"):
        base58.decode(text[:at] + wrong + text[at + 1 :])


def test_a_lost_character_and_two_wrong_ones_have_no_position() -> None:
    for text in (GENESIS_ADDRESS[:20] + GENESIS_ADDRESS[21:], GENESIS_ADDRESS.replace("P", "Q")):
        with pytest.raises(AddressError, match="more than one character is wrong, or one is missing"):
            base58.decode(text)


@pytest.mark.parametrize(
    ("text", "reason"),
    [("", "empty"), ("1", "too short"), ("3QJmnh", "too short"), ("1" * 113, "too many"), ("2" * 60, "checksum")],
)
def test_texts_of_the_wrong_size_are_refused(text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        base58.decode(text)


@given(st.text(max_size=130))
def test_any_text_is_decoded_or_refused_in_one_line(text: str) -> None:
    try:
        assert base58.encode(base58.decode(text)) == text
    except AddressError as error:
        assert "\n" not in str(error)
