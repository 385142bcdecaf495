"""Tables of HTML, which banks save under names of workbooks: the simple ones, without tables inside."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Final

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.source import LONGEST_TEXT, MOST_COLUMNS, MOST_ROWS

_CHARSET: Final = re.compile(rb"""charset\s*=\s*["']?\s*([A-Za-z0-9_-]{2,20})""", re.IGNORECASE)
_KNOWN: Final = {"utf-8", "utf8", "iso-8859-1", "iso-8859-15", "latin1", "windows-1252", "us-ascii", "utf-16"}
_SPACES: Final = re.compile(r"[ \t\r\n\f]+")
_AGAIN: Final = "open it in Excel or LibreOffice, check it, and save it as XLSX"
_LARGEST: Final = 64 << 20


def markup_tables(data: bytes) -> list[list[list[str | None]]]:
    """Each table's rows. Raises UsageError for what is not simple, without a name."""
    if len(data) > _LARGEST:
        raise DecodeError(f"a page of HTML of more than {_LARGEST >> 20} MB: export a shorter period")
    parser = _Tables()
    parser.feed(_text(data))
    parser.close()
    if parser.open:
        raise DecodeError("a table in the HTML does not end: it is cut off; have it sent again")
    return parser.tables


def _text(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    said = _CHARSET.search(data[:4096])
    name = said[1].decode().lower() if said else "utf-8"
    name = "utf-8" if name not in _KNOWN or name.startswith("utf-16") else name
    try:
        return data.decode("utf-8-sig" if name in {"utf-8", "utf8"} else name)
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


class _Tables(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[list[list[str | None]]] = []
        self.open = False
        self._cell: list[str] | None = None
        self._length = self._silent = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            if self.open:
                raise UsageError(f"HTML with tables inside of tables: {_AGAIN}")
            self.open = True
            self.tables.append([])
        elif tag in {"script", "style"}:
            self._silent += 1
        elif self.open and tag == "tr":
            self._end_cell()
            self.tables[-1].append([])
            if sum(map(len, self.tables)) > MOST_ROWS * 10:
                raise DecodeError("more cells than any statement has: export a shorter period")
        elif self.open and tag in {"td", "th"}:
            self._start_cell(dict(attrs))
        elif tag in {"br", "p", "div"} and self._cell:
            self._cell.append("\n")

    def handle_endtag(self, tag: str) -> None:
        if tag in {"script", "style"}:
            self._silent = max(0, self._silent - 1)
        elif tag in {"td", "th", "tr", "table"}:
            self._end_cell()
            if tag == "table":
                self.open = False

    def handle_data(self, data: str) -> None:
        if self._cell is None or self._silent:
            return
        self._length += len(data)
        if self._length > LONGEST_TEXT:
            raise DecodeError(f"a text of more than {LONGEST_TEXT:,} characters in a cell: it is not read")
        self._cell.append(_SPACES.sub(" ", data))

    def _start_cell(self, said: dict[str, str | None]) -> None:
        self._end_cell()
        spans = {name: (said.get(name) or "1").strip() for name in ("rowspan", "colspan")}
        if not all(span.isascii() and span.isdigit() and len(span) < 5 for span in spans.values()):
            raise UsageError(f"HTML with a cell whose width is no number: {_AGAIN}")
        if int(spans["rowspan"]) > 1:
            raise UsageError(f"HTML with cells over several rows: {_AGAIN}")
        if not self.tables[-1]:
            self.tables[-1].append([])
        row = self.tables[-1][-1]
        row.extend([None] * max(1, int(spans["colspan"])))
        if len(row) > MOST_COLUMNS:
            raise DecodeError(f"HTML with more than {MOST_COLUMNS:,} columns: it is not read")
        self._at = len(row) - max(1, int(spans["colspan"]))
        self._cell, self._length = [], 0

    def _end_cell(self) -> None:
        if self._cell is not None:
            lines = "".join(self._cell).split("\n")
            text = "\n".join(line.strip(" ") for line in lines).strip("\n")
            self.tables[-1][-1][self._at] = text or None
        self._cell = None
