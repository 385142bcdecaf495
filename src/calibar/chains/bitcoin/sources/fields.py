"""What servers answer, taken apart with suspicion: each value has its kind and range, or it is refused in one line."""

from __future__ import annotations

import json
import re
from typing import Final, NoReturn

from calibar.errors import DecodeError

MOST_HEIGHT: Final = 2**31 - 1
MOST_SATOSHI: Final = 2**63 - 1
LARGEST_TRANSACTION: Final = 4_000_000
"""Bytes (Core, MAX_BLOCK_WEIGHT)."""
SMALLEST_TRANSACTION: Final = 60
LONGEST_BRANCH: Final = 32

_TOO_MUCH: Final = re.compile(r"too (?:large|many|long|big|popular)|exceeds? max", re.IGNORECASE)
_LIMITS: Final = re.compile(r"too many (?:requests|connections|sessions)", re.IGNORECASE)


def parsed(data: bytes | str) -> object:
    """JSON."""
    try:
        text = data.decode() if isinstance(data, bytes) else data
        value: object = _DECODER.decode(text)
    except RecursionError:
        raise DecodeError("an answer nests too deeply to be read") from None
    except ValueError:
        raise DecodeError("an answer is not JSON, or is cut off") from None
    return value


def mapping(value: object, what: str) -> dict[str, object]:
    """A JSON object."""
    if not isinstance(value, dict):
        raise DecodeError(f"{what} is not an object")
    return value


def listing(value: object, what: str) -> list[object]:
    """A JSON array."""
    if not isinstance(value, list):
        raise DecodeError(f"{what} is not a list")
    return value


def integer(value: object, what: str, least: int, most: int) -> int:
    """A whole number in a range; true and false are none."""
    if type(value) is not int or not least <= value <= most:
        raise DecodeError(f"{what} is not a whole number from {least} to {most}")
    return value


def octets(value: object, what: str, least: int, most: int) -> bytes:
    """Bytes as hex."""
    if isinstance(value, str) and 2 * least <= len(value) <= 2 * most:
        try:
            data = bytes.fromhex(value)
        except ValueError:
            data = b""
        if 2 * len(data) == len(value):  # it skips white space
            return data
    size = f"{least}" if least == most else f"{least} to {most}"
    raise DecodeError(f"{what} is not {size} bytes in hexadecimal")


def digest(value: object, what: str) -> bytes:
    """A hash as displayed (reversed hex), turned into wire order."""
    return octets(value, what, 32, 32)[::-1]


def branch(value: object, position: object) -> tuple[int, tuple[bytes, ...]]:
    """A transaction's position in its block, and its merkle branch."""
    hashes = listing(value, "the merkle branch")
    if len(hashes) > LONGEST_BRANCH:
        raise DecodeError(f"the merkle branch has more than {LONGEST_BRANCH} hashes")
    at = integer(position, "the position in the block", 0, 2 ** len(hashes) - 1)
    return at, tuple(digest(one, "a hash of the merkle branch") for one in hashes)


def too_much(words: str) -> bool:
    """Whether a refusal's words say that the answer would be too long."""
    return bool(_TOO_MUCH.search(words)) and not _LIMITS.search(words)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)


_DECODER: Final = json.JSONDecoder(parse_constant=_no_constant)
