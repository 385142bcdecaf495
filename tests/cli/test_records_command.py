"""`calibar records`: documents of an exchange and a bank into a case, checked, shown, matched to the chain."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from running import refused, run_calibar, succeeds

from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot
from calibar.records.chains import chain_of
from calibar.records.matching import Found
from calibar.records.store import NAME, Records
from calibar.sandbox.truth import Truth

HEAD = "User_ID,UTC_Time,Account,Operation,Coin,Change,Remark"
HISTORY = f"""{HEAD}
35012345,2024-05-01 12:00:00,Spot,Deposit,USDT,1000.5,
35012345,2024-05-01 12:10:07,Spot,Transaction Spend,USDT,-600,
35012345,2024-05-01 12:10:07,Spot,Transaction Buy,BTC,0.006,
35012345,2024-05-01 12:10:07,Spot,Transaction Fee,BNB,-0.001,
35012345,2024-05-01 13:00:00,Spot,Withdraw,BTC,-0.006,
"""
CHAIN = "Date(UTC),Coin,Network,Amount,Address,TXID,Status"


@pytest.fixture
def case(tmp_path: Path) -> Path:
    return tmp_path / "case"


def put(path: Path, text: str) -> Path:
    path.write_text(text, "utf-8")
    return path


def test_import_says_what_was_read_and_keeps_it_once(tmp_path: Path, case: Path) -> None:
    path = put(tmp_path / "history.csv", HISTORY)
    (row,) = succeeds("records", "import", path, "--case", case, "--json", "-").document["imported"]
    (table,) = row["tables"]
    assert (table["format"], table["custodian"], table["accounts"]) == ("binance-history", "Binance", ["35012345"])
    assert (table["movements"], table["first"], table["last"], row["new"]) == (5, 1714564800, 1714568400, True)
    again = succeeds("records", "import", path, "--case", case)
    assert again.out.decode().endswith("It was here already.\n")
    assert len(Records(case).deliveries()) == 1


def test_show_puts_a_trade_together_with_its_rows(tmp_path: Path, case: Path) -> None:
    succeeds("records", "import", put(tmp_path / "history.csv", HISTORY), "--case", case)
    events = succeeds("records", "show", "--case", case, "--json", "-").document["events"]
    assert [event["kind"] for event in events] == ["deposit", "trade", "withdrawal"]
    assert [(one["asset"], one["change"], one["place"]["row"]) for one in events[1]["movements"]] == [
        ("USDT", "-600", 3), ("BTC", "0.006", 4), ("BNB", "-0.001", 5),
    ]  # fmt: skip
    screen = succeeds("records", "show", "--case", case, "--asset", "btc").out.decode()
    assert "+0.006 BTC" in screen
    assert "USDT" not in screen
    assert screen.endswith("2 events: 1 trade, 1 withdrawal\n")


def test_check_ends_with_one_where_it_does_not_add_up(tmp_path: Path, case: Path) -> None:
    succeeds("records", "import", put(tmp_path / "history.csv", HISTORY), "--case", case)
    done = run_calibar("records", "check", "--case", case, "--json", "-")
    assert (done.code, done.document["adds_up"]) == (1, False)
    assert [(one["what"], one["asset"]) for one in done.document["findings"]] == [("below zero", "BNB")]
    with_fee = HISTORY.replace(f"{HEAD}\n", f"{HEAD}\n35012345,2024-05-01 11:00:00,Spot,Distribution,BNB,1,\n")
    other = tmp_path / "whole"
    succeeds("records", "import", put(tmp_path / "whole.csv", with_fee), "--case", other)
    assert succeeds("records", "check", "--case", other).out == b"Nothing contradicts itself.\n"


def test_columns_that_are_named_once_are_a_mapping_of_the_case(tmp_path: Path, case: Path) -> None:
    path = put(tmp_path / "uno.csv", "Fecha;Importe;Moneda\n13/05/2024 10:00;-1.234,50;ARS\n")
    names = ("--column", "time=Fecha", "--column", "change=Importe", "--column", "asset=Moneda")
    told = ("--custodian", "Billetera X", "--account", "7", "--zone", "America/Argentina/Buenos_Aires")
    succeeds("records", "import", path, "--case", case, "--mapping", "billetera-x", *names, *told)
    second = put(tmp_path / "dos.csv", "Fecha;Importe;Moneda\n14/05/2024 10:00;2.000,00;ARS\n")
    succeeds("records", "import", second, "--case", case, "--mapping", "billetera-x", *told)
    events = succeeds("records", "show", "--case", case, "--json", "-").document["events"]
    assert [event["movements"][0]["change"] for event in events] == ["-1234.5", "2000"]
    assert events[0]["time"] == 1715605200
    assert "billetera-x" in refused("records", "import", path, "--case", case, "--mapping", "other", *told)


def test_a_row_that_cannot_be_read_refuses_the_file_whole(tmp_path: Path, case: Path) -> None:
    succeeds("records", "import", put(tmp_path / "history.csv", HISTORY), "--case", case)
    before = sorted(path.name for path in (case / "records").rglob("*"))
    bad = put(tmp_path / "bad.csv", HISTORY.replace("-600", "six hundred"))
    assert "bad.csv, row 3, column 'Change': 'six hundred'" in refused("records", "import", bad, "--case", case)
    assert sorted(path.name for path in (case / "records").rglob("*")) == before


@pytest.mark.parametrize(
    ("name", "text", "options", "why"),
    [
        ("a.csv", "a,b\n1,2\n", (), "no table of it has a header that is known"),
        ("a.csv", f"{CHAIN}\n2024-05-01 00:00:00,BTC,BTC,1,x,y,Completed\n", ("--account", "1"), "state which by --as"),
        ("a.csv", HISTORY, ("--as", "nothing"), "there is no format 'nothing'"),
        ("a.csv", HISTORY, ("--as", "bank", "--column", "time=x"), "give one of them"),
        ("a.csv", HISTORY, ("--column", "time"), "is not ROLE=COLUMN"),
        ("a.csv", HISTORY, ("--column", "time=UTC_Time"), "needs the columns time and change"),
        ("a.csv", HISTORY, ("--column", "colour=x"), "there is no role 'colour'"),
        ("a.csv", HISTORY, ("--zone", "Mars/Olympus"), "there is no time zone 'Mars/Olympus'"),
        ("a.csv", HISTORY, ("--period", "2024"), "is not FROM/TO"),
        ("a.csv", HISTORY, ("--certificate", "nowhere.pdf"), "nowhere.pdf"),
        ("a.csv", "", (), "a.csv"),
        ("bank.csv", "Fecha,Concepto,Débito,Crédito,Saldo\n13/05/2024,a,1.00,,2\n", ("--account", "1"), "state zone="),
    ],
)
def test_a_wrong_question_is_answered_in_one_line(
    name: str, text: str, options: tuple[str, ...], why: str, tmp_path: Path, case: Path
) -> None:
    assert why in refused("records", "import", put(tmp_path / name, text), "--case", case, *options)
    assert Records(case).deliveries() == []


def test_a_case_without_records_is_said(case: Path, tmp_path: Path) -> None:
    for command in ("check", "show"):
        assert "has no records" in refused("records", command, "--case", case)
    assert "no such file" in refused("records", "import", tmp_path / "none.csv", "--case", case)


def test_what_is_stored_and_was_changed_is_damage(tmp_path: Path, case: Path) -> None:
    succeeds("records", "import", put(tmp_path / "history.csv", HISTORY), "--case", case)
    (kept,) = Records(case).deliveries()
    whole = (case / "records" / NAME).read_bytes()
    (case / "records" / NAME).write_bytes(whole + b'{"sha256": "cut off')
    assert "line 2 is no delivery" in refused("records", "show", "--case", case)
    (case / "records" / NAME).write_bytes(whole.rstrip())  # an editor took the last line's end
    succeeds("records", "import", put(tmp_path / "b.csv", HISTORY.replace("1000.5", "2000.5")), "--case", case)
    assert len(Records(case).deliveries()) == 2
    (case / "records" / "files" / kept.sha256).write_bytes(b"edited")
    assert "is not what was handed in" in refused("records", "show", "--case", case)
    (case / "records" / NAME).write_bytes(b"{}\n")
    assert "line 1 is no delivery" in refused("records", "show", "--case", case)


@pytest.fixture(scope="module")
def ledger(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("records") / "ledger"
    ingest([written / "blocks"], folder)
    return folder


def test_links_names_the_rows(tmp_path: Path) -> None:
    sheet = tmp_path / "customers.csv"
    sheet.write_text("User ID,Name,Phone\n1,one,+54 11 5555 0001\n2,two,541155550001\n3,three,1\n", "utf-8")
    succeeds("records", "import", sheet, "--case", tmp_path / "case", "--custodian", "House")
    done = succeeds("records", "links", "--case", tmp_path / "case", "--json", "-")
    (link,) = done.document["links"]
    assert link["what"] == "phone"
    assert [one["rows"][0]["row"] for one in link["accounts"]] == [2, 3]
    said = succeeds("records", "links", "--case", tmp_path / "case").out.decode()
    assert "phone +54 11 5555 0001: 2 accounts\n  House/1: customers.csv, row 2\n" in said


def test_match_finds_deposits_on_the_chain(ledger: Path, truth: Truth, tmp_path: Path, case: Path) -> None:
    chain = chain_of(Snapshot(ledger))
    addresses = [owned.address for owned in truth.addresses if owned.customer is not None]
    paid = [found for address in addresses for found in chain.paid_to(address, "BTC")][:4]

    def line(found: Found, amount: Decimal, txid: str) -> str:
        when = datetime.fromtimestamp(found.time + 60, UTC).strftime("%Y-%m-%d %H:%M:%S")
        return f"{when},BTC,BTC,{amount:f},{found.address},{txid},Completed"

    amounts = [Decimal(found.units).scaleb(-8) for found in paid]
    ids = [found.name.partition(":")[0] for found in paid]
    rows = [
        line(paid[0], amounts[0], ids[0]),
        line(paid[1], amounts[1] + Decimal("0.1"), ids[1]),
        line(paid[2], amounts[2], ""),
        line(paid[3], amounts[3], "ab" * 32),
    ]
    path = tmp_path / "deposits.csv"
    path.write_text("\n".join([CHAIN, *rows]) + "\n", "utf-8")
    succeeds("records", "import", path, "--case", case, "--account", "35012345")
    done = run_calibar("records", "match", "--case", case, "--ledger", ledger, "--json", "-")
    states = {one["txid"]: one["state"] for one in done.document["matches"]}
    assert done.code == 1
    assert states == {ids[0]: "exact", ids[1]: "contradicted", "": "proposed", "ab" * 32: "absent"}
    (exact,) = [one for one in done.document["matches"] if one["state"] == "exact"]
    assert exact["found"][0]["name"] == paid[0].name
    screen = run_calibar("records", "match", "--case", case, "--ledger", ledger).out.decode()
    assert "1 absent, 1 contradicted, 1 exact, 1 proposed" in screen
    assert "NAME=CONTRACT" in refused("records", "match", "--case", case, "--ledger", ledger, "--token", "USDT")
    assert json.loads((case / "records" / NAME).read_text("utf-8"))["account"] == "35012345"


def test_what_was_said_of_a_document_can_be_corrected(tmp_path: Path, case: Path) -> None:
    path = put(tmp_path / "list.csv", f"{CHAIN}\n2024-05-01 00:00:00,BTC,BTC,1.5,x,,Completed\n")
    succeeds(
        "records", "import", path, "--case", case, "--account", "1", "--as", "binance-withdrawals", "--holder", "P"
    )
    (letter,) = [put(tmp_path / "letter.txt", "a letter")]
    more = ("--as", "binance-deposits", "--certificate", letter)
    (row,) = succeeds("records", "import", path, "--case", case, *more, "--account", "1", "--json", "-").document[
        "imported"
    ]
    assert (row["new"], row["tables"][0]["format"]) == (True, "binance-deposits")
    (kept,) = Records(case).deliveries()
    assert (kept.holder, kept.account, kept.certificate_name) == ("P", "1", "letter.txt")
    (event,) = succeeds("records", "show", "--case", case, "--json", "-").document["events"]
    assert event["movements"][0]["change"] == "1.5"
