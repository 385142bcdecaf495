"""A plan: what would be asked next, as a file. It has questions and nothing else of a case."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, Final, cast, get_args

from calibar.chains.bitcoin.sources import fields as checked
from calibar.chains.bitcoin.sources import told as coins
from calibar.chains.bitcoin.sources.told import Outpoint, Refusal
from calibar.chains.remote import transfers_told as accounts
from calibar.chains.remote.transfers_told import Asset
from calibar.errors import DecodeError, UsageError
from calibar.ledger.case.case import check_network, is_account_chain

FORMAT: Final = 1
LARGEST: Final = 64 << 20
"""Bytes of a plan."""
MOST_QUESTIONS: Final = 100_000
Question = coins.Question | accounts.Question
_OF_COINS: Final[Mapping[str, Any]] = {kind.__name__: kind for kind in get_args(coins.Question)}
_OF_ACCOUNTS: Final[Mapping[str, Any]] = {kind.__name__: kind for kind in get_args(accounts.Question)}
_MOST: Final = 10**9
_MOST_NUMBER: Final = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What would be asked next."""

    network: str
    questions: tuple[Question, ...]

    def json(self) -> bytes:
        """The plan's file."""
        reverse = not is_account_chain(self.network)
        rows = [{"ask": type(question).__name__, **_written(question, reverse)} for question in self.questions]
        document = {"format": FORMAT, "network": self.network, "questions": rows}
        return (json.dumps(document, indent=1) + "\n").encode()


class Noting:
    """A source that answers nothing and notes what it is asked."""

    def __init__(self, place: str, noted: dict[Any, None], kind: str = "plan", chain: str = "") -> None:
        self.place, self.kind, self.chain, self._noted = place, kind, chain, noted

    def ask(self, questions: Sequence[Any]) -> Iterator[tuple[Any, Refusal]]:
        """Refusals alone."""
        for question in questions:
            self._noted[question] = None
            yield question, Refusal("it is asked later, by the plan")

    def close(self) -> None:
        """Nothing is open."""


def describe(plan: Plan) -> Mapping[str, int]:
    """How many questions of each kind a plan has, by the kind's name."""
    counts: dict[str, int] = {}
    for question in plan.questions:
        name = type(question).__name__.removesuffix("Question").lower()
        counts[name] = counts.get(name, 0) + 1
    return counts


def read_plan(path: Path) -> Plan:
    """Read a plan's file. Raises UsageError where it cannot be read, DecodeError where it is no plan."""
    data = contents(path, LARGEST)
    try:
        document = checked.mapping(checked.parsed(data), "the plan")
        if document.get("format") != FORMAT:
            raise DecodeError("it has another format; use the Calíbar that wrote it")
        rows = checked.listing(document.get("questions"), "its list of questions")
        if len(rows) > MOST_QUESTIONS:
            raise DecodeError(f"it has {len(rows)} questions, over {MOST_QUESTIONS}")
        name = str(document.get("network"))
        check_network(name)
        read = _of_accounts if is_account_chain(name) else _of_coins
        return Plan(name, tuple(read(row, number) for number, row in enumerate(rows, 1)))
    except (DecodeError, UsageError) as error:
        raise DecodeError(f"{path} is no plan: {error}") from None


def contents(path: Path, most: int) -> bytes:
    """A file's bytes. Raises UsageError where it cannot be read, or is larger than any plan's."""
    try:
        with path.open("rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or error}") from None
    if len(data) > most:
        raise UsageError(f"{path} is larger than {most >> 20} MB; no plan's file is")
    return data


def _written(question: Question, reverse: bool) -> dict[str, object]:
    """Its fields; ids as their chain displays them, reversed on Bitcoin's."""
    row: dict[str, object] = {}
    for each in fields(question):
        value = getattr(question, each.name)
        if isinstance(value, Outpoint):
            value = f"{value.txid[::-1].hex()}:{value.output}"
        elif isinstance(value, Asset):
            token = f"trc10:{value.number}" if value.number is not None else "native"
            value = token if value.contract is None else value.contract.hex()
        elif isinstance(value, bytes):
            value = (value[::-1] if reverse and each.name == "txid" else value).hex()
        row[each.name] = value
    return row


def _taken_apart(value: object, number: int, kinds: Mapping[str, Any]) -> tuple[Any, dict[str, object]]:
    row = checked.mapping(value, f"question {number}")
    kind = kinds.get(str(row.get("ask")))
    if kind is None or set(row) != {"ask", *(each.name for each in fields(kind))}:
        raise DecodeError(f"question {number} is none that is known")
    return kind, {name: value for name, value in row.items() if name != "ask"}


def _of_coins(value: object, number: int) -> Question:
    kind, row = _taken_apart(value, number, _OF_COINS)
    return cast(Question, kind(**{name: _of_coin(name, row[name], f"{name} of question {number}") for name in row}))


def _of_coin(name: str, value: object, what: str) -> Any:
    if name == "txid":
        return checked.digest(value, what)
    if name == "script":
        return checked.octets(value, what, 0, checked.LARGEST_TRANSACTION)
    if name == "coin":
        txid, _, output = str(value).partition(":")
        if not output.isascii() or not output.isdecimal() or len(output) > 10:
            raise DecodeError(f"{what} is no coin")
        return Outpoint(checked.digest(txid, what), checked.integer(int(output), what, 0, 2**32 - 1))
    if name == "height" and value is None:
        return None
    return checked.integer(value, what, 0, checked.MOST_HEIGHT)


def _of_accounts(value: object, number: int) -> Question:
    kind, row = _taken_apart(value, number, _OF_ACCOUNTS)
    if kind is accounts.HoldingQuestion and row["asset"] is None:
        raise DecodeError(f"asset of question {number} is none")
    return cast(Question, kind(**{name: _of_account(name, row[name], f"{name} of question {number}") for name in row}))


def _of_account(name: str, value: object, what: str) -> Any:
    if name == "txid":
        return checked.octets(value, what, 32, 32)
    if name == "address":
        return checked.octets(value, what, 20, 20)
    if name == "what":
        if value not in get_args(accounts.Class):
            raise DecodeError(f"{what} is no list that there is")
        return value
    if name == "asset":
        return None if value is None else _asset(str(value), what)
    return checked.integer(value, what, 0, _MOST if name == "most" else checked.MOST_HEIGHT)


def _asset(text: str, what: str) -> Asset:
    if text == "native":
        return Asset()
    kind, _, number = text.partition("trc10:")
    if not kind and number.isascii() and number.isdecimal() and len(number) < 20:
        return Asset(number=checked.integer(int(number), what, 1, _MOST_NUMBER))
    return Asset(contract=checked.octets(text, what, 20, 20))
