"""Telephone numbers by the plans of all countries (ITU-T E.164; the plans are libphonenumber's).

A run of digits without sign, space or word beside it is any number: it is a telephone's only where a word says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from calibar.errors import UsageError
from calibar.records.selectors.hit import Hit
from calibar.records.selectors.spans import Spans
from calibar.records.selectors.text import Text

KIND: Final = "phone"
CHECKED: Final = "no checksum: the numbering plan has it"
_CANDIDATE: Final = re.compile(
    r"[+(0-9](?<![\w.,$€#+(].)(?:(?<!/.)|(?<=\.me/.))"
    r"[+(]{0,2}[0-9]?(?:[0-9]|[ \-.()\u00a0\u2011]{1,3}(?=[0-9(])){5,30}(?![^\W_])"
)
_DATE: Final = re.compile(
    r"(?:(?:19|20)[0-9]{2}([-. ])[01]?[0-9]\1[0-3]?[0-9]|[0-3]?[0-9]([-. ])[01]?[0-9]\2(?:20)?[0-9]{2})(?![0-9])[ \-]*"
)
_NO_PHONE: Final = re.compile(
    r"[0-9]{1,3}(?:\.[0-9]{3})+|[0-9]+\.[0-9]+|[0-9]{1,3}(?:\.[0-9]{1,3}){3}|[0-9]{2}-[0-9]{8}-[0-9]"
)
_WORDS: Final = re.compile(
    r"(?:tel|telef\w*|phone|fono|cel|celular\w*|movil\w*|mobile|whats ?app|wsp|wpp|wa\.me/|tel:|sms|llam\w*|contact\w*)"
    r"[^0-9\n]{0,16}$"
)


def find(text: Text, region: str, taken: Spans) -> Iterator[Hit]:
    """All of a text but what is taken for something else; national numbers are the region's. The value is E.164."""
    least = _least(region)
    for start, written in _candidates(text.text, taken):
        digits = sum(c.isdigit() for c in written)
        plus = written.startswith(("+", "(+"))
        if digits < (7 if plus else least) or (not plus and _NO_PHONE.fullmatch(written)):
            continue
        if written.isdigit() and not written.startswith("00") and not _WORDS.search(_heading(text, start)):
            continue
        for offset, length, number in _numbers(written, region):
            yield Hit(KIND, number, start + offset, start + offset + length, CHECKED)


def _candidates(text: str, taken: Spans) -> Iterator[tuple[int, str]]:
    at = 0
    while match := _CANDIDATE.search(text, at):
        other = next(taken.within(match.start(), match.end()), None)
        start, end = match.start(), match.end() if other is None else max(match.start(), other[0])
        at = end if other is None else max(end, other[1])
        while date := _DATE.match(text, start, end):
            start = date.end()
        if written := text[start:end].rstrip(" -.("):
            yield start, written


def check_region(region: str) -> str:
    """The region in capital letters. Raises UsageError for one without a numbering plan."""
    import phonenumbers  # noqa: PLC0415

    if region.upper() not in phonenumbers.SUPPORTED_REGIONS:
        raise UsageError(
            f"{region[:20]!r} is no region with telephone numbers: two letters by ISO 3166, such as AR or UY"
        )
    return region.upper()


def _heading(text: Text, start: int) -> str:
    label = text.label(start)
    return label if _WORDS.search(label) else text.folded[max(0, start - 32) : start]


@lru_cache
def _least(region: str) -> int:
    from phonenumbers import PhoneMetadata  # noqa: PLC0415

    metadata = PhoneMetadata.metadata_for_region(region)
    lengths = metadata.general_desc.possible_length if metadata and metadata.general_desc else ()
    return max(7, min(lengths, default=7))


@lru_cache(1 << 15)
def _numbers(written: str, region: str) -> tuple[tuple[int, int, str], ...]:
    """Offset, length and number of each in a candidate."""
    import phonenumbers  # noqa: PLC0415

    e164 = phonenumbers.PhoneNumberFormat.E164
    try:
        number = phonenumbers.parse(written, region)
    except phonenumbers.NumberParseException:
        return ()
    if phonenumbers.is_valid_number(number):
        return ((0, len(written.rstrip(" -.(")), phonenumbers.format_number(number, e164)),)
    if len(written) < 15:
        return ()
    return tuple(
        (match.start, match.end - match.start, phonenumbers.format_number(match.number, e164))
        for match in phonenumbers.PhoneNumberMatcher(written, region)
    )
