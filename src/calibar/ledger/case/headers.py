"""Headers from servers, made into chains: each names the one before, has its work, and leads to a known block.

A stretch of headers stands on a known block (`chains/bitcoin/anchors.py`, or one that the operator names) above or
below it: below, the hashes alone lead back to it; above it, only work does, and by the network's rules of difficulty.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from calibar.chains.bitcoin.blockfile import HEADER, check_proof_of_work, header_work, target_of
from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.transaction import compact_target
from calibar.errors import ChainError

PERIOD: Final = 2016
_TIMESPAN: Final = 14 * 24 * 3600


@dataclass(slots=True)
class HeaderChain:
    """The headers of one network that are known so far, by height."""

    network: Network
    anchors: Mapping[int, bytes]
    """Hash in wire order of blocks that are taken as known."""
    headers: dict[int, bytes] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)
    left: list[int] = field(default_factory=list)
    """Heights whose block another branch has taken since they were asked for last; see `withdrawn`."""

    @property
    def top(self) -> int:
        """Height of the last known header, -1 where there is none."""
        return max(self.headers, default=-1)

    def add(self, first: int, data: bytes) -> None:
        """Take in headers of consecutive heights. A branch with more work takes the place of what is known above it.

        Raises ChainError for headers without work, that do not follow each other, that break the rules of difficulty,
        or that contradict a known block.
        """
        rows = [data[at : at + HEADER] for at in range(0, len(data), HEADER)]
        if not rows or len(rows[-1]) != HEADER or first < 0:
            raise ChainError(f"headers from height {first} are cut off")
        hashes = [self._checked(height, row) for height, row in enumerate(rows, first)]
        for height, (before, row) in enumerate(zip(hashes, rows[1:], strict=False), first + 1):
            if row[4:36] != before:
                raise ChainError(f"the header of height {height} does not follow the one before it")
        for height, (a, b) in enumerate(pairwise(rows), first + 1):
            self._check_difficulty(height, a, b)
        self._join(first, rows, hashes)

    def _checked(self, height: int, row: bytes) -> bytes:
        try:
            digest = check_proof_of_work(row, self.network)
        except ChainError as error:
            raise ChainError(f"the header of height {height} {error}") from None
        if height in self.anchors and self.anchors[height] != digest:
            raise ChainError(
                f"the header of height {height} is {digest[::-1].hex()}, but {self.network.name} has "
                f"{self.anchors[height][::-1].hex()} there: it is another chain's"
            )
        return digest

    def _join(self, first: int, rows: list[bytes], hashes: list[bytes]) -> None:
        below, last = self.hashes.get(first - 1), first + len(rows) - 1
        if below is not None and rows[0][4:36] != below:
            raise ChainError(f"the header of height {first} does not follow the known one before it")
        if below is not None:
            self._check_difficulty(first, self.headers[first - 1], rows[0])
        differ = next((h for h, digest in enumerate(hashes, first) if self.hashes.get(h, digest) != digest), None)
        if differ is not None:
            self._take_branch(differ, first, rows)
        above = self.headers.get(last + 1)
        if above is not None and above[4:36] != hashes[-1]:
            raise ChainError(f"the known header of height {last + 1} does not follow the one of height {last}")
        for height, (row, digest) in enumerate(zip(rows, hashes, strict=True), first):
            self.headers[height], self.hashes[height] = row, digest

    def _take_branch(self, fork: int, first: int, rows: list[bytes]) -> None:
        """Give up what is known from `fork` on, where the new headers have more work from there."""
        known = [self.headers[h] for h in self._run(fork)]
        new = rows[fork - first :]
        if any(h >= fork for h in self.anchors) and any(h in self.headers for h in self.anchors if h >= fork):
            raise ChainError(f"the header of height {fork} is not the one that leads to a known block")
        if sum(map(header_work, new)) <= sum(map(header_work, known)):
            raise ChainError(f"the header of height {fork} is of a branch with no more work than the known one")
        for height in [h for h in self.headers if h >= fork]:
            del self.headers[height], self.hashes[height]
            self.left.append(height)

    def _run(self, height: int) -> Iterator[int]:
        while height in self.headers:
            yield height
            height += 1

    def _check_difficulty(self, height: int, before: bytes, row: bytes) -> None:
        """As far as the headers at hand show it; mainnet's and signet's rules, the test networks allow exceptions."""
        if self.network.name not in ("mainnet", "signet"):
            return
        old, new = (int.from_bytes(header[72:76], "little") for header in (before, row))
        if height % PERIOD:
            if old != new:
                raise ChainError(f"the header of height {height} changes the difficulty where it may not")
            return
        opening = self.headers.get(height - PERIOD)
        if target_of(new) > min(4 * target_of(old), self.network.pow_limit):
            raise ChainError(f"the header of height {height} makes mining easier than the rules allow")
        if opening is not None:
            took = int.from_bytes(before[68:72], "little") - int.from_bytes(opening[68:72], "little")
            took = min(max(took, _TIMESPAN // 4), _TIMESPAN * 4)
            wanted = min(target_of(old) * took // _TIMESPAN, self.network.pow_limit)
            if compact_target(wanted) != new:
                raise ChainError(f"the header of height {height} has another difficulty than the rules give")

    def is_anchored(self, height: int) -> bool:
        """Whether the header of a height is there and known headers lead from it to a known block, up or down."""
        return height in self.headers and (self._leads(height, 1) or self._leads(height, -1))

    def _leads(self, height: int, step: int) -> bool:
        while height in self.headers:
            if height in self.anchors:
                return True
            height += step
        return False

    def missing(self, heights: set[int]) -> list[tuple[int, int]]:
        """Runs (first, count) of headers that are missing between those heights and the nearest known blocks.

        A stretch between two known blocks hangs on the upper one; above the last one it stands on it.
        """
        wanted: set[int] = set()
        for height in heights:
            if self.is_anchored(height):
                continue
            above = [h for h in self.anchors if h >= height]
            below = [h for h in self.anchors if h <= height]
            if above and (not below or min(above) - height <= 4 * (height - max(below))):
                wanted.update(range(height, min(above) + 1))
            elif below:
                wanted.update(range(max(below), height + 1))
        missing = sorted(wanted - self.headers.keys())
        runs: list[tuple[int, int]] = []
        for height in missing:
            if runs and runs[-1][0] + runs[-1][1] == height and runs[-1][1] < PERIOD:
                runs[-1] = (runs[-1][0], runs[-1][1] + 1)
            else:
                runs.append((height, 1))
        return runs

    def withdrawn(self) -> list[int]:
        """Heights that another branch took since this was asked last."""
        left, self.left = sorted(set(self.left)), []
        return left
