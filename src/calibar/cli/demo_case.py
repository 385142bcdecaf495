"""The demo's third leg: the whole reference case, from the victims' bank rows to a bank account, through records."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibar.cli.output import write_bytes
from calibar.trail.words import Language

if TYPE_CHECKING:
    from rich.console import Console

    from calibar.sandbox.scenarios.mules import Case

WORDS: dict[str, dict[Language, str]] = {
    "leg": {
        "en": "The whole case: banks, exchanges and chains",
        "es": "El caso entero: bancos, casas de cambio y cadenas",
    },
    "read": {
        "en": "Malware emptied three bank accounts: {amount} pesos went to mules at an exchange. {documents} "
        "statements were read and re-add; {exact} of {moved} deposits and withdrawals are found on the two chains, "
        "exactly.",
        "es": "Un malware vació tres cuentas bancarias: {amount} pesos fueron a mulas en una casa de cambio. Se "
        "leyeron {documents} documentos, que cierran; {exact} de {moved} depósitos y retiros se hallan en las dos "
        "cadenas, exactos.",
    },
    "way": {
        "en": "bank rows -> mules' accounts -> pesos become dollars and bitcoin -> withdrawals -> private wallets -> "
        "deposits at a second exchange -> pesos again -> a bank account. {records} steps are in records, {chain} on "
        "chains.",
        "es": "filas de banco -> cuentas de mulas -> los pesos se vuelven dólares y bitcoin -> retiros -> billeteras "
        "privadas -> depósitos en otra casa de cambio -> otra vez pesos -> una cuenta bancaria. {records} pasos están "
        "en registros, {chain} en cadenas.",
    },
    "methods": {
        "en": "What became of it, by asset and method (all victims together; each line re-adds):",
        "es": "Qué fue de eso, por activo y método (todas las víctimas juntas; cada línea cierra):",
    },
}  # fmt: skip


def write(place: Path) -> Case:
    """Write the chain and read it into `ledger`, the statements and import them into the case `documents`."""
    from calibar import read_records  # noqa: PLC0415
    from calibar.ledger.ingest import ingest  # noqa: PLC0415
    from calibar.sandbox.scenarios.mules import write_mules  # noqa: PLC0415

    story = write_mules(place)
    ingest([place / "blocks"], place / "ledger")
    records = read_records(place / "documents")
    for document in story.documents:
        records.add(document.file, custodian=document.custodian, **dict(document.stated))
    return story


def tell(folder: Path, tokens: Path, screen: Console, language: Language) -> list[Path]:
    """Write chain and statements, match and follow them; returns the page."""
    import calibar  # noqa: PLC0415
    from calibar.sandbox.scenarios import token_theft  # noqa: PLC0415
    from calibar.trail.accounts.table import show  # noqa: PLC0415

    def say(key: str, **values: object) -> None:
        screen.print(WORDS[key][language].format(**values), soft_wrap=True, markup=False)

    screen.print()
    screen.rule(WORDS["leg"][language], align="left")
    place = folder / "case"
    story = write(place)
    records = calibar.read_records(place / "documents")
    assert not records.check()  # noqa: S101  (the story is ours)
    ledgers, named = [place / "ledger", tokens], {"USDT": story.token}
    found: dict[object, str] = {}
    for ledger in ledgers:
        for match in records.match(ledger, named)[0]:
            row = match.movement.place, match.movement.asset
            found[row] = "exact" if "exact" in (match.state, found.get(row)) else match.state
    exact = sum(state == "exact" for state in found.values())
    amount = f"{story.stolen:,.2f}"
    say("read", amount=amount, documents=len(story.documents), exact=exact, moved=len(found))
    names = token_theft.labels() | dict(story.names)
    trails = {}
    for method in ("fifo", "haircut"):
        trail = calibar.trace(
            *story.references, records=place / "documents", ledgers=ledgers, tokens=named, method=method
        )
        trails[method] = trail.document
        write_bytes(str(folder / f"case-{method}.json"), trail.json())
        if method == "fifo":
            recorded = sum("record" in step for step in trail.steps)
            say("way", records=recorded, chain=len(trail.steps) - recorded)
            screen.print()
            show(trail.shown, screen, language, names=names, limit=8)
            page = folder / "case.html"
            write_bytes(str(page), trail.html(language, names).encode())
    say("methods")
    _compare(screen, trails, language)
    return [page]


def _compare(screen: Console, trails: Mapping[str, Mapping[str, Any]], language: Language) -> None:
    from rich.table import Table  # noqa: PLC0415

    from calibar.trail.accounts.table import decimals_of, title_of  # noqa: PLC0415
    from calibar.trail.accounts.words import shown, word  # noqa: PLC0415

    parts = ("in", "converted_in", "held", "stopped", "fees", "burnt", "converted_out")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for head in ("asset", "method"):
        table.add_column(word(head, language))
    for part in parts:
        table.add_column(word(part, language), justify="right")
    assets = dict.fromkeys(asset for trail in trails.values() for sums in trail["totals"].values() for asset in sums)
    for asset in assets:
        for method, trail in trails.items():
            decimals = decimals_of(trail, asset)
            rows = [sums[asset] for sums in trail["totals"].values() if asset in sums]
            sums = [sum(int(row[part]) for row in rows) for part in parts]
            name = asset if len(asset) < 10 else title_of(trail, asset)[:6] + "…"
            table.add_row(name, method, *(shown(amount, decimals) for amount in sums))
    screen.print(table)
