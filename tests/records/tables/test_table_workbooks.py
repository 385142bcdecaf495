"""Workbooks of several programs give the same cells."""

from __future__ import annotations

import re
import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
import python_calamine
import xlsxwriter
import xlwt
from table_files import converted, edited, plain, read, read_one, statement, trimmed, write_xlsx

from calibar.records.tables.cells import Broken, Rounded
from calibar.records.tables.numbers import Shown, decimal, format_shows, shown
from calibar.records.tables.reading import tables

UNVALUED = Broken("formula without a value")


@pytest.fixture(scope="module", params=["xlsx", "ods", "xls"])
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A statement, and odd cells, as LibreOffice saves them."""
    folder = tmp_path_factory.mktemp("saved")
    strange = odd(folder / "odd.xlsx")
    if request.param == "xls":
        # An XLS has 65,536 rows.
        edited(strange, "xl/worksheets/sheet1.xml", '<row r="1048576"><c r="A1048576"', '<row r="65536"><c r="A65536"')
    first, second = converted(
        [write_xlsx(folder / "a.xlsx", statement()), strange], request.param, tmp_path_factory.getbasetemp() / "office"
    )
    return first, second


def write_xls(path: Path, rows: list[list[object]]) -> Path:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Movements")
    styles = {
        datetime: xlwt.easyxf(num_format_str="YYYY-MM-DD HH:MM:SS"),
        date: xlwt.easyxf(num_format_str="DD/MM/YYYY"),
        time: xlwt.easyxf(num_format_str="HH:MM:SS"),
    }
    for at, row in enumerate(rows):
        for column, value in enumerate(row):
            if value is not None:
                sheet.write(at, column, value, styles.get(type(value), xlwt.Style.default_style))
    book.save(str(path))
    return path


def write_by_xlsxwriter(path: Path, rows: list[list[object]], constant_memory: bool) -> Path:
    with xlsxwriter.Workbook(str(path), {"constant_memory": constant_memory}) as book:
        sheet = book.add_worksheet("Movements")
        formats = {
            datetime: book.add_format({"num_format": "dd/mm/yyyy hh:mm:ss"}),
            date: book.add_format({"num_format": 14}),
            time: book.add_format({"num_format": '[$-40A]hh"h "mm:ss;@'}),
        }
        for at, row in enumerate(rows):
            for column, value in enumerate(row):
                if value is not None:
                    sheet.write(at, column, value, formats.get(type(value)))
    return path


def test_a_statement_by_openpyxl(tmp_path: Path) -> None:
    found = read_one(write_xlsx(tmp_path / "a.xlsx", statement()))
    assert plain(found) == trimmed(statement())
    assert [at for at, _ in found[:4]] == [1, 2, 4, 5]


@pytest.mark.parametrize("constant_memory", [False, True])
def test_a_statement_by_xlsxwriter(tmp_path: Path, constant_memory: bool) -> None:
    path = write_by_xlsxwriter(tmp_path / "a.xlsx", statement(), constant_memory)
    assert plain(read_one(path)) == trimmed(statement())


def test_a_statement_by_xlwt(tmp_path: Path) -> None:
    assert plain(read_one(write_xls(tmp_path / "a.xls", statement()))) == trimmed(statement())


def test_the_same_saved_by_libreoffice(saved: tuple[Path, Path]) -> None:
    found, wanted = read_one(saved[0]), trimmed(statement())
    assert plain(found) == wanted
    assert [at for at, _ in found[:4]] == [1, 2, 4, 5]
    assert [[type(cell) for cell in row] for row in plain(found)] == [[type(cell) for cell in row] for row in wanted]


def odd(path: Path) -> Path:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    values = ["=1/0", "=SUM(D1:E1)", "#REF!", 5, 5.5, 12345678901234567, 1e20, 0.1 + 0.2, " sp  ace ", "a\nb\tc", -0.0]
    for column, value in enumerate(values, 1):
        sheet.cell(1, column, value)
    sheet.cell(1, 3).data_type = "e"
    sheet["C2"] = "#REF!"
    sheet["C2"].data_type = "s"
    sheet["A3"] = "merged"
    sheet.merge_cells("A3:C4")
    sheet["D3"], sheet["D4"] = "beside", "below"
    sheet["A6"] = timedelta(hours=30)
    sheet["A1048576"] = "last"
    book.create_sheet("Empty")
    book.save(path)
    return path


def test_formulas_errors_and_merged_cells(tmp_path: Path) -> None:
    found = read(odd(tmp_path / "a.xlsx"))
    assert found["Empty"] == []
    rows = dict(found["Sheet"])
    assert rows[1][:7] == [UNVALUED, UNVALUED, Broken("#REF!"), 5, Decimal("5.5"), Decimal("12345678901234570"), 10**20]
    assert rows[1][8:] == [" sp  ace ", "a\nb\tc", 0]
    assert [isinstance(cell, Rounded) for cell in rows[1][3:7]] == [False, False, True, True]
    assert rows[2] == [None, None, "#REF!"]
    assert rows[3] == ["merged", None, None, "beside"]
    assert rows[4] == [None, None, None, "below"]
    assert rows[6] == [Decimal("1.25")]
    assert rows[1_048_576] == ["last"]


def test_formulas_and_errors_saved_by_libreoffice(saved: tuple[Path, Path]) -> None:
    rows = dict(read(saved[1])["Sheet"])
    assert rows[1][:5] == [Broken("#DIV/0!"), Decimal("10.5"), Broken("#REF!"), 5, Decimal("5.5")]
    assert isinstance(rows[1][5], Rounded)
    assert isinstance(rows[1][6], Rounded)
    # LibreOffice leaves tabulators out of an ODS.
    tabulator = "" if saved[1].suffix == ".ods" else "\t"
    assert rows[1][8:] == [" sp  ace ", f"a\nb{tabulator}c", 0]
    assert rows[2] == [None, None, "#REF!"]
    assert rows[3] == ["merged", None, None, "beside"]
    assert rows[6] == [Decimal("1.25")]
    assert rows[65536 if saved[1].suffix == ".xls" else 1_048_576] == ["last"]


def test_another_reader_finds_the_same(saved: tuple[Path, Path]) -> None:
    theirs = python_calamine.load_workbook(str(saved[0])).get_sheet_by_index(0).to_python(skip_empty_area=False)
    for at, cells in read_one(saved[0]):
        for cell, their in zip(cells, theirs[at - 1], strict=False):
            if isinstance(cell, Decimal):
                assert isinstance(their, float | int)
                assert float(cell) == their
            else:
                assert (cell if cell is not None else "") == their


def test_formulas_of_xlsxwriter_and_xlwt(tmp_path: Path) -> None:
    with xlsxwriter.Workbook(str(tmp_path / "a.xlsx")) as book:
        sheet = book.add_worksheet()
        sheet.write_formula(0, 0, "=1+1")
        sheet.write_formula(0, 1, "=1+1", None, 2)
        sheet.write_formula(0, 2, '="a"', None, "a")
        sheet.write_formula(0, 3, "=TRUE", None, True)
        sheet.write_formula(0, 4, "=1/0", None, "#DIV/0!")
        sheet.write_number(0, 5, 0)
    # A 0 that XlsxWriter puts where it was given no value, in a workbook to be calculated on opening, is none.
    assert read_one(tmp_path / "a.xlsx") == [(1, [UNVALUED, 2, "a", True, Broken("#DIV/0!"), 0])]
    old = xlwt.Workbook()
    page = old.add_sheet("S")
    page.write(0, 0, xlwt.Formula("1+1"))
    page.write(0, 1, "x")
    page.row(0).set_cell_error(2, 0x2A)
    page.row(0).set_cell_boolean(3, True)
    old.save(str(tmp_path / "a.xls"))
    assert read_one(tmp_path / "a.xls") == [(1, [UNVALUED, "x", Broken("#N/A"), True])]


def test_long_texts_and_fonts_in_an_xls(tmp_path: Path) -> None:
    book = xlwt.Workbook()
    sheet = book.add_sheet("Añ€")
    bold = xlwt.easyfont("bold on")
    texts = [f"{at}€" + "ñ" * (at * 37 % 9000) + ("中" if at % 2 else "") for at in range(120)]
    for at, text in enumerate(texts):
        sheet.write(at, 0, text)
        sheet.write_rich_text(at, 1, (("con ", bold), f"letra {at}"))
    book.save(str(tmp_path / "a.xls"))
    assert read(tmp_path / "a.xls") == {"Añ€": [(at + 1, [text, f"con letra {at}"]) for at, text in enumerate(texts)]}


def test_rich_texts_escapes_and_iso_dates_in_an_xlsx(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [["x"]])
    cells = (
        '<c r="A1" t="inlineStr"><is><r><rPr><b/></rPr><t>bo</t></r><r><t xml:space="preserve">ld </t></r>'
        '<rPh sb="0" eb="1"><t>no</t></rPh></is></c>'
        '<c r="B1" t="inlineStr"><is><t>a_x000D_b_x005F_x0041_</t></is></c>'
        '<c r="C1" t="d"><v>2024-01-31T23:59:59</v></c><c r="D1" t="d"><v>2024-01-31</v></c>'
        '<c r="E1" t="str"><f>A1</f><v></v></c><c t="b"><v>1</v></c>'
    )
    with zipfile.ZipFile(path) as package:
        sheet = package.read("xl/worksheets/sheet1.xml").decode()
    old = sheet[sheet.index("<c ") : sheet.index("</row>")]
    found = read_one(edited(path, "xl/worksheets/sheet1.xml", old, cells))
    wanted = ["bold ", "a\rb_x0041_", datetime(2024, 1, 31, 23, 59, 59), date(2024, 1, 31), None, True]
    assert found == [(1, wanted)]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('<row r="3000"', '<!-- </row> --><row r="3000"'),
        ("<sheetData>", "<!-- --><sheetData>"),
        ("</sheetData>", "</sheetData><!-- -->"),
        ('<row r="2">', '<row r="2"  >'),
        ('<c r="A2"', '<c  r="A2"'),
        ("<v>7</v>", "<v><![CDATA[7]]></v>"),
        ("<v>7</v>", "<v>&#55;</v>"),
        ('<row r="4401"', '<row r="4400"/><row r="4401"'),
        ("<worksheet xmlns=", "<worksheet xmlns:q='u' xmlns="),
    ],
)
def test_one_sheet_written_in_several_ways(tmp_path: Path, old: str, new: str) -> None:
    rows: list[list[object]] = [
        [at, f"a < b & {at}", None, at / 8, datetime(2024, 1, 1, at % 24)] for at in range(5000)
    ]
    path = write_xlsx(tmp_path / "a.xlsx", [*rows[:4399], [], *rows[4400:]])
    wanted = read_one(path)
    assert read_one(edited(path, "xl/worksheets/sheet1.xml", old, new)) == wanted
    assert len(wanted) == 4999
    assert plain(wanted)[7] == [*rows[7][:2], None, Decimal("0.875"), datetime(2024, 1, 1, 7)]


def test_a_sheet_in_another_encoding_and_with_a_prefix(tmp_path: Path) -> None:
    path = write_xlsx(tmp_path / "a.xlsx", [["ñ", 1], [datetime(2024, 1, 31), True]])
    wanted = read_one(path)
    with zipfile.ZipFile(path) as package:
        sheet = package.read("xl/worksheets/sheet1.xml").decode()
    body = re.sub("<(/?)(?=[a-zA-Z])", r"<\1q:", sheet).replace("xmlns=", "xmlns:q=")
    assert read_one(edited(path, "xl/worksheets/sheet1.xml", sheet, body)) == wanted
    contents = {}
    with zipfile.ZipFile(path) as package:
        contents = {name: package.read(name) for name in package.namelist()}
    contents["xl/worksheets/sheet1.xml"] = ('<?xml version="1.0" encoding="UTF-16"?>' + sheet).encode("utf-16")
    with zipfile.ZipFile(path, "w") as package:
        for name, content in contents.items():
            package.writestr(name, content)
    assert read_one(path) == wanted


def test_dates_since_1904(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    book.epoch = openpyxl.utils.datetime.CALENDAR_MAC_1904
    sheet = book.active
    assert sheet is not None
    sheet.append([datetime(2024, 1, 31, 1, 2, 3), date(1904, 1, 2)])
    book.save(tmp_path / "a.xlsx")
    assert read_one(tmp_path / "a.xlsx") == [(1, [datetime(2024, 1, 31, 1, 2, 3), date(1904, 1, 2)])]


def test_read_again_and_hidden_sheets(tmp_path: Path) -> None:
    book = openpyxl.Workbook()
    for at in range(3):
        sheet = book.create_sheet(f"S{at}")
        sheet.append([f"text {at}", at])
        sheet.sheet_state = ["visible", "hidden", "veryHidden"][at]
    book.save(tmp_path / "a.xlsx")
    found = list(tables(tmp_path / "a.xlsx"))
    assert [table.sheet for table in found] == ["Sheet", "S0", "S1", "S2"]
    for _ in range(2):
        assert next(list(table.rows()) for table in reversed(found)) == [(1, ["text 2", 2])]
    assert {table.file for table in found} == {str(tmp_path / "a.xlsx")}


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("General", Shown.NUMBER),
        ("0.00E+00", Shown.NUMBER),
        ('#,##0.00 "days"', Shown.NUMBER),
        ("[Red]-#,##0.00 [$USD]", Shown.NUMBER),
        ("[h]:mm:ss", Shown.NUMBER),
        ("@", Shown.NUMBER),
        ('yyyy"-"mm\\-dd', Shown.DATE),
        ("mmm yy", Shown.DATE),
        ("[$-40A]dddd, d mmmm", Shown.DATE),
        ("hh:mm:ss.000", Shown.TIME),
        ("h AM/PM", Shown.TIME),
        ("dd/mm/yyyy hh:mm;@", Shown.MOMENT),
        ('"hoy" 0', Shown.NUMBER),
    ],
)
def test_what_a_format_shows(code: str, how: Shown) -> None:
    assert format_shows(code) is how


def test_numbers_and_days_at_the_edges() -> None:
    assert str(decimal(5.0)) == "5"
    assert str(decimal(-0.0)) == "0"
    assert decimal(99_999_999_999_999.0) == 99_999_999_999_999
    assert not isinstance(decimal(99_999_999_999_999.0), Rounded)
    assert isinstance(decimal(100_000_000_000_000.0), Rounded)
    assert isinstance(decimal(0.1 + 0.2), Rounded)
    assert not isinstance(decimal(0.00000012345678901234), Rounded)
    assert isinstance(decimal(1e16), Rounded)
    assert shown(1.0, Shown.DATE, False) == date(1900, 1, 1)
    assert shown(60.0, Shown.DATE, False) == Decimal(60)
    assert shown(61.0, Shown.DATE, False) == date(1900, 3, 1)
    assert shown(2_958_465.5, Shown.DATE, False) == datetime(9999, 12, 31, 12)
    assert shown(2_958_465.9999999999, Shown.MOMENT, False) == Decimal(repr(2_958_465.9999999999))
    assert shown(2_958_466.0, Shown.DATE, False) == 2_958_466
    assert shown(-1.0, Shown.MOMENT, False) == -1
    assert shown(0.0, Shown.DATE, False) == 0
    assert shown(0.5, Shown.MOMENT, False) == time(12)
    assert shown(45322.0, Shown.MOMENT, False) == datetime(2024, 1, 31)
