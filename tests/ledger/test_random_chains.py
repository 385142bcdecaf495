"""Any chain, ingested in any steps, is what a plain reader makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from chain_builder import COIN, Chain, lock, old_coinbase, pay, read_in, small_batches, unsynced
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from naive import Model, assert_agrees

from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.transaction import Block, Transaction, TxIn, TxOut
from calibar.ledger.ingest import ingest

pytestmark = pytest.mark.slow
OWNERS = [
    *(lock(name) for name in ("a", "b", "c", "miner")),
    script.p2pk(b"\x02" * 33),
    script.p2wpkh(bytes(20)),
    script.p2sh(b"\x07" * 20),
    script.p2tr(b"\x09" * 32),
    script.op_return(b"data"),
    b"\x6a",
    b"",
    b"\x51" * 10_000,
    b"\x51" * 10_001,
]
DEAD = {8, 9, 12}
TWIN = old_coinbase((COIN, "twin"), (0, b"\x6a"), (2 * COIN, "twin"), (0, "a"))
"""A coinbase that any block may have."""
CHAINS = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(scope="module", autouse=True)
def quick() -> Iterator[None]:
    with unsynced():
        yield


@st.composite
def chains(draw: st.DrawFn) -> list[Block]:
    """Up to ten blocks: reuse of addresses, spends within a block, coins that cannot be spent, equal coinbases."""
    chain = Chain()
    coins: dict[str, tuple[TxIn, int]] = {}
    for _ in range(draw(st.integers(1, 10))):
        transactions: list[Transaction] = []
        twin = draw(st.integers(0, 5)) == 0
        if twin:  # its coins of before are replaced
            coins = {name: made for name, made in coins.items() if not name.startswith(TWIN.txid)}
        for _ in range(draw(st.integers(0, 4))):
            if not coins:
                break
            names = draw(st.lists(st.sampled_from(sorted(coins)), min_size=1, max_size=3, unique=True))
            spent = [coins.pop(name) for name in names]
            transaction = draw(transactions_of([txin for txin, _ in spent], sum(value for _, value in spent), twin))
            transactions.append(transaction)
            _add(coins, transaction)
        if twin:
            block = chain.seal(TWIN, *transactions)
        else:
            block = chain.mine(*transactions, to=OWNERS[draw(st.integers(0, 7))])
        _add(coins, block.transactions[0])
    return chain.blocks


@st.composite
def transactions_of(draw: st.DrawFn, inputs: list[TxIn], left: int, plain: bool) -> Transaction:
    """Some outputs of what the inputs bring; a block whose coinbase commits to nothing has no witnesses."""
    outputs = []
    for _ in range(draw(st.integers(1, 4))):
        value = draw(st.sampled_from([0, min(1, left), left // 3, left]))
        left -= value
        outputs.append((value, OWNERS[draw(st.integers(0, len(OWNERS) - 1))]))
    if not plain:
        inputs = [replace(txin, witness=draw(st.sampled_from([(), (b"",), (bytes(71), bytes(33))]))) for txin in inputs]
    inputs = [replace(txin, sequence=draw(st.integers(0, 2**32 - 1))) for txin in inputs]
    return replace(pay(inputs, *outputs), locktime=draw(st.integers(0, 2**32 - 1)))


def _add(coins: dict[str, tuple[TxIn, int]], transaction: Transaction) -> None:
    for vout, output in enumerate(transaction.outputs):
        if OWNERS.index(output.script) not in DEAD if output.script in OWNERS else not _is_data(output):
            txin = TxIn(transaction.txid, vout)
            coins[txin.coin] = (txin, output.value)


def _is_data(output: TxOut) -> bool:
    return output.script.startswith(b"\x6a")


@settings(CHAINS, max_examples=50)
@given(chains())
def test_a_chain_in_one_go_is_what_a_plain_reader_makes_of_it(blocks: list[Block]) -> None:
    with TemporaryDirectory() as folder:
        assert_agrees(read_in(Path(folder) / "ledger", blocks), Model(blocks))


@settings(CHAINS, max_examples=25)
@given(chains(), st.lists(st.integers(-1, 12), max_size=5), st.booleans(), st.randoms(use_true_random=False))
def test_neither_steps_nor_batches_nor_order_change_anything(
    blocks: list[Block], cuts: list[int], tiny: bool, dice: object
) -> None:
    with TemporaryDirectory() as folder:
        whole = read_in(Path(folder) / "whole", blocks)
        shuffled = list(blocks)
        dice.shuffle(shuffled)  # type: ignore[attr-defined]
        options = {"network": small_batches(blocks), "memory_mb": 0} if tiny else {}
        stepped = Path(folder) / "stepped"
        for height in sorted(cuts):
            if height >= 0:
                info = ingest([whole.folder.parent / "whole.blk"], stepped, to_height=height, **options)  # type: ignore[arg-type]
                assert info["height"] == min(height, len(blocks) - 1)
                assert_agrees(stepped, Model(blocks[: height + 1]))
        snapshot = read_in(stepped, shuffled, **options)
        assert snapshot.digest == whole.digest
        assert_agrees(snapshot, Model(blocks))


@settings(CHAINS, max_examples=20)
@given(chains(), chains())
def test_a_longer_chain_replaces_a_shorter_as_if_it_had_never_been(one: list[Block], other: list[Block]) -> None:
    """Two chains that share genesis alone: whichever has more work is what the ledger holds in the end."""
    shorter, longer = sorted((one, other), key=len)
    with TemporaryDirectory() as folder:
        fresh = read_in(Path(folder) / "fresh", longer)
        ledger = Path(folder) / "ledger"
        read_in(ledger, shorter)
        snapshot = read_in(ledger, longer)
        if len(shorter) == len(longer):
            assert_agrees(snapshot, Model(shorter))
            return
        assert_agrees(snapshot, Model(longer))
        assert snapshot.digest == fresh.digest
        again = read_in(ledger, shorter)
        assert again.digest == fresh.digest
