"""A real node as a source of transfers: what it tells of addresses is what its blocks say, now and years later."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from scenario import PEOPLE, TOKENS

from calibar.chains import facts
from calibar.chains.bitcoin.sources.told import Exchange, Refusal
from calibar.chains.ethereum.jsonrpc import Node
from calibar.chains.ethereum.rpc import RpcSource
from calibar.chains.ethereum.sources.node import EvmNode, read
from calibar.chains.remote import transfers_told as told
from calibar.chains.topics import TRANSFER
from calibar.errors import UsageError

if TYPE_CHECKING:
    from nodes import Lived

pytest_plugins = ("nodes",)

ALL_PROVEN = facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS | facts.PROVEN_LOGS | facts.HAS_INTERNAL
KINDS = {
    facts.VALUE: "value", facts.INTERNAL: "internal", facts.TOKEN: "token", facts.MINT: "token", facts.BURN: "token",
    facts.DESTROYED: "token", facts.FEE: "fee", facts.BURNT_FEE: "fee",
}  # fmt: skip
Moved = tuple[str, str, bytes, bytes | None, bytes | None, int, int | None]


class Asked:
    """A node that is asked, whose every answer must be told again by what was kept."""

    def __init__(self, url: str) -> None:
        self.kept: list[Exchange] = []
        explorer: told.Explorer = EvmNode(url, self.kept.append, chain_id=31337)
        self.explorer = explorer

    def of(self, question: told.Question) -> Any:
        before = len(self.kept)
        ((asked, answer),) = self.explorer.ask([question])
        assert asked is question
        again = [each for one in self.kept[before:] for each in read(one.request, one.response)]
        if isinstance(answer, told.Block):
            (block,) = again
            assert isinstance(block, told.Block)
            assert block.height == answer.height
            assert_same_facts(block.facts, answer.facts)
        else:
            refused = [told.TooMany(question)] if isinstance(question, told.MovementsQuestion) else []
            assert again == ((refused if answer.too_much else []) if isinstance(answer, Refusal) else [answer])
        return answer


@pytest.fixture(scope="module")
def node(lived: Lived) -> Iterator[Asked]:
    asked = Asked(lived.node.url)
    yield asked
    asked.explorer.close()


@pytest.fixture(scope="module")
def whole(lived: Lived) -> facts.Facts:
    with closing(Node(lived.node.url)) as node:
        source = RpcSource(node, batch=10_000)
        (batch,) = source.read(0, source.last())
        return batch


def assert_same_facts(one: facts.Facts, other: facts.Facts) -> None:
    for column in fields(facts.Facts):
        here, there = getattr(one, column.name), getattr(other, column.name)
        if isinstance(here, np.ndarray):
            np.testing.assert_array_equal(here, there, column.name)
        else:
            assert here == there, column.name


def octets(text: str) -> bytes:
    return bytes.fromhex(text[2:])


def moved(row: told.Movement) -> Moved:
    assert row.txid is not None
    asset = row.asset.contract or bytes(20)
    return (row.kind, row.txid.hex(), asset, row.sender, row.recipient, row.amount, row.position)


def in_receipts(lived: Lived, heights: range) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Every ERC-20 Transfer in the node's receipts, with its receipt."""
    for height in heights:
        for receipt in lived.node.ask("eth_getBlockReceipts", hex(height)):
            for log in receipt["logs"]:
                if len(log["topics"]) == 3 and log["topics"][0] == "0x" + TRANSFER.hex() and len(log["data"]) == 66:
                    yield receipt, log


def test_it_says_of_which_chain_it_is(node: Asked, lived: Lived) -> None:
    assert (node.explorer.kind, node.explorer.place) == ("node", lived.node.url)
    assert node.explorer.chain == "ethereum:31337"
    assert list(read(node.kept[0].request, node.kept[0].response)) == []
    with pytest.raises(UsageError, match="of chain 31337, not of chain 1"):
        EvmNode(lived.node.url, lambda _: None, chain_id=1)


def test_the_newest_block_is_the_last(node: Asked, lived: Lived, whole: facts.Facts) -> None:
    newest = node.of(told.NewestQuestion())
    assert newest == told.Newest(int(whole.number[-1]), bytes(whole.block_hash[-1]))


def test_every_transfer_of_every_account_is_told(node: Asked, lived: Lived, whole: facts.Facts) -> None:
    said = list(in_receipts(lived, range(int(whole.number[-1]) + 1)))
    zero = "0x" + "00" * 32
    for address in (zero[:42], *sorted(set(lived.known.names.values()))):
        topic = "0x" + address[2:].lower().rjust(64, "0")
        expected = [
            (
                "token", log["transactionHash"][2:], octets(log["address"]),
                None if log["topics"][1] == zero else octets(log["topics"][1])[12:],
                None if log["topics"][2] == zero else octets(log["topics"][2])[12:],
                int(log["data"], 16), int(log["logIndex"], 16),
            )
            for _, log in said
            if topic in log["topics"][1:]
        ]  # fmt: skip
        answer = node.of(told.MovementsQuestion(octets(address), "token", 10_000))
        assert [moved(row) for row in answer.rows] == expected
        assert (answer.capped, answer.upto, answer.asset, answer.first) == (False, None, None, 0)
    assert len(said) >= 50


def test_a_transfer_is_told_in_its_place_with_its_tokens_name(node: Asked, lived: Lived) -> None:
    holder = octets(lived.known.names["holder 1"])
    coin = told.Asset(octets(lived.known.names["coin"]))
    every = node.of(told.MovementsQuestion(holder, "token", 1000)).rows
    rows = node.of(told.MovementsQuestion(holder, "token", 1000, asset=coin)).rows
    assert rows == tuple(row for row in every if row.asset == coin)
    for row in rows:
        receipt = lived.node.receipt("0x" + row.txid.hex())
        block = lived.node.ask("eth_getBlockByNumber", receipt["blockNumber"], False)
        assert row.height == int(receipt["blockNumber"], 16)
        assert row.block_hash == octets(receipt["blockHash"])
        assert row.transaction_index == int(receipt["transactionIndex"], 16)
        assert row.time in (None, int(block["timestamp"], 16))
    assert {row.said for row in rows} == {told.Said("Sandbox Coin", "SBC", 18)}
    late = rows[-1].height
    assert node.of(told.MovementsQuestion(holder, "token", 1000, late, coin)).rows == tuple(
        row for row in rows if row.height == late
    )


def test_an_address_with_too_many_transfers_is_refused(node: Asked, lived: Lived) -> None:
    holder = octets(lived.known.names["holder 1"])
    count = len(node.of(told.MovementsQuestion(holder, "token", 1000)).rows)
    assert len(node.of(told.MovementsQuestion(holder, "token", count)).rows) == count
    refused = node.of(told.MovementsQuestion(holder, "token", count - 1))
    assert isinstance(refused, Refusal)
    assert refused.too_much


@pytest.mark.parametrize("what", ["value", "internal", "trc10"])
def test_a_node_keeps_no_list_of_transactions(node: Asked, what: told.Class) -> None:
    refused = node.of(told.MovementsQuestion(bytes(20), what, 10))
    assert isinstance(refused, Refusal)
    assert "name an explorer" in refused.why


def test_holdings_are_those_after_the_last_block(node: Asked, lived: Lived, whole: facts.Facts) -> None:
    height = int(whole.number[-1])
    for who in PEOPLE:
        address = octets(lived.known.names[who])
        held = lived.node.balance(who)
        assert node.of(told.HoldingQuestion(address, told.NATIVE)) == told.Holding(address, told.NATIVE, held, height)
        for token in TOKENS:
            asset = told.Asset(octets(lived.known.names[token]))
            expected = told.Holding(address, asset, lived.node.balance(who, token), height)
            assert node.of(told.HoldingQuestion(address, asset)) == expected


def test_what_is_no_token_holds_nothing_that_can_be_told(node: Asked, lived: Lived) -> None:
    address = octets(lived.known.names["holder 1"])
    for no_token in (told.Asset(address), told.Asset(number=1_000_001)):
        assert isinstance(node.of(told.HoldingQuestion(address, no_token)), Refusal)


def test_every_transaction_moves_what_its_block_says(node: Asked, lived: Lived, whole: facts.Facts) -> None:
    """The facts of whole blocks, which are proven, and what is told of each transaction are the same."""
    amounts = facts.integers(whole.amount)
    expected: list[list[Moved]] = [[] for _ in whole.tx_hash]
    for at, row in enumerate(whole.transfer_tx.tolist()):
        kind = int(whole.transfer_kind[at])
        if row < 0 or kind in (facts.FEE, facts.BURNT_FEE):
            continue
        expected[row].append(
            (
                KINDS[kind], bytes(whole.tx_hash[row]).hex(), bytes(whole.asset[at]),
                None if kind in facts.FROM_NOBODY else bytes(whole.sender[at]),
                None if kind in facts.TO_NOBODY else bytes(whole.recipient[at]), amounts[at],
                None if kind == facts.VALUE else int(whole.position[at]),
            )
        )  # fmt: skip
    fees = facts.integers(whole.tx_fee)
    ends = whole.tx_end.tolist()
    kinds = set()
    for row, hash_ in enumerate(whole.tx_hash):
        answer = node.of(told.TransactionQuestion(bytes(hash_)))
        fee, *rest = answer.rows
        assert fee.amount == fees[row]
        assert (fee.kind, fee.sender, fee.recipient) == ("fee", bytes(whole.tx_payer[row]), None)
        assert [moved(each) for each in rest] == expected[row]
        assert answer.succeeded == (whole.tx_status[row] == facts.SUCCEEDED)
        block = next(at for at, end in enumerate(ends) if row < end)
        first = ends[block - 1] if block else 0
        for each in answer.rows:
            assert (each.height, each.time) == (int(whole.number[block]), int(whole.time[block]))
            assert (each.transaction_index, each.block_hash) == (row - first, bytes(whole.block_hash[block]))
        kinds.add(frozenset(each.kind for each in answer.rows))
    assert {"fee", "value", "internal", "token"} in kinds


def test_a_transaction_in_no_block_is_refused(node: Asked) -> None:
    assert isinstance(node.of(told.TransactionQuestion(b"\x07" * 32)), Refusal)


def test_a_block_is_read_and_proven_as_the_reader_of_whole_chains_does(node: Asked, lived: Lived) -> None:
    last = int(lived.node.ask("eth_blockNumber"), 16)
    with closing(Node(lived.node.url)) as other:
        for height in range(1, last + 1):
            answer = node.of(told.BlockQuestion(height))
            (expected,) = RpcSource(other).read(height, height)
            assert answer.height == height
            assert_same_facts(answer.facts, expected)
            assert answer.facts.proof.tolist() == [ALL_PROVEN]
    refused = node.of(told.BlockQuestion(last + 1))
    assert isinstance(refused, Refusal)


def test_items_that_are_no_money_are_left_out(node: Asked, lived: Lived) -> None:
    item = told.Asset(octets(lived.known.names["item"]))
    assert lived.known.items
    for _, _, who, _ in lived.known.items:
        question = told.MovementsQuestion(octets(lived.known.names[who]), "token", 1000, asset=item)
        assert node.of(question).rows == ()
