"""Servers of account chains as a watch hears them: what they told in a round, kept only where any of it is new."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.remote.transfers_told import Explorer, Holding, NewestQuestion, Question, Told
from calibar.ledger.case.case import Case


class KeptBack:
    """What servers answer in a round, kept back until it is known whether any of it is new."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._waiting: list[Exchange] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """See `told.Keep`."""
        if self._waiting is None:
            self._case.keep(exchange)
        else:
            self._waiting.append(exchange)

    @contextmanager
    def back(self) -> Iterator[None]:
        """While this lasts nothing is kept; what was not let through by then is dropped."""
        self._waiting = []
        try:
            yield
        finally:
            self._waiting = None

    def let_through(self) -> None:
        """Keep what was kept back, and what comes."""
        waiting, self._waiting = self._waiting or [], None
        for exchange in waiting:
            self._case.keep(exchange)


class Hearing:
    """A source, and what it told in this round."""

    def __init__(self, source: Explorer) -> None:
        self._inner = source
        self.kind, self.place, self.chain = source.kind, source.place, source.chain
        self.heard: dict[Question, object] = {}

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """As the source does."""
        for question, told in self._inner.ask(questions):
            if isinstance(told, Refusal):
                self.heard[question] = None
            elif not isinstance(question, NewestQuestion):
                self.heard[question] = told.amount if isinstance(told, Holding) else told
            yield question, told

    def close(self) -> None:
        """Hang up."""
        self._inner.close()
