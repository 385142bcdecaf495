"""What token contracts say of themselves: name, symbol and decimals, asked by eth_call. Said, never proven."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from calibar.chains.ethereum.jsonrpc import Question
from calibar.chains.facts import CONTRACT, Naming

SELECTORS: Final = ("0x06fdde03", "0x95d89b41", "0x313ce567")
"""name(), symbol(), decimals()"""
LONGEST: Final = 64
"""Characters of a name that are kept."""


def questions(contract: bytes) -> list[Question]:
    """What to ask a node about a contract."""
    return [Question("eth_call", ({"to": "0x" + contract.hex(), "data": selector}, "latest")) for selector in SELECTORS]


def naming(contract: bytes, answers: Sequence[object]) -> Naming | None:
    """The naming by the answers to `questions`; None where there is none in them."""
    name, symbol, places = (_octets(answer) for answer in answers)
    decimals = int.from_bytes(places) if len(places) == 32 else None
    if decimals is not None and decimals > 255:
        decimals = None
    if not name and not symbol and decimals is None:
        return None
    return Naming(CONTRACT, contract, text(name), text(symbol), decimals)


def text(returned: bytes) -> str:
    """A text that a contract returned, as `string` or bytes32: printable, on one line, cut; empty where it is none."""
    if len(returned) == 32:
        raw = returned.rstrip(b"\0")
    else:
        start = int.from_bytes(returned[:32])
        if len(returned) < 64 or start > len(returned) - 32:
            return ""
        size = int.from_bytes(returned[start : start + 32])
        raw = returned[start + 32 : start + 32 + min(size, 16 * LONGEST)]
    shown = raw.decode("utf-8", "replace").replace("\ufffd", "")
    kept = "".join(letter if unicodedata.category(letter)[0] not in "CZ" else " " for letter in shown)
    return " ".join(kept.split())[:LONGEST]


def _octets(answer: object) -> bytes:
    if isinstance(answer, str) and answer[:2] == "0x" and len(answer) <= 1 << 16:
        try:
            return bytes.fromhex(answer[2:])
        except ValueError:
            pass
    return b""
