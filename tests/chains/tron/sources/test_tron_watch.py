"""A watch over an explorer that tells neither block nor log of a token's transfer: it asks only for what is late."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from tron_explorers import KEY, START, USDD, USDT, Reply, Row, Server, address_of, serving, to_base58

import calibar
from calibar.chains.tron.address import parse, to_hex
from calibar.errors import UsageError
from calibar.ledger.case.case import Case
from calibar.trail.accounts.watching import AccountWatch
from calibar.trail.cases import gather
from calibar.trail.caveats import caveats
from calibar.trail.policy import Policy
from calibar.trail.watches import watching

ISSUER, VICTIM, MULE, EXIT, AWAY = (address_of(number) for number in range(5))
DOLLARS = to_base58(USDT)


class TronGridWorld:
    """TronGrid's API over transfers of one token among anybody, with everybody's balance."""

    def __init__(self) -> None:
        self.height = 1000
        self.sent: list[tuple[str, int, bytes, bytes, int, bytes]] = []
        self.unlisted: dict[str, int] = {}
        """By account: dollars that no list has."""
        self.poisoned = ""
        """An account whose list is none."""

    def pay(self, giver: bytes, taker: bytes, amount: int, token: bytes = USDT) -> str:
        self.height += 1
        txid = sha256(b"payment %d %d" % (self.height, len(self.sent))).hexdigest()
        self.sent.append((txid, self.height, giver, taker, amount, token))
        return txid

    def balance(self, whom: str, token: str) -> int:
        came, went = (
            sum(one[4] for one in self.sent if to_base58(one[side]) == whom and to_base58(one[5]) == token)
            for side in (3, 2)
        )
        return came - went + self.unlisted.get(whom, 0)

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path in ("/walletsolidity/getnowblock", "/wallet/getblockbynum"):
            number = int(query.get("num", self.height))
            raw = {"number": number, "timestamp": START + 3000 * number}
            return 200, {"blockID": f"{number:064x}", "block_header": {"raw_data": raw}}
        if not path.startswith("/v1/accounts/"):
            return 200, {}
        whom = path.split("/")[3]
        if path.endswith("/trc20"):
            if whom == self.poisoned:
                return 200, {"data": [{"transaction_id": "?"}], "success": True, "meta": {}}
            since = int(query.get("min_timestamp", 0))
            rows = [row for row in map(self.row, self.sent) if whom in (row["from"], row["to"])]
            rows = [row for row in rows if row["block_timestamp"] >= since]
            rows = [
                row
                for row in rows
                if query.get("contract_address", row["token_info"]["address"]) == row["token_info"]["address"]
            ]
            start = int(query.get("fingerprint", "0"))
            more = {"fingerprint": str(start + 200)} if len(rows) > start + 200 else {}
            return 200, {"data": rows[start : start + 200], "success": True, "meta": more}
        if path.endswith("/transactions"):
            return 200, {"data": [], "success": True, "meta": {}}
        tokens = {to_base58(one[5]) for one in self.sent}
        account = {"address": to_hex(parse(whom)), "trc20": [{one: str(self.balance(whom, one))} for one in tokens]}
        return 200, {"success": True, "data": [account], "meta": {}}

    def row(self, sent: tuple[str, int, bytes, bytes, int, bytes]) -> Row:
        txid, height, giver, taker, amount, token = sent
        return {
            "transaction_id": txid, "block_timestamp": START + 3000 * height, "type": "Transfer", "value": str(amount),
            "from": to_base58(giver), "to": to_base58(taker),
            "token_info": {"symbol": "USDT", "address": to_base58(token), "decimals": 6, "name": "Tether USD"},
        }  # fmt: skip


NAMES = {to_base58(who): name for name, who in {"victim": VICTIM, "mule": MULE, "exit": EXIT, "away": AWAY}.items()}


def story() -> TronGridWorld:
    """The victim has 400 left, the mule 600."""
    world = TronGridWorld()
    world.pay(ISSUER, VICTIM, 1000)
    world.pay(VICTIM, MULE, 600)
    return world


def told(watch: AccountWatch) -> list[tuple[str, str, dict[str, str], str | None]]:
    rows = [event.document() for event in watch.round()]
    return [(row["event"], NAMES[row["account"]], row["labels"], NAMES.get(row["to"], row["to"])) for row in rows]


def held(watch: AccountWatch) -> dict[str, str]:
    return {NAMES[account.account]: account.labels["S0"] for account in watch.held}


@contextmanager
def watched(world: TronGridWorld, folder: Path, policy: Policy | None = None) -> Iterator[tuple[AccountWatch, Server]]:
    policy = policy or Policy(unit="address", asset=DOLLARS, stops=())
    with (
        serving(world) as server,
        watching(folder, [to_base58(VICTIM)], [f"trongrid+{server.url}"], policy=policy) as watch,
    ):
        assert isinstance(watch, AccountWatch)
        yield watch, server


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRON_PRO_API_KEY", KEY)


def test_each_round_asks_for_what_is_late_and_knows_all(tmp_path: Path) -> None:
    world = TronGridWorld()
    for _ in range(300):
        world.pay(ISSUER, VICTIM, 10**6)
    world.pay(VICTIM, MULE, 2 * 10**8)
    with watched(world, tmp_path / "case") as (watch, server):
        names = {to_base58(who): name for who, name in ((VICTIM, "victim"), (MULE, "mule"), (EXIT, "exit"))}
        assert {names[held.account]: held.labels["S0"] for held in watch.held} == {
            "victim": "100000000",
            "mule": "200000000",
        }
        assert watch.round() == []
        asked = len(server.asked)
        assert watch.round() == []
        lists = [dict(parse_qsl(urlsplit(path).query)) for path in server.asked[asked:] if path.count("/trc20")]
        assert lists and all(int(one["min_timestamp"]) == START + 3000 * (1301 - 100) for one in lists)
        moved = world.pay(MULE, EXIT, 5 * 10**7)
        world.pay(ISSUER, VICTIM, 3)
        (event,) = watch.round()
        row = event.document()
        assert (row["event"], names[row["account"]], names[row["to"]]) == ("moved", "mule", "exit")
        assert (row["labels"], row["transfer"].partition(":")[0]) == ({"S0": "50000000"}, moved)
        assert {names[held.account]: held.value for held in watch.held} == {
            "victim": "100000003",
            "mule": "150000000",
            "exit": "50000000",
        }
    state = Case(tmp_path / "case").accounts
    rows = [row for place, rows in state.listings for row in rows if MULE in (row.sender, row.recipient)]
    assert {row.amount for row in rows} == {2 * 10**8, 5 * 10**7}
    assert KEY not in (tmp_path / "case" / "responses.jsonl").read_text("utf-8")


def test_a_case_that_was_only_fetched_is_followed_first(tmp_path: Path) -> None:
    world = story()
    with serving(world) as server:
        gather(tmp_path / "case", [to_base58(VICTIM)], [f"trongrid+{server.url}"])
        world.pay(MULE, EXIT, 600)
        world.pay(EXIT, AWAY, 600)
    with watched(world, tmp_path / "case") as (watch, _):
        assert (held(watch), watch.unseen) == ({"victim": "400", "away": "600"}, 0)


def test_a_case_with_a_newer_block_is_watched_as_it_was_known(tmp_path: Path) -> None:
    """Another REF was fetched since: every balance is older than the last block."""
    world = story()
    world.pay(ISSUER, AWAY, 5)
    with watched(world, tmp_path / "case") as (watch, _):
        assert held(watch) == {"victim": "400", "mule": "600"}
    world.pay(ISSUER, AWAY, 5)
    with serving(world) as server:
        gather(tmp_path / "case", [to_base58(AWAY)], [f"trongrid+{server.url}"])
    world.pay(MULE, EXIT, 600)
    with watched(world, tmp_path / "case") as (watch, _):
        assert told(watch) == [("moved", "mule", {"S0": "600"}, "exit")]
        assert held(watch) == {"victim": "400", "exit": "600"}


def test_a_mover_whose_transfers_do_not_add_up_is_told_and_stays_watched(tmp_path: Path) -> None:
    world = story()
    with watched(world, tmp_path / "case") as (watch, _):
        world.unlisted[to_base58(MULE)] = 5
        world.pay(MULE, EXIT, 600)
        assert told(watch) == []  # a list may lag behind a balance
        assert told(watch) == [("differs", "mule", {"S0": "600"}, None)]
        assert [NAMES[account.account] for account in watch.unclear] == ["mule"]
        world.unlisted.clear()
        assert told(watch) == [("moved", "mule", {"S0": "600"}, "exit")]
        assert held(watch) == {"victim": "400", "exit": "600"}


def test_what_the_trail_reaches_no_more_is_told_and_stays_watched(tmp_path: Path) -> None:
    """A unit too many at an account that the value went through, and no word from before that it added up then."""
    world = story()
    world.height += 300
    world.pay(MULE, EXIT, 600)
    with watched(world, tmp_path / "case") as (watch, _):
        assert told(watch) == []
        assert held(watch) == {"victim": "400", "exit": "600"}
        watch._case.accounts.words.clear()
        world.unlisted[to_base58(MULE)] = 1
        world.pay(EXIT, AWAY, 1)
        assert told(watch) == []
        assert sorted(told(watch)) == [
            ("differs", "exit", {"S0": "600"}, None),
            ("differs", "mule", {"S0": "600"}, None),
        ]
        assert {NAMES[account.account] for account in watch.unclear} == {"exit", "mule"}


def test_one_list_that_is_none_blinds_for_no_other_account(tmp_path: Path) -> None:
    world = story()
    with watched(world, tmp_path / "case") as (watch, _):
        assert told(watch) == []
        for poisoned, giver, taker in ((VICTIM, MULE, EXIT), (MULE, EXIT, AWAY)):
            world.poisoned = to_base58(poisoned)
            world.pay(giver, taker, 600)
            assert ("moved", NAMES[to_base58(giver)], {"S0": "600"}, NAMES[to_base58(taker)]) in told(watch)
            assert any("cannot be" in words for words in watch.trouble)


def test_a_branch_that_takes_back_what_has_no_height_is_told(tmp_path: Path) -> None:
    world = story()
    with watched(world, tmp_path / "case") as (watch, _):
        world.pay(MULE, EXIT, 600)
        assert told(watch) == [("moved", "mule", {"S0": "600"}, "exit")]
        world.sent.pop()
        world.height += 1
        assert told(watch) == [("back", "mule", {"S0": "600"}, "exit")]
        assert held(watch) == {"victim": "400", "mule": "600"}


def test_a_token_with_absurd_amounts_stops_no_watch_and_is_named(tmp_path: Path) -> None:
    world = story()
    policy = Policy(unit="address", stops=())
    with watched(world, tmp_path / "case", policy) as (watch, _):
        world.pay(ISSUER, VICTIM, 2**200, USDD)
        world.pay(MULE, EXIT, 600)
        assert told(watch) == [("moved", "mule", {"S0": "600"}, "exit")]
    trail = calibar.open(tmp_path / "case").trace(to_base58(VICTIM), stops=())
    assert trail.document["left_out"] == [to_base58(USDD)]
    assert any("2^126" in caveat["en"] and to_base58(USDD) in caveat["en"] for caveat in caveats(trail.document))
    with pytest.raises(UsageError, match="no honest token"):
        calibar.open(tmp_path / "case").trace(to_base58(VICTIM), stops=(), asset=to_base58(USDD))


def test_refusals_in_ever_new_words_make_no_case_grow(tmp_path: Path) -> None:
    world = story()
    with watched(world, tmp_path / "case") as (watch, _):
        assert told(watch) == []
        serve, calls = TronGridWorld.__call__, iter(range(10**6))

        def refusing(self: TronGridWorld, path: str, query: dict[str, str]) -> Reply:
            if path.startswith(f"/v1/accounts/{to_base58(MULE)}"):
                return 404, {"error": f"ray {next(calls)}"}
            return serve(self, path, query)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TronGridWorld, "__call__", refusing)
            assert told(watch) == []
            before = (tmp_path / "case" / "responses.jsonl").stat().st_size
            for _ in range(3):
                assert told(watch) == []
            assert (tmp_path / "case" / "responses.jsonl").stat().st_size == before
        world.pay(MULE, EXIT, 600)
        assert told(watch) == [("moved", "mule", {"S0": "600"}, "exit")]


def test_live_and_reopened_the_case_is_the_same(tmp_path: Path) -> None:
    dice = random.Random(7)  # noqa: S311
    world = story()
    people = [VICTIM, MULE, EXIT, AWAY]
    with watched(world, tmp_path / "case") as (watch, _):
        for _ in range(12):
            giver, taker = dice.sample(people, 2)
            if (has := world.balance(to_base58(giver), DOLLARS)) > 0:
                world.pay(giver, taker, dice.randint(1, has))
            elif len(world.sent) > 3:
                world.sent.pop()
                world.height += 1
            watch.round()
            state, again = watch._case.accounts, Case(tmp_path / "case").accounts
            assert state.listed == again.listed
            assert (state.words, state.left, state.too_many) == (again.words, again.left, again.too_many)
            assert {key: len(value) for key, value in state.holdings.items()} == {
                key: len(value) for key, value in again.holdings.items()
            }
        total = sum(int(account.labels["S0"]) for account in watch.held)
        assert total == 1000


def test_a_balance_that_lags_behind_a_list_for_a_round_hides_no_move(tmp_path: Path) -> None:
    world = story()
    with watched(world, tmp_path / "case") as (watch, _):
        assert told(watch) == []
        world.pay(MULE, EXIT, 500)
        world.unlisted[to_base58(MULE)] = 500
        assert told(watch) == []
        world.unlisted.clear()
        assert told(watch) == [("moved", "mule", {"S0": "500"}, "exit")]
        assert (held(watch), watch.unclear) == ({"victim": "400", "mule": "100", "exit": "500"}, [])
        assert told(watch) == []


def test_tokens_whose_sum_is_absurd_stop_no_watch_either(tmp_path: Path) -> None:
    world = story()
    with watched(world, tmp_path / "case", Policy(unit="address", stops=())) as (watch, _):
        for _ in range(3):
            world.pay(ISSUER, VICTIM, 2**126 - 1, USDD)
        world.pay(MULE, EXIT, 600)
        assert told(watch) == [("moved", "mule", {"S0": "600"}, "exit")]
        assert watch.trouble == []


def test_what_the_trail_reaches_no_more_for_a_branch_is_not_unclear(tmp_path: Path) -> None:
    world = TronGridWorld()
    world.pay(ISSUER, MULE, 50)
    world.pay(ISSUER, VICTIM, 1000)
    with watched(world, tmp_path / "case") as (watch, _):
        world.pay(VICTIM, MULE, 600)
        assert told(watch) == [("moved", "victim", {"S0": "600"}, "mule")]
        assert told(watch) == []
        world.sent.pop()
        world.height += 1
        assert told(watch) == [("back", "victim", {"S0": "600"}, "mule")]
        assert (held(watch), watch.unclear) == ({"victim": "1000"}, [])
        assert told(watch) == []
