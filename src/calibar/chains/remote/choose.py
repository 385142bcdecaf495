"""Which kind of server of an account chain an address names: by its scheme, `etherscan+https://…`, or by its host."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from calibar.chains.bitcoin.sources.told import Keep
from calibar.chains.remote.transfers_told import Explorer
from calibar.errors import UsageError

PATIENCE: Final = 20.0
KEYS: Final = {
    "etherscan": "ETHERSCAN_API_KEY",
    "blockscout": "BLOCKSCOUT_API_KEY",
    "trongrid": "TRON_PRO_API_KEY",
    "tronscan": "TRON_PRO_API_KEY",
}
"""Where each kind's key is read from: the environment, or the file that CALIBAR_KEYS names (NAME=VALUE, one a line)."""
_HOSTS: Final = {"etherscan.io": "etherscan", "trongrid.io": "trongrid", "tronscanapi.com": "tronscan"}
_FORMS: Final = (
    "a source of an account chain is node+http(s)://… (a node's own API), etherscan+https://api.etherscan.io/v2/api, "
    "blockscout+https://…, trongrid+https://api.trongrid.io, tronscan+https://apilist.tronscanapi.com, or a CSV file"
)
_STATED: Final = ("address", "decimal", "dates", "zone")
_STATED_BY: Final = ("decimals", "columns", "tokens")


def open_explorer(
    text: str, chain: str, keep: Keep, stated: Sequence[str] = (), before: Callable[[str], None] = lambda _: None
) -> Explorer:
    """The server (or CSV file, with what is `stated` of it) that `text` names. Raises UsageError.

    `before` hears a server's name before it is asked, where opening it asks already.
    """
    if "://" not in text:
        if not Path(text).is_file():
            raise UsageError(f"{text}: no such file; {_FORMS}")
        from calibar.chains.remote.csv_export import CsvExport  # noqa: PLC0415

        return CsvExport([Path(text)], chain, keep, **_statements(stated))
    kind, _, url = text.partition("+") if "+" in text.partition("://")[0] else (_kind_of(text), "", text)
    key = _key(KEYS[kind]) if kind in KEYS else None
    family, _, name = chain.partition(":")
    if kind == "node" and family == "ethereum":
        from calibar.chains.ethereum.sources.node import EvmNode  # noqa: PLC0415

        return EvmNode(url, keep, chain_id=int(name), patience=PATIENCE, before=before)
    if kind == "etherscan" and family == "ethereum":
        from calibar.chains.ethereum.sources.etherscan import Etherscan  # noqa: PLC0415

        return Etherscan(url, keep, key=key, chain_id=int(name), patience=PATIENCE)
    if kind == "blockscout" and family == "ethereum":
        from calibar.chains.ethereum.sources.blockscout import Blockscout  # noqa: PLC0415

        return Blockscout(url, keep, key=key, chain_id=int(name), patience=PATIENCE)
    if kind == "node" and family == "tron":
        from calibar.chains.tron.sources.tronnode import TronNode  # noqa: PLC0415

        key = _key(KEYS["trongrid"]) if _kind_of(url) == "trongrid" else None
        return TronNode(url, keep, key=key, network=name, patience=PATIENCE, before=before)
    if kind == "trongrid" and family == "tron":
        from calibar.chains.tron.sources.trongrid import TronGrid  # noqa: PLC0415

        return TronGrid(url, keep, key=key, network=name, patience=PATIENCE)
    if kind == "tronscan" and family == "tron":
        from calibar.chains.tron.sources.tronscan import Tronscan  # noqa: PLC0415

        return Tronscan(url, keep, key=key, network=name, patience=PATIENCE)
    raise UsageError(f"{kind or text.partition('://')[0]} is no kind of server for {chain}; {_FORMS}")


def _kind_of(url: str) -> str:
    try:
        host = urlsplit(url).hostname or ""
    except ValueError:
        return ""
    for end, kind in _HOSTS.items():
        if host == end or host.endswith("." + end):
            return kind
    return "node"


def _key(name: str) -> str | None:
    if value := os.environ.get(name):
        return value
    path = os.environ.get("CALIBAR_KEYS")
    if not path:
        return None
    try:
        lines = Path(path).read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError):
        raise UsageError("the file that CALIBAR_KEYS names cannot be read; one key a line, NAME=VALUE") from None
    found = dict(line.partition("=")[::2] for line in lines if "=" in line)
    return found.get(name)


def _statements(stated: Sequence[str]) -> Mapping[str, Any]:
    said: dict[str, Any] = {}
    for text in stated:
        name, equals, value = text.partition("=")
        group, dot, key = name.partition(".")
        if equals and not dot and name in _STATED:
            said[name] = value
        elif equals and dot and group in _STATED_BY:
            said.setdefault(group, {})[key] = value
        else:
            raise UsageError(
                f"--stated {text[:80]!r} says nothing of a CSV file; write address=, decimal=, dates=, zone=, "
                "decimals.CONTRACT=N, columns.ROLE=HEADER or tokens.SYMBOL=CONTRACT"
            )
    try:
        said["decimals"] = {contract: int(places) for contract, places in said.get("decimals", {}).items()}
    except ValueError:
        raise UsageError("--stated decimals.CONTRACT=N: N is a whole number") from None
    return said
