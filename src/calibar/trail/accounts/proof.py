"""What a transfer rests on: the block's hash alone, or a server's word."""

from __future__ import annotations

from typing import Final

from calibar.chains.facts import (
    CONTRACT,
    DESTROYED,
    PROVEN_HEADER,
    PROVEN_LOGS,
    PROVEN_TRANSACTIONS,
    SUCCEEDED,
    TOKEN,
    VALUE,
)
from calibar.ledger.accounts.snapshot import AccountSnapshot

_SHOWN_BY_ROOTS: Final = (VALUE, TOKEN, DESTROYED)
"""Kinds that a transaction with its receipt, or a log alone, says in full. Of fees a node says parts (a rollup's, the
blob price), of what is made and unmade whose it is; all else only a trace says."""


def proof_of(snapshot: AccountSnapshot, transfer: int, block: int) -> str:
    """`proven` where the transfer follows from the block's hash alone; else `reported`."""
    kind, tx = int(snapshot["transfers.kind"][transfer]), int(snapshot["transfers.tx"][transfer])
    needed = PROVEN_HEADER | PROVEN_TRANSACTIONS | PROVEN_LOGS  # whether a value moved is what the receipt says
    if kind not in _SHOWN_BY_ROOTS or tx < 0 or int(snapshot["blocks.proof"][block]) & needed != needed:
        return "reported"
    if kind == VALUE:
        return "proven" if int(snapshot["transactions.status"][tx]) == SUCCEEDED else "reported"
    asset = int(snapshot["assets.byte"].reshape(-1, 21)[int(snapshot["transfers.asset"][transfer]), 0])
    return "proven" if asset == CONTRACT else "reported"
