"""Whether documents add up: balances, gaps, rows that stand twice, and events that belong together."""

from __future__ import annotations

from decimal import Decimal

import pytest
from given import read, table
from hypothesis import given
from hypothesis import strategies as st

from calibar.records.booked import booked, moved_on_chains
from calibar.records.checks import DAY, Finding, check, everything, joined
from calibar.records.events import events
from calibar.records.formats.format import Stated
from calibar.records.movement import Movement, Place, Statement
from calibar.records.reading import Read
from calibar.records.store import Delivery

D = Decimal


def delivered(*statements: Statement, name: str = "a.csv", period: str = "") -> Read:
    said = dict.fromkeys(
        ("sha256", "received_by", "custodian", "holder", "format", "account", "asset", "zone", "dates", "decimal",
         "certificate", "certificate_name"), "",
    )  # fmt: skip
    return Read(Delivery(**said, name=name, bytes=1, received_at=0, columns={}, period=period), list(statements), [])


def moved(time: int, change: str, *, kind: str = "deposit", asset: str = "BTC", balance: str | None = None,
          account: str = "7", row: int = 1, **facts: str) -> Movement:  # fmt: skip
    return Movement(
        time, account, "", asset, D(change), kind, kind, Place("a.csv", "", row),
        None if balance is None else D(balance), tuple(facts.items()),
    )  # fmt: skip


def statement(*movements: Movement, complete: bool = True) -> Statement:
    return Statement("bank", "A house", complete, list(movements))


def kinds(found: list[Finding]) -> list[str]:
    return [one.what for one in found]


BANK = "Fecha|Concepto|Débito|Crédito|Saldo\n"
STATED = Stated(account="1", asset="ARS", zone="UTC")


def test_a_stated_balance_re_adds_and_a_missing_row_is_found() -> None:
    rows = ["13/05/2024|a||100,00|150,00", "14/05/2024|b|30,00||120,00", "15/05/2024|c||5,50|125,50"]
    assert check([delivered(read(table(BANK + "\n".join(rows)), stated=STATED))]) == []
    (found,) = check([delivered(read(table(BANK + "\n".join([rows[0], rows[2]])), stated=STATED))])
    assert (found.what, found.is_wrong, found.place) == ("balance", True, Place("statement.csv", "", 3))
    assert found.text == "150 and +5.5 make 155.5, and it says 125.5"


def test_without_balances_less_than_nothing_is_found() -> None:
    rows = [moved(1, "1"), moved(2, "-0.4", row=2), moved(3, "-0.7", row=3)]
    (found,) = check([delivered(statement(*rows))])
    assert (found.what, found.text[:21], found.place) == (
        "below zero",
        "the rows leave -0.1: ",
        Place("a.csv", "", 3),
    )
    assert check([delivered(statement(moved(1, "-1"), moved(1, "1")))]) == []  # in one second, in whatever order


def test_overlapping_deliveries_count_a_row_once_and_repeats_stay() -> None:
    first = statement(moved(1, "1"), moved(2, "5"), moved(2, "5", row=2))
    rows = moved(2, "5", row=9), moved(3, "2", row=10)
    second = statement(*(one._replace(place=one.place._replace(file="b.csv")) for one in rows))
    reads = [delivered(first), delivered(second, name="b.csv")]
    assert [one.change for one in joined(reads)] == [D(1), D(5), D(5), D(2)]
    found = check(reads)
    assert kinds(found) == ["repeated row", "duplicate"]
    assert found[1].text == "1 rows of b.csv stand in a.csv too; counted once"


def test_gaps_between_deliveries() -> None:
    early, late = statement(moved(0, "1"), moved(DAY, "1")), statement(moved(5 * DAY, "1"))
    assert kinds(check([delivered(early), delivered(late, name="b.csv")])) == ["gap"]
    covered = delivered(early, period="1970-01-01/1970-01-05")
    assert check([covered, delivered(late, name="b.csv")]) == []


def test_half_a_trade_and_an_unknown_operation_are_said() -> None:
    found = check([delivered(statement(moved(1, "1", kind="trade"), moved(5, "2", kind="other", row=4)))])
    assert kinds(found) == ["unknown operation", "half a trade"]
    assert not any(one.is_wrong for one in found)


def test_a_list_of_deposits_stands_for_the_historys_rows() -> None:
    history = statement(moved(100, "1"), moved(200, "2"), moved(300, "-1", kind="withdrawal"))
    detail = statement(moved(130, "1", txid="ab" * 32), complete=False)
    found = moved_on_chains([delivered(history), delivered(detail, name="b.csv")])
    assert [(one.change, one.fact("txid")) for one in found] == [(D(1), "ab" * 32), (D(2), ""), (D(-1), "")]


def test_a_list_has_the_fee_apart_and_the_history_in_one() -> None:
    history = statement(moved(300, "-100", kind="withdrawal"), moved(900, "-100", kind="withdrawal", row=2))
    listed = statement(
        moved(310, "-99", kind="withdrawal", row=7, txid="ab" * 32), moved(310, "-1", kind="fee", row=7),
        complete=False,
    )  # fmt: skip
    found = [one.movement for one in booked([delivered(history), delivered(listed, name="b.csv")])]
    assert [(one.change, one.kind) for one in found] == [
        (D(-99), "withdrawal"),
        (D(-1), "fee"),
        (D(-100), "withdrawal"),
    ]
    apart = statement(moved(300, "-99", kind="withdrawal"), moved(300, "-1", kind="fee", row=2))
    found = [one.movement for one in booked([delivered(apart), delivered(listed, name="b.csv")])]
    assert sorted((one.change, one.fact("txid")) for one in found) == [(D(-99), "ab" * 32), (D(-1), "")]


def test_a_row_that_stands_for_both_keeps_the_balance_and_the_wallet() -> None:
    rows = moved(300, "-100", kind="withdrawal", balance="50")._replace(wallet="Spot")
    listed = statement(
        moved(310, "-99", kind="withdrawal", row=7, txid="ab" * 32), moved(310, "-1", kind="fee", row=7),
        complete=False,
    )  # fmt: skip
    found = [one.movement for one in booked([delivered(statement(rows)), delivered(listed, name="b.csv")])]
    assert [(one.change, one.wallet, one.balance) for one in found] == [(D(-99), "Spot", None), (D(-1), "Spot", D(50))]


def test_two_lists_of_one_name_and_two_spellings_of_one_house() -> None:
    first, second = (statement(moved(n, f"-{n}", kind="withdrawal", row=2), complete=False) for n in (5, 6))
    other = statement(moved(9, "1"))
    other.custodian = "a  HOUSE"
    found = booked([delivered(first), delivered(second), delivered(other, name="b.csv")])
    assert {one.custodian for one in found} == {"A house"}
    assert [one.movement.change for one in found] == [D(-5), D(-6), D(1)]


_EVENTS = st.lists(
    st.tuples(
        st.integers(0, 5), st.sampled_from(("1", "2")), st.sampled_from(("", "Spot")), st.sampled_from(("BTC", "USDT")),
        st.decimals(-100, 100, places=3).filter(bool), st.sampled_from(("deposit", "trade", "fee", "other")),
        st.sampled_from(("", "o1", "o2")),
    ),
    max_size=20,
)  # fmt: skip


@given(_EVENTS)
def test_events_lose_nothing_and_join_only_what_belongs_together(
    drawn: list[tuple[int, str, str, str, Decimal, str, str]],
) -> None:
    rows = [
        Movement(time, account, wallet, asset, change, kind, kind, Place("a", "", n), None, (("order", order),))
        for n, (time, account, wallet, asset, change, kind, order) in enumerate(drawn)
    ]
    found = list(events(rows))
    assert sorted(one.place.row for event in found for one in event.movements) == list(range(len(rows)))
    assert [event.movements[0].time for event in found] == sorted(event.movements[0].time for event in found)
    for event in found:
        assert len({(one.time, one.account, one.wallet) for one in event.movements}) == 1
        if len(event.movements) > 1:
            assert {one.kind for one in event.movements} <= {"trade", "fee"}
            assert len({one.fact("order") for one in event.movements}) == 1
        given_, received = event.given(), event.received()
        for asset in {one.asset for one in event.movements}:
            total = sum((one.change for one in event.movements if one.asset == asset and one.kind != "fee"), D(0))
            assert received.get(asset, D(0)) - given_.get(asset, D(0)) == total


@pytest.mark.parametrize("period", ["2024-01-01/2024-12-31", ""])
def test_the_same_answer_whatever_the_order_of_accounts(period: str) -> None:
    rows = [moved(n, "1", account=str(n % 3), row=n) for n in range(9)]
    one = check([delivered(statement(*rows), period=period)])
    other = check([delivered(statement(*rows), period=period)])
    assert one == other == []


def test_two_tables_of_one_delivery_overlap_too() -> None:
    one, other = statement(moved(1, "1"), moved(2, "5")), statement(moved(2, "5"), moved(3, "2"))
    assert [row.change for row in joined([delivered(one, other)])] == [D(1), D(5), D(2)]
    assert kinds(check([delivered(one, other)])) == ["duplicate"]


def test_balances_go_on_from_one_document_to_the_next() -> None:
    first = statement(moved(1, "100", balance="100"))
    good, bad = statement(moved(2, "5", balance="105")), statement(moved(2, "5", balance="905"))
    assert check([delivered(first), delivered(good, name="b.csv")]) == []
    assert kinds(check([delivered(first), delivered(bad, name="b.csv")])) == ["balance"]


def test_payments_to_two_people_are_two_and_equal_ones_of_one_list_are_two() -> None:
    ana, luis = (statement(moved(1, "-100", kind="fiat out", counterparty=name)) for name in ("Ana", "Luis"))
    assert len(joined([delivered(ana), delivered(luis, name="b.csv")])) == 2
    twice = statement(moved(1, "1", txid=""), moved(1, "1", txid=""), complete=False)
    assert len(moved_on_chains([delivered(twice)])) == 2
    assert len(everything([delivered(twice)])) == 2


def test_a_list_alone_is_shown_and_beside_a_history_not_twice() -> None:
    listed = statement(moved(130, "1", txid="ab" * 32), complete=False)
    assert len(everything([delivered(listed)])) == 1
    history = statement(moved(100, "1"))
    assert len(everything([delivered(history), delivered(listed, name="b.csv")])) == 1


def test_sums_are_exact_beyond_twenty_eight_digits() -> None:
    large, small = "12345678901.123456789012345678", "0.000000000000000001"
    rows = moved(1, large, balance=large), moved(2, small, balance="12345678901.123456789012345679")
    assert check([delivered(statement(*rows))]) == []
