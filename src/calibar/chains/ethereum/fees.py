"""Who is paid what by a block beside its transactions' values: fees, rewards, withdrawals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from calibar.chains.ethereum import header, rlp, trie
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.receipts import Receipt
from calibar.chains.ethereum.traces import Reward
from calibar.chains.ethereum.transactions import BLOB, BLOB_GAS, Transaction
from calibar.chains.facts import BURNT_FEE, FEE, ZERO
from calibar.errors import ChainError, DecodeError

MAINNET: Final = 1
ETHEREUM_RULES: Final = frozenset((MAINNET, 3, 4, 5, 42, 11155111, 17000, 560048, 1337, 31337))
"""Chains that charge gas as Ethereum does and burn the base fee: Ethereum, its test networks, development nodes."""
GNOSIS: Final = frozenset((100, 10200))
"""Chains whose withdrawals are paid in a token."""

VAULT: Final = {
    name: bytes.fromhex("42" + "00" * 17 + "00" + last)
    for name, last in (("tip", "11"), ("base", "19"), ("layer", "1a"))
}
"""OP Stack: the contracts that receive tips, base fees and the fee for the layer below."""

_STATIC: Final = ((7_280_000, 2), (4_370_000, 3), (1, 5))
"""Ether for a block of Ethereum from this number on: Constantinople, Byzantium, Frontier."""
ETHER: Final = 10**18
GWEI: Final = 10**9


class Fee(NamedTuple):
    """A part of a transaction's fee in wei, of kind FEE or BURNT_FEE."""

    kind: int
    recipient: bytes
    amount: int


class Producer(NamedTuple):
    """Who receives a block's fees, and by which rules."""

    chain_id: int
    recipient: bytes
    base: int | None
    """Base fee; None before London."""
    op_stack: bool


def fees(tx: Transaction, receipt: Receipt, producer: Producer, where: str, notes: list[str]) -> list[Fee]:
    """The fee in its parts: to the producer, then to nobody. ChainError where it is more than the sender allows."""
    gas = receipt.gas_used
    price = _price(tx, receipt, producer, where)
    base = min(producer.base or 0, price)
    blob = _blob_fee(tx, receipt, where)
    if receipt.unread_fee:
        notes.append("the operator's fee of this chain is not told by its receipts: it is not counted")
    if producer.op_stack:
        parts = [
            Fee(FEE, VAULT["tip"], gas * (price - base)),
            Fee(FEE, VAULT["base"], gas * base),
            Fee(FEE, VAULT["layer"], receipt.layer_fee),
            Fee(BURNT_FEE, ZERO, blob),
        ]
    else:
        if receipt.layer_fee:
            notes.append("the fee for the layer below (l1Fee) counts as the block producer's; who gets it is not told")
        if base and producer.chain_id not in ETHEREUM_RULES:
            notes.append(
                f"base fees count as burnt, as on Ethereum; chain {producer.chain_id} may credit them to someone"
            )
        tip = gas * (price - base) + receipt.layer_fee
        parts = [Fee(FEE, producer.recipient, tip), Fee(BURNT_FEE, ZERO, gas * base + blob)]
    return [part for part in parts if part.amount]


def _price(tx: Transaction, receipt: Receipt, producer: Producer, where: str) -> int:
    stated, due = receipt.price, tx.price(producer.base)
    if stated is None:
        if due is None:
            raise DecodeError(f"{where}: effectiveGasPrice is missing; ask another node")
        return due
    if tx.raw and tx.most is not None:
        if producer.chain_id in ETHEREUM_RULES and stated != due:
            raise ChainError(f"{where}: effectiveGasPrice is {stated} where {due} is due; ask another node")
        if stated > tx.most:
            raise ChainError(f"{where}: effectiveGasPrice is over what the sender allows; ask another node")
    return stated


def _blob_fee(tx: Transaction, receipt: Receipt, where: str) -> int:
    if tx.raw and receipt.blob_gas != tx.blobs * BLOB_GAS:
        raise ChainError(f"{where}: blobGasUsed is {receipt.blob_gas} for {tx.blobs} blobs; ask another node")
    if tx.kind == BLOB and tx.raw and not 0 < receipt.blob_price <= tx.blob_price:
        raise ChainError(f"{where}: blobGasPrice is not one that the sender allows; ask another node")
    return receipt.blob_gas * receipt.blob_price


def static_rewards(block: Fields, uncles: Sequence[Fields] | None, notes: list[str]) -> list[Reward]:
    """What Ethereum gave for a block of proof of work and its uncles. ChainError where the uncles are not its own."""
    number, hashes = block.integer("number", 63), block.items("uncles")
    base = next(ether for start, ether in _STATIC if number >= start) * ETHER
    found = [Reward(block.address("miner"), base + len(hashes) * (base // 32))]
    if not hashes:
        return found
    if uncles is None:
        notes.append(f"{block.where}: who got the rewards of its {len(hashes)} uncles is not told")
        return found
    if keccak256(rlp.join([header.encode(uncle) for uncle in uncles])) != block.octets("sha3Uncles", 32):
        raise ChainError(f"{block.where}: sha3Uncles: these are not its uncles; ask another node")
    for uncle in uncles:
        depth = number - uncle.integer("number", 63)
        if not 1 <= depth <= 7:
            raise ChainError(f"{uncle.where}: number: an uncle is 1 to 7 blocks older than its block")
        found.append(Reward(uncle.address("miner"), (8 - depth) * base // 8))
    return found


def withdrawals(block: Fields, proven: bool) -> list[tuple[bytes, int]]:
    """Recipients and wei of what leaves the consensus layer. ChainError where the root is another's."""
    if not block.has("withdrawals"):
        if proven and block.has("withdrawalsRoot") and block.octets("withdrawalsRoot", 32) != trie.EMPTY:
            raise ChainError(f"{block.where}: withdrawals are missing; ask another node")
        return []
    encoded, paid = [], []
    for entry in block.objects("withdrawals", "withdrawal"):
        recipient, amount = entry.address("address"), entry.integer("amount", 64)
        encoded.append(rlp.encode([entry.integer("index", 64), entry.integer("validatorIndex", 64), recipient, amount]))
        paid.append((recipient, amount * GWEI))
    if proven and trie.ordered_root(encoded) != block.octets("withdrawalsRoot", 32):
        raise ChainError(f"{block.where}: withdrawalsRoot does not fit its withdrawals; ask another node")
    return paid
