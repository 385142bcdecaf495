"""The file of exchanges: nothing is lost by a crash, nothing changed is believed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.sources.told import Exchange
from calibar.errors import DamageError, LedgerError
from calibar.ledger.case.case import Case, read_settings, write_settings
from calibar.ledger.case.kept import NAME, Log, read_kept

EXCHANGES = [
    Exchange("electrum", "ssl://a:1", '{"method":"x","params":[]}', b'{"height":1}'),
    Exchange("esplora", "https://b/api", "GET /tx/00/raw", bytes(range(256))),
    Exchange("electrum", "ssl://a:1", "ñandú", "línea\nlínea".encode()),
    Exchange("rpc", "http://c", "{}", b""),
]


def written(folder: Path, exchanges: list[Exchange]) -> None:
    with Log(folder, clock=lambda: 1_700_000_000.5) as log:
        for exchange in exchanges:
            log.keep(exchange)


def test_what_is_kept_is_read_back(tmp_path: Path) -> None:
    written(tmp_path, EXCHANGES[:2])
    written(tmp_path, EXCHANGES[2:])
    kept = list(read_kept(tmp_path))
    assert [each.exchange for each in kept] == EXCHANGES
    assert {each.time for each in kept} == {1_700_000_000}


def test_cut_at_any_byte_the_whole_lines_stay(tmp_path: Path) -> None:
    written(tmp_path, EXCHANGES)
    data = (tmp_path / NAME).read_bytes()
    ends = [i + 1 for i, byte in enumerate(data) if byte == 10]
    for cut in range(len(data) + 1):
        (tmp_path / NAME).write_bytes(data[:cut])
        whole = sum(end <= cut for end in ends)
        assert [each.exchange for each in read_kept(tmp_path)] == EXCHANGES[:whole]
        if cut % 7 == 0:
            written(tmp_path, [EXCHANGES[0]])
            assert [each.exchange for each in read_kept(tmp_path)] == [*EXCHANGES[:whole], EXCHANGES[0]]


@given(at=st.integers(0, 600), bit=st.integers(0, 7))
def test_a_flipped_bit_is_damage_or_changes_no_response(
    at: int, bit: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("log")
    written(folder, EXCHANGES)
    data = bytearray((folder / NAME).read_bytes())
    data[at % len(data)] ^= 1 << bit
    (folder / NAME).write_bytes(data)
    try:
        kept = [each.exchange.response for each in read_kept(folder)]
    except DamageError as error:
        assert "line" in str(error)
    else:
        assert kept == [exchange.response for exchange in EXCHANGES][: len(kept)]


def test_two_do_not_write_at_once(tmp_path: Path) -> None:
    with Log(tmp_path), pytest.raises(LedgerError, match="another process is fetching into"):
        Log(tmp_path)


@pytest.mark.parametrize(
    "line",
    ["{}", "[]", "null", '{"text": 5}', '{"text": "x", "sha256": "00"}', "[" * 100_000, '{"base64": "*"}'],
)
def test_a_line_that_is_no_exchange_is_named(tmp_path: Path, line: str) -> None:
    (tmp_path / NAME).write_text(line + "\n", "utf-8")
    with pytest.raises(DamageError, match="line 1"):
        list(read_kept(tmp_path))


@pytest.mark.parametrize(
    "change",
    [{"network": "dogecoin"}, {"anchors": {"x": "00"}}, {"anchors": {"5": "00"}}, {"anchors": 5}, {"more": 1}],
)
def test_a_damaged_case_file_is_said(tmp_path: Path, change: dict[str, object]) -> None:
    Case.for_fetching(tmp_path / "case", "regtest").close()
    path = tmp_path / "case" / "case.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(DamageError, match="damaged; restore it"):
        Case(tmp_path / "case")


def test_a_new_case_knows_nothing_and_says_so(tmp_path: Path) -> None:
    with Case.for_fetching(tmp_path / "case", "signet", {"10": "ab" * 32}) as case:
        assert case.disclose("https://far", lambda: 5.0)
        assert not case.disclose("https://far", lambda: 6.0)
    settings = read_settings(tmp_path / "case")
    assert (settings.network, settings.disclosed) == ("signet", {"https://far": 5})
    assert Case(tmp_path / "case").snapshot().info()["transactions"] == 0
    with pytest.raises(LedgerError, match="holds no case"):
        (tmp_path / "other").mkdir()
        (tmp_path / "other" / "file").write_text("x")
        Case.for_fetching(tmp_path / "other", None)
    write_settings(tmp_path / "case", settings)
    assert read_settings(tmp_path / "case") == settings
