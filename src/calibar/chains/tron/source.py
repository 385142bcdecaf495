"""A TRON node as a source of blocks, however it is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final, Protocol

from calibar.chains.facts import Builder, Facts
from calibar.chains.tron.blocks import add_block, has_block, read_header
from calibar.chains.tron.jsonfields import mapping
from calibar.errors import ChainError, UsageError

BLOCK: Final = "/wallet/getblockbynum"
INFOS: Final = "/wallet/gettransactioninfobyblocknum"
NOW: Final = "/wallet/getnowblock"

NETWORKS: Final = {
    "00000000000000001ebf88508a03865c71d452e25f4d51194196a1d22b6653dc": "mainnet",
    "0000000000000000de1aa88295e1fcf982742f773e0419c5a9c134c994a9059e": "shasta",
    "0000000000000000d698d4192c56cb6be724a558448e2684802de4d6cd8690dc": "nile",
}
"""Networks by the id of their first block."""

_MOST_BLOCKS: Final = 256
_MOST_ROWS: Final = 50_000


def network_of(first: bytes) -> str:
    """The network whose first block has that id; one that is not known is named by the id's last 16 digits."""
    return NETWORKS.get(first.hex(), first.hex()[-16:])


class Node(Protocol):
    """What answers java-tron's HTTP API."""

    name: str
    """For messages: no secrets."""

    def ask(self, path: str, body: Mapping[str, object]) -> object:
        """The JSON answer of `path` (`/wallet/…`). Raises UsageError or DecodeError, in one line."""

    def close(self) -> None:
        """Give back what it holds."""


class TronSource:
    """Blocks of one TRON network from a node, or from a recording of its answers (`facts.Source`)."""

    def __init__(self, node: Node, network: str | None = None) -> None:
        """`network` (mainnet, shasta, nile) is checked by the first block's id, or believed where there is none.

        Raises UsageError where the node is of another network, or neither says which.
        """
        self._node = node
        self.chain = f"tron:{self._network(network)}"

    def _network(self, expected: str | None) -> str:
        first = self.hash_of(0)
        if first is None:
            if expected is None:
                raise UsageError(f"{self._node.name}: it has no block 0 to tell the network by; name the network")
            return expected
        found = network_of(first)
        if expected not in (None, found):
            raise UsageError(f"{self._node.name}: it is of the network {found}, not {expected}")
        return found

    def close(self) -> None:
        """Close the connection or the file."""
        self._node.close()

    def last(self) -> int:
        """Number of the last block it has. Raises DecodeError for an answer that is none."""
        what = f"{self._node.name}: last block"
        answer = self._node.ask(NOW, {})
        if not has_block(answer, what):
            raise UsageError(f"{what}: it has none yet; wait until the node has synchronised")
        return read_header(answer, None, what).number

    def hash_of(self, number: int) -> bytes | None:
        """Id of a block as the node has it now, recomputed from its header; None where it has none."""
        what = f"{self._node.name}: block {number}"
        answer = self._node.ask(BLOCK, {"num": number})
        return read_header(answer, number, what).id if has_block(answer, what) else None

    def read(self, first: int, last: int) -> Iterator[Facts]:
        """Blocks first..last in batches. Raises DecodeError, ChainError or UsageError, each in one line."""
        builder, blocks = Builder(), 0
        parent: bytes | None = None
        for number in range(first, last + 1):
            what = f"{self._node.name}: block {number}"
            answer = self._node.ask(BLOCK, {"num": number})
            if not has_block(answer, what):
                raise UsageError(f"{what}: it has none; ask for blocks up to {number - 1}")
            header = read_header(answer, number, what)
            if parent is not None and header.parent != parent:
                raise ChainError(
                    f"{what}: its parent is {header.parent.hex()}, the block before is {parent.hex()}: "
                    "the chain was reorganised meanwhile, read again"
                )
            parent = header.id
            block = mapping(answer, what)
            outcomes = self._node.ask(INFOS, {"num": number}) if number and block.get("transactions") else []
            add_block(builder, header, block, outcomes, what)
            blocks += 1
            rows = len(builder.columns["transfer_tx"]) + len(builder.columns["tx_hash"])
            if blocks == _MOST_BLOCKS or rows >= _MOST_ROWS:
                yield builder.facts()
                builder, blocks = Builder(), 0
        if blocks:
            yield builder.facts()
