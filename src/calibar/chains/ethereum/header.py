"""Block headers from JSON, as their hash covers them."""

from __future__ import annotations

from typing import Final

from calibar.chains.ethereum import rlp
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.keccak import keccak256
from calibar.errors import ChainError

_HASH, _NUMBER = 32, 0
_ALWAYS: Final = {
    "parentHash": 32, "sha3Uncles": 32, "miner": 20, "stateRoot": 32, "transactionsRoot": 32, "receiptsRoot": 32,
    "logsBloom": 256, "difficulty": _NUMBER, "number": _NUMBER, "gasLimit": _NUMBER, "gasUsed": _NUMBER,
    "timestamp": _NUMBER, "extraData": None, "mixHash": 32, "nonce": 8,
}  # fmt: skip
_SINCE: Final = {
    "baseFeePerGas": _NUMBER,  # London
    "withdrawalsRoot": 32,  # Shanghai
    "blobGasUsed": _NUMBER, "excessBlobGas": _NUMBER, "parentBeaconBlockRoot": 32,  # Cancun
    "requestsHash": 32,  # Prague
}  # fmt: skip
_BESIDE: Final = frozenset(("hash", "size", "totalDifficulty", "transactions", "uncles", "withdrawals", "author"))
"""What a node tells beside the header."""


def encode(block: Fields) -> bytes:
    """RLP of the header of which the node tells these fields; DecodeError where one is missing or malformed."""
    parts = [_part(block, name, kind) for name, kind in _ALWAYS.items()]
    parts += [_part(block, name, kind) for name, kind in _SINCE.items() if block.has(name)]
    return rlp.encode(parts)


def check(block: Fields) -> bytes:
    """The header whose hash is the block's; no bytes where the chain's headers have a form that is not known here.

    That is so where the node tells a field that Ethereum's blocks do not have, or does not tell one that they have.
    Raises ChainError where the fields are Ethereum's and the hash is not theirs.
    """
    if not all(block.has(name) for name in _ALWAYS):
        return b""
    header = encode(block)
    if keccak256(header) == block.octets("hash", 32):
        return header
    known = _ALWAYS.keys() | _SINCE.keys() | _BESIDE
    if any(block.has(name) for name in block.values if name not in known):
        return b""
    raise ChainError(f"{block.where}: hash: the header does not hash to it; ask another node")


def _part(block: Fields, name: str, kind: int | None) -> bytes | int:
    return block.integer(name) if kind == _NUMBER else block.octets(name, kind)
