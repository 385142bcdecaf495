"""A case on TRON from explorers against the full ledger of the same facts: honest ones agree, lies are named."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tron_explorers import (
    ASKED,
    KEY,
    NOBODY,
    NUMBER,
    START,
    Ledger,
    Reply,
    Row,
    Sent,
    TronGridLike,
    TronscanLike,
    ledger,
    serving,
    to_base58,
)

from calibar.chains.facts import (
    BURNT_FEE,
    CONTRACT,
    FAILED,
    GRANT,
    HAS_INTERNAL,
    INTERNAL,
    MINT,
    NATIVE,
    SUCCEEDED,
    TOKEN,
    TRC10,
    VALUE,
    ZERO,
    Builder,
    Facts,
)
from calibar.chains.tron.contracts import token_asset
from calibar.ledger.accounts.ingest import ingest
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.check import compare_with
from calibar.ledger.check import check
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

BEGAN = 2**60
"""What everybody has in the beginning."""


class Blocks:
    """A facts.Source of the made-up chain."""

    chain = "tron:mainnet"

    def __init__(self, known: Ledger) -> None:
        self.known = known

    def last(self) -> int:
        return self.known.height

    def hash_of(self, number: int) -> bytes | None:
        return number.to_bytes(32) if number <= self.last() else None

    def read(self, first: int, last: int) -> Iterator[Facts]:
        for number in range(first, last + 1):
            builder = Builder()
            if number == 0:
                people = {end for one in self.known.sent for end in (one.sender, one.recipient)}
                for who in sorted(people):
                    builder.transfer(-1, GRANT, NATIVE, ZERO, ZERO, who, BEGAN)
            for one in self.known.sent:
                if one.block == number:
                    _add(builder, one)
            parent = (number - 1).to_bytes(32) if number else bytes(32)
            time = (START + 3000 * number) // 1000
            builder.end_block(number, number.to_bytes(32), parent, time, HAS_INTERNAL)
            yield builder.facts()


def _add(builder: Builder, one: Sent) -> None:
    status = FAILED if one.failed else SUCCEEDED
    tx = builder.transaction(bytes.fromhex(one.txid), status, one.sender, one.recipient, one.sender, one.fee)
    if one.fee:
        builder.transfer(tx, BURNT_FEE, NATIVE, ZERO, one.sender, ZERO, one.fee)
    if one.failed:
        return
    asset = (TRC10, token_asset(NUMBER)) if one.kind == 2 else (NATIVE, ZERO)
    if one.value:
        builder.transfer(tx, VALUE, *asset, one.sender, one.recipient, one.value)
    for at, (sender, recipient, amount) in enumerate(one.internals):
        if amount:
            builder.transfer(tx, INTERNAL, NATIVE, ZERO, sender, recipient, amount, at)
    for at, (token, sender, recipient, amount) in enumerate(one.tokens):
        kind = MINT if sender == NOBODY else TOKEN
        builder.transfer(tx, kind, CONTRACT, token, sender, recipient, amount, at)


@pytest.fixture(scope="module")
def many() -> Ledger:
    return ledger(5, 120, 90)


@pytest.fixture(scope="module")
def full(many: Ledger, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tron") / "ledger"
    ingest(Blocks(many), folder)
    return folder


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRON_PRO_API_KEY", KEY)


def listed(folder: Path, *servers: str) -> Path:
    limits = Limits(history=10**6, cross_check=True)
    gather(folder, [to_base58(ASKED)], servers, limits=limits)
    return folder


def test_honest_explorers_agree_with_the_chain(many: Ledger, full: Path, tmp_path: Path) -> None:
    with serving(TronGridLike(many)) as grid, serving(TronscanLike(many)) as scan:
        case = listed(tmp_path / "case", f"trongrid+{grid.url}", f"tronscan+{scan.url}")
    assert check(case) == []
    assert compare_with(case, full) == []


def _of_tokens(path: str, page: Row) -> list[Row]:
    rows: list[Row] = page["data"] if path.endswith("/trc20") else []
    return rows


def _leave_out(path: str, page: Row) -> object:
    del _of_tokens(path, page)[1:2]
    return page


def _other_amount(path: str, page: Row) -> object:
    for row in _of_tokens(path, page)[1:2]:
        row["value"] = "12345"
    return page


def _invented(path: str, page: Row) -> object:
    for row in _of_tokens(path, page)[1:2]:
        row["transaction_id"] = "77" * 32
    return page


LIES = {
    "hidden": (_leave_out, r"its list of token transfers of \S+ in \S+ up to height \d+ leaves out 1 transfer: {txid}"),
    "another amount": (_other_amount, r"tells 1 transfer of transaction {txid}: 12345 of T\S+ from \S+ to T\S+, not"),
    "invented": (_invented, rf"transaction {'77' * 32} is in no block of the ledger"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_about_tokens_is_named_though_no_row_tells_its_block(full: Path, tmp_path: Path, lie: str) -> None:
    change, words = LIES[lie]
    known = ledger(5, 120, 90)
    tokens = [one for one in known.sent if not one.failed for _ in one.tokens]
    known.sent[known.sent.index(tokens[1])].tokens[:] = _from_somebody(tokens[1])
    with serving(TronGridLike(known, change=change)) as grid, serving(TronscanLike(known)) as scan:
        case = listed(tmp_path / "case", f"trongrid+{grid.url}", f"tronscan+{scan.url}")
    ingest(Blocks(known), tmp_path / "ledger")
    found = compare_with(case, tmp_path / "ledger")
    assert any(re.search(words.format(txid=tokens[1].txid), line) for line in found), found
    assert all(grid.url in line and scan.url not in line for line in found), found


def _from_somebody(one: Sent) -> list[tuple[bytes, bytes, bytes, int]]:
    other = one.recipient if one.sender == ASKED else one.sender
    return [(token, other, to, amount or 9) for token, _, to, amount in one.tokens]


class Telling(TronGridLike):
    """Says of TRX what the account has by the ledger, or so much more."""

    snapshot: AccountSnapshot
    more = 0

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path != f"/v1/accounts/{to_base58(ASKED)}":
            return super().__call__(path, query)
        owner, asset = self.snapshot.find_address(ASKED), self.snapshot.find_asset("native")
        assert owner is not None and asset is not None
        holding = self.snapshot.find_holding(asset, owner)
        assert holding is not None
        account = {"address": "41" + ASKED.hex(), "balance": self.snapshot.balance(holding) + self.more}
        return 200, {"success": True, "data": [account], "meta": {}}


@pytest.mark.parametrize("more", [0, 1])
def test_a_balance_is_that_of_the_ledger_or_named(many: Ledger, full: Path, tmp_path: Path, more: int) -> None:
    explorer = Telling(many)
    explorer.snapshot, explorer.more = AccountSnapshot(full), more
    with serving(explorer) as grid:
        url = f"trongrid+{grid.url}"
        gather(tmp_path / "case", [to_base58(ASKED)], [url], policy=Policy(unit="address", asset="native", max_hops=1))
    found = compare_with(tmp_path / "case", full)
    assert len(found) == more
    assert all(line.startswith(f"{grid.url} said that {to_base58(ASKED)} has ") for line in found)
