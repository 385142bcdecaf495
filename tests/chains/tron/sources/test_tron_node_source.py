"""A TRON node as a source: balances, transactions and whole blocks, recomputed; what does not fit together is named."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_tron_real import MAINNET_FIRST, as_answers, first_block
from tron_builder import ALICE, BOB, CAROL, TOKEN, USDT, block, h41, leaf, root, seal, transfer
from tron_builder import word as word_of
from tron_explorers import (
    ASKED,
    KEY,
    START,
    Ledger,
    Reply,
    Row,
    Sent,
    Server,
    TronGridLike,
    address_of,
    serving,
    to_base58,
)
from tron_nodes import FEE, NILE, NUMBER, NodeLike, account, recorded, story

import calibar
from calibar.chains import facts
from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.facts import integers
from calibar.chains.remote import choose
from calibar.chains.remote import transfers_told as told
from calibar.chains.remote.choose import open_explorer
from calibar.chains.tron.source import TronSource
from calibar.chains.tron.sources.tronnode import TronNode, read
from calibar.errors import ChainError, DecodeError, UsageError
from calibar.ledger.case.case import Case
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits, Report
from calibar.trail.policy import Policy

PROVEN = facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS


@contextmanager
def opened(node: NodeLike, key: str | None = KEY) -> Iterator[tuple[TronNode, list[Exchange], Server]]:
    """A node that was asked which network it is of; `kept` begins after that."""
    kept: list[Exchange] = []
    with serving(node) as server:
        source: told.Explorer = TronNode(
            server.url, kept.append, key=key, network=node.network, patience=8.0, sleep=lambda _: None
        )
        assert isinstance(source, TronNode)
        (asked,) = kept
        assert asked.request == "/wallet/getblockbynum?num=0#network"
        assert list(read(asked.request, asked.response)) == []
        kept.clear()
        try:
            yield source, kept, server
        finally:
            source.close()
        assert not any(KEY in one.request + one.place or KEY.encode() in one.response for one in kept)
        assert server.keys <= {key}


def answer_of(source: TronNode, question: told.Question) -> Any:
    ((_, answer),) = source.ask([question])
    return answer


def plain(answer: Any) -> Any:
    """An answer that can be compared: a block's facts are columns."""
    if not isinstance(answer, told.Block):
        return answer
    values = {one.name: getattr(answer.facts, one.name) for one in fields(answer.facts)}
    return {name: value.tolist() if isinstance(value, np.ndarray) else value for name, value in values.items()}


def holding(address: bytes, contract: bytes | None = None, number: int | None = None) -> told.HoldingQuestion:
    return told.HoldingQuestion(address, told.Asset(contract, number))


TOLD: dict[str, told.Question] = {
    "newest": told.NewestQuestion(),
    "coins": holding(BOB),
    "trc10": holding(BOB, number=NUMBER),
    "token": holding(BOB, USDT),
    "block": told.BlockQuestion(2),
    "empty block": told.BlockQuestion(5),
    "first block": told.BlockQuestion(0),
    "transaction": told.TransactionQuestion(bytes.fromhex(story().blocks[4]["transactions"][0]["txID"])),
}


@pytest.mark.parametrize("name", TOLD)
def test_what_is_kept_tells_the_same_again(name: str) -> None:
    with opened(story()) as (source, kept, server):
        answer = answer_of(source, TOLD[name])
        assert not isinstance(answer, Refusal)
        (exchange,) = kept
        assert (exchange.kind, exchange.place) == ("tronnode", server.url)
        (again,) = read(exchange.request, exchange.response)
        assert plain(again) == plain(answer)
        posted = [path for path in server.asked if path.startswith("POST")]
        assert posted == (["POST /wallet/triggerconstantcontract"] if name == "token" else [])


def test_the_newest_block_is_recomputed() -> None:
    node = story()
    with opened(node) as (source, _, _):
        assert answer_of(source, told.NewestQuestion()) == told.Newest(5, bytes.fromhex(node.blocks[5]["blockID"]))


def test_balances() -> None:
    with opened(story()) as (source, _, _):
        found = [answer_of(source, question) for question in (
            holding(BOB), holding(BOB, number=NUMBER), holding(BOB, number=3), holding(BOB, USDT),
            holding(ALICE), holding(ALICE, number=NUMBER), holding(ALICE, USDT),
        )]  # fmt: skip
        assert [one.amount for one in found] == [5_000_005 - 2 * FEE, 55, 0, 400, 0, 0, 0]
        assert {one.height for one in found} == {None}, "it does not say after which block"


def test_what_is_staked_is_its_owners() -> None:
    """An account with every kind of stake, in java-tron's fields."""
    staked = account(
        BOB, 1, frozen=[{"frozen_balance": 20, "expire_time": START}], tron_power={"frozen_balance": 300},
        delegated_frozen_balance_for_bandwidth=4000, delegated_frozenV2_balance_for_bandwidth=50_000,
        acquired_delegated_frozen_balance_for_bandwidth=7, allowance=7,
        unfrozenV2=[{"type": "ENERGY", "unfreeze_amount": 600_000, "unfreeze_expire_time": START}],
    ) | {
        "frozenV2": [{"amount": 10**7}, {"type": "ENERGY"}, {"type": "TRON_POWER", "amount": 2 * 10**8}],
        "account_resource": {
            "frozen_balance_for_energy": {"frozen_balance": 10**10, "expire_time": START},
            "delegated_frozen_balance_for_energy": 10**11, "delegated_frozenV2_balance_for_energy": 10**12,
            "acquired_delegated_frozen_balance_for_energy": 7, "energy_window_size": 28_800_000,
        },
    }  # fmt: skip
    with opened(NodeLike(story().blocks, accounts={BOB: staked})) as (source, _, _):
        assert answer_of(source, holding(BOB)).amount == 1_110_210_654_321


def test_a_block_is_read_as_from_the_source_of_blocks() -> None:
    node = story()

    class Asked:
        name = "node"

        def ask(self, path: str, body: Any) -> object:
            return node(path, {name: str(value) for name, value in body.items()})[1]

        def close(self) -> None:
            pass

    with opened(node) as (source, _, _):
        for height in (0, 1, 2, 5):
            found = answer_of(source, told.BlockQuestion(height))
            (expected,) = TronSource(Asked()).read(height, height)
            assert plain(found) == plain(told.Block(height, expected))
            assert found.facts.proof.tolist()[0] & PROVEN == PROVEN
            assert not found.facts.proof.tolist()[0] & facts.PROVEN_LOGS, "no root of TRON has logs"


@pytest.mark.parametrize("height", NILE)
def test_real_blocks_are_recomputed(height: int) -> None:
    """And read again from what is kept, and its transactions by themselves too."""
    made, outcomes = recorded(height)
    node = NodeLike(story().blocks | {height: made}, {height: outcomes})
    with opened(node) as (source, kept, _):
        found = answer_of(source, told.BlockQuestion(height))
        assert bytes(found.facts.block_hash[0]).hex() == made["blockID"]
        assert found.facts.proof.tolist()[0] & PROVEN == PROVEN
        assert len(found.facts.tx_hash) == len(made["transactions"])
        (again,) = read(kept[0].request, kept[0].response)
        assert plain(again) == plain(found)
        if height != NILE[0]:
            return
        for at, tx in enumerate(made["transactions"]):
            one = answer_of(source, told.TransactionQuestion(bytes.fromhex(tx["txID"])))
            here = (found.facts.transfer_tx == at).nonzero()[0]
            known = sorted(amount for row, amount in enumerate(integers(found.facts.amount)) if row in here and amount)
            assert sorted(row.amount for row in one.rows) == known
            assert one.height == height


def test_real_blocks_without_what_their_root_is_made_of_are_not_called_proven(data: Path) -> None:
    """Mainnet's first transactions, of which the data set tells neither bytes nor signatures."""
    folder = data / "tron" / "graphsense-0to10000"
    rows = [json.loads(line) for line in (folder / "transactions.json").read_text("utf-8").splitlines()]
    fees = {row["txHash"]: row for row in map(json.loads, (folder / "tx_fee.json").read_text("utf-8").splitlines())}
    height = max((row["blockId"] for row in rows), key=[row["blockId"] for row in rows].count)
    here = sorted((row for row in rows if row["blockId"] == height), key=lambda row: row["transactionIndex"])
    body, outcomes = as_answers(height, here, fees)
    made = block(number=height) | body
    made["block_header"]["raw_data"]["timestamp"] = here[0]["blockTimestamp"] * 1000
    seal(made)
    node = NodeLike({0: first_block(), height: made}, {height: outcomes})
    with serving(node) as server:
        source = TronNode(server.url, lambda _: None, network="mainnet")
        found = answer_of(source, told.BlockQuestion(height))
        source.close()
    assert found.facts.proof.tolist()[0] & PROVEN == facts.PROVEN_HEADER, "of a header that was made for this test"
    assert [bytes(hash_) for hash_ in found.facts.tx_hash] == [base64.b64decode(row["txHash"]) for row in here]
    values = [a for a, k in zip(integers(found.facts.amount), found.facts.transfer_kind, strict=True) if not k]
    assert values == [row["value"] for row in here if "toAddress" in row]


def test_what_a_node_does_not_tell_is_refused() -> None:
    unknown: list[told.Question] = [
        told.MovementsQuestion(BOB, "token", 10), told.BlockQuestion(77), told.TransactionQuestion(b"\7" * 32),
        holding(BOB, TOKEN),
    ]  # fmt: skip
    with opened(story()) as (source, kept, server):
        asked = len(server.asked)
        why = [answer_of(source, question).why for question in unknown]
        assert [list(read(one.request, one.response)) for one in kept] == [[], [], []]
        assert len(server.asked) == asked + 3, "nobody is asked for a list"
    assert why == [
        "a node keeps no list of an address's transfers; name an explorer too", "it has no block 77",
        "it does not know the transaction", "the node makes no such call: Smart contract is not exist.",
    ]  # fmt: skip


def lying(path: str, change: Callable[[Any], object]) -> Callable[[str, Any], object]:
    """Changes the answers of a path, but for those about block 0."""

    def changed(asked: str, answer: Any) -> object:
        first = asked == "getblockbynum" and not answer["block_header"]["raw_data"]["number"]
        return answer if asked != path or first else change(answer)

    return changed


def _set(*path: str | int, to: object) -> Callable[[Any], object]:
    def change(answer: Any) -> object:
        inner = answer
        for step in path[:-1]:
            inner = inner[step]
        inner[path[-1]] = to
        return answer

    return change


def _resealed(answer: Any) -> object:
    """The transactions of another block under a header of their own."""
    answer["transactions"] = [transfer(CAROL, ALICE, 1)]
    answer["block_header"]["raw_data"]["txTrieRoot"] = root([leaf(tx) for tx in answer["transactions"]]).hex()
    seal(answer)
    return answer


_CALLED = ("transaction", "raw_data", "contract", 0, "parameter", "value")
_OTHER = [{"txID": "11" * 32}]
LIES: dict[str, tuple[str, str, Callable[[Any], object], str]] = {
    "left out": ("block", "getblockbynum", lambda it: it["transactions"].pop() and it, "left out or changed"),
    "all left out": ("block", "getblockbynum", lambda it: it.pop("transactions") and it, "left out or changed"),
    "swapped": ("block", "getblockbynum", lambda it: it["transactions"].reverse() or it, "left out or changed"),
    "signature": ("block", "getblockbynum", _set("transactions", 0, "signature", to=["00" * 65]), "changed"),
    "result": ("block", "getblockbynum", _set("transactions", 0, "ret", to=[{"contractRet": "REVERT"}]), "changed"),
    "bytes": ("block", "getblockbynum", _set("transactions", 0, "raw_data_hex", to="00"), "hashes to"),
    "another id": ("block", "getblockbynum", _set("transactions", 0, "txID", to="11" * 32), "hashes to"),
    "another header": ("block", "getblockbynum", _set("block_header", "raw_data", "timestamp", to=START), "hashes to"),
    "another block": ("block", "getblockbynum", lambda _: story().blocks[3], "answers with block 3"),
    "another's transactions": ("block", "getblockbynum", _resealed, "not in the block"),
    "no header": ("block", "getblockbynum", lambda it: it.pop("block_header") and it, "block_header"),
    "not a block": ("block", "getblockbynum", lambda _: [1], "object"),
    "stray outcome": ("block", "gettransactioninfobyblocknum", _set(0, "id", to="11" * 32), "not in the block"),
    "fewer outcomes": ("block", "gettransactioninfobyblocknum", lambda it: it[1:], "no info of transaction"),
    "no outcomes": ("block", "gettransactioninfobyblocknum", lambda _: {}, "no info of transaction"),
    "outcome twice": ("block", "gettransactioninfobyblocknum", lambda it: it[:1] * 2, "two infos"),
    "outcomes of another": ("block", "gettransactioninfobyblocknum", _set(0, "blockNumber", to=3), "of block 3"),
    "outcomes no list": ("block", "gettransactioninfobyblocknum", lambda _: 7, "list"),
    "newest id": ("newest", "getnowblock", _set("blockID", to=f"{5:016x}" + "11" * 24), "hashes to"),
    "newest number": ("newest", "getnowblock", _set("block_header", "raw_data", "number", to=6), "id"),
    "newest float": ("newest", "getnowblock", _set("block_header", "raw_data", "number", to=5.0), "integer"),
    "transaction": ("transaction", "gettransactionbyid", lambda _: story().blocks[1]["transactions"][0], "another"),
    "its bytes": ("transaction", "gettransactionbyid", _set("raw_data_hex", to="00"), "does not hash"),
    "its outcome": ("transaction", "gettransactioninfobyid", _set("id", to="11" * 32), "another transaction"),
    "another account": ("coins", "getaccount", _set("address", to=h41(CAROL)), "another than was asked"),
    "below zero": ("coins", "getaccount", _set("balance", to=-1), "whole number"),
    "over 63 bits": ("coins", "getaccount", _set("balance", to=1 << 63), "whole number"),
    "no address": ("trc10", "getaccount", lambda it: it.pop("address") and it, "address"),
    "token twice": ("trc10", "getaccount", lambda it: it["assetV2"].append(it["assetV2"][0]) or it, "listed twice"),
    "another contract": ("token", "triggerconstantcontract", _set(*_CALLED, "contract_address", to=h41(TOKEN)), "call"),
    "another owner": (
        "token", "triggerconstantcontract", _set(*_CALLED, "data", to="70a08231" + "00" * 12 + CAROL.hex()), "call",
    ),
    "no call": ("token", "triggerconstantcontract", lambda it: it.pop("transaction") and it, "transaction"),
    "no result": ("token", "triggerconstantcontract", lambda it: it.pop("result") and it, "result"),
    "no hexadecimal": ("token", "triggerconstantcontract", _set("constant_result", to=["z" * 64]), "hexadecimal"),
    "two results": ("token", "triggerconstantcontract", _set("constant_result", to=[word_of(1)] * 2), "2 entries"),
}  # fmt: skip


@pytest.mark.parametrize("lie", LIES)
def test_lies_are_named(lie: str) -> None:
    name, path, change, words = LIES[lie]
    node = story()
    node.change = lying(path, change)
    with opened(node) as (source, kept, server):
        with pytest.raises(DecodeError, match=words) as caught:
            answer_of(source, TOLD[name])
        assert str(caught.value).startswith(f"{server.url}: ") and "\n" not in str(caught.value)
        (exchange,) = kept
        with pytest.raises((DecodeError, ChainError)):
            list(read(exchange.request, exchange.response))


REVERTED = b"REVERT opcode executed".hex()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda it: it.pop("constant_result") and it, "0 bytes instead of 32"),
        (_set("constant_result", to=[]), "0 bytes instead of 32"),
        (_set("constant_result", to=[""]), "0 bytes instead of 32"),
        (_set("constant_result", to=["00" * 31]), "31 bytes instead of 32"),
        (_set("constant_result", to=["00" * 64]), "64 bytes instead of 32"),
        (_set("transaction", "ret", to=[{"ret": "FAILED"}]), "the contract tells no balance"),
        (_set("result", "message", to=REVERTED), "REVERT opcode executed"),
        (_set("result", to={"code": "OTHER_ERROR", "message": b"class java.lang.X : \x1b[31m".hex()}), "java.lang.X"),
        (_set("result", to={"code": "OTHER_ERROR"}), "OTHER_ERROR"),
        (lambda _: {"Error": "class java.lang.RuntimeException : null"}, "RuntimeException"),
    ],
)
def test_a_call_that_failed_is_no_balance(change: Callable[[Any], object], words: str) -> None:
    node = story()
    node.change = lying("triggerconstantcontract", change)
    with opened(node) as (source, kept, _):
        refused = answer_of(source, TOLD["token"])
        assert isinstance(refused, Refusal) and words in refused.why and refused.why.isprintable()
        assert list(read(kept[0].request, kept[0].response)) == []


@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("newest", "getnowblock"), ("coins", "getaccount"), ("block", "getblockbynum"), ("token", "trigger"),
        ("block", "gettransactioninfobyblocknum"), ("transaction", "gettransactionbyid"),
        ("transaction", "gettransactioninfobyid"),
    ],
)  # fmt: skip
def test_an_error_in_place_of_an_answer_refuses(name: str, path: str) -> None:
    node = story()
    opening = [True]

    def change(asked: str, answer: Any) -> object:
        return answer if opening or not asked.startswith(path) else {"Error": "class X : no\nhistory"}

    node.change = change
    with opened(node) as (source, kept, _):
        opening.clear()
        refused = answer_of(source, TOLD[name])
        assert isinstance(refused, Refusal) and refused.why == "the node refuses: class X : no history"
        assert list(read(kept[0].request, kept[0].response)) == []


@pytest.mark.parametrize("name", TOLD)
@pytest.mark.parametrize(
    "body", [b"<!doctype html><p>hi", b'{"blockID":', b"7", b"[]", b"null", b"\xff", b"[" * 100_000, b'{"a":NaN}', b""]
)
def test_what_is_no_answer_is_named(name: str, body: bytes) -> None:
    node = story()
    with opened(node) as (source, kept, server):
        node.change = lambda *_: body
        with pytest.raises(DecodeError) as caught:
            answer_of(source, TOLD[name])
        assert server.url in str(caught.value) and "\n" not in str(caught.value)
        for exchange in kept:
            with pytest.raises(DecodeError):
                list(read(exchange.request, exchange.response))


def test_an_answer_over_the_bound_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(TronNode, "largest", 2000)
    node = story()
    with opened(node) as (source, kept, _):
        node.change = lambda *_: b'{"blockID":"' + b"0" * 5000
        for question in (TOLD["block"], TOLD["token"]):
            with pytest.raises(DecodeError, match="over 2,000 bytes"):
                answer_of(source, question)
        assert kept == []


def test_the_bound_is_that_of_ingesting_blocks() -> None:
    assert TronNode.largest == 128 << 20


def test_limits_are_waited_for_and_the_key_is_never_shown() -> None:
    busy = {"Error": "class java.lang.IllegalAccessException : lack of computing resources"}
    node, tries = story(), []

    def limited(_: str, answer: Any) -> object:
        tries.append(1)
        return busy if len(tries) % 2 else answer

    node.change = limited
    with opened(node) as (source, kept, server):
        assert [answer_of(source, question).__class__.__name__ for question in TOLD.values()]
        assert all(list(read(one.request, one.response)) for one in kept)
        assert server.keys == {KEY}
        node.change = lambda *_: busy
        with pytest.raises(UsageError, match="limits how much it is asked"):
            answer_of(source, TOLD["coins"])
        kept.clear()
        node.change = lambda *_: {"Error": "your key is " + KEY}
        with pytest.raises(DecodeError, match="repeats the key") as caught:
            answer_of(source, TOLD["token"])
        assert KEY not in str(caught.value) and kept == []


def test_a_secret_path_is_in_no_refusal() -> None:
    node, secret = story(), "d34db33fd34db33f"
    kept: list[Exchange] = []

    def behind(path: str, query: dict[str, str]) -> Reply:
        return node(path.removeprefix(f"/{secret}"), query)

    with serving(behind) as server:
        source = TronNode(f"{server.url}/{secret}/wallet", kept.append, network=node.network)
        assert answer_of(source, TOLD["token"]).amount == 400
        node.change = lambda *_: {"Error": f"no such path {secret}"}
        assert answer_of(source, TOLD["coins"]).why == "the node refuses: no such path …"
        source.close()
        assert all(path.removeprefix("POST ").startswith(f"/{secret}/wallet/") for path in server.asked)
    assert not any(secret in one.request + one.place for one in kept)


# Which network it is of.


@pytest.mark.parametrize("expected", ["mainnet", None])
def test_the_network_is_that_of_the_first_block(expected: str | None) -> None:
    kept: list[Exchange] = []
    with serving(NodeLike({0: first_block()})) as server:
        source = TronNode(server.url, kept.append, network=expected)
        source.close()
    assert source.chain == "tron:mainnet"
    assert MAINNET_FIRST in kept[0].response.decode()
    with serving(story()) as server:
        source = TronNode(server.url, kept.append)
        source.close()
    assert source.chain == f"tron:{story().network}", "one that is not known is named by its first block"


@pytest.mark.parametrize("network", ["nile", "shasta", story().network])
def test_a_node_of_another_network_is_refused(network: str) -> None:
    kept: list[Exchange] = []
    with serving(NodeLike({0: first_block()})) as server:
        with pytest.raises(UsageError, match=f"is of the network mainnet, not of {network}"):
            TronNode(server.url, kept.append, network=network)
        assert len(server.asked) == len(kept) == 1


@pytest.mark.parametrize(
    ("reply", "error", "words"),
    [
        ((200, {}), UsageError, "no block 0"),
        ((404, {"Error": "nothing"}), UsageError, "no block 0"),
        ((200, {"Error": "class X : closed"}), UsageError, "class X : closed"),
        ((200, b"this API is closed because this node is a lite fullnode"), DecodeError, "a lite fullnode"),
        ((200, b"<html>"), DecodeError, "web page"),
        ((200, [1]), DecodeError, "object"),
        ((200, story().blocks[1]), DecodeError, "answers with block 1"),
        ((200, first_block() | {"blockID": "00" * 32}), DecodeError, "hashes to"),
    ],
)
def test_a_node_that_does_not_say_of_which_network_it_is_is_not_used(
    reply: Reply, error: type[Exception], words: str
) -> None:
    with serving(lambda *_: reply) as server, pytest.raises(error, match=words) as caught:
        TronNode(server.url, lambda _: None, network="mainnet")
    assert server.url in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("url", ["node+{}", "node+{}/wallet/", "{}"])
def test_a_server_of_tron_is_taken_for_a_node(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRON_PRO_API_KEY", KEY)
    with serving(story()) as server:
        source = open_explorer(url.format(server.url), f"tron:{story().network}", lambda _: None)
        assert isinstance(source, TronNode)
        assert answer_of(source, TOLD["coins"]).amount
        source.close()
        assert server.keys == {None}, "TronGrid's key is TronGrid's alone"
        monkeypatch.setitem(choose._HOSTS, "127.0.0.1", "trongrid")
        open_explorer(f"node+{server.url}", f"tron:{story().network}", lambda _: None).close()
        assert server.keys == {None, KEY}


def test_other_kinds_of_servers_are_named_as_before() -> None:
    with pytest.raises(UsageError, match="no kind of server for tron"):
        open_explorer("etherscan+https://x", "tron:mainnet", lambda _: None)
    with pytest.raises(UsageError, match=r"node\+http"):
        open_explorer("trongrid+https://x", "ethereum:1", lambda _: None)


# Reading what is kept.


_REQUESTS = [
    "/wallet/getnowblock", "/wallet/getblockbynum?num=2", "/wallet/getblockbynum?num=0#network",
    f"/wallet/getaccount?address={h41(BOB)}#asset=_", f"/wallet/getaccount?address={h41(BOB)}#asset={NUMBER}",
    f"/wallet/gettransactionbyid?value={'11' * 32}",
    f"/wallet/triggerconstantcontract?contract_address={h41(USDT)}&function_selector=balanceOf%28address%29"
    f"&owner_address=41{'00' * 20}&parameter={'00' * 12}{BOB.hex()}",
]  # fmt: skip


@pytest.mark.parametrize(
    "request_",
    [
        "/wallet/getblockbynum?num=02", "/wallet/getblockbynum?num=2#network", "/wallet/getnowblock?x=1",
        f"/wallet/getaccount?address={h41(BOB)}", f"/wallet/getaccount?address={h41(BOB)}#asset=0",
        _REQUESTS[-1].replace("balanceOf", "transfer"), _REQUESTS[-1] + "&x=1", _REQUESTS[-1].upper(),
        f"/wallet/getaccount?address={to_base58(BOB)}#asset=_", "/v1/accounts", "",
    ],
)  # fmt: skip
def test_requests_that_nobody_makes_are_refused(request_: str) -> None:
    with pytest.raises(DecodeError, match="a request is none"):
        list(read(request_, b"{}"))


@given(st.sampled_from(_REQUESTS) | st.text(), st.binary() | st.text().map(str.encode))
def test_reading_raises_nothing_but_its_error(request_: str, response: bytes) -> None:
    for body in (response, json.dumps([response.decode(errors="replace")]).encode()):
        try:
            list(read(request_, body))
        except DecodeError as error:
            assert "\n" not in str(error)


_LEAVES: st.SearchStrategy[object] = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | st.floats(allow_nan=False)
)


def _places(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    if path:
        yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from _places(one, (*path, key))


_SINGLE = ("newest", "coins", "trc10", "token")


def _kept() -> dict[str, tuple[str, list[Any]]]:
    with opened(story()) as (source, kept, _):
        for question in TOLD.values():
            answer_of(source, question)
        bodies = [json.loads(one.response) for one in kept]
        return {
            name: (one.request, [body] if name in _SINGLE else [json.loads(page) for page in body])
            for name, one, body in zip(TOLD, kept, bodies, strict=True)
        }


KEPT = _kept()


@given(st.sampled_from(sorted(KEPT)), st.data())
def test_reading_odd_fields_raises_nothing_but_its_error(name: str, data: st.DataObject) -> None:
    request_, pages = KEPT[name]
    pages = json.loads(json.dumps(pages))
    places = list(_places(pages))
    place = places[data.draw(st.integers(0, len(places) - 1))]
    _set(*place, to=data.draw(_LEAVES | st.lists(_LEAVES) | st.dictionaries(st.text(), _LEAVES)))(pages)
    body = pages[0] if name in _SINGLE else [json.dumps(page) for page in pages]
    with suppress(DecodeError):
        list(read(request_, json.dumps(body).encode()))


# Cases.


@dataclass
class Grid(TronGridLike):
    """TronGrid as it lists ASKED, before a node; of accounts it knows what it was given."""

    node: NodeLike = field(default_factory=story)
    accounts: dict[str, Row] = field(default_factory=dict)

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path.startswith("/wallet/gettransaction"):
            return self.node(path, query)
        _, version, _, *rest = path.split("/")
        if version == "v1" and (len(rest) == 1 or rest[0] != to_base58(ASKED)):
            known = [self.accounts[rest[0]]] if rest[0] in self.accounts and len(rest) == 1 else []
            return 200, {"success": True, "data": known, "meta": {}}
        return super().__call__(path, query)

    def rows(self, path: str, one: Sent, query: dict[str, str]) -> list[Row]:
        trc20 = path.endswith("/trc20")
        return super().rows(path, one, query) if trc20 or ASKED in (one.sender, one.recipient) else []


ALICE_, CAROL_ = address_of(1), address_of(2)


def explorer_and_node() -> tuple[Grid, NodeLike]:
    """Two servers of one chain, in which ASKED is paid and pays."""
    node = story(ALICE_, ASKED, CAROL_)
    ids = {height: [tx["txID"] for tx in one.get("transactions", [])] for height, one in node.blocks.items()}

    def sent(height: int, at: int, kind: int, sender: bytes, recipient: bytes, value: int, *tokens: Any) -> Sent:
        return Sent(ids[height][at], height, kind, sender, recipient, value, FEE, False, [], list(tokens))

    chain = [
        sent(1, 0, 1, ALICE_, ASKED, 9_000_000),
        sent(2, 0, 31, ALICE_, USDT, 0, (USDT, ALICE_, ASKED, 700)),
        sent(2, 1, 1, ALICE_, ASKED, 5),
        sent(3, 0, 1, ASKED, CAROL_, 4_000_000),
        sent(4, 0, 31, ASKED, USDT, 0, (USDT, ASKED, CAROL_, 300)),
    ]
    return Grid(Ledger(chain), node=node), node


def fetched(
    folder: Path, asset: str, *order: str, honest: bool = True, lie: Callable[[str, Any], object] | None = None
) -> tuple[Report, Server]:
    """A trail from ASKED; TronGrid tells balances that fit only where it is honest, and `lie` is the node's."""
    grid, node = explorer_and_node()
    node.change = lie or node.change
    for who, told_ in node.accounts.items():
        owned = [{to_base58(token): str(amount)} for (token, owner), amount in node.tokens.items() if owner == who]
        grid.accounts[to_base58(who)] = told_ | {"trc20": owned} if honest else account(who, 1)
    with serving(grid) as lists, serving(node) as blocks:
        named = {"trongrid": f"trongrid+{lists.url}", "node": f"node+{blocks.url}"}
        policy = Policy(unit="address", stops=(), asset=asset)
        report = gather(
            folder, [to_base58(ASKED)], [named[one] for one in order], network_name=f"tron:{node.network}",
            policy=policy, limits=Limits(),
        )  # fmt: skip
    return report, blocks


@pytest.mark.parametrize("asset", ["native", to_base58(USDT)])
def test_balances_by_a_node_make_histories_whole(asset: str, tmp_path: Path) -> None:
    alone, _ = fetched(tmp_path / "alone", asset, "trongrid", honest=False)
    assert calibar.open(tmp_path / "alone").info["whole_holdings"] == 0
    assert any("its history is not known whole" in why for why in alone.unanswered.values())
    report, _ = fetched(tmp_path / "case", asset, "node", "trongrid", honest=False)
    assert (report.lies, report.unanswered) == ([], {})
    case = calibar.open(tmp_path / "case")
    assert case.info["whole_holdings"] >= 2
    held = {
        row["account"]: (row["value"], row["state"])
        for row in case.trace(to_base58(ASKED), stops=(), asset=asset).holdings
    }
    kept, passed = ("4310005", "4000000") if asset == "native" else ("400", "300")
    assert held == {to_base58(ASKED): (kept, "held"), to_base58(CAROL_): (passed, "held")}


def test_a_node_knows_the_tokens_of_who_was_never_activated(tmp_path: Path) -> None:
    """TronGrid does not: the next server that is named is asked."""
    explorer, node = explorer_and_node()
    with serving(explorer) as lists, serving(node) as blocks:
        sources = [f"trongrid+{lists.url}", f"node+{blocks.url}"]
        policy = Policy(unit="address", stops=(), asset=to_base58(USDT))
        gather(tmp_path, [to_base58(ASKED)], sources, network_name=f"tron:{node.network}", policy=policy)
    told_by = Case(tmp_path).accounts.holdings[ASKED, told.Asset(USDT)]
    assert {place: one.amount for place, (one, _) in told_by.items()} == {blocks.url: 400}


@pytest.mark.parametrize("order", [("trongrid", "node"), ("node", "trongrid")])
def test_a_case_asks_a_node_for_whole_blocks_wherever_it_is_named(order: tuple[str, str], tmp_path: Path) -> None:
    report, server = fetched(tmp_path / "case", to_base58(USDT), *order)
    assert report.lies == []
    assert any("gettransactioninfobyblocknum" in path for path in server.asked)
    case = calibar.open(tmp_path / "case")
    proven = case.info["proven_blocks"]
    assert proven["headers"] == proven["transactions"] > 0 == proven["logs"]
    steps = case.trace(to_base58(ASKED), stops=(), asset=to_base58(USDT)).steps
    assert {step["proof"] for step in steps} <= {"reported"}, "what calls moved is in no root of TRON"
    blocks = Case(tmp_path / "case").accounts.blocks
    _, node = explorer_and_node()
    assert {height: bytes(one.block_hash[0]).hex() for height, one in blocks.items()} == {
        height: node.blocks[height]["blockID"] for height in blocks
    }


def test_a_node_that_lies_of_a_block_proves_nothing(tmp_path: Path) -> None:
    """Its lie is named and kept; the trail stays the explorer's word."""
    asset = to_base58(USDT)
    fetched(tmp_path / "honest", asset, "trongrid")
    lie = lying("getblockbynum", _set("transactions", 0, "signature", to=["00" * 65]))
    report, server = fetched(tmp_path / "case", asset, "trongrid", "node", lie=lie)
    assert {lie.place for lie in report.lies} == {server.url}
    assert any("left out or changed transactions" in lie.what for lie in report.lies)
    assert calibar.open(tmp_path / "case").info["proven_blocks"]["headers"] == 0
    trail, honest = (
        calibar.open(tmp_path / name).trace(to_base58(ASKED), stops=(), asset=asset) for name in ("case", "honest")
    )
    assert trail.steps and trail.totals == honest.totals
