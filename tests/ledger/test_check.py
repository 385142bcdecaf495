"""`ledger check` finds what was changed in a stored ledger, wherever it is, and says where."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import Block, Transaction, TxIn, TxOut, assemble, record
from calibar.errors import ChainError, LedgerError
from calibar.ledger import manifest as manifests
from calibar.ledger.check import check
from calibar.ledger.columns import CHUNK, column_path, sums_path
from calibar.ledger.ingest import ingest
from calibar.ledger.schema import BY_KEY, COLUMNS, IN_PLACE, UNSPENT, Column
from calibar.ledger.snapshot import LAST_COIN, Snapshot
from calibar.ledger.view import INDEX, slots_path
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]
COIN = 10**8


def _to(who: int, value: int) -> TxOut:
    return TxOut(value, script.p2wpkh(bytes([who]) * 20))


def _pay(*coins: str, outputs: list[TxOut]) -> Transaction:
    return Transaction(2, tuple(TxIn(coin[:64], int(coin[65:])) for coin in coins), tuple(outputs))


def _coin(transaction: Transaction, vout: int = 0) -> str:
    return f"{transaction.txid}:{vout}"


def chain() -> list[Block]:
    """Eight blocks in which every column has something to say: fees, reuse, data, spends within a block and later."""
    blocks = [genesis()]

    def mine(*transactions: Transaction, who: int = 1, fees: int = 0) -> Transaction:
        height, reward = len(blocks), _to(who, 50 * COIN + fees)
        block = assemble(REGTEST, height, blocks[-1].hash, 1_700_000_000 + height, [reward], transactions=transactions)
        blocks.append(block)
        return block.transactions[0]

    one, two = mine(), mine(who=2)
    three = mine(_pay(_coin(one), outputs=[_to(3, 20 * COIN), _to(1, 29 * COIN), _to(4, COIN - 500)]), fees=500)
    split = blocks[-1].transactions[1]
    inner = _pay(_coin(split), _coin(two), outputs=[_to(5, 70 * COIN - 900), TxOut(600, script.op_return(b"note"))])
    mine(inner, _pay(_coin(inner), outputs=[_to(3, 69 * COIN), _to(3, COIN - 900)]), fees=300)
    mine(_pay(_coin(three), _coin(split, 2), outputs=[_to(2, 51 * COIN)]))
    mine()
    mine(who=6)
    return blocks


def bulky(start: list[Block]) -> list[Block]:
    """The chain and a block whose scripts fill more than one chunk of a column."""
    outputs = [TxOut(0, script.op_return(bytes([n]) * 9_000)) for n in range(CHUNK // 9_000 + 8)]
    return [*start, assemble(REGTEST, len(start), start[-1].hash, 1_700_001_000, outputs)]


def _ingested(folder: Path, blocks: list[Block], *, island: bool = False, name: str = "ledger") -> Path:
    file = folder / "chain.dat"
    file.write_bytes(b"".join(record(REGTEST, block) for block in blocks))
    ingest([file], folder / name, island=island)
    return folder / name


@pytest.fixture(scope="module", params=["chain", "island"])
def sound(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound ledger: of a whole chain, or of an island that spends coins from before it."""
    blocks = {"chain": chain(), "island": chain()[2:]}[request.param]
    return _ingested(tmp_path_factory.mktemp(request.param), blocks, island=request.param == "island")


@pytest.fixture(scope="module")
def chunks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A sound ledger with a column that fills more than one chunk."""
    return _ingested(tmp_path_factory.mktemp("chunks"), bulky(chain()))


@pytest.fixture
def ledger(sound: Path, tmp_path: Path) -> Path:
    """A copy to be spoilt."""
    return Path(shutil.copytree(sound, tmp_path / "ledger"))


def _length(ledger: Path, column: Column) -> int:
    return column.length(Snapshot(ledger).counts[column.table])


def _write(path: Path, at: int, data: bytes) -> bytes:
    """Write into a file; gives what was there."""
    with path.open("r+b") as file:
        file.seek(at)
        before = file.read(len(data))
        file.seek(at)
        file.write(data)
    return before


@contextmanager
def flipped(path: Path, at: int, mask: int = 0x10) -> Iterator[None]:
    """A file with one byte changed, for a while."""
    (byte,) = path.read_bytes()[at : at + 1]
    _write(path, at, bytes([byte ^ mask]))
    try:
        yield
    finally:
        _write(path, at, bytes([byte]))


@contextmanager
def put_back(*paths: Path) -> Iterator[None]:
    """Files that may be spoilt, for a while."""
    contents = [path.read_bytes() for path in paths]
    try:
        yield
    finally:
        for path, content in zip(paths, contents, strict=True):
            if path.is_dir():
                path.rmdir()
            path.write_bytes(content)


def _spread(length: int, most: int = 12) -> list[int]:
    """Places all over a file, its first and last byte among them."""
    return sorted({0, length - 1, *range(0, length, max(1, length // most))})


def test_a_sound_ledger_is_sound(sound: Path) -> None:
    assert check(sound) == []


def test_checking_changes_nothing(ledger: Path) -> None:
    before = {path: path.read_bytes() for path in ledger.rglob("*") if path.is_file()}
    check(ledger)
    assert {path: path.read_bytes() for path in ledger.rglob("*") if path.is_file()} == before


def test_progress_is_told_in_order(sound: Path) -> None:
    told: list[tuple[str, int, int]] = []
    check(sound, lambda *step: told.append(step))
    assert list(dict.fromkeys(what for what, _, _ in told)) == ["summing", "headers", "re-adding", "index"]
    assert all(0 <= done <= total for _, done, total in told)


def test_an_empty_ledger_is_sound(tmp_path: Path) -> None:
    with pytest.raises(LedgerError):
        check(tmp_path / "ledger")
    manifest = _ingested(tmp_path, chain()[:1])
    assert check(manifest) == []


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_a_changed_byte_is_found_in_every_column(column: Column, sound: Path) -> None:
    length = _length(sound, column)
    if length == 0:
        assert column.table == "outside" and not Snapshot(sound).manifest.island
    for at in _spread(length) if length else ():
        with flipped(column_path(sound, column), at):
            damage = check(sound)
        assert any(column.key in line for line in damage), f"byte {at}: {damage}"
    assert check(sound) == []


def test_every_changed_mark_of_a_spend_is_found(sound: Path) -> None:
    path, count = column_path(sound, BY_KEY[IN_PLACE]), Snapshot(sound).counts["inputs"]
    marks = np.fromfile(path, np.int64)
    spent = np.flatnonzero(marks != UNSPENT)
    unspent = np.flatnonzero(marks == UNSPENT)
    assert spent.size and unspent.size
    for coin, mark in [(spent[0], UNSPENT), (spent[0], marks[spent[1]]), (spent[-1], count), (unspent[0], 0)] + [
        (unspent[-1], mark) for mark in (-1, count - 1, count, count + 1, UNSPENT - 1)
    ]:
        with put_back(path):
            changed = marks.copy()
            changed[coin] = mark
            changed.tofile(path)
            damage = check(sound)
        assert any(IN_PLACE in line for line in damage), f"coin {coin} spent by {mark}: {damage}"


@pytest.mark.parametrize("name", ["txids", "addresses"])
def test_a_changed_entry_of_an_index_is_found(name: str, sound: Path) -> None:
    """Slots that hold nothing may hold anything: a search ends there all the same."""
    path = slots_path(sound, name, Snapshot(sound).manifest.index[name])
    taken = np.flatnonzero(np.fromfile(path, np.uint64))
    for at in [8 * int(slot) + byte for slot in taken[:: max(1, taken.size // 4)] for byte in range(8)]:
        with flipped(path, at):
            assert any("index" in line for line in check(sound)), f"byte {at}"
    assert check(sound) == []


def test_two_index_entries_that_changed_places_are_found(sound: Path) -> None:
    path = slots_path(sound, "addresses", Snapshot(sound).manifest.index["addresses"])
    slots = np.fromfile(path, np.uint64)
    one, two = np.flatnonzero(slots)[:2]
    slots[one], slots[two] = slots[two], slots[one]
    with put_back(path):
        slots.tofile(path)
        assert any("index" in line for line in check(sound))


def test_a_changed_last_coin_of_an_address_is_found(sound: Path) -> None:
    path, addresses = sound / INDEX / LAST_COIN, Snapshot(sound).counts["addresses"]
    for at in _spread(8 * addresses, 32):
        with flipped(path, at):
            assert check(sound), f"byte {at}"
    for entry in (-1, 0, Snapshot(sound).counts["coins"], UNSPENT):
        with put_back(path):
            _write(path, 8 * (addresses - 1), entry.to_bytes(8, "little", signed=True))
            assert check(sound), f"entry {entry}"


def test_every_changed_byte_of_the_manifest_is_found(ledger: Path) -> None:
    path = ledger / manifests.NAME
    said = path.read_bytes()
    version = said.index(b'"format": ') + len('"format": ')
    for at in range(len(said)):
        with flipped(path, at, 1):
            if at == version:  # another format is not for this check to judge
                with pytest.raises(LedgerError, match="format"):
                    check(ledger)
            else:
                assert any(manifests.NAME in line for line in check(ledger)), f"byte {at}"
    assert check(ledger) == []


@pytest.mark.parametrize("column", COLUMNS, ids=lambda column: column.key)
def test_a_column_cut_short_or_missing_is_found(column: Column, sound: Path) -> None:
    path, length = column_path(sound, column), _length(sound, column)
    if length == 0:
        return
    with put_back(path):
        for cut in (length - 1, length // 2, 0):
            with path.open("r+b") as file:
                file.truncate(cut)
            assert any(column.key in line for line in check(sound)), f"cut to {cut} bytes"
        path.unlink()
        assert any(column.key in line for line in check(sound))
        path.mkdir()
        assert any(column.key in line for line in check(sound))


def test_a_missing_index_is_found(ledger: Path) -> None:
    for path in sorted((ledger / INDEX).iterdir()):
        hidden = path.rename(path.with_suffix(".hidden"))
        assert any(path.name in line for line in check(ledger))
        hidden.rename(path)
    assert check(ledger) == []


def test_changed_sums_of_full_chunks_are_found(chunks: Path) -> None:
    (column,) = [column for column in COLUMNS if column.digested and _length(chunks, column) >= CHUNK]
    path = sums_path(chunks, column)
    for at in _spread(32):
        with flipped(path, at):
            assert any(column.key in line for line in check(chunks)), f"byte {at}"
    with put_back(path):
        path.unlink()
        assert any(column.key in line for line in check(chunks))


def test_damage_is_found_in_each_chunk(chunks: Path) -> None:
    column = BY_KEY["scripts.byte"]
    length = _length(chunks, column)
    assert check(chunks) == []
    for at in (0, CHUNK - 1, CHUNK, length - 1):
        with flipped(column_path(chunks, column), at):
            (line,) = check(chunks)
        first = at // CHUNK * CHUNK
        assert column.key in line
        assert f"{first} to {min(first + CHUNK, length)}" in line


def test_columns_that_changed_places_are_found(sound: Path) -> None:
    for one, two in (("coins.value", "coins.previous"), ("blocks.fees", "blocks.utxo_value")):
        paths = [column_path(sound, BY_KEY[key]) for key in (one, two)]
        with put_back(*paths):
            for path, content in zip(paths, [path.read_bytes() for path in reversed(paths)], strict=True):
                path.write_bytes(content)
            damage = check(sound)
        assert any(one in line for line in damage) and any(two in line for line in damage)


def test_tails_that_changed_places_are_found(ledger: Path) -> None:
    manifest = manifests.read(ledger)
    tails = dict(manifest.tails)
    tails["coins.value"], tails["coins.address"] = tails["coins.address"], tails["coins.value"]
    manifests.write(ledger, replace(manifest, tails=tails))
    damage = check(ledger)
    assert any("coins.value" in line for line in damage) and any("coins.address" in line for line in damage)


def test_what_lies_beyond_the_committed_length_is_nothing(ledger: Path, tmp_path: Path) -> None:
    """A crash may leave any bytes there; they are neither read nor kept."""
    before = Snapshot(ledger).info()
    for path in (*ledger.glob("*.bin"), *ledger.glob("*.sums")):
        with path.open("ab") as file:
            file.write(b"left over by a crash" * 5)
    assert check(ledger) == []
    assert Snapshot(ledger).info() == before
    if before["island"]:
        return
    following = assemble(REGTEST, before["blocks"], chain()[-1].hash, 1_700_002_000, [_to(7, COIN)])
    went_on = ingest([_file(tmp_path, following)], ledger)
    clean = _ingested(tmp_path, [*chain(), following], name="clean")
    assert went_on["digest"] == Snapshot(clean).digest
    assert check(ledger) == []


def _file(folder: Path, block: Block) -> Path:
    path = folder / "next.dat"
    path.write_bytes(record(REGTEST, block))
    return path


def test_what_a_refused_block_left_behind_is_no_damage(tmp_path: Path) -> None:
    """It pays known addresses and spends known coins before it is found out: the marks are still there."""
    blocks = chain()
    ledger = _ingested(tmp_path, blocks)
    reward = blocks[-1].transactions[0]
    good = _pay(_coin(reward), outputs=[_to(3, 50 * COIN)])
    bad = _pay(_coin(reward), outputs=[_to(3, 49 * COIN)])
    block = assemble(REGTEST, len(blocks), blocks[-1].hash, 1_700_002_000, [_to(1, COIN)], transactions=[good, bad])
    with pytest.raises(ChainError, match="spent already"):
        ingest([_file(tmp_path, block)], ledger)
    assert check(ledger) == []


def _forge(ledger: Path, key: str, change: Callable[[Any], None]) -> None:
    """Change a column and make its sums fit, as a defect of the writer would."""
    column, manifest = BY_KEY[key], manifests.read(ledger)
    path = column_path(ledger, column)
    numbers = np.fromfile(path, column.dtype)
    if column.width > 1:
        numbers = numbers.reshape(-1, column.width)
    change(numbers)
    numbers.tofile(path)
    digest = sha256(path.read_bytes()[: _length(ledger, column)]).hexdigest()
    manifests.write(ledger, replace(manifest, tails={**manifest.tails, key: digest}))


def _add(row: int, amount: int = 1) -> Callable[[Any], None]:
    def change(numbers: Any) -> None:
        numbers[row] += amount

    return change


FORGERIES: list[tuple[str, Callable[[Any], None]]] = [
    ("coins.value", _add(3)),
    ("transactions.fee", _add(-1)),
    ("transactions.fee", _add(3, -1)),
    ("inputs.coin", _add(-1, -2)),
    ("inputs.coin", _add(0, 1000)),
    ("inputs.coin", _add(0, -1000)),
    ("blocks.fees", _add(3)),
    ("blocks.unspent_value", _add(-1)),
    ("blocks.hash", _add(2)),
    ("blocks.work", _add(-1)),
    ("blocks.header", _add(4)),
    ("blocks.first_tx", _add(3, 100)),
    ("blocks.first_tx", _add(-1)),
    ("blocks.first_tx", _add(0)),
    ("blocks.first_address", _add(2, -50)),
    ("blocks.first_coinbase_byte", _add(-1)),
    ("transactions.first_input", _add(2, 100)),
    ("transactions.first_coin", _add(2, -100)),
    ("addresses.first_byte", _add(1, 10**9)),
    ("transactions.txid", _add(1)),
    ("scripts.byte", _add(5)),
    ("coins.address", _add(1)),
    ("coins.address", _add(1, -1000)),
    ("coins.previous", _add(-1, 10**6)),
    ("coins.previous", _add(-1, -(10**6))),
]


@pytest.mark.parametrize(("key", "change"), FORGERIES, ids=[key for key, _ in FORGERIES])
def test_facts_that_do_not_fit_are_found_though_their_sums_do(
    key: str, change: Callable[[Any], None], tmp_path: Path
) -> None:
    ledger = _ingested(tmp_path, chain())
    assert check(ledger) == []
    _forge(ledger, key, change)
    assert check(ledger)


def test_damage_is_one_line_each(sound: Path) -> None:
    with ExitStack() as spoilt:
        for key in ("coins.value", "blocks.hash", "inputs.sequence"):
            spoilt.enter_context(flipped(column_path(sound, BY_KEY[key]), 0))
        damage = check(sound)
    assert len(damage) == 3
    assert not any("\n" in line for line in damage)
