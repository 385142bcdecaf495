"""A committed state of a ledger, read-only: columns by name, lookups, and what `ledger info` says."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.bitcoin.networks import Network, network
from calibar.chains.bitcoin.script import address_of, script_of
from calibar.errors import DamageError, UsageError
from calibar.ledger.columns import as_array, map_file
from calibar.ledger.schema import COLUMNS
from calibar.ledger.view import INDEX, View

LAST_COIN = "last_coin"


class Snapshot(View):
    """A Bitcoin ledger as it was committed when this was opened. Ids stay inside; outside, coins are `txid:vout`."""

    columns = COLUMNS

    @property
    def network(self) -> Network:
        """The ledger's network."""
        return network(self.manifest.network)

    # Facts by id.

    def block_hash(self, block: int) -> str:
        """Hash of the block in that row, as displayed."""
        return bytes(self["blocks.hash"][block])[::-1].hex()

    def block_time(self, block: int) -> int:
        """Time in the block's header, seconds since 1970 UTC."""
        return int.from_bytes(bytes(self["blocks.header"][block, 68:72]), "little")

    def txid(self, transaction: int) -> str:
        """Id of a transaction, as displayed."""
        return bytes(self["transactions.txid"][transaction])[::-1].hex()

    def block_of(self, transaction: int) -> int:
        """Row of the block that holds a transaction."""
        return int(np.searchsorted(self["blocks.first_tx"], transaction, "right")) - 1

    def transaction_of(self, coin: int) -> int:
        """The transaction that made a coin."""
        return int(np.searchsorted(self["transactions.first_coin"], coin, "right")) - 1

    def coin_name(self, coin: int) -> str:
        """`txid:vout` of a coin."""
        transaction = self.transaction_of(coin)
        return f"{self.txid(transaction)}:{coin - int(self['transactions.first_coin'][transaction])}"

    def script(self, address: int) -> bytes:
        """scriptPubKey of an address."""
        start, end = self["addresses.first_byte"][address : address + 2]
        return bytes(self["scripts.byte"][start:end])

    def address_name(self, address: int) -> str:
        """Address as text; `script:<sha256>` where the script has no address form."""
        return address_of(self.script(address), self.network)

    def address_texts(self, addresses: NDArray[np.int64]) -> NDArray[np.bytes_]:
        """Many addresses as ASCII text; see `address_name`."""
        from calibar.kernels.addresses import LONGEST, write_addresses  # noqa: PLC0415

        owners, back = np.unique(addresses, return_inverse=True)
        out, network = np.zeros((owners.size, LONGEST), np.uint8), self.network
        hrp = np.frombuffer(network.hrp.encode(), np.uint8)
        first, scripts = self["addresses.first_byte"], self["scripts.byte"]
        write_addresses(scripts, first, owners, network.p2pkh_prefix, network.p2sh_prefix, hrp, out)
        texts = out.view(f"S{LONGEST}").reshape(-1)
        for row in np.flatnonzero(out[:, 0] == 0).tolist():
            texts[row] = self.address_name(int(owners[row])).encode()
        return texts[back]

    def height_of(self, block: int) -> int | None:
        """Height of a block's row; None in an island of unknown heights."""
        return self.manifest.base + block if self.manifest.heights_known else None

    def tip(self) -> tuple[int | None, str | None]:
        """Height and hash of the last block."""
        last = self.counts["blocks"] - 1
        return self.height_of(last), self.block_hash(last)

    def as_of(self, height: int | None) -> tuple[int, int | None]:
        """How many blocks are looked at, and the last one's height. Raises UsageError for one outside the ledger."""
        count, first = self.counts["blocks"], self.manifest.base
        if count == 0:
            raise UsageError(f"the ledger in {self.folder} is empty; ingest blocks first")
        if height is None:
            return count, self.height_of(count - 1)
        if not self.manifest.heights_known:
            raise UsageError(f"{self.folder} is an island whose heights are unknown; leave --as-of out")
        if not first <= height <= self.height:
            raise UsageError(f"--as-of {height} is outside the ledger, which has heights {first} to {self.height}")
        return height - first + 1, height

    @property
    def is_case(self) -> bool:
        """Whether it holds single transactions rather than whole blocks."""
        return False

    def is_proven(self, transaction: int) -> bool:
        """Whether a transaction was checked to a block's header; all of a chain's blocks are."""
        return True

    def who_says_unspent(self, coin: int, height: int | None) -> list[str] | None:
        """Of a case: servers by whose word nothing spends a coin; a chain's blocks say it themselves."""
        return []

    def pending_spender(self, coin: int) -> str | None:
        """Of a case: the transaction in no block yet that is said to spend a coin."""
        return None

    def caveats(self, references: Sequence[str]) -> dict[str, Any]:
        """What a trail must say of a case beside its chain; of a chain's whole blocks nothing."""
        return {}

    # Ids by name.

    def find_transaction(self, txid: str) -> int:
        """Id of the (latest) transaction with this id; raises UsageError where there is none."""
        if (found := self.maybe_transaction(txid)) is not None:
            return found
        raise UsageError(f"no transaction {txid} in {self.folder} (up to height {self.height}); check it, or ingest on")

    def maybe_transaction(self, txid: str) -> int | None:
        """Id of the (latest) transaction with this id; None where the ledger never saw it."""
        from calibar.kernels.compiled import u64  # noqa: PLC0415
        from calibar.kernels.index import find_candidates  # noqa: PLC0415

        wire = bytes.fromhex(txid)[::-1]
        candidates = np.empty(64, np.int64)
        if self.counts["transactions"]:
            key = u64(int.from_bytes(wire[:8], "little"))
            found = find_candidates(self.slots("txids"), key, self.counts["transactions"], candidates)
            for identity in sorted(candidates[:found].tolist(), reverse=True):
                if bytes(self["transactions.txid"][identity]) == wire:
                    return int(identity)
        return None

    def find_transactions(self, hashes: NDArray[np.uint8]) -> NDArray[np.int64]:
        """Ids of the (latest) transactions by hashes (n, 32) in wire order; -1 where the ledger never saw one."""
        from calibar.kernels.index import find_txids  # noqa: PLC0415

        found = np.full(len(hashes), -1, np.int64)
        if count := self.counts["transactions"]:
            find_txids(self.slots("txids"), hashes, self["transactions.txid"], count, found)
        return found

    def find_address(self, text: str) -> int | None:
        """Id of an address or `script:<sha256>`; None where the ledger never saw it. Raises AddressError."""
        if text.startswith("script:"):
            try:
                digest = bytes.fromhex(text.removeprefix("script:"))
            except ValueError:
                digest = b""
            if len(digest) != 32:
                raise UsageError(f"{text} is no script: after `script:` there must be the 64 hex digits of its SHA-256")
        else:
            digest = hashlib.sha256(script_of(text, self.network)).digest()
        return self.find_script(digest)

    def find_script(self, digest: bytes) -> int | None:
        """Id of the address whose script has this SHA-256; None where the ledger never saw it."""
        from calibar.kernels.compiled import u64  # noqa: PLC0415
        from calibar.kernels.index import find_candidates  # noqa: PLC0415

        candidates = np.empty(64, np.int64)
        if self.counts["addresses"]:
            key = u64(int.from_bytes(digest[:8], "big"))
            found = find_candidates(self.slots("addresses"), key, self.counts["addresses"], candidates)
            for identity in candidates[:found].tolist():
                if hashlib.sha256(self.script(identity)).digest() == digest:
                    return int(identity)
        return None

    def coins_of(self, address: int) -> NDArray[np.int64]:
        """All coins paid to an address, in chain order."""
        count = self.counts["coins"]
        heads = as_array(map_file(self.folder / INDEX / LAST_COIN, 8 * (address + 1)), np.dtype("<i8"))
        coin = int(heads[address])
        if coin >= count:  # a writer is ahead of this snapshot
            return np.flatnonzero(self["coins.address"] == address)
        coins: list[int] = []
        previous = self["coins.previous"]
        while coin >= 0:
            if coins and coin >= coins[-1]:
                raise DamageError(
                    f"{self.folder}: the coins of an address do not form a list; run `calibar ledger check`"
                )
            coins.append(coin)
            coin = int(previous[coin])
        found = np.array(coins[::-1], np.int64)
        if (self["coins.address"][found] != address).any():
            raise DamageError(f"{self.folder}: an address's list has another's coin; run `calibar ledger check`")
        return found

    # The whole.

    def info(self) -> dict[str, Any]:
        """What the ledger holds, as `calibar ledger info --json` prints it; amounts in satoshi, unknown is None."""
        blocks, coins, inputs = (self.counts[table] for table in ("blocks", "coins", "inputs"))
        last = blocks - 1
        fees = self["blocks.fees"]
        return {
            "network": self.manifest.network,
            "height": self.height_of(last) if blocks else None,
            "tip": self.block_hash(last) if blocks else None,
            "blocks": blocks,
            "transactions": self.counts["transactions"],
            "coins": coins,
            "inputs": inputs,
            "addresses": self.counts["addresses"],
            "unspent_coins": coins - (inputs - self.counts["outside"]),
            "unspent_value": int(self["blocks.unspent_value"][last]) if blocks else 0,
            "utxo_set_coins": int(self["blocks.utxo_coins"][last]) if blocks else 0,
            "utxo_set_value": int(self["blocks.utxo_value"][last]) if blocks else 0,
            "fees": None if (fees < 0).any() else int(fees.sum()),
            "bytes": int(self["blocks.size"].sum(dtype=np.int64)),
            "island": self.manifest.island,
            "unknown_inputs": self.counts["outside"],
            "first_height": self.height_of(0) if blocks else None,
            "digest": self.digest if blocks else None,
        }

    def input_limit(self, blocks: int) -> int:
        """Inputs of the first `blocks` blocks: a spend by an input at or above it is later."""
        return int(self["transactions.first_input"][int(self["blocks.first_tx"][blocks])])
