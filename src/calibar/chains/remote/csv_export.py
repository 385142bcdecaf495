"""Exports of explorers (CSV) that a person was handed: Etherscan and its kin, Blockscout, Tronscan, the like by hand.

A file has no signature: what it tells is somebody's word, and compared with a balance like a server's. What it does
not say (decimals of a token, whether the day or the month stands first) must be stated, and is kept with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from calibar.chains.bitcoin.sources.told import Exchange, Keep, Refusal
from calibar.chains.remote import csv_sheet
from calibar.chains.remote.csv_movements import Reading
from calibar.chains.remote.csv_stated import from_request, stated
from calibar.chains.remote.transfers_told import Movements, MovementsQuestion, Question, Told
from calibar.errors import DecodeError, UsageError

KIND: Final = "csv_export"


class CsvExport:
    """Files as an explorer. Everything in them is kept once, whatever is asked first.

    Parameters
    ----------
    paths, chain, keep
        The files, the chain they are of (`ethereum:<chain id>`, `tron:<network>`), who keeps exchanges.
    address
        Whose exports they are; needed only where all rows of a file are between the same two.
    decimal
        `"."` or `","`, what stands before a fraction; needed where a file could mean either.
    dates
        `"dmy"` or `"mdy"`, likewise.
    zone
        Of times whose header names none: `"UTC"`, `"Europe/Madrid"`.
    decimals
        Of tokens, by contract (or TRC-10 number), where the file has no column for it.
    columns
        What a column is, where its header is not known or could be several things: `{"amount": "Quantity"}`; see
        `csv_columns.ROLES`. An empty name says that there is no such column.
    tokens
        Which contract (or TRC-10 number, or `"native"`) a file means that names tokens in words alone.
    """

    kind: Final = KIND

    def __init__(
        self, paths: Sequence[Path], chain: str, keep: Keep, *, address: str | None = None, decimal: str | None = None,
        dates: str | None = None, zone: str | None = None, decimals: Mapping[str, int] | None = None,
        columns: Mapping[str, str] | None = None, tokens: Mapping[str, str] | None = None,
    ) -> None:  # fmt: skip
        """Raises UsageError for a file that cannot be read or needs a statement, DecodeError for one that is wrong."""
        said = stated(
            chain, address=address, decimal=decimal, dates=dates, zone=zone, decimals=decimals, columns=columns,
            tokens=tokens,
        )  # fmt: skip
        if not paths:
            raise UsageError("no file is given: name the exports to read")
        names = [_name(path) for path in paths]
        self.chain = chain
        self.place = f"file {names[0]}" if len(names) == 1 else f"files {', '.join(names[:3])}" + "…" * (len(names) > 3)
        self._keep, self._kept = keep, False
        self._exchanges = []
        self._told: list[Movements] = []
        for path, name in zip(paths, names, strict=True):
            exchange = Exchange(KIND, f"file {name}", said.request(name), _contents(path))
            self._told += read(exchange.request, exchange.response)
            self._exchanges.append(exchange)

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        """Answers what rows an address has; the first time, everything is kept."""
        if not self._kept:
            for exchange in self._exchanges:
                self._keep(exchange)
            self._kept = True
        for question in questions:
            if isinstance(question, MovementsQuestion):
                yield question, self._movements(question)
            else:
                yield question, Refusal("an export lists the transfers of an address and tells nothing else")

    def close(self) -> None:
        """Nothing is open."""

    def _movements(self, question: MovementsQuestion) -> Movements | Refusal:
        found = [told for told in self._told if told.address == question.address and told.what == question.what]
        if not found:
            return Refusal("the files have no such rows of this address")
        whole = _joined(found)
        rows = tuple(
            row
            for row in whole.rows
            if question.asset in (None, row.asset) and (row.height is None or row.height >= question.first)
        )
        if len(rows) > question.most:
            return Refusal(f"more than {question.most} rows: a service's address", too_much=True)
        return replace(whole, asset=question.asset, first=max(question.first, whole.first), rows=rows)


def question_of(_: str) -> None:
    """A file answers no question: what it has is told as it is."""


def read(request: str, response: bytes) -> Iterator[Movements]:
    """The movements of a file, one answer a class. Raises DecodeError, UsageError where something must be stated."""
    file, said = from_request(request)
    try:
        yield from list(Reading(response, said).movements())
    except DecodeError as error:
        raise DecodeError(f"file {_printable(file)}, {error}") from None
    except UsageError as error:
        raise UsageError(f"file {_printable(file)}, {error}") from None


def _joined(found: Sequence[Movements]) -> Movements:
    """Rows of all files; vouched for as far as their blocks adjoin."""
    ordered = sorted(found, key=lambda told: told.first)
    upto, adjoin = ordered[0].upto, True
    for told in ordered[1:]:
        if upto is None or told.upto is None or told.first > upto + 1:
            adjoin = False
            break
        upto = max(upto, told.upto)
    rows = tuple(row for told in found for row in told.rows)
    capped = any(told.capped for told in found) or not adjoin
    return replace(ordered[0], rows=rows, capped=capped, upto=upto)


def _contents(path: Path) -> bytes:
    try:
        if path.stat().st_size > csv_sheet.LARGEST:
            raise UsageError(f"{path} is larger than {csv_sheet.LARGEST >> 20} MB: export fewer days at once")
        return path.read_bytes()
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None


def _name(path: Path) -> str:
    return path.name.encode("utf-8", "replace").decode()


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in text[:200])
