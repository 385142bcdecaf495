"""Fixtures that every room uses."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real chain data; tests read it in place."""
    folder = Path(os.environ.get("CALIBAR_TEST_DATA", ROOT.parent / "shared" / "data"))
    if not folder.is_dir():
        pytest.skip(f"no real chain data in {folder}; name its folder in CALIBAR_TEST_DATA")
    return folder
