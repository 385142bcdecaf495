"""TronGrid's API, version 1, and the node's own beside it: https://developers.tron.network/reference.

What is kept is described in `calibar.chains.remote.walks`; paths begin with `/v1` or `/wallet`. All is asked as of the
last confirmed block, which is the last that is named: some twenty blocks before the newest. Lists come oldest first; a
page names the next by a fingerprint. A list from a block on begins with that block's own answer, which tells its time.

It does not tell: of tokens' transfers the block and the place of the log (two that are alike in one transaction cannot
be told from one that is listed twice), rewards that votes earn before they are withdrawn, exchanges' trades. Pages are
known to miss transfers: an answer that ended by itself is not thereby whole, only a balance shows it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

from calibar.chains.bitcoin.sources.told import Keep, Refusal
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote import walks
from calibar.chains.remote.rows import Row, parsed, short
from calibar.chains.remote.walks import Asked, Pages, Plan, Step, Walk, taken_apart, written
from calibar.chains.tron import contracts
from calibar.chains.tron.address import parse, to_base58
from calibar.chains.tron.sources import tron_answers as tron
from calibar.errors import DecodeError

A_PAGE: Final = 200
_LIST: Final = re.compile(r"/v1/accounts/(T[1-9A-HJ-NP-Za-km-z]{33})/transactions(/trc20)?")
_ACCOUNT: Final = re.compile(
    r"(/v1/accounts/(T[1-9A-HJ-NP-Za-km-z]{33})\?only_confirmed=true)#asset=([0-9A-Za-z_]{1,40})"
)
_NEWEST: Final = "/walletsolidity/getnowblock"
_CLASSES: Final[dict[str, told.Class]] = {"value": "value", "internal": "internal", "trc10": "trc10"}
_FINGERPRINT: Final = re.compile(r"[!-~]{1,500}")


class TronGrid(Pages):
    """A server with TronGrid's API."""

    kind = "trongrid"
    example = "https://api.trongrid.io"
    root = "/v1"
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
                return tron.transaction_request(txid)
            case told.HoldingQuestion(account, asset):
                name = "_" if asset == told.NATIVE else str(asset.number)
                name = name if asset.contract is None else to_base58(asset.contract)
                return f"/v1/accounts/{to_base58(account)}?only_confirmed=true#asset={name}"
            case told.MovementsQuestion(account, what, _, first, asset):
                path = f"/v1/accounts/{to_base58(account)}/transactions"
                query: dict[str, object] = {
                    "limit": A_PAGE, "only_confirmed": "true", "order_by": "block_timestamp,asc",
                }  # fmt: skip
                if what == "token":
                    contract = None if asset is None else asset.contract
                    query["contract_address"] = None if contract is None else to_base58(contract)
                    return written(f"{path}/trc20", query, first)
                return written(path, {**query, "search_internal": "false" if what == "value" else "true"}, first) + (
                    ("&" if first else "#") + f"class={what}"
                )
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
    if found := tron.TRANSACTION.fullmatch(request):
        return tron.transaction_plan(bytes.fromhex(found[1]))
    if found := _ACCOUNT.fullmatch(request):
        whom = tron.account(found[2], "address")
        balance = told.HoldingQuestion(whom, tron.asset_named(found[3]))
        return Plan(_holding(found[1], balance), single=True, of=balance)
    listed = re.sub(r"[#&]class=([a-z0-9]{1,10})$", "", request)
    asked = taken_apart(listed)
    found = _LIST.fullmatch(asked.path)
    what = _CLASSES.get(request.rpartition("class=")[2]) if listed != request else "token"
    if found is None or what is None or (what == "token") != bool(found[2]):
        raise DecodeError("a request is none of those that tell of the chain")
    asset = None
    if "contract_address" in asked.query:
        asset = told.Asset(tron.account(asked.query["contract_address"], "token"))
    of = told.MovementsQuestion(tron.account(found[1], "address"), what, 0, asked.first, asset)
    return Plan(_movements(asked, of), of=of)


def _newest() -> Walk:
    block = Row.of(parsed((yield Step(_NEWEST)), "the last block"), "the last block")
    return told.Newest(block.row("block_header").row("raw_data").height("number"), block.digest("blockID"))


def _page(body: bytes) -> Row:
    page = Row.of(parsed(body, "a page"), "a page")
    if page.values.get("success") is not True:
        raise DecodeError(f"a page: it refuses: {short(page.values.get('error'))}")
    if not isinstance(page.values.get("data"), list):
        page.wrong("data", "a list")
    return page


def _holding(path: str, of: told.HoldingQuestion) -> Walk:
    whom, contract, number = of.address, of.asset.contract, of.asset.number
    body = yield Step(path)
    rows = _page(body).rows("data", 1)
    if not rows:
        if contract is not None:
            return Refusal("the account was never activated: the server does not tell what tokens it has")
        return told.Holding(whom, of.asset, 0)
    tron.is_of(rows[0], whom)
    if contract is None:
        return tron.holding(rows[0], whom, number)
    tokens = [(key, one) for one in rows[0].rows("trc20", 100_000) for key in one.values]
    held = [one.whole(key) for key, one in tokens if tron.account(key, "token in the answer") == contract]
    return told.Holding(whom, of.asset, tron.at_most_one(held))


def _movements(asked: Asked, of: told.MovementsQuestion) -> Walk:
    whom, what = of.address, of.what
    contract = None if of.asset is None else of.asset.contract
    rows: list[told.Movement] = []
    names: set[str] = set()
    begin = 0
    if asked.first:
        body = yield Step(written("/wallet/getblockbynum", {"num": asked.first}))
        header = Row.of(parsed(body, "the first block"), "the first block").row("block_header").row("raw_data")
        if header.height("number") != asked.first:
            raise DecodeError(f"the first block is {header.height('number')} instead of {asked.first}")
        begin = header.milliseconds("timestamp")
    start = {"min_timestamp": begin} if begin else {}
    path, latest, before = asked.page(**start), begin, b""
    cursors: set[str] = set()
    while True:
        body = yield Step(path, len(rows))
        page = _page(body)
        data = page.rows("data", A_PAGE)
        if body == before and data:
            raise DecodeError("a page is the one before it again")
        before = body
        for row in data:
            when = row.milliseconds("block_timestamp")
            if when < latest:
                raise DecodeError(f"{row.where}: its time is before that of the row before it, or of the first block")
            latest = when
            if what == "token":
                rows += _token(row, when, whom, contract)
            else:
                name, moved = _own(row, when, whom)
                if name in names:
                    raise DecodeError(f"{row.where}: it is listed twice, {name}")
                names.add(name)
                if any(one.height is not None and one.height < asked.first for one in moved):
                    raise DecodeError(f"{row.where}: it is of a block before {asked.first}")
                rows += tron.of_class(moved, what)
        meta = page.row("meta") if page.has("meta") else Row({}, "meta")
        cursor = meta.values.get("fingerprint")
        if cursor in (None, ""):
            if meta.has("links") and meta.row("links").has("next"):
                raise DecodeError("a page names a next one without its fingerprint")
            break
        if not isinstance(cursor, str) or not _FINGERPRINT.fullmatch(cursor):
            raise DecodeError("a page names a next one in a way that cannot be asked for")
        if cursor in cursors:
            raise DecodeError("a page names a next one that was read before: its pages go round")
        if not data:
            raise DecodeError("a page has no rows and names a next one: its pages do not end")
        cursors.add(cursor)
        path = asked.page(**start, fingerprint=cursor)
    return told.Movements(whom, what, of.asset, asked.first, tuple(rows), since=begin // 1000 if begin else None)


def _token(row: Row, when: int, whom: bytes, contract: bytes | None) -> list[told.Movement]:
    place = tron.Place(row.digest("transaction_id"), None, when // 1000)
    sender, recipient = row.address("from", parse), row.address("to", parse)
    tron.concerns(row, whom, sender, recipient)
    token = row.row("token_info")
    asset = contract if contract is not None and not token.has("address") else token.address("address", parse)
    if contract not in (None, asset):
        raise DecodeError(f"{row.where}: it is of another token than was asked for")
    if row.text("type") not in ("", "Transfer"):
        return []
    words = tron.said(token, "name", "symbol", "decimals")
    return [place.move("token", told.Asset(asset), sender, recipient, row.whole("value"), None, words)]


def _own(row: Row, when: int, whom: bytes) -> tuple[str, list[told.Movement]]:
    """A row of an account's transactions: a transaction, or (with another form) a transfer inside a call."""
    if row.has("internal_tx_id"):
        return _internal(row, when, whom)
    txid = row.digest("txID")
    contract = contracts.from_json(row.row("raw_data").values, row.where)
    if not tron.mentions(row.values["raw_data"], whom):
        tron.concerns(row, whom, *tron.party(contract, txid))
    outcomes = row.rows("ret", 1)
    outcome = outcomes[0] if outcomes else Row({}, row.where)
    succeeded = outcome.text("contractRet") in ("", "SUCCESS", "DEFAULT")
    place = tron.Place(txid, row.height("blockNumber"), when // 1000)
    withdrawn = row.optional("withdraw_amount", 63) or 0
    moved = tron.ordered(place, contract, outcome.optional("fee", 63) or 0, succeeded, withdrawn)
    return txid.hex(), list(tron.concerning(moved, whom))


def _internal(row: Row, when: int, whom: bytes) -> tuple[str, list[told.Movement]]:
    name = row.text("internal_tx_id")
    place = tron.Place(row.digest("tx_id"), None, when // 1000)
    sender, recipient = row.address("from_address", parse), row.address("to_address", parse)
    tron.concerns(row, whom, sender, recipient)
    data = row.row("data")
    if data.flag("rejected"):
        return f"{place.txid.hex()} {name}", []
    values = data.row("call_value") if data.has("call_value") else Row({}, data.where)
    moved = []
    for name_of in values.values:
        number = int(name_of) if re.fullmatch(r"[1-9][0-9]{0,18}", name_of, re.ASCII) else None
        if number is None and name_of != "_":
            raise DecodeError(f"{values.where}: {short(name_of)} is no token's number")
        if amount := values.whole(name_of, 63):
            moved.append(place.move("internal", told.Asset(number=number), sender, recipient, amount))
    return f"{place.txid.hex()} {name}", moved
