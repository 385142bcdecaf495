"""All kinds of selectors of one text. What is private is looked for first: nothing of it is ever a finding."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from calibar.records.selectors import hidden
from calibar.records.selectors.hit import FITS, NEAR, Hit, Secret
from calibar.records.selectors.kinds import (
    addresses,
    cards,
    cbu,
    descriptors,
    emails,
    extended_keys,
    hashes,
    iban,
    payments,
    phones,
    private,
    urls,
    user_ids,
)
from calibar.records.selectors.kinds.checks import Reasons
from calibar.records.selectors.spans import Spans
from calibar.records.selectors.text import Text, one_line

_CUT: Final = f"{NEAR}a spreadsheet kept it as a number: digits after the 15th may be lost"
_LINKED: Final = re.compile(r"(?:addr(?:ess)?|account|wallet|token|contract|tx)[/=:]$")
_CALLED: Final = re.compile(r"(?:wa\.me|whatsapp\.com|t\.me)/[^\s]*$")
_MOST_STRANGE: Final = 3
_NUMBERS: Final = frozenset(("cbu", "cvu", "iban", user_ids.KIND, phones.KIND, cards.KIND))


@dataclass(frozen=True, slots=True)
class Searched:
    """What a text has: findings in their order, what is private, and what has to be masked around the findings."""

    hits: Sequence[Hit]
    secrets: Sequence[Secret]
    masks: Spans
    hashes: frozenset[str]
    """Private keys that could be taken for hashes elsewhere; to be forgotten when all texts are read."""


def search(text: Text, region: str, reasons: Reasons) -> Searched:
    """Look for everything in a text."""
    clear = hidden.cleared(text.text)
    seeming = Text(clear.text) if clear is not None else None
    secrets = _secrets(text, clear, seeming)
    blocked = Spans((secret.start, secret.end) for secret in secrets)
    numbers = [one for one in _card_numbers(text.text, clear) if not blocked.touch(one.start, one.end)]
    masks = Spans([*((one.start, one.end) for one in numbers), *blocked])

    hits = [hit for hit in _tokens(text, reasons) if not masks.touch(hit.start, hit.end)]
    if clear is not None and seeming is not None:
        hits = _with_strange(text, clear, seeming, hits, masks, reasons)
    requests = [hit for hit in payments.find(text.text) if not masks.touch(hit.start, hit.end)]
    networks = {(hit.start, hit.end): hit.network for hit in requests if hit.network}
    hits = [replace(hit, network=_network_in(hit, networks)) for hit in hits] if networks else hits
    hits += requests
    rest: list[Hit] = [*descriptors.find(text.text), *iban.find(text.text), *cbu.find(text), *emails.find(text.text)]
    links = [hit for hit in urls.find(text.text) if not masks.touch(hit.start, hit.end)]
    pages = Spans((hit.start, hit.end) for hit in links)
    hits = [hit for hit in hits if not (hit.is_near and _is_page_id(text, hit, pages))]
    hits += links
    rest += [*user_ids.find(text), *cards.find(text)]
    hits += (hit for hit in rest if not masks.touch(hit.start, hit.end))
    hits += (cards.of_whole(text.text, one) for one in numbers)
    taken = Spans([*((hit.start, hit.end) for hit in hits if hit.kind != urls.KIND), *masks])
    for hit in phones.find(text, region, taken):
        is_called = not pages.touch(hit.start, hit.end) or _CALLED.search(
            text.folded[max(0, hit.start - 64) : hit.start]
        )
        if is_called:
            hits.append(hit)
    hits = [_if_cut(text, hit) for hit in hits]
    hits.sort(key=lambda hit: (hit.start, hit.kind, hit.end))
    said = (hashes.HASH.fullmatch(text.text[one.start : one.end]) for one in secrets if one.end - one.start in (64, 66))
    return Searched(hits, secrets, masks, frozenset(found[1].lower() for found in said if found))


def _secrets(text: Text, clear: hidden.Cleared | None, seeming: Text | None) -> list[Secret]:
    """What is private as written or as it seems; where two overlap they are one."""
    found = list(private.find(text))
    if clear is not None and seeming is not None:
        found += (_original(one, clear) for one in private.find(seeming))
    merged: list[Secret] = []
    for one in sorted(found, key=lambda secret: (secret.start, secret.is_rest, -secret.end, secret.kind)):
        last = merged[-1] if merged else None
        if last is not None and one.start < last.end:
            merged[-1] = replace(last, end=max(last.end, one.end), is_rest=last.is_rest and one.is_rest)
        else:
            merged.append(one)
    return merged


def _card_numbers(text: str, clear: hidden.Cleared | None) -> Iterator[Secret]:
    yield from cards.whole_numbers(text)
    if clear is not None:
        for one in cards.whole_numbers(clear.text):
            moved = _original(one, clear)
            if moved.end - moved.start != one.end - one.start:
                yield moved


def _original(one: Secret, clear: hidden.Cleared) -> Secret:
    return replace(one, start=clear.original(one.start), end=clear.original(one.end - 1) + 1)


def _tokens(text: Text, reasons: Reasons) -> Iterator[Hit]:
    for token, start in text.tokens:
        hit = extended_keys.find(token, start) or hashes.find(token, start) or addresses.find(token, start, reasons)
        if hit is not None:
            yield hit


def _with_strange(
    text: Text, clear: hidden.Cleared, seeming: Text, hits: Sequence[Hit], masks: Spans, reasons: Reasons
) -> list[Hit]:
    """Also what is one only without its unseen or look-alike characters; it stands for its parts."""
    found = []
    for hit in _tokens(seeming, reasons):
        start, end = clear.original(hit.start), clear.original(hit.end - 1) + 1
        written = text.text[start:end]
        strange = hidden.named(written)
        if not strange or masks.touch(start, end):
            continue
        if hit.is_near and sum(not c.isascii() for c in written) > _MOST_STRANGE:
            continue
        rest = "without that the checksum fits" if hit.checked == FITS else "without that nothing says that it is right"
        reason = f"{NEAR}{strange}; {rest}"
        found.append(replace(hit, value=hidden.escaped(written), start=start, end=end, checked=reason, written=""))
    taken = Spans((hit.start, hit.end) for hit in found)
    return [*(hit for hit in hits if not taken.touch(hit.start, hit.end)), *found]


def _network_in(hit: Hit, networks: Mapping[tuple[int, int], str]) -> str | None:
    if hit.network != addresses.EVM:
        return hit.network
    return next((name for (start, end), name in networks.items() if start <= hit.start and hit.end <= end), hit.network)


def _is_page_id(text: Text, hit: Hit, pages: Spans) -> bool:
    """Whether what looks like an address is more likely the name of a page or a file."""
    return pages.touch(hit.start, hit.end) and not _LINKED.search(text.folded[max(0, hit.start - 12) : hit.start])


def _if_cut(text: Text, hit: Hit) -> Hit:
    return replace(hit, checked=_CUT) if hit.kind in _NUMBERS and text.is_cut(hit.start) else hit


def safe(name: str, most: int = 80) -> str:
    """A name from a file (a sender, a sheet) as it may be shown: without what is private, on one line."""
    text = Text(name)
    if any(True for _ in private.find(text)) or any(True for _ in cards.whole_numbers(name)):
        return "[private]"
    return one_line(name)[:most]
