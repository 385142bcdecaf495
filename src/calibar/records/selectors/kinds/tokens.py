"""Runs of letters and digits that are long enough to be an address, a hash or a key."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

EDGE_BEFORE: Final = r"(?<![^\W_])"
"""No letter and no digit before; `_` is none, so `wallet_1A1z…` has an address."""
EDGE_AFTER: Final = r"(?![^\W_])"
_TOKEN: Final = re.compile(rf"{EDGE_BEFORE}[0-9A-Za-z]{{14,}}+{EDGE_AFTER}")
LONGEST: Final = 256
"""Nothing that is looked for is longer."""


def tokens(text: str) -> Iterator[tuple[str, int]]:
    """Each run of 14 to 256 ASCII letters and digits, and where it starts."""
    for match in _TOKEN.finditer(text):
        if match.end() - match.start() <= LONGEST:
            yield match.group(), match.start()


def is_mixed(token: str) -> bool:
    """Whether a token has small and capital letters and digits, as random base58 has and words have not."""
    return (
        token != token.lower()
        and token != token.upper()
        and any(c.isdigit() for c in token)
        and not all(c in "0123456789abcdefABCDEF" for c in token)
    )
