"""Whether a row's transaction went well, in the words of explorers."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from calibar.chains.remote.csv_columns import Columns
from calibar.chains.remote.csv_sheet import shown
from calibar.errors import DecodeError

NOTHING: Final = frozenset(("", "0", "none", "null", "nil", "-", "--", "false", "n/a", "ok", "success"))
"""In a column of errors: there is none."""
_WELL: Final = frozenset(
    ("", "ok", "success", "successful", "sucess", "succeeded", "confirmed", "default", "true", "-", "éxito", "exito",
     "exitosa", "exitoso", "correcto", "correcta", "confirmado", "confirmada", "completado", "completada")
)  # fmt: skip
_OPEN: Final = frozenset(
    ("unconfirmed", "pending", "confirming", "sin confirmar", "no confirmado", "no confirmada", "pendiente")
)
_FAILED: Final = re.compile(
    r"(err|fail|fall|revert|out[ _]of|bad|invalid|illegal|stack|jvm|precompiled|transfer[ _]failed|unknown|dropped|"
    r"false|rechaz).*",
    re.DOTALL,
)


def outcome(columns: Columns, cells: Sequence[str], row: int) -> tuple[bool, bool]:
    """Whether it went well, and whether it is in no block for sure. Raises DecodeError for words that are not known.

    A number in a column of outcomes means one thing here and the contrary there: only in Etherscan's internal
    transfers (0 is well) and where a person stated the column is it read.
    """
    well, is_open = columns.bare(cells, "error", row).casefold() in NOTHING, False
    for role in ("status", "result", "success"):
        text = columns.bare(cells, role, row).casefold()
        numbered = role == "success" or (columns.lists == "internal" and role == "status")
        if numbered and text in ("0", "1"):
            well = well and (text == "1") == (role == "success")
        elif text in _OPEN:
            is_open = True
        elif _FAILED.fullmatch(text):
            well = False
        elif text not in _WELL:
            raise DecodeError(
                f"{columns.where(row, role)}: {shown(text)} says neither that it went well nor that it failed: state "
                f'columns={{"error": NAME}} (0 is well), columns={{"success": NAME}} (1 is well) or '
                f'columns={{{role!r}: ""}} (leave out)'
            )
    return well, is_open
