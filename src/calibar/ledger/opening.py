"""Open a ledger of whatever chain."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from calibar.ledger import manifest as manifests

if TYPE_CHECKING:
    from calibar.ledger.accounts.snapshot import AccountSnapshot
    from calibar.ledger.snapshot import Snapshot


def is_account_chain(network: str) -> bool:
    """Whether a manifest's network is an account chain: those are `family:name`, Bitcoin's have no colon."""
    return ":" in network


def open_snapshot(folder: Path) -> Snapshot | AccountSnapshot:
    """The committed state of the ledger, or of the case, in `folder`. Raises LedgerError."""
    from calibar.ledger.case.case import Case, is_case  # noqa: PLC0415

    if is_case(folder):
        case = Case(folder)
        return case.account_snapshot() if case.is_account_chain else case.snapshot()
    if is_account_chain(manifests.read(folder).network):
        from calibar.ledger.accounts.snapshot import AccountSnapshot  # noqa: PLC0415

        return AccountSnapshot(folder)
    from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415

    return Snapshot(folder)
