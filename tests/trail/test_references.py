"""What a REF names: coins, transactions, addresses; all of them or part; and who comes first."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

import calibar
from calibar.chains.bitcoin import script
from calibar.chains.bitcoin.networks import COIN, NETWORKS
from calibar.chains.bitcoin.script import address_of
from calibar.chains.bitcoin.transaction import (
    Block,
    Header,
    Transaction,
    TxIn,
    TxOut,
    assemble,
    compact_target,
    mined,
    record,
)
from calibar.errors import UsageError
from calibar.ledger.ingest import ingest
from calibar.sandbox.economy import genesis

REGTEST = NETWORKS["regtest"]
ANN, BOB, CAM = (script.p2wpkh(bytes([n]) * 20) for n in (1, 2, 3))
NOTE = script.op_return(b"for whom it may concern")
KEY = bytes.fromhex("0279be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798")


def address(lock: bytes) -> str:
    return address_of(lock, REGTEST)


class Story:
    """Ann is paid three times; what she got first goes to Bob, who pays Cam in the same block.

    Height 1: a coinbase of 50 to Ann. Height 2: a coinbase to a bare key. Height 3: Ann's 50 become 20 for Bob,
    29 for Ann, 0 for Cam and a note of 1,000 satoshi; Bob's 20 become 15 for Cam and 5 for Ann. Height 4: Cam's 15
    and Ann's 29 become 44 for Bob.
    """

    def __init__(self) -> None:
        self.blocks = [genesis()]
        self.reward = self.mine(TxOut(50 * COIN, ANN))
        self.bare = self.mine(TxOut(50 * COIN, script.p2pk(KEY)))
        self.split = self.pay(
            [f"{self.reward.txid}:0"],
            [
                TxOut(20 * COIN, BOB),
                TxOut(29 * COIN, ANN),
                TxOut(0, CAM),
                TxOut(1_000, NOTE),
            ],
        )
        self.onward = self.pay([f"{self.split.txid}:0"], [TxOut(15 * COIN, CAM), TxOut(5 * COIN, ANN)])
        self.mine(TxOut(0, CAM), self.split, self.onward)
        self.joined = self.pay([f"{self.onward.txid}:0", f"{self.split.txid}:1"], [TxOut(44 * COIN, BOB)])
        self.mine(TxOut(0, CAM), self.joined)

    def mine(self, reward: TxOut, *transactions: Transaction) -> Transaction:
        height = len(self.blocks)
        time = 1_700_000_000 + 600 * height
        self.blocks.append(
            assemble(REGTEST, height, self.blocks[-1].hash, time, [reward], transactions=list(transactions))
        )
        return self.blocks[-1].transactions[0]

    def pay(self, coins: list[str], outputs: list[TxOut]) -> Transaction:
        return Transaction(2, tuple(TxIn(coin[:64], int(coin[65:])) for coin in coins), tuple(outputs))


@pytest.fixture(scope="module")
def story() -> Story:
    return Story()


def _ingested(folder: Path, blocks: list[Block]) -> calibar.Ledger:
    path = folder / "chain.dat"
    path.write_bytes(b"".join(record(REGTEST, block) for block in blocks))
    ingest([path], folder / "ledger")
    return calibar.open(folder / "ledger")


@pytest.fixture(scope="module")
def ledger(story: Story, tmp_path_factory: pytest.TempPathFactory) -> calibar.Ledger:
    return _ingested(tmp_path_factory.mktemp("story"), story.blocks)


def labelled(ledger: calibar.Ledger, *refs: str, **policy: Any) -> list[tuple[str, str, int]]:
    return [tuple(row.values()) for row in ledger.trace(*refs, **policy).document["sources"]]


def test_a_coin_is_one_output(ledger: calibar.Ledger, story: Story) -> None:
    coin = f"{story.split.txid}:1"
    assert labelled(ledger, coin) == [("S0", coin, 29 * COIN)]
    assert labelled(ledger, coin.upper()) == [("S0", coin, 29 * COIN)]


def test_a_transaction_is_all_its_outputs(ledger: calibar.Ledger, story: Story) -> None:
    txid = story.split.txid
    expected = [(f"{txid}:{n}", value) for n, value in enumerate((20 * COIN, 29 * COIN, 0, 1_000))]
    assert labelled(ledger, txid) == [("S0", coin, value) for coin, value in expected]


def test_an_address_is_all_that_was_paid_to_it(ledger: calibar.Ledger, story: Story) -> None:
    # What came back to Ann from her own 50 carries its label already.
    assert labelled(ledger, address(ANN)) == [
        ("S0", f"{story.reward.txid}:0", 50 * COIN),
        ("S0", f"{story.split.txid}:1", 0),
        ("S0", f"{story.onward.txid}:1", 0),
    ]
    assert labelled(ledger, address(ANN).upper()) == labelled(ledger, address(ANN))
    assert labelled(ledger, address(ANN), as_of=2) == [("S0", f"{story.reward.txid}:0", 50 * COIN)]


def test_a_script_without_an_address_is_named_by_its_digest(ledger: calibar.Ledger, story: Story) -> None:
    bare = script.p2pk(KEY)
    assert address(bare) == f"script:{sha256(bare).hexdigest()}"
    assert labelled(ledger, address(bare)) == [("S0", f"{story.bare.txid}:0", 50 * COIN)]
    trail = ledger.trace(address(NOTE))
    assert [(h["coin"], h["reason"]) for h in trail.holdings] == [(f"{story.split.txid}:3", "unspendable")]


def test_another_address_of_the_same_key_is_another_address(ledger: calibar.Ledger) -> None:
    hashed = address(script.p2pkh(script.hash160(KEY)))
    with pytest.raises(UsageError, match=address(script.p2pk(KEY))):
        ledger.trace(hashed)


def test_part_of_a_coin_is_its_front(ledger: calibar.Ledger, story: Story) -> None:
    trail = ledger.trace(f"{story.reward.txid}:0={20 * COIN + 5}", segments=True)
    assert trail.totals["S0"]["in"] == 20 * COIN + 5
    first = trail.steps[0]
    assert [output["traced"] for output in first["outputs"]] == [{"S0": 20 * COIN}, {"S0": 5}, {}, {}]
    assert first["inputs"][0]["segments"] == [["S0", 20 * COIN + 5], ["clean", 30 * COIN - 5]]


def test_part_of_a_transaction_fills_its_outputs_in_order(ledger: calibar.Ledger, story: Story) -> None:
    amounts = [amount for _, _, amount in labelled(ledger, f"{story.split.txid}={20 * COIN + 7}")]
    assert amounts == [20 * COIN, 7, 0, 0]


def test_part_of_an_address_fills_its_coins_in_chain_order(ledger: calibar.Ledger, story: Story) -> None:
    trail = ledger.trace(f"{address(CAM)}={3 * COIN}")
    assert [(row["coin"], row["amount"]) for row in trail.document["sources"] if row["amount"]] == [
        (f"{story.onward.txid}:0", 3 * COIN)
    ]
    assert trail.totals["S0"] == {"in": 3 * COIN, "held": 3 * COIN, "stopped": 0, "fees": 0, "burnt": 0}


def test_all_of_a_coin_by_its_amount_is_all_of_it(ledger: calibar.Ledger, story: Story) -> None:
    whole, named = (
        ledger.trace(f"{story.reward.txid}:0{part}")
        for part in (
            "",
            f"={50 * COIN}",
        )
    )
    assert named.digest == whole.digest


def test_more_than_there_is_is_a_wrong_question(ledger: calibar.Ledger, story: Story) -> None:
    for ref, most in ((f"{story.split.txid}:1", 29 * COIN), (story.split.txid, 49 * COIN + 1_000)):
        assert ledger.trace(f"{ref}={most}").totals["S0"]["in"] == most
        with pytest.raises(UsageError, match=str(most)):
            ledger.trace(f"{ref}={most + 1}")


def test_the_first_label_in_chain_order_keeps_what_it_has(ledger: calibar.Ledger, story: Story) -> None:
    """However the REFs are ordered: Ann's 50 come first, so Bob's 20 carry her label before they are his."""
    early, late = f"{story.reward.txid}:0={30 * COIN}", f"{story.split.txid}:1"
    for refs, names in (((early, late), ("S0", "S1")), ((late, early), ("S1", "S0"))):
        totals = ledger.trace(*refs).totals
        assert totals[names[0]]["in"] == 30 * COIN
        assert totals[names[1]]["in"] == 19 * COIN  # of the 29, 10 carry the other label


def test_of_one_coin_the_first_named_takes_first(ledger: calibar.Ledger, story: Story) -> None:
    coin = f"{story.split.txid}:1"
    assert labelled(ledger, f"{coin}={9 * COIN}", coin) == [("S0", coin, 9 * COIN), ("S1", coin, 20 * COIN)]
    assert labelled(ledger, f"{story.split.txid}={21 * COIN}", coin) == [
        ("S0", f"{story.split.txid}:0", 20 * COIN),
        ("S0", coin, COIN),
        ("S0", f"{story.split.txid}:2", 0),
        ("S0", f"{story.split.txid}:3", 0),
        ("S1", coin, 28 * COIN),
    ]


def test_labels_are_numbered_as_declared(ledger: calibar.Ledger, story: Story) -> None:
    refs = [f"{story.onward.txid}:1", f"{story.bare.txid}:0", f"{story.reward.txid}:0=1"]
    rows = labelled(ledger, *refs)
    assert [label for label, _, _ in rows] == ["S0", "S1", "S2"]
    assert [coin for _, coin, _ in rows] == [ref.partition("=")[0] for ref in refs]


def test_a_ref_whose_value_is_taken_labels_nothing(ledger: calibar.Ledger, story: Story) -> None:
    for second in (f"{story.split.txid}:1", f"{story.joined.txid}:0", story.onward.txid):
        with pytest.raises(UsageError, match=r"S1 \(.*\) labels nothing"):
            ledger.trace(f"{story.reward.txid}:0", second)
    with pytest.raises(UsageError, match=r"S0 \(.*\) labels nothing"):
        ledger.trace(f"{story.split.txid}:2")


def test_the_subsidy_that_nobody_can_spend_can_be_traced(ledger: calibar.Ledger, story: Story) -> None:
    first = story.blocks[0].transactions[0].txid
    assert ledger.trace(first).totals["S0"]["held"] == 50 * COIN


def test_of_two_transactions_with_one_id_the_later_is_meant(tmp_path: Path) -> None:
    """As on mainnet before BIP30: an equal coinbase replaced the coins of the earlier one."""
    blocks = [genesis()]
    same = Transaction(1, (TxIn("00" * 32, 0xFFFFFFFF, b"\x04same"),), (TxOut(50 * COIN, ANN),))
    for height in (1, 2):
        header = Header(1, blocks[-1].hash, same.txid, 1_700_000_000 + height, compact_target(REGTEST.pow_limit))
        blocks.append(Block(mined(header, REGTEST.pow_limit), (same,)))
    spend = Transaction(2, (TxIn(same.txid, 0),), (TxOut(50 * COIN, BOB),))
    blocks.append(assemble(REGTEST, 3, blocks[-1].hash, 1_700_001_000, [TxOut(0, CAM)], transactions=[spend]))
    ledger = _ingested(tmp_path, blocks)
    assert ledger.info["utxo_set_value"] == 50 * COIN
    (holding,) = ledger.trace(f"{same.txid}:0").holdings
    assert holding["coin"] == f"{spend.txid}:0"
    both = ledger.trace(address(ANN))
    assert both.totals["S0"] == {"in": 100 * COIN, "held": 100 * COIN, "stopped": 0, "fees": 0, "burnt": 0}


@pytest.mark.parametrize("text", ["", "=", ":", "=1", "0x" + "00" * 32, "00" * 31, "00" * 33, "script:", "script:00"])
def test_what_is_no_ref_is_refused_in_one_line(text: str, ledger: calibar.Ledger) -> None:
    with pytest.raises(UsageError) as refused:
        ledger.trace(text)
    assert "\n" not in str(refused.value)
