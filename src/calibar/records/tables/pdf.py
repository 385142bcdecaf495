"""Tables of a page of a PDF: those drawn with lines, and text that stands in columns outside of them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from calibar.errors import DecodeError, UsageError

if TYPE_CHECKING:
    from pdfplumber.page import Page

MOST_PAGES: Final = 5000
_MOST_SIGNS: Final = 200_000
_MOST_LINES: Final = 50_000
_SPACE: Final = 0.5
"""Of the height of the letters: what is farther apart stands in another cell."""

Grid = list[list[str | None]]


class _Piece(NamedTuple):
    left: float
    right: float
    text: str


def pages(stream: BytesIO) -> Iterator[tuple[int, list[Grid], bool]]:
    """Number of a page, its tables, and whether it is a picture. Raises UsageError and DecodeError without a name."""
    import pdfplumber  # noqa: PLC0415
    from pdfminer.pdfdocument import PDFPasswordIncorrect  # noqa: PLC0415
    from pdfminer.pdfexceptions import PDFException  # noqa: PLC0415
    from pdfplumber.utils.exceptions import PdfminerException  # noqa: PLC0415

    try:
        with pdfplumber.open(stream) as document:
            found = document.pages
            if len(found) > MOST_PAGES:
                raise DecodeError(f"more than {MOST_PAGES:,} pages: ask for a shorter period")
            if not found:
                raise DecodeError("it has no page: it is damaged or cut off; have it sent again")
            for page in found:
                yield page.page_number, _tables(page), not page.chars and bool(page.images)
                page.close()
    except (DecodeError, UsageError, MemoryError):
        raise
    except (PdfminerException, PDFException, RecursionError, ValueError, TypeError, KeyError, IndexError) as error:
        causes = (error, *error.args, error.__cause__, error.__context__)
        if any(isinstance(cause, PDFPasswordIncorrect) for cause in causes):
            raise UsageError("it is encrypted: open it with its password and print it to a PDF without one") from None
        raise DecodeError("the PDF is damaged or cut off: have it sent again") from None
    except (AttributeError, AssertionError, ArithmeticError, OSError, UnicodeError):
        raise DecodeError("the PDF is damaged or cut off: have it sent again") from None


def _tables(page: Page) -> list[Grid]:
    drawn = len(page.lines) + len(page.rects) + len(page.curves)
    if len(page.chars) > _MOST_SIGNS or drawn > _MOST_LINES:
        raise DecodeError(f"page {page.page_number}: more letters or lines than a page holds: it is not read")
    ruled = [table for table in page.find_tables() if max(len(row.cells) for row in table.rows) > 1]
    grids: list[Grid] = [table.extract() for table in ruled]
    words = page.extract_words(extra_attrs=["size"])
    outside = [word for word in words if not any(_inside(word, table.bbox) for table in ruled)]
    free = _columns(_lines(outside))
    return [*grids, free] if free else grids


def _inside(word: dict[str, Any], box: tuple[float, float, float, float]) -> bool:
    across, down = (word["x0"] + word["x1"]) / 2, (word["top"] + word["bottom"]) / 2
    return bool(box[0] <= across <= box[2] and box[1] <= down <= box[3])


def _lines(words: list[dict[str, Any]]) -> list[list[_Piece]]:
    """Words beside each other, joined where a space lies between them and no more."""
    lines: list[list[dict[str, Any]]] = []
    for word in sorted(words, key=lambda word: (word["bottom"], word["x0"])):
        if lines and word["bottom"] - lines[-1][0]["bottom"] < word["size"] * _SPACE:
            lines[-1].append(word)
        else:
            lines.append([word])
    found = []
    for line in lines:
        pieces: list[_Piece] = []
        for word in sorted(line, key=lambda word: float(word["x0"])):
            if pieces and word["x0"] - pieces[-1].right < word["size"] * _SPACE:
                before = pieces.pop()
                pieces.append(_Piece(before.left, word["x1"], f"{before.text} {word['text']}"))
            else:
                pieces.append(_Piece(word["x0"], word["x1"], word["text"]))
        found.append(pieces)
    return found


def _columns(lines: list[list[_Piece]]) -> Grid:
    """From the first line with two pieces to the last; columns are what no gap runs through."""
    several = [at for at, line in enumerate(lines) if len(line) > 1]
    if len(several) < 2:
        return []
    spans: list[tuple[float, float]] = []
    for piece in sorted(piece for at in several for piece in lines[at]):
        if spans and piece.left < spans[-1][1]:
            spans[-1] = spans[-1][0], max(spans[-1][1], piece.right)
        else:
            spans.append((piece.left, piece.right))
    if len(spans) < 2:
        return []
    grid: Grid = []
    for line in lines[several[0] : several[-1] + 1]:
        row: list[str | None] = [None] * len(spans)
        for piece in line:
            at = max((at for at, span in enumerate(spans) if span[0] <= piece.left), default=0)
            row[at] = piece.text if row[at] is None else f"{row[at]} {piece.text}"
        grid.append(row)
    return grid
