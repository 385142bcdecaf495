"""Questions to the full ledger of an account chain with which a case is compared."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Final, NamedTuple

import numpy as np

from calibar.chains.facts import GRANT, HAS_INTERNAL, ZERO, integers
from calibar.chains.remote import transfers_told as told
from calibar.ledger.accounts.schema import NOBODY
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.accounts.moved import FEES, Move, Moved, asset_of, move_of

BEGINNING: Final = bytes(32)
"""The transaction that stands in servers' lists for what a chain begins with."""


class Listed(NamedTuple):
    """A transfer of an address."""

    txid: bytes | None
    """None: it belongs to no transaction."""
    kind: int
    move: Move


class Chain:
    """A full ledger."""

    def __init__(self, snapshot: AccountSnapshot) -> None:
        self.snapshot = snapshot
        self._moved: dict[bytes, Moved | None] = {}

    @property
    def height(self) -> int:
        """Of the last block."""
        return self.snapshot.manifest.height

    def hash_of(self, height: int) -> bytes:
        """Hash of a block that the ledger has."""
        return bytes(self.snapshot["blocks.hash"][height])

    def time_of(self, height: int) -> int:
        """Its time, seconds since 1970 UTC."""
        return self.snapshot.block_time(height)

    def last_before(self, time: int) -> int:
        """Height of the last block that is not later than a time; -1 where all are."""
        return int(np.searchsorted(self.snapshot["blocks.time"], time, "right")) - 1

    # Transactions.

    def moved(self, txid: bytes) -> Moved | None:
        """What a transaction moved; None where it is in no block."""
        if txid not in self._moved:
            found = int(self.snapshot.find_transactions(np.frombuffer(txid, np.uint8).reshape(1, 32))[0])
            self._moved[txid] = None if found < 0 else self._read(found)
        return self._moved[txid]

    def _read(self, tx: int) -> Moved:
        ledger = self.snapshot
        block = int(np.searchsorted(ledger["blocks.first_tx"], tx, "right")) - 1
        first, end = (int(at) for at in ledger["blocks.first_transfer"][block : block + 2])
        transfers = first + np.flatnonzero(ledger["transfers.tx"][first:end] == tx)
        kinds = ledger["transfers.kind"]
        return Moved(
            block,
            int(ledger["transactions.status"][tx]),
            ledger.address_bytes(int(ledger["transactions.payer"][tx])),
            integers(ledger["transactions.fee"][tx : tx + 1])[0],
            tuple((int(kinds[at]), self._move(at)) for at in transfers.tolist() if kinds[at] not in FEES),
            bool(ledger["blocks.proof"][block] & HAS_INTERNAL),
        )

    def _move(self, transfer: int) -> Move:
        ledger = self.snapshot
        asset = bytes(ledger["assets.byte"][int(ledger["transfers.asset"][transfer])])
        ends = [int(ledger[f"transfers.{side}"][transfer]) for side in ("sender", "recipient")]
        sender, recipient = (
            ZERO if end == NOBODY else ledger.address_bytes(int(ledger["holdings.address"][end])) for end in ends
        )
        amount = integers(ledger["transfers.amount"][transfer : transfer + 1])[0]
        return move_of(
            int(ledger["transfers.kind"][transfer]), asset_of(asset[0], asset[1:]), sender, recipient, amount
        )

    # Addresses.

    def listed(self, address: bytes, asset: told.Asset | None, first: int, last: int) -> Iterator[Listed]:
        """What an address moved in blocks first..last, of an asset or of all; of fees those that it paid."""
        ledger = self.snapshot
        low, high = (int(ledger["blocks.first_transfer"][at]) for at in (first, last + 1))
        for holding in self._holdings(address, asset):
            transfers = np.unique(ledger.movements_of(holding) // 2)
            for transfer in transfers[(transfers >= low) & (transfers < high)].tolist():
                kind, tx = int(ledger["transfers.kind"][transfer]), int(ledger["transfers.tx"][transfer])
                move = self._move(transfer)
                if kind not in FEES or move.sender == address:
                    yield Listed(ledger["transactions.hash"][tx].tobytes() if tx >= 0 else None, kind, move)

    def had(self, address: bytes, asset: told.Asset, first: int, last: int) -> list[int]:
        """What an address had after block `first`, then after each block up to `last` that moved any of it."""
        ledger = self.snapshot
        holdings = self._holdings(address, asset)
        if not holdings:
            return [0]
        (holding,) = holdings
        blocks = {ledger.block_of_transfer(movement // 2) for movement in ledger.movements_of(holding).tolist()}
        after = [first, *sorted(block for block in blocks if first < block <= last)]
        return [ledger.balance_after(holding, block + 1) for block in after]

    def _holdings(self, address: bytes, asset: told.Asset | None) -> list[int]:
        ledger = self.snapshot
        owner = ledger.find_address(address)
        if owner is None:
            return []
        if asset is None:
            return [int(holding) for holding in ledger.holdings_of(owner)]
        number = ledger.find_asset(self.asset_name(asset))
        found = None if number is None else ledger.find_holding(number, owner)
        return [] if found is None else [found]

    def knows_coins(self, height: int) -> bool:
        """Whether balances of the chain's own coin follow up to a height: from the beginning, with what calls move."""
        return self._begins and height < self._coins_end

    @cached_property
    def _begins(self) -> bool:
        first = int(self.snapshot["blocks.first_transfer"][1])
        return bool((self.snapshot["transfers.kind"][:first] == GRANT).any())

    @cached_property
    def _coins_end(self) -> int:
        without = np.flatnonzero(self.snapshot["blocks.proof"] & HAS_INTERNAL == 0)
        return int(without[0]) if without.size else self.snapshot.counts["blocks"]

    # Names.

    def asset_name(self, asset: told.Asset) -> str:
        """As the ledger writes it."""
        if asset.contract is not None:
            return self.snapshot.write_address(asset.contract)
        return "native" if asset == told.NATIVE else f"trc10:{asset.number}"

    def address_name(self, address: bytes | None) -> str:
        """As the chain writes it."""
        return "nobody" if address is None else self.snapshot.write_address(address)

    def describe(self, move: Move) -> str:
        """A transfer in words."""
        ends = f"from {self.address_name(move.sender)} to {self.address_name(move.recipient)}"
        return f"{move.amount} of {self.asset_name(move.asset)} {ends}"

    def hash_text(self, octets: bytes) -> str:
        """A hash as the chain writes it."""
        return octets.hex() if self.snapshot.chain.startswith("tron:") else "0x" + octets.hex()
