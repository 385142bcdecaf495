"""What the elements of an account trail's picture say: full texts when asked, short ones beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from calibar.trail.accounts.lanes import Amounts
from calibar.trail.accounts.picture import Node, Picture, Ribbon
from calibar.trail.accounts.table import NATIVE_DECIMALS
from calibar.trail.accounts.words import both, brief, many, shown, tell, word
from calibar.trail.attributions import Names
from calibar.trail.words import Language, Text, counted, grouped, plain, reason, say, shortened

_STANDING: Final = {"deposit": "inference", "exchanged": "inference"}
CODES: Final[tuple[Language, Language]] = ("en", "es")
_SYMBOL: Final = 16
"""Characters shown of a symbol."""


def same(text: str) -> Text:
    """A text that is the same in both languages."""
    return Text(text, text)


def joined(*parts: Text | str, by: str = "") -> Text:
    """Several texts in a row, empty ones left out."""
    sides = ([part[code] if isinstance(part, Text) else part for part in parts] for code in CODES)
    return Text(*(by.join(part for part in side if part) for side in sides))


def cut(text: str, most: int) -> str:
    """At most so many characters of a text."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def utc(seconds: object, form: str = "%Y-%m-%d %H:%M UTC") -> str:
    """A block's time."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime(form) if isinstance(seconds, int) else "?"
    except (OverflowError, ValueError, OSError):
        return "?"


@dataclass(frozen=True, slots=True)
class Asset:
    """An asset as it is shown: `symbol` is what its contract says of itself."""

    id: str
    symbol: str
    name: str
    decimals: int | None
    warnings: tuple[Text, ...] = ()
    """What speaks against it."""

    @property
    def native(self) -> bool:
        """Whether it is the chain's own coin."""
        return self.id == "native"

    @property
    def short(self) -> Text:
        """The symbol in quotes, as said; without one, the contract's ends."""
        if self.native:
            return both("native")
        return same(f"“{cut(self.symbol, _SYMBOL)}”" if self.symbol else shortened(self.id, 6))

    def brief(self, amount: int) -> Text:
        """An amount for the picture, with the asset."""
        return joined(brief(amount, self.decimals), self.short, by=" ")

    def exact(self, amount: int) -> Text:
        """An amount with all its decimals, and the asset."""
        return joined(shown(amount, self.decimals), self.short, by=" ")


def asset_of(trail: Mapping[str, Any], asset: str) -> Asset:
    """What a trail knows of an asset."""
    said = trail["assets"].get(asset) or {}
    warnings = _warnings(said)
    if asset == "native":
        decimals = NATIVE_DECIMALS.get(str(trail["ledger"]["network"]).partition(":")[0])
        return Asset(asset, "", "", decimals, warnings)
    decimals = said.get("decimals")
    if not isinstance(decimals, int) or not 0 <= decimals <= 77:
        decimals = None
    symbol, name = (plain(said.get(key) or "").strip() for key in ("symbol", "name"))
    return Asset(asset, symbol, cut(name, 60), decimals, warnings)


def _warnings(said: Mapping[str, Any]) -> tuple[Text, ...]:
    found = []
    if "imitates" in said:
        found.append(Text(*(plain(word("imitates", code).format(known=said["imitates"])) for code in CODES)))
    if (beside := said.get("balances")) and beside["differ"]:
        found.append(Text(*(plain(word("balances differ", code).format(**beside)) for code in CODES)))
    return tuple(found)


class Captions:
    """Texts of a picture's elements, in their order."""

    def __init__(self, drawn: Picture, trail: Mapping[str, Any], names: Names) -> None:
        self.drawn, self.trail, self.names = drawn, trail, names
        found = {node.asset for node in drawn.nodes} | {node.other[0] for node in drawn.nodes}
        self.assets = {asset: asset_of(trail, asset) for asset in found}

    def carried(self, amounts: Amounts, asset: str) -> Text:
        """Amounts by label."""
        parts = []
        for group, amount in amounts.items():
            label = " + ".join(map(plain, self.drawn.groups[group][:4])) if len(self.drawn.groups) > 1 else ""
            parts.append(joined(label, self.assets[asset].exact(amount), by=" "))
        return joined(*parts, by=" · ")

    def who(self, account: str) -> str:
        """An address in full, with its name as somebody said it."""
        name = self.names(account)[0]
        return f"{plain(account)}{f' “{name}”' if name else ''}"

    def node(self, node: Node) -> dict[str, Any]:
        """The full text of a node, and what stands beside it."""
        carried = self.carried(node.amounts, node.asset)
        asset = self.assets[node.asset]
        text: dict[str, Any] = {
            "full": carried,
            "amount": asset.brief(sum(node.amounts.values())),
            "name": "",
            "id": "",
        }
        text |= {"beside": same(""), "state": "", "standing": "fact", "frozen": False, "deposit": False}
        if node.kind == "source":
            labels = self.drawn.groups[node.members[0]]
            text["name"] = cut(plain(labels[0]), 14) if len(labels) == 1 else "…"
            text["figure"] = brief(sum(node.amounts.values()), asset.decimals)
            return text | {"full": joined(" ".join(map(plain, labels[:12])), carried, by=": ")}
        if node.kind == "lane":
            marks = [row for row in self.trail["holdings"] if row["account"] in node.members]
            text["deposit"] = any("inferred" in row for row in marks) and len(node.members) == 1
            text["frozen"] = any("frozen" in row and row["asset"] == node.asset for row in marks)
            if len(node.members) == 1:
                text |= self.called(node.members[0])
                return text | {"full": joined(self.who(node.members[0]), carried, by="\n")}
            more = many("accounts", len(node.members))
            return text | {"beside": more, "full": joined(more, carried, by="\n")}
        if node.kind == "conversion":
            received = self.carried(node.other[1], node.other[0]) if node.other[0] else same("?")
            place = self.when(node.members)
            arrow = Text(f"{carried.en} → {received.en}", f"{carried.es} → {received.es}")
            asserted, recorded = self.asserted(node.members), self.proof(node.members) == "record"
            whose = tell("asserted") if asserted else say("record") if recorded else say("inference")
            told = joined(tell("conversion"), " (", whose, ")")
            text["standing"] = "asserted" if asserted else "fact" if recorded else "inference"
            taken = self.assets[node.other[0]].brief(sum(node.other[1].values())) if node.other[0] else same("?")
            return text | {
                "full": joined(told, arrow, place, by="\n"),
                "beside": joined("→ ", taken),
                "side": node.side,
            }
        if node.kind == "burn":
            issuer = all(self.trail["steps"][n]["kind"] == "burnt by issuer" for n in node.members)
            told = tell("burnt_by_issuer") if issuer else both("burnt")
            return text | {"full": joined(told, carried, self.when(node.members), by="\n"), "beside": told}
        if node.kind == "hot":
            told = joined(tell("hot_wallet"), " (", say("inference"), ")")
            text |= self.called(node.members[0])
            return text | {"full": joined(told, self.who(node.members[0]), by="\n"), "beside": tell("hot_wallet")}
        return text | self.end(node, carried)

    def called(self, account: str) -> dict[str, str]:
        """An account by its name and the ends of its address."""
        name = cut(self.names(account)[0], 34)
        return {"name": name, "id": shortened(account, 8) if not name else shortened(account, 6)}

    def end(self, node: Node, carried: Text) -> dict[str, Any]:
        """Where value rests, and why."""
        rows = [self.trail["holdings"][n] for n in node.members]
        if len(rows) > 1:
            more = counted("ends", len(rows))
            return {"full": joined(more, carried, by="\n"), "beside": more}
        row = rows[0]
        state = row["state"] if row["state"] in ("held", "stopped") else ""
        why = joined(both(row["state"]), both(row["reason"]) if row["reason"] != "unspent" else "", by=": ")
        full: list[Text | str] = [self.who(row["account"]), carried, why]
        if "frozen" in row:
            full.append(both("frozen"))
        if "inferred" in row and row["reason"] != "deposit":
            full.append(joined(say("inference"), ": ", both("deposit")))
        return self.called(row["account"]) | {
            "full": joined(*full, by="\n"),
            "state": state,
            "beside": both(row["state"]) if row["reason"] == "deposit" else why,
            "standing": _STANDING.get(row["reason"], reason(row["reason"])[0] if "label:" in row["reason"] else "fact"),
            "frozen": "frozen" in row,
        }

    def when(self, steps: tuple[int, ...]) -> Text:
        """The transfers of one step, or how many they are."""
        if not steps:
            return same("")
        step = self.trail["steps"][steps[0]]
        height = grouped(step["height"]) if isinstance(step["height"], int) else "?"
        place = joined(f"{utc(step['time'])} · ", say("block", n=height))
        if "record" in step:
            place = joined(f"{utc(step['time'])} · ", plain(step["record"][0]["custodian"]))
        if len(steps) > 1:
            return joined(many("steps", len(steps)), place, by=" · ")
        return joined(plain(step["transfer"]), place, by="\n")

    def ribbon(self, ribbon: Ribbon) -> Text:
        """What a band carries, from whom to whom."""
        if ribbon.kind == "hot":
            return joined(tell("hot_wallet"), " (", say("inference"), ")")
        carried = self.carried({ribbon.group: ribbon.amount}, ribbon.asset)
        nodes = [self.drawn.nodes[n] for n in (ribbon.start, ribbon.end)]
        if ribbon.kind == "body":
            return self.node(nodes[0])["full"]  # type: ignore[no-any-return]
        ends = [self.who(node.members[0]) for node in nodes if node.kind == "lane" and len(node.members) == 1]
        proof = say(self.proof(ribbon.steps)) if ribbon.steps else same("")
        return joined(carried, " → ".join(ends), self.when(ribbon.steps), proof, by="\n")

    def asserted(self, steps: tuple[int, ...]) -> bool:
        """Whether a step rests on somebody's link."""
        return any(self.trail["steps"][n].get("by", {}).get("link") is not None for n in steps)

    def proof(self, steps: tuple[int, ...]) -> str:
        """`proven` where every step is, `record` where every step is in records."""
        kinds = {self.trail["steps"][n]["proof"] for n in steps}
        return str(kinds.pop()) if len(kinds) == 1 and kinds <= {"proven", "record"} else "reported"
