"""Walk the transfers of an account chain backwards: the exact inverse of `fifo` and `lifo`.

Each unit drawn came from the arrival that put it into the list, so a range of a list, or of a transfer's units, maps to
ranges of earlier transfers. Only the lists of the holders reached are drawn up. Meaning: definition 1 in
docs/tracing.md, "Backward".
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from enum import StrEnum
from heapq import heappop, heappush
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.flows import contradiction
from calibar.kernels.holders import FIFO, LIFO
from calibar.kernels.transfers import FEE, NOWHERE, Conversions, Flows, arrivals
from calibar.kernels.wide import integers

I64 = NDArray[np.int64]

_NONE: Final = np.empty(0, np.int64)


class End(StrEnum):
    """What becomes of units that were traced back to a transfer; the first that applies, in this order."""

    EXCHANGED = "exchanged"
    """They were given to or received from a conversion, which carries shares, not units."""
    NOBODY = "nobody"
    """The transfer has no sender."""
    FEES = "fees"
    """It is a fee, and fees are not followed."""
    RULE = "rule"
    """Its recipient has a stop rule, and it is not where the question began."""
    HOPS = "hops"
    INCOMPLETE = "incomplete history"
    """Its sender's list does not say what was drawn."""
    ONWARD = "onward"
    """They were drawn from transfers that are listed too."""


class Range(NamedTuple):
    """Units low:low + amount of a transfer are units at:at + amount of what was asked about, last first if `turned`."""

    low: int
    amount: int
    at: int
    turned: bool


class Reached(NamedTuple):
    """A transfer that brought units asked about; its hop is 0 where the question began, else 1 + the least of those
    that drew from it. A transfer of which both is true has two rows."""

    flow: int
    hop: int
    end: End
    ranges: list[Range]


class _Piece(NamedTuple):
    flow: int
    low: int
    amount: int


def trace_back(
    flows: Flows,
    method: int,
    follow_fees: bool,
    conversions: Conversions,
    *,
    holder: int | None = None,
    flow: int | None = None,
    first: int = 0,
    amount: int | None = None,
    hop_limit: int | None = None,
) -> list[Reached]:
    """Where units came from, latest transfer first: units first:first + amount (None: all the rest) of what a holder
    has after all transfers, from the front of its list, or of one transfer.

    Raises ValueError for transfers that contradict each other, another method than `fifo` or `lifo`, or a range that is
    not there.
    """
    if method not in (FIFO, LIFO):
        raise ValueError("only fifo and lifo can be traced backwards")
    if (holder is None) == (flow is None):
        raise ValueError("ask about a holder or a transfer")
    nothing = arrivals(_NONE, _NONE)
    rules = int(flows.holder_rule.max(initial=-1)) + 1
    if (damaged := contradiction(flows, rules, nothing, 0, conversions)) != NOWHERE:
        raise ValueError(f"transfer {damaged} is none")
    lists = _Lists(flows, method == LIFO)
    if holder is not None:
        if not 0 <= holder < flows.known.size:
            raise ValueError(f"there is no holder {holder}")
        asked = lists.of(holder).at_end
    else:
        if flow is None or not 0 <= flow < flows.sender.size:
            raise ValueError(f"there is no transfer {flow}")
        asked = [_Piece(flow, 0, integers(flows.amount[flow : flow + 1])[0])]
    held = sum(piece.amount for piece in asked)
    amount = held - first if amount is None else amount
    if first < 0 or amount < 0 or first + amount > held:
        raise ValueError(f"there are {held} units, not units {first} to {first + amount}")
    return _walk(lists, follow_fees, conversions, hop_limit, _drawn(asked, [Range(first, amount, 0, False)], False))


def _walk(
    lists: _Lists,
    follow_fees: bool,
    conversions: Conversions,
    hop_limit: int | None,
    asked: Iterable[tuple[int, Range]],
) -> list[Reached]:
    flows = lists.flows
    waiting: list[tuple[int, bool]] = []
    ranges: dict[tuple[int, bool], list[Range]] = {}
    hops: dict[tuple[int, bool], int] = {}

    def demand(found: Iterable[tuple[int, Range]], hop: int) -> None:
        for flow, units in found:
            turn = -flow, hop > 0
            if turn not in ranges:
                heappush(waiting, turn)
                ranges[turn], hops[turn] = [], hop
            ranges[turn].append(units)
            hops[turn] = min(hops[turn], hop)

    def end(flow: int, hop: int) -> End:
        sender = int(flows.sender[flow])
        if any(ids.size and ids[flow] >= 0 for ids in conversions):
            return End.EXCHANGED
        if sender < 0:
            return End.NOBODY
        if flows.role[flow] == FEE and not follow_fees:
            return End.FEES
        if hop > 0 and flows.holder_rule[flows.recipient[flow]] >= 0:
            return End.RULE
        if hop_limit is not None and hop >= hop_limit:
            return End.HOPS
        return End.ONWARD if flow in lists.of(sender).drawn else End.INCOMPLETE

    demand(asked, 0)
    reached = []
    while waiting:
        turn = heappop(waiting)
        flow, units, hop = -turn[0], _joined(ranges.pop(turn)), hops.pop(turn)
        why = end(flow, hop)
        reached.append(Reached(flow, hop, why, units))
        if why is End.ONWARD:
            demand(_drawn(lists.of(int(flows.sender[flow])).drawn[flow], units, lists.lifo), hop + 1)
    return reached


def _drawn(pieces: list[_Piece], units: list[Range], turned: bool) -> Iterable[tuple[int, Range]]:
    """Which units of earlier transfers the units of a line of pieces are; each piece lies in it last first if
    `turned`. The units are in order."""
    begin = place = 0
    for piece in pieces:
        end = begin + piece.amount
        while place < len(units) and units[place].low < end:
            low, amount, at, back = units[place]
            start, stop = max(begin, low), min(end, low + amount)
            if start < stop:
                offset = end - stop if turned else start - begin
                to = at + (low + amount - stop if back else start - low)
                yield piece.flow, Range(piece.low + offset, stop - start, to, back != turned)
            if low + amount > end:
                break
            place += 1
        begin = end


def _joined(ranges: list[Range]) -> list[Range]:
    """In order, with those joined that follow each other on both sides."""
    result: list[Range] = []
    for units in sorted(ranges):
        if result:
            low, amount, at, turned = result[-1]
            follows = at - units.amount == units.at if turned else at + amount == units.at
            if low + amount == units.low and turned == units.turned and follows:
                result[-1] = Range(low, amount + units.amount, units.at if turned else at, turned)
                continue
        result.append(units)
    return result


class _List(NamedTuple):
    """A holder's list: the pieces of each transfer that it sent, while they are known, and of what it has at the
    end."""

    drawn: dict[int, list[_Piece]]
    at_end: list[_Piece]


class _Lists:
    """The lists of the holders asked for, as arrivals' units."""

    def __init__(self, flows: Flows, lifo: bool) -> None:
        self.flows, self.lifo = flows, lifo
        self.known: dict[int, _List] = {}
        self.sent, self.received = _by_holder(flows.sender), _by_holder(flows.recipient)

    def of(self, holder: int) -> _List:
        """The list of a holder, drawn up when first asked for."""
        if holder not in self.known:
            self.known[holder] = self._drawn_up(holder)
        return self.known[holder]

    def _drawn_up(self, holder: int) -> _List:
        sent, received = _rows(self.sent, self.flows.sender, holder), _rows(self.received, self.flows.recipient, holder)
        # A transfer to oneself is drawn before it arrives.
        events = np.sort(np.concatenate([2 * sent, 2 * received + 1]))
        amounts = integers(self.flows.amount[events >> 1])
        pieces: deque[_Piece] = deque()
        drawn: dict[int, list[_Piece]] = {}
        complete, has, known = True, 0, int(self.flows.known[holder])
        for event, amount in zip(events.tolist(), amounts, strict=True):
            flow, arrives = event >> 1, event & 1
            if amount == 0:
                continue
            if arrives:
                pieces.append(_Piece(flow, 0, amount))
                has += amount
            elif amount > has:
                pieces.clear()
                has, complete = 0, False
            else:
                parts = self._draw(pieces, amount)
                has -= amount
                if complete and flow < known:
                    drawn[flow] = parts
        return _List(drawn, list(pieces))

    def _draw(self, pieces: deque[_Piece], amount: int) -> list[_Piece]:
        parts = []
        while amount:
            flow, low, units = pieces.pop() if self.lifo else pieces.popleft()
            part = min(units, amount)
            amount -= part
            if self.lifo:
                parts.append(_Piece(flow, low + units - part, part))
                if part < units:
                    pieces.append(_Piece(flow, low, units - part))
            else:
                parts.append(_Piece(flow, low, part))
                if part < units:
                    pieces.appendleft(_Piece(flow, low + part, units - part))
        return parts


def _by_holder(column: I64) -> I64:
    return np.argsort(column, kind="stable")


def _rows(order: I64, column: I64, holder: int) -> I64:
    """The transfers in which a holder stands in a column, in chain order."""
    first, end = np.searchsorted(column, [holder, holder + 1], sorter=order)
    return order[first:end]
