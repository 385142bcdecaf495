"""What a fetch of a trail on an account chain would ask next.

Which questions these are shows by letting a fetch run against a source that only notes what it is asked.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import suppress

from calibar.chains.remote.transfers_told import (
    BlockQuestion,
    HoldingQuestion,
    MovementsQuestion,
    NewestQuestion,
    Question,
    TransactionQuestion,
)
from calibar.errors import UsageError
from calibar.ledger.case.accounts.state import AccountState, classes_of
from calibar.ledger.case.case import Case
from calibar.trail.accounts.fetching import AccountFetcher
from calibar.trail.fetching import Limits
from calibar.trail.plans.plan import Noting
from calibar.trail.policy import Policy


def next_questions(
    case: Case, references: Sequence[str], policy: Policy, limits: Limits | None = None, *, newest: bool = False
) -> list[Question]:
    """See `plans.upcoming.next_plan`."""
    state = case.accounts
    noted: dict[Question, None] = {}
    for text in references:
        named, fetcher = _noting(case, limits)
        try:
            fetcher.references([text], fetcher.asset_called(policy.asset))
        except UsageError:
            if all(_is_answered(question, state) for question in named):
                raise
        noted |= named
    if state.tip >= 0:
        on_the_way, fetcher = _noting(case, limits)
        with suppress(UsageError):  # too little is known yet for a trail
            fetcher.trail(references, policy)
        noted |= on_the_way
    questions = [question for question in noted if not _is_answered(question, state)]
    balances = {
        (question.address, what)
        for question in questions
        if isinstance(question, HoldingQuestion)
        for what in classes_of(question.asset, state.chain)
    }
    questions = [question for question in questions if not _is_listed_before(question, balances, state)]
    if newest or not state.newest or any(_would_be_undated(question, state) for question in questions):
        questions.insert(0, NewestQuestion())
    return questions


def _noting(case: Case, limits: Limits | None) -> tuple[dict[Question, None], AccountFetcher]:
    """A fetcher that asks nobody, and what it would ask. Whole blocks are asked for once a node has answered."""
    noted: dict[Question, None] = {}
    return noted, AccountFetcher(case, [Noting("", noted, case.node or "plan", case.accounts.chain)], limits)


def _is_answered(question: Question, state: AccountState) -> bool:
    """Whether a question was answered as of the last known block."""
    match question:
        case MovementsQuestion(address, what, most, first, asset):
            refused = state.too_many.get((address, what, asset), {}).values()
            if any(asked.most >= most and asked.first >= first for asked in refused):
                return True
            listed = state.listed.get((address, what), {})
            return any(
                of in (asset, None) and state.listed_upto[address, what, place, of] >= state.tip_of(place)
                for place, of in listed
            )
        case HoldingQuestion(address, asset):
            told = state.holdings.get((address, asset), {})
            return any(upto >= max(state.tip_of(place), 0) for place, (_, upto) in told.items())
        case TransactionQuestion(txid):
            return bool(state.transactions.get(txid))
        case BlockQuestion(height):
            return height not in state.disputed() and state.blocks_upto.get(height, -1) >= state.tip
    return False


def _is_listed_before(question: Question, balances: Collection[tuple[bytes, str]], state: AccountState) -> bool:
    """Whether a list need not be asked for again before a balance, which is asked for too, shows that it is short."""
    if not isinstance(question, MovementsQuestion) or (question.address, question.what) not in balances:
        return False
    listed = state.listed.get((question.address, question.what), {})
    return any(asset in (None, question.asset) and not told.capped for (_, asset), told in listed.items())


def _would_be_undated(question: Question, state: AccountState) -> bool:
    """Whether an answer is only somebody's word, and which block he knows as the last is not known or long gone."""
    if not isinstance(question, HoldingQuestion):
        return False
    told = state.holdings.get((question.address, question.asset), {})
    late = max((row.height for row in state.rows() if row.height is not None), default=-1)
    return late > state.tip or any(upto < 0 for _, upto in told.values())
