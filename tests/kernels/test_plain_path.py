"""A processor without SHA instructions reads the same blocks: numba is told to compile for the plainest x86-64."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest

from calibar.chains.bitcoin.blockfile import open_source
from calibar.chains.bitcoin.decode import decode

READ = """
import json, sys
from pathlib import Path
from calibar.chains.bitcoin.blockfile import open_source
from calibar.chains.bitcoin.decode import decode
from calibar.kernels.compiled import CACHE_DIR
from calibar.kernels.sha256 import HAS_SHA_INSTRUCTIONS
with open_source([Path(sys.argv[1])]) as source:
    batch = decode(source, source.blocks)
txids = [batch.txid(n) for n in range(len(batch.columns.txid))]
scripts = batch.script_hash.tolist()
print(json.dumps({"sha": HAS_SHA_INSTRUCTIONS, "txids": txids, "scripts": scripts, "cache": str(CACHE_DIR)}))
"""


@pytest.mark.slow
@pytest.mark.skipif(platform.machine().lower() not in ("x86_64", "amd64"), reason="the plain x86-64 is meant")
def test_without_sha_instructions_a_real_block_has_the_same_txids(data: Path, tmp_path: Path) -> None:
    block = data / "bitcoin" / "blocks" / "mainnet-2021-09-30-taproot-era.raw"
    plain = dict(os.environ, NUMBA_CPU_NAME="generic", NUMBA_CPU_FEATURES="", CALIBAR_CACHE=str(tmp_path / "cache"))
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", READ, str(block)], env=plain, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    with open_source([block]) as source:
        batch = decode(source, source.blocks)
    assert answer["sha"] is False
    assert answer["txids"] == [batch.txid(n) for n in range(2500)]
    assert answer["scripts"] == batch.script_hash.tolist()
    assert answer["cache"].startswith(str(tmp_path)), "CALIBAR_CACHE names the place"
    assert any((tmp_path / "cache").rglob("*.nbc")), "and what was compiled lies there"
