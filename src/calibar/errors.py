"""Everything that Calíbar refuses, in one family.

Each message is one line that says what is wrong, where, and what to do. The command line prints it
and exits with `exit_code`: 2 for a wrong question or bad input, 1 where the answer is "no".
"""

from __future__ import annotations


class CalibarError(Exception):
    """Base of all errors that Calíbar raises on purpose."""

    exit_code = 2


class UsageError(CalibarError):
    """The question was wrong: bad arguments, no such file, no such address."""


class DecodeError(CalibarError):
    """Bytes from outside are not what they claim to be."""


class ChainError(CalibarError):
    """A block is well formed but breaks a rule of its chain."""


class AddressError(CalibarError):
    """A text is not an address of the network asked about."""


class LedgerError(CalibarError):
    """A stored ledger cannot be used as asked: other chain, newer format, locked, no space."""


class DamageError(LedgerError):
    """A stored ledger does not say what was committed; `calibar ledger check`, which looks for that, answers 1."""


class BalanceError(CalibarError):
    """A trail's sums do not re-add. This is a defect of Calíbar: please report it."""

    exit_code = 1
