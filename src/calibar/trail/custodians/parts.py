"""One ledger's part of a trail through custodians: what is labelled there goes on, up to deposits that records have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np

from calibar.chains.facts import integers, limbs
from calibar.errors import UsageError
from calibar.kernels import taint
from calibar.kernels import transfers as kernels
from calibar.kernels.cuts import CLEAN
from calibar.kernels.holders import label_of, rule_of
from calibar.kernels.turns import Sources
from calibar.labels.keys import key_of
from calibar.labels.label import Label, LabelSet
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.snapshot import Snapshot
from calibar.trail import document as coin_document
from calibar.trail import trace as coins
from calibar.trail.accounts import references as account_references
from calibar.trail.accounts import trace as accounts
from calibar.trail.accounts.document import build as build_accounts
from calibar.trail.accounts.naming import find_transfers, transfer_name
from calibar.trail.policy import ACCOUNT_METHODS, METHODS, Policy
from calibar.trail.references import Reference, resolve
from calibar.trail.stops import stops_on_coins

RECORD: Final = "label:record"
"""The stop rule at deposit addresses that records have: the trail goes on in them."""
ALL: Final = (1 << 62) - 1
Segments = list[tuple[int | None, int]]
"""Labels, None where clean, and units, in their order."""


class Birth(NamedTuple):
    """What a withdrawal brings to a coin or transfer."""

    id: int
    label: int
    most: int
    skip: int


class Reached(NamedTuple):
    """What a walk of one ledger found."""

    document: Mapping[str, Any]
    arrived: dict[int, Segments]
    """By deposit: what it brings into the records."""
    taken: list[int]
    """Units that each birth labelled: fewer where the coin had labels before."""


class Part(Protocol):
    """A ledger."""

    network: str
    base: list[Birth]
    """What REFs label."""

    def name(self, item: int) -> str:
        """A coin or transfer, as trails name it."""

    def owner(self, item: int) -> str:
        """Whom it pays."""

    def asset(self, item: int) -> str:
        """Of what it is, as the ledger's own trails call it."""

    def find(self, name: str) -> int:
        """The coin or transfer of a name that the part's own document has."""

    def sourced(self) -> dict[int, Segments]:
        """Deposits that REFs themselves name, and what they bring."""

    def walk(self, births: Sequence[Birth]) -> Reached:
        """Follow the REFs and what withdrawals brought."""


def part_of(
    snapshot: Snapshot | AccountSnapshot,
    policy: Policy,
    references: Sequence[str | None],
    deposits: Mapping[int, str],
) -> Part:
    """`references` has a text for each label that begins on this ledger; `deposits` the address of each deposit that
    records have. Raises UsageError."""
    if isinstance(snapshot, Snapshot):
        return CoinPart(snapshot, _stopping(policy, snapshot.network.name, "coin", deposits), references, deposits)
    return AccountPart(snapshot, _stopping(policy, snapshot.chain, "address", deposits), references, deposits)


def _stopping(policy: Policy, network: str, unit: str, deposits: Mapping[int, str]) -> Policy:
    """The policy, with a stop at the deposit addresses."""
    for address in sorted({*deposits.values()} & policy.overrides.keys()):
        raise UsageError(f"an override goes past {address}, of which there are records; the trail goes on in those")
    usual = (*(("labels",) if policy.labels is not None else ()), "coinjoin" if unit == "coin" else "deposit")
    named = [
        (key_of(network, address), Label(network, address, "record", "record", "records", "", ""))
        for address in sorted({*deposits.values()})
    ]
    labels = LabelSet([*(policy.labels.keyed if policy.labels is not None else ()), *named])
    stops = usual if policy.stops is None else tuple(name for name in policy.stops if name in (*usual, "labels"))
    asset = policy.asset if unit == "address" else None
    return replace(policy, unit=unit, labels=labels, stops=(*stops, RECORD), asset=asset)


class CoinPart:
    """A Bitcoin ledger."""

    def __init__(
        self, snapshot: Snapshot, policy: Policy, references: Sequence[str | None], deposits: Mapping[int, str]
    ) -> None:
        """Find the REFs. Raises UsageError."""
        self.snapshot, self.policy, self.deposits = snapshot, policy, deposits
        self.network = snapshot.network.name
        blocks, self.as_of = snapshot.as_of(policy.as_of)
        self.graph, self.limit = coins.graph_of(snapshot, policy), snapshot.input_limit(blocks)
        last = int(self.graph.first_coin[int(self.graph.block_first_tx[blocks])])
        self.count = len(references)
        self.named = [(n, resolve(text, snapshot, last)) for n, text in enumerate(references) if text is not None]
        self.texts = [Reference(text or "", np.empty(0, np.int64), None) for text in references]
        self.base = self._base()

    def name(self, item: int) -> str:
        """A coin, as trails name it."""
        return self.snapshot.coin_name(item)

    def owner(self, item: int) -> str:
        """Whom it pays."""
        return self.snapshot.address_name(int(self.snapshot["coins.address"][item]))

    def asset(self, item: int) -> str:
        """Its own coin."""
        return ""

    def find(self, name: str) -> int:
        """The coin of a name."""
        txid, _, output = name.partition(":")
        transaction = self.snapshot.find_transaction(txid)
        return int(self.snapshot["transactions.first_coin"][transaction]) + int(output)

    def _base(self) -> list[Birth]:
        """What REFs label, coin by coin."""
        if not self.named:
            return []
        sources = coins.source_rows(self.graph, [(ref.coins, ref.amount) for _, ref in self.named], follow=False)
        stops = stops_on_coins(self.snapshot, self.policy)
        coins.walk(self.graph, self.policy, stops, sources, [ref.amount for _, ref in self.named], self.limit)
        taken: dict[int, int] = {}
        found = []
        columns = (array.tolist() for array in (sources.coin, sources.label, sources.amount))
        for coin, label, amount in zip(*columns, strict=True):
            if amount:
                found.append(Birth(coin, self.named[label][0], amount, 0))
            taken[label] = taken.get(label, 0) + amount
        for n, (label, ref) in enumerate(self.named):
            if not taken.get(n):
                raise _nothing(label, ref.text)
        return found

    def sourced(self) -> dict[int, Segments]:
        """Deposits that REFs themselves name, and what they bring."""
        found: dict[int, Segments] = {}
        for birth in self.base:
            if birth.id in self.deposits:
                found.setdefault(birth.id, []).append((birth.label, birth.most))
        for coin, segments in found.items():
            left = int(self.snapshot["coins.value"][coin]) - sum(amount for _, amount in segments)
            if left:
                segments.append((None, left))
        return found

    def walk(self, births: Sequence[Birth]) -> Reached:
        """Follow the REFs and what withdrawals brought."""
        rows = [*(birth for birth in self.base if birth.id not in self.deposits), *births]
        coin = np.array([row.id for row in rows], np.int64)
        maker = np.searchsorted(self.graph.first_coin, coin, "right") - 1
        order = np.argsort(coin, kind="stable")
        nothing = np.zeros(coin.size, np.int64)
        columns = [coin, [row.label for row in rows], maker + 1, nothing, nothing, [row.most for row in rows]]
        columns.append([row.skip for row in rows])
        sources = Sources(*(np.array(column, np.int64)[order] for column in columns))
        stops = stops_on_coins(self.snapshot, self.policy)
        method = METHODS.index(self.policy.method)
        walked = taint.walk(self.graph, method, False, self.limit, stops, sources, np.full(self.count, ALL))
        built = coin_document.build(self.snapshot, self.policy, self.as_of, self.texts, sources, walked)
        arrived: dict[int, Segments] = {}
        for record, reached in enumerate(walked.coin.tolist()):
            if reached in self.deposits:
                span = slice(*walked.first_segment[record : record + 2].tolist())
                pieces = zip(walked.label[span].tolist(), walked.amount[span].tolist(), strict=True)
                arrived[reached] = [(None if label == CLEAN else label, amount) for label, amount in pieces]
        taken = np.empty(coin.size, np.int64)
        taken[order] = sources.amount
        return Reached(built.document, arrived, taken[coin.size - len(births) :].tolist())


class AccountPart:
    """A ledger of an account chain."""

    def __init__(
        self, snapshot: AccountSnapshot, policy: Policy, references: Sequence[str | None], deposits: Mapping[int, str]
    ) -> None:
        """Find the REFs. Raises UsageError."""
        self.snapshot, self.policy, self.deposits = snapshot, policy, deposits
        self.network, self.count = snapshot.chain, len(references)
        limit = int(snapshot["blocks.first_transfer"][snapshot.as_of(policy.as_of)[0]])
        asset = account_references.asset_asked(snapshot, policy.asset)
        self.named = [
            (n, account_references.resolve(text, snapshot, limit, asset))
            for n, text in enumerate(references) if text is not None
        ]  # fmt: skip
        self.base = self._base()

    def name(self, item: int) -> str:
        """A transfer, as trails name it."""
        return transfer_name(self.snapshot, item)

    def owner(self, item: int) -> str:
        """Whom it pays."""
        holding = int(self.snapshot["transfers.recipient"][item])
        return self.snapshot.address_name(int(self.snapshot["holdings.address"][holding]))

    def asset(self, item: int) -> str:
        """Of what it is."""
        return self.snapshot.asset_name(int(self.snapshot["transfers.asset"][item]))

    def find(self, name: str) -> int:
        """The transfer of a name."""
        return find_transfers(self.snapshot, name)[0]

    def _base(self) -> list[Birth]:
        """What REFs label, transfer by transfer."""
        if not self.named:
            return []
        births = accounts.births_of([ref for _, ref in self.named])
        walked = accounts.walked_from(births, [ref for _, ref in self.named], self.snapshot, self.policy)
        question = walked.question
        amounts = integers(np.pad(question.sources.amount, ((0, 0), (0, 2))))
        transfers = question.rows[question.sources.flow].tolist()
        found, taken = [], set()
        for transfer, label, amount in zip(transfers, question.sources.label.tolist(), amounts, strict=True):
            if amount:
                found.append(Birth(transfer, self.named[label][0], amount, 0))
                taken.add(label)
        for n, (label, ref) in enumerate(self.named):
            if n not in taken:
                raise _nothing(label, ref.text)
        return found

    def value(self, transfer: int) -> int:
        """Units that a transfer moves."""
        return int(integers(self.snapshot["transfers.amount"].reshape(-1, 4)[transfer : transfer + 1])[0])

    def sourced(self) -> dict[int, Segments]:
        """Deposits that REFs themselves name, and what they bring."""
        found: dict[int, Segments] = {}
        for birth in self.base:
            if birth.id in self.deposits:
                found.setdefault(birth.id, []).append((birth.label, birth.most))
        for transfer, segments in found.items():
            left = self.value(transfer) - sum(amount for _, amount in segments)
            if left:
                segments.append((None, left))
        return found

    def walk(self, births: Sequence[Birth]) -> Reached:
        """Follow the REFs and what withdrawals brought."""
        rows = [*(birth for birth in self.base if birth.id not in self.deposits), *births]
        if not rows:
            return Reached({}, {}, [])
        given = accounts.Births(
            np.array([row.id for row in rows], np.int64),
            np.array([row.label for row in rows], np.int64),
            limbs([row.most for row in rows])[:, :2].copy(),
            limbs([row.skip for row in rows])[:, :2].copy(),
            limbs([accounts.ALL] * self.count)[:, :2].copy(),
        )
        walked = accounts.walked_from(given, [ref for _, ref in self.named], self.snapshot, self.policy)
        question = walked.question
        walk = question.walk
        labels, marks = label_of(walk.step_code).tolist(), rule_of(walk.step_code).tolist()
        amounts = integers(np.pad(walk.step_amount, ((0, 0), (0, 2))))
        arrived: dict[int, Segments] = {}
        for step, transfer in enumerate(question.rows[walk.step_flow].tolist()):
            if transfer in self.deposits and int(walk.step_kind[step]) in (kernels.CARRIED, kernels.RECEIVED):
                first, came, end = (
                    int(x) for x in (walk.step_drawn[step], walk.step_arrived[step], walk.step_drawn[step + 1])
                )
                span = range(came, end) if came < end else range(first, end)
                arrived[transfer] = [(labels[s] if labels[s] >= 0 and marks[s] < 0 else None, amounts[s]) for s in span]
        units = integers(np.pad(question.sources.amount, ((0, 0), (0, 2))))
        places = question.rows[question.sources.flow].tolist()
        left: dict[tuple[int, int], list[int]] = {}
        for transfer, label, amount in zip(places, question.sources.label.tolist(), units, strict=True):
            left.setdefault((transfer, label), []).append(amount)
        taken = [left[row.id, row.label].pop(0) for row in rows]
        return Reached(build_accounts(*walked).document, arrived, taken[len(rows) - len(births) :])


def _nothing(label: int, text: str) -> UsageError:
    return UsageError(f"S{label} ({text}) labels nothing: it has no value of its own, or earlier REFs have taken it")


def check_method(policy: Policy, has_coins: bool) -> None:
    """Refuse a method that one of the parts has no meaning for."""
    methods = METHODS if has_coins else ACCOUNT_METHODS
    if policy.method not in methods:
        raise UsageError(f"{policy.method} has no meaning on all of these ledgers; there is {', '.join(methods)}")
