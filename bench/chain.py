"""An unsigned regtest chain of any size, for measuring ingestion: right in all sums and hashes, with dummy signatures.

What a node checks without running scripts holds: proof of work, merkle roots, witness commitments, heights, maturity,
subsidies and fees to the satoshi, 4,000,000 weight units a block. Sizes follow what wallets write: P2WPKH, P2PKH,
P2SH (wrapped P2WPKH and 2-of-3) and P2TR; half of all outputs pay an address that was seen before. The same
arguments give the same bytes.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Final

from calibar.chains.bitcoin.networks import NETWORKS
from calibar.chains.bitcoin.script import p2pkh, p2sh, p2tr, p2wpkh
from calibar.chains.bitcoin.transaction import (
    FINAL,
    NO_TXID,
    NO_VOUT,
    Header,
    Transaction,
    TxIn,
    TxOut,
    compact_size,
    compact_target,
    height_push,
    merkle_root,
    mined,
    obfuscate,
    push,
    record,
    sha256d,
    sized,
)

REGTEST: Final = NETWORKS["regtest"]
MATURITY: Final = 100
MAX_WEIGHT: Final = 4_000_000
BLOCK_FILE_BYTES: Final = 0x8000000
"""Where Bitcoin Core begins the next file (MAX_BLOCKFILE_SIZE)."""
GENESIS_TIME: Final = 1296688602
_GENESIS_KEY: Final = bytes.fromhex(
    "04678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6"
    "49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5f"
)
_GENESIS_WORDS: Final = b"The Times 03/Jan/2009 Chancellor on brink of second bailout for banks"

INPUTS: Final = ((1, 2, 3, 4, 5), (48, 70, 82, 91, 100))
OUTPUTS: Final = ((1, 2, 3, 4, 5, 6), (14, 74, 84, 91, 96, 100))
"""Counts and their cumulative shares in percent."""
P2WPKH, P2PKH, WRAPPED, TWO_OF_THREE, P2TR = range(5)
KINDS: Final = ((P2WPKH, P2PKH, WRAPPED, TWO_OF_THREE, P2TR), (40, 68, 78, 86, 100))
SAME_BLOCK_SHARE: Final = 0.1
"""Of all outputs, those that later transactions of their own block may spend."""
FAN_OUT: Final = 400
SEEDS: Final = 100
"""Coinbases split into the first coins."""

Coin = tuple[bytes, int, int]
"""Outpoint, value in satoshi, kind."""


@dataclass
class _Addresses:
    """Scripts to pay: a new one half of the time, else a busy service's or one of those seen lately."""

    random: Random
    seen: list[tuple[bytes, int]] = field(default_factory=list)

    def pick(self) -> tuple[bytes, int]:
        """Script and kind."""
        random, seen = self.random, self.seen
        draw = random.random()
        if draw < 0.5 and len(seen) > 1000:
            if draw < 0.15:
                return seen[int(1000 * random.random())]
            return seen[-1 - int(len(seen) * random.random() ** 2)]
        kind = random.choices(KINDS[0], cum_weights=KINDS[1])[0]
        digest = sha256(b"address %d" % len(seen)).digest()
        if kind == P2WPKH:
            script = p2wpkh(digest[:20])
        elif kind == P2PKH:
            script = p2pkh(digest[:20])
        elif kind == P2TR:
            script = p2tr(digest)
        else:
            script = p2sh(digest[:20])
        seen.append((script, kind))
        return script, kind


class Chain:
    """Makes the blocks one after the other; `transactions`, `transaction_bytes` and `fees` (satoshi) sum them up.

    Coinbases are left out of the sums. `first_full` is the height of the first block of ordinary payments.
    """

    def __init__(self, seed: int = 1, block_weight: int = MAX_WEIGHT) -> None:
        """`block_weight`: the most weight units that a block may have."""
        self.random = Random(seed)  # noqa: S311
        self.block_weight = block_weight
        self._seeds = min(SEEDS, block_weight // 60_000)
        self.first_full = MATURITY + self._seeds + 1
        self.addresses = _Addresses(self.random)
        self.transactions = self.transaction_bytes = self.fees = 0
        self._coins: list[Coin] = []
        self._noise = self.random.randbytes(1 << 16)
        self._waiting: deque[Coin] = deque()
        self._height = 0
        self._tip = NO_TXID

    def blocks(self) -> Iterator[bytes]:
        """Genesis, empty blocks until coinbases are mature, one that splits them, then full blocks without end."""
        yield self._genesis()
        for _ in range(self.first_full - 2):
            yield self._block([], 0)
        yield self._block([self._fan_out(self._waiting.popleft()) for _ in range(self._seeds)], 0)
        while True:
            self._coins.append(self._waiting.popleft())
            made: list[tuple[bytes, bytes]] = []
            coins: list[Coin] = []
            fees = weight = 0
            room = int((self.block_weight - 2000) * (0.75 + 0.25 * self.random.random()))
            while weight < room - 8000:
                stripped, full, fee, paid = self._payment()
                made.append((stripped, full))
                weight += 3 * len(stripped) + len(full)
                fees += fee
                for coin in paid:
                    (self._coins if self.random.random() < SAME_BLOCK_SHARE else coins).append(coin)
            self._coins += coins
            yield self._block(made, fees)

    def _genesis(self) -> bytes:
        script_sig = push(bytes.fromhex("ffff001d")) + push(b"\x04") + push(_GENESIS_WORDS)
        output = TxOut(REGTEST.subsidy(0), push(_GENESIS_KEY) + b"\xac")
        coinbase = Transaction(1, (TxIn(NO_TXID, NO_VOUT, script_sig),), (output,))
        header = Header(1, NO_TXID, coinbase.txid, GENESIS_TIME, compact_target(REGTEST.pow_limit), 2)
        self._tip = header.hash
        return header.serialise() + b"\x01" + coinbase.serialise()

    def _block(self, made: list[tuple[bytes, bytes]], fees: int) -> bytes:
        """A block with the transactions `made` (without and with witness) on the tip."""
        self._height += 1
        script, kind = self.addresses.pick()
        reward = TxOut(REGTEST.subsidy(self._height) + fees, script)
        wtxids = [NO_TXID, *(sha256d(full)[::-1].hex() for _, full in made)]
        commitment = sha256d(bytes.fromhex(merkle_root(wtxids))[::-1] + bytes(32))
        outputs = (reward, TxOut(0, bytes.fromhex("6a24aa21a9ed") + commitment))
        script_sig = height_push(self._height) + push(b"bench")
        coinbase = Transaction(2, (TxIn(NO_TXID, NO_VOUT, script_sig, witness=(bytes(32),)),), outputs)
        txids = [coinbase.txid, *(sha256d(stripped)[::-1].hex() for stripped, _ in made)]
        time = GENESIS_TIME + 600 * self._height
        bits = compact_target(REGTEST.pow_limit)
        header = mined(Header(0x20000000, self._tip, merkle_root(txids), time, bits), REGTEST.pow_limit)
        self._tip = header.hash
        self._waiting.append((bytes.fromhex(coinbase.txid)[::-1] + bytes(4), reward.value, kind))
        self.transactions += len(made)
        self.transaction_bytes += sum(len(full) for _, full in made)
        self.fees += fees
        body = (full for _, full in made)
        return b"".join((header.serialise(), compact_size(len(txids)), coinbase.serialise(), *body))

    def _fan_out(self, coin: Coin) -> tuple[bytes, bytes]:
        share, rest = divmod(coin[1], FAN_OUT)
        targets = [(share + rest * (i == 0), *self.addresses.pick()) for i in range(FAN_OUT)]
        stripped, full, coins = self._sign([coin], targets)
        self._coins += coins
        return stripped, full

    def _payment(self) -> tuple[bytes, bytes, int, list[Coin]]:
        """A transaction: its bytes without and with witness, its fee, the coins it makes."""
        random, coins = self.random, self._coins
        spent = []
        for _ in range(random.choices(INPUTS[0], cum_weights=INPUTS[1])[0]):
            at = -1 - int(len(coins) * random.random() ** 5)
            spent.append(coins[at])
            coins[at] = coins[-1]
            coins.pop()
        count = random.choices(OUTPUTS[0], cum_weights=OUTPUTS[1])[0]
        value = sum(coin[1] for coin in spent)
        fee = min(int(random.expovariate(1 / 12) + 1) * (70 * len(spent) + 34 * count), value // 20)
        left = value - fee
        count = max(1, min(count, left // 1000))
        targets = []
        for i in range(count):
            part = left if i == count - 1 else 600 + int((left - 1000 * (count - i)) * random.random() ** 2)
            targets.append((part, *self.addresses.pick()))
            left -= part
        stripped, full, made = self._sign(spent, targets)
        return stripped, full, fee, made

    def _sign(self, spent: list[Coin], targets: list[tuple[int, bytes, int]]) -> tuple[bytes, bytes, list[Coin]]:
        inputs, witnesses = zip(*map(self._unlocked, spent), strict=True)
        outputs = b"".join(struct.pack("<q", value) + sized(script) for value, script, _ in targets)
        body = compact_size(len(spent)) + b"".join(inputs) + compact_size(len(targets)) + outputs
        locktime = struct.pack("<I", max(0, self._height - 1))
        stripped = b"\x02\0\0\0" + body + locktime
        full = stripped
        if any(witness != b"\0" for witness in witnesses):
            full = b"\x02\0\0\0\0\x01" + body + b"".join(witnesses) + locktime
        name = sha256d(stripped)
        return stripped, full, [(name + struct.pack("<I", i), target[0], target[2]) for i, target in enumerate(targets)]

    def _unlocked(self, coin: Coin) -> tuple[bytes, bytes]:
        """An input and its witness, with noise of the right length where keys and signatures stand."""
        outpoint, _, kind = coin
        script_sig, witness = b"", b"\0"
        if kind in (P2WPKH, WRAPPED):
            witness = b"\x02" + sized(self._dummy(71)) + sized(self._dummy(33))
            script_sig = push(b"\0\x14" + self._dummy(20)) if kind == WRAPPED else b""
        elif kind == P2PKH:
            script_sig = push(self._dummy(72)) + push(self._dummy(33))
        elif kind == P2TR:
            witness = b"\x01" + sized(self._dummy(64))
        else:
            keys = b"".join(push(self._dummy(33)) for _ in range(3))
            script_sig = b"\0" + push(self._dummy(72)) + push(self._dummy(71)) + push(b"\x52" + keys + b"\x53\xae")
        return outpoint + sized(script_sig) + struct.pack("<I", FINAL - 2), witness

    def _dummy(self, length: int) -> bytes:
        at = int((len(self._noise) - length) * self.random.random())
        return self._noise[at : at + length]


def write(folder: Path, size: int, *, key: bytes = b"", block_weight: int = MAX_WEIGHT) -> Chain:
    """Write block files of at least `size` bytes as Bitcoin Core does, XORed where there is a `key`; returns the sums.

    The folder is whole, or not there at all.
    """
    folder.mkdir(parents=True)
    chain = Chain(block_weight=block_weight)
    if key:
        (folder / "xor.dat").write_bytes(key)
    number = written = at = 0
    stream = (folder / "blk00000.dat").open("wb")
    for block in chain.blocks():
        data = record(REGTEST, block)
        if at + len(data) > BLOCK_FILE_BYTES:
            stream.close()
            number, at = number + 1, 0
            stream = (folder / f"blk{number:05}.dat").open("wb")
        stream.write(obfuscate(data, key, at))
        at += len(data)
        written += len(data)
        if written >= size:
            break
    stream.close()
    return chain
