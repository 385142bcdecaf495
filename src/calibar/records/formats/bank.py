"""A bank's extract: one account in one currency, with debits and credits or one signed column, and often a balance.

Source: the extracts that banks and wallets of Argentina give their customers and courts; names in Spanish and English.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Final

from calibar.errors import DecodeError
from calibar.records.amounts import Amount
from calibar.records.formats.format import Format, Row, Said
from calibar.records.layout import Layout

_NAMES: Final = {
    "time": ("Fecha", "Fecha y hora", "Fecha Movimiento", "Fecha de operación", "Date", "Posting Date"),
    "account": ("CBU", "CVU", "Cuenta", "CBU/CVU", "Account"),
    "operation": ("Concepto", "Descripción", "Detalle", "Movimiento", "Description", "Concept"),
    "asset": ("Moneda", "Divisa", "Currency"),
    "debit": ("Débito", "Débitos", "Debe", "Debit", "Debits"),
    "credit": ("Crédito", "Créditos", "Haber", "Credit", "Credits"),
    "change": ("Importe", "Monto", "Amount"),
    "balance": ("Saldo", "Saldo parcial", "Balance"),
    "counterparty": ("Contraparte", "Titular", "Razón social", "Nombre", "Counterparty", "Originante", "Beneficiario"),
    "counterparty account": (
        "CBU contraparte", "CVU contraparte", "CBU/CVU contraparte", "Cuenta contraparte", "Alias", "CBU destino",
        "CBU origen", "Counterparty account",
    ),
    "order": ("Comprobante", "Nro. operación", "Número de operación", "Referencia", "Reference"),
    "remark": ("Observaciones", "CUIT", "CUIT/CUIL", "CUIL", "Documento"),
}  # fmt: skip


def bank_row(row: Row) -> Iterator[Said]:
    """The movement of a row with debit and credit, or with one signed amount."""
    debit, credit, change = row.amount("debit"), row.amount("credit"), row.amount("change")
    sides = [
        Amount(debit.value.copy_abs().copy_negate(), debit.unit) if debit and debit.value else None,
        Amount(credit.value.copy_abs(), credit.unit) if credit and credit.value else None,
        change if change and change.value else None,
    ]
    found = [side for side in sides if side]
    if len(found) > 1:
        raise DecodeError(f"{row.place}: it is a debit and a credit at once; ask the bank what it means")
    balance = row.amount("balance")
    stated: Decimal | None = balance.value if balance else None
    if found:
        yield row.movement(found[0], "fiat in" if found[0].value > 0 else "fiat out", balance=stated)
    elif balance is not None:
        yield row.movement(Amount(Decimal(0), balance.unit), "balance", balance=stated)
    if text := row.text("counterparty account"):
        yield row.detail("counterparty's account", text)


FORMATS: Final = (
    Format(
        "bank", "bank movement", "", Layout(_NAMES, frozenset(("time", "operation", "debit", "credit"))), bank_row,
        complete=True,
    ),
    Format(
        "bank-signed", "bank movement", "", Layout(_NAMES, frozenset(("time", "operation", "change", "balance"))),
        bank_row, complete=True,
    ),
)  # fmt: skip
