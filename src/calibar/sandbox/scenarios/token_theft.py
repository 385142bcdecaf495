"""A theft's second leg: stolen money leaves an exchange as dollar tokens and runs through private wallets on Ethereum.

The story is written here, step by step, with its own bookkeeping. A real node lived through it once and its answers
were recorded in RECORDING, so that no node is needed. 84 blocks from genesis, one every five minutes.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ec import SECP256K1, derive_private_key

from calibar.chains.ethereum.jsonrpc import Question
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.recorded import Recording
from calibar.sandbox.dice import Dice
from calibar.sandbox.keys import Key
from calibar.sandbox.truth import Event, Owned

SEED: Final = "token-theft"
TIP: Final = 84
BLOCK_SECONDS: Final = 300
ETHER: Final = 10**18
DOLLAR: Final = 10**6
"""Base units of one."""
UNLIMITED: Final = 2**256 - 1

_FIXTURES: Final = Path(__file__).parent.parent / "fixtures"
RECORDING: Final = _FIXTURES / "token-theft.jsonl.gz"
"""What the node answered, as `calibar.chains.ethereum.recorded` reads it."""
GENESIS: Final = _FIXTURES / "token-theft-genesis.json"
"""The chain's first state, as geth reads it."""

TOKENS: Final = ("dollar", "weth", "look-alike dollar", "pool")
BYSTANDERS: Final = tuple(f"bystander {n}" for n in range(1, 7))
CUSTOMERS: Final = tuple(f"customer {n}" for n in range(1, 5))
_ROLES: Final = {
    "thief": ("thief wallet 1", "thief wallet 2", "cold wallet", "drainer", *(f"mule {n}" for n in range(1, 6))),
    "exchange 1": ("exchange 1 hot wallet",),
    "exchange 2": (
        "exchange 2 hot wallet", "exchange 2 gas funder", "deposit of mule 5", *(f"deposit of {c}" for c in CUSTOMERS)
    ),
    "issuer": ("issuer",),
    "liquidity provider": ("liquidity provider",),
    "address poisoner": ("address poisoner", "address that looks like deposit of mule 5"),
    "producer": ("producer",),
    "victim 5": ("victim 5",),
    **{name: (name,) for name in (*BYSTANDERS, *CUSTOMERS)},
}  # fmt: skip
_LIKE: Final = "address that looks like "
DEPOSITS: Final = tuple(role for role in _ROLES["exchange 2"] if role.startswith("deposit"))
EXCHANGES: Final = frozenset((*_ROLES["exchange 1"], *_ROLES["exchange 2"]))
BALANCES: Final = {
    "liquidity provider": 400 * ETHER, "issuer": 5 * ETHER, "exchange 1 hot wallet": 250 * ETHER,
    "exchange 2 hot wallet": 310 * ETHER, "exchange 2 gas funder": 20 * ETHER, "drainer": ETHER // 5,
    "address poisoner": ETHER // 4, "victim 5": 2 * ETHER, **dict.fromkeys((*BYSTANDERS, *CUSTOMERS), 3 * ETHER),
}  # fmt: skip
"""Wei at genesis by role."""


def account(text: str) -> str:
    """Address of the throw-away key that a text gives, in lower case."""
    public = derive_private_key(Key.of(text).secret, SECP256K1()).public_key().public_numbers()
    return "0x" + keccak256(public.x.to_bytes(32, "big") + public.y.to_bytes(32, "big"))[12:].hex()


@cache
def address(role: str) -> str:
    """Address of an account of the story by its role."""
    if role.startswith(_LIKE):
        like = address(role.removeprefix(_LIKE))
        return like[:6] + keccak256(like.encode()).hex()[:32] + like[-4:]
    return account(f"{SEED}/{role}")


def roles() -> tuple[str, ...]:
    """Every account of the story."""
    return tuple(role for held in _ROLES.values() for role in held)


@dataclass(frozen=True, slots=True)
class Move:
    """Base units of an asset (`dollar`, `weth`) from one role to another; None is nobody."""

    asset: str
    sender: str | None
    recipient: str | None
    amount: int


@dataclass(frozen=True, slots=True)
class Step:
    """A transaction. `call` is `name(type,…)` of the contract `to`, or the contract to make where `to` is None."""

    height: int
    who: str
    to: str | None
    call: str = ""
    args: tuple[int | str, ...] = ()
    value: int = 0
    makes: str = ""
    what: str = ""
    fails: bool = False
    source: str = ""
    """Label of the stolen value that the first of `moves` is."""
    converts: bool = False
    """The first of `moves` is given for the second."""
    moves: tuple[Move, ...] = ()


@dataclass(slots=True)
class Story:
    """The steps, written in the order in which they happen."""

    steps: list[Step] = field(default_factory=list)
    held: Counter[tuple[str, str]] = field(default_factory=Counter)
    """Base units by asset and role."""
    height: int = 0
    _dice: Dice = field(default_factory=lambda: Dice(SEED))

    def write(self) -> tuple[Step, ...]:
        """All steps in chain order."""
        plan = self._plan()
        for self.height in range(1, TIP + 1):
            busy = self._dice.between(0, 3) if self.height > 5 else 0
            for _ in range(busy):
                self._trade()
            for event in plan.get(self.height, ()):
                event()
        return tuple(self.steps)

    def _plan(self) -> dict[int, tuple[Callable[[], object], ...]]:
        pay, do = self.pay, self.do
        hot1, hot2, of5 = "exchange 1 hot wallet", "exchange 2 hot wallet", "deposit of mule 5"
        return {
            1: (self._contracts,),
            2: (self._issue, lambda: do("liquidity provider", "weth", "deposit()", value=200 * ETHER,
                                        moves=(Move("weth", None, "liquidity provider", 200 * ETHER),))),
            3: (self._liquidity,),
            4: tuple(lambda c=c: pay(hot2, c, 9_000_000000) for c in CUSTOMERS),  # type: ignore[misc]
            8: (lambda: pay("bystander 3", "mule 2", 4_000_000000),),
            10: (lambda: self.ether("thief wallet 1", hot1, ETHER // 2, "gas money for the thief"),),
            11: tuple(lambda m=m: self.ether(m, "thief wallet 1", ETHER // 25, "gas money for a private wallet")  # type: ignore[misc]
                      for m in ("thief wallet 2", *(f"mule {n}" for n in range(1, 6)))),
            13: (lambda: pay("bystander 5", "mule 4", 700_000000),),
            15: (lambda: pay("mule 2", "bystander 4", 1_500_000000),),
            18: (lambda: self.allow("victim 5", "drainer", "victim 5 is talked into an approval without limit"),),
            20: (lambda: pay(hot1, "thief wallet 1", 95_200_000000, "exchange 1 pays the loot out in dollar tokens",
                             source="S0"),),
            23: (self._drain,),
            24: (lambda: pay("thief wallet 1", "mule 1", 40_000_000000, "split, part 1"),
                 lambda: pay("thief wallet 1", "mule 2", 30_000_000000, "split, part 2"),
                 lambda: pay("thief wallet 1", "thief wallet 2", 25_200_000000, "split, part 3")),
            26: (lambda: self.allow("mule 1", "router"),),
            27: (lambda: self.swap("mule 1", "dollar", 24_000_000000, "dollars become WETH"),),
            28: (lambda: pay("mule 1", "mule 4", 16_000_000000, "the rest of part 1 moves on"),),
            30: (lambda: pay("mule 1", "mule 3", 5 * ETHER, "5 WETH move on, the rest stays", asset="weth"),),
            31: (lambda: self.swap("bystander 6", "dollar", 2_500_000000),
                 lambda: self.allow("mule 3", "router", asset="weth")),
            33: (lambda: self.swap("mule 3", "weth", 5 * ETHER, "WETH becomes dollars again"),),
            34: (lambda: pay("mule 2", "mule 5", 28_000_000000, "part 2 moves on"),),
            35: (lambda: pay("mule 3", "mule 4", self.held["dollar", "mule 3"], "the dollars swapped back move on"),),
            36: (lambda: pay("thief wallet 2", "mule 5", 20_000_000000, "part 3 with victim 5's tokens moves on"),),
            40: (lambda: do("issuer", "dollar", "addBlackList(address)", "mule 4", what="the issuer freezes mule 4"),),
            41: (lambda: do("mule 4", "dollar", "transfer(address,uint256)", "mule 5", 20_000_000000, fails=True,
                            what="mule 4 tries to pay and cannot"),),
            43: tuple(lambda c=c, n=n: pay(c, f"deposit of {c}", n) for c, n in  # type: ignore[misc]
                      zip(CUSTOMERS[:3], (1_250_000000, 3_310_500000, 480_000000), strict=True)),
            44: (lambda: pay("mule 5", of5, 30_000_000000, "the thief deposits at exchange 2"),),
            46: tuple(lambda d=d: self.ether(d, "exchange 2 gas funder", ETHER // 400)  # type: ignore[misc]
                      for d in DEPOSITS if d != "deposit of customer 4"),
            48: tuple(lambda d=d: self.sweep(d) for d in DEPOSITS if d != "deposit of customer 4"),  # type: ignore[misc]
            50: (self._poison,),
            52: (lambda: pay(hot2, "customer 2", 2_750_000000), lambda: pay(hot2, "bystander 1", 1_999_990000)),
            55: (lambda: pay("mule 5", of5, 10_000_000000, "a second deposit, which nobody sweeps"),),
            57: (lambda: pay("customer 4", "deposit of customer 4", 2_000_000000),),
            58: (lambda: pay("mule 5", "bystander 2", 3_000_000000, "mule 5 buys something"),),
            60: (lambda: pay("thief wallet 2", "cold wallet", 17_680_550000, "the rest of part 3 is put aside"),),
            64: (lambda: do("bystander 4", "weth", "deposit()", value=ETHER,
                            moves=(Move("weth", None, "bystander 4", ETHER),)),),
            66: (lambda: do("bystander 4", "weth", "withdraw(uint256)", ETHER // 2,
                            moves=(Move("weth", "bystander 4", None, ETHER // 2),)),),
            70: (self._destroy,),
            75: (lambda: do("issuer", "dollar", "redeem(uint256)", 150_000_000000,
                            moves=(Move("dollar", "issuer", None, 150_000_000000),)),),
        }  # fmt: skip

    def do(self, who: str, to: str | None, call: str = "", *args: int | str, **more: Any) -> None:
        """Write one step and keep its books."""
        step = Step(self.height, who, to, call, args, **more)
        self.steps.append(step)
        for move in step.moves:
            if move.sender is not None:
                self.held[move.asset, move.sender] -= move.amount
            if move.recipient is not None:
                self.held[move.asset, move.recipient] += move.amount

    def pay(self, who: str, to: str, amount: int, what: str = "", *, asset: str = "dollar", source: str = "") -> None:
        """A transfer of tokens by their owner."""
        moves = (Move(asset, who, to, amount),)
        self.do(who, asset, "transfer(address,uint256)", to, amount, what=what, source=source, moves=moves)

    def ether(self, to: str, who: str, wei: int, what: str = "") -> None:
        """A payment of the chain's own coin."""
        self.do(who, to, value=wei, what=what)

    def allow(self, who: str, spender: str, what: str = "", *, asset: str = "dollar") -> None:
        """An approval without limit."""
        self.do(who, asset, "approve(address,uint256)", spender, UNLIMITED, what=what)

    def swap(self, who: str, given: str, amount: int, what: str = "") -> None:
        """All of `amount` through the pool: constant product, 0.3 % of it kept."""
        got = "weth" if given == "dollar" else "dollar"
        into, out_of = self.held[given, "pool"], self.held[got, "pool"]
        received = amount * 997 * out_of // (into * 1000 + amount * 997)
        if who in BYSTANDERS:
            self.allow(who, "router", asset=given)
        self.do(
            who, "router", "swap(address,address,uint256,uint256,address)", "pool", given, amount, received, who,
            what=what, converts=True, moves=(Move(given, who, "pool", amount), Move(got, "pool", who, received)),
        )  # fmt: skip

    def sweep(self, deposit: str) -> None:
        """Everything at a deposit address goes to the hot wallet."""
        what = "exchange 2 sweeps the thief's deposit with others'" if deposit == "deposit of mule 5" else ""
        self.pay(deposit, "exchange 2 hot wallet", self.held["dollar", deposit], what)

    def _contracts(self) -> None:
        provider = "liquidity provider"
        self.do("issuer", None, "Dollar", makes="dollar")
        self.do(provider, None, "Wrapped", makes="weth")
        self.do(provider, None, "Pair", "dollar", "weth", makes="pool")
        self.do(provider, None, "Router", "weth", makes="router")
        self.do("address poisoner", None, "LookAlike", makes="look-alike dollar")

    def _issue(self) -> None:
        total = 3_000_000 * DOLLAR
        self.do("issuer", "dollar", "issue(uint256)", total, moves=(Move("dollar", None, "issuer", total),))
        parts = {"exchange 1 hot wallet": 900_000, "exchange 2 hot wallet": 750_000, "liquidity provider": 400_000,
                 "victim 5": 13_000}  # fmt: skip
        for who, amount in {**parts, **dict.fromkeys(BYSTANDERS, 20_000)}.items():
            self.pay("issuer", who, amount * DOLLAR)

    def _liquidity(self) -> None:
        provider = "liquidity provider"
        self.pay(provider, "pool", 400_000 * DOLLAR)
        self.pay(provider, "pool", 200 * ETHER, asset="weth")
        self.do(provider, "pool", "mint(address)", provider)

    def _drain(self) -> None:
        amount = 12_480_550000
        self.do(
            "drainer", "dollar", "transferFrom(address,address,uint256)", "victim 5", "thief wallet 2", amount,
            what="the drainer uses victim 5's approval", source="S1",
            moves=(Move("dollar", "victim 5", "thief wallet 2", amount),),
        )  # fmt: skip

    def _poison(self) -> None:
        like = "address that looks like deposit of mule 5"
        call = "transferFrom(address,address,uint256)"
        what = "a transfer of nothing, in mule 5's name"
        self.do("address poisoner", "dollar", call, "mule 5", like, 0, what=what)
        call, what = "spoof(address,address,uint256)", "a transfer of a look-alike token, in mule 5's name"
        self.do("address poisoner", "look-alike dollar", call, "mule 5", like, 30_000_000000, what=what)

    def _destroy(self) -> None:
        moves = (Move("dollar", "mule 4", None, self.held["dollar", "mule 4"]),)
        what = "the issuer destroys what mule 4 holds"
        self.do("issuer", "dollar", "destroyBlackFunds(address)", "mule 4", what=what, moves=moves)

    def _trade(self) -> None:
        payer, payee = self._dice.some((*BYSTANDERS, "customer 4"), 2)
        if self._dice.chance(20):
            self.ether(payee, payer, self._dice.between(1, 90) * ETHER // 10_000)
        else:
            self.pay(payer, payee, self._dice.between(1_00, 400_00) * DOLLAR // 100)


@cache
def steps() -> tuple[Step, ...]:
    """The story's transactions in chain order."""
    return Story().write()


Segments = list[tuple[str | None, int]]


@dataclass(frozen=True, slots=True)
class Rest:
    """Stolen value where the story left it. `state`: held, stopped (it came to an account of `stops`), destroyed."""

    label: str
    asset: str
    role: str
    amount: int
    state: str


def rests(stops: Collection[str] = ()) -> tuple[Rest, ...]:
    """Where the stolen value is at the tip, first in, first out, in base units; sorted.

    Where it is swapped, all that was given had one label, so all that was received has it. What an account of `stops`
    passed on is counted there and followed no further.
    """
    lists: dict[tuple[str, str], Segments] = defaultdict(list)
    sums: Counter[tuple[str, str, str, str]] = Counter()
    for step in steps():
        carried: str | None = None
        for n, move in enumerate(step.moves):
            line: Segments = [(None, move.amount)]
            if move.sender is not None:
                line = _draw(lists[move.asset, move.sender], move.amount)
            if move.sender in stops:
                line = _count(sums, line, move.asset, str(move.sender), "stopped")
            if n == 0 and step.source:
                line = [(step.source, move.amount)]
            if step.converts and n == 0:
                (carried,) = {label for label, _ in line}
                line = [(None, move.amount)]
            elif step.converts:
                line = [(carried, move.amount)]
            if move.recipient is None:
                _count(sums, line, move.asset, str(move.sender), "destroyed")
            else:
                lists[move.asset, move.recipient] += line
    for (asset, role), line in lists.items():
        _count(sums, line, asset, role, "held")
    return tuple(
        Rest(label, asset, role, amount, state) for (label, asset, role, state), amount in sorted(sums.items())
    )


def _draw(line: Segments, amount: int) -> Segments:
    drawn: Segments = []
    while amount:
        label, there = line.pop(0)
        cut = min(amount, there)
        drawn.append((label, cut))
        amount -= cut
        if there > cut:
            line.insert(0, (label, there - cut))
    return drawn


def _count(sums: Counter[tuple[str, str, str, str]], line: Segments, asset: str, role: str, state: str) -> Segments:
    """Count the labels of `line`; the same amount without them."""
    for label, amount in line:
        if label is not None:
            sums[label, asset, role, state] += amount
    return [(None, amount) for _, amount in line]


@dataclass(frozen=True, slots=True)
class StolenTokens:
    """A transfer of stolen tokens: what an investigator is given to begin with."""

    label: str
    victim: str
    transaction: str
    log_index: int
    """As the chain gives it: in the block."""
    token: str
    sender: str
    recipient: str
    amount: int
    height: int


@dataclass(frozen=True, slots=True)
class TokenTruth:
    """The truth about the recorded chain."""

    sources: tuple[StolenTokens, ...]
    events: tuple[Event, ...]
    addresses: tuple[Owned, ...]
    contracts: tuple[tuple[str, str], ...]
    """Name and address."""

    def role(self, wanted: str) -> str:
        """Address of a role or contract."""
        return dict(self.contracts).get(wanted) or address(wanted)


@cache
def truth() -> TokenTruth:
    """What happened, with the addresses and transactions of the recording."""
    recording = Recording(RECORDING)

    def asked(method: str, *params: object) -> Any:
        return recording.ask([Question(method, params)])[0]

    seen: Counter[int] = Counter()
    contracts, sources, events = {}, [], []
    for step in steps():
        receipt = asked("eth_getBlockReceipts", hex(step.height))[seen[step.height]]
        seen[step.height] += 1
        transaction = receipt["transactionHash"]
        if step.makes:
            contracts[step.makes] = receipt["contractAddress"]
        if step.source:
            move = step.moves[0]
            sources.append(
                StolenTokens(
                    step.source, "the loot of the first leg" if step.source == "S0" else str(move.sender), transaction,
                    int(receipt["logs"][0]["logIndex"], 16), contracts[move.asset], address(str(move.sender)),
                    address(str(move.recipient)), move.amount, step.height,
                )
            )  # fmt: skip
        if step.what:
            time = int(asked("eth_getBlockByNumber", hex(step.height), False)["timestamp"], 16)
            events.append(Event(transaction, step.height, time, step.what))
    owned = tuple(
        Owned(address(role), actor, role, role.removeprefix("deposit of ") if role in DEPOSITS else None)
        for actor, held in _ROLES.items()
        for role in held
    )
    return TokenTruth(tuple(sources), tuple(events), owned, tuple(contracts.items()))


def labels() -> dict[str, str]:
    """What a page calls each address of the story: its role, with the custodian's name before what it keeps."""
    named = {
        owned.address: f"{owned.actor}: {owned.role}" if owned.customer else owned.role for owned in truth().addresses
    }
    return named | {contract: f"contract: {name}" for name, contract in truth().contracts}
