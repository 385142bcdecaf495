"""A real node asked over its JSON-RPC: what it tells, what it refuses, and that the kept exchanges tell the same."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from litecoin import Chain

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.sources import rpc, told
from calibar.chains.bitcoin.sources.told import (
    BalanceQuestion,
    HeadersQuestion,
    HistoryQuestion,
    Outpoint,
    PlaceQuestion,
    RawQuestion,
    Refusal,
    SpenderQuestion,
    TipQuestion,
)
from calibar.chains.bitcoin.transaction import sha256d
from calibar.errors import UsageError

if TYPE_CHECKING:
    from chains import Start, Stolen

pytest_plugins = ("chains",)

NETWORK = NETWORKS["litecoin-regtest"]


@dataclass
class Asked:
    """A source and what it kept."""

    source: rpc.NodeRpc
    kept: list[told.Exchange] = field(default_factory=list)

    @classmethod
    def of(cls, chain: Chain) -> Asked:
        kept: list[told.Exchange] = []
        return cls(rpc.NodeRpc(chain.rpc_url, NETWORK, kept.append, patience=2.0), kept)

    def __call__(self, *questions: told.Question) -> list[told.Told | Refusal]:
        """The answers in the order of the questions."""
        answers = list(self.source.ask(questions))
        assert sorted(map(repr, (question for question, _ in answers))) == sorted(map(repr, questions))
        by_question = dict(answers)
        return [by_question[question] for question in questions]

    def one(self, question: told.Question) -> told.Told | Refusal:
        (answer,) = self(question)
        return answer

    def told_again(self) -> list[told.Told]:
        """What everything that was kept tells."""
        return [each for exchange in self.kept for each in rpc.read(exchange.request, exchange.response)]


@pytest.fixture
def asked(stolen: Stolen) -> Iterable[Asked]:
    asked = Asked.of(stolen.chain)
    yield asked
    asked.source.close()


def wire(txid: str) -> bytes:
    return bytes.fromhex(txid)[::-1]


def folded(place: told.Place) -> bytes:
    """Merkle root that a branch leads to."""
    digest, position = place.txid, place.position
    for sibling in place.branch:
        digest = sha256d(sibling + digest if position & 1 else digest + sibling)
        position >>= 1
    assert position == 0
    return digest


def test_the_tip(stolen: Stolen, asked: Asked) -> None:
    tip = asked.one(TipQuestion())
    assert isinstance(tip, told.Tip)
    assert tip.height == stolen.chain.height
    assert sha256d(tip.header)[::-1].hex() == stolen.chain.rpc("getbestblockhash")
    assert asked.told_again() == [tip]


def test_headers_end_where_the_chain_ends(stolen: Stolen, asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rpc, "HEADERS_AT_ONCE", 50)
    height = stolen.chain.height
    all_of_them, some, none = asked(HeadersQuestion(0, 1000), HeadersQuestion(7, 3), HeadersQuestion(height + 1, 10))
    assert isinstance(all_of_them, told.Headers)
    names = [sha256d(all_of_them.data[at : at + 80])[::-1].hex() for at in range(0, len(all_of_them.data), 80)]
    assert names == [stolen.chain.rpc("getblockhash", number) for number in range(height + 1)]
    assert some == told.Headers(7, all_of_them.data[7 * 80 : 10 * 80])
    assert none == told.Headers(height + 1, b"")
    again = [each for each in asked.told_again() if isinstance(each, told.Headers) and each != some]
    assert b"".join(each.data for each in again) == all_of_them.data


def test_every_transaction_and_its_place(stolen: Stolen, asked: Asked) -> None:
    heights = stolen.known.heights
    raws = asked(*(RawQuestion(wire(txid)) for txid in heights))
    for txid, raw in zip(heights, raws, strict=True):
        assert isinstance(raw, told.Raw)
        assert raw.data.hex() == stolen.chain.rpc("getrawtransaction", txid)
    places = asked(*(PlaceQuestion(wire(txid), None) for txid in heights))
    for (txid, height), place in zip(heights.items(), places, strict=True):
        if height == 0:
            assert place == Refusal("the node knows it in no block")
            continue
        assert isinstance(place, told.Place)
        assert (place.txid, place.height) == (wire(txid), height)
        block = stolen.chain.rpc("getblock", stolen.chain.rpc("getblockhash", height))
        assert block["tx"][place.position] == txid
        assert folded(place)[::-1].hex() == block["merkleroot"]
    assert asked.told_again() == [*raws, *(place for place in places if not isinstance(place, Refusal))]


def test_the_place_is_what_electrumx_says(stolen: Stolen, asked: Asked) -> None:
    for txid, height in stolen.known.heights.items():
        if height:
            place = asked.one(PlaceQuestion(wire(txid), height))
            said = stolen.chain.electrum("blockchain.transaction.get_merkle", txid, height)
            assert isinstance(place, told.Place)
            assert [digest[::-1].hex() for digest in place.branch] == said["merkle"]
            assert place.position == said["pos"]


def test_a_place_in_blocks_of_every_size(litecoin: Start) -> None:
    chain = litecoin(electrum=False)
    asked = Asked.of(chain)
    chain.mine(102)
    chain.rpc("sendmany", "", {chain.new_address(): "0.1" for _ in range(60)})
    chain.mine()
    for size in (1, 2, 3, 4, 5, 7, 8, 9, 13):
        for _ in range(size - 1):
            chain.rpc("sendtoaddress", chain.new_address(), "0.01")
        (name,) = chain.mine()
        block = chain.rpc("getblock", name)
        assert len(block["tx"]) == size
        places = asked(*(PlaceQuestion(wire(txid), None) for txid in block["tx"]))
        for position, place in enumerate(places):
            assert isinstance(place, told.Place)
            assert (place.position, place.height) == (position, block["height"])
            assert folded(place)[::-1].hex() == block["merkleroot"]


def test_unspent_coins_are_told_and_spent_ones_refused(stolen: Stolen, asked: Asked) -> None:
    known = stolen.known
    still = [known.parts[3], known.noted, known.unconfirmed]
    answers = asked(*(SpenderQuestion(Outpoint(wire(coin.txid), coin.output), b"") for coin in still))
    assert answers == [told.Spender(Outpoint(wire(coin.txid), coin.output), None, None) for coin in still]
    assert asked.told_again() == answers
    for coin in [known.stolen, known.merged]:  # spent in a block, and in none yet
        answer = asked.one(SpenderQuestion(Outpoint(wire(coin.txid), coin.output), b""))
        assert isinstance(answer, Refusal)
        assert "spent but not by what" in answer.why


def test_what_a_node_does_not_tell_is_refused(asked: Asked) -> None:
    nowhere = bytes(31) + b"\1"
    answers = asked(
        HistoryQuestion(b"\x51", 10), BalanceQuestion(b"\x51"), RawQuestion(nowhere), PlaceQuestion(nowhere, 5)
    )
    reasons = [answer.why for answer in answers if isinstance(answer, Refusal)]
    assert ["history" in reasons[0], "balance" in reasons[1]] == [True, True]
    assert reasons[2] == "the node does not know the transaction"
    assert len(reasons) == 4
    assert asked.told_again() == []


def test_nothing_that_is_kept_has_the_credentials(stolen: Stolen, asked: Asked) -> None:
    asked(TipQuestion(), RawQuestion(wire(stolen.known.stolen.txid)))
    secret = stolen.chain.cookie.read_text().partition(":")[2]
    assert asked.source.place == stolen.chain.bare_rpc_url
    assert secret not in repr(asked.kept)
    assert {exchange.kind for exchange in asked.kept} == {"rpc"}


def test_the_cookie_of_the_node_opens_it(stolen: Stolen, tmp_path: Path) -> None:
    url = stolen.chain.bare_rpc_url
    with_cookie = rpc.NodeRpc(url, NETWORK, lambda _: None, cookie=stolen.chain.cookie)
    assert [type(answer) for _, answer in with_cookie.ask([TipQuestion()])] == [told.Tip]
    with_cookie.close()
    with pytest.raises(UsageError, match="other credentials"):
        list(rpc.NodeRpc(url, NETWORK, lambda _: None).ask([TipQuestion()]))
    with pytest.raises(UsageError, match=r"cannot read the node's cookie .*none"):
        rpc.NodeRpc(url, NETWORK, lambda _: None, cookie=tmp_path / "none")


def test_a_node_of_another_chain_is_refused(stolen: Stolen) -> None:
    source = rpc.NodeRpc(stolen.chain.rpc_url, NETWORKS["regtest"], lambda _: None)
    with pytest.raises(UsageError, match="is no node of regtest"):
        list(source.ask([TipQuestion()]))
    source.close()


def test_a_node_without_an_index_says_so_and_what_is_in_no_chain_has_no_place(litecoin: Start) -> None:
    chain = litecoin("-txindex=0", electrum=False)
    asked = Asked.of(chain)
    (first, _) = chain.mine(2)
    (txid,) = chain.rpc("getblock", first)["tx"]
    assert asked.one(RawQuestion(wire(txid))) == Refusal(
        "the node keeps no index of transactions; start it with -txindex=1"
    )
    assert isinstance(asked.one(PlaceQuestion(wire(txid), None)), told.Place)
    chain.rpc("invalidateblock", first)
    assert isinstance(asked.one(PlaceQuestion(wire(txid), None)), Refusal)


def test_a_node_that_is_gone_cannot_be_used(litecoin: Start) -> None:
    chain = litecoin(electrum=False)
    asked = Asked.of(chain)
    assert isinstance(asked.one(TipQuestion()), told.Tip)
    chain.stop()
    with pytest.raises(UsageError, match="try later"):
        asked.one(TipQuestion())
