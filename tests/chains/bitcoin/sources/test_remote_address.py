"""Addresses of servers: what they may say, and that nothing secret is shown."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.remote.address import Address, Proxy, one_line, parse_address
from calibar.errors import UsageError

PIN = "ab" * 32
SCHEMES = ("tcp", "ssl", "http", "https")


def parse(url: str) -> Address:
    return parse_address(url, SCHEMES, "ssl://electrum.example:50002")


@pytest.mark.parametrize(
    ("url", "place", "port"),
    [
        ("tcp://electrum.example:5000", "tcp://electrum.example:5000", 5000),
        ("tcp://electrum.example", "tcp://electrum.example:50001", 50001),
        ("ssl://electrum.example", "ssl://electrum.example:50002", 50002),
        ("ssl://[::1]:7", "ssl://[::1]:7", 7),
        ("https://explorer.example/testnet/api/", "https://explorer.example/testnet/api", 443),
        ("http://127.0.0.1:3000", "http://127.0.0.1:3000", 3000),
        ("https://explorer.example/8d7f-secret/api", "https://explorer.example/…/api", 443),
        ("https://user:hunter2@explorer.example/api?key=hush", "https://explorer.example/api", 443),
        (f"ssl://e.example:1#sha256={PIN}&proxy=socks5://me:hush@127.0.0.1:9050", "ssl://e.example:1", 1),
    ],
)
def test_the_place_of_an_address_holds_no_secrets(url: str, place: str, port: int) -> None:
    address = parse(url)
    assert (address.place, address.port) == (place, port)
    assert not any(secret in repr(address) for secret in ("hush", "hunter2", "8d7f"))


def test_options_stand_after_the_address() -> None:
    colons = ":".join(["AB"] * 32)
    address = parse(f"ssl://e.onion:1#proxy=socks5h://me:h%40sh@[::1]:9150&sha256={colons}")
    assert address.pin == bytes.fromhex(PIN)
    assert address.proxy == Proxy("::1", 9150, "me", "h@sh") and address.proxy.place == "socks5://[::1]:9150"


@pytest.mark.parametrize(
    "url",
    [
        "", "electrum.example:50002", "ftp://e.example", "ssl://", "ssl://:50002", "ssl://e.example:0", "ssl://e.example:99999",
        "ssl://e.example:x", " ssl://e.example", "ssl://[::1", "ssl://é.example", "ssl://e\n.example:1", "ssl://a b:1",
        "ssl://hush@e.example", "ssl://e.example/hush", "ssl://e.example?hush=1", "https://e.example/hush hush",
        "ssl://e.example#hush", "ssl://e.example#sha256=hush", "tcp://e.example#sha256=" + PIN, "ssl://e.example#sha256=",
        f"ssl://e.example#sha256={PIN}&sha256={PIN}", "tcp://e.example#proxy=hush", "tcp://e.example#proxy=http://hush:1",
        "tcp://e.example#proxy=socks5://hush/x", "tcp://e.example#proxy=socks5://:hush@x", "tcp://hush.onion:1",
        "tcp://e.example#proxy=socks5://" + "hush" * 100 + ":x@h",
    ],
)  # fmt: skip
def test_what_is_no_address_is_refused_in_one_line_without_secrets(url: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse(url)
    assert str(caught.value).isprintable() and "hush" not in str(caught.value).replace("hush.onion", "")


def test_an_onion_address_needs_tor() -> None:
    with pytest.raises(UsageError, match=r"needs Tor: add #proxy=socks5://127.0.0.1:9050"):
        parse("tcp://abc.onion:50001")


@given(st.text(max_size=60))
def test_any_text_is_an_address_or_refused(text: str) -> None:
    for url in (text, "ssl://" + text, "https://" + text, "https://e.example/api" + text):
        try:
            assert parse(url).place.isprintable()
        except UsageError as error:
            assert str(error).isprintable()


def test_what_a_server_says_is_quoted_without_secrets_and_escapes() -> None:
    address = parse("https://me:hunter2@e.example/8d7f6a/api?key=hush%21")
    said = address.quote("no such\n\x1b[31m \u202ekey hush! / hush%21 for me:hunter2 at /8d7f6a/api")
    assert said == "no such [31m key … / … for me:… at /…/api"
    assert one_line("x" * 900, 200) == "x" * 200
