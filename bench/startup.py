"""Starting: what a person waits for before anything happens, and that a second run compiles nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Final

from bench.figures import OUT, Figure, interleaved, median, seconds

ROUNDS: Final = 10
HEAVY: Final = ("jinja2", "llvmlite", "numba", "numpy", "rich")
CACHE: Final = OUT / "cache"
_MODULES: Final = """
import json, sys
from calibar.cli.main import main
try:
    main(["--help"])
finally:
    print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


def _command() -> Sequence[str]:
    """The command as it was installed beside this interpreter."""
    script = Path(sys.executable).with_name("calibar.exe" if os.name == "nt" else "calibar")
    return (str(script),) if script.exists() else (sys.executable, "-c", "from calibar.cli.main import main; main()")


def _calibar(*arguments: str | Path) -> None:
    """Run the command with a cache of its own, so that nobody else's compiling is taken for its."""
    environment = {**os.environ, "CALIBAR_CACHE": str(CACHE)}
    quiet = subprocess.DEVNULL
    subprocess.run([*_command(), *map(str, arguments)], stdout=quiet, stderr=quiet, check=True, env=environment)


def _imported_for_help() -> list[str]:
    done = subprocess.run([sys.executable, "-c", _MODULES], capture_output=True, check=True)
    modules = json.loads(done.stderr.splitlines()[-1])
    return [name for name in HEAVY if name in modules]


def _compiled() -> set[tuple[str, int]]:
    """Every file of compiled kernels, with when it was written."""
    return {(str(path), path.stat().st_mtime_ns) for path in CACHE.rglob("*") if path.is_file()}


def run() -> list[Figure]:
    """Figures of starting."""
    for folder in (CACHE, OUT / "demo"):
        shutil.rmtree(folder, ignore_errors=True)
    (helped,) = interleaved(ROUNDS, partial(_calibar, "--help"))
    heavy = _imported_for_help()
    if heavy:
        print(f"  `calibar --help` imports {', '.join(heavy)}")

    demo = partial(_calibar, "demo", OUT / "demo")
    first = seconds(demo)
    document = json.loads((OUT / "demo" / "fifo.json").read_text("utf-8"))
    trace = partial(_calibar, "trace", document["sources"][0]["coin"], "--ledger", OUT / "demo" / "ledger")
    trace()
    before = _compiled()
    (traced,) = interleaved(3, trace)
    (again,) = interleaved(3, demo)
    written = _compiled() - before
    for path, _ in sorted(written):
        print(f"  compiled again: {Path(path).name}")
    return [
        Figure("calibar --help", median(helped), "s", at_most=0.5),
        Figure("calibar --help, heavy modules imported", len(heavy), "modules", at_most=0),
        Figure("calibar trace, demo ledger", median(traced), "s"),
        Figure("calibar demo, first run: compiles", first, "s"),
        Figure("calibar demo, second run", median(again), "s", at_most=10),
        Figure("second runs, kernel files compiled", len(written), "files", at_most=0),
    ]
