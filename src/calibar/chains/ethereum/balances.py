"""What a node says that addresses have after a block: `eth_getBalance`, a token's `balanceOf`. Reported, not proven."""

from __future__ import annotations

from collections.abc import Sequence

from calibar.chains.ethereum.jsonrpc import Answers, Question, Refusal
from calibar.errors import UsageError

BALANCE_OF = "0x70a08231"
"""balanceOf(address)"""
_PRUNED = ("missing trie node", "pruned", "state is not available", "state not available", "no state", "archive",
           "historical state", "header not found", "out of range", "blockoutofrange", "unknown block")  # fmt: skip


def balances(answers: Answers, pairs: Sequence[tuple[bytes | None, bytes]], height: int) -> list[int | None]:
    """Base units of each (token's contract, or None for the chain's own coin; address) after the block at a height.

    None where the contract gives no balance. Raises UsageError where the node has no state of that block.
    """
    block = hex(height)
    found = answers.ask([_question(token, address, block) for token, address in pairs])
    return [_amount(answer, token, height, answers.place) for answer, (token, _) in zip(found, pairs, strict=True)]


def _question(token: bytes | None, address: bytes, block: str) -> Question:
    if token is None:
        return Question("eth_getBalance", ("0x" + address.hex(), block))
    call = {"to": "0x" + token.hex(), "data": BALANCE_OF + address.hex().rjust(64, "0")}
    return Question("eth_call", (call, block))


def _amount(answer: object, token: bytes | None, height: int, place: str) -> int | None:
    if isinstance(answer, Refusal):
        if token is None or any(words in answer.message.lower() for words in _PRUNED):
            raise UsageError(
                f"{place}: balances at block {height}: the node says: {answer.message}; "
                "name one that keeps the state of that block (an archive node), or compare at the ledger's tip"
            )
        return None
    digits = answer[2:] if isinstance(answer, str) and answer[:2] == "0x" else ""
    if not digits.isascii() or not 0 < len(digits) <= 64 or (token is not None and len(digits) != 64):
        return None
    try:
        return int(digits, 16)
    except ValueError:
        return None
