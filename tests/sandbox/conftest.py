from __future__ import annotations

from pathlib import Path

import pytest

from calibar.sandbox.scenarios.theft import Theft, write_theft
from calibar.sandbox.truth import Truth


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
