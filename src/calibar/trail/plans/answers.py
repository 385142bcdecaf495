"""Answers to a plan: asked where a network is, written to a file, taken into a case.

Answers are a case's own lines (`calibar.ledger.case.kept`); a file with them is a stranger's and is taken in only after
every line of it was read.
"""

from __future__ import annotations

import base64
import binascii
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from calibar.chains.bitcoin.sources import fields as checked
from calibar.chains.bitcoin.sources.choose import is_here
from calibar.chains.bitcoin.sources.told import Exchange, Refusal, TipQuestion
from calibar.chains.remote.transfers_told import NewestQuestion
from calibar.errors import ChainError, DamageError, DecodeError, UsageError
from calibar.ledger.case.case import Case, kinds_of, read_exchange, read_settings
from calibar.ledger.case.kept import NAME, Kept, Log
from calibar.trail.cases import open_server
from calibar.trail.plans.plan import Plan, Question, contents

LARGEST_LINE: Final = 64 << 20
LARGEST_RESPONSES: Final = 1 << 30
"""Bytes of a file."""
_LATEST: Final = 1 << 40


@dataclass(slots=True)
class Taken:
    """What became of a file of responses."""

    responses: int = 0
    refused: int = 0
    """Answers by which a server told nothing."""
    transactions: int = 0
    """New in the case."""
    lies: list[tuple[int, str, str]] = field(default_factory=list)
    """(line, server, what): told, and cannot be true."""
    sha256: str = ""


def run_plan(plan: Plan, source: str, to: Path) -> Iterator[tuple[Question, bool]]:
    """Ask a server all of a plan, and write what it answers to the file `to`; gives each question and whether it told.

    The last block is asked first, so that words can be dated by it. What was answered before a failure is written too.
    Raises UsageError where the server cannot be used, or `to` be written.
    """
    if not to.absolute().parent.is_dir():
        raise UsageError(f"{to.parent} is no folder; make it first")
    with tempfile.TemporaryDirectory(prefix=".calibar-plan-", dir=to.absolute().parent) as part:
        try:
            with ExitStack() as open_:
                log = open_.enter_context(Log(Path(part)))

                def keep(exchange: Exchange) -> None:
                    log.keep(exchange)

                server = open_.enter_context(closing(open_server(source, plan.network, keep)))
                for is_first in (True, False):
                    asked = [one for one in plan.questions if isinstance(one, TipQuestion | NewestQuestion) == is_first]
                    yield from _ask_all(server, asked)
        finally:
            if (Path(part) / NAME).exists():
                (Path(part) / NAME).replace(to)


def _ask_all(server: Any, questions: list[Question]) -> Iterator[tuple[Question, bool]]:
    """Each question, and whether it was answered; what cannot be read costs one question, not those after it."""
    waiting = questions
    while waiting:
        done: set[Question] = set()
        try:
            for question, told in server.ask(waiting):
                done.add(question)
                yield question, not isinstance(told, Refusal)
            return
        except DecodeError:
            waiting = [question for question in waiting if question not in done]
            yield waiting.pop(0), False


def take(folder: Path, responses: Path) -> Taken:
    """Take a file of responses into the case in `folder`: all of it or, where a line is damaged, nothing.

    Raises UsageError where it cannot be read, DamageError where it is not what `run_plan` wrote.
    """
    kinds = kinds_of(read_settings(folder).network)
    data = contents(responses, LARGEST_RESPONSES)
    came = list(read_responses(data, responses))
    for number, one in enumerate(came, 1):
        if one.exchange.kind not in kinds:
            raise DamageError(
                f"{responses}: line {number} is of the unknown kind {one.exchange.kind!a}; bring the file again"
            )
    taken = Taken(responses=len(came), sha256=sha256(data).hexdigest())
    when = 0
    with Log(folder, clock=lambda: when) as log:
        case = Case(folder)
        before = case.transactions()
        for number, one in enumerate(came, 1):
            _try(case, one.exchange, number, taken)
        for one in came:
            when = one.time
            log.keep(one.exchange)
            if not is_here(one.exchange.place):
                case.disclose(one.exchange.place, partial(int, one.time))
        taken.transactions = len(case.transactions() - before)
    return taken


def _try(case: Case, exchange: Exchange, number: int, taken: Taken) -> None:
    """Learn in memory what the case will learn when it is opened again."""
    try:
        told = list(read_exchange(exchange))
        taken.refused += not told
        for one in told:
            case.state.learn(one, exchange.place)
    except (ChainError, DecodeError) as error:
        taken.lies.append((number, exchange.place, str(error)))


def read_responses(data: bytes, path: Path) -> Iterator[Kept]:
    """The exchanges of a file from elsewhere. Raises DamageError with the line that is damaged."""
    for number, line in enumerate(data.split(b"\n"), 1):
        if not line and number > data.count(b"\n"):
            return
        try:
            if number > data.count(b"\n"):
                raise DecodeError("is cut off")
            if len(line) > LARGEST_LINE:
                raise DecodeError("is longer than any response")
            yield _exchange(line)
        except (DecodeError, ValueError, binascii.Error) as error:
            why = str(error) if isinstance(error, DecodeError) else "is no exchange with a server"
            raise DamageError(f"{path}: line {number} {why}; bring the file again") from None


def _exchange(line: bytes) -> Kept:
    row = checked.mapping(checked.parsed(line), "the line")
    if set(row) - {"text", "base64"} != {"kind", "place", "time", "request", "sha256"} or len(row) != 6:
        raise DecodeError("is no exchange with a server")
    kind, place, request = (_text(row[key], most) for key, most in (("kind", 20), ("place", 300), ("request", 1 << 20)))
    if not place.isprintable():
        raise DecodeError("names no server")
    said = _text(row.get("text", row.get("base64")), LARGEST_LINE)
    response = said.encode() if "text" in row else base64.b64decode(said, validate=True)
    if sha256(response).hexdigest() != row["sha256"]:
        raise DecodeError("is not what it was")
    return Kept(Exchange(kind, place, request, response), checked.integer(row["time"], "its time", 0, _LATEST))


def _text(value: object, most: int) -> str:
    if not isinstance(value, str) or len(value) > most:
        raise DecodeError("is no exchange with a server")
    return value
