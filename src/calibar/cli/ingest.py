"""`calibar ingest`: blocks into a ledger."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from calibar.cli.accounts import ethereum, tron
from calibar.cli.output import announce_compilation, json_option, progress_bar, write_json


@click.group("ingest")
def command() -> None:
    """Read blocks into a ledger. Doing it again continues where it stopped."""


@command.command("bitcoin")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="SOURCE...")
@click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the ledger.")
@click.option("--network", help="mainnet, testnet3, testnet4, signet or regtest; block files say it themselves.")
@click.option("--to-height", type=click.IntRange(min=0), metavar="N", help="Stop after the block at height N.")
@click.option("--island", is_flag=True, help="Allow a run of blocks that starts later than genesis.")
@click.option(
    "--memory", "memory_mb", type=click.IntRange(min=64), default=1024, show_default=True, metavar="MB",
    help="Bound of the memory for blocks being read.",
)  # fmt: skip
@click.option(
    "--max-reorganisation", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
    help="Give up at most N blocks for a chain with more work.",
)  # fmt: skip
@json_option
def bitcoin(sources: tuple[Path, ...], json_file: str | None, network: str | None, **options: Any) -> None:
    """Read Bitcoin blocks from SOURCE: Bitcoin Core's `blocks` folder, block files, or single raw blocks (binary, hex).

    Checked on the way: proof of work, merkle roots, witness commitments, spends, fees and subsidies.
    Signatures and scripts are not run.
    """
    from calibar.chains.bitcoin.networks import network as network_called  # noqa: PLC0415
    from calibar.ledger.ingest import ingest  # noqa: PLC0415

    announce_compilation()
    chosen = network_called(network) if network else None
    with progress_bar() as progress:
        info = ingest(sources, network=chosen, progress=progress, **options)
    if json_file:
        write_json(json_file, info)
    if json_file != "-":
        from calibar.cli.ledger import show_info  # noqa: PLC0415

        show_info(info)


command.add_command(ethereum)
command.add_command(tron)
