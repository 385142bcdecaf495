"""Which column is what: a format's names for its columns, found in a table's header wherever that stands."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache
from typing import Final

from calibar.chains.remote.csv_sheet import shown
from calibar.errors import DecodeError, UsageError
from calibar.records.tables.cells import Broken, Cell, Rounded, Table

LOOKED: Final = 200
"""Rows at a table's beginning that are searched for its header: banks write letterheads above it."""
ROLES: Final = (
    "time", "account", "wallet", "operation", "asset", "change", "amount", "debit", "credit", "balance", "fee",
    "fee asset", "txid", "network", "address", "source address", "counterparty", "counterparty account", "order",
    "side", "pair", "price", "quantity", "fiat", "total", "method", "status", "remark",
)  # fmt: skip
"""What the columns of a mapping can be."""
_LONGEST_NAME: Final = 200
"""Characters of a name that is remembered: each format looks at the same rows."""
_EATEN: Final = re.compile(r"[0-9](?:[.,][0-9]+)?[eE]\+[0-9]+|[0-9][.,][0-9]+[eE][0-9]+")


@dataclass(frozen=True)
class Layout:
    """A format's columns."""

    names: Mapping[str, Sequence[str]]
    """By role: names as headers have them, in any case, with any signs."""
    needed: frozenset[str]

    def find(self, row: Sequence[Cell]) -> dict[str, int] | None:
        """Places of the roles in a header; None where it is none of this format."""
        titles = [cell.strip() if isinstance(cell, str) else "" for cell in row]
        plain = [plain_name(title) for title in titles]
        found: dict[str, int] = {}
        for role, names in self.names.items():
            for name in names:
                if role not in found and name and name in titles:
                    found[role] = titles.index(name)
            for name in map(plain_name, names):
                if role not in found and name and name in plain:
                    found[role] = plain.index(name)
        return found if self.needed <= found.keys() else None


@dataclass(frozen=True)
class Columns:
    """A table's header and what stands where in its rows."""

    places: Mapping[str, int]
    header: tuple[Cell, ...]
    row: int

    @property
    def titles(self) -> dict[str, str]:
        """By role: the column's name as it is written."""
        return {role: str(self.header[at]).strip() for role, at in self.places.items()}


def header_of(table: Table, layout: Layout) -> Columns | None:
    """The first row that is the header of a layout; None where no row is."""
    for number, cells in table.rows():
        if number > LOOKED:
            return None
        if (places := layout.find(cells)) is not None:
            return Columns(places, tuple(cells), number)
    return None


def plain_name(text: str) -> str:
    """A column's name without accents, signs and case: `Date(UTC)` and `date_utc` are one."""
    return _plain_name(text) if len(text) <= _LONGEST_NAME else _plain_name.__wrapped__(text)


@lru_cache(1 << 14)
def _plain_name(text: str) -> str:
    base = unicodedata.normalize("NFKD", text.lower())
    return re.sub(r"[\W_]+", "", "".join(c for c in base if not unicodedata.combining(c)))


def mapped(pairs: Mapping[str, str]) -> Layout:
    """The layout that somebody states: column by role. Raises UsageError for a role there is not."""
    for role in pairs:
        if role not in ROLES:
            raise UsageError(f"there is no role {shown(role)}; there are {', '.join(ROLES)}")
    if "time" not in pairs or not pairs.keys() & {"change", "amount", "debit", "credit"}:
        raise UsageError("a mapping needs the columns time and change (or amount and side, or debit and credit)")
    if "amount" in pairs and not pairs.keys() & {"side", "change"}:
        raise UsageError("a mapping's amount has no sign: name the column side too, or call a signed one change")
    return Layout({role: (name,) for role, name in pairs.items()}, frozenset(pairs))


def text_of(cell: Cell, where: object, *, identifies: bool = False) -> str:
    """A cell as text in one line. Raises DecodeError where it must identify something and digits may be lost."""
    if type(cell) is str:
        text = cell if cell.isalnum() else " ".join(cell.split())
        if identifies and _EATEN.fullmatch(text):
            raise DecodeError(f"{where}: {shown(text)} has lost digits in a spreadsheet: ask for it as text")
        return text
    if cell is None:
        return ""
    if isinstance(cell, Broken):
        raise DecodeError(f"{where}: the cell has no value ({cell.what}); ask for the document anew")
    if isinstance(cell, Decimal):
        if identifies and isinstance(cell, Rounded):
            raise DecodeError(f"{where}: {cell} has lost digits in a spreadsheet: ask for it as text")
        return format(cell, "f")
    return str(cell)
