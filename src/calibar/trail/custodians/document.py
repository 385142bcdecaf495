"""A trail through ledgers and records as one JSON document: the shape that docs/tracing.md defines.

Each ledger's steps are those of its own trail. Value that goes on from a ledger into records, or from records to a
ledger, rests in neither; what is counted is where it is at the end. Amounts are in each asset's finest places.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from calibar.chains.known_tokens import NATIVE_SYMBOLS
from calibar.records.booked import Booked
from calibar.records.reading import Read
from calibar.trail.accounts.document import KINDS, finished
from calibar.trail.custodians.amounts import Amounts, resting, scaled, summed, times, told
from calibar.trail.custodians.books import Holder
from calibar.trail.custodians.joined import Rounds
from calibar.trail.custodians.order import merged
from calibar.trail.custodians.parts import RECORD, Birth
from calibar.trail.custodians.walk import RecordStep
from calibar.trail.document import Trail
from calibar.trail.policy import DEFINITION

VERSION: Final = "1"
"""Of the rule by which rows of two accounts are one payment, and proposals are followed."""
_PARTS: Final = ("in", "held", "stopped", "fees", "burnt", "converted_out", "converted_in")


def build(state: Rounds, reads: Sequence[Read]) -> Trail:
    """Put the parts together. Raises BalanceError where they do not re-add."""
    content = _Builder(state)
    sources = content.sources()
    chains = [content.chain_steps(n) for n in range(len(state.parts))]
    records = content.record_steps()
    holdings = content.holdings()
    document: dict[str, Any] = {
        "definition": DEFINITION,
        "ledgers": [part.ledger() for part in state.parts],
        "records": [
            {
                "name": read.delivery.name,
                "sha256": read.delivery.sha256,
                "certificate": read.delivery.certificate or None,
                "custodians": sorted({statement.custodian for statement in read.statements}),
            }
            for read in reads
        ],
        "labels_digest": state.policy.labels.digest if state.policy.labels is not None else None,
        "entities_digest": None,
        "rules": content.rules | {"records": VERSION},
        "policy": content.policy(),
        "assets": content.assets,
        "sources": sources,
        "steps": merged([*chains, records]),
        "holdings": holdings,
        "totals": content.totals(),
    }
    return finished(document)


class _Builder:
    def __init__(self, state: Rounds) -> None:
        self.state, self.books = state, state.books
        self.documents = [reached.document() for reached in state.reached]
        self.sums: dict[tuple[int, str], Amounts] = {}
        self.assets: dict[str, dict[str, Any]] = {}
        self.rules: dict[str, str] = {}
        self.rests: list[dict[str, Any]] = []
        for asset, places in sorted(self.books.places.items()):
            self.assets[asset] = {"symbol": asset, "decimals": places, "recorded": True}
        for n, document in enumerate(self.documents):
            self.rules |= document.get("rules", {})
            for own in document.get("assets", {"": {}} if document else {}):
                self.know(n, own, document.get("assets", {}).get(own, {}))
        self.payments = [self._payments(n) for n in range(len(state.parts))]
        self.births_of: dict[tuple[int, int], list[Birth]] = {}
        for n, births in enumerate(state.births):
            for birth in births:
                self.births_of.setdefault((n, birth.id), []).append(birth)
        self.first_of = {line.given: line for line in reversed(self.books.lines) if line.given >= 0}
        self.into: dict[int, int] = {}
        for line in self.books.lines:
            self.into[line.recipient] = self.into.get(line.recipient, 0) + line.units
            self.into[line.sender] = self.into.get(line.sender, 0) - line.units

    def _payments(self, n: int) -> dict[tuple[str, str], list[str]]:
        """By whom withdrawals pay on a ledger, and what: their coins or transfers."""
        found: dict[tuple[str, str], list[str]] = {}
        for item in dict.fromkeys(birth.id for birth in self.state.births[n]):
            found.setdefault(self.paid(n, item), []).append(self.state.parts[n].name(item))
        return found

    def know(self, chain: int, own: str, said: Mapping[str, Any]) -> None:
        """An asset of a ledger, under the name that records have for it."""
        network = self.state.parts[chain].network
        name = self.asset(chain, own)
        entry = self.assets.setdefault(name, dict(said))
        if own not in ("", "native"):
            entry.setdefault("contracts", {})[network] = own
        else:
            entry.setdefault("native", []).append(network)
            entry.setdefault("symbol", name)
            entry.setdefault("decimals", NATIVE_SYMBOLS[network.partition(":")[0] if own else "bitcoin"][1])

    def asset(self, chain: int, own: str) -> str:
        """What an asset of a ledger is called here: as records do, else by its contract, and its chain's coin by its
        symbol."""
        if own in self.state.names[chain]:
            return self.state.names[chain][own]
        if own in ("", "native"):
            network = self.state.parts[chain].network
            return NATIVE_SYMBOLS[network.partition(":")[0] if own else "bitcoin"][0]
        return own

    def factor(self, chain: int, own: str) -> int:
        """Units here in one of the ledger's."""
        name = self.state.names[chain].get(own)
        return self.state.factor(chain, name) if name is not None else 1

    def add(self, label: int, asset: str, part: str, units: int) -> None:
        """Count units of a label in what becomes of its asset."""
        self.sums.setdefault((label, asset), dict.fromkeys(_PARTS, 0))[part] += units

    def policy(self) -> dict[str, Any]:
        """The rules of all parts, but for the heights that each ledger has."""
        units = sorted({document["policy"]["unit"] for document in self.documents if document})
        stops = [stop for document in self.documents for stop in document.get("policy", {}).get("stops", ())]
        found = self.state.policy.document(self.state.policy.as_of)
        return found | {"unit": "+".join([*units, "record"]), "stops": [s for s in dict.fromkeys(stops) if s != RECORD]}

    # What is labelled first.

    def sources(self) -> list[dict[str, Any]]:
        """Rows of the REFs, by label."""
        rows: list[tuple[int, dict[str, Any]]] = []
        for n, part in enumerate(self.state.parts):
            for item, label, amount in self.state.reached[n].labelled:
                own = part.asset(item)
                asset, units = self.asset(n, own), amount * self.factor(n, own)
                self.add(label, asset, "in", units)
                said = {"transfer": part.name(item), "asset": asset, "amount": units, "account": part.owner(item)}
                rows.append((label, said))
        for source, units in zip(self.state.sources, self.state.walked.taken, strict=True):
            line = self.books.lines[source.line]
            self.add(source.label, line.asset, "in", units)
            account = line.ends[0] if self.is_between(line.recipient) else self.books.holders[line.recipient].name
            said = {"transfer": str(line.rows[0].movement.place), "asset": line.asset, "amount": units}
            rows.append((source.label, said | {"account": account, "record": self.places(line.rows)}))
        return [{"label": f"S{label}"} | row for label, row in sorted(rows, key=lambda row: row[0])]

    def is_between(self, holder: int) -> bool:
        """Whether it stands for what is on its way between two accounts."""
        return holder >= 0 and self.books.holders[holder].reason == "on its way"

    def places(self, rows: Iterable[Booked]) -> list[dict[str, Any]]:
        """Which rows of which documents say it."""
        return [{"custodian": row.custodian, **row.movement.place._asdict(), "sha256": row.sha256} for row in rows]

    # Steps.

    def chain_steps(self, n: int) -> list[dict[str, Any]]:
        """A ledger's steps, and what becomes of value on it."""
        document = self.documents[n]
        if not document:
            return []
        coins = document["policy"]["unit"] == "coin"
        found = [self.coin_step(n, step) if coins else self.account_step(n, step) for step in document["steps"]]
        self.count_chain(n, document, coins=coins)
        return found

    def coin_step(self, n: int, step: Mapping[str, Any]) -> dict[str, Any]:
        asset, factor, network = self.asset(n, ""), self.factor(n, ""), self.state.parts[n].network
        inputs = [scaled(entry, factor) for entry in step["inputs"]]
        for entry in inputs:
            if entry["coin"] is not None:
                part = self.state.parts[n]
                entry["account"] = part.owner(part.find(entry["coin"]))
        outputs = [scaled(entry, factor) | {"account": entry["address"]} for entry in step["outputs"]]
        for entry in outputs:
            del entry["address"]
        rest = {k: v for k, v in step.items() if k not in ("inputs", "outputs", "fee", "fee_traced", "hop")}
        return rest | {
            "network": network,
            "kind": "transaction",
            "asset": asset,
            "inputs": inputs,
            "outputs": outputs,
            "fee": {"value": step["fee"] * factor, "traced": times(step.get("fee_traced", {}), factor)},
            "makes": [entry["coin"] for entry in outputs],
            "needs": [entry["coin"] for entry in inputs if entry["traced"]],
        }

    def account_step(self, n: int, step: Mapping[str, Any]) -> dict[str, Any]:
        asset, factor = self.asset(n, step["asset"]), self.factor(n, step["asset"])
        sides = {side: [scaled(entry, factor) for entry in step[side]] for side in ("inputs", "outputs")}
        needs = self.payments[n].get((sides["inputs"][0]["account"], asset), [])
        network = self.state.parts[n].network
        more = {"network": network, "asset": asset, "makes": [step["transfer"]], "needs": needs}
        return {key: value for key, value in step.items() if key != "hop"} | sides | more

    def paid(self, n: int, item: int) -> tuple[str, str]:
        """Whom a transfer pays, and what."""
        part = self.state.parts[n]
        return part.owner(item), self.asset(n, part.asset(item))

    def count_chain(self, n: int, document: Mapping[str, Any], *, coins: bool) -> None:
        """Add a ledger's totals and holdings, without what went on into the records."""
        totals = {label: {"": sums} for label, sums in document["totals"].items()} if coins else document["totals"]
        for label, assets in totals.items():
            for own, sums in assets.items():
                asset, factor = self.asset(n, own), self.factor(n, own)
                for part in ("fees", "burnt", "converted_out", "converted_in"):
                    self.add(int(label[1:]), asset, part, int(sums.get(part, 0)) * factor)
        entered = self.entered(n, coins=coins)
        for row in document["holdings"]:
            own = "" if coins else row["asset"]
            entry = scaled(row, self.factor(n, own)) | {"asset": self.asset(n, own)}
            if coins:
                entry["account"] = entry.pop("address")
            left = entered.get(row["coin"] if coins else (row["account"], own), {})
            kept = {}
            for label, units in entry["traced"].items():
                gone = min(units, left.get(label, 0))
                left[label] = left.get(label, 0) - gone
                kept[label] = units - gone
            entry["traced"] = {label: units for label, units in kept.items() if units}
            if "labels" in entry:
                entry["labels"] = [label for label in entry["labels"] if label["category"] != "record"]
                if not entry["labels"]:
                    del entry["labels"]
            if entry["traced"]:
                if entry["reason"] == RECORD:
                    entry["reason"] = "not in the record"
                self.rest(entry)
        factor_of = {birth: self.factor(n, self.state.parts[n].asset(birth.id)) for birth in self.state.births[n]}
        for birth, taken in zip(self.state.births[n], self.state.reached[n].taken, strict=True):
            if taken < birth.most:
                owner, asset = self.paid(n, birth.id)
                units = (birth.most - taken) * factor_of[birth]
                self.rest(resting(owner, asset, {f"S{birth.label}": units}, "stopped", "already traced"))

    def entered(self, n: int, *, coins: bool) -> dict[Any, Amounts]:
        """What went on into the records: by coin, or by account and asset."""
        found: dict[Any, Amounts] = {}
        part = self.state.parts[n]
        for line, segments in self.state.arrived.items():
            item = self.books.lines[line].item
            if item is None or item.chain != n:
                continue
            key = part.name(item.id) if coins else (part.owner(item.id), part.asset(item.id))
            sums = found.setdefault(key, {})
            for label, units in summed(segments).items():
                sums[label] = sums.get(label, 0) + units
        return found

    def rest(self, row: dict[str, Any]) -> None:
        """Note where value rests."""
        for label, units in row["traced"].items():
            self.add(int(label[1:]), row["asset"], row["state"], units)
        self.rests.append(row)

    def record_steps(self) -> list[dict[str, Any]]:
        """Steps of the records in order of time; deposits that came from a chain are steps too."""
        found: list[tuple[int, dict[str, Any]]] = []
        for number, segments in self.state.arrived.items():
            traced = summed(segments)
            if traced:
                found.append((number, self.line_step(number, "transfer", traced, traced)))
        steps = (s for s in self.state.walked.steps if not self.is_between(self.books.lines[s.line].recipient))
        found += [(step.line, self.record_step(step)) for step in steps]
        return [step for _, step in sorted(found, key=lambda item: item[0])]

    def record_step(self, step: RecordStep) -> dict[str, Any]:
        line = self.books.lines[step.line]
        drawn, came = told(step.drawn), told(step.came)
        kind = KINDS[step.kind]
        if kind in ("fee", "converted"):
            came = {}
        for label, units in drawn.items():
            part = {"fee": "fees", "converted": "converted_out", "burnt": "burnt"}.get(kind)
            if part is not None:
                self.add(int(label[1:]), line.asset, part, units)
        if kind == "received":
            drawn = {}
            for label, units in came.items():
                self.add(int(label[1:]), line.asset, "converted_in", units)
        return self.line_step(step.line, kind, drawn, came)

    def line_step(self, number: int, kind: str, drawn: Amounts, came: Amounts) -> dict[str, Any]:
        line = self.books.lines[number]
        name = str(line.rows[0].movement.place)
        sender = self.books.holders[line.sender].name if line.sender >= 0 else None
        recipient = self.books.holders[line.recipient].name if line.recipient >= 0 else None
        if self.is_between(line.sender) or line.item is not None:
            sender, recipient = line.ends
        step: dict[str, Any] = {
            "transfer": name,
            "txid": None,
            "height": None,
            "time": line.rows[0].movement.time,
            "proof": "record",
            "record": self.places(line.rows),
            "kind": kind,
            "asset": line.asset,
            "inputs": [{"account": sender, "value": line.units, "traced": drawn}],
            "outputs": [{"account": recipient, "value": line.units, "traced": came}],
            "makes": [],
            "needs": [],
        }
        if self.is_between(line.sender):
            step["time"] = line.rows[-1].movement.time
        if line.item is not None and line.match is not None:
            part = self.state.parts[line.item.chain]
            at = part.name(line.item.id)
            step["by"] = {"rule": "match", "says": line.match.state, "network": part.network, "transfer": at}
            side = "needs" if line.rows[0].movement.kind == "deposit" else "makes"
            step[side] = [at]
            entry = step["inputs" if side == "needs" else "outputs"][0]
            if part.asset(line.item.id) == "":
                entry["coin"] = at
        group = max(line.given, line.received)
        if group >= 0:
            trade = self.books.trades[group]
            step["transfer"] = str(self.first_of[group].rows[0].movement.place)
            step["by"] = {
                "rule": "statement",
                "venue": [line.rows[0].custodian],
                "given": {"asset": trade.given, "value": trade.units},
                "received": {"asset": trade.received, "value": trade.got},
            }
        return step

    # Where it rests.

    def holdings(self) -> list[dict[str, Any]]:
        """Everything at rest: on chains, in accounts, and where the trail ends."""
        for number, segments in sorted(self.state.walked.rests.items()):
            holder, traced = self.books.holders[number], summed(segments)
            if not traced:
                continue
            if holder.item is not None and holder.item not in self.books.entered:
                traced = self.left_behind(holder, traced)
                if traced:
                    self.rest(resting(holder.name, holder.asset, traced, "stopped", "below a unit"))
            else:
                state, reason = ("stopped", holder.reason) if holder.reason else ("held", "in the account")
                self.rest(resting(holder.name, holder.asset, traced, state, reason, self.balance(number)))
        stops: dict[int, Amounts] = {}
        for number, label, units in self.state.walked.stopped:
            sums = stops.setdefault(number, {})
            sums[f"S{label}"] = sums.get(f"S{label}", 0) + units
        for number, traced in sorted(stops.items()):
            holder = self.books.holders[number]
            self.rest(resting(holder.name, holder.asset, traced, "stopped", "incomplete history", self.balance(number)))
        return sorted(self.rests, key=lambda r: (r["asset"], r["account"], r["state"], r["reason"], r.get("coin", "")))

    def left_behind(self, holder: Holder, traced: Amounts) -> Amounts:
        """Of what a withdrawal took: what is less than the chain counts."""
        assert holder.item is not None  # noqa: S101
        n = holder.item.chain
        factor = self.state.factor(n, holder.asset)
        for birth in self.births_of.get((n, holder.item.id), ()):
            traced[f"S{birth.label}"] -= birth.most * factor
        return {label: units for label, units in traced.items() if units}

    def balance(self, number: int) -> int:
        """What the records leave a holder."""
        return max(0, self.into.get(number, 0))

    def totals(self) -> dict[str, dict[str, Amounts]]:
        """By label and asset."""
        found: dict[str, dict[str, Amounts]] = {}
        for (label, asset), sums in sorted(self.sums.items()):
            if any(sums.values()):
                found.setdefault(f"S{label}", {})[asset] = sums
        return found
