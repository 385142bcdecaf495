"""Damaged block files: each is refused in one line, and the ledger stays what it was."""

from __future__ import annotations

import random
import struct
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from running import KEY, info, refused, succeeds, theft, write_blocks

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.transaction import (
    Block,
    Transaction,
    TxIn,
    TxOut,
    assemble,
    compact_size,
    obfuscate,
    record,
    sized,
)
from calibar.sandbox.economy import NETWORK

KEPT = 108
"""Height of the ledger that each damaged source is to be added to; trade begins after it."""
HURT = 130
"""Height of the block that is damaged; it lies in the first file."""


class Target:
    """A ledger that must not change, and the sound files beside it."""

    def __init__(self, folder: Path) -> None:
        self.blocks = write_blocks(folder / "blocks")
        self.ledger = folder / "ledger"
        succeeds("ingest", "bitcoin", self.blocks, "--ledger", self.ledger, "--to-height", KEPT)
        self.before = info(self.ledger)

    def refuses(self, source: Path, *options: object) -> str:
        """Why a source is refused; what is committed stays readable and as it was."""
        line = refused("ingest", "bitcoin", source, "--ledger", self.ledger, *options)
        assert info(self.ledger) == self.before
        return line


@pytest.fixture(scope="module")
def target(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    target = Target(tmp_path_factory.mktemp("target"))
    yield target
    # After all the failures of this module the ledger is sound and goes on as if nothing had been.
    assert succeeds("ledger", "check", target.ledger)
    succeeds("ingest", "bitcoin", target.blocks, "--ledger", target.ledger)
    assert info(target.ledger)["tip"] == theft().economy.blocks[-1].hash
    assert succeeds("ledger", "check", target.ledger)


def raw_blocks() -> list[bytes]:
    return [block.serialise() for block in theft().economy.blocks]


def flipped(data: bytes, at: int, bit: int = 0) -> bytes:
    return data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]


def with_block(folder: Path, raw: bytes, height: int = HURT) -> Path:
    """The chain with one block's bytes replaced."""
    blocks = raw_blocks()
    blocks[height] = raw
    return write_blocks(folder, blocks)


def spending(block: Block) -> Transaction:
    """A transaction of the block with a witness."""
    return next(each for each in block.transactions[1:] if any(txin.witness for txin in each.inputs))


def places() -> dict[str, int]:
    """Where things are in the bytes of block HURT."""
    block = theft().economy.blocks[HURT]
    raw, spend = block.serialise(), spending(block)
    tx, body = raw.index(spend.serialise()), spend.serialise()
    witness = next(item for txin in spend.inputs for item in txin.witness if item)
    out = spend.outputs[0].serialise()
    coinbase = block.transactions[0].serialise()
    return {
        "previous": 4,
        "merkle root": 36,
        "bits": 72,
        "transaction count": 80,
        "coinbase's null coin": 81 + coinbase.index(block.transactions[0].inputs[0].outpoint),
        "coinbase's height": 81 + coinbase.index(block.transactions[0].inputs[0].script_sig),
        "coinbase's reserved value": raw.index(compact_size(1) + sized(bytes(32)), 81) + 5,
        "witness commitment": raw.index(bytes.fromhex("6a24aa21a9ed")) + 20,
        "version": tx,
        "SegWit marker": tx + 4,
        "SegWit flag": tx + 5,
        "input count": tx + 6,
        "spent coin": tx + body.index(spend.inputs[0].outpoint) + 3,
        "spent output": tx + body.index(spend.inputs[0].outpoint) + 32,
        "value": tx + body.index(out),
        "script length": tx + body.index(out) + 8,
        "script": tx + body.index(out) + 9 + 12,
        "witness": tx + body.index(witness) + len(witness) // 2,
        "locktime": tx + len(body) - 4,
        "last byte": len(raw) - 1,
    }


@pytest.mark.parametrize("place", list(places()))
def test_a_flipped_bit_is_found(place: str, target: Target, tmp_path: Path) -> None:
    raw = raw_blocks()[HURT]
    line = target.refuses(with_block(tmp_path, flipped(raw, places()[place])))
    assert theft().economy.blocks[HURT].hash in line or "blk00000.dat" in line or "missing" in line


def test_a_witness_that_was_changed_is_named_as_such(target: Target, tmp_path: Path) -> None:
    line = target.refuses(with_block(tmp_path, flipped(raw_blocks()[HURT], places()["witness"])))
    assert "witness" in line
    assert theft().economy.blocks[HURT].hash in line
    assert str(tmp_path / "blk00000.dat") in line


@pytest.mark.parametrize("seed", range(12))
def test_a_bit_flipped_anywhere_is_found(seed: int, target: Target, tmp_path: Path) -> None:
    """Anywhere in a block that another follows: a header's own fields are bound by the next block alone."""
    dice = random.Random(seed)  # noqa: S311 - not for keys
    height = dice.randrange(KEPT + 1, 180)
    raw = raw_blocks()[height]
    target.refuses(with_block(tmp_path, flipped(raw, dice.randrange(len(raw)), dice.randrange(8)), height))


@pytest.mark.parametrize("at", [0, 3, 4, 5, 7])
def test_a_damaged_record_head_is_found(at: int, target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path)
    file = blocks / "blk00000.dat"
    start = sum(8 + len(raw) for raw in raw_blocks()[:HURT])
    file.write_bytes(flipped(file.read_bytes(), start + at))
    assert str(file) in target.refuses(blocks)


def absurd() -> dict[str, bytes]:
    """Block HURT with counts and lengths that nothing backs."""
    raw, at = raw_blocks()[HURT], places()
    huge = {"2^16": b"\xfd\xff\xff", "2^32": b"\xfe" + b"\xff" * 4, "2^64": b"\xff" * 9, "2^62": b"\xff" * 8 + b"\x3f"}
    return {
        f"{place} {name}": raw[: at[place]] + count + raw[at[place] + 1 :]
        for place in ("transaction count", "input count", "script length")
        for name, count in huge.items()
    } | {"no transactions": raw[:80] + b"\0", "only a header": raw[:80] + b"\x01"}


@pytest.mark.parametrize("what", list(absurd()))
def test_absurd_counts_are_refused_at_once(what: str, target: Target, tmp_path: Path) -> None:
    target.refuses(with_block(tmp_path, absurd()[what]))


@pytest.mark.parametrize("length", [0, 80, 4_000_001, 2**31, 2**32 - 1])
def test_an_absurd_record_length_is_refused(length: int, target: Target, tmp_path: Path) -> None:
    parts = [record(NETWORK, raw) for raw in raw_blocks()]
    parts[HURT] = NETWORK.magic + struct.pack("<I", length) + parts[HURT][8:]
    file = tmp_path / "chain.dat"
    file.write_bytes(b"".join(parts))
    assert str(file) in target.refuses(file)


@pytest.mark.parametrize("missing", [1, 50, 500])
def test_a_record_cut_in_the_middle_of_a_file_is_found(missing: int, target: Target, tmp_path: Path) -> None:
    parts = [record(NETWORK, raw) for raw in raw_blocks()]
    parts[HURT] = parts[HURT][:-missing]
    file = tmp_path / "chain.dat"
    file.write_bytes(b"".join(parts))
    assert str(file) in target.refuses(file)


def test_a_file_cut_before_another_is_found(target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path)
    first = blocks / "blk00000.dat"
    first.write_bytes(first.read_bytes()[:-10])
    target.refuses(blocks)


def test_a_missing_file_is_found(target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path)
    (blocks / "blk00000.dat").rename(blocks / "blk00000.old")
    assert "do not connect" in target.refuses(blocks)
    assert "genesis" in refused("ingest", "bitcoin", blocks, "--ledger", tmp_path / "fresh")


@pytest.mark.parametrize("key", [bytes(8), KEY[::-1], KEY[:7], KEY + b"\0", b""])
def test_an_xor_key_that_does_not_fit_is_refused(key: bytes, target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path)
    (blocks / "xor.dat").write_bytes(key)
    assert "xor.dat" in target.refuses(blocks)


def test_a_missing_xor_key_is_named(target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path)
    (blocks / "xor.dat").unlink()
    assert "xor.dat" in target.refuses(blocks)


def test_plain_files_beside_an_xor_key_are_named(target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path, key=b"")
    (blocks / "xor.dat").write_bytes(KEY)
    assert "plain" in target.refuses(blocks)


def test_an_xor_key_that_is_a_folder_is_refused(target: Target, tmp_path: Path) -> None:
    blocks = write_blocks(tmp_path, key=b"")
    (blocks / "xor.dat").mkdir()
    assert "xor.dat" in target.refuses(blocks)


def _next_block(*transactions: Transaction, reward: int = 0) -> Block:
    chain = theft().economy.blocks
    outputs = [replace(chain[1].transactions[0].outputs[0], value=reward)]  # to an address that the ledger knows
    return assemble(NETWORK, KEPT + 1, chain[KEPT].hash, 1_800_000_000, outputs, transactions=transactions)


def _unspent() -> str:
    """A coin that is unspent at KEPT."""
    chain = theft().economy.blocks[: KEPT + 1]
    spent = {txin.coin for block in chain for tx in block.transactions for txin in tx.inputs}
    return next(coin for block in chain[1:] if (coin := f"{block.transactions[0].txid}:0") not in spent)


def _spend(*coins: str, value: int = 1) -> Transaction:
    inputs = tuple(TxIn(coin[:64], int(coin[65:])) for coin in coins)
    return Transaction(2, inputs, (TxOut(value, script.p2wpkh(bytes(20))),))


def wrong_blocks() -> dict[str, Callable[[], Block]]:
    """Blocks with a sound merkle root and proof of work that break a rule of the chain."""
    coin = _unspent()
    dead = Transaction(2, _spend(coin).inputs, (TxOut(5, script.op_return(b"gone")),))
    genesis = theft().economy.blocks[0].transactions[0].txid
    return {
        "does not exist": lambda: _next_block(_spend("11" * 32 + ":0")),
        "does not exist, past the outputs": lambda: _next_block(_spend(coin[:64] + ":7")),
        "does not exist, genesis": lambda: _next_block(_spend(f"{genesis}:0")),
        "spent already": lambda: _next_block(_spend(coin), replace(_spend(coin), locktime=1)),
        "spent already, in one transaction": lambda: _next_block(_spend(coin, coin)),
        "pays out more than it takes in": lambda: _next_block(_spend(coin, value=51 * 10**8)),
        "claims more than the subsidy": lambda: _next_block(reward=50 * 10**8 + 1),
        "nobody can spend": lambda: _next_block(dead, _spend(f"{dead.txid}:0")),
    }


@pytest.mark.parametrize("why", list(wrong_blocks()))
def test_a_block_that_breaks_a_rule_is_refused(why: str, target: Target, tmp_path: Path) -> None:
    block = wrong_blocks()[why]()
    file = tmp_path / "next.dat"
    file.write_bytes(record(NETWORK, block))
    line = target.refuses(file)
    assert why.split(",", maxsplit=1)[0] in line
    assert block.hash in line
    # What the failed run left behind is not part of the ledger, and not damage.
    assert succeeds("ledger", "check", target.ledger)


def test_an_obfuscated_file_reads_as_a_plain_one(tmp_path: Path) -> None:
    """That the refusals above are for their reasons alone."""
    blocks = write_blocks(tmp_path / "a")
    plain = write_blocks(tmp_path / "b", key=b"")
    assert obfuscate((blocks / "blk00000.dat").read_bytes(), KEY) == (plain / "blk00000.dat").read_bytes()
    for folder in (blocks, plain):
        succeeds("ingest", "bitcoin", folder, "--ledger", folder / "ledger")
    assert info(blocks / "ledger")["digest"] == info(plain / "ledger")["digest"]
