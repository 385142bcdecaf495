"""The Bitcoin networks as parameters. Nothing else in Calíbar assumes mainnet.

Sources: Bitcoin Core, `src/kernel/chainparams.cpp`; Litecoin Core, `src/chainparams.cpp`. Amounts are in
satoshi, hashes as displayed (reversed hex).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from calibar.errors import UsageError

COIN: Final = 100_000_000


@dataclass(frozen=True, slots=True)
class Network:
    """What tells one Bitcoin network from another."""

    name: str
    magic: bytes
    """Four bytes before each record of a block file."""
    genesis: str
    """Hash of block 0."""
    p2pkh_prefix: int
    p2sh_prefix: int
    hrp: str
    """Human-readable part of SegWit addresses."""
    pow_limit: int
    """Largest allowed target."""
    halving_interval: int
    segwit_height: int
    """From here on witnesses may be used (BIP141)."""
    proof_of_work: Literal["sha256d", "scrypt"] = "sha256d"
    """Hash that must meet the target; blocks are named by sha256d all the same."""
    max_money: int = 21_000_000 * COIN
    max_block_bytes: int = 4_000_000

    def subsidy(self, height: int) -> int:
        """New satoshi that the block at `height` may create."""
        halvings = height // self.halving_interval
        return 0 if halvings >= 64 else (50 * COIN) >> halvings


NETWORKS: Final[dict[str, Network]] = {
    network.name: network
    for network in (
        Network(
            "mainnet",
            bytes.fromhex("f9beb4d9"),
            "000000000019d6689c085ae165831e934ff763ae46a2a6c172b3f1b60a8ce26f",
            p2pkh_prefix=0,
            p2sh_prefix=5,
            hrp="bc",
            pow_limit=0x00000000FFFF << 208,
            halving_interval=210_000,
            segwit_height=481_824,
        ),
        Network(
            "testnet3",
            bytes.fromhex("0b110907"),
            "000000000933ea01ad0ee984209779baaec3ced90fa3f408719526f8d77f4943",
            p2pkh_prefix=111,
            p2sh_prefix=196,
            hrp="tb",
            pow_limit=0x00000000FFFF << 208,
            halving_interval=210_000,
            segwit_height=834_624,
        ),
        Network(
            "testnet4",
            bytes.fromhex("1c163f28"),
            "00000000da84f2bafbbc53dee25a72ae507ff4914b867c565be350b0da8bf043",
            p2pkh_prefix=111,
            p2sh_prefix=196,
            hrp="tb",
            pow_limit=0x00000000FFFF << 208,
            halving_interval=210_000,
            segwit_height=1,
        ),
        Network(
            "signet",
            bytes.fromhex("0a03cf40"),
            "00000008819873e925422c1ff0f99f7cc9bbb232af63a077a480a3633bee1ef6",
            p2pkh_prefix=111,
            p2sh_prefix=196,
            hrp="tb",
            pow_limit=0x00000377AE << 216,
            halving_interval=210_000,
            segwit_height=1,
        ),
        Network(
            "regtest",
            bytes.fromhex("fabfb5da"),
            "0f9188f13cb7b2c71f2a335e3a4fc328bf5beb436012afca590b1a11466e2206",
            p2pkh_prefix=111,
            p2sh_prefix=196,
            hrp="bcrt",
            pow_limit=0x7FFFFF << 232,
            halving_interval=150,
            segwit_height=0,
        ),
        Network(  # for tests and training: up to height 431 its blocks are Bitcoin's, from 432 on they carry an MWEB
            "litecoin-regtest",
            bytes.fromhex("fabfb5da"),  # as regtest's
            "530827f38f93b43ed12af0b3ad25a288dc02ed74d6d7857862df51fc56c416f9",
            p2pkh_prefix=111,
            p2sh_prefix=58,
            hrp="rltc",
            pow_limit=0x7FFFFF << 232,
            halving_interval=150,
            segwit_height=0,
            proof_of_work="scrypt",
            max_money=84_000_000 * COIN,
        ),
    )
}


def network(name: str) -> Network:
    """The network called `name`; raises UsageError with the known names."""
    try:
        return NETWORKS[name]
    except KeyError:
        raise UsageError(f"no Bitcoin network is called {name!r}; known: {', '.join(NETWORKS)}") from None
