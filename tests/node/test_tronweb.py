"""Addresses of TRON against tronweb, the chain's own library."""

from __future__ import annotations

import hashlib
import json
import subprocess

import pytest
from anvil import PACKAGES, node_js

from calibar.chains.tron.address import parse, to_base58, to_hex
from calibar.errors import AddressError

_SCRIPT = """
const { TronWeb } = require("tronweb");
const asked = JSON.parse(require("fs").readFileSync(0, "utf8"));
console.log(JSON.stringify({
  base58: asked.hex.map((x) => TronWeb.address.fromHex(x)),
  hex: asked.base58.map((x) => TronWeb.address.toHex(x)),
  valid: asked.mistyped.map((x) => TronWeb.isAddress(x)),
}));
"""


def test_addresses_are_those_of_tronweb() -> None:
    program = node_js()
    if program is None or not (PACKAGES / "tronweb").is_dir():
        pytest.skip("tronweb is not installed (tools/npm-packages)")
    known = [hashlib.sha256(b"%d" % n).digest()[:20] for n in range(300)] + [bytes(20), b"\xff" * 20]
    texts = [to_base58(address) for address in known]
    mistyped = [text[:k] + ("2" if text[k] != "2" else "3") + text[k + 1 :] for k, text in enumerate(texts[:33], 1)]
    asked = {"hex": [to_hex(address) for address in known], "base58": texts, "mistyped": mistyped}
    command = [program, "-e", _SCRIPT]
    done = subprocess.run(
        command, input=json.dumps(asked), capture_output=True, text=True, cwd=PACKAGES.parent, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr[-500:]
    said = json.loads(done.stdout)
    assert said["base58"] == texts
    assert [parse(text) for text in said["hex"]] == [parse(text) for text in texts] == known
    assert not any(said["valid"])
    for text in mistyped:
        with pytest.raises(AddressError):
            parse(text)
