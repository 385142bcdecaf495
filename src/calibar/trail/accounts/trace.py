"""Trace on an account chain: from REFs and a policy to a trail whose sums re-add."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import integers, limbs
from calibar.collection import uncollected
from calibar.errors import DamageError, UsageError
from calibar.kernels import transfers as kernels
from calibar.kernels.flows import FlowWalk, walk
from calibar.kernels.transfers import Conversions, arrivals
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts.backward import trace_backward
from calibar.trail.accounts.conversions import Conversion, conversions
from calibar.trail.accounts.document import Question, build, holdings_of
from calibar.trail.accounts.links import Link, as_conversion, read_links
from calibar.trail.accounts.naming import find_transfers
from calibar.trail.accounts.references import Reference, asset_asked, resolve, untraceable
from calibar.trail.accounts.selection import Selection, places, select
from calibar.trail.accounts.sweeps import Sweeps
from calibar.trail.document import Trail
from calibar.trail.policy import ACCOUNT_METHODS, Policy
from calibar.trail.stops import labelled_accounts, passed_addresses

I64 = NDArray[np.int64]
U64 = NDArray[np.uint64]
ALL = (1 << 126) - 1
_RULES = {"min-amount": kernels.MIN_AMOUNT, "hops": kernels.HOPS}


@uncollected()
def trace(references: Sequence[str], snapshot: AccountSnapshot, policy: Policy) -> Trail:
    """Follow the REFs through the ledger; a function of its arguments and nothing else.

    Raises UsageError for a wrong question, BalanceError where sums do not re-add.
    """
    if not references:
        raise UsageError("nothing to trace: name at least one REF")
    if policy.direction == "backward":
        return trace_backward(references, snapshot, policy)
    return build(*_walked(references, snapshot, policy))


class Resting(NamedTuple):
    """Where a trail's value rests, and what moved it."""

    holdings: list[dict[str, Any]]
    """As in the document, but that amounts are integers; backward, those that units came from."""
    passed: I64
    """Transfers of its steps."""
    carried: I64
    """Those of them that brought the value to another's holding."""


@uncollected()
def resting(references: Sequence[str], snapshot: AccountSnapshot, policy: Policy) -> Resting:
    """Where value rests by what is known, without a document of how it came there. Raises as `trace` does."""
    if policy.direction == "backward":
        return _origins(trace_backward(references, snapshot, policy).document, snapshot)
    walked = _walked(references, snapshot, policy)
    question = walked.question
    passed = question.rows[question.walk.step_flow]
    return Resting(holdings_of(question, walked.blocks), passed, passed[question.walk.step_kind == kernels.CARRIED])


def _origins(document: Any, snapshot: AccountSnapshot) -> Resting:
    rows, passed = [], list[int]()
    for movement in (*document["steps"], *document["origins"]):
        (transfer,) = find_transfers(snapshot, movement["transfer"])
        passed.append(transfer)
        sender = int(snapshot["transfers.sender"][transfer])
        if movement.get("reason") == "incomplete history" and sender >= 0:
            left = snapshot.balance_after(sender, snapshot.counts["blocks"])
            rows.append({"account": movement["from"], "value": left} | {k: movement[k] for k in ("asset", "reason")})
    return Resting(rows, np.array(passed, np.int64), np.empty(0, np.int64))


class _Walked(NamedTuple):
    question: Question
    blocks: int
    as_of: int | None
    links: list[Link]
    linked: Mapping[int, int]
    """By transfer, the link that names it."""
    venues: Mapping[int, tuple[int, ...]]


class Births(NamedTuple):
    """What is labelled: one row a transfer and label, in the order in which labels take."""

    transfer: I64
    label: I64
    most: U64
    skip: U64
    """As in `kernels.transfers.Arrivals`."""
    budget: I64
    source: I64
    """As in `kernels.transfers.Arrivals`."""
    budgets: U64


def births_of(references: Sequence[Reference]) -> Births:
    """The rows of REFs, S0 first."""
    transfer = np.concatenate([ref.transfers for ref in references])
    label = np.repeat(np.arange(len(references)), [ref.transfers.size for ref in references])
    budgets = limbs([ALL if ref.amount is None else ref.amount for ref in references])[:, :2].copy()
    rows = arrivals(transfer, label)
    return Births(transfer, label, rows.most, rows.skip, rows.budget, rows.source, budgets)


def _walked(references: Sequence[str], snapshot: AccountSnapshot, policy: Policy) -> _Walked:
    blocks, _ = snapshot.as_of(policy.as_of)
    limit = int(snapshot["blocks.first_transfer"][blocks])
    asset = asset_asked(snapshot, policy.asset)
    resolved = [resolve(text, snapshot, limit, asset) for text in references]
    walked = walked_from(births_of(resolved), resolved, snapshot, policy)
    _check_labelled(walked.question)
    return walked


def walked_from(
    births: Births, resolved: list[Reference], snapshot: AccountSnapshot, policy: Policy
) -> _Walked:  # fmt: skip
    """Follow what is labelled at birth; `resolved` are the REFs that the document names."""
    blocks, as_of = snapshot.as_of(policy.as_of)
    limit = int(snapshot["blocks.first_transfer"][blocks])
    links = read_links(policy.links) if policy.links is not None else []
    asserted = [(link, as_conversion(link, snapshot, limit)) for link in links]
    by = {transfer: number for number, (_, c) in enumerate(asserted) if c for transfer in (*c.given, *c.received)}
    asked = set(np.unique(snapshot["transfers.asset"][births.transfer]).tolist())
    assets, reached, found = set(asked), set[int](), _without_linked([], [c for _, c in asserted if c is not None])
    sweeps: dict[int, Sweeps] = {}
    deposits: dict[int, int] = {}
    labelled = labelled_accounts(snapshot, policy)
    # A rule looks only at whom the walk has reached, and the walk depends on the rules: again, until nothing is new.
    while True:
        selection = select(snapshot, assets, limit, found)
        question = _ask(snapshot, policy, selection, births, resolved, deposits, labelled)
        now = _reached(snapshot, question, births)
        more = {asset for asset in _converted_into(selection, question.walk) if not untraceable(snapshot, asset, limit)}
        if now <= reached and more <= assets:
            break
        if ("deposit", 0) in policy.rules:
            deposits |= _deposits(snapshot, now - reached, limit, sweeps)
        reached |= now
        assets |= more
        owners = set(snapshot["holdings.address"][list(reached)].tolist())
        links_found = [c for _, c in asserted if c is not None]
        found = _without_linked(conversions(snapshot, limit, owners), links_found)
    venues = {transfer: c.venue for c in found for transfer in (*c.given, *c.received)}
    return _Walked(question, blocks, as_of, links, by, venues)


def _reached(snapshot: AccountSnapshot, question: Question, births: Births) -> set[int]:
    """Holdings that labelled value came to."""
    transfers = np.concatenate([question.rows[question.walk.step_flow], births.transfer])
    holdings = snapshot["transfers.recipient"][transfers]
    return set(holdings[holdings >= 0].tolist())


def _deposits(snapshot: AccountSnapshot, holdings: set[int], limit: int, sweeps: dict[int, Sweeps]) -> dict[int, int]:
    """Those of the holdings that are a custodian's deposit addresses, and their hot wallets."""
    found: dict[int, int] = {}
    for holding in sorted(holdings):
        asset = int(snapshot["holdings.asset"][holding])
        if asset not in sweeps:
            sweeps[asset] = Sweeps(snapshot, asset, limit)
        if (hot := sweeps[asset].hot_wallet(holding)) is not None:
            found[holding] = hot
    return found


def _without_linked(found: list[Conversion], asserted: list[Conversion]) -> list[Conversion]:
    """The decoded conversions, but for those of a transfer that a link says otherwise of; then the links."""
    taken: set[int] = set()
    for conversion in asserted:
        ends = {*conversion.given, *conversion.received}
        if ends & taken:
            raise UsageError("two links name the same transfer; a transfer is given or received once")
        taken |= ends
    return [c for c in found if not taken & {*c.given, *c.received}] + asserted


def _ask(
    snapshot: AccountSnapshot,
    policy: Policy,
    selection: Selection,
    births: Births,
    references: list[Reference],
    deposits: dict[int, int],
    labelled: dict[int, int],
) -> Question:
    flow = places(selection.rows, births.transfer)
    order = np.argsort(flow, kind="stable")
    columns = flow[order].astype(np.int64), births.label[order].astype(np.int64)
    sources = arrivals(*columns, births.most[order], births.skip[order])
    sources = sources._replace(budget=births.budget[order], source=births.source[order])
    stops = policy.rules
    holder_rule = np.full(selection.holdings.size, -1, np.int64)
    if ("deposit", 0) in stops:
        passed = passed_addresses(snapshot.chain, policy)
        bytes_of = {h: snapshot.address_bytes(int(snapshot["holdings.address"][h])) for h in deposits}
        found = [holding for holding in deposits if bytes_of[holding] not in passed]
        holder_rule[np.isin(selection.holdings, found)] = stops.index(("deposit", 0))
    owners = snapshot["holdings.address"][selection.holdings]
    row_of = np.full(snapshot.counts["addresses"], -1, np.int64)
    row_of[list(labelled)] = list(labelled.values())
    holder_rule = np.where(row_of[owners] >= 0, row_of[owners], holder_rule)
    walked = walk(
        selection.flows._replace(holder_rule=holder_rule),
        ACCOUNT_METHODS.index(policy.method),
        policy.fees == "follow",
        np.array([_RULES.get(name, kernels.HOLDER) for name, _ in stops], np.int64),
        limbs([value for _, value in stops])[:, :2].copy(),
        sources,
        births.budgets.copy(),
        selection.conversions if selection.groups else Conversions(np.empty(0, np.int64), np.empty(0, np.int64)),
    )
    if walked.damaged != kernels.NOWHERE:
        block = snapshot.height_of(snapshot.block_of_transfer(int(selection.rows[walked.damaged])))
        raise DamageError(
            f"{snapshot.folder}: a transfer of block {block} makes more than a walk can hold (2^126 base "
            "units), or does not follow from those before it; `calibar ledger check` tells"
        )
    rows, holdings = selection.rows, selection.holdings
    return Question(snapshot, policy, references, rows, holdings, sources, walked, deposits)


def _converted_into(selection: Selection, walk: FlowWalk) -> set[int]:
    """Assets outside the selection that traced value was given for."""
    sending = set(selection.rows[walk.step_flow].tolist())
    return {
        conversion.received_asset
        for conversion in selection.groups
        if conversion.received_asset not in selection.assets and sending & set(conversion.given)
    }


def _check_labelled(question: Question) -> None:
    taken = np.array(integers(np.pad(question.sources.amount, ((0, 0), (0, 2)))), object)
    for label, reference in enumerate(question.references):
        if not any(taken[question.sources.label == label]):
            raise UsageError(
                f"S{label} ({reference.text}) labels nothing: it has no value of its own, or earlier REFs have taken it"
            )
