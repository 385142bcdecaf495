"""Forward tracing on account chains, as slowly and plainly as definition 1 reads, to compare the product with.

What a holder has is a list of pieces in order of arrival, clean ones included, for every method.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from fractions import Fraction
from math import floor
from typing import NamedTuple

from account_histories import AtHolders, History, Hops, MinAmount, Policy, Source, Transfer

Piece = tuple[int | None, int | None, int]
"""Label (None: clean), the stop rule that holds it back (None: none), units."""
Pieces = list[Piece]
Shares = list[tuple[int | None, int]]
"""Label (None: clean) and units."""

INCOMPLETE, EXCHANGED = "incomplete history", "exchanged"


class Step(NamedTuple):
    """A transfer with labelled value; `drawn` names what stopped there too."""

    transfer: int
    hop: int
    kind: str
    rule: int | None
    drawn: Pieces
    arrived: Shares


@dataclass
class Trail:
    """What was found: units labelled by (source, transfer), steps, holders' pieces and hops, what stopped."""

    labelled: dict[tuple[int, int], int] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    holdings: dict[int, Pieces] = field(default_factory=dict)
    hops: dict[int, int | None] = field(default_factory=dict)
    stopped: Counter[tuple[int, int, int | str, int]] = field(default_factory=Counter)
    """Units by (transfer, holder, reason, label)."""
    incomplete: set[int] = field(default_factory=set)

    def totals(self, history: History) -> dict[tuple[int, int], Counter[str]]:
        """By label and asset; raises AssertionError where they do not re-add."""
        sums: dict[tuple[int, int], Counter[str]] = {}

        def add(label: int | None, asset: int, word: str, units: int) -> None:
            if label is not None:
                sums.setdefault((label, asset), Counter())[word] += units

        for (source, place), units in self.labelled.items():
            recipient = history.transfers[place].recipient
            assert recipient is not None
            add(source, history.assets[recipient], "in", units)
        for holder, pieces in self.holdings.items():
            for label, _, units in pieces:
                add(label, history.assets[holder], "held", units)
        for (_, holder, _, source), units in self.stopped.items():
            add(source, history.assets[holder], "stopped", units)
        for step in self.steps:
            transfer = history.transfers[step.transfer]
            ends = transfer.recipient if transfer.sender is None else transfer.sender
            assert ends is not None
            for label, rule, units in step.drawn:
                if rule is None and step.kind in ("fees", "burnt", "converted"):
                    add(label, history.assets[ends], step.kind, units)
            if step.kind == "received":
                for label, units in step.arrived:
                    add(label, history.assets[ends], "in", units)
        for key, words in sums.items():
            assert words["in"] == words.total() - words["in"], f"{key} does not re-add: {words}"
        return sums


def joined(pieces: Pieces) -> Pieces:
    """The same units with equal neighbours joined and empty pieces dropped."""
    result: Pieces = []
    for label, rule, units in pieces:
        if units and result and result[-1][:2] == (label, rule):
            result[-1] = (label, rule, result[-1][2] + units)
        elif units:
            result.append((label, rule, units))
    return result


def by_label(pieces: Pieces) -> Pieces:
    """Labelled units in source order; those that rules hold back follow the others of their label, in policy order."""
    sums: Counter[tuple[int, int]] = Counter()
    for label, rule, units in pieces:
        if label is not None:
            sums[label, -1 if rule is None else rule] += units
    return [(label, None if rule < 0 else rule, sums[label, rule]) for label, rule in sorted(sums) if sums[label, rule]]


def size(pieces: Pieces) -> int:
    """Units, clean ones included."""
    return sum(units for _, _, units in pieces)


def divide(amount: int, weights: list[int]) -> list[int]:
    """An amount in proportion: floors, then a unit each to the largest remainders, ties to the earlier."""
    ideal = [Fraction(amount * weight, sum(weights)) for weight in weights]
    given = [floor(share) for share in ideal]
    order = sorted(range(len(weights)), key=lambda k: (given[k] - ideal[k], k))
    for k in order[: amount - sum(given)]:
        given[k] += 1
    return given


def cut(method: str, pieces: Pieces, amount: int) -> tuple[Pieces, Pieces]:
    """What is drawn from a list, and what stays."""
    if method == "fifo":
        return _front(pieces, amount)
    if method == "lifo":
        drawn, rest = _front(pieces[::-1], amount)
        return drawn, rest[::-1]
    labels = by_label(pieces)
    clean = size(pieces) - size(labels)
    drawn, stays = [], []
    if method == "haircut":
        room = [amount, size(pieces) - amount]
        for label, rule, units in labels:
            parts = divide(units, room)
            room = [space - part for space, part in zip(room, parts, strict=True)]
            drawn.append((label, rule, parts[0]))
            stays.append((label, rule, parts[1]))
        assert min(room) >= 0
        own = room[0]
    else:
        own = min(amount, clean)
        need = amount - own
        for label, rule, units in labels:
            part = min(need, units)
            need -= part
            drawn.append((label, rule, part))
            stays.append((label, rule, units - part))
    return joined([*drawn, (None, None, own)]), joined([*stays, (None, None, clean - own)])


def _front(pieces: Pieces, amount: int) -> tuple[Pieces, Pieces]:
    drawn, rest = [], []
    for label, rule, units in pieces:
        part = min(units, amount)
        amount -= part
        drawn.append((label, rule, part))
        rest.append((label, rule, units - part))
    assert amount == 0
    return joined(drawn), joined(rest)


def _is_live(piece: Piece) -> bool:
    return piece[0] is not None and piece[1] is None


@dataclass
class _Given:
    units: int = 0
    labels: Counter[int] = field(default_factory=Counter)
    hops: list[int] = field(default_factory=list)


def trace(history: History, sources: list[Source], policy: Policy) -> Trail:
    """The trail of `sources` by definition 1."""
    tracing = _Tracing(history, sources, policy)
    for place, transfer in enumerate(history.transfers):
        if transfer.amount:
            tracing.transfer(place, transfer)
    trail = tracing.trail
    for holder, pieces in enumerate(tracing.lists):
        if by_label(pieces):
            trail.holdings[holder] = pieces if tracing.in_order else by_label(pieces)
            trail.hops[holder] = tracing.hops[holder] if any(map(_is_live, pieces)) else None
    trail.totals(history)
    return trail


class _Tracing:
    def __init__(self, history: History, sources: list[Source], policy: Policy) -> None:
        self.sources, self.policy = sources, policy
        self.in_order = policy.method in ("fifo", "lifo")
        self.left = [source.amount for source in sources]
        self.lists: list[Pieces] = [[] for _ in history.assets]
        self.hops: dict[int, int] = {}
        self.conversions: dict[int, _Given] = {}
        self.incomplete = history.incomplete
        self.trail = Trail()

    def stop(self, place: int, holder: int, reason: str, pieces: Pieces) -> None:
        for label, rule, units in pieces:
            if label is not None:
                self.trail.stopped[place, holder, reason if rule is None else rule, label] += units

    def draw(self, place: int, transfer: Transfer) -> Pieces:
        """What is drawn; what stops there is named by its rule, or clean."""
        sender, amount = transfer.sender, transfer.amount
        if sender is None:
            return [(None, None, amount)]
        pieces = self.lists[sender]
        if place >= self.incomplete.get(sender, place + 1):
            self.trail.incomplete.add(sender)
        if size(pieces) < amount:
            self.stop(place, sender, INCOMPLETE, pieces)
            self.lists[sender] = []
            self.trail.incomplete.add(sender)
            return [(None, None, amount)]
        drawn, self.lists[sender] = cut(self.policy.method, pieces, amount)
        self.stop(place, sender, "", [piece for piece in drawn if piece[1] is not None])
        live = [piece for piece in drawn if _is_live(piece)]
        if sender in self.trail.incomplete:
            self.stop(place, sender, INCOMPLETE, live)
        elif transfer.received is not None and transfer.given is None:
            self.stop(place, sender, EXCHANGED, live)
        else:
            return drawn
        return [(None, None, amount)]

    def transfer(self, place: int, transfer: Transfer) -> None:
        drawn = self.draw(place, transfer)
        labels = [piece for piece in drawn if _is_live(piece)]
        arrives: Pieces = [(None, None, transfer.amount)]
        hop, rule, kind = None, None, "carried"
        if transfer.given is not None:
            kind = "converted"
            conversion = self.conversions.setdefault(transfer.given, _Given())
            conversion.units += transfer.amount
        elif transfer.role == "fee" and self.policy.fees == "stop":
            kind = "fees"
        elif transfer.recipient is None:
            kind = "burnt"
        if labels:
            assert transfer.sender is not None
            hop = 1 + self.hops[transfer.sender]
            if kind == "converted":
                conversion.hops.append(hop)
                for label, _, units in labels:
                    assert label is not None
                    conversion.labels[label] += units
            elif kind == "carried":
                arrives = joined([(None if mark is not None else label, None, units) for label, mark, units in drawn])
        steps = [(kind, hop)] if labels else []
        if transfer.received is not None and transfer.recipient is not None:
            conversion = self.conversions.setdefault(transfer.received, _Given())
            if conversion.labels:
                arrives = self.converted(conversion, transfer.amount)
                if by_label(arrives):
                    hop = min(conversion.hops)
                    steps.append(("received", hop))
        if transfer.recipient is not None:
            rule = self.receive(place, transfer.recipient, arrives, hop)
        for kind_, hop_ in steps:
            comes = kind_ in ("carried", "received")
            assert hop_ is not None
            listed = arrives if self.in_order else by_label(arrives)
            out = drawn if self.in_order else by_label(drawn)
            self.trail.steps.append(
                Step(
                    place,
                    hop_,
                    kind_,
                    rule if comes else None,
                    [] if kind_ == "received" else out,
                    [(label, units) for label, _, units in listed] if comes else [],
                )
            )

    def converted(self, conversion: _Given, amount: int) -> Pieces:
        labels = sorted(conversion.labels)
        weights = [conversion.labels[label] for label in labels]
        parts = divide(amount, [*weights, conversion.units - sum(weights)])
        return joined([(label, None, part) for label, part in zip([*labels, None], parts, strict=True)])

    def receive(self, place: int, holder: int, arrives: Pieces, hop: int | None) -> int | None:
        """Add to a list what arrives and what sources label of it; the rule that holds it back."""
        pieces, is_source = arrives, False
        for label, source in enumerate(self.sources):
            if place in source.transfers:
                pieces, taken = self.fill(label, pieces)
                if taken:
                    self.trail.labelled[label, place] = taken
                    is_source = True
        rule = None
        labelled = size(by_label(pieces))
        if labelled:
            hop = 0 if is_source else hop
            assert hop is not None
            rule = None if is_source else self.rule(holder, hop, labelled)
            if rule is None:
                others = [self.hops[holder]] if any(map(_is_live, self.lists[holder])) else []
                self.hops[holder] = min([hop, *others])
        marked = [(label, None if label is None else rule, units) for label, _, units in pieces]
        self.lists[holder] = joined(self.lists[holder] + marked)
        return rule

    def fill(self, label: int, pieces: Pieces) -> tuple[Pieces, int]:
        filled: Pieces = []
        taken, limit = 0, self.left[label]
        for piece in pieces:
            if piece[0] is None:
                part = piece[2] if limit is None else min(piece[2], limit - taken)
                taken += part
                filled += [(label, None, part), (None, None, piece[2] - part)]
            else:
                filled.append(piece)
        if limit is not None:
            self.left[label] = limit - taken
        return joined(filled), taken

    def rule(self, holder: int, hop: int, units: int) -> int | None:
        for place, stop in enumerate(self.policy.stops):
            if (
                (isinstance(stop, MinAmount) and units < stop.units)
                or (isinstance(stop, Hops) and hop >= stop.hops)
                or (isinstance(stop, AtHolders) and holder in stop.holders)
            ):
                return place
        return None
