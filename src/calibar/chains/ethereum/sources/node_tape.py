"""What a node was asked for one question, and what it answered: written down while it is asked, played back later.

A tape is text of one JSON object a line, in the order asked; the same form as in `calibar.chains.ethereum.recorded`:

    {"method":"eth_getBlockByNumber","params":["0x1",true],"result":{…}}
    {"error":{"code":-32601,"message":"…"},"method":"trace_block","params":["0x1"]}

Played back, it answers the same questions in the same order, and no others.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final, NoReturn, Protocol

from calibar.chains.ethereum.jsonrpc import Answers, NestedError, Question, Refusal, TooLargeError
from calibar.errors import DecodeError, UsageError

LARGEST: Final = 1 << 30
"""Bytes of one tape."""
_UNREADABLE: Final = Refusal(0, "the answer is too large, or nests too deeply, to be read")


class Tape(Answers, Protocol):
    """Who answers one question's parts: a node that is written down, or what was."""

    cut: bool
    """Whether the node was lost meanwhile."""


class Recorder:
    """Asks a node for one question, and keeps all that it answers. An answer that cannot be read is a refusal."""

    def __init__(self, answers: Answers, unoffered: dict[str, Refusal]) -> None:
        """`unoffered`: what the node said to methods that it does not offer; they are not asked again."""
        self.place = answers.place
        self.cut = False
        self._answers, self._unoffered = answers, unoffered
        self._lines: list[bytes] = []
        self._left = LARGEST

    @property
    def tape(self) -> bytes:
        """What was asked and answered so far."""
        return b"\n".join(self._lines)

    def ask(self, questions: Sequence[Question]) -> list[object]:
        """The node's answers. Raises what `Node.ask` raises, but for answers that cannot be read."""
        if all(question.method in self._unoffered for question in questions):
            found: list[object] = [self._unoffered[question.method] for question in questions]
        else:
            found = self._asked(questions)
        return [self._kept(question, answer) for question, answer in zip(questions, found, strict=True)]

    def _asked(self, questions: Sequence[Question]) -> list[object]:
        try:
            return self._answers.ask(questions)
        except (TooLargeError, NestedError):
            if len(questions) == 1:
                return [_UNREADABLE]
            half = len(questions) // 2
            return self._asked(questions[:half]) + self._asked(questions[half:])
        except (UsageError, DecodeError):
            self.cut = True
            raise

    def _kept(self, question: Question, answer: object) -> object:
        if isinstance(answer, Refusal) and answer.unknown_method:
            self._unoffered[question.method] = answer
        try:
            line = _line(question, answer)
        except RecursionError:
            answer = _UNREADABLE
            line = _line(question, answer)
        self._left -= len(line)
        if self._left < 0:
            self.cut = True
            raise DecodeError(f"{self.place}: the answers to one question are over {LARGEST >> 20} MB; ask for less")
        self._lines.append(line)
        return answer


class Playback:
    """Answers from a tape. Whatever else is asked of it, it raises DecodeError."""

    place = "what is kept"
    cut = False

    def __init__(self, tape: bytes) -> None:
        if len(tape) > LARGEST:
            raise DecodeError(f"what is kept of a node is over {LARGEST >> 20} MB")
        self._lines = tape.split(b"\n") if tape else []
        self._at = 0

    def ask(self, questions: Sequence[Question]) -> list[object]:
        """What was answered."""
        return [self._next(question) for question in questions]

    def end(self) -> None:
        """Demand that all was asked for."""
        if self._at != len(self._lines):
            raise DecodeError(f"line {self._at + 1} of what is kept answers what was not asked")

    def _next(self, question: Question) -> object:
        if self._at == len(self._lines):
            raise DecodeError(f"what is kept ends before the answer to {question.method}")
        self._at += 1
        where = f"line {self._at} of what is kept"
        entry = parsed(self._lines[self._at - 1], where)
        if not isinstance(entry, dict) or entry.keys() not in ({"method", "params", "result"}, _REFUSED):
            raise DecodeError(f"{where} is no question with its result or its error")
        if entry["method"] != question.method or _text(entry["params"]) != _text(list(question.params)):
            raise DecodeError(f"{where} answers another question than {question.method}")
        if "result" in entry:
            return entry["result"]
        match entry["error"]:
            case {"code": int(code), "message": str(message)}:
                return Refusal(code, message[:200])
        raise DecodeError(f"{where}: error: a code and a message are expected")


_REFUSED: Final = frozenset(("method", "params", "error"))


def parsed(text: str | bytes, where: str) -> object:
    """JSON; DecodeError where it is none."""
    try:
        value: object = json.loads(text, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise DecodeError(f"{where} is not JSON") from None
    return value


def _line(question: Question, answer: object) -> bytes:
    entry: dict[str, object] = {"method": question.method, "params": list(question.params)}
    if isinstance(answer, Refusal):
        entry["error"] = {"code": answer.code, "message": answer.message}
    else:
        entry["result"] = answer
    return _text(entry).encode()


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
