"""Account chains: an export's token transfers to a committed ledger, balances at any height, and tracing.

The peers do the same sums: DuckDB adds up every balance from the same CSV, plain Python and networkx do the haircut.
"""

from __future__ import annotations

import shutil
import time
from collections import defaultdict
from pathlib import Path
from typing import Any, Final

import networkx as nx
import numpy as np

from bench import flows, transfers
from bench.figures import OUT, Figure, interleaved, median, median_ratio
from calibar.chains.ethereum.etl import EtlSource
from calibar.kernels.flows import FlowWalk
from calibar.kernels.holders import HAIRCUT
from calibar.kernels.wide import total
from calibar.ledger.accounts.ingest import ingest
from calibar.ledger.accounts.snapshot import AccountSnapshot

TRANSFERS: Final = 10_000_000
WARM_UP: Final = 10_000
LOOKUPS: Final = 2_000
PEER_FLOWS: Final = 100_000
ROUNDS: Final = 3


def run() -> list[Figure]:
    """Figures of ledger and walk."""
    folder = OUT / "accounts"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        figures = _ledger(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return [*transfers.run(), *figures, *flows.run(), *_peers()]


def _ledger(folder: Path) -> list[Figure]:
    transfers.make_transfers(folder / "small", WARM_UP)
    ingest(EtlSource(folder / "small", 1), folder / "small-ledger")  # compiles
    size = transfers.make_transfers(folder / "export", TRANSFERS)
    begun = time.perf_counter()
    info = ingest(EtlSource(folder / "export", 1), folder / "ledger")
    ours = time.perf_counter() - begun
    print(f"  {TRANSFERS:,} transfers, {size / 1e6:,.0f} MB of CSV, {info['holdings']:,} holdings")
    begun = time.perf_counter()
    balances = _duckdb(folder / "export" / "token_transfers.csv")
    peer = time.perf_counter() - begun
    snapshot = AccountSnapshot(folder / "ledger")
    random = np.random.default_rng(7)
    holdings = random.integers(0, snapshot.counts["holdings"], LOOKUPS).tolist()
    for holding in holdings:
        asset = snapshot.asset_name(int(snapshot["holdings.asset"][holding]))
        owner = snapshot.address_name(int(snapshot["holdings.address"][holding]))
        assert snapshot.balance(holding) == balances[asset.lower(), owner.lower()], "DuckDB finds another balance"
    heights = random.integers(0, snapshot.manifest.height, LOOKUPS).tolist()
    busiest = np.bincount(snapshot["transfers.sender"][snapshot["transfers.sender"] >= 0]).argsort()[-LOOKUPS // 2 :]
    chosen = [*busiest.tolist(), *holdings[: LOOKUPS // 2]]
    taken = []
    for holding, height in zip(chosen, heights, strict=True):
        begun = time.perf_counter()
        snapshot.balance(holding, height)
        taken.append(time.perf_counter() - begun)
    return [
        Figure("10 million token transfers to a ledger", ours * 10_000_000 / TRANSFERS, "s", at_most=60),
        Figure("the same / DuckDB adding up the balances", ours / peer, "times"),
        Figure("balance at any height", median(taken) * 1e3, "ms", at_most=1),
        Figure("balance at any height, slowest of 2,000", max(taken) * 1e3, "ms"),
    ]


def _duckdb(path: Path) -> dict[tuple[str, str], int]:
    import duckdb  # noqa: PLC0415

    moves = duckdb.read_csv(str(path))
    given = moves.project("token_address as token, from_address as who, -cast(value as hugeint) as amount")
    got = moves.project("token_address as token, to_address as who, cast(value as hugeint) as amount")
    rows = given.union(got).aggregate("token, who, sum(amount)", "token, who").fetchall()
    return {(token, who): int(amount) for token, who, amount in rows}


def _peers() -> list[Figure]:
    made = flows.make_flows(PEER_FLOWS, PEER_FLOWS // 10)
    rows = list(zip(made.sender.tolist(), made.recipient.tolist(), made.amount[:, 0].tolist(), strict=True))
    graph = nx.MultiDiGraph()
    for flow, (sender, recipient, amount) in enumerate(rows):
        graph.add_edge(sender, recipient, flow=flow, amount=amount)
    stolen = min(flows.STOLEN, PEER_FLOWS // 10)
    expected = _held(flows.walked(made, HAIRCUT, stolen)[1])
    assert _plain(rows, stolen) == expected, "plain Python finds another answer"
    assert _networkx(graph, stolen) == expected, "networkx finds another answer"
    ours, python, networkx = interleaved(
        ROUNDS,
        lambda: flows.walk_all(made, HAIRCUT, stolen),
        lambda: _plain(rows, stolen),
        lambda: _networkx(graph, stolen),
    )
    return [
        Figure("accounts: haircut / plain Python", median_ratio(python, ours), "times"),
        Figure("accounts: haircut / networkx", median_ratio(networkx, ours), "times"),
    ]


def _held(walk: FlowWalk) -> int:
    return total(walk.amount)


def _share(traced: int, amount: int, balance: int) -> int:
    """What a draw takes of the labelled: in proportion, a left-over unit to the larger remainder, ties to the drawn."""
    share, rest = divmod(traced * amount, balance)
    return share + (2 * rest >= balance) if rest else share


def _plain(rows: list[tuple[int, int, int]], stolen: int) -> int:
    balance: dict[int, int] = defaultdict(int)
    traced: dict[int, int] = defaultdict(int)
    for flow, (sender, recipient, amount) in enumerate(rows):
        moved = amount if flow < stolen else 0
        if sender >= 0 and amount:
            if traced[sender]:
                moved = _share(traced[sender], amount, balance[sender])
                traced[sender] -= moved
            balance[sender] -= amount
        balance[recipient] += amount
        traced[recipient] += moved
    return sum(traced.values())


def _networkx(graph: Any, stolen: int) -> int:
    nx.set_node_attributes(graph, 0, "balance")
    nx.set_node_attributes(graph, 0, "traced")
    nodes = graph.nodes
    for sender, recipient, edge in sorted(graph.edges(data=True), key=lambda row: row[2]["flow"]):
        amount = edge["amount"]
        moved = amount if edge["flow"] < stolen else 0
        if sender >= 0 and amount:
            if nodes[sender]["traced"]:
                moved = _share(nodes[sender]["traced"], amount, nodes[sender]["balance"])
                nodes[sender]["traced"] -= moved
            nodes[sender]["balance"] -= amount
        nodes[recipient]["balance"] += amount
        nodes[recipient]["traced"] += moved
    return sum(data["traced"] for _, data in nodes(data=True))
