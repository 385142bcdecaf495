"""What a scriptPubKey is, read from its bytes: the one place where scripts are classified.

Source: Bitcoin Core, `Solver` and `MatchMultisig` in `src/script/solver.cpp`, `IsUnspendable` in `src/script/script.h`.
Two answers differ from Core's by intent: every script that starts with OP_RETURN is OP_RETURN (Core asks for pushes
only after it), and Core's "anchor" (P2A) is a witness program of a version to come. No function here calls another
kernel, so `.py_func` answers for a single script without compiling anything.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import kernel

Bytes = NDArray[np.uint8]

NONSTANDARD: Final = 0
P2PK: Final = 1
P2PKH: Final = 2
P2SH: Final = 3
P2WPKH: Final = 4
P2WSH: Final = 5
P2TR: Final = 6
MULTISIG: Final = 7
OP_RETURN: Final = 8
WITNESS_FUTURE: Final = 9

MAX_SCRIPT_SIZE: Final = 10_000
MAX_MULTISIG_KEYS: Final = 20

_PUSHDATA1: Final = 0x4C
_PUSHDATA2: Final = 0x4D
_PUSHDATA4: Final = 0x4E
_BEFORE_1: Final = 0x50
_1: Final = 0x51
_16: Final = 0x60
_RETURN: Final = 0x6A
_DUP: Final = 0x76
_EQUAL: Final = 0x87
_EQUALVERIFY: Final = 0x88
_HASH160: Final = 0xA9
_CHECKSIG: Final = 0xAC
_CHECKMULTISIG: Final = 0xAE


@kernel
def script_kind(data: Bytes, start: int, length: int) -> int:
    """Code of the script `data[start : start + length]`; reads nothing outside it. An empty script is NONSTANDARD."""
    at = np.int64(start)
    size = np.int64(length)
    end = at + size
    if size < 1:
        return NONSTANDARD
    first = np.int64(data[at])
    if first == _RETURN:
        return OP_RETURN
    if size < 4:
        return NONSTANDARD
    second = np.int64(data[at + 1])
    last = np.int64(data[end - 1])

    if size == 23 and first == _HASH160 and second == 20 and last == _EQUAL:
        return P2SH
    if size <= 42 and second == size - 2 and (first == 0 or _1 <= first <= _16):
        if first == 0:
            if size == 22:
                return P2WPKH
            return P2WSH if size == 34 else NONSTANDARD
        return P2TR if first == _1 and size == 34 else WITNESS_FUTURE
    if size == 25 and first == _DUP and second == _HASH160 and data[at + 2] == 20:
        return P2PKH if data[end - 2] == _EQUALVERIFY and last == _CHECKSIG else NONSTANDARD
    if last == _CHECKSIG:
        if size == 35 and first == 33 and 2 <= second <= 3:
            return P2PK
        if size == 67 and first == 65 and (second == 4 or 6 <= second <= 7):
            return P2PK
        return NONSTANDARD

    # m <key>… n OP_CHECKMULTISIG. m and n are OP_1 … OP_16, or 17 … 20 as the shortest push; keys by any push.
    if last != _CHECKMULTISIG:
        return NONSTANDARD
    if _1 <= first <= _16:
        required = first - _BEFORE_1
        at += 1
    elif first == 1 and 16 < second <= MAX_MULTISIG_KEYS:
        required = second
        at += 2
    else:
        return NONSTANDARD
    keys = 0
    while at < end:
        opcode = np.int64(data[at])
        body = at + 1
        pushed = opcode
        if opcode == _PUSHDATA1 and end - at > 1:
            body = at + 2
            pushed = np.int64(data[at + 1])
        elif opcode == _PUSHDATA2 and end - at > 2:
            body = at + 3
            pushed = np.int64(data[at + 1]) | np.int64(data[at + 2]) << 8
        elif opcode == _PUSHDATA4 and end - at > 4:
            body = at + 5
            pushed = np.int64(data[at + 1]) | np.int64(data[at + 2]) << 8
            pushed |= np.int64(data[at + 3]) << 16 | np.int64(data[at + 4]) << 24
        elif opcode > _PUSHDATA4:
            break
        if pushed > end - body:
            return NONSTANDARD
        if pushed == 33:
            if data[body] != 2 and data[body] != 3:
                break
        elif pushed == 65:
            if data[body] != 4 and data[body] != 6 and data[body] != 7:
                break
        else:
            break
        keys += 1
        at = body + pushed
    if end - at == 2:
        total = np.int64(data[at]) - _BEFORE_1 if _1 <= data[at] <= _16 else 0
    elif end - at == 3 and data[at] == 1 and data[at + 1] > 16:
        total = np.int64(data[at + 1])
    else:
        return NONSTANDARD
    return MULTISIG if total == keys and required <= keys <= MAX_MULTISIG_KEYS else NONSTANDARD


@kernel
def is_unspendable(data: Bytes, start: int, length: int) -> bool:
    """Whether Core leaves the output out of its UTXO set: OP_RETURN comes first, or more than 10,000 bytes."""
    return length > MAX_SCRIPT_SIZE or (length > 0 and data[start] == _RETURN)
