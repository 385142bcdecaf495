"""A made-up chain of transfers, and servers on this machine that tell it as explorers do, with their pages and caps."""

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

from calibar.chains.ethereum import address
from calibar.chains.remote.transfers_told import Movement

KEY = "SECRETKEY123456"
encode = cache(address.encode)
Row = dict[str, Any]
Reply = tuple[int, object]
Truth = tuple[str, str, bytes | None, bytes | None, bytes | None, int, int]
"""Kind, transaction, token, sender, recipient, amount, block."""


def address_of(number: int) -> bytes:
    return sha256(b"address%d" % number).digest()[:20]


ASKED = address_of(0)
USDT, DAI = address_of(1001), address_of(1002)
NOBODY = bytes(20)


@dataclass
class Sent:
    """One transaction."""

    txid: str
    block: int
    index: int
    sender: bytes
    recipient: bytes
    value: int
    gas: int
    price: int
    failed: bool
    creates: bool
    internals: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    tokens: list[tuple[bytes, bytes, bytes, int]] = field(default_factory=list)

    def truth(self) -> Iterator[tuple[str, Truth]]:
        """What each class lists of it for ASKED."""
        if self.sender == ASKED:
            yield "value", ("fee", self.txid, None, ASKED, None, self.gas * self.price, self.block)
        if self.failed:
            return
        if self.value and ASKED in (self.sender, self.recipient):
            yield "value", ("value", self.txid, None, self.sender, self.recipient, self.value, self.block)
        for sender, recipient, amount in self.internals:
            if ASKED in (sender, recipient) and amount:
                yield "internal", ("internal", self.txid, None, sender, recipient, amount, self.block)
        for token, sender, recipient, amount in self.tokens:
            if ASKED in (sender, recipient):
                giver = None if sender == NOBODY else sender
                yield "token", ("token", self.txid, token, giver, recipient, amount, self.block)


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
    heights = sorted(dice.randrange(10, 10 + blocks) for _ in range(count))
    found: list[Sent] = []
    for at, block in enumerate(heights):
        index = found[-1].index + 1 if found and found[-1].block == block else 0
        other = address_of(dice.randrange(1, 9))
        sender, recipient = (ASKED, other) if dice.random() < 0.5 else (other, ASKED)
        txid = sha256(b"transaction%d/%d" % (seed, at)).hexdigest()
        one = Sent(
            txid, block, index, sender, recipient, dice.choice([0, 1, 10**18, dice.randrange(10**24)]), 21000,
            dice.randrange(1, 10**11), dice.random() < 0.15, dice.random() < 0.1 and sender == ASKED,
        )  # fmt: skip
        for _ in range(dice.randrange(3)):
            one.internals.append((recipient, dice.choice([sender, recipient]), dice.choice([0, 5, 10**20])))
        one.internals = [row for row in one.internals if ASKED in row[:2]]
        for _ in range(dice.randrange(3)):
            giver = dice.choice([sender, NOBODY])
            one.tokens.append((dice.choice([USDT, DAI]), giver, ASKED, dice.choice([0, 7, 7, 2**255])))
        found.append(one)
    return Ledger(found)


def plain(rows: tuple[Movement, ...]) -> list[Truth]:
    """Movements as the ledger writes them."""
    return [
        (row.kind, row.txid.hex(), row.asset.contract, row.sender, row.recipient, row.amount, row.height or -1)
        for row in rows
    ]


Answer = Callable[[str, dict[str, str]], Reply]


@dataclass
class Server:
    """What was asked of it, and where it is."""

    url: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server that answers `answer(path, query)` as JSON, bytes as they are."""
    server = Server()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = -1

        def do_GET(self) -> None:
            server.asked.append(self.path)
            parts = urlsplit(self.path)
            status, body = answer(parts.path, dict(parse_qsl(parts.query, keep_blank_values=True)))
            data = body if isinstance(body, bytes) else json.dumps(body).encode()
            self.send_response(status)
            kind = "text/html" if data[:1] == b"<" else "application/json"
            self.send_header("Content-Type", kind)
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


@dataclass
class EtherscanLike:
    """Etherscan's API over a ledger. `change` is told each list's rows and may lie."""

    ledger: Ledger
    window: int = 10_000
    change: Callable[[str, list[Row]], list[Row]] = lambda _, rows: rows

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if query.get("apikey") != KEY:
            return 200, {"status": "0", "message": "NOTOK", "result": "Missing/Invalid API Key"}
        assert path == "/v2/api" and query["chainid"] == "1"
        match query["action"]:
            case "eth_blockNumber":
                return 200, {"jsonrpc": "2.0", "id": 83, "result": hex(self.ledger.height)}
            case "balance":
                return 200, {"status": "1", "message": "OK", "result": str(2**200 + 1)}
            case "tokenbalance":
                return 200, {"status": "1", "message": "OK", "result": "135499"}
            case action:
                return self.listed(action, query)

    def listed(self, action: str, query: dict[str, str]) -> Reply:
        page, offset = int(query["page"]), int(query["offset"])
        if page * offset > self.window:
            words = "Result window is too large, PageNo x Offset size must be less than or equal to 10000"
            return 200, {"status": "0", "message": words, "result": None}
        rows = [
            row
            for one in self.ledger.sent
            if int(query["startblock"]) <= one.block <= int(query["endblock"])
            for row in self.rows(action, one, query.get("contractaddress", ""))
        ]
        rows = self.change(action, rows[(page - 1) * offset : page * offset])
        if not rows:
            return 200, {"status": "0", "message": "No transactions found", "result": []}
        return 200, {"status": "1", "message": "OK", "result": rows}

    def rows(self, action: str, one: Sent, contract: str) -> list[Row]:
        base = {"blockNumber": str(one.block), "timeStamp": str(1_600_000_000 + one.block), "hash": "0x" + one.txid}
        if action == "txlist":
            return [
                base | {
                    "nonce": "1", "blockHash": "0x" + "ab" * 32, "transactionIndex": str(one.index),
                    "from": "0x" + one.sender.hex(), "to": "" if one.creates else encode(one.recipient),
                    "value": str(one.value), "gas": "30000", "gasPrice": str(one.price), "gasUsed": str(one.gas),
                    "isError": str(int(one.failed)), "txreceipt_status": str(int(not one.failed)), "input": "0x",
                    "contractAddress": "0x" + one.recipient.hex() if one.creates else "", "confirmations": "12",
                }
            ]  # fmt: skip
        if action == "txlistinternal":
            return [
                base | {
                    "from": "0x" + sender.hex(), "to": "0x" + recipient.hex(), "value": str(amount), "type": "call",
                    "contractAddress": "", "input": "", "gas": "1", "gasUsed": "1", "traceId": f"0_{at}",
                    "isError": str(int(one.failed)), "errCode": "",
                }
                for at, (sender, recipient, amount) in enumerate(one.internals)
            ]  # fmt: skip
        return [
            base | {
                "nonce": "1", "blockHash": "0x" + "ab" * 32, "from": "0x" + sender.hex(), "to": encode(recipient),
                "contractAddress": encode(token), "value": str(amount), "tokenName": "Tether\u202eUSD" * 20,
                "tokenSymbol": "USDT", "tokenDecimal": "6", "transactionIndex": str(one.index), "confirmations": "9",
            }
            for token, sender, recipient, amount in ([] if one.failed else one.tokens)
            if contract.lower() in ("", "0x" + token.hex())
        ]  # fmt: skip


@dataclass
class BlockscoutLike:
    """Blockscout's API over a ledger: newest first, each page names the next."""

    ledger: Ledger
    size: int = 50
    change: Callable[[str, Row], object] = lambda _, page: page

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path == "/api/v2/main-page/blocks":
            return 200, [{"height": self.ledger.height - n, "hash": "0x" + f"{n:064x}"} for n in range(3)]
        parts = path.split("/")
        if parts[3] == "transactions":
            chosen = [one for one in self.ledger.sent if one.txid == parts[4][2:]]
            if len(parts) == 5:
                return (200, self.rows("transactions", chosen[0])[0]) if chosen else (404, {"message": "Not found"})
            rows = self.rows(parts[5], chosen[0])
        elif len(parts) == 5:
            balance = {"coin_balance": "123456789012345678901234567890", "block_number_balance_updated_at": 77}
            return 200, {"hash": encode(ASKED), **balance, "exchange_rate": 1.5}
        elif parts[5] == "token-balances":
            return 200, [{"token": {"address_hash": encode(USDT)}, "value": "42", "token_id": None}]
        else:
            rows = [row for one in reversed(self.ledger.sent) for row in reversed(self.rows(parts[5], one))]
            if "token" in query:
                rows = [row for row in rows if row["token"]["address_hash"] == query["token"]]
        start = int(query.get("items_count", 0))
        more = start + self.size
        following = {"items_count": more, "block_number": 5, "nothing": None} if more < len(rows) else None
        return 200, self.change(path, {"items": rows[start:more], "next_page_params": following})

    def rows(self, name: str, one: Sent) -> list[Row]:
        time = f"2024-01-01T00:{one.block // 60 % 60:02}:{one.block % 60:02}.000000Z"
        base: Row = {"block_number": one.block, "timestamp": time}
        of = base | {"transaction_hash": "0x" + one.txid}
        if name == "transactions":
            return [
                base | {
                    "hash": "0x" + one.txid, "position": one.index, "from": {"hash": encode(one.sender)},
                    "to": None if one.creates else {"hash": encode(one.recipient)}, "value": str(one.value),
                    "created_contract": {"hash": encode(one.recipient)} if one.creates else None,
                    "fee": {"type": "actual", "value": str(one.gas * one.price)},
                    "status": "error" if one.failed else "ok",
                }
            ]  # fmt: skip
        if name == "internal-transactions":
            return [
                of | {
                    "from": {"hash": encode(sender)}, "to": {"hash": encode(recipient)}, "created_contract": None,
                    "value": str(amount), "type": "call", "index": at, "success": not one.failed, "error": None,
                }
                for at, (sender, recipient, amount) in enumerate(one.internals, 1)
            ]  # fmt: skip
        return [
            of | {
                "block_hash": "0x" + "ab" * 32, "from": {"hash": encode(sender)}, "to": {"hash": encode(recipient)},
                "token": {"address_hash": encode(token), "symbol": "T", "name": "Token", "decimals": "18"},
                "total": {"value": str(amount), "decimals": "18"}, "log_index": 100 * one.index + at,
            }
            for at, (token, sender, recipient, amount) in enumerate([] if one.failed else one.tokens)
        ]  # fmt: skip
