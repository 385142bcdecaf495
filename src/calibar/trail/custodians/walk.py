"""Walk the records once: what deposits brought and REFs label goes from account to account, and out by withdrawals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from calibar.chains.facts import integers, limbs
from calibar.errors import DamageError
from calibar.kernels import flows
from calibar.kernels.flows import FlowWalk
from calibar.kernels.holders import label_of
from calibar.kernels.transfers import NOWHERE, Conversions, Flows, arrivals
from calibar.trail.custodians.books import Books
from calibar.trail.custodians.parts import Segments
from calibar.trail.policy import ACCOUNT_METHODS

ALL = (1 << 126) - 1


class Labelled(NamedTuple):
    """Units of one label in a step or at rest."""

    label: int
    units: int


@dataclass(frozen=True, slots=True)
class RecordStep:
    """A flow that moved labelled value."""

    line: int
    kind: int
    drawn: tuple[Labelled, ...]
    came: tuple[Labelled, ...]


@dataclass(frozen=True, slots=True)
class RecordWalk:
    """What was found."""

    steps: list[RecordStep]
    rests: dict[int, Segments]
    """By holder: what lies there, in order; clean parts too where the method has an order."""
    stopped: list[tuple[int, int, int]]
    """Holder, label, units that were drawn where the rows do not say from what: the history is incomplete."""
    taken: list[int]
    """Units that each row of `labelled` labelled."""


def walk_books(
    books: Books, method: str, arrived: Mapping[int, Segments], labelled: Sequence[tuple[int, int, int]], labels: int
) -> RecordWalk:
    """Follow what arrives with some lines (`arrived`), and what REFs label of others (line, label, units)."""
    rows: list[tuple[int, int, int, int]] = []
    for line, segments in arrived.items():
        clean = 0
        for label, units in segments:
            if label is None:
                clean += units
            else:
                rows.append((line, label, units, clean))
    given = [(line, label, units, 0) for line, label, units in labelled]
    every = [*rows, *given]
    order = sorted(range(len(every)), key=lambda n: (every[n][0], n))
    births = arrivals(
        np.array([every[n][0] for n in order], np.int64),
        np.array([every[n][1] for n in order], np.int64),
        limbs([every[n][2] for n in order])[:, :2].copy(),
        limbs([every[n][3] for n in order])[:, :2].copy(),
    )
    none = np.empty(0, np.int64)
    found = flows.walk(
        _flows(books), ACCOUNT_METHODS.index(method), False, none, np.empty((0, 2), np.uint64), births,
        limbs([ALL] * labels)[:, :2].copy(), _conversions(books),
    )  # fmt: skip
    if found.damaged != NOWHERE:
        row = books.lines[found.damaged].rows[0]
        raise DamageError(f"{row.movement.place}: an amount is too large to be followed; correct the document")
    labelled_units = integers(np.pad(births.amount, ((0, 0), (0, 2))))
    taken = dict(zip(order, labelled_units, strict=True))
    return _read(found, [taken[len(rows) + n] for n in range(len(given))])


def _flows(books: Books) -> Flows:
    lines, holders = books.lines, len(books.holders)
    return Flows(
        sender=np.array([line.sender for line in lines], np.int64),
        recipient=np.array([line.recipient for line in lines], np.int64),
        amount=limbs([line.units for line in lines])[:, :2].copy(),
        role=np.array([line.role for line in lines], np.int64),
        step=np.arange(len(lines)),
        holder_rule=np.full(holders, -1, np.int64),
        known=np.full(holders, len(lines)),
    )


def _conversions(books: Books) -> Conversions:
    if not books.trades:
        return Conversions(np.empty(0, np.int64), np.empty(0, np.int64))
    return Conversions(
        np.array([line.given for line in books.lines], np.int64),
        np.array([line.received for line in books.lines], np.int64),
    )


def _read(walk: FlowWalk, taken: list[int]) -> RecordWalk:
    labels, amounts = label_of(walk.step_code).tolist(), integers(np.pad(walk.step_amount, ((0, 0), (0, 2))))

    def sums(first: int, end: int) -> tuple[Labelled, ...]:
        found: dict[int, int] = {}
        for s in range(first, end):
            if labels[s] >= 0:
                found[labels[s]] = found.get(labels[s], 0) + amounts[s]
        return tuple(Labelled(*item) for item in sorted(found.items()))

    steps = []
    for i, line in enumerate(walk.step_flow.tolist()):
        first, came, end = (int(x) for x in (walk.step_drawn[i], walk.step_arrived[i], walk.step_drawn[i + 1]))
        drawn = sums(first, came)
        steps.append(RecordStep(line, int(walk.step_kind[i]), drawn, sums(came, end) if came < end else drawn))
    held = label_of(walk.code).tolist()
    units = integers(np.pad(walk.amount, ((0, 0), (0, 2))))
    rests = {
        holder: [
            (held[s] if held[s] >= 0 else None, units[s])
            for s in range(int(walk.first_segment[i]), int(walk.first_segment[i + 1]))
        ]
        for i, holder in enumerate(walk.holder.tolist())
    }
    stops = zip(
        walk.stop_holder.tolist(), walk.stop_label.tolist(), integers(np.pad(walk.stop_amount, ((0, 0), (0, 2)))),
        strict=True,
    )  # fmt: skip
    return RecordWalk(steps, rests, list(stops), taken)
