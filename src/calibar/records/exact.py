"""Decimal arithmetic that is exact or raises: the default keeps 28 digits and rounds silently."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Context, DivisionByZero, Inexact, InvalidOperation, Overflow, localcontext
from typing import Final

_DIGITS: Final = 400
EXACT: Final = Context(prec=_DIGITS, traps=[Inexact, InvalidOperation, DivisionByZero, Overflow])
"""For single operations; `exact` for all."""


@contextmanager
def exact() -> Iterator[None]:
    """Compute exactly meanwhile. A context or a decorator."""
    with localcontext(EXACT):
        yield
