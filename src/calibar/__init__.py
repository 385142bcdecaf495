"""Calíbar: the open platform for crypto-asset investigations.

    >>> import calibar
    >>> ledger = calibar.open("ledger")                       # doctest: +SKIP
    >>> trail = ledger.trace("txid:0", method="fifo")         # doctest: +SKIP
    >>> trail.totals                                          # doctest: +SKIP

This module is the whole face; nothing else is meant to be imported by users.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from calibar.ledger.snapshot import Snapshot
    from calibar.trail.document import Trail

__version__: Final = "0.1.0"
__all__ = ["Ledger", "__version__", "open"]


class Ledger:
    """A chain's facts, read-only. Amounts are satoshi; coins are `txid:vout`."""

    def __init__(self, path: str | Path) -> None:
        """Open the ledger in folder `path`. Raises calibar.errors.LedgerError."""
        from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415

        self._folder = Path(path)
        self._snapshot: Snapshot = Snapshot(self._folder)

    @property
    def info(self) -> dict[str, Any]:
        """What `calibar ledger info --json` prints."""
        from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415

        while True:
            document = self._snapshot.info()
            if self._snapshot.is_current():
                return document
            self._snapshot = Snapshot(self._folder)

    def trace(self, *references: str, **policy: Any) -> Trail:
        """Follow REFs (`txid:vout`, a txid, an address; each with `=AMOUNT` for a part) through the ledger.

        `policy` are the fields of calibar.trail.policy.Policy: method, fees, as_of, min_amount, max_hops, segments.
        Raises calibar.errors.UsageError for a wrong question. A reorganisation meanwhile starts the trace again.
        """
        from calibar.errors import CalibarError  # noqa: PLC0415
        from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415
        from calibar.trail.policy import Policy  # noqa: PLC0415
        from calibar.trail.trace import trace  # noqa: PLC0415

        rules = Policy(**policy)
        while True:
            try:
                trail = trace(references, self._snapshot, rules)
                if self._snapshot.is_current():
                    return trail
            except CalibarError:
                if self._snapshot.is_current():
                    raise
            self._snapshot = Snapshot(self._folder)

    def same_key(self, address: str) -> list[tuple[str, str]]:
        """(kind, address) of the ledger's other addresses under the key of `address`: P2PK, P2PKH, SegWit."""
        from calibar.trail.references import same_key  # noqa: PLC0415

        return same_key(address, self._snapshot)

    def __repr__(self) -> str:
        counts = self._snapshot.counts
        return f"<calibar.Ledger {self._snapshot.manifest.network}: {counts['blocks']:,} blocks in {self._folder}>"


def open(path: str | Path) -> Ledger:
    """Open the ledger in folder `path`, in milliseconds."""
    return Ledger(path)
