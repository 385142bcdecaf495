"""Runs that start later than genesis: what comes from outside is named and unknown, never zero."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pbk
import pytest
from chain_builder import COIN, REWARD, Chain, coin, old_coinbase, pay, read_in, unsynced, write

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import Block, record
from calibar.errors import ChainError, LedgerError, UsageError
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

TESTNET3 = NETWORKS["testnet3"]


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


def a_chain() -> Chain:
    """Blocks 3 to 8 spend coins of blocks 1 and 2, and each other's."""
    chain = Chain()
    chain.mine_empty(2)
    inside = pay(coin(chain.coinbase(2)), (50 * COIN, "a"))
    chain.mine(inside)
    chain.mine(pay([coin(chain.coinbase(1)), coin(inside)], (99 * COIN, "b")))
    own = pay(coin(chain.coinbase(4)), (COIN, "c"), (48 * COIN, "a"))
    chain.mine(own, pay(coin(own), (COIN, "d")))
    chain.mine_empty(3)
    return chain


CHAIN = a_chain()
LATE = CHAIN.blocks[3:]


def outside(ledger: Snapshot) -> list[str]:
    rows = [row for row, spent in enumerate(ledger["inputs.coin"].tolist()) if spent == -1]
    assert ledger["outside.input"].tolist() == rows
    return [outside_name(ledger, row) for row in rows]


def outside_name(ledger: Snapshot, input_: int) -> str:
    """`txid:vout` of a coin from outside, by the input that spends it."""
    (row,) = (ledger["outside.input"] == input_).nonzero()[0]
    return f"{bytes(ledger['outside.txid'][row])[::-1].hex()}:{int(ledger['outside.output'][row])}"


def test_coins_from_outside_keep_their_names(tmp_path: Path) -> None:
    ledger = read_in(tmp_path / "island", LATE, island=True)
    assert outside(ledger) == [coin(CHAIN.coinbase(2)).coin, coin(CHAIN.coinbase(1)).coin]
    assert ledger["transactions.fee"].tolist() == [0, -1, 0, -1, 0, 2 * COIN, 0, 0, 0, 0]
    assert ledger["blocks.fees"].tolist() == [-1, -1, 2 * COIN, 0, 0, 0]
    assert check(ledger.folder) == []


def test_an_island_says_what_it_does_not_know(tmp_path: Path) -> None:
    info = read_in(tmp_path / "island", LATE, island=True).info()
    assert info["island"] is True
    assert (info["first_height"], info["height"], info["blocks"]) == (3, 8, 6)
    assert info["fees"] is None
    assert info["unknown_inputs"] == 2
    made = [output for block in LATE for tx in block.transactions for output in tx.outputs]
    assert info["coins"] == len(made)
    assert info["unspent_coins"] == len(made) - 3
    spent = 50 * COIN + (REWARD + COIN) + COIN
    assert info["unspent_value"] == sum(output.value for output in made) - spent


def test_an_island_grows_as_it_would_have_been_taken_whole(tmp_path: Path) -> None:
    whole = read_in(tmp_path / "whole", LATE, island=True)
    for options in ({"island": True}, {}):
        ledger = tmp_path / f"grown-{len(options)}"
        read_in(ledger, LATE[:2], island=True)
        assert read_in(ledger, LATE, **options).digest == whole.digest


def test_an_island_does_not_grow_backwards(tmp_path: Path) -> None:
    island = read_in(tmp_path / "island", LATE, island=True)
    again = read_in(tmp_path / "island", CHAIN.blocks, island=True)
    assert again.digest == island.digest


def test_an_island_ends_where_it_is_told(tmp_path: Path) -> None:
    ledger = read_in(tmp_path / "island", LATE, island=True, to_height=5)
    assert (ledger.height, ledger.counts["blocks"]) == (5, 3)
    assert read_in(tmp_path / "island", LATE, island=True).height == 8


def test_an_island_that_ends_before_it_begins_is_a_wrong_question(tmp_path: Path) -> None:
    """At the least nothing is taken; what must not happen is that all is."""
    try:
        ledger = read_in(tmp_path / "island", LATE, island=True, to_height=1)
    except (UsageError, LedgerError):
        return
    assert ledger.counts["blocks"] == 0


def test_an_island_is_reorganised_like_any_chain(tmp_path: Path) -> None:
    side = CHAIN.fork(5, "side").mine_empty(5)
    ledger = read_in(tmp_path / "island", LATE, island=True)
    fresh = read_in(tmp_path / "fresh", side.blocks[3:], island=True)
    assert read_in(ledger.folder, side.blocks[6:]).digest == fresh.digest


def test_what_is_known_inside_an_island_is_checked(tmp_path: Path) -> None:
    inside = LATE[0].transactions[1]
    cases: list[tuple[str, Block]] = []
    for reason, inputs, value in (
        ("does not exist", [coin(inside, 1)], 1),
        ("spent already", [coin(inside)], 1),
        ("more than it takes in", [coin(CHAIN.coinbase(8))], 51 * COIN),
    ):
        cases.append((reason, CHAIN.fork(8, "miner").mine(pay(inputs, (value, "a")))))
    cases.append(("claims more than", CHAIN.fork(8, "miner").mine(claim=REWARD + 1)))
    for number, (reason, block) in enumerate(cases):
        ledger = read_in(tmp_path / f"island-{number}", LATE, island=True)
        with pytest.raises(ChainError, match=reason):
            read_in(ledger.folder, [block])
        assert Snapshot(ledger.folder).digest == ledger.digest


def test_a_claim_that_unknown_fees_may_explain_is_let_pass(tmp_path: Path) -> None:
    block = CHAIN.fork(8, "miner").mine(pay(coin(CHAIN.coinbase(2)), (COIN, "a")), claim=REWARD + 40 * COIN)
    assert read_in(tmp_path / "island", [block], island=True).info()["fees"] is None


def test_an_island_before_bip34_has_no_heights(tmp_path: Path) -> None:
    chain = Chain()
    for number in range(4):
        chain.seal(old_coinbase((REWARD, "a"), script_sig=b"miner %d" % number))
    blocks = [Block(block.header, block.transactions) for block in chain.blocks[2:]]
    ledger = read_in(tmp_path / "island", blocks, island=True)
    info = ledger.info()
    assert (info["first_height"], info["height"]) == (None, None)
    assert ledger.height_of(0) is None
    assert info["blocks"] == 3
    for folder in ("island", "other"):
        with pytest.raises(UsageError, match="leave --to-height out"):
            read_in(tmp_path / folder, blocks, island=True, to_height=3)


def test_of_scattered_blocks_one_run_is_taken_and_the_rest_is_noted(tmp_path: Path) -> None:
    write(tmp_path / "blocks", [CHAIN.blocks[2], *CHAIN.blocks[4:7], CHAIN.blocks[8]])
    info = ingest([tmp_path / "blocks"], tmp_path / "island", island=True)
    assert (info["first_height"], info["height"]) == (4, 6)
    assert any(note.startswith("2 blocks ") for note in info["notes"])


def test_an_island_may_begin_at_genesis(tmp_path: Path) -> None:
    whole = read_in(tmp_path / "whole", CHAIN.blocks)
    island = read_in(tmp_path / "island", CHAIN.blocks, island=True)
    assert island.digest == whole.digest
    assert island.info()["island"] is False


# The world's.


def names_of(path: Path) -> list[list[str]]:
    """The coins that each transaction spends, as Bitcoin Core's parser gives them."""
    block = pbk.Block(path.read_bytes())
    return [
        [f"{txin.out_point.txid}:{txin.out_point.index}" for txin in transaction.inputs] if place else []
        for place, transaction in enumerate(block.transactions)
    ]


def test_a_real_block_alone_is_an_island(data: Path, tmp_path: Path) -> None:
    path = data / "bitcoin" / "blocks" / "testnet3-928828.raw"
    info = ingest([path], tmp_path / "island", network=TESTNET3, island=True)
    ledger = Snapshot(tmp_path / "island")
    assert (info["network"], info["first_height"], info["height"]) == ("testnet3", 928828, 928828)
    assert info["fees"] is None
    spent = [name for names in names_of(path) for name in names]
    resolved = [
        ledger.coin_name(made) if made >= 0 else outside_name(ledger, row)
        for row, made in enumerate(ledger["inputs.coin"].tolist())
    ]
    assert resolved == spent
    txids = {ledger.txid(row) for row in range(info["transactions"])}
    assert outside(ledger) == [name for name in spent if name.split(":")[0] not in txids]
    assert info["unknown_inputs"] == len(outside(ledger)) == 1963
    assert check(ledger.folder) == []


def test_two_real_blocks_in_a_row_are_one_island_in_any_order(data: Path, tmp_path: Path) -> None:
    paths = [data / "bitcoin" / "blocks" / f"testnet3-{height}.raw" for height in (928849, 928848)]
    both = ingest(paths, tmp_path / "both", network=TESTNET3, island=True)
    assert (both["first_height"], both["height"]) == (928848, 928849)
    ingest(paths[1:], tmp_path / "one", network=TESTNET3, island=True)
    grown = ingest(paths[:1], tmp_path / "one", network=TESTNET3)
    assert grown["digest"] == both["digest"]


@pytest.mark.parametrize(
    ("name", "heights"),
    [
        ("block2019Jan.blk", (556977, 556977)),
        ("multiblock.blk", (332208, 332208)),
        ("scriptwitness2.blk", (482253, 482253)),
    ],
)
def test_real_block_files_are_islands(data: Path, tmp_path: Path, name: str, heights: tuple[int, int]) -> None:
    info = ingest([data / "bitcoin" / "blocks" / name], tmp_path / "island", island=True)
    assert (info["first_height"], info["height"]) == heights
    assert check(tmp_path / "island") == []


@pytest.mark.parametrize("forms", [["binary", "hex"], ["record", "binary"]], ids="-".join)
def test_forms_of_one_block_are_one_block(data: Path, tmp_path: Path, forms: Sequence[str]) -> None:
    raw = (data / "bitcoin" / "blocks" / "testnet3-928828.raw").read_bytes()
    written = {"binary": raw, "hex": raw.hex().encode(), "record": record(TESTNET3, raw)}
    for form in forms:
        (tmp_path / form).write_bytes(written[form])
    info = ingest([tmp_path / form for form in forms], tmp_path / "island", network=TESTNET3, island=True)
    assert info["blocks"] == 1
