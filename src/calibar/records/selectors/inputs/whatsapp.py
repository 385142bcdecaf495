"""WhatsApp's exported chats, `_chat.txt` of iOS and the `.txt` of Android.

Android: `12/3/24, 10:11 - Name: text`; iOS: `[12/3/24, 10:11:12] Name: text`. Dates are written as the telephone's
language has it, so they are kept as they stand. A line without a date goes on with the message before.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.text import Pile, Place, Text

_DATE: Final = r"[0-9]{1,4}[./\-][0-9]{1,2}[./\-][0-9]{1,4}"
_TIME: Final = r"[0-9]{1,2}[:.][0-9]{2}(?:[:.][0-9]{2})?(?:[ \u00a0\u202f]?[aApP]\.?[ \u00a0\u202f]?[mM]\.?)?"
_WHEN: Final = rf"{_DATE}(?:,? |, )(?:klo )?{_TIME}"
_HEAD: Final = re.compile(
    rf"(?:[\u200e\u200f]?\[(?P<ios>{_WHEN})\] |(?P<android>{_WHEN}) - )(?:(?P<who>[^:\n]{{1,100}}): ?)?"
)
_LOOKED_AT: Final = 30


def is_chat(text: str) -> bool:
    """Whether the first line has a message's head, or one near the beginning has and another after it."""
    lines = [line for line in text[:20_000].split("\n", _LOOKED_AT)[:_LOOKED_AT] if line.strip()]
    heads = [bool(_HEAD.match(line.lstrip("\ufeff"))) for line in lines]
    return bool(heads) and heads[0] and (sum(heads) > 1 or len(lines) == 1)


def texts(text: str) -> Iterator[Text]:
    """What was said, and in a text of its own who said it: an unknown sender is a telephone number."""
    said, senders = Pile(), Pile()
    meta: Place = {}
    for number, line in enumerate(text.split("\n"), 1):
        head = _HEAD.match(line)
        if head:
            meta = {"time": head["ios"] or head["android"]}
            if head["who"]:
                meta["from"] = head["who"]
                senders.add(head["who"], {"line": number, "column": head.start("who") + 1, "time": meta["time"]})
        column = head.end() if head else 0
        said.add(line[column:], {"line": number, "column": column + 1, **meta})
    yield said.text()
    yield senders.text()
