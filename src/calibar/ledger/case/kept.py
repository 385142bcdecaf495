"""What servers answered, as it came: one append-only file of exchanges, from which a case is made anew at any time.

One JSON object a line: kind of server, place, time, request, SHA-256 of the response and the response (`text`, or
`base64` where it is no UTF-8). A line counts once it ends; what a crash cut off is dropped by the next writer.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO, Final, Self

from filelock import FileLock, Timeout

from calibar.chains.bitcoin.sources.told import Exchange
from calibar.errors import DamageError, LedgerError
from calibar.ledger.manifest import sync_folder
from calibar.ledger.store import no_space

NAME: Final = "responses.jsonl"
LOCK: Final = "lock"
RECORDS: Final = "records"
"""The folder of a case in which documents of custodians are kept."""
LARGEST: Final = 1 << 30
"""Bytes of one line."""


@dataclass(frozen=True, slots=True)
class Kept:
    """An exchange and when it was, seconds since 1970 UTC."""

    exchange: Exchange
    time: int


def read_kept(folder: Path) -> Iterator[Kept]:
    """All exchanges of a case, in the order they were had. Raises DamageError for one that is not what it was."""
    path = folder / NAME
    try:
        with path.open("rb") as file:
            for number, line in enumerate(iter(lambda: file.readline(LARGEST), b""), 1):
                if not line.endswith(b"\n"):
                    if len(line) == LARGEST:
                        raise DamageError(f"{path}: line {number} is longer than any response; restore the file")
                    return  # cut off by a crash, or being written now
                yield _kept(line, path, number)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LedgerError(f"{path} cannot be read: {error.strerror or error}") from None


def _kept(line: bytes, path: Path, number: int) -> Kept:
    try:
        row = json.loads(line)
        response = row["text"].encode() if "text" in row else base64.b64decode(row["base64"], validate=True)
        if hashlib.sha256(response).hexdigest() != row["sha256"]:
            raise DamageError(f"{path}: the response in line {number} is not what it was; restore the file")
        kind, place, request = (str(row[key]) for key in ("kind", "place", "request"))
        return Kept(Exchange(kind, place, request, response), int(row["time"]))
    except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError, binascii.Error):
        raise DamageError(f"{path}: line {number} is no exchange with a server; restore the file") from None


class Log:
    """The open file of a case; one writer at a time. Use it as a context."""

    def __init__(self, folder: Path, clock: Callable[[], float] = time.time) -> None:
        """Open or begin the file in `folder`. Raises LedgerError where another process writes it."""
        self._clock = clock
        self._path = folder / NAME
        self._lock = FileLock(folder / LOCK)
        self._file: BinaryIO
        with no_space(folder):
            folder.mkdir(parents=True, exist_ok=True)
            try:
                self._lock.acquire(timeout=0)
            except Timeout:
                raise LedgerError(f"another process is fetching into {folder}; wait until it is done") from None
            fresh = not self._path.exists()
            self._file = self._path.open("r+b" if not fresh else "x+b")
            self._drop_unfinished()
            if fresh:
                sync_folder(folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Commit, and let others write."""
        if not self._file.closed:
            self.commit()
            self._file.close()
        self._lock.release()

    def keep(self, exchange: Exchange) -> Kept:
        """Write an exchange down."""
        kept = Kept(exchange, int(self._clock()))
        response = exchange.response
        row: dict[str, object] = {
            "kind": exchange.kind,
            "place": exchange.place,
            "time": kept.time,
            "request": exchange.request,
            "sha256": hashlib.sha256(response).hexdigest(),
        }
        try:
            row["text"] = response.decode()
        except UnicodeDecodeError:
            row["base64"] = base64.b64encode(response).decode()
        with no_space(self._path.parent):
            self._file.write(json.dumps(row, ensure_ascii=False, separators=(",", ":")).encode() + b"\n")
        return kept

    def commit(self) -> None:
        """To disk: what was kept before is there after any crash."""
        with no_space(self._path.parent):
            self._file.flush()
            os.fsync(self._file.fileno())

    def _drop_unfinished(self) -> None:
        size = self._file.seek(0, os.SEEK_END)
        end = size
        while end:
            start = max(0, end - (1 << 16))
            self._file.seek(start)
            found = self._file.read(end - start).rfind(b"\n")
            if found >= 0:
                end = start + found + 1
                break
            end = start
        if end < size:
            self._file.truncate(end)
        self._file.seek(end)


def said_at(time_: int) -> str:
    """A time for people, in UTC."""
    return datetime.fromtimestamp(time_, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
