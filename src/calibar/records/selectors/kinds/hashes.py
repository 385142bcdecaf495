"""Transaction hashes: 32 bytes in hexadecimal, which nothing checks."""

from __future__ import annotations

import re
from typing import Final

from calibar.records.selectors.hit import UNCHECKED, Hit

KIND: Final = "transaction"
CHECKED: Final = f"{UNCHECKED}: may be another hash, of a block or a file"
HASH: Final = re.compile(r"(?:0[xX])?([0-9a-fA-F]{64})")


def find(token: str, start: int) -> Hit | None:
    """The hash that a token is; one digit alone over and over is none."""
    found = HASH.fullmatch(token) if len(token) in (64, 66) else None
    if found is None or len(set(found[1])) == 1:
        return None
    return Hit(KIND, found[1].lower(), start, start + len(token), CHECKED)
