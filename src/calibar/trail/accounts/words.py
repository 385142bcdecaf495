"""Words of an account chain's trail, in English and in Spanish."""

from __future__ import annotations

from typing import Final

from calibar.trail.words import Language, Text, grouped, plain, reason

_ES: Final = {
    "held": "sin mover",
    "stopped": "detenido",
    "unspent": "sin gastar",
    "fees": "comisiones",
    "burnt": "quemado",
    "burnt by issuer": "destruido por el emisor",
    "converted": "convertido",
    "converted_out": "convertido (entregado)",
    "converted_in": "convertido (recibido)",
    "received": "recibido por conversión",
    "transfer": "transferencia",
    "fee": "comisión",
    "in": "entra",
    "hops": "límite de saltos",
    "min-amount": "menos que el mínimo",
    "deposit": "dirección de depósito de un cliente",
    "incomplete history": "historial incompleto",
    "not looked at": "no se miró",
    "exchanged": "pagado en una conversión",
    "frozen": "congelado por el emisor",
    "asset": "activo",
    "block": "bloque",
    "amount": "cantidad",
    "units": "unidades",
    "state": "estado",
    "account": "cuenta",
    "rests": "Dónde está el valor",
    "says": "dice ser",
    "collected by": "recolecta",
    "inferred": "inferencia",
    "proven": "probado",
    "reported": "informado",
    "record": "en un registro",
    "in the account": "en la cuenta",
    "no record": "sin registros de ahí en más",
    "not on the chain": "no se encontró en la cadena",
    "unknown operation": "operación que ninguna regla conoce",
    "half a trade": "operación con un solo lado",
    "not in the record": "no figura en el registro",
    "already traced": "ya tenía marca",
    "below a unit": "menos que una unidad de la cadena",
    "matched twice": "otra fila dice ser el mismo pago",
    "nobody": "nadie",
    "time": "fecha",
    "kind": "tipo",
    "from": "de",
    "to": "a",
    "proof": "prueba",
    "steps": "Pasos",
    "hop": "salto",
    "total": "total",
    "native": "nativo",
    "origins": "De dónde vino el valor",
    "why it ends": "por qué termina",
    "asked": "preguntado",
    "rule": "regla de parada",
    "Trail on": "Rastro en",
    "method": "método",
    "up to block": "hasta el bloque",
    "sources": "Orígenes",
    "Totals": "Totales",
    "label": "marca",
    "every row re-adds": "cada fila cierra",
    "imitates": "ATENCIÓN: su símbolo imita el de {known}, que es otro contrato.",
    "balances differ": (
        "ATENCIÓN: los saldos no salen de las transferencias: en el bloque {height}, {differ} de {compared} titulares "
        "tienen otro saldo según {source}. El rastro sigue las transferencias."
    ),
}
_EN: Final = {
    "deposit": "deposit address of one customer",
    "record": "in a record",
    "no record": "no records from there on",
    "not on the chain": "not found on the chain",
    "unknown operation": "an operation that no rule knows",
    "half a trade": "a trade with one side",
    "already traced": "had a label before",
    "below a unit": "less than a unit of the chain",
    "matched twice": "another row says that it is this payment",
    "frozen": "frozen by the issuer",
    "rests": "Where the value rests",
    "origins": "Where the value came from",
    "nobody": "from nobody",
    "rule": "stop rule",
    "converted_out": "converted out",
    "converted_in": "converted in",
    "min-amount": "less than the minimum",
    "hops": "limit of hops",
    "exchanged": "paid in a conversion",
    "received": "received in a conversion",
    "steps": "Steps",
    "sources": "Sources",
    "imitates": "WARNING: its symbol imitates that of {known}, which is another contract.",
    "balances differ": (
        "WARNING: balances do not follow from transfers: at block {height}, {differ} of {compared} holders have "
        "another balance by {source}. The trail follows the transfers."
    ),
}


def word(key: str, language: Language) -> str:
    """A word of the trail's JSON for people; what has no words here is shown as it is."""
    if key.startswith("label:"):
        return reason(key)[1][language]
    return _ES.get(key, key) if language == "es" else _EN.get(key, key)


def quantity(amount: int, decimals: int | None) -> str:
    """Base units with the token's decimals; as they are where it does not say any."""
    if not decimals or not 0 < decimals <= 77:
        return f"{amount:,}"
    sign, digits = ("-" if amount < 0 else ""), f"{abs(amount):0{decimals + 1}d}"
    return f"{sign}{int(digits[:-decimals]):,}.{digits[-decimals:]}"


def shown(amount: int, decimals: int | None) -> str:
    """The same without the zeros at its end."""
    text = quantity(amount, decimals)
    return text.rstrip("0").rstrip(".") if "." in text else text


def brief(amount: int, decimals: int | None) -> str:
    """The same, cut to about seven digits; "…" says that something was cut."""
    text = shown(amount, decimals)
    whole, point, part = text.partition(".")
    zeros = len(part) - len(part.lstrip("0")) if whole == "0" else 0
    places = min(zeros + 4, 12) if whole == "0" else max(7 - len(whole.replace(",", "")), 2)
    return text if len(part) <= places else f"{whole}{point}{part[:places]}…"


PAGE: Final[dict[str, tuple[str, str]]] = {
    "title": ("Trail of {amount}", "Rastro de {amount}"),
    "lead": (
        "{sources}, followed forward on {network} to block {height}. Method: {method}. {rules}",
        "{sources}, con seguimiento hacia delante en {network} hasta el bloque {height}. Método: {method}. {rules}",
    ),
    "lead_rules": ("Rules: {rules}.", "Reglas: {rules}."),
    "rests_note": (
        "By asset, largest first, as of block {height}. The amounts add up to everything traced in that asset, the "
        "shares to 100.00 %.",
        "Por activo, de mayor a menor, a la altura del bloque {height}. Los importes suman todo lo rastreado en ese "
        "activo; los porcentajes, 100.00 %.",
    ),
    "by_records": ("as its custodians call it", "como lo llaman sus custodios"),
    "proposed": (
        "by amount and time; how often that errs is not measured",
        "por monto y hora; no se midió cuánto yerra",
    ),
    "records_long": (
        "A row of a document that a custodian produced: its word, never proven. Trades are converted at the rate that "
        "they state. The documents, with their SHA-256:",
        "Una fila de un documento que produjo un custodio: es su palabra, nunca está probado. Las operaciones se "
        "convierten a la tasa que declaran. Los documentos, con su SHA-256:",
    ),
    "says_itself": ("as its contract says of itself", "según dice de sí mismo su contrato"),
    "contract": ("contract", "contrato"),
    "native_of": ("the chain's own coin of {network}", "la moneda propia de {network}"),
    "units": ("base units", "unidades base"),
    "held_long": ("not moved by then", "sin mover hasta entonces"),
    "stopped_long": ("not followed further", "no se rastrea más allá"),
    "fees_long": ("paid for transactions", "pagadas por transacciones"),
    "burnt_long": ("destroyed", "destruido"),
    "converted_out_long": ("given for another asset", "entregado por otro activo"),
    "in_long": ("labelled at the sources", "marcado en los orígenes"),
    "converted_in_long": ("received for another asset", "recibido por otro activo"),
    "readds": (
        "For each label: in + converted in = held + stopped + fees + burnt + converted out, exact to the base unit.",
        "Para cada marca: entra + convertido (recibido) = sin mover + detenido + comisiones + quemado + convertido "
        "(entregado), exacto a la unidad base.",
    ),
    "burnt_by_issuer": ("destroyed by the issuer", "destruido por el emisor"),
    "more_holdings.one": ("and 1 smaller holding", "y 1 saldo menor"),
    "more_holdings.other": ("and {n} smaller holdings", "y {n} saldos menores"),
    "hot_wallet": ("hot wallet", "monedero caliente"),
    "rule": ("rule {name} {version}", "regla {name} {version}"),
    "picture_note": (
        "Time runs from left to right, one column for each block with a step. An account is a lane: it begins with a "
        "bar at its first traced receipt, and its shade is as thick as the traced value it holds. A band is a "
        "transfer. Sources stand at the left edge whatever their time; at the right is where the value rests. Each "
        "asset has a scale of its own. Very thin bands are drawn thicker than they are.",
        "El tiempo corre de izquierda a derecha, con una columna por cada bloque que tiene un paso. Una cuenta es un "
        "carril: empieza con una barra en su primer cobro rastreado y su sombra tiene el grosor del valor rastreado "
        "que guarda. Una banda es una transferencia. Los orígenes están al borde izquierdo sea cual sea su fecha; a "
        "la derecha está el valor donde reposa. Cada activo tiene su propia escala. Las bandas muy finas se dibujan "
        "más gruesas de lo que son.",
    ),
    "picture_summed": (
        "This trail has {n} steps: the smallest accounts and neighbouring moments are drawn together; the amounts "
        "still add up.",
        "Este rastro tiene {n} pasos: las cuentas menores y los momentos vecinos se dibujan juntos; los importes "
        "siguen cuadrando.",
    ),
    "picture_alt": (
        "{steps} from {sources} to {ends}; the tables on this page say the same in figures.",
        "{steps} de {sources} a {ends}; las tablas de esta página dicen lo mismo en cifras.",
    ),
    "key_transfer": ("transfer: a fact", "transferencia: un hecho"),
    "key_inferred": ("inference of a rule", "inferencia de una regla"),
    "key_burnt": ("destroyed by the issuer, or burnt: a fact", "destruido por el emisor, o quemado: un hecho"),
    "scale": ("scale", "escala"),
    "steps.one": ("1 transfer", "1 transferencia"),
    "steps.other": ("{n} transfers", "{n} transferencias"),
    "accounts.one": ("1 more account", "1 cuenta más"),
    "accounts.other": ("{n} more accounts", "{n} cuentas más"),
    "conversion": ("conversion", "conversión"),
    "lookalike": ("made to look like", "hecha para parecerse a"),
    "asserted": ("asserted by the analyst", "afirmado por el analista"),
    "link": ("link {n}", "enlace {n}"),
    "link_given": ("given in", "entregado en"),
    "link_received": ("received in", "recibido en"),
    "link_reason": ("reason", "motivo"),
    "exhibit": ("exhibit (SHA-256)", "prueba documental (SHA-256)"),
    "links_note": (
        "Links: that value given in one transfer was received in another is the analyst's word, not a fact.",
        "Enlaces: que el valor entregado en una transferencia se recibió en otra es palabra del analista, no un hecho.",
    ),
    "stops.label": ("addresses that a source labels {value}", "direcciones que una fuente etiqueta {value}"),
    "stops.deposit": ("deposit addresses of one customer, by rule", "direcciones de depósito de un cliente, por regla"),
    "stops.min-amount": (
        "accounts that receive less than {value} traced base units",
        "cuentas que reciben menos de {value} unidades base rastreadas",
    ),
    "stops.hops": (
        "accounts {value} transactions away from the sources",
        "cuentas a {value} transacciones de los orígenes",
    ),
    "stops_none": (
        "nothing: every account is followed to the as-of block",
        "nada: cada cuenta se sigue hasta el bloque de corte",
    ),
    "fees.stop": (
        "Traced value paid as a fee leaves the trail and is counted.",
        "El valor rastreado que se paga como comisión sale del rastro y se contabiliza.",
    ),
    "fees.follow": (
        "Traced value paid as a fee is followed to the account that receives it.",
        "El valor rastreado que se paga como comisión se sigue hasta la cuenta que la recibe.",
    ),
    "fifo": ("First in, first out", "Primero en entrar, primero en salir (FIFO)"),
    "lifo": ("Last in, first out", "Último en entrar, primero en salir (LIFO)"),
    "haircut": ("Pro rata (haircut)", "A prorrata (haircut)"),
    "libr": ("Lowest intermediate balance", "Saldo intermedio más bajo"),
    "fifo_long": (
        "What an account receives of an asset stands in a queue, its clean money too; what it pays is taken from the "
        "front. This is the order of Clayton's Case (1816). {rule}",
        "Lo que una cuenta recibe de un activo hace cola, también su dinero limpio; lo que paga se toma del principio. "
        "Es el orden del caso Clayton (1816). {rule}",
    ),
    "lifo_long": (
        "What an account receives of an asset is stacked, its clean money too; what it pays is taken from the top. "
        "{rule}",
        "Lo que una cuenta recibe de un activo se apila, también su dinero limpio; lo que paga se toma de arriba. "
        "{rule}",
    ),
    "haircut_long": (
        "What an account holds of an asset counts as mixed. Each payment carries of each source a share in proportion "
        "to its amount; units left over by rounding go one each to the largest remainders. {rule}",
        "Lo que una cuenta tiene de un activo se considera mezclado. Cada pago lleva de cada origen una parte "
        "proporcional a su importe; las unidades que sobran del redondeo van de una en una a los restos mayores. "
        "{rule}",
    ),
    "libr_long": (
        "An account spends its own clean money first, so the claim never exceeds the lowest balance in between, and "
        "later receipts do not restore it (James Roscoe v Winder, 1915). {rule}",
        "Una cuenta gasta primero su dinero limpio, de modo que lo reclamado nunca supera el saldo más bajo intermedio "
        "y los cobros posteriores no lo restauran (James Roscoe v Winder, 1915). {rule}",
    ),
    "only_rule": (
        "It is a rule for telling mixed money apart, not a finding about anyone's intent.",
        "Es una regla para distinguir dinero mezclado, no una conclusión sobre la intención de nadie.",
    ),
    "steps_note": (
        "In chain order. “Traced” is the part of the transfer that carries a label.",
        "En el orden de la cadena. «Rastreado» es la parte de la transferencia que lleva una marca.",
    ),
    "of_value": ("of the value", "del valor"),
    "transfer_name": ("transfer", "transferencia"),
    "conversion_long": (
        "Conversion: what the sender of a transaction received in it was paid by what he gave. An inference of the "
        "rule; each label keeps its share, in proportion.",
        "Conversión: lo que el remitente de una transacción recibió en ella se pagó con lo que entregó. Una inferencia "
        "de la regla; cada marca conserva su parte, en proporción.",
    ),
    "deposit_long": (
        "Deposit address: forwards all it receives to one hot wallet, as addresses that an exchange gives to one "
        "customer do. An inference; it names nobody.",
        "Dirección de depósito: reenvía todo lo que recibe a un monedero caliente, como hacen las direcciones que una "
        "casa de cambio da a un cliente. Una inferencia; no nombra a nadie.",
    ),
    "frozen_long": (
        "Frozen: the token's issuer has put the account on its list, and had not taken it off by the as-of block.",
        "Congelado: el emisor del token puso la cuenta en su lista y no la había quitado hasta el bloque de corte.",
    ),
    "symbols_long": (
        "A symbol in quotes is what a contract says of itself. Anyone can write a contract that says the same; only "
        "the contract's address tells which asset it is.",
        "Un símbolo entre comillas es lo que un contrato dice de sí mismo. Cualquiera puede escribir un contrato que "
        "diga lo mismo; solo la dirección del contrato indica qué activo es.",
    ),
}
"""Sentences of the page, English and Spanish; those that Bitcoin's page has too are in calibar.trail.words."""


_CODES: Final[tuple[Language, Language]] = ("en", "es")


def tell(key: str, **values: object) -> Text:
    """Fill a sentence of the page in both languages. A value that is itself a Text is filled in its own language."""
    en, es = ({name: v[code] if isinstance(v, Text) else v for name, v in values.items()} for code in _CODES)
    return Text(PAGE[key][0].format(**en), PAGE[key][1].format(**es))


def many(key: str, n: int) -> Text:
    """Fill a sentence that has a form for one and a form for many."""
    return tell(f"{key}.one" if n == 1 else f"{key}.other", n=grouped(n))


def both(key: str) -> Text:
    """A word of the trail's JSON in both languages."""
    return Text(plain(word(key, "en")), plain(word(key, "es")))
