"""Addresses of Ethereum and its kin in text: 20 bytes in hexadecimal, with EIP-55's checksum in the case of letters."""

from __future__ import annotations

from functools import lru_cache
from typing import Final

from calibar.chains.ethereum.keccak import keccak256
from calibar.errors import AddressError

_REMEMBERED: Final = 1 << 16
"""Addresses whose text is kept: a trail writes the same ones over and over."""


@lru_cache(_REMEMBERED)
def encode(address: bytes) -> str:
    """Text of 20 bytes with its checksum (EIP-55)."""
    if len(address) != 20:
        raise ValueError(f"{len(address)} bytes are not an address")
    plain = address.hex()
    marks = keccak256(plain.encode()).hex()
    return "0x" + "".join(letter.upper() if mark >= "8" else letter for letter, mark in zip(plain, marks, strict=False))


def decode(text: str) -> bytes:
    """The 20 bytes of a text, in one case or with the right checksum. Raises AddressError."""
    digits = text[2:] if text[:2] in ("0x", "0X") else ""
    if len(digits) != 40:
        raise AddressError(f"{text[:80]!r} is not an address: 0x and 40 hexadecimal digits are needed")
    try:
        address = bytes.fromhex(digits)
    except ValueError:
        address = b""
    if len(address) != 20:
        raise AddressError(f"{text!r} is not an address: it has characters that are not hexadecimal digits")
    if digits not in (digits.lower(), digits.upper()) and encode(address)[2:] != digits:
        raise AddressError(
            f"the checksum of {text} does not fit: a character is wrong; only if it is surely right, write it in "
            f"small letters"
        )
    return address
