"""`calibar demo`: from nothing to the answer, twice, in two languages."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from running import info, succeeds

from calibar.sandbox.scenarios import token_theft

sys.path.append(str(Path(__file__).parent.parent / "trail"))
import browser

TOKENS = ["token-ledger", "tokens-fifo.json", "tokens-haircut.json", "tokens-libr.json", "tokens.html"]
CASE = ["case", "case-fifo.json", "case-haircut.json", "case.html"]
FILES = [
    "blocks", *CASE, "fifo.html", "fifo.json", "haircut.html", "haircut.json", "ledger", *TOKENS, "truth.json",
]  # fmt: skip
COIN = Decimal(10**8)


@pytest.fixture(scope="module", params=["en", "es"])
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str, str]:
    """A demo's folder, its language and what it said."""
    folder = tmp_path_factory.mktemp("demo") / request.param
    done = succeeds("demo", folder, "--language", request.param)
    return folder, request.param, done.out.decode()


def trail(folder: Path, method: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads((folder / f"{method}.json").read_bytes())
    return document


def equations(screen: str) -> list[tuple[str, list[Decimal]]]:
    """`S0: a in = b held + …` as label and amounts."""
    lines = re.findall(r"^(S\d+|all|total|en total|todo|todas): (.*=.*)$", screen, re.MULTILINE)
    return [(label, [Decimal(number) for number in re.findall(r"\d+\.\d{8}", text)]) for label, text in lines]


def test_everything_is_there(demo: tuple[Path, str, str]) -> None:
    folder, _, screen = demo
    assert sorted(path.name for path in folder.iterdir()) == FILES
    for method in ("fifo", "haircut"):
        assert str((folder / f"{method}.html").resolve()) in screen
    assert info(folder / "ledger")["tip"] == json.loads((folder / "truth.json").read_text())["tip"]
    assert b"sound" in succeeds("ledger", "check", folder / "ledger").out


def test_the_printed_totals_re_add(demo: tuple[Path, str, str]) -> None:
    folder, language, screen = demo
    lines = equations(screen.partition({"en": "Second leg", "es": "Segundo tramo"}[language])[0])
    assert len([label for label, _ in lines if label.startswith("S")]) == 2 * 5
    for _, (came, *rests) in lines:
        assert came == sum(rests) > 0
    truth = json.loads((folder / "truth.json").read_text())
    for method, first in (("fifo", 0), ("haircut", len(lines) // 2)):
        for n, stolen in enumerate(truth["stolen"]):
            total = trail(folder, method)["totals"][f"S{n}"]
            label, amounts = lines[first + n]
            assert label == f"S{n}"
            assert amounts[0] == stolen["amount"] / COIN
            assert amounts == [Decimal(total[key]) / COIN for key in ("in", "held", "stopped", "fees", "burnt")]


def test_the_second_leg_is_the_storys_truth(demo: tuple[Path, str, str]) -> None:
    """What fifo finds in the token is what the story's own books say, by who has it and how it ended."""
    folder, _, screen = demo
    document = trail(folder, "tokens-fifo")
    token = token_theft.truth().sources[0].token
    found: dict[tuple[str, str, str], int] = {}
    names = {owned.address: owned.role for owned in token_theft.truth().addresses}
    for row in document["holdings"]:
        if row["asset"].lower() == token:
            for label, amount in row["traced"].items():
                key = label, names[row["account"].lower()], row["state"]
                found[key] = found.get(key, 0) + int(amount)
    books = {
        (rest.label, rest.role, rest.state): rest.amount
        for rest in token_theft.rests(token_theft.EXCHANGES)
        if rest.asset == "dollar" and rest.state != "destroyed"
    }
    assert found == books
    assert "27,039.330515" in screen  # frozen and destroyed by the issuer
    assert b"sound" in succeeds("ledger", "check", folder / "token-ledger").out
    assert str((folder / "tokens.html").resolve()) in screen


def test_the_whole_case_ends_at_a_bank(demo: tuple[Path, str, str]) -> None:
    folder, language, screen = demo
    document = trail(folder, "case-fifo")
    stages = [step["outputs"][0]["account"] or "" for step in document["steps"]]
    for stage in ("Exchange 1/", "bcrt1", "0x", "Exchange 2/", "Banco del Norte/"):
        assert any(account.startswith(stage) for account in stages)
    assert {"en": "6 of 6 deposits", "es": "6 de 6 depósitos"}[language] in screen
    assert str((folder / "case.html").resolve()) in screen
    told = screen[screen.rindex("477,600,000") :].splitlines()[0]
    assert told
    sums = [row for row in screen.splitlines() if row.startswith("ARS ") and "477," in row]
    for row in sums:
        came, converted, *rest = [Decimal(number.replace(",", "")) for number in re.findall(r"[0-9][0-9,.]*", row)]
        assert came + converted == sum(rest)
    assert len(sums) == 2


def test_every_coin_can_be_copied_from_the_screen(demo: tuple[Path, str, str]) -> None:
    folder, _, screen = demo
    for method in ("fifo", "haircut"):
        for holding in trail(folder, method)["holdings"]:
            assert holding["coin"] in screen


def test_who_holds_it_adds_up_to_what_was_stolen(demo: tuple[Path, str, str]) -> None:
    folder, _, screen = demo
    stolen = sum(each["amount"] for each in json.loads((folder / "truth.json").read_text())["stolen"])
    table = screen[screen.rindex("haircut BTC") :].split("\n\n")[0]
    rows = [[Decimal(number) for number in re.findall(r"\d+\.\d{8}", line)] for line in table.splitlines()[1:]]
    *parts, whole = [row for row in rows if row]
    assert whole == [stolen / COIN] * 2
    assert [sum(column) for column in zip(*parts, strict=True)] == whole


def test_the_trails_are_what_trace_gives(demo: tuple[Path, str, str]) -> None:
    folder, _, _ = demo
    refs = [stolen["coin"] for stolen in json.loads((folder / "truth.json").read_text())["stolen"]]
    for method in ("fifo", "haircut"):
        done = succeeds("trace", *refs, "--ledger", folder / "ledger", "--method", method, "--json", "-")
        assert done.out == (folder / f"{method}.json").read_bytes()


def test_a_second_run_adds_no_blocks_and_says_the_same(demo: tuple[Path, str, str]) -> None:
    folder, language, screen = demo
    before = {
        path: path.read_bytes() for path in folder.rglob("*") if path.suffix in (".bin", ".dat", ".json", ".html")
    }
    manifest = folder / "ledger" / "manifest.json"
    assert succeeds("demo", folder, "--language", language).out.decode() == screen
    for path, content in before.items():
        assert path == manifest or path.read_bytes() == content
    said = succeeds("ingest", "bitcoin", folder / "blocks", "--ledger", folder / "ledger", "--json", "-").document
    assert said["added_blocks"] == 0


def test_a_page_opens_in_a_browser(demo: tuple[Path, str, str], tmp_path: Path) -> None:
    folder, language, _ = demo
    method = {"en": "fifo", "es": "haircut"}[language]
    for page, name in ((method, method), ("case", "case-fifo")):
        document, console = browser.browse(folder / f"{page}.html", tmp_path / page)
        assert console == ""
        assert f'lang="{language}"' in document
        assert "<svg" in document
        assert trail(folder, name)["digest"] in document


def test_a_demo_elsewhere_is_the_same_to_the_byte(demo: tuple[Path, str, str], tmp_path: Path) -> None:
    """In a process of its own, elsewhere on the disk: nothing depends on time, place or chance."""
    folder, language, _ = demo
    if language == "es":
        return
    command = [sys.executable, "-m", "calibar", "demo", "--language", language]
    subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.PIPE, timeout=120)
    for name in ("truth.json", "fifo.json", "haircut.json", "blocks/blk00000.dat", "blocks/blk00001.dat"):
        assert (folder / name).read_bytes() == (tmp_path / "demo" / name).read_bytes()
    assert info(folder / "ledger")["digest"] == info(tmp_path / "demo" / "ledger")["digest"]
