"""Choose the best chain among found blocks: the one with the most work, the first seen where two have the same."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from calibar.chains.bitcoin.blockfile import FoundBlock, header_work
from calibar.chains.bitcoin.networks import Network
from calibar.errors import ChainError, UsageError


@dataclass(frozen=True, slots=True)
class KnownChain:
    """What a ledger already holds: `heights` by block hash (wire order), cumulative `work` by height from `base`."""

    heights: Mapping[bytes, int]
    work: Sequence[int]
    base: int = 0

    @property
    def tip_work(self) -> int:
        """Work of the whole chain, 0 where it is empty."""
        return self.work[-1] if len(self.work) else 0


@dataclass(frozen=True, slots=True)
class BestChain:
    """Blocks to add after `fork` (the height of the last block kept, base - 1 where none is), with cumulative work."""

    fork: int
    blocks: list[FoundBlock]
    work: list[int]
    stale: int
    """Found blocks that connect but lie on a losing branch."""
    waiting: list[FoundBlock]
    """Found blocks whose ancestors are missing."""


def best_chain(found: Sequence[FoundBlock], known: KnownChain, network: Network, *, island: bool) -> BestChain:
    """The chain to follow: the known one, or the found one with more work.

    A chain begins at the network's genesis block; a new island at any block whose parent was not found.
    Raises UsageError where nothing connects, ChainError where the first block is not the network's.
    """
    genesis = bytes.fromhex(network.genesis)[::-1]
    children: dict[bytes, list[FoundBlock]] = {}
    hashes = {block.hash for block in found}
    reached: dict[bytes, tuple[int, int]] = {}  # hash -> (cumulative work, height)
    roots: list[FoundBlock] = []
    for block in found:
        if block.hash in known.heights:
            continue
        children.setdefault(block.previous, []).append(block)
        if known.heights:
            if block.previous in known.heights:
                roots.append(block)
        elif block.hash == genesis or (island and block.previous not in hashes):
            roots.append(block)
    if not known.heights and not roots:
        first = found[0]
        if not any(first.previous):
            raise ChainError(
                f"block {first.name} has no parent but is not {network.name}'s genesis {network.genesis}; "
                f"this is another chain, or --network is wrong"
            )
        raise UsageError(
            f"the blocks do not begin at {network.name}'s genesis (the first found is {first.name}); "
            f"give all block files, or --island for a run that starts later"
        )
    best_work, best_block, best_height = known.tip_work, None, known.base + len(known.work) - 1
    stack = list(reversed(roots))
    while stack:
        block = stack.pop()
        at = known.heights.get(block.previous)
        if at is not None:
            work, height = known.work[at - known.base], at
        else:
            work, height = reached.get(block.previous, (0, known.base - 1))
        reached[block.hash] = (work + header_work(block.header), height + 1)
        stack.extend(reversed(children.get(block.hash, ())))
    by_hash = {block.hash: block for block in found}
    for block in found:  # in the order found, so that the first seen wins a tie
        if block.hash in reached and reached[block.hash][0] > best_work:
            (best_work, best_height), best_block = reached[block.hash], block
    path: list[FoundBlock] = []
    while best_block is not None:
        path.append(best_block)
        best_block = by_hash.get(best_block.previous) if best_block.previous in reached else None
    path.reverse()
    waiting = [b for b in found if b.hash not in reached and b.hash not in known.heights]
    return BestChain(
        fork=best_height - len(path),
        blocks=path,
        work=[reached[b.hash][0] for b in path],
        stale=len(reached) - len(path),
        waiting=waiting,
    )
