"""Where traced value rests now, as rows that re-add. All amounts are integers in satoshi."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from calibar.errors import BalanceError, UsageError
from calibar.trail.attributions import Names
from calibar.trail.caveats import caveats
from calibar.trail.words import Language, counted, plain, reason, say, shortened

if TYPE_CHECKING:
    from rich.console import Console

FEW_LABELS: Final = 4
"""Up to so many labels get a column each."""
_ROOMY: Final = 150  # columns of a terminal that holds addresses and coins in full


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the answer: a holding, the smaller holdings summed, the fees, or what was burnt."""

    kind: Literal["holding", "rest", "fees", "burnt"]
    traced: Mapping[str, int]
    share: int
    """Of everything labelled, in hundredths of a percent."""
    coin: str = ""
    address: str = ""
    state: str = ""
    reason: str = ""
    count: int = 1

    @property
    def amount(self) -> int:
        """Traced satoshi, all labels together."""
        return sum(self.traced.values())


@dataclass(frozen=True, slots=True)
class Total:
    """One label's equation: `received` = held + stopped + fees + burnt, in satoshi."""

    label: str
    received: int
    held: int
    stopped: int
    fees: int
    burnt: int


def totals(trail: Mapping[str, Any]) -> tuple[Total, ...]:
    """Give each label's equation, in source order, re-added from the holdings.

    Raises UsageError for a backward trail, BalanceError where a sum is not what the trail states.
    """
    if "holdings" not in trail:
        raise UsageError("trail: it has no holdings; only a forward trail can be shown, trace with --direction forward")
    rows = []
    for label, said in sorted(trail["totals"].items(), key=lambda item: (len(item[0]), item[0])):
        total = Total(label, said["in"], said["held"], said["stopped"], said["fees"], said["burnt"])
        for state, stated in (("held", total.held), ("stopped", total.stopped)):
            found = sum(h["traced"].get(label, 0) for h in trail["holdings"] if h["state"] == state)
            if found != stated:
                raise BalanceError(f"trail: {label} {state} is {found} sat by its holdings, {stated} by its totals")
        if total.received != total.held + total.stopped + total.fees + total.burnt:
            raise BalanceError(f"trail: the totals of {label} do not re-add to the {total.received} sat that went in")
        rows.append(total)
    return tuple(rows)


def summed(rows: Sequence[Total]) -> Total:
    """All labels in one equation."""
    return Total(
        "",
        sum(row.received for row in rows),
        sum(row.held for row in rows),
        sum(row.stopped for row in rows),
        sum(row.fees for row in rows),
        sum(row.burnt for row in rows),
    )


def holdings_table(trail: Mapping[str, Any], limit: int = 30) -> tuple[Row, ...]:
    """List where the value rests, largest first (ties: coin order), then the rest summed, fees and what was burnt.

    The rows' amounts re-add to everything labelled and their shares to 100.00 %.
    """
    per_label = totals(trail)
    ranked = sorted(trail["holdings"], key=lambda holding: -sum(holding["traced"].values()))
    found: list[dict[str, Any]] = [
        {"kind": "holding", **{key: holding[key] for key in ("traced", "coin", "address", "state", "reason")}}
        for holding in ranked[:limit]
    ]
    if ranked[limit:]:
        rest = {row.label: sum(h["traced"].get(row.label, 0) for h in ranked[limit:]) for row in per_label}
        found.append({"kind": "rest", "traced": rest, "count": len(ranked) - limit})
    found.append({"kind": "fees", "traced": {row.label: row.fees for row in per_label}})
    if any(row.burnt for row in per_label):
        found.append({"kind": "burnt", "traced": {row.label: row.burnt for row in per_label}})
    parts = [sum(row["traced"].values()) for row in found]
    return tuple(Row(share=share, **row) for row, share in zip(found, shares(parts), strict=True))


def shares(parts: Sequence[int], of: int = 10_000) -> list[int]:
    """Split `of` in proportion to `parts` by largest remainder (ties: the earlier), so that it re-adds."""
    whole = sum(parts)
    if not whole:
        return [0] * len(parts)
    floors = [part * of // whole for part in parts]
    by_remainder = sorted(range(len(parts)), key=lambda i: -(parts[i] * of % whole))
    for i in by_remainder[: of - sum(floors)]:
        floors[i] += 1
    return floors


def btc(satoshi: int) -> str:
    """Write satoshi as bitcoin with 8 decimals: 150000000 is "1.50000000"."""
    whole, part = divmod(abs(satoshi), 100_000_000)
    return f"{'-' if satoshi < 0 else ''}{whole}.{part:08d}"


def percent(hundredths: int) -> str:
    """Write hundredths of a percent: 1250 is "12.50"."""
    return f"{hundredths // 100}.{hundredths % 100:02d}"


def show(
    trail: Mapping[str, Any],
    console: Console,
    names: Mapping[str, str] | None = None,
    language: Language = "en",
    limit: int = 30,
) -> None:
    """Print where the value rests and each label's equation to a rich console; a narrow one gets shortened ids."""
    from rich.table import Table  # noqa: PLC0415 - rich is slow to import and often not needed
    from rich.text import Text  # noqa: PLC0415

    def word(key: str) -> str:
        return say(key)[language]

    called = Names(names, trail)
    labels = [total.label for total in totals(trail)]
    roomy = console.width >= _ROOMY
    columns = labels if roomy and 1 < len(labels) <= FEW_LABELS else []

    def written(text: str) -> str:
        return plain(text) if roomy else shortened(text, 9, 6)

    table = Table(title=word("rests"), title_justify="left", header_style="bold", box=None, pad_edge=False)
    for head in ("BTC", word("satoshi"), "%", *columns):
        table.add_column(Text(plain(head)), justify="right", no_wrap=True)
    for head in (word("state"), word("address"), word("coin")):
        table.add_column(head, overflow="fold")
    for row in holdings_table(trail, limit):
        name = called(row.address)[0]
        where = row.address
        if row.kind == "holding":
            state = f"{say(row.state)[language]}: {reason(row.reason)[1][language]}"
        elif row.kind == "rest":
            state = counted("more_holdings", row.count)[language]
        else:
            state = word("fees_paid" if row.kind == "fees" else "burnt")
        table.add_row(
            btc(row.amount),
            str(row.amount),
            percent(row.share),
            *(btc(row.traced.get(label, 0)) for label in columns),
            Text(plain(state)),
            Text(f"{written(where)} “{name}”" if name else written(where)),
            Text(written(row.coin)),
        )
    console.print(table)
    console.print()
    for total in (*totals(trail), *([summed(totals(trail))] if len(labels) > 1 else [])):
        parts = [f"{btc(getattr(total, part))} {word(part)}" for part in ("held", "stopped", "fees", "burnt")]
        label = plain(total.label) or word("all")
        console.print(Text(f"{label}: {btc(total.received)} {word('in')} = {' + '.join(parts)}"), soft_wrap=True)
    for caveat in caveats(trail):
        console.print(Text(caveat[language]), soft_wrap=True)
