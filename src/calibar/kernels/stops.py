"""Where a walk on coins stops: decided when value is received, or when it would be spent. Meaning: docs/tracing.md."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from calibar.kernels.coinjoin import LEAST, is_coinjoin, payers
from calibar.kernels.compiled import i64, inlined, lean
from calibar.kernels.scripts import OP_RETURN

I64 = NDArray[np.int64]

MIN_AMOUNT, HOPS, LABEL, COINJOIN, OUTPUTS = 0, 1, 2, 3, 4
NO_RULE: Final = -3
UNSOUND: Final = -4
"""In place of a rule: the columns contradict each other."""


class Stops(NamedTuple):
    """The stop rules of a policy, in order, and what they look at. Read-only."""

    rules: I64
    """By row: MIN_AMOUNT, HOPS, LABEL, COINJOIN or OUTPUTS. The first row that matches wins; those that look at what is
    received stand before those that look at what spends it."""
    receiving: int
    """How many rows look at what is received."""
    fewest: int
    """Outputs of the smallest transaction that a rule on spending can stop at."""
    values: I64
    """By row: the least amount, the hop, nothing, nothing, the most outputs."""
    labelled: I64
    """Addresses that a LABEL rule stops at, in order."""
    label_row: I64
    """By labelled address: the row of its rule."""
    exempt: I64
    """Transactions, in order, that rules on spending leave alone."""
    address: I64
    """By coin."""
    kind: NDArray[np.uint8]
    """By address: the code of its script."""


def stops(
    rules: list[tuple[int, int]],
    address: I64 | None = None,
    kind: NDArray[np.uint8] | None = None,
    labelled: dict[int, int] | None = None,
    exempt: list[int] | None = None,
) -> Stops:
    """Rules as (code, value), labelled addresses with their rows, and the columns that labels and CoinJoins need."""
    rows, found = np.array(rules, np.int64).reshape(-1, 2), sorted((labelled or {}).items())
    columns: list[NDArray[np.int64]] = [
        rows[:, 0].copy(),
        rows[:, 1].copy(),
        np.array([one for one, _ in found], np.int64),
        np.array([row for _, row in found], np.int64),
        np.array(sorted(exempt or []), np.int64),
        np.empty(0, np.int64) if address is None else address,
    ]
    rule, value, who, row, passed, owner = map(_fixed, columns)
    receiving = int(np.isin(rule, (MIN_AMOUNT, HOPS, LABEL)).sum())
    limits = [LEAST if code == COINJOIN else most + 1 for code, most in rules if code in (COINJOIN, OUTPUTS)]
    fewest = min(limits, default=1 << 62)
    return Stops(
        rule, receiving, fewest, value, who, row, passed, owner, _fixed(np.empty(0, np.uint8) if kind is None else kind)
    )


def _fixed(column: NDArray[Any]) -> NDArray[Any]:
    view = column.view()
    view.flags.writeable = False
    return view


@inlined
def _find(sorted_numbers: I64, number: int) -> int:
    """The place of a number, or -1."""
    low, high = i64(0), i64(sorted_numbers.size)
    while low < high:
        middle = (low + high) >> 1
        if sorted_numbers[middle] < number:
            low = middle + 1
        else:
            high = middle
    return low if low < sorted_numbers.size and sorted_numbers[low] == number else i64(-1)


@inlined
def received(stops: Stops, coin: int, total: int, hop: int) -> int:
    """Row of the first rule that what a coin received matches, else NO_RULE."""
    rules, values = stops.rules, stops.values
    labelled = i64(-1)
    if stops.labelled.size > 0:
        at = _find(stops.labelled, stops.address[coin])
        if at >= 0:
            labelled = stops.label_row[at]
    for rule in range(stops.receiving):
        code = rules[rule]
        if (
            (code == MIN_AMOUNT and total < values[rule])
            or (code == HOPS and hop >= values[rule])
            or (code == LABEL and rule == labelled)
        ):
            return i64(rule)
    return i64(NO_RULE)


@lean
def _mixes(
    stops: Stops, value: I64, input_coin: I64, first_input: int, inputs: int, first_coin: int, outputs: int, pairs: I64
) -> int:
    """1 where a transaction has the shape of a CoinJoin, 0 where not, UNSOUND for an address that is none."""
    address, kind = stops.address, stops.kind
    for i in range(inputs):
        pairs[i, 0], pairs[i, 1] = address[input_coin[first_input + i]], 0
    paying = payers(pairs, inputs)
    if paying < LEAST:
        return i64(0)
    count = i64(0)
    for coin in range(first_coin, first_coin + outputs):
        owner = address[coin]
        if owner < 0 or owner >= kind.size:
            return i64(UNSOUND)
        if kind[owner] == OP_RETURN:
            return i64(0)
        if value[coin] > 0:
            pairs[count, 0], pairs[count, 1] = value[coin], owner
            count += 1
    return i64(1) if count >= LEAST and is_coinjoin(pairs, count, paying) else i64(0)


@lean
def spending(
    stops: Stops,
    tx: int,
    value: I64,
    input_coin: I64,
    first_input: int,
    inputs: int,
    first_coin: int,
    outputs: int,
    pairs: I64,
) -> int:
    """Row of the first rule that stops value where `tx` would spend it, NO_RULE, or UNSOUND.

    All inputs are known, and `pairs` has as many rows as there are inputs or outputs.
    """
    rules, values = stops.rules, stops.values
    for rule in range(stops.receiving, rules.size):
        code = rules[rule]
        matches = i64(0)
        if code == OUTPUTS and outputs > values[rule]:
            matches = i64(1)
        elif code == COINJOIN and inputs >= LEAST and outputs >= LEAST:
            matches = _mixes(stops, value, input_coin, first_input, inputs, first_coin, outputs, pairs)
        if matches == UNSOUND:
            return i64(UNSOUND)
        if matches == 1 and _find(stops.exempt, tx) < 0:
            return i64(rule)
    return i64(NO_RULE)
