"""Which kind of server an address names: by its scheme, `esplora+https://…`, or by what it looks like."""

from __future__ import annotations

import ipaddress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from calibar.chains.bitcoin.networks import Network
from calibar.chains.bitcoin.sources.told import Keep, Source
from calibar.errors import UsageError

_FORMS: Final = (
    "a source is ssl://HOST:PORT or tcp://HOST:PORT (an Electrum server), http(s)://HOST/PATH (an Esplora server; with "
    "credentials, or as bitcoind+http://, a node), or a file of raw transactions"
)
PATIENCE: Final = 20.0
"""Seconds of waiting for a server that is busy or hangs up, before the next one is asked."""
_NODE_PORTS: Final = (8332, 18332, 38332, 48332, 18443, 19443)


def open_source(text: str, network: Network, keep: Keep) -> Source:
    """The server (or file) that `text` names. Raises UsageError for one of no known kind."""
    kind, plus, url = text.partition("+")
    scheme = text.partition("://")[0]
    if "://" not in text:
        if not Path(text).is_file():
            raise UsageError(f"{text}: no such file; {_FORMS}")
        from calibar.chains.bitcoin.sources.files import Files  # noqa: PLC0415

        return Files([Path(text)], keep)
    if not plus or "://" in kind:
        kind, url = "", text
    if kind == "electrum" or (not kind and scheme in ("tcp", "ssl")):
        from calibar.chains.bitcoin.sources.electrum import Electrum  # noqa: PLC0415

        return Electrum(url, network, keep, patience=PATIENCE)
    if kind == "bitcoind" or (not kind and _is_node(url)):
        from calibar.chains.bitcoin.sources.rpc import NodeRpc  # noqa: PLC0415

        return NodeRpc(url, network, keep, patience=PATIENCE)
    if kind == "esplora" or (not kind and scheme in ("http", "https")):
        from calibar.chains.bitcoin.sources.esplora import Esplora  # noqa: PLC0415

        return Esplora(url, network, keep, patience=PATIENCE)
    raise UsageError(f"{scheme}:// is no kind of server that is known; {_FORMS}")


def _is_node(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and (parts.username is not None or parts.port in _NODE_PORTS)
    except ValueError:
        return False


def is_here(text: str) -> bool:
    """Whether a source is on this machine, so that nobody else learns what is asked."""
    if "://" not in text:
        return True
    try:
        host = urlsplit(text.partition("+")[2] if "+" in text.partition("://")[0] else text).hostname or ""
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
