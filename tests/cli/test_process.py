"""The command line as a process of its own: quick help, clean pipes, real exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from running import theft_ledger, truth


@pytest.fixture(scope="module")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return theft_ledger(tmp_path_factory.mktemp("process"))


def run(*arguments: object, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "calibar", *map(str, arguments)]
    streams: dict[str, object] = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120, **options}
    return subprocess.run(command, text=True, check=False, **streams)  # type: ignore[call-overload,no-any-return]


@pytest.mark.parametrize("arguments", ["--help", "--version", "ingest bitcoin --help", "trace --help", "demo --help"])
def test_help_loads_nothing_heavy(arguments: str) -> None:
    code = (
        "import sys\nfrom calibar.cli.main import main\n"
        f"try:\n    main({arguments.split()!r})\n"
        "except SystemExit as end:\n    assert end.code == 0, end.code\n"
        "heavy = {'numba', 'llvmlite', 'numpy', 'rich', 'jinja2', 'cryptography'} & sys.modules.keys()\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.PIPE)


def test_help_is_there_in_half_a_second() -> None:
    def seconds() -> float:
        started = time.monotonic()
        assert "trace" in run("--help").stdout
        return time.monotonic() - started

    assert min(seconds() for _ in range(3)) < 0.5  # the quickest: others may use this machine


def test_json_on_standard_output_is_all_there_is(ledger: Path) -> None:
    done = run("ledger", "info", ledger, "--json", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["blocks"] == 181
    done = run("trace", truth().refs[0], "--ledger", ledger, "--json", "-")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["totals"]["S0"]["in"] == truth().stolen[0].amount


def test_exit_codes_reach_the_shell(ledger: Path) -> None:
    wrong = run("trace", "00" * 32, "--ledger", ledger)
    assert (wrong.returncode, wrong.stdout, wrong.stderr.count("\n")) == (2, "", 1)
    assert wrong.stderr.startswith("calibar: ")


def test_a_reader_that_goes_away_is_no_error_to_shout_about(ledger: Path) -> None:
    for command in (("ledger", "info", ledger), ("trace", *truth().refs, "--ledger", ledger, "--html", "-")):
        read, write = os.pipe()
        os.close(read)
        done = run(*command, stdout=write)
        os.close(write)
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") <= 1
        assert done.returncode != 0


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full, not on this platform")
def test_a_full_disk_behind_standard_output_is_one_line(ledger: Path) -> None:
    for command in (("ledger", "info", ledger), ("trace", truth().refs[0], "--ledger", ledger, "--json", "-")):
        with Path("/dev/full").open("w") as full:
            done = run(*command, stdout=full)
        assert "Traceback" not in done.stderr
        assert done.stderr.count("\n") == 1
        assert done.returncode not in (0, 1)


def test_a_terminal_that_cannot_show_a_character_shows_the_rest(ledger: Path) -> None:
    environment = os.environ | {"PYTHONIOENCODING": "latin-1"}
    names = ("--html", "-", "--language", "es")  # typographic marks that the page has and latin-1 has not
    page = run("trace", truth().refs[0], "--ledger", ledger, *names, env=environment)
    assert page.stdout.startswith("<!")
    done = run("trace", *truth().refs, "--ledger", ledger, "--language", "es", env=environment, encoding="latin-1")
    assert (done.returncode, done.stderr) == (0, "")
    assert "S0" in done.stdout
