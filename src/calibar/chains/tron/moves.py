"""What a transaction moves, as transfers and events in their order.

Fees. TRX paid as a fee is a BURNT_FEE: since proposal 49 (`getAllowOptimizeBlackHole`) it is burnt; before, java-tron
credited it to the account TLsV52sRDL79HXGGm9yzwKibb6BeruhUzy, the black hole, whose key nobody has. A transaction does
not say which of the two applied when it ran, and either way the TRX is with nobody. Where a part (`packingFee`) goes to
the block producers' pool, they are paid by rewards, which come from nobody when withdrawn, so it is not counted twice.

Stake. Frozen TRX stays its owner's: freezing, unfreezing, delegating and withdrawing expired stake move nothing. Votes
and block production earn an allowance, which no transaction shows; withdrawing it is a REWARD from nobody.
"""

from __future__ import annotations

from typing import Final

from calibar.chains.facts import (
    BURN,
    BURNT_FEE,
    CREATED,
    FAILED,
    GRANT,
    INTERNAL,
    MINT,
    NATIVE,
    REWARD,
    SELF_DESTRUCTED,
    SPENT_FOR,
    SUCCEEDED,
    TRC10,
    VALUE,
    ZERO,
    Builder,
    Naming,
)
from calibar.chains.topics import TRANSFER
from calibar.chains.tron import logs
from calibar.chains.tron.contracts import RUN_CODE, Contract, token_asset, token_number
from calibar.chains.tron.hashes import created_contract
from calibar.chains.tron.infos import Info, Internal
from calibar.chains.tron.jsonfields import said
from calibar.errors import ChainError

NOT_READ: Final = {
    "ExchangeCreateContract": "puts tokens into a TRC-10 exchange",
    "ExchangeInjectContract": "puts tokens into a TRC-10 exchange",
    "ExchangeWithdrawContract": "takes tokens out of a TRC-10 exchange",
    "ExchangeTransactionContract": "trades on a TRC-10 exchange",
    "MarketSellAssetContract": "puts tokens into the TRC-10 market and may trade",
    "MarketCancelOrderContract": "takes tokens out of the TRC-10 market",
    "ShieldedTransferContract": "moves tokens into, within or out of a shielded pool",
}
"""Contracts that move value between an account and no account; noted, never guessed."""

_TRANSFER_FROM: Final = bytes.fromhex("23b872dd")


def grant(builder: Builder, contract: Contract, id_: bytes, what: str) -> None:
    """A transaction of the first block: what an account begins with. One below zero (the black hole's) is noted."""
    to = contract.addresses.get("to_address", ZERO)
    amount = contract.amounts.get("amount", 0)
    row = builder.transaction(id_, SUCCEEDED, ZERO, to, ZERO, 0)
    if contract.type != "TransferContract":
        builder.notes.append(f"{what}: a {contract.type} in the first block is not read")
    elif amount < 0:
        builder.notes.append(f"{what}: 41{to.hex()} begins with {amount} sun, below zero, and is taken to begin with 0")
    elif amount:
        builder.transfer(row, GRANT, NATIVE, ZERO, ZERO, to, amount)


def add(builder: Builder, contract: Contract, id_: bytes, result: str, info: Info, what: str) -> None:
    """Add a transaction. `result` is its `contractRet`, empty where the block does not give it.

    Raises ChainError where result and info contradict each other.
    """
    succeeded = _succeeded(result, info, what)
    owner = contract.owner
    row = builder.transaction(
        id_, SUCCEEDED if succeeded else FAILED, owner, _recipient(contract, id_, info, what), owner, info.fee
    )
    if info.fee:
        builder.transfer(row, BURNT_FEE, NATIVE, ZERO, owner, ZERO, info.fee)
    if not succeeded:
        if info.logs or info.internals:
            builder.notes.append(f"{what}: it failed; the logs that the source gives with it are not read")
        return
    _value(builder, row, contract, info, what)
    for internal in info.internals:
        _internal(builder, row, internal, what)
    issuers = _callers(contract, info)
    logs.add(builder, row, info.logs, issuers, what)
    _events(builder, row, contract, id_, info)


def _succeeded(result: str, info: Info, what: str) -> bool:
    said_by = [(name, value) for name, value in (("the block", result), ("the receipt", info.result)) if value]
    if len(said_by) == 2 and result != info.result:
        raise ChainError(f"{what}: contractRet {said(result)}, but the receipt says {said(info.result)}")
    outcome = said_by[0][1] if said_by else "FAILED" if info.failed else "SUCCESS"
    succeeded = outcome in ("SUCCESS", "DEFAULT")
    if said_by and succeeded and info.failed:
        raise ChainError(f"{what}: {said_by[0][0]} says {outcome}, but its info says FAILED")
    return succeeded


def _recipient(contract: Contract, id_: bytes, info: Info, what: str) -> bytes:
    stated: bytes | None = None
    if contract.type == "CreateSmartContract":
        stated = created_contract(id_, contract.owner)
    elif contract.type == "TriggerSmartContract":
        stated = contract.addresses.get("contract_address", ZERO)
    if stated is not None:
        if info.contract is not None and info.contract != stated:
            raise ChainError(f"{what}: its contract is 41{stated.hex()}, its info says 41{info.contract.hex()}")
        return stated
    return contract.addresses.get("to_address", contract.addresses.get("account_address", ZERO))


def _value(builder: Builder, row: int, contract: Contract, info: Info, what: str) -> None:
    owner, amounts = contract.owner, contract.amounts
    to = contract.addresses.get("to_address", ZERO)
    match contract.type:
        case "TransferContract":
            builder.transfer(row, VALUE, NATIVE, ZERO, owner, to, amounts["amount"])
        case "TransferAssetContract":
            number = token_number(contract.octets["asset_name"])
            if number is None:
                name = said(contract.octets["asset_name"][:40].decode("utf-8", "replace"))
                builder.notes.append(
                    f"{what}: moves {amounts['amount']} of a TRC-10 token by its name, {name!r}; not read"
                )
            else:
                builder.transfer(row, VALUE, TRC10, token_asset(number), owner, to, amounts["amount"])
        case "ParticipateAssetIssueContract":
            builder.transfer(row, VALUE, NATIVE, ZERO, owner, to, amounts["amount"])
            builder.notes.append(
                f"{what}: buys a TRC-10 token at a price that only its issue says; its tokens are not read"
            )
        case "AssetIssueContract":
            if info.issued is None:
                builder.notes.append(f"{what}: issues a TRC-10 token whose number the source does not give; not read")
            else:
                asset = token_asset(info.issued)
                builder.transfer(row, MINT, TRC10, asset, ZERO, owner, amounts["total_supply"])
                name, symbol = (contract.octets[key].decode("utf-8", "replace") for key in ("name", "abbr"))
                builder.namings.append(Naming(TRC10, asset, name, symbol, amounts["precision"]))
        case "WithdrawBalanceContract":
            if info.withdrawn:
                builder.transfer(row, REWARD, NATIVE, ZERO, ZERO, owner, info.withdrawn)
            else:
                builder.notes.append(f"{what}: withdraws a reward that the source does not state; not read")
        case "TriggerSmartContract" | "CreateSmartContract":
            _call_value(builder, row, contract, info.id, what)
        case name if name in NOT_READ:
            builder.notes.append(f"{what}: {name} {NOT_READ[name]}; not read")
        case _ if not contract.known:
            builder.notes.append(f"{what}: {contract.type} is not known; if it moves value, that is not read")


def _call_value(builder: Builder, row: int, contract: Contract, id_: bytes, what: str) -> None:
    create = contract.type == "CreateSmartContract"
    to = created_contract(id_, contract.owner) if create else contract.addresses.get("contract_address", ZERO)
    amounts = contract.amounts
    if amount := amounts["new_contract.call_value" if create else "call_value"]:
        builder.transfer(row, VALUE, NATIVE, ZERO, contract.owner, to, amount)
    if amount := amounts["call_token_value"]:
        if amounts["token_id"] <= 0:
            raise ChainError(f"{what}: {amount} units of a token without a number")
        builder.transfer(row, VALUE, TRC10, token_asset(amounts["token_id"]), contract.owner, to, amount)


def _internal(builder: Builder, row: int, internal: Internal, what: str) -> None:
    caller, recipient, position = internal.caller, internal.recipient, internal.position
    if internal.staking:
        return
    for token, amount in internal.values:
        kind, asset = (NATIVE, ZERO) if token is None else (TRC10, token_asset(token))
        if internal.note == "withdrawReward":
            builder.transfer(row, REWARD, kind, asset, ZERO, caller, amount, position)
        elif internal.note == "suicide" and caller == recipient:
            builder.transfer(row, BURN, kind, asset, caller, ZERO, amount, position)
        else:
            builder.transfer(row, INTERNAL, kind, asset, caller, recipient, amount, position)


def _callers(contract: Contract, info: Info) -> dict[bytes, bytes]:
    """Who called each contract, where it was one caller only."""
    callers: dict[bytes, set[bytes]] = {}
    if called := contract.addresses.get("contract_address"):
        callers[called] = {contract.owner}
    for internal in info.internals:
        callers.setdefault(internal.recipient, set()).add(internal.caller)
    return {called: next(iter(by)) for called, by in callers.items() if len(by) == 1}


def _events(builder: Builder, row: int, contract: Contract, id_: bytes, info: Info) -> None:
    if contract.type == "CreateSmartContract":
        created = created_contract(id_, contract.owner)
        builder.event(row, CREATED, created, created, contract.owner, 0, 0)
    for internal in info.internals:
        if internal.note == "create":
            builder.event(row, CREATED, internal.recipient, internal.recipient, internal.caller, 0, internal.position)
        elif internal.note == "suicide":
            builder.event(
                row, SELF_DESTRUCTED, internal.caller, internal.caller, internal.recipient, 0, internal.position
            )
    _spent_for(builder, row, contract, info)


def _spent_for(builder: Builder, row: int, contract: Contract, info: Info) -> None:
    """A `transferFrom` that the signer himself called, with the Transfer that it made."""
    data = contract.octets.get("data", b"")
    if contract.type not in RUN_CODE or len(data) < 100 or data[:4] != _TRANSFER_FROM:
        return
    owner, recipient, amount = data[16:36], data[48:68], data[68:100]
    if owner == contract.owner:
        return
    expected = (TRANSFER, owner, recipient)
    for position, log in enumerate(info.logs):
        if log.contract != contract.addresses.get("contract_address") or log.data != amount or len(log.topics) != 3:
            continue
        if (log.topics[0], log.topics[1][12:], log.topics[2][12:]) == expected:
            builder.event(row, SPENT_FOR, log.contract, owner, contract.owner, int.from_bytes(amount), position)
            return
