"""Zipped deliveries: what lies inside, unpacked to memory or a file without a name, never under a name from inside."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from calibar.records.tables.package import Package
from calibar.records.tables.source import Source, Unpacked, printable


def unpacked(source: Source, passed_over: Callable[[str, str], None]) -> Iterator[Unpacked]:
    """The files of a delivery, one after the other. Raises DecodeError and UsageError as Package does."""
    with source.open() as stream:
        package = Package(source, stream)
        source.allowance.take(package.total, source.name)
        for entry in package.entries:
            found = Unpacked(f"{source.name}/{printable(entry)}", source.allowance)
            parts = entry.split("/")
            if parts[0] == "__MACOSX" or parts[-1] in {".DS_Store", "Thumbs.db", "desktop.ini"}:
                passed_over(found.name, "a system wrote it for itself")
                continue
            for chunk in package.chunks(entry):
                found.add(chunk)
            if len(found):
                yield found
            else:
                passed_over(found.name, "it is empty")
