"""Blocks of Ethereum or its kin from a node's JSON-RPC, or from a recording of one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Self

from calibar.chains.ethereum import namings
from calibar.chains.ethereum.balances import balances
from calibar.chains.ethereum.blocks import BlockReader
from calibar.chains.ethereum.fees import MAINNET
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.genesis import read_genesis
from calibar.chains.ethereum.jsonrpc import Answers, NestedError, Node, Question, Refusal, TooLargeError
from calibar.chains.ethereum.recorded import Recorder
from calibar.chains.ethereum.traces import BlockTraces, read_flat, read_geth
from calibar.chains.facts import CONTRACT, Builder, Facts
from calibar.errors import DecodeError, UsageError

BATCH: Final = 16
"""Blocks in one batch of facts."""
_NAMES_AT_ONCE: Final = 20


class RpcSource:
    """A node as a source of facts (`facts.Source`)."""

    def __init__(
        self,
        node: str | Answers,
        *,
        chain_id: int | None = None,
        genesis: Path | None = None,
        traces: bool = True,
        names: bool = True,
        record: Path | None = None,
        batch: int = BATCH,
    ) -> None:
        """Ask the node at a URL, or other answers (a `Recording`), for its chain.

        `genesis` is the genesis.json of the chain; `record` a new file for all answers. Raises UsageError where the
        chain is not `chain_id`, and what `Node.ask` raises.
        """
        self._genesis = read_genesis(genesis) if genesis is not None else None
        answers = self._node = Node(node) if isinstance(node, str) else node
        self._recorder: Recorder | None = None
        self._answers = answers
        self._batch = max(1, batch)
        self._names, self._named = names, set[bytes]()
        self._whole_receipts = True
        self._tracers = ["debug_traceBlockByNumber", "trace_block"] if traces else []
        self.chain_id = self._chain_id(chain_id)
        if record is not None:  # of this chain: another one's leaves no file behind
            self._answers = self._recorder = Recorder(answers, record)
            self._chain_id(chain_id)
        self.chain = f"ethereum:{self.chain_id}"

    def close(self) -> None:
        """Finish the recording, if there is one, and hang up."""
        if self._recorder is not None:
            self._recorder.close()
        if isinstance(self._node, Node):
            self._node.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def last(self) -> int:
        """Number of the last block that the node has."""
        return self._quantity(self._one("eth_blockNumber"), "eth_blockNumber")

    def hash_of(self, number: int) -> bytes | None:
        """Hash of a block as the node has it now; None where it has none."""
        answer = self._one("eth_getBlockByNumber", hex(number), False)
        if isinstance(answer, Refusal):
            answer = self._one("eth_getBlockByNumber", hex(number), True)
        if answer is None or isinstance(answer, Refusal):
            return None
        return Fields.of(answer, f"block {number}").octets("hash", 32)

    @property
    def place(self) -> str:
        """Who answers, for messages: without secrets."""
        return self._answers.place

    def balances(self, pairs: Sequence[tuple[bytes | None, bytes]], height: int) -> list[int | None]:
        """What it says addresses have after a block: see `balances.balances`."""
        return balances(self._answers, pairs, height)

    def read(self, first: int, last: int) -> Iterator[Facts]:
        """Blocks first..last in batches; a batch too large for one answer is asked for in smaller ones."""
        reader = BlockReader(self.chain_id, self._genesis)
        size, at = self._batch, first
        while at <= last:
            numbers = range(at, min(at + size, last + 1))
            try:
                blocks = self._blocks(numbers)
                told = self._receipts(blocks)
            except TooLargeError:
                if size == 1:
                    raise
                size = max(1, size // 2)
                continue
            builder = Builder()
            for block, block_receipts in zip(blocks, told, strict=True):
                traces = self._traces(block, builder)
                uncles = None if traces is not None and traces.rewards else self._uncles(block)
                reader.add(builder, block.values, block_receipts, traces, uncles)
            if self._names:
                self._name(builder)
            yield builder.facts()
            at += len(numbers)

    def _one(self, method: str, *params: object) -> object:
        return self._answers.ask([Question(method, params)])[0]

    def _quantity(self, answer: object, method: str) -> int:
        if isinstance(answer, Refusal):
            raise UsageError(f"{self._answers.place}: {method}: the node says: {answer.message}")
        return Fields({method: answer}, self._answers.place).integer(method, 63)

    def _chain_id(self, expected: int | None) -> int:
        answer = self._one("eth_chainId")
        if isinstance(answer, Refusal) and answer.unknown_method and expected is not None:
            return expected
        found = self._quantity(answer, "eth_chainId")
        if expected is not None and found != expected:
            raise UsageError(f"{self._answers.place}: the node is of chain {found}, not of chain {expected}")
        return found

    def _blocks(self, numbers: Sequence[int]) -> list[Fields]:
        answers = self._answers.ask([Question("eth_getBlockByNumber", (hex(number), True)) for number in numbers])
        blocks = []
        for number, answer in zip(numbers, answers, strict=True):
            self._there(answer, f"block {number}")
            block = Fields.of(answer, f"block {number}")
            if block.integer("number", 63) != number:
                raise DecodeError(f"{block.where}: number is not what was asked for; ask another node")
            blocks.append(block)
        return blocks

    def _receipts(self, blocks: Sequence[Fields]) -> list[list[object]]:
        found: list[list[object]] = [[] for _ in blocks]
        wanted = [at for at, block in enumerate(blocks) if block.items("transactions")]
        if self._whole_receipts and wanted:
            asked = [Question("eth_getBlockReceipts", (blocks[at].values["number"],)) for at in wanted]
            answers = self._answers.ask(asked)
            self._whole_receipts = not any(isinstance(one, Refusal) and one.unknown_method for one in answers)
            if self._whole_receipts:
                for at, answer in zip(wanted, answers, strict=True):
                    self._there(answer, f"{blocks[at].where}: receipts")
                    found[at] = Fields({"receipts": answer}, blocks[at].where).items("receipts")
                return found
        for at in wanted:
            hashes = [tx.values.get("hash") for tx in blocks[at].objects("transactions", "transaction")]
            found[at] = self._answers.ask([Question("eth_getTransactionReceipt", (hash_,)) for hash_ in hashes])
            for number, answer in enumerate(found[at]):
                self._there(answer, f"{blocks[at].where}: receipt {number}")
        return found

    def _there(self, answer: object, what: str) -> None:
        if isinstance(answer, Refusal):
            raise UsageError(f"{self._answers.place}: {what}: the node says: {answer.message}; name one that has it")
        if answer is None:
            raise UsageError(f"{self._answers.place}: {what}: the node does not have it (yet, or no longer)")

    def _traces(self, block: Fields, builder: Builder) -> BlockTraces | None:
        hashes = [tx.octets("hash", 32) for tx in block.objects("transactions", "transaction")]
        mined = block.has("difficulty") and block.integer("difficulty") > 0 and block.integer("number", 63) > 0
        for method in list(self._tracers):
            if not hashes and not (mined and method == "trace_block"):
                continue
            geth = method != "trace_block"
            params = (block.values["number"], {"tracer": "callTracer"}) if geth else (block.values["number"],)
            try:
                answer = self._one(method, *params)
            except (NestedError, TooLargeError):
                continue
            if isinstance(answer, Refusal) and answer.unknown_method:
                self._tracers.remove(method)
            elif answer is not None and not isinstance(answer, Refusal):
                if geth:
                    return read_geth(answer, hashes, block.where)
                return read_flat(answer, hashes, block.octets("hash", 32), block.where)
        if hashes and self._tracers:
            builder.notes.append(f"{block.where}: the node does not tell its traces")
        return None

    def _uncles(self, block: Fields) -> list[object] | None:
        mined = block.has("difficulty") and block.integer("difficulty") > 0
        if self.chain_id != MAINNET or not mined or not block.has("uncles"):
            return None
        method = "eth_getUncleByBlockNumberAndIndex"
        hashes = block.items("uncles")
        asked = [Question(method, (block.values["number"], hex(at))) for at in range(len(hashes))]
        answers = self._answers.ask(asked) if asked else []
        return None if any(one is None or isinstance(one, Refusal) for one in answers) else answers

    def _name(self, builder: Builder) -> None:
        columns = builder.columns
        pairs = zip(columns["asset_kind"], columns["asset"], strict=True)
        seen = dict.fromkeys(asset for kind, asset in pairs if kind == CONTRACT and isinstance(asset, bytes))
        new = [asset for asset in seen if asset not in self._named]
        for start in range(0, len(new), _NAMES_AT_ONCE):
            group = new[start : start + _NAMES_AT_ONCE]
            try:
                answers = self._answers.ask([question for asset in group for question in namings.questions(asset)])
            except TooLargeError:
                continue
            for at, asset in enumerate(group):
                if (naming := namings.naming(asset, answers[3 * at : 3 * at + 3])) is not None:
                    builder.namings.append(naming)
            self._named.update(group)
