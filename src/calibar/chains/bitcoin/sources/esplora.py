"""Esplora's API (blockstream.info, mempool.space, one's own electrs): a request a question, several in flight.

What is kept is described in `esplora_answers`; it may tell more than was asked (the blocks beside a header). The API
tells the history of what is in blocks alone: what a script has in none is in its balance and in its coins' spenders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from hashlib import sha256
from typing import Final, NamedTuple, NoReturn, TypeVar

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources import esplora_answers as answers
from calibar.chains.bitcoin.sources import fields, told
from calibar.chains.bitcoin.sources.esplora_answers import read
from calibar.chains.remote.address import parse_address
from calibar.chains.remote.web import Reply, Web
from calibar.errors import DecodeError, UsageError

__all__ = ["Esplora", "read"]

T = TypeVar("T")

_BLOCKS_A_PAGE: Final = 10
_SHORTEST_PAGE: Final = 10
"""Fewer transactions than any server gives a page: it is the last."""
_LARGE: Final = 1 << 20
_LARGEST_PAGE: Final = 32 << 20
_LARGEST_HISTORY: Final = 256 << 20


class _Found(NamedTuple):
    """An answer and what it rests on."""

    kept: tuple[told.Exchange, ...]
    answer: told.Told | told.Refusal


class _Plan(NamedTuple):
    question: told.Question
    jobs: tuple[Callable[[], _Found], ...]


class Esplora:
    """A server with Esplora's API."""

    kind = "esplora"

    def __init__(
        self, address: str, network: Network, keep: told.Keep, *, timeout: float = 60.0, patience: float = 60.0,
        connections: int = 6, sleep: Callable[[float], object] | None = None,
    ) -> None:  # fmt: skip
        """`timeout`: seconds for an answer; `patience`: seconds of waiting for a busy server, for one answer.

        Connects with the first question. Raises UsageError where `address` is none.
        """
        where = parse_address(address, ("http", "https"), "https://explorer.example/api")
        self.place = where.place
        self._address, self._network, self._keep = where, network, keep
        self._web = Web(where, timeout=timeout, patience=patience, connections=connections, sleep=sleep)
        self._known = False
        self._page = _SHORTEST_PAGE

    def ask(self, questions: Sequence[told.Question]) -> Iterator[tuple[told.Question, told.Told | told.Refusal]]:
        """Answers in the questions' order, one for each; see `told.Source`."""
        if questions and not self._known:
            self._check_network()
        plans = self._planned(questions)
        found = self._web.in_order([job for plan in plans for job in plan.jobs])
        try:
            for plan in plans:
                parts = []
                for _ in plan.jobs:
                    kept, answer = next(found)
                    for exchange in kept:
                        self._keep(exchange)
                    parts.append(answer)
                if isinstance(plan.question, told.HeadersQuestion):
                    yield plan.question, self._all_headers(plan.question, parts)
                else:
                    yield plan.question, parts[0]
        finally:
            found.close()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Hang up."""
        self._web.close()

    def _planned(self, questions: Sequence[told.Question]) -> list[_Plan]:
        plans, tip = [], None
        for question in questions:
            if isinstance(question, told.HeadersQuestion):
                if tip is None:
                    tip = self._tip_height()
                end = min(question.first + question.count, tip + 1)
                lows = range(question.first, end, _BLOCKS_A_PAGE)
                pages = [partial(self._blocks, low, min(low + _BLOCKS_A_PAGE, end)) for low in lows]
                plans.append(_Plan(question, tuple(pages)))
            else:
                plans.append(_Plan(question, (partial(self._answer, question),)))
        return plans

    def _answer(self, question: told.Question) -> _Found:
        match question:
            case told.TipQuestion():
                return self._simple("/blocks", _LARGE)
            case told.RawQuestion(txid):
                return self._simple(f"/tx/{txid[::-1].hex()}/raw", fields.LARGEST_TRANSACTION)
            case told.PlaceQuestion(txid, _):
                return self._simple(f"/tx/{txid[::-1].hex()}/merkle-proof", _LARGE)
            case told.SpenderQuestion(coin, _):
                return self._simple(f"/tx/{coin.txid[::-1].hex()}/outspend/{coin.output}", _LARGE)
            case told.BalanceQuestion(script):
                return self._simple(f"/scripthash/{sha256(script).hexdigest()}", _LARGE)
            case told.HistoryQuestion(script, most):
                return self._history(f"/scripthash/{sha256(script).hexdigest()}", most)
        raise TypeError(question)

    def _simple(self, path: str, largest: int) -> _Found:
        reply = self._web.get(path, largest)
        exchange = self._exchange(path, reply)
        if reply.status != 200:
            return _Found((exchange,), self._refusal(reply))
        return _Found((exchange,), self._read(exchange)[0])

    def _blocks(self, low: int, end: int) -> _Found:
        """Headers from `low` on, at most ten."""
        found = self._simple(f"/blocks/{end - 1}", _LARGE)
        headers = found.answer
        if not isinstance(headers, told.Headers):
            return found
        if not headers.first <= low < headers.first + len(headers.data) // 80:
            self._wrong("it gives other blocks than were asked for")
        return _Found(found.kept, told.Headers(low, headers.data[80 * (low - headers.first) :]))

    def _all_headers(
        self, question: told.HeadersQuestion, parts: list[told.Told | told.Refusal]
    ) -> told.Told | told.Refusal:
        pieces: list[bytes] = []
        for part in parts:
            if isinstance(part, told.Refusal):
                return part
            if isinstance(part, told.Headers):
                pieces.append(part.data)
                if len(part.data) < 80 * _BLOCKS_A_PAGE and part is not parts[-1]:
                    self._wrong("it gives fewer blocks than its chain has")
        return told.Headers(question.first, b"".join(pieces))

    def _history(self, path: str, most: int) -> _Found:
        """All pages, up to one that is empty or shorter than this server's pages."""
        pages: list[bytes] = []
        seen: dict[bytes, None] = {}
        kept: tuple[told.Exchange, ...] = ()
        before = size = 0
        while True:
            where = f"{path}/txs/chain" + (f"/{next(reversed(seen))[::-1].hex()}" if seen else "")
            reply = self._web.get(where, _LARGEST_PAGE)
            if reply.status != 200:
                return _Found((*kept, self._exchange(where, reply)), self._refusal(reply))
            entries = self._decoded(answers.page, reply.body)
            pages.append(reply.body)
            size += len(reply.body)
            for txid, _ in entries:
                if txid in seen:
                    self._wrong("its pages of a history name a transaction twice")
                seen[txid] = None
            if len(seen) > most or size > _LARGEST_HISTORY:
                return _Found(kept, told.Refusal(f"its history has more than {most} transactions", too_much=True))
            if entries and before:
                self._page = before
            if len(entries) < self._page:
                break
            if not before:
                kept, total = self._counted(path)
                if total > most:
                    return _Found(
                        kept, told.Refusal(f"its history has {total} transactions, over {most}", too_much=True)
                    )
            before = len(entries)
        whole = told.Exchange(self.kind, self.place, f"GET {path}/txs/chain", answers.joined(pages))
        return _Found((*kept, whole), self._read(whole)[0])

    def _counted(self, path: str) -> tuple[tuple[told.Exchange, ...], int]:
        """How many transactions a script has; 0 where that is not told."""
        reply = self._web.get(path, _LARGE)
        exchange = self._exchange(path, reply)
        return (exchange,), self._decoded(answers.transactions, reply.body) if reply.status == 200 else 0

    def _tip_height(self) -> int:
        found = self._simple("/blocks", _LARGE)
        for exchange in found.kept:
            self._keep(exchange)
        if not isinstance(found.answer, told.Tip):
            raise UsageError(f"{self.place}: it does not tell of its last blocks; name another server")
        return found.answer.height

    def _check_network(self) -> None:
        reply = self._web.get("/block-height/0", _LARGE)
        if reply.status != 200:
            raise UsageError(f"{self.place}: it does not say which chain it serves; is this the address of the API?")
        genesis = self._decoded(answers.genesis, reply.body)
        if genesis != self._network.genesis:
            raise UsageError(
                f"{self.place}: it serves another chain than {self._network.name}: its first block is {genesis}; "
                f"name a server of {self._network.name}"
            )
        self._known = True

    def _exchange(self, path: str, reply: Reply) -> told.Exchange:
        status = "" if reply.status == 200 else f" ({reply.status})"
        return told.Exchange(self.kind, self.place, f"GET {path}{status}", reply.body)

    def _refusal(self, reply: Reply) -> told.Refusal:
        said = self._address.quote(reply.body.decode(errors="replace"))
        return told.Refusal(said or f"it answers HTTP {reply.status}", too_much=fields.too_much(said))

    def _read(self, exchange: told.Exchange) -> tuple[told.Told, ...]:
        return self._decoded(partial(read, exchange.request), exchange.response)

    def _decoded(self, decode: Callable[[bytes], T], body: bytes) -> T:
        try:
            return decode(body)
        except DecodeError as error:
            raise DecodeError(f"{self.place}: {error}; is this the address of the API?") from None

    def _wrong(self, what: str) -> NoReturn:
        raise DecodeError(f"{self.place}: {what}")
