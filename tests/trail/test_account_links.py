"""Links that an analyst asserts, look-alikes and imitations, on a recorded chain with known truth."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import calibar
from calibar.chains.known_tokens import KNOWN, imitates
from calibar.chains.tron.address import to_base58
from calibar.errors import DecodeError, UsageError
from calibar.sandbox.scenarios import token_theft as story
from calibar.trail.accounts.lookalikes import _EIGHT_BYTES, FIRST, LAST, _interval, look_alike
from calibar.trail.document import Trail


@pytest.fixture
def ledger(token_theft: Path) -> calibar.Ledger:
    return calibar.open(token_theft)


@pytest.fixture(scope="module")
def refs() -> list[str]:
    return [f"{source.transaction}:{source.log_index}" for source in story.truth().sources]


@pytest.fixture
def exhibit(tmp_path: Path) -> Path:
    path = tmp_path / "chat.txt"
    path.write_text("I sent you the tokens, send me the ether\n")
    return path


def _step_to(trail: Trail, role: str) -> dict[str, Any]:
    address = story.truth().role(role).lower()
    return next(step for step in trail.steps if str(step["outputs"][0]["account"]).lower() == address)


def _later_ether(ledger: calibar.Ledger, height: int) -> str:
    """Some payment of the chain's own coin after a height, which has nothing to do with the theft."""
    for role in story.BYSTANDERS:
        for row in ledger.transfers(story.truth().role(role), "native"):
            if row["height"] > height and row["kind"] == "value" and int(row["amount"]) > 0:
                return str(row["transfer"])
    raise AssertionError("the story has no such payment")


def test_a_link_carries_value_on_in_proportion(
    ledger: calibar.Ledger, refs: list[str], tmp_path: Path, exhibit: Path
) -> None:
    before = ledger.trace(*refs, method="fifo")
    given = _step_to(before, "cold wallet")
    file = tmp_path / "links.jsonl"
    received = _later_ether(ledger, given["height"])
    link = ledger.add_link(file, given["transfer"], received, reason="deal in a chat", exhibit=exhibit)
    after = ledger.trace(*refs, method="fifo", links=file)
    assert after.document["links"] == [link]
    by_link = {str(step["kind"]): step for step in after.steps if step.get("by") == {"link": 0}}
    assert set(by_link) == {"converted", "received"}
    converted, got = by_link["converted"], by_link["received"]
    assert converted["transfer"] == given["transfer"]
    paid: dict[str, Any] = converted["inputs"][0]
    drawn, amount = int(paid["traced"]["S0"]), int(paid["value"])
    assert got["transfer"] == received
    arrived: dict[str, Any] = got["outputs"][0]
    assert abs(int(arrived["traced"]["S0"]) * amount - int(arrived["value"]) * drawn) < amount
    assert after.document["totals"]["S0"]["native"]["converted_in"] == arrived["traced"]["S0"]
    assert before.digest != after.digest == ledger.trace(*refs, method="fifo", links=file).digest


def test_links_that_make_no_sense_are_refused(
    ledger: calibar.Ledger, refs: list[str], tmp_path: Path, exhibit: Path
) -> None:
    file = tmp_path / "links.jsonl"
    early, late = refs
    with pytest.raises(UsageError, match="is earlier than"):
        ledger.add_link(file, late, early, reason="r", exhibit=exhibit)
    with pytest.raises(UsageError, match="linked to itself"):
        ledger.add_link(file, early, early, reason="r", exhibit=exhibit)
    with pytest.raises(UsageError, match="needs a reason"):
        ledger.add_link(file, early, late, reason="  ", exhibit=exhibit)
    with pytest.raises(UsageError, match="cannot read the exhibit"):
        ledger.add_link(file, early, late, reason="r", exhibit=tmp_path / "none")
    with pytest.raises(UsageError, match="has no transfer '99'"):
        ledger.add_link(file, early.partition(":")[0] + ":99", late, reason="r", exhibit=exhibit)
    with pytest.raises(UsageError, match="is not one transfer"):
        ledger.add_link(file, early.partition(":")[0], late, reason="r", exhibit=exhibit)
    assert not file.exists()
    ledger.add_link(file, early, late, reason="r", exhibit=exhibit)
    with pytest.raises(UsageError, match="already"):
        ledger.add_link(file, early, late, reason="r", exhibit=exhibit)


@pytest.mark.parametrize(
    "text", ["nonsense", "[]", '{"given": "a"}', '{"given": 1, "received": "", "reason": "r"}', "[" * 9999]
)
def test_a_file_that_has_no_links_is_refused(
    ledger: calibar.Ledger, refs: list[str], tmp_path: Path, text: str
) -> None:
    file = tmp_path / "links.jsonl"
    file.write_text(text + "\n")
    with pytest.raises(DecodeError, match="line 1 is no link"):
        ledger.trace(*refs, links=file)
    with pytest.raises(UsageError, match="cannot read the links"):
        ledger.trace(*refs, links=tmp_path / "none")


def test_every_known_poisoning_is_a_look_alike(data: Path) -> None:
    with (data / "ethereum" / "poisoning-payoffs-2022-2024.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 1738
    assert all(look_alike(row["topics_to_addr"], row["intended_addr"]) for row in rows)
    # Different victims' addresses: none resembles another's poisoner by chance.
    assert not any(look_alike(rows[i]["topics_to_addr"], rows[i + 7]["topics_from_addr"]) for i in range(1700))


def test_the_poisoner_is_flagged_and_nobody_else(ledger: calibar.Ledger) -> None:
    flagged = set()
    for owned in story.truth().addresses:
        for row in ledger.transfers(owned.address):
            flagged |= {(row["to"].lower(), flag) for flag in row["flags"] if flag.startswith("resembles")}
    real = story.truth().role("deposit of mule 5").lower()
    assert {flag.lower() for _, flag in flagged} == {f"resembles {real}"}
    assert len({to for to, _ in flagged}) == 1


@given(st.binary(min_size=20, max_size=20), st.binary(min_size=20, max_size=20))
def test_addresses_on_tron_that_begin_alike_lie_together(a: bytes, b: bytes) -> None:
    """The interval of keys holds every address with the same beginning."""
    for other in (b, a[:3] + b[3:], a[:2] + b[2:]):
        low, high = _interval(to_base58(a))
        alike = to_base58(a)[: FIRST + 1] == to_base58(other)[: FIRST + 1]
        assert not alike or low <= int.from_bytes(other[:8], "big") & _EIGHT_BYTES <= high
    assert not look_alike(to_base58(a), to_base58(a))
    assert LAST == 4


@pytest.mark.parametrize("symbol", ["USDT", "usdt", "USD₮", "U S D T", "\uff35SDT", "USDТ"])
def test_imitations_of_a_known_symbol(symbol: str) -> None:
    real = KNOWN["ethereum:1"]["USDT"][0]
    assert imitates("ethereum:1", "0x" + "12" * 20, symbol) == "USDT"
    assert imitates("ethereum:1", real, symbol) is None
    assert imitates("ethereum:31337", "0x" + "12" * 20, symbol) is None
    assert imitates("ethereum:1", "0x" + "12" * 20, symbol + "X") is None
