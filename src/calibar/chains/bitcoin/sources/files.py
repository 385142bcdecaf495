"""Raw transactions in files that a person was given: hexadecimal text, one a line, or the bytes of one transaction.

Their ids follow from their bytes; where in the chain they are, if anywhere, a file cannot show.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from calibar.chains.bitcoin.sources.told import Exchange, Keep, Question, Raw, RawQuestion, Refusal, Told
from calibar.errors import DecodeError, UsageError

LARGEST: Final = 64 << 20
"""Bytes of a file."""


class Files:
    """Files as a source. Everything in them is told once, whatever is asked first."""

    kind = "files"

    def __init__(self, paths: Sequence[Path], keep: Keep) -> None:
        """Raises UsageError for a file that cannot be read, DecodeError for one without transactions."""
        self.place = "files"
        self._found: list[tuple[str, bytes]] = [(str(path.name), _contents(path)) for path in paths]
        self._keep = keep
        self._kept = False

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """Answers only what transactions are; the first time, everything is kept."""
        if not self._kept:
            for name, data in self._found:
                self._keep(Exchange(self.kind, self.place, json.dumps({"file": name}), data))
            self._kept = True
        for question in questions:
            if not isinstance(question, RawQuestion):
                yield question, Refusal("a file of transactions tells nothing else")

    def close(self) -> None:
        """Nothing is open."""


def read(request: str, response: bytes) -> Iterator[Told]:
    """The transactions of a file."""
    del request
    yield from (Raw(data) for data in _transactions(response))


def _transactions(data: bytes) -> list[bytes]:
    try:
        text = data.decode("ascii")
    except UnicodeDecodeError:
        return [data]
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        if bare := line.strip().strip('"'):
            try:
                found.append(bytes.fromhex(bare))
            except ValueError:
                raise DecodeError(f"line {number} is no transaction in hexadecimal digits") from None
    if not found:
        raise DecodeError("there is no transaction")
    return found


def _contents(path: Path) -> bytes:
    try:
        if path.stat().st_size > LARGEST:
            raise UsageError(f"{path} is larger than {LARGEST >> 20} MB; give the transactions in smaller files")
        data = path.read_bytes()
        _transactions(data)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    except DecodeError as error:
        raise DecodeError(f"{path}: {error}; give raw transactions, one a line") from None
    return data
