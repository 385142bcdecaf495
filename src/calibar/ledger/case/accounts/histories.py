"""What servers' lists of an address leave out by a full ledger, and what they said of balances that never were so."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final

from calibar.chains.facts import BURN, DESTROYED, GRANT, INTERNAL, MINT, REWARD, TOKEN, VALUE
from calibar.chains.remote.transfers_told import NATIVE, Asset, Class, Movements
from calibar.ledger.case.accounts.chain import BEGINNING, Chain
from calibar.ledger.case.accounts.moved import FEES, Move, is_inside, move_told
from calibar.ledger.case.accounts.snapshot import CaseAccountSnapshot
from calibar.ledger.case.accounts.words import Progress, Word, Words

_LISTED: Final[dict[Class, tuple[int, ...]]] = {
    "value": (VALUE, *FEES), "internal": (INTERNAL,), "token": (TOKEN,), "trc10": (VALUE,),
}  # fmt: skip
"""Kinds of transfer that a list of a class has."""
_SELDOM: Final[dict[Class, tuple[int, ...]]] = {
    "value": (GRANT, MINT, BURN, REWARD), "internal": (), "token": (MINT, BURN, DESTROYED),
    "trc10": (INTERNAL, MINT, REWARD),
}  # fmt: skip
"""Kinds that belong there, and that not every server lists."""
_SKEW: Final = 60
"""Seconds by which clocks of servers and blocks may differ."""
_CALLED: Final[dict[Class, str]] = {
    "value": "transactions", "internal": "internal transfers", "token": "token transfers",
    "trc10": "TRC-10 transfers",
}  # fmt: skip


def left_out(words: Words, chain: Chain, snapshot: CaseAccountSnapshot, say: Progress) -> Iterator[str]:
    """Lists that lack what the ledger has of their address, up to the last block that their servers had named."""
    known: dict[str, set[tuple[bytes, Move]]] = {}
    for place, _, rows in words.rows():
        known.setdefault(place, set()).update((row.txid, move_told(row)) for row in rows)
    lists = list(words.lists())
    for number, word in enumerate(lists, 1):
        say("histories", number, len(lists))
        last = min(_vouched_for(word), chain.height, chain.height if word.below is None else word.below - 1)
        if last < word.told.first:
            continue
        missing: dict[Asset, list[bytes]] = {}
        for asset, txid in _missing(word, known.get(word.place, set()), chain, snapshot, last):
            missing.setdefault(asset, []).append(txid)
        for asset, txids in missing.items():
            told = word.told
            whole = ", which the case calls whole," if _is_whole(snapshot, told.address, asset, chain) else ""
            count = f"{len(txids)} transfers" if len(txids) > 1 else "1 transfer"
            yield (
                f"{word.place}: its list of {_CALLED[told.what]} of {chain.address_name(told.address)} in "
                f"{chain.asset_name(asset)} up to height {last}{whole} leaves out {count}: {chain.hash_text(txids[0])}"
            )


def _vouched_for(word: Word[Movements]) -> int:
    """Height up to which a list has all, by its server's word; -1 where it says nothing of that."""
    told = word.told
    if told.upto is not None:
        return told.upto
    return -1 if told.capped else word.tip


def _missing(
    word: Word[Movements], known: set[tuple[bytes, Move]], chain: Chain, snapshot: CaseAccountSnapshot, last: int
) -> Iterator[tuple[Asset, bytes]]:
    """(asset, transaction) of each transfer that a list lacks; `known` is all that its server tells anywhere."""
    told, tron = word.told, chain.snapshot.chain.startswith("tron:")
    here = Counter((row.txid, move_told(row)) for row in told.rows if row.kind != "fee")
    paid = {row.txid for row in told.rows if row.kind == "fee"}
    seldom = _SELDOM[told.what] + ((INTERNAL,) if tron and told.what == "value" else ())
    whole: dict[Asset, bool] = {}
    for txid, kind, move in chain.listed(told.address, told.asset, told.first, last):
        asset = move.asset
        if not move.amount or not _is_of(told.what, asset) or (txid is None and kind != GRANT):
            continue
        if is_inside(kind, asset) and move.sender == move.recipient:
            continue
        if kind in FEES:
            if told.what == "value" and txid is not None and txid not in paid:
                paid.add(txid)
                yield asset, txid
            continue
        name = txid if txid is not None else BEGINNING
        if here[name, move]:
            here[name, move] -= 1
        elif kind in _LISTED[told.what]:
            yield asset, name
        elif kind in seldom and (name, move) not in known:
            if asset not in whole:
                whole[asset] = _is_whole(snapshot, told.address, asset, chain)
            if whole[asset]:
                yield asset, name


def _is_of(what: Class, asset: Asset) -> bool:
    if what == "token":
        return asset.contract is not None
    return asset.number is not None if what == "trc10" else asset == NATIVE


def _is_whole(snapshot: CaseAccountSnapshot, address: bytes, asset: Asset, chain: Chain) -> bool:
    owner, number = snapshot.find_address(address), snapshot.find_asset(chain.asset_name(asset))
    return owner is not None and number is not None and snapshot.knows_all(owner, number)


def balances(words: Words, chain: Chain) -> Iterator[str]:
    """What servers said that addresses have, where they had it neither then nor until they were asked.

    A node says of which block it speaks. Tronscan does not count what is staked.
    """
    for word in words.holdings.values():
        told = word.told
        first = told.height if told.height is not None else word.tip
        if not 0 <= first <= chain.height:
            continue
        last = first if word.kind == "node" else max(first, chain.last_before(word.time + _SKEW))
        if told.asset == NATIVE and not chain.knows_coins(last):
            continue
        had = chain.had(told.address, told.asset, first, last)
        least = word.kind == "tronscan" and told.asset == NATIVE
        if told.amount <= max(had) if least else told.amount in had:
            continue
        yield (
            f"{word.place} said that {chain.address_name(told.address)} has {told.amount} of "
            f"{chain.asset_name(told.asset)} at height {first}; by the ledger's transfers it had {had[0]}"
        )
