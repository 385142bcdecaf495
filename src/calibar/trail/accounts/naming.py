"""How people name a transfer: `hash:index`.

The index is the log's as the chain counts it (`hash:12`), or `value`, `internal-N` (its place in the trace), `fee`,
`burnt-fee`, and for the few others that no log says their kind (`burn-N`, `reward-N`, `mint-N`); a TRC-10 token's ends
in `-trc10`. Where a case does not know a log's index, it counts: `unknown-1`. What belongs to no transaction is
`block-HEIGHT:N`, its place in the block.
"""

from __future__ import annotations

import re
from typing import Final

import numpy as np

from calibar.chains.facts import (
    BURN,
    BURNT_FEE,
    CONTRACT,
    FEE,
    GRANT,
    INTERNAL,
    MINT,
    REWARD,
    TRC10,
    VALUE,
    WITHDRAWAL,
)
from calibar.errors import UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot

_PLACES: Final = {VALUE: "value", FEE: "fee", BURNT_FEE: "burnt-fee"}
_WORDS: Final = {
    INTERNAL: "internal",
    REWARD: "reward",
    WITHDRAWAL: "withdrawal",
    MINT: "mint",
    BURN: "burn",
    GRANT: "grant",
}
_HASH = re.compile(r"(?:0x)?[0-9a-fA-F]{64}")


def transfer_name(snapshot: AccountSnapshot, transfer: int) -> str:
    """`hash:index` of a transfer."""
    tx = int(snapshot["transfers.tx"][transfer])
    if tx < 0:
        block = snapshot.block_of_transfer(transfer)
        return f"block-{snapshot.height_of(block)}:{transfer - int(snapshot['blocks.first_transfer'][block])}"
    kind, position = int(snapshot["transfers.kind"][transfer]), int(snapshot["transfers.position"][transfer])
    asset = int(snapshot["assets.byte"].reshape(-1, 21)[int(snapshot["transfers.asset"][transfer]), 0])
    number = str(position) if position >= 0 else f"unknown-{-position}"
    place = _PLACES.get(kind) or (number if asset == CONTRACT else f"{_WORDS.get(kind, 'other')}-{number}")
    return f"{snapshot.tx_hash(tx)}:{place}{'-trc10' if asset == TRC10 else ''}"


def transfers_of(snapshot: AccountSnapshot, tx: int) -> list[int]:
    """All transfers of a transaction, in order."""
    block = int(np.searchsorted(snapshot["blocks.first_tx"], tx, "right")) - 1
    first, end = (int(row) for row in snapshot["blocks.first_transfer"][block : block + 2])
    return (first + np.flatnonzero(snapshot["transfers.tx"][first:end] == tx)).tolist()


def is_hash(text: str) -> bool:
    """Whether a text has the form of a transaction's hash."""
    return _HASH.fullmatch(text) is not None


def find_transfers(snapshot: AccountSnapshot, name: str) -> list[int]:
    """The transfers that `hash` or `hash:index` names. Raises UsageError where there is none."""
    digest, colon, place = name.partition(":")
    found = transfers_of(snapshot, snapshot.find_transaction(digest))
    if not colon:
        return found
    named = [transfer for transfer in found if transfer_name(snapshot, transfer).partition(":")[2] == place]
    if not named:
        known = ", ".join(transfer_name(snapshot, transfer).partition(":")[2] for transfer in found[:20]) or "none"
        raise UsageError(f"{digest} has no transfer {place[:20]!r}; it has {known}")
    return named
