"""What comes first: flows of several accounts, and steps of several ledgers and of the records."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from calibar.trail.custodians.books import Line


def in_order(lines: Sequence[Line]) -> list[Line]:
    """Flows in order of time, each account's in its own order, and what arrives from another account after it left.

    Where rows contradict each other about what came first, time decides.
    """
    order = sorted(range(len(lines)), key=lambda n: (lines[n].time, n))
    number = {id(line): n for n, line in enumerate(lines)}
    books: dict[str, list[int]] = defaultdict(list)
    for n in order:
        books[lines[n].book].append(n)
    heads = dict.fromkeys(books, 0)
    found: list[Line] = []
    done: set[int] = set()
    for first in order:
        waiting, seen = [first], {first}
        while waiting:
            n = waiting[-1]
            line, book = lines[n], books[lines[n].book]
            while heads[line.book] < len(book) and book[heads[line.book]] in done:
                heads[line.book] += 1
            needed = [book[heads[line.book]]] if n not in done else []
            needed += [number[id(line.after)]] if line.after is not None else []
            if n not in done and (new := [m for m in needed if m not in done and m not in seen]):
                waiting.append(new[0])
                seen.add(new[0])
                continue
            waiting.pop()
            if n not in done:
                done.add(n)
                found += [line] if line.before is None else [line.before, line]
    return found


def merged(parts: Sequence[list[dict[str, Any]]]) -> list[dict[str, Any]]:
    """All steps in order of time, each part's in its own order, and each after the step that its value comes from."""
    made = {name for steps in parts for step in steps for name in step["makes"]}
    heads, found, done = [0] * len(parts), list[dict[str, Any]](), set[str]()
    hops: dict[Any, int] = {}
    while any(head < len(steps) for head, steps in zip(heads, parts, strict=True)):
        waiting = [n for n, steps in enumerate(parts) if heads[n] < len(steps)]
        ready = [n for n in waiting if all(name in done or name not in made for name in parts[n][heads[n]]["needs"])]
        first = min(ready or waiting, key=lambda n: (_when(parts[n][heads[n]]), n))
        step = parts[first][heads[first]]
        heads[first] += 1
        done.update(step.pop("makes"))
        step.pop("needs")
        given = (step["txid"] or step["transfer"], step.get("network", ""))
        step["hop"] = 1 + min((hops.get(key, 0) for key in _keys(step, "inputs")), default=0)
        if step["kind"] == "converted":
            hops[given] = step["hop"]
        elif step["kind"] == "received":
            step["hop"] = hops.get(given, step["hop"])
        for key in _keys(step, "outputs"):
            hops[key] = min(hops.get(key, step["hop"]), step["hop"])
        found.append(step)
    return found


def _when(step: Mapping[str, Any]) -> int:
    return step["time"] if step["time"] is not None else 0


def _keys(step: Mapping[str, Any], side: str) -> list[object]:
    """By what the hops of what a step draws and brings are known: coins, and what accounts have of an asset."""
    return [
        key
        for entry in step[side]
        if entry["traced"]
        for key in (entry.get("coin"), (entry.get("account"), step["asset"]))
        if key is not None and key != (None, step["asset"])
    ]
