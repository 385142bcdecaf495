"""Writes movements out as explorers do, in any order of columns, delimiter, and convention of numbers and times."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass
from datetime import UTC, datetime

from calibar.chains.ethereum import address as ethereum
from calibar.chains.remote.transfers_told import Movement
from calibar.chains.tron import address as tron

ME = bytes.fromhex("52908400098527886e0f7030069857d2e4169ee7")
YOU = bytes.fromhex("8617e340b3d01fa5f11f306f4090fd50e238070d")
TETHER = bytes.fromhex("dac17f958d2ee523a2206206994597c13d831ec7")
OTHER_TOKEN = bytes.fromhex("a614f803b6fd780986a42c78ec9c7f77e6ded13c")


@dataclass(frozen=True)
class Style:
    """How a table is written."""

    delimiter: str = ","
    decimal: str = "."
    groups: bool = False
    times: str = "unix"
    encoding: str = "utf-8"
    order: tuple[int, ...] = ()
    """Of the columns; what has no place here comes last."""
    ends: str = "\r\n"
    unknown: bool = False
    """Whether a column that nobody knows stands among them."""


def decimal_text(amount: int, places: int, style: Style) -> str:
    """Whole coins."""
    digits = str(amount).rjust(places + 1, "0")
    whole, fraction = (digits[:-places], digits[-places:].rstrip("0")) if places else (digits, "")
    if style.groups:
        whole = f"{int(whole):,}".replace(",", "," if style.decimal == "." else ".")
    return whole + (style.decimal + fraction if fraction else "")


def time_text(time: int, style: Style) -> str:
    """A time of a block."""
    moment = datetime.fromtimestamp(time, UTC)
    return {
        "unix": str(time),
        "milliseconds": str(time * 1000),
        "iso": moment.isoformat().replace("+00:00", "Z"),
        "plain": f"{moment:%Y-%m-%d %H:%M:%S}",
        "dmy": f"{moment:%d/%m/%Y %H:%M:%S}",
        "mdy": f"{moment:%m/%d/%Y %I:%M:%S %p}",
    }[style.times]


def table(header: list[str], rows: list[list[str]], style: Style) -> bytes:
    """The file."""
    if style.unknown:
        header, rows = [*header, "PrivateNote"], [[*row, "=cmd|' /C calc'!A0"] for row in rows]
    order = [place for place in style.order if place < len(header)]
    order += [place for place in range(len(header)) if place not in order]
    out = io.StringIO()
    writer = csv.writer(out, delimiter=style.delimiter, lineterminator=style.ends)
    writer.writerows([line[place] for place in order] for line in [header, *rows])
    return out.getvalue().encode(style.encoding)


def _eth(address: bytes | None) -> str:
    return ethereum.encode(address or bytes(20))


def _tron(address: bytes | None) -> str:
    return tron.to_base58(address or bytes(20))


def etherscan(moves: list[Movement], fees: dict[bytes, int], failed: set[bytes], style: Style) -> bytes:
    """Transactions."""
    header = [
        "Transaction Hash", "Blockno", _header(style), "From", "To", "ContractAddress", "Value_IN(ETH)",
        "Value_OUT(ETH)", "CurrentValue @ $1785.9/Eth", "TxnFee(ETH)", "TxnFee(USD)", "Historical $Price/Eth", "Status",
        "ErrCode", "Method",
    ]  # fmt: skip
    rows = []
    for move in moves:
        amount = decimal_text(move.amount, 18, style)
        bad = move.txid in failed
        rows.append(
            ["0x" + move.txid.hex(), str(move.height), time_text(move.time or 0, style), _eth(move.sender),
             _eth(move.recipient), "", amount if move.sender != ME else "0", amount if move.sender == ME else "0",
             "1.000.x", decimal_text(fees.get(move.txid, 0), 18, style), "0.62", "1785.9", "Error(0)" if bad else "",
             "Reverted" if bad else "", "Transfer"]
        )  # fmt: skip
    return table(header, rows, style)


def etherscan_internal(moves: list[Movement], style: Style) -> bytes:
    """Internal transactions."""
    header = [
        "Txhash", "Blockno", _header(style), "ParentTxFrom", "ParentTxTo", "ParentTxETH_Value", "From", "TxTo",
        "ContractAddress", "Value_IN(ETH)", "Value_OUT(ETH)", "Status", "ErrCode", "Type",
    ]  # fmt: skip
    rows = []
    for move in moves:
        amount = decimal_text(move.amount, 18, style)
        rows.append(
            [move.txid.hex(), str(move.height), time_text(move.time or 0, style), _eth(YOU), _eth(TETHER), "0",
             _eth(move.sender).lower(), _eth(move.recipient), "", amount if move.sender != ME else "0",
             amount if move.sender == ME else "0", "0", "", "call"]
        )  # fmt: skip
    return table(header, rows, style)


def etherscan_tokens(moves: list[Movement], style: Style) -> bytes:
    """ERC-20 transfers."""
    header = [
        "Transaction Hash", "Blockno", _header(style), "From", "To", "TokenValue", "USDValueDayOfTx",
        "ContractAddress", "TokenName", "TokenSymbol",
    ]  # fmt: skip
    rows = [
        ["0x" + move.txid.hex(), str(move.height), time_text(move.time or 0, style), _eth(move.sender),
         _eth(move.recipient), decimal_text(move.amount, _places(move), style), "$1,000.00",
         _eth(move.asset.contract), move.said.name if move.said else "", move.said.symbol if move.said else ""]
        for move in moves
    ]  # fmt: skip
    return table(header, rows, style)


def blockscout_tokens(moves: list[Movement], style: Style) -> bytes:
    """Token transfers in base units; one column stands there twice, as Blockscout has it."""
    header = [
        "TxHash", "BlockNumber", "UnixTimestamp", "FromAddress", "ToAddress", "TokenContractAddress", "Type",
        "TokenDecimals", "TokenSymbol", "TokenDecimals", "TokensTransferred", "TransactionFee", "Status", "ErrCode",
    ]  # fmt: skip
    rows = [
        ["0x" + move.txid.hex(), str(move.height), time_text(move.time or 0, Style(times="iso")), _eth(move.sender),
         _eth(move.recipient), _eth(move.asset.contract), "OUT" if move.sender == ME else "IN", str(_places(move)),
         move.said.symbol if move.said else "", str(_places(move)), str(move.amount), "21000", "ok", ""]
        for move in moves
    ]  # fmt: skip
    return table(header, rows, style)


def tronscan(moves: list[Movement], style: Style) -> bytes:
    """Transfers of tokens, with contracts."""
    header = ["Txn Hash", "Block", _header(style, "Time(UTC)"), "From", "To", "Token", "Token Symbol",
              "Amount/TokenID", "Result", "Status"]  # fmt: skip
    rows = [
        [move.txid.hex(), str(move.height), time_text(move.time or 0, style), _tron(move.sender), _tron(move.recipient),
         _tron(move.asset.contract), move.said.symbol if move.said else "",
         decimal_text(move.amount, _places(move), style), "SUCCESS", "CONFIRMED"]
        for move in moves
    ]  # fmt: skip
    return table(header, rows, style)


def _places(move: Movement) -> int:
    assert move.said is not None and move.said.decimals is not None
    return move.said.decimals


def _header(style: Style, plain: str = "DateTime (UTC)") -> str:
    return "UnixTimestamp" if style.times in ("unix", "milliseconds") else plain
