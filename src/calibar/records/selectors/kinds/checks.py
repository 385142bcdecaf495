"""Checksums, quickly; the reasons why one does not fit come from the project's codecs and take longer."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from calibar.chains.bitcoin.base58 import ALPHABET, LONGEST
from calibar.errors import AddressError

_VALUES: Final = {character: value for value, character in enumerate(ALPHABET)}
_MOST_REASONS: Final = 200


def payload(text: str) -> bytes | None:
    """What base58check text says, version byte included; None where the checksum does not fit."""
    if len(text) > LONGEST:
        return None
    number = 0
    for character in text:
        value = _VALUES.get(character)
        if value is None:
            return None
        number = number * 58 + value
    zeros = len(text) - len(text.lstrip(ALPHABET[0]))
    data = bytes(zeros) + number.to_bytes((number.bit_length() + 7) // 8)
    if len(data) < 5 or hashlib.sha256(hashlib.sha256(data[:-4]).digest()).digest()[:4] != data[-4:]:
        return None
    return data[:-4]


@dataclass
class Reasons:
    """Why texts are refused, in the codecs' words; after the first 200 in fewer, since searching a typo takes time."""

    left: int = _MOST_REASONS

    def of(self, decode: Callable[[str], object], text: str) -> str:
        """Why `decode` refuses `text`."""
        if self.left <= 0:
            return "the checksum does not fit"
        self.left -= 1
        try:
            decode(text)
        except AddressError as error:
            return str(error)
        return "it is well formed, but not as this kind"
