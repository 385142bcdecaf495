"""What TRON's transactions move, on small blocks made by hand with hashes computed apart from the code."""

from __future__ import annotations

import hashlib
from typing import Any

import pytest
from Crypto.Hash import keccak
from hypothesis import given
from hypothesis import strategies as st
from tron_builder import (
    ALICE,
    BOB,
    CAROL,
    NUMBER,
    TOKEN,
    TRANSFER,
    USDT,
    a41,
    block,
    h41,
    info,
    log,
    message,
    owned,
    pad,
    transaction,
    transfer,
    trigger,
    word,
)  # fmt: skip

from calibar.chains import facts, topics
from calibar.chains.facts import ZERO, Builder, Facts, integers
from calibar.chains.tron import blocks, logs
from calibar.chains.tron.address import parse
from calibar.chains.tron.contracts import token_asset

Moved = tuple[int, int, bytes, bytes, bytes, int, int]
WTRX = parse("TNUC9Qb1rRpS5CbWLmNMxXBjyFoydXjWFR")


def read(*pairs: tuple[dict[str, Any], dict[str, Any]]) -> Facts:
    builder = Builder()
    answer = block(*(tx for tx, _ in pairs))
    header = blocks.read_header(answer, NUMBER, "block 5")
    blocks.add_block(builder, header, answer, [outcome for _, outcome in pairs], "block 5")
    return builder.facts()


def moved(of: Facts) -> list[Moved]:
    """Kind, kind of asset, asset, from, to, amount, position."""
    columns = (of.asset, of.sender, of.recipient)
    asset, sender, recipient = ([row.tobytes() for row in column] for column in columns)
    return list(
        zip(
            of.transfer_kind.tolist(), of.asset_kind.tolist(), asset, sender, recipient, integers(of.amount),
            of.position.tolist(), strict=True,
        )
    )  # fmt: skip


def events(of: Facts) -> list[tuple[int, bytes, bytes, bytes, int, int]]:
    columns = (of.event_contract, of.event_a, of.event_b)
    contract, a, b = ([row.tobytes() for row in column] for column in columns)
    kinds, positions = of.event_kind.tolist(), of.event_position.tolist()
    return list(zip(kinds, contract, a, b, integers(of.event_amount), positions, strict=True))


def native(kind: int, sender: bytes, recipient: bytes, amount: int, position: int = 0) -> Moved:
    return kind, facts.NATIVE, ZERO, sender, recipient, amount, position


def token(kind: int, contract: bytes, sender: bytes, recipient: bytes, amount: int, position: int) -> Moved:
    return kind, facts.CONTRACT, contract, sender, recipient, amount, position


def test_the_fee_comes_before_the_value() -> None:
    tx = transfer(ALICE, BOB, 7)
    of = read((tx, info(tx, fee=1_100_000, receipt={"net_fee": 100_000})))
    assert moved(of) == [native(facts.BURNT_FEE, ALICE, ZERO, 1_100_000), native(facts.VALUE, ALICE, BOB, 7)]
    assert of.proof.tolist() == [facts.PROVEN_HEADER | facts.PROVEN_TRANSACTIONS | facts.HAS_INTERNAL]
    assert of.tx_payer[0].tobytes() == of.tx_sender[0].tobytes() == ALICE
    assert of.tx_recipient[0].tobytes() == BOB
    assert integers(of.tx_fee) == [1_100_000]


def test_what_failed_moves_its_fee_alone() -> None:
    tx = trigger(ALICE, USDT, value=9, ret="OUT_OF_ENERGY")
    call = {"caller_address": h41(USDT), "transferTo_address": h41(BOB), "callValueInfo": [{"callValue": 3}]}
    outcome = info(
        tx, fee=5, result="FAILED", receipt={"energy_fee": 5, "result": "OUT_OF_ENERGY"},
        log=[log(USDT, [TRANSFER, pad(ALICE), pad(BOB)], word(4))], internal_transactions=[call],
    )  # fmt: skip
    of = read((tx, outcome))
    assert moved(of) == [native(facts.BURNT_FEE, ALICE, ZERO, 5)]
    assert of.tx_status.tolist() == [facts.FAILED]
    assert any("it failed" in note for note in of.notes)


def test_trc10_by_number_moves_and_by_name_is_noted() -> None:
    def asset(name: bytes, salt: int) -> dict[str, Any]:
        value = message((1, name), (2, a41(ALICE)), (3, a41(BOB)), (4, 30))
        json = {"asset_name": name.hex(), "owner_address": h41(ALICE), "to_address": h41(BOB), "amount": 30}
        return transaction("TransferAssetContract", value, json, salt=salt)

    numbered, named = asset(b"1002000", 1), asset(b"HuobiToken", 2)
    of = read((numbered, info(numbered)), (named, info(named)))
    assert moved(of) == [(facts.VALUE, facts.TRC10, (1_002_000).to_bytes(20), ALICE, BOB, 30, 0)]
    assert [note for note in of.notes if "'HuobiToken'" in note]


def test_a_call_moves_value_then_inside_then_logs() -> None:
    tx = trigger(ALICE, TOKEN, value=10, token=1_000_077, units=20)
    inside = [
        {"caller_address": h41(TOKEN), "transferTo_address": h41(BOB), "note": b"call".hex(),
         "callValueInfo": [{"callValue": 4}, {"callValue": 6, "tokenId": "1000077"}]},
        {"caller_address": h41(TOKEN), "transferTo_address": h41(CAROL), "note": b"call".hex(), "rejected": True,
         "callValueInfo": [{"callValue": 99}]},
        {"caller_address": h41(TOKEN), "transferTo_address": h41(CAROL), "note": b"suicide".hex(),
         "callValueInfo": [{"callValue": 1}]},
    ]  # fmt: skip
    outcome = info(tx, internal_transactions=inside, log=[log(USDT, [TRANSFER, pad(ALICE), pad(BOB)], word(2**200))])
    of = read((tx, outcome))
    asset = token_asset(1_000_077)
    assert moved(of) == [
        native(facts.VALUE, ALICE, TOKEN, 10),
        (facts.VALUE, facts.TRC10, asset, ALICE, TOKEN, 20, 0),
        native(facts.INTERNAL, TOKEN, BOB, 4),
        (facts.INTERNAL, facts.TRC10, asset, TOKEN, BOB, 6, 0),
        native(facts.INTERNAL, TOKEN, CAROL, 1, 2),
        token(facts.TOKEN, USDT, ALICE, BOB, 2**200, 0),
    ]
    assert events(of) == [(facts.SELF_DESTRUCTED, TOKEN, TOKEN, CAROL, 0, 2)]
    assert of.proof.tolist()[0] & facts.HAS_INTERNAL
    assert not of.proof.tolist()[0] & facts.PROVEN_LOGS


def test_a_calls_missing_internal_transactions_are_noted() -> None:
    tx = trigger(ALICE, TOKEN)
    of = read((tx, info(tx)))
    assert not of.proof.tolist()[0] & facts.HAS_INTERNAL
    assert any("vm.saveInternalTx" in note for note in of.notes)


def test_stake_moves_nothing_and_rewards_come_from_nobody() -> None:
    kinds = (
        "FreezeBalanceContract", "UnfreezeBalanceContract", "WithdrawExpireUnfreezeContract",
        "DelegateResourceContract",
    )  # fmt: skip
    still = [owned(kind) for kind in kinds]
    reward = owned("WithdrawBalanceContract")
    more = {"unfreeze_amount": 50, "withdraw_expire_amount": 50}
    of = read(*((tx, info(tx, **more)) for tx in still), (reward, info(reward, withdraw_amount=77)))
    assert moved(of) == [native(facts.REWARD, ZERO, ALICE, 77)]


def test_a_contracts_stake_moves_nothing_and_its_reward_does() -> None:
    tx = trigger(ALICE, TOKEN)
    notes = (
        "freezeForEnergy",
        "unfreezeForBandwidth",
        "withdrawExpireUnfreeze",
        "withdrawReward",
        "delegateResourceOfEnergy",
    )
    inside = [
        {"caller_address": h41(TOKEN), "transferTo_address": h41(TOKEN), "note": note.encode().hex(),
         "callValueInfo": [{"callValue": 8}]}
        for note in notes
    ]  # fmt: skip
    assert moved(read((tx, info(tx, internal_transactions=inside)))) == [native(facts.REWARD, ZERO, TOKEN, 8, 3)]


def test_what_moves_and_is_not_read_is_noted() -> None:
    exchange, unknown = owned("ExchangeTransactionContract"), owned("SomethingNewContract")
    of = read((exchange, info(exchange)), (unknown, info(unknown)))
    assert moved(of) == []
    assert any("ExchangeTransactionContract trades" in note for note in of.notes)
    assert any("contract type 999 is not known" in note for note in of.notes)


def test_a_trc10_token_is_issued_to_its_maker() -> None:
    value = message((1, a41(ALICE)), (2, b"Token"), (3, b"TOK"), (4, 10**15), (7, 6))
    json = {"owner_address": h41(ALICE), "total_supply": 10**15, "precision": 6}
    json |= {"name": b"Token".hex(), "abbr": b"TOK".hex()}
    tx = transaction("AssetIssueContract", value, json)
    of = read((tx, info(tx, fee=1_024_000_000, assetIssueID="1002000")))
    assert moved(of)[1] == (facts.MINT, facts.TRC10, token_asset(1_002_000), ZERO, ALICE, 10**15, 0)
    assert of.namings == (facts.Naming(facts.TRC10, token_asset(1_002_000), "Token", "TOK", 6),)


def test_a_contract_is_made_where_keccak_says() -> None:
    value = message((1, a41(ALICE)), (2, message((1, a41(ALICE)), (5, 12))))
    tx = transaction("CreateSmartContract", value, {"owner_address": h41(ALICE), "new_contract": {"call_value": 12}})
    made = keccak.new(digest_bits=256, data=bytes.fromhex(tx["txID"]) + a41(ALICE)).digest()[12:]
    of = read((tx, info(tx, contract_address=h41(made))))
    assert moved(of) == [native(facts.VALUE, ALICE, made, 12)]
    assert events(of) == [(facts.CREATED, made, made, ALICE, 0, 0)]
    assert of.tx_recipient[0].tobytes() == made


def topic(signature: str) -> str:
    return keccak.new(digest_bits=256, data=signature.encode()).hexdigest()


def of_logs(*entries: dict[str, Any], data: bytes = b"", called: bytes = USDT) -> Facts:
    tx = trigger(ALICE, called, data)
    return read((tx, info(tx, log=list(entries))))


def test_published_topics() -> None:
    assert topics.TRANSFER.hex() == TRANSFER
    assert topics.APPROVE.hex() == "8c5be1e5ebec7d5bd14f71427d1e84f3dd0314c0f7b2291e5b200ac8c7c3b925"
    assert topics.ISSUE.hex() == "cb8241adb0c3fdb35b70c24ce35c5eb0c17af7431c99f827d44a445ca624176a"
    assert topics.DEPOSIT.hex() == "e1fffcc4923d04b559f4d29a8bfc6cda04eb5b0d3c460751c2402c5c5cc9109c"
    assert logs.WTRX == WTRX


def test_tether_issues_and_redeems_once() -> None:
    """The contract says each twice: Issue and a Transfer from nobody."""
    twice = of_logs(log(USDT, [topic("Issue(uint256)")], word(9)), log(USDT, [TRANSFER, pad(ZERO), pad(BOB)], word(9)))
    assert moved(twice) == [token(facts.MINT, USDT, ZERO, BOB, 9, 1)]
    alone = of_logs(log(USDT, [topic("Issue(uint256)")], word(9)), log(USDT, [topic("Redeem(uint256)")], word(4)))
    assert moved(alone) == [token(facts.MINT, USDT, ZERO, ALICE, 9, 0), token(facts.BURN, USDT, ALICE, ZERO, 4, 1)]
    hidden = of_logs(log(USDT, [topic("Issue(uint256)")], word(9)), called=TOKEN)
    assert moved(hidden) == []
    assert any("Issue of 9 by a caller" in note for note in hidden.notes)


@pytest.mark.parametrize("indexed", [True, False])
def test_tether_blacklists_and_destroys(indexed: bool) -> None:
    def named(signature: str, *rest: str) -> dict[str, Any]:
        topics = [topic(signature), pad(BOB)] if indexed else [topic(signature)]
        return log(USDT, topics, ("" if indexed else pad(BOB)) + "".join(rest))

    of = of_logs(
        named("AddedBlackList(address)"),
        named("DestroyedBlackFunds(address,uint256)", word(5)),
        named("RemovedBlackList(address)"),
    )
    assert moved(of) == [token(facts.DESTROYED, USDT, BOB, ZERO, 5, 1)]
    assert events(of) == [
        (facts.BLACKLISTED, USDT, BOB, ZERO, 0, 0), (facts.UNBLACKLISTED, USDT, BOB, ZERO, 0, 2)
    ]  # fmt: skip


def test_a_destruction_with_a_transfer_beside_counts_once() -> None:
    destroyed = log(USDT, [topic("DestroyedBlackFunds(address,uint256)"), pad(BOB)], word(5))
    of = of_logs(log(USDT, [TRANSFER, pad(BOB), pad(ZERO)], word(5)), destroyed)
    assert moved(of) == [token(facts.DESTROYED, USDT, BOB, ZERO, 5, 0)]


def test_wrapped_trx_is_minted_and_burnt_but_others_deposits_are_not() -> None:
    deposit, withdrawal = topic("Deposit(address,uint256)"), topic("Withdrawal(address,uint256)")
    of = of_logs(
        log(WTRX, [deposit, pad(ALICE)], word(5)), log(WTRX, [withdrawal, pad(ALICE)], word(2)),
        log(TOKEN, [deposit, pad(ALICE)], word(5)),
    )  # fmt: skip
    assert moved(of) == [token(facts.MINT, WTRX, ZERO, ALICE, 5, 0), token(facts.BURN, WTRX, ALICE, ZERO, 2, 1)]


def test_nfts_approvals_pauses_and_swaps_are_events() -> None:
    swap = topic("Swap(address,uint256,uint256,uint256,uint256,address)")
    of = of_logs(
        log(TOKEN, [TRANSFER, pad(ALICE), pad(BOB), word(12)]),
        log(USDT, [topics.APPROVE.hex(), pad(ALICE), pad(CAROL)], word(2**256 - 1)),
        log(USDT, [topic("Pause()")]),
        log(USDT, [topic("Unpause()")]),
        log(TOKEN, [swap, pad(ALICE), pad(BOB)], word(1) * 4),
    )
    assert moved(of) == []
    assert events(of) == [
        (facts.NFT, TOKEN, ALICE, BOB, 12, 0),
        (facts.APPROVAL, USDT, ALICE, CAROL, 2**256 - 1, 1),
        (facts.PAUSED, USDT, ZERO, ZERO, 0, 2),
        (facts.UNPAUSED, USDT, ZERO, ZERO, 0, 3),
        (facts.SWAP_V2, TOKEN, ALICE, BOB, 0, 4),
    ]


def test_a_transfer_from_says_who_spent() -> None:
    data = bytes.fromhex("23b872dd" + pad(BOB) + pad(CAROL) + word(6))
    of = of_logs(log(USDT, [TRANSFER, pad(BOB), pad(CAROL)], word(6)), data=data)
    assert events(of) == [(facts.SPENT_FOR, USDT, BOB, ALICE, 6, 0)]


def test_a_transfer_of_nothing_is_kept_and_one_that_only_looks_so_is_noted() -> None:
    of = of_logs(
        log(USDT, [TRANSFER, pad(BOB), "00" * 11 + h41(CAROL)], word(0)),
        log(USDT, [TRANSFER], pad(BOB) + pad(CAROL) + word(1)),
        log(USDT, [TRANSFER, "ff" * 32, pad(CAROL)], word(1)),
        log(USDT, [TRANSFER, pad(BOB), pad(CAROL)], "01"),
        log(USDT, []),
    )
    assert moved(of) == [token(facts.TOKEN, USDT, BOB, CAROL, 0, 0)]
    name = "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t"
    passed_over = [note for note in of.notes if "not its form" in note]
    assert passed_over == [f"contract {name}: logs with the signature of a Transfer but not its form are not read"]


@given(
    st.lists(
        st.tuples(st.sampled_from([ALICE, BOB, CAROL]), st.sampled_from([ALICE, BOB]), st.integers(1, 2**62),
                  st.integers(0, 2**62), st.booleans()),
        max_size=9,
    )
)  # fmt: skip
def test_any_block_of_transfers_is_proven_and_balances(rows: list[tuple[bytes, bytes, int, int, bool]]) -> None:
    pairs, paid, sent = [], 0, 0
    for at, (sender, recipient, amount, fee, succeeds) in enumerate(rows):
        tx = transfer(sender, recipient, amount, salt=at + 1, ret="SUCCESS" if succeeds else "REVERT")
        pairs.append((tx, info(tx, fee=fee, result="" if succeeds else "FAILED")))
        paid, sent = paid + fee, sent + amount * succeeds
    of = read(*pairs)
    assert of.proof.tolist()[0] & facts.PROVEN_TRANSACTIONS
    by_kind = {kind: sum(row[5] for row in moved(of) if row[0] == kind) for kind in (facts.BURNT_FEE, facts.VALUE)}
    assert by_kind == {facts.BURNT_FEE: paid, facts.VALUE: sent}
    ids = [hashlib.sha256(bytes.fromhex(tx["raw_data_hex"])).digest() for tx, _ in pairs]
    assert [row.tobytes() for row in of.tx_hash] == ids
