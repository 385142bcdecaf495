"""Rows of a sheet as nearly all programs write them, cut out of the text; any other is left to the reader of XML.

A parser reads all of it too, for what is no XML or has a DTD, but builds nothing, which is most of its work.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from xml.etree import ElementTree as ET

from calibar.errors import DecodeError
from calibar.records.tables.elements import MOST_PENDING, Prolog, checked, local

_START: Final = b"<sheetData>"
_LONGEST_START: Final = 1 << 20
_FOREIGN: Final = re.compile(rb"""<\?xml[^>]*encoding\s*=\s*["'](?!utf-8["'])|<!""", re.IGNORECASE)
_ROOT: Final = re.compile(rb"<worksheet(?:\s[^<>]*)?>")
_ROW: Final = re.compile(r'\s*<row r="([1-9][0-9]{0,6})"[^<>/]*>')
_CELL: Final = re.compile(
    r'<c r="([A-Z]{1,3}[0-9]{1,7})"(?: s="([0-9]{1,6})")?(?: t="([a-zA-Z]{1,9})")?'
    r'(?:/>|>(?:<v>([^<]*)</v>|<is><t(?: xml:space="preserve")?>([^<]*)</t></is>)</c>)'
)

Found = tuple[str, str, str, str, str]
"""Of a cell: place, style, kind, value, text that stands in the cell itself; empty for what it has not."""


class QuickRow(NamedTuple):
    """Its number, and its cells."""

    number: int
    cells: list[Found]


class QuickRows:
    """Use `read`; where `otherwise` is set after it, the rest has to be read as XML."""

    def __init__(self, where: str) -> None:
        self._where = where
        self._root = ""
        self.otherwise = False

    def read(self, chunks: Iterator[bytes]) -> Iterator[list[QuickRow | ET.Element]]:
        """Rows, many at a time. Raises DecodeError."""
        prolog = Prolog(self._where)
        with checked(self._where):
            buffer = self._begun(chunks, prolog)
        if self.otherwise:
            return
        over = False
        for chunk in self._first_empty(chunks):
            with checked(self._where):
                prolog.parser.Parse(chunk, False)
            if over:
                continue
            buffer += chunk
            end = buffer.find(b"</sheetData>")
            over = end >= 0
            end = buffer.rfind(b"</row>", 0, end if over else len(buffer))
            if b"<!" in buffer or b"<?" in buffer:
                self.otherwise = True
                return
            if end >= 0:
                with checked(self._where):
                    text = buffer[:end].decode()
                buffer = buffer[end + 6 :]
                yield self._rows(text)
            elif len(buffer) > MOST_PENDING:
                raise DecodeError(f"{self._where}: more than {MOST_PENDING >> 20} MB in one row or cell: not read")
        with checked(self._where):
            prolog.parser.Parse(b"", True)

    def _begun(self, chunks: Iterator[bytes], prolog: Prolog) -> bytes:
        """What follows the beginning of the rows."""
        buffer = b""
        for chunk in chunks:
            prolog.parser.Parse(chunk, False)
            buffer += chunk
            at = buffer.find(_START)
            if at >= 0:
                root = _ROOT.search(buffer, 0, at)
                if root is None or _FOREIGN.search(buffer, 0, at):
                    break
                self._root = root[0].decode()
                return buffer[at + len(_START) :]
            if len(buffer) > _LONGEST_START:
                break
        self.otherwise = True
        return b""

    def _first_empty(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """All may be in what is read already."""
        yield b""
        yield from chunks

    def _rows(self, text: str) -> list[QuickRow | ET.Element]:
        found: list[QuickRow | ET.Element] = []
        for piece in text.split("</row>"):
            # What is not of this form, or has signs that XML writes otherwise, goes the long way.
            start = _ROW.match(piece)
            if start is not None and "&" not in piece and "\r" not in piece:
                cells = _CELL.findall(piece, start.end())
                # No sign `<` that is not of a cell found: so nothing else is there.
                if piece.count("<") == 1 + 4 * len(cells) or piece.count("<") == 1 + sum(map(_signs, cells)):
                    found.append(QuickRow(int(start[1]), cells))
                    continue
            with checked(self._where):
                tree = ET.fromstring(f"{self._root}{piece}</row></worksheet>")  # noqa: S314 - it has no DTD
            found += [row for row in tree if local(row.tag) == "row"]
        return found


def _signs(cell: Found) -> int:
    return 6 if cell[4] else 4 if cell[3] else 1
