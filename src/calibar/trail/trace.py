"""Trace: from REFs and a policy to a trail whose sums re-add."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from calibar.collection import uncollected
from calibar.errors import BalanceError, DamageError, UsageError
from calibar.kernels import taint, turns
from calibar.kernels.stops import Stops
from calibar.kernels.taint import Walk
from calibar.kernels.turns import Graph, Sources
from calibar.ledger.snapshot import Snapshot
from calibar.trail.document import Trail, build
from calibar.trail.policy import METHODS, Policy
from calibar.trail.references import Reference, resolve
from calibar.trail.stops import stops_on_coins

ALL = int(np.iinfo(np.int64).max)


@uncollected()
def trace(references: Sequence[str], snapshot: Snapshot, policy: Policy) -> Trail:
    """Follow the REFs through the ledger; a function of its arguments and nothing else.

    Raises UsageError for a wrong question (a REF that labels nothing included), BalanceError where sums do not re-add.
    """
    if not references:
        raise UsageError("nothing to trace: name at least one REF")
    resolved, sources, walked, as_of = _walked(references, snapshot, policy)
    _check_labelled(sources, resolved)
    trail = build(snapshot, policy, as_of, resolved, sources, walked)
    check_balance(trail)
    return trail


def resting(references: Sequence[str], snapshot: Snapshot, policy: Policy) -> tuple[list[int], int | None]:
    """Coins that labelled value rests in by what is known, and the height up to which that was looked at.

    Those at whose address's label the trail stops are left out: what becomes of a custodian's coins is no matter of it.
    """
    _, _, walked, as_of = _walked(references, snapshot, policy)
    labels = [row for row, (name, _) in enumerate(policy.rules) if name.startswith("label:")]
    return walked.coin[(walked.fate == turns.HELD) & ~np.isin(walked.rule, labels)].tolist(), as_of


def _walked(
    references: Sequence[str], snapshot: Snapshot, policy: Policy
) -> tuple[list[Reference], Sources, Walk, int | None]:
    if snapshot.is_case and policy.fees == "follow":
        raise UsageError(
            "fees can be followed where whole blocks are; a case has single transactions: leave --fees out"
        )
    blocks, as_of = snapshot.as_of(policy.as_of)
    graph = graph_of(snapshot, policy)
    coin_limit = int(graph.first_coin[int(graph.block_first_tx[blocks])])
    resolved = [resolve(text, snapshot, coin_limit) for text in references]
    sources = source_rows(graph, [(ref.coins, ref.amount) for ref in resolved], follow=policy.fees == "follow")
    stops = stops_on_coins(snapshot, policy)
    walked = walk(graph, policy, stops, sources, [ref.amount for ref in resolved], snapshot.input_limit(blocks))
    if walked.damaged != turns.NOWHERE:
        raise DamageError(
            f"{snapshot.folder} contradicts itself about transaction {snapshot.txid(walked.damaged)}; "
            "run `calibar ledger check` on it"
        )
    return resolved, sources, walked, as_of


def frozen(array: NDArray[np.int64]) -> NDArray[np.int64]:
    """A read-only view: kernels are compiled for these alone."""
    view = array.view()
    view.flags.writeable = False
    return view


def graph_of(snapshot: Snapshot, policy: Policy) -> Graph:
    """A ledger's columns as the walk needs them."""
    subsidy = np.empty(0, np.int64)
    if policy.fees == "follow":
        count, base = snapshot.counts["blocks"], snapshot.manifest.base
        known = snapshot.manifest.heights_known
        amounts = (snapshot.network.subsidy(height) if known else -1 for height in range(base, base + count))
        subsidy = np.fromiter(amounts, np.int64, count)
    return Graph(
        block_first_tx=snapshot["blocks.first_tx"],
        first_coin=snapshot["transactions.first_coin"],
        first_input=snapshot["transactions.first_input"],
        fee=snapshot["transactions.fee"],
        value=snapshot["coins.value"],
        spent_by=snapshot["coins.spent_by"],
        input_coin=snapshot["inputs.coin"],
        subsidy=frozen(subsidy),
    )


def source_rows(graph: Graph, references: Sequence[tuple[NDArray[np.int64], int | None]], *, follow: bool) -> Sources:
    """One row a coin and REF, in the order in which coins are born: chain order, then declared order.

    Where fees are followed a coinbase is born after its block's other transactions.
    """
    coin = np.concatenate([coins for coins, _ in references])
    label = np.repeat(np.arange(len(references)), [coins.size for coins, _ in references])
    maker = np.searchsorted(graph.first_coin, coin, "right") - 1
    after = maker + 1
    coinbase = np.zeros(coin.size, np.int64)
    if follow:
        block = np.searchsorted(graph.block_first_tx, maker, "right") - 1
        coinbase = (graph.block_first_tx[block] == maker).astype(np.int64)
        after = np.where(coinbase == 1, graph.block_first_tx[block + 1], after)
    order = np.lexsort((label, coin, coinbase, after))
    nothing = np.zeros(coin.size, np.int64)
    columns = (coin, label, after, coinbase, nothing, np.full(coin.size, ALL), nothing, label, np.ones(coin.size))
    return Sources(*(column[order].astype(np.int64) for column in columns))


def walk(
    graph: Graph, policy: Policy, stops: Stops, sources: Sources, amounts: Sequence[int | None], input_limit: int
) -> Walk:
    """Run the kernel; `sources.amount` is filled in."""
    budgets = np.array([ALL if amount is None else min(amount, ALL) for amount in amounts], np.int64)
    follow = policy.fees == "follow"
    return taint.walk(graph, METHODS.index(policy.method), follow, input_limit, stops, sources, budgets)


def _check_labelled(sources: Sources, references: Sequence[Reference]) -> None:
    for label, reference in enumerate(references):
        if not sources.amount[sources.label == label].any():
            raise UsageError(
                f"S{label} ({reference.text}) labels nothing: it has no value of its own, or earlier REFs have taken it"
            )


def check_balance(trail: Trail) -> None:
    """Raise BalanceError unless every label and every step re-adds."""
    for label, sums in trail.document["totals"].items():
        if sums["in"] != sums["held"] + sums["stopped"] + sums["fees"] + sums["burnt"]:
            raise BalanceError(f"{label} does not balance: {sums}; this is a defect, please report it")
    for step in trail.document["steps"]:
        into, out = _sums(step["inputs"]), _sums(step["outputs"])
        for leak, traced in (("fee", "fee_traced"), ("burnt", "burnt_traced")):
            out[""] = out.get("", 0) + step.get(leak, 0)
            for label, amount in step.get(traced, {}).items():
                out[label] = out.get(label, 0) + amount
        if into != out:
            raise BalanceError(f"{step['txid']} does not balance: in {into}, out {out}; this is a defect")


def _sums(entries: Sequence[dict[str, object]]) -> dict[str, int]:
    sums: dict[str, int] = {"": 0}
    for entry in entries:
        sums[""] += int(str(entry["value"]))
        traced = entry["traced"]
        assert isinstance(traced, dict)  # noqa: S101
        for label, amount in traced.items():
            sums[label] = sums.get(label, 0) + amount
    return sums
