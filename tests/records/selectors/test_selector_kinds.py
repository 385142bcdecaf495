"""Every kind of selector is found, checked, and its near misses told from it."""

from __future__ import annotations

import pytest
from finding import CHECKED_ETHER, GENESIS, HASH, SEGWIT, TETHER, found, look, near
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin import base58, bech32
from calibar.chains.ethereum import address as ethereum
from calibar.chains.tron import address as tron
from calibar.errors import UsageError
from calibar.records.selectors.kinds import cbu, iban, phones
from calibar.records.selectors.text import Text


@pytest.mark.parametrize(
    ("address", "network"),
    [
        (GENESIS, "bitcoin mainnet"),
        ("3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy", "bitcoin mainnet"),
        ("mipcBbFg9gMiCh81Kj8tqqdgoZub1ZJRfn", "bitcoin testnet3, testnet4, signet, regtest, litecoin-regtest"),
        ("2MzQwSSnBHWHqSAqtTVQ6v47XtaisrJa1Vc", "bitcoin testnet3, testnet4, signet, regtest"),
        (SEGWIT, "bitcoin mainnet"),  # BIP173
        ("tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7", "bitcoin testnet3, testnet4, signet"),
        ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0", "bitcoin mainnet"),  # BIP350
        ("bcrt1qw508d6qejxtdg4y5r3zarvary0c5xw7kygt080", "bitcoin regtest"),
        (TETHER, "tron"),
        (CHECKED_ETHER, "ethereum or a chain of its kind"),
        ("DH5yaieqoZN36fDVciNyRueRGvGLR3mr7L", "dogecoin"),
        ("cosmos1vqpjljwsynsn58dugz0w8ut7kun7t8ls2qkmsq", "not known (prefix cosmos)"),
    ],
)
@pytest.mark.parametrize("around", ["{}", "pagá a {}, por favor", "wallet_{}.png", "«{}»", "a:{};b", "\u202a{}\u202c"])
def test_addresses(address: str, network: str, around: str) -> None:
    text = around.format(address)
    (hit,) = look(text).hits
    assert (hit.kind, hit.value, hit.checked, hit.network) == ("address", address, "checksum fits", network)
    assert text[hit.start : hit.end] == address


def test_an_address_in_capitals_and_one_in_hexadecimal_are_written_the_usual_way() -> None:
    assert found(SEGWIT.upper()) == {"address": [SEGWIT]}
    assert found(tron.to_hex(tron.parse(TETHER))) == {"address": [TETHER]}
    (hit,) = look(CHECKED_ETHER.lower()).hits
    assert (hit.value, hit.checked) == (CHECKED_ETHER, "no checksum")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (GENESIS[:-1] + "b", "probably character 34 is wrong"),
        (GENESIS[:5] + "0" + GENESIS[6:], "character 6 is '0'"),
        (SEGWIT[:-1] + "5", "probably character 42 is wrong"),
        (SEGWIT[:10] + "b" + SEGWIT[11:], "character 11 is 'b'"),
        (SEGWIT[:20].upper() + SEGWIT[20:], "upper and lower case are mixed"),
        (TETHER[:-1] + "T", "probably character 34 is wrong"),
        (CHECKED_ETHER[:-1] + "D", "case of its letters"),
        (CHECKED_ETHER[:-1], "39 hexadecimal digits instead of 40"),
        (CHECKED_ETHER[:-1] + "O", "character 42 is 'O'"),
        (SEGWIT[:8] + "\u200b" + SEGWIT[8:], "character 9 is U+200B ZERO WIDTH SPACE, which nobody sees; without"),
        (GENESIS.replace("M", "М"), "CYRILLIC CAPITAL LETTER EM, which looks like 'M'; without that the checksum fits"),
        (CHECKED_ETHER.replace("0x", "0х"), "CYRILLIC SMALL LETTER HA"),
        (TETHER[:30] + "\u202e" + TETHER[30:], "RIGHT-TO-LEFT OVERRIDE"),
        (HASH[:9] + "\u2060" + HASH[9:], "WORD JOINER"),
    ],
)
def test_near_misses_of_addresses(text: str, said: str) -> None:
    ((_, checked),) = near(f"a {text} b")
    assert checked.startswith("near miss: ")
    assert said in checked
    assert found(f"a {text} b") == {}


@pytest.mark.parametrize(
    "text",
    [
        "d41d8cd98f00b204e9800998ecf8427e",  # an MD5
        "3fa85f64-5717-4562-b3fc-2c963f66afa6",
        "1234567890123456789012345678",
        "ThisIsALongIdentifierWithoutDigits",
        "https://drive.google.com/file/d/1FAbcQLSfT4hJk7pW9xYzN2mR5vB8cD3eG/view",
        "1FAbcQLSfT4hJk7pW9xYzN2mR5vB8cD3eGhJk7pW9xYzN2mR5vB",
        "0" * 64,
    ],
)
def test_what_is_no_address(text: str) -> None:
    assert [hit for hit in look(text).hits if hit.kind in ("address", "transaction")] == []


@pytest.mark.parametrize("text", [HASH, HASH.upper(), "0x" + HASH, f"tx:{HASH}", f"https://x.example/tx/{HASH}?a=1"])
def test_hashes(text: str) -> None:
    (hit,) = (hit for hit in look(text).hits if hit.kind == "transaction")
    assert (hit.value, hit.checked) == (HASH, "no checksum: may be another hash, of a block or a file")
    assert found(HASH + "0") == {}


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Juan <juan.perez+x@Mail.Example.COM>", "juan.perez+x@mail.example.com"),
        ("a@b.co.", "a@b.co"),
        ("mailto:x_y@exchange.example?subject=1", "x_y@exchange.example"),
    ],
)
def test_emails(text: str, value: str) -> None:
    assert found(text)["e-mail"] == [value]


@pytest.mark.parametrize("text", ["a@b", "@example.com", "a @example.com", "a@@example.com", "a@example..com"])
def test_what_is_no_email(text: str) -> None:
    assert "e-mail" not in found(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("+54 9 11 5555-1234", "+5491155551234"),
        ("\u202a+54 9 11 5555-1234\u202c: hola", "+5491155551234"),
        ("011 4567-8901", "+541145678901"),
        ("(011) 4567-8901", "+541145678901"),
        ("11-4567-8901", "+541145678901"),
        ("tel: 1145678901", "+541145678901"),
        ("2024-01-15 11 4567-8901", "+541145678901"),
        ("4111 1111 1111 1111 012 +54 11 4567-8901", "+541145678901"),
        ("0170099220000067797370 011 4567-8901", "+541145678901"),
        ("wa.me/5491155551234", "+5491155551234"),
        ("+598 2 901 2345 y", "+59829012345"),
        ("+1 (212) 555-0123", "+12125550123"),
    ],
)
def test_phones(text: str, value: str) -> None:
    assert found(text)["phone"] == [value]


@pytest.mark.parametrize(
    "text",
    [
        "1145678901",
        "2.234.567.890",
        "2234567.890",
        "20-12345678-3",
        "192.168.100.200",
        "2024-01-15 10:30",
        "1,145,678,901",
    ],
)
def test_what_is_no_phone(text: str) -> None:
    assert "phone" not in found(text)


def test_regions() -> None:
    assert phones.check_region("uy") == "UY"
    with pytest.raises(UsageError, match="no region"):
        phones.check_region("XX")


@pytest.mark.parametrize("text", ["0170099220000067797370", "01700992 20000067797370", "CBU:0170099-2 2000006779737-0"])
def test_cbu(text: str) -> None:
    assert found(text) == {"cbu": ["0170099220000067797370"]}


def test_cvu_and_near_misses() -> None:
    cvu = make_cbu("0000031", "0001000000000")
    assert found(cvu) == {"cvu": [cvu]}
    assert near("0170099220000067797371") == [("cbu", "near miss: the second check digit does not fit")]
    assert near("0170099320000067797370") == [("cbu", "near miss: the first check digit does not fit")]
    assert near("0170099320000067797371") == []
    assert near("CBU 0170099320000067797371") == [("cbu", "near miss: the first and second check digit does not fit")]


def make_cbu(first: str, second: str) -> str:
    """By the rule as it is printed: weights 7139713 and 3971397139713, from the left."""

    def digit(block: str, weights: str) -> str:
        total = sum(int(a) * int(b) for a, b in zip(block, weights, strict=True))
        return str((10 - total % 10) % 10)

    return first + digit(first, "7139713") + second + digit(second, "3971397139713")


@given(st.integers(1, 10**7 - 1), st.integers(0, 10**13 - 1))
def test_every_cbu_is_found_by_the_printed_rule(first: int, second: int) -> None:
    number = make_cbu(f"{first:07}", f"{second:013}")
    assert [hit.value for hit in cbu.find(Text(f"x {number} y"))] == ([number] if len(set(number)) > 1 else [])


@pytest.mark.parametrize(
    "text",
    [
        "AD1200012030200359100100", "AE070331234567890123456", "AL47212110090000000235698741", "AT611904300234573201",
        "BE68539007547034", "BR1800360305000010009795493C1", "CH9300762011623852957", "CR05015202001026284066",
        "DE89370400440532013000", "ES9121000418450200051332", "FR1420041010050500013M02606", "GB29NWBK60161331926819",
        "IT60X0542811101000000123456", "MT84MALT011000012345MTLCAST001S", "NO9386011117947",
        "PT50000201231234567890154",
        "LC55HEMM000100010012001200023015", "UA213223130000026007233566001",
    ],
)  # fmt: skip
def test_iban(text: str) -> None:
    grouped = " ".join(text[at : at + 4] for at in range(0, len(text), 4))
    assert found(text) == found(f"IBAN {grouped} ARS") == {"iban": [text]}
    assert iban.LENGTHS[text[:2]] == len(text)
    wrong = text[:2] + f"{(int(text[2:4]) + 1) % 100:02}" + text[4:]
    assert near(wrong) == [("iban", "near miss: the check digits do not fit (mod 97)")]


@pytest.mark.parametrize(
    "text",
    [
        "****1234", "**** **** **** 1234", "XXXX-XXXX-XXXX-1234", "450799******1234", "tarjeta terminada en 1234",
        "Visa ending in 1234.", "termina en: 1234", "últimos 4 dígitos: 1234", "last four digits 1234", "•••• 1234",
        "finalizada en *1234", "TERMINADA EN 1234",
    ],
)  # fmt: skip
def test_last_fours(text: str) -> None:
    assert found(text) == {"card": ["1234"]}


@pytest.mark.parametrize("text", ["1234", "año 1234", "termina en 1234,50", "**12345", "final 1.234"])
def test_what_is_no_last_four(text: str) -> None:
    assert found(text) == {}


@pytest.mark.parametrize(
    "text", ["4111111111111111", "4111 1111 1111 1111", "5555-5555-5555-4444", "378282246310005", "3782 822463 10005"]
)
def test_a_whole_card_number_is_its_last_four_alone(text: str) -> None:
    searched = look(f"card {text}.")
    (hit,) = searched.hits
    assert (hit.kind, hit.value) == ("card", text[-4:])
    assert hit.written == ""
    assert found(text[:-1] + str((int(text[-1]) + 1) % 10)).get("card") is None


def test_digits_after_a_card_number_do_not_hide_it() -> None:
    (hit,) = look("4111 1111 1111 1111 012").hits
    assert (hit.value, hit.end) == ("1111", 19)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("UID: 12345678", "12345678"),
        ("User ID 12345678", "12345678"),
        ("ID de usuario: 987654", "987654"),
        ('"user_id": "55512345"', "55512345"),
        ("userId=55512345&x=1", "55512345"),
        ("Binance ID: 12345678.", "12345678"),
        ("Número de cliente: 445566", "445566"),
        ("Account ID: 3fa85f64-5717-4562-b3fc-2c963f66afa6", "3fa85f64-5717-4562-b3fc-2c963f66afa6"),
    ],
)
def test_user_ids(text: str, value: str) -> None:
    assert found(text)["user-id"] == [value]


@pytest.mark.parametrize("text", ["fluid: 12345678", "id 12345678", "user id: 12", "UID: 12345678,50"])
def test_what_is_no_user_id(text: str) -> None:
    assert "user-id" not in found(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("ver https://Example.COM/Ruta?a=1.", "https://example.com/Ruta?a=1"),
        ("(http://a.example/b_(c))", "http://a.example/b_(c)"),
        ("www.exchange.example, y", "www.exchange.example"),
        ("<a href='https://t.me/user'>", "https://t.me/user"),
        ("t.me/canal", "t.me/canal"),
    ],
)
def test_urls(text: str, value: str) -> None:
    assert found(text)["url"] == [value]


def test_payments() -> None:
    searched = look(f"bitcoin:{SEGWIT}?amount=0.1&label=Juan%20P")
    hit = next(hit for hit in searched.hits if hit.kind == "payment")
    assert hit.details == {"scheme": "bitcoin", "address": SEGWIT, "amount": "0.1", "label": "Juan P"}
    token = f"ethereum:{CHECKED_ETHER}@137/transfer?address=0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359&uint256=1e6"
    hits = {hit.value: hit for hit in look(token).hits}
    assert hits[token].details == {
        "scheme": "ethereum", "chain_id": "137", "function": "transfer", "token": CHECKED_ETHER, "uint256": "1e6",
        "address": "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    }  # fmt: skip
    assert hits[CHECKED_ETHER].network == "ethereum:137"
    assert found(f"ethereum:pay-{CHECKED_ETHER}")["address"] == [CHECKED_ETHER]
    assert found(f"TRON:{TETHER}?amount=5")["payment"] == [f"tron:{TETHER}?amount=5"]


ADDRESSES = st.one_of(
    st.binary(min_size=20, max_size=20).map(lambda body: base58.encode(b"\0" + body)),
    st.binary(min_size=20, max_size=20).map(lambda body: base58.encode(b"\x05" + body)),
    st.binary(min_size=20, max_size=20).map(tron.to_base58),
    st.binary(min_size=20, max_size=20).map(ethereum.encode),
    st.binary(min_size=20, max_size=20).map(lambda body: bech32.encode_witness("bc", 0, body)),
    st.binary(min_size=32, max_size=32).map(lambda body: bech32.encode_witness("tb", 1, body)),
)
OUTSIDE = st.text(st.characters(codec="utf-8"), max_size=80)


@settings(max_examples=300, deadline=None)
@given(OUTSIDE, ADDRESSES, OUTSIDE)
def test_an_address_is_found_in_any_text_at_its_place(before: str, address: str, after: str) -> None:
    text = f"{before} {address}\n{after}"
    start = len(before) + 1
    hits = [hit for hit in look(text).hits if hit.kind == "address" and hit.start == start]
    assert [(hit.value, hit.end) for hit in hits if not hit.is_near] == [(address, start + len(address))]
    place = Text(text).place(start)
    assert place == {"line": before.count("\n") + 1, "column": start - (before.rfind("\n") + 1) + 1}


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(), max_size=300))
def test_no_text_breaks_the_search(text: str) -> None:
    searched = look(text)
    assert all(0 <= hit.start < hit.end <= len(text) for hit in searched.hits)


@settings(max_examples=100, deadline=None)
@given(ADDRESSES, st.data())
def test_a_wrong_character_is_never_a_finding(address: str, data: st.DataObject) -> None:
    at = data.draw(st.integers(4, len(address) - 1))
    other = data.draw(st.sampled_from([c for c in "qpzry9x8gf2tvdw3" if c.lower() != address[at].lower()]))
    wrong = address[:at] + other + address[at + 1 :]
    hits = [hit for hit in look(wrong).hits if hit.kind == "address" and not hit.is_near]
    assert all(hit.checked != "checksum fits" for hit in hits)
