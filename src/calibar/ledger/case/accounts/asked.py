"""Whether anybody answered what was asked."""

from __future__ import annotations

from calibar.chains.remote.transfers_told import (
    BlockQuestion,
    HoldingQuestion,
    MovementsQuestion,
    NewestQuestion,
    Question,
    TransactionQuestion,
)
from calibar.ledger.case.accounts.words import Words


def is_answered(question: Question | None, words: Words) -> bool:
    """Whether some server gave an answer to a question; what is none has none."""
    match question:
        case NewestQuestion():
            return bool(words.newest)
        case TransactionQuestion(txid):
            return any(name == txid for _, name in words.transactions)
        case BlockQuestion(height):
            return height in words.blocks
        case HoldingQuestion(account, asset):
            return any((address, of) == (account, asset) for _, address, of in words.holdings)
        case MovementsQuestion(account, what, _, _, asset):
            return any(
                (address, kind) == (account, what) and of in (None, asset) for _, address, kind, of in words.listings
            )
    return False
