"""TRON's addresses: base58check `T…`, hexadecimal `41…`, and the 20 bytes that a ledger keeps.

Source: java-tron, `org.tron.common.utils.Commons.decodeFromBase58Check`.
"""

from __future__ import annotations

import string
from contextlib import suppress
from functools import lru_cache
from typing import Final

from calibar.chains.bitcoin import base58
from calibar.errors import AddressError

PREFIX: Final = 0x41
LENGTH: Final = 34
_HEX: Final = frozenset(string.hexdigits)
_REMEMBERED: Final = 1 << 16


@lru_cache(_REMEMBERED)
def to_base58(address: bytes) -> str:
    """The `T…` of 20 bytes. Raises AddressError for any other length."""
    return base58.encode(with_prefix(address))


def to_hex(address: bytes) -> str:
    """The `41…` of 20 bytes. Raises AddressError for any other length."""
    return with_prefix(address).hex()


def with_prefix(address: bytes) -> bytes:
    """The 21 bytes that TRON's own messages carry. Raises AddressError for any other length than 20."""
    if len(address) != 20:
        raise AddressError(f"an address has 20 bytes, not {len(address)}")
    return bytes([PREFIX]) + address


def from_bytes(data: bytes) -> bytes:
    """20 bytes of the 21 that begin with 0x41. Raises AddressError."""
    if len(data) != 21 or data[0] != PREFIX:
        raise AddressError(f"a TRON address has 21 bytes that begin with 41, not {data[:24].hex() or 'none'}")
    return data[1:]


def parse(text: str) -> bytes:
    """20 bytes of an address as people write it: `T…`, `41…` in hexadecimal, `0x…` as TRON's contracts see it.

    Raises AddressError; where one mistyped character can be the cause, the message says which.
    """
    if len(text) == 42 and text.startswith("41") and text.isalnum():
        with suppress(ValueError):
            return bytes.fromhex(text)[1:]
    stripped = text[2:] if text[:2] in ("0x", "0X") else text
    if len(text) != LENGTH and _looks_hexadecimal(stripped):
        return _from_hex(stripped, bare=stripped is not text)
    shown = text if len(text) <= 48 else f"{text[:20]}… ({len(text)} characters)"
    try:
        data = base58.decode(text)
    except AddressError as e:
        raise AddressError(f"{shown!r} is no TRON address: {e}") from None
    if len(data) != 21 or data[0] != PREFIX:
        raise AddressError(f"{shown!r} is base58 but no TRON address, which begins with T and has {LENGTH} characters")
    return data[1:]


def _looks_hexadecimal(text: str) -> bool:
    wrong = sum(character not in _HEX for character in text)
    return len(text) in range(38, 45) and wrong <= 3


def _from_hex(text: str, *, bare: bool) -> bytes:
    if wrong := [f"character {at} is {c!r}" for at, c in enumerate(text, 1) if c not in _HEX]:
        raise AddressError(f"{text!r} is no TRON address: {', '.join(wrong)}, not hexadecimal")
    if bare and len(text) == 40:
        return bytes.fromhex(text)
    if len(text) != 42 or not text.startswith("41"):
        raise AddressError(
            f"{text!r} is no TRON address: in hexadecimal it has 42 characters that begin with 41, or 0x and 40"
        )
    return bytes.fromhex(text[2:])
