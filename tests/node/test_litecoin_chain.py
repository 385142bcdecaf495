"""The chain that other tests ask about: its two servers agree, its theft is as told, and it can be rolled back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from litecoin import COIN, LAST_HEIGHT, RefusedError, script_hash

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.script import address_of, script_of
from calibar.chains.bitcoin.transaction import sha256d

if TYPE_CHECKING:
    from chains import Start, Stolen

pytest_plugins = ("chains",)

NETWORK = NETWORKS["litecoin-regtest"]


def test_both_servers_have_the_same_tip(stolen: Stolen) -> None:
    chain = stolen.chain
    tip = chain.electrum("blockchain.headers.subscribe")
    header = bytes.fromhex(tip["hex"])
    assert tip["height"] == chain.height <= LAST_HEIGHT
    assert sha256d(header)[::-1].hex() == chain.rpc("getbestblockhash")


def test_every_transaction_told_by_electrumx_hashes_to_its_id(stolen: Stolen) -> None:
    for txid in stolen.known.transactions:
        raw = bytes.fromhex(stolen.chain.electrum("blockchain.transaction.get", txid))
        told = stolen.chain.rpc("decoderawtransaction", raw.hex())
        assert told["txid"] == txid
        assert sha256d(raw)[::-1].hex() == told["hash"]


def test_the_node_confirms_what_is_known_of_every_coin(stolen: Stolen) -> None:
    known = stolen.known
    coins = [*known.victim, known.stolen, *known.rest, *known.peels, *known.paid_to_service, *known.parts, known.clean]
    for coin in [*coins, known.merged, known.noted, known.unconfirmed]:
        told = stolen.chain.rpc("getrawtransaction", coin.txid, True)
        output = told["vout"][coin.output]
        assert int(output["value"] * COIN) == coin.value
        assert output["scriptPubKey"]["addresses"] == [coin.address]
        height = known.heights[coin.txid]
        if height:
            assert told["blockhash"] == stolen.chain.rpc("getblockhash", height)
        else:
            assert "blockhash" not in told


def test_the_story_has_what_it_promises(stolen: Stolen) -> None:
    known = stolen.known
    assert len(known.rest) == len(known.peels) == 12
    assert len({known.heights[coin.txid] for coin in known.rest}) == 4
    assert len(known.parts) == 4
    assert {coin.address for coin in known.paid_to_service} == {known.service}
    assert len(known.paid_to_service) == 36
    outputs = stolen.chain.rpc("getrawtransaction", known.noted.txid, True)["vout"]
    assert [output["scriptPubKey"]["type"] for output in outputs] == ["witness_v0_keyhash", "nulldata"]
    assert stolen.chain.rpc("getrawmempool") == [known.unconfirmed.txid]


def test_addresses_are_those_of_the_network(stolen: Stolen) -> None:
    for coin in [*stolen.known.victim, *stolen.known.paid_to_service]:
        script = stolen.chain.script_of(coin.address)
        assert script_of(coin.address, NETWORK) == script
        assert address_of(script, NETWORK) == coin.address


def test_electrumx_knows_the_history_of_the_service(stolen: Stolen) -> None:
    known = stolen.known
    script = stolen.chain.script_of(known.service).hex()
    told = stolen.chain.electrum("blockchain.scripthash.get_history", script_hash(script))
    assert {(entry["tx_hash"], entry["height"]) for entry in told} == {
        (coin.txid, known.heights[coin.txid]) for coin in known.paid_to_service
    }


def test_electrumx_follows_a_reorganisation(litecoin: Start) -> None:
    chain = litecoin()
    chain.mine(105)
    address = chain.new_address()
    txid = chain.rpc("sendtoaddress", address, "1.5")
    (mined_in,) = chain.mine()
    chain.wait_for_electrum(106)
    name = script_hash(chain.script_of(address).hex())
    assert chain.electrum("blockchain.scripthash.get_history", name) == [{"tx_hash": txid, "height": 106}]
    chain.rpc("invalidateblock", mined_in)
    chain.rpc("generateblock", chain.new_address(), [])  # leaves the transaction out
    chain.mine(2)
    chain.wait_for_electrum(108)
    assert chain.electrum("blockchain.scripthash.get_history", name) == [{"tx_hash": txid, "height": 107}]
    assert chain.electrum("blockchain.transaction.get_merkle", txid, 107)["block_height"] == 107
    assert chain.rpc("getblockheader", mined_in)["confirmations"] == -1


def test_the_node_s_refusals_are_told_as_such(stolen: Stolen) -> None:
    with pytest.raises(RefusedError, match="out of range"):
        stolen.chain.rpc("getblockhash", 100_000)
    with pytest.raises(RefusedError):
        stolen.chain.electrum("blockchain.transaction.get", "00" * 32)
