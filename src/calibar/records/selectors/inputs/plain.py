"""Text files: which encoding, and whether it is a page, a chat or just text."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from calibar.errors import DecodeError
from calibar.records.selectors.inputs import telegram, whatsapp
from calibar.records.selectors.inputs.html import texts as html_texts
from calibar.records.selectors.text import Text

_MARKS: Final = (
    (b"\xef\xbb\xbf", "utf-8"), (b"\xff\xfe\0\0", "utf-32-le"), (b"\0\0\xfe\xff", "utf-32-be"),
    (b"\xff\xfe", "utf-16-le"), (b"\xfe\xff", "utf-16-be"),
)  # fmt: skip
_CONTROL: Final = re.compile("[\x01-\x08\x0e-\x1a\x1c-\x1f]")
_PAGE: Final = re.compile(r"\s{0,100}(?:<!--.{0,2000}?-->\s{0,100})?<(?:!doctype\s+html|html|head|body)", re.I | re.S)


def texts(
    path: Path, name: str, data: bytes, note: Callable[[str], None], read_as: Callable[[str], None]
) -> Iterator[Text]:
    """The texts of a text file. Raises DecodeError for bytes that are none."""
    text = decoded(data, name, note)
    if path.suffix.lower() in (".html", ".htm", ".xhtml") or _PAGE.match(text):
        read_as("html")
        return html_texts(text)
    if text.lstrip()[:1] == "{" and (found := telegram.texts(text)) is not None:
        read_as("telegram")
        return iter(found)
    if whatsapp.is_chat(text):
        read_as("whatsapp")
        return whatsapp.texts(text)
    return iter((Text(text),))


def decoded(data: bytes, name: str, note: Callable[[str], None]) -> str:
    """UTF-8, UTF-16, UTF-32 or, failing these, Windows-1252; line ends as `\\n`."""
    text = _decoded(data, name, note)
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _decoded(data: bytes, name: str, note: Callable[[str], None]) -> str:
    for mark, encoding in _MARKS:
        if data.startswith(mark):
            try:
                return data[len(mark) :].decode(encoding)
            except UnicodeDecodeError:
                raise DecodeError(f"{name} says that it is {encoding} but is not: save it again as UTF-8") from None
    if b"\0" in data:
        wide = _wide(data)
        if wide is None:
            raise DecodeError(f"{name} is of no kind that is read: text, table, PDF, HTML, chat, PNG or JPEG")
        note(f"read as {wide}, which it does not say")
        return data.decode(wide, "replace")
    try:
        text = data.decode()
    except UnicodeDecodeError:
        text = data.decode("cp1252", "replace")
        note("no UTF-8: read as Windows-1252")
    head = text[:100_000]
    if len(_CONTROL.findall(head)) > max(8, len(head) // 100):
        raise DecodeError(f"{name} is of no kind that is read: text, table, PDF, HTML, chat, PNG or JPEG")
    return text


def _wide(data: bytes) -> str | None:
    """UTF-16 without its mark: nearly all zeros are on one side."""
    head = data[: 1 << 16]
    even, odd = head[::2].count(0), head[1::2].count(0)
    if min(even, odd) * 50 > max(even, odd) or max(even, odd) * 4 < len(head):
        return None
    return "utf-16-le" if odd > even else "utf-16-be"
