"""The node's own block files in a ledger, against what the node says of the same chain."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from litecoin import COIN

from calibar.chains.bitcoin.blockfile import check_proof_of_work, open_source
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.cli.main import main
from calibar.errors import ChainError, UsageError
from calibar.ledger.check import check
from calibar.ledger.ingest import ingest
from calibar.ledger.snapshot import Snapshot

if TYPE_CHECKING:
    from chains import Stolen

pytest_plugins = ("chains",)

NETWORK = NETWORKS["litecoin-regtest"]


@pytest.fixture(scope="module")
def blocks(stolen: Stolen, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the node's blocks folder, all of it flushed."""
    stolen.chain.rpc("gettxoutsetinfo")  # writes out what is in memory
    folder = tmp_path_factory.mktemp("litecoin") / "blocks"
    shutil.copytree(stolen.chain.blocks_folder, folder, ignore=shutil.ignore_patterns("index"))
    return folder


@pytest.fixture(scope="module")
def ledger(blocks: Path, tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    where = tmp_path_factory.mktemp("ledger") / "ledger"
    ingest([blocks], where)
    return Snapshot(where)


def test_the_chain_is_what_the_node_says(stolen: Stolen, ledger: Snapshot) -> None:
    told = stolen.chain.rpc("gettxoutsetinfo")
    info = ledger.info()
    assert info["network"] == "litecoin-regtest"
    assert (info["height"], info["tip"]) == (told["height"], told["bestblock"])
    assert info["utxo_set_coins"] == told["txouts"]
    assert info["utxo_set_value"] == told["total_amount"] * COIN
    assert check(ledger.folder) == []


def test_every_known_coin_is_in_the_ledger(stolen: Stolen, ledger: Snapshot) -> None:
    known = stolen.known
    for coin in [*known.victim, known.stolen, *known.rest, *known.peels, *known.paid_to_service, *known.parts]:
        transaction = ledger.find_transaction(coin.txid)
        assert transaction is not None
        assert ledger.block_of(transaction) == known.heights[coin.txid]
        made = int(ledger["transactions.first_coin"][transaction]) + coin.output
        assert int(ledger["coins.value"][made]) == coin.value
        assert ledger.address_name(int(ledger["coins.address"][made])) == coin.address


def test_named_or_not_the_network_is_the_same(blocks: Path, ledger: Snapshot, tmp_path: Path) -> None:
    where = str(tmp_path / "ledger")
    with pytest.raises(SystemExit) as ended:
        main(["ingest", "bitcoin", str(blocks), "--ledger", where, "--network", NETWORK.name])
    assert ended.value.code == 0
    assert Snapshot(tmp_path / "ledger").digest == ledger.digest


def test_regtest_is_refused_where_its_genesis_is_not_there(blocks: Path) -> None:
    with pytest.raises(UsageError, match="a litecoin-regtest record, but regtest is being read"):
        open_source([blocks], NETWORKS["regtest"])


def test_its_headers_have_the_work_of_scrypt_and_not_of_sha256d(stolen: Stolen) -> None:
    missed = 0
    for height in range(60):
        name = stolen.chain.rpc("getblockhash", height)
        header = bytes.fromhex(stolen.chain.rpc("getblockheader", name, False))
        assert check_proof_of_work(header, NETWORK)[::-1].hex() == name
        try:
            check_proof_of_work(header, NETWORKS["regtest"])
        except ChainError:
            missed += 1
    assert 0 < missed < 60  # at this difficulty every second hash will do


def test_a_header_without_work_is_refused(stolen: Stolen) -> None:
    header = bytes.fromhex(stolen.chain.rpc("getblockheader", stolen.chain.rpc("getbestblockhash"), False))
    refused = 0
    for nonce in range(20):
        try:
            check_proof_of_work(header[:76] + nonce.to_bytes(4, "little"), NETWORK)
        except ChainError as error:
            assert "has no proof of work" in str(error)
            refused += 1
    assert refused > 0
