"""A node of Ethereum or its kin (geth, Erigon, Nethermind, Besu, Reth, anvil), asked by JSON-RPC.

It knows blocks, transactions, balances and the logs of tokens by address; it keeps no list of an address's own
transactions. A request is written as `node_answers` says; what is kept of the answers is described in `node_tape`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from calibar.chains.bitcoin.sources.told import Exchange, Keep, Refusal
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.jsonrpc import Answers, Node
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.chains.ethereum.sources import node_answers
from calibar.chains.ethereum.sources.node_tape import Playback, Recorder
from calibar.chains.remote import transfers_told as told
from calibar.errors import ChainError, DecodeError, UsageError

__all__ = ["EvmNode", "read"]


class EvmNode:
    """A node. Not for use by several threads at once."""

    kind = "node"

    def __init__(
        self, node: str | Answers, keep: Keep, *, chain_id: int | None = None, patience: float = 60.0,
        before: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """Ask a node at a URL, or other answers, of which chain it is.

        `patience`: seconds of waiting for a busy node. `before` hears the node's name before it is asked. Raises
        UsageError where the node is not of `chain_id` or cannot be asked, DecodeError where what answers is none.
        """
        self._node: Answers = Node(node, patience=patience) if isinstance(node, str) else node
        self._keep = keep
        self._unoffered: dict[str, Failure] = {}
        self.place = self._node.place
        before(self.place)
        try:
            self._chain_id = self._asked_chain(chain_id)
        except BaseException:
            self.close()
            raise
        self.chain = f"ethereum:{self._chain_id}"

    def ask(
        self, questions: Sequence[told.Question]
    ) -> Iterator[tuple[told.Question, told.Told | Refusal]]:  # fmt: skip
        """Answers in the questions' order, one for each; see `transfers_told.Explorer`."""
        for question in questions:
            request = node_answers.request(question, self._chain_id)
            yield question, request if isinstance(request, Refusal) else self._answer(request)

    def close(self) -> None:
        """Hang up."""
        if isinstance(self._node, Node):
            self._node.close()

    def _answer(self, request: str) -> told.Told | Refusal:
        recorder = Recorder(self._node, self._unoffered)
        try:
            found = node_answers.answer(request, recorder)
        except (DecodeError, ChainError) as error:
            if not recorder.cut:
                self._store(request, recorder)
            raise DecodeError(f"{self.place}: {str(error).removeprefix(f'{self.place}: ')}") from None
        self._store(request, recorder)
        return found or Refusal("the node does not tell")

    def _store(self, request: str, recorder: Recorder) -> None:
        self._keep(Exchange(self.kind, self.place, request, recorder.tape))

    def _asked_chain(self, expected: int | None) -> int:
        recorder = Recorder(self._node, self._unoffered)
        (answer,) = recorder.ask([node_answers.CHAIN_ID])
        self._store(node_answers.CHAIN, recorder)
        if isinstance(answer, Failure):
            raise UsageError(f"{self.place}: the node does not say of which chain it is: {answer.message}")
        found = Fields({"eth_chainId": answer}, self.place).integer("eth_chainId", 63)
        if expected not in (None, found):
            raise UsageError(f"{self.place}: the node is of chain {found}, not of chain {expected}")
        return found


def question_of(request: str) -> told.Question | None:
    """What a kept request asks; None for one that is no question."""
    try:
        return node_answers.question_of(request)
    except DecodeError:
        return None


def read(request: str, response: bytes) -> Iterator[told.Told]:
    """What a kept exchange tells; nothing for one that refused, but that an address has more rows than were wanted.

    Raises DecodeError for one that is no answer, ChainError for one that contradicts itself.
    """
    playback = Playback(response)
    found = node_answers.answer(request, playback)
    playback.end()
    if isinstance(found, Refusal) and found.too_much:
        yield told.TooMany(node_answers.list_of(request))
    elif found is not None and not isinstance(found, Refusal):
        yield found
