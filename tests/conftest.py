"""Fixtures that every room uses."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from calibar.chains.ethereum.recorded import Recording
from calibar.chains.ethereum.rpc import RpcSource
from calibar.sandbox.scenarios.theft import Theft, write_theft
from calibar.sandbox.scenarios.token_theft import GENESIS, RECORDING
from calibar.sandbox.truth import Truth

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real chain data; tests read it in place."""
    folder = Path(os.environ.get("CALIBAR_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real chain data in {folder}; name its folder in CALIBAR_TEST_DATA")
    return folder


@pytest.fixture(scope="session")
def theft() -> Theft:
    theft = Theft("calibar")
    theft.run()
    return theft


@pytest.fixture(scope="session")
def truth(theft: Theft) -> Truth:
    return theft.truth()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The theft's folder, to be read only."""
    directory = tmp_path_factory.mktemp("theft")
    write_theft(directory)
    return directory


@pytest.fixture(scope="session")
def token_theft(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger of the recorded theft of tokens, to be read only."""
    from calibar.ledger.accounts.ingest import ingest  # noqa: PLC0415 - for some tests alone, and slow

    folder = tmp_path_factory.mktemp("token-theft") / "ledger"
    ingest(RpcSource(Recording(RECORDING), genesis=GENESIS), folder)
    return folder


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--fail-on-skip",
        action="store_true",
        help="fail where a test skipped for want of data or software that this machine can have",
    )


def _excused(reason: str) -> bool:
    """Whether this machine cannot have what a skipped test wants."""
    may_install = shutil.which("apt-get") is not None and hasattr(os, "geteuid") and os.geteuid() == 0
    return (
        "no real chain data" in reason  # said only where the folder is missing
        or "not on this platform" in reason
        or ("is not installed" in reason and not may_install)
    )


def _wanting(terminal: pytest.TerminalReporter) -> list[str]:
    """Reasons of the skips that should not be."""
    reasons = {str(report.longrepr[2]) for report in terminal.stats.get("skipped", []) if report.longrepr}
    return sorted(reason for reason in reasons if not _excused(reason))


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    terminal = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--fail-on-skip") and terminal is not None and _wanting(terminal):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if config.getoption("--fail-on-skip"):
        for reason in _wanting(terminalreporter):
            terminalreporter.write_line(f"FAILED because of a skip: {reason}", red=True)
