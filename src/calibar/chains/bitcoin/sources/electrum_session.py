"""A conversation with an Electrum server: many requests in flight on one connection, opened anew where it breaks."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final, NamedTuple

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources import electrum_answers as answers
from calibar.chains.bitcoin.sources import fields
from calibar.chains.bitcoin.sources.electrum_answers import Version
from calibar.chains.remote.address import Address
from calibar.chains.remote.lines import Lines
from calibar.chains.remote.wire import AwayError, connect
from calibar.errors import DecodeError, UsageError

_OLDEST: Final = (1, 4)
_NEWEST: Final = (1, 7)
_FEWEST_IN_FLIGHT: Final = 10
_FIRST_PAUSE: Final = 0.5
_FIRST_PATIENCE: Final = 4.0
"""With a server that was not met yet: its address may be wrong."""


class Message(NamedTuple):
    """What came back: a result, or else an error, which is not None."""

    result: object
    error: object = None


@dataclass(eq=False, slots=True)
class Call:
    """One request; which method it is depends on the protocol that the server speaks."""

    about: object
    form: Callable[[Version], tuple[str, list[object]]]
    method: str = ""
    params: list[object] = field(default_factory=list)


class Talk:
    """Requests of one who asks; there may be several at a time, one within another."""

    def __init__(self, calls: Iterable[Call]) -> None:
        self.waiting = deque(calls)
        self.flying = 0
        self.ready: deque[tuple[Call, Message]] = deque()
        self.busy = False


@dataclass(slots=True)
class Waits:
    """How long one has waited in vain, and will next, in seconds."""

    waited: float = 0.0
    pause: float = _FIRST_PAUSE


class Conversation:
    """With the server at an address, as long as it serves `network`."""

    def __init__(
        self, address: Address, network: Network, notice: Callable[[object, list[object]], None], *, timeout: float,
        patience: float, in_flight: int, largest: int, sleep: Callable[[float], object],
    ) -> None:  # fmt: skip
        """`notice` is told method and parameters of what the server says unasked."""
        self.address, self.place = address, address.place
        self.subscribed: set[bytes] = set()
        """What the connection that is open now was asked to tell of."""
        self._network, self._notice, self._sleep = network, notice, sleep
        self._timeout, self._patience, self._window, self._largest = timeout, patience, in_flight, largest
        self._lines: Lines | None = None
        self._version: Version = _OLDEST
        self._flying: dict[int, tuple[Call, Talk] | None] = {}
        self._number = 0
        self._moved = 0.0
        self._reached = self._met = False

    def answers(self, talk: Talk) -> Iterator[tuple[Call, Message]]:
        """The answers to a talk's calls as they come. Raises DecodeError, or UsageError where patience ends."""
        waits, resumed = Waits(), time.monotonic()
        try:
            while talk.ready or talk.waiting or talk.flying:
                if talk.ready:
                    call, message = talk.ready.popleft()
                    if message.error is not None and answers.busy(message.error):
                        talk.busy = True
                        talk.waiting.append(call)
                        continue
                    waits = Waits()
                    yield call, message
                    resumed = time.monotonic()
                elif talk.busy and not talk.flying:
                    talk.busy = False
                    self._wait(waits, AwayError("it is busy"))
                else:
                    self._step(talk, waits, resumed)
        finally:
            for number, flying in self._flying.items():
                if flying is not None and flying[1] is talk:
                    self._flying[number] = None

    def listen(self, deadline: float, waits: Waits) -> bool:
        """Hear one thing that the server says; False where it says nothing until `deadline`, or hangs up."""
        try:
            self._connect()
            return self._hear(deadline)
        except AwayError as why:
            self._drop()
            self._wait(waits, why)
            return False
        except BaseException:
            self._drop()
            raise

    def close(self) -> None:
        """Hang up."""
        self._drop()

    def _step(self, talk: Talk, waits: Waits, resumed: float) -> None:
        try:
            self._connect()
            self._send(talk)
            self._demand_line(max(self._moved, resumed) + self._timeout)
        except AwayError as why:
            self._drop()
            self._wait(waits, why)
            self._moved = time.monotonic()
        except BaseException:
            self._drop()
            raise

    def _wait(self, waits: Waits, why: AwayError) -> None:
        if why.never and not self._reached:
            raise UsageError(f"{self.place}: {why}; is a server running there?")
        rest = max(why.after, waits.pause)
        patience = self._patience if self._met else min(self._patience, _FIRST_PATIENCE)
        if waits.waited + rest > patience:
            raise UsageError(f"{self.place}: {why}; try later, or name another server")
        self._window = max(_FEWEST_IN_FLIGHT, self._window // 2)
        self._sleep(rest)
        waits.waited, waits.pause = waits.waited + rest, waits.pause * 2

    def _drop(self) -> None:
        flying, self._flying = self._flying, {}
        for one in reversed(flying.values()):
            if one is not None:
                call, talk = one
                talk.waiting.appendleft(call)
                talk.flying -= 1
        self.subscribed.clear()
        if self._lines is not None:
            self._lines.close()
            self._lines = None

    def _connect(self) -> None:
        if self._lines is not None:
            return
        self._lines = Lines(connect(self.address, min(self._timeout, 30.0)), self._largest)
        self._reached = True
        deadline = time.monotonic() + self._timeout
        self._version = self._negotiated(
            self._demand("server.version", ["calibar", [_text(_OLDEST), _text(_NEWEST)]], deadline)
        )
        genesis = self._genesis(deadline)
        if genesis != self._network.genesis:
            raise UsageError(
                f"{self.place}: it serves another chain than {self._network.name}: its first block is {genesis}; "
                f"name a server of {self._network.name}"
            )
        self._met = True

    def _negotiated(self, message: Message) -> Version:
        if message.error is not None:
            said = self.address.quote(answers.words(message.error))
            raise UsageError(f"{self.place}: it speaks none of Electrum's protocols 1.4 to 1.7 ({said})")
        pair = message.result if isinstance(message.result, list) else []
        parts = str(pair[1]).split(".") if len(pair) == 2 else []
        if not 2 <= len(parts) <= 4 or not all(part.isascii() and part.isdecimal() and len(part) < 4 for part in parts):
            raise DecodeError(f"{self.place}: it does not say which protocol it speaks")
        version = tuple(int(part) for part in parts)
        if not _OLDEST <= version[:2] <= _NEWEST:
            raise UsageError(f"{self.place}: it speaks Electrum's protocol {_text(version)}, not one of 1.4 to 1.7")
        return version

    def _genesis(self, deadline: float) -> str:
        """Hash of block 0, as displayed."""
        features = self._demand("server.features", [], deadline)
        said = features.result.get("genesis_hash") if isinstance(features.result, dict) else None
        try:
            if said is not None:
                return fields.digest(said, "the first block's hash")[::-1].hex()
            header = self._demand("blockchain.block.header", [0], deadline)
            if header.error is not None:
                raise UsageError(f"{self.place}: it does not say which chain it serves; name another server")
            data = fields.octets(header.result, "the first header", 80, 80)
        except DecodeError as error:
            raise self._placed(error) from None
        return sha256(sha256(data).digest()).digest()[::-1].hex()

    def _demand(self, method: str, params: list[object], deadline: float) -> Message:
        """One answer, on a connection on which nothing else was asked."""
        talk = Talk([Call(None, lambda _: (method, params))])
        self._send(talk)
        while not talk.ready:
            self._demand_line(deadline)
        message = talk.ready.popleft()[1]
        if message.error is not None and answers.busy(message.error):
            raise AwayError("it is busy")
        return message

    def _send(self, talk: Talk) -> None:
        if self._lines is None or talk.busy:
            return
        if not self._flying:
            self._moved = time.monotonic()
        while talk.waiting and len(self._flying) < self._window:
            call = talk.waiting.popleft()
            call.method, call.params = call.form(self._version)
            self._number += 1
            asked = {"jsonrpc": "2.0", "id": self._number, "method": call.method, "params": call.params}
            self._lines.put(answers.canonical(asked))
            self._flying[self._number] = call, talk
            talk.flying += 1

    def _demand_line(self, deadline: float) -> None:
        if not self._hear(deadline):
            raise AwayError("it does not answer in time")

    def _hear(self, deadline: float) -> bool:
        if self._lines is None:
            raise AwayError("it cut the connection")
        try:
            line = self._lines.take(deadline)
            if line is None:
                return False
            message = fields.mapping(fields.parsed(line), "an answer")
        except DecodeError as why:
            raise DecodeError(f"{self.place}: {why}; is this the address of an Electrum server?") from None
        if "method" in message:
            params = message.get("params")
            self._notice(message["method"], params if isinstance(params, list) else [])
            return time.monotonic() <= deadline  # however much it says unasked
        number, error = message.get("id"), message.get("error")
        if number is None and error is not None:
            raise AwayError(f"it says: {self.address.quote(answers.words(error))}")
        if type(number) is not int or number not in self._flying:
            raise DecodeError(f"{self.place}: it answers a question that was not asked")
        if error is None and "result" not in message:
            raise DecodeError(f"{self.place}: an answer has neither a result nor an error")
        self._moved = time.monotonic()
        flying = self._flying.pop(number)
        if flying is not None:
            call, talk = flying
            talk.flying -= 1
            talk.ready.append((call, Message(message.get("result"), error)))
        return True

    def _placed(self, error: DecodeError) -> DecodeError:
        return DecodeError(f"{self.place}: {error}")


def _text(version: Version) -> str:
    return ".".join(str(part) for part in version)
