"""The answers of Esplora's API, as they are received and kept.

https://github.com/Blockstream/esplora/blob/master/API.md. A kept request is `GET` and the path below the API's own; one
that was refused has the status after it: `GET /tx/…/raw (404)`. The response is the body as received, but for one kind:
a history comes in pages, and `GET /scripthash/…/txs/chain` is kept once, for all of them, with a JSON array of the
pages' bodies as received.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from hashlib import sha256
from typing import Final

from calibar.chains.bitcoin.sources import fields, told
from calibar.errors import DecodeError

MOST_A_PAGE: Final = 1000
"""Entries; servers give 10 to 50."""
_REQUEST: Final = re.compile(r"GET (/[!-~]{1,300})( \([0-9]{3}\))?")


def read(request: str, response: bytes) -> tuple[told.Told, ...]:
    """What a kept exchange tells; nothing for one that refused. Raises DecodeError for one that is no answer."""
    asked = _REQUEST.fullmatch(request)
    if asked and asked[2]:
        return ()
    for pattern, teller in _PATHS if asked else ():
        found = pattern.fullmatch(asked[1]) if asked else None
        if found:
            return teller(found, response)
    raise DecodeError("a request is none of those that tell of the chain")


def page(body: bytes) -> list[tuple[bytes, int]]:
    """Txids and heights on one page of a history, newest first. Raises DecodeError."""
    return _entries(fields.listing(fields.parsed(body), "a page of the history"))


def joined(pages: Sequence[bytes]) -> bytes:
    """The bodies of a history's pages, each JSON, as the array that is kept."""
    return b"[" + b",".join(pages) + b"]"


def transactions(body: bytes) -> int:
    """How many transactions in blocks a script has, by what is told of it. Raises DecodeError."""
    stats = fields.mapping(
        fields.mapping(fields.parsed(body), "the answer on a script").get("chain_stats"), "chain_stats"
    )
    return fields.integer(stats.get("tx_count"), "tx_count", 0, fields.MOST_SATOSHI)


def genesis(body: bytes) -> str:
    """A block's hash as displayed."""
    try:
        return fields.digest(body.decode().strip(), "the first block's hash")[::-1].hex()
    except UnicodeDecodeError:
        raise DecodeError("the first block's hash is not text") from None


def _entries(listed: list[object]) -> list[tuple[bytes, int]]:
    if len(listed) > MOST_A_PAGE:
        raise DecodeError(f"a page of the history has {len(listed)} transactions, over {MOST_A_PAGE}")
    entries = []
    for one in listed:
        entry = fields.mapping(one, "a transaction of the history")
        height = _height(entry.get("status"))
        if height == 0:
            raise DecodeError("the history of what is in blocks has a transaction in none")
        entries.append((fields.digest(entry.get("txid"), "a txid of the history"), height))
    return entries


def _height(status: object) -> int:
    """Of a transaction; 0: in no block yet."""
    said = fields.mapping(status, "a transaction's status")
    if said.get("confirmed") is False:
        return 0
    if said.get("confirmed") is not True:
        raise DecodeError("a transaction's status does not say whether it is confirmed")
    return fields.integer(said.get("block_height"), "a transaction's height", 0, fields.MOST_HEIGHT)


def _raw(_: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    if not fields.SMALLEST_TRANSACTION <= len(body) <= fields.LARGEST_TRANSACTION:
        raise DecodeError(f"an answer of {len(body)} bytes is no transaction")
    return (told.Raw(body),)


def _place(found: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    answer = fields.mapping(fields.parsed(body), "the answer with a merkle branch")
    height = fields.integer(answer.get("block_height"), "the block's height", 0, fields.MOST_HEIGHT)
    position, branch = fields.branch(answer.get("merkle"), answer.get("pos"))
    return (told.Place(_txid(found), height, position, branch),)


def _spender(found: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    coin = told.Outpoint(_txid(found), fields.integer(int(found[2]), "the output asked for", 0, 2**32 - 1))
    answer = fields.mapping(fields.parsed(body), "the answer on a coin")
    if answer.get("spent") is False:
        return (told.Spender(coin, None, None),)
    if answer.get("spent") is not True:
        raise DecodeError("the answer on a coin does not say whether it is spent")
    spender = fields.digest(answer.get("txid"), "the spender's txid")
    return (told.Spender(coin, spender, _height(answer.get("status"))),)


def _history(found: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    entries: list[tuple[bytes, int]] = []
    for one in fields.listing(fields.parsed(body), "the history's pages"):
        entries += _entries(fields.listing(one, "a page of the history"))
    if len({txid for txid, _ in entries}) != len(entries):
        raise DecodeError("the history names a transaction twice")
    return (told.History(bytes.fromhex(found[1]), tuple(reversed(entries))),)


def _balance(found: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    answer = fields.mapping(fields.parsed(body), "the answer on a script")
    if answer.get("scripthash", found[1]) != found[1]:
        raise DecodeError("the answer is on another script than was asked about")
    confirmed, unconfirmed = (_sum(answer.get(name), name) for name in ("chain_stats", "mempool_stats"))
    if confirmed < 0:
        raise DecodeError("the balance in blocks is below zero")
    return (told.Balance(bytes.fromhex(found[1]), confirmed, unconfirmed),)


def _sum(value: object, name: str) -> int:
    stats = fields.mapping(value, name)
    funded, spent = (
        fields.integer(stats.get(f"{verb}_txo_sum"), f"{verb}_txo_sum of {name}", 0, fields.MOST_SATOSHI)
        for verb in ("funded", "spent")
    )
    return funded - spent


def _tip(_: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    headers = _headers(body, fields.MOST_HEIGHT)
    return told.Tip(headers.first + len(headers.data) // 80 - 1, headers.data[-80:]), headers


def _blocks(found: re.Match[str], body: bytes) -> tuple[told.Told, ...]:
    return (_headers(body, fields.integer(int(found[1]), "the height asked for", 0, fields.MOST_HEIGHT)),)


def _headers(body: bytes, most: int) -> told.Headers:
    """Headers rebuilt from the fields of blocks, each of which must hash to the block's id."""
    blocks = fields.listing(fields.parsed(body), "the blocks")
    if not 1 <= len(blocks) <= MOST_A_PAGE:
        raise DecodeError(f"there are {len(blocks)} blocks where 1 to {MOST_A_PAGE} belong")
    headers: list[bytes] = []
    before, first = None, 0
    for one in blocks:
        block = fields.mapping(one, "a block")
        height = fields.integer(block.get("height"), "a block's height", 0, most)
        if headers and height != first - 1:
            raise DecodeError("the heights of the blocks do not descend one by one")
        header, previous = _header(block, height)
        name = sha256(sha256(header).digest()).digest()
        if name != fields.digest(block.get("id"), "a block's id") or before not in (None, name):
            raise DecodeError(f"the fields of the block at height {height} do not hash to its id")
        headers.append(header)
        before, first = previous, height
    return told.Headers(first, b"".join(reversed(headers)))


def _header(block: dict[str, object], height: int) -> tuple[bytes, bytes]:
    version = fields.integer(block.get("version"), "a block's version", -(2**31), 2**32 - 1) & 0xFFFFFFFF
    root = fields.digest(block.get("merkle_root"), "a block's merkle root")
    said = block.get("previousblockhash")
    previous = bytes(32) if height == 0 and said is None else fields.digest(said, "a block's previous block")
    time, bits, nonce = (
        fields.integer(block.get(name), f"a block's {name}", 0, 2**32 - 1) for name in ("timestamp", "bits", "nonce")
    )
    return struct.pack("<I32s32sIII", version, previous, root, time, bits, nonce), previous


def _txid(found: re.Match[str]) -> bytes:
    return bytes.fromhex(found[1])[::-1]


_Teller = Callable[[re.Match[str], bytes], tuple[told.Told, ...]]
_PATHS: Final[tuple[tuple[re.Pattern[str], _Teller], ...]] = (
    (re.compile(r"/blocks"), _tip),
    (re.compile(r"/blocks/([0-9]{1,10})"), _blocks),
    (re.compile(r"/tx/([0-9a-f]{64})/raw"), _raw),
    (re.compile(r"/tx/([0-9a-f]{64})/merkle-proof"), _place),
    (re.compile(r"/tx/([0-9a-f]{64})/outspend/([0-9]{1,10})"), _spender),
    (re.compile(r"/scripthash/([0-9a-f]{64})"), _balance),
    (re.compile(r"/scripthash/([0-9a-f]{64})/txs/chain"), _history),
)
