"""The chain that has everything in it: what it knows of itself is what the node says."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from anvil import ETHER, Node, RefusedError
from scenario import BALANCES, NATIVE, TOKENS

if TYPE_CHECKING:
    from nodes import Lived, Start

pytest_plugins = ("nodes",)


def heights(node: Node) -> range:
    return range(int(node.ask("eth_blockNumber"), 16) + 1)


def test_failed_transactions_are_those_that_were_meant_to_fail(lived: Lived) -> None:
    receipts = [each for n in heights(lived.node) for each in lived.node.ask("eth_getBlockReceipts", hex(n))]
    assert [each["transactionHash"] for each in receipts if each["status"] == "0x0"] == lived.known.failed
    known = {each.transaction for each in lived.known.transfers}
    assert not known & {*lived.known.failed, *lived.known.empty}


def test_token_balances_are_the_sums_of_the_transfers_but_where_said(lived: Lived) -> None:
    sums = lived.known.sums()
    off = {
        (token, who)
        for token in TOKENS
        for who in lived.known.names
        if lived.node.balance(who, token) != sums[token, who]
    }
    assert off == set(lived.known.unlogged)
    # The largest amount that there is has moved.
    assert lived.node.balance("holder 5", "coin") == 2**256 - 1 - 10**21


def test_ether_balances_are_genesis_transfers_and_fees(lived: Lived) -> None:
    node, sums = lived.node, lived.known.sums()
    fees: Counter[str] = Counter()
    for n in heights(node):
        base = int(node.ask("eth_getBlockByNumber", hex(n), False)["baseFeePerGas"], 16)
        for each in node.ask("eth_getBlockReceipts", hex(n)):
            gas, price = int(each["gasUsed"], 16), int(each["effectiveGasPrice"], 16)
            fees[each["from"]] -= gas * price
            fees[node.address("producer")] += gas * (price - base)
    for who, address in lived.known.names.items():
        assert node.balance(who) == BALANCES.get(who, 0) + sums[NATIVE, who] + fees[address], who


def test_every_kind_of_thing_is_there(lived: Lived) -> None:
    known = lived.known
    kinds = {each.kind for each in known.transfers}
    assert kinds == {"value", "internal", "token", "mint", "burn", "destroyed"}
    assert {kind for _, kind, _ in known.events} == {"blacklisted", "unblacklisted", "paused", "unpaused"}
    for each in (known.failed, known.empty, known.spoofed, known.unlogged, known.items, known.swaps, known.created):
        assert each
    types = {
        each["type"]
        for n in heights(lived.node)
        for each in lived.node.ask("eth_getBlockByNumber", hex(n), True)["transactions"]
    }
    assert types == {"0x0", "0x1", "0x2"}
    real, twin = (known.names[name] for name in ("deposit 1", "twin of deposit 1"))
    assert (real[:6], real[-4:]) == (twin[:6], twin[-4:])


def test_contracts_are_where_they_were_said_to_be(lived: Lived) -> None:
    gone = {name for _, name in lived.known.ended}
    for _, name in lived.known.created:
        assert (lived.node.ask("eth_getCode", lived.known.names[name], "latest") == "0x") == (name in gone)


def test_two_nodes_live_the_same_chain_and_an_address_without_a_key_may_send(anvil: Start) -> None:
    nobody = "0x" + "ab" * 20
    ends = []
    for _ in range(2):
        node = anvil({"payer": ETHER, nobody: ETHER})
        node.send("payer", "payee", value=5)
        node.send(nobody, "payee", value=7)
        assert node.mine() == 1
        assert node.balance("payee") == 12
        ends.append(node.ask("eth_getBlockByNumber", "latest", False)["hash"])
        with pytest.raises(RefusedError, match=r"(?i)insufficient"):
            node.send("payer", "payee", value=2 * ETHER)
    assert ends[0] == ends[1]
