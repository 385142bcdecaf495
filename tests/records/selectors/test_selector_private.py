"""What is private is told by its kind and place, and is nowhere in any answer."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from pathlib import Path

import pytest
import segno
import xlsxwriter
from bip_utils import Base58Encoder, Bip39Languages, Bip39MnemonicGenerator, Bip39WordsNum
from finding import GENESIS, HASH, SEED, SEGWIT, WIF, found, look, private, write
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.records.selectors import Report, extract
from calibar.records.selectors.kinds import seeds

SPANISH = "ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco ábaco abierto"
ELECTRUM = "wild father tree among universe such mobile favorite target dynamic credit identify"
XPRV = "xprv9s21ZrQH143K3QTDL4LXw2F7HEK3wJUD2nW2nRk4stbPy6cq3jPPqjiChkVvvNKmPGJxWUtg6LnF5kejMRNNU3TGtRBeJgk33yuGBxrMPHi"
BIP38 = "6PRVWUbkzzsbcVac2qwfssoUJAN1Xhrg6bNk8J7Nzm5H7kxEbn2Nh2ZoGg"
MINI = "S6c56bnXQiBjk9mqSYE7ykVQ7NzrRy"
PEM = "-----BEGIN EC PRIVATE KEY-----\nMHQCAQEEIKxYk1PqvJqJ8xk9\n-----END EC PRIVATE KEY-----"
CIPHER = "5318b4d5bcd28de64ee5559e671353e16f075ecae9f99c7a79a38af5f869aa46"
MAC, SALT = "ab" * 32, "cd" * 32
KEYSTORE = json.dumps({
    "version": 3,
    "address": "008aeeda4d805471df9b2a5b0f38a0c3bcba786b",
    "crypto": {"cipher": "aes-128-ctr", "ciphertext": CIPHER,
               "cipherparams": {"iv": "6087dab2f9fdbbfaddc31a909735c1e6"},
               "kdf": "pbkdf2", "kdfparams": {"c": 262144, "dklen": 32, "prf": "hmac-sha256", "salt": SALT},
               "mac": MAC},
})  # fmt: skip
CASES = {
    "BIP39 in English": (SEED, "seed phrase (BIP39, english)"),
    "BIP39 in Spanish": (SPANISH, "seed phrase (BIP39, spanish)"),
    "BIP39 decomposed": (unicodedata.normalize("NFD", SPANISH), "seed phrase (BIP39, spanish)"),
    "without accents": (SPANISH.replace("á", "a"), "seed phrase (BIP39, spanish)"),
    "in capitals": (SEED.upper(), "seed phrase (BIP39, english)"),
    "Electrum": (ELECTRUM, "seed phrase (Electrum)"),
    "a mistyped phrase": (
        SEED.replace("about", "zoo"), "what looks like a seed phrase, though its checksum does not fit",
    ),
    "WIF": (WIF, "private key (WIF)"),
    "WIF compressed": ("KwdMAjGmerYanjeui5SHS7JkmpZvVipYvB2LJGU1ZxJwYvP98617", "private key (WIF)"),
    "WIF of a test network": ("cTpB4YiyKiBcPxnefsDpbnDxFDffjqJob8wGCEDXxgQ7zQoMXJdH", "private key (WIF)"),
    "a mistyped WIF": (WIF[:-1] + "K", "what looks like a private key (WIF), though its checksum does not fit"),
    "an unseen character in a WIF": (WIF[:20] + "\u200b" + WIF[20:], "private key (WIF)"),
    "a look-alike in a WIF": (WIF.replace("H", "Н", 1), "private key (WIF)"),
    "xprv": (XPRV, "extended private key"),
    "a mistyped xprv": (XPRV[:-1], "extended private key"),
    "descriptor": (f"wpkh({XPRV}/0/*)", "extended private key"),
    "BIP38": (BIP38, "encrypted private key (BIP38)"),
    "mini": (MINI, "private key (mini)"),
    "PEM": (PEM, "private key (PEM)"),
    "keystore": (KEYSTORE, "keystore of a wallet"),
    "keystore within JSON": (json.dumps(KEYSTORE), "keystore of a wallet"),
    **{
        f"{word!r} before": (f"{word}{HASH}", "private key (hexadecimal)")
        for word in (
            "private key: ", "Private Key\n", "clave privada: ", "CLAVE PRIVADA 0x", "privateKey=", '"private_key": "',
            "privkey ", "llave privada - ", "secret key: ", "spend key: ", "secret_spend_key: ",
        )
    },
    "after": (f"{HASH} (clave privada)", "private key (hexadecimal)"),
}  # fmt: skip


def parts(text: str) -> list[str]:
    """What must not be repeated: each long word, and each run of words."""
    words = [word for word in re.findall(r"\w{16,}", text) if word != "secret_spend_key"]
    return words or [" ".join(text.split()[at : at + 2]) for at in range(len(text.split()) - 1)]


def everything(report: Report, secret: str) -> None:
    """Nothing of a secret is in an answer."""
    said = report.json().decode() + report.csv().decode() + repr(report)
    for part in parts(secret):
        if part != "008aeeda4d805471df9b2a5b0f38a0c3bcba786b":
            assert part not in said
            assert part.lower() not in said.lower()


@pytest.mark.parametrize("name", CASES)
def test_private_material_is_refused(name: str, tmp_path: Path) -> None:
    text, kind = CASES[name]
    whole = f"hola {SEGWIT} ojo:\n{text}\nfin {GENESIS}"
    assert private(whole) == [kind]
    report = extract([write(tmp_path, "a.txt", whole)])
    everything(report, text)
    (one,) = report.private
    assert one["kind"] == kind
    assert one["file"] == str(tmp_path / "a.txt")
    assert set(one) == {"kind", "file", "line", "column"}
    assert [entry["value"] for entry in report.findings if entry["kind"] == "address"][-2:] == [GENESIS, SEGWIT]
    assert "seal" in report.document["handover"]
    assert any("[private]" in place["context"] for entry in report.findings for place in entry["places"])


@pytest.mark.parametrize("name", CASES)
def test_private_material_in_a_code(name: str, tmp_path: Path) -> None:
    text, kind = CASES[name]
    path = tmp_path / "code.png"
    segno.make_qr(text, error="l").save(str(path), scale=4)
    report = extract([path])
    everything(report, text)
    assert [(one["kind"], one["code"]) for one in report.private] == [(kind, 1)]
    assert all(entry["kind"] == "address" for entry in report.findings)


@pytest.mark.parametrize("between", [" ", "\n", ", ", " - ", "\n\n", "\t", " | ", '", "'])
def test_phrases_however_they_are_written(between: str) -> None:
    assert private(between.join(SEED.split())) == ["seed phrase (BIP39, english)"]


@pytest.mark.parametrize("label", ["{}. ", "{}) ", "palabra {}: ", "Word {}: ", "n° {} - ", "{}: "])
def test_phrases_whose_words_are_counted(label: str) -> None:
    text = "\n".join(label.format(at) + word for at, word in enumerate(SEED.split(), 1))
    assert private(text) == ["seed phrase (BIP39, english)"]


@pytest.mark.parametrize("length", [12, 15, 18, 21, 24])
@pytest.mark.parametrize("language", [Bip39Languages.ENGLISH, Bip39Languages.SPANISH])
def test_phrases_of_every_length_that_other_software_makes(length: int, language: Bip39Languages) -> None:
    phrase = Bip39MnemonicGenerator(language).FromWordsNumber(Bip39WordsNum(length)).ToStr()
    name = language.name.lower()
    assert private(f"xx {phrase} yy") == [f"seed phrase (BIP39, {name})"]
    assert private(unicodedata.normalize("NFC", phrase)) == [f"seed phrase (BIP39, {name})"]


def test_the_lists_are_bip39s() -> None:
    raw = [(Path(seeds.__file__).parent.parent / "words" / f"{name}.txt") for name in ("english", "spanish")]
    words = [
        [w for line in path.read_text("utf-8").splitlines() if line[0] != "#" for w in line.split()] for path in raw
    ]
    assert [len(seeds.words(name)) for name in ("english", "spanish")] == [2048, 2048]
    digest = hashlib.sha256(("\n".join(words[0]) + "\n").encode()).hexdigest()
    assert digest == "2f5eed53a4727b4bf8880d8f3f199efc90e58503646d9ff8eff3a2ed3b24dbda"


def test_ordinary_text_is_not_private() -> None:
    text = "The owner of this account can move the money and then write about the problem again in April. " * 20
    assert private(text + "abandon ability able about above absent absorb abstract absurd abuse") == []
    assert private(f"tx {HASH} in block") == []
    assert found(f"tx {HASH} in block") == {"transaction": [HASH]}


def test_a_private_key_is_private_wherever_it_stands(tmp_path: Path) -> None:
    first = write(tmp_path, "a.txt", f"{GENESIS} {HASH} {GENESIS}")
    second = write(tmp_path, "b.txt", f"clave privada: {HASH}")
    report = extract([first, second])
    assert {one["file"] for one in report.private} == {str(first), str(second)}
    assert [entry["kind"] for entry in report.findings] == ["address"]
    everything(report, HASH)


def test_phrases_in_a_sheet(tmp_path: Path) -> None:
    path = tmp_path / "w.xlsx"
    book = xlsxwriter.Workbook(str(path))
    down, across, keys = (
        book.add_worksheet("abajo"), book.add_worksheet("al lado"), book.add_worksheet("claves"),
    )  # fmt: skip
    for at, word in enumerate(SEED.split()):
        down.write(at + 1, 0, at + 1)
        down.write(at + 1, 1, word)
        down.write(at + 1, 2, f"nota de la fila {at}")
        across.write(3, at, word)
    keys.write_row(0, 0, ["Nombre", "Clave privada", "Dirección"])
    keys.write_row(1, 0, ["Juan", HASH, GENESIS])
    book.close()
    report = extract([path])
    everything(report, SEED)
    everything(report, HASH)
    assert [(one["sheet"], one["row"], one["column"]) for one in report.private] == [
        ("abajo", 2, 2), ("al lado", 4, 1), ("claves", 2, 2),
    ]  # fmt: skip


def test_phrases_over_the_messages_of_a_chat(tmp_path: Path) -> None:
    lines = [f"12/03/24, 10:{at:02} - Juan: {word}" for at, word in enumerate(SEED.split())]
    report = extract([write(tmp_path, "chat.txt", "\n".join(lines))])
    everything(report, SEED)
    (one,) = report.private
    assert (one["line"], one["from"]) == (1, "Juan")
    messages = [{"id": at, "type": "message", "from": SEED, "text": word} for at, word in enumerate(SEED.split())]
    report = extract([write(tmp_path, "result.json", json.dumps({"name": SEED, "messages": messages}))])
    everything(report, SEED)
    assert report.private[0]["chat"] == "[private]"


def test_whole_card_numbers_are_nowhere(tmp_path: Path) -> None:
    for card in ("4111111111111111", "4111 1111 1111 1111", "4111 1111 1111\u200b 1111"):
        text = f"{GENESIS} {card} {SEGWIT} x@{'a' * 5}.com https://x.example/{card.replace(' ', '')}"
        report = extract([write(tmp_path, "a.txt", text)])
        said = report.json().decode() + report.csv().decode()
        assert card not in said
        assert card.replace(" ", "") not in said
        assert "4111" not in said


@settings(max_examples=60, deadline=None)
@given(
    st.binary(min_size=32, max_size=32),
    st.text(st.characters(codec="utf-8", exclude_categories=["L", "N", "M", "Cf"]), max_size=30),
)
def test_any_wif_in_any_text(key: bytes, around: str) -> None:
    wif = Base58Encoder.CheckEncode(b"\x80" + key + b"\x01")
    text = f"{around}{wif}{around}"
    searched = look(text)
    assert [(text[one.start : one.end], one.kind) for one in searched.secrets] == [(wif, "private key (WIF)")]
    assert searched.hits == []
