"""Fields of JSON objects, read strictly: quantities and bytes in hexadecimal, of known size."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from calibar.errors import DecodeError

LARGEST_DATA = 64 << 20
"""Bytes of one field."""


@dataclass(frozen=True, slots=True)
class Fields:
    """One object and where it stands; every error names both. A field that is null is as one that is missing."""

    values: Mapping[str, object]
    where: str

    @classmethod
    def of(cls, value: object, where: str) -> Fields:
        """Raises DecodeError where it is no object."""
        if not isinstance(value, dict):
            raise DecodeError(f"{where}: an object is expected, not {_short(value)}")
        return cls(value, where)

    def has(self, name: str) -> bool:
        """Whether a field is there and not null."""
        return self.values.get(name) is not None

    def octets(self, name: str, size: int | None = None) -> bytes:
        """Bytes of a field, of exactly `size` where that is given."""
        value = self.values.get(name)
        found = _bytes(value)
        if found is None:
            raise DecodeError(f"{self.where}: {name}: {_short(value)} is not bytes in hexadecimal (0x…)")
        if size is not None and len(found) != size:
            raise DecodeError(f"{self.where}: {name} has {len(found)} bytes instead of {size}")
        return found

    def integer(self, name: str, bits: int = 256) -> int:
        """A quantity below 2**bits."""
        value = self.values.get(name)
        digits = value[2:] if isinstance(value, str) and value[:2] == "0x" else ""
        found = _bytes("0x" + "0" * (len(digits) & 1) + digits) if 0 < len(digits) <= 256 else None
        if found is None:
            raise DecodeError(f"{self.where}: {name}: {_short(value)} is not a quantity in hexadecimal (0x…)")
        number = int.from_bytes(found)
        if number.bit_length() > bits:
            raise DecodeError(f"{self.where}: {name} is over {bits} bits")
        return number

    def optional(self, name: str, bits: int = 256) -> int | None:
        """A quantity that may be missing."""
        return self.integer(name, bits) if self.has(name) else None

    def address(self, name: str) -> bytes:
        """The 20 bytes of an address."""
        return self.octets(name, 20)

    def items(self, name: str) -> list[object]:
        """A list."""
        value = self.values.get(name)
        if not isinstance(value, list):
            raise DecodeError(f"{self.where}: {name}: a list is expected, not {_short(value)}")
        return value

    def objects(self, name: str, where: str) -> list[Fields]:
        """A list of objects; `where` names one of them."""
        return [Fields.of(value, f"{self.where}: {where} {at}") for at, value in enumerate(self.items(name))]


def _bytes(value: object) -> bytes | None:
    if not isinstance(value, str) or value[:2] != "0x" or len(value) > 2 * LARGEST_DATA:
        return None
    try:
        found = bytes.fromhex(value[2:])
    except ValueError:
        return None
    return found if 2 * len(found) + 2 == len(value) else None


def _short(value: object) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return repr(value if len(value) <= 40 else value[:40] + "…")
    return {dict: "an object", list: "a list", bool: "a truth value"}.get(type(value), "a number")
