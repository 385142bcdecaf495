"""The collector of cycles is off only meanwhile, and left as it was found."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from calibar.collection import uncollected


@pytest.fixture(autouse=True)
def _as_found() -> Iterator[None]:
    running = gc.isenabled()
    yield
    (gc.enable if running else gc.disable)()


def test_it_is_off_meanwhile_and_on_again_after_an_error() -> None:
    gc.enable()
    with pytest.raises(ValueError, match="wrong"), uncollected():
        assert not gc.isenabled()
        raise ValueError("wrong")
    assert gc.isenabled()


def test_who_had_it_off_keeps_it_off() -> None:
    gc.disable()
    with uncollected():
        pass
    assert not gc.isenabled()


def test_one_inside_another_and_as_a_decorator() -> None:
    gc.enable()

    @uncollected()
    def work() -> bool:
        return gc.isenabled()

    with uncollected():
        assert not work()
        assert not gc.isenabled()
    assert gc.isenabled()
