"""`import calibar`: what a notebook sees."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import calibar
import calibar.trail.trace as tracing
from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import COIN, NETWORKS
from calibar.chains.bitcoin.transaction import Block, Transaction, TxIn, TxOut, assemble, record
from calibar.errors import DamageError, LedgerError, UsageError
from calibar.ledger.ingest import ingest
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]


def _to(who: int, value: int) -> TxOut:
    return TxOut(value, script.p2wpkh(bytes([who]) * 20))


def _pay(coin: str, *outputs: TxOut) -> Transaction:
    return Transaction(2, (TxIn(coin[:64], int(coin[65:])),), outputs)


def _on(block: Block, height: int, *transactions: Transaction, who: int = 1) -> Block:
    return assemble(
        REGTEST, height, block.hash, 1_700_000_000 + 600 * height, [_to(who, 50 * COIN)], transactions=transactions
    )


class Fork:
    """Three blocks, then two branches: in both the first coin moves on, elsewhere to."""

    def __init__(self) -> None:
        self.common = [genesis()]
        for height in (1, 2):
            self.common.append(_on(self.common[-1], height))
        self.coin = f"{self.common[1].transactions[0].txid}:0"
        first = _pay(self.coin, _to(2, 30 * COIN), _to(3, 20 * COIN - 700))
        self.first = [_on(self.common[-1], 3, first, _pay(f"{first.txid}:1", _to(4, 20 * COIN - 900)))]
        second = _pay(self.coin, *(_to(n, COIN // 100) for n in range(5, 255)))
        self.second = [_on(self.common[-1], 3, second, who=9)]
        self.second.append(_on(self.second[-1], 4, _pay(f"{second.txid}:7", _to(2, COIN // 200))))
        self.lost = f"{first.txid}:0"
        """A coin of the losing branch alone."""


@pytest.fixture(scope="module")
def fork() -> Fork:
    return Fork()


def _write(folder: Path, name: str, blocks: list[Block]) -> Path:
    path = folder / name
    path.write_bytes(b"".join(record(REGTEST, block) for block in blocks))
    return path


@pytest.fixture
def folder(fork: Fork, tmp_path: Path) -> Path:
    """A ledger on the losing branch."""
    ingest([_write(tmp_path, "first.dat", fork.common + fork.first)], tmp_path / "ledger")
    return tmp_path / "ledger"


@pytest.fixture
def reorganise(fork: Fork, folder: Path) -> Callable[[], None]:
    """Let the branch with more work come."""

    def come() -> None:
        ingest([_write(folder.parent, "second.dat", fork.common + fork.second)], folder)

    return come


def test_a_ledger_opens_and_says_what_it_is(folder: Path, fork: Fork) -> None:
    ledger = calibar.open(folder)
    assert isinstance(ledger, calibar.Ledger)
    assert repr(ledger) == f"<calibar.Ledger regtest: 4 blocks in {folder}>"
    assert (ledger.info["height"], ledger.info["tip"]) == (3, fork.first[-1].hash)
    assert json.loads(json.dumps(ledger.info)) == ledger.info
    assert calibar.open(str(folder)).info == ledger.info


def test_the_face_is_small() -> None:
    assert sorted(calibar.__all__) == ["Ledger", "__version__", "fetch", "open", "read_records", "trace"]
    code = "import sys, calibar; assert not {'numpy', 'numba', 'click', 'rich'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_opening_reads_the_manifest_alone(folder: Path, fork: Fork) -> None:
    files = [path for path in folder.rglob("*.*") if path.suffix != ".json"]
    assert len(files) > 40
    hidden = [path.rename(f"{path}.hidden") for path in files]
    ledger = calibar.open(folder)
    assert "4 blocks" in repr(ledger)
    with pytest.raises(DamageError, match="blocks"):
        _ = ledger.info
    with pytest.raises(DamageError):
        ledger.trace(fork.coin)
    for path, name in zip(hidden, files, strict=True):
        path.rename(name)
    assert ledger.trace(fork.coin).totals
    assert ledger.info["blocks"] == 4


def test_opening_takes_milliseconds(folder: Path) -> None:
    calibar.open(folder)

    def seconds() -> float:
        started = time.perf_counter()
        calibar.open(folder)
        return time.perf_counter() - started

    assert min(seconds() for _ in range(5)) < 0.02


def test_what_is_no_ledger_does_not_open(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="no ledger") as refused:
        calibar.open(tmp_path / "nothing")
    assert refused.value.exit_code == 2


def test_a_trail_has_its_parts_at_hand(folder: Path, fork: Fork) -> None:
    trail = calibar.open(folder).trace(fork.coin, f"{fork.common[2].transactions[0].txid}=100", method="fifo")
    document = json.loads(trail.json())
    assert trail.document == document
    assert (trail.steps, trail.holdings, trail.totals) == (
        document["steps"],
        document["holdings"],
        document["totals"],
    )
    assert trail.digest == document["digest"]
    assert trail.totals["S0"] == {"in": 50 * COIN, "held": 50 * COIN - 900, "stopped": 0, "fees": 900, "burnt": 0}
    assert trail.totals["S1"] == {"in": 100, "held": 100, "stopped": 0, "fees": 0, "burnt": 0}
    assert len(repr(trail)) < 500  # a large trail must not flood a console


def test_a_trail_is_a_page_in_two_languages(folder: Path, fork: Fork) -> None:
    trail = calibar.open(folder).trace(fork.coin)
    assert '<html lang="en"' in trail.html()
    assert '<html lang="es"' in trail.html("es")
    assert trail.digest in trail.html()
    with pytest.raises(UsageError, match="language"):
        trail.html("fr")
    shown = trail._repr_html_()
    assert escape(trail.html()) in shown
    assert shown.startswith("<iframe")


def test_a_trail_is_a_graph_of_transactions(folder: Path, fork: Fork) -> None:
    pytest.importorskip("networkx")
    trail = calibar.open(folder).trace(fork.coin)
    graph = trail.to_networkx()
    one, two = (each.txid for each in fork.first[0].transactions[1:])
    origin = fork.coin[:64]
    assert set(graph.nodes) == {origin, one, two}
    assert graph.nodes[two]["hop"] == 2
    assert set(graph.edges(keys=True)) == {(origin, one, fork.coin), (one, two, f"{one}:1")}
    assert graph.edges[one, two, f"{one}:1"]["traced"] == {"S0": 20 * COIN - 700}
    assert graph.edges[origin, one, fork.coin]["value"] == 50 * COIN


def test_a_wrong_question_is_a_usage_error(folder: Path, fork: Fork) -> None:
    ledger = calibar.open(folder)
    for references, policy in (
        ((), {}),
        ((fork.coin,), {"method": "lifo"}),
        ((fork.coin,), {"as_of": 4}),
        (("00" * 32,), {}),
    ):
        with pytest.raises(UsageError) as refused:
            ledger.trace(*references, **policy)
        assert "\n" not in str(refused.value)
    with pytest.raises(TypeError):
        ledger.trace(fork.coin, colour="red")
    assert ledger.trace(fork.coin).totals  # a refusal spoils nothing


def test_a_ledger_that_grew_meanwhile_says_what_it_said(folder: Path, fork: Fork) -> None:
    ledger = calibar.open(folder)
    before, trail = ledger.info, ledger.trace(fork.coin)
    following = _on(fork.first[-1], 4, _pay(fork.lost, _to(8, 29 * COIN)))
    ingest([_write(folder.parent, "more.dat", [following])], folder)
    assert ledger.info == before
    assert ledger.trace(fork.coin).json() == trail.json()
    assert calibar.open(folder).trace(fork.coin).totals["S0"]["fees"] == COIN + 900


@pytest.fixture
def bounded() -> Iterator[None]:
    """Little memory: a walk over rows that change under it must not take all there is."""
    if sys.platform != "linux":
        yield
        return
    import resource  # noqa: PLC0415

    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (4 << 30, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_AS, before)


@pytest.mark.usefixtures("bounded")
@pytest.mark.parametrize("moment", ["resolve", "graph_of", "walk", "build", "check_balance"])
@pytest.mark.parametrize("method", ["fifo", "haircut"])
def test_a_reorganisation_during_a_trace_starts_it_again(
    moment: str, method: str, folder: Path, fork: Fork, reorganise: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    ledger = calibar.open(folder)
    before = ledger.trace(fork.coin, method=method)  # all columns are mapped
    done, calls = getattr(tracing, moment), []

    def late(*arguments: Any, **options: Any) -> Any:
        calls.append(arguments)
        if len(calls) == 1:
            reorganise()
        return done(*arguments, **options)

    monkeypatch.setattr(tracing, moment, late)
    trail = ledger.trace(fork.coin, method=method)
    assert len(calls) == 2
    assert trail.json() == calibar.open(folder).trace(fork.coin, method=method).json() != before.json()
    assert trail.document["ledger"] == {"network": "regtest", "height": 4, "tip": fork.second[-1].hash}


def test_a_coin_that_a_reorganisation_took_away_is_unknown(
    folder: Path, fork: Fork, reorganise: Callable[[], None]
) -> None:
    ledger = calibar.open(folder)
    assert ledger.trace(fork.lost).totals["S0"]["held"] == 30 * COIN
    reorganise()
    with pytest.raises(UsageError, match="no transaction"):
        ledger.trace(fork.lost)


def test_info_is_of_one_chain_whatever_happens(folder: Path, reorganise: Callable[[], None]) -> None:
    ledger = calibar.open(folder)
    before = ledger.info
    reorganise()
    assert ledger.info in (before, calibar.open(folder).info)
    assert calibar.open(folder).info["height"] == 4


def test_a_list_that_leads_to_another_address_is_damage(folder: Path, fork: Fork) -> None:
    """What is labelled must have been paid to the address: a wrong link must not add somebody else's coin."""
    address = script.address_of(_to(1, 0).script, REGTEST)
    rewards = [f"{block.transactions[0].txid}:0" for block in (*fork.common[1:], *fork.first)]
    ledger = calibar.open(folder)
    assert [row["coin"] for row in ledger.trace(address).document["sources"]] == rewards
    path = folder / "coins.previous.bin"
    links = np.fromfile(path, np.int64)
    second = int(np.flatnonzero(links >= 0)[0])
    links[second] = 0  # genesis
    links.tofile(path)
    with pytest.raises(DamageError, match="check"):
        calibar.open(folder).trace(address)


def test_other_addresses_of_a_key_are_named(tmp_path: Path) -> None:
    key = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
    chain = [genesis()]
    for height, lock in enumerate((script.p2pk(key), script.p2pkh(script.hash160(key))), start=1):
        reward = [TxOut(COIN, lock)]
        chain.append(assemble(REGTEST, height, chain[-1].hash, 1_700_000_000 + height, reward))
    ingest([_write(tmp_path, "chain.dat", chain)], tmp_path / "ledger")
    ledger = calibar.open(tmp_path / "ledger")
    bare, hashed = (script.address_of(block.transactions[0].outputs[0].script, REGTEST) for block in chain[1:])
    assert [address for _, address in ledger.same_key(hashed)] == [bare]
    assert [address for _, address in ledger.same_key(bare)] == [hashed]
    segwit = script.address_of(script.p2wpkh(script.hash160(key)), REGTEST)
    with pytest.raises(UsageError, match=hashed):
        ledger.trace(segwit)
