"""The story holds together: what the truth says is what the blocks say."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction
from itertools import pairwise
from pathlib import Path

import pytest

from calibar.chains.bitcoin.script import ScriptKind, address_of, is_unspendable, kind_of
from calibar.chains.bitcoin.transaction import Transaction, TxOut, obfuscate, record
from calibar.errors import DecodeError, UsageError
from calibar.sandbox.economy import MATURITY, NETWORK
from calibar.sandbox.scenarios.theft import SECOND_FILE, Theft, write_theft
from calibar.sandbox.truth import Truth

Segments = list[tuple[str | None, int]]


@pytest.fixture(scope="module")
def transactions(theft: Theft) -> list[Transaction]:
    return [transaction for block in theft.economy.blocks for transaction in block.transactions]


@pytest.fixture(scope="module")
def coins(transactions: list[Transaction]) -> dict[str, TxOut]:
    return {f"{each.txid}:{vout}": out for each in transactions for vout, out in enumerate(each.outputs)}


@pytest.fixture(scope="module")
def roles(truth: Truth) -> dict[str, str]:
    return {owned.address: owned.role for owned in truth.addresses}


def role_of(output: TxOut, roles: dict[str, str]) -> str:
    return roles.get(address_of(output.script, NETWORK), "nobody")


def fifo(
    transactions: list[Transaction], coins: dict[str, TxOut], sources: dict[str, str], until: set[str]
) -> dict[str, Segments]:
    """First in, first out over coins, the slow and obvious way; coins in `until` are not followed on."""
    held: dict[str, Segments] = {}
    for transaction in transactions:
        line: Segments = []
        for txin in transaction.inputs if not transaction.is_coinbase else ():
            followed = held.pop(txin.coin) if txin.coin in held and txin.coin not in until else None
            line += followed or [(None, coins[txin.coin].value)]
        for vout, output in enumerate(transaction.outputs):
            ref, taken, due = f"{transaction.txid}:{vout}", [], output.value
            while due and line:
                label, amount = line.pop(0)
                cut = min(due, amount)
                taken.append((label, cut))
                due -= cut
                if amount > cut:
                    line.insert(0, (label, amount - cut))
            if ref in sources:
                taken = [(sources[ref], output.value)]
            if any(label for label, _ in taken):
                held[ref] = taken
    return held


def haircut(transactions: list[Transaction], coins: dict[str, TxOut], sources: set[str]) -> dict[str, Fraction]:
    """The stolen share of every touched coin, exactly; spent coins included."""
    share: dict[str, Fraction] = dict.fromkeys(sources, Fraction(1))
    for transaction in transactions:
        if transaction.is_coinbase:
            continue
        values = [(coins[txin.coin].value, share.get(txin.coin, Fraction(0))) for txin in transaction.inputs]
        mixed = sum(value * part for value, part in values) / Fraction(sum(value for value, _ in values))
        for vout in range(len(transaction.outputs)):
            ref = f"{transaction.txid}:{vout}"
            if mixed and ref not in share:
                share[ref] = mixed
    return share


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(
    written: Path, tmp_path: Path, truth: Truth
) -> None:
    (tmp_path / "again" / "blocks").mkdir(parents=True)
    (tmp_path / "again" / "truth.json").write_text("a sandbox written before is written over")
    assert write_theft(tmp_path / "again") == truth
    assert write_theft(tmp_path / "other", "other") != truth
    for file in ("truth.json", "blocks/blk00000.dat", "blocks/blk00001.dat", "blocks/xor.dat"):
        first = (written / file).read_bytes()
        assert first == (tmp_path / "again" / file).read_bytes()
        assert first != (tmp_path / "other" / file).read_bytes()


def test_the_folder_holds_the_chain_obfuscated_in_two_files(theft: Theft, written: Path) -> None:
    key = (written / "blocks" / "xor.dat").read_bytes()
    assert len(key) == 8
    assert any(key)
    first, second = ((written / "blocks" / f"blk0000{number}.dat").read_bytes() for number in (0, 1))
    chain = theft.economy.blocks
    assert obfuscate(first, key) == b"".join(record(NETWORK, block) for block in chain[:SECOND_FILE])
    rest = b"".join(record(NETWORK, block) for block in chain[SECOND_FILE:])
    assert obfuscate(second[: len(rest)], key) == rest
    assert len(second) == 16 << 20
    assert not any(second[len(rest) :])


def test_the_truth_is_read_back_as_written(written: Path, truth: Truth) -> None:
    assert Truth.read(written / "truth.json") == truth


def test_what_is_no_truth_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "truth.json"
    with pytest.raises(UsageError, match=r"truth\.json: cannot be read \(No such file or directory\)"):
        Truth.read(path)
    path.write_text('{"scenario": "theft"}')
    with pytest.raises(DecodeError, match=r"truth\.json: is no truth"):
        Truth.read(path)


def test_a_folder_with_other_peoples_blocks_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "blocks").mkdir()
    with pytest.raises(UsageError, match="name another folder"):
        write_theft(tmp_path)
    assert list(tmp_path.rglob("*")) == [tmp_path / "blocks"]


@pytest.mark.parametrize("seed", ["1", "2"])
def test_the_story_can_be_told_with_any_seed(seed: str) -> None:
    theft = Theft(seed)
    theft.run()
    assert [event.what for event in theft.truth().events] == EVENTS


EVENTS = [
    "malware sends 3 of victim 1's coins to the collector",
    "malware sends 2 of victim 2's coins to the collector",
    "malware sends 2 of victim 3's coins to the collector",
    "malware sends 2 of victim 3's coins to the collector",
    "malware sends 1 of victim 4's coins to the collector",
    "the collector's coins become one",
    "split: output 0 is the peel chain, output 1 rests until block 166",
    "peel 1 of 6, to private wallet",
    "peel 2 of 6, to exchange deposit 1",
    "peel 3 of 6, to cold storage",
    "peel 4 of 6, to private wallet",
    "peel 5 of 6, to private wallet",
    "peel 6 of 6, to cold storage, the rest to private wallet",
    "the exchange sweeps deposit 1 with four customers' deposits",
    "the slow branch is mixed with the thief's own coins; output 0 is deposit 2",
]


def test_the_events_are_told_in_chain_order_at_the_right_heights(theft: Theft, truth: Truth) -> None:
    assert [event.what for event in truth.events] == EVENTS
    assert [event.height for event in truth.events] == sorted(event.height for event in truth.events)
    for event in truth.events:
        block = theft.economy.blocks[event.height]
        assert event.txid in [transaction.txid for transaction in block.transactions]
        assert event.time == block.header.time


def test_the_chain_passes_the_halving_and_no_coinbase_is_spent_early(theft: Theft, truth: Truth) -> None:
    blocks = theft.economy.blocks
    assert truth.height == len(blocks) - 1 > NETWORK.halving_interval
    assert 300 < truth.transactions == sum(len(block.transactions) for block in blocks) < 1_000
    born = {block.transactions[0].txid: height for height, block in enumerate(blocks)}
    for height, block in enumerate(blocks):
        for transaction in block.transactions[1:]:
            assert all(height - born.get(txin.txid, -MATURITY) >= MATURITY for txin in transaction.inputs)


def test_coins_are_spent_once_and_coinbases_claim_subsidy_and_fees(theft: Theft, coins: dict[str, TxOut]) -> None:
    spent: Counter[str] = Counter()
    for height, block in enumerate(theft.economy.blocks):
        fees = 0
        for transaction in block.transactions[1:]:
            spent.update(txin.coin for txin in transaction.inputs)
            paid = sum(coins[txin.coin].value for txin in transaction.inputs)
            fee = paid - sum(output.value for output in transaction.outputs)
            assert 4 * (transaction.vsize - 4 * len(transaction.inputs)) <= fee <= 25 * transaction.vsize + 1_000
            fees += fee
        assert sum(output.value for output in block.transactions[0].outputs) == NETWORK.subsidy(height) + fees
    assert set(spent.values()) == {1}


def test_blocks_come_every_ten_minutes_or_so_and_sometimes_before_their_parent(theft: Theft) -> None:
    times = [block.header.time for block in theft.economy.blocks[1:]]
    assert 540 < (times[-1] - times[0]) / (len(times) - 1) < 660
    assert any(later < earlier for earlier, later in pairwise(times))


def test_scripts_of_many_kinds_occur_and_one_amount_is_burnt(coins: dict[str, TxOut]) -> None:
    kinds = Counter(kind_of(output.script) for output in coins.values())
    assert {
        ScriptKind.P2PK, ScriptKind.P2PKH, ScriptKind.P2SH, ScriptKind.P2WPKH, ScriptKind.P2WSH, ScriptKind.OP_RETURN
    } == set(kinds)  # fmt: skip
    assert sum(output.value for output in coins.values() if is_unspendable(output.script)) == 1_000


def test_a_coin_is_sometimes_spent_in_the_block_that_made_it(theft: Theft) -> None:
    assert any(
        {txin.txid for each in block.transactions for txin in each.inputs} & {each.txid for each in block.transactions}
        for block in theft.economy.blocks
    )


def test_the_stolen_coins_are_what_the_malware_left_of_the_victims_coins(
    theft: Theft, truth: Truth, coins: dict[str, TxOut], roles: dict[str, str], transactions: list[Transaction]
) -> None:
    by_txid = {transaction.txid: transaction for transaction in transactions}
    lost: Counter[str] = Counter()
    for stolen in truth.stolen:
        theft_transaction = by_txid[stolen.coin.split(":")[0]]
        assert len(theft_transaction.outputs) == 1
        assert {role_of(coins[txin.coin], roles) for txin in theft_transaction.inputs} == {stolen.victim}
        assert role_of(coins[stolen.coin], roles) == "collector"
        assert coins[stolen.coin].value == stolen.amount
        lost[stolen.victim] += sum(coins[txin.coin].value for txin in theft_transaction.inputs)
    assert lost == {"victim 1": 420310000, "victim 2": 184990000, "victim 3": 730004200, "victim 4": 96250000}
    assert truth.refs == tuple(stolen.coin for stolen in truth.stolen)
    assert not any(wallet.coins for wallet in theft.victims)


def test_every_output_with_an_address_has_an_owner_and_the_thief_owns_no_bystander(
    truth: Truth, coins: dict[str, TxOut]
) -> None:
    known = {owned.address for owned in truth.addresses}
    paid = {address_of(output.script, NETWORK) for ref, output in coins.items() if not is_unspendable(output.script)}
    genesis = address_of(coins[next(iter(coins))].script, NETWORK)
    assert paid - {genesis} == known
    assert len(known) == len(truth.addresses)
    assert {owned.role for owned in truth.addresses if owned.actor == "thief"} == {
        "collector", "consolidation", "peel chain", "slow branch", "private wallet", "cold storage"
    }  # fmt: skip
    assert set(truth.of("exchange")) == {
        owned.address for owned in truth.addresses if owned.role.startswith("exchange")
    }
    assert [owned.role for owned in truth.addresses if owned.customer == "thief"] == [
        "exchange deposit 1", "exchange deposit 2"
    ]  # fmt: skip


def test_what_is_left_is_the_thiefs_unspent_money(
    truth: Truth, coins: dict[str, TxOut], transactions: list[Transaction]
) -> None:
    spent = {txin.coin for transaction in transactions for txin in transaction.inputs}
    for left in truth.left:
        assert left.coin not in spent
        assert (coins[left.coin].value, address_of(coins[left.coin].script, NETWORK)) == (left.amount, left.address)
    assert Counter(left.role for left in truth.left) == {
        "private wallet": 5,
        "cold storage": 2,
        "exchange deposit 2": 1,
    }


def test_fifo_finds_every_stolen_satoshi_with_the_thief_or_the_exchange(
    truth: Truth, coins: dict[str, TxOut], transactions: list[Transaction], roles: dict[str, str]
) -> None:
    sources = {stolen.coin: stolen.victim for stolen in truth.stolen}
    deposits = {ref for ref, output in coins.items() if role_of(output, roles).startswith("exchange")}
    found: Counter[str] = Counter()
    for ref, segments in fifo(transactions, coins, sources, deposits).items():
        found[role_of(coins[ref], roles)] += sum(amount for label, amount in segments if label)
    stolen = sum(each.amount for each in truth.stolen)
    fees = stolen - found.total()
    assert 0 < fees < 100_000
    assert found["exchange deposit 1"] == 140000000
    assert found["exchange deposit 2"] == 30000000
    assert found["cold storage"] == 140000000
    assert found["nobody"] == 1_000
    assert set(found) == {"exchange deposit 1", "exchange deposit 2", "cold storage", "private wallet", "nobody"}


def test_fifo_blames_an_innocent_customer_where_nothing_stops_it_at_the_exchange(
    truth: Truth, coins: dict[str, TxOut], transactions: list[Transaction], roles: dict[str, str]
) -> None:
    held = fifo(transactions, coins, dict.fromkeys(truth.refs, "stolen"), set())
    assert any(role_of(coins[ref], roles).startswith("customer") for ref in held)


def test_haircut_and_fifo_differ_by_far_on_the_mixed_deposit(
    truth: Truth, coins: dict[str, TxOut], transactions: list[Transaction]
) -> None:
    deposit = next(left for left in truth.left if left.role == "exchange deposit 2")
    stolen = haircut(transactions, coins, set(truth.refs))[deposit.coin] * deposit.amount
    assert 190000000 < stolen < 200000000


def test_no_bystander_customer_miner_or_victim_is_touched_before_the_exchange_pools(
    truth: Truth, coins: dict[str, TxOut], transactions: list[Transaction], roles: dict[str, str]
) -> None:
    touched = {role_of(coins[ref], roles) for ref in haircut(transactions, coins, set(truth.refs))}
    assert {role for role in touched if role.startswith("customer")}, "the hot wallet pays customers with pooled coins"
    honest = {role for role in touched if not role.startswith(("customer", "exchange"))}
    assert honest == {owned.role for owned in truth.addresses if owned.actor == "thief"} | {"nobody"}
