"""A custodial exchange: an address for each customer's deposits, one hot wallet that pays everybody."""

from __future__ import annotations

from collections.abc import Sequence

from calibar.chains.bitcoin.transaction import Transaction, TxOut
from calibar.sandbox.economy import Economy
from calibar.sandbox.locks import Kind
from calibar.sandbox.wallets import Habit, Wallet

DEPOSITS = Habit(one_address=True)
HOT = Habit(Kind.P2WSH_MULTISIG, one_address=True)


class Exchange:
    """Keeps customers' coins together: after a sweep nobody's coins are his own."""

    def __init__(self, economy: Economy, name: str) -> None:
        self.name = name
        self.hot = economy.wallet(f"{name} hot wallet", HOT, actor=name)
        self._economy = economy

    def deposit(self, label: str, customer: str) -> Wallet:
        """A wallet of the exchange that is credited to `customer`."""
        return self._economy.wallet(f"{self.name} {label}", DEPOSITS, actor=self.name, customer=customer)

    def sweep(self, deposits: Sequence[Wallet]) -> Transaction:
        """Move all that lies in `deposits` to the hot wallet, in one transaction."""
        coins = [coin for wallet in deposits for coin in wallet.spendable(self._economy.height)]
        return self._economy.spend(coins, (), self.hot)

    def withdraw(self, outputs: Sequence[TxOut]) -> Transaction:
        """Pay customers out of the hot wallet."""
        return self._economy.pay(self.hot, outputs)
