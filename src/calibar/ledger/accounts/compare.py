"""A ledger's balances beside what a node says they are: does what addresses have follow from the transfers?

A token may change balances without a transfer (rebasing, fees that it hides), or log transfers that move nothing; a
source may not give all transfers. Nothing in the transfers shows it until somebody spends what they never got. What the
node answers is its word, kept beside the ledger's facts in `compared.json`, never among them.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np

from calibar.chains.facts import CONTRACT, NATIVE
from calibar.errors import DamageError, LedgerError, UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot

Progress = Callable[[str, int, int], None]
NAME: Final = "compared.json"
SHOWN: Final = 1000
"""Differences of one asset that are kept; all are counted."""
_AT_ONCE: Final = 200
_WIDE: Final = 1 << 256


class Teller(Protocol):
    """Who knows balances of a chain."""

    chain: str

    @property
    def place(self) -> str:
        """For messages, without secrets."""

    def hash_of(self, number: int) -> bytes | None:
        """Hash of a block as it has it now; None where it has none."""

    def balances(self, pairs: Sequence[tuple[bytes | None, bytes]], height: int) -> list[int | None]:
        """Base units of each (contract, address) after a block; None where there is no answer."""


@dataclass(slots=True)
class Compared:
    """How an asset's balances stand beside the node's, after one block."""

    height: int
    block: str
    source: str
    compared: int
    unanswered: int
    differ: int
    differences: list[dict[str, str]]
    """The first of them: address, and base units by the ledger and by the node, as decimal text."""

    def document(self) -> dict[str, Any]:
        """As it stands in JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


def compare(
    snapshot: AccountSnapshot,
    teller: Teller,
    *,
    asset: str | None = None,
    height: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Compared]:
    """Ask for every balance of every asset (or of one) after the block at a height, else the tip; kept in the ledger.

    Raises UsageError for an island, another chain, a node without that block or its state.
    """
    height, limit = _block_asked(snapshot, teller, height)
    wanted = snapshot.find_asset(asset) if asset is not None else None
    if asset is not None and wanted is None:
        raise UsageError(f"no asset {asset} in {snapshot.folder}; check it: native, or a contract's address")
    holdings = _holdings(snapshot, wanted, limit)
    block = snapshot.block_hash(height - snapshot.manifest.base)
    found: dict[str, Compared] = {}
    for start in range(0, len(holdings), _AT_ONCE):
        group = holdings[start : start + _AT_ONCE]
        pairs = [(_contract(snapshot, asset), snapshot.address_bytes(address)) for _, asset, address in group]
        answers = teller.balances(pairs, height)
        for (holding, number, address), said in zip(group, answers, strict=True):
            empty = Compared(height, block, teller.place, 0, 0, 0, [])
            _add(snapshot, found.setdefault(snapshot.asset_name(number), empty), holding, address, said)
        if progress is not None:
            progress("balances", start + len(group), len(holdings))
    _block_asked(snapshot, teller, height)  # the node has not left that block meanwhile
    _keep(snapshot, found)
    return found


def compared(snapshot: AccountSnapshot) -> dict[str, dict[str, Any]]:
    """What `compare` last said of each asset, where that is of a block that the ledger still has."""
    path = snapshot.folder / NAME
    try:
        kept = json.loads(path.read_text("utf-8"))
        return {asset: said for asset, said in kept.items() if _still(snapshot, said["height"], said["block"])}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DamageError(f"{path} cannot be read; remove it, and compare again") from None


def _still(snapshot: AccountSnapshot, height: int, block: str) -> bool:
    row = height - snapshot.manifest.base
    return 0 <= row < snapshot.counts["blocks"] and snapshot.block_hash(row) == block


def _block_asked(snapshot: AccountSnapshot, teller: Teller, height: int | None) -> tuple[int, int]:
    """The height and how many transfers there are up to it; the node has the same block there."""
    if snapshot.manifest.island:
        raise UsageError(f"{snapshot.folder} is an island: what anybody had before it is unknown; nothing to compare")
    if teller.chain != snapshot.chain:
        raise UsageError(f"{snapshot.folder} is a ledger of {snapshot.chain}, the node is of {teller.chain}")
    blocks = snapshot.blocks_as_of(height)
    height = snapshot.manifest.base + blocks - 1
    if teller.hash_of(height) != bytes(snapshot["blocks.hash"][blocks - 1]):
        raise UsageError(
            f"{teller.place} has another block {height} than {snapshot.folder}, or none; ingest on, or ask another node"
        )
    return height, int(snapshot["blocks.first_transfer"][blocks])


def _holdings(snapshot: AccountSnapshot, asset: int | None, limit: int) -> list[tuple[int, int, int]]:
    """(holding, asset, address) of fungible assets that anything had moved in so far."""
    ends = [snapshot[f"transfers.{side}"][:limit] for side in ("sender", "recipient")]
    known = max((int(column.max(initial=-1)) for column in ends), default=-1) + 1
    assets, addresses = snapshot["holdings.asset"][:known], snapshot["holdings.address"][:known]
    kinds = np.frombuffer(snapshot["assets.byte"], np.uint8).reshape(-1, 21)[:, 0][assets]
    chosen = np.isin(kinds, (NATIVE, CONTRACT)) & (True if asset is None else assets == asset)
    return [(row, int(assets[row]), int(addresses[row])) for row in np.flatnonzero(chosen).tolist()]


def _contract(snapshot: AccountSnapshot, asset: int) -> bytes | None:
    row = bytes(snapshot["assets.byte"][asset])
    return row[1:] if row[0] == CONTRACT else None


def _add(snapshot: AccountSnapshot, into: Compared, holding: int, address: int, said: int | None) -> None:
    if said is None:
        into.unanswered += 1
        return
    into.compared += 1
    ours = snapshot.balance(holding, into.height)
    if ours % _WIDE == said:  # a contract's numbers wrap
        return
    into.differ += 1
    if len(into.differences) < SHOWN:
        into.differences.append({"address": snapshot.address_name(address), "ledger": str(ours), "node": str(said)})


def _keep(snapshot: AccountSnapshot, found: dict[str, Compared]) -> None:
    try:
        kept = compared(snapshot)
    except DamageError:  # what is written now takes its place
        kept = {}
    kept |= {asset: one.document() for asset, one in found.items()}
    path = snapshot.folder / NAME
    part = path.with_suffix(".part")
    try:
        part.write_text(json.dumps(kept, indent=1, sort_keys=True) + "\n", "utf-8")
        part.replace(path)
    except OSError as error:
        raise LedgerError(f"cannot write {path}: {error.strerror or error}") from None
