"""The hash tables against a dictionary: limits, leftovers of batches that failed, forgetting."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from calibar.kernels import index
from calibar.kernels.compiled import kernel, u64

Bytes = NDArray[np.uint8]
I64 = NDArray[np.int64]

SLOTS = 64
COMPILES = settings(deadline=None)  # at the first call


@kernel
def lookup(slots: index.Slots, wanted: Bytes, stored: Bytes, batch: Bytes, limit: int, out: I64) -> None:
    """Largest id below `limit` of each txid of `wanted`."""
    flat = wanted.reshape(-1)
    for row in range(wanted.shape[0]):
        out[row] = index.find_txid(slots, flat, 32 * row, stored, batch, stored.shape[0], limit)


@kernel
def same(data: Bytes, at: int, length: int, starts: I64, scripts: Bytes, identity: int) -> bool:
    return index.same_script(data, at, length, starts, scripts, identity)


@kernel
def held(slots: index.Slots) -> int:
    return index.slot_id(slots[0])


@kernel
def enter(slots: index.Slots, key: int, identity: int) -> int:
    """The id in the last slot after `identity` went in."""
    index.insert(slots, key, identity)
    return index.slot_id(slots[slots.size - 1])


def txids(choices: list[int]) -> Bytes:
    """Txids from few: equal choices are equal, and all crowd into few slots of the table.

    A txid's low bits choose the slot, bits 40 to 63 are the fingerprint; choices with equal `n // 4` share both.
    """
    rows = np.zeros((len(choices), 32), np.uint8)
    for row, n in zip(rows, choices, strict=True):
        key = (n // 4 % 3) << 40 | (n % 2) << 20 | 60 + n % 3
        row[:8] = np.frombuffer(key.to_bytes(8, "little"), np.uint8)
        row[8:12] = np.frombuffer(n.to_bytes(4, "little"), np.uint8)
    return rows


def find(slots: index.Slots, wanted: Bytes, stored: Bytes, limit: int, base: int | None = None) -> list[int]:
    base = limit if base is None else base
    out = np.empty(wanted.shape[0], np.int64)
    lookup(slots, wanted, stored[:base], stored[base:], limit, out)
    return [int(n) for n in out]


def expected(choices: list[int], wanted: range, limit: int) -> list[int]:
    latest = {n: row for row, n in enumerate(choices[:limit])}
    return [latest.get(n, -1) for n in wanted]


ALL = range(24)
few = st.lists(st.sampled_from(ALL), max_size=38)


@COMPILES
@given(few, st.data())
def test_every_limit_answers_as_a_dictionary_of_that_time(choices: list[int], data: st.DataObject) -> None:
    slots, rows = np.zeros(SLOTS, np.uint64), txids(choices)
    index.enter_txids(slots, rows, 0, len(choices))
    limit = data.draw(st.integers(0, len(choices)))
    base = data.draw(st.integers(0, limit))
    assert find(slots, txids(list(ALL)), rows, limit, base) == expected(choices, ALL, limit)


@COMPILES
@given(few, few, st.data())
def test_what_a_failed_batch_left_is_never_found_and_gives_way(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    """Ids from `keep` on are given up, without cleaning, and used again by other txids."""
    slots = np.zeros(SLOTS, np.uint64)
    index.enter_txids(slots, txids(first), 0, len(first))
    keep = data.draw(st.integers(0, len(first)))
    assert find(slots, txids(list(ALL)), txids(first), keep) == expected(first, ALL, keep)
    if data.draw(st.booleans(), "forget"):
        gone = index.forget_from(slots, keep)
        assert gone == len(first) - keep
        assert int((slots != 0).sum()) == keep
    choices = first[:keep] + second[: 38 - keep]
    rows = txids(choices)
    index.enter_txids(slots, rows, keep, len(choices))
    for limit in {keep, len(choices)}:
        assert find(slots, txids(list(ALL)), rows, limit) == expected(choices, ALL, limit)


@COMPILES
@given(few, st.data())
def test_candidates_hold_every_id_of_the_txid(choices: list[int], data: st.DataObject) -> None:
    slots, rows = np.zeros(SLOTS, np.uint64), txids(choices)
    index.enter_txids(slots, rows, 0, len(choices))
    limit = data.draw(st.integers(0, len(choices)))
    out = np.empty(64, np.int64)
    for n in ALL:
        key = u64(int.from_bytes(txids([n])[0, :8].tobytes(), "little"))
        found = set(out[: index.find_candidates(slots, key, limit, out)].tolist())
        assert {row for row, m in enumerate(choices[:limit]) if m == n} <= found <= set(range(limit))


def test_candidates_stop_at_the_room_given() -> None:
    slots, rows = np.zeros(SLOTS, np.uint64), txids([4] * 10)
    index.enter_txids(slots, rows, 0, 10)
    key = u64(int.from_bytes(rows[0, :8].tobytes(), "little"))
    out = np.full(5, -7, np.int64)
    assert index.find_candidates(slots, key, 10, out[:3]) == 3
    assert out.tolist() == [0, 1, 2, -7, -7]


@COMPILES
@given(st.lists(st.binary(max_size=12), max_size=38, unique=True), st.data())
def test_scripts_are_found_by_their_hash(scripts: list[bytes], data: st.DataObject) -> None:
    slots, out = np.zeros(SLOTS, np.uint64), np.empty(64, np.int64)
    ends = np.cumsum([0, *map(len, scripts)]).astype(np.int64)
    joined = np.frombuffer(b"".join(scripts) + b"\0", np.uint8)
    index.enter_scripts(slots, ends, joined, 0, len(scripts))
    limit = data.draw(st.integers(0, len(scripts)))
    for identity, script in enumerate(scripts):
        key = u64(int.from_bytes(hashlib.sha256(script).digest()[:8], "big"))
        found = out[: index.find_candidates(slots, key, limit, out)].tolist()
        assert found == ([identity] if identity < limit else [])


def test_a_script_is_its_bytes_and_its_length() -> None:
    ends = np.array([0, 3, 5, 5], np.int64)
    joined = np.frombuffer(b"abcdex", np.uint8)
    for text in (b"abc", b"abd", b"ab", b"de", b"d", b"dex", b""):
        padded = np.frombuffer(b"\xee" + text + b"\xee", np.uint8)
        assert [bool(same(padded, 1, len(text), ends, joined, identity)) for identity in range(3)] == [
            text == stored for stored in (b"abc", b"de", b"")
        ]


def test_the_largest_id_fits_a_slot() -> None:
    slots = np.zeros(4, np.uint64)

    for identity in (0, 1, 2**32, index.MAX_ID):
        slots[:] = 0
        assert enter(slots, u64(0xFFFFFFFFFFFFFFFF), identity) == identity
        assert int(slots[3]) >> 40 == 0xFFFFFF
    assert held(slots[:1]) == -1


def test_spends_of_given_up_inputs_are_cleared() -> None:
    unspent = 2**63 - 1
    spent_by = np.array([0, 5, unspent, 7, 4, unspent], np.int64)
    assert index.clear_spends_from(spent_by, 5, unspent) == 2
    assert spent_by.tolist() == [0, unspent, unspent, unspent, 4, unspent]


@COMPILES
@given(st.lists(st.integers(0, 5), max_size=30))
def test_the_latest_coin_of_each_address(owners: list[int]) -> None:
    heads = np.full(6, -1, np.int64)
    index.rebuild_last_coin(heads, np.array(owners, np.int64))
    assert heads.tolist() == [max((i for i, o in enumerate(owners) if o == owner), default=-1) for owner in range(6)]
