"""Headers from servers: work, order, difficulty, known blocks, branches."""

from __future__ import annotations

import contextlib
import dataclasses
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


def test_real_headers_lead_to_genesis_where_nothing_else_is_known() -> None:
    real = HeaderChain(NETWORKS["mainnet"], {0: anchors("mainnet")[0]})
    assert real.add(0, MAINNET + MAINNET_1)
    assert real.is_anchored(1)
    assert real.hashes[1][::-1].hex() == "00000000839a8e6886ab5951d76f411475428afc90947ee320161bbf18eb6048"


def test_below_a_known_block_work_alone_leads_nowhere() -> None:
    """Block 1 could be mined anew at its difficulty on any computer: it counts once it leads up to a known block."""
    real = HeaderChain(NETWORKS["mainnet"], anchors("mainnet"))
    assert not real.add(0, MAINNET + MAINNET_1)
    assert not real.is_anchored(1)
    first, count = real.missing({1})[0]
    assert first + count == 11_112
    rows = [GENESIS, *branch(10)]
    known = HeaderChain(REGTEST, {0: anchors("regtest")[0], 10: sha256d(rows[10])})
    forged = branch(1, salt=9)
    assert not known.add(1, forged[0])
    known.add(0, b"".join(rows))
    assert known.headers[1] == rows[1] != forged[0]


def test_a_tip_of_little_work_is_no_block_of_a_chain_of_much() -> None:
    """A header that anybody can mine, on top of the true last one: the rules of difficulty refuse it, early or late."""
    hard = dataclasses.replace(REGTEST, name="signet")  # a network whose rules of difficulty hold
    rows = [GENESIS]
    target = REGTEST.pow_limit >> 8
    first = mined(Header(1, sha256d(GENESIS)[::-1].hex(), "11" * 32, 1_300_000_000, compact_target(target)), target)
    rows.append(first.serialise())
    for number in range(5):
        header = Header(1, sha256d(rows[-1])[::-1].hex(), "22" * 32, 1_300_000_600 + number, compact_target(target))
        rows.append(mined(header, target).serialise())
    easy = branch(1, parent=rows[-1])[0]
    known = {0: anchors("regtest")[0], 1: sha256d(rows[1])}
    for order in (((0, rows), (7, [easy])), ((7, [easy]), (0, rows))):
        made = HeaderChain(hard, known)
        for at, part in order:
            with contextlib.suppress(ChainError):
                made.add(at, b"".join(part))
        assert made.top == 6
        assert not made.is_anchored(7)


def test_absurd_heights_are_not_believed_and_cost_nothing() -> None:
    known = state()
    with pytest.raises(ChainError, match="higher than can be"):
        known.learn(Tip(2**31 - 1, GENESIS), "liar")
    with pytest.raises(ChainError, match="cannot be"):
        known.learn(Place(b"\1" * 32, 2**31 - 1, 0, ()), "liar")
    assert known.tips == {}
    assert known.waiting() == set()
    assert len(known.chain.missing({2**31 - 1})) < 5_000


def test_a_header_that_floats_is_no_tip() -> None:
    known = state()
    known.learn(Headers(0, b"".join([GENESIS, *branch(3)])), "honest")
    known.learn(Tip(900, branch(1, salt=3)[0]), "liar")
    assert known.tip == 3
    assert "liar" in known.strays


def test_a_wrong_branch_is_its_servers_whoever_brings_the_header() -> None:
    one, other = (read_transaction(coinbase(n), REGTEST) for n in (1, 2))
    root = sha256d(one.txid + other.txid)[::-1].hex()
    header = Header(1, sha256d(GENESIS)[::-1].hex(), root, 1_300_000_000, compact_target(REGTEST.pow_limit))
    block = mined(header, REGTEST.pow_limit).serialise()
    known = state()
    known.learn(Place(one.txid, 1, 0, (bytes(32),)), "liar")
    known.learn(Place(other.txid, 1, 1, (one.txid,)), "honest")
    known.learn(Headers(0, GENESIS + block), "third")
    assert other.txid in known.places
    assert one.txid not in known.places
    assert [place for place, _ in known.refused] == ["liar"]


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
    assert not made.add(1, b"".join(branch(3, salt=1)))
    assert made.top == 3
    assert made.add(1, b"".join(branch(4, salt=1)))
    assert made.top == 4
    assert made.withdrawn() == [1, 2, 3]
    assert made.withdrawn() == []
    assert made.is_anchored(4)


def test_a_detached_stretch_leads_nowhere_until_the_gap_is_filled() -> None:
    rows = [GENESIS, *branch(6)]
    made = chain(rows[:2])
    assert not made.add(4, b"".join(rows[4:6]))
    assert not made.is_anchored(4)
    assert made.missing({5}) == [(2, 4)]
    assert made.add(2, b"".join(rows[2:4]))
    assert made.is_anchored(5)
    assert made.missing({5}) == []


def test_a_stretch_below_a_known_block_hangs_on_it() -> None:
    """As below Bitcoin Core's checkpoints: hashes lead back from it, whatever is further below."""
    rows = [GENESIS, *branch(40)]
    made = HeaderChain(REGTEST, {0: anchors("regtest")[0], 40: sha256d(rows[40])})
    assert made.missing({35}) == [(35, 6)]
    assert made.add(35, b"".join(rows[35:41]))
    assert made.is_anchored(36)
    assert made.top == 40
    assert not made.add(36, branch(36, salt=7)[-1])
    assert made.headers[36] == rows[36]
    assert made.missing({20}) == [(20, 15)]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 11), st.integers(1, 6)), max_size=12), st.sampled_from([0, 6, 11]))
def test_whatever_comes_in_whatever_order_every_header_leads_to_a_known_block(
    pieces: list[tuple[int, int]], known: int
) -> None:
    rows = [GENESIS, *branch(11)]
    made = HeaderChain(REGTEST, {0: anchors("regtest")[0], known: sha256d(rows[known])})
    for first, count in pieces:
        if part := rows[first : first + count]:
            made.add(first, b"".join(part))
    told = {height for first, count in pieces for height in range(first, min(first + count, 12))}
    up = {h for h in told if h <= known and (h == 0 or all(x in told for x in range(h, known + 1)))}
    above = {h for h in told if h > known and all(x in told for x in range(known + 1, h + 1))}
    assert set(made.headers) == up | above
    assert all(made.headers[height] == rows[height] for height in made.headers)


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
