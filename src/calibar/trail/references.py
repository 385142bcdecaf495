"""What is stolen, as people name it: a coin, a transaction, an address; all of it or `=AMOUNT` of it."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.script import ScriptKind, hash160, kind_of, same_key_forms, script_of
from calibar.errors import AddressError, UsageError
from calibar.ledger.snapshot import Snapshot

_COIN = re.compile(r"([0-9a-fA-F]{64})(?::([0-9]+))?")
_LIKE_A_COIN = re.compile(r"[0-9a-fA-F]{50,}(:.*)?")
_AMOUNT = re.compile(r"[0-9]{1,16}")
_FORMS = "a REF is txid:vout, a txid or an address, with =AMOUNT in satoshi where only part is stolen"


@dataclass(frozen=True, slots=True)
class Reference:
    """A REF resolved to coins, in chain order."""

    text: str
    coins: NDArray[np.int64]
    amount: int | None
    """Satoshi to label; None: all of it."""


def resolve(text: str, snapshot: Snapshot, coin_limit: int) -> Reference:
    """Find a REF's coins below `coin_limit`. Raises UsageError or AddressError with what to do."""
    name, equals, amount_text = text.partition("=")
    amount: int | None = None
    if equals:
        if not _AMOUNT.fullmatch(amount_text) or int(amount_text) == 0:
            raise UsageError(f"{name}: {amount_text[:40]!r} is no amount; give whole satoshi after `=`")
        amount = int(amount_text)
    match = _COIN.fullmatch(name)
    if match:
        coins = _coins_of_transaction(match[1].lower(), match[2], snapshot)
    elif _LIKE_A_COIN.fullmatch(name):
        raise _no_coin(name)
    else:
        coins = _coins_of_address(name, snapshot)
    early = coins[coins < coin_limit]
    if not early.size:
        raise UsageError(f"{name} is later than the as-of height; raise --as-of, or leave it out")
    worth = int(snapshot["coins.value"][early].sum())
    if amount is not None and amount > worth:
        raise UsageError(f"{name} has {worth} satoshi, less than the {amount} asked for; give at most that after `=`")
    return Reference(text, early, amount)


def coins_named(text: str) -> str | None:
    """The id of the transaction that a REF names or names a coin of; None where it names an address.

    Raises UsageError for what looks like a transaction's id and is none.
    """
    name = text.partition("=")[0]
    if match := _COIN.fullmatch(name):
        return match[1].lower()
    if _LIKE_A_COIN.fullmatch(name):
        raise _no_coin(name)
    return None


def script_named(text: str, network: Network) -> bytes:
    """The script that an address stands for. Raises UsageError with where it is wrong."""
    try:
        return script_of(text.partition("=")[0], network)
    except AddressError as error:
        raise UsageError(f"{error}; {_FORMS}") from None


def _no_coin(name: str) -> UsageError:
    digits = len(name.partition(":")[0])
    what = f"a transaction id has 64 hex digits, this has {digits}" if digits != 64 else "its output is no number"
    return UsageError(f"{name[:100]}: {what}; {_FORMS}")


def _coins_of_transaction(txid: str, output: str | None, snapshot: Snapshot) -> NDArray[np.int64]:
    transaction = snapshot.find_transaction(txid)
    first, end = (int(x) for x in snapshot["transactions.first_coin"][transaction : transaction + 2])
    if output is None:
        return np.arange(first, end, dtype=np.int64)
    if len(output) > 10 or int(output) >= end - first:
        raise UsageError(f"{txid} has outputs 0 to {end - first - 1}, no output {output[:20]}")
    return np.array([first + int(output)], np.int64)


def _coins_of_address(name: str, snapshot: Snapshot) -> NDArray[np.int64]:
    try:
        address = snapshot.find_address(name)
    except AddressError as error:
        raise UsageError(f"{error}; {_FORMS}") from None
    if address is None:
        raise UsageError(
            f"{name} receives nothing in {snapshot.folder}{_others(name, snapshot)}; check it, or ingest on"
        )
    return snapshot.coins_of(address)


def _others(name: str, snapshot: Snapshot) -> str:
    """In words, the other addresses of the same key that the ledger knows."""
    found = ", ".join(f"{form} ({kind})" for kind, form in same_key(name, snapshot))
    return f"; its key's other address {found} does" if found else ""


def same_key(name: str, snapshot: Snapshot) -> list[tuple[str, str]]:
    """(kind, address) of the ledger's other addresses that one key controls: P2PK, P2PKH, compressed and not, SegWit.

    Where only the key's hash is known, the ledger's bare keys are searched for it. An inference from the address
    forms alone, without error: one key's signature spends them all.
    """
    network = snapshot.network
    found = snapshot.find_address(name)
    script = snapshot.script(found) if found is not None else b""
    asked: str | bytes = script or ("" if name.startswith("script:") else name)
    if kind_of(script) is not ScriptKind.P2PK and not name.startswith("script:"):
        asked = _bare_key(script or script_of(name, network), snapshot) or asked
    forms = same_key_forms(asked, network) if asked else []
    return [(kind, form) for kind, form in forms if form != name and snapshot.find_address(form) is not None]


def _bare_key(script: bytes, snapshot: Snapshot) -> bytes | None:
    """The P2PK script whose key hashes to what a P2PKH or P2WPKH script pays, where the ledger has one."""
    if kind_of(script) not in (ScriptKind.P2PKH, ScriptKind.P2WPKH):
        return None
    wanted = script[3:23] if kind_of(script) is ScriptKind.P2PKH else script[2:]
    for address in np.flatnonzero(snapshot["addresses.kind"] == ScriptKind.P2PK).tolist():
        bare = snapshot.script(address)
        if hash160(bare[1:-1]) == wanted:
            return bare
    return None
