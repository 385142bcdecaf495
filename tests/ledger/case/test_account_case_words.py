"""Who answered what was asked, in every server's own way of asking; and as of when a word about a balance counts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from calibar.chains.bitcoin.sources.told import Exchange
from calibar.chains.ethereum.sources import node_answers
from calibar.chains.ethereum.sources.blockscout import Blockscout
from calibar.chains.ethereum.sources.etherscan import Etherscan
from calibar.chains.remote import transfers_told as told
from calibar.chains.tron.sources.trongrid import TronGrid
from calibar.chains.tron.sources.tronnode import TronNode
from calibar.chains.tron.sources.tronscan import Tronscan
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.accounts.asked import is_answered
from calibar.ledger.case.accounts.chain import Chain
from calibar.ledger.case.accounts.histories import balances
from calibar.ledger.case.accounts.words import Words
from calibar.ledger.case.case import question_of
from calibar.ledger.case.kept import Kept
from calibar.sandbox.scenarios import token_theft as story

ME, YOU, TXID = b"\1" * 20, b"\2" * 20, b"\5" * 32
TOKEN, OTHER, NUMBER = told.Asset(contract=b"\7" * 20), told.Asset(contract=b"\x08" * 20), told.Asset(number=1002000)
URL = "http://server.example"


def _discard(_: Exchange) -> None:
    pass


Written = Callable[[told.Question], Any]
SERVERS: dict[str, Written] = {
    "etherscan": Etherscan(URL, _discard).request,
    "blockscout": Blockscout(URL, _discard, chain_id=1).request,
    "node": lambda question: node_answers.request(question, 1),
    "trongrid": TronGrid(URL, _discard).request,
    "tronscan": Tronscan(URL, _discard).request,
    "tronnode": TronNode.__new__(TronNode).request,  # it would ask of which network it is
}
ANSWERS: list[tuple[told.Question, told.Told]] = [
    (told.NewestQuestion(), told.Newest(5)),
    (told.TransactionQuestion(TXID), told.Transaction(TXID, 5, True, ())),
    (told.BlockQuestion(5), told.Block(5, Any)),  # type: ignore[arg-type]
    *((told.HoldingQuestion(who, asset), told.Holding(who, asset, 1))
      for who in (ME, YOU) for asset in (told.NATIVE, TOKEN, OTHER, NUMBER)),
    *((told.MovementsQuestion(who, what, 10), told.Movements(who, what, None, 0, ()))
      for who in (ME, YOU) for what in ("value", "internal", "token", "trc10")),
]  # fmt: skip


def what_asked(kind: str, request: str) -> told.Question | None:
    found: told.Question | None = question_of(Exchange(kind, "somebody", request, b""))
    return found


def words(answer: told.Told) -> Words:
    made = Words()
    made.take(1, Kept(Exchange("some", "another", "", b""), 0), answer)
    return made


@pytest.mark.parametrize("kind", SERVERS)
def test_a_question_is_answered_by_its_own_answer_and_by_no_other(kind: str) -> None:
    asked = 0
    for question, answer in ANSWERS:
        request = SERVERS[kind](question)
        if not isinstance(request, str):
            continue
        asked += 1
        for other, another in ANSWERS:
            assert is_answered(what_asked(kind, request), words(another)) is (other == question), (request, another)
        assert not is_answered(what_asked(kind, request), Words())
        assert answer
    assert asked > 5


@pytest.mark.parametrize("kind", sorted(SERVERS.keys() - {"tronnode"}))
def test_a_list_of_one_token_is_answered_by_one_of_it_or_of_all(kind: str) -> None:
    request = SERVERS[kind](told.MovementsQuestion(ME, "token", 10, 0, TOKEN))
    for asset, answered in ((None, True), (TOKEN, True), (OTHER, False)):
        assert is_answered(what_asked(kind, request), words(told.Movements(ME, "token", asset, 0, ()))) is answered
    whole = SERVERS[kind](told.MovementsQuestion(ME, "token", 10))
    assert not is_answered(what_asked(kind, whole), words(told.Movements(ME, "token", TOKEN, 0, ())))


@pytest.mark.parametrize(
    "request_", ["", "/", '{"method":"chain","params":[]}', "/api?action=balance&address=0x12", "é"]
)
def test_what_shows_no_question_has_no_answer(request_: str) -> None:
    assert not is_answered(what_asked("etherscan", request_), words(told.Newest(5)))


@pytest.mark.parametrize(
    ("kind", "heights", "until", "offset", "named"),
    [
        ("etherscan", (0, None), 0, 0, False),
        ("etherscan", (0, None), 0, 1, True),
        ("etherscan", (1, None), 0, 0, True),  # that was later than it was asked
        ("etherscan", (1, None), 1, 0, False),  # the chain grew while it was asked
        ("blockscout", (0, 0), 1, 0, False),
        ("node", (0, 0), 1, 0, False),
        ("node", (1, 0), 1, 0, True),  # it says of which block it speaks
    ],
)
def test_a_balance_is_one_that_the_address_had_when_the_server_was_asked(
    token_theft: Path, kind: str, heights: tuple[int, int | None], until: int, offset: int, named: bool
) -> None:
    """The first number says after which of the thief's transfers the amount is the right one, the second which block
    the server names, `until` after which it was asked."""
    ledger = AccountSnapshot(token_theft)
    chain, asset = Chain(ledger), told.Asset(bytes.fromhex(dict(story.truth().contracts)["dollar"][2:]))
    who = bytes.fromhex(story.truth().role("customer 1")[2:])
    rows = [one for one in chain.listed(who, asset, 0, chain.height) if one.txid is not None]
    at = [moved.height for one in rows if one.txid is not None and (moved := chain.moved(one.txid)) is not None]
    assert len(at) == 2 and chain.time_of(at[1]) > chain.time_of(at[0]) + 60
    right = chain.had(who, asset, at[heights[0]], at[heights[0]])[0]
    named_block = None if heights[1] is None else at[heights[1]]
    made = Words()
    kept = Kept(Exchange(kind, URL, "", b""), chain.time_of(at[until]))
    made.take(1, kept, told.Newest(at[0]))
    made.take(2, kept, told.Holding(who, asset, right + offset, named_block))
    found = list(balances(made, chain))
    assert bool(found) is named, found
    if kind == "etherscan":
        made = Words()
        made.take(1, kept, told.Holding(who, asset, right + 1))
        assert list(balances(made, chain)) == []  # it named no block: of when its word is, nobody knows
