"""SHA-256 (FIPS 180-4) and Bitcoin's double SHA-256 over byte arrays.

On x86-64 with SHA instructions one block costs a fifth of the plain path. LLVM aborts the process when it meets
these intrinsics for a target without them, so the choice is read from the features that numba compiles for
(`NUMBA_CPU_NAME`/`NUMBA_CPU_FEATURES` included), which numba also keeps in its cache key. AArch64 takes the plain
path.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic
from numba.np.arrayobj import make_array
from numpy.typing import NDArray

from calibar.kernels.compiled import inlined, kernel

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint32]


def _first_primes(count: int) -> list[int]:
    primes: list[int] = []
    n = 2
    while len(primes) < count:
        if all(n % p for p in primes):
            primes.append(n)
        n += 1
    return primes


def _root_bits(n: int, root: int) -> int:
    """First 32 bits of the fractional part of n^(1/root), by integer bisection."""
    low, high = 0, n << 32
    target = n << (32 * root)
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**root <= target else (low, middle)
    return low & 0xFFFFFFFF


ROUND_CONSTANTS = [_root_bits(p, 3) for p in _first_primes(64)]
INITIAL_STATE = np.array([_root_bits(p, 2) for p in _first_primes(8)], dtype=np.uint32)
_K = np.array(ROUND_CONSTANTS, dtype=np.uint32)

TARGET_FEATURES = str(cpu_target.target_context.codegen().magic_tuple()[2])
HAS_SHA_INSTRUCTIONS = {"+sha", "+sse4.1", "+ssse3"} <= set(TARGET_FEATURES.split(","))


def _emit_block(builder: Any, state0: Any, state1: Any, data: Any) -> tuple[Any, Any]:
    """LLVM IR of one 64-byte block: 64 rounds, two rounds an instruction. State is (ABEF, CDGH)."""
    vector = ir.VectorType(ir.IntType(32), 4)
    module = builder.module

    def shuffle(a: Any, b: Any, lanes: list[int]) -> Any:
        return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(lanes)), lanes))

    def declare(name: str, arguments: int) -> Any:
        return cgutils.get_or_insert_function(module, ir.FunctionType(vector, [vector] * arguments), name)

    rounds2 = declare("llvm.x86.sha256rnds2", 3)
    msg1, msg2 = declare("llvm.x86.sha256msg1", 2), declare("llvm.x86.sha256msg2", 2)
    swap = declare("llvm.bswap.v4i32", 1)
    undefined = ir.Constant(vector, ir.Undefined)
    pointer = builder.bitcast(data, vector.as_pointer())
    words = []
    for i in range(4):
        loaded = builder.load(builder.gep(pointer, [ir.IntType(64)(i)]), align=1)
        words.append(builder.call(swap, [loaded]))
    start0, start1 = state0, state1
    for i in range(16):
        if i >= 4:
            w0, w1, w2, w3 = words[-4:]
            mixed = builder.add(builder.call(msg1, [w0, w1]), shuffle(w2, w3, [1, 2, 3, 4]))
            words.append(builder.call(msg2, [mixed, w3]))
        k = ir.Constant(vector, ROUND_CONSTANTS[4 * i : 4 * i + 4])
        message = builder.add(words[i], k)
        state1 = builder.call(rounds2, [state1, state0, message])
        message = shuffle(message, undefined, [2, 3, 0, 0])
        state0 = builder.call(rounds2, [state0, state1, message])
    return builder.add(state0, start0), builder.add(state1, start1)


@intrinsic  # type: ignore[untyped-decorator]
def _compress_sha_instructions(typingctx: Any, state: Any, data: Any, offset: Any, blocks: Any) -> Any:
    """Fold `blocks` 64-byte blocks of `data` from `offset` into `state` (8 words)."""
    signature = types.void(state, data, types.int64, types.int64)

    def codegen(context: Any, builder: Any, sig: Any, args: Any) -> Any:
        i64, vector = ir.IntType(64), ir.VectorType(ir.IntType(32), 4)
        state_at = make_array(sig.args[0])(context, builder, args[0]).data
        data_at = make_array(sig.args[1])(context, builder, args[1]).data
        state_at = builder.bitcast(state_at, vector.as_pointer())
        low = builder.load(state_at, align=4)
        high_at = builder.gep(state_at, [i64(1)])
        high = builder.load(high_at, align=4)

        def shuffle(a: Any, b: Any, lanes: list[int]) -> Any:
            return builder.shuffle_vector(a, b, ir.Constant(vector, lanes))

        entry = builder.block
        loop = builder.append_basic_block("sha.loop")
        done = builder.append_basic_block("sha.done")
        first0, first1 = shuffle(low, high, [5, 4, 1, 0]), shuffle(low, high, [7, 6, 3, 2])
        builder.cbranch(builder.icmp_signed(">", args[3], i64(0)), loop, done)

        builder.position_at_end(loop)
        index, state0, state1 = builder.phi(i64), builder.phi(vector), builder.phi(vector)
        at = builder.gep(data_at, [builder.add(args[2], builder.shl(index, i64(6)))])
        next0, next1 = _emit_block(builder, state0, state1, at)
        following = builder.add(index, i64(1))
        builder.cbranch(builder.icmp_signed("<", following, args[3]), loop, done)
        for phi, initial, value in ((index, i64(0), following), (state0, first0, next0), (state1, first1, next1)):
            phi.add_incoming(initial, entry)
            phi.add_incoming(value, loop)

        builder.position_at_end(done)
        final0, final1 = builder.phi(vector), builder.phi(vector)
        for phi, initial, value in ((final0, first0, next0), (final1, first1, next1)):
            phi.add_incoming(initial, entry)
            phi.add_incoming(value, loop)
        builder.store(shuffle(final0, final1, [3, 2, 7, 6]), state_at, align=4)
        builder.store(shuffle(final0, final1, [1, 0, 5, 4]), high_at, align=4)
        return context.get_dummy_value()

    return signature, codegen


@inlined
def _rotate(x: Any, n: Any) -> Any:
    return np.uint32((x >> np.uint32(n)) | (x << np.uint32(32 - n)))


@kernel
def compress_plain(state: Words, data: Bytes, offset: int, blocks: int) -> None:
    """Fold `blocks` 64-byte blocks of `data` from `offset` into `state`, with ordinary instructions."""
    w = np.empty(64, np.uint32)
    for block in range(blocks):
        base = offset + 64 * block
        for i in range(16):
            at = base + 4 * i
            w[i] = (
                (np.uint32(data[at]) << np.uint32(24))
                | (np.uint32(data[at + 1]) << np.uint32(16))
                | (np.uint32(data[at + 2]) << np.uint32(8))
                | np.uint32(data[at + 3])
            )
        for i in range(16, 64):
            x, y = w[i - 15], w[i - 2]
            s0 = _rotate(x, 7) ^ _rotate(x, 18) ^ np.uint32(x >> np.uint32(3))
            s1 = _rotate(y, 17) ^ _rotate(y, 19) ^ np.uint32(y >> np.uint32(10))
            w[i] = np.uint32(w[i - 16] + s0 + w[i - 7] + s1)
        a, b, c, d = state[0], state[1], state[2], state[3]
        e, f, g, h = state[4], state[5], state[6], state[7]
        for i in range(64):
            s1 = _rotate(e, 6) ^ _rotate(e, 11) ^ _rotate(e, 25)
            choose = (e & f) ^ (~e & g)
            t1 = np.uint32(h + s1 + choose + _K[i] + w[i])
            s0 = _rotate(a, 2) ^ _rotate(a, 13) ^ _rotate(a, 22)
            majority = (a & b) ^ (a & c) ^ (b & c)
            t2 = np.uint32(s0 + majority)
            h, g, f, e = g, f, e, np.uint32(d + t1)
            d, c, b, a = c, b, a, np.uint32(t1 + t2)
        state[0] = np.uint32(state[0] + a)
        state[1] = np.uint32(state[1] + b)
        state[2] = np.uint32(state[2] + c)
        state[3] = np.uint32(state[3] + d)
        state[4] = np.uint32(state[4] + e)
        state[5] = np.uint32(state[5] + f)
        state[6] = np.uint32(state[6] + g)
        state[7] = np.uint32(state[7] + h)


if HAS_SHA_INSTRUCTIONS:

    @inlined
    def compress(state: Words, data: Bytes, offset: int, blocks: int) -> None:
        """Fold `blocks` 64-byte blocks of `data` from `offset` into `state` (8 words)."""
        _compress_sha_instructions(state, data, offset, blocks)

else:
    compress = compress_plain


@inlined
def _start(state: Words) -> None:
    for i in range(8):
        state[i] = INITIAL_STATE[i]


@inlined
def _put_state(state: Words, out: Bytes, at: int) -> None:
    for i in range(8):
        word = state[i]
        out[at + 4 * i] = np.uint8((word >> np.uint32(24)) & np.uint32(255))
        out[at + 4 * i + 1] = np.uint8((word >> np.uint32(16)) & np.uint32(255))
        out[at + 4 * i + 2] = np.uint8((word >> np.uint32(8)) & np.uint32(255))
        out[at + 4 * i + 3] = np.uint8(word & np.uint32(255))


@inlined
def _put_length(out: Bytes, at: int, length: int) -> None:
    bits = np.uint64(length) << np.uint64(3)
    for i in range(8):
        out[at + i] = np.uint8((bits >> np.uint64(56 - 8 * i)) & np.uint64(255))


@kernel
def sha256(data: Bytes, start: int, length: int, state: Words, work: Bytes) -> None:
    """SHA-256 of data[start:start+length] into `state`. `work`: 128 bytes of scratch. The caller bounds the range."""
    _start(state)
    whole = length // 64
    compress(state, data, start, whole)
    rest = length - 64 * whole
    total = 64 if rest < 56 else 128
    work[:total] = 0
    work[:rest] = data[start + 64 * whole : start + length]
    work[rest] = np.uint8(128)
    _put_length(work, total - 8, length)
    compress(state, work, 0, total // 64)


@kernel
def sha256d(data: Bytes, start: int, length: int, out: Bytes, out_at: int, state: Words, work: Bytes) -> None:
    """Double SHA-256 of data[start:start+length] into out[out_at:out_at+32]."""
    sha256(data, start, length, state, work)
    _put_state(state, work, 0)
    work[32] = np.uint8(128)
    work[33:56] = 0
    _put_length(work, 56, 32)
    _start(state)
    compress(state, work, 0, 1)
    _put_state(state, out, out_at)
