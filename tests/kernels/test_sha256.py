"""SHA-256 in kernels against the standard library's, on both paths."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibar.kernels import sha256 as kernels
from calibar.kernels.compiled import kernel

Bytes = NDArray[np.uint8]

COMPILES = settings(deadline=None)  # at the first call
SURROUNDINGS = (0x00, 0xFF)


@kernel
def compress_chosen(state: NDArray[np.uint32], data: Bytes, offset: int, blocks: int) -> None:
    """The path that this machine's target takes, as a function of its own."""
    kernels.compress(state, data, offset, blocks)


def within(message: bytes, filler: int, start: int) -> Bytes:
    """`message` at `start` between bytes that do not belong to it."""
    data = np.full(start + len(message) + 70, filler, np.uint8)
    data[start : start + len(message)] = np.frombuffer(message, np.uint8)
    return data


def sha256(message: bytes, filler: int = 0, start: int = 0) -> bytes:
    state, work = np.empty(8, np.uint32), np.empty(128, np.uint8)
    kernels.sha256(within(message, filler, start), start, len(message), state, work)
    return state.astype(">u4").tobytes()


def sha256d(message: bytes, filler: int = 0, start: int = 0) -> bytes:
    state, work, out = np.empty(8, np.uint32), np.empty(128, np.uint8), np.full(48, 0xEE, np.uint8)
    kernels.sha256d(within(message, filler, start), start, len(message), out, 8, state, work)
    assert (out[:8] == 0xEE).all()
    assert (out[40:] == 0xEE).all()
    return out[8:40].tobytes()


def plain(message: bytes) -> bytes:
    """SHA-256 padded here and folded by ordinary instructions."""
    padded = message + b"\x80" + bytes(-(len(message) + 9) % 64) + (8 * len(message)).to_bytes(8, "big")
    state = kernels.INITIAL_STATE.copy()
    kernels.compress_plain(state, np.frombuffer(bytearray(padded), np.uint8), 0, len(padded) // 64)
    return state.astype(">u4").tobytes()


def test_every_length_to_300_is_hashed_as_the_library_does() -> None:
    text = np.random.default_rng(1).bytes(301)
    for length in range(301):
        message = text[:length]
        once = hashlib.sha256(message).digest()
        assert sha256(message) == once, length
        assert plain(message) == once, length
        assert sha256d(message) == hashlib.sha256(once).digest(), length


@pytest.mark.parametrize("length", [0, 1, 55, 56, 63, 64, 65, 119, 120, 128, 1000])
def test_neither_surroundings_nor_alignment_matter(length: int) -> None:
    message = np.random.default_rng(length).bytes(length)
    for filler in SURROUNDINGS:
        for start in range(9):
            assert sha256(message, filler, start) == hashlib.sha256(message).digest()


@COMPILES
@given(st.binary(max_size=4096), st.integers(0, 15))
def test_any_message_is_hashed_as_the_library_does(message: bytes, start: int) -> None:
    once = hashlib.sha256(message).digest()
    assert sha256(message, 0xA5, start) == once
    assert plain(message) == once
    assert sha256d(message, 0x5A, start) == hashlib.sha256(once).digest()


def test_a_megabyte_is_hashed_as_the_library_does() -> None:
    message = np.random.default_rng(7).bytes((1 << 20) + 13)
    assert sha256(message) == plain(message) == hashlib.sha256(message).digest()


@COMPILES
@given(st.binary(min_size=32, max_size=32), st.binary(min_size=64, max_size=640), st.integers(0, 7))
def test_both_paths_fold_any_state_alike(state: bytes, data: bytes, offset: int) -> None:
    """From a state that no message begins with, too: no path may take shortcuts of its own."""
    folded = []
    for path in (compress_chosen, kernels.compress_plain):
        words = np.frombuffer(state, np.uint32).copy()
        padded = np.frombuffer(bytearray(bytes(offset) + data), np.uint8)
        path(words, padded, offset, len(data) // 64)
        folded.append(words.tolist())
    assert folded[0] == folded[1]


def test_folding_no_blocks_changes_nothing() -> None:
    for path in (compress_chosen, kernels.compress_plain):
        words = kernels.INITIAL_STATE.copy()
        path(words, np.zeros(64, np.uint8), 0, 0)
        assert words.tolist() == kernels.INITIAL_STATE.tolist()


def test_the_constants_are_those_of_the_standard() -> None:
    """FIPS 180-4, 4.2.2 and 5.3.3: first and last of each."""
    assert kernels.ROUND_CONSTANTS[0] == 0x428A2F98
    assert kernels.ROUND_CONSTANTS[63] == 0xC67178F2
    assert len(kernels.ROUND_CONSTANTS) == 64
    assert kernels.INITIAL_STATE.tolist()[::7] == [0x6A09E667, 0x5BE0CD19]
