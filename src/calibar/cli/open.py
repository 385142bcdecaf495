"""`calibar open`: an investigator's way in. One command from an address or a transaction to the answer."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import click

from calibar.cli.fetch import fetch_into, show_report, source_options
from calibar.cli.output import announce_compilation, console, json_option, write_bytes
from calibar.cli.stops import stop_options, taken_out

PAGE = "trail.html"


@click.command("open")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("--ledger", "folder", type=click.Path(path_type=Path), help="Folder of the case; else named after REF.")
@click.option("--method", default="fifo", show_default=True, help="fifo or haircut.")
@click.option("--asset", metavar="NAME", help="Account chains: label only this asset (native, a contract, trc10:N).")
@click.option("--max-hops", type=int, metavar="N", help="Follow no further than N transactions.")
@click.option("--min-amount", type=int, metavar="N", help="Do not follow coins with less than N traced satoshi.")
@stop_options
@source_options
@json_option
@click.option("--html", "html_file", metavar="FILE", help=f"The page's file; else {PAGE} in the case's folder.")
@click.option("--language", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Of table and page.")
def command(
    references: tuple[str, ...],
    folder: Path | None,
    method: str,
    asset: str | None,
    max_hops: int | None,
    min_amount: int | None,
    json_file: str | None,
    html_file: str | None,
    language: Literal["en", "es"],
    **options: Any,
) -> None:
    """Fetch what the trail of REFs needs, follow it, and write table and page. Without --source: from what is kept.

    REF is txid:vout, a txid or an address; REF=AMOUNT labels only that many satoshi of it.
    """
    from calibar import open as open_ledger  # noqa: PLC0415
    from calibar.trail.cases import unit_of  # noqa: PLC0415
    from calibar.trail.policy import Policy  # noqa: PLC0415

    place = folder or Path(f"case-{re.sub(r'[^0-9A-Za-z]', '', references[0].partition('=')[0])[:12]}")
    unit = unit_of(place, references, options["network"])
    question = {"method": method, "max_hops": max_hops, "min_amount": min_amount, "asset": asset, **taken_out(options)}
    policy = Policy(unit=unit, **question)
    if options["sources"]:
        show_report(fetch_into(place, references, policy, options))
    else:
        announce_compilation()
    ledger = open_ledger(place)
    trail = ledger.trace(*references, **question)
    if ledger.is_account_chain:
        from calibar.trail.accounts.table import show as table  # noqa: PLC0415
    else:
        from calibar.trail.table import show as table  # type: ignore[assignment]  # noqa: PLC0415
    page = html_file or str(place / PAGE)
    write_bytes(page, trail.html(language).encode())
    if json_file:
        write_bytes(json_file, trail.json())
    if "-" not in (json_file, html_file):
        table(trail.document, console(), language=language)
        click.echo(f"page: {page}")
