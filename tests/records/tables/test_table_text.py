"""Text with separators, as banks and exchanges write it."""

from __future__ import annotations

import zipfile
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings
from table_files import read_one, refused, write_xlsx

from calibar.errors import DecodeError, UsageError
from calibar.records.tables.reading import tables

BANK = (
    "Banco Ejemplo, S.A.\r\n"
    "Titular;José Núñez\r\n"
    "\r\n"
    "Fecha;Concepto;Importe;Saldo\r\n"
    "01/02/2024;Transferencia, ñ €;-1.234,56;10,00\r\n"
    '02/02/2024;"con ""comillas"" y ; dentro\r\ny dos líneas";5,00;15,00\r\n'
    "Fecha;Concepto;Importe;Saldo\r\n"
    ";;;\r\n"
    " ; \r\n"
    "03/02/2024;corta\r\n"
    "03/02/2024;larga;1,00;16,00;;de más\r\n"
)
ROWS = [
    (1, ["Banco Ejemplo, S.A."]),
    (2, ["Titular", "José Núñez"]),
    (4, ["Fecha", "Concepto", "Importe", "Saldo"]),
    (5, ["01/02/2024", "Transferencia, ñ €", "-1.234,56", "10,00"]),
    (6, ["02/02/2024", 'con "comillas" y ; dentro\r\ny dos líneas', "5,00", "15,00"]),
    (7, ["Fecha", "Concepto", "Importe", "Saldo"]),
    (10, ["03/02/2024", "corta"]),
    (11, ["03/02/2024", "larga", "1,00", "16,00", "", "de más"]),
]


def written(tmp_path: Path, data: bytes, name: str = "a.csv") -> Path:
    path = tmp_path / name
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_bank_s_text_in_every_encoding(tmp_path: Path, encoding: str) -> None:
    path = written(tmp_path, BANK.encode(encoding))
    (table,) = tables(path)
    assert table.sheet == ""
    assert table.file == str(path)
    assert list(table.rows()) == ROWS
    assert list(table.rows()) == ROWS


def test_bytes_that_windows_leaves_open(tmp_path: Path) -> None:
    assert read_one(written(tmp_path, b"a;\x81\xe9\nb;c\n")) == [(1, ["a", "\x81é"]), (2, ["b", "c"])]


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("a,b\n1,2\n", [["a", "b"], ["1", "2"]]),
        ("a\tb, c\n1\t2, 3\n", [["a", "b, c"], ["1", "2, 3"]]),
        ("1,5;2,5\n3,5;4,5\n", [["1,5", "2,5"], ["3,5", "4,5"]]),
        ("sep=;\na,b,c;d\n", [["a,b,c", "d"]]),
        ("=1+1,'007,#REF!,0012\n", [["=1+1", "'007", "#REF!", "0012"]]),
    ],
)
def test_what_separates(tmp_path: Path, text: str, rows: list[list[str]]) -> None:
    assert read_one(written(tmp_path, text.encode())) == list(enumerate(rows, 1))


def test_a_workbook_under_the_name_of_a_text(tmp_path: Path) -> None:
    assert read_one(write_xlsx(tmp_path / "a.csv", [["x", 1]])) == [(1, ["x", 1])]
    assert read_one(written(tmp_path, b"x,1\n", "a.xlsx")) == [(1, ["x", "1"])]


@pytest.mark.parametrize(
    ("data", "kind", "said"),
    [
        (b"", UsageError, "empty"),
        (b"only prose\nhere\n", UsageError, "no comma"),
        (b'{"a": 1, "b": 2}', UsageError, "JSON"),
        (b"\x89PNG\r\n\x1a\n....", UsageError, "picture"),
        (b"\x1f\x8b\x08....", UsageError, "gzip"),
        (b"a,b\n" + b"\0\1\2\3" * 20, UsageError, "no file whose tables"),
        (b'a,b\n1,"2\n3,4\n', DecodeError, "row 2"),
        (b"a,b\n1," + b"x" * 200_000, DecodeError, "row 2"),
        (b"a,b\n1," + b"x," * 600_000, DecodeError, "row 2"),
        (b"a,b\n" + b"1," * 1001 + b"\n", DecodeError, "row 2"),
        (b"\xff\xfea\0,\0b\0\n\0x", DecodeError, "text"),
        (b'<?xml version="1.0"?><a/>', UsageError, "XML"),
        (
            b'<?xml version="1.0"?><Workbook xmlns="urn:schemas-microsoft-com:office:spreadsheet"/>',
            UsageError,
            "Excel 2003",
        ),
    ],
)
def test_refused(tmp_path: Path, data: bytes, kind: type[UsageError | DecodeError], said: str) -> None:
    assert said in refused(written(tmp_path, data), kind)


def test_no_such_file_and_a_folder(tmp_path: Path) -> None:
    assert "no such file" in refused(tmp_path / "nothing.csv", UsageError)
    assert "no file" in refused(tmp_path, UsageError)


_HTML = """<html><head><meta charset="windows-1252"><style>td {{ color: red }}</style></head><body>
<h1>Extracto</h1><table border=1><tr><th colspan="2">Cuenta {euro}</th><th>Saldo</th></tr>
<tr><td>01/02/2024<td>Núñez &amp; hijos<br>S.L.<td align=right>1.234,56</tr>
<tr><td></td></tr></table></body></html>"""


def test_html_under_the_name_of_a_workbook(tmp_path: Path) -> None:
    found = read_one(written(tmp_path, _HTML.format(euro="€").encode("cp1252"), "a.xls"))
    assert found == [(1, ["Cuenta €", None, "Saldo"]), (2, ["01/02/2024", "Núñez & hijos\nS.L.", "1.234,56"])]


@pytest.mark.parametrize(
    ("text", "kind", "said"),
    [
        ("<table><tr><td><table><tr><td>x</table></table>", UsageError, "tables inside"),
        ('<table><tr><td rowspan="2">x</td></tr></table>', UsageError, "several rows"),
        ("<table><tr><td>x</td></tr>", DecodeError, "cut off"),
        ("<html><body>nothing</body></html>", UsageError, "no table"),
        ('<table><tr><td colspan="9999">x</td></tr></table>', DecodeError, "columns"),
    ],
)
def test_html_that_is_not_simple(tmp_path: Path, text: str, kind: type[UsageError | DecodeError], said: str) -> None:
    assert said in refused(written(tmp_path, text.encode(), "a.xls"), kind)


def test_a_delivery_of_many_files(tmp_path: Path) -> None:
    inner = tmp_path / "inner.zip"
    with zipfile.ZipFile(inner, "w", zipfile.ZIP_DEFLATED) as package:
        package.writestr("deep.csv", "a,b\n")
    path = tmp_path / "delivery.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as package:
        package.write(write_xlsx(tmp_path / "s.xlsx", [["x", 1]]), "folder/statement.xlsx")
        package.write(inner, "inner.zip")
        package.writestr("letter.txt", "Dear sirs\n")
        package.writestr("logo.png", b"\x89PNG....")
        package.writestr("__MACOSX/._a.csv", b"\0\0")
        package.writestr("bank.csv", BANK.encode("cp1252"))
        package.writestr("empty.csv", b"")
    over: list[str] = []
    found = {table.file: list(table.rows()) for table in tables(path, lambda name, _: over.append(name))}
    assert found == {
        f"{path}/folder/statement.xlsx": [(1, ["x", 1])],
        f"{path}/inner.zip/deep.csv": [(1, ["a", "b"])],
        f"{path}/bank.csv": ROWS,
    }
    inside = ["letter.txt", "logo.png", "__MACOSX/._a.csv", "empty.csv"]
    assert over == [f"{path}/{name}" for name in inside]
    kept = list(tables(path))
    assert [list(table.rows()) for table in kept] == list(found.values())


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.bin"
    path.write_bytes(data)
    try:
        for table in tables(path):
            for _, cells in table.rows():
                assert cells
    except (UsageError, DecodeError) as error:
        assert "any.bin" in str(error)
