"""A label: what a named source says of an address; and a set of them, whose digest a trail records."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Final

from calibar.canonical import canonical

CUSTODIANS: Final = ("exchange", "gambling", "hosted_wallet", "market", "payment_processor", "wallet_service")
"""Categories whose services hold their customers' value in one pool: where it goes on, it is not the same value."""
MIXERS: Final = ("mixer", "mixing_service", "tumbler")
"""Source of both: INTERPOL DW-VA taxonomy 0.3 and the categories in use among GraphSense's TagPacks."""


@dataclass(frozen=True, slots=True, order=True)
class Label:
    """One source's word on one address of one network. What a source does not say is an empty text."""

    network: str
    """As ledgers name it: `mainnet`, `regtest`, `ethereum:1`, `tron:mainnet`."""
    address: str
    name: str
    category: str
    source: str
    date: str
    confidence: str

    def document(self) -> dict[str, str]:
        """What a trail says beside an address; what is empty is left out."""
        return {key: text for key, text in asdict(self).items() if text and key not in ("network", "address")}


class LabelSet:
    """Labels with the key of each: the SHA-256 of a script on Bitcoin, 20 bytes on account chains."""

    def __init__(self, keyed: Iterable[tuple[bytes, Label]]) -> None:
        """All labels of all sources; the same one twice counts once."""
        self._keyed = sorted(set(keyed), key=lambda pair: pair[1])

    def __len__(self) -> int:
        return len(self._keyed)

    @property
    def keyed(self) -> list[tuple[bytes, Label]]:
        """All labels with their keys, in order."""
        return self._keyed

    def of(self, network: str) -> dict[bytes, list[Label]]:
        """The labels of a network by key, each key's in order."""
        return self._by_network.get(network, {})

    @cached_property
    def _by_network(self) -> dict[str, dict[bytes, list[Label]]]:
        found: dict[str, dict[bytes, list[Label]]] = {}
        for key, label in self._keyed:
            found.setdefault(label.network, {}).setdefault(key, []).append(label)
        return found

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the canonical list of all labels, whatever files and order they came in."""
        return hashlib.sha256(canonical([asdict(label) for _, label in self._keyed])).hexdigest()
