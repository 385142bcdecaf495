"""What a person states of an export, since the file does not say it or says it twice; kept with the file's bytes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from calibar.chains.ethereum import address as ethereum
from calibar.chains.remote.csv_numbers import MARKS
from calibar.chains.remote.csv_sheet import shown
from calibar.chains.remote.csv_times import ORDERS
from calibar.chains.remote.transfers_told import NATIVE, Asset
from calibar.chains.tron import address as tron
from calibar.errors import AddressError, DecodeError, UsageError

_COINS: Final = {
    "1": ("ETH",), "10": ("ETH",), "56": ("BNB",), "100": ("XDAI",), "137": ("MATIC", "POL"), "250": ("FTM",),
    "8453": ("ETH",), "42161": ("ETH",), "43114": ("AVAX",), "59144": ("ETH",), "534352": ("ETH",),
}  # fmt: skip
"""Names of the coins of chains of Ethereum's kin, by chain id; the first is today's."""


@dataclass(frozen=True, slots=True)
class Network:
    """A chain whose exports are read."""

    chain: str
    """`ethereum:<chain id>` or `tron:<network>`."""

    def __post_init__(self) -> None:
        if not re.fullmatch(r"ethereum:[0-9]{1,20}|tron:[a-z0-9-]{1,40}", self.chain):
            raise UsageError(f"{shown(self.chain)} is no chain of accounts: give ethereum:<chain id> or tron:<network>")

    @property
    def is_tron(self) -> bool:
        """Whether TRC-10 tokens have numbers and the coin six decimals."""
        return self.chain.startswith("tron:")

    @property
    def places(self) -> int:
        """Decimals of the chain's own coin."""
        return 6 if self.is_tron else 18

    @property
    def coins(self) -> tuple[str, ...]:
        """Names of the chain's own coin; none where they are not known here."""
        return ("TRX",) if self.is_tron else _COINS.get(self.chain.partition(":")[2], ())

    def address(self, text: str) -> bytes:
        """20 bytes. Raises AddressError."""
        return _tron_address(text) if self.is_tron else _ethereum_address(text)

    def text(self, address: bytes) -> str:
        """As people of the chain write it."""
        return tron.to_base58(address) if self.is_tron else ethereum.encode(address)

    def asset(self, text: str) -> Asset:
        """`native`, a contract's address or, on TRON, a TRC-10 number. Raises AddressError."""
        if text == "native":
            return NATIVE
        if self.is_tron and re.fullmatch("[0-9]{1,12}", text):
            return Asset(number=int(text))
        return Asset(self.address(text))

    def asset_text(self, asset: Asset) -> str:
        """What `asset` reads."""
        if asset.contract is not None:
            return self.text(asset.contract)
        return "native" if asset.number is None else str(asset.number)


@dataclass(frozen=True, slots=True)
class Stated:
    """Arguments, checked."""

    network: Network
    address: bytes | None = None
    decimal: str | None = None
    dates: str | None = None
    zone: ZoneInfo | None = None
    decimals: Mapping[Asset, int] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    tokens: Mapping[str, Asset] = field(default_factory=dict)

    def request(self, file: str) -> str:
        """Canonical JSON of the arguments and the file's name."""
        net = self.network
        everything = {
            "address": self.address and net.text(self.address),
            "chain": net.chain,
            "columns": dict(self.columns),
            "dates": self.dates,
            "decimal": self.decimal,
            "decimals": {net.asset_text(asset): places for asset, places in self.decimals.items()},
            "file": file,
            "tokens": {name: net.asset_text(asset) for name, asset in self.tokens.items()},
            "zone": self.zone and self.zone.key,
        }
        said = {name: value for name, value in everything.items() if value or name == "file"}
        return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def stated(
    chain: str, *, address: str | None = None, decimal: str | None = None, dates: str | None = None,
    zone: str | None = None, decimals: Mapping[str, int] | None = None, columns: Mapping[str, str] | None = None,
    tokens: Mapping[str, str] | None = None,
) -> Stated:  # fmt: skip
    """Check arguments. Raises UsageError."""
    network = Network(chain)
    if decimal not in (None, *MARKS):
        raise UsageError(f'decimal={decimal!r} is neither "." nor ","')
    if dates not in (None, *ORDERS):
        raise UsageError(f'dates={dates!r} is neither "dmy" (day first) nor "mdy" (month first)')
    for contract, places in (decimals or {}).items():
        if not isinstance(places, int) or isinstance(places, bool) or not 0 <= places <= 255:
            raise UsageError(f"decimals={{{contract!r}: {places!r}}}: a token has 0 to 255 decimals")
    return Stated(
        network,
        _asset(network, address, "address").contract if address else None,
        decimal,
        dates,
        _zone(zone) if zone else None,
        {_asset(network, contract, "decimals"): places for contract, places in (decimals or {}).items()},
        dict(columns or {}),
        {name: _asset(network, token, "tokens") for name, token in (tokens or {}).items()},
    )


def from_request(request: str) -> tuple[str, Stated]:
    """The file's name and what was stated. Raises DecodeError for what is no request."""
    try:
        said = json.loads(request)
        file, chain = said.pop("file"), said.pop("chain")
        texts = [file, chain, *(said.get(name) or "" for name in ("address", "decimal", "dates", "zone"))]
        tables = [said.get(name) or {} for name in ("decimals", "columns", "tokens")]
        if not all(isinstance(text, str) for text in texts) or not all(isinstance(table, dict) for table in tables):
            raise TypeError
        if not all(isinstance(text, str) for table in tables[1:] for text in table.values()):
            raise TypeError
        return file, stated(chain, **said)
    except UsageError:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
        raise DecodeError("the request is none for exports of explorers") from None


def _asset(network: Network, text: str, argument: str) -> Asset:
    try:
        return Asset(network.address(text)) if argument == "address" else network.asset(text)
    except AddressError as error:
        raise UsageError(f"{argument}: {error}") from None


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise UsageError(f"zone={name!r} is no time zone: give a name such as UTC or Europe/Madrid") from None


@lru_cache(maxsize=1 << 16)
def _ethereum_address(text: str) -> bytes:
    return ethereum.decode(text)


@lru_cache(maxsize=1 << 16)
def _tron_address(text: str) -> bytes:
    return tron.parse(text)
