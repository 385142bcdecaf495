"""Seed phrases: BIP39 in English and Spanish, and Electrum's, which has the same English words.

Sources: BIP39 (words, checksum); Electrum, `electrum/version.py` (prefixes of the HMAC).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

from calibar.records.selectors.hit import Secret
from calibar.records.selectors.text import Text, folded

_LISTS: Final = ("english", "spanish")
_LENGTHS: Final = (12, 15, 18, 21, 24)
_LEAST: Final = 12
_COUNTED: Final = r"[^\W\d_]++[ \t]{0,2}[#n°º.]{0,2}[ \t]{0,2}[0-9]{1,2}[ \t]{0,2}[:.)=\-](?=[ \t\"'])"
_WORD: Final = re.compile(rf"{_COUNTED}|((?:[^\W\d_][\u0300-\u036f]?)++)")
"""`word 7:`, which counts the words and is none of them; or a word."""
_MARKS: Final = re.compile("[\u0300-\u036f]")
_SIMPLE: Final = re.compile("[a-z]+")
_ENOUGH: Final = re.compile(rb"\x01{12}|(?:\x00\x01){12}")
"""Twelve words of a list, or each after another that counts them."""
_FAR: Final = 64
"""Between two words of a phrase stand no more characters that are no words."""
_ELECTRUM: Final = ("01", "100", "101", "102")


class _Taken(NamedTuple):
    word: str
    start: int
    end: int


@cache
def words(language: str) -> Mapping[str, int]:
    """The 2048 words of a list, without accents (BIP39 counts them as the same), and their numbers."""
    lines = (Path(__file__).parent.parent / "words" / f"{language}.txt").read_text("utf-8").splitlines()
    found = [folded(word) for line in lines if not line.startswith("#") for word in line.split()]
    return {word: number for number, word in enumerate(found)}


def find(text: Text) -> Iterator[Secret]:
    """All phrases of a text, and of the columns of a table."""
    if _may_have(text.folded):
        yield from _in(_words(text.folded, 0, len(text.folded)))
    for column in text.runs():
        for secret in _in(
            (taken for start, end in column for taken in _words(text.folded, start, end)), far=len(text.text)
        ):
            cells = [(start, end) for start, end in column if end > secret.start and start < secret.end]
            yield from (Secret(secret.kind, *cell, is_rest=at > 0) for at, cell in enumerate(cells))


def _may_have(text: str) -> bool:
    """Whether a closer look is worth it; quick."""
    if not text.isascii() and _MARKS.search(text):
        return True
    found = _SIMPLE.findall(text)
    return any(_ENOUGH.search(bytes(map(words(language).__contains__, found))) for language in _LISTS)


def _words(text: str, start: int, end: int) -> Iterator[_Taken]:
    for match in _WORD.finditer(text, start, end):
        if match[1]:
            yield _Taken(_MARKS.sub("", match[1]) if not match[1].isascii() else match[1], match.start(), match.end())


def _in(taken: Iterable[_Taken], far: int = _FAR) -> Iterator[Secret]:
    """Each run of at least twelve words of one list."""
    runs: dict[str, list[_Taken]] = {language: [] for language in _LISTS}
    lists = [(words(language), runs[language], language) for language in _LISTS]
    for one in taken:
        for known, run, language in lists:
            if one.word in known:
                if run and one.start - run[-1].end > far:
                    yield from _said(run, language)
                    run.clear()
                run.append(one)
            elif run:
                if len(run) >= _LEAST:
                    yield from _said(run, language)
                run.clear()
    for _, run, language in lists:
        yield from _said(run, language)


def _said(run: Sequence[_Taken], language: str) -> Iterator[Secret]:
    if len(run) < _LEAST:
        return
    numbers = [words(language)[one.word] for one in run]
    kind = "what looks like a seed phrase, though its checksum does not fit"
    if any(_fits(numbers[at : at + n]) for n in _LENGTHS for at in range(min(len(numbers) - n + 1, 1000))):
        kind = f"seed phrase (BIP39, {language})"
    elif language == "english" and len(run) in (12, 13, 24) and _is_electrum([one.word for one in run]):
        kind = "seed phrase (Electrum)"
    yield Secret(kind, run[0].start, run[-1].end)


def _fits(numbers: Sequence[int]) -> bool:
    bits = len(numbers) * 11
    value = 0
    for number in numbers:
        value = value << 11 | number
    check = bits // 33
    entropy = (value >> check).to_bytes((bits - check) // 8)
    return hashlib.sha256(entropy).digest()[0] >> (8 - check) == value & ((1 << check) - 1)


def _is_electrum(run: Sequence[str]) -> bool:
    return hmac.digest(b"Seed version", " ".join(run).encode(), "sha512").hex().startswith(_ELECTRUM)
