"""The conversion rule on small chains by hand: refunds, and whoever would hide value behind it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

import calibar
from calibar.chains.facts import CONTRACT, GRANT, INTERNAL, MINT, NATIVE, SUCCEEDED, SWAP_V2, TOKEN, VALUE, ZERO

from calibar.chains.facts import Builder, Facts  # isort: skip
from calibar.ledger.accounts.ingest import ingest

VICTIM, THIEF, POOL, GIVEN, GOT, MULE, ROUTER = (bytes([n]) * 20 for n in range(1, 8))
LOOT = "4d" * 32 + ":0"
Move = tuple[int, bytes, bytes, bytes, int]
"""Kind, asset (ZERO: the chain's own coin), from, to, amount."""


@dataclass
class Story:
    """The theft of 400, then one transaction of the thief's; pools log a swap in it."""

    moves: list[Move]
    pools: list[bytes] = field(default_factory=list)
    loot: tuple[int, bytes] = (TOKEN, GIVEN)
    called: bytes = POOL
    chain: str = "ethereum:1337"

    def last(self) -> int:
        return 2

    def hash_of(self, number: int) -> bytes | None:
        return bytes([number + 1]) * 32 if number <= 2 else None

    def read(self, first: int, last: int) -> Iterator[Facts]:
        builder = Builder()
        for who in (THIEF, POOL, VICTIM):
            builder.transfer(-1, GRANT, NATIVE, ZERO, ZERO, who, 10_000)
        for asset, owner in ((GIVEN, VICTIM), (GOT, POOL), (GOT, MULE)):
            builder.transfer(-1, GRANT, CONTRACT, asset, ZERO, owner, 1000)
        builder.transfer(-1, GRANT, CONTRACT, GIVEN, ZERO, THIEF, 100)
        builder.end_block(0, bytes([1]) * 32, bytes(32), 100, 15)
        tx = builder.transaction(bytes([77]) * 32, SUCCEEDED, VICTIM, THIEF, VICTIM, 0)
        self._move(builder, tx, (*self.loot, VICTIM, THIEF, 400), 0)
        builder.end_block(1, bytes([2]) * 32, bytes([1]) * 32, 112, 15)
        tx = builder.transaction(bytes([78]) * 32, SUCCEEDED, THIEF, self.called, THIEF, 0)
        for position, move in enumerate(self.moves):
            self._move(builder, tx, move, position)
        for position, pool in enumerate(self.pools):
            builder.event(tx, SWAP_V2, pool, THIEF, THIEF, 0, 90 + position)
        builder.end_block(2, bytes([3]) * 32, bytes([2]) * 32, 124, 15)
        yield builder.facts()

    def _move(self, builder: Builder, tx: int, move: Move, position: int) -> None:
        kind, asset, payer, payee, amount = move
        builder.transfer(tx, kind, NATIVE if asset == ZERO else CONTRACT, asset, payer, payee, amount, position)


def traced(story: Story, folder: Path, method: str = "haircut") -> tuple[list[str], dict[str, int]]:
    """Kinds of step, and where labelled units of each asset lie, as `asset:account` by their first digits."""
    place = folder / f"ledger-{len(list(folder.iterdir()))}"
    ingest(story, place)
    ref = LOOT if story.loot[0] == TOKEN else LOOT.partition(":")[0] + ":value"
    trail = calibar.open(place).trace(ref, method=method)
    held = {f"{row['asset'][:4]}:{row['account'][:4]}": int(row["traced"]["S0"]) for row in trail.holdings}
    return [step["kind"] for step in trail.steps], held


def test_a_refund_has_its_share(tmp_path: Path) -> None:
    """Of 500 given 400 are stolen: 4 of 5 parts of the 70 received, and of the 200 that came back."""
    moves = [
        (TOKEN, GIVEN, THIEF, POOL, 500),
        (TOKEN, GOT, POOL, THIEF, 70),
        (TOKEN, GIVEN, POOL, THIEF, 200),
    ]
    for method in ("fifo", "lifo", "haircut", "libr"):
        kinds, held = traced(Story(moves, [POOL]), tmp_path, method)
        assert kinds == ["converted", "received", "received"]
        assert held == {"0x04:0x02": 160, "0x05:0x02": 56}


def test_through_a_router_that_keeps_nothing(tmp_path: Path) -> None:
    moves = [
        (TOKEN, GIVEN, THIEF, ROUTER, 500),
        (TOKEN, GIVEN, ROUTER, POOL, 500),
        (TOKEN, GOT, POOL, ROUTER, 70),
        (TOKEN, GOT, ROUTER, THIEF, 70),
    ]
    assert traced(Story(moves, [POOL], called=ROUTER), tmp_path) == (["converted", "received"], {"0x05:0x02": 56})


def test_a_payment_beside_a_swap_stays_on_the_trail(tmp_path: Path) -> None:
    moves = [
        (TOKEN, GIVEN, THIEF, MULE, 450),
        (TOKEN, GIVEN, THIEF, POOL, 50),
        (TOKEN, GOT, POOL, THIEF, 7),
    ]
    kinds, held = traced(Story(moves, [POOL]), tmp_path)
    assert kinds == ["transfer", "converted", "received"]
    assert held["0x04:0x06"] == 360
    assert held["0x05:0x02"] == 6  # 5.6


def test_a_swap_that_a_bystander_logs_hides_nothing(tmp_path: Path) -> None:
    """The thief's own contract logs a swap and sends him a token of no worth, while the loot goes to the mule."""
    moves = [(TOKEN, GIVEN, THIEF, MULE, 500), (TOKEN, GOT, POOL, THIEF, 1)]
    assert traced(Story(moves, [POOL]), tmp_path) == (["transfer"], {"0x04:0x06": 400})
    through = [*moves[1:], (TOKEN, GIVEN, THIEF, POOL, 500), (TOKEN, GIVEN, POOL, MULE, 500)]
    kinds, held = traced(Story(through, [POOL]), tmp_path)
    assert kinds == ["transfer", "transfer"]
    assert held == {"0x04:0x06": 400}


def test_wrapping_makes_as_much_and_keeps_it(tmp_path: Path) -> None:
    coin = (VALUE, ZERO)
    honest = [(VALUE, ZERO, THIEF, GOT, 400), (MINT, GOT, ZERO, THIEF, 400)]
    kinds, _ = traced(Story(honest, loot=coin, called=GOT), tmp_path)
    assert kinds == ["converted", "received"]
    for moves in (
        [(VALUE, ZERO, THIEF, GOT, 400), (MINT, GOT, ZERO, THIEF, 1)],
        [(VALUE, ZERO, THIEF, GOT, 400), (INTERNAL, ZERO, GOT, MULE, 400), (MINT, GOT, ZERO, THIEF, 400)],
    ):
        kinds, _ = traced(Story(moves, loot=coin, called=GOT), tmp_path)
        assert "converted" not in kinds


def test_nothing_is_converted_where_it_is_spent_before_all_was_given(tmp_path: Path) -> None:
    moves = [
        (TOKEN, GOT, POOL, THIEF, 70),
        (TOKEN, GOT, THIEF, MULE, 70),
        (TOKEN, GIVEN, THIEF, POOL, 500),
    ]
    story = Story(moves, [POOL])
    assert traced(story, tmp_path)[0] == ["transfer"]


def test_what_is_proven_and_what_a_node_says(tmp_path: Path) -> None:
    """A value that succeeded and a token's log are; what is made, and what only a trace says, is not."""
    moves = [
        (VALUE, ZERO, THIEF, GOT, 400),
        (INTERNAL, ZERO, GOT, MULE, 5),
        (MINT, GOT, ZERO, THIEF, 1),
        (TOKEN, GOT, MULE, THIEF, 2),
    ]
    ingest(Story(moves), tmp_path / "ledger")
    ledger = calibar.open(tmp_path / "ledger")
    rows = [row for who in (THIEF, MULE) for row in ledger.transfers("0x" + who.hex())]
    proofs = {row["kind"]: row["proof"] for row in rows}
    assert {kind for kind, proof in proofs.items() if proof == "proven"} == {"value", "token"}
    assert set(proofs) == {"in the beginning", "value", "internal", "mint", "token"}


def test_a_token_of_absurd_amounts_ends_a_trail_and_blocks_none(tmp_path: Path) -> None:
    moves = [
        (MINT, GOT, ZERO, MULE, 2**130),
        (TOKEN, GIVEN, THIEF, POOL, 500),
        (TOKEN, GOT, POOL, THIEF, 70),
    ]
    story = Story(moves, [POOL])
    assert traced(story, tmp_path) == (["converted"], {})
    ingest(story, tmp_path / "ledger")
    back = calibar.open(tmp_path / "ledger").trace(LOOT, direction="backward")
    assert back.document["totals"]["S0"]["0x" + GIVEN.hex()]["in"] == "400"


def test_a_handle_from_before_a_reorganisation_reads_what_is_there_now(tmp_path: Path) -> None:
    class Other(Story):
        def hash_of(self, number: int) -> bytes | None:
            return super().hash_of(number) if number < 2 else bytes([99]) * 32 if number == 2 else None

        def read(self, first: int, last: int) -> Iterator[Facts]:
            for facts in super().read(first, last):
                hashes = facts.block_hash.copy()
                hashes[2] = 99
                yield _from(replace(facts, block_hash=hashes), first)

    class Cut(Story):
        def read(self, first: int, last: int) -> Iterator[Facts]:
            for facts in super().read(first, last):
                yield _from(facts, first)

    ingest(Cut([(TOKEN, GIVEN, THIEF, MULE, 500)]), tmp_path / "ledger")
    handle = calibar.open(tmp_path / "ledger")
    mule = "0x" + MULE.hex()
    assert {row["balance"] for row in handle.holdings(mule) if row["asset"] == "0x" + GIVEN.hex()} == {"500"}
    ingest(Other([(TOKEN, GIVEN, THIEF, MULE, 30)]), tmp_path / "ledger")
    assert {row["balance"] for row in handle.holdings(mule) if row["asset"] == "0x" + GIVEN.hex()} == {"30"}
    assert handle.transfers(mule) == calibar.open(tmp_path / "ledger").transfers(mule)


def _from(facts: Facts, first: int) -> Facts:
    """The batch without the blocks before `first`."""
    if not first:
        return facts
    txs, transfers, events = (
        int(facts_end[first - 1]) for facts_end in (facts.tx_end, facts.transfer_end, facts.event_end)
    )
    starts = {"tx_": txs, "transfer_": transfers, "asset": transfers, "sender": transfers, "recipient": transfers}
    starts |= {"amount": transfers, "position": transfers, "event_": events}
    cut: dict[str, Any] = {}
    for name, rows in ((column.name, getattr(facts, column.name)) for column in fields(facts)):
        if not isinstance(rows, np.ndarray):
            continue
        of_block = name in ("number", "block_hash", "parent_hash", "time", "proof") or name.endswith("_end")
        start = first if of_block else next(at for key, at in starts.items() if name.startswith(key))
        cut[name] = rows[start:]
    for name, base in (("tx_end", txs), ("transfer_end", transfers), ("event_end", events)):
        cut[name] = cut[name] - base
    cut["transfer_tx"] = np.where(cut["transfer_tx"] < 0, -1, cut["transfer_tx"] - txs)
    cut["event_tx"] = cut["event_tx"] - txs
    return replace(facts, **cut, header=facts.header[first:])
