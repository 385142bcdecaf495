"""`calibar ledger`: what a ledger holds, and whether it is sound."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import click

from calibar.cli.output import Progress, announce_compilation, json_option, progress_bar, write_json
from calibar.errors import UsageError

_DIFFERENCES: Final = 20
"""Differing balances of one asset that are printed."""


@click.group("ledger")
def command() -> None:
    """What a ledger holds, and whether it is sound."""


def bitcoin_amount(satoshi: int | None) -> str:
    """Satoshi as BTC with all eight decimals; `unknown` where it is."""
    from calibar.trail.table import btc  # noqa: PLC0415

    return "unknown" if satoshi is None else f"{btc(satoshi)} BTC"


def show_info(info: Mapping[str, Any]) -> None:
    """Print an info document for people."""
    if "transfers" in info and "case" not in info:
        from calibar.cli.accounts import show_account_info  # noqa: PLC0415

        show_account_info(info)
        return
    if "case" in info:
        from calibar.cli.fetch import show_case_info  # noqa: PLC0415

        show_case_info(info)
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
@click.option(
    "--against", type=click.Path(path_type=Path), metavar="LEDGER", help="A case: compare it with this chain."
)
@json_option
def check(folder: Path, against: Path | None, json_file: str | None) -> int:
    """Look for damage in the ledger in DIR. Exit code 1 where there is any."""
    from calibar.ledger.check import check as look  # noqa: PLC0415

    announce_compilation()
    with progress_bar() as progress:
        damage = look(folder, progress)
        differences = _differences(folder, against, progress) if against is not None and not damage else []
    if json_file:
        compared = {} if against is None else {"differences": differences}
        write_json(json_file, {"sound": not damage, "damage": damage, **compared})
    for line in damage:
        click.echo(f"calibar: damage: {line}", err=True)
    for line in differences:
        click.echo(f"calibar: differs: {line}", err=True)
    if json_file != "-" and not damage and not differences:
        click.echo("sound: every byte is what was committed, and every sum re-adds")
        if against is not None:
            click.echo(f"the chain in {against} says the same")
    return 1 if damage or differences else 0


def _differences(folder: Path, against: Path, progress: Progress | None) -> list[str]:
    from calibar.ledger.case.case import is_case  # noqa: PLC0415
    from calibar.ledger.case.check import compare_with  # noqa: PLC0415

    if not is_case(folder):
        raise UsageError(f"{folder} is no case; --against compares a case with a full ledger")
    return compare_with(folder, against, progress)


@command.command("compare")
@click.argument("folder", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--source", required=True, metavar="URL", help="A node of the same chain.")
@click.option("--asset", metavar="NAME", help="Only this asset: native, or a contract.")
@click.option(
    "--at", "height", type=click.IntRange(min=0), metavar="H", help="After the block at height H; else the tip."
)
@json_option
def compare(folder: Path, source: str, asset: str | None, height: int | None, json_file: str | None) -> int:
    """Compare the balances in DIR, which follow from transfers, with what a node says addresses have. Exit code 1 where
    any differ: a token changes balances without transfers, or the ledger's source did not give all.
    """
    from calibar import open as open_ledger  # noqa: PLC0415

    with progress_bar("balances") as progress:
        found = open_ledger(folder).compare(source, asset, height, progress)
    if json_file:
        write_json(json_file, {"assets": found})
    differ = sum(one["differ"] for one in found.values())
    if json_file != "-":
        for name, one in sorted(found.items(), key=lambda item: -item[1]["differ"]):
            click.echo(
                f"{name}: {one['differ']:,} of {one['compared']:,} differ, {one['unanswered']:,} without an answer"
            )
            for row in one["differences"][:_DIFFERENCES]:
                click.echo(f"  {row['address']}  by transfers {row['ledger']}, by the node {row['node']}")
            if one["differ"] > _DIFFERENCES:
                click.echo(f"  and {one['differ'] - _DIFFERENCES:,} more")
    return 1 if differ else 0
