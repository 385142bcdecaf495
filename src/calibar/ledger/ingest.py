"""Bring a source's best chain into a ledger: decode ahead on one thread, join and append on another."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from calibar.chains.bitcoin.blockfile import HEADER, FoundBlock, Source, open_source
from calibar.chains.bitcoin.decode import Batch, decode
from calibar.chains.bitcoin.headers import BestChain, KnownChain, best_chain
from calibar.chains.bitcoin.networks import Network
from calibar.errors import CalibarError, ChainError, DamageError, UsageError
from calibar.kernels import blocks as block_kernels
from calibar.kernels import spends
from calibar.kernels.spends import Joined, Stored
from calibar.ledger.columns import sync_file
from calibar.ledger.schema import UNKNOWN
from calibar.ledger.snapshot import Snapshot
from calibar.ledger.store import no_space
from calibar.ledger.writer import Writer

Progress = Callable[[str, int, int], None]
"""Called with what is being done, bytes done, bytes in all."""

MEMORY_PER_BYTE = 16
"""Memory that a byte of blocks may cost while it is ingested, two batches being in flight."""
COMMIT_BYTES = 512 << 20
SOURCES = "sources.json"

_REASONS = {
    spends.MISSING_COIN: "spends a coin that does not exist",
    spends.DOUBLE_SPEND: "spends a coin that is spent already",
    spends.NEGATIVE_FEE: "pays out more than it takes in",
    spends.COINBASE_CLAIM: "claims more than the subsidy and the block's fees",
    spends.VALUE_RANGE: "moves more than can exist",
    spends.OWN_COINBASE: "spends its own block's coinbase",
    spends.UNSPENDABLE: "spends a coin that nobody can spend",
}


def ingest(
    places: Sequence[Path],
    folder: Path,
    *,
    network: Network | None = None,
    to_height: int | None = None,
    island: bool = False,
    memory_mb: int = 1024,
    max_reorganisation: int = 100,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Ingest block files into the ledger in `folder`, continuing what is there; returns what `ledger info` says.

    The chain with the most work wins; where that is not the ledger's, its losing blocks are given up, unless there are
    more than `max_reorganisation` of them. Raises CalibarError; what was committed before stays as it was.
    """
    started = time.monotonic()
    say = progress or (lambda *_: None)
    with open_source(places, network, lambda done, total: say("finding blocks", done, total)) as source:
        with Writer(folder, source.network.name) as writer:
            work = _Ingest(source, writer, memory_mb, say)
            added, notes = work.run(to_height=to_height, island=island, max_reorganisation=max_reorganisation)
        info = Snapshot(folder).info()
    return {**info, "added_blocks": added, "notes": notes, "seconds": round(time.monotonic() - started, 3)}


def _known(writer: Writer) -> KnownChain:
    hashes, works = writer.column("blocks.hash"), writer.column("blocks.work")
    base = writer.manifest.base
    heights = {bytes(row): base + i for i, row in enumerate(hashes)}
    return KnownChain(heights, [int.from_bytes(bytes(row), "big") for row in works], base)


class _Ingest:
    def __init__(self, source: Source, writer: Writer, memory_mb: int, say: Progress) -> None:
        self.source, self.writer, self.say = source, writer, say
        self.batch_bytes = max((memory_mb << 20) // MEMORY_PER_BYTE, source.network.max_block_bytes)
        self.files = _SourceList(writer.folder)

    def run(self, *, to_height: int | None, island: bool, max_reorganisation: int) -> tuple[int, list[str]]:
        writer, known = self.writer, _known(self.writer)
        chain = best_chain(self.source.blocks, known, self.source.network, island=island)
        notes = list(self.source.notes)
        if chain.stale:
            notes.append(f"{chain.stale} blocks lie on losing branches; passed over")
        blocks = chain.blocks
        base, heights_known = writer.manifest.base, writer.manifest.heights_known
        if blocks and not known.heights:
            base, heights_known = self._first_height(blocks[0], island)
        if to_height is not None:
            if not heights_known:
                raise UsageError("the heights of this island are unknown; leave --to-height out")
            blocks = blocks[: max(0, to_height - (chain.fork - known.base + base))]
            if not blocks and not known.heights:
                raise UsageError(f"the blocks begin at height {base}, after --to-height {to_height}")
        elif chain.waiting and not island and not writer.manifest.island:
            first = chain.waiting[0]
            raise UsageError(
                f"{len(chain.waiting)} blocks do not connect: the parent of {self.source.where(first)}, "
                f"{first.previous[::-1].hex()}, is missing; give all block files, or take what connects by --to-height"
            )
        if not blocks:
            return 0, notes
        if not known.heights:
            is_island = blocks[0].name != self.source.network.genesis
            writer.commit(island=is_island, base=base, heights_known=heights_known)
        depth = known.base + len(known.work) - 1 - chain.fork
        if depth > max_reorganisation:
            raise UsageError(
                f"this chain parts from the ledger's at height {chain.fork}, {depth} blocks back: it is another chain, "
                f"name another folder (or allow it with --max-reorganisation {depth})"
            )
        work = dict(zip((block.hash for block in chain.blocks), chain.work, strict=True))
        if depth > 0:
            if work[blocks[-1].hash] <= known.tip_work:
                return 0, notes
            enough = next(i for i, block in enumerate(blocks) if work[block.hash] > known.tip_work) + 1
            self._rehearse(chain, blocks[:enough])
            writer.roll_back(chain.fork + 1 - known.base)
            notes.append(f"a chain with more work replaced {depth} blocks after height {chain.fork}")
            self._append_all(blocks[:enough], work)  # what was rehearsed is kept, whatever comes after it
            if enough < len(blocks):
                self._append_all(blocks[enough:], work)
            return len(blocks), notes
        self._append_all(blocks, work)
        return len(blocks), notes

    def _first_height(self, first: FoundBlock, island: bool) -> tuple[int, bool]:
        """Height of a new ledger's first block (0 where unknown), and whether it is known."""
        if first.name == self.source.network.genesis:
            return 0, True
        if not island:
            raise ChainError(f"{self.source.where(first)} is not {self.source.network.name}'s genesis")
        height = decode(self.source, [first]).claimed_height(0)
        return height or 0, height is not None

    def _rehearse(self, chain: BestChain, blocks: list[FoundBlock]) -> None:
        """Check the new branch, up to where it has more work, before the old one gives way."""
        batch = decode(self.source, blocks)
        writer = self.writer
        keep = chain.fork + 1 - writer.manifest.base
        counts = writer.counts_at(keep)
        writer.reserve(batch.columns.txid.shape[0], batch.columns.value.size)
        self._join(batch, writer.rehearsal(keep), keep, counts["inputs"])

    def _batches(self, blocks: list[FoundBlock]) -> Iterator[list[FoundBlock]]:
        batch: list[FoundBlock] = []
        size = 0
        for block in blocks:
            if batch and size + block.size > self.batch_bytes:
                yield batch
                batch, size = [], 0
            batch.append(block)
            size += block.size
        if batch:
            yield batch

    def _append_all(self, blocks: list[FoundBlock], work: dict[bytes, int]) -> None:
        total = sum(block.size for block in blocks)
        done = uncommitted = 0
        batches = self._batches(blocks)
        with ThreadPoolExecutor(1, "decode") as pool:
            ahead: Future[Batch] | None = pool.submit(decode, self.source, next(batches))
            while ahead is not None:
                try:
                    batch = ahead.result()
                    following = next(batches, None)
                    ahead = pool.submit(decode, self.source, following) if following else None
                    self._append(batch, work)
                except CalibarError:
                    self._keep_good()
                    raise
                size = batch.data.size
                done, uncommitted = done + size, uncommitted + size
                self.say("reading blocks", done, total)
                if uncommitted >= COMMIT_BYTES:
                    self.files.save()
                    self.writer.commit()
                    uncommitted = 0
        self.files.save()
        self.writer.commit()

    def _keep_good(self) -> None:
        """Commit the whole batches before the one that failed."""
        self.files.save()
        self.writer.commit()

    def _join(self, batch: Batch, stored: Stored, blocks: int, inputs: int) -> Joined:
        columns, manifest, network = batch.columns, self.writer.manifest, self.source.network
        count = len(batch.blocks)
        out = spends.allocate(count, columns.txid.shape[0], columns.sequence.size, columns.value.size)
        last = {
            key: int(self.writer.column(f"blocks.{key}")[blocks - 1]) if blocks else 0
            for key in ("unspent_value", "utxo_coins", "utxo_value")
        }
        totals = np.array([*last.values(), inputs], np.int64)
        self._check_commitments(batch, blocks)
        heights = range(manifest.base + blocks, manifest.base + blocks + count)
        subsidies = [network.subsidy(height) if manifest.heights_known else -1 for height in heights]
        status, block, tx, which = spends.join(
            batch.data,
            columns,
            batch.script_hash,
            stored,
            out,
            totals,
            np.array(subsidies, np.int64),
            manifest.island,
            not manifest.island,
            network.max_money,
        )
        if status != spends.OK:
            coin = f" (input {which - int(columns.first_input[tx])}: {batch.outpoint(which)})" if which >= 0 else ""
            raise ChainError(
                f"{self.source.where(batch.blocks[block])}: transaction {batch.txid(tx)} {_REASONS[status]}{coin}; "
                "the source is damaged or not a valid chain"
            )
        return out

    def _check_commitments(self, batch: Batch, blocks: int) -> None:
        """From SegWit on a block that commits to witnesses must carry its coinbase's (BIP141)."""
        manifest = self.writer.manifest
        for i, (committed, nonce) in enumerate(batch.columns.commitment[: len(batch.blocks)].tolist()):
            active = manifest.heights_known and manifest.base + blocks + i >= self.source.network.segwit_height
            if active and committed >= 0 and nonce < 0:
                raise ChainError(
                    f"{self.source.where(batch.blocks[i])} commits to witnesses but comes without them; "
                    "get it from a node that sends them"
                )

    def _append(self, batch: Batch, work: dict[bytes, int]) -> None:
        writer = self.writer
        writer.reserve(batch.columns.txid.shape[0], batch.columns.value.size)
        joined = self._join(batch, writer.stored(), writer.counts["blocks"], writer.counts["inputs"])
        writer.append(_rows(batch, joined, writer.counts, work, self.files, self.source))


def _gather(data: NDArray[np.uint8], at: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.uint8]:
    out = np.empty(int(length.sum()), np.uint8)
    block_kernels.gather(data, at, length, out)
    return out


def _rows(
    batch: Batch, joined: Joined, counts: dict[str, int], work: dict[bytes, int], files: _SourceList, source: Source
) -> dict[str, NDArray[Any]]:
    """The batch as rows of every column."""
    c, data, blocks = batch.columns, batch.data, batch.blocks
    base_address = counts["addresses"]
    new = int(joined.addresses_end[-1]) - base_address
    script, length = joined.new_script[:new], joined.new_script_length[:new]
    outside = np.flatnonzero(joined.input_coin == UNKNOWN)
    outpoints = data[c.outpoint[outside][:, None] + np.arange(36)]
    coinbase_length = np.ascontiguousarray(c.coinbase_script[:, 1])
    tx_end = c.tx_end[1:]
    return {
        "blocks.header": data[batch.starts[:, None] + np.arange(HEADER)],
        "blocks.hash": np.frombuffer(b"".join(block.hash for block in blocks), np.uint8).reshape(-1, 32),
        "blocks.work": np.frombuffer(b"".join(work[b.hash].to_bytes(32, "big") for b in blocks), np.uint8).reshape(
            -1, 32
        ),
        "blocks.size": np.array([block.size for block in blocks], np.uint32),
        "blocks.first_tx": counts["transactions"] + tx_end,
        "blocks.first_address": joined.addresses_end,
        "blocks.first_coinbase_byte": counts["coinbases"] + np.cumsum(coinbase_length),
        "blocks.fees": joined.block_fees,
        "blocks.unspent_value": joined.unspent_value,
        "blocks.utxo_coins": joined.utxo_coins,
        "blocks.utxo_value": joined.utxo_value,
        "blocks.file": np.array([files.row(source.paths[block.file]) for block in blocks], np.uint32),
        "blocks.offset": np.array([block.offset for block in blocks], np.int64),
        "coinbases.byte": _gather(data, np.ascontiguousarray(c.coinbase_script[:, 0]), coinbase_length),
        "transactions.txid": c.txid,
        "transactions.version": c.version,
        "transactions.locktime": c.locktime,
        "transactions.size": c.tx_size,
        "transactions.weight": c.tx_weight,
        "transactions.fee": joined.tx_fee,
        "transactions.first_input": counts["inputs"] + c.first_input[1:],
        "transactions.first_coin": counts["coins"] + c.first_coin[1:],
        "coins.value": c.value,
        "coins.address": joined.coin_address,
        "coins.previous": joined.previous,
        "coins.spent_by": joined.spent_by,
        "inputs.coin": joined.input_coin,
        "inputs.sequence": c.sequence,
        "addresses.kind": joined.new_kind[:new],
        "addresses.first_byte": counts["scripts"] + np.cumsum(length),
        "scripts.byte": _gather(data, script, length),
        "outside.input": counts["inputs"] + outside,
        "outside.txid": outpoints[:, :32],
        "outside.output": np.ascontiguousarray(outpoints[:, 32:]).view("<u4").reshape(-1),
    }


class _SourceList:
    """The files that blocks came from, by number: a side table, outside the ledger's digest."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / SOURCES
        try:
            names = json.loads(self._path.read_text("utf-8"))
        except FileNotFoundError:
            names = []
        except (OSError, ValueError) as error:
            raise DamageError(f"{self._path} cannot be read ({error}); restore it or ingest again") from None
        self._rows = {name: i for i, name in enumerate(names)}
        self._resolved: dict[Path, int] = {}

    def row(self, path: Path) -> int:
        """Number of a file."""
        if path not in self._resolved:
            self._resolved[path] = self._rows.setdefault(str(path.resolve()), len(self._rows))
        return self._resolved[path]

    def save(self) -> None:
        """Write the list down, before the rows that refer to it are committed."""
        with no_space(self._path.parent):
            temporary = self._path.with_suffix(".new")
            temporary.write_text(json.dumps(list(self._rows)), "utf-8")
            sync_file(temporary)
            temporary.replace(self._path)
