"""Ledgers as the matching of records asks them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import BURNT_FEE, FEE
from calibar.chains.known_tokens import KNOWN
from calibar.errors import AddressError
from calibar.kernels.matching import equal_in_ranges
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.snapshot import Snapshot
from calibar.records.matching import Asked, Chain, Found, Moved, folded

_NATIVE = {"ethereum": (("ETH", "BNB", "MATIC", "POL"), 18), "tron": (("TRX",), 6)}

_AT_ONCE = 1 << 14
"""Rows whose addresses are written together."""


def chain_of(snapshot: Snapshot | AccountSnapshot, tokens: dict[str, str] | None = None) -> Chain:
    """What answers for a ledger. `tokens` has the contracts of the names that a custodian uses."""
    return Coins(snapshot) if isinstance(snapshot, Snapshot) else Transfers(snapshot, tokens)


def hashes_of(txids: Sequence[str]) -> NDArray[np.uint8]:
    """(n, 32) bytes of transaction ids as displayed, each 64 hexadecimal digits."""
    return np.frombuffer(bytes.fromhex("".join(txids)), np.uint8).reshape(-1, 32)


class Coins:
    """A Bitcoin ledger: every output is a movement of BTC."""

    def __init__(self, snapshot: Snapshot) -> None:
        """The snapshot is kept open."""
        self.snapshot = snapshot
        self._names: dict[int, str] = {}

    def decimals(self, asset: str) -> int | None:
        """Eight, of BTC."""
        return 8 if asset in ("BTC", "XBT") else None

    def named(self, asset: str) -> str:
        """There is one asset alone."""
        return ""

    def in_transactions(self, asked: Sequence[Asked], asset: str) -> Iterator[Moved | None]:
        """Their outputs."""
        for start in range(0, len(asked), _AT_ONCE):
            yield from self._outputs(asked[start : start + _AT_ONCE])

    def _outputs(self, asked: Sequence[Asked]) -> Iterator[Moved | None]:
        snapshot = self.snapshot
        found = snapshot.find_transactions(hashes_of([one.txid for one in asked])[:, ::-1].copy())
        blocks = (np.searchsorted(snapshot["blocks.first_tx"], found, "right") - 1).tolist()
        times = {block: snapshot.block_time(block) for block in set(blocks) if block >= 0}
        starts, stops = (np.where(found < 0, 0, snapshot["transactions.first_coin"][found + n]) for n in (0, 1))
        units = np.array([-1 if one.units is None or one.units >> 62 else one.units for one in asked], np.int64)
        count, coins = np.empty(found.size, np.int64), np.empty(2 * found.size, np.int64)
        while (total := equal_in_ranges(snapshot["coins.value"], starts, stops, units, count, coins)) > coins.size:
            coins = np.empty(total, np.int64)
        names = snapshot.address_texts(snapshot["coins.address"][coins[:total]])
        said = np.array([one.address.encode() for one in asked], names.dtype)
        row = np.repeat(np.arange(found.size), count)
        fits = (said[row] == names) | (said[row] == b"")
        right, ends = coins[:total][fits].tolist(), np.cumsum(np.bincount(row[fits], minlength=found.size)).tolist()
        columns = (array.tolist() for array in (found, starts, stops))
        for one, block, end, at, first, stop, begin in zip(asked, blocks, ends, *columns, [0, *ends[:-1]], strict=True):
            yield _Outputs(self, one, times[block], first, stop, right[begin:end]) if at >= 0 else None

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
        snapshot = self.snapshot
        transaction = snapshot.transaction_of(coin)
        owner = int(snapshot["coins.address"][coin])
        if owner not in self._names:
            self._names[owner] = snapshot.address_name(owner)
        time = snapshot.block_time(snapshot.block_of(transaction))
        value = int(snapshot["coins.value"][coin])
        return Found(snapshot.coin_name(coin), value, self._names[owner], time, coin)


class _Outputs(NamedTuple):
    """A transaction's outputs; only those that are shown get their names."""

    coins: Coins
    asked: Asked
    time: int
    first: int
    end: int
    right: list[int]
    """Those of the value and to the address."""

    def exactly(self) -> list[Found]:
        """Those of the value asked about, to the address asked about."""
        txid, units, address, _ = self.asked
        if not address or units is None:
            return [self.coins.found(coin) for coin in self.right]
        return [Found(f"{txid}:{coin - self.first}", units, address, self.time, coin) for coin in self.right]

    def alike(self) -> list[Found]:
        """Those of the value asked about, whomever they pay."""
        return [found for found in self.all() if found.units == self.asked.units]

    def all(self) -> list[Found]:
        """All of them."""
        return [self.coins.found(coin) for coin in range(self.first, self.end)]


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

    def named(self, asset: str) -> str:
        """`native`, a contract, `trc10:N`."""
        identity = self._asset(asset)
        assert identity is not None  # noqa: S101  (decimals were asked for first)
        return self.snapshot.asset_name(identity)

    def in_transactions(self, asked: Sequence[Asked], asset: str) -> Iterator[Moved | None]:
        """Their transfers of the asset, but for fees."""
        snapshot, identity = self.snapshot, self._asset(asset)
        found = snapshot.find_transactions(hashes_of([one.txid for one in asked]))
        moved: dict[int, list[int]] = {one: [] for one in found.tolist() if one >= 0}
        rows = np.flatnonzero(snapshot["transfers.asset"] == (-1 if identity is None else identity))
        rows = rows[np.isin(snapshot["transfers.tx"][rows], found[found >= 0])]
        for transaction, row in zip(snapshot["transfers.tx"][rows].tolist(), rows.tolist(), strict=True):
            moved[transaction].append(row)
        for one, transaction in zip(asked, found.tolist(), strict=True):
            yield _Transfers(one, self._all(moved[transaction])) if transaction >= 0 else None

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
        return Found(name, units, address, snapshot.block_time(snapshot.block_of_transfer(transfer)), transfer)

    def _asset(self, asset: str) -> int | None:
        """The chain's own coin, a token that the operator named, or the one contract that is known by that symbol."""
        if asset not in self._assets:
            names, _ = _NATIVE[self.snapshot.chain.partition(":")[0]]
            known = KNOWN.get(self.snapshot.chain, {}).get(asset, ())
            name = self.tokens.get(asset) or ("native" if asset in names else known[0] if len(known) == 1 else None)
            self._assets[asset] = None if name is None else self.snapshot.find_asset(name)
        return self._assets[asset]


class _Transfers(NamedTuple):
    """A transaction's transfers of an asset."""

    asked: Asked
    found: list[Found]

    def exactly(self) -> list[Found]:
        """Those of the amount asked about, to the address asked about."""
        return [one for one in self.alike() if self.asked.address in ("", folded(one.address))]

    def alike(self) -> list[Found]:
        """Those of the amount asked about, whomever they pay."""
        return [one for one in self.found if one.units == self.asked.units]

    def all(self) -> list[Found]:
        """All of them."""
        return self.found
