"""Every movement of all documents once, with its custodian: what an account's books are made of."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable
from typing import NamedTuple

from calibar.records.checks import DAY, folded_name, joined, once
from calibar.records.exact import exact
from calibar.records.movement import Movement, Place
from calibar.records.reading import Read

CHAIN = ("deposit", "withdrawal")
_LOOKED = 16
"""Rows of one change before and after a time that are looked at."""


class Booked(NamedTuple):
    """A movement and who reports it."""

    custodian: str
    movement: Movement
    sha256: str = ""
    """Of the document that has it."""

    @property
    def account(self) -> str:
        """The account's name outside of its custodian."""
        return f"{self.custodian}/{self.movement.account}"


@exact()
def booked(reads: Iterable[Read]) -> list[Booked]:
    """Movements of complete statements, and of lists what no complete statement says within a day, in order of time.

    A list of deposits, withdrawals or P2P orders details a complete statement: its row, which has the transaction or
    the price, stands for both, also where the statement has the fee in the same amount and the list has it apart.
    """
    reads = list(reads)
    spelled: dict[str, str] = {}
    home = {
        id(one): (spelled.setdefault(folded_name(each.custodian), each.custodian), read.delivery.sha256, id(each))
        for read in reads
        for each in read.statements
        for one in each.movements
    }
    said = {key: custodian for key, (custodian, _, _) in home.items()}
    whole = joined(reads)
    loose: dict[tuple[object, ...], list[Movement]] = defaultdict(list)
    for one in whole:
        loose[said[id(one)], one.account, one.asset, one.change].append(one)
    rows: dict[tuple[int, Place], list[Movement]] = {}
    for one in once(statement for read in reads for statement in read.statements if not statement.complete):
        rows.setdefault((home[id(one)][2], one.place), []).append(one)
    replaced: set[int] = set()
    alive: list[Movement] = []  # so that no id() is given twice
    added: list[Movement] = []
    for group in rows.values():
        main = next((one for one in group if one.kind != "fee"), group[0])
        whole_sum = sum(one.change for one in group if one.asset == main.asset)
        account = said[id(main)], main.account, main.asset
        found = _take(main, loose[*account, main.change]) or _take(main, loose[*account, whole_sum])
        if found is None:
            added += group
            continue
        if main.kind in (*CHAIN, "p2p"):
            replaced.add(id(found))
            kept = [main] if found.change == main.change else [one for one in group if one.asset == main.asset]
            wallet = main.wallet or found.wallet
            told = [one._replace(wallet=wallet) for one in kept]
            told[-1] = told[-1]._replace(balance=found.balance)
            home |= {id(new): home[id(old)] for new, old in zip(told, kept, strict=True)}
            alive += told
            added += told
            said_apart = [one for one in group if one is not main]
            if found.change != main.change:
                said_apart = [one for one in said_apart if one.asset != main.asset]
            for one in said_apart:
                if _take(one, loose[said[id(one)], one.account, one.asset, one.change]) is None:
                    added.append(one)
    every = [one for one in whole if id(one) not in replaced] + added
    return [Booked(home[id(one)][0], one, home[id(one)][1]) for one in sorted(every, key=lambda one: one.time)]


def _take(one: Movement, alike: list[Movement]) -> Movement | None:
    """Of rows of one change in order of time, the nearest within a day, which is none of them any more."""
    at = bisect_left(alike, one.time, key=lambda row: row.time)
    near = [n for n in range(max(0, at - _LOOKED), min(len(alike), at + _LOOKED)) if _fits(one, alike[n])]
    best = min(near, key=lambda n: abs(alike[n].time - one.time), default=None)
    return None if best is None else alike.pop(best)


def _fits(one: Movement, other: Movement) -> bool:
    return other.kind in (one.kind, "other") and abs(other.time - one.time) <= DAY


def moved_on_chains(reads: Iterable[Read]) -> list[Movement]:
    """Deposits and withdrawals, each once. In order of time."""
    return [one.movement for one in booked(reads) if one.movement.kind in CHAIN]
