"""A node that answers from the recorded theft of tokens, with the limits and faults that nodes have."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from calibar.chains.bitcoin.sources.told import Exchange
from calibar.chains.ethereum.jsonrpc import Question, Refusal, TooLargeError
from calibar.chains.ethereum.recorded import Recording
from calibar.chains.ethereum.sources.node import EvmNode, read
from calibar.chains.remote import transfers_told as told
from calibar.chains.topics import TRANSFER
from calibar.sandbox.scenarios.token_theft import RECORDING

Json = dict[str, Any]
NOT_OFFERED = Refusal(-32601, "the method does not exist")


@cache
def recording() -> Recording:
    return Recording(RECORDING)


def recorded(method: str, *params: object) -> Any:
    (answer,) = recording().ask([Question(method, params)])
    return answer


@cache
def blocks() -> list[Json]:
    last = int(recorded("eth_blockNumber"), 16)
    return [recorded("eth_getBlockByNumber", hex(number), True) for number in range(last + 1)]


@cache
def receipts() -> list[Json]:
    """Of all blocks, in order."""
    return [
        one for block in blocks() if block["transactions"] for one in recorded("eth_getBlockReceipts", block["number"])
    ]


@dataclass
class InMemory:
    """Tells the recorded chain."""

    blocks_at_once: int = 10**9
    rows_at_once: int = 10**9
    rows_readable: int = 10**9
    """More rows make an answer that is over the bound on its size."""
    unoffered: tuple[str, ...] = ()
    change: Callable[[str, Any], Any] = lambda _, answer: answer
    """Given the method and a copy of what it should answer, what it answers."""
    place: str = "http://node.test"
    asked: list[Question] = field(default_factory=list)

    def ask(self, questions: Sequence[Question]) -> list[object]:
        self.asked += questions
        return [
            NOT_OFFERED if one.method in self.unoffered else self.change(one.method, copy.deepcopy(self._answer(one)))
            for one in questions
        ]

    def _answer(self, question: Question) -> Any:
        (first, *_) = question.params or (None,)
        match question.method:
            case "eth_getLogs":
                return self._logs(first)
            case "eth_getTransactionByHash":
                return next((tx for block in blocks() for tx in block["transactions"] if tx["hash"] == first), None)
            case "eth_getTransactionReceipt":
                return next((one for one in receipts() if one["transactionHash"] == first), None)
            case "eth_getBlockByHash":
                return next((block for block in blocks() if block["hash"] == first), None)
            case "debug_traceTransaction":
                return self._trace(first)
            case "eth_getBlockByNumber" if first == "latest":
                return blocks()[-1]
        return recorded(question.method, *question.params)

    def _trace(self, name: object) -> Any:
        receipt = next(one for one in receipts() if one["transactionHash"] == name)
        block = recorded("debug_traceBlockByNumber", receipt["blockNumber"], {"tracer": "callTracer"})
        return block[int(receipt["transactionIndex"], 16)]["result"]

    def _logs(self, where: Any) -> Any:
        first, last = int(where["fromBlock"], 16), int(where["toBlock"], 16)
        if last - first >= self.blocks_at_once:
            return Refusal(-32600, f"you can query at most {self.blocks_at_once} blocks")
        found = [
            log
            for receipt in receipts()
            for log in receipt["logs"]
            if first <= int(log["blockNumber"], 16) <= last
            and where.get("address") in (None, log["address"])
            and len(log["topics"]) >= len(where["topics"])
            and all(want in (None, has) for want, has in zip(where["topics"], log["topics"], strict=False))
        ]
        if len(found) > self.rows_readable:
            raise TooLargeError(f"{self.place}: an answer is over 256 MB; it is not read")
        if len(found) > self.rows_at_once:
            return Refusal(-32602, f"query exceeds max results {self.rows_at_once}")
        return found


def ask(node: InMemory, question: told.Question) -> Any:
    """What it tells, which what was kept must tell again."""
    kept: list[Exchange] = []
    explorer = EvmNode(node, kept.append)
    kept.clear()
    ((_, answer),) = explorer.ask([question])
    again = [each for one in kept for each in read(one.request, one.response)]
    if isinstance(answer, told.Newest | told.Movements | told.Transaction | told.Holding):
        assert again == [answer]
    elif not isinstance(answer, told.Block):
        assert again == []
    return answer


def kept_of(question: told.Question, node: InMemory | None = None) -> Exchange:
    """What is kept of one question."""
    kept: list[Exchange] = []
    list(EvmNode(node or InMemory(), kept.append).ask([question]))
    return kept[-1]


def octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def transfer_logs() -> list[Json]:
    return [
        log
        for receipt in receipts()
        for log in receipt["logs"]
        if len(log["topics"]) == 3 and log["topics"][0] == "0x" + TRANSFER.hex()
    ]


def busiest() -> bytes:
    parties = [topic for log in transfer_logs() for topic in log["topics"][1:]]
    return octets(max(set(parties), key=parties.count))[12:]


def with_logs() -> Json:
    """A receipt that has logs."""
    return next(receipt for receipt in receipts() if len(receipt["logs"]) > 1)


def transfers(most: int = 10_000) -> told.MovementsQuestion:
    return told.MovementsQuestion(busiest(), "token", most)


def whole_block() -> told.BlockQuestion:
    return told.BlockQuestion(int(with_logs()["blockNumber"], 16))


def whole_transaction() -> told.TransactionQuestion:
    return told.TransactionQuestion(octets(with_logs()["transactionHash"]))


QUESTIONS: tuple[Callable[[], told.Question], ...] = (
    told.NewestQuestion,
    transfers,
    whole_transaction,
    lambda: told.HoldingQuestion(busiest(), told.NATIVE),
    whole_block,
)
