"""Merkle roots in kernels against a plain reckoning, and lists that share a root."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.kernels.blocks import merkle_root


def sha256d(data: bytes) -> bytes:
    return hashlib.sha256(hashlib.sha256(data).digest()).digest()


def naive_root(leaves: list[bytes]) -> bytes:
    while len(leaves) > 1:
        if len(leaves) % 2:
            leaves = [*leaves, leaves[-1]]
        leaves = [sha256d(leaves[i] + leaves[i + 1]) for i in range(0, len(leaves), 2)]
    return leaves[0]


def root_of(leaves: list[bytes]) -> tuple[bytes, bool]:
    """Root and whether leaves were found twice; one row of room beyond, as the decoder gives."""
    hashes = np.full((len(leaves) + 2, 32), 0xEE, np.uint8)
    hashes[: len(leaves)] = np.frombuffer(b"".join(leaves), np.uint8).reshape(-1, 32)
    out = np.full(64, 0xDD, np.uint8)
    mutated = merkle_root(hashes, len(leaves), out, 16, np.empty(8, np.uint32), np.empty(128, np.uint8))
    assert (hashes[len(leaves) + 1] == 0xEE).all()
    assert (out[:16] == 0xDD).all()
    assert (out[48:] == 0xDD).all()
    return out[16:48].tobytes(), bool(mutated)


def numbered(count: int) -> list[bytes]:
    return [sha256d(bytes([n % 256, n // 256])) for n in range(count)]


@pytest.mark.parametrize("count", [*range(1, 70), 255, 256, 257, 1000, 2001])
def test_the_root_of_any_number_of_leaves(count: int) -> None:
    assert root_of(numbered(count)) == (naive_root(numbered(count)), False)


@settings(deadline=None)  # the first call compiles
@given(st.lists(st.binary(min_size=32, max_size=32), min_size=1, max_size=40, unique=True))
def test_different_leaves_are_never_called_duplicates(leaves: list[bytes]) -> None:
    assert root_of(leaves) == (naive_root(leaves), False)


@pytest.mark.parametrize("count", [1, 2, 3, 5, 6, 7, 9, 10, 11, 12, 13])
def test_a_list_lengthened_under_the_same_root_is_noticed(count: int) -> None:
    """CVE-2012-2459: repeat what an odd row repeats anyway."""
    leaves = numbered(count)
    step = 1
    while (count // step) % 2 == 0:
        step *= 2
    longer = leaves + leaves[-step:]
    if count == step:  # a full tree has no lengthening; its doubling has another root, but is noticed all the same
        assert root_of(longer)[1]
        return
    assert naive_root(longer) == naive_root(leaves)
    assert root_of(leaves)[1] is False
    assert root_of(longer) == (naive_root(leaves), True)


def test_equal_leaves_that_are_no_pair_are_no_duplicates() -> None:
    a, b = numbered(2)
    assert root_of([a, b, a, b])[1], "the two pairs are equal one row up"
    assert not root_of([b, a, a])[1]
    assert root_of([b, a, a, a])[1]


def test_the_root_of_block_100000_of_mainnet() -> None:
    """Four txids and the root, as every block explorer shows them."""
    shown = [
        "8c14f0db3df150123e6f3dbbf30f8b955a8249b62ac1d1ff16284aefa3d06d87",
        "fff2525b8931402dd09222c50775608f75787bd2b87e56995a7bdd30f79702c4",
        "6359f0868171b1d194cbee1af2f16ea598ae8fad666d9b012c8ed2b79a236ec4",
        "e9a66845e05d5abc0ad04ec80f774a7e585c6e8db975962d069a522137b80c1d",
    ]
    root, duplicates = root_of([bytes.fromhex(text)[::-1] for text in shown])
    assert root[::-1].hex() == "f3e94742aca4b5ef85488dc37c06c3282295ffec960994b2c0d5ac2a25a95766"
    assert not duplicates
