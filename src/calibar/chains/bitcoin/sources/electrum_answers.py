"""Electrum's questions and answers, as they stand on the wire and in what is kept.

Protocol 1.4 to 1.7 (https://electrum-protocol.readthedocs.io). A kept request is canonical JSON
`{"method": …, "params": […]}`, a kept response the canonical JSON of the `result`, or `{"error": …}`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from hashlib import sha256
from typing import Final

from rfc8785 import CanonicalizationError

from calibar.canonical import canonical as rfc8785_bytes
from calibar.chains.bitcoin.sources import fields, told
from calibar.errors import DecodeError

Version = tuple[int, ...]

MOST_HEADERS: Final = 2016
"""A request."""

_SCRIPTS: Final = (1, 7)
"""From here on whole scripts are named, not their hashes, and a coin's spender can be asked."""
_UNKNOWN: Final = re.compile(r"unknown method|method not found|unsupported|not supported", re.IGNORECASE)
_BUSY: Final = re.compile(r"busy|excessive resource|too many requests|rate limit", re.IGNORECASE)


def request(question: told.Question, version: Version) -> tuple[str, list[object]] | None:
    """The method and parameters of a question; None where the protocol has none for it."""
    match question:
        case told.TipQuestion():
            return "blockchain.headers.subscribe", []
        case told.HeadersQuestion(first, count):
            return "blockchain.block.headers", [first, count]
        case told.RawQuestion(txid):
            return "blockchain.transaction.get", [txid[::-1].hex()]
        case told.PlaceQuestion(txid, height):
            in_block = height is not None and height >= 0
            return ("blockchain.transaction.get_merkle", [txid[::-1].hex(), height]) if in_block else None
        case told.HistoryQuestion(script, _):
            return of_script("get_history", script, version)
        case told.BalanceQuestion(script):
            return of_script("get_balance", script, version)
        case told.SpenderQuestion(coin, script):
            if version < _SCRIPTS:
                return of_script("get_history", script, version)
            return "blockchain.outpoint.get_status", [coin.txid[::-1].hex(), coin.output, script.hex()]


def of_script(verb: str, script: bytes, version: Version) -> tuple[str, list[object]]:
    """A method on a script: named by its hash (reversed), by itself from protocol 1.7 on."""
    if version < _SCRIPTS:
        return f"blockchain.scripthash.{verb}", [sha256(script).digest()[::-1].hex()]
    return f"blockchain.scriptpubkey.{verb}", [script.hex()]


def written(method: str, params: list[object]) -> str:
    """A request as it is kept."""
    return canonical({"method": method, "params": params}).decode()


def canonical(value: object) -> bytes:
    """RFC 8785 JSON. Raises DecodeError where a number or text has none."""
    try:
        return rfc8785_bytes(value)
    except (CanonicalizationError, ValueError, RecursionError):
        raise DecodeError("an answer holds numbers or text that JSON does not carry unchanged") from None


def words(error: object) -> str:
    """What an error object says."""
    said = error.get("message") if isinstance(error, dict) else error
    return said if isinstance(said, str) else "it refuses"


def code(error: object) -> int | None:
    """An error object's number."""
    number = error.get("code") if isinstance(error, dict) else None
    return number if type(number) is int else None


def busy(error: object) -> bool:
    """Whether an error says to ask again later."""
    return code(error) in (-101, -102) or bool(_BUSY.search(words(error)))


def unknown_method(error: object) -> bool:
    """Whether an error says that the server does not offer the method."""
    return code(error) == -32601 or bool(_UNKNOWN.search(words(error)))


def too_much(error: object) -> bool:
    """Whether an error says that the history is too long."""
    return code(error) == 10_001 or fields.too_much(words(error))


def read(request: str, response: bytes) -> tuple[told.Told, ...]:
    """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
    asked = fields.mapping(fields.parsed(request), "the request")
    method, params = asked.get("method"), fields.listing(asked.get("params"), "the request's params")
    answer = fields.parsed(response)
    if isinstance(answer, dict) and answer.keys() == {"error"}:
        return ()
    one = tell(method, params, answer)
    return () if one is None else (one,)


def tell(method: object, params: list[object], result: object) -> told.Told | None:
    """What a result tells; None where it tells nothing. Raises DecodeError."""
    entry = _METHODS.get(method) if isinstance(method, str) else None
    if entry is None or not entry[0] <= len(params) <= entry[1]:
        raise DecodeError("a request is none of those that tell of the chain")
    return entry[2](params, result)


def _tip(_: list[object], result: object) -> told.Told:
    tip = fields.mapping(result, "the tip")
    height = fields.integer(tip.get("height"), "the tip's height", 0, fields.MOST_HEIGHT)
    return told.Tip(height, fields.octets(tip.get("hex"), "the tip's header", 80, 80))


def _headers(params: list[object], result: object) -> told.Told:
    first = fields.integer(params[0], "the first height asked for", 0, fields.MOST_HEIGHT)
    asked = fields.integer(params[1], "the number of headers asked for", 0, MOST_HEADERS)
    answer = fields.mapping(result, "the answer with headers")
    count = fields.integer(answer.get("count"), "the number of headers", 0, asked)
    if ("headers" in answer) == ("hex" in answer):
        raise DecodeError("the answer with headers has not one of `headers` and `hex`")
    if "hex" in answer:
        return told.Headers(first, fields.octets(answer["hex"], "the headers", 80 * count, 80 * count))
    each = fields.listing(answer["headers"], "the headers")
    if len(each) != count:
        raise DecodeError(f"{len(each)} headers come where {count} are announced")
    return told.Headers(first, b"".join(fields.octets(one, "a header", 80, 80) for one in each))


def _raw(_: list[object], result: object) -> told.Told:
    least, most = fields.SMALLEST_TRANSACTION, fields.LARGEST_TRANSACTION
    return told.Raw(fields.octets(result, "the transaction", least, most))


def _place(params: list[object], result: object) -> told.Told:
    answer = fields.mapping(result, "the answer with a merkle branch")
    height = fields.integer(answer.get("block_height"), "the block's height", 0, fields.MOST_HEIGHT)
    if params[1] != height or type(params[1]) is not int:
        raise DecodeError(f"the merkle branch is for height {height}, which was not asked for")
    position, branch = fields.branch(answer.get("merkle"), answer.get("pos"))
    return told.Place(fields.digest(params[0], "the txid asked for"), height, position, branch)


def _script_hash(param: object) -> bytes:
    return fields.digest(param, "the script hash asked for")


def _hash_of_script(param: object) -> bytes:
    return sha256(fields.octets(param, "the script asked for", 0, fields.LARGEST_TRANSACTION)).digest()


def _history(script_hash: bytes, result: object) -> told.Told:
    entries = []
    for one in fields.listing(result, "the history"):
        entry = fields.mapping(one, "an entry of the history")
        height = fields.integer(entry.get("height"), "a height of the history", -1, fields.MOST_HEIGHT)
        entries.append((fields.digest(entry.get("tx_hash"), "a txid of the history"), height))
    if len(set(entries)) != len(entries):
        raise DecodeError("the history names a transaction twice")
    return told.History(script_hash, tuple(entries))


def _balance(script_hash: bytes, result: object) -> told.Told:
    answer = fields.mapping(result, "the balance")
    most = fields.MOST_SATOSHI
    confirmed = fields.integer(answer.get("confirmed"), "the confirmed balance", 0, most)
    unconfirmed = fields.integer(answer.get("unconfirmed"), "the unconfirmed balance", -most, most)
    return told.Balance(script_hash, confirmed, unconfirmed)


def _spender(params: list[object], result: object) -> told.Told | None:
    output = fields.integer(params[1], "the output asked for", 0, 2**32 - 1)
    coin = told.Outpoint(fields.digest(params[0], "the txid asked for"), output)
    answer = fields.mapping(result, "the coin's status")
    txid, height = answer.get("spender_txhash"), answer.get("spender_height")
    if answer.get("funder_height") is None:
        if txid is not None:
            raise DecodeError("the coin's status has a spender and no funder")
        return None
    fields.integer(answer["funder_height"], "the coin's height", -1, fields.MOST_HEIGHT)
    if txid is None:
        return told.Spender(coin, None, None)
    at = fields.integer(height, "the spender's height", -1, fields.MOST_HEIGHT)
    return told.Spender(coin, fields.digest(txid, "the spender's txid"), at)


_METHODS: Final[dict[str, tuple[int, int, Callable[[list[object], object], told.Told | None]]]] = {
    "blockchain.headers.subscribe": (0, 0, _tip),
    "blockchain.block.headers": (2, 2, _headers),
    "blockchain.transaction.get": (1, 1, _raw),
    "blockchain.transaction.get_merkle": (2, 2, _place),
    "blockchain.scripthash.get_history": (1, 1, lambda params, result: _history(_script_hash(params[0]), result)),
    "blockchain.scripthash.get_balance": (1, 1, lambda params, result: _balance(_script_hash(params[0]), result)),
    "blockchain.scriptpubkey.get_history": (
        1, 1, lambda params, result: _history(
            _hash_of_script(params[0]), fields.mapping(result, "the answer with a history").get("history")
        ),
    ),
    "blockchain.scriptpubkey.get_balance": (1, 1, lambda params, result: _balance(_hash_of_script(params[0]), result)),
    "blockchain.outpoint.get_status": (3, 3, _spender),
}  # fmt: skip
"""How many parameters each has, and what reads its result."""
