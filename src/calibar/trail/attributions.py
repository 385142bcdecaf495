"""What people added to a trail: names of addresses, and where its rules were passed over. Never shown as facts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from calibar.trail.words import name_of, plain


class Names:
    """Names by address; hexadecimal addresses match whatever their case."""

    def __init__(self, given: Mapping[str, str] | None, trail: Mapping[str, Any]) -> None:
        """A name, then on further lines who gave it; where none are given, those of the trail's labels."""
        names = labels_in(trail) if given is None else given
        self.given = {_folded(address): name for address, name in names.items()}

    def __call__(self, address: object) -> tuple[str, str]:
        """An address's name, and the source of the name."""
        return name_of(self.given, _folded(str(address)))


def _folded(address: str) -> str:
    return address.lower() if address[:2].lower() == "0x" else address


def labels_in(trail: Mapping[str, Any]) -> dict[str, str]:
    """What the labels of a trail call its holdings' addresses: names, then on further lines who says so."""
    found: dict[str, str] = {}
    for row in trail["holdings"]:
        if said := row.get("labels"):
            heading = " / ".join(dict.fromkeys(f"{label['name']} ({label['category']})" for label in said))
            who = dict.fromkeys(" ".join(filter(None, (label["source"], label.get("date")))) for label in said)
            found[row.get("address") or row["account"]] = f"{heading}\n{'; '.join(who)}"
    return found


def stops_in(policy: Mapping[str, Any]) -> list[str]:
    """A policy's stop rules as texts, those on labels joined into one."""
    texts = [_text(stop) for stop in policy["stops"]]
    categories = [text.removeprefix("label:") for text in texts if text.startswith("label:")]
    joined = [f"label:{', '.join(categories)}"] if categories else []
    return joined + [text for text in texts if not text.startswith("label:")]


def overrides_in(policy: Mapping[str, Any]) -> list[str]:
    """What a trail went on past, and why, safe to show."""
    found = []
    for entry in policy["overrides"]:
        whole = isinstance(entry, dict) and entry.keys() == {"past", "reason"}
        found.append(plain(f"{entry['past']}: {entry['reason']}" if whole else _text(entry)))
    return found


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
