"""Small histories of account chains to trace in tests: a plain model and random ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal, TypeVar

from hypothesis import strategies as st

Method = Literal["fifo", "lifo", "haircut", "libr"]
METHODS: tuple[Method, ...] = ("fifo", "lifo", "haircut", "libr")

T = TypeVar("T")


@dataclass(frozen=True)
class Transfer:
    """A movement between holders of one asset, in transaction `tx`; `None` is nobody.

    `given` and `received` name the conversion that it gives to, or that it is received from.
    """

    sender: int | None
    recipient: int | None
    amount: int
    role: Literal["move", "fee", "burn"] = "move"
    tx: int = 0
    given: int | None = None
    received: int | None = None


@dataclass(frozen=True)
class History:
    """Transfers in chain order; a holder is an account's share of one asset."""

    assets: tuple[int, ...]
    """The asset of each holder."""
    transfers: tuple[Transfer, ...]
    incomplete: Mapping[int, int] = field(default_factory=dict)
    """Holders whose history is incomplete, and the place of the transfer from which on."""


@dataclass(frozen=True)
class Source:
    """One REF: transfers by their place, and the units to label in all of them together (None: all there is)."""

    transfers: tuple[int, ...]
    amount: int | None = None


@dataclass(frozen=True)
class MinAmount:
    """Stop where less than this is received."""

    units: int


@dataclass(frozen=True)
class Hops:
    """Stop from this hop on."""

    hops: int


@dataclass(frozen=True)
class AtHolders:
    """Stop what these holders receive."""

    holders: frozenset[int]


Stop = MinAmount | Hops | AtHolders


@dataclass(frozen=True)
class Policy:
    """The rules of one tracing; stops are tried in their order."""

    method: Method = "fifo"
    fees: Literal["stop", "follow"] = "stop"
    stops: tuple[Stop, ...] = ()


# Bare integers are drawn, for speed: a history takes hundreds of draws.
def _number(draw: st.DrawFn, least: int, most: int) -> int:
    return draw(st.integers(least, most))


def _pick(draw: st.DrawFn, options: Sequence[T]) -> T:
    return options[_number(draw, 0, len(options) - 1)]


class _Chain:
    """A history in the making, which knows what everyone has."""

    def __init__(self, draw: st.DrawFn, accounts: int, assets: int, scale: int, conversions: bool) -> None:
        self.draw, self.accounts, self.assets, self.scale = draw, accounts, assets, scale
        self.conversions = conversions
        self.has = [0] * (accounts * assets)
        self.transfers: list[Transfer] = []
        self.tx = self.groups = 0

    def holder(self, account: int, asset: int) -> int:
        return asset * self.accounts + account

    def anyone(self, asset: int) -> int:
        return self.holder(_number(self.draw, 0, self.accounts - 1), asset)

    def someone_with(self, asset: int) -> int:
        holders = [h for h in range(asset * self.accounts, (asset + 1) * self.accounts) if self.has[h]]
        return _pick(self.draw, holders) if holders else self.anyone(asset)

    def size(self, sender: int | None) -> int:
        draw = self.draw
        if sender is None:
            return _pick(draw, [self.scale, self.scale // 3, _number(draw, 0, self.scale)])
        has = self.has[sender]
        return _pick(
            draw,
            [has, has // 2, has // 3, has - min(has, 1), min(has, _number(draw, 0, 3)), _number(draw, 0, has)] * 3
            + [has + _number(draw, 1, 2 + self.scale // 9), 0],
        )

    def move(
        self,
        sender: int | None,
        recipient: int | None,
        role: Literal["move", "fee", "burn"] = "move",
        given: int | None = None,
        received: int | None = None,
    ) -> None:
        amount = self.size(sender)
        if sender is not None:
            self.has[sender] = max(0, self.has[sender] - amount)
        if recipient is not None:
            self.has[recipient] += amount
        self.transfers.append(Transfer(sender, recipient, amount, role, self.tx, given, received))

    def transaction(self) -> None:
        asset = _number(self.draw, 0, self.assets - 1)
        form = _pick(self.draw, ["pay"] * 6 + ["mint", "mint", "burn", "self", "fee", "fee", "lost"])
        if self.conversions and _number(self.draw, 0, 3) == 0:
            self.convert(asset)
        elif form == "mint":
            self.move(None, self.anyone(asset))
        elif form == "burn":
            self.move(self.someone_with(asset), None, "burn")
        elif form == "lost":
            self.move(_pick(self.draw, [None, self.someone_with(asset)]), None)
        elif form == "self":
            holder = self.someone_with(asset)
            self.move(holder, holder)
        elif form == "fee":
            self.move(self.someone_with(0), _pick(self.draw, [None, self.anyone(0)]), "fee")
        else:
            self.move(self.someone_with(asset), self.anyone(asset))
        self.tx += _number(self.draw, 0, 1)

    def convert(self, asset: int) -> None:
        other = _number(self.draw, 0, self.assets - 1)
        group, self.groups = self.groups, self.groups + 1
        for _ in range(_pick(self.draw, [1, 1, 2])):
            giver = self.someone_with(asset)
            back = _pick(self.draw, [None, None, None, _number(self.draw, 0, group)])
            if _number(self.draw, 0, 3):
                self.move(giver, self.anyone(asset), given=group, received=back)
            else:
                self.move(giver, None, "burn", given=group)
        if _number(self.draw, 0, 4) == 0:
            self.move(self.someone_with(asset), self.anyone(asset))
        for _ in range(_pick(self.draw, [1, 1, 1, 2])):
            payer = _pick(self.draw, [None, self.someone_with(other)])
            self.move(payer, _pick(self.draw, [self.anyone(other)] * 5 + [None]), received=group)


@st.composite
def histories(draw: st.DrawFn, conversions: bool = True, complete: bool = False) -> History:
    """Histories in which less than 2^126 units exist; unless `complete`, some holders spend what nobody saw arrive."""
    accounts, assets = _number(draw, 1, 5), _pick(draw, [1, 1, 2, 3])
    scale = _pick(draw, [20, 7, 10**3, 10**18, (1 << 53) // 3, 1 << 66, 1 << 100, (1 << 118) - 1])
    chain = _Chain(draw, accounts, assets, scale, conversions)
    for account in range(_number(draw, 1, accounts)):
        chain.move(None, chain.holder(account, _number(draw, 0, assets - 1)))
    for _ in range(_number(draw, 1, _pick(draw, [4, 12, 30]))):
        chain.transaction()
    holders = range(accounts * assets)
    transfers = tuple(chain.transfers)
    lacking = [h for h in holders if _number(draw, 0, 15) == 15] if _number(draw, 0, 3) == 3 else []
    incomplete = {h: _pick(draw, [0, _number(draw, 0, len(transfers))]) for h in lacking}
    if complete:
        transfers, incomplete = _covered(transfers, len(holders)), {}
    return History(tuple(h // accounts for h in holders), transfers, incomplete)


def _covered(transfers: tuple[Transfer, ...], holders: int) -> tuple[Transfer, ...]:
    """The transfers that a complete history can have."""
    has, kept = [0] * holders, []
    for transfer in transfers:
        if transfer.sender is not None:
            if transfer.amount > has[transfer.sender]:
                continue
            has[transfer.sender] -= transfer.amount
        if transfer.recipient is not None:
            has[transfer.recipient] += transfer.amount
        kept.append(transfer)
    return tuple(kept)


@st.composite
def sources(draw: st.DrawFn, history: History) -> list[Source]:
    """One to four REFs, of one transfer or a few, some with an amount."""
    places = range(len(history.transfers))
    early = places[: max(1, len(places) // 2)]
    refs: list[Source] = []
    for _ in range(_pick(draw, [1, 1, 2, 2, 3, 4])):
        chosen = {_pick(draw, _pick(draw, [early, early, places])) for _ in range(_pick(draw, [1, 1, 2, 3]))}
        worth = sum(history.transfers[place].amount for place in chosen)
        amount = _pick(draw, [None, None, _number(draw, 0, worth), worth // 2, worth + 1])
        refs.append(Source(tuple(sorted(chosen)), amount))
    return refs


@st.composite
def policies(draw: st.DrawFn, history: History) -> Policy:
    """Any policy."""
    stops: list[Stop] = []
    largest = max(transfer.amount for transfer in history.transfers)
    for _ in range(_pick(draw, [0, 0, 1, 2, 3])):
        form = _number(draw, 0, 2)
        if form == 0:
            stops.append(Hops(_number(draw, 0, 6)))
        elif form == 1:
            stops.append(MinAmount(_pick(draw, [0, 2, largest // 100, largest // 5])))
        else:
            stops.append(AtHolders(frozenset(h for h in range(len(history.assets)) if _number(draw, 0, 3) == 0)))
    return Policy(_pick(draw, METHODS), _pick(draw, ("stop", "follow")), tuple(stops))


@st.composite
def questions(draw: st.DrawFn) -> tuple[History, list[Source], Policy]:
    """A history with sources and a policy for it."""
    history = draw(histories())
    return history, draw(sources(history)), draw(policies(history))
