"""Recursive length prefix, the encoding of what Ethereum hashes (Yellow Paper, appendix B)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, TypeAlias

from calibar.errors import DecodeError

Item: TypeAlias = "bytes | int | Sequence[Item]"
"""What is encoded: bytes, an integer (big-endian without leading zeros) or a list of such."""
Decoded: TypeAlias = "bytes | list[Decoded]"

DEEPEST: Final = 64
"""No item in use nests deeper; decoding calls itself."""


def encode(item: Item) -> bytes:
    """Encoding of bytes, integers and lists. Raises OverflowError for a negative integer."""
    if isinstance(item, int):
        item = item.to_bytes((item.bit_length() + 7) // 8)
    if isinstance(item, bytes):
        if len(item) == 1 and item[0] < 0x80:
            return item
        return _prefix(0x80, len(item)) + item
    return join([encode(part) for part in item])


def join(encoded: Sequence[bytes]) -> bytes:
    """The list of items that are encoded already."""
    payload = b"".join(encoded)
    return _prefix(0xC0, len(payload)) + payload


def decode(data: bytes, *, deepest: int = DEEPEST) -> Decoded:
    """The one item of `data`. Raises DecodeError for what is cut off, left over, nested too deeply or not minimal."""
    item, end = _item(data, 0, len(data), deepest)
    if end != len(data):
        raise DecodeError(f"{len(data) - end} bytes are left over after an RLP item of {end}")
    return item


def split(data: bytes, *, deepest: int = DEEPEST) -> list[bytes]:
    """The items of `data` one after another, each still encoded, as files of exported blocks hold them."""
    parts, at = [], 0
    while at < len(data):
        _, end = _item(data, at, len(data), deepest)
        parts.append(data[at:end])
        at = end
    return parts


def integer(item: Decoded) -> int:
    """A decoded integer. Raises DecodeError for a list or leading zeros."""
    if isinstance(item, list) or item[:1] == b"\0":
        raise DecodeError("an RLP item is not an integer")
    return int.from_bytes(item)


def _prefix(base: int, size: int) -> bytes:
    if size < 56:
        return bytes([base + size])
    length = size.to_bytes((size.bit_length() + 7) // 8)
    return bytes([base + 55 + len(length)]) + length


def _item(data: bytes, at: int, end: int, deepest: int) -> tuple[Decoded, int]:
    if at >= end:
        raise DecodeError(f"RLP is cut off at byte {at}")
    first = data[at]
    if first < 0x80:
        return data[at : at + 1], at + 1
    is_list = first >= 0xC0
    size = first - (0xC0 if is_list else 0x80)
    start = at + 1
    if size > 55:
        width = size - 55
        start += width
        length = data[at + 1 : start]
        size = int.from_bytes(length)
        if len(length) != width or length[0] == 0 or size < 56:
            raise DecodeError(f"RLP has a length at byte {at} that is cut off or not minimal")
    if size > end - start:
        raise DecodeError(f"RLP is cut off: byte {at} announces {size} bytes where {end - start} are left")
    if not is_list:
        value = data[start : start + size]
        if size == 1 and value[0] < 0x80:
            raise DecodeError(f"RLP has a byte at {at} that is not in its minimal form")
        return value, start + size
    if deepest <= 0:
        raise DecodeError(f"RLP nests too deeply at byte {at}")
    items: list[Decoded] = []
    at, stop = start, start + size
    while at < stop:
        item, at = _item(data, at, stop, deepest - 1)
        items.append(item)
    return items, stop
