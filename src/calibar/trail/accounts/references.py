"""What is stolen on an account chain: a transfer, a transaction, an address; all of it or `=AMOUNT` of it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import BURNT_FEE, FEE, integers
from calibar.errors import AddressError, UsageError
from calibar.ledger.accounts.schema import NOBODY
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts.naming import find_transfers, is_hash

_TOO_MUCH = 1 << 126
_AMOUNT = re.compile(r"[0-9]{1,78}")
FORMS = "a REF is hash:index of a transfer, a transaction's hash or an address, with =AMOUNT in base units for a part"


@dataclass(frozen=True, slots=True)
class Reference:
    """A REF resolved to transfers, in chain order; what is labelled is what their recipients receive."""

    text: str
    transfers: NDArray[np.int64]
    amount: int | None
    """Base units to label; None: all of it."""
    left_out: tuple[str, ...] = ()
    """Assets that an address received too, and that are not traced: their amounts are none that an honest token has."""


def left_out(references: Sequence[Reference]) -> dict[str, Any]:
    """What a trail's document says of assets that REFs received and that are not traced."""
    names = sorted({name for reference in references for name in reference.left_out})
    return {"left_out": names} if names else {}


def untraceable(snapshot: AccountSnapshot, asset: int, limit: int) -> bool:
    """Whether an asset has transfers of 2^126 base units and more, which no honest token has."""
    rows = np.flatnonzero(snapshot["transfers.asset"][:limit] == asset)
    amounts = snapshot["transfers.amount"].reshape(-1, 4)[rows]
    return bool((amounts[:, 2:].any(axis=1) | (amounts[:, 1] >> np.uint64(62) != 0)).any())


def asset_asked(snapshot: AccountSnapshot, name: str | None) -> int | None:
    """Id of the asset that a policy names; None for any. Raises UsageError where the ledger never saw it."""
    if name is None:
        return None
    try:
        asset = snapshot.find_asset(name)
    except AddressError as error:
        raise UsageError(f"{error}; an asset is native, a contract or trc10:<number>") from None
    if asset is None:
        raise UsageError(f"nothing of the asset {name} moves in {snapshot.folder}; name its contract")
    return asset


def resolve(text: str, snapshot: AccountSnapshot, limit: int, asset: int | None) -> Reference:
    """Find a REF's transfers below `limit`, of one asset where that is given. Raises UsageError with what to do."""
    name, equals, amount_text = text.partition("=")
    amount: int | None = None
    if equals:
        if not _AMOUNT.fullmatch(amount_text) or int(amount_text) == 0:
            raise UsageError(f"{name}: {amount_text[:40]!r} is no amount; give whole base units after `=`")
        amount = int(amount_text)
    digest = name.partition(":")[0]
    found = np.array(find_transfers(snapshot, name), np.int64) if is_hash(digest) else _received(name, snapshot)
    if is_hash(digest) and ":" not in name:  # a transaction's payments, not what it cost
        found = found[~np.isin(snapshot["transfers.kind"][found], (FEE, BURNT_FEE))]
    early = found[found < limit]
    if found.size and not early.size:
        raise UsageError(f"{name} is later than the as-of height; raise --as-of, or leave it out")
    early = early[snapshot["transfers.recipient"][early] != NOBODY]
    odd: list[int] = []
    if asset is not None:
        early = early[snapshot["transfers.asset"][early] == asset]
    elif not is_hash(digest):  # anybody can send a token to an address
        of = snapshot["transfers.asset"][early]
        amounts = snapshot["transfers.amount"].reshape(-1, 4)[early]
        odd = [
            one
            for one in np.unique(of).tolist()
            if untraceable(snapshot, one, limit) or sum(integers(amounts[of == one])) >= _TOO_MUCH
        ]
        if (traceable := ~np.isin(of, odd)).any():
            early = early[traceable]
        else:
            odd = []
    if not early.size:
        what = "nobody that asset" if asset is not None else "nobody"
        raise UsageError(f"{name} pays {what} in {snapshot.folder}; {FORMS}")
    if amount is not None:
        _check_amount(name, amount, early, snapshot)
    return Reference(text, early, amount, tuple(sorted(map(snapshot.asset_name, odd))))


def _received(name: str, snapshot: AccountSnapshot) -> NDArray[np.int64]:
    try:
        data = snapshot.read_address(name)
    except AddressError as error:
        raise UsageError(f"{error}; {FORMS}") from None
    address = snapshot.find_address(data)
    holdings = snapshot.holdings_of(address) if address is not None else np.empty(0, np.int64)
    moves = [snapshot.movements_of(int(holding)) for holding in holdings]
    arrivals = [rows[rows % 2 == 1] // 2 for rows in moves]
    found = np.unique(np.concatenate(arrivals)) if arrivals else np.empty(0, np.int64)
    if not found.size:
        raise UsageError(f"{name} receives nothing in {snapshot.folder}; check it, or ingest on")
    return found


def _check_amount(name: str, amount: int, transfers: NDArray[np.int64], snapshot: AccountSnapshot) -> None:
    if np.unique(snapshot["transfers.asset"][transfers]).size > 1:
        raise UsageError(f"{name} receives several assets: say by --asset which of them =AMOUNT is of")
    worth = sum(integers(snapshot["transfers.amount"].reshape(-1, 4)[transfers]))
    if amount > worth:
        raise UsageError(f"{name} has {worth} base units, less than the {amount} asked for; give at most that")
