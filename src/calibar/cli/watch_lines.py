"""Events of a watch for people: one line each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from calibar.trail.accounts.words import quantity
from calibar.trail.words import plain

_WORDS: Final = {
    "still": "still there",
    "moving": "moving",
    "moved": "moved",
    "back": "taken back",
    "differs": "unclear",
}


def line_of(document: Mapping[str, Any]) -> str:
    """An event, of coins or of accounts."""
    if "accounts" in document or "account" in document:
        return _line_of_accounts(document)
    labels = ", ".join(f"{label} {amount:,}" for label, amount in document["labels"].items())
    if document["event"] == "watching":
        line = f"watching {document['coins']:,} coins with {document['satoshi']:,} satoshi ({labels or 'nothing'})"
        if document["not_watched"]:
            line += f" and not {document['not_watched']:,} that no server told of"
        return f"{line}, as of block {document['height']}"
    where = f"in block {document['height']} {document['block']}" if document["block"] else "in no block yet"
    spent = f", spent by {document['spent_by']} {where}" if document["spent_by"] else ""
    if document["event"] == "back":
        spent = f": spent no more by {document['spent_by']}, which was {where.removesuffix(' yet')}"
    what = _WORDS[document["event"]]
    return (
        f"{document['time']} {what}: {document['coin']} of {document['address']}, {document['satoshi']:,} satoshi "
        f"({labels}){spent}"
    )


def _line_of_accounts(document: Mapping[str, Any]) -> str:
    if document["event"] == "watching":
        assets = [f"{_asset(name, said)}: {_labels(said)}" for name, said in document["assets"].items()]
        line = f"watching {document['accounts']:,} accounts with {'; '.join(assets) or 'nothing'}"
        if document["unclear"]:
            line += f"; {document['unclear']:,} unclear"
        if document["not_watched"]:
            line += f"; not {document['not_watched']:,} of which nobody told a history"
        return f"{line}, as of block {document['height']}"
    what, name = _WORDS[document["event"]], f"{plain(document['account'])}, {_asset(document['asset'], document)}"
    line = f"{document['time']} {what}: {name} ({_labels(document)})"
    if document["event"] == "differs":
        said = ", ".join(f"{plain(place)} {amount}" for place, amount in document["said"].items()) or "nobody says"
        return f"{line}: its transfers leave {document['value']} base units; what it has by its servers: {said}"
    if document["transfer"] is None:
        return line
    to = f" to {plain(document['to'])}" if document["to"] else ""
    height = "" if document["height"] is None else f" in block {document['height']}"
    return f"{line}{to}, {document['kind']} {document['transfer']}{height}"


def _asset(name: str, said: Mapping[str, Any]) -> str:
    return f"{plain(name)} (“{plain(said['symbol'])}”)" if said["symbol"] else plain(name)


def _labels(said: Mapping[str, Any]) -> str:
    amounts = [f"{label} {quantity(int(units), said['decimals'])}" for label, units in said["labels"].items()]
    return ", ".join(amounts) or "nothing"
