"""Calíbar: the open platform for crypto-asset investigations.

    >>> import calibar
    >>> ledger = calibar.open("ledger")                       # doctest: +SKIP
    >>> trail = ledger.trace("txid:0", method="fifo")         # doctest: +SKIP
    >>> trail.totals                                          # doctest: +SKIP

This module is the whole face; nothing else is meant to be imported by users.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from calibar.ledger.accounts.snapshot import AccountSnapshot
    from calibar.ledger.snapshot import Snapshot
    from calibar.trail.document import Trail
    from calibar.trail.policy import Policy

T = TypeVar("T")

__version__: Final = "0.1.0"
__all__ = ["Ledger", "__version__", "open"]


class Ledger:
    """A chain's facts, read-only. Amounts are satoshi; coins are `txid:vout`."""

    def __init__(self, path: str | Path) -> None:
        """Open the ledger in folder `path`. Raises calibar.errors.LedgerError."""
        from calibar.ledger.opening import open_snapshot  # noqa: PLC0415

        self._folder = Path(path)
        self._snapshot: Snapshot | AccountSnapshot = open_snapshot(self._folder)

    @property
    def info(self) -> dict[str, Any]:
        """What `calibar ledger info --json` prints."""
        return self._steadily(lambda snapshot: snapshot.info())

    def _steadily(self, read: Callable[[Any], T]) -> T:
        """Read, and read again where a reorganisation meanwhile gave up ids that were read."""
        from calibar.errors import CalibarError, DamageError  # noqa: PLC0415

        while True:
            try:
                found = read(self._snapshot)
                if self._snapshot.is_current():
                    return found
            except CalibarError:
                if self._snapshot.is_current():
                    raise
            except (IndexError, KeyError, OverflowError, ValueError) as error:
                if self._snapshot.is_current():
                    raise DamageError(f"{self._folder} contradicts itself; run `calibar ledger check` on it") from error
            self._reopen()

    def _accounts(self, what: str, read: Callable[[AccountSnapshot], T]) -> T:
        from calibar.errors import UsageError  # noqa: PLC0415

        if not self.is_account_chain:
            raise UsageError(f"{self._folder} is a Bitcoin ledger; {what} are those of account chains")
        return self._steadily(read)

    def _reopen(self) -> None:
        from calibar.ledger.opening import open_snapshot  # noqa: PLC0415

        self._snapshot = open_snapshot(self._folder)

    def trace(self, *references: str, **policy: Any) -> Trail:
        """Follow REFs (`txid:vout`, a txid, an address; each with `=AMOUNT` for a part) through the ledger.

        On account chains a REF is `hash:index` of a transfer, a hash or an address. `policy` are the fields of
        calibar.trail.policy.Policy: method, unit, fees, as_of, min_amount, max_hops, segments, asset, deposits, links.
        Raises calibar.errors.UsageError for a wrong question. A reorganisation meanwhile starts the trace again.
        """
        from calibar.errors import UsageError  # noqa: PLC0415
        from calibar.trail.policy import Policy  # noqa: PLC0415

        if policy.get("unit") is None:
            policy["unit"] = "address" if self.is_account_chain else "coin"
        rules = Policy(**policy)
        if (rules.unit == "coin") == self.is_account_chain:
            raise UsageError(f"a ledger of {self._snapshot.manifest.network} is not followed by {rules.unit}")
        return self._steadily(lambda snapshot: _trace(references, snapshot, rules))

    def same_key(self, address: str) -> list[tuple[str, str]]:
        """(kind, address) of the ledger's other addresses under the key of `address`: P2PK, P2PKH, SegWit."""
        from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415
        from calibar.trail.references import same_key  # noqa: PLC0415

        return same_key(address, self._snapshot) if isinstance(self._snapshot, Snapshot) else []

    def transfers(self, address: str, asset: str | None = None, limit: int | None = None) -> list[dict[str, Any]]:
        """What an address sent and received, in chain order, with kind, proof and flags; amounts as decimal text.

        Account chains only. Flags: zero value, a recipient that resembles another address. Raises UsageError.
        """
        from calibar.trail.accounts.listing import transfers_of_address  # noqa: PLC0415

        return self._accounts("transfers", lambda found: list(transfers_of_address(found, address, asset, limit)))

    def events(self, address: str) -> list[dict[str, Any]]:
        """Approvals, spending by others, freezes and releases that concern an address, in chain order.

        Account chains only. Raises UsageError.
        """
        from calibar.trail.accounts.listing import events_of_address  # noqa: PLC0415

        return self._accounts("events", lambda found: list(events_of_address(found, address)))

    def add_link(
        self, file: str | Path, given: str, received: str, *, reason: str, exhibit: str | Path
    ) -> dict[str, Any]:
        """Assert in `file` that what transfer `given` gave came back in `received`, by an exhibit (a file).

        Account chains only. Returns the link as it stands in the file. Raises UsageError where it makes no sense.
        """
        from calibar.errors import UsageError  # noqa: PLC0415
        from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415
        from calibar.trail.accounts.links import add_link  # noqa: PLC0415

        if isinstance(self._snapshot, Snapshot):
            raise UsageError(f"{self._folder} is a Bitcoin ledger; links are kept between transfers of account chains")
        return add_link(Path(file), self._snapshot, given, received, reason, Path(exhibit)).document()

    @property
    def is_account_chain(self) -> bool:
        """Whether its facts are transfers between addresses rather than coins."""
        from calibar.ledger.opening import is_account_chain  # noqa: PLC0415

        return is_account_chain(self._snapshot.manifest.network)

    def holdings(self, address: str, at: int | None = None) -> list[dict[str, Any]]:
        """What an address has of each asset after the block at height `at` (else the tip), in base units.

        Account chains only; balances are decimal text. One below zero does not follow from transfers alone. Raises
        UsageError.
        """
        from calibar.trail.accounts.listing import holdings_of_address  # noqa: PLC0415

        return self._accounts("balances", lambda found: holdings_of_address(found, address, at))

    def __repr__(self) -> str:
        counts = self._snapshot.counts
        return f"<calibar.Ledger {self._snapshot.manifest.network}: {counts['blocks']:,} blocks in {self._folder}>"


def _trace(references: Sequence[str], snapshot: Snapshot | AccountSnapshot, rules: Policy) -> Trail:
    from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415

    if isinstance(snapshot, Snapshot):
        from calibar.trail.trace import trace  # noqa: PLC0415

        return trace(references, snapshot, rules)
    from calibar.trail.accounts.trace import trace as trace_accounts  # noqa: PLC0415

    return trace_accounts(references, snapshot, rules)


def open(path: str | Path) -> Ledger:
    """Open the ledger in folder `path`, in milliseconds."""
    return Ledger(path)
