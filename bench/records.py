"""Records: a million rows of an exchange's history as CSV and XLSX, and a million deposits matched to a ledger.

Beside them, in the same run: the rows of the same CSV by Python's `csv`, those of the same XLSX by calamine alone.
"""

from __future__ import annotations

import csv
import random
import resource
import shutil
import subprocess
import sys
import time
from decimal import Decimal
from pathlib import Path
from typing import Final

from bench.figures import BENCH, OUT, Figure, seconds
from bench.ingest import BYTES, prepared

ROWS: Final = 1_000_000


def run() -> list[Figure]:
    """Figures of reading and of matching."""
    folder = OUT / "records"
    folder.mkdir(parents=True, exist_ok=True)
    text, book = folder / "history.csv", folder / "history.xlsx"
    _write(text, book)
    figures = []
    for path, most, peer in ((text, 10, _by_csv), (book, 40, _by_calamine)):
        count, taken, memory = _read(path)
        assert count == ROWS
        alone = seconds(lambda path=path, peer=peer: peer(path))  # type: ignore[misc]
        name = path.suffix[1:].upper()
        figures += [
            Figure(f"records: a million rows of {name}", taken, "s", at_most=most),
            Figure(f"records: memory of that, {name}", memory / 1e6, "GB"),
            Figure(f"records: {name} / {'csv' if peer is _by_csv else 'calamine'} alone", taken / alone, "times"),
        ]
    figures.append(_matching())
    return figures


def _write(text: Path, book: Path) -> None:
    if text.exists() and book.exists():
        return
    import xlsxwriter  # noqa: PLC0415

    choose = random.Random(1)  # noqa: S311
    header = ["User_ID", "UTC_Time", "Account", "Operation", "Coin", "Change", "Remark"]
    operations = ("Deposit", "Withdraw", "Buy", "Transaction Related", "Fee", "Binance Convert")
    workbook = xlsxwriter.Workbook(str(book), {"constant_memory": True})
    sheet = workbook.add_worksheet()
    sheet.write_row(0, 0, header)
    with text.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for n in range(ROWS):
            when = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(1_650_000_000 + 61 * n))
            change = f"{choose.randrange(-(10**11), 10**11) / 1e8:.8f}"
            row = [
                "35012345",
                when,
                "Spot",
                choose.choice(operations),
                choose.choice(("BTC", "USDT", "ETH")),
                change,
                "",
            ]
            writer.writerow(row)
            sheet.write_row(n + 1, 0, row)
    workbook.close()


def _read(path: Path) -> tuple[int, float, float]:
    """Movements, seconds and peak KiB of a process that reads a document."""
    command = [sys.executable, "-c", "import sys; from bench.records import reading; reading(sys.argv[1])", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=BENCH.parent)
    count, taken, memory = done.stdout.split()
    return int(count), float(taken), float(memory)


def reading(file: str) -> None:
    """Read a document and print what `_read` asks for."""
    from calibar.records.reading import read_file  # noqa: PLC0415
    from calibar.records.store import Delivery  # noqa: PLC0415

    told = ("sha256", "received_by", "custodian", "holder", "format", "account", "asset", "zone", "dates", "decimal")
    said = dict.fromkeys((*told, "certificate", "certificate_name", "period"), "")
    path, begun = Path(file), time.perf_counter()
    read = read_file(path, path.name, Delivery(**said, name=path.name, bytes=0, received_at=0, columns={}))
    taken = time.perf_counter() - begun
    movements = sum(len(one.movements) for one in read.statements)
    print(movements, taken, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def _by_csv(path: Path) -> None:
    with path.open(newline="", encoding="utf-8") as file:
        assert sum(1 for _ in csv.reader(file)) == ROWS + 1


def _by_calamine(path: Path) -> None:
    from python_calamine import CalamineWorkbook  # noqa: PLC0415

    workbook = CalamineWorkbook.from_path(str(path))
    assert sum(1 for _ in workbook.get_sheet_by_index(0).iter_rows()) == ROWS + 1


def _matching() -> Figure:
    from calibar.ledger.ingest import ingest  # noqa: PLC0415
    from calibar.ledger.snapshot import Snapshot  # noqa: PLC0415
    from calibar.records.chains import chain_of  # noqa: PLC0415
    from calibar.records.matching import match  # noqa: PLC0415
    from calibar.records.movement import Movement, Place  # noqa: PLC0415

    folder = OUT / "records-ledger"
    shutil.rmtree(folder, ignore_errors=True)
    ingest([prepared(BYTES)[0] / "blocks"], folder)
    snapshot = Snapshot(folder)
    chain, place = chain_of(snapshot), Place("deposits.csv", "", 1)
    coins = snapshot.counts["coins"]
    rows = []
    for n in range(ROWS):
        coin = n * 7919 % coins
        name = snapshot.txid(snapshot.transaction_of(coin))
        value = Decimal(int(snapshot["coins.value"][coin])).scaleb(-8)
        address = snapshot.address_name(int(snapshot["coins.address"][coin]))
        facts = (("txid", name), ("address", address))
        rows.append(Movement(0, "1", "", "BTC", value, "deposit", "Deposit", place, None, facts))
    list(match(rows[:100], chain))  # compiles
    states: list[str] = []
    taken = seconds(lambda: states.extend(one.state for one in match(rows, chain)))
    assert set(states) == {"exact"}
    print(
        f"  {ROWS:,} deposits, {coins:,} coins; peak {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6:.2f} GB"
    )
    shutil.rmtree(folder)
    return Figure("records: a million deposits matched to a ledger", taken, "s", at_most=20)
