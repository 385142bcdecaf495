"""Small chains of money to trace in tests: a plain model, its flat columns, and random ones.

Coins, transactions and inputs have dense ids in chain order. Nothing here comes from a ledger.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, TypeVar

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibar.kernels.scripts import OP_RETURN

CoinRef = tuple[int, int]
"""(transaction id in chain order, output index)."""

Stop = tuple[Literal["min-amount", "hops", "label", "coinjoin", "outputs"], int]
"""A rule with its limit; `label` with the number of a category, `coinjoin` with 0."""

T = TypeVar("T")

MAX_MONEY = 21 * 10**14
STRANGER = 40
"""Owners of single coins are numbered from here on."""
UNSPENT = 2**63 - 1


@dataclass(frozen=True)
class Tx:
    """A transaction; a `None` input spends a coin from outside, of unknown value."""

    inputs: tuple[CoinRef | None, ...]
    outputs: tuple[int, ...]
    unspendable: tuple[bool, ...] = ()
    owners: tuple[int, ...] = ()
    """Who is paid by each output, below `STRANGER`; where it is empty, each another."""


@dataclass(frozen=True)
class Block:
    """Transactions in block order, the coinbase (without inputs) first."""

    txs: tuple[Tx, ...]
    subsidy: int


@dataclass(frozen=True)
class Graph:
    """Blocks from height 0. Raises ValueError where they break a rule of the chain."""

    blocks: tuple[Block, ...]

    @cached_property
    def txs(self) -> list[Tx]:
        """All transactions in chain order."""
        return [tx for block in self.blocks for tx in block.txs]

    @cached_property
    def heights(self) -> list[int]:
        """The height of each transaction."""
        return [height for height, block in enumerate(self.blocks) for _ in block.txs]

    @cached_property
    def coins(self) -> list[CoinRef]:
        """All coins in chain order; a coin's id is its place here."""
        return [(tx, n) for tx, made in enumerate(self.txs) for n in range(len(made.outputs))]

    @cached_property
    def _ids(self) -> dict[CoinRef, int]:
        return {ref: coin for coin, ref in enumerate(self.coins)}

    @cached_property
    def spenders(self) -> dict[int, int]:
        """The transaction that spends a coin, for the coins that are spent."""
        return {self.coin(ref): t for t, tx in enumerate(self.txs) for ref in tx.inputs if ref is not None}

    def coin(self, ref: CoinRef) -> int:
        """Id of the coin with this name."""
        return self._ids[ref]

    def value(self, coin: int) -> int:
        """Units in a coin."""
        tx, n = self.coins[coin]
        return self.txs[tx].outputs[n]

    def unspendable(self, coin: int) -> bool:
        """Whether a coin's script can never be satisfied."""
        tx, n = self.coins[coin]
        flags = self.txs[tx].unspendable
        return bool(flags) and flags[n]

    def owner(self, coin: int) -> int:
        """Who is paid by a coin; what is unspendable is paid to nobody else's script."""
        tx, n = self.coins[coin]
        owners = self.txs[tx].owners
        return owners[n] if owners and not self.unspendable(coin) else STRANGER + coin

    def fee(self, tx: int) -> int | None:
        """Input sum minus output sum; 0 for a coinbase, None beside an unknown input."""
        if self.is_coinbase(tx):
            return 0
        total = 0
        for ref in self.txs[tx].inputs:
            if ref is None:
                return None
            total += self.value(self.coin(ref))
        return total - sum(self.txs[tx].outputs)

    def is_coinbase(self, tx: int) -> bool:
        """Whether a transaction is the first of its block."""
        return tx == 0 or self.heights[tx - 1] < self.heights[tx]

    def __post_init__(self) -> None:
        """Refuse what no chain can hold."""
        spent: set[CoinRef] = set()
        coinbase = first = 0
        for block in self.blocks:
            coinbase = first
            _must(bool(block.txs) and not block.txs[0].inputs, f"transaction {first} is not a coinbase")
            for t, tx in enumerate(block.txs, start=first):
                _must(t == coinbase or bool(tx.inputs), f"transaction {t} has no inputs")
                _must(all(value >= 0 for value in tx.outputs), f"transaction {t} has a negative output")
                _must(len(tx.unspendable) in (0, len(tx.outputs)), f"transaction {t} needs a flag for each output")
                for ref in tx.inputs:
                    if ref is None:
                        continue
                    _must(ref not in spent, f"{ref} is spent twice")
                    _must(ref in self._ids and ref[0] < t and ref[0] != coinbase, f"{ref} cannot be spent in {t}")
                    _must(not self.unspendable(self.coin(ref)), f"{ref} is unspendable")
                    spent.add(ref)
            fees = [self.fee(t) for t in range(first, first + len(block.txs))]
            known = [fee for fee in fees if fee is not None]
            _must(all(fee >= 0 for fee in known), f"the block of transaction {first} has a negative fee")
            if len(known) == len(fees):
                _must(sum(block.txs[0].outputs) <= block.subsidy + sum(known), f"coinbase {first} claims too much")
            first += len(block.txs)


def _must(holds: bool, problem: str) -> None:
    if not holds:
        raise ValueError(problem)


@dataclass(frozen=True)
class Source:
    """One REF: coin ids, and the units to label in all of them together (None: all there is)."""

    coins: tuple[int, ...]
    amount: int | None = None
    skip: int = 0
    """Clean units that are left alone in front, in each coin; where coins have an order (fifo)."""


@dataclass(frozen=True)
class Policy:
    """The rules of one tracing; `as_of` is a height (None: the tip), stops are tried in their order."""

    method: Literal["fifo", "haircut"] = "fifo"
    fees: Literal["stop", "follow"] = "stop"
    stops: tuple[Stop, ...] = ()
    as_of: int | None = None
    labels: tuple[tuple[int, int], ...] = ()
    """Owners and the category that a source labels each with."""
    passed: tuple[int, ...] = ()
    """Transactions that rules on spending leave alone."""


@dataclass(frozen=True)
class Columns:
    """A graph as flat int64 columns; `first` columns have one more entry than there are rows."""

    block_first_tx: NDArray[np.int64]
    tx_first_coin: NDArray[np.int64]
    tx_first_input: NDArray[np.int64]
    tx_fee: NDArray[np.int64]
    """-1 where unknown, 0 for a coinbase."""
    coin_value: NDArray[np.int64]
    coin_spent_by: NDArray[np.int64]
    """Input id, or `UNSPENT`."""
    input_coin: NDArray[np.int64]
    """-1 where unknown."""
    block_subsidy: NDArray[np.int64]
    coin_address: NDArray[np.int64]
    address_kind: NDArray[np.uint8]


def columns(graph: Graph) -> Columns:
    """Flat columns of a graph."""
    refs = [ref for tx in graph.txs for ref in tx.inputs]
    spent_by = {ref: i for i, ref in enumerate(refs) if ref is not None}
    fees = [graph.fee(tx) for tx in range(len(graph.txs))]
    return Columns(
        block_first_tx=_starts([len(block.txs) for block in graph.blocks]),
        tx_first_coin=_starts([len(tx.outputs) for tx in graph.txs]),
        tx_first_input=_starts([len(tx.inputs) for tx in graph.txs]),
        tx_fee=_int64([-1 if fee is None else fee for fee in fees]),
        coin_value=_int64([graph.value(coin) for coin in range(len(graph.coins))]),
        coin_spent_by=_int64([spent_by.get(ref, UNSPENT) for ref in graph.coins]),
        input_coin=_int64([-1 if ref is None else graph.coin(ref) for ref in refs]),
        block_subsidy=_int64([block.subsidy for block in graph.blocks]),
        coin_address=_int64([graph.owner(coin) for coin in range(len(graph.coins))]),
        address_kind=_kinds(graph),
    )


def _kinds(graph: Graph) -> NDArray[np.uint8]:
    kinds = np.zeros(STRANGER + len(graph.coins), np.uint8)
    kinds[[STRANGER + coin for coin in range(len(graph.coins)) if graph.unspendable(coin)]] = OP_RETURN
    return kinds


def _starts(lengths: Sequence[int]) -> NDArray[np.int64]:
    return _int64([sum(lengths[:i]) for i in range(len(lengths) + 1)])


def _int64(numbers: Sequence[int]) -> NDArray[np.int64]:
    return np.array(numbers, dtype=np.int64)


@st.composite
def graphs(draw: st.DrawFn, max_blocks: int = 12, largest: int = MAX_MONEY) -> Graph:
    """Valid chains of up to `max_blocks` blocks in which at most `largest` units ever exist."""
    scale = min(largest, _pick(draw, [1_000, 7, 50 * 10**8, largest // 12, largest]))
    island = _pick(draw, [False, False, True])
    supply = largest
    blocks: list[Block] = []
    unspent: dict[CoinRef, int] = {}
    tx_id = 0
    for _ in range(_number(draw, min(max_blocks, _pick(draw, [1, 3, 6])), max_blocks)):
        coinbase_id, tx_id = tx_id, tx_id + 1
        txs: list[Tx] = []
        known_fees, all_known = 0, True
        for _ in range(_number(draw, 0, 4)):
            refs: list[CoinRef | None] = []
            total = 0
            for _ in range(min(len(unspent), _pick(draw, [1, 1, 1, 2, 2, 3, 4, 9]))):
                # The last is the newest, so chains within a block and long ones are common.
                newest_first = list(reversed(unspent))
                ref = _pick(draw, newest_first[:2] if _number(draw, 0, 1) else newest_first)
                refs.append(ref)
                total += unspent.pop(ref)
            if island and _number(draw, 0, 3) == 3:
                refs.insert(_number(draw, 0, len(refs)), None)
                extra = _number(draw, 0, min(supply, scale))
                supply -= extra
                total += extra
            if not refs:
                break
            outputs, fee = _rounds(draw, total, len(refs)) if len(refs) > 2 else _split(draw, total)
            txs.append(_tx(draw, refs, outputs))
            all_known = all_known and None not in refs
            known_fees += 0 if None in refs else fee
            unspent |= _spendable(tx_id, txs[-1])
            tx_id += 1
        subsidy = min(supply, _pick(draw, [scale, scale // 2, _number(draw, 0, scale), 0]))
        supply -= subsidy
        claimable = subsidy + known_fees
        if not all_known:
            extra = _number(draw, 0, min(supply, scale))
            supply -= extra
            claimable += extra
        outputs, _ = _split(draw, claimable)
        coinbase = _tx(draw, [], outputs)
        unspent |= _spendable(coinbase_id, coinbase)
        blocks.append(Block((coinbase, *txs), subsidy))
    return Graph(tuple(blocks))


# Bare integers are drawn, for speed: a graph takes hundreds of draws.
def _number(draw: st.DrawFn, least: int, most: int) -> int:
    return draw(st.integers(least, most))


def _pick(draw: st.DrawFn, options: Sequence[T]) -> T:
    return options[_number(draw, 0, len(options) - 1)]


def _split(draw: st.DrawFn, total: int) -> tuple[list[int], int]:
    """Outputs and what they leave of `total`: empty and equal ones, crumbs, and all or nothing left."""
    left = total
    outputs: list[int] = []
    for _ in range(_number(draw, 1, 4)):
        form = _pick(draw, ["half", "any", "third", "crumb", "same", "nothing"])
        if form == "half":
            part = left // 2
        elif form == "any":
            part = _number(draw, 0, left)
        elif form == "third":
            part = left // 3
        elif form == "crumb":
            part = _number(draw, 0, min(left, 5))
        elif form == "same" and outputs:
            part = min(left, outputs[-1])
        else:
            part = 0
        outputs.append(part)
        left -= part
    form = _pick(draw, ["all", "small rest", "rest"])
    if form == "all":
        outputs[-1] += left
        left = 0
    elif form == "small rest":
        outputs[0] += left - left // 8
        left //= 8
    return outputs, left


def _rounds(draw: st.DrawFn, total: int, inputs: int) -> tuple[list[int], int]:
    """Outputs as a CoinJoin has them, or nearly: equal shares, some change, a fee."""
    if _number(draw, 0, 2) == 0:
        return _split(draw, total)
    alike = _number(draw, 2, inputs + 1)
    share = total // (alike + _pick(draw, [0, 1, alike]))
    change, fee = _split(draw, total - alike * share)
    return [*[share] * alike, *change[: _pick(draw, [0, 1, 4])]], fee


def _tx(draw: st.DrawFn, inputs: Sequence[CoinRef | None], outputs: Sequence[int]) -> Tx:
    dead = _number(draw, 0, 40) - 36  # seldom one of the outputs
    flags = tuple(n == dead for n in range(len(outputs)))
    owners = _number(draw, 0, 2**30) if _number(draw, 0, 2) else 0
    few = tuple((owners >> 3 * n) % STRANGER for n in range(len(outputs))) if owners else ()
    return Tx(tuple(inputs), tuple(outputs), flags if any(flags) else (), few)


def _spendable(tx_id: int, tx: Tx) -> dict[CoinRef, int]:
    flags = tx.unspendable or (False,) * len(tx.outputs)
    return {(tx_id, n): tx.outputs[n] for n, dead in enumerate(flags) if not dead}


@st.composite
def sources(draw: st.DrawFn, graph: Graph) -> list[Source]:
    """One to four REFs: coins, transactions, and loose sets of coins, some with an amount.

    Some of them are wrong questions: they label nothing.
    """
    coins = range(len(graph.coins))
    worth = [coin for coin in coins if graph.value(coin) > 0] or coins
    moving = [coin for coin in worth if coin in graph.spenders] or worth
    refs: list[Source] = []
    named: set[int] = set()
    for _ in range(_pick(draw, [1, 1, 2, 2, 3, 4])):
        fresh = [coin for coin in moving if coin not in named] or moving
        chosen = {_pick(draw, _pick(draw, [fresh, fresh, fresh, worth]))}
        form = _pick(draw, ["coin", "transaction", "address"])
        if form == "transaction":
            tx, _ = graph.coins[min(chosen)]
            chosen = {coin for coin in coins if graph.coins[coin][0] == tx}
        elif form == "address":
            chosen |= {_pick(draw, coins) for _ in range(_number(draw, 1, 5))}
        named |= chosen
        total = sum(graph.value(coin) for coin in chosen)
        amount = _pick(draw, [None, None, _number(draw, 1, max(1, total)), max(1, total // 2), total + 1])
        refs.append(Source(tuple(sorted(chosen)), amount))
    return refs


@st.composite
def policies(draw: st.DrawFn, graph: Graph | None = None) -> Policy:
    """Any policy; with a graph, `as_of` is one of its heights."""
    tip = len(graph.blocks) - 1 if graph else 11
    stops: list[Stop] = []
    for _ in range(_pick(draw, [0, 0, 0, 1, 2, 3])):
        form = _number(draw, 0, 2)
        if form == 0:
            stops.append(("hops", _number(draw, 0, 6)))
        elif form == 1:
            stops.append(("min-amount", _pick(draw, [2, 50, 10**4, 10**9, 10**14, _number(draw, 0, 20)])))
        else:
            stops.append(("label", _number(draw, 0, 2)))
    categories = sorted({category for name, category in stops if name == "label"})
    owners = st.dictionaries(st.integers(0, STRANGER + 30), st.sampled_from(categories or [0]), min_size=10)
    labels = draw(owners) if categories else {}
    if _number(draw, 0, 1):
        stops.append(("coinjoin", 0))
    if _number(draw, 0, 3) == 0:
        stops.append(("outputs", _number(draw, 1, 5)))
    return Policy(
        method=_pick(draw, ("fifo", "haircut")),
        fees=_pick(draw, ("stop", "follow")),
        stops=tuple(stops),
        as_of=_pick(draw, [None, None, None, tip - _number(draw, 0, tip) // 2, tip - _number(draw, 0, tip)]),
        labels=tuple(labels.items()),
        passed=tuple(draw(st.sets(st.integers(0, 12), max_size=2))),
    )


@st.composite
def questions(draw: st.DrawFn, max_blocks: int = 12, largest: int = MAX_MONEY) -> tuple[Graph, list[Source], Policy]:
    """A graph with sources and a policy for it."""
    graph = draw(graphs(max_blocks=max_blocks, largest=largest))
    return graph, draw(sources(graph)), draw(policies(graph))
