"""Watch the accounts where a trail's value rests on an account chain, and tell when it moves.

No server of such a chain tells by itself: each round asks anew what every held account has of its asset, and what it
moved from a height on. Where nothing is new, nothing is kept. Else the whole trail is fetched on and followed again:
what moves is what has steps that it had not before. What is in no block yet nobody tells of.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, NamedTuple

from calibar.chains.remote.transfers_told import Explorer, Question
from calibar.errors import DamageError, UsageError
from calibar.ledger.case.accounts.snapshot import CaseAccountSnapshot
from calibar.ledger.case.case import Case
from calibar.trail.accounts.fetching import AccountFetcher, Wanted
from calibar.trail.accounts.hearing import Hearing, KeptBack
from calibar.trail.accounts.table import decimals_of
from calibar.trail.accounts.trace import trace
from calibar.trail.fetching import REORGANISATION, Limits, Progress, Report
from calibar.trail.policy import Policy

What = Literal["still", "moved", "back", "differs"]
"""Not moved; moved in a block; a move that was told of is undone; transfers leave something else than servers say."""


_LATE_S: Final = 3600
"""Seconds for which a step of which no height is told counts as late."""
Name = tuple[str, str]
"""An account and an asset, as the trail names them."""


class _Step(NamedTuple):
    """A step of the trail, by what no later word about it changes."""

    txid: str | None
    kind: str
    asset: str
    giver: str | None
    taker: str | None
    number: int
    """Of those that are alike."""


@dataclass(frozen=True, slots=True)
class Account:
    """An account with traced value: what it has of an asset, and how much of that by label; base units, as text."""

    account: str
    asset: str
    value: str
    labels: Mapping[str, str]
    symbol: str | None
    """As the token says."""
    decimals: int | None
    wanted: Wanted = field(repr=False)

    @property
    def name(self) -> Name:
        """Whose, and of what."""
        return self.account, self.asset


@dataclass(frozen=True, slots=True)
class Event:
    """What became of an account's value, and when that was seen (seconds since 1970 UTC)."""

    what: What
    time: int
    watched: Account
    step: Mapping[str, Any] | None = None
    """Of the trail: what moved."""
    said: Mapping[str, str] = field(default_factory=dict)
    """By server, what the account is said to have."""

    def document(self) -> dict[str, Any]:
        """As JSON and as the variables of a command."""
        step, watched = self.step, self.watched
        return {
            "event": self.what,
            "time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.time)),
            "account": watched.account,
            "asset": watched.asset,
            "symbol": watched.symbol,
            "decimals": watched.decimals,
            "value": watched.value,
            "labels": dict(watched.labels if step is None else step["inputs"][0]["traced"]),
            "kind": None if step is None else step["kind"],
            "to": None if step is None else step["outputs"][0]["account"],
            "transfer": None if step is None else step["transfer"],
            "height": None if step is None else step["height"],
            "said": dict(self.said),
        }


class AccountWatch:
    """Accounts under watch. `trouble` is what the last round could not learn, in words."""

    def __init__(
        self,
        case: Case,
        sources: Sequence[Explorer],
        kept: KeptBack,
        references: Sequence[str],
        policy: Policy,
        limits: Limits | None = None,
        progress: Progress | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Begin from what the case has kept, where that is a trail, else from what is fetched now.

        `kept` is what the sources give their exchanges to.
        """
        self._case, self._sources, self._kept = case, [Hearing(source) for source in sources], kept
        self._references, self._policy, self._limits = references, policy, limits or Limits()
        self._progress, self._clock = progress, clock
        self._told: dict[tuple[str, Question], object] = {}
        self._steps: dict[_Step, Mapping[str, Any]] = {}
        self._watched: dict[Name, Account] = {}
        self._unclear: dict[Name, dict[str, str]] = {}
        """What servers say that accounts have, where their transfers do not make it."""
        self._told_unclear: dict[Name, dict[str, str]] = {}
        self._known: set[str] = set()
        """Transactions that the case had at the last look."""
        self._tip: tuple[int | None, str | None] = None, None
        self.held: list[Account] = []
        """Accounts that labelled value rests in."""
        self.unclear: list[Account] = []
        """Accounts that it came to, and whose transfers do not make what they are said to have."""
        self.unseen = 0
        """Accounts of the trail of which nobody told a history: they are not watched."""
        self.trouble: list[str] = []
        self._liars: set[str] = set()
        self._to_follow, self._stuck = False, list[str]()
        self._early: list[Event] = []
        """What is told with the first round."""
        try:
            self._look()
            is_known = not (self.unseen or self.unclear)
        except UsageError:  # nothing of it is kept yet
            is_known = False
        if not is_known:
            fetcher = self._fetcher()
            fetcher.begin()
            fetcher.trail(references, policy)
            self._early = self._look(at_start=True)
        self._first = max(0, case.accounts.tip - REORGANISATION)

    def document(self) -> dict[str, Any]:
        """What is watched, as JSON."""
        assets: dict[str, dict[str, Any]] = {}
        for held in self.held:
            said = assets.setdefault(held.asset, {"symbol": held.symbol, "decimals": held.decimals, "labels": {}})
            for label, amount in held.labels.items():
                said["labels"][label] = str(int(said["labels"].get(label, "0")) + int(amount))
        return {
            "event": "watching",
            "accounts": len(self.held),
            "assets": assets,
            "unclear": len(self.unclear),
            "height": self._tip[0],
            "block": self._tip[1],
            "not_watched": self.unseen,
        }

    def state_of(self, watched: Account) -> Event:
        """How it stands with an account, by the last round."""
        said, watched = self._unclear.get(watched.name), self._watched.get(watched.name, watched)
        return Event("still" if said is None else "differs", int(self._clock()), watched, said=said or {})

    def round(self) -> list[Event]:
        """Ask of every account and, where anything is new, follow. Raises UsageError where no server can be used."""
        fetcher = self._fetcher()
        with self._kept.back():
            fetcher.begin()
            fetcher.again([watched.wanted for watched in self._watched.values()], self._first)
            heard = {(each.place, question): told for each in self._sources for question, told in each.heard.items()}
            self.trouble = [*_words(fetcher.report), *self._stuck]
            liars = {lie.place for lie in fetcher.report.lies}
            nothing = object()
            is_new = any(self._told.get(key, nothing) != told for key, told in heard.items())
            is_new |= not liars <= self._liars
            self._told |= heard
            self._liars = liars
            self._to_follow |= is_new
            if self._to_follow:
                self._kept.let_through()
        early, self._early = self._early, []
        return early + (self._followed() if self._to_follow else [])

    def _followed(self) -> list[Event]:
        """Fetch the trail on, and what has become of it since it was followed last."""
        follower = self._fetcher()
        events, self._stuck = list[Event](), list[str]()
        try:
            follower.trail(self._references, self._policy)
            self._to_follow = False
            events = self._look()
        except (UsageError, DamageError) as error:
            self.trouble.append(str(error))
            if follower.sources:  # what is known cannot be followed: not before there is something new
                self._to_follow, self._stuck = False, [str(error)]
        self._case.commit()
        self.trouble += [words for words in _words(follower.report) if words not in self.trouble]
        return events

    def wait(self, seconds: float) -> None:
        """Until `seconds` have passed: no server tells by itself."""
        time.sleep(max(0.0, seconds))

    def _fetcher(self) -> AccountFetcher:
        for source in self._sources:
            source.heard.clear()
        return AccountFetcher(self._case, self._sources, self._limits, self._progress)

    def _look(self, *, at_start: bool = False) -> list[Event]:
        """Follow the trail by what is kept, read off it whom to watch, and what became of those watched so far.

        `at_start` a step is no news whose transaction the case had; later it is where its giver was unclear.
        """
        snapshot = self._case.account_snapshot()
        trail = trace(self._references, snapshot, self._policy).document
        steps = _numbered(trail["steps"])
        known = {snapshot.tx_hash(row) for row in range(snapshot.counts["transactions"])}
        gone = [step for step in self._steps if step not in steps and step.txid not in known]
        more = [step for step in steps if step not in self._steps]
        unclear_before = set() if at_start else set(self._unclear)
        came = [step for step in more if step.txid not in self._known or (step.giver, step.asset) in unclear_before]
        events = [*self._moves("back", gone, self._steps), *self._moves("moved", came, steps)]
        self._known = known
        self._steps = {step: row for step, row in self._steps.items() if step not in gone} | steps
        self._tip = snapshot.tip()
        found, unclear, held = self._resting(trail, snapshot)
        if not gone and any(row["reason"] in ("incomplete history", "not looked at") for row in trail["holdings"]):
            reached = {(row["account"], row["asset"]) for row in trail["holdings"]}
            reached |= {(step.giver, step.asset) for step in more}
            for watched in (*self.held, *self.unclear):
                if watched.name not in reached:  # what breaks the trail stands before it
                    found[watched.name], unclear[watched.name] = watched, self._said_of(watched)
        # A list may lag behind a balance: it is told what is unclear when it was so the time before too.
        now = int(self._clock())
        for name, said in unclear.items():
            before = self._told_unclear.get(name)
            is_told = before is not None and set(said.values()) == set(before.values())
            if name in self._watched and name in self._unclear and not is_told:
                events.append(Event("differs", now, found[name], said=said))
                self._told_unclear[name] = said
        self._to_follow |= any(name in self._watched and name not in self._unclear for name in unclear)
        self._told_unclear = {name: said for name, said in self._told_unclear.items() if name in unclear}
        self._unclear = unclear
        self.held, self.unclear = [found[name] for name in held], [found[name] for name in unclear]
        self.unseen = len(found) - len(held) - len(unclear)
        resting = {account.name: account for account in (*self.held, *self.unclear)}
        self._watched = self._lately(trail, snapshot) | resting
        return events

    def _resting(
        self, trail: Mapping[str, Any], snapshot: CaseAccountSnapshot
    ) -> tuple[dict[Name, Account], dict[Name, dict[str, str]], list[Name]]:
        """Accounts that value rests in or was lost at; what is said of those that are unclear; those that hold it, also
        by a word that is not of the last block."""
        found, unclear, held = dict[Name, Account](), dict[Name, dict[str, str]](), list[Name]()
        rows: dict[Name, list[Mapping[str, Any]]] = {}
        for row in trail["holdings"]:
            if row["reason"] in ("unspent", "not looked at", "incomplete history"):
                rows.setdefault((row["account"], row["asset"]), []).append(row)
        for name, mine in rows.items():
            sums: Counter[str] = Counter()
            for row in mine:
                sums.update({label: int(amount) for label, amount in row["traced"].items()})
            traced = {label: str(amount) for label, amount in sorted(sums.items())}
            account = found[name] = _account(trail, snapshot, *name, {"value": mine[0]["value"], "traced": traced})
            said = self._said_of(account)
            if any(row["reason"] == "incomplete history" for row in mine) or set(said.values()) - {account.value}:
                if self._case.accounts.is_listed(*account.wanted):
                    unclear[name] = said
            elif said:
                held.append(name)
        return found, unclear, held

    def _moves(self, what: What, steps: Sequence[_Step], rows: Mapping[_Step, Mapping[str, Any]]) -> Iterator[Event]:
        """Of steps from watched accounts."""
        for step in steps:
            watched = self._watched.get((step.giver or "", step.asset))
            if watched is not None:
                yield Event(what, int(self._clock()), watched, rows[step])

    def _said_of(self, account: Account) -> dict[str, str]:
        """What servers say that an account has: as of the last block that each named, or else what they said last."""
        state = self._case.accounts
        if not state.is_listed(*account.wanted):
            return {}
        told = state.holdings.get(account.wanted, {})
        fresh = [place for place in told if state.is_fresh(*account.wanted, place)]
        return {place: str(told[place][0].amount) for place in fresh or told}

    def _lately(self, trail: Mapping[str, Any], snapshot: CaseAccountSnapshot) -> dict[Name, Account]:
        """Who gave traced value so lately that another branch may take that back."""
        settled = self._case.accounts.tip - REORGANISATION
        long_ago = int(snapshot["blocks.time"].max(initial=0)) - _LATE_S
        late = [
            step
            for step in trail["steps"]
            if (step["time"] > long_ago if step["height"] is None else step["height"] > settled)
        ]
        names = {(row["account"], step["asset"]) for step in late for row in step["inputs"] if row["traced"]}
        nothing = {"value": "0", "traced": {}}
        return {name: _account(trail, snapshot, *name, nothing) for name in sorted(names)}


def _words(report: Report) -> list[str]:
    """What a fetch could not learn, and what cannot be."""
    unheard = [f"{name}: {why}" for name, why in report.unanswered.items()]
    return [f"{lie.place} told what cannot be: {lie.what}" for lie in report.lies] + unheard


def _numbered(rows: Sequence[Mapping[str, Any]]) -> dict[_Step, Mapping[str, Any]]:
    found: dict[_Step, Mapping[str, Any]] = {}
    alike: Counter[tuple[str | None, ...]] = Counter()
    for row in rows:
        name = row["txid"], row["kind"], row["asset"], row["inputs"][0]["account"], row["outputs"][0]["account"]
        found[_Step(*name, alike[name])] = row
        alike[name] += 1
    return found


def _account(
    trail: Mapping[str, Any], snapshot: CaseAccountSnapshot, account: str, asset: str, row: Mapping[str, Any]
) -> Account:
    number = snapshot.find_asset(asset)
    assert number is not None  # noqa: S101  (the trail has it)
    symbol = trail["assets"].get(asset, {}).get("symbol")
    wanted = snapshot.read_address(account), snapshot.asset_told(number)
    return Account(account, asset, row["value"], row["traced"], symbol, decimals_of(trail, asset), wanted)
