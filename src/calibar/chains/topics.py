"""First topics of the logs that tokens and pools write alike on Ethereum and on TRON.

Sources: ERC-20; TetherToken and WETH9 (WTRX) as deployed; OpenZeppelin's Pausable; Uniswap's pairs and pools.
"""

from __future__ import annotations

from typing import Final

from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.facts import BLACKLISTED, PAUSED, SWAP_V2, SWAP_V3, UNBLACKLISTED, UNPAUSED


def topic(signature: str) -> bytes:
    """First topic of a log with this signature."""
    return keccak256(signature.encode())


TRANSFER: Final = topic("Transfer(address,address,uint256)")
APPROVE: Final = topic("Approval(address,address,uint256)")
ISSUE: Final = topic("Issue(uint256)")
REDEEM: Final = topic("Redeem(uint256)")
DESTROY: Final = topic("DestroyedBlackFunds(address,uint256)")
DEPOSIT: Final = topic("Deposit(address,uint256)")
WITHDRAWAL: Final = topic("Withdrawal(address,uint256)")
LISTED: Final = {
    topic("AddedBlackList(address)"): BLACKLISTED,
    topic("RemovedBlackList(address)"): UNBLACKLISTED,
}
PAUSES: Final = {
    topic("Pause()"): PAUSED,
    topic("Unpause()"): UNPAUSED,
    topic("Paused(address)"): PAUSED,
    topic("Unpaused(address)"): UNPAUSED,
}
SWAPS: Final = {
    topic("Swap(address,uint256,uint256,uint256,uint256,address)"): (SWAP_V2, 128),
    topic("Swap(address,address,int256,int256,uint160,uint128,int24)"): (SWAP_V3, 160),
}
"""The event's kind and how many bytes of data there are."""
