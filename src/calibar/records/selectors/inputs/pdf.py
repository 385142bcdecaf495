"""PDF: the text of each page, line by line, and the targets of its links."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from calibar.errors import DecodeError, UsageError
from calibar.records.selectors.text import Pile, Text

MOST_PAGES: Final = 3000
MOST_CHARACTERS: Final = 64 << 20


def texts(path: Path, name: str) -> Iterator[Text]:
    """Its texts. Raises UsageError for one with too many pages or a password, DecodeError for a damaged one."""
    import pdfplumber  # noqa: PLC0415

    said, links = Pile(), Pile()
    size = 0
    with _silent():
        try:
            with pdfplumber.open(path) as document:
                if len(document.pages) > MOST_PAGES:
                    raise UsageError(f"{name} has {len(document.pages)} pages; at most {MOST_PAGES} are read: split it")
                for number, page in enumerate(document.pages, 1):
                    text = page.extract_text() or ""
                    size += len(text)
                    if size > MOST_CHARACTERS:
                        raise UsageError(f"{name} has more text than is read: split it before page {number}")
                    for line, part in enumerate(text.split("\n"), 1):
                        said.add(part, {"page": number, "line": line})
                    for at, link in enumerate(page.hyperlinks, 1):
                        links.add(str(link.get("uri") or ""), {"page": number, "link": at})
                    page.close()
        except UsageError:
            raise
        except MemoryError:
            raise DecodeError(f"{name}: a page needs more memory than there is") from None
        except Exception as error:  # whatever a damaged file brings the library to
            if "assword" in type(error).__name__ + str(error) or "Encryption" in type(error).__name__:
                raise UsageError(f"{name} has a password: save it without one") from None
            raise DecodeError(f"{name} is no PDF that can be read ({type(error).__name__}): get it again") from None
    yield said.text()
    yield links.text()


@contextmanager
def _silent() -> Iterator[None]:
    """Without the library's own remarks, which may repeat what a file says."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        yield
    finally:
        logging.disable(before)
