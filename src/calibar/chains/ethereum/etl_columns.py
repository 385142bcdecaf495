"""The tables of an export and their columns, by the names that ethereum-etl and GraphSense give them.

Source: ethereum-etl's `docs/schema.md`; GraphSense's raw Ethereum schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import I64, U8, Limbs
from calibar.kernels.hextext import ADDRESS, AMOUNT, HASH, NAME, NUMBER, REQUIRED, TEXT, WIDTHS

_LINE, _FILE, _FIRST = 1, 2, 3


@dataclass(frozen=True, slots=True)
class Field:
    """A column that is read."""

    name: str
    kind: int
    names: tuple[str, ...]
    """What files call it."""
    needed: bool = False
    """Whether the column must be there and every row must have it."""


@dataclass(frozen=True)
class Layout:
    """A table: its name, its fields, where each lies in a row of words."""

    name: str
    fields: tuple[Field, ...]

    @cached_property
    def places(self) -> dict[str, int]:
        """First word of each field."""
        ends = np.cumsum([_FIRST, *(WIDTHS[f.kind] for f in self.fields)])
        return {f.name: int(at) for f, at in zip(self.fields, ends, strict=False)}

    @cached_property
    def bits(self) -> dict[str, int]:
        """Bit of each field in the mask of what is there."""
        return {f.name: 1 << i for i, f in enumerate(self.fields)}

    @cached_property
    def width(self) -> int:
        """Words of a row."""
        return _FIRST + sum(WIDTHS[f.kind] for f in self.fields)

    @cached_property
    def has_text(self) -> bool:
        """Whether a field is kept as text."""
        return any(f.kind == TEXT for f in self.fields)

    def columns(self, header: Sequence[str]) -> tuple[I64, I64] | str:
        """Kind and place of each of a file's columns; the name of a needed one that is missing."""
        kinds, places = np.zeros(len(header), np.int64), np.zeros(len(header), np.int64)
        for i, f in enumerate(self.fields):
            column = next((header.index(name) for name in f.names if name in header), None)
            if column is not None:
                kinds[column] = f.kind | (REQUIRED if f.needed else 0) | i << 4
                places[column] = self.places[f.name]
            elif f.needed:
                return f.names[0]
        return kinds, places


@dataclass(frozen=True)
class Rows:
    """Rows of a table as words."""

    layout: Layout
    words: Limbs
    texts: U8 = field(default_factory=lambda: np.empty(0, np.uint8))

    def __len__(self) -> int:
        return len(self.words)

    def number(self, name: str) -> I64:
        """A field of numbers; 0 where it is empty."""
        return self.words[:, self.layout.places[name]].view(np.int64)

    def has(self, name: str) -> NDArray[np.bool_]:
        """Where a field is not empty."""
        there: NDArray[np.bool_] = (self.words[:, 0] & np.uint64(self.layout.bits[name])) != 0
        return there

    def is_zero(self, name: str) -> NDArray[np.bool_]:
        """Where an address is that of nobody."""
        at = self.layout.places[name]
        nothing: NDArray[np.bool_] = (self.words[:, at] | self.words[:, at + 1] | self.words[:, at + 2]) == 0
        return nothing

    def words_of(self, name: str) -> Limbs:
        """A field's four words: an amount, or a hash."""
        at = self.layout.places[name]
        return self.words[:, at : at + 4]

    def amount(self, name: str) -> Limbs:
        """A field of amounts, of its own memory."""
        return np.ascontiguousarray(self.words_of(name))

    def bytes_of(self, name: str, size: int) -> U8:
        """A field of hashes (32) or addresses (20), of its own memory; zeros where it is empty."""
        at = 8 * self.layout.places[name]
        return np.ascontiguousarray(self.words.view(np.uint8)[:, at : at + size])

    def span(self, name: str) -> tuple[I64, I64]:
        """Where a field's texts begin, and their lengths."""
        at = self.layout.places[name]
        both = self.words[:, at : at + 2].view(np.int64)
        return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])

    def text(self, name: str, row: int) -> bytes:
        """One row's text."""
        at = self.layout.places[name]
        begin, size = int(self.words[row, at]), int(self.words[row, at + 1])
        return self.texts[begin : begin + size].tobytes()

    def take(self, which: slice | I64 | NDArray[np.bool_]) -> Rows:
        """Some of the rows."""
        return Rows(self.layout, self.words[which], self.texts)

    def compact(self) -> Rows:
        """The same rows, without texts that are not theirs."""
        if not self.layout.has_text:
            return self
        words, texts = self.words.copy(), []
        at = 0
        for f in self.layout.fields:
            if f.kind == TEXT:
                start, length = self.span(f.name)
                ends = np.cumsum(length)
                total = int(ends[-1]) if len(ends) else 0
                texts.append(self.texts[np.repeat(start - ends + length, length) + np.arange(total)])
                words[:, self.layout.places[f.name]] = (ends - length + at).astype(np.uint64)
                at += total
        return Rows(self.layout, words, np.concatenate(texts))

    def place(self, row: int) -> tuple[int, int]:
        """File and line of a row."""
        return int(self.words[row, _FILE]), int(self.words[row, _LINE])

    def of_file(self, number: int) -> Rows:
        """The same rows, knowing which file they are of."""
        self.words[:, _FILE] = number
        return self

    def sorted_by(self, *names: str) -> Rows:
        """Rows in order of their numbers in these fields; themselves where they are so already."""
        keys = [self.number(name) for name in names]
        before = np.zeros(max(len(self) - 1, 0), np.bool_)
        same = ~before
        for key in keys:
            before |= same & (key[:-1] > key[1:])
            same &= key[:-1] == key[1:]
        return self.take(np.lexsort(keys[::-1])) if before.any() else self

    def repeated(self, *names: str) -> int | None:
        """Of sorted rows, one whose numbers in these fields another has too: the later in its file."""
        same = np.ones(max(len(self) - 1, 0), np.bool_)
        for name in names:
            key = self.number(name)
            same &= key[:-1] == key[1:]
        first = int(np.argmax(same)) if same.any() else None
        return None if first is None else max(first, first + 1, key=self.place)


def joined(layout: Layout, parts: Sequence[Rows]) -> Rows:
    """Rows one after another."""
    parts = [part for part in parts if len(part)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Rows(layout, np.empty((0, layout.width), np.uint64))
    words = np.concatenate([part.words for part in parts])
    if layout.has_text:
        at = row = 0
        for part in parts:
            for f in layout.fields:
                if f.kind == TEXT:
                    words[row : row + len(part), layout.places[f.name]] += np.uint64(at)
            at, row = at + part.texts.size, row + len(part)
    return Rows(layout, words, np.concatenate([part.texts for part in parts]))


_BLOCK: Final = Field("block", NUMBER, ("block_number", "blockId"), True)
_HASH: Final = Field("hash", HASH, ("hash", "txHash"), True)
_OF: Final = Field("hash", HASH, ("transaction_hash", "txHash"), True)
_INDEX: Final = Field("index", NUMBER, ("transaction_index", "transactionIndex"), True)
_SENDER: Final = Field("sender", ADDRESS, ("from_address", "fromAddress"), True)
_RECIPIENT: Final = Field("recipient", ADDRESS, ("to_address", "toAddress"), True)
_VALUE: Final = Field("value", AMOUNT, ("value",), True)
_NUMBER: Final = Field("block", NUMBER, ("number", "blockId"), True)


def _outcome(prefix: str, graphsense: str = "") -> tuple[Field, ...]:
    """What a receipt adds, in a table of its own or in that of the transactions."""
    return (
        Field("gas_used", NUMBER, (f"{prefix}gas_used", f"{graphsense}GasUsed")),
        Field("paid_price", NUMBER, (f"{prefix}effective_gas_price",)),
        Field("status", NUMBER, (f"{prefix}status", f"{graphsense}Status")),
        Field("contract", ADDRESS, (f"{prefix}contract_address", f"{graphsense}ContractAddress")),
        Field("l1_fee", NUMBER, (f"{prefix}l1_fee",)),
        Field("blob_gas", NUMBER, (f"{prefix}blob_gas_used",)),
        Field("blob_price", NUMBER, (f"{prefix}blob_gas_price",)),
    )


BLOCKS: Final = Layout(
    "blocks",
    (
        _NUMBER,
        Field("hash", HASH, ("hash", "blockHash"), True),
        Field("parent", HASH, ("parent_hash", "parentHash"), True),
        Field("time", NUMBER, ("timestamp",), True),
        Field("miner", ADDRESS, ("miner",), True),
        Field("base_fee", NUMBER, ("base_fee_per_gas", "baseFeePerGas")),
    ),
)
WITHDRAWALS: Final = Layout("blocks", (_NUMBER, Field("withdrawals", TEXT, ("withdrawals",))))
TRANSACTIONS: Final = Layout(
    "transactions",
    (
        _BLOCK,
        _HASH,
        _INDEX,
        _SENDER,
        Field("recipient", ADDRESS, ("to_address", "toAddress")),
        _VALUE,
        Field("gas", NUMBER, ("gas",)),
        Field("price", NUMBER, ("gas_price", "gasPrice")),
        Field("type", NUMBER, ("transaction_type", "transactionType")),
        *_outcome("receipt_", "receipt"),
    ),
)
RECEIPTS: Final = Layout("receipts", (_BLOCK, _OF, _INDEX, *_outcome("")))
TOKEN_TRANSFERS: Final = Layout(
    "token_transfers",
    (
        _BLOCK,
        _OF,
        Field("log", NUMBER, ("log_index", "logIndex"), True),
        Field("token", ADDRESS, ("token_address",), True),
        _SENDER,
        _RECIPIENT,
        _VALUE,
    ),
)
LOGS: Final = Layout(
    "logs",
    (
        _BLOCK,
        _OF,
        Field("log", NUMBER, ("log_index", "logIndex"), True),
        Field("token", ADDRESS, ("address",), True),
        Field("data", TEXT, ("data",)),
        Field("topics", TEXT, ("topics",)),
    ),
)
TRACES: Final = Layout(
    "traces",
    (
        _BLOCK,
        Field("hash", HASH, _OF.names),
        Field("index", NUMBER, _INDEX.names),
        Field("sender", ADDRESS, _SENDER.names),
        Field("recipient", ADDRESS, _RECIPIENT.names),
        Field("value", AMOUNT, _VALUE.names),
        Field("kind", NAME, ("trace_type",)),
        Field("call", NAME, ("call_type", "callType")),
        Field("path", TEXT, ("trace_address", "traceAddress")),
        Field("id", TEXT, ("trace_id", "traceId")),
        Field("status", NUMBER, ("status",)),
        Field("error", NAME, ("error",)),
    ),
)
