"""Run the command line in this process."""

from __future__ import annotations

import contextlib
import io
from dataclasses import dataclass

from calibar.cli.main import main


@dataclass(frozen=True)
class Done:
    """What a command left: exit code, standard output and standard error."""

    code: int
    out: bytes
    err: str


def run_calibar(*arguments: object) -> Done:
    """Run a command; a traceback fails the test."""
    out, err = io.TextIOWrapper(io.BytesIO(), encoding="utf-8"), io.StringIO()
    code: object = 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main([str(argument) for argument in arguments])
        except SystemExit as end:
            code = end.code
    out.flush()
    buffer = out.buffer
    assert isinstance(buffer, io.BytesIO)
    assert isinstance(code, int)
    return Done(code, buffer.getvalue(), err.getvalue())
