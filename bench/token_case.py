"""Token cases: an address with 10,000 token transfers from a node on this machine, to a trail, and again offline.

The node is real (anvil). Beside it stands, in the same run, the node's answer to the same two questions alone: all logs
to and from the address.
"""

from __future__ import annotations

import json
import shutil
import sys
import time
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Final

import calibar
from bench.figures import BENCH, OUT, Figure, median
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from anvil import Node

HALF: Final = 5_000
"""Transfers to the address, and as many from it."""
A_BLOCK: Final = 250
RECIPIENTS: Final = 50
ROUNDS: Final = 3
CHAIN: Final = "ethereum:31337"
TOPIC: Final = "0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"


def run() -> list[Figure]:
    """Figures of fetching, and of opening what was fetched."""
    sys.path.insert(0, str(BENCH.parent / "tests" / "node"))
    import anvil  # noqa: PLC0415

    if reason := anvil.missing():
        print(f"  left out: {reason}")
        return []
    folder = OUT / "token-case"
    shutil.rmtree(folder, ignore_errors=True)
    ether = {"issuer": 10**24, "hub": 10**24}
    with anvil.Node(ether, seed="bench") as node:
        begun = time.perf_counter()
        token, hub = _transfers(node)
        print(f"  {2 * HALF:,} transfers made in {time.perf_counter() - begun:.0f} s")
        policy = Policy(unit="address", asset=token, stops=(), max_hops=1)
        taken = []
        for number in range(ROUNDS):
            begun = time.perf_counter()
            _fetch(node, hub, folder / f"case-{number}", policy, blocks=0)
            trail = calibar.open(folder / f"case-{number}").trace(hub, asset=token, stops=(), max_hops=1)
            taken.append(time.perf_counter() - begun)
        assert len(trail.steps) == HALF
        begun = time.perf_counter()
        _fetch(node, hub, folder / "proven", policy, blocks=100)
        proving = time.perf_counter() - begun
        alone = _logs(node, token, hub)
    begun = time.perf_counter()
    calibar.open(folder / "case-0").trace(hub, asset=token, stops=(), max_hops=1)
    again = time.perf_counter() - begun
    shutil.rmtree(folder, ignore_errors=True)
    return [
        Figure("token case: 10,000 token transfers from nothing to a trail", median(taken), "s", at_most=10),
        Figure("token case: the same from kept responses", again, "s"),
        Figure("token case: the same, every block of it proven", proving, "s"),
        Figure("token case: the node's logs of the address alone", alone, "s"),
        Figure("token case: from nothing / the logs alone", median(taken) / alone, "times"),
    ]


def _transfers(node: Node) -> tuple[str, str]:
    """The token and the address; transfers in and out take turns."""
    node.deploy("issuer", "Coin", "coin")
    node.mine()
    issuer, hub = node.address("issuer"), node.address("hub")
    node.send("issuer", "coin", "mint(address,uint256)", "issuer", 10**24)
    node.mine()
    people = [node.address(f"person {number}") for number in range(RECIPIENTS)]
    for number in range(HALF):
        node.send(issuer, "coin", "transfer(address,uint256)", hub, 1_000 + number)
        node.send(hub, "coin", "transfer(address,uint256)", people[number % RECIPIENTS], 1_000 + number)
        if number % A_BLOCK == A_BLOCK - 1:
            node.mine()
    return node.address("coin"), hub


def _fetch(node: Node, hub: str, folder: Path, policy: Policy, *, blocks: int) -> None:
    limits = Limits(transactions=10**6, history=10**6, blocks=blocks)
    report = gather(folder, [hub], [node.url], network_name=CHAIN, policy=policy, limits=limits)
    assert report.lies == []
    assert report.unanswered == {}


def _logs(node: Node, token: str, hub: str) -> float:
    begun, count = time.perf_counter(), 0
    topic = "0x" + hub[2:].rjust(64, "0")
    for topics in ([TOPIC, topic], [TOPIC, None, topic]):
        query = {"fromBlock": "0x0", "toBlock": "latest", "address": token, "topics": topics}
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": "eth_getLogs", "params": [query]}).encode()
        request = urllib.request.Request(node.url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request) as response:  # noqa: S310
            count += len(json.load(response)["result"])
    assert count == 2 * HALF
    return time.perf_counter() - begun
