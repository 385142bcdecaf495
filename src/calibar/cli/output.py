"""What commands share: `--json`, files that are written whole, progress bars."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import click

from calibar.errors import UsageError

Progress = Callable[[str, int, int], None]

json_option = click.option(
    "--json", "json_file", metavar="FILE", help="Write one JSON document to FILE; `-` is standard output."
)


def write_bytes(file: str, data: bytes) -> None:
    """Write to FILE, a regular one whole or not at all; `-` is standard output. Raises UsageError where it cannot."""
    if file == "-":
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    try:
        if path.is_symlink() or (path.exists() and not path.is_file()):  # links, pipes and devices are written through
            path.write_bytes(data)
            return
        temporary = path.with_name(f".{path.name}.part")
        try:
            temporary.write_bytes(data)
            temporary.replace(path)
        except OSError:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise
    except (OSError, ValueError) as error:
        raise UsageError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from None


def write_json(file: str, document: Mapping[str, Any]) -> None:
    """Write a document for people's scripts; paths that are no UTF-8 keep their bytes."""
    write_bytes(file, (json.dumps(document, indent=2, ensure_ascii=False) + "\n").encode("utf-8", "surrogateescape"))


@contextmanager
def progress_bar(counts: str = "bytes") -> Iterator[Progress | None]:
    """A bar on standard error where that is a terminal; None elsewhere. `counts` says what is counted."""
    if not sys.stderr.isatty():
        yield None
        return
    from rich.console import Console  # noqa: PLC0415
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
    )

    amount = DownloadColumn() if counts == "bytes" else MofNCompleteColumn()
    columns = (TextColumn("{task.description}"), BarColumn(), amount, TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        tasks: dict[str, Any] = {}

        def say(what: str, done: int, total: int) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield say


def announce_compilation() -> None:
    """Say why the first run takes longer: the kernels are compiled for this machine and kept."""
    from calibar.kernels.compiled import CACHE_DIR  # noqa: PLC0415

    if next(CACHE_DIR.rglob("*.nbi"), None) is None:
        click.echo("Compiling for this machine, once: half a minute to a minute ...", err=True)


def console() -> Any:
    """A rich console on standard output; as wide as addresses need where nobody sets a width."""
    from rich.console import Console  # noqa: PLC0415

    return Console(width=None if sys.stdout.isatty() else 240, highlight=False)
