"""Whatever bytes, tables and requests come, they are read or refused in one line."""

from __future__ import annotations

import json

import pytest
from export_samples import BLOCKSCOUT, ETHERSCAN, INTERNAL, ME, SPANISH, TOKENS, TRONSCAN, USDT, YOU, A
from hypothesis import example, given, settings
from hypothesis import strategies as st

from calibar.chains.remote import csv_movements
from calibar.chains.remote.csv_export import read
from calibar.errors import DecodeError, UsageError

requests = st.sampled_from(
    [json.dumps({"file": "f", "chain": chain, **said}) for chain in ("ethereum:1", "tron:mainnet") for said in (
        {}, {"decimal": "."}, {"decimals": {}, "dates": "mdy", "zone": "Europe/Madrid"})]
)  # fmt: skip


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=400), requests)
def test_any_bytes_are_read_or_refused(data: bytes, request_text: str) -> None:
    try:
        list(read(request_text, data))
    except (DecodeError, UsageError) as error:
        assert "\n" not in str(error)


@settings(deadline=None, max_examples=600)
@given(
    st.sampled_from([ETHERSCAN, INTERNAL, TOKENS, BLOCKSCOUT, TRONSCAN, SPANISH]),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 6), st.binary(max_size=8)), max_size=4),
    requests,
)
def test_any_change_to_an_export_is_read_or_refused(
    text: str, changes: list[tuple[float, int, bytes]], request_text: str
) -> None:
    data = bytearray(text.encode())
    for where, length, new in changes:
        at = int(where * len(data))
        data[at : at + length] = new
    try:
        list(read(request_text, bytes(data)))
    except (DecodeError, UsageError) as error:
        assert "\n" not in str(error)


cells = st.sampled_from([A, ME, YOU, USDT, "1", "0", "", "1.5", "2024-01-01 00:00:00", "-", "native", "TRX", "_", "IN"])


@settings(deadline=None, max_examples=300)
@given(
    st.lists(st.sampled_from(sorted({*ETHERSCAN.splitlines()[0].replace('"', "").split(","), "Token", "Value", "Fee",
                                     "TokenSymbol", "TokenDecimal", "Token ID", "CallType", "Age", "Type"})),
             min_size=2, max_size=12),
    st.data(), requests,
)  # fmt: skip
def test_any_table_is_read_or_refused(head: list[str], data: st.DataObject, request_text: str) -> None:
    lines = data.draw(st.lists(st.lists(cells, min_size=len(head), max_size=len(head)), max_size=3))
    text = "\n".join(",".join(f'"{cell}"' for cell in line) for line in [head, *lines])
    try:
        list(read(request_text, text.encode()))
    except (DecodeError, UsageError) as error:
        assert "\n" not in str(error)


@settings(deadline=None)
@given(
    st.text(max_size=60)
    | st.sampled_from(["[]", "{}", '{"file":1,"chain":2}', '{"file":"a","chain":"ethereum:1","x":1}'])
)
@example('{"file":"a","chain":"ethereum:1","decimals":[1]}')
@example("[" * 100_000)
def test_any_request_is_read_or_refused(request_text: str) -> None:
    with pytest.raises((DecodeError, UsageError)):
        list(read(request_text, b""))


def test_all_caps_are_checked() -> None:
    assert {1_000, 5_000, 10_000, 100_000} == csv_movements.CAPS
