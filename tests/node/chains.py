"""Fixtures of a real chain of Bitcoin's kind: `pytest_plugins = ("chains",)` in a test module beside this one.

Types from here are imported under TYPE_CHECKING, else the module is there before pytest can rewrite its assertions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest
from litecoin import Chain, missing
from theft_on_litecoin import Known, Story

Start = Callable[..., Chain]


@dataclass(frozen=True, slots=True)
class Stolen:
    """A chain on which the theft happened, and what is known of it."""

    chain: Chain
    known: Known


@pytest.fixture(scope="session")
def litecoin() -> Iterator[Start]:
    """Starts a chain: `litecoin()` gives a Chain; it ends with the tests. Skips where none is installed."""
    if reason := missing():
        pytest.skip(reason)
    started: list[Chain] = []

    def start(*options: str, electrum: bool = True) -> Chain:
        started.append(Chain(*options, electrum=electrum))
        return started[-1]

    yield start
    for chain in started:
        chain.stop()


@pytest.fixture(scope="session")
def stolen(litecoin: Start) -> Stolen:
    """The chain with the theft, which ElectrumX has followed to its end; to be read only."""
    chain = litecoin()
    known = Story(chain).run()
    chain.wait_for_electrum()
    return Stolen(chain, known)
