"""Base58Check: the text form of P2PKH and P2SH addresses.

Source: Bitcoin Core, `src/base58.cpp`. Positions in messages count from 1.
"""

from __future__ import annotations

import hashlib
from typing import Final

from calibar.errors import AddressError

ALPHABET: Final = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
LONGEST: Final = 112
"""No text in use is longer (an extended key has 111 characters); decoding takes quadratic time."""

_LONGEST_SEARCHED: Final = 36
_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}


def encode(payload: bytes) -> str:
    """Text of `payload` (version byte included) with its 4-byte checksum."""
    data = payload + _checksum(payload)
    number = int.from_bytes(data)
    digits = []
    while number:
        number, digit = divmod(number, 58)
        digits.append(ALPHABET[digit])
    zeros = len(data) - len(data.lstrip(b"\0"))
    return ALPHABET[0] * zeros + "".join(reversed(digits))


def decode(text: str) -> bytes:
    """Payload of `text`, version byte included, checksum verified and removed.

    Raises AddressError that names the characters which base58 does not have, or, where the checksum fails and one
    character alone can be the cause, its position. The correction is not told: it would only be a guess.
    """
    if not text:
        raise AddressError("the text is empty")
    if len(text) > LONGEST:
        raise AddressError(f"{len(text)} characters are too many for base58")
    if wrong := [f"character {at} is {c!r}" for at, c in enumerate(text, 1) if c not in _VALUES]:
        more = f" and {len(wrong) - 3} more are wrong" if len(wrong) > 3 else ""
        raise AddressError(f"{', '.join(wrong[:3])}{more}; base58 has letters and digits without 0, O, I and l")
    data = _raw(text)
    if len(data) < 5:
        raise AddressError("the text is too short for base58 with a checksum")
    if data[-4:] != _checksum(data[:-4]):
        raise AddressError(f"the checksum does not fit: {_blame(text)}")
    return data[:-4]


def _checksum(payload: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(payload).digest()).digest()[:4]


def _number(text: str) -> int:
    number = 0
    for character in text:
        number = number * 58 + _VALUES[character]
    return number


def _raw(text: str) -> bytes:
    number = _number(text)
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    return bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)


def _blame(text: str) -> str:
    """Tries every single substitution that could give an address's 25 bytes: at most 36 · 58 checksums."""
    if len(text) > _LONGEST_SEARCHED:
        return "a character is wrong, missing or too many"
    number = _number(text)
    suspects = []
    for at, wrong in enumerate(text):
        weight = 58 ** (len(text) - 1 - at)
        for right, character in enumerate(ALPHABET):
            candidate = number + (right - _VALUES[wrong]) * weight
            if candidate.bit_length() > 200:
                continue
            data = candidate.to_bytes(25)
            if data[-4:] == _checksum(data[:-4]) and encode(data[:-4]) == text[:at] + character + text[at + 1 :]:
                suspects.append(str(at + 1))
    if not suspects:
        return "more than one character is wrong, or one is missing or too many"
    return f"probably character {' or '.join(suspects)} is wrong"
