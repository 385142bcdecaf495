"""The reference case: bank accounts emptied by malware, mules' accounts at an exchange, private wallets, a second
exchange, a bank account.

Bitcoin's part is a chain of its own, made here; the dollar tokens are the second leg's (`token_theft`), recorded from a
real node. Around both stand the statements that banks and exchanges would produce, which say the same. What is made up:
everything. Amounts of the story are fixed; the seed moves keys and bystanders.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Final

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.transaction import write_block_files
from calibar.errors import UsageError
from calibar.sandbox.bystanders import Bystanders, Miners
from calibar.sandbox.dice import Dice
from calibar.sandbox.economy import NETWORK, Economy
from calibar.sandbox.exchange import Exchange
from calibar.sandbox.scenarios import token_theft
from calibar.sandbox.wallets import Habit, Wallet

START: Final = 1_772_409_600  # 2026-03-02 00:00 UTC
TIP: Final = 150
LOCAL: Final = timedelta(hours=-3)
"""Buenos Aires: banks write local time."""
MULES: Final = ("1001", "1002")
"""User ids at the first exchange."""
LAST: Final = "2005"
"""At the second."""
_BANKS: Final = {"Banco del Sur": 991, "Banco del Norte": 992, "Exchange 1": 993, "Exchange 2": 994}


def account_number(bank: str, number: int) -> str:
    """A CBU or CVU of the story, with its check digits; no bank has these codes."""
    first, second = f"{_BANKS[bank]:03}0001", f"{number:013}"
    return first + _check_digit(first) + second + _check_digit(second)


def _check_digit(digits: str) -> str:
    """By the weights 3, 1, 7, 9 from the right; times 3, 7, 9, 1 in turn (BCRA, CBU)."""
    total = sum(int(digit) * (3, 1, 7, 9)[n % 4] for n, digit in enumerate(reversed(digits)))
    return str(-total % 10)


@dataclass(frozen=True, slots=True)
class Document:
    """A statement: the file, and what the person who brings it says of it."""

    file: Path
    custodian: str
    stated: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Case:
    """What there is to investigate, and what is known of it."""

    documents: tuple[Document, ...]
    references: tuple[str, ...]
    """The victims' bank rows."""
    stolen: Decimal
    """Pesos that left the victims' accounts."""
    token: str
    """Contract of the dollars."""
    names: tuple[tuple[str, str], ...]
    """Who is who, by account or address."""


@dataclass(slots=True)
class _Bank:
    """A bank's or exchange's books while the story happens."""

    rows: list[tuple[int, str, str, Decimal, str, str]] = field(default_factory=list)
    """Time, account, what it says, change, asset, beside."""

    def note(self, time: int, account: str, what: str, change: str, asset: str, beside: str = "") -> None:
        """A row."""
        self.rows.append((time, account, what, Decimal(change), asset, beside))


class Mules:
    """The people of the story and what they do at which height."""

    def __init__(self, seed: str) -> None:
        economy = self.economy = Economy(seed, START)
        self.miners = Miners(economy)
        self.town = Bystanders(economy, 8)
        self.first, self.second = Exchange(economy, "exchange 1"), Exchange(economy, "exchange 2")
        self.deposit = self.second.deposit(f"deposit of {LAST}", LAST)
        self.private, self.onward, self.own = (
            economy.wallet(role, Habit(), actor="thief") for role in ("private wallet", "onward wallet", "own savings")
        )
        self.paid: dict[str, tuple[str, int]] = {}
        """Withdrawals and deposits by name: txid, and the time of their block."""
        self._waiting: dict[str, str] = {}
        self._dice = Dice(f"{seed}/mules")

    def run(self) -> None:
        """Live through all heights."""
        plan = self._plan()
        for height in range(1, TIP + 1):
            self.town.trade(self._dice.between(0, 2) if height > 112 else 0)
            for event in plan.get(height, ()):
                event()
            block = self.economy.mine(self.miners.next())
            for name, txid in self._waiting.items():
                self.paid[name] = txid, block.header.time
            self._waiting.clear()

    def _plan(self) -> dict[int, tuple[Callable[[], object], ...]]:
        return {
            106: (lambda: self._sell((self.first.hot, 30_00000000), (self.second.hot, 20_00000000)),),
            107: (lambda: self.miners.sell(self.town.wages(6)),),
            109: (lambda: self._sell((self.own, 80000000)),),
            118: (lambda: self._withdraw("BTC 1", self.private, 2_00000000),),
            121: (lambda: self._withdraw("BTC 2", self.private, 1_00000000),),
            126: (lambda: self._move(self.private, ((self.onward, 2_60000000),)),),
            130: (self._mixed,),
            134: (lambda: self._deposit("BTC in", 2_20000000),),
            140: (lambda: self.second.sweep([self.deposit]),),
        }

    def _sell(self, *payments: tuple[Wallet, int]) -> None:
        self.miners.sell([self.economy.to(wallet, value) for wallet, value in payments])

    def _withdraw(self, name: str, wallet: Wallet, value: int) -> None:
        self._waiting[name] = self.first.withdraw([self.economy.to(wallet, value)]).txid

    def _move(self, wallet: Wallet, payments: Iterable[tuple[Wallet, int]]) -> str:
        return self.economy.pay(wallet, [self.economy.to(to, value) for to, value in payments]).txid

    def _mixed(self) -> None:
        """Stolen coins and the thief's own become one."""
        height = self.economy.height
        coins = [*self.own.spendable(height), *self.onward.spendable(height)]
        self.economy.spend(coins, (), self.onward)

    def _deposit(self, name: str, value: int) -> None:
        self._waiting[name] = self._move(self.onward, ((self.deposit, value),))


def write_mules(directory: Path, seed: str = "calibar") -> Case:
    """Write the chain's `blocks` and the statements into `directory`; same seed, same bytes.

    UsageError where `directory` has a `blocks` folder that no sandbox wrote.
    """
    blocks, mark = directory / "blocks", directory / "statements"
    if blocks.exists() and not mark.exists():
        raise UsageError(f"{blocks}: exists and is no sandbox's; name another folder to write the sandbox into")
    story = Mules(seed)
    story.run()
    mark.mkdir(parents=True, exist_ok=True)
    write_block_files(blocks, NETWORK, (story.economy.blocks,), key=sha256(f"{seed}/xor".encode()).digest()[:8])
    return _statements(story, mark)


def _statements(story: Mules, folder: Path) -> Case:
    tokens = token_theft.truth()
    bought = next(source for source in tokens.sources if source.label == "S0")
    paid = {event.what: event for event in tokens.events}
    victims = [account_number("Banco del Sur", n) for n in (101, 102, 103)]
    mule = {user: account_number("Exchange 1", int(user)) for user in MULES}
    last, cash = account_number("Exchange 2", int(LAST)), account_number("Banco del Norte", 700)
    morning = START + 13 * 3600  # 10:00 in Buenos Aires
    bank, first, second, final = _Bank(), _Bank(), _Bank(), _Bank()

    # Malware empties three bank accounts into the mules' accounts at the first exchange.
    own = Decimal("2500000.00"), Decimal("900000.00"), Decimal("4000000.00")
    taken = ("61000000.00", MULES[0]), ("48000000.00", MULES[0]), ("370000000.00", MULES[1])
    for n, (victim, had, (amount, user)) in enumerate(zip(victims, own, taken, strict=True)):
        salary = Decimal(amount) + had
        bank.note(morning - 3 * 86_400 + n, victim, "Acreditación de haberes", f"{salary}", "ARS")
        bank.note(morning + 600 * n, victim, "Transferencia inmediata", f"-{amount}", "ARS", mule[user])
        first.note(morning + 600 * n + 40, user, "Fiat Deposit", amount, "ARS")

    # The mules had some of their own, buy dollars and bitcoin, pay each other, and withdraw.
    one, two = MULES
    token_time, day = paid["exchange 1 pays the loot out in dollar tokens"].time, morning + 3600
    first.note(morning - 86_400, one, "Fiat Deposit", "3000000.00", "ARS")
    _trade(first, day, one, ("ARS", "111000000.00"), ("USDT", "92500.00000000"), fee="92.50000000")
    _trade(first, day + 300, two, ("ARS", "366000000.00"), ("BTC", "3.05000000"), fee="0.00305000")
    _trade(first, day + 420, two, ("ARS", "3600000.00"), ("USDT", "3000.00000000"), fee="3.00000000")
    first.note(day + 900, two, "Send", "-2793.50000000", "USDT", "C2C-77120")
    first.note(day + 900, one, "Receive", "2793.50000000", "USDT", "C2C-77120")
    dollars = f"{Decimal(bought.amount).scaleb(-6):f}"
    first.note(token_time - 120, one, "Withdraw", f"-{dollars}", "USDT")
    first.note(token_time - 120, one, "Withdraw Fee", "-1.00000000", "USDT")
    withdrawn = ("BTC 1", "2.00000000"), ("BTC 2", "1.00000000")
    for name, amount in withdrawn:
        time = story.paid[name][1]
        first.note(time - 300, two, "Withdraw", f"-{amount}", "BTC")
        first.note(time - 300, two, "Withdraw Fee", "-0.00010000", "BTC")

    # Both ways end at one customer of the second exchange, who sells and takes the money to a bank.
    deposits = (
        ("the thief deposits at exchange 2", "30000.00000000"),
        ("a second deposit, which nobody sweeps", "10000.00000000"),
    )
    for what, amount in deposits:
        second.note(paid[what].time + 240, LAST, "Deposit", amount, "USDT")
    second.note(story.paid["BTC in"][1] + 900, LAST, "Deposit", "2.20000000", "BTC")
    evening = paid[deposits[1][0]].time + 7200
    _trade(second, evening, LAST, ("USDT", "40000.00000000"), ("ARS", "49200000.00"), fee="49200.00", fee_asset="ARS")
    _trade(second, evening + 60, LAST, ("BTC", "1.50000000"), ("ARS", "187500000.00"), fee="187500.00", fee_asset="ARS")
    second.note(evening + 600, LAST, "Fiat Withdrawal", "-230000000.00", "ARS")
    final.note(evening - 20 * 86_400, cash, "Saldo inicial por transferencia", "1200000.00", "ARS")
    final.note(evening + 1200, cash, "Transferencia recibida", "230000000.00", "ARS", last)
    final.note(evening + 5400, cash, "Extracción en ventanilla", "-90000000.00", "ARS")

    def on_bitcoin(name: str, late: int, amount: str, fee: str) -> tuple[str, ...]:
        txid, time = story.paid[name]
        user = LAST if name == "BTC in" else two
        return _utc(time + late), user, "BTC", "BTC", amount, fee, _paid_to(story, name), txid

    out: list[tuple[str, ...]] = [
        (_utc(token_time - 120), one, "USDT", "ETH", dollars, "1.00000000", bought.recipient, bought.transaction)
    ]
    out += [on_bitcoin(name, -300, amount, "0.00010000") for name, amount in withdrawn]
    address = tokens.role("deposit of mule 5")
    into: list[tuple[str, ...]] = [
        (_utc(paid[what].time + 240), LAST, "USDT", "ETH", amount, "", address, paid[what].txid)
        for what, amount in deposits
    ]
    into.append(on_bitcoin("BTC in", 900, "2.20000000", ""))
    documents = (
        _bank_file(folder / "victims.csv", "Banco del Sur", bank),
        _history(folder / "exchange-1.csv", "Exchange 1", first),
        _chain_file(folder / "exchange-1-withdrawals.csv", "Exchange 1", out),
        _people(folder / "exchange-1-customers.csv", "Exchange 1", {user: mule[user] for user in MULES}),
        _history(folder / "exchange-2.csv", "Exchange 2", second),
        _chain_file(folder / "exchange-2-deposits.csv", "Exchange 2", into),
        _people(folder / "exchange-2-customers.csv", "Exchange 2", {LAST: last}),
        _bank_file(folder / "last-bank.csv", "Banco del Norte", final),
    )
    names = {
        **{f"Banco del Sur/{victim}": f"victim {n}" for n, victim in enumerate(victims, 1)},
        **{f"Exchange 1/{user}": f"mule {n}" for n, user in zip("AB", MULES, strict=True)},
        f"Exchange 2/{LAST}": "mule C", f"Banco del Norte/{cash}": "mule C's bank account",
    }  # fmt: skip
    return Case(
        documents,
        tuple(f"record:victims.csv:{row}" for row in (5, 6, 7)),
        sum((Decimal(amount) for amount, _ in taken), Decimal(0)),
        bought.token,
        tuple(names.items()),
    )


def _paid_to(story: Mules, name: str) -> str:
    wallet = story.deposit if name == "BTC in" else story.private
    txid = story.paid[name][0]
    for block in story.economy.blocks:
        for transaction in block.transactions:
            if transaction.txid == txid:
                scripts = {lock.script for lock in wallet.locks}
                return next(
                    script.address_of(out.script, NETWORK) for out in transaction.outputs if out.script in scripts
                )
    raise UsageError(f"sandbox: {name} was never paid")


def _trade(
    books: _Bank, time: int, user: str, given: tuple[str, str], received: tuple[str, str], *, fee: str,
    fee_asset: str = "",
) -> None:  # fmt: skip
    """Three rows of one second: what is given, what is received, the fee."""
    books.note(time, user, "Transaction Spend", f"-{given[1]}", given[0])
    books.note(time, user, "Transaction Buy", received[1], received[0])
    books.note(time, user, "Transaction Fee", f"-{fee}", fee_asset or received[0])


def _written(file: Path, rows: Iterable[Iterable[str]], delimiter: str = ",") -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        csv.writer(stream, delimiter=delimiter, lineterminator="\r\n").writerows(rows)


def _utc(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%d %H:%M:%S")


def _bank_file(file: Path, bank: str, books: _Bank) -> Document:
    """Day first, decimal comma, local time, a running balance an account, and the other side's account."""
    rows = [["Fecha", "CBU", "Concepto", "Débito", "Crédito", "Saldo", "CBU contraparte"]]
    balance: dict[str, Decimal] = {}
    for time, account, what, change, _, beside in sorted(books.rows, key=lambda row: row[0]):
        balance[account] = balance.get(account, Decimal(0)) + change
        when = (datetime.fromtimestamp(time, UTC) + LOCAL).strftime("%d/%m/%Y %H:%M:%S")
        sides = ("", _spanish(change)) if change > 0 else (_spanish(-change), "")
        rows.append([when, account, what, *sides, _spanish(balance[account]), beside])
    _written(file, rows, ";")
    stated = (("asset", "ARS"), ("zone", "America/Buenos_Aires"), ("dates", "dmy"), ("decimal", ","))
    return Document(file, bank, stated)


def _spanish(amount: Decimal) -> str:
    return f"{amount:,.2f}".translate(str.maketrans(",.", ".,"))


def _history(file: Path, exchange: str, books: _Bank) -> Document:
    rows = [["User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark"]]
    for time, user, what, change, asset, beside in sorted(books.rows, key=lambda row: row[0]):
        rows.append([user, _utc(time), "Spot", what, asset, f"{change:f}", beside])
    _written(file, rows)
    return Document(file, exchange)


def _chain_file(file: Path, exchange: str, found: list[tuple[str, ...]]) -> Document:
    header = ("Date(UTC)", "User ID", "Coin", "Network", "Amount", "TransactionFee", "Address", "TXID", "Status")
    _written(file, [header, *((*row, "Completed") for row in sorted(found))])
    return Document(file, exchange)


def _people(file: Path, exchange: str, accounts: dict[str, str]) -> Document:
    _written(file, [["User ID", "Name", "CVU"], *([user, f"holder {user}", cvu] for user, cvu in accounts.items())])
    return Document(file, exchange)
