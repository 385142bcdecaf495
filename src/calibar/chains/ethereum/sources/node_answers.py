"""What a node is asked for each question, and what its answers tell: the same when asked and when played back.

A request is JSON of a name and parameters, quantities and bytes in hexadecimal:

    {"method":"newest","params":[]}
    {"method":"transfers","params":[address, token or null, first height, most rows]}
    {"method":"transaction","params":[hash]}
    {"method":"holding","params":[address, token or null]}
    {"method":"block","params":[height, chain id]}
    {"method":"chain","params":[]}, which tells nothing
"""

from __future__ import annotations

import json
from typing import Final, NamedTuple

from calibar.chains.bitcoin.sources.told import Refusal
from calibar.chains.ethereum import balances
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.jsonrpc import Question
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.chains.ethereum.rpc import RpcSource
from calibar.chains.ethereum.sources.node_logs import token_transfers
from calibar.chains.ethereum.sources.node_tape import Tape, parsed
from calibar.chains.ethereum.sources.node_transaction import transaction
from calibar.chains.remote import transfers_told as told
from calibar.errors import DecodeError, UsageError

CHAIN: Final = '{"method":"chain","params":[]}'
CHAIN_ID: Final = Question("eth_chainId", ())
_NO_LIST: Final = "a node keeps no list of an address's transactions; name an explorer too"
_NO_NUMBERS: Final = "this chain has no TRC-10 tokens"
_PARAMETERS: Final = {"newest": 0, "transfers": 4, "transaction": 1, "holding": 2, "block": 2, "chain": 0}
_LONGEST: Final = 1000


class _Request(NamedTuple):
    method: str
    params: Fields
    """By their place."""

    def token(self, name: str) -> bytes | None:
        return self.params.address(name) if self.params.has(name) else None


def request(question: told.Question, chain_id: int) -> str | Refusal:
    """How a question to a node of a chain is written; a refusal of what no node tells."""
    match question:
        case told.NewestQuestion():
            return _written("newest")
        case told.MovementsQuestion(address, "token", most, first, asset):
            if asset is not None and asset.number is not None:
                return Refusal(_NO_NUMBERS)
            return _written("transfers", address, None if asset is None else asset.contract, first, most)
        case told.MovementsQuestion():
            return Refusal(_NO_LIST)
        case told.TransactionQuestion(txid):
            return _written("transaction", txid)
        case told.HoldingQuestion(address, asset):
            return Refusal(_NO_NUMBERS) if asset.number is not None else _written("holding", address, asset.contract)
        case told.BlockQuestion(height):
            return _written("block", height, chain_id)


def answer(request: str, answers: Tape) -> told.Told | Refusal | None:
    """Ask what a request needs, and read it; None for the chain's id, which is nothing that is told.

    Raises DecodeError for a request that is none and for malformed answers, ChainError for answers that contradict
    each other, and what `answers` raises. What else a node cannot be used for is a refusal.
    """
    asked = _taken_apart(request)
    params = asked.params
    match asked.method:
        case "newest":
            return _newest(answers)
        case "transfers":
            of = list_of(request)
            contract = None if of.asset is None else of.asset.contract
            return token_transfers(answers, of.address, contract, of.first, of.most)
        case "transaction":
            return transaction(answers, params.octets("0", 32))
        case "holding":
            return _holding(answers, params.address("0"), asked.token("1"))
        case "block":
            return _block(answers, params.integer("0", 63), params.integer("1", 63))
    answers.ask([CHAIN_ID])
    return None


def question_of(request: str) -> told.Question | None:
    """What a kept request asks; None for the chain's id. Raises DecodeError for one that is none."""
    asked = _taken_apart(request)
    match asked.method:
        case "newest":
            return told.NewestQuestion()
        case "transfers":
            return list_of(request)
        case "transaction":
            return told.TransactionQuestion(asked.params.octets("0", 32))
        case "holding":
            return told.HoldingQuestion(asked.params.address("0"), told.Asset(asked.token("1")))
        case "block":
            return told.BlockQuestion(asked.params.integer("0", 63))
    return None


def list_of(request: str) -> told.MovementsQuestion:
    """The question of a request for transfers. Raises DecodeError for another."""
    asked = _taken_apart(request)
    token, first, most = asked.token("1"), asked.params.integer("2", 63), asked.params.integer("3", 63)
    asset = None if token is None else told.Asset(token)
    return told.MovementsQuestion(asked.params.address("0"), "token", most, first, asset)


def _written(method: str, *params: bytes | int | None) -> str:
    texts = [
        None if each is None else hex(each) if isinstance(each, int) else "0x" + each.hex() for each in params
    ]  # fmt: skip
    return json.dumps({"method": method, "params": texts}, separators=(",", ":"))


def _taken_apart(request: str) -> _Request:
    if len(request) > _LONGEST:
        raise DecodeError(f"a request is over {_LONGEST} characters")
    match parsed(request, "a request"):
        case {"method": str(method), "params": list(params), **rest} if not rest:
            if _PARAMETERS.get(method) == len(params):
                return _Request(method, Fields({str(at): each for at, each in enumerate(params)}, f"request: {method}"))
    raise DecodeError("a request is none that a node is asked with")


def _newest(answers: Tape) -> told.Newest | Refusal:
    (block,) = answers.ask([Question("eth_getBlockByNumber", ("latest", False))])
    if block is None or isinstance(block, Failure):
        why = "it has no last block" if block is None else block.message
        return Refusal(f"the node refuses: {why}")
    fields = Fields.of(block, "the last block")
    return told.Newest(fields.integer("number", 63), fields.octets("hash", 32))


def _holding(answers: Tape, address: bytes, contract: bytes | None) -> told.Holding | Refusal:
    (last,) = answers.ask([Question("eth_blockNumber", ())])
    if isinstance(last, Failure):
        return Refusal(f"the node refuses: {last.message}")
    height = Fields({"eth_blockNumber": last}, "the last block").integer("eth_blockNumber", 63)
    try:
        (amount,) = balances.balances(answers, [(contract, address)], height)
    except UsageError as error:
        return _unless_cut(answers, error)
    if amount is None:
        return Refusal("the node tells no balance" if contract is None else "the contract tells no balance")
    return told.Holding(address, told.Asset(contract), amount, height)


def _block(answers: Tape, height: int, chain_id: int) -> told.Block | Refusal:
    """As `RpcSource` reads it, recomputed; a block that the node does not have, or not whole, is refused."""
    try:
        (facts,) = RpcSource(answers, chain_id=chain_id).read(height, height)
    except OverflowError:
        raise DecodeError(f"block {height}: an amount is over 256 bits; ask another node") from None
    except UsageError as error:
        return _unless_cut(answers, error)
    return told.Block(height, facts)


def _unless_cut(answers: Tape, error: UsageError) -> Refusal:
    """What a node says it cannot tell is refused; that it cannot be reached is not its answer."""
    if answers.cut:
        raise error
    return Refusal(str(error).removeprefix(f"{answers.place}: "))
