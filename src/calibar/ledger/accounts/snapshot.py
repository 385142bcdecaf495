"""A committed state of an account chain's ledger: lookups, balances, and what `ledger info` says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import (
    CONTRACT,
    HAS_INTERNAL,
    NATIVE,
    PROVEN_HEADER,
    PROVEN_LOGS,
    PROVEN_TRANSACTIONS,
    TRC10,
    ZERO,
)
from calibar.errors import DamageError, UsageError
from calibar.kernels import accounts as kernels
from calibar.kernels.compiled import u64
from calibar.kernels.index import find_candidates, find_txids
from calibar.ledger.accounts.schema import ACCOUNT_COLUMNS, LAST_MOVEMENT
from calibar.ledger.columns import as_array, map_file
from calibar.ledger.view import INDEX, View

_PROOFS = {
    "headers": PROVEN_HEADER,
    "transactions": PROVEN_TRANSACTIONS,
    "logs": PROVEN_LOGS,
    "internal_transfers_reported": HAS_INTERNAL,
}


class AccountSnapshot(View):
    """Ids stay inside; outside, a transfer is `hash:index`, an asset its contract, an address what its chain writes."""

    columns = ACCOUNT_COLUMNS

    @property
    def chain(self) -> str:
        """`ethereum:<chain id>` or `tron:<network>`."""
        return self.manifest.network

    # Facts by id.

    def block_hash(self, block: int) -> str:
        """Hash of the block in that row, as its chain writes it."""
        return self._hex(bytes(self["blocks.hash"][block]))

    def block_time(self, block: int) -> int:
        """Time of a block, seconds since 1970 UTC."""
        return int(self["blocks.time"][block])

    def _hex(self, data: bytes) -> str:
        return data.hex() if self.chain.startswith("tron:") else "0x" + data.hex()

    def tx_hash(self, transaction: int) -> str:
        """Hash of a transaction, as its chain writes it."""
        return self._hex(bytes(self["transactions.hash"][transaction]))

    def block_of_transfer(self, transfer: int) -> int:
        """Row of the block that holds a transfer."""
        return int(np.searchsorted(self["blocks.first_transfer"], transfer, "right")) - 1

    def height_of(self, block: int) -> int | None:
        """Number of the block in that row; None where a case does not know it."""
        return self.manifest.base + block

    def address_bytes(self, address: int) -> bytes:
        """The 20 bytes of an address."""
        return bytes(self["addresses.byte"][address])

    def address_name(self, address: int) -> str:
        """An address as its chain writes it: EIP-55 or base58check."""
        return self.write_address(self.address_bytes(address))

    def write_address(self, data: bytes) -> str:
        """20 bytes as the chain writes an address."""
        if self.chain.startswith("tron:"):
            from calibar.chains.tron.address import to_base58  # noqa: PLC0415

            return to_base58(data)
        from calibar.chains.ethereum.address import encode  # noqa: PLC0415

        return encode(data)

    def read_address(self, text: str) -> bytes:
        """The 20 bytes of an address. Raises AddressError."""
        if self.chain.startswith("tron:"):
            from calibar.chains.tron.address import parse  # noqa: PLC0415

            return parse(text)
        from calibar.chains.ethereum.address import decode  # noqa: PLC0415

        return decode(text)

    def asset_name(self, asset: int) -> str:
        """`native`, a token's contract, or `trc10:<number>`: never a symbol."""
        row = bytes(self["assets.byte"][asset])
        if row[0] == NATIVE:
            return "native"
        if row[0] == TRC10:
            return f"trc10:{int.from_bytes(row[1:], 'big')}"
        return self.write_address(row[1:])

    # Ids by name.

    def find_transaction(self, text: str) -> int:
        """Id of a transaction by its hash. Raises UsageError where there is none."""
        wire = _hash_of(text)
        candidates = np.empty(64, np.int64)
        if self.counts["transactions"]:
            key = u64(int.from_bytes(wire[:8], "little"))
            found = find_candidates(self.slots("transactions"), key, self.counts["transactions"], candidates)
            for identity in candidates[:found].tolist():
                if bytes(self["transactions.hash"][identity]) == wire:
                    return int(identity)
        height = self.manifest.height
        raise UsageError(f"no transaction {text} in {self.place} (up to height {height}); check it, or ingest on")

    def find_transactions(self, hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Ids of transactions by hashes (n, 32); -1 where there is none."""
        found = np.full(len(hashes), -1, np.int64)
        if count := self.counts["transactions"]:
            find_txids(self.slots("transactions"), hashes, self["transactions.hash"], count, found)
        return found

    def find_address(self, data: bytes) -> int | None:
        """Id of an address; None where the ledger never saw it."""
        rows = np.frombuffer(data, np.uint8).reshape(1, 20)
        found = kernels.find_row(self.slots("addresses"), rows, self["addresses.byte"], self.counts["addresses"])
        return None if found < 0 else int(found)

    def find_asset(self, text: str) -> int | None:
        """Id of an asset by its name (see `asset_name`); None where the ledger never saw it. Raises AddressError."""
        if text == "native":
            row = bytes([NATIVE]) + ZERO
        elif text.startswith("trc10:") and text[6:].isdecimal() and len(text) < 26:
            row = bytes([TRC10]) + int(text[6:]).to_bytes(20, "big")
        else:
            row = bytes([CONTRACT]) + self.read_address(text)
        rows = np.frombuffer(row, np.uint8).reshape(1, 21)
        found = kernels.find_row(self.slots("assets"), rows, self["assets.byte"], self.counts["assets"])
        return None if found < 0 else int(found)

    def find_holding(self, asset: int, address: int) -> int | None:
        """Id of what an address has of an asset; None where it never had any."""
        assets, addresses = self["holdings.asset"], self["holdings.address"]
        found = kernels.find_pair(self.slots("holdings"), asset, address, assets, addresses, self.counts["holdings"])
        return None if found < 0 else int(found)

    # Balances.

    def _head(self, holding: int) -> int:
        heads = as_array(map_file(self.folder / INDEX / LAST_MOVEMENT, 8 * (holding + 1)), np.dtype("<i8"))
        head = int(heads[holding])
        sender, recipient = self["transfers.sender"], self["transfers.recipient"]
        if 0 <= head < 2 * sender.size and (recipient if head % 2 else sender)[head // 2] == holding:
            return head
        # A writer is ahead of this snapshot: its movements are not ours. Or the index is damaged.
        last = np.flatnonzero((sender == holding) | (recipient == holding))
        return 2 * int(last[-1]) + int(recipient[last[-1]] == holding) if last.size else -1

    def blocks_as_of(self, height: int | None) -> int:
        """How many blocks are looked at. Raises UsageError for a height outside the ledger."""
        count, first = self.counts["blocks"], self.manifest.base
        if count == 0:
            raise UsageError(f"the ledger in {self.folder} is empty; ingest blocks first")
        if height is None:
            return count
        if not first <= height <= self.manifest.height:
            raise UsageError(
                f"height {height} is outside the ledger, which has heights {first} to {self.manifest.height}"
            )
        return height - first + 1

    @property
    def place(self) -> Path:
        """Where it is, for messages."""
        return self.folder

    def as_of(self, height: int | None) -> tuple[int, int | None]:
        """How many blocks are looked at, and the last one's height. Raises UsageError for one outside the ledger."""
        blocks = self.blocks_as_of(height)
        return blocks, self.height_of(blocks - 1)

    def tip(self) -> tuple[int | None, str | None]:
        """Height and hash of the last block."""
        last = self.counts["blocks"] - 1
        return self.height_of(last), self.block_hash(last)

    @property
    def is_case(self) -> bool:
        """Whether it holds single transactions rather than whole blocks."""
        return False

    def caveats(self) -> dict[str, Any]:
        """What a trail must say of a case beside its chain; of a chain's whole blocks nothing."""
        return {}

    def is_whole(self, holding: int) -> bool:
        """Whether all that a holding did since its first transfer here is known; of a chain's whole blocks it is."""
        return True

    def knows_all(self, address: int, asset: int) -> bool:
        """Whether all that an address ever moved of an asset is known, nothing included; of a chain's blocks it is."""
        return True

    def who_says_it_has(self, holding: int) -> list[str]:
        """Of a case: servers by whose word a holding has what its transfers leave."""
        return []

    def known_transfers(self, holdings: NDArray[np.int64]) -> NDArray[np.int64] | None:
        """Of a case: how many of all its transfers come before the first that each holding's history may lack.

        None: the chain's own rules say it.
        """
        return None

    def balance(self, holding: int, height: int | None = None) -> int:
        """What all transfers up to a height leave in a holding, in base units; below zero where they do not add up."""
        return self.balance_after(holding, self.blocks_as_of(height))

    def balance_after(self, holding: int, blocks: int) -> int:
        """The same after so many blocks."""
        limit = 2 * int(self["blocks.first_transfer"][blocks])
        movement = int(kernels.last_before(self["movements.link"], self._head(holding), limit))
        if movement == kernels.DAMAGED:
            raise self._no_list()
        if movement < 0:
            return 0
        over = int(self["movements.link"][movement, 3])
        return (over << 256) + int.from_bytes(self["movements.balance"][movement].tobytes(), "little")

    def movements_of(self, holding: int) -> NDArray[np.int64]:
        """All movements of a holding, in chain order: 2t where it sends transfer t, 2t + 1 where it receives it."""
        head = self._head(holding)
        if head < 0:
            return np.empty(0, np.int64)
        link = self["movements.link"]
        before = int(link[head, 2])
        if not 0 <= before <= head:
            raise self._no_list()
        out = np.empty(before + 1, np.int64)
        if kernels.list_back(link, head, out) != out.size:
            raise self._no_list()
        return out[::-1]

    def _no_list(self) -> DamageError:
        return DamageError(f"{self.folder}: a holding's movements form no list; run `calibar ledger check`")

    def holdings_of(self, address: int) -> NDArray[np.int64]:
        """Holdings of an address, one an asset."""
        return np.flatnonzero(self["holdings.address"] == address)

    def naming(self, asset: int) -> dict[str, Any]:
        """What was last said of an asset: name, symbol, decimals; None where nothing was."""
        rows = np.flatnonzero(self["namings.asset"] == asset)
        if not rows.size:
            return {"name": None, "symbol": None, "decimals": None}
        row = int(rows[-1])
        start, end = self["namings.first_byte"][row : row + 2]
        name, _, symbol = bytes(self["names.byte"][start:end]).decode("utf-8", "replace").partition("\0")
        decimals = int(self["namings.decimals"][row])
        return {"name": name, "symbol": symbol, "decimals": None if decimals < 0 else decimals}

    # The whole.

    def notes(self) -> list[str]:
        """What the sources did not give."""
        first, data = self["notes.first_byte"], bytes(self["notetexts.byte"])
        texts = (data[first[i] : first[i + 1]].decode("utf-8", "replace") for i in range(self.counts["notes"]))
        return list(dict.fromkeys(texts))

    def info(self) -> dict[str, Any]:
        """What the ledger holds, as `calibar ledger info --json` prints it."""
        blocks = self.counts["blocks"]
        proof = self["blocks.proof"]
        return {
            "network": self.chain,
            "height": self.manifest.height if blocks else None,
            "tip": self.block_hash(blocks - 1) if blocks else None,
            "blocks": blocks,
            "transactions": self.counts["transactions"],
            "transfers": self.counts["transfers"],
            "events": self.counts["events"],
            "addresses": self.counts["addresses"],
            "assets": self.counts["assets"],
            "holdings": self.counts["holdings"],
            "shortfalls": self.counts["shortfalls"],
            "proven_blocks": {name: int(np.count_nonzero(proof & bit)) for name, bit in _PROOFS.items()},
            "island": self.manifest.island,
            "first_height": self.manifest.base if blocks else None,
            "notes": self.notes(),
            "digest": self.digest if blocks else None,
        }


def _hash_of(text: str) -> bytes:
    digits = text.removeprefix("0x")
    try:
        data = bytes.fromhex(digits)
    except ValueError:
        data = b""
    if len(data) != 32 or len(digits) != 64:
        raise UsageError(f"{text} is no transaction hash: that has 64 hex digits")
    return data
