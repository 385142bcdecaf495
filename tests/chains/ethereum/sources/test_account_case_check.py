"""A case from an explorer against itself and a full ledger: each lie is named, with the server that told it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest
from commands import run_calibar
from evm_explorers import Row, Server, serving
from test_account_case import CHAIN, RecordedEtherscan, fetched, server, sources

from calibar.chains.ethereum.jsonrpc import Question
from calibar.chains.ethereum.recorded import Recording
from calibar.chains.ethereum.rpc import RpcSource
from calibar.chains.ethereum.sources.node import EvmNode
from calibar.chains.remote.transfers_told import BlockQuestion
from calibar.errors import UsageError
from calibar.ledger.accounts.ingest import ingest
from calibar.ledger.accounts.snapshot import AccountSnapshot
from calibar.ledger.case.case import Case
from calibar.ledger.case.check import compare_with
from calibar.ledger.check import check
from calibar.sandbox.scenarios import token_theft as story
from calibar.trail.cases import gather
from calibar.trail.fetching import Limits
from calibar.trail.policy import Policy

__all__ = ["server"]

Explorer = tuple[RecordedEtherscan, Server]
Change = Callable[[list[Row]], object]
DOLLAR = dict(story.truth().contracts)["dollar"]
STRANGER = "0x" + "57" * 20
TXID = "0x" + "77" * 32


@pytest.fixture
def second(token_theft: Path) -> Iterator[Explorer]:
    explorer = RecordedEtherscan(AccountSnapshot(token_theft))
    with serving(explorer) as found:
        yield explorer, found


def source(explorer: Explorer) -> str:
    return f"etherscan+{explorer[1].url}/v2/api"


def place(explorer: Explorer) -> str:
    return f"{explorer[1].url}/v2/api"


THIEF = story.truth().role("thief wallet 1")


def listed(explorer: Explorer, folder: Path, *more: Explorer) -> Path:
    """A case with all lists of the thief."""
    urls = [source(each) for each in (explorer, *more)]
    gather(folder, [THIEF], urls, network_name=CHAIN, limits=Limits(cross_check=bool(more)))
    return folder


def lying(explorer: Explorer, action: str, change: Change) -> None:
    def changed(asked: str, rows: list[Row]) -> list[Row]:
        rows = [dict(row) for row in rows]
        if asked == action and len(rows) > 2:
            change(rows)
        return rows

    explorer[0].change = changed


def test_an_honest_case_is_sound_and_the_chain_says_the_same(
    server: Explorer, token_theft: Path, tmp_path: Path
) -> None:
    case = tmp_path / "case"
    fetched(server, case, sources()[1], policy=Policy(unit="address"))
    assert Case(case).accounts.holdings
    assert check(case) == []
    assert compare_with(case, token_theft) == []
    done = run_calibar("ledger", "check", case, "--against", token_theft)
    assert done.code == 0
    assert done.out.decode().splitlines()[-1] == f"the chain in {token_theft} says the same"


def _set(name: str, value: Callable[[str], str], at: int = 1) -> Change:
    return lambda rows: rows[at].update({name: value(rows[at][name])})


def _more(amount: str) -> str:
    return str(int(amount) + 1)


LIES: dict[str, tuple[str, Change, str]] = {
    "a hidden transfer": ("tokentx", lambda rows: rows.pop(1), "leaves out 1 transfer: {hash}"),
    "a hidden transaction": ("txlist", lambda rows: rows.pop(1), "leaves out 2 transfers: {hash}"),
    "an invented transaction": (
        "tokentx", lambda rows: rows.insert(1, rows[1] | {"hash": TXID}), f"transaction {TXID} is in no block",
    ),
    "an invented transfer": (
        "tokentx", lambda rows: rows.insert(1, rows[1] | {"value": "5"}), "tells 1 transfer of transaction {hash}: 5 ",
    ),
    "one that stands twice": (
        "tokentx", lambda rows: rows.insert(1, rows[1]), "tells 1 transfer of transaction {hash}: {value} of",
    ),
    "another amount": ("tokentx", _set("value", _more), "tells 1 transfer of transaction {hash}: {more} of"),
    "another party": ("tokentx", lambda rows: _other_end(rows[1]), "tells 1 transfer of transaction {hash}: {value}"),
    "another height": ("tokentx", _set("blockNumber", _more, -1), "is in the block of height {last}, not of"),
    "another block": ("tokentx", _set("blockHash", lambda _: TXID), f"says that block {{height}} is {TXID}; in"),
    "a higher fee": ("txlist", _set("gasPrice", _more), "tells 1 transfer of transaction {hash}"),
}  # fmt: skip


def _other_end(row: Row) -> None:
    """Whoever is not the thief becomes somebody else."""
    name = "from" if row["to"].lower() == THIEF else "to"
    row[name] = STRANGER


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_named_with_its_server(
    server: Explorer, second: Explorer, token_theft: Path, tmp_path: Path, lie: str
) -> None:
    action, change, words = LIES[lie]
    rows = [row for row in server[0].rows[action] if THIEF in (row["from"].lower(), row["to"].lower())]
    row = rows[1]
    lying(server, action, change)
    case = listed(server, tmp_path / "case", second)
    assert check(case) == [] or lie in ("another height", "another block")
    found = compare_with(case, token_theft)
    expected = words.format(
        hash=row["hash"], value=row["value"], more=_more(row["value"]), height=row["blockNumber"],
        last=rows[-1]["blockNumber"],
    )  # fmt: skip
    assert any(expected in line for line in found), found
    assert all(place(server) in line and place(second) not in line for line in found), found
    done = run_calibar("ledger", "check", case, "--against", token_theft, "--json", "-")
    assert done.code == 1
    assert json.loads(done.out).get("differences", found) == found


def test_a_wrong_balance_is_named(server: Explorer, token_theft: Path, tmp_path: Path) -> None:
    server[0].balance = lambda amount: amount + 1
    fetched(server, tmp_path / "case", sources()[1].partition(":")[0], policy=Policy(unit="address", asset=DOLLAR))
    found = compare_with(tmp_path / "case", token_theft)
    height = AccountSnapshot(token_theft).manifest.height
    assert found
    for line in found:
        assert line.startswith(f"{place(server)} said that 0x"), line
        assert f"at height {height}; by the ledger's transfers it had" in line


def test_a_list_and_a_balance_that_agree_in_a_lie_are_shown_by_the_chain_or_another_server(
    server: Explorer, second: Explorer, token_theft: Path, tmp_path: Path
) -> None:
    """Nothing in the case of one server contradicts it: it calls the history whole."""
    who = story.truth().role("thief wallet 2")
    hidden = "17680550000"
    assert any(row["value"] == hidden and row["from"].lower() == who for row in server[0].rows["tokentx"])
    server[0].change = lambda _, rows: [row for row in rows if row["value"] != hidden]
    server[0].balance = lambda amount: amount or int(hidden)
    policy = Policy(unit="address", asset=DOLLAR, stops=())
    report = gather(tmp_path / "case", [who], [source(server)], network_name=CHAIN, policy=policy)
    assert check(tmp_path / "case") == []
    assert not [name for name in report.unanswered if name.lower().startswith(who)]
    found = [line for line in compare_with(tmp_path / "case", token_theft) if who in line.lower()]
    assert any("which the case calls whole, leaves out 1 transfer" in line for line in found), found
    assert any(f"has {hidden} of" in line and line.endswith("it had 0") for line in found), found
    both = [source(server), source(second)]
    limits = Limits(cross_check=True)
    report = gather(tmp_path / "both", [who], both, network_name=CHAIN, policy=policy, limits=limits)
    (why,) = [why for name, why in report.unanswered.items() if name.lower().startswith(who)]
    assert why == f"its history is not known whole: it leaves 0; {place(server)} {hidden}, {place(second)} 0"


def test_a_transaction_that_is_said_to_have_failed_is_named(
    server: Explorer, token_theft: Path, tmp_path: Path
) -> None:
    txid = sources()[1].partition(":")[0]
    server[0].receipts[txid] |= {"status": "0x0", "logs": []}
    gather(tmp_path / "case", [txid], [source(server)], network_name=CHAIN)
    found = compare_with(tmp_path / "case", token_theft)
    assert f"{place(server)}: transaction {txid} succeeded, and is said to have failed" in found
    assert any(line.startswith(f"{place(server)} leaves out") for line in found)


def test_a_server_on_another_branch_is_compared_no_further(
    server: Explorer, second: Explorer, token_theft: Path, tmp_path: Path
) -> None:
    rows = [row for row in server[0].rows["tokentx"] if THIEF in (row["from"].lower(), row["to"].lower())]
    height = int(rows[1]["blockNumber"])

    def forked(_: str, told: list[Row]) -> list[Row]:
        away = {"blockHash": TXID}
        return [row | (away if int(row["blockNumber"]) >= height and row.get("blockHash") else {}) for row in told[:-1]]

    server[0].change = forked
    listed(server, tmp_path / "alone")
    (line,) = compare_with(tmp_path / "alone", token_theft)
    assert line.startswith(f"from height {height} on the ledger has other blocks: 0x")
    assert line.endswith(f"by {place(server)} {TXID}")
    lying(second, "tokentx", lambda told: told.pop(1))
    listed(server, tmp_path / "both", second)
    found = compare_with(tmp_path / "both", token_theft)
    assert found[0] == line
    assert all(each.startswith(f"{place(second)}: its list of token transfers") for each in found[1:]) and found[1:]


def test_only_a_full_ledger_of_that_chain_that_is_high_enough_is_compared(
    server: Explorer, token_theft: Path, tmp_path: Path
) -> None:
    case = listed(server, tmp_path / "case")
    with pytest.raises(UsageError, match="is no full ledger of an account chain; make one with `calibar ingest eth"):
        compare_with(case, case)
    recorded = RpcSource(Recording(story.RECORDING), genesis=story.GENESIS)
    ingest(recorded, tmp_path / "short", to_height=50)
    with pytest.raises(UsageError, match="ends at height 50, the case looks to 84; ingest on"):
        compare_with(case, tmp_path / "short")
    ingest(RpcSource(Recording(story.RECORDING)), tmp_path / "island", island=True, first=40, to_height=50)
    with pytest.raises(UsageError, match="is no full ledger"):
        compare_with(case, tmp_path / "island")
    recorded.chain = "ethereum:1"
    ingest(recorded, tmp_path / "other", to_height=3)
    with pytest.raises(UsageError, match="is of ethereum:1, the case of ethereum:31337; name another ledger"):
        compare_with(case, tmp_path / "other")
    assert run_calibar("ledger", "check", case, "--against", tmp_path / "short").code == 2


# A case against itself.


def test_an_answer_that_is_none_is_damage_until_somebody_gives_the_right_one(
    server: Explorer, second: Explorer, tmp_path: Path
) -> None:
    lying(server, "tokentx", lambda rows: rows.reverse())
    case = listed(server, tmp_path / "case")
    (line,) = check(case)
    assert f"what {place(server)} told is no answer: " in line and "stands after" in line
    done = run_calibar("ledger", "check", case)
    assert (done.code, done.err) == (1, f"calibar: damage: {line}\n")
    gather(case, [THIEF], [source(second)], network_name=CHAIN)
    assert check(case) == []
    report = gather(tmp_path / "both", [THIEF], [source(server), source(second)], network_name=CHAIN)
    assert {lie.place for lie in report.lies} == {place(server)}
    assert any(row.kind == "token" for row in Case(tmp_path / "both").accounts.rows())
    assert check(tmp_path / "both") == []


@pytest.mark.parametrize("change", [_set("value", _more), _set("hash", lambda _: TXID)])
def test_rows_that_a_whole_block_does_not_have_are_damage(server: Explorer, tmp_path: Path, change: Change) -> None:
    lying(server, "tokentx", change)
    case = listed(server, tmp_path / "case")
    assert check(case) == []
    rows = [row for row in server[0].rows["tokentx"] if THIEF in (row["from"].lower(), row["to"].lower())]
    proven(case, *(int(row["blockNumber"]) for row in rows))
    (line,) = check(case)
    assert line.startswith(f"{place(server)}: ") and f"whole block of height {rows[1]['blockNumber']}" in line
    server[0].change = lambda _, told: told
    listed(server, case)
    assert check(case) == []


def proven(case: Path, *heights: int) -> None:
    """Have a node's own blocks in a case, recomputed."""
    with Case.for_fetching(case, None) as open_, closing(EvmNode(Recording(story.RECORDING), open_.keep)) as node:
        told = list(node.ask([BlockQuestion(height) for height in heights]))
    assert len(told) == len(heights)


def test_two_servers_that_tell_a_transaction_differently_are_named(
    server: Explorer, second: Explorer, tmp_path: Path
) -> None:
    lying(server, "tokentx", _set("blockNumber", _more, -1))
    server[0].rows["txlist"] = []
    case = listed(server, tmp_path / "case", second)
    (line,) = check(case)
    assert "is in the block of height" in line and place(server) in line and place(second) in line
    txid = sources()[1].partition(":")[0]
    gather(tmp_path / "other", [txid], [source(second)], network_name=CHAIN)
    server[0].receipts[txid] |= {"status": "0x0", "logs": []}
    gather(tmp_path / "other", [txid], [source(server)], network_name=CHAIN)
    assert f"transaction {txid} failed by {place(server)}, and did not by {place(second)}" in check(tmp_path / "other")


class Altered:
    """A node's recorded answers, of which one is changed on the way."""

    def __init__(self, method: str, old: str, new: str) -> None:
        self._recording, self.place = Recording(story.RECORDING), "http://liar.example"
        self._method, self._old, self._new = method, old, new

    def ask(self, questions: Sequence[Question]) -> list[object]:
        answers = self._recording.ask(questions)
        for at, question in enumerate(questions):
            if question.method == self._method:
                answers[at] = json.loads(json.dumps(answers[at]).replace(self._old, self._new))
        return answers


def test_a_node_that_lies_on_what_calls_move_is_named(token_theft: Path, tmp_path: Path) -> None:
    """Nothing in a block proves it: traces are the node's word. What was unwrapped by that call is not seen then."""
    case, height = tmp_path / "case", 0x42
    for node in (Recording(story.RECORDING), Altered("debug_traceBlockByNumber", "0x6f05b59d3b20000", "0x7")):
        with Case.for_fetching(case, CHAIN) as open_, closing(EvmNode(node, open_.keep)) as asked:
            list(asked.ask([BlockQuestion(height)]))
        assert check(case) == []
        if isinstance(node, Recording):
            assert compare_with(case, token_theft) == []
    has, lacks = compare_with(case, token_theft)
    assert has.startswith(f"http://liar.example: its block {height} has 1 transfer of transaction 0xbbee35")
    assert ": 7 of native from 0x" in has and has.endswith(", not in the ledger")
    assert lacks.startswith(f"http://liar.example: its block {height} leaves out 2 transfers of transaction 0xbbee35")


def test_a_list_that_is_told_anew_takes_the_place_of_the_one_that_lied(
    server: Explorer, token_theft: Path, tmp_path: Path
) -> None:
    lying(server, "tokentx", lambda rows: rows.pop(1))
    assert compare_with(listed(server, tmp_path / "case"), token_theft)
    server[0].change = lambda _, rows: rows
    assert compare_with(listed(server, tmp_path / "case"), token_theft) == []
