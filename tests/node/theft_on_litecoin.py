"""A theft on a chain that a real node makes, and what is known of it.

Three coins of a victim are swept into one, which is peeled twelve times; every second peel goes to one address of a
service that honest customers pay too. The rest is split in four; two parts are merged with clean money, a third goes
out beside an OP_RETURN, the fourth lies still. Last, the merged coin is spent in no block yet. Apart from all this,
five people mix their coins, and one of them pays on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from litecoin import COIN, Chain

FEE: Final = 1_000
"""Satoshi that each transaction made here pays."""
HOPS: Final = 12
CUSTOMERS: Final = 30
MIXERS: Final = 5
NOTE: Final = b"calibar was here"


@dataclass(frozen=True, slots=True)
class Coin:
    """A coin that was made: who is paid by name, the address, satoshi."""

    txid: str
    output: int
    address: str
    value: int

    @property
    def ref(self) -> str:
        """`txid:vout`."""
        return f"{self.txid}:{self.output}"


@dataclass(slots=True)
class Known:
    """What happened, in order; txids and coins as displayed."""

    victim: list[Coin] = field(default_factory=list)
    """The coins that are stolen."""
    stolen: Coin = field(init=False)
    """The coin into which the theft sweeps them."""
    rest: list[Coin] = field(default_factory=list)
    """What goes on after each peel."""
    peels: list[Coin] = field(default_factory=list)
    """What each peel pays out."""
    service: str = ""
    """The address that every second peel, and many a customer, pays."""
    paid_to_service: list[Coin] = field(default_factory=list)
    """All coins of that address, in order."""
    parts: list[Coin] = field(default_factory=list)
    """The four coins of the split."""
    clean: Coin = field(init=False)
    """Honest money that two parts are merged with."""
    merged: Coin = field(init=False)
    noted: Coin = field(init=False)
    """The third part, after the transaction with the OP_RETURN (its output 1)."""
    unconfirmed: Coin = field(init=False)
    """Where the merged coin goes, in no block yet."""
    mixed: list[Coin] = field(default_factory=list)
    """The coins that five people put into a CoinJoin."""
    shares: list[Coin] = field(default_factory=list)
    """What they get out of it, all alike; the first is spent."""
    spent_share: Coin = field(init=False)
    heights: dict[str, int] = field(default_factory=dict)
    """Height of each transaction made here, 0 where it is in no block."""

    @property
    def transactions(self) -> list[str]:
        """Txids of all that was made here, in order."""
        return list(self.heights)


class Story:
    """The theft while it happens."""

    def __init__(self, chain: Chain) -> None:
        self.chain = chain
        self.known = Known()
        self._waiting: list[str] = []

    def run(self) -> Known:
        """Tell it all, from whatever height the chain has; about 140 blocks."""
        chain, known = self.chain, self.known
        chain.mine(110)
        self._honest()
        self._theft()
        self._peels()
        known.parts = self._spend([known.rest[-1]], self._quarters(known.rest[-1].value - FEE))
        self._mine()
        together = [*known.parts[:2], known.clean]
        known.merged = self._spend(together, [(chain.new_address("legacy"), _sum(together) - FEE)])[0]
        third = known.parts[2]
        known.noted = self._spend([third], [(chain.new_address(), third.value - FEE)], NOTE)[0]
        self._mine()
        known.shares = self._spend(known.mixed, [(chain.new_address(), COIN) for _ in known.mixed])
        known.spent_share = self._spend(known.shares[:1], [(chain.new_address(), COIN - FEE)])[0]
        self._mine()
        chain.mine(2)
        known.unconfirmed = self._spend([known.merged], [(chain.new_address(), known.merged.value - FEE)])[0]
        known.heights.update(dict.fromkeys(self._waiting, 0))
        return known

    def _honest(self) -> None:
        """Who has what before the theft, and what customers pay the service."""
        chain, known = self.chain, self.known
        known.service = chain.new_address("legacy")
        kinds = ("bech32", "p2sh-segwit", "legacy")
        amounts = (10 * COIN, 5 * COIN + 1, 2 * COIN + 50_000_003)
        known.victim = [self._fund(chain.new_address(kind), value) for kind, value in zip(kinds, amounts, strict=True)]
        known.clean = self._fund(chain.new_address(), 3 * COIN)
        known.mixed = [self._fund(chain.new_address(), COIN + FEE // MIXERS) for _ in range(MIXERS)]
        self._mine()
        for number in range(CUSTOMERS):
            known.paid_to_service.append(self._fund(known.service, COIN // 10 + number))
            if number % 10 == 9:
                self._mine()

    def _theft(self) -> None:
        taken = self.known.victim
        self.known.stolen = self._spend(taken, [(self.chain.new_address(), _sum(taken) - FEE)])[0]
        self._mine()

    def _peels(self) -> None:
        chain, known = self.chain, self.known
        coin = known.stolen
        for hop in range(HOPS):
            value = COIN // 2 + 7 * hop
            to = known.service if hop % 2 else chain.new_address("p2sh-segwit")
            outputs = [(to, value), (chain.new_address(), coin.value - value - FEE)]
            peel, coin = self._spend([coin], outputs)
            known.peels.append(peel)
            known.rest.append(coin)
            if hop % 2:
                known.paid_to_service.append(peel)
            if hop % 3 == 2:  # three hops a block: later ones spend coins of their own block
                self._mine()

    def _quarters(self, value: int) -> list[tuple[str, int]]:
        amounts = [value // 4] * 3 + [value - 3 * (value // 4)]
        return [(self.chain.new_address(), amount) for amount in amounts]

    def _fund(self, address: str, value: int) -> Coin:
        """A coin of that value from the wallet's mined money; change goes where the wallet likes."""
        txid = str(self.chain.rpc("sendtoaddress", address, _coins(value)))
        self._waiting.append(txid)
        script = self.chain.script_of(address).hex()
        outputs = self.chain.rpc("getrawtransaction", txid, True)["vout"]
        (output,) = [each["n"] for each in outputs if each["scriptPubKey"]["hex"] == script]
        coin = Coin(txid, output, address, value)
        self._lock([coin])
        return coin

    def _spend(self, coins: Sequence[Coin], outputs: Sequence[tuple[str, int]], note: bytes = b"") -> list[Coin]:
        """Spend coins to outputs, in that order, and to an OP_RETURN after them where there is a note."""
        rpc = self.chain.rpc
        paid: list[dict[str, str]] = [{address: _coins(value)} for address, value in outputs]
        raw = rpc(
            "createrawtransaction",
            [{"txid": coin.txid, "vout": coin.output} for coin in coins],
            paid + ([{"data": note.hex()}] if note else []),
        )
        signed = rpc("signrawtransactionwithwallet", raw)
        assert signed["complete"], signed
        txid = str(rpc("sendrawtransaction", signed["hex"]))
        self._waiting.append(txid)
        made = [Coin(txid, number, address, value) for number, (address, value) in enumerate(outputs)]
        self._lock(made)
        return made

    def _lock(self, coins: Sequence[Coin]) -> None:
        """Keep the wallet from funding others with coins of the story."""
        self.chain.rpc("lockunspent", False, [{"txid": coin.txid, "vout": coin.output} for coin in coins])

    def _mine(self) -> None:
        (name,) = self.chain.mine()
        block = self.chain.rpc("getblock", name)
        assert set(self._waiting) <= set(block["tx"])
        self.known.heights.update(dict.fromkeys(self._waiting, int(block["height"])))
        self._waiting.clear()


def _coins(value: int) -> str:
    return f"{value // COIN}.{value % COIN:08}"


def _sum(coins: Sequence[Coin]) -> int:
    return sum(coin.value for coin in coins)
