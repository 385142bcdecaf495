"""Logs of an export: transfers of tokens and events, by the same rules as logs that a node gives."""

from __future__ import annotations

from collections import defaultdict
from itertools import pairwise
from typing import Final

import numpy as np

from calibar.chains.ethereum import logs
from calibar.chains.ethereum.etl_columns import Rows
from calibar.chains.ethereum.etl_files import Table
from calibar.chains.ethereum.etl_native import Events, Transfers
from calibar.chains.ethereum.receipts import Log
from calibar.chains.facts import I64, INTERNAL, U8, VALUE, ZERO, integers, limbs

MOST_TOPICS: Final = 4
Moves = dict[int, frozenset[tuple[bytes, bytes, int]]]


def read_logs(
    rows: Rows, table: Table, tx: I64, sender: U8, called: U8, native: Moves | None
) -> tuple[Transfers, Events, list[str]]:
    """What sorted logs say; `tx` is each log's transaction, `sender` and `called` (nobody in a
    creation) are by transaction, `native` is
    what moved in each, None where traces do not tell. Raises DecodeError for topics or data that are none."""
    moved: list[tuple[int, int, logs.TokenTransfer]] = []
    said: list[tuple[int, logs.Event]] = []
    notes: list[str] = []
    blocks = rows.number("block").tolist()
    decoded = [_log(rows, table, row) for row in range(len(rows))]
    bounds = [0, *(np.flatnonzero(np.diff(tx)) + 1).tolist(), len(rows)] if len(rows) else [0]
    for begin, end in pairwise(bounds):
        of = int(tx[begin])
        to = called[of].tobytes()
        context = logs.Context(
            sender[of].tobytes(), None if to == ZERO else to, native=None if native is None else native[of]
        )
        found = logs.read(decoded[begin:end], context)
        moved += [(blocks[begin], of, transfer) for transfer in found.transfers]
        said += [(of, event) for event in found.events]
        notes += found.notes
    return _transfers(moved), _events(said), notes


def natively(parts: list[Transfers], transactions: int) -> Moves:
    """Movements of the chain's own coin by transaction: sender, recipient, amount."""
    found: dict[int, set[tuple[bytes, bytes, int]]] = defaultdict(set)
    for part in parts:
        if part.sender is None or part.recipient is None:
            continue
        which = np.flatnonzero(np.isin(part.kind, (VALUE, INTERNAL)) & (part.tx >= 0))
        for row, amount in zip(which.tolist(), integers(part.amount[which]), strict=True):
            found[int(part.tx[row])].add((part.sender[row].tobytes(), part.recipient[row].tobytes(), amount))
    return {tx: frozenset(found[tx]) for tx in range(transactions)}


def _log(rows: Rows, table: Table, row: int) -> Log:
    try:
        topics = tuple(_octets(part) for part in rows.text("topics", row).strip(b'[]"').split(b",") if part.strip())
        if len(topics) > MOST_TOPICS or any(len(topic) != 32 for topic in topics):
            raise ValueError
        data = _octets(rows.text("data", row) or b"0x")
    except ValueError:
        raise table.refused(rows, row, "has topics or data that are not 0x and hex digits") from None
    contract = rows.take(slice(row, row + 1)).bytes_of("token", 20).tobytes()
    return Log(contract, topics, data, int(rows.number("log")[row]))


def _octets(text: bytes) -> bytes:
    text = text.strip(b' "')
    if text[:2] != b"0x" or b" " in text:
        raise ValueError
    return bytes.fromhex(text[2:].decode("ascii"))


def _addresses(values: list[bytes]) -> U8:
    return np.frombuffer(b"".join(values), np.uint8).reshape(-1, 20)


def _transfers(moved: list[tuple[int, int, logs.TokenTransfer]]) -> Transfers:
    of = [transfer for _, _, transfer in moved]
    return Transfers(
        np.array([block for block, _, _ in moved], np.int64),
        np.array([tx for _, tx, _ in moved], np.int64),
        4,
        np.array([t.kind for t in of], np.uint8),
        limbs(t.amount for t in of),
        _addresses([t.sender for t in of]),
        _addresses([t.recipient for t in of]),
        _addresses([t.asset for t in of]),
        np.array([t.position for t in of], np.int64),
    )


def _events(said: list[tuple[int, logs.Event]]) -> Events:
    of = [event for _, event in said]
    return Events(
        np.array([tx for tx, _ in said], np.int64),
        1,
        np.array([e.kind for e in of], np.uint8),
        _addresses([e.contract for e in of]),
        _addresses([e.a for e in of]),
        _addresses([e.b for e in of]),
        limbs(e.amount for e in of),
        np.array([e.position for e in of], np.int64),
    )
