"""A real chain of Bitcoin's kind on the loopback address: litecoind on regtest, with ElectrumX in front.

Below height 432 its blocks are Bitcoin's in all but their proof of work, which is scrypt; there the chain must end.
The wallet is the node's own, so nothing here signs.
"""

from __future__ import annotations

import atexit
import base64
import contextlib
import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from decimal import Decimal
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

HERE: Final = Path(__file__).parent
COIN: Final = 100_000_000
GENESIS: Final = "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9"
GENESIS_TIME: Final = 1_772_496_000
"""2026-03-03 00:00 UTC: block 1 is a block's time after it."""
LAST_HEIGHT: Final = 431
"""From 432 on, blocks have an extension (MWEB) that Bitcoin's have not."""
_PATIENCE_S: Final = 30.0
_POLL_MS: Final = 50


def missing() -> str | None:
    """What the tests with this chain lack, as the reason of a skip; None where nothing."""
    if shutil.which("litecoind") is None:
        return "litecoind is not installed; sh tools/debian-packages litecoind installs it where apt-get may"
    if importlib.util.find_spec("electrumx") is None:
        return "ElectrumX (e-x) is not installed: there is no package of it for this machine, not on this platform"
    return None


class RefusedError(Exception):
    """The node, or the Electrum server, answered with an error."""


def satoshi(amount: Decimal | str | int) -> int:
    """Base units of an amount that the node tells in coins."""
    return int(Decimal(amount) * COIN)


def script_hash(script: str) -> str:
    """How the Electrum protocol names a script, given and told in hexadecimal digits."""
    return sha256(bytes.fromhex(script)).digest()[::-1].hex()


class Chain:
    """A chain from genesis with a wallet; blocks are mined when asked for, and ElectrumX follows.

    `litecoin_options` are further options of the node's, such as `-txindex=0`; `electrum=False` leaves ElectrumX away.
    """

    def __init__(self, *litecoin_options: str, electrum: bool = True) -> None:
        self.time = GENESIS_TIME
        self._folder = tempfile.TemporaryDirectory(prefix="calibar-litecoin-")
        self.folder = Path(self._folder.name)
        self._running: list[subprocess.Popen[bytes]] = []
        self._line: ElectrumLine | None = None
        atexit.register(self._kill)
        try:
            self._start_node(litecoin_options)
            self.rpc("setmocktime", self.time)
            self.rpc("createwallet", "wallet")
            if electrum:
                self._start_electrum()
        except BaseException:
            self.stop()
            raise

    @property
    def blocks_folder(self) -> Path:
        """The node's own block files."""
        return self.folder / "regtest" / "blocks"

    @property
    def cookie(self) -> Path:
        """The file with the node's credentials."""
        return self.folder / "regtest" / ".cookie"

    @property
    def rpc_url(self) -> str:
        """The node's address, with credentials."""
        return f"http://{self.cookie.read_text('ascii')}@127.0.0.1:{self.rpc_port}"

    @property
    def bare_rpc_url(self) -> str:
        """The node's address, without credentials."""
        return f"http://127.0.0.1:{self.rpc_port}"

    @property
    def electrum_url(self) -> str:
        """The Electrum server's address."""
        return f"tcp://127.0.0.1:{self.electrum_port}"

    def rpc(self, method: str, *params: Any) -> Any:
        """Result of one request; amounts are Decimal. Raises RefusedError for an error of the node's."""
        body = json.dumps({"id": 1, "method": method, "params": params}, default=str).encode()
        secret = base64.b64encode(self.cookie.read_bytes()).decode()
        headers = {"Authorization": f"Basic {secret}", "Content-Type": "application/json"}
        request = urllib.request.Request(self.bare_rpc_url, body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
                text = response.read()
        except urllib.error.HTTPError as error:
            with error:
                text = error.read()
        answer = json.loads(text, parse_float=Decimal)
        if answer["error"] is not None:
            raise RefusedError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def electrum(self, method: str, *params: Any) -> Any:
        """Result of one request to ElectrumX. Raises RefusedError for an error of its."""
        if self._line is None:
            self._line = ElectrumLine(self.electrum_port)
        return self._line.ask(method, *params)

    def new_address(self, kind: str = "bech32") -> str:
        """A new address of the wallet's: `bech32`, `p2sh-segwit` or `legacy`."""
        return str(self.rpc("getnewaddress", "", kind))

    def script_of(self, address: str) -> bytes:
        """The script that an address stands for, as the node says it."""
        return bytes.fromhex(self.rpc("getaddressinfo", address)["scriptPubKey"])

    @property
    def height(self) -> int:
        """Height of the node's tip."""
        return int(self.rpc("getblockcount"))

    def mine(self, count: int = 1, address: str | None = None, seconds: int = 600) -> list[str]:
        """Mine blocks, each `seconds` after the one before, to `address` or a new one of the wallet's; their hashes."""
        assert self.height + count <= LAST_HEIGHT, "from height 432 on, blocks are not Bitcoin's any more"
        to = address or self.new_address()
        hashes = []
        for _ in range(count):
            self.time += seconds
            self.rpc("setmocktime", self.time)
            hashes += self.rpc("generatetoaddress", 1, to)
        return hashes

    def wait_for_electrum(self, height: int | None = None) -> None:
        """Block until ElectrumX has the node's tip (at `height`, where given) and all that is in the node's mempool."""
        end = time.monotonic() + _PATIENCE_S
        while not self._has_caught_up(height):
            if time.monotonic() > end:
                raise TimeoutError(f"ElectrumX is not at the node's tip after {_PATIENCE_S:g} s:\n{self._log()}")
            time.sleep(_POLL_MS / 1000)

    def _has_caught_up(self, height: int | None) -> bool:
        header = self.rpc("getblockheader", self.rpc("getbestblockhash"), False)
        tip = self.electrum("blockchain.headers.subscribe")
        if tip["hex"] != header or height not in (None, tip["height"]):
            return False
        for txid in self.rpc("getrawmempool"):
            paid = self.rpc("getrawtransaction", txid, True)["vout"][0]["scriptPubKey"]["hex"]
            seen = self.electrum("blockchain.scripthash.get_mempool", script_hash(paid))
            if txid not in [entry["tx_hash"] for entry in seen]:
                return False
        return True

    def stop(self) -> None:
        """End both processes and remove what they wrote."""
        if self._line is not None:
            self._line.close()
            self._line = None
        self._kill()  # nothing need be written any more
        for process in self._running:
            process.wait()
        self._running.clear()
        atexit.unregister(self._kill)
        self._folder.cleanup()

    def __enter__(self) -> Chain:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _kill(self) -> None:
        for process in self._running:
            process.kill()

    def _start_node(self, options: tuple[str, ...]) -> None:
        (self.folder / "litecoin.conf").write_text("", "ascii")
        fixed = (
            "-regtest", "-server", "-txindex=1", "-listen=0", "-dnsseed=0", "-upnp=0", "-printtoconsole=0",
            "-fallbackfee=0.0001", "-keypool=10", "-rpcthreads=8", "-rpcworkqueue=64",
        )  # fmt: skip
        for attempt in range(3):
            self.rpc_port = _free_port()
            command = ["litecoind", f"-datadir={self.folder}", f"-rpcport={self.rpc_port}", *fixed, *options]
            process = self._run(command, "node.log")
            if self._wait(process, self._node_answers):
                return
            self._end(process)
            if attempt == 2:
                raise OSError(f"litecoind did not start:\n{self._log('node.log')}")

    def _node_answers(self) -> bool:
        with contextlib.suppress(OSError, RefusedError, ValueError):  # it does not listen yet, or still loads
            return bool(self.rpc("getblockhash", 0) == GENESIS)
        return False

    def _start_electrum(self) -> None:
        folder = self.folder / "electrumx"
        folder.mkdir()
        for attempt in range(3):
            self.electrum_port = _free_port()
            settings = {
                "COIN": "Litecoin", "NET": "regtest", "DB_ENGINE": "memory", "DB_DIRECTORY": str(folder),
                "DAEMON_URL": self.rpc_url, "ALLOW_ROOT": "1", "PEER_DISCOVERY": "off", "PEER_ANNOUNCE": "",
                "SERVICES": f"tcp://127.0.0.1:{self.electrum_port},rpc://127.0.0.1:{_free_port()}",
                "COST_SOFT_LIMIT": "0", "COST_HARD_LIMIT": "0", "CACHE_MB": "50",
                "DAEMON_POLL_INTERVAL_BLOCKS": str(_POLL_MS), "DAEMON_POLL_INTERVAL_MEMPOOL": str(_POLL_MS),
            }  # fmt: skip
            process = self._run([sys.executable, str(HERE / "electrumx_in_memory.py")], "electrumx.log", settings)
            if self._wait(process, self._electrum_answers):
                return
            self._end(process)
            if attempt == 2:
                raise OSError(f"ElectrumX did not start:\n{self._log()}")

    def _electrum_answers(self) -> bool:
        with contextlib.suppress(OSError, ValueError):
            return bool(self.electrum("blockchain.headers.subscribe")["height"] == self.height)
        return False

    def _run(self, command: list[str], log: str, settings: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        with (self.folder / log).open("wb") as output:
            process = subprocess.Popen(
                command, env=os.environ | (settings or {}), stdin=subprocess.DEVNULL, stdout=output, stderr=output
            )
        self._running.append(process)
        return process

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        self._running.remove(process)
        process.kill()
        process.wait()

    def _wait(self, process: subprocess.Popen[bytes], answers: Any) -> bool:
        end = time.monotonic() + _PATIENCE_S
        while time.monotonic() < end and process.poll() is None:
            if answers():
                return True
            time.sleep(_POLL_MS / 1000)
        return False

    def _log(self, name: str = "electrumx.log") -> str:
        return (self.folder / name).read_text("utf-8", "replace")[-2000:]


class ElectrumLine:
    """One connection to an Electrum server, one question at a time."""

    def __init__(self, port: int) -> None:
        self._socket = socket.create_connection(("127.0.0.1", port), timeout=_PATIENCE_S)
        self._reader = self._socket.makefile("rb")
        self._next = 0
        try:
            self.ask("server.version", "calibar-tests", ["1.4", "1.6"])
        except BaseException:
            self.close()
            raise

    def ask(self, method: str, *params: Any) -> Any:
        """Result of one request. Raises RefusedError for an error of the server's."""
        self._next += 1
        request = {"jsonrpc": "2.0", "id": self._next, "method": method, "params": params}
        self._socket.sendall(json.dumps(request).encode() + b"\n")
        while True:
            line = self._reader.readline()
            if not line:
                raise ConnectionError("ElectrumX hung up")
            answer = json.loads(line)
            if answer.get("id") == self._next:  # others are notices of what was subscribed to
                break
        if "error" in answer:
            raise RefusedError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def close(self) -> None:
        """Hang up."""
        self._reader.close()
        self._socket.close()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
