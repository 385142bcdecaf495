"""A theft: malware empties four wallets, and the money is consolidated, peeled, split, mixed and partly deposited.

The chain is 180 regtest blocks from genesis, past the halving at 150, with honest trade throughout. The story's
amounts are fixed; the seed moves everybody's keys and all that the bystanders do.
"""

from __future__ import annotations

from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Final

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.transaction import Transaction, TxOut, write_block_files
from calibar.errors import UsageError
from calibar.sandbox.bystanders import HABITS, Bystanders, Miners
from calibar.sandbox.dice import Dice
from calibar.sandbox.economy import NETWORK, Economy
from calibar.sandbox.exchange import Exchange
from calibar.sandbox.locks import Kind
from calibar.sandbox.truth import Event, Left, Owned, Stolen, Truth
from calibar.sandbox.wallets import Coin, Habit, Wallet

START: Final = 1_772_409_600  # 2026-03-02 00:00 UTC
TIP: Final = 180
SECOND_FILE: Final = 140
"""Height of the first block in blk00001.dat."""
VICTIMS: Final = (Habit(Kind.P2PKH), Habit(follows_tip=True), Habit(Kind.P2SH_P2WPKH), Habit(Kind.P2PKH, version=1))


class Theft:
    """The people of the story and what they do at which height."""

    def __init__(self, seed: str) -> None:
        economy = self.economy = Economy(seed, START)
        self.miners = Miners(economy)
        self.town = Bystanders(economy, 20)
        self.exchange = Exchange(economy, "exchange")
        self.customers = [economy.wallet(f"customer {n}", HABITS[n]) for n in range(1, 7)]
        self.accounts = [self.exchange.deposit(f"deposit of customer {n}", f"customer {n}") for n in range(1, 7)]
        self.victims = [economy.wallet(f"victim {n}", habit) for n, habit in enumerate(VICTIMS, 1)]
        self.collector, self.consolidation, self.peels, self.slow, self.private = (
            economy.wallet(role, Habit(), actor="thief")
            for role in ("collector", "consolidation", "peel chain", "slow branch", "private wallet")
        )
        self.cold = economy.wallet("cold storage", Habit(Kind.P2WSH_MULTISIG, one_address=True), actor="thief")
        self.deposits = [self.exchange.deposit(f"deposit {n}", "thief") for n in (1, 2)]
        self.stolen: list[tuple[str, Coin]] = []
        self.events: list[tuple[int, str, str]] = []
        self._dice = Dice(f"{seed}/theft")

    def run(self) -> None:
        """Live through all heights."""
        plan = self._plan()
        for height in range(1, TIP + 1):
            busy = self._dice.between(2, 6) if height > 108 else 0
            self.town.trade(busy // 2)
            for event in plan.get(height, ()):
                event()
            self.town.trade(busy - busy // 2)
            self.economy.mine(self.miners.next())

    def _plan(self) -> dict[int, tuple[Callable[[], object], ...]]:
        """What happens at which height, in the order of the story."""
        return {
            106: (lambda: self._sell((self.exchange.hot, 45_00000000)),),
            **dict.fromkeys(range(107, 113), (lambda: self.miners.sell(self.town.wages(6)),)),
            113: (lambda: self._sell(*((customer, 3_50000000) for customer in self.customers)),),
            114: (lambda: self._withdraw((self.victims[0], 1_20000000), (self.victims[2], 2_50000000)),),
            116: (lambda: self._sell((self.victims[1], 1_10000000), (self.victims[2], 1_90000000)),),
            117: (lambda: self._deposit(0, 80000000), lambda: self._deposit(1, 1_25000000)),
            118: (lambda: self._withdraw((self.private, 1_50000000), (self.victims[0], 75310000)),),
            119: (lambda: self._sell((self.victims[2], 1_60000000), (self.victims[3], 96250000)),),
            120: (lambda: self._sell((self.exchange.hot, 40_00000000)),),
            121: (lambda: self._withdraw((self.victims[0], 2_25000000), (self.victims[1], 74990000)),),
            122: (lambda: self._withdraw((self.private, 1_00000000), (self.victims[2], 1_30004200)),),
            124: (lambda: self.exchange.sweep(self.accounts),),
            126: (lambda: self._empty(0, 3), lambda: self._empty(1, 2)),
            127: (lambda: self._empty(2, 2), lambda: self._deposit(2, 95000000)),
            128: (lambda: self._empty(2, 2),),
            129: (lambda: self._empty(3, 1), lambda: self._deposit(3, 1_42500000)),
            131: (self._consolidate,),
            133: (self._split,),
            134: (lambda: self._peel(1, self.private, 90000000),),
            135: (lambda: self._peel(2, self.deposits[0], 1_40000000),),
            136: (lambda: self._peel(3, self.cold, 60000000, rest_at=0),),
            138: (lambda: self._peel(4, self.private, 1_10000000, note=True), lambda: self._deposit(4, 66000000)),
            139: (lambda: self._peel(5, self.private, 35000000, rest_at=0), lambda: self._deposit(0, 31000000)),
            141: (lambda: self._peel(6, self.cold, 80000000, last=True),),
            146: (self._sweep,),
            148: (lambda: self._withdraw((self.customers[0], 50000000), (self.customers[4], 2_20000000)),),
            151: (lambda: self._deposit(1, 70000000),),
            155: (lambda: self._withdraw((self.customers[2], 1_15000000), (self.customers[3], 90500000)),),
            162: (
                lambda: self._withdraw(
                    (self.customers[5], 3_00000000),
                ),
            ),
            166: (self._mix,),
            172: (lambda: self._deposit(5, 1_05000000), lambda: self._withdraw((self.customers[1], 40000000))),
        }

    def _outputs(self, payments: tuple[tuple[Wallet, int], ...]) -> list[TxOut]:
        return [self.economy.to(wallet, value) for wallet, value in payments]

    def _sell(self, *payments: tuple[Wallet, int]) -> None:
        self.miners.sell(self._outputs(payments))

    def _withdraw(self, *payments: tuple[Wallet, int]) -> None:
        self.exchange.withdraw(self._outputs(payments))

    def _deposit(self, customer: int, value: int) -> None:
        self.economy.pay(self.customers[customer], [self.economy.to(self.accounts[customer], value)])

    def _happened(self, transaction: Transaction, what: str) -> None:
        self.events.append((self.economy.height, transaction.txid, what))

    def _empty(self, victim: int, coins: int) -> None:
        """Malware sends a victim's oldest `coins` to the collector, without change."""
        wallet = self.victims[victim]
        chosen = wallet.spendable(self.economy.height)[:coins]
        transaction = self.economy.spend(chosen, (), self.collector)
        self.stolen.append((wallet.role, self.collector.coins[f"{transaction.txid}:0"]))
        self._happened(transaction, f"malware sends {coins} of {wallet.role}'s coins to the collector")

    def _consolidate(self) -> None:
        coins = self.collector.spendable(self.economy.height)
        self._happened(self.economy.spend(coins, (), self.consolidation), "the collector's coins become one")

    def _split(self) -> None:
        fast = self.economy.to(self.peels, 8_60000000)
        coins = self.consolidation.spendable(self.economy.height)
        transaction = self.economy.spend(coins, [fast], self.slow)
        self._happened(transaction, "split: output 0 is the peel chain, output 1 rests until block 166")

    def _peel(
        self, hop: int, to: Wallet, value: int, *, rest_at: int = 1, note: bool = False, last: bool = False
    ) -> None:
        payments = [self.economy.to(to, value)]
        if note:
            # A burnt amount: an output that nobody can spend and that is not worth nothing.
            payments.append(TxOut(1_000, script.op_return(f"hop {hop}".encode())))
        coins = self.peels.spendable(self.economy.height)
        transaction = self.economy.spend(coins, payments, self.private if last else self.peels, rest_at=rest_at)
        self._happened(transaction, f"peel {hop} of 6, to {to.role}" + (", the rest to private wallet" if last else ""))

    def _sweep(self) -> None:
        accounts = [self.deposits[0], *self.accounts[2:5], self.accounts[0]]
        self._happened(self.exchange.sweep(accounts), "the exchange sweeps deposit 1 with four customers' deposits")

    def _mix(self) -> None:
        height = self.economy.height
        own = self.private.spendable(height)[:2]
        coins = [*own, *self.slow.spendable(height)]
        payments = [self.economy.to(self.deposits[1], 2_80000000)]
        transaction = self.economy.spend(coins, payments, self.private, rest_at=1)
        self._happened(transaction, "the slow branch is mixed with the thief's own coins; output 0 is deposit 2")

    def truth(self) -> Truth:
        """What happened, once it has."""
        blocks = self.economy.blocks
        used = {output.script for block in blocks for each in block.transactions for output in each.outputs}
        wallets = self.economy.wallets
        return Truth(
            scenario="theft",
            seed=self.economy.seed,
            network=NETWORK.name,
            height=len(blocks) - 1,
            tip=blocks[-1].hash,
            transactions=sum(len(block.transactions) for block in blocks),
            stolen=tuple(Stolen(victim, coin.ref, coin.value, coin.matures) for victim, coin in self.stolen),
            events=tuple(Event(txid, height, blocks[height].header.time, what) for height, txid, what in self.events),
            left=tuple(
                Left(coin.ref, script.address_of(coin.lock.script, NETWORK), wallet.role, coin.value)
                for wallet in wallets
                if "thief" in (wallet.actor, wallet.customer)
                for coin in wallet.coins.values()
            ),
            addresses=tuple(
                Owned(script.address_of(lock.script, NETWORK), wallet.actor, wallet.role, wallet.customer)
                for wallet in wallets
                for lock in wallet.locks
                if lock.script in used
            ),
        )


def write_theft(directory: Path, seed: str = "calibar") -> Truth:
    """Write the chain as Bitcoin Core's `blocks` folder, and `truth.json`, into `directory`; same seed, same bytes.

    UsageError where `directory` already has a `blocks` folder that no sandbox wrote.
    """
    blocks, truth_file = directory / "blocks", directory / "truth.json"
    if blocks.exists() and not truth_file.exists():
        raise UsageError(f"{blocks}: exists and is no sandbox's; name another folder to write the sandbox into")
    theft = Theft(seed)
    theft.run()
    truth = theft.truth()
    directory.mkdir(parents=True, exist_ok=True)
    truth.write(truth_file)
    chain = theft.economy.blocks
    key = sha256(f"{seed}/xor".encode()).digest()[:8]
    write_block_files(blocks, NETWORK, (chain[:SECOND_FILE], chain[SECOND_FILE:]), key=key)
    return truth
