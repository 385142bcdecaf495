"""`calibar trace`: follow coins."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import click

from calibar.cli.fetch import SOURCE_OPTIONS, fetch_into, show_report, source_options
from calibar.cli.output import announce_compilation, console, json_option, write_bytes
from calibar.cli.stops import stop_options, taken_out
from calibar.errors import UsageError

_TRANSACTION = re.compile(r"[0-9a-fA-F]{64}(:\d+)?$")


def _fetch(folder: Path, references: tuple[str, ...], policy: dict[str, Any]) -> None:
    """Fetch what the trail needs, where sources are named; takes their options out of `policy`."""
    from calibar.trail.cases import unit_of  # noqa: PLC0415
    from calibar.trail.policy import Policy  # noqa: PLC0415

    options = {name: policy.pop(name) for name in SOURCE_OPTIONS}
    if options["sources"]:
        unit = unit_of(folder, references, options["network"])
        rules = Policy(**{**policy, "unit": policy["unit"] or unit})
        show_report(fetch_into(folder, references, rules, options))


@click.command("trace")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option(
    "--ledger",
    "folders",
    multiple=True,
    type=click.Path(path_type=Path),
    help="Folder of the ledger or case; with --records, any number of them.",
)
@click.option("--records", "case", type=click.Path(path_type=Path), metavar="CASE", help="Follow its records too.")
@click.option("--token", "tokens", multiple=True, metavar="NAME=CONTRACT", help="With --records: a custodian's name.")
@click.option("--method", default="fifo", show_default=True, help="fifo or haircut; on account chains lifo, libr too.")
@click.option("--unit", help="What is followed: coin (Bitcoin) or address (account chains); by default the ledger's.")
@click.option("--direction", default="forward", show_default=True, help="forward, or backward (account chains).")
@click.option(
    "--fees", default="stop", show_default=True, help="stop: a fee leaves the trail; follow: into the coinbase."
)
@click.option("--as-of", type=int, metavar="H", help="Look at the chain up to height H only.")
@click.option("--max-hops", type=int, metavar="N", help="Follow no further than N transactions.")
@click.option("--min-amount", type=int, metavar="N", help="Do not follow coins with less than N traced satoshi.")
@stop_options
@click.option("--asset", metavar="NAME", help="Account chains: label only this asset (native, a contract, trc10:N).")
@click.option("--links", type=click.Path(path_type=Path), metavar="FILE", help="Account chains: follow these links.")
@source_options
@click.option("--segments", is_flag=True, help="List the order of units inside each coin too (fifo).")
@json_option
@click.option("--html", "html_file", metavar="FILE", help="Write one self-contained page with the picture of the flow.")
@click.option("--language", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Of table and page.")
def command(
    references: tuple[str, ...],
    folders: tuple[Path, ...],
    case: Path | None,
    tokens: tuple[str, ...],
    json_file: str | None,
    html_file: str | None,
    language: Literal["en", "es"],
    **policy: Any,
) -> None:
    """Follow REFs and say where their value rests now, to the unit.

    REF is txid:vout, a txid (all its outputs) or an address (all coins paid to it); REF=AMOUNT labels only that many
    satoshi of it. Several REFs are several labels, S0, S1, ... On account chains REF is hash:index of a transfer (its
    log index, value, internal-N), a transaction's hash or an address. With --records it may be record:FILE:ROW, what a
    row of the records moves, with =AMOUNT in its asset's units.
    """
    from calibar import open as open_ledger  # noqa: PLC0415

    if policy["direction"] == "backward" and html_file:
        raise UsageError("a backward trail has no page yet; use --json, or the table")
    if json_file == "-" and html_file == "-":
        raise UsageError("--json and --html cannot both go to standard output; name a file for one")
    policy |= taken_out(policy)
    announce_compilation()
    if case is not None:
        _through_records(references, folders, case, tokens, (json_file, html_file, language), policy)
        return
    if len(folders) != 1 or tokens:
        raise UsageError("name one --ledger; several, and --token, go with --records CASE; see calibar trace --help")
    (folder,) = folders
    _fetch(folder, references, policy)
    ledger = open_ledger(folder)
    trail = ledger.trace(*references, **policy)
    for reference in references:
        name = reference.partition("=")[0]
        if not _TRANSACTION.match(name):
            for kind, other in ledger.same_key(name):
                click.echo(f"note: {other} ({kind}) has the same key as {name}; it is not included", err=True)
    if json_file:
        write_bytes(json_file, trail.json())
    if html_file:
        write_bytes(html_file, trail.html(language).encode())
    if "-" not in (json_file, html_file):
        if policy["direction"] == "backward":
            from calibar.trail.accounts.table import show_origins  # noqa: PLC0415

            show_origins(trail.document, console(), language)
            return
        if ledger.is_account_chain:
            from calibar.trail.accounts.table import show as show_accounts  # noqa: PLC0415

            show_accounts(trail.document, console(), language)
            return
        from calibar.trail.table import show  # noqa: PLC0415

        show(trail.document, console(), language=language)


def _through_records(
    references: tuple[str, ...],
    folders: tuple[Path, ...],
    case: Path,
    tokens: tuple[str, ...],
    out: tuple[str | None, str | None, Literal["en", "es"]],
    policy: dict[str, Any],
) -> None:
    """Follow REFs through the records of a case and any number of ledgers."""
    from calibar import trace  # noqa: PLC0415
    from calibar.trail.accounts.table import show  # noqa: PLC0415

    if any(policy.pop(name) for name in SOURCE_OPTIONS):
        raise UsageError(
            "a trail through records fetches nothing: `calibar fetch` first, then name the case as --ledger"
        )
    named = dict(text.partition("=")[::2] for text in tokens)
    if not all(named.values()):
        raise UsageError("--token is NAME=CONTRACT, such as USDT=0xdAC17F958D2ee523a2206206994597C13D831ec7")
    trail = trace(*references, records=case, ledgers=folders, tokens=named, **policy)
    json_file, html_file, language = out
    if json_file:
        write_bytes(json_file, trail.json())
    if html_file:
        write_bytes(html_file, trail.html(language).encode())
    if "-" not in (json_file, html_file):
        show(trail.shown, console(), language)
