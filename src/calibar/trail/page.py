"""A trail as one HTML page that asks nothing of any network: the answer, the picture, every step."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import zip_longest
from typing import TYPE_CHECKING, Any, Final

from calibar.errors import UsageError
from calibar.trail.attributions import Names, overrides_in, stops_in
from calibar.trail.flow import Amounts
from calibar.trail.picture import Node, Picture, picture
from calibar.trail.sheet import fill
from calibar.trail.table import FEW_LABELS, btc, holdings_table, shares, summed, totals
from calibar.trail.words import Language, Text, counted, grouped, known, plain, reason, say, shortened, stop

if TYPE_CHECKING:
    from markupsafe import Markup

STEPS: Final = 150
"""Steps printed; the others are in the JSON document."""
COINS: Final = 10
"""Inputs, and outputs, printed of one step."""
SOURCES: Final = 30
"""Sources printed."""
_CODES: Final[tuple[Language, Language]] = ("en", "es")


def render(trail: Mapping[str, Any], names: Mapping[str, str] | None = None, language: str = "en") -> str:
    """Write a forward trail (its JSON document) as one self-contained page in both languages, `language` first.

    `names` gives addresses a short name, shown as somebody's word and never as a fact; what follows the first line
    is the source of the name. Raises UsageError for another language or a backward trail, BalanceError where the
    trail's sums do not re-add. Every text of the trail and of the names is treated as hostile.
    """
    if language not in _CODES:
        raise UsageError(f"page: no language {plain(language)!r}; use en or es")
    rows = totals(trail)
    drawn, called = picture(trail), Names(names, trail)
    return fill(
        "trail.html",
        ("trail.css",),
        filters={"amount": _amount, "short": _short, "utc": _utc, "grouped": _grouped},
        words={"reason": reason, "spaced": spaced},
        trail=trail,
        language=language,
        rows=holdings_table(trail),
        totals=rows,
        all=summed(rows),
        portions=_portions(trail),
        columns=[row.label for row in rows] if 1 < len(rows) <= FEW_LABELS else [],
        colour={label: n for n, group in enumerate(drawn.groups) for label in group},
        policy=_policy(trail),
        sources=trail["sources"][:SOURCES],
        more_sources=trail["sources"][SOURCES:],
        steps=[_step(number, step) for number, step in enumerate(trail["steps"][:STEPS], 1)],
        more_steps=len(trail["steps"][STEPS:]),
        proofs=_proofs(trail),
        picture=drawn,
        drawn=_texts(drawn, trail, called),
        name_of=called,
        named=[(address, *called(address)) for address in _addresses(trail) if called(address)[0]],
    )


def _portions(trail: Mapping[str, Any]) -> list[tuple[str, int, int, int]]:
    """The equation's right side: name, satoshi, hundredths of a percent, and where its part of the bar begins."""
    whole = summed(totals(trail))
    names = ("held", "stopped", "fees", "burnt")
    amounts = [getattr(whole, name) for name in names]
    parts = shares(amounts)
    return [(name, amounts[n], parts[n], sum(parts[:n])) for n, name in enumerate(names)]


def _policy(trail: Mapping[str, Any]) -> dict[str, Any]:
    policy, ledger = trail["policy"], trail["ledger"]

    return {
        "method": known("", policy["method"]),
        "explained": known("", f"{policy['method']}_long"),
        "height": _grouped(ledger["height"] if policy["as_of"] is None else policy["as_of"]),
        "stops": [stop(text) for text in stops_in(policy)],
        "overrides": overrides_in(policy),
        "fees": known("fees", policy["fees"]),
        "rules": [plain(f"{name} {version}") for name, version in sorted(trail["rules"].items())],
    }


@dataclass(frozen=True, slots=True)
class _Rest:
    """Coins of a step that are not printed one by one."""

    count: int
    value: int | None
    traced: Mapping[str, int]


def _step(number: int, step: Mapping[str, Any]) -> dict[str, Any]:
    sides = [_side(step["inputs"]), _side(step["outputs"])]
    return {**step, "number": number, "pairs": list(zip_longest(*(shown for shown, _ in sides))), "rest": sides}


def _side(coins: Sequence[Mapping[str, Any]]) -> tuple[list[Mapping[str, Any]], _Rest | None]:
    """Choose the coins to print, traced ones first but in the transaction's order, and sum the others."""
    if len(coins) <= COINS:
        return list(coins), None
    chosen = set(sorted(range(len(coins)), key=lambda n: not coins[n]["traced"])[:COINS])
    others = [coin for n, coin in enumerate(coins) if n not in chosen]
    traced: dict[str, int] = {}
    for coin in others:
        for label, amount in coin["traced"].items():
            traced[label] = traced.get(label, 0) + amount
    values = [coin["value"] for coin in others]
    rest = _Rest(len(others), None if None in values else sum(values), dict(sorted(traced.items())))
    return [coins[n] for n in sorted(chosen)], rest


def _proofs(trail: Mapping[str, Any]) -> dict[str, str]:
    """How each coin that a step made is known: proven or reported."""
    return {out["coin"]: step["proof"] for step in trail["steps"] for out in step["outputs"]}


def _addresses(trail: Mapping[str, Any]) -> list[str]:
    found = [out["address"] for step in trail["steps"] for out in step["outputs"]]
    return list(dict.fromkeys([*(holding["address"] for holding in trail["holdings"]), *found]))


def _texts(drawn: Picture, trail: Mapping[str, Any], called: Names) -> dict[str, Any]:
    """What each element of the picture says when asked, and the short texts beside sources and ends."""

    def carried(amounts: Amounts) -> str:
        parts = []
        for group, amount in amounts.items():
            label = "" if len(drawn.groups) == 1 else " + ".join(map(plain, drawn.groups[group][:4])) + " "
            parts.append(f"{label}{spaced(amount)} BTC")
        return " · ".join(parts)

    def node_text(node: Node) -> tuple[Text, Text, str]:
        """The full text, the text beside the node, and the name that somebody gave it."""
        if node.kind == "source":
            labels = drawn.groups[node.members[0]]
            beside = (
                Text(plain(labels[0]), plain(labels[0])) if len(labels) == 1 else counted("more_sources", len(labels))
            )
            return _both(f"{' '.join(map(plain, labels[:12]))}: {carried(node.amounts)}"), beside, ""
        if node.kind == "step":
            step = trail["steps"][node.members[0]]
            place = say("block", n=_grouped(step["height"]))
            return (
                Text(
                    *(
                        f"{plain(step['txid'])}\n{_utc(step['time'])} · {place[c]}\n{carried(node.amounts)}"
                        for c in _CODES
                    )
                ),
                _both(plain(step["txid"])[:6]),
                "",
            )
        if node.kind == "steps":
            many = counted("steps", len(node.members))
            return Text(*(f"{many[c]}\n{carried(node.amounts)}" for c in _CODES)), _both(""), ""
        holding = trail["holdings"][node.members[0]]
        state = known("", holding["state"])
        if node.kind == "ends":
            more = counted("more_ends", len(node.members), state=state)
            return Text(*(f"{more[c]}\n{carried(node.amounts)}" for c in _CODES)), more, ""
        why = reason(holding["reason"])[1]
        name = called(holding["address"])[0]
        full = f"{plain(holding['address'])}{f' “{name}”' if name else ''}\n{plain(holding['coin'])}"
        beside = _both("") if holding["reason"] == "unspent" else why
        return Text(*(f"{full}\n{carried(node.amounts)}\n{state[c]}: {why[c]}" for c in _CODES)), beside, name

    nodes = []
    for node in drawn.nodes:
        full, beside, name = node_text(node)
        end = node.kind in {"end", "ends"}
        holding = trail["holdings"][node.members[0]] if end else None
        nodes.append(
            {
                "full": full,
                "beside": beside,
                "name": _cut(name, 24 if beside.en else 38),
                "amount": spaced(sum(node.amounts.values())),
                "standing": reason(holding["reason"])[0] if holding and node.kind == "end" else "fact",
                "address": shortened(holding["address"]) if holding and node.kind == "end" else "",
                "state": holding["state"] if holding and holding["state"] in {"held", "stopped"} else "",
            }
        )
    ribbons = []
    for ribbon in drawn.ribbons:
        what = _both(plain(ribbon.coin)) if ribbon.count == 1 else counted("coins", ribbon.count)
        amounts = carried({ribbon.group: ribbon.amount})
        ribbons.append(Text(f"{amounts}\n{what.en}", f"{amounts}\n{what.es}"))
    leaks = []
    for leak in drawn.leaks:
        node = drawn.nodes[leak.node]
        inputs = trail["steps"][node.members[0]]["inputs"] if node.kind == "step" else []
        burnt = any(coin["coin"] is None for coin in inputs)
        word = say("burnt" if burnt else "fee_leak")
        leaks.append((burnt, Text(*(f"{word[c]}: {carried(leak.amounts)}" for c in _CODES))))
    few = sum(node.kind in {"step", "steps"} for node in drawn.nodes) <= 14
    return {"nodes": nodes, "ribbons": ribbons, "leaks": leaks, "tagged": few, "summed": _is_summed(drawn)}


def _is_summed(drawn: Picture) -> bool:
    return any(node.kind in {"steps", "ends"} for node in drawn.nodes)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _both(text: str) -> Text:
    return Text(text, text)


def spaced(satoshi: int) -> str:
    """Write satoshi as bitcoin whose last eight decimals are grouped as satoshi are read: "1.23 456 789"."""
    whole, part = btc(satoshi).split(".")
    return f"{grouped(int(whole))}.{part[:2]}\u202f{part[2:5]}\u202f{part[5:]}"


def _amount(satoshi: int | None) -> Markup | Text:
    from markupsafe import Markup  # noqa: PLC0415

    if satoshi is None:
        return say("unknown")
    return Markup('<data value="{}">{}</data>').format(satoshi, spaced(satoshi))


def _short(text: str, head: int = 8) -> Markup:
    """Show the ends of an id and hide its middle, which stays in the text: copied and printed, the id is whole."""
    from markupsafe import Markup  # noqa: PLC0415

    text = plain(text)
    tail = len(text) - (text.rfind(":") if text.rfind(":") > head + 8 else len(text)) + 4
    if len(text) <= head + tail + 3:
        return Markup('<code title="{0}">{0}</code>').format(text)
    return Markup('<code title="{}">{}<span class="mid">{}</span>{}</code>').format(
        text, text[:head], text[head:-tail], text[-tail:]
    )


def _grouped(number: int | None) -> str | Text:
    return say("unknown") if number is None else grouped(number)


def _utc(seconds: int | None, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    try:
        return "?" if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime(form)
    except (OverflowError, ValueError, OSError):
        return "?"
