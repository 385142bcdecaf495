"""What a fetch would ask next, whatever the chain."""

from __future__ import annotations

from collections.abc import Sequence

from calibar.ledger.case.case import Case
from calibar.trail.fetching import Limits
from calibar.trail.plans import accounts, coins
from calibar.trail.plans.plan import Plan
from calibar.trail.policy import Policy


def next_plan(
    case: Case, references: Sequence[str], policy: Policy, limits: Limits | None = None, *, newest: bool = False
) -> Plan:
    """What a fetch of the REFs' trail would ask now; no questions where nothing is left to look at.

    The trail is looked at up to the block that the case knows as the last; with `newest`, which it is is asked anew.
    Raises UsageError for REFs that are none, and for those of which it was answered that there is nothing.
    """
    module = accounts if case.is_account_chain else coins
    questions = module.next_questions(case, references, policy, limits, newest=newest)
    return Plan(case.settings.network, tuple(questions))
