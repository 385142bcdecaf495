"""Look-alike: an address that resembles one which its payer deals with (address poisoning).

Claim: the recipient was made to be mistaken for another address that the payer has dealt with in the same asset.
Premises: the two addresses as written share at least FIRST characters at the beginning (after `0x` or `T`) and LAST
at the end, and differ; the payer has paid or been paid by the other one, and that before he ever dealt with this one.
Critical questions: Do both belong to one person, who makes addresses with a wanted beginning and end? Was the other
one the imitation?
Error rate: two random Ethereum addresses share that much with probability 16^-7, one in 268 million pairs. Of the
1,738 known payments to a poisoner (2022 to 2024, monteccarlos/ethereum-poisoning-detector) all are flagged; that set
was found by the same threshold, so this measures no misses.
References: Tsuchiya et al., Blockchain Address Poisoning, USENIX Security 2025.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from calibar.ledger.accounts.snapshot import AccountSnapshot

VERSION = "1"
FIRST, LAST = 3, 4


def look_alike(a: str, b: str) -> bool:
    """Whether two different addresses of one chain resemble each other as people read them."""
    a, b = _body(a), _body(b)
    return a != b and a[:FIRST] == b[:FIRST] and a[-LAST:] == b[-LAST:]


def _body(address: str) -> str:
    return address[2:].lower() if address[:2].lower() == "0x" else address[1:]


class LookAlikes:
    """Finds look-alikes among the addresses of a ledger."""

    def __init__(self, snapshot: AccountSnapshot) -> None:
        """Sort the ledger's addresses by what people look at."""
        self._snapshot = snapshot
        self._keys = _keys(snapshot)
        self._order = np.argsort(self._keys, kind="stable")
        self._sorted = self._keys[self._order]

    def of_recipient(self, transfer: int) -> str | None:
        """An address that the payer of a transfer has dealt with before and that its recipient resembles."""
        snapshot = self._snapshot
        payer, payee = (int(snapshot[f"transfers.{side}"][transfer]) for side in ("sender", "recipient"))
        if payer < 0 or payee < 0:
            return None
        address = int(snapshot["holdings.address"][payee])
        low = high = int(self._keys[address])
        if snapshot.chain.startswith("tron:"):
            low, high = _interval(snapshot.address_name(address))
        first = int(np.searchsorted(self._sorted, np.uint64(low), "left"))
        end = int(np.searchsorted(self._sorted, np.uint64(high), "right"))
        for other in self._order[first:end].tolist():
            if other == address or not look_alike(name := snapshot.address_name(other), snapshot.address_name(address)):
                continue
            began = self._began(payer, other, transfer)
            met = self._began(payer, address, transfer + 1)
            if began is not None and began < (transfer if met is None else met):
                return name
        return None

    def _began(self, payer: int, other: int, before: int) -> int | None:
        """The first transfer before another between a holding's owner and an address, in the same asset."""
        snapshot = self._snapshot
        holding = snapshot.find_holding(int(snapshot["holdings.asset"][payer]), other)
        if holding is None:
            return None
        rows = snapshot.movements_of(holding) // 2
        rows = rows[rows < before]
        sender, recipient = snapshot["transfers.sender"][rows], snapshot["transfers.recipient"][rows]
        dealt = rows[(sender == payer) | (recipient == payer)]
        return int(dealt[0]) if dealt.size else None


def _keys(snapshot: AccountSnapshot) -> NDArray[np.uint64]:
    """A number for each address: equal for look-alikes; on TRON its first 8 bytes."""
    rows: NDArray[np.uint8] = snapshot["addresses.byte"].reshape(-1, 20)
    if snapshot.chain.startswith("tron:"):
        return np.ascontiguousarray(rows[:, :8]).view(">u8").reshape(-1).astype(np.uint64)
    wide: NDArray[np.uint64] = rows.astype(np.uint64)
    return np.asarray(wide[:, 0] << 24 | (wide[:, 1] >> 4) << 16 | wide[:, 18] << 8 | wide[:, 19], np.uint64)


def _interval(address: str) -> tuple[int, int]:
    """The keys of all TRON addresses that begin as this one does: base58 keeps the order of numbers."""
    low, high = (_number(address[: FIRST + 1] + digit * (33 - FIRST)) for digit in "1z")
    low, high = max(low, 0x41 << 192), min(high, (0x42 << 192) - 1)
    return low >> 128 & _EIGHT_BYTES, high >> 128 & _EIGHT_BYTES


def _number(text: str) -> int:
    number = 0
    for character in text:
        number = number * 58 + _ALPHABET.index(character)
    return number


_EIGHT_BYTES = (1 << 64) - 1
_ALPHABET = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz"
