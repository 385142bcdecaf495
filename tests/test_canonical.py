"""Canonical JSON: whichever way it is written, the library's bytes."""

from __future__ import annotations

import pytest
import rfc8785
from hypothesis import example, given
from hypothesis import strategies as st

from calibar.canonical import canonical

scalars = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | st.text() | st.floats(allow_nan=False, allow_infinity=False)  # fmt: skip  # noqa: E501
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4)
)


@given(st.dictionaries(st.text(max_size=5), values, max_size=5))
@example({"a": '\x00\x1f\x7f\u2028\ud7ff\ue000\U0001f600/\\"\b\t\n\f\r'})
@example({"\ufb33": 1, "\U0001f600": 2, "\r": 3, "1": 4, "\u20ac": 5})
@example({"b": [2**53 - 1, -(2**53) + 1], "a": {"z": None, "Z": True, "~": False}})
def test_the_bytes_are_the_librarys(document: dict[str, object]) -> None:
    try:
        wanted = rfc8785.dumps(document)  # type: ignore[arg-type]
    except rfc8785.CanonicalizationError:
        with pytest.raises(rfc8785.CanonicalizationError):
            canonical(document)
    else:
        assert canonical(document) == wanted


@pytest.mark.parametrize("value", [2**53, -(2**53), float("nan"), {1: 2}, "\ud800"])
def test_what_has_no_canonical_form_is_refused(value: object) -> None:
    with pytest.raises((rfc8785.CanonicalizationError, UnicodeEncodeError)):
        canonical({"a": value})
