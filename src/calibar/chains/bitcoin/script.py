"""Bitcoin scripts and the addresses that stand for them.

An address is a scriptPubKey. P2PK, bare multisig, OP_RETURN and non-standard scripts have no address form and are
shown as `script:<sha256 of the script, hex as sha256 prints it>`. Which kind a script is, `kernels/scripts.py` says.
Sources: BIP13, BIP16, BIP141, BIP173, BIP341, BIP350; SEC 1 for points of secp256k1.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from enum import IntEnum
from typing import Any, Final

from calibar.chains.bitcoin import base58, bech32
from calibar.chains.bitcoin.networks import NETWORKS, Network
from calibar.errors import AddressError, UsageError

SCRIPT_PREFIX: Final = "script:"

_FIELD_PRIME: Final = 2**256 - 2**32 - 977
_KEY_SIZES: Final = {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}
_KEY_HEX: Final = re.compile(r"(?:0[23][0-9a-f]{64}|0[467][0-9a-f]{128})", re.IGNORECASE)
_P2PK_HEX: Final = re.compile(r"(?:210[23][0-9a-f]{64}|410[467][0-9a-f]{128})ac", re.IGNORECASE)
_RETURN, _DUP, _EQUAL, _EQUALVERIFY = b"\x6a", b"\x76", b"\x87", b"\x88"
_HASH160, _CHECKSIG, _CHECKMULTISIG = b"\xa9", b"\xac", b"\xae"


class ScriptKind(IntEnum):
    """Kinds of scriptPubKey; the numbers are those of `kernels/scripts.py` and of stored ledgers."""

    NONSTANDARD = 0
    P2PK = 1
    P2PKH = 2
    P2SH = 3
    P2WPKH = 4
    P2WSH = 5
    P2TR = 6
    MULTISIG = 7
    OP_RETURN = 8
    WITNESS_FUTURE = 9

    @property
    def label(self) -> str:
        """The name shown to people, such as `p2pkh` or `op-return`."""
        return self.name.lower().replace("_", "-")


def kind_of(script: bytes) -> ScriptKind:
    """Kind of one script; whole blocks go through the compiled kernel instead."""
    from calibar.kernels.scripts import script_kind  # noqa: PLC0415 (numba is slow to import)

    return ScriptKind(int(_uncompiled(script_kind)(script, 0, len(script))))


def is_unspendable(script: bytes) -> bool:
    """Whether Core leaves the output out of its UTXO set: starts with OP_RETURN, or longer than 10,000 bytes."""
    from calibar.kernels.scripts import is_unspendable as rule  # noqa: PLC0415

    return bool(_uncompiled(rule)(script, 0, len(script)))


def address_of(script: bytes, network: Network) -> str:
    """Address of a script on a network, or `script:<sha256>` where the kind has no address form."""
    match kind_of(script):
        case ScriptKind.P2PKH:
            return base58.encode(bytes([network.p2pkh_prefix]) + script[3:23])
        case ScriptKind.P2SH:
            return base58.encode(bytes([network.p2sh_prefix]) + script[2:22])
        case ScriptKind.P2WPKH | ScriptKind.P2WSH | ScriptKind.P2TR | ScriptKind.WITNESS_FUTURE:
            version = script[0] - 0x50 if script[0] else 0
            return bech32.encode_witness(network.hrp, version, script[2:])
        case _:
            return SCRIPT_PREFIX + hashlib.sha256(script).hexdigest()


def script_of(address: str, network: Network) -> bytes:
    """The script that an address of `network` stands for.

    Raises AddressError, with the position of the fault where the checksum can tell it, or with the networks that
    the address belongs to. A `script:` text is refused: a hash does not give the script back.
    """
    if address.startswith(SCRIPT_PREFIX):
        raise AddressError(f"{_shown(address)} is a script's hash, which does not tell the script: name a coin instead")
    lower = address.lower()
    known = {other.hrp for other in (network, *NETWORKS.values())}
    hrp = next((hrp for hrp in known if lower.startswith(hrp + "1")), None)
    if hrp is None and (prefix := _foreign_prefix(address)):
        raise AddressError(f"{_shown(address)} has the prefix {prefix}, which no Bitcoin network uses: correct it")
    payload, version = b"", 0
    try:
        if hrp is None:
            payload = base58.decode(address)
        else:
            _, version, payload = bech32.decode_witness(address, hrp)
    except AddressError as error:
        text = _shown(address, hrp is not None)
        raise AddressError(f"{text} is no address: {error}; compare it with its source") from None
    if hrp is None:
        return _from_payload(address, payload, network)
    _demand_network(address, network, "SegWit", "hrp", hrp)
    return _witness(version, payload)


def p2pk(key: bytes) -> bytes:
    """Script that pays a public key: 33 bytes, or 65 uncompressed or hybrid."""
    _demand_key(key)
    return _push(key) + _CHECKSIG


def p2pkh(key_hash: bytes) -> bytes:
    """Script that pays the HASH160 of a public key."""
    return _DUP + _HASH160 + _push(_sized(key_hash, 20)) + _EQUALVERIFY + _CHECKSIG


def p2sh(script_hash: bytes) -> bytes:
    """Script that pays the HASH160 of a script (BIP16)."""
    return _HASH160 + _push(_sized(script_hash, 20)) + _EQUAL


def p2wpkh(key_hash: bytes) -> bytes:
    """Script that pays the HASH160 of a compressed public key, version 0 (BIP141)."""
    return _witness(0, _sized(key_hash, 20))


def p2wsh(script_hash: bytes) -> bytes:
    """Script that pays the SHA-256 of a script, version 0 (BIP141)."""
    return _witness(0, _sized(script_hash, 32))


def p2tr(output_key: bytes) -> bytes:
    """Script that pays an x-only output key, version 1 (BIP341)."""
    return _witness(1, _sized(output_key, 32))


def witness_future(version: int, program: bytes) -> bytes:
    """Script with a witness program that no rule gives a meaning yet: version 1 to 16, program 2 to 40 bytes."""
    if not 1 <= version <= 16 or not 2 <= len(program) <= 40 or (version == 1 and len(program) == 32):
        raise UsageError(f"witness version {version} with {len(program)} bytes is not a future witness program")
    return _witness(version, program)


def multisig(required: int, keys: Sequence[bytes]) -> bytes:
    """Bare multisig script: `required` of the 1 to 20 public keys, in their order."""
    if not 1 <= required <= len(keys) <= 20:
        raise UsageError(f"multisig takes 1 to 20 keys and at most as many signatures, not {required} of {len(keys)}")
    for key in keys:
        _demand_key(key)
    return _number(required) + b"".join(map(_push, keys)) + _number(len(keys)) + _CHECKMULTISIG


def op_return(data: bytes) -> bytes:
    """Unspendable script that carries `data` in one push."""
    return _RETURN + _push(data)


def hash160(data: bytes) -> bytes:
    """RIPEMD-160 of SHA-256, 20 bytes."""
    inner = hashlib.sha256(data).digest()
    try:
        return hashlib.new("ripemd160", inner, usedforsecurity=False).digest()
    except ValueError:  # OpenSSL 3 without its legacy provider
        from Crypto.Hash import RIPEMD160  # noqa: PLC0415

        return RIPEMD160.new(inner).digest()


def same_key_forms(text: str | bytes, network: Network) -> list[tuple[str, str]]:
    """All addresses under the same public key as far as `text` tells it: (form, address), the asked one included.

    `text` is an address, a scriptPubKey, a public key, or the hex of a public key or P2PK script. From a key follow
    P2PK and P2PKH (compressed, uncompressed, and hybrid if that was asked), P2WPKH and P2SH-P2WPKH; from a P2PKH or
    P2WPKH address only what its hash gives: for an uncompressed key the SegWit forms then exist but cannot be spent.
    Scripts that tell no key give an empty list. Bytes that are no point of the curve have no other encodings.
    Raises AddressError as `script_of` does.
    """
    if isinstance(text, str):
        is_hex = _KEY_HEX.fullmatch(text) or _P2PK_HEX.fullmatch(text)
        script = bytes.fromhex(text) if is_hex else script_of(text, network)
    else:
        script = text
    if _is_key(script):
        return _key_forms(script, network)
    match kind_of(script):
        case ScriptKind.P2PK:
            return _key_forms(script[1:-1], network)
        case ScriptKind.P2PKH:
            return _hash_forms(script[3:23], network)
        case ScriptKind.P2WPKH:
            return _hash_forms(script[2:], network)
        case _:
            return []


def _uncompiled(kernel: Any) -> Any:
    """The kernel's own Python source, run as such; with NUMBA_DISABLE_JIT it already is."""
    return getattr(kernel, "py_func", kernel)


def _demand_network(address: str, network: Network, form: str, field: str, value: str | int) -> None:
    if getattr(network, field) == value:
        return
    owners = [other.name for other in NETWORKS.values() if getattr(other, field) == value]
    names = " or ".join(filter(None, [", ".join(owners[:-1]), owners[-1]]))
    raise AddressError(
        f"{_shown(address, True)} is a {form} address of {names}, not of {network.name}: ask there, or correct it"
    )


def _foreign_prefix(address: str) -> str:
    """Prefix of a text that is bech32 in form though of no Bitcoin network; base58 mixes its cases."""
    prefix, _, rest = address.lower().rpartition("1")
    uniform = address in (address.lower(), address.upper())
    return prefix if uniform and prefix.isalnum() and len(rest) >= 6 and set(rest) <= set(bech32.CHARSET) else ""


def _from_payload(address: str, payload: bytes, network: Network) -> bytes:
    text, version, body = _shown(address), payload[0], payload[1:]
    if len(payload) in (33, 34) and version in (0x80, 0xEF):
        raise AddressError(f"{text} is a private key: whoever reads it can take the money, keep it out of all records")
    if len(payload) == 78:
        raise AddressError(f"{text} is an extended key, which stands for many addresses: derive them first")
    if len(payload) != 21:
        raise AddressError(f"{text} is no address: it holds {len(payload)} bytes instead of 21; correct it")
    for field, form, build in (("p2pkh_prefix", "P2PKH", p2pkh), ("p2sh_prefix", "P2SH", p2sh)):
        if any(getattr(other, field) == version for other in (network, *NETWORKS.values())):
            _demand_network(address, network, form, field, version)
            return build(body)
    owner = "an address of TRON" if version == 0x41 else f"of no Bitcoin network (version byte {version})"
    raise AddressError(f"{text} is {owner}: correct it, or ask on its own chain")


def _shown(address: str, whole: bool = False) -> str:
    """Longer texts in base58 are never addresses but may be private keys: these are not repeated in messages."""
    longest = bech32.LONGEST if whole else 35
    return repr(address) if len(address) <= longest else repr(address[:4] + "…")


def _push(data: bytes) -> bytes:
    size = len(data)
    if size < 0x4C:
        return bytes([size]) + data
    if size <= 0xFF:
        return b"\x4c" + bytes([size]) + data
    if size <= 0xFFFF:
        return b"\x4d" + size.to_bytes(2, "little") + data
    return b"\x4e" + size.to_bytes(4, "little") + data


def _number(value: int) -> bytes:
    return bytes([0x50 + value]) if value <= 16 else _push(bytes([value]))


def _witness(version: int, program: bytes) -> bytes:
    return bytes([0x50 + version if version else 0]) + _push(program)


def _sized(data: bytes, size: int) -> bytes:
    if len(data) != size:
        raise UsageError(f"{len(data)} bytes where this script takes {size}")
    return data


def _is_key(data: bytes) -> bool:
    """Size by first byte and nothing more, as Core's `CPubKey::ValidSize`."""
    return bool(data) and _KEY_SIZES.get(data[0]) == len(data)


def _demand_key(key: bytes) -> None:
    if not _is_key(key):
        raise UsageError(f"{key[:4].hex()}… ({len(key)} bytes) is no public key: 33 bytes from 02/03, or 65 from 04")


def _point(key: bytes) -> tuple[int, int] | None:
    """The point of secp256k1 that a key encodes, or None where it encodes none."""
    x = int.from_bytes(key[1:33])
    if x >= _FIELD_PRIME:
        return None
    square = (pow(x, 3, _FIELD_PRIME) + 7) % _FIELD_PRIME
    y = pow(square, (_FIELD_PRIME + 1) // 4, _FIELD_PRIME)
    if y * y % _FIELD_PRIME != square:
        return None
    if len(key) == 33:
        return x, y if y % 2 == key[0] % 2 else _FIELD_PRIME - y
    said = int.from_bytes(key[33:])
    if said not in (y, _FIELD_PRIME - y) or (key[0] != 4 and key[0] % 2 != said % 2):
        return None
    return x, said


def _key_forms(key: bytes, network: Network) -> list[tuple[str, str]]:
    point = _point(key)
    if point is None:
        scripts = [("p2pk", p2pk(key)), ("p2pkh", p2pkh(hash160(key)))]
        return [(form, address_of(script, network)) for form, script in scripts]
    x, y = (coordinate.to_bytes(32) for coordinate in point)
    compressed = bytes([2 + y[-1] % 2]) + x
    encodings = {"compressed": compressed, "uncompressed": b"\x04" + x + y}
    if key[0] in (6, 7):
        encodings["hybrid"] = key
    scripts = [(f"p2pk-{name}", p2pk(encoding)) for name, encoding in encodings.items()]
    scripts += [(f"p2pkh-{name}", p2pkh(hash160(encoding))) for name, encoding in encodings.items()]
    forms = [(form, address_of(script, network)) for form, script in scripts]
    return forms + _hash_forms(hash160(compressed), network)[1:]


def _hash_forms(key_hash: bytes, network: Network) -> list[tuple[str, str]]:
    program = p2wpkh(key_hash)
    scripts = [("p2pkh", p2pkh(key_hash)), ("p2wpkh", program), ("p2sh-p2wpkh", p2sh(hash160(program)))]
    return [(form, address_of(script, network)) for form, script in scripts]
