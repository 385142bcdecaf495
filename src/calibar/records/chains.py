"""Ledgers as the matching of records asks them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from calibar.chains.facts import BURNT_FEE, FEE
from calibar.chains.known_tokens import KNOWN
from calibar.errors import AddressError, UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.snapshot import Snapshot
from calibar.records.matching import Chain, Found, Moved

_NATIVE = {"ethereum": (("ETH", "BNB", "MATIC", "POL"), 18), "tron": (("TRX",), 6)}


def chain_of(snapshot: Snapshot | AccountSnapshot, tokens: dict[str, str] | None = None) -> Chain:
    """What answers for a ledger. `tokens` has the contracts of the names that a custodian uses."""
    return Coins(snapshot) if isinstance(snapshot, Snapshot) else Transfers(snapshot, tokens)


class Coins:
    """A Bitcoin ledger: every output is a movement of BTC."""

    def __init__(self, snapshot: Snapshot) -> None:
        """The snapshot is kept open."""
        self.snapshot = snapshot
        self._names: dict[int, str] = {}

    def decimals(self, asset: str) -> int | None:
        """Eight, of BTC."""
        return 8 if asset in ("BTC", "XBT") else None

    def in_transaction(self, txid: str, asset: str) -> Moved | None:
        """Its outputs."""
        transaction = self.snapshot.maybe_transaction(txid)
        if transaction is None:
            return None
        first, end = self.snapshot["transactions.first_coin"][transaction : transaction + 2].tolist()
        return _Outputs(self, first, self.snapshot["coins.value"][first:end].tolist())

    def by_amount(self, asset: str, units: Sequence[int]) -> list[list[Found]]:
        """By the values of all coins, searched at once."""
        values = self.snapshot["coins.value"]
        units = [unit if unit < 1 << 62 else -1 for unit in units]
        wanted = np.unique(np.array(units, np.int64))
        there = np.flatnonzero(np.isin(values, wanted))
        order = there[np.argsort(values[there], kind="stable")]
        starts = np.searchsorted(values[order], wanted, "left")
        ends = np.searchsorted(values[order], wanted, "right")
        found = {int(w): [self.found(int(c)) for c in order[a:b]] for w, a, b in zip(wanted, starts, ends, strict=True)}
        return [found[unit] for unit in units]

    def paid_to(self, address: str, asset: str) -> list[Found]:
        """Every coin of an address."""
        try:
            identity = self.snapshot.find_address(address)
        except AddressError:
            return []
        return [] if identity is None else [self.found(int(coin)) for coin in self.snapshot.coins_of(identity)]

    def found(self, coin: int) -> Found:
        """A coin by its names."""
        snapshot, owner = self.snapshot, int(self.snapshot["coins.address"][coin])
        if owner not in self._names:
            self._names[owner] = snapshot.address_name(owner)
        transaction = snapshot.transaction_of(coin)
        name = f"{snapshot.txid(transaction)}:{coin - int(snapshot['transactions.first_coin'][transaction])}"
        time = snapshot.block_time(snapshot.block_of(transaction))
        return Found(name, int(snapshot["coins.value"][coin]), self._names[owner], time)


@dataclass(frozen=True, slots=True)
class _Outputs:
    """A transaction's outputs; only those asked for get their names."""

    chain: Coins
    first: int
    values: list[int]

    def of(self, units: int | None) -> list[Found]:
        """Those of exactly that value."""
        return [self.chain.found(self.first + n) for n, value in enumerate(self.values) if value == units]

    def all(self) -> list[Found]:
        """All of them."""
        return [self.chain.found(self.first + n) for n in range(len(self.values))]


class Transfers:
    """A ledger of an account chain."""

    def __init__(self, snapshot: AccountSnapshot, tokens: dict[str, str] | None = None) -> None:
        """`tokens` has the contract of each name."""
        self.snapshot, self.tokens = snapshot, tokens or {}
        self._assets: dict[str, int | None] = {}

    def decimals(self, asset: str) -> int | None:
        """Of the chain's own coin, or as the token says itself."""
        identity = self._asset(asset)
        if identity is None:
            return None
        names, places = _NATIVE[self.snapshot.chain.partition(":")[0]]
        if asset in names and asset not in self.tokens:
            return places
        said = self.snapshot.naming(identity)["decimals"]
        return None if said is None else int(said)

    def in_transaction(self, txid: str, asset: str) -> Moved | None:
        """Its transfers of the asset, but for fees."""
        snapshot = self.snapshot
        try:
            transaction = snapshot.find_transaction(txid)
        except UsageError:
            return None
        block = int(np.searchsorted(snapshot["blocks.first_tx"], transaction, "right")) - 1
        first, end = (int(x) for x in snapshot["blocks.first_transfer"][block : block + 2])
        rows = first + np.flatnonzero(snapshot["transfers.tx"][first:end] == transaction)
        moved = rows[snapshot["transfers.asset"][rows] == self._asset(asset)]
        return _Transfers(self._all(moved.tolist()))

    def by_amount(self, asset: str, units: Sequence[int]) -> list[list[Found]]:
        """By the amounts of all transfers of the asset, searched at once."""
        identity = self._asset(asset)
        assert identity is not None  # noqa: S101  (decimals were asked for first)
        rows = np.flatnonzero(self.snapshot["transfers.asset"] == identity)
        limbs = np.ascontiguousarray(self.snapshot["transfers.amount"].reshape(-1, 4)[rows], "<u8")
        there: dict[bytes, list[int]] = {max(unit, 0).to_bytes(32, "little"): [] for unit in units}
        wanted = np.array([int.from_bytes(key[:8], "little") for key in there], np.uint64)
        for at in np.flatnonzero(np.isin(limbs[:, 0], wanted)).tolist():
            if (key := limbs[at].tobytes()) in there:
                there[key].append(int(rows[at]))
        found = {key: self._all(fitting) for key, fitting in there.items()}
        return [found[unit.to_bytes(32, "little")] if unit >= 0 else [] for unit in units]

    def paid_to(self, address: str, asset: str) -> list[Found]:
        """Every transfer of the asset to an address."""
        identity = self._asset(asset)
        try:
            owner = self.snapshot.find_address(self.snapshot.read_address(address))
        except AddressError:
            return []
        holding = self.snapshot.find_holding(identity, owner) if owner is not None and identity is not None else None
        if holding is None:
            return []
        moves = self.snapshot.movements_of(holding)
        return self._all((moves[moves % 2 == 1] // 2).tolist())

    def _all(self, transfers: Sequence[int]) -> list[Found]:
        return [found for one in transfers if (found := self._found(one)) is not None]

    def _found(self, transfer: int) -> Found | None:
        snapshot = self.snapshot
        recipient = int(snapshot["transfers.recipient"][transfer])
        if int(snapshot["transfers.kind"][transfer]) in (FEE, BURNT_FEE) or recipient < 0:
            return None
        units = int.from_bytes(snapshot["transfers.amount"].reshape(-1, 4)[transfer].tobytes(), "little")
        transaction = int(snapshot["transfers.tx"][transfer])
        name = f"{snapshot.tx_hash(transaction)}:{snapshot['transfers.position'][transfer]}" if transaction >= 0 else ""
        address = snapshot.address_name(int(snapshot["holdings.address"][recipient]))
        return Found(name, units, address, snapshot.block_time(snapshot.block_of_transfer(transfer)))

    def _asset(self, asset: str) -> int | None:
        """The chain's own coin, a token that the operator named, or the one contract that is known by that symbol."""
        if asset not in self._assets:
            names, _ = _NATIVE[self.snapshot.chain.partition(":")[0]]
            known = KNOWN.get(self.snapshot.chain, {}).get(asset, ())
            name = self.tokens.get(asset) or ("native" if asset in names else known[0] if len(known) == 1 else None)
            self._assets[asset] = None if name is None else self.snapshot.find_asset(name)
        return self._assets[asset]


@dataclass(frozen=True, slots=True)
class _Transfers:
    """A transaction's transfers of an asset."""

    found: list[Found]

    def of(self, units: int | None) -> list[Found]:
        """Those of exactly that amount."""
        return [one for one in self.found if one.units == units]

    def all(self) -> list[Found]:
        """All of them."""
        return self.found
