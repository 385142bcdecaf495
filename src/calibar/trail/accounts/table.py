"""An account chain's trail as a table for the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from calibar.trail.accounts.words import quantity, word
from calibar.trail.attributions import Names
from calibar.trail.caveats import caveats
from calibar.trail.words import Language, plain

if TYPE_CHECKING:
    from rich.console import Console

PARTS: Final = ("held", "stopped", "fees", "burnt", "converted_out")
NATIVE_DECIMALS: Final = {"ethereum": 18, "tron": 6}


def decimals_of(trail: Mapping[str, Any], asset: str) -> int | None:
    """Decimals of an asset: the chain's own have them by definition, a token as it says."""
    if asset == "native":
        return NATIVE_DECIMALS[trail["ledger"]["network"].partition(":")[0]]
    decimals = trail["assets"].get(asset, {}).get("decimals")
    return int(decimals) if decimals is not None else None


def title_of(trail: Mapping[str, Any], asset: str) -> str:
    """An asset for people: its contract, and the symbol that it says it has, as said."""
    said = trail["assets"].get(asset, {})
    imitates = f"; IMITATES {said['imitates']}" if "imitates" in said else ""
    return f"{plain(asset)} (“{plain(said['symbol'])}”{imitates})" if said.get("symbol") else plain(asset)


def warning_of(trail: Mapping[str, Any], asset: str, language: Language) -> str | None:
    """That balances of an asset are not what its transfers make, by what a node said; None where none said so."""
    beside = trail["assets"].get(asset, {}).get("balances")
    if not beside or not beside["differ"]:
        return None
    return word("balances differ", language).format(**beside)


def units(row: Mapping[str, Any]) -> int:
    """Labelled base units of a holding."""
    return sum(int(amount) for amount in row["traced"].values())


def standing(row: Mapping[str, Any], language: Language) -> str:
    """What a holding's state is, in words."""
    text = f"{word(row['state'], language)}: {word(row['reason'], language)}"
    if "frozen" in row:
        text += f"; {word('frozen', language)}"
    if "inferred" in row and row["reason"] != "deposit":
        text += f"; {word('inferred', language)}: {word('deposit', language)}"
    return text


def show(
    trail: Mapping[str, Any],
    console: Console,
    language: Language = "en",
    limit: int = 30,
    names: Mapping[str, str] | None = None,
) -> None:
    """Print where the value rests, by asset, largest first, and the equation of each label and asset."""
    from rich.table import Table  # noqa: PLC0415 - rich is slow to import and often not needed
    from rich.text import Text  # noqa: PLC0415

    totals, called = trail["totals"], Names(names, trail)
    for asset in dict.fromkeys(asset for assets in totals.values() for asset in assets):
        decimals = decimals_of(trail, asset)
        title = f"{word('rests', language)}: {title_of(trail, asset)}"
        table = Table(title=Text(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
        for head in ("amount", "units"):
            table.add_column(word(head, language), justify="right", no_wrap=True)
        for head in ("state", "account"):
            table.add_column(word(head, language), overflow="fold")
        rows = [row for row in trail["holdings"] if row["asset"] == asset]
        rows.sort(key=lambda row: -units(row))
        for row in rows[:limit]:
            traced = units(row)
            where = plain(row["account"])
            if name := called(where)[0]:
                where += f" “{name}”"
            if "inferred" in row:
                where += f"  ({word('collected by', language)} {row['inferred']['hot_wallet']})"
            table.add_row(quantity(traced, decimals), str(traced), Text(standing(row, language)), Text(where))
        if rows[limit:]:
            rest = sum(map(units, rows[limit:]))
            table.add_row(quantity(rest, decimals), str(rest), f"+{len(rows) - limit}", "")
        console.print(table)
        _warn(trail, asset, console, language)
        for label, assets in totals.items():
            if asset in assets:
                console.print(Text(equation(label, assets[asset], decimals, language)), soft_wrap=True)
        console.print()
    for caveat in caveats(trail):
        console.print(Text(caveat[language]), soft_wrap=True)


def _warn(trail: Mapping[str, Any], asset: str, console: Console, language: Language) -> None:
    from rich.text import Text  # noqa: PLC0415

    if (warning := warning_of(trail, asset, language)) is not None:
        console.print(Text(warning, style="bold"), soft_wrap=True)


def equation(label: str, sums: Mapping[str, str], decimals: int | None, language: Language) -> str:
    """A label's equation in one asset."""
    left = [f"{quantity(int(sums['in']), decimals)} {word('in', language)}"]
    if int(sums["converted_in"]):
        left.append(f"{quantity(int(sums['converted_in']), decimals)} {word('converted_in', language)}")
    right = [
        f"{quantity(int(sums[part]), decimals)} {word(part, language)}"
        for part in PARTS
        if int(sums[part]) or part in ("held", "stopped")
    ]
    return f"{label}: {' + '.join(left)} = {' + '.join(right)}"


def show_origins(trail: Mapping[str, Any], console: Console, language: Language = "en", limit: int = 30) -> None:
    """Print where the units of a backward trail came from, largest first, and each label's equation."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    for asset in dict.fromkeys(asset for assets in trail["totals"].values() for asset in assets):
        decimals = decimals_of(trail, asset)
        title = f"{word('origins', language)}: {title_of(trail, asset)}"
        table = Table(title=Text(title), title_justify="left", header_style="bold", box=None, pad_edge=False)
        table.add_column(word("amount", language), justify="right", no_wrap=True)
        for head in ("why it ends", "from", "to", "transfer"):
            table.add_column(word(head, language), overflow="fold")
        rows = sorted((row for row in trail["origins"] if row["asset"] == asset), key=lambda row: -units(row))
        for row in rows[:limit]:
            ends = (plain(row[end] or word("nobody", language)) for end in ("from", "to"))
            why = word(row["reason"], language)
            table.add_row(quantity(units(row), decimals), why, *map(Text, ends), Text(row["transfer"]))
        if rows[limit:]:
            table.add_row(quantity(sum(map(units, rows[limit:])), decimals), f"+{len(rows) - limit}", "", "", "")
        console.print(table)
        _warn(trail, asset, console, language)
        for label, assets in trail["totals"].items():
            parts = {reason: amount for reason, amount in assets.get(asset, {}).items() if reason != "in"}
            if parts:
                said = (
                    f"{quantity(int(amount), decimals)} {word(reason, language)}" for reason, amount in parts.items()
                )
                asked = quantity(int(assets[asset]["in"]), decimals)
                console.print(Text(f"{label}: {asked} {word('asked', language)} = {' + '.join(said)}"), soft_wrap=True)
        console.print()
