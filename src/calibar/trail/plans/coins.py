"""What a fetch of a trail on a Bitcoin network would ask next.

Which questions these are shows by letting a fetch run against a source that only notes what it is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256

from calibar.chains.bitcoin.sources.told import (
    BalanceQuestion,
    HeadersQuestion,
    HistoryQuestion,
    PlaceQuestion,
    Question,
    RawQuestion,
    SpenderQuestion,
    TipQuestion,
)
from calibar.errors import UsageError
from calibar.ledger.case.case import Case
from calibar.trail.fetching import Fetcher, Limits
from calibar.trail.plans.plan import Noting
from calibar.trail.policy import Policy
from calibar.trail.references import coins_named, script_named


def next_questions(
    case: Case, references: Sequence[str], policy: Policy, limits: Limits | None = None, *, newest: bool = False
) -> list[Question]:
    """See `plans.upcoming.next_plan`."""
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
    return questions


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
