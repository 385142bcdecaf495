"""Output descriptors (BIP380; BIP381 pkh and sh, BIP382 wpkh, BIP386 tr, BIP389 `<0;1>`), with their checksum."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from calibar.errors import AddressError, DecodeError
from calibar.records.selectors.hit import FITS, NEAR, UNCHECKED, Hit
from calibar.records.selectors.kinds import extended_keys
from calibar.records.selectors.kinds.derivation import Node, address, network_named, point

KIND: Final = "descriptor"
_START: Final = re.compile(r"(?<!\w)(?:sh\((?:wpkh|wsh|multi|sortedmulti)|wpkh|pkh|tr|wsh|combo)\(")
_LONG: Final = re.compile(r"\([0-9a-fA-F]{64}|\][0-9a-fA-F]{64}")
_CHECKSUM: Final = re.compile(r"#([0-9a-z]{1,12})(?![^\W_])")
_LONGEST: Final = 4000
_INPUT: Final = "0123456789()[],'/*abcdefgh@:$%{}IJKLMNOPQRSTUVWXYZ&+-.;<=>?!^_|~ijklmnopqrstuvwxyzABCDEFGH`#\"\\ "
_OUTPUT: Final = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR: Final = (0xF5DEE51989, 0xA9FDCA3312, 0x1BAB10E32D, 0x3706B1677A, 0x644D626FFD)
_KEY: Final = re.compile(
    r"(?:\[[0-9a-fA-F]{8}(?:/[0-9]{1,10}['hH]?)*\])?"
    r"(?:(?P<hex>[0-9a-fA-F]{64,130})|(?P<xpub>[a-zA-Z]pub[0-9A-Za-z]{100,112}))(?P<path>(?:/[0-9<>;*'hH]+)*)"
)
_STEP: Final = re.compile(r"[0-9]{1,10}")
_SEVERAL: Final = re.compile(r"<[0-9]{1,10}(?:;[0-9]{1,10})+>")
_FORMS: Final = {"pkh": "p2pkh", "wpkh": "p2wpkh", "sh(wpkh": "p2sh-p2wpkh", "tr": "p2tr"}


@dataclass(frozen=True, slots=True)
class Single:
    """A descriptor with one key: `pkh`, `wpkh`, `sh(wpkh)` or `tr` without scripts."""

    form: str
    keys: list[tuple[str, Node]]
    """What tells several paths apart, and the key at which each ends (before the `*`)."""
    is_main: bool | None
    """None for a bare key, which is of no network."""
    ranged: bool


def checksum(text: str) -> str:
    """BIP380's eight characters. Raises DecodeError for characters that no descriptor has."""
    state, group, count = 1, 0, 0
    for character in text:
        value = _INPUT.find(character)
        if value < 0:
            raise DecodeError(f"{character!r} stands in no descriptor")
        state = _step(state, value & 31)
        group, count = group * 3 + (value >> 5), count + 1
        if count == 3:
            state, group, count = _step(state, group), 0, 0
    if count:
        state = _step(state, group)
    for _ in range(8):
        state = _step(state, 0)
    state ^= 1
    return "".join(_OUTPUT[state >> 5 * (7 - at) & 31] for at in range(8))


def _step(state: int, value: int) -> int:
    top = state >> 35
    state = (state & 0x7FFFFFFFF) << 5 ^ value
    for at, generator in enumerate(_GENERATOR):
        if top >> at & 1:
            state ^= generator
    return state


def find(text: str) -> Iterator[Hit]:
    """All of a text that have a key in them."""
    at = 0 if "pub" in text or _LONG.search(text) else len(text)
    while match := _START.search(text, at):
        end = _closed(text, match.start())
        at = match.end() if end is None else end
        if end is None:
            continue
        body = text[match.start() : end]
        said = _CHECKSUM.match(text, end)
        if said:
            at = end = said.end()
        if hit := _hit(body, said[1] if said else "", match.start(), end):
            yield hit


def _hit(body: str, said: str, start: int, end: int) -> Hit | None:
    value = f"{body}#{said}" if said else body
    if not re.search(r"[a-zA-Z]pub[0-9A-Za-z]{20}|[0-9a-fA-F]{64}", body):
        return None
    try:
        right = checksum(body)
        if said and said != right:
            return Hit(KIND, value, start, end, f"{NEAR}the checksum does not fit")
        single = parse(body)
    except (AddressError, DecodeError) as error:
        return Hit(KIND, value, start, end, f"{NEAR}{error}")
    network = None
    if single is not None and single.is_main is not None:
        network = "bitcoin mainnet" if single.is_main else "bitcoin testnet3, testnet4, signet"
    return Hit(KIND, f"{body}#{right}", start, end, FITS if said else UNCHECKED, network)


def _closed(text: str, start: int) -> int | None:
    """Where the parenthesis closes, without white space before; None where it does not."""
    depth = 0
    for at in range(start, min(len(text), start + _LONGEST)):
        character = text[at]
        if character in " \t\r\n":
            return None
        depth += (character == "(") - (character == ")")
        if depth == 0 and character == ")":
            return at + 1
    return None


def parse(body: str) -> Single | None:
    """A descriptor with one key; None for another kind. Raises DecodeError or AddressError where it is wrong."""
    name, inner = next(
        ((name, body[len(name) + 1 :]) for name in ("sh(wpkh", "wpkh", "pkh", "tr") if body.startswith(name + "(")),
        ("", ""),
    )
    inner = inner.removesuffix("))" if name == "sh(wpkh" else ")")
    if not name or "," in inner or "(" in inner or ")" in inner:
        return None
    key = _KEY.fullmatch(inner)
    if key is None:
        raise DecodeError("what stands in the parentheses is no key")
    if key["hex"]:
        return Single(_FORMS[name], [("", Node(_bare(key["hex"], name, key["path"]), b""))], None, False)
    extended = extended_keys.decode(key["xpub"])
    steps = key["path"].split("/")[1:]
    ranged = bool(steps) and steps[-1] == "*"
    nodes = [("", extended.node)]
    for step in steps[:-1] if ranged else steps:
        if _SEVERAL.fullmatch(step) and len(nodes) == 1:
            numbers = [int(number) for number in step[1:-1].split(";")][:20]
            nodes = [(f"{number}/", nodes[0][1].child(number)) for number in numbers]
        elif _STEP.fullmatch(step):
            nodes = [(label, node.child(int(step))) for label, node in nodes]
        else:
            raise DecodeError(f"the step {step[:20]!r} does not follow from a public key")
    return Single(_FORMS[name], nodes, extended.version.is_main, ranged)


def _bare(text: str, name: str, path: str) -> bytes:
    key = bytes.fromhex(text if len(text) % 2 == 0 else "")
    if name == "tr" and len(key) == 32:
        key = b"\x02" + key
    if path or len(key) not in ((33, 65) if name == "pkh" else (33,)):
        raise DecodeError("its key has not the length that such a descriptor takes")
    point(key)
    return key


def expand(value: str, count: int) -> tuple[list[dict[str, Any]], str]:
    """The first addresses of each path, and a note."""
    single = parse(value.partition("#")[0])
    if single is None:
        return [], "only pkh, wpkh, sh(wpkh) and tr with one key are expanded"
    network = network_named(single.is_main is not False)
    found: list[dict[str, Any]] = []
    for label, node in single.keys:
        chain = {"0/": "receiving", "1/": "change"}.get(label, "this chain")
        keys = [node.child(at).key for at in range(count)] if single.ranged else [node.key]
        found += (
            {
                "form": single.form,
                "chain": chain,
                "path": f"{label}{at}" if single.ranged else label.rstrip("/"),
                "address": address(key, single.form, network),
            }
            for at, key in enumerate(keys)
        )
    return found, "" if single.is_main is not None else "a bare key is of no network: the mainnet's address is given"
