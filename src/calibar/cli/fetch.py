"""`calibar fetch`, and the options of every command that fetches."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibar.cli.output import announce_compilation, json_option, progress_bar, write_json
from calibar.errors import UsageError

if TYPE_CHECKING:
    from calibar.trail.fetching import Report
    from calibar.trail.policy import Policy

SOURCE_OPTIONS = (
    "sources",
    "network",
    "known",
    "cross_check",
    "most",
    "max_transactions",
    "prove",
    "stated",
    "max_seconds",
)
"""Names of the options that `source_options` adds."""
_KNOWN = re.compile(r"([0-9]{1,9}):([0-9a-fA-F]{64})")


def source_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Where to fetch from, and when to stop."""
    for option in reversed((
        click.option("--source", "sources", multiple=True, metavar="URL", help="A server to ask; several in turn."),
        click.option("--network", help="mainnet, testnet3, testnet4, signet or regtest; addresses may say it."),
        click.option("--known", multiple=True, metavar="HEIGHT:HASH", help="New case: a block to take as known."),
        click.option("--cross-check", is_flag=True, help="Ask every server of spends and histories."),
        click.option("--most", type=click.IntRange(min=1), metavar="N", help="Transactions of one address; else 1000."),
        click.option(
            "--max-transactions", type=click.IntRange(min=1), metavar="N", help="Stop at N transactions; else 5000."
        ),
        click.option("--prove", type=click.IntRange(min=0), metavar="N", help="Prove N account blocks; else 100."),
        click.option("--stated", multiple=True, metavar="NAME=VALUE", help="What a CSV file does not say itself."),
        click.option("--max-seconds", type=click.FloatRange(min=0), metavar="S", help="Stop after S seconds."),
    )):  # fmt: skip
        command = option(command)
    return command


def fetch_into(folder: Path, references: tuple[str, ...], policy: Policy | None, options: dict[str, Any]) -> Report:
    """Fetch as the options say (they are taken out), with a progress bar; say first what servers will learn."""
    from calibar.trail.cases import gather  # noqa: PLC0415
    from calibar.trail.fetching import MOST, Limits  # noqa: PLC0415

    defaults = Limits()
    limits = Limits(
        transactions=options.pop("max_transactions") or defaults.transactions,
        seconds=options.pop("max_seconds"),
        history=options.pop("most") or MOST,
        blocks=defaults.blocks if (prove := options.pop("prove")) is None else prove,
        cross_check=options.pop("cross_check"),
    )
    known = dict(map(_known_block, options.pop("known")))
    announce_compilation()
    with progress_bar("transactions") as progress:
        return gather(
            folder, references, options.pop("sources"), network_name=options.pop("network"), known=known, policy=policy,
            limits=limits, stated=options.pop("stated"), progress=progress,
            tell=lambda line: click.echo(f"calibar: {line}", err=True),
        )  # fmt: skip


def _known_block(text: str) -> tuple[str, str]:
    match = _KNOWN.fullmatch(text)
    if match is None:
        raise UsageError(f"--known {text[:90]!r} is no block; write HEIGHT:HASH, the hash with 64 hex digits")
    return match[1], match[2].lower()


def document_of(report: Report) -> dict[str, Any]:
    """A report as JSON."""
    return {
        **{key: value for key, value in asdict(report).items() if key != "hidden"},
        "hidden": [{"place": place, "coin": coin} for place, coin in report.hidden],
    }


def show_report(report: Report) -> None:
    """Print how the fetching went: to standard error, beside the answer."""
    lines = [f"fetched {report.transactions:,} transactions; {report.ended}"]
    lines += [
        f"WITHDRAWN: {txid}: another branch took its block, or its server lists it no more" for txid in report.left
    ]
    lines += [f"REFUSED: {lie.place} told what cannot be: {lie.what}" for lie in report.lies]
    lines += [
        f"HIDDEN: {place} said that nothing spends {coin}; another showed what does" for place, coin in report.hidden
    ]
    lines += [f"not looked at: {name}: {why}" for name, why in list(report.unanswered.items())[:20]]
    if len(report.unanswered) > 20:
        lines.append(f"not looked at: {len(report.unanswered) - 20:,} more")
    for line in lines:
        click.echo(line, err=True)


@click.command("fetch")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the case.")
@source_options
@json_option
def command(references: tuple[str, ...], folder: Path, json_file: str | None, **options: Any) -> None:
    """Fetch what REFs name from servers into a case: transactions, what they spend from, and what proves them.

    REF is txid:vout, a txid or an address. Every answer is kept and checked; nothing is believed that can be checked.
    """
    from calibar import open as open_ledger  # noqa: PLC0415

    report = fetch_into(folder, references, None, options)
    info = open_ledger(folder).info
    if json_file:
        write_json(json_file, {**info, "fetched": document_of(report)})
    if json_file != "-":
        show_case_info(info)
    show_report(report)


def show_case_info(info: Mapping[str, Any]) -> None:
    """Print a case's info document for people."""
    if "transfers" in info:
        _show_account_case(info)
        return
    tip = "no block known" if info["tip"] is None else f"{info['tip']} at height {info['height']}"
    lines = [
        f"{info['network']} case: {info['transactions']:,} transactions, {info['proven_transactions']:,} proven",
        f"looks to {tip}",
        f"holds    {info['inputs']:,} inputs ({info['unknown_inputs']:,} of unknown value), {info['coins']:,} coins of "
        f"{info['addresses']:,} addresses; {info['headers']:,} headers",
        f"servers  {', '.join(info['servers']) or 'none'}",
        f"digest   {info['digest']}",
    ]
    lines += [f"REFUSED  {lie['place']}: {lie['what']}" for lie in info["refused"]]
    click.echo("\n".join(lines).encode("utf-8", "backslashreplace").decode())


def _show_account_case(info: Mapping[str, Any]) -> None:
    lines = [
        f"{info['network']} case: {info['transfers']:,} transfers in {info['transactions']:,} transactions",
        "looks to no block known" if info["height"] is None else f"looks to height {info['height']}",
        f"holds    {info['holdings']:,} holdings ({info['whole_holdings']:,} with their whole history) of "
        f"{info['assets']:,} assets and {info['addresses']:,} addresses; "
        f"{info['proven_blocks']['headers']:,} blocks proven",
        f"servers  {', '.join(info['servers']) or 'none'}",
        f"digest   {info['digest']}",
    ]
    lines += [f"REFUSED  {lie['place']}: {lie['what']}" for lie in info["refused"]]
    click.echo("\n".join(lines).encode("utf-8", "backslashreplace").decode())
