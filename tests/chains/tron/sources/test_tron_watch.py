"""A watch over an explorer that tells neither block nor log of a token's transfer: it asks only for what is late."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

import pytest
from tron_explorers import KEY, START, USDT, Reply, Row, Server, address_of, serving, to_base58

from calibar.chains.tron.address import parse, to_hex
from calibar.ledger.case.case import Case
from calibar.trail.accounts.watching import AccountWatch
from calibar.trail.policy import Policy
from calibar.trail.watches import watching

ISSUER, VICTIM, MULE, EXIT = (address_of(number) for number in range(4))
DOLLARS = to_base58(USDT)


class TronGridWorld:
    """TronGrid's API over transfers of one token among anybody, with everybody's balance."""

    def __init__(self) -> None:
        self.height = 1000
        self.sent: list[tuple[str, int, bytes, bytes, int]] = []

    def pay(self, giver: bytes, taker: bytes, amount: int) -> str:
        self.height += 1
        txid = sha256(b"payment %d %d" % (self.height, len(self.sent))).hexdigest()
        self.sent.append((txid, self.height, giver, taker, amount))
        return txid

    def __call__(self, path: str, query: dict[str, str]) -> Reply:
        if path in ("/wallet/getnowblock", "/wallet/getblockbynum"):
            number = int(query.get("num", self.height))
            raw = {"number": number, "timestamp": START + 3000 * number}
            return 200, {"blockID": f"{number:064x}", "block_header": {"raw_data": raw}}
        if not path.startswith("/v1/accounts/"):
            return 200, {}
        whom = path.split("/")[3]
        if path.endswith("/trc20"):
            since = int(query.get("min_timestamp", 0))
            rows = [row for row in map(self.row, self.sent) if whom in (row["from"], row["to"])]
            rows = [row for row in rows if row["block_timestamp"] >= since]
            start = int(query.get("fingerprint", "0"))
            more = {"fingerprint": str(start + 200)} if len(rows) > start + 200 else {}
            return 200, {"data": rows[start : start + 200], "success": True, "meta": more}
        came, went = (sum(one[4] for one in self.sent if to_base58(one[side]) == whom) for side in (3, 2))
        account = {"address": to_hex(parse(whom)), "trc20": [{DOLLARS: str(came - went)}]}
        return 200, {"success": True, "data": [account], "meta": {}}

    def row(self, sent: tuple[str, int, bytes, bytes, int]) -> Row:
        txid, height, giver, taker, amount = sent
        return {
            "transaction_id": txid, "block_timestamp": START + 3000 * height, "type": "Transfer", "value": str(amount),
            "from": to_base58(giver), "to": to_base58(taker),
            "token_info": {"symbol": "USDT", "address": DOLLARS, "decimals": 6, "name": "Tether USD"},
        }  # fmt: skip


@contextmanager
def watched(world: TronGridWorld, folder: Path) -> Iterator[tuple[AccountWatch, Server]]:
    policy = Policy(unit="address", asset=DOLLARS, stops=())
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
