"""What transactions, receipts, traces and withdrawals of an export say of the chain's own coin."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.chains.ethereum.etl_columns import Rows
from calibar.chains.ethereum.etl_files import Table
from calibar.chains.ethereum.fees import ETHEREUM_RULES, GNOSIS
from calibar.chains.facts import (
    BURN,
    BURNT_FEE,
    CREATED,
    FAILED,
    FEE,
    GRANT,
    I64,
    INTERNAL,
    REWARD,
    SELF_DESTRUCTED,
    SUCCEEDED,
    U8,
    UNSTATED,
    VALUE,
    WITHDRAWAL,
    Limbs,
    limbs,
)
from calibar.errors import DecodeError
from calibar.kernels import matching

Mask = NDArray[np.bool_]

BYZANTIUM: Final = 4_370_000
"""Mainnet's first block whose receipts say whether a transaction succeeded. Before it a failure took all the gas
(EIP-140 and EIP-658 came with it)."""
GWEI: Final = 10**9
_UNDERSCORE: Final = 0x5F
CANCUN: Final = 1_710_338_135
"""Mainnet's time from which a contract that is its own heir loses its coins only if it is new (EIP-6780)."""
_NOTED_NO_RECEIPT: Final = (
    "transactions without a receipt or trace: whether they succeeded and their fee are not known, their value is left "
    "out; export receipts too"
)
_NOTED_UNSTATED: Final = "where a receipt does not say whether its transaction succeeded, its value is taken as moved"
_NOTED_BLOB: Final = "fees for blobs are not known: the export has no blob_gas_price"
_NOTED_DESTROYED: Final = "traces do not tell what some destroyed contracts held: that it moved is not there"
_NOTED_TRACES: Final = "calls in traces are left out, since their transactions are not there; export transactions too"


_NOTED_GNOSIS: Final = "withdrawals of this chain are paid in a token; they are left out"
_NOTED_BASE: Final = "base fees count as burnt, as on Ethereum; this chain may credit them to someone"


def _name(text: bytes) -> np.uint64:
    return np.uint64(int.from_bytes(text[:8], "little"))


_KINDS: Final = {int(_name(n[:4])): n for n in (b"call", b"create", b"suicide", b"reward", b"genesis", b"daofork")}
_MOVE_NOTHING: Final = np.array([_name(n) for n in (b"delegatecall", b"callcode", b"staticcall")])


@dataclass(slots=True)
class Transfers:
    """Transfers of one kind or few, as columns; None stands for zeros."""

    block: I64
    tx: I64
    rank: int
    kind: U8
    amount: Limbs
    sender: U8 | None = None
    recipient: U8 | None = None
    asset: U8 | None = None
    position: I64 | None = None


@dataclass(slots=True)
class Outcome:
    """What is known of transactions beyond themselves, in their table's order."""

    status: U8
    fee: Limbs
    burnt: Limbs
    tip: Limbs
    contract: U8
    moved: Mask


@dataclass(slots=True)
class Events:
    """Events of one kind, as columns."""

    tx: I64
    rank: int
    kind: U8
    contract: U8
    a: U8
    b: U8
    amount: Limbs
    position: I64


@dataclass
class Native:
    """Rows of some blocks in each table, in order of block and of what is the table's own order."""

    chain_id: int
    tables: Mapping[str, Table]
    blocks: Rows
    rows: Mapping[str, Rows]
    notes: dict[str, None] = field(default_factory=dict)
    parts: list[Transfers] = field(default_factory=list)
    events: list[Events] = field(default_factory=list)

    @property
    def first(self) -> int:
        """Number of the first block."""
        return int(self.blocks.number("block")[0])

    def refuse_repeated(self, table: str, rows: Rows, *names: str) -> None:
        """Raise DecodeError where two of the sorted rows have the same numbers in these fields."""
        row = rows.repeated(*names)
        if row is not None:
            number = rows.number(names[-1])[row]
            said = "log" if names[-1] == "log" else "transaction"
            raise self.tables[table].refused(
                rows, row, f"has {said} {number} of block {rows.number('block')[row]}, which another row has too"
            )

    def find(self, table: str, txs: Rows, rows: Rows) -> I64:
        """Row of each row's transaction, -1 where it is not there. Raises DecodeError for one of another block."""
        keys = np.ascontiguousarray(txs.words_of("hash"))
        found = np.empty(len(rows), np.int64)
        matching.find_hashes(keys, np.argsort(keys[:, 0], kind="stable"), rows.words_of("hash"), found)
        wrong = (found >= 0) & (txs.number("block")[found] != rows.number("block")) if len(txs) else found >= 0
        if wrong.any():
            raise self.tables[table].refused(rows, int(np.argmax(wrong)), "names a transaction of another block")
        return found

    def outcome(self, txs: Rows, row_of: I64) -> Outcome:
        """What became of the transactions and what they cost. Raises DecodeError where that cannot be."""
        receipts = self.rows["receipts"]
        self.refuse_repeated("receipts", receipts, "block", "index")
        at = np.full(len(txs), -1)
        if len(receipts):
            of = self.find("receipts", txs, receipts)
            at[of[of >= 0]] = np.flatnonzero(of >= 0)

        def said(name: str) -> tuple[I64, Mask]:
            own, has = txs.number(name).copy(), txs.has(name)
            if len(receipts):
                told = at >= 0
                own[told], has[told] = receipts.number(name)[at[told]], receipts.has(name)[at[told]]
            return own, has

        gas_used, has_gas = said("gas_used")
        price, has_price = said("paid_price")
        price, has_price = np.where(has_price, price, txs.number("price")), has_price | txs.has("price")
        contract = txs.bytes_of("contract", 20)
        if len(receipts):
            contract[at >= 0] = receipts.bytes_of("contract", 20)[at[at >= 0]]
        stated, has_status = said("status")
        self._refuse(txs, has_status & (stated > 1), "has a status that is neither 0 nor 1")
        self._refuse(txs, said("l1_fee")[0] > 0, "has an l1_fee: the fees of rollups are not read")

        status = np.full(len(txs), UNSTATED, np.uint8)
        status[has_status & (stated == 0)], status[has_status & (stated == 1)] = FAILED, SUCCEEDED
        if self.chain_id == 1:
            sure = ~has_status & has_gas & txs.has("gas") & (gas_used < txs.number("gas"))
            status[sure & (txs.number("block") < BYZANTIUM)] = SUCCEEDED
        self._calls(txs, row_of, status, contract)
        moved = (status == SUCCEEDED) | ((status == UNSTATED) & has_gas)
        if (~moved & (status == UNSTATED)).any() or not has_gas.all():
            self.notes[_NOTED_NO_RECEIPT] = None
        if (moved & (status == UNSTATED)).any():
            self.notes[_NOTED_UNSTATED] = None

        known = has_gas & has_price
        gas = np.where(known, gas_used, 0).astype(np.uint64)
        base = self.blocks.number("base_fee")[txs.number("block") - self.first]
        if self.chain_id in ETHEREUM_RULES:
            self._refuse(txs, known & (price < base) & (gas > 0), "pays less a gas than its block's base fee")
        elif base.any():
            self.notes[_NOTED_BASE] = None
        base = np.minimum(base, price)
        burnt, tip = np.zeros((len(txs), 4), np.uint64), np.zeros((len(txs), 4), np.uint64)
        matching.multiply(gas, base.astype(np.uint64), burnt)
        matching.multiply(gas, np.where(gas > 0, price - base, 0).astype(np.uint64), tip)
        blob_gas, _ = said("blob_gas")
        blob_price, has_blob = said("blob_price")
        matching.multiply(blob_gas.astype(np.uint64), blob_price.astype(np.uint64), burnt)
        if ((txs.number("type") == 3) & ~has_blob).any():
            self.notes[_NOTED_BLOB] = None
        return Outcome(status, _plus(burnt, tip), burnt, tip, contract, moved)

    def _refuse(self, txs: Rows, wrong: Mask, what: str) -> None:
        if wrong.any():
            raise self.tables["transactions"].refused(txs, int(np.argmax(wrong)), what)

    def native(self, txs: Rows, row_of: I64, outcome: Outcome, sender: U8, recipient: U8) -> None:
        """Fees and values of the transactions."""
        block, row = txs.number("block"), row_of[: len(txs)]
        miner = self.blocks.bytes_of("miner", 20)[block - self.first]
        value = txs.amount("value")
        moved = outcome.moved & value.any(1)
        new = ~txs.has("recipient") & (outcome.status != FAILED) & recipient.any(1)
        none = np.zeros((int(new.sum()), 4), np.uint64)
        self.events.append(
            Events(
                row[new], 0, np.full(len(none), CREATED, np.uint8), recipient[new], recipient[new], sender[new], none,
                np.zeros(len(none), np.int64),
            )
        )  # fmt: skip
        if "traces" in self.tables and not self.tables["traces"].names & {"hash", "index"}:
            moved[:] = False  # such traces hold the transactions' own values among their calls
        for rank, kind, amount, which, to in (
            (0, FEE, outcome.tip, outcome.tip.any(1), miner),
            (1, BURNT_FEE, outcome.burnt, outcome.burnt.any(1), None),
            (2, VALUE, value, moved, recipient),
        ):
            self.parts.append(
                Transfers(
                    block[which], row[which], rank, np.full(int(which.sum()), kind, np.uint8), amount[which],
                    sender[which], None if to is None else to[which],
                )
            )  # fmt: skip

    def _calls(self, txs: Rows, row_of: I64, status: U8, contract: U8) -> None:
        """Transfers in traces; what the outermost call says of its transaction where no receipt does."""
        traces = self.rows["traces"]
        if not len(traces):
            return
        table = self.tables["traces"]
        if not table.names & {"status", "error"}:
            raise table.refused(traces, 0, "has neither a status nor an error")
        start, length = traces.span("path" if "path" in table.names else "id")
        kind = traces.number("kind").view(np.uint64) & np.uint64(0xFFFFFFFF)
        if "kind" not in table.names:
            begin, size = traces.span("id")
            texts = np.concatenate([traces.texts, np.zeros(4, np.uint8)])
            kind = texts[begin[:, None] + np.arange(4)].view("<u4")[:, 0].astype(np.uint64) * (size > 3)
        if "path" not in table.names:
            matching.skip_signs(traces.texts, start, length, _UNDERSCORE, 2)
        is_a = {n: kind == np.uint64(k) for k, n in _KINDS.items()}
        unknown = ~np.logical_or.reduce(list(is_a.values())) | (traces.number("status") > 1)
        if unknown.any():
            raise table.refused(traces, int(np.argmax(unknown)), "has a trace_type or a status that is not known")

        value = traces.amount("value")
        done = np.where(traces.has("status"), traces.number("status") == 1, ~traces.has("error"))
        silent = is_a[b"suicide"] & ~(traces.has("sender") & traces.has("value"))
        if silent.any():
            self.notes[_NOTED_DESTROYED] = None
        calls = is_a[b"call"] | is_a[b"create"] | is_a[b"suicide"]
        tx = np.full(len(traces), -1)
        place = np.zeros(len(traces), np.int64)
        if table.names & {"hash", "index"}:
            if not len(txs) and calls.any():
                self.notes[_NOTED_TRACES] = None
                calls[:] = False
            rows = np.flatnonzero(calls)
            own = self._tx_of_traces(txs, traces.take(rows))
            tx[rows] = row_of[own]
            order = rows[np.argsort(tx[rows], kind="stable")]
            again = matching.order_paths(traces.texts, start, length, tx, order, place)
            if again >= 0:
                raise table.refused(traces, again, "has a trace_address that another row of its transaction has too")
            matching.undo(traces.texts, start, length, tx, order, done)
            calls &= ~silent
            outermost = length[rows] == 0
            roots, of = rows[outermost], own[outermost]
            unstated = status[of] == UNSTATED
            status[of[unstated]] = np.where(done[roots[unstated]], SUCCEEDED, FAILED)
            made = is_a[b"create"][roots] & ~contract[of].any(1)
            contract[of[made]] = traces.bytes_of("recipient", 20)[roots[made]]
            calls[roots] = False
        moves = value.any(1) & done
        self._made(traces, tx, place, is_a[b"create"] & calls & done, CREATED)
        self._made(traces, tx, place, is_a[b"suicide"] & calls & done, SELF_DESTRUCTED)
        own_heirs = is_a[b"suicide"] & calls & moves
        own_heirs[own_heirs] &= (traces.bytes_of("sender", 20) == traces.bytes_of("recipient", 20))[own_heirs].all(1)
        calls &= ~own_heirs & ~np.isin(traces.number("call").view(np.uint64), _MOVE_NOTHING)
        burnt = np.zeros(len(traces), np.bool_)
        burnt[[row for row in np.flatnonzero(own_heirs) if self._burns(traces, tx, int(row), is_a[b"create"])]] = True
        for rank, what, which in (
            (3, BURN, burnt), (3, INTERNAL, calls | is_a[b"daofork"]), (5, REWARD, is_a[b"reward"]),
            (6, GRANT, is_a[b"genesis"]),
        ):  # fmt: skip
            some = traces.take(np.flatnonzero(which & moves))
            keep = which & moves
            self.parts.append(
                Transfers(
                    some.number("block"), tx[keep], rank, np.full(len(some), what, np.uint8), value[keep],
                    some.bytes_of("sender", 20) if what in (INTERNAL, BURN) else None,
                    None if what == BURN else some.bytes_of("recipient", 20),
                    position=place[keep],
                )
            )  # fmt: skip

    def _made(self, traces: Rows, tx: I64, place: I64, which: Mask, kind: int) -> None:
        """Events of contracts made or destroyed."""
        some = traces.take(np.flatnonzero(which))
        maker, made = some.bytes_of("sender", 20), some.bytes_of("recipient", 20)
        contract, other = (made, maker) if kind == CREATED else (maker, made)
        amount = some.amount("value") if kind == SELF_DESTRUCTED else np.zeros((len(some), 4), np.uint64)
        kinds = np.full(len(some), kind, np.uint8)
        self.events.append(Events(tx[which], 0, kinds, contract, contract, other, amount, place[which]))

    def _burns(self, traces: Rows, tx: I64, row: int, creates: Mask) -> bool:
        """Whether the coins of a contract that is its own heir are gone."""
        if self.blocks.number("time")[traces.number("block")[row] - self.first] < CANCUN:
            return True
        beside = traces.take(creates & (tx == tx[row]))
        return bool((beside.bytes_of("recipient", 20) == traces.bytes_of("sender", 20)[row]).all(1).any())

    def _tx_of_traces(self, txs: Rows, traces: Rows) -> I64:
        found = self.find("traces", txs, traces)
        bare = ~traces.has("hash") & traces.has("index")
        if bare.any():
            keys = txs.number("block") - self.first << 32 | txs.number("index")
            wanted = (traces.number("block") - self.first << 32 | traces.number("index"))[bare]
            at = np.minimum(np.searchsorted(keys, wanted), len(keys) - 1)
            found[bare] = np.where(keys[at] == wanted, at, -1)
        if (found < 0).any():
            row = int(np.argmax(found < 0))
            raise self.tables["traces"].refused(traces, row, "is of a transaction that the transactions do not have")
        return found

    def withdrawals(self) -> None:
        """Withdrawals from the consensus layer. Raises DecodeError where they are not such."""
        if self.chain_id in GNOSIS:
            self.notes[_NOTED_GNOSIS] = None
            return
        rows = self.rows["withdrawals"]
        blocks: list[int] = []
        to: list[bytes] = []
        amounts: list[int] = []
        for row in np.flatnonzero(rows.has("withdrawals")):
            try:
                said = json.loads(b"[" + rows.text("withdrawals", int(row)) + b"]")
                for one in said[0] if said and isinstance(said[0], list) else said:
                    address, amount = one["address"], one["amount"]
                    if len(address) != 42 or address[:2] != "0x" or not 0 <= int(amount) < 1 << 64:
                        raise ValueError
                    to.append(bytes.fromhex(address[2:]))
                    amounts.append(int(amount) * GWEI)
                    blocks.append(int(rows.number("block")[row]))
            except (ValueError, KeyError, TypeError, RecursionError):
                raise self._bad_withdrawal(rows, int(row)) from None
        self.parts.append(
            Transfers(
                np.array(blocks, np.int64), np.full(len(to), -1), 7, np.full(len(to), WITHDRAWAL, np.uint8),
                limbs(amounts), recipient=np.frombuffer(b"".join(to), np.uint8).reshape(-1, 20),
            )
        )  # fmt: skip

    def _bad_withdrawal(self, rows: Rows, row: int) -> DecodeError:
        return self.tables["withdrawals"].refused(rows, row, "has withdrawals without address and amount")


def _plus(a: Limbs, b: Limbs) -> Limbs:
    """Sums of amounts far under 2^192."""
    total = a + b
    for i in range(3):
        total[:, i + 1] += total[:, i] < b[:, i]
    return total
