"""Tables of labels: what is read, what is refused, and that no label reaches another network."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.ethereum import address as ethereum
from calibar.chains.tron import address as tron
from calibar.errors import DecodeError, UsageError
from calibar.labels.keys import key_of
from calibar.labels.label import Label, LabelSet
from calibar.labels.table import LARGEST, read_labels

COIN = "3LYJfcfHPXYJreMsASk2jkn69LWEYKzexb"
SEGWIT = "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"
ACCOUNT = "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
TRON = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
HEAD = "address,name,category,source"


def table(folder: Path, *lines: str, name: str = "labels.csv") -> Path:
    path = folder / name
    path.write_text("\n".join(lines) + "\n", "utf-8")
    return path


def test_what_a_row_says_is_kept_as_it_says_it(tmp_path: Path) -> None:
    path = table(
        tmp_path,
        "# somebody's list",
        "confidence, Address ,NAME,category,source,date,network",
        "",
        f'90,{COIN},"Binance, cold",Hosted-Wallet,bitinfocharts,2019-04-01,mainnet',
        f",{ACCOUNT.lower()},Peña,user,a witness,,ethereum:56",
    )
    found = read_labels([path])
    assert len(found) == 2
    (label,) = found.of("mainnet")[key_of("mainnet", COIN)]
    assert label == Label("mainnet", COIN, "Binance, cold", "hosted_wallet", "bitinfocharts", "2019-04-01", "90")
    (label,) = found.of("ethereum:56")[ethereum.decode(ACCOUNT)]
    assert label.document() == {"name": "Peña", "category": "user", "source": "a witness"}
    assert not found.of("ethereum:1")


@pytest.mark.parametrize(
    ("address", "network"), [(COIN, "mainnet"), (SEGWIT, "mainnet"), (ACCOUNT, "ethereum:1"), (TRON, "tron:mainnet")]
)
def test_without_a_network_it_is_the_main_one_of_the_form(address: str, network: str, tmp_path: Path) -> None:
    found = read_labels([table(tmp_path, HEAD, f"{address},N,exchange,S")])
    assert list(found.of(network)) == [key_of(network, address)]


def test_addresses_of_one_script_are_one_and_of_other_networks_others() -> None:
    assert key_of("mainnet", SEGWIT) == key_of("mainnet", SEGWIT.upper())
    script = "script:" + key_of("mainnet", SEGWIT).hex()
    assert key_of("mainnet", script) == key_of("mainnet", SEGWIT)
    assert key_of("tron:mainnet", tron.to_hex(tron.parse(TRON))) == key_of("tron:nile", TRON)


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (f"{COIN[:-1]}c,N,exchange,S", "line 2: .*is no address"),
        (f"{ACCOUNT[:-1]}D,N,exchange,S", "line 2: the checksum"),
        (f"{COIN},,exchange,S", "it has no name"),
        (f"{COIN},N,,S", "it has no category"),
        (f"{COIN},N,exchange,", "it has no source"),
        (f"{COIN},N,ex/change,S", "is no category"),
        (f"{COIN},N,exchange", "has 3 cells, the first 4"),
        (f'{COIN},"N,exchange,S', "is no CSV"),
        (f"{COIN},{'n' * 500},exchange,S", "longer than 400"),
        (f"{COIN},N\x1b[31m,exchange,S", "control characters"),
        (f"{COIN},N\u202egnp.exe,exchange,S", "control characters"),
        ("tb1qw508d6qejxtdg4y5r3zarvary0c5xw7kxpjzsx,N,exchange,S", "add the column network"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn,N,exchange,S", "add the column network"),
        ("script:zz,N,exchange,S", "add the column network"),
    ],
)
def test_a_bad_line_is_refused_with_its_number(line: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=why):
        read_labels([table(tmp_path, HEAD, line)])


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("regtest,2024-05-01,50", "belongs to|is of|mainnet"),
        ("nowhere,2024-05-01,50", "no Bitcoin network"),
        ("mainnet,yesterday,50", "line 2"),
        ("mainnet,2024-05-01,very", "whole number from 0 to 100"),
        ("mainnet,2024-05-01,101", "whole number from 0 to 100"),
        ("tron:mainnet,,", "TRON"),
        ("ethereum:01,,", "no Bitcoin network"),
        ("mainnet,2024-05-01,\uff15\uff10", "whole number from 0 to 100"),
        ("ethereum:1,,", "0x"),
    ],
)
def test_a_bad_field_is_refused(cells: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=why):
        read_labels([table(tmp_path, f"{HEAD},network,date,confidence", f"{SEGWIT},N,exchange,S,{cells}")])


@pytest.mark.parametrize(
    ("head", "why"),
    [
        ("address,name,category", "no column source"),
        (f"{HEAD},colour", "has a column 'colour'"),
        (f"{HEAD},name", "a column twice"),
        ("", "is empty"),
    ],
)
def test_a_bad_header_is_refused(head: str, why: str, tmp_path: Path) -> None:
    with pytest.raises(DecodeError, match=why):
        read_labels([table(tmp_path, head)])


def test_what_is_no_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot read the labels"):
        read_labels([tmp_path / "none.csv"])
    (tmp_path / "latin.csv").write_bytes(f"{HEAD}\n{COIN},Pe\xf1a,user,S\n".encode("latin-1"))
    with pytest.raises(DecodeError, match="not UTF-8"):
        read_labels([tmp_path / "latin.csv"])
    with (tmp_path / "huge.csv").open("wb") as file:
        file.truncate(LARGEST + 1)
    with pytest.raises(DecodeError, match="larger than"):
        read_labels([tmp_path / "huge.csv"])


@pytest.mark.parametrize(
    ("network", "one", "other"),
    [
        ("ethereum:1", ACCOUNT, ACCOUNT.lower()),
        ("mainnet", SEGWIT, SEGWIT.upper()),
        ("tron:mainnet", TRON, tron.to_hex(tron.parse(TRON))),
    ],
)
def test_one_address_in_two_spellings_is_one_label(network: str, one: str, other: str, tmp_path: Path) -> None:
    lines = [f"{address},N,user,S,{network}" for address in (one, other)]
    both, first = (read_labels([table(tmp_path, f"{HEAD},network", *some)]) for some in (lines, lines[:1]))
    assert (len(both), both.digest) == (1, first.digest)


def test_the_digest_is_of_the_labels_not_of_their_files(tmp_path: Path) -> None:
    rows = [f"{COIN},A,exchange,S", f"{SEGWIT},B,mixer,S", f"{COIN},C,market,T", f"{ACCOUNT},D,user,U"]
    one = read_labels([table(tmp_path, HEAD, *rows)])
    rows.reverse()
    parts = [table(tmp_path, HEAD, *part, name=f"{n}.csv") for n, part in enumerate((rows[:2], rows[1:]))]
    two = read_labels(parts)
    assert (one.digest, len(one)) == (two.digest, 4)
    assert read_labels([table(tmp_path, HEAD, *rows[1:])]).digest != one.digest
    assert LabelSet([]).digest != one.digest


_TEXT = st.text(st.characters(codec="utf-8", categories=("L", "N", "P", "S")), min_size=1, max_size=30)


@given(st.lists(st.tuples(_TEXT, _TEXT, st.sampled_from(("exchange", "a_b", "x9"))), min_size=1, max_size=5))
def test_what_is_written_is_read(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str]]) -> None:
    path = tmp_path_factory.mktemp("labels") / "labels.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(HEAD.split(","))
        writer.writerows((COIN, name, category, source) for name, source, category in rows)
    said = read_labels([path]).of("mainnet")[key_of("mainnet", COIN)]
    assert {(label.name, label.source, label.category) for label in said} == set(rows)


def test_the_worlds_lists_are_read(data: Path, tmp_path: Path) -> None:
    """Curated lists have no category: it is their file's. Real addresses, all but those with a wrong checksum."""
    for name, category, least in (("exchange-tier1-addresses", "exchange", 40), ("mixer-addresses", "mixer", 30)):
        source = data / "labels" / "curated" / f"{name}.csv"
        rows = [line.split(",") for line in source.read_text("utf-8").splitlines() if line and line[0] != "#"][1:]
        lines = [f'{row[0]},"{row[1]}",{category},{row[2]}' for row in rows]
        found = read_labels([table(tmp_path, HEAD, *lines)])
        assert len(found.of("mainnet")) >= least
