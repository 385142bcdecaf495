"""A recording of a TRON node's answers: a `.jsonl` or `.jsonl.gz` file.

One object a line: `{"path": "/wallet/getblockbynum", "body": {"num": 5}, "result": {…}}`. A recording is asked as the
node was, and answers the same.
"""

from __future__ import annotations

import gzip
import json
import tempfile
import zlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from calibar.chains.tron.jsonfields import integer, mapping, parse, word
from calibar.chains.tron.source import BLOCK, INFOS, NOW, TronSource
from calibar.errors import DecodeError, UsageError

LONGEST_LINE: Final = 128 << 20
LARGEST: Final = 1 << 37
"""Bytes of a recording, uncompressed."""


class RecordedNode:
    """Answers from a recording. Keeps where each stands, not the answers."""

    def __init__(self, path: Path, *, longest_line: int = LONGEST_LINE, largest: int = LARGEST) -> None:
        """Reads the whole file once. Raises UsageError where it cannot be opened, DecodeError where it is damaged."""
        self.name = str(path)
        self._places: dict[tuple[str, str], tuple[int, int]] = {}
        self._last = -1
        try:
            self._file = self._open(path, largest)
        except OSError as e:
            raise UsageError(f"{path}: {e.strerror or 'it cannot be read'}") from None
        try:
            self._index(longest_line, largest)
        except BaseException:
            self._file.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def ask(self, path: str, body: Mapping[str, object]) -> object:
        """The recorded answer. Raises UsageError where the recording has none.

        The last block is the highest one recorded; a block that is not recorded is answered with `{}`, as by a node.
        """
        if path == NOW:
            path, body = BLOCK, {"num": self._last}
        place = self._places.get((path, _key(body)))
        if place is None:
            if path == BLOCK:
                return {}
            number = body.get("num")
            raise UsageError(f"{self.name}: the answer of {path} for block {number} was not recorded; record it too")
        start, length = place
        self._file.seek(start)
        return mapping(parse(self._file.read(length), self.name), self.name).get("result")

    def _open(self, path: Path, largest: int) -> IO[bytes]:
        if path.suffix != ".gz":
            return path.open("rb")
        unpacked = tempfile.TemporaryFile()  # noqa: SIM115
        try:
            with gzip.open(path) as packed:
                while chunk := packed.read(1 << 20):
                    unpacked.write(chunk)
                    if unpacked.tell() > largest:
                        raise DecodeError(f"{path}: over {largest} bytes when unpacked; refused")
        except BaseException as e:
            unpacked.close()
            if isinstance(e, EOFError | zlib.error | gzip.BadGzipFile):
                raise DecodeError(f"{path}: damaged or cut off gzip file; get it again") from None
            raise
        unpacked.seek(0)
        return unpacked

    def _index(self, longest: int, largest: int) -> None:
        start = number = 0
        while line := self._file.readline(longest + 1):
            number += 1
            what = f"{self.name}: line {number}"
            if len(line) > longest or start + len(line) > largest:
                raise DecodeError(f"{what}: over the size that is read; refused")
            if line.strip():
                self._add(mapping(parse(line, what), what), start, len(line), what)
            start += len(line)

    def _add(self, entry: Mapping[str, object], start: int, length: int, what: str) -> None:
        path = word(entry, "path", what)
        body = mapping(entry.get("body", {}), f"{what}: body")
        if "result" not in entry:
            raise DecodeError(f"{what}: no result; each line has path, body and result")
        if path not in (BLOCK, INFOS):
            return
        num = integer(body, "num", f"{what}: body")
        key = path, _key({"num": num})
        if key in self._places:
            before, size = self._places[key]
            here = self._file.tell()
            self._file.seek(before)
            same = mapping(parse(self._file.read(size), what), what)["result"] == entry["result"]
            self._file.seek(here)
            if not same:
                raise DecodeError(
                    f"{what}: {path} for block {num} was answered otherwise on a line before; record anew"
                )
            return
        self._places[key] = start, length
        if path == BLOCK and entry["result"] not in ({}, None):
            self._last = max(self._last, num)


def _key(body: Mapping[str, object]) -> str:
    return json.dumps(body, sort_keys=True)


def recorded_source(path: Path, network: str | None = None) -> TronSource:
    """Blocks of a recording; `network` must be given where block 0 is not in it. Raises UsageError, DecodeError."""
    node = RecordedNode(path)
    try:
        return TronSource(node, network)
    except BaseException:
        with suppress(OSError):
            node.close()
        raise
