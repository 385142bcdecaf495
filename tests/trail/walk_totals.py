"""What an account walk's labels came to, by label and asset: exact sums that must re-add."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.flows import FlowWalk
from calibar.kernels.holders import label_of, rule_of
from calibar.kernels.transfers import BURNT, CONVERTED, FEES, RECEIVED, Arrivals, Flows
from calibar.kernels.wide import U64

I64 = NDArray[np.int64]


@dataclass(slots=True)
class Total:
    """Units of one label in one asset."""

    labelled: int = 0
    """By the sources."""
    converted_in: int = 0
    held: int = 0
    stopped: int = 0
    fees: int = 0
    burnt: int = 0
    converted_out: int = 0

    @property
    def balances(self) -> bool:
        """Whether what came in is what rests, stopped or left."""
        left = self.held + self.stopped + self.fees + self.burnt + self.converted_out
        return self.labelled + self.converted_in == left


def totals(walk: FlowWalk, flows: Flows, sources: Arrivals, assets: I64) -> dict[tuple[int, int], Total]:
    """By (label, asset), in order; `assets` has the asset of each holder. The walk is not damaged."""
    found: dict[tuple[int, int], Total] = {}

    def add(word: str, labels: I64, holders: I64, amounts: U64) -> None:
        for key, units in _sums(labels, assets[holders], amounts).items():
            setattr(found.setdefault(key, Total()), word, units)

    add("labelled", sources.label, flows.recipient[sources.flow], sources.amount)
    labels = label_of(walk.code)
    traced = labels >= 0
    add("held", labels[traced], np.repeat(walk.holder, np.diff(walk.first_segment))[traced], walk.amount[traced])
    add("stopped", walk.stop_label, walk.stop_holder, walk.stop_amount)
    step = np.repeat(np.arange(walk.step_flow.size), np.diff(walk.step_drawn))
    labels, kind, flow = label_of(walk.step_code), walk.step_kind[step], walk.step_flow[step]
    traced = (labels >= 0) & (rule_of(walk.step_code) < 0)
    for word, of_kind in (("fees", FEES), ("burnt", BURNT), ("converted_out", CONVERTED), ("converted_in", RECEIVED)):
        rows = traced & (kind == of_kind)
        holders = (flows.recipient if of_kind == RECEIVED else flows.sender)[flow[rows]]
        add(word, labels[rows], holders, walk.step_amount[rows])
    return dict(sorted(found.items()))


def _sums(labels: I64, assets: I64, amounts: U64) -> dict[tuple[int, int], int]:
    """Sums of what is not zero, for fewer than 2^32 rows."""
    rows = amounts.any(axis=1)
    if not rows.any():
        return {}
    pairs = np.stack([labels[rows], assets[rows]], axis=1)
    keys, place = np.unique(pairs, axis=0, return_inverse=True)
    sums = [0] * len(keys)
    for part in range(4):
        limb = amounts[rows, part // 2]
        half = limb >> np.uint64(32) if part % 2 else limb & np.uint64(0xFFFFFFFF)
        parts = np.zeros(len(keys), np.uint64)
        np.add.at(parts, place.reshape(-1), half)
        sums = [units + (more << 32 * part) for units, more in zip(sums, parts.tolist(), strict=True)]
    return {(label, asset): units for (label, asset), units in zip(keys.tolist(), sums, strict=True)}
