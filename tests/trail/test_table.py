"""Where the value rests, in rows that re-add."""

from __future__ import annotations

from io import StringIO

import browser
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from calibar.errors import BalanceError, UsageError
from calibar.trail.table import btc, holdings_table, percent, shares, show, summed, totals


def shown(trail: dict[str, object], width: int = 200, **options: object) -> str:
    console = Console(file=StringIO(), width=width, force_terminal=False)
    show(trail, console, **options)  # type: ignore[arg-type]
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_the_largest_holding_comes_first() -> None:
    amounts = [row.amount for row in holdings_table(browser.one_source()) if row.kind == "holding"]
    assert amounts == sorted(amounts, reverse=True)
    assert amounts[0] == 70_000_000


def test_equal_holdings_stand_in_coin_order() -> None:
    made = browser.Made("ties")
    coins = made.spend([made.source(30_000)], [10_000, 10_000, 10_000], 0)
    assert [row.coin for row in holdings_table(made.trail())[:3]] == coins


@pytest.mark.parametrize("trail", [browser.one_source(), browser.four_sources(), browser.peel_chain()])
@pytest.mark.parametrize("limit", [1, 3, 30, 1_000])
def test_amounts_and_shares_readd_whatever_the_limit(trail: dict[str, object], limit: int) -> None:
    rows = holdings_table(trail, limit)
    whole = summed(totals(trail))
    assert sum(row.amount for row in rows) == whole.received
    assert sum(row.share for row in rows) == 10_000
    for total in totals(trail):
        assert sum(row.traced.get(total.label, 0) for row in rows) == total.received


def test_the_rest_is_one_row_that_says_how_many() -> None:
    trail = browser.peel_chain()
    rows = holdings_table(trail, 30)
    assert [row.kind for row in rows[30:]] == ["rest", "fees"]
    assert rows[30].count == len(trail["holdings"]) - 30


def test_what_a_miner_left_unclaimed_has_its_row() -> None:
    assert [row.kind for row in holdings_table(browser.followed_fee())] == ["holding", "holding", "fees", "burnt"]
    assert holdings_table(browser.followed_fee())[-1].amount == 100_000


@given(st.lists(st.integers(0, 21_000_000 * browser.COIN), min_size=1, max_size=50))
def test_shares_readd_and_are_never_off_by_a_hundredth(parts: list[int]) -> None:
    found = shares(parts)
    assert sum(found) == (10_000 if any(parts) else 0)
    assert all(
        abs(share * sum(parts) - part * 10_000) < sum(parts) for share, part in zip(found, parts, strict=True) if part
    )


def test_the_earlier_of_equal_remainders_gets_the_hundredth() -> None:
    assert shares([1, 1, 1]) == [3_334, 3_333, 3_333]


def test_amounts_are_written_without_floats() -> None:
    assert btc(2_100_000_000_000_001) == "21000000.00000001"
    assert btc(1) == "0.00000001"
    assert percent(7) == "0.07"
    assert percent(10_000) == "100.00"


def test_a_trail_that_does_not_readd_is_not_shown() -> None:
    trail = browser.one_source()
    trail["totals"]["S0"]["fees"] += 1
    with pytest.raises(BalanceError, match="S0 do not re-add"):
        holdings_table(trail)
    trail = browser.one_source()
    trail["holdings"].pop()
    with pytest.raises(BalanceError, match="by its holdings"):
        holdings_table(trail)


def test_a_backward_trail_is_a_wrong_question() -> None:
    trail = browser.one_source()
    del trail["holdings"]
    with pytest.raises(UsageError, match="only a forward trail"):
        holdings_table(trail)


def test_the_console_shows_the_sum_of_each_label() -> None:
    text = shown(browser.four_sources())
    assert "S1: 0.45000000 in = 0.14996999 held + 0.30001500 stopped + 0.00001501 fees + 0.00000000 burnt" in text
    assert "all: 2.75500001 in" in text


def test_few_labels_have_a_column_each_and_many_have_none() -> None:
    assert "S3" in shown(browser.four_sources()).splitlines()[1]
    assert "S0" not in shown(browser.one_source()).splitlines()[1]
    assert "S0" not in shown(browser.large(20)).splitlines()[1]


def test_a_narrow_console_shortens_ids_and_a_wide_one_does_not() -> None:
    trail = browser.one_source()
    address = trail["holdings"][0]["address"]
    assert address in shown(trail)
    narrow = shown(trail, width=100)
    assert f"{address[:9]}…{address[-6:]}" in narrow
    assert max(map(len, narrow.splitlines())) <= 100


def test_the_console_speaks_spanish() -> None:
    text = shown(browser.one_source(), language="es")
    assert "Dónde está el valor" in text
    assert "sin mover" in text
    assert "held" not in text


def test_names_are_quoted_as_somebodys_word() -> None:
    trail = browser.one_source()
    assert "“exchange deposit 1”" in shown(trail, names=browser.names_for(trail))


def test_hostile_texts_are_only_text_on_the_console() -> None:
    trail = browser.one_source()
    for holding in trail["holdings"]:
        holding["address"] = "[red]a[/nonsense]\x1b[31m\u202e"
    text = shown(trail)
    assert "[red]a[/nonsense]\ufffd[31m\ufffd" in text
    assert "\x1b" not in text
