"""Look for damage in a case, and for what servers hid: its responses against themselves, its facts against a chain.

Everything is worked out anew from the responses: each against its SHA-256, each transaction's id by the ledger's own
kernel, each branch up to its header, each header's work and parent. A lie that was refused and corrected by somebody
else is no damage; one that nobody corrected leaves a hole, and that is said.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from hashlib import sha256
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import numpy as np

from calibar.chains.bitcoin.blockfile import check_proof_of_work
from calibar.chains.bitcoin.script import address_of
from calibar.chains.bitcoin.sources.told import Outpoint, Place, Raw
from calibar.errors import ChainError, DamageError, DecodeError, UsageError
from calibar.ledger.case.accounts.check import check_accounts
from calibar.ledger.case.accounts.compare import compare_accounts
from calibar.ledger.case.case import Case, read_settings
from calibar.ledger.case.kept import read_kept
from calibar.ledger.case.snapshot import CaseSnapshot
from calibar.ledger.case.state import State, root_of
from calibar.ledger.snapshot import Snapshot

Progress = Callable[[str, int, int], None]
_KINDS: Final = ("electrum", "esplora", "rpc")
"""Servers that are asked for one transaction at a time, by its id."""
_ID: Final = re.compile(r"[0-9a-f]{64}")


def check_case(folder: Path, progress: Progress | None = None) -> list[str]:
    """All damage found, one line each; an empty list is a sound case. Raises LedgerError where there is none."""
    read_settings(folder)
    say = progress or (lambda *_: None)
    try:
        case = Case(folder)
    except (DamageError, ChainError) as error:
        return [str(error)]
    if case.is_account_chain:
        return check_accounts(case, say)
    found: list[str] = []
    for look in (_responses, _headers, _transactions):
        try:
            found += look(case, say)
        except (DamageError, ChainError) as error:
            found.append(str(error))
    return found


def _responses(case: Case, say: Progress) -> Iterator[str]:
    """Every answer that was not what was asked for, where nobody gave the right one."""
    state, shown, told_places = case.coins, set[bytes](), dict[bytes, int]()
    for number, kept in enumerate(read_kept(case.folder), 1):
        say("responses", number, number)
        asked, exchange = _ID.search(kept.exchange.request), kept.exchange
        module: Any = import_module(f"calibar.chains.bitcoin.sources.{exchange.kind}")
        try:
            told = list(module.read(exchange.request, exchange.response))
        except DecodeError as error:
            txid = bytes.fromhex(asked[0])[::-1] if asked is not None else b""
            if txid in state.transactions and txid not in state.places and not state.is_waiting(txid):
                yield f"line {number}: what {exchange.place} told of {txid[::-1].hex()} is no answer: {error}"
            continue
        for one in told:
            if isinstance(one, Raw) and exchange.kind in _KINDS and asked is not None:
                txid = bytes.fromhex(asked[0])[::-1]
                if txid not in state.transactions:
                    yield f"line {number}: {exchange.place} was asked for transaction {asked[0]} and gave another"
            elif isinstance(one, Place):
                told_places[one.txid] = number
                if _leads(one, state):
                    shown.add(one.txid)
    for txid, number in told_places.items():
        if txid not in state.places and not state.is_waiting(txid) and txid not in state.left:
            yield f"line {number}: the branch of transaction {txid[::-1].hex()} leads to no known block"
    if any(map(state.is_waiting, told_places)):
        yield from (f"{place} told what cannot be: {what}" for place, what in state.refused)
    for txid in sorted(state.places.keys() - shown):
        yield f"no branch shows transaction {txid[::-1].hex()} in the block of height {state.places[txid].height}"


def _leads(told: Place, state: State) -> bool:
    """Whether a branch leads to the header of the place that the case has for its transaction."""
    placed = state.places.get(told.txid)
    if placed is None or (placed.height, placed.position) != (told.height, told.position):
        return False
    try:
        return root_of(told) == state.chain.headers[told.height][36:68]
    except ChainError:
        return False


def _headers(case: Case, say: Progress) -> Iterator[str]:
    chain = case.coins.chain
    for number, (height, header) in enumerate(sorted(chain.headers.items()), 1):
        say("headers", number, len(chain.headers))
        try:
            digest = check_proof_of_work(header, chain.network)
        except ChainError as error:
            yield f"the header of height {height} {error}"
            continue
        before = chain.hashes.get(height - 1)
        if digest != chain.hashes[height] or chain.anchors.get(height, digest) != digest:
            yield f"the header of height {height} is another block's"
        elif before is not None and header[4:36] != before:
            yield f"the header of height {height} does not follow the one before it"
    for height in sorted({placed.height for placed in case.coins.places.values()}):
        if not chain.is_anchored(height):
            yield f"no headers lead from the block of height {height} to a known one"


def _transactions(case: Case, say: Progress) -> Iterator[str]:
    """Every id anew, by the kernel that reads blocks; what spends what is joined on the way, or raises ChainError."""
    state, snapshot = case.coins, case.snapshot()
    rows = {bytes(row) for row in snapshot["transactions.txid"]}
    for txid in sorted(rows - state.transactions.keys()):
        yield f"the bytes of transaction {txid[::-1].hex()} are another's"
    for txid in sorted((state.places.keys() & state.transactions.keys()) - rows):
        yield f"the bytes of transaction {txid[::-1].hex()} have another id"
    for txid in sorted(state.places.keys() - state.transactions.keys()):
        yield f"transaction {txid[::-1].hex()} has a place in the chain and no bytes"
    say("transactions", len(rows), len(rows))


# Against a whole chain.


def compare_with(folder: Path, against: Path, progress: Progress | None = None) -> list[str]:
    """What the case in `folder` says and the full ledger in `against` does not, one line each.

    What servers gave only their word for is compared as of the last block that each named before: one that hid a spend
    is shown so, as is one whose word is of a branch that was given up since. Raises UsageError where the ledger is not
    of that chain up to there.
    """
    case = Case(folder)
    if case.is_account_chain:
        return compare_accounts(case, against, progress)
    full = _full(against)
    state, snapshot = case.coins, case.snapshot()
    if full.network.name != state.network.name:
        raise UsageError(f"{against} is of {full.network.name}, the case of {state.network.name}; name another ledger")
    if full.height < state.tip:
        raise UsageError(f"{against} ends at height {full.height}, the case looks to {state.tip}; ingest on")
    found = list(_other_blocks(state, full))
    if not found:  # on another branch nothing else would be worth comparing
        for look in (_placed_otherwise, _hidden_spends, _other_histories):
            found += look(snapshot, _Chain(full), progress or (lambda *_: None))
    return found if full.is_current() else compare_with(folder, against, progress)


def _full(folder: Path) -> Snapshot:
    from calibar.ledger.opening import open_snapshot  # noqa: PLC0415

    found = open_snapshot(folder)
    if not isinstance(found, Snapshot) or found.is_case or found.manifest.island or not found.counts["blocks"]:
        raise UsageError(f"{folder} is no full ledger of a Bitcoin network; make one with `calibar ingest bitcoin`")
    return found


class _Chain:
    """Questions to a full ledger."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.snapshot = snapshot

    def find(self, txid: bytes) -> int | None:
        try:
            return self.snapshot.find_transaction(txid[::-1].hex())
        except UsageError:
            return None

    def height(self, transaction: int) -> int:
        return self.snapshot.manifest.base + self.snapshot.block_of(transaction)

    def values(self, transaction: int) -> list[int]:
        return values(self.snapshot, transaction)

    def spender(self, coin: int) -> int | None:
        """The transaction that spends a coin; None where none does."""
        by = int(self.snapshot["coins.spent_by"][coin])
        first = self.snapshot["transactions.first_input"]
        return int(np.searchsorted(first, by, "right")) - 1 if by < int(first[-1]) else None

    def history(self, digest: bytes, height: int) -> dict[bytes, int]:
        """Transactions up to a height that pay a script or spend a coin of it, with their heights."""
        address = self.snapshot.find_address(f"script:{digest.hex()}")
        found: set[int] = set()
        for coin in [] if address is None else self.snapshot.coins_of(address).tolist():
            found.add(self.snapshot.transaction_of(coin))
            if (spender := self.spender(coin)) is not None:
                found.add(spender)
        heights = {bytes(self.snapshot["transactions.txid"][one]): self.height(one) for one in found}
        return {txid: at for txid, at in heights.items() if at <= height}


def values(snapshot: Snapshot, transaction: int) -> list[int]:
    """Satoshi of each output of a transaction."""
    first, end = (int(x) for x in snapshot["transactions.first_coin"][transaction : transaction + 2])
    return [int(value) for value in snapshot["coins.value"][first:end]]


def _other_blocks(state: State, full: Snapshot) -> Iterator[str]:
    for height, digest in sorted(state.chain.hashes.items()):
        if bytes(full["blocks.hash"][height]) != digest:
            name = digest[::-1].hex()
            yield f"from height {height} on the ledger has other blocks: {full.block_hash(height)}, the case {name}"
            return


def _placed_otherwise(snapshot: CaseSnapshot, chain: _Chain, say: Progress) -> Iterator[str]:
    count = snapshot.counts["transactions"]
    for transaction in range(count):
        say("transactions", transaction + 1, count)
        txid = bytes(snapshot["transactions.txid"][transaction])
        name, there = txid[::-1].hex(), chain.find(txid)
        if there is None:
            yield f"transaction {name} is in no block of the ledger"
            continue
        placed = snapshot.state.places.get(txid)
        if placed is not None:
            first = int(chain.snapshot["blocks.first_tx"][placed.height])
            if first + placed.position != there:
                yield f"transaction {name} is in the block of height {chain.height(there)}, not where the case has it"
        if values(snapshot, transaction) != chain.values(there):
            yield f"transaction {name} has other amounts"


def _hidden_spends(snapshot: CaseSnapshot, chain: _Chain, say: Progress) -> Iterator[str]:
    """Coins that somebody said to be unspent up to a height, and that were spent by then."""
    state, count = snapshot.state, snapshot.counts["coins"]
    for coin in range(count):
        say("coins", coin + 1, count)
        name = snapshot.outpoint(coin)
        digest = sha256(snapshot.script_of_coin(coin)).digest()
        words = _words(state, name, digest)
        maker = chain.find(name.txid) if words else None
        if maker is None:
            continue
        spender = chain.spender(int(chain.snapshot["transactions.first_coin"][maker]) + name.output)
        if spender is None:
            continue
        txid, at = bytes(chain.snapshot["transactions.txid"][spender]), chain.height(spender)
        for place, height in sorted(words.items()):
            if at <= height and txid not in state.entries_of(digest, place):
                yield (
                    f"{place} hid a spend: by its word nothing spent {snapshot.coin_name(coin)} up to height {height}; "
                    f"transaction {txid[::-1].hex()} did at height {at}"
                )


def _words(state: State, coin: Outpoint, digest: bytes) -> dict[str, int]:
    """Servers that were asked what spends a coin, directly or by its script's history, and the height of their word."""
    histories = {place: height for place, (_, height) in state.histories.get(digest, {}).items()}
    return histories | state.unspent.get(coin, {})


def _other_histories(snapshot: CaseSnapshot, chain: _Chain, say: Progress) -> Iterator[str]:
    """Histories that leave something out, or name what has nothing to do with the address."""
    state = snapshot.state
    scripts = {sha256(snapshot.script(i)).digest(): snapshot.script(i) for i in range(snapshot.counts["addresses"])}
    for number, (digest, told) in enumerate(state.histories.items(), 1):
        say("histories", number, len(state.histories))
        script = scripts.get(digest)
        name = f"script:{digest.hex()}" if script is None else address_of(script, state.network)
        whole = ", which the case calls whole," if state.is_whole(digest) else ""
        for place, (history, height) in sorted(told.items()):
            there = chain.history(digest, height)
            here = {txid for txid, at in history.entries if 0 < at <= height}
            for words, odd in (("leaves out", there.keys() - here), ("names", here - there.keys())):
                if odd:
                    yield (
                        f"{place}: its history of {name} up to height {height}{whole} {words} {len(odd)} transactions"
                        f"{', which do not concern it' if words == 'names' else ''}: {min(odd)[::-1].hex()}"
                    )
