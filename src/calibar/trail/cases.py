"""Open or begin a case, and fetch into it what REFs name or what their trail needs."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from calibar.chains.bitcoin.networks import network
from calibar.chains.bitcoin.sources.choose import is_here, open_source
from calibar.chains.bitcoin.sources.told import Keep
from calibar.chains.remote.choose import open_explorer
from calibar.errors import UsageError
from calibar.ledger.case.case import Case, is_account_chain, is_case, read_settings
from calibar.trail.accounts.fetching import AccountFetcher
from calibar.trail.fetching import Fetcher, Limits, Progress, Report
from calibar.trail.policy import Policy

_TRON: Final = re.compile(r"T[1-9A-HJ-NP-Za-km-z]{33}")
Tell = Callable[[str], None]
_FORMS: Final = {"bc1": "mainnet", "1": "mainnet", "3": "mainnet", "bcrt1": "regtest", "rltc1": "litecoin-regtest"}
"""Beginnings of addresses that tell their network; those of the test networks are the same for all of them."""


def network_of(references: Sequence[str]) -> str | None:
    """The network that the addresses among REFs are of; None where none tells."""
    found = {name for text in references for start, name in _FORMS.items() if _begins(text, start)}
    found |= {"ethereum:1" for text in references if text.lower().startswith("0x")}
    found |= {"tron:mainnet" for text in references if _TRON.fullmatch(text.partition("=")[0])}
    if len(found) > 1:
        raise UsageError(f"the REFs are of several networks ({', '.join(sorted(found))}); a case is of one chain")
    return found.pop() if found else None


def _begins(text: str, start: str) -> bool:
    is_hash = len(text.partition("=")[0].partition(":")[0]) == 64
    return not is_hash and text.lower().startswith(start)


def network_asked(folder: Path, references: Sequence[str], network_name: str | None) -> str | None:
    """The network that is named or, for a case yet to be begun, that REFs tell; None where neither does."""
    return network_of(references) if network_name is None and not is_case(folder) else network_name


def unit_of(folder: Path, references: Sequence[str], network_name: str | None) -> str:
    """What a trail in a case, or in one yet to be begun, follows: the policy's unit."""
    name = read_settings(folder).network if is_case(folder) else network_asked(folder, references, network_name)
    return "address" if name is not None and is_account_chain(name) else "coin"


@contextmanager
def asking(
    folder: Path,
    references: Sequence[str],
    sources: Sequence[str],
    *,
    network_name: str | None = None,
    known: Mapping[str, str] | None = None,
    stated: Sequence[str] = (),
    learns: str = "asks about these transactions and addresses, and when",
    tell: Tell = lambda _: None,
    keeping: Callable[[Case], Keep] = lambda case: case.keep,
) -> Iterator[tuple[Case, list[Any], Keep]]:
    """Open the case in `folder`, or begin one, and the servers; with what they give their exchanges to.

    `tell` hears what a server on another machine `learns`, before it is asked the first time. For the rest see
    `gather`.
    """
    network_name = network_asked(folder, references, network_name)
    name = network_name or (read_settings(folder).network if is_case(folder) else "mainnet")
    with ExitStack() as open_:
        case = open_.enter_context(Case.for_fetching(folder, name, known))
        keep = keeping(case)

        def announce(place: str) -> None:
            if case.disclose(place, time.time):
                tell(f"{place} will learn that somebody at this network address {learns}; noted in the case")

        opened = []
        for text in sources:
            before = (lambda _: None) if is_here(text) else announce
            opened.append(open_.enter_context(closing(open_server(text, name, keep, stated, before))))
            before(opened[-1].place)
        yield case, opened, keep


def open_server(
    text: str, network_name: str, keep: Keep, stated: Sequence[str] = (), before: Tell = lambda _: None
) -> Any:
    """The server, or file, that `text` names; `before` hears its name where opening it asks it already."""
    if is_account_chain(network_name):
        return open_explorer(text, network_name, keep, stated, before)
    return open_source(text, network(network_name), keep)


def gather(
    folder: Path,
    references: Sequence[str],
    sources: Sequence[str],
    *,
    network_name: str | None = None,
    known: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    limits: Limits | None = None,
    stated: Sequence[str] = (),
    progress: Progress | None = None,
    tell: Tell = lambda _: None,
) -> Report:
    """Fetch into the case in `folder`: what REFs name and, with a `policy`, the trail on from there.

    `known` are blocks (height to hash as displayed) that a new case takes as known. `tell` hears what a server on
    another machine will learn, before it is asked the first time. `stated` is what is said of CSV files. Raises
    CalibarError; what was kept stays.
    """
    if not sources:
        raise UsageError("name a server to fetch from: --source URL")
    with asking(
        folder, references, sources, network_name=network_name, known=known, stated=stated, tell=tell
    ) as (case, opened, _):  # fmt: skip
        fetcher: Fetcher | AccountFetcher
        if case.is_account_chain:
            fetcher = AccountFetcher(case, opened, limits, progress)
            if policy is not None and policy.unit == "coin":
                policy = replace(policy, unit="address")
        else:
            fetcher = Fetcher(case, opened, limits, progress)
        fetcher.begin()
        if policy is None:
            fetcher.references(references)
        else:
            fetcher.trail(references, policy)
        return fetcher.report
