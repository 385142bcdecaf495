"""Extended public keys and descriptors: checked, and expanded to the addresses that other software derives."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import pytest
from bip_utils import (
    Bip44,
    Bip44Changes,
    Bip44Coins,
    Bip49,
    Bip49Coins,
    Bip84,
    Bip84Coins,
    Bip86,
    Bip86Coins,
)
from finding import found, look, near
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin import base58
from calibar.errors import CalibarError, DecodeError
from calibar.records.selectors.kinds import descriptors, extended_keys
from calibar.records.selectors.kinds.derivation import HARDENED, compressed, plus_base, point

BIP84_ZPUB = (
    "zpub6rFR7y4Q2AijBEqTUquhVz398htDFrtymD9xYYfG1m4wAcvPhXNfE3EfH1r1ADqtfSdVCToUG868RvUUkgDKf31mGDtKsAYz2oz2AGutZYs"
)
# BIP32, test vectors 1 to 4: all public keys of the chains.
BIP32 = [
    "xpub661MyMwAqRbcFtXgS5sYJABqqG9YLmC4Q1Rdap9gSE8NqtwybGhePY2gZ29ESFjqJoCu1Rupje8YtGqsefD265TMg7usUDFdp6W1EGMcet8",
    "xpub68Gmy5EdvgibQVfPdqkBBCHxA5htiqg55crXYuXoQRKfDBFA1WEjWgP6LHhwBZeNK1VTsfTFUHCdrfp1bgwQ9xv5ski8PX9rL2dZXvgGDnw",
    "xpub6ASuArnXKPbfEwhqN6e3mwBcDTgzisQN1wXN9BJcM47sSikHjJf3UFHKkNAWbWMiGj7Wf5uMash7SyYq527Hqck2AxYysAA7xmALppuCkwQ",
    "xpub661MyMwAqRbcFW31YEwpkMuc5THy2PSt5bDMsktWQcFF8syAmRUapSCGu8ED9W6oDMSgv6Zz8idoc4a6mr8BDzTJY47LJhkJ8UB7WEGuduB",
    "xpub69H7F5d8KSRgmmdJg2KhpAK8SR3DjMwAdkxj3ZuxV27CprR9LgpeyGmXUbC6wb7ERfvrnKZjXoUmmDznezpbZb7ap6r1D3tgFxHmwMkQTPH",
]
# BIP32, test vector 5: invalid.
INVALID = {
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6LBpB85b3D2yc8sfvZU521AAwdZafEz7mnzBBsz4wKY5fTtTQBm":
        "begins with",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Txnt3siSujt9RCVYsx4qHZGc62TG4McvMGcAUjeuwZdduYEvFn":
        "begins with",
    "xpub661no6RGEX3uJkY4bNnPcw4URcQTrSibUZ4NqJEw5eBkv7ovTwgiT91XX27VbEXGENhYRCf7hyEbWrR3FewATdCEebj6znwMfQkhRYHRLpJ":
        "depth 0",
    "xpub661MyMwAuDcm6CRQ5N4qiHKrJ39Xe1R1NyfouMKTTWcguwVcfrZJaNvhpebzGerh7gucBvzEQWRugZDuDXjNDRmXzSZe4c7mnTK97pTvGS8":
        "depth 0",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6N8ZMMXctdiCjxTNq964yKkwrkBJJwpzZS4HS2fxvyYUA4q2Xe4":
        "begins with",
    "xpub661MyMwAqRbcEYS8w7XLSVeEsBXy79zSzH1J8vCdxAZningWLdN3zgtU6Q5JXayek4PRsn35jii4veMimro1xefsM58PgBMrvdYre8QyULY":
        "no point",
}  # fmt: skip
SEED = bytes(range(64))
COINS: dict[str, tuple[Any, Any, Any]] = {
    "p2pkh": (Bip44, Bip44Coins.BITCOIN, Bip44Coins.BITCOIN_TESTNET),
    "p2sh-p2wpkh": (Bip49, Bip49Coins.BITCOIN, Bip49Coins.BITCOIN_TESTNET),
    "p2wpkh": (Bip84, Bip84Coins.BITCOIN, Bip84Coins.BITCOIN_TESTNET),
    "p2tr": (Bip86, Bip86Coins.BITCOIN, Bip86Coins.BITCOIN_TESTNET),
}


def account(form: str, is_test: bool, number: int = 0) -> Any:
    kind, main, test = COINS[form]
    return kind.FromSeed(SEED, test if is_test else main).Purpose().Coin().Account(number)


def by_others(wallet: Any, change: bool, count: int) -> list[str]:
    chain = wallet.Change(Bip44Changes.CHAIN_INT if change else Bip44Changes.CHAIN_EXT)
    return [chain.AddressIndex(at).PublicKey().ToAddress() for at in range(count)]


@pytest.mark.parametrize("key", [*BIP32, BIP84_ZPUB])
def test_keys_of_the_bips_are_found(key: str) -> None:
    (hit,) = look(f"my key: {key}\n").hits
    assert (hit.kind, hit.value, hit.checked, hit.network) == ("extended-key", key, "checksum fits", "bitcoin mainnet")


@pytest.mark.parametrize("key", INVALID)
def test_invalid_keys_of_bip32_are_near_misses(key: str) -> None:
    ((kind, checked),) = near(key)
    assert kind == "extended-key"
    assert INVALID[key] in checked


def test_a_mistyped_key_is_a_near_miss() -> None:
    ((_, checked),) = near(BIP84_ZPUB[:-1] + "t")
    assert "checksum does not fit" in checked
    assert "character 112 is '0'" in near(BIP84_ZPUB + "0")[0][1]


def test_the_addresses_of_bip84() -> None:
    addresses = {row["path"]: row["address"] for row in extended_keys.expand(BIP84_ZPUB, 2)[0]}
    assert addresses["0/0"] == "bc1qcr8te4kr609gcawutmrza0j4xv80jy8z306fyu"
    assert addresses["0/1"] == "bc1qnjg0jd8228aq7egyzacy8cys3knf9xvrerkf9g"
    assert addresses["1/0"] == "bc1q8c6fshw2dlwun7ekn9qwf37cu2rn755upcp6el"


@pytest.mark.parametrize("form", COINS)
@pytest.mark.parametrize("is_test", [False, True])
def test_expansions_agree_with_other_software(form: str, is_test: bool) -> None:
    wallet = account(form, is_test)
    key = wallet.PublicKey().ToExtended()
    rows = [row for row in extended_keys.expand(key, 20)[0] if row["form"] == form]
    for name, change in (("receiving", False), ("change", True)):
        mine = [row["address"] for row in rows if row["chain"] == name]
        assert mine == by_others(wallet, change, 20)
    chain = wallet.Change(Bip44Changes.CHAIN_INT).PublicKey().ToExtended()
    rows = [row for row in extended_keys.expand(chain, 5)[0] if row["form"] == form]
    assert [row["address"] for row in rows] == by_others(wallet, True, 5)
    assert {row["chain"] for row in rows} == {"this chain"}


@settings(max_examples=15, deadline=None)
@given(st.binary(min_size=16, max_size=64), st.sampled_from(sorted(COINS)))
def test_expansions_of_any_wallet_agree(seed: bytes, form: str) -> None:
    kind, main, _ = COINS[form]
    wallet = kind.FromSeed(seed, main).Purpose().Coin().Account(1)
    rows = extended_keys.expand(wallet.PublicKey().ToExtended(), 2)[0]
    mine = [row["address"] for row in rows if row["form"] == form]
    assert mine == by_others(wallet, False, 2) + by_others(wallet, True, 2)


@pytest.mark.parametrize("version", extended_keys.VERSIONS)
def test_every_version(version: bytes) -> None:
    body = base58.decode(BIP84_ZPUB)[4:]
    text = base58.encode(version + body)
    name = extended_keys.VERSIONS[version].name
    assert text.startswith(name)
    assert found(text) == {"extended-key": [text]}
    rows, note = extended_keys.expand(text, 1)
    assert bool(rows) == bool(extended_keys.VERSIONS[version].forms)
    assert rows or "several signers" in note


def test_points() -> None:
    key = base58.decode(BIP32[0])[-33:]
    x, y = point(key)
    assert compressed(plus_base((x, y), 0)) == key
    both = plus_base((x, y), 5)
    assert plus_base(plus_base((x, y), 2), 3) == both
    generator = plus_base(plus_base((x, y), 1), 1)
    assert generator == plus_base((x, y), 2)
    base = point(bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"))
    assert plus_base(base, 1) == plus_base(plus_base(base, 3), 2**256 - 432420386565659656852420866394968145599 - 2)
    with pytest.raises(DecodeError, match="infinity"):
        plus_base((base[0], 2**256 - 2**32 - 977 - base[1]), 1)
    with pytest.raises(DecodeError, match="order"):
        plus_base(base, 2**256 - 1)
    with pytest.raises(DecodeError, match="hardened"):
        extended_keys.decode(BIP32[0]).node.child(HARDENED)


# BIP380, and the descriptors of BIP381, 382, 386.

RAW = "raw(deadbeef)"
KEY = "0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798"


def test_the_checksum_of_bip380() -> None:
    assert descriptors.checksum(RAW) == "89f8spxm"
    with pytest.raises(DecodeError, match="no descriptor"):
        descriptors.checksum("raw(Ü)")


@pytest.mark.parametrize("form", COINS)
def test_descriptors_agree_with_other_software(form: str) -> None:
    name = {"p2pkh": "pkh({})", "p2wpkh": "wpkh({})", "p2sh-p2wpkh": "sh(wpkh({}))", "p2tr": "tr({})"}[form]
    wallet = account(form, False)
    key = base58.encode(bytes.fromhex("0488b21e") + base58.decode(wallet.PublicKey().ToExtended())[4:])
    both = name.format(f"[d34db33f/84h/0'/0h]{key}/<0;1>/*")
    assert both in [hit.value.partition("#")[0] for hit in look(both).hits]
    rows, note = descriptors.expand(both, 5)
    assert note == ""
    for chain, change in (("receiving", False), ("change", True)):
        assert [row["address"] for row in rows if row["chain"] == chain] == by_others(wallet, change, 5)
    rows, _ = descriptors.expand(name.format(f"{key}/1/*"), 5)
    assert [row["address"] for row in rows] == by_others(wallet, True, 5)
    rows, _ = descriptors.expand(name.format(f"{key}/0/3"), 5)
    assert [row["address"] for row in rows] == by_others(wallet, False, 4)[3:]


@pytest.mark.parametrize(
    ("text", "address"),
    [
        (f"pkh({KEY})", "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH"),
        (f"wpkh({KEY})", "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4"),
        (f"sh(wpkh({KEY}))", "3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN"),
        (f"tr({KEY[2:]})", "bc1pmfr3p9j00pfxjh0zmgp99y8zftmd3s5pmedqhyptwy6lm87hf5sspknck9"),
    ],
)
def test_descriptors_of_a_bare_key(text: str, address: str) -> None:
    right = f"{text}#{descriptors.checksum(text)}"
    (hit,) = (hit for hit in look(f"({right}, x").hits if hit.kind == "descriptor")
    assert (hit.value, hit.checked) == (right, "checksum fits")
    rows, note = descriptors.expand(right, 20)
    assert [row["address"] for row in rows] == [address]
    assert "no network" in note


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"wpkh({KEY})#qqqqqqqq", "the checksum does not fit"),
        (f"wpkh({BIP32[0]}/0h/*)", "does not follow from a public key"),
        (f"wpkh({BIP32[0]}/0/*')", "does not follow from a public key"),
        (f"wpkh({BIP32[0][:-1]}9/0/*)", "checksum does not fit"),
        (f"wpkh({KEY}/0/*)", "length"),
        (f"pkh(02{'f' * 64})", "no point"),
    ],
)
def test_near_misses_of_descriptors(text: str, said: str) -> None:
    ((_, checked),) = (one for one in near(text) if one[0] == "descriptor")
    assert said in checked


def test_other_descriptors_are_found_and_not_expanded() -> None:
    text = f"wsh(sortedmulti(2,{BIP32[0]}/0/*,{BIP32[1]}/0/*))"
    (hit,) = (hit for hit in look(text).hits if hit.kind == "descriptor")
    assert descriptors.expand(hit.value, 20) == ([], "only pkh, wpkh, sh(wpkh) and tr with one key are expanded")
    assert found("wpkh(not a key) tr(hello)") == {}


@settings(max_examples=200, deadline=None)
@given(st.text("()wpkhtrs[]/*'h<>;0123456789abcdef#", max_size=150), st.sampled_from([KEY, BIP32[0]]))
def test_no_descriptor_breaks_the_parser(text: str, key: str) -> None:
    for candidate in (f"wpkh({text}{key}{text})", f"tr({key}/{text})"):
        look(candidate)
        with suppress(CalibarError):
            descriptors.expand(candidate, 2)
