"""The transfers of an address, as facts with their flags: nothing is left out, however small or misleading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from calibar.chains.facts import BURNT_FEE, FEE
from calibar.errors import AddressError, UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts.lookalikes import LookAlikes
from calibar.trail.accounts.naming import transfer_name
from calibar.trail.accounts.proof import proof_of
from calibar.trail.accounts.references import asset_asked

KINDS = (
    "value", "internal", "token", "fee", "burnt fee", "reward", "withdrawal", "mint", "burn", "destroyed by issuer",
    "in the beginning",
)  # fmt: skip
"""Words for the kinds of transfer of chains/facts.py."""
EVENTS = {1: "approval", 2: "spent for the owner", 3: "frozen by the issuer", 4: "released by the issuer"}
"""Words for the events that concern an account (chains/facts.py)."""


def transfers_of_address(
    snapshot: AccountSnapshot, address: str, asset: str | None = None, limit: int | None = None
) -> Iterator[dict[str, Any]]:
    """What an address sent and received, in chain order, and approvals and freezes of it; amounts in base units.

    Flags: `zero value`; `resembles ADDRESS`, where the recipient looks like another address that the payer deals with.
    Raises UsageError.
    """
    found = _known(snapshot, address)
    wanted = asset_asked(snapshot, asset)
    holdings = snapshot.holdings_of(found)
    if wanted is not None:
        holdings = holdings[snapshot["holdings.asset"][holdings] == wanted]
    rows = [snapshot.movements_of(holding) // 2 for holding in holdings.tolist()]
    transfers = np.unique(np.concatenate(rows)) if rows else np.empty(0, np.int64)
    alike = LookAlikes(snapshot)
    for transfer in transfers[: limit or transfers.size].tolist():
        yield _row(snapshot, transfer, alike)


def holdings_of_address(snapshot: AccountSnapshot, address: str, height: int | None) -> list[dict[str, Any]]:
    """What an address has of each asset after the block at a height; balances are decimal text. Raises UsageError."""
    rows = []
    for holding in snapshot.holdings_of(_known(snapshot, address)).tolist():
        asset = int(snapshot["holdings.asset"][holding])
        balance = snapshot.balance(holding, height)
        rows.append({"asset": snapshot.asset_name(asset), "balance": str(balance), **snapshot.naming(asset)})
    return rows


def _known(snapshot: AccountSnapshot, address: str) -> int:
    try:
        found = snapshot.find_address(snapshot.read_address(address))
    except AddressError as error:
        raise UsageError(str(error)) from None
    if found is None:
        raise UsageError(f"{address} is not in {snapshot.folder}; check it, or ingest on")
    return found


def _row(snapshot: AccountSnapshot, transfer: int, alike: LookAlikes) -> dict[str, Any]:
    block = snapshot.block_of_transfer(transfer)
    amount = int.from_bytes(snapshot["transfers.amount"].reshape(-1, 4)[transfer].tobytes(), "little")
    kind = int(snapshot["transfers.kind"][transfer])
    flags = ["zero value"] if amount == 0 else []
    if kind not in (FEE, BURNT_FEE) and (other := alike.of_recipient(transfer)):
        flags.append(f"resembles {other}")
    return {
        "transfer": transfer_name(snapshot, transfer),
        "height": snapshot.height_of(block),
        "time": snapshot.block_time(block),
        "kind": KINDS[kind],
        "asset": snapshot.asset_name(int(snapshot["transfers.asset"][transfer])),
        "from": _owner(snapshot, int(snapshot["transfers.sender"][transfer])),
        "to": _owner(snapshot, int(snapshot["transfers.recipient"][transfer])),
        "amount": str(amount),
        "proof": proof_of(snapshot, transfer, block),
        "flags": flags,
    }


def events_of_address(snapshot: AccountSnapshot, address: str) -> Iterator[dict[str, Any]]:
    """Approvals, spending by others, freezes and releases that concern an address, in chain order.

    Raises UsageError.
    """
    found = _known(snapshot, address)
    kinds, owners, others = snapshot["events.kind"], snapshot["events.a"], snapshot["events.b"]
    rows = np.flatnonzero(((owners == found) | (others == found)) & np.isin(kinds, list(EVENTS)))
    for row in rows.tolist():
        tx, amount = int(snapshot["events.tx"][row]), snapshot["events.amount"].reshape(-1, 4)[row].tobytes()
        contract, owner, other = (int(snapshot[f"events.{name}"][row]) for name in ("contract", "a", "b"))
        yield {
            "event": EVENTS[int(kinds[row])],
            "txid": snapshot.tx_hash(tx) if tx >= 0 else None,
            "asset": snapshot.address_name(contract) if contract >= 0 else None,
            "owner": snapshot.address_name(owner) if owner >= 0 else None,
            "other": snapshot.address_name(other) if other >= 0 else None,
            "amount": str(int.from_bytes(amount, "little")),
        }


def _owner(snapshot: AccountSnapshot, holding: int) -> str | None:
    return None if holding < 0 else snapshot.address_name(int(snapshot["holdings.address"][holding]))
