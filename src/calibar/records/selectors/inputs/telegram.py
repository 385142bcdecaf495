"""Telegram Desktop's export as JSON (`result.json`): one chat, or all of an account."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from calibar.records.selectors.text import Pile, Place, Text

_MOST_STEPS: Final = 200


def texts(text: str) -> list[Text] | None:
    """What was said, and all else that the export tells; None where it is no such export."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    chats = _chats(document)
    if not chats:
        return None
    said, rest = Pile(), Pile()
    for chat in chats:
        name = str(chat.get("name") or chat.get("type") or "")
        for message in chat["messages"]:
            if isinstance(message, dict):
                _message(message, name, said, rest)
    for path, value in _strings(document):
        rest.add(_unpaired(value), {"path": path, "column": 1})
    return [said.text(), rest.text()]


def _chats(document: Any) -> list[dict[str, Any]]:
    if not isinstance(document, dict):
        return []
    found = [document]
    for key in ("chats", "left_chats"):
        group = document.get(key)
        found += group.get("list", []) if isinstance(group, dict) and isinstance(group.get("list"), list) else []
    return [one for one in found if isinstance(one, dict) and isinstance(one.get("messages"), list)]


def _message(message: dict[str, Any], chat: str, said: Pile, rest: Pile) -> None:
    number = message.get("id")
    place: Place = {"chat": chat, "message": number if isinstance(number, int) else 0, "column": 1}
    for key, name in (("date", "time"), ("from", "from"), ("actor", "from")):
        if isinstance(message.get(key), str):
            place = {**place, name: _unpaired(message[key])}
    parts = message.get("text")
    parts = parts if isinstance(parts, list) else [parts]
    texts = [part.get("text") if isinstance(part, dict) else part for part in parts]
    said.add(_unpaired("".join(part for part in texts if isinstance(part, str))), place)
    for path, value in _strings({key: part for key, part in message.items() if key not in ("text", "text_entities")}):
        rest.add(_unpaired(value), {**place, "part": path.removeprefix("/")})
    for part in parts:
        if isinstance(part, dict) and isinstance(part.get("href"), str):
            rest.add(_unpaired(part["href"]), {**place, "part": "href"})


def _strings(document: Any) -> Iterator[tuple[str, str]]:
    """Every text of a JSON value but messages, with its path; no recursion."""
    left: list[tuple[str, Any, int]] = [("", document, 0)]
    while left:
        path, value, depth = left.pop()
        if isinstance(value, str):
            yield path, value
        elif isinstance(value, dict):
            left += [
                (f"{path}/{str(key)[:80]}", one, depth + 1)
                for key, one in reversed(value.items())
                if key != "messages" and depth < _MOST_STEPS
            ]
        elif isinstance(value, list) and depth < _MOST_STEPS:
            left += [(f"{path}/{at}", value[at], depth + 1) for at in reversed(range(len(value)))]


def _unpaired(text: str) -> str:
    """Without halves of characters, which JSON can hold and no file can."""
    return text.encode("utf-8", "replace").decode()
