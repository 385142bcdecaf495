"""What rows of each format say: by hand, with the place of every fact."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from decimal import Decimal

import pytest
from given import Given, read, table
from hypothesis import given
from hypothesis import strategies as st

from calibar.errors import CalibarError, DecodeError, UsageError
from calibar.records.events import events
from calibar.records.formats import FORMATS, format_called
from calibar.records.formats.binance import kind_of
from calibar.records.formats.format import Format, Stated
from calibar.records.formats.mapped import format_of
from calibar.records.movement import KINDS, Place
from calibar.records.tables.cells import Broken, Rounded

D = Decimal
HISTORY = """
User_ID|UTC_Time|Account|Operation|Coin|Change|Remark
35012345|2024-05-01 12:00:00|Spot|Deposit|USDT|1000.5|
35012345|2024-05-01 12:10:07|Spot|Transaction Spend|USDT|-600|
35012345|2024-05-01 12:10:07|Spot|Transaction Buy|BTC|0.00600000|
35012345|2024-05-01 12:10:07|Spot|Transaction Spend|USDT|-400|
35012345|2024-05-01 12:10:07|Spot|Transaction Buy|BTC|0.004|
35012345|2024-05-01 12:10:07|Spot|Transaction Fee|BNB|-0.001|
35012345|2024-05-01 12:10:07|Funding|Binance Pay|USDT|-0.5|to 77
35012345|2024-05-01 13:00:00|Spot|Withdraw|BTC|-0.01|Withdraw fee is included
35012345|2024-05-01 14:00:00|Spot|Moon Dust Party|DOGE|5|
"""


def test_binance_history_one_event_is_several_rows() -> None:
    said = read(table(HISTORY))
    assert (said.format, said.custodian, said.complete) == ("binance-history", "Binance", True)
    assert said.movements[0].time == 1714564800
    found = list(events(said.movements))
    assert [event.kind for event in found] == ["deposit", "trade", "transfer", "withdrawal", "other"]
    trade = found[1]
    assert (trade.given(), trade.received()) == ({"USDT": D(1000)}, {"BTC": D("0.01")})
    assert [one.place.row for one in trade.movements] == [3, 4, 5, 6, 7]
    assert [one.kind for one in trade.movements].count("fee") == 1
    assert trade.whole
    assert found[2].movements[0].fact("remark") == "to 77"
    assert found[0].movements[0].place == Place("statement.csv", "", 2)


def test_newest_first_is_turned_round() -> None:
    lines = HISTORY.strip().splitlines()
    said = read(table("\n".join([lines[0], *reversed(lines[1:])])))
    assert [one.change for one in said.movements] == [one.change for one in read(table(HISTORY)).movements]


def test_letterheads_repeated_headers_totals_and_ragged_rows() -> None:
    lines = HISTORY.strip().splitlines()
    text = "\n".join(["Binance|Holdings", "Report of|2024", *lines[:3], lines[0], *lines[3:], "||||Total|5"])
    said = read(table(text))
    assert len(said.movements) == 9
    assert said.movements[0].place.row == 4


CHAIN = "Date(UTC)|Coin|Network|Amount|TransactionFee|Address|TXID|SourceAddress|PaymentID|Status"


def test_deposits_and_withdrawals_by_what_the_sheet_is_called() -> None:
    rows = f"{CHAIN}\n2024-05-01 12:00:00|BTC|BTC|0.5|0.0001|bc1qxyz|{'ab' * 32}|||Completed\n" + (
        f"2024-05-02 12:00:00|BTC|BTC|0.7|0|bc1qxyz|{'cd' * 32}|||Failed"
    )
    out = read(table(rows, "withdraw_history.csv"), "binance-withdrawals", Stated(account="35012345"))
    assert [(one.change, one.kind) for one in out.movements] == [(D("-0.5"), "withdrawal"), (D("-0.0001"), "fee")]
    assert out.movements[0].fact("txid") == "ab" * 32
    assert out.passed_over == [(Place("withdraw_history.csv", "", 3), "its status is 'Failed'")]
    into = read(table(rows, "deposits.csv"), "binance-deposits", Stated(account="35012345"))
    assert (into.movements[0].change, into.movements[0].kind, into.complete) == (D("0.5"), "deposit", False)
    with pytest.raises(UsageError, match="state it by --account"):
        read(table(rows, "deposits.csv"), "binance-deposits")


def test_spot_trades_have_their_units_in_the_cell() -> None:
    text = """
Date(UTC)|Pair|Side|Price|Executed|Amount|Fee
2024-05-01 12:00:00|BTCUSDT|BUY|60000|0.5BTC|30000USDT|0.0005BTC
2024-05-01 12:00:01|BTCUSDT|SELL|61000|0.25BTC|15250USDT|15.25USDT
"""
    said = read(table(text), stated=Stated(account="1"))
    assert [(one.asset, one.change) for one in said.movements] == [
        ("BTC", D("0.5")), ("USDT", D(-30000)), ("BTC", D("-0.0005")),
        ("BTC", D("-0.25")), ("USDT", D(15250)), ("USDT", D("-15.25")),
    ]  # fmt: skip
    first, second = events(said.movements)
    assert (first.given(), first.received()) == ({"USDT": D(30000)}, {"BTC": D("0.5")})
    assert (second.given(), second.received()) == ({"BTC": D("0.25")}, {"USDT": D(15250)})


def test_p2p_orders_keep_the_counterpartys_account() -> None:
    text = """
Order Number|Order Type|Asset Type|Fiat Type|Total Price|Price|Quantity|Couterparty|Payment Account|Status|Created Time
20512345678901234567|Sell|USDT|ARS|1250000.50|1250|1000.0004|pepe|0000003100010000000001|Completed|2024-05-01 12:00:00
20512345678901234568|Buy|USDT|ARS|1250|1250|1|ana||Cancelled|2024-05-01 12:00:00
"""
    said = read(table(text), stated=Stated(account="1"))
    (one,) = said.movements
    assert (one.change, one.kind, one.fact("order"), one.fact("fiat"), one.fact("total")) == (
        D("-1000.0004"), "p2p", "20512345678901234567", "ARS", "1250000.50",
    )  # fmt: skip
    assert [(d.what, d.value) for d in said.details] == [
        ("counterparty's account", "0000003100010000000001"), ("counterparty", "pepe"),
    ]  # fmt: skip
    assert len(said.passed_over) == 1


BANK = """
Banco de la Plaza|||||
Fecha|Concepto|Débito|Crédito|Saldo|CBU contraparte
02/05/2024|Transferencia recibida||1.000.000,00|1.250.000,50|0000003100010000000001
02/05/2024|Transferencia enviada|999.999,99||250.000,51|2850590940090418135201
13/05/2024|Impuesto|1.000,00||249.000,51|
"""


def test_a_banks_extract_in_spanish() -> None:
    stated = Stated(account="2850590940090418135202", asset="ARS", zone="America/Argentina/Buenos_Aires")
    said = read(table(BANK), stated=stated)
    assert [(one.change, one.kind, one.balance) for one in said.movements] == [
        (D("1000000.00"), "fiat in", D("1250000.50")),
        (D("-999999.99"), "fiat out", D("250000.51")),
        (D("-1000.00"), "fiat out", D("249000.51")),
    ]
    assert said.movements[0].time == 1714662000
    assert said.movements[0].fact("counterparty account") == "0000003100010000000001"
    with pytest.raises(UsageError, match="--asset"):
        read(table(BANK), stated=Stated(account="1", zone="UTC"))
    with pytest.raises(UsageError, match="zone"):
        read(table(BANK), stated=Stated(account="1", asset="ARS"))
    both = BANK.replace("||1.000.000,00|", "|5,00|1.000.000,00|")
    with pytest.raises(DecodeError, match="a debit and a credit at once"):
        read(table(both), stated=stated)


def test_logins_and_customers_are_details() -> None:
    text = "User ID|Login Time|IP Address|Device Name\n35012345|2024-05-01 10:00:00|181.1.2.3|Pixel 8"
    said = read(table(text), stated=Stated(zone="UTC"))
    assert [(d.account, d.what, d.value, d.time) for d in said.details] == [
        ("35012345", "ip", "181.1.2.3", 1714557600), ("35012345", "device", "Pixel 8", 1714557600),
    ]  # fmt: skip
    said = read(table("User ID|Name|Phone|CBU\n35012345|Persona Uno|+54 11 5555 0000|2850590940090418135201"))
    assert [(d.what, d.value) for d in said.details] == [
        ("name", "Persona Uno"), ("phone", "+54 11 5555 0000"), ("bank account", "2850590940090418135201"),
    ]  # fmt: skip


def test_any_table_by_columns_that_are_named() -> None:
    text = "cuándo|qué|cuánto|hash\n2024-05-01 12:00|Envío a billetera|-0,5|" + "ab" * 32
    mapping = format_of("mi-banco", {"time": "Cuando", "operation": "QUÉ", "change": "cuanto", "txid": "hash"})
    said = mapping.read(table(text), Stated(account="7", asset="btc", zone="UTC"))
    assert said is not None
    (one,) = said.movements
    assert (one.change, one.asset, one.kind, one.operation) == (D("-0.5"), "BTC", "withdrawal", "Envío a billetera")
    for wrong in ({"time": "a"}, {"change": "a"}, {"time": "a", "change": "b", "colour": "c"}):
        with pytest.raises(UsageError):
            format_of("x", wrong)
    with pytest.raises(UsageError, match="no name for a mapping"):
        format_of("Mi Banco", {"time": "a", "change": "b"})


@pytest.mark.parametrize(
    ("column", "cell", "why"),
    [
        (0, Rounded("123456789012345678"), "lost digits"),
        (0, "1.23457E+17", "lost digits"),
        (5, Rounded("123456789012345678"), "15 digits"),
        (5, Broken("#REF!"), "no value"),
        (5, None, "amount is missing"),
        (5, "1.23E+05", "rounded"),
        (1, "yesterday", "is no time"),
        (4, Broken("#N/A"), "no value"),
        (4, "", "nobody says what is moved"),
    ],
)
def test_a_cell_that_cannot_be_trusted_is_refused_with_its_place(column: int, cell: object, why: str) -> None:
    rows: list[list[object]] = [list(line.split("|")) for line in HISTORY.strip().splitlines()]
    rows[3][column] = cell
    with pytest.raises(CalibarError, match=rf"history\.xlsx, sheet Hoja 1, row 4.*{why}"):
        read(Given("history.xlsx", "Hoja 1", rows))  # type: ignore[arg-type]


def test_every_kind_is_one_that_there_is() -> None:
    words = ("Deposit", "Withdraw", "Fee", "P2P Trading", "Binance Convert", "Fiat Deposit", "Airdrop Assets", "x")
    assert {kind_of(word) for word in words} <= set(KINDS)
    assert kind_of("Transfer Between Main Account/Futures and Margin Account") == "own"
    assert len({one.name for one in FORMATS}) == len(FORMATS)
    with pytest.raises(UsageError, match="binance-history"):
        format_called("nothing")


NAMES = {"time": "t", "asset": "c", "amount": "a", "side": "s"}


@pytest.mark.parametrize(
    ("side", "sign"),
    [
        ("Débito", -1),
        ("DEBIT", -1),
        ("D", -1),
        ("withdrawal", -1),
        ("Venta", -1),
        ("Crédito", 1),
        ("buy", 1),
        ("Ingreso", 1),
    ],
)
def test_a_side_says_the_sign(side: str, sign: int) -> None:
    said = format_of("x", NAMES).read(table(f"t|c|a|s\n2024-05-01 12:00|BTC|100.50|{side}"), Stated("7", zone="UTC"))
    assert said is not None
    assert said.movements[0].change == sign * D("100.5")


def test_an_amount_without_a_known_side_is_refused() -> None:
    with pytest.raises(DecodeError, match="neither in nor out"):
        format_of("x", NAMES).read(table("t|c|a|s\n2024-05-01 12:00|BTC|1|sideways"), Stated("7", zone="UTC"))
    with pytest.raises(UsageError, match="has no sign"):
        format_of("x", {"time": "t", "amount": "a"})


def test_units_that_contradict_the_row_are_refused() -> None:
    with pytest.raises(DecodeError, match="an amount is of 'USDT' and the row of 'BTC'"):
        read(table(HISTORY.replace("|BTC|0.004|", "|BTC|0.004USDT|")))
    with pytest.raises(DecodeError, match="'USD'"):
        read(table(BANK.replace("|1.000,00|", "|USD 1.000,00|")), stated=Stated(account="1", asset="ARS", zone="UTC"))


def test_an_asset_may_begin_with_digits() -> None:
    text = (
        "Date(UTC)|Pair|Side|Price|Executed|Amount|Fee\n2024-05-01 12:00:00|1INCHUSDT|BUY|0.4|12.51INCH|5USDT|0.01BNB"
    )
    said = read(table(text), stated=Stated(account="1"))
    assert [(one.asset, one.change) for one in said.movements] == [
        ("1INCH", D("12.5")), ("USDT", D(-5)), ("BNB", D("-0.01")),
    ]  # fmt: skip


def test_a_row_without_its_time_is_not_lost() -> None:
    stated = Stated(account="1", asset="ARS", zone="UTC")
    header = "Fecha|Concepto|Débito|Crédito|Saldo"
    with pytest.raises(DecodeError, match=r"row 3.*an amount in a row without a time"):
        read(table(f"{header}\n13/01/2024|a||100,50|100,50\n|b||50,25|150,75"), stated=stated)
    with pytest.raises(DecodeError, match="a header that is not the first one's"):
        read(table(f"{header}\n13/01/2024|a||1,50|1,50\nFecha|Concepto|Crédito|Débito|Saldo"), stated=stated)
    said = read(
        table(f"{header}\n13/01/2024|Saldo inicial|||1.000,00\n14/01/2024|a||1,50|1.001,50\n|Total||1,50|"),
        stated=stated,
    )
    assert [one.kind for one in said.movements] == ["balance", "fiat in"]
    assert said.passed_over == [(Place("statement.csv", "", 4), "it has no time and says that it adds up")]
    assert [event.kind for event in events(said.movements)] == ["fiat in"]


def test_a_header_s_offset_is_its_zone() -> None:
    mapping = format_of("x", {"time": "Fecha (UTC-3)", "change": "a"})
    said = mapping.read(table("Fecha (UTC-3)|a\n2024-05-01 09:00:00|1.5"), Stated("7", "ARS"))
    assert said is not None
    assert said.movements[0].time == 1714564800
    with pytest.raises(UsageError, match="leave it out"):
        read(table(HISTORY), stated=Stated(zone="America/Argentina/Buenos_Aires"))


def test_days_that_a_spreadsheet_may_have_taken_for_months_are_refused() -> None:
    rows: list[list[object]] = [["Fecha", "Concepto", "Débito", "Crédito", "Saldo"]]
    rows += [["13/01/2024", "a", None, D(1), D(1)], [datetime(2024, 5, 2), "b", None, D(1), D(2)]]
    with pytest.raises(DecodeError, match="may have taken days for months"):
        read(Given("a.xlsx", "Hoja 1", rows), stated=Stated(account="1", asset="ARS", zone="UTC"))  # type: ignore[arg-type]


@pytest.mark.parametrize("status", ["Pendiente", "Fallido", "Expirado", "Declined", "Reversed", "En proceso", "Error"])
def test_what_did_not_happen_moves_nothing(status: str) -> None:
    row = f"{CHAIN}\n2024-05-01 12:00:00|BTC|BTC|0.5|0|x||||{status}"
    assert read(table(row, "deposits.csv"), "binance-deposits", Stated(account="1")).movements == []
    doubtful = read(table(row.replace(status, "Quién sabe"), "deposits.csv"), "binance-deposits", Stated(account="1"))
    assert (len(doubtful.movements), len(doubtful.doubts)) == (1, 1)


def test_columns_in_other_scripts_are_told_apart() -> None:
    mapping = format_of("x", {"time": "Fecha", "change": "金额"})
    said = mapping.read(table("Fecha|数量|金额\n2024-05-01 12:00|1.5|99.25"), Stated("7", "CNY", "UTC"))
    assert said is not None
    assert said.movements[0].change == D("99.25")


@pytest.mark.parametrize("cell", [Rounded("2850590940090420000000"), "2,85059E+21", "1E+17"])
def test_a_persons_numbers_must_be_whole(cell: object) -> None:
    rows = [["User ID", "Name", "CBU"], ["1", "Persona Uno", cell]]
    with pytest.raises(DecodeError, match="lost digits"):
        read(Given("kyc.xlsx", "", rows))  # type: ignore[arg-type]


def test_deposits_with_a_column_more_are_deposits() -> None:
    from calibar.records.reading import _read_table  # noqa: PLC0415 - how a table finds its format
    from calibar.records.store import Delivery  # noqa: PLC0415

    told = (
        "sha256",
        "name",
        "received_by",
        "custodian",
        "holder",
        "format",
        "account",
        "asset",
        "zone",
        "dates",
        "decimal",
    )
    said = dict.fromkeys((*told, "period", "certificate", "certificate_name"), "")
    delivery = Delivery(**said, bytes=0, received_at=0, columns={})
    rows = "Date(UTC)|Coin|Network|Amount|Address|TXID|Status|IP\n2024-05-01 12:00:00|BTC|BTC|1.5|x|y|Completed|1.2.3.4"
    found = _read_table(table(rows, "deposits.csv"), delivery, Stated(account="1"))
    assert found is not None
    assert (found.format, found.movements[0].change) == ("binance-deposits", D("1.5"))
    assert _read_table(table("User ID|Nombre|Fecha|Importe\n1|P|2024-01-01|5"), delivery, Stated(zone="UTC")) is None


_CELLS = (
    ("1", "2", "3"), ("2024-05-01 12:00:00", "2024-05-02 13:10:07"), ("Spot", " Spot  Two", ""),
    ("Withdraw", "Deposit", "Nobody knows", ""), ("BTC", "usdt"), ("1.5", "-2", "0", "1,234.5", "7", "5BTC"),
    ("", "", "a  b"),
)  # fmt: skip


@given(st.lists(st.tuples(*map(st.sampled_from, _CELLS)), max_size=6))
def test_rows_read_quickly_are_those_read_one_by_one(rows: list[tuple[str, ...]]) -> None:
    """The same statement, or the same refusal."""
    form = format_called("binance-history")
    given_ = Given("a.csv", "", [HISTORY.strip().splitlines()[0].split("|"), *map(list, rows)])

    def told(one: Format) -> object:
        try:
            return one.read(given_, Stated())
        except CalibarError as error:
            return str(error)

    assert told(form) == told(replace(form, plainly=None))
