"""The contracts that well-known symbols stand for, by chain: what calls itself the same elsewhere is an imitation.

Source: the issuers' own lists of contracts (Tether, Circle, MakerDAO, Binance, BitGo) and the wrapped coins'.
"""

from __future__ import annotations

import unicodedata
from typing import Final

NATIVE_SYMBOLS: Final = {"bitcoin": ("BTC", 8), "ethereum": ("ETH", 18), "tron": ("TRX", 6)}
"""By family: what a chain's own coin is called, and its decimals."""

KNOWN: Final[dict[str, dict[str, tuple[str, ...]]]] = {
    "ethereum:1": {
        "USDT": ("0xdAC17F958D2ee523a2206206994597C13D831ec7",),
        "USDC": ("0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48",),
        "DAI": ("0x6B175474E89094C44Da98b954EedeAC495271d0F",),
        "WETH": ("0xC02aaA39b223FE8D0A0e5C4F27eAD9083C756Cc2",),
        "WBTC": ("0x2260FAC5E5542a773Aa44fBCfeDf7C193bc2C599",),
        "BUSD": ("0x4Fabb145d64652a948d72533023f6E7A623C7C53",),
    },
    "ethereum:10": {
        "USDT": ("0x94b008aA00579c1307B0EF2c499aD98a8ce58e58",),
        "USDC": ("0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85",),
    },
    "ethereum:56": {
        "USDT": ("0x55d398326f99059fF775485246999027B3197955",),
        "USDC": ("0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d",),
        "BUSD": ("0xe9e7CEA3DedcA5984780Bafc599bD69ADd087D56",),
        "WBNB": ("0xbb4CdB9CBd36B01bD1cBaEBF2De08d9173bc095c",),
    },
    "ethereum:137": {
        "USDT": ("0xc2132D05D31c914a87C6611C10748AEb04B58e8F",),
        "USDC": ("0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", "0x2791Bca1f2de4661ED88A30C99A7a9449Aa84174"),
    },
    "ethereum:8453": {"USDC": ("0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913",)},
    "ethereum:42161": {
        "USDT": ("0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9",),
        "USDC": ("0xaf88d065e77c8cC2239327C5EDb3A432268e5831",),
    },
    "tron:mainnet": {
        "USDT": ("TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",),
        "USDC": ("TEkxiTehnzSmSe2XqrBj4w32RUN966rdz8",),
    },
}

_CONFUSABLE: Final = str.maketrans("АВСЕНІЈКМОРЅТУХԁ₮", "ABCEHIJKMOPSTYXDT")
"""Cyrillic capitals and others that look like Latin ones."""


def plain_symbol(text: str) -> str:
    """A symbol as the eye reads it: compatibility forms and look-alike letters folded, signs and blanks dropped."""
    folded = unicodedata.normalize("NFKC", text).upper().translate(_CONFUSABLE)
    return "".join(character for character in folded if character.isalnum())


def imitates(chain: str, contract: str, symbol: str) -> str | None:
    """The well-known symbol that a token on another contract says it has; None where it imitates none."""
    said = plain_symbol(symbol)
    contracts = KNOWN.get(chain, {}).get(said)
    if contracts is None or contract in contracts:
        return None
    return said
