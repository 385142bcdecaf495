"""Files with tables for tests, and what is read from them."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest

from calibar.errors import CalibarError
from calibar.records.tables.cells import Cell
from calibar.records.tables.reading import tables

Rows = list[tuple[int, list[Cell]]]


def read(path: Path) -> dict[str, Rows]:
    return {table.sheet: list(table.rows()) for table in tables(path)}


def read_one(path: Path) -> Rows:
    (found,) = read(path).values()
    return found


def refused(path: Path, kind: type[CalibarError]) -> str:
    """The one line by which a file is refused."""
    with pytest.raises(kind) as caught:
        read(path)
    message = str(caught.value)
    assert type(caught.value).__module__.startswith("calibar.")
    assert message.isprintable()
    assert path.name in message
    return message


def write_xlsx(path: Path, rows: list[list[object]], sheet: str = "Movements") -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.title = sheet
    for row in rows:
        page.append(row)
    book.save(path)
    return path


def edited(path: Path, entry: str, old: str, new: str) -> Path:
    """The same package with a text in one entry exchanged; an entry that is not there is added."""
    with zipfile.ZipFile(path) as package:
        contents = {name: package.read(name) for name in package.namelist()}
    before = contents.get(entry, b"").decode()
    assert old in before
    contents[entry] = before.replace(old, new, 1).encode() if old else new.encode()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in contents.items():
            package.writestr(name, content)
    return path


def converted(paths: list[Path], extension: str, folder: Path) -> list[Path]:
    """What LibreOffice makes of them."""
    soffice = shutil.which("soffice")
    if soffice is None:
        pytest.skip("LibreOffice (soffice) is not installed")
    profile = f"-env:UserInstallation={(folder / 'profile').as_uri()}"
    into = folder / extension
    subprocess.run(
        [soffice, profile, "--headless", "--convert-to", extension, "--outdir", into, *paths],
        check=True,
        capture_output=True,
        timeout=120,
    )
    return [into / path.with_suffix(f".{extension}").name for path in paths]


def statement() -> list[list[object]]:
    """As an exchange writes one: free rows, a header, movements of every kind of cell."""
    rows: list[list[object]] = [
        ["Statement of account", None, None, None, None, None],
        ["Customer: José Núñez «42»", None, None, None, None, None],
        [],
        ["Date", "Day", "Hour", "Kind", "Amount", "Done"],
    ]
    rows += [
        [
            datetime(2024, 1, at, 13, at, 7),
            date(2024, 2, at % 28 + 1),
            time(at % 24, 59, at),
            "Ingreso" if at % 2 else "Retirada",
            Decimal(f"{-at if at % 3 else at}.{at:04d}"),
            at % 2 == 0,
        ]
        for at in range(1, 30)
    ]
    return rows


def plain(rows: Rows) -> list[list[object]]:
    """Without numbers, and no row ends in empty cells."""
    return [list(cells) for _, cells in rows]


def trimmed(rows: list[list[object]]) -> list[list[object]]:
    found = []
    for row in rows:
        cells = list(row)
        while cells and cells[-1] is None:
            cells.pop()
        if cells:
            found.append(cells)
    return found
