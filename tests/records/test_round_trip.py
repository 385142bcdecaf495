"""Any sequence of account events, written in any format and convention, reads back to the same balances."""

from __future__ import annotations

import csv
import io
import zipfile
from collections import defaultdict
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import openpyxl
import pytest
import xlwt
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import calibar
from calibar.records.checks import check, joined
from calibar.records.reading import Read, read_file
from calibar.records.store import Delivery

ZONE = "America/Argentina/Buenos_Aires"
Event = tuple[int, str, Decimal]
"""Seconds, asset, change."""
_TIMES = st.integers(1_577_836_800, 1_735_689_599)
_CHANGES = st.decimals(-(10**9), 10**9, places=8).filter(bool)
_FEW = st.decimals(-(10**6), 10**6, places=2).filter(bool)
"""What a spreadsheet's number holds exactly."""
_FORMS = ("history.csv", "history;csv", "history.xlsx texts", "history.xlsx numbers", "history.xls", "history.zip")
_BANKS = ("bank,dmy.csv", "bank.dmy.csv", "bank.xlsx")


def delivery(**said: str) -> Delivery:
    names = ("sha256", "name", "received_by", "custodian", "holder", "format", "account", "asset", "zone", "dates",
             "decimal", "period", "certificate", "certificate_name")  # fmt: skip
    return Delivery(**{**dict.fromkeys(names, ""), **said}, bytes=0, received_at=0, columns={})


def balances(read: Read) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for one in joined([read]):
        sums[one.asset] += one.change
    return {asset: total for asset, total in sums.items() if total}


def said(events: list[Event]) -> dict[str, Decimal]:
    sums: dict[str, Decimal] = defaultdict(Decimal)
    for _, asset, change in events:
        sums[asset] += change
    return {asset: total for asset, total in sums.items() if total}


def book(path: Path, rows: list[list[Any]]) -> Path:
    workbook = openpyxl.Workbook(write_only=True)
    sheet = workbook.create_sheet("Hoja 1")
    for row in rows:
        sheet.append(row)
    workbook.save(path)
    return path


def old_book(path: Path, rows: list[list[Any]]) -> Path:
    workbook = xlwt.Workbook()
    sheet = workbook.add_sheet("Hoja 1")
    for r, row in enumerate(rows):
        for c, cell in enumerate(row):
            sheet.write(r, c, cell)
    workbook.save(str(path))
    return path


def text(path: Path, rows: list[list[Any]], delimiter: str = ",") -> Path:
    out = io.StringIO(newline="")
    csv.writer(out, delimiter=delimiter).writerows(rows)
    path.write_text(out.getvalue(), "utf-8-sig")
    return path


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(_TIMES, st.sampled_from(("BTC", "USDT", "ETH")), _CHANGES), min_size=1, max_size=12),
    st.sampled_from(_FORMS),
    st.booleans(),
)
def test_an_exchanges_history(
    tmp_path_factory: pytest.TempPathFactory, events: list[Event], form: str, newest_first: bool
) -> None:
    folder = tmp_path_factory.mktemp("history")
    numbers = form.endswith(("numbers", ".xls"))
    if numbers:
        events = [(time, asset, round(change / 10**4, 2)) for time, asset, change in events]
        events = [event for event in events if event[2]] or [(1_700_000_000, "BTC", Decimal("1.25"))]
    rows: list[list[Any]] = [["User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark"]]
    for time, asset, change in sorted(events, reverse=newest_first, key=lambda event: event[0]):
        when: Any = datetime.fromtimestamp(time, UTC).replace(tzinfo=None)
        rows.append(
            ["35012345", when if numbers and form.endswith("numbers") else str(when), "Spot", "Deposit", asset,
             float(change) if numbers else f"{change:f}", "a, \"b\"; c"]
        )  # fmt: skip
    match form:
        case "history.csv":
            path = text(folder / "history.csv", rows)
        case "history;csv":
            path = text(folder / "history.csv", rows, ";")
        case "history.xls":
            path = old_book(folder / "history.xls", rows)
        case "history.zip":
            path = folder / "delivery.zip"
            with zipfile.ZipFile(path, "w") as packed:
                packed.write(text(folder / "history.csv", rows), "in/history.csv")
        case _:
            path = book(folder / "history.xlsx", rows)
    read = read_file(path, path.name, delivery())
    (statement,) = read.statements
    assert [one.time for one in statement.movements] == sorted(time for time, _, _ in events)
    assert balances(read) == said(events)
    assert read.statements[0].movements[0].place.file.startswith(path.name)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(st.tuples(_TIMES, _FEW), min_size=1, max_size=12), st.sampled_from(_BANKS))
def test_a_banks_extract_with_its_balances(
    tmp_path_factory: pytest.TempPathFactory, drawn: list[tuple[int, Decimal]], form: str
) -> None:
    folder, balance = tmp_path_factory.mktemp("bank"), Decimal(0)
    comma = form.startswith("bank,")

    def written(amount: Decimal) -> str:
        plain = f"{amount:,.2f}"
        return plain.translate(str.maketrans(",.", ".,")) if comma else plain

    rows: list[list[Any]] = [
        ["Banco de la Plaza"],
        [],
        ["Fecha", "Concepto", "Débito", "Crédito", "Saldo", "CBU contraparte"],
    ]
    drawn = sorted(drawn, key=lambda one: one[0])
    for time, change in drawn:
        balance += change
        when = datetime.fromtimestamp(time, ZoneInfo(ZONE))
        debit, credit = (-change, None) if change < 0 else (None, change)
        if form.endswith(".xlsx"):
            cells = [None if one is None else float(one) for one in (debit, credit, balance)]
            rows.append([when.replace(tzinfo=None), "Transferencia", *cells, None])
        else:
            cells_ = ["" if one is None else written(one) for one in (debit, credit, balance)]
            rows.append([when.strftime("%d/%m/%Y %H:%M:%S"), "Transferencia", *cells_, ""])
    path = book(folder / "extracto.xlsx", rows) if form.endswith(".xlsx") else text(folder / "extracto.csv", rows, ";")
    stated = delivery(custodian="B", account="1", asset="ARS", zone=ZONE, dates="dmy", decimal="," if comma else ".")
    read = read_file(path, path.name, stated)
    (statement,) = read.statements
    assert [(one.time, one.change) for one in statement.movements] == drawn
    assert check([read]) == [] or {one.what for one in check([read])} <= {"repeated row"}


def test_a_document_is_kept_as_it_came_and_read_anew(tmp_path: Path) -> None:
    rows = [["User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark"],
            ["35012345", "2024-05-01 12:00:00", "Spot", "Deposit", "BTC", "0.5", ""]]  # fmt: skip
    path, letter = text(tmp_path / "history.csv", rows), tmp_path / "carta.pdf"
    letter.write_bytes(b"%PDF-1.4 a letter")
    records = calibar.read_records(tmp_path / "case")
    found, new = records.add(path, certificate=letter, holder="Persona Uno", received_by="Oficial Dos")
    assert new
    again, other = records.add(path)
    assert (other, again.delivery) == (False, found.delivery)
    path.unlink()
    (kept,) = records.deliveries
    assert (kept.name, kept.holder, kept.certificate_name) == ("history.csv", "Persona Uno", "carta.pdf")
    (event,) = calibar.read_records(tmp_path / "case").events()
    assert str(event.movements[0].place) == "history.csv, row 2"
    assert (tmp_path / "case" / "records" / "files" / kept.certificate).read_bytes() == letter.read_bytes()
