"""A table of labels: CSV with columns address, name, category, source and, if it has them, network, date, confidence.

A row without a network is of the main network that its address has the form of; labels never reach another network.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from datetime import date
from pathlib import Path
from typing import Final

from calibar.chains.tron import address as tron
from calibar.errors import AddressError, DecodeError, UsageError
from calibar.labels.keys import named
from calibar.labels.label import Label, LabelSet

LARGEST: Final = 256 << 20
"""Bytes of a file."""
LONGEST: Final = 400
"""Characters of a cell."""
_NEEDED: Final = ("address", "name", "category", "source")
_ALSO: Final = ("network", "date", "confidence")
_CATEGORY: Final = re.compile(r"[a-z0-9_]{1,40}")


def read_labels(paths: Sequence[Path]) -> LabelSet:
    """The labels of some files. UsageError where one cannot be read, DecodeError for a bad line."""
    return LabelSet(pair for path in paths for pair in _rows(path))


def _rows(path: Path) -> Iterator[tuple[bytes, Label]]:
    try:
        if path.stat().st_size > LARGEST:
            raise DecodeError(f"{path} is larger than {LARGEST >> 20} MB: that is no table of labels; split it")
        text = path.read_text("utf-8-sig")
    except OSError as error:
        raise UsageError(f"cannot read the labels in {path}: {error.strerror or error}; name another file") from None
    except UnicodeDecodeError:
        raise DecodeError(f"{path} is no table of labels: it is not UTF-8; save it as that") from None
    # Lines that begin with # are remarks.
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip() and line[:1] != "#"]
    if not lines:
        raise DecodeError(f"{path} is empty: a table of labels begins with a line {','.join(_NEEDED)}")
    header = _cells(path, lines[0])
    columns = {name.strip().lower(): at for at, name in enumerate(header)}
    if missing := [name for name in _NEEDED if name not in columns]:
        raise DecodeError(f"{path}: line {lines[0][0]} names no column {missing[0]}; it needs {', '.join(_NEEDED)}")
    if len(columns) != len(header) or (unknown := sorted(columns.keys() - {*_NEEDED, *_ALSO})):
        what = "names a column twice" if len(columns) != len(header) else f"has a column {unknown[0][:40]!r}"
        raise DecodeError(f"{path}: line {lines[0][0]} {what}; there are {', '.join((*_NEEDED, *_ALSO))}")
    for line in lines[1:]:
        cells = [cell.strip() for cell in _cells(path, line)]
        if len(cells) != len(header):
            raise DecodeError(f"{path}: line {line[0]} has {len(cells)} cells, the first {len(header)}; mend it")
        fields = {name: cells[columns[name]] if name in columns else "" for name in (*_NEEDED, *_ALSO)}
        try:
            yield _label(fields)
        except (AddressError, UsageError, ValueError) as error:
            raise DecodeError(f"{path}: line {line[0]}: {error}; mend or remove it") from None


def _cells(path: Path, line: tuple[int, str]) -> list[str]:
    try:
        return next(csv.reader(io.StringIO(line[1]), strict=True))
    except csv.Error as error:
        raise DecodeError(f"{path}: line {line[0]} is no CSV ({error}); mend it") from None


def _label(fields: dict[str, str]) -> tuple[bytes, Label]:
    for name, text in fields.items():
        if len(text) > LONGEST or any(not c.isprintable() for c in text):
            raise ValueError(f"its {name} is longer than {LONGEST} characters or has control characters")
        if name in _NEEDED and not text:
            raise ValueError(f"it has no {name}")
    category = fields["category"].lower().replace("-", "_").replace(" ", "_")
    if not _CATEGORY.fullmatch(category):
        raise ValueError(f"{category[:40]!r} is no category: letters, digits and _ alone")
    if fields["date"]:
        date.fromisoformat(fields["date"])
    if fields["confidence"] and not re.fullmatch("[0-9]{1,2}|100", fields["confidence"]):
        raise ValueError(f"its confidence {fields['confidence'][:20]!r} is no whole number from 0 to 100")
    network = fields["network"].lower() or _network_by_form(fields["address"])
    key, address = named(network, fields["address"])
    return key, Label(**{**fields, "network": network, "address": address, "category": category})


def _network_by_form(address: str) -> str:
    """The main network of an address's form. Raises ValueError for forms that test networks share."""
    if address[:2] in ("0x", "0X"):
        return "ethereum:1"
    if address[:1] == "T" and len(address) == tron.LENGTH:
        return "tron:mainnet"
    if address[:1] in "13" or address[:4].lower() == "bc1q" or address[:4].lower() == "bc1p":
        return "mainnet"
    raise ValueError(f"what network {address[:80]} is of is not said; add the column network")
