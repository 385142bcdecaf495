"""Addresses in text, by EIP-55's own examples, and who signed."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st

from calibar.chains.ethereum import address
from calibar.chains.ethereum.keccak import keccak256
from calibar.chains.ethereum.signature import N, recover
from calibar.errors import AddressError, DecodeError

EIP_55 = (
    "0x52908400098527886E0F7030069857D2E4169EE7",
    "0x8617E340B3D01FA5F11F306F4090FD50E238070D",
    "0xde709f2102306220921060314715629080e2fb77",
    "0x27b1fdb04752bbc536007a920d24acb045561c26",
    "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
    "0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
    "0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
    "0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
)


@pytest.mark.parametrize("text", EIP_55)
def test_an_address_has_its_checksum(text: str) -> None:
    assert address.encode(address.decode(text)) == text
    assert address.decode(text.lower()) == address.decode(text) == address.decode("0x" + text[2:].upper())


def test_a_wrong_letter_is_refused() -> None:
    with pytest.raises(AddressError, match="checksum of 0x5aAeb6053f3E94C9b9A09f33669435E7Ef1BeAed does not fit"):
        address.decode("0x5aAeb6053f3E94C9b9A09f33669435E7Ef1BeAed")


@pytest.mark.parametrize(
    "text",
    ["", "0x", "5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed", "0x5a", "0x" + "g" * 40, "0x" + " " * 40, "0x" + "0" * 41],
)
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(AddressError) as error:
        address.decode(text)
    assert "\n" not in str(error.value)


def test_keccak_is_not_sha3() -> None:
    assert keccak256(b"").hex() == "c5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470"


@settings(deadline=None, max_examples=40)
@given(secret=st.integers(1, N - 1), digest=st.binary(min_size=32, max_size=32))
def test_a_signer_is_found(secret: int, digest: bytes) -> None:
    key = ec.derive_private_key(secret, ec.SECP256K1())
    r, s = utils.decode_dss_signature(key.sign(digest, ec.ECDSA(utils.Prehashed(hashes.SHA256()))))
    point = key.public_key().public_numbers()
    own = keccak256(point.x.to_bytes(32) + point.y.to_bytes(32))[12:]
    assert own in [recover(digest, r, s, parity) for parity in (0, 1)]


@pytest.mark.parametrize(("r", "s", "parity"), [(0, 1, 0), (1, 0, 0), (N, 1, 0), (1, N, 0), (1, 1, 2), (5, 1, 0)])
def test_what_no_key_signed_is_refused(r: int, s: int, parity: int) -> None:
    with pytest.raises(DecodeError, match="not one that a key can make"):
        recover(bytes(32), r, s, parity)
