"""The chain to follow among found headers: most work, first seen, whatever order they were found in."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin.blockfile import FoundBlock, check_proof_of_work, header_work
from calibar.chains.bitcoin.headers import BestChain, KnownChain, best_chain
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import Header
from calibar.errors import ChainError, UsageError
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]
EASY, HARD = 0x207FFFFF, 0x1F7FFFFF
"""Two hashes a block, and 512."""
NOTHING = KnownChain({}, [])


def found(header: Header) -> FoundBlock:
    return FoundBlock(bytes.fromhex(header.hash)[::-1], header.serialise(), 0, 0, 81)


GENESIS = found(genesis().header)


def on(parent: FoundBlock, name: int = 0, bits: int = EASY) -> FoundBlock:
    """A block of that name after `parent`; nobody worked on it, which is the reader's business to check."""
    return found(Header(1, parent.name, "00" * 32, name, bits))


def line(start: FoundBlock, length: int, name: int = 0, bits: int = EASY) -> list[FoundBlock]:
    blocks = [start]
    for _ in range(length):
        blocks.append(on(blocks[-1], name, bits))
    return blocks[1:]


def known(*blocks: FoundBlock, base: int = 0) -> KnownChain:
    work, total = [], 0
    for block in blocks:
        total += header_work(block.header)
        work.append(total)
    return KnownChain({block.hash: base + i for i, block in enumerate(blocks)}, work, base)


def choose(blocks: list[FoundBlock], ledger: KnownChain = NOTHING, *, island: bool = False) -> BestChain:
    return best_chain(blocks, ledger, REGTEST, island=island)


MAIN = [GENESIS, *line(GENESIS, 4)]


def test_a_chain_is_put_in_order() -> None:
    chain = choose([MAIN[3], MAIN[0], MAIN[4], MAIN[2], MAIN[1]])
    assert chain.blocks == MAIN
    assert chain.work == [2, 4, 6, 8, 10]
    assert (chain.fork, chain.stale, chain.waiting) == (-1, 0, [])


def test_the_longer_of_two_branches_wins() -> None:
    side = line(MAIN[1], 5, name=1)
    for blocks in (MAIN + side, side + MAIN, [*reversed(side), *reversed(MAIN)]):
        chain = choose(blocks)
        assert chain.blocks == MAIN[:2] + side
        assert chain.stale == 3


def test_of_two_equal_branches_the_first_seen_wins() -> None:
    side = line(MAIN[2], 2, name=1)
    assert choose(MAIN + side).blocks == MAIN
    assert choose(MAIN[:3] + side + MAIN[3:]).blocks == MAIN[:3] + side
    assert choose([GENESIS, side[1], *MAIN[1:], side[0]]).blocks == MAIN[:3] + side


def test_work_counts_and_not_the_number_of_blocks() -> None:
    hard = on(MAIN[1], 1, HARD)
    chain = choose([*MAIN, *line(MAIN[4], 100), hard])
    assert chain.blocks == [*MAIN[:2], hard]
    assert chain.work[-1] == 4 + 512
    assert chain.stale == 103


def test_a_known_chain_is_continued() -> None:
    chain = choose(MAIN, known(*MAIN[:3]))
    assert chain.blocks == MAIN[3:]
    assert (chain.fork, chain.work) == (2, [8, 10])


def test_a_known_chain_stays_where_nothing_has_more_work() -> None:
    for blocks in (MAIN, MAIN[:2], line(MAIN[2], 2, name=1), line(MAIN[0], 3, name=1)):
        chain = choose(blocks, known(*MAIN))
        assert (chain.fork, chain.blocks, chain.work) == (4, [], [])


def test_a_known_chain_gives_way_to_more_work() -> None:
    side = line(MAIN[2], 3, name=1)
    chain = choose(side[::-1], known(*MAIN))
    assert (chain.fork, chain.blocks, chain.work) == (2, side, [8, 10, 12])


def test_a_losing_branch_is_stale_and_a_parentless_block_waits() -> None:
    lost = on(line(GENESIS, 1, name=9)[0], 9)
    chain = choose([*MAIN, lost, on(MAIN[2], 1)])
    assert chain.blocks == MAIN
    assert (chain.stale, chain.waiting) == (1, [lost])


def test_a_chain_that_begins_elsewhere_is_refused() -> None:
    with pytest.raises(UsageError, match="--island"):
        choose(MAIN[1:])
    other = found(replace(genesis().header, nonce=7))
    with pytest.raises(ChainError, match=f"{other.name} has no parent but is not regtest's genesis"):
        choose([other])


def test_an_island_begins_at_any_block_whose_parent_was_not_found() -> None:
    chain = choose(MAIN[2:][::-1], island=True)
    assert chain.blocks == MAIN[2:]
    assert (chain.fork, chain.work, chain.waiting) == (-1, [2, 4, 6], [])


def test_of_two_islands_the_one_with_more_work_is_taken() -> None:
    far = line(on(on(on(MAIN[4], 5), 5), 5), 1)
    chain = choose(MAIN[1:3] + far, island=True)
    assert chain.blocks == MAIN[1:3]


def test_heights_of_an_island_go_on_from_its_base() -> None:
    chain = choose(MAIN[3:], known(MAIN[2], base=700))
    assert (chain.fork, chain.blocks, chain.work) == (700, MAIN[3:], [4, 6])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 12), st.sampled_from([EASY, HARD])), max_size=12),
    st.integers(0, 12),
    st.randoms(use_true_random=False),
)
def test_any_tree_in_any_order_yields_the_most_work(tree: list[tuple[int, int]], kept: int, dice: object) -> None:
    blocks = [GENESIS]
    for name, (parent, bits) in enumerate(tree):
        blocks.append(on(blocks[parent % len(blocks)], name, bits))
    parents = {block.hash: block.previous for block in blocks}
    by_hash = {block.hash: block for block in blocks}

    def branch(block: FoundBlock) -> list[FoundBlock]:
        path = [block]
        while (parent := by_hash.get(parents[path[-1].hash])) is not None:
            path.append(parent)
        return path[::-1]

    def work(block: FoundBlock) -> int:
        return sum(header_work(step.header) for step in branch(block))

    most = max(map(work, blocks))
    dice.shuffle(blocks)  # type: ignore[attr-defined]
    ledger = branch(by_hash[blocks[kept % len(blocks)].hash])
    for held in ([], ledger):
        chain = choose(blocks, known(*held))
        kept_blocks = held[: chain.fork + 1]
        whole = kept_blocks + chain.blocks
        assert work(whole[-1]) == most
        assert whole == branch(whole[-1])
        assert all(later.previous == earlier.hash for earlier, later in pairwise(whole))
        assert chain.work == [work(block) for block in chain.blocks]
        first = next(block for block in blocks if work(block) == most)
        assert whole[-1] in (first, *held[-1:])
        assert chain.waiting == []
        if held and most == work(held[-1]):
            assert chain.blocks == []


@pytest.mark.parametrize(
    ("bits", "target"),
    [
        (0x1D00FFFF, 0xFFFF << 208),
        (0x207FFFFF, 0x7FFFFF << 232),
        (0x01003456, 0),
        (0x01123456, 0x12),
        (0x02008000, 0x80),
        (0x05009234, 0x92340000),
        (0x04923456, 0),
        (0x04123456, 0x12345600),
        (0xFF123456, 0),
    ],
)
def test_a_compact_difficulty_means_what_core_says(bits: int, target: int) -> None:
    """Core's `arith_uint256_tests`: negative and overflowing ones mean nothing."""
    header = Header(1, "00" * 32, "00" * 32, 0, bits)
    assert header_work(header.serialise()) == (1 << 256) // (target + 1)
    if target == 0 or target > REGTEST.pow_limit:
        with pytest.raises(ChainError, match="claims a difficulty"):
            check_proof_of_work(header.serialise(), REGTEST)
