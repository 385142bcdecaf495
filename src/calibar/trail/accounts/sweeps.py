"""Deposit address: an exchange's address for one customer, which forwards all it receives to one hot wallet.

Claim: the address belongs to a custodian and to one customer of it; whoever paid it paid into that customer's account.
Premises: it receives the asset and forwards all of it, every time, to one and the same address (the hot wallet); it
pays nobody else; what it spends on fees came from an address that the hot wallet's other deposit addresses got theirs
from too (the funder), or was paid by the collector's own transaction; the hot wallet collects so from at least
MINIMUM addresses. Not said where the ledger does not know who pays for fees (an island, an export of tokens alone), in
a case only of addresses whose histories in the asset and in the chain's own coin are known whole.
Critical questions: Could one person run the collecting wallet (a payment processor, a large mule's sweeper)? Do known
labels name the hot wallet? Are the forwards automatic (same delay, same amounts)?
Error rate: not measured.
References: F. Victor, Address Clustering Heuristics for Ethereum, Financial Cryptography 2020 (deposit address reuse).
"""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import BURNT_FEE, FEE, INTERNAL, VALUE
from calibar.ledger.accounts.schema import NOBODY
from calibar.ledger.accounts.snapshot import AccountSnapshot

VERSION = "1"
MINIMUM = 3
"""Deposit addresses that a hot wallet must collect from: fewer show no pattern."""
ENOUGH = 50
"""Addresses of one hot wallet that are looked at, beside the one asked about."""


class Sweeps:
    """Finds the deposit addresses of one asset, by the transfers below a limit."""

    def __init__(self, snapshot: AccountSnapshot, asset: int, limit: int) -> None:
        """Note who pays one and the same address alone."""
        self.snapshot, self.limit = snapshot, limit
        rows = np.flatnonzero(snapshot["transfers.asset"][:limit] == asset)
        kinds = snapshot["transfers.kind"][rows]
        paid = ~np.isin(kinds, (FEE, BURNT_FEE)) & (snapshot["transfers.amount"].reshape(-1, 4)[rows] != 0).any(axis=1)
        rows = rows[paid & (snapshot["transfers.sender"][rows] != NOBODY)]
        sender, target = snapshot["transfers.sender"][rows], snapshot["transfers.recipient"][rows]
        order = np.argsort(sender, kind="stable")
        senders, targets = sender[order], target[order]
        first = np.flatnonzero(np.diff(senders, prepend=-2))
        one = np.minimum.reduceat(targets, first) == np.maximum.reduceat(targets, first) if first.size else first > 0
        alone = first[one][targets[first[one]] != NOBODY]
        self.holding, self.wallet = senders[alone], targets[alone]
        self.native = snapshot.find_asset("native")

    def hot_wallet(self, holding: int) -> int | None:
        """The address that collects from a holding's owner, where that is a deposit address; else None."""
        island = self.snapshot.manifest.island and not self.snapshot.is_case
        if island or self.native is None:  # who pays for fees is not known there
            return None
        wallet = self.pays_alone(holding)
        if wallet is None or not self._deposits(holding):
            return None
        alike = [holding, *(peer for peer in self.peers(holding, wallet)[:ENOUGH] if self._deposits(peer))]
        funders = [self._funders(one) for one in alike]
        shared = Counter(funder for found in funders for funder in found)
        hot = int(self.snapshot["holdings.address"][wallet])
        common = {funder for funder, count in shared.items() if count >= MINIMUM} | {hot}
        fitting = [not found or bool(found & common) for found in funders]
        return hot if fitting[0] and sum(fitting) >= MINIMUM else None

    def pays_alone(self, holding: int) -> int | None:
        """The one holding that another pays, where it pays no more than one."""
        at = int(np.searchsorted(self.holding, holding))
        return int(self.wallet[at]) if at < self.holding.size and self.holding[at] == holding else None

    def peers(self, holding: int, wallet: int) -> list[int]:
        """Other holdings that pay the same wallet alone, by what is known."""
        peers = self.holding[(self.wallet == wallet) & (self.holding != holding)]
        return [int(peer) for peer in peers]

    def _deposits(self, holding: int) -> bool:
        """Whether each forward left nothing, and there was one, and the fees' source is known or there were none."""
        if not (self.snapshot.is_whole(holding) and self._knows_gas(holding)):
            return False
        moves = self.snapshot.movements_of(holding)
        sent = moves[(moves < 2 * self.limit) & (moves % 2 == 0)]
        emptied = not self.snapshot["movements.balance"].reshape(-1, 4)[sent].any()
        return bool(sent.size) and emptied and (bool(self._funders(holding)) or not self._pays_fees(holding))

    def _gas(self, holding: int) -> NDArray[np.int64]:
        """Movements of the chain's own coin of a holding's owner."""
        assert self.native is not None  # noqa: S101
        found = self.snapshot.find_holding(self.native, int(self.snapshot["holdings.address"][holding]))
        moves = self.snapshot.movements_of(found) if found is not None else np.empty(0, np.int64)
        return moves[moves < 2 * self.limit]

    def _knows_gas(self, holding: int) -> bool:
        assert self.native is not None  # noqa: S101
        return self.snapshot.knows_all(int(self.snapshot["holdings.address"][holding]), self.native)

    def _pays_fees(self, holding: int) -> bool:
        moves = self._gas(holding)
        kinds = self.snapshot["transfers.kind"][moves[moves % 2 == 0] // 2]
        return bool(np.isin(kinds, (FEE, BURNT_FEE)).any())

    def _funders(self, holding: int) -> set[int]:
        moves = self._gas(holding)
        arrivals = moves[moves % 2 == 1] // 2
        arrivals = arrivals[np.isin(self.snapshot["transfers.kind"][arrivals], (VALUE, INTERNAL))]
        payers = self.snapshot["transfers.sender"][arrivals]
        return {int(self.snapshot["holdings.address"][payer]) for payer in payers.tolist() if payer >= 0}


def deposit_addresses(snapshot: AccountSnapshot, asset: int, limit: int) -> dict[int, int]:
    """Every deposit address of an asset by the transfers below `limit`, and the hot wallet that collects from it."""
    sweeps = Sweeps(snapshot, asset, limit)
    found = ((holding, sweeps.hot_wallet(holding)) for holding in sweeps.holding.tolist())
    return {int(snapshot["holdings.address"][holding]): hot for holding, hot in found if hot is not None}
