"""TRC-20 tokens in logs: transfers, issue and destruction, approvals, blacklists, pauses, swaps.

Sources: ERC-20 and ERC-721; TetherToken as deployed at TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t; WTRX
(TNUC9Qb1rRpS5CbWLmNMxXBjyFoydXjWFR), which is minted and burnt by Deposit and Withdrawal without a Transfer. Anybody
can emit any log: one that only looks like these is passed over, with a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from calibar.chains.facts import (
    APPROVAL,
    BURN,
    CONTRACT,
    DESTROYED,
    MINT,
    NFT,
    TOKEN,
    ZERO,
    Builder,
)
from calibar.chains.topics import APPROVE, DEPOSIT, DESTROY, ISSUE, LISTED, PAUSES, REDEEM, SWAPS, TRANSFER, WITHDRAWAL
from calibar.chains.tron.address import to_base58
from calibar.chains.tron.infos import Log

WTRX: Final = bytes.fromhex("891cdb91d149f23b1a45d9c5ca78a88d0cb44c18")


@dataclass(frozen=True, slots=True)
class _Beside:
    """What a transaction's logs say twice: by contract, account and amount, or by contract and amount."""

    destroyed: frozenset[tuple[bytes, bytes, bytes]]
    burnt: frozenset[tuple[bytes, bytes, bytes]]
    minted: frozenset[tuple[bytes, bytes]]
    redeemed: frozenset[tuple[bytes, bytes]]


def _beside(logs: Sequence[Log]) -> _Beside:
    destroyed, transfers = set(), []
    for log in logs:
        first = log.topics[0] if log.topics else b""
        account, amount = _one_account(log)
        if first == DESTROY and account is not None:
            destroyed.add((log.contract, account, amount))
        elif first == TRANSFER and len(log.topics) == 3:
            transfers.append((log.contract, *_parties(log), log.data))
    return _Beside(
        frozenset(destroyed),
        frozenset((contract, a, data) for contract, a, b, data in transfers if a is not None and b == ZERO),
        frozenset((contract, data) for contract, a, _, data in transfers if a == ZERO),
        frozenset((contract, data) for contract, _, b, data in transfers if b == ZERO),
    )


def add(builder: Builder, row: int, logs: Sequence[Log], issuers: dict[bytes, bytes], what: str) -> None:
    """Add what the logs of the transaction in `row` say; `issuers` are who called each contract, where known.

    Tether's Issue and Redeem name no account: they are the owner's, who alone may call them. Where a Transfer from or
    to nobody of the same amount stands beside one of these, or beside a destruction, the Transfer counts.
    """
    beside = _beside(logs)
    for position, log in enumerate(logs):
        first = log.topics[0] if log.topics else b""
        if first == TRANSFER:
            _transfer(builder, row, log, position, beside)
        elif first == APPROVE:
            if len(log.topics) == 3 and len(log.data) == 32 and None not in (parties := _parties(log)):
                amount = int.from_bytes(log.data)
                builder.event(row, APPROVAL, log.contract, parties[0] or ZERO, parties[1] or ZERO, amount, position)
        elif first in (ISSUE, REDEEM):
            _issue(builder, row, log, position, issuers, beside, what)
        elif first == DESTROY or (first in (DEPOSIT, WITHDRAWAL) and log.contract == WTRX):
            _account_and_amount(builder, row, log, position, beside)
        elif first in LISTED:
            account = _address((log.topics[1] if len(log.topics) == 2 else log.data)[:32])
            if account is None:
                _pass_over(builder, "blacklist entry", log)
            else:
                builder.event(row, LISTED[first], log.contract, account, ZERO, 0, position)
        elif first in PAUSES:
            builder.event(row, PAUSES[first], log.contract, ZERO, ZERO, 0, position)
        elif first in SWAPS and len(log.topics) == 3 and len(log.data) == SWAPS[first][1]:
            a, b = _parties(log)
            if a is not None and b is not None:
                builder.event(row, SWAPS[first][0], log.contract, a, b, 0, position)


def _transfer(builder: Builder, row: int, log: Log, position: int, beside: _Beside) -> None:
    parties = _parties(log) if len(log.topics) in (3, 4) else (None, None)
    sender, recipient = parties
    if sender is None or recipient is None or len(log.data) != (32 if len(log.topics) == 3 else 0):
        _pass_over(builder, "Transfer", log)
    elif len(log.topics) == 4:
        builder.event(row, NFT, log.contract, sender, recipient, int.from_bytes(log.topics[3]), position)
    else:
        kind = MINT if sender == ZERO else BURN if recipient == ZERO else TOKEN
        if kind == BURN and (log.contract, sender, log.data) in beside.destroyed:
            kind = DESTROYED
        amount = int.from_bytes(log.data)
        builder.transfer(row, kind, CONTRACT, log.contract, sender, recipient, amount, position)


def _issue(
    builder: Builder, row: int, log: Log, position: int, issuers: dict[bytes, bytes], beside: _Beside, what: str
) -> None:
    if len(log.topics) != 1 or len(log.data) != 32:
        return
    minted = log.topics[0] == ISSUE
    if (log.contract, log.data) in (beside.minted if minted else beside.redeemed):
        return
    amount = int.from_bytes(log.data)
    if (owner := issuers.get(log.contract)) is None:
        name = "Issue" if minted else "Redeem"
        builder.notes.append(f"{what}: log {position}: {name} of {amount} by a caller that the source does not give")
    elif minted:
        builder.transfer(row, MINT, CONTRACT, log.contract, ZERO, owner, amount, position)
    else:
        builder.transfer(row, BURN, CONTRACT, log.contract, owner, ZERO, amount, position)


def _account_and_amount(builder: Builder, row: int, log: Log, position: int, beside: _Beside) -> None:
    account, data = _one_account(log)
    if account is None:
        _pass_over(builder, "destruction or wrapping", log)
        return
    amount = int.from_bytes(data)
    if log.topics[0] == DEPOSIT:
        builder.transfer(row, MINT, CONTRACT, log.contract, ZERO, account, amount, position)
    elif log.topics[0] == WITHDRAWAL:
        builder.transfer(row, BURN, CONTRACT, log.contract, account, ZERO, amount, position)
    elif (log.contract, account, data) not in beside.burnt:
        builder.transfer(row, DESTROYED, CONTRACT, log.contract, account, ZERO, amount, position)


def _one_account(log: Log) -> tuple[bytes | None, bytes]:
    """The account and the amount's 32 bytes of a log that has these two, indexed or not."""
    words = [*log.topics[1:], *(log.data[at : at + 32] for at in range(0, len(log.data), 32))]
    if len(words) != 2 or len(words[1]) != 32:
        return None, b""
    return _address(words[0]), words[1]


def _pass_over(builder: Builder, name: str, log: Log) -> None:
    """One note a contract: tokens that do so do it in every transaction."""
    contract = to_base58(log.contract)
    builder.notes.append(f"contract {contract}: logs with the signature of a {name} but not its form are not read")


def _parties(log: Log) -> tuple[bytes | None, bytes | None]:
    return _address(log.topics[1]), _address(log.topics[2])


def _address(word: bytes) -> bytes | None:
    """An address in a 32-byte word, with TRON's 0x41 before it or without; None for anything else."""
    if len(word) == 32 and word[:12] in (bytes(12), bytes(11) + b"\x41"):
        return word[12:]
    return None
