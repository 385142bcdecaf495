"""A node's own JSON-RPC (Bitcoin Core and its kin): all it knows, which is blocks and transactions, not addresses.

It needs `-txindex=1` to know every transaction. What is kept of an exchange is described in `rpc_answers`.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources import fields, told
from calibar.chains.bitcoin.sources.merkle_block import LARGEST, read_merkle_block
from calibar.chains.bitcoin.sources.rpc_answers import read, written
from calibar.chains.bitcoin.transaction import sha256d
from calibar.chains.ethereum.jsonrpc import Answers, Node, TooLargeError
from calibar.chains.ethereum.jsonrpc import Question as Call
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.errors import DecodeError, UsageError

__all__ = ["NodeRpc", "read"]

HEADERS_AT_ONCE: Final = 500
QUESTIONS_AT_ONCE: Final = 50
_STARTING: Final = -28
_UNKNOWN: Final = -5
_OUT_OF_RANGE: Final = -8
_NO_HISTORY: Final = "a node does not tell the history of an address; name an Electrum or Esplora server too"
_NO_BALANCE: Final = "a node does not tell the balance of an address; name an Electrum or Esplora server too"
_SPENT: Final = "the node knows that it is spent but not by what; name an Electrum or Esplora server too"
_UNTOLD: Final = "the node does not tell"

_Plan = Generator[list[Call], list[object], told.Told | told.Refusal]
"""Yields what to ask a node, is sent the answers, returns what that tells."""


class NodeRpc:
    """A node. Not for use by several threads at once."""

    kind = "rpc"

    def __init__(
        self, url: str | Answers, network: Network, keep: told.Keep, *, cookie: Path | None = None,
        timeout: float = 120.0, patience: float = 60.0, sleep: Callable[[float], None] = time.sleep,
    ) -> None:  # fmt: skip
        """`url` may have credentials in it; `cookie` is the file that the node writes its own to.

        `timeout`: seconds for an answer; `patience`: seconds of waiting for a busy node. Connects with the first
        question. Raises UsageError where `url` is none or the cookie cannot be read.
        """
        self._node: Answers
        if isinstance(url, str):
            where = url if cookie is None else _with_cookie(url, cookie)
            self._node = Node(where, timeout=timeout, patience=patience, sleep=sleep, always_batches=True)
        else:
            self._node = url
        self.place = self._node.place
        self._network, self._keep = network, keep
        self._right_chain = False
        self._names_spenders = True

    def ask(self, questions: Sequence[told.Question]) -> Iterator[tuple[told.Question, told.Told | told.Refusal]]:
        """An answer for each question; see `told.Source`."""
        if questions and not self._right_chain:
            self._demand_chain()
        for start in range(0, len(questions), QUESTIONS_AT_ONCE):
            yield from self._side_by_side(questions[start : start + QUESTIONS_AT_ONCE])

    def close(self) -> None:
        """Hang up."""
        if isinstance(self._node, Node):
            self._node.close()

    def _demand_chain(self) -> None:
        calls = [Call("getblockhash", (0,))]
        answers = self._call(calls)
        self._tell(calls, answers)
        if answers[0] != self._network.genesis:
            raise UsageError(
                f"{self.place} is no node of {self._network.name}: its first block is not {self._network.genesis}; "
                "name another node, or the node's network"
            )
        self._right_chain = True

    def _side_by_side(self, questions: Sequence[told.Question]) -> Iterator[tuple[told.Question, told.Told | told.Refusal]]:  # fmt: skip  # noqa: E501
        """Go through the plans of several questions step by step, so that each step is one batch."""
        plans: list[tuple[told.Question, _Plan, list[object] | None]]
        plans = [(question, self._plan(question), None) for question in questions]
        while plans:
            asking: list[tuple[told.Question, _Plan, list[Call]]] = []
            for question, plan, answers in plans:
                try:
                    calls = next(plan) if answers is None else plan.send(answers)
                except StopIteration as end:
                    yield question, end.value
                else:
                    asking.append((question, plan, calls))
            came = iter(self._call([call for *_, calls in asking for call in calls]))
            plans = [(question, plan, [next(came) for _ in calls]) for question, plan, calls in asking]

    def _call(self, calls: Sequence[Call]) -> list[object]:
        if not calls:
            return []
        try:
            answers = self._node.ask(calls)
        except TooLargeError:
            if len(calls) == 1:
                raise
            half = len(calls) // 2
            return self._call(calls[:half]) + self._call(calls[half:])
        for answer in answers:
            if isinstance(answer, Failure) and answer.code == _STARTING:
                raise UsageError(f"{self.place}: the node is still starting ({answer.message}); try later")
        return answers

    def _tell(self, calls: Sequence[Call], answers: Sequence[object]) -> told.Told | None:
        """Keep an exchange, then read it."""
        try:
            request, response = written(calls, answers)
            self._keep(told.Exchange(self.kind, self.place, request, response))
            return next(iter(read(request, response)), None)
        except DecodeError as error:
            raise DecodeError(f"{self.place}: {error}") from None

    def _plan(self, question: told.Question) -> _Plan:
        match question:
            case told.TipQuestion():
                return (yield from self._tip())
            case told.HeadersQuestion(first, count):
                return (yield from self._headers(first, count))
            case told.RawQuestion(txid):
                return (yield from self._raw(txid))
            case told.PlaceQuestion(txid, _):
                return (yield from self._placed(txid))
            case told.SpenderQuestion(coin, _):
                return (yield from self._spender(coin))
            case told.HistoryQuestion():
                return told.Refusal(_NO_HISTORY)
            case told.BalanceQuestion():
                return told.Refusal(_NO_BALANCE)

    def _tip(self) -> _Plan:
        calls = [Call("getbestblockhash", ())]
        answers = yield calls
        if not isinstance(name := answers[0], Failure):
            heading = [Call("getblockheader", (name, verbose)) for verbose in (False, True)]
            answers = [name, *(yield heading)]
            calls += heading
        return self._tell(calls, answers) or self._refusal(answers[-1])

    def _headers(self, first: int, count: int) -> _Plan:
        data = b""
        while len(data) < 80 * count:
            height = first + len(data) // 80
            wanted = min(count - len(data) // 80, HEADERS_AT_ONCE)
            hashing = [Call("getblockhash", (height + number,)) for number in range(wanted)]
            names = yield hashing
            known = names[: next((at for at, name in enumerate(names) if isinstance(name, Failure)), wanted)]
            if not known:
                self._tell(hashing[:1], names[:1])
                if not data and isinstance(names[0], Failure) and names[0].code != _OUT_OF_RANGE:
                    return self._refusal(names[0])
                break
            heading = [Call("getblockheader", (name, False)) for name in known]
            calls, answers = [hashing[0], *heading], [known[0], *(yield heading)]
            piece = self._tell(calls, answers)
            if not isinstance(piece, told.Headers):
                return self._refusal(next((each for each in answers if isinstance(each, Failure)), None))
            if data and piece.data[4:36] != sha256d(data[-80:]):
                break  # another chain became the best meanwhile
            data += piece.data
            if len(known) < wanted:
                break
        return told.Headers(first, data)

    def _raw(self, txid: bytes) -> _Plan:
        calls = [Call("getrawtransaction", (txid[::-1].hex(), False))]
        answers = yield calls
        return self._tell(calls, answers) or self._unknown(answers[0])

    def _placed(self, txid: bytes) -> _Plan:
        calls = [Call("gettxoutproof", ([txid[::-1].hex()],))]
        answers = yield calls
        if isinstance(answers[0], Failure):
            self._tell(calls, answers)
            return self._unknown(answers[0])
        try:
            block = read_merkle_block(fields.octets(answers[0], "the merkle proof", 80, LARGEST))
        except DecodeError as error:
            raise DecodeError(f"{self.place}: {error}") from None
        heading = [Call("getblockheader", (sha256d(block.header)[::-1].hex(), True))]
        answers = [*answers, *(yield heading)]
        return self._tell([*calls, *heading], answers) or self._refusal(answers[1], "its block is in no chain any more")

    def _spender(self, coin: told.Outpoint) -> _Plan:
        name = coin.txid[::-1].hex()
        calls = [Call("gettxout", (name, coin.output, True))]
        answers = yield calls
        if unspent := self._tell(calls, answers):
            return unspent
        if isinstance(answers[0], Failure) or not self._names_spenders:
            return self._refusal(answers[0], _SPENT)
        calls = [Call("gettxspendingprevout", ([{"txid": name, "vout": coin.output}],))]
        answers = yield calls
        if isinstance(answers[0], Failure):
            self._names_spenders = not answers[0].unknown_method
        entry = answers[0][0] if isinstance(answers[0], list) and answers[0] else None
        if isinstance(entry, dict) and isinstance(entry.get("blockhash"), str):
            heading = [Call("getblockheader", (entry["blockhash"], True))]
            answers = [*answers, *(yield heading)]
            calls += heading
        return self._tell(calls, answers) or told.Refusal(_SPENT)

    def _unknown(self, answer: object) -> told.Refusal:
        """Of a transaction that the node does not find."""
        if isinstance(answer, Failure) and answer.code == _UNKNOWN:
            words = answer.message.lower()
            if "txindex" in words:
                return told.Refusal("the node keeps no index of transactions; start it with -txindex=1")
            if "not yet in block" in words:
                return told.Refusal("the node knows it in no block")
            return told.Refusal("the node does not know the transaction")
        return self._refusal(answer)

    def _refusal(self, answer: object, otherwise: str = _UNTOLD) -> told.Refusal:
        if isinstance(answer, Failure):
            return told.Refusal(f"the node refuses: {answer.message}")
        return told.Refusal(otherwise)


def _with_cookie(url: str, cookie: Path) -> str:
    """The URL with the credentials of a node's cookie file."""
    try:
        user, _, password = cookie.read_text("ascii").strip().partition(":")
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or "it is no text"
        raise UsageError(f"cannot read the node's cookie {cookie}: {why}; is the node running?") from None
    try:
        parts = urlsplit(url)
    except ValueError:
        return url  # refused when it is taken apart
    host = parts.netloc.rpartition("@")[2]
    return parts._replace(netloc=f"{quote(user, safe='')}:{quote(password, safe='')}@{host}").geturl()
