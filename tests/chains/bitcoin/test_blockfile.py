"""Finding blocks in files: what is read, what is passed over with a note, what is refused with a reason."""

from __future__ import annotations

import os
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin.blockfile import Source, open_source
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import (
    BLOCK_FILE_CHUNK,
    Block,
    TxOut,
    assemble,
    mined,
    obfuscate,
    record,
    write_block_files,
)
from calibar.errors import CalibarError, ChainError, DecodeError, UsageError
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]
KEY = bytes.fromhex("8badf00ddeadbeef")


def chain_of(count: int) -> list[Block]:
    """Genesis and blocks on it that hold a coinbase each."""
    blocks = [genesis()]
    while len(blocks) < count:
        height, before = len(blocks), blocks[-1]
        rewards = [TxOut(REGTEST.subsidy(height), b"\x51")]
        blocks.append(assemble(REGTEST, height, before.hash, before.header.time + 600, rewards))
    return blocks


CHAIN = chain_of(8)
HASHES = [block.hash for block in CHAIN]


def records(*blocks: Block) -> bytes:
    return b"".join(record(REGTEST, block) for block in blocks)


def found(*places: Path) -> list[str]:
    with open_source(places) as source:
        return [block.name for block in source.blocks]


def refusal(kind: type[CalibarError], *places: Path, network: str | None = None) -> str:
    """The one line with which the places are refused."""
    with pytest.raises(kind) as caught, open_source(places, NETWORKS[network] if network else None):
        pass
    assert type(caught.value) is kind
    message = str(caught.value)
    assert "\n" not in message
    return message


def notes(*places: Path) -> list[str]:
    with open_source(places) as source:
        return source.notes


def plain_bytes(source: Source) -> list[bytes]:
    pieces = []
    for block in source.blocks:
        out = np.empty(block.size, np.uint8)
        source.copy(block, out)
        pieces.append(out.tobytes())
    return pieces


@pytest.mark.parametrize("key", [b"", bytes(8), KEY, b"\xff" * 8], ids=["no key", "zero key", "key", "ones"])
@pytest.mark.parametrize("chunk", [0, 4096, BLOCK_FILE_CHUNK], ids=["cut", "a page", "as Core"])
def test_every_block_of_a_folder_is_found_byte_by_byte(tmp_path: Path, key: bytes, chunk: int) -> None:
    write_block_files(tmp_path, REGTEST, [CHAIN[:3], CHAIN[3:5], CHAIN[5:]], key=key, chunk=chunk)
    with open_source([tmp_path]) as source:
        assert source.network is REGTEST
        assert source.notes == []
        assert [block.name for block in source.blocks] == HASHES
        assert [block.file for block in source.blocks] == [0, 0, 0, 1, 1, 2, 2, 2]
        assert plain_bytes(source) == [block.serialise() for block in CHAIN]
        assert [block.previous[::-1].hex() for block in source.blocks] == ["00" * 32, *HASHES[:-1]]


def test_core_puts_the_blocks_folder_into_its_data_folder(tmp_path: Path) -> None:
    write_block_files(tmp_path / "blocks", REGTEST, [CHAIN], key=KEY)
    assert found(tmp_path) == HASHES


def test_files_are_read_in_the_order_of_their_numbers(tmp_path: Path) -> None:
    for number, block in ((99999, CHAIN[1]), (100000, CHAIN[2]), (7, CHAIN[0])):
        (tmp_path / f"blk{number:05}.dat").write_bytes(records(block))
    (tmp_path / "rev00007.dat").write_bytes(b"undo data is none of ours")
    (tmp_path / "blk1.dat").write_bytes(b"a name that Core does not give")
    assert found(tmp_path) == HASHES[:3]


def test_records_in_any_order_and_twice_are_each_found_once(tmp_path: Path) -> None:
    write_block_files(tmp_path, REGTEST, [[CHAIN[5], CHAIN[1], CHAIN[5]], [CHAIN[0], CHAIN[1]]])
    assert found(tmp_path) == [HASHES[5], HASHES[1], HASHES[0]]


def test_the_zero_tail_is_not_read_through_the_key(tmp_path: Path) -> None:
    """Pre-allocated zeros were never XORed; through a key whose first bytes are the magic they look like records."""
    key = REGTEST.magic + struct.pack("<I", 200)
    write_block_files(tmp_path, REGTEST, [CHAIN], key=key)
    assert found(tmp_path) == HASHES
    assert notes(tmp_path) == []


@pytest.mark.parametrize("tail", [1, 3, 4, 7, 8, 87, 88, 89, 5000])
@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "XORed"])
def test_a_zero_tail_of_any_length_ends_the_file(tmp_path: Path, key: bytes, tail: int) -> None:
    (path,) = write_block_files(tmp_path, REGTEST, [CHAIN], key=key, chunk=0)
    path.write_bytes(path.read_bytes() + bytes(tail))
    assert found(tmp_path) == HASHES
    assert notes(tmp_path) == []


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "XORed"])
def test_a_zero_tail_with_anything_in_it_is_refused(tmp_path: Path, key: bytes) -> None:
    (path,) = write_block_files(tmp_path, REGTEST, [CHAIN], key=key, chunk=0)
    end = path.stat().st_size
    path.write_bytes(path.read_bytes() + bytes(3000) + b"\1" + bytes(3000))
    assert f"{path} at byte {end}" in refusal(DecodeError, tmp_path)


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "XORed"])
def test_a_last_record_that_is_cut_anywhere_is_passed_over_with_a_note(tmp_path: Path, key: bytes) -> None:
    whole, last = len(records(*CHAIN[:-1])), len(records(CHAIN[-1]))
    (path,) = write_block_files(tmp_path, REGTEST, [CHAIN], key=key, chunk=0)
    full = path.read_bytes()
    for kept in [*range(1, 100), last - 1]:
        path.write_bytes(full[: whole + kept])
        assert found(tmp_path) == HASHES[:-1], kept
        assert notes(tmp_path) == [f"{path}: the last record is cut at byte {whole}; passed over"]


@pytest.mark.parametrize("key", [b"", KEY], ids=["plain", "XORed"])
def test_a_record_cut_in_the_middle_of_a_file_is_refused(tmp_path: Path, key: bytes) -> None:
    data = records(*CHAIN[:3])[:-30] + records(*CHAIN[3:])
    (tmp_path / "blk00000.dat").write_bytes(obfuscate(data, key))
    if key:
        (tmp_path / "xor.dat").write_bytes(key)
    message = refusal(DecodeError, tmp_path)
    assert "the record before is cut or damaged" in message
    assert f"blk00000.dat at byte {len(records(*CHAIN[:3]))}" in message


def test_a_whole_block_that_ends_in_zeros_is_not_called_cut(tmp_path: Path) -> None:
    """Whoever pays anything can put zeros at the end of a block; the last of a file that is done must not vanish."""
    zeros = assemble(REGTEST, 1, HASHES[0], 1_300_000_000, [TxOut(1, b"\x51"), TxOut(0, b"\x6a" + bytes(200))])
    bare = replace(zeros.transactions[0], inputs=(replace(zeros.transactions[0].inputs[0], witness=()),))
    bare = replace(bare, outputs=zeros.transactions[0].outputs[:2])
    sealed = mined(replace(zeros.header, merkle_root=bare.txid), REGTEST.pow_limit)
    zeros = Block(sealed, (bare,))
    after = assemble(REGTEST, 2, zeros.hash, 1_300_000_600, [TxOut(1, b"\x51")])
    write_block_files(tmp_path, REGTEST, [[CHAIN[0], zeros], [after]])
    assert found(tmp_path) == [HASHES[0], zeros.hash, after.hash]


@pytest.mark.parametrize("length", [0, 1, 79, 80, 4_000_001, 2**31, 2**32 - 1])
def test_an_absurd_record_length_is_refused(tmp_path: Path, length: int) -> None:
    data = records(*CHAIN[:2]) + REGTEST.magic + struct.pack("<I", length) + CHAIN[2].serialise()
    (tmp_path / "blk00000.dat").write_bytes(data)
    assert f"a record of {length} bytes is no block" in refusal(DecodeError, tmp_path)


def test_bytes_between_records_are_refused(tmp_path: Path) -> None:
    (tmp_path / "blk00000.dat").write_bytes(records(CHAIN[0]) + b"\0" + records(CHAIN[1]))
    assert "no block record" in refusal(DecodeError, tmp_path)


def test_a_header_without_proof_of_work_is_refused(tmp_path: Path) -> None:
    nonce = next(n for n in range(99) if int(replace(CHAIN[1].header, nonce=n).hash, 16) > REGTEST.pow_limit)
    idle = replace(CHAIN[1], header=replace(CHAIN[1].header, nonce=nonce))
    (tmp_path / "blk00000.dat").write_bytes(records(CHAIN[0], idle))
    message = refusal(ChainError, tmp_path)
    assert f"at byte {len(records(CHAIN[0])) + 8}" in message
    assert "no proof of work" in message


@pytest.mark.parametrize("name", ["blk00000.dat", "anything.bin"])
def test_garbage_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(np.random.default_rng(1).bytes(5000))
    refusal(DecodeError if name.startswith("blk") else ChainError, path)


def test_a_large_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    path.write_bytes(b"\x1a\x45\xdf\xa3" * 2_100_000)
    assert "1a45dfa3" in refusal(DecodeError, path)


def test_nothing_to_read_is_said(tmp_path: Path) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "holds no blk*.dat file" in refusal(UsageError, empty)
    assert "there is no " in refusal(UsageError, tmp_path / "missing")
    for name, kind in (("blk00000.dat", UsageError), ("raw", DecodeError)):
        path = tmp_path / name
        path.touch()
        refusal(kind, path)
    (empty / "blk00000.dat").touch()
    (empty / "blk00001.dat").write_bytes(bytes(4096))
    assert "there are no blocks in" in refusal(UsageError, empty)


def test_only_a_cut_record_is_nothing_to_read_and_says_why(tmp_path: Path) -> None:
    (tmp_path / "blk00000.dat").write_bytes(records(CHAIN[0])[:150])
    assert "the last record is cut at byte 0" in refusal(UsageError, tmp_path)


@pytest.mark.parametrize("length", [0, 7, 9, 64])
def test_a_key_of_another_length_is_refused(tmp_path: Path, length: int) -> None:
    write_block_files(tmp_path, REGTEST, [CHAIN])
    (tmp_path / "xor.dat").write_bytes(bytes(length))
    assert f"xor.dat has {length} bytes, not 8" in refusal(DecodeError, tmp_path)


def test_a_missing_key_is_asked_for(tmp_path: Path) -> None:
    write_block_files(tmp_path, REGTEST, [CHAIN], key=KEY)
    (tmp_path / "xor.dat").unlink()
    assert "xor.dat must lie beside it" in refusal(DecodeError, tmp_path)


def test_a_key_that_is_another_folders_is_refused(tmp_path: Path) -> None:
    write_block_files(tmp_path, REGTEST, [CHAIN], key=KEY)
    (tmp_path / "xor.dat").write_bytes(KEY[::-1])
    assert "xor.dat does not fit" in refusal(DecodeError, tmp_path)


def test_a_key_beside_plain_files_is_refused(tmp_path: Path) -> None:
    write_block_files(tmp_path, REGTEST, [CHAIN])
    (tmp_path / "xor.dat").write_bytes(KEY)
    assert "move xor.dat away" in refusal(DecodeError, tmp_path)


def test_a_single_block_file_is_read_with_the_key_beside_it(tmp_path: Path) -> None:
    paths = write_block_files(tmp_path, REGTEST, [CHAIN[:4], CHAIN[4:]], key=KEY)
    assert found(paths[1]) == HASHES[4:]


def test_folders_with_different_keys_are_not_mixed(tmp_path: Path) -> None:
    write_block_files(tmp_path / "a", REGTEST, [CHAIN[:4]], key=KEY)
    write_block_files(tmp_path / "b", REGTEST, [CHAIN[4:]])
    assert "ingest them one by one" in refusal(UsageError, tmp_path / "a", tmp_path / "b")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_first_magic_tells_the_network(tmp_path: Path, name: str) -> None:
    network = NETWORKS[name]
    genesis_of_mainnet = bytes.fromhex(
        "0100000000000000000000000000000000000000000000000000000000000000000000003ba3edfd7a7b12b27ac72c3e67768f61"
        "7fc81bc3888a51323a9fb8aa4b1e5e4a29ab5f49ffff001d1dac2b7c"
    )
    genesis_of_litecoin = bytes.fromhex(
        "010000000000000000000000000000000000000000000000000000000000000000000000d9ced4ed1130f7b7faad9be25323ffaf"
        "a33232a17c3edf6cfd97bee6bafbdd97dae5494dffff7f2000000000"
    )
    headers = {"regtest": CHAIN[0].serialise()[:80], "litecoin-regtest": genesis_of_litecoin}
    block = headers.get(name, genesis_of_mainnet) + CHAIN[0].serialise()[80:]
    path = tmp_path / "blk00000.dat"
    path.write_bytes(record(network, block))
    with open_source([path]) as source:
        assert source.network is network
    for other in NETWORKS:
        if other != name:
            assert f"a {name} record, but {other} is being read" in refusal(UsageError, path, network=other)
            assert f"--network {name}" in refusal(UsageError, path, network=other)


def test_a_difficulty_easier_than_the_networks_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "blk00000.dat"
    path.write_bytes(record(NETWORKS["mainnet"], CHAIN[1]))
    assert "claims a difficulty (207fffff) that mainnet does not allow" in refusal(ChainError, path)


@pytest.mark.parametrize("form", ["binary", "hex", "upper-case hex in lines"])
def test_a_raw_block_is_read_in_every_form(tmp_path: Path, form: str) -> None:
    raw = CHAIN[3].serialise()
    text = raw.hex()
    lines = "\n".join(text[i : i + 64] for i in range(0, len(text), 64)).upper() + "\n"
    path = tmp_path / "block"
    path.write_bytes({"binary": raw, "hex": text.encode()}.get(form, lines.encode()))
    with open_source([path], REGTEST) as source:
        assert [block.name for block in source.blocks] == [HASHES[3]]
        assert plain_bytes(source) == [raw]


def test_a_raw_block_of_another_network_asks_for_the_network(tmp_path: Path) -> None:
    path = tmp_path / "block"
    path.write_bytes(CHAIN[3].serialise())
    message = refusal(ChainError, path)
    assert "read as a raw block of mainnet" in message
    assert "--network" in message


@pytest.mark.parametrize("text", [b"ab" * 80 + b"a", b"zz" * 300, b"", b"a"])
def test_text_that_is_no_hex_of_a_block_is_refused(tmp_path: Path, text: bytes) -> None:
    path = tmp_path / "block"
    path.write_bytes(text)
    refusal(ChainError if text.startswith(b"z") else DecodeError, path)


@pytest.mark.skipif(sys.platform == "win32", reason="the limit is POSIX")
def test_a_node_has_more_files_than_a_process_may_open(tmp_path: Path) -> None:
    import resource  # noqa: PLC0415 (not everywhere)

    write_block_files(tmp_path, REGTEST, [[CHAIN[number % 8]] for number in range(100)], key=KEY)
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (80, before[1]))
    try:
        with open_source([tmp_path]) as source:
            assert plain_bytes(source) == [block.serialise() for block in CHAIN]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@contextmanager
def without_rights() -> Iterator[None]:
    """Where tests run as root, whom no permission stops."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.skipif(sys.platform == "win32", reason="permissions are POSIX")
@pytest.mark.parametrize("what", ["file", "folder", "key"])
def test_what_may_not_be_read_is_named(what: str) -> None:
    with TemporaryDirectory() as name:
        base = Path(name)
        (path,) = write_block_files(base, REGTEST, [CHAIN], key=KEY, chunk=0)
        forbidden = {"file": path, "folder": base, "key": base / "xor.dat"}[what]
        base.chmod(0o755)
        forbidden.chmod(0)
        try:
            with without_rights():
                message = refusal(UsageError, base)
        finally:
            forbidden.chmod(0o755)
    assert str(forbidden) in message


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_spoiled_block_file_is_read_or_refused_but_never_fails(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(obfuscate(records(*CHAIN), KEY) + bytes(64))
    (tmp_path / "xor.dat").write_bytes(KEY)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 12))] = data.draw(st.binary(max_size=12))
    path = tmp_path / "blk00000.dat"
    path.write_bytes(bytes(raw))
    try:
        with open_source([tmp_path]) as source:
            assert all(
                len(piece) == block.size for piece, block in zip(plain_bytes(source), source.blocks, strict=True)
            )
    except CalibarError as error:
        assert "\n" not in str(error)
