"""Which column of an export says what: by its header, in any order, in English or Spanish, or as a person states it.

Sources: exports of Etherscan and its kin and of Tronscan, as programs for taxes and accounts read them; Blockscout's
own `Explorer.Chain.CsvExport`, whose `Value`, `Fee` and `TokensTransferred` are in base units and whose
`UnixTimestamp` is ISO 8601.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from calibar.chains.remote.csv_sheet import LONGEST_CELL, bare, shown
from calibar.errors import DecodeError, UsageError

_NAMES: Final = {
    "hash": "transactionhash txnhash txhash hash txid transactionid hashdelatransaccion hashdetransaccion"
    " iddelatransaccion iddetransaccion",
    "block": "blockno block blocknumber blockheight bloque numerodebloque nodebloque alturadelbloque",
    "from": "from fromaddress sender owneraddress desde de remitente origen direcciondeorigen",
    "to": "to toaddress txto recipient hasta a para hacia destinatario destino direcciondedestino",
    "in": r"valuein(\([^()]+\))?",
    "out": r"valueout(\([^()]+\))?",
    "amount": "tokenvalue amount/tokenid amount cantidad cantidad/tokenid cantidad/iddetoken importe monto",
    "base_amount": "tokenstransferred tokenstransfered",
    "fee": r"(txnfee|transactionfee|fee|totalfee|comision|tarifa)\((?!usd|eur)[^()]+\) txnfee",
    "status": "status estado",
    "result": "result resultado contractret contractresult",
    "error": "errcode errorcode iserror codigodeerror",
    "contract": "tokencontractaddress tokenaddress tokencontract contract tokeninfo[./]?address contrato"
    " direcciondelcontratodeltoken contratodeltoken",
    "token": "token",
    "token_id": "tokenid iddetoken iddeltoken",
    "name": "tokenname tokeninfo[./]?name nombredeltoken",
    "symbol": "tokensymbol tokeninfo[./]?symbol simbolodeltoken simbolodetoken",
    "decimals": "tokendecimals? tokeninfo[./]?decimals decimals decimales decimalesdeltoken",
    "block_hash": "blockhash hashdelbloque",
    "call": "calltype",
    "parent": r"parenttx.* txto calltype",
}
_PATTERNS: Final = {role: re.compile("|".join(names.split())) for role, names in _NAMES.items()}
_TIMES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        "unixtimestamp|blocktimestamp|timestamp|marcadetiempounix",
        r"(datetime|date|time|age|fechayhora|fecha|hora|tiempo|edad|antiguedad)(\((utc|gmt).*\)|utc)",
        "datetime|date|time|fechayhora|fecha|hora|tiempo",
        "age|edad|antiguedad",
    )
)
"""What is taken before what."""
ROLES: Final = (
    "hash", "block", "time", "from", "to", "in", "out", "amount", "base_amount", "fee", "base_fee", "status", "result",
    "error", "success", "contract", "created", "token", "token_id", "name", "symbol", "decimals", "block_hash", "call",
    "direction",
)  # fmt: skip
"""What a column can be stated to be."""
_INSTEAD: Final = (("in", "out", "amount", "base_amount"), ("fee", "base_fee"))
"""Stating one leaves the others out."""
_TOKEN_SIGNS: Final = ("contract", "name", "symbol", "token_id")

Lists = Literal["value", "internal", "token", "named"]
"""What a file lists; `named`: each row names its asset in words, the chain's own coin or a token."""


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of what is used."""

    header: tuple[str, ...]
    places: Mapping[str, tuple[int, ...]]
    """By role; several places have the same header and must agree in each row."""
    lists: Lists
    says_utc: bool
    coins: frozenset[str]
    """Names of the chain's own coin in the headers."""

    def __contains__(self, role: str) -> bool:
        return role in self.places

    def where(self, row: int, role: str) -> str:
        """For messages."""
        return f"row {row}, column {shown(self.header[self.places[role][0]])}"

    def text(self, cells: Sequence[str], role: str, row: int) -> str:
        """A cell as it stands; empty where there is no such column. Raises DecodeError."""
        places = self.places.get(role, ())
        if not places:
            return ""
        found = cells[places[0]]
        if len(found) > LONGEST_CELL:
            raise DecodeError(f"{self.where(row, role)}: more than {LONGEST_CELL} characters, as no export has")
        if len(places) > 1 and any(cells[place] != found for place in places[1:]):
            raise DecodeError(f"{self.where(row, role)}: the file has this column twice, and here they differ")
        return found

    def bare(self, cells: Sequence[str], role: str, row: int) -> str:
        """A cell without spaces, quotation marks and the like around it. Raises DecodeError."""
        return bare(self.text(cells, role, row)) if role in self.places else ""


def columns(header: Sequence[str], stated: Mapping[str, str]) -> Columns:
    """Find the columns. Raises DecodeError for what is no export, UsageError where a statement is wrong or lacks."""
    plain = [_plain(name) for name in header]
    places = _stated(header, plain, stated)
    taken = {place for found in places.values() for place in found}
    closed = set(stated) | {other for group in _INSTEAD if any(role in stated for role in group) for other in group}
    free = {place: name for place, name in enumerate(plain) if name and place not in taken}
    for role, pattern in _PATTERNS.items():
        if role not in closed and role != "parent":
            _put(places, role, [place for place, name in free.items() if pattern.fullmatch(name)], header)
    for pattern in _TIMES:
        if "time" not in places and "time" not in closed:
            _put(places, "time", [place for place, name in free.items() if pattern.fullmatch(name)], header)
    internal = "call" in places or any(_PATTERNS["parent"].fullmatch(name) for name in plain)
    token = not internal and (
        any(role in places for role in (*_TOKEN_SIGNS, "token"))
        or bool({"tokenvalue", "tokenstransferred", "tokenstransfered"} & set(plain))
    )
    _by_context(places, free, header, plain, closed, internal, token)
    lists: Lists = "internal" if internal else "value"
    if token:
        lists = "token" if "contract" in places else "named"
        if lists == "named" and "token" not in places and "symbol" in places:
            places["token"] = places["symbol"]
    _refuse_incomplete(places, header, lists)
    said = [plain[place] for role in ("in", "out", "fee") if role not in stated for place in places.get(role, ())]
    return Columns(
        tuple(header),
        places,
        lists,
        "time" in places and bool(re.search("utc|gmt", plain[places["time"][0]])),
        frozenset(found[1].upper() for name in said if (found := re.search(r"\((.+)\)", name))),
    )


def _plain(name: str) -> str:
    letters = unicodedata.normalize("NFKD", bare(name)[:LONGEST_CELL]).casefold()
    return "".join(c for c in letters if not (c.isspace() or c == "_" or unicodedata.combining(c)))


def _stated(header: Sequence[str], plain: Sequence[str], stated: Mapping[str, str]) -> dict[str, tuple[int, ...]]:
    places = {}
    for role, name in stated.items():
        if role not in ROLES:
            raise UsageError(f"columns={{{role!r}: …}}: a column is one of {', '.join(ROLES)}")
        if not name:
            continue
        found = tuple(i for i, given in enumerate(header) if bare(given) == bare(name))
        found = found or tuple(i for i, given in enumerate(plain) if given == _plain(name))
        if not found:
            raise UsageError(f"row 1: there is no column {shown(name)}, which columns={{{role!r}: …}} states")
        places[role] = found
    return places


def _put(places: dict[str, tuple[int, ...]], role: str, found: Sequence[int], header: Sequence[str]) -> None:
    if len({_plain(header[place]) for place in found}) > 1:
        names = " and ".join(shown(header[place]) for place in found[:3])
        raise UsageError(f"row 1: {names} may each be the {role}: state columns={{{role!r}: NAME}}")
    if found:
        places[role] = tuple(found)


def _by_context(
    places: dict[str, tuple[int, ...]], free: Mapping[int, str], header: Sequence[str], plain: Sequence[str],
    closed: set[str], internal: bool, token: bool,
) -> None:  # fmt: skip
    names = set(plain)
    blockscout, trongrid = {"fromaddress", "toaddress"} <= names, {"transactionid", "blocktimestamp"} <= names
    old_tokens = {"unixtimestamp", "from", "to", "contractaddress", "tokensymbol"} <= names and not (
        names & {"tokendecimal", "tokendecimals"}
    )

    def named(*wanted: str) -> list[int]:
        return [place for place, name in free.items() if name in wanted]

    for role, wanted in (
        ("contract" if token else "created", ("contractaddress", "direcciondelcontrato")),
        ("call" if internal else "direction", ("type", "tipo")),
    ):
        if role not in closed and role not in places:
            _put(places, role, named(*wanted), header)
    if "amount" not in closed and (found := named("value", "valor")):
        if blockscout or trongrid or old_tokens:
            role = "amount" if old_tokens and not (blockscout or trongrid) else "base_amount"
            if not any(other in places for other in _INSTEAD[0]):
                _put(places, role, found, header)
                return _fees(places, named("fee"), header, closed, blockscout, token or internal)
        raise UsageError(
            f"row 1: the column {shown(header[found[0]])} may be in whole coins or base units, or not be the amount: "
            f'state columns={{"amount": NAME}} (whole) or columns={{"base_amount": NAME}}'
        )
    return _fees(places, named("fee"), header, closed, blockscout, token or internal)


def _fees(
    places: dict[str, tuple[int, ...]], found: list[int], header: Sequence[str], closed: set[str], blockscout: bool,
    without: bool,
) -> None:  # fmt: skip
    if without:
        return
    if found and "fee" not in closed:
        if "fee" in places or not blockscout:
            raise UsageError(
                f"row 1: the column {shown(header[found[0]])} may be in whole coins or in base units: state "
                f'columns={{"fee": NAME}} (whole), columns={{"base_fee": NAME}} or columns={{"fee": ""}} (leave out)'
            )
        places["base_fee"] = tuple(found)


def _refuse_incomplete(places: Mapping[str, tuple[int, ...]], header: Sequence[str], lists: Lists) -> None:
    amounts = [role for role in ("amount", "base_amount") if role in places]
    if "in" in places and "out" in places:
        amounts.append("in")
    if len(amounts) > 1:
        names = " and ".join(shown(header[places[role][0]]) for role in amounts)
        raise UsageError(f'row 1: {names} may each be the amount: state columns={{"amount": NAME}}')
    if not amounts and "token_id" in places:
        raise DecodeError("row 1: it lists single pieces (NFTs), not amounts: export transfers of fungible tokens")
    missing = [role for role in ("hash", "from", "to") if role not in places] + ["amount"] * (not amounts)
    if missing:
        there = ", ".join(shown(name) for name in header[:20])
        raise UsageError(
            f"row 1: no column is known to be {', '.join(missing)} among {there}: state "
            f"columns={{{missing[0]!r}: NAME}} if there is one"
        )
    if lists == "named" and "token" not in places:
        raise UsageError('row 1: no column has the token\'s contract: state columns={"contract": NAME}')
