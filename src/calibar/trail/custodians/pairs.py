"""Rows of two accounts that are one payment, and P2P orders that a bank's row paid."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from typing import Final

from calibar.records.booked import Booked
from calibar.records.movement import Detail

BETWEEN: Final = 3 * 86_400
"""Seconds between the two ends of a payment between accounts: banks take days."""
_KNOWN_AS: Final = ("bank account", "email", "phone")
_SIDES: Final = ("counterparty account", "counterparty")
_INSIDE: Final = ("trade", "fee", "reward", "own")
"""Kinds that pay nobody else."""


def pairs(
    rows: Sequence[Booked], details: Iterable[Detail], settled: Collection[int] = ()
) -> dict[int, tuple[Booked, Booked]]:  # fmt: skip
    """Payments of which both accounts have a row: one names the other's account, or both name one operation of their
    custodian. By id() of both movements; `settled` are the id() of those of which it is known what they are."""
    names = _names(rows, details)
    sides, alone = _Nearest(), _said_once(rows)
    for row in rows:
        one = row.movement
        if one.change > 0 and one.kind not in _INSIDE and id(one) not in settled:
            what = one.asset, one.change
            sides.add(("of", row.account, *what), row)
            if (payer := names.get(_plain(one.fact("counterparty account")))) is not None:
                sides.add(("from", payer, *what), row)
            for operation in _operations(row, alone):
                sides.add((*operation, *what), row)
    found: dict[int, tuple[Booked, Booked]] = {}
    for row in rows:
        one = row.movement
        if one.change >= 0 or one.kind in _INSIDE or id(one) in settled:
            continue
        what = one.asset, -one.change
        keys: list[tuple[object, ...]] = [("from", row.account, *what)]
        if (payee := names.get(_plain(one.fact("counterparty account")))) is not None:
            keys.append(("of", payee, *what))
        keys += [(*operation, *what) for operation in _operations(row, alone)]
        nearest = sides.take(keys, one.time, row.account)
        if nearest is not None:
            found[id(one)] = found[id(nearest.movement)] = row, nearest
    return found


def p2p_paid(rows: Sequence[Booked], details: Iterable[Detail]) -> list[tuple[Booked, Booked]]:
    """P2P orders whose price in full a bank account of the same customer paid or received: what is given for what."""
    banks: dict[str, set[str]] = defaultdict(set)
    accounts = _by_number(rows)
    for detail in details:
        if detail.what == "bank account":
            for account in accounts.get(detail.account, ()):
                banks[account].add(_plain(detail.value))
    paid = _Nearest()
    for row in rows:
        one = row.movement
        if one.kind in ("fiat in", "fiat out"):
            paid.add(("of", _plain(one.account), one.asset, one.change), row)
            for name in _SIDES:
                if side := _plain(one.fact(name)):
                    paid.add((name, side, one.asset, one.change), row)
    found = []
    for row in rows:
        one = row.movement
        total = _amount(one.fact("total")) if one.kind == "p2p" else None
        if total is None or not one.change:
            continue
        what = one.fact("fiat").upper(), total if one.change < 0 else -total
        keys: list[tuple[object, ...]] = [("of", bank, *what) for bank in sorted(banks.get(row.account, ()))]
        keys += [(name, side, *what) for name in _SIDES if (side := _plain(one.fact(name)))]
        if (bank := paid.take(keys, one.time, row.account)) is not None:
            found.append((row, bank) if one.change < 0 else (bank, row))
    return found


class _Nearest:
    """Rows by what can be known of them; each is taken once."""

    def __init__(self) -> None:
        """None yet."""
        self._rows: dict[tuple[object, ...], list[tuple[int, int, Booked]]] = defaultdict(list)
        self._taken: set[int] = set()
        self._count = 0

    def add(self, key: tuple[object, ...], row: Booked) -> None:
        """Rows come in order of time."""
        self._rows[key].append((row.movement.time, self._count, row))
        self._count += 1

    def take(self, keys: Iterable[tuple[object, ...]], time: int, account: str) -> Booked | None:
        """The row under one of the keys nearest in time, of another account; None where there is none near enough."""
        best: tuple[int, int, Booked] | None = None
        for key in keys:
            rows = self._rows.get(key, [])
            at = bisect_left(rows, (time, -1))
            while at < len(rows) and id(rows[at][2].movement) in self._taken:
                del rows[at]
            while at and id(rows[at - 1][2].movement) in self._taken:
                del rows[at - 1]
                at -= 1
            for when, number, row in rows[max(0, at - 1) : at + 1]:
                far = abs(when - time)
                if row.account != account and far <= BETWEEN and (best is None or (far, number) < best[:2]):
                    best = far, number, row
        if best is None:
            return None
        self._taken.add(id(best[2].movement))
        return best[2]


def _by_number(rows: Sequence[Booked]) -> dict[str, set[str]]:
    accounts: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        accounts[row.movement.account].add(row.account)
    return accounts


def _names(rows: Sequence[Booked], details: Iterable[Detail]) -> dict[str, str]:
    """By what people call an account (its number; else the bank account, address or phone that its custodian has of
    it): the account. What several have is left out."""
    accounts = _by_number(rows)
    called: dict[str, set[str]] = defaultdict(set)
    for number, several in accounts.items():
        called[_plain(number)] |= several
    numbers = set(called)
    for detail in details:
        if detail.what in _KNOWN_AS and _plain(detail.value) not in numbers:
            called[_plain(detail.value)] |= accounts.get(detail.account, set())
    return {name: next(iter(several)) for name, several in called.items() if name and len(several) == 1}


def _plain(name: str) -> str:
    return "".join(name.casefold().split())


def _said_once(rows: Iterable[Booked]) -> set[tuple[object, ...]]:
    """Remarks that one row alone has of those that go out of a custodian's accounts, and one of those that come in."""
    count = Counter(
        (row.custodian, row.movement.change > 0, row.movement.fact("remark"))
        for row in rows
        if row.movement.kind == "transfer"
    )
    return {
        (custodian, text)
        for custodian, _, text in count
        if count[custodian, True, text] == count[custodian, False, text] == 1
    }


def _operations(row: Booked, alone: Collection[tuple[object, ...]]) -> Iterator[tuple[object, ...]]:
    """What the two rows of one operation inside a custodian have in common."""
    one = row.movement
    kind = {"deposit": "chain", "withdrawal": "chain", "fiat in": "fiat", "fiat out": "fiat"}.get(one.kind, one.kind)
    for name in ("order", "txid"):
        if value := one.fact(name):
            yield name, row.custodian, kind, value
    remark = one.fact("remark")
    if remark and kind == "transfer" and (row.custodian, remark) in alone:
        yield "remark", row.custodian, kind, remark


def _amount(text: str) -> Decimal | None:
    """A price in full, as exchanges write it; None for anything else."""
    try:
        found = Decimal(text.replace(",", ""))
    except InvalidOperation:
        return None
    return found if found.is_finite() and found > 0 else None
