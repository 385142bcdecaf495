"""Fetch what a trail needs, as the trail advances: only what labelled value reaches, and what proves it.

One round: where does the trail rest by what is known; who spends those coins; those transactions, their places and
the transactions that they spend from; the headers that show all that. Rounds end where nothing labelled is unknown, or
at a limit; what was not looked at is listed.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from calibar.chains.bitcoin.sources.told import (
    BalanceQuestion,
    HeadersQuestion,
    HistoryQuestion,
    Outpoint,
    PlaceQuestion,
    Question,
    RawQuestion,
    Refusal,
    Source,
    SpenderQuestion,
    TipQuestion,
)
from calibar.errors import ChainError, DecodeError, UsageError
from calibar.ledger.case.case import Case, Lie
from calibar.ledger.case.snapshot import CaseSnapshot
from calibar.trail.policy import Policy
from calibar.trail.references import coins_named, script_named
from calibar.trail.trace import resting

REORGANISATION: Final = 100
"""Blocks that a branch may go back."""
MOST: Final = 1000
"""Transactions of an address; one with more is a service's."""
_AT_ONCE: Final = 2000
_PASSES: Final = 3
"""How often missing headers are asked for in a row: what came in the wrong order leads somewhere the next time."""
_TRIED: Final = 5
"""Outputs of a transaction whose histories are tried for its height."""
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Limits:
    """When to stop fetching."""

    transactions: int = 5000
    """Transactions in the case, those that only show values included."""
    seconds: float | None = None
    history: int = MOST
    blocks: int = 100
    """Account chains: blocks of a trail's steps that are asked for whole, to prove the steps."""
    cross_check: bool = False
    """Ask every server what it says of spends and histories, and believe the one that shows more."""


@dataclass(slots=True)
class Report:
    """How the fetching went."""

    rounds: int = 0
    transactions: int = 0
    """New in the case."""
    ended: str = "nothing is left to look at"
    unanswered: dict[str, str] = field(default_factory=dict)
    """Coins and addresses that nobody told of, and why."""
    lies: list[Lie] = field(default_factory=list)
    hidden: list[tuple[str, str]] = field(default_factory=list)
    """(server, coin): it said that nothing spends the coin, and another showed what does."""
    left: list[str] = field(default_factory=list)
    """Transactions that were withdrawn: another branch took their block."""


class Fetcher:
    """Asks servers in turn, and a case keeps what they answer."""

    def __init__(
        self,
        case: Case,
        sources: Sequence[Source],
        limits: Limits | None = None,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Raises UsageError where there is no server."""
        if not sources:
            raise UsageError("name a server to fetch from: --source URL")
        self.case, self.state, self.sources = case, case.coins, list(sources)
        self.limits = limits or Limits()
        self.report = Report()
        self._say = progress or (lambda *_: None)
        self._clock, self._began = clock, clock()
        self._known = len(self.state.transactions)
        self._lies = len(case.lies)
        self._given_up: set[Outpoint] = set()
        self._advanced: set[Outpoint] = set()
        """Coins that were asked about: not a second time in one fetch."""

    # Asking.

    def ask(self, questions: Iterable[Question]) -> dict[Question, str]:
        """Ask servers in turn until each question is answered; those that nobody answered, and why."""
        pending, why = list(dict.fromkeys(questions)), dict[Question, str]()
        for source in list(self.sources):
            if not pending:
                break
            everybody = self.limits.cross_check and isinstance(pending[0], SpenderQuestion | HistoryQuestion)
            pending = self._ask_one(source, pending, why, everybody=everybody)
        self.report.lies = self.case.lies[self._lies :]
        return {question: why.get(question, "no server told it") for question in pending if not self._has(question)}

    def _ask_one(
        self, source: Source, pending: list[Question], why: dict[Question, str], *, everybody: bool
    ) -> list[Question]:
        for start in range(0, len(pending), _AT_ONCE):
            try:
                for question, told in source.ask(pending[start : start + _AT_ONCE]):
                    if isinstance(told, Refusal):
                        why[question] = told.why
                    elif isinstance(question, RawQuestion) and not self._has(question):
                        self._lie(source.place, f"its answer is not transaction {question.txid[::-1].hex()}")
            except (DecodeError, ChainError) as error:
                self._lie(source.place, str(error))
                break
            except UsageError as error:
                self._lie(source.place, str(error))
                self.sources.remove(source)
                if not self.sources:
                    raise
                break
        return pending if everybody else [question for question in pending if not self._has(question)]

    def _has(self, question: Question) -> bool:
        """Whether a question is answered by what the case knows now."""
        state = self.state
        if isinstance(question, RawQuestion):
            return question.txid in state.transactions
        if isinstance(question, PlaceQuestion):
            return question.txid in state.places or state.is_waiting(question.txid)
        if isinstance(question, HeadersQuestion):
            return all(h in state.chain.headers for h in range(question.first, question.first + question.count))
        if isinstance(question, SpenderQuestion):
            told = state.said_spent.get(question.coin) or state.histories.get(sha256(question.script).digest())
            return bool(told) or question.coin in state.unspent
        if isinstance(question, HistoryQuestion):
            return sha256(question.script).digest() in state.histories
        if isinstance(question, BalanceQuestion):
            return sha256(question.script).digest() in state.balances
        return bool(state.tips)

    def begin(self) -> None:
        """Learn each server's last block, and the headers from a known block up to the highest one."""
        for source in list(self.sources):
            self._ask_one(source, [TipQuestion()], {}, everybody=True)
        if not self.state.tips:
            lies = "; ".join(f"{lie.place}: {lie.what}" for lie in self.case.lies[self._lies :])
            raise UsageError(f"no server named its last block ({lies or 'no answer'}); name another")
        self._headers()
        for source in list(self.sources):
            self._follow_branch(source)
        self.report.left = [name[::-1].hex() for name in self.state.left]

    def _follow_branch(self, source: Source) -> None:
        """Where a server's last block is not the chain's, ask for its branch: more work wins."""
        height, header = self.state.strays.get(source.place, (-1, b""))
        chain = self.state.chain
        if height <= chain.highest or chain.headers.get(height) == header:
            return
        first = max(chain.highest + 1, min(chain.top, height) - REORGANISATION)
        self._ask_one(source, [HeadersQuestion(first, height - first + 1)], {}, everybody=True)

    def _headers(self) -> None:
        """Ask for the headers that lead from what waits, and from the last blocks named, to known blocks."""
        chain = self.state.chain
        tips = {self.state.tips[source.place] for source in self.sources if source.place in self.state.tips}
        last = max(tips, default=-1)
        for _ in range(_PASSES):
            runs = chain.missing(tips | {height for height in self.state.waiting() if height <= last})
            if not runs:
                return
            self._say("headers", 0, sum(count for _, count in runs))
            before = len(chain.headers)
            self.ask(HeadersQuestion(first, count) for first, count in runs)
            if len(chain.headers) == before:
                return

    # Transactions.

    def transactions(self, wanted: Iterable[tuple[bytes, int | None]]) -> None:
        """Fetch transactions (id, height where it is said), their places, what they spend from, and the headers."""
        pairs = dict(wanted)
        questions: list[Question] = [RawQuestion(txid) for txid in pairs if txid not in self.state.transactions]
        questions += [
            PlaceQuestion(txid, height)
            for txid, height in pairs.items()
            if txid not in self.state.places and (height is None or height > 0)
        ]
        self.ask(questions)
        self._places_by_history([txid for txid, height in pairs.items() if height is None])
        here = [txid for txid in pairs if txid in self.state.transactions]
        self.ask(RawQuestion(parent) for txid in here for parent in self.state.parents_of(txid))
        self._headers()
        self.case.commit()
        self.report.transactions = len(self.state.transactions) - self._known

    def _places_by_history(self, txids: Sequence[bytes]) -> None:
        """Some servers must be told a transaction's height: the history of an address that it pays has it."""
        state = self.state
        for txid in txids:
            if txid in state.places or state.is_waiting(txid) or txid not in state.transactions:
                continue
            for output in state.transactions[txid].outputs[:_TRIED]:
                self.ask([HistoryQuestion(output.script, self.limits.history)])
                told = state.histories.get(output.script_hash, {}).values()
                heights = {height for history, _ in told for name, height in history.entries if name == txid}
                if heights:
                    self.ask(PlaceQuestion(txid, height) for height in heights if height > 0)
                    break

    def history(self, script: bytes, name: str) -> None:
        """Fetch every transaction of an address, and what the server says it has now."""
        question = HistoryQuestion(script, self.limits.history)
        refused = self.ask([question])
        named = len(self.state.entries_of(sha256(script).digest()))
        if question in refused or named > self.limits.history:
            why = refused.get(question) or f"it has {named} transactions"
            raise UsageError(
                f"{name}: {why}. Where it is a service's address, name single coins (txid:vout) instead; or allow more "
                "with --most N, or use a full ledger"
            )
        self.ask([BalanceQuestion(script)])
        state, digest = self.state, sha256(script).digest()
        self.transactions(state.entries_of(digest).items())
        for place, (history, _) in state.histories[digest].items():
            for txid, _ in history.entries:
                if txid in state.transactions and not state.concerns(txid, digest):
                    self._lie(place, f"{txid[::-1].hex()} is said to concern {name} and does not")
        if not state.is_whole(digest):
            said = ", ".join(f"{place} {told.confirmed}" for place, (told, _) in state.balances.get(digest, {}).items())
            self.report.unanswered[name] = (
                f"its history is not known whole: {len(state.entries_of(digest))} transactions leave "
                f"{state.worth(digest)} satoshi; servers say that it has: {said or 'nothing'}"
            )

    def _lie(self, place: str, what: str) -> None:
        self.case.lies.append(Lie(place, what))

    def references(self, references: Sequence[str]) -> None:
        """Fetch what REFs name. Raises UsageError for one that no server knows."""
        for text in references:
            named = coins_named(text)
            if named is None:
                self.history(script_named(text, self.state.network), text)
                continue
            txid = bytes.fromhex(named)[::-1]
            if txid not in self.state.transactions or not self.state.is_proven(txid):
                self.transactions([(txid, None)])
            if txid not in self.state.transactions:
                raise UsageError(f"no server knows transaction {named}; check it, or name another server")

    # Trails.

    def trail(self, references: Sequence[str], policy: Policy) -> CaseSnapshot:
        """Fetch until labelled value rests where nobody knows of a spend, or a limit is reached."""
        self.references(references)
        while True:
            snapshot = self.case.snapshot()
            frontier = self._frontier(snapshot, references, policy)
            if not frontier:
                break
            if (ended := self._limit()) is not None:
                self.report.ended = ended
                break
            self.report.rounds += 1
            self._say("transactions", len(self.state.transactions), self.limits.transactions)
            self._advance(frontier)
        self.case.commit()
        return snapshot

    def _limit(self) -> str | None:
        if len(self.state.transactions) >= self.limits.transactions:
            return f"the limit of {self.limits.transactions} transactions"
        if self.limits.seconds is not None and self._clock() - self._began > self.limits.seconds:
            return f"the limit of {self.limits.seconds:g} seconds"
        return None

    def _frontier(self, snapshot: CaseSnapshot, references: Sequence[str], policy: Policy) -> dict[Outpoint, bytes]:
        """Coins where labelled value rests and nobody was asked, with their scripts."""
        found = {}
        coins, as_of = resting(references, snapshot, policy)
        for coin in coins:
            name = snapshot.outpoint(coin)
            unknown = name not in self._given_up and name not in self._advanced
            if unknown and snapshot.who_says_unspent(coin, as_of) is None:
                found[name] = snapshot.script_of_coin(coin)
        return found

    def _advance(self, frontier: dict[Outpoint, bytes]) -> None:
        """Ask the servers in turn what spends the coins: the next one where what one told leads nowhere."""
        left, why = dict(frontier), dict[Question, str]()
        self._advanced.update(frontier)
        for source in list(self.sources):
            asked = frontier if self.limits.cross_check else left
            if not asked:
                break
            self._ask_one(source, [SpenderQuestion(*pair) for pair in asked.items()], why, everybody=True)
            self.transactions(self._spenders_told(asked, source.place).items())
            left = {coin: script for coin, script in left.items() if not self._is_settled(coin, script)}
        for coin, script in frontier.items():
            self._note_hidden(coin, script)
        for coin, script in left.items():
            if coin not in self._given_up:
                self._give_up(coin, self._why_unsettled(coin, script, why))

    def _spenders_told(self, asked: dict[Outpoint, bytes], place: str) -> dict[bytes, int | None]:
        """Transactions that a server says spend the coins, or that may: those of their addresses from then on."""
        state, wanted = self.state, dict[bytes, int | None]()
        for coin, script in asked.items():
            if (said := state.said_spent.get(coin, {}).get(place)) is not None:
                wanted[said[0]] = said[1]
            placed = state.places.get(coin.txid)
            entries = state.entries_of(sha256(script).digest(), place).items()
            later = {txid: at for txid, at in entries if placed is None or at <= 0 or at >= placed.height}
            if len(later) > self.limits.history:
                self._give_up(
                    coin, f"its address has {len(later)} later transactions: a service's; --most N allows more"
                )
            else:
                wanted |= later
        return wanted

    def _is_settled(self, coin: Outpoint, script: bytes) -> bool:
        """Whether a coin is known to have gone on, or to rest by the word of somebody who knows the last block."""
        state = self.state
        spender = state.spender_of(coin)
        resting_by = state.looked_at(coin, sha256(script).digest())
        return spender in state.places or max(resting_by.values(), default=-1) >= max(state.tip, 0)

    def _note_hidden(self, coin: Outpoint, script: bytes) -> None:
        """Servers whose word was that nothing spends a coin, of which another showed what does."""
        spender = self.state.spender_of(coin)
        if spender is not None and spender in self.state.places:
            height = self.state.places[spender].height
            for place, known in self.state.looked_at(coin, sha256(script).digest()).items():
                if known >= height and spender not in self.state.entries_of(sha256(script).digest(), place):
                    self.report.hidden.append((place, name_of(coin)))

    def _why_unsettled(self, coin: Outpoint, script: bytes, why: dict[Question, str]) -> str:
        state = self.state
        for place, (txid, _) in state.said_spent.get(coin, {}).items():
            if state.spender_of(coin) != txid:
                what = "does not spend it" if txid in state.transactions else "is not to be had"
                self._lie(place, f"{txid[::-1].hex()} is said to spend {name_of(coin)} and {what}")
        if state.spender_of(coin) is not None:
            return "what spends it is not shown to be in a block"
        if state.looked_at(coin, sha256(script).digest()):
            return "no server knew the chain up to its last block"
        return why.get(SpenderQuestion(coin, script), "no server told what spends it")

    def _give_up(self, coin: Outpoint, why: str) -> None:
        self._given_up.add(coin)
        self.report.unanswered[name_of(coin)] = why


def name_of(coin: Outpoint) -> str:
    """`txid:vout`."""
    return f"{coin.txid[::-1].hex()}:{coin.output}"
