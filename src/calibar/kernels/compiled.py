"""The one door to numba: a typed decorator, and an on-disk cache that cannot serve stale code.

numba keys its cache by the file of the function alone, so a caller survives a change in its callee. Here the
cache directory is named by a hash of all kernel sources instead. It lies in the user's cache folder, since the
package itself may be read-only. `CALIBAR_CACHE` names another place.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar, cast

import numba
import numpy as np
from numba.core import config

F = TypeVar("F", bound=Callable[..., Any])


def _cache_root() -> Path:
    if named := os.environ.get("CALIBAR_CACHE"):
        return Path(named)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local")) / "calibar"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "calibar"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "calibar"


def _sources_digest() -> str:
    digest = hashlib.sha256(numba.__version__.encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()[:16]


CACHE_DIR = _cache_root() / f"kernels-{_sources_digest()}"


def _can_keep(folder: Path) -> bool:
    """Whether files may be made in a folder that perhaps does not exist yet."""
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    return folder.is_dir() and os.access(folder, os.W_OK)


KEEP = _can_keep(CACHE_DIR)
"""Where there is no place to keep compiled code it is compiled each time: numba's other place, beside the sources,
serves stale code, and where that cannot be written either numba raises."""


def _compiled(function: F, **options: bool) -> F:
    before = config.CACHE_DIR
    config.CACHE_DIR = str(CACHE_DIR)
    try:
        return cast("F", numba.njit(cache=KEEP, nogil=True, error_model="numpy", **options)(function))
    finally:
        config.CACHE_DIR = before


def kernel(function: F) -> F:
    """Compile `function` at its first call, without the interpreter lock, cached on disk."""
    return _compiled(function)


def lean(function: F) -> F:
    """Like `kernel`, for what makes no array: without counting references, which costs more than short work itself."""
    return _compiled(function, _nrt=False)


def inlined(function: F) -> F:
    """Like `lean`, for small functions called in inner loops: the compiler always inlines it."""
    return _compiled(function, _nrt=False, forceinline=True)


# numpy's scalars, as plain numbers to the type checker: inside a kernel they are machine integers.
i64 = cast("Callable[[Any], int]", np.int64)
u64 = cast("Callable[[Any], int]", np.uint64)
