"""Rows of explorers' answers, taken apart with suspicion: whole numbers in decimal or hexadecimal, never floats."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NoReturn

from calibar.chains.remote.transfers_told import Said
from calibar.errors import AddressError, DecodeError

MOST_HEIGHT: Final = 2**40
LONGEST_WORDS: Final = 64
_DECIMAL: Final = re.compile(r"[0-9]{1,78}")
_HEXADECIMAL: Final = re.compile(r"0x[0-9a-fA-F]{1,64}")
_DIGEST: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{64})")
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|\+00:00)", re.ASCII)


def parsed(body: bytes, what: str) -> object:
    """JSON, its numbers with a point or an exponent as text. Raises DecodeError."""
    try:
        value: object = json.loads(body.decode(), parse_constant=_no_constant, parse_float=str)
    except RecursionError:
        raise DecodeError(f"{what}: an answer nests too deeply to be read") from None
    except ValueError:
        page = body.lstrip()[:1] == b"<"
        raise DecodeError(f"{what}: a web page instead of an answer" if page else f"{what}: it is not JSON") from None
    return value


@dataclass(frozen=True, slots=True)
class Row:
    """One object and where it stands; every error names both. A field that is null is as one that is missing."""

    values: Mapping[str, object]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Row:
        """Raises DecodeError where it is no object."""
        if not isinstance(value, dict):
            raise DecodeError(f"{where}: {short(value)} stands where an object belongs")
        return cls(value, where)

    def wrong(self, name: str, what: str) -> NoReturn:
        """Raise DecodeError for a field."""
        raise DecodeError(f"{self.where}: {name}: {short(self.values.get(name))} is not {what}")

    def has(self, *names: str) -> str | None:
        """The first of the fields that is there and not null nor empty text."""
        return next((name for name in names if self.values.get(name) not in (None, "")), None)

    def whole(self, name: str, bits: int = 256) -> int:
        """A whole number from 0 to below 2**bits: decimal or hexadecimal text, or a number."""
        value = self.values.get(name)
        number = -1
        if type(value) is int:
            number = value
        elif isinstance(value, str) and _DECIMAL.fullmatch(value):
            number = int(value)
        elif isinstance(value, str) and _HEXADECIMAL.fullmatch(value):
            number = int(value, 16)
        if number < 0 or number.bit_length() > bits:
            self.wrong(name, f"a whole number below 2^{bits}")
        return number

    def optional(self, name: str, bits: int = 256) -> int | None:
        """A whole number that may be missing."""
        return self.whole(name, bits) if self.has(name) else None

    def height(self, *names: str) -> int:
        """A block's number, in the first of the fields that is there."""
        name = self.has(*names) or names[0]
        number = self.whole(name, 64)
        return number if number <= MOST_HEIGHT else self.wrong(name, "a block's number")

    def digest(self, *names: str) -> bytes:
        """32 bytes in hexadecimal, in the first of the fields that is there."""
        name = self.has(*names) or names[0]
        value = self.values.get(name)
        found = _DIGEST.fullmatch(value) if isinstance(value, str) else None
        return bytes.fromhex(found[1]) if found else self.wrong(name, "a hash of 32 bytes in hexadecimal")

    def address(self, name: str, decode: Callable[[str], bytes]) -> bytes:
        """20 bytes, by the chain's own way of writing them."""
        value = self.values.get(name)
        if not isinstance(value, str) or len(value) > 64:
            self.wrong(name, "an address")
        try:
            return decode(value)
        except AddressError:
            self.wrong(name, "an address, or its checksum does not fit")

    def text(self, name: str) -> str:
        """Text of at most 200 characters; empty where it is missing."""
        value = self.values.get(name)
        if value is None:
            return ""
        return value if isinstance(value, str) and len(value) <= 200 else self.wrong(name, "short text")

    def flag(self, name: str, missing: bool = False) -> bool:
        """A truth value, also as 0 and 1."""
        value = self.values.get(name)
        if value in (None, ""):
            return missing
        if value in (True, 1, "1", "true"):
            return True
        return False if value in (False, 0, "0", "false") else self.wrong(name, "true or false")

    def moment(self, name: str) -> int | None:
        """Seconds since 1970 of a time in ISO 8601, UTC; None where it is missing."""
        if not self.has(name):
            return None
        value = self.values[name]
        if isinstance(value, str) and _MOMENT.fullmatch(value):
            try:
                when = datetime.fromisoformat(value).astimezone(UTC)
                if when.year >= 1970:
                    return int(when.replace(microsecond=0).timestamp())
            except (ValueError, OverflowError):
                pass
        return self.wrong(name, "a time like 2024-01-31T12:00:00Z")

    def milliseconds(self, *names: str) -> int:
        """A time in milliseconds since 1970, in the first of the fields that is there."""
        name = self.has(*names) or names[0]
        number = self.whole(name, 48)
        if number and number < 10**11:
            self.wrong(name, "a time in milliseconds")
        return number

    def row(self, name: str) -> Row:
        """An object in it."""
        return Row.of(self.values.get(name), f"{self.where}: {name}")

    def rows(self, name: str, most: int) -> list[Row]:
        """A list of objects in it; empty where it is missing."""
        value = self.values.get(name)
        return listed([] if value is None else value, f"{self.where}: {name}", most)

    def said(self, name: str, symbol: str, decimals: str) -> Said:
        """What a token says of itself, from three fields, cut and made printable; decimals that are none are None."""
        digits = self.values.get(decimals)
        number = digits if type(digits) is int else -1
        if isinstance(digits, str) and re.fullmatch(r"[0-9]{1,3}", digits, re.ASCII):
            number = int(digits)
        full, short_name = printable(self.values.get(name)), printable(self.values.get(symbol))
        return Said(full, short_name, number if 0 <= number <= 255 else None)


def listed(value: object, where: str, most: int) -> list[Row]:
    """A list of objects. Raises DecodeError, also for more than `most`."""
    if not isinstance(value, list):
        raise DecodeError(f"{where}: {short(value)} stands where a list belongs")
    if len(value) > most:
        raise DecodeError(f"{where}: it has {len(value)} rows where at most {most} belong")
    return [Row.of(one, f"{where}: row {at}") for at, one in enumerate(value)]


def printable(value: object) -> str:
    """Words from outside as they may be kept: printable, at most 64 characters; empty for what is no text."""
    text = value[: 4 * LONGEST_WORDS] if isinstance(value, str) else ""
    return "".join(letter if letter.isprintable() else " " for letter in text).strip()[:LONGEST_WORDS]


def short(value: object) -> str:
    """A value as it may stand in a message."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return ascii(value if len(value) <= 40 else value[:40] + "…")
    return {dict: "an object", list: "a list", bool: "a truth value"}.get(type(value), "a number")


def _no_constant(name: str) -> NoReturn:
    raise ValueError(name)
