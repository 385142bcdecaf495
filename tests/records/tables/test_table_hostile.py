"""Workbooks and deliveries made to do harm, or damaged, are refused in one line."""

from __future__ import annotations

import random
import resource
import struct
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import openpyxl
import pytest
import xlwt
from table_files import edited, read, read_one, refused, write_xlsx

from calibar.errors import CalibarError, DecodeError, UsageError
from calibar.records.tables import package, reading
from calibar.records.tables.reading import tables

SHEET = "xl/worksheets/sheet1.xml"
_READ = """
import sys
from pathlib import Path
from calibar.errors import CalibarError
from calibar.records.tables.reading import tables
try:
    for table in tables(Path(sys.argv[1])):
        for row in table.rows():
            pass
    print("read")
except CalibarError as error:
    print(type(error).__name__, error)
"""


def in_little_memory(path: Path, megabytes: int = 400) -> str:
    """What a process of so much memory says of a file; it may not take long either."""
    done = subprocess.run(
        [sys.executable, "-c", _READ, str(path)],
        capture_output=True,
        text=True,
        timeout=60,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (megabytes << 20, megabytes << 20)),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert not done.stderr
    return done.stdout.strip()


def book(tmp_path: Path) -> Path:
    return write_xlsx(tmp_path / "a.xlsx", [["x", 1], ["y", 2]])


def zipped(path: Path, **entries: bytes | str) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as delivery:
        for name, content in entries.items():
            delivery.writestr(name, content)
    return path


def test_cells_at_the_ends_of_the_sheet(tmp_path: Path) -> None:
    made = openpyxl.Workbook()
    sheet = made.active
    assert sheet is not None
    sheet["A1"], sheet["XFD1048576"] = 1, 2
    made.save(tmp_path / "a.xlsx")
    assert "row 1048576: more than 1,000 columns" in in_little_memory(tmp_path / "a.xlsx")
    sheet["XFD1048576"], sheet["ALL1048576"] = None, 3
    made.save(tmp_path / "b.xlsx")
    found = read_one(tmp_path / "b.xlsx")
    assert [(at, len(cells)) for at, cells in found] == [(1, 1), (1_048_576, 1000)]


def test_a_bomb_of_one_entry(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    with zipfile.ZipFile(book(tmp_path)) as old:
        contents = {name: old.read(name) for name in old.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as new:
        for name, content in contents.items():
            if name != SHEET:
                new.writestr(name, content)
        with new.open(SHEET, "w") as stream:
            for _ in range(64):
                stream.write(b" " * (1 << 20))
    assert "bomb" in in_little_memory(path)


def test_a_bomb_that_lies_about_its_size(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    zipped(path, **{"a.csv": b"a,b\n" * (10 << 20)})
    data = bytearray(path.read_bytes())
    for signature, place in ((b"PK\1\2", 24), (b"PK\3\4", 22)):
        at = data.index(signature)
        data[at + place : at + place + 4] = struct.pack("<I", 1000)
    path.write_bytes(data)
    assert "DecodeError" in in_little_memory(path)


def test_many_small_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = zipped(tmp_path / "inner.zip", **{"a.csv": (b"a," + b"x" * 1000 + b"\n") * 1000}).read_bytes()
    path = zipped(tmp_path / "a.zip", **{f"{at}.zip": inner for at in range(80)})
    assert len(list(tables(path))) == 80
    monkeypatch.setattr(reading, "LARGEST", 64 << 20)
    with pytest.raises(DecodeError, match="unpacks to more"):
        list(tables(path))
    monkeypatch.setattr(package, "MOST_ENTRIES", 70)
    assert "files inside" in refused(path, DecodeError)


def test_an_index_larger_than_any(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    entry = struct.pack("<4s6H3I5H2I", b"PK\1\2", 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b"a"
    count = 300_000
    end = struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 0xFFFF, 0xFFFF, len(entry) * count, 4, 0)
    path.write_bytes(b"PK\3\4" + entry * count + end)
    assert "index" in in_little_memory(path)


_ENTITIES = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {chr(98 + at)} "{f"&{chr(97 + at)};" * 10}">' for at in range(10)
)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("<worksheet", _ENTITIES + "]><worksheet", "DTD"),
        ("<worksheet", '<!DOCTYPE worksheet SYSTEM "file:///etc/passwd"><worksheet', "DTD"),
        ("<sheetData>", "<x>" + "<a>" * 600_000 + "<sheetData>", "nested"),
        ("<sheetData>", "<x>" + "y" * (9 << 20) + "</x><sheetData>", "8 MB"),
        ("<sheetData>", "<sheetData>&amp;&undefined;", "XML"),
        ('r="B1"', 'r="A1"', "out of its place"),
        ('r="B1"', 'r="B7"', "out of its place"),
        ('r="B1"', 'r="b1"', "out of its place"),
        ('<row r="2"', '<row r="1"', "row 1 comes after row 1"),
        ('<row r="2"', '<row r="9999999"', "rows"),
        ('<row r="2"', '<row r="-2"', "number"),
        ("<v>1</v>", "<v>nan</v>", "cell B1"),
        ("<v>1</v>", "<v>1e999</v>", "cell B1"),
        ("<v>1</v>", f"<v>{'9' * 400}</v>", "cell B1"),
        ('t="n"><v>1</v>', 't="s"><v>99999999999</v>', "cell B1"),
        ('t="n"><v>1</v>', 't="s"><v>-1</v>', "cell B1"),
        ('t="n"><v>1</v>', 't="d"><v>2024-13-01</v>', "cell B1"),
        ('t="n"><v>1</v>', 't="zz"><v>1</v>', "cell B1"),
        ('t="n"><v>1</v>', f't="inlineStr"><is><t>{"x" * 140_000}</t></is>', "characters"),
    ],
)
def test_a_sheet_made_to_harm(tmp_path: Path, old: str, new: str, said: str) -> None:
    path = edited(book(tmp_path), SHEET, old, new)
    assert said in refused(path, DecodeError)


def test_a_row_of_countless_cells_takes_little_memory(tmp_path: Path) -> None:
    path = edited(book(tmp_path), SHEET, "<sheetData>", "<!-- --><sheetData><row>" + "<c/>" * 2_200_000)
    assert "8 MB" in in_little_memory(path, 600)


@pytest.mark.parametrize(
    ("entry", "said"),
    [("xl/vbaProject.bin", "macros"), ("xl/macrosheets/sheet1.xml", "macros")],
)
def test_macros_in_an_xlsx(tmp_path: Path, entry: str, said: str) -> None:
    assert said in refused(edited(book(tmp_path), entry, "", "x"), UsageError)


def test_links_outside_are_not_followed(tmp_path: Path) -> None:
    path = book(tmp_path)
    relation = (
        '<Relationship Id="rId9" TargetMode="External" Target="file:///etc/passwd" Type="http://schemas.openxmlformats'
        '.org/officeDocument/2006/relationships/worksheet"/></Relationships>'
    )
    edited(path, "xl/_rels/workbook.xml.rels", "</Relationships>", relation)
    assert read_one(path) == [(1, ["x", 1]), (2, ["y", 2])]
    edited(path, "xl/workbook.xml", "</sheets>", '<sheet name="L" sheetId="9" xmlns:q="u" q:id="rId9"/></sheets>')
    assert "sheet L: it is missing" in refused(path, DecodeError)


def test_thousands_of_sheets(tmp_path: Path) -> None:
    sheets = "".join(
        f'<sheet xmlns:q="u" name="s{at}" sheetId="{at + 9}" state="visible" q:id="rId1"/>' for at in range(5000)
    )
    path = edited(book(tmp_path), "xl/workbook.xml", "</sheets>", sheets + "</sheets>")
    assert "sheets" in refused(path, DecodeError)


def test_a_name_with_control_signs(tmp_path: Path) -> None:
    path = edited(book(tmp_path), "xl/workbook.xml", 'name="Movements"', 'name="a&#10;b&#x9b;c&#x202e;d"')
    assert list(read(path)) == ["a�b�c�d"]


def test_xlsb_and_other_documents(tmp_path: Path) -> None:
    types = {"[Content_Types].xml": "<a/>"}
    relation = '<Relationship Id="r" Target="xl/workbook.bin" Type="a/officeDocument"/>'
    relation = f'<Relationships xmlns="u">{relation}</Relationships>'
    path = zipped(tmp_path / "a.xlsb", **types, **{"_rels/.rels": relation, "xl/workbook.bin": "x"})
    assert "XLSB" in refused(path, UsageError)
    path = zipped(tmp_path / "a.docx", **types, **{"word/document.xml": "<a/>"})
    assert "no workbook" in refused(path, UsageError)
    path = zipped(tmp_path / "a.odt", mimetype="application/vnd.oasis.opendocument.text")
    assert "no spreadsheet" in refused(path, UsageError)
    assert "no table in it" in refused(zipped(tmp_path / "a.zip"), UsageError)


@pytest.mark.parametrize("name", ["../up.csv", "/root.csv", "a/../../b.csv", "C:/a.csv", "..\\up.csv"])
def test_names_that_lead_outside(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    path = zipped(tmp_path / "in" / "a.zip", **{name: "a,b\n"})
    assert "outside" in refused(path, DecodeError)
    assert {found.name for found in tmp_path.rglob("*")} == {"in", "a.zip"}


def test_a_link_in_a_delivery(tmp_path: Path) -> None:
    entry = zipfile.ZipInfo("a.csv")
    entry.create_system, entry.external_attr = 3, 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as delivery:
        delivery.writestr(entry, "/etc/passwd")
    assert "link" in refused(tmp_path / "a.zip", DecodeError)


def test_two_files_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as delivery:
        delivery.writestr("a.csv", "a,b\n")
        with pytest.warns(UserWarning, match="Duplicate"):
            delivery.writestr("a.csv", "c,d\n")
    assert "two files" in refused(tmp_path / "a.zip", DecodeError)


def test_an_encrypted_delivery(tmp_path: Path) -> None:
    path = zipped(tmp_path / "a.zip", **{"a.csv": "a,b\n"})
    data = bytearray(path.read_bytes())
    data[6] |= 1
    data[data.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(data)
    assert "a.csv is encrypted: unpack it with its password" in refused(path, UsageError)


def test_zips_too_deep(tmp_path: Path) -> None:
    content: bytes | str = "a,b\n"
    name = "a.csv"
    for _ in range(3):
        path = zipped(tmp_path / "a.zip", **{name: content})
        content, name = path.read_bytes(), "in.zip"
    assert "ZIP in a ZIP in a ZIP" in refused(path, UsageError)


def test_an_encrypted_ods_and_one_with_macros(tmp_path: Path) -> None:
    parts = {"mimetype": "application/vnd.oasis.opendocument.spreadsheet", "content.xml": "<a/>"}
    manifest = '<m:manifest xmlns:m="u"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'
    path = zipped(tmp_path / "a.ods", **parts, **{"META-INF/manifest.xml": manifest})
    assert "encrypted" in refused(path, UsageError)
    assert "macros" in refused(zipped(tmp_path / "b.ods", **parts, **{"Basic/x.xml": "x"}), UsageError)


_ODS = (
    '<o:document-content xmlns:o="urn:oasis:names:tc:opendocument:xmlns:office:1.0" '
    'xmlns:t="urn:oasis:names:tc:opendocument:xmlns:table:1.0" '
    'xmlns:x="urn:oasis:names:tc:opendocument:xmlns:text:1.0">'
    "<o:body><o:spreadsheet><t:table t:name='S'><t:table-column/>{}</t:table></o:spreadsheet></o:body>"
    "</o:document-content>"
)
_CELL = "<t:table-cell {} o:value-type='string'><x:p>{}</x:p></t:table-cell>"


def _row(cells: str, said: str = "") -> str:
    return f"<t:table-row {said}>{cells}</t:table-row>"


def ods(tmp_path: Path, rows: str) -> Path:
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    return zipped(tmp_path / "a.ods", **{"mimetype": kind, "content.xml": _ODS.format(rows)})


@pytest.mark.parametrize(
    "rows",
    [
        _row(_CELL.format("t:number-columns-repeated='1000'", "x"), "t:number-rows-repeated='1048576'"),
        _row(_CELL.format("t:number-columns-repeated='16384'", "x")),
        _row(_CELL.format("", "x"), "t:number-rows-repeated='99999999999999999999'"),
        _row(_CELL.format("", "<x:s x:c='999999999'/>")),
        _row(_CELL.format("", "<x:span>" * 90 + "</x:span>" * 90)),
        _row("<t:table-cell o:value-type='float' o:value='x'/>"),
        _row("<t:table-cell o:value-type='date' o:date-value='2024-02-30'/>"),
    ],
)
def test_an_ods_made_to_harm(tmp_path: Path, rows: str) -> None:
    assert "DecodeError" in in_little_memory(ods(tmp_path, rows))


def test_repeated_cells_of_an_ods(tmp_path: Path) -> None:
    cell = _CELL.format("t:number-columns-repeated='2'", "x  <x:s x:c='2'/>y")
    many = "t:number-rows-repeated"
    rows = (
        f"<t:table-row {many}='500000'><t:table-cell t:number-columns-repeated='9'/></t:table-row>"
        f"<t:table-row-group><t:table-row {many}='2'>{cell}<t:table-cell t:formula='of:=1'/></t:table-row>"
        f"</t:table-row-group><t:table-row {many}='99999'><t:table-cell/></t:table-row>"
    )
    found = read_one(ods(tmp_path, rows))
    assert [(at, cells[:2]) for at, cells in found] == [(500_001, ["x   y"] * 2), (500_002, ["x   y"] * 2)]
    assert all(str(cells[2]) == "Broken(what='formula without a value')" for _, cells in found)


def old_book(tmp_path: Path) -> Path:
    made = xlwt.Workbook()
    sheet = made.add_sheet("S")
    for at in range(300):
        sheet.write(at, 0, f"text {at}")
        sheet.write(at, 1, at + 0.5)
    made.save(str(tmp_path / "a.xls"))
    return tmp_path / "a.xls"


def exchanged(path: Path, old: bytes, new: bytes) -> Path:
    data = path.read_bytes()
    assert data.count(old) >= 1
    assert len(old) == len(new)
    path.write_bytes(data.replace(old, new, 1))
    return path


def named(name: str) -> bytes:
    return name.encode("utf-16-le").ljust(64, b"\0") + struct.pack("<H", 2 * len(name) + 2)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (struct.pack("<HH", 0x0022, 2), struct.pack("<HH", 0x002F, 2), "encrypted"),
        (struct.pack("<HHH", 0x0809, 16, 0x0600), struct.pack("<HHH", 0x0809, 16, 0x0500), "Excel 95"),
        (named("Workbook"), named("EncryptedPackage"), "encrypted"),
        (named("Workbook"), named("_VBA_PROJECT"), "macros"),
        (named("Workbook"), named("Book"), "Excel 95"),
        (named("Workbook"), named("WordDocument"), "no workbook"),
    ],
)
def test_an_xls_that_is_not_read(tmp_path: Path, old: bytes, new: bytes, said: str) -> None:
    assert said in refused(exchanged(old_book(tmp_path), old, new), UsageError)


def test_a_container_that_runs_in_a_circle(tmp_path: Path) -> None:
    path = old_book(tmp_path)
    data = bytearray(path.read_bytes())
    table = 512 * (1 + struct.unpack_from("<I", data, 76)[0])
    for at in range(128):
        struct.pack_into("<I", data, table + 4 * at, 0)
    path.write_bytes(data)
    assert "damaged" in refused(path, DecodeError)


@pytest.mark.parametrize("make", [book, old_book])
def test_cut_off_anywhere(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    whole = path.read_bytes()
    wanted = read(path)
    for at in range(1, len(whole), max(1, len(whole) // 60)):
        path.write_bytes(whole[:at])
        try:
            assert read(path) == wanted
        except CalibarError as error:
            assert path.name in str(error)
    path.write_bytes(whole[: len(whole) // 2])
    refused(path, CalibarError if make is old_book else DecodeError)


@pytest.mark.parametrize("make", [book, old_book])
def test_bytes_changed_anywhere(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path)
    whole = path.read_bytes()
    chance = random.Random(7)  # noqa: S311
    start = time.monotonic()
    for _ in range(400):
        data = bytearray(whole)
        for _ in range(chance.randrange(1, 4)):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path.write_bytes(data)
        try:
            read(path)
        except CalibarError as error:
            assert path.name in str(error)
    assert time.monotonic() - start < 60


def test_tables_of_a_file_that_is_gone(tmp_path: Path) -> None:
    (table,) = tables(book(tmp_path))
    (tmp_path / "a.xlsx").unlink()
    with pytest.raises(UsageError, match=r"a\.xlsx: it cannot be read"):
        list(table.rows())
