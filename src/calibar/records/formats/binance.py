"""Binance's exports: the transaction history, deposits, withdrawals, spot trades and P2P orders.

Source: the headers of files that its customers export (2021 to 2025); names that changed stand side by side.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from calibar.chains.remote.csv_sheet import shown
from calibar.errors import DecodeError
from calibar.records.amounts import Amount
from calibar.records.formats.format import Format, Row, Said
from calibar.records.layout import Layout

_WORDS: Final = {
    "deposit": "deposit, crypto deposit",
    "withdrawal": "withdraw, crypto withdrawal",
    "fiat in": "fiat deposit, buy crypto",
    "fiat out": "fiat withdraw, fiat withdrawal",
    "p2p": "p2p trading",
    "transfer": "binance pay, send, receive, c2c transfer",
    "trade": "buy, sell, transaction related, transaction buy, transaction spend, transaction revenue, "
    "transaction sold, large otc trading, binance convert, small assets exchange bnb",
    "fee": "fee, transaction fee, withdraw fee",
    "reward": "commission rebate, referral kickback, referral commission, distribution, airdrop assets, "
    "cashback voucher, simple earn flexible interest, simple earn locked rewards, staking rewards",
}
_KINDS: Final = {word: kind for kind, words in _WORDS.items() for word in words.split(", ")}
_OWN: Final = ("transfer between", "account transfer", "transfer_in", "transfer_out", "subscription", "redemption",
               "savings purchase", "main and funding")  # fmt: skip


@cache
def kind_of(operation: str) -> str:
    """What an operation is, by Binance's words for it; `other` where they are not known."""
    plain = " ".join(operation.lower().replace("-", " ").split())
    if plain in _KINDS:
        return _KINDS[plain]
    return "own" if any(words in plain for words in _OWN) else "other"


def _history(row: Row) -> Iterator[Said]:
    change = row.needed("change")
    if change.value:
        yield row.movement(change, kind_of(row.text("operation")))


def _moved(row: Row, sign: int, kind: str) -> Iterator[Said]:
    amount = row.needed("amount")
    if amount.value <= 0:
        raise DecodeError(f"{row.where('amount')}: {amount.value} is no amount of a {kind}")
    yield row.movement(Amount(sign * amount.value, amount.unit), kind)
    if (fee := row.amount("fee")) and fee.value:
        yield row.movement(Amount(-abs(fee.value), fee.unit), "fee", asset=row.text("fee asset"))


def _side(row: Row) -> int:
    side = row.text("side").lower()
    if side not in ("buy", "sell"):
        raise DecodeError(f"{row.where('side')}: {shown(side)} is neither BUY nor SELL")
    return 1 if side == "buy" else -1


def _trade(row: Row) -> Iterator[Said]:
    sign, pair = _side(row), row.text("pair").upper().replace("/", "").replace("-", "")
    executed, paid = _legs(row, pair)
    yield row.movement(Amount(sign * executed.value), "trade", asset=executed.unit)
    yield row.movement(Amount(-sign * paid.value), "trade", asset=paid.unit)
    if (fee := row.amount("fee")) and fee.value:
        yield row.movement(Amount(-abs(fee.value)), "fee", asset=fee.unit or row.text("fee asset"))


def _legs(row: Row, pair: str) -> tuple[Amount, Amount]:
    """What was bought or sold and what for. An asset may begin with digits (`12.51INCH`): the pair tells where."""
    texts = [row.text(role).upper().replace(" ", "") for role in ("quantity", "amount")]
    for at in range(1, len(pair)):
        assets = pair[:at], pair[at:]
        digits = [text.removesuffix(asset) for text, asset in zip(texts, assets, strict=True)]
        if all(text != rest and re.fullmatch(r"[0-9.,]+", rest) for text, rest in zip(texts, digits, strict=True)):
            found = [row.amounts.read(rest, row.where("quantity")) for rest in digits]
            if all(found):
                return Amount(found[0].value, assets[0]), Amount(found[1].value, assets[1])  # type: ignore[union-attr]
    raise DecodeError(
        f"{row.where('quantity')}: the amounts are not of the pair {shown(pair)}, as 0.5BTC is of BTCUSDT"
    )


def _p2p(row: Row) -> Iterator[Said]:
    quantity = row.needed("quantity")
    yield row.movement(Amount(_side(row) * quantity.value, quantity.unit), "p2p")
    for role, what in (("counterparty account", "counterparty's account"), ("counterparty", "counterparty")):
        if text := row.text(role):
            yield row.detail(what, text)


_TIME: Final = ("UTC_Time", "Date(UTC)", "Date(UTC+0)", "UTC Time")
_CHAIN: Final = {
    "time": (*_TIME, "Time", "Create Time"),
    "account": ("User_ID", "User ID", "UID"),
    "asset": ("Coin", "Currency", "Asset"),
    "amount": ("Amount",),
    "network": ("Network", "Chain"),
    "txid": ("TXID", "TxId", "Transaction ID", "Tx Hash"),
    "source address": ("SourceAddress", "Source Address", "From Address"),
    "status": ("Status",),
    "remark": ("PaymentID", "Memo"),
    "fee": ("TransactionFee", "Fee"),
}
_CHAIN_NEEDED: Final = frozenset(("time", "asset", "amount", "network", "txid", "address", "status"))

FORMATS: Final = (
    Format(
        "binance-history", "transaction history", "Binance",
        Layout(
            {"account": ("User_ID", "User ID"), "time": (*_TIME, "Time"), "wallet": ("Account",),
             "operation": ("Operation",), "asset": ("Coin",), "change": ("Change",), "remark": ("Remark",)},
            frozenset(("account", "time", "wallet", "operation", "asset", "change")),
        ),
        _history, complete=True, says_utc=True, plainly=kind_of,
    ),
    Format(
        "binance-withdrawals", "withdrawal", "Binance",
        Layout({**_CHAIN, "address": ("Address", "Withdraw Address", "Destination Address")}, _CHAIN_NEEDED),
        lambda row: _moved(row, -1, "withdrawal"), says_utc=True, hints=("withdraw", "retiro", "extraccion"),
    ),
    Format(
        "binance-deposits", "deposit", "Binance",
        Layout({**_CHAIN, "address": ("Address", "Deposit Address")}, _CHAIN_NEEDED),
        lambda row: _moved(row, 1, "deposit"), says_utc=True, hints=("deposit", "ingreso"),
    ),
    Format(
        "binance-trades", "spot trade", "Binance",
        Layout(
            {"time": _TIME, "account": ("User_ID", "User ID"), "pair": ("Pair", "Market"), "side": ("Side", "Type"),
             "price": ("Price",), "quantity": ("Executed",), "amount": ("Amount",), "fee": ("Fee",),
             "fee asset": ("Fee Coin",)},
            frozenset(("time", "pair", "side", "price", "quantity", "amount", "fee")),
        ),
        _trade, says_utc=True,
    ),
    Format(
        "binance-p2p", "P2P order", "Binance",
        Layout(
            {"time": ("Created Time", "Create Time", *_TIME), "account": ("User_ID", "User ID"),
             "order": ("Order Number",), "side": ("Order Type",), "asset": ("Asset Type", "Asset"),
             "fiat": ("Fiat Type", "Fiat"), "total": ("Total Price",), "price": ("Price",), "quantity": ("Quantity",),
             "counterparty": ("Couterparty", "Counterparty"), "status": ("Status",), "method": ("Payment Method",),
             "counterparty account": ("Payment Account", "Counterparty Account")},
            frozenset(("time", "order", "side", "asset", "fiat", "total", "quantity")),
        ),
        _p2p, says_utc=True,
    ),
)  # fmt: skip
