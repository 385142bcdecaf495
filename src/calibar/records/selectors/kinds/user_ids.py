"""Numbers of customers at exchanges: nothing checks them, so only where a text says that it is one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.hit import Hit
from calibar.records.selectors.text import Text

KIND: Final = "user-id"
_WORD: Final = (
    r"(?:(?:user|account|customer|client|member|binance|bybit|okx|kucoin|pay|lemon|ripio|belo|buenbit)[ _\-]?(?:id|uid)"
    r"|uid|id[ _\-]?(?:del? |de )?(?:la )?(?:usuari[oa]|cuenta|cliente|user|account)"
    r"|(?:n(?:umero|ro\.?|[°º])? de )(?:usuari[oa]|cliente))"
)
_STEMS: Final = (
    "id de", "id del", "uid", "user", "usuari", "account", "customer", "client", "member", "binance", "bybit", "okx",
    "kucoin", "pay", "lemon", "ripio", "belo", "buenbit",
)  # fmt: skip
_VALUE: Final = r"([0-9]{4,20}|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}|[0-9a-f]{24})"
_SAID: Final = re.compile(
    rf"(?<![^\W_]){_WORD}(?![^\W_])[\"']?[ \t]{{0,4}}[:=#|,]{{0,2}}[ \t]{{0,4}}(?:is |es |n[°º] ?)?"
    rf"[\"']?{_VALUE}(?![^\W_]|[.,][0-9])"
)
_LABEL: Final = re.compile(rf"(?<![^\W_]){_WORD}(?![^\W_])")
_CELL: Final = re.compile(rf"(?<![^|\n\t ]){_VALUE}(?![^|\n\t ])")


def find(text: Text) -> Iterator[Hit]:
    """All of a text; cells under a title that says so count too."""
    seen = set()
    for match in _SAID.finditer(text.folded) if any(stem in text.folded for stem in _STEMS) else ():
        seen.add(match.start(1))
        yield Hit(KIND, match[1], match.start(1), match.end(1))
    if type(text).label is not Text.label:
        for match in _CELL.finditer(text.folded):
            if match.start(1) not in seen and _LABEL.search(text.label(match.start(1))):
                yield Hit(KIND, match[1], match.start(1), match.end(1))
