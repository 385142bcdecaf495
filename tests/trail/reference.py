"""Forward tracing on coins, as slowly and plainly as definition 1 reads, to compare the product with.

Methods `fifo` and `haircut`. What a coin holds is a list of segments (label or None for clean, units)
from its front to its back; `haircut` uses the same list without minding its order.
"""

from __future__ import annotations

from fractions import Fraction
from math import floor
from typing import TypedDict

from graphs import Graph, Policy, Source

Segments = list[tuple[int | None, int]]
Traced = dict[int, int]
"""Units of each label, without zeros."""

STATES = ("held", "stopped", "fees", "burnt")


class WrongQuestion(Exception):  # noqa: N818 — the definition's own word
    """A source labels nothing."""


class SourceRow(TypedDict):
    """A coin of a source, and the units of it that were labelled."""

    label: int
    coin: int
    amount: int


class Step(TypedDict):
    """A transaction that value was traced through; each side re-adds, in all and label by label.

    An input without a coin is the subsidy (first, even if 0) or a transaction's fee (never 0). What an output
    is labelled at birth as a source is not in its entry here.
    """

    tx: int
    hop: int
    inputs: list[tuple[int | None, int, Traced]]
    outputs: list[tuple[int, int, Traced]]
    fee: int
    fee_traced: Traced
    burnt: int
    burnt_traced: Traced


class Holding(TypedDict):
    """A coin where traced value rests: state `held` or `stopped`, and why."""

    coin: int
    traced: Traced
    state: str
    reason: str


class Trail(TypedDict):
    """Sources in declared order, steps in chain order, holdings in coin order, totals and (fifo) segments."""

    sources: list[SourceRow]
    steps: list[Step]
    holdings: list[Holding]
    totals: dict[int, dict[str, int]]
    segments: dict[int, Segments]


def trace(graph: Graph, sources: list[Source], policy: Policy) -> Trail:
    """The trail of `sources` by definition 1.

    Raises:
        WrongQuestion: a source labels nothing.
    """
    return _Tracing(graph, sources, policy).trail()


def merged(segments: Segments) -> Segments:
    """The same units with neighbours of one label joined and empty segments dropped."""
    joined: Segments = []
    for label, amount in segments:
        if amount == 0:
            continue
        if joined and joined[-1][0] == label:
            joined[-1] = (label, joined[-1][1] + amount)
        else:
            joined.append((label, amount))
    return joined


def traced(segments: Segments) -> Traced:
    """Units of each label."""
    labels = sorted({label for label, amount in segments if label is not None and amount > 0})
    return {label: sum(amount for other, amount in segments if other == label) for label in labels}


def size(segments: Segments) -> int:
    """Units, clean ones included."""
    return sum(amount for _, amount in segments)


def fill(segments: Segments, label: int, amount: int, skip: int = 0) -> Segments:
    """Label up to `amount` clean units after the first `skip`, from the front; what carries a label keeps it."""
    filled: Segments = []
    for held, units in segments:
        if held is None:
            before = min(units, skip)
            skip -= before
            taken = min(units - before, amount)
            amount -= taken
            filled += [(None, before), (label, taken), (None, units - before - taken)]
        else:
            filled.append((held, units))
    return merged(filled)


def fifo(line: Segments, receivers: list[int]) -> list[Segments]:
    """Each receiver cuts its value off the front of the line."""
    assert size(line) == sum(receivers)
    rest = merged(line)
    parts = []
    for value in receivers:
        part: Segments = []
        missing = value
        while missing > 0:
            label, amount = rest.pop(0)
            if amount > missing:
                rest.insert(0, (label, amount - missing))
                amount = missing
            part.append((label, amount))
            missing -= amount
        parts.append(merged(part))
    assert rest == []
    return parts


def haircut(line: Segments, receivers: list[int]) -> list[Segments]:
    """Label by label, each receiver's share in proportion to what room it has left, by largest remainder."""
    assert size(line) == sum(receivers)
    room = list(receivers)
    parts: list[Segments] = [[] for _ in receivers]
    for label, amount in traced(line).items():
        ideal = [Fraction(amount * space, sum(room)) for space in room]
        given = [floor(share) for share in ideal]
        left_over = amount - sum(given)
        remainders = [share - whole for share, whole in zip(ideal, given, strict=True)]
        largest_first = sorted(range(len(room)), key=lambda r: (-remainders[r], r))
        for r in largest_first[:left_over]:
            given[r] += 1
        for r, units in enumerate(given):
            parts[r].append((label, units))
            room[r] -= units
            assert room[r] >= 0
    return [merged([*part, (None, clean)]) for part, clean in zip(parts, room, strict=True)]


def coinjoin(payers: set[int], outputs: list[tuple[int, int]]) -> bool:
    """The shape of a CoinJoin, by who pays and by the (value, payee) of the outputs."""
    paid = [(value, owner) for value, owner in outputs if value > 0]
    alike = {value: len({owner for other, owner in paid if other == value}) for value, _ in paid}
    k, n = max(alike.values(), default=0), len(paid)
    one_round = k >= 3 and len(payers) >= k and (n in (k, k + 1) or n in (2 * k - 1, 2 * k, 2 * k + 1))
    sharing = sum(count for count in alike.values() if count > 1)
    return one_round or (len(payers) >= 10 and n >= 10 and sharing * 2 >= n)


class _Tracing:
    def __init__(self, graph: Graph, sources: list[Source], policy: Policy) -> None:
        self.graph = graph
        self.policy = policy
        self.as_of = len(graph.blocks) - 1 if policy.as_of is None else policy.as_of
        self.sources = [sorted({coin for coin in source.coins if self.exists(coin)}) for source in sources]
        self.budgets = [source.amount for source in sources]
        self.skips = [source.skip for source in sources]
        self.labelled: dict[tuple[int, int], int] = {}
        self.content: dict[int, Segments] = {}
        self.hops: dict[int, int] = {}
        self.receive_stops: dict[int, str] = {}
        self.stopped: dict[int, str] = {}
        self.steps: list[Step] = []
        self.fees_left: list[Segments] = []
        self.burnt: list[Segments] = []

    def exists(self, coin: int) -> bool:
        in_graph = 0 <= coin < len(self.graph.coins)
        return in_graph and self.graph.heights[self.graph.coins[coin][0]] <= self.as_of

    def trail(self) -> Trail:
        first = 0
        for block in self.graph.blocks[: self.as_of + 1]:
            self.block(first, len(block.txs), block.subsidy)
            first += len(block.txs)
        rows: list[SourceRow] = [
            {"label": label, "coin": coin, "amount": self.labelled[label, coin]}
            for label, coins in enumerate(self.sources)
            for coin in coins
        ]
        for label in range(len(self.sources)):
            if sum(row["amount"] for row in rows if row["label"] == label) == 0:
                raise WrongQuestion(f"S{label} labels nothing")
        return {
            "sources": rows,
            "steps": sorted(self.steps, key=lambda step: step["tx"]),
            "holdings": self.holdings(),
            "totals": self.totals(rows),
            "segments": self.segments(),
        }

    def block(self, coinbase: int, tx_count: int, subsidy: int) -> None:
        others = range(coinbase + 1, coinbase + tx_count)
        if self.policy.fees == "stop":
            self.receive(coinbase, self.clean(coinbase), 0)
            for tx in others:
                self.fees_left.append(self.transaction(tx))
            return
        # The fees must be known first; the coinbase's coins cannot be spent in this block.
        fees = {tx: self.transaction(tx) for tx in others}
        payers = [tx for tx in others if traced(fees[tx])]
        all_known = all(self.graph.fee(tx) is not None for tx in others)
        if payers and all_known:
            self.coinbase(coinbase, subsidy, fees)
        else:
            self.fees_left += fees.values()
            self.receive(coinbase, self.clean(coinbase), 0)

    def transaction(self, tx: int) -> Segments:
        """Cut a transaction; what its fee is made of."""
        refs = self.graph.txs[tx].inputs
        coins = [self.graph.coin(ref) for ref in refs if ref is not None]
        entering: dict[int, Segments] = {}
        for coin in coins:
            entering[coin] = self.content[coin]
            if coin in self.receive_stops:
                self.stopped[coin] = self.receive_stops[coin]
                entering[coin] = [(None, self.graph.value(coin))]
        carriers = [coin for coin in coins if traced(entering[coin])]
        fee = self.graph.fee(tx)
        if fee is None:
            for coin in carriers:
                self.stopped[coin] = "unknown input"
            self.receive(tx, self.clean(tx), 0)
            return []
        if not carriers:
            self.receive(tx, self.clean(tx), 0)
            return [(None, fee)]
        if (why := self.refused(tx, coins)) is not None:
            for coin in carriers:
                self.stopped[coin] = why
            self.receive(tx, self.clean(tx), 0)
            return [(None, fee)]
        hop = 1 + min(self.hops[coin] for coin in carriers)
        *parts, fee_part = self.cut([entering[coin] for coin in coins], [*self.graph.txs[tx].outputs, fee])
        self.steps.append(
            {
                "tx": tx,
                "hop": hop,
                "inputs": [(coin, self.graph.value(coin), traced(entering[coin])) for coin in coins],
                "outputs": self.outputs(tx, parts),
                "fee": fee,
                "fee_traced": traced(fee_part),
                "burnt": 0,
                "burnt_traced": {},
            }
        )
        self.receive(tx, parts, hop)
        return fee_part

    def coinbase(self, tx: int, subsidy: int, fees: dict[int, Segments]) -> None:
        paid = [fee for fee in fees.values() if size(fee) > 0]
        claimed = self.graph.txs[tx].outputs
        burnt = subsidy + sum(size(fee) for fee in paid) - sum(claimed)
        *parts, burnt_part = self.cut([[(None, subsidy)], *paid], [*claimed, burnt])
        hop = 1 + min(step["hop"] for step in self.steps if step["tx"] in fees and step["fee_traced"])
        self.steps.append(
            {
                "tx": tx,
                "hop": hop,
                "inputs": [(None, subsidy, {}), *((None, size(fee), traced(fee)) for fee in paid)],
                "outputs": self.outputs(tx, parts),
                "fee": 0,
                "fee_traced": {},
                "burnt": burnt,
                "burnt_traced": traced(burnt_part),
            }
        )
        self.burnt.append(burnt_part)
        self.receive(tx, parts, hop)

    def cut(self, inputs: list[Segments], receivers: list[int]) -> list[Segments]:
        line = [segment for segments in inputs for segment in segments]
        return fifo(line, receivers) if self.policy.method == "fifo" else haircut(line, receivers)

    def clean(self, tx: int) -> list[Segments]:
        return [[(None, value)] for value in self.graph.txs[tx].outputs]

    def outputs(self, tx: int, parts: list[Segments]) -> list[tuple[int, int, Traced]]:
        coins = [self.graph.coin((tx, n)) for n in range(len(parts))]
        return [(coin, self.graph.value(coin), traced(part)) for coin, part in zip(coins, parts, strict=True)]

    def receive(self, tx: int, parts: list[Segments], hop: int) -> None:
        """Give birth to a transaction's coins: first what was cut for them, then the sources."""
        for n, part in enumerate(parts):
            coin = self.graph.coin((tx, n))
            held = merged(part)
            is_source = False
            for label, coins in enumerate(self.sources):
                if coin in coins:
                    skip = self.skips[label] if self.policy.method == "fifo" else 0
                    clean = sum(units for other, units in held if other is None)
                    amount = self.label(label, coin, max(0, clean - skip))
                    held = fill(held, label, amount, skip)
                    is_source = is_source or amount > 0
            self.content[coin] = held
            self.hops[coin] = 0 if is_source else hop
            if traced(held) and not is_source:
                self.decide(coin)

    def label(self, label: int, coin: int, clean: int) -> int:
        budget = self.budgets[label]
        amount = clean if budget is None else min(clean, budget)
        if budget is not None:
            self.budgets[label] = budget - amount
        self.labelled[label, coin] = amount
        return amount

    def decide(self, coin: int) -> None:
        total = sum(traced(self.content[coin]).values())
        for name, limit in self.policy.stops:
            if (
                (name == "min-amount" and total < limit)
                or (name == "hops" and self.hops[coin] >= limit)
                or (name == "label" and (self.graph.owner(coin), limit) in self.policy.labels)
            ):
                self.receive_stops[coin] = f"label:{limit}" if name == "label" else name
                return

    def refused(self, tx: int, coins: list[int]) -> str | None:
        """The rule that stops value where `tx` would spend it."""
        outputs = [(self.graph.value(coin), self.graph.owner(coin)) for coin in self.made_by(tx)]
        dead = any(self.graph.unspendable(coin) for coin in self.made_by(tx))
        for name, limit in self.policy.stops:
            mixes = name == "coinjoin" and not dead and coinjoin({self.graph.owner(c) for c in coins}, outputs)
            if tx not in self.policy.passed and (mixes or (name == "outputs" and len(outputs) > limit)):
                return name
        return None

    def made_by(self, tx: int) -> list[int]:
        return [self.graph.coin((tx, n)) for n in range(len(self.graph.txs[tx].outputs))]

    def holdings(self) -> list[Holding]:
        rows: list[Holding] = []
        for coin in sorted(self.content):
            labels = traced(self.content[coin])
            if not labels:
                continue
            spender = self.graph.spenders.get(coin)
            if coin in self.stopped:
                rows.append({"coin": coin, "traced": labels, "state": "stopped", "reason": self.stopped[coin]})
            elif spender is None or self.graph.heights[spender] > self.as_of:
                reason = "unspendable" if self.graph.unspendable(coin) else "unspent"
                rows.append({"coin": coin, "traced": labels, "state": "held", "reason": reason})
        return rows

    def totals(self, rows: list[SourceRow]) -> dict[int, dict[str, int]]:
        totals: dict[int, dict[str, int]] = {}
        for label in range(len(self.sources)):
            of_label = {
                "in": sum(row["amount"] for row in rows if row["label"] == label),
                "held": 0,
                "stopped": 0,
                "fees": sum(traced(fee).get(label, 0) for fee in self.fees_left),
                "burnt": sum(traced(part).get(label, 0) for part in self.burnt),
            }
            for holding in self.holdings():
                of_label[holding["state"]] += holding["traced"].get(label, 0)
            assert of_label["in"] == sum(of_label[state] for state in STATES)
            totals[label] = of_label
        return totals

    def segments(self) -> dict[int, Segments]:
        if self.policy.method == "haircut":
            return {}
        return {coin: self.content[coin] for coin in sorted(self.content) if traced(self.content[coin])}
