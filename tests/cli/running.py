"""Run the command line in this process, and make the folders that it is asked about."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from calibar.chains.bitcoin.transaction import Block, write_block_files
from calibar.cli.main import main
from calibar.sandbox.economy import NETWORK
from calibar.sandbox.scenarios.theft import SECOND_FILE, Theft
from calibar.sandbox.truth import Truth

KEY = bytes.fromhex("0badc0de5ca1ab1e")


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: bytes
    err: str

    @property
    def document(self) -> dict[str, Any]:
        """Standard output as one JSON document and nothing else."""
        document = json.loads(self.out)
        assert isinstance(document, dict)
        return document


def run_calibar(*arguments: object) -> Done:
    """Run a command; a traceback fails the test."""
    out = io.TextIOWrapper(io.BytesIO(), "utf-8", write_through=True)
    err = io.StringIO()
    code: object = None
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as exit_:
            code = exit_.code
    assert isinstance(code, int)
    assert isinstance(out.buffer, io.BytesIO)
    said = "".join(
        line for line in err.getvalue().splitlines(True) if not line.startswith("Compiling for this machine")
    )
    return Done(code, out.buffer.getvalue(), said)


def succeeds(*arguments: object) -> Done:
    """Run a command that must end well and say nothing on standard error."""
    done = run_calibar(*arguments)
    assert (done.code, done.err) == (0, "")
    return done


def refused(*arguments: object, code: int = 2) -> str:
    """Run a command that must say no: one line on standard error, nothing on standard output. Gives the line."""
    done = run_calibar(*arguments)
    assert (done.code, done.out) == (code, b""), done
    assert done.err.startswith("calibar: ")
    assert done.err.count("\n") == 1 and done.err.endswith("\n")
    return done.err.removeprefix("calibar: ").rstrip("\n")


def info(ledger: Path) -> dict[str, Any]:
    """What `ledger info` says, but for how long it took."""
    document = succeeds("ledger", "info", ledger, "--json", "-").document
    return {key: value for key, value in document.items() if key != "seconds"}


@cache
def theft() -> Theft:
    """The sandbox's chain with a theft in it, run once."""
    story = Theft("calibar")
    story.run()
    return story


@cache
def truth() -> Truth:
    """What happened on it."""
    return theft().truth()


def write_blocks(folder: Path, blocks: Iterable[Block | bytes] | None = None, key: bytes = KEY) -> Path:
    """A `blocks` folder with two files, not pre-allocated; of the theft's chain where no blocks are given."""
    chain = list(theft().economy.blocks if blocks is None else blocks)
    write_block_files(folder, NETWORK, (chain[:SECOND_FILE], chain[SECOND_FILE:]), key=key, chunk=0)
    return folder


def theft_ledger(folder: Path) -> Path:
    """A ledger of the theft's chain in `folder`."""
    succeeds("ingest", "bitcoin", write_blocks(folder / "blocks"), "--ledger", folder / "ledger")
    return folder / "ledger"
