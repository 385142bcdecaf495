"""Decoding blocks: the world's as Bitcoin Core reads them, fees to the satoshi, and each thing that can be wrong."""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import numpy as np
import pbk
import pytest

from calibar.chains.bitcoin.blockfile import open_source
from calibar.chains.bitcoin.decode import Batch, decode
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import (
    NO_TXID,
    NO_VOUT,
    Block,
    Transaction,
    TxIn,
    TxOut,
    coinbase,
    compact_size,
    compact_target,
    merkle_root,
    mined,
    record,
    sha256d,
    witness_commitment,
)
from calibar.chains.bitcoin.transaction import Header as BlockHeader
from calibar.errors import ChainError, UsageError
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]
PARENT = genesis().hash
TESTNET = [928816, 928828, 928831, 928848, 928849, 928927]
WORLD = {
    "mainnet-2018-09-05-segwit.raw": [(574200, 3315)],
    "mainnet-2019-05-02-segwit.raw": [(540107, 230)],
    "mainnet-2021-09-30-taproot-era.raw": [(702861, 2500)],
    "block2019Jan.blk": [(556977, 2898)],
    "multiblock.blk": [(None, 1), (None, 2), (332208, 343)],
    "scriptwitness2.blk": [(482253, 2191), (482202, 2508)],
}


def decoded(path: Path, network: str | None = None) -> Batch:
    with open_source([path], NETWORKS[network] if network else None) as source:
        return decode(source, source.blocks)


def fields(batch: Batch, raw: Callable[[int], bytes]) -> None:
    """Every transaction of every block as Bitcoin Core's own parser gives it."""
    columns, data = batch.columns, batch.data.tobytes()
    tx = coin = spend = 0
    for row in range(len(batch.blocks)):
        core = pbk.Block(raw(row))
        assert str(core.block_hash) == batch.blocks[row].name
        assert len(core.transactions) == columns.tx_end[row + 1] - columns.tx_end[row]
        for place, transaction in enumerate(core.transactions):
            assert str(transaction.txid) == batch.txid(tx)
            assert transaction.locktime == columns.locktime[tx]
            assert len(bytes(transaction)) == columns.tx_size[tx]
            for output in transaction.outputs:
                assert output.amount == columns.value[coin]
                at, length = int(columns.script[coin]), int(columns.script_length[coin])
                assert bytes(output.script_pubkey) == data[at : at + length]
                coin += 1
            for txin in transaction.inputs if place else ():
                at = int(columns.outpoint[spend])
                assert bytes(txin.out_point.txid) + struct.pack("<I", txin.out_point.index) == data[at : at + 36]
                assert txin.sequence == columns.sequence[spend]
                spend += 1
            tx += 1
    assert (tx, coin, spend) == (len(columns.txid), columns.value.size, columns.sequence.size)


@pytest.mark.parametrize("name", WORLD)
def test_real_blocks_are_what_bitcoin_core_reads(data: Path, name: str) -> None:
    batch = decoded(data / "bitcoin" / "blocks" / name)
    counts = np.diff(batch.columns.tx_end).tolist()
    heights = [batch.claimed_height(row) for row in range(len(batch.blocks))]
    assert list(zip(heights, counts, strict=True)) == WORLD[name]
    whole = batch.data.tobytes()
    fields(batch, lambda row: whole[batch.starts[row] :][: batch.blocks[row].size])


def undo(raw: bytes) -> list[tuple[int, bytes]]:
    """Value and script of every spent coin, in block order."""
    coins, at = [], 0
    while at < len(raw):
        (value,) = struct.unpack_from("<Q", raw, at)
        first, at = raw[at + 8], at + 9
        size = first
        if first == 0xFD:
            (size,) = struct.unpack_from("<H", raw, at)
            at += 2
        assert first < 0xFE
        coins.append((value, raw[at : at + size]))
        at += size
    return coins


@pytest.mark.parametrize("height", TESTNET)
def test_a_real_coinbase_pays_the_subsidy_and_the_fees_to_the_satoshi(data: Path, height: int) -> None:
    folder = data / "bitcoin" / "blocks"
    batch = decoded(folder / f"testnet3-{height}.raw", "testnet3")
    columns = batch.columns
    spent = undo((folder / f"testnet3-{height}.undo.raw").read_bytes())
    assert batch.claimed_height(0) == height
    assert len(spent) == columns.sequence.size
    paid_in = np.array([value for value, _ in spent])
    fees = [
        int(paid_in[columns.first_input[tx] : columns.first_input[tx + 1]].sum())
        - int(columns.value[columns.first_coin[tx] : columns.first_coin[tx + 1]].sum())
        for tx in range(1, len(columns.txid))
    ]
    assert min(fees) >= 0
    reward = int(columns.value[: columns.first_coin[1]].sum())
    assert reward == NETWORKS["testnet3"].subsidy(height) + sum(fees)


def test_testnet_blocks_are_what_bitcoin_core_reads(data: Path) -> None:
    path = data / "bitcoin" / "blocks" / "testnet3-928828.raw"
    fields(decoded(path, "testnet3"), lambda _: path.read_bytes())


def test_a_block_that_lost_a_byte_on_its_way_is_refused(data: Path) -> None:
    with pytest.raises(ChainError) as caught:
        decoded(data / "bitcoin" / "blocks" / "mainnet-413567.raw")
    assert "0000000000000000025aff8be8a55df8f89c77296db6198f272d6577325d4069" in str(caught.value)
    assert "the file is damaged" in str(caught.value)


def test_a_file_that_mixes_networks_is_refused(data: Path) -> None:
    for network in ("mainnet", "testnet3", None):
        with pytest.raises(UsageError, match="keep networks apart"):
            decoded(data / "bitcoin" / "blocks" / "multinet.blk", network)


# Each thing that can be wrong with one block, in an otherwise sound one.

FIRST = coinbase(1, [TxOut(50, b"\x51")])
PAY = Transaction(2, (TxIn("ab" * 32, 0),), (TxOut(7, b"\x51"),))
SEEN = replace(PAY, inputs=(TxIn("ab" * 32, 1, witness=(b"w",)),))
COMMITTED = coinbase(1, [TxOut(50, b"\x51")], commits_to=[SEEN])


def header(root: str) -> bytes:
    return mined(
        BlockHeader(4, PARENT, root, 1_300_000_000, compact_target(REGTEST.pow_limit)), REGTEST.pow_limit
    ).serialise()


def sealed(*transactions: Transaction, count: int | None = None, root: str | None = None) -> bytes:
    """A mined block of those transactions, whatever they are."""
    txids = [transaction.txid for transaction in transactions]
    number = len(transactions) if count is None else count
    return header(root or merkle_root(txids)) + compact_size(number) + b"".join(t.serialise() for t in transactions)


def written(transaction: bytes) -> bytes:
    """A block of a coinbase and those bytes."""
    txids = [FIRST.txid, sha256d(transaction)[::-1].hex()]
    return header(merkle_root(txids)) + b"\x02" + FIRST.serialise() + transaction


def paying(*values: int) -> Transaction:
    return replace(PAY, outputs=tuple(TxOut(value, b"\x51") for value in values))


def with_reserved(*items: bytes) -> Transaction:
    return replace(COMMITTED, inputs=(replace(COMMITTED.inputs[0], witness=items),))


def committing(*scripts: bytes) -> Transaction:
    outputs = (TxOut(50, b"\x51"), *(TxOut(0, script) for script in scripts))
    return replace(COMMITTED, outputs=outputs)


RIGHT, WRONG = witness_commitment([SEEN]), witness_commitment([PAY])
VERSION, LOCKTIME, OUTPUTS = struct.pack("<i", 2), bytes(4), b"\x01" + TxOut(7, b"\x51").serialise()
NULL = TxIn(NO_TXID, NO_VOUT, b"\x51\x51")
TXIDS = [FIRST.txid, PAY.txid, SEEN.txid]

BROKEN: dict[str, list[bytes]] = {
    "ends in the middle of a transaction": [
        *(sealed(FIRST, paying(*range(30)))[:-lost] for lost in (1, 4, 5, 12, 20)),
        written(VERSION + b"\x01" + TxIn("ab" * 32, 0).outpoint + b"\xfd\x00\x80" + bytes(40)),
    ],
    "has bytes after its last transaction": [sealed(FIRST) + b"\0", sealed(FIRST, PAY, count=1)],
    "has no transactions": [header(FIRST.txid) + b"\0" + FIRST.serialise(), header("00" * 32) + b"\0"],
    "has a transaction without inputs": [written(VERSION + b"\0\0" + OUTPUTS + LOCKTIME + b"\1" * 60)],
    "has a transaction without outputs": [
        written(VERSION + b"\x01" + TxIn("ab" * 32, 0).serialise() + b"\0" + LOCKTIME + bytes(9))
    ],
    "claims more transactions, inputs or outputs than its bytes can hold": [
        sealed(FIRST, count=200),
        sealed(FIRST, count=2**61),
        written(VERSION + b"\xfe\xff\xff\xff\xff" + TxIn("ab" * 32, 0).serialise() + OUTPUTS + LOCKTIME),
        written(VERSION + b"\x01" + TxIn("ab" * 32, 0).serialise() + b"\xfd\xff\xff" + bytes(40)),
    ],
    "has a transaction with an unknown witness flag": [written(VERSION + b"\0\2" + bytes(60))],
    "has a transaction marked as SegWit without any witness": [
        written(VERSION + b"\0\1\x01" + TxIn("ab" * 32, 0).serialise() + OUTPUTS + b"\0" + LOCKTIME)
    ],
    "does not begin with a coinbase": [
        sealed(PAY),
        sealed(PAY, FIRST),
        sealed(replace(FIRST, inputs=(NULL, TxIn("ab" * 32, 0))), PAY),
        sealed(replace(FIRST, inputs=(TxIn(NO_TXID, 0, b"\x51\x51"),))),
    ],
    "has a coinbase input outside its first transaction": [
        sealed(FIRST, replace(PAY, inputs=(NULL,))),
        sealed(FIRST, replace(PAY, inputs=(*PAY.inputs, NULL))),
    ],
    "pays out more than can exist": [
        sealed(FIRST, paying(-1)),
        sealed(FIRST, paying(-(2**63))),
        sealed(FIRST, paying(REGTEST.max_money + 1)),
        sealed(FIRST, paying(REGTEST.max_money, 1)),
        sealed(FIRST, paying(2**63 - 1, 2**63 - 1, 2)),
    ],
    "has transactions that do not fit its merkle root": [
        sealed(FIRST, root=PAY.txid),
        sealed(FIRST, PAY, root=merkle_root(TXIDS[1::-1])),
    ],
    "lists transactions twice so that its merkle root still fits (CVE-2012-2459)": [
        sealed(FIRST, PAY, SEEN, SEEN, root=merkle_root(TXIDS)),
    ],
    "carries witnesses but does not commit to them": [
        sealed(FIRST, SEEN),
        sealed(committing(RIGHT[:-1]), SEEN),
        sealed(committing(b"\x51" + RIGHT), SEEN),
        sealed(with_reserved(), SEEN),
        sealed(with_reserved(bytes(31)), SEEN),
        sealed(with_reserved(bytes(33)), SEEN),
        sealed(with_reserved(bytes(32), b""), SEEN),
    ],
    "has witnesses that do not fit its witness commitment": [
        sealed(committing(WRONG), SEEN),
        sealed(committing(RIGHT, WRONG), SEEN),
        sealed(with_reserved(b"\1" * 32), SEEN),
        sealed(COMMITTED, replace(SEEN, inputs=(replace(SEEN.inputs[0], witness=(b"W",)),))),
        sealed(COMMITTED, PAY),
    ],
}
CASES = [(reason, raw) for reason, blocks in BROKEN.items() for raw in blocks]


@pytest.mark.parametrize(("reason", "raw"), CASES, ids=[f"{reason}-{n}" for n, (reason, _) in enumerate(CASES)])
def test_a_block_is_refused_when_it(tmp_path: Path, reason: str, raw: bytes) -> None:
    """Behind a sound block: the message names the right one, its file and its place."""
    path = tmp_path / "blk00000.dat"
    before = record(REGTEST, genesis())
    path.write_bytes(before + record(REGTEST, raw))
    with pytest.raises(ChainError) as caught:
        decoded(path)
    message = str(caught.value)
    digest = sha256d(raw[:80])[::-1].hex()
    assert message.startswith(f"block {digest} in {path} at byte {len(before) + 8} {reason} (byte "), message
    assert "\n" not in message


@pytest.mark.parametrize("scripts", [[RIGHT], [WRONG, RIGHT], [RIGHT + b"more"], [b"\x6a", RIGHT, b"\x51"]])
def test_the_last_output_that_commits_is_what_counts(tmp_path: Path, scripts: Sequence[bytes]) -> None:
    path = tmp_path / "block"
    path.write_bytes(sealed(committing(*scripts), SEEN))
    assert decoded(path, "regtest").txid(1) == SEEN.txid


def test_a_block_without_witnesses_need_not_commit(tmp_path: Path) -> None:
    path = tmp_path / "block"
    path.write_bytes(sealed(FIRST, PAY))
    assert decoded(path, "regtest").columns.commitment.tolist() == [[-1, -1]]


@pytest.mark.parametrize(
    ("version", "script", "height"),
    [
        (2, b"\x00\x00", 0),
        (2, b"\x51\x00", 1),
        (2, b"\x60\x00", 16),
        (2, b"\x01\x11", 17),
        (2, b"\x01\x7f", 127),
        (2, b"\x02\x80\x00", 128),
        (2, b"\x03\xa0\x86\x01", 100_000),
        (0x20000000, b"\x03\xff\xff\x7f", 8_388_607),
        (2, b"\x04\x00\x00\x80\x00", 8_388_608),
        (1, b"\x03\xa0\x86\x01", None),
        (-1, b"\x03\xa0\x86\x01", None),
        (2, b"\x01\x80", None),
        (2, b"\x03\xff\xff\xff", None),
        (2, b"\x05\x01\x00\x00\x00\x00", None),
        (2, b"\x03\x01", None),
        (2, b"/a miner/", None),
        (2, b"", None),
    ],
)
def test_the_height_that_a_coinbase_claims(tmp_path: Path, version: int, script: bytes, height: int | None) -> None:
    first = replace(FIRST, inputs=(TxIn(NO_TXID, NO_VOUT, script),))
    sealed_header = BlockHeader(version, PARENT, first.txid, 1_300_000_000, compact_target(REGTEST.pow_limit))
    path = tmp_path / "block"
    path.write_bytes(Block(mined(sealed_header, REGTEST.pow_limit), (first,)).serialise())
    assert decoded(path, "regtest").claimed_height(0) == height


def test_a_file_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    path = tmp_path / "blk00000.dat"
    path.write_bytes(record(REGTEST, genesis()) + record(REGTEST, sealed(FIRST)))
    with open_source([path]) as source:
        with path.open("r+b") as file:
            file.seek(8 + 285 + 8 + 4)
            file.write(bytes(20))
        with pytest.raises(ChainError, match="changed while it was read"):
            decode(source, source.blocks)


def test_scripts_are_hashed_as_the_library_does(tmp_path: Path) -> None:
    scripts = [bytes(range(n)) for n in range(0, 250, 7)]
    first = replace(FIRST, outputs=tuple(TxOut(1, script) for script in scripts))
    path = tmp_path / "block"
    path.write_bytes(sealed(first))
    expected = [int.from_bytes(sha256(script).digest()[:8], "big") for script in scripts]
    assert decoded(path, "regtest").script_hash.tolist() == expected
