"""Addresses and transaction ids that a row names: whether they can be at all, by form and checksum.

A custodian's word for the network decides which chain's rules hold; without one, the form does. What is of no chain
known here is not judged.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.script import script_of
from calibar.chains.ethereum import address as ethereum
from calibar.chains.tron import address as tron
from calibar.errors import AddressError
from calibar.records.movement import Movement

_WORDS: Final = {
    "bitcoin": ("btc", "bitcoin", "segwit", "btc(segwit)"),
    "ethereum": (
        "eth", "erc20", "ethereum", "bsc", "bep20", "bnb smart chain", "bep20 (bsc)", "matic", "polygon", "arbitrum",
        "arbitrum one", "optimism", "base", "avaxc", "avax c-chain",
    ),
    "tron": ("trx", "trc20", "tron", "tron (trc20)"),
}  # fmt: skip
_FAMILY: Final = {word: family for family, words in _WORDS.items() for word in words}
_LIKE_A_HASH: Final = re.compile(r"(?:0x)?([0-9a-fA-F]{50,80})")
_BASE58: Final = re.compile(r"[13][1-9A-HJ-NP-Za-km-z]{24,34}")


def faults(one: Movement) -> Iterator[tuple[str, str]]:
    """What cannot be: `address` or `transaction id`, and why, with what is wrong about it."""
    for name in ("address", "source address"):
        if (text := one.fact(name)) and (why := _address_fault(text, _family(one, text))):
            yield "address", why
    text = one.fact("txid")
    if (found := _LIKE_A_HASH.fullmatch(text)) and len(found[1]) != 64:
        yield "transaction id", f"{text} has {len(found[1])} hex digits; a transaction's id has 64: digits are missing"


def _family(one: Movement, address: str) -> str | None:
    """The kind of chain, by the network's name, else by the address's form."""
    named = _FAMILY.get(" ".join(one.fact("network").casefold().split()))
    if named is not None or one.fact("network"):
        return named
    if address[:2].lower() == "0x":
        return "ethereum"
    if address[:4].lower() in ("bc1q", "bc1p") or (one.asset in ("BTC", "XBT") and _BASE58.fullmatch(address)):
        return "bitcoin"
    return "tron" if len(address) == 34 and address[0] == "T" else None


def _address_fault(address: str, family: str | None) -> str:
    """Why a text is no address of a kind of chain; empty where it is one, or nobody says of which kind."""
    if family is None:
        return ""
    try:
        if family == "ethereum":
            ethereum.decode(address)
        elif family == "tron":
            if address[0] != "T":
                return f"{address[:60]!r} is no address of TRON, which custodians write as T…"
            tron.parse(address)
        else:
            lower = address.lower()
            test = next((one for one in NETWORKS.values() if one.hrp != "bc" and lower.startswith(one.hrp + "1")), None)
            script_of(address, test or NETWORKS["mainnet"])
    except AddressError as error:
        return str(error)
    return ""
