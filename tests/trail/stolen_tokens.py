"""The recorded token theft for tests of trails: what its story, its node's answers and a recount from steps say."""

from __future__ import annotations

import gzip
import json
from collections import Counter
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from calibar.chains.ethereum.recorded import Recording
from calibar.chains.ethereum.rpc import RpcSource
from calibar.ledger.accounts.ingest import ingest
from calibar.sandbox.scenarios import token_theft as story

Json = Mapping[str, Any]
METHODS = ("fifo", "lifo", "haircut", "libr")
ETHER, DOLLAR = story.ETHER, story.DOLLAR


@cache
def truth() -> story.TokenTruth:
    return story.truth()


def address(role: str) -> str:
    return truth().role(role)


@cache
def roles() -> dict[str, str]:
    """Roles and contracts by address, in lower case."""
    return {owned.address: owned.role for owned in truth().addresses} | {
        where: name for name, where in truth().contracts
    }


def role(written: str | None) -> str:
    return "nobody" if written is None else roles().get(written.lower(), written)


@cache
def refs() -> tuple[str, ...]:
    return tuple(f"{each.transaction}:{each.log_index}" for each in truth().sources)


@cache
def answers() -> dict[str, Any]:
    """The node's answers, read by no reader of the product's."""
    lines = [json.loads(line) for line in gzip.decompress(story.RECORDING.read_bytes()).splitlines()]
    return {json.dumps([line["method"], line["params"]]): line["result"] for line in lines}


def asked(method: str, *params: Any) -> Any:
    return answers()[json.dumps([method, params])]


@cache
def receipts() -> dict[str, Json]:
    return {
        each["transactionHash"]: each for n in range(story.TIP + 1) for each in asked("eth_getBlockReceipts", hex(n))
    }


@cache
def told() -> tuple[tuple[story.Step, str], ...]:
    """The story's steps with the hashes of their transactions."""
    return tuple(zip(story.steps(), receipts(), strict=True))


def take_in(folder: Path, *, genesis: Path | None = story.GENESIS, batch: int = 16, **options: Any) -> Path:
    ingest(RpcSource(Recording(story.RECORDING), genesis=genesis, batch=batch), folder, **options)
    return folder


def resting(trail: Json) -> Counter[tuple[str, str, str, str]]:
    """Label, asset, role and state to units; what the issuer destroyed is told by its step."""
    found: Counter[tuple[str, str, str, str]] = Counter()
    for row in trail["holdings"]:
        for label, amount in row["traced"].items():
            found[label, role(row["asset"]), role(row["account"]), row["state"]] += int(amount)
    for step in trail["steps"]:
        if step["kind"] == "burnt by issuer":
            for label, amount in step["inputs"][0]["traced"].items():
                found[label, role(step["asset"]), role(step["inputs"][0]["account"]), "destroyed"] += int(amount)
    return found


def recount(trail: Json) -> None:
    """Re-add a trail from its sources and steps alone."""
    lists: Counter[tuple[str, str, str]] = Counter()
    sums: Counter[tuple[str, str, str]] = Counter()
    stops: set[tuple[str, str, str]] = set()
    for source in trail["sources"]:
        sums[source["label"], source["asset"], "in"] += int(source["amount"])
    coming = {(source["transfer"], source["label"]): source for source in trail["sources"]}

    def come(transfer: str) -> None:
        for label in trail["totals"]:
            if source := coming.pop((transfer, label), None):
                lists[label, source["asset"], source["account"]] += int(source["amount"])

    order = chain_order(trail)
    for step in trail["steps"]:
        for transfer in [name for name, _ in coming if order[name] < order[step["transfer"]]]:
            come(transfer)
        (source,), (target,), asset, kind = step["inputs"], step["outputs"], step["asset"], step["kind"]
        drawn, came = ({label: int(amount) for label, amount in side["traced"].items()} for side in (source, target))
        assert drawn or came
        assert all(amount > 0 for amount in (*drawn.values(), *came.values()))
        assert max(sum(drawn.values()), sum(came.values())) <= int(source["value"]) == int(target["value"])
        if kind == "transfer":
            assert drawn == came
        elif kind == "received":
            assert not drawn
        else:
            assert not came
        for label, amount in drawn.items():
            lists[label, asset, source["account"]] -= amount
            assert lists[label, asset, source["account"]] >= 0
            if kind != "transfer":
                what = {"fee": "fees", "converted": "converted_out"}.get(kind, "burnt")
                sums[label, asset, what] += amount
        for label, amount in came.items():
            lists[label, asset, target["account"]] += amount
            if kind == "received":
                sums[label, asset, "converted_in"] += amount
        if "stop" in step:
            stops.add((step["stop"], asset, target["account"]))
        come(step["transfer"])
    for transfer, label in list(coming):
        source = coming[transfer, label]
        lists[label, source["asset"], source["account"]] += int(source["amount"])

    rest: Counter[tuple[str, str, str]] = Counter()
    for row in trail["holdings"]:
        for label, amount in row["traced"].items():
            rest[label, row["asset"], row["account"]] += int(amount)
            sums[label, row["asset"], row["state"]] += int(amount)
        if row["state"] == "stopped":
            reason = row["reason"]
            assert (reason, row["asset"], row["account"]) in stops or reason in ("exchanged", "incomplete history")
    assert rest == +lists
    for label, assets in trail["totals"].items():
        for asset, total in assets.items():
            assert {what: int(amount) for what, amount in total.items()} == {
                what: sums[label, asset, what] for what in total
            }
            out = sum(int(total[what]) for what in ("held", "stopped", "fees", "burnt", "converted_out"))
            assert int(total["in"]) + int(total["converted_in"]) == out
    assert {(label, asset) for label, asset, _ in +sums} <= {
        (label, asset) for label, assets in trail["totals"].items() for asset in assets
    }


def chain_order(trail: Json) -> dict[str, tuple[int, int, int]]:
    """Block, transaction and place of every transfer that a trail names."""
    places = {hash_: at for at, hash_ in enumerate(receipts())}
    order = {}
    for name in [row["transfer"] for part in ("sources", "steps") for row in trail[part]]:
        digest, _, place = name.partition(":")
        if digest.startswith("block-"):
            order[name] = int(digest[6:]), -1, int(place)
        else:
            words = {"fee": -2, "burnt-fee": -2, "value": -1}
            number = words[place] if place in words else int(place.removeprefix("internal-"))
            order[name] = int(receipts()[digest]["blockNumber"], 16), places[digest], number
    return order
