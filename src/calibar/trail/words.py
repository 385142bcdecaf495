"""All words of a trail's page and table, in English and in Spanish, and how values are put into them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Final, Literal

Language = Literal["en", "es"]
Standing = Literal["fact", "rule", "inference", "attribution"]
"""What a statement is; "rule" is a limit that the question itself set."""

EN: Final[dict[str, str]] = {
    "kicker": "Calíbar · money trail",
    "title": "Trail of {amount} BTC",
    "lead": "{sources}, followed forward on Bitcoin {network} to block {height}. Method: {method}.",
    "sources.one": "One source",
    "sources.other": "{n} sources",
    "switch": "Español",
    # the answer
    "rests": "Where the value rests",
    "rests_note": "Largest first, as of block {height}. The amounts add up to everything that was traced, "
    "the shares to 100.00 %.",
    "in": "in",
    "held": "held",
    "stopped": "stopped",
    "fees": "fees",
    "burnt": "burnt",
    "in_long": "labelled at the sources",
    "held_long": "not spent by then",
    "stopped_long": "moved on; not followed further",
    "fees_long": "paid to miners",
    "burnt_long": "not claimed by the miner",
    "fees_paid": "fees paid to miners",
    "all": "all",
    "label": "label",
    "satoshi": "satoshi",
    "state": "state",
    "address": "address",
    "coin": "coin",
    "total": "total",
    "more_holdings.one": "and 1 smaller holding",
    "more_holdings.other": "and {n} smaller holdings",
    "readds": "For each label: in = held + stopped + fees + burnt, exact to the satoshi.",
    # the picture
    "picture": "The picture",
    "picture_note": "Time runs from left to right. A bar is a transaction, a band is a coin; its thickness is the "
    "traced amount. At the right is where the value rests. Very thin bands are drawn thicker than they are.",
    "picture_summed": "The smallest transactions and holdings are drawn together; the amounts still add up.",
    "picture_alt": "{steps} from {sources} to {ends}; the tables on this page say the same in figures.",
    "steps.one": "1 transaction",
    "steps.other": "{n} transactions",
    "ends.one": "1 holding",
    "ends.other": "{n} holdings",
    "coins.other": "{n} coins",
    "coins.one": "1 coin",
    "more_ends.one": "and 1 more, {state}",
    "more_ends.other": "and {n} more, {state}",
    "more_sources.one": "1 source",
    "more_sources.other": "{n} sources",
    "zoom_in": "Larger",
    "zoom_out": "Smaller",
    "zoom_fit": "Fit",
    "readout": "Point at a band or bar, or move with the arrow keys, to see what it carries.",
    "fee_leak": "fee",
    # what was asked
    "asked": "What was asked",
    "method": "Method",
    "network": "Network",
    "as_of": "As of",
    "as_of_value": "block {height}",
    "tip": "Last block known",
    "fee_rule": "Fees",
    "fees.stop": "Traced value paid as a fee leaves the trail and is counted.",
    "fees.follow": "Traced value paid as a fee is followed into the miner's coinbase.",
    "stops": "Stops at",
    "stops_none": "nothing: every coin is followed to the as-of block",
    "stop.min-amount": "coins that receive less than {value} traced satoshi",
    "stop.hops": "coins {value} transactions away from the sources",
    "stop.outputs": "transactions with more than {value} outputs",
    "stop.label": "addresses that a source labels {value}",
    "stop.coinjoin": "CoinJoins, by rule",
    "overrides": "Overrides",
    "none": "none",
    "labels_digest": "Labels used (SHA-256)",
    "entities_digest": "Entities used (SHA-256)",
    "rules": "Rules and versions",
    "sources_table": "Sources",
    "fifo": "First in, first out",
    "fifo_long": "In each transaction the coins that go in are laid end to end, in the order in which the transaction "
    "lists them. The coins that come out are cut from the front of that line, in order, and the miner's fee last. So "
    "every traced unit is in exactly one place, and anyone can recompute it by hand. This is the order of Clayton's "
    "Case (1816). It is a rule for telling mixed money apart, not a finding about anyone's intent.",
    "haircut": "Pro rata (haircut)",
    "haircut_long": "Coins that go into a transaction together count as mixed. Every coin that comes out, and the fee, "
    "carries of each source a share in proportion to its value. Shares are rounded down to whole satoshi, and the "
    "satoshi left over go one each to the largest remainders, the earlier output first, so nothing is lost or made. "
    "It is a rule for telling mixed money apart, not a finding about anyone's intent.",
    # steps
    "steps_title": "Every step",
    "steps_note": "In chain order. All inputs count in the method's order, traced or not; amounts in BTC.",
    "steps_open": "Show the steps",
    "steps_rest.one": "1 more step is in the trail's JSON document; it is not printed here.",
    "steps_rest.other": "{n} more steps are in the trail's JSON document; they are not printed here.",
    "step": "Step {n}",
    "hop": "hop {n}",
    "block": "block {n}",
    "inputs": "Inputs",
    "outputs": "Outputs",
    "value": "value",
    "traced": "traced",
    "fee": "Fee",
    "fee_traced": "of which traced",
    "and_more.one": "and 1 more",
    "and_more.other": "and {n} more",
    "subsidy": "block subsidy",
    "fee_of": "fee of",
    "unknown": "unknown",
    # reading it
    "reading": "How to read this page",
    "proven": "proven",
    "reported": "reported",
    "record": "in a record",
    "inference": "inference",
    "attribution": "attribution",
    "proven_long": "A fact, re-checked by Calíbar up to the header of its block.",
    "reported_long": "A fact as a server or custodian reported it.",
    "inference_long": "What a rule says of facts; it can be wrong. Which amount of mixed money is traced where follows "
    "from the method above and is an inference in this sense.",
    "attribution_long": "What a named source says of an address.",
    "held_reading": "Held: the coin was not spent by the as-of block.",
    "stopped_reading": "Stopped: the trail ends there, for the reason given.",
    "names": "Names used",
    "name": "name",
    "name_source": "source",
    "no_source": "source not stated",
    "digest": "Digest of the trail",
    "digest_long": "SHA-256 of the trail's JSON document (RFC 8785 form) without this digest and the software version. "
    "The same ledger, question, labels and rules give the same digest.",
    "made_by": "Calíbar {version} · definition {definition}",
    "states_only": "This page shows the document; where they differ, the document counts.",
    # reasons
    "reason.unspent": "unspent",
    "reason.unspendable": "unspendable output",
    "reason.hops": "hop limit reached",
    "reason.min-amount": "below the least amount",
    "reason.unknown input": "spent beside an input of unknown value",
    "reason.not looked at": "not looked at",
    "reason.coinjoin": "spent in a CoinJoin",
    "reason.outputs": "spent into too many outputs",
    "reason.incomplete history": "history not complete",
    "reason.label": "label: {category}",
}

ES: Final[dict[str, str]] = {
    "kicker": "Calíbar · rastro del dinero",
    "title": "Rastro de {amount} BTC",
    "lead": "{sources}, con seguimiento hacia delante en Bitcoin {network} hasta el bloque {height}. Método: {method}.",
    "sources.one": "Un origen",
    "sources.other": "{n} orígenes",
    "switch": "English",
    "rests": "Dónde está el valor",
    "rests_note": "De mayor a menor, a la altura del bloque {height}. Los importes suman todo lo rastreado; "
    "los porcentajes, 100.00 %.",
    "in": "entrada",
    "held": "sin mover",
    "stopped": "detenido",
    "fees": "comisiones",
    "burnt": "quemado",
    "in_long": "marcado en los orígenes",
    "held_long": "no gastado hasta entonces",
    "stopped_long": "siguió camino; no se rastrea más allá",
    "fees_long": "pagadas a mineros",
    "burnt_long": "no reclamado por el minero",
    "fees_paid": "comisiones pagadas a mineros",
    "all": "todo",
    "label": "marca",
    "satoshi": "satoshi",
    "state": "estado",
    "address": "dirección",
    "coin": "moneda",
    "total": "total",
    "more_holdings.one": "y 1 saldo menor",
    "more_holdings.other": "y {n} saldos menores",
    "readds": "Para cada marca: entrada = sin mover + detenido + comisiones + quemado, exacto al satoshi.",
    "picture": "El gráfico",
    "picture_note": "El tiempo corre de izquierda a derecha. Una barra es una transacción y una banda es una moneda; "
    "su grosor es el importe rastreado. A la derecha está el valor donde reposa. Las bandas muy finas se dibujan más "
    "gruesas de lo que son.",
    "picture_summed": "Las transacciones y los saldos más pequeños se dibujan juntos; los importes siguen cuadrando.",
    "picture_alt": "{steps} de {sources} a {ends}; las tablas de esta página dicen lo mismo en cifras.",
    "steps.one": "1 transacción",
    "steps.other": "{n} transacciones",
    "ends.one": "1 saldo",
    "ends.other": "{n} saldos",
    "coins.other": "{n} monedas",
    "coins.one": "1 moneda",
    "more_ends.one": "y 1 más, {state}",
    "more_ends.other": "y {n} más, {state}",
    "more_sources.one": "1 origen",
    "more_sources.other": "{n} orígenes",
    "zoom_in": "Ampliar",
    "zoom_out": "Reducir",
    "zoom_fit": "Ajustar",
    "readout": "Señale una banda o una barra, o muévase con las flechas del teclado, para ver qué lleva.",
    "fee_leak": "comisión",
    "asked": "Qué se preguntó",
    "method": "Método",
    "network": "Red",
    "as_of": "Hasta el",
    "as_of_value": "bloque {height}",
    "tip": "Último bloque conocido",
    "fee_rule": "Comisiones",
    "fees.stop": "El valor rastreado que se paga como comisión sale del rastro y se contabiliza.",
    "fees.follow": "El valor rastreado que se paga como comisión se sigue hasta la coinbase del minero.",
    "stops": "Se detiene en",
    "stops_none": "nada: cada moneda se sigue hasta el bloque de corte",
    "stop.min-amount": "monedas que reciben menos de {value} satoshi rastreados",
    "stop.hops": "monedas a {value} transacciones de los orígenes",
    "stop.outputs": "transacciones con más de {value} salidas",
    "stop.label": "direcciones que una fuente etiqueta {value}",
    "stop.coinjoin": "CoinJoins, según regla",
    "overrides": "Excepciones",
    "none": "ninguna",
    "labels_digest": "Etiquetas usadas (SHA-256)",
    "entities_digest": "Entidades usadas (SHA-256)",
    "rules": "Reglas y versiones",
    "sources_table": "Orígenes",
    "fifo": "Primero en entrar, primero en salir (FIFO)",
    "fifo_long": "En cada transacción, las monedas que entran se ponen en fila, en el orden en que la transacción las "
    "enumera. Las monedas que salen se cortan del principio de esa fila, en orden, y la comisión del minero al final. "
    "Así cada unidad rastreada está en un solo lugar y cualquiera puede recalcularlo a mano. Es el orden del caso "
    "Clayton (1816). Es una regla para distinguir dinero mezclado, no una conclusión sobre la intención de nadie.",
    "haircut": "A prorrata (haircut)",
    "haircut_long": "Las monedas que entran juntas en una transacción se consideran mezcladas. Cada moneda que sale, y "
    "la comisión, lleva de cada origen una parte proporcional a su valor. Las partes se redondean hacia abajo a "
    "satoshis enteros y los satoshis sobrantes van de uno en uno a los restos mayores, primero la salida anterior, de "
    "modo que nada se pierde ni se crea. Es una regla para distinguir dinero mezclado, no una conclusión sobre la "
    "intención de nadie.",
    "steps_title": "Todos los pasos",
    "steps_note": "En el orden de la cadena. Todas las entradas cuentan en el orden del método, rastreadas o no; "
    "importes en BTC.",
    "steps_open": "Mostrar los pasos",
    "steps_rest.one": "1 paso más está en el documento JSON del rastro; no se imprime aquí.",
    "steps_rest.other": "{n} pasos más están en el documento JSON del rastro; no se imprimen aquí.",
    "step": "Paso {n}",
    "hop": "salto {n}",
    "block": "bloque {n}",
    "inputs": "Entradas",
    "outputs": "Salidas",
    "value": "valor",
    "traced": "rastreado",
    "fee": "Comisión",
    "fee_traced": "de ella, rastreado",
    "and_more.one": "y 1 más",
    "and_more.other": "y {n} más",
    "subsidy": "subsidio del bloque",
    "fee_of": "comisión de",
    "unknown": "desconocido",
    "reading": "Cómo leer esta página",
    "proven": "probado",
    "reported": "informado",
    "record": "en un registro",
    "inference": "inferencia",
    "attribution": "atribución",
    "proven_long": "Un hecho, vuelto a comprobar por Calíbar hasta la cabecera de su bloque.",
    "reported_long": "Un hecho tal como lo informó un servidor o un custodio.",
    "inference_long": "Lo que una regla dice de los hechos; puede equivocarse. Qué importe de dinero mezclado se "
    "rastrea hacia dónde resulta del método indicado y es una inferencia en este sentido.",
    "attribution_long": "Lo que una fuente con nombre dice de una dirección.",
    "held_reading": "Sin mover: la moneda no se había gastado hasta el bloque de corte.",
    "stopped_reading": "Detenido: el rastro termina ahí, por el motivo indicado.",
    "names": "Nombres usados",
    "name": "nombre",
    "name_source": "fuente",
    "no_source": "fuente no indicada",
    "digest": "Huella del rastro",
    "digest_long": "SHA-256 del documento JSON del rastro (forma RFC 8785) sin esta huella ni la versión del programa. "
    "El mismo libro de datos, la misma pregunta, las mismas etiquetas y las mismas reglas dan la misma huella.",
    "made_by": "Calíbar {version} · definición {definition}",
    "states_only": "Esta página muestra el documento; si difieren, vale el documento.",
    "reason.unspent": "no gastado",
    "reason.unspendable": "salida imposible de gastar",
    "reason.hops": "límite de saltos alcanzado",
    "reason.min-amount": "por debajo del importe mínimo",
    "reason.unknown input": "gastado junto a una entrada de valor desconocido",
    "reason.not looked at": "no se miró",
    "reason.coinjoin": "gastado en un CoinJoin",
    "reason.outputs": "gastado en demasiadas salidas",
    "reason.incomplete history": "historial incompleto",
    "reason.label": "etiqueta: {category}",
}


@dataclass(frozen=True, slots=True)
class Text:
    """One statement in both languages; a template shows both, and the page's language hides one."""

    en: str
    es: str

    def __getitem__(self, language: Language) -> str:
        """Give the text of one language."""
        return self.en if language == "en" else self.es

    def __html__(self) -> str:
        """Both languages as escaped HTML, or one text where they are equal."""
        return self._marked("span")

    @property
    def svg(self) -> Text.Svg:
        """The same for text inside an SVG."""
        return Text.Svg(self._marked("tspan"))

    def _marked(self, tag: str) -> str:
        if self.en == self.es:
            return escape(self.en)
        return "".join(f'<{tag} class="w" lang="{code}">{escape(self[code])}</{tag}>' for code in ("en", "es"))

    class Svg(str):
        """Markup that is already escaped."""

        __slots__ = ()

        def __html__(self) -> str:
            """The markup itself."""
            return self


def say(key: str, **values: object) -> Text:
    """Fill a sentence in both languages. A value that is itself a Text is filled in its own language."""
    en = {name: value.en if isinstance(value, Text) else value for name, value in values.items()}
    es = {name: value.es if isinstance(value, Text) else value for name, value in values.items()}
    return Text(EN[key].format(**en), ES[key].format(**es))


def counted(key: str, n: int, **values: object) -> Text:
    """Fill a sentence that has a form for one and a form for many."""
    return say(f"{key}.one" if n == 1 else f"{key}.other", n=grouped(n), **values)


def grouped(number: int) -> str:
    """Group an integer's digits in threes by narrow spaces (U+202F)."""
    return f"{number:,}".replace(",", "\u202f")


def plain(text: object) -> str:
    """Make a text from outside safe to show: control, direction-turning and unpaired characters become U+FFFD."""
    return "".join("\ufffd" if unicodedata.category(c) in {"Cc", "Cf", "Cs", "Zl", "Zp"} else c for c in str(text))


def shortened(text: str, head: int = 8, tail: int = 4) -> str:
    """Show an id by its ends; for places where it stands in full nearby or in the JSON document."""
    text = plain(text)
    return text if len(text) <= head + tail + 2 else f"{text[:head]}…{text[-tail:]}"


def known(family: str, text: object) -> Text:
    """Say a word of the trail's JSON, such as a state or a stop; what has no words here is shown as it is."""
    key = f"{family}.{text}" if family else str(text)
    return say(key) if key in EN else Text(plain(text), plain(text))


def stop(text: str) -> Text:
    """Say in words where a policy stops: a rule's name, or `name:value`."""
    name, _, value = text.partition(":")
    if f"stop.{name}" not in EN:
        return known("stop", text)
    return say(f"stop.{name}", value=grouped(int(value)) if re.fullmatch("[0-9]{1,16}", value) else plain(value))


def reason(text: str) -> tuple[Standing, Text]:
    """Say in words why a holding is where it is, and what kind of statement that is."""
    if text.startswith("label:"):
        return "attribution", say("reason.label", category=plain(text.removeprefix("label:")))
    standing: dict[str, Standing] = {"unspent": "fact", "unspendable": "fact", "coinjoin": "inference"}
    return standing.get(text, "rule"), known("reason", text)


def name_of(names: Mapping[str, str] | None, address: str) -> tuple[str, str]:
    """Give an address's name and its source: the first line of the entry, and what follows."""
    name, _, source = (names or {}).get(address, "").partition("\n")
    return plain(name).strip(), plain(source).strip()
