"""RFC 8785 canonical JSON, quickly where a document is plain: the library's bytes, by the standard encoder."""

from __future__ import annotations

import json
from typing import Any, Final

_LARGEST: Final = 2**53 - 1


def canonical(document: Any) -> bytes:
    """The canonical bytes of anything that JSON writes.

    For text, whole numbers that JSON has exactly, and keys in ASCII, the canonical form is what the standard encoder
    writes with sorted keys and no spaces; anything else goes through rfc8785. Raises rfc8785.CanonicalizationError.
    """
    if _is_plain(document):
        try:
            return json.dumps(document, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()
        except UnicodeEncodeError:
            pass
    import rfc8785  # noqa: PLC0415

    return rfc8785.dumps(document)


def _is_plain(document: Any) -> bool:
    found = [document]
    for value in found:
        kind = type(value)
        if kind is str or value is None or kind is bool:
            continue
        if kind is int:
            if not -_LARGEST <= value <= _LARGEST:
                return False
        elif kind is dict:
            try:
                if not "".join(value).isascii():
                    return False
            except TypeError:
                return False
            found += value.values()
        elif kind is list:
            found += value
        else:
            return False
    return True
