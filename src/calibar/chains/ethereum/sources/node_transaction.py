"""All that one transaction moved, as a node tells it, its receipt, its trace and its block's header.

What can be recomputed is: its own bytes hash to its name and are signed by its sender, its block's header hashes to the
block's name. That the block has it, and what its receipt and its trace say, is the node's word: only a whole block
proves it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.ethereum import header, logs, receipts, traces, transactions
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.jsonrpc import Answers, Question
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.chains.ethereum.receipts import Receipt
from calibar.chains.ethereum.sources.node_logs import moved, said
from calibar.chains.ethereum.traces import CALLED, MADE, Trace
from calibar.chains.ethereum.transactions import Transaction
from calibar.chains.facts import FAILED, UNSTATED
from calibar.chains.remote import transfers_told as told
from calibar.errors import ChainError, DecodeError

_UNKNOWN: Final = "the node does not know the transaction"
_PENDING: Final = "the node knows it in no block"


def transaction(answers: Answers, txid: bytes) -> told.Transaction | Refusal:
    """A transaction in a block. Raises DecodeError or ChainError where the answers are none, or not of it."""
    name = "0x" + txid.hex()
    sent, outcome = answers.ask(
        [Question("eth_getTransactionByHash", (name,)), Question("eth_getTransactionReceipt", (name,))]
    )
    for answer in (sent, outcome):
        if isinstance(answer, Failure):
            return Refusal(f"the node refuses: {answer.message}")
    if sent is None:
        return Refusal(_UNKNOWN)
    told_tx = Fields.of(sent, "the transaction")
    if outcome is None or not told_tx.has("blockHash"):
        return Refusal(_PENDING)
    told_receipt = Fields.of(outcome, "its receipt")
    place = _place(txid, told_tx, told_receipt)
    tx, receipt = transactions.read(told_tx), receipts.read(told_receipt)
    block, trace = _asked_more(answers, name, place)
    return _Reading(place, tx, receipt, block, trace).whole(answers)


class _Place(NamedTuple):
    txid: bytes
    block_hash: bytes
    height: int
    row: int


class _Block(NamedTuple):
    time: int
    base: int | None
    cancun: bool


def _place(txid: bytes, sent: Fields, outcome: Fields) -> _Place:
    places = [
        _Place(
            fields.octets(name, 32), fields.octets("blockHash", 32), fields.integer("blockNumber", 63),
            fields.integer("transactionIndex", 63),
        )
        for fields, name in ((sent, "hash"), (outcome, "transactionHash"))
    ]  # fmt: skip
    if places[0] != places[1]:
        raise ChainError("the transaction and its receipt are not in the same place; ask again, or another node")
    if places[0].txid != txid:
        raise DecodeError("the transaction is another one than was asked for; ask another node")
    return places[0]


def _asked_more(answers: Answers, name: str, place: _Place) -> tuple[_Block | None, Trace | None]:
    """Header and trace; None where the node does not tell them."""
    (heading,) = answers.ask([Question("eth_getBlockByHash", ("0x" + place.block_hash.hex(), False))])
    (traced,) = answers.ask([Question("debug_traceTransaction", (name, {"tracer": "callTracer"}))])
    block = trace = None
    if heading is not None and not isinstance(heading, Failure):
        fields = Fields.of(heading, "its block")
        if (fields.octets("hash", 32), fields.integer("number", 63)) != (place.block_hash, place.height):
            raise DecodeError("its block is another one than was asked for; ask another node")
        header.check(fields)
        block = _Block(
            fields.integer("timestamp", 63), fields.optional("baseFeePerGas"), fields.has("parentBeaconBlockRoot")
        )
    if traced is not None and not isinstance(traced, Failure):
        trace = traces.read_geth([{"result": traced}], [place.txid], "its trace").transactions[0]
    return block, trace


@dataclass(frozen=True, slots=True)
class _Reading:
    place: _Place
    tx: Transaction
    receipt: Receipt
    block: _Block | None
    trace: Trace | None

    def whole(self, answers: Answers) -> told.Transaction:
        """Its fee, its value, what its calls moved, what its logs say."""
        tx, place = self.tx, self.place
        self._same_call()
        to = self._recipient()
        rows = []
        if fee := self._fee():
            rows.append(self._own("fee", tx.sender, None, fee))
        if tx.minted:  # brought from another layer, even where it fails then
            rows.append(self._own("value", None, tx.sender, tx.minted))
        succeeded = self._succeeded()
        if succeeded:
            value = [self._own("value", tx.sender, to, tx.value)] if tx.value else []
            internals = self._internals(to)
            rows += value + internals
            rows += self._tokens(answers, value + internals)
        if any(row.amount >> 256 for row in rows):
            raise DecodeError("an amount of the transaction is over 256 bits; ask another node")
        return told.Transaction(place.txid, place.height, succeeded, tuple(rows))

    def _own(
        self, kind: told.Kind, sender: bytes | None, recipient: bytes | None, amount: int, position: int | None = None
    ) -> told.Movement:
        place, time = self.place, self.block.time if self.block else None
        return told.Movement(
            kind, place.txid, told.NATIVE, sender, recipient, amount, place.height, time, place.row, position,
            place.block_hash,
        )  # fmt: skip

    def _same_call(self) -> None:
        tx, trace = self.tx, self.trace
        if trace is None or not tx.raw:
            return
        if (trace.sender, trace.value, trace.to) != (tx.sender, tx.value, tx.to):
            raise ChainError("its trace is of another transaction; ask another node")
        if self.receipt.status != UNSTATED and trace.failed != (self.receipt.status == FAILED):
            raise ChainError("its trace and its receipt differ on whether it failed; ask another node")

    def _recipient(self) -> bytes:
        tx, stated = self.tx, self.receipt.contract
        if tx.to is not None:
            return tx.to
        created = tx.created if tx.raw or stated is None else stated
        if stated not in (None, created):
            raise ChainError("contractAddress of its receipt is not what it creates; ask another node")
        return created

    def _fee(self) -> int:
        receipt = self.receipt
        price = receipt.price
        if price is None:
            price = self.tx.price(self.block.base if self.block else None)
        if price is None:
            raise DecodeError("its receipt: effectiveGasPrice is missing; ask another node")
        return receipt.gas_used * price + receipt.blob_gas * receipt.blob_price + receipt.layer_fee

    def _succeeded(self) -> bool:
        """Before Byzantium a receipt does not say; without a trace such a one counts as done, as it does in a block."""
        if self.receipt.status == UNSTATED and self.trace is not None:
            return not self.trace.failed
        return self.receipt.status != FAILED

    def _internals(self, to: bytes) -> list[told.Movement]:
        """As in a block: see `blocks`."""
        rows = []
        made = {to} if self.tx.to is None else set()
        for step in self.trace.steps if self.trace is not None else ():
            if step.kind == MADE:
                made.add(step.b)
            if not step.amount:
                continue
            if step.kind in (CALLED, MADE) or step.a != step.b:
                rows.append(self._own("internal", step.a, step.b, step.amount, step.position))
            elif not (self.block and self.block.cancun) or step.a in made:
                rows.append(self._own("internal", step.a, None, step.amount, step.position))  # its own heir
        return rows

    def _tokens(self, answers: Answers, natives: list[told.Movement]) -> list[told.Movement]:
        trace, place = self.trace, self.place
        paid = None
        if trace is not None and not trace.unread:
            paid = frozenset((row.sender, row.recipient, row.amount) for row in natives if row.sender and row.recipient)
        context = logs.Context(self.tx.sender, self.tx.to, self.tx.input, paid, trace.issuers if trace else {})
        transfers = logs.read(self.receipt.logs, context).transfers
        if len({transfer.position for transfer in transfers}) < len(transfers):
            raise DecodeError("its receipt has two logs in the same place; ask another node")
        time = self.block.time if self.block else None
        sayings = said(answers, [transfer.asset for transfer in transfers])
        return [
            moved(each, place.txid, place.height, time, place.row, place.block_hash, sayings.get(each.asset))
            for each in transfers
        ]
