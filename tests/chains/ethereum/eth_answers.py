"""Answers of nodes in the shared data, and small chains made by hand."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from calibar.chains.ethereum import header, receipts, rlp, trie
from calibar.chains.ethereum.blocks import BlockReader
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.signature import recover
from calibar.chains.ethereum.traces import BlockTraces
from calibar.chains.facts import Builder, Facts, integers

Json = dict[str, Any]

HIVE = 3503995874084926
"""Chain id of the test chain of execution-apis."""


def exchange(path: Path) -> tuple[Json, Json]:
    """Question and answer of an `.io` file."""
    lines = path.read_text().splitlines()
    question = next(line[3:] for line in lines if line.startswith(">> "))
    answer = next(line[3:] for line in lines if line.startswith("<< "))
    return json.loads(question), json.loads(answer)


def result(path: Path) -> Any:
    """The result in an `.io` file."""
    return exchange(path)[1]["result"]


def etl(path: Path) -> Any:
    """The result in a recorded response of ethereum-etl."""
    return json.loads(path.read_text())["result"]


def latest(data: Path) -> tuple[Json, list[Json]]:
    """The last block of the test chain and its receipts."""
    folder = data / "ethereum" / "execution-apis"
    block = result(folder / "eth_getBlockByNumber" / "get-latest.io")
    return block, result(folder / "eth_getBlockReceipts" / "get-block-receipts-latest.io")


def blocks_of(data: Path) -> list[Json]:
    """The blocks of chain.rlp as a node would tell them, without senders, which an encoding does not have."""
    raw = (data / "ethereum" / "execution-apis" / "chain.rlp").read_bytes()
    return [as_json(block) for block in rlp.split(raw)]


def as_json(raw: bytes) -> Json:
    """A block's JSON, with the raw transactions."""
    block = rlp.decode(raw)
    head, transactions = block[0], block[1]
    assert isinstance(head, list) and isinstance(transactions, list)
    names = (*header._ALWAYS.items(), *header._SINCE.items())
    fields: Json = {}
    for (name, kind), value in zip(names, head, strict=False):
        assert isinstance(value, bytes)
        fields[name] = hex(rlp.integer(value)) if kind == 0 else "0x" + value.hex()
    fields["hash"] = "0x" + keccak256(rlp.encode(head)).hex()
    fields["raw"] = [tx if isinstance(tx, bytes) else rlp.encode(tx) for tx in transactions]
    return fields


def read(chain_id: int, block: Json, told: list[Json], traces: BlockTraces | None = None, **more: Any) -> Facts:
    """One block's facts."""
    builder = Builder()
    BlockReader(chain_id, **more).add(builder, block, told, traces)
    return builder.facts()


def rows(facts: Facts) -> list[tuple[int, int, str, str, int]]:
    """Transfers as transaction, kind, sender, recipient, amount."""
    return [
        (int(tx), int(kind), bytes(sender).hex(), bytes(recipient).hex(), amount)
        for tx, kind, sender, recipient, amount in zip(
            facts.transfer_tx, facts.transfer_kind, facts.sender, facts.recipient, integers(facts.amount), strict=True
        )
    ]


def events(facts: Facts) -> list[tuple[int, str, str, str, int]]:
    """Events as kind, contract, a, b, amount."""
    return [
        (int(kind), bytes(contract).hex(), bytes(a).hex(), bytes(b).hex(), amount)
        for kind, contract, a, b, amount in zip(
            facts.event_kind,
            facts.event_contract,
            facts.event_a,
            facts.event_b,
            integers(facts.event_amount),
            strict=True,
        )
    ]


def seal(block: Json, told: list[Json], raw: list[bytes]) -> tuple[Json, list[Json]]:
    """The block with the roots and hash that fit what it holds, and its receipts in it."""
    block, told = copy.deepcopy((block, told))
    block["transactionsRoot"] = "0x" + trie.ordered_root(raw).hex()
    encoded = [receipts.read(Fields.of(one, "receipt")).raw for one in told]
    block["receiptsRoot"] = "0x" + trie.ordered_root(encoded).hex()
    block["hash"] = "0x" + keccak256(header.encode(Fields.of(block, "block"))).hex()
    for part in (*block["transactions"], *told, *(log for one in told for log in one["logs"])):
        part["blockHash"] = block["hash"]
    return block, told


KEYS = [ec.derive_private_key(secret, ec.SECP256K1()) for secret in (11, 22, 33)]


def account(which: int) -> bytes:
    """Address of one of KEYS."""
    point = KEYS[which].public_key().public_numbers()
    return keccak256(point.x.to_bytes(32) + point.y.to_bytes(32))[12:]


def say(value: bytes | int) -> str:
    """As JSON-RPC writes it."""
    return hex(value) if isinstance(value, int) else "0x" + value.hex()


def signed(sender: int, to: bytes | None, value: int = 0, data: bytes = b"", nonce: int = 0, gas: int = 90_000) -> Json:
    """A legacy transaction at 10 wei for gas, signed by one of KEYS."""
    body: list[rlp.Item] = [nonce, 10, gas, to or b"", value, data]
    digest = keccak256(rlp.encode(body))
    r, s = utils.decode_dss_signature(KEYS[sender].sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    parity = next(parity for parity in (0, 1) if recover(digest, r, s, parity) == account(sender))
    raw = rlp.encode([*body, 27 + parity, r, s])
    return {
        "type": "0x0", "nonce": hex(nonce), "gasPrice": "0xa", "gas": hex(gas), "to": None if to is None else say(to),
        "value": hex(value), "input": say(data), "v": hex(27 + parity), "r": hex(r), "s": hex(s),
        "from": say(account(sender)), "hash": say(keccak256(raw)), "raw": raw,
    }  # fmt: skip


def log(contract: bytes, *words: bytes, data: bytes = b"") -> Json:
    """A log with topics and data."""
    return {"address": say(contract), "topics": [say(word) for word in words], "data": say(data)}


def word(value: bytes | int) -> bytes:
    """32 bytes of an address or a number."""
    return value.to_bytes(32) if isinstance(value, int) else value.rjust(32, b"\0")


MINER = b"\x77" * 20
GAS = 30_000
"""Used by every transaction made here."""


def made(
    transactions: list[Json], logs: list[list[Json]] | None = None, failed: tuple[int, ...] = (), **fields: Any
) -> tuple[Json, list[Json]]:
    """A block of such transactions, with receipts, roots and hash that fit; base fee 7."""
    logs = logs or [[] for _ in transactions]
    empty = say(trie.EMPTY)
    block: Json = {
        "parentHash": "0x" + "00" * 32, "sha3Uncles": say(keccak256(b"\xc0")), "miner": say(MINER), "stateRoot": empty,
        "transactionsRoot": empty, "receiptsRoot": empty, "logsBloom": "0x" + "00" * 256, "difficulty": "0x0",
        "number": "0x5", "gasLimit": "0xffffff", "gasUsed": hex(GAS * len(transactions)), "timestamp": "0x64",
        "extraData": "0x", "mixHash": "0x" + "00" * 32, "nonce": "0x" + "00" * 8, "baseFeePerGas": "0x7", "uncles": [],
        **fields,
    }  # fmt: skip
    block["transactions"] = [{key: tx[key] for key in tx if key != "raw"} for tx in transactions]
    told, index = [], 0
    for at, (tx, own) in enumerate(zip(block["transactions"], logs, strict=True)):
        place = {"blockNumber": block["number"], "transactionIndex": hex(at)}
        tx.update(place)
        for one in own:
            one.update(logIndex=hex(index), transactionHash=tx["hash"], **place)
            index += 1
        told.append(
            {
                "transactionHash": tx["hash"], "type": "0x0", "from": tx["from"], "to": tx["to"], "gasUsed": hex(GAS),
                "cumulativeGasUsed": hex(GAS * (at + 1)), "effectiveGasPrice": "0xa", "logs": own,
                "status": "0x0" if at in failed else "0x1", **place,
            }
        )  # fmt: skip
    return seal(block, told, [tx["raw"] for tx in transactions])
