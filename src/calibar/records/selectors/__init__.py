"""Selectors in what people hand in: addresses, hashes, keys, accounts, and where each stands.

What is private (seed phrases, private keys) is recognised in order to be left alone: it is not stored, printed or
logged; the report says where it stands and of which kind it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from calibar.errors import UsageError
from calibar.records.selectors.report import Report

EXPAND: Final = 20
MOST_EXPAND: Final = 1000
__all__ = ["EXPAND", "MOST_EXPAND", "Report", "extract"]


def extract(paths: Iterable[Path | str], *, region: str = "AR", expand: int = EXPAND) -> Report:
    """Find the selectors in files. `region` is whose national telephone numbers are meant; `expand` is how many
    addresses of each chain an extended key or descriptor is expanded to.

    Raises UsageError for what cannot be read, DecodeError for what is not what it claims; both name the file.
    """
    from calibar.records.selectors.inputs.choose import read  # noqa: PLC0415
    from calibar.records.selectors.kinds.phones import check_region  # noqa: PLC0415
    from calibar.records.selectors.report import Collector  # noqa: PLC0415

    if not 0 <= expand <= MOST_EXPAND:
        raise UsageError(f"expand is {expand}; it may be 0 to {MOST_EXPAND}")
    collector = Collector(check_region(region), expand)
    seen = set()
    for path in paths:
        if str(path) in seen:
            continue
        seen.add(str(path))
        read(Path(path), collector)
    return collector.report()
