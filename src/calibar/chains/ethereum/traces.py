"""Traces of transactions: which calls moved the chain's own coin, made a contract or destroyed one.

Two forms are read: geth's callTracer (nested frames) and `trace_block` (flat, as Parity began it). In both the value
of a frame counts only where the frame is a CALL, CREATE, CREATE2 or SELFDESTRUCT: DELEGATECALL repeats its caller's
value, CALLCODE pays the caller itself, STATICCALL pays nothing. What a failed frame and all frames below it did is
undone. The first frame is the transaction itself, whose value is not internal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from calibar.chains.ethereum.fields import Fields
from calibar.errors import ChainError, DecodeError

CALLED, MADE, DESTROYED = range(3)

SELECTORS: Final = {"0xcc872b66": "issue", "0xdb006a75": "redeem"}
"""Calls of which it is kept who made them: issue(uint256) and redeem(uint256), whose logs do not name the holder."""


class Step(NamedTuple):
    """What one frame did: a called b with an amount, a made b, or a was destroyed in favour of b."""

    kind: int
    a: bytes
    b: bytes
    amount: int
    position: int
    """Place of the frame in its trace, from 0 for the transaction itself, callers before what they call."""


@dataclass(slots=True)
class Trace:
    """One transaction's trace."""

    sender: bytes
    to: bytes | None
    value: int
    failed: bool
    steps: list[Step] = field(default_factory=list)
    issuers: dict[tuple[bytes, str], bytes] = field(default_factory=dict)
    """Who called a contract's `issue` or `redeem`."""
    unread: bool = False
    """Whether a contract was destroyed of which the node does not tell the balance."""


class Reward(NamedTuple):
    """Wei from nobody to a producer."""

    recipient: bytes
    amount: int


@dataclass(frozen=True, slots=True)
class BlockTraces:
    """A block's traces by transaction, None where a transaction has none, and its rewards; None where not told."""

    transactions: Sequence[Trace | None]
    rewards: Sequence[Reward] | None


def read_geth(answer: object, hashes: Sequence[bytes], where: str) -> BlockTraces:
    """The answer of debug_traceBlockByNumber with callTracer; DecodeError or ChainError where it is not one."""
    if not isinstance(answer, list):
        raise DecodeError(f"{where}: traces: a list is expected")
    entries = [Fields.of(entry, f"{where}: trace {at}") for at, entry in enumerate(answer)]
    named = bool(entries) and all(entry.has("txHash") for entry in entries)
    if len(entries) != len(hashes) and not named:
        raise ChainError(f"{where}: {len(entries)} traces for {len(hashes)} transactions; ask another node")
    rows = {hash_: at for at, hash_ in enumerate(hashes)}
    traces: list[Trace | None] = [None] * len(hashes)
    for at, entry in enumerate(entries):
        row = rows.pop(entry.octets("txHash", 32), None) if named else at
        if row is None:
            raise ChainError(f"{entry.where}: txHash is of no transaction of the block, or twice; ask another node")
        if entry.has("result"):
            traces[row] = _nested(Fields.of(entry.values["result"], entry.where))
    return BlockTraces(traces, None)


def read_flat(answer: object, hashes: Sequence[bytes], block_hash: bytes, where: str) -> BlockTraces:
    """The answer of trace_block; DecodeError or ChainError where it is not one."""
    if not isinstance(answer, list):
        raise DecodeError(f"{where}: traces: a list is expected")
    traces: list[Trace | None] = [None] * len(hashes)
    rewards: list[Reward] = []
    undone: list[set[tuple[int, ...]]] = [set() for _ in hashes]
    counts = [0] * len(hashes)
    for number, entry in enumerate(answer):
        fields = Fields.of(entry, f"{where}: trace {number}")
        if fields.octets("blockHash", 32) != block_hash:
            raise ChainError(f"{fields.where}: blockHash is another block's; ask another node")
        action = Fields.of(fields.values.get("action"), f"{fields.where}: action")
        kind = fields.values.get("type")
        if kind == "reward":
            rewards.append(Reward(action.address("author"), action.integer("value")))
            continue
        at, path = fields.values.get("transactionPosition"), _path(fields)
        if not isinstance(at, int) or not 0 <= at < len(hashes) or fields.octets("transactionHash", 32) != hashes[at]:
            raise ChainError(f"{fields.where}: it is of no transaction of the block; ask another node")
        position, counts[at] = counts[at], counts[at] + 1
        trace = traces[at]
        if any(path[:length] in undone[at] for length in range(len(path))):
            continue
        if fields.has("error"):
            undone[at].add(path)
        if not path:
            if trace is not None:
                raise ChainError(f"{fields.where}: the transaction is traced twice; ask another node")
            traces[at] = _first(action, kind == "create", fields.has("error"))
            if kind == "call":
                _note_issuer(traces[at], action)
            continue
        if trace is None:
            raise ChainError(f"{fields.where}: its transaction's own trace is not before it; ask another node")
        if not fields.has("error"):
            _flat_step(trace, fields, action, kind, position)
    return BlockTraces(traces, rewards)


def _flat_step(trace: Trace, fields: Fields, action: Fields, kind: object, position: int) -> None:
    if kind == "call":
        if action.values.get("callType", "call") == "call":
            _note_issuer(trace, action)
            amount = action.integer("value")
            if amount:
                trace.steps.append(Step(CALLED, action.address("from"), action.address("to"), amount, position))
    elif kind == "create":
        made = Fields.of(fields.values.get("result"), f"{fields.where}: result").address("address")
        trace.steps.append(Step(MADE, action.address("from"), made, action.integer("value"), position))
    elif kind in ("suicide", "selfdestruct"):
        heir = action.address("refundAddress")
        trace.steps.append(Step(DESTROYED, action.address("address"), heir, action.integer("balance"), position))
    else:
        raise DecodeError(f"{fields.where}: type {str(kind)[:20]!r} is not known")


def _path(fields: Fields) -> tuple[int, ...]:
    path = fields.items("traceAddress")
    if len(path) > 1024 or not all(type(step) is int for step in path):
        raise DecodeError(f"{fields.where}: traceAddress is not a list of at most 1024 numbers")
    return tuple(path)  # type: ignore[arg-type]


def _first(action: Fields, creates: bool, failed: bool) -> Trace:
    return Trace(
        action.address("from"),
        action.address("to") if not creates and action.has("to") else None,
        action.integer("value") if action.has("value") else 0,
        failed,
    )


def _nested(top: Fields) -> Trace:
    trace = _first(top, str(top.values.get("type")).startswith("CREATE"), top.has("error"))
    waiting = [(top, False)]
    position = 0
    while waiting:
        frame, undone = waiting.pop()
        undone = undone or frame.has("error")
        kind = frame.values.get("type")
        if not undone and kind == "CALL":
            _note_issuer(trace, frame)
        if position and not undone:
            _frame(trace, frame, kind, position)
        if frame.has("calls"):
            place = f"{top.where}: frame {position}"
            inner = [Fields.of(call, f"{place}: call {at}") for at, call in enumerate(frame.items("calls"))]
            waiting.extend((call, undone) for call in reversed(inner))
        position += 1
    return trace


def _frame(trace: Trace, frame: Fields, kind: object, position: int) -> None:
    if kind == "CALL":
        amount = frame.optional("value") or 0
        if amount:
            trace.steps.append(Step(CALLED, frame.address("from"), frame.address("to"), amount, position))
    elif kind in ("CREATE", "CREATE2"):
        amount = frame.optional("value") or 0
        trace.steps.append(Step(MADE, frame.address("from"), frame.address("to"), amount, position))
    elif kind == "SELFDESTRUCT":
        if frame.has("from") and frame.has("to") and frame.has("value"):
            step = Step(DESTROYED, frame.address("from"), frame.address("to"), frame.integer("value"), position)
            trace.steps.append(step)
        else:  # geth before 1.9 does not tell
            trace.unread = True
    elif kind not in ("DELEGATECALL", "CALLCODE", "STATICCALL"):
        raise DecodeError(f"{frame.where}: type {str(kind)[:20]!r} is not known")


def _note_issuer(trace: Trace | None, call: Fields) -> None:
    data = call.values.get("input")
    if trace is not None and isinstance(data, str) and (name := SELECTORS.get(data[:10])):
        trace.issuers[call.address("to"), name] = call.address("from")
