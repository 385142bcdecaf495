"""What the tests of selectors share."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from calibar.records.selectors import Report, extract
from calibar.records.selectors.kinds.checks import Reasons
from calibar.records.selectors.search import Searched, search
from calibar.records.selectors.text import Text

GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
CHECKED_ETHER = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TETHER = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
HASH = "4a5e1e4baab89f3a32518a88c31bc87f618f76673e2cc77ab2127b7afdeda33b"
SEED = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
WIF = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"


def look(text: str) -> Searched:
    """Search a text."""
    return search(Text(text), "AR", Reasons())


def found(text: str) -> dict[str, list[str]]:
    """Values by kind that are no near misses."""
    kinds: dict[str, list[str]] = {}
    for hit in look(text).hits:
        if not hit.is_near:
            kinds.setdefault(hit.kind, []).append(hit.value)
    return kinds


def near(text: str) -> list[tuple[str, str]]:
    """Kind and reason of each near miss."""
    return [(hit.kind, hit.checked) for hit in look(text).hits if hit.is_near]


def private(text: str) -> list[str]:
    """Kinds of what is private."""
    return [one.kind for one in look(text).secrets if not one.is_rest]


def write(folder: Path, name: str, content: str | bytes) -> Path:
    """A file in a folder."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def report(folder: Path, name: str, content: str | bytes, **options: Any) -> Report:
    """What a file has."""
    return extract([write(folder, name, content)], **options)


def the(report: Report, kind: str) -> Mapping[str, Any]:
    """The only finding of a kind."""
    (one,) = (entry for entry in report.findings if entry["kind"] == kind)
    return one
