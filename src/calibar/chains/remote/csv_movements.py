"""The movements of an export: two readings, one that decides how numbers and times are written, one that takes them.

A failed transaction moves nothing but its fee, and a fee is told where the export's address paid it. What an
export vouches for lies between its lowest and its highest block: it ends on the day it was made, and it may be capped.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from calibar.chains.remote.csv_columns import Columns, columns
from calibar.chains.remote.csv_numbers import MOST, Convention, base_units, number, whole_number
from calibar.chains.remote.csv_outcome import NOTHING, outcome
from calibar.chains.remote.csv_sheet import Sheet, shown
from calibar.chains.remote.csv_stated import Stated
from calibar.chains.remote.csv_times import Times
from calibar.chains.remote.transfers_told import NATIVE, Asset, Class, Movement, Movements, Said
from calibar.errors import AddressError, DecodeError, UsageError

CAPS: Final = frozenset((1_000, 5_000, 10_000, 100_000))
"""Rows after which explorers end an export: Etherscan 5,000, Tronscan and Blockscout 10,000, others round numbers."""
_HIGHEST: Final = (1 << 53) - 1
_NOT_MOVING: Final = frozenset(("delegatecall", "staticcall", "callcode"))
_AMOUNTS: Final = ("in", "out", "amount", "fee")


class Reading:
    """One file's content."""

    def __init__(self, data: bytes, stated: Stated) -> None:
        """Raises DecodeError for what the file says wrongly, UsageError where something must be stated."""
        self._sheet, self._stated, self._net = Sheet(data), stated, stated.network
        self._columns: Columns = columns(self._sheet.header, stated.columns)
        self._refuse_other_chain()
        self._numbers = Convention(stated.decimal)
        self._times = Times(self._columns.says_utc, stated.dates, stated.zone)
        self._count = 0
        self._address = self._first_reading()
        self._mark = self._numbers.mark()
        self._times.settle()
        self._named_native = ""
        """Where the coin is named in words, as a token may name itself."""
        self._tokens = False
        self._paid: set[bytes] = set()
        self._seen: dict[Movement, int] = {}

    def movements(self) -> Iterator[Movements]:
        """What the file tells, one answer a class."""
        found: dict[Class, list[Movement]] = {}
        heights: dict[int, tuple[int, int]] = {}
        rising, falling, last = True, True, None
        for row, cells in self._sheet.rows():
            height, time = self._height(row, cells), self._time(row, cells)
            if height is not None:
                rising, falling = rising and (last or 0) <= height, falling and (last is None or last >= height)
                last = height
                other = time if time is None else heights.setdefault(height, (time, row))[0]
                if other != time and not self._net.is_tron:
                    raise DecodeError(
                        f"rows {heights[height][1]} and {row} give block {height} two times: was it edited?"
                    )
            for what, movement in self._row(row, cells, height, time):
                found.setdefault(what, []).append(movement)
        if self._named_native and self._tokens:
            raise UsageError(
                f"{self._named_native} is a name that a token can give itself, and the file lists tokens: state "
                f'tokens={{"{self._net.coins[0]}": "native"}} or the token\'s contract'
            )
        _refuse_disorder(heights)
        capped = self._count in CAPS
        first, upto = (min(heights), max(heights)) if heights else (0, None)
        if capped and upto is not None:
            first, upto = (first, upto - 1) if rising else (first + 1, upto) if falling else (first, max(first - 1, 0))
        if not found:
            found["value" if self._columns.lists == "named" else self._columns.lists] = []
        for what, rows in found.items():
            yield Movements(self._address, what, None, first, tuple(rows), capped, upto)

    def _refuse_other_chain(self) -> None:
        coins, said = self._net.coins, self._columns.coins
        if coins and said and not said & set(coins):
            raise UsageError(
                f"row 1: its amounts are in {', '.join(sorted(said))}, but {self._net.chain} has {coins[0]}: "
                f"give the chain that it was exported from"
            )

    def _first_reading(self) -> bytes:
        shared: frozenset[bytes] = frozenset()
        for row, cells in self._sheet.rows():
            ends = self._possible(row, cells)
            if self._count == 0:
                shared = frozenset((self._stated.address,)) if self._stated.address else ends
            if not shared & ends:
                whose = " or ".join(self._net.text(address) for address in sorted(shared))
                wrong = (
                    "its amount goes the other way than its addresses say"
                    if not ends or shared & set(self._ends(row, cells))
                    else f"neither its sender nor its recipient is {whose or 'one address'}, whose rows the others are"
                )
                raise DecodeError(f"row {row}: {wrong}: give exports of one address, as the explorer wrote them")
            shared &= ends
            self._count += 1
            for role in _AMOUNTS:
                if text := self._amount_text(row, cells, role):
                    self._numbers.see(text, self._columns.where(row, role))
            if text := self._columns.bare(cells, "time", row):
                self._times.see(text, self._columns.where(row, "time"))
        if not self._count:
            raise DecodeError("row 2: there are no rows under the header: nothing is told")
        if len(shared) > 1:
            both = " and ".join(self._net.text(address) for address in sorted(shared))
            raise UsageError(f'all rows are between {both}: state of which the export is, address="…"')
        return next(iter(shared))

    def _possible(self, row: int, cells: list[str]) -> frozenset[bytes]:
        """Whose export it can be, by this row."""
        sender, recipient = self._ends(row, cells)
        direction = self._columns.bare(cells, "direction", row).casefold()
        incoming, outgoing = self._nonzero(row, cells, "in"), self._nonzero(row, cells, "out")
        ends = {sender, recipient} - {None}
        if incoming or (direction == "in" and not outgoing):
            ends &= {recipient}
        if outgoing or (direction == "out" and not incoming):
            ends &= {sender}
        return frozenset(end for end in ends if end is not None)

    def _nonzero(self, row: int, cells: list[str], role: str) -> bool:
        return bool(re.search("[1-9]", self._columns.bare(cells, role, row)))

    def _amount_text(self, row: int, cells: list[str], role: str) -> str:
        text = self._columns.bare(cells, role, row)
        if role in self._columns and not text and role in ("amount", "in"):
            other = self._columns.bare(cells, "out", row) if role == "in" else ""
            if not other:
                raise DecodeError(f"{self._columns.where(row, role)}: the amount is missing; export it again")
        return "" if role == "fee" and not self._pays_fees else text

    @property
    def _pays_fees(self) -> bool:
        return self._columns.lists in ("value", "named")

    def _ends(self, row: int, cells: list[str]) -> tuple[bytes, bytes | None]:
        sender, recipient = self._end(row, cells, "from"), self._end(row, cells, "to")
        if sender is None:
            raise DecodeError(f"{self._columns.where(row, 'from')}: the sender is missing; export it again")
        return sender, recipient or self._end(row, cells, "created")

    def _end(self, row: int, cells: list[str], role: str) -> bytes | None:
        text = self._columns.bare(cells, role, row)
        if not text:
            return None
        try:
            return self._net.address(text)
        except AddressError as error:
            raise DecodeError(f"{self._columns.where(row, role)}: {error}") from None

    def _row(
        self, row: int, cells: list[str], height: int | None, time: int | None
    ) -> Iterator[tuple[Class, Movement]]:
        column = self._columns
        sender, recipient = self._ends(row, cells)
        txid = self._hash(row, cells, "hash")
        block_hash = self._hash(row, cells, "block_hash") if column.bare(cells, "block_hash", row) else None
        went_well, is_open = outcome(column, cells, row)
        if is_open:
            height = block_hash = None
        if went_well and column.bare(cells, "call", row).casefold() not in _NOT_MOVING:
            if recipient is None:
                raise DecodeError(f"{column.where(row, 'to')}: the recipient is missing; export it again")
            asset = self._asset(row, cells)
            amount, said = self._amount(row, cells, asset, sender == recipient)
            moved = Movement("value", txid, asset, sender, recipient, amount, height, time, None, None, block_hash)
            if asset.contract is not None:
                payer, payee = sender if any(sender) else None, recipient if any(recipient) else None
                yield "token", replace(moved, kind="token", sender=payer, recipient=payee, said=said)
            elif asset.number is not None:
                yield "trc10", replace(moved, said=said)
            elif column.lists == "internal":
                yield "internal", replace(moved, kind="internal")
            else:
                self._refuse_repeated(moved, row)
                yield "value", moved
        if sender == self._address and txid not in self._paid and (fee := self._fee(row, cells)):
            self._paid.add(txid)
            yield "value", Movement("fee", txid, NATIVE, sender, None, fee, height, time, None, None, block_hash)

    def _refuse_repeated(self, moved: Movement, row: int) -> None:
        if self._columns.lists == "value" and (other := self._seen.setdefault(moved, row)) != row:
            raise DecodeError(f"rows {other} and {row} are the same transaction: were exports put together by hand?")

    def _asset(self, row: int, cells: list[str]) -> Asset:
        column, net = self._columns, self._net
        if column.lists in ("value", "internal"):
            return NATIVE
        role = "contract" if column.lists == "token" else "token"
        where, text = column.where(row, role), column.bare(cells, role, row)
        if column.bare(cells, "token_id", row) not in NOTHING:
            raise DecodeError(
                f"{column.where(row, 'token_id')}: it is a single piece (NFT), not an amount; leave it out"
            )
        found = self._stated.tokens.get(text) if role == "token" else None
        if found is None and net.is_tron and (text == "_" or text.casefold() == "trx"):
            if role == "token":
                self._named_native = self._named_native or f"{where}: {shown(text)}"
            return NATIVE
        if found is None and text != "native":
            try:
                found = net.asset(text)
            except AddressError as error:
                if role == "contract":
                    raise DecodeError(f"{where}: {error}") from None
                found = self._stated.tokens.get(column.bare(cells, "symbol", row))
        if found is None:
            raise UsageError(
                f"{where}: {shown(text)} is a name, which any token can give itself: state tokens={{{text[:60]!r}: "
                f'CONTRACT}}, or "native" if it is the chain\'s own coin'
            )
        self._tokens = self._tokens or found != NATIVE
        return found

    def _amount(self, row: int, cells: list[str], asset: Asset, to_itself: bool) -> tuple[int, Said | None]:
        column = self._columns
        places, said = self._net.places, None
        if asset != NATIVE:
            known = self._decimals(row, cells, asset)
            said = Said(column.text(cells, "name", row), column.text(cells, "symbol", row), known)
            if known is None and "base_amount" not in column:
                raise UsageError(
                    f"row {row}: the file does not say how many decimals {self._net.asset_text(asset)} has: state "
                    f'decimals={{"{self._net.asset_text(asset)}": N}}'
                )
            places = known or 0
        if "base_amount" in column:
            return self._whole(row, cells, "base_amount"), said
        if "amount" in column:
            return self._units(row, cells, "amount", places), said
        incoming, outgoing = self._units(row, cells, "in", places), self._units(row, cells, "out", places)
        if incoming and outgoing and not (incoming == outgoing and to_itself):
            raise DecodeError(f"{column.where(row, 'in')}: the row has an amount in and one out: was it edited?")
        return incoming or outgoing, said

    def _decimals(self, row: int, cells: list[str], asset: Asset) -> int | None:
        column, stated = self._columns, self._stated.decimals.get(asset)
        text = column.bare(cells, "decimals", row)
        if not text:
            return stated
        with self._at(row, "decimals"):
            found = whole_number(text, 255)
            if stated not in (None, found):
                raise DecodeError(f"{found} decimals, and {stated} are stated: which is right?")
            return found

    def _fee(self, row: int, cells: list[str]) -> int | None:
        column = self._columns
        if "base_fee" in column:
            text = column.bare(cells, "base_fee", row)
            return self._whole(row, cells, "base_fee") if text and not text.startswith("Max of") else None
        return self._units(row, cells, "fee", self._net.places) if "fee" in column else None

    def _units(self, row: int, cells: list[str], role: str, places: int) -> int:
        text = self._columns.bare(cells, role, row)
        if not text:
            return 0
        try:
            found = number(text, self._mark)
            if found is None:
                raise DecodeError(f"{shown(text)} is not a number")
            return base_units(found, places)
        except DecodeError as error:
            raise DecodeError(f"{self._columns.where(row, role)}: {error}") from None

    def _whole(self, row: int, cells: list[str], role: str) -> int:
        text = self._columns.bare(cells, role, row)
        try:
            return whole_number(text, MOST)
        except DecodeError as error:
            plain, name = role.removeprefix("base_"), self._columns.header[self._columns.places[role][0]]
            raise DecodeError(
                f"{self._columns.where(row, role)}: {error}, and the column is in base units (if it is in whole coins, "
                f"state columns={{{plain!r}: {name[:60]!r}}})"
            ) from None

    def _height(self, row: int, cells: list[str]) -> int | None:
        text = self._columns.bare(cells, "block", row)
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) < 16:
            return int(text)
        with self._at(row, "block"):
            plain = re.fullmatch(r"[1-9][0-9]{0,2}(([., ])[0-9]{3})(\2[0-9]{3})*", text.replace("\xa0", " "))
            return whole_number(re.sub("[^0-9]", "", text) if plain else text, _HIGHEST)

    def _time(self, row: int, cells: list[str]) -> int | None:
        text = self._columns.bare(cells, "time", row)
        return self._times.seconds(text, self._columns.where(row, "time")) if text else None

    def _hash(self, row: int, cells: list[str], role: str) -> bytes:
        text = self._columns.bare(cells, role, row)
        digits = text[2:] if text[:2] in ("0x", "0X") else text
        if not re.fullmatch("[0-9a-fA-F]{64}", digits):
            raise DecodeError(
                f"{self._columns.where(row, role)}: {shown(text)} is no hash of 64 hexadecimal digits: a page or a "
                f"spreadsheet has cut or changed it; export it again"
            )
        return bytes.fromhex(digits)

    @contextmanager
    def _at(self, row: int, role: str) -> Iterator[None]:
        try:
            yield
        except (AddressError, DecodeError) as error:
            raise DecodeError(f"{self._columns.where(row, role)}: {error}") from None


def _refuse_disorder(heights: dict[int, tuple[int, int]]) -> None:
    before: tuple[int, int, int] | None = None
    for height, (time, row) in sorted(heights.items()):
        if before is not None and time < before[1]:
            raise DecodeError(
                f"rows {before[2]} and {row}: block {height} is higher than {before[0]} but earlier: was it edited?"
            )
        before = height, time, row
