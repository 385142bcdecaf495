"""Links that an analyst asserts: value given in one transfer came back in another, which no rule can see.

A bridge, a swap at a service, a payment across the counter. A link is somebody's word with a reason and an exhibit,
never a fact: a trail that uses it carries it, and shows every step that rests on it.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from calibar.errors import DecodeError, UsageError
from calibar.ledger.accounts.schema import NOBODY
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.trail.accounts.conversions import Conversion
from calibar.trail.accounts.naming import find_transfers

LARGEST: Final = 16 << 20
"""Bytes of a file of links."""
_CHUNK: Final = 1 << 20


@dataclass(frozen=True, slots=True)
class Link:
    """One assertion. Transfers are named as everywhere, `hash:index`."""

    given: str
    received: str
    reason: str
    exhibit: str
    """Name of the file that shows it."""
    exhibit_sha256: str

    def document(self) -> dict[str, Any]:
        """As it stands in a trail's JSON and in the file."""
        return asdict(self)


def read_links(path: Path) -> list[Link]:
    """The links of a file, one JSON object a line. UsageError where there is none, DecodeError for a bad line."""
    try:
        if path.stat().st_size > LARGEST:
            raise DecodeError(f"{path} is larger than {LARGEST >> 20} MB: that is no file of links; name another")
        lines = path.read_text("utf-8").splitlines()
    except OSError as error:
        raise UsageError(f"cannot read the links in {path}: {error.strerror or error}; name another file") from None
    except UnicodeDecodeError:
        raise DecodeError(f"{path} is no file of links: it is not UTF-8; name another") from None
    links = []
    for number, line in enumerate(lines, 1):
        try:
            fields = json.loads(line)
            link = Link(**fields)
        except (ValueError, TypeError, RecursionError):
            raise DecodeError(f"{path}: line {number} is no link; mend or remove it") from None
        if not all(isinstance(value, str) and value for value in fields.values()):
            raise DecodeError(f"{path}: line {number} has an empty or wrong field; mend or remove it")
        links.append(link)
    return links


def link_between(snapshot: AccountSnapshot, given: str, received: str, reason: str, exhibit: Path) -> Link:
    """A link between two transfers of a ledger. Raises UsageError where it makes no sense."""
    link = Link(given, received, " ".join(reason.split()), exhibit.name, _digest(exhibit))
    if not link.reason:
        raise UsageError("a link needs a reason: say by --reason why the one was given for the other")
    as_conversion(link, snapshot, snapshot.counts["transfers"])
    return link


def add_link(path: Path, link: Link) -> None:
    """Append a link to a file, which is made if it is not there. Raises UsageError where it has it already."""
    known = read_links(path) if path.exists() else []
    if any((other.given, other.received) == (link.given, link.received) for other in known):
        raise UsageError(f"{path} has a link from {link.given} to {link.received} already; remove that line first")
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(link.document(), ensure_ascii=False) + "\n")


def as_conversion(link: Link, snapshot: AccountSnapshot, limit: int) -> Conversion | None:
    """A link as the walk needs it; None where it is later than `limit`. Raises UsageError where it makes no sense."""
    rows = []
    for name in (link.given, link.received):
        found = find_transfers(snapshot, name)
        if ":" not in name or len(found) != 1:
            raise UsageError(f"{name} is not one transfer; name it as hash:index")
        rows.append(found[0])
    given, received = rows
    if received < given:
        raise UsageError(f"{link.received} is earlier than {link.given}: what is received comes later")
    if given == received:
        raise UsageError(f"{given} cannot be linked to itself; name two transfers")
    if int(snapshot["transfers.sender"][given]) == NOBODY or int(snapshot["transfers.recipient"][received]) == NOBODY:
        raise UsageError(f"{link.given} has no payer or {link.received} no payee; name transfers between people")
    if max(rows) >= limit:
        return None
    assets = [int(snapshot["transfers.asset"][row]) for row in rows]
    return Conversion(-1, assets[0], assets[1], (given,), (received,))


def _digest(path: Path) -> str:
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while block := file.read(_CHUNK):
                digest.update(block)
    except OSError as error:
        raise UsageError(f"cannot read the exhibit {path}: {error.strerror or error}; name another") from None
    return digest.hexdigest()
