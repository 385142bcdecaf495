"""Whatever explorers write out, in whatever convention, reads back to the same movements."""

from __future__ import annotations

from collections.abc import Callable

import export_writer as write
from export_writer import ME, OTHER_TOKEN, TETHER, YOU, Style
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from calibar.chains.remote.csv_export import read
from calibar.chains.remote.csv_stated import stated
from calibar.chains.remote.transfers_told import NATIVE, Asset, Kind, Movement, Movements, Said
from calibar.errors import UsageError

DECIMALS = {TETHER: 6, OTHER_TOKEN: 18}
ONE_DAY_PER_BLOCK = 86_400
TEXT = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), max_size=12)

styles = st.builds(
    Style,
    delimiter=st.sampled_from(",;\t"),
    decimal=st.sampled_from(".,"),
    groups=st.booleans(),
    times=st.sampled_from(("unix", "milliseconds", "iso", "plain", "dmy", "mdy")),
    encoding=st.sampled_from(("utf-8", "utf-8-sig", "utf-16")),
    order=st.permutations(range(16)).map(tuple),
    ends=st.sampled_from(("\n", "\r\n")),
    unknown=st.booleans(),
)


@st.composite
def movements(draw: st.DrawFn, kind: Kind, *, least: int = 1) -> list[Movement]:
    found = []
    for at in range(draw(st.integers(least, 8))):
        height = draw(st.integers(1, 4000)) + 15_000_000
        ends = draw(st.sampled_from(((ME, YOU), (YOU, ME), (ME, TETHER))))
        asset, said = NATIVE, None
        if kind == "token":
            contract = draw(st.sampled_from(sorted(DECIMALS)))
            asset = Asset(contract)
            said = Said(draw(TEXT), draw(TEXT), DECIMALS[contract])
        amount = draw(st.integers(0, 10**9) | st.integers(0, 10**30) | st.just(0))
        time = 1_400_000_000 + (height - 15_000_000) * ONE_DAY_PER_BLOCK // 4
        found.append(Movement(kind, at.to_bytes(32, "big"), asset, *ends, amount, height, time, said=said))
    return found


def told(data: bytes, chain: str = "ethereum:1", /, **arguments: object) -> list[Movements]:
    said = stated(chain, **arguments)  # type: ignore[arg-type]
    return list(read(said.request("export.csv"), data))


def rows(data: bytes, chain: str = "ethereum:1", /, **arguments: object) -> list[Movement]:
    return [row for answer in told(data, chain, **arguments) for row in answer.rows]


def as_written(style: Style) -> dict[str, object]:
    return {"decimal": style.decimal, "dates": style.times if style.times in ("dmy", "mdy") else None}


def text_of(address: bytes) -> str:
    return write._eth(address)


@settings(deadline=None)
@given(movements("value"), styles, st.data())
def test_transactions_of_etherscan_read_back(moves: list[Movement], style: Style, data: st.DataObject) -> None:
    fees = {move.txid: data.draw(st.integers(0, 10**17)) for move in moves}
    failed = {move.txid for move in moves if data.draw(st.booleans())}
    file = write.etherscan(moves, fees, failed, style)
    wanted = []
    for move in moves:
        if move.txid not in failed:
            wanted.append(move)
        if move.sender == ME and fees[move.txid]:
            fee = fees[move.txid]
            wanted.append(Movement("fee", move.txid, NATIVE, ME, None, fee, move.height, move.time))
    assert rows(file, address=text_of(ME), **as_written(style)) == wanted


@settings(deadline=None)
@given(movements("internal"), styles)
def test_internal_transfers_of_etherscan_read_back(moves: list[Movement], style: Style) -> None:
    file = write.etherscan_internal(moves, style)
    assert rows(file, address=text_of(ME), **as_written(style)) == moves


@settings(deadline=None)
@given(movements("token"), styles)
def test_tokens_of_etherscan_read_back(moves: list[Movement], style: Style) -> None:
    decimals = {text_of(contract): places for contract, places in DECIMALS.items()}
    file = write.etherscan_tokens(moves, style)
    assert rows(file, address=text_of(ME), decimals=decimals, **as_written(style)) == moves


@settings(deadline=None)
@given(movements("token"), styles)
def test_tokens_of_blockscout_read_back_in_base_units(moves: list[Movement], style: Style) -> None:
    for read_back, move in zip(rows(write.blockscout_tokens(moves, style), address=text_of(ME)), moves, strict=True):
        assert move.said and read_back.said == Said("", move.said.symbol, move.said.decimals)
        assert (read_back.amount, read_back.time, read_back.asset) == (move.amount, move.time, move.asset)


@settings(deadline=None)
@given(movements("token"), styles)
def test_tokens_of_tronscan_read_back(moves: list[Movement], style: Style) -> None:
    decimals = {write._tron(contract): places for contract, places in DECIMALS.items()}
    file = write.tronscan(moves, style)
    back = rows(file, "tron:mainnet", address=write._tron(ME), decimals=decimals, **as_written(style))
    assert [(m.txid, m.sender, m.recipient, m.amount, m.height, m.time) for m in back] == [
        (m.txid, m.sender, m.recipient, m.amount, m.height, m.time) for m in moves
    ]


@settings(deadline=None)
@given(movements("value", least=2), styles)
def test_without_statements_a_file_reads_the_same_or_is_refused(moves: list[Movement], style: Style) -> None:
    """What decides is in the file, or the person is asked; it is never read as something else."""
    file = write.etherscan(moves, {}, set(), style)
    try:
        assert rows(file) == moves
    except UsageError as error:
        assert any(word in str(error) for word in ("decimal=", "dates=", "address="))


@settings(deadline=None)
@given(movements("internal"), st.integers(0, 7), styles)
def test_equal_transfers_are_all_kept(moves: list[Movement], which: int, style: Style) -> None:
    assume(which < len(moves))
    twice = [*moves, moves[which]]
    assert rows(write.etherscan_internal(twice, style), address=text_of(ME), **as_written(style)) == twice


@settings(deadline=None)
@given(movements("value"), styles)
def test_the_same_file_tells_the_same_again(moves: list[Movement], style: Style) -> None:
    file = write.etherscan(moves, {}, set(), style)
    request = stated("ethereum:1", address=text_of(ME), **as_written(style)).request("a.csv")  # type: ignore[arg-type]
    assert list(read(request, file)) == list(read(request, file))


def test_the_writers_differ_by_convention() -> None:
    moves = [Movement("value", bytes(32), NATIVE, YOU, ME, 1_234_567 * 10**16, 1, 1_700_000_000)]
    texts: list[Callable[[], bytes]] = [
        lambda: write.etherscan(moves, {}, set(), Style(decimal=",", groups=True, delimiter=";")),
        lambda: write.etherscan(moves, {}, set(), Style(decimal=".", groups=True)),
    ]
    assert b";12.345,67;" in texts[0]() and b'"12,345.67"' in texts[1]()
