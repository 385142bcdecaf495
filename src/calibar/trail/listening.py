"""Sources as a watch hears them: what they last said of each coin, and nothing kept twice that says the same."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256

from calibar.chains.bitcoin.sources.told import (
    Exchange,
    History,
    Outpoint,
    Question,
    Refusal,
    Source,
    Spender,
    SpenderQuestion,
    Told,
)
from calibar.ledger.case.case import Case


class Listening:
    """A source, and what it last said of each coin: transactions that spend it, or that concern its script."""

    def __init__(self, source: Source) -> None:
        self.inner, self.kind, self.place = source, source.kind, source.place
        self.heard: dict[Outpoint, dict[bytes, int]] = {}

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """As the source does."""
        for question, told in self.inner.ask(questions):
            if isinstance(question, SpenderQuestion):
                if isinstance(told, Spender):
                    self.heard[question.coin] = {} if told.txid is None else {told.txid: told.height or 0}
                elif isinstance(told, History):
                    self.heard[question.coin] = dict(told.entries)
            yield question, told

    def close(self) -> None:
        """Hang up."""
        self.inner.close()


@dataclass(slots=True)
class Sparing:
    """Keeps an exchange unless it repeats the last one of its kind and no block came between: days fit in a case."""

    case: Case
    _said: dict[tuple[str, str], tuple[bytes, object]] = field(default_factory=dict)

    def __call__(self, exchange: Exchange) -> None:
        """See `told.Keep`."""
        key, digest = (exchange.place, exchange.request), sha256(exchange.response).digest()
        if self._said.get(key) != (digest, self._known(exchange.place)):
            self.case.keep(exchange)
            self._said[key] = digest, self._known(exchange.place)

    def _known(self, place: str) -> object:
        state = self.case.coins
        return state.tips.get(place), state.chain.hashes.get(state.chain.top)
