"""One block, its receipts and traces, as a node tells them: checked against each other and read into facts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from calibar.chains import facts
from calibar.chains.ethereum import header, logs, receipts, transactions, trie
from calibar.chains.ethereum.fees import (
    GNOSIS,
    MAINNET,
    Producer,
    fees,
    static_rewards,
    withdrawals,
)
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.genesis import Genesis
from calibar.chains.ethereum.receipts import Receipt
from calibar.chains.ethereum.traces import CALLED, MADE, BlockTraces, Trace
from calibar.chains.ethereum.transactions import OP_DEPOSIT, Transaction
from calibar.chains.facts import FAILED, NATIVE, SUCCEEDED, UNSTATED, ZERO, Builder
from calibar.errors import ChainError, DecodeError

DAO_FORK: Final = 1_920_000

_NO_TRACES: Final = "the node gives no traces: what contracts pay on inside a transaction is missing"
_UNSTATED: Final = (
    "some transactions before Byzantium do not say whether they failed (no trace, all gas used): they count as done"
)


@dataclass(frozen=True, slots=True)
class _Read:
    tx: Transaction
    receipt: Receipt
    trace: Trace | None
    where: str


@dataclass(slots=True)
class BlockReader:
    """Reads one block after another; each must name the one before as its parent."""

    chain_id: int
    genesis: Genesis | None = None
    previous: bytes | None = None
    """Hash of the block before, where it is known."""
    notes: list[str] = field(default_factory=list)

    def add(
        self,
        builder: Builder,
        block: object,
        block_receipts: Sequence[object],
        traces: BlockTraces | None = None,
        uncles: Sequence[object] | None = None,
    ) -> None:
        """Add a block as `eth_getBlockByNumber` (with transactions) tells it, and what goes with it.

        Raises DecodeError for what is malformed, ChainError for what contradicts itself, both naming block and field.
        """
        outer = Fields.of(block, "block")
        fields = replace(outer, where=f"block {outer.integer('number', 63)}")
        number, hash_ = fields.integer("number", 63), fields.octets("hash", 32)
        self.notes = builder.notes
        head = header.check(fields)
        proof = facts.PROVEN_HEADER if head else 0
        if not head:
            self._note(f"headers of chain {self.chain_id} are not Ethereum's: nothing in its blocks is proven")
        if self.previous is not None and fields.octets("parentHash", 32) != self.previous:
            raise ChainError(
                f"{fields.where}: parentHash is not the hash of the block before: the chain was reorganised, or the "
                f"node contradicts itself; read again"
            )
        read = self._transactions(fields, block_receipts, traces)
        proof |= self._roots(fields, read, bool(head))
        self._gas(fields, read)
        if number == 0:
            self._grants(builder, fields)
        producer = Producer(
            self.chain_id,
            fields.address("miner" if fields.has("miner") else "author"),
            fields.optional("baseFeePerGas"),
            any(entry.tx.kind == OP_DEPOSIT for entry in read),
        )
        for entry in read:
            self._emit(builder, entry, producer, fields.has("parentBeaconBlockRoot"))
        self._from_nobody(builder, fields, traces, uncles, bool(head))
        if traces is None and read:
            self._note(_NO_TRACES)
        elif all(entry.trace is not None and not entry.trace.unread for entry in read):
            proof |= facts.HAS_INTERNAL
        else:
            self._note("the node's traces are not whole: what some contracts pay on inside a transaction is missing")
        builder.end_block(number, hash_, fields.octets("parentHash", 32), fields.integer("timestamp", 63), proof, head)
        self.previous = hash_

    def _note(self, note: str) -> None:
        if note not in self.notes:
            self.notes.append(note)

    def _transactions(
        self, block: Fields, block_receipts: Sequence[object], traces: BlockTraces | None
    ) -> list[_Read]:  # fmt: skip
        entries = block.items("transactions")
        if len(entries) != len(block_receipts):
            raise ChainError(
                f"{block.where}: {len(block_receipts)} receipts for {len(entries)} transactions; ask another node"
            )
        if traces is not None and len(traces.transactions) != len(entries):
            raise ChainError(
                f"{block.where}: {len(traces.transactions)} traces for {len(entries)} transactions; ask another node"
            )
        read, next_log = [], 0
        for at, (one, other) in enumerate(zip(entries, block_receipts, strict=True)):
            where = f"{block.where}: transaction {at}"
            if isinstance(one, str):
                raise DecodeError(f"{where}: only its hash is told; ask for blocks with transactions")
            told, outcome = Fields.of(one, where), Fields.of(other, f"{block.where}: receipt {at}")
            for part, hash_name in ((told, "hash"), (outcome, "transactionHash")):
                _same(part, "blockHash", block.octets("hash", 32))
                _same_number(part, "blockNumber", block.integer("number", 63))
                _same_number(part, "transactionIndex", at)
                part.octets(hash_name, 32)
            tx = transactions.read(told)
            if outcome.octets("transactionHash", 32) != tx.hash:
                raise ChainError(f"{outcome.where}: transactionHash is another transaction's; ask another node")
            if outcome.has("type") and outcome.integer("type", 64) != tx.kind:
                raise ChainError(f"{outcome.where}: type is not its transaction's; ask another node")
            if tx.kind and not outcome.has("type"):
                outcome = replace(outcome, values={**outcome.values, "type": hex(tx.kind)})
            receipt = receipts.read(outcome)
            for log_at, log in enumerate(receipt.logs):
                if log.index != next_log:
                    raise ChainError(
                        f"{outcome.where}: log {log_at}: logIndex is {log.index} where {next_log} follows: a log is "
                        f"missing, doubled or out of order; ask another node"
                    )
                next_log += 1
            _same_logs(outcome, block.octets("hash", 32), tx.hash)
            if receipt.logs and receipt.status == FAILED:
                raise ChainError(f"{outcome.where}: it failed and yet has logs; ask another node")
            trace = traces.transactions[at] if traces is not None else None
            if tx.raw and trace is not None:
                _same_call(tx, receipt, trace, where)
            elif not tx.raw:
                self._note(f"transactions of type {tx.kind:#x} without a known encoding are as the node tells them")
            read.append(_Read(tx, receipt, trace, where))
        return read

    def _roots(self, block: Fields, read: list[_Read], proven: bool) -> int:
        proof = 0
        if proven and all(entry.tx.raw for entry in read):
            if trie.ordered_root(entry.tx.raw for entry in read) != block.octets("transactionsRoot", 32):
                raise ChainError(f"{block.where}: transactionsRoot does not fit its transactions; ask another node")
            proof |= facts.PROVEN_TRANSACTIONS
        if proven and all(entry.tx.raw and entry.receipt.raw for entry in read):
            if trie.ordered_root(entry.receipt.raw for entry in read) != block.octets("receiptsRoot", 32):
                raise ChainError(f"{block.where}: receiptsRoot does not fit its receipts; ask another node")
            proof |= facts.PROVEN_LOGS
        return proof

    def _gas(self, block: Fields, read: list[_Read]) -> None:
        used = block.integer("gasUsed", 64)
        if used > block.integer("gasLimit", 64):
            raise ChainError(f"{block.where}: gasUsed is over gasLimit")
        if not all(entry.tx.raw for entry in read):
            return
        total = 0
        for at, entry in enumerate(read):
            total += entry.receipt.gas_used
            if entry.receipt.cumulative != total:
                raise ChainError(f"{block.where}: receipt {at}: cumulativeGasUsed is not the sum of gasUsed so far")
            if entry.receipt.gas_used > entry.tx.gas:
                raise ChainError(f"{block.where}: receipt {at}: gasUsed is over the transaction's gas")
        if total != used:
            raise ChainError(f"{block.where}: gasUsed is {used} and its receipts' is {total}; ask another node")

    def _grants(self, builder: Builder, block: Fields) -> None:
        if self.genesis is None:
            self._note("what accounts held in the beginning is not told by a node; give the chain's genesis.json")
            return
        if self.genesis.state_root != block.octets("stateRoot", 32):
            raise ChainError(f"{block.where}: stateRoot is not that of the genesis file; give this chain's own")
        for address, balance in self.genesis.balances:
            if balance:
                builder.transfer(-1, facts.GRANT, NATIVE, ZERO, ZERO, address, balance)

    def _status(self, entry: _Read) -> int:
        receipt = entry.receipt
        if receipt.status != UNSTATED:
            return receipt.status
        if entry.trace is not None:
            return FAILED if entry.trace.failed else SUCCEEDED
        if receipt.logs or (receipt.raw and receipt.gas_used < entry.tx.gas):
            return SUCCEEDED  # before Byzantium a transaction that failed used all its gas
        self._note(_UNSTATED)
        return UNSTATED

    def _emit(self, builder: Builder, entry: _Read, producer: Producer, cancun: bool) -> None:
        tx, receipt = entry.tx, entry.receipt
        status = self._status(entry)
        recipient = tx.to
        if recipient is None:
            recipient = tx.created if tx.raw or receipt.contract is None else receipt.contract
            if receipt.contract not in (None, recipient):
                raise ChainError(f"{entry.where}: contractAddress is not what it creates; ask another node")
        parts = fees(tx, receipt, producer, entry.where, self.notes)
        row = builder.transaction(tx.hash, status, tx.sender, recipient, tx.sender, sum(part.amount for part in parts))

        def move(kind: int, sender: bytes, to: bytes, amount: int, position: int = 0) -> None:
            builder.transfer(row, kind, NATIVE, ZERO, sender, to, amount, position)

        if tx.minted:
            move(facts.MINT, ZERO, tx.sender, tx.minted)
        for part in parts:
            move(part.kind, tx.sender, part.recipient, part.amount)
        if status == FAILED:
            return
        native = []
        if tx.value:
            move(facts.VALUE, tx.sender, recipient, tx.value)
            native.append((tx.sender, recipient, tx.value))
        made = set()
        if tx.to is None:
            made.add(recipient)
            builder.event(row, facts.CREATED, recipient, recipient, tx.sender, 0, 0)
        for step in entry.trace.steps if entry.trace is not None else ():
            if step.kind == MADE:
                made.add(step.b)
                builder.event(row, facts.CREATED, step.b, step.b, step.a, 0, step.position)
            elif step.kind != CALLED:
                builder.event(row, facts.SELF_DESTRUCTED, step.a, step.a, step.b, step.amount, step.position)
            if not step.amount:
                continue
            if step.kind in (CALLED, MADE) or step.a != step.b:
                move(facts.INTERNAL, step.a, step.b, step.amount, step.position)
                native.append((step.a, step.b, step.amount))
            elif not cancun or step.a in made:  # its own heir: the coins go with it (since EIP-6780 only if new)
                move(facts.BURN, step.a, ZERO, step.amount, step.position)
        known = entry.trace is not None and not entry.trace.unread
        issuers = entry.trace.issuers if entry.trace is not None else {}
        context = logs.Context(tx.sender, tx.to, tx.input, frozenset(native) if known else None, issuers)
        said = logs.read(receipt.logs, context)
        for transfer in said.transfers:
            builder.transfer(row, transfer.kind, facts.CONTRACT, *transfer[1:])
        for event in said.events:
            builder.event(row, *event)
        for note in said.notes:
            self._note(note)

    def _from_nobody(
        self, builder: Builder, block: Fields, traces: BlockTraces | None, uncles: Sequence[object] | None, proven: bool
    ) -> None:
        number = block.integer("number", 63)
        mined = number > 0 and block.has("difficulty") and block.integer("difficulty") > 0
        rewards = list(traces.rewards or ()) if traces is not None else []
        if mined and not rewards:
            if self.chain_id == MAINNET:
                told = None
                if uncles is not None:
                    told = [Fields.of(one, f"{block.where}: uncle {at}") for at, one in enumerate(uncles)]
                rewards = static_rewards(block, told, self.notes)
            else:
                self._note(
                    f"rewards for the blocks of chain {self.chain_id} are not told by the node: none are counted"
                )
        for reward in rewards:
            if reward.amount:
                builder.transfer(-1, facts.REWARD, NATIVE, ZERO, ZERO, reward.recipient, reward.amount)
        if self.chain_id == MAINNET and number == DAO_FORK:
            self._note(f"{block.where}: the DAO fork moved balances outside of any transaction: not counted")
        paid = withdrawals(block, proven)
        if paid and self.chain_id in GNOSIS:
            self._note(f"withdrawals of chain {self.chain_id} are paid in a token by a system call: not counted")
            return
        for recipient, amount in paid:
            if amount:
                builder.transfer(-1, facts.WITHDRAWAL, NATIVE, ZERO, ZERO, recipient, amount)


def _same(part: Fields, name: str, expected: bytes) -> None:
    if part.octets(name, 32) != expected:
        raise ChainError(f"{part.where}: {name} is another block's; ask another node")


def _same_number(part: Fields, name: str, expected: int) -> None:
    if part.integer(name, 63) != expected:
        raise ChainError(f"{part.where}: {name} is not {expected}; ask another node")


def _same_logs(receipt: Fields, block_hash: bytes, tx_hash: bytes) -> None:
    for log in receipt.objects("logs", "log"):
        if log.has("blockHash"):
            _same(log, "blockHash", block_hash)
        if log.has("transactionHash") and log.octets("transactionHash", 32) != tx_hash:
            raise ChainError(f"{log.where}: transactionHash is another transaction's; ask another node")


def _same_call(tx: Transaction, receipt: Receipt, trace: Trace, where: str) -> None:
    if (trace.sender, trace.value, trace.to) != (tx.sender, tx.value, tx.to):
        raise ChainError(f"{where}: its trace is of another transaction; ask another node")
    if receipt.status != UNSTATED and trace.failed != (receipt.status == FAILED):
        raise ChainError(f"{where}: its trace and its receipt differ on whether it failed; ask another node")
