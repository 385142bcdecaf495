"""Calíbar: the open platform for crypto-asset investigations.

    >>> import calibar
    >>> ledger = calibar.open("ledger")                       # doctest: +SKIP
    >>> trail = ledger.trace("txid:0", method="fifo")         # doctest: +SKIP
    >>> trail.totals                                          # doctest: +SKIP

This module is the whole face; nothing else is meant to be imported by users.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

if TYPE_CHECKING:
    from calibar.ledger.accounts.snapshot import AccountSnapshot
    from calibar.ledger.snapshot import Snapshot
    from calibar.records.case_records import CaseRecords
    from calibar.trail.document import Trail
    from calibar.trail.policy import Policy

T = TypeVar("T")

__version__: Final = "0.1.0"
__all__ = ["Ledger", "__version__", "fetch", "open", "read_records", "trace"]


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
        calibar.trail.policy.Policy: method, unit, fees, as_of, min_amount, max_hops, segments, asset, links, stops,
        overrides and labels, here the paths of tables of them.
        Raises calibar.errors.UsageError for a wrong question. A reorganisation meanwhile starts the trace again.
        """
        from calibar.errors import UsageError  # noqa: PLC0415
        from calibar.trail.policy import Policy  # noqa: PLC0415

        if policy.get("unit") is None:
            policy["unit"] = "address" if self.is_account_chain else "coin"
        rules = Policy(**_with_labels(policy))
        if rules.unit != ("address" if self.is_account_chain else "coin"):
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
        from calibar.trail.accounts.links import add_link, link_between  # noqa: PLC0415

        link = self._accounts("links", lambda found: link_between(found, given, received, reason, Path(exhibit)))
        add_link(Path(file), link)
        return link.document()

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

    def compare(
        self,
        source: str,
        asset: str | None = None,
        at: int | None = None,
        progress: Callable[[str, int, int], None] | None = None,
    ) -> dict[str, dict[str, Any]]:
        """Ask the node at a URL what addresses have after a block (else the tip), of every asset or of one.

        Chains of Ethereum's kind only. By asset: how many balances were compared, how many differ, and which. It is
        kept in the ledger's folder and said by trails. Raises UsageError.
        """
        from calibar.chains.ethereum.rpc import RpcSource  # noqa: PLC0415
        from calibar.errors import UsageError  # noqa: PLC0415
        from calibar.ledger.accounts.compare import compare  # noqa: PLC0415

        if self.is_account_chain and not self._snapshot.manifest.network.startswith("ethereum:"):
            raise UsageError(f"{self._folder}: only nodes of Ethereum's kind tell balances at a block; TRON's do not")
        with RpcSource(source) as node:
            found = self._accounts(
                "balances", lambda snapshot: compare(snapshot, node, asset=asset, height=at, progress=progress)
            )
        return {name: one.document() for name, one in found.items()}

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


def fetch(
    path: str | Path,
    *references: str,
    sources: Sequence[str],
    network: str | None = None,
    follow: bool = True,
    tell: Callable[[str], None] = print,
    **policy: Any,
) -> Ledger:
    """Fetch REFs, and their trail where `follow`, from servers into the case in folder `path`; the case as a ledger.

    `policy` as in `Ledger.trace`. `tell` hears what a server on another machine will learn, before it is asked first.
    Raises calibar.errors.CalibarError; what was fetched until then is kept.
    """
    from calibar.trail.cases import gather, unit_of  # noqa: PLC0415
    from calibar.trail.policy import Policy  # noqa: PLC0415

    if follow and policy.get("unit") is None:
        policy["unit"] = unit_of(Path(path), references, network)
    rules = Policy(**_with_labels(policy)) if follow else None
    gather(Path(path), references, sources, network_name=network, policy=rules, tell=tell)
    return Ledger(path)


def read_records(path: str | Path) -> CaseRecords:
    """The records of the case in folder `path`: statements of exchanges and banks, to add to, check and match."""
    from calibar.records.case_records import CaseRecords  # noqa: PLC0415

    return CaseRecords(path)


def trace(
    *references: str,
    records: str | Path | None = None,
    ledgers: str | Path | Sequence[str | Path] = (),
    tokens: Mapping[str, str] | None = None,
    **policy: Any,
) -> Trail:
    """Follow REFs through the records of a case and the ledgers in folders, as far as both go.

    A REF is one of a ledger, or `record:FILE:ROW` for what a row of the records moves, with `=AMOUNT` in its asset's
    units. `tokens` has the contract of a custodian's name for a token. `policy` as in `Ledger.trace`. Raises
    calibar.errors.UsageError.
    """
    from calibar.errors import UsageError  # noqa: PLC0415
    from calibar.ledger.opening import open_snapshot  # noqa: PLC0415
    from calibar.trail.custodians.joined import trace as follow  # noqa: PLC0415
    from calibar.trail.policy import Policy  # noqa: PLC0415

    if records is None:
        raise UsageError("name the case whose records are followed; without records, `open(LEDGER).trace` follows")
    if policy.pop("unit", None) is not None:
        raise UsageError("a trail through records follows accounts there, and what each ledger has; leave the unit out")
    rules = Policy(**_with_labels({**policy, "unit": "record"}))
    folders = [ledgers] if isinstance(ledgers, (str, Path)) else ledgers
    snapshots = [open_snapshot(Path(ledger)) for ledger in folders]
    return follow(references, snapshots, read_records(records).read(), rules, tokens)


def _with_labels(policy: dict[str, Any]) -> dict[str, Any]:
    """The fields of a policy with the labels read, where they are named by their files."""
    from calibar.labels.label import LabelSet  # noqa: PLC0415
    from calibar.labels.table import read_labels  # noqa: PLC0415

    labels = policy.get("labels")
    if labels is None or isinstance(labels, LabelSet):
        return policy
    paths = [labels] if isinstance(labels, (str, Path)) else labels
    return policy | {"labels": read_labels([Path(path) for path in paths])}
