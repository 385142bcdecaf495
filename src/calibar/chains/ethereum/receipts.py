"""Receipts from JSON: what became of a transaction, its logs, and the encoding that the receipts root covers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from calibar.chains.ethereum import rlp
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.transactions import SET_CODE
from calibar.chains.facts import FAILED, SUCCEEDED, UNSTATED
from calibar.errors import DecodeError


@dataclass(frozen=True, slots=True)
class Log:
    """One log; `index` is its place in the block."""

    contract: bytes
    topics: tuple[bytes, ...]
    data: bytes
    index: int


@dataclass(frozen=True, slots=True)
class Receipt:
    """One receipt; amounts in wei."""

    status: int
    gas_used: int
    cumulative: int
    price: int | None
    contract: bytes | None
    logs: tuple[Log, ...]
    blob_gas: int
    blob_price: int
    layer_fee: int
    """Fee for the layer below (`l1Fee`), over that for gas."""
    unread_fee: bool
    """Whether the chain takes an operator's fee, whose amount the receipt does not tell."""
    raw: bytes
    """What the receipts root covers; empty where its form is not known."""


def read(fields: Fields) -> Receipt:
    """A receipt; DecodeError where malformed."""
    logs = tuple(_log(log) for log in fields.objects("logs", "log"))
    status = UNSTATED
    outcome: bytes | int | None = None
    if fields.has("status"):
        outcome = fields.integer("status", 8)
        if outcome > 1:
            raise DecodeError(f"{fields.where}: status is neither 0 nor 1")
        status = SUCCEEDED if outcome else FAILED
    elif fields.has("root"):  # until Byzantium
        outcome = fields.octets("root", 32)
    kind = fields.optional("type", 64) or 0
    cumulative = fields.integer("cumulativeGasUsed", 64)
    raw = b""
    if kind <= SET_CODE and outcome is not None:
        filter_ = fields.octets("logsBloom", 256) if fields.has("logsBloom") else bloom(logs)
        entries: list[rlp.Item] = [[log.contract, log.topics, log.data] for log in logs]
        raw = (bytes([kind]) if kind else b"") + rlp.encode([outcome, cumulative, filter_, entries])
    return Receipt(
        status=status,
        gas_used=fields.integer("gasUsed", 64),
        cumulative=cumulative,
        price=fields.optional("effectiveGasPrice"),
        contract=fields.address("contractAddress") if fields.has("contractAddress") else None,
        logs=logs,
        blob_gas=fields.optional("blobGasUsed", 64) or 0,
        blob_price=fields.optional("blobGasPrice") or 0,
        layer_fee=fields.optional("l1Fee") or 0,
        unread_fee=any(fields.optional(name) for name in ("operatorFeeScalar", "operatorFeeConstant")),
        raw=raw,
    )


def bloom(logs: Sequence[Log]) -> bytes:
    """The 256 bytes by which logs are searched (Yellow Paper, section 4.3.1)."""
    bits = 0
    for log in logs:
        for value in (log.contract, *log.topics):
            digest = keccak256(value)
            for at in (0, 2, 4):
                bits |= 1 << (int.from_bytes(digest[at : at + 2]) & 2047)
    return bits.to_bytes(256)


def _log(fields: Fields) -> Log:
    topics = fields.items("topics")
    if len(topics) > 4:
        raise DecodeError(f"{fields.where}: {len(topics)} topics where a log has at most 4")
    return Log(
        contract=fields.address("address"),
        topics=tuple(Fields({"topic": topic}, fields.where).octets("topic", 32) for topic in topics),
        data=fields.octets("data"),
        index=fields.integer("logIndex", 63),
    )
