"""Addresses as text, many at once: what `chains/bitcoin/script.address_of` says of one script.

Source: BIP173 and BIP350 (Bech32, Bech32m), Bitcoin Core `src/base58.cpp`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import kernel
from calibar.kernels.scripts import P2PKH, P2SH, P2TR, P2WPKH, P2WSH, WITNESS_FUTURE, script_kind
from calibar.kernels.sha256 import Bytes, sha256d

LONGEST: Final = 90
_BASE58: Final = np.frombuffer(b"123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz", np.uint8)
_BECH32: Final = np.frombuffer(b"qpzry9x8gf2tvdw0s3jn54khce6mua7l", np.uint8)
_GENERATOR: Final = np.array([0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3], np.int64)
_BECH32M: Final = 0x2BC830A3


@kernel
def write_addresses(
    scripts: Bytes, first: NDArray[np.int64], owners: NDArray[np.int64], p2pkh: int, p2sh: int, hrp: Bytes, out: Bytes
) -> None:
    """Each owner's address into its row of `out` (n, LONGEST), which is zeros; it stays so where there is none."""
    state, work = np.empty(8, np.uint32), np.empty(128, np.uint8)
    payload, check, digits = np.empty(25, np.uint8), np.empty(32, np.uint8), np.empty(36, np.uint8)
    for row in range(owners.size):
        start = first[owners[row]]
        length = first[owners[row] + 1] - start
        kind = script_kind(scripts, start, length)
        if kind in (P2PKH, P2SH):
            payload[0] = p2pkh if kind == P2PKH else p2sh
            skip = 3 if kind == P2PKH else 2
            payload[1:21] = scripts[start + skip : start + skip + 20]
            sha256d(payload, 0, 21, check, 0, state, work)
            payload[21:25] = check[:4]
            _write_base58(payload, digits, out[row])
        elif kind in (P2WPKH, P2WSH, P2TR, WITNESS_FUTURE):
            _write_bech32(scripts, start, length, hrp, out[row])


@kernel
def _write_base58(payload: Bytes, digits: Bytes, out: Bytes) -> None:
    zeros = 0
    while zeros < payload.size and payload[zeros] == 0:
        zeros += 1
    used = 0
    for at in range(zeros, payload.size):
        carry = np.int64(payload[at])
        for i in range(used):
            carry += np.int64(digits[i]) << 8
            digits[i] = carry % 58
            carry //= 58
        while carry:
            digits[used] = carry % 58
            carry //= 58
            used += 1
    out[:zeros] = _BASE58[0]
    for i in range(used):
        out[zeros + i] = _BASE58[digits[used - 1 - i]]


@kernel
def _write_bech32(scripts: Bytes, start: int, length: int, hrp: Bytes, out: Bytes) -> None:
    remainder = np.int64(1)
    for c in hrp:
        remainder = _step(remainder) ^ (c >> 5)
    remainder = _step(remainder)
    for c in hrp:
        remainder = _step(remainder) ^ (c & 31)
    out[: hrp.size] = hrp
    out[hrp.size] = 49  # "1"
    at = hrp.size + 1
    version = np.int64(scripts[start]) - 0x50 if scripts[start] else np.int64(0)
    remainder = _step(remainder) ^ version
    out[at] = _BECH32[version]
    bits, held = 0, np.int64(0)
    for i in range(start + 2, start + length):
        held = held << 8 | np.int64(scripts[i])
        bits += 8
        while bits >= 5 or (bits and i == start + length - 1):
            value = (held >> (bits - 5) if bits >= 5 else held << (5 - bits)) & 31
            bits = max(bits - 5, 0)
            at += 1
            remainder = _step(remainder) ^ value
            out[at] = _BECH32[value]
        held &= 31
    for _ in range(6):
        remainder = _step(remainder)
    remainder ^= _BECH32M if version else 1
    for i in range(6):
        at += 1
        out[at] = _BECH32[(remainder >> (25 - 5 * i)) & 31]


@kernel
def _step(remainder: Any) -> Any:
    """One value's place further, as in BIP173's polymod."""
    top = remainder >> 25
    remainder = (remainder & 0x1FFFFFF) << 5
    for i in range(5):
        if top >> i & 1:
            remainder ^= _GENERATOR[i]
    return remainder
