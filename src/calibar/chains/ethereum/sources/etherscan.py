"""Etherscan's API, version 2, and what speaks like it: https://docs.etherscan.io/v2.

What is kept is described in `calibar.chains.remote.walks`; paths begin with `/api`.

The server gives lists in pages, up to 10,000 rows from one block on. A full page is never the end: the next is asked,
and where there may be none, the list is begun again at the last block seen, whose rows then count as they come again. A
block that alone has more rows than may be asked for ends the answer, which says so.

It does not tell: transfers of tokens by the place of their logs (two that are alike in one transaction cannot be told
from one that is listed twice), internal transfers in the order of their trace, fees for blobs and for the layer below
in lists, rewards, withdrawals. Whether a page that is not full is really the last shows only in a balance.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from calibar.chains.bitcoin.sources.told import Keep, Refusal
from calibar.chains.ethereum import address as text
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.sources import evm_answers as evm
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote import walks
from calibar.chains.remote.rows import MOST_HEIGHT, Row, listed, parsed, short
from calibar.chains.remote.walks import Asked, Pages, Plan, Step, Walk, written
from calibar.errors import DecodeError, UsageError

WINDOW: Final = 10_000
LAST_BLOCK: Final = 999_999_999
_ACTIONS: Final[dict[told.Class, str]] = {"value": "txlist", "internal": "txlistinternal", "token": "tokentx"}
_CLASSES: Final = {action: what for what, action in _ACTIONS.items()}
_NONE_FOUND: Final = re.compile(r"No [a-zA-Z0-9 -]{0,40}found", re.IGNORECASE)
_LIMITED: Final = re.compile(r"rate limit|calls per sec|too many requests", re.IGNORECASE)
_SPENT: Final = re.compile(r"daily|per day|day/limit|credits", re.IGNORECASE)


class Etherscan(Pages):
    """A server with Etherscan's API."""

    kind = "etherscan"
    example = "https://api.etherscan.io/v2/api"
    root = "/api"

    def __init__(
        self, address: str, keep: Keep, *, key: str | None = None, chain_id: int = 1, page: int = 1000,
        timeout: float = 60.0, patience: float = 60.0, sleep: Callable[[float], object] | None = None,
    ) -> None:  # fmt: skip
        """`page`: rows of one page; free keys get no more than 1,000. Raises UsageError where `address` is none."""
        if not 1 <= page <= WINDOW or chain_id < 1:
            raise UsageError(f"a page has 1 to {WINDOW} rows, a chain a number above 0")
        super().__init__(address, keep, key=key, timeout=timeout, patience=patience, sleep=sleep)
        self.chain = f"ethereum:{chain_id}"
        self._chain_id, self._page = chain_id, page

    def request(self, question: told.Question) -> str | Refusal:
        """How a question is written."""
        query: dict[str, object] = {"chainid": self._chain_id, "module": "account"}
        match question:
            case told.BlockQuestion():
                return Refusal(told.NO_BLOCKS)
            case told.NewestQuestion():
                query |= {"module": "proxy", "action": "eth_blockNumber"}
            case told.TransactionQuestion(txid):
                query |= {"module": "proxy", "action": "eth_getTransactionByHash", "txhash": f"0x{txid.hex()}"}
            case told.HoldingQuestion(account, asset):
                if asset.number is not None:
                    return Refusal("this chain has no TRC-10 tokens")
                query |= {"action": "balance", "address": text.encode(account), "tag": "latest"}
                if asset.contract is not None:
                    query |= {"action": "tokenbalance", "contractaddress": text.encode(asset.contract)}
            case told.MovementsQuestion(account, what, _, first, asset):
                if what not in _ACTIONS:
                    return Refusal("this chain has no TRC-10 tokens")
                contract = asset.contract if asset is not None and what == "token" else None
                query |= {
                    "action": _ACTIONS[what], "address": text.encode(account), "startblock": first, "sort": "asc",
                    "endblock": LAST_BLOCK, "page": 1, "offset": self._page,
                    "contractaddress": None if contract is None else text.encode(contract),
                }  # fmt: skip
        return written("/api", query)

    def plan(self, request: str) -> Plan:
        """How a request is answered."""
        return plan(request)

    def busy(self, body: bytes) -> bool:
        """Whether it asks to come again; raises UsageError where it refuses for good."""
        try:
            answer = json.loads(body)
        except (ValueError, RecursionError):
            return False
        if not isinstance(answer, dict) or str(answer.get("status")) != "0" or answer.get("result") == []:
            return False
        message, result = answer.get("message"), answer.get("result")
        said = result if isinstance(result, str) and result else message
        words = self._address.quote(said if isinstance(said, str) else "no reason", 160)
        if _NONE_FOUND.fullmatch(str(message)) and not result:
            return False
        if _LIMITED.search(words) and not _SPENT.search(words):
            return True
        advice = "give a valid key" if "key" in words.lower() else "see what its documentation says of this"
        raise UsageError(f"{self.place}: it refuses: {words}; {advice}")


def read(request: str, response: bytes) -> Iterator[told.Told]:
    """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
    return walks.read_again(plan, request, response)


def question_of(request: str) -> told.Question | None:
    """What a kept request asks; None for one that is no question."""
    return walks.question_of(plan, request)


def plan(request: str) -> Plan:
    """How a request is answered. Raises DecodeError for one that is none."""
    asked = walks.taken_apart(request)
    action = asked.query.get("action", "")
    if asked.path == "/api":
        if action in _CLASSES:
            of = _list_of(asked, _CLASSES[action])
            return Plan(_movements(asked, of), of=of)
        match action:
            case "eth_blockNumber":
                return Plan(_newest(asked), single=True, of=told.NewestQuestion())
            case "balance" | "tokenbalance":
                contract = evm.parameter(asked, "contractaddress") if "contractaddress" in asked.query else None
                balance = told.HoldingQuestion(evm.parameter(asked, "address"), told.Asset(contract))
                return Plan(_holding(asked, balance), single=True, of=balance)
            case "eth_getTransactionByHash":
                return Plan(_transaction(asked), of=told.TransactionQuestion(_hash(asked)))
    raise DecodeError("a request is none of those that tell of the chain")


def _newest(asked: Asked) -> Walk:
    answer = Row.of(parsed((yield Step(asked.page())), "the last block"), "the last block")
    return told.Newest(answer.height("result"))


def _hash(asked: Asked) -> bytes:
    found = re.fullmatch(r"0x([0-9a-f]{64})", asked.query.get("txhash", ""))
    if found is None:
        raise DecodeError("the request's transaction is no hash")
    return bytes.fromhex(found[1])


def _holding(asked: Asked, of: told.HoldingQuestion) -> Walk:
    answer = Row.of(parsed((yield Step(asked.page())), "the balance"), "the balance")
    if str(answer.values.get("status")) != "1":
        answer.wrong("status", "1, that of an answer")
    return told.Holding(of.address, of.asset, answer.whole("result"))


class _Listed(NamedTuple):
    """A row of a list: its block, what it is (all but what changes with time), and what it moved."""

    height: int
    identity: frozenset[tuple[str, str]]
    name: tuple[object, ...] | None
    """What no other row has; None where rows have no names."""
    moved: tuple[told.Movement, ...]


def _list_of(asked: Asked, what: told.Class) -> told.MovementsQuestion:
    contract = evm.parameter(asked, "contractaddress") if "contractaddress" in asked.query else None
    asset = None if contract is None else told.Asset(contract)
    return told.MovementsQuestion(evm.parameter(asked, "address"), what, 0, _number(asked, "startblock"), asset)


def _movements(asked: Asked, of: told.MovementsQuestion) -> Walk:
    account, what, first = of.address, of.what, of.first
    contract = None if of.asset is None else of.asset.contract
    last, size = (_number(asked, name) for name in ("endblock", "offset"))
    whole: list[_Listed] = []
    before: Counter[frozenset[tuple[str, str]]] = Counter()
    start, capped, moves = first, False, 0
    while True:
        window: list[_Listed] = []
        ended = False
        for page in range(1, max(WINDOW // size, 1) + 1):
            body = yield Step(asked.page(page=page, startblock=start), moves + sum(len(row.moved) for row in window))
            rows = _page(body, what, account, contract, range(start, last + 1))
            if len(rows) > size:
                raise DecodeError(f"a page has {len(rows)} rows where {size} were asked for")
            if rows and window and [row.identity for row in rows] == [row.identity for row in window[-size:]]:
                raise DecodeError(f"page {page} is page {page - 1} again")
            if rows and window and rows[0].height < window[-1].height:
                raise DecodeError(f"page {page} begins before the block where page {page - 1} ends")
            window += rows
            if len(rows) < size:
                ended = True
                break
        again = Counter(row.identity for row in window if row.height == start)
        if before - again:
            raise DecodeError(f"asked again, block {start} does not have the rows that it had")
        if ended:
            whole += window
            break
        end = window[-1].height
        if end == start:
            capped = True
            break
        whole += [row for row in window if row.height < end]
        moves += sum(len(row.moved) for row in window if row.height < end)
        before = Counter(row.identity for row in window if row.height == end)
        start = end
    twice = [name for name, count in Counter(row.name for row in whole if row.name).items() if count > 1]
    if twice:
        raise DecodeError(f"a row is listed twice, of transaction 0x{str(twice[0][0])[:64]}")
    moved = tuple(movement for row in whole for movement in row.moved)
    return told.Movements(account, what, of.asset, first, moved, capped, start - 1 if capped else None)


def _number(asked: Asked, name: str) -> int:
    value = asked.query.get(name, "")
    number = int(value) if re.fullmatch(r"[0-9]{1,12}", value, re.ASCII) else -1
    if not (1 if name == "offset" else 0) <= number <= (WINDOW if name == "offset" else MOST_HEIGHT):
        raise DecodeError(f"the request's {name} is no number that is asked for")
    return number


def _page(body: bytes, what: told.Class, account: bytes, contract: bytes | None, blocks: range) -> list[_Listed]:
    answer = Row.of(parsed(body, "a page"), "a page")
    rows: list[_Listed] = []
    for row in _result(answer):
        height = row.height("blockNumber")
        if height not in blocks:
            raise DecodeError(f"{row.where}: block {height} is not between {blocks.start} and {blocks.stop - 1}")
        if rows and height < rows[-1].height:
            raise DecodeError(f"{row.where}: block {height} stands after block {rows[-1].height}")
        identity = frozenset((name, str(value)) for name, value in row.values.items() if name != "confirmations")
        name, moved = _MOVES[what](row, height, account, contract)
        rows.append(_Listed(height, identity, name, moved))
    return rows


def _result(answer: Row) -> list[Row]:
    status, result = str(answer.values.get("status")), answer.values.get("result")
    if status == "0" and not result and _NONE_FOUND.fullmatch(answer.text("message")):
        return []
    if status != "1" and not (status == "0" and result == []):
        raise DecodeError(f"{answer.where}: it refuses: {short(result or answer.values.get('message'))}")
    return listed(result, answer.where, WINDOW)


_Moved = tuple[tuple[object, ...] | None, tuple[told.Movement, ...]]


def _value(row: Row, height: int, account: bytes, _: bytes | None) -> _Moved:
    if row.text("hash").startswith("GENESIS"):
        granted = evm.Place(bytes(32), height, row.whole("timeStamp", 40)).move("value", None, account, row)
        return ("genesis", len(granted)), granted
    place = evm.Place(row.digest("hash"), height, row.whole("timeStamp", 40), *_in_block(row))
    failed = row.flag("isError") or (bool(row.has("txreceipt_status")) and not row.flag("txreceipt_status"))
    made_nothing = failed and not row.has("to", "contractAddress")
    sender = row.address("from", text.decode)
    recipient = None if made_nothing else evm.recipient(row, "to", "contractAddress")
    evm.concerns(row, account, sender, recipient)
    fee = row.whole("gasUsed", 64) * row.whole("gasPrice")
    moved = [place.fee(sender, fee)] if fee and sender == account else []
    if not failed:
        moved += place.move("value", sender, recipient, row)
    return (place.txid.hex(),), tuple(moved)


def _internal(row: Row, height: int, account: bytes, _: bytes | None) -> _Moved:
    place = evm.Place(row.digest("hash"), height, row.whole("timeStamp", 40))
    moved = evm.internal(place, row, row.flag("isError"), account)
    trace = row.text("traceId")
    return ((place.txid.hex(), trace) if trace else None), moved


def _token(row: Row, height: int, account: bytes, contract: bytes | None) -> _Moved:
    place = evm.Place(row.digest("hash"), height, row.whole("timeStamp", 40), *_in_block(row))
    sender, recipient = row.address("from", text.decode), evm.recipient(row, "to")
    evm.concerns(row, account, sender, recipient)
    token, position = row.address("contractAddress", text.decode), row.optional("logIndex", 63)
    if contract not in (None, token):
        raise DecodeError(f"{row.where}: it is of another token than was asked for")
    said = row.said("tokenName", "tokenSymbol", "tokenDecimal")
    moved = place.token(told.Asset(token), sender, recipient, row.whole("value"), position, said)
    return (None if position is None else (place.txid.hex(), position)), (moved,)


_MOVES: Final = {"value": _value, "internal": _internal, "token": _token}


def _in_block(row: Row) -> tuple[int | None, bytes | None]:
    return row.optional("transactionIndex", 40), row.digest("blockHash") if row.has("blockHash") else None


def _transaction(asked: Asked) -> Walk:
    hash_ = asked.query.get("txhash", "")
    answers = []
    for action in ("eth_getTransactionByHash", "eth_getTransactionReceipt"):
        answer = Row.of(parsed((yield Step(asked.page(action=action))), action), action)
        if answer.has("error"):
            raise DecodeError(f"{action}: it refuses: {short(answer.values['error'])}")
        if "result" not in answer.values:
            answer.wrong("result", "an answer")
        if not answer.has("result"):
            return Refusal("it does not know the transaction, or it is in no block yet")
        answers.append(Fields.of(answer.values["result"], action))
    if not answers[0].has("blockNumber"):
        return Refusal("the transaction is in no block yet")
    found = evm.transaction(hash_, *answers)
    body = yield Step(written("/api", {**asked.query, "module": "account", "action": "txlistinternal"}))
    internals: list[told.Movement] = []
    time = None
    for row in _result(Row.of(parsed(body, "internal transfers"), "internal transfers")):
        if row.height("blockNumber") != found.height:
            raise DecodeError(f"{row.where}: its block is not that of the transaction")
        place = evm.Place(found.txid, found.height, row.whole("timeStamp", 40))
        time = place.time
        internals += evm.internal(place, row, row.flag("isError"), None)
    return evm.with_internals(found, internals, time)
