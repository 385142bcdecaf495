"""Held value that moves is told: in no block, in a block, and when a reorganisation takes it back."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from commands import run_calibar
from liar import Liar
from litecoin import COIN

from calibar.ledger.case.case import Case
from calibar.trail.policy import Policy
from calibar.trail.watches import watching
from calibar.trail.watching import Watch

if TYPE_CHECKING:
    from litecoin import Chain

    from chains import Start

pytest_plugins = ("chains",)

NETWORK = "litecoin-regtest"


@pytest.fixture(scope="module")
def chain(litecoin: Start) -> Chain:
    chain = litecoin("-mempoolreplacement=1")
    chain.mine(105)
    return chain


@contextlib.contextmanager
def watched(chain: Chain, folder: Path, *references: str) -> Iterator[Watch]:
    with watching(folder, references, [chain.electrum_url], network_name=NETWORK, policy=Policy()) as watch:
        assert isinstance(watch, Watch)
        yield watch


def paid(chain: Chain) -> tuple[str, str]:
    """A new coin of one unit in a block, by name and address."""
    address = chain.new_address()
    txid = chain.rpc("sendtoaddress", address, "1")
    (output,) = [
        each["n"] for each in chain.rpc("getrawtransaction", txid, True)["vout"]
        if each["scriptPubKey"]["hex"] == chain.script_of(address).hex()
    ]  # fmt: skip
    chain.rpc("lockunspent", False, [{"txid": txid, "vout": output}])
    chain.mine()
    chain.wait_for_electrum()
    return f"{txid}:{output}", address


def signed(chain: Chain, coin: str, fee: int = 1000) -> str:
    """A transaction that spends a coin of one unit to a new address, as hex."""
    txid, output = coin.split(":")
    to = {chain.new_address(): f"0.{COIN - fee:08}"}
    raw = chain.rpc("createrawtransaction", [{"txid": txid, "vout": int(output), "sequence": 1}], [to])
    return str(chain.rpc("signrawtransactionwithwallet", raw)["hex"])


def spend(chain: Chain, coin: str, fee: int = 1000) -> str:
    txid = str(chain.rpc("sendrawtransaction", signed(chain, coin, fee)))
    chain.rpc("lockunspent", False, [{"txid": txid, "vout": 0}])
    chain.wait_for_electrum()
    return txid


def told(watch: Watch) -> list[tuple[str, str, str | None, int | None]]:
    found = [event.document() for event in watch.round()]
    assert watch.trouble == []
    return [(row["event"], row["coin"], row["spent_by"], row["height"]) for row in found]


def test_a_move_is_told_in_no_block_and_again_in_one_and_is_followed_on(chain: Chain, tmp_path: Path) -> None:
    coin, address = paid(chain)
    with watched(chain, tmp_path / "case", coin) as watch:
        first = watch.document()
        assert (first["coins"], first["satoshi"], first["labels"]) == (1, COIN, {"S0": COIN})
        assert first["block"] == chain.rpc("getbestblockhash")
        assert watch.held[0].address == address
        assert told(watch) == []
        txid = spend(chain, coin)
        assert told(watch) == [("moving", coin, txid, None)]
        assert told(watch) == []
        chain.mine()
        chain.wait_for_electrum()
        assert told(watch) == [("moved", coin, txid, chain.height)]
        assert told(watch) == []
        assert [watched.coin.txid[::-1].hex() for watched in watch.held] == [txid]
        on = spend(chain, f"{txid}:0", fee=2000)
        assert told(watch) == [("moving", f"{txid}:0", on, None)]


def test_what_is_replaced_before_a_block_has_it_is_told(chain: Chain, tmp_path: Path) -> None:
    coin, _ = paid(chain)
    with watched(chain, tmp_path / "case", coin) as watch:
        first = spend(chain, coin)
        assert told(watch) == [("moving", coin, first, None)]
        second = spend(chain, coin, fee=100_000)
        assert told(watch) == [("moving", coin, second, None)]
        chain.mine()
        chain.wait_for_electrum()
        assert told(watch) == [("moved", coin, second, chain.height)]
        assert [watched.coin.txid[::-1].hex() for watched in watch.held] == [second]


def test_a_reorganisation_that_takes_a_spend_back_is_told(chain: Chain, tmp_path: Path) -> None:
    coin, _ = paid(chain)
    with watched(chain, tmp_path / "case", coin) as watch:
        txid = spend(chain, coin)
        chain.mine()
        chain.wait_for_electrum()
        height = chain.height
        assert told(watch) == [("moved", coin, txid, height)]
    chain.rpc("invalidateblock", chain.rpc("getblockhash", height))
    for _ in range(2):  # blocks without the transaction
        chain.time += 600
        chain.rpc("setmocktime", chain.time)
        chain.rpc("generateblock", chain.new_address(), [])
    chain.wait_for_electrum()
    with watched(chain, tmp_path / "case", coin) as watch:  # begun again from what was kept
        assert watch.held[0].coin.txid[::-1].hex() == txid
        assert told(watch) == [("back", coin, txid, height)]
        assert told(watch) == []
        assert [f"{watched.coin.txid[::-1].hex()}:{watched.coin.output}" for watched in watch.held] == [coin]
        chain.mine()
        chain.wait_for_electrum()
        assert told(watch) == [("moved", coin, txid, chain.height)]


def test_a_server_cannot_invent_a_spend(chain: Chain, tmp_path: Path) -> None:
    (coin, _), (stranger, _) = paid(chain), paid(chain)

    def alter(method: str, _: list[Any], result: Any) -> Any:
        row = {"tx_hash": stranger[:64], "height": chain.height}
        if not invents or not method.endswith("get_history"):
            return result
        return {**result, "history": [*result["history"], row]} if isinstance(result, dict) else [*result, row]

    invents = False
    with (
        Liar(chain.electrum_port, alter) as liar,
        watching(tmp_path / "case", [coin], [liar.url], network_name=NETWORK) as watch,
    ):
        invents = True
        assert watch.round() == []
        assert liar.lies
        assert watch.state_of(watch.held[0]).what == "still"


def test_rounds_in_which_nothing_is_new_keep_nothing(chain: Chain, tmp_path: Path) -> None:
    coin, _ = paid(chain)
    with watched(chain, tmp_path / "case", coin) as watch:
        watch.round()
        watch.round()
        before = (tmp_path / "case" / "responses.jsonl").stat().st_size
        for _ in range(5):
            assert told(watch) == []
        assert (tmp_path / "case" / "responses.jsonl").stat().st_size == before


def test_a_server_wakes_the_watch(chain: Chain, tmp_path: Path) -> None:
    coin, _ = paid(chain)
    with watched(chain, tmp_path / "case", coin) as watch:
        watch.wait(0)
        assert told(watch) == []
        began = time.monotonic()
        mover = threading.Timer(0.3, spend, (chain, coin))
        mover.start()
        watch.wait(30)
        mover.join()
        assert time.monotonic() - began < 10
        assert [event.what for event in watch.round()] == ["moving"]


def arguments(chain: Chain, folder: Path, *references: str) -> list[str]:
    return ["watch", *references, "--ledger", str(folder), "--source", chain.electrum_url, "--network", NETWORK]


def lines(out: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in out.splitlines()]


def test_once_says_of_each_coin_whether_it_is_still_there(chain: Chain, tmp_path: Path) -> None:
    (one, address), (two, _) = paid(chain), paid(chain)
    call = [*arguments(chain, tmp_path / "case", one, two), "--once"]
    done = run_calibar(*call)
    assert done.code == 0
    first, *rest = done.out.decode().splitlines()
    assert first.startswith("watching 2 coins with 200,000,000 satoshi (S0 100,000,000, S1 100,000,000), as of block")
    assert [line.split(" ", 1)[1] for line in rest] == [
        f"still there: {one} of {address}, 100,000,000 satoshi (S0 100,000,000)",
        rest[1].split(" ", 1)[1],
    ]
    txid = spend(chain, two)
    chain.mine()
    chain.wait_for_electrum()
    done = run_calibar(*call, "--json", "-")
    assert done.code == 1
    watching_, *rows = lines(done.out)
    assert watching_["coins"] == 2
    assert {row["coin"]: (row["event"], row["spent_by"]) for row in rows} == {
        one: ("still", None),
        two: ("moved", txid),
    }
    assert run_calibar(*call).code == 0


def test_a_command_runs_at_each_event_and_its_failure_is_only_said(chain: Chain, tmp_path: Path) -> None:
    coin, _ = paid(chain)
    call = [*arguments(chain, tmp_path / "case", coin), "--once", "--json", "-"]
    assert run_calibar(*call).code == 0
    txid = spend(chain, coin)
    code = "import os; print(*(os.environ['CALIBAR_' + one] for one in ('COIN', 'SPENT_BY')), file=open('seen', 'w'))"
    with contextlib.chdir(tmp_path):
        assert run_calibar(*call, "--run", f'{sys.executable} -c "{code}"').code == 1
    assert (tmp_path / "seen").read_text() == f"{coin} {txid}\n"
    chain.mine()
    chain.wait_for_electrum()
    done = run_calibar(*call, "--run", f'{sys.executable} -c "raise SystemExit(3)"')
    assert done.code == 1
    assert "ended with code 3" in done.err
    assert [row["event"] for row in lines(done.out)] == ["watching", "moved"]
    for run in ("", "'open"):
        assert run_calibar(*call, "--run", run).code == 2
    other, _ = paid(chain)
    spend(chain, other)
    new = arguments(chain, tmp_path / "new", other)
    assert "cannot be run" in run_calibar(*new, "--once", "--run", "/nowhere/x").err


def test_control_c_ends_it_and_what_was_kept_is_kept(chain: Chain, tmp_path: Path) -> None:
    coin, _ = paid(chain)
    call = [
        sys.executable,
        "-m",
        "calibar",
        *arguments(chain, tmp_path / "case", coin),
        "--json",
        "-",
        "--every",
        "0.5",
    ]
    with subprocess.Popen(
        call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    ) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["event"] == "watching"
        txid = spend(chain, coin)
        event = json.loads(process.stdout.readline())
        assert (event["event"], event["coin"], event["spent_by"], event["block"]) == ("moving", coin, txid, None)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=20)
    assert process.returncode == 130
    assert err.decode().splitlines()[-1] == "calibar: interrupted; what was committed is kept"
    assert bytes.fromhex(txid)[::-1] in Case(tmp_path / "case").coins.transactions


def test_another_machine_is_not_asked_too_often(tmp_path: Path) -> None:
    done = run_calibar(
        "watch", "ab" * 32, "--ledger", tmp_path / "case", "--source", "ssl://a.example:50002", "--every", "4"
    )
    assert done.code == 2
    assert "too often" in done.err
    assert not (tmp_path / "case").exists()
