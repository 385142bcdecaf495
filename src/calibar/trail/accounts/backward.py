"""Trace back on an account chain: from what a transfer brought to where those units came from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from calibar.chains.facts import integers
from calibar.errors import BalanceError, DamageError, UsageError
from calibar.kernels.backward import End, Reached, trace_back
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts import conversions as rule
from calibar.trail.accounts.assets import described
from calibar.trail.accounts.document import written
from calibar.trail.accounts.naming import transfer_name
from calibar.trail.accounts.proof import proof_of
from calibar.trail.accounts.references import Reference, asset_asked, left_out, resolve
from calibar.trail.accounts.selection import Selection, places, select
from calibar.trail.document import Trail, digest_of
from calibar.trail.policy import ACCOUNT_METHODS, DEFINITION, Policy

Labelled = dict[str, int]


def trace_backward(references: Sequence[str], snapshot: AccountSnapshot, policy: Policy) -> Trail:
    """Where the units of the REFs came from, to arrivals from nobody, a conversion, a limit or an incomplete history.

    `=AMOUNT` asks for the first so many units of a transfer. Raises UsageError for a wrong question, BalanceError where
    sums do not re-add.
    """
    from calibar import __version__  # noqa: PLC0415

    blocks, as_of = snapshot.as_of(policy.as_of)
    height, tip = snapshot.tip()
    limit = int(snapshot["blocks.first_transfer"][blocks])
    resolved = [resolve(text, snapshot, limit, asset_asked(snapshot, policy.asset)) for text in references]
    assets = set(np.unique(np.concatenate([snapshot["transfers.asset"][ref.transfers] for ref in resolved])).tolist())
    selection = select(snapshot, assets, limit, rule.conversions(snapshot, limit), backward=True)
    content = _Content(snapshot, selection)
    for label, reference in enumerate(resolved):
        content.ask(f"S{label}", reference, policy)
    document: dict[str, Any] = {
        "definition": DEFINITION,
        "ledger": {"network": snapshot.chain, "height": height, "tip": tip} | snapshot.caveats(),
        "labels_digest": None,
        "entities_digest": None,
        "rules": {"conversion": rule.VERSION},
        "policy": policy.document(as_of),
        "assets": described(snapshot, sorted(assets)),
        "sources": content.sources,
        "steps": content.steps(),
        "origins": content.origins(),
        "totals": content.totals(),
    }
    document = written(document | left_out(resolved))
    document["calibar"] = __version__
    document["digest"] = digest_of(document)
    return Trail(document)


class _Content:
    def __init__(self, snapshot: AccountSnapshot, selection: Selection) -> None:
        self.snapshot, self.selection = snapshot, selection
        self.sources: list[dict[str, Any]] = []
        self.passed: dict[tuple[int, int], Labelled] = {}
        """By transfer and hop: units that went on through it."""
        self.ended: dict[tuple[int, str], Labelled] = {}
        self.asked: dict[tuple[str, str], int] = {}

    def ask(self, label: str, reference: Reference, policy: Policy) -> None:
        """Trace a REF's transfers back, one after the other."""
        left = reference.amount
        for transfer in reference.transfers.tolist():
            amount = integers(self.snapshot["transfers.amount"].reshape(-1, 4)[transfer : transfer + 1])[0]
            taken = amount if left is None else min(amount, left)
            left = None if left is None else left - taken
            if not taken:
                continue
            try:
                reached = trace_back(
                    self.selection.flows,
                    ACCOUNT_METHODS.index(policy.method),
                    policy.fees == "follow",
                    self.selection.conversions,
                    flow=int(places(self.selection.rows, np.array([transfer]))[0]),
                    amount=taken,
                    hop_limit=policy.max_hops,
                )
            except ValueError as error:
                raise DamageError(f"{self.snapshot.folder}: {error}; run `calibar ledger check` on it") from None
            asset = self.snapshot.asset_name(int(self.snapshot["transfers.asset"][transfer]))
            name = transfer_name(self.snapshot, transfer)
            self.sources.append({"label": label, "transfer": name, "asset": asset, "amount": taken})
            self.asked[label, asset] = self.asked.get((label, asset), 0) + taken
            self._take(label, reached)
        if not any(source["label"] == label for source in self.sources):
            raise UsageError(f"{label} ({reference.text}) moves nothing; name a transfer with a value")

    def _take(self, label: str, reached: list[Reached]) -> None:
        for row in reached:
            transfer = int(self.selection.rows[row.flow])
            units = sum(piece.amount for piece in row.ranges)
            onward = row.end == End.ONWARD
            found = self.passed if onward else self.ended
            key: Any = (transfer, row.hop if onward else str(row.end))
            labelled = found.setdefault(key, {})
            labelled[label] = labelled.get(label, 0) + units

    def _movement(self, transfer: int, labelled: Labelled) -> dict[str, Any]:
        snapshot = self.snapshot
        block, tx = snapshot.block_of_transfer(transfer), int(snapshot["transfers.tx"][transfer])
        value = integers(snapshot["transfers.amount"].reshape(-1, 4)[transfer : transfer + 1])[0]
        return {
            "transfer": transfer_name(snapshot, transfer),
            "txid": snapshot.tx_hash(tx) if tx >= 0 else None,
            "height": snapshot.height_of(block),
            "time": snapshot.block_time(block),
            "proof": proof_of(snapshot, transfer, block),
            "asset": snapshot.asset_name(int(snapshot["transfers.asset"][transfer])),
            "from": self._owner(int(snapshot["transfers.sender"][transfer])),
            "to": self._owner(int(snapshot["transfers.recipient"][transfer])),
            "value": value,
            "traced": dict(sorted(labelled.items())),
        }

    def _owner(self, holding: int) -> str | None:
        return None if holding < 0 else self.snapshot.address_name(int(self.snapshot["holdings.address"][holding]))

    def steps(self) -> list[dict[str, Any]]:
        """Transfers that the units went through, in chain order."""
        return [
            self._movement(transfer, labelled) | {"hop": hop}
            for (transfer, hop), labelled in sorted(self.passed.items())
        ]

    def origins(self) -> list[dict[str, Any]]:
        """Transfers that brought the units from where they are followed no further, in chain order."""
        return [
            self._movement(transfer, labelled) | {"reason": reason}
            for (transfer, reason), labelled in sorted(self.ended.items())
        ]

    def totals(self) -> dict[str, dict[str, Labelled]]:
        """What was asked, and the same by what ended it. Raises BalanceError where that does not re-add."""
        totals: dict[str, dict[str, Labelled]] = {}
        for (label, asset), units in sorted(self.asked.items()):
            totals.setdefault(label, {})[asset] = {"in": units}
        for (transfer, reason), labelled in sorted(self.ended.items()):
            asset = self.snapshot.asset_name(int(self.snapshot["transfers.asset"][transfer]))
            for label, units in labelled.items():
                sums = totals[label][asset]
                sums[reason] = sums.get(reason, 0) + units
        for label, by_asset in totals.items():
            for asset, sums in by_asset.items():
                if 2 * sums["in"] != sum(sums.values()):
                    raise BalanceError(
                        f"{label} of {asset} does not balance: {sums}; this is a defect, please report it"
                    )
        return totals
