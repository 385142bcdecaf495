"""Scripts and addresses against Core's own vectors and a real chain, another library, and a second reading of Core."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import bip_utils
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.bitcoin import base58, bech32, script
from calibar.chains.bitcoin.networks import NETWORKS, network
from calibar.chains.bitcoin.script import ScriptKind, address_of, kind_of, same_key_forms, script_of
from calibar.errors import AddressError, UsageError
from calibar.kernels import scripts as kernels

MAINNET, TESTNET, REGTEST = network("mainnet"), network("testnet3"), network("regtest")
GENERATOR = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")
GENERATOR_Y = bytes.fromhex("483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8")
UNCOMPRESSED = b"\x04" + GENERATOR[1:] + GENERATOR_Y
GENESIS_SCRIPT = bytes.fromhex(
    "4104678afdb0fe5548271967f1a67130b7105cd6a828e03909a67962e0ea1f61deb6"
    "49f6bc3f4cef38c4f35504e51ec112de5c384df7ba0b8d578a4c702b6bf11d5fac"
)
ANCHOR = bytes.fromhex("51024e73")
_uncompiled: Callable[..., int] = getattr(kernels.script_kind, "py_func", kernels.script_kind)

CORE_ADDRESSES = """
mainnet 1FsSia9rv4NeEwvJ2GvXrX7LyxYspbN2mo 76a914a31c06bd463e3923bc1aadbde48b16976c08071788ac
mainnet 36j4NfKv6Akva9amjWrLG6MuSQym1GuEmm a914373b819a068f32b7a6b38b6b38729647cfde01c287
testnet4 mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ 76a914ce28b26c57472737f5c3561a1761185bd8589a4388ac
testnet4 2NC2hEhe28ULKAJkW5MjZ3jtTMJdvXmByvK a914ce0bba75891ff9ec60148d4bd4a09ee2dc5c933187
signet mww4LvqtTMKvmeQvizPz2EQv26xTneWrbg 76a914b4110ba93ac54afc14da3bdd19614774a2d55d2988ac
signet 2N1r7aC69VHeE7yQJPDLi9T1PYq4wnwvjuT a9145e5a35ab44b3efaea5129ba22b88ba3e2976614587
regtest n4fajahJrAuKbN7uNsKjLjQkz9Qn5ewJXQ 76a914fdeca3b08e38af53d7c4c60e3ad208ce5066441088ac
regtest 2MxFajLApXpYk4VodBSZSt7rw8y4ryABkfA a91436e9f191e0b75036a77f65e2eaa4752443233fbe87
mainnet bc1qvyq0cc6rahyvsazfdje0twl7ez82ndmuac2lhv 00146100fc6343edc8c874496cb2f5bbfec88ea9b77c
mainnet bc1z2rksukkjr8 520250ed
testnet4 tb1rgv5m6uvdk3kc7qsuz0c79v88ycr5w4wa 53104329bd718db46d8f021c13f1e2b0e726
signet tb1q3vya2h5435jkugq2few7dmktlrwq4ejmfaw7kr 00148b09d55e958d256e200a4e5de6eecbf8dc0ae65b
regtest bcrt1qdavt4j2sd7dlhqsavtnfxvzppw6k7qy97tmnu9 00146f58bac9506f9bfb821d62e69330410bb56f0085
mainnet bc1pfeessrawgf 51024e73
"""

CORE_REFUSALS = """
x 37G2kMDLpmWVhimxRdzwNfE8JFvWXnJYnVcXeeGrek2qumdJuK7XArcVVpRtLLjRra3t64BEPF2 tc1qeul5g2xfkvdkrhcfmdursv73ad64jnkjl9c40f
bt1pq65rzej5glw3ra79gav6fqnx4haa0z257qr3mc8cggkefahmgvyseufhc0 bcrt1r2qxpwuge KzNbAQ4mexfAxa6RKBzHQqfoTycaeWpv2p
tb13hty4qmumlwpp6chxjvcyzza4duqgtmxw3xhm3u9ahj4nyhtwz8eq7ynrj4 tb1qum6uh0pt4q253qaf520929737v63w5gf tb1dclvmr
bcrt1qzwmyj0z924g7fzs5yvnrkc43y76RVyr2lh5t4r 2UVPFpGYnLHJezFzjUo42our6PMEoozzRdM 2MygHQjE1U33q3LSC53p69YqFjP8PihumJAF
sp1qq22l5s6l9460ww6t4tkzsy2a7zejurcmzz35pt0ffrzk5erlaykdcznsxsn AZEah8d1EK362okRBS66e8SvdtYkrE8tsX
"""

hashes, programs = st.binary(min_size=20, max_size=20), st.binary(min_size=32, max_size=32)
networks = st.sampled_from(list(NETWORKS.values()))
addressable = st.one_of(
    hashes.map(script.p2pkh),
    hashes.map(script.p2sh),
    hashes.map(script.p2wpkh),
    programs.map(script.p2wsh),
    programs.map(script.p2tr),
    st.tuples(st.integers(2, 16), st.binary(min_size=2, max_size=40)).map(lambda t: script.witness_future(*t)),
)


def _pushes(data: bytes) -> st.SearchStrategy[bytes]:
    """Every encoding of a push, the longest ones that Core's parser accepts included."""
    size = len(data)
    headers = [bytes([size]), b"\x4c" + bytes([size]), b"\x4d" + size.to_bytes(2, "little")]
    return st.sampled_from([*headers, b"\x4e" + size.to_bytes(4, "little")]).map(lambda header: header + data)


keys = st.sampled_from([GENERATOR, b"\x03" * 33, UNCOMPRESSED, b"\x06" * 65, b"\x07" * 65])
odd_keys = keys | st.sampled_from([b"\x04" * 33, b"\x02" * 65, b"\x05" * 65, b"\x02" * 32])
odd_numbers = st.integers(0, 18).map(lambda n: bytes([0x50 + n])) | st.integers(0, 255).map(lambda n: bytes([1, n]))


@st.composite
def _multisig_like(draw: st.DrawFn) -> bytes:
    """Bare multisig, right half the time, else off in one place: m, a key, n or the end."""
    total = draw(st.integers(1, 21))
    parts = [script._number(draw(st.integers(1, total)))]
    parts += draw(st.lists(keys.flatmap(_pushes), min_size=total, max_size=total))
    parts += [script._number(total), b"\xae"]
    if draw(st.booleans()):
        at = draw(st.sampled_from([0, 1, -2, -1]))
        ends = st.sampled_from([b"", b"\xae\xae", b"\xac"])
        parts[at] = draw({0: odd_numbers, 1: odd_keys.flatmap(_pushes), -2: odd_numbers, -1: ends}[at])
    return b"".join(parts)


key_like = st.tuples(st.sampled_from([33, 65]), st.integers(1, 8), st.sampled_from([b"\xac", b"\xae"])).map(
    lambda t: bytes([t[0], t[1]]) + bytes(t[0] - 1) + t[2]
)
witness_like = st.tuples(st.integers(0x4F, 0x62) | st.just(0), st.integers(0, 45), st.integers(-1, 1)).map(
    lambda t: bytes([t[0], t[1]]) + bytes(max(0, t[1] + t[2]))
)
any_script = st.one_of(
    st.binary(max_size=80), _multisig_like(), key_like, witness_like, addressable, st.binary().map(script.op_return)
)
damaged_script = st.tuples(any_script, st.integers(0, 70), st.binary(max_size=1), st.integers(0, 1)).map(
    lambda t: t[0][: t[1]] + t[2] + t[0][t[1] + t[3] :]
)


def _operations(code: bytes) -> list[tuple[int, bytes]] | None:
    """The whole script as (opcode, pushed data); None for what follows a push that runs past the end."""
    found, at = [], 0
    while at < len(code):
        opcode, width = code[at], {0x4C: 1, 0x4D: 2, 0x4E: 4}.get(code[at], 0)
        at += 1 + width
        size = int.from_bytes(code[at - width : at], "little") if width else opcode if opcode < 0x4C else 0
        if at + size > len(code):
            return None
        found.append((opcode, code[at : at + size]))
        at += size
    return found


def _is_multisig(code: bytes) -> bool:
    """A second reading of Core's rule, by whole operations and a pattern."""

    def number(operation: tuple[int, bytes]) -> int:
        opcode, data = operation
        return opcode - 0x50 if 0x51 <= opcode <= 0x60 else data[0] if opcode == 1 and data[0] in range(17, 21) else 99

    match _operations(code):
        case [first, *middle, last, (0xAE, b"")]:
            valid = all(data and {2: 33, 3: 33, 4: 65, 6: 65, 7: 65}.get(data[0]) == len(data) for _, data in middle)
            return valid and number(last) == len(middle) and number(first) <= len(middle) <= 20
    return False


def _expected(code: bytes) -> ScriptKind:
    patterns = {
        ScriptKind.OP_RETURN: rb"\x6a.*",
        ScriptKind.P2SH: rb"\xa9\x14.{20}\x87",
        ScriptKind.P2PKH: rb"\x76\xa9\x14.{20}\x88\xac",
        ScriptKind.P2PK: rb"\x21[\x02\x03].{32}\xac|\x41[\x04\x06\x07].{64}\xac",
        ScriptKind.P2WPKH: rb"\x00\x14.{20}",
        ScriptKind.P2WSH: rb"\x00\x20.{32}",
        ScriptKind.P2TR: rb"\x51\x20.{32}",
    }
    for kind, pattern in patterns.items():
        if re.fullmatch(pattern, code, re.DOTALL):
            return kind
    if re.fullmatch(rb"[\x51-\x60][\x02-\x28].*", code, re.DOTALL) and code[1] == len(code) - 2:
        return ScriptKind.WITNESS_FUTURE
    return ScriptKind.MULTISIG if _is_multisig(code) else ScriptKind.NONSTANDARD


class Fenced:
    """A script that lies inside other bytes and breaks when these are read."""

    def __init__(self, code: bytes, start: int) -> None:
        self.code, self.start = code, start

    def __getitem__(self, at: int) -> np.uint8:
        assert self.start <= at < self.start + len(self.code)
        return np.uint8(self.code[at - self.start])


@settings(max_examples=400, deadline=None)  # the first call compiles
@given(any_script | damaged_script, st.integers(0, 3), st.binary(max_size=3))
def test_the_kernel_says_what_core_says_and_reads_nothing_outside_the_script(
    code: bytes, start: int, after: bytes
) -> None:
    expected = _expected(code)
    surrounded = np.frombuffer(b"\xae" * start + code + after, np.uint8)
    assert kernels.script_kind(surrounded, start, len(code)) == expected
    assert _uncompiled(Fenced(code, start), start, len(code)) == expected
    assert kind_of(code) is expected
    assert address_of(code, MAINNET)


@given(st.integers(1, 20), st.integers(1, 20), st.lists(keys, min_size=20, max_size=20))
def test_built_multisig_is_multisig_up_to_20_keys(required: int, total: int, all_keys: list[bytes]) -> None:
    if required > total:
        with pytest.raises(UsageError):
            script.multisig(required, all_keys[:total])
    else:
        assert kind_of(script.multisig(required, all_keys[:total])) is ScriptKind.MULTISIG


def test_the_codes_of_the_kernel_are_the_kinds() -> None:
    assert {kind.name: kind.value for kind in ScriptKind} == {
        kind.name: getattr(kernels, kind.name) for kind in ScriptKind
    }
    assert [kind.label for kind in ScriptKind][7:] == ["multisig", "op-return", "witness-future"]


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (b"", ScriptKind.NONSTANDARD),
        (GENESIS_SCRIPT, ScriptKind.P2PK),
        (ANCHOR, ScriptKind.WITNESS_FUTURE),
        (b"\x6a\x01\x4b\x93", ScriptKind.OP_RETURN),
        (b"\0\x13" + b"\1" * 19, ScriptKind.NONSTANDARD),
        (script.p2pk(b"\6" + UNCOMPRESSED[1:]), ScriptKind.P2PK),
        (b"\x51\x4c\x21" + GENERATOR + b"\x51\xae", ScriptKind.MULTISIG),
        (b"\1\1\x21" + GENERATOR + b"\x51\xae", ScriptKind.NONSTANDARD),
        (b"\x51\x51\xae", ScriptKind.NONSTANDARD),
        (b"\0\x21" + GENERATOR + b"\x51\xae", ScriptKind.NONSTANDARD),
        (b"\x59\x93\x5b\x87", ScriptKind.NONSTANDARD),
    ],
)
def test_edges_that_core_tests(code: bytes, kind: ScriptKind) -> None:
    assert kind_of(code) is kind


def test_core_drops_op_return_and_oversized_scripts_from_its_utxo_set() -> None:
    for code, gone in [(b"", False), (b"\x6a", True), (b"\x51" * 10_000, False), (b"\x51" * 10_001, True)]:
        assert script.is_unspendable(code) is gone
        assert kernels.is_unspendable(np.frombuffer(code, np.uint8), 0, len(code)) == gone
    assert script.is_unspendable(script.op_return(b"proof"))


@given(addressable, networks)
def test_an_address_gives_its_script_back_on_every_network(code: bytes, chain: Any) -> None:
    address = address_of(code, chain)
    assert script_of(address, chain) == code
    for other in NETWORKS.values():
        if address_of(code, other) != address:
            with pytest.raises(AddressError, match=f"is a .* address of .*{chain.name}.*, not of {other.name}"):
                script_of(address, other)


@settings(max_examples=150)
@given(addressable, networks, st.data())
def test_a_single_mistyped_character_is_never_accepted(code: bytes, chain: Any, data: st.DataObject) -> None:
    address = address_of(code, chain)
    at = data.draw(st.integers(0, len(address) - 1))
    wrong = data.draw(st.characters(exclude_characters=address[at], max_codepoint=0x17F))
    with pytest.raises(AddressError) as refused:
        script_of(address[:at] + wrong + address[at + 1 :], chain)
    assert "\n" not in str(refused.value)


@given(st.text(max_size=120), st.sampled_from(["", "bc1", "1", "script:"]), networks)
def test_any_text_is_an_address_or_refused(text: str, start: str, chain: Any) -> None:
    try:
        assert address_of(script_of(start + text, chain), chain) in (start + text, (start + text).lower())
    except AddressError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize("line", CORE_ADDRESSES.strip().splitlines())
def test_the_addresses_of_cores_own_tests(line: str) -> None:
    name, address, code = line.split()
    assert address_of(bytes.fromhex(code), network(name)) == address
    assert script_of(address, network(name)).hex() == code


@pytest.mark.parametrize("text", CORE_REFUSALS.split())
def test_what_core_refuses_is_refused_on_every_network(text: str) -> None:
    for chain in NETWORKS.values():
        with pytest.raises(AddressError):
            script_of(text, chain)


@pytest.mark.parametrize(
    ("chain", "conf"),
    [
        (MAINNET, bip_utils.CoinsConf.BitcoinMainNet),
        (TESTNET, bip_utils.CoinsConf.BitcoinTestNet),
        (REGTEST, bip_utils.CoinsConf.BitcoinRegTest),
    ],
    ids=["mainnet", "testnet", "regtest"],
)
@settings(max_examples=15)
@given(secret=st.integers(1, 2**250))
def test_another_library_gives_the_same_addresses(chain: Any, conf: Any, secret: int) -> None:
    public = bip_utils.Secp256k1PrivateKey.FromBytes(secret.to_bytes(32)).PublicKey()
    key, long_key = public.RawCompressed().ToBytes(), public.RawUncompressed().ToBytes()
    long_mode = bip_utils.P2PKHPubKeyModes.UNCOMPRESSED
    theirs = {
        "p2pkh-compressed": bip_utils.P2PKHAddrEncoder.EncodeKey(key, net_ver=conf.ParamByKey("p2pkh_net_ver")),
        "p2pkh-uncompressed": bip_utils.P2PKHAddrEncoder.EncodeKey(
            key, net_ver=conf.ParamByKey("p2pkh_net_ver"), pub_key_mode=long_mode
        ),
        "p2wpkh": bip_utils.P2WPKHAddrEncoder.EncodeKey(key, hrp=conf.ParamByKey("p2wpkh_hrp")),
        "p2sh-p2wpkh": bip_utils.P2SHAddrEncoder.EncodeKey(key, net_ver=conf.ParamByKey("p2sh_net_ver")),
    }
    for given_key in (key, long_key, script.p2pk(key), script.p2pk(long_key)):
        assert theirs.items() <= dict(same_key_forms(given_key, chain)).items()
    taproot = bip_utils.P2TRAddrEncoder.EncodeKey(key, hrp=conf.ParamByKey("p2tr_hrp"))
    code = script_of(taproot, chain)
    assert kind_of(code) is ScriptKind.P2TR
    assert address_of(code, chain) == taproot
    assert code[2:] == bip_utils.P2TRAddrDecoder.DecodeAddr(taproot, hrp=chain.hrp)


def test_a_real_chain_has_the_kinds_and_addresses_that_core_printed(data: Path) -> None:
    core_names = {"witness_v0_keyhash": "p2wpkh", "nulldata": "op-return", "pubkey": "p2pk"}
    seen: Counter[str] = Counter()
    for path in (data / "bitcoin/owned/wasabi2-regtest-10-wallets/block-json").glob("*.json"):
        block = json.loads(path.read_text())
        for said in (o["scriptPubKey"] for tx in block.get("result", block)["tx"] for o in tx["vout"]):
            code = bytes.fromhex(said["hex"])
            kind = kind_of(code).label
            assert kind == core_names[said["type"]]
            assert address_of(code, REGTEST) == said.get("address", f"script:{hashlib.sha256(code).hexdigest()}")
            assert "address" not in said or script_of(said["address"], REGTEST) == code
            seen[kind] += 1
    assert seen == {"p2wpkh": 597, "op-return": 323, "p2pk": 1}


def test_real_mainnet_scripts_have_the_kinds_that_another_tool_printed(data: Path) -> None:
    names = {
        "Keyhash": "p2wpkh",
        "NullData": "op-return",
        "V0Scripthash": "p2wsh",
        "xScripthash": "p2sh",
        "xPubkeyhash": "p2pkh",
    }
    seen: Counter[str] = Counter()
    for name in ("whirlpool-2024-03/SamouraiTx0s.txt", "wasabi1-2021-08/WasabiPostMixTxs.txt"):
        text = (data / "bitcoin/coinjoins" / name).read_text()
        for code, said in set(re.findall(r"\+([0-9a-f]+)\+(Tx\w+)", text)):
            kind = kind_of(bytes.fromhex(code)).label
            assert kind == next(ours for theirs, ours in names.items() if said.endswith(theirs))
            seen[kind] += 1
    assert set(seen) == set(names.values())


def test_sanctioned_addresses_survive_the_round_trip_and_the_stray_tron_one_is_named(data: Path) -> None:
    strays = []
    for address in (data / "labels/ofac/sanctioned_addresses_XBT.txt").read_text().split():
        try:
            assert address_of(script_of(address, MAINNET), MAINNET) == address
        except AddressError as error:
            strays.append(str(error))
    assert len(strays) == 1
    assert "is an address of TRON" in strays[0]


def test_the_key_and_its_hash_name_the_other_forms() -> None:
    short, long, segwit, nested = (
        "1BgGZ9tcN4rm9KBzDn7KprQz87SZ26SAMH",
        "1EHNa6Q4Jz2uvNExL497mE43ikXhwF6kZm",
        "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
        "3JvL6Ymt8MVWiCNHC7oWU6nLeHNJKLZGLN",
    )
    forms = same_key_forms(GENERATOR, MAINNET)
    assert forms == [
        ("p2pk-compressed", address_of(script.p2pk(GENERATOR), MAINNET)),
        ("p2pk-uncompressed", address_of(script.p2pk(UNCOMPRESSED), MAINNET)),
        ("p2pkh-compressed", short),
        ("p2pkh-uncompressed", long),
        ("p2wpkh", segwit),
        ("p2sh-p2wpkh", nested),
    ]
    asked: list[str | bytes] = [UNCOMPRESSED, UNCOMPRESSED.hex(), GENERATOR.hex().upper(), script.p2pk(GENERATOR).hex()]
    assert all(same_key_forms(text, MAINNET) == forms for text in asked)
    from_hash = [("p2pkh", short), ("p2wpkh", segwit), ("p2sh-p2wpkh", nested)]
    assert same_key_forms(short, MAINNET) == same_key_forms(segwit, MAINNET) == from_hash
    assert same_key_forms(nested, MAINNET) == same_key_forms(script.op_return(b""), MAINNET) == []


def test_a_hybrid_key_is_one_more_form_and_no_point_has_no_other() -> None:
    hybrid = b"\x06" + UNCOMPRESSED[1:]
    assert dict(same_key_forms(hybrid, MAINNET)).items() > dict(same_key_forms(GENERATOR, MAINNET)).items()
    wrong_parity, off_curve, too_large = (
        b"\x07" + UNCOMPRESSED[1:],
        b"\x02" + bytes(31) + b"\x05",
        b"\x03" + b"\xff" * 32,
    )
    for key in (wrong_parity, off_curve, too_large):
        assert [form for form, _ in same_key_forms(key, MAINNET)] == ["p2pk", "p2pkh"]
    assert same_key_forms(GENESIS_SCRIPT, MAINNET)[3] == ("p2pkh-uncompressed", "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("script:" + "00" * 32, "name a coin instead"),
        (base58.encode(b"\x80" + b"\7" * 33), "is a private key"),
        (base58.encode(b"\x04\x88\xb2\x1e" + b"\7" * 74), "is an extended key"),
        (base58.encode(b"\x00" + b"\7" * 19), "20 bytes instead of 21"),
        (base58.encode(b"\x30" + b"\7" * 20), "no Bitcoin network .version byte 48"),
        (bech32.encode_witness("ltc", 0, b"\7" * 20), "the prefix ltc, which no Bitcoin network uses"),
        (
            "mzK2FFDEhxqHcmrJw1ysqFkVyhUULo45hZ",
            "P2PKH address of testnet3, testnet4, signet, regtest or litecoin-regtest, not of mainnet",
        ),
        ("bcrt1qdavt4j2sd7dlhqsavtnfxvzppw6k7qy97tmnu9", "SegWit address of regtest, not of mainnet"),
    ],
)
def test_what_is_no_address_of_this_network_is_told_what_it_is(text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        script_of(text, MAINNET)


@pytest.mark.parametrize(
    "key", ["5JuW2AMDYu4xVwRG9DZW18VbzQrGcd5RCgb99sS6ehJsNQXu5b9", "5JuW2AMDYu4xVwRG9DZW18VbzQrGcd5RC"]
)
def test_a_private_key_is_never_repeated_in_full(key: str) -> None:
    for text in (key, key.replace("9", "8"), key + "2" * 10):
        with pytest.raises(AddressError) as refused:
            script_of(text, MAINNET)
        assert len(text) <= 35 or text[:8] not in str(refused.value)


@given(st.integers(0, 70_000))
def test_op_return_pushes_its_data_once(size: int) -> None:
    code = script.op_return(bytes(size))
    assert _operations(code) == [(0x6A, b""), (code[1], bytes(size))]


def test_builders_refuse_wrong_sizes() -> None:
    for build in (script.p2pk, script.p2pkh, script.p2sh, script.p2wpkh, script.p2wsh, script.p2tr):
        with pytest.raises(UsageError):
            build(bytes(21))
    for version, size in ((0, 20), (17, 20), (1, 32), (2, 1), (2, 41)):
        with pytest.raises(UsageError):
            script.witness_future(version, bytes(size))


def test_hash160_without_openssls_ripemd_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = script.hash160(GENERATOR)
    assert expected.hex() == "751e76e8199196d454941c45d1b3a323f1433bd6"

    def missing(*_: Any, **__: Any) -> None:
        raise ValueError("unsupported hash type ripemd160")

    monkeypatch.setattr(hashlib, "new", missing)
    assert script.hash160(GENERATOR) == expected


def test_importing_the_module_does_not_import_numba() -> None:
    code = "import sys, calibar.chains.bitcoin.script; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
