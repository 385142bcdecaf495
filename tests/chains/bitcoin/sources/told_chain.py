"""A small chain of true hashes, and servers that tell of it as Electrum and Esplora do."""

from __future__ import annotations

import json
import socket
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Any

from remote_servers import lines, send_line

from calibar.chains.bitcoin.networks import NETWORKS, Network

SCRIPT = bytes.fromhex("0014" + "11" * 20)
OTHER = bytes.fromhex("0014" + "22" * 20)
SCRIPT_HASH = sha256(SCRIPT).digest()


def sha256d(data: bytes) -> bytes:
    return sha256(sha256(data).digest()).digest()


def shown(wire: bytes) -> str:
    return wire[::-1].hex()


def transaction(number: int) -> bytes:
    """Well formed, of nothing in particular."""
    coin = sha256(str(number).encode()).digest() + struct.pack("<I", 0)
    paid = struct.pack("<q", 1000 + number) + bytes([len(SCRIPT)]) + SCRIPT
    return struct.pack("<i", 2) + b"\x01" + coin + b"\x00" + b"\xff" * 4 + b"\x01" + paid + bytes(4)


@dataclass
class Chain:
    headers: list[bytes]
    raws: dict[bytes, bytes]
    history: list[tuple[bytes, int]]

    @property
    def network(self) -> Network:
        return replace(NETWORKS["regtest"], genesis=shown(sha256d(self.headers[0])))

    @property
    def tip(self) -> int:
        return len(self.headers) - 1


def chain(blocks: int = 40, entries: int = 60) -> Chain:
    headers = [struct.pack("<I32s32sIII", 1, bytes(32), sha256(b"root").digest(), 1_600_000_000, 0x207FFFFF, 2)]
    for height in range(1, blocks):
        root = sha256(str(height).encode()).digest()
        headers.append(
            struct.pack(
                "<I32s32sIII", 0x20000000, sha256d(headers[-1]), root, 1_600_000_000 + height, 0x207FFFFF, height
            )
        )
    raws = {sha256d(raw): raw for raw in (transaction(number) for number in range(entries))}
    history = [(txid, 1 + index * (blocks - 1) // entries) for index, txid in enumerate(raws)]
    return Chain(headers, raws, history)


class RpcError(Exception):
    def __init__(self, message: str, code: int = 1) -> None:
        super().__init__(message)
        self.error = {"code": code, "message": message}


@dataclass
class ElectrumPlay:
    """Answers as ElectrumX 2.0 does, by the protocol version that it speaks."""

    chain: Chain
    version: str = "1.4.2"
    features: bool = True
    outpoints: bool = True
    most_headers: int = 2016
    change: Callable[[dict[str, Any], dict[str, Any]], dict[str, Any] | bytes | None] | None = None
    """Given a request and its answer: what goes out instead."""
    asked: list[tuple[str, list[Any]]] = field(default_factory=list)
    connections: list[socket.socket] = field(default_factory=list)
    statuses: dict[str, str | None] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __call__(self, client: socket.socket) -> None:
        self.connections.append(client)
        for message in lines(client):
            self.asked.append((message["method"], message["params"]))
            answer: dict[str, Any] = {"jsonrpc": "2.0", "id": message["id"]}
            try:
                answer["result"] = self.result(message["method"], message["params"])
            except RpcError as error:
                answer["error"] = error.error
            out = answer if self.change is None else self.change(message, answer)
            if out is None:
                return
            with self.lock:
                if isinstance(out, bytes):
                    client.sendall(out)
                else:
                    send_line(client, out)

    def touch(self, script: bytes, status: str | None) -> None:
        """Tell of a change on every connection."""
        key = shown(sha256(script).digest())
        self.statuses[key] = status
        named = "scriptpubkey" if self.version >= "1.7" else "scripthash"
        for client in self.connections:
            with self.lock:
                send_line(
                    client, {"jsonrpc": "2.0", "method": f"blockchain.{named}.subscribe", "params": [key, status]}
                )

    def result(self, method: str, params: list[Any]) -> object:
        chain = self.chain
        by_script = method.startswith("blockchain.scriptpubkey.")
        if by_script != (self.version >= "1.7") and ".script" in method:
            raise RpcError(f"unknown method {method}", -32601)
        match method.replace("scriptpubkey", "scripthash"):
            case "server.version":
                return ["ElectrumX 2.0", self.version]
            case "server.ping":
                return None
            case "server.features" if self.features:
                return {"genesis_hash": chain.network.genesis, "hosts": {}, "pruning": None}
            case "blockchain.block.header":
                return chain.headers[params[0]].hex()
            case "blockchain.headers.subscribe":
                return {"hex": chain.headers[-1].hex(), "height": chain.tip}
            case "blockchain.block.headers":
                found = chain.headers[params[0] : params[0] + min(params[1], self.most_headers)]
                each = [one.hex() for one in found]
                told = {"headers": each} if self.version >= "1.6" else {"hex": "".join(each)}
                return {"count": len(found), "max": self.most_headers} | told
            case "blockchain.transaction.get":
                raw = chain.raws.get(bytes.fromhex(params[0])[::-1])
                if raw is None:
                    raise RpcError(
                        "daemon error: DaemonError({'code': -5, 'message': 'No such\n\x1b[31m transaction'})", 2
                    )
                return raw.hex()
            case "blockchain.transaction.get_merkle":
                return {"block_height": params[1], "merkle": ["ab" * 31 + "01", "cd" * 32], "pos": 2}
            case "blockchain.scripthash.get_history":
                key = self._key(by_script, params[0])
                if key == sha256(OTHER).digest():
                    raise RpcError("history too large", 10_001)
                history = [{"tx_hash": shown(txid), "height": height} for txid, height in chain.history]
                return {"history": history} if by_script else history
            case "blockchain.scripthash.get_balance":
                return {"confirmed": 5000, "unconfirmed": -700}
            case "blockchain.scripthash.subscribe":
                return self.statuses.get(shown(self._key(by_script, params[0])))
            case "blockchain.outpoint.get_status" if self.version >= "1.7" and self.outpoints:
                spends = {0: {}, 1: {"funder_height": 3}}
                spent = {"funder_height": 3, "spender_txhash": shown(chain.history[0][0]), "spender_height": 5}
                return spends.get(params[1], spent)
        raise RpcError(f'unknown method "{method}"', -32601)

    def _key(self, by_script: bool, param: str) -> bytes:
        data = bytes.fromhex(param)
        return sha256(data).digest() if by_script else data[::-1]


def esplora(chain: Chain, a_page: int = 25) -> Callable[[str], bytes | tuple[int, bytes, dict[str, str]]]:
    """Answers as Blockstream's electrs does."""
    missing: tuple[int, bytes, dict[str, str]] = (404, b"Transaction not found", {})

    def block(height: int) -> dict[str, object]:
        version, previous, root, time, bits, nonce = struct.unpack("<I32s32sIII", chain.headers[height])
        name = shown(sha256d(chain.headers[height]))
        said = {"id": name, "height": height, "version": version, "timestamp": time, "bits": bits, "nonce": nonce,
                "merkle_root": shown(root), "tx_count": 1, "difficulty": 4.6e-10}  # fmt: skip
        return said | {"previousblockhash": shown(previous) if height else None}

    def answer(path: str) -> bytes | tuple[int, bytes, dict[str, str]]:
        match path.removeprefix("/api").split("/")[1:]:
            case ["block-height", "0"]:
                return chain.network.genesis.encode()
            case ["blocks"]:
                return json.dumps([block(height) for height in range(chain.tip, max(chain.tip - 10, -1), -1)]).encode()
            case ["blocks", at]:
                top = int(at)
                if top > chain.tip:
                    return 404, b"Block not found", {}
                return json.dumps([block(height) for height in range(top, max(top - 10, -1), -1)]).encode()
            case ["tx", txid, "raw"]:
                raw = chain.raws.get(bytes.fromhex(txid)[::-1])
                return missing if raw is None else (200, raw, {"Content-Type": "application/octet-stream"})
            case ["tx", txid, "merkle-proof"]:
                if bytes.fromhex(txid)[::-1] not in chain.raws:
                    return missing
                return json.dumps({"block_height": 7, "merkle": ["ab" * 32], "pos": 1}).encode()
            case ["tx", _, "outspend", "0"]:
                return b'{"spent":false}'
            case ["tx", _, "outspend", output]:
                status = {"confirmed": output == "1", "block_height": 9 if output == "1" else None}
                return json.dumps({"spent": True, "txid": "0f" * 32, "vin": 0, "status": status}).encode()
            case ["scripthash", key]:
                stats = {"tx_count": len(chain.history), "funded_txo_sum": 900, "spent_txo_sum": 400}
                pool = {"tx_count": 1, "funded_txo_sum": 0, "spent_txo_sum": 100}
                return json.dumps({"scripthash": key, "chain_stats": stats, "mempool_stats": pool}).encode()
            case ["scripthash", _, "txs", "chain", *cursor]:
                newest = list(reversed(chain.history))
                start = 1 + [shown(txid) for txid, _ in newest].index(cursor[0]) if cursor else 0
                listed = newest[start : start + a_page]
                statuses = [{"confirmed": True, "block_height": at} for _, at in listed]
                return json.dumps(
                    [
                        {"txid": shown(txid), "vin": [], "vout": [], "fee": 1, "status": status}
                        for (txid, _), status in zip(listed, statuses, strict=True)
                    ]
                ).encode()
        return 404, b"nothing here", {}

    return answer
