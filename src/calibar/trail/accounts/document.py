"""An account chain's trail as its JSON document: the shape that docs/tracing.md defines."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import BLACKLISTED, DESTROYED, UNBLACKLISTED
from calibar.errors import BalanceError
from calibar.kernels import transfers as kernels
from calibar.kernels.flows import FlowWalk
from calibar.kernels.holders import label_of, rule_of
from calibar.kernels.transfers import Arrivals
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts import conversions, lookalikes, sweeps
from calibar.trail.accounts.assets import described
from calibar.trail.accounts.links import Link
from calibar.trail.accounts.lookalikes import LookAlikes
from calibar.trail.accounts.naming import transfer_name
from calibar.trail.accounts.proof import proof_of
from calibar.trail.accounts.references import Reference, left_out
from calibar.trail.document import Trail, digest_of
from calibar.trail.policy import DEFINITION, Policy
from calibar.trail.stops import labels_beside

KINDS: Final = {
    kernels.CARRIED: "transfer",
    kernels.FEES: "fee",
    kernels.BURNT: "burnt",
    kernels.CONVERTED: "converted",
    kernels.RECEIVED: "received",
}
_AMOUNTS: Final = ("value", "amount", "traced", "totals")
"""Keys whose integers are base units: decimal text in JSON, whose numbers end at 2^53 (RFC 8785, appendix D)."""
Amounts = dict[str, int]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, of which transfers, and what the walk found."""

    snapshot: AccountSnapshot
    policy: Policy
    references: list[Reference]
    rows: NDArray[np.int64]
    holdings: NDArray[np.int64]
    sources: Arrivals
    walk: FlowWalk
    deposits: dict[int, int]
    """Holdings of deposit addresses, and the hot wallets that collect from them."""


def build(
    question: Question,
    blocks: int,
    as_of: int | None,
    links: Sequence[Link],
    linked: Mapping[int, int],
    venues: Mapping[int, tuple[int, ...]],
) -> Trail:
    """Put names to a walk's ids; `linked` has the link of each transfer that one names, `venues` whom one
    was exchanged with. Raises BalanceError."""
    snapshot = question.snapshot
    content = _Builder(question, blocks, linked, venues)
    steps, holdings = content.steps(), content.holdings()
    height, tip = snapshot.tip()
    document: dict[str, Any] = {
        "definition": DEFINITION,
        "ledger": {"network": snapshot.chain, "height": height, "tip": tip} | snapshot.caveats(),
        "labels_digest": question.policy.labels.digest if question.policy.labels is not None else None,
        "entities_digest": None,
        "links": [link.document() for link in links],
        "rules": {"conversion": conversions.VERSION, "deposit": sweeps.VERSION, "look-alike": lookalikes.VERSION},
        "policy": question.policy.document(as_of),
        "assets": content.assets(),
        "sources": content.sources(),
        "steps": steps,
        "holdings": holdings,
        "totals": content.totals(),
    }
    return finished(document | left_out(question.references))


def finished(document: dict[str, Any]) -> Trail:
    """The trail of a document whose amounts are integers. Raises BalanceError where it does not re-add."""
    from calibar import __version__  # noqa: PLC0415

    check_balance(document)
    document = written(document)
    document["calibar"] = __version__
    document["digest"] = digest_of(document)
    return Trail(document)


def holdings_of(question: Question, blocks: int) -> list[dict[str, Any]]:
    """The document's rows of where value rests, with amounts as integers."""
    return _Builder(question, blocks, {}, {}).holdings()


def written(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document with its amounts as decimal text."""
    return {key: _written(value, key in _AMOUNTS) for key, value in document.items()}


def _written(value: Any, amounts: bool) -> Any:
    """A part of the document with its amounts as decimal text."""
    if isinstance(value, dict):
        return {key: _written(part, amounts or key in _AMOUNTS) for key, part in value.items()}
    if isinstance(value, list):
        return [_written(part, amounts) for part in value]
    return str(value) if amounts and isinstance(value, int) else value


def check_balance(document: dict[str, Any]) -> None:
    """Raise BalanceError unless every label and asset re-adds, by its totals and by its holdings."""
    for label, assets in document["totals"].items():
        for asset, sums in assets.items():
            out = sums["held"] + sums["stopped"] + sums["fees"] + sums["burnt"] + sums["converted_out"]
            if sums["in"] + sums["converted_in"] != out:
                raise BalanceError(f"{label} of {asset} does not balance: {sums}; this is a defect, please report it")
            for state in ("held", "stopped"):
                found = sum(
                    row["traced"].get(label, 0)
                    for row in document["holdings"]
                    if row["state"] == state and row["asset"] == asset
                )
                if found != sums[state]:
                    raise BalanceError(f"{label} of {asset} is {found} {state} by holdings, {sums[state]} by totals")


def _wide(rows: NDArray[np.uint64]) -> list[int]:
    """(n, 2) limbs as integers."""
    return [low | up << 64 for low, up in rows.tolist()]


class _Builder:
    def __init__(
        self, question: Question, blocks: int, linked: Mapping[int, int], venues: Mapping[int, tuple[int, ...]]
    ) -> None:
        self.linked, self.venues = linked, venues
        self.alike = LookAlikes(question.snapshot)
        self.q, self.snapshot, self.walk = question, question.snapshot, question.walk
        self.blocks = blocks
        self.frozen = _frozen(self.snapshot, blocks)
        self.sums: dict[tuple[int, int], dict[str, int]] = {}

    def add(self, label: int, holding: int, what: str, amount: int) -> None:
        """Count units of a label in what becomes of its asset."""
        asset = int(self.snapshot["holdings.asset"][holding])
        empty = dict.fromkeys(("in", "held", "stopped", "fees", "burnt", "converted_out", "converted_in"), 0)
        self.sums.setdefault((label, asset), empty)[what] += amount

    def holding(self, holder: int) -> int:
        return int(self.q.holdings[holder])

    def account(self, holding: int) -> dict[str, Any]:
        """Whose a holding is, and of what; `None` for nobody."""
        if holding < 0:
            return {"account": None}
        return {"account": self.snapshot.address_name(int(self.snapshot["holdings.address"][holding]))}

    def sources(self) -> list[dict[str, Any]]:
        q, rows = self.q, []
        amounts = _wide(q.sources.amount)
        for i in np.lexsort((q.sources.flow, q.sources.label)).tolist():
            transfer, label = int(q.rows[q.sources.flow[i]]), int(q.sources.label[i])
            self.add(label, int(self.snapshot["transfers.recipient"][transfer]), "in", amounts[i])
            rows.append(
                {
                    "label": f"S{label}",
                    "transfer": transfer_name(self.snapshot, transfer),
                    "asset": self.asset_of(transfer),
                    "amount": amounts[i],
                }
                | self.account(int(self.snapshot["transfers.recipient"][transfer]))
            )
        return rows

    def asset_of(self, transfer: int) -> str:
        return self.snapshot.asset_name(int(self.snapshot["transfers.asset"][transfer]))

    def assets(self) -> dict[str, Any]:
        """What the tokens on the trail say of themselves, by contract."""
        found = np.unique(self.snapshot["transfers.asset"][self.q.rows]).tolist() if self.q.rows.size else []
        return described(self.snapshot, found)

    def steps(self) -> list[dict[str, Any]]:
        walk = self.walk
        codes, amounts = walk.step_code, _wide(walk.step_amount)
        labels, marks = label_of(codes).tolist(), rule_of(codes).tolist()
        rows = []
        for i, flow in enumerate(walk.step_flow.tolist()):
            first, arrived, end = (int(x) for x in (walk.step_drawn[i], walk.step_arrived[i], walk.step_drawn[i + 1]))
            drawn = [(labels[s], amounts[s]) for s in range(first, arrived) if labels[s] >= 0 and marks[s] < 0]
            came = [(labels[s], amounts[s]) for s in range(arrived, end) if labels[s] >= 0]
            kind = int(walk.step_kind[i])
            if kind == kernels.CARRIED and arrived == end:
                came = drawn
            rows.append(self.step(int(self.q.rows[flow]), i, kind, _sum(drawn), _sum(came)))
        return rows

    def step(self, transfer: int, i: int, kind: int, drawn: Amounts, came: Amounts) -> dict[str, Any]:
        snapshot = self.snapshot
        block = snapshot.block_of_transfer(transfer)
        tx = int(snapshot["transfers.tx"][transfer])
        sender, recipient = (int(snapshot[f"transfers.{side}"][transfer]) for side in ("sender", "recipient"))
        value = int.from_bytes(snapshot["transfers.amount"].reshape(-1, 4)[transfer].tobytes(), "little")
        step: dict[str, Any] = {
            "transfer": transfer_name(snapshot, transfer),
            "txid": snapshot.tx_hash(tx) if tx >= 0 else None,
            "height": snapshot.height_of(block),
            "time": snapshot.block_time(block),
            "hop": int(self.walk.step_hop[i]),
            "proof": proof_of(snapshot, transfer, block),
            "kind": KINDS[kind],
            "asset": self.asset_of(transfer),
            "inputs": [self.account(sender) | {"value": value, "traced": drawn}],
            "outputs": [self.account(recipient) | {"value": value, "traced": came}],
        }
        if kind == kernels.BURNT and int(snapshot["transfers.kind"][transfer]) == DESTROYED:
            step["kind"] = "burnt by issuer"
        if kind in (kernels.CONVERTED, kernels.RECEIVED):
            link = self.linked.get(transfer)
            venue = [snapshot.address_name(address) for address in self.venues.get(transfer, ())]
            step["by"] = {"rule": "conversion", "venue": venue} if link is None else {"link": link}
        if kind != kernels.FEES and (other := self.alike.of_recipient(transfer)) is not None:
            step["flags"] = [{"rule": "look-alike", "resembles": other}]
        rule = int(self.walk.step_rule[i])
        if rule >= 0:
            step["stop"] = self.q.policy.rules[rule][0]
        counted = {kernels.FEES: "fees", kernels.BURNT: "burnt", kernels.CONVERTED: "converted_out"}
        for label, amount in drawn.items():
            if kind in counted:
                self.add(int(label[1:]), sender, counted[kind], amount)
        if kind == kernels.RECEIVED:
            for label, amount in came.items():
                self.add(int(label[1:]), recipient, "converted_in", amount)
        elif kind == kernels.CARRIED and drawn != came:
            raise BalanceError(
                f"{step['transfer']} draws {drawn} and brings {came}; this is a defect, please report it"
            )
        return step

    def holdings(self) -> list[dict[str, Any]]:
        walk, rows = self.walk, []
        labels, amounts = label_of(walk.code).tolist(), _wide(walk.amount)
        for i, holder in enumerate(walk.holder.tolist()):
            span = range(int(walk.first_segment[i]), int(walk.first_segment[i + 1]))
            traced = _sum((labels[s], amounts[s]) for s in span if labels[s] >= 0)
            if traced:
                marks = {int(rule_of(walk.code[s : s + 1])[0]) for s in span if labels[s] >= 0}
                rows.append(self.resting(self.holding(holder), traced, "held", "unspent", marks))
        stopped: dict[tuple[int, str], list[tuple[int, int]]] = {}
        for holder, reason, label, amount in zip(
            walk.stop_holder.tolist(), walk.stop_reason.tolist(), walk.stop_label.tolist(), _wide(walk.stop_amount),
            strict=True,
        ):  # fmt: skip
            stopped.setdefault((self.holding(holder), self.reason(reason)), []).append((label, amount))
        for (holding, reason), found in stopped.items():
            rows.append(self.resting(holding, _sum(found), "stopped", reason))
        return sorted(rows, key=lambda row: (row["asset"], row["account"], row["state"], row["reason"]))

    def reason(self, code: int) -> str:
        if code == kernels.INCOMPLETE:
            return "incomplete history"
        return "exchanged" if code == kernels.EXCHANGED else self.q.policy.rules[code][0]

    def resting(
        self, holding: int, traced: Amounts, state: str, reason: str, marks: Collection[int] = ()
    ) -> dict[str, Any]:
        """A holding's row; `marks` are the rules that marked what lies there, -1 where none did."""
        snapshot = self.snapshot
        address = int(snapshot["holdings.address"][holding])
        if state == "held" and not snapshot.is_whole(holding):
            rules = [self.q.policy.rules[mark][0] if mark >= 0 else "" for mark in sorted(marks)]
            by_label = bool(rules) and all(rule.startswith("label:") for rule in rules)
            state, reason = "stopped", rules[0] if by_label else "not looked at"
        for label, amount in traced.items():
            self.add(int(label[1:]), holding, state, amount)
        row: dict[str, Any] = {
            **self.account(holding),
            "asset": snapshot.asset_name(int(snapshot["holdings.asset"][holding])),
            "value": snapshot.balance_after(holding, self.blocks),
            "traced": traced,
            "state": state,
            "reason": reason,
        }
        if snapshot.is_case and state == "held":
            row |= {"reported": snapshot.who_says_it_has(holding)}
        if (int(snapshot["holdings.asset"][holding]), address) in self.frozen:
            row["frozen"] = "by the issuer"
        row |= labels_beside(self.q.policy, snapshot.chain, snapshot.address_bytes(address))
        if holding in self.q.deposits:
            hot = snapshot.address_name(self.q.deposits[holding])
            row["inferred"] = {"rule": "deposit", "says": "deposit address of one customer", "hot_wallet": hot}
        return row

    def totals(self) -> dict[str, dict[str, Amounts]]:
        totals: dict[str, dict[str, Amounts]] = {}
        for (label, asset), sums in sorted(self.sums.items()):
            totals.setdefault(f"S{label}", {})[self.snapshot.asset_name(asset)] = sums
        return totals


def _sum(pieces: Iterable[tuple[int, int]]) -> Amounts:
    sums: dict[int, int] = {}
    for label, amount in pieces:
        sums[label] = sums.get(label, 0) + amount
    return {f"S{label}": amount for label, amount in sorted(sums.items()) if amount}


def _frozen(snapshot: AccountSnapshot, blocks: int) -> set[tuple[int, int]]:
    """(asset, address) that its issuer has frozen and not released after those blocks."""
    found: set[tuple[int, int]] = set()
    end = int(snapshot["blocks.first_event"][blocks])
    kinds = snapshot["events.kind"][:end]
    for row in np.flatnonzero(np.isin(kinds, (BLACKLISTED, UNBLACKLISTED))).tolist():
        contract, account = int(snapshot["events.contract"][row]), int(snapshot["events.a"][row])
        asset = snapshot.find_asset(snapshot.address_name(contract)) if contract >= 0 else None
        if asset is not None:
            (found.add if int(kinds[row]) == BLACKLISTED else found.discard)((asset, account))
    return found
