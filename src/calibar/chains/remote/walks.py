"""Questions that take several requests: one walk from page to page, the same when asked and when read again.

A walk says which path it wants, is given the body that stands there, and ends with an answer. It knows nothing of the
network: `Pages.ask` gives it what the server answers, `read_again` what was kept, and so both tell the same.

What is kept: a request is a path with its query, parameters sorted, without any key; where it was posted, the fields of
its body stand as the query. What stands after `#` was not sent and says more of the question (`first=` the first block
wanted). Where one request is the answer, the response is its body; else it is a JSON array of texts, each the body of
one page as it was received, in order, and the request is that of the question's list. A request with words in
parentheses behind it was refused, and tells nothing; with `(over N)`, that there are more rows than N.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Final, NamedTuple
from urllib.parse import parse_qsl, quote, urlencode

from calibar.chains.bitcoin.sources.told import Exchange, Keep, Refusal
from calibar.chains.remote.address import Address, parse_address
from calibar.chains.remote.transfers_told import Movements, MovementsQuestion, Question, Told, TooMany
from calibar.chains.remote.web import Reply, Web
from calibar.errors import AddressError, ChainError, DecodeError, UsageError

LARGEST_PAGE: Final = 32 << 20
LARGEST_WHOLE: Final = 256 << 20
MOST_PAGES: Final = 100_000
_REQUEST: Final = re.compile(r"[!-~]{1,2000}")
_REFUSED: Final = re.compile(r"[!-~]{1,2000} \([a-z0-9 ]{1,60}\)")
_BEHIND: Final = re.compile(r" \([a-z0-9 ]{1,60}\)$")
_OVER: Final = re.compile(r"([!-~]{1,2000}) \(over ([0-9]{1,12})\)")
_KEY: Final = re.compile(r"[A-Za-z0-9._~-]{4,200}")
_SHORTEST_SECRET: Final = 8


class Step(NamedTuple):
    """What a walk wants next, and how many rows it has by now."""

    path: str
    rows: int = 0
    posted: bool = False
    """Whether the parameters are sent as a JSON body of texts instead of a query."""


Walk = Generator[Step, bytes, Told | Refusal]


class Plan(NamedTuple):
    """How a request is answered."""

    walk: Walk
    single: bool = False
    """Whether the one body is kept as it is."""
    of: Question | None = None
    """The question, but for how many rows of a list are wanted: that stands in no request."""


class Asked(NamedTuple):
    """A request, taken apart."""

    path: str
    query: Mapping[str, str]
    first: int

    def page(self, **changed: object) -> str:
        """The path that is sent, with some parameters changed or added."""
        return written(self.path, {**self.query, **changed})


def written(path: str, query: Mapping[str, object], first: int = 0) -> str:
    """A request: parameters sorted, those that are None left out."""
    parameters = sorted((name, str(value)) for name, value in query.items() if value is not None)
    joined = urlencode(parameters, quote_via=quote, safe=",")
    return path + (f"?{joined}" if joined else "") + (f"#first={first}" if first else "")


def taken_apart(request: str) -> Asked:
    """Raises DecodeError for a request that `written` does not write."""
    sent, _, unsent = request.partition("#")
    path, _, query = sent.partition("?")
    parameters = dict(parse_qsl(query, keep_blank_values=True)) if _REQUEST.fullmatch(request) else {}
    first = re.fullmatch(r"first=([1-9][0-9]{0,11})", unsent)
    asked = Asked(path, parameters, int(first[1]) if first else 0)
    if written(path, parameters, asked.first) != request:
        raise DecodeError("a request is none of those that are kept")
    return asked


def read_again(plan: Callable[[str], Plan], request: str, response: bytes) -> Iterator[Told]:
    """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
    over = _OVER.fullmatch(request)
    if over is None and _REFUSED.fullmatch(request):
        return
    try:
        planned = plan(over[1] if over else request)
        bodies = iter([response] if planned.single else _bodies(response))
        if over:
            yield _over(planned, bodies, int(over[2]))
            return
        answer = _walked(planned.walk, bodies)
    except (AddressError, ChainError) as error:
        raise DecodeError(str(error)) from None
    if next(bodies, None) is not None:
        raise DecodeError("what is kept goes on after the last page")
    if not isinstance(answer, Refusal):
        yield answer


def question_of(plan: Callable[[str], Plan], request: str) -> Question | None:
    """What a kept request asks, also one that was refused; None for one that is no question."""
    try:
        return plan(_BEHIND.sub("", request)).of
    except (DecodeError, AddressError):
        return None


def _over(planned: Plan, bodies: Iterator[bytes], most: int) -> TooMany:
    """That a list has more rows than were wanted, which its kept pages must show."""
    rows = 0
    try:
        rows = next(planned.walk).rows
        for body in bodies:
            rows = planned.walk.send(body).rows
    except StopIteration as end:
        rows = len(end.value.rows) if isinstance(end.value, Movements) else 0
    if rows <= most or not isinstance(planned.of, MovementsQuestion):
        raise DecodeError(f"what is kept is not a list of more than {most} transfers")
    return TooMany(replace(planned.of, most=most))


def _walked(walk: Walk, bodies: Iterator[bytes]) -> Told | Refusal:
    try:
        next(walk)
        for body in bodies:
            walk.send(body)
    except StopIteration as end:
        answer: Told | Refusal = end.value
        return answer
    raise DecodeError("what is kept ends before the last page")


def joined(bodies: Sequence[bytes]) -> bytes:
    """Pages as they are kept; each must be text, or DecodeError."""
    try:
        return json.dumps([body.decode() for body in bodies], ensure_ascii=False).encode()
    except UnicodeDecodeError:
        raise DecodeError("a page is not text in UTF-8") from None


def _bodies(response: bytes) -> list[bytes]:
    try:
        texts = json.loads(response.decode())
        if isinstance(texts, list) and all(isinstance(text, str) for text in texts):
            return [text.encode() for text in texts]
    except (ValueError, RecursionError):
        pass
    raise DecodeError("what is kept is not a list of pages")


class Pages:
    """A server that is asked page by page; what all kinds of explorers have in common."""

    kind: str
    example: str
    root: str = ""
    """What every path begins with; an address that ends with it names the same server."""
    header: str | None = None
    """Which header carries the key; None: the query's `apikey`."""
    largest: int = LARGEST_PAGE
    """Bytes of one answer."""

    def __init__(
        self, address: str, keep: Keep, *, key: str | None, timeout: float, patience: float,
        sleep: Callable[[float], object] | None,
    ) -> None:  # fmt: skip
        where = parse_address(address, ("http", "https"), self.example)
        if where.query:
            raise UsageError(f"{where.place}: its address has a query; a key is given apart from the address")
        if key is not None and not _KEY.fullmatch(key):
            raise UsageError(f"{where.place}: the key is not one: it has other signs than letters, digits and -._~")
        secrets = where.secrets if key is None else (key, *where.secrets)
        by_length = tuple(sorted(set(secrets), key=lambda one: (-len(one), one)))
        self._address = replace(where, path=where.path.removesuffix(self.root), secrets=by_length)
        self.place = where.place
        self._keep, self._key, self._patience = keep, key, patience
        self._sleep = sleep or time.sleep
        headers = {self.header: key} if self.header and key else {}
        self._web = _Headed(self._address, headers, timeout=timeout, patience=patience, connections=1, sleep=sleep)

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """Answers in the questions' order, one for each; see `transfers_told.Explorer`."""
        for question in questions:
            request = self.request(question)
            yield question, request if isinstance(request, Refusal) else self._answer(question, request)

    def close(self) -> None:
        """Hang up."""
        self._web.close()

    def request(self, question: Question) -> str | Refusal:
        """How a question is written."""
        raise NotImplementedError

    def plan(self, request: str) -> Plan:
        """How a request is answered."""
        raise NotImplementedError

    def busy(self, body: bytes) -> bool:
        """Whether an answer only asks to come again later; raises UsageError where it is no use."""
        raise NotImplementedError

    def _answer(self, question: Question, request: str) -> Told | Refusal:
        walk, single, _ = self.plan(request)
        bodies: list[bytes] = []
        size = 0
        most = question.most if isinstance(question, MovementsQuestion) else None
        try:
            step = next(walk)
            while True:
                if most is not None and step.rows > most:
                    return self._too_much(request, bodies, most)
                reply = self._fetch(step)
                if reply.status != 200:
                    self._store(f"{step.path} ({reply.status})", reply.body)
                    said = self._address.quote(reply.body.decode(errors="replace"))
                    return Refusal(said or f"it answers HTTP {reply.status}")
                bodies.append(reply.body)
                size += len(reply.body)
                if size > LARGEST_WHOLE or len(bodies) > MOST_PAGES:
                    raise DecodeError(f"an answer is over {LARGEST_WHOLE:,} bytes or {MOST_PAGES:,} pages")
                step = walk.send(reply.body)
        except StopIteration as end:
            answer: Told | Refusal = end.value
        except (DecodeError, AddressError, ChainError) as error:
            if bodies:
                self._store(request, bodies[0] if single else self._joined(bodies))
            raise DecodeError(self._address.quote(f"{self.place}: {error}", 400)) from None
        if most is not None and isinstance(answer, Movements) and len(answer.rows) > most:
            return self._too_much(request, bodies, most)
        self._store(request, bodies[0] if single else self._joined(bodies))
        if isinstance(answer, Refusal):
            return replace(answer, why=self._address.quote(answer.why))
        return answer

    def _too_much(self, request: str, bodies: list[bytes], most: int) -> Refusal:
        self._store(f"{request} (over {most})", self._joined(bodies))
        return Refusal(f"it has more than {most} transfers of that kind", too_much=True)

    def _joined(self, bodies: list[bytes]) -> bytes:
        try:
            return joined(bodies)
        except DecodeError:
            return b"\n".join(bodies)

    def _store(self, request: str, body: bytes) -> None:
        self._keep(Exchange(self.kind, self.place, request, body))

    def _fetch(self, step: Step) -> Reply:
        """A page, after waiting where the server limits how much it is asked."""
        path, posted = step.path, None
        if step.posted:
            path, _, query = path.partition("?")
            posted = json.dumps(dict(parse_qsl(query, keep_blank_values=True))).encode()
        if self._key is not None and self.header is None:
            path += ("&" if "?" in path else "?") + f"apikey={self._key}"
        waited, pause = 0.0, 1.0
        while True:
            reply = self._web.get(path, self.largest) if posted is None else self._web.post(path, posted, self.largest)
            if self._key and len(self._key) >= _SHORTEST_SECRET and self._key.encode() in reply.body:
                raise DecodeError(f"{self.place}: its answer repeats the key, so it is not kept; name another server")
            if reply.status != 200 or not self.busy(reply.body):
                return reply
            if waited + pause > self._patience:
                raise UsageError(f"{self.place}: it limits how much it is asked; try later, or with a key")
            self._sleep(pause)
            waited, pause = waited + pause, pause * 2


class _Headed(Web):
    """With a header more."""

    def __init__(
        self, address: Address, headers: Mapping[str, str], *, timeout: float, patience: float, connections: int,
        sleep: Callable[[float], object] | None,
    ) -> None:  # fmt: skip
        super().__init__(address, timeout=timeout, patience=patience, connections=connections, sleep=sleep)
        self._headers = {**self._headers, **headers}
