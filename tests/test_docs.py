"""The documents say what the product is: nothing undocumented, nothing that no longer holds."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import json
import re
import shlex
import shutil
import tomllib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest

import calibar
from calibar import errors
from calibar.chains.facts import limbs
from calibar.cli import demo_case
from calibar.cli.main import calibar as program
from calibar.ledger.accounts.schema import ACCOUNT_COLUMNS
from calibar.ledger.accounts.writer import AccountWriter
from calibar.ledger.case.case import Case
from calibar.ledger.ingest import ingest
from calibar.ledger.schema import COLUMNS, FORMAT, Column
from calibar.ledger.writer import Writer
from calibar.sandbox.scenarios import token_theft as story
from calibar.sandbox.scenarios.theft import write_theft
from calibar.trail.document import digest_of
from calibar.trail.policy import ACCOUNT_METHODS, DEFINITION, METHODS, PLANNED, Policy

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
READMES = [ROOT / "README.md", ROOT / "README.es.md"]
TEXT = {".py", ".md", ".toml", ".txt", ".html", ".css", ".js", ".svg", ".sh", ".json", ".yml", ".cfg", ""}


def words(path: Path) -> str:
    """A page's text with every run of white space as one space."""
    return " ".join(path.read_text("utf-8").split())


def fenced(path: Path, *languages: str) -> list[str]:
    """The code blocks of these languages."""
    blocks = re.findall(r"^```(\w*)\n(.*?)^```$", path.read_text("utf-8"), re.M | re.S)
    return [body for language, body in blocks if language in languages]


def section(path: Path, heading: str) -> str:
    """What stands under a heading, up to the next of its rank."""
    rank = heading.split(maxsplit=1)[0]
    found = re.search(rf"^{re.escape(heading)}\n(.*?)(?=^#{{1,{len(rank)}}} |\Z)", path.read_text("utf-8"), re.M | re.S)
    assert found, f"{path.name} has no heading {heading!r}"
    return found[1]


def commands(command: click.Command = program, *path: str) -> Iterator[tuple[str, click.Command]]:
    """Every command that does something, with its full name."""
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, *path, name)
    else:
        yield " ".join(("calibar", *path)), command


COMMANDS = dict(commands())


def anchors(path: Path) -> set[str]:
    """The anchors that a page's headings have on a code host."""
    headings = re.findall(r"^#+ (.*)$", path.read_text("utf-8"), re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def is_like(written: str, printed: str) -> bool:
    """Whether a printed line is what a document shows, where `…` stands for anything."""
    return re.fullmatch(".*".join(map(re.escape, written.rstrip().split("…"))), printed.rstrip()) is not None


# Nothing is left out.


def test_every_test_that_a_page_names_is_there() -> None:
    there = {
        name
        for path in (ROOT / "tests").rglob("test_*.py")
        for name in re.findall(r"def (test_\w+)", path.read_text("utf-8"))
    }
    named = {name for page in PAGES for name in re.findall(r"`(test_\w+)`", page.read_text("utf-8"))}
    assert named
    assert named <= there, named - there


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_the_reference(name: str) -> None:
    text = section(DOCS / "cli.md", f"## `{name}`")
    for parameter in COMMANDS[name].params:
        if isinstance(parameter, click.Option):
            for option in parameter.opts:
                assert f"`{option}" in text, option
        else:
            assert str(parameter.metavar).strip("[].") in text


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_is_made_up(name: str) -> None:
    known = {option for parameter in COMMANDS[name].params for option in parameter.opts}
    assert set(re.findall(r"(?<![\w-])--[a-z][a-z-]*", section(DOCS / "cli.md", f"## `{name}`"))) <= known


@pytest.mark.parametrize(
    ("heading", "columns"), [("## Facts: the ledger", COLUMNS), ("## Account ledgers", ACCOUNT_COLUMNS)]
)
def test_every_column_is_in_the_architecture_and_no_other(heading: str, columns: Sequence[Column]) -> None:
    text = section(DOCS / "architecture.md", heading)
    written = re.findall(r"^\| `(\w+\.\w+)` \| ([^|]+) \| ([^|]*)\|$", text, re.M)
    assert f"format {FORMAT}" in words(DOCS / "architecture.md")
    assert [(key, kind) for key, kind, _ in written] == [
        (c.key, c.dtype.str.lstrip("<|") + (f" × {c.width}" if c.width > 1 else "")) for c in columns
    ]
    for (key, _, said), column in zip(written, columns, strict=True):
        assert ("offset" in said.split(";")[0].split()) == column.offsets, key
        assert ("not in the digest" in said) == (not column.digested), key


def test_every_room_is_in_the_architecture() -> None:
    floors = section(DOCS / "architecture.md", "## Floors")
    rooms = [path.parent.name for path in (ROOT / "src" / "calibar").glob("*/__init__.py")]
    assert rooms
    for room in rooms:
        assert f"`{room}/`" in floors.partition("Planned rooms")[0], room


def test_every_exit_code_is_in_the_reference() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.*) \|$", section(DOCS / "cli.md", "## Exit codes"), re.M))
    source = inspect.getsource(importlib.import_module("calibar.cli.main"))
    assert set(rows) == {"0", "1", "2", *re.findall(r"(?:exit\(|, )(\d{3})\)", source)}
    for name, error in inspect.getmembers(errors, inspect.isclass):
        if issubclass(error, errors.CalibarError) and error is not errors.CalibarError:
            assert f"`{name}`" in rows[str(error.exit_code)]


def test_every_key_of_info_is_in_the_reference(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Writer(tmp_path / "coins", "regtest"):
        pass
    with AccountWriter(tmp_path / "accounts", "ethereum:1"):
        pass
    whole = section(DOCS / "cli.md", "## `calibar ledger info`")
    Case.for_fetching(tmp_path / "case", "regtest").close()
    coins, _, rest = whole.partition("### Account chains")
    accounts, _, cases = rest.partition("### Cases\n")
    case, _, account_case = cases.partition("### Cases on account chains")
    Case.for_fetching(tmp_path / "account case", "ethereum:1").close()
    texts = {"coins": coins, "accounts": accounts, "case": case, "account case": account_case}
    for name, text in texts.items():
        program.main(["ledger", "info", str(tmp_path / name), "--json", "-"], standalone_mode=False)
        info = json.loads(capsys.readouterr().out)
        written = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.M)))
        assert sorted(written) == sorted(info), name
        for part in info.get("proven_blocks", ()):
            assert f"`{part}`" in text


def test_every_method_has_its_heading_and_the_planned_ones_are_named() -> None:
    text = words(DOCS / "tracing.md")
    assert f"definition {DEFINITION}" in text
    for method in METHODS:
        assert "By hand" in section(DOCS / "tracing.md", f"## {method}")
    by_hand = section(DOCS / "tracing.md", "### The methods")
    assert tuple(re.findall(r"^- `(\w+)`:", by_hand, re.M)) == ACCOUNT_METHODS
    assert tuple(re.findall(r"^\| `(\w+)` \|", by_hand, re.M)) == ACCOUNT_METHODS
    for names in PLANNED.values():
        for name in names:
            assert f"`{name}`" in text


def test_every_field_of_the_policy_is_in_the_definition() -> None:
    text = section(DOCS / "tracing.md", "## What is asked")
    fields = [field.name for field in dataclasses.fields(Policy)]
    assert re.findall(r"^\| `(\w+)` \|", text, re.M) == fields
    trace = COMMANDS["calibar trace"]
    for field in fields:
        option = {"stops": "stop", "overrides": "override"}.get(field, field.replace("_", "-"))
        assert f"`--{option}`" in text
        assert f"--{option}" in {name for parameter in trace.params for name in parameter.opts}


def test_the_face_is_in_the_architecture() -> None:
    text = section(DOCS / "architecture.md", "## Floors")
    for face in (calibar.Ledger, importlib.import_module("calibar.trail.document").Trail):
        for name in (name for name in vars(face) if not name.startswith("_") and name != "document"):
            assert re.search(rf"`{name}(\(.*?\))?`", text), name


def test_every_make_target_is_in_contributing() -> None:
    phony = re.search(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    assert phony
    assert re.findall(r"^\| `make (\w+)` \|", (ROOT / "CONTRIBUTING.md").read_text(), re.M) == phony[1].split()


def test_every_dependency_is_in_the_notice() -> None:
    notice = (ROOT / "NOTICE").read_text("utf-8")
    locked = re.findall(r"^([\w.-]+)==", (ROOT / "requirements" / "run.txt").read_text(), re.M)
    listed = re.findall(r"^  ([\w-]+) {1,}\S", notice.partition("\nCopyleft\n")[0], re.M)
    assert {name.lower() for name in listed} == set(locked)
    decision = (DOCS / "decisions" / "0006-the-dependencies.md").read_text("utf-8")
    direct = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    for name in (re.split(r"[<>=]", requirement)[0] for requirement in direct):
        assert name in decision


def test_every_decision_has_its_parts_and_is_linked() -> None:
    pages = sorted((DOCS / "decisions").glob("*.md"))
    assert [page.name[:4] for page in pages] == [f"{n:04}" for n in range(1, len(pages) + 1)]
    for page in pages:
        headings = re.findall(r"^## (.*)$", page.read_text("utf-8"), re.M)
        assert headings == ["Context", "Decision", "Consequences"]
        assert f"(decisions/{page.name})" in (DOCS / "architecture.md").read_text("utf-8")


def test_the_changelog_has_this_version() -> None:
    assert f"## [{calibar.__version__}]" in (ROOT / "CHANGELOG.md").read_text("utf-8")


# What is written holds.


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_resolve(page: Path) -> None:
    for link in re.findall(r"\]\(([^)\s]+)\)", page.read_text("utf-8")):
        if re.match(r"\w+:", link):
            continue
        target, _, anchor = link.partition("#")
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors(path), link


def written_commands(page: Path) -> list[str]:
    """Commands in a page's code blocks and in its text."""
    lines = [line.removeprefix("$ ") for block in fenced(page, "sh", "console") for line in block.splitlines()]
    spans = re.findall(
        r"`(calibar [a-z][^`]*)`", re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)
    )
    return [
        line for line in (*lines, *spans) if line.startswith("calibar ") and "…" not in line and "COMMAND" not in line
    ]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_commands_parse(page: Path) -> None:
    for line in written_commands(page):
        command: click.Command | None = program
        _, *rest = shlex.split(line)
        while isinstance(command, click.Group) and rest:
            command = command.get_command(click.Context(command), rest.pop(0))
        assert command is not None, line
        if rest and not isinstance(command, click.Group):
            command.make_context("calibar", rest).close()


def test_both_readmes_show_the_same() -> None:
    english, spanish = ([re.sub(r" *#.*", "", block) for block in fenced(page, "", "sh", "python")] for page in READMES)
    assert english == spanish
    for mark in ("\n## ", "\n- ", "](", "**"):
        assert len({page.read_text("utf-8").count(mark) for page in READMES}) == 1, mark


def test_pictures_are_small() -> None:
    pictures = list((DOCS / "images").glob("*.png"))
    assert len(pictures) == 2
    assert all(picture.stat().st_size <= 250_000 for picture in pictures)


def amounts(row: str) -> list[int]:
    return [int(cell.strip(" *").replace(",", "")) for cell in row.split("|")[2:-1] if cell.strip()]


def test_the_examples_by_hand_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "trail"))
    reference = importlib.import_module("reference")
    line, receivers = [(1, 1000), (None, 4000), (0, 3000)], [6000, 1900, 100]

    by_order = re.findall(r"^\| (?:output \d|fee) \| [\d,]+ \| (.*) \|$", section(DOCS / "tracing.md", "## fifo"), re.M)
    said = [re.findall(r"([\d,]+) (?:`S(\d)`|clean)", row) for row in by_order]
    assert [
        [(int(label) if label else None, int(amount.replace(",", ""))) for amount, label in row] for row in said
    ] == reference.fifo(line, receivers)

    rows = section(DOCS / "tracing.md", "## haircut").splitlines()
    first, second = (amounts(row) for row in rows if "**" in row and row.startswith("|"))
    (clean,) = (amounts(row) for row in rows if row.startswith("| clean"))
    parts = [dict(part) for part in reference.haircut(line, receivers)]
    for label, row in ((0, first), (1, second), (None, clean)):
        shares = [part.get(label, 0) for part in parts]
        assert row == [*shares, sum(shares)]

    coinbase = reference.fifo([(None, 5000), (0, 100), (None, 40)], [5130, 10])
    assert coinbase == [[(None, 5000), (0, 100), (None, 30)], [(None, 10)]]
    assert "takes 5,000 clean, 100 `S0` and 30 clean, and 10 clean are burnt" in words(DOCS / "tracing.md")


def pieces(text: str) -> list[tuple[int | None, int]]:
    """`400 clean, 300 `S0`` as labels (None: clean) and units."""
    found = re.findall(r"([\d,]+) (?:`S(\d)`|clean)", text)
    return [(int(label) if label else None, int(units.replace(",", ""))) for units, label in found]


def test_the_examples_of_account_chains_are_right(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "tests" / "trail"))
    reference, model = (importlib.import_module(name) for name in ("account_reference", "account_histories"))
    text = section(DOCS / "tracing.md", "### The methods")
    received = [(None, None, 400), (0, None, 300), (None, None, 200), (1, None, 100)]
    assert pieces(text.partition("**By hand.**")[2])[:4] == [(label, units) for label, _, units in received]
    assert "pays 705 of its 1,000" in " ".join(text.split())
    rows = re.findall(r"^\| `(\w+)` \| (.*) \| (.*) \|$", text, re.M)
    for method, *said in rows:
        for row, right in zip(said, reference.cut(method, received, 705), strict=True):
            is_list = method in ("fifo", "lifo")
            here, there = pieces(row), [(label, units) for label, _, units in right]
            assert (here == there) if is_list else (set(here) == set(there)), method

    moves = [(None, 0, 400), (None, 0, 300), (0, 1, 600), (None, 0, 500), (0, 1, 590)]
    history = model.History((0, 0), tuple(model.Transfer(*move) for move in moves))
    trail = reference.trace(history, [model.Source((1,))], model.Policy("libr"))
    assert [step.drawn for step in trail.steps] == [[(0, None, 200)], [(0, None, 90)]]
    sentence = " ".join(text.split()).partition("`libr` alone: ")[2].partition(". Of")[0]
    assert sentence == (
        "400 clean and 300 `S0` arrive; 600 are paid: 400 clean, 200 `S0`; 500 clean arrive; 590 are paid: 500 clean, "
        "90 `S0`"
    )

    bought = [(None, 0, 600), (None, 0, 300), (None, 0, 100), (None, 3, 77)]
    swap = (model.Transfer(0, 1, 1000, given=0), model.Transfer(3, 2, 77, received=0))
    history = model.History((0, 0, 1, 1), (*(model.Transfer(*move) for move in bought), *swap))
    sources = [model.Source((1,)), model.Source((2,))]
    *_, last = reference.trace(history, sources, model.Policy("fifo")).steps
    assert (
        pieces(section(DOCS / "tracing.md", "### Conversions and links").partition("goes to .7:")[2])[:3]
        == last.arrived
    )

    backward, kernels = (importlib.import_module(f"calibar.kernels.{name}") for name in ("backward", "transfers"))
    text = words(DOCS / "tracing.md").partition("### Backward")[2]
    columns = np.array([0, 1, 2]), np.array([2, 2, 3]), limbs([400, 300, 500])[:, :2].copy()
    flows = kernels.Flows(*columns, np.zeros(3, int), np.arange(3), np.full(4, -1), np.full(4, 3))
    for method, amount, sentence in (
        (0, 500, "are the 400 from X and 100 from Y"),
        (0, 450, "are the 400 from X and 50 from Y"),
        (1, 500, "are the 300 from Y and 200 from X"),
    ):
        none = kernels.Conversions(np.empty(0, int), np.empty(0, int))
        reached = backward.trace_back(flows, method, False, none, flow=2, amount=amount)
        found = {row.flow: sum(part.amount for part in row.ranges) for row in reached if row.hop == 1}
        assert sentence in text
        assert found == {"XY".index(who): int(units) for units, who in re.findall(r"(\d+) from ([XY])", sentence)}


def test_the_account_trail_that_is_shown_is_one(token_theft: Path) -> None:
    _, document = (json.loads(block) for block in fenced(DOCS / "tracing.md", "json"))
    trail = calibar.open(token_theft).trace(document["sources"][0]["transfer"], as_of=27)
    assert document == trail.document
    assert document["digest"] == digest_of(document)


def test_every_word_of_account_trails_is_in_the_definition(token_theft: Path) -> None:
    text = section(DOCS / "tracing.md", "## Account chains")
    references = [f"{source.transaction}:{source.log_index}" for source in story.truth().sources]
    for method in ACCOUNT_METHODS:
        trail = calibar.open(token_theft).trace(*references, method=method)
        said = {step["kind"] for step in trail.steps} | {row["reason"] for row in trail.holdings}
        said |= {key for row in (*trail.steps, *trail.holdings) for key in row} | set(trail.document["rules"])
        said -= {"txid", "height", "time", "hop", "inputs", "outputs", "traced", "state"}  # as on Bitcoin
        for word in said:
            assert f"`{word}`" in text or f'`"{word}"' in text, word
    kinds = importlib.import_module("calibar.trail.accounts.document").KINDS
    for kind in kinds.values():
        assert f"`{kind}`" in text
    for end in importlib.import_module("calibar.kernels.backward").End:
        if end.value not in ("onward", "rule"):  # no stop rule plays a part
            assert f"`{end.value}`" in section(DOCS / "tracing.md", "### Backward")


@pytest.mark.parametrize("name", ["holdings", "transfers"])
def test_the_keys_of_an_addresss_documents_are_in_the_reference(
    name: str, token_theft: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    victim = calibar.open(token_theft).trace(
        f"{story.truth().sources[0].transaction}:{story.truth().sources[0].log_index}"
    )
    address = victim.document["sources"][0]["account"]
    program.main([name, address, "--ledger", str(token_theft), "--json", "-"], standalone_mode=False)
    document = json.loads(capsys.readouterr().out)
    (shown,) = re.findall(r"^\| `--json FILE` \| `(.*?)`", section(DOCS / "cli.md", f"## `calibar {name}`"), re.M)
    assert set(re.findall(r'"(\w+)":', shown)) == {*document, *document[name][0]}


def test_the_tutorial_runs_as_written(
    tmp_path: Path, token_theft: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")
    truth = write_theft(Path("demo"))
    ingest([Path("demo/blocks")], Path("demo/ledger"))
    shutil.copytree(token_theft, "demo/token-ledger")
    demo_case.write(Path("demo/case"))
    blocks = "".join(fenced(DOCS / "first-trail.md", "console"))
    run = 0
    for typed, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", blocks, re.M):
        if typed == "calibar demo demo":
            continue
        program.main(shlex.split(typed)[1:], standalone_mode=False)
        printed = iter(capsys.readouterr().out.splitlines())
        for line in shown.splitlines():
            assert line == "…" or any(is_like(line, other) for other in printed), line
        run += 1
    assert run == 8
    text = words(DOCS / "first-trail.md")
    assert f"of {truth.height + 1} blocks" in text
    assert json.loads(Path("two.json").read_bytes())["digest"] in text

    (python,) = fenced(DOCS / "first-trail.md", "python")
    exec(compile(python, "first-trail.md", "exec"), {})  # noqa: S102
    assert "bcrt1q" in capsys.readouterr().out

    document, _ = (json.loads(block) for block in fenced(DOCS / "tracing.md", "json"))
    assert document == calibar.open("demo/ledger").trace(truth.refs[0], as_of=131).document
    assert document["digest"] == digest_of(document)


# The project speaks of itself alone.

FORBIDDEN = [
    *(".".join(parts) for parts in (("pypi", "org"), ("pythonhosted", "org"), ("npmjs", "org"), ("npmjs", "com"))),
    *(".".join(parts) for parts in (("crates", "io"), ("proxy", "golang", "org"), ("anaconda", "org"))),
    "/".join(("", "work", "")),
    "issue " + "#",
]


def sources() -> Iterator[Path]:
    for folder in ("docs", "src", "tests", "bench", "tools", "requirements"):
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and path.suffix in TEXT and "__pycache__" not in path.parts and "out" not in path.parts:
                yield path
    yield from (path for path in ROOT.iterdir() if path.is_file() and path.suffix in TEXT)


def test_no_word_about_the_workplace() -> None:
    found: list[Any] = []
    for path in sources():
        text = path.read_text("utf-8").lower()
        found += [(str(path.relative_to(ROOT)), word) for word in FORBIDDEN if word in text]
    assert found == []
