"""A made-up chain of transfers, and servers on this machine that tell it as TRON's explorers do, with their cuts."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from calibar.chains.remote.transfers_told import Movement
from calibar.chains.tron import address
from calibar.chains.tron.hashes import created_contract

KEY = "SECRETKEY123456"
START = 1_700_000_000_000
"""Milliseconds; a block each three seconds."""
to_base58 = cache(address.to_base58)
Row = dict[str, Any]
Reply = tuple[int, object]
Truth = tuple[str, str, bytes | int | None, bytes | None, bytes | None, int, int]
"""Kind, transaction, token, sender, recipient, amount, seconds."""


def address_of(number: int) -> bytes:
    return sha256(b"address%d" % number).digest()[:20]


ASKED = address_of(0)
USDT, USDD = address_of(1001), address_of(1002)
NOBODY = bytes(20)
NUMBER = 1_002_000


@dataclass
class Sent:
    """One transaction; `kind` is the number of its contract."""

    txid: str
    block: int
    kind: int
    sender: bytes
    recipient: bytes
    value: int
    fee: int
    failed: bool
    internals: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    tokens: list[tuple[bytes, bytes, bytes, int]] = field(default_factory=list)

    @property
    def when(self) -> int:
        return START + 3000 * self.block

    def truth(self) -> Iterator[tuple[str, Truth]]:
        """What each class lists of it for ASKED."""
        seconds = self.when // 1000
        if self.sender == ASKED and self.fee:
            yield "value", ("fee", self.txid, None, ASKED, None, self.fee, seconds)
        if self.failed:
            return
        if self.value and self.kind == 2:
            yield "trc10", ("value", self.txid, NUMBER, self.sender, self.recipient, self.value, seconds)
        elif self.value and ASKED in (self.sender, self.recipient):
            yield "value", ("value", self.txid, None, self.sender, self.recipient, self.value, seconds)
        for sender, recipient, amount in self.internals:
            if amount:
                yield "internal", ("internal", self.txid, None, sender, recipient, amount, seconds)
        for token, sender, recipient, amount in self.tokens:
            giver = None if sender == NOBODY else sender
            yield "token", ("token", self.txid, token, giver, recipient, amount, seconds)


@dataclass
class Ledger:
    """Transactions, oldest first."""

    sent: list[Sent]

    @property
    def height(self) -> int:
        return self.sent[-1].block

    def truth(self, what: str, first: int = 0) -> list[Truth]:
        return [row for one in self.sent if one.block >= first for kind, row in one.truth() if kind == what]


def ledger(seed: int, count: int, blocks: int) -> Ledger:
    """Transactions that all concern ASKED somehow; several share a block."""
    dice = random.Random(seed)  # noqa: S311
    found = []
    for at, block in enumerate(sorted(dice.randrange(10, 10 + blocks) for _ in range(count))):
        other = address_of(dice.randrange(1, 9))
        kind = dice.choice([1, 1, 2, 30, 31, 31])
        sender, recipient = (ASKED, other) if kind == 30 or dice.random() < 0.5 else (other, ASKED)
        txid = sha256(b"transaction%d/%d" % (seed, at)).digest()
        if kind == 30:
            recipient = created_contract(txid, sender)
        value = dice.randrange(1, 10**15) if kind < 30 else dice.choice([0, 10**12])
        one = Sent(txid.hex(), block, kind, sender, recipient, value, dice.choice([0, 345000]), dice.random() < 0.15)
        if kind >= 30:
            one.internals = [(recipient, sender, dice.choice([0, 5, 10**9])) for _ in range(dice.randrange(3))]
            for _ in range(dice.randrange(3)):
                giver = dice.choice([other, NOBODY])
                one.tokens.append((dice.choice([USDT, USDD]), giver, ASKED, dice.choice([0, 7, 7, 2**255])))
        found.append(one)
    return Ledger(found)


def plain(rows: tuple[Movement, ...]) -> list[Truth]:
    """Movements as the ledger writes them."""
    return [
        (
            row.kind, row.txid.hex(), row.asset.number or row.asset.contract, row.sender, row.recipient, row.amount,
            row.time or -1,
        )
        for row in rows
    ]  # fmt: skip


Answer = Callable[[str, dict[str, str]], Reply]


@dataclass
class Server:
    """What was asked of it with which key, and where it is."""

    url: str = ""
    asked: list[str] = field(default_factory=list)
    keys: set[str | None] = field(default_factory=set)


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server that answers `answer(path, query)` as JSON, bytes as they are; of a POST the query is its body."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            server.asked.append(self.path)
            parts = urlsplit(self.path)
            self.reply(*answer(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))))

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            server.asked.append(f"POST {self.path}")
            self.reply(*answer(self.path, json.loads(body)))

        def reply(self, status: int, body: object) -> None:
            server.keys.add(self.headers.get("TRON-PRO-API-KEY"))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html" if data[:1] == b"<" else "application/json")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        def log_message(self, format: str, *args: object) -> None:
            pass

    http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    http.daemon_threads = True
    thread = threading.Thread(target=http.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    server.url = f"http://127.0.0.1:{http.server_port}"
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
        thread.join()


def _hex(data: bytes) -> str:
    return "41" + data.hex()


@dataclass
class TronGridLike:
    """TronGrid's API over a ledger; `change` may lie about a page."""

    ledger: Ledger
    size: int = 200
    change: Callable[[str, Row], object] = lambda _, page: page

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path in ("/walletsolidity/getnowblock", "/wallet/getblockbynum"):
            number = int(query.get("num", self.ledger.height))
            raw = {"number": number, "timestamp": START + 3000 * number}
            return 200, {"blockID": f"{number:064x}", "block_header": {"raw_data": raw}}
        parts = path.split("/")
        assert parts[3] == to_base58(ASKED)
        if len(parts) == 4:
            account = {
                "address": _hex(ASKED), "balance": 100, "frozenV2": [{"amount": 20}, {"type": "ENERGY"}],
                "unfrozenV2": [{"unfreeze_amount": 3}], "assetV2": [{"key": str(NUMBER), "value": 55}],
                "trc20": [{to_base58(USDT): str(2**200)}, {to_base58(USDD): "1"}],
            }  # fmt: skip
            return 200, {"success": True, "data": [account], "meta": {}}
        assert query["order_by"] == "block_timestamp,asc" and query["only_confirmed"] == "true"
        rows = [row for one in self.ledger.sent for row in self.rows(path, one, query)]
        rows = [row for row in rows if row["block_timestamp"] >= int(query.get("min_timestamp", 0))]
        start = int(query.get("fingerprint", "f0")[1:])
        end = start + min(self.size, int(query["limit"]))
        meta: Row = {"at": 1, "page_size": self.size}
        if end < len(rows):
            meta |= {"fingerprint": f"f{end}", "links": {"next": f"https://api.trongrid.io/?fingerprint=f{end}"}}
        return 200, self.change(path, {"data": rows[start:end], "success": True, "meta": meta})

    def rows(self, path: str, one: Sent, query: dict[str, str]) -> list[Row]:
        if path.endswith("/trc20"):
            return [
                {
                    "transaction_id": one.txid, "block_timestamp": one.when, "type": "Transfer", "value": str(amount),
                    "from": to_base58(sender), "to": to_base58(recipient),
                    "token_info": {"symbol": "USDT", "address": to_base58(token), "decimals": 6, "name": "Tether USD"},
                }
                for token, sender, recipient, amount in ([] if one.failed else one.tokens)
                if query.get("contract_address", to_base58(token)) == to_base58(token)
            ]  # fmt: skip
        parties = {"owner_address": _hex(one.sender), "to_address": _hex(one.recipient)}
        name, order = {
            1: ("TransferContract", {**parties, "amount": one.value}),
            2: ("TransferAssetContract", {**parties, "amount": one.value, "asset_name": str(NUMBER).encode().hex()}),
            30: ("CreateSmartContract", {**parties, "new_contract": {"call_value": one.value}}),
            31: ("TriggerSmartContract", {**parties, "contract_address": _hex(one.recipient),
                                          "call_value": one.value, "data": "a9059cbb"}),
        }[one.kind]  # fmt: skip
        contract = {"type": name, "parameter": {"value": order, "type_url": "type.googleapis.com/protocol." + name}}
        row = {
            "txID": one.txid, "blockNumber": one.block, "block_timestamp": one.when, "internal_transactions": [],
            "ret": [{"contractRet": "REVERT" if one.failed else "SUCCESS", "fee": one.fee}],
            "raw_data": {"contract": [contract], "expiration": one.when},
        }  # fmt: skip
        inside = [
            {
                "internal_tx_id": f"{at:064x}", "tx_id": one.txid, "block_timestamp": one.when,
                "from_address": _hex(sender), "to_address": _hex(recipient),
                "data": {"note": "63616c6c", "rejected": one.failed, "call_value": {"_": amount} if amount else {}},
            }
            for at, (sender, recipient, amount) in enumerate(one.internals)
        ]  # fmt: skip
        return [row, *(inside if query["search_internal"] == "true" else [])]


@dataclass
class TronscanLike:
    """Tronscan's API over a ledger, cut at `window` rows; `change` may lie about a page."""

    ledger: Ledger
    window: int = 10_000
    change: Callable[[str, Row], object] = lambda _, page: page

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path == "/api/block":
            number = int(query.get("number", self.ledger.height))
            return 200, {"data": [{"number": number, "hash": f"{number:064x}", "timestamp": START + 3000 * number}]}
        if path == "/api/account":
            held = [{"tokenId": to_base58(USDT), "balance": str(2**200), "tokenDecimal": 6}]
            return 200, {"address": to_base58(ASKED), "balance": 100, "trc20token_balances": held, "price": 0.123}
        if path == "/api/transaction-info":
            chosen = [one for one in self.ledger.sent if one.txid == query["hash"]]
            return 200, self.details(chosen[0]) if chosen else {}
        assert query.get("address", query.get("relatedAddress")) == to_base58(ASKED)
        rows = [row for one in reversed(self.ledger.sent) for row in reversed(self.rows(path, one, query))]
        time = "block_ts" if path.endswith("/transfers") else "timestamp"
        rows = [row for row in rows if int(query["start_timestamp"]) <= row[time] <= int(query["end_timestamp"])]
        start, limit = int(query["start"]), min(int(query["limit"]), 50)
        name = "token_transfers" if time == "block_ts" else "data"
        shown = rows[: self.window][start : start + limit]
        page = {"total": min(len(rows), self.window), "rangeTotal": len(rows), name: shown, "wholeChainTxCount": 1}
        return 200, self.change(path, page)

    def rows(self, path: str, one: Sent, query: dict[str, str]) -> list[Row]:
        base: Row = {"block": one.block, "timestamp": one.when, "confirmed": True, "revert": False}
        result = "REVERT" if one.failed else "SUCCESS"
        match path:
            case "/api/token_trc20/transfers":
                return [
                    {
                        "transaction_id": one.txid, "block_ts": one.when, "block": one.block, "quant": str(amount),
                        "from_address": to_base58(sender), "to_address": to_base58(recipient), "event_type": "Transfer",
                        "contract_address": to_base58(token), "contractRet": "SUCCESS", "finalResult": "SUCCESS",
                        "tokenInfo": {"tokenId": to_base58(token), "tokenAbbr": "USDT", "tokenName": "Tether",
                                      "tokenDecimal": 6, "tokenType": "trc20"}, "revert": False,
                    }
                    for token, sender, recipient, amount in ([] if one.failed else one.tokens)
                    if query.get("contract_address", to_base58(token)) == to_base58(token)
                ]  # fmt: skip
            case "/api/internal-transaction":
                return [
                    base | {
                        "hash": one.txid, "internal_hash": f"{at:064x}", "from": to_base58(sender), "token_id": "_",
                        "to": to_base58(recipient), "call_value": amount, "rejected": one.failed, "result": result,
                    }
                    for at, (sender, recipient, amount) in enumerate(one.internals)
                ]  # fmt: skip
            case "/api/transfer":
                return [
                    base | {
                        "transactionHash": one.txid, "transferFromAddress": to_base58(one.sender), "amount": one.value,
                        "transferToAddress": to_base58(one.recipient), "contractRet": result,
                        "tokenName": "_" if one.kind == 1 else str(NUMBER),
                        "tokenInfo": {"tokenId": "_" if one.kind == 1 else str(NUMBER), "tokenAbbr": "abc"},
                    }
                ] if one.kind < 30 else []  # fmt: skip
        parties = {"owner_address": to_base58(one.sender), "to_address": to_base58(one.recipient)}
        order = {
            1: {**parties, "amount": one.value},
            2: {**parties, "amount": one.value, "asset_name": str(NUMBER)},
            30: {**parties, "new_contract": {"call_value": one.value}},
            31: {**parties, "contract_address": to_base58(one.recipient), "call_value": one.value},
        }[one.kind]
        return [
            base | {
                "hash": one.txid, "ownerAddress": to_base58(one.sender), "toAddress": to_base58(one.recipient),
                "contractType": one.kind, "contractData": order, "contractRet": result, "amount": "0",
                "cost": {"fee": one.fee, "net_fee": 0, "energy_fee": one.fee},
            }
        ]  # fmt: skip

    def details(self, one: Sent) -> Row:
        moved = [
            {
                "from_address": to_base58(sender), "to_address": to_base58(recipient), "amount_str": str(amount),
                "contract_address": to_base58(token), "decimals": 6, "symbol": "USDT", "name": "Tether",
                "type": "Transfer", "tokenType": "trc20",
            }
            for token, sender, recipient, amount in ([] if one.failed else one.tokens)
        ]  # fmt: skip
        return self.rows("/api/transaction", one, {})[0] | {"trc20TransferInfo": moved}
