"""A node of TRON (java-tron), asked over its own HTTP API: https://tronprotocol.github.io/documentation-en/api/http.

What is kept is described in `calibar.chains.remote.walks`; paths begin with `/wallet`. What stands behind `#network` is
the node's block 0, by which it is known of which network it is: that tells nothing. A token's balance is what a call of
its contract gives, which is posted.

It tells what accounts have after its last block, whichever that is by then, transactions, and whole blocks, recomputed
as far as `calibar.chains.tron.blocks` says. It keeps no list of an address's transfers.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Final

from calibar.chains.bitcoin.sources.told import Keep, Refusal
from calibar.chains.facts import Builder
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote import walks
from calibar.chains.remote.rows import Row, parsed, printable
from calibar.chains.remote.walks import Pages, Plan, Step, Walk, written
from calibar.chains.tron import contracts
from calibar.chains.tron.address import to_hex
from calibar.chains.tron.blocks import add_block, has_block, read_header
from calibar.chains.tron.http import LARGEST_ANSWER
from calibar.chains.tron.jsonfields import listing, mapping, octets
from calibar.chains.tron.source import BLOCK, INFOS, NOW, network_of
from calibar.chains.tron.sources import tron_answers as tron
from calibar.errors import ChainError, DecodeError, UsageError

_NO_LIST: Final = "a node keeps no list of an address's transfers; name an explorer too"
_CALL: Final = "/wallet/triggerconstantcontract"
_BALANCE_OF: Final = bytes.fromhex("70a08231")
"""balanceOf(address)"""
_BUSY: Final = b"lack of computing resources"
"""With HTTP status 200, where java-tron limits how much it is asked."""
_FIRST: Final = f"{BLOCK}?num=0"
_NETWORK: Final = f"{_FIRST}#network"
_OF_BLOCK: Final = re.compile(re.escape(BLOCK) + r"\?num=(0|[1-9][0-9]{0,12})")
_OF_ACCOUNT: Final = re.compile(r"(/wallet/getaccount\?address=41([0-9a-f]{40}))#asset=(_|[1-9][0-9]{0,18})")
_OF_TOKEN: Final = re.compile(
    re.escape(_CALL) + r"\?contract_address=41([0-9a-f]{40})&function_selector=balanceOf%28address%29"
    r"&owner_address=410{40}&parameter=0{24}([0-9a-f]{40})"
)  # fmt: skip


class TronNode(Pages):
    """A node. It is asked of which network it is when it is opened."""

    kind = "tronnode"
    example = "http://127.0.0.1:8090"
    root = "/wallet"
    header = "TRON-PRO-API-KEY"
    largest = LARGEST_ANSWER

    def __init__(
        self, address: str, keep: Keep, *, key: str | None = None, network: str | None = None, timeout: float = 60.0,
        patience: float = 60.0, sleep: Callable[[float], object] | None = None,
        before: Callable[[str], None] = lambda _: None,
    ) -> None:  # fmt: skip
        """`before` hears the node's name before it is asked. Raises UsageError where `address` is none, where the node
        is not of `network` or does not say of which it is, DecodeError where what answers is no node.
        """
        super().__init__(address, keep, key=key, timeout=timeout, patience=patience, sleep=sleep)
        before(self.place)
        try:
            self.chain = f"tron:{self._asked_network(network)}"
        except BaseException:
            self.close()
            raise

    def request(self, question: told.Question) -> str | Refusal:
        """How a question is written; a refusal of what no node tells."""
        match question:
            case told.NewestQuestion():
                return NOW
            case told.MovementsQuestion():
                return Refusal(_NO_LIST)
            case told.TransactionQuestion(txid):
                return tron.transaction_request(txid)
            case told.HoldingQuestion(account, asset) if asset.contract is not None:
                return _balance_request(account, asset.contract)
            case told.HoldingQuestion(account, asset):
                name = "_" if asset.number is None else str(asset.number)
                return written("/wallet/getaccount", {"address": to_hex(account)}) + f"#asset={name}"
            case told.BlockQuestion(height):
                return written(BLOCK, {"num": height})

    def plan(self, request: str) -> Plan:
        """How a request is answered."""
        return plan(request)

    def busy(self, body: bytes) -> bool:
        """Whether it asks to come again."""
        return len(body) < 1000 and _BUSY in body

    def _asked_network(self, expected: str | None) -> str:
        reply = self._fetch(Step(_FIRST))
        self._store(_NETWORK, reply.body)
        said = self._address.quote(reply.body[:1000].decode(errors="replace"), 80)
        try:
            answer = parsed(reply.body, "block 0") if reply.status == 200 else {}
            if tron.refused(answer) or not has_block(answer, "block 0"):
                raise UsageError(f"{self.place}: it has no block 0 to tell its network by: {said}; name a full node")
            found = network_of(read_header(answer, 0, "block 0").id)
        except (DecodeError, ChainError) as error:
            raise DecodeError(self._address.quote(f"{self.place}: {error}; it says: {said}", 400)) from None
        if expected not in (None, found):
            raise UsageError(f"{self.place}: the node is of the network {found}, not of {expected}")
        return found


def read(request: str, response: bytes) -> Iterator[told.Told]:
    """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
    if request != _NETWORK:
        yield from walks.read_again(plan, request, response)


def question_of(request: str) -> told.Question | None:
    """What a kept request asks; None for one that is no question."""
    return walks.question_of(plan, request)


def plan(request: str) -> Plan:
    """How a request is answered. Raises DecodeError for one that is none."""
    if request == NOW:
        return Plan(_newest(), single=True, of=told.NewestQuestion())
    if found := _OF_BLOCK.fullmatch(request):
        return Plan(_block(request, int(found[1])), of=told.BlockQuestion(int(found[1])))
    if found := tron.TRANSACTION.fullmatch(request):
        return tron.transaction_plan(bytes.fromhex(found[1]))
    if found := _OF_ACCOUNT.fullmatch(request):
        number = None if found[3] == "_" else int(found[3])
        whom = bytes.fromhex(found[2])
        balance = told.HoldingQuestion(whom, told.Asset(number=number))
        return Plan(_account(found[1], whom, number), single=True, of=balance)
    if found := _OF_TOKEN.fullmatch(request):
        whom, contract = bytes.fromhex(found[2]), bytes.fromhex(found[1])
        balance = told.HoldingQuestion(whom, told.Asset(contract))
        return Plan(_balance(request, whom, contract), single=True, of=balance)
    raise DecodeError("a request is none of those that tell of the chain")


def _newest() -> Walk:
    what = "the last block"
    answer = parsed((yield Step(NOW)), what)
    if refused := tron.refused(answer):
        return refused
    if not has_block(answer, what):
        return Refusal("it has no last block")
    header = read_header(answer, None, what)
    return told.Newest(header.number, header.id)


def _block(path: str, height: int) -> Walk:
    what = f"block {height}"
    answer = parsed((yield Step(path)), what)
    if refused := tron.refused(answer):
        return refused
    if not has_block(answer, what):
        return Refusal(f"it has no block {height}")
    header = read_header(answer, height, what)
    block = mapping(answer, what)
    outcomes: object = []
    if height and block.get("transactions"):
        outcomes = parsed((yield Step(written(INFOS, {"num": height}))), f"{what}: outcomes")
        if refused := tron.refused(outcomes):
            return refused
    builder = Builder()
    add_block(builder, header, block, outcomes, what)
    return told.Block(height, builder.facts())


def _account(path: str, whom: bytes, number: int | None) -> Walk:
    answer = parsed((yield Step(path)), "the account")
    if refused := tron.refused(answer):
        return refused
    row = Row.of(answer, "the account")
    if not row.values:  # never activated
        return told.Holding(whom, told.Asset(number=number), 0)
    tron.is_of(row, whom)
    return tron.holding(row, whom, number)


def _balance_request(account: bytes, contract: bytes) -> str:
    fields = {
        "contract_address": to_hex(contract), "function_selector": "balanceOf(address)",
        "owner_address": to_hex(tron.NOBODY), "parameter": account.hex().rjust(64, "0"),
    }  # fmt: skip
    return written(_CALL, fields)


def _balance(path: str, whom: bytes, contract: bytes) -> Walk:
    what = "the balance"
    answer = parsed((yield Step(path, posted=True)), what)
    if refused := tron.refused(answer):
        return refused
    call = Row.of(answer, what)
    outcome = call.row("result")
    if not outcome.flag("result"):
        return Refusal(f"the node makes no such call: {_words(outcome)}")
    sent = call.row("transaction")
    asked = contracts.from_json(sent.row("raw_data").values, what)
    data = _BALANCE_OF + whom.rjust(32, b"\0")
    if asked.addresses.get("contract_address") != contract or asked.octets.get("data") != data:
        raise DecodeError(f"{what}: it is what another call gives than was asked for")
    if any(one.text("ret") == "FAILED" for one in sent.rows("ret", 1)) or outcome.has("message"):
        return Refusal(f"the contract tells no balance: {_words(outcome)}")
    (result,) = listing(call.values, "constant_result", what, 1) or [""]
    amount = octets({"constant_result": result}, "constant_result", what)
    if len(amount) != 32:
        return Refusal(f"the contract tells no balance: {len(amount)} bytes instead of 32")
    return told.Holding(whom, told.Asset(contract), int.from_bytes(amount))


def _words(outcome: Row) -> str:
    """Why a call failed; java-tron writes its words in hexadecimal."""
    words = outcome.text("message")
    with suppress(ValueError):
        words = bytes.fromhex(words).decode(errors="replace")
    return printable(words) or printable(outcome.text("code")) or "no reason"
