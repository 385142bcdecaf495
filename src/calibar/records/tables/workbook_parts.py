"""What the sheets of an XLSX refer to: the list of sheets, styles that say what is a date, and texts kept apart."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from xml.etree import ElementTree as ET

from calibar.collection import uncollected
from calibar.errors import DecodeError, UsageError
from calibar.records.tables.elements import Elements, local
from calibar.records.tables.numbers import Shown, built_in, format_shows
from calibar.records.tables.package import Package
from calibar.records.tables.source import LONGEST_TEXT, MOST_SHEETS, printable

_MOST_TEXTS: Final = 10_000_000
_MOST_STYLES: Final = 100_000
_ESCAPED: Final = re.compile(r"_x([0-9A-Fa-f]{4})_")
_SAVE: Final = "save it as XLSX in Excel or LibreOffice and give that"


@dataclass
class Book:
    """The index of a workbook."""

    name: str
    sheets: list[tuple[str, str]] = field(default_factory=list)
    """Name, and entry in the package."""
    styles: str = ""
    texts: str = ""
    since_1904: bool = False
    stale: bool = False
    """Whoever wrote it asks that all formulas be calculated on opening, so a 0 may be a place-holder."""


def book(package: Package) -> Book:
    """Raises UsageError for macros and what is no XLSX, DecodeError for damage."""
    name = package.name
    if any(posixpath.basename(entry).lower() == "vbaproject.bin" for entry in package.entries) or any(
        "/macrosheets/" in entry.lower() for entry in package.entries
    ):
        raise UsageError(f"{name}: it has macros, which no statement needs: it is not opened; {_SAVE}")
    main = _target(package, "", "officeDocument") or "xl/workbook.xml"
    if main.endswith(".bin"):
        raise UsageError(f"{name}: XLSB is not read: {_SAVE}")
    if main not in package.entries:
        raise DecodeError(f"{name}: the workbook inside is missing: it is damaged; have it sent again")
    found = Book(name)
    related = {identifier: (kind, target) for identifier, kind, target in _related(package, main)}
    for kind, target in related.values():
        if kind == "sharedStrings":
            found.texts = target
        elif kind == "styles":
            found.styles = target
    wanted = frozenset({"workbookPr", "calcPr", "sheet"})
    for _, element in Elements(name, frozenset({"workbook", "sheets"}), wanted).read(package.chunks(main)):
        kind = local(element.tag)
        if kind == "workbookPr":
            found.since_1904 = element.get("date1904", "0") in {"1", "true"}
        elif kind == "calcPr":
            found.stale = element.get("fullCalcOnLoad", "0") in {"1", "true"}
        else:
            _add_sheet(found, element, related)
    missing = [sheet for sheet, target in found.sheets if target not in package.entries]
    if missing:
        raise DecodeError(f"{name}, sheet {missing[0]}: it is missing in the file: have it sent again")
    return found


def _add_sheet(found: Book, element: ET.Element, related: dict[str, tuple[str, str]]) -> None:
    identifier = next((value for key, value in element.items() if local(key) == "id"), "")
    kind, target = related.get(identifier, ("", ""))
    sheet = printable(element.get("name", ""))
    if kind == "worksheet":
        found.sheets.append((sheet, target))
    elif not kind:
        raise DecodeError(f"{found.name}, sheet {sheet}: it is missing in the file: have it sent again")
    if len(found.sheets) > MOST_SHEETS:
        raise DecodeError(f"{found.name}: more than {MOST_SHEETS:,} sheets, as no statement has: it is not read")


def styles(package: Package, found: Book) -> list[Shown]:
    """How each style of a cell shows its number."""
    if found.styles not in package.entries:
        return []
    formats: dict[str, Shown] = {}
    shown: list[Shown] = []
    reading = Elements(
        f"{found.name}, styles", frozenset({"styleSheet", "numFmts", "cellXfs"}), frozenset({"numFmt", "xf"})
    )
    for _, element in reading.read(package.chunks(found.styles)):
        identifier = element.get("numFmtId", "0")
        if local(element.tag) == "numFmt":
            formats[identifier] = format_shows(element.get("formatCode", ""))
        else:
            number = int(identifier) if identifier.isascii() and identifier.isdigit() and len(identifier) < 9 else 0
            shown.append(formats.get(identifier) or built_in(number))
        if len(shown) + len(formats) > _MOST_STYLES:
            raise DecodeError(f"{found.name}: more styles than any workbook's: it is not read")
    return shown


@uncollected()
def texts(package: Package, found: Book) -> tuple[str, ...]:
    """Texts that cells name by their place. A tuple, which the collector of cycles need not walk through."""
    if found.texts not in package.entries:
        return ()
    known: list[str] = []
    where = f"{found.name}, texts"
    for _, element in Elements(where, frozenset({"sst"}), frozenset({"si"})).read(package.chunks(found.texts)):
        text = element[0].text if len(element) == 1 and element[0].tag.endswith("}t") else None
        known.append(text_of(element, where) if text is None or len(text) > LONGEST_TEXT or "_x" in text else text)
        if len(known) > _MOST_TEXTS:
            raise DecodeError(f"{where}: more than {_MOST_TEXTS:,}: it is not read")
    return tuple(known)


def text_of(element: ET.Element, where: str) -> str:
    """The text of `si` or `is`: plain, or of runs with their own fonts. Readings in other scripts are left out."""
    if len(element) == 1 and local(element[0].tag) == "t":
        found = element[0].text or ""
    else:
        parts = []
        for child in element:
            kind = local(child.tag)
            if kind == "t":
                parts.append(child.text or "")
            elif kind == "r":
                parts.extend(part.text or "" for part in child if local(part.tag) == "t")
        found = "".join(parts)
    return unescaped(found, where)


def unescaped(text: str, where: str) -> str:
    """A text without `_x000D_`, by which spreadsheets write signs that XML cannot hold."""
    if len(text) > LONGEST_TEXT:
        raise DecodeError(f"{where}: a text of more than {LONGEST_TEXT:,} characters: it is not read")
    if "_x" in text:
        return _ESCAPED.sub(lambda sign: chr(int(sign[1], 16)), text)
    return text


def _target(package: Package, of: str, kind: str) -> str:
    return next((target for _, found, target in _related(package, of) if found == kind), "")


def _related(package: Package, of: str) -> Iterator[tuple[str, str, str]]:
    """Identifier, kind and entry of what a part refers to inside the file; links outside are left out."""
    folder, base = posixpath.split(of)
    index = posixpath.join(folder, "_rels", f"{base}.rels")
    if index not in package.entries:
        return
    reading = Elements(package.name, frozenset({"Relationships"}), frozenset({"Relationship"}))
    for _, element in reading.read(package.chunks(index)):
        if element.get("TargetMode") != "External":
            target = element.get("Target", "")
            inside = target.lstrip("/") if target.startswith("/") else posixpath.join(folder, target)
            yield element.get("Id", ""), posixpath.basename(element.get("Type", "")), posixpath.normpath(inside)
