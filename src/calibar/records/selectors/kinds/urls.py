"""Addresses of pages (RFC 3986), as far as they stand in a text; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.hit import Hit

KIND: Final = "url"
_URL: Final = re.compile(
    r"[hHfFwWt](?:(?<![^\W_].)(?:(?<=[hH])[tT][tT][pP][sS]?|(?<=[fF])[tT][pP])://"
    r"|(?<![\w.@/].)(?:(?<=[wW])[wW][wW]\.|(?<=t)\.me/|(?<=w)a\.me/))"
    r"""[^\s<>"'{}|\\^`\x00-\x1f]{2,2000}+"""
)
_MARKS: Final = ("://", "www.", "WWW.", "Www.", "t.me/", "wa.me/")
_TAIL: Final = ".,;:!?…»”’*_~"


def find(text: str) -> Iterator[Hit]:
    """All of a text, scheme and host in small letters; what ends the sentence is left out."""
    for match in _URL.finditer(text) if any(mark in text for mark in _MARKS) else ():
        url = match.group()
        while url and (url[-1] in _TAIL or (url[-1] in ")]" and url.count(url[-1]) > url.count("(["[url[-1] == "]"]))):
            url = url[:-1]
        scheme, mark, rest = url.partition("://")
        host, slash, path = (rest if mark else scheme).partition("/")
        if "." not in host and "localhost" not in host and ":" not in host:
            continue
        value = (scheme.lower() + mark if mark else "") + host.lower() + slash + path
        yield Hit(KIND, value, match.start(), match.start() + len(url))
