"""Tables of a file, whatever program wrote it: by what its bytes are, whatever its name says."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.apart import held_tables
from calibar.records.tables.archive import unpacked
from calibar.records.tables.cells import Table
from calibar.records.tables.compound import SIGNATURE
from calibar.records.tables.old_workbook import OldWorkbook
from calibar.records.tables.opendocument import OpenDocument
from calibar.records.tables.package import Package
from calibar.records.tables.source import LARGEST, Allowance, NoTableError, OnDisk, Source, printable
from calibar.records.tables.text import text_table
from calibar.records.tables.workbook import Workbook

PassedOver = Callable[[str, str], None]
_HEAD: Final = 8192
_DEEPEST: Final = 2
"""A delivery, and one inside it."""
_OTHERS: Final = {
    b"\x1f\x8b": "packed with gzip: unpack it and give what is inside",
    b"7z\xbc\xaf\x27\x1c": "packed with 7-Zip: unpack it and give what is inside",
    b"Rar!": "packed with RAR: unpack it and give what is inside",
}
_NO_TABLES: Final = {
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"GIF8": "a picture",
    b"{\\rtf": "a document of a word processor",
    b"MIME-Version:": "a web archive or message",
}
_HTML: Final = re.compile(rb"<(!doctype\s+html|html|head|meta|body|table|style|div|center)\b", re.IGNORECASE)
_JSON: Final = re.compile(rb"""[\[{]\s*(["{\[\]}]|$)""")
_AGAIN: Final = "open it in Excel or LibreOffice and save it as XLSX"


def tables(path: Path, passed_over: PassedOver | None = None) -> Iterator[Table]:
    """Every table of a file, or of the files of a zipped delivery, in their order.

    `passed_over` is told of each file of a delivery without a table that could be read, and of pages that are
    pictures: its name and why. Raises UsageError where the file cannot be read or has no table, DecodeError where it
    is damaged or made to do harm; each says which file.
    """
    name = printable(str(path))
    try:
        if not path.is_file():
            what = "it is no file" if path.exists() else "there is no such file"
            raise UsageError(f"{name}: {what}: give a file with tables")
        size = path.stat().st_size
    except (OSError, ValueError) as error:
        raise UsageError(f"{name}: it cannot be read: {error}") from None
    if size > LARGEST:
        raise DecodeError(f"{name}: it is larger than {LARGEST >> 30} GiB: export a shorter period")
    yield from _tables(OnDisk(path, name, Allowance(LARGEST)), passed_over or _unheard, 0)


def _tables(source: Source, passed_over: PassedOver, depth: int) -> Iterator[Table]:
    with source.open() as stream:
        head = stream.read(_HEAD)
    if not head:
        raise NoTableError(f"{source.name}: it is empty: have it sent again")
    if head.startswith((b"PK\3\4", b"PK\5\6")):
        yield from _zipped(source, passed_over, depth)
    elif head.startswith(SIGNATURE):
        yield from OldWorkbook(source).tables()
    elif b"%PDF-" in head[:1024]:
        yield from held_tables(source, "pdf", passed_over)
    else:
        start = _start(head, source.name)
        if _HTML.match(start) or (start.startswith(b"<?xml") and re.search(rb"<html\b", start, re.IGNORECASE)):
            yield from held_tables(source, "html", passed_over)
        else:
            _refuse_xml(start, source.name)
            yield text_table(source)


def _zipped(source: Source, passed_over: PassedOver, depth: int) -> Iterator[Table]:
    with source.open() as stream:
        package = Package(source, stream)
        entries = set(package.entries)
        mimetype = b"".join(package.chunks("mimetype"))[:200] if "mimetype" in entries else b""
    if mimetype.startswith(b"application/vnd.oasis.opendocument.spreadsheet"):
        yield from OpenDocument(source).tables()
    elif mimetype.startswith(b"application/vnd.oasis."):
        raise NoTableError(f"{source.name}: an OpenDocument that is no spreadsheet: {_AGAIN}")
    elif "[Content_Types].xml" in entries:
        if not any(entry.startswith("xl/") for entry in entries):
            raise NoTableError(f"{source.name}: a document of Office that is no workbook: {_AGAIN}")
        yield from Workbook(source).tables()
    elif depth >= _DEEPEST:
        raise UsageError(f"{source.name}: a ZIP in a ZIP in a ZIP: unpack the outer one and give what is inside")
    else:
        yield from _delivered(source, passed_over, depth)


def _delivered(source: Source, passed_over: PassedOver, depth: int) -> Iterator[Table]:
    found = 0
    reasons: list[str] = []

    def told(name: str, why: str) -> None:
        reasons.append(f"{name}: {why}")
        passed_over(name, why)

    for inside in unpacked(source, told):
        try:
            for table in _tables(inside, told, depth + 1):
                found += 1
                yield table
        except NoTableError as error:
            told(inside.name, str(error).removeprefix(f"{inside.name}: "))
    if not found:
        why = f" ({reasons[0]})" if reasons else ""
        raise NoTableError(f"{source.name}: there is no table in it{why}: give the files with tables")


def _start(head: bytes, name: str) -> bytes:
    """The first bytes that are not blank, of a text in ASCII as far as it goes."""
    for signs, what in _OTHERS.items():
        if head.startswith(signs):
            raise UsageError(f"{name}: it is {what}")
    for signs, what in _NO_TABLES.items():
        if head.startswith(signs):
            raise NoTableError(f"{name}: {what}: give a file with tables (XLSX, XLS, ODS, CSV, PDF)")
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        head = head.decode("utf-16", "replace").encode()
    return head.removeprefix(b"\xef\xbb\xbf").lstrip()


def _refuse_xml(start: bytes, name: str) -> None:
    if start.startswith((b"<?xml", b"<!DOCTYPE")):
        old = b"urn:schemas-microsoft-com:office:spreadsheet" in start
        what = "a workbook as XML of Excel 2003" if old else "XML"
        raise (UsageError if old else NoTableError)(f"{name}: {what}, which is not read: {_AGAIN}")
    if _JSON.match(start):
        raise NoTableError(f"{name}: JSON, which has no table: export it as CSV or XLSX")


def _unheard(_name: str, _why: str) -> None:
    pass
