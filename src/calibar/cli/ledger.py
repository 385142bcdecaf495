"""`calibar ledger`: what a ledger holds, and whether it is sound."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from calibar.cli.output import announce_compilation, json_option, progress_bar, write_json


@click.group("ledger")
def command() -> None:
    """What a ledger holds, and whether it is sound."""


def bitcoin_amount(satoshi: int | None) -> str:
    """Satoshi as BTC with all eight decimals; `unknown` where it is."""
    from calibar.trail.table import btc  # noqa: PLC0415

    return "unknown" if satoshi is None else f"{btc(satoshi)} BTC"


def show_info(info: Mapping[str, Any]) -> None:
    """Print an info document for people."""
    if "transfers" in info:
        from calibar.cli.accounts import show_account_info  # noqa: PLC0415

        show_account_info(info)
        return
    kind = "island of blocks" if info["island"] else "chain"
    added = f", {info['added_blocks']:,} of them new" if "added_blocks" in info else ""
    lines = [
        f"{info['network']} {kind}: {info['blocks']:,} blocks{added}",
        f"height   {'unknown' if info['height'] is None else info['height']}",
        f"tip      {info['tip']}",
        f"holds    {info['transactions']:,} transactions, {info['inputs']:,} inputs, {info['coins']:,} coins "
        f"of {info['addresses']:,} addresses",
        f"unspent  {info['unspent_coins']:,} coins, {bitcoin_amount(info['unspent_value'])}",
        f"UTXO set {info['utxo_set_coins']:,} coins, {bitcoin_amount(info['utxo_set_value'])} (as Bitcoin Core counts)",
        f"fees     {bitcoin_amount(info['fees'])}",
        f"digest   {info['digest']}",
    ]
    if info["unknown_inputs"]:
        lines.append(
            f"outside  {info['unknown_inputs']:,} inputs spend coins from before the first block: value unknown"
        )
    lines += [f"note     {note}" for note in info.get("notes", ())]
    if "added_blocks" in info:
        lines.append(f"took     {info['seconds']:.1f} s")
    click.echo("\n".join(lines).encode("utf-8", "backslashreplace").decode())


@command.command("info")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@json_option
def info(folder: Path, json_file: str | None) -> None:
    """Say what the ledger in DIR holds."""
    from calibar import open as open_ledger  # noqa: PLC0415

    started = time.monotonic()
    document = open_ledger(folder).info
    document["seconds"] = round(time.monotonic() - started, 3)
    if json_file:
        write_json(json_file, document)
    if json_file != "-":
        show_info(document)


@command.command("check")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@json_option
def check(folder: Path, json_file: str | None) -> int:
    """Look for damage in the ledger in DIR. Exit code 1 where there is any."""
    from calibar.ledger.check import check as look  # noqa: PLC0415

    announce_compilation()
    with progress_bar() as progress:
        damage = look(folder, progress)
    if json_file:
        write_json(json_file, {"sound": not damage, "damage": damage})
    for line in damage:
        click.echo(f"calibar: damage: {line}", err=True)
    if json_file != "-" and not damage:
        click.echo("sound: every byte is what was committed, and every sum re-adds")
    return 1 if damage else 0
