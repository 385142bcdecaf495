"""The rule on CoinJoins: by its fixture, against the slow reference, and on labelled real transactions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import wire
from hypothesis import given
from hypothesis import strategies as st
from reference import coinjoin as reference_coinjoin

from calibar.entities.heuristics.coinjoin import looks_like_coinjoin

Payment = tuple[list[bytes], list[tuple[int, bytes]]]
RETURN = b"\x6a\x01\x00"
FIXTURE = Path(__file__).with_name("coinjoin.txt")


def _lines() -> Iterator[tuple[bool, Payment, str]]:
    for line in FIXTURE.read_text("utf-8").splitlines():
        if line and not line.startswith("#"):
            text, _, what = line.partition("--")
            answer, payers, paid = re.fullmatch(r"(yes|no) +(.*) -> (.*)", text.strip()).groups()  # type: ignore[union-attr]
            outputs = [part.split() for part in paid.split(",")]
            scripts = [(int(value), RETURN if who == "return" else who.encode()) for value, who in outputs]
            yield answer == "yes", ([name.encode() for name in payers.split()], scripts), what.strip()


@pytest.mark.parametrize(("answer", "payment", "what"), list(_lines()), ids=[what for *_, what in _lines()])
def test_the_fixture(answer: bool, payment: Payment, what: str) -> None:
    assert looks_like_coinjoin(*payment) is answer, what
    assert _by_reference(payment) is answer, what


def _by_reference(payment: Payment) -> bool:
    inputs, outputs = payment
    names = {script: n for n, script in enumerate({*inputs, *(script for _, script in outputs)})}
    if RETURN in names:
        return False
    return reference_coinjoin({names[one] for one in inputs}, [(value, names[script]) for value, script in outputs])


_SCRIPTS = st.integers(0, 15).map(lambda n: bytes([n + 1]) * 3)


@given(st.lists(_SCRIPTS, max_size=16), st.lists(st.tuples(st.integers(0, 4), _SCRIPTS), max_size=16))
def test_it_equals_the_reference(inputs: list[bytes], outputs: list[tuple[int, bytes]]) -> None:
    assert looks_like_coinjoin(inputs, outputs) == _by_reference((inputs, outputs))


def _labelled(data: Path, name: str) -> list[Payment]:
    """Transactions of a file, a line each: `id:::…:::inputs:::outputs`, of which each is `…value+script+type`."""
    found = []
    for line in (data / "bitcoin" / "coinjoins" / name).read_text("utf-8").splitlines():
        sides = [[one.split("+") for one in re.split(r"\}\{?", part) if "+" in one] for part in line.split(":::")[4:6]]
        inputs, outputs = ([(one[0], bytes.fromhex(one[1])) for one in side] for side in sides)
        found.append(([script for _, script in inputs], [(int(value), script) for value, script in outputs]))
    return found


@pytest.mark.parametrize(
    ("name", "count", "hits"),
    [
        ("whirlpool-2024-03/SamouraiCoinJoins.txt", 1403, 1403),
        ("wasabi1-2021-08/WasabiCoinJoins.txt", 196, 196),
        ("whirlpool-2024-03/SamouraiTx0s.txt", 900, 151),
        ("whirlpool-2024-03/SamouraiPostMixTxs.txt", 2636, 257),
        ("wasabi1-2021-08/WasabiPostMixTxs.txt", 354, 12),
    ],
)
def test_labelled_real_transactions(data: Path, name: str, count: int, hits: int) -> None:
    """The figures in the rule's words, which are of these files."""
    payments = _labelled(data, name)
    assert (len(payments), sum(looks_like_coinjoin(*payment) for payment in payments)) == (count, hits)


def test_what_was_not_labelled_a_mix_and_has_the_shape_is_nearly_always_whirlpools(data: Path) -> None:
    names = ("whirlpool-2024-03/SamouraiTx0s.txt", "whirlpool-2024-03/SamouraiPostMixTxs.txt")
    hits = [payment for name in names for payment in _labelled(data, name) if looks_like_coinjoin(*payment)]
    pools = [p for p in hits if len({value for value, _ in p[1]}) == 1 and len(set(p[0])) == len(p[1]) in range(5, 9)]
    assert len(pools) == 402


def test_the_rounds_of_a_test_chain(data: Path) -> None:
    folder = data / "bitcoin" / "owned" / "wasabi2-regtest-10-wallets"
    rounds = set((folder / "CoinJoinIdStore.txt").read_text("utf-8").split())
    blocks = [json.loads(path.read_text("utf-8")) for path in sorted((folder / "block-json").glob("*.json"))]
    transactions = {tx["txid"]: tx for block in blocks for tx in block["tx"]}

    def payment_of(tx: dict[str, list[dict[str, dict[str, str]]]]) -> Payment:
        spent = [transactions[str(one["txid"])]["vout"][int(str(one["vout"]))] for one in tx["vin"]]
        outputs = [(round(float(str(out["value"])) * 1e8), out) for out in tx["vout"]]
        return (
            [bytes.fromhex(out["scriptPubKey"]["hex"]) for out in spent],
            [(value, bytes.fromhex(out["scriptPubKey"]["hex"])) for value, out in outputs],
        )

    payments = {txid: payment_of(tx) for txid, tx in transactions.items() if "coinbase" not in tx["vin"][0]}
    found = {txid for txid, payment in payments.items() if looks_like_coinjoin(*payment)}
    assert found == rounds
    assert (len(found), len(payments)) == (6, 11)


def test_whole_blocks_of_several_years(data: Path) -> None:
    """Who pays is not in a block; what he revealed to be allowed to is, and differs where the script does."""
    found = []
    for name in ("2018-09-05-segwit", "2019-05-02-segwit", "2021-09-30-taproot-era"):
        block = wire.parse((data / "bitcoin" / "blocks" / f"mainnet-{name}.raw").read_bytes())
        payments = [
            ([one.witness[-1] if one.witness else one.script_sig[-33:] for one in tx.inputs],
             [(out.value, out.script) for out in tx.outputs])
            for tx in block.transactions
        ]  # fmt: skip
        found.append((len(payments), sum(looks_like_coinjoin(*payment) for payment in payments)))
    assert found == [(3315, 0), (230, 0), (2500, 8)]
