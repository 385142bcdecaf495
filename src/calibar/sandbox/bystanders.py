"""Honest people and miners who pay one another and have nothing to do with any crime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import COIN
from calibar.chains.bitcoin.transaction import TxOut
from calibar.sandbox.dice import Dice
from calibar.sandbox.economy import Economy
from calibar.sandbox.locks import Kind
from calibar.sandbox.wallets import Habit, Wallet

HABITS: Final = (
    Habit(follows_tip=True),
    Habit(Kind.P2PKH, version=1, sequence=0xFFFFFFFF, one_address=True, change="first"),
    Habit(Kind.P2SH_P2WPKH, spends="largest"),
    Habit(one_address=True),
    Habit(Kind.P2PKH, follows_tip=True, change="first"),
    Habit(change="first", spends="largest"),
    Habit(Kind.P2WSH_MULTISIG, one_address=True),
    Habit(Kind.P2SH_P2WPKH, version=1, one_address=True),
    Habit(Kind.P2SH_MULTISIG, version=1, sequence=0xFFFFFFFF, one_address=True),
    Habit(spends="largest", follows_tip=True),
)
MINERS: Final = (Habit(Kind.P2PK, one_address=True), Habit(one_address=True), Habit(Kind.P2PKH))
SMALLEST: Final = 1_000_000
"""Satoshi a bystander keeps: with less he waits to be paid."""


class Miners:
    """Three miners who find the blocks and sell what they earn in batches."""

    def __init__(self, economy: Economy) -> None:
        self._economy = economy
        self._dice = Dice(f"{economy.seed}/miners")
        self._wallets = [economy.wallet(f"miner {number}", habit) for number, habit in enumerate(MINERS, 1)]

    def next(self) -> Wallet:
        """Who finds the next block."""
        return self._dice.pick(self._wallets)

    def sell(self, outputs: Sequence[TxOut]) -> None:
        """The miner who can spend most pays `outputs` in one transaction."""
        height = self._economy.height
        self._economy.pay(max(self._wallets, key=lambda wallet: wallet.balance(height)), outputs)


class Bystanders:
    """A town of wallets with different habits that pay only among themselves."""

    def __init__(self, economy: Economy, people: int) -> None:
        self._economy = economy
        self._dice = Dice(f"{economy.seed}/bystanders")
        self.wallets = [
            economy.wallet(f"bystander {number + 1}", HABITS[number % len(HABITS)]) for number in range(people)
        ]

    def wages(self, people: int) -> list[TxOut]:
        """Outputs of 2 to 9 BTC to some of the town, for a miner to pay."""
        paid = self._dice.some(self.wallets, people)
        return [self._economy.to(wallet, self._dice.between(200, 900) * COIN // 100) for wallet in paid]

    def trade(self, payments: int) -> None:
        """Some payments of the day: most to one person, some to several, a few that tidy up or leave a note."""
        for _ in range(payments):
            payer = self._dice.pick(self.wallets)
            coins = payer.spendable(self._economy.height)
            balance = sum(coin.value for coin in coins)
            if balance < SMALLEST:
                continue
            others = [wallet for wallet in self.wallets if wallet is not payer]
            if len(coins) > 4 and self._dice.chance(30):
                self._economy.spend(coins, (), payer)
            else:
                self._economy.pay(payer, self._outputs(others, balance))

    def _outputs(self, others: Sequence[Wallet], balance: int) -> list[TxOut]:
        people = self._dice.pick((1, 1, 1, 1, 1, 2, 3))
        share = balance // (3 * people)
        outputs = [self._economy.to(payee, self._amount(share)) for payee in self._dice.some(others, people)]
        if self._dice.chance(4):
            outputs.append(TxOut(0, script.op_return(f"receipt {self._economy.height}".encode())))
        return outputs

    def _amount(self, most: int) -> int:
        """Satoshi up to `most`: a round sum such as people agree on, or the odd one of a price in other money."""
        unit = self._dice.pick((100_000, 1_000_000, 10_000_000))
        amount = min(self._dice.between(1, 99) * unit, most // 10_000 * 10_000 or most)
        return amount - self._dice.below(amount // 5) if self._dice.chance(50) else amount
