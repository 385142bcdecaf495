"""Look for damage in a stored ledger: every byte against its sums, every sum against its facts."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from calibar.chains.bitcoin.blockfile import check_proof_of_work, header_work
from calibar.errors import CalibarError, ChainError, DamageError
from calibar.kernels import audit
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.case import is_case
from calibar.ledger.case.check import check_case
from calibar.ledger.columns import CHUNK, SUM, as_array, as_bytes, map_file, sums_path
from calibar.ledger.opening import open_snapshot
from calibar.ledger.schema import UNKNOWN, UNSPENT
from calibar.ledger.snapshot import LAST_COIN, Snapshot
from calibar.ledger.view import INDEX, View

Progress = Callable[[str, int, int], None]

_OFFSETS = {
    "blocks.first_tx": "transactions",
    "blocks.first_address": "addresses",
    "blocks.first_coinbase_byte": "coinbases",
    "transactions.first_input": "inputs",
    "transactions.first_coin": "coins",
    "addresses.first_byte": "scripts",
}
_TRANSACTION = {
    audit.BAD_INPUT: "spends a coin that is not before it",
    audit.BAD_SPEND: "spends a coin of which coins.spent_by says otherwise",
    audit.BAD_FEE: "has a fee that is not inputs minus outputs",
}


def check(folder: Path, progress: Progress | None = None) -> list[str]:
    """All damage found, one line each; an empty list is a sound ledger.

    Raises LedgerError where there is no ledger, or one of a newer format.
    """
    if is_case(folder):
        return check_case(folder, progress)
    while True:
        damage: list[str] = []
        try:
            snapshot = open_snapshot(folder)
        except DamageError as error:
            return [str(error)]
        try:
            for look in _looks(snapshot, progress or (lambda *_: None)):
                damage.extend(look)
                if damage:
                    break
        except DamageError as error:
            damage.append(str(error))
        if not damage or snapshot.is_current():
            return damage


def _looks(snapshot: Snapshot | AccountSnapshot, progress: Progress) -> Iterator[Iterator[str]]:
    """What is looked at, one thing after the other: where one is damaged the next makes no sense."""
    yield _bytes(snapshot, progress)
    if isinstance(snapshot, Snapshot):
        for look in (_offsets, _headers, _sums, _index):
            yield look(snapshot, progress)
    else:
        from calibar.ledger.accounts.check import LOOKS  # noqa: PLC0415

        for number, look_at in enumerate(LOOKS):
            progress("re-adding", number, len(LOOKS))
            yield look_at(snapshot)


def _bytes(snapshot: View, progress: Progress) -> Iterator[str]:
    total = sum(column.length(snapshot.counts[column.table]) for column in snapshot.columns)
    done = 0
    for column in snapshot.columns:
        data = snapshot[column.key]
        length = column.length(snapshot.counts[column.table])
        if column.summed:
            view = as_bytes(data)
            sums = bytes(map_file(sums_path(snapshot.folder, column), length // CHUNK * SUM))
            for chunk in range(length // CHUNK + 1):
                piece = view[chunk * CHUNK : (chunk + 1) * CHUNK]
                digest = hashlib.sha256(piece).digest()
                full = (chunk + 1) * CHUNK <= length
                expected = (
                    sums[chunk * SUM : (chunk + 1) * SUM]
                    if full
                    else bytes.fromhex(snapshot.manifest.tails[column.key])
                )
                if digest != expected:
                    first = chunk * CHUNK
                    yield f"{column.key}.bin: bytes {first} to {first + len(piece)} are not what was committed"
                progress("summing", done + min((chunk + 1) * CHUNK, length), total)
        done += length


def _offsets(snapshot: Snapshot, _progress: Progress) -> Iterator[str]:
    for key, table in _OFFSETS.items():
        offsets = snapshot[key]
        fall = audit.first_fall(offsets)
        if fall >= 0 or int(offsets[-1]) != snapshot.counts[table]:
            yield f"{key}.bin does not count the {snapshot.counts[table]} {table}"


def _headers(snapshot: Snapshot, progress: Progress) -> Iterator[str]:
    previous: bytes | None = None
    work = 0
    headers, hashes, works = snapshot["blocks.header"], snapshot["blocks.hash"], snapshot["blocks.work"]
    for block in range(snapshot.counts["blocks"]):
        header = bytes(headers[block])
        place = f"block {snapshot.manifest.base + block}"
        try:
            digest = check_proof_of_work(header, snapshot.network)
        except ChainError as error:
            yield f"{place} {error}"
            return
        if digest != bytes(hashes[block]):
            yield f"{place}: its hash is not its header's"
            return
        if previous is None and not snapshot.manifest.island and digest[::-1].hex() != snapshot.network.genesis:
            yield f"{place} is not {snapshot.network.name}'s genesis"
        if previous is not None and header[4:36] != previous:
            yield f"{place} does not follow the block before it"
        work += header_work(header)
        if work != int.from_bytes(bytes(works[block]), "big"):
            yield f"{place}: its work is not the sum of the headers'"
            return
        previous = digest
        if block % 1024 == 0:
            progress("headers", block, snapshot.counts["blocks"])


def _sums(snapshot: Snapshot, progress: Progress) -> Iterator[str]:
    progress("re-adding", 0, 1)
    status, tx, unspent, spent = audit.recount(
        snapshot["transactions.first_input"],
        snapshot["transactions.first_coin"],
        snapshot["transactions.fee"],
        snapshot["coins.value"],
        snapshot["coins.spent_by"],
        snapshot["inputs.coin"],
    )
    if status != audit.OK:
        yield f"transaction {snapshot.txid(tx)} {_TRANSACTION[status]}"
        return
    stray = audit.first_stray_mark(snapshot["coins.spent_by"], snapshot.counts["inputs"], UNSPENT)
    if stray >= 0 and snapshot.at_rest:
        yield f"coins.spent_by.bin has no sense at coin {snapshot.coin_name(stray)}"
    if spent != snapshot.counts["inputs"] - snapshot.counts["outside"]:
        yield f"coins.spent_by.bin marks {spent} coins as spent, but {snapshot.counts['inputs']} inputs spend"
    if snapshot.counts["blocks"] and unspent != int(snapshot["blocks.unspent_value"][-1]):
        said = int(snapshot["blocks.unspent_value"][-1])
        yield f"blocks.unspent_value.bin says {said} satoshi, the coins say {unspent}"
    fees, first = snapshot["transactions.fee"], snapshot["blocks.first_tx"]
    for block in range(snapshot.counts["blocks"]):
        of_block = fees[int(first[block]) : int(first[block + 1])]
        expected = UNKNOWN if (of_block < 0).any() else int(of_block.sum())
        if int(snapshot["blocks.fees"][block]) != expected:
            yield f"block {snapshot.manifest.base + block}: its fees are not the sum of its transactions'"
            return
    progress("re-adding", 1, 1)


def _index(snapshot: Snapshot, progress: Progress) -> Iterator[str]:
    progress("index", 0, 1)
    lost = audit.first_lost_txid(snapshot.slots("txids"), snapshot["transactions.txid"])
    if lost >= 0:
        yield f"the index does not find transaction {snapshot.txid(lost)}"
    addresses = snapshot.counts["addresses"]
    starts, scripts = snapshot["addresses.first_byte"], snapshot["scripts.byte"]
    lost = audit.first_lost_script(snapshot.slots("addresses"), starts, scripts)
    if lost >= 0:
        yield f"the index does not find address {snapshot.address_name(lost)}"
    try:
        heads = as_array(map_file(snapshot.folder / INDEX / LAST_COIN, 8 * addresses), np.dtype("<i8"))
    except CalibarError as error:
        yield str(error)
        return
    heads.flags.writeable = False
    link = audit.first_bad_link(
        snapshot["coins.address"], snapshot["coins.previous"], heads, addresses, snapshot.at_rest
    )
    if link >= 0:
        yield f"coin {snapshot.coin_name(link)} is not in its address's list"
    progress("index", 1, 1)
