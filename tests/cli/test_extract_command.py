"""`calibar extract`: what it prints and writes, and what it keeps to itself."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from running import refused, run_calibar, succeeds

from calibar.canonical import canonical

GENESIS = "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa"
SEED = "abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon abandon about"
WIF = "5HueCGU8rMjxEXxiPuD5BDku4MkFqeZyd4dZ1jvhTVqvbTLvyTJ"
ZPUB = "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "what [bold]they gave.txt"
    path.write_text(
        f"{GENESIS} {GENESIS[:-1]}b {ZPUB}\n{SEED}\n[red]{WIF} 4111 1111 1111 1111 +54 11 4567-8901\n", "utf-8"
    )
    return path


def test_for_people(file: Path) -> None:
    shown = succeeds("extract", file).out.decode()
    for part in (
        GENESIS,
        "near misses",
        "probably character 34",
        "PRIVATE",
        "line 2, column 1",
        "+541145678901",
        "1111",
    ):
        assert part in shown
    assert "expanded to 40 addresses" in shown
    assert file.name in shown


def test_nothing_private_anywhere(file: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(0):
        done = run_calibar("extract", file, "--json", tmp_path / "a.json", "--csv", tmp_path / "a.csv")
    assert (done.code, done.err) == (0, "")
    said = done.out.decode() + (tmp_path / "a.json").read_text("utf-8") + (tmp_path / "a.csv").read_text("utf-8")
    for secret in ("abandon", "about", WIF, WIF[:20], WIF[-20:], "4111"):
        assert secret not in said + caplog.text


def test_documents(file: Path, tmp_path: Path) -> None:
    done = succeeds("extract", file, "--json", "-", "--expand", "1", "--region", "uy")
    document = json.loads(done.out)
    assert done.out == canonical(document)
    assert document["region"] == "UY"
    (key,) = (one for one in document["findings"] if one["kind"] == "extended-key")
    assert [row["address"] for row in key["expanded"]] == [
        "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu", "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el",
    ]  # fmt: skip
    assert "expanded" not in succeeds("extract", file, "--json", "-", "--expand", "0").out.decode()
    rows = succeeds("extract", file, "--csv", "-").out.decode().splitlines()
    assert rows[0] == "kind,value,written,checked,network,count,file,place,context"


def test_nothing_found(tmp_path: Path) -> None:
    path = tmp_path / "empty.txt"
    path.write_bytes(b"")
    assert "nothing was found" in succeeds("extract", path).out.decode()


def test_the_screen_has_the_first_of_many(tmp_path: Path) -> None:
    path = tmp_path / "many.txt"
    path.write_text(" ".join(f"a{at}@example.com" for at in range(300)), "utf-8")
    shown = succeeds("extract", path).out.decode()
    assert "and 100 more: write them with --json or --csv" in shown


def test_refusals(file: Path, tmp_path: Path) -> None:
    assert "cannot read" in refused("extract", tmp_path / "none")
    assert "folder" in refused("extract", tmp_path)
    assert "no region" in refused("extract", file, "--region", "QQ")
    assert "--json and --csv" in refused("extract", file, "--json", "-", "--csv", "-")
    garbage = tmp_path / "x.bin"
    garbage.write_bytes(bytes(range(256)) * 9)
    assert "x.bin is of no kind" in refused("extract", file, garbage)
