"""What kept exchanges tell: strange bytes are refused, never worse."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.sources import electrum, esplora
from calibar.chains.bitcoin.sources.electrum_answers import written
from calibar.errors import DecodeError

HASH = "ab" * 32
ELECTRUM = [
    written(method, list(params))
    for method, params in (
        ("blockchain.headers.subscribe", ()),
        ("blockchain.block.headers", (3, 2)),
        ("blockchain.transaction.get", (HASH,)),
        ("blockchain.transaction.get_merkle", (HASH, 4)),
        ("blockchain.scripthash.get_history", (HASH,)),
        ("blockchain.scripthash.get_balance", (HASH,)),
        ("blockchain.scriptpubkey.get_history", (HASH,)),
        ("blockchain.scriptpubkey.get_balance", ("",)),
        ("blockchain.outpoint.get_status", (HASH, 0, "")),
    )
]
ESPLORA = [
    "GET " + path
    for path in (
        "/blocks", "/blocks/7", f"/tx/{HASH}/raw", f"/tx/{HASH}/merkle-proof", f"/tx/{HASH}/outspend/1",
        f"/scripthash/{HASH}", f"/scripthash/{HASH}/txs/chain", f"/tx/{HASH}/raw (404)",
    )
]  # fmt: skip
READERS = {"electrum": (electrum.read, ELECTRUM), "esplora": (esplora.read, ESPLORA)}
NAMES = st.sampled_from([
    "height", "hex", "count", "headers", "block_height", "merkle", "pos", "tx_hash", "confirmed", "unconfirmed",
    "history", "funder_height", "spender_txhash", "spender_height", "spent", "txid", "status", "chain_stats",
    "mempool_stats", "id", "funded_txo_sum", "spent_txo_sum", "version", "previousblockhash", "merkle_root",
    "timestamp", "bits", "nonce", "error",
])  # fmt: skip
LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20)
    | st.sampled_from([HASH, "00" * 80, "00" * 160, "ab" * 60, 0, 1, 2, 7])
)  # fmt: skip
SHAPES = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=8))


def reads_or_refuses(read: Callable[[str, bytes], tuple[Any, ...]], request: str, response: bytes) -> None:
    try:
        told = read(request, response)
    except DecodeError as error:
        assert str(error).isprintable() and len(str(error)) < 300
    else:
        assert isinstance(told, tuple)
        assert told == read(request, response)


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data(), response=st.binary(max_size=200) | SHAPES.map(lambda shape: json.dumps(shape).encode()))
def test_any_response_is_read_or_refused(kind: str, data: st.DataObject, response: bytes) -> None:
    read, requests = READERS[kind]
    reads_or_refuses(read, data.draw(st.sampled_from(requests)), response)


@pytest.mark.parametrize("kind", READERS)
@given(
    request=st.text(max_size=80)
    | SHAPES.map(json.dumps)
    | st.tuples(st.sampled_from([json.loads(one)["method"] for one in ELECTRUM]), SHAPES).map(
        lambda pair: json.dumps({"method": pair[0], "params": pair[1]})
    )
    | st.text(max_size=40).map(lambda text: "GET /" + text),
    response=st.sampled_from([b"{}", b"[]", b'""', b"x" * 70]),
)
def test_any_request_is_read_or_refused(kind: str, request: str, response: bytes) -> None:
    reads_or_refuses(READERS[kind][0], request, response)


@pytest.mark.parametrize("nested", [b"[" * 200_000, b'{"a":' * 200_000, b"1" * 10_000, b'"\\ud800"', b"NaN"])
@pytest.mark.parametrize("kind", READERS)
def test_hostile_json_is_refused(kind: str, nested: bytes) -> None:
    read, requests = READERS[kind]
    for request in requests:
        if not request.endswith(("raw", "(404)")):
            with pytest.raises(DecodeError):
                read(request, nested)


@pytest.mark.parametrize(
    "error", ["no", {}, {"code": 1}, {"code": 10_001, "message": "history too large"}, None, ["x"]]
)  # fmt: skip
def test_a_refusal_tells_nothing(error: object) -> None:
    for request in ELECTRUM:
        assert electrum.read(request, json.dumps({"error": error}).encode()) == ()
    for request in ESPLORA:
        assert esplora.read(request.removesuffix(" (404)") + " (400)", b"anything") == ()


def test_a_branch_for_another_height_is_refused() -> None:
    request = written("blockchain.transaction.get_merkle", [HASH, 4])
    with pytest.raises(DecodeError, match="height 5, which was not asked for"):
        electrum.read(request, b'{"block_height": 5, "merkle": [], "pos": 0}')


def test_more_headers_than_asked_for_are_refused() -> None:
    request = written("blockchain.block.headers", [3, 2])
    responses: list[dict[str, object]] = [
        {"count": 3, "hex": "00" * 240},
        {"count": 2, "headers": ["00" * 80] * 3},
        {"count": 1, "hex": "00" * 160},
        {"count": 1, "hex": "00" * 80, "headers": ["00" * 80]},
    ]
    for response in responses:
        with pytest.raises(DecodeError, match="headers"):
            electrum.read(request, json.dumps(response).encode())


def test_a_transaction_may_stand_in_two_blocks_of_a_history_but_not_twice_in_one() -> None:
    """Two coinbases of 2010 have the txids of earlier ones."""
    request = written("blockchain.scripthash.get_history", [HASH])
    twice = [{"tx_hash": HASH, "height": 91_722}, {"tx_hash": HASH, "height": 91_880}]
    assert len(electrum.read(request, json.dumps(twice).encode())) == 1
    with pytest.raises(DecodeError, match="twice"):
        electrum.read(request, json.dumps(twice[:1] * 2).encode())
