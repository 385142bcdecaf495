"""What was found in all files, merged by value, as a document and as a table."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from calibar.errors import CalibarError
from calibar.records.selectors.hit import FITS, Hit
from calibar.records.selectors.kinds import descriptors, extended_keys, hashes
from calibar.records.selectors.kinds.addresses import EVM
from calibar.records.selectors.kinds.checks import Reasons
from calibar.records.selectors.search import safe, search
from calibar.records.selectors.spans import Spans
from calibar.records.selectors.text import Place, Text, one_line

MOST_PLACES: Final = 100
"""Places told of one value; `count` says how many there are."""
MOST_EXPANDED: Final = 500
"""Keys that are expanded."""
AROUND: Final = 60
HANDOVER: Final = (
    "Something private was found: a key, a seed phrase or a keystore. It is not repeated here, and must not be copied "
    "into a case, a mail or a chat: whoever reads it can take the money. Leave the file as it is, seal it, hand it "
    "over in person and against a receipt, and ask the authority in charge to move the funds to a wallet of its own "
    "by its procedure."
)
_KINDS: Final[Mapping[str, Callable[[str, int], tuple[list[dict[str, Any]], str]]]] = {
    extended_keys.KIND: extended_keys.expand,
    descriptors.KIND: descriptors.expand,
}
_ORDER: Final = (
    "address", "transaction", "payment", "extended-key", "descriptor", "cbu", "cvu", "iban", "card", "user-id",
    "e-mail", "phone", "url",
)  # fmt: skip
_LONG_HEX: Final = re.compile(r"[0-9a-fA-F]{64,}")
_LONGEST_HEX: Final = 80
"""So far beyond the context is looked for the rest of such a number; of a longer one enough is seen."""
_COLUMNS: Final = ("kind", "value", "written", "checked", "network", "count", "file", "place", "context")


@dataclass(slots=True)
class _Merged:
    hit: Hit
    count: int = 0
    written: set[str] = field(default_factory=set)
    places: list[dict[str, Any]] = field(default_factory=list)
    networks: set[str] = field(default_factory=set)

    @property
    def network(self) -> str | None:
        """All that were told; that it is some chain of Ethereum's kind says nothing where one is named."""
        told = self.networks - {EVM} or self.networks
        return ", ".join(sorted(told)) or None


@dataclass(frozen=True)
class Report:
    """What `extract` found. `document` has nothing private in it."""

    document: Mapping[str, Any]

    @property
    def findings(self) -> Sequence[Mapping[str, Any]]:
        """Each selector with its places."""
        found: Sequence[Mapping[str, Any]] = self.document["findings"]
        return found

    @property
    def near_misses(self) -> Sequence[Mapping[str, Any]]:
        """What looks like a selector though its checksum fails."""
        found: Sequence[Mapping[str, Any]] = self.document["near_misses"]
        return found

    @property
    def private(self) -> Sequence[Mapping[str, Any]]:
        """Where something private stands, and of which kind."""
        found: Sequence[Mapping[str, Any]] = self.document["private"]
        return found

    def json(self) -> bytes:
        """RFC 8785 canonical JSON."""
        from calibar.canonical import canonical  # noqa: PLC0415

        return canonical(self.document)

    def csv(self) -> bytes:
        """A row for each place, near misses and private ones included; no cell is a formula of a spreadsheet."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        writer.writerow(_COLUMNS)
        for one in (*self.findings, *self.near_misses):
            for place in one["places"]:
                written = " ".join(one.get("written", ()))
                row = (one["kind"], one["value"], written, one["checked"], one.get("network") or "", one["count"])
                writer.writerow([_cell(cell) for cell in (*row, place["file"], shown(place), place["context"])])
        for one in self.private:
            row = ("private", "", "", one["kind"], "", 1)
            writer.writerow([_cell(cell) for cell in (*row, one["file"], shown(one), "")])
        return out.getvalue().encode()


def _cell(value: object) -> str:
    text = str(value)
    return f"'{text}" if text[:1] in "=+-@\t" and text and not re.fullmatch(r"\+[0-9]+", text) else text


def shown(place: Mapping[str, Any]) -> str:
    """A place for people, without its file."""
    words = [f"{key} {place[key]}" for key in _PLACE_KEYS if key in place]
    return ", ".join(words)


_PLACE_KEYS: Final = (
    "chat", "message", "sheet", "row", "page", "picture", "code", "part", "link", "path", "line",
    "column", "time", "from",
)  # fmt: skip


class Collector:
    """Takes texts in one after the other."""

    def __init__(self, region: str, expand: int) -> None:
        self._region, self._expand = region, expand
        self._reasons = Reasons()
        self._merged: dict[tuple[bool, str, str], _Merged] = {}
        self._private: list[dict[str, Any]] = []
        self._files: list[dict[str, Any]] = []
        self._secret_hashes: set[str] = set()
        self._names: dict[str, str] = {}

    def open(self, file: Mapping[str, Any]) -> None:
        """A file that is about to be searched, and what is known of it."""
        self._files.append(dict(file))

    def note(self, text: str) -> None:
        """What is to be said of the file."""
        self._files[-1]["notes"].append(text)

    def read_as(self, kind: str) -> None:
        """Which kind of text the file turned out to be."""
        self._files[-1]["read_as"] = kind

    def add(self, text: Text) -> None:
        """Search a text of the file."""
        found = search(text, self._region, self._reasons)
        name = self._files[-1]["file"]
        self._secret_hashes |= found.hashes
        for secret in found.secrets:
            if not secret.is_rest:
                self._private.append({"kind": secret.kind, "file": name, **self._place(text, secret.start)})
        for hit in found.hits:
            one = self._merged.setdefault((hit.is_near, hit.kind, hit.value), _Merged(hit))
            one.count += 1
            if hit.network:
                one.networks.add(hit.network)
            if hit.checked.startswith(FITS) and not one.hit.checked.startswith(FITS):
                one.hit = hit
            written = text.text[hit.start : hit.end] if hit.written is None else hit.written
            if written not in ("", hit.value) and len(one.written) < 10:
                one.written.add(one_line(written))
            if len(one.places) < MOST_PLACES:
                place = {"file": name, **self._place(text, hit.start)}
                one.places.append({**place, "context": context(text.text, hit, found.masks)})

    def _place(self, text: Text, at: int) -> Place:
        place = dict(text.place(at))
        for key, value in place.items():
            if isinstance(value, str):
                if value not in self._names:
                    self._names[value] = safe(value)
                place[key] = self._names[value]
        return place

    def report(self) -> Report:
        """All that was found, sorted by kind and value. A hash that is a private key elsewhere is private."""
        findings: list[dict[str, Any]] = []
        near: list[dict[str, Any]] = []
        for (is_near, kind, value), one in sorted(self._merged.items(), key=lambda item: _rank(item[0])):
            if kind == hashes.KIND and value in self._secret_hashes:
                for place in one.places:
                    where = {key: part for key, part in place.items() if key != "context"}
                    self._private.append({"kind": "private key (hexadecimal), as elsewhere", **where})
                continue
            (near if is_near else findings).append(self._entry(one))
        self._expanded(findings)
        order = {file["file"]: at for at, file in enumerate(self._files)}
        private = sorted(self._private, key=lambda one: (order[one["file"]], _position(one), one["kind"]))
        document: dict[str, Any] = {
            "region": self._region,
            "files": self._files,
            "findings": findings,
            "near_misses": near,
            "private": private,
            "handover": HANDOVER if private else None,
        }
        return Report(document)

    def _entry(self, one: _Merged) -> dict[str, Any]:
        hit = one.hit
        entry: dict[str, Any] = {"kind": hit.kind, "value": one_line(hit.value), "checked": hit.checked}
        entry |= {"network": one.network, "count": one.count, "places": one.places}
        if one.written:
            entry["written"] = sorted(one.written)
        if hit.details:
            entry["details"] = {key: one_line(str(value)) for key, value in hit.details.items()}
        return entry

    def _expanded(self, findings: Sequence[dict[str, Any]]) -> None:
        keys = [entry for entry in findings if entry["kind"] in _KINDS] if self._expand else []
        for entry in keys[:MOST_EXPANDED]:
            try:
                entry["expanded"], entry["note"] = _KINDS[entry["kind"]](entry["value"], self._expand)
            except CalibarError as error:
                entry["expanded"], entry["note"] = [], str(error)
        for entry in keys[MOST_EXPANDED:]:
            entry["expanded"], entry["note"] = [], f"not expanded: only the first {MOST_EXPANDED} keys are"


def _rank(key: tuple[bool, str, str]) -> tuple[bool, int, str]:
    is_near, kind, value = key
    return is_near, _ORDER.index(kind), value


def _position(place: Mapping[str, Any]) -> list[tuple[int, str, int]]:
    return [
        (at, "" if isinstance(place[key], int) else str(place[key]), place[key] if isinstance(place[key], int) else 0)
        for at, key in enumerate(_PLACE_KEYS)
        if key in place
    ]


def context(text: str, hit: Hit, masks: Spans) -> str:
    """Up to 60 characters on each side. What is private is masked; so is every other 64-digit number, since one that is
    a hash here may be a private key elsewhere.
    """
    start, end = max(0, hit.start - AROUND), min(len(text), hit.end + AROUND)
    covers = [(first, last, "[private]") for first, last in masks.within(start, end)]
    covers += (
        (match.start(), match.end(), "[64 digits]")
        for match in _LONG_HEX.finditer(text, max(0, start - _LONGEST_HEX), end + _LONGEST_HEX)
        if match.end() > start
        and match.start() < end
        and not (match.start() < hit.end and match.end() > hit.start)
        and not masks.touch(match.start(), match.end())
    )
    parts: list[str] = []
    at = start
    for first, last, label in sorted(covers):
        if last <= at and first < at:
            continue
        parts += (text[at : max(at, first)], label)
        at = max(at, last)
    parts.append(text[at:end] if at < end else "")
    return one_line("".join(parts))
