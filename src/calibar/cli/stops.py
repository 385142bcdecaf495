"""The options that say where a trail stops, of every command that follows one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from calibar.errors import UsageError


def stop_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Stop rules, labels and what is passed all the same."""
    for option in reversed((
        click.option(
            "--stop", "stops", multiple=True, metavar="NAME",
            help="Stop rule instead of the usual ones: labels, label:CATEGORY, coinjoin, outputs:N, deposit; none.",
        ),
        click.option(
            "--labels", multiple=True, type=click.Path(path_type=Path), metavar="FILE",
            help="CSV table of what sources say of addresses; the trail stops at custodians and mixers.",
        ),
        click.option(
            "--override", "overrides", multiple=True, metavar="NAME=REASON",
            help="Go on past this transaction or address, for a reason that the trail then carries.",
        ),
    )):  # fmt: skip
        command = option(command)
    return command


def taken_out(options: dict[str, Any]) -> dict[str, Any]:
    """The fields of a policy that these options say; they are taken out. Raises UsageError, DecodeError."""
    from calibar.labels.table import read_labels  # noqa: PLC0415

    stops, labels, overrides = (tuple(options.pop(name)) for name in ("stops", "labels", "overrides"))
    if "none" in stops and len(stops) > 1:
        raise UsageError("--stop none turns the rules off; leave it or the others out")
    fields: dict[str, Any] = {"stops": () if stops == ("none",) else stops or None, "overrides": {}}
    for text in overrides:
        name, equals, reason = text.partition("=")
        if not equals or not name:
            raise UsageError(
                f"--override {text[:80]} is not NAME=REASON: name a transaction or an address, and say why"
            )
        fields["overrides"][name] = reason.strip()
    return fields | {"labels": read_labels(labels) if labels else None}
