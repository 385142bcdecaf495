"""A trail as its JSON document: the shape that docs/tracing.md defines and other people's checks read."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from calibar.canonical import canonical
from calibar.entities.heuristics import coinjoin
from calibar.kernels import turns
from calibar.kernels.cuts import CLEAN
from calibar.kernels.scripts import OP_RETURN
from calibar.kernels.spends import MAX_SCRIPT
from calibar.kernels.taint import Walk
from calibar.kernels.turns import Sources
from calibar.ledger.snapshot import Snapshot
from calibar.trail.policy import DEFINITION, Policy
from calibar.trail.references import Reference
from calibar.trail.stops import labels_beside

Segments = list[tuple[int, int]]
"""What a coin or a fee carries: (label or CLEAN, units), in order."""
VERSION_KEYS = ("calibar", "digest")
"""Outside the digest: the software's version and the digest itself."""


@dataclass(frozen=True, slots=True)
class Trail:
    """The result of one tracing. Amounts are satoshi."""

    document: Mapping[str, Any]

    def __repr__(self) -> str:
        counts = f"{len(self.document['steps'])} steps, {len(self.document['holdings'])} holdings"
        return f"<calibar.Trail {self.document['policy']['method']}: {counts}, {self.digest[:16]}>"

    def json(self) -> bytes:
        """RFC 8785 canonical bytes: same inputs, same bytes."""
        return canonical(self.document)

    @property
    def digest(self) -> str:
        """SHA-256 of the canonical document without software version and digest."""
        return str(self.document["digest"])

    @property
    def steps(self) -> list[dict[str, Any]]:
        """Transactions that traced value went through, in chain order."""
        return list(self.document["steps"])

    @property
    def holdings(self) -> list[dict[str, Any]]:
        """Where traced value rests, in coin order."""
        return list(self.document["holdings"])

    @property
    def totals(self) -> dict[str, Any]:
        """By label: in = held + stopped + fees + burnt; on account chains by label and asset, conversions too."""
        return dict(self.document["totals"])

    def html(self, language: str = "en", names: Mapping[str, str] | None = None) -> str:
        """One self-contained page with the picture and the tables.

        `names` gives addresses a name, as somebody said; else the trail's labels do.
        """
        if self.document["policy"]["unit"] == "coin":
            from calibar.trail.page import render  # noqa: PLC0415

            return render(self.document, names, language)
        from calibar.trail.accounts.page import render as render_accounts  # noqa: PLC0415

        return render_accounts(self.shown, names, language)

    @property
    def shown(self) -> Mapping[str, Any]:
        """What tables and pages show: the document, one through records as movements between accounts."""
        if "records" not in self.document:
            return self.document
        from calibar.trail.custodians.view import as_movements  # noqa: PLC0415

        return as_movements(self.document)

    def _repr_html_(self) -> str:
        """The page, in a notebook's cell."""
        from html import escape  # noqa: PLC0415

        return f'<iframe srcdoc="{escape(self.html())}" width="100%" height="720"></iframe>'

    def to_networkx(self) -> Any:
        """A directed graph of transactions; edges are coins with `value` and `traced`. Needs networkx."""
        import networkx  # noqa: PLC0415

        graph = networkx.MultiDiGraph()
        made: dict[str, str] = {}
        for step in self.document["steps"]:
            graph.add_node(step["txid"], height=step["height"], time=step["time"], hop=step["hop"])
            made |= {output["coin"]: step["txid"] for output in step["outputs"]}
            for entry in step["inputs"]:
                if entry["traced"] and entry["coin"]:
                    maker = made.get(entry["coin"], entry["coin"].split(":")[0])
                    graph.add_edge(maker, step["txid"], key=entry["coin"], **{k: entry[k] for k in ("value", "traced")})
        return graph


def digest_of(document: Mapping[str, Any]) -> str:
    """SHA-256 of a trail's canonical document, whoever wrote it."""
    return hashlib.sha256(canonical({k: v for k, v in document.items() if k not in VERSION_KEYS})).hexdigest()


def build(
    snapshot: Snapshot,
    policy: Policy,
    as_of: int | None,
    references: Sequence[Reference],
    sources: Sources,
    walked: Walk,
) -> Trail:
    """Put names to a walk's ids."""
    from calibar import __version__  # noqa: PLC0415

    content = _Builder(snapshot, policy, as_of, sources, walked)
    height, tip = snapshot.tip()
    document: dict[str, Any] = {
        "definition": DEFINITION,
        "ledger": {"network": snapshot.manifest.network, "height": height, "tip": tip}
        | snapshot.caveats([reference.text.partition("=")[0] for reference in references]),
        "labels_digest": policy.labels.digest if policy.labels is not None else None,
        "entities_digest": None,
        "rules": {"coinjoin": coinjoin.VERSION} if ("coinjoin", 0) in policy.rules else {},
        "policy": policy.document(as_of),
        "sources": content.sources(),
        "steps": content.steps(),
        "holdings": content.holdings(),
        "totals": content.totals(len(references)),
    }
    document["calibar"] = __version__
    document["digest"] = digest_of(document)
    return Trail(document)


def _amounts(segments: Segments) -> dict[int, int]:
    """Units of each label, by label."""
    sums: dict[int, int] = {}
    for label, amount in segments:
        if label != CLEAN:
            sums[label] = sums.get(label, 0) + amount
    return dict(sorted(sums.items())) if len(sums) > 1 else sums


class _Builder:
    def __init__(self, snapshot: Snapshot, policy: Policy, as_of: int | None, sources: Sources, walked: Walk) -> None:
        self.snapshot, self.policy, self.rows, self.walk = snapshot, policy, sources, walked
        self.as_of = as_of
        self.names: dict[int, str] = {}
        self.rests: dict[int, dict[str, Any]] = {}
        self.record = {coin: i for i, coin in enumerate(walked.coin.tolist())}
        self.first_segment, self.first_leak = walked.first_segment.tolist(), walked.first_leak.tolist()
        self.segments = list(zip(walked.label.tolist(), walked.amount.tolist(), strict=True))
        self.leaks = list(zip(walked.leak_label.tolist(), walked.leak_amount.tolist(), strict=True))
        self.born: dict[int, dict[int, int]] = {}
        for coin, label, amount in zip(
            *(a.tolist() for a in (sources.coin, sources.label, sources.amount)), strict=True
        ):
            if amount:
                self.born.setdefault(coin, {})[label] = amount
        self.fees: dict[int, Segments] = {}

    def traced(self, segments: Segments, without: Mapping[int, int] | None = None) -> dict[str, Any]:
        """The entries `traced` (and `segments` where asked for) of what a coin or a fee carries."""
        if not segments and not without:
            return {"traced": {}}
        sums = _amounts(segments)
        for label, amount in (without or {}).items():
            sums[label] -= amount
        entry: dict[str, Any] = {"traced": {f"S{label}": amount for label, amount in sums.items() if amount}}
        if self.policy.segments and segments:
            entry["segments"] = [["clean" if label == CLEAN else f"S{label}", amount] for label, amount in segments]
        return entry

    def carried(self, coin: int) -> Segments:
        """What a coin carries."""
        record = self.record.get(coin)
        if record is None:
            return []
        return self.segments[self.first_segment[record] : self.first_segment[record + 1]]

    def sources(self) -> list[dict[str, Any]]:
        rows = self.rows
        order = np.lexsort((rows.coin, rows.label))
        return [
            {
                "label": f"S{int(rows.label[i])}",
                "coin": self.snapshot.coin_name(int(rows.coin[i])),
                "amount": int(rows.amount[i]),
            }
            for i in order
        ]

    def steps(self) -> list[dict[str, Any]]:
        transactions = self.walk.step_tx.tolist()
        self.fees = {tx: self.leak(i) for i, tx in enumerate(transactions)}
        return [self.step(i) for i in sorted(range(len(transactions)), key=transactions.__getitem__)]

    def leak(self, step: int) -> Segments:
        """What left a step as its fee, or was burnt by its miner."""
        return self.leaks[self.first_leak[step] : self.first_leak[step + 1]]

    def is_coinbase(self, tx: int) -> bool:
        first, end = self.snapshot["transactions.first_input"][tx : tx + 2]
        return bool(first == end)

    def step(self, step: int) -> dict[str, Any]:
        snapshot, tx = self.snapshot, int(self.walk.step_tx[step])
        block = snapshot.block_of(tx)
        first, end = (int(x) for x in snapshot["transactions.first_coin"][tx : tx + 2])
        document: dict[str, Any] = {
            "txid": snapshot.txid(tx),
            "height": snapshot.height_of(block),
            "time": snapshot.block_time(block),
            "hop": int(self.walk.step_hop[step]),
            "proof": "proven" if snapshot.is_proven(tx) else "reported",
            "inputs": [],
            "outputs": [self.output(coin) for coin in range(first, end)],
        }
        leaked = self.traced(self.leak(step))
        if self.is_coinbase(tx):
            document["inputs"] = self.coinbase_inputs(block)
            burnt = sum(entry["value"] for entry in document["inputs"]) - sum(o["value"] for o in document["outputs"])
            document |= {"fee": 0, "fee_traced": {}, "burnt": burnt}
            return document | {f"burnt_{key}": value for key, value in leaked.items()}
        inputs = (int(x) for x in snapshot["transactions.first_input"][tx : tx + 2])
        document["inputs"] = [self.input(int(coin)) for coin in snapshot["inputs.coin"][slice(*inputs)]]
        document["fee"] = int(snapshot["transactions.fee"][tx])
        return document | {f"fee_{key}": value for key, value in leaked.items()}

    def input(self, coin: int) -> dict[str, Any]:
        """A coin as it enters: clean where it was stopped."""
        record = self.record.get(coin)
        enters = record is not None and int(self.walk.fate[record]) == turns.SPENT
        entry = {"coin": self.snapshot.coin_name(coin), "value": int(self.snapshot["coins.value"][coin])}
        return entry | self.traced(self.carried(coin) if enters else [])

    def coinbase_inputs(self, block: int) -> list[dict[str, Any]]:
        """The subsidy, then every fee of the block."""
        snapshot = self.snapshot
        height = snapshot.height_of(block)
        assert height is not None  # noqa: S101  (without heights no coinbase is followed)
        entries: list[dict[str, Any]] = [
            {"coin": None, "subsidy": True, "value": snapshot.network.subsidy(height), "traced": {}}
        ]
        first, end = (int(x) for x in snapshot["blocks.first_tx"][block : block + 2])
        for tx in range(first + 1, end):
            fee = int(snapshot["transactions.fee"][tx])
            if fee:
                entry = {"coin": None, "fee_of": snapshot.txid(tx), "value": fee}
                entries.append(entry | self.traced(self.fees.get(tx, [])))
        return entries

    def output(self, coin: int) -> dict[str, Any]:
        """A coin as its transaction made it; what a source labels at its birth is not this transaction's doing."""
        return self.named(coin) | self.traced(self.carried(coin), without=self.born.get(coin))

    def named(self, coin: int) -> dict[str, Any]:
        snapshot, address = self.snapshot, int(self.snapshot["coins.address"][coin])
        if address not in self.names:
            self.names[address] = snapshot.address_name(address)
        return {
            "coin": snapshot.coin_name(coin),
            "address": self.names[address],
            "value": int(snapshot["coins.value"][coin]),
        }

    def resting(self, record: int, coin: int) -> dict[str, Any]:
        """State and reason of a coin that did not go on. What nobody was asked about is not held: it is unknown."""
        if coin not in self.rests:
            self.rests[coin] = self._resting(record, coin)
        return self.rests[coin]

    def _resting(self, record: int, coin: int) -> dict[str, Any]:
        fate = int(self.walk.fate[record])
        state, reason = "held" if fate == turns.HELD else "stopped", self.reason(record, coin)
        if not self.snapshot.is_case or reason != "unspent":
            return {"state": state, "reason": reason}
        said = self.snapshot.who_says_unspent(coin, self.as_of)
        if said is None:
            rule = int(self.walk.rule[record])
            name = self.policy.rules[rule][0] if rule >= 0 else ""
            return {"state": "stopped", "reason": name if name.startswith("label:") else "not looked at"}
        pending = self.snapshot.pending_spender(coin)
        found = {"state": state, "reason": reason} | ({"reported": said} if said else {})
        return found if pending is None else found | {"pending": pending}

    def reason(self, record: int, coin: int) -> str:
        fate = int(self.walk.fate[record])
        if fate == turns.UNKNOWN_INPUT:
            return "unknown input"
        if fate >= 0:
            return self.policy.rules[fate][0]
        address = int(self.snapshot["coins.address"][coin])
        start, end = self.snapshot["addresses.first_byte"][address : address + 2]
        dead = int(self.snapshot["addresses.kind"][address]) == OP_RETURN or int(end - start) > MAX_SCRIPT
        return "unspendable" if dead else "unspent"

    def holdings(self) -> list[dict[str, Any]]:
        rows = []
        for coin, record in sorted(self.record.items()):
            if int(self.walk.fate[record]) != turns.SPENT:
                entry = self.named(coin) | self.traced(self.carried(coin)) | self.resting(record, coin)
                rows.append(entry | self.said(coin))
        return rows

    def said(self, coin: int) -> dict[str, Any]:
        """What sources say of the address that a coin is paid to."""
        if self.policy.labels is None:
            return {}
        script = self.snapshot.script(int(self.snapshot["coins.address"][coin]))
        return labels_beside(self.policy, self.snapshot.manifest.network, hashlib.sha256(script).digest())

    def totals(self, labels: int) -> dict[str, dict[str, int]]:
        sums = [{"in": 0, "held": 0, "stopped": 0, "fees": 0, "burnt": 0} for _ in range(labels)]
        for label, amount in zip(self.rows.label.tolist(), self.rows.amount.tolist(), strict=True):
            sums[label]["in"] += amount
        for coin, record in self.record.items():
            if int(self.walk.fate[record]) != turns.SPENT:
                state = self.resting(record, coin)["state"]
                for label, amount in _amounts(self.carried(coin)).items():
                    sums[label][state] += amount
        for step, tx in enumerate(self.walk.step_tx.tolist()):
            if not int(self.walk.step_followed[step]):
                key = "burnt" if self.is_coinbase(tx) else "fees"
                for label, amount in _amounts(self.leak(step)).items():
                    sums[label][key] += amount
        return {f"S{label}": total for label, total in enumerate(sums)}
