"""Electrum servers (ElectrumX, electrs, Fulcrum): JSON lines over one connection, all questions in flight together.

What is kept of an exchange is described in `electrum_answers`. A question for many headers is several exchanges, each
of which tells its part. A history that is longer than wanted is kept whole, and refused.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from typing import Final

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources import electrum_answers as answers
from calibar.chains.bitcoin.sources import fields, told
from calibar.chains.bitcoin.sources.electrum_answers import MOST_HEADERS, Version, read
from calibar.chains.bitcoin.sources.electrum_session import Call, Conversation, Message, Talk, Waits
from calibar.chains.remote.address import parse_address
from calibar.errors import DecodeError, UsageError

__all__ = ["Electrum", "read"]

_NO_PLACE: Final = "an Electrum server finds a transaction's place in the chain only where its height is known"
_SUBSCRIPTIONS: Final = ("blockchain.scripthash.subscribe", "blockchain.scriptpubkey.subscribe")
_SPENDER_ERRORS: Final = 3
"""After so many in a row, who spends a coin is no longer asked directly."""
_PING_EVERY: Final = 60.0
"""Seconds; servers hang up on those who are silent for ten minutes."""


@dataclass(eq=False, slots=True)
class _Headers:
    """Pieces of an answer of many headers: what came, by first height."""

    question: told.HeadersQuestion
    open: int = 0
    pieces: dict[int, bytes | told.Refusal] = field(default_factory=dict)

    def whole(self) -> told.Headers | told.Refusal:
        """All up to the first gap: where the chain ends."""
        data: list[bytes] = []
        height = self.question.first
        while height in self.pieces:
            piece = self.pieces[height]
            if isinstance(piece, told.Refusal):
                if not data:
                    return piece
                break
            data.append(piece)
            height += len(piece) // 80
            if not piece:
                break
        return told.Headers(self.question.first, b"".join(data))


@dataclass(eq=False, slots=True)
class _Part:
    """What a call asks, for which questions, and where pieces of their answer gather."""

    owners: list[told.Question]
    asks: told.Question
    gathered: _Headers | None = None


class _Asking(Talk):
    """A talk with the questions that wait until it is known whether coins' spenders are told."""

    def __init__(self) -> None:
        super().__init__(())
        self.held: list[told.SpenderQuestion] = []


class Electrum:
    """An Electrum server. Not for use by several threads at once."""

    kind = "electrum"

    def __init__(
        self, address: str, network: Network, keep: told.Keep, *, timeout: float = 60.0, patience: float = 60.0,
        in_flight: int = 500, largest: int = 32 << 20, sleep: Callable[[float], object] = time.sleep,
    ) -> None:  # fmt: skip
        """`timeout`: seconds without an answer; `patience`: of waiting in a row; `largest`: bytes of one answer.

        Connects with the first question. Raises UsageError where `address` is none.
        """
        where = parse_address(address, ("tcp", "ssl"), "ssl://electrum.example:50002")
        self.place = where.place
        self._keep, self._network = keep, network
        self._line = Conversation(
            where, network, self._noticed, timeout=timeout, patience=patience, in_flight=in_flight, largest=largest,
            sleep=sleep,
        )  # fmt: skip
        self._tells_spenders: bool | None = None
        self._spender_errors = 0
        self._statuses: dict[bytes, str | None] = {}
        self._changed: dict[bytes, None] = {}

    def ask(self, questions: Sequence[told.Question]) -> Iterator[tuple[told.Question, told.Told | told.Refusal]]:
        """Answers as they come, one for each question; see `told.Source`.

        Who spends a coin may be answered by the history of its script, in which the spender then is.
        """
        talk, spenders = _Asking(), []
        for question in questions:
            if isinstance(question, told.HeadersQuestion):
                gathered = _Headers(question)
                last = question.first + question.count
                for first in range(question.first, last, MOST_HEADERS):
                    self._want_headers(talk, gathered, first, min(MOST_HEADERS, last - first))
                if not gathered.open:
                    yield question, told.Headers(question.first, b"")
            elif isinstance(question, told.SpenderQuestion):
                spenders.append(question)
            elif answers.request(question, (1, 7)) is None:
                yield question, told.Refusal(_NO_PLACE)
            else:
                self._want(talk, _Part([question], question))
        self._want_spenders(talk, spenders)
        for call, message in self._line.answers(talk):
            assert isinstance(call.about, _Part)  # noqa: S101
            answer = self._answered(talk, call.about, call, message)
            if answer is not None:
                for owner in call.about.owners:
                    yield owner, answer

    def watch(self, scripts: Iterable[bytes], timeout: float) -> Iterator[bytes]:
        """For `timeout` seconds, the hash (SHA-256, as hashed) of each script whose history changes, as it changes.

        Changes since an earlier `watch` of the same script come first; changes while the connection was broken are not
        missed. Questions may be asked meanwhile. Raises UsageError where the server refuses to tell of one.
        """
        watched = {sha256(script).digest(): script for script in scripts}
        end = time.monotonic() + timeout
        heard, waits = time.monotonic(), Waits()
        while True:
            wanted = [
                Call(key, partial(_subscribe, script))
                for key, script in watched.items()
                if key not in self._line.subscribed
            ]
            if time.monotonic() - heard > _PING_EVERY:
                wanted.append(Call(None, lambda _: ("server.ping", [])))
            for call, message in self._line.answers(Talk(wanted)):
                heard = time.monotonic()
                if isinstance(call.about, bytes):
                    self._subscribed(call.about, message)
            for key in [key for key in self._changed if key in watched]:
                if self._changed.pop(key, False) is None:
                    yield key
            if time.monotonic() >= end:
                return
            if self._line.listen(min(end, heard + _PING_EVERY + 1), waits):
                waits = Waits()

    def close(self) -> None:
        """Hang up."""
        self._line.close()

    def _want(self, talk: Talk, part: _Part) -> None:
        talk.waiting.append(Call(part, partial(_form, part.asks)))

    def _want_headers(self, talk: Talk, gathered: _Headers, first: int, count: int) -> None:
        gathered.open += 1
        self._want(talk, _Part([gathered.question], told.HeadersQuestion(first, count), gathered))

    def _want_spenders(self, talk: _Asking, questions: Sequence[told.SpenderQuestion]) -> None:
        """One by one where the server tells of them (the first shows whether it does), else each script's history."""
        if self._tells_spenders is False:
            by_script: dict[bytes, list[told.Question]] = {}
            for question in questions:
                by_script.setdefault(question.script, []).append(question)
            for script, owners in by_script.items():
                self._want(talk, _Part(owners, told.HistoryQuestion(script, sys.maxsize)))
            return
        now = len(questions) if self._tells_spenders else 1
        talk.held.extend(questions[now:])
        for question in questions[:now]:
            self._want(talk, _Part([question], question))

    def _answered(self, talk: _Asking, part: _Part, call: Call, message: Message) -> told.Told | told.Refusal | None:
        """The answer to the whole question; None where that needs more."""
        answer = self._told(call, message)
        match part.asks:
            case told.HeadersQuestion() as headers if part.gathered is not None:
                return self._gather(talk, part.gathered, headers, answer, message)
            case told.SpenderQuestion() as spender:
                return self._spender(talk, part, spender, call, message, answer)
            case told.HistoryQuestion(_, most) if isinstance(answer, told.History) and len(answer.entries) > most:
                return told.Refusal(f"its history has {len(answer.entries)} transactions, over {most}", too_much=True)
        return told.Refusal("it tells nothing") if answer is None else answer

    def _spender(
        self, talk: _Asking, part: _Part, question: told.SpenderQuestion, call: Call, message: Message,
        answer: told.Told | told.Refusal | None,
    ) -> told.Told | told.Refusal | None:  # fmt: skip
        held, talk.held = talk.held, []
        if call.method != "blockchain.outpoint.get_status":  # an older protocol: this is the history
            self._tells_spenders = False
            part.owners += [one for one in held if one.script == question.script]
            self._want_spenders(talk, [one for one in held if one.script != question.script])
            return answer
        if message.error is None:
            self._tells_spenders, self._spender_errors = True, 0
            self._want_spenders(talk, held)
            return told.Refusal("it does not know the coin") if answer is None else answer
        self._spender_errors += 1  # it may keep no index of them
        if not self._tells_spenders or self._spender_errors >= _SPENDER_ERRORS or answers.unknown_method(message.error):
            self._tells_spenders = False
        else:
            self._want(talk, _Part([question], told.HistoryQuestion(question.script, sys.maxsize)))
            return None
        self._want_spenders(talk, [question, *held])
        return None

    def _told(self, call: Call, message: Message) -> told.Told | told.Refusal | None:
        try:
            request = answers.written(call.method, call.params)
            failed = message.error is not None
            response = answers.canonical({"error": message.error} if failed else message.result)
            self._keep(told.Exchange(self.kind, self.place, request, response))
            if failed:
                said = self._line.address.quote(answers.words(message.error))
                return told.Refusal(said or "it refuses", too_much=answers.too_much(message.error))
            return answers.tell(call.method, call.params, message.result)
        except DecodeError as error:
            self._line.close()
            raise DecodeError(f"{self.place}: {error}") from None

    def _gather(
        self, talk: Talk, gathered: _Headers, part: told.HeadersQuestion, answer: object, message: Message
    ) -> told.Headers | told.Refusal | None:
        gathered.open -= 1
        if isinstance(answer, told.Refusal):
            gathered.pieces[part.first] = answer
        elif isinstance(answer, told.Headers):
            gathered.pieces[part.first] = answer.data
            came = len(answer.data) // 80
            most = message.result.get("max") if isinstance(message.result, dict) else None
            if 0 < came < part.count and came == most and type(most) is int:
                self._want_headers(talk, gathered, part.first + came, part.count - came)
        return None if gathered.open else gathered.whole()

    def _noticed(self, method: object, params: list[object]) -> None:
        if method not in _SUBSCRIPTIONS or len(params) != 2:
            return
        try:
            named = fields.octets(params[0], "the script told of", 0, fields.LARGEST_TRANSACTION)
        except DecodeError as error:
            raise DecodeError(f"{self.place}: {error}") from None
        for key in (named[::-1], sha256(named).digest()):  # by its hash, or itself
            if key in self._statuses:
                self._status(key, params[1])
                return

    def _subscribed(self, key: bytes, message: Message) -> None:
        if message.error is not None:
            said = self._line.address.quote(answers.words(message.error))
            raise UsageError(f"{self.place}: it does not watch the script {key[::-1].hex()} for us: {said}")
        self._line.subscribed.add(key)
        self._status(key, message.result)

    def _status(self, key: bytes, status: object) -> None:
        try:
            now = None if status is None else fields.octets(status, "a script's status", 32, 32).hex()
        except DecodeError as error:
            raise DecodeError(f"{self.place}: {error}") from None
        if key in self._statuses and self._statuses[key] != now:
            self._changed[key] = None
        self._statuses[key] = now


def _subscribe(script: bytes, version: Version) -> tuple[str, list[object]]:
    return answers.of_script("subscribe", script, version)


def _form(question: told.Question, version: Version) -> tuple[str, list[object]]:
    form = answers.request(question, version)
    assert form is not None  # noqa: S101
    return form
