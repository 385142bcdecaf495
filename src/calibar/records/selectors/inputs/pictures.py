"""Pictures (PNG, JPEG): the texts of the QR codes and other matrix codes in them. ISO/IEC 18004 by zxing-cpp."""

from __future__ import annotations

import io
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Final

from calibar.errors import DecodeError
from calibar.records.selectors.text import Pile, Text

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS: Final = 64_000_000


def texts(data: bytes, name: str, note: Callable[[str], None]) -> Iterator[Text]:
    """The codes from the top to the bottom. Raises DecodeError for a picture that is damaged or too large."""
    from zxingcpp import BarcodeFormat, BarcodeFormats, TextMode, read_barcodes  # noqa: PLC0415

    picture = _grey(data, name)
    found = read_barcodes(picture, formats=BarcodeFormats(BarcodeFormat.AllMatrix), text_mode=TextMode.Plain)
    if not found:
        note("no code was found in the picture; text in pictures is not read")
    pile = Pile()
    for number, code in enumerate(sorted(found, key=_where), 1):
        text = code.text.encode("utf-8", "replace").decode()
        pile.add(text, {"code": number, "column": 1})
    yield pile.text()


def _where(code: Any) -> tuple[int, int, str]:
    corner = code.position.top_left
    return corner.y, corner.x, code.text


def _grey(data: bytes, name: str) -> Image:
    from PIL import Image  # noqa: PLC0415

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(data), formats=("PNG", "JPEG")) as picture:
                width, height = picture.size
                if width * height > MOST_PIXELS:
                    raise DecodeError(
                        f"{name} has {width}×{height} pixels; at most {MOST_PIXELS // 10**6} million are read"
                    )
                if picture.mode in ("RGBA", "LA", "PA") or "transparency" in picture.info:
                    behind = Image.new("RGBA", picture.size, "white")
                    return Image.alpha_composite(behind, picture.convert("RGBA")).convert("L")
                return picture.convert("L")
        except Image.DecompressionBombError:
            raise DecodeError(f"{name} has more pixels than are read ({MOST_PIXELS // 10**6} million)") from None
        except (OSError, ValueError, SyntaxError, TypeError, IndexError, OverflowError, EOFError, MemoryError) as error:
            raise DecodeError(f"{name} is a damaged picture ({type(error).__name__}): get it again") from None
