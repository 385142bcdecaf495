"""Who used an account, when and from where: login and device logs, and the customer's own data."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from calibar.records.formats.format import Format, Row, Said
from calibar.records.layout import Layout

_ACCOUNT: Final = ("User_ID", "User ID", "UID", "Customer ID", "ID de usuario")
_PERSON: Final = {
    "name": ("Name", "Full Name", "Legal Name", "Nombre", "Nombre y apellido", "Titular"),
    "document": ("ID Number", "Document Number", "DNI", "Documento", "Passport", "CUIT", "CUIL"),
    "email": ("Email", "E-mail", "Correo", "Correo electrónico"),
    "phone": ("Phone", "Mobile", "Phone Number", "Teléfono", "Celular"),
    "birth": ("Date of Birth", "DOB", "Fecha de nacimiento"),
    "residence": ("Address", "Residential Address", "Domicilio"),
    "bank account": ("Bank Account", "CBU", "CVU", "CBU/CVU", "IBAN"),
    "nationality": ("Nationality", "Nacionalidad", "Country", "País"),
}


def _login(row: Row) -> Iterator[Said]:
    for what in ("ip", "device", "location"):
        if text := row.text(what):
            yield row.detail(what, text)


def _person(row: Row) -> Iterator[Said]:
    for what in _PERSON:
        if text := row.text(what):
            yield row.detail(what, text)


FORMATS: Final = (
    Format(
        "logins", "login", "",
        Layout(
            {"time": ("UTC_Time", "Date(UTC)", "Timestamp (UTC)", "Login Time", "Time", "Fecha", "Timestamp"),
             "account": _ACCOUNT, "ip": ("IP", "IP Address", "Real IP", "Dirección IP", "Login IP"),
             "device": ("Device", "Device Name", "Client", "User Agent", "Device ID", "Dispositivo"),
             "location": ("Location", "Geolocation", "City", "Ubicación", "Country")},
            frozenset(("time", "ip")),
        ),
        _login, details=True,
    ),
    Format(
        "customers", "customer", "", Layout({"account": _ACCOUNT, **_PERSON}, frozenset(("account", "name"))), _person,
        details=True,
    ),
)  # fmt: skip
