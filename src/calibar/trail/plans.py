"""Fetching where no network is: what would be asked next goes out in a file, and what was answered comes in as one.

A plan has questions and nothing else of a case. Which they are shows by letting a fetch run against sources that only
note what they are asked. Answers are a case's own lines (`calibar.ledger.case.kept`); a file with them is a stranger's
and is taken in only after every line of it was read.
"""

from __future__ import annotations

import base64
import binascii
import json
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass, field, fields
from functools import partial
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final, get_args

from calibar.chains.bitcoin.networks import network
from calibar.chains.bitcoin.sources import fields as checked
from calibar.chains.bitcoin.sources.choose import is_here, open_source
from calibar.chains.bitcoin.sources.told import (
    BalanceQuestion,
    Exchange,
    HeadersQuestion,
    HistoryQuestion,
    Outpoint,
    PlaceQuestion,
    Question,
    RawQuestion,
    Refusal,
    SpenderQuestion,
    TipQuestion,
    Told,
)
from calibar.errors import ChainError, DamageError, DecodeError, UsageError
from calibar.ledger.case.case import Case, read_settings
from calibar.ledger.case.kept import NAME, Kept, Log
from calibar.trail.fetching import Fetcher, Limits
from calibar.trail.policy import Policy
from calibar.trail.references import coins_named, script_named

FORMAT: Final = 1
KINDS: Final = ("electrum", "esplora", "rpc", "files")
"""Servers whose answers are taken: modules of calibar.chains.bitcoin.sources."""
LARGEST_PLAN: Final = 64 << 20
LARGEST_LINE: Final = 64 << 20
LARGEST_RESPONSES: Final = 1 << 30
"""Bytes of a file."""
MOST_QUESTIONS: Final = 100_000
_LATEST: Final = 1 << 40
_QUESTIONS: Final = {kind.__name__: kind for kind in get_args(Question)}


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be asked next."""

    network: str
    questions: tuple[Question, ...]

    def json(self) -> bytes:
        """The plan's file."""
        rows = [{"ask": type(question).__name__, **_written(question)} for question in self.questions]
        document = {"format": FORMAT, "network": self.network, "questions": rows}
        return (json.dumps(document, indent=1) + "\n").encode()


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


class Noting:
    """A source that answers nothing and notes what it is asked."""

    kind = "plan"

    def __init__(self, place: str, noted: dict[Question, None]) -> None:
        self.place, self._noted = place, noted

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """Refusals alone."""
        for question in questions:
            self._noted[question] = None
            yield question, Refusal("it is asked later, by the plan")

    def close(self) -> None:
        """Nothing is open."""


def next_plan(
    case: Case, references: Sequence[str], policy: Policy, limits: Limits | None = None, *, newest: bool = False
) -> Plan:
    """What a fetch of the REFs' trail would ask now; no questions where nothing is left to look at.

    The trail is looked at up to the block that the case knows as the last; with `newest`, which it is is asked anew.
    Raises UsageError for REFs that are none.
    """
    noted: dict[Question, None] = {}
    state = case.coins
    words = [place for told in state.histories.values() for place in told]
    words += [place for said in state.said_spent.values() for place in said]
    fetcher = Fetcher(case, [Noting(place, noted) for place in sorted({*state.tips, *words, ""})], limits)
    for text in references:
        is_known = coins_named(text) is None and sha256(script_named(text, state.network)).digest() in state.histories
        try:
            fetcher.references([text])
        except UsageError:  # nobody was asked yet, or what was answered is more than is wanted
            if is_known:
                raise
    if state.tip >= 0:
        with suppress(UsageError):  # too little is known yet for a trail
            fetcher.trail(references, policy)
    wanted = [question for question in noted if not isinstance(question, TipQuestion | HeadersQuestion)]
    questions: list[Question] = [question for question in wanted if not _is_answered(question, case)]
    questions = list(dict.fromkeys([*questions, *_left_over(case)]))
    top = state.chain.top
    runs = state.chain.missing(state.waiting() | ({top} if top >= 0 else set()))
    questions = [*(HeadersQuestion(first, count) for first, count in runs), *questions]
    if newest or not state.tips or any(_would_be_undated(question, case) for question in questions):
        questions.insert(0, TipQuestion())
    return Plan(state.network.name, tuple(questions))


def _left_over(case: Case) -> Iterator[Question]:
    """What a fetch asks right after it got a transaction: what it spends from, and its block where one is named."""
    state = case.coins
    for txid in state.places:
        if txid in state.transactions:
            yield from map(RawQuestion, state.parents_of(txid))
    named = {entry for told in state.histories.values() for history, _ in told.values() for entry in history.entries}
    for txid, height in sorted(named):
        if height > 0 and txid in state.transactions and txid not in state.places and not state.is_waiting(txid):
            yield PlaceQuestion(txid, height)


def _would_be_undated(question: Question, case: Case) -> bool:
    """Whether an answer is only somebody's word, and which block he knows as the last is not known or long gone."""
    state = case.coins
    if not isinstance(question, SpenderQuestion | HistoryQuestion | BalanceQuestion):
        return False
    words = [height for _, height in state.histories.get(sha256(question.script).digest(), {}).values()]
    if isinstance(question, SpenderQuestion):
        words += state.unspent.get(question.coin, {}).values()
    return max(state.tips.values()) < state.tip or any(height < 0 for height in words)


def _is_answered(question: Question, case: Case) -> bool:
    """Whether a question was answered as of the last known block, and is only asked on the way to others."""
    state = case.coins
    if isinstance(question, BalanceQuestion):
        return any(at >= state.tip for _, at in state.balances.get(sha256(question.script).digest(), {}).values())
    if isinstance(question, SpenderQuestion | HistoryQuestion):
        told = state.histories.get(sha256(question.script).digest(), {})
        if any(at >= state.tip for _, at in told.values()):
            return True
        return isinstance(question, SpenderQuestion) and question.coin in state.said_spent
    if isinstance(question, PlaceQuestion) and question.height is None:  # a history says the height
        return any(question.txid == txid for told in state.histories.values() for h, _ in told.values() for txid, _ in h.entries)  # fmt: skip  # noqa: E501
    return False


def read_plan(path: Path) -> Plan:
    """Read a plan's file. Raises UsageError where it cannot be read, DecodeError where it is no plan."""
    data = _contents(path, LARGEST_PLAN)
    try:
        document = checked.mapping(checked.parsed(data), "the plan")
        if document.get("format") != FORMAT:
            raise DecodeError("it has another format; use the Calíbar that wrote it")
        rows = checked.listing(document.get("questions"), "its list of questions")
        if len(rows) > MOST_QUESTIONS:
            raise DecodeError(f"it has {len(rows)} questions, over {MOST_QUESTIONS}")
        chain = network(str(document.get("network")))
        return Plan(chain.name, tuple(_question(row, number) for number, row in enumerate(rows, 1)))
    except (DecodeError, UsageError) as error:
        raise DecodeError(f"{path} is no plan: {error}") from None


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
                chain = network(plan.network)
                server = open_.enter_context(closing(open_source(source, chain, lambda one: _keep(log, one))))
                for is_tip in (True, False):
                    asked = [question for question in plan.questions if isinstance(question, TipQuestion) == is_tip]
                    if asked:
                        for question, told in server.ask(asked):
                            yield question, not isinstance(told, Refusal)
        finally:
            if (Path(part) / NAME).exists():
                (Path(part) / NAME).replace(to)


def _keep(log: Log, exchange: Exchange) -> None:
    log.keep(exchange)


def take(folder: Path, responses: Path) -> Taken:
    """Take a file of responses into the case in `folder`: all of it or, where a line is damaged, nothing.

    Raises UsageError where it cannot be read, DamageError where it is not what `run_plan` wrote.
    """
    read_settings(folder)
    data = _contents(responses, LARGEST_RESPONSES)
    came = list(read_responses(data, responses))
    taken = Taken(responses=len(came), sha256=sha256(data).hexdigest())
    when = 0
    with Log(folder, clock=lambda: when) as log:
        case = Case(folder)
        before = len(case.coins.transactions)
        for number, one in enumerate(came, 1):
            _try(case, one.exchange, number, taken)
        for one in came:
            when = one.time
            log.keep(one.exchange)
            if not is_here(one.exchange.place):
                case.disclose(one.exchange.place, partial(int, one.time))
        taken.transactions = len(case.coins.transactions) - before
    return taken


def _try(case: Case, exchange: Exchange, number: int, taken: Taken) -> None:
    """Learn in memory what the case will learn when it is opened again."""
    module: Any = import_module(f"calibar.chains.bitcoin.sources.{exchange.kind}")
    try:
        told = list(module.read(exchange.request, exchange.response))
        taken.refused += not told
        for one in told:
            case.coins.learn(one, exchange.place)
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
    if kind not in KINDS:
        raise DecodeError(f"is of the unknown kind {kind!a}")
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


def _contents(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > most:
        raise UsageError(f"{path} is larger than {most >> 20} MB; no plan's file is")
    return data


def _written(question: Question) -> dict[str, object]:
    row: dict[str, object] = {}
    for each in fields(question):
        value = getattr(question, each.name)
        if isinstance(value, Outpoint):
            value = f"{value.txid[::-1].hex()}:{value.output}"
        elif isinstance(value, bytes):
            value = (value[::-1] if each.name == "txid" else value).hex()
        row[each.name] = value
    return row


def _question(value: object, number: int) -> Question:
    row = checked.mapping(value, f"question {number}")
    kind = _QUESTIONS.get(str(row.get("ask")))
    if kind is None or set(row) != {"ask", *(each.name for each in fields(kind))}:
        raise DecodeError(f"question {number} is none that is known")
    question: Question = kind(**{name: _value(name, row[name], number) for name in row if name != "ask"})
    return question


def _value(name: str, value: object, number: int) -> Any:
    what = f"{name} of question {number}"
    if name == "txid":
        return checked.digest(value, what)
    if name == "script":
        return checked.octets(value, what, 0, checked.LARGEST_TRANSACTION)
    if name == "coin":
        txid, _, output = str(value).partition(":")
        if not output.isascii() or not output.isdecimal() or len(output) > 10:
            raise DecodeError(f"{what} is no coin")
        return Outpoint(checked.digest(txid, what), checked.integer(int(output), what, 0, 2**32 - 1))
    if name == "height" and value is None:
        return None
    return checked.integer(value, what, 0, checked.MOST_HEIGHT)


def describe(plan: Plan) -> Mapping[str, int]:
    """How many questions of each kind a plan has, by the kind's name."""
    counts: dict[str, int] = {}
    for question in plan.questions:
        name = type(question).__name__.removesuffix("Question").lower()
        counts[name] = counts.get(name, 0) + 1
    return counts
