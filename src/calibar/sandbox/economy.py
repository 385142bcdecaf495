"""A regtest chain in the making: wallets pay one another, blocks are mined, and it is known who is who."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import (
    FINAL,
    NO_TXID,
    NO_VOUT,
    Block,
    Header,
    Transaction,
    TxIn,
    TxOut,
    assemble,
    compact_target,
)
from calibar.errors import UsageError
from calibar.sandbox.dice import Dice
from calibar.sandbox.locks import Lock
from calibar.sandbox.wallets import Coin, Habit, Wallet, signed, sketched

MATURITY: Final = 100
DUST: Final = 1_000
"""Change of fewer satoshi is left to the miner."""
TAG: Final = b"/calibar sandbox/"
NETWORK: Final = NETWORKS["regtest"]


def genesis() -> Block:
    """Regtest's block 0 (Bitcoin Core, `kernel/chainparams.cpp`)."""
    key = bytes.fromhex(
        "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb649f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
    )
    text = b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"
    script_sig = bytes.fromhex("04ffff001d010445") + text
    output = TxOut(NETWORK.subsidy(0), script.p2pk(key))
    first = Transaction(1, (TxIn(NO_TXID, NO_VOUT, script_sig, FINAL),), (output,))
    header = Header(1, NO_TXID, first.txid, 1296688602, compact_target(NETWORK.pow_limit), 2)
    return Block(header, (first,))


class Economy:
    """The chain so far, the transactions that wait for the next block, and every wallet."""

    def __init__(self, seed: str, start: int) -> None:
        """`start` is the time of block 1 in seconds since 1970."""
        self.seed = seed
        self.blocks = [genesis()]
        self.wallets: list[Wallet] = []
        self._waiting: list[Transaction] = []
        self._fees = 0
        self._known: dict[bytes, tuple[Wallet, Lock]] = {}
        self._clock = start
        self._jitter = Dice(f"{seed}/clock")
        self._rates = Dice(f"{seed}/fees")

    @property
    def height(self) -> int:
        """Height of the block that is mined next; what is paid now goes into it."""
        return len(self.blocks)

    def wallet(self, role: str, habit: Habit, *, actor: str | None = None, customer: str | None = None) -> Wallet:
        """A new wallet for `role`, controlled by `actor` (the role itself where none is given)."""
        wallet = Wallet(self.seed, role, actor or role, habit, customer)
        self.wallets.append(wallet)
        return wallet

    def pay(self, wallet: Wallet, payments: Sequence[TxOut]) -> Transaction:
        """Pay from as many coins as the wallet needs, change to itself; UsageError where it has too little."""
        due = sum(payment.value for payment in payments)
        chosen: list[Coin] = []
        for coin in wallet.spendable(self.height):
            chosen.append(coin)
            # 25 sat/vB for 300 bytes an input and 50 an output is above any rate and size that occurs here.
            if sum(each.value for each in chosen) >= due + 25 * (300 * len(chosen) + 50 * (len(payments) + 1)):
                return self.spend(chosen, payments, wallet)
        raise UsageError(f"sandbox: {wallet.role} cannot pay {due} sat at height {self.height}: its coins are too few")

    def spend(
        self, coins: Sequence[Coin], payments: Sequence[TxOut], rest: Wallet, *, rest_at: int | None = None
    ) -> Transaction:
        """Spend all of `coins`, in this order and of whatever wallets; `rest` gets what payments and fee leave.

        The first coin's wallet makes the transaction; where `rest_at` gives no position, its habit says first or last.
        """
        wallet, _ = self._known[coins[0].lock.script]
        lock = self._lock(rest)
        if rest_at is None:
            rest_at = 0 if wallet.habit.change == "first" else len(payments)
        outputs = [*payments]
        outputs.insert(rest_at, lock.out(0))
        size = sketched(wallet.draft(coins, outputs, self.height), coins).vsize
        total = sum(coin.value for coin in coins)
        left = total - sum(payment.value for payment in payments) - size * self._rates.between(4, 20)
        if left < 0:
            raise UsageError(f"sandbox: {wallet.role} spends more than its coins hold at height {self.height}")
        outputs[rest_at] = lock.out(left)
        if left < DUST and payments:
            del outputs[rest_at]
        transaction = signed(wallet.draft(coins, outputs, self.height), coins)
        for coin in coins:
            del self._known[coin.lock.script][0].coins[coin.ref]
        self._fees += total - sum(output.value for output in outputs)
        self._waiting.append(transaction)
        self._credit(transaction, self.height)
        return transaction

    def to(self, wallet: Wallet, value: int) -> TxOut:
        """An output of `value` satoshi to `wallet`."""
        return self._lock(wallet).out(value)

    def mine(self, miner: Wallet) -> Block:
        """The next block, with all that waits; `miner` gets subsidy and fees, to be spent 100 blocks later."""
        reward = self.to(miner, NETWORK.subsidy(self.height) + self._fees)
        block = assemble(
            NETWORK, self.height, self.blocks[-1].hash, self._time(), [reward], transactions=self._waiting, tag=TAG
        )
        self._credit(block.transactions[0], self.height + MATURITY)
        self.blocks.append(block)
        self._waiting, self._fees = [], 0
        return block

    def _lock(self, wallet: Wallet) -> Lock:
        lock = wallet.receive()
        self._known[lock.script] = wallet, lock
        return lock

    def _credit(self, transaction: Transaction, matures: int) -> None:
        for vout, output in enumerate(transaction.outputs):
            if output.script in self._known:
                wallet, lock = self._known[output.script]
                coin = Coin(transaction.txid, vout, output.value, lock, matures)
                wallet.coins[coin.ref] = coin

    def _time(self) -> int:
        """About ten minutes on. Miners' clocks are up to 200 s off, so a block may be dated before its parent.

        Blocks come 100 s apart at least, so each is dated after the median of the eleven before, as the rules want.
        """
        time = self._clock + self._jitter.between(-200, 200)
        self._clock += self._jitter.between(100, 1100)
        return time
