"""Tables in text, CSV as RFC 4180 has it: rows found, hex and decimal numbers read straight into 64-bit words.

A row becomes `width` words: a mask of the fields that are not empty, its line, then its fields. A field of n bytes
takes the words that hold them, zero-padded; a 256-bit number takes four, least significant first.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.compiled import i64, inlined, lean, u64

Bytes = NDArray[np.uint8]
Words = NDArray[np.uint64]
I64 = NDArray[np.int64]

SKIP, HASH, ADDRESS, NUMBER, AMOUNT, NAME, TEXT = range(7)
"""Kinds of field: passed over; 0x and 32 bytes; 0x and 20 bytes; a number under 10^18; a number of 256 bits, `12e3`
allowed; its first eight bytes; where it begins among `texts` and its length."""
WIDTHS: Final = (0, 4, 3, 1, 4, 1, 2)
"""Words that a field takes."""
REQUIRED: Final = 8
"""Added to a kind: an empty field is an error. The bit of its field in the mask is added times 16."""

(FINE, FIELDS, QUOTE, MISSING, NOT_HASH, NOT_ADDRESS, NOT_NUMBER, TOO_LARGE) = range(8)
"""What is wrong with a row."""

_COMMA: Final = 0x2C
_NEWLINE: Final = 0x0A
_RETURN: Final = 0x0D
_QUOTE: Final = 0x22
_0: Final = 0x30
_9: Final = 0x39
_X: Final = 0x78
_HEX: Final = np.full(256, 0xFF, np.uint8)
_HEX[np.frombuffer(b"0123456789", np.uint8)] = np.arange(10)
_HEX[np.frombuffer(b"abcdef", np.uint8)] = np.arange(10, 16)
_HEX[np.frombuffer(b"ABCDEF", np.uint8)] = np.arange(10, 16)


@lean
def rows_end(data: Bytes, begin: int, size: int, found: I64) -> int:
    """Where the last whole row of `data[begin:size]` ends; `found`: rows, line breaks in them."""
    end = i64(begin)
    rows = i64(0)
    lines = i64(0)
    breaks = i64(0)
    quoted = False
    for at in range(begin, size):
        byte = data[at]
        if byte == _QUOTE:
            quoted = not quoted
        elif byte == _NEWLINE:
            breaks += 1
            if not quoted:
                rows += 1
                end = at + 1
                lines = breaks
    found[0] = rows
    found[1] = lines
    return end


@inlined
def _field_end(data: Bytes, at: int, end: int) -> int:
    """Where the sign after a field stands: a comma, a line break, or the end."""
    if at < end and data[at] == _QUOTE:
        at += 1
        while at < end:
            if data[at] == _QUOTE:
                if at + 1 >= end or data[at + 1] != _QUOTE:
                    break
                at += 1
            at += 1
    while at < end and data[at] != _COMMA and data[at] != _NEWLINE:
        at += 1
    return at


@lean
def column_range(data: Bytes, begin: int, end: int, column: int, found: I64) -> int:
    """Least and greatest number in one column of whole rows, in `found` (it holds them so far); FINE, or what is
    wrong, with the offset of that row in `found[2]`. Rows are not otherwise checked."""
    at = i64(begin)
    while at < end:
        found[2] = at
        if data[at] == _NEWLINE or (data[at] == _RETURN and at + 1 < end and data[at + 1] == _NEWLINE):
            at += 1 if data[at] == _NEWLINE else 2
            continue
        for _ in range(column):
            at = _field_end(data, at, end)
            if at >= end or data[at] == _NEWLINE:
                return FIELDS
            at += 1
        start = at
        at = _field_end(data, at, end)
        stop = at
        if stop > start and data[stop - 1] == _RETURN:
            stop -= 1
        if stop - start > 1 and data[start] == _QUOTE:
            start += 1
            stop -= 1
        if stop == start:
            return MISSING
        if stop - start > 18:
            return TOO_LARGE
        value = i64(0)
        for i in range(start, stop):
            if not _0 <= data[i] <= _9:
                return NOT_NUMBER
            value = value * 10 + (i64(data[i]) - _0)
        found[0] = min(found[0], value)
        found[1] = max(found[1], value)
        while at < end and data[at] == _COMMA:
            at = _field_end(data, at + 1, end)
        at += 1
    return FINE


@inlined
def _hex(data: Bytes, at: int, count: int, raw: Bytes, row: int, to: int) -> bool:
    wrong = np.uint8(0)
    for i in range(count):
        high = _HEX[data[at + 2 * i]]
        low = _HEX[data[at + 2 * i + 1]]
        wrong |= (high | low) & np.uint8(0xF0)
        raw[row, to + i] = (high << np.uint8(4)) | (low & np.uint8(0x0F))
    fine: bool = wrong == 0
    return fine


@inlined
def _scale(words: Words, row: int, to: int, factor: int, plus: int) -> int:
    """words · factor + plus in place, both under 2^32; what is over 256 bits."""
    carry = u64(plus)
    mask = u64(0xFFFFFFFF)
    half = u64(32)
    for i in range(4):
        limb = words[row, to + i]
        low = (limb & mask) * u64(factor) + carry
        high = (limb >> half) * u64(factor) + (low >> half)
        words[row, to + i] = (high << half) | (low & mask)
        carry = high >> half
    return carry


@lean
def _amount(data: Bytes, at: int, end: int, words: Words, row: int, to: int) -> int:
    for i in range(4):
        words[row, to + i] = u64(0)
    begin = at
    while at < end and _0 <= data[at] <= _9:
        part = u64(0)
        factor = u64(1)
        stop = min(at + 9, end)
        while at < stop and _0 <= data[at] <= _9:
            part = part * u64(10) + u64(data[at] - np.uint8(_0))
            factor *= u64(10)
            at += 1
        if _scale(words, row, to, factor, part) != 0:
            return TOO_LARGE
    if at == begin:
        return NOT_NUMBER
    if at == end:
        return FINE
    if data[at] != 0x65 and data[at] != 0x45:
        return NOT_NUMBER
    at += 1
    if at < end and data[at] == 0x2B:
        at += 1
    if at == end or end - at > 3:
        return NOT_NUMBER
    exponent = i64(0)
    while at < end:
        if not _0 <= data[at] <= _9:
            return NOT_NUMBER
        exponent = exponent * 10 + (i64(data[at]) - _0)
        at += 1
    for _ in range(exponent):
        if _scale(words, row, to, u64(10), u64(0)) != 0:
            return TOO_LARGE
    return FINE


@lean
def _number(data: Bytes, at: int, end: int, words: Words, row: int, to: int) -> int:
    if end - at > 18:
        return TOO_LARGE
    value = u64(0)
    while at < end:
        if not _0 <= data[at] <= _9:
            return NOT_NUMBER
        value = value * u64(10) + u64(data[at] - np.uint8(_0))
        at += 1
    words[row, to] = value
    return FINE


@lean
def parse_rows(
    data: Bytes, begin: int, end: int, line: int, kinds: I64, places: I64, words: Words, raw: Bytes, texts: Bytes,
    wrong: I64,
) -> int:  # fmt: skip
    """Read whole rows into `words` (its bytes are `raw`, all zero before) and `texts`; returns rows read.

    Stops at the first row that is broken: `wrong` has what is wrong, the line, the column; then the bytes of `texts`.
    """
    at = i64(begin)
    row = i64(0)
    kept = i64(0)
    line = i64(line)
    columns = kinds.size
    wrong[0] = FINE
    while at < end:
        if data[at] == _NEWLINE or (data[at] == _RETURN and at + 1 < end and data[at + 1] == _NEWLINE):
            at += 1 if data[at] == _NEWLINE else 2
            line += 1
            continue
        wrong[1] = line
        if row == words.shape[0]:
            wrong[0] = QUOTE
            return row
        words[row, 1] = u64(line)
        present = u64(0)
        column = i64(0)
        last = False
        while not last:
            wrong[2] = column
            if column == columns:
                wrong[0] = FIELDS
                return row
            start = at
            quotes = i64(0)
            if at < end and data[at] == _QUOTE:
                start += 1
                at += 1
                while True:
                    if at >= end:
                        wrong[0] = QUOTE
                        return row
                    if data[at] == _NEWLINE:
                        line += 1
                    if data[at] == _QUOTE:
                        if at + 1 < end and data[at + 1] == _QUOTE:
                            quotes += 1
                            at += 1
                        else:
                            break
                    at += 1
                stop = at
                at += 1
                if at + 1 < end and data[at] == _RETURN and data[at + 1] == _NEWLINE:
                    at += 1
                if at < end and data[at] != _COMMA and data[at] != _NEWLINE:
                    wrong[0] = QUOTE
                    return row
            else:
                while at < end and data[at] != _COMMA and data[at] != _NEWLINE:
                    at += 1
                stop = at
                if stop > start and data[stop - 1] == _RETURN:
                    stop -= 1
            last = at >= end or data[at] == _NEWLINE
            at += 1

            kind = kinds[column] & 7
            to = places[column]
            size = stop - start
            if kind == SKIP:
                pass
            elif size == 0:
                if kinds[column] & REQUIRED:
                    wrong[0] = MISSING
                    return row
            else:
                present |= u64(1) << u64(kinds[column] >> 4)
                if kind == HASH:
                    if (
                        size != 66 or data[start] != _0 or data[start + 1] != _X
                        or not _hex(data, start + 2, 32, raw, row, 8 * to)
                    ):  # fmt: skip
                        wrong[0] = NOT_HASH
                        return row
                elif kind == ADDRESS:
                    if (
                        size != 42 or data[start] != _0 or data[start + 1] != _X
                        or not _hex(data, start + 2, 20, raw, row, 8 * to)
                    ):  # fmt: skip
                        wrong[0] = NOT_ADDRESS
                        return row
                elif kind in (NUMBER, AMOUNT):
                    if kind == NUMBER:
                        fault = _number(data, start, stop, words, row, to)
                    else:
                        fault = _amount(data, start, stop, words, row, to)
                    if fault != FINE:
                        wrong[0] = fault
                        return row
                elif kind == NAME:
                    for i in range(min(size, 8)):
                        raw[row, 8 * to + i] = data[start + i]
                else:
                    words[row, to] = u64(kept)
                    words[row, to + 1] = u64(size - quotes)
                    i = start
                    while i < stop:
                        texts[kept] = data[i]
                        kept += 1
                        i += 2 if data[i] == _QUOTE else 1
            column += 1
        if column != columns:
            wrong[0] = FIELDS
            return row
        words[row, 0] = present
        row += 1
        line += 1
    wrong[3] = kept
    return row
