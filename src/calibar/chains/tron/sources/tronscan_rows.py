"""The rows of Tronscan's lists, each made into what it moved for the address that was asked about."""

from __future__ import annotations

import re
from typing import Final

from calibar.chains.remote import transfers_told as told
from calibar.chains.remote.rows import Row
from calibar.chains.tron.address import parse
from calibar.chains.tron.hashes import created_contract
from calibar.chains.tron.sources import tron_answers as tron
from calibar.errors import DecodeError

_TRANSFER, _TRANSFER_ASSET, _PARTICIPATE, _CREATE, _TRIGGER = 1, 2, 9, 30, 31


Moved = tuple[str | None, list[told.Movement]]


def _value(row: Row, height: int, time: int, whom: bytes, _: bytes | None) -> Moved:
    place = tron.Place(row.digest("hash"), height, time)
    moved = ordered(row, place)
    kind = row.whole("contractType", 16)
    owner = row.address("ownerAddress", parse) if row.has("ownerAddress") else None
    made = created_contract(place.txid, owner) if kind == _CREATE and owner else None
    if not tron.mentions([row.values.get(name) for name in ("toAddress", "toAddressList", "contractData")], whom):
        tron.concerns(row, whom, owner, made)
    return place.txid.hex(), list(tron.concerning(tron.of_class(moved, "value"), whom))


def ordered(row: Row, place: tron.Place) -> list[told.Movement]:
    """What a transaction moves by its own order."""
    kind = row.whole("contractType", 16)
    if not row.has("ownerAddress"):
        return []
    owner = row.address("ownerAddress", parse)
    cost = row.row("cost") if row.has("cost") else row
    fee = cost.optional("fee", 63) or 0
    moved = [place.move("fee", told.NATIVE, owner, None, fee)]
    if row.text("contractRet") in ("", "SUCCESS", "DEFAULT") and kind in _AMOUNTS:
        order = row.row("contractData")
        if order.has("owner_address") and order.address("owner_address", parse) != owner:
            raise DecodeError(f"{row.where}: ownerAddress is not the owner in contractData")
        if kind == _CREATE:
            made = order.row("new_contract") if order.has("new_contract") else order
            amount, to = made.optional("call_value", 63) or 0, created_contract(place.txid, owner)
        else:
            name, party = _AMOUNTS[kind]
            amount = order.optional(name, 63) or 0
            to = order.address(party, parse) if amount else owner
        asset = told.Asset(number=order.whole("asset_name", 63)) if kind == _TRANSFER_ASSET else told.NATIVE
        moved.append(place.move("value", asset, owner, to, amount))
    return [movement for movement in moved if movement.amount]


_AMOUNTS: Final = {
    _TRANSFER: ("amount", "to_address"),
    _TRANSFER_ASSET: ("amount", "to_address"),
    _PARTICIPATE: ("amount", "to_address"),
    _TRIGGER: ("call_value", "contract_address"),
    _CREATE: ("call_value", ""),
}


def _internal(row: Row, height: int, time: int, whom: bytes, _: bytes | None) -> Moved:
    place = tron.Place(row.digest("hash"), height, time)
    sender, recipient = row.address("from", parse), row.address("to", parse)
    tron.concerns(row, whom, sender, recipient)
    inner, token = row.text("internal_hash"), row.text("token_id") or "_"
    name = f"{place.txid.hex()} {inner} {token}" if inner else None
    amount = row.optional("call_value", 63) or 0
    if row.flag("rejected") or not amount or row.text("result") not in ("", "SUCCESS") or token != "_":  # noqa: S105
        return name, []
    return name, [place.move("internal", told.NATIVE, sender, recipient, amount)]


def _token(row: Row, height: int, time: int, whom: bytes, contract: bytes | None) -> Moved:
    place = tron.Place(row.digest("transaction_id"), height, time)
    sender, recipient = row.address("from_address", parse), row.address("to_address", parse)
    tron.concerns(row, whom, sender, recipient)
    asset = row.address("contract_address", parse)
    if contract not in (None, asset):
        raise DecodeError(f"{row.where}: it is of another token than was asked for")
    about = row.row("tokenInfo") if row.has("tokenInfo") else Row({}, row.where)
    name = f"{place.txid.hex()} {row.whole('event_index', 40)}" if row.has("event_index") else None
    standard = (row.text("contract_type") or about.text("tokenType")).lower()
    failed = any(row.text(result) not in ("", "SUCCESS") for result in ("contractRet", "finalResult"))
    if failed or standard not in ("", "trc20") or row.text("event_type") not in ("", "Transfer"):
        return name, []
    words = tron.said(about, "tokenName", "tokenAbbr", "tokenDecimal")
    return name, [place.move("token", told.Asset(asset), sender, recipient, row.whole("quant"), None, words)]


def _trc10(row: Row, height: int, time: int, whom: bytes, _: bytes | None) -> Moved:
    place = tron.Place(row.digest("transactionHash"), height, time)
    sender, recipient = row.address("transferFromAddress", parse), row.address("transferToAddress", parse)
    tron.concerns(row, whom, sender, recipient)
    about = row.row("tokenInfo") if row.has("tokenInfo") else Row({}, row.where)
    number = about.text("tokenId") or row.text("tokenName")
    if number == "_" or row.text("contractRet") not in ("", "SUCCESS"):
        return place.txid.hex(), []
    if not re.fullmatch(r"[1-9][0-9]{0,18}", number, re.ASCII):
        row.wrong("tokenName", "the number of a token")
    words = tron.said(about, "tokenName", "tokenAbbr", "tokenDecimal")
    asset = told.Asset(number=int(number))
    return place.txid.hex(), [place.move("value", asset, sender, recipient, row.whole("amount", 63), None, words)]


MOVES: Final = {"value": _value, "internal": _internal, "token": _token, "trc10": _trc10}
"""By class: what no other row has, None where rows have no names, and what was moved."""
