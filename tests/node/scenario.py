"""One chain that has everything in it that a reader of Ethereum meets, and what is known of it.

What is said here is what the sender meant, kept beside the chain: transfers that must be found, and the traps, which
look like transfers and are none.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Final

from anvil import ETHER, Node
from evm import LEGACY, MAX, WITH_ACCESS_LIST

from calibar.chains.ethereum.keccak import keccak256

PEOPLE: Final = (
    "holder 1",
    "holder 2",
    "holder 3",
    "holder 4",
    "holder 5",
    "issuer",
    "router maker",
    "poisoner",
    "hot wallet",
    "gas funder",
)
BALANCES: Final = dict.fromkeys(PEOPLE, 1000 * ETHER)
CUSTOMERS: Final = tuple(f"deposit {n}" for n in range(1, 5))
TOKENS: Final = ("dollar", "coin", "look-alike", "toll", "tide", "weth", "pair")
NATIVE: Final = "ether"
DOLLARS: Final = 10**6


@dataclass(frozen=True, slots=True)
class Expected:
    """A movement that the chain must show. `sender` or `recipient` None: nobody."""

    transaction: str
    asset: str
    sender: str | None
    recipient: str | None
    amount: int
    kind: str
    """value, internal, token, mint, burn or destroyed."""


@dataclass(slots=True)
class Known:
    """What the scenario knows of its chain; accounts and contracts by name."""

    names: dict[str, str]
    transfers: list[Expected] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    """Transactions that moved nothing but their fee."""
    empty: list[str] = field(default_factory=list)
    """Transfers of nothing, or logs without a movement: transactions from which no amount may be read."""
    spoofed: list[str] = field(default_factory=list)
    """Logs of a Transfer that a contract without balances, or a token of its own, made up."""
    unlogged: list[tuple[str, str]] = field(default_factory=list)
    """Token and holder whose balance is not the sum of its transfers."""
    items: list[tuple[str, str | None, str, int]] = field(default_factory=list)
    """Transaction, from, to and number of an NFT's moves."""
    swaps: list[tuple[str, str, str, int, str, int]] = field(default_factory=list)
    """Transaction, who, given asset and amount, received asset and amount."""
    approvals: list[tuple[str, str, str, str, int]] = field(default_factory=list)
    """Transaction, token, owner, spender, amount."""
    events: list[tuple[str, str, str]] = field(default_factory=list)
    """Transaction, kind (blacklisted, unblacklisted, paused, unpaused), account."""
    created: list[tuple[str, str]] = field(default_factory=list)
    """Transaction and name of a contract made by a contract."""
    ended: list[tuple[str, str]] = field(default_factory=list)
    """Transaction and name of a contract that destroyed itself."""

    def sums(self) -> Counter[tuple[str, str]]:
        """What each account gained, by asset and name; fees and genesis apart."""
        sums: Counter[tuple[str, str]] = Counter()
        for each in self.transfers:
            if each.sender is not None:
                sums[each.asset, each.sender] -= each.amount
            if each.recipient is not None:
                sums[each.asset, each.recipient] += each.amount
        return sums


def like(address: str) -> str:
    """Another address with the same first four and last four digits."""
    return address[:6] + keccak256(address.encode()).hex()[:32] + address[-4:]


class Scenario:
    """Lives the chain on a node that was started with BALANCES."""

    def __init__(self, node: Node) -> None:
        self.node = node
        self.known = Known(node.names)
        self.reserves = Counter({"dollar": 0, "weth": 0})

    def run(self) -> Known:
        """All blocks, in order."""
        self._contracts()
        self._money()
        self._plain()
        self._tokens()
        self._odd_tokens()
        self._exchange_of_tokens()
        self._inside()
        self._custodian()
        self._poison()
        self._issuer()
        return self.known

    def moved(self, transaction: str, asset: str, sender: str | None, recipient: str | None, amount: int, kind: str) -> str:  # noqa: E501  # fmt: skip
        """Note a movement."""
        self.known.transfers.append(Expected(transaction, asset, sender, recipient, amount, kind))
        return transaction

    def pay(self, who: str, to: str, wei: int, kind: int = 2, gas: int = 0) -> str:
        """A payment of ether."""
        return self.moved(self.node.send(who, to, value=wei, kind=kind, gas=gas), NATIVE, who, to, wei, "value")

    def give(self, who: str, token: str, to: str, amount: int) -> str:
        """A transfer of tokens by their owner."""
        sent = self.node.send(who, token, "transfer(address,uint256)", to, amount)
        return self.moved(sent, token, who, to, amount, "token")

    def allow(self, who: str, token: str, spender: str, amount: int = MAX) -> str:
        """An approval."""
        sent = self.node.send(who, token, "approve(address,uint256)", spender, amount)
        self.known.approvals.append((sent, token, who, spender, amount))
        return sent

    def _contracts(self) -> None:
        node = self.node
        node.deploy("issuer", "Dollar", "dollar")
        node.deploy("issuer", "Coin", "coin")
        node.deploy("poisoner", "LookAlike", "look-alike")
        for name, contract in (("announcer", "Announcer"), ("item", "Item"), ("forwarder", "Forwarder")):
            node.deploy("router maker", contract, name)
        node.mine()
        supply = 10**15
        sent = node.deploy("issuer", "FeeToken", "toll", ["address", "uint256"], ["collector", supply])
        self.moved(sent, "toll", None, "issuer", supply, "mint")
        sent = node.deploy("issuer", "Rebasing", "tide", ["uint256"], [supply])
        self.moved(sent, "tide", None, "issuer", supply, "mint")
        node.deploy("router maker", "Proxy", "proxy", ["address"], ["announcer"])
        node.deploy("router maker", "Wrapped", "weth")
        node.deploy("router maker", "Pair", "pair", ["address", "address"], ["dollar", "weth"])
        node.deploy("router maker", "Router", "router", ["address"], ["weth"])
        node.deploy("router maker", "Grumpy", "grumpy")
        sent = node.deploy("router maker", "Doomed", "doomed", value=3 * ETHER)
        self.moved(sent, NATIVE, "router maker", "doomed", 3 * ETHER, "value")
        node.mine()

    def _money(self) -> None:
        node = self.node
        amount = 5_000_000 * DOLLARS
        self.moved(node.send("issuer", "dollar", "issue(uint256)", amount), "dollar", None, "issuer", amount, "mint")
        for who in ("holder 1", "holder 2", "holder 3", "router maker", "hot wallet"):
            self.give("issuer", "dollar", who, 300_000 * DOLLARS)
        sent = node.send("issuer", "coin", "mint(address,uint256)", "holder 1", 10**21)
        self.moved(sent, "coin", None, "holder 1", 10**21, "mint")
        # As much as there can be: what a reader keeps must hold 256 bits.
        sent = node.send("issuer", "coin", "mint(address,uint256)", "holder 4", MAX - 10**21)
        self.moved(sent, "coin", None, "holder 4", MAX - 10**21, "mint")
        self.wrap("router maker", 200 * ETHER)
        self.wrap("holder 2", 20 * ETHER)
        node.mine()

    def wrap(self, who: str, wei: int) -> str:
        """Ether becomes WETH: a payment and a mint that no Transfer tells."""
        sent = self.node.send(who, "weth", "deposit()", value=wei)
        self.moved(sent, NATIVE, who, "weth", wei, "value")
        return self.moved(sent, "weth", None, who, wei, "mint")

    def _plain(self) -> None:
        node = self.node
        self.pay("holder 1", "holder 2", 3 * ETHER)
        self.pay("holder 1", "holder 3", 1, LEGACY)
        self.pay("holder 2", "holder 1", ETHER // 7, WITH_ACCESS_LIST, gas=60_000)
        self.pay("holder 3", "holder 3", ETHER)
        self.known.empty.append(node.send("holder 4", "holder 5"))
        self.known.failed.append(node.send("holder 4", "grumpy", value=ETHER, gas=50_000))
        node.mine()
        node.mine()  # a block with nothing in it

    def _tokens(self) -> None:
        node, transfer_from = self.node, "transferFrom(address,address,uint256)"
        self.give("holder 1", "coin", "holder 2", 10**18)
        self.give("holder 4", "coin", "holder 5", MAX - 10**21)
        self.allow("holder 1", "coin", "holder 5", 5 * 10**18)
        self.allow("holder 2", "dollar", "router")
        sent = node.send("holder 5", "coin", transfer_from, "holder 1", "holder 3", 2 * 10**18)
        self.moved(sent, "coin", "holder 1", "holder 3", 2 * 10**18, "token")
        self.known.failed.append(node.send("holder 5", "coin", transfer_from, "holder 1", "holder 5", 4 * 10**18))
        sent = node.send("holder 2", "router", "pass(address,address,uint256)", "dollar", "holder 4", 1_234_567890)
        self.moved(sent, "dollar", "holder 2", "holder 4", 1_234_567890, "token")
        self.known.empty.append(node.send("holder 1", "coin", "transfer(address,uint256)", "holder 2", 0))
        self.known.failed.append(node.send("holder 3", "dollar", "transfer(address,uint256)", "holder 1", 10**15))
        sent = node.send("holder 2", "coin", "burn(uint256)", 10**17)
        self.moved(sent, "coin", "holder 2", None, 10**17, "burn")
        node.mine()
        for number, who in ((1, "holder 1"), (MAX, "holder 2")):
            sent = node.send("poisoner", "item", "mint(address,uint256)", who, number)
            self.known.items.append((sent, None, who, number))
        sent = node.send("holder 2", "item", transfer_from, "holder 2", "holder 3", MAX)
        self.known.items.append((sent, "holder 2", "holder 3", MAX))
        node.mine()

    def _odd_tokens(self) -> None:
        node, transfer = self.node, "transfer(address,uint256)"
        sent = node.send("issuer", "toll", transfer, "holder 1", 1_000_050)
        self.moved(sent, "toll", "issuer", "holder 1", 990_050, "token")
        self.moved(sent, "toll", "issuer", "collector", 10_000, "token")
        self.give("issuer", "tide", "holder 1", 10_000_000)
        self.give("issuer", "tide", "holder 2", 20_000_000)
        node.mine()
        self.known.empty.append(node.send("issuer", "tide", "rebase(uint256)", 1250))
        node.mine()
        # More than all transfers ever brought: only a look at the balance tells of the rest.
        self.give("holder 1", "tide", "holder 3", 12_000_000)
        self.known.unlogged += [("tide", who) for who in ("holder 1", "holder 2", "issuer")]
        node.mine()
        announce = "announce(address,address,uint256)"
        self.known.spoofed.append(node.send("poisoner", "announcer", announce, "holder 1", "holder 2", 10**9))
        sent = node.send("poisoner", "proxy", announce, "holder 3", "holder 2", 10**9, value=ETHER // 10)
        self.known.spoofed.append(sent)
        self.moved(sent, NATIVE, "poisoner", "proxy", ETHER // 10, "value")
        node.mine()

    def _exchange_of_tokens(self) -> None:
        node = self.node
        self.give("router maker", "dollar", "pair", 200_000 * DOLLARS)
        self.give("router maker", "weth", "pair", 100 * ETHER)
        sent = node.send("router maker", "pair", "mint(address)", "router maker")
        self.reserves.update({"dollar": 200_000 * DOLLARS, "weth": 100 * ETHER})
        # isqrt(200_000e6 · 100e18), exactly
        self.moved(sent, "pair", None, "router maker", 4472135954999579, "mint")
        node.mine()
        self.allow("holder 2", "weth", "router")
        self.swap("holder 2", "dollar", 10_000 * DOLLARS)
        self.swap("holder 2", "weth", 2 * ETHER)
        out = self._out("dollar", 500 * DOLLARS)
        call = "swapToEther(address,address,uint256,uint256,address)"
        sent = node.send("holder 2", "router", call, "pair", "dollar", 500 * DOLLARS, 0, "holder 3")
        self.moved(sent, "weth", "router", None, out, "burn")
        self.moved(sent, NATIVE, "weth", "router", out, "internal")
        self.moved(sent, NATIVE, "router", "holder 3", out, "internal")
        self._traded(sent, "holder 2", "dollar", 500 * DOLLARS, "router", out)
        out = self._out("weth", ETHER // 3)
        sent = node.send(
            "holder 4", "router", "swapFromEther(address,uint256,address)", "pair", 0, "holder 4", value=ETHER // 3
        )
        self.moved(sent, NATIVE, "holder 4", "router", ETHER // 3, "value")
        self.moved(sent, NATIVE, "router", "weth", ETHER // 3, "internal")
        self.moved(sent, "weth", None, "router", ETHER // 3, "mint")
        self._traded(sent, "router", "weth", ETHER // 3, "holder 4", out)
        call = "swap(address,address,uint256,uint256,address)"
        self.known.failed.append(node.send("holder 2", "router", call, "pair", "dollar", DOLLARS, MAX, "holder 2"))
        sent = node.send("holder 2", "weth", "withdraw(uint256)", ETHER)
        self.moved(sent, "weth", "holder 2", None, ETHER, "burn")
        self.moved(sent, NATIVE, "weth", "holder 2", ETHER, "internal")
        node.mine()

    def _out(self, given: str, amount: int) -> int:
        into, out_of = self.reserves[given], self.reserves["weth" if given == "dollar" else "dollar"]
        return amount * 997 * out_of // (into * 1000 + amount * 997)

    def swap(self, who: str, given: str, amount: int) -> str:
        """Tokens for tokens through the router."""
        out = self._out(given, amount)
        call = "swap(address,address,uint256,uint256,address)"
        return self._traded(self.node.send(who, "router", call, "pair", given, amount, out, who), who, given, amount, who, out)  # noqa: E501  # fmt: skip

    def _traded(self, sent: str, who: str, given: str, amount: int, to: str, out: int) -> str:
        got = "weth" if given == "dollar" else "dollar"
        self.moved(sent, given, who, "pair", amount, "token")
        self.moved(sent, got, "pair", to, out, "token")
        self.known.swaps.append((sent, who, given, amount, got, out))
        self.reserves.update({given: amount, got: -out})
        return sent

    def _inside(self) -> None:
        node = self.node
        sent = node.send("holder 1", "forwarder", "forward(address)", "holder 5", value=5 * ETHER)
        self.moved(sent, NATIVE, "holder 1", "forwarder", 5 * ETHER, "value")
        self.moved(sent, NATIVE, "forwarder", "holder 5", 5 * ETHER, "internal")
        self.known.failed.append(node.send("holder 1", "forwarder", "forward(address)", "grumpy", value=ETHER))
        sent = node.send(
            "holder 1", "forwarder", "spread(address[])", ["holder 2", "grumpy", "holder 3"], value=9 * ETHER
        )
        self.moved(sent, NATIVE, "holder 1", "forwarder", 9 * ETHER, "value")
        for who in ("holder 2", "holder 3"):
            self.moved(sent, NATIVE, "forwarder", who, 3 * ETHER, "internal")
        sent = node.send("holder 2", "forwarder", "pretend(address)", "holder 5", value=ETHER)
        self.moved(sent, NATIVE, "holder 2", "forwarder", ETHER, "value")  # the payment inside is undone
        node.mine()
        sent = node.send("holder 3", "forwarder", "create()", value=2 * ETHER)
        node.names["child 1"] = node.made_by("forwarder", 1)
        self.moved(sent, NATIVE, "holder 3", "forwarder", 2 * ETHER, "value")
        self.moved(sent, NATIVE, "forwarder", "child 1", 2 * ETHER, "internal")
        self.known.created.append((sent, "child 1"))
        sent = node.send("holder 3", "forwarder", "createAndEnd(address)", "holder 4", value=ETHER)
        node.names["child 2"] = node.made_by("forwarder", 2)
        self.moved(sent, NATIVE, "holder 3", "forwarder", ETHER, "value")
        self.moved(sent, NATIVE, "forwarder", "child 2", ETHER, "internal")
        self.moved(sent, NATIVE, "child 2", "holder 4", ETHER, "internal")
        self.known.created.append((sent, "child 2"))
        self.known.ended.append((sent, "child 2"))
        sent = node.send("holder 5", "doomed", "end(address)", "holder 2")
        self.moved(sent, NATIVE, "doomed", "holder 2", 3 * ETHER, "internal")
        self.known.ended.append((sent, "doomed"))
        node.mine()

    def _custodian(self) -> None:
        node = self.node
        amounts = (1_000_000000, 25_500000, 999_999999, 7_000_000000)
        for who, to, amount in zip(("holder 1", "holder 2", "holder 3", "holder 1"), CUSTOMERS, amounts, strict=True):
            self.give(who, "dollar", to, amount)
        node.mine()
        for deposit in CUSTOMERS:
            self.pay("gas funder", deposit, ETHER // 500)
        node.mine()
        for deposit, amount in zip(CUSTOMERS, amounts, strict=True):
            self.give(deposit, "dollar", "hot wallet", amount)
        node.mine()
        self.give("hot wallet", "dollar", "holder 5", 4_321_000000)
        node.mine()

    def _poison(self) -> None:
        node = self.node
        twin = node.names["twin of deposit 1"] = like(node.address("deposit 1"))
        transfer_from = "transferFrom(address,address,uint256)"
        self.known.empty.append(node.send("poisoner", "dollar", transfer_from, "holder 1", twin, 0))
        self.known.spoofed.append(node.send("poisoner", "look-alike", "spoof(address,address,uint256)", "holder 1", twin, 1_000_000000))  # noqa: E501  # fmt: skip
        sent = node.send("poisoner", "look-alike", "mint(address,uint256)", twin, 10**12)
        self.moved(sent, "look-alike", None, "twin of deposit 1", 10**12, "mint")
        node.mine()
        self.give("holder 1", "dollar", "twin of deposit 1", 2_500_000000)
        node.mine()

    def _issuer(self) -> None:
        node = self.node

        def said(call: str, kind: str, who: str = "") -> None:
            sent = node.send("issuer", "dollar", call, *([who] if who else []))
            self.known.events.append((sent, kind, who))

        said("addBlackList(address)", "blacklisted", "twin of deposit 1")
        said("addBlackList(address)", "blacklisted", "holder 3")
        self.known.failed.append(node.send("holder 3", "dollar", "transfer(address,uint256)", "holder 1", DOLLARS))
        said("removeBlackList(address)", "unblacklisted", "holder 3")
        node.mine()
        sent = node.send("issuer", "dollar", "destroyBlackFunds(address)", "twin of deposit 1")
        self.moved(sent, "dollar", "twin of deposit 1", None, 2_500_000000, "destroyed")
        said("pause()", "paused")
        self.known.failed.append(node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 2", DOLLARS))
        said("unpause()", "unpaused")
        node.mine()
        # 0.1 %, at most 5 dollars: the issuer's part is a Transfer of its own, before the other
        node.send("issuer", "dollar", "setParams(uint256,uint256)", 10, 5)
        for amount, fee in ((1_000 * DOLLARS, DOLLARS), (9_000 * DOLLARS, 5 * DOLLARS)):
            sent = node.send("holder 1", "dollar", "transfer(address,uint256)", "holder 4", amount)
            self.moved(sent, "dollar", "holder 1", "issuer", fee, "token")
            self.moved(sent, "dollar", "holder 1", "holder 4", amount - fee, "token")
        amount = 750_000 * DOLLARS
        sent = node.send("issuer", "dollar", "redeem(uint256)", amount)
        self.moved(sent, "dollar", "issuer", None, amount, "burn")
        node.mine()
