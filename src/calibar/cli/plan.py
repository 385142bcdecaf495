"""`calibar plan`: fetch where no network is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from calibar.cli.output import announce_compilation, json_option, write_bytes, write_json
from calibar.cli.stops import stop_options, taken_out

_FILE = click.Path(path_type=Path)


@click.group("plan")
def command() -> None:
    """Fetch over an air gap: write what would be asked, ask it on a connected machine, take the answers in."""


@command.command("write")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("--ledger", "folder", required=True, type=_FILE, help="Folder of the case; made if it is not there.")
@click.option("--to", "to", required=True, metavar="FILE", help="The plan's file.")
@click.option("--network", help="mainnet, testnet3, testnet4, signet or regtest; addresses may say it.")
@click.option("--method", default="fifo", show_default=True, help="fifo or haircut; on account chains lifo, libr too.")
@click.option("--asset", metavar="NAME", help="Account chains: label only this asset (native, a contract, trc10:N).")
@click.option("--max-hops", type=int, metavar="N", help="Follow no further than N transactions.")
@click.option("--min-amount", type=int, metavar="N", help="Do not follow coins with less than N traced satoshi.")
@stop_options
@click.option("--most", type=click.IntRange(min=1), default=1000, metavar="N", help="Transactions of one address.")
@click.option("--newest", is_flag=True, help="Ask for the last block anew, and look at the chain up to it.")
def write(
    references: tuple[str, ...],
    folder: Path,
    to: str,
    network: str | None,
    method: str,
    asset: str | None,
    max_hops: int | None,
    min_amount: int | None,
    most: int,
    newest: bool,
    **rules: Any,
) -> None:
    """Write what a fetch of the trail of REFs would ask next. Nothing of the case but the questions is in the plan.

    REF is what it is for `calibar trace`.
    """
    from calibar.ledger.case.case import Case  # noqa: PLC0415
    from calibar.trail.cases import network_asked, unit_of  # noqa: PLC0415
    from calibar.trail.fetching import Limits  # noqa: PLC0415
    from calibar.trail.plans.plan import describe  # noqa: PLC0415
    from calibar.trail.plans.upcoming import next_plan  # noqa: PLC0415
    from calibar.trail.policy import Policy  # noqa: PLC0415

    unit = unit_of(folder, references, network)
    question = {"method": method, "max_hops": max_hops, "min_amount": min_amount, "asset": asset, **taken_out(rules)}
    policy = Policy(unit=unit, **question)
    announce_compilation()
    with Case.for_fetching(folder, network_asked(folder, references, network)) as case:
        plan = next_plan(case, references, policy, Limits(history=most), newest=newest)
    if not plan.questions:
        click.echo("nothing is left to ask: trace the case, or look at later blocks with --newest")
        return
    write_bytes(to, plan.json())
    kinds = ", ".join(f"{count:,} {name}" for name, count in describe(plan).items())
    click.echo(f"{len(plan.questions):,} questions in {to} ({kinds})", err=to == "-")


@command.command("run")
@click.argument("file", type=_FILE, metavar="FILE")
@click.option("--source", required=True, metavar="URL", help="The server to ask.")
@click.option("--to", "to", required=True, type=_FILE, metavar="RESPONSES", help="Where the answers go: a file.")
def run(file: Path, source: str, to: Path) -> None:
    """Ask a server what the plan in FILE asks, and write its answers down. No case is needed."""
    from calibar.chains.bitcoin.sources.choose import is_here  # noqa: PLC0415
    from calibar.trail.plans.answers import run_plan  # noqa: PLC0415
    from calibar.trail.plans.plan import read_plan  # noqa: PLC0415

    plan = read_plan(file)
    if not is_here(source):
        click.echo("calibar: the server will learn that somebody at this network address asks all this", err=True)
    told = [answered for _, answered in run_plan(plan, source, to)]
    click.echo(f"{sum(told):,} of {len(plan.questions):,} questions answered, in {to}")


@command.command("take")
@click.argument("responses", type=_FILE, metavar="RESPONSES")
@click.option("--ledger", "folder", required=True, type=_FILE, help="Folder of the case.")
@json_option
def take(responses: Path, folder: Path, json_file: str | None) -> None:
    """Take the answers in RESPONSES into a case. They are checked like those of any server."""
    from calibar.trail.plans.answers import take as take_in  # noqa: PLC0415

    taken = take_in(folder, responses)
    for line, place, what in taken.lies:
        click.echo(f"REFUSED: line {line}: {place} told what cannot be: {what}", err=True)
    if json_file:
        lies = [{"line": line, "place": place, "what": what} for line, place, what in taken.lies]
        write_json(
            json_file,
            {
                "responses": taken.responses,
                "refused": taken.refused,
                "transactions": taken.transactions,
                "lies": lies,
                "sha256": taken.sha256,
            },
        )
    if json_file != "-":
        click.echo(
            f"took {taken.responses:,} answers, {taken.refused:,} of them refusals; "
            f"{taken.transactions:,} transactions are new\nsha256 {taken.sha256}"
        )
