from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calibar.chains.bitcoin import bech32
from calibar.chains.bitcoin.bech32 import Variant
from calibar.errors import AddressError

VALID_BECH32 = """
A12UEL5L
a12uel5l
an83characterlonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1tt5tgs
abcdef1qpzry9x8gf2tvdw0s3jn54khce6mua7lmqqqxw
11qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqc8247j
split1checkupstagehandshakeupstreamerranterredcaperred2y9e3w
?1ezyfcl
"""

VALID_BECH32M = """
A1LQFN3A
a1lqfn3a
an83characterlonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11sg7hg6
abcdef1l7aum6echk45nj3s0wdvt2fg8x9yrzpqzd3ryx
11llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllludsr8
split1checkupstagehandshakeupstreamerranterredcaperredlc445v
?1v759aa
"""

INVALID = [
    ("\x201nwldj5", "character 1 is ' '"),
    ("\x7f1axkwrx", "character 1 is"),
    ("\x801eym55h", "character 1 is"),
    ("an84characterslonghumanreadablepartthatcontainsthenumber1andtheexcludedcharactersbio1569pvx", "91 characters"),
    ("pzry9x0s0muk", "no '1' between"),
    ("1pzry9x0s0muk", "no prefix"),
    ("x1b4n0q5v", "character 3 is 'b'"),
    ("li1dgmt3", "too few"),
    ("de1lg7wt\xff", "character 9 is"),
    ("A1G7SGD8", "checksum"),
    ("10a06t8", "no prefix"),
    ("1qzzfhee", "no prefix"),
    ("\x201xj0phk", "character 1 is ' '"),
    ("\x7f1g6xzxy", "character 1 is"),
    ("\x801vctc34", "character 1 is"),
    ("an84characterslonghumanreadablepartthatcontainsthetheexcludedcharactersbioandnumber11d6pts4", "91 characters"),
    ("qyrz8wqd2c9m", "no '1' between"),
    ("1qyrz8wqd2c9m", "no prefix"),
    ("y1b0jsk6g", "character 3 is 'b'"),
    ("lt1igcx5c0", "character 4 is 'i'"),
    ("in1muywd", "too few"),
    ("mm1crxm3i", "character 9 is 'i'"),
    ("au1s5cgom", "character 8 is 'o'"),
    ("M1VUXWEZ", "checksum"),
    ("16plkw9", "no prefix"),
    ("1p2gdwpf", "no prefix"),
]

WITNESS_PROGRAMS = [
    ("BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4", 0, "751e76e8199196d454941c45d1b3a323f1433bd6"),
    (
        "tb1qrp33g0q5c5txsp9arysrx4k6zdkfs4nce4xj0gdcccefvpysxf3q0sl5k7",
        0,
        "1863143c14c5166804bd19203356da136c985678cd4d27a1b8c6329604903262",
    ),
    (
        "bc1pw508d6qejxtdg4y5r3zarvary0c5xw7kw508d6qejxtdg4y5r3zarvary0c5xw7kt5nd6y",
        1,
        "751e76e8199196d454941c45d1b3a323f1433bd6751e76e8199196d454941c45d1b3a323f1433bd6",
    ),
    ("BC1SW50QGDZ25J", 16, "751e"),
    ("bc1zw508d6qejxtdg4y5r3zarvaryvaxxpcs", 2, "751e76e8199196d454941c45d1b3a323"),
    (
        "tb1qqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesrxh6hy",
        0,
        "000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "tb1pqqqqp399et2xygdj5xreqhjjvcmzhxw4aywxecjdzew6hylgvsesf3hn0c",
        1,
        "000000c4a5cad46221b2a187905e5266362b99d5e91c6ce24d165dab93e86433",
    ),
    (
        "bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqzk5jj0",
        1,
        "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798",
    ),
]

REFUSED_WITNESS_PROGRAMS = [
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqh2y7hd", "checksum is bech32's.*takes bech32m's"),
    ("tb1z0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vqglt7rf", "checksum is bech32's.*takes bech32m's"),
    ("BC1S0XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ54WELL", "checksum is bech32's.*takes bech32m's"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kemeawh", "checksum is bech32m's.*takes bech32's"),
    ("tb1q0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq24jc47", "checksum is bech32m's.*takes bech32's"),
    ("bc1p38j9r5y49hruaue7wxjce0updqjuyyx0kh56v8s25huc6995vvpql3jow4", "character 60 is 'o'"),
    ("BC130XLXVLHEMJA6C4DQV22UAPCTQUPFHLXM9H8Z3K2E72Q4K9HCZ7VQ7ZWS8R", "character 4 stands for witness version 17"),
    ("bc1pw5dgrnzv", "2 to 40 bytes, not 1"),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v8n0nx0muaewav253zgeav", "2 to 40 bytes, not 41"),
    ("BC1QR508D6QEJXTDG4Y5R3ZARVARYV98GJ9P", "20 or 32 bytes, not 16"),
    ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vq47Zagq", "character 59 is the upper-case 'Z'"),
    ("bc1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7v07qwwzcrf", "a character too many"),
    ("tb1p0xlxvlhemja6c4dqv22uapctqupfhlxm9h8z3k2e72q4k9hcz7vpggkg4j", "character 56 has bits set that only pad"),
    ("bc1gmk9yu", "nothing between"),
    ("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t5", "probably character 42 is wrong"),
    ("bc1rw5uspcuh", "checksum"),
]

hrps = st.sampled_from(["bc", "tb", "bcrt"])
witness_programs = st.one_of(
    st.tuples(st.just(0), st.binary(min_size=20, max_size=20) | st.binary(min_size=32, max_size=32)),
    st.tuples(st.integers(1, 16), st.binary(min_size=2, max_size=40)),
)


@pytest.mark.parametrize(
    ("text", "variant"),
    [(t, Variant.BECH32) for t in VALID_BECH32.split()] + [(t, Variant.BECH32M) for t in VALID_BECH32M.split()],
)
def test_the_valid_texts_of_bip173_and_bip350_are_read_and_written(text: str, variant: Variant) -> None:
    hrp, values, found = bech32.decode(text)
    assert found is variant
    assert bech32.encode(hrp, values, variant) == text.lower()


@pytest.mark.parametrize(("text", "reason"), INVALID)
def test_the_invalid_texts_of_bip173_and_bip350_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        bech32.decode(text)


@pytest.mark.parametrize(("text", "version", "program"), WITNESS_PROGRAMS)
def test_the_addresses_of_bip350_are_read_and_written(text: str, version: int, program: str) -> None:
    hrp, *found = bech32.decode_witness(text)
    assert found == [version, bytes.fromhex(program)]
    assert bech32.encode_witness(hrp, version, bytes.fromhex(program)) == text.lower()


@pytest.mark.parametrize(("text", "reason"), REFUSED_WITNESS_PROGRAMS)
def test_the_invalid_addresses_of_bip173_and_bip350_are_refused_with_the_reason(text: str, reason: str) -> None:
    with pytest.raises(AddressError, match=reason):
        bech32.decode_witness(text)


@given(hrps, witness_programs)
def test_a_witness_program_survives_the_round_trip_in_both_cases(hrp: str, witness: tuple[int, bytes]) -> None:
    text = bech32.encode_witness(hrp, *witness)
    assert bech32.decode_witness(text) == bech32.decode_witness(text.upper()) == (hrp, *witness)


@given(hrps, witness_programs, st.data())
def test_a_single_wrong_character_is_located(hrp: str, witness: tuple[int, bytes], data: st.DataObject) -> None:
    text = bech32.encode_witness(hrp, *witness)
    at = data.draw(st.integers(len(hrp) + 1, len(text) - 1))
    wrong = data.draw(st.sampled_from(bech32.CHARSET.replace(text[at], "")))
    with pytest.raises(AddressError, match=rf"probably character (\d+ or )*{at + 1}( or \d+)* is wrong"):
        bech32.decode_witness(text[:at] + wrong + text[at + 1 :])


@given(hrps, witness_programs, st.data())
def test_up_to_four_wrong_characters_after_the_version_are_never_accepted(
    hrp: str, witness: tuple[int, bytes], data: st.DataObject
) -> None:
    text = bech32.encode_witness(hrp, *witness)
    places = data.draw(st.sets(st.integers(len(hrp) + 2, len(text) - 1), min_size=1, max_size=4))
    characters = list(text)
    for at in places:
        characters[at] = data.draw(st.sampled_from(bech32.CHARSET.replace(text[at], "")))
    with pytest.raises(AddressError):
        bech32.decode_witness("".join(characters))


def test_a_one_in_the_data_is_named_where_the_prefix_is_known() -> None:
    with pytest.raises(AddressError, match="character 9 is '1'"):
        bech32.decode_witness("bc1qw508116qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "bc")


def test_a_text_with_another_prefix_than_the_known_one_is_refused() -> None:
    with pytest.raises(AddressError, match="does not begin with tb1"):
        bech32.decode("bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4", "tb")


def test_the_case_of_fewer_letters_is_the_odd_one() -> None:
    text = "BC1QW508D6QEJXTDG4Y5R3ZARVARY0C5XW7KV8F3T4"
    with pytest.raises(AddressError, match=re.escape("character 9 is the lower-case 'd', and 1 more")):
        bech32.decode(text[:7] + text[7:11].lower() + text[11:])


@given(st.text(max_size=100), st.sampled_from(["", "bc1", "BC1", "tb1q"]))
def test_any_text_is_decoded_or_refused_in_one_line(text: str, start: str) -> None:
    for decode in (bech32.decode, bech32.decode_witness):
        try:
            decode(start + text)
        except AddressError as error:
            assert "\n" not in str(error)
