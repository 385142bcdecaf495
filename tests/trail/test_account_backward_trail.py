"""Backward trails on a recorded chain: the inverse of forward fifo, and every equation."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import calibar
from calibar.errors import UsageError
from calibar.sandbox.scenarios import token_theft as story
from calibar.trail.document import digest_of


@pytest.fixture
def ledger(token_theft: Path) -> calibar.Ledger:
    return calibar.open(token_theft)


def _token_transfers(ledger: calibar.Ledger) -> list[str]:
    """Every transfer of the stolen token that moves something."""
    token = ledger.trace(_source(0), method="fifo").document["sources"][0]["asset"]
    found: dict[str, int] = {}
    for owned in story.truth().addresses:
        for row in ledger.transfers(owned.address, token):
            if int(row["amount"]) and row["kind"] == "token":
                found[row["transfer"]] = row["height"]
    return sorted(found, key=lambda name: found[name])


def _source(number: int) -> str:
    source = story.truth().sources[number]
    return f"{source.transaction}:{source.log_index}"


@pytest.mark.parametrize("method", ["fifo", "lifo"])
def test_backward_finds_what_forward_brought(ledger: calibar.Ledger, method: str) -> None:
    """What a transfer has of the loot is what going back from it passes through, or ends at, the loot's transfer."""
    forward = ledger.trace(_source(0), _source(1), method=method, stops=())
    brought: dict[str, dict[str, int]] = {}
    for step in forward.steps:
        if step["kind"] == "transfer":
            brought[step["transfer"]] = {label: int(n) for label, n in step["outputs"][0]["traced"].items()}
    converted = {s["transfer"] for s in forward.steps if s["kind"] in ("converted", "received")}
    sources = {_source(number): f"S{number}" for number in (0, 1)}
    compared = 0
    for name in _token_transfers(ledger):
        back = ledger.trace(name, method=method, direction="backward")
        rows = [*back.steps, *back.document["origins"]]
        # Beyond a conversion forward goes on by shares, backward ends: only what met none is comparable.
        if any(row["reason"] == "exchanged" for row in back.document["origins"]) or name in converted:
            continue
        found: dict[str, int] = {}
        for row in rows:
            if row["transfer"] in sources and row["transfer"] != name:
                label = sources[row["transfer"]]
                found[label] = found.get(label, 0) + int(row["traced"]["S0"])
        if name not in sources:
            assert found == brought.get(name, {}), name
            compared += bool(found)
    assert compared >= 10


def test_sums_and_bytes(ledger: calibar.Ledger) -> None:
    name = _token_transfers(ledger)[-1]
    trail = ledger.trace(name, direction="backward")
    for by_asset in trail.document["totals"].values():
        for sums in by_asset.values():
            assert int(sums["in"]) == sum(int(n) for reason, n in sums.items() if reason != "in")
    ended = sum(int(row["traced"]["S0"]) for row in trail.document["origins"])
    assert ended == int(trail.document["sources"][0]["amount"])
    assert trail.json() == ledger.trace(name, direction="backward").json()
    assert trail.digest == digest_of(json.loads(trail.json()))
    half = ledger.trace(f"{name}=1", direction="backward")
    assert sum(int(row["traced"]["S0"]) for row in half.document["origins"]) == 1


def test_a_hop_limit_ends_it(ledger: calibar.Ledger) -> None:
    name = max(_token_transfers(ledger), key=lambda n: len(ledger.trace(n, direction="backward").steps))
    near = ledger.trace(name, direction="backward", max_hops=1)
    far = ledger.trace(name, direction="backward")
    assert len(near.steps) < len(far.steps)
    assert "hops" in {row["reason"] for row in near.document["origins"]}


@pytest.mark.parametrize(
    ("policy", "said"),
    [
        ({"method": "haircut"}, "haircut has no inverse"),
        ({"method": "libr"}, "libr has no inverse"),
        ({"min_amount": 5}, "a minimum amount and links"),
        ({"links": Path("links.jsonl")}, "a minimum amount and links"),
    ],
)
def test_wrong_questions(ledger: calibar.Ledger, policy: dict[str, object], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        ledger.trace(_source(0), direction="backward", **policy)
