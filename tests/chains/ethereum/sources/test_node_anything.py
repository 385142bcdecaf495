"""Whatever is kept of a node, changed in any way, is read or refused in one of the two ways that readers refuse."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from node_in_memory import QUESTIONS, kept_of

from calibar.chains.ethereum.sources.node import read
from calibar.chains.remote import transfers_told as told
from calibar.errors import ChainError, DecodeError

REQUESTS = ["newest", "transfers", "transaction", "holding", "block", "chain"]
values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 2**70) | st.sampled_from(["0x", "0x1", "0xzz", "", "latest"])
    | st.integers(0, 2**260).map(hex) | st.binary(max_size=40).map(lambda data: "0x" + data.hex()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["hash", "error", "logs"]), inner),
    max_leaves=8,
)  # fmt: skip


def only_refuses(request: str, response: bytes) -> None:
    with suppress(DecodeError, ChainError):
        list(read(request, response))


@given(st.text(max_size=80), st.binary(max_size=80))
def test_any_bytes_are_read_or_refused(request: str, response: bytes) -> None:
    only_refuses(request, response)
    for method, count in zip(REQUESTS, (0, 4, 1, 2, 2, 0), strict=True):
        only_refuses(json.dumps({"method": method, "params": ["0x1"] * count}), response)


@given(st.sampled_from(REQUESTS), st.lists(values, max_size=4), st.lists(values, max_size=4))
def test_any_request_and_any_results_are_read_or_refused(
    method: str, params: Sequence[Any], results: Sequence[Any]
) -> None:
    asked = {"method": "eth_blockNumber", "params": []}
    lines = [json.dumps({**asked, "result": result}).encode() for result in results]
    only_refuses(json.dumps({"method": method, "params": params}), b"\n".join(lines))


def mutated(value: Any, dice: random.Random, other: Any) -> Any:
    """With one value somewhere inside replaced."""
    if isinstance(value, dict) and value and dice.random() < 0.95:
        name = dice.choice(sorted(value))
        return {**value, name: mutated(value[name], dice, other)}
    if isinstance(value, list) and value and dice.random() < 0.95:
        at = dice.randrange(len(value))
        return [*value[:at], mutated(value[at], dice, other), *value[at + 1 :]]
    return other


@given(st.sampled_from(QUESTIONS), st.randoms(use_true_random=False), values)
def test_any_change_to_what_is_kept_is_read_or_refused(
    make: Callable[[], told.Question], dice: random.Random, other: Any
) -> None:
    kept = kept_of(make())
    lines = [json.loads(line) for line in kept.response.splitlines()]
    at = dice.randrange(len(lines))
    lines[at] = mutated(lines[at], dice, other)
    only_refuses(kept.request, b"\n".join(json.dumps(line).encode() for line in lines))
