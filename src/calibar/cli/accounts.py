"""`calibar ingest ethereum|tron`, and what an account chain's ledger says to people."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibar.cli.output import announce_compilation, json_option, progress_bar, write_json
from calibar.errors import UsageError

if TYPE_CHECKING:
    from calibar.chains.facts import Source

_URL = re.compile(r"https?://", re.IGNORECASE)


def _shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for option in reversed((
        click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="The ledger's folder."),
        click.option("--from-height", "first", type=click.IntRange(min=0), metavar="N", help="First block."),
        click.option("--to-height", type=click.IntRange(min=0), metavar="N", help="Stop after block N."),
        click.option("--island", is_flag=True, help="Allow a run of blocks that starts later than block 0."),
        click.option(
            "--max-reorganisation", type=click.IntRange(min=0), default=100, show_default=True, metavar="N",
            help="Give up at most N blocks that the source has left.",
        ),
        json_option,
    )):  # fmt: skip
        command = option(command)
    return command


@click.command("ethereum")
@click.argument("source", metavar="SOURCE")
@click.option("--chain-id", type=click.IntRange(min=0), metavar="N", help="Chain id; a node says it itself.")
@click.option(
    "--genesis", type=click.Path(path_type=Path), metavar="FILE",
    help="genesis.json of the chain: who had what before block 0.",
)  # fmt: skip
@click.option("--record", type=click.Path(path_type=Path), metavar="FILE", help="Keep the node's answers in FILE.")
@_shared_options
def ethereum(source: str, json_file: str | None, chain_id: int | None, **options: Any) -> None:
    """Read a chain of Ethereum's kind from SOURCE: a node's URL, a recording of one (.jsonl, .jsonl.gz), or a folder
    that ethereum-etl exported.

    Recomputed on the way: block hashes, transaction and receipt roots. Which block is final needs an anchor that you
    trust: compare the tip with one from elsewhere.
    """
    genesis, record = options.pop("genesis"), options.pop("record")
    place = Path(source)
    reader: Source
    if not _URL.match(source) and _is_export(place):
        from calibar.chains.ethereum.etl import EtlSource  # noqa: PLC0415

        if chain_id is None:
            raise UsageError(f"{place}: an export does not say its chain; give --chain-id (1 is Ethereum)")
        if genesis or record:
            raise UsageError("--genesis and --record are for nodes and recordings, not for exports")
        reader = EtlSource(place, chain_id)
        _ingest(reader, json_file, options)
        return
    from calibar.chains.ethereum.recorded import Recording  # noqa: PLC0415
    from calibar.chains.ethereum.rpc import RpcSource  # noqa: PLC0415

    answers = source if _URL.match(source) else Recording(place)
    node = RpcSource(answers, chain_id=chain_id, genesis=genesis, record=record)
    try:
        _ingest(node, json_file, options)
    finally:
        node.close()


def _is_export(place: Path) -> bool:
    """Whether a folder holds exported tables rather than recordings: an export has blocks."""
    return place.is_dir() and (any(place.rglob("blocks*")) or not any(place.glob("*.jsonl*")))


@click.command("tron")
@click.argument("source", metavar="SOURCE")
@click.option("--network", help="mainnet, nile or shasta; a node with block 0 says it itself.")
@_shared_options
def tron(source: str, json_file: str | None, network: str | None, **options: Any) -> None:
    """Read TRON from SOURCE: the URL of a java-tron node's HTTP API, or a recording of one (.jsonl, .jsonl.gz).

    Recomputed on the way: block ids and transaction roots. Token transfers are events, which no root covers: they stay
    reported. An API key is read from the environment's TRON_PRO_API_KEY.
    """
    from calibar.chains.tron.http import http_source  # noqa: PLC0415
    from calibar.chains.tron.recorded import recorded_source  # noqa: PLC0415

    reader = http_source(source, network) if _URL.match(source) else recorded_source(Path(source), network)
    with closing(reader):
        _ingest(reader, json_file, options)


def _ingest(source: Source, json_file: str | None, options: Mapping[str, Any]) -> None:
    from calibar.ledger.accounts.ingest import ingest  # noqa: PLC0415

    announce_compilation()
    with progress_bar("blocks") as progress:
        info = ingest(source, progress=progress, **options)
    if json_file:
        write_json(json_file, info)
    if json_file != "-":
        show_account_info(info)


def show_account_info(info: Mapping[str, Any]) -> None:
    """Print an account chain's info document for people."""
    added = f", {info['added_blocks']:,} of them new" if "added_blocks" in info else ""
    proven = info["proven_blocks"]
    lines = [
        f"{info['network']} {'island of blocks' if info['island'] else 'chain'}: {info['blocks']:,} blocks{added}",
        f"height   {info['height']}",
        f"tip      {info['tip']}",
        f"holds    {info['transactions']:,} transactions, {info['transfers']:,} transfers of {info['assets']:,} assets "
        f"between {info['addresses']:,} addresses, {info['events']:,} events",
        f"proven   {proven['headers']:,} block hashes, {proven['transactions']:,} transaction roots, "
        f"{proven['logs']:,} receipt roots; the rest is reported by the source",
        f"digest   {info['digest']}",
    ]
    if info["shortfalls"]:
        lines.append(
            f"short    {info['shortfalls']:,} times a holding goes below zero: that does not follow from transfers"
        )
    lines += [f"note     {note}" for note in info["notes"]]
    if "added_blocks" in info:
        lines.append(f"took     {info['seconds']:.1f} s")
    click.echo("\n".join(lines).encode("utf-8", "backslashreplace").decode())


@click.command("holdings")
@click.argument("address", metavar="ADDRESS")
@click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the ledger.")
@click.option(
    "--at", "height", type=click.IntRange(min=0), metavar="H", help="After the block at height H; else the tip."
)
@json_option
def holdings(address: str, folder: Path, height: int | None, json_file: str | None) -> None:
    """Say what ADDRESS has of each asset, by all transfers up to a height (account chains)."""
    from calibar import open as open_ledger  # noqa: PLC0415
    from calibar.trail.accounts.table import NATIVE_DECIMALS  # noqa: PLC0415
    from calibar.trail.accounts.words import quantity  # noqa: PLC0415

    ledger = open_ledger(folder)
    rows = ledger.holdings(address, at=height)
    native = NATIVE_DECIMALS[ledger.info["network"].partition(":")[0]]
    if json_file:
        write_json(json_file, {"address": address, "at": height, "holdings": rows})
    if json_file != "-":
        for row in rows:
            said = f" says it is {row['symbol']!r}" if row["symbol"] else ""
            below = "  BELOW ZERO: does not follow from transfers alone" if int(row["balance"]) < 0 else ""
            decimals = native if row["asset"] == "native" else row["decimals"]
            click.echo(f"{quantity(int(row['balance']), decimals):>40}  {row['asset']}{said}{below}")


@click.command("transfers")
@click.argument("address", metavar="ADDRESS")
@click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the ledger.")
@click.option("--asset", metavar="NAME", help="Only this asset: native, a contract, trc10:N.")
@click.option("--limit", type=click.IntRange(min=1), metavar="N", help="Only the first N.")
@json_option
def transfers(address: str, folder: Path, asset: str | None, limit: int | None, json_file: str | None) -> None:
    """Say what ADDRESS sent and received, in chain order (account chains). Nothing is left out; what may mislead is
    flagged: zero values, recipients that resemble another address.
    """
    from datetime import UTC, datetime  # noqa: PLC0415

    from calibar import open as open_ledger  # noqa: PLC0415
    from calibar.trail.words import plain  # noqa: PLC0415

    ledger = open_ledger(folder)
    rows, events = ledger.transfers(address, asset, limit), ledger.events(address)
    if json_file:
        write_json(json_file, {"address": address, "transfers": rows, "events": events})
    if json_file != "-":
        for row in rows:
            time = datetime.fromtimestamp(row["time"], UTC).strftime("%Y-%m-%d %H:%M:%S")
            flags = f"  FLAG: {'; '.join(row['flags'])}" if row["flags"] else ""
            ends = f"{row['from'] or 'nobody'} -> {row['to'] or 'nobody'}"
            line = f"{time}  {row['amount']:>24}  {row['kind']:<12} {row['asset']}  {ends}  {row['transfer']}"
            click.echo(plain(f"{line}  {row['proof']}{flags}"))
        for event in events:
            who = f"{event['owner']} by {event['other']}" if event["other"] else event["owner"]
            click.echo(plain(f"{event['event']}: {who} of {event['asset']}, {event['amount']}  {event['txid']}"))
