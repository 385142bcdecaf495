"""The shipped recording is what a real node answers to the story, byte for byte, and a chain that proves itself."""

from __future__ import annotations

import gzip
from typing import TYPE_CHECKING, Any, cast

from evm import number, raw, rlp
from record_token_theft import record

from calibar.chains.ethereum.genesis import read_genesis
from calibar.chains.ethereum.jsonrpc import Question
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.recorded import Recording
from calibar.sandbox.scenarios import token_theft as story

if TYPE_CHECKING:
    from nodes import Start

pytest_plugins = ("nodes",)

HEADER = (
    "parentHash", "sha3Uncles", "miner", "stateRoot", "transactionsRoot", "receiptsRoot", "logsBloom", "#difficulty",
    "#number", "#gasLimit", "#gasUsed", "#timestamp", "extraData", "mixHash", "nonce", "#baseFeePerGas",
    "withdrawalsRoot", "#blobGasUsed", "#excessBlobGas", "parentBeaconBlockRoot", "requestsHash",
)  # fmt: skip


def headers(numbers: range) -> list[dict[str, Any]]:
    questions = [Question("eth_getBlockByNumber", (hex(n), False)) for n in numbers]
    return cast("list[dict[str, Any]]", Recording(story.RECORDING).ask(questions))


def test_a_node_that_lives_through_the_story_gives_the_shipped_answers(anvil: Start) -> None:
    recording, genesis = record()
    assert genesis == story.GENESIS.read_bytes()
    # Unpacked: how well gzip packs differs from one zlib to another.
    assert gzip.decompress(recording) == gzip.decompress(story.RECORDING.read_bytes())


def test_each_headers_bytes_hash_to_its_hash_and_name_its_parent() -> None:
    blocks = headers(range(story.TIP + 1))
    parent = "0x" + "00" * 32
    for block in blocks:
        fields = [number(int(block[name[1:]], 16)) if name[0] == "#" else raw(block[name]) for name in HEADER]
        assert block["parentHash"] == parent
        assert block["hash"] == "0x" + keccak256(rlp(fields)).hex()
        parent = block["hash"]


def test_the_first_block_has_the_root_of_the_genesis_file() -> None:
    (block,) = headers(range(1))
    assert block["stateRoot"] == "0x" + read_genesis(story.GENESIS).state_root.hex()
