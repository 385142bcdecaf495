"""Files of an export: an index of their pieces first, then the pieces, parsed on threads, as blocks ask for them."""

from __future__ import annotations

import csv
import gzip
import io
import json
import re
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final, cast

import numpy as np

from calibar.chains.ethereum.etl_columns import Layout, Rows, joined
from calibar.chains.facts import I64
from calibar.errors import DecodeError, UsageError
from calibar.kernels import hextext

PIECE: Final = 2 << 20
LONGEST_ROW: Final = 64 << 20
_NAME = re.compile(
    r"(blocks|transactions|receipts|logs|token_transfers|traces|geth_traces|tokens)"
    r"(?:[^a-z].*)?\.(csv|json|jsonl)(\.gz)?"
)
_SAYS: Final = {
    hextext.FIELDS: "has another number of fields than the header names",
    hextext.QUOTE: "has a quoted field that does not end as one",
    hextext.MISSING: "is empty",
    hextext.NOT_HASH: "is not 0x and 64 hex digits",
    hextext.NOT_ADDRESS: "is not an address: 0x and 40 hex digits",
    hextext.NOT_NUMBER: "is not a whole number of 0 or more",
    hextext.TOO_LARGE: "is too large a number",
}


@dataclass(frozen=True, slots=True)
class Piece:
    """Whole rows of a file that lie together."""

    file: int
    offset: int
    size: int
    line: int
    rows: int
    least: int
    """Least block number in it."""
    greatest: int


@dataclass(frozen=True)
class _File:
    """A file of a table; what is opened is plain text, whatever the file is."""

    path: Path
    is_json: bool
    layout: Layout

    def open(self) -> BinaryIO:
        try:
            if self.path.suffix == ".gz":
                return cast("BinaryIO", gzip.open(self.path))
            return self.path.open("rb")
        except OSError as error:
            raise UsageError(f"cannot read {self.path}: {error.strerror}") from None

    def read(self, stream: BinaryIO, size: int, offset: int | None = None) -> bytes:
        try:
            if offset is not None:
                stream.seek(offset)
            return stream.read(size)
        except (OSError, EOFError, zlib.error) as error:
            raise DecodeError(f"cannot read {self.path}: {error}; export it again") from None

    def header(self, stream: BinaryIO) -> tuple[list[str], int]:
        """Names of its columns and where its rows begin."""
        if self.is_json:
            return [f.names[0] for f in self.layout.fields], 0
        line = self.read(stream, 1 << 16).partition(b"\n")
        try:
            text = line[0].decode("utf-8-sig")
            names = next(csv.reader([text.rstrip("\r")]), [])
        except (ValueError, csv.Error):
            names = []
        if line[0] and not (line[1] and names):
            raise self.broken(1, "is not a header: names of columns, with commas")
        return [name.strip() for name in names], len(line[0]) + len(line[1])

    def rows(self, data: bytes, line: int) -> bytes:
        """Whole rows as CSV in the header's columns."""
        return self._from_json(data, line) if self.is_json else data

    def _from_json(self, data: bytes, line: int) -> bytes:
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        for number, text in enumerate(data.split(b"\n")[:-1], line):
            if not text.strip():
                out.write("\n")
                continue
            try:
                row = json.loads(text, parse_float=str, parse_constant=str)
            except (ValueError, RecursionError):
                row = None
            if not isinstance(row, dict):
                raise self.broken(number, "is not a JSON object")
            writer.writerow([_plain(next((row[n] for n in f.names if n in row), None)) for f in self.layout.fields])
        return out.getvalue().encode(errors="replace")

    def broken(self, line: int, what: str) -> DecodeError:
        return DecodeError(f"{self.path} line {line} {what}; export it again")


def _plain(value: object) -> str:
    """A JSON value as a CSV field, on one line."""
    if value is None:
        return ""
    if isinstance(value, list) and all(isinstance(part, int | str) for part in value):
        return ",".join(map(str, value))
    if isinstance(value, dict | list | bool):
        return json.dumps(value)
    return str(value).replace("\n", " ").replace("\r", " ")


def find_files(folder: Path) -> dict[str, list[Path]]:
    """An export's files by table, by their names: `blocks.csv`, `blocks_0_999.json.gz`, in folders of any depth.

    Raises UsageError where there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder} is no folder; name the one that holds blocks.csv and the other tables")
    found: dict[str, list[Path]] = {}
    for path in sorted(folder.rglob("*")):
        match = _NAME.fullmatch(path.name)
        if match and path.is_file():
            found.setdefault(match[1], []).append(path)
    return found


class Table:
    """One table of an export, in one file or in many, indexed when made.

    The index tells of which blocks a piece of 2 MB speaks, so a table in the order of its blocks is never held whole.
    One in no order is, while it is read: at about 700 bytes a token transfer.
    """

    def __init__(self, layout: Layout, paths: Sequence[Path], threads: int = 2) -> None:
        self.layout = layout
        self.threads = threads
        self.files = [
            _File(path, path.name.removesuffix(".gz").endswith((".json", ".jsonl")), layout) for path in paths
        ]
        self.columns: list[tuple[I64, I64]] = []
        self.pieces: list[Piece] = []
        self.names: set[str] = set()
        """Fields that some file has."""
        with ThreadPoolExecutor(threads) as pool:
            for number, file in enumerate(self.files):
                with file.open() as stream:
                    self._index(number, file, stream, pool)
        self.pieces.sort(key=lambda piece: piece.least)

    def _index(self, number: int, file: _File, stream: BinaryIO, pool: ThreadPoolExecutor) -> None:
        header, offset = file.header(stream)
        if not header:
            self.columns.append((np.empty(0, np.int64), np.empty(0, np.int64)))
            return
        columns = self.layout.columns(header)
        if isinstance(columns, str):
            raise DecodeError(f"{file.path} line 1: no column {columns}; export it again with its header")
        self.columns.append(columns)
        self.names.update(f.name for f in self.layout.fields if file.is_json or any(name in header for name in f.names))
        block = 0
        if not file.is_json:
            block = next(header.index(name) for name in self.layout.fields[0].names if name in header)
        waiting: deque[Future[Piece | None]] = deque()
        line = 1 if file.is_json else 2
        for data, breaks, rows in _whole_rows(file, stream, offset):
            piece = Piece(number, offset, len(data), line, rows, 0, 0)
            waiting.append(pool.submit(self._span, piece, data, block))
            if len(waiting) > self.threads:
                self._keep(waiting.popleft())
            offset += len(data)
            line += breaks
        while waiting:
            self._keep(waiting.popleft())

    def _keep(self, piece: Future[Piece | None]) -> None:
        if found := piece.result():
            self.pieces.append(found)

    def _span(self, piece: Piece, data: bytes, column: int) -> Piece | None:
        """The piece with the blocks that it speaks of; None where it has no rows."""
        data = self.files[piece.file].rows(data, piece.line)
        text = np.frombuffer(data, np.uint8)
        found = np.array([np.iinfo(np.int64).max, -1, 0])
        wrong = hextext.column_range(text, 0, text.size, column, found)
        if wrong:
            raise self._refuse(piece.file, piece.line + data.count(b"\n", 0, int(found[2])), column, wrong)
        return replace(piece, least=int(found[0]), greatest=int(found[1])) if found[1] >= 0 else None

    def _refuse(self, file: int, line: int, column: int, wrong: int) -> DecodeError:
        what = _SAYS[wrong]
        if wrong not in {hextext.FIELDS, hextext.QUOTE}:
            what = f"has a {self.layout.fields[int(self.columns[file][0][column]) >> 4].names[0]} that {what}"
        return self.files[file].broken(line, what)

    def refused(self, rows: Rows, row: int, what: str) -> DecodeError:
        """An error that names a row's file and line."""
        file, line = rows.place(row)
        return self.files[file].broken(line, what)

    def parse(self, piece: Piece, data: bytes) -> Rows:
        """A piece's rows. Raises DecodeError at the first that is broken."""
        file = self.files[piece.file]
        text = np.frombuffer(file.rows(data, piece.line), np.uint8)
        words = np.zeros((piece.rows, self.layout.width), np.uint64)
        texts = np.empty(text.size if self.layout.has_text else 0, np.uint8)
        wrong = np.zeros(4, np.int64)
        kinds, places = self.columns[piece.file]
        rows = hextext.parse_rows(
            text, 0, text.size, piece.line, kinds, places, words, words.view(np.uint8), texts, wrong
        )
        if wrong[0]:
            raise self._refuse(piece.file, int(wrong[1]), int(wrong[2]), int(wrong[0]))
        return Rows(self.layout, words[:rows], texts[: wrong[3]].copy()).of_file(piece.file)

    def all(self) -> Rows:
        """Every row, in order of blocks."""
        with TableReader(self, 0, np.iinfo(np.int64).max, ()) as reader:
            return reader.until(np.iinfo(np.int64).max)


def _whole_rows(file: _File, stream: BinaryIO, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Pieces of whole rows, the line breaks in each, the rows at most. Raises DecodeError for a row without end."""
    stream.seek(offset)
    rest = b""
    counts = np.zeros(2, np.int64)
    while True:
        fresh = file.read(stream, PIECE)
        data = rest + fresh
        if not fresh:
            if rest:
                yield (rest if rest.endswith(b"\n") else rest + b"\n"), rest.count(b"\n"), rest.count(b"\n") + 1
            return
        if file.is_json or b'"' not in data:
            end = data.rfind(b"\n") + 1
            counts[:] = data.count(b"\n")
        else:
            end = hextext.rows_end(np.frombuffer(data, np.uint8), 0, len(data), counts)
        rest = data[end:]
        if len(rest) > LONGEST_ROW:
            raise DecodeError(f"{file.path} has a row of over {LONGEST_ROW >> 20} MB; export it again")
        if end:
            yield data[:end], int(counts[1]), int(counts[0])


class TableReader:
    """Rows of a range of blocks, asked for in rising order."""

    def __init__(self, table: Table, first: int, last: int, order: tuple[str, ...]) -> None:
        self.table = table
        self.first, self.last = first, last
        self.order = order
        self.held = joined(table.layout, [])
        self.waiting = deque(p for p in table.pieces if p.least <= last and p.greatest >= first)
        self.pool = ThreadPoolExecutor(table.threads)
        self.ahead = table.threads
        self.parsing: deque[tuple[Piece, Future[Rows]]] = deque()
        self.streams: dict[int, BinaryIO] = {}

    def __enter__(self) -> TableReader:
        return self

    def __exit__(self, *_: object) -> None:
        self.pool.shutdown(cancel_futures=True)
        for stream in self.streams.values():
            stream.close()

    def pieces(self) -> list[Piece]:
        """What is not read yet."""
        return [piece for piece, _ in self.parsing] + list(self.waiting)

    def _submit(self) -> None:
        while self.waiting and len(self.parsing) <= self.ahead:
            piece = self.waiting.popleft()
            file = self.table.files[piece.file]
            stream = self.streams.get(piece.file)
            if stream is None:
                for number in [n for n in self.streams if len(self.streams) > 8]:
                    self.streams.pop(number).close()
                stream = self.streams[piece.file] = file.open()
            data = file.read(stream, piece.size, piece.offset)
            if len(data) == piece.size - 1:
                data += b"\n"
            if len(data) != piece.size:
                raise UsageError(f"{file.path} changed while it was read; ingest again when the export is done")
            self.parsing.append((piece, self.pool.submit(self.table.parse, piece, data)))

    def load(self, block: int) -> None:
        """Hold every row up to a block."""
        parts = [self.held]
        self._submit()
        while self.parsing and self.parsing[0][0].least <= block:
            rows = self.parsing.popleft()[1].result()
            self._submit()
            number = rows.number("block")
            inside = (number >= self.first) & (number <= self.last)
            parts.append(rows if inside.all() else rows.take(inside))
        if len(parts) > 1:
            self.held = joined(self.table.layout, parts).sorted_by("block", *self.order)

    def until(self, block: int) -> Rows:
        """Rows up to a block that were not given yet, in order."""
        self.load(block)
        end = int(np.searchsorted(self.held.number("block"), block, side="right"))
        rows, self.held = self.held.take(slice(0, end)), self.held.take(slice(end, None)).compact()
        return rows

    def row_block(self, row: int) -> int | None:
        """Block of a held row; None where fewer are held."""
        return int(self.held.number("block")[row]) if row < len(self.held) else None
