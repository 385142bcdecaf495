"""Chains and records walked in turn give what one walk over all accounts gives, by the slow reference."""

from __future__ import annotations

import tempfile
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from account_histories import METHODS, History, Method, Source
from account_histories import Policy as Rules
from account_reference import trace as slowly
from custodian_world import (
    ACCOUNTS,
    ASSETS,
    DEPOSITS,
    HOLDERS,
    HOT,
    MUCH,
    PEOPLE,
    TOKEN_BYTES,
    World,
    ledger,
    statements,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.facts import ZERO
from calibar.trail.custodians.joined import trace
from calibar.trail.policy import Policy

EVENTS = st.lists(st.tuples(st.integers(0, 9), st.integers(0, 2), st.integers(0, 2), st.integers(1, 30)), max_size=18)


def happen(world: World, kind: int, who: int, whom: int, amount: int) -> None:
    """One event, as far as there is enough for it."""
    person, account, other = f"p{who}", ACCOUNTS[who % 2], ACCOUNTS[whom % 2]
    if kind in (0, 1):  # clean or stolen tokens come to a person
        world.on_chain(ZERO, PEOPLE[who], amount)
        world.sources[f"0x{world.hash().hex()}:0"] = world.both(None, person, amount)
    elif kind == 2:
        world.on_chain(HOT, HOT, 1)
        name = world.row(account, "T", amount, "reward", world.time())
        world.sources[name] = world.both(None, f"{account} T", amount)
    elif kind == 3 and (amount := min(amount, world.has[person])):
        world.on_chain(PEOPLE[who], PEOPLE[whom], amount)
        world.both(person, f"p{whom}", amount)
    elif kind == 4 and (amount := min(amount, world.has[person])):
        txid = world.on_chain(PEOPLE[who], DEPOSITS[whom % 2], amount)
        world.row(other, "T", amount, "deposit", world.time() + 10, txid=txid, address="0x" + DEPOSITS[whom % 2].hex())
        world.both(person, f"{other} T", amount)
    elif kind == 5 and (amount := min(amount, world.has[f"{account} T"])):
        txid = world.on_chain(HOT, PEOPLE[whom], amount)
        world.row(account, "T", -amount, "withdrawal", world.time() - 10, txid=txid, address="0x" + PEOPLE[whom].hex())
        world.both(f"{account} T", f"p{whom}", amount)
    elif kind == 6 and (amount := min(amount, world.has[f"{account} T"])) and account != other:
        address = DEPOSITS[whom % 2]
        txid = world.on_chain(HOT, address, amount)
        facts = {"txid": txid, "address": "0x" + address.hex()}
        world.row(account, "T", -amount, "withdrawal", world.time() - 10, **facts)
        world.row(other, "T", amount, "deposit", world.time() + 10, **facts)
        world.both(f"{account} T", f"{other} T", amount)
    elif kind == 7 and (amount := min(amount, world.has[f"{account} T"])) and account != other:
        world.on_chain(HOT, HOT, 1)
        for who_, change in ((account, -amount), (other, amount)):
            world.row(who_, "T", change, "transfer", world.time(), order=f"o{len(world.chain)}")
        world.both(f"{account} T", f"{other} T", amount)
    elif kind == 8:
        given, received = ("T", "U") if whom % 2 else ("U", "T")
        if amount := min(amount, world.has[f"{account} {given}"]):
            world.on_chain(HOT, HOT, 1)
            got = amount * 3 + 1
            world.row(account, given, -amount, "trade", world.time())
            world.row(account, received, got, "trade", world.time())
            world.both(f"{account} {given}", None, amount, given=len(world.moves))
            world.both(None, f"{account} {received}", got, received=len(world.moves) - 1)
    elif kind == 9 and (amount := min(amount, world.has[f"{account} T"])):
        world.on_chain(DEPOSITS[0], HOT, sum_at(world, DEPOSITS[0]))
        world.row(account, "T", -amount, "fee", world.time())
        world.both(f"{account} T", None, amount, role="fee")


def sum_at(world: World, address: bytes) -> int:
    """What an address has: all of it is swept."""
    return sum(a for _, to, a in world.chain if to == address) - sum(a for of, _, a in world.chain if of == address)


def resting(world: World, document: Any) -> Counter[tuple[str, str, int]]:
    """Traced units at rest by account, label and asset, in the chain's units."""
    names = {"0x" + address.hex(): f"p{n}" for n, address in enumerate(PEOPLE)}
    names |= {f"house/{account}": account for account in ACCOUNTS}
    found: Counter[tuple[str, str, int]] = Counter()
    for row in document["holdings"]:
        who = names[row["account"].lower()]
        for label, units in row["traced"].items():
            whole, rest = divmod(int(units), 10**world.finer)
            assert not rest
            found[who if who[0] == "p" else f"{who} {row['asset']}", label, 0] += whole
    return found


def lived(events: list[tuple[int, int, int, int]], finer: int = 0) -> World:
    world = World(finer=finer)
    world.on_chain(ZERO, HOT, MUCH)
    for event in events:
        happen(world, *event)
    return world


def compared(world: World, method: Method, sources: list[tuple[str, int | None]]) -> None:
    references = [name if amount is None else f"{name}={_said(world, name, amount)}" for name, amount in sources]
    with tempfile.TemporaryDirectory() as folder:
        trail = trace(
            references, [ledger(world, Path(folder) / "ledger")], statements(world),
            Policy(method=method, unit="record", stops=()), {"T": "0x" + TOKEN_BYTES.hex()},
        )  # fmt: skip
    history = History(ASSETS, tuple(world.moves))
    slow = slowly(history, [Source((world.sources[name],), amount) for name, amount in sources], Rules(method))
    wanted: Counter[tuple[str, str, int]] = Counter()
    for holder, pieces in slow.holdings.items():
        for label, _, units in pieces:
            if label is not None:
                wanted[HOLDERS[holder], f"S{label}", 0] += units
    assert resting(world, trail.document) == +wanted
    sums = slow.totals(history)
    for (label, asset), words in sums.items():
        name = ("T", "U")[asset]
        told = trail.document["totals"][f"S{label}"][name]
        assert int(told["fees"]) == words["fees"] * 10**world.finer
        assert int(told["converted_out"]) == words["converted"] * 10**world.finer
        assert int(told["stopped"]) == words["stopped"] == 0


def _said(world: World, name: str, amount: int) -> str:
    """An amount in base units of the chain, or in the asset's own of the records."""
    return str(Decimal(amount).scaleb(-world.decimals)) if name.startswith("record:") else str(amount)


@settings(deadline=None, max_examples=150)
@given(EVENTS, st.sampled_from(METHODS), st.data())
def test_in_turn_is_as_at_once(events: list[tuple[int, int, int, int]], method: Method, data: st.DataObject) -> None:
    world = lived([(0, 0, 0, 20), (2, 0, 0, 15), *events])
    names = data.draw(st.lists(st.sampled_from(sorted(world.sources)), min_size=1, max_size=3, unique=True))
    sources = []
    for name in names:
        amount = world.moves[world.sources[name]].amount
        sources.append((name, data.draw(st.none() | st.integers(1, amount))))
    compared(world, method, sources)


@settings(deadline=None, max_examples=50)
@given(EVENTS, st.sampled_from(METHODS))
def test_what_a_chain_is_too_coarse_for_is_counted(events: list[tuple[int, int, int, int]], method: Method) -> None:
    """Records count thousandths of the chain's units: trades leave fractions, and all re-adds."""
    world = lived([(1, 0, 0, 20), (4, 0, 0, 20), (8, 0, 1, 7), (8, 0, 0, 11), *events, (5, 0, 1, 29)], finer=3)
    with tempfile.TemporaryDirectory() as folder:
        snapshots = [ledger(world, Path(folder) / "ledger")]
        names = list(world.sources)[:3]
        policy = Policy(method=method, unit="record", stops=())
        trail = trace(names, snapshots, statements(world), policy, {"T": "0x" + TOKEN_BYTES.hex()})
        again = trace(names, snapshots, statements(world), policy, {"T": "0x" + TOKEN_BYTES.hex()})
    assert trail.json() == again.json()
    for row in trail.holdings:
        if row["reason"] == "below a unit":
            assert all(int(units) < 1000 * len(world.rows) for units in row["traced"].values())
    traced = sum(int(units) for row in trail.holdings for units in row["traced"].values())
    parts = [parts for assets in trail.totals.values() for parts in assets.values()]
    assert traced == sum(int(part["held"]) + int(part["stopped"]) for part in parts)


@pytest.mark.parametrize("method", METHODS)
def test_there_and_back_again(method: Method) -> None:
    """To an account, through a trade, out, in again by another's deposit address, and out."""
    events = [
        (1, 0, 0, 30), (0, 0, 0, 7), (4, 0, 0, 33), (8, 0, 1, 20), (2, 0, 0, 9), (5, 0, 1, 11), (4, 1, 1, 10),
        (8, 0, 0, 50), (6, 0, 1, 30), (7, 1, 0, 12), (9, 1, 0, 3), (5, 1, 2, 25), (3, 2, 0, 20), (4, 0, 1, 15),
    ]  # fmt: skip
    world = lived(events)
    stolen = next(name for name, at in world.sources.items() if world.moves[at].amount == 30)
    compared(world, method, [(stolen, None)])
    compared(world, method, [(stolen, 13), (next(n for n in world.sources if n.startswith("record")), None)])
