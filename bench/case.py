"""Case ledgers: a trail of a thousand transactions from a server on this machine, and again from what was kept.

The servers are real (litecoind, ElectrumX). Beside them stand, in the same run, a client that asks for the same
transactions one after the other, and the reading of the kept responses alone: JSON and SHA-256.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

import calibar
from bench.figures import BENCH, OUT, Figure, interleaved, median
from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.script import address_of
from calibar.chains.bitcoin.sources.electrum import Electrum
from calibar.chains.bitcoin.sources.told import Question, Refusal, Source, Told
from calibar.ledger.case.case import Case
from calibar.ledger.case.kept import NAME
from calibar.trail.fetching import Fetcher, Limits
from calibar.trail.policy import Policy

if TYPE_CHECKING:
    from litecoin import Chain

LINES: Final = 111
PEELS: Final = 9
"""A theft that fans out into lines, each of which is peeled: 1 + LINES * PEELS transactions."""
TRANSACTIONS: Final = 1 + LINES * PEELS
COIN: Final = 100_000_000
FEE: Final = 1_000
ROUNDS: Final = 3
IN_FLIGHT: Final = 300
NETWORK: Final = NETWORKS["litecoin-regtest"]


def run() -> list[Figure]:
    """Figures of fetching and of opening what was fetched."""
    sys.path.insert(0, str(BENCH.parent / "tests" / "node"))
    import litecoin  # noqa: PLC0415

    if reason := litecoin.missing():
        print(f"  left out: {reason}")
        return []
    folder = OUT / "case"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        with litecoin.Chain() as chain:
            begun = time.perf_counter()
            reference = _steal(chain)
            print(f"  {TRANSACTIONS:,} transactions made in {time.perf_counter() - begun:.0f} s")
            _fetch(chain, reference, folder / "warm", Policy(max_hops=1))  # compiles
            return [*_online(chain, reference, folder), *_offline(reference, folder / "case-0")]
    finally:
        shutil.rmtree(folder, ignore_errors=True)


class _Counting:
    """A source that counts the batches that go out."""

    def __init__(self, source: Source) -> None:
        self.inner, self.kind, self.place, self.batches = source, source.kind, source.place, 0

    def ask(self, questions: Sequence[Question]) -> Iterator[tuple[Question, Told | Refusal]]:
        self.batches += bool(questions)
        return self.inner.ask(questions)

    def close(self) -> None:
        self.inner.close()


def _fetch(chain: Chain, reference: str, folder: Path, policy: Policy) -> tuple[Fetcher, int]:
    """A case from nothing; the fetcher and how many batches went out."""
    with Case.for_fetching(folder, NETWORK.name) as case:
        source = _Counting(Electrum(chain.electrum_url, NETWORK, case.keep))
        fetcher = Fetcher(case, [source], Limits())
        fetcher.begin()
        fetcher.trail([reference], policy)
        source.close()
        assert fetcher.report.lies == []
        assert fetcher.report.unanswered == {}
        return fetcher, source.batches


def _online(chain: Chain, reference: str, folder: Path) -> list[Figure]:
    taken, batches, fetched = [], 0, None
    for number in range(ROUNDS):
        begun = time.perf_counter()
        fetched, batches = _fetch(chain, reference, folder / f"case-{number}", Policy())
        trail = calibar.open(folder / f"case-{number}").trace(reference)
        taken.append(time.perf_counter() - begun)
        assert len(trail.steps) == TRANSACTIONS
        assert {step["proof"] for step in trail.steps} == {"proven"}
    assert fetched is not None
    names = [txid[::-1].hex() for txid in fetched.state.transactions]
    begun = time.perf_counter()
    for name in names:
        chain.electrum("blockchain.transaction.get", name)
    plain = time.perf_counter() - begun
    bare = _bare(chain, folder / "case-0" / NAME)
    exchanges = sum(1 for _ in (folder / "case-0" / NAME).open("rb"))
    print(f"  {len(names):,} transactions with those that they spend from; {batches} batches, {exchanges:,} requests")
    return [
        Figure("case: trail of 1,000 transactions from nothing", median(taken), "s", at_most=6),
        Figure("case: round trips a step of the trail", batches / (PEELS + 1), "", at_most=3),
        Figure("case: requests a transaction", exchanges / TRANSACTIONS, ""),
        Figure("case: the same transactions' bytes asked for one by one", plain, "s"),
        Figure("case: from nothing / bytes one by one", median(taken) / plain, "times"),
        Figure("case: the same requests sent and read, nothing else", bare, "s"),
        Figure("case: from nothing / the requests alone", median(taken) / bare, "times"),
    ]


def _bare(chain: Chain, kept: Path) -> float:
    """Seconds that the server takes for the same requests, many in flight, when nobody checks or keeps the answers."""
    asked = [json.loads(json.loads(line)["request"]) for line in kept.open("rb")]
    with socket.create_connection(("127.0.0.1", chain.electrum_port)) as server, server.makefile("rwb") as line:
        asked.insert(0, {"method": "server.version", "params": ["bench", ["1.4", "1.7"]]})
        begun, refused = time.perf_counter(), 0
        for start in range(0, len(asked), IN_FLIGHT):
            part = asked[start : start + IN_FLIGHT]
            for number, question in enumerate(part):
                line.write(json.dumps({"jsonrpc": "2.0", "id": number, **question}).encode() + b"\n")
            line.flush()
            answered = 0
            while answered < len(part):
                message = json.loads(line.readline())
                refused += "error" in message
                answered += "id" in message  # others are notices
        assert refused <= 1, "the server answers other requests than Calíbar asked"  # it may not tell of spenders
        return time.perf_counter() - begun


def _offline(reference: str, folder: Path) -> list[Figure]:
    def in_process() -> None:
        assert len(calibar.open(folder).trace(reference).steps) == TRANSACTIONS

    def process() -> None:
        out = folder / "trail.json"
        command = [sys.executable, "-m", "calibar", "trace", reference, "--ledger", str(folder), "--json", str(out)]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def responses() -> None:
        with (folder / NAME).open("rb") as file:
            for line in file:
                row = json.loads(line)
                assert hashlib.sha256(row["text"].encode()).hexdigest() == row["sha256"]

    def opened() -> None:
        calibar.open(folder)

    def compiler() -> None:
        subprocess.run([sys.executable, "-c", "import calibar.kernels.taint"], check=True)

    inside, whole, alone, opening, start = interleaved(2 * ROUNDS + 1, in_process, process, responses, opened, compiler)
    return [
        Figure("case: the same from kept responses, in process", median(inside), "s", at_most=0.5),
        Figure("case: of that, opening", median(opening), "s"),
        Figure("case: the same, all of `calibar trace`", median(whole), "s"),
        Figure("case: of that, Python and the compiler, which do nothing yet", median(start), "s"),
        Figure("case: JSON and SHA-256 of the responses alone", median(alone), "s"),
        Figure("case: in process / JSON and SHA-256 alone", median(inside) / median(alone), "times"),
    ]


def _steal(chain: Chain) -> str:
    """Make the theft; gives the coin that is traced."""
    chain.mine(105)
    taken = _send(chain, [_funded(chain)], [(chain.new_address(), 40 * COIN - FEE)])
    parts = [chain.new_address() for _ in range(LINES)]
    share = (40 * COIN - 20 * FEE) // LINES
    fan = _send(chain, [(taken, 0)], [(address, share) for address in parts])
    chain.mine()
    coins, left = [(fan, number) for number in range(LINES)], share
    for depth in range(PEELS):
        paid = share // (PEELS + 1)
        left -= paid + FEE
        for line, coin in enumerate(coins):
            victim = address_of(b"\0\x14" + hashlib.sha256(b"%d %d" % (depth, line)).digest()[:20], NETWORK)
            outputs = [(victim, paid), (chain.new_address(), left)]
            coins[line] = (_send(chain, [coin], outputs), 1)
        if depth % 3 == 2:
            chain.mine()
    chain.mine(2)
    chain.wait_for_electrum()
    return f"{taken}:0"


def _funded(chain: Chain) -> tuple[str, int]:
    address = chain.new_address()
    txid = str(chain.rpc("sendtoaddress", address, "40"))
    chain.mine()
    outputs = chain.rpc("getrawtransaction", txid, True)["vout"]
    (output,) = [each["n"] for each in outputs if each["scriptPubKey"]["hex"] == chain.script_of(address).hex()]
    return txid, output


def _send(chain: Chain, coins: Sequence[tuple[str, int]], outputs: Sequence[tuple[str, int]]) -> str:
    spent = [{"txid": txid, "vout": output} for txid, output in coins]
    paid = [{address: f"{value // COIN}.{value % COIN:08}"} for address, value in outputs]
    signed = chain.rpc("signrawtransactionwithwallet", chain.rpc("createrawtransaction", spent, paid))
    return str(chain.rpc("sendrawtransaction", signed["hex"]))
