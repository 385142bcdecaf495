"""CoinJoin: several people put their coins into one transaction, so that nobody can see whose output is whose.

Claim: the transaction's inputs belong to several people, and which of its outputs whose value went to cannot be told
from it; a trail that cuts it by a method would name an innocent holder.
Premises: three or more different scripts pay, no output is an OP_RETURN, and either the largest number of different
scripts paid the same amount is k >= 3, as many or more scripts pay, and there are k or k + 1 outputs (a round without
change, as Whirlpool's) or 2k - 1 to 2k + 1 (one change for each, as JoinMarket's); or there are ten or more of both and
the scripts paid an amount that others are paid too are at least half as many as the outputs (Wasabi's several amounts).
Critical questions: Could one person pay several alike amounts from several of his own coins (a payroll, a split of
savings)? Do the inputs have one owner by other evidence? Does the coordinator's known address or fee output appear?
Error rate: of labelled real transactions it finds 1,403 of 1,403 Whirlpool mixes (March 2024), 196 of 196 Wasabi 1
rounds (August 2021), 6 of 6 Wasabi 2 rounds of a test chain, and none of that chain's 5 other payments. Of 3,890
transactions before and after those mixes 420 have the shape, 402 of them exactly Whirlpool's; whether they were mixes
nobody labelled. Of 6,045 transactions in three whole blocks of 2018, 2019 and 2021, 8 have it, 7 of them exactly
Whirlpool's. How often another payment has it by chance is not measured beyond that. CoinJoins of two, and PayJoins,
are made not to have it and are not found.
References: G. Maxwell, CoinJoin, 2013 (bitcointalk.org/index.php?topic=279249); M. Möser, R. Böhme, The price of
anonymity: empirical evidence from a market for Bitcoin anonymization, Journal of Cybersecurity 3(2), 2017;
H. Schnoering, M. Vazirgiannis, Heuristics for detecting CoinJoin transactions on the Bitcoin blockchain, 2023 (arXiv
2311.12491).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from calibar.kernels.coinjoin import LEAST, is_coinjoin, payers
from calibar.kernels.scripts import OP_RETURN, script_kind

VERSION: Final = "1"
"""Of the rule's meaning; a trail records it."""


def looks_like_coinjoin(inputs: Sequence[bytes], outputs: Sequence[tuple[int, bytes]]) -> bool:
    """Whether a transaction has the shape, by its inputs' scripts and its outputs' values (satoshi) and scripts."""
    if any(int(script_kind(_bytes(script), 0, len(script))) == OP_RETURN for _, script in outputs):
        return False
    numbers: dict[bytes, int] = {}
    paying = [numbers.setdefault(script, len(numbers)) for script in inputs]
    paid = [(value, numbers.setdefault(script, len(numbers))) for value, script in outputs if value > 0]
    pairs = np.zeros((max(len(paying), len(paid), 1), 2), np.int64)
    pairs[: len(paying), 0] = paying
    different = int(payers(pairs, len(paying)))
    if different < LEAST or len(paid) < LEAST:
        return False
    pairs[: len(paid)] = paid
    return bool(is_coinjoin(pairs, len(paid), different))


def _bytes(script: bytes) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    return np.frombuffer(script or b"\0", np.uint8)
