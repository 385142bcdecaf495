"""`calibar records`: statements of exchanges and banks, kept with where each fact stands, and checked."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibar.cli.output import console, json_option, progress_bar, write_json
from calibar.errors import UsageError

if TYPE_CHECKING:
    from calibar.records.events import Event

_PATH = click.Path(path_type=Path)
_FEW = 6
_CASE = click.option("--case", "case", required=True, type=_PATH, metavar="DIR", help="Folder of the case.")


@click.group("records")
def command() -> None:
    """Statements of exchanges and banks: read, kept with where each fact stands, checked, matched to a chain."""


@command.command("import")
@click.argument("files", nargs=-1, required=True, type=_PATH, metavar="FILE...")
@_CASE
@click.option("--as", "form", default="", metavar="FORMAT", help="Its format; else each table's header tells.")
@click.option("--mapping", default="", metavar="NAME", help="A mapping of columns, saved in the case by this name.")
@click.option("--column", "columns", multiple=True, metavar="ROLE=NAME", help="A column of the mapping: what it is.")
@click.option("--custodian", default="", metavar="NAME", help="Who made it, where the format does not say.")
@click.option("--account", default="", metavar="ID", help="Whose account it is, where no column says.")
@click.option("--holder", default="", metavar="NAME", help="The account's holder as the custodian states it.")
@click.option("--asset", default="", metavar="NAME", help="What is moved, where no column says: ARS.")
@click.option("--zone", default="", metavar="ZONE", help="Time zone where none is said: America/Buenos_Aires.")
@click.option("--dates", type=click.Choice(["dmy", "mdy"]), help="Day or month first, where unclear.")
@click.option("--decimal", type=click.Choice([".", ","]), help="What stands before the fraction.")
@click.option("--period", default="", metavar="FROM/TO", help="The days that the custodian says it covers.")
@click.option("--certificate", type=_PATH, metavar="FILE", help="Its certificate or cover letter, kept beside it.")
@click.option("--received-by", default="", metavar="NAME", help="Who received it.")
@json_option
def import_(files: tuple[Path, ...], case: Path, json_file: str | None, **said: Any) -> None:
    """Read documents and keep them in a case. A file of which a row cannot be read is refused whole."""
    from calibar.records.case_records import CaseRecords, summary  # noqa: PLC0415

    records, rows = CaseRecords(case), []
    said |= {name: said[name] or "" for name in ("dates", "decimal")}
    with progress_bar("files") as say:
        for number, path in enumerate(files):
            if say is not None:
                say("files", number, len(files))
            found, new = records.add(path, **said)
            rows.append(summary(found) | {"new": new})
    if json_file:
        write_json(json_file, {"imported": rows})
    if json_file != "-":
        for row in rows:
            click.echo(_line(row))


def _line(row: dict[str, Any]) -> str:
    parts = []
    for one in row["tables"]:
        what = f"{one['movements']:,} movements" if one["movements"] else f"{one['details']:,} details"
        parts.append(f"{what} of {one['custodian']} ({one['format']})")
    left = f"; not read: {', '.join(row['not_read'][:5])}" if row["not_read"] else ""
    known = "" if row["new"] else " It was here already."
    return _plain(f"{row['file']}: {'; '.join(parts)}{left}. SHA-256 {row['sha256']}.{known}")


@command.command("check")
@_CASE
@json_option
def check_(case: Path, json_file: str | None) -> int:
    """Whether the documents add up: balances, gaps, rows that stand twice. Exit code 1 where a balance does not."""
    from calibar.records.case_records import CaseRecords  # noqa: PLC0415

    found = CaseRecords(case).check()
    wrong = any(one.is_wrong for one in found)
    if json_file:
        rows = [
            {
                "what": one.what,
                "account": one.account,
                "asset": one.asset,
                "text": one.text,
                "place": str(one.place) if one.place else None,
                "wrong": one.is_wrong,
            }
            for one in found
        ]
        write_json(json_file, {"findings": rows, "adds_up": not wrong})
    if json_file != "-":
        for one in found:
            who = " ".join(filter(None, (one.account, one.asset)))
            where = f" ({one.place})" if one.place else ""
            click.echo(_plain(f"{one.what}: {who + ': ' if who else ''}{one.text}{where}"))
        click.echo("It does not add up." if wrong else "Nothing contradicts itself.")
    return 1 if wrong else 0


@command.command("show")
@_CASE
@click.option("--account", metavar="ID", help="Of this account alone.")
@click.option("--asset", metavar="NAME", help="Of this asset alone.")
@json_option
def show(case: Path, account: str | None, asset: str | None, json_file: str | None) -> None:
    """What the documents say: events in order of time, trades in one piece, each with its rows."""
    from calibar.records.case_records import CaseRecords  # noqa: PLC0415

    records = CaseRecords(case)
    found = records.events(account, asset)
    if json_file:
        details = [one._asdict() | {"place": one.place._asdict()} for one in records.details(account)]
        write_json(json_file, {"events": [_event(one) for one in found], "details": details})
    if json_file != "-":
        _table(found)


def _event(event: Event) -> dict[str, Any]:
    first = event.movements[0]
    return {
        "time": first.time,
        "account": first.account,
        "wallet": first.wallet,
        "kind": event.kind,
        "movements": [
            {
                "asset": one.asset,
                "change": format(one.change, "f"),
                "kind": one.kind,
                "operation": one.operation,
                "balance": None if one.balance is None else format(one.balance, "f"),
                "place": one.place._asdict(),
                "facts": dict(one.facts),
            }
            for one in event.movements
        ],
    }


def _table(found: list[Event]) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("time (UTC)", "account", "kind", "change", "beside", "reported in"):
        table.add_column(head, justify="right" if head == "change" else "left", overflow="fold")
    for event in found:
        first = event.movements[0]
        when = datetime.fromtimestamp(first.time, UTC).strftime("%Y-%m-%d %H:%M:%S")
        changes = "\n".join(_plain(f"{one.change:+f} {one.asset}") for one in event.movements)
        beside = first.fact("txid") or first.fact("counterparty") or first.fact("address")
        cells = (when, _plain(first.account), event.kind, changes, _plain(beside), _plain(str(first.place)))
        table.add_row(*map(Text, cells))
    console().print(table)
    kinds = ", ".join(f"{count:,} {kind}" for kind, count in sorted(Counter(event.kind for event in found).items()))
    click.echo(f"{len(found):,} events: {kinds}" if found else "No movements.")


@command.command("links")
@_CASE
@json_option
def links(case: Path, json_file: str | None) -> None:
    """What accounts share by their custodians' word: devices, IP addresses, phones, bank accounts, addresses."""
    from calibar.records.case_records import CaseRecords  # noqa: PLC0415
    from calibar.records.links import document  # noqa: PLC0415

    found = CaseRecords(case).links()
    if json_file:
        write_json(json_file, {"links": [document(link) for link in found]})
    if json_file != "-":
        for link in found:
            click.echo(_plain(f"{link.what} {link.value}: {len(link.accounts)} accounts"))
            for account, rows in sorted(link.accounts.items())[:_FEW]:
                places = "; ".join(str(seen.place) for seen in rows[:_FEW])
                more = f" and {len(rows) - _FEW:,} more" if len(rows) > _FEW else ""
                click.echo(_plain(f"  {account}: {places}{more}"))
            if len(link.accounts) > _FEW:
                click.echo(f"  and {len(link.accounts) - _FEW:,} more accounts")
        click.echo(f"{len(found):,} links" if found else "No two accounts share anything that the documents say.")


@command.command("match")
@_CASE
@click.option("--ledger", "folder", required=True, type=_PATH, help="Folder of the ledger or case of the chain.")
@click.option("--token", "tokens", multiple=True, metavar="NAME=CONTRACT", help="Account chains: the custodian's name.")
@json_option
def match_(case: Path, folder: Path, tokens: tuple[str, ...], json_file: str | None) -> int:
    """Deposits and withdrawals on the chain: by transaction and amount, else proposed.

    Exit code 1 where the chain contradicts the documents.
    """
    from calibar.records.case_records import CaseRecords  # noqa: PLC0415
    from calibar.records.matching import document  # noqa: PLC0415

    named = dict(text.partition("=")[::2] for text in tokens)
    if not all(named.values()):
        raise UsageError("--token is NAME=CONTRACT, such as USDT=0xdAC17F958D2ee523a2206206994597C13D831ec7")
    matches, missing = CaseRecords(case).match(folder, named)
    if json_file:
        unreported = [
            {"name": one.name, "address": one.address, "asset": asset, "units": str(one.units), "time": one.time}
            for one, asset in missing
        ]
        write_json(json_file, {"matches": [document(one) for one in matches], "unreported": unreported})
    if json_file != "-":
        for match in matches:
            there = f" {match.found[0].name}" if match.found else ""
            moved = match.movement
            what = f"{moved.kind} of {abs(moved.change):f} {moved.asset}"
            text = f": {match.text}" if match.text else ""
            click.echo(_plain(f"{match.state}: {what} ({moved.place}){there}{text}"))
        for paid, asset in missing:
            click.echo(_plain(f"not in the documents: {paid.name} pays {paid.address} {paid.units} units of {asset}"))
        counts = Counter(one.state for one in matches)
        click.echo(", ".join(f"{count:,} {state}" for state, count in sorted(counts.items())) or "Nothing to match.")
    return 1 if missing or any(one.state == "contradicted" for one in matches) else 0


def _plain(text: str) -> str:
    """A document's text for a terminal: what is not printable becomes a mark."""
    return "".join(character if character.isprintable() else "\ufffd" for character in text)
