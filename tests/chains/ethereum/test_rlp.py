"""RLP, by the examples of its definition and by round trips."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.ethereum import rlp
from calibar.errors import DecodeError

NESTED: st.SearchStrategy[rlp.Decoded] = st.recursive(st.binary(max_size=70), lambda part: st.lists(part, max_size=6))


@pytest.mark.parametrize(
    ("item", "encoded"),
    [
        (b"dog", "83646f67"),
        ([b"cat", b"dog"], "c88363617483646f67"),
        (b"", "80"),
        ([], "c0"),
        (0, "80"),
        (15, "0f"),
        (1024, "820400"),
        ([[], [[]], [[], [[]]]], "c7c0c1c0c3c0c1c0"),
        (b"Lorem ipsum dolor sit amet, consectetur adipisicing elit",
         "b8384c6f72656d20697073756d20646f6c6f722073697420616d65742c20636f6e7365637465747572206164697069736963696e6720656c6974"),
    ],
)  # fmt: skip
def test_the_examples_of_the_definition(item: rlp.Item, encoded: str) -> None:
    assert rlp.encode(item).hex() == encoded


@given(NESTED)
def test_what_is_encoded_is_decoded(item: rlp.Decoded) -> None:
    assert rlp.decode(rlp.encode(item)) == item
    assert rlp.split(rlp.encode(item) * 2) == [rlp.encode(item)] * 2


@given(st.binary(max_size=300))
def test_bytes_have_one_meaning_or_are_refused(data: bytes) -> None:
    try:
        item = rlp.decode(data)
    except DecodeError as error:
        assert "\n" not in str(error)
    else:
        assert rlp.encode(item) == data


@pytest.mark.parametrize(
    "data", ["", "81", "8101", "b800", "b83701", "b90001", "c1", "c180ff", "bfffffffffffffffff", "f80001", "8080"]
)
def test_other_encodings_are_refused(data: str) -> None:
    with pytest.raises(DecodeError):
        rlp.decode(bytes.fromhex(data))


def test_depth_is_bounded() -> None:
    data = b"\xc0"
    for _ in range(200):
        data = rlp.join([data])
    with pytest.raises(DecodeError, match="too deeply"):
        rlp.decode(data)


def test_an_integer_has_no_leading_zeros() -> None:
    assert rlp.integer(b"\x04\x00") == 1024
    with pytest.raises(DecodeError):
        rlp.integer(b"\x00\x04")
