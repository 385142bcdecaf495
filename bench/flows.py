"""Tracing account chains: transfers a second in the compiled walk, on made-up transfers of one asset."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, median, seconds
from calibar.kernels import flows as account
from calibar.kernels.compiled import kernel
from calibar.kernels.flows import FlowWalk
from calibar.kernels.holders import FIFO, HAIRCUT, label_of
from calibar.kernels.transfers import NOWHERE, Arrivals, Conversions, Flows, arrivals
from calibar.kernels.wide import U64, limbs, total

I64 = NDArray[np.int64]

TRANSFERS: Final = 10_000_000
HOLDERS: Final = 1_000_000
STOLEN: Final = 200_000
ROUNDS: Final = 3


@kernel
def _pay(sender: I64, recipient: I64, part: NDArray[np.float64], minted: int, amount: I64) -> None:
    """Each sender pays a part of what he has; each holder begins with what is minted for him."""
    has = np.zeros(recipient.max() + 1, np.int64)
    for flow in range(sender.size):
        if sender[flow] < 0:
            amount[flow] = minted
        else:
            amount[flow] = np.int64(has[sender[flow]] * part[flow])
            has[sender[flow]] -= amount[flow]
        has[recipient[flow]] += amount[flow]


def make_flows(transfers: int, holders: int, decimals: int = 6, seed: int = 1) -> Flows:
    """A mint of 10,000 for each holder, then payments between random holders of a part of what the payer has.

    With 6 decimals balances stay below 2^53, with 18 they are far beyond.
    """
    random = np.random.default_rng(seed)
    sender = random.integers(0, holders, transfers)
    recipient = random.integers(0, holders, transfers)
    sender[:holders], recipient[:holders] = -1, np.arange(holders)
    amount = np.zeros(transfers, np.int64)
    _pay(sender, recipient, random.random(transfers) ** 2, 10**10, amount)
    wide = np.zeros((transfers, 2), np.uint64)
    wide[:, 0] = amount
    if decimals > 6:
        factor = 10 ** (decimals - 6)
        high, low = np.divmod(amount, 1 << 20)
        # amount * factor by two parts, each below 2^64
        upper, lower = high.astype(np.uint64) * np.uint64(factor), low.astype(np.uint64) * np.uint64(factor)
        wide[:, 0] = lower + (upper << np.uint64(20))
        wide[:, 1] = (upper >> np.uint64(44)) + (wide[:, 0] < lower)
    return Flows(
        sender=sender,
        recipient=recipient,
        amount=wide,
        role=np.zeros(transfers, np.int64),
        step=np.arange(transfers),
        holder_rule=np.full(holders, -1),
        known=np.full(holders, transfers),
    )


def walk_all(flows: Flows, method: int, stolen: int) -> tuple[FlowWalk, Arrivals]:
    """Follow what the first mints brought."""
    none = np.empty(0, np.int64)
    sources = arrivals(np.arange(stolen), np.zeros(stolen, np.int64))
    rules: U64 = np.empty((0, 2), np.uint64)
    budgets = limbs([(1 << 128) - 1])
    return account.walk(flows, method, False, none, rules, sources, budgets, Conversions(none, none)), sources


def walked(flows: Flows, method: int, stolen: int = STOLEN) -> tuple[float, FlowWalk]:
    """Seconds and what was found; raises AssertionError where it does not re-add."""
    results: list[tuple[FlowWalk, Arrivals]] = []
    # A virtual machine may find memory only when it is first touched; that is not what is measured.
    np.ones(1 << 28)
    taken = seconds(lambda: results.append(walk_all(flows, method, stolen)))
    walk, sources = results[0]
    assert walk.damaged == NOWHERE
    assert total(sources.amount) == total(walk.amount[label_of(walk.code) >= 0]), "the walk does not re-add"
    return taken, walk


def run() -> list[Figure]:
    """Figures of the account walk."""
    figures = []
    for name, method, decimals, target in (
        ("haircut", HAIRCUT, 6, 1.0),
        ("haircut, 18 decimals", HAIRCUT, 18, None),
        ("fifo", FIFO, 6, 0.7),
    ):
        flows = make_flows(TRANSFERS, HOLDERS, decimals)
        speeds = []
        for _ in range(ROUNDS):
            taken, walk = walked(flows, method)
            speeds.append(flows.sender.size / taken / 1e6)
        steps, pieces, holders = walk.step_flow.size, walk.step_code.size, walk.holder.size
        print(f"  {name}: {steps:,} of {TRANSFERS:,} transfers traced, {pieces:,} pieces, {holders:,} holders reached")
        del walk
        figures.append(Figure(f"accounts: {name}", median(speeds), "million transfers/s", at_least=target))
    return figures
