"""Who may claim a transfer, what stops, what is labelled first: chains and records where they meet."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from custodian_world import DEPOSITS, HOT, MUCH, PEOPLE, TOKEN_BYTES, World, ledger, statements

from calibar.chains.facts import ZERO
from calibar.errors import DecodeError, UsageError
from calibar.labels.table import read_labels
from calibar.trail.custodians.joined import trace
from calibar.trail.document import Trail
from calibar.trail.policy import Policy

TOKEN = "0x" + TOKEN_BYTES.hex()


def text(address: bytes) -> str:
    return "0x" + address.hex()


class Story(World):
    """A world with a rich hot wallet, 500 for person 0, and 500 in account 10."""

    def __init__(self) -> None:
        super().__init__()
        self.on_chain(ZERO, HOT, MUCH)
        self.minted = self.on_chain(ZERO, PEOPLE[0], 500) + ":0"
        self.had = self.row("10", "T", 500, "reward", self.time())

    def deposit(self, account: str, sender: bytes, amount: int, **facts: str) -> str:
        txid = self.on_chain(sender, DEPOSITS[0], amount)
        self.row(account, "T", amount, "deposit", self.time() + 10, txid=txid, address=text(DEPOSITS[0]), **facts)
        return txid + ":0"

    def withdrawal(self, account: str, to: bytes, amount: int, **facts: str) -> str:
        txid = self.on_chain(HOT, to, amount)
        self.row(account, "T", -amount, "withdrawal", self.time() - 10, txid=txid, address=text(to), **facts)
        return txid + ":0"


def follow(world: World, folder: Path, *references: str, tokens: dict[str, str] | None = None, **policy: Any) -> Trail:
    policy.setdefault("stops", ())
    snapshots = [ledger(world, folder / "ledger")]
    return trace(references, snapshots, statements(world), Policy(unit="record", **policy), tokens or {"T": TOKEN})


def rests(trail: Trail) -> dict[tuple[str, str], dict[str, int]]:
    """By account and reason: units by label."""
    found: dict[tuple[str, str], dict[str, int]] = {}
    for row in trail.holdings:
        traced = {label: int(units) for label, units in row["traced"].items()}
        found[row["account"].lower(), row["reason"]] = traced
    return found


def test_a_remark_that_many_rows_have_pairs_nobody_and_the_chain_goes_first(tmp_path: Path) -> None:
    world = Story()
    world.withdrawal("10", PEOPLE[1], 500, remark="Withdraw fee is included")
    world.deposit("11", PEOPLE[0], 500, remark="Withdraw fee is included")
    assert rests(follow(world, tmp_path, world.had)) == {(text(PEOPLE[1]), "unspent"): {"S0": 500}}


def test_what_is_withdrawn_to_a_labelled_address_stops_there(tmp_path: Path) -> None:
    world = Story()
    world.withdrawal("10", PEOPLE[1], 500)
    world.on_chain(PEOPLE[1], PEOPLE[2], 500)
    labels = tmp_path / "labels.csv"
    labels.write_text(
        f"address,name,category,source,network\n{text(PEOPLE[1])},A pool,exchange,a list,ethereum:31337\n", "utf-8"
    )
    trail = follow(world, tmp_path, world.had, labels=read_labels([labels]), stops=None)
    assert rests(trail) == {(text(PEOPLE[1]), "label:exchange"): {"S0": 500}}


def test_what_no_row_says_stops_at_the_deposit_address(tmp_path: Path) -> None:
    world = Story()
    world.deposit("11", PEOPLE[0], 200)
    world.withdrawal("10", DEPOSITS[0], 500)
    world.on_chain(DEPOSITS[0], HOT, 700)
    assert rests(follow(world, tmp_path, world.had)) == {(text(DEPOSITS[0]), "not in the record"): {"S0": 500}}


def test_the_first_label_keeps_what_it_has(tmp_path: Path) -> None:
    world = Story()
    entered = world.deposit("11", PEOPLE[0], 300)
    trail = follow(world, tmp_path, f"{world.minted}=200", entered)
    assert rests(trail) == {("house/11", "in the account"): {"S0": 200, "S1": 100}}
    assert [row["amount"] for row in trail.document["sources"]] == ["200", "100"]
    with pytest.raises(UsageError, match=r"S1 .* labels nothing"):
        follow(world, tmp_path / "again", world.minted, entered)


def test_a_withdrawals_coin_has_its_label_already(tmp_path: Path) -> None:
    world = Story()
    left = world.withdrawal("10", PEOPLE[1], 500)
    onward = world.on_chain(PEOPLE[1], PEOPLE[2], 500) + ":0"
    for n, later in enumerate((left, onward)):
        with pytest.raises(UsageError, match=r"S1 .* labels nothing"):
            follow(world, tmp_path / str(n), world.had, later)
    assert rests(follow(world, tmp_path / "alone", left)) == {(text(PEOPLE[2]), "unspent"): {"S0": 500}}


def test_a_transfer_between_two_accounts_of_the_records_is_followed_from_the_chain_too(tmp_path: Path) -> None:
    world = Story()
    txid = world.withdrawal("10", DEPOSITS[0], 500)
    world.row("11", "T", 500, "deposit", world.time() + 10, txid=txid[:-2], address=text(DEPOSITS[0]))
    for n, reference in enumerate((txid, world.had)):
        trail = follow(world, tmp_path / str(n), reference)
        assert rests(trail) == {("house/11", "in the account"): {"S0": 500}}
        assert {step["proof"] for step in trail.steps} == {"record"}


@pytest.mark.parametrize("earlier", [-500, 0, 500])
def test_who_names_the_transaction_goes_before_who_only_fits(tmp_path: Path, earlier: int) -> None:
    world = Story()
    world.row("11", "T", 500, "reward", world.time())
    world.row("11", "T", -500, "withdrawal", world.time() + 1000 + earlier, address=text(PEOPLE[1]))
    world.withdrawal("10", PEOPLE[1], 500)
    assert rests(follow(world, tmp_path, world.had)) == {(text(PEOPLE[1]), "unspent"): {"S0": 500}}


def test_what_alone_fits_is_followed_as_an_inference(tmp_path: Path) -> None:
    world = Story()
    world.row("10", "T", -500, "withdrawal", world.time(), address=text(PEOPLE[1]))
    world.on_chain(HOT, PEOPLE[1], 500)
    trail = follow(world, tmp_path, world.had)
    assert rests(trail) == {(text(PEOPLE[1]), "unspent"): {"S0": 500}}
    assert trail.steps[0]["by"]["says"] == "proposed"
    assert "∴" in trail.html() or "inferred" in trail.html()
    world.on_chain(HOT, PEOPLE[1], 500)
    assert rests(follow(world, tmp_path / "two", world.had)) == {
        (text(PEOPLE[1]), "not on the chain"): {"S0": 500}
    }  # fmt: skip


def test_several_ledgers_and_one_that_alone_fits(tmp_path: Path) -> None:
    world = Story()
    world.row("10", "T", -500, "withdrawal", world.time(), address=text(PEOPLE[1]))
    world.on_chain(HOT, PEOPLE[1], 500)
    both = [ledger(world, tmp_path / name) for name in ("one", "two")]
    policy = Policy(unit="record", stops=())
    trail = trace([world.had], both, statements(world), policy, {"T": TOKEN})
    assert rests(trail) == {(text(PEOPLE[1]), "not on the chain"): {"S0": 500}}
    assert len(trail.document["ledgers"]) == 2
    with pytest.raises(UsageError, match="several ledgers here have it"):
        trace([world.minted], both, statements(world), policy, {"T": TOKEN})


def test_several_fees_of_one_second(tmp_path: Path) -> None:
    world = Story()
    world.row("10", "T", -40, "fee", world.time())
    world.row("10", "T", -60, "fee", world.time())
    world.row("10", "T", -7, "fee", world.time())
    assert rests(follow(world, tmp_path, world.had)) == {("house/10", "in the account"): {"S0": 393}}


def test_a_reversed_deposit_claims_no_transfer(tmp_path: Path) -> None:
    world = Story()
    facts = {"txid": world.deposit("11", PEOPLE[0], 500)[:-2], "address": text(DEPOSITS[0])}
    world.row("11", "T", -500, "deposit", world.time() + 20, **facts)
    world.row("11", "T", 500, "deposit", world.time() + 30, **facts)
    trail = follow(world, tmp_path, world.minted)
    assert rests(trail) == {(text(DEPOSITS[0]), "no record"): {"S0": 500}}
    assert [step["outputs"][0]["account"] for step in trail.steps][-2] == "House/11"


def test_two_names_of_one_token_are_one_asset(tmp_path: Path) -> None:
    world = Story()
    txid = world.on_chain(PEOPLE[0], DEPOSITS[0], 500)
    world.row("11", "T.e", 500, "deposit", world.time() + 10, txid=txid, address=text(DEPOSITS[0]))
    trail = follow(world, tmp_path, world.minted, tokens={"T": TOKEN, "T.e": TOKEN})
    assert rests(trail) == {("house/11", "in the account"): {"S0": 500}}
    assert list(trail.totals["S0"]) == ["T"]


def test_no_override_goes_past_records_however_it_is_written(tmp_path: Path) -> None:
    world = Story()
    world.deposit("11", PEOPLE[0], 500)
    for n, written in enumerate((text(DEPOSITS[0]), text(DEPOSITS[0]).upper().replace("X", "x"))):
        with pytest.raises(UsageError, match="of which there are records"):
            follow(world, tmp_path / str(n), world.minted, overrides={written: "so"})


def test_stops_and_overrides_of_each_kind_of_ledger(tmp_path: Path) -> None:
    world = Story()
    world.withdrawal("10", PEOPLE[1], 500)
    named = ("coinjoin", "outputs:9", "deposit")
    past = {text(PEOPLE[2]): "so", "ab" * 32: "a transaction of another chain"}
    with pytest.raises(UsageError, match="no transaction and no address of a ledger here"):
        follow(world, tmp_path / "one", world.had, stops=named, overrides=past)
    del past["ab" * 32]
    trail = follow(world, tmp_path / "two", world.had, stops=named, overrides=past)
    assert trail.document["policy"]["stops"] == ["deposit"]
    assert trail.document["policy"]["overrides"] == [{"past": text(PEOPLE[2]), "reason": "so"}]
    with pytest.raises(UsageError, match="there is no stop rule 'nothing'"):
        follow(world, tmp_path / "three", world.had, stops=("nothing",))


def test_amounts_that_are_too_fine_or_too_large_are_refused_with_their_row(tmp_path: Path) -> None:
    world = Story()
    world.rows[0] = world.rows[0]._replace(change=world.rows[0].change.scaleb(-80))
    world.row("10", "T", 5, "reward", world.time())
    with pytest.raises(DecodeError, match=r"a.csv, row 3: .* is more than can be followed"):
        follow(world, tmp_path, "record:a.csv:3")


def test_a_ref_of_more_than_eight_bytes_is_labelled_whole(tmp_path: Path) -> None:
    """Ten of a token with eighteen decimals are more units than 2^63."""
    world = World(decimals=18)
    amount = 10 * 10**18
    minted = world.on_chain(ZERO, PEOPLE[0], amount) + ":0"
    txid = world.on_chain(PEOPLE[0], DEPOSITS[0], amount)
    world.row("11", "T", amount, "deposit", world.time() + 10, txid=txid, address=text(DEPOSITS[0]))
    for n, reference in enumerate((minted, f"{txid}:0")):
        trail = follow(world, tmp_path / str(n), reference)
        assert rests(trail) == {("house/11", "in the account"): {"S0": amount}}


def test_the_same_row_twice_and_rows_that_bring_nothing(tmp_path: Path) -> None:
    world = Story()
    paid = world.row("10", "T", -5, "fee", world.time())
    with pytest.raises(UsageError, match=r"S1 .* labels nothing"):
        follow(world, tmp_path / "twice", world.had, world.had)
    with pytest.raises(UsageError, match="brings nobody anything"):
        follow(world, tmp_path / "fee", paid)
