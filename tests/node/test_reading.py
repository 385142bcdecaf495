"""The reader of Ethereum finds in a real node's answers what the scenario knows, no more and no less."""

from __future__ import annotations

import json
from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from scenario import NATIVE

from calibar.chains import facts
from calibar.chains.ethereum.jsonrpc import Node
from calibar.chains.ethereum.rpc import RpcSource

if TYPE_CHECKING:
    from nodes import Lived

pytest_plugins = ("nodes",)

KINDS = {
    facts.VALUE: "value", facts.INTERNAL: "internal", facts.TOKEN: "token", facts.MINT: "mint", facts.BURN: "burn",
    facts.DESTROYED: "destroyed",
}  # fmt: skip
ALL_PROVEN = facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS | facts.PROVEN_LOGS | facts.HAS_INTERNAL
Row = tuple[str, str, str | None, str | None, int, str]


@pytest.fixture(scope="module")
def read(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> list[facts.Facts]:
    genesis = tmp_path_factory.mktemp("genesis") / "genesis.json"
    genesis.write_text(json.dumps(lived.node.genesis), encoding="utf-8")
    with closing(Node(lived.node.url)) as node:
        source = RpcSource(node, genesis=genesis)
        return list(source.read(0, source.last()))


def text(data: object) -> str:
    return "0x" + bytes(data).hex()  # type: ignore[call-overload, no-any-return]


def rows(batch: facts.Facts, names: dict[str, str]) -> list[Row]:
    """What has moved an amount, in the scenario's words; fees and grants apart."""
    found: list[Row] = []
    for at, amount in enumerate(facts.integers(batch.amount)):
        kind = int(batch.transfer_kind[at])
        if not amount or kind not in KINDS:
            continue
        asset = NATIVE if batch.asset_kind[at] == facts.NATIVE else names[text(batch.asset[at])]
        sender = None if kind in facts.FROM_NOBODY else names[text(batch.sender[at])]
        recipient = None if kind in facts.TO_NOBODY else names[text(batch.recipient[at])]
        found.append((text(batch.tx_hash[batch.transfer_tx[at]]), asset, sender, recipient, amount, KINDS[kind]))
    return found


def test_every_transfer_is_found_and_none_that_is_not_there(lived: Lived, read: list[facts.Facts]) -> None:
    names = {address: name for name, address in lived.known.names.items()}
    found = Counter(row for batch in read for row in rows(batch, names))
    told = Counter(
        (each.transaction, each.asset, each.sender, each.recipient, each.amount, each.kind)
        for each in lived.known.transfers
    )
    assert not told - found
    # A log is all that a reader sees of a token: made-up ones are transfers of the contract that made them up.
    rest = found - told
    assert {row[0] for row in rest} == set(lived.known.spoofed)
    assert {(row[1], row[5]) for row in rest} == {
        ("announcer", "token"),
        ("proxy", "token"),
        ("look-alike", "token"),
    }


def test_the_whole_chain_is_proven(read: list[facts.Facts]) -> None:
    assert {int(proof) for batch in read for proof in batch.proof} == {ALL_PROVEN}
    assert not [note for batch in read for note in batch.notes]


def test_failed_transactions_move_nothing_but_their_fee(lived: Lived, read: list[facts.Facts]) -> None:
    failed = [text(batch.tx_hash[at]) for batch in read for at in (batch.tx_status == facts.FAILED).nonzero()[0]]
    assert failed == lived.known.failed
    fees = (facts.FEE, facts.BURNT_FEE)
    moved = {
        text(batch.tx_hash[row])
        for batch in read
        for row, kind in zip(batch.transfer_tx, batch.transfer_kind, strict=True)
        if row >= 0 and int(kind) not in fees
    }
    assert not moved & set(failed)


def test_the_issuers_freezes_and_the_ends_of_contracts_are_found(lived: Lived, read: list[facts.Facts]) -> None:
    words = {
        facts.BLACKLISTED: "blacklisted", facts.UNBLACKLISTED: "unblacklisted", facts.PAUSED: "paused",
        facts.UNPAUSED: "unpaused",
    }  # fmt: skip
    names = {address: name for name, address in lived.known.names.items()} | {text(facts.ZERO): ""}
    events, ended, items = [], [], []
    for batch in read:
        for at, kind in enumerate(batch.event_kind.tolist()):
            transaction = text(batch.tx_hash[batch.event_tx[at]])
            if kind in words:
                events.append((transaction, words[kind], names[text(batch.event_a[at])]))
            elif kind == facts.SELF_DESTRUCTED:
                ended.append((transaction, names[text(batch.event_contract[at])]))
            elif kind == facts.NFT:
                number = facts.integers(batch.event_amount[at : at + 1])[0]
                sender = names[text(batch.event_a[at])] or None
                items.append((transaction, sender, names[text(batch.event_b[at])], number))
    assert events == lived.known.events
    assert items == lived.known.items
    assert {transaction for transaction, _ in ended} == {transaction for transaction, _ in lived.known.ended}
