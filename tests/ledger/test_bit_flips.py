"""Every bit of a block, flipped: refused, or one of the few that nothing but the proof of work seals."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from chain_builder import COIN, REGTEST, Chain, coin, lock, pay, unsynced
from naive import Model

from calibar.chains.bitcoin.blockfile import open_source
from calibar.chains.bitcoin.decode import decode
from calibar.chains.bitcoin.transaction import record
from calibar.errors import ChainError, DecodeError, UsageError
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

VERSION, PREVIOUS, ROOT, TIME, BITS, NONCE = (
    range(4),
    range(4, 36),
    range(36, 68),
    range(68, 72),
    range(72, 76),
    range(76, 80),
)
UNSEALED = {*VERSION, *TIME, *BITS, *NONCE}
"""Bytes of a header that only its own hash depends on: at regtest's difficulty every second change has work enough."""


def a_chain() -> Chain:
    chain = Chain()
    chain.mine_empty(2)
    split = pay(
        coin(chain.coinbase(1), 0, bytes(range(71)), b"\x02" * 33), (COIN, "a"), (9 * COIN, b"\x00\x14" + bytes(20))
    )
    join = pay(
        [coin(split, 1, b"w" * 64), coin(chain.coinbase(2), script_sig=b"\x51" * 70), coin(split, 0)], (COIN, "b")
    )
    chain.mine(split, join, pay(coin(join), (7, "c"), (0, b"\x6a\x14" + b"d" * 20), (9, lock("a"))))
    return chain


pytestmark = pytest.mark.slow
CHAIN = a_chain()
TARGET = CHAIN.blocks[3]
AFTER = CHAIN.fork(3, "miner").mine()


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


def flips(raw: bytes) -> Iterator[tuple[int, int, bytes]]:
    for at in range(len(raw)):
        for bit in range(8):
            yield at, bit, raw[:at] + bytes([raw[at] ^ 1 << bit]) + raw[at + 1 :]


def passes(path: Path) -> bool:
    """Whether the block file is read and decoded: what ingesting does before it looks at the ledger."""
    try:
        with open_source([path], REGTEST) as source:
            decode(source, source.blocks)
            return not source.notes
    except (DecodeError, ChainError, UsageError) as error:
        assert "\n" not in str(error)
        return False


@pytest.fixture(scope="module")
def survivors(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[int, int, bytes]]:
    """Flips of a record after which it still is a sound block."""
    path = tmp_path_factory.mktemp("flips") / "blk00000.dat"
    raw = record(REGTEST, TARGET)
    assert 900 < len(raw) < 1400
    assert raw.count(b"w" * 64) == 1, "it has witnesses"
    path.write_bytes(raw)
    assert passes(path)
    left = []
    for at, bit, flipped in flips(raw):
        path.write_bytes(flipped)
        if passes(path):
            left.append((at - 8, bit, flipped))
    return left


def test_only_the_header_s_loose_ends_survive_a_flip(survivors: list[tuple[int, int, bytes]]) -> None:
    """Version, time, bits and nonce, and the link to another parent; never a byte of what was paid to whom."""
    assert {at for at, _, _ in survivors} <= UNSEALED | set(PREVIOUS)
    assert len(survivors) > 20, "half of them have work by chance"


def test_a_flip_that_survives_makes_another_block_with_the_same_contents(
    survivors: list[tuple[int, int, bytes]], tmp_path: Path
) -> None:
    """As the last block it is a block that another miner might have found; a wrong parent is missing."""
    before = tmp_path / "blk00000.dat"
    before.write_bytes(b"".join(record(REGTEST, block) for block in CHAIN.blocks[:3]))
    expected = Model(CHAIN.blocks)
    for number, (at, bit, flipped) in enumerate(survivors):
        if number % (16 if at in PREVIOUS else 2):
            continue
        path = tmp_path / "blk00001.dat"
        path.write_bytes(flipped)
        ledger = tmp_path / f"{at}-{bit}"
        if at in PREVIOUS:
            with pytest.raises(UsageError, match="do not connect"):
                ingest([tmp_path], ledger)
            continue
        ingest([tmp_path], ledger)
        snapshot = Snapshot(ledger)
        assert snapshot.block_hash(3) != TARGET.hash
        assert snapshot["transactions.fee"].tolist() == expected.fees
        assert [snapshot.txid(row) for row in range(len(expected.txids))] == expected.txids
        assert snapshot["coins.value"].tolist() == [made.value for made in expected.coins]


def test_once_another_block_follows_no_flip_survives(survivors: list[tuple[int, int, bytes]], tmp_path: Path) -> None:
    """The next header seals this one's: the flipped block is another, and the next has no parent."""
    files = b"".join(record(REGTEST, block) for block in CHAIN.blocks[:3])
    path = tmp_path / "blk00000.dat"
    for _, _, flipped in survivors[::4]:
        path.write_bytes(files + flipped + record(REGTEST, AFTER))
        with pytest.raises(UsageError, match="blocks do not connect"):
            ingest([path], tmp_path / "ledger")
