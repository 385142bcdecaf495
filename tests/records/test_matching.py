"""Deposits and withdrawals against ledgers with known truth: exact by transaction, else proposed, or contradicted."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot
from calibar.records import chains
from calibar.records.chains import chain_of
from calibar.records.matching import WINDOW_S, Asked, Chain, Found, Match, base_units, document, match, unreported
from calibar.records.movement import Movement, Place
from calibar.sandbox.scenarios import token_theft as story
from calibar.sandbox.truth import Truth

COIN = 100_000_000


def moved(change: Decimal, time: int, asset: str = "BTC", kind: str = "deposit", **facts: str) -> Movement:
    place = Place("deposits.csv", "", 2)
    return Movement(time, "35012345", "", asset, change, kind, kind, place, None, tuple(facts.items()))


@pytest.fixture(scope="module")
def coins(written: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    folder = tmp_path_factory.mktemp("matching") / "ledger"
    ingest([written / "blocks"], folder)
    return Snapshot(folder)


@pytest.fixture(scope="module")
def deposits(coins: Snapshot, truth: Truth) -> list[Found]:
    """Coins that the exchange's customers deposited."""
    chain = chain_of(coins)
    addresses = [owned.address for owned in truth.addresses if owned.customer is not None]
    found = [paid for address in addresses for paid in chain.paid_to(address, "BTC")]
    assert len(found) > 4
    return found


def row_of(found: Found, **changes: str) -> Movement:
    facts = {"txid": found.name.partition(":")[0], "address": found.address} | changes
    return moved(Decimal(found.units).scaleb(-8), found.time + 600, **facts)


def one(movement: Movement, chain: Chain) -> Match:
    (found,) = match([movement], chain)
    return found


def test_by_transaction_and_amount_exactly(coins: Snapshot, deposits: list[Found]) -> None:
    chain = chain_of(coins)
    for there in deposits:
        found = one(row_of(there), chain)
        assert (found.state, found.found) == ("exact", (there,))
    out = row_of(deposits[0])._replace(change=-row_of(deposits[0]).change, kind="withdrawal")
    assert one(out, chain).state == "exact"
    assert one(row_of(deposits[0], txid="0x" + deposits[0].name[:64].upper()), chain).state == "exact"


def test_many_at_once_are_as_one_by_one(
    coins: Snapshot, deposits: list[Found], monkeypatch: pytest.MonkeyPatch
) -> None:
    chain = chain_of(coins)
    rows = [row_of(there) for there in deposits]
    rows += [row_of(there, address="") for there in deposits]
    rows += [row_of(there, address=other.address) for there, other in pairwise(deposits)]
    rows += [row_of(there)._replace(change=Decimal("0.00000001")) for there in deposits]
    rows += [row_of(deposits[0], txid=txid) for txid in ("ab" * 32, "", "pending", "off-chain")]
    apart = [one(row, chain) for row in rows]
    assert list(match(rows, chain)) == apart
    monkeypatch.setattr(chains, "_AT_ONCE", 3)
    assert list(match(rows, chain)) == apart
    assert {found.state for found in apart} == {"exact", "contradicted", "absent", "unknown", "off chain", "proposed"}


def test_addresses_of_a_ledger_written_at_once(coins: Snapshot) -> None:
    every = np.arange(coins.counts["addresses"])
    assert [text.decode() for text in coins.address_texts(every)] == [coins.address_name(int(row)) for row in every]


def test_what_the_chain_says_otherwise_is_a_contradiction(coins: Snapshot, deposits: list[Found]) -> None:
    chain, there, other = chain_of(coins), deposits[0], deposits[-1]
    assert there.address != other.address
    wrong = one(row_of(there, address=other.address), chain)
    assert (wrong.state, wrong.text) == ("contradicted", f"it pays {there.address}, not {other.address}")
    more = row_of(there)._replace(change=row_of(there).change + Decimal("0.00000001"))
    assert one(more, chain).state == "contradicted"
    assert one(more, chain).text.startswith("it pays that address ")
    assert one(more._replace(facts=(("txid", there.name[:64]),)), chain).state == "contradicted"
    assert one(row_of(there, txid="ab" * 32), chain).state == "absent"
    assert one(row_of(there, txid="Internal transfer 123"), chain).state == "off chain"
    assert one(row_of(there, txid="pending"), chain).state == "unknown"
    assert one(row_of(there)._replace(asset="DOGE"), chain).state == "unknown"
    finer = row_of(there)._replace(change=Decimal("0.123456789"))
    assert one(finer, chain).state == "contradicted"


def test_without_an_id_it_is_proposed_by_amount_and_time(coins: Snapshot, deposits: list[Found]) -> None:
    chain, there = chain_of(coins), deposits[0]
    found = one(row_of(there, txid=""), chain)
    assert (found.state, found.found[0]) == ("proposed", there)
    alike = chain.by_amount("BTC", [there.units])[0]
    near = [
        other for other in alike if abs(other.time - there.time - 600) <= WINDOW_S and other.address == there.address
    ]
    assert found.others == len(near) - 1
    assert found.text == f"{len(near)} of {len(alike)} movements of exactly this amount are within 24 hours"
    late = row_of(there, txid="")._replace(time=there.time + WINDOW_S + 1)
    assert one(late, chain).state == "unknown"
    subsidy = moved(Decimal(50), coins.block_time(5))
    many = one(subsidy, chain)
    assert many.state == "proposed"
    assert many.others > 10
    assert len(many.found) == 5
    assert many.found[0].time == coins.block_time(5)


def test_what_the_statement_leaves_out_is_found_on_the_chain(coins: Snapshot, truth: Truth) -> None:
    chain = chain_of(coins)
    wallet = next(owned.address for owned in truth.addresses if len(chain.paid_to(owned.address, "BTC")) > 3)
    several = sorted(chain.paid_to(wallet, "BTC"), key=lambda paid: paid.time)
    rows = [row_of(several[0]), row_of(several[-1])]
    matches = list(match(rows, chain))
    left = {paid.name for paid, _ in unreported(rows, matches, chain)}
    assert left == {paid.name for paid in several[1:-1] if paid.time >= several[0].time + 600}
    everything = [row_of(there) for there in several]
    assert unreported(everything, list(match(everything, chain)), chain) == []


def test_tokens_by_the_contract_that_the_operator_names(token_theft: Path) -> None:
    snapshot = AccountSnapshot(token_theft)
    dollar = dict(story.truth().contracts)["dollar"]
    deposit = story.truth().role("deposit of mule 5")
    assert one(moved(Decimal(1), 0, "USDT", txid="ab" * 32), chain_of(snapshot)).state == "unknown"
    chain = chain_of(snapshot, {"USDT": dollar})
    paid = chain.paid_to(deposit, "USDT")
    assert paid
    for there in paid:
        txid, _, _ = there.name.partition(":")
        row = moved(
            Decimal(there.units).scaleb(-6), there.time, "USDT", txid=txid, address=deposit.upper().replace("X", "x")
        )
        assert (one(row, chain).state, one(row, chain).found) == ("exact", (there,))
        loose = one(row._replace(facts=()), chain)
        assert loose.state == "proposed"
        assert there in loose.found
    ether = chain.paid_to(deposit, "ETH")
    assert ether
    row = moved(Decimal(ether[0].units).scaleb(-18), ether[0].time, "ETH", txid=ether[0].name.partition(":")[0])
    assert one(row, chain).state == "exact"
    text = document(one(row, chain))
    assert text["found"][0]["units"] == str(ether[0].units)


@given(st.decimals(-(10**9), 10**9, places=8), st.integers(0, 18))
def test_units_are_exact_or_none(amount: Decimal, places: int) -> None:
    units = base_units(amount, places)
    if units is None:
        assert abs(amount) * 10**places != int(abs(amount) * 10**places)
    else:
        assert Decimal(units) == abs(amount) * 10**places


class _Made:
    """A chain of made-up movements, all of one asset."""

    def __init__(self, found: Sequence[Found]) -> None:
        self.found = found

    def decimals(self, asset: str) -> int | None:
        return 0

    def named(self, asset: str) -> str:
        return asset

    def in_transactions(self, asked: Sequence[Asked], asset: str) -> list[None]:
        return [None] * len(asked)

    def by_amount(self, asset: str, units: Sequence[int]) -> list[list[Found]]:
        return [[one for one in self.found if one.units == unit] for unit in units]

    def paid_to(self, address: str, asset: str) -> list[Found]:
        return [one for one in self.found if one.address == address]


_FOUND = st.builds(
    Found, st.text("ab", min_size=1, max_size=3), st.integers(1, 3), st.sampled_from("xy"), st.integers(0, 2 * WINDOW_S)
)


@given(st.lists(_FOUND, max_size=12), st.integers(1, 3), st.integers(0, 2 * WINDOW_S), st.sampled_from(("", "x")))
def test_a_proposal_names_the_nearest_and_counts_the_others(
    there: list[Found], units: int, time: int, address: str
) -> None:
    facts = {"address": address} if address else {}
    found = one(moved(Decimal(units), time, "X", **facts), _Made(there))
    fitting = [
        one for one in there
        if one.units == units and abs(one.time - time) <= WINDOW_S and (not address or one.address == address)
    ]  # fmt: skip
    assert found.state == ("proposed" if fitting else "unknown")
    if fitting:
        assert abs(found.found[0].time - time) == min(abs(one.time - time) for one in fitting)
        assert found.others == len(fitting) - 1
