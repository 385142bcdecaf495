"""Addresses: Bitcoin's in all its networks, Ethereum's and its kin's, TRON's; and what only looks like one.

Checked by the codecs of `calibar.chains`: Base58Check, BIP173, BIP350, EIP-55. Addresses of other chains whose text has
the same checksums are named by their version byte (SLIP-44 chains' `chainparams.cpp`) or prefix (SLIP-173).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import Final

from calibar.chains.bitcoin import base58, bech32
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.ethereum import address as ethereum
from calibar.chains.tron import address as tron
from calibar.errors import AddressError
from calibar.records.selectors.hit import FITS, NEAR, UNCHECKED, Hit
from calibar.records.selectors.kinds.checks import Reasons, payload
from calibar.records.selectors.kinds.tokens import is_mixed

KIND: Final = "address"
EVM: Final = "ethereum or a chain of its kind"
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_BASE58_LENGTHS: Final = range(25, 37)
_BASE58_STARTS: Final = frozenset("123mnT")
_BECH32: Final = re.compile(r"([a-z]{2,12}?)1([0-9a-z]{8,})", re.IGNORECASE)
_WITNESS: Final = frozenset(network.hrp for network in NETWORKS.values())
_OTHER_VERSIONS: Final[Mapping[int, str]] = {
    16: "dash", 22: "dogecoin", 30: "dogecoin", 48: "litecoin", 50: "litecoin", 76: "dash",
}  # fmt: skip
_OTHER_PREFIXES: Final[Mapping[str, str]] = {"ltc": "litecoin", "tltc": "litecoin testnet", "dgb": "digibyte"}


def _named(field: str, value: str | int) -> str:
    names = [network.name for network in NETWORKS.values() if getattr(network, field) == value]
    return f"bitcoin {', '.join(names)}" if names else ""


def find(token: str, start: int, reasons: Reasons) -> Hit | None:
    """The address that a token is or looks like."""
    end = start + len(token)
    if token[:2] in ("0x", "0X"):
        return _ethereum(token, start, end, reasons)
    if found := _BECH32.fullmatch(token):
        hit = _bech32(token, found[1].lower(), start, end, reasons)
        if hit:
            return hit
    if len(token) == 42 and token.startswith("41") and _HEX.issuperset(token):
        text = tron.to_base58(bytes.fromhex(token)[1:])
        return Hit(KIND, text, start, end, UNCHECKED, "tron")
    if len(token) in _BASE58_LENGTHS:
        return _base58(token, start, end, reasons)
    return None


def _base58(token: str, start: int, end: int, reasons: Reasons) -> Hit | None:
    data = payload(token)
    if data is not None:
        if len(data) != 21:
            return None
        version = data[0]
        if version == tron.PREFIX:
            return Hit(KIND, token, start, end, FITS, "tron")
        network = _named("p2pkh_prefix", version) or _named("p2sh_prefix", version) or _OTHER_VERSIONS.get(version)
        return Hit(KIND, token, start, end, FITS, network or f"not known (version byte {version})")
    strange = sum(c not in base58.ALPHABET for c in token)
    if token[0] not in _BASE58_STARTS or not is_mixed(token) or strange > 2:
        return None
    if len(token) < 33 and (token[0] != "1" or strange):
        return None
    reason = reasons.of(base58.decode, token)
    return Hit(KIND, token, start, end, NEAR + reason, "tron" if token[0] == "T" else None)


def _bech32(token: str, hrp: str, start: int, end: int, reasons: Reasons) -> Hit | None:
    network = _named("hrp", hrp) or _OTHER_PREFIXES.get(hrp)
    if network is None:
        return _other_bech32(token, start, end)
    try:
        if reasons.left > 0 or _fits(token, hrp):
            bech32.decode_witness(token, hrp)
            return Hit(KIND, token.lower(), start, end, FITS, network)
    except AddressError:
        pass
    if len(token) < 20 or not any(c.isdigit() for c in token[len(hrp) + 1 :]):
        return None
    reason = reasons.of(partial(bech32.decode_witness, hrp=hrp), token)
    return Hit(KIND, token, start, end, NEAR + reason, network)


def _fits(token: str, hrp: str) -> bool:
    """Without looking for the wrong character: the codec's own encoder must give the text again."""
    values = [bech32.CHARSET.find(c) for c in token.lower()[len(hrp) + 1 :]]
    if token not in (token.lower(), token.upper()) or min(values) < 0 or len(token) > bech32.LONGEST:
        return False
    variants = (
        bech32.Variant if hrp not in _WITNESS else (bech32.Variant.BECH32M if values[0] else bech32.Variant.BECH32,)
    )
    return any(bech32.encode(hrp, values[:-6], variant) == token.lower() for variant in variants)


def _other_bech32(token: str, start: int, end: int) -> Hit | None:
    """Any prefix, where a checksum fits; without one there is nothing that says it is an address."""
    lower = token.lower()
    prefix, _, rest = lower.rpartition("1")
    if not (len(rest) >= 38 and 2 <= len(prefix) <= 12 and len(token) <= bech32.LONGEST and prefix.isalpha()):
        return None
    if prefix.endswith("pub") or not frozenset(bech32.CHARSET).issuperset(rest) or not _fits(token, prefix):
        return None
    return Hit(KIND, lower, start, end, FITS, f"not known (prefix {prefix})")


def _ethereum(token: str, start: int, end: int, reasons: Reasons) -> Hit | None:
    digits = token[2:]
    strange = [at for at, c in enumerate(digits, 3) if c not in _HEX]
    if len(digits) == 40 and not strange:
        try:
            address = ethereum.decode(token)
        except AddressError:
            reason = "the checksum in the case of its letters does not fit: a character is wrong"
            return Hit(KIND, token, start, end, NEAR + reason, EVM)
        text = ethereum.encode(address)
        return Hit(KIND, text, start, end, FITS if digits == text[2:] else UNCHECKED, EVM)
    if len(digits) == 40 and len(strange) <= 2:
        which = " and ".join(f"character {at} is {digits[at - 3]!r}" for at in strange)
        return Hit(KIND, token, start, end, f"{NEAR}{which}, no hexadecimal digit", EVM)
    if len(digits) in (38, 39, 41, 42) and not strange:
        return Hit(KIND, token, start, end, f"{NEAR}0x and {len(digits)} hexadecimal digits instead of 40", EVM)
    return None
