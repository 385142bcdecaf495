"""Where a trail stops: a policy's rules, labels and overrides as the walks need them."""

from __future__ import annotations

import re
from typing import Any, Final

from calibar.errors import AddressError, UsageError
from calibar.kernels import stops as kernels
from calibar.kernels.stops import Stops
from calibar.labels.keys import key_of
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.snapshot import Snapshot
from calibar.trail.policy import Policy

RULES: Final = {
    "min-amount": kernels.MIN_AMOUNT,
    "hops": kernels.HOPS,
    "coinjoin": kernels.COINJOIN,
    "outputs": kernels.OUTPUTS,
}
_TRANSACTION: Final = re.compile("[0-9a-fA-F]{64}")


def stops_on_coins(snapshot: Snapshot, policy: Policy) -> Stops:
    """A policy's rules for a walk on coins. Raises UsageError for an override that names nothing."""
    names = [name for name, _ in policy.rules]
    limits = [(RULES.get(name, kernels.LABEL), min(value, (1 << 63) - 1)) for name, value in policy.rules]
    found = ((snapshot.find_script(key), row) for key, row in _rows(snapshot.manifest.network, policy, names).items())
    labelled = {address: row for address, row in found if address is not None}
    passed = {name: snapshot.maybe_transaction(name) for name in policy.overrides if _TRANSACTION.fullmatch(name)}
    for name, transaction in passed.items():
        if transaction is None and not snapshot.is_case:  # a case may come to it yet
            raise UsageError(f"an override names transaction {name}, which {snapshot.folder} has not; check it")
    columns = snapshot["coins.address"], snapshot["addresses.kind"]
    return kernels.stops(limits, *columns, labelled, [tx for tx in passed.values() if tx is not None])


def labelled_accounts(snapshot: AccountSnapshot, policy: Policy) -> dict[int, int]:
    """Addresses that a rule on labels stops at, with its row. Raises UsageError for an override that names nothing."""
    found = _rows(snapshot.chain, policy, [name for name, _ in policy.rules])
    if snapshot.is_case:  # of few addresses, and made anew each time something is fetched
        few = ((address, found.get(snapshot.address_bytes(address))) for address in range(snapshot.counts["addresses"]))
        return {address: row for address, row in few if row is not None}
    rows = ((snapshot.find_address(key), row) for key, row in found.items())
    return {address: row for address, row in rows if address is not None}


def passed_addresses(network: str, policy: Policy) -> set[bytes]:
    """Keys of the addresses that overrides let pass. Raises UsageError for one that names nothing."""
    passed = set()
    for name in policy.overrides:
        if not (_TRANSACTION.fullmatch(name) and policy.unit == "coin"):
            try:
                passed.add(key_of(network, name))
            except AddressError as error:
                what = "no transaction and no address" if policy.unit == "coin" else "no address, as it must here"
                raise UsageError(f"an override names {what}: {error}") from None
    return passed


def labels_beside(policy: Policy, network: str, key: bytes) -> dict[str, Any]:
    """What a trail says of an address beside the facts: `labels`, where sources say anything."""
    said = policy.labels.of(network).get(key, []) if policy.labels is not None else []
    return {"labels": [label.document() for label in said]} if said else {}


def _rows(network: str, policy: Policy, names: list[str]) -> dict[bytes, int]:
    """Keys of labelled addresses that a rule stops at, and that rule's row: the first that fits one of the labels."""
    passed = passed_addresses(network, policy)
    row_of = {name: row for row, name in enumerate(names) if name.startswith("label:")}
    if policy.labels is None or not row_of:
        return {}
    rows = {
        key: [row_of[f"label:{label.category}"] for label in labels if f"label:{label.category}" in row_of]
        for key, labels in policy.labels.of(network).items()
        if key not in passed
    }
    return {key: min(fitting) for key, fitting in rows.items() if fitting}
