"""Open or begin a case, and fetch into it what REFs name or what their trail needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Final

from calibar.chains.bitcoin.networks import network
from calibar.chains.bitcoin.sources.choose import is_here, open_source
from calibar.errors import UsageError
from calibar.ledger.case.case import Case, is_case, read_settings
from calibar.trail.fetching import Fetcher, Limits, Progress, Report
from calibar.trail.policy import Policy

Tell = Callable[[str], None]
_FORMS: Final = {"bc1": "mainnet", "1": "mainnet", "3": "mainnet", "bcrt1": "regtest", "rltc1": "litecoin-regtest"}
"""Beginnings of addresses that tell their network; those of the test networks are the same for all of them."""


def network_of(references: Sequence[str]) -> str | None:
    """The network that the addresses among REFs are of; None where none tells."""
    found = {name for text in references for start, name in _FORMS.items() if _begins(text, start)}
    if len(found) > 1:
        raise UsageError(f"the REFs are of several networks ({', '.join(sorted(found))}); a case is of one chain")
    return found.pop() if found else None


def _begins(text: str, start: str) -> bool:
    is_hash = len(text.partition("=")[0].partition(":")[0]) == 64
    return not is_hash and text.lower().startswith(start)


def gather(
    folder: Path,
    references: Sequence[str],
    sources: Sequence[str],
    *,
    network_name: str | None = None,
    known: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
    progress: Progress | None = None,
    tell: Tell = lambda _: None,
) -> Report:
    """Fetch into the case in `folder`: what REFs name and, with a `policy`, the trail on from there.

    `known` are blocks (height to hash as displayed) that a new case takes as known. `tell` hears what a server on
    another machine will learn, before it is asked the first time. Raises CalibarError; what was kept stays.
    """
    if not sources:
        raise UsageError("name a server to fetch from: --source URL")
    if network_name is None and not is_case(folder):
        network_name = network_of(references)
    name = network_name or (read_settings(folder).network if is_case(folder) else "mainnet")
    chain = network(name)
    with ExitStack() as open_:
        case = open_.enter_context(Case.for_fetching(folder, name, known))
        opened = []
        for text in sources:
            source = open_.enter_context(closing(open_source(text, chain, case.keep)))
            if not is_here(text) and case.disclose(source.place, time.time):
                tell(
                    f"{source.place} will learn that somebody at this network address asks about these transactions "
                    "and addresses, and when; noted in the case"
                )
            opened.append(source)
        fetcher = Fetcher(case, opened, limits, progress)
        fetcher.begin()
        if policy is None:
            fetcher.references(references)
        else:
            fetcher.trail(references, policy)
        return fetcher.report
