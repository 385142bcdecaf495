"""Watch the accounts where a trail's value rests on an account chain, and tell when it moves.

No server of such a chain tells by itself: each round asks anew what every held account has of its asset, and what it
moved from a height on. Where nothing is new, nothing is kept. Else the whole trail is fetched on and followed again:
what moves is what has steps that it had not before. What is in no block yet nobody tells of.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.remote.transfers_told import Explorer, Holding, NewestQuestion, Question, Told
from calibar.errors import UsageError
from calibar.ledger.case.accounts.snapshot import CaseAccountSnapshot
from calibar.ledger.case.case import Case
from calibar.trail.accounts.fetching import AccountFetcher, Wanted
from calibar.trail.accounts.table import decimals_of
from calibar.trail.accounts.trace import trace
from calibar.trail.fetching import REORGANISATION, Limits, Progress, Report
from calibar.trail.policy import Policy

What = Literal["still", "moved", "back", "differs"]
"""Not moved; moved in a block; a move that was told of is undone; transfers leave something else than servers say."""


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


class KeptBack:
    """What servers answer in a round, kept back until it is known whether any of it is new."""

    def __init__(self, case: Case) -> None:
        self._case = case
        self._waiting: list[Exchange] | None = None

    def __call__(self, exchange: Exchange) -> None:
        """See `told.Keep`."""
        if self._waiting is None:
            self._case.keep(exchange)
        else:
            self._waiting.append(exchange)

    @contextmanager
    def back(self) -> Iterator[None]:
        """While this lasts nothing is kept; what was not let through by then is dropped."""
        self._waiting = []
        try:
            yield
        finally:
            self._waiting = None

    def let_through(self) -> None:
        """Keep what was kept back, and what comes."""
        waiting, self._waiting = self._waiting or [], None
        for exchange in waiting:
            self._case.keep(exchange)


class _Hearing:
    """A source, and what it told in this round."""

    def __init__(self, source: Explorer) -> None:
        self._inner = source
        self.kind, self.place, self.chain = source.kind, source.place, source.chain
        self.heard: dict[Question, object] = {}

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """As the source does."""
        for question, told in self._inner.ask(questions):
            if not isinstance(question, NewestQuestion):
                self.heard[question] = told.amount if isinstance(told, Holding) else told
            yield question, told

    def close(self) -> None:
        """Hang up."""
        self._inner.close()


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
        self._case, self._sources, self._kept = case, [_Hearing(source) for source in sources], kept
        self._references, self._policy, self._limits = references, policy, limits or Limits()
        self._progress, self._clock = progress, clock
        self._told: dict[tuple[str, Question], object] = {}
        self._steps: dict[_Step, Mapping[str, Any]] = {}
        self._watched: dict[Name, Account] = {}
        self._differing: dict[Name, dict[str, str]] = {}
        """What servers say that accounts have, where their transfers leave something else."""
        self._tip: tuple[int | None, str | None] = None, None
        self.held: list[Account] = []
        """Accounts that labelled value rests in."""
        self.unseen = 0
        """Accounts of the trail of which nobody told a history: they are not watched."""
        self.trouble: list[str] = []
        self._lies: list[str] = []
        self._to_follow = False
        try:
            self._look()
        except UsageError:  # nothing of it is kept yet
            fetcher = self._fetcher()
            fetcher.begin()
            fetcher.trail(references, policy)
            self._look()
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
            "height": self._tip[0],
            "block": self._tip[1],
            "not_watched": self.unseen,
        }

    def state_of(self, watched: Account) -> Event:
        """How it stands with an account, by the last round."""
        said, watched = self._differing.get(watched.name), self._watched.get(watched.name, watched)
        return Event("still" if said is None else "differs", int(self._clock()), watched, said=said or {})

    def round(self) -> list[Event]:
        """Ask of every account and, where anything is new, follow. Raises UsageError where no server can be used."""
        fetcher = self._fetcher()
        with self._kept.back():
            fetcher.begin()
            fetcher.again([watched.wanted for watched in self._watched.values()], self._first)
            heard = {(each.place, question): told for each in self._sources for question, told in each.heard.items()}
            before, self._lies = self._lies, _words(fetcher.report)
            self.trouble = list(self._lies)
            is_new = not set(self._lies) <= set(before) or any(
                self._told.get(key) != told for key, told in heard.items()
            )
            self._told |= heard
            self._to_follow |= is_new
            if self._to_follow:
                self._kept.let_through()
        return self._followed() if self._to_follow else []

    def _followed(self) -> list[Event]:
        """Fetch the trail on, and what has become of it since it was followed last."""
        follower = self._fetcher()
        try:
            follower.trail(self._references, self._policy)
            events = self._look()
            self._to_follow = False
        except UsageError as error:
            self.trouble.append(str(error))
            events = []
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

    def _look(self) -> list[Event]:
        """Follow the trail by what is kept, read off it whom to watch, and what became of those watched so far."""
        snapshot = self._case.account_snapshot()
        trail = trace(self._references, snapshot, self._policy).document
        steps = _numbered(trail["steps"])
        known = {snapshot.tx_hash(row) for row in range(snapshot.counts["transactions"])}
        gone = [step for step in self._steps if step not in steps and step.txid not in known]
        came = [step for step in steps if step not in self._steps]
        events = [*self._moves("back", gone, self._steps), *self._moves("moved", came, steps)]
        self._steps = {step: row for step, row in self._steps.items() if step not in gone} | steps
        self._tip = snapshot.tip()
        ended = {(step.giver, step.asset) for step in came} | {(step.taker, step.asset) for step in gone}
        unmoved = {name: watched for name, watched in self._watched.items() if name not in ended}
        lying = [row for row in trail["holdings"] if row["reason"] in ("unspent", "not looked at")]
        rows = {(row["account"], row["asset"]): row for row in lying}
        found = {name: _account(trail, snapshot, *name, row) for name, row in rows.items()}
        differing = {name: said for name, row in rows.items() if (said := self._said_of(found[name], row))}
        now = int(self._clock())
        events += [
            Event("differs", now, found[name], said=said)
            for name, said in differing.items()
            if name in self._watched and said != self._differing.get(name)
        ]
        self._differing = differing
        self.held = [found[name] for name, row in rows.items() if row["state"] == "held"]
        self.unseen = len(rows) - len(self.held) - len(differing)
        watched = {held.name: held for held in self.held} | {name: found[name] for name in differing}
        self._watched = unmoved | self._lately(trail, snapshot) | watched
        return events

    def _moves(self, what: What, steps: Sequence[_Step], rows: Mapping[_Step, Mapping[str, Any]]) -> Iterator[Event]:
        """Of steps from watched accounts."""
        for step in steps:
            watched = self._watched.get((step.giver or "", step.asset))
            if watched is not None:
                yield Event(what, int(self._clock()), watched, rows[step])

    def _said_of(self, account: Account, row: Mapping[str, Any]) -> dict[str, str]:
        """What servers say that an account has, where its history is listed and leaves something else."""
        if row["state"] == "held" or not self._case.accounts.is_listed(*account.wanted):
            return {}
        told = self._case.accounts.holdings.get(account.wanted, {})
        said = {place: str(holding.amount) for place, (holding, _) in told.items()}
        return said if set(said.values()) - {account.value} else {}

    def _lately(self, trail: Mapping[str, Any], snapshot: CaseAccountSnapshot) -> dict[Name, Account]:
        """Who gave traced value so lately that another branch may take that back."""
        settled = self._case.accounts.tip - REORGANISATION
        late = [step for step in trail["steps"] if step["height"] is not None and step["height"] > settled]
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
