"""Extended public keys (BIP32; versions by SLIP-132): checked, and expanded to the addresses of their wallet."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from calibar.chains.bitcoin import base58
from calibar.errors import AddressError, DecodeError
from calibar.records.selectors.hit import FITS, NEAR, Hit
from calibar.records.selectors.kinds.checks import payload
from calibar.records.selectors.kinds.derivation import FORMS, HARDENED, Node, address, network_named, point

KIND: Final = "extended-key"
START: Final = re.compile(r"[xyztuvYZUV]pub")
_LENGTHS: Final = range(105, 114)


class Version(NamedTuple):
    """What the first four bytes say."""

    name: str
    is_main: bool
    forms: tuple[str, ...]
    """Forms of its addresses: none for keys of several signers, of which one alone gives no address."""


VERSIONS: Final = {
    bytes.fromhex("0488b21e"): Version("xpub", True, FORMS),
    bytes.fromhex("049d7cb2"): Version("ypub", True, ("p2sh-p2wpkh",)),
    bytes.fromhex("04b24746"): Version("zpub", True, ("p2wpkh",)),
    bytes.fromhex("0295b43f"): Version("Ypub", True, ()),
    bytes.fromhex("02aa7ed3"): Version("Zpub", True, ()),
    bytes.fromhex("043587cf"): Version("tpub", False, FORMS),
    bytes.fromhex("044a5262"): Version("upub", False, ("p2sh-p2wpkh",)),
    bytes.fromhex("045f1cf6"): Version("vpub", False, ("p2wpkh",)),
    bytes.fromhex("024289ef"): Version("Upub", False, ()),
    bytes.fromhex("02575483"): Version("Vpub", False, ()),
}
"""An xpub or tpub is used for every form of address by wallets with descriptors, so it is expanded in all four."""


@dataclass(frozen=True, slots=True)
class ExtendedKey:
    """A public key with what its text says of where it stands in a wallet."""

    version: Version
    depth: int
    parent: bytes
    number: int
    node: Node

    @property
    def is_chain(self) -> bool:
        """Whether it is one chain of a wallet (its number is not hardened) instead of an account."""
        return self.depth > 0 and self.number < HARDENED


def decode(text: str) -> ExtendedKey:
    """Read it by BIP32's rules. Raises AddressError for the checksum, DecodeError for what it says."""
    data = payload(text)
    if data is None:
        data = base58.decode(text)
    if len(data) != 78:
        raise DecodeError(f"it holds {len(data)} bytes instead of 78")
    version = VERSIONS.get(data[:4])
    if version is None:
        raise DecodeError(f"the version {data[:4].hex()} is no extended public key's")
    depth, parent, number, key = data[4], data[5:9], int.from_bytes(data[9:13]), data[45:]
    if key[0] not in (2, 3):
        raise DecodeError(f"its key begins with {key[0]:02x}, a public key with 02 or 03")
    if depth == 0 and (any(parent) or number):
        raise DecodeError("it has depth 0 and yet a parent or a number")
    point(key)
    return ExtendedKey(version, depth, parent, number, Node(key, data[13:45]))


def find(token: str, start: int) -> Hit | None:
    """The key that a token is or looks like."""
    if not START.match(token) or len(token) not in _LENGTHS:
        return None
    end = start + len(token)
    try:
        key = decode(token)
    except (AddressError, DecodeError) as error:
        return Hit(KIND, token, start, end, f"{NEAR}{error}")
    network = "bitcoin mainnet" if key.version.is_main else "bitcoin testnet3, testnet4, signet"
    details = {"version": key.version.name, "depth": key.depth, "number": _number(key.number)}
    return Hit(KIND, token, start, end, FITS, network, details)


def expand(text: str, count: int) -> tuple[list[dict[str, Any]], str]:
    """The first addresses of each chain and form, and a note. A chain's key has one chain, an account's two."""
    key = decode(text)
    if not key.version.forms:
        return [], "one of several signers' keys: without the others it has no address"
    network = network_named(key.version.is_main)
    chains = [("", key.node)] if key.is_chain else [(f"{chain}/", key.node.child(chain)) for chain in (0, 1)]
    note = ""
    if len(key.version.forms) > 1:
        note = f"{key.version.name} does not say the form of its addresses: all are given"
    found: list[dict[str, Any]] = []
    for name, node in chains:
        chain = {"0/": "receiving", "1/": "change"}.get(name, "this chain")
        keys = [node.child(index).key for index in range(count)]
        for form in key.version.forms:
            found += (
                {"form": form, "chain": chain, "path": f"{name}{at}", "address": address(own, form, network)}
                for at, own in enumerate(keys)
            )
    return found, note


def _number(number: int) -> str:
    return f"{number - HARDENED}'" if number >= HARDENED else str(number)
