"""Small TRON blocks made by hand, in the shape in which java-tron answers; every hash is computed here anew."""

from __future__ import annotations

import hashlib
from typing import Any

ALICE, BOB, CAROL, TOKEN = (bytes([n]) * 20 for n in (0xA1, 0xB0, 0xCA, 0x70))
USDT = bytes.fromhex("a614f803b6fd780986a42c78ec9c7f77e6ded13c")
TRANSFER = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"
NUMBER, TIME = 5, 1_600_000_000_000
PARENT = (NUMBER - 1).to_bytes(8) + bytes(range(24))

TYPES = {
    "AccountCreateContract": 0, "TransferContract": 1, "TransferAssetContract": 2, "AssetIssueContract": 6,
    "ParticipateAssetIssueContract": 9, "FreezeBalanceContract": 11, "UnfreezeBalanceContract": 12,
    "WithdrawBalanceContract": 13, "CreateSmartContract": 30, "TriggerSmartContract": 31,
    "ExchangeTransactionContract": 44, "WithdrawExpireUnfreezeContract": 56, "DelegateResourceContract": 57,
}  # fmt: skip


def varint(n: int) -> bytes:
    out = b""
    while n >= 128:
        out, n = out + bytes([n % 128 + 128]), n // 128
    return out + bytes([n])


def message(*fields: tuple[int, int | bytes]) -> bytes:
    """Fields in the order given, zero and empty ones left out."""
    out = b""
    for number, value in fields:
        if isinstance(value, bytes):
            out += varint(number * 8 + 2) + varint(len(value)) + value if value else b""
        else:
            out += varint(number * 8) + varint(value % 2**64) if value else b""
    return out


def a41(account: bytes) -> bytes:
    return b"\x41" + account


def h41(account: bytes) -> str:
    return a41(account).hex()


def transaction(
    kind: str, value: bytes, json: dict[str, Any], *, ret: str | None = "SUCCESS", salt: int = 1
) -> dict[str, Any]:
    url = b"type.googleapis.com/protocol." + kind.encode()
    number = TYPES.get(kind, 999)
    contract = message((1, number), (2, message((1, url), (2, value))))
    raw = message((1, b"\xe7\xf0"), (8, TIME + 60_000), (11, contract), (14, salt))
    return {
        "ret": [{"contractRet": ret}] if ret else [],
        "signature": ["11" * 65],
        "txID": hashlib.sha256(raw).hexdigest(),
        "raw_data": {
            "contract": [{"parameter": {"value": json, "type_url": url.decode()}, "type": kind}],
            "expiration": TIME + 60_000, "timestamp": salt,
        },
        "raw_data_hex": raw.hex(),
    }  # fmt: skip


def transfer(sender: bytes, recipient: bytes, amount: int, **more: Any) -> dict[str, Any]:
    return transaction(
        "TransferContract",
        message((1, a41(sender)), (2, a41(recipient)), (3, amount)),
        {"amount": amount, "owner_address": h41(sender), "to_address": h41(recipient)},
        **more,
    )


def trigger(sender: bytes, contract: bytes, data: bytes = b"", *, value: int = 0, token: int = 0, units: int = 0,
            **more: Any) -> dict[str, Any]:  # fmt: skip
    json: dict[str, Any] = {"owner_address": h41(sender), "contract_address": h41(contract)}
    json |= {
        name: it
        for name, it in (("data", data.hex()), ("call_value", value), ("token_id", token), ("call_token_value", units))
        if it
    }
    fields = ((1, a41(sender)), (2, a41(contract)), (3, value), (4, data), (5, units), (6, token))
    return transaction("TriggerSmartContract", message(*fields), json, **more)


def owned(kind: str, owner: bytes = ALICE, **more: Any) -> dict[str, Any]:
    return transaction(kind, message((1, a41(owner))), {"owner_address": h41(owner)}, **more)


def leaf(tx: dict[str, Any]) -> bytes:
    codes = {"SUCCESS": 1, "REVERT": 2, "OUT_OF_ENERGY": 10}
    parts = message((1, bytes.fromhex(tx["raw_data_hex"])))
    for signature in tx["signature"]:
        parts += message((2, bytes.fromhex(signature)))
    for ret in tx["ret"]:
        body = message((3, codes[ret["contractRet"]]))
        parts += b"\x2a" + varint(len(body)) + body
    return hashlib.sha256(parts).digest()


def root(leaves: list[bytes]) -> bytes:
    if not leaves:
        return bytes(32)
    if len(leaves) == 1:
        return leaves[0]
    above = [
        hashlib.sha256(b"".join(leaves[at : at + 2])).digest() if at + 1 < len(leaves) else leaves[at]
        for at in range(0, len(leaves), 2)
    ]
    return root(above)


def block(*transactions: dict[str, Any], number: int = NUMBER, parent: bytes | None = None) -> dict[str, Any]:
    parent = parent or (PARENT if number == NUMBER else (number - 1).to_bytes(8) + bytes(24))
    raw = {
        "number": number,
        "txTrieRoot": root([leaf(tx) for tx in transactions]).hex(),
        "witness_address": h41(CAROL),
        "parentHash": parent.hex(),
        "version": 30,
        "timestamp": TIME + 3000 * number,
    }
    answer: dict[str, Any] = {"block_header": {"raw_data": raw, "witness_signature": "22" * 65}}
    seal(answer)
    if transactions:
        answer["transactions"] = list(transactions)
    return answer


def seal(answer: dict[str, Any]) -> None:
    """Gives a block the id of its header."""
    raw = answer["block_header"]["raw_data"]
    header = message(
        (1, raw["timestamp"]), (2, bytes.fromhex(raw["txTrieRoot"])), (3, bytes.fromhex(raw["parentHash"])),
        (7, raw["number"]), (9, bytes.fromhex(raw["witness_address"])), (10, raw["version"]),
    )  # fmt: skip
    answer["blockID"] = (raw["number"].to_bytes(8) + hashlib.sha256(header).digest()[8:]).hex()


def info(tx: dict[str, Any], *, number: int = NUMBER, fee: int = 0, **more: Any) -> dict[str, Any]:
    answer: dict[str, Any] = {"id": tx["txID"], "blockNumber": number, "blockTimeStamp": TIME + 3000 * number}
    if fee:
        answer["fee"] = fee
    return {**answer, "receipt": {}, **more}


def log(contract: bytes, topics: list[str], data: str = "") -> dict[str, Any]:
    return {"address": contract.hex(), "topics": topics, "data": data}


def pad(account: bytes) -> str:
    return account.hex().rjust(64, "0")


def word(amount: int) -> str:
    return f"{amount:064x}"
