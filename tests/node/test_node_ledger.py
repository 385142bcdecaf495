"""A real node's chain in a ledger: every balance at every block is what the node says, or the ledger says it is not."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterable, Sequence
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from evm import MAX, call_data
from scenario import BALANCES, CUSTOMERS, TOKENS

from calibar.chains.ethereum.recorded import Recording
from calibar.chains.ethereum.rpc import RpcSource
from calibar.errors import LedgerError, UsageError
from calibar.ledger.accounts.ingest import ingest
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.check import check
from calibar.sandbox.scenarios import token_theft as story
from calibar.trail.accounts.conversions import conversions
from calibar.trail.accounts.sweeps import deposit_addresses

if TYPE_CHECKING:
    from anvil import Node
    from nodes import Lived, Start

pytest_plugins = ("nodes",)

ETHER = 10**18
PLAIN = ("dollar", "coin", "toll", "weth", "pair")
"""Tokens whose logs tell all that moves: the one that keeps a part of each transfer logs that part too."""
Cell = tuple[str | None, str, int]
"""Token by name (None: ether), address, height."""


def genesis_of(node: Node, folder: Path) -> Path:
    path = folder / "genesis.json"
    path.write_text(json.dumps(node.genesis), encoding="utf-8")
    return path


def take_in(node: Node, folder: Path, *, batch: int = 16, **options: Any) -> dict[str, Any]:
    """Ingest what the node has into `folder`/ledger."""
    folder.mkdir(exist_ok=True)
    with closing(RpcSource(node.url, genesis=genesis_of(node, folder), batch=batch)) as source:
        return ingest(source, folder / "ledger", **options)


@pytest.fixture(scope="session")
def taken(lived: Lived, tmp_path_factory: pytest.TempPathFactory) -> AccountSnapshot:
    folder = tmp_path_factory.mktemp("node")
    take_in(lived.node, folder)
    return AccountSnapshot(folder / "ledger")


def answers(node: Node, questions: Sequence[tuple[str, tuple[Any, ...]]]) -> list[str]:
    """The node's answers, asked many at a time."""
    found: list[str] = []
    for start in range(0, len(questions), 500):
        body = [
            {"jsonrpc": "2.0", "id": at, "method": method, "params": params}
            for at, (method, params) in enumerate(questions[start : start + 500])
        ]
        request = urllib.request.Request(  # noqa: S310
            node.url, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=60) as response:  # noqa: S310
            told = {each["id"]: each["result"] for each in json.load(response)}
        found += [told[at] for at in range(len(body))]
    return found


def said_by(node: Node, cells: Iterable[Cell]) -> dict[Cell, int]:
    """Balances as the node has them; of a token that is not there yet, none."""
    asked = list(cells)
    questions: list[tuple[str, tuple[Any, ...]]] = []
    for token, who, height in asked:
        if token is None:
            questions.append(("eth_getBalance", (who, hex(height))))
        else:
            call = {"to": node.names[token], "data": "0x" + call_data("balanceOf(address)", who).hex()}
            questions.append(("eth_call", (call, hex(height))))
    told = answers(node, questions)
    return {cell: int(answer, 16) if answer != "0x" else 0 for cell, answer in zip(asked, told, strict=True)}


def kept(snapshot: AccountSnapshot, names: dict[str, str], cell: Cell) -> int:
    """A balance as the ledger has it."""
    token, who, height = cell
    asset = snapshot.find_asset("native" if token is None else names[token])
    address = snapshot.find_address(bytes.fromhex(who[2:]))
    holding = None if asset is None or address is None else snapshot.find_holding(asset, address)
    return 0 if holding is None else snapshot.balance(holding, height)


def everybody(snapshot: AccountSnapshot, names: dict[str, str]) -> list[str]:
    """Every account that has a name, and every one that the ledger knows."""
    seen = ("0x" + snapshot.address_bytes(address).hex() for address in range(snapshot.counts["addresses"]))
    return sorted({*names.values(), *seen})


def differing(
    lived: Lived, snapshot: AccountSnapshot, tokens: Sequence[str | None]
) -> dict[tuple[str, str], list[int]]:
    """(token, account) to the heights at which the ledger's balance is not the node's, 256 bits wide."""
    names = lived.known.names
    by_address = {address: name for name, address in names.items()}
    heights = range(snapshot.manifest.height + 1)
    cells = [(token, who, n) for token in tokens for who in everybody(snapshot, names) for n in heights]
    off: dict[tuple[str, str], list[int]] = {}
    for cell, amount in said_by(lived.node, cells).items():
        if kept(snapshot, names, cell) % 2**256 != amount:
            off.setdefault((str(cell[0]), by_address[cell[1]]), []).append(cell[2])
    return off


def short(snapshot: AccountSnapshot) -> set[tuple[str, str]]:
    """Asset and address of the holdings that the ledger says go below zero."""
    return {
        (
            snapshot.asset_name(int(snapshot["holdings.asset"][holding])).lower(),
            snapshot.address_name(int(snapshot["holdings.address"][holding])).lower(),
        )
        for holding in snapshot["shortfalls.holding"].tolist()
    }


def test_ether_is_what_the_node_says_at_every_block(lived: Lived, taken: AccountSnapshot) -> None:
    assert differing(lived, taken, [None]) == {}


def test_tokens_are_what_the_node_says_at_every_block(lived: Lived, taken: AccountSnapshot) -> None:
    assert differing(lived, taken, PLAIN) == {}
    names = lived.known.names
    # Not all nothing: the swept deposit, the frozen and destroyed dollars, the largest amount that there is.
    tip = taken.manifest.height
    assert kept(taken, names, ("dollar", names["twin of deposit 1"], tip)) == 0
    heights = range(tip + 1)
    assert max(kept(taken, names, ("dollar", names["twin of deposit 1"], n)) for n in heights) == 2_500_000000
    assert all(max(kept(taken, names, ("dollar", names[who], n)) for n in heights) > 0 for who in CUSTOMERS)
    assert kept(taken, names, ("coin", names["holder 5"], tip)) == MAX - 10**21


def test_where_logs_lie_balances_are_wrong_and_some_holding_of_the_token_goes_below_zero(
    lived: Lived, taken: AccountSnapshot
) -> None:
    """A token that rebases and one that makes logs up. The ledger shows it by who has less than nothing: of the two
    holders whose balance was made up, only the payer; of the rebased ones, only who spent more than he ever got."""
    names = lived.known.names
    off = differing(lived, taken, [token for token in TOKENS if token not in PLAIN])
    assert set(off) == {*lived.known.unlogged, ("look-alike", "holder 1"), ("look-alike", "twin of deposit 1")}
    lying = {names[token] for token in ("tide", "look-alike", "announcer", "proxy")}
    of_liars = {(token, who) for token, who in short(taken) if token in lying}
    assert of_liars == {
        (names["tide"], names["holder 1"]),
        (names["look-alike"], names["holder 1"]),
        (names["announcer"], names["holder 1"]),
        (names["proxy"], names["holder 3"]),
    }
    # Nothing else goes below zero, balances of 2^255 and more included.
    assert short(taken) == of_liars
    assert taken.info()["shortfalls"] == len(of_liars)


def test_a_rebase_is_not_seen_before_somebody_spends_what_it_brought(
    lived: Lived, taken: AccountSnapshot, tmp_path: Path
) -> None:
    """What transfers cannot tell: between the two, balances are wrong and no shortfall says so."""
    names, rebased = lived.known.names, min(differing(lived, taken, ["tide"])["tide", "holder 2"])
    take_in(lived.node, tmp_path, to_height=rebased)
    early = AccountSnapshot(tmp_path / "ledger")
    cell = ("tide", names["holder 2"], rebased)
    assert (kept(early, names, cell), said_by(lived.node, [cell])[cell]) == (20_000_000, 25_000_000)
    assert not any(token == names["tide"] for token, _ in short(early))


def test_the_ledger_is_sound_and_steps_make_the_same_one(lived: Lived, taken: AccountSnapshot, tmp_path: Path) -> None:
    assert check(taken.folder) == []
    for batch, height in ((1, 0), (3, 7), (2, 8), (16, None)):
        info = take_in(lived.node, tmp_path, batch=batch, to_height=height)
    assert info["digest"] == taken.digest
    assert take_in(lived.node, tmp_path)["added_blocks"] == 0
    assert check(tmp_path / "ledger") == []


def test_another_chain_is_refused(lived: Lived, taken: AccountSnapshot, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="the node is of chain 31337, not of chain 1"):
        RpcSource(lived.node.url, chain_id=1)
    other = RpcSource(Recording(story.RECORDING), genesis=story.GENESIS)
    with pytest.raises(UsageError, match="it is another chain"):
        ingest(other, taken.folder)
    other.chain = "ethereum:1"
    with pytest.raises(LedgerError, match="is a ledger of ethereum:31337, not of ethereum:1"):
        ingest(other, taken.folder)
    assert AccountSnapshot(taken.folder).digest == taken.digest


def test_deposit_addresses_are_the_custodians_and_no_other(lived: Lived, taken: AccountSnapshot) -> None:
    by_address = {address: name for name, address in lived.known.names.items()}
    found = {
        by_address[taken.address_name(deposit).lower()]: by_address[taken.address_name(hot).lower()]
        for asset in range(taken.counts["assets"])
        for deposit, hot in deposit_addresses(taken, asset, taken.counts["transfers"]).items()
    }
    assert found == dict.fromkeys(CUSTOMERS, "hot wallet")


def test_conversions_are_what_a_sender_gave_and_received_himself(lived: Lived, taken: AccountSnapshot) -> None:
    """Wrapping, swapping, unwrapping. Holder 2 once swaps for holder 3: that is left alone."""
    by_address = {address: name for name, address in lived.known.names.items()}
    found = [
        (
            by_address[taken.address_name(int(taken["transactions.sender"][each.tx])).lower()],
            *(
                by_address.get(taken.asset_name(asset).lower(), "native")
                for asset in (each.given_asset, each.received_asset)
            ),
        )
        for each in conversions(taken, taken.counts["transfers"])
    ]
    assert found == [
        ("router maker", "native", "weth"),
        ("holder 2", "native", "weth"),
        ("holder 2", "dollar", "weth"),
        ("holder 2", "weth", "dollar"),
        ("holder 4", "native", "dollar"),
        ("holder 2", "weth", "native"),
    ]


class Forked:
    """A node that can go back to a block and live another branch."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self._mark = node.ask("evm_snapshot")
        self._time, self._nonces, self._names = node.time, dict(node._nonces), dict(node.names)

    def back(self) -> None:
        assert self.node.ask("evm_revert", self._mark)
        self.node.time, self.node._nonces = self._time, dict(self._nonces)
        self.node.names.clear()
        self.node.names.update(self._names)
        self.node._contracts.clear()


def test_after_a_reorganisation_the_ledger_is_that_of_the_branch_that_stays(anvil: Start, tmp_path: Path) -> None:
    node = anvil(BALANCES, seed="fork")
    node.deploy("issuer", "Dollar", "dollar")
    node.mine()
    node.send("issuer", "dollar", "issue(uint256)", 10**12)
    node.send("issuer", "dollar", "transfer(address,uint256)", "holder 1", 10**9)
    assert node.mine() == 2
    fork = Forked(node)

    # One branch: holder 1's dollars go to holder 2 and are frozen; a token is made.
    node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 2", 10**9)
    node.deploy("router maker", "Coin", "token")
    node.mine()
    node.send("router maker", "token", "mint(address,uint256)", "holder 5", 77)
    node.send("issuer", "dollar", "addBlackList(address)", "holder 2")
    assert node.mine() == 4
    token = node.names["token"]
    first = take_in(node, tmp_path / "steps")
    left = AccountSnapshot(tmp_path / "steps" / "ledger")
    assert kept(left, node.names, ("token", node.address("holder 5"), 4)) == 77

    # The other: they go to holder 3 and 4, and at the same address another token is made, later.
    fork.back()
    node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 3", 4 * 10**8)
    assert node.mine() == 3
    with pytest.raises(UsageError, match="the source ends before the ledger's height 4"):
        take_in(node, tmp_path / "steps")
    node.deploy("router maker", "Wrapped", "token")
    node.mine()
    node.send("holder 2", "token", "deposit()", value=ETHER)
    node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 4", 10**8)
    assert node.mine() == 5
    assert node.names["token"] == token

    with pytest.raises(UsageError, match="more than 1 blocks back"):
        take_in(node, tmp_path / "steps", max_reorganisation=1)
    second = take_in(node, tmp_path / "steps")
    fresh = take_in(node, tmp_path / "fresh")
    assert second["digest"] == fresh["digest"] != first["digest"]
    assert "2 blocks were given up: the source has left them" in second["notes"]
    assert check(tmp_path / "steps" / "ledger") == []

    snapshot = AccountSnapshot(tmp_path / "steps" / "ledger")
    cells = [
        (asset, who, height)
        for asset in (None, "dollar", "token")
        for who in everybody(snapshot, node.names)
        for height in range(6)
    ]
    said = said_by(node, cells)
    assert {cell: kept(snapshot, node.names, cell) for cell in cells} == said
    made = snapshot.find_asset(token)
    assert made is not None
    assert snapshot.naming(made)["symbol"] == "WETH"
    assert not left.is_current()
