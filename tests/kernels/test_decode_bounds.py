"""Whatever the bytes, the decoder stays inside its block and agrees with a plain reader about what they are."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pbk
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from wire import Cursor, MalformedError, commitment, committed, judge, parse

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import (
    NO_TXID,
    Block,
    Transaction,
    TxIn,
    TxOut,
    assemble,
    compact_size,
    merkle_root,
)
from calibar.kernels import blocks as kernels
from calibar.kernels.blocks import Decoded

REGTEST = NETWORKS["regtest"]
GUARD, CANARY = 4096, 0xC9
COMPILES = settings(deadline=None)  # at the first call
ABSURD = (
    b"\xff" * 9,
    b"\xff" + b"\xff" * 7 + b"\x7f",
    b"\xff" + (1 << 62).to_bytes(8, "little"),
    b"\xff" + ((1 << 62) - 1).to_bytes(8, "little"),
    b"\xfe\xff\xff\xff\xff",
    b"\xfe\xff\xff\xff\x7f",
    b"\xfd\xff\xff",
    b"\xfd\x01\x00",
    b"\x00",
    b"\xfc",
    b"",
)


def guarded(size: int) -> tuple[Decoded, list[np.ndarray[tuple[int], np.dtype[np.uint8]]]]:
    """Columns exactly as large as for a block of `size` bytes, each between canaries."""
    outers, views = [], {}
    for name, column in kernels.allocate(1, size)._asdict().items():
        outer = np.full(column.nbytes + 2 * GUARD, CANARY, np.uint8)
        views[name] = outer[GUARD : GUARD + column.nbytes].view(column.dtype).reshape(column.shape)
        outers.append(outer)
    return Decoded(**views), outers


def decoded(block: bytes, filler: bytes, before: int, after: int = 300) -> tuple[int, int, Decoded]:
    """Status, position in the block, and columns; positions are made relative to the block."""
    margin = (filler * (max(before, after) // len(filler) + 1))[: max(before, after)]
    data = np.frombuffer(bytearray(margin[:before] + block + margin[:after]), np.uint8)
    columns, outers = guarded(len(block))
    status, _, at, txs, inputs, coins = kernels.decode(
        data, np.array([before]), np.array([before + len(block)]), REGTEST.max_money, True, True, columns
    )
    for outer in outers:
        assert (outer[:GUARD] == CANARY).all(), "wrote before a column"
        assert (outer[-GUARD:] == CANARY).all(), "wrote after a column"
    columns = kernels.trim(columns, txs, inputs, coins)
    for name in ("coinbase_script", "commitment", "tx_at", "outpoint", "script"):
        column = getattr(columns, name)
        column[column >= 0] -= before
    if status == kernels.OK:
        columns.coinbase_script[:, 1] += before  # a length, no position
    return int(status), int(at) - before if status else -1, columns


def status_of(block: bytes) -> int:
    """Status, the same in three surroundings; the columns fit a plain reader's, which accepts the same blocks."""
    status, at, columns = decoded(block, b"\x00", 3)
    for filler, before in ((b"\xff", 0), (b"\x01\x00\x20", 41)):
        other, other_at, others = decoded(block, filler, before)
        assert (other, other_at) == (status, at)
        if status == kernels.OK:
            for name in columns._fields:
                assert np.array_equal(getattr(columns, name), getattr(others, name)), name
    try:
        plain = judge(block, REGTEST.max_money)
    except MalformedError as reason:
        assert status != kernels.OK, reason
        assert 0 <= at <= len(block)
    else:
        assert status == kernels.OK, status
        assert bytes(pbk.Block(block)) == block, "Bitcoin Core reads it, too"
        agree(plain, columns, block)
    return status


def agree(plain: Block, columns: Decoded, raw: bytes) -> None:
    """Every column says what the plain reader read."""
    txs, spenders = plain.transactions, plain.transactions[1:]
    coins = [output for tx in txs for output in tx.outputs]
    inputs = [txin for tx in spenders for txin in tx.inputs]
    sizes = [len(tx.serialise()) for tx in txs]

    def piece(at: int, length: int) -> bytes:
        return raw[at : at + length]

    assert [row.tobytes()[::-1].hex() for row in columns.txid] == [tx.txid for tx in txs]
    assert columns.version.tolist() == [tx.version % 2**32 for tx in txs]
    assert columns.locktime.tolist() == [tx.locktime for tx in txs]
    assert columns.tx_size.tolist() == sizes
    assert columns.tx_weight.tolist() == [tx.weight for tx in txs]
    assert columns.tx_at.tolist() == [len(raw) - sum(sizes[i:]) for i in range(len(txs) + 1)]
    assert np.diff(columns.first_input).tolist() == [0] + [len(tx.inputs) for tx in spenders]
    assert np.diff(columns.first_coin).tolist() == [len(tx.outputs) for tx in txs]
    assert columns.sequence.tolist() == [txin.sequence for txin in inputs]
    assert [piece(at, 36) for at in columns.outpoint.tolist()] == [txin.outpoint for txin in inputs]
    assert columns.value.tolist() == [coin.value for coin in coins]
    scripts = zip(columns.script.tolist(), columns.script_length.tolist(), strict=True)
    assert [piece(at, length) for at, length in scripts] == [coin.script for coin in coins]
    at, length = columns.coinbase_script[0].tolist()
    assert piece(at, length) == txs[0].inputs[0].script_sig


def small_block(height: int = 7) -> bytes:
    """A little over a kilobyte: witnesses, several inputs, an empty script, a data carrier."""
    coin = [TxIn("ab" * 32, n, bytes(n), 2**32 - 1 - n, (bytes(70), b"\x02" * 33) if n % 2 else ()) for n in range(4)]
    outputs = (TxOut(5_000, b"\x00\x14" + bytes(20)), TxOut(0, b"\x6a\x04data"), TxOut(7, b""))
    transactions = [
        Transaction(2, tuple(coin[:2]), outputs),
        Transaction(1, (coin[2],), outputs[:1], 500_000),
        Transaction(2, (TxIn("cd" * 32, 0), coin[3]), (TxOut(1, b"\x51" * 200),)),
    ]
    rewards = [TxOut(REGTEST.subsidy(height), b"\x51")]
    return assemble(REGTEST, height, "11" * 32, 1_300_000_000, rewards, transactions=transactions).serialise()


def mended(raw: bytes) -> bytes:
    """The block with commitment and merkle root made to fit its transactions, so that deeper checks are reached."""
    try:
        block = parse(raw)
    except MalformedError:
        return raw
    first = block.transactions[0]
    told, reserved = commitment(block), first.inputs[0].witness
    if told is not None and reserved:
        changed = tuple(
            replace(out, script=out.script.replace(told, committed(block, reserved[0]))) for out in first.outputs
        )
        block = replace(block, transactions=(replace(first, outputs=changed), *block.transactions[1:]))
    root = merkle_root([tx.txid for tx in block.transactions])
    return replace(block, header=replace(block.header, merkle_root=root)).serialise()


def cut(raw: bytes, dice: random.Random) -> bytes:
    return raw[: dice.randrange(len(raw) + 1)]


def flip(raw: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + bytes([raw[at] ^ 1 << dice.randrange(8)]) + raw[at + 1 :]


def insert(raw: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(raw) + 1)
    return raw[:at] + dice.randbytes(dice.choice((1, 1, 4, 41, 300))) + raw[at:]


def drop(raw: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + raw[at + dice.choice((1, 1, 2, 9, 41)) :]


def repeat(raw: bytes, dice: random.Random) -> bytes:
    at = dice.randrange(len(raw))
    return raw[:at] + raw[at : at + dice.randrange(1, 400)] + raw[at:]


def exaggerate(raw: bytes, dice: random.Random) -> bytes:
    at = dice.choice((80, dice.randrange(len(raw))))
    return raw[:at] + dice.choice(ABSURD) + raw[at + 1 :]


MUTATIONS: tuple[Callable[[bytes, random.Random], bytes], ...] = (flip, flip, exaggerate, cut, insert, drop, repeat)


def torment(raw: bytes, times: int, seed: int) -> set[int]:
    """Statuses of `times` mutations of a block, up to four deep, half of them mended."""
    dice = random.Random(seed)  # noqa: S311
    seen = set()
    for _ in range(times):
        spoiled = raw
        for _ in range(dice.choice((1, 1, 1, 2, 3, 4))):
            spoiled = dice.choice(MUTATIONS)(spoiled, dice) or b"\0"
        seen.add(status_of(mended(spoiled) if dice.random() < 0.5 else spoiled))
    return seen


def test_a_thousand_ways_to_spoil_a_built_block() -> None:
    assert status_of(small_block()) == kernels.OK
    seen = torment(small_block(), 1500, seed=1)
    assert len(seen) >= 12, "the mutations reach most checks"


def test_ways_to_spoil_real_blocks(data: Path) -> None:
    raw = (data / "bitcoin" / "owned" / "wasabi2-regtest-10-wallets" / "blocks.dat").read_bytes()
    cursor, sizes = Cursor(raw), []
    while cursor.at < len(raw):
        cursor.take(4)
        size = cursor.number("<I")
        sizes.append((size, cursor.at))
        cursor.take(size)
    for number, (size, at) in enumerate(sorted(sizes)[-4:]):
        block = raw[at : at + size]
        assert status_of(block) == kernels.OK
        torment(block, 60, seed=number)


@pytest.mark.slow
def test_ways_to_spoil_a_large_real_block(data: Path) -> None:
    block = (data / "bitcoin" / "blocks" / "testnet3-928828.raw").read_bytes()
    assert status_of(block) == kernels.OK
    torment(block, 12, seed=5)


@pytest.mark.parametrize("at", range(0, 1200, 7))
def test_a_block_cut_anywhere_is_refused(at: int) -> None:
    block = small_block()
    if at < len(block):
        assert status_of(block[:at]) != kernels.OK


@COMPILES
@given(st.binary(max_size=400))
@example(b"")
@example(bytes(80))
@example(bytes(81))
@example(bytes(80) + b"\xff" * 9)
def test_any_bytes_at_all(raw: bytes) -> None:
    assert status_of(raw) != kernels.OK


@COMPILES
@given(st.sampled_from(ABSURD), st.integers(0, 1300), st.integers(0, 9), st.booleans())
def test_absurd_lengths_anywhere(size: bytes, at: int, over: int, mend: bool) -> None:
    block = small_block()
    spoiled = block[:at] + size + block[at + over :]
    status_of(mended(spoiled) if mend else spoiled)


@pytest.mark.parametrize("count", [5, 252, 253, 0xFFFF, 0x10000, 2**31, 2**32 - 1, 2**32, 2**61, 2**63, 2**64 - 1])
def test_an_absurd_number_of_transactions_costs_nothing(count: int) -> None:
    """Columns are allocated for the bytes that are there; a claim of more is refused before it is believed."""
    head, body = small_block()[:80], small_block()[81:]
    assert status_of(head + compact_size(count) + body) in (kernels.BAD_COUNT, kernels.TRUNCATED)


def test_the_densest_block_fits_its_columns() -> None:
    """Nothing but the smallest transactions, inputs and outputs that the wire allows."""
    coinbase = Transaction(1, (TxIn(NO_TXID, 0xFFFFFFFF),), (TxOut(0, b""),))
    tiny = [Transaction(n, (TxIn("ab" * 32, n),), (TxOut(0, b""),)) for n in range(300)]
    wide = Transaction(1, tuple(TxIn("cd" * 32, n) for n in range(300)), (TxOut(0, b""),) * 300)
    for transactions in ((coinbase, *tiny), (coinbase, wide), (coinbase,)):
        block = Block(parse(small_block()).header, transactions)
        assert status_of(mended(block.serialise())) == kernels.OK


@pytest.mark.parametrize("what", ["transactions", "coinbase witness"])
def test_a_length_in_a_needlessly_long_form_is_refused(what: str) -> None:
    """Neither the number of transactions nor the coinbase's witness is under the merkle root: without this rule
    one block would have many encodings, and sizes that differ. (Core, `ReadCompactSize`: non-canonical.)"""
    block = assemble(REGTEST, 1, "11" * 32, 1_300_000_000, [TxOut(1, b"\x51")]).serialise()
    at = 80 if what == "transactions" else block.index(b"\x01\x20" + bytes(32))
    assert block[at] == 1
    assert status_of(block) == kernels.OK
    assert status_of(block[:at] + b"\xfd\x01\x00" + block[at + 1 :]) != kernels.OK
