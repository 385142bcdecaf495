"""`calibar link`: what only an analyst can assert."""

from __future__ import annotations

from pathlib import Path

import click

from calibar.cli.output import json_option, write_json


@click.group("link")
def command() -> None:
    """What only an analyst can assert: that value given here came back there."""


@command.command("add")
@click.argument("given", metavar="GIVEN")
@click.argument("received", metavar="RECEIVED")
@click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the ledger.")
@click.option("--links", "file", required=True, type=click.Path(path_type=Path), help="File to add the link to.")
@click.option("--reason", required=True, metavar="TEXT", help="Why the one was given for the other.")
@click.option("--exhibit", required=True, type=click.Path(path_type=Path), help="File that shows it; its hash is kept.")
@json_option
def add(given: str, received: str, folder: Path, file: Path, reason: str, exhibit: Path, json_file: str | None) -> None:
    """Assert that what was given in transfer GIVEN came back in transfer RECEIVED (both hash:index).

    A bridge, a swap at a service, a deal by hand. `calibar trace --links FILE` follows it, shown as an assertion.
    """
    from calibar import open as open_ledger  # noqa: PLC0415

    link = open_ledger(folder).add_link(file, given, received, reason=reason, exhibit=exhibit)
    if json_file:
        write_json(json_file, link)
    if json_file != "-":
        click.echo(f"{given} -> {received}: added to {file}, with {exhibit.name} ({link['exhibit_sha256'][:16]}…)")
