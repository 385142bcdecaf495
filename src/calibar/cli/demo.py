"""`calibar demo`: a small chain with a theft in it, from block files to the answer."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from calibar.cli.demo_case import tell as tell_case
from calibar.cli.demo_tokens import tell
from calibar.cli.output import announce_compilation, console, write_bytes

if TYPE_CHECKING:
    from calibar.sandbox.truth import Owned, Truth

Language = Literal["en", "es"]

_WORDS: dict[str, dict[Language, str]] = {
    "made": {
        "en": "A regtest chain of {blocks} blocks and {transactions} transactions, as Bitcoin Core writes it: {folder}",
        "es": "Cadena regtest de {blocks} bloques y {transactions} transacciones, escrita como Bitcoin Core: {folder}",
    },
    "ingested": {
        "en": "Read into a ledger: {coins} coins, {inputs} spends, digest {digest}… : {folder}",
        "es": "Leída en un libro: {coins} monedas, {inputs} gastos, huella {digest}… : {folder}",
    },
    "stolen": {
        "en": "Malware emptied the wallets of {victims} victims: {amount} BTC in {count} payments (S0 to S{last}).",
        "es": "Un malware vació las billeteras de {victims} víctimas: {amount} BTC en {count} pagos (S0 a S{last}).",
    },
    "fifo": {
        "en": "First in, first out (fifo): where it rests now",
        "es": "Primero en entrar, primero en salir (fifo): dónde está ahora",
    },
    "haircut": {
        "en": "In proportion (haircut): where it rests now",
        "es": "En proporción (haircut): dónde está ahora",
    },
    "actors": {
        "en": "By who really holds it (only the sandbox knows; on a real chain that takes labels and records):",
        "es": "Según quién lo tiene de verdad (sólo el simulador lo sabe; en una cadena real, etiquetas y registros):",
    },
    "note": {
        "en": "The exchange swept deposit 1 into its pool: what lies with it or its customers beyond that deposit is "
        "the pool's, not theirs. Both answers re-add to the satoshi; where they differ, the method decides.",
        "es": "La casa de cambio barrió el depósito 1 a su fondo común: lo que figura más allá de ese depósito es del "
        "fondo, no de sus clientes. Ambas respuestas suman al satoshi; donde difieren, decide el método.",
    },
    "pages": {"en": "Pages with the picture of the flow (open them in a browser, no network needed):",
              "es": "Páginas con el dibujo del flujo (se abren en un navegador, sin red):"},
    "next": {"en": "Next, with your own node:", "es": "Ahora, con su propio nodo:"},
}  # fmt: skip


@click.command("demo")
@click.argument("folder", default="demo", type=click.Path(path_type=Path), metavar="[DIR]")
@click.option("--language", type=click.Choice(["en", "es"]), default="en", show_default=True, help="Of text and pages.")
def command(folder: Path, language: Language) -> None:
    """Write a small chain with a theft in it to DIR, trace it, a second leg in tokens, and a whole case with the
    statements of banks and exchanges; say where the money is."""
    from calibar import open as open_ledger  # noqa: PLC0415
    from calibar.ledger.ingest import ingest  # noqa: PLC0415
    from calibar.sandbox.scenarios.theft import write_theft  # noqa: PLC0415
    from calibar.trail.page import render  # noqa: PLC0415
    from calibar.trail.table import btc, show  # noqa: PLC0415

    announce_compilation()
    screen = console()

    def say(key: str, **values: object) -> None:
        screen.print(_WORDS[key][language].format(**values), soft_wrap=True, markup=False)

    truth = write_theft(folder)
    say("made", blocks=truth.height + 1, transactions=truth.transactions, folder=folder / "blocks")
    info = ingest([folder / "blocks"], folder / "ledger")
    say("ingested", coins=info["coins"], inputs=info["inputs"], digest=info["digest"][:16], folder=folder / "ledger")
    amount = btc(sum(stolen.amount for stolen in truth.stolen))
    victims = len({stolen.victim for stolen in truth.stolen})
    say("stolen", victims=victims, amount=amount, count=len(truth.stolen), last=len(truth.stolen) - 1)
    ledger = open_ledger(folder / "ledger")
    names = {owned.address: f"{_name(owned)}\n{folder / 'truth.json'}" for owned in truth.addresses}
    held: dict[str, dict[str, int]] = {}
    pages = []
    for method in ("fifo", "haircut"):
        trail = ledger.trace(*truth.refs, method=method)
        screen.rule(_WORDS[method][language], align="left")
        show(trail.document, screen, names=names, language=language, limit=12)
        held[method] = _by_actor(trail.document, truth)
        write_bytes(str(folder / f"{method}.json"), trail.json())
        pages.append(folder / f"{method}.html")
        write_bytes(str(pages[-1]), render(trail.document, names, language).encode())
    screen.rule()
    say("actors")
    _compare(screen, held)
    screen.print()
    say("note")
    screen.print()
    pages += tell(folder, screen, language)
    pages += tell_case(folder, folder / "token-ledger", screen, language)
    screen.print()
    say("pages")
    for page in pages:
        screen.print(f"  {page.resolve()}", soft_wrap=True, markup=False)
    screen.print()
    say("next")
    for line in (
        "calibar ingest bitcoin ~/.bitcoin/blocks --ledger ledger",
        "calibar trace TXID:VOUT --ledger ledger --method fifo --html trail.html",
        "calibar ingest ethereum http://127.0.0.1:8545 --ledger tokens",
        "calibar trace HASH:LOG --ledger tokens --method fifo --html trail.html",
        "calibar records import STATEMENT --case case --custodian NAME",
        "calibar trace record:FILE:ROW --records case --ledger ledger --html trail.html",
    ):
        screen.print(f"  {line}", soft_wrap=True, markup=False)


def _name(owned: Owned) -> str:
    """What the sandbox calls an address."""
    name = owned.role if owned.role.startswith(owned.actor) else f"{owned.actor}: {owned.role}"
    return f"{name} ({owned.customer})" if owned.customer and owned.customer != owned.actor else name


def _by_actor(trail: Mapping[str, Any], truth: Truth) -> dict[str, int]:
    """Traced satoshi by who controls the address it rests on; fees apart."""
    actor = {owned.address: owned.actor for owned in truth.addresses}
    sums: dict[str, int] = {}
    for holding in trail["holdings"]:
        who = actor.get(holding["address"], f"({holding['reason']})")
        sums[who] = sums.get(who, 0) + sum(holding["traced"].values())
    sums["(fees)"] = sum(total["fees"] for total in trail["totals"].values())
    return sums


def _compare(screen: Any, held: Mapping[str, Mapping[str, int]]) -> None:
    from rich.table import Table  # noqa: PLC0415

    from calibar.trail.table import btc  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("")
    for method in held:
        table.add_column(f"{method} BTC", justify="right")
    actors = sorted({actor for sums in held.values() for actor in sums}, key=lambda a: (-held["fifo"].get(a, 0), a))
    for actor in actors:
        table.add_row(actor, *(btc(sums.get(actor, 0)) for sums in held.values()))
    table.add_row("", *(btc(sum(sums.values())) for sums in held.values()), style="bold")
    screen.print(table)
