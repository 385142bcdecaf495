"""What the logs of one transaction say of tokens: transfers in log order, and events.

A log is its contract's word: anyone may deploy a contract that logs transfers of others. That is kept as said, under
that contract as asset.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from calibar.chains.ethereum.receipts import Log
from calibar.chains.facts import (
    APPROVAL,
    BLACKLISTED,
    BURN,
    DESTROYED,
    MINT,
    NFT,
    SPENT_FOR,
    TOKEN,
    UNBLACKLISTED,
    ZERO,
)
from calibar.chains.topics import (
    APPROVE,
    DEPOSIT,
    DESTROY,
    ISSUE,
    LISTED,
    PAUSES,
    REDEEM,
    SWAPS,
    TRANSFER,
    WITHDRAWAL,
    topic,
)

SINGLE: Final = topic("TransferSingle(address,address,address,uint256,uint256)")
BATCH: Final = topic("TransferBatch(address,address,address,uint256[],uint256[])")
ISSUED: Final = {ISSUE: "issue", REDEEM: "redeem"}
WRAPPED: Final = {DEPOSIT: MINT, WITHDRAWAL: BURN}
WIPED: Final = frozenset((DESTROY, topic("DestroyedBlockedFunds(address,uint256)")))
OF_ACCOUNT: Final = {
    **LISTED,
    topic("Blacklisted(address)"): BLACKLISTED,
    topic("UnBlacklisted(address)"): UNBLACKLISTED,
    topic("BlockPlaced(address)"): BLACKLISTED,
    topic("BlockReleased(address)"): UNBLACKLISTED,
}

KITTIES: Final = bytes.fromhex("06012c8cf97bead5deae237070f9587f8e7a266d")
"""CryptoKitties: tokens that are no money, whose Transfer has no indexed fields."""

LARGEST_BATCH: Final = 10_000


class TokenTransfer(NamedTuple):
    """A token's transfer, of kind TOKEN, MINT, BURN or DESTROYED."""

    kind: int
    asset: bytes
    sender: bytes
    recipient: bytes
    amount: int
    position: int


class Event(NamedTuple):
    """An event, as facts have them."""

    kind: int
    contract: bytes
    a: bytes
    b: bytes
    amount: int
    position: int


@dataclass(frozen=True, slots=True)
class Context:
    """What else is known of the transaction."""

    sender: bytes = ZERO
    to: bytes | None = None
    input: bytes = b""
    native: frozenset[tuple[bytes, bytes, int]] | None = None
    """Movements of the chain's own coin in it: sender, recipient, amount; None where its trace is not known."""
    issuers: Mapping[tuple[bytes, str], bytes] = field(default_factory=dict)
    """Who called a contract's `issue` or `redeem`, where the trace tells."""


@dataclass(slots=True)
class Decoded:
    """Transfers and events in log order, and what could not be read."""

    transfers: list[TokenTransfer] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read(logs: Sequence[Log], context: Context) -> Decoded:
    """What the logs say.

    - `Transfer` from nobody mints, to nobody burns; with four topics it is of an NFT, which is an event.
    - `Deposit` and `Withdrawal` (wrapped coins) mint and burn unless a Transfer in the transaction already says so,
      or another movement shows that the contract keeps something else: a token of that amount that goes to it (comes
      from it), or, where the trace is known, no coin of that amount that does.
    - `DestroyedBlackFunds` takes the tokens from the account; a burning Transfer of the same amount is that taking.
    - `Issue` and `Redeem` do not name the holder: it is who called the contract, that is the transaction's sender
      where the transaction calls the contract itself, else who calls it by the trace; else it is not known, and said.
    """
    found = Decoded()
    sent = [_transfer(log, found) for log in logs]
    burns = {(t.asset, t.sender, t.amount) for t in sent if t and t.kind == BURN}
    mints = {(t.asset, t.recipient, t.amount) for t in sent if t and t.kind == MINT}
    wiped = {(log.contract, *_wiped(log)) for log in logs if log.topics and log.topics[0] in WIPED and _plain(log, 2)}
    spent = _spent_for(context)
    for log, transfer in zip(logs, sent, strict=True):
        if not log.topics:
            continue
        first = log.topics[0]
        if transfer is not None:
            destroyed = transfer.kind == BURN and (transfer.asset, transfer.sender, transfer.amount) in wiped
            found.transfers.append(transfer._replace(kind=DESTROYED) if destroyed else transfer)
            if spent is not None and (transfer.asset, transfer.sender, transfer.recipient) == spent:
                spent = None
                owner, amount = transfer.sender, transfer.amount
                found.events.append(Event(SPENT_FOR, log.contract, owner, context.sender, amount, log.index))
        elif first in WRAPPED:
            if wrapped := _wrapped(log, WRAPPED[first], mints, burns, sent, context):
                found.transfers.append(wrapped)
        elif first in WIPED:
            if _plain(log, 2):
                account, amount = _wiped(log)
                if (log.contract, account, amount) not in burns:
                    found.transfers.append(TokenTransfer(DESTROYED, log.contract, account, ZERO, amount, log.index))
        elif first in ISSUED:
            _issued(log, ISSUED[first], sent, context, found)
        elif event_of := _EVENTS.get(first):
            event_of(log, found.events)
    found.events.sort(key=lambda event: event.position)
    return found


def _transfer(log: Log, found: Decoded) -> TokenTransfer | None:
    if not log.topics or log.topics[0] != TRANSFER:
        return None
    if len(log.topics) == 4 and not log.data:
        found.events.append(
            Event(NFT, log.contract, log.topics[1][12:], log.topics[2][12:], int.from_bytes(log.topics[3]), log.index)
        )
        return None
    if len(log.topics) not in (1, 3) or not _plain(log, 3) or not _addresses(log, 2):
        found.notes.append(f"contract 0x{log.contract.hex()} logs Transfer in a form of its own, which is not read")
        return None
    sender, recipient, amount = (word for word in _words(log))
    number = int.from_bytes(amount)
    if log.contract == KITTIES:
        found.events.append(Event(NFT, log.contract, sender[12:], recipient[12:], number, log.index))
        return None
    kind = TOKEN
    if not any(sender):
        if not any(recipient):
            return None
        kind = MINT
    elif not any(recipient):
        kind = BURN
    return TokenTransfer(kind, log.contract, sender[12:], recipient[12:], number, log.index)


def _spent_for(context: Context) -> tuple[bytes, bytes, bytes] | None:
    """Contract, owner and recipient of a `transferFrom` that the transaction's sender calls for another."""
    data = context.input
    if context.to is None or len(data) < 100 or data[:4] != bytes.fromhex("23b872dd") or data[16:36] == context.sender:
        return None
    return context.to, data[16:36], data[48:68]


def _wrapped(
    log: Log, kind: int, mints: set[tuple[bytes, bytes, int]], burns: set[tuple[bytes, bytes, int]],
    sent: Sequence[TokenTransfer | None], context: Context,
) -> TokenTransfer | None:  # fmt: skip
    if len(log.topics) != 2 or not _plain(log, 2) or not _addresses(log, 1):
        return None
    account, amount = _words(log)[0][12:], int.from_bytes(log.data)
    if not any(account) or (log.contract, account, amount) in (mints if kind == MINT else burns):
        return None
    if kind == MINT:
        kept = any(t and t.asset != log.contract and t.recipient == log.contract and t.amount == amount for t in sent)
    else:
        kept = any(t and t.asset != log.contract and t.sender == log.contract and t.amount == amount for t in sent)
    if kept:
        return None
    if context.native is not None and amount:
        side = 1 if kind == MINT else 0
        if not any(move[side] == log.contract and move[2] == amount for move in context.native):
            return None
    if kind == MINT:
        return TokenTransfer(MINT, log.contract, ZERO, account, amount, log.index)
    return TokenTransfer(BURN, log.contract, account, ZERO, amount, log.index)


def _issued(log: Log, call: str, sent: Sequence[TokenTransfer | None], context: Context, found: Decoded) -> None:
    if not _plain(log, 1):
        return
    amount = int.from_bytes(_words(log)[0])
    kind = MINT if call == "issue" else BURN
    if any(t and t.kind == kind and t.asset == log.contract and t.amount == amount for t in sent):
        return
    owner = context.sender if context.to == log.contract else context.issuers.get((log.contract, call))
    if owner is None:
        found.notes.append(
            f"contract 0x{log.contract.hex()} logs {call.title()} where only a trace could tell the holder: not counted"
        )
    elif kind == MINT:
        found.transfers.append(TokenTransfer(MINT, log.contract, ZERO, owner, amount, log.index))
    else:
        found.transfers.append(TokenTransfer(BURN, log.contract, owner, ZERO, amount, log.index))


def _words(log: Log) -> list[bytes]:
    """The arguments, indexed or not: in the logs read here the indexed ones come first."""
    return [*log.topics[1:], *(log.data[at : at + 32] for at in range(0, len(log.data), 32))]


def _plain(log: Log, arguments: int) -> bool:
    return len(log.data) == 32 * (arguments - len(log.topics) + 1)


def _addresses(log: Log, count: int) -> bool:
    return not any(any(word[:12]) for word in _words(log)[:count])


def _wiped(log: Log) -> tuple[bytes, int]:
    account, amount = _words(log)
    return account[12:], int.from_bytes(amount)


def _approval(log: Log, events: list[Event]) -> None:
    if len(log.topics) in (1, 3) and _plain(log, 3) and _addresses(log, 2):
        owner, spender, amount = _words(log)
        events.append(
            Event(APPROVAL, log.contract, owner[12:], spender[12:], int.from_bytes(amount), log.index)
        )  # fmt: skip


def _of_account(kind: int) -> Callable[[Log, list[Event]], None]:
    def read_one(log: Log, events: list[Event]) -> None:
        if _plain(log, 1) and _addresses(log, 1):
            events.append(Event(kind, log.contract, _words(log)[0][12:], ZERO, 0, log.index))

    return read_one


def _of_contract(kind: int) -> Callable[[Log, list[Event]], None]:
    def read_one(log: Log, events: list[Event]) -> None:
        events.append(Event(kind, log.contract, ZERO, ZERO, 0, log.index))

    return read_one


def _swap(kind: int, size: int) -> Callable[[Log, list[Event]], None]:
    def read_one(log: Log, events: list[Event]) -> None:
        if len(log.topics) == 3 and len(log.data) == size and _addresses(log, 2):
            events.append(Event(kind, log.contract, log.topics[1][12:], log.topics[2][12:], 0, log.index))

    return read_one


def _single(log: Log, events: list[Event]) -> None:
    if len(log.topics) == 4 and len(log.data) == 64:
        token = int.from_bytes(log.data[:32])
        events.append(Event(NFT, log.contract, log.topics[2][12:], log.topics[3][12:], token, log.index))


def _batch(log: Log, events: list[Event]) -> None:
    if len(log.topics) != 4 or len(log.data) < 64:
        return
    start = int.from_bytes(log.data[:32])
    if start > len(log.data) - 32:
        return
    count = int.from_bytes(log.data[start : start + 32])
    if count > min(LARGEST_BATCH, (len(log.data) - start - 32) // 32):
        return
    for at in range(start + 32, start + 32 + 32 * count, 32):
        token = int.from_bytes(log.data[at : at + 32])
        events.append(Event(NFT, log.contract, log.topics[2][12:], log.topics[3][12:], token, log.index))


_EVENTS: Final[dict[bytes, Callable[[Log, list[Event]], None]]] = {
    APPROVE: _approval,
    SINGLE: _single,
    BATCH: _batch,
    **{first: _of_account(kind) for first, kind in OF_ACCOUNT.items()},
    **{first: _of_contract(kind) for first, kind in PAUSES.items()},
    **{first: _swap(kind, size) for first, (kind, size) in SWAPS.items()},
}
