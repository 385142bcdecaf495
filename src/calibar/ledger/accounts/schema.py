"""The tables of an account chain's ledger (Ethereum and its kin, TRON).

Ids are dense and in chain order. Amounts are 256-bit integers in base units, as four 64-bit limbs, least significant
first. Everything is little-endian.
"""

from __future__ import annotations

from typing import Final

from calibar.ledger.schema import make_column

NOBODY: Final = -1
"""In place of a holding: value comes from nowhere (a mint, a reward) or goes nowhere (a burn)."""
LAST_MOVEMENT: Final = "last_movement"
"""File of the index: the last movement of each holding."""
FIRST_OF_BLOCK: Final = {
    "transactions": "blocks.first_tx",
    "transfers": "blocks.first_transfer",
    "events": "blocks.first_event",
    "addresses": "blocks.first_address",
    "assets": "blocks.first_asset",
    "holdings": "blocks.first_holding",
    "headers": "blocks.first_header_byte",
    "shortfalls": "blocks.first_shortfall",
}
"""Where each block's rows begin, by table."""

ACCOUNT_COLUMNS: Final = (
    make_column("blocks.hash", "u1", 32),
    make_column("blocks.parent", "u1", 32),
    make_column("blocks.time", "<i8"),
    make_column("blocks.proof", "u1", digested=False),  # bits of chains/facts.py: what was recomputed
    *(make_column(key, "<i8", offsets=True) for key in FIRST_OF_BLOCK.values()),
    make_column("headers.byte", "u1", digested=False),
    make_column("transactions.hash", "u1", 32),
    make_column("transactions.status", "u1"),
    make_column("transactions.sender", "<i8"),
    make_column("transactions.recipient", "<i8"),
    make_column("transactions.payer", "<i8"),
    make_column("transactions.fee", "<u8", 4),
    make_column("transfers.tx", "<i8"),  # -1 for what belongs to no transaction
    make_column("transfers.kind", "u1"),
    make_column("transfers.asset", "<u4"),
    make_column("transfers.sender", "<i8"),  # a holding, or NOBODY
    make_column("transfers.recipient", "<i8"),
    make_column("transfers.amount", "<u8", 4),
    make_column("transfers.position", "<i4"),
    # Two rows a transfer, its sender's (2t) and its recipient's (2t + 1).
    # The one before, one far before, how many before; how often the balance has passed 2^256: below zero it is -1.
    make_column("movements.link", "<i8", 4, digested=False),
    make_column("movements.balance", "<u8", 4),  # of the holding, after it, modulo 2^256
    make_column("events.tx", "<i8"),
    make_column("events.kind", "u1"),
    make_column("events.contract", "<i8"),
    make_column("events.a", "<i8"),
    make_column("events.b", "<i8"),
    make_column("events.amount", "<u8", 4),
    make_column("events.position", "<i4"),
    make_column("addresses.byte", "u1", 20),
    make_column("assets.byte", "u1", 21),  # its kind, then its contract or number
    make_column("holdings.asset", "<u4"),
    make_column("holdings.address", "<i8"),
    make_column("shortfalls.transfer", "<i8"),  # the first that takes more than its sender has by all transfers before
    make_column("shortfalls.holding", "<i8"),
    # What the source said beside the facts: no block's rows.
    make_column("namings.asset", "<u4", digested=False),
    make_column("namings.decimals", "<i2", digested=False),  # -1 where the token does not say
    make_column("namings.first_byte", "<i8", offsets=True, digested=False),  # name, a zero byte, symbol
    make_column("names.byte", "u1", digested=False),
    make_column("notes.first_byte", "<i8", offsets=True, digested=False),
    make_column("notetexts.byte", "u1", digested=False),
)
