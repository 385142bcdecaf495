"""What is known of the assets on a trail: what they say of themselves, and what speaks against it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from calibar.chains.known_tokens import imitates
from calibar.ledger.accounts.compare import compared
from calibar.ledger.accounts.snapshot import AccountSnapshot

_SAID: Final = ("height", "block", "source", "compared", "differ", "unanswered")


def described(snapshot: AccountSnapshot, assets: Iterable[int]) -> dict[str, dict[str, Any]]:
    """By name: what each asset says of itself; which known one it imitates; how balances stand beside a node's."""
    beside = compared(snapshot)
    found = {}
    for asset in assets:
        name = snapshot.asset_name(asset)
        said = found[name] = snapshot.naming(asset)
        if (known := imitates(snapshot.chain, name, said["symbol"] or "")) is not None:
            said["imitates"] = known
        if name in beside:
            said["balances"] = {key: beside[name][key] for key in _SAID}
    return found
