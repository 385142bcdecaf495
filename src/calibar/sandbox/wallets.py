"""Wallets: whose addresses, which coins, and the habits that set one wallet's transactions apart from another's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from calibar.chains.bitcoin.transaction import Transaction, TxIn, TxOut
from calibar.sandbox.keys import Key
from calibar.sandbox.locks import Kind, Lock


@dataclass(frozen=True, slots=True)
class Coin:
    """An unspent output that a wallet can unlock."""

    txid: str
    vout: int
    value: int
    lock: Lock
    matures: int
    """Height from which it may be spent."""

    @property
    def ref(self) -> str:
        """`txid:vout`."""
        return f"{self.txid}:{self.vout}"


@dataclass(frozen=True, slots=True)
class Habit:
    """How a wallet's software behaves."""

    kind: Kind = Kind.P2WPKH
    version: int = 2
    sequence: int = 0xFFFFFFFD
    follows_tip: bool = False
    """Sets locktime to the tip's height, so that its payments cannot be mined in an older block's place."""
    one_address: bool = False
    change: Literal["first", "last"] = "last"
    spends: Literal["oldest", "largest"] = "oldest"


class Wallet:
    """One role's addresses and coins; `actor` is who truly controls it, `customer` whom a custodian keeps it for."""

    def __init__(self, seed: str, role: str, actor: str, habit: Habit, customer: str | None = None) -> None:
        self.role = role
        self.actor = actor
        self.habit = habit
        self.customer = customer
        self.locks: list[Lock] = []
        self.coins: dict[str, Coin] = {}
        self._seed = seed

    def receive(self) -> Lock:
        """A lock to be paid at: a new one, or the one there is where the habit is one address."""
        if self.habit.one_address and self.locks:
            return self.locks[0]
        kind = self.habit.kind
        texts = (f"{self._seed}/{self.role}/{len(self.locks)}/{number}" for number in range(kind.keys))
        lock = Lock(kind, tuple(map(Key.of, texts)))
        self.locks.append(lock)
        return lock

    def spendable(self, height: int) -> list[Coin]:
        """Coins that a block at `height` may spend, in the order the wallet would choose them."""
        coins = [coin for coin in self.coins.values() if coin.matures <= height]
        return coins if self.habit.spends == "oldest" else sorted(coins, key=lambda coin: -coin.value)

    def balance(self, height: int) -> int:
        """Satoshi in coins that a block at `height` may spend."""
        return sum(coin.value for coin in self.spendable(height))

    def draft(self, coins: Sequence[Coin], outputs: Sequence[TxOut], height: int) -> Transaction:
        """The unsigned transaction that this wallet would make for the block at `height`."""
        habit = self.habit
        sequence = 0xFFFFFFFE if habit.follows_tip else habit.sequence
        inputs = tuple(TxIn(coin.txid, coin.vout, sequence=sequence) for coin in coins)
        return Transaction(habit.version, inputs, tuple(outputs), height - 1 if habit.follows_tip else 0)


def signed(draft: Transaction, coins: Sequence[Coin]) -> Transaction:
    """`draft` with every input unlocked; `coins` are what its inputs spend, in order."""
    unlocked = [coin.lock.unlock(draft, index, coin.value) for index, coin in enumerate(coins)]
    return replace(draft, inputs=tuple(unlocked))


def sketched(draft: Transaction, coins: Sequence[Coin]) -> Transaction:
    """`draft` as large as signing may make it."""
    sketches = [coin.lock.sketch(txin) for coin, txin in zip(coins, draft.inputs, strict=True)]
    return replace(draft, inputs=tuple(sketches))
