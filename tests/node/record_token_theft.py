"""Lives through the story of `calibar.sandbox.scenarios.token_theft` on a real node and records its answers.

python tests/node/record_token_theft.py writes the recording and the genesis into the package; the same bytes each time.
"""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterator
from typing import Any

from anvil import Node, binary
from evm import call_data

from calibar.sandbox.scenarios import token_theft as story

NAMES = ("name()", "symbol()", "decimals()")


def live(node: Node) -> None:
    """All of the story's blocks; each transaction must be where the story has it and end as it says."""
    like = "address that looks like deposit of mule 5"
    node.names[like] = story.address(like)
    steps = story.steps()
    for height in range(1, story.TIP + 1):
        here = [step for step in steps if step.height == height]
        sent = [_send(node, step) for step in here]
        assert node.mine(story.BLOCK_SECONDS) == height
        receipts = node.ask("eth_getBlockReceipts", hex(height))
        assert [each["transactionHash"] for each in receipts] == sent, height
        for step, receipt in zip(here, receipts, strict=True):
            assert (receipt["status"] == "0x0") == step.fails, step


def _send(node: Node, step: story.Step) -> str:
    if step.to is None:
        return node.deploy(step.who, step.call, step.makes, ["address"] * len(step.args), step.args)
    return node.send(step.who, step.to, step.call, *step.args, value=step.value)


def requests(node: Node) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """All that is recorded: what a reader of the chain asks, and the balances at the tip."""
    yield from ((method, ()) for method in ("eth_chainId", "net_version", "web3_clientVersion", "eth_blockNumber"))
    for tag in ("latest", "safe", "finalized"):
        yield "eth_getBlockByNumber", (tag, False)
    for height in range(story.TIP + 1):
        yield "eth_getBlockByNumber", (hex(height), True)
        yield "eth_getBlockByNumber", (hex(height), False)
        yield "eth_getBlockReceipts", (hex(height),)
        yield "debug_traceBlockByNumber", (hex(height), {"tracer": "callTracer"})
    tokens = [node.names[token] for token in story.TOKENS]
    for token in tokens:
        for signature in NAMES:
            yield "eth_call", ({"to": token, "data": "0x" + call_data(signature).hex()}, "latest")
    for holder in sorted(node.names.values()):
        yield "eth_getBalance", (holder, "latest")
        for token in tokens:
            yield "eth_call", ({"to": token, "data": "0x" + call_data("balanceOf(address)", holder).hex()}, "latest")


def record() -> tuple[bytes, bytes]:
    """The recording and the genesis file."""
    with Node(story.BALANCES, seed=story.SEED) as node:
        for role in story.roles():
            node.address(role)
        live(node)
        lines = [
            json.dumps({"method": method, "params": params, "result": node.ask(method, *params)}, separators=(",", ":"))
            for method, params in requests(node)
        ]
        genesis = json.dumps(node.genesis, indent=1) + "\n"
    packed = io.BytesIO()
    with gzip.GzipFile(filename="", mode="wb", fileobj=packed, mtime=0, compresslevel=9) as out:
        out.write(("\n".join(lines) + "\n").encode())
    return packed.getvalue(), genesis.encode()


if __name__ == "__main__":
    assert binary() is not None, "anvil is not installed; run sh tools/npm-packages first"
    recording, genesis_file = record()
    story.RECORDING.write_bytes(recording)
    story.GENESIS.write_bytes(genesis_file)
