"""Small regtest chains with just the transactions a test wants. Nobody checks scripts here, so nothing is signed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import pytest

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import NETWORKS, Network
from calibar.chains.bitcoin.transaction import (
    NO_TXID,
    NO_VOUT,
    Block,
    Header,
    Transaction,
    TxIn,
    TxOut,
    assemble,
    compact_target,
    merkle_root,
    mined,
    write_block_files,
)
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot
from calibar.sandbox.economy import genesis

REGTEST: Final = NETWORKS["regtest"]
GENESIS: Final = genesis()
COIN: Final = 100_000_000
REWARD: Final = 50 * COIN


def lock(name: str) -> bytes:
    """The script of somebody called so."""
    return script.p2pkh(script.hash160(name.encode()))


def coin(transaction: Transaction, vout: int = 0, *witness: bytes, script_sig: bytes = b"") -> TxIn:
    """An input that spends a transaction's output."""
    return TxIn(transaction.txid, vout, script_sig, witness=witness)


def pay(inputs: TxIn | Sequence[TxIn], *outputs: tuple[int, str | bytes], version: int = 2) -> Transaction:
    """A transaction to those (value, owner or script)."""
    made = [TxOut(value, lock(owner) if isinstance(owner, str) else owner) for value, owner in outputs]
    return Transaction(version, (inputs,) if isinstance(inputs, TxIn) else tuple(inputs), tuple(made))


def seal(previous: str, transactions: Sequence[Transaction], time: int = GENESIS.header.time + 600) -> Block:
    """A mined block of any transactions, sound or not."""
    root = merkle_root([transaction.txid for transaction in transactions])
    header = Header(0x20000000, previous, root, time, compact_target(REGTEST.pow_limit))
    return Block(mined(header, REGTEST.pow_limit), tuple(transactions))


def old_coinbase(*outputs: tuple[int, str | bytes], script_sig: bytes = b"before BIP34") -> Transaction:
    """A coinbase that does not say its height, so that another block may have the same one."""
    return pay(TxIn(NO_TXID, NO_VOUT, script_sig), *outputs, version=1)


@dataclass
class Chain:
    """Blocks from regtest's genesis on; a miner takes the subsidy and the fees unless told otherwise."""

    blocks: list[Block] = field(default_factory=lambda: [GENESIS])
    miner: str = "miner"

    @property
    def height(self) -> int:
        return len(self.blocks) - 1

    @property
    def tip(self) -> Block:
        return self.blocks[-1]

    def mine(self, *transactions: Transaction, claim: int | None = None, to: str | bytes | None = None) -> Block:
        """The next block."""
        height = self.height + 1
        if claim is None:
            claim = REGTEST.subsidy(height) + max(0, self._fees(transactions))
        owner = self.miner if to is None else to
        reward = TxOut(claim, lock(owner) if isinstance(owner, str) else owner)
        time = GENESIS.header.time + 600 * height
        block = assemble(
            REGTEST, height, self.tip.hash, time, [reward], transactions=transactions, tag=self.miner.encode()
        )
        self.blocks.append(block)
        return block

    def seal(self, *transactions: Transaction) -> Block:
        """The next block, of exactly those transactions."""
        block = seal(self.tip.hash, transactions, GENESIS.header.time + 600 * (self.height + 1))
        self.blocks.append(block)
        return block

    def mine_empty(self, count: int) -> Chain:
        for _ in range(count):
            self.mine()
        return self

    def fork(self, height: int, miner: str) -> Chain:
        """Another chain that shares the blocks up to `height`."""
        return Chain(self.blocks[: height + 1], miner)

    def coinbase(self, height: int) -> Transaction:
        return self.blocks[height].transactions[0]

    def _fees(self, transactions: Iterable[Transaction]) -> int:
        transactions = tuple(transactions)
        made = {tx.txid: tx for block in self.blocks for tx in block.transactions} | {
            tx.txid: tx for tx in transactions
        }
        fees = 0
        for tx in transactions:
            coins = [(made[txin.txid].outputs, txin.vout) for txin in tx.inputs if txin.txid in made]
            fees += sum(outputs[vout].value for outputs, vout in coins if vout < len(outputs))
            fees -= sum(output.value for output in tx.outputs)
        return fees


def small_batches(blocks: Sequence[Block]) -> Network:
    """Regtest with so low a limit of block size that `memory_mb=0` reads those blocks in the smallest batches."""
    return replace(REGTEST, max_block_bytes=max(len(block.serialise()) for block in blocks))


def write(folder: Path, *files: Iterable[Block | bytes], key: bytes = b"") -> Path:
    """A `blocks` folder with those files."""
    write_block_files(folder, REGTEST, files, key=key, chunk=0)
    return folder


def read_in(ledger: Path, blocks: Iterable[Block | bytes], **options: Any) -> Snapshot:
    """Blocks, by way of a block file beside the ledger, into it."""
    source = ledger.parent / f"{ledger.name}.blk"
    write_block_files(source, REGTEST, [blocks], chunk=0)
    ingest([source], ledger, **options)
    return Snapshot(ledger)


@contextmanager
def unsynced() -> Iterator[None]:
    """No wait for the disk: where nothing loses its power."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("os.fsync", lambda _: None)
        yield


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a ledger."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}
