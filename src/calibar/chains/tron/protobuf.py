"""Protocol Buffers' wire format, as far as TRON's hashes need it: varints and length-delimited fields.

Source: the encoding chapter of the Protocol Buffers documentation. An encoder writes fields in ascending order and
leaves out zero and empty ones, which is what java-tron hashes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from calibar.errors import DecodeError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
MOST_FIELDS: Final = 100_000
"""Fields that a message may have; more is refused."""

_LARGEST_NUMBER: Final = (1 << 29) - 1
_FIXED: Final = {FIXED64: 8, FIXED32: 4}


@dataclass(frozen=True, slots=True)
class Field:
    """One field as it stands: `value` is an unsigned integer or bytes, by wire type."""

    number: int
    wire: int
    value: int | bytes


def varint(value: int) -> bytes:
    """A 64-bit integer, negative ones in two's complement. Raises OverflowError outside int64 and uint64."""
    if not -(1 << 63) <= value < 1 << 64:
        raise OverflowError(f"{value} does not fit 64 bits")
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def integer_field(number: int, value: int) -> bytes:
    """An integer or enum field; nothing for zero."""
    return varint(number << 3 | VARINT) + varint(value) if value else b""


def bytes_field(number: int, value: bytes) -> bytes:
    """A bytes, string or optional message field; nothing where it is empty."""
    return message_field(number, value) if value else b""


def message_field(number: int, value: bytes) -> bytes:
    """An entry of a repeated field: written even where it is empty."""
    return varint(number << 3 | BYTES) + varint(len(value)) + value


def signed(value: int) -> int:
    """An int64 field's value from the unsigned one on the wire."""
    return value - (1 << 64) if value >> 63 else value


def decode(data: bytes, what: str) -> list[Field]:
    """The fields of one message, in their order. Raises DecodeError for bytes that are none."""
    fields: list[Field] = []
    at = 0
    while at < len(data):
        if len(fields) >= MOST_FIELDS:
            raise DecodeError(f"{what}: more than {MOST_FIELDS} fields; refused")
        tag, at = _varint(data, at, what)
        number, wire = tag >> 3, tag & 7
        if not 0 < number <= _LARGEST_NUMBER:
            raise DecodeError(f"{what}: field number {number} at byte {at} is none of protobuf")
        value: int | bytes
        if wire == VARINT:
            value, at = _varint(data, at, what)
        elif wire == BYTES:
            length, at = _varint(data, at, what)
            value, at = _bytes(data, at, length, what)
        elif wire in _FIXED:
            value, at = _bytes(data, at, _FIXED[wire], what)
        else:
            raise DecodeError(f"{what}: wire type {wire} at byte {at} is not in use")
        fields.append(Field(number, wire, value))
    return fields


def integer_of(fields: list[Field], number: int, what: str) -> int:
    """The int64 of a field, 0 where it is not given; the last counts, as protobuf says."""
    for field in reversed(fields):
        if field.number == number:
            if not isinstance(field.value, int):
                raise DecodeError(f"{what}: field {number} is not an integer")
            return signed(field.value)
    return 0


def bytes_of(fields: list[Field], number: int, what: str) -> bytes:
    """The bytes of a field, empty where it is not given; the last counts."""
    for field in reversed(fields):
        if field.number == number:
            return _as_bytes(field, what)
    return b""


def each_of(fields: list[Field], number: int, what: str) -> list[bytes]:
    """All entries of a repeated bytes or message field."""
    return [_as_bytes(field, what) for field in fields if field.number == number]


def _as_bytes(field: Field, what: str) -> bytes:
    if field.wire != BYTES or not isinstance(field.value, bytes):
        raise DecodeError(f"{what}: field {field.number} is not length-delimited")
    return field.value


def _varint(data: bytes, at: int, what: str) -> tuple[int, int]:
    value = shift = 0
    start = at
    while True:
        if at >= len(data):
            raise DecodeError(f"{what}: cut off in the integer at byte {start}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
        if shift > 63:
            raise DecodeError(f"{what}: the integer at byte {start} has more than 10 bytes")
    if value >> 64:
        raise DecodeError(f"{what}: the integer at byte {start} exceeds 64 bits")
    return value, at


def _bytes(data: bytes, at: int, length: int, what: str) -> tuple[bytes, int]:
    if length > len(data) - at:
        raise DecodeError(f"{what}: {length} bytes announced at byte {at}, {len(data) - at} are there")
    return data[at : at + length], at + length
