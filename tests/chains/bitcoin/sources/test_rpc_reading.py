"""What a node's answers tell, and that no answer, however hostile, does anything but tell or be refused."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.sources import rpc, rpc_answers, told
from calibar.chains.bitcoin.sources.merkle_block import MOST_TRANSACTIONS, read_merkle_block
from calibar.chains.bitcoin.sources.rpc import read
from calibar.chains.bitcoin.sources.told import Exchange, Outpoint, Refusal, Spender
from calibar.chains.bitcoin.transaction import compact_size, sha256d
from calibar.chains.ethereum.jsonrpc import Question as Call
from calibar.chains.ethereum.jsonrpc import Refusal as Failure
from calibar.chains.ethereum.jsonrpc import TooLargeError
from calibar.errors import DecodeError, UsageError

REGTEST = NETWORKS["regtest"]
TXID = "11" * 32
HASH = "22" * 32
CALLS: list[tuple[tuple[str, list[Any]], ...]] = [
    (("getblockhash", [0]),),
    (("getbestblockhash", []), ("getblockheader", [HASH, False]), ("getblockheader", [HASH, True])),
    (("getblockhash", [5]), ("getblockheader", [HASH, False]), ("getblockheader", [HASH, False])),
    (("getrawtransaction", [TXID, False]),),
    (("gettxoutproof", [[TXID]]),),
    (("gettxoutproof", [[TXID]]), ("getblockheader", [HASH, True])),
    (("gettxout", [TXID, 0, True]),),
    (("gettxspendingprevout", [[{"txid": TXID, "vout": 0}]]),),
    (("gettxspendingprevout", [[{"txid": TXID, "vout": 0}]]), ("getblockheader", [HASH, True])),
]


def request(*calls: tuple[str, list[Any]]) -> str:
    asked = [{"method": method, "params": params} for method, params in calls]
    return json.dumps(asked if len(asked) > 1 else asked[0])


def response(result: Any) -> bytes:
    return json.dumps(result).encode()


def hashes(count: int) -> list[bytes]:
    return [sha256d(bytes([number])) for number in range(count)]


def proof_of(leaves: Sequence[bytes], matched: set[int], header: bytes = b"") -> bytes:
    """A merkle proof as Core makes it, with a header that it fits. Source: CPartialMerkleTree::TraverseAndBuild."""
    rows = [list(leaves)]
    while len(rows[-1]) > 1:
        row = rows[-1]
        rows.append([sha256d(row[at] + row[min(at + 1, len(row) - 1)]) for at in range(0, len(row), 2)])
    bits: list[bool] = []
    kept: list[bytes] = []

    def build(height: int, at: int) -> None:
        under = any(at << height <= each < (at + 1) << height for each in matched)
        bits.append(under)
        if height == 0 or not under:
            kept.append(rows[height][at])
            return
        build(height - 1, 2 * at)
        if 2 * at + 1 < len(rows[height - 1]):
            build(height - 1, 2 * at + 1)

    build(len(rows) - 1, 0)
    flags = bytes(sum(bit << place for place, bit in enumerate(bits[at : at + 8])) for at in range(0, len(bits), 8))
    fitting = header or bytes(36) + rows[-1][0] + bytes(12)
    parts = [
        fitting,
        len(leaves).to_bytes(4, "little"),
        compact_size(len(kept)),
        *kept,
        compact_size(len(flags)),
        flags,
    ]
    return b"".join(parts)


def folded(txid: bytes, position: int, branch: Sequence[bytes]) -> bytes:
    for sibling in branch:
        txid = sha256d(sibling + txid if position & 1 else txid + sibling)
        position >>= 1
    return txid


@given(st.integers(1, 70), st.data())
def test_a_proof_gives_the_position_and_the_branch(count: int, data: st.DataObject) -> None:
    leaves = hashes(count)
    at = data.draw(st.integers(0, count - 1))
    proof = proof_of(leaves, {at})
    block = read_merkle_block(proof)
    assert (block.txid, block.position) == (leaves[at], at)
    assert len(block.branch) == (count - 1).bit_length()
    assert folded(block.txid, block.position, block.branch) == proof[36:68]


@given(st.integers(1, 40), st.data())
def test_a_proof_changed_in_any_place_is_refused_or_says_the_same(count: int, data: st.DataObject) -> None:
    proof = bytearray(proof_of(hashes(count), {count // 2}))
    unchanged = read_merkle_block(bytes(proof))
    at = data.draw(st.integers(36, len(proof) - 1))
    proof[at] ^= 1 << data.draw(st.integers(0, 7))
    try:
        block = read_merkle_block(bytes(proof))
    except DecodeError:
        return
    assert 68 <= at < 80, "what is hashed changed, and the proof still holds"
    assert (block.position, block.branch) == (unchanged.position, unchanged.branch)


def test_proofs_that_core_would_not_make_are_refused() -> None:
    leaves = hashes(5)
    good = proof_of(leaves, {2})
    refused = {
        "nothing": b"",
        "cut": good[:-1],
        "longer": good + b"\0",
        "two matched": proof_of(leaves, {1, 2}),
        "none matched": proof_of(leaves, set()),
        "no transactions": good[:80] + bytes(4) + good[84:],
        "too many": good[:80] + (MOST_TRANSACTIONS + 1).to_bytes(4, "little") + good[84:],
        "another header": proof_of(leaves, {2}, bytes(80)),
        "flags over": good[:-2] + b"\2" + good[-1:] + b"\0",
        "padding": good[:-1] + bytes([good[-1] | 0x80]),
        "twice": proof_of([*leaves[:3], leaves[2]], {2}),
        "a wide size": good[:84] + b"\xfd\x04\x00" + good[85:],
        "a wider size": good[:84] + b"\xfe\x04\x00\x00\x00" + good[85:],
        "a flag without a match": bytes(80) + b"\2\0\0\0" + b"\2" + bytes(64) + b"\1\1",
    }
    for name, proof in refused.items():
        with pytest.raises(DecodeError):
            print(name, read_merkle_block(proof))


@given(st.binary(max_size=300))
def test_any_bytes_as_a_proof_are_refused_in_words(data: bytes) -> None:
    with pytest.raises(DecodeError):
        read_merkle_block(data)


KEYS = st.sampled_from(
    ["hash", "height", "confirmations", "txid", "vout", "spendingtxid", "blockhash", "error", "code"]
)
TEXTS = st.text(max_size=8) | st.sampled_from([TXID, HASH, "00" * 80])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner),
    max_leaves=12,
)
METHODS = st.sampled_from(["getblockhash", "gettxout", "gettxoutproof", "gettxspendingprevout", "getblockheader"])
REQUESTS = st.lists(st.fixed_dictionaries({"method": METHODS, "params": JSON}), max_size=3).map(json.dumps)


@given(st.sampled_from(CALLS), st.binary(max_size=200) | JSON.map(response))
@example(CALLS[0], b"[" * 100_000)
@example(CALLS[3], b"1" * 5_000)
@example(CALLS[3], b"\xff")
@example(CALLS[3], b"NaN")
def test_any_answer_tells_or_is_refused(calls: tuple[tuple[str, list[Any]], ...], answer: bytes) -> None:
    with contextlib.suppress(DecodeError):
        list(read(request(*calls), answer))


@given(st.sampled_from([calls for calls in CALLS if len(calls) > 1]), st.data())
def test_any_results_tell_or_are_refused(calls: tuple[tuple[str, list[Any]], ...], data: st.DataObject) -> None:
    results = [data.draw(JSON) for _ in calls]
    with contextlib.suppress(DecodeError):
        list(read(request(*calls), response(results)))


@given(st.text(max_size=100) | REQUESTS, JSON.map(response))
def test_any_request_tells_or_is_refused(asked: str, answer: bytes) -> None:
    with contextlib.suppress(DecodeError):
        list(read(asked, answer))


def test_an_error_tells_nothing() -> None:
    for calls in CALLS:
        failed = {"error": {"code": -5, "message": "no"}}
        results = [HASH] * (len(calls) - 1) + [failed]
        assert list(read(request(*calls), response(results if len(results) > 1 else failed))) == []


def test_an_unspent_coin_and_one_that_is_not() -> None:
    asked = request(("gettxout", [TXID, 3, True]))
    coin = Outpoint(bytes.fromhex(TXID), 3)
    assert list(read(asked, response({"confirmations": 2, "value": 1.5}))) == [Spender(coin, None, None)]
    assert list(read(asked, b"null")) == []
    with pytest.raises(DecodeError):
        list(read(asked, b"true"))


def test_a_spender_in_a_block_in_none_and_unknown() -> None:
    coin = {"txid": TXID, "vout": 0}
    point, spender = Outpoint(bytes.fromhex(TXID), 0), bytes.fromhex("33" * 32)
    asked = ("gettxspendingprevout", [[coin]])
    in_block = {**coin, "spendingtxid": "33" * 32, "blockhash": HASH}
    header = {"hash": HASH, "height": 9, "confirmations": 1}
    heading: tuple[str, list[Any]] = ("getblockheader", [HASH, True])
    assert list(read(request(asked, heading), response([[in_block], header]))) == [Spender(point, spender, 9)]
    assert list(read(request(asked, heading), response([[in_block], {**header, "confirmations": -1}]))) == []
    assert list(read(request(asked), response([{**coin, "spendingtxid": "33" * 32}]))) == [Spender(point, spender, 0)]
    assert list(read(request(asked), response([coin]))) == []
    wrongs: list[Any] = [[{**in_block, "vout": 1}], [in_block, in_block], [], {}, [{**in_block, "spendingtxid": 5}]]
    for wrong in wrongs:
        with pytest.raises(DecodeError):
            list(read(request(asked, heading), response([wrong, header])))
    with pytest.raises(DecodeError, match="another block"):
        list(read(request(asked, heading), response([[in_block], {**header, "hash": "44" * 32}])))


def test_headers_that_do_not_follow_are_refused() -> None:
    first = bytes(80)
    second = bytes(4) + sha256d(first) + bytes(44)
    names = [sha256d(header)[::-1].hex() for header in (first, second)]
    calls: list[tuple[str, list[Any]]] = [("getblockhash", [5]), *(("getblockheader", [name, False]) for name in names)]
    good = [names[0], first.hex(), second.hex()]
    assert list(read(request(*calls), response(good))) == [told.Headers(5, first + second)]
    for wrong in ([names[1], *good[1:]], [names[0], second.hex(), first.hex()], good[:2], [names[0], first.hex(), 5]):
        with pytest.raises(DecodeError):
            list(read(request(*calls), response(wrong)))
    swapped = [calls[0], calls[2], calls[1]]
    with pytest.raises(DecodeError):
        list(read(request(*swapped), response([names[1], second.hex(), first.hex()])))


def test_a_place_is_refused_where_the_proof_is_of_another_transaction() -> None:
    leaves = hashes(3)
    proof = proof_of(leaves, {1})
    name = sha256d(proof[:80])[::-1].hex()
    header = {"hash": name, "height": 7, "confirmations": 1}
    heading = ("getblockheader", [name, True])
    results = response([proof.hex(), header])
    (place,) = read(request(("gettxoutproof", [[leaves[1][::-1].hex()]]), heading), results)
    assert isinstance(place, told.Place)
    assert (place.txid, place.height, place.position) == (leaves[1], 7, 1)
    with pytest.raises(DecodeError, match="another transaction"):
        list(read(request(("gettxoutproof", [[leaves[0][::-1].hex()]]), heading), results))


class Scripted:
    """A node that answers by method: a value, a failure, or a function of the parameters."""

    place = "http://scripted"

    def __init__(self, **answers: Any) -> None:
        self.answers = {"getblockhash": REGTEST.genesis, **answers}
        self.asked: list[Call] = []

    def ask(self, questions: Sequence[Call]) -> list[object]:
        self.asked += questions
        return [self._answer(call) for call in questions]

    def _answer(self, call: Call) -> object:
        answer = self.answers.get(call.method, Failure(-32601, "Method not found"))
        return answer(*call.params) if callable(answer) else answer


def asked(node: Scripted, *questions: told.Question) -> tuple[list[told.Told | Refusal], list[Exchange]]:
    kept: list[Exchange] = []
    source = rpc.NodeRpc(node, REGTEST, kept.append)
    return [answer for _, answer in source.ask(questions)], kept


def test_a_node_with_an_index_of_spenders_names_them() -> None:
    coin = {"txid": TXID, "vout": 0}
    node = Scripted(
        gettxout=None,
        gettxspendingprevout=[{**coin, "spendingtxid": "33" * 32, "blockhash": HASH}],
        getblockheader={"hash": HASH, "height": 9, "confirmations": 1},
    )
    point = Outpoint(bytes.fromhex(TXID), 0)
    answers, kept = asked(node, told.SpenderQuestion(point, b""))
    assert answers == [Spender(point, bytes.fromhex("33" * 32), 9)]
    assert [each for exchange in kept for each in read(exchange.request, exchange.response)] == answers


def test_a_node_without_one_is_asked_for_it_once() -> None:
    node = Scripted(gettxout=None)
    source = rpc.NodeRpc(node, REGTEST, lambda _: None)
    for number in range(3):
        ((_, answer),) = source.ask([told.SpenderQuestion(Outpoint(bytes.fromhex(TXID), number), b"")])
        assert isinstance(answer, Refusal)
    assert [call.method for call in node.asked].count("gettxspendingprevout") == 1


def test_a_node_that_starts_is_said_to_start() -> None:
    with pytest.raises(UsageError, match="still starting"):
        asked(Scripted(getblockhash=Failure(-28, "Loading block index…")), told.TipQuestion())


def test_a_batch_that_is_too_large_is_asked_in_parts() -> None:
    class Small(Scripted):
        def ask(self, questions: Sequence[Call]) -> list[object]:
            if len(questions) > 2:
                raise TooLargeError("too large")
            return super().ask(questions)

    node = Small(getrawtransaction=lambda txid, _: txid * 2)
    answers, _ = asked(node, *(told.RawQuestion(bytes([number]) * 32) for number in range(7)))
    assert answers == [told.Raw(bytes([number]) * 64) for number in range(7)]


@given(JSON)
def test_a_node_may_answer_anything(answer: object) -> None:
    methods = ("getbestblockhash", "getblockheader", "getrawtransaction", "gettxoutproof", "gettxout")
    point = Outpoint(bytes.fromhex(TXID), 0)
    questions: list[told.Question] = [
        told.TipQuestion(), told.RawQuestion(point.txid), told.PlaceQuestion(point.txid, 1),
        told.HeadersQuestion(3, 2), told.SpenderQuestion(point, b""),
    ]  # fmt: skip
    for question in questions:
        node = Scripted(**dict.fromkeys((*methods, "gettxspendingprevout"), answer))
        try:
            asked(node, question)
        except DecodeError as error:
            assert str(error).startswith("http://scripted: ")


@pytest.mark.parametrize("result", [2**60, float("inf"), "\ud800", {"\ud800": 1}])
def test_results_that_cannot_be_kept_are_refused(result: object) -> None:
    with pytest.raises(DecodeError, match="cannot keep"):
        rpc_answers.written([Call("getrawtransaction", (TXID, False))], [result])
