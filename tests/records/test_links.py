"""What accounts share, with the rows that say it."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from calibar.records.links import KINDS, document, links, normal
from calibar.records.movement import Detail, Movement, Place, Statement
from calibar.records.reading import Read
from calibar.records.store import Delivery

SAID = dict.fromkeys(
    ("sha256", "received_by", "custodian", "holder", "format", "account", "asset", "zone", "dates", "decimal",
     "certificate", "certificate_name", "period"), "",
)  # fmt: skip


def read(custodian: str, *details: tuple[str, str, str], movements: list[Movement] | None = None) -> Read:
    rows = [
        Detail(account, what, value, 5, Place("k.csv", "", n)) for n, (account, what, value) in enumerate(details, 2)
    ]
    delivery = Delivery(**SAID, name="k.csv", bytes=1, received_at=0, columns={})
    return Read(delivery, [Statement("customers", custodian, False, movements or [], rows)], [])


def paid(account: str, address: str, row: int, kind: str = "withdrawal") -> Movement:
    change = Decimal(-1) if kind == "withdrawal" else Decimal(1)
    return Movement(9, account, "", "BTC", change, kind, kind, Place("w.csv", "", row), None, (("address", address),))


def test_what_two_accounts_share_whatever_its_form() -> None:
    found = links([
        read("House", ("1", "phone", "+54 11 5555-1234"), ("2", "phone", "541155551234"), ("1", "name", "Núñez  A"),
             ("3", "name", "NUNEZ A"), ("1", "ip", "2001:db8::1"), ("2", "ip", "2001:0DB8:0:0::1"),
             ("2", "device", "-"), ("3", "device", "-")),
        read("Other", ("1", "email", "A@x.example"), ("9", "email", "a@x.example ")),
    ])  # fmt: skip
    assert [(link.what, sorted(link.accounts)) for link in found] == [
        ("phone", ["House/1", "House/2"]),
        ("email", ["Other/1", "Other/9"]),
        ("ip", ["House/1", "House/2"]),
        ("name", ["House/1", "House/3"]),
    ]
    told = document(found[0])
    assert told["value"] == "+54 11 5555-1234"
    assert told["accounts"][1] == {
        "account": "House/2", "rows": [{"file": "k.csv", "sheet": "", "row": 3, "time": 5}],
    }  # fmt: skip


def test_addresses_that_two_accounts_withdraw_to() -> None:
    rows = [paid("1", "BC1QAR0", 2), paid("2", "bc1qar0", 3), paid("3", "1Abc", 4), paid("4", "1aBC", 5)]
    rows += [paid("5", "1Abc", 6, kind="deposit")]
    (link,) = links([read("House", movements=rows)])
    assert (link.what, sorted(link.accounts)) == ("withdrawal address", ["House/1", "House/2"])


def test_who_pays_another_accounts_own_bank_account() -> None:
    found = links([
        read("House", ("1", "bank account", "0000003-1 00012")),
        read("Bank", ("77", "counterparty's account", "0000003100012"), ("78", "counterparty's account", "999999")),
    ])  # fmt: skip
    assert [(link.what, sorted(link.accounts)) for link in found] == [("own account", ["Bank/77", "House/1"])]


@given(
    st.lists(
        st.tuples(st.sampled_from("123"), st.sampled_from(KINDS), st.sampled_from(("111111", "a", "b"))), max_size=12
    )
)
def test_each_link_is_shared_and_each_shared_value_a_link(details: list[tuple[str, str, str]]) -> None:
    found = [link for link in links([read("House", *details)]) if link.what != "own account"]
    wanted = {
        (what, normal(what, value))
        for _, what, value in details
        if len({who for who, kind, other in details if (kind, normal(what, other)) == (what, normal(what, value))}) > 1
    }
    assert {(link.what, normal(link.what, link.value)) for link in found} == wanted
    for link in found:
        rows = sum(len(seen) for seen in link.accounts.values())
        assert rows == sum((what, normal(what, v)) == (link.what, normal(what, link.value)) for _, what, v in details)
