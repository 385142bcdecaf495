"""The one small file that says what of a ledger is committed. Replaced atomically; everything else only grows."""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from calibar.errors import DamageError, LedgerError
from calibar.ledger.schema import FORMAT

NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is committed."""

    network: str
    island: bool
    """Whether the run starts later than genesis."""
    base: int
    """Height of the first block; 0 where `heights_known` is false."""
    heights_known: bool
    generation: int
    """Grows each time ids are given up by a reorganisation."""
    counts: dict[str, int]
    """Committed rows by table."""
    tails: dict[str, str]
    """SHA-256 of each column's last, unfilled chunk."""
    index: dict[str, int]
    """Slots of each hash table."""

    @property
    def height(self) -> int:
        """Height of the last block (or its place in an island of unknown heights), base - 1 where there is none."""
        return self.base + self.counts["blocks"] - 1


def empty(network: str, tables: Iterable[str]) -> Manifest:
    """Manifest of a new ledger."""
    counts = dict.fromkeys(tables, 0)
    return Manifest(network, False, 0, True, 0, counts, {}, {})


def _checksum(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def read(folder: Path) -> Manifest:
    """The committed manifest of a ledger. Raises LedgerError where there is none, or a newer format's."""
    path = folder / NAME
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError):
        raise LedgerError(f"there is no ledger in {folder}; make one with `calibar ingest`") from None
    except PermissionError as error:
        raise LedgerError(f"{path} cannot be read ({error.strerror}); ask for permission to read it") from None
    except (OSError, UnicodeDecodeError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:
            raise LedgerError(f"{folder} is too long a name for a folder; name another") from None
        raise DamageError(
            f"{path} cannot be read ({getattr(error, 'strerror', None) or error}); restore it or ingest again"
        ) from None
    try:
        document = json.loads(text)
        version = document["format"]
        if version != FORMAT:
            raise LedgerError(f"{folder} has ledger format {version}, this Calíbar reads {FORMAT}; use a newer Calíbar")
        checksum = document.pop("checksum")
        if checksum != _checksum(document):
            raise ValueError
        del document["format"]
        return Manifest(**document)
    except (ValueError, KeyError, TypeError):
        raise DamageError(f"{path} is damaged; restore it or ingest again into a new folder") from None


def write(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest: after this returns, and not before, it is what the ledger holds."""
    document: dict[str, Any] = {"format": FORMAT, **asdict(manifest)}
    document["checksum"] = _checksum(document)
    temporary = folder / (NAME + ".new")
    with temporary.open("w", encoding="utf-8") as file:
        json.dump(document, file, sort_keys=True, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / NAME)
    sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """The names in a folder to disk, where the system can."""
    if hasattr(os, "O_DIRECTORY"):
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
