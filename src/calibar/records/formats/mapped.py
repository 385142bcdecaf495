"""Any table, by columns that somebody names: the generic importer, and its saved mappings."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

from calibar.chains.remote.csv_sheet import shown
from calibar.errors import DamageError, DecodeError, UsageError
from calibar.ledger.case.kept import RECORDS
from calibar.records.amounts import Amount
from calibar.records.formats.bank import bank_row
from calibar.records.formats.binance import kind_of
from calibar.records.formats.format import Format, Row, Said
from calibar.records.layout import mapped, plain_name

NAME: Final = "mappings.json"
_IN: Final = frozenset(
    ("in", "buy", "compra", "credit", "credito", "c", "cr", "ingreso", "entrada", "deposit", "deposito", "received",
     "receive", "recibido", "recibida", "incoming", "haber")
)  # fmt: skip
_OUT: Final = frozenset(
    ("out", "sell", "venta", "debit", "debito", "d", "db", "dr", "egreso", "salida", "withdrawal", "withdraw", "retiro",
     "extraccion", "sent", "send", "enviado", "enviada", "envio", "outgoing", "pago", "debe")
)  # fmt: skip
_WORDS: Final = {
    "deposit": ("deposit", "ingreso cripto", "recepcion"),
    "withdrawal": ("withdraw", "envio", "retiro cripto", "extraccion cripto"),
    "fee": ("fee", "comision", "commission"),
    "trade": ("trade", "buy", "sell", "compra", "venta", "swap", "conversion"),
    "transfer": ("transfer", "transferencia"),
}


def columns_stated(pairs: Sequence[str]) -> dict[str, str]:
    """`ROLE=COLUMN` texts by role. Raises UsageError."""
    found: dict[str, str] = {}
    for text in pairs:
        role, equals, column = text.partition("=")
        if not equals or not column.strip() or role.strip() in found:
            raise UsageError(f"--column {shown(text)} is not ROLE=COLUMN, such as time=Fecha, or names a role twice")
        found[role.strip()] = column.strip()
    return found


def read_mappings(folder: Path) -> dict[str, dict[str, str]]:
    """The mappings that a case has, by name. Raises DamageError."""
    path = folder / NAME
    try:
        document = json.loads(path.read_text("utf-8"))
        return {
            str(name): {str(role): str(column) for role, column in pairs.items()} for name, pairs in document.items()
        }
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, RecursionError):
        raise DamageError(f"{path} is damaged; restore it") from None


def mapping_of(case: Path, name: str, stated: Mapping[str, str]) -> dict[str, str]:
    """The columns of a mapping; those stated now are saved by its name. Raises UsageError where there is none."""
    folder = case / RECORDS
    known = read_mappings(folder)
    if not stated:
        if name not in known:
            there = ", ".join(sorted(known)) or "none yet"
            raise UsageError(f"there is no mapping {shown(name)} in {case} ({there}); name its columns by --column")
        return known[name]
    format_of(name, stated)
    folder.mkdir(parents=True, exist_ok=True)
    part = folder / f".{NAME}.part"
    part.write_text(json.dumps(known | {name: dict(stated)}, indent=1, sort_keys=True, ensure_ascii=False), "utf-8")
    part.replace(folder / NAME)
    return dict(stated)


def format_of(name: str, pairs: Mapping[str, str]) -> Format:
    """The format that a mapping describes. Raises UsageError."""
    if not re.fullmatch("[a-z0-9-]{1,40}", name):
        raise UsageError(f"{shown(name)} is no name for a mapping: small letters, digits and - alone")
    return Format(
        f"mapping:{name}",
        name,
        "",
        mapped(pairs),
        _says,
        complete=bool(pairs.keys() & {"balance", "change", "debit", "credit"}),
    )


def _says(row: Row) -> Iterator[Said]:
    if "debit" in row.columns.places or "credit" in row.columns.places:
        yield from bank_row(row)
        return
    change = row.amount("change")
    if change is None:
        change = row.needed("amount" if "amount" in row.columns.places else "change")
        if "amount" in row.columns.places:
            change = Amount(change.value.copy_abs() * _sign(row), change.unit)
    balance = row.amount("balance")
    if change.value:
        yield row.movement(change, _kind(row, change), balance=balance.value if balance else None)
    elif balance is not None:
        yield row.movement(change, "balance", balance=balance.value)
    if (fee := row.amount("fee")) and fee.value:
        yield row.movement(Amount(-abs(fee.value), fee.unit), "fee", asset=row.text("fee asset"))
    if text := row.text("counterparty account"):
        yield row.detail("counterparty's account", text)


def _sign(row: Row) -> int:
    """Whether an amount came in or went out. Raises DecodeError for a word that is neither."""
    plain = plain_name(row.text("side"))
    if plain not in _IN | _OUT:
        raise DecodeError(
            f"{row.where('side')}: {shown(row.text('side'))} says neither in nor out, as these do: in, out"
        )
    return 1 if plain in _IN else -1


def _kind(row: Row, change: Amount) -> str:
    """By the operation's words, else by what stands beside it: a transaction id means a chain."""
    known = kind_of(row.text("operation"))
    if known != "other":
        return known
    plain = plain_name(row.text("operation"))
    for kind, words in _WORDS.items():
        if any(plain_name(word) in plain for word in words):
            return kind
    if row.text("txid"):
        return "deposit" if change.value > 0 else "withdrawal"
    return "other"
