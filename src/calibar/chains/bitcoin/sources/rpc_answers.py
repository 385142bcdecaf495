"""A node's requests and results as they are kept, and what they tell.

A kept request is canonical JSON `{"method": …, "params": […]}`, a kept response the canonical JSON of the result, or
`{"error": {"code": …, "message": …}}`. Where it takes several results to tell a thing, the request is a list of such
requests and the response the list of their results.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Final

import rfc8785

from calibar.chains.bitcoin.sources import fields, told
from calibar.chains.bitcoin.sources.merkle_block import LARGEST, read_merkle_block
from calibar.chains.bitcoin.transaction import sha256d
from calibar.chains.ethereum.jsonrpc import Question as Call
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.errors import DecodeError

MOST_OUTPUT: Final = 2**32 - 1


def written(calls: Sequence[Call], results: Sequence[object]) -> tuple[str, bytes]:
    """Request and response as they are kept. Raises DecodeError for results that are no JSON to be kept."""
    asked: list[object] = [{"method": call.method, "params": list(call.params)} for call in calls]
    came = [_kept(result) for result in results]
    try:
        response = rfc8785.dumps(came[0] if len(came) == 1 else came)  # type: ignore[arg-type]
    except (ValueError, RecursionError):
        raise DecodeError("an answer has numbers or text that JSON cannot keep") from None
    return rfc8785.dumps(asked[0] if len(asked) == 1 else asked).decode(), response  # type: ignore[arg-type]


def _kept(result: object) -> object:
    return {"error": {"code": result.code, "message": result.message}} if isinstance(result, Failure) else result


def read(request: str, response: bytes) -> Iterable[told.Told]:
    """What a kept exchange with a node tells; see `told.Reader`."""
    asked, result = fields.parsed(request), fields.parsed(response)
    several = isinstance(asked, list)
    calls = [_call(each) for each in (asked if isinstance(asked, list) else [asked])]
    results = fields.listing(result, "the response") if several else [result]
    if len(results) != len(calls):
        raise DecodeError(f"{len(results)} results answer {len(calls)} requests")
    if any(_is_failure(each) for each in results):
        return ()
    methods = tuple(dict.fromkeys(call.method for call in calls))
    reader = _READERS.get(methods)
    if reader is None:
        raise DecodeError("no request that a node is asked")
    found = reader(calls, results)
    return () if found is None else (found,)


def _call(value: object) -> Call:
    entry = fields.mapping(value, "a request")
    method = entry.get("method")
    if not isinstance(method, str):
        raise DecodeError("a request names no method")
    return Call(method, tuple(fields.listing(entry.get("params"), "the parameters")))


def _is_failure(result: object) -> bool:
    return isinstance(result, dict) and result.keys() == {"error"}


def _exactly(calls: Sequence[Call], *sizes: int) -> None:
    """Demand so many calls with so many parameters each."""
    if tuple(len(call.params) for call in calls) != sizes:
        raise DecodeError("a request has other parameters than a node is asked with")


def _only(value: object) -> object:
    """The one entry of a list."""
    entries = fields.listing(value, "what has one entry")
    if len(entries) != 1:
        raise DecodeError(f"a list has {len(entries)} entries instead of one")
    return entries[0]


def _tip(calls: Sequence[Call], results: Sequence[object]) -> told.Tip | None:
    _exactly(calls, 0, 2, 2)
    name = fields.digest(results[0], "the best block's hash")
    header = fields.octets(results[1], "the header", 80, 80)
    if not name == sha256d(header) == fields.digest(calls[1].params[0], "the hash asked for"):
        raise DecodeError("the header is not the best block's")
    height = _height(calls[2], results[2], name)
    return None if height is None else told.Tip(height, header)


def _headers(calls: Sequence[Call], results: Sequence[object]) -> told.Headers:
    """The first call asks the hash at the first height; each header is the next one's parent."""
    _exactly(calls, 1, *[2] * (len(calls) - 1))
    first = fields.integer(calls[0].params[0], "the first height", 0, fields.MOST_HEIGHT)
    data = [fields.octets(result, "a header", 80, 80) for result in results[1:]]
    names = [fields.digest(call.params[0], "the hash asked for") for call in calls[1:]]
    if fields.digest(results[0], "the first block's hash") != names[0]:
        raise DecodeError("the first header is of another height")
    if names != [sha256d(header) for header in data] or names[:-1] != [header[4:36] for header in data[1:]]:
        raise DecodeError("the headers do not follow each other")
    return told.Headers(first, b"".join(data))


def _raw(calls: Sequence[Call], results: Sequence[object]) -> told.Raw:
    _exactly(calls, 2)
    least, most = fields.SMALLEST_TRANSACTION, fields.LARGEST_TRANSACTION
    return told.Raw(fields.octets(results[0], "the transaction", least, most))


def _place(calls: Sequence[Call], results: Sequence[object]) -> told.Place | None:
    _exactly(calls, 1, 2)
    txid = fields.digest(_only(calls[0].params[0]), "the transaction asked for")
    block = read_merkle_block(fields.octets(results[0], "the merkle proof", 80, LARGEST))
    if block.txid != txid:
        raise DecodeError("the merkle proof is of another transaction")
    height = _height(calls[1], results[1], sha256d(block.header))
    return None if height is None else told.Place(txid, height, block.position, block.branch)


def _height(call: Call, result: object, block: bytes) -> int | None:
    """Height of a block in the node's best chain; None for one that is not in it."""
    header = fields.mapping(result, "the header's description")
    name = fields.digest(header.get("hash"), "the block's hash")
    if not name == block == fields.digest(call.params[0], "the hash asked for"):
        raise DecodeError("the height is of another block")
    height = fields.integer(header.get("height"), "the height", 0, fields.MOST_HEIGHT)
    confirmations = fields.integer(header.get("confirmations"), "the confirmations", -1, fields.MOST_HEIGHT)
    return None if confirmations < 0 else height


def _unspent(calls: Sequence[Call], results: Sequence[object]) -> told.Spender | None:
    """A node that says nothing of a coin has it not among the unspent: spent, or never made."""
    _exactly(calls, 3)
    if results[0] is None:
        return None
    output = fields.mapping(results[0], "the unspent coin")
    fields.integer(output.get("confirmations"), "the confirmations", 0, fields.MOST_HEIGHT)
    return told.Spender(_coin(calls[0].params[:2]), None, None)


def _spent(calls: Sequence[Call], results: Sequence[object]) -> told.Spender | None:
    """Nothing where the node does not name a spender: it may know only those that are in no block."""
    _exactly(calls, 1, *[2] * (len(calls) - 1))
    wanted = fields.mapping(_only(calls[0].params[0]), "the coin asked for")
    entry = fields.mapping(_only(results[0]), "the coin")
    coin = _coin((wanted.get("txid"), wanted.get("vout")))
    if _coin((entry.get("txid"), entry.get("vout"))) != coin:
        raise DecodeError("the spender is of another coin")
    if entry.get("spendingtxid") is None:
        return None
    spender = fields.digest(entry["spendingtxid"], "the spending transaction")
    if entry.get("blockhash") is None:
        return told.Spender(coin, spender, 0)
    block = fields.digest(entry["blockhash"], "the spending transaction's block")
    if len(calls) != 2:
        return None
    height = _height(calls[1], results[1], block)
    return None if height is None else told.Spender(coin, spender, height)


def _coin(params: Sequence[object]) -> told.Outpoint:
    txid, output = params
    number = fields.integer(output, "the coin's output", 0, MOST_OUTPUT)
    return told.Outpoint(fields.digest(txid, "the coin's transaction"), number)


def _nothing(calls: Sequence[Call], results: Sequence[object]) -> None:
    _exactly(calls, 1)
    fields.digest(results[0], "the hash of a block")


_READERS: Final[dict[tuple[str, ...], Callable[[Sequence[Call], Sequence[object]], told.Told | None]]] = {
    ("getblockhash",): _nothing,
    ("getbestblockhash", "getblockheader"): _tip,
    ("getblockhash", "getblockheader"): _headers,
    ("getrawtransaction",): _raw,
    ("gettxoutproof", "getblockheader"): _place,
    ("gettxoutproof",): lambda _calls, _results: None,
    ("gettxout",): _unspent,
    ("gettxspendingprevout",): _spent,
    ("gettxspendingprevout", "getblockheader"): _spent,
}
