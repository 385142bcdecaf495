"""What a trail from a case rests on besides proof, in words: whose word it is, and what nobody looked at."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from calibar.trail.words import Text, plain


def caveats(trail: Mapping[str, Any]) -> tuple[Text, ...]:
    """One statement a line; none for a trail from whole blocks that leaves nothing out."""
    ledger, holdings = trail["ledger"], trail.get("holdings", ())
    found = [
        Text(
            f"{plain(asset)} came too and is not traced: it came or moves in amounts of 2^126 base units or more; "
            "no honest token does that.",
            f"También llegó {plain(asset)}, que no se rastrea: llegó o se mueve en cantidades de 2^126 unidades o más; "
            "ningún token honesto lo hace.",
        )
        for asset in sorted({name for each in (trail, *trail.get("ledgers", ())) for name in each.get("left_out", ())})
    ]
    if "case" not in ledger:
        return tuple(found)
    found += [
        Text(
            "From a case: single transactions, fetched from servers and checked.",
            "De un caso: transacciones sueltas, obtenidas de servidores y verificadas.",
        )
    ]
    if servers := ", ".join(sorted({plain(place) for row in holdings for place in row.get("reported", ())})):
        height = "" if ledger["height"] is None else f"{ledger['height']:,}"
        found.append(
            Text(
                f"That what is held lies still, up to block {height}, is the word of {servers}: a server can hide a "
                "payment; several reveal it.",
                f"Que lo que está sin mover sigue ahí, hasta el bloque {height}, es palabra de {servers}: un servidor "
                "puede ocultar un pago; varios lo revelan.",
            )
        )
    if moving := sum("pending" in row for row in holdings):
        found.append(
            Text(
                f"{moving} of these holdings are being moved by a transaction that is in no block yet.",
                f"{moving} de estas tenencias las mueve una transacción que todavía no está en ningún bloque.",
            )
        )
    if unknown := sum(row["reason"] == "not looked at" for row in holdings):
        found.append(
            Text(
                f"{unknown} were not looked at: what became of them is unknown.",
                f"{unknown} no se miraron: no se sabe qué fue de ellas.",
            )
        )
    for address, whole in sorted(ledger.get("histories", {}).items()):
        if not whole:
            found.append(
                Text(
                    f"The history of {plain(address)} is not known whole: other payments to it may be missing.",
                    f"El historial de {plain(address)} no se conoce entero: pueden faltar otros pagos a esa dirección.",
                )
            )
    return tuple(found)
