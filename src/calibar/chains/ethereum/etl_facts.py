"""Rows of an export's tables, for whole blocks, as facts."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.chains.ethereum.etl_columns import Rows
from calibar.chains.ethereum.etl_files import Table
from calibar.chains.ethereum.etl_logs import natively, read_logs
from calibar.chains.ethereum.etl_native import Native, Transfers
from calibar.chains.facts import (
    BURN,
    CONTRACT,
    HAS_INTERNAL,
    I64,
    MINT,
    NATIVE,
    SUCCEEDED,
    TOKEN,
    U8,
    Facts,
)
from calibar.kernels import matching

_NOTED_UNKNOWN: Final = "of transactions that only token_transfers or logs name, sender, fee and value are not known"


class Assembly(Native):
    """Facts of some blocks."""

    def facts(self, notes: tuple[str, ...], proof: U8) -> Facts:
        """The facts. Raises DecodeError where tables contradict each other or themselves."""
        txs = self.rows["transactions"]
        table = "logs" if "logs" in self.tables else "token_transfers"
        tokens = self.rows[table]
        self.refuse_repeated("transactions", txs, "block", "index")
        self.refuse_repeated("token_transfers", self.rows["token_transfers"], "block", "log")
        self.refuse_repeated("logs", self.rows["logs"], "block", "log")
        by_tx = self.find(table, txs, tokens) if len(txs) else np.full(len(tokens), -1)
        fresh = self._fresh(table, tokens, by_tx)
        row_of, order = self._order(txs, tokens, by_tx, fresh)
        count = len(txs) + len(fresh)

        # Rows that only token_transfers know come after those of the table here, then all are put in order.
        starts = np.zeros(len(tokens), np.int64)
        starts[fresh] = 1
        token_tx = row_of[np.where(by_tx >= 0, by_tx, len(txs) + np.cumsum(starts) - 1)]
        outcome = self.outcome(txs, row_of)

        def column(known: U8, unknown: U8 | int) -> U8:
            out = np.zeros((count, *known.shape[1:]), np.uint8)
            out[: len(known)], out[len(known) :] = known, unknown
            return out[order] if order is not None else out

        sender = txs.bytes_of("sender", 20)
        recipient = np.where(txs.has("recipient")[:, None], txs.bytes_of("recipient", 20), outcome.contract)
        fee = np.zeros((count, 4), np.uint64)
        fee[row_of[: len(txs)]] = outcome.fee
        self.native(txs, row_of, outcome, sender, recipient)
        self.withdrawals()
        if len(fresh):
            self.notes[_NOTED_UNKNOWN] = None
        tx_sender, tx_recipient = column(sender, 0), column(recipient, 0)
        if table == "logs":
            self._refuse_unlogged()
            called = column(txs.bytes_of("recipient", 20), 0)
            native = natively(self.parts, count) if "traces" in self.tables else None
            moved, events, said = read_logs(tokens, self.tables["logs"], token_tx, tx_sender, called, native)
            self.parts.append(moved)
            self.events.append(events)
            self.notes.update(dict.fromkeys(said))
        else:
            self._token_transfers(tokens, token_tx)

        blocks = len(self.blocks)
        tx_block = np.concatenate([txs.number("block"), tokens.number("block")[fresh]])
        tx_end = np.searchsorted(np.sort(tx_block), self.blocks.number("block"), side="right")
        return Facts(
            number=np.ascontiguousarray(self.blocks.number("block")),
            block_hash=self.blocks.bytes_of("hash", 32),
            parent_hash=self.blocks.bytes_of("parent", 32),
            time=np.ascontiguousarray(self.blocks.number("time")),
            proof=proof,
            tx_end=tx_end.astype(np.int64),
            tx_hash=column(txs.bytes_of("hash", 32), tokens.take(fresh).bytes_of("hash", 32)),
            tx_status=column(outcome.status, SUCCEEDED),
            tx_sender=tx_sender,
            tx_recipient=tx_recipient,
            tx_payer=tx_sender,
            tx_fee=fee,
            **self._transfers(tx_end),  # type: ignore[arg-type]
            **self._events(tx_end),  # type: ignore[arg-type]
            header=(b"",) * blocks,
            notes=(*notes, *self.notes),
        )

    def _token_transfers(self, tokens: Rows, token_tx: I64) -> None:
        minted, burnt = tokens.is_zero("sender"), tokens.is_zero("recipient")
        if (minted & burnt).any():  # from nobody to nobody: no transfer
            some = ~(minted & burnt)
            tokens_moved, token_tx, minted, burnt = tokens.take(some), token_tx[some], minted[some], burnt[some]
        else:
            tokens_moved = tokens
        kind = np.where(minted, MINT, np.where(burnt, BURN, TOKEN)).astype(np.uint8)
        self.parts.append(
            Transfers(
                tokens_moved.number("block"), token_tx, 4, kind, tokens_moved.amount("value"),
                tokens_moved.bytes_of("sender", 20), tokens_moved.bytes_of("recipient", 20),
                tokens_moved.bytes_of("token", 20), tokens_moved.number("log"),
            )
        )  # fmt: skip

    def _refuse_unlogged(self) -> None:
        """Raise DecodeError for a token transfer whose log is not there."""
        tokens, logged = self.rows["token_transfers"], self.rows["logs"]
        ours, theirs = (
            np.ascontiguousarray(np.stack([r.number("block"), r.number("log")], 1)).view("i8,i8")[:, 0]
            for r in (tokens, logged)
        )
        missing = ~np.isin(ours, theirs)
        if missing.any():
            row = int(np.argmax(missing))
            raise self.tables["token_transfers"].refused(tokens, row, "has a log that logs do not have")

    def _fresh(self, table: str, tokens: Rows, by_tx: I64) -> I64:
        """Of token transfers whose transactions no table has, the first of each transaction."""
        unknown = np.flatnonzero(by_tx < 0)
        rows = tokens if len(unknown) == len(tokens) else tokens.take(unknown)
        begins = np.empty(len(rows), np.bool_)
        matching.begins_run(rows.words_of("hash"), rows.number("block"), begins)
        fresh = unknown[begins]
        hashes = rows.words_of("hash")[begins]
        order = np.argsort(hashes[:, 0])
        if (hashes[order][1:, 0] == hashes[order][:-1, 0]).any():
            order = np.lexsort(hashes.T)
        same = np.flatnonzero((hashes[order][1:] == hashes[order][:-1]).all(1)) if len(order) > 1 else order[:0]
        if len(same):
            row = int(fresh[max(order[same[0]], order[same[0] + 1])])
            raise self.tables[table].refused(
                tokens, row, "names a transaction whose other rows lie in another block or apart from this one"
            )
        return fresh

    def _order(self, txs: Rows, tokens: Rows, by_tx: I64, fresh: I64) -> tuple[I64, I64 | None]:
        """Place of each transaction, the table's first, then those that only token transfers name; and the sorting
        that gives it. One that has no index stands behind the last that has a log before its own."""
        count = len(txs) + len(fresh)
        if not len(txs) or not len(fresh):
            return np.arange(count), None
        block = tokens.number("block")
        before = np.maximum.accumulate(np.where(by_tx >= 0, np.arange(len(tokens)), -1))[fresh]
        near = (before >= 0) & (block[before] == block[fresh])
        major = np.concatenate([txs.number("index"), np.where(near, txs.number("index")[by_tx[before]], -1)])
        minor = np.concatenate([np.full(len(txs), -1), tokens.number("log")[fresh]])
        order = np.lexsort((minor, major, np.concatenate([txs.number("block"), block[fresh]])))
        place = np.empty(count, np.int64)
        place[order] = np.arange(count)
        return place, order

    def _transfers(self, tx_end: I64) -> dict[str, NDArray[np.generic]]:
        """All transfers, in their order."""
        parts = [part for part in self.parts if len(part.block)]

        def all_of(name: str, dtype: type[np.generic], width: int = 0) -> NDArray[np.generic]:
            shape = (width,) if width else ()
            columns = [getattr(part, name) for part in parts]
            filled = [
                np.zeros((len(part.block), *shape), dtype) if column is None else column
                for part, column in zip(parts, columns, strict=True)
            ]
            return np.concatenate([*filled, np.zeros((0, *shape), dtype)]) if len(filled) != 1 else filled[0]

        block = all_of("block", np.int64)
        columns: dict[str, NDArray[np.generic]] = {
            "transfer_tx": all_of("tx", np.int64),
            "transfer_kind": all_of("kind", np.uint8),
            "asset_kind": np.concatenate(
                [np.full(len(p.block), NATIVE if p.asset is None else CONTRACT, np.uint8) for p in parts]
                or [np.zeros(0, np.uint8)]
            ),
            "asset": all_of("asset", np.uint8, 20),
            "sender": all_of("sender", np.uint8, 20),
            "recipient": all_of("recipient", np.uint8, 20),
            "amount": all_of("amount", np.uint64, 4),
            "position": np.ascontiguousarray(all_of("position", np.int64)),
        }
        if len(parts) > 1:
            rank = np.concatenate([np.full(len(part.block), part.rank) for part in parts])
            tx = np.concatenate([part.tx for part in parts])
            last = np.where(tx < 0, np.iinfo(np.int64).max, tx)
            # What belongs to no transaction has no order of its own in a table: by recipient and amount.
            loose = np.where((tx < 0)[:, None], columns["recipient"], 0).astype(np.uint8)
            keys = np.zeros((len(tx), 24), np.uint8)
            keys[:, :20] = loose
            order = np.lexsort(
                (columns["position"], *keys.view(">u8").T[::-1], rank, last, block)
                if (tx < 0).any()
                else (columns["position"], rank, tx)
            )
            columns = {name: column[order] for name, column in columns.items()}
            block = block[order]
        columns["transfer_end"] = np.searchsorted(block, self.blocks.number("block"), side="right").astype(np.int64)
        return columns

    def _events(self, tx_end: I64) -> dict[str, NDArray[np.generic]]:
        """All events, transaction by transaction: of its trace, then of its logs."""
        parts = [part for part in self.events if len(part.tx)]
        tx = np.concatenate([part.tx for part in parts] or [np.zeros(0, np.int64)])
        rank = np.concatenate([np.full(len(part.tx), part.rank) for part in parts] or [tx])
        position = np.concatenate([part.position for part in parts] or [tx])
        order = np.lexsort((position, rank, tx))
        columns: dict[str, NDArray[np.generic]] = {
            f"event_{name}": np.concatenate(
                [getattr(part, name) for part in parts] or [np.zeros((0, width) if width else 0, dtype)]
            )[order]
            for name, dtype, width in (
                ("tx", np.int64, 0), ("kind", np.uint8, 0), ("contract", np.uint8, 20), ("a", np.uint8, 20),
                ("b", np.uint8, 20), ("amount", np.uint64, 4), ("position", np.int64, 0),
            )
        }  # fmt: skip
        columns["event_end"] = np.searchsorted(tx[order], tx_end, side="left").astype(np.int64)
        return columns


def proof_of(numbers: I64, table: Table | None) -> U8:
    """Nothing of an export is proven; HAS_INTERNAL where traces speak of blocks like these."""
    proof = np.zeros(len(numbers), np.uint8)
    if table is not None and table.pieces:
        least, greatest = min(p.least for p in table.pieces), max(p.greatest for p in table.pieces)
        proof[(numbers >= least) & (numbers <= greatest)] = HAS_INTERNAL
    return proof
