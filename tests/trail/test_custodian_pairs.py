"""Which rows of two accounts are one payment, and P2P orders as trades."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from calibar.errors import UsageError
from calibar.records.movement import Detail, Movement, Place, Statement
from calibar.records.reading import Read
from calibar.records.store import Delivery
from calibar.trail.custodians.joined import trace
from calibar.trail.custodians.pairs import BETWEEN
from calibar.trail.document import Trail
from calibar.trail.policy import Policy

SAID = dict.fromkeys(
    ("sha256", "received_by", "custodian", "holder", "format", "account", "asset", "zone", "dates", "decimal",
     "certificate", "certificate_name", "period"), "",
)  # fmt: skip
DAY = 86_400
TO: dict[str, Any] = {"counterparty account": "22 2"}


def row(
    number: int, account: str, change: str, kind: str, asset: str = "ARS", time: int = 0, balance: str | None = None,
    **facts: Any,
) -> Movement:  # fmt: skip
    stated = None if balance is None else Decimal(balance)
    return Movement(
        time or number * 60, account, "", asset, Decimal(change), kind, kind, Place("a.csv", "", number), stated,
        tuple(facts.items()),
    )  # fmt: skip


def followed(
    *statements: tuple[str, list[Movement], list[Detail]], ref: str = "record:a.csv:2", **policy: Any
) -> Trail:
    delivery = Delivery(**SAID, name="a.csv", bytes=1, received_at=0, columns={})
    made = [Statement("made", who, True, movements, details) for who, movements, details in statements]
    return trace([ref], [], [Read(delivery, made, [])], Policy(unit="record", **policy))


def rests(trail: Trail) -> dict[tuple[str, str], tuple[str, str]]:
    return {(r["account"], r["asset"]): (r["reason"], r["traced"]["S0"]) for r in trail.holdings}


def known(account: str, what: str, value: str) -> Detail:
    return Detail(account, what, value, None, Place("k.csv", "", 2))


def test_a_payment_between_two_banks_by_the_account_that_one_names() -> None:
    out = [row(2, "111", "100", "fiat in"), row(3, "111", "-60", "fiat out", **TO)]
    into = [row(4, "222", "60", "fiat in"), row(5, "222", "-10", "fiat out", counterparty="a shop")]
    found = rests(followed(("North", out, []), ("South", into, [])))
    assert found == {
        ("North/111", "ARS"): ("in the account", "40"),
        ("South/222", "ARS"): ("in the account", "50"),
        ("a shop", "ARS"): ("no record", "10"),
    }


@pytest.mark.parametrize(
    ("change", "time"), [("61", 0), ("60", 3 * 60 + BETWEEN + 1)], ids=["another amount", "too late"]
)
def test_what_is_no_pair(change: str, time: int) -> None:
    out = [row(2, "111", "100", "fiat in"), row(3, "111", "-60", "fiat out", **TO)]
    found = rests(followed(("North", out, []), ("South", [row(4, "222", change, "fiat in", time=time)], [])))
    assert found["22 2", "ARS"] == ("no record", "60")


def test_the_nearest_of_two_and_each_once() -> None:
    out = [row(2, "111", "100", "fiat in"), row(3, "111", "-50", "fiat out", time=DAY, **TO)]
    out.append(row(4, "111", "-50", "fiat out", time=2 * DAY, **TO))
    into = [row(5, "222", "50", "fiat in", time=DAY + 5), row(6, "222", "50", "fiat in", time=2 * DAY + 5)]
    trail = followed(("North", out, []), ("South", into, []))
    assert rests(trail) == {("South/222", "ARS"): ("in the account", "100")}
    assert [[place["row"] for place in step["record"]] for step in trail.steps] == [[3, 5], [4, 6]]


def test_a_sale_to_a_person_goes_on_in_the_sellers_bank_account() -> None:
    order: dict[str, Any] = {"fiat": "ARS", "total": "1,200.00", "counterparty": "buyer", "price": "120"}
    exchange = [row(2, "9", "30", "deposit", "USDT"), row(3, "9", "-10", "p2p", "USDT", **order)]
    bank = [row(4, "777", "1200.00", "fiat in"), row(5, "777", "-200.00", "fiat out")]
    person = [known("9", "bank account", "777")]
    trail = followed(("House", exchange, person), ("Bank", bank, []))
    found = rests(trail)
    assert found["House/9", "USDT"] == ("in the account", "20")
    assert found["Bank/777", "ARS"] == ("in the account", "100000")
    assert trail.steps[0]["by"]["given"] == {"asset": "USDT", "value": "10"}
    assert trail.steps[0]["by"]["received"] == {"asset": "ARS", "value": "120000"}
    named = [row(4, "777", "1200.00", "fiat in", counterparty="Buyer")]
    assert rests(followed(("House", exchange, []), ("Bank", named, [])))["Bank/777", "ARS"][1] == "120000"
    nobody = rests(followed(("House", exchange, []), ("Bank", bank, [])))
    assert nobody["buyer", "USDT"] == ("no record", "10")


def test_a_purchase_from_a_person_is_paid_from_the_bank() -> None:
    order: dict[str, Any] = {"fiat": "ARS", "total": "500", "counterparty": "seller"}
    bank = [row(2, "777", "800", "fiat in"), row(3, "777", "-500", "fiat out", time=999)]
    exchange = [row(4, "9", "4", "p2p", "USDT", time=900, **order)]
    found = rests(followed(("Bank", bank, []), ("House", exchange, [known("9", "bank account", "777")])))
    assert found == {("Bank/777", "ARS"): ("in the account", "300"), ("House/9", "USDT"): ("in the account", "4")}


def test_what_an_account_had_before_is_clean_and_what_it_lacks_ends_the_trail() -> None:
    had = [row(2, "1", "50", "fiat in", balance="150"), row(3, "1", "-120", "fiat out", counterparty="x", balance="30")]
    assert rests(followed(("Bank", had, []), method="fifo"))["x", "ARS"][1] == "20"
    assert rests(followed(("Bank", had, []), method="lifo"))["x", "ARS"][1] == "50"
    lacks = [row(2, "1", "50", "fiat in"), row(3, "1", "-120", "fiat out", counterparty="x")]
    assert rests(followed(("Bank", lacks, []))) == {("Bank/1", "ARS"): ("incomplete history", "50")}


def test_half_a_trade_ends_the_trail_and_several_legs_are_one() -> None:
    legs = [row(2, "1", "100", "fiat in"), row(3, "1", "-40", "trade", time=500), row(4, "1", "-60", "trade", time=500)]
    bought = [row(5, "1", "0.5", "trade", "BTC", time=500), row(6, "1", "0.3", "trade", "BTC", time=500)]
    trail = followed(("House", [*legs, *bought], []))
    assert rests(trail) == {("House/1", "BTC"): ("in the account", "8")}
    assert rests(followed(("House", legs, [])))["trade of House/1", "ARS"] == ("half a trade", "100")


def test_the_sheet_tells_rows_of_one_number_apart() -> None:
    first, second = row(2, "1", "10", "fiat in"), row(2, "2", "20", "fiat in", asset="USD")
    sheets = [first._replace(place=Place("a.csv", "one", 2)), second._replace(place=Place("a.csv", "two", 2))]
    with pytest.raises(UsageError, match="name the sheet, or the file by"):
        followed(("House", sheets, []))
    assert rests(followed(("House", sheets, []), ref="record:a.csv:two:2")) == {
        ("House/2", "USD"): ("in the account", "20")
    }
