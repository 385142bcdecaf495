"""What a case knows: everything that servers told, checked by itself, whoever told it.

Nothing false gets in: a transaction is whatever its bytes hash to, its place is what its merkle branch shows under a
header with work, a header is what leads to a known block. What cannot be checked (that nothing else spends a coin, that
a history is whole) is kept as the server's word, with the height of its last block at that time.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources.told import (
    Balance,
    Headers,
    History,
    Outpoint,
    Place,
    Raw,
    Spender,
    Tip,
    Told,
)
from calibar.chains.bitcoin.transaction import sha256d
from calibar.errors import ChainError
from calibar.ledger.case.headers import HeaderChain
from calibar.ledger.case.transactions import NODE, Output, Transaction, read_transaction

DEEPEST: Final = 32
"""Steps of a merkle branch: more transactions fit in no block."""


@dataclass(frozen=True, slots=True)
class Placed:
    """A transaction's place in the chain, shown by its branch."""

    height: int
    position: int


@dataclass(frozen=True, slots=True)
class Word:
    """What a server said that nobody can check alone, and up to which height it knew the chain then."""

    place: str
    height: int


@dataclass(slots=True)
class State:
    """The facts of a Bitcoin case. Hashes are in wire order."""

    network: Network
    chain: HeaderChain
    transactions: dict[bytes, Transaction] = field(default_factory=dict)
    places: dict[bytes, Placed] = field(default_factory=dict)
    tips: dict[str, int] = field(default_factory=dict)
    """Height of the last block that each server named last."""
    histories: dict[bytes, dict[str, tuple[History, int]]] = field(default_factory=dict)
    """By the script's hash and server: its last word, and its height then."""
    unspent: dict[Outpoint, dict[str, int]] = field(default_factory=dict)
    """Servers that say that nothing in a block spends a coin, and up to which height."""
    unconfirmed: dict[Outpoint, bytes] = field(default_factory=dict)
    """Transactions in no block that are said to spend a coin."""
    said_spent: dict[Outpoint, dict[str, tuple[bytes, int]]] = field(default_factory=dict)
    """By coin and server: what is said to spend it, and at which height."""
    spenders: dict[Outpoint, list[bytes]] = field(default_factory=dict)
    """Transactions, known by their bytes, that spend a coin: several where one replaced another before a block."""
    balances: dict[bytes, dict[str, tuple[Balance, int]]] = field(default_factory=dict)
    left: list[bytes] = field(default_factory=list)
    """Transactions whose block another branch took: their places are withdrawn."""
    strays: dict[str, tuple[int, bytes]] = field(default_factory=dict)
    """Height and header of a server's last block that does not follow what is known: perhaps another branch's."""
    refused: list[tuple[str, str]] = field(default_factory=list)
    """(server, what): told, and cannot be true."""
    sources: dict[bytes, str] = field(default_factory=dict)
    """Which server first told a transaction."""
    _branches: dict[bytes, tuple[Place, str]] = field(default_factory=dict)
    """Places whose headers are not here yet, and who told them."""

    @property
    def tip(self) -> int:
        """Height up to which the case looks at the chain: the last known header; -1 where there is none."""
        return self.chain.top

    def learn(self, told: Told, place: str) -> None:
        """Take in what a server told. Raises ChainError, DecodeError where it cannot be true; then nothing is taken."""
        if isinstance(told, Raw):
            self._learn_transaction(told.data, place)
        elif isinstance(told, Place):
            self._learn_place(told, place)
        elif isinstance(told, Headers):
            self._learn_headers(told.first, told.data)
        elif isinstance(told, Tip):
            self._learn_tip(told, place)
        elif isinstance(told, History):
            self.histories.setdefault(told.script_hash, {})[place] = (told, self.tips.get(place, -1))
        elif isinstance(told, Spender):
            self._learn_spender(told, place)
        else:
            self.balances.setdefault(told.script_hash, {})[place] = (told, self.tips.get(place, -1))

    def _learn_tip(self, told: Tip, place: str) -> None:
        if told.height > self.chain.farthest:
            raise ChainError(f"its last block, {told.height}, is higher than can be")
        self.tips[place] = told.height
        self.strays.pop(place, None)
        self._learn_headers(told.height, told.header)
        if self.chain.headers.get(told.height) != told.header:
            self.strays[place] = (told.height, told.header)

    def _learn_transaction(self, data: bytes, place: str) -> None:
        read = read_transaction(data, self.network)
        if read.txid in self.transactions:
            return
        self.transactions[read.txid] = read
        self.sources[read.txid] = place
        for coin in read.inputs:
            self.spenders.setdefault(coin, []).append(read.txid)

    def _learn_spender(self, told: Spender, place: str) -> None:
        self.unconfirmed.pop(told.coin, None)
        if told.txid is None or told.height is None or told.height <= 0:
            self.unspent.setdefault(told.coin, {})[place] = self.tips.get(place, -1)
        else:
            self.unspent.get(told.coin, {}).pop(place, None)
            self.said_spent.setdefault(told.coin, {})[place] = (told.txid, told.height)
        if told.txid is not None and (told.height is None or told.height <= 0):
            self.unconfirmed[told.coin] = told.txid

    def _learn_headers(self, first: int, data: bytes) -> None:
        self.chain.add(first, data)
        for height in self.chain.withdrawn():
            for txid in [txid for txid, placed in self.places.items() if placed.height == height]:
                del self.places[txid]
                self.left.append(txid)
        for txid, (branch, place) in list(self._branches.items()):
            if branch.height in self.chain.headers:
                del self._branches[txid]
                try:
                    self._learn_place(branch, place)
                except ChainError as error:  # it is whose branch it is that is wrong
                    self.refused.append((place, str(error)))

    def _learn_place(self, told: Place, place: str) -> None:
        if told.height > self.chain.farthest or told.height < 0:
            raise ChainError(f"the height of transaction {told.txid[::-1].hex()}, {told.height}, cannot be")
        header = self.chain.headers.get(told.height)
        if header is None:
            self._branches[told.txid] = (told, place)
            return
        if root_of(told) != header[36:68]:
            raise ChainError(
                f"the branch of transaction {told.txid[::-1].hex()} does not lead to the block of height {told.height}"
            )
        self.places[told.txid] = Placed(told.height, told.position)

    # Questions.

    def is_proven(self, txid: bytes) -> bool:
        """Whether a transaction is shown to be in a block that leads to a known one."""
        placed, read = self.places.get(txid), self.transactions.get(txid)
        shown = placed is not None and read is not None and read.stripped != NODE
        return shown and self.chain.is_anchored(self.places[txid].height)

    def is_waiting(self, txid: bytes) -> bool:
        """Whether a transaction's place is told and its block's header is not known yet."""
        return txid in self._branches

    def waiting(self) -> set[int]:
        """Heights whose headers are needed to see whether transactions are where they are said to be."""
        return {branch.height for branch, _ in self._branches.values()}

    def parents_of(self, txid: bytes) -> list[bytes]:
        """Transactions whose coins a transaction spends and whose bytes are not known."""
        return [coin.txid for coin in self.transactions[txid].inputs if coin.txid not in self.transactions]

    def looked_at(self, coin: Outpoint, script_hash: bytes) -> dict[str, int]:
        """Who says that nothing spends a coin, and up to which height: by word, or by a history that has the coin's own
        transaction and is known from its block on."""
        found = dict(self.unspent.get(coin, {}))
        placed = self.places.get(coin.txid)
        for place, (history, height) in self.histories.get(script_hash, {}).items():
            later = ((txid, at) for txid, at in history.entries if placed is None or at <= 0 or at >= placed.height)
            named = any(txid == coin.txid for txid, _ in history.entries)
            if named and all(self._leaves(txid, at, coin) for txid, at in later):
                found[place] = max(found.get(place, -1), height)
        return found

    def _leaves(self, txid: bytes, height: int, coin: Outpoint) -> bool:
        """Whether a transaction is known, and does not spend a coin in a block that is said but not shown."""
        read = self.transactions.get(txid)
        return read is not None and (height <= 0 or txid in self.places or coin not in read.inputs)

    def entries_of(self, script_hash: bytes, place: str | None = None) -> dict[bytes, int]:
        """Every transaction that any server (or one) names in a script's history, and the height it gives."""
        found: dict[bytes, int] = {}
        for who, (history, _) in self.histories.get(script_hash, {}).items():
            if place in (None, who):
                found |= dict(history.entries)
        return found

    def concerns(self, txid: bytes, script_hash: bytes) -> bool:
        """Whether a known transaction pays a script or spends a coin of it."""
        read = self.transactions[txid]
        spent = (self.output_of(coin) for coin in read.inputs)
        return any(output is not None and output.script_hash == script_hash for output in (*read.outputs, *spent))

    def output_of(self, coin: Outpoint) -> Output | None:
        """A coin's amount and script, where the transaction that made it is known."""
        maker = self.transactions.get(coin.txid)
        return maker.outputs[coin.output] if maker is not None and coin.output < len(maker.outputs) else None

    def worth(self, script_hash: bytes) -> int:
        """Satoshi that known transactions in blocks leave to a script."""
        total = 0
        for txid in self.places:
            read = self.transactions.get(txid)
            if read is not None:
                total += sum(output.value for output in read.outputs if output.script_hash == script_hash)
                spent = (self.output_of(coin) for coin in read.inputs)
                total -= sum(output.value for output in spent if output and output.script_hash == script_hash)
        return total

    def is_whole(self, script_hash: bytes) -> bool:
        """Whether a script's history is known whole: all that servers name is here and proven, and what it leaves is
        what a server says that the script has. Both are the servers' word where all of them hide the same."""
        named = self.entries_of(script_hash)
        if not named or not all(self.is_proven(txid) for txid, height in named.items() if height > 0):
            return False
        fresh = any(known >= self.tip for _, known in self.histories[script_hash].values())
        said = [balance for balance, known in self.balances.get(script_hash, {}).values() if known >= self.tip]
        return fresh and bool(said) and all(balance.confirmed == self.worth(script_hash) for balance in said)

    def pending_spender(self, coin: Outpoint, script_hash: bytes) -> bytes | None:
        """The transaction in no block yet that a server says spends a coin, by word or in a history."""
        if (told := self.unconfirmed.get(coin)) is not None:
            return told if told not in self.places else None
        entries = self.entries_of(script_hash)
        found = [txid for txid in self.spenders.get(coin, ()) if entries.get(txid, 1) <= 0 and txid not in self.places]
        return found[-1] if found else None

    def spender_of(self, coin: Outpoint) -> bytes | None:
        """The transaction that spends a coin, where one is known: the one in a block, else the last that was told."""
        found = self.spenders.get(coin, [])
        return next((txid for txid in found if txid in self.places), found[-1] if found else None)


def root_of(told: Place) -> bytes:
    """The merkle root that a branch leads to. Raises ChainError for one that fits no block."""
    if len(told.branch) > DEEPEST or told.position >> len(told.branch):
        raise ChainError(f"the branch of transaction {told.txid[::-1].hex()} fits no block")
    digest, position = told.txid, told.position
    for other in told.branch:
        if position & 1 and other == digest:  # the doubled last one of an odd row is at the left
            raise ChainError(f"the branch of transaction {told.txid[::-1].hex()} names a place that no block has")
        digest = sha256d(other + digest if position & 1 else digest + other)
        position >>= 1
    return digest
