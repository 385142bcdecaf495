"""PDF and HTML are read in a process of their own: one that takes too long or too much memory is ended."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from threading import Timer
from typing import IO, Any, Final

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.cells import Cell, Table
from calibar.records.tables.source import MOST_COLUMNS, MOST_ROWS, NoTableError, Source, whole

_PATIENCE_S: Final = 60
"""For a page."""
_MEMORY: Final = 3 << 30
_LONGEST_ANSWER: Final = 64 << 20


@dataclass(frozen=True)
class HeldTable(Table):
    """A table of a PDF or of HTML, whose rows are held. Merged cells: the first has the value, the others are None."""

    held: tuple[tuple[str | None, ...], ...]

    def rows(self) -> Iterator[tuple[int, list[Cell]]]:
        """Rows that have something in them, counted from the top of the table."""
        for at, row in enumerate(self.held):
            if any(row):
                yield at + 1, [cell or None for cell in row]


def held_tables(source: Source, kind: str, passed_over: Callable[[str, str], None]) -> Iterator[Table]:
    """Tables of a `pdf` or `html`. Raises NoTableError where there is none, else as `tables` does."""
    count = rows = 0
    for answer in _answers(source, kind):
        page = answer["page"]
        if answer.get("picture"):
            passed_over(f"{source.name}, page {page}", "it is a picture without text: ask for the spreadsheet")
        for number, held in enumerate(answer["tables"], 1):
            count, rows = count + 1, rows + len(held)
            if rows > MOST_ROWS:
                raise DecodeError(f"{source.name}: more than {MOST_ROWS:,} rows: export a shorter period")
            if any(len(row) > MOST_COLUMNS for row in held):
                raise DecodeError(f"{source.name}: more than {MOST_COLUMNS:,} columns: it is not read")
            sheet = f"page {page}, table {number}" if kind == "pdf" else f"table {number}"
            yield HeldTable(source.name, sheet, tuple(tuple(row) for row in held))
    if not count:
        raise NoTableError(f"{source.name}: no table is found in its text: ask for the spreadsheet it was made from")


def _answers(source: Source, kind: str) -> Iterator[dict[str, Any]]:
    data = whole(source)
    process = subprocess.Popen(  # noqa: S603 - Calíbar itself
        [sys.executable, "-P", "-m", "calibar.records.tables.apart", kind],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    page = 0
    with process:
        try:
            assert process.stdin and process.stdout  # noqa: S101 - they are pipes
            with suppress(BrokenPipeError):
                process.stdin.write(data)
            with suppress(BrokenPipeError):
                process.stdin.close()
            while True:
                answer = _answer(process, process.stdout)
                if answer is None:
                    raise DecodeError(
                        f"{source.name}, page {page + 1}: it takes more than {_PATIENCE_S} s or {_MEMORY >> 30} GiB, "
                        f"or is damaged beyond reading: ask for the spreadsheet it was made from"
                    )
                if "refused" in answer:
                    raise (UsageError if answer["usage"] else DecodeError)(f"{source.name}: {answer['refused']}")
                if "end" in answer:
                    return
                page = answer["page"]
                yield answer
        finally:
            process.kill()


def _answer(process: subprocess.Popen[bytes], stream: IO[bytes]) -> dict[str, Any] | None:
    watch = Timer(_PATIENCE_S, process.kill)
    watch.daemon = True
    watch.start()
    try:
        line = stream.readline(_LONGEST_ANSWER)
    finally:
        watch.cancel()
    if not line.endswith(b"\n"):
        return None
    found: dict[str, Any] = json.loads(line)
    return found


def _limit() -> None:
    try:
        import resource  # noqa: PLC0415 - not on Windows
    except ImportError:
        return
    _, most = resource.getrlimit(resource.RLIMIT_AS)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY if most < 0 else min(_MEMORY, most), most))


def _main() -> None:
    _limit()
    data = sys.stdin.buffer.read()

    def tell(**answer: object) -> None:
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()

    try:
        if sys.argv[1] == "pdf":
            from calibar.records.tables.pdf import pages  # noqa: PLC0415 - takes long to import

            for page, found, picture in pages(BytesIO(data)):
                tell(page=page, tables=found, picture=picture)
        else:
            from calibar.records.tables.markup import markup_tables  # noqa: PLC0415

            tell(page=1, tables=markup_tables(data))
        tell(end=True)
    except (DecodeError, UsageError) as error:
        tell(refused=str(error), usage=isinstance(error, UsageError))


if __name__ == "__main__":
    _main()
