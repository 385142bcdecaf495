"""Blockscout's REST API, version 2: https://docs.blockscout.com/devs/apis/rest.

What is kept is described in `calibar.chains.remote.walks`; paths begin with `/api/v2`. The server does not say which
chain it is of: who names the server names that too.

Lists come newest first, each page with the parameters of the next, and cannot be begun at a block: they are read down
to the first block wanted. What is in no block yet is passed over.

It does not tell: rewards and withdrawals in the same lists; whether internal transfers of a block were already
indexed; whether a list whose last page names no next one really ends there. That shows only in a balance.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterator, Mapping
from typing import Final, NamedTuple

from calibar.chains.bitcoin.sources.told import Keep, Refusal
from calibar.chains.ethereum import address as text
from calibar.chains.ethereum.sources import evm_answers as evm
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote import walks
from calibar.chains.remote.rows import Row, listed, parsed
from calibar.chains.remote.walks import Asked, Pages, Plan, Step, Walk, taken_apart, written
from calibar.errors import DecodeError, UsageError

MOST_A_PAGE: Final = 1000
_LISTS: Final[dict[told.Class, str]] = {
    "value": "transactions", "internal": "internal-transactions", "token": "token-transfers",
}  # fmt: skip
_CLASSES: Final = {name: what for what, name in _LISTS.items()}
_OF_ADDRESS: Final = re.compile(r"/api/v2/addresses/(0x[0-9a-fA-F]{40})(?:/([a-z-]{1,40}))?")
_OF_TRANSACTION: Final = re.compile(r"/api/v2/transactions/(0x[0-9a-f]{64})")
_NEWEST: Final = "/api/v2/main-page/blocks"
_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,40}")


class Blockscout(Pages):
    """A server with Blockscout's API."""

    kind = "blockscout"
    example = "https://eth.blockscout.com"
    root = "/api/v2"

    def __init__(
        self, address: str, keep: Keep, *, chain_id: int, key: str | None = None, timeout: float = 60.0,
        patience: float = 60.0, sleep: Callable[[float], object] | None = None,
    ) -> None:  # fmt: skip
        """`chain_id`: the chain that the server is of. Raises UsageError where `address` is none."""
        if chain_id < 1:
            raise UsageError("a chain has a number above 0")
        super().__init__(address, keep, key=key, timeout=timeout, patience=patience, sleep=sleep)
        self.chain = f"ethereum:{chain_id}"

    def request(self, question: told.Question) -> str | Refusal:
        """How a question is written."""
        match question:
            case told.TransactionQuestion(txid):
                return f"/api/v2/transactions/0x{txid.hex()}"
            case told.HoldingQuestion(account, asset):
                if asset.number is not None:
                    return Refusal("this chain has no TRC-10 tokens")
                path = f"/api/v2/addresses/{text.encode(account)}"
                contract = asset.contract
                return path if contract is None else f"{path}/token-balances#contract={text.encode(contract)}"
            case told.MovementsQuestion(account, what, _, first, asset):
                if what not in _LISTS:
                    return Refusal("this chain has no TRC-10 tokens")
                contract = asset.contract if asset is not None else None
                query = {} if what != "token" else {
                    "type": "ERC-20", "token": None if contract is None else text.encode(contract),
                }  # fmt: skip
                return written(f"/api/v2/addresses/{text.encode(account)}/{_LISTS[what]}", query, first)
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
    sent, _, contract = request.partition("#contract=")
    asked = taken_apart(sent)
    if contract:
        asked = asked._replace(query={"contractaddress": contract})
        if not asked.path.endswith("/token-balances"):
            raise DecodeError("a request is none of those that tell of the chain")
    if asked.path == _NEWEST:
        return Plan(_newest(), single=True, of=told.NewestQuestion())
    if found := _OF_TRANSACTION.fullmatch(asked.path):
        txid = bytes.fromhex(found[1][2:])
        return Plan(_transaction(asked.path, txid), of=told.TransactionQuestion(txid))
    if found := _OF_ADDRESS.fullmatch(asked.path):
        account = evm.parameter(asked._replace(query={"address": found[1]}), "address")
        if found[2] is None:
            return Plan(_coins(asked.path, account), single=True, of=told.HoldingQuestion(account, told.NATIVE))
        if found[2] == "token-balances" and contract:
            token = told.Asset(evm.parameter(asked, "contractaddress"))
            return Plan(_tokens(asked, account), single=True, of=told.HoldingQuestion(account, token))
        if found[2] in _CLASSES:
            asset = told.Asset(evm.parameter(asked, "token")) if "token" in asked.query else None
            of = told.MovementsQuestion(account, _CLASSES[found[2]], 0, asked.first, asset)
            return Plan(_movements(asked, of), of=of)
    raise DecodeError("a request is none of those that tell of the chain")


def _newest() -> Walk:
    blocks = listed(parsed((yield Step(_NEWEST)), "the last blocks"), "the last blocks", MOST_A_PAGE)
    if not blocks:
        raise DecodeError("the last blocks: there are none")
    newest = max(blocks, key=lambda block: block.height("height"))
    return told.Newest(newest.height("height"), newest.digest("hash"))


def _coins(path: str, account: bytes) -> Walk:
    row = Row.of(parsed((yield Step(path)), "the balance"), "the balance")
    if row.address("hash", text.decode) != account:
        raise DecodeError("the balance is of another address than was asked for")
    if not row.has("coin_balance"):
        return Refusal("it does not know the balance")
    height = row.height("block_number_balance_updated_at") if row.has("block_number_balance_updated_at") else None
    return told.Holding(account, told.NATIVE, row.whole("coin_balance"), height)


def _tokens(asked: Asked, account: bytes) -> Walk:
    contract = evm.parameter(asked, "contractaddress")
    body = yield Step(asked.path)
    rows = listed(parsed(body, "the tokens"), "the tokens", 100_000)
    held = [row.whole("value") for row in rows if _contract(row.row("token")) == contract and not row.has("token_id")]
    if len(held) > 1:
        raise DecodeError("the tokens: the one asked for is listed twice")
    return told.Holding(account, told.Asset(contract), sum(held))


class _Listed(NamedTuple):
    height: int
    name: tuple[str, int]
    moved: tuple[told.Movement, ...]


_Teller = Callable[[Row, int], _Listed]


def _movements(asked: Asked, of: told.MovementsQuestion) -> Walk:
    account, what = of.address, of.what
    contract = None if of.asset is None else of.asset.contract

    def tell(row: Row, height: int) -> _Listed:
        if what == "value":
            return _value(row, height, account)
        return _internal(row, height, account) if what == "internal" else _token(row, height, account, contract)

    rows = yield from _all_pages(asked, tell)
    rows.reverse()
    return told.Movements(account, what, of.asset, asked.first, tuple(one for row in rows for one in row.moved))


def _all_pages(asked: Asked, tell: _Teller) -> Generator[Step, bytes, list[_Listed]]:
    """The rows of a list from the first block wanted on, newest first."""
    rows: list[_Listed] = []
    names: set[tuple[str, int]] = set()
    path, lowest, moved = asked.page(), 2**62, 0
    cursors = {path}
    while True:
        page = Row.of(parsed((yield Step(path, moved)), "a page"), "a page")
        items = page.rows("items", MOST_A_PAGE) if page.has("items") else page.wrong("items", "a list")
        for row in items:
            if not row.has("block_number", "block"):
                continue
            height = row.height("block_number", "block")
            if height > lowest:
                raise DecodeError(f"{row.where}: block {height} stands after {lowest}, where newer ones come first")
            lowest = height
            if height < asked.first:
                break
            listed_row = tell(row, height)
            if listed_row.name in names:
                raise DecodeError(f"{row.where}: it is listed twice, of transaction 0x{listed_row.name[0]}")
            names.add(listed_row.name)
            rows.append(listed_row)
            moved += len(listed_row.moved)
        if lowest < asked.first or not page.has("next_page_params"):
            return rows
        path = asked.page(**_cursor(page.row("next_page_params")))
        if path in cursors:
            raise DecodeError("a page names a next one that was read before: its pages go round")
        if not items:
            raise DecodeError("a page has no rows and names a next one: its pages do not end")
        cursors.add(path)


def _cursor(given: Row) -> Mapping[str, object]:
    found: dict[str, object] = {}
    for name, value in given.values.items():
        if value is None:
            continue
        shown = str(value).lower() if isinstance(value, bool) else value
        if not _NAME.fullmatch(name) or not isinstance(shown, str | int) or len(str(shown)) > 200 or len(found) > 20:
            raise DecodeError("a page names a next one in a way that cannot be asked for")
        if not str(shown).isascii() or not str(shown).isprintable():
            raise DecodeError("a page names a next one in a way that cannot be asked for")
        found[name] = shown
    if not found:
        raise DecodeError("a page names a next one without saying which")
    return found


def _place(row: Row, height: int, *names: str) -> evm.Place:
    block = row.digest("block_hash") if row.has("block_hash") else None
    index = row.optional(row.has("position", "transaction_index") or "position", 40)
    return evm.Place(row.digest(*names), height, row.moment("timestamp"), index, block)


def _party(row: Row, name: str) -> bytes | None:
    return row.row(name).address("hash", text.decode) if row.has(name) else None


def _parties(row: Row) -> tuple[bytes, bytes]:
    sender, taker = _party(row, "from"), _party(row, "to") or _party(row, "created_contract")
    return sender or row.wrong("from", "an address"), taker or row.wrong("to", "an address")


def _succeeded(row: Row) -> bool:
    """Whether a transaction did; before Byzantium no status said so, but the server's own word of the result."""
    status = row.text("status")
    if status in ("ok", "error"):
        return status == "ok"
    if not status and row.text("result") in ("success", "awaiting_internal_transactions"):
        return True
    return row.wrong("status", "ok or error")


def _value(row: Row, height: int, account: bytes | None) -> _Listed:
    place = _place(row, height, "hash")
    succeeded = _succeeded(row)
    sender = _party(row, "from") or row.wrong("from", "an address")
    taker = _party(row, "to") or _party(row, "created_contract")
    if account is not None:
        evm.concerns(row, account, sender, taker)
    moved: list[told.Movement] = []
    fee = row.row("fee").whole("value") if row.has("fee") else 0
    if fee and account in (None, sender):
        moved.append(place.fee(sender, fee))
    if succeeded:
        moved += place.move("value", sender, taker or row.wrong("to", "an address"), row)
    return _Listed(height, (place.txid.hex(), -1), tuple(moved))


def _internal(row: Row, height: int, account: bytes | None) -> _Listed:
    place = _place(row, height, "transaction_hash", "tx_hash")
    place = place._replace(transaction_index=row.optional("transaction_index", 40))
    position = row.whole("index", 40)
    failed = not row.flag("success", missing=True) or bool(row.has("error"))
    moved: tuple[told.Movement, ...] = ()
    if not failed or row.has("to", "created_contract"):
        sender, taker = _parties(row)
        if account is not None:
            evm.concerns(row, account, sender, taker)
        if position and not failed and evm.paying(row.text("type")):
            moved = place.move("internal", sender, taker, row, position)
    return _Listed(height, (place.txid.hex(), position), moved)


def _token(row: Row, height: int, account: bytes | None, contract: bytes | None) -> _Listed:
    place = _place(row, height, "transaction_hash", "tx_hash")
    sender, taker = _parties(row)
    if account is not None:
        evm.concerns(row, account, sender, taker)
    token = row.row("token")
    asset = _contract(token)
    if contract not in (None, asset):
        raise DecodeError(f"{row.where}: it is of another token than was asked for")
    position, said = row.whole("log_index", 63), token.said("name", "symbol", "decimals")
    amount = row.row("total").whole("value")
    moved = place.token(told.Asset(asset), sender, taker, amount, position, said)
    return _Listed(height, (place.txid.hex(), position), (moved,))


def _contract(token: Row) -> bytes:
    return token.address(token.has("address_hash", "address") or "address_hash", text.decode)


def _transaction(path: str, txid: bytes) -> Walk:
    row = Row.of(parsed((yield Step(path)), "the transaction"), "the transaction")
    if row.digest("hash") != txid:
        raise DecodeError("the transaction is another than was asked for")
    if not row.has("block_number", "block"):
        return Refusal("the transaction is in no block yet")
    height = row.height("block_number", "block")
    own = _value(row, height, None)
    succeeded = _succeeded(row)

    def internal(one: Row, at: int) -> _Listed:
        return _internal(one, at, None)

    def token(one: Row, at: int) -> _Listed:
        return _token(one, at, None, None)

    moved = list(own.moved)
    for name, query, tell in (
        ("internal-transactions", {}, internal), ("token-transfers", {"type": "ERC-20"}, token)
    ):  # fmt: skip
        rows = yield from _all_pages(Asked(f"{path}/{name}", query, 0), tell)
        if any(one.name[0] != txid.hex() or one.height != height for one in rows):
            raise DecodeError(f"its {name} are of another transaction than was asked for")
        inside = sorted((one for one in rows), key=lambda one: one.name[1])
        if not succeeded and any(one.moved for one in inside):
            raise DecodeError("a transaction that failed is said to move more than its fee")
        moved += [movement for one in inside for movement in one.moved]
    return told.Transaction(txid, height, succeeded, tuple(moved))
