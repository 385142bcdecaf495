"""Token transfers: rows a second from the CSV of an export to the facts of blocks.

The peer is the same done plainly: a row by `csv`, its fields by `int` and `bytes.fromhex`. Both agree on every amount.
"""

from __future__ import annotations

import csv
import shutil
import time
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from bench.figures import OUT, Figure, interleaved, median, median_ratio
from calibar.chains.ethereum.etl import EtlSource

ROWS: Final = 1_000_000
PEER_ROWS: Final = 100_000
PER_BLOCK: Final = 400
PER_TRANSACTION: Final = 2
ROUNDS: Final = 3
_ADDRESSES: Final = 50_000
_TOKENS: Final = 500
_CHUNK: Final = 100_000


def _hex(random: np.random.Generator, count: int, size: int) -> NDArray[np.str_]:
    text = random.bytes(count * size).hex()
    return np.array(["0x" + text[at : at + 2 * size] for at in range(0, len(text), 2 * size)])


def make_transfers(folder: Path, rows: int, seed: int = 1) -> int:
    """Write blocks.csv and token_transfers.csv, the same bytes for the same numbers; returns bytes of the transfers.

    Amounts have 1 to 24 digits; half of the transfers are of ten tokens.
    """
    folder.mkdir(parents=True)
    random = np.random.default_rng(seed)
    addresses, tokens = _hex(random, _ADDRESSES, 20), _hex(random, _TOKENS, 20)
    blocks = -(-rows // PER_BLOCK)
    hashes = _hex(random, blocks + 1, 32)
    with (folder / "blocks.csv").open("w", newline="\n") as out:
        out.write("number,hash,parent_hash,miner,timestamp,base_fee_per_gas\n")
        for number in range(blocks):
            out.write(
                f"{number},{hashes[number + 1]},{hashes[number]},{addresses[0]},{1_600_000_000 + 12 * number},7\n"
            )
    with (folder / "token_transfers.csv").open("w", newline="\n") as out:
        out.write("token_address,from_address,to_address,value,transaction_hash,log_index,block_number\n")
        for first in range(0, rows, _CHUNK):
            count = min(_CHUNK, rows - first)
            few = random.random(count) < 0.5
            token = tokens[np.where(few, random.integers(0, 10, count), random.integers(0, _TOKENS, count))]
            sender, recipient = addresses[random.integers(0, _ADDRESSES, (2, count))]
            digits = random.integers(1, 25, count)
            value = [str(v)[:d] for v, d in zip(random.integers(10**17, 10**18, count).tolist(), digits, strict=True)]
            value = [v + "0" * (d - len(v)) for v, d in zip(value, digits, strict=True)]
            of = _hex(random, count // PER_TRANSACTION + 1, 32)[np.arange(count) // PER_TRANSACTION]
            row = np.arange(first, first + count)
            fields = zip(token, sender, recipient, value, of, row % PER_BLOCK, row // PER_BLOCK, strict=True)
            out.writelines(f"{a},{b},{c},{v},{t},{log},{block}\n" for a, b, c, v, t, log, block in fields)
    return (folder / "token_transfers.csv").stat().st_size


def read_all(folder: Path) -> tuple[int, int]:
    """Transfers that the facts have, and the sum of their amounts modulo 2^64."""
    source = EtlSource(folder, 1)
    count = total = 0
    for facts in source.read(source.first(), source.last()):
        count += len(facts.transfer_tx)
        total += int(facts.amount[:, 0].sum())
    return count, total % (1 << 64)


def plain(folder: Path) -> tuple[int, int]:
    """The same, row by row."""
    count, total = 0, 0
    with (folder / "token_transfers.csv").open(newline="") as file:
        for row in csv.DictReader(file):
            for name in ("token_address", "from_address", "to_address", "transaction_hash"):
                bytes.fromhex(row[name][2:])
            int(row["log_index"]), int(row["block_number"])
            count, total = count + 1, total + int(row["value"])
    return count, total % (1 << 64)


def run() -> list[Figure]:
    """Figures of the reader."""
    folder = OUT / "transfers"
    shutil.rmtree(folder, ignore_errors=True)
    try:
        size = make_transfers(folder / "all", ROWS)
        make_transfers(folder / "peer", PEER_ROWS)
        assert read_all(folder / "peer") == plain(folder / "peer"), "plain Python finds another answer"
        taken = []
        for _ in range(ROUNDS):
            begun = time.perf_counter()
            assert read_all(folder / "all")[0] == ROWS
            taken.append(time.perf_counter() - begun)
        ours, python = interleaved(ROUNDS, lambda: read_all(folder / "peer"), lambda: plain(folder / "peer"))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(f"  {ROWS:,} transfers in {size / 1e6:,.0f} MB of CSV")
    return [
        Figure("token transfers from CSV to facts", ROWS / median(taken) / 1e6, "million/s", at_least=1 / 3),
        Figure("the same / plain Python", median_ratio(python, ours), "times"),
    ]
