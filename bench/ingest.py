"""Ingestion: a made-up regtest chain from block files to a committed ledger, and the memory that it takes."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import calibar
from bench import chain
from bench.figures import BENCH, OUT, Figure, interleaved, median, median_ratio, seconds
from calibar.chains.bitcoin.transaction import obfuscate
from calibar.ledger.ingest import ingest

BYTES: Final = 200_000_000
KEY: Final = bytes.fromhex("5eed0fca11bacafe")
ROUNDS: Final = 5
POLL_S: Final = 0.005
COMMAND: Final = (sys.executable, "-c", "from calibar.cli.main import main; main()")


def prepared(size: int) -> tuple[Path, dict[str, Any]]:
    """The folder of the chain, made once for each state of its generator, and what it holds."""
    made_by = sha256((BENCH / "chain.py").read_bytes()).hexdigest()[:12]
    folder = OUT / f"chain-{size // 10**6}MB-{made_by}"
    facts = folder / "facts.json"
    if not facts.exists():
        for old in OUT.glob(f"chain-{size // 10**6}MB-*"):
            shutil.rmtree(old)
        print(f"  making a chain of {size // 10**6} MB in {folder} (once)", flush=True)
        made = chain.write(folder / "blocks", size)
        facts.write_text(
            json.dumps(
                {
                    "transactions": made.transactions,
                    "mean": made.transaction_bytes / made.transactions,
                    "fees": made.fees,
                }
            )
        )
    if not (folder / "xored").exists():
        _obfuscate(folder / "blocks", folder / "xored")
    return folder, json.loads(facts.read_text())


def _obfuscate(plain: Path, target: Path) -> None:
    """The same files as Bitcoin Core 28 and later writes them."""
    unfinished = target.with_suffix(".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir()
    (unfinished / "xor.dat").write_bytes(KEY)
    for path in plain.glob("blk*.dat"):
        (unfinished / path.name).write_bytes(obfuscate(path.read_bytes(), KEY))
    unfinished.rename(target)


def _size(folder: Path, pattern: str = "*") -> int:
    return sum(path.stat().st_size for path in folder.rglob(pattern) if path.is_file())


def _fresh(folder: Path) -> Path:
    shutil.rmtree(folder, ignore_errors=True)
    return folder


def _copy(blocks: Path, target: Path, size: int) -> None:
    """What the bytes alone cost: read the block files, write as much as the ledger has, to the disk."""
    data = b"".join(path.read_bytes() for path in sorted(blocks.glob("blk*.dat")))
    with target.open("wb") as file:
        for at in range(0, size, len(data)):
            file.write(data[: size - at])
        file.flush()
        os.fsync(file.fileno())


def _as_process(arguments: list[str]) -> tuple[float, float]:
    """Run the command line; seconds, and the most anonymous and shared memory it held at once in MB (Linux; else 0)."""
    begun = time.perf_counter()
    process = subprocess.Popen([*COMMAND, *arguments], stdout=subprocess.DEVNULL)
    status = Path(f"/proc/{process.pid}/status")
    peak = 0
    while process.poll() is None:
        try:
            lines = status.read_text().splitlines() if status.exists() else []
        except OSError:
            lines = []
        held = [int(line.split()[1]) for line in lines if line.startswith(("RssAnon:", "RssShmem:"))]
        peak = max(peak, sum(held))
        time.sleep(POLL_S)
    assert process.returncode == 0, f"`calibar {' '.join(arguments)}` failed"
    return time.perf_counter() - begun, peak / 1024


def _ingesting(folder: Path, facts: dict[str, Any]) -> list[Figure]:
    plain, xored, ledger = folder / "blocks", folder / "xored", OUT / "ledger"
    size = _size(plain, "blk*.dat")
    info: dict[str, Any] = {}

    processor: list[float] = []

    def whole(source: Path) -> None:
        begun = time.process_time()
        info.update(ingest([source], _fresh(ledger)))
        processor.append(time.process_time() - begun)

    whole(plain)
    assert info["fees"] == facts["fees"], "the ledger's fees are not the chain's"
    stored = _size(ledger)
    print(f"  {size:,} bytes, {info['blocks']} blocks, {facts['transactions']:,} transactions, their mean size")
    print(
        f"  {facts['mean']:.0f}; {info['inputs']:,} inputs, {info['coins']:,} coins, {info['addresses']:,} addresses;"
    )
    print(f"  the ledger has {stored:,} bytes")
    took, with_key, bare = interleaved(
        ROUNDS, partial(whole, plain), partial(whole, xored), partial(_copy, plain, OUT / "copy", stored)
    )
    (OUT / "copy").unlink()
    return [
        Figure("ingest", median([size / s / 1e6 for s in took]), "MB/s", at_least=60),
        Figure("ingest, XORed files", median([size / s / 1e6 for s in with_key]), "MB/s"),
        Figure("ingest, processor time", median([1e9 * s / size for s in processor]), "s/GB"),
        Figure("ingest / copying the bytes alone", median_ratio(bare, took), "times"),
    ]


def _commands(blocks: Path) -> list[Figure]:
    figures = []
    ledger = OUT / "ledger"
    for words, options in (("default memory", []), ("--memory 128", ["--memory", "128"])):
        arguments = ["ingest", "bitcoin", str(blocks), "--ledger", str(_fresh(ledger)), *options]
        took, peak = _as_process(arguments)
        figures.append(Figure(f"calibar ingest, {words}", _size(blocks, "blk*.dat") / took / 1e6, "MB/s"))
        if peak:
            figures.append(Figure(f"calibar ingest, {words}, peak", peak, "MB"))
    opened = [1000 * seconds(partial(calibar.open, ledger)) for _ in range(20)]
    asked = [1000 * seconds(lambda: calibar.open(ledger).info) for _ in range(20)]
    shown = [_as_process(["ledger", "info", str(ledger), "--json", os.devnull])[0] for _ in range(ROUNDS)]
    figures += [
        Figure("open a ledger", median(opened), "ms"),
        Figure("open a ledger and sum it up", median(asked), "ms"),
        Figure("calibar ledger info", median(shown), "s"),
    ]
    return figures


def run() -> list[Figure]:
    """Figures of ingestion."""
    folder, facts = prepared(BYTES)
    try:
        return _ingesting(folder, facts) + _commands(folder / "blocks")
    finally:
        shutil.rmtree(OUT / "ledger", ignore_errors=True)
