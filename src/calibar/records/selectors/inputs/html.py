"""Pages as files: their text, and in texts of their own attributes, comments and scripts. Nothing runs, nothing is
fetched. Telegram's `messages.html` tells each message's number, sender and time.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from html.parser import HTMLParser
from typing import Final

from calibar.records.selectors.text import Pile, Place, Text

_INLINE: Final = frozenset(
    ("a", "abbr", "b", "bdi", "bdo", "big", "code", "del", "em", "font", "i", "ins", "kbd", "mark", "q", "s", "samp",
     "small", "span", "strong", "sub", "sup", "tt", "u", "var", "wbr")
)  # fmt: skip
_SILENT: Final = frozenset(("style", "title"))
_ASIDE: Final = re.compile(r"(?:^|\s)(?:from_name|date|initials|userpic|details)(?:\s|$)")
_MESSAGE: Final = re.compile(r"message-?([0-9]{1,18})")
_LONG: Final = 14
"""Names of tags and attributes are shorter, but for made-up ones."""
_CHUNK: Final = 1 << 15
_PENDING: Final = 1 << 18
"""So much of a tag that does not end is kept waiting; then it is taken as text."""


def texts(text: str) -> Iterator[Text]:
    """The page's text, and what else it holds."""
    page = _Page()
    for at in range(0, len(text), _CHUNK):
        page.feed(text[at : at + _CHUNK])
        if len(page.rawdata) > _PENDING:
            page.give_up()
    page.give_up()
    yield page.said.text()
    yield page.rest.text()


class _Page(HTMLParser):
    """Gathers a page's texts. `close` is never called: it takes quadratic time for marks that do not end."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.said, self.rest = Pile(), Pile()
        self._tag = ""
        self._class = ""
        self._message: dict[str, str | int] = {}
        self._sender = ""

    def give_up(self) -> None:
        """Take as text what waits for its end."""
        waiting, self.rawdata = self.rawdata, ""
        if waiting:
            self.rest.add(unescape(waiting), self._place())
            self.updatepos_over(waiting)
        self.clear_cdata_mode()

    def updatepos_over(self, text: str) -> None:
        """Count the lines of what was not parsed."""
        lines = text.count("\n")
        self.lineno += lines
        self.offset = len(text) - text.rfind("\n") - 1 if lines else self.offset + len(text)

    def _place(self, **more: str | int) -> Place:
        line, column = self.getpos()
        return {"line": line, "column": column + 1, **self._message, **more}

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep the attributes; a block ends the line."""
        self._tag = tag
        given = {key: value or "" for key, value in attrs}
        self._class = given.get("class", "") if tag not in _INLINE else self._class
        if tag == "div" and "message" in given.get("class", "") and (found := _MESSAGE.fullmatch(given.get("id", ""))):
            self._message = {"message": int(found[1])}
            if self._sender and "joined" in given["class"]:
                self._message["from"] = self._sender
        if "date" in self._class and "title" in given and self._message:
            self._message["time"] = given["title"][:80]
        if len(tag) >= _LONG or any(len(key) >= _LONG for key in given):  # names are given in small letters alone
            self.rest.add(self.get_starttag_text() or "", self._place())
        for key, value in attrs:
            if value and key not in ("class", "style", "id"):
                self.rest.add(value, self._place(part=f"{tag} {key}"[:80]))
        if tag not in _INLINE:
            self.said.separate()

    def parse_endtag(self, i: int) -> int:
        """What an end tag has beyond its name, which pages ignore."""
        end = super().parse_endtag(i)
        if end - i >= _LONG:
            self.rest.add(self.rawdata[i:end], self._place())
        return end

    def handle_endtag(self, tag: str) -> None:
        """A block ends the line."""
        if tag not in _INLINE:
            self.said.separate()
            self._class = ""
        self._tag = ""

    def handle_data(self, data: str) -> None:
        """Text of the page; a message's head and scripts go to the other texts."""
        if not data.strip() and not self.said:
            return
        if self._tag in _SILENT and self._tag == "style":
            return
        if self._message and self._class.startswith("from_name"):
            self._sender = " ".join(data.split())[:80] or self._sender
            self._message["from"] = self._sender
        if self._tag == "script" or (self._message and _ASIDE.search(self._class)):
            self.rest.add(data, self._place())
            return
        first, *others = data.split("\n")
        line, _ = self.getpos()
        self.said.add(first, self._place(), "\n" if others else "")
        for more, part in enumerate(others, 1):
            place = {**self._place(), "line": line + more, "column": 1}
            self.said.add(part, place, "\n" if more < len(others) else "")

    def handle_comment(self, data: str) -> None:
        """Comments hide things."""
        self.rest.add(data, self._place(part="comment"))

    def handle_decl(self, decl: str) -> None:
        """So may declarations."""
        self.rest.add(decl, self._place(part="declaration"))

    def unknown_decl(self, data: str) -> None:
        """And those of no known kind."""
        self.handle_decl(data)

    def handle_pi(self, data: str) -> None:
        """And instructions to programs."""
        self.handle_decl(data)
