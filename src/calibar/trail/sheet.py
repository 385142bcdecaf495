"""A page from its template: one file that may load nothing, and in which every text is text."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from calibar.trail.caveats import caveats
from calibar.trail.table import percent
from calibar.trail.words import counted, known, plain, say

_TEMPLATES: Final = Path(__file__).parent / "templates"
_SCRIPT: Final = "trail.js"


def fill(
    template: str,
    styles: Sequence[str],
    filters: Mapping[str, Callable[..., Any]],
    words: Mapping[str, Callable[..., Any]],
    **values: Any,
) -> str:
    """The page of `values["trail"]` that a template gives; it speaks by `words` and shows by `filters`."""
    from jinja2 import Environment, FileSystemLoader, StrictUndefined  # noqa: PLC0415 - slow, and often not needed

    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, **filters}
    environment.globals |= {"say": say, "counted": counted, "known": known, "plain": plain, **words}
    values["caveats"] = caveats(values["trail"])
    return environment.get_template(template).render(**_own("css", styles), **_own("js", [_SCRIPT]), **values)


def _own(name: str, files: Sequence[str]) -> dict[str, object]:
    """Our style or script, and the hash by which the page's content policy allows it and nothing else."""
    from markupsafe import Markup  # noqa: PLC0415 - comes with jinja2

    text = "".join((_TEMPLATES / file).read_text("utf-8") for file in files)
    digest = b64encode(sha256(text.encode()).digest()).decode()
    return {name: Markup(text), f"{name}_hash": f"sha256-{digest}"}  # noqa: S704 - files of ours
