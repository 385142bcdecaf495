"""E-mail addresses as people write them (RFC 5321: 64 characters, `@`, a domain of labels up to 63)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.hit import Hit

KIND: Final = "e-mail"
_FRONT: Final = re.compile(r"[^A-Za-z0-9._%+\-]")
_DOMAIN: Final = re.compile(r"@((?:[A-Za-z0-9](?:[A-Za-z0-9\-]{0,62})\.){1,8}[A-Za-z]{2,24})(?![A-Za-z0-9])")


def find(text: str) -> Iterator[Hit]:
    """All of a text; the domain in small letters."""
    at = text.find("@")
    while at >= 0:
        domain = _DOMAIN.match(text, at)
        if domain and ".." not in domain[1]:
            window = text[max(0, at - 65) : at]
            local = _FRONT.split(window)[-1].lstrip(".%+-")
            if 1 <= len(local) <= 64 and not local.endswith("."):
                value = f"{local}@{domain[1].lower()}"
                yield Hit(KIND, value, at - len(local), domain.end())
        at = text.find("@", at + 1)
