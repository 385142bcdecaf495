"""Tracing: transactions a second that the compiled walk visits, on a made-up graph of millions of transactions.

The peers are the same haircut written plainly over Python lists and over networkx, on a small graph; all agree to the
satoshi.
"""

from __future__ import annotations

import heapq
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import networkx as nx
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, interleaved, median, median_ratio, seconds
from calibar.kernels import taint
from calibar.kernels.compiled import kernel
from calibar.kernels.stops import COINJOIN, Stops, stops
from calibar.kernels.taint import Walk
from calibar.kernels.turns import HELD, Graph, Sources
from calibar.trail.trace import ALL, frozen, source_rows

I64 = NDArray[np.int64]

TRANSACTIONS: Final = 5_000_000
PEER_TRANSACTIONS: Final = 100_000
BLOCK: Final = 2_500
STOLEN_COINS: Final = 500
UNSPENT: Final = int(np.iinfo(np.int64).max)
ROUNDS: Final = 3


@kernel
def _spend(recency: NDArray[np.float64], shares: NDArray[np.float64], columns: Graph) -> None:
    """Choose the coin that each input spends, and share what comes in among the outputs."""
    first_input, first_coin, value = columns.first_input, columns.first_coin, columns.value
    pool = np.empty(value.size, np.int64)
    size = 0
    for tx in range(first_coin.size - 1):
        paid = np.int64(0)
        for i in range(first_input[tx], first_input[tx + 1]):
            at = size - 1 - np.int64(size * recency[i])
            coin = pool[at]
            size -= 1
            pool[at] = pool[size]
            columns.input_coin[i] = coin
            columns.spent_by[coin] = i
            paid += value[coin]
        if first_input[tx] == first_input[tx + 1]:
            paid = np.int64(5_000_000_000)
        columns.fee[tx] = min(np.int64(2_000), paid // 100) if first_input[tx] < first_input[tx + 1] else 0
        paid -= columns.fee[tx]
        for coin in range(first_coin[tx], first_coin[tx + 1]):
            value[coin] = paid if coin == first_coin[tx + 1] - 1 else np.int64(paid * shares[coin])
            paid -= value[coin]
            pool[size] = coin
            size += 1


def make_graph(transactions: int, seed: int = 1) -> Graph:
    """A ledger's columns: blocks of 2,500 transactions with 1-3 inputs and 1-3 outputs, but for the coinbases.

    The first block has coinbases alone. Coins of all ages are spent: half of the inputs take from the youngest
    thirtieth of the unspent coins, and a fifth of all coins is never spent.
    """
    random = np.random.default_rng(seed)
    inputs = random.choice(np.array([1, 2, 3]), transactions, p=[0.55, 0.3, 0.15])
    outputs = random.choice(np.array([1, 2, 3]), transactions, p=[0.2, 0.55, 0.25])
    inputs[:BLOCK] = 0
    inputs[::BLOCK] = 0
    first_input = np.concatenate([[0], np.cumsum(inputs)])
    first_coin = np.concatenate([[0], np.cumsum(outputs)])
    coins = int(first_coin[-1])
    graph = Graph(
        block_first_tx=np.append(np.arange(0, transactions, BLOCK), transactions),
        first_coin=first_coin,
        first_input=first_input,
        fee=np.zeros(transactions, np.int64),
        value=np.zeros(coins, np.int64),
        spent_by=np.full(coins, UNSPENT),
        input_coin=np.empty(int(first_input[-1]), np.int64),
        subsidy=np.empty(0, np.int64),
    )
    _spend(random.random(graph.input_coin.size) ** 5, random.random(coins), graph)
    return Graph(*map(frozen, graph))


def sources_in(graph: Graph) -> Sources:
    """The first coins of the graph, under one label."""
    return source_rows(graph, [(np.arange(STOLEN_COINS), None)], follow=False)


def usual_stops(graph: Graph) -> Stops:
    """CoinJoins; each coin is paid to another address."""
    return stops([(COINJOIN, 0)], np.arange(graph.value.size), np.zeros(graph.value.size, np.uint8))


def walked(graph: Graph, method: int) -> tuple[float, Walk]:
    """Seconds and what was reached; raises AssertionError where it does not re-add."""
    sources = sources_in(graph)
    results: list[Walk] = []
    # A virtual machine may find memory only when it is first touched; that is not what is measured.
    np.ones(1 << 28)
    taken = seconds(
        lambda: results.append(
            taint.walk(graph, method, False, graph.input_coin.size, usual_stops(graph), sources, np.array([ALL]))
        )
    )
    walk = results[0]
    fees = walk.leak_amount[walk.leak_label >= 0].sum()
    assert sources.amount.sum() == _held(walk) + fees, "the walk does not re-add"
    return taken, walk


def _held(walk: Walk) -> int:
    """Labelled units that rest."""
    sums = np.concatenate([[0], np.cumsum(walk.amount * (walk.label >= 0))])
    return int(np.diff(sums[walk.first_segment])[walk.fate == HELD].sum())


@dataclass(frozen=True)
class _Lists:
    """A graph's columns as Python lists, which plain Python reads fastest."""

    first_coin: list[int]
    first_input: list[int]
    fee: list[int]
    value: list[int]
    spent_by: list[int]


def _shares(amount: int, capacity: Sequence[int]) -> list[int]:
    """`amount` in proportion to `capacity`, left-over units to the largest remainders."""
    whole = sum(capacity)
    shares = [amount * part // whole for part in capacity]
    left = amount - sum(shares)
    for r in sorted(range(len(capacity)), key=lambda r: -(amount * capacity[r] % whole))[:left]:
        shares[r] += 1
    return shares


def plain_haircut(lists: _Lists) -> tuple[int, int]:
    """Haircut in plain Python: transactions visited, units held."""
    traced = dict(enumerate(lists.value[:STOLEN_COINS]))
    waiting = [(lists.spent_by[coin], coin) for coin in traced if lists.spent_by[coin] < UNSPENT]
    heapq.heapify(waiting)
    held = sum(amount for coin, amount in traced.items() if lists.spent_by[coin] == UNSPENT)
    visited = 0
    while waiting:
        tx = bisect_right(lists.first_input, waiting[0][0]) - 1
        amount = 0
        while waiting and waiting[0][0] < lists.first_input[tx + 1]:
            amount += traced.pop(heapq.heappop(waiting)[1])
        coins = range(lists.first_coin[tx], lists.first_coin[tx + 1])
        for coin, share in zip(coins, _shares(amount, [*(lists.value[c] for c in coins), lists.fee[tx]]), strict=False):
            if share and lists.spent_by[coin] == UNSPENT:
                held += share
            elif share:
                traced[coin] = share
                heapq.heappush(waiting, (lists.spent_by[coin], coin))
        visited += 1
    return visited, held


def networkx_haircut(graph: Any) -> tuple[int, int]:
    """Haircut over a networkx graph whose nodes are transactions, whose edges are coins: visited, units held."""
    visited = held = 0
    for tx, facts in sorted(graph.nodes(data=True)):
        if tx == UNSPENT:
            continue
        amount = sum(edge["traced"] for _, _, edge in graph.in_edges(tx, data=True))
        coins = [edge for _, _, edge in graph.out_edges(tx, data=True)]
        if amount:
            visited += 1
            for edge, share in zip(coins, _shares(amount, [*(e["value"] for e in coins), facts["fee"]]), strict=False):
                edge["traced"] = share
    held = sum(edge["traced"] for _, _, edge in graph.in_edges(UNSPENT, data=True))
    return visited, held


def _as_networkx(lists: _Lists) -> Any:
    graph = nx.MultiDiGraph()
    graph.add_node(UNSPENT, fee=0)
    for tx, fee in enumerate(lists.fee):
        graph.add_node(tx, fee=fee)
        for coin in range(lists.first_coin[tx], lists.first_coin[tx + 1]):
            spender = lists.spent_by[coin]
            to = UNSPENT if spender == UNSPENT else bisect_right(lists.first_input, spender) - 1
            traced = lists.value[coin] if coin < STOLEN_COINS else 0
            graph.add_edge(tx, to, key=coin, value=lists.value[coin], traced=traced)
    return graph


def _peers() -> list[Figure]:
    graph = make_graph(PEER_TRANSACTIONS)
    lists = _Lists(*(getattr(graph, name).tolist() for name in _Lists.__annotations__))
    edges = _as_networkx(lists)
    _, walk = walked(graph, taint.HAIRCUT)
    expected = walk.step_tx.size, _held(walk)
    assert plain_haircut(lists) == expected, "plain Python finds another answer"
    assert networkx_haircut(edges) == expected, "networkx finds another answer"
    rules = usual_stops(graph)

    def ours() -> None:
        taint.walk(graph, taint.HAIRCUT, False, graph.input_coin.size, rules, sources_in(graph), np.array([ALL]))

    actions: list[Callable[[], object]] = [ours, lambda: plain_haircut(lists), lambda: networkx_haircut(edges)]
    row, python, networkx = interleaved(ROUNDS, *actions)
    print(f"  peers: {PEER_TRANSACTIONS:,} transactions, {expected[0]:,} visited; all three answers are the same")
    return [
        Figure("haircut / plain Python", median_ratio(python, row), "times"),
        Figure("haircut / networkx", median_ratio(networkx, row), "times"),
    ]


def run() -> list[Figure]:
    """Figures of the walk."""
    graph = make_graph(TRANSACTIONS)
    figures = []
    for name, method, target in (("haircut", taint.HAIRCUT, 1.5), ("fifo", taint.FIFO, None)):
        speeds = []
        for _ in range(ROUNDS):
            taken, walk = walked(graph, method)
            speeds.append(walk.step_tx.size / taken / 1e6)
        visited, coins, segments = walk.step_tx.size, walk.coin.size, walk.label.size
        print(f"  {name}: {visited:,} of {TRANSACTIONS:,} transactions visited, {coins:,} coins, {segments:,} segments")
        figures.append(Figure(f"{name}, transactions visited", median(speeds), "million/s", at_least=target))
    return figures + _peers()
