"""Made-up trails to look at, and a real browser to look with."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

Traced = dict[str, int]
COIN = 100_000_000


class Made:
    """A trail in the making: value is spent first in, first out, so that every sum is right by construction."""

    def __init__(self, seed: str = "made", method: str = "fifo") -> None:
        self.seed = seed
        self.steps: list[dict[str, Any]] = []
        self.sources: list[dict[str, Any]] = []
        self.coins: dict[str, tuple[int, Traced, str, int]] = {}
        self.stopped: dict[str, str] = {}
        self.fees: Traced = {}
        self.policy: dict[str, Any] = {"method": method, "unit": "coin", "direction": "forward", "fees": "stop"}
        self.policy |= {"as_of": 840_000, "stops": ["custodial", "mixer", "coinjoin", "hops:80"], "overrides": []}

    def digest(self, *of: object) -> str:
        return sha256(":".join(map(str, (self.seed, *of))).encode()).hexdigest()

    def source(self, amount: int, label: str | None = None) -> str:
        label = label or f"S{len({row['label'] for row in self.sources})}"
        coin = f"{self.digest('source', len(self.sources))}:0"
        self.sources.append({"label": label, "coin": coin, "amount": amount})
        self.coins[coin] = (amount, {label: amount}, self.address(coin), 0)
        return coin

    def address(self, of: object) -> str:
        return f"bc1q{self.digest('address', of)[:38]}"

    def spend(self, coins: list[str], values: list[int], fee: int = 1_000, proof: str = "proven") -> list[str]:
        """Spend known coins, and clean ones if need be, into outputs of these values."""
        number = len(self.steps)
        inputs, line, hop = [], [], 99_999
        for coin in coins:
            value, traced, _, at = self.coins.pop(coin)
            hop = min(hop, at + 1)
            inputs.append({"coin": coin, "value": value, "traced": traced})
            line += [*traced.items(), ("", value - sum(traced.values()))]
        if (short := sum(values) + fee - sum(amount for _, amount in line)) > 0:
            inputs.append({"coin": f"{self.digest('clean', number)}:7", "value": short, "traced": {}})
            line.append(("", short))
        txid = self.digest("tx", number)
        outputs = []
        for n, value in enumerate(values):
            coin, traced = f"{txid}:{n}", _cut(line, value)
            outputs.append({"coin": coin, "address": self.address(coin), "value": value, "traced": traced})
            if traced:
                self.coins[coin] = (value, traced, self.address(coin), hop)
        fee = sum(amount for _, amount in line)
        fee_traced = _cut(line, fee)
        for label, amount in fee_traced.items():
            self.fees[label] = self.fees.get(label, 0) + amount
        step = {"txid": txid, "height": 830_000 + 7 * number, "time": 1_707_000_000 + 4_300 * number, "hop": hop}
        self.steps.append(
            {**step, "proof": proof, "inputs": inputs, "outputs": outputs, "fee": fee, "fee_traced": fee_traced}
        )
        return [out["coin"] for out in outputs]  # type: ignore[misc]

    def stop(self, coin: str, why: str) -> None:
        self.stopped[coin] = why

    def trail(self) -> dict[str, Any]:
        """The JSON document."""
        holdings = [
            {"coin": coin, "address": address, "value": value, "traced": traced}
            | {"state": "stopped" if coin in self.stopped else "held", "reason": self.stopped.get(coin, "unspent")}
            for coin, (value, traced, address, _) in self.coins.items()
        ]
        totals = {}
        for label in dict.fromkeys(source["label"] for source in self.sources):
            came = sum(source["amount"] for source in self.sources if source["label"] == label)
            rests = {
                state: sum(h["traced"].get(label, 0) for h in holdings if h["state"] == state)  # type: ignore[attr-defined]
                for state in ("held", "stopped")
            }
            totals[label] = {"in": came, **rests, "fees": self.fees.get(label, 0), "burnt": 0}
        return {
            "definition": 1,
            "calibar": "0.1.0",
            "digest": self.digest("digest"),
            "ledger": {"network": "mainnet", "height": 840_000, "tip": "0" * 16 + self.digest("tip")[:48]},
            "labels_digest": self.digest("labels"),
            "entities_digest": None,
            "rules": {"coinjoin": "1"},
            "policy": self.policy,
            "sources": self.sources,
            "steps": self.steps,
            "holdings": holdings,
            "totals": totals,
        }


def _cut(line: list[tuple[str, int]], value: int) -> Traced:
    traced: Traced = {}
    while value and line:
        label, amount = line.pop(0)
        taken = min(amount, value)
        value -= taken
        if label and taken:
            traced[label] = traced.get(label, 0) + taken
        if amount > taken:
            line.insert(0, (label, amount - taken))
    return traced


def one_source() -> dict[str, Any]:
    """One victim's coin: three peels, a split, an exchange, a CoinJoin."""
    made = Made("one")
    coin = made.source(3 * COIN + 50_000_000)
    for n, peel in enumerate((40_000_000, 25_000_000, 61_234_567)):
        paid, coin = made.spend([coin], [peel, made.coins[coin][0] - peel - 2_500])
        if n == 1:
            made.stop(paid, "label:exchange")
    one, two, three = made.spend([coin], [90_000_000, 70_000_000, made.coins[coin][0] - 160_005_000], 5_000)
    made.stop(two, "coinjoin")
    joined = made.coins[one][0] + made.coins[three][0]
    four, _ = made.spend([one, three], [110_000_000, joined - 110_004_000], 4_000, proof="reported")
    made.spend([four], [60_000_000, 49_990_000], 10_000)
    return made.trail()


def four_sources() -> dict[str, Any]:
    """Four victims' coins: each moves on, three are pooled, the pool is split and cashed out at two exchanges."""
    made = Made("four")
    moved = []
    for n, amount in enumerate((120_000_000, 45_000_000, 80_500_000, 30_000_001)):
        moved.append(made.spend([made.source(amount)], [amount - 1_500 - n], 1_500 + n)[0])
    pool = made.spend(moved[:3], [245_490_000])[0]
    parts = made.spend([pool], [100_000_000, 80_000_000, 65_480_000], 10_000)
    made.stop(made.spend([parts[0], moved[3]], [60_000_000, 69_990_000])[0], "label:exchange")
    one, two, small = made.spend([parts[1]], [50_000_000, 29_000_000, 990_000])
    made.stop(one, "label:exchange")
    made.stop(small, "min-amount")
    made.spend([two, parts[2]], [94_470_000])
    return made.trail()


def peel_chain(steps: int = 60, seed: int = 1) -> dict[str, Any]:
    """Two sources joined, then peeled `steps` times."""
    rng = random.Random(seed)  # noqa: S311 - made-up amounts
    made = Made(f"peel{seed}")
    coin = made.spend([made.source(12 * COIN), made.source(3 * COIN)], [15 * COIN - 2_000], 2_000)[0]
    for _ in range(steps - 1):
        whole = made.coins[coin][0]
        peel = whole * rng.randint(5, 5 + 5_000 // steps) // 1_000
        paid, coin = made.spend([coin], [peel, whole - peel - 1_200], 1_200)
        if rng.random() < 0.3:
            made.stop(paid, rng.choice(["label:exchange", "label:gambling", "coinjoin"]))
    return made.trail()


def large(steps: int = 5_000, seed: int = 2, sources: int = 12) -> dict[str, Any]:
    """Many sources, split and joined at random."""
    rng = random.Random(seed)  # noqa: S311 - made-up amounts
    made = Made(f"large{seed}")
    open_coins = [made.source(rng.randint(1, 900) * 1_000_000) for _ in range(sources)]
    while len(made.steps) < steps:
        taken = [
            open_coins.pop(rng.randrange(len(open_coins))) for _ in range(min(len(open_coins), rng.choice([1, 1, 2])))
        ]
        whole = sum(made.coins[coin][0] for coin in taken)
        if whole < 40_000:
            open_coins += taken
            if all(made.coins[coin][0] < 20_000 for coin in open_coins):
                open_coins.append(made.source(50_000_000, f"S{rng.randrange(sources)}"))
            continue
        first = whole * rng.randint(100, 900) // 1_000
        open_coins += [c for c in made.spend(taken, [first, whole - first - 500], 500) if c in made.coins]
    return made.trail()


def followed_fee() -> dict[str, Any]:
    """A coin pays a large fee; the miner's coinbase, first in its block, takes it but leaves some unclaimed."""
    made = Made("fee")
    coin = made.source(COIN)
    (paid,) = made.spend([coin], [90_000_000], 10_000_000)
    trail = made.trail()
    txid, mined = made.digest("coinbase"), f"{made.digest('coinbase')}:0"
    out = {"coin": mined, "address": made.address(mined), "value": 322_400_000, "traced": {"S0": 9_900_000}}
    fee = {"coin": None, "fee_of": paid[:64], "value": 10_000_000, "traced": {"S0": 10_000_000}}
    subsidy: dict[str, Any] = {"coin": None, "subsidy": True, "value": 312_500_000, "traced": {}}
    coinbase = trail["steps"][0] | {"txid": txid, "hop": 2, "inputs": [subsidy, fee], "outputs": [out], "fee": 0}
    coinbase |= {"fee_traced": {}, "burnt": 100_000, "burnt_traced": {"S0": 100_000}}
    trail["steps"].insert(0, coinbase)
    trail["holdings"].insert(0, out | {"state": "held", "reason": "unspent"})
    trail["totals"]["S0"] = {"in": COIN, "held": 99_900_000, "stopped": 0, "fees": 0, "burnt": 100_000}
    trail["policy"]["fees"] = "follow"
    return trail


def chromium() -> str:
    """The browser's path, or the test is skipped."""
    if found := shutil.which("chromium") or shutil.which("chromium-browser"):
        return found
    pytest.skip("chromium is not installed; `make test` names the Debian package")


def browse(page: Path, profile: Path, *options: str, fragment: str = "") -> tuple[str, str]:
    """Open a page in headless Chromium without any network; give its document as it stands then, and the console."""
    run = subprocess.run(
        [
            *(chromium(), "--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking"),
            *("--no-first-run", "--disable-component-update", "--disable-sync", f"--user-data-dir={profile}"),
            *("--host-resolver-rules=MAP * ~NOTFOUND", "--enable-logging=stderr", *options),
            *("--dump-dom", f"{page.as_uri()}{fragment}"),
        ],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    return run.stdout, "\n".join(line for line in run.stderr.splitlines() if "CONSOLE" in line)


def names_for(trail: Mapping[str, Any]) -> dict[str, str]:
    """Names for the addresses where the trail stopped at a label."""
    stopped = [holding for holding in trail["holdings"] if holding["reason"].startswith("label:")]
    return {
        holding["address"]: f"exchange deposit {n}\nexchange B's answer of 2024-05-02, exhibit {n}"
        for n, holding in enumerate(stopped, 1)
    }
