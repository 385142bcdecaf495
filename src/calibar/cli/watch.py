"""`calibar watch`: tell when held value moves."""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from calibar.cli.output import announce_compilation, json_option
from calibar.cli.stops import stop_options, taken_out
from calibar.cli.watch_lines import line_of
from calibar.errors import UsageError

if TYPE_CHECKING:
    from calibar.trail.watches import Watching

_PATIENCE_S: Final = 60
"""Seconds for one call of the command."""


@click.command("watch")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@click.option("--ledger", "folder", required=True, type=click.Path(path_type=Path), help="Folder of the case.")
@click.option("--method", default="fifo", show_default=True, help="fifo or haircut; on account chains lifo, libr too.")
@click.option("--asset", metavar="NAME", help="Account chains: label only this asset (native, a contract, trc10:N).")
@click.option("--max-hops", type=int, metavar="N", help="Follow no further than N transactions.")
@click.option("--min-amount", type=int, metavar="N", help="Do not follow coins with less than N traced satoshi.")
@stop_options
@click.option(
    "--every", type=click.FloatRange(min=0.1), default=60, show_default=True, metavar="SECONDS", help="Ask so often."
)
@click.option("--for", "duration", type=click.FloatRange(min=0), metavar="SECONDS", help="Stop after so long.")
@click.option("--once", is_flag=True, help="Ask once and say whether each holding is still there.")
@click.option("--run", "run", metavar="COMMAND", help="Run this at each event, with its fields as CALIBAR_*.")
@click.option(
    "--source", "sources", multiple=True, required=True, metavar="URL", help="A server to ask; several in turn."
)
@click.option("--network", help="mainnet, testnet3, testnet4, signet or regtest; addresses may say it.")
@click.option("--cross-check", is_flag=True, help="Ask every server each time.")
@click.option(
    "--most", type=click.IntRange(min=1), default=1000, metavar="N", help="Transactions of one address; else 1000."
)
@click.option(
    "--max-transactions", type=click.IntRange(min=1), default=5000, metavar="N", help="Follow up to N; else 5000."
)
@json_option
def command(
    references: tuple[str, ...],
    folder: Path,
    method: str,
    asset: str | None,
    max_hops: int | None,
    min_amount: int | None,
    every: float,
    duration: float | None,
    once: bool,
    run: str | None,
    sources: tuple[str, ...],
    network: str | None,
    cross_check: bool,
    most: int,
    max_transactions: int,
    json_file: str | None,
    **rules: Any,
) -> int:
    """Watch where the value of REFs rests now, coins or accounts, and tell when it moves. Ctrl-C ends it.

    REF is what it is for `calibar trace`. One line an event, or one JSON object a line.
    """
    from calibar.chains.bitcoin.sources.choose import is_here  # noqa: PLC0415
    from calibar.trail.cases import unit_of  # noqa: PLC0415
    from calibar.trail.fetching import Limits  # noqa: PLC0415
    from calibar.trail.policy import Policy  # noqa: PLC0415
    from calibar.trail.watches import watching  # noqa: PLC0415
    from calibar.trail.watching import LEAST_S  # noqa: PLC0415

    if every < LEAST_S and not all(map(is_here, sources)):
        raise UsageError(f"--every {every:g} is too often for another's server; give {LEAST_S:g} or more")
    arguments = _split(run)
    unit = unit_of(folder, references, network)
    question = {"method": method, "max_hops": max_hops, "min_amount": min_amount, "asset": asset, **taken_out(rules)}
    policy = Policy(unit=unit, **question)
    say = _sayer(json_file)
    announce_compilation()
    began = time.monotonic()
    with (
        watching(
            folder, references, sources, network_name=network, tell=_note,
            policy=policy,
            limits=Limits(max_transactions, history=most, cross_check=cross_check),
        ) as watch,
    ):  # fmt: skip
        say(watch.document())
        if once:
            return _once(watch, say, arguments)
        _watch(watch, say, arguments, every, None if duration is None else began + duration)
    return 0


def _once(watch: Watching, say: Callable[[Mapping[str, Any]], None], arguments: list[str]) -> int:
    held = watch.held
    events = watch.round()
    for words in watch.trouble:
        _note(words)
    moves = [event for event in events if event.what == "moved"]
    names = {watched.name for watched in held}
    for watched in (*held, *(each for each in watch.unclear if each.name not in names)):
        names.add(watched.name)
        for event in [move for move in moves if move.watched.name == watched.name] or [watch.state_of(watched)]:
            say(event.document())
    for event in events:
        if event.watched.name not in names or event.what == "back":
            say(event.document())
        _run(arguments, event.document())
    return 1 if events or watch.unclear else 0


def _watch(
    watch: Watching, say: Callable[[Mapping[str, Any]], None], arguments: list[str], every: float, end: float | None
) -> None:
    noted: list[str] = []
    watch.wait(0)
    while True:
        try:
            events = watch.round()
        except UsageError as error:
            events = []
            watch.trouble.append(str(error))
        for event in events:
            say(event.document())
            _run(arguments, event.document())
        left = every if end is None else min(every, end - time.monotonic())
        if left <= 0:
            break
        watch.wait(left)
        for words in watch.trouble:
            if words not in noted:
                _note(words)
        noted = list(watch.trouble)


def _split(run: str | None) -> list[str]:
    try:
        arguments = shlex.split(run or "")
    except ValueError as error:
        raise UsageError(f"--run {run!r}: {error}; quote it as for a shell") from None
    if run is not None and not arguments:
        raise UsageError("--run names no command; leave it out")
    return arguments


def _run(arguments: list[str], document: Mapping[str, Any]) -> None:
    """Run the command with an event's fields in its environment. Its failure is said, and nothing more."""
    if not arguments:
        return
    fields = {
        f"CALIBAR_{key.upper()}": json.dumps(value) if isinstance(value, dict) else "" if value is None else str(value)
        for key, value in document.items()
    }
    try:
        done = subprocess.run(  # noqa: S603  (the user's own command, without a shell)
            arguments, env=os.environ | fields, stdin=subprocess.DEVNULL, stdout=sys.__stderr__, timeout=_PATIENCE_S,
            check=False,
        )  # fmt: skip
        if done.returncode:
            _note(f"{arguments[0]} ended with code {done.returncode}")
    except subprocess.TimeoutExpired:
        _note(f"{arguments[0]} did not end within {_PATIENCE_S} seconds and was stopped")
    except (OSError, ValueError) as error:
        _note(f"{arguments[0]} cannot be run: {getattr(error, 'strerror', None) or error}")


def _sayer(json_file: str | None) -> Callable[[Mapping[str, Any]], None]:
    """What puts an event where it belongs: lines for people, or JSON objects to a file or standard output."""
    if json_file is None:
        return lambda document: click.echo(line_of(document))
    if json_file == "-":
        return lambda document: click.echo(json.dumps(document))
    path = Path(json_file)
    path.touch()

    def say(document: Mapping[str, Any]) -> None:
        with path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(document) + "\n")
        click.echo(line_of(document))

    return say


def _note(words: str) -> None:
    click.echo(f"calibar: {words}", err=True)
