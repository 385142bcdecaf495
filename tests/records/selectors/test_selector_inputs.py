"""Every kind of file, the place of each finding in it, and files made to do harm."""

from __future__ import annotations

import csv
import io
import json
import struct
import time
import zlib
from contextlib import suppress
from pathlib import Path

import pytest
import segno
import xlsxwriter
from finding import CHECKED_ETHER, GENESIS, HASH, SEGWIT, TETHER, report, the, write
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from calibar.errors import CalibarError, DecodeError, UsageError
from calibar.records.selectors import extract
from calibar.records.selectors.inputs.html import texts as html_texts

WHERE = ("line", "column", "sheet", "row", "page", "link", "code", "message", "chat", "from", "time", "part", "path")


def at(report_place: dict[str, object]) -> dict[str, object]:
    return {key: report_place[key] for key in WHERE if key in report_place}


def test_text_of_every_encoding(tmp_path: Path) -> None:
    text = f"ñandú\r\n  {GENESIS}\r\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be", "cp1252"):
        one = the(report(tmp_path, "a.txt", text.encode(encoding)), "address")
        assert at(one["places"][0]) == {"line": 2, "column": 3}, encoding
    one = the(report(tmp_path, "b.txt", f"a\r{GENESIS}"), "address")
    assert at(one["places"][0]) == {"line": 2, "column": 1}


def test_occurrences_are_merged_and_contexts_are_on_one_line(tmp_path: Path) -> None:
    text = f"{'x' * 100} {CHECKED_ETHER}\n\u202eabc\x07{CHECKED_ETHER.lower()}\t{'y' * 100}"
    one = the(report(tmp_path, "a.txt", text), "address")
    assert (one["count"], one["checked"], one["written"]) == (2, "checksum fits", [CHECKED_ETHER.lower()])
    first, second = one["places"]
    assert (at(first), at(second)) == ({"line": 1, "column": 102}, {"line": 2, "column": 6})
    assert first["context"].startswith("x" * 59 + " 0x")
    assert "\ufffdabc\ufffd" in second["context"]
    assert all(place["context"].isprintable() for place in one["places"])
    many = the(report(tmp_path, "b.txt", f"{GENESIS}\n" * 150), "address")
    assert (many["count"], len(many["places"])) == (150, 100)


def test_csv_and_tsv(tmp_path: Path) -> None:
    for name, mark in (("a.csv", ","), ("a.csv", ";"), ("a.tsv", "\t")):
        rows = [["UID", "Address", "Teléfono"], ["12345678", GENESIS, "1145678901"], ["87654321", "", ""]]
        found = report(tmp_path, name, "\n".join(mark.join(row) for row in rows))
        assert found.document["files"][0]["read_as"] == "table"
        assert at(the(found, "address")["places"][0]) == {"row": 2, "column": 2}
        assert the(found, "phone")["value"] == "+541145678901"
        assert [one["value"] for one in found.findings if one["kind"] == "user-id"] == ["12345678", "87654321"]


def test_a_csv_that_is_none_is_read_as_text(tmp_path: Path) -> None:
    found = report(tmp_path, "a.csv", f'a,"b\n{GENESIS}')
    assert the(found, "address")["value"] == GENESIS


def test_workbooks(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    book = xlsxwriter.Workbook(str(path))
    sheet = book.add_worksheet("Movimientos")
    sheet.write_row(0, 0, ["Fecha", "CBU", "Wallet"])
    sheet.write_row(4, 0, ["2024-01-15", "0170099220000067797370", TETHER])
    sheet.write(5, 1, 170099220000067797370)
    sheet.write(6, 1, 2850590940090418135201)
    book.close()
    found = extract([path])
    assert at(the(found, "address")["places"][0]) == {"sheet": "Movimientos", "row": 5, "column": 3}
    assert the(found, "cbu")["places"][0]["row"] == 5
    (cut,) = (one for one in found.near_misses if one["kind"] == "cbu")
    assert "digits after the 15th may be lost" in cut["checked"]


def pdf(lines: list[str], uri: str = "") -> bytes:
    """A PDF of one page per item, with a link on each."""
    objects = ["<</Type/Catalog/Pages 2 0 R>>", "", "<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"]
    kids = []
    for page in lines:
        shown = "".join(f"({line}) Tj 0 -14 Td " for line in page.split("\n"))
        stream = f"BT /F1 9 Tf 20 700 Td {shown}ET"
        objects.append(f"<</Length {len(stream)}>>\nstream\n{stream}\nendstream")
        note = f"<</Type/Annot/Subtype/Link/Rect[0 0 9 9]/A<</S/URI/URI({uri})>>>>" if uri else ""
        objects.append(
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 612 792]/Resources<</Font<</F1 3 0 R>>>>"
            f"/Contents {len(objects)} 0 R/Annots[{note}]>>"
        )
        kids.append(f"{len(objects)} 0 R")
    objects[1] = f"<</Type/Pages/Count {len(kids)}/Kids[{' '.join(kids)}]>>"
    out, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    size = len(objects) + 1
    end = f"trailer<</Size {size}/Root 1 0 R>>\nstartxref\n{len(out)}\n%%EOF"
    return f"{out}xref\n0 {size}\n0000000000 65535 f \n{table}{end}".encode()


def test_pdf(tmp_path: Path) -> None:
    data = pdf(["Resumen\nCBU 0170099220000067797370", f"hola\n{SEGWIT}"], f"https://x.example/tx/{HASH}")
    found = report(tmp_path, "a.pdf", data)
    assert at(the(found, "cbu")["places"][0]) == {"page": 1, "line": 2}
    assert at(the(found, "address")["places"][0]) == {"page": 2, "line": 2}
    assert at(the(found, "transaction")["places"][0]) == {"page": 1, "link": 1}


@pytest.mark.parametrize("data", [b"%PDF-1.4\n", b"%PDF-1.7\n" + bytes(range(256)) * 20, pdf(["x"])[:200]])
def test_damaged_pdf(tmp_path: Path, data: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    try:
        found = report(tmp_path, "a.pdf", data)
        assert list(found.findings) == []
    except CalibarError as error:
        assert "a.pdf" in str(error)
    assert capfd.readouterr() == ("", "")


def test_html(tmp_path: Path) -> None:
    page = f"""<!DOCTYPE html><html><head><style>p {{}}</style></head><body>
<p>Pagá a <b>{GENESIS[:10]}</b><span>{GENESIS[10:]}</span> ya</p>
<a href="https://x.example/address/{TETHER}">ver</a><!-- {SEGWIT} -->
<script>var a = "{CHECKED_ETHER}";</script>
<td>a&#64;b.example</td><td>{HASH}</td></body></html>"""
    found = report(tmp_path, "a.html", page)
    places = {one["value"]: at(one["places"][0]) for one in found.findings}
    assert places[GENESIS] == {"line": 2, "column": 14}
    assert places[TETHER] == {"line": 3, "column": 1 + len("https://x.example/address/"), "part": "a href"}
    assert places[SEGWIT]["part"] == "comment"
    assert places[CHECKED_ETHER]["line"] == 4
    assert places["a@b.example"]["line"] == 5
    assert places[HASH]["line"] == 5


def test_telegram_html(tmp_path: Path) -> None:
    page = f"""<!DOCTYPE html><html><body><div class="history">
<div class="message default clearfix" id="message12"><div class="body">
<div class="pull_right date details" title="12.03.2024 10:11:12 UTC-03:00">10:11</div>
<div class="from_name">
Juan </div><div class="text">
mandá a {GENESIS} </div></div></div>
<div class="message default clearfix joined" id="message13"><div class="body">
<div class="text">o a {SEGWIT}</div></div></div></div></body></html>"""
    found = report(tmp_path, "messages.html", page)
    places = {one["value"]: at(one["places"][0]) for one in found.findings}
    assert places[GENESIS] == {
        "line": 6, "column": 9, "message": 12, "from": "Juan", "time": "12.03.2024 10:11:12 UTC-03:00",
    }  # fmt: skip
    assert (places[SEGWIT]["message"], places[SEGWIT]["from"]) == (13, "Juan")


@pytest.mark.parametrize(
    "head",
    [
        "12/3/24, 10:11 - {}: ", "12/03/2024 10:11 - {}: ", "12/3/24, 10:11 p.\u00a0m. - {}: ",
        "3/12/24, 10:11 PM - {}: ",
        "[12/3/24, 10:11:12] {}: ", "\u200e[12/03/2024, 10:11:12 p.\u00a0m.] {}: ", "[2024-03-12, 10:11:12] {}: ",
        "[12.3.2024 klo 10.11.12] {}: ",
    ],
)  # fmt: skip
def test_whatsapp(tmp_path: Path, head: str) -> None:
    first, second = head.format("Juan Pérez"), head.format("\u202a+54 9 11 5555-1234\u202c")
    chat = f"{first}hola\n{second}pagá acá:\n{GENESIS}\n{first}dale {SEGWIT}\n"
    found = report(tmp_path, "chat.txt", chat)
    assert found.document["files"][0]["read_as"] == "whatsapp"
    places = {one["value"]: at(one["places"][0]) for one in found.findings}
    assert (places[GENESIS]["line"], places[GENESIS]["column"]) == (3, 1)
    assert places[GENESIS]["from"] == "\ufffd+54 9 11 5555-1234\ufffd"
    assert places[SEGWIT]["from"] == "Juan Pérez"
    assert (places[SEGWIT]["line"], places[SEGWIT]["column"]) == (4, len(first) + 6)
    assert places["+5491155551234"]["line"] == 2


def test_telegram_json(tmp_path: Path) -> None:
    messages = [
        {"id": 7, "type": "message", "date": "2024-03-12T10:11:12", "from": "Juan", "from_id": "user1",
         "text": ["pagá a ", {"type": "bold", "text": GENESIS[:9]}, GENESIS[9:], {"type": "text_link", "text": " x",
                  "href": f"https://x.example/address/{TETHER}"}], "text_entities": []},
        {"id": 8, "type": "message", "from": None, "text": f"\u202e{SEGWIT}\ud800"},
        {"id": 9, "type": "message", "contact_information": {"phone_number": "+54 9 11 5555-1234"}, "text": ""},
    ]  # fmt: skip
    chat = {"name": "Estafa", "type": "personal_chat", "id": 1, "messages": messages}
    for document in (chat, {"about": "x", "chats": {"list": [chat]}, "contacts": {"list": [{"x": CHECKED_ETHER}]}}):
        found = report(tmp_path, "result.json", json.dumps(document))
        assert found.document["files"][0]["read_as"] == "telegram"
        places = {one["value"]: at(one["places"][0]) for one in found.findings}
        assert places[GENESIS] == {
            "chat": "Estafa", "message": 7, "column": 8, "from": "Juan", "time": "2024-03-12T10:11:12",
        }  # fmt: skip
        assert (places[TETHER]["part"], places[SEGWIT]["message"]) == ("href", 8)
        assert places["+5491155551234"]["part"] == "contact_information/phone_number"
        if "chats" in document:
            assert places[CHECKED_ETHER]["path"] == "/contacts/list/0/x"


def test_other_json_is_text(tmp_path: Path) -> None:
    for text in (f'{{"a": "{GENESIS}"}}', "{" * 100_000 + GENESIS, '{"messages": 5, "x": "' + GENESIS + '"}'):
        assert the(report(tmp_path, "a.json", text), "address")["value"] == GENESIS


def test_codes_in_pictures(tmp_path: Path) -> None:
    uris = [f"bitcoin:{SEGWIT.upper()}?amount=0.5", f"ethereum:{CHECKED_ETHER}@1?value=1e18", f"tron:{TETHER}"]
    whole = Image.new("RGBA", (500, 1300), (255, 255, 255, 0))
    for number, uri in enumerate(uris):
        path = tmp_path / "one.png"
        segno.make_qr(uri).save(str(path), scale=6)
        whole.paste(Image.open(path).convert("RGBA"), (30, 30 + 420 * number))
    for name in ("a.png", "a.jpg"):
        (whole if name == "a.png" else whole.convert("RGBA").resize((1000, 2600)).convert("L")).save(tmp_path / name)
        if name == "a.jpg":
            flat = Image.new("L", (1000, 2600), 255)
            flat.paste(Image.open(tmp_path / "one.png").resize((700, 700)), (100, 100))
            flat.save(tmp_path / name)
        found = extract([tmp_path / name])
        codes = {one["value"]: one["places"][0]["code"] for one in found.findings}
        if name == "a.png":
            assert (codes[SEGWIT], codes[CHECKED_ETHER], codes[TETHER]) == (1, 2, 3)
            assert codes[uris[1]] == 2
        else:
            assert codes[TETHER] == 1
    Image.new("L", (50, 50), 255).save(tmp_path / "none.png")
    assert "no code" in extract([tmp_path / "none.png"]).document["files"][0]["notes"][0]


def png(width: int, height: int) -> bytes:
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = zlib.compress(bytes(100_000), 9)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.png", png(100_000, 100_000), "pixels"),
        ("a.png", png(9_000, 9_000), "pixels"),
        ("a.png", png(30, 30)[:44], "damaged picture"),
        ("a.png", b"\x89PNG\r\n\x1a\n" + bytes(range(256)), "damaged picture"),
        ("a.jpg", b"\xff\xd8\xff\xe0" + bytes(range(256)), "damaged picture"),
        ("a.gif", b"GIF89a" + bytes(100), "neither PNG nor JPEG"),
        ("a.bin", bytes(range(256)) * 100, "of no kind that is read"),
        ("a.bin", bytes(range(1, 32)) * 100, "of no kind that is read"),
        ("a.txt", b"\xff\xfe\x00", "utf-16"),
        ("a.zip", b"PK\x03\x04" + bytes(100), "damaged"),
        ("a.xls", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), ""),
        ("a.xlsx", b"PK\x03\x04", "damaged"),
    ],
)
def test_refusals_name_the_file(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    with pytest.raises(CalibarError) as caught:
        report(tmp_path, name, data)
    assert str(tmp_path / name) in str(caught.value)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "none", tmp_path / "a\0b"):
        with pytest.raises(UsageError):
            extract([path])
    with pytest.raises(UsageError, match="expand"):
        extract([], expand=5000)


def seconds(text: str, folder: Path, name: str = "a.txt") -> float:
    path = write(folder, name, text)
    start = time.process_time()
    with suppress(DecodeError):
        extract([path])
    return time.process_time() - start


@pytest.mark.parametrize("line", ["a" * 10_000_000, "1" * 10_000_000])
def test_a_line_of_ten_megabytes(line: str, tmp_path: Path) -> None:
    assert seconds(line, tmp_path) < 10


HOSTILE = [
    "1 ", "1-", "(", "+1", "a@", "@", "a.", "*", "x", "xX", "0x", "http://", "www.", "bitcoin:", "wpkh(", "sh(wpkh(",
    "DE89 ", "uid: ", "terminada en ", "private key ", "-----BEGIN PRIVATE KEY-----", "\u200b", "а\u200b", "word 1: ",
    '"ciphertext":"' + "a" * 20 + '" kdf ', "2024-01-15 ", "abandon ", "xprv", "{", "[12/3/24, 10:11:12] ",
    "<!--", "<a b='",
    "bc1", "1.", "12/3/24, 10:11 - ",
]  # fmt: skip


@pytest.mark.parametrize("part", HOSTILE)
def test_time_is_linear(part: str, tmp_path: Path) -> None:
    size = 300_000
    assert seconds(part * (size // len(part)), tmp_path) < 2.5


@pytest.mark.parametrize(
    "part",
    [
        "<div>",
        "<a ",
        "<!--",
        "<!",
        "<![CDATA[",
        "</",
        "<?",
        "&",
        "&#",
        "<a b='",
        '<a b="',
        "<script>",
        "<a\n",
        "<p x=>",
        "]]>",
    ],
)
def test_pages_made_to_take_long(part: str, tmp_path: Path) -> None:
    page = "<html>" + part * (1_000_000 // len(part)) + f" {GENESIS}"
    path = write(tmp_path, "a.html", page)
    start = time.process_time()
    found = extract([path])
    assert time.process_time() - start < 6
    assert [one["value"] for one in found.findings if one["kind"] == "address"] == [GENESIS]


@settings(max_examples=150, deadline=None)
@given(st.text("<>/!-=\"' \nabdivscript&#;[]", max_size=200), st.sampled_from([GENESIS, TETHER]))
def test_an_address_in_any_page_is_in_its_texts(page: str, address: str) -> None:
    assert any(address in text.text for text in html_texts(f"<html>{page} {address} {page}"))


@settings(max_examples=60, deadline=None)
@given(st.binary(max_size=400), st.sampled_from(["a.txt", "a.html", "a.json", "a.csv", "a.pdf", "a.png", "a.xlsx"]))
def test_no_file_breaks_it(tmp_path_factory: pytest.TempPathFactory, data: bytes, name: str) -> None:
    folder = tmp_path_factory.mktemp("any")
    heads = {"a.pdf": b"%PDF-1.4\n", "a.png": b"\x89PNG\r\n\x1a\n", "a.xlsx": b"PK\x03\x04"}
    try:
        report(folder, name, heads.get(name, b"") + data)
    except CalibarError as error:
        assert "\n" not in str(error)


def test_the_answer_is_the_same_each_time(tmp_path: Path) -> None:
    paths = [write(tmp_path, f"{at}.txt", f"{GENESIS} {SEGWIT}\n{HASH} =cmd|x {TETHER}") for at in range(3)]
    assert extract(paths).json() == extract(paths).json()
    found = extract([*paths, paths[0]])
    assert [len(one["places"]) for one in found.findings] == [3, 3, 3, 3]
    rows = list(csv.reader(io.StringIO(found.csv().decode())))
    assert rows[0][:3] == ["kind", "value", "written"]
    assert len(rows) == 13
    assert all(cell[:1] not in ("=", "@", "-") for row in rows for cell in row)
