"""What is written here against what Bitcoin Core wrote: a whole regtest chain, byte by byte."""

from __future__ import annotations

import gzip
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin.networks import COIN, NETWORKS
from calibar.chains.bitcoin.transaction import (
    NO_TXID,
    NO_VOUT,
    Block,
    Header,
    Transaction,
    TxIn,
    TxOut,
    assemble,
    coinbase,
    compact_size,
    compact_target,
    height_push,
    merkle_root,
    obfuscate,
    push,
    record,
    witness_commitment,
    write_block_files,
)
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]


@pytest.fixture(scope="module")
def folder(data: Path) -> Path:
    return data / "bitcoin" / "owned" / "wasabi2-regtest-10-wallets"


@pytest.fixture(scope="module")
def said(folder: Path) -> list[Any]:
    paths = [folder / "block-json" / f"block_{height}.json" for height in range(324)]
    return [json.loads(path.read_text(), parse_float=Decimal) for path in paths]


@pytest.fixture(scope="module")
def built(said: list[Any]) -> list[Block]:
    return [
        Block(
            Header(
                block["version"],
                block.get("previousblockhash", NO_TXID),
                block["merkleroot"],
                block["time"],
                int(block["bits"], 16),
                block["nonce"],
            ),
            tuple(map(transaction_of, block["tx"])),
        )
        for block in said
    ]


def transaction_of(said: Any) -> Transaction:
    inputs = tuple(
        TxIn(
            txin.get("txid", NO_TXID),
            txin.get("vout", NO_VOUT),
            bytes.fromhex(txin["coinbase"] if "coinbase" in txin else txin["scriptSig"]["hex"]),
            txin["sequence"],
            tuple(map(bytes.fromhex, txin.get("txinwitness", ()))),
        )
        for txin in said["vin"]
    )
    outputs = tuple(TxOut(int(out["value"] * COIN), bytes.fromhex(out["scriptPubKey"]["hex"])) for out in said["vout"])
    return Transaction(said["version"], inputs, outputs, said["locktime"])


def test_each_transaction_has_the_bytes_and_names_that_core_says(said: list[Any], built: list[Block]) -> None:
    pairs = [
        (t, s) for b, block in zip(built, said, strict=True) for t, s in zip(b.transactions, block["tx"], strict=True)
    ]
    assert len(pairs) == 335
    for transaction, core in pairs:
        assert transaction.serialise().hex() == core["hex"]
        assert (transaction.txid, transaction.wtxid) == (core["txid"], core["hash"])
        assert (transaction.weight, transaction.vsize) == (core["weight"], core["vsize"])
        assert transaction.is_coinbase == ("coinbase" in core["vin"][0])


def test_each_block_has_the_hash_and_merkle_root_that_core_says(said: list[Any], built: list[Block]) -> None:
    for block, core in zip(built, said, strict=True):
        assert block.hash == core["hash"]
        assert merkle_root([transaction.txid for transaction in block.transactions]) == core["merkleroot"]
        assert len(block.serialise()) == core["size"]


def test_the_records_are_the_block_file(folder: Path, built: list[Block]) -> None:
    assert b"".join(record(REGTEST, block) for block in built) == (folder / "blocks.dat").read_bytes()


def test_the_written_folder_is_the_one_core_left(folder: Path, built: list[Block], tmp_path: Path) -> None:
    key = (folder / "core-blocks" / "xor.dat").read_bytes()
    (path,) = write_block_files(tmp_path, REGTEST, [built], key=key)
    assert path.read_bytes() == gzip.decompress((folder / "core-blocks" / "blk00000.dat.gz").read_bytes())
    assert (tmp_path / "xor.dat").read_bytes() == key


def test_coinbases_begin_with_their_height_and_commit_to_witnesses(built: list[Block]) -> None:
    for height, block in enumerate(built[1:], 1):
        first, *others = block.transactions
        assert first.inputs[0].script_sig.startswith(height_push(height))
        assert witness_commitment(others) in [output.script for output in first.outputs]


def test_genesis_of_regtest_is_built_whole(built: list[Block]) -> None:
    assert genesis().hash == REGTEST.genesis
    assert genesis().serialise() == built[0].serialise()


@pytest.mark.parametrize(
    ("height", "script"),
    [(0, "00"), (1, "51"), (16, "60"), (17, "0111"), (127, "017f"), (128, "028000"), (227931, "035b7a03")],
)
def test_heights_are_pushed_as_numbers(height: int, script: str) -> None:
    assert height_push(height).hex() == script


@pytest.mark.parametrize("height", [0, 1, 16, 17, 128, 840_000])
def test_a_coinbase_script_has_two_bytes_at_least(height: int) -> None:
    assert 2 <= len(coinbase(height, [TxOut(0, b"")]).inputs[0].script_sig) <= 100


@pytest.mark.parametrize(
    ("number", "wire"),
    [
        (0, "00"),
        (0xFC, "fc"),
        (0xFD, "fdfd00"),
        (0xFFFF, "fdffff"),
        (1 << 16, "fe00000100"),
        (1 << 32, "ff0000000001000000"),
    ],
)
def test_lengths_take_one_three_five_or_nine_bytes(number: int, wire: str) -> None:
    assert compact_size(number).hex() == wire


@pytest.mark.parametrize(("length", "prefix"), [(1, "01"), (75, "4b"), (76, "4c4c"), (255, "4cff"), (256, "4d0001")])
def test_a_push_says_its_length(length: int, prefix: str) -> None:
    assert push(bytes(length)) == bytes.fromhex(prefix) + bytes(length)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("mainnet", 0x1D00FFFF), ("testnet3", 0x1D00FFFF), ("signet", 0x1E0377AE), ("regtest", 0x207FFFFF)],
)
def test_targets_are_written_as_the_networks_headers_have_them(name: str, bits: int) -> None:
    assert compact_target(NETWORKS[name].pow_limit) == bits


def test_a_target_with_a_high_first_byte_gets_a_zero_before_it() -> None:
    assert compact_target(0x80) == 0x02008000


def test_an_assembled_block_meets_its_target_and_names_its_parent() -> None:
    block = assemble(REGTEST, 1, REGTEST.genesis, 1_300_000_000, [TxOut(50 * COIN, b"\x51")])
    assert int(block.hash, 16) <= REGTEST.pow_limit
    assert block.header.previous == REGTEST.genesis
    assert block.header.nonce < 64


@given(st.binary(max_size=200), st.binary(min_size=1, max_size=9), st.integers(0, 50))
def test_obfuscation_is_its_own_inverse_at_any_offset(data: bytes, key: bytes, offset: int) -> None:
    assert obfuscate(data, key, offset) == bytes(byte ^ key[(offset + at) % len(key)] for at, byte in enumerate(data))
    assert obfuscate(obfuscate(data, key, offset), key, offset) == data
    assert obfuscate(data, b"") == data


def test_only_the_last_file_is_preallocated_and_its_tail_reads_as_the_key(tmp_path: Path) -> None:
    key = bytes(range(1, 9))
    one, two = write_block_files(tmp_path, REGTEST, [[b"first"], [b"second"]], key=key, chunk=64)
    assert one.stat().st_size == 8 + 5
    tail = two.read_bytes()[8 + 6 :]
    assert (len(tail), set(tail)) == (64 - 14, {0})
    assert obfuscate(tail, key, 14) == obfuscate(bytes(50), key, 14)
