"""Facts of account chains as flat columns: what the reader of any such chain hands to the ledger.

Addresses are their 20 bytes (on TRON without the leading 0x41), amounts 256-bit integers as four 64-bit limbs, least
significant first. Rows are in chain order. Transfers stand in this order: block by block; in a block transaction by
transaction, then what belongs to no transaction; in a transaction its fee, its value, its internal transfers in the
order of its trace, its logs' transfers in log order.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

I64 = NDArray[np.int64]
U8 = NDArray[np.uint8]
Limbs = NDArray[np.uint64]

VALUE, INTERNAL, TOKEN, FEE, BURNT_FEE, REWARD, WITHDRAWAL, MINT, BURN, DESTROYED, GRANT = range(11)
"""Kinds of transfer: of a transaction's value; inside a call; by a token's log; fee to the producer; fee to nobody;
from nobody to the producer; from nobody, out of the consensus layer; by the issuer from nobody; to nobody; the issuer's
destruction of a holder's tokens; from nobody, the state that a chain begins with."""
FROM_NOBODY: Final = (REWARD, WITHDRAWAL, MINT, GRANT)
TO_NOBODY: Final = (BURNT_FEE, BURN, DESTROYED)

NATIVE, CONTRACT, TRC10 = range(3)
"""Kinds of asset: the chain's own (its 20 bytes are zero), a token contract, a TRC-10 token (its number,
big-endian)."""

FAILED, SUCCEEDED, UNSTATED = range(3)
"""What became of a transaction. UNSTATED: before Byzantium receipts do not say."""

(APPROVAL, SPENT_FOR, BLACKLISTED, UNBLACKLISTED, PAUSED, UNPAUSED, SWAP_V2, SWAP_V3, NFT, CREATED, SELF_DESTRUCTED) = (
    range(1, 12)
)
"""Kinds of event, with a and b: owner and spender; owner and who spent for him; the account; the account; none; none;
who called and who receives; the same; from and to (the amount is the token's number); the new contract and its maker;
the contract and its heir."""

PROVEN_HEADER, PROVEN_TRANSACTIONS, PROVEN_LOGS, HAS_INTERNAL = 1, 2, 4, 8
"""Bits of a block's proof: its header bytes hash to its hash and name its parent; its transactions are those of the
header's root; so are its receipts with their logs. HAS_INTERNAL is no proof: internal transfers were reported."""


@dataclass(frozen=True, slots=True)
class Naming:
    """What a token says of itself, as said: reported, never proven."""

    asset_kind: int
    asset: bytes
    name: str
    symbol: str
    decimals: int | None


@dataclass(frozen=True, slots=True)
class Facts:
    """Whole blocks that follow each other."""

    number: I64
    block_hash: U8
    """(blocks, 32)"""
    parent_hash: U8
    time: I64
    """Seconds since 1970 UTC."""
    proof: U8
    tx_end: I64
    """Transactions of this batch up to the end of each block."""
    transfer_end: I64
    event_end: I64
    tx_hash: U8
    """(transactions, 32)"""
    tx_status: U8
    tx_sender: U8
    """(transactions, 20)"""
    tx_recipient: U8
    """(transactions, 20): for a creation the new contract."""
    tx_payer: U8
    tx_fee: Limbs
    """(transactions, 4), burnt part included."""
    transfer_tx: I64
    """Row of its transaction in this batch; -1 for what belongs to none."""
    transfer_kind: U8
    asset_kind: U8
    asset: U8
    """(transfers, 20)"""
    sender: U8
    """(transfers, 20); zeros where the kind is FROM_NOBODY."""
    recipient: U8
    amount: Limbs
    """(transfers, 4)"""
    position: I64
    """A log's index as the chain gives it (EVM: in the block; TRON: in the transaction); an internal transfer's place
    in its transaction's trace; else 0."""
    event_tx: I64
    event_kind: U8
    event_contract: U8
    event_a: U8
    event_b: U8
    event_amount: Limbs
    event_position: I64
    header: Sequence[bytes] = ()
    """Each block's header as its hash covers it; empty bytes where it is not known."""
    namings: Sequence[Naming] = ()
    notes: Sequence[str] = field(default=())
    """What the source does not give, in one line each."""


_DTYPES: Final = {
    "number": ("i8", 0), "block_hash": ("u1", 32), "parent_hash": ("u1", 32), "time": ("i8", 0), "proof": ("u1", 0),
    "tx_end": ("i8", 0), "transfer_end": ("i8", 0), "event_end": ("i8", 0),
    "tx_hash": ("u1", 32), "tx_status": ("u1", 0), "tx_sender": ("u1", 20), "tx_recipient": ("u1", 20),
    "tx_payer": ("u1", 20), "tx_fee": ("u8", 4),
    "transfer_tx": ("i8", 0), "transfer_kind": ("u1", 0), "asset_kind": ("u1", 0), "asset": ("u1", 20),
    "sender": ("u1", 20), "recipient": ("u1", 20), "amount": ("u8", 4), "position": ("i8", 0),
    "event_tx": ("i8", 0), "event_kind": ("u1", 0), "event_contract": ("u1", 20), "event_a": ("u1", 20),
    "event_b": ("u1", 20), "event_amount": ("u8", 4), "event_position": ("i8", 0),
}  # fmt: skip


@dataclass(slots=True)
class Builder:
    """Collects facts one by one, from Python objects; `facts` makes the columns."""

    columns: dict[str, list[object]] = field(default_factory=lambda: {name: [] for name in _DTYPES})
    headers: list[bytes] = field(default_factory=list)
    namings: list[Naming] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def transaction(self, hash_: bytes, status: int, sender: bytes, recipient: bytes, payer: bytes, fee: int) -> int:
        """Add a transaction to the block being read; its row."""
        row = len(self.columns["tx_hash"])
        self._add("tx_hash", hash_)
        self._add("tx_status", status)
        self._add("tx_sender", sender)
        self._add("tx_recipient", recipient)
        self._add("tx_payer", payer)
        self._add("tx_fee", fee)
        return row

    def transfer(
        self, tx: int, kind: int, asset_kind: int, asset: bytes, sender: bytes, recipient: bytes, amount: int,
        position: int = 0,
    ) -> None:  # fmt: skip
        """Add a transfer, in its order."""
        for name, value in zip(
            ("transfer_tx", "transfer_kind", "asset_kind", "asset", "sender", "recipient", "amount", "position"),
            (tx, kind, asset_kind, asset, sender, recipient, amount, position),
            strict=True,
        ):
            self._add(name, value)

    def event(self, tx: int, kind: int, contract: bytes, a: bytes, b: bytes, amount: int, position: int) -> None:
        """Add an event; addresses that a kind does not have are ZERO."""
        for name, value in zip(
            ("tx", "kind", "contract", "a", "b", "amount", "position"),
            (tx, kind, contract, a, b, amount, position),
            strict=True,
        ):
            self._add(f"event_{name}", value)

    def end_block(self, number: int, hash_: bytes, parent: bytes, time: int, proof: int, header: bytes = b"") -> None:
        """Close the block whose transactions, transfers and events were added since the last one."""
        for name, value in zip(
            ("number", "block_hash", "parent_hash", "time", "proof", "tx_end", "transfer_end", "event_end"),
            (
                number, hash_, parent, time, proof,
                len(self.columns["tx_hash"]), len(self.columns["transfer_tx"]), len(self.columns["event_tx"]),
            ),
            strict=True,
        ):  # fmt: skip
            self._add(name, value)
        self.headers.append(header)

    def _add(self, name: str, value: object) -> None:
        self.columns[name].append(value)

    def facts(self) -> Facts:
        """The columns. Raises OverflowError for an amount outside 256 bits, ValueError for bytes of a wrong length."""
        return Facts(
            **{name: _column(name, values) for name, values in self.columns.items()},  # type: ignore[arg-type]
            header=tuple(self.headers),
            namings=tuple(self.namings),
            notes=tuple(dict.fromkeys(self.notes)),
        )


ZERO: Final = bytes(20)


def _column(name: str, values: list[object]) -> NDArray[np.generic]:
    dtype, width = _DTYPES[name]
    if dtype == "u1" and width:
        joined = b"".join(values)  # type: ignore[arg-type]
        if any(len(value) != width for value in values):  # type: ignore[arg-type]
            raise ValueError(f"{name}: not all of {width} bytes")
        return np.frombuffer(joined, np.uint8).reshape(-1, width)
    if width:
        return limbs(values)  # type: ignore[arg-type]
    return np.array(values, np.dtype(dtype))


def limbs(amounts: Iterable[int]) -> Limbs:
    """Amounts as (n, 4) limbs. Raises OverflowError for one that is negative or over 256 bits."""
    data = b"".join(amount.to_bytes(32, "little") for amount in amounts)
    return np.frombuffer(data, "<u8").reshape(-1, 4)


def integers(rows: Limbs) -> list[int]:
    """Limbs as Python integers."""
    data = np.ascontiguousarray(rows, "<u8").tobytes()
    return [int.from_bytes(data[at : at + 32], "little") for at in range(0, len(data), 32)]


class Source(Protocol):
    """Where an account chain's blocks come from."""

    chain: str
    """`ethereum:<chain id>` or `tron:<network>`."""

    def last(self) -> int:
        """Number of the last block it has."""

    def hash_of(self, number: int) -> bytes | None:
        """Hash of a block as the source has it now; None where it has none."""

    def read(self, first: int, last: int) -> Iterator[Facts]:
        """Blocks first..last in batches. Raises DecodeError, ChainError or UsageError, each in one line."""
