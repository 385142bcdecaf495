"""By what an address is looked up: the SHA-256 of its script on Bitcoin, its 20 bytes on account chains."""

from __future__ import annotations

import hashlib
import re
from typing import Final

from calibar.chains.bitcoin import networks
from calibar.chains.bitcoin.script import SCRIPT_PREFIX, address_of, script_of
from calibar.chains.ethereum import address as ethereum
from calibar.chains.tron import address as tron
from calibar.errors import AddressError

_ACCOUNTS: Final = re.compile(r"ethereum:[1-9][0-9]{0,17}|tron:[a-z0-9-]{1,20}")


def key_of(network: str, address: str) -> bytes:
    """The key of an address of a network as ledgers name it. Raises AddressError, and UsageError for the network."""
    return named(network, address)[0]


def named(network: str, address: str) -> tuple[bytes, str]:
    """Its key, and the address as its chain writes it. Raises AddressError, and UsageError for the network."""
    if _ACCOUNTS.fullmatch(network):
        if network.startswith("tron:"):
            key = tron.parse(address)
            return key, tron.to_base58(key)
        key = ethereum.decode(address)
        return key, ethereum.encode(key)
    if not address.startswith(SCRIPT_PREFIX):
        known = networks.network(network)
        script = script_of(address, known)
        return hashlib.sha256(script).digest(), address_of(script, known)
    digits = address.removeprefix(SCRIPT_PREFIX).lower()
    if not re.fullmatch("[0-9a-f]{64}", digits):
        raise AddressError(
            f"{address[:80]!r} is no script: after {SCRIPT_PREFIX} stand the 64 hex digits of its SHA-256"
        )
    return bytes.fromhex(digits), SCRIPT_PREFIX + digits
