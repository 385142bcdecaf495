"""Private material: keys that move money. It is recognised in order to be left alone, never kept and never shown.

Sources: Bitcoin Core, `src/key_io.cpp` (WIF); BIP32 and SLIP-132 (extended private keys); BIP38; Bitcoin wiki, "Mini
private key format"; Web3 Secret Storage (Ethereum's keystore); RFC 7468 (PEM).
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Final

from calibar.records.selectors.hit import Secret
from calibar.records.selectors.kinds import seeds
from calibar.records.selectors.kinds.checks import payload
from calibar.records.selectors.kinds.tokens import is_mixed
from calibar.records.selectors.text import Text

_EXTENDED: Final = re.compile(r"[a-zA-Z]{1,3}prv[0-9A-Za-z]{20,}")
_WIF_VERSIONS: Final = frozenset((0x80, 0xEF, 0xB0, 0x9E, 0xCC, 0xBF))
"""Bitcoin, its test networks, Litecoin, Dogecoin, Dash, Litecoin of old."""
_HEX: Final = re.compile(r"(?:0[xX])?(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})")
_WORDS: Final = re.compile(
    r"priv(?:ate|ada|ado)?[\s_\-]*(?:spend|view)?[\s_\-]*key"
    r"|(?:clave|llave|chave)s?[\s_\-\"]*(?:privada|secreta|de gasto)"
    r"|secret|(?:spend|view)[\s_\-]*key|priv[\s_\-]*[:=]|semilla|\bseed\b|seed[\s_\-]*(?:hex|key)|mnemonic|entropy"
    r"|xpriv|master[\s_\-]*key|clave maestra"
)
_NEAR_BEFORE: Final = 60
_NEAR_AFTER: Final = 30
_PEM: Final = re.compile(r"-----BEGIN (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_PEM_END: Final = re.compile(r"-----END (?:[A-Z0-9]{1,20} ){0,3}PRIVATE KEY(?: BLOCK)?-----")
_CIPHER: Final = re.compile(r"\\?\"ciphertext\\?\"\s{0,20}:\s{0,20}\\?\"[0-9a-f]{16,}", re.IGNORECASE)
_STORED: Final = re.compile(r"[0-9a-f]{16,}", re.IGNORECASE)
_AROUND: Final = 1500


def find(text: Text) -> Iterator[Secret]:
    """All that is private in a text, as it stands."""
    yield from seeds.find(text)
    yield from _keystores(text.text)
    yield from _blocks(text.text)
    for token, start in text.tokens:
        if kind := _kind(text, token, start):
            yield Secret(kind, start, start + len(token))


def _kind(text: Text, token: str, start: int) -> str:
    if _EXTENDED.match(token):
        return "extended private key"
    if _HEX.fullmatch(token):
        return "private key (hexadecimal)" if len(set(token)) > 2 and _is_said(text, start, len(token)) else ""
    if token.isdigit() or len(token) < 22:
        return ""
    if kind := _base58(token):
        return kind
    if 43 <= len(token) <= 95 and is_mixed(token) and _is_said(text, start, len(token)) and payload(token) is None:
        return "private key (base58)"
    return ""


def _base58(token: str) -> str:
    if 50 <= len(token) <= 53 and token[0] in "5KL9cTQ67X":
        data = payload(token)
        if data is not None and len(data) in (33, 34) and data[0] in _WIF_VERSIONS:
            return "private key (WIF)"
        if token[0] in "5KL9c" and is_mixed(token):
            return "what looks like a private key (WIF), though its checksum does not fit"
    if len(token) == 58 and token.startswith("6P") and is_mixed(token):
        return "encrypted private key (BIP38)"
    if token[0] == "S" and len(token) in (22, 26, 30) and is_mixed(token):
        digest = hashlib.sha256(token.encode() + b"?").digest()
        return "private key (mini)" if digest[0] == 0 else ""
    return ""


def _is_said(text: Text, start: int, length: int) -> bool:
    """Whether words near it on the page, or the title of its column, say that it is private."""
    after = text.folded[start + length : start + length + _NEAR_AFTER].partition("\n")[0]
    return bool(_WORDS.search(text.before(start, _NEAR_BEFORE)) or _WORDS.search(after))


def _keystores(text: str) -> Iterator[Secret]:
    """Every long hexadecimal number near a ciphertext: with them and a password anyone has the key."""
    at = 0 if "iphertext" in text or "IPHERTEXT" in text else len(text)
    while match := _CIPHER.search(text, at):
        start, end = max(at, match.start() - _AROUND), match.end() + _AROUND
        at = match.end()
        around = text[start:end].lower()
        if "kdf" not in around and "cipherparams" not in around:
            continue
        at = end
        numbers = [found for found in _STORED.finditer(text, start, end) if found.end() - found.start() != 40]
        for number, found in enumerate(numbers):
            yield Secret("keystore of a wallet", found.start(), _whole(text, found.end()), is_rest=number > 0)


def _whole(text: str, end: int) -> int:
    """To where a number ends that the window cut."""
    found = _STORED.match(text, end - 16)
    return max(end, found.end()) if found else end


def _blocks(text: str) -> Iterator[Secret]:
    if "PRIVATE KEY" not in text:
        return
    at = 0
    while match := _PEM.search(text, at):
        end = _PEM_END.search(text, match.end(), match.end() + 20_000)
        at = end.end() if end else min(len(text), match.end() + 5000)
        yield Secret("private key (PEM)", match.start(), at)
