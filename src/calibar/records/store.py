"""A case's documents: the files as they were handed in, and one line a file of where they came from.

`records/files/SHA256` has the bytes, `records/deliveries.jsonl` what is said of them. What a file says is read from it
anew each time, so nothing here can differ from the document.
"""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from filelock import FileLock, Timeout

from calibar.errors import DamageError, LedgerError, UsageError
from calibar.ledger.case.kept import RECORDS
from calibar.ledger.columns import sync_file
from calibar.ledger.manifest import sync_folder
from calibar.ledger.store import no_space

NAME: Final = "deliveries.jsonl"
LOCK: Final = "lock"
LARGEST: Final = 4 << 30
"""Bytes of a file."""
_CHUNK: Final = 1 << 20
_HOW: Final = ("custodian", "holder", "format", "columns", "account", "asset", "zone", "dates", "decimal", "period")
"""What is said of a document that another word of it can correct."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """A file, who gave it, and how it is read."""

    sha256: str
    name: str
    bytes: int
    received_at: int
    """Seconds since 1970 UTC."""
    received_by: str
    custodian: str
    holder: str
    """The account's holder as the custodian states it."""
    format: str
    """Empty: each table by its own header."""
    columns: dict[str, str]
    """By role, where a mapping reads it."""
    account: str
    asset: str
    zone: str
    dates: str
    decimal: str
    period: str
    """`FROM/TO`, ISO dates, as the custodian states it; else empty."""
    certificate: str
    """SHA-256 of the certificate or cover letter, which is kept beside; else empty."""
    certificate_name: str


class Records:
    """The documents of one case."""

    def __init__(self, case: Path) -> None:
        """Those in `case`; there may be none yet."""
        self.folder = case / RECORDS

    def deliveries(self) -> list[Delivery]:
        """In the order in which they came; of one that was read otherwise later, how it is read now. Raises
        DamageError."""
        return list({one.sha256: one for one in self._lines()}.values())

    def _lines(self) -> list[Delivery]:
        path = self.folder / NAME
        found: list[Delivery] = []
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            return []
        except OSError as error:
            raise LedgerError(f"{path} cannot be read: {error.strerror or error}") from None
        for number, line in enumerate(data.splitlines(), 1):
            try:
                found.append(Delivery(**json.loads(line)))
            except (ValueError, TypeError, RecursionError):
                raise DamageError(f"{path}: line {number} is no delivery; restore the file") from None
        return found

    def path(self, sha256: str) -> Path:
        """Where a document's bytes are. Raises DamageError where they are not what they were."""
        path = self.folder / "files" / sha256
        try:
            digest = _digest(path)
        except OSError as error:
            raise DamageError(f"{path} cannot be read ({error.strerror or error}); restore it") from None
        if digest != sha256:
            raise DamageError(f"{path} is not what was handed in; restore it")
        return path

    def keep(self, path: Path, certificate: Path | None, said: dict[str, object]) -> tuple[Delivery, bool]:
        """Keep a file and what is said of it; whether that is new. Raises UsageError, LedgerError.

        The bytes are there before the line that names them: a crash leaves the case as it was, or with the delivery.
        """
        lock = FileLock(self.folder / LOCK)
        with no_space(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            try:
                lock.acquire(timeout=0)
            except Timeout:
                raise LedgerError(f"another process adds records to {self.folder}; wait until it is done") from None
            try:
                digest, size = self._take(path)
                known = [one for one in self.deliveries() if one.sha256 == digest]
                letter = self._take(certificate)[0] if certificate is not None else ""
                name = certificate.name if certificate is not None else ""
                if known:
                    # What is not said now is as it was said.
                    before = {key: getattr(known[0], key) for key in said}
                    said = said | {key: before[key] for key in _HOW if not said[key]}
                    if letter in ("", known[0].certificate):
                        letter, name = known[0].certificate, known[0].certificate_name
                        if all(said[key] == before[key] for key in _HOW):
                            return known[0], False
                delivery = Delivery(
                    sha256=digest, name=path.name, bytes=size, certificate=letter, certificate_name=name, **said  # type: ignore[arg-type]
                )  # fmt: skip
                self._append(delivery)
                return delivery, True
            finally:
                lock.release()

    def _take(self, path: Path) -> tuple[str, int]:
        """Copy a file's bytes in, by its digest."""
        files = self.folder / "files"
        files.mkdir(exist_ok=True)
        part = files / f".{os.getpid()}.part"
        digest, size = hashlib.sha256(), 0
        try:
            with path.open("rb") as source, part.open("wb") as target:
                while block := source.read(_CHUNK):
                    size += len(block)
                    if size > LARGEST:
                        raise UsageError(f"{path} is larger than {LARGEST >> 30} GB; hand it in in parts")
                    digest.update(block)
                    target.write(block)
            sync_file(part)
            part.replace(files / digest.hexdigest())
            sync_folder(files)
        except OSError as error:
            if error.filename == str(path):
                raise UsageError(f"cannot read {path}: {error.strerror or error}; name another file") from None
            raise
        finally:
            part.unlink(missing_ok=True)
        return digest.hexdigest(), size

    def _append(self, delivery: Delivery) -> None:
        path = self.folder / NAME
        line = json.dumps(asdict(delivery), ensure_ascii=False, sort_keys=True) + "\n"
        whole = path.read_bytes() if path.exists() else b""
        whole += b"" if not whole or whole.endswith(b"\n") else b"\n"
        part = path.with_name(f".{NAME}.part")
        part.write_bytes(whole + line.encode())
        sync_file(part)
        part.replace(path)
        sync_folder(self.folder)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
