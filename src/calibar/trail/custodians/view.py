"""A trail through ledgers and records as movements from account to account, as tables, pictures and pages take them.

A transaction of coins with one traced owner pays from him; one with several is a lane of its own, since which owner's
units went where is the method's answer for the transaction, not for each.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def as_movements(document: Mapping[str, Any]) -> dict[str, Any]:
    """The document in the shape of an account chain's trail; every step has one side each."""
    return {
        **document,
        "ledger": {
            "network": _joined(document, "network"),
            "height": _joined(document, "height"),
            "tip": _joined(document, "tip"),
        },
        "steps": [movement for step in document["steps"] for movement in _movements(step)],
        "totals": _in_order(document),
    }


def _in_order(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The totals, assets in the order in which they come up."""
    seen = [row["asset"] for row in (*document["sources"], *document["steps"])]
    place = {asset: n for n, asset in enumerate(dict.fromkeys(seen))}
    return {
        label: dict(sorted(assets.items(), key=lambda item: place.get(item[0], len(place))))
        for label, assets in document["totals"].items()
    }


def _joined(document: Mapping[str, Any], key: str) -> str:
    """What each ledger says, and the custodians."""
    found = [str(ledger[key]) for ledger in document["ledgers"] if ledger[key] is not None]
    if key == "network":
        found += sorted({name for record in document["records"] for name in record["custodians"]})
    return ", ".join(found) or "?"


def _movements(step: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    if step["kind"] != "transaction":
        yield dict(step)
        return
    traced = [entry for entry in step["inputs"] if entry["traced"]]
    owners = {entry.get("account") for entry in traced}
    shared = {k: v for k, v in step.items() if k not in ("inputs", "outputs", "fee")} | {"kind": "transfer"}
    middle = owners.pop() if len(owners) == 1 else step["txid"]
    if middle == step["txid"]:
        for entry in traced:
            sides = {"inputs": [entry], "outputs": [{**entry, "account": middle}]}
            yield {**shared, "transfer": entry["coin"], **sides}
    for entry in step["outputs"]:
        if entry["traced"]:
            sides = {"inputs": [{**entry, "account": middle}], "outputs": [entry]}
            yield {**shared, "transfer": entry["coin"], **sides}
    if step["fee"]["traced"]:
        fee = {"value": step["fee"]["value"], "traced": step["fee"]["traced"], "account": middle}
        none = {"value": step["fee"]["value"], "traced": {}, "account": None}
        yield {**shared, "kind": "fee", "transfer": f"{step['txid']}:fee", "inputs": [fee], "outputs": [none]}
