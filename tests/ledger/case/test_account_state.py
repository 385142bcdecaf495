"""Cases on account chains: what several servers tell becomes one history, and is whole only where all agree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.facts import BURNT_FEE, CONTRACT, SUCCEEDED, Builder, integers
from calibar.chains.facts import TOKEN as TOKEN_MOVED
from calibar.chains.remote.transfers_told import (
    NATIVE,
    Asset,
    Block,
    Holding,
    Movement,
    Movements,
    MovementsQuestion,
    Newest,
    TooMany,
    Transaction,
)
from calibar.ledger.case.accounts.laying import laid_out
from calibar.ledger.case.accounts.snapshot import CaseAccountSnapshot
from calibar.ledger.case.accounts.state import AccountState

ME, YOU, TOKEN = b"\1" * 20, b"\2" * 20, Asset(contract=b"\7" * 20)
TX = b"\5" * 32


def moved(amount: int, position: int | None = None, **other: Any) -> Movement:
    fields: dict[str, Any] = {"kind": "token", "txid": TX, "asset": TOKEN, "sender": YOU, "recipient": ME}
    return Movement(**{**fields, "amount": amount, "height": 5, "time": 50, "position": position, **other})


def state(*told: tuple[str, Any]) -> AccountState:
    made = AccountState("ethereum:1")
    for place, one in told:
        made.learn(one, place)
    return made


def listing(*rows: Movement, what: Any = "token", **other: Any) -> Movements:
    return Movements(ME, what, None, 0, rows, **other)


def amounts(made: AccountState) -> list[int]:
    return [amount for laid in laid_out(made) for amount in integers(laid.facts.amount)]


def snapshot(made: AccountState) -> CaseAccountSnapshot:
    return CaseAccountSnapshot(Path("case"), made)


def is_whole(made: AccountState, asset: Asset = TOKEN) -> bool:
    found = snapshot(made)
    address, token = found.find_address(ME), found.find_asset(found.asset_name(0))
    assert address is not None and token is not None
    holding = found.find_holding(token, address)
    assert holding is not None and found.asset_told(token) == asset
    return found.is_whole(holding)


def test_of_equal_rows_there_are_as_many_as_one_listing_has() -> None:
    assert amounts(state(("a", listing(moved(5), moved(5))), ("b", listing(moved(5))))) == [5, 5]
    assert amounts(state(("a", listing(moved(5))), ("b", listing(moved(5, 9))))) == [5]


def test_two_servers_that_number_one_transfer_differently_make_no_second_one() -> None:
    made = state(("a", listing(moved(5, 3))), ("b", listing(moved(5, 4))))
    assert amounts(made) == [5]


def test_a_transaction_has_one_fee_and_its_receipt_knows_it() -> None:
    fee: dict[str, Any] = {"kind": "fee", "asset": NATIVE, "sender": ME, "recipient": None}
    made = state(("a", listing(moved(7, **fee), what="value")), ("a", Transaction(TX, 5, True, (moved(9, **fee),))))
    assert amounts(made) == [9]
    (laid,) = laid_out(made)
    assert laid.facts.transfer_kind.tolist() == [BURNT_FEE]
    assert integers(laid.facts.tx_fee) == [9]


@pytest.mark.parametrize(
    ("words", "whole"),
    [
        ([("a", 8, 5)], True),
        ([("a", 8, 6)], False),
        ([], False),
        ([("a", 8, 5), ("b", 9, 5)], True),
        ([("a", 8, 5), ("b", 9, 0)], False),  # a fresh word says otherwise
        ([("a", 4, 5)], False),  # its server does not know the block of the last transfer
        ([("a", 0, 5)], False),
    ],
)
def test_a_history_is_whole_where_every_fresh_word_says_so(words: list[tuple[str, int, int]], whole: bool) -> None:
    made = state(("a", listing(moved(5))))
    for place, height, amount in words:
        made.learn(Newest(height), place)
        made.learn(Holding(ME, TOKEN, amount), place)
    assert is_whole(made) is whole


def test_a_word_is_stale_once_its_server_knows_a_later_block() -> None:
    made = state(("a", Newest(8)), ("a", listing(moved(5))), ("a", Holding(ME, TOKEN, 5)))
    assert is_whole(made)
    made.learn(Newest(9), "a")
    assert not is_whole(made)


def test_what_was_updated_long_ago_stands_up_to_its_servers_last_block() -> None:
    assert is_whole(state(("a", Newest(80)), ("a", listing(moved(5))), ("a", Holding(ME, TOKEN, 5, height=5))))


def test_a_cut_listing_is_never_whole() -> None:
    cut = listing(moved(5), capped=True, upto=4)
    assert not is_whole(state(("a", Newest(8)), ("a", cut), ("a", Holding(ME, TOKEN, 5))))


def test_one_server_that_claims_a_height_raises_no_tip() -> None:
    made = state(("a", Newest(100)), ("b", Newest(101)), ("liar", Newest(10**9)))
    assert made.tip == 101
    assert snapshot(made).tip()[0] == 101


@given(st.permutations([("a", moved(1)), ("b", moved(2)), ("a", moved(2)), ("c", moved(3, 7)), ("b", moved(3, 7))]))
def test_in_whatever_order_servers_tell_the_same_transfers_come_of_it(told: list[tuple[str, Movement]]) -> None:
    made = AccountState("ethereum:1")
    by_place: dict[str, list[Movement]] = {}
    for place, row in told:
        by_place.setdefault(place, []).append(row)
    for place, rows in by_place.items():
        made.learn(listing(*rows), place)
    assert sorted(amounts(made)) == [1, 2, 3]


OTHER = Asset(contract=b"\x08" * 20)


def at(height: int | None, amount: int, asset: Asset = TOKEN, time: int = 0) -> Movement:
    return moved(amount, None, height=height, time=time, txid=bytes([amount]) * 32, asset=asset)


def later(first: int, *rows: Movement, asset: Asset | None = None, **other: Any) -> Movements:
    return Movements(ME, "token", asset, first, rows, **other)


def test_a_listing_from_a_block_on_takes_the_place_of_the_later_part_alone() -> None:
    made = state(("a", listing(at(5, 1), at(6, 2), at(7, 3))), ("a", later(6, at(6, 2), at(8, 4))))
    assert amounts(made) == [1, 2, 4]
    assert made.left == [bytes([3]) * 32]
    assert made.is_listed(ME, TOKEN)


def test_rows_of_which_only_the_time_is_told_are_parted_by_the_time_of_the_first_block() -> None:
    before = listing(at(None, 1, time=50), at(None, 2, time=60), at(None, 3, time=70))
    made = state(("a", before), ("a", later(6, at(None, 2, time=60), at(None, 4, time=80), since=60)))
    assert sorted(amounts(made)) == [1, 2, 4]


def test_a_listing_of_one_token_speaks_for_that_token_in_the_listing_of_all() -> None:
    made = state(("a", listing(at(5, 1), at(6, 2), at(6, 3, OTHER))), ("a", later(6, at(7, 4), asset=TOKEN)))
    assert amounts(made) == [1, 3, 4]
    assert made.left == [bytes([2]) * 32]
    made.learn(listing(at(5, 1)), "a")
    assert amounts(made) == [1]


def test_what_another_server_still_lists_is_not_withdrawn() -> None:
    made = state(("a", listing(at(5, 1), at(6, 2))), ("b", listing(at(6, 2))), ("a", listing(at(5, 1))))
    assert sorted(amounts(made)) == [1, 2]
    assert made.left == []


def test_what_a_server_lists_no_more_it_does_not_tell_by_itself_either() -> None:
    row = at(6, 2)
    told = Transaction(row.txid, 6, True, (row,))
    made = state(("a", listing(at(5, 1), row)), ("a", told), ("a", listing(at(5, 1))))
    assert amounts(made) == [1]
    assert made.left == [row.txid]


def test_a_cut_listing_withdraws_nothing() -> None:
    made = state(("a", listing(at(5, 1), at(6, 2))), ("a", later(6, capped=True, upto=5, asset=TOKEN)))
    assert amounts(made) == [1, 2]


def test_a_listing_that_was_too_long_is_known_to_be_until_one_is_told() -> None:
    asked = MovementsQuestion(ME, "token", 1000, 0, None)
    made = state(("a", TooMany(asked)))
    assert made.too_many[ME, "token", None] == {"a": asked}
    made.learn(listing(at(5, 1)), "a")
    assert made.too_many[ME, "token", None] == {}


def block(height: int, mark: int, *txids: bytes) -> Block:
    builder = Builder()
    for txid in txids:
        row = builder.transaction(txid, SUCCEEDED, YOU, ME, YOU, 0)
        builder.transfer(row, TOKEN_MOVED, CONTRACT, TOKEN.contract or b"", YOU, ME, 5, 0)
    builder.end_block(height, bytes([mark]) * 32, bytes(32), height, 0)
    return Block(height, builder.facts())


def test_a_transaction_is_in_one_block_and_the_later_word_says_in_which() -> None:
    """A branch mined it again: were it in two whole blocks, the case could not be laid out any more."""
    one, two = b"\1" * 32, b"\2" * 32
    made = state(("a", block(5, 1, one, two)), ("a", block(6, 2, one)))
    assert snapshot(made).counts["transactions"] == 1
    assert (sorted(made.blocks), made.left, made.in_blocks()) == ([6], [two], {one})
    made.learn(block(5, 3, two), "a")
    assert (sorted(made.blocks), made.in_blocks()) == ([5, 6], {one, two})
    assert snapshot(made).counts["transactions"] == 2
    made.learn(block(6, 4), "a")
    assert (made.left, made.in_blocks()) == ([two, one], {two})


def known(made: AccountState) -> int:
    """How many of the transfers come before the first that ME's history may lack."""
    found = snapshot(made)
    address = found.find_address(ME)
    assert address is not None
    holding = found.find_holding(0, address)
    assert holding is not None
    answer = found.known_transfers(np.array([holding]))
    return int(answer[0])


def test_what_was_whole_up_to_a_block_stays_so_whatever_is_said_later() -> None:
    rows = listing(at(5, 1), at(6, 2), at(9, 4))
    first = [("a", Newest(8)), ("a", listing(at(5, 1), at(6, 2))), ("a", Holding(ME, TOKEN, 3))]
    later_word = [("a", Newest(12)), ("a", rows), ("a", Holding(ME, TOKEN, 5))]
    assert known(state(*first)) == 2
    assert known(state(*first, *later_word)) == 2
    assert known(state(*later_word)) == 0
    assert known(state(*first, *later_word, ("a", Holding(ME, TOKEN, 7)))) == 3


def test_a_server_that_always_said_otherwise_leaves_nothing_known() -> None:
    rows = listing(at(5, 1), at(6, 2))
    honest = [("a", Newest(8)), ("a", rows), ("a", Holding(ME, TOKEN, 3))]
    assert known(state(*honest, ("b", Newest(8)), ("b", Holding(ME, TOKEN, 5)))) == 0
    assert known(state(*honest, ("b", Newest(9)), ("b", Holding(ME, TOKEN, 5)))) == 0
    both = [*honest, ("b", Newest(8)), ("b", Holding(ME, TOKEN, 3))]
    assert known(state(*both, ("b", Newest(9)), ("b", Holding(ME, TOKEN, 5)))) == 2


def test_a_list_that_was_cut_takes_the_place_of_what_it_has_alone() -> None:
    rows = [at(5, 1), at(6, 2), at(7, 3), at(8, 4)]
    made = state(("a", Newest(9)), ("a", listing(*rows)), ("a", later(6, at(6, 5), capped=True, upto=6)))
    assert sorted(amounts(made)) == [1, 3, 4, 5]


def test_lists_that_do_not_adjoin_speak_for_what_is_after_the_gap() -> None:
    first = [("a", Newest(9)), ("a", listing(at(5, 1)))]
    made = state(*first, ("a", Newest(600)), ("a", later(500, at(550, 2))))
    assert made.listed[ME, "token"]["a", None].first == 500
    assert sorted(amounts(made)) == [1, 2]
    made = state(*first, ("a", Newest(600)), ("a", later(10, at(550, 2))))
    assert made.listed[ME, "token"]["a", None].first == 0


def test_a_word_from_before_a_transfer_without_a_height_is_stale() -> None:
    other = replace(at(None, 1, time=60), sender=ME, recipient=YOU)
    made = state(("a", Newest(8)), ("a", listing(at(None, 2, time=50))), ("a", Holding(ME, TOKEN, 2)))
    assert is_whole(made)
    made.learn(Newest(9), "b")
    made.learn(listing(at(None, 2, time=50), other), "b")
    made.learn(Holding(ME, TOKEN, 1), "b")
    assert is_whole(made)
    assert made.is_fresh(ME, TOKEN, "b")
    assert not made.is_fresh(ME, TOKEN, "a")
