"""The demo's second leg: part of the loot, turned into tokens, up to a customer's deposit address."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from calibar.cli.output import write_bytes
from calibar.trail.words import Language

if TYPE_CHECKING:
    from rich.console import Console

WORDS: dict[str, dict[Language, str]] = {
    "leg": {"en": "Second leg: tokens", "es": "Segundo tramo: tokens"},
    "bought": {
        "en": "Part of the loot became {amount} of a USDT-like token (S0); an approval that malware obtained drained "
        "another victim (S1). The chain was made by a real Ethereum node; here are its recorded answers.",
        "es": "Parte del botín se volvió {amount} de un token como USDT (S0); una autorización obtenida por malware "
        "vació a otra víctima (S1). La cadena la hizo un nodo real de Ethereum; aquí están sus respuestas grabadas.",
    },
    "read": {
        "en": "Read into a ledger: {blocks} blocks, {transfers} transfers of {assets} assets, every block hash, "
        "transaction root and receipt root recomputed; digest {digest}… : {folder}",
        "es": "Leída en un libro: {blocks} bloques, {transfers} transferencias de {assets} activos, con cada hash de "
        "bloque, raíz de transacciones y de recibos recalculados; huella {digest}… : {folder}",
    },
    "methods": {
        "en": "All methods, one after the other (S0 and S1 together, in the token):",
        "es": "Todos los métodos, uno tras otro (S0 y S1 juntos, en el token):",
    },
    "note": {
        "en": "At the deposit address the customer can be asked for. What the issuer froze and destroyed is burnt. "
        "Swaps and deposit addresses are inferences with their rules named; every line re-adds to the unit.",
        "es": "En la dirección de depósito se puede preguntar por el cliente. Lo que el emisor congeló y destruyó está "
        "quemado; conversiones y direcciones de depósito son inferencias con su regla; cada línea cierra a la unidad.",
    },
}


def tell(folder: Path, screen: Console, language: Language) -> list[Path]:
    """Read the recording into a ledger in `folder`, trace it by each method; returns the pages written."""
    from calibar import open as open_ledger  # noqa: PLC0415
    from calibar.chains.ethereum.recorded import Recording  # noqa: PLC0415
    from calibar.chains.ethereum.rpc import RpcSource  # noqa: PLC0415
    from calibar.ledger.accounts.ingest import ingest  # noqa: PLC0415
    from calibar.sandbox.scenarios import token_theft as story  # noqa: PLC0415
    from calibar.trail.accounts.table import show  # noqa: PLC0415
    from calibar.trail.accounts.words import quantity  # noqa: PLC0415

    def say(key: str, **values: object) -> None:
        screen.print(WORDS[key][language].format(**values), soft_wrap=True, markup=False)

    screen.rule(WORDS["leg"][language], align="left")
    truth = story.truth()
    bought = sum(source.amount for source in truth.sources if source.label == "S0")
    say("bought", amount=quantity(bought, 6))
    place = folder / "token-ledger"
    info = ingest(RpcSource(Recording(story.RECORDING), genesis=story.GENESIS), place)
    say("read", folder=place, digest=info["digest"][:16], **{k: info[k] for k in ("blocks", "transfers", "assets")})
    ledger = open_ledger(place)
    references = [f"{source.transaction}:{source.log_index}" for source in truth.sources]
    token = truth.sources[0].token
    sums: dict[str, dict[str, int]] = {}
    pages = []
    for method in ("fifo", "haircut", "libr"):
        trail = ledger.trace(*references, method=method)
        sums[method] = _sums(trail.document, token)
        write_bytes(str(folder / f"tokens-{method}.json"), trail.json())
        if method == "fifo":
            screen.print()
            show(trail.document, screen, language, names=story.labels())
            pages.append(folder / "tokens.html")
            write_bytes(str(pages[-1]), trail.html(language, story.labels()).encode())
    say("methods")
    _compare(screen, sums, language)
    screen.print()
    say("note")
    return pages


def _sums(trail: Mapping[str, Any], token: str) -> dict[str, int]:
    """What became of all labels in one token."""
    sums: dict[str, int] = {}
    for assets in trail["totals"].values():
        for asset, parts in assets.items():
            if asset.lower() == token.lower():
                for part, amount in parts.items():
                    sums[part] = sums.get(part, 0) + int(amount)
    return sums


def _compare(screen: Console, sums: Mapping[str, Mapping[str, int]], language: Language) -> None:
    from rich.table import Table  # noqa: PLC0415

    from calibar.trail.accounts.words import quantity, word  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for method in sums:
        table.add_column(method, justify="right")
    for part in ("in", "converted_in", "held", "stopped", "fees", "burnt", "converted_out"):
        table.add_row(word(part, language), *(quantity(found[part], 6) for found in sums.values()))
    screen.print(table)
