"""An account chain's trail as one HTML page that asks nothing of any network: the answer, the picture, every step."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from calibar.errors import BalanceError, UsageError
from calibar.trail.accounts.captions import CODES, Asset, Captions, asset_of, joined, same, utc
from calibar.trail.accounts.lanes import units
from calibar.trail.accounts.picture import picture
from calibar.trail.accounts.table import PARTS
from calibar.trail.accounts.words import PAGE, both, brief, many, quantity, tell
from calibar.trail.attributions import Names, overrides_in, stops_in
from calibar.trail.sheet import fill
from calibar.trail.table import FEW_LABELS, shares
from calibar.trail.words import Text, grouped, plain, say

if TYPE_CHECKING:
    from markupsafe import Markup

STEPS: Final = 500
"""Steps printed; the others are in the JSON document."""
HOLDINGS: Final = 60
"""Holdings of one asset printed apart."""
SOURCES: Final = 60
"""Sources printed."""
_SUMS: Final = ("in", "converted_in", *PARTS)

Labelled = dict[str, int]
"""Base units by label."""


def render(document: Mapping[str, Any], names: Mapping[str, str] | None = None, language: str = "en") -> str:
    """Write a forward trail (its JSON document) as one self-contained page in both languages, `language` first.

    `names` gives addresses a short name, shown as somebody's word and never as a fact; what follows the first line
    is the source of the name. Raises UsageError for another language or a backward trail, BalanceError where the
    trail's sums do not re-add. Every text of the trail and of the names is treated as hostile.
    """
    if language not in CODES:
        raise UsageError(f"page: no language {plain(language)!r}; use en or es")
    if "holdings" not in document:
        raise UsageError("trail: it has no holdings; only a forward trail can be shown, trace with --direction forward")
    answers = _answers(document)
    drawn, called = picture(document), Names(names, document)
    captions = Captions(drawn, document, called)
    accounts = _accounts(document)
    words = (tell, many, both, brief)
    return fill(
        "account.html",
        ("trail.css", "account.css"),
        filters={"short": _short, "utc": utc, "grouped": _grouped, "traced": _traced},
        words={word.__name__: word for word in words} | {"quantity": _quantity},
        trail=document,
        language=language,
        title=tell("title", amount=_whole(answers)),
        answers=answers,
        labels=[label for group in drawn.groups for label in group],
        colour={label: n for n, group in enumerate(drawn.groups) for label in group},
        assets={answer.asset.id: answer.asset for answer in answers},
        policy=_policy(document),
        sources=document["sources"][:SOURCES],
        links=document.get("links", []),
        more_sources=len(document["sources"][SOURCES:]),
        steps=document["steps"][:STEPS],
        more_steps=len(document["steps"][STEPS:]),
        picture=drawn,
        captions=captions,
        nodes=[captions.node(node) for node in drawn.nodes],
        name_of=called,
        named=[(account, *called(account)) for account in accounts if called(account)[0]],
    )


@dataclass(frozen=True, slots=True)
class Row:
    """One line of an asset's answer: a holding, the smaller ones summed, or what left the asset."""

    kind: str
    traced: Labelled
    share: int
    """Hundredths of a percent."""
    holding: Mapping[str, Any] | None = None
    count: int = 1

    @property
    def amount(self) -> int:
        """Traced base units, all labels together."""
        return sum(self.traced.values())


@dataclass(frozen=True, slots=True)
class Answer:
    """Where the traced value of one asset rests; `sums` are base units by label and part."""

    asset: Asset
    sums: dict[str, dict[str, int]]
    rows: list[Row]

    def whole(self, part: str) -> int:
        """One part of all labels."""
        return sum(sums[part] for sums in self.sums.values())

    @property
    def received(self) -> int:
        """What came in, from sources and by conversion."""
        return self.whole("in") + self.whole("converted_in")

    @property
    def columns(self) -> list[str]:
        """Labels that get a column each."""
        return list(self.sums) if 1 < len(self.sums) <= FEW_LABELS else []

    @property
    def portions(self) -> list[tuple[str, int, int, int]]:
        """The equation's right side: name, amount, hundredths of a percent, and where its part of the bar begins."""
        amounts = [self.whole(part) for part in PARTS]
        parts = shares(amounts)
        return [(name, amounts[n], parts[n], sum(parts[:n])) for n, name in enumerate(PARTS)]


def _answers(trail: Mapping[str, Any]) -> list[Answer]:
    """Each asset's answer, those of the sources first. Raises BalanceError where sums do not re-add."""
    sourced = [row["asset"] for row in trail["sources"]]
    others = [asset for assets in trail["totals"].values() for asset in assets]
    return [_answer(trail, asset) for asset in dict.fromkeys((*sourced, *others)) if asset in others]


def _answer(trail: Mapping[str, Any], asset: str) -> Answer:
    sums = {
        label: {part: units(assets[asset][part]) for part in _SUMS}
        for label, assets in sorted(trail["totals"].items(), key=lambda item: (len(item[0]), item[0]))
        if asset in assets
    }
    rows = [(row, _labelled(row["traced"])) for row in trail["holdings"] if row["asset"] == asset]
    destroyed: Labelled = {}
    for step in trail["steps"]:
        if step["kind"] == "burnt by issuer" and step["asset"] == asset:
            for label, amount in _labelled(step["inputs"][0]["traced"]).items():
                destroyed[label] = destroyed.get(label, 0) + amount
    for label, parts in sums.items():
        _check(f"{plain(label)} of {plain(asset)}", parts, label, rows, destroyed.get(label, 0))
    rows.sort(key=lambda row: -sum(row[1].values()))
    found: list[tuple[str, Labelled, Mapping[str, Any] | None, int]] = [
        ("holding", traced, row, 1) for row, traced in rows[:HOLDINGS]
    ]
    if rows[HOLDINGS:]:
        rest = {label: sum(traced.get(label, 0) for _, traced in rows[HOLDINGS:]) for label in sums}
        found.append(("rest", rest, None, len(rows) - HOLDINGS))
    left = {part: {label: parts[part] for label, parts in sums.items()} for part in PARTS}
    left["burnt_by_issuer"] = destroyed
    left["burnt"] = {label: amount - destroyed.get(label, 0) for label, amount in left["burnt"].items()}
    kinds = ("fees", "burnt_by_issuer", "burnt", "converted_out")
    found += [(kind, left[kind], None, 1) for kind in kinds if any(left[kind].values())]
    parts_of = shares([sum(traced.values()) for _, traced, _, _ in found])
    lines = [Row(kind, traced, share, row, n) for (kind, traced, row, n), share in zip(found, parts_of, strict=True)]
    return Answer(asset_of(trail, asset), sums, lines)


def _check(
    what: str, parts: Mapping[str, int], label: str, rows: Iterable[tuple[Mapping[str, Any], Labelled]], destroyed: int
) -> None:
    out = sum(parts[part] for part in PARTS)
    if parts["in"] + parts["converted_in"] != out:
        raise BalanceError(f"trail: {what} does not re-add: {parts['in'] + parts['converted_in']} in, {out} out")
    for state in ("held", "stopped"):
        by_rows = sum(traced.get(label, 0) for row, traced in rows if row["state"] == state)
        if by_rows != parts[state]:
            raise BalanceError(f"trail: {what} {state} is {by_rows} by its holdings, {parts[state]} by its totals")
    if destroyed > parts["burnt"]:
        raise BalanceError(f"trail: {what} burnt is {parts['burnt']} by its totals, {destroyed} by its steps")


def _labelled(traced: Mapping[str, Any]) -> Labelled:
    return {label: units(amount) for label, amount in traced.items()}


def _whole(answers: Iterable[Answer]) -> Text:
    """What was traced, by asset, as the assets call themselves."""
    parts = [answer.asset.exact(answer.whole("in")) for answer in answers if answer.whole("in")]
    return joined(*parts[:4], *(["…"] if parts[4:] else []), by=" + ")


def _policy(trail: Mapping[str, Any]) -> dict[str, Any]:
    policy = trail["policy"]
    method = str(policy["method"])
    is_known = f"{method}_long" in PAGE
    rules = [f"{plain(name)} {plain(version)}" for name, version in sorted(trail["rules"].items())]
    return {
        "method": tell(method) if is_known else same(plain(method)),
        "explained": tell(f"{method}_long", rule=tell("only_rule")) if is_known else same(""),
        "height": _grouped(trail["ledger"]["height"] if policy["as_of"] is None else policy["as_of"]),
        "stops": [_stop(text) for text in stops_in(policy)],
        "overrides": overrides_in(policy),
        "fees": tell(f"fees.{policy['fees']}") if f"fees.{policy['fees']}" in PAGE else same(plain(policy["fees"])),
        "rules": rules,
    }


def _stop(text: object) -> Text:
    name, _, value = str(text).partition(":")
    if f"stops.{name}" not in PAGE:
        return same(plain(text))
    return tell(f"stops.{name}", value=grouped(int(value)) if re.fullmatch("[0-9]{1,78}", value) else plain(value))


def _accounts(trail: Mapping[str, Any]) -> list[str]:
    found = [row["account"] for row in (*trail["holdings"], *trail["sources"])]
    found += [side["account"] for step in trail["steps"] for side in (*step["inputs"], *step["outputs"])]
    found += [row["inferred"]["hot_wallet"] for row in trail["holdings"] if "inferred" in row]
    return [account for account in dict.fromkeys(found) if account is not None]


def _quantity(amount: object, asset: Asset) -> Markup:
    """An amount with the asset's decimals, its base units for machines."""
    from markupsafe import Markup  # noqa: PLC0415

    return Markup('<data value="{}">{}</data>').format(units(amount), quantity(units(amount), asset.decimals))


def _short(text: object, head: int = 8, tail: int = 4) -> Markup:
    """Show the ends of an id and hide its middle, which stays in the text: copied and printed, the id is whole."""
    from markupsafe import Markup  # noqa: PLC0415

    text = plain(text)
    body, colon, _ = text.partition(":")
    end = len(body) - tail if colon and len(body) > 40 else len(text) - tail
    if end <= head + 3:
        return Markup('<code title="{0}">{0}</code>').format(text)
    return Markup('<code title="{}">{}<span class="mid">{}</span>{}</code>').format(
        text, text[:head], text[head:end], text[end:]
    )


def _grouped(number: object) -> str | Text:
    """A height; several, where there are several ledgers, are a text."""
    if isinstance(number, str):
        return plain(number)
    return grouped(number) if isinstance(number, int) else say("unknown")


def _traced(step: Mapping[str, Any]) -> Labelled:
    """What a step moves of each label: what it takes from the sender, or what a conversion brought."""
    drawn, came = (_labelled(step[side][0]["traced"]) for side in ("inputs", "outputs"))
    return came if step["kind"] == "received" or not drawn else drawn
