"""Payment requests: `bitcoin:` (BIP21), `ethereum:` (EIP-681, and ERC-831's `pay-`), `tron:`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from calibar.records.selectors.hit import Hit

KIND: Final = "payment"
_URI: Final = re.compile(
    r"([bBeEtT](?<![^\W_].)(?:itcoin|thereum|ron)):(?://)?((?:pay-)?)([0-9A-Za-z]{20,100}+)"
    r"((?:@[0-9]{1,20})?)((?:/[A-Za-z_][0-9A-Za-z_]{0,63})?)((?:\?[^\s<>\"'|\\^`{}]{0,2000}+)?)",
    re.IGNORECASE,
)
_TAIL: Final = ".,;:!)]»”’"


def find(text: str) -> Iterator[Hit]:
    """All of a text. `details` says whom it pays, and what; the address is a finding of its own."""
    for match in _URI.finditer(text) if ":" in text else ():
        scheme, _, address, chain, function, query = match.groups()
        query = query.rstrip(_TAIL)
        said = dict(parse_qsl(query[1:], max_num_fields=2001))
        details = {"scheme": scheme.lower(), "address": address}
        network = None
        if scheme.lower() == "ethereum":
            details["chain_id"] = chain[1:] or "1"
            network = f"ethereum:{details['chain_id']}"
            if function:
                details["function"] = function[1:]
            if function == "/transfer" and "address" in said:
                details |= {"token": address, "address": said["address"][:100]}
        details |= {key: said[key][:200] for key in ("amount", "value", "uint256", "label", "message") if key in said}
        end = match.start(6) + len(query)
        value = scheme.lower() + text[match.start() + len(scheme) : end]
        yield Hit(KIND, value, match.start(), end, network=network, details=details)
