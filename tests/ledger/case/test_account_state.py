"""Cases on account chains: what several servers tell becomes one history, and is whole only where all agree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.facts import BURNT_FEE, integers
from calibar.chains.remote.transfers_told import NATIVE, Asset, Holding, Movement, Movements, Newest, Transaction
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
