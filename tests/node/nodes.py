"""Fixtures of a real node of Ethereum: `pytest_plugins = ("nodes",)` in a test module beside this one.

Types from here are imported under TYPE_CHECKING, else the module is there before pytest can rewrite its assertions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from anvil import Node, missing
from scenario import BALANCES, Known, Scenario

Start = Callable[..., Node]


@dataclass(frozen=True, slots=True)
class Lived:
    """A node whose chain is over, and what is known of the chain."""

    node: Node
    known: Known


@pytest.fixture(scope="session")
def anvil() -> Iterator[Start]:
    """Starts a node: `anvil(balances)` gives a Node; it ends with the tests. Skips where none is installed."""
    if reason := missing():
        pytest.skip(reason)
    started: list[Node] = []

    def start(balances: dict[str, int], producer: str = "producer", seed: str = "") -> Node:
        started.append(Node(balances, producer, seed))
        return started[-1]

    yield start
    for node in started:
        node.stop()


@pytest.fixture(scope="session")
def lived(anvil: Start) -> Lived:
    """The chain that has everything in it; to be read only."""
    node = anvil(BALANCES)
    return Lived(node, Scenario(node).run())
