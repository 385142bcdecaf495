"""Each thing that a chain must not do is refused in one line, and leaves the ledger as it was."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from chain_builder import (
    COIN,
    REGTEST,
    REWARD,
    Chain,
    coin,
    old_coinbase,
    pay,
    read_in,
    seal,
    small_batches,
    unsynced,
    write,
)
from naive import Model, assert_agrees

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.transaction import Block, Transaction, TxIn, merkle_root, mined
from calibar.errors import CalibarError, ChainError, DecodeError, LedgerError, UsageError
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

LONG = b"\x51" * 10_001


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


def base_chain() -> Chain:
    """Coins to spend: block 1's coinbase whole, block 2's in four, one of them spent, two of them dead."""
    chain = Chain()
    chain.mine_empty(2)
    split = pay(coin(chain.coinbase(2)), (COIN, "a"), (COIN, script.op_return(b"x")), (COIN, LONG), (40 * COIN, "b"))
    chain.mine(split)
    chain.mine(pay(coin(split), (COIN, "c")))
    return chain


BASE = base_chain()
FIRST, SPLIT = BASE.coinbase(1), BASE.blocks[3].transactions[1]
SPENT, DATA, TOO_LONG, OPEN = (coin(SPLIT, vout) for vout in range(4))
WHOLE = coin(FIRST)
GENESIS_COIN = coin(BASE.coinbase(0))


def block_of(*transactions: Transaction, claim: int | None = None) -> tuple[Block, Transaction]:
    """A next block and its guilty transaction: the last one."""
    block = BASE.fork(4, "miner").mine(*transactions, claim=claim)
    return block, block.transactions[-1]


def own_coinbase() -> tuple[Block, Transaction]:
    """A coinbase can be spent in its own block only where no commitment ties it to the spender."""
    first = old_coinbase((COIN, "a"))
    thief = pay(coin(first), (COIN, "b"))
    return seal(BASE.tip.hash, [first, thief]), thief


def claims_too_much() -> tuple[Block, Transaction]:
    block, _ = block_of(pay(OPEN, (30 * COIN, "a")), claim=REWARD + 10 * COIN + 1)
    return block, block.transactions[0]


LATER = pay(WHOLE, (1, "a"))
TWO = pay(OPEN, (1, "a")), pay(OPEN, (2, "b"))
CASES: dict[str, tuple[str, Callable[[], tuple[Block, Transaction]]]] = {
    "an unknown transaction": ("a coin that does not exist", lambda: block_of(pay(TxIn("ab" * 32, 0), (0, "a")))),
    "an output that is not": ("a coin that does not exist", lambda: block_of(pay(coin(SPLIT, 4), (0, "a")))),
    "the last output of all": ("a coin that does not exist", lambda: block_of(pay(coin(SPLIT, 2**32 - 1), (0, "a")))),
    "genesis": ("a coin that does not exist", lambda: block_of(pay(GENESIS_COIN, (1, "a")))),
    "a later transaction": ("a coin that does not exist", lambda: block_of(LATER, pay(coin(LATER, 1), (1, "b")))),
    "a coin of an earlier session": ("spent already", lambda: block_of(pay(SPENT, (1, "a")))),
    "a coin twice": ("spent already", lambda: block_of(pay([OPEN, WHOLE, OPEN], (1, "a")))),
    "a coin of its block twice": ("spent already", lambda: block_of(*TWO)),
    "more than it has": ("pays out more than it takes in", lambda: block_of(pay(OPEN, (40 * COIN + 1, "a")))),
    "from nothing": ("pays out more than it takes in", lambda: block_of(pay(OPEN, (39 * COIN, "a"), (2 * COIN, "b")))),
    "more than the subsidy": ("claims more than", lambda: block_of(claim=REWARD + 1)),
    "more than the fees": ("claims more than", claims_too_much),
    "more than all money": ("more than can exist", lambda: block_of(claim=REGTEST.max_money)),
    "its own coinbase": ("its own block's coinbase", own_coinbase),
    "a data carrier": ("a coin that nobody can spend", lambda: block_of(pay(DATA, (1, "a")))),
    "too long a script": ("a coin that nobody can spend", lambda: block_of(pay(TOO_LONG, (1, "a")))),
}


def refused(ledger: Path, blocks: Sequence[Block | bytes], kind: type[CalibarError], **options: object) -> str:
    with pytest.raises(kind) as caught:
        read_in(ledger, blocks, **options)
    assert type(caught.value) is kind
    assert "\n" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("what", CASES)
def test_a_chain_that_spends_wrongly_is_refused(tmp_path: Path, what: str) -> None:
    reason, make = CASES[what]
    block, guilty = make()
    ledger = tmp_path / "ledger"
    before = read_in(ledger, BASE.blocks)
    after = Chain([*BASE.blocks, block]).mine()
    message = refused(ledger, [*BASE.blocks, block, after], ChainError)
    assert reason in message
    assert block.hash in message
    assert guilty.txid in message
    assert str(tmp_path / "ledger.blk") in message
    assert Snapshot(ledger).digest == before.digest
    _assert_still_good(ledger)


def _assert_still_good(ledger: Path) -> None:
    """The ledger says what it said, and goes on with a good block that spends what the bad one wanted to."""
    for identity in range(Snapshot(ledger).counts["addresses"]):
        assert Snapshot(ledger).coins_of(identity).tolist() == list(Model(BASE.blocks).scripts.values())[identity]
    good = BASE.fork(4, "miner")
    good.mine(pay([OPEN, WHOLE], (3 * COIN, "d"), (4 * COIN, "a")))
    assert_agrees(read_in(ledger, good.blocks), Model(good.blocks))


def test_good_blocks_before_the_bad_one_are_kept_batch_by_batch(tmp_path: Path) -> None:
    block, _ = block_of(pay(SPENT, (1, "a")))
    ledger, blocks = tmp_path / "ledger", [*BASE.blocks, block]
    small = replace(REGTEST, max_block_bytes=max(len(b.serialise()) for b in blocks))
    for number in range(3):  # again, and again: nothing is lost or doubled
        refused(ledger, blocks, ChainError, network=small, memory_mb=0)
        snapshot = Snapshot(ledger)
        assert 0 <= snapshot.height <= 4, number
        assert_agrees(snapshot, Model(BASE.blocks[: snapshot.height + 1]))
    assert snapshot.height >= 3, "only what shares the bad one's batch is missing"


@pytest.mark.parametrize("apart", [1, 2, 5])
def test_a_coin_spent_in_an_earlier_batch_stays_spent(tmp_path: Path, apart: int) -> None:
    chain = BASE.fork(4, "miner")
    chain.mine(pay(OPEN, (39 * COIN, "a"), (COIN, LONG)))
    chain.mine_empty(apart - 1)
    thief = pay(OPEN, (1, "thief"))
    bad = chain.mine(thief)
    message = refused(tmp_path / "ledger", chain.blocks, ChainError, network=small_batches(chain.blocks), memory_mb=0)
    assert f"transaction {thief.txid} spends a coin that is spent already (input 0: {OPEN.coin})" in message
    assert bad.hash in message


def test_the_subsidy_halves(tmp_path: Path) -> None:
    chain = Chain().mine_empty(149)
    ledger = tmp_path / "ledger"
    greedy = chain.fork(149, "miner")
    greedy.mine(claim=25 * COIN + 1)
    assert "claims more than" in refused(ledger, greedy.blocks, ChainError)
    chain.mine(claim=25 * COIN)
    assert_agrees(read_in(ledger, chain.blocks), Model(chain.blocks))


def test_a_coinbase_may_claim_less(tmp_path: Path) -> None:
    """Bitcoin lost coins so, more than once."""
    chain = BASE.fork(4, "miner")
    chain.mine(pay(OPEN, (39 * COIN, "a")), claim=0)
    assert_agrees(read_in(tmp_path / "ledger", chain.blocks), Model(chain.blocks))


GOOD = BASE.fork(4, "miner")
GOOD.mine(pay(OPEN, (40 * COIN, "a")), pay(coin(FIRST, 0, b"witness"), (50 * COIN, "b")))


def _resealed(transactions: Sequence[Transaction], root: str | None = None) -> Block:
    root = root or merkle_root([transaction.txid for transaction in transactions])
    return Block(mined(replace(GOOD.tip.header, merkle_root=root), REGTEST.pow_limit), tuple(transactions))


def spoiled() -> dict[str, tuple[type[CalibarError], Block | bytes]]:
    """Ways to spoil block 5 itself. The witness in it is committed to."""
    first, one, two = GOOD.tip.transactions
    bare = replace(first, inputs=(replace(first.inputs[0], witness=()),))
    other = replace(two, inputs=(replace(two.inputs[0], witness=(b"forged",)),))
    raw = GOOD.tip.serialise()
    longer = Block(GOOD.tip.header, (first, one, two, two))
    return {
        "merkle root": (ChainError, _resealed([first, two, one], GOOD.tip.header.merkle_root)),
        "CVE-2012-2459": (ChainError, longer),
        "witness commitment": (ChainError, _resealed([first, one, other])),
        "does not commit": (ChainError, _resealed([bare, one, two])),
        "bytes after its last": (ChainError, raw + b"\0"),
        "coinbase": (ChainError, _resealed([one, two])),
        "does not allow": (ChainError, replace(GOOD.tip, header=replace(GOOD.tip.header, bits=0x217FFFFF))),
        "is no block": (DecodeError, raw[:80]),
    }


@pytest.mark.parametrize("what", spoiled())
def test_a_spoiled_block_is_refused(tmp_path: Path, what: str) -> None:
    kind, block = spoiled()[what]
    ledger = tmp_path / "ledger"
    before = read_in(ledger, BASE.blocks)
    assert what in refused(ledger, [*BASE.blocks, block], kind)
    assert Snapshot(ledger).digest == before.digest
    _assert_still_good(ledger)


def test_a_block_stripped_of_its_witnesses_is_refused(tmp_path: Path) -> None:
    """Its txids fit its merkle root still, but its sizes and weights are not the chain's: from SegWit on, what is
    committed to must be there (Core, `CheckWitnessMalleation`)."""
    stripped = Block(
        GOOD.tip.header,
        tuple(
            replace(tx, inputs=tuple(replace(txin, witness=()) for txin in tx.inputs)) for tx in GOOD.tip.transactions
        ),
    )
    assert stripped.transactions[0].txid == GOOD.tip.transactions[0].txid
    ledger = tmp_path / "ledger"
    read_in(ledger, BASE.blocks)
    assert "witness" in refused(ledger, [stripped], ChainError)


def test_blocks_that_do_not_connect_are_refused_unless_a_height_is_named(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    blocks = [*GOOD.blocks[:3], *GOOD.blocks[4:]]
    message = refused(ledger, blocks, UsageError)
    assert message.startswith("2 blocks do not connect: the parent of block " + GOOD.blocks[4].hash)
    assert GOOD.blocks[3].hash in message
    assert "--to-height" in message
    assert read_in(ledger, blocks, to_height=9).height == 2
    assert_agrees(read_in(ledger, GOOD.blocks), Model(GOOD.blocks))


def test_a_run_that_starts_later_is_refused_without_island(tmp_path: Path) -> None:
    assert "--island" in refused(tmp_path / "ledger", GOOD.blocks[2:], UsageError)


def test_another_networks_ledger_is_not_touched(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger"
    before = read_in(ledger, BASE.blocks)
    raw = tmp_path / "raw"
    raw.write_bytes(GOOD.tip.serialise())
    signet = replace(NETWORKS["signet"], pow_limit=REGTEST.pow_limit)
    with pytest.raises(LedgerError, match="is a ledger of regtest, not of signet; name another folder"):
        ingest([raw], ledger, network=signet, island=True)
    assert Snapshot(ledger).digest == before.digest


def test_a_question_that_failed_leaves_no_ledger_of_the_wrong_network(tmp_path: Path) -> None:
    """A raw block tells no network: who names the right one afterwards is not told that the folder is taken."""
    raw = tmp_path / "raw"
    raw.write_bytes(BASE.blocks[1].serialise())
    ledger = tmp_path / "ledger"
    mistaken = replace(NETWORKS["signet"], pow_limit=REGTEST.pow_limit)
    with pytest.raises(UsageError):
        ingest([raw], ledger, network=mistaken)
    info = ingest([write(tmp_path / "blocks", BASE.blocks)], ledger)
    assert info["network"] == "regtest"
