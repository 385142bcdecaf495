"""One ledger's part of a trail through custodians: what is labelled there goes on, up to deposits that records have."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import integers, limbs
from calibar.errors import AddressError, UsageError
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
from calibar.trail.accounts.document import Question
from calibar.trail.accounts.document import build as build_accounts
from calibar.trail.accounts.naming import find_transfers, transfer_name
from calibar.trail.accounts.selection import places
from calibar.trail.policy import ACCOUNT_METHODS, METHODS, Policy
from calibar.trail.references import Reference, resolve
from calibar.trail.stops import passed_addresses, stops_on_coins

RECORD: Final = "label:record"
"""The stop rule at deposit addresses that records have: the trail goes on in them."""
ALL: Final = (1 << 62) - 1
"""Satoshi: more than there can be."""
_WITHOUT_END: Final = (1 << 128) - 1
I64 = NDArray[np.int64]
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

    arrived: dict[int, Segments]
    """By deposit: what it brings into the records."""
    taken: list[int]
    """Units that each birth labelled: fewer where the coin had labels before."""
    labelled: list[tuple[int, int, int]]
    """Coin or transfer, label and units of what REFs label."""
    document: Callable[[], Mapping[str, Any]]
    """The ledger's own trail; empty where nothing was labelled."""


class Part(Protocol):
    """A ledger."""

    network: str

    def ledger(self) -> dict[str, Any]:
        """Which it is, and how far it goes."""

    def name(self, item: int) -> str:
        """A coin or transfer, as trails name it."""

    def owner(self, item: int) -> str:
        """Whom it pays."""

    def asset(self, item: int) -> str:
        """Of what it is, as the ledger's own trails call it."""

    def find(self, name: str) -> int:
        """The coin or transfer of a name that the part's own document has."""

    def walk(self, births: Sequence[Birth]) -> Reached:
        """Follow the REFs and what withdrawals brought. What a withdrawal brings is there before a REF takes its part,
        and stop rules apply to it; deposits of the records stop even what a REF names."""


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
    policy = replace(
        policy,
        unit=unit,
        asset=policy.asset if unit == "address" else None,
        stops=None if policy.stops is None else tuple(name for name in policy.stops if not _is_others(name, unit)),
        overrides={name: why for name, why in policy.overrides.items() if concerns(name, network, unit)},
    )
    named = {key_of(network, address): address for address in sorted({*deposits.values()})}
    for key in sorted(passed_addresses(network, policy) & named.keys()):
        raise UsageError(f"an override goes past {named[key]}, of which there are records; the trail goes on in those")
    labels = [(key, Label(network, at, "record", "record", "records", "", "")) for key, at in named.items()]
    usual = (*(("labels",) if policy.labels is not None else ()), "coinjoin" if unit == "coin" else "deposit")
    stops = usual if policy.stops is None else policy.stops
    keyed = policy.labels.keyed if policy.labels is not None else ()
    return replace(policy, labels=LabelSet([*keyed, *labels]), stops=(*stops, RECORD))


def _is_others(stop: str, unit: str) -> bool:
    """Whether a stop rule is one of the other kind of ledger."""
    return stop == "deposit" if unit == "coin" else stop == "coinjoin" or stop.startswith("outputs:")


def concerns(override: str, network: str, unit: str) -> bool:
    """Whether an override can be of a ledger: an address of its network, on Bitcoin a transaction."""
    if unit == "coin" and re.fullmatch("[0-9a-fA-F]{64}", override):
        return True
    try:
        key_of(network, override)
    except AddressError:
        return False
    return True


class _Rows(NamedTuple):
    """What is labelled at birth: what withdrawals bring, then what REFs name."""

    id: I64
    label: I64
    most: list[int]
    skip: list[int]
    budget: I64
    source: I64


def _rows(
    births: Sequence[Birth], named: Sequence[tuple[int, I64]], deposits: Mapping[int, str], labels: int, most: int
) -> _Rows:  # fmt: skip
    """`most` is what a REF may label of one coin or transfer: all."""
    items = [(item, label) for label, found in named for item in found.tolist()]
    return _Rows(
        np.array([*(birth.id for birth in births), *(item for item, _ in items)], np.int64),
        np.array([*(birth.label for birth in births), *(label for _, label in items)], np.int64),
        [*(birth.most for birth in births), *(most for _ in items)],
        [*(birth.skip for birth in births), *(0 for _ in items)],
        np.array([*(labels for _ in births), *(label for _, label in items)], np.int64),
        np.array([*(0 for _ in births), *(int(item not in deposits) for item, _ in items)], np.int64),
    )


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

    def ledger(self) -> dict[str, Any]:
        """Which it is, and how far it goes."""
        height, tip = self.snapshot.tip()
        named = [ref.text.partition("=")[0] for ref in self.texts if ref.text]
        return {"network": self.network, "height": height, "tip": tip} | self.snapshot.caveats(named)

    def walk(self, births: Sequence[Birth]) -> Reached:
        """See Part."""
        rows = _rows(births, [(label, ref.coins) for label, ref in self.named], self.deposits, self.count, ALL)
        order = np.argsort(rows.id, kind="stable")
        after = np.searchsorted(self.graph.first_coin, rows.id, "right")
        nothing = np.zeros(rows.id.size, np.int64)
        columns = rows.id, rows.label, after, nothing, nothing, rows.most, rows.skip, rows.budget, rows.source
        sources = Sources(*(np.array(column, np.int64)[order] for column in columns))
        amounts = {label: ref.amount for label, ref in self.named}
        budgets = [ALL if (amount := amounts.get(label)) is None else amount for label in range(self.count)]
        stops, method = stops_on_coins(self.snapshot, self.policy), METHODS.index(self.policy.method)
        walked = taint.walk(self.graph, method, False, self.limit, stops, sources, np.array([*budgets, ALL], np.int64))
        arrived: dict[int, Segments] = {}
        for record, reached in enumerate(walked.coin.tolist()):
            if reached in self.deposits:
                span = slice(*walked.first_segment[record : record + 2].tolist())
                pieces = zip(walked.label[span].tolist(), walked.amount[span].tolist(), strict=True)
                arrived[reached] = [(None if label == CLEAN else label, amount) for label, amount in pieces]
        taken = np.empty(rows.id.size, np.int64)
        taken[order] = sources.amount
        return Reached(
            arrived,
            taken[: len(births)].tolist(),
            _labelled(rows, taken.tolist(), len(births)),
            lambda: coin_document.build(self.snapshot, self.policy, self.as_of, self.texts, sources, walked).document,
        )


def _labelled(rows: _Rows, taken: Sequence[int], births: int) -> list[tuple[int, int, int]]:
    whole = zip(rows.id.tolist(), rows.label.tolist(), taken, strict=True)
    return [row for row in list(whole)[births:] if row[2]]


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

    def value(self, transfer: int) -> int:
        """Units that a transfer moves."""
        return int(integers(self.snapshot["transfers.amount"].reshape(-1, 4)[transfer : transfer + 1])[0])

    def ledger(self) -> dict[str, Any]:
        """Which it is, and how far it goes."""
        height, tip = self.snapshot.tip()
        left_out = account_references.left_out([reference for _, reference in self.named])
        return {"network": self.network, "height": height, "tip": tip} | self.snapshot.caveats() | left_out

    def walk(self, births: Sequence[Birth]) -> Reached:
        """See Part."""
        named = [(label, ref.transfers) for label, ref in self.named]
        rows = _rows(births, named, self.deposits, self.count, accounts.ALL)
        if not rows.id.size:
            return Reached({}, [], [], dict)
        amounts = {label: ref.amount for label, ref in self.named}
        budgets = [accounts.ALL if (amount := amounts.get(label)) is None else amount for label in range(self.count)]
        given = accounts.Births(
            rows.id, rows.label, limbs(rows.most)[:, :2].copy(), limbs(rows.skip)[:, :2].copy(),
            rows.budget, rows.source,
            limbs([*budgets, _WITHOUT_END])[:, :2].copy(),
        )  # fmt: skip
        walked = accounts.walked_from(given, [ref for _, ref in self.named], self.snapshot, self.policy)
        question = walked.question
        order = np.argsort(places(question.rows, rows.id), kind="stable").tolist()
        units = integers(np.pad(question.sources.amount, ((0, 0), (0, 2))))
        taken = dict(zip(order, units, strict=True))
        arrived = self._arrived(question)
        for n, item in enumerate(rows.id.tolist()):
            if item in self.deposits and taken[n]:
                whole: Segments = [(None, self.value(item))] if self.policy.method in ("fifo", "lifo") else []
                arrived[item] = _filled(arrived.get(item, whole), int(rows.label[n]), rows.skip[n], taken[n])
        amounts_taken = [taken[n] for n in range(rows.id.size)]
        return Reached(
            arrived, amounts_taken[: len(births)], _labelled(rows, amounts_taken, len(births)),
            lambda: build_accounts(*walked).document,
        )  # fmt: skip

    def _arrived(self, question: Question) -> dict[int, Segments]:
        """What deposits carried when they came in, by the walk's steps."""
        walk = question.walk
        labels, marks = label_of(walk.step_code).tolist(), rule_of(walk.step_code).tolist()
        amounts = integers(np.pad(walk.step_amount, ((0, 0), (0, 2))))
        found: dict[int, Segments] = {}
        for step, transfer in enumerate(question.rows[walk.step_flow].tolist()):
            if transfer in self.deposits and int(walk.step_kind[step]) in (kernels.CARRIED, kernels.RECEIVED):
                first, came, end = (
                    int(x) for x in (walk.step_drawn[step], walk.step_arrived[step], walk.step_drawn[step + 1])
                )
                span = range(came, end) if came < end else range(first, end)
                found[transfer] = [(labels[s] if labels[s] >= 0 and marks[s] < 0 else None, amounts[s]) for s in span]
        return found


def _filled(segments: Segments, label: int, skip: int, units: int) -> Segments:
    """The segments with so many clean units labelled, after the first `skip`; where they have no order, added."""
    if not any(other is None for other, _ in segments):
        return [*segments, (label, units)]
    found: Segments = []
    for other, amount in segments:
        if other is not None:
            found.append((other, amount))
            continue
        before = min(amount, skip)
        taken = min(amount - before, units)
        skip, units = skip - before, units - taken
        pieces: Segments = [(None, before), (label, taken), (None, amount - before - taken)]
        found += [piece for piece in pieces if piece[1]]
    return found


def check_method(policy: Policy, has_coins: bool) -> None:
    """Refuse a method that one of the parts has no meaning for."""
    methods = METHODS if has_coins else ACCOUNT_METHODS
    if policy.method not in methods:
        raise UsageError(f"{policy.method} has no meaning on all of these ledgers; there is {', '.join(methods)}")
