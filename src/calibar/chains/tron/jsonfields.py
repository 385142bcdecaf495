"""Reading answers of a node: JSON that must be of the shape expected, else one line that says where it is not."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

from calibar.chains.tron import address
from calibar.errors import AddressError, DecodeError

Json = Mapping[str, Any]
INT64: Final = (1 << 63) - 1
LONGEST_HEX: Final = 1 << 25


def parse(data: bytes, what: str) -> Any:
    """The document in `data`. Raises DecodeError for what is not JSON in UTF-8, nests too deep or is no number."""
    try:
        return json.loads(data, parse_constant=_no_constant)
    except RecursionError:
        raise DecodeError(f"{what}: JSON that nests too deep; refused") from None
    except (ValueError, UnicodeDecodeError) as e:
        raise DecodeError(f"{what}: not JSON ({_one_line(str(e))})") from None


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _one_line(text: str) -> str:
    return " ".join(text.split())[:120]


def said(text: object) -> str:
    """Words from outside as they may stand in a message: one line, printable, at most 160 characters."""
    return "".join(c if c.isprintable() else " " for c in str(text)[:160]).strip()


def mapping(value: object, what: str) -> Json:
    """An object. Raises DecodeError."""
    if not isinstance(value, dict):
        raise DecodeError(f"{what}: an object is expected, not {_kind(value)}")
    return value


def listing(of: Json, key: str, what: str, most: int) -> list[Any]:
    """A list under a key, empty where it is not given. Raises DecodeError, also for more than `most`."""
    value = of.get(key, [])
    if not isinstance(value, list):
        raise DecodeError(f"{what}: {key} must be a list, not {_kind(value)}")
    if len(value) > most:
        raise DecodeError(f"{what}: {len(value)} entries of {key} are over {most}; refused")
    return value


def integer(of: Json, key: str, what: str, lowest: int = 0, highest: int = INT64) -> int:
    """An integer under a key, 0 where it is not given (as java-tron leaves it out). Raises DecodeError."""
    value = of.get(key, 0)
    if isinstance(value, str) and value.isascii() and value.removeprefix("-").isdigit() and len(value) <= 20:
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise DecodeError(f"{what}: {key} must be an integer, not {_kind(value)}")
    if not lowest <= value <= highest:
        raise DecodeError(f"{what}: {key} {value if abs(value) < 1 << 80 else 'of many digits'} is out of range")
    return value


def octets(of: Json, key: str, what: str, size: int | None = None) -> bytes:
    """Hexadecimal under a key as bytes, empty where it is not given. Raises DecodeError."""
    value = of.get(key, "")
    if not isinstance(value, str):
        raise DecodeError(f"{what}: {key} must be hexadecimal text, not {_kind(value)}")
    if len(value) > LONGEST_HEX:
        raise DecodeError(f"{what}: {key} has {len(value)} characters; refused")
    try:
        data = bytes.fromhex(value) if " " not in value else None
    except ValueError:
        data = None
    if data is None or len(data) * 2 != len(value):
        raise DecodeError(f"{what}: {key} is not hexadecimal: {said(value[:40])!r}")
    if size is not None and len(data) != size:
        raise DecodeError(f"{what}: {key} has {len(data)} bytes, not {size}")
    return data


def account(of: Json, key: str, what: str) -> bytes:
    """The 20 bytes of an address under a key (`41…` or `T…`). Raises DecodeError."""
    value = of.get(key)
    if not isinstance(value, str):
        raise DecodeError(f"{what}: {key} must be an address, not {_kind(value)}")
    try:
        return address.parse(value)
    except AddressError as e:
        raise DecodeError(f"{what}: {key}: {said(e)}") from None


def word(of: Json, key: str, what: str) -> str:
    """Text under a key, empty where it is not given. Raises DecodeError."""
    value = of.get(key, "")
    if not isinstance(value, str) or len(value) > 200:
        raise DecodeError(f"{what}: {key} must be a short text, not {_kind(value)}")
    return value


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, dict | list | str):
        return {dict: "an object", list: "a list", str: "text"}[type(value)]
    return said(repr(value))
