"""A case on an account chain beside the full ledger of that chain: what servers hid, made up, or said of balances.

Servers are named each by its own words, as of the last block that it had named when it gave them. What a case does not
know is no difference: a list has its address's rows alone, calls are told by few. Only where the case calls a history
whole, all that the ledger has must be there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from calibar.chains.facts import GRANT, TOKEN, UNSTATED, VALUE
from calibar.chains.remote.transfers_told import NATIVE, Movement, Transaction
from calibar.errors import UsageError
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.accounts.chain import BEGINNING, Chain
from calibar.ledger.case.accounts.histories import balances, left_out
from calibar.ledger.case.accounts.moved import (
    Move,
    Moved,
    added_by,
    by_transaction,
    missing_from,
    move_told,
    moved_in,
)
from calibar.ledger.case.accounts.words import Progress, Words, read_words
from calibar.ledger.case.case import Case


def compare_accounts(case: Case, against: Path, progress: Progress | None = None) -> list[str]:
    """What the case says and the full ledger in `against` does not, one line each.

    Raises UsageError where that ledger is not of the case's chain up to the last block that its servers named.
    """
    full, say = _full(against, case.settings.network), progress or (lambda *_: None)
    if full.manifest.height < case.accounts.tip:
        raise UsageError(
            f"{against} ends at height {full.manifest.height}, the case looks to {case.accounts.tip}; ingest on"
        )
    words, chain = read_words(case.folder, say), Chain(full)
    found, elsewhere = _other_blocks(words, chain)
    _forget(words, elsewhere)  # on another branch nothing else would be worth comparing
    found += _whole_blocks(words, chain)
    found += _told_otherwise(words, chain, say)
    found += left_out(words, chain, case.account_snapshot(), say)
    found += balances(words, chain)
    found = list(dict.fromkeys(found))
    return found if full.is_current() else compare_accounts(case, against, progress)


def _full(folder: Path, network: str) -> AccountSnapshot:
    from calibar.ledger.opening import open_snapshot  # noqa: PLC0415

    found = open_snapshot(folder)
    if not isinstance(found, AccountSnapshot) or found.is_case or found.manifest.island or not found.counts["blocks"]:
        family = network.partition(":")[0]
        raise UsageError(f"{folder} is no full ledger of an account chain; make one with `calibar ingest {family}`")
    if found.chain != network:
        raise UsageError(f"{folder} is of {found.chain}, the case of {network}; name another ledger")
    return found


# Blocks.


def _other_blocks(words: Words, chain: Chain) -> tuple[list[str], set[str]]:
    """Block hashes that are not the ledger's, and the servers whose last ones are all others."""
    said: dict[str, dict[int, set[bytes]]] = {}
    for place, _, rows in words.rows():
        for row in rows:
            if row.height is not None and row.block_hash is not None:
                there, height = chain.moved(row.txid), row.height
                if there is not None and chain.hash_of(there.height) == row.block_hash:
                    height = there.height  # the block is right, its height may not be
                said.setdefault(place, {}).setdefault(height, set()).add(row.block_hash)
    for height, block in words.blocks.items():
        said.setdefault(block.place, {}).setdefault(height, set()).add(block.told.facts.block_hash[0].tobytes())
    for place, newest in words.newest.items():
        if newest.told.hash is not None:
            said.setdefault(place, {}).setdefault(newest.told.height, set()).add(newest.told.hash)
    found, elsewhere = list[str](), set[str]()
    for place, hashes in sorted(said.items()):
        wrong = {
            height: min(told - {chain.hash_of(height)})
            for height, told in hashes.items()
            if height <= chain.height and told != {chain.hash_of(height)}
        }
        same = max((h for h, told in hashes.items() if h <= chain.height and chain.hash_of(h) in told), default=-1)
        branch = [height for height in sorted(wrong) if height > same]
        for height in sorted(wrong.keys() - set(branch)):
            told, ours = (chain.hash_text(octets) for octets in (wrong[height], chain.hash_of(height)))
            found.append(f"{place} says that block {height} is {told}; in the ledger it is {ours}")
        if branch:
            told, ours = (chain.hash_text(octets) for octets in (wrong[branch[0]], chain.hash_of(branch[0])))
            found.append(f"from height {branch[0]} on the ledger has other blocks: {ours}, by {place} {told}")
            elsewhere.add(place)
    return found, elsewhere


def _forget(words: Words, places: set[str]) -> None:
    words.listings = {key: lists for key, lists in words.listings.items() if key[0] not in places}
    words.transactions = {key: word for key, word in words.transactions.items() if word.place not in places}
    words.holdings = {key: word for key, word in words.holdings.items() if word.place not in places}
    words.blocks = {height: word for height, word in words.blocks.items() if word.place not in places}


def _whole_blocks(words: Words, chain: Chain) -> Iterator[str]:
    """What whole blocks do not prove: on TRON fees and logs, elsewhere what calls move."""
    for height, word in sorted(words.blocks.items()):
        if height > chain.height:
            continue
        for txid, ours in moved_in(word.told.facts).items():
            there = chain.moved(txid)
            if there is None:
                continue  # its block is another one, and that is said
            both = ours.calls_known and there.calls_known
            here, known = (
                Counter(move for kind, move in one.moves if both or kind in (VALUE, TOKEN)) for one in (ours, there)
            )
            name = f"{word.place}: its block {height}"
            if odd := list((here - known).elements()):
                yield f"{name} has {_transfers(odd, chain, txid)}, not in the ledger"
            if odd := list((known - here).elements()):
                yield f"{name} leaves out {_transfers(odd, chain, txid)}"
            if (ours.fee, ours.failed) != (there.fee, there.failed):
                yield f"{name} has another fee or outcome of transaction {chain.hash_text(txid)}"


# Transactions.


def _told_otherwise(words: Words, chain: Chain, say: Progress) -> Iterator[str]:
    lists = list(words.rows())
    for number, (place, receipt, rows) in enumerate(lists, 1):
        say("lists", number, len(lists))
        for txid, mine in by_transaction(rows).items():
            if txid == BEGINNING:
                yield from _beginning(place, mine, chain)
                continue
            name = f"{place}: transaction {chain.hash_text(txid)}"
            there = chain.moved(txid)
            if there is None:
                if not all(_is_beyond(row, chain) for row in mine):
                    yield f"{name} is in no block of the ledger"
                continue
            yield from _placed_otherwise(name, {row.height for row in mine}, there)
            if odd := added_by(mine, there, receipt=receipt):
                yield f"{place} tells {_transfers(odd, chain, txid)}, not in the ledger"
    for word in words.transactions.values():
        yield from _one_transaction(word.place, word.told, chain)


def _is_beyond(row: Movement, chain: Chain) -> bool:
    if row.height is not None:
        return row.height > chain.height
    return row.time is not None and row.time > chain.time_of(chain.height)


def _placed_otherwise(name: str, heights: set[int | None], there: Moved) -> Iterator[str]:
    for height in sorted(each for each in heights if each is not None and each != there.height):
        yield f"{name} is in the block of height {there.height}, not of {height} where the case has it"


def _beginning(place: str, rows: Sequence[Movement], chain: Chain) -> Iterator[str]:
    for row in rows:
        who = row.recipient or b""
        granted = [one.move for one in chain.listed(who, NATIVE, 0, 0) if one.kind == GRANT] if who else []
        if move_told(row) not in granted and chain.knows_coins(0):
            yield f"{place}: {chain.describe(move_told(row))} is not in the chain's beginning"


def _one_transaction(place: str, told: Transaction, chain: Chain) -> Iterator[str]:
    """Of a transaction that was asked for by itself: its outcome, and that nothing is missing but what calls move."""
    there = chain.moved(told.txid)
    name = f"{place}: transaction {chain.hash_text(told.txid)}"
    if there is None:
        if told.height is not None and told.height <= chain.height:
            yield f"{name} is in no block of the ledger"
        return
    yield from _placed_otherwise(name, {told.height}, there)
    if there.status != UNSTATED and told.succeeded == there.failed:
        said, was = ("succeeded", "failed") if told.succeeded else ("failed", "succeeded")
        yield f"{name} {was}, and is said to have {said}"
    missing = list(
        missing_from(told.rows, there, lambda kind, asset: kind == TOKEN or (kind, asset) == (VALUE, NATIVE))
    )
    if there.fee and not any(row.kind == "fee" for row in told.rows):
        missing.append(Move(NATIVE, there.payer, None, there.fee))
    if missing:
        yield f"{place} leaves out {_transfers(missing, chain, told.txid)}"


def _transfers(moves: Sequence[Move], chain: Chain, txid: bytes) -> str:
    count = f"{len(moves)} transfers" if len(moves) > 1 else "1 transfer"
    first = min(moves, key=lambda move: (move.amount, chain.describe(move)))
    return f"{count} of transaction {chain.hash_text(txid)}: {chain.describe(first)}"
