"""A case on an account chain as a ledger: the same tables and questions as a chain's, of what the case has."""

from __future__ import annotations

import shutil
import tempfile
import weakref
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import CONTRACT, TRC10
from calibar.chains.remote.transfers_told import Asset
from calibar.collection import uncollected
from calibar.errors import UsageError
from calibar.ledger.accounts.ingest import append
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.accounts.writer import AccountWriter
from calibar.ledger.case.accounts.laying import laid_out
from calibar.ledger.case.accounts.state import AccountState


class CaseAccountSnapshot(AccountSnapshot):
    """A case's facts at one moment, laid out in a temporary ledger that goes with this."""

    @uncollected()
    def __init__(self, folder: Path, state: AccountState) -> None:
        """Lay the facts out. Raises ChainError where they contradict each other."""
        self.case_folder, self.state = folder, state
        temporary = Path(tempfile.mkdtemp(prefix="calibar-case-"))
        weakref.finalize(self, shutil.rmtree, temporary, ignore_errors=True)
        laid_in = temporary / "ledger"
        self._heights: list[int | None] = []
        with AccountWriter(laid_in, state.chain) as writer:
            writer.commit(island=True, base=0)
            for laid in laid_out(state):
                append(writer, laid.facts)
                self._heights.append(laid.height)
            writer.commit()
        super().__init__(laid_in)
        self._whole: dict[int, bool] = {}

    @property
    def is_case(self) -> bool:
        """Whether it holds single transactions rather than whole blocks."""
        return True

    @property
    def place(self) -> Path:
        """Where it is, for messages."""
        return self.case_folder

    def is_current(self) -> bool:
        """It never changes."""
        return True

    def height_of(self, block: int) -> int | None:
        """Number of the block in that row; None where no server said it."""
        return self._heights[block]

    def tip(self) -> tuple[int | None, str | None]:
        """Height and hash of the last block that a server named."""
        top = self.state.tip
        if top < 0:
            return None, None
        hashes = {newest.hash for newest in self.state.newest.values() if newest.height == top}
        hash_ = hashes.pop() if len(hashes) == 1 else None
        return top, None if hash_ is None else self._hex(hash_)

    def blocks_as_of(self, height: int | None) -> int:
        """How many blocks are looked at: those whose height is not above it, and those without one before them."""
        if not self._heights:
            raise UsageError(f"the case in {self.case_folder} has no transfers yet; fetch some first")
        if height is None:
            return len(self._heights)
        if not 0 <= height <= self.state.tip:
            raise UsageError(
                f"--as-of {height} is outside the case, which knows the chain up to height {self.state.tip}"
            )
        if not (blocks := self._blocks_upto(height)):
            raise UsageError(f"the case in {self.case_folder} has nothing in a block up to {height}")
        return blocks

    def as_of(self, height: int | None) -> tuple[int, int | None]:
        """How many blocks are looked at, and up to which height."""
        return self.blocks_as_of(height), (
            self.state.tip if self.state.tip >= 0 else None
        ) if height is None else height

    def asset_told(self, asset: int) -> Asset:
        """An asset as servers are asked about it."""
        row = bytes(self["assets.byte"][asset])
        if row[0] == CONTRACT:
            return Asset(contract=row[1:])
        return Asset(number=int.from_bytes(row[1:])) if row[0] == TRC10 else Asset()

    def is_whole(self, holding: int) -> bool:
        """Whether all that a holding ever moved is known: a server lists it, and it leaves what it is said to have."""
        if holding not in self._whole:
            address = self.address_bytes(int(self["holdings.address"][holding]))
            asset = self.asset_told(int(self["holdings.asset"][holding]))
            self._whole[holding] = self.state.is_listed(address, asset) and bool(self.who_says_it_has(holding))
        return self._whole[holding]

    def knows_all(self, address: int, asset: int) -> bool:
        """Whether all that an address ever moved of an asset is known: a server lists it, or that there is nothing."""
        found = self.find_holding(asset, address)
        if found is not None:
            return self.is_whole(found)
        return self.state.is_listed(self.address_bytes(address), self.asset_told(asset))

    def who_says_it_has(self, holding: int) -> list[str]:
        """Servers by whose word a holding has what its transfers leave; none where a fresh word says otherwise.

        A word is fresh where it is of the last block that its server named, and no transfer of the holding is later or
        came to be known later, where no height is told.
        """
        address = self.address_bytes(int(self["holdings.address"][holding]))
        asset = self.asset_told(int(self["holdings.asset"][holding]))
        movements = self.movements_of(holding)
        last = self.height_of(self.block_of_transfer(int(movements[-1]) // 2)) if movements.size else None
        left = self.balance_after(holding, len(self._heights))
        fresh = {
            place: told.amount
            for place, (told, upto) in self.state.holdings.get((address, asset), {}).items()
            if self.state.is_fresh(address, asset, place) and (last is None or upto >= last)
        }
        return sorted(fresh) if all(amount == left for amount in fresh.values()) else []

    def known_transfers(self, holdings: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many of all transfers come before the first that each holding's history may lack."""
        return np.array([self._known(holding) for holding in holdings.tolist()], np.int64)

    def _known(self, holding: int) -> int:
        """All where the history is whole; else those up to the last block after which it was, by every server that ever
        said what it has: its later word does not undo what its earlier one has shown."""
        if self.is_whole(holding):
            return self.counts["transfers"]
        address = self.address_bytes(int(self["holdings.address"][holding]))
        asset = self.asset_told(int(self["holdings.asset"][holding]))
        if not self.state.is_listed(address, asset):
            return 0
        shown = []
        for words in self.state.words.get((address, asset), {}).values():
            agreed = (
                blocks
                for upto, amount in sorted(words, reverse=True)
                if self._left(holding, blocks := self._blocks_upto(upto)) == amount
            )
            shown.append(next(agreed, 0))
        return int(self["blocks.first_transfer"][min(shown, default=0)])

    def _left(self, holding: int, blocks: int) -> int:
        return self.balance_after(holding, blocks) if blocks else -1

    def _blocks_upto(self, height: int) -> int:
        """How many blocks there are up to a height; those of which no server said it stand before the next."""
        last = [row for row, known in enumerate(self._heights) if known is not None and known <= height]
        return last[-1] + 1 if last else 0

    def caveats(self) -> dict[str, Any]:
        """That it is a case, by its digest."""
        return {"case": self.digest}

    def info(self) -> dict[str, Any]:
        """What the case holds, as `calibar ledger info --json` prints it."""
        height, tip = self.tip()
        own = super().info()
        for key in ("blocks", "island", "first_height", "shortfalls"):
            del own[key]  # of whole chains
        return own | {
            "case": True,
            "height": height,
            "tip": tip,
            "whole_holdings": sum(map(self.is_whole, range(self.counts["holdings"]))),
            "refused": [{"place": place, "what": what} for place, what in self.state.refused],
            "servers": self.state.servers(),
        }
