"""Answers of a node, recorded: what was read once can be read again without one.

A recording is a file `*.jsonl` or `*.jsonl.gz`, or a folder of such, of one JSON object a line:

    {"method": "eth_getBlockByNumber", "params": ["0x1", true], "result": {…}}
    {"method": "trace_block", "params": ["0x1"], "error": {"code": -32601, "message": "…"}}

The same question answered twice keeps the later answer. A method that is nowhere in the recording is one that the
node does not offer. The highest recorded block is the last.
"""

from __future__ import annotations

import contextlib
import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, cast

from calibar.chains.ethereum.jsonrpc import Answers, Question, Refusal
from calibar.errors import DecodeError, UsageError

LONGEST_LINE: Final = 256 << 20
LARGEST: Final = 4 << 30
"""Bytes of all lines, unpacked; they are kept in memory."""


class Recording:
    """The answers in a recording, kept as text until they are asked for."""

    def __init__(self, path: Path) -> None:
        """Read it whole. UsageError where there is none, DecodeError for a line that is not in the form above."""
        self.place = str(path)
        self._answers: dict[str, bytes] = {}
        self._methods: set[str] = set()
        self._last = -1
        left = LARGEST
        for file in _files(path):
            for at, line in enumerate(_lines(file), 1):
                left -= len(line)
                if left < 0:
                    raise DecodeError(f"{file}: the recording is over {LARGEST >> 30} GB; split it by blocks")
                if line.strip():
                    self._take(line, f"{file}: line {at}")

    def ask(self, questions: Sequence[Question]) -> list[object]:
        """The recorded answers."""
        return [self._answer(question) for question in questions]

    def _take(self, line: bytes, where: str) -> None:
        entry = _parse(line, where)
        method, params = entry.get("method"), entry.get("params")
        if not isinstance(method, str) or not isinstance(params, list) or not ("result" in entry) ^ ("error" in entry):
            raise DecodeError(f"{where}: method, params and either result or error are expected")
        self._methods.add(method)
        self._answers[_key(method, params)] = line
        if method == "eth_getBlockByNumber" and params and entry.get("result") is not None:
            with contextlib.suppress(TypeError, ValueError):
                self._last = max(self._last, int(params[0], 16))

    def _answer(self, question: Question) -> object:
        if question.method == "eth_blockNumber" and self._last >= 0:
            return hex(self._last)
        line = self._answers.get(_key(question.method, list(question.params)))
        if line is None:
            code = -32000 if question.method in self._methods else -32601
            return Refusal(code, f"{question.method} of {json.dumps(question.params)[:100]} is not recorded")
        entry = _parse(line, self.place)
        if "result" in entry:
            return entry["result"]
        error = entry["error"]
        if not isinstance(error, dict):
            return Refusal(0, str(error)[:200])
        told = error.get("code")
        return Refusal(told if isinstance(told, int) else 0, str(error.get("message"))[:200])


@dataclass(slots=True)
class Recorder:
    """Asks others and writes down what they answer, each question once."""

    answers: Answers
    path: Path
    place: str = field(init=False)
    _file: BinaryIO = field(init=False)
    _asked: set[str] = field(init=False, default_factory=set)

    def __post_init__(self) -> None:
        """Begin a new file. UsageError where it is there already or cannot be made."""
        self.place = self.answers.place
        try:
            packed = self.path.suffix == ".gz"
            self._file = cast("BinaryIO", gzip.GzipFile(self.path, "xb")) if packed else self.path.open("xb")
        except FileExistsError:
            raise UsageError(f"{self.path} is there already; record into a new file") from None
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None

    def ask(self, questions: Sequence[Question]) -> list[object]:
        """Their answers."""
        found = self.answers.ask(questions)
        for question, answer in zip(questions, found, strict=True):
            key = _key(question.method, list(question.params))
            if key in self._asked:
                continue
            self._asked.add(key)
            entry: dict[str, object] = {"method": question.method, "params": list(question.params)}
            if isinstance(answer, Refusal):
                entry["error"] = {"code": answer.code, "message": answer.message}
            else:
                entry["result"] = answer
            self._write(json.dumps(entry, separators=(",", ":")).encode() + b"\n")
        return found

    def close(self) -> None:
        """Finish the file."""
        self._file.close()

    def _write(self, line: bytes) -> None:
        try:
            self._file.write(line)
        except OSError as error:
            raise UsageError(f"{self.path} cannot be written: {error.strerror}") from None


def _key(method: str, params: list[object]) -> str:
    return method + json.dumps(params, separators=(",", ":"), sort_keys=True)


def _parse(line: bytes, where: str) -> dict[str, object]:
    try:
        entry = json.loads(line)
    except (ValueError, RecursionError):
        raise DecodeError(f"{where}: it is not a JSON object") from None
    if not isinstance(entry, dict):
        raise DecodeError(f"{where}: it is not a JSON object")
    return entry


def _files(path: Path) -> list[Path]:
    if path.is_dir():
        files = sorted(file for file in path.iterdir() if file.name.endswith((".jsonl", ".jsonl.gz")))
        if not files:
            raise UsageError(f"{path} has no recording (*.jsonl, *.jsonl.gz)")
        return files
    if not path.is_file():
        raise UsageError(f"{path} is not there; give a recording (*.jsonl, *.jsonl.gz) or a folder of them")
    return [path]


def _lines(path: Path) -> Iterator[bytes]:
    try:
        with path.open("rb") as raw:
            file = cast("BinaryIO", gzip.GzipFile(fileobj=raw)) if path.suffix == ".gz" else raw
            while line := file.readline(LONGEST_LINE + 1):
                if len(line) > LONGEST_LINE:
                    raise DecodeError(f"{path}: a line is over {LONGEST_LINE >> 20} MB")
                yield line
    except (EOFError, zlib.error, gzip.BadGzipFile):
        raise DecodeError(f"{path}: it is cut off or not gzip") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
