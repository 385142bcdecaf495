"""The records of a case, for scripts: everything that `calibar records` does goes through here."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Any, Final

from calibar.errors import UsageError
from calibar.records import checks, matching
from calibar.records.booked import moved_on_chains
from calibar.records.checks import Finding
from calibar.records.events import Event, events
from calibar.records.exact import exact
from calibar.records.formats import format_called
from calibar.records.formats.mapped import columns_stated, format_of, mapping_of
from calibar.records.links import Link, links
from calibar.records.movement import Detail
from calibar.records.reading import Read, imported, read_all
from calibar.records.store import Delivery, Records

STATED: Final = ("custodian", "account", "holder", "asset", "zone", "dates", "decimal", "period", "received_by")
"""What may be said of a document that it does not say itself."""


class CaseRecords:
    """Documents of custodians in one case. Amounts are Decimal in the assets' own units."""

    def __init__(self, case: str | Path) -> None:
        """Of the case in that folder; it is made when the first document is added."""
        self._case = Path(case)
        self._read: list[Read] | None = None

    def __repr__(self) -> str:
        return f"<calibar.records {self._case}: {len(self.deliveries)} documents>"

    @property
    def deliveries(self) -> list[Delivery]:
        """The documents, in the order in which they came."""
        return Records(self._case).deliveries()

    def add(
        self,
        file: str | Path,
        *,
        form: str = "",
        mapping: str = "",
        columns: Sequence[str] = (),
        certificate: str | Path | None = None,
        **stated: str,
    ) -> tuple[Read, bool]:
        """Read a document and keep it; whether it is new. A file of which a row cannot be read is refused whole.

        `form` is a format's name, else each table's header tells; `columns` are `role=name` texts, saved as `mapping`;
        `stated` as in STATED. Raises UsageError, DecodeError.
        """
        if unknown := sorted(stated.keys() - {*STATED}):
            raise UsageError(f"{unknown[0]!r} cannot be stated of a document; there are {', '.join(STATED)}")
        letter = Path(certificate) if certificate is not None else None
        name, pairs = self._format(form, mapping, columns)
        _check_period(stated.get("period", ""))
        said: dict[str, object] = {key: stated.get(key, "") for key in STATED}
        said |= {"format": name, "columns": dict(pairs), "received_at": int(time.time())}
        self._read = None
        return imported(self._case, Path(file), letter, said)

    def _format(self, form: str, mapping: str, columns: Sequence[str]) -> tuple[str, Mapping[str, str]]:
        if not (mapping or columns):
            return format_called(form).name if form else "", {}
        if form:
            raise UsageError("--as names a format and --mapping one's columns: give one of them")
        pairs = mapping_of(self._case, mapping or "columns", columns_stated(columns))
        return format_of(mapping or "columns", pairs).name, pairs

    def read(self) -> list[Read]:
        """What all documents say. Raises UsageError where there are none."""
        if self._read is None:
            self._read = list(read_all(Records(self._case)))
        if not self._read:
            raise UsageError(f"{self._case} has no records; add some with `calibar records import FILE`")
        return self._read

    def check(self) -> list[Finding]:
        """What does not add up, and what a person must know."""
        return checks.check(self.read())

    def events(self, account: str | None = None, asset: str | None = None) -> list[Event]:
        """Movements in order of time, a trade's legs together; each once, where deliveries overlap."""
        wanted = asset.upper() if asset is not None else None
        return list(
            events(
                one
                for one in checks.everything(self.read())
                if account in (None, one.account) and wanted in (None, one.asset)
            )
        )

    def details(self, account: str | None = None) -> list[Detail]:
        """Logins, devices, names, counterparties' accounts."""
        found = (one for read in self.read() for statement in read.statements for one in statement.details)
        return [one for one in found if account in (None, one.account)]

    def links(self) -> list[Link]:
        """What two accounts or more share: devices, IP addresses, phones, bank accounts, withdrawal addresses."""
        return links(self.read())

    def match(
        self, ledger: str | Path, tokens: Mapping[str, str] | None = None
    ) -> tuple[list[matching.Match], list[tuple[matching.Found, str]]]:
        """Deposits and withdrawals on the chain of a ledger, and what it pays to the deposit addresses beside them."""
        from calibar.ledger.opening import open_snapshot  # noqa: PLC0415
        from calibar.records.chains import chain_of  # noqa: PLC0415

        named = {name.upper(): contract for name, contract in (tokens or {}).items()}
        chain = chain_of(open_snapshot(Path(ledger)), named)
        movements = moved_on_chains(self.read())
        with exact():
            matches = list(matching.match(movements, chain))
            return matches, matching.unreported(movements, matches, chain)


def summary(found: Read) -> dict[str, Any]:
    """What a document says, in figures, for JSON."""
    delivery = found.delivery
    return {
        "file": delivery.name,
        "sha256": delivery.sha256,
        "bytes": delivery.bytes,
        "certificate": delivery.certificate or None,
        "tables": [
            {
                "format": one.format,
                "custodian": one.custodian,
                "accounts": sorted({said.account for said in one.movements} | {said.account for said in one.details}),
                "movements": len(one.movements),
                "details": len(one.details),
                "passed_over": len(one.passed_over),
                "first": min((said.time for said in one.movements), default=None),
                "last": max((said.time for said in one.movements), default=None),
            }
            for one in found.statements
        ],
        "not_read": found.unknown,
    }


def _check_period(text: str) -> None:
    if text:
        first, slash, last = text.partition("/")
        try:
            if not slash or date.fromisoformat(first) > date.fromisoformat(last):
                raise ValueError
        except ValueError:
            raise UsageError(f"--period {text[:60]} is not FROM/TO, such as 2024-01-01/2024-06-30") from None
