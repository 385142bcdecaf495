"""What explorers and nodes of TRON tell, made into movements and holdings: the part that is common to them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, cast

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.facts import BURNT_FEE, CONTRACT, FEE, FROM_NOBODY, INTERNAL, NATIVE, TO_NOBODY, Builder
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote.rows import Row, parsed, printable
from calibar.chains.remote.walks import Plan, Step, Walk, written
from calibar.chains.tron import contracts, infos, jsonfields, moves
from calibar.chains.tron.address import parse, to_base58, to_hex
from calibar.chains.tron.contracts import Contract, token_number
from calibar.chains.tron.hashes import created_contract
from calibar.errors import AddressError, DecodeError

NOBODY: Final = bytes(20)
TRANSACTION: Final = re.compile(r"/wallet/gettransactionbyid\?value=([0-9a-f]{64})")


def account(value: str, what: str) -> bytes:
    """An address in a request."""
    try:
        return parse(value)
    except AddressError:
        raise DecodeError(f"the request's {what} is no address") from None


def concerns(row: Row, whom: bytes, *parties: bytes | None) -> None:
    """Raise DecodeError for a row of another address than the one asked about."""
    if whom not in parties:
        raise DecodeError(f"{row.where}: it is of another address than was asked for")


def refused(answer: object) -> Refusal | None:
    """What a node says instead of an answer: java-tron puts its errors under `Error`, with HTTP status 200."""
    if not isinstance(answer, dict) or not (error := answer.get("Error") or answer.get("error")):
        return None
    return Refusal(f"the node refuses: {printable(error) or 'no reason'}")


def is_of(row: Row, whom: bytes) -> None:
    """Raise DecodeError for an account of another address than the one asked about."""
    if row.address("address", parse) != whom:
        raise DecodeError("the account is another than was asked for")


def holding(row: Row, whom: bytes, number: int | None) -> told.Holding:
    """What an account has of a TRC-10 token; of TRX without `number`."""
    if number is None:
        return told.Holding(whom, told.NATIVE, _coins(row))
    held = [one.whole("value", 63) for one in row.rows("assetV2", 100_000) if one.text("key") == str(number)]
    return told.Holding(whom, told.Asset(number=number), at_most_one(held))


def at_most_one(held: Sequence[int]) -> int:
    """What an account has of a token, 0 where it is not listed. Raises DecodeError where it is listed twice."""
    if len(held) > 1:
        raise DecodeError("the account: the token asked for is listed twice")
    return sum(held)


def _coins(row: Row) -> int:
    """Sun of an account, what is staked included: it stays its owner's."""
    total = 0
    for name in ("balance", "delegated_frozen_balance_for_bandwidth", "delegated_frozenV2_balance_for_bandwidth"):
        total += row.optional(name, 63) or 0
    for name, amount in (("frozen", "frozen_balance"), ("frozenV2", "amount"), ("unfrozenV2", "unfreeze_amount")):
        total += sum(one.optional(amount, 63) or 0 for one in row.rows(name, 1000))
    if row.has("tron_power"):
        total += row.row("tron_power").optional("frozen_balance", 63) or 0
    if row.has("account_resource"):
        resource = row.row("account_resource")
        for name in ("delegated_frozen_balance_for_energy", "delegated_frozenV2_balance_for_energy"):
            total += resource.optional(name, 63) or 0
        if resource.has("frozen_balance_for_energy"):
            total += resource.row("frozen_balance_for_energy").optional("frozen_balance", 63) or 0
    return total


@dataclass(frozen=True, slots=True)
class Place:
    """Where in the chain something was moved; `time` in seconds."""

    txid: bytes
    height: int | None
    time: int | None

    def move(
        self, kind: told.Kind, asset: told.Asset, sender: bytes | None, recipient: bytes | None, amount: int,
        position: int | None = None, said: told.Said | None = None,
    ) -> told.Movement:  # fmt: skip
        """A movement there; of a token the zero address is nobody."""
        if kind == "token":
            sender, recipient = (None if party == NOBODY else party for party in (sender, recipient))
        return told.Movement(
            kind, self.txid, asset, sender, recipient, amount, self.height, self.time, None, position, None, said
        )


def ordered(place: Place, contract: Contract, fee: int, succeeded: bool, withdrawn: int) -> list[told.Movement]:
    """What a transaction moves by its own order, without its calls and logs: its fee, coins, TRC-10 tokens."""
    owner, amounts = contract.owner, contract.amounts
    found = [place.move("fee", told.NATIVE, owner, None, fee)] if fee else []
    if not succeeded:
        return found
    to = contract.addresses.get("to_address")
    match contract.type:
        case "TransferContract" | "ParticipateAssetIssueContract":
            found.append(place.move("value", told.NATIVE, owner, to, amounts["amount"]))
        case "TransferAssetContract":
            if (number := token_number(contract.octets["asset_name"])) is not None:
                found.append(place.move("value", told.Asset(number=number), owner, to, amounts["amount"]))
        case "WithdrawBalanceContract":
            found.append(place.move("value", told.NATIVE, None, owner, withdrawn))
        case "CreateSmartContract" | "TriggerSmartContract":
            create = contract.type == "CreateSmartContract"
            to = created_contract(place.txid, owner) if create else contract.addresses["contract_address"]
            value = amounts["new_contract.call_value" if create else "call_value"]
            found.append(place.move("value", told.NATIVE, owner, to, value))
            if tokens := amounts["call_token_value"]:
                if amounts["token_id"] <= 0:
                    raise DecodeError(f"transaction {place.txid.hex()}: {tokens} units of a token without a number")
                found.append(place.move("value", told.Asset(number=amounts["token_id"]), owner, to, tokens))
    return [movement for movement in found if movement.amount]


def party(contract: Contract, txid: bytes) -> tuple[bytes | None, ...]:
    """Whom a transaction concerns by its own order."""
    made = created_contract(txid, contract.owner) if contract.type == "CreateSmartContract" else None
    return (*contract.addresses.values(), made)


def mentions(order: object, whom: bytes) -> bool:
    """Whether an address stands anywhere in an order, as its text: receivers of resources, of votes, of rights."""
    names = (to_base58(whom), to_hex(whom))
    waiting = [order]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            waiting.extend(value.values())
        elif isinstance(value, list):
            waiting.extend(value)
        elif isinstance(value, str) and (value in names or value.lower() == names[1]):
            return True
    return False


def of_class(rows: Sequence[told.Movement], what: told.Class) -> tuple[told.Movement, ...]:
    """Those that a class lists."""
    if what == "trc10":
        return tuple(row for row in rows if row.asset.number is not None)
    kinds = {"value": ("value", "fee"), "internal": ("internal",), "token": ("token",)}[what]
    return tuple(row for row in rows if row.kind in kinds and row.asset.number is None)


def concerning(rows: Sequence[told.Movement], whom: bytes) -> tuple[told.Movement, ...]:
    """Those that pay or are paid by an address."""
    return tuple(row for row in rows if whom in (row.sender, row.recipient))


def transaction_request(txid: bytes) -> str:
    """How a node is asked for a transaction."""
    return written("/wallet/gettransactionbyid", {"value": txid.hex()})


def transaction_plan(txid: bytes) -> Plan:
    """How a node is asked for a transaction and what became of it."""
    return Plan(transaction_walk(txid), of=told.TransactionQuestion(txid))


def asset_named(name: str) -> told.Asset:
    """An asset as it stands behind a request: `_` for sun, a TRC-10 number, a contract. Raises DecodeError."""
    if name == "_":
        return told.NATIVE
    if re.fullmatch(r"[1-9][0-9]{0,18}", name, re.ASCII):
        return told.Asset(number=int(name))
    return told.Asset(account(name, "asset"))


def transaction_walk(txid: bytes) -> Walk:
    """Ask a node for a transaction and what became of it."""
    sent = parsed((yield Step(transaction_request(txid))), "the transaction")
    if sent == {}:
        return Refusal("it does not know the transaction")
    if why := refused(sent):
        return why
    info = parsed((yield Step(written("/wallet/gettransactioninfobyid", {"value": txid.hex()}))), "its outcome")
    if info == {}:
        return Refusal("the transaction is in no block yet")
    return refused(info) or transaction(txid, sent, info)


def transaction(txid: bytes, sent: object, outcome: object) -> told.Transaction:
    """All that a transaction moved: a node's answers to its id. Its order is proven to be what the id names."""
    what = f"transaction {txid.hex()}"
    order, info = jsonfields.mapping(sent, what), jsonfields.mapping(outcome, f"{what}: info")
    if jsonfields.octets(order, "txID", what, 32) != txid:
        raise DecodeError(f"{what}: it is another than was asked for")
    raw = jsonfields.octets(order, "raw_data_hex", what)
    if hashlib.sha256(raw).digest() != txid:
        raise DecodeError(f"{what}: what it orders does not hash to its id")
    contract = contracts.from_raw(raw, what)
    results = jsonfields.listing(order, "ret", what, 1)
    result = jsonfields.word(jsonfields.mapping(results[0], what), "contractRet", what) if results else ""
    height = jsonfields.integer(info, "blockNumber", what)
    milliseconds = jsonfields.integer(info, "blockTimeStamp", what)
    read = infos.read([info], height, milliseconds, what).get(txid)
    if read is None:
        raise DecodeError(f"{what}: its info is of another transaction")
    builder = Builder()
    moves.add(builder, contract, txid, result, read, what)
    place = Place(txid, height, milliseconds // 1000)
    names = ("transfer_kind", "asset_kind", "asset", "sender", "recipient", "amount", "position")
    rows = []
    for values in zip(*(builder.columns[name] for name in names), strict=True):
        movement = _movement(place, *values)
        if movement.amount or movement.kind == "token":
            rows.append(movement)
    succeeded = builder.columns["tx_status"] == [1]
    return told.Transaction(txid, height, succeeded, tuple(rows))


def _movement(place: Place, *values: object) -> told.Movement:
    kind, asset_kind, asset, sender, recipient, amount, position = cast(
        tuple[int, int, bytes, bytes, bytes, int, int], values
    )
    name: told.Kind = "internal" if kind == INTERNAL else "fee" if kind in (FEE, BURNT_FEE) else "value"
    what = told.NATIVE if asset_kind == NATIVE else told.Asset(number=int.from_bytes(asset))
    if asset_kind == CONTRACT:
        name, what = "token", told.Asset(asset)
    giver, taker = None if kind in FROM_NOBODY else sender, None if kind in TO_NOBODY else recipient
    return place.move(name, what, giver, taker, amount, position if name in ("token", "internal") else None)


def said(row: Row, name: str, symbol: str, decimals: str) -> told.Said | None:
    """What a token is said to say of itself; None where nothing."""
    found = row.said(name, symbol, decimals)
    return found if found.name or found.symbol or found.decimals is not None else None
