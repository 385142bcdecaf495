"""Tronscan's API: https://docs.tronscan.org.

What is kept is described in `calibar.chains.remote.walks`; paths begin with `/api`. A list begins with the last block
(and, where one was asked for, with the first), whose time bounds it, so that nothing new moves its pages.

The server cuts lists off at 10,000 rows without a word, but counts what there is (`rangeTotal`): a time in which there
is more is halved, and the counts of the halves must be those of the whole. A single instant with more rows, or a list
that ends before its own count, ends the answer, which says so.

It does not tell: the place of a token's log (two transfers that are alike in one transaction cannot be told from one
that is listed twice), TRC-10 tokens moved by calls, rewards, stake in the balance, and of one transaction what its
calls moved. A count that is wrong together with its list shows only in a balance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator
from itertools import pairwise
from typing import Final, NamedTuple

from calibar.chains.bitcoin.sources.told import Keep, Refusal
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote import walks
from calibar.chains.remote.rows import Row, parsed
from calibar.chains.remote.walks import Asked, Pages, Plan, Step, Walk, taken_apart, written
from calibar.chains.tron.address import parse, to_base58
from calibar.chains.tron.sources import tron_answers as tron
from calibar.chains.tron.sources.tronscan_rows import MOVES, ordered
from calibar.errors import DecodeError

WINDOW: Final = 10_000
A_PAGE: Final = 50
_PATHS: Final[dict[told.Class, tuple[str, str, str]]] = {
    "value": ("/api/transaction", "address", "data"),
    "internal": ("/api/internal-transaction", "address", "data"),
    "token": ("/api/token_trc20/transfers", "relatedAddress", "token_transfers"),
    "trc10": ("/api/transfer", "address", "data"),
}
"""Of each class the path, the parameter with the address, the name of the list."""
_CLASSES: Final = {path: what for what, (path, _, _) in _PATHS.items()}
_NEWEST: Final = "/api/block?limit=1&sort=-number&start=0"


class Tronscan(Pages):
    """A server with Tronscan's API."""

    kind = "tronscan"
    example = "https://apilist.tronscanapi.com"
    root = "/api"
    header = "TRON-PRO-API-KEY"

    def __init__(
        self, address: str, keep: Keep, *, key: str | None = None, network: str = "mainnet", timeout: float = 60.0,
        patience: float = 60.0, sleep: Callable[[float], object] | None = None,
    ) -> None:  # fmt: skip
        """Raises UsageError where `address` is none."""
        super().__init__(address, keep, key=key, timeout=timeout, patience=patience, sleep=sleep)
        self.chain = f"tron:{network}"

    def request(self, question: told.Question) -> str | Refusal:
        """How a question is written."""
        match question:
            case told.TransactionQuestion(txid):
                return written("/api/transaction-info", {"hash": txid.hex()})
            case told.HoldingQuestion(account, asset):
                if asset.number is not None:
                    return Refusal("it does not tell balances of TRC-10 tokens")
                name = "_" if asset.contract is None else to_base58(asset.contract)
                return written("/api/account", {"address": to_base58(account)}) + f"#asset={name}"
            case told.MovementsQuestion(account, what, _, first, asset):
                path, parameter, _ = _PATHS[what]
                contract = asset.contract if asset is not None and what == "token" else None
                query = {
                    parameter: to_base58(account), "limit": A_PAGE, "sort": "-timestamp", "start": 0,
                    "contract_address": None if contract is None else to_base58(contract),
                }  # fmt: skip
                return written(path, query, first)
            case told.NewestQuestion():
                return _NEWEST
            case told.BlockQuestion():
                return Refusal(told.NO_BLOCKS)

    def plan(self, request: str) -> Plan:
        """How a request is answered."""
        return plan(request)

    def busy(self, body: bytes) -> bool:
        """It says so by its status alone."""
        return False


def read(request: str, response: bytes) -> Iterator[told.Told]:
    """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
    return walks.read_again(plan, request, response)


def question_of(request: str) -> told.Question | None:
    """What a kept request asks; None for one that is no question."""
    return walks.question_of(plan, request)


def plan(request: str) -> Plan:
    """How a request is answered. Raises DecodeError for one that is none."""
    if request == _NEWEST:
        return Plan(_newest(), single=True, of=told.NewestQuestion())
    sent, _, name = request.partition("#asset=")
    asked = taken_apart(sent)
    if asked.path == "/api/account" and name:
        whom = tron.account(asked.query.get("address", ""), "address")
        balance = told.HoldingQuestion(whom, tron.asset_named(name))
        return Plan(_holding(asked, balance), single=True, of=balance)
    if asked.path == "/api/transaction-info" and not name:
        txid = asked.query.get("hash", "")
        if not re.fullmatch(r"[0-9a-f]{64}", txid):
            raise DecodeError("the request's transaction is no hash")
        return Plan(_transaction(asked), of=told.TransactionQuestion(bytes.fromhex(txid)))
    if asked.path not in _CLASSES or name:
        raise DecodeError("a request is none of those that tell of the chain")
    what = _CLASSES[asked.path]
    asset = None
    if "contract_address" in asked.query:
        asset = told.Asset(tron.account(asked.query["contract_address"], "token"))
    whom = tron.account(asked.query.get(_PATHS[what][1], ""), "address")
    of = told.MovementsQuestion(whom, what, 0, asked.first, asset)
    return Plan(_movements(asked, of), of=of)


def _answer(body: bytes, what: str) -> Row:
    return Row.of(parsed(body, what), what)


def _block(path: str, what: str) -> Generator[Step, bytes, Row]:
    rows = _answer((yield Step(path)), what).rows("data", 1)
    if not rows:
        raise DecodeError(f"{what}: it is not there")
    return rows[0]


def _newest() -> Walk:
    block = yield from _block(_NEWEST, "the last block")
    return told.Newest(block.height("number"), block.digest("hash"))


def _holding(asked: Asked, of: told.HoldingQuestion) -> Walk:
    if of.asset.number is not None:
        raise DecodeError("a request is none of those that tell of the chain")
    row = _answer((yield Step(asked.page())), "the account")
    tron.is_of(row, of.address)
    if of.asset == told.NATIVE:
        return told.Holding(of.address, of.asset, row.whole("balance", 63))
    if not isinstance(row.values.get("trc20token_balances"), list):
        return Refusal("it does not tell what tokens the account has")
    tokens = row.rows("trc20token_balances", 100_000)
    held = [one.whole("balance") for one in tokens if one.address("tokenId", parse) == of.asset.contract]
    return told.Holding(of.address, of.asset, tron.at_most_one(held))


class _Listed(NamedTuple):
    when: int
    height: int
    name: str | None
    moved: tuple[told.Movement, ...]


class _List(NamedTuple):
    """What is listed, and how its rows are read."""

    asked: Asked
    what: told.Class
    whom: bytes
    contract: bytes | None

    def page(self, begin: int, end: int, start: int) -> str:
        return self.asked.page(start=start, start_timestamp=begin, end_timestamp=end)

    def rows(self, body: bytes, begin: int, end: int) -> tuple[list[_Listed], int, bool]:
        """Newest first; how many there are in that time; whether that count is cut off."""
        answer = _answer(body, "a page")
        name = _PATHS[self.what][2]
        if not isinstance(answer.values.get(name), list):
            answer.wrong(name, "a list")
        rows = [self._row(row, begin, end) for row in answer.rows(name, A_PAGE)]
        if any(one.when < two.when for one, two in pairwise(rows)):
            raise DecodeError("a page: its rows are not in the order of their times")
        exact = answer.has("rangeTotal") is not None
        total = answer.whole("total", 40)
        count = max(total, answer.whole("rangeTotal", 40) if exact else 0)
        return rows, count, not exact and total >= WINDOW

    def _row(self, row: Row, begin: int, end: int) -> _Listed:
        when = row.milliseconds("block_ts" if self.what == "token" else "timestamp")
        if not begin <= when <= end:
            raise DecodeError(f"{row.where}: its time is not between those asked for")
        height = row.height("block")
        if height < self.asked.first:
            raise DecodeError(f"{row.where}: it is of block {height}, before {self.asked.first}")
        name, moved = MOVES[self.what](row, height, when // 1000, self.whom, self.contract)
        return _Listed(when, height, name, () if row.flag("revert") else tuple(moved))


def _movements(asked: Asked, of: told.MovementsQuestion) -> Walk:
    listed = _List(asked, of.what, of.address, None if of.asset is None else of.asset.contract)
    newest = yield from _block(_NEWEST, "the last block")
    end, begin = newest.milliseconds("timestamp"), 0
    if asked.first:
        first = yield from _block(written("/api/block", {"limit": 1, "number": asked.first}), "the first block")
        if first.height("number") != asked.first:
            raise DecodeError(f"the first block is {first.height('number')} instead of {asked.first}")
        begin = first.milliseconds("timestamp")
    whole: list[_Listed] = []
    waiting = [(begin, end, -1)] if begin <= end else []
    upto: int | None = None
    moves = 0
    while waiting and upto is None:
        low, high, expected = waiting.pop()
        rows, count, cut = listed.rows((yield Step(listed.page(low, high, 0), moves)), low, high)
        if expected >= 0 and count != expected:
            raise DecodeError("its counts of two halves of a time are not that of the whole")
        if count > WINDOW or cut:
            if low == high:
                upto = (min(row.height for row in rows) if rows else asked.first) - 1
            else:
                half = (low + high) // 2
                left = yield Step(listed.page(low, half, 0), moves)
                _, fewer, left_cut = listed.rows(left, low, half)
                known = not cut and not left_cut
                if known and fewer > count:
                    raise DecodeError("its count of half of a time is more than that of the whole")
                waiting.append((half + 1, high, count - fewer if known else -1))
                waiting.append((low, half, fewer if known else -1))
            continue
        found, ended = yield from _window(listed, low, high, rows, count, moves)
        if not ended:
            upto = max((row.height for row in whole), default=asked.first - 1)
            break
        whole += found
        moves += sum(len(row.moved) for row in found)
    names = [row.name for row in whole if row.name is not None]
    if len(set(names)) != len(names):
        raise DecodeError("a transfer is listed twice")
    moved = tuple(movement for row in whole for movement in row.moved if upto is None or row.height <= upto)
    return told.Movements(listed.whom, of.what, of.asset, asked.first, moved, upto is not None, upto)


def _window(
    listed: _List, low: int, high: int, rows: list[_Listed], count: int, moves: int
) -> Generator[Step, bytes, tuple[list[_Listed], bool]]:
    """The rows of a time, oldest first, and whether there are as many as it counts."""
    found = list(rows)
    while len(found) < count:
        if len(rows) < min(A_PAGE, count - len(found) + len(rows)):
            return found, False
        body = yield Step(listed.page(low, high, len(found)), moves + sum(len(row.moved) for row in found))
        more, again, _ = listed.rows(body, low, high)
        if again != count:
            raise DecodeError("its count of a time that is over changes from page to page")
        if more and more == rows:
            raise DecodeError("a page is the one before it again")
        if more and more[0].when > found[-1].when:
            raise DecodeError("a page begins after the time at which the one before it ends")
        found, rows = found + more, more
        if not more:
            return found, False
    if len(found) > count:
        raise DecodeError(f"it lists {len(found)} rows where it counts {count}")
    return found[::-1], True


def _transaction(asked: Asked) -> Walk:
    row = _answer((yield Step(asked.page())), "the transaction")
    if not row.has("hash"):
        return Refusal("it does not know the transaction")
    txid = row.digest("hash")
    if txid.hex() != asked.query.get("hash"):
        raise DecodeError("the transaction is another than was asked for")
    if not row.has("block"):
        return Refusal("the transaction is in no block yet")
    place = tron.Place(txid, row.height("block"), row.milliseconds("timestamp") // 1000)
    rows = ordered(row, place)
    succeeded = row.text("contractRet") in ("", "SUCCESS", "DEFAULT")
    for moved in row.rows("trc20TransferInfo", WINDOW) if succeeded else []:
        if (moved.text("tokenType") or "trc20").lower() != "trc20" or moved.text("type") not in ("", "Transfer"):
            continue
        asset = told.Asset(moved.address("contract_address", parse))
        sender, recipient = moved.address("from_address", parse), moved.address("to_address", parse)
        words = tron.said(moved, "name", "symbol", "decimals")
        rows.append(place.move("token", asset, sender, recipient, moved.whole("amount_str"), None, words))
    return told.Transaction(txid, place.height, succeeded, tuple(rows))
