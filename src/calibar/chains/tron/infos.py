"""What became of a transaction: the answers of `gettransactioninfobyblocknum`.

Reported by the node and in no root of the chain: nothing of this is proven.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from calibar.chains.tron.jsonfields import INT64, Json, account, integer, listing, mapping, octets, said, word
from calibar.errors import ChainError, DecodeError

MOST_LOGS: Final = 100_000
MOST_INTERNAL: Final = 100_000
MOST_TOPICS: Final = 4

_STAKING: Final = (
    "freeze",
    "unfreeze",
    "withdrawExpireUnfreeze",
    "cancelAllUnfreeze",
    "delegate",
    "unDelegate",
    "vote",
)
_TEXT_SIZE: Final = 100


@dataclass(frozen=True, slots=True)
class Log:
    """One log; `contract` is its 20 bytes."""

    contract: bytes
    topics: tuple[bytes, ...]
    data: bytes


@dataclass(frozen=True, slots=True)
class Internal:
    """One internal transaction: `values` are (TRC-10 number or None for TRX, amount)."""

    position: int
    caller: bytes
    recipient: bytes
    values: tuple[tuple[int | None, int], ...]
    note: str
    """call, create, suicide, withdrawReward, or what java-tron names a staking operation."""

    @property
    def staking(self) -> bool:
        """Whether it only moves TRX between an account's balance and its stake."""
        return self.note.startswith(_STAKING)


@dataclass(frozen=True, slots=True)
class Info:
    """One transaction's outcome."""

    id: bytes
    fee: int
    """Sun, everything that was paid."""
    failed: bool
    result: str
    """The receipt's, of contracts that run code; else empty."""
    contract: bytes | None
    withdrawn: int
    issued: int | None
    packing_fee: int
    """The part of the fee that went to the block producers' pool."""
    logs: tuple[Log, ...]
    internals: tuple[Internal, ...]
    """Without rejected ones."""
    internals_given: bool


def read(answer: object, block: int, milliseconds: int, what: str) -> dict[bytes, Info]:
    """The outcomes of a block's transactions by id.

    Raises DecodeError for a malformed answer, ChainError for one of another block or with an id twice.
    """
    if answer == {}:
        answer = []
    if not isinstance(answer, list):
        if isinstance(answer, dict) and (error := answer.get("Error") or answer.get("error")):
            raise DecodeError(f"{what}: the node answers {said(error)!r}")
        raise DecodeError(f"{what}: transaction infos must be a list")
    infos: dict[bytes, Info] = {}
    for at, entry in enumerate(answer):
        info = _info(mapping(entry, f"{what}: info {at}"), block, milliseconds, what)
        if info.id in infos:
            raise ChainError(f"{what}: two infos of transaction {info.id.hex()}; the source contradicts itself")
        infos[info.id] = info
    return infos


def _info(entry: Json, block: int, milliseconds: int, block_name: str) -> Info:
    id_ = octets(entry, "id", f"{block_name}: info", 32)
    what = f"{block_name}: info of {id_.hex()}"
    if (number := integer(entry, "blockNumber", what)) != block:
        raise ChainError(f"{what}: it is of block {number}; the source mixes blocks, ask another")
    if "blockTimeStamp" in entry and integer(entry, "blockTimeStamp", what) != milliseconds:
        raise ChainError(f"{what}: its time is not its block's; the source mixes blocks, ask another")
    receipt = mapping(entry.get("receipt", {}), f"{what}: receipt")
    fee = integer(entry, "fee", what)
    parts = integer(receipt, "energy_fee", what) + integer(receipt, "net_fee", what)
    if parts > fee:
        raise ChainError(f"{what}: energy and bandwidth cost {parts} sun, the whole fee is said to be {fee}")
    packing = integer(entry, "packingFee", what)
    if packing > fee:
        raise ChainError(f"{what}: packing fee {packing} sun of a fee of {fee}")
    outcome = word(entry, "result", what)
    if outcome not in ("", "SUCESS", "SUCCESS", "FAILED"):
        raise DecodeError(f"{what}: result {said(outcome)!r} is not known")
    issued = word(entry, "assetIssueID", what)
    if issued and not (issued.isascii() and issued.isdigit() and len(issued) < 19):
        raise DecodeError(f"{what}: assetIssueID {said(issued)!r} is no number")
    logs = tuple(_log(log, at, what) for at, log in enumerate(listing(entry, "log", what, MOST_LOGS)))
    internals = listing(entry, "internal_transactions", what, MOST_INTERNAL)
    read_internals = [_internal(value, at, what) for at, value in enumerate(internals)]
    return Info(
        id=id_,
        fee=fee,
        failed=outcome == "FAILED",
        result=word(receipt, "result", what),
        contract=account(entry, "contract_address", what) if entry.get("contract_address") else None,
        withdrawn=integer(entry, "withdraw_amount", what),
        issued=int(issued) if issued else None,
        packing_fee=packing,
        logs=logs,
        internals=tuple(internal for internal in read_internals if internal is not None),
        internals_given=bool(internals),
    )


def _log(value: object, at: int, info: str) -> Log:
    what = f"{info}: log {at}"
    log = mapping(value, what)
    for key in ("index", "logIndex"):
        if key in log and integer(log, key, what) != at:
            raise ChainError(f"{what}: it is numbered {log[key]}; logs are missing, double or out of order")
    topics = listing(log, "topics", what, MOST_TOPICS)
    return Log(
        _emitter(log, what),
        tuple(octets({"topic": topic}, "topic", what, 32) for topic in topics),
        octets(log, "data", what),
    )


def _emitter(log: Json, what: str) -> bytes:
    """A log's contract, which java-tron writes without 41 in front."""
    text = word(log, "address", what)
    return octets(log, "address", what) if len(text) == 40 else account(log, "address", what)


def _internal(value: object, at: int, info: str) -> Internal | None:
    what = f"{info}: internal transaction {at}"
    entry = mapping(value, what)
    rejected = entry.get("rejected", False)
    if not isinstance(rejected, bool):
        raise DecodeError(f"{what}: rejected must be true or false")
    if rejected:
        return None
    values = []
    for part in listing(entry, "callValueInfo", what, 1_000):
        call = mapping(part, what)
        token = word(call, "tokenId", what) if isinstance(call.get("tokenId", ""), str) else "?"
        if token and not (token.isascii() and token.isdigit() and len(token) < 20 and int(token) <= INT64):
            raise DecodeError(f"{what}: tokenId {said(token)!r} is no number")
        if amount := integer(call, "callValue", what):
            values.append((int(token) or None if token else None, amount))
    note = octets(entry, "note", what)[:_TEXT_SIZE].decode("ascii", "replace")
    caller = account(entry, "caller_address", what)
    return Internal(at, caller, _recipient(entry, caller, note, what), tuple(values), note)


def _recipient(entry: Json, caller: bytes, note: str, what: str) -> bytes:
    """Operations on an account's own stake may leave the other party out."""
    if not entry.get("transferTo_address") and (note.startswith(_STAKING) or note == "withdrawReward"):
        return caller
    return account(entry, "transferTo_address", what)
