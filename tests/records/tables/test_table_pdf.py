"""Tables in the text of PDFs."""

from __future__ import annotations

import zlib
from pathlib import Path

import openpyxl
import pytest
from openpyxl.styles import Border, Side
from table_files import converted, read, refused

from calibar.errors import DecodeError, UsageError
from calibar.records.tables import apart

WIDTHS = (4, 16, 12, 12)
HEADER = ["Fecha", "Concepto", "Importe", "Saldo"]
ROWS = [[f"{at:02}/03/2024", f"Pago Núñez {at}", f"-{at}.234,5{at}", f"{at}0.000,00"] for at in range(1, 9)]


def sheet(path: Path, ruled: bool) -> Path:
    book = openpyxl.Workbook()
    page = book.active
    assert page is not None
    page.append(["Extracto de la cuenta ES00"])
    page.append([])
    line = Side(style="thin")
    for cells in [HEADER, *ROWS]:
        page.append(cells)
        if ruled:
            for cell in page[page.max_row]:
                cell.border = Border(left=line, right=line, top=line, bottom=line)
    for column in "ABCD":
        page.column_dimensions[column].width = 17
    book.save(path)
    return path


@pytest.fixture(scope="module")
def printed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """With lines, and without."""
    folder = tmp_path_factory.mktemp("printed")
    written = [sheet(folder / "ruled.xlsx", True), sheet(folder / "free.xlsx", False)]
    first, second = converted(written, "pdf", tmp_path_factory.getbasetemp() / "office")
    return first, second


def test_a_table_with_lines(printed: tuple[Path, Path]) -> None:
    found = read(printed[0])
    assert found == {"page 1, table 1": list(enumerate([HEADER, *ROWS], 1))}


def test_a_table_of_columns_alone(printed: tuple[Path, Path]) -> None:
    assert read(printed[1]) == {"page 1, table 1": list(enumerate([HEADER, *ROWS], 1))}


def test_a_table_cut_off(printed: tuple[Path, Path], tmp_path: Path) -> None:
    path = tmp_path / "cut.pdf"
    path.write_bytes(printed[0].read_bytes()[:700])
    refused(path, DecodeError)


def pdf(path: Path, content: bytes, filters: str = "", extra: str = "") -> Path:
    """A PDF of one page, by hand."""
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 800]/Contents 4 0 R"
        b"/Resources<</XObject<</X 4 0 R>>/Font<</F 5 0 R>>>>>>",
        b"<</Type/XObject/Subtype/Form/BBox[0 0 600 800]/Resources<</XObject<</X 4 0 R>>>>/Length %d %s>>"
        b"stream\n%s\nendstream"
        % (len(content), filters.encode(), content),
        b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>",
    ]  # fmt: skip
    data, places = b"%PDF-1.4\n", []
    for number, each in enumerate(objects, 1):
        places.append(len(data))
        data += b"%d 0 obj\n%s\nendobj\n" % (number, each)
    start = len(data)
    data += b"xref\n0 6\n0000000000 65535 f \n" + b"".join(b"%010d 00000 n \n" % place for place in places)
    data += b"trailer<</Size 6/Root 1 0 R%s>>\nstartxref\n%d\n%%%%EOF\n" % (extra.encode(), start)
    path.write_bytes(data)
    return path


def test_text_without_a_table(tmp_path: Path) -> None:
    path = pdf(tmp_path / "a.pdf", b"BT /F 12 Tf 50 700 Td (Dear sirs) Tj ET")
    assert "no table" in refused(path, UsageError)


def test_an_encrypted_pdf(tmp_path: Path) -> None:
    lock = f"/Encrypt<</Filter/Standard/V 1/R 2/P -4/O<{'41' * 32}>/U<{'42' * 32}>>>/ID[<00><00>]"
    path = pdf(tmp_path / "a.pdf", b"BT ET", extra=lock)
    assert "encrypted: open it with its password" in refused(path, UsageError)


@pytest.mark.parametrize(
    ("content", "filters"),
    [
        (zlib.compress(zlib.compress(b"\0" * (3 << 30 >> 4), 9) * 16, 9), "/Filter[/FlateDecode/FlateDecode]"),
        (b"/X Do " * 20, ""),
        (b"0 0 m 9 9 l S " * 400_000, ""),
    ],
)
def test_a_pdf_made_to_harm(tmp_path: Path, content: bytes, filters: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(apart, "_PATIENCE_S", 3)
    path = pdf(tmp_path / "a.pdf", content, filters)
    assert "a.pdf" in refused(path, (UsageError, DecodeError))  # type: ignore[arg-type]
