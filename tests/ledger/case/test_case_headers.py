"""Headers from servers: work, order, difficulty, known blocks, branches."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin.anchors import anchors
from calibar.chains.bitcoin.blockfile import check_proof_of_work
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.sources.told import Headers, Place, Raw, Tip
from calibar.chains.bitcoin.transaction import Header, compact_target, mined, sha256d
from calibar.errors import ChainError, DecodeError
from calibar.ledger.case.headers import HeaderChain
from calibar.ledger.case.state import State
from calibar.ledger.case.transactions import read_transaction

REGTEST = NETWORKS["regtest"]
GENESIS = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3"
    "888a51323a9fb8aa4b1e5e4adae5494dffff7f2002000000"
)
MAINNET = bytes.fromhex(
    "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f617fc81bc3"
    "888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
)
MAINNET_1 = bytes.fromhex(
    "010000006fe28c0ab6f1b372c1a6a246ae63f74f931e8365e15a089c68d6190000000000982051fd1e4ba744bbbe680e1fee14677ba1a3c3"
    "540bf7b1cdb606e857233e0e61bc6649ffff001d01e36299"
)


def chain(rows: list[bytes], first: int = 0) -> HeaderChain:
    made = HeaderChain(REGTEST, anchors("regtest"))
    made.add(first, b"".join(rows))
    return made


def branch(length: int, *, parent: bytes = GENESIS, salt: int = 0) -> list[bytes]:
    """Headers after `parent`, mined at the least difficulty."""
    rows = []
    for number in range(length):
        root = hashlib.sha256(f"{salt}/{number}".encode()).hexdigest()
        previous = sha256d(parent)[::-1].hex()
        header = Header(1, previous, root, 1_300_000_000 + 600 * number, compact_target(REGTEST.pow_limit))
        parent = mined(header, REGTEST.pow_limit).serialise()
        rows.append(parent)
    return rows


def test_real_headers_lead_to_genesis() -> None:
    real = HeaderChain(NETWORKS["mainnet"], anchors("mainnet"))
    real.add(0, MAINNET + MAINNET_1)
    assert real.is_anchored(1)
    assert real.hashes[1][::-1].hex() == "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048"


def test_known_blocks_have_the_work_of_their_time() -> None:
    """Nobody makes up a hash with so many zeros: each is below the largest target there ever was, later ones far."""
    known = anchors("mainnet")
    assert sorted(known) == list(known)
    assert all(int.from_bytes(digest, "little") < NETWORKS["mainnet"].pow_limit for digest in known.values())
    late = [digest for height, digest in known.items() if height > 400_000]
    assert all(int.from_bytes(digest, "little") < 1 << 256 - 64 for digest in late)


def test_another_chains_genesis_is_refused() -> None:
    with pytest.raises(ChainError, match="it is another chain's"):
        chain([branch(1)[0]], first=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda row: row[:76] + b"\xff\xff\xff\xff", "has no proof of work|follow"),
        (lambda row: row[:72] + (0x2100FFFF).to_bytes(4, "little") + row[76:], "claims a difficulty"),
        (lambda row: row[:72] + bytes(4) + row[76:], "claims a difficulty"),
        (lambda row: row[:50], "cut off"),
    ],
)
def test_a_header_that_was_changed_is_refused(change: Callable[[bytes], bytes], message: str) -> None:
    rows = [GENESIS, *branch(3)]
    rows[-1] = change(rows[-1])
    made = HeaderChain(REGTEST, anchors("regtest"))
    if "work" in message:  # at this difficulty every second nonce will do
        try:
            check_proof_of_work(rows[-1], REGTEST)
        except ChainError:
            pass
        else:
            pytest.skip("that nonce happens to do")
    with pytest.raises(ChainError, match=message):
        made.add(0, b"".join(rows))
    assert made.headers == {}


def test_headers_that_do_not_follow_each_other_are_refused() -> None:
    rows = [GENESIS, *branch(4)]
    with pytest.raises(ChainError, match="height 2 does not follow the one before it"):
        chain([rows[0], rows[1], rows[3]])


def test_more_work_takes_the_place_of_less_and_not_the_other_way_round() -> None:
    made = chain([GENESIS, *branch(3)])
    with pytest.raises(ChainError, match="no more work"):
        made.add(1, b"".join(branch(3, salt=1)))
    made.add(1, b"".join(branch(4, salt=1)))
    assert made.top == 4
    assert made.withdrawn() == [1, 2, 3]
    assert made.withdrawn() == []
    assert made.is_anchored(4)


def test_a_detached_stretch_leads_nowhere_until_the_gap_is_filled() -> None:
    rows = [GENESIS, *branch(6)]
    made = chain(rows[:2])
    made.add(4, b"".join(rows[4:6]))
    assert not made.is_anchored(4)
    assert made.missing({5}) == [(2, 2)]
    made.add(2, b"".join(rows[2:4]))
    assert made.is_anchored(5)
    assert made.missing({5}) == []


def test_a_stretch_below_a_known_block_hangs_on_it() -> None:
    """As below Bitcoin Core's checkpoints: hashes lead back from it, whatever is further below."""
    rows = [GENESIS, *branch(40)]
    known = {0: anchors("regtest")[0], 40: sha256d(rows[40])}
    made = HeaderChain(REGTEST, known)
    assert made.missing({35}) == [(35, 6)]
    made.add(35, b"".join(rows[35:41]))
    assert made.is_anchored(36)
    with pytest.raises(ChainError, match="does not follow the known one before it"):
        made.add(36, branch(36, salt=7)[-1])


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), max_size=12))
def test_whatever_comes_in_whatever_order_headers_follow_each_other(pieces: list[tuple[int, int]]) -> None:
    rows = [GENESIS, *branch(11)]
    made = HeaderChain(REGTEST, anchors("regtest"))
    for first, count in pieces:
        part = rows[first : first + count]
        if part:
            made.add(first, b"".join(part))
    for height, row in made.headers.items():
        assert row == rows[height]
        leads = all(h in made.headers for h in range(height))
        assert made.is_anchored(height) == leads


def state() -> State:
    return State(REGTEST, HeaderChain(REGTEST, anchors("regtest")))


def coinbase(number: int) -> bytes:
    return bytes.fromhex(
        "01000000010000000000000000000000000000000000000000000000000000000000000000ffffffff02"
        + number.to_bytes(2, "little").hex()
        + "ffffffff0100f2052a01000000015100000000"
    )


def test_a_branch_waits_for_its_header() -> None:
    one, other = (read_transaction(coinbase(n), REGTEST) for n in (1, 2))
    root = sha256d(one.txid + other.txid)[::-1].hex()
    header = Header(1, sha256d(GENESIS)[::-1].hex(), root, 1_300_000_000, compact_target(REGTEST.pow_limit))
    block = mined(header, REGTEST.pow_limit).serialise()
    known = state()
    known.learn(Raw(one.data), "a")
    known.learn(Place(one.txid, 1, 0, (other.txid,)), "a")
    assert known.is_waiting(one.txid)
    assert known.waiting() == {1}
    known.learn(Headers(0, GENESIS + block), "b")
    assert known.is_proven(one.txid)
    for place in (
        Place(one.txid, 1, 1, (other.txid,)),
        Place(one.txid, 1, 2, (other.txid,)),
        Place(one.txid, 1, 0, ()),
    ):
        with pytest.raises(ChainError):
            known.learn(place, "a")
    assert known.places[one.txid].position == 0


def test_the_doubled_last_transaction_of_a_row_has_one_place() -> None:
    """Of one transaction alone the tree could be read as of two equal ones (CVE-2012-2459)."""
    one = read_transaction(coinbase(1), REGTEST)
    root = sha256d(one.txid + one.txid)[::-1].hex()
    header = Header(1, sha256d(GENESIS)[::-1].hex(), root, 1_300_000_000, compact_target(REGTEST.pow_limit))
    known = state()
    known.learn(Headers(0, GENESIS + mined(header, REGTEST.pow_limit).serialise()), "a")
    with pytest.raises(ChainError, match="names a place that no block has"):
        known.learn(Place(one.txid, 1, 1, (one.txid,)), "a")


def test_a_tip_far_above_what_is_known_is_no_branch() -> None:
    rows = [GENESIS, *branch(9)]
    known = state()
    known.learn(Tip(0, GENESIS), "a")
    known.learn(Tip(9, rows[9]), "a")
    assert known.tip == 0
    assert known.strays["a"] == (9, rows[9])
    known.learn(Headers(0, b"".join(rows)), "a")
    assert known.tip == 9


@given(st.binary(max_size=400))
def test_any_bytes_are_a_transaction_or_refused(data: bytes) -> None:
    try:
        read = read_transaction(data, REGTEST)
    except DecodeError:
        return
    assert read.data == data


@given(st.integers(0, 89), st.integers(0, 255))
def test_a_transaction_with_one_byte_changed_has_another_id(at: int, value: int) -> None:
    data = bytearray(coinbase(1))
    at %= len(data)
    if data[at] == value:
        return
    data[at] = value
    with contextlib.suppress(DecodeError):
        assert read_transaction(bytes(data), REGTEST).txid != read_transaction(coinbase(1), REGTEST).txid
