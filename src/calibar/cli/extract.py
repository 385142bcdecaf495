"""`calibar extract`: the selectors in what people hand in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from calibar.cli.output import console, write_bytes
from calibar.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

_MOST_ROWS = 200
"""Of a kind on the screen."""


@click.command("extract")
@click.argument("files", nargs=-1, required=True, metavar="FILE...", type=click.Path(path_type=Path))
@click.option(
    "--region", default="AR", show_default=True, metavar="CODE", help="Whose national telephone numbers are meant."
)
@click.option(
    "--expand", type=click.IntRange(0, 1000), default=20, show_default=True, metavar="N",
    help="First N addresses of each chain of extended public keys and descriptors.",
)  # fmt: skip
@click.option("--json", "json_file", metavar="FILE", help="Write canonical JSON to FILE; `-` is standard output.")
@click.option("--csv", "csv_file", metavar="FILE", help="Write a table to FILE, a row a place; `-` is standard output.")
def command(files: Sequence[Path], region: str, expand: int, json_file: str | None, csv_file: str | None) -> None:
    """Find addresses, hashes, keys and accounts in FILEs: text, tables, PDF, HTML, chats, pictures with codes.

    What has a checksum is checked; what only looks right is listed apart. Private keys and seed phrases are never
    repeated: the answer says where one stands.
    """
    from calibar.records.selectors import extract  # noqa: PLC0415

    if json_file == "-" and csv_file == "-":
        raise UsageError("--json and --csv cannot both go to standard output; name a file for one")
    report = extract(files, region=region, expand=expand)
    if json_file:
        write_bytes(json_file, report.json())
    if csv_file:
        write_bytes(csv_file, report.csv())
    if "-" not in (json_file, csv_file):
        _show(report.document, console())


def _show(document: Mapping[str, Any], out: Console) -> None:
    for file in document["files"]:
        _line(out, f"{file['file']}: read as {file['read_as']}, SHA-256 {file['sha256'][:16]}…")
        for note in file["notes"]:
            _line(out, f"  note: {note}")
    kinds = list(dict.fromkeys(one["kind"] for one in document["findings"]))
    for kind in kinds:
        _table(out, kind, [one for one in document["findings"] if one["kind"] == kind])
    if document["near_misses"]:
        _table(out, "near misses: compare with the source", document["near_misses"])
    if not document["findings"] and not document["near_misses"]:
        _line(out, "nothing was found")
    if document["private"]:
        _line(out, "PRIVATE, not repeated here:", style="bold red")
        from calibar.records.selectors.report import shown  # noqa: PLC0415

        for one in document["private"][:_MOST_ROWS]:
            _line(out, f"  {one['kind']}: {one['file']}, {shown(one)}")
        if len(document["private"]) > _MOST_ROWS:
            _line(out, f"  and {len(document['private']) - _MOST_ROWS:,} more: write them with --json or --csv")
        _line(out, document["handover"])


def _table(out: Console, title: str, found: Sequence[Mapping[str, Any]]) -> None:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from calibar.records.selectors.report import shown  # noqa: PLC0415

    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for name in ("value", "checked", "network", "times", "first"):
        table.add_column(name, overflow="fold", justify="right" if name == "times" else "left")
    for one in found[:_MOST_ROWS]:
        place = one["places"][0]
        note = f"; expanded to {len(one['expanded'])} addresses" if one.get("expanded") else ""
        row = (
            one["value"], one["checked"] + note, one["network"] or "", str(one["count"]),
            f"{place['file']}, {shown(place)}",
        )  # fmt: skip
        table.add_row(*(Text(cell) for cell in row))
    out.print(table)
    if len(found) > _MOST_ROWS:
        _line(out, f"and {len(found) - _MOST_ROWS:,} more: write them with --json or --csv")


def _line(out: Console, text: str, style: str = "") -> None:
    from rich.text import Text  # noqa: PLC0415

    out.print(Text(text, style=style), soft_wrap=True)
