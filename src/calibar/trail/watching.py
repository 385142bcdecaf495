"""Watch the coins where a trail's value rests, and tell when they move.

Each round asks anew what spends every held coin, in a block or in none yet; what is told is shown by the spending
transaction's own bytes, and by its branch where it is in a block. Value that moved in a block is followed on.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from calibar.chains.bitcoin.script import address_of
from calibar.chains.bitcoin.sources.choose import is_here
from calibar.chains.bitcoin.sources.told import Outpoint, Source, SpenderQuestion
from calibar.errors import DecodeError, UsageError
from calibar.ledger.case.case import Case
from calibar.trail.fetching import REORGANISATION, Fetcher, Limits, Progress, name_of
from calibar.trail.listening import Listening
from calibar.trail.policy import Policy
from calibar.trail.trace import trace

LEAST_S: Final = 5.0
"""Seconds between rounds that ask another machine."""
_LEAST_HERE_S: Final = 0.1
What = Literal["still", "moving", "moved", "back"]
"""Not moved; spent in no block yet; spent in a block; a spend that was told of is undone."""


@dataclass(frozen=True, slots=True)
class Spend:
    """What spends a coin, and where: both None while that is in no block."""

    txid: bytes
    height: int | None = None
    block: bytes | None = None


@dataclass(frozen=True, slots=True)
class Watched:
    """A coin with traced value: satoshi, and how many of them by label."""

    coin: Outpoint
    script: bytes
    address: str
    satoshi: int
    traced: Mapping[str, int]

    @property
    def name(self) -> str:
        """Which coin."""
        return name_of(self.coin)


@dataclass(frozen=True, slots=True)
class Event:
    """What became of a coin, and when that was seen (seconds since 1970 UTC)."""

    what: What
    time: int
    watched: Watched
    spend: Spend | None = None

    def document(self) -> dict[str, Any]:
        """As JSON and as the variables of a command."""
        spend, watched = self.spend, self.watched
        return {
            "event": self.what,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.time)),
            "coin": watched.name,
            "address": watched.address,
            "satoshi": watched.satoshi,
            "labels": dict(watched.traced),
            "spent_by": None if spend is None else spend.txid[::-1].hex(),
            "height": None if spend is None else spend.height,
            "block": None if spend is None or spend.block is None else spend.block[::-1].hex(),
        }


class Watch:
    """Coins under watch. `trouble` is what the last round could not learn, in words."""

    def __init__(
        self,
        case: Case,
        sources: Sequence[Source],
        references: Sequence[str],
        policy: Policy,
        limits: Limits | None = None,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin from what the case has kept, where that is a trail, else from what is fetched now."""
        self._case, self._sources = case, [Listening(source) for source in sources]
        self._references, self._policy, self._limits = references, policy, limits or Limits()
        self._progress, self._clock = progress, clock
        self._state = case.coins
        self._candidates: dict[Outpoint, set[bytes]] = {}
        self._spends: dict[Outpoint, Spend] = {}
        self._coins: dict[Outpoint, Watched] = {}
        self.held: list[Watched] = []
        """Coins that labelled value rests in."""
        self.unclear: list[Watched] = []
        """None: what spends a coin is known, or nothing does."""
        self.unseen = 0
        """Coins of the trail that no server told of: they are not watched."""
        self.trouble: list[str] = []
        self._to_follow = True
        try:
            self._look(first=True)
        except UsageError:  # nothing of it is kept yet
            fetcher = self._fetcher()
            fetcher.begin()
            fetcher.trail(references, policy)
            self._look()
            self._to_follow = False

    def document(self) -> dict[str, Any]:
        """What is watched, as JSON."""
        height, tip = self._state.tip, self._state.chain.hashes.get(self._state.tip)
        labels: dict[str, int] = {}
        for watched in self.held:
            for label, amount in watched.traced.items():
                labels[label] = labels.get(label, 0) + amount
        return {
            "event": "watching",
            "coins": len(self.held),
            "satoshi": sum(watched.satoshi for watched in self.held),
            "labels": labels,
            "height": height if tip else None,
            "block": tip[::-1].hex() if tip else None,
            "not_watched": self.unseen,
        }

    def state_of(self, watched: Watched) -> Event:
        """How it stands with a coin, by the last round."""
        spend = self._spends.get(watched.coin)
        what: What = "still" if spend is None else "moving" if spend.height is None else "moved"
        return Event(what, int(self._clock()), watched, spend)

    def round(self) -> list[Event]:
        """Ask of every coin, and follow what moved. Raises UsageError where no server can be used."""
        self.trouble = []
        fetcher = self._fetcher()
        fetcher.begin()
        self._ask(fetcher)
        events = [event for watched in self._coins.values() for event in self._compared(watched)]
        self._case.commit()
        self._to_follow |= any(event.what in ("moved", "back") for event in events)
        if self._to_follow:
            try:
                fetcher.trail(self._references, self._policy)
                self._look()
                self._to_follow = False
            except UsageError as error:
                self.trouble.append(str(error))
        self.trouble += [f"{lie.place} told what cannot be: {lie.what}" for lie in fetcher.report.lies]
        return events

    def wait(self, seconds: float) -> None:
        """Until a server tells that something stirs at a watched address, or `seconds` have passed."""
        began = time.monotonic()
        least = _LEAST_HERE_S if all(is_here(source.place) for source in self._sources) else LEAST_S
        scripts = {watched.script for watched in self._coins.values()}
        for source in self._sources:
            stirs = getattr(source.inner, "watch", None)
            if stirs is None:
                continue
            try:
                if next(stirs(scripts, seconds), None) is not None:
                    seconds = min(seconds, least)
                break
            except (UsageError, DecodeError) as error:
                self.trouble.append(str(error))
        time.sleep(max(0.0, began + seconds - time.monotonic()))

    def _fetcher(self) -> Fetcher:
        for source in self._sources:
            source.heard.clear()
        return Fetcher(self._case, self._sources, self._limits, self._progress)

    def _ask(self, fetcher: Fetcher) -> None:
        """What spends the coins of which no block shows it, by the first server that answers, or by every one."""
        asked = [watched for watched in self._coins.values() if self._in_block(watched.coin) is None]
        left = asked
        for source in self._sources:
            fetcher.sources = [source]
            try:
                refused = fetcher.ask(SpenderQuestion(watched.coin, watched.script) for watched in left)
                self.trouble += [f"{name_of(q.coin)}: {why}" for q, why in refused.items() if isinstance(q, SpenderQuestion)]  # fmt: skip  # noqa: E501
            except UsageError as error:
                self.trouble.append(str(error))
            if not self._limits.cross_check:
                left = [watched for watched in left if watched.coin not in source.heard]
        fetcher.sources = list(self._sources)
        state, wanted = self._state, dict[bytes, int | None]()
        for watched in asked:
            found = self._later(watched.coin)
            self._candidates.setdefault(watched.coin, set()).update(found)
            for txid, height in found.items():
                if txid not in state.transactions or (height > 0 and txid not in state.places):
                    wanted[txid] = height
        if wanted:
            fetcher.transactions(wanted.items())

    def _later(self, coin: Outpoint) -> dict[bytes, int]:
        """Transactions that may spend a coin, by what was said in this round, with the heights that were said."""
        placed = self._state.places.get(coin.txid)
        told = {txid: at for source in self._sources for txid, at in source.heard.get(coin, {}).items()}
        later = {txid: at for txid, at in told.items() if placed is None or at <= 0 or at >= placed.height}
        if len(later) > self._limits.history:
            self.trouble.append(
                f"{name_of(coin)}: its address has {len(later)} later transactions; --most N allows more"
            )
            return {}
        return later

    def _spenders(self, coin: Outpoint) -> list[bytes]:
        """Known transactions that spend a coin."""
        state = self._state
        first = state.spender_of(coin)
        named = self._candidates.get(coin, set()) | (set() if first is None else {first})
        return sorted(txid for txid in named if txid in state.transactions and coin in state.transactions[txid].inputs)

    def _in_block(self, coin: Outpoint) -> Spend | None:
        state = self._state
        for txid in self._spenders(coin):
            if (placed := state.places.get(txid)) is not None:
                return Spend(txid, placed.height, state.chain.hashes[placed.height])
        return None

    def _spend_of(self, coin: Outpoint) -> Spend | None:
        if (shown := self._in_block(coin)) is not None:
            return shown
        before = self._spends.get(coin)
        answers = [source.heard[coin] for source in self._sources if coin in source.heard]
        if not answers:  # nobody answered: as it was, but for a block that left
            return None if before is None else Spend(before.txid)
        pending = [txid for txid in self._spenders(coin) if any(txid in told for told in answers)]
        if before is not None and before.txid in pending:
            return Spend(before.txid)
        return Spend(pending[0]) if pending else None

    def _compared(self, watched: Watched) -> list[Event]:
        before, now = self._spends.get(watched.coin), self._spend_of(watched.coin)
        if now == before:
            return []
        when, events = int(self._clock()), list[Event]()
        if now is None:
            del self._spends[watched.coin]
        else:
            self._spends[watched.coin] = now
        undone = before is not None and (now is None or (before.height is not None and now.height is None))
        if undone:
            events.append(Event("back", when, watched, before))
        if now is not None and now.height is not None:
            events.append(Event("moved", when, watched, now))
        elif now is not None and (before is None or now.txid != before.txid):
            events.append(Event("moving", when, watched, now))
        return events

    def _look(self, *, first: bool = False) -> None:
        """Read off the trail which coins are to be watched: the held ones, and those spent so lately that another
        branch may take the spend back."""
        state = self._state
        trail = trace(self._references, self._case.snapshot(), self._policy)
        coins, spends = dict[Outpoint, Watched](), dict[Outpoint, Spend]()
        for step in trail.steps:
            if step["height"] is not None and step["height"] > state.tip - REORGANISATION:
                spend = Spend(bytes.fromhex(step["txid"])[::-1], step["height"], state.chain.hashes[step["height"]])
                for entry in step["inputs"]:
                    if entry["coin"] is not None and entry["traced"]:
                        watched = self._watched(entry)
                        coins[watched.coin] = watched
                        spends[watched.coin] = spend
                        self._candidates.setdefault(watched.coin, set()).add(spend.txid)
        resting = [row for row in trail.holdings if row["state"] == "held" and row["reason"] == "unspent"]
        self.held = [self._watched(row) for row in resting]
        self.unseen = sum(row["reason"] == "not looked at" for row in trail.holdings)
        coins |= {watched.coin: watched for watched in self.held}
        if first:  # what was known to be on its way when the case was fetched last
            for row, watched in zip(resting, self.held, strict=True):
                if "pending" in row:
                    spends[watched.coin] = Spend(bytes.fromhex(row["pending"])[::-1])
        self._coins, self._spends = coins, {c: s for c, s in (spends | self._spends).items() if c in coins}

    def _watched(self, row: Mapping[str, Any]) -> Watched:
        txid, _, output = row["coin"].partition(":")
        coin = Outpoint(bytes.fromhex(txid)[::-1], int(output))
        made = self._state.output_of(coin)
        assert made is not None  # noqa: S101  (the trail has its value)
        return Watched(coin, made.script, address_of(made.script, self._state.network), made.value, row["traced"])
