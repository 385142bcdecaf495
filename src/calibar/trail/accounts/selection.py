"""The transfers of some assets as the walk needs them, and whose history is not whole."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import BURN, BURNT_FEE, CREATED, DESTROYED, FEE, GRANT, HAS_INTERNAL, NATIVE
from calibar.errors import UsageError
from calibar.kernels import transfers as kernels
from calibar.kernels.transfers import Conversions, Flows
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts.conversions import Conversion
from calibar.trail.accounts.references import untraceable

I64 = NDArray[np.int64]
_ROLES = {FEE: kernels.FEE, BURNT_FEE: kernels.FEE, BURN: kernels.BURN, DESTROYED: kernels.BURN}


@dataclass(frozen=True, slots=True)
class Selection:
    """The transfers of the assets of interest, as the walk needs them."""

    rows: I64
    """Transfers, in chain order but for what a conversion gives, which is walked before what it receives."""
    holdings: I64
    """By holder of the walk."""
    flows: Flows
    conversions: Conversions
    groups: list[Conversion]
    assets: list[int]


def select(
    snapshot: AccountSnapshot, assets: set[int], limit: int, found: list[Conversion], *, backward: bool = False
) -> Selection:
    """The transfers of `assets` below `limit` for the walk. Raises UsageError for amounts that no honest token has.

    Conversions that give one of the assets are marked, backward those that received one too.
    """
    wanted = np.zeros(snapshot.counts["assets"], np.bool_)
    wanted[list(assets)] = True
    groups = [c for c in found if c.given_asset in assets or (backward and c.received_asset in assets)]
    rows = _given_first(np.flatnonzero(wanted[snapshot["transfers.asset"][:limit]]), groups)
    for asset in sorted(assets):
        if untraceable(snapshot, asset, limit):
            raise UsageError(
                f"the asset {snapshot.asset_name(asset)} has transfers of 2^126 base units and more, which no honest "
                "token has: it is not traced"
            )
    amounts = np.ascontiguousarray(snapshot["transfers.amount"].reshape(-1, 4)[rows], np.uint64)
    sender, recipient = snapshot["transfers.sender"][rows], snapshot["transfers.recipient"][rows]
    touched = np.zeros(snapshot.counts["holdings"], np.bool_)
    touched[sender[sender >= 0]] = True
    touched[recipient[recipient >= 0]] = True
    holdings = np.flatnonzero(touched)
    number = np.cumsum(touched) - 1
    kinds = snapshot["transfers.kind"][rows]
    role = np.full(rows.size, kernels.MOVE, np.int64)
    for kind, value in _ROLES.items():
        role[kinds == kind] = value
    tx = snapshot["transfers.tx"][rows]
    changes = np.diff(tx, prepend=-2) != 0
    given, received = np.full(rows.size, -1, np.int64), np.full(rows.size, -1, np.int64)
    for column, side in ((given, "given"), (received, "received")):
        for group, conversion in enumerate(groups):
            there = [row for row in getattr(conversion, side) if wanted[snapshot["transfers.asset"][row]]]
            if there:
                column[places(rows, np.array(there))] = group
    return Selection(
        rows=rows,
        holdings=holdings,
        flows=Flows(
            sender=np.where(sender >= 0, number[sender], -1),
            recipient=np.where(recipient >= 0, number[recipient], -1),
            amount=np.ascontiguousarray(amounts[:, :2]),
            role=role,
            step=np.cumsum(changes | (tx < 0)).astype(np.int64),
            holder_rule=np.full(holdings.size, -1, np.int64),
            known=_known(snapshot, rows, holdings, limit),
        ),
        conversions=Conversions(given, received),
        groups=groups,
        assets=sorted(assets),
    )


def _given_first(rows: I64, groups: Sequence[Conversion]) -> I64:
    """Transfers in chain order, but what a conversion receives after the last that it gives.

    A transaction's internal transfers stand before those of its logs, so ether comes before the token it is paid with.
    """
    after, late = rows.copy(), np.zeros(rows.size, np.bool_)
    for conversion in groups:
        last = max(conversion.given)
        moved = np.array([row for row in conversion.received if row < last], np.int64)
        early = np.searchsorted(rows, moved)
        early = early[(early < rows.size) & (rows[np.minimum(early, rows.size - 1)] == moved)]
        after[early], late[early] = last, True
    return rows[np.lexsort((late, after))] if late.any() else rows


def places(rows: I64, transfers: NDArray[np.int64]) -> I64:
    """Where transfers stand in `rows`."""
    order = np.argsort(rows, kind="stable")
    return np.asarray(order[np.searchsorted(rows, transfers, sorter=order)], np.int64)


def _known(snapshot: AccountSnapshot, rows: I64, holdings: I64, limit: int) -> I64:
    """By holder: how many of the rows come before the first that its history may lack."""
    known = snapshot.known_transfers(holdings)
    if known is None:
        return np.where(_incomplete(snapshot, holdings, limit), 0, rows.size)
    return np.searchsorted(np.sort(rows), known).astype(np.int64)


def _incomplete(snapshot: AccountSnapshot, holdings: I64, limit: int) -> NDArray[np.bool_]:
    """Holders whose history a chain's whole blocks cannot have whole.

    On an island all, but of a token whose contract was made on it. Of the chain's own coin all, where the transfers
    inside calls were not reported, or who had what before block 0 is not known.
    """
    asset = snapshot["holdings.asset"][holdings]
    kinds = snapshot["assets.byte"].reshape(-1, 21)[:, 0]
    bad = np.full(snapshot.counts["assets"], snapshot.manifest.island)
    if snapshot.manifest.island:
        made = snapshot["events.a"][snapshot["events.kind"] == CREATED]
        contracts = {snapshot.address_bytes(address) for address in made.tolist() if address >= 0}
        for row in np.unique(asset).tolist():
            if bytes(snapshot["assets.byte"][row])[1:] in contracts:
                bad[row] = False
    blocks = int(np.searchsorted(snapshot["blocks.first_transfer"], limit, "left"))
    inside = (snapshot["blocks.proof"][1:blocks] & HAS_INTERNAL != 0).all()
    begun = snapshot.chain.startswith("tron:") or (snapshot["transfers.kind"][:limit] == GRANT).any()
    if not (inside and begun):
        bad[kinds == NATIVE] = True
    return np.asarray(bad[asset], np.bool_)
