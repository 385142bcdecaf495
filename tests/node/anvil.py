"""A real node of Ethereum on the loopback address: started, filled with transactions, asked and stopped.

No key is kept anywhere: an account is a name, its throw-away key follows from the name at run time, and transactions
are signed here. An address that nobody has the key of may still send, impersonated; such a transaction has no valid
signature, so its hash is not that of its bytes.
"""

from __future__ import annotations

import atexit
import contextlib
import gzip
import hashlib
import json
import os
import platform
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final

from evm import FEE_MARKET, Arg, Unsigned, call_data, created, encode

from calibar.chains.ethereum.genesis import read_genesis
from calibar.chains.ethereum.keccak import keccak256
from calibar.sandbox.keys import Key
from calibar.sandbox.scenarios.token_theft import account

HERE: Final = Path(__file__).parent
PACKAGES: Final = Path(sys.prefix) / "node" / "node_modules"
CHAIN_ID: Final = 31337
HARDFORK: Final = "prague"
ETHER: Final = 10**18
GWEI: Final = 10**9
GENESIS_TIME: Final = 1_772_496_000  # 2026-03-03 00:00 UTC
BLOCK_GAS: Final = 60_000_000


def binary() -> Path | None:
    """The node's program; None where it is not installed."""
    found = sorted(PACKAGES.glob("@foundry-rs/anvil-*/bin/anvil*"))
    return found[0] if found else None


def node_js() -> str | None:
    """The program that runs the compiler; None where it is not installed."""
    return shutil.which("node") or shutil.which("node", path=str(Path(sys.executable).parent))


def missing() -> str | None:
    """What the tests with a node lack, as the reason of a skip; None where nothing."""
    if (platform.system(), platform.machine()) != ("Linux", "x86_64"):
        return "anvil is not installed: there is no package of it for this machine, not on this platform"
    if binary() is None:
        return "anvil is not installed; sh tools/npm-packages installs it where npm is"
    if node_js() is None or not (PACKAGES / "solc").is_dir():
        return "solc is not installed; sh tools/npm-packages installs it where npm is"
    return None


def genesis(balances: dict[str, int]) -> dict[str, Any]:
    """A genesis.json as geth reads it, with wei by address."""
    forks = ("homestead", "eip150", "eip155", "eip158", "byzantium", "constantinople", "petersburg", "istanbul", "berlin", "london")  # fmt: skip  # noqa: E501
    return {
        "config": {"chainId": CHAIN_ID, **{f"{fork}Block": 0 for fork in forks}, "terminalTotalDifficulty": 0,
                   "shanghaiTime": 0, "cancunTime": 0, "pragueTime": 0},
        "nonce": "0x0", "timestamp": hex(GENESIS_TIME), "extraData": "0x", "gasLimit": hex(BLOCK_GAS),
        "difficulty": "0x0", "mixHash": "0x" + "00" * 32, "coinbase": "0x" + "00" * 20,
        "alloc": {address: {"balance": hex(wei)} for address, wei in sorted(balances.items())},
    }  # fmt: skip


def _cache_folder() -> Path:
    named = os.environ.get("CALIBAR_CACHE") or os.environ.get("XDG_CACHE_HOME") or os.environ.get("LOCALAPPDATA")
    return (Path(named) if named else Path.home() / ".cache") / "calibar-contracts"


@cache
def compiled() -> dict[str, str]:
    """Creation code of every contract in contracts/, as hexadecimal digits; kept in the user's cache."""
    sources = {path.name: {"content": path.read_text("utf-8")} for path in sorted((HERE / "contracts").glob("*.sol"))}
    settings = {
        "optimizer": {"enabled": True, "runs": 200}, "evmVersion": "cancun",
        "metadata": {"bytecodeHash": "none", "appendCBOR": False},
        "outputSelection": {"*": {"*": ["evm.bytecode.object"]}},
    }  # fmt: skip
    question = json.dumps({"language": "Solidity", "sources": sources, "settings": settings})
    version = (PACKAGES / "solc" / "package.json").read_bytes()
    kept = _cache_folder() / f"{hashlib.sha256(question.encode() + version).hexdigest()[:24]}.json"
    if kept.is_file():
        return dict(json.loads(kept.read_text("utf-8")))
    command = [str(node_js()), str(PACKAGES / "solc" / "solc.js"), "--standard-json"]
    done = subprocess.run(command, input=question, capture_output=True, text=True, encoding="utf-8", timeout=180, check=True)  # fmt: skip  # noqa: E501
    answer = json.loads(done.stdout[done.stdout.index("{") :])
    errors = [each["formattedMessage"] for each in answer.get("errors", ()) if each["severity"] == "error"]
    if errors:
        raise ValueError("\n".join(errors))
    codes = {
        name: each["evm"]["bytecode"]["object"] for file in answer["contracts"].values() for name, each in file.items()
    }
    with contextlib.suppress(OSError):  # no place to keep it: compiled again next time
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}")
        part.write_text(json.dumps(codes), "utf-8")
        part.replace(kept)
    return codes


class RefusedError(Exception):
    """The node answered with an error."""


class Node:
    """A chain from genesis, whose transactions wait until `mine` puts them in a block, in the order they were sent."""

    def __init__(self, balances: dict[str, int], producer: str = "producer", seed: str = "") -> None:
        """Start the node. `balances`: wei by the account's name or address; `seed` moves all accounts."""
        self.seed = seed
        self.names: dict[str, str] = {}
        """Address of every account and contract by its name."""
        self.genesis = genesis({self.address(who): wei for who, wei in balances.items()})
        self.time = GENESIS_TIME
        self._nonces: dict[str, int] = {}
        self._contracts: set[str] = set()
        self._folder = tempfile.TemporaryDirectory(prefix="calibar-node-")
        path = Path(self._folder.name) / "genesis.json"
        path.write_text(json.dumps(self.genesis), "utf-8")
        program = binary()
        assert program is not None
        options = ["--accounts", "0", "--no-mining", "--order", "fifo", "--hardfork", HARDFORK, "--quiet",
                   "--auto-impersonate", "--init", str(path), "--chain-id", str(CHAIN_ID),
                   "--gas-limit", str(BLOCK_GAS)]  # fmt: skip
        for attempt in range(3):
            port = _free_port()
            self.url = f"http://127.0.0.1:{port}"
            self._process = subprocess.Popen(
                [str(program), "--port", str(port), *options], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,  # noqa: E501
            )  # fmt: skip
            if self._answers():
                break
            self._process.kill()
            self._process.wait()
            if attempt == 2:
                raise OSError("anvil did not start")
        atexit.register(self._process.kill)
        self._root_genesis(path)
        self.ask("anvil_setCoinbase", self.address(producer))

    def _root_genesis(self, path: Path) -> None:
        """Give block 0 the root of its state, which anvil leaves empty, and the genesis what anvil adds to it."""
        state = json.loads(gzip.decompress(bytes.fromhex(self.ask("anvil_dumpState")[2:])))
        for address, told in sorted(state["accounts"].items()):
            if told["code"] != "0x":
                self.genesis["alloc"].setdefault(address, {"balance": told["balance"], "code": told["code"]})
        path.write_text(json.dumps(self.genesis), "utf-8")
        (block,) = state["blocks"]
        block["header"]["stateRoot"] = "0x" + read_genesis(path).state_root.hex()
        block["withdrawals"] = []
        self.ask("anvil_loadState", "0x" + gzip.compress(json.dumps(state).encode()).hex())

    def _answers(self) -> bool:
        for _ in range(200):
            if self._process.poll() is not None:
                return False
            try:
                return bool(self.ask("eth_chainId") == hex(CHAIN_ID))
            except OSError:
                time.sleep(0.05)
        return False

    def stop(self) -> None:
        """End the node's process."""
        self._process.terminate()
        self._process.wait(timeout=10)
        atexit.unregister(self._process.kill)
        self._folder.cleanup()

    def __enter__(self) -> Node:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def ask(self, method: str, *params: Any) -> Any:
        """Result of one request. Raises RefusedError for an error of the node's, OSError where none answers."""
        body = json.dumps({"jsonrpc": "2.0", "id": 1, "method": method, "params": params}).encode()
        request = urllib.request.Request(self.url, body, {"Content-Type": "application/json"})  # noqa: S310
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            answer = json.load(response)
        if "error" in answer:
            raise RefusedError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def address(self, who: str) -> str:
        """Address of an account or contract by name; a name not met before is a new account. Addresses stand."""
        if who.startswith("0x"):
            return who
        return self.names.setdefault(who, account(self._text(who)))

    def _text(self, name: str) -> str:
        return f"{self.seed}/{name}"

    def send(
        self, sender: str, to: str | None, signature: str = "", *args: Arg, value: int = 0, gas: int = 0,
        kind: int = FEE_MARKET, data: bytes = b"",
    ) -> str:  # fmt: skip
        """Send a call (or plain `data`) for the next block; its hash. A sender that is no name is impersonated."""
        data = call_data(signature, *(self._named(arg) for arg in args)) if signature else data
        target = None if to is None else self.address(to)
        gas = gas or (21_000 if target and not data and not self._has_code(target) else 3_000_000 if to is None else 400_000)  # fmt: skip  # noqa: E501
        if sender.startswith("0x"):
            fields = {"from": sender, "to": target, "value": hex(value), "gas": hex(gas), "data": "0x" + data.hex(),
                      "maxFeePerGas": hex(4 * GWEI), "maxPriorityFeePerGas": hex(GWEI)}  # fmt: skip
            return str(self.ask("eth_sendTransaction", fields))
        nonce = self._nonces.get(sender, 0)
        self._nonces[sender] = nonce + 1
        self.address(sender)
        unsigned = Unsigned(CHAIN_ID, nonce, target, value, data, gas, 4 * GWEI, GWEI, kind)
        signed = unsigned.signed(Key.of(self._text(sender)))
        said = self.ask("eth_sendRawTransaction", "0x" + signed.hex())
        assert said == "0x" + keccak256(signed).hex()
        return str(said)

    def _named(self, arg: Arg) -> Arg:
        if isinstance(arg, str):
            return self.address(arg)
        return arg if isinstance(arg, int | bytes) else [self.address(each) for each in arg]

    def _has_code(self, address: str) -> bool:
        return address in self._contracts or self.ask("eth_getCode", address, "latest") != "0x"

    def deploy(
        self, sender: str, contract: str, name: str, types: Sequence[str] = (), args: Sequence[Arg] = (), value: int = 0
    ) -> str:
        """Send the creation of a contract, to be known by `name`; the transaction's hash."""
        self.names[name] = created(self.address(sender), self._nonces.get(sender, 0))
        self._contracts.add(self.names[name])
        code = bytes.fromhex(compiled()[contract]) + encode(types, [self._named(arg) for arg in args])
        return self.send(sender, None, data=code, value=value)

    def made_by(self, contract: str, nonce: int) -> str:
        """Address of the contract that a contract makes as its `nonce`th, from 1."""
        return created(self.address(contract), nonce)

    def mine(self, seconds: int = 12) -> int:
        """Put what waits into a block, `seconds` after the last; its number."""
        self.time += seconds
        self.ask("evm_setNextBlockTimestamp", self.time)
        self.ask("evm_mine")
        return int(self.ask("eth_blockNumber"), 16)

    def call(self, to: str, signature: str, *args: Arg) -> bytes:
        """What a contract answers at the tip. Raises RefusedError where it reverts."""
        data = call_data(signature, *(self._named(arg) for arg in args))
        return bytes.fromhex(self.ask("eth_call", {"to": self.address(to), "data": "0x" + data.hex()}, "latest")[2:])

    def balance(self, who: str, token: str | None = None) -> int:
        """Base units of a token, or wei, at the tip."""
        if token is None:
            return int(self.ask("eth_getBalance", self.address(who), "latest"), 16)
        return int.from_bytes(self.call(token, "balanceOf(address)", who), "big")

    def receipt(self, transaction: str) -> dict[str, Any]:
        """A mined transaction's receipt."""
        return dict(self.ask("eth_getTransactionReceipt", transaction))


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
