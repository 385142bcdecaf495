"""Look for damage in a case on an account chain: its responses against themselves and each other.

A response that was refused is no damage where somebody gave the right answer. Where servers contradict each other it is
said who says what: which of them is right shows in a full ledger alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

from calibar.chains.ethereum.address import encode
from calibar.chains.remote.transfers_told import Movement
from calibar.chains.tron.address import to_base58
from calibar.errors import ChainError, DamageError
from calibar.ledger.case.accounts.asked import is_answered
from calibar.ledger.case.accounts.moved import Moved, added_by, by_transaction, moved_in
from calibar.ledger.case.accounts.words import Progress, Words, read_words
from calibar.ledger.case.case import Case, question_of


def check_accounts(case: Case, say: Progress) -> list[str]:
    """All damage found, one line each."""
    found: list[str] = []
    try:
        words = read_words(case.folder, say)
        for look in (_responses, _blocks, _beside_blocks, _between_servers):
            found += look(words, case.settings.network)
        case.account_snapshot()
    except (DamageError, ChainError) as error:
        found.append(str(error))
    return found


def _responses(words: Words, _: str) -> Iterator[str]:
    """Every answer that was none, where nobody gave the right one."""
    for failed in words.failed:
        if (failed.exchange.place, failed.exchange.request) in words.answered or is_answered(
            question_of(failed.exchange), words
        ):
            continue
        yield f"line {failed.line}: what {failed.exchange.place} told is no answer: {failed.why}"


def _blocks(words: Words, _: str) -> Iterator[str]:
    for height, block in sorted(words.blocks.items()):
        before = words.blocks.get(height - 1)
        if before is None:
            continue
        if block.told.facts.parent_hash[0].tobytes() != before.told.facts.block_hash[0].tobytes():
            yield (
                f"the block of height {height} by {block.place} does not follow that of height {height - 1} by "
                f"{before.place}: they are of two branches; fetch again"
            )


def _beside_blocks(words: Words, network: str) -> Iterator[str]:
    """Rows that are said to be in a block that is known whole, and are not. On TRON no row says its block's hash."""
    whole = {
        height: (block.told.facts.block_hash[0].tobytes(), moved_in(block.told.facts))
        for height, block in words.blocks.items()
    }
    for place, receipt, rows in words.rows():
        for txid, mine in by_transaction(rows).items():
            height, hash_ = mine[0].height, next((row.block_hash for row in mine if row.block_hash is not None), None)
            if height not in whole:
                continue
            named, there = whole[height][0], whole[height][1].get(txid)
            if hash_ == named and there is None:
                yield f"{place}: transaction {_hash(txid, network)} is not in the whole block of height {height}"
            elif there is not None and (hash_ == named or (hash_ is None and network.startswith("tron:"))):
                yield from _not_in_block(place, mine, there, receipt, network)


def _not_in_block(place: str, rows: list[Movement], there: Moved, receipt: bool, network: str) -> Iterator[str]:
    write = to_base58 if network.startswith("tron:") else encode
    for move in added_by(rows, there, receipt=receipt):
        ends = " to ".join("nobody" if end is None else write(end) for end in (move.sender, move.recipient))
        yield (
            f"{place}: the whole block of height {there.height} has no transfer of {move.amount} from {ends} in "
            f"transaction {_hash(rows[0].txid, network)}"
        )


def _between_servers(words: Words, network: str) -> Iterator[str]:
    """Transactions that two servers have in different blocks, or that failed by one and moved something by another."""
    heights: dict[bytes, dict[str, set[int]]] = {}
    done: dict[bytes, set[str]] = {}
    failed: dict[bytes, set[str]] = {}
    for place, _, rows in words.rows():
        for row in rows:
            if row.height is not None:
                heights.setdefault(row.txid, {}).setdefault(place, set()).add(row.height)
            if row.kind != "fee" and row.sender is not None:
                done.setdefault(row.txid, set()).add(place)
    for word in words.transactions.values():
        if word.told.height is not None:
            heights.setdefault(word.told.txid, {}).setdefault(word.place, set()).add(word.told.height)
        (done if word.told.succeeded else failed).setdefault(word.told.txid, set()).add(word.place)
    for txid, by_place in heights.items():
        pairs = combinations(sorted(by_place.items()), 2)
        if apart := next((pair for pair in pairs if not pair[0][1] & pair[1][1]), None):
            said = " and ".join(f"{max(told)} by {place}" for place, told in apart)
            yield f"transaction {_hash(txid, network)} is in the block of height {said}"
    for txid, places in failed.items():
        if others := done.get(txid):
            yield f"transaction {_hash(txid, network)} failed by {min(places)}, and did not by {min(others)}"


def _hash(octets: bytes, network: str) -> str:
    return octets.hex() if network.startswith("tron:") else "0x" + octets.hex()
