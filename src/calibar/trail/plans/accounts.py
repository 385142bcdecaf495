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
from calibar.errors import DamageError, UsageError
from calibar.ledger.case.accounts.state import AccountState, classes_of, without_most
from calibar.ledger.case.case import NODES, Case
from calibar.trail.accounts.fetching import SERVICE, AccountFetcher
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
        except UsageError as error:
            if not named:  # mistyped
                raise
            if all(_is_answered(question, case) for question in named):
                raise UsageError(f"{text}: {_why(list(named), state)}") from error
        noted |= named
    if state.tip >= 0:
        on_the_way, fetcher = _noting(case, limits)
        with suppress(UsageError, DamageError):  # too little is known yet for a trail, or it cannot be followed
            fetcher.trail(references, policy)
        noted |= on_the_way
    questions = [question for question in noted if not _is_answered(question, case)]
    balances = {
        (question.address, what)
        for question in questions
        if isinstance(question, HoldingQuestion)
        for what in classes_of(question.asset, state.chain)
    }
    questions = [question for question in questions if not _is_listed_before(question, balances, state)]
    late = max((row.height for row in state.rows() if row.height is not None), default=-1) > state.tip
    if newest or not state.newest or any(_would_be_undated(question, state, late) for question in questions):
        questions.insert(0, NewestQuestion())
    return questions


def _noting(case: Case, limits: Limits | None) -> tuple[dict[Question, None], AccountFetcher]:
    """A fetcher that asks nobody, and what it would ask. Whole blocks are asked for once a node has answered."""
    noted: dict[Question, None] = {}
    return noted, AccountFetcher(case, [Noting("", noted, case.node or "plan", case.accounts.chain)], limits)


def _why(questions: list[Question], state: AccountState) -> str:
    """Why nothing is known, where all was answered."""
    too_many = (state.too_many.get((q.address, q.what, q.asset)) for q in questions if isinstance(q, MovementsQuestion))
    return f"it is {SERVICE}" if any(too_many) else "no server knows anything of it; check it, or name another server"


def _is_answered(question: Question, case: Case) -> bool:
    """Whether a question was answered, or refused by every server that named the last known block, as of that."""
    state = case.accounts
    if isinstance(question, MovementsQuestion) and _is_no_nodes(question, case):
        return True
    refused = state.refusals.get(without_most(question), {})
    latest = max((newest.height for newest in state.newest.values()), default=-1)
    asked = [place for place, newest in state.newest.items() if newest.height == latest]
    if asked and all(refused.get(place, -1) >= latest for place in asked):
        return True
    match question:
        case MovementsQuestion(address, what, most, first, asset):
            services = state.too_many.get((address, what, asset), {}).values()
            if any(asked.most >= most and asked.first >= first for asked in services):
                return True
            listed = state.listed.get((address, what), {})
            return any(
                of in (asset, None)
                and told.first <= first
                and state.listed_upto[address, what, place, of] >= state.tip_of(place) >= 0
                for (place, of), told in listed.items()
            )
        case HoldingQuestion(address, asset):
            return any(state.is_fresh(address, asset, place) for place in state.holdings.get((address, asset), {}))
        case TransactionQuestion(txid):
            return bool(state.transactions.get(txid))
        case BlockQuestion(height):
            is_known = height in state.blocks and height not in state.disputed()
            return is_known and state.blocks_upto[height] >= state.tip
    return False


def _is_no_nodes(question: MovementsQuestion, case: Case) -> bool:
    """Whether nodes alone were asked so far, and none of them keeps such a list."""
    lists = case.node == "node" and question.what == "token"
    return bool(case.kinds) and case.kinds <= set(NODES) and not lists


def _is_listed_before(question: Question, balances: Collection[tuple[bytes, str]], state: AccountState) -> bool:
    """Whether a list need not be asked for again before a balance, which is asked for too, shows that it is short."""
    if not isinstance(question, MovementsQuestion) or (question.address, question.what) not in balances:
        return False
    listed = state.listed.get((question.address, question.what), {})
    return any(asset in (None, question.asset) and not told.capped for (_, asset), told in listed.items())


def _would_be_undated(question: Question, state: AccountState, late: bool) -> bool:
    """Whether an answer is only somebody's word, and which block he knows as the last is not known, or something moved
    after it (`late`)."""
    if not isinstance(question, HoldingQuestion):
        return False
    told = state.holdings.get((question.address, question.asset), {})
    return late or any(upto < 0 for _, upto in told.values())
