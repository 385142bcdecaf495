"""Bring an account chain's blocks into a ledger: read ahead on one thread, name, join and append on another."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.facts import FROM_NOBODY, TO_NOBODY, Facts, Naming, Source
from calibar.errors import ChainError, DamageError, UsageError
from calibar.kernels import accounts as kernels
from calibar.kernels import index
from calibar.kernels.accounts import ADDRESSES, ASSETS, HOLDINGS, Batch, Known, Movements, Named
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.accounts.writer import AccountWriter

Progress = Callable[[str, int, int], None]
"""Called with what is being done, blocks done, blocks in all."""

COMMIT_SECONDS = 60.0
_TEXT = 256
"""Bytes of a token's name or symbol that are kept."""
MOST_NOTES = 200
"""Notes that a ledger keeps, the last of which says that there were more."""
_LEFT_OUT = b"further notes are left out"


def ingest(
    source: Source,
    folder: Path,
    *,
    first: int | None = None,
    to_height: int | None = None,
    island: bool = False,
    max_reorganisation: int = 100,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Ingest blocks into the ledger in `folder`, continuing what is there; returns what `ledger info` says.

    `first` is the first block of an island. Where the source has left the ledger's branch, the blocks that it gave up
    are given up here, unless there are more than `max_reorganisation`, once its own branch was read as far as it
    replaces them. Raises CalibarError; what was committed before stays as it was, but that the blocks given up are gone
    where the source fails afterwards, when it is read a second time.
    """
    started = time.monotonic()
    say = progress or (lambda *_: None)
    with AccountWriter(folder, source.chain) as writer:
        before = writer.counts["blocks"]
        start = _begin(source, writer, first, island)
        end = source.last()
        last = end if to_height is None else min(to_height, end)
        given_up = 0
        if before:
            given_up = _fork(source, writer, to_height, max_reorganisation)
            start = writer.manifest.height + 1
        if last >= start:
            _grow(source, writer, start, last, say)
        writer.commit()
        added = writer.counts["blocks"] - before + given_up
    notes = [f"{given_up} blocks were given up: the source has left them"] if given_up else []
    info = AccountSnapshot(folder).info()
    info["notes"] = [*info["notes"], *notes]
    return {**info, "added_blocks": added, "seconds": round(time.monotonic() - started, 3)}


def _begin(source: Source, writer: AccountWriter, first: int | None, island: bool) -> int:
    """The first block wanted. A new ledger gets its base."""
    if writer.counts["blocks"]:
        if first is not None and first > writer.manifest.height + 1:
            raise UsageError(
                f"the ledger ends at height {writer.manifest.height}: it cannot go on at {first}; "
                "leave --from-height out, or name another folder"
            )
        return writer.manifest.height + 1
    start = first or 0
    if start and not island:
        raise UsageError(
            f"a ledger begins at block 0; one that begins at {start} does not know what anybody had before: "
            "allow that with --island"
        )
    if source.last() < start:
        raise UsageError(f"the source ends at block {source.last()}, before {start}")
    if source.hash_of(start) is None:
        raise UsageError(f"the source has no block {start}; name the first that it has by --from-height, with --island")
    writer.commit(island=start > 0, base=start)
    return start


def _fork(source: Source, writer: AccountWriter, to_height: int | None, deepest: int) -> int:
    """Give up the blocks that the source has left; how many. Nothing is, where it raises."""
    hashes, base = writer.column("blocks.hash"), writer.manifest.base
    count, tip = len(hashes), writer.manifest.height
    keep = count
    if source.hash_of(tip) is None:  # perhaps it lags behind, perhaps on a branch that loses
        raise UsageError(f"the source ends before the ledger's height {tip}; wait, or name another")
    while count - keep > deepest or source.hash_of(base + keep - 1) != bytes(hashes[keep - 1]):
        keep -= 1
        if count - keep > deepest or keep == 0:
            raise UsageError(
                f"the source's blocks part from the ledger's more than {min(deepest, count - 1)} blocks back: it "
                "is another chain, name another folder (or allow more with --max-reorganisation)"
            )
    if keep == count:
        return 0
    fork = base + keep - 1
    if to_height is not None and to_height < tip:
        raise UsageError(
            f"the source has left the ledger's blocks above {fork}; leave --to-height out, or give at least the "
            f"ledger's height {tip}"
        )
    _read_branch(source, fork + 1, tip, bytes(hashes[keep - 1]))
    writer.roll_back(keep)
    return count - keep


def _read_branch(source: Source, start: int, last: int, parent: bytes | None) -> None:
    """Look at the whole branch that is to win before anything is given up. Raises CalibarError."""
    expected = start
    for facts in source.read(start, last):
        expected, parent = _check_run(facts, expected, parent)
    if expected <= last or last < start:
        raise _no_block(expected, last)


def _no_block(number: int, last: int) -> ChainError:
    return ChainError(f"the source gave no block {number}, though it has blocks up to {last}; ask another source")


def _grow(source: Source, writer: AccountWriter, start: int, last: int, say: Progress) -> None:
    committed = time.monotonic()
    expected = start
    parent = bytes(writer.column("blocks.hash")[-1]) if writer.counts["blocks"] else None
    for facts in _ahead(source.read(start, last)):
        expected, parent = _check_run(facts, expected, parent)
        append(writer, facts)
        say("reading blocks", expected - start, last - start + 1)
        if time.monotonic() - committed > COMMIT_SECONDS:
            writer.commit()
            committed = time.monotonic()
    if expected <= last:
        raise _no_block(expected, last)


def _ahead(batches: Iterator[Facts]) -> Iterator[Facts]:
    """The same batches, the next one being read while one is worked on."""
    with ThreadPoolExecutor(1) as pool:
        pending = pool.submit(next, batches, None)
        while (facts := pending.result()) is not None:
            pending = pool.submit(next, batches, None)
            yield facts


def _check_run(facts: Facts, expected: int, parent: bytes | None) -> tuple[int, bytes | None]:
    """The number that must come next, and its parent's hash. Raises ChainError for blocks that do not follow."""
    for row, number in enumerate(facts.number.tolist()):
        if number != expected + row:
            raise ChainError(f"the source gave block {number} where {expected + row} was asked for; ask another source")
        if parent is not None and bytes(facts.parent_hash[row]) != parent:
            raise ChainError(
                f"block {number} names another parent than block {number - 1}'s hash; ask another source, or again"
            )
        parent = bytes(facts.block_hash[row])
    return expected + facts.number.size, parent


def append(writer: AccountWriter, facts: Facts) -> None:
    """Name, join and append a batch; not committed. Raises ChainError for a transaction that is there already."""
    transfers, events, transactions = facts.transfer_tx.size, facts.event_tx.size, facts.tx_status.size
    batch = _batch(facts)
    most = 3 * transactions + 2 * transfers + 3 * events
    writer.reserve(transactions=transactions, addresses=most, assets=transfers, holdings=2 * transfers)
    before = dict(writer.counts)
    named = _name(writer, batch, most)
    _enter_transactions(writer, facts)
    new_addresses, new_assets, new_holdings = (int(named.counts[t]) for t in (ADDRESSES, ASSETS, HOLDINGS))
    heads = writer.heads()
    movements = Movements(
        writer.column("movements.link"),
        writer.column("movements.balance"),
        np.empty((2 * transfers, 4), np.int64),
        np.empty((2 * transfers, 4), np.uint64),
    )
    shortfalls, first_shortfall = np.empty((2 * transfers + 1, 2), np.int64), np.empty(facts.number.size, np.int64)
    amount = np.ascontiguousarray(facts.amount, np.uint64)
    short = kernels.move_all(
        facts.transfer_end, named.sender, named.recipient, amount, heads, movements, shortfalls, first_shortfall
    )
    if short == kernels.DAMAGED:
        raise DamageError(
            f"{writer.folder}: a holding's movements form no list; run `calibar ledger check`, then ingest again"
        )
    header_end = np.cumsum([len(header) for header in facts.header] or [0] * facts.number.size)
    rows: dict[str, NDArray[Any]] = {
        "blocks.hash": facts.block_hash,
        "blocks.parent": facts.parent_hash,
        "blocks.time": facts.time,
        "blocks.proof": facts.proof,
        "blocks.first_tx": facts.tx_end + before["transactions"],
        "blocks.first_transfer": facts.transfer_end + before["transfers"],
        "blocks.first_event": facts.event_end + before["events"],
        "blocks.first_address": named.first[:, ADDRESSES] + before["addresses"],
        "blocks.first_asset": named.first[:, ASSETS] + before["assets"],
        "blocks.first_holding": named.first[:, HOLDINGS] + before["holdings"],
        "blocks.first_header_byte": header_end + before["headers"],
        "blocks.first_shortfall": first_shortfall + before["shortfalls"],
        "headers.byte": np.frombuffer(b"".join(facts.header), np.uint8),
        "transactions.hash": facts.tx_hash,
        "transactions.status": facts.tx_status,
        "transactions.sender": named.tx_sender,
        "transactions.recipient": named.tx_recipient,
        "transactions.payer": named.tx_payer,
        "transactions.fee": facts.tx_fee,
        "transfers.tx": np.where(facts.transfer_tx < 0, -1, facts.transfer_tx + before["transactions"]),
        "transfers.kind": facts.transfer_kind,
        "transfers.asset": named.asset,
        "transfers.sender": named.sender,
        "transfers.recipient": named.recipient,
        "transfers.amount": facts.amount,
        "transfers.position": facts.position,
        "movements.link": movements.new_link,
        "movements.balance": movements.new_balance,
        "events.tx": np.where(facts.event_tx < 0, -1, facts.event_tx + before["transactions"]),
        "events.kind": facts.event_kind,
        "events.contract": named.event_contract,
        "events.a": named.event_a,
        "events.b": named.event_b,
        "events.amount": facts.event_amount,
        "events.position": facts.event_position,
        "addresses.byte": named.new_addresses[:new_addresses],
        "assets.byte": named.new_assets[:new_assets],
        "holdings.asset": named.new_holding_asset[:new_holdings],
        "holdings.address": named.new_holding_address[:new_holdings],
        "shortfalls.transfer": shortfalls[:short, 0] + before["transfers"],
        "shortfalls.holding": shortfalls[:short, 1],
        **_said(writer, facts, named.new_assets[:new_assets]),
    }
    writer.append(rows)


def _batch(facts: Facts) -> Batch:
    kinds = facts.transfer_kind
    return Batch(
        tx_end=facts.tx_end,
        transfer_end=facts.transfer_end,
        event_end=facts.event_end,
        tx_sender=_plain(facts.tx_sender),
        tx_recipient=_plain(facts.tx_recipient),
        tx_payer=_plain(facts.tx_payer),
        asset=np.concatenate([facts.asset_kind[:, None], facts.asset], axis=1),
        sender=_plain(facts.sender),
        recipient=_plain(facts.recipient),
        from_nobody=np.isin(kinds, FROM_NOBODY).astype(np.uint8),
        to_nobody=np.isin(kinds, TO_NOBODY).astype(np.uint8),
        event_contract=_plain(facts.event_contract),
        event_a=_plain(facts.event_a),
        event_b=_plain(facts.event_b),
    )


def _plain(rows: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Contiguous and writable in type: kernels are compiled for one kind of array."""
    rows = np.ascontiguousarray(rows)
    return rows if rows.flags.writeable else rows.copy()


def _name(writer: AccountWriter, batch: Batch, most: int) -> Named:
    transactions, transfers, events = (len(rows) for rows in (batch.tx_sender, batch.asset, batch.event_a))
    known = Known(
        address_slots=writer.map_slots("addresses"),
        asset_slots=writer.map_slots("assets"),
        holding_slots=writer.map_slots("holdings"),
        addresses=writer.column("addresses.byte").reshape(-1, 20),
        assets=writer.column("assets.byte").reshape(-1, 21),
        holding_asset=writer.column("holdings.asset"),
        holding_address=writer.column("holdings.address"),
    )
    named = Named(
        tx_sender=np.empty(transactions, np.int64),
        tx_recipient=np.empty(transactions, np.int64),
        tx_payer=np.empty(transactions, np.int64),
        asset=np.empty(transfers, np.int64),
        sender=np.empty(transfers, np.int64),
        recipient=np.empty(transfers, np.int64),
        event_contract=np.empty(events, np.int64),
        event_a=np.empty(events, np.int64),
        event_b=np.empty(events, np.int64),
        new_addresses=np.empty((most, 20), np.uint8),
        new_assets=np.empty((transfers, 21), np.uint8),
        new_holding_asset=np.empty(2 * transfers, np.uint32),
        new_holding_address=np.empty(2 * transfers, np.int64),
        first=np.empty((batch.tx_end.size, 3), np.int64),
        counts=np.zeros(3, np.int64),
    )
    kernels.name_all(batch, known, named)
    return named


def _enter_transactions(writer: AccountWriter, facts: Facts) -> None:
    hashes = _plain(facts.tx_hash)
    twice = index.enter_new_txids(
        writer.map_slots("transactions"), hashes, writer.column("transactions.hash"), writer.counts["transactions"]
    )
    if twice >= 0:
        raise ChainError(f"transaction 0x{hashes[twice].tobytes().hex()} comes twice; ask another source")


def _said(writer: AccountWriter, facts: Facts, new_assets: NDArray[np.uint8]) -> dict[str, NDArray[Any]]:
    """Rows of what the source said beside the facts: tokens' names, and what it does not give."""
    base = writer.counts["assets"]
    ids = {bytes(row): base + i for i, row in enumerate(new_assets)}
    known = writer.column("assets.byte")
    named: list[tuple[int, Naming]] = []
    for naming in facts.namings:
        row = bytes([naming.asset_kind]) + naming.asset
        if row not in ids:
            found = kernels.find_row(
                writer.map_slots("assets"), np.frombuffer(row, np.uint8).reshape(1, 21).copy(), known, base
            )
            if found < 0:
                continue
            ids[row] = int(found)
        named.append((ids[row], naming))
    texts = [_clean(naming.name) + b"\0" + _clean(naming.symbol) for _, naming in named]
    notes = _new_notes(writer.known_notes, facts.notes)
    return {
        "namings.asset": np.array([asset for asset, _ in named], np.uint32),
        "namings.decimals": np.array([-1 if n.decimals is None else n.decimals for _, n in named], np.int16),
        "namings.first_byte": np.cumsum([len(text) for text in texts], dtype=np.int64) + writer.counts["names"],
        "names.byte": np.frombuffer(b"".join(texts), np.uint8),
        "notes.first_byte": np.cumsum([len(text) for text in notes], dtype=np.int64) + writer.counts["notetexts"],
        "notetexts.byte": np.frombuffer(b"".join(notes), np.uint8),
    }


def _clean(text: str) -> bytes:
    return text.replace("\0", "").encode("utf-8", "replace")[:_TEXT]


def _new_notes(known: set[bytes], said: Iterable[str]) -> list[bytes]:
    """What was said and is not known yet, as far as there is room; it is known then."""
    new = []
    for note in said:
        text = note.encode("utf-8", "replace")
        if len(known) >= MOST_NOTES:
            break
        if text not in known:
            new.append(text if len(known) < MOST_NOTES - 1 else _LEFT_OUT)
            known.add(new[-1])
    return new
