"""The address of a server, as people write it: `ssl://electrum.example:50002`, `https://explorer.example/api`.

Options stand after `#`, joined by `&`: `sha256=HEX` pins the server's certificate (SHA-256 of its DER), `proxy=` names
a SOCKS5 proxy (`socks5://127.0.0.1:9050` is Tor's), which then resolves the server's name too. What may be a secret
(user, password, query, unknown parts of a path) never stands in a message.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from calibar.errors import UsageError

_DEFAULT_PORTS: Final = {"tcp": 50001, "ssl": 50002, "http": 80, "https": 443, "socks5": 1080, "socks5h": 1080}
_SHOWN: Final = frozenset(
    ("api", "v1", "v2", "electrs", "esplora", "bitcoin", "btc", "mainnet", "testnet", "testnet3", "testnet4", "signet",
     "regtest", "mutinynet", "blockstream")
)  # fmt: skip
"""Parts of a path that are no key."""


@dataclass(frozen=True, slots=True)
class Proxy:
    """A SOCKS5 proxy."""

    host: str
    port: int
    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)

    @property
    def place(self) -> str:
        """For messages, without secrets."""
        return f"socks5://{_bracketed(self.host)}:{self.port}"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a server is and how to reach it."""

    scheme: str
    host: str
    port: int
    place: str
    """For messages and records: scheme, host, port and the known parts of the path."""
    path: str = field(default="", repr=False)
    """Before each request's own path; without a slash at its end."""
    query: str = field(default="", repr=False)
    authorization: str | None = field(default=None, repr=False)
    """The header of that name."""
    pin: bytes | None = None
    """SHA-256 of the server's certificate."""
    proxy: Proxy | None = None
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def secure(self) -> bool:
        """Whether TLS is spoken."""
        return self.scheme in ("ssl", "https")

    @property
    def host_header(self) -> str:
        """What HTTP calls the host."""
        default = self.port == _DEFAULT_PORTS[self.scheme]
        return _bracketed(self.host) + ("" if default else f":{self.port}")

    def quote(self, text: str, longest: int = 200) -> str:
        """What a server said, as one line of printable characters that holds none of this address's secrets."""
        text = text[: 4 * longest]
        for secret in self.secrets:
            text = text.replace(secret, "…")
        return one_line(text, longest)


def one_line(text: str, longest: int) -> str:
    """A text from outside as one line of printable characters, cut to `longest`."""
    shown = "".join(letter if letter.isprintable() else " " for letter in text[: 4 * longest])
    return " ".join(shown.split())[:longest]


def parse_address(url: str, schemes: Sequence[str], example: str) -> Address:
    """The address that `url` writes, of one of `schemes`; else UsageError, whose message shows `example`."""
    parts, port = _split(url, schemes, example)
    scheme, host = parts.scheme, parts.hostname or ""
    shown = f"{scheme}://{_bracketed(host)}"
    web = scheme in ("http", "https")
    if not web and (parts.username is not None or parts.path.strip("/") or parts.query):
        raise UsageError(f"the address of the server at {shown} has more than host and port; write it like {example}")
    if any(not 33 <= ord(letter) <= 126 for letter in parts.path + parts.query):
        raise UsageError(f"the address of the server at {shown} has characters that a URL must escape")
    pin, proxy = _options(parts.fragment, shown, scheme)
    if host.endswith(".onion") and proxy is None:
        raise UsageError(f"{shown}: an onion address needs Tor: add #proxy=socks5://127.0.0.1:9050 to it")
    path = parts.path.rstrip("/")
    place = shown + (f":{port}" if port is not None or not web else "") + _shown_path(path)
    if not web and port is None:
        place = f"{shown}:{_DEFAULT_PORTS[scheme]}"
    authorization, secrets = None, _secrets(parts)
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        secrets.append(authorization[6:])
    if proxy is not None:
        secrets += [secret for secret in (proxy.user, proxy.password) if secret]
    by_length = tuple(sorted(set(secrets), key=lambda secret: (-len(secret), secret)))
    return Address(
        scheme, host, _DEFAULT_PORTS[scheme] if port is None else port, place, path, parts.query, authorization, pin,
        proxy, by_length,
    )  # fmt: skip


def _split(url: str, schemes: Sequence[str], example: str) -> tuple[SplitResult, int | None]:
    try:
        if any(ord(letter) <= 32 or ord(letter) == 127 for letter in url):
            raise ValueError  # urlsplit overlooks some
        parts = urlsplit(url)
        port, host = parts.port, parts.hostname or ""
    except ValueError:
        raise UsageError(f"the server's address is not a URL like {example}") from None
    if parts.scheme not in schemes or not host or port == 0:
        raise UsageError(f"the server's address is not a URL like {example}")
    if not re.fullmatch(r"[A-Za-z0-9._:-]+", host):
        raise UsageError(f"the host in the server's address has odd letters; write it like {example}, a name with xn--")
    return parts, port


def _options(fragment: str, shown: str, scheme: str) -> tuple[bytes | None, Proxy | None]:
    pin, proxy = None, None
    for option in fragment.split("&") if fragment else []:
        name, _, value = option.partition("=")
        if name == "sha256" and pin is None:
            bare = value.replace(":", "")
            if not re.fullmatch(r"[0-9A-Fa-f]{64}", bare):
                raise UsageError(f"{shown}: #sha256= is not 64 hexadecimal digits, the SHA-256 of a certificate")
            if scheme not in ("ssl", "https"):
                raise UsageError(f"{shown}: #sha256= pins a certificate, and {scheme}:// has none")
            pin = bytes.fromhex(bare)
        elif name == "proxy" and proxy is None:
            proxy = _proxy(unquote(value), shown)
        else:
            raise UsageError(f"{shown}: after # stand, once each, sha256= and proxy=, joined by &")
    return pin, proxy


def _proxy(url: str, shown: str) -> Proxy:
    example = "socks5://127.0.0.1:9050"
    try:
        parts, port = _split(url, ("socks5", "socks5h"), example)
    except UsageError:
        raise UsageError(f"{shown}: its proxy is not an address like {example}") from None
    if parts.path.strip("/") or parts.query or parts.fragment:
        raise UsageError(f"{shown}: its proxy is not an address like {example}")
    user = None if parts.username is None else unquote(parts.username)
    password = None if user is None else unquote(parts.password or "")
    if any(len((secret or "").encode()) > 255 for secret in (user, password)) or user == "":
        raise UsageError(f"{shown}: the user and password of its proxy are 1 to 255 bytes each")
    return Proxy(parts.hostname or "", port or _DEFAULT_PORTS["socks5"], user, password)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _shown_path(path: str) -> str:
    return "".join(f"/{part if part in _SHOWN else '…'}" for part in path.split("/") if part)


def _secrets(parts: SplitResult) -> list[str]:
    """As written and as unquoted."""
    written = [parts.username or "", parts.password or "", parts.query]
    written += [part.partition("=")[2] for part in parts.query.split("&")]
    written += [part for part in parts.path.split("/") if part not in _SHOWN]
    return [form for secret in written for form in (secret, unquote(secret)) if len(form) > 2]
