"""A small made-up world: what happens stands on a chain, in the statements, and in one history of all accounts."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from account_histories import Transfer

from calibar.chains.facts import CONTRACT, MINT, SUCCEEDED, TOKEN, Builder, Naming
from calibar.ledger.accounts.ingest import append
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.accounts.writer import AccountWriter
from calibar.records.movement import Movement, Place, Statement
from calibar.records.reading import Read
from calibar.records.store import Delivery

TOKEN_BYTES = b"\x77" * 20
PEOPLE = [bytes([1, n] + [0] * 18) for n in range(3)]
DEPOSITS = [bytes([2, n] + [0] * 18) for n in range(2)]
HOT = bytes([3] * 20)
ACCOUNTS = ("10", "11")
STEP = 1000
MUCH = 10**9


@dataclass
class World:
    """What happens, written three times: on the chain, in the statements, and as one history of all accounts."""

    decimals: int = 2
    finer: int = 0
    """Places that the records have beyond the chain's."""
    chain: list[tuple[bytes, bytes, int]] = field(default_factory=list)
    rows: list[Movement] = field(default_factory=list)
    moves: list[Transfer] = field(default_factory=list)
    sources: dict[str, int] = field(default_factory=dict)
    """By REF: its place in the history."""
    has: Counter[str] = field(default_factory=Counter)

    def time(self) -> int:
        return STEP * (len(self.chain) + 1)

    def hash(self) -> bytes:
        return bytes([9]) + (len(self.chain) - 1).to_bytes(31, "big")

    def on_chain(self, sender: bytes, recipient: bytes, amount: int) -> str:
        """The next block, with one transfer; its name."""
        self.chain.append((sender, recipient, amount))
        return "0x" + self.hash().hex()

    def row(self, account: str, asset: str, change: int, kind: str, time: int, **facts: str) -> str:
        """A row of the statement; its name."""
        number = len(self.rows) + 2
        places = self.decimals + self.finer
        value = Decimal(change * 10**self.finer).scaleb(-places)
        place = Place("a.csv", "", number)
        self.rows.append(Movement(time, account, "", asset, value, kind, kind, place, None, tuple(facts.items())))
        return f"record:a.csv:{number}"

    def both(self, sender: str | None, recipient: str | None, amount: int, **more: Any) -> int:
        """A transfer of the history."""
        if sender:
            self.has[sender] -= amount
        if recipient:
            self.has[recipient] += amount
        giver, taker = (None if end is None else HOLDERS.index(end) for end in (sender, recipient))
        self.moves.append(Transfer(giver, taker, amount, tx=len(self.moves), **more))
        return len(self.moves) - 1


HOLDERS = ["p0", "p1", "p2", "10 T", "11 T", "10 U", "11 U"]
ASSETS = (0, 0, 0, 0, 0, 1, 1)


def ledger(world: World, folder: Path) -> AccountSnapshot:
    builder = Builder()
    builder.namings.append(Naming(CONTRACT, TOKEN_BYTES, "Token", "T", world.decimals))
    parent = bytes(32)
    for number, (sender, recipient, amount) in enumerate(world.chain):
        tx = builder.transaction(bytes([9]) + number.to_bytes(31, "big"), SUCCEEDED, HOT, HOT, HOT, 0)
        kind = TOKEN if any(sender) else MINT
        builder.transfer(tx, kind, CONTRACT, TOKEN_BYTES, sender, recipient, amount, 0)
        hash_ = bytes([8]) + number.to_bytes(31, "big")
        builder.end_block(number, hash_, parent, STEP * (number + 1), 0)
        parent = hash_
    with AccountWriter(folder, "ethereum:31337") as writer:
        writer.commit(base=0)
        append(writer, builder.facts())
        writer.commit()
    return AccountSnapshot(folder)


def statements(world: World) -> list[Read]:
    said = dict.fromkeys(
        ("sha256", "received_by", "custodian", "holder", "format", "account", "asset", "zone", "dates", "decimal",
         "certificate", "certificate_name", "period"), "",
    )  # fmt: skip
    delivery = Delivery(**said, name="a.csv", bytes=1, received_at=0, columns={})
    return [Read(delivery, [Statement("made", "House", True, list(world.rows))], [])]
