"""Addresses written many at once are those written one by one."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.script import address_of
from calibar.kernels.addresses import LONGEST, write_addresses

HASHES = st.binary(min_size=20, max_size=20) | st.binary(max_size=20).map(lambda tail: tail.rjust(20, b"\0"))
SCRIPTS = st.one_of(
    HASHES.map(lambda hash_: b"\x76\xa9\x14" + hash_ + b"\x88\xac"),
    HASHES.map(lambda hash_: b"\xa9\x14" + hash_ + b"\x87"),
    HASHES.map(lambda hash_: b"\0\x14" + hash_),
    st.binary(min_size=32, max_size=32).map(lambda hash_: b"\0\x20" + hash_),
    st.builds(
        lambda version, program: bytes([0x50 + version, len(program)]) + program,
        st.integers(1, 16), st.binary(min_size=2, max_size=40),
    ),
    st.binary(max_size=80),
)  # fmt: skip


@pytest.mark.parametrize("name", sorted(NETWORKS))
@settings(deadline=None)
@given(scripts=st.lists(SCRIPTS, max_size=8))
def test_as_one_by_one(name: str, scripts: list[bytes]) -> None:
    network = NETWORKS[name]
    data = np.frombuffer(b"".join(scripts), np.uint8)
    first = np.cumsum([0, *map(len, scripts)], dtype=np.int64)
    out = np.zeros((len(scripts), LONGEST), np.uint8)
    hrp = np.frombuffer(network.hrp.encode(), np.uint8)
    write_addresses(data, first, np.arange(len(scripts)), network.p2pkh_prefix, network.p2sh_prefix, hrp, out)
    written = [row.tobytes().rstrip(b"\0").decode() for row in out]
    wanted = [address_of(script, network) for script in scripts]
    assert written == ["" if text.startswith("script:") else text for text in wanted]
