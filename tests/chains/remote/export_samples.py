# ruff: noqa: E501 (rows as the explorers write them)
"""A file of each explorer, as people are handed them, and how tests read them."""

from __future__ import annotations

import json
import re

import pytest

from calibar.chains.remote.csv_export import read
from calibar.chains.remote.transfers_told import Movements
from calibar.chains.tron import address as tron
from calibar.errors import CalibarError

ME, YOU = "0x52908400098527886e0f7030069857d2e4169ee7", "0x8617e340b3d01fa5f11f306f4090fd50e238070d"
USDT = "0xdac17f958d2ee523a2206206994597c13d831ec7"
A, B, C = ("0x" + digit * 64 for digit in "abc")
TRON_ME, TRON_YOU = "TJRabPrwbZy45sbavfcjinPJC18kjpRTv8", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
TRON_THIRD = tron.to_base58(bytes(range(20)))

ETHERSCAN = f'''"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","From","To","ContractAddress","Value_IN(ETH)","Value_OUT(ETH)","CurrentValue @ $1785.9/Eth","TxnFee(ETH)","TxnFee(USD)","Historical $Price/Eth","Status","ErrCode","Method"
"{A}","19000000","1705399200","2024-01-16 10:00:00","{YOU}","{ME}","","1.5","0","2678.85","0","0","1785.9","","","Transfer"
"{B}","20000000","1721124000","2024-07-16 10:00:00","{ME}","{YOU}","","0","1,234.5","0","0.0021","3.75","1785.9","","","Transfer"
"{C}","20000001","1721124012","2024-07-16 10:00:12","{ME}","","{USDT}","0","0.25","0","0.00035","0.62","1785.9","Error(0)","Reverted","0x60806040"
'''
INTERNAL = f'''"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","ParentTxFrom","ParentTxTo","ParentTxETH_Value","From","TxTo","ContractAddress","Value_IN(ETH)","Value_OUT(ETH)","CurrentValue @ $1785.9/Eth","Historical $Price/Eth","Status","ErrCode","Type"
"{A}","20000003","1721131200","2024-07-16 12:00:00","{ME}","{USDT}","0","{USDT}","{ME}","","0.25","0","446.47","1785.9","0","","call"
"{B}","20000004","1721131212","2024-07-16 12:00:12","{ME}","{USDT}","0","{USDT}","{ME}","","7","0","446.47","1785.9","1","Reverted","call"
'''
TOKENS = f'''"Transaction Hash","Blockno","UnixTimestamp","DateTime (UTC)","From","To","TokenValue","USDValueDayOfTx","ContractAddress","TokenName","TokenSymbol"
"{A}","20000002","1721127600","2024-07-16 11:00:00","{YOU}","{ME}","1,000","$1,000.00","{USDT}","Tether USD","USDT"
"{A}","20000002","1721127600","2024-07-16 11:00:00","{YOU}","{ME}","0.5","$0.50","{USDT}","Tether USD","USDT"
"{B}","20000009","1721127700","2024-07-16 11:01:40","0x0000000000000000000000000000000000000000","{ME}","3","N/A","{USDT}","=HYPERLINK(""http://evil"")","@SUM(A1)"
'''
BLOCKSCOUT = f"""TxHash,BlockNumber,UnixTimestamp,FromAddress,ToAddress,ContractAddress,Type,Value,Fee,Status,ErrCode,CurrentPrice,TxDateOpeningPrice,TxDateClosingPrice,MethodName
{A},30000000,2024-03-01 12:00:00.000000Z,{YOU},{ME},,IN,1500000000000000000,42000000000000,ok,,3000,2900,3100,
{B},30000001,2024-03-01 12:00:05.000000Z,{ME},{YOU},,OUT,0,21000000000000,error,Reverted,3000,2900,3100,swap
"""
TRONSCAN = f"""Txn Hash,Block,Time(UTC),From,To,Token,Token Symbol,Amount/TokenID,Result,Status
{A[2:]},60000000,2024-03-01 12:00:00,{TRON_THIRD},{TRON_ME},{TRON_YOU},USDT,"12,345.67",SUCCESS,CONFIRMED
{B[2:]},60000001,2024-03-01 12:00:03,{TRON_ME},{TRON_YOU},1002000,BTT,8,SUCCESS,CONFIRMED
{C[2:]},60000002,2024-03-01 12:00:06,{TRON_ME},{TRON_YOU},{TRON_YOU},USDT,5,OUT_OF_ENERGY,CONFIRMED
"""
TRONGRID = f"""transaction_id,token_info.symbol,token_info.address,token_info.decimals,token_info.name,block_timestamp,from,to,type,value
{A[2:]},USDT,{TRON_YOU},6,Tether USD,1709294400000,{TRON_YOU},{TRON_ME},Transfer,4900000
"""
SPANISH = f"""Hash de la transacción;Bloque;Fecha y hora (UTC);Desde;Hacia;Cantidad;Estado
{A};19000000;16/01/2024 10:00:00;{USDT};{ME};1.234,5;Éxito
{B};19000001;16/01/2024 10:00:12;{ME};{YOU};0,000001;Fallido
"""


def told(text: str | bytes, chain: str = "ethereum:1", /, **said: object) -> list[Movements]:
    data = text.encode() if isinstance(text, str) else text
    return list(read(json.dumps({"file": "export.csv", "chain": chain, **said}), data))


HEAD = "Txhash,Blockno,DateTime (UTC),From,To,Amount"


def plain(*amounts: str, times: tuple[str, ...] = (), head: str = HEAD) -> str:
    """Transactions with quoted amounts, of which the address is given."""
    lines = [head]
    for at, amount in enumerate(amounts):
        time = times[at] if at < len(times) else f"2024-01-{15 + at:02} 10:00:00"
        lines.append(f'{at:064x},{100 + at},"{time}",{YOU},{ME},"{amount}"')
    return "\n".join(lines)


def refused(
    kind: type[CalibarError], said: str, text: str | bytes, chain: str = "ethereum:1", **stated: object
) -> None:
    with pytest.raises(kind) as caught:
        told(text, chain, **stated)
    message = str(caught.value)
    assert type(caught.value) is kind
    assert re.search(said, message), message
    assert message.startswith("file export.csv, ") and "\n" not in message and len(message) < 700
