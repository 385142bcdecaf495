"""What blocks made by hand come to: fees, values, internal movements, rewards, withdrawals, in their order."""

from __future__ import annotations

from typing import Any

import pytest
from eth_answers import GAS, MINER, Json, account, events, log, made, read, rows, say, seal, signed, word

from calibar.chains.ethereum import header, trie
from calibar.chains.ethereum.blocks import BlockReader
from calibar.chains.ethereum.fees import VAULT
from calibar.chains.ethereum.fields import Fields
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.traces import BlockTraces, Reward, read_geth
from calibar.chains.facts import (
    BURN,
    BURNT_FEE,
    CREATED,
    FAILED,
    FEE,
    INTERNAL,
    MINT,
    REWARD,
    SELF_DESTRUCTED,
    SUCCEEDED,
    TOKEN,
    UNSTATED,
    VALUE,
    WITHDRAWAL,
    Builder,
    Facts,
    integers,
)
from calibar.chains.topics import TRANSFER
from calibar.errors import ChainError

ME, YOU = account(0), account(1)
TOKENS, POOL = b"\xaa" * 20, b"\xbb" * 20
TIP, BURNT = 3 * GAS, 7 * GAS
NOBODY = "00" * 20


def frame(sender: bytes, to: bytes | None, value: int, *calls: Json, kind: str = "CALL", **more: Any) -> Json:
    ends = {"from": say(sender), "to": None if to is None else say(to), "value": hex(value)}
    return {"type": kind, "input": "0x", "calls": list(calls), **ends, **more}


def traced(block: Json, *tops: Json) -> BlockTraces:
    hashes = [bytes.fromhex(tx["hash"][2:]) for tx in block["transactions"]]
    return read_geth([{"result": top} for top in tops], hashes, "block 5")


def test_transfers_stand_in_their_order() -> None:
    sent = log(TOKENS, TRANSFER, word(ME), word(YOU), data=word(44))
    block, told = made([signed(0, POOL, 9), signed(1, ME, 4)], [[sent], []])
    inner = frame(ME, POOL, 9, frame(POOL, YOU, 2), frame(POOL, ME, 1))
    found = read(1, block, told, traced(block, inner, frame(YOU, ME, 4)))
    me, you, pool = ME.hex(), YOU.hex(), POOL.hex()
    assert rows(found) == [
        (0, FEE, me, MINER.hex(), TIP),
        (0, BURNT_FEE, me, NOBODY, BURNT),
        (0, VALUE, me, pool, 9),
        (0, INTERNAL, pool, you, 2),
        (0, INTERNAL, pool, me, 1),
        (0, TOKEN, me, you, 44),
        (1, FEE, you, MINER.hex(), TIP),
        (1, BURNT_FEE, you, NOBODY, BURNT),
        (1, VALUE, you, me, 4),
    ]
    assert integers(found.tx_fee) == [TIP + BURNT] * 2
    assert found.position.tolist() == [0, 0, 0, 1, 2, 0, 0, 0, 0]
    assert found.proof.tolist() == [15]
    assert found.notes == ()


def test_a_failed_transaction_moves_nothing_but_its_fee() -> None:
    block, told = made([signed(0, POOL, 9)], failed=(0,))
    top = frame(ME, POOL, 9, frame(POOL, YOU, 2), error="execution reverted")
    found = read(1, block, told, traced(block, top))
    assert [kind for _, kind, *_ in rows(found)] == [FEE, BURNT_FEE]
    assert found.tx_status.tolist() == [FAILED]
    assert integers(found.tx_fee) == [TIP + BURNT]


def test_before_london_the_whole_fee_is_the_producers() -> None:
    block, told = made([signed(0, POOL, 9)], baseFeePerGas=None)
    found = read(1, block, told)
    assert rows(found)[:2] == [(0, FEE, ME.hex(), MINER.hex(), 10 * GAS), (0, VALUE, ME.hex(), POOL.hex(), 9)]


def test_a_creation_pays_the_new_contract() -> None:
    block, told = made([signed(0, None, 5, b"\x60\x00")])
    found = read(1, block, told)
    new = bytes(found.tx_recipient[0])
    assert new == keccak256(b"\xd6\x94" + ME + b"\x80")[12:]  # RLP of the sender and nonce 0
    assert rows(found)[-1] == (0, VALUE, ME.hex(), new.hex(), 5)
    assert events(found) == [(CREATED, new.hex(), new.hex(), ME.hex(), 0)]


def test_contracts_are_made_and_destroyed() -> None:
    block, told = made([signed(0, POOL)])
    child = b"\xcc" * 20
    top = frame(
        ME, POOL, 0,
        frame(POOL, child, 8, kind="CREATE"),
        frame(child, YOU, 8, kind="SELFDESTRUCT"),
        frame(POOL, POOL, 3, kind="SELFDESTRUCT"),
    )  # fmt: skip
    for cancun in (False, True):
        sealed: Json = {"withdrawalsRoot": say(trie.EMPTY), "blobGasUsed": "0x0", "excessBlobGas": "0x0",
                  "parentBeaconBlockRoot": "0x" + "00" * 32} if cancun else {}  # fmt: skip
        block, told = made([signed(0, POOL)], **sealed)
        found = read(1, block, told, traced(block, top))
        assert rows(found)[2:] == [
            (0, INTERNAL, POOL.hex(), child.hex(), 8),
            (0, INTERNAL, child.hex(), YOU.hex(), 8),
            *([] if cancun else [(0, BURN, POOL.hex(), NOBODY, 3)]),  # since EIP-6780 an old contract keeps its own
        ]
        assert events(found) == [
            (CREATED, child.hex(), child.hex(), POOL.hex(), 0),
            (SELF_DESTRUCTED, child.hex(), child.hex(), YOU.hex(), 8),
            (SELF_DESTRUCTED, POOL.hex(), POOL.hex(), POOL.hex(), 3),
        ]


def old(tx: Json) -> tuple[Json, list[Json]]:
    """Its block as before Byzantium: no status in the receipt, a state root."""
    block, told = made([tx])
    del told[0]["status"]
    told[0]["root"] = "0x" + "12" * 32
    return seal(block, told, [tx["raw"]])


@pytest.mark.parametrize(
    ("gas", "error", "status", "moved"),
    [
        (GAS + 1, None, SUCCEEDED, True),  # a failure would have used all gas
        (GAS, None, UNSTATED, True),
        (GAS, "", SUCCEEDED, True),
        (GAS, "out of gas", FAILED, False),
    ],
)
def test_before_byzantium_a_trace_or_the_gas_says_whether_it_failed(
    gas: int, error: str | None, status: int, moved: bool
) -> None:
    block, told = old(signed(0, POOL, 9, gas=gas))
    top = frame(ME, POOL, 9, **({"error": error} if error else {}))
    found = read(1, block, told, traced(block, top) if error is not None else None)
    assert found.tx_status.tolist() == [status]
    assert (VALUE in [kind for _, kind, *_ in rows(found)]) == moved
    assert any("before Byzantium" in note for note in found.notes) == (status == UNSTATED)


def test_withdrawals_are_wei_from_nobody() -> None:
    entry = {"index": "0x1", "validatorIndex": "0x2", "address": say(YOU), "amount": "0x3b9aca00"}
    encoded = bytes.fromhex("dc0102" + "94" + YOU.hex() + "84" + "3b9aca00")
    block, told = made([], withdrawals=[entry], withdrawalsRoot=say(trie.ordered_root([encoded])))
    assert rows(read(1, block, told)) == [(-1, WITHDRAWAL, NOBODY, YOU.hex(), 10**18)]
    assert rows(read(100, block, told)) == []
    assert "paid in a token" in read(100, block, told).notes[0]


@pytest.mark.parametrize(("number", "ether"), [(1, 5), (4_369_999, 5), (4_370_000, 3), (7_279_999, 3), (7_280_000, 2)])
def test_mainnet_pays_its_miners_what_the_fork_says(number: int, ether: int) -> None:
    block, told = made([], number=hex(number), difficulty="0x9")
    assert rows(read(1, block, told)) == [(-1, REWARD, NOBODY, MINER.hex(), ether * 10**18)]
    if number == 1:
        return
    uncle, _ = made([], number=hex(number - 2), miner=say(YOU), difficulty="0x5")
    head = header.encode(Fields.of(uncle, "uncle"))
    size = len(head).to_bytes(2)
    block, told = made(
        [], number=hex(number), difficulty="0x9", uncles=[uncle["hash"]],
        sha3Uncles=say(keccak256(b"\xf9" + size + head)),
    )  # fmt: skip
    found = read_with_uncles(block, told, [uncle])
    assert rows(found) == [
        (-1, REWARD, NOBODY, MINER.hex(), ether * 10**18 * 33 // 32),
        (-1, REWARD, NOBODY, YOU.hex(), ether * 10**18 * 6 // 8),
    ]
    with pytest.raises(ChainError, match="sha3Uncles"):
        read_with_uncles(block, told, [block])
    assert "not told" in read(1, block, told).notes[0]


def read_with_uncles(block: Json, told: list[Json], uncles: list[Json]) -> Facts:
    builder = Builder()
    BlockReader(1).add(builder, block, told, None, uncles)
    return builder.facts()


def test_rewards_that_a_node_tells_are_taken() -> None:
    block, told = made([], difficulty="0x9")
    found = read(61, block, told, BlockTraces([], [Reward(MINER, 12), Reward(YOU, 3)]))
    assert [row[3:] for row in rows(found)] == [(MINER.hex(), 12), (YOU.hex(), 3)]
    assert "none are counted" in read(61, block, told).notes[0]


def test_an_op_stack_chain_pays_its_vaults_and_mints_deposits() -> None:
    deposit = {**signed(0, POOL, 9), "type": "0x7e", "mint": "0x9", "gasPrice": "0x0"}
    block, told = made([deposit, signed(1, POOL, 1)])
    told[0] |= {"type": "0x7e", "effectiveGasPrice": "0x0"}
    told[1] |= {"l1Fee": "0x64"}
    found = read(10, block, told)
    you = YOU.hex()
    assert rows(found) == [
        (0, MINT, NOBODY, ME.hex(), 9),
        (0, VALUE, ME.hex(), POOL.hex(), 9),
        (1, FEE, you, VAULT["tip"].hex(), TIP),
        (1, FEE, you, VAULT["base"].hex(), BURNT),
        (1, FEE, you, VAULT["layer"].hex(), 100),
        (1, VALUE, you, POOL.hex(), 1),
    ]
    assert integers(found.tx_fee) == [0, TIP + BURNT + 100]


def test_other_chains_say_what_is_not_known_of_their_fees() -> None:
    block, told = made([signed(1, POOL, 1)])
    told[0]["l1Fee"] = "0x64"
    found = read(534352, block, told)
    assert rows(found)[0] == (0, FEE, YOU.hex(), MINER.hex(), TIP + 100)
    assert any("l1Fee" in note for note in found.notes)
    assert any("base fees count as burnt" in note for note in found.notes)
