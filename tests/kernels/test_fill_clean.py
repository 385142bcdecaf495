"""Labelling the clean part of a list is what labelling its units one by one is."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.facts import integers
from calibar.kernels import cuts, holders

PIECES = st.lists(st.tuples(st.integers(-1, 2), st.integers(1, 4)), min_size=1, max_size=6)
CLEAN = -1


def by_unit(pieces: list[tuple[int, int]], label: int, skip: int, most: int) -> tuple[list[int], int]:
    """Units in order, and how many were labelled."""
    units = [owner for owner, amount in pieces for _ in range(amount)]
    clean = [at for at, owner in enumerate(units) if owner == CLEAN][skip : skip + most]
    for at in clean:
        units[at] = label
    return units, len(clean)


def spread(rows: list[tuple[int, int]]) -> list[int]:
    return [owner for owner, amount in rows for _ in range(amount)]


@settings(deadline=None)
@given(PIECES, st.integers(0, 6), st.integers(0, 8))
def test_of_coins(pieces: list[tuple[int, int]], skip: int, most: int) -> None:
    rows = [(cuts.CLEAN if owner == CLEAN else owner, amount) for owner, amount in pieces]
    segments, spare = np.zeros((40, 2), np.int64), np.zeros((40, 2), np.int64)
    segments[: len(rows)] = rows
    end, given_ = cuts.fill_clean(segments, 0, len(rows), 7, skip, most, spare)
    units, wanted = by_unit(pieces, 7, skip, most)
    found = [(CLEAN if owner == cuts.CLEAN else owner, amount) for owner, amount in segments[:end].tolist()]
    assert (spread(found), given_) == (units, wanted)
    assert end <= len(rows) + 2


@settings(deadline=None)
@given(PIECES, st.integers(0, 6), st.integers(0, 8))
def test_of_holders(pieces: list[tuple[int, int]], skip: int, most: int) -> None:
    u64: Any = np.uint64
    line, spare = (np.zeros((40, holders.SEGMENT), np.uint64) for _ in range(2))
    end = 0
    for owner, amount in pieces:
        code = holders.CLEAN if owner == CLEAN else holders.coded(owner, 0)
        end = holders.write(line, 0, end, u64(code), u64(amount), u64(0))
    zero = u64(0)
    end, taken, _ = holders.fill_clean(line, end, 7, u64(skip), zero, u64(most), zero, spare)
    units, wanted = by_unit(pieces, 7, skip, most)
    owners = [label if label >= 0 else CLEAN for label in holders.label_of(line[:end, holders.CODE]).tolist()]
    amounts = integers(np.pad(line[:end, holders.AMOUNT :], ((0, 0), (0, 2))))
    assert (spread(list(zip(owners, amounts, strict=True))), int(taken)) == (units, wanted)
