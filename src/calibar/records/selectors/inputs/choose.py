"""Which kind a file is, by its first bytes; its name decides only between kinds of text."""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from calibar.errors import CalibarError, DecodeError, UsageError
from calibar.records.selectors.report import Collector
from calibar.records.selectors.text import Text

MOST_BYTES: Final = 256 << 20
Reader = Callable[[Path, str, Collector], Iterator[Text]]
_SEPARATED: Final = (".csv", ".tsv")
_ENVELOPE: Final = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


def named(path: Path) -> str:
    """A file's name as it may be shown and written."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def read(path: Path, collector: Collector) -> None:
    """Hand a file's texts to the collector. Raises UsageError or DecodeError, which names the file."""
    name = named(path)
    try:
        if path.is_dir():
            raise UsageError(f"{name} is a folder: name the files in it")
        size = path.stat().st_size if path.is_file() else 0
        if size > MOST_BYTES:
            raise UsageError(f"{name} has {size >> 20} MB; at most {MOST_BYTES >> 20} MB are read: split it")
        with path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise UsageError(f"cannot read {name}: {reason}; name another file") from None
    if len(data) > MOST_BYTES:
        raise UsageError(f"{name} has more than {MOST_BYTES >> 20} MB: split it")
    kind = _kind(path, name, data)
    digest = hashlib.sha256(data).hexdigest()
    collector.open({"file": name, "bytes": len(data), "sha256": digest, "read_as": kind, "notes": []})
    try:
        for text in _texts(kind, path, name, data, collector):
            collector.add(text)
    except CalibarError as error:
        message = str(error)
        raise type(error)(message if name in message else f"{name}: {message}") from None


def _kind(path: Path, name: str, data: bytes) -> str:
    if data[:1024].lstrip(b"\xef\xbb\xbf\r\n\t \0").startswith(b"%PDF-"):
        return "pdf"
    if data.startswith((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff")):
        return "picture"
    if data.startswith(_ENVELOPE):
        return "table"
    if data.startswith(b"PK\x03\x04"):
        return _zipped(path, name)
    if data.startswith((b"GIF8", b"BM", b"RIFF", b"II*\0", b"MM\0*")) and b"\0" in data[:512]:
        raise UsageError(f"{name} is a picture that is neither PNG nor JPEG: convert it to PNG")
    return "table" if path.suffix.lower() in _SEPARATED else "text"


def _zipped(path: Path, name: str) -> str:
    try:
        with zipfile.ZipFile(path) as archive:
            names = set(archive.namelist())
            mark = archive.open("mimetype").read(100) if "mimetype" in names else b""
    except (OSError, ValueError, RuntimeError, NotImplementedError, zipfile.BadZipFile, EOFError, KeyError):
        raise DecodeError(f"{name} begins like a zip file but is damaged: get it again") from None
    if mark.startswith(b"application/vnd.oasis.opendocument.spreadsheet") or any(
        one.startswith("xl/") for one in names
    ):
        return "table"
    raise UsageError(f"{name} is an archive or a document of a kind that is not read: unpack it, or save it as PDF")


def _texts(kind: str, path: Path, name: str, data: bytes, collector: Collector) -> Iterator[Text]:
    if kind == "pdf":
        from calibar.records.selectors.inputs.pdf import texts as pdf_texts  # noqa: PLC0415

        return pdf_texts(path, name)
    if kind == "picture":
        from calibar.records.selectors.inputs.pictures import texts as picture_texts  # noqa: PLC0415

        return picture_texts(data, name, collector.note)
    if kind == "table":
        return _table_or_text(path, name, data, collector)
    from calibar.records.selectors.inputs.plain import texts as plain_texts  # noqa: PLC0415

    return plain_texts(path, name, data, collector.note, collector.read_as)


def _table_or_text(path: Path, name: str, data: bytes, collector: Collector) -> Iterator[Text]:
    """A workbook must be one; a file with separators that is no table is read as text."""
    from calibar.records.selectors.inputs.plain import texts as plain_texts  # noqa: PLC0415
    from calibar.records.selectors.inputs.tables import texts as table_texts  # noqa: PLC0415

    if path.suffix.lower() not in _SEPARATED:
        yield from table_texts(path)
        return
    try:
        found = list(table_texts(path))
    except (DecodeError, UsageError):
        collector.note("no table that can be read as one: read as text")
        found = list(plain_texts(path, name, data, collector.note, collector.read_as))
    yield from found
