"""Bech32 and Bech32m: the text form of witness programs.

Source: BIP173 (Bech32), BIP350 (Bech32m), BIP141 (witness programs). Positions in messages count from 1. A likely
error is located but never corrected, as BIP173 demands: a corrected text may be somebody else's address.
"""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import lru_cache, reduce
from operator import getitem, xor
from typing import Final

from calibar.errors import AddressError

CHARSET: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
LONGEST: Final = 90

_VALUES: Final = {character: value for value, character in enumerate(CHARSET)}
_GENERATOR: Final = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)
_CHECKSUM_LENGTH: Final = 6
_FROM_BASE32: Final = bytes.maketrans(b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567", CHARSET.encode())


class Variant(IntEnum):
    """The two checksums; the value is what a right text's remainder must be."""

    BECH32 = 1
    BECH32M = 0x2BC830A3


def encode(hrp: str, values: Sequence[int], variant: Variant) -> str:
    """Text of five-bit `values` under the human-readable part `hrp`, in lower case."""
    remainder = _remainder(hrp, [*values, *[0] * _CHECKSUM_LENGTH]) ^ variant
    checksum = [remainder >> 5 * (_CHECKSUM_LENGTH - 1 - i) & 31 for i in range(_CHECKSUM_LENGTH)]
    return hrp + "1" + "".join(CHARSET[value] for value in (*values, *checksum))


def decode(text: str, hrp: str | None = None) -> tuple[str, list[int], Variant]:
    """Human-readable part, five-bit values without the checksum, and which checksum fits.

    With `hrp` the text must begin with it, so a stray "1" further on is named as the wrong character. Raises
    AddressError that says what is wrong at which character.
    """
    hrp, values = _split(text, hrp)
    remainder = _remainder(hrp, values)
    for variant in Variant:
        if remainder == variant:
            return hrp, values[:-_CHECKSUM_LENGTH], variant
    suspects = [at for variant in Variant for at, _ in _suspects(remainder ^ variant, len(values))]
    raise AddressError(_checksum_message(suspects, len(hrp) + 1))


def encode_witness(hrp: str, version: int, program: bytes) -> str:
    """Address of a witness program: Bech32 for version 0, Bech32m from 1 on."""
    start, rows = _of_bytes(hrp, version, len(program))
    remainder = reduce(xor, map(getitem, rows, program), start)
    checksum = "".join([CHARSET[remainder >> shift & 31] for shift in (25, 20, 15, 10, 5, 0)])
    return f"{hrp}1{CHARSET[version]}{b32encode(program).translate(_FROM_BASE32, b'=').decode()}{checksum}"


@lru_cache(64)
def _of_bytes(hrp: str, version: int, size: int) -> tuple[int, list[list[int]]]:
    """What a program of zeros leaves to be its checksum, and what each byte in each place adds: the code is linear."""
    count = -(-8 * size // 5)
    variant = Variant.BECH32M if version else Variant.BECH32
    start = _remainder(hrp, [version, *[0] * (count + _CHECKSUM_LENGTH)]) ^ variant
    bits, effects = list[int](), [1 << bit for bit in range(5)]
    for _ in range(_CHECKSUM_LENGTH):
        effects = [_step(effect) for effect in effects]
    for _ in range(count):
        bits += effects
        effects = [_step(effect) for effect in effects]
    bits = bits[5 * count - 8 * size :]  # the last value's lowest bits only pad
    rows = []
    for place in reversed(range(size)):
        row = [0]
        for effect in bits[8 * place : 8 * place + 8]:
            row += [before ^ effect for before in row]
        rows.append(row)
    return start, rows


def decode_witness(text: str, hrp: str | None = None) -> tuple[str, int, bytes]:
    """Human-readable part, witness version (0 to 16) and program (2 to 40 bytes) of an address.

    Raises AddressError; a checksum error is located with the variant that the witness version asks for.
    """
    hrp, values = _split(text, hrp)
    if len(values) == _CHECKSUM_LENGTH:
        raise AddressError("there is nothing between the prefix and the checksum")
    version = values[0]
    variant = Variant.BECH32M if version else Variant.BECH32
    remainder = _remainder(hrp, values)
    if remainder != variant:
        raise AddressError(_witness_checksum_message(remainder, variant, values, len(hrp) + 1))
    if version > 16:
        raise AddressError(f"character {len(hrp) + 2} stands for witness version {version}; there are only 0 to 16")
    payload = values[1:-_CHECKSUM_LENGTH]
    spare = len(payload) * 5 % 8
    if spare > 4:
        raise AddressError("there is a character too many before the checksum")
    if spare and payload[-1] & ((1 << spare) - 1):
        at = len(hrp) + 1 + len(values) - _CHECKSUM_LENGTH
        raise AddressError(f"character {at} has bits set that only pad the program")
    program = bytes(_regroup(payload, 5, 8)[: len(payload) * 5 // 8])
    if not 2 <= len(program) <= 40:
        raise AddressError(f"a witness program has 2 to 40 bytes, not {len(program)}")
    if version == 0 and len(program) not in (20, 32):
        raise AddressError(f"a program of witness version 0 has 20 or 32 bytes, not {len(program)}")
    return hrp, version, program


def _split(text: str, hrp: str | None) -> tuple[str, list[int]]:
    """Lower-case prefix and all five-bit values, checksum included but not verified."""
    for at, character in enumerate(text, 1):
        if not 33 <= ord(character) <= 126:
            raise AddressError(f"character {at} is {character!r}, which no address contains")
    if len(text) > LONGEST:
        raise AddressError(f"{len(text)} characters are too many; at most {LONGEST} are allowed")
    _refuse_mixed_case(text)
    lower = text.lower()
    if hrp is None:
        hrp, mark, data = lower.rpartition("1")
        if not mark:
            raise AddressError("there is no '1' between a prefix and the data")
        if not hrp:
            raise AddressError("there is no prefix before the '1'")
    else:
        if not lower.startswith(hrp + "1"):
            raise AddressError(f"it does not begin with {hrp}1")
        data = lower[len(hrp) + 1 :]
    for at, character in enumerate(data, len(hrp) + 2):
        if character not in _VALUES:
            raise AddressError(f"character {at} is {character!r}; after the prefix 1, b, i and o are never used")
    if len(data) < _CHECKSUM_LENGTH:
        raise AddressError(f"{len(data)} characters after the prefix are too few; the checksum alone has six")
    return hrp, [_VALUES[character] for character in data]


def _refuse_mixed_case(text: str) -> None:
    upper = [at for at, c in enumerate(text, 1) if c.isupper()]
    lower = [at for at, c in enumerate(text, 1) if c.islower()]
    if not (upper and lower):
        return
    odd, name = (upper, "upper") if len(upper) <= len(lower) else (lower, "lower")
    raise AddressError(
        f"upper and lower case are mixed: character {odd[0]} is the {name}-case {text[odd[0] - 1]!r}"
        + (f", and {len(odd) - 1} more" if len(odd) > 1 else "")
    )


_FOLDED: Final = tuple(
    reduce(xor, (generator for i, generator in enumerate(_GENERATOR) if top >> i & 1), 0) for top in range(32)
)
"""What the five bits that leave at the top put back, for each of their values."""


def _step(remainder: int) -> int:
    return (remainder & 0x1FFFFFF) << 5 ^ _FOLDED[remainder >> 25]


def _remainder(hrp: str, values: Iterable[int]) -> int:
    remainder = 1
    for value in (*(ord(c) >> 5 for c in hrp), 0, *(ord(c) & 31 for c in hrp), *values):
        remainder = (remainder & 0x1FFFFFF) << 5 ^ _FOLDED[remainder >> 25] ^ value  # _step, without a call
    return remainder


def _suspects(error: int, length: int) -> list[tuple[int, int]]:
    """Where one wrong value alone explains `error`: (index, difference), at most 31 · `length` steps.

    The code is linear: a difference d at an index adds d, stepped once for each value that follows.
    """
    found = []
    for difference in range(1, 32):
        effect = difference
        for index in reversed(range(length)):
            if effect == error:
                found.append((index, difference))
            effect = _step(effect)
    return sorted(found)


def _witness_checksum_message(remainder: int, variant: Variant, values: list[int], offset: int) -> str:
    """The witness version decides the checksum, unless the version itself is the wrong character."""
    other = Variant.BECH32 if variant is Variant.BECH32M else Variant.BECH32M
    if remainder == other:
        return f"the checksum is {other.name.lower()}'s, but witness version {values[0]} takes {variant.name.lower()}'s"
    suspects = [index for index, _ in _suspects(remainder ^ variant, len(values)) if index]
    for candidate in Variant:
        for index, difference in _suspects(remainder ^ candidate, len(values)):
            version = values[0] ^ difference
            if index == 0 and version <= 16 and (version == 0) == (candidate is Variant.BECH32):
                suspects.append(0)
    return _checksum_message(suspects, offset)


def _checksum_message(suspects: list[int], offset: int) -> str:
    if not suspects:
        return "the checksum does not fit: more than one character is wrong, or one is missing or too many"
    positions = " or ".join(str(offset + index + 1) for index in sorted(set(suspects)))
    return f"the checksum does not fit: probably character {positions} is wrong"


def _regroup(groups: Iterable[int], before: int, after: int) -> list[int]:
    """The same bits in groups of another width, most significant first, padded with zeros at the end."""
    values = list(groups)
    number = 0
    for value in values:
        number = number << before | value
    bits = len(values) * before
    count = -(-bits // after)
    number <<= count * after - bits
    return [number >> after * (count - 1 - i) & ((1 << after) - 1) for i in range(count)]
