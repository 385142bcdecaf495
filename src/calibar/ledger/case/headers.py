"""Headers from servers, made into a chain: nothing is taken that does not lead to a block that is taken as known.

Up to the highest known block (`chains/bitcoin/anchors.py`, or one that the operator names) a header counts only where
the hashes of headers lead from it *up* to a known block: work could be had there too cheaply. Above it a header counts
where it follows the chain from there, with its work, under the network's rules of difficulty; of two branches the one
with more work. Headers that lead nowhere yet are not taken, which is no fault of whoever told them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from calibar.chains.bitcoin.blockfile import HEADER, check_proof_of_work, header_work, target_of
from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.transaction import compact_target
from calibar.errors import ChainError

PERIOD: Final = 2016
_TIMESPAN: Final = 14 * 24 * 3600
_LOOSE: Final = 100
"""Runs of headers that lead nowhere yet and are remembered."""
_FARTHEST: Final = {"mainnet": 1_000_000}
_FARTHEST_ELSEWHERE: Final = 8_000_000
"""Blocks that a chain may have above the highest known one: more are not believed, nor asked for."""


@dataclass(slots=True)
class HeaderChain:
    """The headers of one network that lead to known blocks, by height."""

    network: Network
    anchors: Mapping[int, bytes]
    """Hash in wire order of blocks that are taken as known; genesis among them."""
    headers: dict[int, bytes] = field(default_factory=dict)
    hashes: dict[int, bytes] = field(default_factory=dict)
    lowest: dict[int, int] = field(default_factory=dict)
    """Of each known block: how far down headers lead to it without a gap."""
    top: int = -1
    """Height of the highest header above the highest known block, or of that block; -1 where it is not here."""
    _loose: list[tuple[int, list[bytes], list[bytes]]] = field(default_factory=list)
    """Headers that follow each other and lead nowhere yet."""
    left: list[int] = field(default_factory=list)
    """Heights whose block another branch has taken since they were asked for last; see `withdrawn`."""

    @property
    def highest(self) -> int:
        """Height of the highest known block."""
        return max(self.anchors)

    @property
    def farthest(self) -> int:
        """Heights above this are not believed."""
        return self.highest + _FARTHEST.get(self.network.name, _FARTHEST_ELSEWHERE)

    def add(self, first: int, data: bytes) -> bool:
        """Take in headers of consecutive heights; whether they lead to a known block. A branch with more work takes the
        place of what is known above its fork.

        Raises ChainError for headers without work, that do not follow each other, that break the rules of difficulty,
        or that contradict a known block: those cannot be true.
        """
        rows = [data[at : at + HEADER] for at in range(0, len(data), HEADER)]
        if not rows:
            return False
        if len(rows[-1]) != HEADER or first < 0 or first + len(rows) > self.farthest:
            raise ChainError(f"headers from height {first} are cut off, or higher than can be")
        hashes = [self._checked(height, row) for height, row in enumerate(rows, first)]
        for height, (before, row) in enumerate(zip(hashes, rows[1:], strict=False), first + 1):
            if row[4:36] != before:
                raise ChainError(f"the header of height {height} does not follow the one before it")
        had = len(self.headers), self.top
        taken = self._take(first, rows, hashes)
        if not taken and len(self._loose) < _LOOSE:
            self._loose.append((first, rows, hashes))
        while self._loose and had != (len(self.headers), self.top):  # answers come in any order
            had = len(self.headers), self.top
            self._loose = [piece for piece in self._loose if not self._take(*piece)]
        return taken

    def _take(self, first: int, rows: list[bytes], hashes: list[bytes]) -> bool:
        split = min(max(self.highest + 1 - first, 0), len(rows))
        below = self._hang(first, rows[:split], hashes[:split]) if split else True
        above = self._pile(first + split, rows[split:], hashes[split:]) if split < len(rows) else True
        return below and above

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

    # Up to the highest known block: from above to below.

    def _hang(self, first: int, rows: list[bytes], hashes: list[bytes]) -> bool:
        """Take those that lead up to a known block; whether all of them do."""
        taken = 0
        for height, row, digest in reversed(list(zip(range(first, first + len(rows)), rows, hashes, strict=True))):
            above = self.headers.get(height + 1)
            if height in self.anchors or (above is not None and above[4:36] == digest):
                self.headers[height], self.hashes[height] = row, digest
                known = self._above(height)
                self.lowest[known] = min(self.lowest.get(known, known), height)
                taken += 1
        if self.top < 0 and self.highest in self.headers:
            self.top = self.highest
        return taken == len(rows)

    def _above(self, height: int) -> int:
        known = sorted(self.anchors)
        return known[bisect_left(known, height)]

    # Above it: from below to above.

    def _pile(self, first: int, rows: list[bytes], hashes: list[bytes]) -> bool:
        """Take those that follow the chain from the highest known block."""
        while rows and self.hashes.get(first) == hashes[0]:  # known already
            first, rows, hashes = first + 1, rows[1:], hashes[1:]
        if not rows:
            return True
        below = self.hashes.get(first - 1, self.anchors.get(first - 1))
        if below is None or rows[0][4:36] != below:
            return False
        if not self._has_difficulty(first, rows):
            return False
        known = [self.headers[height] for height in range(first, self.top + 1)]
        if sum(map(header_work, rows)) <= sum(map(header_work, known)):
            return False
        for height in range(first, self.top + 1):
            del self.headers[height], self.hashes[height]
            self.left.append(height)
        for height, (row, digest) in enumerate(zip(rows, hashes, strict=True), first):
            self.headers[height], self.hashes[height] = row, digest
        self.top = first + len(rows) - 1
        return True

    def _has_difficulty(self, first: int, rows: list[bytes]) -> bool:
        """Whether headers have the difficulty that the rules give; False where what that rests on is not here yet.

        Mainnet's and signet's rules; the test networks allow exceptions. Source: Bitcoin Core, src/pow.cpp.
        """
        if self.network.name not in ("mainnet", "signet"):
            return True

        def header(height: int) -> bytes | None:
            return rows[height - first] if height >= first else self.headers.get(height)

        for height, row in enumerate(rows, first):
            before, opening = header(height - 1), header(height - PERIOD)
            if before is None or (height % PERIOD == 0 and opening is None):
                return False
            old, new = (int.from_bytes(each[72:76], "little") for each in (before, row))
            if height % PERIOD:
                if old != new:
                    raise ChainError(f"the header of height {height} changes the difficulty where it may not")
            elif opening is not None:
                took = int.from_bytes(before[68:72], "little") - int.from_bytes(opening[68:72], "little")
                took = min(max(took, _TIMESPAN // 4), _TIMESPAN * 4)
                wanted = min(target_of(old) * took // _TIMESPAN, self.network.pow_limit)
                if compact_target(wanted) != new:
                    raise ChainError(f"the header of height {height} has another difficulty than the rules give")
        return True

    # Questions.

    def is_anchored(self, height: int) -> bool:
        """Whether the header of a height is there; it then leads to a known block."""
        return height in self.headers

    def missing(self, heights: Iterable[int]) -> list[tuple[int, int]]:
        """Runs (first, count) of headers that lead from those heights to known blocks and are not here.

        The higher of two runs first: the lower ones hang on it.
        """
        needed: dict[int, int] = {}
        last = -1
        for height in heights:
            if height > self.highest:
                last = max(last, min(height, self.farthest - 1))
            elif height not in self.headers:
                known = self._above(height)
                needed[known] = min(needed.get(known, known), height)
        runs: list[tuple[int, int]] = []
        if last >= 0:  # the rules of difficulty look back to the period's first header
            opening = self.highest // PERIOD * PERIOD
            needed[self.highest] = min(needed.get(self.highest, self.highest), max(opening, self._floor()))
        for known, lowest in sorted(needed.items()):
            runs += _pieces(lowest, self.lowest.get(known, known + 1) - 1)[::-1]
        if last >= 0:
            runs += _pieces(max(self.top, self.highest) + 1, last)
        return runs

    def _floor(self) -> int:
        """Lowest height that leads to the highest known block and not to the one below it."""
        lower = [height for height in self.anchors if height < self.highest]
        return max(lower) + 1 if lower else 0

    def withdrawn(self) -> list[int]:
        """Heights that another branch took since this was asked last."""
        left, self.left = sorted(set(self.left)), []
        return left


def _pieces(first: int, last: int) -> list[tuple[int, int]]:
    """Runs of at most a period from first to last."""
    return [(at, min(PERIOD, last + 1 - at)) for at in range(first, last + 1, PERIOD)]
