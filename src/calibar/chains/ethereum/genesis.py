"""The state that a chain begins with: `alloc` of a geth-style genesis.json, checked against block 0's state root."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from calibar.chains.ethereum import rlp, trie
from calibar.chains.ethereum.keccak import keccak256
from calibar.errors import DecodeError, UsageError

LARGEST: Final = 256 << 20


@dataclass(frozen=True, slots=True)
class Genesis:
    """Balances in wei by address, in order of addresses, and the root of the whole state."""

    balances: tuple[tuple[bytes, int], ...]
    state_root: bytes


def read_genesis(path: Path) -> Genesis:
    """The state of a genesis file. UsageError where it cannot be read, DecodeError where it is not one."""
    try:
        if path.stat().st_size > LARGEST:
            raise DecodeError(f"{path}: over {LARGEST >> 20} MB are no genesis file")
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError):
        raise DecodeError(f"{path}: it is not JSON; give the genesis.json that starts a node") from None
    alloc = document.get("alloc") if isinstance(document, dict) else None
    if not isinstance(alloc, dict):
        raise DecodeError(f"{path}: it has no `alloc`; give the genesis.json that starts a node")
    balances: dict[bytes, int] = {}
    state: dict[bytes, bytes] = {}
    for name, account in alloc.items():
        where = f"{path}: alloc {name[:50]}"
        address = _octets(name, where)
        if len(address) != 20 or address in balances or not isinstance(account, dict):
            raise DecodeError(f"{where} is not one account by its address")
        balances[address] = _number(account.get("balance", "0x0"), f"{where}: balance")
        nonce = _number(account.get("nonce", "0x0"), f"{where}: nonce")
        code = keccak256(_octets(account.get("code", "0x"), f"{where}: code"))
        state[keccak256(address)] = rlp.encode([nonce, balances[address], _storage(account, where), code])
    return Genesis(tuple(sorted(balances.items())), trie.root(state))


def _storage(account: Mapping[str, object], where: str) -> bytes:
    storage = account.get("storage") or {}
    if not isinstance(storage, dict):
        raise DecodeError(f"{where}: storage is not an object")
    values = {}
    for key, value in storage.items():
        slot, number = _octets(key, f"{where}: storage"), int.from_bytes(_octets(value, f"{where}: storage"))
        if number:
            values[keccak256(slot.rjust(32, b"\0"))] = rlp.encode(number)
    return trie.root(values)


def _octets(value: object, where: str) -> bytes:
    digits = value.removeprefix("0x") if isinstance(value, str) else "?"
    try:
        return bytes.fromhex("0" * (len(digits) & 1) + digits)
    except ValueError:
        raise DecodeError(f"{where}: hexadecimal digits are expected") from None


def _number(value: object, where: str) -> int:
    text = str(value) if type(value) is int else value
    if isinstance(text, str) and len(text) <= 80:
        if text[:2] == "0x":
            number = int.from_bytes(_octets(text, where))
        elif text.isascii() and text.isdecimal():
            number = int(text)
        else:
            number = 1 << 256
        if number < 1 << 256:
            return number
    raise DecodeError(f"{where}: a quantity below 2^256 is expected")
