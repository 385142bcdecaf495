"""Protobuf's wire format: examples from its documentation, and messages made anew."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.tron import protobuf
from calibar.errors import DecodeError


def test_examples_of_the_documentation() -> None:
    assert protobuf.integer_field(1, 150) == bytes.fromhex("089601")
    assert protobuf.bytes_field(2, b"testing") == bytes.fromhex("120774657374696e67")
    assert protobuf.varint(-2) == bytes.fromhex("feffffffffffffffff01")
    assert protobuf.integer_field(3, 0) == protobuf.bytes_field(3, b"") == b""
    assert protobuf.message_field(5, b"") == b"\x2a\x00"


@given(st.lists(st.tuples(st.integers(1, 2**29 - 1), st.one_of(st.integers(-(2**63), 2**63 - 1), st.binary()))))
def test_what_is_written_is_read(fields: list[tuple[int, int | bytes]]) -> None:
    data = b"".join(
        protobuf.message_field(n, v) if isinstance(v, bytes) else protobuf.varint(n << 3) + protobuf.varint(v)
        for n, v in fields
    )
    read = protobuf.decode(data, "m")
    assert [(f.number, f.value if isinstance(f.value, bytes) else protobuf.signed(f.value)) for f in read] == fields


@given(st.binary(max_size=60))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    try:
        protobuf.decode(data, "m")
    except DecodeError as e:
        assert "\n" not in str(e)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        ("0880", "cut off in the integer at byte 1"),
        ("08" + "ff" * 10 + "01", "more than 10 bytes"),
        ("08" + "ff" * 9 + "7f", "exceeds 64 bits"),
        ("1205ff", "5 bytes announced at byte 2, 1 are there"),
        ("00", "none of protobuf"),
        ("0b", "wire type 3"),
        ("09" + "00" * 7, "8 bytes announced"),
    ],
)
def test_damage_is_named(data: str, reason: str) -> None:
    with pytest.raises(DecodeError, match=reason):
        protobuf.decode(bytes.fromhex(data), "m")


def test_fields_without_end_are_refused() -> None:
    with pytest.raises(DecodeError, match="more than 100000 fields"):
        protobuf.decode(b"\x08\x00" * 100_001, "m")


def test_the_last_of_a_field_counts() -> None:
    fields = protobuf.decode(bytes.fromhex("080108021a01611a0162"), "m")
    assert protobuf.integer_of(fields, 1, "m") == 2
    assert protobuf.bytes_of(fields, 3, "m") == b"b"
    assert protobuf.each_of(fields, 3, "m") == [b"a", b"b"]
    with pytest.raises(DecodeError):
        protobuf.bytes_of(fields, 1, "m")
    with pytest.raises(DecodeError):
        protobuf.integer_of(fields, 3, "m")
