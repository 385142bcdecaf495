from __future__ import annotations

from hashlib import sha256

import pytest
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from calibar.chains.bitcoin.transaction import Transaction, TxIn, TxOut
from calibar.sandbox.dice import Dice
from calibar.sandbox.keys import LONGEST_SIGNATURE, ORDER, Key
from calibar.sandbox.locks import Kind, Lock, segwit_digest


def test_the_nonce_is_the_one_of_rfc_6979() -> None:
    # The widely published secp256k1 vector: key 1, SHA-256 of "Satoshi Nakamoto".
    r, s = decode_dss_signature(Key(1).sign(sha256(b"Satoshi Nakamoto").digest())[:-1])
    assert f"{r:x}" == "934b1ea10a4b3c1757e2b0c017d0b6143ce3c9a7e6a4a49860d7a6ab210ee3d8"
    assert f"{s:x}" == "2442ce9d2b916064108014783e923ec36b49743e2ffa1c4496f01a512aafd9e5"


def test_signatures_are_low_s_and_never_longer_than_the_sketch() -> None:
    key = Key.of("low s")
    for number in range(50):
        signature = key.sign(sha256(bytes([number])).digest())
        _, s = decode_dss_signature(signature[:-1])
        assert s <= ORDER // 2
        assert len(signature) <= LONGEST_SIGNATURE


def test_a_text_gives_the_same_key_again() -> None:
    assert Key.of("a").public == Key.of("a").public != Key.of("b").public


def test_the_native_example_of_bip143_is_signed_as_printed_there() -> None:
    inputs = (
        TxIn("9f96ade4b41d5433f4eda31e1738ec2b36f6e7d1420d94a6af99801a88f7f7ff", 0, sequence=0xFFFFFFEE),
        TxIn("8ac60eb9575db5b2d987e29f301b5b819ea83a5c6579d282d189cc04b8e151ef", 1),
    )
    outputs = (
        TxOut(112340000, bytes.fromhex("76a9148280b37df378db99f66f85c95a783a76ac7a6d5988ac")),
        TxOut(223450000, bytes.fromhex("76a9143bde42dbee7e4dbe6a21b2d50ce2f0167faa815988ac")),
    )
    transaction = Transaction(1, inputs, outputs, 17)
    code = bytes.fromhex("76a9141d0f172a0ecb48aee1be1f2687d2963ae33f71a188ac")
    digest = segwit_digest(transaction, 1, code, 600_000_000)
    assert digest.hex() == "c37af31116d1b27caf68aae9e3ac82f1477929014d5b917657d0eb49478cb670"
    key = Key(0x619C335025C7F4012E556C2A58B2506E30B8511B53ADE95EA316FD8C3286FEB9)
    signature, public = Lock(Kind.P2WPKH, (key,)).unlock(transaction, 1, 600_000_000).witness
    assert public.hex() == "025476c2e83188368da1ff3e292e7acafcdb3566bb0ad253f62fc70f07aeee6357"
    assert signature.hex() == (
        "304402203609e17b84f6a7d30c80bfa610b5b4542f32a8a0d5447a12fb1366d7f01cc44a"
        "0220573a954c4518331561406f90300e8f3358f51928d43c212a8caed02de67eebee01"
    )


@pytest.mark.parametrize("kind", Kind)
def test_an_unlocked_input_is_no_larger_than_its_sketch(kind: Kind) -> None:
    lock = Lock(kind, tuple(Key.of(f"{kind}/{number}") for number in range(kind.keys)))
    draft = Transaction(2, (TxIn("11" * 32, 0),), (lock.out(1),))
    real = Transaction(2, (lock.unlock(draft, 0, 5_000),), draft.outputs)
    sketch = Transaction(2, (lock.sketch(draft.inputs[0]),), draft.outputs)
    assert 0 <= sketch.vsize - real.vsize <= 4


def test_dice_fall_the_same_way_again_and_within_their_range() -> None:
    assert [Dice("a").below(1000) for _ in range(3)] == [Dice("a").below(1000)] * 3
    dice = Dice("b").fork("c")
    assert dice.seed == "b/c"
    assert {dice.between(3, 5) for _ in range(100)} == {3, 4, 5}
    assert sorted(dice.some(range(5), 9)) == [0, 1, 2, 3, 4]
    assert 20 < sum(dice.chance(30) for _ in range(100)) < 45
